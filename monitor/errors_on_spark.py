"""Where was the model wrong, in the order in which it happened, when the rows lie on many machines?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from expectations.batch import Batch
from expectations.columns import FILE, ROW
from expectations.pieces import Piece
from expectations.spark_fit import Fit, opened_fit
from expectations.spark_jobs import on_pieces, rows_of_pieces
from expectations.spark_session import told
from expectations.sql import Bound
from monitor.concept_drift import MOST, ErrorStream, Pairs, pairs_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_AT_ONCE = 50_000
"""Rows that a task hands over at a time."""
_SCHEMA = f"wrong boolean, moment long, {FILE} int, {ROW} long"


def error_stream_on_spark(spark: SparkSession, fit: Fit, batch: Batch, most: int = MOST) -> ErrorStream:
    """What `concept_drift.error_stream` says of a batch's fit rows; the latest `most` of them come to the driver."""
    compared = pairs_of(batch, fit.name)
    if isinstance(compared, ErrorStream):
        return compared
    each = on_pieces(spark, fit.whole.pieces, partial(_count, fit=fit, compared=compared), "counting predictions")
    rows, dated = (sum(some) for some in zip(*each, strict=True))
    if not rows:
        return compared.nothing
    latest = partial(_latest, fit=fit, compared=compared, dated=dated, most=most)
    columns = ("moment", FILE, ROW) if dated else (FILE, ROW)
    with told("putting the model's errors in order"):
        found = rows_of_pieces(spark, fit.whole.pieces, latest, _SCHEMA).orderBy(*columns, ascending=False)
        return compared.stream(found.limit(most).toArrow(), rows, dated, most)


def _count(piece: Piece, *, fit: Fit, compared: Pairs) -> tuple[int, int]:
    with opened_fit(fit, piece) as batch:
        rows, dated = batch.row_of(compared.counts())
        return rows, dated


def _latest(piece: Piece, *, fit: Fit, compared: Pairs, dated: int, most: int) -> Iterator[pa.RecordBatch]:
    with opened_fit(fit, piece) as batch:
        yield from batch.arrow_of(compared.latest(dated, most), Bound(), _AT_ONCE)
