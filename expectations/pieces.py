"""Into which pieces is a batch cut, and how is one of them opened where it is looked at?

A piece is some row groups of one parquet file: a task reads it from the storage that all machines share, lays the same
relation `batch` over it as the driver did, and asks the same SQL of it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq

from expectations.batch import Batch, Shape, settle
from expectations.columns import FILE, ROW
from expectations.errors import BatchError, ShopmonError, first_line
from expectations.readers import Part
from expectations.sources import Found
from expectations.spark_session import TaskError
from expectations.sql import literal, quoted

PIECE_ROWS = 1_000_000
"""Rows of a piece at most, as far as row groups allow: some seconds of work, and 0.2 GB where they are read twice."""


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of one file."""

    number: int
    """Among all pieces, in the order of files and rows."""
    file: int
    """Index of the file."""
    first: int
    """Rows of the file before it."""
    rows: int
    whole: bool
    """Whether it is all of the file."""


@dataclass(frozen=True)
class Cut:
    """A batch as tasks see it."""

    shape: Shape
    found: tuple[Found, ...]
    """The files, by their index."""
    pieces: tuple[Piece, ...]


def cut(batch: Batch, most: int | None = None) -> tuple[Piece, ...]:
    """The pieces of a batch of parquet files; a row group is never divided, and no piece has rows of two files."""
    pieces: list[Piece] = []
    for index, part in enumerate(batch.parts):
        ranges = list(_ranges(part.path, most or PIECE_ROWS))
        pieces += [Piece(len(pieces) + i, index, *rows, len(ranges) == 1) for i, rows in enumerate(ranges)]
    return tuple(pieces)


def _ranges(path: Path, most: int) -> Iterator[tuple[int, int]]:
    """(first row, rows) of consecutive row groups."""
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    first = held = 0
    for rows in groups:
        if held and held + rows > most:
            yield first, held
            first, held = first + held, 0
        held += rows
    if held:
        yield first, held


@contextmanager
def opened(whole: Cut, piece: Piece) -> Iterator[Batch]:
    """The piece as a batch of its own: its rows keep their file's index and their number there.

    Raises TaskError where this machine does not find the file, or cannot read it.
    """
    found = whole.found[piece.file]
    path = found_here(found.path or Path(found.name))
    with TemporaryDirectory(prefix="shopmon-") as scratch:
        batch = Batch(duckdb.connect(), [_part(found, path, piece)], Path(scratch))
        try:
            _read(batch, whole.shape, piece, _plain(path, Path(scratch)))
            yield batch
        except duckdb.OutOfMemoryException as error:
            raise TaskError(
                BatchError(
                    f"DuckDB ran out of memory: {first_line(error)}",
                    advice="Free space for spilling in the executors' TMPDIR, or check fewer columns at once.",
                )
            ) from error
        except duckdb.IOException as error:
            raise TaskError(
                BatchError(
                    f"{found.name} is damaged: {first_line(error)}",
                    advice="Write or deliver it again, and compare its size with the sender's.",
                )
            ) from error
        except ShopmonError as error:
            raise TaskError(error) from error
        finally:
            batch.close()


def found_here(path: Path) -> Path:
    """A file of the data, where a task has it. Raises TaskError where this machine does not find it."""
    if not path.is_file():
        raise TaskError(
            BatchError(
                f"{socket.gethostname()} does not find {path}",
                advice="Put the data where every machine finds it under the same path: a file system that they share.",
            )
        )
    return path


def _part(found: Found, path: Path, piece: Piece) -> Part:
    return Part(found, path, None, piece.rows, None, 0, ())


def _read(batch: Batch, shape: Shape, piece: Piece, path: Path) -> None:
    """Lay `records` and `batch` over the piece, each column as the whole batch has it."""
    con = batch.connection
    con.execute("set threads = 1")  # Spark gives each task a core
    columns = [f"{quoted(c.name)}::{c.type} as {quoted(c.name)}" for c in shape.own_columns]
    selected = ", ".join([f"{piece.file}::integer as {FILE}", f"(file_row_number + 1)::bigint as {ROW}", *columns])
    records = f"select {selected} from read_parquet([{literal(str(path))}], hive_partitioning = false)"
    settle(con, batch.scratch, len(columns))
    if piece.whole:
        con.execute(f"create view records as {records}")
    else:
        last = piece.first + piece.rows
        con.execute(
            "set disabled_optimizers = ''"
        )  # for once: row groups of other pieces are left out by their numbers
        con.execute(f"create table records as {records} where file_row_number between {piece.first} and {last - 1}")
        settle(con, batch.scratch, len(columns))
    con.execute("create table unreadable (file integer, row bigint, reason varchar, raw blob)")
    batch.take_shape(shape)


def _plain(path: Path, scratch: Path) -> Path:
    """The file under a name in which DuckDB sees no pattern."""
    if not has_magic(str(path)):
        return path
    link = scratch / "piece.parquet"
    link.symlink_to(path)
    return link


def whole_of(batch: Batch, pieces: Sequence[Piece]) -> Cut:
    """The batch as tasks see it, with everything that is known of it by now; they work in folders of their own."""
    return Cut(batch.shape, tuple(_absolute(part.found) for part in batch.parts), tuple(pieces))


def _absolute(found: Found) -> Found:
    return found if found.path is None else replace(found, path=found.path.absolute())
