"""What would a profile say of a part of its rows, as far as its sample tells?

For segments that were not counted when the profile was made: the reference's file is no longer there to be read again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitor.profiles import (
    BUCKETS,
    CategoryProfile,
    ColumnProfile,
    NumberProfile,
    Profile,
    Sort,
    value_bucket,
)

_EPOCH = datetime(1970, 1, 1)


def segments_of_sample(profile: Profile, column: str, values: Sequence[str]) -> dict[str, dict[str, ColumnProfile]]:
    """Value → name → profile of every number, date and category, over the sampled rows with that value.

    In the bins of the whole profile, so that two profiles with the same bins give segments that can be compared. Values
    that no sampled row has are left out.
    """
    among = {value: profile.sample.filter(pc.equal(_as_text(profile, column), value)) for value in values}
    return {value: _profiles(profile, rows, column) for value, rows in among.items() if rows.num_rows}


def frequent_values(profile: Profile, column: str, most: int) -> list[str]:
    """The most frequent values of a category, the most frequent first."""
    found = profile.columns[column]
    return list(found.names.values())[:most] if isinstance(found, CategoryProfile) else []


def _as_text(profile: Profile, column: str) -> pa.ChunkedArray:
    return profile.sample.column(column).cast(pa.string())


def _profiles(profile: Profile, rows: pa.Table, by: str) -> dict[str, ColumnProfile]:
    found: dict[str, ColumnProfile] = {}
    for name, whole in profile.columns.items():
        if isinstance(whole, NumberProfile):
            found[name] = number_profile(rows.column(name).to_pylist(), whole.edges, profile.sorts[name])
        elif isinstance(whole, CategoryProfile) and name != by:
            found[name] = category_profile(rows.column(name).cast(pa.string()).to_pylist())
    return found


def number_profile(values: Sequence[Any], edges: NDArray[np.float64], sort: Sort = Sort.NUMBER) -> NumberProfile:
    """The profile of numbers or dates that are in memory, in given bins; None and what is not finite is missing."""
    as_number = _days if sort is Sort.DATE else float
    numbers = np.array([math.nan if value is None else as_number(value) for value in values], dtype=float)
    held = numbers[np.isfinite(numbers)]
    counts = np.bincount(np.searchsorted(edges, held), minlength=len(edges) + 1).astype(np.int64)
    moments = (held.mean(), held.std(), held.min(), held.max()) if len(held) else (math.nan,) * 4
    mean, std, low, high = map(float, moments)
    return NumberProfile(len(values), len(values) - len(held), edges, counts, mean, std, low, high)


def _days(moment: Any) -> float:
    return float((datetime(moment.year, moment.month, moment.day) - _EPOCH).days) + _share_of_day(moment)


def _share_of_day(moment: Any) -> float:
    if not isinstance(moment, datetime):
        return 0.0
    return (moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6) / 86_400


def category_profile(values: Sequence[str | None]) -> CategoryProfile:
    """The profile of categories that are in memory; None is missing."""
    counts = np.zeros(BUCKETS, np.int64)
    named: dict[int, str] = {}
    for value in values:
        if value is not None:
            bucket = value_bucket(value)
            counts[bucket] += 1
            named.setdefault(bucket, value)
    names: Mapping[int, str] = {b: named[b] for b in sorted(named, key=lambda b: (-counts[b], b))}
    return CategoryProfile(len(values), sum(value is None for value in values), counts, names)
