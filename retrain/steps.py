"""What does a model read in one step? The rows of every part, masked, padded to a few lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrain.masking import SLOT, WANTED, Alphabet, Masked, Span, also, gap, whole_words
from retrain.objective import Part
from retrain.schedule import Stream, generator, groups, part_of, shares

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Row:
    """One masked row, and what is asked of each of its places."""

    masked: Masked
    parts: NDArray[np.int64]
    """(n,) of `Part`."""


@dataclass(frozen=True)
class StepSettings:
    """What the steps of a training have in common."""

    alphabet: Alphabet
    padding: int
    """Id of the token that fills up shorter rows."""
    masked_share: float
    batch_size: int
    seed: int
    rank: int = 0
    """Which of the processes this is."""
    processes: int = 1
    wanted_share: float = 0.0
    """Share of the positive rows (0–1) in which a wanted word is masked besides."""


class Steps(torch.utils.data.Dataset[Any]):
    """The steps of a training: step number → what this process reads in it.

    Of the rows of a step, process r of n reads every n-th from the r-th on: together they read what one would.
    """

    def __init__(self, rows: Mapping[str, Dataset], settings: StepSettings, *, steps: int, first: int = 0) -> None:
        """`rows` are stratum → rows: a part ("positive", "negative", "counterfactual", "replay"), or PART/RULE.

        `first` is the step to begin with.
        """
        self._settings = settings
        self._steps, self._first = steps, first
        each = shares(settings.batch_size, {name: len(found) for name, found in rows.items()})
        self._rows = {name: rows[name].with_format("numpy") for name in each}
        self._streams = [
            Stream(name, np.asarray(self._rows[name]["length"][:], np.int64), count, settings.seed)
            for name, count in each.items()
        ]

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, number: int) -> dict[str, Any]:
        step = number + self._first
        rows = [row for stream in self._streams for row in self._masked(stream, step)]
        lengths = [len(row.masked.ids) for row in rows]
        padded = [self._padded([rows[index] for index in some]) for some in groups(lengths)]
        return {"groups": padded, "tokens": sum(lengths)}

    def _masked(self, stream: Stream, step: int) -> list[Row]:
        """This process's rows of one stratum, each masked by a generator of its own."""
        mine = stream.rows(step)[self._settings.rank :: self._settings.processes]
        if not len(mine):
            return []
        found = self._rows[stream.name][mine]
        draw = _DRAWS[part_of(stream.name)]
        return [
            draw(
                np.asarray(found["ids"][at], np.int64),
                np.asarray(found["words"][at], np.int64),
                np.asarray(found["gaps"][at], np.int64).reshape(-1, 3),
                generator("mask", self._settings.seed, stream.name, step, place),
                self._settings,
            )
            for at, place in enumerate(range(self._settings.rank, stream.each, self._settings.processes))
        ]

    def _padded(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        return padded(rows, self._settings.padding)


def padded(rows: Sequence[Row], padding: int) -> dict[str, Tensor]:
    """Rows of several lengths as one group that `Learner` reads."""
    longest = max(len(row.masked.ids) for row in rows)
    ids = np.full((len(rows), longest), padding, np.int64)
    attention = np.zeros((len(rows), longest), np.int64)
    places = np.zeros((len(rows), longest), bool)
    for at, row in enumerate(rows):
        length = len(row.masked.ids)
        ids[at, :length], attention[at, :length] = row.masked.ids, 1
        places[at, row.masked.places] = True
    gaps = [np.full(len(row.parts), at) for at, row in enumerate(rows)]
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(attention),
        "places": torch.from_numpy(places),
        "part": torch.from_numpy(np.concatenate([row.parts for row in rows])),
        "target": torch.from_numpy(np.concatenate([row.masked.targets for row in rows])),
        "gap": torch.from_numpy(np.concatenate(gaps)),
    }


# --- what is asked of a row, by its part ------------------------------------------------------------------------------

Gaps = NDArray[np.int64]
"""(n, 3) start, end, and what stands there (`retrain.masking`)."""


def _positive(ids: Any, words: Any, gaps: Gaps, rng: np.random.Generator, settings: StepSettings) -> Row:
    """Some of the text's words, and in a share of the rows that have one a wanted word besides."""
    wanted = gaps[gaps[:, 2] == WANTED]
    masked = whole_words(ids, words, settings.masked_share, rng, settings.alphabet)
    if len(wanted) and rng.random() < settings.wanted_share:
        masked = also(masked, ids, _span(wanted[rng.integers(len(wanted))]), settings.alphabet)
    return Row(masked, np.full(len(masked.places), Part.POSITIVE))


def _negative(ids: Any, words: Any, gaps: Gaps, rng: np.random.Generator, settings: StepSettings) -> Row:
    """The gap of one unwanted word; half the time as one mask, however many pieces the word has.

    Of a text without one, a place where one could stand: always as one mask, for its own word is none to unlearn.
    """
    unwanted = gaps[gaps[:, 2] != WANTED]
    if not len(unwanted):
        return _some_words(ids, words, rng, settings, Part.UNWANTED)
    found = unwanted[rng.integers(len(unwanted))]
    span = _span(found)
    one = found[2] == SLOT or span.end - span.start == 1 or rng.random() < 0.5
    taken = gap(ids, span, settings.alphabet, masks=1 if one else None)
    return Row(taken, np.full(len(taken.places), Part.UNWANTED if one else Part.UNWANTED_WORD))


def _counterfactual(ids: Any, words: Any, gaps: Gaps, rng: np.random.Generator, settings: StepSettings) -> Row:
    """The gap of a listed word, as one mask; where the text has none, some of its words."""
    if not len(gaps):
        return _some_words(ids, words, rng, settings, Part.COUNTERFACTUAL)
    taken = gap(ids, _span(gaps[rng.integers(len(gaps))]), settings.alphabet, masks=1)
    return Row(taken, np.full(1, Part.COUNTERFACTUAL))


def _replay(ids: Any, words: Any, gaps: Gaps, rng: np.random.Generator, settings: StepSettings) -> Row:
    return _some_words(ids, words, rng, settings, Part.REPLAY)


def _some_words(ids: Any, words: Any, rng: np.random.Generator, settings: StepSettings, part: Part) -> Row:
    masked = whole_words(ids, words, settings.masked_share, rng, settings.alphabet)
    return Row(masked, np.full(len(masked.places), part))


def _span(found: NDArray[np.int64]) -> Span:
    return Span(int(found[0]), int(found[1]))


_DRAWS = {
    "positive": _positive,
    "negative": _negative,
    "counterfactual": _counterfactual,
    "replay": _replay,
}
