"""Which rows break a rule because of other rows? Narrow scans that end in the addresses of those rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from expectations.columns import ADDRESS, FILE, FILE_OF, ROW, ROW_OF, Column
from expectations.plans import Compared, CrossRowPlan, missing, value
from expectations.row_rules import Asked, skipped_rows
from expectations.sql import all_of


def key(column: Column) -> str:
    """SQL: what two rows are compared by; NaN counts as no value and -0.0 as 0.0."""
    if column.type in ("DOUBLE", "FLOAT"):
        return f"case when isnan({column.sql}) then null else {column.sql} + 0.0 end"
    return value(column)


@dataclass(frozen=True)
class Failing:
    """What makes rows of one group fail, both as SQL over rows with their address and their key."""

    suspicious: str
    """A condition on a group of 64-bit hashes; true wherever rows fail, and elsewhere hardly ever."""
    groups: str
    """What is asked of a group of `k` for good, behind `select k`; it may name `address`, and `v` if there is one."""
    rows: str = "true"
    """Which rows of such a group fail."""


EVERY_COPY = Failing("count(*) > 1", "from narrow group by k having count(*) > 1")
LATER_COPIES = Failing(
    "count(*) > 1", ", min(address) as first from narrow group by k having count(*) > 1", "address > first"
)


def failing_rows(keys: Sequence[str], where: str, failing: Failing, also: str | None = None) -> tuple[str, Compared]:
    """SQL: the addresses of rows that fail within the group of rows that share their keys; at once, and in two steps.

    The first scan groups 64-bit hashes, which stay small and spill; the second settles the few candidates by 128 bits
    of MD5, so that two texts with one hash are not confused. No text is held: rows are grouped and joined by numbers,
    which spill, too. `also` is SQL of a further value, `v` in the groups.
    """
    hashed = f"hash({', '.join(keys)})"
    candidates = f"select {hashed} from batch where {where} group by {hashed} having {failing.suspicious}"
    narrow = _narrow(keys, f"batch where {where} and {hashed} in ({candidates})", also)
    compared = Compared(_narrow(keys, f"batch where {where}", also or "null"), _settled(failing))
    return f"with narrow as materialized ({narrow}) {_settled(failing)}", compared


def coarsely_failing_rows(keys: Sequence[str], where: str, coarse: str, failing: Failing) -> tuple[str, Compared]:
    """SQL: as `failing_rows`, for keys so costly that a coarser number is computed first, once, and kept.

    `coarse` is SQL: the same number for rows of the same keys, and null for rows that are not compared.
    """
    query = (
        f"with coarse as materialized (select {FILE}, {ROW}, {coarse} as number from batch where {where}), "
        "again as (select number from coarse group by number having count(*) > 1), "
        f"candidates as (select {FILE}, {ROW} from coarse semi join again using (number)), "
        f"narrow as materialized ({_narrow(keys, f'batch semi join candidates using ({FILE}, {ROW})')}) "
        f"{_settled(failing)}"
    )
    # The coarse number holds within one process only; rows without one are not compared anywhere.
    compared = Compared(
        _narrow(keys, f"batch where {all_of([where, f'{coarse} is not null'])}", "null"), _settled(failing)
    )
    return query, compared


def _narrow(keys: Sequence[str], chosen: str, also: str | None = None) -> str:
    """SQL: the address of each row as one number, with numbers that stand for its keys and its further value."""
    further = f", {_strong([also])} as v" if also else ""
    return f"select {ADDRESS} as address, {_strong(keys)} as k{further} from {chosen}"


def _strong(keys: Sequence[str]) -> str:
    """SQL: 128 bits of MD5, the same for the same keys."""
    if len(keys) == 1:
        return f"md5_number(({keys[0]})::varchar)"
    each = " || ".join(f"coalesce(md5(({one})::varchar), '-')" for one in keys)
    return f"md5_number({each})"


def _settled(failing: Failing) -> str:
    return f"select {FILE_OF}, {ROW_OF} from narrow join (select k {failing.groups}) using (k) where {failing.rows}"


def every_copy(asked: Asked, keys: Sequence[str], skipped: str, shown: tuple[Column, ...]) -> CrossRowPlan:
    """The rows whose keys stand in another row as well."""
    where = all_of([asked.considered, f"not ({skipped})"])
    return CrossRowPlan(asked.considered, skipped, *failing_rows(keys, where, EVERY_COPY), shown)


def later_copies(
    asked: Asked, keys: Sequence[str], skipped: str, shown: tuple[Column, ...], also: str = "true",
    coarse: str | None = None,
) -> CrossRowPlan:  # fmt: skip
    """The rows whose keys stand in an earlier row; `also` narrows which rows are compared at all."""
    where = all_of([asked.considered, f"not ({skipped})", also])
    if coarse is None:
        query, compared = failing_rows(keys, where, LATER_COPIES)
    else:
        query, compared = coarsely_failing_rows(keys, where, coarse, LATER_COPIES)
    return CrossRowPlan(asked.considered, skipped, query, compared, shown)


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
