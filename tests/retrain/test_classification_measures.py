"""Figures of a classifier, held against definitions written out and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, classification_report, log_loss, ndcg_score

from retrain.classification_measures import (
    BINS,
    ESCI,
    ESCI_GAINS,
    GAINS,
    OFFICIAL_SCRIPT_GAINS,
    Predicted,
    calibration_error,
    classification_measures,
    expected_gain,
    ranking,
)

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, rows: int = 60, classes: tuple[str, ...] = ESCI) -> tuple[Predicted, list[str]]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(len(classes), 0.5), rows)
    labels = rng.choice(len(classes), rows, p=rng.dirichlet(np.ones(len(classes))))
    return Predicted(probabilities, labels, classes), [f"query {n}" for n in rng.integers(0, rows // 6, rows)]


@given(SEEDS)
@settings(deadline=None)
def test_the_figures_are_those_of_scikit_learn(seed):
    said, _ = drawn(seed)
    found = classification_measures(said)
    guessed = said.probabilities.argmax(1)
    report = classification_report(
        said.labels, guessed, labels=range(4), target_names=ESCI, output_dict=True, zero_division=0.0
    )
    assert found.accuracy == found.micro_f1 == pytest.approx(accuracy_score(said.labels, guessed))
    assert found.loss == pytest.approx(log_loss(said.labels, said.probabilities, labels=range(4)))
    for one in found.classes:
        theirs = report[one.label]
        assert (one.precision, one.recall, one.f1) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"])
        )
        assert one.rows == theirs["support"]
    there = [one.f1 for one in found.classes if one.rows or one.predicted]
    assert found.macro_f1 == pytest.approx(np.mean(there))
    assert np.array(found.confusion).sum() == found.rows
    assert [sum(row) for row in found.confusion] == [one.rows for one in found.classes]
    assert [sum(column) for column in zip(*found.confusion, strict=True)] == [one.predicted for one in found.classes]


def calibration_by_definition(said: Predicted) -> float:
    """Bin by bin, in Python."""
    total = 0.0
    for number in range(BINS):
        rows = [
            (max(p), int(np.argmax(p)) == label)
            for p, label in zip(said.probabilities.tolist(), said.labels, strict=True)
            if number / BINS < max(p) <= (number + 1) / BINS
        ]
        if rows:
            confidence = sum(p for p, _ in rows) / len(rows)
            right = sum(hit for _, hit in rows) / len(rows)
            total += len(rows) / len(said.labels) * abs(confidence - right)
    return total


@given(SEEDS)
@settings(deadline=None)
def test_calibration_is_what_its_definition_says(seed):
    said, _ = drawn(seed)
    assert calibration_error(said) == pytest.approx(calibration_by_definition(said), abs=1e-9)


def test_a_model_that_is_sure_and_wrong_is_as_far_from_calibrated_as_can_be():
    sure = Predicted(np.array([[1.0, 0.0]] * 4), np.array([1] * 4), ("a", "b"))
    assert calibration_error(sure) == 1.0
    assert np.isfinite(classification_measures(sure).loss)


@given(SEEDS, st.sampled_from(list(GAINS)))
@settings(deadline=None)
def test_the_order_is_measured_as_scikit_learn_does_query_by_query(seed, name):
    said, queries = drawn(seed)
    gains = GAINS[name]
    found = classification_measures(said, queries=queries, gains=GAINS).ranking[name]
    scores = expected_gain(said.probabilities, ESCI, gains)
    true = np.array([gains[ESCI[label]] for label in said.labels])
    values = []
    for query in set(queries):
        rows = [at for at, one in enumerate(queries) if one == query]
        if true[rows].any():
            values.append(1.0 if len(rows) == 1 else ndcg_score([true[rows]], [scores[rows]]))
    assert found.queries == len(values)
    assert found.ndcg == pytest.approx(np.mean(values) if values else 0.0)


def test_rows_of_the_same_score_count_in_every_order():
    true = np.array([1.0, 0.1, 0.0, 0.01])
    tied = ranking(np.zeros(4), true, ["lamp"] * 4, ESCI_GAINS)
    assert tied.ndcg == pytest.approx(ndcg_score([true], [np.zeros(4)]))
    back = ranking(np.zeros(4), true[::-1].copy(), ["lamp"] * 4, ESCI_GAINS)
    assert back.ndcg == pytest.approx(tied.ndcg)


def test_the_two_sets_of_gains_differ_in_substitute_and_complement_alone():
    assert dict(ESCI_GAINS) == {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}
    assert {label for label in ESCI if ESCI_GAINS[label] != OFFICIAL_SCRIPT_GAINS[label]} == {"S", "C"}
    assert (ESCI_GAINS["S"], ESCI_GAINS["C"]) == (OFFICIAL_SCRIPT_GAINS["C"], OFFICIAL_SCRIPT_GAINS["S"])
    said = Predicted(np.eye(4)[[1, 2]], np.array([1, 2]), ESCI)  # a substitute and a complement, recognised
    found = classification_measures(said, queries=["lamp"] * 2, gains=GAINS).ranking
    assert found["esci"].ndcg == found["esci_official_script"].ndcg == 1.0, "each by its own gains"
    wrong = Predicted(np.eye(4)[[2, 1]], np.array([1, 2]), ESCI)  # taken for one another
    found = classification_measures(wrong, queries=["lamp"] * 2, gains=GAINS).ranking
    assert found["esci"].ndcg < 1.0
    assert found["esci"].gains == dict(ESCI_GAINS)


def test_queries_without_a_gain_are_left_out_and_counted():
    said = Predicted(np.full((5, 4), 0.25), np.array([3, 3, 0, 0, 0]), ESCI)
    found = classification_measures(said, queries=["a", "a", "b", "b", "c"], gains=GAINS).ranking["esci"]
    assert (found.queries, found.decided, found.ndcg) == (2, 0, 1.0)
    assert ranking(np.zeros(0), np.zeros(0), [], ESCI_GAINS).queries == 0


@given(SEEDS)
@settings(deadline=None)
def test_the_true_classes_are_the_best_order(seed):
    said, queries = drawn(seed)
    perfect = Predicted(np.eye(4)[said.labels], said.labels, ESCI)
    found = classification_measures(perfect, queries=queries, gains=GAINS)
    assert (found.accuracy, found.macro_f1, found.calibration_error) == (1.0, 1.0, 0.0)
    assert all(one.ndcg == pytest.approx(1.0) for one in found.ranking.values() if one.queries)


@pytest.mark.parametrize(
    ("probabilities", "labels", "told"),
    [
        (np.zeros((0, 2)), [], "no row"),
        (np.zeros((2, 3)), [0, 1], r"shape \(2, 3\)"),
        (np.array([[np.nan, 1.0]]), [0], "no finite number"),
    ],
)
def test_what_cannot_be_measured_is_told(probabilities, labels, told):
    with pytest.raises(ValueError, match=told):
        Predicted(probabilities, np.array(labels, np.int64), ("a", "b"))


def test_a_class_without_a_gain_is_told():
    with pytest.raises(ValueError, match="class 'X' has no gain"):
        expected_gain(np.ones((1, 1)), ("X",), ESCI_GAINS)
