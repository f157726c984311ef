"""Which rows should a model learn from, when they lie on many machines?

The executors count, and keep the rows that are drawn; the driver reads those, as many as one machine would look at, and
decides what takes more than SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.batch import Batch
from expectations.pieces import Piece
from expectations.quarantine import PARQUET
from expectations.spark_fit import Fit, opened_fit
from expectations.spark_jobs import merged_on_pieces, on_pieces
from expectations.sql import literal
from monitor.edge_cases import Counted, Near, Scan, draws_of, know

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class LookingOnSpark:
    """A scan for edge cases whose rows are looked at by executors."""

    spark: SparkSession
    fit: Fit
    batch: Batch
    """The driver's, which reads what executors kept."""
    scan: Scan
    known_hashes: pa.Array | None

    def count(self) -> tuple[int, dict[str, int], list[Counted]]:
        """Rows with a text, those that rules leave to the model of each task, and what there is for each rule."""
        return self.scan.counted(self.fit.rows, self._ask)

    def _ask(self, numbers: Sequence[int], near: Near) -> Sequence[Any]:
        ask = partial(self._of_piece(_ask_piece), numbers=list(numbers), near=dict(near))
        sent = self.scan.over(None)

        def both(one: bytes, other: bytes) -> bytes:
            return _packed(sent.together(numbers, _unpacked(one), _unpacked(other)))

        return _unpacked(merged_on_pieces(self.spark, self.fit.whole.pieces, ask, both, "selecting edge cases"))

    def fetch(self, counts: Sequence[Counted]) -> pa.Table:
        """The rows that are drawn, which the executors wrote into the shared folder."""
        keep = partial(self._of_piece(_keep_piece), draws=draws_of(counts))
        written = on_pieces(self.spark, self.fit.whole.pieces, keep, "selecting edge cases")
        files = ", ".join(literal(str(self.fit.shared.folder / name)) for name in written)
        return self.batch.table_of(f"from read_parquet([{files}], hive_partitioning = false) order by file, row")

    def _of_piece(self, look: Any) -> Any:
        return partial(look, fit=self.fit, scan=self.scan.over(None), known=self.known_hashes)


def _ask_piece(
    piece: Piece, *, fit: Fit, scan: Scan, known: pa.Array | None, numbers: Sequence[int], near: Near
) -> bytes:
    with opened_fit(fit, piece) as batch:
        if known is not None:
            know(batch, known)
        return _packed(scan.over(batch).ask(numbers, near))


def _keep_piece(piece: Piece, *, fit: Fit, scan: Scan, known: pa.Array | None, draws: NDArray[np.uint64]) -> str:
    """Write the rows of a piece that are drawn; the file's name."""
    with opened_fit(fit, piece) as batch:
        if known is not None:
            know(batch, known)
        path = fit.shared.new(f"candidates-{piece.number:06}")
        with scan.over(batch).candidates(draws) as name:
            batch.rows_of(f"copy {name} to {literal(str(path))} {PARQUET}")
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


def _unpacked(packed: bytes) -> list[Any]:
    rows = pa.ipc.open_stream(packed).read_all().to_pylist()
    return [row["draws"] if row["count"] is None else row["count"] for row in rows]
