"""Which columns do samples get that no file has, and how are they compared?

They are made from other columns, or by a model, for the sampled rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.alike import Groups, worth
from monitor.profiles import ColumnProfile, Profile, Sort, edges_of
from monitor.sampled import category_profile, number_profile
from monitor.shift_tests import Comparison, ShiftSettings, compare


@dataclass(frozen=True)
class Side:
    """One side of a derived column."""

    values: NDArray[Any]
    """(n,) of the sampled rows, in their order: float, NaN where there is none; or object, text or None."""
    groups: Groups | None = None
    """(n,) which rows may be alike, as those of one query; None: each row stands for itself."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) which rows have a value."""
        if self.values.dtype == object:
            return np.array([value is not None for value in self.values], dtype=bool)
        return np.asarray(np.isfinite(self.values))

    def alike(self, sort: Sort) -> float:
        """How many of its values tell as much as one that is independent of all others."""
        return worth(self.values[self.known], sort, None if self.groups is None else self.groups[self.known])


@dataclass(frozen=True)
class Derived:
    """A column that no file has."""

    name: str
    sort: Sort
    """A number between 0 and 1, or a category."""
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
        alike = self.before.alike(self.sort), self.now.alike(self.sort)
        return compare(self.name, self.sort, was, now, settings, alike=alike, shares=self.sort is Sort.NUMBER)[0]


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
