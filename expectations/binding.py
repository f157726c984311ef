"""What does a suite ask of this batch? Its rules, with everything filled in that only the batch can say."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from expectations.batch import Batch
from expectations.columns import Column
from expectations.kinds import Holds
from expectations.results import Outcome
from expectations.row_condition import columns_of, read_condition
from expectations.suite import Rule, Suite

MOST_COLUMNS = 300
"""A rule for each column is asked of no more columns than this: each costs a predicate in the scan and a verdict, about
25 milliseconds together, and a batch of thousands of columns is an export gone wrong."""
_SAMPLED, _ROWS_A_CATEGORY = 20_000, 10
_SORTS = {"text column": Holds.TEXT, "number column": Holds.NUMBER, "date column": Holds.DATE}
_SPELLED = "expect_categories_to_be_spelled_one_way"
_NOT_AFTER = "expect_column_values_to_not_be_after"


@dataclass(frozen=True)
class Question:
    """A rule as it is asked of one batch: each argument is settled, each column is there."""

    rule: Rule
    condition: dict[str, Any] | None
    """Its row condition in mapping form."""


@dataclass(frozen=True)
class Unasked:
    """A rule that cannot be asked of this batch, and why."""

    rule: Rule
    outcome: Outcome
    reason: str


def bind(suite: Suite, batch: Batch, now: datetime | None = None) -> tuple[Question | Unasked, ...]:
    """Ask a suite of a batch, in the suite's order; `now` (UTC) is what "the future" is measured from."""
    moment = now or datetime.now(UTC).replace(tzinfo=None)
    return tuple(_ask(rule, suite, batch, moment) for rule in suite.rules for rule in _for_each(rule, batch))


def _for_each(rule: Rule, batch: Batch) -> Iterator[Rule]:
    if rule.each is None:
        yield rule
        return
    names = [_rule_name(column, batch) for column in batch.own_columns if _of_sort(column, rule.each)]
    if not names or len(names) > MOST_COLUMNS:
        yield rule
        return
    for name in names:
        yield replace(rule, id=f"{rule.id}:{name}", kwargs={**rule.kwargs, "column": name}, each=None)


def _of_sort(column: Column, each: str) -> bool:
    return each == "column" or column.holds is _SORTS[each]


def _rule_name(column: Column, batch: Batch) -> str:
    """The name under which a rule finds exactly this column: a role, its own name, or `NAME_as_written`."""
    meant = batch.names_of(column)
    if not meant:  # a role of this very name reads it as something else: an id that is stored as a number
        return column.name
    return column.name if column.name in meant and meant[0] not in batch.mapping else meant[0]


def _ask(rule: Rule, suite: Suite, batch: Batch, now: datetime) -> Question | Unasked:
    try:
        written = rule.kwargs.get("row_condition")
        condition = None if written is None else read_condition(written)
    except ValueError as error:
        raise suite.error(rule.line, str(error)) from None
    if rule.each is not None:
        return _unasked_of_each(rule, rule.each, batch)
    if (
        rule.type == _SPELLED
        and rule.kwargs.get("column_list") == ["*"]
        and _count(batch, "text column") > MOST_COLUMNS
    ):
        return _unasked_of_each(rule, "text column", batch)
    rule = _with_columns(rule, batch)
    lacking = [
        name for name in (*rule.columns, *(columns_of(condition) if condition else ())) if batch.column(name) is None
    ]
    if not _about_names(rule) and (lacking or _too_few(rule)):
        return _unasked(rule, batch, lacking)
    return Question(_with_moments(rule, batch, now), condition)


def _about_names(rule: Rule) -> bool:
    """Whether a column that is not there is just what the rule finds out."""
    return rule.type.startswith("expect_table_") or rule.type == "expect_column_to_exist"


def _with_columns(rule: Rule, batch: Batch) -> Rule:
    columns = rule.kwargs.get("column_list")
    if not isinstance(columns, list) or _about_names(rule):
        return rule
    if columns == ["*"]:
        every = _categories(batch) if rule.type == _SPELLED else [c for c in batch.own_columns if c.holds is not None]
        columns = [_rule_name(column, batch) for column in every]
    elif rule.where_present:
        columns = [name for name in columns if batch.column(str(name)) is not None]
    return replace(rule, kwargs={**rule.kwargs, "column_list": columns})


def _categories(batch: Batch) -> list[Column]:
    """Text columns of few values, by a sample: each value stands in ten rows or more on average."""
    texts = [column for column in batch.own_columns if column.holds is Holds.TEXT]
    if not texts:
        return []
    # Hashes leave DuckDB as arrays, because `count(distinct …)` takes megabytes for each column, whatever it holds.
    hashes = ", ".join(f"case when {c.sql} is not null then hash({c.sql}) end as {c.sql}" for c in texts)
    sampled = batch.query(f"select {hashes} from (from batch limit {_SAMPLED})").fetchnumpy()
    return [column for column in texts if _are_few(sampled[column.sql])]


def _are_few(hashes: Any) -> bool:
    """Whether each value of a masked array stands ten times or more on average."""
    values = Counter(hashes.compressed().tolist() if hasattr(hashes, "compressed") else hashes.tolist())
    return 0 < len(values) * _ROWS_A_CATEGORY <= values.total()


def _too_few(rule: Rule) -> bool:
    least = 1 if rule.type == _SPELLED else 2
    return "column_list" in rule.kwargs and len(rule.kwargs["column_list"]) < least


def _with_moments(rule: Rule, batch: Batch, now: datetime) -> Rule:
    """Dates written as text become dates where the column holds dates; "not after" without a moment means now."""
    kwargs = dict(rule.kwargs)
    if rule.type == _NOT_AFTER:
        kwargs.setdefault("moment", now.isoformat(timespec="seconds"))
    column = batch.column(rule.columns[0]) if rule.columns else None
    if column is not None and column.holds is Holds.DATE:
        for key in ("min_value", "max_value"):
            if isinstance(kwargs.get(key), str | date):
                kwargs[key] = _moment(kwargs[key])
    return replace(rule, kwargs=kwargs)


def _moment(written: str | date) -> Any:
    """The moment in UTC, as every date of a batch is; a day begins at midnight."""
    try:
        moment = datetime.fromisoformat(str(written))
    except ValueError:
        return written  # the rule then says that it cannot be compared
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _unasked(rule: Rule, batch: Batch, lacking: Sequence[str]) -> Unasked:
    if not lacking:
        return Unasked(rule, Outcome.NOT_EXAMINED, "the batch has none of its columns")
    name = lacking[0]
    stored = batch.column(name.removesuffix("_as_written")) if name.endswith("_as_written") else None
    if stored is not None:
        return Unasked(
            rule, Outcome.NOT_EXAMINED, f"{stored.name!r} is stored as {stored.type}: nothing was written as text"
        )
    if rule.optional:
        return Unasked(rule, Outcome.NOT_EXAMINED, f"the batch has no column {name!r}")
    near = difflib.get_close_matches(name, batch.names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, batch.names[:10]))}"
    return Unasked(rule, Outcome.ERROR, f"column {name!r} is not in the batch; {hint}")


def _unasked_of_each(rule: Rule, each: str, batch: Batch) -> Unasked:
    count = _count(batch, each)
    if count == 0:
        return Unasked(rule, Outcome.NOT_EXAMINED, f"the batch has no {each}")
    return Unasked(
        rule, Outcome.ERROR, f"the batch has {count:,} {each}s, and it is asked of each only up to {MOST_COLUMNS:,}"
    )


def _count(batch: Batch, each: str) -> int:
    return sum(_of_sort(column, each) for column in batch.own_columns)
