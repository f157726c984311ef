"""How many rows break each rule, and which, when they lie on many machines?

Every piece is asked what `scan` asks of a batch. Its failing rows are written where they were found; what comes back
are sums, and the places of the first failing rows of each rule.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from expectations import scan
from expectations.batch import Batch
from expectations.columns import ADDRESS, ROWS_OF_A_FILE, Column
from expectations.pieces import Cut, Piece, opened, whole_of
from expectations.plans import CrossRowPlan, Plan, ValuePlan
from expectations.quarantine import PARQUET, check_none_lost
from expectations.scan import SAMPLES, Counts
from expectations.spark_jobs import Shared, merged_on_pieces
from expectations.spark_keys import flagged
from expectations.spark_measures import ADDED, MEASURES, brought_together
from expectations.sql import Bound, literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Scanned:
    """What was counted, and where the failing rows lie."""

    counts: dict[int, Counts]
    breaking: Mapping[int, str]
    """Piece → name of the file in the shared folder that holds its table `breaking`; none without such a row."""
    unfit: int
    """Rows that break a serious rule."""


@dataclass(frozen=True)
class Questions:
    """What is asked of a batch; each mapping is keyed by a number per rule."""

    plans: Mapping[int, Plan]
    bound: Bound
    shown: Mapping[int, Sequence[Column]]
    """The columns whose values are told of failing rows; names every rule."""
    arguments: Mapping[int, Mapping[str, Any]]
    serious: Sequence[int]
    """The rules whose breaking makes a row unfit."""

    @property
    def crossing(self) -> dict[int, CrossRowPlan]:
        """The rules that set rows against one another."""
        return {number: plan for number, plan in self.plans.items() if isinstance(plan, CrossRowPlan)}

    def metrics(self) -> list[tuple[int, ValuePlan, str]]:
        """Each rule's number and plan with each metric that it asks for."""
        measured = ((number, plan) for number, plan in self.plans.items() if isinstance(plan, ValuePlan))
        return [(number, plan, metric) for number, plan in measured for metric in plan.metrics]

    def arguments_of(self, sql: str) -> list[Mapping[str, Any]]:
        """Those of all rules that ask for this metric."""
        return [self.arguments[number] for number, plan, metric in self.metrics() if plan.metrics[metric] == sql]

    def of_pieces(self) -> Questions:
        """The same as they are asked of a piece: numbers of a whole column give their parts, where these add up."""
        plans = {n: _in_parts(plan) if isinstance(plan, ValuePlan) else plan for n, plan in self.plans.items()}
        return replace(self, plans=plans)


def _in_parts(plan: ValuePlan) -> ValuePlan:
    return replace(plan, metrics={m: MEASURES[m].sql(plan) for m in plan.metrics if m in MEASURES}, adapt={}, known={})


@dataclass(frozen=True)
class _Work:
    """What every task needs."""

    whole: Cut
    questions: Questions
    flags: Mapping[int, str]
    shared: Shared


def count(
    spark: SparkSession,
    batch: Batch,
    pieces: Sequence[Piece],
    questions: Questions,
    shared: Shared,
    progress: Callable[[str], None] = lambda _: None,
) -> Scanned:
    """Count every plan, as `scan.count` does. Raises ShopmonError where a task fails."""
    whole = whole_of(batch, pieces)
    progress("looking for rows that repeat or contradict one another")
    flags = flagged(spark, whole, questions.crossing, questions.bound, shared)
    progress(f"finding the rows that break a rule, in {_pieces(len(pieces))}")
    work = _Work(whole, questions.of_pieces(), flags, shared)
    told = merged_on_pieces(spark, pieces, partial(_look, work=work), _both, "finding the rows that break a rule")
    tally = json.loads(told)
    totals: dict[str, Any] = dict(tally["totals"])
    for number, plan, metric in questions.metrics():
        sql = plan.metrics[metric]
        if metric in MEASURES:
            totals[sql] = MEASURES[metric].value(tally["measured"][f"{number} {metric}"])
        elif sql not in totals:
            progress(f"looking for {metric}")
            arguments = questions.arguments_of(sql)
            totals[sql] = brought_together(spark, batch, whole, plan, metric, arguments, questions.bound)
    breaking = dict(tally["written"])
    first = {int(rule): addresses for rule, addresses in tally["samples"].items()}
    _fetch(batch, first, pieces, breaking, shared)
    samples = scan.samples_at(batch, questions.shown, first)
    unexpected = {int(number): rows for number, rows in tally["unexpected"].items()}
    counts = {
        number: scan.counts_of(questions.plans.get(number), totals, unexpected.get(number, 0), samples.get(number, ()))
        for number in questions.shown
    }
    return Scanned(counts, breaking, tally["unfit"])


def _pieces(count: int) -> str:
    return "1 piece" if count == 1 else f"{count:,} pieces"


def _fetch(
    batch: Batch,
    first: Mapping[int, Sequence[int]],
    pieces: Sequence[Piece],
    breaking: Mapping[int, str],
    shared: Shared,
) -> None:
    """Have the rows at these addresses, and no others, in the driver's table `breaking`."""
    wanted = sorted({address for addresses in first.values() for address in addresses})
    holding = {breaking[piece] for piece in pieces_of(wanted, pieces)}
    if not holding:
        batch.rows_of("create table breaking as select *, []::integer[] as rules from batch limit 0")
        return
    files = ", ".join(literal(str(shared.folder / name)) for name in sorted(holding))
    batch.rows_of(
        f"create table breaking as from read_parquet([{files}], hive_partitioning = false) "
        f"where {ADDRESS} in (select unnest({wanted}::bigint[]))"
    )


def pieces_of(addresses: Sequence[int], pieces: Sequence[Piece]) -> set[int]:
    """The numbers of the pieces in which rows with these addresses stand."""
    starts = [piece.file * ROWS_OF_A_FILE + piece.first for piece in pieces]
    return {bisect_right(starts, address - 1) - 1 for address in addresses}


def _look(piece: Piece, *, work: _Work) -> bytes:
    asked = work.questions
    with opened(work.whole, piece) as batch:
        scan.prepare(batch)
        if piece.number in work.flags:
            path = work.shared.folder / work.flags[piece.number]
            batch.connection.execute("insert into flagged from read_parquet($path)", {"path": str(path)})
        unexpected = scan.find_breaking(batch, asked.plans, asked.bound, asked.shown)
        totals = scan.totals(batch, asked.plans, unexpected, asked.bound)
        measured = {f"{n} {metric}": totals[plan.metrics[metric]] for n, plan, metric in asked.metrics()}
        apart = {plan.metrics[metric] for _, plan, metric in asked.metrics()}
        unfit = f"select count(*) from breaking where list_has_any(rules, {list(asked.serious)}::integer[])"
        told = {
            "totals": {sql: found for sql, found in totals.items() if sql not in apart},
            "measured": measured,
            "unexpected": unexpected,
            "samples": scan.first_failing(batch),
            "unfit": batch.row_of(unfit)[0],
            "written": _written(batch, piece, work.shared),
        }
        return json.dumps(told).encode()


def _written(batch: Batch, piece: Piece, shared: Shared) -> list[tuple[int, str]]:
    """Keep the table `breaking` of a piece: its number and the file's name; nothing without a row."""
    check_none_lost(batch)
    if batch.row_of("select count(*) from breaking") == (0,):
        return []
    path = shared.new(f"breaking-{piece.number:06}")
    batch.rows_of(f"copy breaking to {literal(str(path))} {PARQUET}")
    return [(piece.number, path.name)]


def _both(one: bytes, other: bytes) -> bytes:
    """What two tasks said, together."""
    a, b = json.loads(one), json.loads(other)
    kinds = {name: MEASURES[name.partition(" ")[2]].kind for name in a["measured"]}
    told = {
        "totals": {sql: found + b["totals"][sql] for sql, found in a["totals"].items()},
        "measured": {name: ADDED[kinds[name]](part, b["measured"][name]) for name, part in a["measured"].items()},
        "unexpected": {
            rule: a["unexpected"].get(rule, 0) + b["unexpected"].get(rule, 0)
            for rule in {*a["unexpected"], *b["unexpected"]}
        },
        "samples": {
            rule: nsmallest(SAMPLES, [*a["samples"].get(rule, ()), *b["samples"].get(rule, ())])
            for rule in {*a["samples"], *b["samples"]}
        },
        "unfit": a["unfit"] + b["unfit"],
        "written": a["written"] + b["written"],
    }
    return json.dumps(told).encode()
