"""How are the two sides of a comparison spread?

One table for all columns, a few dozen lines for each; the rows of each side in a column's lines add up to all of its
rows. Numbers, dates and the lengths of texts are counted in the bins of their profiles, put together so that a
histogram can be drawn:

- Where values are few (stars), each has a line of its own: `low` and `high` are the value, and `label` names it.
- Otherwise at most 40 bins, `low < x <= high`, span the central 99 % of both sides. They are as wide as each other as
  far as the edges of the profile allow, and never narrower than half of that: no row is cut out of a bin of the
  profile, so that rows are exact and widths differ. The height of a bar is therefore a `density` (share of the rows
  per unit), and never the rows. What lies beyond is in two more lines (`rest`), which reach to the smallest and the
  largest value; what a batch has beyond everything the reference had cannot be resolved further.

Dates are days since 1970-01-01 (UTC), as in profiles. Categories are told by the name of their bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from monitor.profiles import CategoryProfile, ColumnProfile, NumberProfile, Profile, Sort
from monitor.words import fullest

FILE_NAME = "distributions.parquet"
BINS = 40
"""Of numbers, dates and lengths: what a chart of a page's width still shows one by one."""
CENTRAL = 0.99
"""Share of the rows of a side (0–1) over which bins are equally wide; a single far value would leave one full bin."""
NAMED = 20
"""Categories of each side that are told by name, the fullest."""
OTHER = "(other)"
"""Label of the categories beyond them; a category may be called so as well, but is no `rest`."""

_DAY = 86_400e6
"""Microseconds."""
_EPOCH = datetime(1970, 1, 1)
_LINES_AT_ONCE = 5_000
"""Lines of a piece of the file: a reader that wants one column skips the other pieces."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One line: how many rows of each side lie at a place."""

    column: str
    sort: str
    """number, category, date or text."""
    part: str
    """`value`, `length` (of texts, in characters), or `missing`, which has one line."""
    place: int
    """Order within the part, from 0."""
    label: str | None
    """A category's or a single value's name; None for bins."""
    low: float | None
    """What lies in a bin is above this; None for categories and what is missing."""
    high: float | None
    """What lies in a bin is at most this. Equal to `low` for a single value."""
    rest: bool
    """Put together: the tails beyond the central bins, or the categories beyond those that are named."""
    reference: int
    """Rows."""
    current: int
    of_reference: int
    """Rows looked at: all of the profile's, or the texts that were measured; 0 where a side lacks the column."""
    of_current: int

    @property
    def reference_share(self) -> float | None:
        """Share of the reference's rows (0–1); None where it has none."""
        return self.reference / self.of_reference if self.of_reference else None

    @property
    def current_share(self) -> float | None:
        """Share of this batch's rows (0–1); None where it has none."""
        return self.current / self.of_current if self.of_current else None

    @property
    def reference_density(self) -> float | None:
        """Share of the reference's rows per unit of the column: the height of a bar. None where there is no width."""
        return self._density(self.reference_share)

    @property
    def current_density(self) -> float | None:
        """The same of this batch."""
        return self._density(self.current_share)

    def _density(self, share: float | None) -> float | None:
        width = (self.high or 0.0) - (self.low or 0.0)
        return share / width if share is not None and width > 0 else None


def distributions(reference: Profile, current: Profile) -> pa.Table:
    """How each column of the reference is spread, on both sides; one line for each field of `Spread`.

    `current` is a profile made `like` the reference's; a column that it lacks has no rows there. Raises ValueError if a
    column has other edges or another sort on the two sides.

    >>> from monitor.profiles import Sort, text_profile
    >>> was = text_profile(["warm", "soft"])
    >>> now = text_profile(["good", None], edges=was.lengths.edges)
    >>> sides = [Profile("reviews", 2, {"text": Sort.TEXT}, {"text": p}, {}, pa.table({})) for p in (was, now)]
    >>> distributions(*sides).select(["part", "label", "reference", "current"]).to_pylist()[0]
    {'part': 'length', 'label': '4', 'reference': 2, 'current': 1}
    """
    lines: list[dict[str, object]] = []
    for name, before in reference.columns.items():
        now = current.columns.get(name)
        if now is not None and type(now) is not type(before):
            raise ValueError(f"{name!r} is {reference.sorts[name]} in the reference and {current.sorts[name]} now")
        sampled = np.concatenate([_sampled(side, name) for side in (reference, current)])
        lines += _lines(name, reference.sorts[name], before, now, sampled)
    return pa.Table.from_pylist(lines, schema=_SCHEMA)


def write(table: pa.Table, file: Path) -> None:
    """Keep the table, so that the lines of one column can be read without the others."""
    pq.write_table(table, file, row_group_size=_LINES_AT_ONCE, compression="zstd")


def read(file: Path, column: str) -> tuple[Spread, ...]:
    """The lines of one column, in their order; none for a column that was not compared.

    Raises ShopmonError if the file is not there, or is no such table.
    """
    try:
        table = pq.read_table(file, columns=_SCHEMA.names, filters=pc.field("column") == column)
        return tuple(Spread(**line) for line in table.cast(_SCHEMA).to_pylist())
    except FileNotFoundError:
        raise ShopmonError(f"there is no {file}", advice="Check the batch again to have it written.") from None
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ShopmonError(f"{file} cannot be read: {said[0]}", advice="Check the batch again.") from error


_TYPES = {"str": pa.string(), "str | None": pa.string(), "int": pa.int64(), "bool": pa.bool_()}
_SCHEMA = pa.schema([(f.name, _TYPES.get(str(f.type), pa.float64())) for f in fields(Spread)])


# --- lines ----------------------------------------------------------------------------------------------------------


class _Line(NamedTuple):
    """What differs from line to line of a part."""

    label: str | None
    low: float | None
    high: float | None
    rest: bool
    reference: int
    current: int


def _lines(
    name: str, sort: Sort, before: ColumnProfile, now: ColumnProfile | None, sampled: NDArray[np.float64]
) -> Iterator[dict[str, object]]:
    """All lines of a column. `sampled` are values, or lengths, of both sides' samples; none for categories."""
    every = (_all(before), _all(now))
    of, part = every, "value"
    if isinstance(before, NumberProfile):
        lines = _numbers(before, now if isinstance(now, NumberProfile) else None, sampled, sort)
    elif isinstance(before, CategoryProfile):
        lines = _categories(before, now if isinstance(now, CategoryProfile) else None)
    else:
        lengths = None if now is None or isinstance(now, NumberProfile | CategoryProfile) else now.lengths
        lines = _numbers(before.lengths, lengths, sampled, sort)
        of, part = (int(before.lengths.counts.sum()), 0 if lengths is None else int(lengths.counts.sum())), "length"
    for place, line in enumerate(lines):
        yield _line(name, sort, part, place, line, of)
    missing = _Line(None, None, None, False, before.missing, 0 if now is None else now.missing)
    yield _line(name, sort, "missing", 0, missing, every)


def _line(column: str, sort: Sort, part: str, place: int, line: _Line, of: tuple[int, int]) -> dict[str, object]:
    whose = {"column": column, "sort": sort.value, "part": part, "place": place}
    return {**whose, **line._asdict(), "of_reference": of[0], "of_current": of[1]}


def _all(profile: ColumnProfile | None) -> int:
    if profile is None:
        return 0
    return profile.rows if isinstance(profile, NumberProfile | CategoryProfile) else profile.total


def _sampled(profile: Profile, name: str) -> NDArray[np.float64]:
    """The present values of a column in the sample: numbers, days, or lengths of texts."""
    sort = profile.sorts.get(name)
    if sort in (None, Sort.CATEGORY) or name not in profile.sample.column_names:
        return np.array([], float)
    values = profile.sample.column(name).drop_null()
    if sort is Sort.TEXT:
        values = pc.utf8_length(values)
    if sort is Sort.DATE:
        values = values.cast(pa.timestamp("us")).cast(pa.int64())
    found = np.asarray(values.to_numpy(), float)
    return found / _DAY if sort is Sort.DATE else found


# --- numbers --------------------------------------------------------------------------------------------------------


def _numbers(before: NumberProfile, now: NumberProfile | None, sampled: NDArray[np.float64], sort: Sort) -> list[_Line]:
    """A line for each value where they are few, else for each bin; lines at the ends only where rows lie there."""
    edges = before.edges
    if now is not None and not np.array_equal(now.edges, edges):
        raise ValueError(f"bins differ ({len(edges)} and {len(now.edges)} edges): make one profile `like` the other")
    counts = np.stack([before.counts, np.zeros_like(before.counts) if now is None else now.counts])
    if not counts.sum():
        return []
    ends = [end for p in (before, now) if p is not None and p.counts.sum() for end in (p.minimum, p.maximum)]
    smallest, largest = min(ends), max(ends)
    if not len(edges):
        return [_Line(None, smallest, largest, True, *_rows(counts))]
    few = _few(edges, sampled)
    kept = np.arange(1, len(edges)) if few else _evenly(edges, counts)
    first, last = (0 if few else int(kept[0])), int(kept[-1])
    below = _Line(None, smallest, float(edges[first]), True, *_rows(counts[:, : first + 1]))
    above = _Line(None, float(edges[last]), largest, True, *_rows(counts[:, last + 1 :]))
    if few:
        inner = [_value(float(edges[i]), sort, counts[:, i]) for i in kept]
    else:
        inner = [_bin(edges, counts, int(i), int(j)) for i, j in pairwise(kept)]
    return [line for line in (below, *inner, above) if not line.rest or line.reference or line.current]


def _rows(counts: NDArray[np.int64]) -> tuple[int, int]:
    reference, current = counts.sum(axis=1)
    return int(reference), int(current)


def _few(edges: NDArray[np.float64], sampled: NDArray[np.float64]) -> bool:
    """Whether each edge but the first is a value, and no other value lies between them, as far as the samples tell."""
    if not 2 <= len(edges) <= BINS + 1 or edges[0] != np.nextafter(edges[1], -np.inf):
        return False
    between = sampled[(sampled > edges[0]) & (sampled <= edges[-1])]
    return bool(np.isin(between, edges).all())


def _evenly(edges: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of at most BINS + 1 edges, as far from each other as they go, over the central part of both sides."""
    spans = [_central(side) for side in counts if side.sum()]
    first, last = min(low for low, _ in spans), max(high for _, high in spans)
    wished = np.linspace(edges[first], edges[last], BINS + 1)
    least = (edges[last] - edges[first]) / BINS / 2
    right = np.clip(np.searchsorted(edges, wished), 1, max(len(edges) - 1, 1))
    near = np.where(wished - edges[right - 1] <= edges[np.minimum(right, len(edges) - 1)] - wished, right - 1, right)
    kept = [first]
    for place in near[1:-1].tolist():
        if place > kept[-1] and edges[place] - edges[kept[-1]] >= least and edges[last] - edges[place] >= least:
            kept.append(place)
    return np.array([*kept, *([last] if last > first else [])])


def _central(counts: NDArray[np.int64]) -> tuple[int, int]:
    """The places of the edges between which the central rows of a side lie, as near to each other as may be."""
    beyond = (1 - CENTRAL) / 2 * counts.sum()
    low = int(np.searchsorted(np.cumsum(counts)[:-1], beyond, side="right")) - 1
    high = len(counts) - 1 - int(np.searchsorted(np.cumsum(counts[::-1])[:-1], beyond, side="right"))
    last = len(counts) - 2
    return min(max(low, 0), last), min(max(high, 0), last)


def _value(value: float, sort: Sort, rows: NDArray[np.int64]) -> _Line:
    return _Line(_date(value) if sort is Sort.DATE else _number(value), value, value, False, int(rows[0]), int(rows[1]))


def _bin(edges: NDArray[np.float64], counts: NDArray[np.int64], low: int, high: int) -> _Line:
    return _Line(None, float(edges[low]), float(edges[high]), False, *_rows(counts[:, low + 1 : high + 1]))


def _number(value: float) -> str:
    """As a person writes it.

    >>> _number(5.0), _number(0.1), _number(1e30)
    ('5', '0.1', '1e+30')
    """
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _date(days: float) -> str:
    """As a day, or a moment where it is none.

    >>> _date(20000.0), _date(20000.5)
    ('2024-10-04', '2024-10-04 12:00:00')
    """
    moment = _EPOCH + timedelta(days=days)
    return moment.date().isoformat() if days.is_integer() else moment.isoformat(" ", timespec="seconds")


# --- categories -----------------------------------------------------------------------------------------------------


def _categories(before: CategoryProfile, now: CategoryProfile | None) -> list[_Line]:
    """The fullest of either side by name, those with the largest shares first, and the others in one line."""
    sides = (before.counts, np.zeros_like(before.counts) if now is None else now.counts)
    names = _names(before, now)
    shares = sides[0] / max(int(sides[0].sum()), 1) + sides[1] / max(int(sides[1].sum()), 1)
    told = {int(bucket) for counts in sides for bucket in fullest(counts, NAMED)} & names.keys()
    kept = sorted(told, key=lambda bucket: (-shares[bucket], names[bucket]))
    lines = [_Line(names[b], None, None, False, int(sides[0][b]), int(sides[1][b])) for b in kept]
    others = [int(counts.sum()) - int(counts[kept].sum()) for counts in sides]
    return [*lines, *([_Line(OTHER, None, None, True, *others)] if any(others) else [])]


def _names(before: CategoryProfile, now: CategoryProfile | None) -> Mapping[int, str]:
    """The name of each bucket, from the side where it is fuller."""
    if now is None:
        return before.names
    fuller = {bucket: name for bucket, name in now.names.items() if now.counts[bucket] > before.counts[bucket]}
    return {**now.names, **before.names, **fuller}
