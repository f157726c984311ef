"""How does a function run on every piece of a batch, and how does what it writes appear once, or not at all?

Only small answers come back. Files are written under names of their own into a folder that all machines share; which of
them count is what the answers of the tasks that ended well say, so that a task that Spark starts twice counts once.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial, reduce
from math import ceil
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import pyarrow as pa

from expectations.errors import ShopmonError
from expectations.pieces import Piece
from expectations.spark_session import TaskError, told
from expectations.spark_tasks import follow

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Look = Callable[[Piece], Any]
"""What a task says of a piece, as JSON values."""
_TOGETHER = 16
"""Answers that a task merges, about: they may be of some MB each, and lie in its memory together."""
_COLLECTED = 8
"""Answers of many pieces that come to the driver at most: all that Spark lets through is 1 GB."""
_PATIENCE = 5.0
"""Seconds that are left to jobs to end when they are told to; whether they have is no matter then."""
_OFTEN = 0.2
"""Seconds after which jobs are told again: the first may have come between two of them."""
_SEEN = ".seen-by-the-driver"
T = TypeVar("T")
_ANSWER = pa.schema([("piece", pa.int64()), ("said", pa.binary())])


@dataclass(frozen=True)
class Shared:
    """A folder that the driver and all executors find under the same path."""

    folder: Path
    token: str

    @classmethod
    def of(cls, folder: Path) -> Shared:
        """Make the folder one that tasks can know again."""
        token = uuid4().hex
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _SEEN).write_text(token, encoding="ascii")
        return cls(folder.absolute(), token)

    def new(self, name: str) -> Path:
        """A hidden file of this task alone. Raises TaskError where this machine does not share the folder."""
        seen = ""
        with suppress(OSError):
            seen = (self.folder / _SEEN).read_text(encoding="ascii")
        if seen != self.token:
            raise TaskError(
                ShopmonError(
                    f"{socket.gethostname()} does not find the driver's {self.folder}",
                    advice="Put the project's folder onto a file system that all machines share, under one path.",
                )
            )
        return self.folder / f".{name}-{uuid4().hex[:12]}.parquet"

    def publish(self, written: Mapping[str, str]) -> None:
        """Give the files that count the names by which they are found, and take away all else.

        A task that Spark started twice may still be writing: what it writes stays hidden, and nobody reads it.
        """
        for hidden, name in written.items():
            (self.folder / hidden).rename(self.folder / name)
        for path in self.folder.glob(".*"):
            path.unlink(missing_ok=True)


def on_pieces(spark: SparkSession, pieces: Sequence[Piece], look: Look, doing: str) -> list[Any]:
    """What a function says of each piece, in their order. Raises ShopmonError with the cause where a task fails."""

    def encoded(piece: Piece) -> bytes:
        return json.dumps(look(piece)).encode()

    with told(doing):
        found = _answers(spark, pieces, encoded).collect()
    said = {row["piece"]: json.loads(bytes(row["said"])) for row in found}
    return [said[piece.number] for piece in pieces]


def merged_on_pieces(
    spark: SparkSession,
    pieces: Sequence[Piece],
    look: Callable[[Piece], bytes],
    merge: Callable[[bytes, bytes], bytes],
    doing: str,
) -> bytes:
    """What a function says of all pieces together, in no certain order.

    The executors merge some answers at a time, in as many levels as it takes; the driver merges the last few.
    """

    def together(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        said = (one.as_py() for batch in batches for one in batch.column("said"))
        first = next(said, None)
        if first is not None:
            yield _answer(0, reduce(merge, said, first))

    with told(doing):
        each, left = _answers(spark, pieces, look), len(pieces)
        while left > _COLLECTED:
            left = ceil(left / _TOGETHER)
            each = each.repartition(left).mapInArrow(together, "piece long, said binary")
        found = each.collect()
    return reduce(merge, [bytes(row["said"]) for row in found])


class Beside:
    """A thread whose jobs run beside all others, and can be ended by another thread."""

    def __init__(self, spark: SparkSession, name: str) -> None:
        self._spark, self._tag = spark, f"shopmon-{name}-{uuid4().hex}"
        self._context = getattr(spark, "sparkContext", None)  # which the client of Spark Connect lacks
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"shopmon-{name}")
        self._asked: list[Future[Any]] = []

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have a function run there, and the jobs that it starts."""

        def apart() -> T:
            self._mark()
            return work()

        asked = self._pool.submit(apart)
        self._asked.append(asked)
        return asked

    def close(self) -> None:
        """Wait for what was asked."""
        self._pool.shutdown()

    def end(self) -> None:
        """Stop what was asked: nobody wants it any more, and it may take hours."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        # In a thread, as a server that is gone may be asked for minutes.
        ending = Thread(target=self._interrupt, name=f"{self._tag}-end", daemon=True)
        ending.start()
        ending.join(_PATIENCE)

    def _mark(self) -> None:
        """Give the jobs of this thread a name by which they are ended, and a share of the cores of their own."""
        if self._context is None:
            self._spark.addTag(self._tag)
            return
        self._context.addJobTag(self._tag)  # a session's own tags are known to one thread only
        self._context.setLocalProperty("spark.scheduler.pool", "beside")

    def _interrupt(self) -> None:
        with suppress(Exception):  # of a session that has ended, and with it all jobs
            while not all(asked.done() for asked in self._asked):
                if self._context is None:
                    self._spark.interruptTag(self._tag)
                else:
                    self._context.cancelJobsWithTag(self._tag)
                wait(self._asked, timeout=_OFTEN)


@contextmanager
def beside(spark: SparkSession, name: str) -> Iterator[Beside]:
    """A thread for jobs beside all others; where the block raises, they are ended, and nobody waits for them."""
    jobs = Beside(spark, name)
    try:
        yield jobs
    except BaseException:  # Ctrl-C, too
        jobs.end()
        raise
    jobs.close()


def rows_of_pieces(
    spark: SparkSession, pieces: Sequence[Piece], rows: Callable[[Piece], Iterator[pa.RecordBatch]], schema: str
) -> DataFrame:
    """The rows that a function gives of each piece, where they are; nothing is run yet."""
    return _by_number(spark, pieces).mapInArrow(partial(_rows, pieces=tuple(pieces), rows=rows), schema)


def _answers(spark: SparkSession, pieces: Sequence[Piece], look: Callable[[Piece], bytes]) -> DataFrame:
    def answered(piece: Piece) -> Iterator[pa.RecordBatch]:
        yield _answer(piece.number, look(piece))

    return rows_of_pieces(spark, pieces, answered, "piece long, said binary")


def _answer(number: int, said: bytes) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"piece": [number], "said": [said]}, schema=_ANSWER)


def _by_number(spark: SparkSession, pieces: Sequence[Piece]) -> DataFrame:
    """The place of each piece, one in each task."""
    follow(spark)  # here, as whatever looks at pieces passes by
    return spark.range(0, len(pieces), 1, len(pieces))


def _rows(
    batches: Iterable[pa.RecordBatch], *, pieces: Sequence[Piece], rows: Callable[[Piece], Iterator[pa.RecordBatch]]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for place in batch.column(0).to_pylist():
            yield from rows(pieces[place])
