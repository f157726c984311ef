"""Which part of a value breaks a rule? So that a person who reads a long text sees at once what is meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from expectations.learned_norms import CutOff, CutOffKind, places_of_words
from expectations.patterns import for_any_text, re2_alternatives
from expectations.results import CUT, MOST_LISTED
from expectations.text_faults import broken_encoding, first_beyond

Spans = Iterable[tuple[int, int]]
"""Starts and ends, in characters; they may overlap, in any order."""

_DEFAULT_TOKENS = 512


@dataclass(frozen=True, order=True)
class Part:
    """A part of a text, in characters; it holds one at least."""

    start: int
    end: int
    """The place behind its last character."""


def offending_parts(rule_type: str, asked: Mapping[str, Any], value: Any) -> tuple[Part, ...]:
    """The parts of a value by which it breaks a rule, in their order, apart from each other.

    `asked` is what the rule asked, as `ExpectationResult.asked` has it. Nothing is found where a value breaks the rule
    as a whole (it is missing, in another language, of no known format), where it keeps it, and where it is no text.
    Takes any value and any arguments, and never raises.

    >>> offending_parts("expect_column_values_to_not_match_regex", {"regex": "<[a-z]+>"}, "so <b>warm")
    (Part(start=3, end=6),)
    >>> offending_parts("expect_column_values_to_not_be_null", {}, None)
    ()
    """
    find = PARTS.get(rule_type)
    if find is None or not isinstance(value, str) or not value:
        return ()
    return tuple(_apart(find(asked, value)))


def _apart(spans: Spans) -> Iterator[Part]:
    """Parts that overlap or touch become one."""
    start = end = 0
    for next_start, next_end in sorted(span for span in spans if span[0] < span[1]):
        if next_start > end and start < end:
            yield Part(start, end)
        if next_start > end or start == end:
            start, end = next_start, next_end
        end = max(end, next_end)
    if start < end:
        yield Part(start, end)


# --- what a rule is about, in a text --------------------------------------------------------------------------------


def _whole(asked: Mapping[str, Any], text: str) -> Spans:
    """It is the value that is wrong, not a part of it."""
    return ()


def _matches(asked: Mapping[str, Any], text: str) -> Spans:
    written = asked.get("regex_list") if "regex_list" in asked else [asked.get("regex")]
    patterns = written if isinstance(written, list) else []
    cut = len(patterns) == MOST_LISTED + 1 and patterns[-1] == CUT
    return (span for pattern in (patterns[:-1] if cut else patterns) for span in _matches_of(pattern, text))


def _matches_of(pattern: Any, text: str) -> Iterator[tuple[int, int]]:
    """Every match, as Python finds it. Python may take hours to find no more; RE2, which is asked before, never does.

    It is asked before the first match, the second, the fourth …: to ask takes longer than most patterns do.
    """
    compiled = _compiled(pattern) if isinstance(pattern, str) else None
    if compiled is None:
        return
    place = 0
    for number in count(1):
        is_power_of_two = number & (number - 1) == 0
        if is_power_of_two and not _may_match(compiled.pattern, text, place):
            return
        if (found := compiled.search(text, place)) is None:
            return
        yield found.span()
        place = found.end() + (found.start() == found.end())


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None


def _may_match(pattern: str, text: str, place: int) -> bool:
    """Whether the pattern may match from this place on; True where only Python can tell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    alternatives = re2_alternatives(pattern) if text.isascii() or for_any_text(pattern) else None
    if alternatives is None or place > len(text):
        return place <= len(text)
    rest = text[max(place - 1, 0) :]  # with what stands before, by which `\b` is decided
    try:
        return any(pc.match_substring_regex(pa.scalar(rest), pattern=one).as_py() for one in alternatives)
    except (pa.ArrowException, UnicodeEncodeError):
        return True


def _encoding(asked: Mapping[str, Any], text: str) -> Spans:
    return broken_encoding(text)


def _beyond_the_tokens(asked: Mapping[str, Any], text: str) -> Spans:
    start = first_beyond(text, _whole_number(asked, "max_tokens") or _DEFAULT_TOKENS)
    return () if start is None else [(start, len(text))]


def _beyond_the_length(asked: Mapping[str, Any], text: str) -> Spans:
    """What is too much; of a text that is too short, nothing is."""
    limit = asked.get("max_value")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= len(text):
        return ()
    most = int(limit)
    strictly = bool(asked.get("strict_max")) and most == limit
    return [(max(most - strictly, 0), len(text))]


def _beyond_the_one_length(asked: Mapping[str, Any], text: str) -> Spans:
    return _beyond_the_length({"max_value": asked.get("value")}, text)


def _end(asked: Mapping[str, Any], text: str) -> Spans:
    """The last word of a text that was cut: behind it, something is missing."""
    norm = _cut(asked, text)
    if norm is None or norm.holds(text):
        return ()
    words = text.rsplit(maxsplit=1)
    return [(text.rindex(words[-1]), len(text))] if words else ()


def _cut(asked: Mapping[str, Any], text: str) -> CutOff | None:
    learnt = asked.get("learnt")
    if isinstance(learnt, Mapping):
        shortest, longest = _whole_number(learnt, "shortest"), _whole_number(learnt, "longest")
        return CutOff(shortest, longest) if shortest and longest else None
    length = _whole_number(asked, "length")
    known = CutOffKind(length).learn({}) if length else CutOff(len(text), len(text))
    return known if isinstance(known, CutOff) else None


def _misspelt(asked: Mapping[str, Any], text: str) -> Spans:
    learnt = asked.get("learnt")
    words = learnt.get("misspelt") if isinstance(learnt, Mapping) else None
    return places_of_words(text, frozenset(map(str, words))) if isinstance(words, list | tuple) else ()


def _whole_number(asked: Mapping[str, Any], key: str) -> int | None:
    """An argument that is a positive whole number; None for any other."""
    given = asked.get(key)
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else None


PARTS: dict[str, Callable[[Mapping[str, Any], str], Spans]] = {
    # HTML, literal escapes, spaces, slogans, capitals …: the suites ask for them by pattern.
    "expect_column_values_to_not_match_regex": _matches,
    "expect_column_values_to_not_match_regex_list": _matches,
    "expect_column_values_to_not_be_mojibake": _encoding,
    "expect_column_values_to_fit_in_tokens": _beyond_the_tokens,
    "expect_column_values_to_not_be_cut_off": _end,
    "expect_column_values_to_be_spelled_as_usual": _misspelt,
    "expect_column_value_lengths_to_be_between": _beyond_the_length,
    "expect_column_value_lengths_to_equal": _beyond_the_one_length,
    # Nothing in a text says why it does not match.
    "expect_column_values_to_match_regex": _whole,
    "expect_column_values_to_match_regex_list": _whole,
    "expect_column_values_to_be_in_language": _whole,
    "expect_column_values_to_share_a_date_format": _whole,
    "expect_column_values_to_not_be_after": _whole,
    "expect_column_values_to_not_be_null": _whole,
    "expect_column_values_to_be_null": _whole,
    "expect_column_values_to_be_between": _whole,
    "expect_column_values_to_be_in_set": _whole,
    "expect_column_values_to_not_be_in_set": _whole,
    # The value is wrong because of others: in the row, in other rows.
    "expect_column_values_to_not_repeat": _whole,
    "expect_column_values_to_be_unique": _whole,
    "expect_compound_columns_to_be_unique": _whole,
    "expect_records_to_not_repeat": _whole,
    "expect_select_column_values_to_be_unique_within_record": _whole,
    "expect_last_column_to_be_determined_by_the_others": _whole,
    "expect_column_pair_values_a_to_be_greater_than_b": _whole,
    "expect_column_pair_values_to_be_equal": _whole,
    # It is the column or the table that fails.
    "expect_categories_to_be_spelled_one_way": _whole,
    "expect_column_dates_to_be_unambiguous": _whole,
    "expect_column_proportion_of_non_null_values_to_be_between": _whole,
}
"""Type of a rule → what finds the parts. A type that is not here is of no single rows, or of Great Expectations' own
engine, and no part is known."""
