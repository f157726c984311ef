"""What is in this source, record by record? Everything becomes parquet that DuckDB can scan."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.column_names import ROW, check_names
from expectations.database_table import read_database_table
from expectations.delimited_text import read_delimited
from expectations.errors import BatchError, first_line
from expectations.json_lines import read_json_lines
from expectations.scratch_parquet import ROW_GROUP_ROWS, ScratchParquet, Written
from expectations.sources import Format, Found

log = logging.getLogger("shopmon.readers")

_NULL = '"NULL"'
"""What DuckDB calls the type of a column that holds nothing but nulls, as pandas writes one of nothing but None."""


@dataclass(frozen=True)
class Part:
    """One source of a batch, ready to be scanned."""

    found: Found
    path: Path
    """Parquet: the source itself, or its copy in scratch. The name holds no glob characters."""
    row_column: str | None
    """The column that numbers the records (rejected ones count, too); None: DuckDB's file_row_number + 1."""
    rows: int
    """Records that could be read."""
    rejected: Path | None
    """Parquet of `row`, `reason`, `raw` for the others; None where there are none."""
    rejected_rows: int
    columns: tuple[tuple[str, str], ...]
    """Names and DuckDB types (`VARCHAR`, `BIGINT`, `VARCHAR[]`, `STRUCT(…)`), in the source's order."""
    notes: tuple[str, ...] = ()
    """What a person should know about how it was read."""

    @property
    def records(self) -> int:
        """All that arrived."""
        return self.rows + self.rejected_rows


def _silent(message: str) -> None:
    """Progress that nobody watches."""


def read(
    found: Found,
    scratch: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    allow_empty: bool = False,
    progress: Callable[[str], None] = _silent,
) -> Part:
    """Make one source scannable. Parquet is used in place; anything else is parsed once into parquet in `scratch`.

    `encoding` and `delimiter` concern text files only. No records: BatchError, unless `allow_empty` (one of several
    files may well be empty). Records that cannot be read are rejected, with their bytes and a reason.

    Raises BatchError when the source as a whole cannot be read; then nothing is left in `scratch`.
    """

    def counted(rows: int) -> None:
        progress(f"reading {found.name}: {rows:,} records")

    try:
        if found.format is Format.PARQUET:
            part = _parquet(found, scratch)
        else:
            part = _part(found, _copied(found, scratch, encoding, delimiter, counted))
    except pa.ArrowException as error:  # includes pyarrow's own "out of memory"
        raise BatchError(f"{found.name} cannot be turned into parquet: {first_line(error)}") from error
    except OSError as error:
        raise BatchError(f"{found.name} cannot be read, or scratch not written: {error.strerror or error}") from error
    if not part.records and not allow_empty:
        _remove(part)
        raise BatchError(f"{found.name} has 0 rows, only columns", advice="Was it written completely?")
    for note in part.notes:
        log.info(note)
    return part


def read_table(table: Any, scratch: Path) -> Part:
    """Make a table in memory scannable: pandas, polars, pyarrow, or anything else with `__arrow_c_stream__`.

    A pandas index is left out; name it with `reset_index()` if it is data. No rows: BatchError.

    Raises BatchError for other objects, for columns of mixed types, and for unusable names.
    """
    name = f"{type(table).__module__.partition('.')[0]} {type(table).__name__}"
    found = Found(name=name, format=Format.TABLE)
    if not hasattr(table, "__arrow_c_stream__"):
        raise BatchError(f"got a {name}", advice="Expected is a pandas, polars or Arrow table, or the path of a file.")
    try:
        stream = pa.RecordBatchReader.from_stream(table)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise BatchError(
            f"the {name} cannot be read as a table: {' '.join(str(part) for part in error.args)}",
            advice="Give every column one type (for example with astype(str)) and a name of its own.",
        ) from error
    part = _part(found, _from_batches(stream.schema, stream, found.name, scratch, lambda rows: None))
    if not part.rows:
        _remove(part)
        raise BatchError(f"the {name} has 0 rows", advice="Nothing can be said of no data.")
    return part


def check_same_columns(parts: Sequence[Part]) -> None:
    """Refuse files of one batch whose columns differ in name or type; their order may differ.

    Text files agree in type by nature, and a column without any value (of parquet's type null) agrees with every type.
    Raises BatchError with the first difference.
    """
    first = parts[0]
    here = dict(first.columns)
    told_by = dict.fromkeys(here, first)
    for other in parts[1:]:
        there = dict(other.columns)
        for name in [*here, *there]:
            if name not in there or name not in here:
                having, lacking = (first, other) if name in here else (other, first)
                raise BatchError(
                    f"the files differ: {having.found.name} has a column {name!r}, {lacking.found.name} has none",
                    advice="Check them one by one, or write them with the same columns.",
                )
            if here[name] == _NULL:
                here[name], told_by[name] = there[name], other
            if there[name] not in (here[name], _NULL):
                raise BatchError(
                    f"the files differ: column {name!r} is {here[name]} in {told_by[name].found.name} "
                    f"and {there[name]} in {other.found.name}",
                    advice="Check them one by one, or write them with the same types.",
                )


def _copied(
    found: Found, scratch: Path, encoding: str | None, delimiter: str | None, progress: Callable[[int], None]
) -> Written:
    if found.format is Format.TABLE:
        if found.url is None or found.table is None:
            raise BatchError(f"{found.name} is in memory and has no address to read from")
        return read_database_table(found.url, found.table, scratch, progress)
    path = _path(found)
    if found.format is Format.JSONL:
        return read_json_lines(path, found.name, scratch, encoding=encoding, progress=progress)
    if found.format is Format.ARROW:
        return _arrow(path, found.name, scratch, progress)
    expected = "\t" if found.format is Format.TSV else ","
    return read_delimited(
        path, found.name, scratch, expected=expected, encoding=encoding, delimiter=delimiter, progress=progress
    )


def _part(found: Found, written: Written) -> Part:
    columns = tuple(column for column in _columns(written.path, found.name) if column[0] != ROW)
    return Part(found, written.path, ROW, written.rows, written.rejected, written.rejected_rows, columns, written.notes)


def _columns(path: Path, name: str) -> tuple[tuple[str, str], ...]:
    """Names and types as DuckDB sees them, which is how everything downstream does."""
    with duckdb.connect() as connection:
        try:
            relation = connection.read_parquet(str(path), hive_partitioning=False)
            return tuple(zip(relation.columns, map(str, relation.types), strict=True))
        except duckdb.Error as error:
            raise BatchError(f"{name} cannot be scanned: {first_line(error)}", advice="Write it again.") from error


def _remove(part: Part) -> None:
    """Take back what was written for a source that turned out to be empty; never the source itself."""
    if part.path != part.found.path:
        part.path.unlink(missing_ok=True)


def _path(found: Found) -> Path:
    if found.path is None:
        raise BatchError(f"{found.name} names no file")
    return found.path


# --- parquet --------------------------------------------------------------------------------------------------------


def _parquet(found: Found, scratch: Path) -> Part:
    """Look at the footer only; the rows stay where they are."""
    path = _path(found)
    try:
        with pq.ParquetFile(path) as file:
            names, rows = list(file.schema_arrow.names), file.metadata.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
        raise _broken_parquet(path, found.name, error) from error
    check_names(names, found.name)
    if has_magic(str(path)):  # DuckDB would take `new[1].parquet` for a pattern
        scratch.mkdir(parents=True, exist_ok=True)
        link = scratch / f"{uuid.uuid4().hex}.parquet"
        link.symlink_to(path.resolve())
        path = link
    return Part(found, path, None, rows, None, 0, _columns(path, found.name))


def _broken_parquet(path: Path, name: str, error: Exception) -> BatchError:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 4))
        end = file.read()
    if end == b"PARE" or "encrypt" in str(error).lower():
        return BatchError(f"{name} is encrypted parquet", advice="Decrypt it first; shopmon holds no keys.")
    if end != b"PAR1":
        return BatchError(
            f"{name} is truncated parquet: {size:,} bytes arrived, the last are {end!r} and not b'PAR1'",
            advice="Deliver it again, and compare its size with the sender's.",
        )
    return BatchError(
        f"{name} is corrupt parquet ({size:,} bytes): {first_line(error)}",
        advice="Write or deliver it again.",
    )


# --- Arrow ----------------------------------------------------------------------------------------------------------


def _arrow(path: Path, name: str, scratch: Path, progress: Callable[[int], None]) -> Written:
    with path.open("rb") as file:
        whole = file.read(6) == b"ARROW1"
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source) if whole else pa.ipc.open_stream(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches)) if whole else reader
            return _from_batches(reader.schema, batches, name, scratch, progress)
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise BatchError(
            f"{name} is a truncated or corrupt Arrow file ({path.stat().st_size:,} bytes): {first_line(error)}",
            advice="Deliver it again, and compare its size with the sender's.",
        ) from error


def _from_batches(
    schema: pa.Schema, batches: Iterator[Any], name: str, scratch: Path, progress: Callable[[int], None]
) -> Written:
    """Write Arrow batches to parquet, in types that parquet has."""
    kept = [i for i, column in enumerate(schema.names) if column not in _pandas_index(schema)]
    check_names([schema.names[i] for i in kept], name)
    target = pa.schema([(schema.names[i], _plain(schema.types[i])) for i in kept])
    try:
        with ScratchParquet(scratch, target, progress) as out:
            for batch in batches:
                for start in range(0, batch.num_rows, ROW_GROUP_ROWS):
                    piece = batch.slice(start, ROW_GROUP_ROWS)
                    numbers = pa.array(range(out.rows + 1, out.rows + 1 + piece.num_rows), pa.int64())
                    out.add(numbers, [_cast(piece.column(i), kind) for i, kind in zip(kept, target.types, strict=True)])
            return out.written()
    except pa.ArrowNotImplementedError as error:
        raise BatchError(f"{name} has a column of a type that parquet lacks: {first_line(error)}") from error


def _pandas_index(schema: pa.Schema) -> set[str]:
    """Columns that were a pandas index, by what pandas notes down in the schema."""
    noted = (schema.metadata or {}).get(b"pandas")
    columns = json.loads(noted).get("index_columns", []) if noted else []
    return {column for column in columns if isinstance(column, str)}


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type in which a column is kept: encodings and views become the values they stand for."""
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    if pa.types.is_null(kind) or kind == pa.string_view():
        return pa.string()
    if kind == pa.binary_view():
        return pa.binary()
    return pa.float32() if pa.types.is_float16(kind) else kind


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    return array if array.type == kind else array.cast(kind)
