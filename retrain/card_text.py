"""How does text from data stand in Markdown, where nothing of it is Markdown, HTML or a link?"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence

from expectations.addresses import display_name

_LONGEST = 300
"""Characters of one text that are shown."""
MOST = 20
"""Entries of one list, and prompts, that are shown; training.json has them all."""
_HARMLESS = re.compile(r"[A-Za-z](?:[A-Za-z0-9 ,;'%-]|: )*")
_KEPT_INVISIBLE = "\u200d"  # joins emoji


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def some(texts: Sequence[str]) -> str:
    more = f", and {len(texts) - MOST:,} more" if len(texts) > MOST else ""
    return (", ".join(cell(display_name(text)) for text in texts[:MOST]) or "none") + more


def number(value: float) -> str:
    """Four digits that count, so that what just failed a limit does not look like it; whole numbers whole."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def cell(text: str) -> str:
    """A text from data as code in a table's cell, where a bar must not end the cell."""
    return code(text).replace("|", r"\|")


def prose(text: str, otherwise: Callable[[str], str] = cell) -> str:
    """A sentence as it is, where it holds nothing that could mean anything else; otherwise as code."""
    return text if _HARMLESS.fullmatch(text) else otherwise(text)


def code(text: str) -> str:
    """A text from data as code: nothing in it is Markdown, HTML, or a link, and it stays on its line."""
    line = _line(text)
    if not line.strip():
        return "(empty)" if not line else "(blank)"
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    padding = " " if line[0] in "` " or line[-1] in "` " else ""
    code = f"{fence}{padding}{line}{padding}{fence}"
    # Text from right to left would take its neighbours along: U+2068 and U+2069 keep it by itself.
    return f"\u2068{code}\u2069" if any(unicodedata.bidirectional(c) in ("R", "AL") for c in line) else code


def quoted(text: str) -> str:
    """A text from data as a string of YAML, which JSON's are."""
    return json.dumps(_line(text), ensure_ascii=False)


def _line(text: str) -> str:
    """The text on one line, without characters that control, hide or reorder; shortened."""
    shown = "".join(_visible(character) for character in text[: _LONGEST + 1].replace("\r\n", "\n"))
    return f"{shown[:_LONGEST]}…" if len(shown) > _LONGEST else shown


def _visible(character: str) -> str:
    if character.isprintable() or character in _KEPT_INVISIBLE:
        return character
    if character in "\n\r\x85\u2028\u2029":
        return "⏎"
    return " " if character == "\t" or unicodedata.category(character) == "Zs" else "�"
