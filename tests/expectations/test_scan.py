"""One scan counts every rule, and no row, value or name makes it count anything else."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

NOT_NULL = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: %s}"
BETWEEN = "- type: expect_column_values_to_be_between\n  kwargs: {column: price, min_value: 1, max_value: 5}"


@pytest.mark.parametrize(
    ("prices", "missing", "broken"),
    [
        ([1.0, math.nan, 2.0], [2], []),
        ([3.0, math.nan, 3.0], [2], []),  # the file's statistics say that every value is 3
        ([math.nan, math.nan], [1, 2], []),
        ([math.inf, -math.inf, 0.0, -0.0], [], [1, 2, 3, 4]),
        ([None, math.nan, 9.0], [1, 2], [3]),
    ],
)
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_nan_is_a_missing_value_whatever_the_statistics_of_the_file_say(tmp_path, ask, prices, missing, broken, kind):
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table({"text": ["a"] * len(prices), "price": pa.array(prices, kind)}), path)
    assert ask(path, NOT_NULL % "price").numbers == missing
    assert ask(path, BETWEEN).numbers == broken


def test_nan_in_a_later_row_group_is_found(tmp_path, ask):
    prices = np.arange(10_000) % 5 + 1.0
    prices[7777] = np.nan
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table({"text": ["a"] * 10_000, "price": prices}), path, row_group_size=1000)
    assert ask(path, NOT_NULL % "price").numbers == [7778]


ODD = [
    "it's",
    'say "hi"',
    "x'; drop table batch; --",
    "$b0",
    "$1",
    "{keys}",
    "{0}",
    "%s",
    "\\",
    "\\d",
    "(a|b)",
    "a\nb",
    "é👟",
]


@pytest.mark.parametrize("engine", ["scan", "great_expectations"])
def test_values_of_a_suite_are_never_sql(ask, engine):
    quoted = ", ".join("'" + value.replace("'", "''").replace("\n", "\n\n") + "'" for value in ODD)
    rule = f"- type: expect_column_values_to_be_in_set\n  kwargs: {{column: text, value_set: [{quoted}]}}"
    answer = ask(pd.DataFrame({"text": [*ODD, "other"]}), rule, engine=engine)
    assert (answer.only.unexpected, answer.numbers) == (1, [len(ODD) + 1])


@pytest.mark.parametrize(
    ("regex", "numbers"),
    [
        ("'it''s'", [1]),
        ("'\"'", [2]),
        ("'; --$'", [3]),
        ("'\\$b0'", [4]),
        ("'\\{[a-z]{4}\\}'", [6]),
        ("'^.{1,2}$'", [5, 8, 9, 10, 13]),
    ],
)
@pytest.mark.parametrize("engine", ["scan", "great_expectations"])
def test_regular_expressions_are_never_sql(ask, regex, numbers, engine):
    rule = f"- type: expect_column_values_to_not_match_regex\n  kwargs: {{column: text, regex: {regex}}}"
    assert ask(pd.DataFrame({"text": ODD}), rule, engine=engine).numbers == numbers


@pytest.mark.parametrize(
    "name", ["it's", 'say "hi"', "a; drop table batch; --", "$b0", "{keys}", "{0}", "c0", "a\nb", "é"]
)
@pytest.mark.parametrize(
    "rule",
    [
        "expect_column_values_to_be_unique\n  kwargs: {column: %s}",
        "expect_compound_columns_to_be_unique\n  kwargs: {column_list: [%s, text]}",
        "expect_column_values_to_not_repeat\n  kwargs: {column: %s, compare: letters}",
        "expect_last_column_to_be_determined_by_the_others\n  kwargs: {column_list: [%s, text]}",
        "expect_column_values_to_match_regex\n  kwargs: {column: %s, regex: '^v[^1]'}",
        "expect_column_values_to_not_be_mojibake\n  kwargs: {column: %s}",
        "expect_column_distinct_values_to_be_in_set\n  kwargs: {column: %s, value_set: [v2]}",
        "expect_column_values_to_share_a_date_format\n  kwargs: {column: %s}",
    ],
    ids=lambda rule: rule.split("\n")[0],
)
def test_a_column_of_any_name_can_be_asked_about(ask, name, rule):
    data = pd.DataFrame({"text": ["a", "b", "b", "c"], name: ["v1", "v2", "v2", "v1"]})
    scalar = '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    assert YAML(typ="safe").load(scalar) == name
    plain = ask(data.rename(columns={name: "plain"}), "- type: " + rule % "plain")
    odd = ask(data, "- type: " + rule % scalar)
    assert odd.only.outcome in ("passed", "failed")
    assert (odd.only.examined, odd.only.unexpected, odd.numbers) == (
        plain.only.examined,
        plain.only.unexpected,
        plain.numbers,
    )


def test_texts_that_differ_only_in_what_is_no_letter_repeat(ask):
    texts = ["Love it!", "{love} it", "love-it", "loved it", "!!", "{}", None, "{0}"]
    rule = "- type: expect_column_values_to_not_repeat\n  kwargs: {column: text, compare: letters}"
    assert ask(pd.DataFrame({"text": texts}), rule).numbers == [2, 3]


def test_whole_numbers_beyond_doubles_are_told_apart(ask):
    data = pa.table({"text": ["a", "b", "c"], "size": [2**53, 2**53 + 1, None]})
    assert ask(data, "- type: expect_column_values_to_be_unique\n  kwargs: {column: size}").numbers == []
    in_set = f"- type: expect_column_values_to_be_in_set\n  kwargs: {{column: size, value_set: [{2**53 + 1}]}}"
    assert ask(data, in_set).numbers == [1]


@pytest.mark.parametrize(
    ("data", "unique"),
    [
        (pa.array([0.0, -0.0]), False),
        (pa.array([math.nan, math.nan]), None),
        (pa.array(["", ""]), False),
        (pa.array([None, None], pa.string()), None),
        (pa.array(["a", "a "]), True),
        (pa.array(["é", "e\u0301"]), True),
    ],
)
def test_what_is_equal_repeats_and_nothing_does_not(ask, data, unique):
    answer = ask(
        pa.table({"text": ["x", "y"], "size": data}),
        "- type: expect_column_values_to_be_unique\n  kwargs: {column: size}",
    )
    assert answer.only.success is unique


def test_examples_are_the_first_failing_rows(ask):
    answer = ask(pd.DataFrame({"text": ["a", "b", "c"], "price": [3.0, 9.0, 8.0]}), BETWEEN)
    assert (answer.only.example.row, answer.only.example.value) == (2, 9.0)


def test_a_rule_about_several_columns_shows_them_all(ask):
    rule = "- type: expect_column_pair_values_to_be_equal\n  kwargs: {column_A: a, column_B: b, ignore_row_if: neither}"
    answer = ask(pd.DataFrame({"text": ["x", "y"], "a": [1, 2], "b": [1, 3]}), rule)
    assert answer.only.example.value == {"a": 2, "b": 3}


@pytest.mark.parametrize("rows", [1, 7, 3000])
def test_counts_are_those_that_pandas_finds(tmp_path, ask, rows):
    random = np.random.default_rng(rows)
    frame = pd.DataFrame(
        {
            "text": random.choice(["a", "b", "", None], rows),
            "price": random.choice([0.5, 1, 5, 7, np.nan], rows),
            "size": random.integers(0, 4, rows),
        }
    )
    frame.to_parquet(tmp_path / "new.parquet", row_group_size=500)
    rules = f"{BETWEEN}\n{NOT_NULL % 'text'}\n- type: expect_compound_columns_to_be_unique\n  "
    rules += "kwargs: {column_list: [text, size]}"
    between, there, compound = ask(tmp_path / "new.parquet", rules).validation.results
    assert between.unexpected == (frame.price.notna() & ~frame.price.between(1, 5)).sum()
    assert between.examined == frame.price.notna().sum()
    assert there.unexpected == frame.text.isna().sum()
    assert compound.unexpected == frame.duplicated(["text", "size"], keep=False).sum()
