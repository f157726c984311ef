"""What does a batch show whose rows lie on many machines, so that it can be compared?

Every piece is profiled in the reference's bins; such profiles add up. The rows that are drawn come to the driver, as
many as one machine would draw, so that texts are counted, and samples compared, as they are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from expectations.pieces import Piece
from expectations.spark_fit import Fit, opened_fit
from expectations.spark_jobs import merged_on_pieces
from expectations.sql import quoted
from monitor.profiles import (
    AT_ONCE,
    Profile,
    ProfileSettings,
    Sort,
    categories,
    compared_like,
    drawn_up_to,
    numbers_and_drawn,
    segment,
)
from monitor.reference import archive, restored
from monitor.unfinished_profiles import added, finished, unfinished

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
        profile = unfinished(batch.kind, rows, asked, found, drawn, like)
        by_segment = {name: segment(batch, view, asked, name, settings, like) for name in segments}
        return archive(replace(profile, segments=by_segment), "piece")


def _both(one: bytes, other: bytes) -> bytes:
    return archive(added([restored(one), restored(other)]), "pieces") if one and other else one or other


def _whole(told: Profile, settings: ProfileSettings, like: Profile) -> Profile:
    """The profile, its segments' values in the order of the reference's."""
    by_segment = {
        name: {value: values[value] for value in like.segments.get(name, values) if value in values}
        for name, values in told.segments.items()
    }
    return replace(finished(told, settings, like), segments=by_segment)
