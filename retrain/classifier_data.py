"""Which labelled rows does a classifier learn from, which choose its weights, and which measure it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from retrain import processes
from retrain.classifier import Classifier
from retrain.classifier_settings import ClassifierSettings
from retrain.labelled import Labelled
from retrain.pair_steps import cut_texts
from retrain.results import DataUsed
from retrain.splits import How, Leaks, Side, Sides, deal, leakage, refuse_leaks, whole_groups, without_leaks
from retrain.token_files import Progress

if TYPE_CHECKING:
    from datasets import Dataset

FEWEST = 32
"""Rows without which nothing can be learnt."""


@dataclass(frozen=True)
class Part:
    """The rows of one side."""

    rows: Dataset
    """Cut into tokens."""
    labels: NDArray[np.int64]
    groups: Sequence[str]
    """None of rows that are learnt from, of which nobody asks."""
    at: NDArray[np.int64]
    """Their numbers among all rows, from 0, ascending."""


@dataclass(frozen=True)
class Material:
    """The rows of a training, dealt to three sides."""

    labelled: Labelled
    sides: Sides
    train: Part
    validation: Part
    held_out: Part
    counts: Sequence[int]
    """Rows of each class to learn from."""
    used: DataUsed
    notes: tuple[str, ...] = ()


def prepare(
    model: Classifier,
    labelled: Labelled,
    settings: ClassifierSettings,
    cache: Path,
    *,
    progress: Progress = lambda done, of, left: None,
) -> Material:
    """Deal labelled rows to their sides, look for leaks, and cut them into tokens.

    `progress` is told the rows that are cut, all rows, and the seconds that are left. Raises ShopmonError for a split
    that leaks, and for too few rows.
    """
    labels = labelled.numbers("label")
    sides, leaked, notes = _dealt(labelled, labels, settings)
    longest = min(settings.training.max_length, model.longest)
    with processes.in_turn():
        tokens = cut_texts(labelled, model.tokenizer, longest, cache, progress=progress)

    def measuring(side: Side, most: int) -> Part:
        at = np.flatnonzero(sides == side)
        at = at[whole_groups(labelled.column("group", at), most)]
        return Part(tokens.select(at), labels[at], list(labelled.column("group", at)), at)

    def counted(side: Side) -> dict[str, int]:
        found = Counter(labels[sides == side].tolist())
        return {label: found[number] for number, label in enumerate(labelled.classes) if found[number]}

    learnt = np.flatnonzero(sides == Side.TRAIN)
    train = Part(tokens.select(learnt), labels[learnt], (), learnt)
    if len(train.at) < FEWEST:
        raise ShopmonError(
            f"{len(train.at)} rows are left to learn from; {FEWEST} are the least", advice="Give more labelled rows."
        )
    used = DataUsed(
        rows=counted(Side.TRAIN),
        held_out=counted(Side.HELD_OUT),
        validation=counted(Side.VALIDATION),
        split=settings.split.how.value,
        incomplete=labelled.incomplete,
        leaked=leaked,
        sha256=labelled.sha256,
        parts=labelled.sources,
    )
    return Material(
        labelled,
        sides,
        train,
        measuring(Side.VALIDATION, settings.training.eval_rows),
        measuring(Side.HELD_OUT, settings.measured_rows),
        np.bincount(train.labels, minlength=len(labelled.classes)).tolist(),
        used,
        notes,
    )


def _dealt(
    labelled: Labelled, labels: NDArray[np.int64], settings: ClassifierSettings
) -> tuple[Sides, int, tuple[str, ...]]:
    """The side of each row, how many are left out because they leak, and what is to be told."""
    groups, keys, alike = (labelled.column(name) for name in ("group", "key", "alike"))
    sides = deal(labels, groups, keys, settings.split, published=labelled.column("split"))
    leaked = 0
    if settings.split.leaks is Leaks.DROP:
        before = sides
        sides = without_leaks(sides, keys, alike=alike)
        leaked = int((before != sides).sum())
    found = leakage(sides, keys, groups, alike=alike)
    if found.row is not None:
        found = replace(found, example=_shown(labelled, found.row))
    if settings.split.how is not How.STRATIFIED:  # it is there to repeat figures that were made with its leak
        refuse_leaks(found)
    for side, name in ((Side.VALIDATION, "choose the weights"), (Side.HELD_OUT, "measure")):
        if not (sides == side).any():
            raise ShopmonError(
                f"no rows are left to {name}",
                advice="Give them a share: validation and held_out, as in [retrain.relevance].",
            )
    return sides, leaked, ((f"the split {settings.split.how} leaks: {found.told}",) if found.told else ())


def _shown(labelled: Labelled, row: int) -> str:
    texts, pairs = labelled.texts_at([row])
    return "\n".join([*texts, *(pairs or [])])


def baseline_rows(material: Material, most: int) -> list[int]:
    """Places within the training rows of those that baselines learn from: an even sample, the same in any order."""
    keys = material.labelled.column("key", material.train.at)
    order = np.argsort(np.fromiter((int(key[:16], 16) for key in keys), np.uint64), kind="stable")
    return [int(at) for at in order[:most]]
