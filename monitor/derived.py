"""Which columns do samples get that no file has, and how are they compared?

They are made from other columns, or by a model, for the sampled rows alone. Rows of one query, or of one customer, may
be alike; they are compared as the fewer independent rows that they are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.profiles import ColumnProfile, Profile, Sort, edges_of
from monitor.sampled import category_profile, number_profile
from monitor.shift_tests import Comparison, ShiftSettings, compare

FEW = 10
"""Groups below which nothing is known of how alike their rows are: each group then counts as one row."""
_MOST = 50
"""Categories that are looked at for likeness, the most frequent ones."""


@dataclass(frozen=True)
class Side:
    """One side of a derived column."""

    values: NDArray[Any]
    """(n,) of the sampled rows, in their order: float, NaN where there is none; or object, text or None."""
    groups: NDArray[np.object_] | None = None
    """(n,) what rows that may be alike have in common, such as their query; None: each row stands for itself."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) which rows have a value."""
        if self.values.dtype == object:
            return np.array([value is not None for value in self.values], dtype=bool)
        return np.asarray(np.isfinite(self.values))


@dataclass(frozen=True)
class Derived:
    """A column that no file has."""

    name: str
    sort: Sort
    """A number or a category."""
    before: Side
    now: Side
    shows: tuple[str, ...] = ()
    """Columns of the sample whose values show people what the derived one is about."""

    @property
    def profiles(self) -> tuple[ColumnProfile, ColumnProfile]:
        """Both sides in short; only rows that have a value count, so that nothing is ever missing."""
        was, now = (side.values[side.known] for side in (self.before, self.now))
        if self.sort is Sort.CATEGORY:
            return category_profile(was.tolist()), category_profile(now.tolist())
        edges = edges_of(np.sort(was))
        return number_profile(was.tolist(), edges), number_profile(now.tolist(), edges)

    def compared(self, settings: ShiftSettings = ShiftSettings()) -> Comparison:
        """Whether it changed: as any number or category, among as many rows as these are worth."""
        was, now = self.profiles
        alike = tuple(
            design_effect(_scores(side.values[side.known], self.sort), _known_groups(side))
            for side in (self.before, self.now)
        )
        return compare(self.name, self.sort, was, now, settings, alike=(alike[0], alike[1]))[0]


def with_derived(before: Profile, now: Profile, derived: Sequence[Derived]) -> tuple[Profile, Profile]:
    """Both profiles with the derived columns among the others; a column of a file that is called so is left out."""
    for column in derived:
        sides = zip((before, now), column.profiles, (column.before, column.now), strict=True)
        before, now = (_joined(profile, column, told, side) for profile, told, side in sides)
    return before, now


def _joined(profile: Profile, column: Derived, told: ColumnProfile, side: Side) -> Profile:
    kind = pa.string() if column.sort is Sort.CATEGORY else pa.float64()
    values = pa.array(side.values, kind, from_pandas=True)
    sample = profile.sample
    if column.name in sample.column_names:
        sample = sample.drop_columns([column.name])
    return replace(
        profile,
        sorts={**profile.sorts, column.name: column.sort},
        columns={**profile.columns, column.name: told},
        sample=sample.append_column(column.name, values),
    )


# --- rows that are alike --------------------------------------------------------------------------------------------


def design_effect(scores: NDArray[np.float64], groups: NDArray[np.int64] | None) -> float:
    """How many rows tell as much as one row that is independent of all others; 1 or more, and finite.

    `scores` (n, d) are numbers of which means are compared, `groups` (n,) says by numbers which rows belong together.
    The variance of a mean, given that whole groups are drawn, is held against that of n independent rows; the largest
    of the d counts. Of fewer than ten groups each counts as a single row.

    Sources: L. Kish, Survey Sampling (1965), chapter 5; J. N. K. Rao, A. J. Scott, JASA 76 (1981), who divide
    chi-square by it.

    >>> twins = np.repeat(np.arange(50.0) % 7, 2)[:, None]
    >>> round(design_effect(twins, np.repeat(np.arange(50), 2)), 1), design_effect(twins, None)
    (2.0, 1.0)
    """
    if groups is None or not len(scores):
        return 1.0
    sizes = np.bincount(groups)
    sizes = sizes[sizes > 0]
    if len(sizes) == len(groups):
        return 1.0
    if len(sizes) < FEW:
        return float((sizes**2).sum() / sizes.sum())
    centred = scores - scores.mean(axis=0)
    spread = (centred**2).sum(axis=0)
    sums = np.array([np.bincount(groups, weights=column) for column in centred.T])
    varies = spread > 1e-9 * len(scores)
    between = (sums**2).sum(axis=1)[varies] * len(sizes) / (len(sizes) - 1)
    return float(max(1.0, (between / spread[varies]).max(initial=1.0)))


def _known_groups(side: Side) -> NDArray[np.int64] | None:
    if side.groups is None:
        return None
    groups = side.groups[side.known]
    return np.unique(groups.astype(str), return_inverse=True)[1].astype(np.int64)


def _scores(values: NDArray[Any], sort: Sort) -> NDArray[np.float64]:
    """(n, d) what the tests look at: how often a category occurs; a number's place, its distance from the middle, and
    whether it lies in a quarter."""
    if not len(values):
        return np.zeros((0, 1))
    codes, counts = np.unique(
        values.astype(str) if sort is Sort.CATEGORY else values, return_inverse=True, return_counts=True
    )[1:]
    if sort is Sort.CATEGORY:
        kept = np.argsort(-counts, kind="stable")[:_MOST]
        return np.asarray(codes[:, None] == kept, dtype=float)
    rank = ((np.cumsum(counts) - counts / 2) / len(values))[codes]
    quarters = rank[:, None] <= np.array([0.25, 0.5, 0.75])
    return np.column_stack([rank, (2 * rank - 1) ** 2, quarters.astype(float)])
