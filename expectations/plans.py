"""What must be counted so that Great Expectations can judge a rule?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from expectations.columns import Column
from expectations.kinds import Holds


class Unexaminable(Exception):
    """The rule applies, but this batch's columns are not of a sort that it can be asked of."""


@dataclass(frozen=True)
class RowPlan:
    """A rule that each row keeps or breaks by itself."""

    considered: str
    """SQL condition: the rows that the rule's row_condition leaves."""
    skipped: str
    """SQL condition: of those, the rows without a value to judge."""
    broken: str
    """SQL condition: of the rest, the rows that break the rule. It may be NULL only where `skipped` is true."""
    shown: tuple[Column, ...]
    """Whose values are given as examples."""
    noted: str = ""
    """What was learnt from the column before its rows could be judged."""
    learnt: Mapping[str, Any] = field(default_factory=dict)
    """The same as JSON values."""


@dataclass(frozen=True)
class Compared:
    """By what rows are set against one another, for whoever does not hold them all."""

    narrow: str
    """SQL query over the relation `batch`: of each row that is compared its `address` and two numbers of 128 bits, `k`,
    the same for rows of one group, and `v`, null for rules that ask no more."""
    settled: str
    """SQL query over a relation `narrow` that holds whole groups: file and row of each row that breaks the rule."""


@dataclass(frozen=True)
class CrossRowPlan:
    """A rule that sets rows against one another."""

    considered: str
    skipped: str
    failing_rows: str
    """SQL query that gives the file and row of each row that breaks the rule."""
    compared: Compared
    """The same in two steps."""
    shown: tuple[Column, ...]
    noted: str = ""


@dataclass(frozen=True)
class ValuePlan:
    """A rule about one number, or one list, of a whole column or table."""

    metrics: Mapping[str, str]
    """Great Expectations' name of a metric → SQL aggregate over the relation `batch`."""
    adapt: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """How a metric's SQL value becomes what Great Expectations expects, where it differs."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """Metrics that need no counting."""
    shown: tuple[Column, ...] = ()
    considered: str = "true"
    skipped: str = "false"
    """SQL condition: of the rows considered, those that the value does not rest on."""


Plan = RowPlan | CrossRowPlan | ValuePlan


def missing(column: Column) -> str:
    """SQL: whether there is no value. As in pandas, NaN is none and infinity is one.

    >>> missing(Column("price", "c1", "DOUBLE"))
    'c1 is null or isnan(c1)'
    """
    null = f"{column.sql} is null"
    return f"{null} or isnan({column.sql})" if column.type in ("DOUBLE", "FLOAT") else null


def value(column: Column) -> str:
    """SQL: the value as pandas would hold it, where decimals and wide integers are floats; every moment is in UTC."""
    if column.type == "TIMESTAMP WITH TIME ZONE":
        return f"{column.sql}::timestamp"
    wide = column.type.startswith("DECIMAL") or column.type in ("HUGEINT", "UHUGEINT", "UBIGINT")
    return f"{column.sql}::double" if wide else column.sql


def require(column: Column, *holds: Holds) -> None:
    """Raises Unexaminable unless the column holds one of these."""
    if column.holds not in holds:
        raise Unexaminable(f"{column.name!r} holds {column.type}; the rule needs {' or '.join(holds)}")
