"""A verdict says what was examined: nothing examined is never a pass, and only critical rules fail a batch."""

import datetime as dt

import pandas as pd
import pyarrow as pa
import pytest

from expectations.errors import SuiteError
from expectations.kinds import KINDS
from expectations.results import Engine, Outcome
from expectations.suite import built_in, load_suite
from expectations.validation import validate

ENGINES = pytest.mark.parametrize("engine", ["scan", "great_expectations"])
NOT_NULL = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: text}"
DATA = pd.DataFrame({"text": ["a", None, "c", "d"], "stars": [1, 2, 3, 9], "brand": [None] * 4})


@ENGINES
@pytest.mark.parametrize(("severity", "passed"), [("critical", False), ("warning", True), ("info", True)])
def test_only_a_critical_rule_fails_the_batch(ask, engine, severity, passed):
    answer = ask(DATA, f"{NOT_NULL}\n  severity: {severity}", engine=engine)
    assert (answer.only.outcome, answer.only.broken, answer.validation.passed) == (Outcome.FAILED, True, passed)


@ENGINES
@pytest.mark.parametrize(("severity", "passed"), [("critical", False), ("warning", True)])
def test_a_rule_that_cannot_be_examined_fails_as_its_severity_says(ask, engine, severity, passed):
    rules = "- type: expect_column_values_to_be_in_set\n  kwargs: {column: colour, value_set: [a]}\n"
    rules += f"  severity: {severity}\n"
    answer = ask(DATA, rules + "- type: expect_table_row_count_to_equal\n  kwargs: {value: 4}", engine=engine)
    first, second = answer.validation.results
    assert (first.outcome, first.success, first.examined) == (Outcome.ERROR, False, 0)
    assert (second.outcome, answer.validation.passed) == (Outcome.PASSED, passed)


@ENGINES
@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("expect_column_values_to_match_regex\n  kwargs: {column: stars, regex: a}", "'stars' holds BIGINT"),
        ("expect_column_value_lengths_to_equal\n  kwargs: {column: stars, value: 1}", "'stars' holds BIGINT"),
        ("expect_column_values_to_be_between\n  kwargs: {column: text, min_value: 1}", "'text' holds VARCHAR"),
        ("expect_column_values_to_be_between\n  kwargs: {column: stars, min_value: 2024-01-01}", "cannot be compared"),
        ("expect_column_mean_to_be_between\n  kwargs: {column: text, min_value: 1}", "'text' holds VARCHAR"),
        ("expect_column_pair_values_to_be_equal\n  kwargs: {column_A: text, column_B: stars}", "cannot be compared"),
        ("expect_column_values_to_not_be_mojibake\n  kwargs: {column: stars}", "'stars' holds BIGINT"),
        ("expect_column_values_to_not_be_after\n  kwargs: {column: stars}", "'stars' holds BIGINT"),
        ("expect_categories_to_be_spelled_one_way\n  kwargs: {column_list: [text, stars]}", "'stars' holds BIGINT"),
        ("expect_column_values_to_be_increasing\n  kwargs: {column: text}", "str"),
        ("unexpected_rows_expectation\n  kwargs: {unexpected_rows_query: select 1}", "sends its own SQL"),
    ],
)
def test_a_rule_of_another_type_than_its_column_is_an_error_whoever_counts(ask, engine, rule, said):
    answer = ask(DATA, "- type: " + rule, engine=engine)
    assert answer.only.outcome is Outcome.ERROR
    assert said in answer.only.reason
    assert not answer.validation.passed


@ENGINES
def test_an_optional_rule_without_its_column_is_not_examined(ask, engine):
    rule = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: colour}\n  meta: {optional: true}"
    answer = ask(DATA, rule, engine=engine)
    assert (answer.only.outcome, answer.only.success, answer.only.broken) == (Outcome.NOT_EXAMINED, None, False)
    assert not answer.validation.passed  # nothing at all was examined


WITHOUT_VALUES = [
    "expect_column_values_to_be_in_set\n  kwargs: {column: %s, value_set: [a]}",
    "expect_column_values_to_be_unique\n  kwargs: {column: %s}",
    "expect_column_values_to_match_regex\n  kwargs: {column: %s, regex: a}",
    "expect_column_values_to_not_be_mojibake\n  kwargs: {column: %s}",
    "expect_column_values_to_not_repeat\n  kwargs: {column: %s}",
    "expect_column_values_to_not_be_cut_off\n  kwargs: {column: %s}",
    "expect_column_distinct_values_to_be_in_set\n  kwargs: {column: %s, value_set: [a]}",
    "expect_column_unique_value_count_to_be_between\n  kwargs: {column: %s, max_value: 9}",
    "expect_column_proportion_of_unique_values_to_be_between\n  kwargs: {column: %s, max_value: 1}",
    "expect_column_most_common_value_to_be_in_set\n  kwargs: {column: %s, value_set: [a]}",
    "expect_categories_to_be_spelled_one_way\n  kwargs: {column_list: [%s]}",
    "expect_column_pair_values_to_be_equal\n  kwargs: {column_A: %s, column_B: %s}",
]


@ENGINES
@pytest.mark.parametrize("rule", WITHOUT_VALUES, ids=lambda rule: rule.split("\n")[0])
def test_a_column_without_any_value_never_passes(ask, engine, rule):
    data = pa.table({"text": ["a", "b"], "brand": pa.array([None, None], pa.string())})
    answer = ask(data, "- type: " + rule.replace("%s", "brand"), engine=engine)
    assert (answer.only.outcome, answer.only.success, answer.only.examined) == (Outcome.NOT_EXAMINED, None, 0)
    assert "'brand'" in answer.only.reason


@pytest.mark.parametrize("function", ["mean", "median", "stdev", "min", "max", "sum"])
@ENGINES
def test_a_number_of_no_values_is_no_number(ask, engine, function):
    data = pa.table({"text": ["a", "b"], "price": pa.array([None, float("nan")])})
    rule = f"- type: expect_column_{function}_to_be_between\n  kwargs: {{column: price, min_value: -1, max_value: 1}}"
    assert ask(data, rule, engine=engine).only.outcome is Outcome.NOT_EXAMINED


@ENGINES
@pytest.mark.parametrize("rule", WITHOUT_VALUES[:-2], ids=lambda rule: rule.split("\n")[0])
def test_a_condition_that_no_row_meets_never_passes(ask, engine, rule):
    written = "- type: " + rule.replace("%s", "text") + "\n  row_condition: 'col(\"stars\") > 100'"
    answer = ask(DATA, written, engine=engine)
    assert (answer.only.outcome, answer.only.reason) == (Outcome.NOT_EXAMINED, "no row meets its row_condition")


@ENGINES
def test_that_no_row_meets_a_condition_may_be_just_what_is_expected(ask, engine):
    rule = "- type: expect_table_row_count_to_equal\n  kwargs: {value: %d}\n  row_condition: 'col(\"stars\") > 100'"
    assert ask(DATA, rule % 0, engine=engine).only.outcome is Outcome.PASSED
    assert ask(DATA, rule % 1, engine=engine).only.outcome is Outcome.FAILED


@ENGINES
@pytest.mark.parametrize(("mostly", "outcome"), [(0.75, Outcome.PASSED), (0.76, Outcome.FAILED)])
def test_mostly_is_the_share_of_examined_rows_that_keep_the_rule(ask, engine, mostly, outcome):
    answer = ask(DATA, f"{NOT_NULL}\n  mostly: {mostly}", engine=engine)
    assert (answer.only.outcome, answer.only.examined, answer.only.unexpected) == (outcome, 4, 1)
    assert answer.only.mostly == mostly


def test_rules_that_are_not_compiled_run_on_great_expectations_and_say_so(ask):
    rules = f"{NOT_NULL}\n- type: expect_column_values_to_be_increasing\n  kwargs: {{column: stars}}"
    compiled, other = ask(DATA.assign(stars=[1, 5, 3, 9]), rules).validation.results
    assert (compiled.engine, other.engine) == (Engine.SCAN, Engine.GREAT_EXPECTATIONS)
    assert (other.outcome, other.examined, other.unexpected, other.example.row) == (Outcome.FAILED, 4, 1, 3)


def test_a_rule_about_a_type_is_examined_by_great_expectations(ask):
    rule = "- type: expect_column_values_to_be_of_type\n  kwargs: {column: stars, type_: int64}"
    assert ask(DATA, rule).only.outcome is Outcome.PASSED
    assert ask(DATA, rule.replace("int64", "float64")).only.outcome is Outcome.FAILED


def test_great_expectations_own_verdict_comes_with_each_result(ask):
    answer = ask(DATA, NOT_NULL)
    verdict = answer.only.verdict
    assert (verdict["success"], verdict["result"]["unexpected_count"], verdict["result"]["element_count"]) == (
        False,
        1,
        4,
    )


@pytest.mark.parametrize(("allowed", "passed"), [(0.0, False), (0.05, False), (0.1, True)])
def test_too_many_unreadable_records_fail_the_batch_by_themselves(tmp_path, suite_of, opened, allowed, passed):
    (tmp_path / "new.csv").write_text("text,stars\n" + "fine,5\n" * 9 + "broken,5,5\n")
    with opened(tmp_path / "new.csv") as batch:
        found = validate(batch, load_suite(suite_of(NOT_NULL)), folder=tmp_path, unreadable_allowed=allowed)
    assert (found.unreadable, found.passed) == (1, passed)


def test_a_suite_that_is_not_understood_asks_nothing(tmp_path, suite_of, opened):
    suite = load_suite(suite_of("- type: expect_column_values_to_not_be_nul\n  kwargs: {column: text}"))
    with opened(DATA) as batch, pytest.raises(SuiteError, match="line 3"):
        validate(batch, suite, folder=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_no_rule_of_a_built_in_suite_is_lost(tmp_path, opened, kind):
    roles = next(one for one in KINDS if one.name == kind).roles
    data = pa.table({role.name: ["1"] * 3 for role in roles})
    suite = load_suite(built_in(kind))
    with opened(data, kind=kind, columns={role.name: role.name for role in roles}) as batch:
        found = validate(batch, suite, folder=tmp_path)
    asked = dict.fromkeys(result.id.partition(":")[0] for result in found.results)
    assert list(asked) == [rule.id for rule in suite.rules]
    assert [r.reason for r in found.results if r.outcome is Outcome.ERROR] == []


@ENGINES
def test_written_dates_in_the_future_are_found_in_text_as_well(ask, engine):
    data = pd.DataFrame({"text": ["a", "b", "c", "d"], "seen": ["2024-01-01", "1-Aug-30", "31/12/2030", "soon"]})
    rule = "- type: expect_column_values_to_not_be_after\n  kwargs: {column: seen, moment: '2026-11-20'}"
    assert ask(data, rule, engine=engine).numbers == [2, 3]


@ENGINES
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Tokyo"])
def test_the_day_of_a_moment_is_that_in_utc(ask, engine, zone):
    moments = [dt.datetime(2024, 6, 1, 23, 30, tzinfo=dt.UTC), dt.datetime(2024, 6, 2, 0, 30, tzinfo=dt.UTC)]
    data = pa.table({"text": ["a", "b"], "date": pa.array(moments, pa.timestamp("us", zone))})
    rule = "- type: expect_column_values_to_not_be_after\n  kwargs: "
    rule += "{column: date, moment: '2024-06-01', tolerance_days: 0}"
    assert ask(data, rule, engine=engine).numbers == [2]
    between = "- type: expect_column_values_to_be_between\n  kwargs: {column: date, max_value: '2024-06-02'}"
    assert ask(data, between, engine=engine).numbers == [2]


def test_columns_of_too_many_values_are_no_categories_and_no_pass(ask):
    data = pd.DataFrame({"text": [f"{n} words" for n in range(2500)]})
    answer = ask(data, "- type: expect_categories_to_be_spelled_one_way\n  kwargs: {column_list: [text]}")
    assert (answer.only.outcome, answer.only.success) == (Outcome.ERROR, False)
    assert "more than 2,000 different values" in answer.only.reason


def test_what_is_being_done_is_told(tmp_path, suite_of, opened):
    said = []
    with opened(DATA) as batch:
        validate(batch, load_suite(suite_of(NOT_NULL)), folder=tmp_path, progress=said.append)
    assert "counting" in said
    assert said[-1] == "writing the quarantine"


@pytest.mark.parametrize("one", ["s", "ms", "us", "ns", "zoned"])
@pytest.mark.parametrize("other", ["us", "ns", "zoned"])
def test_dates_of_any_precision_and_zone_can_be_compared(ask, one, other):
    kinds = {
        "zoned": pa.timestamp("us", "Asia/Tokyo"),
        **{unit: pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")},
    }
    seconds = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9, "zoned": 10**6}
    ordered = pa.array([n * seconds[one] for n in (1, 2, 3)], pa.int64()).cast(kinds[one])
    sent = pa.array([n * seconds[other] for n in (1, 3, 3)], pa.int64()).cast(kinds[other])
    data = pa.table({"text": ["a", "b", "c"], "ordered": ordered, "sent": sent})
    rule = "- type: expect_column_pair_values_to_be_equal\n  kwargs: {column_A: ordered, column_B: sent}"
    assert ask(data, rule).numbers == [2]
