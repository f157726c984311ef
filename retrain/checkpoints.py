"""How does a training that was killed go on? Checkpoints that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expectations.errors import ShopmonError
from monitor.run_folder import run_folder, sweep

log = logging.getLogger("shopmon.retrain")

_TENSORS, _STATE = "tensors.safetensors", "state.json"
_PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """A training at one step, on disk."""

    folder: Path
    step: int
    state: Mapping[str, Any]
    """What is no tensor, as plain JSON."""

    def tensors(self, device: str | torch.device = "cpu") -> dict[str, Tensor]:
        """Weights and the optimizer's moments, by name."""
        from safetensors.torch import load_file

        return load_file(self.folder / _TENSORS, device=str(device))


def save(
    folder: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    beside: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Keep a training at a step: written aside, put on disk, and only then given its name.

    `beside` may write more into the folder that it is given.

    Raises ShopmonError if the disk is full or writing is not permitted; nothing of it is left then.
    """
    from safetensors.torch import save_file

    final = folder / _name(step)
    if final.exists():  # a training that went on from an earlier checkpoint comes here again
        shutil.rmtree(final)
    with run_folder(folder, _name(step)) as staging:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, staging / _TENSORS)
        told = {**state, "step": step, "sha256": _sha256(staging / _TENSORS)}
        (staging / _STATE).write_text(json.dumps(told), encoding="utf-8")
        beside(staging)
    return final


def newest(folder: Path) -> Checkpoint | None:
    """The last checkpoint that is as it was written; a damaged one is told and passed over. None: there is none."""
    for place in sorted(folder.glob(f"{_PREFIX}*"), reverse=True):
        try:
            return read(place)
        except ShopmonError as error:
            log.warning("%s An earlier checkpoint is taken instead, if there is one.", error.problem)
    return None


def read(place: Path) -> Checkpoint:
    """The checkpoint in a folder. Raises ShopmonError if it is damaged."""
    try:
        state = json.loads((place / _STATE).read_text(encoding="utf-8"))
        if _sha256(place / _TENSORS) != state["sha256"]:
            raise ValueError("its tensors are not those that were written")
        return Checkpoint(place, int(state["step"]), state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopmonError(
            f"the checkpoint {place} is damaged: {error}.", advice="Remove it, or begin again without --resume."
        ) from error


def rotate(folder: Path, keep: Collection[int], last: int = 2) -> None:
    """Remove all but the `last` newest checkpoints and those of the steps to keep."""
    sweep(folder, timedelta(0))
    there = sorted(folder.glob(f"{_PREFIX}*"))
    kept = {_name(step) for step in keep} | {place.name for place in there[-last:]}
    for place in there:
        if place.name not in kept:
            shutil.rmtree(place, ignore_errors=True)


def at(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of one step. Raises ShopmonError if it is missing or damaged."""
    return read(folder / _name(step))


def _name(step: int) -> str:
    return f"{_PREFIX}{step:08d}"


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
