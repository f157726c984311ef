"""How do records that were read become one parquet file, and those that could not be read another?"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.column_names import ROW

ROW_GROUP_ROWS = 65_536
ROW_GROUP_BYTES = 48 << 20
"""A row group is written when either is reached, so memory depends on the longest record and not on the file."""

_REJECTED = pa.schema([("row", pa.int64()), ("reason", pa.string()), ("raw", pa.large_binary())])


@dataclass(frozen=True)
class Written:
    """What stands in scratch after a source was read."""

    path: Path
    rows: int
    """Records that could be read."""
    rejected: Path | None
    """Parquet of `row`, `reason`, `raw`; None where every record could be read."""
    rejected_rows: int
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """All that arrived."""
        return self.rows + self.rejected_rows


class ScratchParquet:
    """Two parquet files that appear whole or not at all: leaving the `with` block by an exception removes both.

    `schema` is that of the source; the number of the record is put in front as `__shopmon_row`. Writing happens in a
    thread, one row group behind, because compressing releases the interpreter's lock and reading needs it.
    """

    def __init__(self, scratch: Path, schema: pa.Schema, progress: Callable[[int], None]) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        stem = uuid.uuid4().hex
        self._path = scratch / f"{stem}.parquet"
        self._rejected_path = scratch / f"{stem}.rejected.parquet"
        self._schema = pa.schema([pa.field(ROW, pa.int64()), *schema])
        self._progress = progress
        self._batches: list[Any] = []
        self._bytes = self._pending_rows = self.rows = self.rejected_rows = 0
        self._rejects: list[tuple[int, str, bytes]] = []
        self._rejects_bytes = 0
        self._rejects_writer: Any = None
        self.first_reason = ""
        """Why the first rejected record could not be read."""
        try:
            self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd", compression_level=1)
        except BaseException:  # a type that parquet lacks
            self._path.unlink(missing_ok=True)
            raise
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def add(self, numbers: Any, columns: Sequence[Any]) -> None:
        """Take records: their numbers (int64 array) and one array per column of the schema, all of equal length."""
        batch = pa.RecordBatch.from_arrays([numbers, *columns], schema=self._schema)
        self._batches.append(batch)
        self.rows += batch.num_rows
        self._pending_rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._pending_rows >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def reject(self, row: int, reason: str, raw: bytes) -> None:
        """Take a record that could not be read, as it arrived."""
        self._rejects.append((row, reason, raw))
        self.first_reason = self.first_reason or reason
        self.rejected_rows += 1
        self._rejects_bytes += len(raw)
        if len(self._rejects) >= ROW_GROUP_ROWS or self._rejects_bytes >= ROW_GROUP_BYTES:
            self._flush_rejects()

    def written(self, notes: Sequence[str] = ()) -> Written:
        """Finish both files. Raises what writing them raised (OSError on a full disk)."""
        self._flush()
        self._wait()
        self._writer.close()
        self._flush_rejects()
        if self._rejects_writer is not None:
            self._rejects_writer.close()
        rejected = self._rejected_path if self.rejected_rows else None
        return Written(self._path, self.rows, rejected, self.rejected_rows, tuple(notes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if kind is not None:
            for writer in (self._writer, self._rejects_writer):
                if writer is not None and writer.is_open:
                    writer.close()
            self._path.unlink(missing_ok=True)
            self._rejected_path.unlink(missing_ok=True)

    def _flush(self) -> None:
        self._wait()
        if self._batches:
            table = pa.Table.from_batches(self._batches, schema=self._schema)
            self._batches, self._bytes, self._pending_rows = [], 0, 0
            self._writing = self._thread.submit(self._write, table)
            self._progress(self.rows + self.rejected_rows)

    def _write(self, table: Any) -> None:
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _flush_rejects(self) -> None:
        if not self._rejects:
            return
        if self._rejects_writer is None:
            self._rejects_writer = pq.ParquetWriter(self._rejected_path, _REJECTED, compression="zstd")
        rows, reasons, raws = zip(*self._rejects, strict=True)
        columns = [pa.array(column, kind) for column, kind in zip((rows, reasons, raws), _REJECTED.types, strict=True)]
        self._rejects_writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_REJECTED))
        self._rejects, self._rejects_bytes = [], 0
