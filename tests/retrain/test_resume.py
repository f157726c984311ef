"""Trainings that are killed, damaged or without disk, and then go on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

NAME = "20261120-195801-a3f9c1"
TIMES = {"at", "seconds", "tokens_per_second"}


def told(ended: Any) -> list[dict[str, Any]]:
    """A training's metrics without what a clock says."""
    return [{name: value for name, value in line.items() if name not in TIMES} for line in ended.metrics]


def steps_of(ended: Any, event: str) -> list[int]:
    return [line["step"] for line in ended.metrics if line["event"] == event]


def checkpoints_in(room: Path) -> list[str]:
    return sorted(place.name for place in (room / "training").glob("*/checkpoints/*"))


def assert_like_whole(ended: Any, whole: Any) -> None:
    assert ended.code == 0, ended.log
    assert ended.said["weights"] == whole.said["weights"]
    assert told(ended) == told(whole)
    assert [line["event"] for line in ended.metrics].count("end") == 1
    assert steps_of(ended, "train") == list(range(1, 13))
    assert steps_of(ended, "eval") == [3, 6, 9, 12]
    champion = json.loads((ended.room / "models" / "mlm" / "champion.json").read_text())
    assert champion["champion"] == NAME
    assert len(champion["history"]) == 1
    assert not list((ended.room / "training").glob("*"))  # nothing is left of the work
    assert [place.name for place in (ended.room / "models" / "mlm").iterdir() if place.is_dir()] == [NAME]


def test_the_same_training_twice_gives_the_same_weights(trainings: Any, room: Path, whole: Any) -> None:
    assert_like_whole(trainings(room), whole)


KILLS = [
    ("in a step", 8, 6),
    ("half the tensors", 1, None),
    ("before a rename", 2, 3),
    ("while it registers", 1, 12),
]
FURTHER_KILLS = [
    ("while it measures", 3, 3),
    ("before a checkpoint", 2, 3),
    ("after the tensors", 2, 3),
    ("after a rename", 2, 6),
    ("while it rotates", 3, 9),
    ("after rotating", 4, 12),
    ("before registering", 1, 12),
]


@pytest.mark.parametrize(
    ("moment", "at", "goes_on_from"),
    [*KILLS, *(pytest.param(*kill, marks=pytest.mark.exhaustive) for kill in FURTHER_KILLS)],
)
def test_a_killed_training_goes_on_to_the_same_weights(
    trainings: Any, room: Path, whole: Any, moment: str, at: int, goes_on_from: int | None
) -> None:
    assert trainings(room, harm=moment, at=at).code == -9
    ended = trainings(room, resume=True)
    assert_like_whole(ended, whole)
    assert ended.said["resumed_from"] == goes_on_from


@pytest.mark.parametrize("moment", ["before it is champion", "before it is done"])
def test_a_training_killed_behind_its_registration_is_not_done_again(
    trainings: Any, room: Path, whole: Any, moment: str
) -> None:
    assert trainings(room, harm=moment, at=1).code == -9
    ended = trainings(room, resume=True, harm="in a step", at=1)  # a step would kill it
    assert_like_whole(ended, whole)


def test_a_training_killed_three_times_goes_on_to_the_same_weights(trainings: Any, room: Path, whole: Any) -> None:
    assert trainings(room, harm="half the tensors", at=2).code == -9
    assert trainings(room, resume=True, harm="half the tensors", at=1).code == -9
    assert trainings(room, resume=True, harm="after a rename", at=2).code == -9
    assert_like_whole(trainings(room, resume=True), whole)


@pytest.fixture(scope="session")
def disk_calls(trainings: Any) -> int:
    """How often a training puts a name or bytes on disk."""
    ended = trainings(trainings.room(), harm="disk call", at=0)
    return int(re.findall(r"disk calls: (\d+)", ended.log)[0])


@pytest.mark.parametrize("share", [0.02, 0.1, 0.4, 0.7, 0.9, 0.97, 1.0])
def test_a_training_killed_at_any_call_to_the_disk_goes_on(
    trainings: Any, room: Path, whole: Any, disk_calls: int, share: float
) -> None:
    """From the plan's first byte to the champion's last."""
    assert trainings(room, harm="disk call", at=max(1, round(share * disk_calls))).code == -9
    ended = trainings(room, resume=True)
    if ended.code == 2 and share < 0.1:  # killed before its plan was there
        assert "no unfinished training" in ended.said["problem"]
        ended = trainings(room)
    assert_like_whole(ended, whole)


@pytest.mark.parametrize("seconds", [0.4, 1.2])
def test_a_training_killed_from_outside_goes_on(
    trainings: Any, room: Path, whole: Any, tmp_path: Path, seconds: float
) -> None:
    """At any moment, also while texts are cut into tokens: with a cache of its own."""
    cache = str(tmp_path / "cache")
    began = trainings(room, after=seconds, cache=cache)
    assert began.code in (-9, 0)
    if began.code == 0:
        pytest.skip("this machine was faster than the kill")
    ended = trainings(room, resume=True, cache=cache)
    if ended.code == 2:
        assert "no unfinished training" in ended.said["problem"]
        ended = trainings(room, cache=cache)
    assert_like_whole(ended, whole)


POOR = {
    "learning_rate": 0.5,
    "warmup": 0.0,
    "max_grad_norm": 1e9,
    "patience": 2,
    "steps": 60,
    "eval_rows": 512,
}
"""With such steps a model gets worse soon."""


@pytest.fixture(scope="session")
def stopped(trainings: Any) -> Any:
    """A training that stopped early, undisturbed."""
    return trainings(trainings.room(), training=POOR)


# Damage


def cut_off(place: Path) -> None:
    file = place / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def flip(name: str) -> Callable[[Path], None]:
    def damage(place: Path) -> None:
        raw = bytearray((place / name).read_bytes())
        raw[len(raw) // 2] ^= 1
        (place / name).write_bytes(raw)

    return damage


def lose(name: str) -> Callable[[Path], None]:
    return lambda place: (place / name).unlink()


def empty(place: Path) -> None:
    for file in place.iterdir():
        file.write_bytes(b"")


# A wrong byte in each of the other files: tests/retrain/test_checkpoints.py
DAMAGES = {
    "tensors cut off": cut_off,
    "a bit of the tensors": flip("tensors.safetensors"),
    "a bit of the Trainer's state": flip("trainer_state.json"),
    "no Trainer's state": lose("trainer_state.json"),
    "empty files": empty,
}


@pytest.fixture(scope="session")
def killed(trainings: Any) -> Path:
    """The room of a training that was killed in step 8, with checkpoints of the steps 3 and 6."""
    room: Path = trainings.room()
    assert trainings(room, harm="in a step", at=8).code == -9
    assert checkpoints_in(room) == ["step-00000003", "step-00000006"]
    return room


@pytest.fixture
def copy(killed: Path, room: Path) -> Path:
    """A copy of that room."""
    shutil.copytree(killed, room, dirs_exist_ok=True)
    return room


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(
    trainings: Any, copy: Path, whole: Any, damage: str
) -> None:
    DAMAGES[damage](copy / "training" / NAME / "checkpoints" / "step-00000006")
    ended = trainings(copy, resume=True)
    assert_like_whole(ended, whole)
    assert ended.said["resumed_from"] == 3
    assert "step-00000006 is damaged" in ended.log


def test_a_training_whose_checkpoints_are_all_damaged_begins_again(trainings: Any, copy: Path, whole: Any) -> None:
    for place in (copy / "training" / NAME / "checkpoints").iterdir():
        cut_off(place)
    ended = trainings(copy, resume=True)
    assert_like_whole(ended, whole)
    assert ended.said["resumed_from"] is None
    assert "The training begins again" in ended.log


def test_half_a_line_of_metrics_is_forgotten(trainings: Any, copy: Path, whole: Any) -> None:
    with (copy / "training" / NAME / "metrics.jsonl").open("ab") as opened:
        opened.write(b'{"event": "train", "step": 7, "brand": "caf\xc3')
    assert_like_whole(trainings(copy, resume=True), whole)


def test_a_damaged_plan_is_told(trainings: Any, copy: Path) -> None:
    (copy / "training" / NAME / "plan.json").write_text('{"model_id"')
    ended = trainings(copy, resume=True)
    assert ended.code == 2
    assert "is damaged" in ended.said["problem"]
    assert "begin again" in ended.said["advice"]


def test_a_training_without_the_checkpoint_of_its_best_step_goes_back_to_an_earlier_one(
    trainings: Any, stopped: Any, room: Path
) -> None:
    """The best weights are the training's result: a later checkpoint alone does not make up for them."""
    best = f"step-{stopped.said['best_step']:08d}"
    assert trainings(room, training=POOR, harm="before registering", at=1).code == -9
    cut_off(room / "training" / NAME / "checkpoints" / best)
    ended = trainings(room, resume=True)
    assert ended.code == 0, ended.log
    assert ended.said["weights"] == stopped.said["weights"]
    assert told(ended) == told(stopped)
    assert f"{best} is damaged" in ended.log


# A disk that is full


@pytest.mark.parametrize("at", [9, 14])  # the first eight come before the first step: nothing to go on with yet
def test_a_full_disk_is_told_and_loses_nothing(trainings: Any, room: Path, whole: Any, at: int) -> None:
    ended = trainings(room, harm="full at fsync", at=at)
    assert ended.code == 2
    assert "the disk is full" in ended.said["problem"]
    assert "Free some space" in ended.said["advice"]
    assert "Traceback" not in ended.log
    there = checkpoints_in(room)
    assert all(re.fullmatch(r"step-\d{8}", name) for name in there)
    ended = trainings(room, resume=True)
    assert_like_whole(ended, whole)
    assert ended.said["resumed_from"] == (int(there[-1][5:]) if there else None)


# What stops by itself


def test_a_training_that_gets_no_better_stops_and_keeps_its_best_weights(stopped: Any) -> None:
    assert stopped.said["stopped_early"]
    assert stopped.said["steps"] < 60
    assert stopped.said["best_step"] == stopped.said["steps"] - 6  # two evaluations, every three steps
    scores = {line["step"]: line["score"] for line in stopped.metrics if line["event"] == "eval"}
    assert min(scores, key=lambda step: scores[step]) == stopped.said["best_step"]
    kept = stopped.said["perplexity"]["candidate"]["retraining"]
    told_then = {line["step"]: line["perplexity"]["retraining"] for line in stopped.metrics if line["event"] == "eval"}
    # The end measures more rows than the way there; here there are fewer than either, so it is the same number.
    assert kept == pytest.approx(told_then[stopped.said["best_step"]])


def test_a_training_that_stopped_early_is_not_taken_further(trainings: Any, stopped: Any, room: Path) -> None:
    """Killed between its last evaluation and the registry, it must not learn on."""
    assert trainings(room, training=POOR, harm="before registering", at=1).code == -9
    ended = trainings(room, resume=True, harm="in a step", at=1)  # a step would kill it
    assert ended.code == 0, ended.log
    assert {**ended.said, "folder": "", "resumed_from": 0} == {**stopped.said, "folder": "", "resumed_from": 0}
    assert told(ended) == told(stopped)


def test_a_training_that_goes_on_in_another_process_is_told(trainings: Any, copy: Path, whole: Any) -> None:
    process = trainings.begin(trainings.request(copy, resume=True, harm="hold", at=1))
    lock = copy / "training" / NAME / "lock"
    try:
        ended = _refused(trainings, copy)
        assert "goes on in another process" in ended.said["problem"]
        assert lock.exists()
    finally:
        trainings.end(process, 0.001)
    assert_like_whole(trainings(copy, resume=True), whole)


def _refused(trainings: Any, room: Path) -> Any:
    """A second resume, once the first has the lock."""
    import fcntl
    import time

    for _ in range(600):
        with (room / "training" / NAME / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                break
        time.sleep(0.05)
    ended = trainings(room, resume=True)
    assert ended.code == 2
    return ended


def test_without_an_unfinished_training_there_is_nothing_to_resume(trainings: Any, room: Path) -> None:
    ended = trainings(room, resume=True)
    assert ended.code == 2
    assert "no unfinished training" in ended.said["problem"]
