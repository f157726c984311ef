"""What do the rows of each window of time show when they lie on many machines?

Each piece counts its rows by window, and is profiled window by window in the reference's bins. Spark brings together
what belongs to one window; there it is added up, and the profile is written to the shared folder, where the driver
reads one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from itertools import groupby
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from expectations.batch import Batch
from expectations.pieces import Piece
from expectations.spark_fit import Fit, opened_fit
from expectations.spark_jobs import Shared, rows_of_pieces
from expectations.spark_session import told
from expectations.sql import Bound
from monitor.profile_parts import (
    MOST_WINDOWS,
    Part,
    Split,
    counted_sql,
    refuse_too_many,
    split,
    split_of,
    unfinished_parts,
)
from monitor.profiles import Profile, ProfileSettings
from monitor.reference import archive, read, restored
from monitor.unfinished_profiles import added, finished
from monitor.windows import Windows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_MOST_COUNTS = MOST_WINDOWS + 2
"""Counts of a batch that is not refused: of its windows, of rows without a date, and of those in the future."""
_AT_ONCE = 10_000
"""Counts that a task hands over at a time."""
_COUNTED = pa.schema(
    [("file", pa.int32()), ("place", pa.int64()), ("future", pa.bool_()), ("rows", pa.int64()), ("late", pa.int64())]
)
_COUNTED_OF_SPARK = "file int, place long, future boolean, rows long, late long"
_SHARES = pa.schema([("place", pa.int64()), ("whose", pa.int64()), ("number", pa.int64()), ("profile", pa.binary())])
_SHARES_OF_SPARK = "place long, whose long, number long, profile binary"


@dataclass(frozen=True)
class WindowsOnSpark:
    """The fit rows of a batch by window, where they lie."""

    spark: SparkSession
    fit: Fit
    batch: Batch
    progress: Callable[[str], None] = lambda _: None

    def split(self, windows: Windows, like: Profile, now: datetime) -> Split:
        """What `profile_parts.split` says of the fit rows of all files. Raises BatchError as it does."""
        from pyspark.sql import functions as F  # noqa: N812 - its usual name

        sql, bound = counted_sql(self.batch, windows, like, now, self.fit.name)
        of_piece = partial(_counted, fit=self.fit, sql=sql, bound=bound)
        each = rows_of_pieces(self.spark, self.fit.whole.pieces, of_piece, _COUNTED_OF_SPARK)
        # What lies in the future is in no window: its rows are told together, whatever their dates are.
        place = F.when(F.col("future"), F.lit(0)).otherwise(F.col("place")).alias("place")
        counted = each.groupBy(place, "future").agg(F.sum("rows"), F.countDistinct("file"), F.sum("late"))
        with told("putting rows into windows"):
            found = counted.orderBy("place").limit(_MOST_COUNTS + 1).collect()
            if len(found) > _MOST_COUNTS:  # dates of a thousand years make millions
                of_windows = counted.where("place is not null and not future")
                (many,) = of_windows.agg(F.count("place"), F.min("place"), F.max("place")).collect()
                refuse_too_many(many[0], many[1], many[2], windows)
        return split_of([(None, *row) for row in found], windows, now)

    def profiles(self, found: Split, like: Profile, settings: ProfileSettings) -> Iterator[tuple[Part, Profile]]:
        """What `profile_parts.part_profiles` says of them: the same rows are drawn, and texts counted in the same.

        Two things may differ: means and deviations in their last digits, and the name of a bucket that several values
        share, or that is among the 200 fullest of the whole and of no piece.
        """
        if not found.parts:
            return
        self.progress("profiling the windows")
        bins = replace(like, segments={}, sample=like.sample.slice(0, 0))
        with told("profiling the windows"):
            names = self._written(found, bins, settings)
        for part in found.parts:
            file = self.fit.shared.folder / names[part.window]
            yield part, read(file, "profile of a window", "Check the batch again.").profile

    def _written(self, found: Split, like: Profile, settings: ProfileSettings) -> dict[int, str]:
        """Have the profile of each window written; window → the name of its file in the shared folder."""
        pieces = self.fit.whole.pieces
        together = ceil(sqrt(len(pieces)))
        shares = partial(_shares, fit=self.fit, found=found, like=like, settings=settings, together=together)
        each = rows_of_pieces(self.spark, pieces, shares, _SHARES_OF_SPARK)
        # In two levels, as no task could hold what ten thousand pieces say of one window.
        some = _by(each, len(pieces), "place", "whose").mapInArrow(_added_up, _SHARES_OF_SPARK)
        write = partial(_write, shared=self.fit.shared, like=like, settings=settings)
        written = _by(some, min(len(pieces), len(found.parts)), "place").mapInArrow(write, "place long, name string")
        return {row["place"]: row["name"] for row in written.collect()}


def _by(shares: DataFrame, tasks: int, *keys: str) -> DataFrame:
    """Shares with equal keys in one task, one after another, in an order that is always the same."""
    return shares.repartition(tasks, *keys).sortWithinPartitions("place", "whose", "number")


def _counted(piece: Piece, *, fit: Fit, sql: str, bound: Bound) -> Iterator[pa.RecordBatch]:
    with opened_fit(fit, piece) as batch:
        yield from (part.cast(_COUNTED) for part in batch.arrow_of(sql, bound, _AT_ONCE))


class Share(NamedTuple):
    """What some pieces show of a window."""

    place: int
    """The window."""
    whose: int
    """Those with the same number are added up first."""
    number: int
    """Of the piece, or of those that were added up."""
    profile: bytes
    """The archive of an unfinished profile."""


def _shares(
    piece: Piece, *, fit: Fit, found: Split, like: Profile, settings: ProfileSettings, together: int
) -> Iterator[pa.RecordBatch]:
    with opened_fit(fit, piece) as batch:
        files = {piece.file: fit.whole.found[piece.file].name}
        for part, profile in piece_profiles(batch, found, like, settings, relation=fit.name, files=files):
            yield _row(Share(part.window, piece.number // together, piece.number, archive(profile, "piece")))


def piece_profiles(
    batch: Batch, whole: Split, like: Profile, settings: ProfileSettings, *, relation: str, files: Mapping[int, str]
) -> Iterator[tuple[Part, Profile]]:
    """The unfinished profile of each window that has rows in a piece, whose rows are drawn among all of the whole's."""
    own = split(batch, whole.windows, like, whole.now, by_file=False, relation=relation)
    rows = {part.window: part.rows for part in whole.parts}
    parts = tuple(replace(part, among=rows[part.window]) for part in own.parts)
    yield from unfinished_parts(batch, replace(own, parts=parts), like, settings, relation=relation, files=files)


def _added_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One share for those of the same window that are to be added up first."""
    for (place, whose), some in groupby(_arrived(batches), key=lambda share: (share.place, share.whose)):
        yield _row(Share(place, 0, whose, archive(_sum(some), "pieces")))


def _write(
    batches: Iterable[pa.RecordBatch], *, shared: Shared, like: Profile, settings: ProfileSettings
) -> Iterator[pa.RecordBatch]:
    """Write the profile of each window, and say under which name."""
    for place, some in groupby(_arrived(batches), key=lambda share: share.place):
        path = shared.new(f"window-{place}").with_suffix(".zip")
        path.write_bytes(archive(finished(_sum(some), settings, like), "window"))
        yield pa.RecordBatch.from_pydict({"place": [place], "name": [path.name]})


def _sum(shares: Iterable[Share]) -> Profile:
    return reduce(lambda one, other: added([one, other]), (restored(share.profile) for share in shares))


def _arrived(batches: Iterable[pa.RecordBatch]) -> Iterator[Share]:
    for batch in batches:
        for row in range(batch.num_rows):
            yield Share(*(column[row].as_py() for column in batch.columns))


def _row(share: Share) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name: [value] for name, value in share._asdict().items()}, schema=_SHARES)
