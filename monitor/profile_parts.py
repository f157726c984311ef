"""What do the rows of each file and each window of time show, so that it can be added up later?

Every part is profiled like the reference, all parts in three scans: numbers, categories, and the rows that are drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, pairwise

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
    drawn_up_to,
    measured_numbers,
    merge,
)
from monitor.unfinished_profiles import finished, unfinished
from monitor.windows import Windows

MOST_WINDOWS = 1_000
"""Windows that one batch may have rows in: dates that say something else than when, or far too short windows."""
_AT_ONCE = 500
"""Parts that are counted in one statement."""
_COLUMNS = 50
"""Columns that are counted in one statement."""
_STREAMED = 10_000
"""Drawn rows that are taken from DuckDB at a time."""
_PARTS, _FILES, _MOMENT = "profile_parts", "profile_parts_files", "__shopmon_moment"


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
    among: int | None = None
    """Rows among which these are drawn, where they are some of a part; None where they are all."""


@dataclass(frozen=True)
class Split:
    """A batch's rows by window."""

    windows: Windows
    now: datetime
    """When it was made."""
    parts: tuple[Part, ...]
    """By file and window; none without a row."""
    undated: int
    """Rows without a date: they are in no window."""
    future: int
    """Rows whose date lies in the future: they are in no window, either."""
    late: int
    """Rows older than any of the reference; they are in the windows of their dates."""

    @property
    def future_from(self) -> datetime:
        """The moment from which on dates lie in the future, without a zone."""
        return _future_from(self.now)


def split(
    batch: Batch, windows: Windows, like: Profile, now: datetime, *, by_file: bool, relation: str = "batch"
) -> Split:
    """Say how many rows of a relation lie in each window, by file if asked; its role `date` decides.

    Rows that lie a day or more behind `now` are in the future: clocks and time zones differ. Raises BatchError for a
    batch without dates, and for one that reaches over more than a thousand windows.
    """
    of_files, bound = counted_sql(batch, windows, like, now, relation)
    found = batch.rows_of(
        f"select {'file' if by_file else 'null::integer'} as f, place, future, sum(rows)::bigint, count(*), "
        f"sum(late)::bigint from ({of_files}) group by all order by all",
        bound,
    )
    return split_of(found, windows, now)


def counted_sql(
    batch: Batch, windows: Windows, like: Profile, now: datetime, relation: str = "batch"
) -> tuple[str, Bound]:
    """SQL: how many rows of a relation lie in each window (`place`), by file; and the values that it names.

    Its columns are file, place, future, rows, and late, which are some of the rows. Raises BatchError for a batch
    without dates.
    """
    moment, bound = _moment(batch), Bound()
    first = like.columns.get("date")
    oldest = first.minimum if isinstance(first, NumberProfile) else float("nan")
    late = f"epoch_us(d) / 86400e6 < {bound.to(oldest)}" if oldest == oldest else "false"
    future = f"d >= {bound.to(_future_from(now))}::timestamp"
    sql = (
        f"select {FILE} as file, {windows.place_sql('d')} as place, coalesce({future}, false) as future, "
        f"count(*) as rows, count(*) filter ({late}) as late "
        f"from (select {FILE}, {moment} as d from {quoted(relation)}) group by all"
    )
    return sql, bound


def split_of(
    found: Iterable[tuple[int | None, int | None, bool, int, int, int]], windows: Windows, now: datetime
) -> Split:
    """What was counted, as a split: file (None: all), window, whether in the future; rows, files, late rows.

    Raises BatchError where they reach over more than a thousand windows.
    """
    counted = list(found)
    parts = [
        Part(file, window, rows, files)
        for file, window, future, rows, files, _ in counted
        if window is not None and not future
    ]
    several = {part.window for part in parts}
    if several:
        refuse_too_many(len(several), min(several), max(several), windows)
    return Split(
        windows,
        now,
        tuple(parts),
        undated=sum(rows for _, window, _, rows, *_ in counted if window is None),
        future=sum(rows for _, window, future, rows, *_ in counted if window is not None and future),
        late=sum(older for *_, older in counted),
    )


def refuse_too_many(several: int, first: int, last: int, windows: Windows) -> None:
    """Raise BatchError where the rows of a batch lie in more than a thousand windows, from one number to another."""
    if several > MOST_WINDOWS:
        raise BatchError(  # of fewer files, the rest may fit
            f"the dates of this batch reach over {several:,} windows of {windows.written}, from "
            f"{windows.name(first)} to {windows.name(last)}; {MOST_WINDOWS:,} are kept at most",
            advice="Choose longer windows ([drift] window), or see whether the column is a date of the rows: --column.",
        )


def part_profiles(
    batch: Batch,
    found: Split,
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
    files = {index: part.found.name for index, part in enumerate(batch.parts)}
    for part, profile in unfinished_parts(batch, found, like, settings, relation=relation, files=files):
        progress(f"profiling the window {found.windows.name(part.window)}: {part.rows:,} rows")
        yield part, finished(profile, settings, like)


def unfinished_parts(
    batch: Batch, found: Split, like: Profile, settings: ProfileSettings, *, relation: str, files: Mapping[int, str]
) -> Iterator[tuple[Part, Profile]]:
    """The same before texts are counted: their samples are all rows that are drawn. `files` are the names by index."""
    asked = compared_like(batch, like, settings)
    salts = {"file": pa.array(list(files), pa.int32()),
             "salt": pa.array([_salt(name) for name in files.values()], pa.uint64())}  # fmt: skip
    batch.connection.register(_FILES, pa.table(salts))
    for begin in range(0, len(found.parts), _AT_ONCE):
        at_once = replace(found, parts=found.parts[begin : begin + _AT_ONCE])
        some = _Some(batch, at_once, asked, max(settings.sample_rows, settings.text_rows), quoted(relation))
        with_numbers = some.numbers()
        with_categories = some.categories()
        for part, drawn in some.drawn():
            columns = with_numbers[part] | with_categories(part)
            yield part, unfinished(batch.kind, part.rows, asked, columns, drawn, like)


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


def _future_from(now: datetime) -> datetime:
    return now.replace(tzinfo=None) + timedelta(days=1)


class _Some:
    """Several parts of a batch, looked at together."""

    def __init__(self, batch: Batch, found: Split, asked: Sequence[ComparedColumn], wanted: int, view: str) -> None:
        self.batch, self.parts, self.asked = batch, found.parts, asked
        self.place = {(part.file, part.window): index for index, part in enumerate(self.parts)}
        table = {
            "part": pa.array(range(len(self.parts)), pa.int32()),
            "f": pa.array([part.file for part in self.parts], pa.int32()),
            "w": pa.array([part.window for part in self.parts], pa.int64()),
            "future": pa.array([found.future_from] * len(self.parts), pa.timestamp("us")),
            "last": pa.array([drawn_up_to(part.among or part.rows, wanted) for part in self.parts], pa.uint64()),
        }
        batch.connection.register(_PARTS, pa.table(table))
        values = "".join(f", {one.sql} as k{i}" for i, one in enumerate(asked))
        in_window = found.windows.place_sql(_MOMENT)
        placed = f"(select *, {in_window} as w from (select *, {_moment(batch)} as {_MOMENT} from {view}))"
        same_file = f"p.f = b.{FILE}" if any(part.file is not None for part in self.parts) else "true"
        joined = f"{placed} b join {_PARTS} p on p.w = b.w and b.{_MOMENT} < p.future and {same_file}"
        self.rows = f"(select part, last, {FILE}, {ROW}{values} from {joined})"

    def numbers(self) -> dict[Part, dict[str, ColumnProfile | int]]:
        """Of each part the profiles of numbers and dates; of texts, how many are missing."""
        counted = [(i, one) for i, one in enumerate(self.asked) if one.sort is not Sort.CATEGORY]
        found: dict[Part, dict[str, ColumnProfile | int]] = {part: {} for part in self.parts}
        for begin in range(0, len(counted), _COLUMNS):
            some = [(replace(one, sql=f"k{i}")) for i, one in counted[begin : begin + _COLUMNS]]
            sql = f"select part, {', '.join(aggregates_sql(some))} from {self.rows} group by part"
            for number, *values in self.batch.rows_of(sql):
                part, told = self.parts[number], iter(values)
                found[part] |= {one.name: measured_numbers(one, part.rows, told) for one in some}
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
        """The drawn rows of each part, which may be none where a part is drawn among more rows."""
        keys = "".join(f"k{i}, " for i, _ in enumerate(self.asked))
        salted = f"{self.rows} r join {_FILES} s on s.file = r.{FILE}"
        sql = (
            f"select part, {keys}{FILE}, {ROW}, p as {quoted(PRIORITY)} from (select *, hash(salt, {ROW}) as p "
            f"from {salted}) where p <= last order by part"
        )
        names = [*(one.name for one in self.asked), FILE, ROW, PRIORITY]
        reader = self.batch.connection.sql(sql).to_arrow_reader(_STREAMED)
        arriving = chain.from_iterable(map(_runs, reader))
        end = (len(self.parts), None)
        number, rows = next(arriving, end)
        for place, part in enumerate(self.parts):
            held: list[pa.RecordBatch] = []
            while number == place:
                held.append(rows)
                number, rows = next(arriving, end)
            yield part, pa.Table.from_batches(held, reader.schema).drop_columns(["part"]).rename_columns(names)


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """A batch of rows that are sorted by their first column, cut where it changes; and the numbers that stand there."""
    numbers = batch.column(0).to_numpy()
    ends = [*(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for begin, end in pairwise([0, *ends]):
        if begin < end:
            yield int(numbers[begin]), batch.slice(begin, end - begin)


def _salt(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


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
