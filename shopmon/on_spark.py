"""How does a check run on a Spark cluster, with the suites and the settings of one machine?"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.addresses import is_database
from expectations.errors import BatchError
from expectations.pieces import Piece, found_here
from expectations.sources import Format, Found, is_remote
from expectations.unfinished import aside_of
from monitor.results import WindowsSection
from shopmon.project import Project
from shopmon.references import FIT
from shopmon.request import Request

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from expectations.batch import Batch
    from expectations.results import Validation
    from expectations.spark_fit import Fit
    from expectations.spark_jobs import Beside
    from expectations.spark_validation import Validated
    from expectations.suite import Suite
    from monitor.concept_drift import ErrorStream
    from monitor.edge_case_rules import EdgeCaseSettings
    from monitor.edge_cases import EdgeCases
    from monitor.profiles import Profile, ProfileSettings

_DATABASE = "Write the table as parquet to where all machines find it"
_ELSEWHERE = "Mount the bucket on every machine, or copy the files to where all find them"
_STAGING = ".pieces"
"""The folder of a run, below its own, that executors write to until the check is done."""
_ONE_MACHINE = "Give --engine scan: one machine does it, whatever the number of rows."


@contextmanager
def on_spark(request: Request, project: Project, folder: Path) -> Iterator[OnSpark]:
    """The executors of the Spark cluster that `SPARK_REMOTE` or `spark-submit` name, until the block ends.

    Raises ShopmonError for what only one machine can be asked, and where Spark cannot be reached.
    """
    _refuse(request)
    from expectations.spark_jobs import beside
    from expectations.spark_session import spark_session

    request.progress("starting Spark")
    try:
        with spark_session() as spark, beside(spark, "hash") as hashing:
            yield OnSpark(request, project, folder, spark, hashing)
    finally:  # once executors of ours have gone
        _take_away(folder / _STAGING)


def _take_away(staging: Path) -> None:
    """Leave nothing of it in the run, even where a task that Spark started twice still writes: it holds texts."""
    aside = aside_of(staging.parent.with_name("pieces"))  # beside the run; if some of it stays, a later check sweeps it
    with suppress(FileNotFoundError):
        staging.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def _refuse(request: Request) -> None:
    if hasattr(request.data, "__arrow_c_stream__"):
        raise BatchError("a table in memory is not looked at by a Spark cluster", advice=_ONE_MACHINE)
    addresses = [request.data] if isinstance(request.data, str | Path) else list(request.data)
    for address in map(str, addresses):
        if is_remote(address):
            raise BatchError(
                f"a Spark cluster reads files that all machines find under one path, not {address.split(':')[0]}://",
                advice=f"{_DATABASE if is_database(address) else _ELSEWHERE}, or give --engine scan.",
            )


@dataclass
class OnSpark:
    """A check whose rows are looked at by executors."""

    request: Request
    project: Project
    folder: Path
    spark: SparkSession
    hashing: Beside
    _validated: tuple[Batch, Validated] | None = None

    def hashes(self, found: Sequence[Found]) -> Sequence[Future[str]]:
        """Have each file hashed by a task, beside everything else. Raises BatchError for what is no parquet."""
        for one in found:
            if one.format is not Format.PARQUET or one.path is None:
                raise BatchError(
                    f"{one.name} is {one.format.value}, and a Spark cluster is asked about parquet only",
                    advice="Write it as parquet, or give --engine scan.",
                )
        paths = [str(one.path.absolute()) for one in found if one.path]
        whole = self.hashing.submit(partial(_hashed, self.spark, paths))
        return [_Later(whole, place) for place, _ in enumerate(found)]

    def validate(self, batch: Batch, suite: Suite) -> Validation:
        """Ask a suite of the batch; failing rows go into the run's folder, from the executors."""
        from expectations.spark_validation import validate_on_spark

        validated = validate_on_spark(
            batch,
            suite,
            self.spark,
            folder=self.folder,
            staging=self.folder / _STAGING,
            unreadable_allowed=self.project.settings.check.unreadable_allowed,
            progress=self.request.progress,
        )
        self._validated = batch, validated
        return validated.validation

    def fit_rows(self) -> FitRowsOnSpark:
        """Of the batch that was validated."""
        batch, validated = self._done
        return FitRowsOnSpark(self.spark, batch, validated.fit(FIT), self.request.progress)

    def check_place(self, batch: Batch, good: Path) -> None:
        """Refuse a place for the good rows before any work is done."""
        from expectations.spark_quarantine import check_free

        check_free(good)

    def write_good(self, batch: Batch, good: Path) -> None:
        """Write the rows that break no rule from the executors, as a folder of parts."""
        from expectations.spark_quarantine import write_good

        validated = self._done[1]
        write_good(self.spark, validated.whole, validated.breaking, validated.shared, good)

    @property
    def _done(self) -> tuple[Batch, Validated]:
        if self._validated is None:
            raise AssertionError("nothing was validated")
        return self._validated

    def windowed(self) -> WindowsSection:
        """What each window of time shows of the fit rows of the batch that was validated."""
        from monitor.windows_on_spark import WindowsOnSpark
        from shopmon.windowing import windowed

        batch, validated = self._done
        rows = WindowsOnSpark(self.spark, validated.fit(FIT), batch, self.request.progress)
        return windowed(batch, self.request, self.project, rows)


@dataclass(frozen=True)
class FitRowsOnSpark:
    """The fit rows of a batch, where they lie."""

    spark: SparkSession
    batch: Batch
    fit: Fit
    progress: Callable[[str], None]

    def any(self) -> bool:
        """Whether there is one."""
        return self.fit.rows > 0

    def profile(self, settings: ProfileSettings, *, segments: Sequence[str], like: Profile) -> Profile:
        """What they show, in the columns and bins of another profile."""
        from monitor.profile_reduce import profile_on_spark

        return profile_on_spark(self.spark, self.fit, settings, like=like, segments=segments)

    def errors(self) -> ErrorStream:
        """Where the model was wrong."""
        from monitor.errors_on_spark import error_stream_on_spark

        return error_stream_on_spark(self.spark, self.fit, self.batch)

    def select(self, settings: EdgeCaseSettings, into: Path, **asked: Any) -> EdgeCases:
        """Which of them a model should learn from, written by the executors into a folder."""
        from monitor.edge_cases import select
        from monitor.edge_cases_on_spark import LookingOnSpark

        known = asked["known_hashes"] if asked.get("known_hashes") is not None and len(asked["known_hashes"]) else None
        looking = partial(LookingOnSpark, self.spark, self.fit, known_hashes=known, into=into)
        return select(self.batch, settings, relation=self.fit.name, looking=looking, progress=self.progress, **asked)


class _Later(Future[str]):
    """The hash of one file, once all are hashed."""

    def __init__(self, whole: Future[list[str]], place: int) -> None:
        super().__init__()
        self._whole, self._place = whole, place

    def result(self, timeout: float | None = None) -> str:
        return self._whole.result(timeout)[self._place]


def _hashed(spark: SparkSession, paths: Sequence[str]) -> list[str]:
    from expectations.spark_jobs import on_pieces

    files = [Piece(number, number, 0, 0, True) for number, _ in enumerate(paths)]
    return [str(digest) for digest in on_pieces(spark, files, partial(_sha256, paths=paths), "hashing the files")]


def _sha256(piece: Piece, *, paths: Sequence[str]) -> str:
    with found_here(Path(paths[piece.file])).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
