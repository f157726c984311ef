"""Does Great Expectations' own site tell what a check found, and nothing else?"""

from __future__ import annotations

import json
import logging
import re
import socket
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from expectations.batch import open_batch
from expectations.data_docs import write_data_docs
from expectations.errors import ShopmonError
from expectations.results import Outcome, Validation
from expectations.suite import built_in, load_suite
from expectations.validation import validate

RUN, LATER = "20261120-195801-a3f9c1", "20261121-080000-b00000"
EVIL = "<script>alert(1)</script>"
EVIL_NAME = "<img src=x onerror=\"alert('2')\"> $column {{ 7*7 }}"


def examined(folder: Path, table: pa.Table, suite: Path | None = None) -> Validation:
    folder.mkdir(exist_ok=True, parents=True)
    with open_batch(table, scratch=folder) as batch:
        return validate(batch, load_suite(suite or built_in(batch.kind)), folder=folder)


@pytest.fixture(scope="module")
def validation(tmp_path_factory) -> Validation:
    table = pa.table(
        {
            "text": [EVIL, None, *[f"A fine coat, worn {n} times." for n in range(40)]],
            "stars": [9, 1, *[5, 4] * 20],
            "recommended": [True] * 42,
            EVIL_NAME: ["\ufdd0 & \\ufdd1", *["a", "Α\u2028b"] * 20, "$x"],
        }
    )
    return examined(tmp_path_factory.mktemp("work"), table)


class Page(HTMLParser):
    """What a browser would make of a page: its tags, its attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data + " "

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def run_page(site: Path, run: str = RUN) -> Path:
    (page,) = site.glob(f"validations/*/{run}/*/*.html")
    return page


def test_every_rule_is_told_with_its_id_severity_and_reason(validation, tmp_path):
    index = write_data_docs(validation, "new.parquet", RUN, tmp_path)
    assert index == tmp_path / "index.html"
    words = Page(run_page(tmp_path)).words
    assert len(validation.results) > 20
    for result in validation.results:
        assert result.id.split(":")[0] in words
        assert " ".join(result.reason.split()).replace("\ufdd0", "\ufffd") in words


def test_a_rule_that_could_not_be_examined_is_not_dropped(tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "expectations:\n"
        "  - {type: expect_column_values_to_be_between, kwargs: {column: text, min_value: 1}, meta: {id: wrong-type}}\n"
        "  - {type: expect_column_pair_values_to_be_equal, kwargs: {column_A: a, column_B: b}, meta: {id: no-pair}}\n"
        "  - {type: expect_column_values_to_be_unique, kwargs: {column: id}, meta: {id: no-id, optional: true}}\n"
        "  - {type: expect_column_values_to_not_be_null, kwargs: {column: text}, meta: {id: fine}}\n",
        encoding="utf-8",
    )
    validation = examined(tmp_path / "work", pa.table({"text": ["good", "better"]}), suite)
    assert [r.outcome for r in validation.results] == [
        Outcome.ERROR,
        Outcome.ERROR,
        Outcome.NOT_EXAMINED,
        Outcome.PASSED,
    ]
    write_data_docs(validation, "new.parquet", RUN, tmp_path / "site")
    words = Page(run_page(tmp_path / "site")).words
    for result in validation.results[:3]:
        assert result.id in words
        assert result.reason in words
    assert "Evaluated Expectations 3" in words
    assert "Unsuccessful Expectations 2" in words


def test_values_and_names_from_data_are_never_markup(validation, tmp_path):
    clean = tmp_path / "clean"
    write_data_docs(examined(tmp_path / "work", pa.table({"text": ["good"]})), "a.csv", RUN, clean)
    write_data_docs(validation, f"{EVIL}{EVIL_NAME}.csv", RUN, tmp_path, suite_name=EVIL)
    index = tmp_path / "index.html"
    for page, harmless in ((run_page(tmp_path), run_page(clean)), (index, clean / "index.html")):
        tags = Page(page).tags
        attributes = {name for _, found in tags for name in found}
        assert {"onerror"}.isdisjoint(attributes)
        assert sum(tag == "script" for tag, _ in tags) == sum(tag == "script" for tag, _ in Page(harmless).tags)
        assert "<script>alert" not in page.read_text(encoding="utf-8")
        assert not [found for tag, found in tags if tag == "img" and found.get("src") == "x"]
    for page in (run_page(tmp_path), index):
        assert EVIL in Page(page).text
        assert EVIL_NAME in Page(page).text
    assert not re.search("[\ufdd0-\ufdef]", run_page(tmp_path).read_text(encoding="utf-8"))


def test_great_expectations_renders_every_builtin_rule_without_complaint(validation, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        write_data_docs(validation, "new.parquet", RUN, tmp_path)
        relevance = pa.table({"query": ["red shoe"] * 3, "product_text": ["Shoe"] * 3, "label": ["E", "S", "X"]})
        write_data_docs(examined(tmp_path / "work", relevance), "pairs.csv", LATER, tmp_path)
    assert caplog.records == []


def test_the_outcome_stands_in_words_beside_the_icon(validation, tmp_path):
    write_data_docs(validation, "new.parquet", RUN, tmp_path)
    words = Page(run_page(tmp_path)).words
    for result in validation.results:
        assert f"{result.outcome} {result.id.replace(chr(0xFDD0), chr(0xFFFD))} {result.severity}" in words


def test_a_row_condition_is_told(validation, tmp_path):
    write_data_docs(validation, "new.parquet", RUN, tmp_path)
    assert re.search(r"stars\s*(>=|is greater than or equal to)\s*4", Page(run_page(tmp_path)).words)


def test_the_site_keeps_its_history_and_links_every_run(validation, tmp_path):
    write_data_docs(validation, "monday's batch.parquet", RUN, tmp_path, suite_name="reviews")
    first = run_page(tmp_path).read_bytes()
    index = write_data_docs(validation, "tuesday.parquet", LATER, tmp_path, suite_name="products.v2")
    assert run_page(tmp_path).read_bytes() == first
    page = Page(index)
    links = [found["href"] for tag, found in page.tags if tag == "a" and "/" in (found.get("href") or "")]
    local = [link for link in links if link and not link.startswith("http")]
    assert len(local) >= 2
    assert all((tmp_path / link).is_file() for link in local)
    assert page.words.index(f"{LATER} failed") < page.words.index(f"{RUN} failed")
    assert "monday's batch.parquet" in page.text


def test_every_link_of_a_page_leads_to_a_page(validation, tmp_path):
    write_data_docs(validation, "new.parquet", RUN, tmp_path, suite_name="reviews v1.2")
    for file in tmp_path.rglob("*.html"):
        for tag, found in Page(file).tags:
            target = found.get("href") or ""
            if tag == "a" and target and not target.startswith(("#", "http")):
                assert (file.parent / target).resolve().is_file(), (file, target)


def test_the_same_run_again_replaces_its_pages(validation, tmp_path):
    write_data_docs(validation, "old.parquet", RUN, tmp_path)
    index = write_data_docs(validation, "new.parquet", RUN, tmp_path)
    assert run_page(tmp_path).name == "new-parquet.html"
    assert "old.parquet" not in index.read_text(encoding="utf-8")


def test_other_files_stay_and_nothing_unfinished_is_left(validation, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_data_docs(validation, "new.parquet", RUN, tmp_path)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".partial-")]


def test_a_run_whose_facts_are_broken_does_not_cost_the_others(validation, tmp_path, caplog):
    write_data_docs(validation, "one.parquet", RUN, tmp_path)
    run_page(tmp_path).with_name("run.json").write_text("{", encoding="utf-8")
    index = write_data_docs(validation, "two.parquet", LATER, tmp_path)
    assert "two.parquet" in index.read_text(encoding="utf-8")
    assert "run.json cannot be read" in caplog.text


def test_success_is_the_verdict_of_the_check(tmp_path):
    table = pa.table({"text": ["A fine and warm coat.", " leading space"], "stars": [5, 4]})
    validation = examined(tmp_path / "work", table)
    assert validation.passed
    assert any(result.broken for result in validation.results)
    write_data_docs(validation, "new.parquet", RUN, tmp_path / "site")
    (noted,) = (tmp_path / "site").rglob("run.json")
    assert json.loads(noted.read_text(encoding="utf-8"))["success"] is True
    assert "Status: Succeeded" in Page(run_page(tmp_path / "site")).words


def test_a_folder_that_cannot_be_written_is_told(validation, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file", encoding="utf-8")
    with pytest.raises(ShopmonError, match=r"Data Docs cannot be written into .*taken"):
        write_data_docs(validation, "new.parquet", RUN, taken)


def test_no_network_is_asked_for_while_building(validation, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert write_data_docs(validation, "new.parquet", RUN, tmp_path).is_file()
