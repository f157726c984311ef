"""What the pages show of a real project, and what they do when a person chooses something."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboards import batch_choice, runs
from dashboards.shop import PROJECT_VARIABLE, open_shop
from expectations.failing_rows import failing_rows, rules_of
from monitor import history
from monitor.runs import RunStore
from shopmon.project import Project

from .conftest import Show
from .example_projects import models_of, runs_of
from .pages import PAGES, charts, go_to, has_only_text, is_inert, works


def options(app: AppTest, key: str) -> list[str]:
    return list(app.selectbox(key=key).options)


def chart_of(app: AppTest, alt: str) -> dict[str, Any]:
    """The specification of the chart that screen readers call so."""
    return next(json.loads(node.proto.spec) for node in app.get("vega_lite_chart") if alt in str(node.proto))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_real_content_and_nothing_but_our_own_markup(demo: Path, show: Show, page: str) -> None:
    app = show(demo, page)
    works(app)
    assert app.subheader
    assert charts(app) or page == "runs"
    for node in app.html:
        is_inert(node.value)
    has_only_text(app, str(demo))  # the project's folder is a text like any other


def test_every_page_is_in_the_navigation_and_says_what_it_answers(demo: Path, show: Show) -> None:
    app = show(demo)
    titles = []
    for page in PAGES:
        go_to(app, page)
        titles.append(app.title[0].value)
        assert app.caption[0].value.endswith("?")
    assert titles == ["Overview", "Data quality", "Drift", "Edge cases", "Training", "Word scores", "Runs"]
    assert "Project demo" in works(app)


# --- overview ---------------------------------------------------------------------------------------------------------


def test_the_overview_says_how_the_newest_batch_is_and_what_needs_a_person(demo: Path, show: Show) -> None:
    app = show(demo)
    text = works(app)
    assert "✗ failed: relevance.parquet" in text
    assert re.search(r"reviews: new\.csv failed; critical rules broken: \d+, rows in quarantine: \d+", text)
    assert re.search(r"reviews: \d+ of \d+ columns drifted in new\.csv", text)
    assert re.search(r"[\d,]+ of [\d,]+ gathered rows wait for a decision", text)
    assert {link.label for link in app.get("page_link")} >= {"See the rows", "What changed", "Review them"}


def test_the_overview_shows_trends_and_the_champion_with_its_gate(demo: Path, show: Show) -> None:
    app = show(demo)
    assert len(charts(app)) == 4
    text = works(app)
    assert f"v3 ★  {models_of(demo)[-1].name}" in text
    assert "A person promoted it although the gate said no." in text
    assert "unwanted words on the gate's prompts" in text


# --- data quality -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quality(demo: Path, show: Show) -> AppTest:
    return show(demo, "data_quality")


def quarantine_of(demo: Path, app: AppTest) -> Path:
    return demo / ".shopmon" / "runs" / str(app.selectbox(key="batch").value) / "quarantine.parquet"


def test_the_most_severe_broken_rule_comes_first_and_its_rows_are_shown(demo: Path, quality: AppTest) -> None:
    works(quality)
    counted = rules_of(quarantine_of(demo, quality))
    rule = str(quality.selectbox(key="rule").value)
    assert quality.toggle(key="only_rule").label.startswith(
        f"Only rows that break this rule ({counted.get(rule, 0)} of "
    )


def test_a_batch_that_keeps_a_rule_says_so_and_shows_no_row(demo: Path, quality: AppTest) -> None:
    run = str(quality.selectbox(key="batch").value)
    result = json.loads((demo / ".shopmon" / "runs" / run / "result.json").read_text(encoding="utf-8"))
    kept = next(one["id"] for one in result["expectations"] if one["outcome"] == "passed" and not one["unexpected"])
    assert any(
        one["id"] == quality.selectbox(key="rule").value and not one["success"] for one in result["expectations"]
    )
    quality.selectbox(key="rule").select(kept).run()
    assert "No row of this batch breaks this rule" in works(quality)


def test_a_rule_that_is_chosen_shows_just_its_rows_with_the_part_that_breaks_it(demo: Path, quality: AppTest) -> None:
    new = next(folder.name for folder in runs_of(demo, "quarantine.parquet"))
    quality.selectbox(key="batch").select(new).run()
    quality.selectbox(key="rule").select("html").run()
    works(quality)
    found = failing_rows(quarantine_of(demo, quality), rule="html", first=0, most=25)
    assert found.total
    table = next(node.value for node in quality.html if "breaks" in node.value and "<mark>" in node.value)
    assert all(f'<td class="num">{row.row:,}</td>' in table for row in found.rows)
    assert "<mark>&lt;" in table


def test_every_rule_that_was_broken_can_be_chosen(demo: Path, quality: AppTest) -> None:
    broken = {rule for run in runs_of(demo, "quarantine.parquet") for rule in rules_of(run / "quarantine.parquet")}
    for rule in [rule for rule in options(quality, "rule") if rule in broken][:12]:
        quality.selectbox(key="rule").select(rule).run()
        works(quality)


def test_every_batch_can_be_chosen_and_the_rule_stays(demo: Path, quality: AppTest) -> None:
    rule = quality.selectbox(key="rule").value
    store = RunStore.open(Project.read(demo).store_url)
    for batch in history.batches(store, kind="reviews"):
        quality.selectbox(key="batch").select(batch.run_id).run()
        text = works(quality)
        assert quality.selectbox(key="rule").value == rule
        assert ("No row of this batch is in quarantine" in text) == (batch.quarantined == 0)
    store.close()


def test_rows_of_the_quarantine_can_be_searched_and_gone_through(demo: Path, quality: AppTest) -> None:
    quality.toggle(key="only_rule").set_value(False).run()
    total = failing_rows(quarantine_of(demo, quality), first=0, most=1).total
    assert total > 25
    assert f"({total:,} rows)" in works(quality)
    quality.number_input(key="quarantine_page").set_value(2).run()
    rows = failing_rows(quarantine_of(demo, quality), first=25, most=25).rows
    assert f'<td class="num">{rows[0].row:,}</td>' in "".join(node.value for node in quality.html)
    quality.text_input(key="contains").set_value("surely nowhere %").run()
    assert "No row matches" in works(quality)


def test_rules_that_always_passed_are_shown_when_they_are_asked_for(quality: AppTest) -> None:
    few = quality.get("vega_lite_chart")[0].proto.spec
    quality.toggle(key="every_rule").set_value(True).run()
    works(quality)
    assert len(quality.get("vega_lite_chart")[0].proto.spec) > len(few)


def test_the_quarantine_can_be_downloaded(quality: AppTest) -> None:
    assert [button.label for button in quality.download_button] == ["Download the whole quarantine (Parquet)"]


def click(app: AppTest, key: str, row: str, batch: str) -> AppTest:
    """Click on a cell of a heat map."""
    app.session_state[key] = {"selection": {"cell": [{"row": row, "batch": batch}]}}
    return app.run()


def batches_of(app: AppTest, demo: Path) -> dict[str, str]:
    """Run → name of its batch on the axis, of the reviews."""
    with RunStore.open(Project.read(demo).store_url) as store:
        return batch_choice.labels(history.batches(store, kind="reviews"))


def test_a_click_on_a_cell_opens_that_rule_in_that_batch(demo: Path, quality: AppTest) -> None:
    run_id, label = list(batches_of(quality, demo).items())[1]
    click(quality, "rules_map", "html", label)
    works(quality)
    assert (quality.selectbox(key="rule").value, quality.selectbox(key="batch").value) == ("html", run_id)
    quality.selectbox(key="rule").select("language").run()
    assert quality.selectbox(key="rule").value == "language"  # the cell is still chosen, and was seen


def test_a_click_on_a_map_that_is_out_of_date_changes_nothing(quality: AppTest) -> None:
    before = quality.selectbox(key="rule").value
    click(quality, "rules_map", "html", "01-01 00:00")
    works(quality)
    assert quality.selectbox(key="rule").value == before


# --- drift ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def drift(demo: Path, show: Show) -> AppTest:
    app = show(demo, "drift")
    (new,) = [run.name for run in runs_of(demo, "quarantine.parquet")][:1]
    app.selectbox(key="batch").select(new).run()
    return app


def test_the_column_that_drifted_comes_with_its_effect_floor_and_p(drift: AppTest) -> None:
    drift.selectbox(key="column").select("price").run()
    text = works(drift)
    assert re.search(r"drifted: .*effect|drifted.*floor 0\.05; p [<\d]", text, re.DOTALL)
    assert chart_of(drift, "Histogram of price")["encoding"]["x2"] == {"field": "high"}


def test_texts_that_drifted_come_with_their_words(drift: AppTest) -> None:
    drift.selectbox(key="column").select("text").run()
    works(drift)
    assert chart_of(drift, "Words by the share of texts that hold them")


def test_every_column_can_be_chosen(drift: AppTest) -> None:
    for column in options(drift, "column"):
        drift.selectbox(key="column").select(column).run()
        works(drift)


def test_every_figure_of_a_comparison_stands_in_a_table(demo: Path, drift: AppTest) -> None:
    with RunStore.open(Project.read(demo).store_url) as store:
        section = store.get(str(drift.selectbox(key="batch").value)).document["drift"]
    assert len(drift.dataframe[0].value) == len(section["columns"])
    assert set(drift.dataframe[0].value["column"]) == {one["column"] for one in section["columns"]}


def test_a_click_on_a_cell_opens_that_column_in_that_batch(demo: Path, drift: AppTest) -> None:
    run_id, label = next(iter(batches_of(drift, demo).items()))
    click(drift, "columns_map", "stars", label)
    works(drift)
    assert (drift.selectbox(key="column").value, drift.selectbox(key="batch").value) == ("stars", run_id)
    click(drift, "columns_map", "price", "01-01 00:00")
    works(drift)
    assert drift.selectbox(key="column").value == "stars"


def test_evidently_s_report_is_embedded_only_when_it_is_asked_for(drift: AppTest) -> None:
    assert not drift.get("iframe")
    drift.toggle(key="evidently").set_value(True).run()
    works(drift)
    assert drift.get("iframe")[0].proto.src.startswith("data:text/html;base64,")


def test_a_page_offers_just_the_kinds_that_it_can_show(demo: Path, show: Show) -> None:
    app = show(demo, "data_quality")
    offered = [group.options for group in app.segmented_control if group.key == "kind"]
    assert [set(options) for options in offered] == [{"reviews", "products", "queries", "relevance"}]
    app.segmented_control(key="kind").set_value("queries").run()
    assert "queries.parquet" in works(app)
    assert not [group for group in go_to(app, "drift").segmented_control if group.key == "kind"]  # reviews alone


# --- training ---------------------------------------------------------------------------------------------------------


def test_models_stand_side_by_side_with_curves_measures_gate_and_rows(demo: Path, show: Show) -> None:
    app = show(demo, "training")
    text = works(app)
    assert "the project's own text" in json.dumps(charts(app))
    assert re.search(r"perplexity, general text\s+[\d,.]+ → [\d,.]+", text)
    assert "It is champion: a person overruled the gate." in text
    assert "from model to data" in text.lower()
    assert [node.value for node in app.code][-1].startswith(f"shopmon models lineage {models_of(demo)[-1].name} --json")


def test_another_figure_other_words_and_another_model_can_be_chosen(demo: Path, show: Show) -> None:
    app = show(demo, "training")
    app.segmented_control(key="figure").set_value("loss").run()
    assert "loss (nats per masked token)" in works(app)
    app.segmented_control(key="words").set_value("wanted").run()
    assert "probability of wanted words" in works(app)
    app.selectbox(key="model").select(models_of(demo)[1].name).run()
    assert "gate kept back" in works(app)
    app.multiselect(key="models").set_value([models_of(demo)[0].name]).run()
    assert "gate passed" in works(app)
    app.multiselect(key="models").set_value([]).run()
    works(app)


# --- word scores ------------------------------------------------------------------------------------------------------


@pytest.fixture
def words(demo: Path, show: Show) -> AppTest:
    return show(demo, "word_scores")


def test_base_and_models_stand_side_by_side(words: AppTest) -> None:
    text = works(words)
    assert "[MASK]" in text
    assert all(name in text for name in ("v1", "v2", "v3 ★"))
    assert [box.label for box in words.expander if "words" in box.label]
    assert len(charts(words)) >= 4


def test_a_sentence_that_is_typed_is_asked(words: AppTest) -> None:
    words.text_input(key="own_prompt").set_value("my nike hoodie is [MASK] !").run()
    assert "my nike hoodie is [MASK] !" in works(words)
    assert "Its gap was put at the end" not in works(words)


def test_a_sentence_without_a_gap_gets_one_at_its_end(words: AppTest) -> None:
    words.text_input(key="own_prompt").set_value("my nike hoodie is").run()
    text = works(words)
    assert "Its gap was put at the end" in text
    assert "my nike hoodie is [MASK]" in text


def test_a_sentence_with_two_gaps_is_refused_in_words(words: AppTest) -> None:
    words.text_input(key="own_prompt").set_value("[MASK] is [MASK]").run()
    text = works(words)
    assert re.search(r"one gap|\[MASK\] exactly once|2 ", text), text


def test_a_sentence_that_is_too_long_is_refused_in_words(words: AppTest) -> None:
    words.text_input(key="own_prompt").set_value("very " * 200 + "[MASK]").run()
    assert "the model reads 64 at most" in works(words)


def test_another_sentence_of_the_gate_can_be_chosen(words: AppTest) -> None:
    for prompt in options(words, "prompt"):
        words.selectbox(key="prompt").select(prompt).run()
        assert prompt in works(words)


def test_without_a_model_nothing_is_asked(words: AppTest) -> None:
    words.multiselect(key="sides").set_value([]).run()
    assert "Choose a sentence and at least one model" in works(words)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_with_what_became_of_them_and_the_newest_is_open(demo: Path, show: Show) -> None:
    app = show(demo, "runs")
    text = works(app)
    assert len(app.dataframe[0].value) == 9
    assert "Runs 1 to 9 of 9" in text
    assert json.loads(app.json[0].value)["model_id"] == models_of(demo)[-1].name
    assert [button.label for button in app.download_button] == ["Download the JSON"]


def test_runs_are_filtered(demo: Path, show: Show) -> None:
    app = show(demo, "runs")
    app.selectbox(key="command").select("retrain").run()
    works(app)
    assert len(app.dataframe[0].value) == 3
    app.selectbox(key="status").select("passed").run()
    assert set(app.dataframe[0].value["ended"]) == {"✓ passed"}
    app.selectbox(key="status").select("error").run()
    assert "No run matches" in works(app)
    app.selectbox(key="status").select(None).run()
    app.selectbox(key="command").select(None).run()
    app.text_input(key="run_search").set_value("NEW.csv").run()
    works(app)
    assert list(app.dataframe[0].value["what"]) == ["new.csv"]


def test_many_runs_are_gone_through_page_by_page(own: Path, show: Show) -> None:
    with RunStore.open(Project.read(own).store_url) as store:
        one = store.get(store.list(limit=1)[0].run_id)
        for number in range(112):
            earlier = one.started_at - timedelta(days=1, minutes=number)
            store.add(replace(one, run_id=f"many-{number}", started_at=earlier))
    app = show(own, "runs")
    assert "Runs 1 to 50 of 121" in works(app)
    app.number_input(key="run_page").set_value(3).run()
    assert "Runs 101 to 121 of 121" in works(app)
    app.text_input(key="run_search").set_value("many-").run()
    assert "of 112" in works(app)
    app.text_input(key="run_search").set_value("many-7").run()
    assert "Runs 1 to 11 of 11" in works(app)


def tick(app: AppTest, *places: int) -> AppTest:
    """Tick runs of the list."""
    app.session_state[str(app.dataframe[0].key)] = {"selection": {"rows": list(places), "columns": [], "cells": []}}
    return app.run()


def test_a_run_that_is_ticked_is_opened(demo: Path, show: Show) -> None:
    app = tick(show(demo, "runs"), 5)
    works(app)
    assert json.loads(app.json[0].value)["run_id"] == app.dataframe[0].value["run"][5]


def test_two_runs_that_are_ticked_are_set_side_by_side(demo: Path, show: Show) -> None:
    app = tick(show(demo, "runs"), 6, 7)
    text = works(app)
    newer, older = app.dataframe[0].value["run"][6:8]
    assert "Two runs side by side" in [one.value for one in app.subheader]
    assert text.index(f"{older} (") < text.index(f"{newer} (")
    assert re.search(r"\bquarantined\s+\d+\s+\d+", text)


def test_a_check_and_a_training_can_be_set_side_by_side(demo: Path, show: Show) -> None:
    works(tick(show(demo, "runs"), 0, 8))


def test_of_three_that_are_ticked_the_first_two_are_compared(demo: Path, show: Show) -> None:
    app = tick(show(demo, "runs"), 6, 7, 8)
    assert "Two runs side by side" in [one.value for one in app.subheader]


def test_a_run_says_the_same_as_itself(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROJECT_VARIABLE, str(demo))
    shown: list[str] = []
    monkeypatch.setattr(runs.st, "subheader", lambda *_, **__: None)
    monkeypatch.setattr("dashboards.inert_text.st.html", shown.append)
    shop = open_shop()
    assert shop.store is not None
    (line, *_), _ = history.lines(shop.store)
    runs.compared(shop, [line, line])
    assert "both say the same" in shown[0]
