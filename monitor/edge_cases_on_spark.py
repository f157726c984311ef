"""Which rows should a model learn from, when they lie on many machines?

The executors count, keep the rows that are drawn, and write those that are chosen. The driver decides what takes more
than SQL: of the rows that are drawn it reads numbers and flags, and texts only where a dear signal is computed of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expectations.parquet_query import batches_at
from expectations.pieces import Piece
from expectations.quarantine import PARQUET
from expectations.spark_fit import Fit, opened_fit
from expectations.spark_jobs import Shared, merged_on_pieces, on_pieces
from expectations.spark_quarantine import parts_of
from expectations.sql import literal
from monitor.edge_case_scan import (
    VERDICTS,
    WHOSE,
    Counted,
    Draws,
    Kept,
    Near,
    Scan,
    draws_of,
    is_judged,
    know,
    whole_rows,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_Answer = TypeVar("_Answer")
_AT_ONCE = 50_000
"""Rows of a file that are read at once: bounds memory."""
_NOBODY = pa.table({name: pa.array([], pa.string()) for name in WHOSE})


@dataclass(frozen=True)
class LookingOnSpark:
    """A scan for edge cases whose rows are looked at by executors."""

    spark: SparkSession
    fit: Fit
    scan: Scan
    known_hashes: pa.Array | pa.ChunkedArray | None
    """The text hashes of the retraining set, which are sent only where a rule asks for them."""
    into: Path
    """The folder for the rows that are chosen; it is made where there are any."""

    def count(self) -> tuple[int, dict[str, int], list[Counted]]:
        """Rows with a text, those that rules leave to the model of each task, and what there is for each rule."""
        return self.scan.counted(self.fit.rows, self._ask)

    def _ask(self, numbers: Sequence[int], near: Near) -> Sequence[Any]:
        ask = partial(self._of_piece(_ask_piece), numbers=list(numbers), near=dict(near))
        sent = self.scan.over(None)

        def both(one: bytes, other: bytes) -> bytes:
            return _packed(sent.together(numbers, _unpacked(one), _unpacked(other)))

        return _unpacked(merged_on_pieces(self.spark, self.fit.whole.pieces, ask, both, "selecting edge cases"))

    def fetch(self, counts: Sequence[Counted]) -> DrawnOnSpark:
        """The rows that are drawn, which the executors write into the shared folder."""
        keep = partial(self._of_piece(_keep_piece), draws=draws_of(counts))
        pieces = self.fit.whole.pieces
        kept = on_pieces(self.spark, pieces, keep, "selecting edge cases")
        ends = np.cumsum([rows for _, rows in kept]).tolist()
        parts = [
            _Part(piece, name, end - rows, end)
            for piece, (name, rows), end in zip(pieces, kept, ends, strict=True)
        ]  # fmt: skip
        return DrawnOnSpark(self.spark, self.fit.shared, tuple(parts), self.into)

    def _of_piece(self, look: Callable[..., _Answer]) -> Callable[..., _Answer]:
        return partial(look, fit=self.fit, scan=self.scan.over(None), known=self._known)

    @cached_property
    def _known(self) -> str | None:
        """The file of the shared folder that holds the texts of the retraining set; None where no task needs them."""
        if self.known_hashes is None or not self.scan.asks_known:
            return None
        path = self.fit.shared.new("known")
        pq.write_table(pa.table({"text_hash": self.known_hashes}), path)
        return path.name


@contextmanager
def _scanned(piece: Piece, fit: Fit, scan: Scan, known: str | None) -> Iterator[Scan]:
    """The scan of a piece's fit rows."""
    with opened_fit(fit, piece) as batch:
        if known is not None:
            know(batch, pq.read_table(fit.shared.folder / known).column("text_hash"))
        yield scan.over(batch)


def _ask_piece(piece: Piece, *, fit: Fit, scan: Scan, known: str | None, numbers: Sequence[int], near: Near) -> bytes:
    with _scanned(piece, fit, scan, known) as own:
        return _packed(own.ask(numbers, near))


def _keep_piece(piece: Piece, *, fit: Fit, scan: Scan, known: str | None, draws: Draws) -> tuple[str, int]:
    """Write the rows of a piece that are drawn; the file's name, and how many they are."""
    with _scanned(piece, fit, scan, known) as own:
        path = fit.shared.new(f"drawn-{piece.number:06}")
        with own.candidates(draws) as name:
            own.batch.rows_of(f"copy (from {name} order by file, row) to {literal(str(path))} {PARQUET}")
        return path.name, pq.read_metadata(path).num_rows


@dataclass(frozen=True)
class _Part:
    """The rows of one piece that are drawn."""

    piece: Piece
    name: str
    """Of their file in the shared folder."""
    first: int
    """Drawn rows of the pieces before it."""
    end: int
    """The same, with its own."""


@dataclass(frozen=True)
class DrawnOnSpark:
    """The rows that are drawn, where executors wrote them."""

    spark: SparkSession
    shared: Shared
    parts: tuple[_Part, ...]
    into: Path

    def column(self, name: str) -> pa.ChunkedArray:
        return self._judged.column(name)

    def of(self, names: Sequence[str], rows: NDArray[np.intp]) -> pa.Table:
        schema = pa.schema([self._schema.field(name) for name in names])
        found = [batch for part in self._parts_of(rows) for batch in self._read(part, names, rows)]
        return pa.Table.from_batches(found, schema)

    @cached_property
    def _judged(self) -> pa.Table:
        """What rules are decided by, of all rows: each file is opened once for it."""
        names = [name for name in self._schema.names if is_judged(name)]
        parts = [pq.read_table(self.shared.folder / p.name, columns=names) for p in self.parts if p.end > p.first]
        return pa.concat_tables(parts) if parts else pa.schema(map(self._schema.field, names)).empty_table()

    @cached_property
    def _schema(self) -> pa.Schema:
        return pq.read_schema(self.shared.folder / self.parts[0].name)

    def _parts_of(self, rows: NDArray[np.intp]) -> list[_Part]:
        """The parts that hold some of the rows, whose numbers ascend: more lie before their end than before them."""
        return [p for p in self.parts if np.searchsorted(rows, p.first) < np.searchsorted(rows, p.end)]

    def _read(self, part: _Part, names: Sequence[str], rows: NDArray[np.intp]) -> Iterator[pa.RecordBatch]:
        start, end = np.searchsorted(rows, [part.first, part.end])
        return batches_at(self.shared.folder / part.name, names, rows[start:end] - part.first, at_once=_AT_ONCE)

    def keep(self, verdicts: pa.Table) -> Kept:
        """Have the rows that are chosen written by the executors, each piece's into a file."""
        nothing = whole_rows(VERDICTS.empty_table(), _NOBODY)
        if not verdicts.num_rows:
            return Kept(nothing)
        path = self.shared.new("verdicts")
        pq.write_table(verdicts, path, row_group_size=_AT_ONCE)
        some = self._parts_of(verdicts.column("at").to_numpy())
        aside = Shared.of(self.into)
        parts = {part.piece.number: part for part in some}
        write = partial(_write_piece, shared=self.shared, aside=aside, parts=parts, verdicts=path.name)
        pieces = [part.piece for part in some]
        written = parts_of(pieces, on_pieces(self.spark, pieces, write, "writing the edge cases"))
        aside.publish(written)
        return Kept(nothing, tuple(self.into / name for name in written.values()))


def _write_piece(piece: Piece, *, shared: Shared, aside: Shared, parts: Mapping[int, _Part], verdicts: str) -> str:
    """Write the rows of a piece that are chosen, in their order; the file's name."""
    part, at = parts[piece.number], pc.field("at")
    path = aside.new(f"part-{piece.number:06}")
    said = pq.read_table(shared.folder / verdicts, filters=(at >= part.first) & (at < part.end))
    rows = said.column("at").to_numpy() - part.first
    schema = whole_rows(VERDICTS.empty_table(), _NOBODY).schema
    with pq.ParquetWriter(path, schema, compression="zstd") as out:
        for batch in batches_at(shared.folder / part.name, WHOSE, rows, at_once=_AT_ONCE):
            out.write_table(whole_rows(said.slice(0, len(batch)), pa.Table.from_batches([batch])))
            said = said.slice(len(batch))
    return path.name


_ANSWER = pa.schema([("count", pa.int64()), ("draws", pa.list_(pa.uint64()))])


def _packed(answer: Sequence[Any]) -> bytes:
    """Counts, and lists of draws of eight bytes each."""
    counts = [found if isinstance(found, int) else None for found in answer]
    draws = [None if isinstance(found, int) else found for found in answer]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _ANSWER) as stream:
        stream.write_table(pa.table({"count": counts, "draws": draws}, schema=_ANSWER))
    return bytes(sink.getvalue())


def _unpacked(packed: bytes) -> list[int | Draws | None]:
    table = pa.ipc.open_stream(packed).read_all()
    both = zip(table.column("count").to_pylist(), table.column("draws"), strict=True)
    return [_draws_in(draws) if count is None else count for count, draws in both]


def _draws_in(draws: pa.ListScalar) -> Draws | None:
    found: Draws | None = draws.values.to_numpy() if draws.is_valid else None
    return found
