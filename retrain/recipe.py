"""What do the recipes of all models have in common, once they know their rows?"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from retrain import processes
from retrain.checkpoints import Checkpoint
from retrain.metrics import FILE_NAME, Metrics
from retrain.records import from_document
from retrain.registry import Registered, Registry
from retrain.results import Gate, TrainingProgress, TrainingResult
from retrain.token_files import Progress
from retrain.training import Fitted, Told
from retrain.work import Work

_VERSIONS = ("shopmon", "torch", "transformers", "tokenizers", "datasets", "accelerate", "safetensors")


def versions(*more: str) -> dict[str, str]:
    """Package → version, of those that a training stands on."""
    return {name: version(name) for name in (*_VERSIONS, *more)}


def cutting_told(progress: Callable[[TrainingProgress], None]) -> Progress:
    """What tells how far the cutting of rows into tokens is."""

    def told(done: int, of: int, left: float) -> None:
        progress(TrainingProgress("cutting rows into tokens", done, of, seconds_left=left, unit="row"))

    return told


def kept_model(registry: Registry, task: str, model_id: str) -> Registered | None:
    """The model, if the training was killed when it was registered already."""
    return next((one for one in registry.models(task) if one.model_id == model_id), None)


def finished(registry: Registry, kept: Registered, work: Work[Any]) -> TrainingResult:
    """What was left to do of a training whose model is in the registry."""
    result = from_document(kept.document)
    if processes.is_first():
        promoted(registry, result)
        work.done()
    return result


def verdict(gate: Gate, *, promote: bool) -> dict[str, Any]:
    """The fields of a result that say whether its model becomes champion, whatever the gate says if `promote`."""
    return {"gate": gate, "promoted": gate.passed or promote, "forced": promote and not gate.passed}


def effort(fitted: Fitted, resumed_from: int | None, began: float) -> dict[str, Any]:
    """The fields of a result that say what a training took; `began` is in seconds of the performance counter."""
    return {
        "steps": fitted.step,
        "best_step": fitted.best.step,
        "stopped_early": fitted.stopped_early,
        "resumed_from": resumed_from,
        "seconds": time.perf_counter() - began,
        "tokens": fitted.tokens,
        "device": fitted.device,
        "bf16": fitted.bf16,
        "processes": processes.count(),
    }


def promoted(registry: Registry, result: TrainingResult) -> None:
    """Let a model take the champion's place if it may, and say by whom."""
    if result.forced:
        registry.promote(result.model_id, task=result.task, by="person", reason=_failures(result.gate))
    elif result.promoted:
        registry.promote(result.model_id, task=result.task, by="gate", reason="every check was passed")


def _failures(gate: Gate) -> str:
    return "although the gate said no to " + ", ".join(check.name for check in gate.failed)


def first_line(metrics: Metrics, resume: Checkpoint | None, values: Mapping[str, Any]) -> None:
    """Begin the file of metrics, or forget what a training that goes on will tell again."""
    if resume is not None:
        metrics.go_on_from(resume.step)
        return
    metrics.file.unlink(missing_ok=True)
    metrics.begin(**values)


def tell(metrics: Metrics, now: Told) -> None:
    """One line of what some steps cost."""
    metrics.train(
        now.step,
        loss=now.loss,
        parts=dict(now.parts),
        learning_rate=now.learning_rate,
        tokens=now.tokens,
        tokens_per_second=round(now.tokens_per_second, 1),
        seconds=round(now.seconds, 3),
    )


def keep_metrics(work: Path, folder: Path) -> None:
    """Copy what a training told while it ran into the model's folder."""
    (folder / FILE_NAME).write_bytes((work / FILE_NAME).read_bytes())
    if (work / "tensorboard").is_dir():
        shutil.copytree(work / "tensorboard", folder / "tensorboard")
