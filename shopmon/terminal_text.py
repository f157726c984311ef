"""How is text from data shown on a terminal: inert, on one line, within its columns?"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from expectations.results import Example
from shopmon.outcome import plain, without_password

_KEEPS_INVISIBLE = "\u200d\ufe0f"  # they join emoji


def inert(text: str) -> str:
    """One line of text that a terminal only shows, and never obeys.

    Line breaks become ⏎ and tabs ⇥; control characters get their pictures (U+2400 and on); characters that reorder or
    hide text, and halves of surrogate pairs, become �.

    >>> inert("fine\\r\\n\\x1b[31mred")
    'fine⏎␛[31mred'
    """
    text = without_password(text).replace("\r\n", "\n")
    return "".join(c if c.isprintable() else _picture(c) for c in text)


def _picture(character: str) -> str:
    if character in "\n\u2028\u2029\x85":
        return "⏎"
    if character == "\t":
        return "⇥"
    if character < " ":
        return chr(0x2400 + ord(character))
    if character in _KEEPS_INVISIBLE:
        return character
    return " " if unicodedata.category(character) == "Zs" else "�"


def shortened(text: str, columns: int) -> str:
    """The beginning of a text, in at most that many columns of a terminal.

    >>> shortened("a very long review", 10)
    'a very lo…'
    """
    if cell_len(text) <= columns:
        return text
    kept = text[: max(columns - 1, 0)]
    while cell_len(kept) > max(columns - 1, 0):  # wide characters take two columns
        kept = kept[:-1]
    return f"{kept}…"


def shortened_path(path: str, columns: int) -> str:
    """The end of a path, which says more than its beginning, in at most that many columns (never fewer than 12).

    >>> shortened_path("/very/long/way/to/the/new.parquet", 20)
    '…/to/the/new.parquet'
    """
    columns = max(columns, 12)
    if cell_len(path) <= columns:
        return path
    kept = path[-(columns - 1) :]
    while cell_len(kept) > columns - 1:
        kept = kept[1:]
    return f"…{kept}"


def example_text(example: Example, *, name_file: bool, columns: int) -> str:
    """Where a failing row stands and what it says, on one line.

    >>> example_text(Example("new.csv", 92, "bad\\ntext"), name_file=False, columns=40)
    'row 92: "bad⏎text"'
    """
    file = f"{shortened_path(inert(Path(example.file).name), 24)} " if name_file else ""
    return shortened(f"{file}row {example.row:,}: {value_text(example.value)}", columns)


def value_text(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, str):
        return f'"{inert(value[:2000])}"'
    if isinstance(value, Mapping):
        return ", ".join(f"{inert(str(key))} {value_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(value_text(item) for item in value)
    return inert(str(plain(value)))


def padded(texts: Sequence[str], *, right: bool = False) -> list[str]:
    """Texts filled with blanks to the width of the widest, in columns of a terminal."""
    widest = max(map(cell_len, texts), default=0)
    blanks = [" " * (widest - cell_len(text)) for text in texts]
    return [blank + text if right else text + blank for text, blank in zip(texts, blanks, strict=True)]


def rows_text(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def percent(part: float, whole: float) -> str:
    """A share for reading: what is there is never 0 %, and what is not all is never 100 %.

    >>> [percent(n, 100_000) for n in (0, 1, 4_400, 99_999)]
    ['0 %', '<0.1 %', '4.4 %', '>99.9 %']
    """
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"
