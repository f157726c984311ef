"""How many rows break each rule, and which? One scan for all rules, besides the narrow ones of cross-row rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from expectations.batch import Batch
from expectations.columns import ADDRESS, FILE, FILE_OF, ROW, ROW_OF, Column
from expectations.plans import CrossRowPlan, Plan, RowPlan, ValuePlan
from expectations.sql import Bound, all_of, any_of, quoted

SAMPLES = 20
"""Failing rows given as examples for each rule; Great Expectations' own default."""
_AT_ONCE = 400
"""Aggregates in one statement: batches with thousands of columns are counted in several."""
_BITS = 62
"""Rules whose flags one number holds."""
_HELD = re.compile(r"\(not \(([cr]\d+) is null\)\)")
_ASCII = re.compile(r"\b([cr]\d+)_ascii\b")


@dataclass(frozen=True)
class Sample:
    """One failing row with the values a rule is about."""

    file: int
    row: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """What Great Expectations needs to judge one rule."""

    considered: int = 0
    """Rows that meet the rule's row condition."""
    skipped: int = 0
    """Of those, rows without a value to judge."""
    unexpected: int = 0
    samples: tuple[Sample, ...] = ()
    noted: str = ""
    """What was learnt from the column before its rows were judged, in one sentence."""
    learnt: Mapping[str, Any] = field(default_factory=dict)
    """The same as JSON values."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Values of a rule about a whole column, under Great Expectations' names."""

    @property
    def examined(self) -> int:
        """Rows that were judged."""
        return self.considered - self.skipped


def prepare(batch: Batch) -> None:
    """Make the table in which cross-row rules, and rules that another engine counts, put their failing rows."""
    batch.rows_of(f"create table flagged (rule integer, {FILE} integer, {ROW} bigint)")


def flag(batch: Batch, rule: int, addresses: Sequence[tuple[int, int]]) -> None:
    """Note rows that another engine found to break a rule."""
    import pyarrow as pa

    files, rows = zip(*addresses, strict=True) if addresses else ((), ())
    found = pa.table({"file": pa.array(files, pa.int32()), "row": pa.array(rows, pa.int64())})
    with_name = f"flagged_by_{rule}"
    batch.connection.register(with_name, found)
    batch.rows_of(f"insert into flagged select {rule}, file, row from {with_name}")
    batch.connection.unregister(with_name)


def count(
    batch: Batch,
    plans: Mapping[int, Plan],
    bound: Bound,
    shown: Mapping[int, Sequence[Column]],
    elsewhere: Collection[int] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> dict[int, Counts]:
    """Count every plan; afterwards the table `breaking` holds each row that breaks a rule, with the rules it breaks.

    `plans` and `shown` are keyed by a number per rule, `shown` names every rule. Of the rules counted `elsewhere` the
    failing rows are flagged already; only how many rows they looked at is counted here.
    """
    for number, plan in plans.items():
        if isinstance(plan, CrossRowPlan) and number not in elsewhere:
            progress("looking for rows that repeat or contradict one another")
            batch.rows_of(f"insert into flagged select {number}, * from ({plan.failing_rows})", bound)
    progress("finding the rows that break a rule")
    unexpected = find_breaking(batch, {n: p for n, p in plans.items() if n not in elsewhere}, bound, shown)
    progress("counting")
    found = totals(batch, plans, unexpected, bound)
    addresses = first_failing(batch)
    samples = samples_at(batch, shown, addresses)
    return {
        number: counts_of(plans.get(number), found, unexpected.get(number, 0), samples.get(number, ()))
        for number in shown
    }


def counts_of(plan: Plan | None, totals: Mapping[str, Any], unexpected: int, samples: tuple[Sample, ...]) -> Counts:
    """What Great Expectations needs to judge a rule, from `totals` and what was found of its failing rows."""
    if plan is None:
        return Counts(totals[_rows("true")], 0, unexpected, samples)
    considered, examined = totals[_rows(plan.considered)], totals[_rows(_examined(plan))]
    if isinstance(plan, ValuePlan):
        measured = {name: plan.adapt.get(name, lambda same: same)(totals[sql]) for name, sql in plan.metrics.items()}
        return Counts(considered, considered - examined, metrics={**measured, **plan.known})
    learnt = plan.learnt if isinstance(plan, RowPlan) else {}
    return Counts(considered, considered - examined, unexpected, samples, plan.noted, learnt)


def _rows(condition: str) -> str:
    """SQL: how many rows meet a condition; that a column holds a value is counted without a look at each row."""
    if condition == "true":
        return "count(*)"
    held = _HELD.fullmatch(condition)
    return f"count({held[1]})" if held else f"count(*) filter ({condition})"


def _examined(plan: Plan) -> str:
    return all_of([plan.considered, "true" if plan.skipped == "false" else f"not ({plan.skipped})"])


def totals(batch: Batch, plans: Mapping[int, Plan], unexpected: Mapping[int, int], bound: Bound) -> dict[str, Any]:
    """Every aggregate that any rule asks for, by its SQL, each counted once."""
    missing = _missing(plans, unexpected)
    wanted = {_rows("true"): None}
    for plan in plans.values():
        wanted[_rows(plan.considered)] = None
        if (plan.considered, plan.skipped) not in missing:
            wanted[_rows(_examined(plan))] = None
        if isinstance(plan, ValuePlan):
            wanted |= dict.fromkeys(plan.metrics.values())
    aggregates = list(wanted)
    found: dict[str, Any] = {}
    for start in range(0, len(aggregates), _AT_ONCE):
        some = aggregates[start : start + _AT_ONCE]
        found |= dict(zip(some, batch.row_of(f"select {', '.join(some)} from batch", bound), strict=True))
    for plan in plans.values():
        if (absent := missing.get((plan.considered, plan.skipped))) is not None:
            found[_rows(_examined(plan))] = found[_rows(plan.considered)] - absent
    return found


def _missing(plans: Mapping[int, Plan], unexpected: Mapping[int, int]) -> dict[tuple[str, str], int]:
    """How many rows lack a value, where a not-null rule has found them already: no column is read again for that."""
    return {
        (plan.considered, plan.broken): unexpected.get(number, 0)
        for number, plan in plans.items()
        if isinstance(plan, RowPlan) and plan.skipped == "false"
    }


def find_breaking(
    batch: Batch, plans: Mapping[int, Plan], bound: Bound, shown: Mapping[int, Sequence[Column]]
) -> dict[int, int]:
    """Write each breaking row once, with its rules and its columns, so that no later step reads the batch again.

    Says how many rows break each rule.
    """
    conditions = {
        number: all_of([_examined(plan), plan.broken])
        for number, plan in plans.items()
        if isinstance(plan, RowPlan) and plan.broken != "false"
    }
    kept = dict.fromkeys([c.sql for c in batch.own_columns] + [c.sql for columns in shown.values() for c in columns])
    flagged = [number for (number,) in batch.rows_of("select distinct rule from flagged order by rule")]
    source = _source(conditions.values())
    if flagged:
        source = f"(select * from {source} left join ({_flags_sql(flagged)}) using ({FILE}, {ROW}))"
    breaks = any_of([*conditions.values(), *(["flags_0 is not null"] if flagged else [])])
    broken = {**conditions, **{number: _flag(place) for place, number in enumerate(flagged)}}
    rules = ", ".join(f"case when {broken[number]} then {number} end" for number in sorted(broken))
    listed = f"list_filter([{rules}]::integer[], lambda rule: rule is not null)"
    columns = ", ".join([FILE, ROW, f"{listed} as rules", *kept])
    # Kept before they are asked which rules they break: from few full chunks, Python is asked a few times only.
    # A table of its own spills; what one statement materialises does not where memory is short.
    batch.rows_of(f"create table found as select * from {source} where {breaks}", bound)
    batch.rows_of(f"create table breaking as select {columns} from found", bound)
    batch.rows_of("drop table found")
    return dict(batch.rows_of("select rule, count(*) from (select unnest(rules) as rule from breaking) group by rule"))


def _flags_sql(rules: Sequence[int]) -> str:
    """SQL: of each flagged row, a bit for each of these rules: numbers spill where lists would fill the memory."""
    blocks = (rules[begin : begin + _BITS] for begin in range(0, len(rules), _BITS))
    bits = (" ".join(f"when {number} then {1 << place}" for place, number in enumerate(block)) for block in blocks)
    masks = ", ".join(f"bit_or(case rule {cases} else 0 end::bigint) as flags_{i}" for i, cases in enumerate(bits))
    return f"select {FILE}, {ROW}, {masks} from flagged group by {FILE}, {ROW}"


def _flag(place: int) -> str:
    """SQL: whether the rule at that place among the flagged ones is broken."""
    return f"flags_{place // _BITS} & {1 << place % _BITS} <> 0"


def _source(conditions: Iterable[str]) -> str:
    """The batch, with the flag "ASCII only" for each text column whose regular expressions need it."""
    flags = dict.fromkeys(name for condition in conditions for name in _ASCII.findall(condition))
    if not flags:
        return "batch"
    flagged = ", ".join(f"strlen({name}) = length({name}) as {name}_ascii" for name in flags)
    return f"(select *, {flagged} from batch)"


def first_failing(batch: Batch) -> dict[int, list[int]]:
    """Where the first rows stand that break each rule, in the order of files and rows (`ADDRESS`)."""
    addresses = f"(select unnest(rules) as rule, {ADDRESS} as address from breaking)"
    return dict(batch.rows_of(f"select rule, min(address, {SAMPLES}) from {addresses} group by rule"))


def samples_at(
    batch: Batch, shown: Mapping[int, Sequence[Column]], addresses: Mapping[int, Sequence[int]]
) -> dict[int, tuple[Sample, ...]]:
    """The rows of the table `breaking` at these addresses, with the values that each rule is about."""
    import pyarrow as pa

    pairs = [(rule, address) for rule, some in addresses.items() for address in some]
    columns = {
        "rule": pa.array([r for r, _ in pairs], pa.int32()),
        "address": pa.array([a for _, a in pairs], pa.int64()),
    }
    batch.connection.register("first_failing", pa.table(columns))
    batch.rows_of(f"create table samples as select rule, {FILE_OF} as {FILE}, {ROW_OF} as {ROW} from first_failing")
    batch.connection.unregister("first_failing")
    names = dict.fromkeys(column.sql for columns in shown.values() for column in columns)
    selected = ", ".join([f"s.rule, {FILE}, {ROW}", *(f"b.{name}" for name in names)])
    found = batch.rows_of(
        f"select {selected} from samples s join breaking b using ({FILE}, {ROW}) order by s.rule, {FILE}, {ROW}"
    )
    position = {name: index + 3 for index, name in enumerate(names)}
    samples: dict[int, list[Sample]] = {}
    for row in found:
        values = {column.name: row[position[column.sql]] for column in shown.get(row[0], ())}
        samples.setdefault(row[0], []).append(Sample(row[1], row[2], values))
    return {rule: tuple(rows) for rule, rows in samples.items()}


def own_columns_sql(batch: Batch) -> str:
    """The file's own columns under their own names, for a table that holds them under ours."""
    return ", ".join(f"{column.sql} as {quoted(column.name)}" for column in batch.own_columns)
