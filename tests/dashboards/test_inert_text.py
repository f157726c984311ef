"""Every text stays the text it was, and brings no markup with it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboards import inert_text
from dashboards.inert_text import chips, escaped, marked

from .pages import TAGS, is_inert, read

TEXTS = st.text(st.characters(exclude_categories=()), max_size=300)
"""Half surrogate pairs and control characters among them."""
HOSTILE = (
    "<script>alert(1)</script>",
    "</div><img src=x onerror=alert(1)>",
    "<!-- --><![CDATA[ ]]><?php ?><!DOCTYPE x>",
    "&lt;b&gt; &#60;b&#62; &amp;lt;",
    '" onmouseover="alert(1)',
    "' style='x",
    "[x](javascript:alert(1)) ![i](http://evil.example/x.png) :red[x] $x$ `x` # x",
    "\u202etxt \x00 \x1b[31m \ud83d \t\r\n",
    "👩‍👩‍👧‍👦 עברית العربية",
)


def plain(text: str) -> str:
    """The text without control characters, the signs that stand for them, and half surrogate pairs."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u2400-\u241f\ud800-\udfff]|\\ud[89a-f][0-9a-f]{2}", "", text)


def hostile(test: Any) -> Any:
    for text in HOSTILE:
        test = example(text)(test)
    return test


@given(TEXTS)
@hostile
def test_a_text_that_is_escaped_reads_as_it_was_written(text: str) -> None:
    markup = escaped(text)
    found = read(f"<span>{markup}</span>")
    assert plain(found.text) == plain(text)
    assert found.tags == ["span"]
    assert (found.attributes, found.others) == ([], [])
    markup.encode()  # as it is sent to the browser


@given(TEXTS, st.lists(st.integers(0, 300), max_size=8))
def test_a_text_of_which_parts_are_marked_reads_as_it_was_written(text: str, places: list[int]) -> None:
    ends = sorted(min(place, len(text)) for place in places)
    parts = list(zip(ends[::2], ends[1::2], strict=False))
    found = read(f"<span>{marked(text, parts)}</span>")
    assert plain(found.text) == plain(text)
    assert found.tags == ["span", *["mark"] * len(parts)]
    assert (found.attributes, found.others) == ([], [])


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("parts", [[], [(0, 3)], [(2, 9), (9, 11)], [(0, 300)]])
def test_whichever_part_of_a_hostile_text_is_marked_it_stays_text(text: str, parts: list[tuple[int, int]]) -> None:
    parts = [(start, min(end, len(text))) for start, end in parts]
    is_inert(f"<div>{marked(text, parts)}</div>")
    assert plain(read(marked(text, parts)).text) == plain(text)


@given(st.text(min_size=30, max_size=300), st.integers(2, 50), st.lists(st.integers(0, 300), max_size=6))
def test_nothing_is_longer_than_its_place(text: str, longest: int, places: list[int]) -> None:
    text = plain(text)
    assert len(read(escaped(text, longest=longest)).text) <= longest
    ends = sorted(min(place, len(text)) for place in places)
    parts = list(zip(ends[::2], ends[1::2], strict=False))
    assert len(read(marked(text, parts, longest=longest)).text) <= longest + 1


def test_what_was_cut_says_so() -> None:
    assert escaped("x" * 5_000, longest=10) == "xxxxxxxxx…"
    assert marked("x" * 5_000, [(0, 5_000)], longest=10).count("x") <= 10
    assert "…" in marked("x" * 5_000, [(0, 5_000)], longest=10)


def test_what_is_missing_is_not_what_is_empty() -> None:
    assert read(escaped(None)).text == inert_text.MISSING
    assert escaped("") == ""
    assert marked(None) == f"<mark>{escaped(None)}</mark>"
    assert escaped(float("nan")) == "nan"


@given(st.lists(TEXTS, max_size=4))
def test_chips_stand_one_for_each_label(labels: list[str]) -> None:
    found = read(chips(labels))
    assert found.tags == ["span"] * len(labels)
    is_inert(chips(labels))


@given(TEXTS, TEXTS, TEXTS)
@example(*HOSTILE[:3])
@example(*HOSTILE[3:6])
def test_whatever_a_page_puts_there_is_our_own_markup(one: str, other: str, third: str) -> None:
    shown: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inert_text.st, "html", shown.append)
        inert_text.text(one)
        inert_text.text(one, faint=True)
        inert_text.note("bad", one, other, command=third)
        inert_text.table([one, other], [[escaped(one), marked(other, whole=True)]], numbers=[1])
        inert_text.show(escaped(third))
    for markup in shown:
        is_inert(markup)
        markup.encode()
    assert plain(one) in plain(read(shown[2]).text)


def test_no_rule_of_the_page_s_own_style_leads_anywhere() -> None:
    shown: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inert_text.st, "html", shown.append)
        inert_text.style()
    assert not re.search(r"url\(|@import|expression|https?:", shown[0])
    assert set(read(shown[0]).tags) <= TAGS
