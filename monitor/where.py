"""In which part of the batch does a change sit, and which rows show it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from monitor.results import Changed

LEVEL = 0.001
"""Chance (0–1) that a segment is named though the change is everywhere alike, before Bonferroni over its segments."""
FEWEST = 20
"""Rows of a segment, on either side, from which it is looked at: of fewer, nothing can be said."""
NEARLY_ALL = 0.9
"""Share of the batch's rows (0–1) above which a segment is no place: that nearly every row is in it says nothing."""
MORE = 1.25
"""How many times the change of the whole batch a segment's own must be: among many rows any trifle is significant."""


@dataclass(frozen=True)
class Split:
    """One column by which the samples can be split."""

    column: str
    reference: NDArray[np.object_]
    """(m,) values of the reference's sample, None where missing."""
    current: NDArray[np.object_]
    """(n,) values of the batch's sample."""


def sits_in(
    reference: NDArray[np.float64], current: NDArray[np.float64], splits: Sequence[Split], *, most: int = 3
) -> tuple[Changed, ...]:
    """The segments in which the mean has moved more than in the rest of the batch, in the direction of the whole.

    `reference` (m,) and `current` (n,) hold one finite number per sampled row: the value itself, or how much of the
    change a text shows. For each value of each split, the shift of the mean inside is held against the shift outside by
    a z test of the difference (four independent means, unequal variances: Welch), with Bonferroni's correction over all
    values; it must also be a quarter larger than that of the whole batch. `effect` is the shift inside in standard
    deviations of both samples together. No row, or nothing that varies: none.

    >>> rng = np.random.default_rng(1)
    >>> brand = np.array(["Nike", "Puma"] * 200, dtype=object)
    >>> before, after = rng.normal(size=400), rng.normal(size=400)
    >>> after[brand == "Nike"] += 2
    >>> [found.segment for found in sits_in(before, after, [Split("brand", brand, brand)])]
    ['brand = Nike']
    """
    if not len(reference) or not len(current):
        return ()
    whole = current.mean() - reference.mean()
    spread = float(np.concatenate([reference, current]).std())
    if spread == 0 or whole == 0:
        return ()
    candidates = [(split, value) for split in splits for value in _values(split)]
    found = []
    for split, value in candidates:
        here_before, here_now = split.reference == value, split.current == value
        inside = _shift(reference[here_before], current[here_now])
        outside = _shift(reference[~here_before], current[~here_now])
        z = np.sign(whole) * (inside[0] - outside[0]) / np.sqrt(inside[1] + outside[1])
        p = float(stats.norm.sf(z))
        if p * len(candidates) <= LEVEL and inside[0] / whole >= MORE:
            name = f"{split.column} = {value}"
            found.append(Changed(name, float(here_now.mean()), float(inside[0] / spread), p))
    return tuple(sorted(found, key=lambda c: (c.p_value, -abs(c.effect)))[:most])


def _values(split: Split, most: int = 50) -> list[object]:
    """Values that enough rows of both samples have, and not nearly all; none of a column with too many of them."""
    values, counts = np.unique(split.current[split.current != None].astype(str), return_counts=True)  # noqa: E711
    if len(values) < 2 or len(values) > 20 * most:
        return []
    order = np.argsort(-counts, kind="stable")[:most]
    places = [v for v in values[order] if (split.current == v).mean() <= NEARLY_ALL]
    return [v for v in places if _enough(split.reference == v) and _enough(split.current == v)]


def _enough(rows: NDArray[np.bool_]) -> bool:
    return FEWEST <= int(rows.sum()) <= len(rows) - FEWEST


def _shift(before: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[float, float]:
    """The difference of two means, and its variance."""
    tiny = 1e-12  # two segments in which nothing varies still differ
    variance = before.var() / len(before) + now.var() / len(now) + tiny
    return float(now.mean() - before.mean()), float(variance)
