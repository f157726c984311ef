"""What do the rows of each file and each window of time show, so that it can be added up later?

Every part is profiled like the reference, all parts in three scans: numbers, categories, and the rows that are drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.batch import Batch
from expectations.columns import FILE, ROW
from expectations.errors import BatchError
from expectations.kinds import Holds
from expectations.sql import Bound, quoted
from monitor.profiles import (
    BUCKETS,
    PRIORITY,
    CategoryProfile,
    ColumnProfile,
    ComparedColumn,
    NumberProfile,
    Profile,
    ProfileSettings,
    Sort,
    TextProfile,
    aggregates_sql,
    compared_like,
    counted_categories,
    counted_texts,
    measured_numbers,
    merge,
)
from monitor.windows import Windows

MOST_WINDOWS = 1_000
"""Windows that one batch may have rows in: dates that say something else than when, or far too short windows."""
_AT_ONCE = 500
"""Parts that are counted in one statement."""
_COLUMNS = 50
"""Columns that are counted in one statement."""
_STREAMED = 10_000
"""Drawn rows that are taken from DuckDB at a time."""
_PARTS, _MOMENT = "profile_parts", "__shopmon_moment"


@dataclass(frozen=True)
class Part:
    """The rows of one file, or of all, in one window."""

    file: int | None
    """Index of the file; None for those of all files."""
    window: int
    """Number of the window."""
    rows: int
    files: int = 1
    """Files that the rows stand in."""


@dataclass(frozen=True)
class Split:
    """A batch's rows by window."""

    parts: tuple[Part, ...]
    """By file and window; none without a row."""
    undated: int
    """Rows without a date: they are in no window."""
    future: int
    """Rows whose date lies in the future: they are in no window, either."""
    late: int
    """Rows older than any of the reference; they are in the windows of their dates."""


def split(
    batch: Batch, windows: Windows, like: Profile, now: datetime, *, by_file: bool, relation: str = "batch"
) -> Split:
    """Say how many rows of a relation lie in each window, by file if asked; its role `date` decides.

    Rows that lie a day or more behind `now` are in the future: clocks and time zones differ. Raises BatchError for a
    batch without dates, and for one that reaches over more than a thousand windows.
    """
    moment = _moment(batch)
    first = like.columns.get("date")
    oldest = first.minimum if isinstance(first, NumberProfile) else float("nan")
    bound = Bound()
    late = f"epoch_us(d) / 86400e6 < {bound.to(oldest)}" if oldest == oldest else "false"
    future = f"d >= {bound.to(now.replace(tzinfo=None))}::timestamp + interval 1 day"
    file = FILE if by_file else "null::integer"
    dated = f"(select {FILE}, {moment} as d from {quoted(relation)})"
    found = batch.rows_of(
        f"select {file} as f, {windows.place_sql('d')} as w, coalesce({future}, false) as future, count(*), "
        f"count(distinct {FILE}), count(*) filter ({late}) from {dated} group by all order by all",
        bound,
    )
    parts = [
        Part(file, window, rows, files)
        for file, window, future, rows, files, _ in found
        if window is not None and not future
    ]
    several = {part.window for part in parts}
    if len(several) > MOST_WINDOWS:
        raise BatchError(  # of fewer files, the rest may fit
            f"the dates of this batch reach over {len(several):,} windows of {windows.written}, from "
            f"{windows.name(min(several))} to {windows.name(max(several))}; {MOST_WINDOWS:,} are kept at most",
            advice="Choose longer windows ([drift] window), or see whether the column is a date of the rows: --column.",
        )
    return Split(
        tuple(parts),
        undated=sum(rows for _, window, _, rows, *_ in found if window is None),
        future=sum(rows for _, window, future, rows, *_ in found if window is not None and future),
        late=sum(older for *_, older in found),
    )


def part_profiles(
    batch: Batch,
    windows: Windows,
    parts: Sequence[Part],
    like: Profile,
    settings: ProfileSettings = ProfileSettings(),
    *,
    relation: str = "batch",
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[Part, Profile]]:
    """The profile of each part, one after the other, in the bins of `like` and without segments.

    A part's sample is drawn by a hash of its file's name and the row's number: however files are grouped into batches,
    the samples of all parts add up to an even one. Memory holds the numbers of 500 parts, and the drawn rows of one.
    """
    asked = compared_like(batch, like, settings)
    for begin in range(0, len(parts), _AT_ONCE):
        some = _Some(batch, windows, parts[begin : begin + _AT_ONCE], asked, settings, quoted(relation))
        with_numbers = some.numbers()
        with_categories = some.categories()
        for part, drawn in some.drawn():
            progress(f"profiling the window {windows.name(part.window)}: {part.rows:,} rows")
            numbers, missing = with_numbers[part]
            columns: dict[str, ColumnProfile] = {**numbers, **with_categories(part)}
            columns |= _texts(drawn, asked, missing, like, settings, part.rows)
            yield part, _profile(batch, part, asked, columns, drawn.slice(0, settings.sample_rows).combine_chunks())


def merged(parts: Sequence[Profile], settings: ProfileSettings = ProfileSettings()) -> Profile:
    """The profile of all parts. Where a part lacks a column that another has, its rows count as missing there.

    The files of the sample become the places of the parts in the order given.
    """
    sorts: dict[str, Sort] = {}
    told: dict[str, ColumnProfile] = {}
    for part in parts:
        sorts |= {name: sort for name, sort in part.sorts.items() if name not in sorts}
        told |= {name: column for name, column in part.columns.items() if name not in told}
    whole = []
    for place, part in enumerate(parts):
        columns = {name: part.columns.get(name) or _all_missing(told[name], part.rows) for name in sorts}
        files = pa.array(np.full(part.sample.num_rows, place, np.int32))
        sample = part.sample.set_column(part.sample.column_names.index(FILE), FILE, files)
        whole.append(replace(part, sorts=sorts, columns=columns, segments={}, sample=sample))
    return merge(whole, settings)


# --- parts of one batch ---------------------------------------------------------------------------------------------


def _moment(batch: Batch) -> str:
    """SQL: when each row is from, null where it does not say or says what no calendar has."""
    column = batch.column("date")
    if column is None or column.holds is not Holds.DATE:
        raise BatchError(
            f"a window was asked for ([drift] window), and this batch of {batch.kind} has no dates",
            advice='Say which column holds them (--column "NAME=date"), or check without windows.',
        )
    day = f"try_cast({column.sql} as timestamp)"
    return f"(case when {day} >= timestamp '0001-01-01' and {day} < timestamp '10000-01-01' then {day} end)"


class _Some:
    """Several parts of a batch, looked at together."""

    def __init__(
        self,
        batch: Batch,
        windows: Windows,
        parts: Sequence[Part],
        asked: Sequence[ComparedColumn],
        settings: ProfileSettings,
        view: str,
    ) -> None:
        self.batch, self.parts, self.asked, self.settings = batch, parts, asked, settings
        self.place = {(part.file, part.window): index for index, part in enumerate(parts)}
        wanted = max(settings.sample_rows, settings.text_rows)
        table = {
            "part": pa.array(range(len(parts)), pa.int32()),
            "f": pa.array([part.file for part in parts], pa.int32()),
            "w": pa.array([part.window for part in parts], pa.int64()),
            "last": pa.array([_last(part.rows, wanted) for part in parts], pa.uint64()),
        }
        salts = {"file": pa.array(range(len(batch.parts)), pa.int32()),
                 "salt": pa.array([_salt(part.found.name) for part in batch.parts], pa.uint64())}  # fmt: skip
        batch.connection.register(_PARTS, pa.table(table))
        batch.connection.register(f"{_PARTS}_files", pa.table(salts))
        values = "".join(f", {one.sql} as k{i}" for i, one in enumerate(asked))
        placed = (
            f"(select *, {windows.place_sql(_MOMENT)} as w from (select *, {_moment(batch)} as {_MOMENT} from {view}))"
        )
        same_file = f"p.f = b.{FILE}" if any(part.file is not None for part in parts) else "true"
        self.rows = (
            f"(select part, last, {FILE}, {ROW}{values} from {placed} b join {_PARTS} p on p.w = b.w and {same_file})"
        )

    def numbers(self) -> dict[Part, tuple[dict[str, ColumnProfile], dict[str, int]]]:
        """Of each part the profiles of numbers and dates, and how many texts are missing."""
        counted = [(i, one) for i, one in enumerate(self.asked) if one.sort is not Sort.CATEGORY]
        found: dict[Part, tuple[dict[str, ColumnProfile], dict[str, int]]] = {part: ({}, {}) for part in self.parts}
        for begin in range(0, len(counted), _COLUMNS):
            some = [(replace(one, sql=f"k{i}")) for i, one in counted[begin : begin + _COLUMNS]]
            sql = f"select part, {', '.join(aggregates_sql(some))} from {self.rows} group by part"
            for number, *values in self.batch.rows_of(sql):
                part, told = self.parts[number], iter(values)
                for one in some:
                    measured = measured_numbers(one, part.rows, told)
                    if isinstance(measured, NumberProfile):
                        found[part][0][one.name] = measured
                    else:
                        found[part][1][one.name] = measured
        return found

    def categories(self) -> Callable[[Part], dict[str, ColumnProfile]]:
        """What gives the profiles of a part's categories; until then, only filled buckets are held."""
        counted = [(i, one) for i, one in enumerate(self.asked) if one.sort is Sort.CATEGORY]
        tables: list[tuple[list[ComparedColumn], pa.Table]] = []
        for begin in range(0, len(counted), _COLUMNS):
            some = counted[begin : begin + _COLUMNS]
            keys = [f"k{i}" for i, _ in some]
            sets = ", ".join(f"(part, {key})" for key in keys)
            sql = (
                f"select part, s, (md5_number_lower(v) % {BUCKETS})::integer as bucket, sum(n)::bigint as n, "
                f"min_by(v, (-n, v)) as name from (select part, grouping({', '.join(keys)}) as s, "
                f"coalesce({', '.join(keys)}) as v, count(*) as n from {self.rows} group by grouping sets ({sets})) "
                "where v is not null group by all order by all"
            )
            tables.append(([one for _, one in some], self.batch.table_of(sql)))
        return lambda part: self._categories_of(part, tables)

    def _categories_of(
        self, part: Part, tables: Sequence[tuple[list[ComparedColumn], pa.Table]]
    ) -> dict[str, ColumnProfile]:
        number = self.place[part.file, part.window]
        found: dict[str, ColumnProfile] = {}
        for asked, table in tables:
            begin, end = np.searchsorted(table["part"].to_numpy(), [number, number + 1])
            of_part = table.slice(begin, end - begin)
            every = 2 ** len(asked) - 1  # of `grouping`: all bits but that of the column by which a row is grouped
            for place, one in enumerate(asked):
                bit = every - 2 ** (len(asked) - 1 - place)
                found[one.name] = counted_categories(of_part.filter(pc.field("s") == bit), part.rows)
        return found

    def drawn(self) -> Iterator[tuple[Part, pa.Table]]:
        """The drawn rows of each part, sorted by priority."""
        keys = "".join(f"k{i}, " for i, _ in enumerate(self.asked))
        salted = f"{self.rows} r join {_PARTS}_files s on s.file = r.{FILE}"
        sql = (
            f"select part, {keys}{FILE}, {ROW}, p as {quoted(PRIORITY)} from (select *, hash(salt, {ROW}) as p "
            f"from {salted}) where p <= last order by part, p, {FILE}, {ROW}"
        )
        names = [*(one.name for one in self.asked), FILE, ROW, PRIORITY]
        held: list[pa.RecordBatch] = []
        current = 0
        for batch in self.batch.connection.sql(sql).to_arrow_reader(_STREAMED):
            numbers = batch.column(0).to_numpy()
            ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
            begin = 0
            for end in ends:
                if numbers[begin] != current:
                    yield self.parts[current], pa.Table.from_batches(held).drop_columns(["part"]).rename_columns(names)
                    held, current = [], int(numbers[begin])
                held.append(batch.slice(begin, end - begin))
                begin = end
        if held:
            yield self.parts[current], pa.Table.from_batches(held).drop_columns(["part"]).rename_columns(names)


def _last(rows: int, wanted: int) -> int:
    """The priority up to which rows of a part are drawn: so many are wanted, and a few more come."""
    return 2**64 - 1 if rows <= wanted else min(2**64 - 1, int(2**64 * (wanted + 6 * wanted**0.5 + 10) / rows))


def _salt(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _texts(
    drawn: pa.Table,
    asked: Sequence[ComparedColumn],
    missing: Mapping[str, int],
    like: Profile,
    settings: ProfileSettings,
    rows: int,
) -> dict[str, ColumnProfile]:
    found: dict[str, ColumnProfile] = {}
    for one in asked:
        told = like.columns[one.name]
        if isinstance(told, TextProfile):
            column = drawn.column(one.name).slice(0, settings.text_rows)
            found[one.name] = counted_texts(column, rows, missing[one.name], told.lengths.edges, settings.bins)
    return found


def _profile(
    batch: Batch, part: Part, asked: Sequence[ComparedColumn], columns: Mapping[str, Any], sample: pa.Table
) -> Profile:
    return Profile(
        kind=batch.kind,
        rows=part.rows,
        sorts={one.name: one.sort for one in asked},
        columns={one.name: columns[one.name] for one in asked},
        segments={},
        sample=sample,
    )


def _all_missing(like: ColumnProfile, rows: int) -> ColumnProfile:
    """The profile of a column that nobody filled."""
    if isinstance(like, CategoryProfile):
        return CategoryProfile(rows, rows, np.zeros_like(like.counts), {})
    nothing = float("nan")
    if isinstance(like, NumberProfile):
        return NumberProfile(rows, rows, like.edges, np.zeros_like(like.counts), nothing, nothing, nothing, nothing)
    lengths = _all_missing(like.lengths, 0)
    if not isinstance(lengths, NumberProfile):
        raise AssertionError(lengths)
    return TextProfile(0, rows, rows, np.zeros_like(like.frequencies), {}, lengths)
