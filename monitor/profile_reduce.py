"""What does a batch show whose rows lie on many machines, so that it can be compared?

Every piece is profiled in the reference's bins; such profiles add up. The rows that are drawn come to the driver, as
many as one machine would draw, so that texts are counted, and samples compared, as they are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.columns import FILE, ROW
from expectations.pieces import Piece
from expectations.spark_fit import Fit, opened_fit
from expectations.spark_jobs import merged_on_pieces
from expectations.sql import quoted
from monitor.profiles import (
    AT_ONCE,
    PRIORITY,
    ColumnProfile,
    Profile,
    ProfileSettings,
    Sort,
    TextProfile,
    categories,
    compared_like,
    counted_texts,
    drawn_up_to,
    merge,
    numbers_and_drawn,
    segment,
)
from monitor.reference import archive, restored

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def profile_on_spark(
    spark: SparkSession,
    fit: Fit,
    settings: ProfileSettings,
    *,
    like: Profile,
    segments: Sequence[str] = (),
) -> Profile:
    """The profile of a batch's fit rows in the columns and bins of `like`, as `profiles.profile` makes it.

    Two things may differ: means and deviations in their last digits, and the name of a bucket that several values
    share. Raises ShopmonError where a task fails; ValueError where no row is fit.
    """
    if not fit.rows:
        raise ValueError("there is no row to profile")
    bins = replace(like, sample=like.sample.slice(0, 0))
    last = drawn_up_to(fit.rows, max(settings.sample_rows, settings.text_rows))
    of_piece = partial(_of_piece, fit=fit, settings=settings, like=bins, segments=tuple(segments), last=last)
    told = merged_on_pieces(spark, fit.whole.pieces, of_piece, _both, "profiling the batch")
    return _whole(restored(told), settings, like)


def _of_piece(
    piece: Piece, *, fit: Fit, settings: ProfileSettings, like: Profile, segments: Sequence[str], last: int
) -> bytes:
    """The archive of a piece's profile, whose sample are all rows that are drawn; nothing of a piece without a row."""
    with opened_fit(fit, piece) as batch:
        view = quoted(fit.name)
        (rows,) = batch.row_of(f"select count(*) from {view}")
        if not rows:
            return b""
        asked = compared_like(batch, like, settings)
        drawn, found = numbers_and_drawn(batch, view, asked, rows, last)
        told = [one for one in asked if one.sort is Sort.CATEGORY]
        for begin in range(0, len(told), AT_ONCE):
            found |= categories(batch, view, told[begin : begin + AT_ONCE], rows)
        columns = {one.name: _column(found[one.name], like.columns[one.name], rows) for one in asked}
        by_segment = {name: segment(batch, view, asked, name, settings, like) for name in segments}
        sorts = {one.name: one.sort for one in asked}
        return archive(Profile(batch.kind, rows, sorts, columns, by_segment, drawn), "piece")


def _column(found: ColumnProfile | int, like: ColumnProfile, rows: int) -> ColumnProfile:
    """What is known of a column in a piece; of a text, how many are missing."""
    if not isinstance(found, int):
        return found
    edges = like.lengths.edges if isinstance(like, TextProfile) else np.array([], float)
    return counted_texts(pa.array([], pa.string()), rows, found, edges, ProfileSettings().bins)


def _both(one: bytes, other: bytes) -> bytes:
    if not (one and other):
        return one or other
    parts = [restored(one), restored(other)]
    added = merge([replace(part, sample=part.sample.slice(0, 0)) for part in parts])
    sample = pa.concat_tables([part.sample for part in parts], promote_options="permissive").combine_chunks()
    return archive(replace(added, sample=sample), "pieces")


def _whole(added: Profile, settings: ProfileSettings, like: Profile) -> Profile:
    """The profile, from the sums and the drawn rows: texts are counted in the rows that one machine would draw."""
    order = pc.sort_indices(added.sample, sort_keys=[(n, "ascending") for n in (PRIORITY, FILE, ROW)])
    drawn = added.sample.take(order)
    columns = dict(added.columns)
    for name, column in added.columns.items():
        told = like.columns[name]
        if isinstance(column, TextProfile) and isinstance(told, TextProfile):
            texts = drawn.column(name).slice(0, settings.text_rows)
            columns[name] = counted_texts(texts, column.total, column.missing, told.lengths.edges, settings.bins)
    by_segment = {
        name: {value: values[value] for value in like.segments.get(name, values) if value in values}
        for name, values in added.segments.items()
    }
    sample = drawn.slice(0, settings.sample_rows).combine_chunks()
    return replace(added, columns=columns, segments=by_segment, sample=sample)
