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
from monitor.run_folder import OWNER, run_folder, sweep

log = logging.getLogger("shopmon.retrain")

_TENSORS, _STATE = "tensors.safetensors", "state.json"
_SUMS = "sha256.json"
"""SHA-256 of every other file of a checkpoint, by its name."""
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

        # By way of the CPU: safetensors does not know every name that torch has for a device, such as cpu:0.
        return {name: tensor.to(device) for name, tensor in load_file(self.folder / _TENSORS).items()}


def save(
    folder: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    beside: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Keep a training at a step: written aside, put on disk, and only then given its name.

    `beside` may write more into the folder that it is given. `needs` in the state names the steps without whose
    checkpoints this one is of no use.

    Raises ShopmonError if the disk is full or writing is not permitted; nothing of it is left then.
    """
    from safetensors.torch import save_file

    final = folder / _name(step)
    sweep(folder, timedelta(0))  # a killed training left half of what is written here again
    if final.exists():  # a training that went on from an earlier checkpoint comes here again
        shutil.rmtree(final)
    try:
        with run_folder(folder, _name(step)) as staging:
            on_disk = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(on_disk, staging / _TENSORS)
            (staging / _STATE).write_text(json.dumps({"needs": [], **state, "step": step}), encoding="utf-8")
            beside(staging)
            (staging / _SUMS).write_text(json.dumps(_sums(staging)), encoding="utf-8")
    except ShopmonError as error:
        advice = f"{error.advice} Earlier checkpoints are kept: shopmon retrain --resume goes on from there."
        raise ShopmonError(error.problem, advice=advice) from error
    return final


def newest(folder: Path) -> Checkpoint | None:
    """The last checkpoint that is as it was written; a damaged one is told and passed over. None: there is none."""
    there = sorted(folder.glob(f"{_PREFIX}*"), reverse=True)
    for place in there:
        try:
            found = read(place)
            for step in found.state["needs"]:
                at(folder, step)
            return found
        except ShopmonError as error:
            log.warning("%s. The training cannot go on from %s.", error.problem, place.name)
    if there:
        log.warning("No checkpoint in %s is whole. The training begins again.", folder)
    return None


def read(place: Path) -> Checkpoint:
    """The checkpoint in a folder. Raises ShopmonError if it is damaged."""
    try:
        state = json.loads((place / _STATE).read_text(encoding="utf-8"))
        if json.loads((place / _SUMS).read_text(encoding="utf-8")) != _sums(place):
            raise ValueError("its files are not those that were written")
        return Checkpoint(place, int(state["step"]), state)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopmonError(
            f"the checkpoint {place} is damaged: {error}", advice="Remove it, or begin again without --resume."
        ) from error


def rotate(folder: Path, step: int, keep: Collection[int], last: int = 2) -> None:
    """Of the checkpoints up to this step, remove all but the `last` newest and those of the steps to keep.

    Those of later steps go, too: they are damaged, or the training would not have come to this step again.
    """
    there = sorted(folder.glob(f"{_PREFIX}*"))
    so_far = [place.name for place in there if place.name <= _name(step)]
    kept = {_name(one) for one in keep} | set(so_far[-last:])
    for place in there:
        if place.name not in kept:
            shutil.rmtree(place, ignore_errors=True)


def at(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of one step. Raises ShopmonError if it is missing or damaged."""
    return read(folder / _name(step))


def _name(step: int) -> str:
    return f"{_PREFIX}{step:08d}"


def _sums(place: Path) -> dict[str, str]:
    """SHA-256 of each file of a checkpoint, in hexadecimal."""
    return {file.name: _sha256(file) for file in place.iterdir() if file.name not in (_SUMS, OWNER)}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
