"""The small parts of pages: names of batches, clicks, what a training told, how the server is set up."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import heat_map_click
from dashboards.batch_choice import labels
from dashboards.models import Told
from dashboards.shop import Shop
from monitor.history import BatchFigures
from shopmon.project import Project

from .example_projects import told_lines
from .pages import APP

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def batch(run_id: str, at: datetime = NOON) -> BatchFigures:
    return BatchFigures(
        run_id=run_id, status="passed", kind="reviews", started_at=at, seconds=1.0, rows=1, quarantined=0,
        name="new.csv", folder=None,
    )  # fmt: skip


# --- names of batches -------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.uuids(), st.integers(0, 400_000)), unique_by=lambda one: one[0].hex[-6:], max_size=30))
def test_no_two_batches_are_called_the_same(drawn: list[tuple[Any, int]]) -> None:
    batches = [batch(f"20261124-{one.hex[-6:]}", NOON + timedelta(seconds=after)) for one, after in drawn]
    found = labels(batches)
    assert list(found) == [one.run_id for one in batches]
    assert len(set(found.values())) == len(batches)


@pytest.mark.parametrize(
    ("years", "ids"),
    [(0, ("a-000001", "b-000001")), (1, ("20251124-120000-abcdef", "20261124-120000-abcdef"))],
)
def test_not_even_those_whose_times_and_ids_end_alike(years: int, ids: tuple[str, str]) -> None:
    batches = [batch(ids[0], NOON), batch(ids[1], NOON.replace(year=2026 - years))]
    assert len(set(labels(batches).values())) == 2


def test_a_batch_is_called_as_exactly_as_is_needed() -> None:
    minutes = [batch("a", NOON), batch("b", NOON + timedelta(minutes=1))]
    assert list(labels(minutes).values()) == ["11-24 12:00", "11-24 12:01"]
    seconds = [batch("a", NOON), batch("b", NOON + timedelta(seconds=1))]
    assert list(labels(seconds).values()) == ["11-24 12:00:00", "11-24 12:00:01"]
    assert labels([]) == {}


# --- clicks -----------------------------------------------------------------------------------------------------------


def test_a_click_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_map_click.st, "session_state", {})
    event = {"selection": {"cell": [{"row": "html", "batch": "11-24 12:00"}]}}
    assert heat_map_click.clicked(event, "map") == {"row": "html", "batch": "11-24 12:00"}
    assert heat_map_click.clicked(event, "map") is None  # the same selection, in the next run of the page
    other = SimpleNamespace(selection={"cell": [{"row": "language", "batch": 3}]})
    assert heat_map_click.clicked(other, "map") == {"row": "language", "batch": "3"}
    assert heat_map_click.clicked(event, "map") == {"row": "html", "batch": "11-24 12:00"}


@pytest.mark.parametrize("event", [None, {}, {"selection": None}, {"selection": {}}, {"selection": {"cell": []}}])
def test_no_click_is_none_and_the_same_cell_may_be_clicked_again(monkeypatch: pytest.MonkeyPatch, event: Any) -> None:
    monkeypatch.setattr(heat_map_click.st, "session_state", {})
    cell = {"selection": {"cell": [{"row": "html", "batch": "x"}]}}
    assert heat_map_click.clicked(cell, "map")
    assert heat_map_click.clicked(event, "map") is None
    assert heat_map_click.clicked(cell, "map")


# --- what a training told ---------------------------------------------------------------------------------------------


def test_what_a_training_told_becomes_lines_of_charts() -> None:
    told = Told("v1", "id", told_lines(20, 60))
    assert [row["step"] for row in told.train("loss")] == list(range(1, 21))
    assert told.train("loss")[0] == {"step": 1, "run": "v1", "value": 3.0, "set": "training"}
    assert {row["set"] for row in told.parts()} == {"positive"}  # null is no number
    assert [row["step"] for row in told.held_out("loss") if row["set"] == "general"] == [0, 10, 20]
    assert [row["step"] for row in told.masses("wanted") if row["set"] == "gate"] == [0, 10, 20]
    assert told.train("nothing") == told.held_out("nothing") == told.masses("nothing") == []


def test_a_training_that_was_resumed_has_one_base() -> None:
    lines = [*told_lines(10, 60), *told_lines(0, 60)]
    assert [row["step"] for row in Told("v1", "id", lines).held_out("loss") if row["set"] == "general"] == [0, 10]


def test_nothing_told_is_nothing_to_draw() -> None:
    told = Told("v1", "id", [])
    assert told.train("loss") == told.parts() == told.held_out("loss") == told.masses("wanted") == []
    assert Told("v1", "id", [{"event": "begin", "base": None}, {"event": "end"}]).held_out("loss") == []


# --- the project and the server ---------------------------------------------------------------------------------------


def test_a_command_can_be_typed_where_the_dashboard_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, typed in (
        (tmp_path, "shopmon retrain"),
        (tmp_path / "demo", "shopmon retrain --project demo"),
        (tmp_path / "my $HOME; shop", "shopmon retrain --project 'my $HOME; shop'"),
        (tmp_path.parent / "it's", f"shopmon retrain --project '{tmp_path.parent}/it'\"'\"'s'"),
    ):
        assert Shop(Project(folder), None, "").command("retrain") == typed


def test_the_server_tells_nobody_anything_and_listens_to_this_machine_alone() -> None:
    said = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert said["browser"]["gatherUsageStats"] is False
    assert said["server"]["address"] == "127.0.0.1"
    assert said["server"]["fileWatcherType"] == "none"
    assert said["server"]["showEmailPrompt"] is False
    assert said["client"]["showErrorDetails"] == "none"
    assert said["runner"]["magicEnabled"] is False
    assert "enableXsrfProtection" not in said["server"]  # it is on unless somebody says otherwise
    assert "enableCORS" not in said["server"]
    assert "enableStaticServing" not in said["server"]
