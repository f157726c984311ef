"""Which rows of a sample are alike, and how many independent ones are they worth?

Several products stand beside one query, and their labels, their words and what a model says of them have much in
common: tests that take rows as independent would find a change wherever a batch asks other queries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.profiles import Profile, Sort

FEW = 20
"""Groups of equal size, or what unequal ones are worth, below which nothing is known of how alike their rows are."""
_MOST = 50
"""Categories that are looked at for likeness, the most frequent ones."""
_BY = {"relevance": "query"}
"""Kind → the column whose equal values make rows alike."""

Groups = NDArray[np.int64]
"""(n,) number of the group of each row."""


def groups_of(profile: Profile) -> Groups | None:
    """The groups of the sampled rows; None where each row stands for itself, as in most kinds.

    Upper case and blanks tell no queries apart. Rows without a query stand for themselves.
    """
    column = _BY.get(profile.kind)
    if column is None or column not in profile.sample.column_names:
        return None
    values = profile.sample.column(column).to_pylist()
    places: dict[str, int] = {}
    named = [" ".join(str(v).casefold().split()) if v is not None else f"\n{row}" for row, v in enumerate(values)]
    return np.array([places.setdefault(name, len(places)) for name in named], dtype=np.int64)


def worth(values: NDArray[Any], sort: Sort, groups: Groups | None) -> float:
    """How many rows of a column tell as much as one independent row: `design_effect` of what is compared of it.

    `values` (n,) are numbers, or text or None. Of a text its length is compared, and of every column how many are
    missing. Dates are not looked at.
    """
    if groups is None or not len(values) or sort is Sort.DATE:
        return 1.0
    missing = np.array([value is None or value != value for value in values], dtype=bool)
    there = values[~missing]
    if sort is Sort.TEXT:
        there = np.array([len(str(value)) for value in there], dtype=float)
    of_values = design_effect(_scores(there, sort), groups[~missing])
    return max(of_values, design_effect(missing[:, None].astype(float), groups))


def design_effect(scores: NDArray[np.float64], groups: Groups) -> float:
    """How many rows tell as much as one row that is independent of all others; 1 or more, and finite.

    `scores` (n, d) are numbers of which means are compared. The variance of a mean, given that whole groups are drawn,
    is held against that of n independent rows; the largest of the d counts. Where there are few groups, or one of them
    holds a large part of the rows, rows of a group are taken for copies of each other.

    Sources: L. Kish, Survey Sampling (1965), chapter 5; J. N. K. Rao, A. J. Scott, JASA 76 (1981), who divide
    chi-square by it.

    >>> twins = np.repeat(np.arange(50.0) % 7, 2)[:, None]
    >>> round(design_effect(twins, np.repeat(np.arange(50), 2)), 1), design_effect(twins, np.arange(100))
    (2.0, 1.0)
    """
    sizes = np.bincount(groups)
    sizes = sizes[sizes > 0]
    if not len(groups) or len(sizes) == len(groups):
        return 1.0
    copies = float((sizes**2).sum() / len(groups))
    of_equal_size = len(groups) / copies
    if of_equal_size < FEW:
        return copies
    centred = scores - scores.mean(axis=0)
    spread = (centred**2).sum(axis=0)
    sums = np.array([np.bincount(groups, weights=column) for column in centred.T])
    varies = spread > 1e-9 * len(scores)
    between = (sums**2).sum(axis=1)[varies] * of_equal_size / (of_equal_size - 1)
    return float(max(1.0, (between / spread[varies]).max(initial=1.0)))


def _scores(values: NDArray[Any], sort: Sort) -> NDArray[np.float64]:
    """(n, d) what tests look at: how often a category occurs; of a number its place, how far that is from the middle,
    and whether it lies in a quarter."""
    if not len(values):
        return np.zeros((0, 1))
    plain = values.astype(str if sort is Sort.CATEGORY else float)
    _, codes, counts = np.unique(plain, return_inverse=True, return_counts=True)
    if sort is Sort.CATEGORY:
        kept = np.argsort(-counts, kind="stable")[:_MOST]
        return np.asarray(codes[:, None] == kept, dtype=float)
    rank = ((np.cumsum(counts) - counts / 2) / len(values))[codes]
    quarters = rank[:, None] <= np.array([0.25, 0.5, 0.75])
    return np.column_stack([rank, (2 * rank - 1) ** 2, quarters.astype(float)])
