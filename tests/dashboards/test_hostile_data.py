"""Whatever data, settings and records say is shown as text: no markup, no link, no picture, nothing that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from .conftest import Show, once
from .example_projects import copied
from .hostile_project import EVIL, FOLDER, LINK, MARKER, NAME, PICTURE, RULE, SCRIPT, hostile
from .pages import PAGES, charts, go_to, has_only_text, is_inert, said, works


@pytest.fixture(scope="module")
def hostile_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project full of it; nobody changes it."""
    return once(tmp_path_factory, "hostile", hostile) / FOLDER


@pytest.mark.parametrize("page", PAGES)
def test_no_text_of_data_is_read_as_markdown_or_html(hostile_shop: Path, show: Show, page: str) -> None:
    app = show(hostile_shop, page)
    works(app)
    assert has_only_text(app, MARKER) >= 3


def test_a_helper_that_would_find_nothing_finds_what_is_planted() -> None:
    for text in EVIL[:4]:
        if "<" in text:
            with pytest.raises(AssertionError):
                is_inert(f"<div>{text}</div>")
    with pytest.raises(AssertionError):
        is_inert('<div class="x" onclick="alert(1)">x</div>')
    with pytest.raises(AssertionError):
        is_inert('<div style="background: url(http://evil.example)">x</div>')
    with pytest.raises(AssertionError):
        is_inert("<div><!-- x --></div>")

    def page() -> None:
        import streamlit as st

        st.columns(2)[0].metric("a figure", "1", help="ev1l")

    with pytest.raises(AssertionError, match="metric"):
        has_only_text(AppTest.from_function(page).run(), MARKER)


def test_the_overview_shows_names_and_problems_as_they_are_written(hostile_shop: Path, show: Show) -> None:
    text = works(show(hostile_shop))
    assert f"{PICTURE} {SCRIPT}" in text
    assert f"The model {NAME} is damaged" in text


def test_the_rows_of_the_quarantine_are_shown_as_they_are_written(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop, "data_quality")
    app.selectbox(key="rule").select("no-markup").run()
    text = works(app)
    assert "<img src=x onerror=alert('ev1l')>" in text
    assert any("<mark>onerror</mark>" in node.value for node in app.html)
    app.selectbox(key="rule").select("brand-known").run()
    assert NAME in works(app)
    assert has_only_text(app, MARKER)


@pytest.mark.parametrize("column", ["text", "brand", "title", "product", NAME, f"{PICTURE} c"])
def test_a_column_that_drifted_is_shown_whatever_it_is_called(hostile_shop: Path, show: Show, column: str) -> None:
    app = show(hostile_shop, "drift")
    app.selectbox(key="column").select(column).run()
    works(app)
    assert has_only_text(app, MARKER)


def test_evidently_s_report_is_embedded_without_an_origin(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop, "drift")
    app.toggle(key="evidently").set_value(True).run()
    works(app)
    (frame,) = app.get("iframe")
    assert frame.proto.src.startswith("data:text/html;base64,")


def test_gathered_rows_can_be_gone_through_and_filtered_by_a_rule_of_any_name(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop, "edge_cases")
    app.selectbox(key="reason").select(RULE).run()
    text = works(app)
    assert RULE in text
    for _ in range(len(EVIL)):
        app.button(key="next").click().run()
        works(app)
        assert has_only_text(app, MARKER)


def test_a_row_may_be_searched_for_with_any_text(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop, "edge_cases")
    for text in EVIL[::2]:
        app.text_input(key="search").set_value(text).run()
        works(app)


def test_a_person_may_be_called_anything(hostile_shop: Path, show: Show, tmp_path: Path) -> None:
    app = show(copied(hostile_shop, tmp_path / "copy"), "edge_cases")
    app.text_input(key="reviewer").set_value(NAME).run()
    for key in ("accept", "reject", "undo", "undo", "undo"):
        app.button(key=key).click().run()
        text = works(app)
        assert has_only_text(app, MARKER)
    assert f"there is no decision of {NAME!r}" in text


def test_words_that_a_model_says_are_words(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop, "word_scores")
    app.text_input(key="own_prompt").set_value(f"{SCRIPT} {LINK} [MASK] # :red[x]").run()
    text = works(app)
    assert f"{SCRIPT} {LINK} [MASK] # :red[x]" in text
    assert "<script>ev1l" in app.dataframe[0].value.to_string()
    assert has_only_text(app, MARKER)


def test_charts_take_texts_of_data_as_values_and_never_as_fields_or_formulas(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop)
    for page in PAGES:
        for spec in charts(go_to(app, page)):
            for field in fields(spec):
                assert MARKER not in field, (page, field)


def fields(spec: object) -> list[str]:
    """Every field, formula and expression of a specification."""
    found: list[str] = []
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name in ("field", "calculate", "expr", "test", "filter", "labelExpr", "href", "url"):
                found.append(json.dumps(value))
            found += fields(value)
    elif isinstance(spec, list):
        for one in spec:
            found += fields(one)
    return found


def test_commands_can_be_typed_as_they_stand(hostile_shop: Path, show: Show) -> None:
    app = show(hostile_shop, "training")
    assert f"--project '{hostile_shop}'" in said(app)
