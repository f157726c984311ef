"""How is text from data shown so that it stays text: no markup, no link, and never wider than its place?

Streamlit reads Markdown in most of what it is given, and links of its own accord. So what comes from data, settings or
a model goes through here: escaped, and into `st.html`, which cleans it once more.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

MISSING = "∅"
"""Stands for a value that is missing."""
_LONGEST = 2_000
"""Characters of one value that a page shows; the whole value can be downloaded."""

_STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 2.6rem clamp(1rem, 3vw, 3rem) 4rem; }
.sm-text { overflow-wrap: anywhere; white-space: pre-wrap; unicode-bidi: plaintext; }
.sm-text mark, .sm-table mark { background: color-mix(in srgb, #E69F00 45%, transparent); color: inherit;
  border-radius: 2px; padding: 0 1px; box-decoration-break: clone; }
.sm-faint { opacity: .68; }
.sm-note { border-left: 4px solid #8C8C8C; padding: .5rem .8rem; margin: 0; background:
  color-mix(in srgb, #8C8C8C 10%, transparent); overflow-wrap: anywhere; border-radius: 3px; }
.sm-note.good { border-color: #009E73; } .sm-note.warn { border-color: #E69F00; }
.sm-note.bad { border-color: #D55E00; }
.sm-note code, .sm-text code { background: color-mix(in srgb, #8C8C8C 22%, transparent); padding: .05rem .3rem;
  border-radius: 3px; overflow-wrap: anywhere; }
.sm-scroll { overflow-x: auto; }
.sm-table { border-collapse: collapse; width: 100%; font-size: .875rem; }
.sm-table th { text-align: left; font-weight: 600; opacity: .75; white-space: nowrap; }
.sm-table th, .sm-table td { padding: .3rem .7rem .3rem 0; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, #8C8C8C 30%, transparent); }
.sm-table td { overflow-wrap: break-word; max-width: 34rem; unicode-bidi: plaintext; }
.sm-table td.num, .sm-table th.num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sm-table td.long { min-width: 14rem; }
.sm-table td:first-child { min-width: 2.2rem; }
.sm-chip { display: inline-block; border: 1px solid color-mix(in srgb, #8C8C8C 60%, transparent); border-radius: 1rem;
  padding: 0 .55rem; margin: 0 .25rem .25rem 0; font-size: .8rem; max-width: 100%; overflow-wrap: anywhere; }
.sm-verdict { font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere; }
</style>"""

Part = tuple[int, int]
"""Start and end of what is marked, in characters."""


def escaped(value: Any, *, longest: int = _LONGEST) -> str:
    """A value as HTML that shows it as it is written, cut where it is very long; ∅ where it is missing.

    >>> escaped("<script>alert(1)</script> & so on")
    '&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on'
    >>> escaped(None)
    '<span class="sm-faint">∅</span>'
    """
    if value is None:
        return f'<span class="sm-faint">{MISSING}</span>'
    return html.escape(_cut(_visible(str(value)), longest))


def marked(value: Any, parts: Sequence[Part] = (), *, whole: bool = False, longest: int = _LONGEST) -> str:
    """A value as HTML in which some parts of its text, or all of it, are marked; cut where it is very long.

    >>> marked("so <b>bold</b>", [(3, 6)])
    'so <mark>&lt;b&gt;</mark>bold&lt;/b&gt;'
    """
    if value is None or whole:
        return f"<mark>{escaped(value, longest=longest)}</mark>"
    text, pieces, last = str(value), [], 0
    for start, end in parts:
        if start >= longest:
            break
        end = min(end, longest)
        pieces += [html.escape(_visible(text[last:start])), f"<mark>{html.escape(_visible(text[start:end]))}</mark>"]
        last = end
    rest = _cut(_visible(text[last:]), max(longest - last, 1))
    return "".join(pieces) + html.escape(rest)


def style() -> None:
    """Put the classes of this file on the page, once in each run of it."""
    st.html(_STYLE)


def show(markup: str, *, kind: str = "text") -> None:
    """Put markup on the page that `escaped` and `marked` made."""
    st.html(f'<div class="sm-{kind}">{markup}</div>')


def text(value: Any, *, faint: bool = False) -> None:
    """A text on lines of its own, in whatever direction it is written."""
    body = escaped(value)
    show(f'<span class="sm-faint">{body}</span>' if faint else body)


def note(kind: str, said: Any, advice: Any = "", *, command: str = "") -> None:
    """A remark: `good`, `warn`, `bad` or `plain`; what to do stands behind it, and a command to type."""
    body = escaped(said) + (f" {escaped(advice)}" if advice else "")
    typed = f" <code>{escaped(command)}</code>" if command else ""
    st.html(f'<div class="sm-note {html.escape(kind)}">{body}{typed}</div>')


def chips(labels: Iterable[Any]) -> str:
    """Short labels side by side, as markup."""
    return "".join(f'<span class="sm-chip">{escaped(label, longest=120)}</span>' for label in labels)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> None:
    """A table whose cells are markup already; `numbers` are the columns of figures.

    It is scrolled by itself where it is wider than the page.
    """
    right = set(numbers)
    head = "".join(_cell("th", escaped(name), at in right) for at, name in enumerate(heads))
    body = "".join(f"<tr>{''.join(_cell('td', cell, at in right) for at, cell in enumerate(row))}</tr>" for row in rows)
    st.html(
        f'<div class="sm-scroll"><table class="sm-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def _cell(tag: str, markup: str, is_number: bool) -> str:
    kind = "num" if is_number else "long" if tag == "td" and len(markup) > 60 else ""
    return f'<{tag} class="{kind}">{markup}</{tag}>'


def _cut(value: str, longest: int) -> str:
    return value if len(value) <= longest else value[: longest - 1] + "…"


def _visible(value: str) -> str:
    """Control characters as signs, and half surrogates as their numbers: neither can be sent to a browser."""
    shown = "".join(chr(0x2400 + ord(c)) if ord(c) < 32 and c not in "\t\n\r" else c for c in value)
    return shown.encode("utf-8", "backslashreplace").decode()
