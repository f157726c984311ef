"""A row condition means what is written, all of it, or it is refused."""

import math

import pandas as pd
import pyarrow as pa
import pytest
from great_expectations.expectations.row_conditions import deserialize_row_condition

from expectations.row_condition import columns_of, read_condition

RULE = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: text}\n  row_condition: "


@pytest.mark.parametrize(
    ("written", "operator", "parameter"),
    [
        ('col("stars") >= 4', ">=", 4),
        ("col('stars')==-1.5", "==", -1.5),
        ('col("stars") != "a \\"b\\""', "!=", 'a "b"'),
        ('  col( "stars" )  <  1e3 ', "<", 1000.0),
        ('col("stars") == true', "==", True),
        ('col("stars") == "true"', "==", "true"),
        ('col("stars") == "1 and 2"', "==", "1 and 2"),
    ],
)
def test_one_comparison_may_be_written_as_text(written, operator, parameter):
    read = read_condition(written)
    assert (read["column"], read["operator"]) == ({"name": "stars"}, operator)
    assert read["parameter"] == parameter
    assert type(read["parameter"]) is type(parameter)


def test_whether_there_is_a_value_may_be_written_as_text():
    assert read_condition('col("text").notNull()')["is_null"] is False
    assert read_condition('col("text").isNull()')["is_null"] is True


@pytest.mark.parametrize(
    "written",
    [
        'col("a") > 1 and col("b") > 2',  # Great Expectations itself drops everything after the first comparison
        'col("a") > 1 or col("b") > 2',
        'col("a") > 1 & col("b") > 2',
        'col("a") > 1)',
        'col("a") == "x" "y"',
        "col('a') == 'it''s'",  # SQL's way to write an apostrophe is Python's way to join two texts
        'col("a") > col("b")',
        'col("a") = 1',
        'col("a") <> 1',
        'col("a") in [1, 2]',
        'col("a") == None',
        'col("a") == null',
        'col("a") == nan',
        'col("a") == __import__("os").getpid()',
        'col("a") == b"x"',
        'col("a") == [1]',
        'col("a") == 1j',
        'col("a").isnull()',
        'col("") > 1',
        "a > 1",
        "stars",
        "",
    ],
)
def test_text_that_says_anything_else_is_refused(written):
    with pytest.raises(ValueError, match="row_condition"):
        read_condition(written)


COMPARISON = {"type": "comparison", "column": {"name": "a"}, "operator": ">", "parameter": 1}


@pytest.mark.parametrize(
    "written",
    [
        3,
        ["a"],
        {},
        {"type": "comparision"},
        {**COMPARISON, "operater": ">"},
        {key: value for key, value in COMPARISON.items() if key != "parameter"},
        {**COMPARISON, "column": "a"},
        {**COMPARISON, "column": {"name": "a", "table": "b"}},
        {**COMPARISON, "column": {"name": 5}},
        {**COMPARISON, "operator": "=>"},
        {**COMPARISON, "parameter": None},
        {**COMPARISON, "parameter": math.nan},
        {**COMPARISON, "parameter": [1]},
        {**COMPARISON, "operator": "IN"},
        {**COMPARISON, "operator": "IN", "parameter": []},
        {**COMPARISON, "operator": "IN", "parameter": [[1]]},
        {"type": "nullity", "column": {"name": "a"}, "is_null": "no"},
        {"type": "nullity", "column": {"name": "a"}},
        {"type": "and", "conditions": []},
        {"type": "and", "conditions": "ab"},
        {"type": "or", "conditions": [COMPARISON, 3]},
        {"type": "or", "conditions": [COMPARISON], "condition": COMPARISON},
    ],
)
def test_a_mapping_with_anything_too_much_too_little_or_wrong_is_refused(written):
    with pytest.raises(ValueError, match="row_condition"):
        read_condition(written)


def test_great_expectations_reads_what_we_read():
    written = {
        "type": "and",
        "conditions": ['col("a") > 1', {"type": "nullity", "column": {"name": "b"}, "is_null": False}],
    }
    read = read_condition(written)
    assert repr(deserialize_row_condition(read)) == "(a > 1 AND b IS NOT NULL)"
    assert columns_of(read) == ("a", "b")


def test_the_rows_outside_the_condition_are_not_examined(ask):
    data = pd.DataFrame({"text": [None, None, "c", None], "stars": [5, 1, 5, None]})
    answer = ask(data, RULE + "'col(\"stars\") >= 4'")
    assert (answer.only.examined, answer.only.unexpected, answer.numbers) == (2, 1, [1])


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("'col(\"stars\") != 5'", [2, 4]),  # as in pandas, `!=` keeps rows without a value
        ("'col(\"stars\").isNull()'", [4]),
        ("'col(\"brand\") == \"it''s; --\"'", [2]),
        ("'col(\"good\") == true'", [1, 4]),
        ("{type: comparison, column: {name: stars}, operator: NOT_IN, parameter: [5]}", [2, 4]),
        ("{type: comparison, column: {name: brand}, operator: IN, parameter: ['$b0', '{x}']}", [4]),
        ("{type: or, conditions: ['col(\"stars\") == 1', 'col(\"stars\").isNull()']}", [2, 4]),
    ],
)
@pytest.mark.parametrize("engine", ["scan", "great_expectations"])
def test_a_condition_picks_the_same_rows_whoever_counts(ask, condition, numbers, engine):
    columns = {"stars": [5, 1, 5, None], "brand": ["a", "it's; --", "b", "$b0"], "good": [True, False, False, True]}
    data = pa.table({"text": pa.array([None, None, "kept", None]), **columns})
    assert ask(data, RULE + condition, engine=engine).numbers == numbers


def test_a_condition_that_no_row_meets_leaves_nothing_examined(ask):
    answer = ask(pd.DataFrame({"text": [None, "b"], "stars": [1, 2]}), RULE + "'col(\"stars\") > 5'")
    assert (answer.only.outcome, answer.only.success, answer.only.examined) == ("not examined", None, 0)
    assert answer.only.reason == "no row meets its row_condition"
    assert not answer.validation.passed


def test_a_condition_that_compares_a_column_with_the_wrong_type_is_an_error(ask):
    answer = ask(pd.DataFrame({"text": ["a"], "stars": [1]}), RULE + '\'col("stars") == "five"\'')
    assert answer.only.outcome == "error"
    assert "BIGINT" in answer.only.reason


def test_a_condition_about_a_column_that_is_not_there_is_an_error(ask):
    answer = ask(pd.DataFrame({"text": ["a"], "stars": [1]}), RULE + "'col(\"star\") == 5'")
    assert answer.only.outcome == "error"
    assert "did you mean 'stars'?" in answer.only.reason
