"""How is a table written to a file, part by part, in the format that the file's ending says?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.errors import ProjectError

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".parquet", ".csv", ".jsonl")


def check_table_file(out: Path) -> None:
    """Raise ProjectError for a file whose ending says no format: to be asked before any work."""
    if out.suffix not in ENDINGS:
        raise ProjectError(
            f"{out} ends in {out.suffix or 'nothing'}", advice=f"Let it end in {', '.join(ENDINGS[:-1])} or .jsonl."
        )


@contextmanager
def table_file(out: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """Yield what writes a part of the table; once the block ends well, the file is there whole, or else as it was.

    Parquet keeps every type; JSON lines keep lists; in CSV a list is text as JSON writes it. The file's folder is made.
    Raises ShopmonError where it cannot be written.

    >>> import pyarrow as pa
    >>> from tempfile import TemporaryDirectory
    >>> schema = pa.schema([("text", pa.string()), ("labels", pa.list_(pa.string()))])
    >>> with TemporaryDirectory() as folder:
    ...     with table_file(Path(folder) / "new.csv", schema) as write:
    ...         write(pa.RecordBatch.from_pylist([{"text": "warm", "labels": ["size", "fit"]}], schema))
    ...     print((Path(folder) / "new.csv").read_text().strip())
    "text","labels"
    "warm","[""size"", ""fit""]"
    """
    from monitor.run_folder import write_aside

    check_table_file(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProjectError(
            f"the folder {out.parent} cannot be made: {error.strerror}", advice="Choose another place."
        ) from error
    writers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
    with write_aside(out) as aside, writers[out.suffix](aside, schema) as write:
        yield write


@contextmanager
def _parquet(file: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _csv(file: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    import pyarrow as pa
    import pyarrow.csv

    lists = [at for at, one in enumerate(schema) if pa.types.is_list(one.type)]
    flat = pa.schema([pa.field(one.name, pa.string()) if at in lists else one for at, one in enumerate(schema)])
    with pyarrow.csv.CSVWriter(file, flat) as writer:

        def write(batch: pa.RecordBatch) -> None:
            columns = [
                pa.array([_written(one) for one in column.to_pylist()], pa.string()) if at in lists else column
                for at, column in enumerate(batch.columns)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=flat))

        yield write


def _written(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


@contextmanager
def _json_lines(file: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    with file.open("w", encoding="utf-8") as opened:

        def write(batch: pa.RecordBatch) -> None:
            for row in batch.to_pylist():
                opened.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

        yield write
