"""Text from data stays data when SQL is written."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.sql import Bound, all_of, any_of, quoted

IDENTIFIERS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(IDENTIFIERS)
def test_any_identifier_comes_back_as_it_was(name):
    with duckdb.connect() as connection:
        assert connection.execute(f"select 1 as {quoted(name)}").description[0][0] == name


@pytest.mark.parametrize("name", ['"; drop table t; --', "a'b", "$b0", "{keys}", "--", "/*", "select", "line\nline"])
def test_an_identifier_never_ends_early(name):
    with duckdb.connect() as connection:
        connection.execute(f"create table t as select 1 as {quoted(name)}")
        assert connection.execute(f"select {quoted(name)} from t").fetchall() == [(1,)]


@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**62), 2**62), st.booleans()))
def test_a_bound_value_comes_back_as_it_was(value):
    bound = Bound()
    sql = f"select {bound.to(value)}"
    with duckdb.connect() as connection:
        assert connection.execute(sql, bound.used_in(sql)).fetchone() == (value,)


def test_only_the_values_that_stand_in_the_sql_are_given():
    bound = Bound()
    names = [bound.to(number) for number in range(12)]
    assert bound.used_in(f"{names[1]} + {names[11]}") == {"b1": 1, "b11": 11}


def test_no_condition_joined_by_and_is_true_and_by_or_is_false():
    assert (all_of([]), any_of([])) == ("true", "false")
    assert all_of(["true", "a"]) == "(a)"
