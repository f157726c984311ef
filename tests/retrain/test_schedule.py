"""Which rows are read when: every row once a pass, alike in length, the same from any step and for any process."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.schedule import WEIGHTS, WINDOW, Stream, generator, groups, part_of, shares


def stream(lengths, each=4, seed=1, name="positive"):
    return Stream(name, np.asarray(lengths, np.int64), each, seed)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 99), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_every_row_is_read_once_a_pass(rows, each, seed, windows):
    found = stream(range(rows), each, seed)
    read = np.concatenate([found.rows(step) for step in range(windows * WINDOW)])
    counts = np.bincount(read, minlength=rows)
    assert len(read) == windows * WINDOW * each
    assert counts.max() - counts.min() <= 1


def test_a_pass_that_fills_whole_windows_reads_every_row_exactly_once():
    found = stream(range(2 * WINDOW * 4))
    for number in range(3):
        read = np.concatenate([found.rows(number * 2 * WINDOW + step) for step in range(2 * WINDOW)])
        assert sorted(read) == list(range(2 * WINDOW * 4))


@given(st.integers(1, 80), st.integers(1, 6), st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_a_step_s_rows_depend_on_nothing_that_was_read_before(rows, each, step):
    whole = stream(range(rows), each)
    for before in range(0, step, 7):
        whole.rows(before)
    assert np.array_equal(whole.rows(step), stream(range(rows), each).rows(step))


@given(st.integers(1, 80), st.integers(1, 9), st.integers(0, 99), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_processes_read_together_what_one_would(rows, each, step, processes):
    found = stream(range(rows), each).rows(step)
    dealt = [found[rank::processes] for rank in range(processes)]
    assert Counter(np.concatenate(dealt).tolist()) == Counter(found.tolist())


def test_another_seed_name_and_pass_is_another_order():
    orders = [
        stream(range(100)).shuffled(0),
        stream(range(100)).shuffled(1),
        stream(range(100), seed=2).shuffled(0),
        stream(range(100), name="replay").shuffled(0),
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_the_rows_of_a_step_are_alike_in_length():
    lengths = np.random.default_rng(1).integers(4, 128, 2_000)
    found = stream(lengths, each=16)
    within = np.mean([np.ptp(lengths[found.rows(step)]) for step in range(100)])
    assert within < 0.2 * np.ptp(lengths)


def test_steps_do_not_come_in_the_order_of_their_length():
    lengths = np.arange(WINDOW * 8)
    found = stream(lengths, each=8)
    means = [lengths[found.rows(step)].mean() for step in range(WINDOW)]
    assert means != sorted(means)
    assert abs(np.corrcoef(means, np.arange(WINDOW))[0, 1]) < 0.8


def test_many_strata_are_not_shuffled_anew_in_every_step(monkeypatch):
    shuffled, usual = [], Stream.shuffled
    monkeypatch.setattr(Stream, "shuffled", lambda self, epoch: shuffled.append(epoch) or usual(self, epoch))
    streams = [stream(range(1_000), name=f"negative/{number}") for number in range(40)]
    for step in range(WINDOW):
        for one in streams:
            one.rows(step)
    assert len(shuffled) == 40


def test_random_numbers_follow_from_the_words_and_numbers_alone():
    same = [generator("mask", 1, "positive", 7).integers(0, 2**32, 4).tolist() for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] == [2110697202, 2364915143, 3186506916, 4241938829]  # on every machine
    assert generator("mask", 11).random() != generator("mask", 1, 1).random()


# --- how many of each -------------------------------------------------------------------------------------------------

STRATA = ["positive", "negative", "negative/a", "counterfactual/a", "counterfactual/b", "replay"]


@given(st.integers(1, 512), st.dictionaries(st.sampled_from(STRATA), st.integers(0, 10**7), min_size=1))
@settings(max_examples=200, deadline=None)
def test_whoever_has_rows_is_read_in_every_step_and_nobody_else(batch_size, there):
    found = shares(batch_size, there)
    assert set(found) == {name for name, rows in there.items() if rows}
    assert all(count >= 1 for count in found.values())
    if found:
        assert abs(sum(found.values()) - batch_size) <= len(found) or batch_size < 4 * len(found)


def test_the_parts_share_a_step_by_their_weights_however_many_rows_they_have():
    found = shares(900, {"positive": 10, "negative": 10**6, "counterfactual": 5, "replay": 70})
    total = sum(WEIGHTS.values())
    assert found == {name: round(900 * weight / total) for name, weight in WEIGHTS.items()}


def test_a_single_part_has_the_whole_step():
    assert shares(64, {"positive": 7, "negative": 0}) == {"positive": 64}
    assert shares(64, {"replay": 7}) == {"replay": 64}
    assert shares(64, {}) == {}


def test_a_stratum_belongs_to_what_stands_before_its_first_slash():
    assert [part_of(name) for name in ("replay", "negative/a", "negative/a/b")] == ["replay", "negative", "negative"]


# --- what is padded together ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 512), max_size=60), st.floats(1, 3))
@settings(max_examples=200, deadline=None)
def test_no_row_is_padded_beyond_the_bound_and_each_stands_in_one_group(lengths, waste):
    found = groups(lengths, waste=waste)
    assert sorted(row for some in found for row in some) == list(range(len(lengths)))
    for some in found:
        longest = max(lengths[row] for row in some)
        assert all(longest <= waste * lengths[row] + 16 for row in some)


def test_rows_of_one_length_are_one_group_and_no_row_is_none():
    assert groups([64] * 100) == [list(range(100))]
    assert groups([]) == []


@pytest.mark.parametrize("most", [128, 512])
def test_there_are_few_groups(most):
    assert len(groups(range(2, most + 1))) <= 8
