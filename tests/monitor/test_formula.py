"""Does a formula mean what it says, and is everything else told?"""

from __future__ import annotations

import math
import operator
from contextlib import suppress

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from expectations.kinds import Holds
from expectations.sql import Bound
from monitor.formula import (
    AllOf,
    Always,
    AnyOf,
    Comparison,
    Flag,
    FormulaError,
    Name,
    Not,
    assume,
    check,
    names_of,
    parse,
    run,
    settled,
    settled_frame,
    to_signal,
    to_sql,
)

HOLDS = {
    "positive": Holds.FLAG,
    "too_long": Holds.FLAG,
    "stars": Holds.NUMBER,
    "sentiment": Holds.NUMBER,
    "label": Holds.TEXT,
    "date": Holds.DATE,
    "Age Group": Holds.TEXT,
}
OPERATORS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

flags = st.sampled_from(["positive", "too_long"]).map(Flag)
numbers = st.sampled_from([-0.5, 0.0, 3.0, 4.5])
comparisons = st.one_of(
    st.builds(Comparison, st.sampled_from(["stars", "sentiment"]).map(Name), st.sampled_from(list(OPERATORS)), numbers),
    st.builds(Comparison, st.just(Name("stars")), st.sampled_from(list(OPERATORS)), st.just(Name("sentiment"))),
    st.builds(Comparison, st.just(Name("label")), st.sampled_from(["==", "!="]), st.sampled_from(["E", "it's", ""])),
)
trees = st.recursive(
    flags | comparisons,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AllOf(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {
        "positive": st.sampled_from([True, False, None]),
        "too_long": st.sampled_from([True, False, None]),
        "stars": st.sampled_from([None, math.nan, 0.0, 3.0, 4.5, -0.5]),
        "sentiment": st.sampled_from([None, -0.5, 0.0, 3.0]),
        "label": st.sampled_from([None, "E", "it's", "", "x"]),
    }
)


def kleene(tree, row):
    """Kleene's three-valued logic, the plainest way: True, False, or None for unknown."""
    match tree:
        case Always(value):
            return value
        case Flag(name):
            return row[name]
        case Comparison(left, sign, right):
            one, other = row[left.name], row[right.name] if isinstance(right, Name) else right
            return None if one is None or other is None or one != one or other != other else OPERATORS[sign](one, other)
        case Not(inner):
            found = kleene(inner, row)
            return None if found is None else not found
    found = [kleene(part, row) for part in tree.parts]
    decisive = isinstance(tree, AnyOf)
    return decisive if decisive in found else None if None in found else not decisive


def written(tree):
    """The tree as a person might write it, with every parenthesis there could be."""
    match tree:
        case Flag(name):
            return name
        case Comparison(left, sign, right):
            quoted = '"' + right + '"' if isinstance(right, str) else right
            return f"{left.name} {sign} {right.name if isinstance(right, Name) else quoted}"
        case Not(inner):
            return f"~({written(inner)})"
    return (" & " if isinstance(tree, AllOf) else " | ").join(f"({written(part)})" for part in tree.parts)


def frame_of(table):
    names = ("positive", "too_long", "stars", "sentiment", "label")
    values = {name: np.array([row[name] for row in table] + [None], dtype=object)[:-1] for name in names}
    return settled_frame(values, HOLDS)


@given(trees)
def test_what_is_written_is_read_as_it_was_meant(tree):
    assert parse(written(tree)).tree == tree


@settings(max_examples=200, deadline=None)
@given(trees, st.lists(rows, min_size=1, max_size=6))
def test_uptrain_chooses_a_row_exactly_where_kleenes_logic_is_sure(tree, table):
    assert run(settled(tree), frame_of(table)).tolist() == [kleene(tree, row) is True for row in table]


@settings(max_examples=100, deadline=None)
@given(trees, st.lists(rows, min_size=1, max_size=6))
def test_sql_says_the_same_as_uptrain(tree, table):
    types = [("positive", pa.bool_()), ("too_long", pa.bool_()), ("stars", pa.float64()), ("sentiment", pa.float64()),
             ("label", pa.string())]  # fmt: skip
    found = pa.Table.from_pylist(
        [{"place": i, **row} for i, row in enumerate(table)], pa.schema([("place", pa.int64()), *types])
    )
    bound = Bound()
    numeric = {"stars", "sentiment"}
    sql = to_sql(settled(tree), lambda n: f"nullif({n}, 'nan'::double)" if n in numeric else n, bound)
    with duckdb.connect() as connection:
        connection.register("found", found)
        said = connection.execute(f"select {sql} from found order by place", bound.used_in(sql) or None).fetchall()
    assert [one for (one,) in said] == run(settled(tree), frame_of(table)).tolist()


@given(trees, rows, st.sets(st.sampled_from(["positive", "too_long", "stars", "sentiment", "label"])))
def test_an_assumption_brackets_what_will_be_known(tree, row, unknown):
    low, high = (assume(settled(tree), unknown, value) for value in (False, True))
    sure = kleene(tree, row) is True
    assert sure or kleene(low, row) is not True
    assert not sure or kleene(high, row) is True
    assert not set(names_of(low)) & unknown
    assert not set(names_of(high)) & unknown


def test_a_missing_value_is_chosen_neither_by_a_comparison_nor_by_its_negation():
    frame = settled_frame({"stars": [None, math.nan, 2.0], "positive": [None, None, False]}, HOLDS)
    assert run(settled(parse("stars < 3").tree), frame).tolist() == [False, False, True]
    assert run(settled(parse("~(stars < 3)").tree), frame).tolist() == [False, False, False]
    assert run(settled(parse("~positive").tree), frame).tolist() == [False, False, True]


def test_a_column_in_which_everything_is_missing_chooses_nothing():
    frame = settled_frame({"stars": [None, None], "label": np.array([None, None], dtype=object)}, HOLDS)
    for written_so in ("stars < 3", "stars >= 3", 'label == "E"', 'label != "E"'):
        assert run(settled(parse(written_so).tree), frame).tolist() == [False, False]


def test_no_rows_are_no_answers():
    assert run(settled(parse("stars < 3").tree), settled_frame({"stars": []}, HOLDS)).tolist() == []


def test_comparisons_bind_first_then_not_then_and_then_or():
    tree = AnyOf((AllOf((Flag("a"), Comparison(Name("b"), "<", 3.0))), Not(Flag("c"))))
    assert parse("a & b < 3 | ~c").tree == tree
    assert parse("a and b < 3 or not c").tree == tree


def test_a_constant_may_stand_on_the_left():
    assert parse("3 <= stars").tree == parse("stars >= 3").tree


def test_true_and_false_may_be_written_out():
    assert parse("positive == true & too_long == False").tree == parse("positive & ~too_long").tree
    assert parse("positive != true").tree == Not(Flag("positive"))


def test_text_stands_in_either_quotation_marks():
    assert parse("""label == 'say "E"'""").tree == parse(r'label == "say \"E\""').tree


def test_a_column_name_with_blanks_stands_in_backquotes():
    assert parse('`Age Group` == "20-30"').names == ("Age Group",)


@pytest.mark.parametrize(
    ("text", "position", "hint"),
    [
        ("", 0, "empty"),
        ("  ", 2, "empty"),
        ("1 < stars < 4", 10, "Join them"),
        ("stars = 3", 6, "Write == instead of ="),
        ("stars <> 3", 6, "Write != instead of <>"),
        ("positive && too_long", 9, "Write & instead of &&"),
        ("positive || too_long", 9, "Write | instead of ||"),
        ("!positive", 0, "Write ~ instead of !"),
        ("stars => 3", 6, "Write >= instead of =>"),
        ("~stars < 3", 0, "Write ~(stars < 3)"),
        ("positive | too_long and stars < 3", 20, "either and, or, not"),
        ("positive &", 10, "the formula ends"),
        ("positive & & too_long", 11, "'&' stands where"),
        ("(positive", 0, "never closed"),
        ("positive)", 8, "never opened"),
        ("(stars & positive) < 3", 19, "in parentheses"),
        ("positive too_long", 9, "Join the parts"),
        ("stars + 1 > 3", 6, "no arithmetic"),
        ("3 < 4", 0, "Name a signal"),
        ("3", 0, "stands alone"),
        ('label == "E', 9, "never closed"),
        ("positive > true", 9, "no order"),
        ("stars < 1e999", 8, "too large"),
        ("stars < 3; drop table batch", 9, "means nothing"),
        ("__import__('os').system('true')", 16, "means nothing"),
    ],
)
def test_what_cannot_be_understood_is_pointed_at(text, position, hint):
    with pytest.raises(FormulaError) as told:
        parse(text)
    assert told.value.position == position
    assert hint in str(told.value)
    assert isinstance(told.value, ShopmonError)


def test_the_mark_stands_below_the_mistake_also_on_a_later_line():
    with pytest.raises(FormulaError) as told:
        parse("positive\n & stars = 3")
    line, mark = told.value.advice.splitlines()[-2:]
    assert line.strip() == "& stars = 3"
    assert line[mark.index("^")] == "="


def test_deep_nesting_is_refused_before_the_stack_ends():
    for text in ("(" * 5000 + "a" + ")" * 5000, "~" * 5000 + "a"):
        with pytest.raises(FormulaError, match="within one another"):
            parse(text)


@settings(max_examples=300)
@given(st.text(alphabet="ab<>=!&|~()'\"`\\ 1.e-\n\u00e9\u4e00", max_size=30))
def test_any_text_is_a_formula_or_a_told_error(text):
    with suppress(FormulaError):  # any other exception fails
        check(parse(text), dict.fromkeys(names_of(parse(text).tree), Holds.NUMBER))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sentimnt < 0", "Did you mean 'sentiment'?"),
        ("qqq", "Known are: "),
        ("stars", "Compare it: stars >= 3"),
        ("label", "Compare it"),
        ("positive > 3", "Write positive or ~positive"),
        ('stars > "3"', "Compare stars with a number"),
        ("label == 3", "Compare label with text"),
        ('label < "E"', "== or !="),
        ('date > "31.1.2026"', 'Write it as "2026-01-31"'),
        ("stars > label", "Compare stars with a number"),
        ('positive & (~too_long | label == "E" & sentimnt > 0)', "Did you mean 'sentiment'?"),
    ],
)
def test_a_name_is_asked_only_for_what_it_can_say(text, hint):
    with pytest.raises(FormulaError) as told:
        check(parse(text), HOLDS)
    assert hint in str(told.value)


def test_what_every_name_can_say_passes():
    check(parse('positive & stars > sentiment & label != "E" & date >= "2026-01-31" & `Age Group` == "x"'), HOLDS)


def test_a_defined_name_stands_for_its_formula_also_when_negated():
    definitions = {"positive": parse("sentiment >= 0.05").tree}
    assert settled(parse("~positive").tree, definitions) == parse("sentiment < 0.05").tree


def test_a_signal_has_no_truth_value():
    joined = to_signal(settled(parse("positive & stars < 3 | ~too_long").tree))
    for signal in (joined, joined.children[0], ~joined, joined & joined, joined | joined, joined < 3, joined == joined):
        with pytest.raises(TypeError, match="no truth value"):
            bool(signal)
        with pytest.raises(TypeError, match="no truth value"):
            assert 0 < signal < 1


def test_signals_are_uptrains_own():
    from uptrain.framework.signal import OrSignal, Signal

    joined = to_signal(settled(parse("positive | stars < 3").tree))
    assert isinstance(joined, OrSignal)
    assert all(isinstance(child, Signal) for child in joined.children)
