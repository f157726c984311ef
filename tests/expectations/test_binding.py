"""What a suite asks is settled by the batch, and no rule is lost on the way."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pytest

from expectations import binding
from expectations.binding import Question, Unasked, bind
from expectations.kinds import KINDS
from expectations.results import Outcome
from expectations.suite import built_in, load_suite

NOW = dt.datetime(2024, 6, 30, 12)
EACH = "- type: expect_column_values_to_not_be_null\n  meta: {id: there, each: %s}"
REVIEWS = pa.table(
    {"text": ["a", "b"], "stars": ["4", "5"], "brand": ["x", "x"], "size": [1, 2], "date": ["2024-01-01"] * 2}
)


@pytest.fixture
def bound(suite_of, opened):
    """The questions that a suite, given as YAML, asks of data."""

    def run(data, expectations, **options):
        with opened(data, **{"kind": "reviews", **options}) as batch:
            return bind(load_suite(suite_of(expectations)), batch, NOW)

    return run


@pytest.mark.parametrize(
    ("each", "ids"),
    [
        ("text column", ["text", "stars_as_written", "brand", "date_as_written"]),
        ("number column", ["size"]),
        ("column", ["text", "stars_as_written", "brand", "size", "date_as_written"]),
    ],
)
def test_a_rule_for_each_column_becomes_one_rule_for_each(bound, each, ids):
    asked = bound(REVIEWS, EACH % each)
    assert [question.rule.id for question in asked] == [f"there:{name}" for name in ids]
    assert [question.rule.columns for question in asked] == [(name,) for name in ids]


def test_a_rule_for_each_column_of_a_sort_that_is_not_there_is_not_examined(bound):
    (unasked,) = bound(REVIEWS, EACH % "date column")
    assert (unasked.outcome, unasked.reason) == (Outcome.NOT_EXAMINED, "the batch has no date column")


def test_a_rule_for_each_column_of_too_many_is_an_error_and_not_dropped(bound, monkeypatch):
    monkeypatch.setattr(binding, "MOST_COLUMNS", 3)
    (unasked,) = bound(REVIEWS, EACH % "column")
    assert (unasked.outcome, unasked.reason) == (
        Outcome.ERROR,
        "the batch has 5 columns, and it is asked of each only up to 3",
    )
    spelled = "- type: expect_categories_to_be_spelled_one_way\n  kwargs: {column_list: ['*']}"
    assert isinstance(bound(REVIEWS, spelled)[0], Unasked)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_rule_of_a_suite_has_an_answer(opened, kind):
    suite = load_suite(built_in(kind))
    role = next(one for one in KINDS if one.name == kind)
    with opened(pa.table({group[0]: ["a"] for group in role.needs}), kind=kind) as batch:
        asked = bind(suite, batch, NOW)
    before_the_colon = [item.rule.id.partition(":")[0] for item in asked]
    assert list(dict.fromkeys(before_the_colon)) == [rule.id for rule in suite.rules]
    assert len({item.rule.id for item in asked}) == len(asked)


def test_all_columns_are_those_of_the_file(bound):
    (question,) = bound(REVIEWS, "- type: expect_records_to_not_repeat\n  kwargs: {column_list: ['*']}")
    assert question.rule.kwargs["column_list"] == ["text", "stars_as_written", "brand", "size", "date_as_written"]


def test_categories_are_text_columns_of_few_values(bound):
    rows = 40
    data = pa.table(
        {
            "text": [f"text {n}" for n in range(rows)],
            "brand": ["acme"] * rows,
            "size": [n % 2 for n in range(rows)],
            "colour": [None if n % 2 else "red" for n in range(rows)],
            "nothing": pa.nulls(rows, pa.string()),
            "batch": [f"b{n % 5}" for n in range(rows)],
        }
    )
    (question,) = bound(data, "- type: expect_categories_to_be_spelled_one_way\n  kwargs: {column_list: ['*']}")
    assert question.rule.kwargs["column_list"] == ["brand", "colour"]


def test_where_present_leaves_out_the_columns_that_are_not_there(bound):
    rule = "- type: expect_records_to_not_repeat\n  kwargs: {column_list: [text, brand, colour]}\n  "
    rule += "meta: {where_present: true}"
    assert bound(REVIEWS, rule)[0].rule.kwargs["column_list"] == ["text", "brand"]
    (unasked,) = bound(pa.table({"text": ["a"]}), rule)
    assert unasked.outcome is Outcome.NOT_EXAMINED


@pytest.mark.parametrize(("meta", "outcome"), [("{}", Outcome.ERROR), ("{optional: true}", Outcome.NOT_EXAMINED)])
def test_a_column_that_is_not_there_is_an_error_unless_it_is_optional(bound, meta, outcome):
    (unasked,) = bound(
        REVIEWS, "- type: expect_column_values_to_not_be_null\n  kwargs: {column: star}\n  meta: " + meta
    )
    assert unasked.outcome is outcome
    assert "'star'" in unasked.reason


def test_a_missing_column_is_told_with_the_nearest_name(bound):
    (unasked,) = bound(REVIEWS, "- type: expect_column_values_to_not_be_null\n  kwargs: {column: brant}")
    assert unasked.reason == "column 'brant' is not in the batch; did you mean 'brand'?"


def test_what_was_stored_as_a_number_was_not_written(bound):
    rule = "- type: expect_column_values_to_match_regex\n  kwargs: {column: stars_as_written, regex: a}\n  "
    rule += "meta: {optional: true}"
    (unasked,) = bound(pa.table({"text": ["a"], "stars": [4]}), rule)
    assert (unasked.outcome, unasked.reason) == (
        Outcome.NOT_EXAMINED,
        "'stars' is stored as BIGINT: nothing was written as text",
    )


def test_the_future_begins_now_unless_a_moment_is_named(bound):
    rule = "- type: expect_column_values_to_not_be_after\n  kwargs: {column: date%s}"
    assert bound(REVIEWS, rule % "")[0].rule.kwargs["moment"] == "2024-06-30T12:00:00"
    assert bound(REVIEWS, rule % ", moment: '2020-01-01'")[0].rule.kwargs["moment"] == "2020-01-01"


def test_a_date_written_in_a_suite_is_a_date_where_the_column_holds_dates(bound):
    rule = "- type: expect_column_values_to_be_between\n  kwargs: {column: date, min_value: '2024-01-01'}"
    (question,) = bound(REVIEWS, rule)
    assert isinstance(question, Question)
    assert question.rule.kwargs["min_value"] == dt.datetime(2024, 1, 1)


@pytest.mark.parametrize(
    "written", ["'2024-01-15'", "2024-01-15", "2024-01-15T00:00:00", "'2024-01-15T02:00:00+02:00'"]
)
@pytest.mark.parametrize("engine", ["scan", "great_expectations"])
def test_dates_are_compared_however_they_are_written(ask, written, engine):
    data = pd.DataFrame({"text": list("abc"), "date": ["2024-01-01", "2024-01-15", "2024-02-01"]})
    rule = "- type: expect_column_values_to_be_between\n  kwargs: {column: date, min_value: %s}"
    answer = ask(data, rule % written, engine=engine)
    assert (answer.only.outcome, answer.numbers) == ("failed", [1])


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("expect_column_to_exist\n  kwargs: {column: brand}", Outcome.PASSED),
        ("expect_column_to_exist\n  kwargs: {column: colour}", Outcome.FAILED),
        ("expect_table_columns_to_match_ordered_list\n  kwargs: {column_list: [text, brand]}", Outcome.PASSED),
        ("expect_table_columns_to_match_ordered_list\n  kwargs: {column_list: [text]}", Outcome.FAILED),
        ("expect_table_columns_to_match_ordered_list\n  kwargs: {column_list: [text, colour]}", Outcome.FAILED),
        ("expect_table_columns_to_match_set\n  kwargs: {column_set: [brand, text]}", Outcome.PASSED),
        ("expect_table_columns_to_match_set\n  kwargs: {column_set: [brand, colour]}", Outcome.FAILED),
    ],
)
@pytest.mark.parametrize("engine", ["scan", "great_expectations"])
def test_a_rule_about_names_finds_out_that_a_column_is_not_there(ask, rule, outcome, engine):
    answer = ask(pd.DataFrame({"text": ["a"], "brand": ["x"]}), "- type: " + rule, engine=engine, kind="reviews")
    assert answer.only.outcome is outcome
