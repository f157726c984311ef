"""What pages say where there is nothing yet, where they cannot go on, and where a training does."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dashboards.shop import PROJECT_VARIABLE
from monitor.migrations import HEAD, VERSION_TABLE
from shopmon.project import Project

from .conftest import Show
from .example_projects import models_of, unfinished_training
from .pages import PAGES, charts, go_to, start, works

# --- nothing yet ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_project_says_which_command_to_run(tmp_path: Path, show: Show, page: str) -> None:
    app = show(tmp_path, page)
    works(app)
    (code,) = app.code
    assert re.fullmatch(r"(shopmon [^\n]+\n?)+", code.value)
    assert "--project" not in code.value  # it is the folder in which it was started
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_project_that_was_only_set_up_says_which_command_to_run(tmp_path: Path, show: Show, page: str) -> None:
    (tmp_path / "shopmon.toml").write_text("", encoding="utf-8")
    app = show(tmp_path, page)
    works(app)
    assert all(line.endswith(f" --project {tmp_path}") for line in app.code[0].value.splitlines())
    assert [file.name for file in tmp_path.iterdir()] == ["shopmon.toml"]


def test_a_project_whose_run_store_is_gone_still_has_pages(own: Path, show: Show) -> None:
    (own / ".shopmon" / "runs.db").unlink()
    app = show(own)
    for page in PAGES:
        works(go_to(app, page))
    assert not (own / ".shopmon" / "runs.db").exists()


def test_rows_can_be_decided_about_once_there_is_a_run_store(own: Path, show: Show) -> None:
    (own / ".shopmon" / "runs.db").unlink()
    app = show(own, "edge_cases")
    app.button(key="accept").click().run()
    text = works(app)
    assert "nothing was checked here yet" in text
    assert "Begin with: shopmon check FILE." in text


# --- what no page can go on without -----------------------------------------------------------------------------------


def test_a_store_of_a_newer_shopmon_is_told_on_every_page_and_left_alone(own: Path, show: Show) -> None:
    file = own / ".shopmon" / "runs.db"
    with closing(sqlite3.connect(file)) as store, store:
        store.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    app = show(own)
    for page in PAGES:
        text = works(go_to(app, page))
        assert re.search(rf"newer shopmon: its version is 9999.*up to {HEAD}.*Upgrade shopmon", text), page
    with closing(sqlite3.connect(file)) as store:
        assert store.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone() == ("9999",)


def test_a_store_that_is_no_database_is_told_on_every_page(own: Path, show: Show) -> None:
    (own / ".shopmon" / "runs.db").write_bytes(b"this is no database at all, whatever it is called " * 90)
    app = show(own)
    for page in PAGES:
        assert "runs.db" in works(go_to(app, page)), page


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[retrain\nbase = ", "line 1"),
        ('[retrain]\nbasis = "x"\n', "has no setting 'basis'"),
        ("[retrain]\nbase = 3\n", "shopmon.toml, line 2"),
    ],
)
def test_settings_that_cannot_be_understood_are_told_on_every_page(
    tmp_path: Path, show: Show, said: str, told: str
) -> None:
    (tmp_path / "shopmon.toml").write_text(said, encoding="utf-8")
    app = show(tmp_path)
    for page in PAGES:
        assert told in works(go_to(app, page)), page


def test_a_project_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROJECT_VARIABLE, str(tmp_path))
    assert f"{tmp_path} holds no shopmon.toml" in works(start())


# --- a training that goes on ------------------------------------------------------------------------------------------


def test_a_training_in_progress_is_shown_with_its_curves(own: Path, show: Show) -> None:
    unfinished_training(own)
    assert "A training goes on: step 30 of 60." in works(show(own))
    app = show(own, "training")
    text = works(app)
    assert "Training now: step 30 of 60" in text
    assert "left" in text
    assert any("now" in json.dumps(spec) for spec in charts(app))


def test_a_training_in_progress_is_shown_before_there_is_a_model(tmp_path: Path, show: Show) -> None:
    unfinished_training(tmp_path)
    app = show(tmp_path, "training")
    assert "Training now: step 30 of 60" in works(app)
    assert charts(app)


def test_a_training_goes_on_while_the_page_is_open(own: Path, show: Show) -> None:
    folder = unfinished_training(own)
    app = show(own, "training")
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as opened:
        opened.write('ss": 2.0}\n{"event": "train", "step": 32, "loss": 1.5, "seconds": 16.0}\n')
    assert "step 32 of 60" in works(app.run())


def test_a_training_that_stopped_says_how_it_goes_on(own: Path, show: Show) -> None:
    folder = unfinished_training(own, silent=3_600)
    command = f"shopmon retrain --resume --project {own}"
    overview, training = works(show(own)), works(show(own, "training"))
    for text in (overview, training):
        assert f"The training {folder.name} stopped at step 30" in text
        assert command in text
    assert "Training now" not in training


def test_a_training_that_told_nothing_is_shown(own: Path, show: Show) -> None:
    folder = unfinished_training(own)
    (folder / "metrics.jsonl").unlink()
    assert "step 0 of ?" in works(show(own))
    assert "step 0 of ?" in works(show(own, "training"))


def test_the_examples_are_the_project_s_own(own: Path) -> None:
    assert Project.read(own).training == own / ".shopmon" / "training"
    assert len(models_of(own)) == 3
