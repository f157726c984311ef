"""Which rows stay out, and why? `quarantine.parquet`: every failing row once, with all rules it broke."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from expectations.batch import Batch
from expectations.columns import FILE, ROW, Column
from expectations.errors import BatchError
from expectations.results import Severity
from expectations.scan import own_columns_sql
from expectations.sql import Bound, literal, quoted
from expectations.unfinished import aside_of

UNREADABLE = "unreadable"
"""The id under which records that could not be read stand beside the rules."""
OURS = ("shopmon_file", "shopmon_row", "shopmon_rules", "shopmon_tolerated", "shopmon_reason", "shopmon_raw")
"""The columns that stand before the file's own."""

PARQUET = "(format parquet, compression zstd)"

log = logging.getLogger("shopmon.quarantine")


@dataclass(frozen=True)
class Quarantine:
    """What was put aside."""

    path: Path | None
    rows: int
    tolerated: int
    """Rows that only break rules which hold all the same, because of their `mostly`."""


class RowsLost(AssertionError):
    """Good and quarantined rows do not add up to what arrived; this is a bug, and nothing is written off silently."""


def write_quarantine(batch: Batch, path: Path, ids: Mapping[int, str], broken: Collection[int]) -> Quarantine:
    """Write every failing row of the table `breaking` and every unreadable record, once each.

    `ids` names the rules by number; `broken` holds the numbers of those that failed. Columns: `shopmon_file`,
    `shopmon_row` (1 is the first record), `shopmon_rules` (ids), `shopmon_tolerated`, `shopmon_reason` and
    `shopmon_raw` (for records that could not be read), then the file's own columns. No failing row, no file.

    Raises RowsLost unless rows = good + quarantined.
    """
    check_none_lost(batch)
    rows = batch.row_of("select count(*) from breaking")[0] + batch.unreadable
    if rows == 0:
        return Quarantine(None, 0, 0)
    bound = Bound()
    _name_sources(batch)
    batch.rows_of(f"copy ({aside_sql(batch.own_columns, ids, broken, bound)}) to {literal(str(path))} {PARQUET}", bound)
    return Quarantine(path, rows, batch.row_of(tolerated_sql(broken, bound), bound)[0])


def tolerated_sql(broken: Collection[int], bound: Bound) -> str:
    """SQL: how many rows of the table `breaking` only break rules which hold all the same."""
    return f"select count(*) from breaking where {_tolerated(broken, bound)}"


def _tolerated(broken: Collection[int], bound: Bound) -> str:
    return f"not list_has_any(rules, {bound.to(sorted(broken))}::integer[])"


def check_writable(batch: Batch, path: Path) -> None:
    """Refuse a place for the good rows before any work is done.

    Raises BatchError for a folder, a missing folder, and a file of the batch itself, which would be lost.
    """
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"cannot be written: the folder {path.parent} does not exist"
        raise BatchError(f"{path} {what}", advice="Give the path of a parquet file in a folder that exists.")
    if path.exists() and any(part.found.path and part.found.path.samefile(path) for part in batch.parts):
        raise BatchError(f"{path} is the batch itself", advice="Write the good rows to another file.")


def write_good(batch: Batch, path: Path) -> None:
    """Write the rows that break no rule, in the file's own columns; the file appears whole or not at all."""
    aside = aside_of(path)
    try:
        batch.rows_of(f"copy ({good_sql(batch)}) to {literal(str(aside))} {PARQUET}")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def good_sql(batch: Batch) -> str:
    """SQL: the rows that break no rule, in the file's own columns."""
    return f"select {own_columns_sql(batch)} from batch anti join breaking using ({FILE}, {ROW})"


class Graded(Protocol):
    """A rule, or its answer."""

    @property
    def severity(self) -> Severity:
        """How grave it is when a row breaks it."""


def serious(rules: Iterable[Graded]) -> tuple[int, ...]:
    """The numbers of the rules whose breaking makes a row unfit to be compared and learnt from: all but `info`."""
    return tuple(number for number, rule in enumerate(rules) if rule.severity is not Severity.INFO)


def lay_fit(batch: Batch, name: str, serious: Collection[int]) -> None:
    """Lay a relation over the rows of a batch that break none of these rules."""
    unfit = f"select {FILE}, {ROW} from breaking where list_has_any(rules, {sorted(serious)}::integer[])"
    if batch.row_of(f"select count(*) from ({unfit})") == (0,):
        batch.rows_of(f"create view {name} as from batch")
    else:
        batch.rows_of(f"create table unfit as {unfit}")
        batch.rows_of(f"create view {name} as select b.* from batch b anti join unfit using ({FILE}, {ROW})")


def check_none_lost(batch: Batch) -> None:
    """Rows of the relation less those that break a rule must be those that break none; addresses must be unique.

    Raises RowsLost.
    """
    (breaking,) = batch.row_of("select count(*) from breaking")
    (distinct,) = batch.row_of(f"select count(*) from (select distinct {FILE}, {ROW} from breaking)")
    addresses = f"(select {FILE}, {ROW} from batch)"
    (good,) = batch.row_of(f"select count(*) from {addresses} anti join breaking using ({FILE}, {ROW})")
    if breaking != distinct or good + breaking + batch.unreadable != batch.rows:
        raise RowsLost(
            f"{batch.rows} rows arrived, {good} are good, {breaking} break a rule, {batch.unreadable} are unreadable"
        )


def _by_number(ids: Mapping[int, str]) -> list[str]:
    """The ids, each at the place of its number."""
    return [ids.get(number, "") for number in range(max(ids, default=-1) + 1)]


def _name_sources(batch: Batch) -> None:
    sources = [(index, part.found.name) for index, part in enumerate(batch.parts)]
    batch.rows_of("create table source_names (file integer, name varchar)")
    batch.connection.executemany("insert into source_names values ($1, $2)", sources)


def aside_sql(own_columns: Sequence[Column], ids: Mapping[int, str], broken: Collection[int], bound: Bound) -> str:
    """SQL: every row of `breaking` and every record of `unreadable`, as they stand in a quarantine.

    `source_names` has the name of each `file`.
    """
    names = bound.to(_by_number(ids))
    own = ", ".join(f"b.{column.sql} as {quoted(_free(column.name))}" for column in own_columns)
    nothing = ", ".join(f"null as {quoted(_free(column.name))}" for column in own_columns)
    return (
        f"select s.name as shopmon_file, b.{ROW} as shopmon_row, "
        f"list_transform(b.rules, lambda rule: ({names}::varchar[])[rule + 1]) as shopmon_rules, "
        f"{_tolerated(broken, bound)} as shopmon_tolerated, "
        f"null::varchar as shopmon_reason, null::blob as shopmon_raw, {own} "
        f"from breaking b join source_names s on s.file = b.{FILE} "
        f"union all select s.name, u.row, ['{UNREADABLE}'], false, u.reason, u.raw, {nothing} "
        "from unreadable u join source_names s using (file) order by shopmon_file, shopmon_row"
    )


def _free(name: str) -> str:
    """A file's own column that is called like one of ours stands beside it under another name."""
    return f"{name} (of the file)" if name.lower() in OURS else name
