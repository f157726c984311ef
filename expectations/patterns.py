r"""How can DuckDB's RE2 be asked what Python's `re.search` would say?

The two agree about most of the syntax. Where they differ the pattern is rewritten: `\s` means more characters in
Python, and `$` also matches before a last line end. What cannot be rewritten is left to Python: some of it (`\w`,
`\d`, `\b`, `(?i)`) only for texts that are not ASCII. Alternatives at the top are asked one by one: each then has a
literal or an anchor by which RE2 skips most of the text, which is three times as fast as one pattern that has neither.
Those that begin with the same literal stay together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

_SPACE = r"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
"""Characters that Python's `\\s` matches, as the inside of a class."""
_PYTHON_ALONE = re.compile(r"\(\?(?!:|P<)|(?<!\\)(?:\\\\)*\\[0-9ZzuUNpPGQEAC]|\[\[:|\{,|[*+?}]\+|\[\]|\[\^\]")
_ONLY_OF_ASCII = frozenset([r"\w", r"\W", r"\d", r"\D", r"\b", r"\B"])
"""What means the same in RE2 as long as the text is ASCII."""
_TOKEN = re.compile(r"\\.|\[|\]|\(|\)|\||\$|.", re.DOTALL)
_NO_LITERAL = frozenset("[](){}^$.*+?")
_FLAG = "(?i)"


def re2_alternatives(pattern: str) -> tuple[str, ...] | None:
    r"""Patterns for RE2, of which one matches an ASCII text exactly when Python finds `pattern` in it.

    None where only Python can tell: look-around, back-references, flags other than a leading `(?i)`, `\Z`, …
    A pattern that RE2 refuses for another reason must still be tried on it. `for_any_text` says whether the same holds
    of texts that are not ASCII.

    >>> re2_alternatives(r"^ +|a$|ab")
    ('^ +', 'a\\n?\\z|ab')
    >>> re2_alternatives(r"(?<=a)b") is None
    True
    """
    flag, body = (_FLAG, pattern[len(_FLAG) :]) if pattern.startswith(_FLAG) else ("", pattern)
    if _PYTHON_ALONE.search(body) or (flag and not body.isascii()):
        return None
    try:
        return tuple(flag + part for part in _together(_alternatives(list(_rewritten(body)))))
    except _OnlyPython:
        return None


def for_any_text(pattern: str) -> bool:
    r"""Whether what `re2_alternatives` gives holds of every text, and not of ASCII alone.

    >>> for_any_text(r"\s$"), for_any_text(r"\w"), for_any_text("(?i)s")
    (True, False, False)
    """
    return not (pattern.startswith(_FLAG) or _ONLY_OF_ASCII.intersection(_TOKEN.findall(pattern)))


class _OnlyPython(Exception):
    """The pattern uses something that cannot be said to RE2."""


def _rewritten(body: str) -> Iterator[str]:
    """The pattern's pieces, with the few that mean something else in RE2 replaced."""
    in_class = False
    pieces = _TOKEN.findall(body)
    for index, piece in enumerate(pieces):
        following = pieces[index + 1] if index + 1 < len(pieces) else ""
        if piece == r"\S" and in_class:
            raise _OnlyPython
        if piece == "$" and not in_class:
            if following not in ("", ")", "|"):
                raise _OnlyPython
            yield r"\n?\z"
        elif piece == r"\s":
            yield _SPACE if in_class else f"[{_SPACE}]"
        elif piece == r"\S":
            yield f"[^{_SPACE}]"
        else:
            yield piece
        if piece == "[" and not in_class:
            in_class = True
        elif piece == "]":
            in_class = False


def _alternatives(pieces: list[str]) -> list[list[str]]:
    """The pieces, split where `|` stands outside every group and class."""
    parts: list[list[str]] = [[]]
    depth, in_class = 0, False
    for piece in pieces:
        if piece == "|" and depth == 0 and not in_class:
            parts.append([])
            continue
        parts[-1].append(piece)
        if in_class:
            in_class = piece != "]"
        elif piece == "[":
            in_class = True
        elif piece in "()":
            depth += 1 if piece == "(" else -1
    return parts


def _together(parts: list[list[str]]) -> Iterator[str]:
    """The alternatives, those with the same literal beginning as one: RE2 then looks for that once."""
    for _, same in groupby(parts, key=lambda part: part[0] if part and part[0] not in _NO_LITERAL else object()):
        yield "|".join("".join(part) for part in same)
