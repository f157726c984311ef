"""Is this data fit to use, and which rows are not, when they lie on many machines?

The driver settles what is asked, and judges; the executors count, and put rows aside, by the SQL of the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.batch import Batch
from expectations.binding import Unasked
from expectations.pieces import Cut, Piece, cut, whole_of
from expectations.quarantine import serious
from expectations.results import Engine, Outcome, Validation
from expectations.spark_fit import Fit
from expectations.spark_jobs import Shared
from expectations.spark_quarantine import write_quarantine
from expectations.spark_scan import Questions, count
from expectations.spark_values import value_counts
from expectations.sql import Bound
from expectations.suite import Suite
from expectations.validation import UNREADABLE_ALLOWED, Prepared, answer, prepared, shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NOT_COMPILED = (
    "the rule is not compiled: only Great Expectations' own engine counts it, in the memory of one machine; "
    "check with --engine scan, or leave it out"
)


@dataclass(frozen=True)
class Validated:
    """A validation, and what later questions to the same pieces stand on."""

    validation: Validation
    whole: Cut
    breaking: Mapping[int, str]
    """Piece → file of the shared folder that holds the rows which break a rule."""
    shared: Shared
    fit_rows: int
    """Rows that break no rule of a severity above `info`."""

    def fit(self, name: str) -> Fit:
        """Those rows, as a relation of that name."""
        return Fit(self.whole, self.breaking, self.shared, serious(self.validation.results), self.fit_rows, name)


def validate_on_spark(
    batch: Batch,
    suite: Suite,
    spark: SparkSession,
    *,
    folder: Path,
    staging: Path,
    unreadable_allowed: float = UNREADABLE_ALLOWED,
    pieces: Sequence[Piece] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Validated:
    """Ask a suite of a batch of parquet files, as `validation.validate` does, on the executors of a Spark cluster.

    Writes the folder `quarantine.parquet` into `folder` if any row fails; what is needed until the check is done goes
    to `staging`. Both must be where every machine finds them under the same path. Rules that are not compiled are
    answered by an error. Raises ShopmonError where a task fails.
    """
    progress("loading Great Expectations")
    judge = import_module("expectations.judge")
    judge.check_suite(suite)
    cuts = tuple(pieces) if pieces is not None else cut(batch)
    progress("counting values")
    batch.count_values = partial(value_counts, spark, batch, cuts)
    bound = Bound()
    asked = [_compiled(item) for item in prepared(batch, suite, judge, bound)]
    plans = {n: item.plan for n, item in enumerate(asked) if isinstance(item, Prepared) and item.plan is not None}
    questions = Questions(
        plans,
        bound,
        shown={n: shown(item, batch) for n, item in enumerate(asked)},
        arguments={n: item.question.rule.kwargs for n, item in enumerate(asked) if isinstance(item, Prepared)},
        serious=serious(item.question.rule if isinstance(item, Prepared) else item.rule for item in asked),
    )
    shared = Shared.of(staging)
    scanned = count(spark, batch, cuts, questions, shared, progress)
    progress("judging")
    results = tuple(answer(item, scanned.counts[n], None, judge, batch, Engine.SPARK) for n, item in enumerate(asked))
    progress("writing the quarantine")
    broken = [n for n, result in enumerate(results) if result.outcome is Outcome.FAILED]
    ids = {n: result.id for n, result in enumerate(results)}
    whole = whole_of(batch, cuts)
    aside = write_quarantine(spark, whole, scanned.breaking, shared, folder / "quarantine.parquet", ids, broken)
    validation = Validation(
        results, batch.rows, batch.unreadable, aside.rows, aside.tolerated, unreadable_allowed, aside.path
    )
    return Validated(validation, whole, scanned.breaking, shared, batch.rows - scanned.unfit)


def _compiled(item: Prepared | Unasked) -> Prepared | Unasked:
    if isinstance(item, Prepared) and item.plan is None:
        return Unasked(item.question.rule, Outcome.ERROR, _NOT_COMPILED)
    return item
