"""A part that is marked lies in the text, and is what the rule's own definition finds fault with."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.kinds import KINDS
from expectations.learned_norms import CutOff, CutOffKind, UsualSpelling
from expectations.offending import PARTS, Part, offending_parts
from expectations.own_rules import OWN_RULES
from expectations.results import CUT, MOST_LISTED
from expectations.row_rules import ROW_RULES
from expectations.suite import Rule, built_in, load_suite
from expectations.text_faults import MOJIBAKE, too_many_tokens

BUILT_IN = [rule for kind in KINDS for rule in load_suite(built_in(kind.name)).rules]
PATTERNS = sorted({rule.kwargs["regex"] for rule in BUILT_IN if "not_match_regex" in rule.type})
NOT_REGEX, NOT_REGEXES = "expect_column_values_to_not_match_regex", "expect_column_values_to_not_match_regex_list"
TOKENS, CUT_OFF = "expect_column_values_to_fit_in_tokens", "expect_column_values_to_not_be_cut_off"
MOJIBAKE_RULE, SPELLING = "expect_column_values_to_not_be_mojibake", "expect_column_values_to_be_spelled_as_usual"
BETWEEN, EQUAL = "expect_column_value_lengths_to_be_between", "expect_column_value_lengths_to_equal"


def marked(rule_type: str, asked: dict[str, Any], text: str) -> list[str]:
    return [text[part.start : part.end] for part in offending_parts(rule_type, asked, text)]


def rule_of(kind: str, name: str) -> Rule:
    return next(rule for rule in load_suite(built_in(kind)).rules if rule.id == name)


@pytest.mark.parametrize("rule_type", sorted({rule.type for rule in BUILT_IN} | OWN_RULES.keys() | ROW_RULES.keys()))
def test_it_is_settled_for_every_rule_whether_a_part_is_known(rule_type) -> None:
    assert rule_type in PARTS


@pytest.mark.parametrize(
    ("kind", "name", "text", "parts"),
    [
        ("reviews", "html", "I <b>love</b> it &amp; more", ["<b>", "</b>", "&amp;"]),
        ("reviews", "literal-escapes", r"one\ntwo it\'s", [r"\n", r"\'"]),
        ("reviews", "space-around", " warm ", [" ", " "]),
        ("reviews", "double-spaces", "a  b    c", ["  ", "    "]),
        ("reviews", "mojibake", "Soft and itâ€™s warm, 360è_ fit", ["â€", "0è_"]),
        ("reviews", "product-broken", "Shoe,,,\nred", [",,,\n"]),
        ("products", "slogan", "Shoes FREE shipping today", ["FREE shipping"]),
        ("products", "all-capitals", "RUNNING SHOES 42", ["RUNNING SHOES 42"]),
        ("products", "sentences-glued", "It is good.Very good.", ["od.Ve"]),
        ("queries", "query-too-long", "a" * 203, ["aaa"]),
        ("reviews", "text-missing", "any", []),
        ("reviews", "language", "Dieses Kleid ist wunderschön, ich trage es jeden Tag im Büro.", []),
        ("reviews", "text-repeated", "any text", []),
        ("reviews", "stars-unreadable", "five", []),
    ],
)
def test_a_built_in_rule_shows_what_it_means(kind, name, text, parts) -> None:
    rule = rule_of(kind, name)
    assert marked(rule.type, rule.kwargs, text) == parts


def test_a_text_that_is_too_long_is_marked_from_the_first_word_that_does_not_fit() -> None:
    assert marked(TOKENS, {"max_tokens": 5}, "one two three four, five") == ["four, five"]
    assert marked(TOKENS, {"max_tokens": 5}, "one two three") == []
    assert marked(TOKENS, {}, "word " * 511)[0].strip() == "word"
    assert marked(EQUAL, {"value": 3}, "abcde") == ["de"]
    assert marked(BETWEEN, {"max_value": 3, "strict_max": True}, "abcde") == ["cde"]
    assert marked(BETWEEN, {"min_value": 9}, "too few") == []


def test_a_text_that_was_cut_is_marked_at_its_end() -> None:
    text = "The sole came off after two weeks of walki"
    assert marked(CUT_OFF, {"learnt": {"shortest": 40, "longest": 42}}, text) == ["walki"]
    assert marked(CUT_OFF, {"length": 42}, text) == ["walki"]
    assert marked(CUT_OFF, {}, text) == ["walki"]
    assert marked(CUT_OFF, {}, f"{text}ng.") == []
    assert marked(CUT_OFF, {"length": 100}, text) == []


def test_misspelt_words_are_marked_wherever_they_stand() -> None:
    learnt = {"learnt": {"misspelt": ["sandel", "womens"]}}
    assert marked(SPELLING, learnt, "Women's SANDEL/sandels sandel.") == ["Women's", "SANDEL", "sandel"]
    assert marked(SPELLING, {}, "sandel") == []


def test_a_suite_tells_what_it_takes_to_find_the_part(ask) -> None:
    rules = """
- type: expect_column_values_to_be_spelled_as_usual
  kwargs: {column: query, mostly: 0.5}
- type: expect_column_values_to_be_in_set
  kwargs: {column: query, value_set: [%s]}
  row_condition: 'col("query").notNull()'
""" % ", ".join(f"v{n}" for n in range(60))  # noqa: UP031  (braces of YAML)
    import pyarrow as pa

    answer = ask(pa.table({"query": ["running sandal"] * 40 + ["running sandel"]}), rules)
    spelling, one_of = answer.validation.results
    assert spelling.asked == {"column": "query", "mostly": 0.5, "learnt": {"misspelt": ["sandel"]}}
    assert marked(spelling.type, spelling.asked, "running sandel") == ["sandel"]
    assert one_of.asked["value_set"] == [*(f"v{n}" for n in range(MOST_LISTED)), CUT]
    assert one_of.asked["row_condition"] == 'col("query").notNull()'
    assert json.loads(json.dumps([r.asked for r in answer.validation.results], allow_nan=False))


def test_every_argument_is_told_as_json_as_it_was_settled_for_the_batch(ask) -> None:
    import pandas as pd

    data = pd.DataFrame({"text": ["a", "b"], "date": pd.to_datetime(["2024-01-01", "2025-01-01"])})
    rules = "- type: expect_column_values_to_be_between\n  kwargs: {column: date, max_value: 2024-06-01}"
    (result,) = ask(data, rules).validation.results
    assert result.asked == {"column": "date", "max_value": "2024-06-01T00:00:00"}
    missing = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: nowhere}"
    assert ask(data, missing).only.asked == {"column": "nowhere"}


def test_a_list_that_was_cut_has_no_pattern_for_the_cut() -> None:
    asked = {"regex_list": ["b"] * MOST_LISTED + [CUT]}
    assert marked(NOT_REGEXES, asked, "abc…") == ["b"]


# --- for any text ---------------------------------------------------------------------------------------------------

pieces = st.sampled_from(
    ["sandel ", "Women's ", "İ", "ß", "<b>", "&amp;", "\\n", "  ", "Â", "â€™", "360è_", "\ufffd", "\x85", "A", "%AF",
     "ABCDEFGHIJ", "FREE shipping", '"@en', "www.shop.com", "https://", "日本", "👟🏽", "\u202e", "\0", "\ud83d", ".",
     "!”", ",,", "\n"]
)  # fmt: skip
texts = st.lists(pieces | st.text(max_size=4), max_size=12).map("".join)
numbers = st.integers(-2, 30) | st.floats(-2, 30)
ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    NOT_REGEX: st.fixed_dictionaries({"regex": st.sampled_from(PATTERNS)}),
    NOT_REGEXES: st.fixed_dictionaries({"regex_list": st.lists(st.sampled_from(PATTERNS), max_size=3)}),
    TOKENS: st.fixed_dictionaries({"max_tokens": st.integers(3, 12)}),
    CUT_OFF: st.fixed_dictionaries({"length": st.integers(1, 40)}),
    SPELLING: st.just({"learnt": {"misspelt": ["sandel", "womens", "iß"]}}),
    BETWEEN: st.fixed_dictionaries({"max_value": numbers, "strict_max": st.booleans()}),
    EQUAL: st.fixed_dictionaries({"value": st.integers(0, 30)}),
}


def keeps(rule_type: str, asked: dict[str, Any], text: str) -> bool:
    """What the rule's own definition says of a text."""
    if rule_type in (NOT_REGEX, NOT_REGEXES):
        return not any(re.search(one, text) for one in asked.get("regex_list", [asked.get("regex", "")]))
    if rule_type in (BETWEEN, EQUAL):
        limit = asked.get("max_value", asked.get("value"))
        return len(text) < limit if asked.get("strict_max") else len(text) <= limit
    return {
        MOJIBAKE_RULE: lambda: MOJIBAKE.is_clean(text),
        TOKENS: lambda: too_many_tokens(asked["max_tokens"]).is_clean(text),
        CUT_OFF: lambda: CutOffKind(asked["length"]).learn({}).holds(text),
        SPELLING: lambda: UsualSpelling(dict.fromkeys(asked["learnt"]["misspelt"], "")).holds(text),
    }[rule_type]()


@pytest.mark.parametrize("rule_type", sorted(PARTS))
@settings(max_examples=60, deadline=None)
@given(data=st.data(), text=texts)
def test_parts_lie_apart_in_the_text_and_only_a_faulty_text_has_any(rule_type, data, text) -> None:
    asked = data.draw(ARGUMENTS.get(rule_type, st.just({})))
    parts = offending_parts(rule_type, asked, text)
    assert all(0 <= part.start < part.end <= len(text) for part in parts)
    assert all(one.end < next_one.start for one, next_one in pairwise(parts))
    if parts:
        assert not keeps(rule_type, asked, text)
    elif rule_type in (NOT_REGEX, MOJIBAKE_RULE, TOKENS, SPELLING) and text:
        assert keeps(rule_type, asked, text)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_every_match_that_python_finds_is_marked(pattern, text) -> None:
    covered = {n for part in offending_parts(NOT_REGEX, {"regex": pattern}, text) for n in range(part.start, part.end)}
    assert covered == {n for match in re.finditer(pattern, text) for n in range(*match.span())}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
arguments = ["regex", "regex_list", "max_tokens", "length", "learnt", "max_value", "value", "strict_max"]


@pytest.mark.parametrize("rule_type", [*sorted(PARTS), "expect_what_nobody_knows"])
@settings(max_examples=40, deadline=None)
@given(
    asked=st.dictionaries(st.sampled_from(arguments), anything | st.just({"misspelt": 3, "shortest": 0})),
    value=anything | texts,
)
def test_no_value_and_no_argument_raises(rule_type, asked, value) -> None:
    parts = offending_parts(rule_type, asked, value)
    assert isinstance(parts, tuple)
    assert isinstance(value, str) or parts == ()


HARD = ["A" * 9_999 + "a", "É" * 9_999 + "a", "<a " * 3_333, "<a" + " x" * 4_999, "aaaA" + "b" * 9_996, " a-a" * 2_500,
        "sandal <b>x</b> itâ€™s " * 430, "%AA" + "x" * 9_997]  # fmt: skip


@pytest.mark.parametrize("text", HARD, ids=lambda text: text[:8])
def test_a_text_of_ten_thousand_characters_takes_no_time_whatever_it_holds(text) -> None:
    for rule in BUILT_IN:
        offending_parts(rule.type, rule.kwargs, text)
        began = time.process_time()
        offending_parts(rule.type, rule.kwargs, text)
        assert time.process_time() - began < 0.05, rule.id  # 5 ms, on a machine that does something else as well


def test_parts_are_ordered_by_where_they_begin() -> None:
    assert sorted([Part(5, 6), Part(1, 2)]) == [Part(1, 2), Part(5, 6)]
    assert CutOff(1, 2).facts() == {"shortest": 1, "longest": 2}
