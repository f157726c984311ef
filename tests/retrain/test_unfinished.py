"""A training that is not done is told apart from one that stopped, by its files alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ShopmonError
from retrain.metrics import FILE_NAME, Metrics, told
from retrain.unfinished import PLAN, Unfinished, unfinished

NOW = 1_800_000_000.0


def begin(root: Path, model_id: str = "20261124-120000-aaaaaa", *lines: dict[str, Any], task: str = "mlm") -> Path:
    """The folder of a training that told these lines, just now."""
    folder = root / task / model_id
    folder.mkdir(parents=True)
    (folder / PLAN).write_text(json.dumps({"model_id": model_id}), encoding="utf-8")
    if lines:
        (folder / FILE_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    silent_for(folder, 0.0)
    return folder


def silent_for(folder: Path, seconds: float) -> None:
    for file in folder.iterdir():
        os.utime(file, (NOW - seconds, NOW - seconds))


def steps(count: int, each: float = 0.5) -> list[dict[str, Any]]:
    return [{"event": "train", "step": step, "seconds": step * each} for step in range(1, count + 1)]


def only(root: Path) -> Unfinished:
    (found,) = unfinished(root, now=NOW)
    return found


def test_where_nothing_was_begun_there_is_none(tmp_path: Path) -> None:
    assert unfinished(tmp_path) == unfinished(tmp_path / "nowhere") == ()


def test_how_far_a_training_is_stands_in_its_metrics(tmp_path: Path) -> None:
    folder = begin(tmp_path, "20261124-120000-aaaaaa", {"event": "begin", "steps": 60}, *steps(30))
    found = only(tmp_path)
    assert (found.model_id, found.task, found.folder) == ("20261124-120000-aaaaaa", "mlm", folder)
    assert (found.step, found.steps, found.usual, found.silent) == (30, 60, 0.5, 0.0)
    assert found.goes_on
    assert found.metrics == folder / FILE_NAME


def test_one_that_told_nothing_yet_goes_on_since_its_plan_was_made(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    assert (only(tmp_path).step, only(tmp_path).steps, only(tmp_path).usual) == (0, 0, 0.0)
    assert only(tmp_path).goes_on
    silent_for(folder, 3_600)
    assert not only(tmp_path).goes_on


@pytest.mark.parametrize(("each", "silent", "goes_on"), [(0.5, 59, True), (0.5, 61, False), (30, 500, True),
                                                         (30, 601, False)])  # fmt: skip
def test_it_may_be_silent_for_a_minute_or_for_twenty_of_its_steps(
    tmp_path: Path, each: float, silent: float, goes_on: bool
) -> None:
    silent_for(begin(tmp_path, "a", {"event": "begin", "steps": 60}, *steps(5, each)), silent)
    assert only(tmp_path).silent == silent
    assert only(tmp_path).goes_on is goes_on


def test_a_clock_that_was_put_back_makes_no_silence(tmp_path: Path) -> None:
    silent_for(begin(tmp_path), -3_600)
    assert only(tmp_path).silent == 0.0


def test_half_a_last_line_is_left_out_until_it_is_whole(tmp_path: Path) -> None:
    folder = begin(tmp_path, "a", {"event": "begin", "steps": 60}, *steps(3))
    with (folder / FILE_NAME).open("a", encoding="utf-8") as opened:
        opened.write('{"event": "train", "ste')
    assert only(tmp_path).step == 3
    with (folder / FILE_NAME).open("a", encoding="utf-8") as opened:
        opened.write('p": 4, "seconds": 2.0}\n')
    assert only(tmp_path).step == 4


def test_the_newest_comes_first_over_all_tasks(tmp_path: Path) -> None:
    for name, task in (("20261124-1", "mlm"), ("20261126-1", "category"), ("20261125-1", "mlm")):
        begin(tmp_path, name, task=task)
    assert [one.model_id for one in unfinished(tmp_path)] == ["20261126-1", "20261125-1", "20261124-1"]


@pytest.mark.parametrize("plan", ["", "{", "[]", "3", "null", '"model_id"', "{}", '{"model": 1}', "\x00"])
def test_a_folder_without_a_plan_that_can_be_read_is_no_training(tmp_path: Path, plan: str) -> None:
    folder = begin(tmp_path)
    (folder / PLAN).write_text(plan, encoding="utf-8")
    assert unfinished(tmp_path) == ()
    (folder / PLAN).write_bytes(b"\xff\xfe{")
    assert unfinished(tmp_path) == ()
    (folder / PLAN).unlink()
    assert unfinished(tmp_path) == ()


def test_a_training_that_is_done_is_gone(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert unfinished(tmp_path) == ()


def test_lines_of_other_shapes_are_no_steps(tmp_path: Path) -> None:
    begin(tmp_path, "a", {"event": "begin"}, {"event": "train"}, {"event": "train", "step": 3}, {"event": "begin"})
    found = only(tmp_path)
    assert (found.step, found.steps, found.usual) == (3, 0, 0.0)


# --- what it told -----------------------------------------------------------------------------------------------------


def test_what_was_written_is_told_line_by_line(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / FILE_NAME)
    metrics.begin(steps=2)
    metrics.train(1, loss=2.5, parts={"positive": float("nan")})
    metrics.end()
    begun, step, ended = told(tmp_path / FILE_NAME)
    assert (begun["event"], begun["steps"]) == ("begin", 2)
    assert step == {"event": "train", "step": 1, "loss": 2.5, "parts": {"positive": None}}
    assert ended["event"] == "end"


def test_what_is_no_whole_line_is_not_told(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    file.write_bytes(
        b'[]\n3\nnull\n"x"\n{}\n\n\xff\xfe\n{"event": "train"}\n{"event": "eval", "step": "3"}\n{"step": 1}\n'
        b'{"event": "train", "step": 7}\r\n{"event": "train", "step": 8'
    )
    assert told(file) == ({"event": "train", "step": 7},)


def test_no_file_tells_nothing_and_one_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert told(tmp_path / "nowhere") == ()
    with pytest.raises(ShopmonError, match=r"cannot be read.*Let this user read it"):
        told(tmp_path)
