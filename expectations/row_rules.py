"""Does a row break a rule? The rules that look at one row at a time, as SQL conditions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any

from expectations.batch import Batch
from expectations.columns import Column
from expectations.kinds import Holds
from expectations.patterns import for_any_text, re2_alternatives
from expectations.plans import RowPlan, Unexaminable, missing, require, value
from expectations.sql import Bound, all_of, any_of


@dataclass(frozen=True)
class Asked:
    """One rule's arguments with the batch they are asked of."""

    batch: Batch
    kwargs: Mapping[str, Any]
    considered: str
    bound: Bound

    def column(self, key: str = "column") -> Column:
        """The column under this argument; binding has made sure that it is there."""
        found = self.batch.column(self.kwargs[key])
        if found is None:
            raise Unexaminable(f"column {self.kwargs[key]!r} is not in the batch")
        return found

    def columns(self) -> tuple[Column, ...]:
        """The columns of `column_list`."""
        found = [self.batch.column(name) for name in self.kwargs["column_list"]]
        return tuple(column for column in found if column is not None)

    def flag(self, key: str) -> bool:
        """A yes-or-no argument; absent is no."""
        return bool(self.kwargs.get(key))


def one_column(asked: Asked, broken: str, column: Column | None = None) -> RowPlan:
    """The plan of a rule about one column's values: rows without a value are skipped."""
    column = column or asked.column()
    return RowPlan(asked.considered, missing(column), broken, (column,))


def _not_null(asked: Asked) -> RowPlan:
    column = asked.column()
    return RowPlan(asked.considered, "false", missing(column), (column,))


def _null(asked: Asked) -> RowPlan:
    column = asked.column()
    return RowPlan(asked.considered, "false", f"not ({missing(column)})", (column,))


def _between(asked: Asked) -> RowPlan:
    column = asked.column()
    require(column, Holds.NUMBER, Holds.DATE)
    held = value(column)
    broken = []
    for key, strict, sign, strictly in (("min_value", "strict_min", "<", "<="), ("max_value", "strict_max", ">", ">=")):
        limit = asked.kwargs.get(key)
        if limit is not None:
            _fitting_limit(column, limit)
            broken.append(f"{held} {strictly if asked.flag(strict) else sign} {asked.bound.to(_limit(limit))}")
    return one_column(asked, any_of(broken))


def _fitting_limit(column: Column, limit: Any) -> None:
    is_date = isinstance(limit, date)
    if is_date != (column.holds is Holds.DATE) or not (is_date or isinstance(limit, int | float)):
        raise Unexaminable(f"{column.name!r} holds {column.type}; it cannot be compared with {limit!r}")


def _limit(limit: Any) -> Any:
    return limit if isinstance(limit, date) else float(limit)


def _lengths_between(asked: Asked) -> RowPlan:
    column = asked.column()
    require(column, Holds.TEXT)
    broken = []
    for key, strict, sign, strictly in (("min_value", "strict_min", "<", "<="), ("max_value", "strict_max", ">", ">=")):
        if asked.kwargs.get(key) is not None:
            sign_now = strictly if asked.flag(strict) else sign
            broken.append(f"length({column.sql}) {sign_now} {asked.bound.to(float(asked.kwargs[key]))}")
    return one_column(asked, any_of(broken))


def _lengths_equal(asked: Asked) -> RowPlan:
    column = asked.column()
    require(column, Holds.TEXT)
    return one_column(asked, f"length({column.sql}) <> {asked.bound.to(float(asked.kwargs['value']))}")


def members(column: Column, value_set: Any) -> list[Any]:
    """The members that a value of this column could equal in Python: 1 equals 1.0 and True, but never '1'."""
    require(column, Holds.TEXT, Holds.NUMBER, Holds.FLAG)
    if column.holds is Holds.TEXT:
        return [m for m in value_set if isinstance(m, str)]
    numbers = [m for m in value_set if isinstance(m, int | float) and not (isinstance(m, float) and math.isnan(m))]
    if column.holds is Holds.FLAG:
        return [bool(m) for m in numbers if m in (0, 1)]
    if value(column) == column.sql and column.type.endswith(("INT", "INTEGER")):
        whole = [int(m) for m in numbers if math.isfinite(m) and m == int(m)]
        return [m for m in whole if -(2**63) <= m < 2**63]
    return [float(m) for m in numbers]


def _inside(asked: Asked, column: Column) -> str:
    fitting = members(column, asked.kwargs["value_set"])
    return f"{value(column)} in ({', '.join(map(asked.bound.to, fitting))})" if fitting else "false"


def _in_set(asked: Asked) -> RowPlan:
    return one_column(asked, f"not ({_inside(asked, asked.column())})")


def _not_in_set(asked: Asked) -> RowPlan:
    return one_column(asked, _inside(asked, asked.column()))


def _matches(asked: Asked, column: Column, pattern: str) -> str:
    """SQL: Python's `re.search`; RE2 is asked for texts and patterns on which it cannot differ."""
    search = asked.batch.register("re.search", _search, ["VARCHAR", "VARCHAR"], "BOOLEAN")
    python = f"{search}({column.sql}, {asked.bound.to(pattern)})"
    alternatives = re2_alternatives(pattern)
    if alternatives is None or not all(_known_to_re2(asked.batch, one) for one in alternatives):
        return python
    found = any_of(f"regexp_matches({column.sql}, {asked.bound.to(one)})" for one in alternatives)
    return f"({found})" if for_any_text(pattern) else f"case when {ascii_only(column)} then {found} else {python} end"


def ascii_only(column: Column) -> str:
    """SQL name of the flag "ASCII only", which the scan computes once for each text column that needs it."""
    return f"{column.sql}_ascii"


def _known_to_re2(batch: Batch, pattern: str) -> bool:
    try:
        batch.connection.execute("select regexp_matches('', $p)", {"p": pattern}).fetchall()
    except Exception as error:  # DuckDB raises several classes for what RE2 does not know
        if type(error).__module__.startswith(("duckdb", "_duckdb")):
            return False
        raise
    return True


def _search(texts: Any, patterns: Any) -> Any:
    import pyarrow as pa

    written = patterns.combine_chunks() if hasattr(patterns, "combine_chunks") else patterns
    search = re.compile(written[0].as_py()).search if len(written) else None
    return pa.array(
        [None if t is None or search is None else search(t) is not None for t in texts.to_pylist()], pa.bool_()
    )


def _regex(asked: Asked) -> RowPlan:
    return _regexes(asked, [asked.kwargs["regex"]], lambda found: f"not ({found[0]})")


def _not_regex(asked: Asked) -> RowPlan:
    return _regexes(asked, [asked.kwargs["regex"]], lambda found: found[0])


def _regex_list(asked: Asked) -> RowPlan:
    join = all_of if asked.kwargs.get("match_on", "any") == "all" else any_of
    return _regexes(asked, asked.kwargs["regex_list"], lambda found: f"not ({join(found)})")


def _not_regex_list(asked: Asked) -> RowPlan:
    return _regexes(asked, asked.kwargs["regex_list"], any_of)


def _regexes(asked: Asked, patterns: list[str], broken: Callable[[list[str]], str]) -> RowPlan:
    column = asked.column()
    require(column, Holds.TEXT)
    return one_column(asked, broken([_matches(asked, column, pattern) for pattern in patterns]))


def _pair(asked: Asked) -> tuple[Column, Column, str]:
    a, b = asked.column("column_A"), asked.column("column_B")
    if a.holds is not b.holds or a.holds is None:
        raise Unexaminable(f"{a.name!r} holds {a.type} and {b.name!r} holds {b.type}: they cannot be compared")
    skipped = {
        "both_values_are_missing": f"({missing(a)}) and ({missing(b)})",
        "either_value_is_missing": f"({missing(a)}) or ({missing(b)})",
        "neither": "false",
    }[asked.kwargs.get("ignore_row_if", "both_values_are_missing")]
    return a, b, skipped


def _pair_greater(asked: Asked) -> RowPlan:
    a, b, skipped = _pair(asked)
    require(a, Holds.NUMBER, Holds.DATE)
    sign = ">=" if asked.flag("or_equal") else ">"
    kept = f"not ({missing(a)}) and not ({missing(b)}) and {value(a)} {sign} {value(b)}"
    return RowPlan(asked.considered, skipped, f"not ({kept})", (a, b))


def _pair_equal(asked: Asked) -> RowPlan:
    a, b, skipped = _pair(asked)
    kept = f"not ({missing(a)}) and not ({missing(b)}) and {value(a)} = {value(b)}"
    return RowPlan(asked.considered, skipped, f"not ({kept})", (a, b))


def skipped_rows(asked: Asked, columns: tuple[Column, ...]) -> str:
    """SQL: the rows that a rule about several columns leaves out."""
    absent = [missing(column) for column in columns]
    return {
        "all_values_are_missing": all_of(absent),
        "any_value_is_missing": any_of(absent),
        "never": "false",
    }[asked.kwargs.get("ignore_row_if", "all_values_are_missing")]


def _unique_within_record(asked: Asked) -> RowPlan:
    columns = asked.columns()
    if len({column.holds for column in columns}) > 1 or columns[0].holds is None:
        raise Unexaminable("the columns hold different types: " + ", ".join(f"{c.name} {c.type}" for c in columns))
    same = [
        f"(({missing(a)}) and ({missing(b)})) or "
        f"(not ({missing(a)}) and not ({missing(b)}) and {value(a)} = {value(b)})"
        for a, b in combinations(columns, 2)
    ]
    return RowPlan(asked.considered, skipped_rows(asked, columns), any_of(same), columns)


ROW_RULES: dict[str, Callable[[Asked], RowPlan]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_between": _between,
    "expect_column_value_lengths_to_be_between": _lengths_between,
    "expect_column_value_lengths_to_equal": _lengths_equal,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_not_be_in_set": _not_in_set,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_not_match_regex": _not_regex,
    "expect_column_values_to_match_regex_list": _regex_list,
    "expect_column_values_to_not_match_regex_list": _not_regex_list,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair_greater,
    "expect_column_pair_values_to_be_equal": _pair_equal,
    "expect_select_column_values_to_be_unique_within_record": _unique_within_record,
}
