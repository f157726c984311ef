"""What does this table of a database say, record by record?"""

from __future__ import annotations

import difflib
import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from expectations.addresses import display_name, without_secrets
from expectations.column_names import check_names
from expectations.errors import BatchError
from expectations.postgresql_table import begin, copy_postgresql_table
from expectations.scratch_parquet import ScratchParquet, Written

if TYPE_CHECKING:
    import sqlalchemy as sa

BATCH = 10_000
"""Rows fetched at a time."""

_POSTGRESQL = "postgresql+psycopg"
"""The driver that comes with shopmon."""

_PATIENCE: dict[str, int | str] = {
    "connect_timeout": 15,
    # A server whose machine went away would otherwise be waited for for two hours: this finds out after a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""How long a server may say nothing (seconds), in libpq's words."""


def read_database_table(url: str, table: str, scratch: Path, progress: Callable[[int], None]) -> Written:
    """Copy one table or view into parquet as a stream, ordered by its primary key if it has one.

    A database is only read, and as of one moment; an SQLite file is opened read-only and never created. SQLite's
    columns are typed by what is stored in them, since it lets any column hold anything. Values of types that Arrow
    lacks (intervals, arrays, JSON …) are kept as the database writes them as text. A row with a value that does not fit
    is rejected, with that value as text.

    Raises BatchError, without secrets, for a missing driver, a refused or lost connection, and an unknown database or
    table; then nothing is left in `scratch`.
    """
    import sqlalchemy as sa  # half a second that files need not pay

    name = display_name(f"{url}::{table}")
    try:
        engine = _engine(url)
    except ImportError as error:
        package = (error.name or "a driver").partition(".")[0]
        raise BatchError(
            f"{name} needs a database driver that is not installed", advice=f"pip install {package}"
        ) from None
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError) as error:
        raise BatchError(
            f"{name} is no database URL that can be read: {without_secrets(error, url)}",
            advice="Expected is sqlite:///PATH::TABLE or postgresql://USER:PASSWORD@HOST/DATABASE::TABLE.",
        ) from None
    try:
        with engine.connect() as connection:
            return _copy(connection, table, name, scratch, progress)
    except (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        cause = str(getattr(error, "orig", None) or error)
        raise BatchError(f"{name} could not be read: {without_secrets(cause, url)}", advice=_advice(cause)) from None
    finally:
        engine.dispose()


_ADVICE = (
    (
        "closed the connection|terminating connection|connection (is|was) (lost|closed)|connection reset|EOF detected",
        "The connection was lost on the way, and nothing of the table was kept. Check it again once the server runs.",
    ),
    ("permission denied", "Let this user read the table: GRANT SELECT, and GRANT USAGE on its schema."),
    (
        "statement timeout|conflict with recovery",
        "Let statements of this user take longer, or read when less goes on.",
    ),
)
"""What a driver's message shows (in lower or upper case), and what to do about it."""


def _advice(message: str) -> str:
    for pattern, advice in _ADVICE:
        if re.search(pattern, message, re.IGNORECASE):
            return advice
    return "Check that the database runs, the user and the password, and the name of the database."


def _engine(url: str) -> sa.Engine:
    import sqlalchemy as sa

    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return sa.create_engine("sqlite://", creator=lambda: _read_only_sqlite(parsed.database), poolclass=sa.NullPool)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername=_POSTGRESQL)
    arguments = {}
    if parsed.get_backend_name() == "postgresql":
        arguments = {name: value for name, value in _PATIENCE.items() if name not in parsed.query}
        arguments["client_encoding"] = "utf8"  # a database without an encoding (SQL_ASCII) would answer in bytes
    return sa.create_engine(parsed, connect_args=arguments, poolclass=sa.NullPool)


def _read_only_sqlite(path: str | None) -> sqlite3.Connection:
    if not path or path == ":memory:":
        raise BatchError(
            "an SQLite database in memory holds no tables yet", advice="Name a file: sqlite:///PATH::TABLE."
        )
    if not Path(path).exists():
        raise BatchError(
            f"the SQLite file {path} does not exist", advice="Check the path (absolute ones have four slashes)."
        )
    connection = sqlite3.connect(f"file:{quote(str(Path(path).resolve()))}?mode=ro", uri=True)
    # Text that is not UTF-8 would otherwise end the whole reading; so its row is rejected instead.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return connection


# --- which table, which columns -------------------------------------------------------------------------------------


def _copy(connection: sa.Connection, table: str, name: str, scratch: Path, progress: Callable[[int], None]) -> Written:
    import sqlalchemy as sa

    postgresql = f"{connection.dialect.name}+{connection.dialect.driver}" == _POSTGRESQL
    if postgresql:
        connection = begin(connection)
    reflected = _reflected(connection, table, name)
    names = [column.name for column in reflected.columns]
    check_names(names, name)
    if postgresql:
        return copy_postgresql_table(connection, reflected, name, scratch, progress)
    sqlite = connection.dialect.name == "sqlite"
    columns = _stored(connection, reflected, name) if sqlite else [_declared(column) for column in reflected.columns]
    query = sa.select(*[column.expression for column in columns]).order_by(*reflected.primary_key.columns)
    schema = pa.schema([(column_name, column.type) for column_name, column in zip(names, columns, strict=True)])
    texts = [repr(n) for n, column in zip(names, columns, strict=True) if column.as_text]
    notes = [f"{name}: {', '.join(texts)} {'is' if len(texts) == 1 else 'are'} read as text"] if texts else []
    streaming = connection.execution_options(stream_results=True, yield_per=BATCH)
    with ScratchParquet(scratch, schema, progress) as out, closing(streaming.execute(query)) as result:
        for rows in result.partitions():
            _take(out, schema, [column.convert for column in columns], rows)
        return out.written(notes)


def _reflected(connection: sa.Connection, table: str, name: str) -> sa.Table:
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    schema: str | None = None
    if not inspector.has_table(table) and "." in table:
        schema, table = next(
            (split for split in _splits(table) if inspector.has_table(split[1], schema=split[0])), _splits(table)[0]
        )
    if not inspector.has_table(table, schema=schema):
        there = sorted({*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)})
        near = difflib.get_close_matches(table, there, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(there[:8]) or 'no tables'}"
        raise BatchError(
            f"there is no table {table!r} in the database of {name}; {hint}", advice="Check the name after ::."
        )
    return sa.Table(table, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)


def _splits(name: str) -> list[tuple[str, str]]:
    """Every way to read a name with dots as that of a schema and of a table in it."""
    dots = [place for place, character in enumerate(name) if character == "."]
    return [(name[:dot], name[dot + 1 :]) for dot in dots]


@dataclass(frozen=True)
class _Column:
    expression: sa.ColumnElement[Any]
    type: pa.DataType
    as_text: bool = False
    """Whether the values are text only because Arrow has no better type, or because they are mixed."""
    convert: Callable[[Any], Any] | None = None


def _declared(column: sa.Column[Any]) -> _Column:
    """Choose the Arrow type of a column whose database keeps to declared types."""
    import sqlalchemy as sa

    kind = column.type
    if isinstance(kind, sa.Boolean):
        return _Column(column, pa.bool_())
    if isinstance(kind, sa.Integer):
        return _Column(column, pa.int64())
    if isinstance(kind, sa.Float):
        return _Column(sa.type_coerce(column, sa.Float(asdecimal=False)), pa.float64())
    if isinstance(kind, sa.Numeric):
        if kind.precision is not None and kind.scale is not None and 0 <= kind.scale <= kind.precision <= 38:
            return _Column(column, pa.decimal128(kind.precision, kind.scale))
        return _Column(sa.cast(column, sa.Text), pa.string(), as_text=True)  # any number of digits
    if isinstance(kind, sa.DateTime):
        return _Column(column, pa.timestamp("us", tz="UTC" if kind.timezone else None))
    if isinstance(kind, sa.Date):
        return _Column(column, pa.date32())
    if isinstance(kind, sa.LargeBinary):
        return _Column(column, pa.large_binary())
    if isinstance(kind, sa.String) and not isinstance(kind, sa.Enum):
        return _Column(column, pa.string())
    return _Column(sa.cast(column, sa.Text), pa.string(), as_text=True)


def _stored(connection: sa.Connection, table: sa.Table, name: str) -> list[_Column]:
    """Choose the Arrow types of an SQLite table by one look at which kinds of value each column really holds."""
    import sqlalchemy as sa

    kinds: list[str | None] = []
    columns = list(table.columns)
    for start in range(0, len(columns), 500):  # SQLite returns at most 2,000 columns
        look = [sa.func.group_concat(sa.func.typeof(column).distinct()) for column in columns[start : start + 500]]
        kinds += connection.execute(sa.select(*look)).one()
    return [
        _stored_column(column, set((kind or "null").split(",")) - {"null"}, name)
        for column, kind in zip(columns, kinds, strict=True)
    ]


def _stored_column(column: sa.Column[Any], kinds: set[str], name: str) -> _Column:
    import sqlalchemy as sa

    raw = sa.type_coerce(column, sa.types.NullType())  # as stored, whatever the column was declared to be
    if kinds == {"integer"}:
        return _Column(raw, pa.int64())
    if kinds and kinds <= {"integer", "real"}:
        return _Column(raw, pa.float64())
    if kinds == {"blob"}:
        return _Column(raw, pa.large_binary())
    if "blob" in kinds:
        raise BatchError(
            f"column {column.name!r} of {name} holds bytes beside {' and '.join(sorted(kinds - {'blob'}))}",
            advice="Store one kind of value in it.",
        )
    mixed = kinds > {"text"}
    return _Column(raw, pa.string(), as_text=mixed, convert=_text if mixed else None)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else repr(value)


# --- rows -----------------------------------------------------------------------------------------------------------

_DOES_NOT_FIT = (UnicodeEncodeError, pa.ArrowException, OverflowError, TypeError, ValueError)


def _take(
    out: ScratchParquet,
    schema: pa.Schema,
    converters: Sequence[Callable[[Any], Any] | None],
    rows: Sequence[Sequence[Any]],
) -> None:
    first = out.rows + out.rejected_rows + 1
    numbers = list(range(first, first + len(rows)))
    try:
        out.add(pa.array(numbers, pa.int64()), _arrays(schema, converters, rows))
        return
    except _DOES_NOT_FIT:
        good = [i for i, row in enumerate(rows) if not _rejected(out, schema, converters, numbers[i], row)]
    if good:
        fitting = [rows[i] for i in good]
        out.add(pa.array([numbers[i] for i in good], pa.int64()), _arrays(schema, converters, fitting))


def _arrays(
    schema: pa.Schema, converters: Sequence[Callable[[Any], Any] | None], rows: Sequence[Sequence[Any]]
) -> list[pa.Array]:
    columns = zip(*rows, strict=True)
    return [
        pa.array([convert(value) for value in values] if convert else values, kind)
        for values, kind, convert in zip(columns, schema.types, converters, strict=True)
    ]


def _rejected(
    out: ScratchParquet,
    schema: pa.Schema,
    converters: Sequence[Callable[[Any], Any] | None],
    number: int,
    row: Sequence[Any],
) -> bool:
    for column, value, convert in zip(schema, row, converters, strict=True):
        try:
            pa.array([convert(value) if convert else value], column.type)
        except _DOES_NOT_FIT as error:
            why = (
                "text that is not UTF-8"
                if isinstance(error, UnicodeEncodeError)
                else f"a value that is no {column.type}"
            )
            out.reject(number, f"column {column.name!r} holds {why}", _raw(value))
            return True
    return False


def _raw(value: Any) -> bytes:
    """The offending value as the database gave it."""
    return (
        value.encode("utf-8", "surrogateescape") if isinstance(value, str) else json.dumps(value, default=str).encode()
    )
