"""How does a table of PostgreSQL get into parquet without becoming Python objects on the way?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.types as arrow

from expectations.scratch_parquet import ROW_GROUP_ROWS, ScratchParquet, Written
from expectations.sql import quoted

if TYPE_CHECKING:
    import sqlalchemy as sa

BLOCK = 4 << 20
"""Bytes that are parsed at a time, and no more rows than a row group has: memory depends on this and on the longest
row, never on the table."""

_SESSION = (
    # How values are written must not depend on the server's settings; DateStyle's second word says how dates are read.
    "set local time zone 'UTC'",
    "set local datestyle = 'ISO, YMD'",
    "set local intervalstyle = 'postgres'",
    "set local extra_float_digits = 3",  # every float comes back as it was
)
_BEGIN, _END = "'0001-01-01'", "'10000-01-01'"
"""What Python can hold of time; `infinity` lies beyond."""


def begin(connection: sa.Connection) -> sa.Connection:
    """Begin a transaction in which everything is seen as of one moment and nothing can be written."""
    seen = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    for setting in _SESSION:
        seen.exec_driver_sql(setting)
    return seen


def copy_postgresql_table(
    connection: sa.Connection, table: sa.Table, name: str, scratch: Path, progress: Callable[[int], None]
) -> Written:
    """Stream a table or view by `COPY … TO STDOUT`, ordered by its primary key if it has one, into parquet.

    `connection` comes from `begin`. The server writes CSV and Arrow parses it, block by block. A row with a value that
    its column's type cannot hold here (NaN in a `numeric` of fixed digits, a time that is infinite or outside the years
    1 to 9999, text that is not UTF-8) is rejected, with that value as text.

    Raises psycopg.Error when the server refuses or goes away; then nothing is left in `scratch`.
    """
    columns = [_column(column) for column in table.columns]
    schema = pa.schema([(column.name, column.type) for column in columns])
    texts = [repr(column.name) for column in columns if column.as_text]
    notes = [f"{name}: {', '.join(texts)} {'is' if len(texts) == 1 else 'are'} read as text"] if texts else []
    reader = _Reader(columns)
    if connection.exec_driver_sql("show server_encoding").scalar() == "SQL_ASCII":
        # Its text may be anything: as it is, not converted, so that only the rows that are no UTF-8 are lost.
        connection.exec_driver_sql("set local client_encoding = 'SQL_ASCII'")
    with ScratchParquet(scratch, schema, progress) as out, _copying(connection, _copy_sql(columns, table)) as copy:
        for block in _blocks(copy):
            reader.take(out, block)
        return out.written(notes)


# --- which columns, and as what -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    name: str
    sql: str
    """What the server is asked to write."""
    type: pa.DataType
    unfit: str | None = None
    """SQL: whether a value has no place in `type`; None where all have."""
    as_text: bool = False
    """Whether the values are text only because Arrow has no better type."""

    @property
    def written_as(self) -> pa.DataType:
        """The type in which Arrow's CSV reader takes it."""
        return pa.string() if arrow.is_large_binary(self.type) else self.type


def _column(column: sa.Column[Any]) -> _Column:
    import sqlalchemy as sa

    name, own, kind = column.name, quoted(column.name), _base(column.type)
    if isinstance(kind, sa.Boolean):
        return _Column(name, own, pa.bool_())
    if isinstance(kind, sa.Integer):
        return _Column(name, own, pa.int64())
    if isinstance(kind, sa.Float):
        return _Column(name, own, pa.float64())
    if isinstance(kind, sa.Numeric) and kind.precision is not None and kind.scale is not None:
        if 0 <= kind.scale <= kind.precision <= 38:
            return _fitting(name, pa.decimal128(kind.precision, kind.scale), unfit=f"{own} = 'NaN'")
    elif isinstance(kind, sa.DateTime):
        return _timely(name, pa.timestamp("us", tz="UTC" if kind.timezone else None))
    elif isinstance(kind, sa.Date):
        return _timely(name, pa.date32())
    elif isinstance(kind, sa.LargeBinary):
        return _Column(name, f"encode({own}, 'hex')", pa.large_binary())
    elif isinstance(kind, sa.String) and not isinstance(kind, sa.Enum):
        # As text, `character(n)` loses the blanks that PostgreSQL fills it with.
        return _Column(name, f"{own}::text", pa.string())
    return _Column(name, f"{own}::text", pa.string(), as_text=True)


def _base(kind: Any) -> Any:
    """The type that a domain restricts."""
    from sqlalchemy.dialects.postgresql import DOMAIN

    while isinstance(kind, DOMAIN):
        kind = kind.data_type
    return kind


def _timely(name: str, kind: pa.DataType) -> _Column:
    own = quoted(name)
    return _fitting(name, kind, unfit=f"not ({own} >= {_BEGIN} and {own} < {_END})")


def _fitting(name: str, kind: pa.DataType, *, unfit: str) -> _Column:
    own = quoted(name)
    return _Column(name, f"case when {unfit} then null else {own} end", kind, unfit)


def _copy_sql(columns: Sequence[_Column], table: sa.Table) -> str:
    place = ".".join(quoted(part) for part in (table.schema, table.name) if part)
    asked = [column.sql for column in columns]
    picky = [(number, column) for number, column in enumerate(columns) if column.unfit]
    if picky:  # which column does not fit, and what it holds
        asked.append(_case(f"when {column.unfit} then {number}" for number, column in picky))
        asked.append(_case(f"when {column.unfit} then {quoted(column.name)}::text" for _, column in picky))
    order = ", ".join(quoted(column.name) for column in table.primary_key.columns)
    ordered = f" order by {order}" if order else ""
    return f"copy (select {', '.join(asked)} from {place}{ordered}) to stdout (format csv)"


@contextmanager
def _copying(connection: sa.Connection, sql: str) -> Iterator[Any]:
    """What the server sends; when the block ends early, so does the connection, and with it what the server does."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            yield copy
    except BaseException as error:
        connection.invalidate()
        # While psycopg waits for the first row, Ctrl-C becomes an error about the statement that it interrupts.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def _case(whens: Iterator[str]) -> str:
    return f"case {' '.join(whens)} end"


# --- rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """Rows as the server wrote them."""

    written: bytearray
    ends: list[int]
    """Where each row ends."""

    def halves(self) -> tuple[_Block, _Block]:
        middle = len(self.ends) // 2
        end = self.ends[middle - 1]
        second = [other - end for other in self.ends[middle:]]
        return _Block(self.written[:end], self.ends[:middle]), _Block(self.written[end:], second)


def _blocks(copy: Any) -> Iterator[_Block]:
    """The rows, so many at a time; each of the server's messages is one row."""
    block = _Block(bytearray(), [])
    for row in copy:
        # Not kept as objects of their own: making and joining a million of them costs as much as parsing them.
        block.written.extend(row)
        block.ends.append(len(block.written))
        if block.ends[-1] >= BLOCK or len(block.ends) >= ROW_GROUP_ROWS:
            yield block
            block = _Block(bytearray(), [])
    if block.ends:
        yield block


class _Reader:
    """Puts blocks of rows into the right columns."""

    def __init__(self, columns: Sequence[_Column]) -> None:
        self._columns = columns
        self._types = [column.written_as for column in columns]
        if any(column.unfit for column in columns):
            self._types += [pa.int32(), pa.string()]

    def take(self, out: ScratchParquet, block: _Block) -> None:
        """Add the rows of a block, and reject those that cannot be read."""
        rows = len(block.ends)
        try:
            arrays = self._parsed(block.written, self._types)
        except pa.ArrowInvalid as error:  # as of a row that holds no UTF-8: all others of the block can be read
            if rows == 1:
                self._reject(out, bytes(block.written), error)
            else:
                for half in block.halves():
                    self.take(out, half)
            return
        first = out.rows + out.rejected_rows + 1
        numbers = pa.array(np.arange(first, first + rows, dtype=np.int64))
        values = arrays[: len(self._columns)]
        if len(arrays) > len(values) and arrays[-2].null_count < rows:
            numbers, values = self._without_unfit(out, numbers, values, *arrays[-2:])
        if len(numbers):
            out.add(numbers, [_decoded(array, column) for array, column in zip(values, self._columns, strict=True)])

    def _parsed(self, written: bytes | bytearray, types: Sequence[pa.DataType]) -> list[pa.Array]:
        names = [str(number) for number in range(len(types))]
        read = pa.csv.read_csv(
            pa.BufferReader(written),
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=len(written) + 1, column_names=names),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict(zip(names, types, strict=True)),
                null_values=[""],  # an empty text is written with quotes
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        return [column.combine_chunks() for column in read.columns]

    def _without_unfit(
        self, out: ScratchParquet, numbers: pa.Array, values: list[pa.Array], which: pa.Array, held: pa.Array
    ) -> tuple[pa.Array, list[pa.Array]]:
        fits = which.is_null()
        unfit = [array.filter(which.is_valid()).to_pylist() for array in (numbers, which, held)]
        for number, index, value in zip(*unfit, strict=True):
            column = self._columns[index]
            out.reject(number, f"column {column.name!r} holds a value that is no {column.type}", value.encode())
        return numbers.filter(fits), [array.filter(fits) for array in values]

    def _reject(self, out: ScratchParquet, row: bytes, error: pa.ArrowInvalid) -> None:
        number = out.rows + out.rejected_rows + 1
        for column, value in zip(self._columns, self._parsed(row, [pa.binary()] * len(self._types)), strict=False):
            raw = value[0].as_py()
            if raw is not None and not _is_utf_8(raw):
                out.reject(number, f"column {column.name!r} holds text that is not UTF-8", raw)
                return
        out.reject(number, f"the row cannot be read: {error}", row)


def _decoded(array: pa.Array, column: _Column) -> pa.Array:
    if not arrow.is_large_binary(column.type):
        return array
    values = [None if value is None else bytes.fromhex(value) for value in array.to_pylist()]
    return pa.array(values, pa.large_binary())


def _is_utf_8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
