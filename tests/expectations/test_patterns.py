import re

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.patterns import for_any_text, re2_alternatives

EVERY_CODE_POINT = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
PATTERNS = [
    r"\s",
    r"\S",
    r"^\s|\s$",
    r"[^\s]x?$",
    r"a\\[nrt]|a\\u0|b",
    r"</?[a-z](\s[^<>]*)?>",
    r"é|[à-ü]{2,}",
    r"x.y$|x",
    "  ",
    r"\\\\d",
]
texts = st.text(st.sampled_from("ax y<>b/\\nrtu0d éàü\u2028\u3000\x85\x1c\n\x00😀ſ"), max_size=12)


def re2_finds(pattern: str, values: list[str]) -> list[bool]:
    alternatives = re2_alternatives(pattern)
    assert alternatives is not None
    with duckdb.connect() as con:
        asked = " or ".join(f"regexp_matches(x, ${n})" for n in range(2, 2 + len(alternatives)))
        query = f"select {asked} from (select unnest($1::varchar[]) as x)"
        return [found for (found,) in con.execute(query, [values, *alternatives]).fetchall()]


@pytest.mark.parametrize("pattern", [r"\s", r"\S", r"^\s|\s$", "[^<>]"])
def test_every_code_point_is_matched_as_python_matches_it(pattern: str) -> None:
    assert for_any_text(pattern)
    assert re2_finds(pattern, EVERY_CODE_POINT) == [re.search(pattern, char) is not None for char in EVERY_CODE_POINT]


@settings(max_examples=100, deadline=None)
@given(pattern=st.sampled_from(PATTERNS), values=st.lists(texts, min_size=1, max_size=30))
def test_patterns_for_any_text_find_what_python_finds(pattern: str, values: list[str]) -> None:
    assert for_any_text(pattern)
    assert re2_finds(pattern, values) == [re.search(pattern, value) is not None for value in values]


@pytest.mark.parametrize("pattern", [r"\w", r"[\d]", r"\bline", "(?i)s", r"\\\w", r"\D", r"\W", r"\B"])
def test_what_re2_knows_of_ascii_alone_is_not_asked_of_other_texts(pattern: str) -> None:
    assert re2_alternatives(pattern) is not None
    assert not for_any_text(pattern)


@pytest.mark.parametrize("pattern", [r"(a)\1", r"a\Z", r"\\\Z", r"\u00e9", r"(?=a)", r"a++"])
def test_what_only_python_knows_is_left_to_it(pattern: str) -> None:
    assert re2_alternatives(pattern) is None


def test_a_backslash_before_a_letter_is_no_escape_when_it_is_escaped_itself() -> None:
    assert re2_alternatives(r"\\u0|\\Z") == (r"\\u0|\\Z",)


def test_alternatives_with_one_beginning_stay_together() -> None:
    assert re2_alternatives("<a|<b|c|<d") == ("<a|<b", "c", "<d")
