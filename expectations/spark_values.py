"""How often does each value stand in a batch whose rows lie on many machines?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from expectations.batch import Batch, value_counts_sql
from expectations.pieces import Cut, Piece, opened, whole_of
from expectations.spark_jobs import rows_of_pieces
from expectations.spark_session import told
from expectations.sql import Bound

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_AT_ONCE = 10_000
"""Values that a task hands over at a time."""
_SCHEMA = "k string, n long"
_COUNTED = pa.schema([("k", pa.string()), ("n", pa.int64())])


def value_counts(
    spark: SparkSession, batch: Batch, pieces: Sequence[Piece], values: str, where: str, bound: Bound, most: int | None
) -> dict[Any, int]:
    """What `Batch.value_counts` says, counted on the executors; the driver holds the different values."""
    counted = counts_of_values(spark, whole_of(batch, pieces), values, where, bound)
    with told("counting values"):
        found = (counted if most is None else counted.limit(most)).collect()
    sql = value_counts_sql(values, where)
    (_, type_of, *_), _ = batch.rows_of(f"describe {sql}", bound)
    whole = str(type_of).endswith(("INT", "INTEGER"))
    return {int(row["k"]) if whole and row["k"] is not None else row["k"]: row["n"] for row in found}


def counts_of_values(spark: SparkSession, whole: Cut, values: str, where: str, bound: Bound) -> DataFrame:
    """The same where it lies, as columns k (text) and n; nothing is run yet."""
    from pyspark.sql import functions as F  # noqa: N812 - its usual name

    sql = value_counts_sql(values, where)
    of_piece = partial(_of_piece, whole=whole, sql=f"select k::varchar as k, n from ({sql})", bound=bound)
    return rows_of_pieces(spark, whole.pieces, of_piece, _SCHEMA).groupBy("k").agg(F.sum("n").alias("n"))


def _of_piece(piece: Piece, *, whole: Cut, sql: str, bound: Bound) -> Iterator[pa.RecordBatch]:
    with opened(whole, piece) as batch:
        yield from (part.cast(_COUNTED) for part in batch.arrow_of(sql, bound, _AT_ONCE))
