"""What must be kept of a batch so that it can be compared later?

Numbers and dates are counted in bins, categories and words in hashed buckets: such profiles can be added up, and their
size does not grow with the batch. Infinite numbers, NaN, and numbers beyond ±1e100 count as missing, as do dates before
the year 1 or after 9999: no mean can be told of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expectations.batch import Batch
from expectations.columns import FILE, NUMBER, ROW, Column
from expectations.errors import ShopmonError
from expectations.kinds import Holds
from expectations.sql import Bound, quoted
from monitor.sketches import Numbers, Values, merged_numbers, merged_values
from monitor.words import NAMED, document_frequencies, fullest
from monitor.words import WORD_BUCKETS as WORD_BUCKETS

BUCKETS = 4096
"""Hashed buckets of a category."""
PRIORITY = "__shopmon_priority"
"""The sample's column by which it was drawn: the rows with the smallest hash of file and row."""

_NAMED_VALUES = 200
_LOOKED_AT = 10_000
"""Rows from which sorts and edges are taken."""
_TEXTS = frozenset({"text", "title", "description", "query", "product_text"})
_IDS = frozenset({"id", "user", "product_id", "cluster"})
_LONG = 40
"""Mean length (characters) from which a column without a role is text, if it has blanks and many different values."""
_MANY, _NEARLY_ALL, _ENOUGH = 0.5, 0.9, 100
"""Shares of different values among all; below so many values, no column is taken for one of ids."""
_STREAMED = 100_000
"""Values that are taken from DuckDB at a time."""
_LONGEST_TEXT = 10_000
"""Characters of a text that are kept and counted; a hundred thousand texts without end would not fit into memory."""
_DAY = 86_400e6
"""Microseconds."""


_NAMES_SOMETHING = re.compile(r"(?:^|[^a-z])ids?$")
"""Names of columns whose numbers name something: a mean of them says nothing."""
AT_ONCE = 50
"""Columns counted in one statement."""


class Sort(StrEnum):
    """How a column is compared."""

    NUMBER = "number"
    CATEGORY = "category"
    DATE = "date"
    TEXT = "text"


@dataclass(frozen=True)
class NumberProfile:
    """How numbers are distributed; dates too, as days since 1970-01-01."""

    rows: int
    """Rows looked at, missing ones included."""
    missing: int
    edges: NDArray[np.float64]
    """(k,) ascending, distinct, k <= 255; bin i holds edges[i-1] < x <= edges[i]."""
    counts: NDArray[np.int64]
    """(k+1,)."""
    mean: float
    """NaN where there is no value, as are the next three."""
    std: float
    """Of the values as they are: divided by their number, not one less."""
    minimum: float
    maximum: float
    quantiles: bytes = b""
    """Sketch of the values (`monitor.sketches`); empty where none was asked for."""


@dataclass(frozen=True)
class CategoryProfile:
    """How often each value occurs."""

    rows: int
    """Rows looked at, missing ones included."""
    missing: int
    counts: NDArray[np.int64]
    """(BUCKETS,) rows by `value_bucket`, exact and mergeable."""
    names: Mapping[int, str]
    """Bucket → its most frequent value, for the 200 fullest buckets."""
    different: bytes = b""
    """Sketch of the different values (`monitor.sketches`); empty where none was asked for."""


@dataclass(frozen=True)
class TextProfile:
    """Which words texts consist of, and how long they are."""

    rows: int
    """Texts whose words were counted, at most `ProfileSettings.text_rows` of a batch."""
    missing: int
    """Of all rows."""
    total: int
    """All rows."""
    frequencies: NDArray[np.int64]
    """(`words.WORD_BUCKETS`,) texts that hold a word of this bucket."""
    words: Mapping[int, str]
    """Bucket → its most frequent word, for the 20,000 fullest buckets."""
    lengths: NumberProfile
    """Characters of the texts whose words were counted; longer ones than 10,000 count as that long."""


ColumnProfile = NumberProfile | CategoryProfile | TextProfile


@dataclass(frozen=True)
class Profile:
    """A batch in short."""

    kind: str
    rows: int
    sorts: Mapping[str, Sort]
    """Column, as rules name it → how it is compared."""
    columns: Mapping[str, ColumnProfile]
    segments: Mapping[str, Mapping[str, Mapping[str, ColumnProfile]]]
    """Segment column → value → column → profile, of numbers, dates and categories."""
    sample: pa.Table
    """Rows drawn evenly: the compared columns, and file, row and `PRIORITY`, by which it is sorted."""


@dataclass(frozen=True)
class ProfileSettings:
    """How much is kept."""

    sample_rows: int = 10_000
    """Rows kept whole: what tests of texts and Evidently see."""
    text_rows: int = 50_000
    """Texts whose words are counted at most; a word's rate is then known to 0.2 points or better (one deviation)."""
    bins: int = 256
    """Of numbers, 2 to 256; a value that takes 1/256 of all rows or more has a bin of its own."""
    segment_values: int = 20
    """Values of a segment column that are looked at, the most frequent first."""
    ignore: tuple[str, ...] = ()
    """Columns that are not compared."""
    sketched: bool = False
    """Whether quantiles of numbers and the number of different categories are kept: 0.03 s for a million numbers."""

    def __post_init__(self) -> None:
        for name in ("sample_rows", "text_rows", "segment_values"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not 2 <= self.bins <= 256:
            raise ValueError(f"bins must lie between 2 and 256, got {self.bins!r}")


def profile(
    batch: Batch,
    settings: ProfileSettings = ProfileSettings(),
    *,
    segments: Sequence[str] = (),
    like: Profile | None = None,
    relation: str = "batch",
    progress: Callable[[str], None] = lambda _: None,
) -> Profile:
    """Profile the rows of a relation with the columns of `batch`.

    Compared are the roles of the kind and the file's own columns, but no ids: neither roles that name one nor columns
    of words or whole numbers of which nearly all are different. `like` gives columns, sorts, edges and segments'
    values, so that both can be compared and merged: of this batch only those columns are profiled which `like` has.

    `segments` names categories by whose most frequent values everything is counted once more. Raises ShopmonError if
    one of them is no category of this batch.
    """
    view = quoted(relation)
    (rows,) = batch.row_of(f"select count(*) from {view}")
    wanted = max(settings.sample_rows, settings.text_rows)
    progress("looking at the columns")
    asked = _asked(batch, view, settings, like, rows)
    _check_segments(segments, asked, batch)
    progress("counting numbers, and drawing rows")
    drawn, columns = numbers_and_drawn(batch, view, asked, rows, _last_priority(batch, view, rows, wanted))
    progress("counting categories")
    named = [one for one in asked if one.sort is Sort.CATEGORY]
    for begin in range(0, len(named), AT_ONCE):
        columns |= categories(batch, view, named[begin : begin + AT_ONCE], rows)
    if settings.sketched:
        progress("looking for quantiles")
        columns |= _with_quantiles(batch, view, [one for one in asked if one.edges is not None], columns)
        columns |= {one.name: _with_different(batch, view, one, columns[one.name]) for one in named}
    progress("counting words")
    columns |= _texts(drawn, asked, settings, like, columns, rows)
    by_segment = {}
    for name in segments:
        progress(f"counting by {name}")
        by_segment[name] = segment(batch, view, asked, name, settings, like)
    return Profile(
        kind=batch.kind,
        rows=rows,
        sorts={one.name: one.sort for one in asked},
        columns={one.name: columns[one.name] for one in asked},
        segments=by_segment,
        sample=drawn.slice(0, settings.sample_rows).combine_chunks(),
    )


def text_profile(texts: Sequence[str | None], edges: NDArray[np.float64] | None = None) -> TextProfile:
    """Profile texts that are in memory; None is a missing one. `edges` are those of their lengths, else their own.

    >>> found = text_profile(["Warm and light.", None])
    >>> found.total, found.missing, found.rows, found.lengths.maximum
    (2, 1, 1, 15.0)
    """
    column = pa.array(texts, pa.string())
    return counted_texts(column, len(column), column.null_count, edges, ProfileSettings().bins)


def value_bucket(value: str) -> int:
    """The bucket (0 … BUCKETS - 1) of a category's value, the same on every machine.

    The later eight bytes of the MD5 of its UTF-8 bytes, which DuckDB computes as well (`md5_number_lower`).

    >>> value_bucket("Nike")
    787
    """
    digest = hashlib.md5(value.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little") % BUCKETS


# --- which columns, and as what -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ComparedColumn:
    """A column that is compared."""

    name: str
    sql: str
    """An expression over the relation: its value as what it is compared, null where missing."""
    sort: Sort
    edges: NDArray[np.float64] | None = None
    """Of a number or date; None for other sorts."""

    @property
    def binned(self) -> str:
        """SQL: what stands in the bins."""
        return f"(epoch_us({self.sql}) / {_DAY})" if self.sort is Sort.DATE else self.sql


def _asked(batch: Batch, view: str, settings: ProfileSettings, like: Profile | None, rows: int) -> list[ComparedColumn]:
    if like is not None:
        return compared_like(batch, like, settings)
    candidates = [column for column in _candidates(batch) if column.name not in settings.ignore]
    selected = ", ".join(column.sql for column in candidates) or "1"
    last = _last_priority(batch, view, rows, _LOOKED_AT)
    batch.rows_of(
        f"create temp table looked_at as select {selected} from {view} where {_priority()} <= {last}::ubigint"
    )
    try:
        judged = [(column, _sort(batch, view, column)) for column in candidates]
        return [_fresh(batch, column, sort, settings.bins) for column, sort in judged if sort is not None]
    finally:
        batch.rows_of("drop table looked_at")


def compared_like(batch: Batch, like: Profile, settings: ProfileSettings) -> list[ComparedColumn]:
    """The columns of a batch that another profile has, compared as they are there and in the same bins."""
    candidates = [column for column in _candidates(batch) if column.name not in settings.ignore]
    return [_known(column, like.sorts[column.name], like) for column in candidates if column.name in like.sorts]


def _candidates(batch: Batch) -> Iterator[Column]:
    """Roles under their names, then the file's own columns that are no role; what no rule looks into is left out."""
    for role in batch.mapping:
        column = batch.column(role)
        if column is not None and column.holds is not None and role not in _IDS:
            yield column
    taken = set(batch.mapping.values())
    for own in batch.own_columns:
        names = batch.names_of(own)
        if own.name not in taken and own.holds is not None and names:
            yield Column(names[-1], own.sql, own.type)


def _sort(batch: Batch, view: str, column: Column) -> Sort | None:
    """How a column is compared; None for ids."""
    if column.name in batch.mapping and column.name in _TEXTS and column.holds is Holds.TEXT:
        return Sort.TEXT
    if column.holds is Holds.FLAG:
        return Sort.CATEGORY
    if column.holds is Holds.DATE:
        return Sort.DATE
    return _number_or_id(batch, view, column) if column.holds is Holds.NUMBER else _words(batch, view, column)


def _number_or_id(batch: Batch, view: str, column: Column) -> Sort | None:
    whole = column.type.endswith(("INT", "INTEGER"))
    if whole and column.name not in batch.mapping and _NAMES_SOMETHING.search(column.name.lower()):
        return None if _different(batch, view, column) >= _NEARLY_ALL else Sort.CATEGORY
    if column.name in batch.mapping or not whole or _different(batch, view, column) < _NEARLY_ALL:
        return Sort.NUMBER
    return None


def _words(batch: Batch, view: str, column: Column) -> Sort | None:
    as_text = f"{column.sql}::varchar"
    length, blanks, numbers, moments = batch.row_of(
        f"select coalesce(avg(length({as_text})), 0), coalesce(avg(contains({as_text}, ' ')::int), 0), "
        f"coalesce(bool_and(regexp_full_match({as_text}, '{NUMBER}')), false), "
        f"coalesce(bool_and(try_cast({as_text} as timestamp) is not null and length({as_text}) >= 8), false) "
        "from looked_at"
    )
    if moments and not numbers and column.name not in batch.mapping:
        return Sort.DATE
    different = _different(batch, view, column)
    if length >= _LONG and blanks > 0.5 and different > _MANY:
        return Sort.TEXT
    if different >= _NEARLY_ALL:
        return None
    # CSV has nothing but text: a column of its own without a role holds numbers if every one of them is written so.
    return Sort.NUMBER if numbers and column.name not in batch.mapping else Sort.CATEGORY


def _different(batch: Batch, view: str, column: Column) -> float:
    """The share of different values (0–1), 0 for few values; all rows are asked where the sample says many."""
    counted = f"select approx_count_distinct({column.sql}), count({column.sql}) from "
    different, values = batch.row_of(counted + "looked_at")
    if values >= _ENOUGH and different > _MANY * values:
        different, values = batch.row_of(counted + view)
    return different / values if values >= _ENOUGH else 0.0


def _known(column: Column, sort: Sort, like: Profile) -> ComparedColumn:
    told = like.columns[column.name]
    edges = told.edges if isinstance(told, NumberProfile) else None
    return ComparedColumn(column.name, _as(sort, column), sort, edges)


def _fresh(batch: Batch, column: Column, sort: Sort, bins: int) -> ComparedColumn:
    one = ComparedColumn(column.name, _as(sort, column), sort)
    if sort not in (Sort.NUMBER, Sort.DATE):
        return one
    table = batch.table_of(f"select {one.binned} as x from looked_at where x is not null order by x")
    return ComparedColumn(one.name, one.sql, sort, edges_of(table["x"].to_numpy(), bins))


def edges_of(values: NDArray[np.float64], bins: int = 256) -> NDArray[np.float64]:
    """The different values themselves if they are few, else the quantiles of sorted values; (k,), k < bins.

    The first edge lies just below the lowest value: what is lower still, later, must not pass for the lowest.
    """
    if not len(values):
        return np.array([], dtype=float)
    known = np.unique(values)
    if len(known) > bins - 2:
        places = (np.arange(1, bins - 1) * len(values) / (bins - 1)).astype(int)
        known = np.unique(np.sort(values)[places])
    return np.unique(np.append(np.nextafter(float(np.min(values)), -np.inf), known)).astype(float)


def _as(sort: Sort, column: Column) -> str:
    """SQL: a column's value read as a sort, null where it cannot be."""
    if sort is Sort.CATEGORY:
        return f"{column.sql}::varchar"
    if sort is Sort.TEXT:
        text = f"{column.sql}::varchar"
        return f"(case when strlen({text}) > {_LONGEST_TEXT} then left({text}, {_LONGEST_TEXT}) else {text} end)"
    if sort is Sort.DATE:
        day = f"try_cast({column.sql} as timestamp)"
        return f"(case when {day} >= timestamp '0001-01-01' and {day} < timestamp '10000-01-01' then {day} end)"
    number = f"try_cast({column.sql} as double)"
    if column.holds is Holds.TEXT:
        number = f"case when regexp_full_match({column.sql}, '{NUMBER}') then {number} end"
    return f"(case when abs({number}) <= 1e100 then {number} end)"  # false for NaN, which is above every number


# --- one scan for numbers, dates and the rows that are drawn --------------------------------------------------------


def _priority() -> str:
    """SQL: what a row is drawn by, the same whenever this version of DuckDB reads the same files."""
    return f"hash({FILE}, {ROW})"


def _last_priority(batch: Batch, view: str, rows: int, wanted: int) -> int:
    """The priority up to which so many rows are drawn, or all if there are no more."""
    if rows <= wanted:
        return 2**64 - 1
    about = drawn_up_to(rows, wanted)
    found = batch.table_of(f"select {_priority()} as p from {view} where p <= {about}::ubigint")["p"].to_numpy()
    if len(found) < wanted:
        return 2**64 - 1
    return int(np.partition(found, wanted - 1)[wanted - 1])


def drawn_up_to(rows: int, wanted: int) -> int:
    """A priority up to which at least so many of the rows are drawn, six standard deviations being put on top."""
    return 2**64 - 1 if rows <= wanted else min(2**64 - 1, int(2**64 * (wanted + 6 * wanted**0.5 + 10) / rows))


def numbers_and_drawn(
    batch: Batch, view: str, asked: Sequence[ComparedColumn], rows: int, last: int
) -> tuple[pa.Table, dict[str, Any]]:
    """The rows drawn up to a priority, sorted by it, and the profiles of numbers and dates; of texts, how many are
    missing. `view` is the relation's quoted name, and `rows` are those in it."""
    packed = [f"k{i} := {one.sql}" for i, one in enumerate(asked)]
    drawn = f"struct_pack({', '.join([f'p := {_priority()}', f'f := {FILE}', f'r := {ROW}', *packed])})"
    listed = f"list({drawn}) filter (where {_priority()} <= {last}::ubigint)"
    counted = [one for one in asked if one.sort is not Sort.CATEGORY]
    columns: dict[str, Any] = {}
    rest = counted
    while True:  # nearly always once: thousands of columns in one statement would keep DuckDB planning for minutes
        some, rest = rest[:AT_ONCE], rest[AT_ONCE:]
        first = [listed] if some == counted[:AT_ONCE] else []
        found = batch.table_of(f"select {', '.join([*first, *aggregates_sql(some)])} from {view}")
        values = iter([column[0].as_py() for column in found.columns[len(first) :]])
        columns |= {one.name: measured_numbers(one, rows, values) for one in some}
        if first:
            sample = found.column(0)
        if not rest:
            return _flat(sample, asked), columns


def aggregates_sql(asked: Iterable[ComparedColumn]) -> list[str]:
    """What is asked of numbers, dates and texts, as aggregates for `measured_numbers`."""
    sql: list[str] = []
    for one in asked:
        if one.sort is Sort.TEXT:
            sql.append(f"count({one.sql})")
        elif one.edges is not None:
            x = one.binned
            # A list of numbers within '' is read as doubles to the last digit; outside of them, as decimals.
            bins = f"map_values(histogram({x}, '{one.edges.tolist()}'::double[]))" if len(one.edges) else "null"
            sql += [f"count({x})", f"avg({x})", f"stddev_pop({x})", f"min({x})", f"max({x})", bins]
    return sql


def measured_numbers(one: ComparedColumn, rows: int, values: Iterator[Any]) -> NumberProfile | int:
    """What `aggregates_sql` asked of one column; of a text, its missing values."""
    present = int(next(values))
    if one.sort is Sort.TEXT or one.edges is None:
        return rows - present
    mean, std, minimum, maximum = (float("nan") if v is None else float(v) for v in (next(values) for _ in range(4)))
    counts = np.zeros(len(one.edges) + 1, np.int64)
    binned = next(values) or []
    counts[: len(binned)] = binned  # the last bin is only told where something lies in it
    counts[-1] += present - counts.sum()
    return NumberProfile(rows, rows - present, one.edges, counts, mean, std, minimum, maximum)


def _flat(listed: pa.ChunkedArray, asked: Sequence[ComparedColumn]) -> pa.Table:
    """The drawn rows as a table, under the columns' names."""
    rows = listed.combine_chunks()
    rows = (rows.chunk(0) if isinstance(rows, pa.ChunkedArray) else rows).flatten()
    fields = [rows.field(i) for i in range(rows.type.num_fields)]
    names = [PRIORITY, FILE, ROW, *(one.name for one in asked)]
    table = pa.Table.from_arrays(fields, names=names)
    order = pc.sort_indices(table.select([0, 1, 2]), sort_keys=[(n, "ascending") for n in names[:3]])
    return table.take(order).select([*names[3:], *names[1:3], names[0]])


# --- texts ----------------------------------------------------------------------------------------------------------


def _texts(
    drawn: pa.Table,
    asked: Sequence[ComparedColumn],
    settings: ProfileSettings,
    like: Profile | None,
    missing: Mapping[str, Any],
    rows: int,
) -> dict[str, TextProfile]:
    """The words of the drawn texts; `missing` has, of each column, the rows without one."""
    found = {}
    for one in asked:
        if one.sort is Sort.TEXT:
            told = like.columns.get(one.name) if like else None
            edges = told.lengths.edges if isinstance(told, TextProfile) else None
            column = drawn.column(one.name).slice(0, settings.text_rows)
            found[one.name] = counted_texts(column, rows, missing[one.name], edges, settings.bins)
    return found


def counted_texts(
    column: pa.Array | pa.ChunkedArray, total: int, missing: int, edges: NDArray[np.float64] | None, bins: int
) -> TextProfile:
    """The profile of texts, of which there are `total` in all, some of them missing; `edges` are of their lengths."""
    words = document_frequencies(column)
    lengths = pc.utf8_length(column.drop_null()).to_numpy().astype(float)
    own = edges_of(np.sort(lengths), bins) if edges is None else edges
    return TextProfile(words.texts, missing, total, words.frequencies, words.words, _binned(lengths, own))


def _binned(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NumberProfile:
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    ends = (values.mean(), values.std(), values.min(), values.max()) if len(values) else [float("nan")] * 4
    mean, std, low, high = map(float, ends)
    return NumberProfile(len(values), 0, edges, counts.astype(np.int64), mean, std, low, high)


# --- categories and segments ----------------------------------------------------------------------------------------


def categories(batch: Batch, view: str, asked: Sequence[ComparedColumn], rows: int) -> dict[str, CategoryProfile]:
    """The profiles of categories, at most `AT_ONCE`, from one scan of the relation with this quoted name."""
    keys = [f"k{i}" for i in range(len(asked))]
    values = ", ".join(f"{one.sql} as {key}" for one, key in zip(asked, keys, strict=True))
    counted = (
        f"select grouping({', '.join(keys)}) as s, coalesce({', '.join(keys)}) as v, count(*) as n "
        f"from (select {values} from {view}) group by grouping sets ({', '.join(f'({key})' for key in keys)})"
    )
    found = batch.table_of(_buckets_sql(counted))
    every = 2 ** len(asked) - 1  # of `grouping`: all bits but that of the column by which a row is grouped
    bits = [every - 2 ** (len(asked) - 1 - i) for i in range(len(asked))]
    return {
        one.name: counted_categories(found.filter(pc.field("s") == bit), rows)
        for one, bit in zip(asked, bits, strict=True)
    }


def _buckets_sql(counted: str) -> str:
    """SQL: rows (n) and the most frequent value (name) of each group (s) and bucket, from the rows of each value."""
    return (
        f"select s, (md5_number_lower(v) % {BUCKETS})::integer as bucket, sum(n)::bigint as n, "
        f"min_by(v, (-n, v)) as name from ({counted}) where v is not null group by all order by all"
    )


def counted_categories(found: pa.Table, rows: int) -> CategoryProfile:
    """The profile of a category from its buckets: columns bucket, n, and name, the most frequent value."""
    counts = np.zeros(BUCKETS, np.int64)
    buckets = found["bucket"].to_numpy()
    counts[buckets] = found["n"].to_numpy()
    names = dict(zip(buckets.tolist(), found["name"].to_pylist(), strict=True))
    kept = fullest(counts, _NAMED_VALUES)
    return CategoryProfile(rows, rows - int(counts.sum()), counts, {int(b): names[int(b)] for b in kept})


def _with_quantiles(
    batch: Batch, view: str, numbers: Sequence[ComparedColumn], columns: Mapping[str, Any]
) -> dict[str, NumberProfile]:
    """The profiles of numbers and dates, with sketches of their values, from one scan of those columns."""
    sketches = [Numbers() for _ in numbers]
    for begin in range(0, len(numbers), AT_ONCE):
        some = numbers[begin : begin + AT_ONCE]
        sql = f"select {', '.join(f'{one.binned} as k{i}' for i, one in enumerate(some))} from {view}"
        for part in batch.connection.sql(sql).to_arrow_reader(_STREAMED):
            for sketch, values in zip(sketches[begin : begin + AT_ONCE], part.columns, strict=True):
                sketch.add(values.drop_null().to_numpy(zero_copy_only=False))
    return {
        one.name: replace(columns[one.name], quantiles=sketch.bytes())
        for one, sketch in zip(numbers, sketches, strict=True)
    }


def _with_different(batch: Batch, view: str, one: ComparedColumn, told: CategoryProfile) -> CategoryProfile:
    """The profile of a category, with a sketch of its different values."""
    sketch = Values()
    sql = (
        f"select md5_number_lower(v) >> 1 as h from (select {one.sql} as v from {view}) where v is not null group by v"
    )
    for part in batch.connection.sql(sql).to_arrow_reader(_STREAMED):
        sketch.add(part.column(0).to_pylist())
    return replace(told, different=sketch.bytes())


def _check_segments(segments: Sequence[str], asked: Sequence[ComparedColumn], batch: Batch) -> None:
    sorts = {one.name: one.sort for one in asked}
    for name in segments:
        if sorts.get(name) is not Sort.CATEGORY:
            known = name in sorts or name in batch.names
            what = f"it is compared as {sorts[name].value}" if name in sorts else "it is not compared"
            there = ", ".join(n for n, sort in sorts.items() if sort is Sort.CATEGORY) or "none"
            raise ShopmonError(
                f"{name!r} cannot make segments: " + (what if known else "the batch has no such column"),
                advice=f"Name a category in --by or under [drift] segments; the batch has: {there}.",
            )


def segment(
    batch: Batch, view: str, asked: Sequence[ComparedColumn], name: str, settings: ProfileSettings, like: Profile | None
) -> dict[str, dict[str, ColumnProfile]]:
    """Every number, date and category by the most frequent values of one column; values without a row are left out."""
    by = next(one for one in asked if one.name == name)
    values = list(like.segments[name]) if like and name in like.segments else _frequent(batch, view, by, settings)
    if not values:
        return {}
    bound = Bound()
    batch.rows_of(f"create temp table looked_for as select unnest({bound.to(values)}::varchar[]) as v", bound)
    try:
        return _by_value(batch, f"from {view} where {by.sql} in (from looked_for)", asked, by, values)
    finally:
        batch.rows_of("drop table looked_for")


def _by_value(
    batch: Batch, chosen: str, asked: Sequence[ComparedColumn], by: ComparedColumn, values: Sequence[str]
) -> dict[str, dict[str, ColumnProfile]]:
    """`chosen` is SQL from which rows, and where."""
    numbers = [one for one in asked if one.sort in (Sort.NUMBER, Sort.DATE)]
    sums = ", ".join([by.sql, "count(*)", *aggregates_sql(numbers)])
    found = {row[0]: row[1:] for row in batch.rows_of(f"select {sums} {chosen} group by 1")}
    profiles: dict[str, dict[str, ColumnProfile]] = {value: {} for value in values if value in found}
    for value, columns in profiles.items():
        told = iter(found[value][1:])
        measured = {one.name: measured_numbers(one, int(found[value][0]), told) for one in numbers}
        columns |= {name: m for name, m in measured.items() if isinstance(m, NumberProfile)}
    for one in asked:
        if one.sort is Sort.CATEGORY and one is not by:
            buckets = batch.table_of(
                _buckets_sql(f"select {by.sql} as s, {one.sql} as v, count(*) as n {chosen} group by 1, 2")
            )
            for value, columns in profiles.items():
                columns[one.name] = counted_categories(buckets.filter(pc.field("s") == value), int(found[value][0]))
    return profiles


def _frequent(batch: Batch, view: str, by: ComparedColumn, settings: ProfileSettings) -> list[str]:
    sql = f"select {by.sql} as v from {view} where v is not null group by v order by count(*) desc, v"
    return [value for (value,) in batch.rows_of(f"{sql} limit {settings.segment_values}")]


# --- adding profiles up ---------------------------------------------------------------------------------------------


def merge(parts: Sequence[Profile], settings: ProfileSettings = ProfileSettings()) -> Profile:
    """The profile of all rows of several; counts, means and standard deviations are exact.

    The sample has the rows that one profile of all would have drawn, as many as the smallest sample allows. Source for
    the standard deviation: T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37 (1983).

    Raises ValueError if kinds, sorts or edges differ, or if there is nothing to merge.
    """
    if not parts:
        raise ValueError("there is no profile to merge")
    first = parts[0]
    for other in parts[1:]:
        if (other.kind, other.sorts) != (first.kind, first.sorts):
            raise ValueError("profiles of different kinds or columns cannot be merged: make one `like` the other")
    return Profile(
        kind=first.kind,
        rows=sum(part.rows for part in parts),
        sorts=first.sorts,
        columns={name: _merged([part.columns[name] for part in parts]) for name in first.sorts},
        segments={name: _merged_segment([p.segments.get(name, {}) for p in parts]) for name in first.segments},
        sample=_merged_sample(parts, settings),
    )


def _merged_segment(parts: Sequence[Mapping[str, Mapping[str, ColumnProfile]]]) -> dict[str, dict[str, ColumnProfile]]:
    values = dict.fromkeys(value for part in parts for value in part)
    found = {value: [part[value] for part in parts if value in part] for value in values}
    return {v: {name: _merged([one[name] for one in some]) for name in some[0]} for v, some in found.items()}


def _merged_sample(parts: Sequence[Profile], settings: ProfileSettings) -> pa.Table:
    cut = [part.sample.num_rows for part in parts if part.sample.num_rows < part.rows]
    table = pa.concat_tables([part.sample for part in parts], promote_options="permissive")
    order = pc.sort_indices(table, sort_keys=[(n, "ascending") for n in (PRIORITY, FILE, ROW)])
    return table.take(order.slice(0, min([settings.sample_rows, *cut]))).combine_chunks()


def _merged(parts: Sequence[ColumnProfile]) -> ColumnProfile:
    numbers = [part for part in parts if isinstance(part, NumberProfile)]
    categories = [part for part in parts if isinstance(part, CategoryProfile)]
    texts = [part for part in parts if isinstance(part, TextProfile)]
    if len(numbers) == len(parts):
        return _merged_numbers(numbers)
    if len(categories) == len(parts):
        return _merged_categories(categories)
    if len(texts) == len(parts):
        return _merged_texts(texts)
    raise ValueError(f"a {type(parts[0]).__name__} and profiles of another sort cannot be merged")


def _merged_numbers(parts: Sequence[NumberProfile]) -> NumberProfile:
    return replace(reduce(_both_numbers, parts), quantiles=merged_numbers([part.quantiles for part in parts]))


def _merged_categories(parts: Sequence[CategoryProfile]) -> CategoryProfile:
    counts = np.sum([part.counts for part in parts], axis=0)
    return CategoryProfile(
        sum(part.rows for part in parts),
        sum(part.missing for part in parts),
        counts,
        _merged_names([(part.counts, part.names) for part in parts], fullest(counts, _NAMED_VALUES)),
        merged_values([part.different for part in parts]),
    )


def _merged_texts(parts: Sequence[TextProfile]) -> TextProfile:
    """Words and lengths of all texts. A part that counted a larger share of its texts than another one counts less.

    So each text weighs the same. Where all texts were counted, nothing is weighed, and the sums are exact.
    """
    counted = [part.rows / (part.total - part.missing) if part.rows else 0.0 for part in parts]
    least = min((share for share in counted if share), default=1.0)
    weights = [least / share if share else 1.0 for share in counted]
    frequencies = np.zeros(WORD_BUCKETS)
    for part, weight in zip(parts, weights, strict=True):  # one after the other: each has a quarter of a million words
        frequencies += part.frequencies * weight
    counts = np.rint(frequencies).astype(np.int64)
    lengths = reduce(_both_numbers, (_weighed(part.lengths, w) for part, w in zip(parts, weights, strict=True)))
    return TextProfile(
        lengths.rows,
        sum(part.missing for part in parts),
        sum(part.total for part in parts),
        np.minimum(counts, lengths.rows),
        _merged_names([(part.frequencies, part.words) for part in parts], fullest(counts, NAMED)),
        lengths,
    )


def _weighed(lengths: NumberProfile, weight: float) -> NumberProfile:
    """The lengths of a share (0–1) of the texts."""
    counts = np.rint(lengths.counts * weight).astype(np.int64)
    return replace(lengths, rows=int(counts.sum()), counts=counts)


def _merged_names(
    parts: Sequence[tuple[NDArray[np.int64], Mapping[int, str]]], kept: NDArray[np.int64]
) -> dict[int, str]:
    """The name of each bucket, from the part where it is fullest."""
    wanted = set(kept.tolist())
    found: dict[int, tuple[int, str]] = {}
    for counts, names in parts:
        for bucket in wanted & names.keys():
            here = (-int(counts[bucket]), names[bucket])
            found[bucket] = min(found.get(bucket, here), here)
    return {bucket: found[bucket][1] for bucket in kept.tolist() if bucket in found}


def _both_numbers(a: NumberProfile, b: NumberProfile) -> NumberProfile:
    if not np.array_equal(a.edges, b.edges):
        raise ValueError(f"bins differ ({len(a.edges)} and {len(b.edges)} edges): make one profile `like` the other")
    rows, missing, counts = a.rows + b.rows, a.missing + b.missing, a.counts + b.counts
    n, m = a.rows - a.missing, b.rows - b.missing
    if not n or not m:
        only = a if n else b
        return NumberProfile(rows, missing, a.edges, counts, only.mean, only.std, only.minimum, only.maximum)
    apart = b.mean - a.mean
    mean = a.mean + apart * (m / (n + m))
    variance = (n * a.std**2 + m * b.std**2 + apart**2 * n * m / (n + m)) / (n + m)
    ends = min(a.minimum, b.minimum), max(a.maximum, b.maximum)
    return NumberProfile(rows, missing, a.edges, counts, mean, float(np.sqrt(variance)), *ends)
