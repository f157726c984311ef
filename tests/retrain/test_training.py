"""What ends a training early, what it tells on the way, and what chance has to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expectations.errors import ShopmonError
from retrain.settings import Training
from retrain.training import Fitting, arguments, check_trackers, fit

pytestmark = pytest.mark.slow

NAME = "20261120-195801-a3f9c1"


# Chance


def test_dropout_follows_from_the_step_alone(trainings: Any, killed_late: Path, whole: Any) -> None:
    """The first steps of a process are not the first ones of the training: what they drop is what it would have."""
    ended = trainings(killed_late, resume=True)
    assert ended.said["resumed_from"] == 9
    assert ended.said["weights"] == whole.said["weights"]
    without = trainings(trainings.room(), base="base-without-dropout")
    losses = [line["loss"] for line in whole.metrics if line["event"] == "train"]
    assert losses[0] != next(line["loss"] for line in without.metrics if line["event"] == "train")


@pytest.fixture
def killed_late(trainings: Any, room: Path) -> Path:
    assert trainings(room, harm="in a step", at=11).code == -9
    return room


def test_another_seed_gives_other_weights(trainings: Any, room: Path, whole: Any) -> None:
    assert trainings(room, training={"seed": 2}).said["weights"] != whole.said["weights"]


# Weights that become useless


@pytest.mark.parametrize("every", [1, 12])
def test_a_learning_rate_that_is_far_too_high_is_told(trainings: Any, room: Path, every: int) -> None:
    training = {"learning_rate": 1e30, "warmup": 0.0, "evaluate_every": every}
    ended = trainings(room, training=training)
    assert ended.code == 2
    assert "the weights have become useless" in ended.said["problem"]
    assert "learning_rate" in ended.said["advice"]
    assert not (room / "models" / "mlm" / NAME).exists()


def test_weights_that_are_no_numbers_are_told_and_never_kept(trainings: Any, room: Path) -> None:
    ended = trainings(room, harm="poisoned weights", at=5)
    assert ended.code == 2
    assert "is nan at step 5" in ended.said["problem"]
    assert [place.name for place in (room / "training" / NAME / "checkpoints").iterdir()] == ["step-00000003"]


def test_weights_that_become_useless_in_the_last_step_are_told(trainings: Any, room: Path) -> None:
    """Their loss was finite yet: only measuring them tells."""
    ended = trainings(room, training={"learning_rate": 1e30, "warmup": 0.0, "steps": 1})
    assert ended.code == 2
    assert "at step 1: the weights have become useless" in ended.said["problem"]


# Too little memory


def test_too_little_memory_is_told_with_half_the_rows(trainings: Any, room: Path, whole: Any) -> None:
    ended = trainings(room, harm="too little memory", at=5)
    assert ended.code == 2
    assert "too little memory for 16 rows" in ended.said["problem"]
    assert "--batch-size 8" in ended.said["advice"]
    assert trainings(room, resume=True).said["weights"] == whole.said["weights"]


# Trackers


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_trained(trainings: Any, room: Path) -> None:
    ended = trainings(room, training={"report_to": ["wandb"]})
    assert ended.code == 2
    assert "wandb is not installed" in ended.said["problem"]
    assert "pip install 'shopmon[wandb]'" in ended.said["advice"]
    assert not list(room.rglob("checkpoints"))


def test_an_unknown_tracker_is_told() -> None:
    with pytest.raises(ShopmonError, match="'papyrus' is no tracker"):
        check_trackers(["papyrus"])


def test_tensorboard_is_told_loss_and_measures(trainings: Any, room: Path, whole: Any) -> None:
    """Until the model is registered, its files lie beside the checkpoints."""
    told = {"report_to": ["tensorboard"]}
    assert trainings(room, training=told, harm="before registering", at=1).code == -9
    files = list((room / "training" / NAME / "tensorboard").glob("events.out.tfevents.*"))
    assert len(files) == 1
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(files[0]))
    found.Reload()
    assert {"train/loss", "train/loss_positive", "eval/score"} <= set(found.Tags()["scalars"])
    assert [point.step for point in found.Scalars("train/loss")] == list(range(1, 13))
    assert trainings(room, resume=True).said["weights"] == whole.said["weights"]


# Its lines


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(12, 3, 1), (1_000, 100, 5), (1_000, 7, 1), (10_000, 1_000, 50), (5_000, 9, 9)]
)
def test_lines_are_told_often_enough_and_at_every_checkpoint(
    tmp_path: Path, steps: int, every: int, expected: int
) -> None:
    """So a training that goes on from a checkpoint tells the same lines."""
    said = arguments(Fitting(steps, Training(bf16=False), tmp_path, lambda *_: None, every=every))  # type: ignore[arg-type,return-value]
    assert said.logging_steps == expected
    assert every % said.logging_steps == 0


def test_a_tracker_is_asked_for_before_a_learner_is_touched(tmp_path: Path) -> None:
    fitting = Fitting(1, Training(report_to=("mlflow",)), tmp_path, lambda *_: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(ShopmonError, match="mlflow is not installed"):
        fit(None, fitting)  # type: ignore[arg-type]
