"""Which rows break a rule because of rows that another machine holds?

Each piece gives the numbers by which its rows are compared. Spark brings equal ones together; there DuckDB asks what it
asks of a batch on one machine, and the rows that fail are written where the pieces will look for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.batch import settle
from expectations.columns import FILE, ROW
from expectations.pieces import Cut, Piece, opened
from expectations.plans import CrossRowPlan
from expectations.spark_jobs import Shared, rows_of_pieces
from expectations.spark_session import told
from expectations.sql import Bound

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_AT_ONCE = 50_000
"""Rows that a task hands over at a time."""
_ROWS_A_TASK = 2_000_000
"""Compared rows that one task settles, about: 0.1 GB; beyond its memory DuckDB spills."""
_KEYS = pa.schema(
    [("rule", pa.int32()), ("k1", pa.int64()), ("k2", pa.int64()), ("v1", pa.int64()), ("v2", pa.int64()),
     ("address", pa.int64())]
)  # fmt: skip
_FLAGS = pa.schema([("piece", pa.int64()), ("rule", pa.int32()), ("file", pa.int32()), ("row", pa.int64())])
_KEYS_OF_SPARK = "rule int, k1 long, k2 long, v1 long, v2 long, address long"
_FLAGS_OF_SPARK = "piece long, rule int, file int, row long"
_WORD = 2**64


def flagged(
    spark: SparkSession, whole: Cut, plans: Mapping[int, CrossRowPlan], bound: Bound, shared: Shared
) -> dict[int, str]:
    """Write which rows break these rules, and say in which file of the folder those of each piece stand.

    Pieces without such a row have no file. One shuffle takes about 50 bytes for each compared row and rule.
    """
    if not plans:
        return {}
    rows = sum(piece.rows for piece in whole.pieces)
    keys = rows_of_pieces(spark, whole.pieces, partial(_keys, whole=whole, plans=plans, bound=bound), _KEYS_OF_SPARK)
    settled = {number: plan.compared.settled for number, plan in plans.items()}
    together = keys.repartition(ceil(rows * len(plans) / _ROWS_A_TASK), "rule", "k1", "k2")
    failing = together.mapInArrow(partial(_settle, settled=settled, starts=_starts(whole.pieces)), _FLAGS_OF_SPARK)
    by_piece = failing.repartition(_tasks(len(whole.pieces)), "piece")
    with told("looking for rows that repeat or contradict one another"):
        written = by_piece.mapInArrow(partial(_written, shared=shared), "piece long, name string").collect()
    return {row["piece"]: row["name"] for row in written}


def _tasks(pieces: int) -> int:
    return min(pieces, 1_000)


def _keys(piece: Piece, *, whole: Cut, plans: Mapping[int, CrossRowPlan], bound: Bound) -> Iterator[pa.RecordBatch]:
    with opened(whole, piece) as batch:
        for number, plan in plans.items():
            halves = ", ".join(f"({x} // {_WORD})::ubigint, ({x} % {_WORD})::ubigint" for x in ("k", "v"))
            narrow = f"(select address, k, v::uhugeint as v from ({plan.compared.narrow}))"
            for part in batch.arrow_of(f"select {halves}, address from {narrow}", bound, _AT_ONCE):
                numbers = [column.view(pa.int64()) for column in part.columns]
                rule = pa.array(np.full(part.num_rows, number, np.int32))
                yield pa.RecordBatch.from_arrays([rule, *numbers], schema=_KEYS)


def _settle(
    batches: Iterable[pa.RecordBatch], *, settled: Mapping[int, str], starts: Sequence[tuple[int, int]]
) -> Iterator[pa.RecordBatch]:
    """The failing rows of whole groups, with the piece that each stands in."""
    with TemporaryDirectory(prefix="shopmon-") as scratch, duckdb.connect() as connection:
        settle(connection, Path(scratch), 1)
        connection.execute("set threads = 1")
        unsigned = ", ".join(f"{name} ubigint" for name in ("k1", "k2", "v1", "v2"))
        connection.execute(f"create table keys (rule integer, {unsigned}, address bigint)")
        for batch in batches:
            numbers = [column.cast(pa.int64()).view(pa.uint64()) for column in batch.columns[1:5]]
            held = pa.Table.from_arrays(
                [batch.column(0), *numbers, batch.column(5)], names=["rule", "k1", "k2", "v1", "v2", "address"]
            )
            connection.register("arrived", held)
            connection.execute("insert into keys from arrived")
            connection.unregister("arrived")
        for number, query in settled.items():
            k, v = (f"{x}1::uhugeint * {_WORD} + {x}2::uhugeint as {x}" for x in ("k", "v"))
            narrow = f"select address, {k}, {v} from keys where rule = {number}"
            found = connection.sql(f"with narrow as materialized ({narrow}) {query}")
            for part in found.to_arrow_reader(_AT_ONCE):
                yield _with_piece(number, part, starts)


def _starts(pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    return [(piece.file, piece.first) for piece in pieces]


def _with_piece(rule: int, rows: pa.RecordBatch, starts: Sequence[tuple[int, int]]) -> pa.RecordBatch:
    """Say for each row which piece holds it: the last one that begins at or before it."""
    firsts = np.array([file * 2**40 + first for file, first in starts], np.int64)
    files, numbers = rows.column(0).to_numpy().astype(np.int64), rows.column(1).to_numpy()
    piece = np.searchsorted(firsts, files * 2**40 + numbers - 1, side="right") - 1
    arrays = [piece, np.full(len(piece), rule, np.int32), files.astype(np.int32), numbers.astype(np.int64)]
    return pa.RecordBatch.from_arrays([pa.array(array) for array in arrays], schema=_FLAGS)


def _written(batches: Iterable[pa.RecordBatch], *, shared: Shared) -> Iterator[pa.RecordBatch]:
    """Write the flags of each piece into a file of its own; all flags of a piece come to one task."""
    writers: dict[int, tuple[str, pq.ParquetWriter]] = {}
    schema = pa.schema([("rule", pa.int32()), (FILE, pa.int32()), (ROW, pa.int64())])
    try:
        for batch in batches:
            table = pa.Table.from_batches([batch.cast(_FLAGS)])
            for piece in np.unique(table["piece"].to_numpy()).tolist():
                if piece not in writers:
                    path = shared.new(f"flags-{piece:06}")
                    writers[piece] = path.name, pq.ParquetWriter(path, schema)
                own = table.filter(pa.compute.equal(table["piece"], piece)).drop_columns(["piece"])
                writers[piece][1].write_table(own.rename_columns(schema.names))
    finally:
        for _, writer in writers.values():
            writer.close()
    names = [(piece, name) for piece, (name, _) in sorted(writers.items())]
    if names:
        yield pa.RecordBatch.from_pydict({"piece": [p for p, _ in names], "name": [n for _, n in names]})
