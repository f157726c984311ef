"""What came in? One relation in which every row has its file and row number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from expectations.columns import DAY_FIRST, FILE, MONTH_FIRST, NUMBER, ROW, Column, read_as
from expectations.errors import BatchError
from expectations.kinds import Holds, Kind, kind_named, may_be_a_grade, recognise
from expectations.readers import Part, check_same_columns, read, read_table
from expectations.sources import Found, find_sources, fingerprint
from expectations.sql import Bound, literal, quoted

_AS_TEXT = frozenset({"UUID", "JSON", '"NULL"'})
"""Types that are read as text: two are text for all that rules ask, one (all of pandas' None) holds no value at all."""
_MEMORY, _MEMORY_A_COLUMN = 600, 0.5
"""Megabytes for DuckDB's own buffers; beyond them, it spills to scratch. A scan takes a buffer for each column."""

_HEARTBEAT = 0.2
"""Seconds at most from Ctrl-C until it is noticed."""

Result = TypeVar("Result")

log = logging.getLogger("shopmon.batch")


@dataclass(frozen=True)
class Source:
    """One file, address or table of a batch."""

    name: str
    format: str
    rows: int
    """Records in it, unreadable ones included."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Function:
    """A Python function that SQL may call: Arrow arrays in, an Arrow array out."""

    name: str
    """In SQL."""
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    """DuckDB's types."""
    returns: str


@dataclass(frozen=True)
class Shape:
    """What a batch is apart from its rows: with it, some of the rows are read elsewhere as they are here."""

    kind: str
    mapping: Mapping[str, str]
    own_columns: tuple[Column, ...]
    columns: Mapping[str, Column]
    """Every name a rule may use, and what it means."""
    view: str
    """SQL that lays the relation `batch` over the relation `records`."""
    functions: Mapping[str, Function]
    """What SQL may call, by key."""


class Batch:
    """A batch, opened: the relation `batch` of a DuckDB connection, and what is known about it.

    The relation has `__shopmon_file` (index into `parts`), `__shopmon_row` (1 is the first record) and a column for
    every name a rule may use; `column(name)` says under which SQL name. The table `unreadable` holds the records that
    could not be read: file, row, reason and raw bytes.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, parts: Sequence[Part], scratch: Path) -> None:
        self.connection = connection
        self.parts = tuple(parts)
        self.scratch = scratch
        self.kind: str = ""
        self.mapping: dict[str, str] = {}
        self.own_columns: tuple[Column, ...] = ()
        self.notes: tuple[str, ...] = tuple(note for part in parts for note in part.notes)
        self._by_name: dict[str, Column] = {}
        self._by_column: dict[str, list[str]] = {}
        self._hashes: list[Future[str]] = []
        self._functions: dict[str, Function] = {}
        self._view = ""
        self.count_values: Callable[[str, str, Bound, int | None], dict[Any, int]] = self._count_values
        """Who answers `value_counts`: this machine, unless the rows lie on many."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="shopmon-duckdb")
        self.watched: Callable[[float], None] = lambda _: None
        """Told now and then which share (0–1) of a statement DuckDB has done, as far as it can say."""

    @property
    def rows(self) -> int:
        """Records that arrived, unreadable ones included."""
        return self.readable + self.unreadable

    @property
    def readable(self) -> int:
        """Rows of the relation `batch`."""
        return sum(part.rows for part in self.parts)

    @property
    def unreadable(self) -> int:
        """Rows of the table `unreadable`."""
        return sum(part.rejected_rows for part in self.parts)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What was read, with the hash of its bytes; waits for hashing to end."""
        return tuple(
            Source(
                name=part.found.name,
                format=str(part.found.format),
                rows=part.rows + part.rejected_rows,
                bytes=part.found.path.stat().st_size if part.found.path else 0,
                sha256=digest.result(),
            )
            for part, digest in zip(self.parts, self._hashes, strict=True)
        )

    def column(self, name: str) -> Column | None:
        """The column that a rule means: a role of the kind first, else the file's own."""
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a rule may use."""
        return tuple(self._by_name)

    def names_of(self, column: Column) -> tuple[str, ...]:
        """The names under which a rule finds exactly this column, in the order of `names`."""
        return tuple(self._by_column.get(column.sql, ()))

    def rows_of(self, sql: str, bound: Bound | None = None) -> list[tuple[Any, ...]]:
        """Run SQL with the bound values it names, and take its rows whole: DuckDB does nothing else until they are."""
        return self._stoppable(lambda: self._execute(sql, bound).fetchall())

    def row_of(self, sql: str, bound: Bound | None = None) -> tuple[Any, ...]:
        """The one row of a query that has exactly one."""
        (row,) = self.rows_of(sql, bound)
        return row

    def table_of(self, sql: str) -> Any:
        """The rows of a query without bound values, as an Arrow table."""
        return self._stoppable(lambda: self.connection.sql(sql).to_arrow_table())

    def arrow_of(self, sql: str, bound: Bound, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query as Arrow batches of at most so many; nothing else may be asked until they are taken."""
        yield from self.connection.sql(sql, params=bound.used_in(sql) or None).to_arrow_reader(rows)

    def query(self, sql: str, bound: Bound | None = None) -> duckdb.DuckDBPyConnection:
        """Run SQL and leave its result to the caller, who must take it whole."""
        return self._stoppable(lambda: self._execute(sql, bound))

    def _execute(self, sql: str, bound: Bound | None) -> duckdb.DuckDBPyConnection:
        values = bound.used_in(sql) if bound else {}
        return self.connection.execute(sql, values or None)

    def _stoppable(self, work: Callable[[], Result]) -> Result:
        """Have DuckDB work in a thread of its own, and stop it at Ctrl-C, which it does not always notice itself."""
        working = self._worker.submit(work)
        try:
            # Woken now and then: the system may hand the signal to a thread of DuckDB's, and a lock never hears of it.
            while wait([working], timeout=_HEARTBEAT).not_done:
                share = self.connection.query_progress()  # -1 where DuckDB cannot say
                if share >= 0:
                    self.watched(share / 100)
            return working.result()
        except KeyboardInterrupt:
            self.connection.interrupt()
            wait([working])
            raise

    def value_counts(self, values: str, where: str, bound: Bound, most: int | None = None) -> dict[Any, int]:
        """How often each value of an SQL expression stands in the rows that meet a condition; of `most` values at most.

        An expression may be `unnest(…)`. Null is a value, too.
        """
        return self.count_values(values, where, bound, most)

    def _count_values(self, values: str, where: str, bound: Bound, most: int | None) -> dict[Any, int]:
        return dict(self.rows_of(value_counts_sql(values, where, most), bound))

    def register(self, key: str, function: Callable[..., Any], arguments: Sequence[str], returns: str) -> str:
        """The SQL name of a vectorised Python function (Arrow in, Arrow out); made known once for a key."""
        if key not in self._functions:
            made = Function(f"python_{len(self._functions)}", function, tuple(arguments), returns)
            self._make_known(made)
            self._functions[key] = made
        return self._functions[key].name

    def _make_known(self, made: Function) -> None:
        self.connection.create_function(
            made.name, made.function, list(made.arguments), made.returns, type="arrow", null_handling="special"
        )  # type: ignore[call-overload]

    @property
    def shape(self) -> Shape:
        """What there is to know of the batch so far without its rows."""
        return Shape(
            self.kind, dict(self.mapping), self.own_columns, dict(self._by_name), self._view, dict(self._functions)
        )

    def take_shape(self, shape: Shape) -> None:
        """Lay the relation `batch` over `records` as another batch did, of which these are some rows."""
        self.kind, self.mapping, self.own_columns = shape.kind, dict(shape.mapping), shape.own_columns
        for made in shape.functions.values():
            self._make_known(made)
        self._functions = dict(shape.functions)
        self._name_columns(shape.columns, shape.view)

    def _name_columns(self, columns: Mapping[str, Column], view: str) -> None:
        self._by_name, self._view = dict(columns), view
        self._by_column = {}
        for name, column in self._by_name.items():
            self._by_column.setdefault(column.sql, []).append(name)
        self.rows_of(view)

    def close(self) -> None:
        """Let go of the relation and its functions."""
        for made in self._functions.values():
            with suppress(duckdb.Error):  # after a fatal error DuckDB refuses everything but to be closed
                self.connection.remove_function(made.name)
        self._worker.shutdown()
        self.connection.close()


@contextmanager
def open_batch(
    inputs: Any,
    *,
    scratch: Path,
    kind: str | None = None,
    columns: Mapping[str, Mapping[str, str]] | Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    hashes: Callable[[Sequence[Found]], Sequence[Future[str]]] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Batch]:
    """Open files, folders, globs, addresses, database tables or an in-memory table as one batch.

    `columns` maps the file's own names to roles, either for the kind at hand or per kind
    (`{"reviews": {"Content": "text"}}`). Parquet is read in place; everything else is parsed once into `scratch`,
    because narrow scans would otherwise parse it again. `hashes` is asked for the SHA-256 of each source, before any is
    read, in place of a thread of this process.

    Raises BatchError for whatever cannot be read, and for a batch without a single row.
    """
    if kind is not None:
        kind_named(kind)
    found = _found(inputs, scratch, progress)
    given = None if hashes is None else list(hashes(found))
    parts = _read(inputs, found, scratch, encoding, delimiter, progress)
    connection = duckdb.connect()
    batch = Batch(connection, parts, scratch)
    hashing = ThreadPoolExecutor(1, thread_name_prefix="shopmon-hash")
    try:
        # Hashing reads each file once more; a thread does it while Great Expectations is being imported.
        batch._hashes = given if given is not None else [hashing.submit(fingerprint, part.found) for part in parts]
        _prepare(batch)
        _refuse_nothing(batch)
        _take_columns(batch, kind, columns or {})
        yield batch
    except duckdb.OutOfMemoryException as error:
        raise BatchError(
            f"DuckDB ran out of memory: {str(error).strip().splitlines()[0]}",
            advice="Free space for spilling in the scratch folder, or check fewer columns at once.",
        ) from error
    except duckdb.Error as error:
        damaged = _damaged(parts)
        if damaged is None:
            raise
        raise damaged from error
    finally:
        hashing.shutdown(cancel_futures=True)
        batch.close()


def _found(inputs: Any, scratch: Path, progress: Callable[[str], None]) -> tuple[Found, ...]:
    """The files and tables behind addresses; none of a table in memory."""
    if hasattr(inputs, "__arrow_c_stream__"):
        return ()
    return find_sources([inputs] if isinstance(inputs, str | Path) else list(inputs), scratch, progress)


def _read(
    inputs: Any,
    found: Sequence[Found],
    scratch: Path,
    encoding: str | None,
    delimiter: str | None,
    progress: Callable[[str], None],
) -> list[Part]:
    if not found:
        return [read_table(inputs, scratch)]
    several = len(found) > 1  # of which some may be empty; all of them may not, and `_refuse_nothing` says so
    parts = [
        read(one, scratch, encoding=encoding, delimiter=delimiter, allow_empty=several, progress=progress)
        for one in found
    ]
    check_same_columns(parts)
    return parts


def _damaged(parts: Sequence[Part]) -> BatchError | None:
    """The error about the first file whose pages cannot be read: its footer, which was read at first, may be fine."""
    for part in parts:
        with duckdb.connect() as connection:
            connection.execute("set enable_progress_bar = false")
            try:
                connection.execute(f"select max(hash(t)) from {_scan_sql([part])} t").fetchall()
            except duckdb.Error as error:
                return BatchError(
                    f"{part.found.name} is damaged: {str(error).strip().splitlines()[0]}",
                    advice="Write or deliver it again, and compare its size with the sender's.",
                )
    return None


def value_counts_sql(values: str, where: str, most: int | None = None) -> str:
    """SQL: each value of an expression (`k`) and how often it stands in the rows that meet a condition (`n`)."""
    limit = "" if most is None else f" limit {most}"
    return f"select k, count(*) as n from (select {values} as k from batch where {where}) group by k{limit}"


def settle(con: duckdb.DuckDBPyConnection, scratch: Path, columns: int) -> None:
    """Set what every connection that reads a batch of so many columns has in common."""
    con.execute(f"set memory_limit = '{_MEMORY + round(_MEMORY_A_COLUMN * columns)}MB'")
    con.execute("set temp_directory = $folder", {"folder": str(scratch / "spill")})
    con.execute("set max_expression_depth = 20000")  # of a table with thousands of columns
    con.execute("set preserve_insertion_order = false")
    con.execute("set enable_progress_bar = true")  # else DuckDB does not know how far a statement is
    con.execute("set enable_progress_bar_print = false")  # it would be drawn on standard output, amid our answer
    # No row may be skipped on the word of a file's statistics: writers leave NaN out of them, and DuckDB 2.0 then
    # drops rows from `where isnan(x)`.
    con.execute("set disabled_optimizers = 'statistics_propagation,filter_pushdown'")
    con.execute("set TimeZone = 'UTC'")  # what a date means must not depend on where the check runs


def _prepare(batch: Batch) -> None:
    con = batch.connection
    settle(con, batch.scratch, max(len(part.columns) for part in batch.parts))
    con.execute("create table unreadable (file integer, row bigint, reason varchar, raw blob)")
    for index, part in enumerate(batch.parts):
        if part.rejected is not None:
            con.execute(
                "insert into unreadable select $file, row, reason, raw from read_parquet($path)",
                {"file": index, "path": str(part.rejected)},
            )


def _refuse_nothing(batch: Batch) -> None:
    if batch.rows == 0:
        names = ", ".join(part.found.name for part in batch.parts)
        raise BatchError(f"{names} holds no rows", advice="Zero rows examined is never a pass: give a file with rows.")
    if batch.readable == 0:
        reason, count = batch.row_of("select reason, count(*) from unreadable group by all order by 2 desc limit 1")
        raise BatchError(
            f"none of the {batch.rows:,} records could be read; {count:,} times: {reason}",
            advice="Check the encoding (--encoding) and the delimiter (--delimiter).",
        )


def _take_columns(batch: Batch, kind: str | None, columns: Mapping[str, Any]) -> None:
    """Recognise the kind, then lay the relation `batch` over the records."""
    batch.rows_of(f"create view records as {_records_sql(batch.parts)}")
    stored = _stored_columns(batch)
    kind, given = _given(kind, columns, stored)
    _check_readable(stored, given)
    recognised = recognise(_recognisable(batch, stored), kind=kind, given=given)
    batch.kind, batch.mapping = recognised.kind.name, recognised.mapping
    _lay_view(batch, stored, recognised.kind)
    batch.notes += tuple(_unfitting(columns, given, recognised.kind, stored))
    if closed := [column for column in stored if column.holds is None]:
        batch.notes += (_not_looked_into(closed),)


def _check_readable(stored: Sequence[Column], given: Mapping[str, str]) -> None:
    for column in stored:
        if column.name in given and column.holds is None:
            raise BatchError(
                f"column {column.name!r} holds {column.type}, which cannot be the {given[column.name]}",
                advice="Write it as text, numbers or dates: flatten what is nested into columns of their own.",
            )


def _not_looked_into(closed: Sequence[Column], most: int = 5) -> str:
    listed = ", ".join(f"{column.name!r} ({column.type})" for column in closed[:most])
    more = f" and {len(closed) - most:,} more" if len(closed) > most else ""
    return f"no rule looks into {listed}{more}: neither text nor numbers nor dates"


def _per_kind(columns: Mapping[str, Any]) -> bool:
    return bool(columns) and all(isinstance(value, Mapping) for value in columns.values())


def _given(
    kind: str | None, columns: Mapping[str, Any], stored: Sequence[Column]
) -> tuple[str | None, Mapping[str, str]]:
    """The mapping that holds for this batch. The one of several whose columns it has settles the kind as well."""
    if not _per_kind(columns):
        return kind, columns
    if kind is not None:
        return kind, columns.get(kind, {})
    names = {column.name for column in stored}
    fitting = [(name, mapping) for name, mapping in columns.items() if mapping and set(mapping) <= names]
    return fitting[0] if len(fitting) == 1 else (None, {})


def _unfitting(
    columns: Mapping[str, Any], given: Mapping[str, str], kind: Kind, stored: Sequence[Column]
) -> Iterator[str]:
    """A mapping of this very kind that was left aside because a column is missing must not be left aside silently."""
    mapping = columns.get(kind.name) if _per_kind(columns) else None
    if mapping and not given:
        missing = [own for own in mapping if own not in {column.name for column in stored}]
        if missing:
            yield f"[data.{kind.name}.columns] was not used: the batch has no column {missing[0]!r}"


def _scan_sql(parts: Sequence[Part]) -> str:
    """SQL: all parts as one table function. A folder called `brand=nike` is no reason for another column."""
    paths = ", ".join(literal(str(part.path)) for part in parts)
    return f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"


def _records_sql(parts: Sequence[Part]) -> str:
    row_column = parts[0].row_column
    number = quoted(row_column) if row_column else "file_row_number + 1"
    hidden = f"exclude ({quoted(row_column)})" if row_column else ""
    _check_addresses(parts)
    as_text = ", ".join(f"{quoted(name)}::varchar as {quoted(name)}" for name in _read_as_text(parts))
    replaced = f"replace ({as_text})" if as_text else ""
    address = f"file_index::integer as {FILE}, ({number})::bigint as {ROW}"
    return f"select {address}, * {hidden} {replaced} from {_scan_sql(parts)}"


def _read_as_text(parts: Sequence[Part]) -> list[str]:
    types: dict[str, set[str]] = {}
    for part in parts:
        for name, kind in part.columns:
            types.setdefault(name, set()).add(kind)
    return [name for name, kinds in types.items() if kinds <= _AS_TEXT]


def _check_addresses(parts: Sequence[Part]) -> None:
    """Refuse columns that would hide those by which DuckDB tells a row's file and number."""
    hiding = ("file_index",) if parts[0].row_column else ("file_index", "file_row_number")
    for name, _ in parts[0].columns:
        if name.lower() in hiding:
            raise BatchError(
                f"column {name!r} in {parts[0].found.name} has a name that DuckDB keeps for itself", advice="Rename it."
            )


def _stored_columns(batch: Batch) -> tuple[Column, ...]:
    described = [(d[0], d[1]) for d in batch.rows_of("describe records") if d[0] not in (FILE, ROW)]
    return tuple(Column(name, f"c{i}", kind) for i, (name, kind) in enumerate(described))


def _recognisable(batch: Batch, stored: Sequence[Column]) -> dict[str, Holds | None]:
    """What each column holds; text is looked into where it may be a grade, since CSV has nothing but text."""
    texts = [column for column in stored if column.holds is Holds.TEXT and may_be_a_grade(column.name)]
    numeric: set[str] = set()
    if texts:
        looks = ", ".join(f"coalesce(bool_and(regexp_full_match({quoted(c.name)}, '{NUMBER}')), false)" for c in texts)
        row = batch.row_of(f"select {looks} from (from records limit 1000)")
        numeric = {c.name for c, number in zip(texts, row, strict=True) if number}
    return {column.name: Holds.NUMBER if column.name in numeric else column.holds for column in stored}


def _lay_view(batch: Batch, stored: Sequence[Column], kind: Kind) -> None:
    selected = [FILE, ROW, *(f"{quoted(c.name)} as {c.sql}" for c in stored)]
    by_name = {c.name: c for c in stored}
    for index, (role_name, own) in enumerate(batch.mapping.items()):
        role, column = kind.role(role_name), by_name[own]
        if role is None:  # recognise() only answers with the kind's roles
            raise AssertionError(role_name)
        reading = read_as(role, column, partial(_day_comes_first, batch))
        if reading is None:
            batch._by_name[role_name] = Column(role_name, column.sql, column.type)
        else:
            sql, duck_type = reading
            selected.append(f"{sql} as r{index}")
            batch._by_name[role_name] = Column(role_name, f"r{index}", duck_type)
            if column.holds is Holds.TEXT:
                written = f"{role_name}_as_written"
                batch._by_name[written] = Column(written, column.sql, column.type)
    for column in stored:
        if batch.mapping.get(column.name) != column.name:  # else a role reads this very column, under its own name
            batch._by_name[_free_name(column.name, batch._by_name)] = column
    batch.own_columns = tuple(stored)
    batch._name_columns(batch._by_name, f"create view batch as select {', '.join(selected)} from records")


def _free_name(name: str, taken: Mapping[str, Column]) -> str:
    """A column that is called like a role for which another was taken: rules may name it `NAME (of the file)`."""
    while name in taken:
        name += " (of the file)"
    return name


def _day_comes_first(batch: Batch, own: str) -> bool:
    """Whether day or month comes first in written dates: what reads more of the first rows."""
    sample = f"(select {own} as d from records where {own} is not null limit 10000)"
    day, month = batch.row_of(
        f"select count(try_strptime(d, {list(DAY_FIRST)})), count(try_strptime(d, {list(MONTH_FIRST)})) from {sample}"
    )
    return bool(day > month)
