"""Which rows break a rule because of other rows? Narrow scans that end in the addresses of those rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from expectations.columns import FILE, ROW, Column
from expectations.plans import CrossRowPlan, missing, value
from expectations.row_rules import Asked, skipped_rows
from expectations.sql import all_of


def key(column: Column) -> str:
    """SQL: what two rows are compared by; NaN counts as no value and -0.0 as 0.0."""
    if column.type in ("DOUBLE", "FLOAT"):
        return f"case when isnan({column.sql}) then null else {column.sql} + 0.0 end"
    return value(column)


def failing_rows(keys: Sequence[str], where: str, *, suspicious: str, failing: str) -> str:
    """SQL: the addresses of rows that fail within the group of rows that share their keys.

    The first scan groups 64-bit hashes, which stay small and spill; the second reads the few candidates whole and
    settles them exactly, so that two texts with one hash are never confused.
    """
    hashed = f"hash({', '.join(keys)})"
    candidates = f"select {hashed} from batch where {where} group by {hashed} having {suspicious}"
    return (
        f"select {FILE}, {ROW} from batch where {where} and {hashed} in ({candidates}) "
        f"qualify {_settled(failing, keys)}"
    )


def coarsely_failing_rows(keys: Sequence[str], where: str, coarse: str, *, failing: str) -> str:
    """SQL: as `failing_rows`, for keys so costly that a coarser number is computed first, once, and kept.

    `coarse` is SQL: the same number for rows of the same keys, and null for rows that are not compared.
    """
    return (
        f"with coarse as materialized (select {FILE}, {ROW}, {coarse} as number from batch where {where}), "
        "again as (select number from coarse group by number having count(*) > 1), "
        f"candidates as (select {FILE}, {ROW} from coarse semi join again using (number)) "
        f"select {FILE}, {ROW} from batch semi join candidates using ({FILE}, {ROW}) "
        f"qualify {_settled(failing, keys)}"
    )


def _settled(failing: str, keys: Sequence[str]) -> str:
    return failing.format(keys=", ".join(keys), address=f"{FILE}, {ROW}")


def every_copy(asked: Asked, keys: Sequence[str], skipped: str, shown: tuple[Column, ...]) -> CrossRowPlan:
    """The rows whose keys stand in another row as well."""
    where = all_of([asked.considered, f"not ({skipped})"])
    query = failing_rows(keys, where, suspicious="count(*) > 1", failing="count(*) over (partition by {keys}) > 1")
    return CrossRowPlan(asked.considered, skipped, query, shown)


def later_copies(
    asked: Asked, keys: Sequence[str], skipped: str, shown: tuple[Column, ...], also: str = "true",
    coarse: str | None = None,
) -> CrossRowPlan:  # fmt: skip
    """The rows whose keys stand in an earlier row; `also` narrows which rows are compared at all."""
    where = all_of([asked.considered, f"not ({skipped})", also])
    later = "row_number() over (partition by {keys} order by {address}) > 1"
    if coarse is None:
        query = failing_rows(keys, where, suspicious="count(*) > 1", failing=later)
    else:
        query = coarsely_failing_rows(keys, where, coarse, failing=later)
    return CrossRowPlan(asked.considered, skipped, query, shown)


def _unique(asked: Asked) -> CrossRowPlan:
    column = asked.column()
    return every_copy(asked, [key(column)], missing(column), (column,))


def _compound_unique(asked: Asked) -> CrossRowPlan:
    columns = asked.columns()
    return every_copy(asked, [key(column) for column in columns], skipped_rows(asked, columns), columns)


CROSS_ROW_RULES: dict[str, Callable[[Asked], CrossRowPlan]] = {
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _compound_unique,
}
