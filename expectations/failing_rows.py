"""Which rows of a quarantine broke a rule? A page of them at a time, from `quarantine.parquet`, however large it is.

That is a file, or the folder of parts that the executors of a Spark cluster wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from expectations.errors import ShopmonError
from expectations.parquet_query import Asking, asking, cannot_be_read, parts_of_table, readable_names, sayable
from expectations.quarantine import OURS
from expectations.sql import any_of, quoted

_POSITION = "file_row_number"
"""DuckDB's own column: the place of a row in the file, from 0. A column of the file that is called so hides it."""
_ROWS_OF_A_PART = 2**40
"""More than any part has."""
_LOST = "Check the batch again; its quarantine is then written anew."


@dataclass(frozen=True)
class FailingRow:
    """One row that was put aside."""

    file: str
    """The file it came from, as it was named to the check."""
    row: int
    """Number of the record there; the first record is 1, a header is not counted."""
    rules: tuple[str, ...]
    """The ids of the rules that it breaks, in the suite's order."""
    tolerated: bool
    """Whether it only breaks rules that hold all the same, because of their `mostly`."""
    reason: str | None
    """Why the record could not be read; None for a row that could."""
    raw: bytes | None
    """The bytes of a record that could not be read."""
    values: Mapping[str, Any]
    """What the file's own columns say, in its order; each None where the record could not be read."""


@dataclass(frozen=True)
class FailingRows:
    """A page of rows, and what it is a page of."""

    rows: tuple[FailingRow, ...]
    total: int
    """Rows that were asked for, over all pages."""
    columns: tuple[str, ...]
    """The file's own columns, in its order."""


def failing_rows(
    file: Path, *, rule: str | None = None, contains: str | None = None, first: int = 0, most: int = 50
) -> FailingRows:
    """The rows of a quarantine from the `first` on (0 is the first), at most `most`, in the order of file and row.

    `rule` leaves only rows that break it (`unreadable` is one too). `contains` leaves only rows that hold this text in
    a column of text, in their reason or in their raw bytes: in any case, and as it stands, so that `%` is a per cent
    sign. What is past the end is an empty page. A million rows take 0.1 to 0.3 s, and half a second more with
    `contains`; memory holds one number for each row that was asked for, and the page.

    Raises ShopmonError for a file that is missing, damaged, or no quarantine; ValueError for a page before the first.

    >>> import pyarrow as pa, pyarrow.parquet as pq
    >>> aside = pa.table({"shopmon_file": ["new.csv"], "shopmon_row": [7], "shopmon_rules": [["text-blank"]],
    ...                   "shopmon_tolerated": [True], "shopmon_reason": pa.nulls(1, pa.string()),
    ...                   "shopmon_raw": pa.nulls(1, pa.binary()), "text": [" "]})
    >>> pq.write_table(aside, "quarantine.parquet")
    >>> found = failing_rows(Path("quarantine.parquet"), rule="text-blank")
    >>> found.total, found.rows[0].row, found.rows[0].values
    (1, 7, {'text': ' '})
    """
    if first < 0 or most < 0:
        raise ValueError(f"first and most count rows, 0 or more, got {first!r} and {most!r}")
    with _opened(file) as quarantine:
        places = quarantine.places(rule, contains)
        page = places[first : first + most]
        return FailingRows(quarantine.rows_at(page), len(places), quarantine.columns)


def rules_of(file: Path) -> Mapping[str, int]:
    """How many rows of a quarantine break each rule, the rule with most rows first; a row may break several.

    Raises ShopmonError as `failing_rows` does.
    """
    with _opened(file) as quarantine:
        return quarantine.rules()


class _Quarantine:
    """The files, as they are asked: their columns under names of ours, so that none from the data stands in the SQL."""

    def __init__(self, asked: Asking, names: list[str], file: Path) -> None:
        self._asked = asked
        self._scan = f"read_parquet({asked.bound.to(names)}, hive_partitioning = false)"
        self._in_parts = len(names) > 1
        described = asked.rows(f"describe from {self._scan}")
        kinds = {str(column): str(kind) for column, kind, *_ in described}
        self.columns = tuple(column for column in kinds if column not in OURS)
        _check(kinds, file)
        hidden = any(column.lower() == _POSITION for column in kinds)
        named = [f"{quoted(column)} as c{number}" for number, column in enumerate(self.columns)]
        place = "row_number() over () - 1" if hidden else _POSITION
        if self._in_parts:  # in their order, and in each in its own
            place = f"file_index * {_ROWS_OF_A_PART} + {place}"
        self._relation = f"(select {', '.join([f'{place} as place', *OURS, *named])} from {self._scan})"
        self._texts = [f"c{number}" for number, column in enumerate(self.columns) if kinds[column] == "VARCHAR"]

    def places(self, rule: str | None, contains: str | None) -> range | list[int]:
        """Where the rows stand that were asked for."""
        if rule is None and contains is None and not self._in_parts:
            ((rows,),) = self._asked.rows(f"select count(*) from {self._scan}")
            return range(int(str(rows)))
        if not all(sayable(text) for text in (rule, contains) if text is not None):
            return []
        where = []
        if rule is not None:
            where.append(f"list_contains(shopmon_rules, {self._asked.bound.to(rule)})")
        if contains is not None:
            raw = "coalesce(try(decode(shopmon_raw)), shopmon_raw::varchar)"
            held = [self._asked.contains(text, contains) for text in (*self._texts, "shopmon_reason", raw)]
            where.append(any_of(held))
        chosen = f" where ({') and ('.join(where)})" if where else ""
        return sorted(self._asked.numbers(f"select place from {self._relation}{chosen}"))

    def rows_at(self, places: range | list[int]) -> tuple[FailingRow, ...]:
        """The rows at these places, which rise."""
        if not places:
            return ()
        bind = self._asked.bound.to
        # The limits leave out whole groups of rows.
        near = f"place between {bind(places[0])} and {bind(places[-1])}"
        wanted = f"list_contains({bind(list(places))}, place)"
        found = self._asked.rows(f"from {self._relation} where {near} and {wanted} order by place")
        return tuple(self._row(values) for _, *values in found)

    def _row(self, values: list[Any]) -> FailingRow:
        file, row, rules, tolerated, reason, raw, *own = values
        said = dict(zip(self.columns, own, strict=True))
        return FailingRow(file, row, tuple(rules), tolerated, reason, raw, said)

    def rules(self) -> dict[str, int]:
        each = f"select unnest(shopmon_rules) as rule from {self._scan}"
        counted = self._asked.rows(f"select rule, count(*) from ({each}) group by rule order by 2 desc, rule")
        return {str(rule): int(str(rows)) for rule, rows in counted}


@contextmanager
def _opened(file: Path) -> Iterator[_Quarantine]:
    parts = parts_of_table(file)
    if not parts:
        what = "is no file, and holds no parts of one" if file.exists() else "does not exist"
        raise ShopmonError(f"the quarantine {file} {what}", advice=f"Give a run's quarantine.parquet. {_LOST}")
    try:
        with readable_names(parts) as names, asking() as asked:
            yield _Quarantine(asked, names, file)
    except (duckdb.Error, OSError) as error:
        raise cannot_be_read(f"the quarantine {file}", error, advice=_LOST) from error


def _check(kinds: Mapping[str, str], file: Path) -> None:
    missing = [column for column in OURS if column not in kinds]
    if missing or kinds["shopmon_rules"] != "VARCHAR[]":
        wrong = f"the column {missing[0]!r}" if missing else "a list of rules in 'shopmon_rules'"
        raise ShopmonError(
            f"{file} is no quarantine: it lacks {wrong}, and has {', '.join(map(repr, list(kinds)[:8]))}",
            advice="Give the quarantine.parquet that a check wrote into its run's folder.",
        )
