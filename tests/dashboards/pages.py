"""Pages without a browser: opened, read as a person reads them, and searched for data that could be more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from dashboards import inert_text

ROOT = Path(__file__).parents[2]
APP = ROOT / "dashboards" / "app.py"
PAGES = ("overview", "data_quality", "drift", "edge_cases", "training", "word_scores", "runs")
SECONDS = 60.0
"""For one run of a page: machines are slow."""

PLAIN = {
    "alt", "alt_text",  # what screen readers say
    "vega_lite_chart.spec",
    "code.code_text", "json.body",
    "selectbox.options", "selectbox.raw_value", "multiselect.options", "multiselect.raw_values",
    "text_input.default", "text_input.value", "text_input.placeholder",
    "element_hash", "id", "form_id", "url", "block_id",
}  # fmt: skip
"""Fields whose text Streamlit shows as it stands, or not at all; of every other one it may read Markdown."""
_UNSEEN = {"element_hash", "id", "form_id", "url", "block_id", "spec", "page", "page_script_hash", "icon"}
TAGS = {"div", "span", "b", "br", "mark", "code", "table", "thead", "tbody", "tr", "th", "td", "style"}
ATTRIBUTES = {"class", "style", "title", "dir", "role", "aria-label", "tabindex"}


def start() -> AppTest:
    """The app, on its first page."""
    return AppTest.from_file(APP, default_timeout=SECONDS).run()


def go_to(app: AppTest, page: str) -> AppTest:
    """The same person on another page; where there are several kinds of data, with the reviews."""
    app.switch_page(f"{page}.py")
    if page in ("data_quality", "drift"):
        app.query_params["kind"] = "reviews"
    return app.run()


def said(app: AppTest) -> str:
    """Everything that stands on the page, its HTML as text, line by line."""
    return "\n".join(_texts(app))


def _texts(app: AppTest) -> Iterator[str]:
    for place, name, text in strings(app):
        if place == "html.body":
            yield read(text).text
        elif name not in _UNSEEN:
            yield text
    for frame in app.dataframe:
        yield frame.value.to_string(max_colwidth=None)


def works(app: AppTest) -> str:
    """What the page says, once it is sure that nothing went wrong while it was made."""
    assert not app.exception, [one.value for one in app.exception]
    text = said(app)
    assert "mistake in shopmon" not in text, text
    return text


def strings(app: AppTest) -> Iterator[tuple[str, str, str]]:
    """Every text of every element and block of a page: `element.field`, the field alone, and the text."""
    for node in app:
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            for name, text in _of(proto):
                yield f"{node.type}.{name}", name, text


def _of(message: Message) -> Iterator[tuple[str, str]]:
    for described, value in message.ListFields():
        values = value if described.is_repeated else [value]
        for one in values if not isinstance(values, Message) else [values]:
            if isinstance(one, Message):
                yield from _of(one)
            elif isinstance(one, str):
                yield described.name, one


class Read(HTMLParser):
    """Markup as a browser takes it apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.others: list[str] = []
        """Comments, declarations and the like."""

    @property
    def text(self) -> str:
        """Its text alone."""
        return "".join(self.pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("br", "td", "th", "tr", "div"):
            self.pieces.append(" " if tag != "br" else "\n")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"]:
            self.pieces.append(data)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(markup: str) -> Read:
    """Take markup apart."""
    reader = Read()
    reader.feed(markup)
    reader.close()
    return reader


def is_inert(markup: str) -> None:
    """Fails where markup has more than our own few tags, or anything that loads, leads away or runs."""
    if markup.strip() == inert_text._STYLE.strip():
        return
    found = read(markup)
    assert set(found.tags) <= TAGS - {"style"}, (sorted(set(found.tags) - TAGS), markup[:300])
    assert {name for name, _ in found.attributes} <= ATTRIBUTES, (found.attributes, markup[:300])
    assert not found.others, (found.others, markup[:300])
    for name, value in found.attributes:
        if name == "style":
            assert re.fullmatch(r"[a-z-]+:\s?[\w.%()-]+;?", value or ""), value


def has_only_text(app: AppTest, marker: str) -> int:
    """Fails where data, known by a marker, may be read as Markdown or HTML; else how often it stood there."""
    seen = 0
    for place, name, text in strings(app):
        if place == "html.body":
            is_inert(text)
            seen += marker in text
        elif place in PLAIN or name in PLAIN:
            seen += marker in text
        else:
            assert marker not in text, f"{place} reads Markdown, and holds data: {text[:200]!r}"
    return seen + sum(marker in frame.value.to_string(max_colwidth=None) for frame in app.dataframe)


def charts(app: AppTest) -> list[dict[str, Any]]:
    """The specifications of the page's charts."""
    return [json.loads(node.proto.spec) for node in app.get("vega_lite_chart")]
