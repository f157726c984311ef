"""Is this data fit to use, and which rows are not? From suite and batch to verdicts and quarantine, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from expectations import scan
from expectations.batch import Batch
from expectations.binding import Question, Unasked, bind
from expectations.columns import Column
from expectations.planning import plan
from expectations.plans import CrossRowPlan, Plan, RowPlan, Unexaminable
from expectations.quarantine import check_writable, write_quarantine
from expectations.quarantine import write_good as write_good_rows
from expectations.results import CUT, MOST_LISTED, Engine, Example, ExpectationResult, Outcome, Validation
from expectations.scan import Counts
from expectations.sql import Bound
from expectations.suite import Rule, Suite

if TYPE_CHECKING:
    from expectations.great_expectations_engine import Counted

UNREADABLE_ALLOWED = 0.01
"""Share of records that may be unreadable before that alone fails a batch: one bad line must not stop a shop."""


@dataclass(frozen=True)
class Prepared:
    """A question on its way: with Great Expectations' object, and the plan by which the scan counts it."""

    question: Question
    expectation: Any
    """Great Expectations' own object; only the judge and its engine know more of it."""
    plan: Plan | None


def validate(
    batch: Batch,
    suite: Suite,
    *,
    folder: Path,
    engine: Engine | str = Engine.SCAN,
    unreadable_allowed: float = UNREADABLE_ALLOWED,
    write_good: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Ask a suite of a batch; Great Expectations judges, our scan counts (or, if asked for, Great Expectations itself).

    Writes `quarantine.parquet` into `folder` if any row fails, and the good rows to `write_good` if given.

    Raises SuiteError when the suite cannot be understood, and BatchError when the good rows have no place; nothing is
    written then.
    """
    if write_good is not None:
        check_writable(batch, write_good)
    progress("loading Great Expectations")
    judge = import_module("expectations.judge")
    judge.check_suite(suite)
    bound = Bound()
    asked = prepared(batch, suite, judge, bound)
    scan.prepare(batch)
    counted = _let_great_expectations_count(batch, asked, Engine(engine), progress)
    plans = {n: a.plan for n, a in enumerate(asked) if isinstance(a, Prepared) and a.plan is not None}
    counts = scan.count(batch, plans, bound, {n: shown(a, batch) for n, a in enumerate(asked)}, counted, progress)
    progress("judging")
    results = tuple(answer(item, counts[n], counted.get(n), judge, batch) for n, item in enumerate(asked))
    progress("writing the quarantine")
    broken = {n for n, result in enumerate(results) if result.outcome is Outcome.FAILED}
    aside = write_quarantine(batch, folder / "quarantine.parquet", {n: r.id for n, r in enumerate(results)}, broken)
    if write_good is not None:
        write_good_rows(batch, write_good)
    return Validation(
        results, batch.rows, batch.unreadable, aside.rows, aside.tolerated, unreadable_allowed, aside.path
    )


def prepared(batch: Batch, suite: Suite, judge: ModuleType, bound: Bound) -> list[Prepared | Unasked]:
    """Each question that a suite asks of a batch, in the suite's order, ready to be counted."""
    return [_prepare(item, judge, batch, suite, bound) for item in bind(suite, batch)]


def _prepare(
    item: Question | Unasked, judge: ModuleType, batch: Batch, suite: Suite, bound: Bound
) -> Prepared | Unasked:
    if isinstance(item, Unasked):
        return item
    try:
        return Prepared(item, judge.understand(item.rule, suite), plan(item, batch, bound))
    except Unexaminable as reason:
        return Unasked(item.rule, Outcome.ERROR, str(reason))


def _let_great_expectations_count(
    batch: Batch, asked: Sequence[Prepared | Unasked], engine: Engine, progress: Callable[[str], None]
) -> dict[int, Counted]:
    """Rules that were not compiled, or all of them when it is to be the oracle."""
    mine = {
        number: item
        for number, item in enumerate(asked)
        if isinstance(item, Prepared) and (engine is Engine.GREAT_EXPECTATIONS or item.plan is None)
    }
    if not mine:
        return {}
    engine_module = import_module("expectations.great_expectations_engine")
    counted: dict[int, Counted] = {}
    for number, item in mine.items():
        progress(f"Great Expectations counts {item.question.rule.id}")
        counted[number] = engine_module.count(item.question, item.expectation, batch)
        scan.flag(batch, number, counted[number].addresses)
    return counted


def shown(item: Prepared | Unasked, batch: Batch) -> Sequence[Column]:
    """The columns whose values are told of failing rows."""
    if isinstance(item, Unasked):
        return ()
    if item.plan is not None:
        return item.plan.shown
    return [column for name in item.question.rule.columns if (column := batch.column(name)) is not None]


def answer(
    item: Prepared | Unasked, counts: Counts, counted: Counted | None, judge: ModuleType, batch: Batch,
    engine: Engine = Engine.SCAN,
) -> ExpectationResult:  # fmt: skip
    """A rule's answer; `engine` is who counted what Great Expectations did not count itself."""
    if isinstance(item, Unasked):
        return _result(item.rule, item.outcome, engine, item.reason, counts, batch)
    rule = item.question.rule
    if counted:
        engine = Engine.GREAT_EXPECTATIONS
    if counted and counted.result and "element_count" in counted.result.result:  # else it is about no single rows
        counts = replace(counts, considered=counted.examined, skipped=0)
    if _nothing_to_judge(item, counts):
        return _result(rule, Outcome.NOT_EXAMINED, engine, _nothing(item, counts), counts, batch)
    if counted and counted.error:
        return _result(rule, Outcome.ERROR, engine, counted.error, counts, batch)
    try:
        verdict: Any = counted.result if counted else judge.judge(item.question, item.expectation, counts)
    except judge.Unjudged as reason:
        return _result(rule, Outcome.ERROR, engine, str(reason), counts, batch)
    outcome = Outcome.PASSED if verdict.success else Outcome.FAILED
    said = judge.verdict_json(verdict)
    return _result(rule, outcome, engine, "", counts, batch, said)


def _nothing_to_judge(item: Prepared, counts: Counts) -> bool:
    """What found no row to look at passes in Great Expectations; here it has a name of its own.

    A number of rows is the exception: that it is 0 may be just what the rule is about.
    """
    about_rows = isinstance(item.plan, RowPlan | CrossRowPlan) or bool(item.question.rule.columns)
    return about_rows and counts.examined == 0


def _nothing(item: Prepared, counts: Counts) -> str:
    if item.question.condition is not None and counts.considered == 0:
        return "no row meets its row_condition"
    names = " and ".join(map(repr, item.question.rule.columns[:4]))
    return f"{names} holds no value" if names else "no row to examine"


def _result(
    rule: Rule, outcome: Outcome, engine: Engine, reason: str, counts: Counts, batch: Batch,
    verdict: dict[str, Any] | None = None,
) -> ExpectationResult:  # fmt: skip
    observed = (verdict or {}).get("result", {}).get("observed_value")
    return ExpectationResult(
        id=rule.id,
        type=rule.type,
        column=" + ".join(rule.columns[:4]) or None,
        severity=rule.severity,
        outcome=outcome,
        examined=counts.examined if verdict is not None else 0,
        unexpected=counts.unexpected if verdict is not None else 0,
        engine=engine,
        reason=reason or _reason(rule, outcome, counts, observed),
        mostly=rule.mostly,
        observed=observed,
        example=_example(rule, counts, batch),
        asked=_told(rule.kwargs) | ({"learnt": dict(counts.learnt)} if counts.learnt else {}),
        verdict=verdict or {},
    )


def _told(value: Any) -> Any:
    """An argument as a JSON value; of a list, its first members."""
    if isinstance(value, Mapping):
        return {str(key): _told(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        first = [_told(member) for member in islice(value, MOST_LISTED)]
        return first if len(value) <= MOST_LISTED else [*first, CUT]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def _reason(rule: Rule, outcome: Outcome, counts: Counts, observed: Any) -> str:
    if isinstance(observed, list) and observed and rule.says and all(isinstance(one, str) for one in observed):
        more = f" and {len(observed) - 3:,} more" if len(observed) > 3 else ""
        return f"{rule.says}: {'; '.join(observed[:3])}{more}"
    if observed is not None:
        wanted = ", ".join(
            f"{k} {v}" for k, v in rule.kwargs.items() if k in ("min_value", "max_value", "value_set", "value")
        )
        return f"observed {observed}" + (f"; wanted {wanted}" if wanted else "")
    if counts.unexpected == 0:
        return "every row keeps it" if outcome is Outcome.PASSED else rule.says or rule.type
    told = rule.says or rule.type.removeprefix("expect_").replace("_", " ")
    return f"{told} ({counts.noted})" if counts.noted else told


def _example(rule: Rule, counts: Counts, batch: Batch) -> Example | None:
    if not counts.samples:
        return None
    first = counts.samples[0]
    held = first.values
    value = next(iter(held.values())) if len(held) == 1 else held
    return Example(batch.parts[first.file].found.name, first.row, value)
