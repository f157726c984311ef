import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopmon.grammar import Grammar, Slot, fractions, row_keys


def expanded(grammar: Grammar, symbol: int, rows: int, **axes: list[int]) -> list[str]:
    starts = np.full((rows, 1), symbol)
    return grammar.expand(starts, row_keys(1, 0, rows), {a: np.array(v) for a, v in axes.items()}).to_pylist()


def test_every_alternative_is_equally_likely_however_much_it_branches():
    grammar = Grammar({"root": "plain\n{many}", "many": "|".join(f"x{i}" for i in range(90))})
    made = expanded(grammar, grammar.symbol("root"), 4_000)
    assert made.count("plain") / 4_000 == pytest.approx(0.5, abs=0.04)


def test_a_rule_with_more_outcomes_than_are_merged_reaches_all_of_them():
    digits = "|".join("0123456789")
    grammar = Grammar({"d": digits, "root": "{d}{d}{d}{d}"})
    made = expanded(grammar, grammar.symbol("root"), 20_000)
    assert all(len(m) == 4 and m.isdigit() for m in made)
    assert len(set(made)) > 8_000


def test_choices_may_be_nested_and_empty():
    grammar = Grammar({"root": "a[b[c|]|]"})
    assert set(expanded(grammar, grammar.symbol("root"), 200)) == {"a", "ab", "abc"}


def test_a_slot_follows_the_row():
    grammar = Grammar({"root": "{it} ran"}, {"it": Slot("n", ("it", "[they|those]"))})
    made = expanded(grammar, grammar.symbol("root", capital=True), 100, n=[0, 1] * 50)
    assert set(made[::2]) == {"It ran"}
    assert set(made[1::2]) == {"They ran", "Those ran"}


def test_empty_places_are_left_out():
    grammar = Grammar({"a": "a", "b": "b"})
    a, b = grammar.symbol("a"), grammar.symbol("b")
    starts = np.array([[a, -1, b], [-1, -1, -1], [-1, b, -1]])
    assert grammar.expand(starts, row_keys(0, 0, 3), {}).to_pylist() == ["ab", "", "b"]


def test_a_rule_asked_for_later_is_known_too():
    grammar = Grammar({"a": "a", "b": "[x|y]"})
    assert expanded(grammar, grammar.symbol("a"), 1) == ["a"]
    assert expanded(grammar, grammar.symbol("b"), 1)[0] in "xy"


def test_a_name_that_no_rule_has_is_told():
    with pytest.raises(KeyError, match="'brnd'"):
        Grammar({"root": "{brnd}"}).symbol("root")


@pytest.mark.parametrize("rule", ["a [b|c", "a {b", "a ]b"])
def test_a_bracket_that_is_not_paired_is_told(rule):
    with pytest.raises(ValueError, match="rule"):
        Grammar({"root": rule, "b": "b"}).symbol("root")


@given(seed=st.integers(-(2**70), 2**70), start=st.integers(0, 10**12), rows=st.integers(0, 50))
def test_a_rows_key_does_not_depend_on_the_rows_around_it(seed, start, rows):
    assert (row_keys(seed, start, rows + 1)[1:] == row_keys(seed, start + 1, rows)).all()


def test_fractions_fill_the_unit_interval_evenly():
    u = fractions(row_keys(0, 0, 50_000), 1)
    assert np.histogram(u, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 5_000), rel=0.06)
    assert abs(np.corrcoef(u, fractions(row_keys(0, 0, 50_000), 2))[0, 1]) < 0.02
