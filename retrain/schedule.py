"""Which rows does a model read in which step?

Every draw follows from the seed and the number of the step alone. So a training that was interrupted goes on as if it
had not been, and two processes read together what one would have read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW = 16
"""Steps whose rows are sorted by length together: enough for rows of one step to be alike, and few enough to mix."""


WEIGHTS = {"positive": 3, "negative": 2, "counterfactual": 3, "replay": 1}
"""How the parts share the rows of a step. What is to stay needs as many as what is to change: with fewer, a model
learns to praise everybody. Replayed text is long: a few of its rows hold as many words as all the others."""


def generator(*seed: Any) -> np.random.Generator:
    """A source of random numbers that is the same for the same words and numbers, on every machine."""
    import hashlib

    return np.random.default_rng(list(hashlib.sha256(repr(seed).encode()).digest()))


def part_of(stratum: str) -> str:
    """The part that a stratum belongs to: what stands before the first slash.

    >>> part_of("counterfactual/other_brands")
    'counterfactual'
    """
    return stratum.partition("/")[0]


def shares(batch_size: int, there: Mapping[str, int]) -> dict[str, int]:
    """Rows of each stratum in a step, at least one; nothing for a stratum without rows.

    `there` is stratum → its rows. The parts share a step as `WEIGHTS` says. Within a part a stratum's share grows with
    the square root of its rows: sixty complaints among two thousand sentences about others are not lost, and four rows
    are not read all the time.

    >>> shares(64, {"positive": 900, "negative": 300, "replay": 0, "counterfactual/a": 16, "counterfactual/b": 1_600})
    {'positive': 24, 'negative': 16, 'counterfactual/a': 2, 'counterfactual/b': 22}
    """
    strata = {name: math.sqrt(rows) for name, rows in there.items() if rows}
    within: dict[str, float] = dict.fromkeys(map(part_of, strata), 0.0)
    for name, root in strata.items():
        within[part_of(name)] += root
    total = sum(WEIGHTS[part] for part in within)
    part = {name: batch_size * WEIGHTS[name] / total for name in within}
    return {name: max(1, round(part[part_of(name)] * root / within[part_of(name)])) for name, root in strata.items()}


@dataclass(frozen=True)
class Stream:
    """The endless order in which one stratum's rows are read."""

    name: str
    lengths: NDArray[np.int64]
    """(rows,) tokens of each row; at least one row."""
    each: int
    """Rows in a step."""
    seed: int
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def rows(self, step: int) -> NDArray[np.int64]:
        """The rows of a step (from 0): (each,) indices."""
        window, place = divmod(step, WINDOW)
        rows: NDArray[np.int64] = _window(self, window)[place]
        return rows

    def __hash__(self) -> int:
        return hash((self.name, len(self.lengths), self.each, self.seed))

    def __eq__(self, other: object) -> bool:
        return self is other

    def shuffled(self, epoch: int) -> NDArray[np.int64]:
        """The order of one pass over the rows; that of two passes is kept, of which a window is a small part."""
        if epoch not in self._orders:
            for other in [one for one in self._orders if abs(one - epoch) != 1]:
                del self._orders[other]
            order = generator("order", self.seed, self.name, epoch).permutation(len(self.lengths))
            self._orders[epoch] = order
        return self._orders[epoch]


@lru_cache(maxsize=256)
def _window(stream: Stream, number: int) -> NDArray[np.int64]:
    """(WINDOW, each) rows of so many steps, alike in length within each."""
    size = WINDOW * stream.each
    first, total = number * size, len(stream.lengths)
    epochs = range(first // total, (first + size - 1) // total + 1)
    drawn = np.concatenate(
        [
            stream.shuffled(epoch)[max(first - epoch * total, 0) : max(first + size - epoch * total, 0)]
            for epoch in epochs
        ]
    )
    by_length = drawn[np.argsort(stream.lengths[drawn], kind="stable")].reshape(WINDOW, stream.each)
    mixed: NDArray[np.int64] = by_length[generator("window", stream.seed, stream.name, number).permutation(WINDOW)]
    return mixed


def groups(lengths: Sequence[int], *, waste: float = 1.5) -> list[list[int]]:
    """Rows that are padded to one length: none is padded to more than `waste` times its own, and 16 tokens.

    >>> groups([10, 128, 12, 120])
    [[0, 2], [3, 1]]
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    found: list[list[int]] = []
    for row in order:
        if found and lengths[row] <= waste * lengths[found[-1][0]] + 16:
            found[-1].append(row)
        else:
            found.append([row])
    return found
