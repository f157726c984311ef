"""Great Expectations gives every verdict, on the counts it is given, and is never handed less than it asks for."""

import datetime as dt
import json
import math
from decimal import Decimal

import numpy as np
import pytest
from great_expectations.expectations.registry import get_expectation_impl
from hypothesis import given
from hypothesis import strategies as st

from expectations.binding import Question
from expectations.judge import Unjudged, jsonable, judge, understand, verdict_json
from expectations.scan import Counts, Sample
from expectations.suite import load_suite


@pytest.fixture
def asked(suite_of):
    """A question and Great Expectations' object for it, from the YAML of one rule."""

    def read(rule):
        suite = load_suite(suite_of(rule))
        return Question(suite.rules[0], None), understand(suite.rules[0], suite)

    return read


IN_SET = "- type: expect_column_values_to_be_in_set\n  kwargs: {column: text, value_set: [a]%s}"


@pytest.mark.parametrize(
    ("mostly", "unexpected", "success"),
    [("", 0, True), ("", 1, False), (", mostly: 0.9", 8, True), (", mostly: 0.9", 9, False), (", mostly: 0", 80, True)],
)
def test_the_verdict_follows_from_the_counts(asked, mostly, unexpected, success):
    question, expectation = asked(IN_SET % mostly)
    samples = tuple(Sample(0, n + 1, {"text": "b"}) for n in range(min(unexpected, 20)))
    verdict = judge(question, expectation, Counts(considered=100, skipped=20, unexpected=unexpected, samples=samples))
    assert verdict.success is success
    assert (verdict.result["element_count"], verdict.result["missing_count"]) == (100, 20)
    assert verdict.result["unexpected_count"] == unexpected
    assert verdict.result["partial_unexpected_list"] == ["b"] * len(samples)


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_number_that_was_not_measured_is_not_judged(asked, value):
    question, expectation = asked("- type: expect_column_mean_to_be_between\n  kwargs: {column: stars, min_value: 1}")
    with pytest.raises(Unjudged, match=r"column\.mean"):
        judge(question, expectation, Counts(considered=3, metrics={"column.mean": value}))


def test_a_metric_that_was_not_counted_is_not_judged(asked):
    question, expectation = asked("- type: expect_column_mean_to_be_between\n  kwargs: {column: stars, min_value: 1}")
    with pytest.raises(Unjudged, match=r"asks for column\.mean, which was not counted"):
        judge(question, expectation, Counts(considered=3))


def test_pairs_and_records_are_shown_as_great_expectations_shows_them(asked):
    pair = asked("- type: expect_column_pair_values_to_be_equal\n  kwargs: {column_A: a, column_B: b}")
    records = asked("- type: expect_records_to_not_repeat\n  kwargs: {column_list: [a, b]}")
    counts = Counts(considered=2, unexpected=1, samples=(Sample(0, 1, {"a": 1, "b": 2}),))
    assert judge(*pair, counts).result["partial_unexpected_list"] == [(1, 2)]
    assert judge(*records, counts).result["partial_unexpected_list"] == [{"a": 1, "b": 2}]


@pytest.mark.parametrize(
    "rule",
    [
        "- type: expect_column_values_to_be_between\n  kwargs: {column: stars, min_value: 1, mostly: 0.9}",
        "- type: expect_column_values_to_be_in_set\n  kwargs: {column: stars, value_set: [1, 2.5, a, '1']}",
        '- type: expect_column_values_to_not_be_null\n  kwargs: {column: stars}\n  row_condition: \'col("a") == "x"\'',
        "- type: expect_column_values_to_be_in_language\n  kwargs: {column: text, languages: [en], min_length: 41}",
        "- type: expect_compound_columns_to_be_unique\n  kwargs: {column_list: [a, b], ignore_row_if: never}",
    ],
)
def test_every_argument_reaches_great_expectations_as_it_is_written(asked, rule):
    question, expectation = asked(rule)
    kept = expectation.configuration.to_json_dict()["kwargs"]
    for name, value in question.rule.kwargs.items():
        if name != "row_condition":
            assert kept[name] == value
    assert (kept.get("row_condition") is not None) == ("row_condition" in question.rule.kwargs)
    assert isinstance(expectation, get_expectation_impl(question.rule.type))


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5), st.datetimes(),
    st.dates(), st.times(), st.timedeltas(), st.decimals(), st.uuids(), st.floats().map(np.float64),
    st.integers(-5, 5).map(np.int64),
)  # fmt: skip


@given(
    st.recursive(
        ODD, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(max_size=3), inner)), max_leaves=6
    )
)
def test_any_value_of_data_becomes_strict_json(value):
    json.dumps(jsonable(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.inf, None), (np.float64("nan"), None), (dt.date(2024, 1, 2), "2024-01-02"), (b"caf\xe9", "caf\\xe9"),
        (np.int64(5), 5), (Decimal("1.5"), "1.5"), ("x" * 5000, "x" * 999 + "…"), ({1: (2,)}, {"1": [2]}),
    ],
)  # fmt: skip
def test_values_stay_what_they_are_where_json_can_hold_them(value, plain):
    assert jsonable(value) == plain


def test_a_verdict_is_plain_json(asked):
    question, expectation = asked(IN_SET % "")
    samples = (Sample(0, 1, {"text": dt.datetime(2024, 1, 1)}), Sample(0, 2, {"text": math.inf}))
    verdict = verdict_json(judge(question, expectation, Counts(considered=2, unexpected=2, samples=samples)))
    json.dumps(verdict, allow_nan=False)
    assert verdict["result"]["unexpected_percent"] == 100.0
