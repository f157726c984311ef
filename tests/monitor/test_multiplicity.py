from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.multiplicity import holm

probabilities = st.floats(0, 1)
asked = st.dictionaries(st.text(max_size=5), probabilities, max_size=30)


def test_a_single_question_is_left_as_it_is():
    (only,) = holm({"price": 0.03})
    assert only.adjusted == only.p_value == 0.03
    assert only.rejected


def test_without_a_question_there_is_no_decision():
    assert holm({}) == () == holm([])


def test_the_worked_example_of_four_questions():
    adjusted = [d.adjusted for d in holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})]
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_question_at_the_level_itself_is_decided():
    assert holm([0.025, 1.0], level=0.05)[0].rejected


@given(asked)
def test_decisions_come_in_the_order_of_the_questions(p_values):
    decided = holm(p_values)
    assert [(d.name, d.p_value) for d in decided] == list(p_values.items())


@given(st.lists(probabilities, max_size=30))
def test_names_make_no_difference(p_values):
    named = holm({f"column {i}": p for i, p in enumerate(p_values)})
    assert [d.adjusted for d in named] == [d.adjusted for d in holm(p_values)]


@given(asked)
def test_adjusting_lies_between_the_p_value_and_bonferroni(p_values):
    assert all(d.p_value <= d.adjusted <= min(1.0, d.p_value * len(p_values)) for d in holm(p_values))


@given(asked)
def test_a_smaller_p_value_never_comes_out_behind(p_values):
    by_p = sorted(holm(p_values), key=lambda d: d.p_value)
    assert all(a.adjusted <= b.adjusted for a, b in pairwise(by_p))


def test_false_alarms_stay_at_the_level_over_many_checks():
    rng = np.random.default_rng(7)
    alarms = [any(d.rejected for d in holm(rng.random(20).tolist())) for _ in range(2000)]
    assert 0.035 <= np.mean(alarms) <= 0.065


@pytest.mark.parametrize("p", [math.nan, -0.1, 1.5])
def test_a_p_value_that_is_none_is_told_by_name(p):
    with pytest.raises(ValueError, match="'brand'"):
        holm({"price": 0.5, "brand": p})


@pytest.mark.parametrize("level", [0, 1, 5, math.nan])
def test_a_level_that_is_no_probability_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        holm({"price": 0.5}, level)


def test_the_reason_says_both_p_values():
    (first, _) = holm({"price": 0.001, "stars": 0.9})
    assert first.reason == "more than chance (adjusted p 0.002, alone 0.001)"
