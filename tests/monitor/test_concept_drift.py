"""Does the model err more than before: are all alarms there, at the rows at which river's own detectors sound them?"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift

from expectations.batch import open_batch
from expectations.errors import ShopmonError
from monitor.concept_drift import ConceptSettings, Detector, Order, _uptrain, concept_drift, error_stream

DAY = datetime(2026, 1, 1)


def errors_at(rates, rows, seed):
    """As many random errors at each rate in turn."""
    return np.concatenate([np.random.default_rng([seed, i]).random(rows) < rate for i, rate in enumerate(rates)])


def alarms_of_river(detector, errors):
    """Positions from 1, as river itself finds them, value by value."""
    found = []
    for position, error in enumerate(errors.tolist(), start=1):
        detector.update(error)
        if detector.drift_detected:
            found.append(position)
    return found


def river_ddm(s):
    return drift.binary.DDM(warm_start=s.warm_start, drift_threshold=s.drift_threshold)


def river_adwin(s):
    return drift.ADWIN(delta=s.delta, clock=s.clock, min_window_length=s.min_window_length, grace_period=s.grace_period)


def positions(errors, detector, s):
    return [alarm.position for alarm in concept_drift(errors, s).alarms if alarm.detector is detector]


@settings(max_examples=40, deadline=None)
@given(
    rates=st.lists(st.sampled_from([0.0, 0.02, 0.1, 0.3, 0.7, 1.0]), min_size=1, max_size=6),
    rows=st.integers(1, 700),
    seed=st.integers(0, 1000),
    s=st.builds(
        ConceptSettings,
        warm_start=st.sampled_from([1, 30, 100, 500]),
        drift_threshold=st.sampled_from([1.0, 3.0]),
        delta=st.sampled_from([0.002, 0.2]),
        clock=st.sampled_from([1, 7, 32]),
        grace_period=st.sampled_from([1, 5, 50]),
    ),
)
def test_alarms_are_those_of_rivers_own_detectors(rates, rows, seed, s):
    errors = errors_at(rates, rows, seed)
    assert positions(errors, Detector.DDM, s) == alarms_of_river(river_ddm(s), errors)
    assert positions(errors, Detector.ADWIN, s) == alarms_of_river(river_adwin(s), errors)


def test_every_drift_is_found_and_not_the_first_alone():
    errors = errors_at([0.05, 0.3, 0.05, 0.3, 0.05], 40_000, 7)  # more than are held at once
    s = ConceptSettings()
    ddm, adwin = positions(errors, Detector.DDM, s), positions(errors, Detector.ADWIN, s)
    assert ddm == alarms_of_river(river_ddm(s), errors)
    assert adwin == alarms_of_river(river_adwin(s), errors)
    for begin in (40_000, 80_000, 120_000, 160_000):
        assert any(begin < position < begin + 500 for position in adwin)
    for begin in (40_000, 120_000):  # DDM knows nothing of improvements
        assert any(begin < position < begin + 5_000 for position in ddm)


def test_an_alarm_tells_the_error_rates_on_both_sides():
    errors = errors_at([0.1, 0.5, 0.1], 5_000, 1)
    found = concept_drift(errors, ConceptSettings(detectors=(Detector.ADWIN,))).alarms
    cuts = [0, *(alarm.position - 1 for alarm in found), len(errors)]
    for alarm, start, here, end in zip(found, cuts, cuts[1:], cuts[2:], strict=False):
        assert alarm.error_before == pytest.approx(errors[start:here].mean())
        assert alarm.error_after == pytest.approx(errors[here:end].mean())
    assert {True, False} == {alarm.worse for alarm in found}


def test_a_steady_model_raises_no_alarm():
    answer = concept_drift(np.tile([True] + [False] * 9, 2_000))
    assert answer.examined
    assert answer.alarms == ()
    assert answer.error_rate == pytest.approx(0.1)


def test_no_errors_at_all_are_not_examined():
    answer = concept_drift(np.array([]))
    assert (answer.examined, answer.error_rate, answer.alarms) == (False, None, ())


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (np.array([0, 1, np.nan]), "row 3 has nan"),
        (np.array([0, None, 1], dtype=object), "row 2 has none"),
        (np.array([0, 2]), "row 2 has 2"),
        (np.array([0, -np.inf]), "row 2 has -inf"),
        (np.array(["yes"]), "of type <U3"),
    ],
)
def test_what_is_no_error_is_refused(errors, said):
    with pytest.raises(ShopmonError, match=said):
        concept_drift(errors)


@pytest.mark.parametrize(
    "wrong", [{"warm_start": 0}, {"clock": 0}, {"delta": 1.0}, {"drift_threshold": 0}, {"delta": float("nan")}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ConceptSettings(**wrong)


def test_alarms_are_not_written_to_standard_error(capfd):
    assert concept_drift(errors_at([0.0, 1.0], 2_000, 0)).alarms
    assert capfd.readouterr() == ("", "")


def test_pydantic_is_left_as_it_was():
    before = pydantic.root_validator
    _uptrain.__wrapped__()
    assert pydantic.root_validator is before


def test_uptrain_is_used_without_the_network_and_without_litellm():
    script = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("the network was asked for")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
import numpy
from monitor.concept_drift import concept_drift
print(len(concept_drift(numpy.arange(2000) >= 1000).alarms), "litellm" in sys.modules, "pymupdf" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 False False\n", "")


# What a batch says of its own errors


@pytest.fixture
def stream(tmp_path):
    """The errors of a table, as batch of a kind."""

    def ask(columns, kind="reviews", **options):
        with opened(columns, kind, tmp_path) as batch:
            return error_stream(batch, **options)

    return ask


@contextmanager
def opened(columns, kind, folder):
    import pyarrow as pa

    rows = len(next(iter(columns.values())))
    own = {"text": ["warm"] * rows} if kind == "reviews" else {"query": ["boots"] * rows, "title": ["Boots"] * rows}
    with open_batch(pa.table({**own, **columns}), scratch=folder, kind=kind) as batch:
        yield batch


def test_errors_come_in_the_order_of_dates(stream):
    days = [DAY + timedelta(days=d) for d in (3, 1, 2, 1)]
    found = stream({"prediction": ["a", "b", "c", "d"], "label": ["a", "x", "c", "d"], "date": days})
    assert found.errors.tolist() == [True, False, False, False]
    assert found.moments.astype(datetime).tolist() == sorted(days)
    assert (found.order, found.label, found.reason, found.examined) == (Order.DATE, "label", "", True)


def test_without_dates_the_order_is_that_of_the_file_and_the_answer_says_so(stream):
    found = stream({"prediction": ["a", "b", "c"], "label": ["a", "x", "c"]})
    assert found.errors.tolist() == [False, True, False]
    assert (found.order, found.moments) == (Order.FILE, None)
    assert "order is that of the files" in found.reason


def test_rows_without_a_date_are_left_out_and_counted(stream):
    found = stream({"prediction": ["a", "b"], "label": ["x", "b"], "date": [None, DAY]})
    assert found.errors.tolist() == [False]
    assert found.reason == "1 rows without a date were left out"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"label": ["a"]}, "no column of predictions"),
        ({"prediction": ["a"]}, "none of the roles label, grade, stars"),
        ({"prediction": ["a", None, " "], "label": [None, "a", "b"]}, "no row has both a prediction and a label"),
    ],
)
def test_what_cannot_be_examined_says_why(stream, columns, said):
    found = stream(columns)
    assert not found.examined
    assert found.errors is None
    assert said in found.reason


@pytest.mark.parametrize(
    ("predicted", "label", "wrong"),
    [
        (" good\t", "good", False),
        ("good", "Good", True),
        ("4", "4.0", False),
        ("4", "5", True),
        ("4", "four", True),
        ("nan", "nan", False),
        ("9007199254740993", "9007199254740992", True),
        ("'); drop table batch; --", "'); drop table batch; --", False),
    ],
)
def test_prediction_and_label_are_compared_as_text_and_as_numbers(stream, predicted, label, wrong):
    assert stream({"prediction": [predicted], "label": [label]}).errors.tolist() == [wrong]


def test_stars_serve_as_the_label_where_there_is_none(stream):
    found = stream({"prediction": ["5", "3"], "stars": [5.0, 4.0]})
    assert (found.errors.tolist(), found.label) == ([False, True], "stars")


def test_grades_serve_as_the_label_of_pairs(stream):
    found = stream({"prediction": [1, 0], "label": [1, 1]}, kind="relevance")
    assert (found.errors.tolist(), found.label) == ([False, True], "grade")


def test_only_the_latest_rows_are_taken_where_there_are_too_many(stream):
    days = [DAY + timedelta(days=d) for d in (0, 1, 2, 3)]
    found = stream({"prediction": list("aaaa"), "label": list("baba"), "date": days}, most=3)
    assert found.errors.tolist() == [False, True, False]
    assert found.reason == "only the latest 3 rows were examined"


def test_another_relation_of_the_batch_can_be_asked(tmp_path):
    with opened({"prediction": ["a", "b"], "label": ["a", "x"]}, "reviews", tmp_path) as batch:
        batch.rows_of('create view "good ones" as select * from batch where __shopmon_row = 2')
        assert error_stream(batch, "good ones").errors.tolist() == [True]


def test_a_drift_in_a_file_is_found_at_its_date(stream):
    days = [DAY + timedelta(hours=h) for h in range(4_000)]
    right = ["a"] * 2_000 + ["b"] * 2_000
    shuffled = np.random.default_rng(0).permutation(4_000)
    found = stream(
        {"prediction": ["a"] * 4_000, "label": [right[i] for i in shuffled], "date": [days[i] for i in shuffled]}
    )
    (first, *_) = concept_drift(found.errors).alarms
    assert found.moments[first.position - 1] == np.datetime64(days[2_000])
