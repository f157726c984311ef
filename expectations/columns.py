"""Under which name do rules find a column, and as what is it read?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from expectations.kinds import Holds, Role
from expectations.sql import quoted

FILE, ROW = "__shopmon_file", "__shopmon_row"
"""The columns by which every row tells where it stands: the index of its file, and its number there."""
ROWS_OF_A_FILE = 2**40
"""More than any file has."""
ADDRESS = f"({FILE}::bigint * {ROWS_OF_A_FILE} + {ROW})"
"""SQL: file and row as one number, in their order; of one that is named `address`, the two below are file and row."""
FILE_OF, ROW_OF = f"(address // {ROWS_OF_A_FILE})::integer", f"(address % {ROWS_OF_A_FILE})"
NUMBER = r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
"""What counts as a written number: decimal point, no grouping, no currency sign."""

_TRUE, _FALSE = ("true", "yes", "y", "1", "1.0", "t"), ("false", "no", "n", "0", "0.0", "f")
_ISO_MOMENT = "____-__-__%:__%"
"""A LIKE pattern: year, month, day and a time of day, whatever fraction of seconds and time zone follows."""
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M")
# Two-digit years come first, and `_DATES` last: %Y takes two digits as well in DuckDB, for the first century.
DAY_FIRST = ("%d/%m/%y", "%d.%m.%y", "%d-%m-%y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y",
             "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d-%m-%Y")  # fmt: skip
MONTH_FIRST = ("%m/%d/%y", "%m-%d-%y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p",
               "%m/%d/%Y %I:%M %p", "%m/%d/%Y", "%m-%d-%Y", "%m %d, %Y")  # fmt: skip
_NAMED_MONTHS = ("%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y")
# None of these formats has %z: with one of them in the list, DuckDB 2.0 reads the 30th of February as the 2nd of March.


@dataclass(frozen=True)
class Column:
    """One column as rules may name it."""

    name: str
    sql: str
    """Its name in the relation `batch`: ours, so that no name from data stands in a rule's SQL."""
    type: str
    """DuckDB's type."""

    @property
    def holds(self) -> Holds | None:
        """What it holds, or None for what no rule looks into: nested and binary columns, times of day, intervals."""
        return _holds(self.type)


def read_as(role: Role, column: Column, day_comes_first: Callable[[str], bool]) -> tuple[str, str] | None:
    """SQL and DuckDB type of a column read as what its role holds.

    None where it is stored so already, or can only be left alone. `day_comes_first` settles for a column, given by its
    quoted name, whether 03/04/2024 is in April.
    """
    own = quoted(column.name)
    if role.holds is Holds.DATE and column.type == "TIMESTAMP WITH TIME ZONE":
        return f"{own}::timestamp", "TIMESTAMP"  # in UTC
    if role.holds is column.holds or column.holds is None:
        return None
    if role.holds is Holds.TEXT:  # an id or a category that is stored as a number
        return f"{own}::varchar", "VARCHAR"
    if role.holds is Holds.NUMBER and column.holds is Holds.TEXT:
        return f"case when regexp_full_match({own}, '{NUMBER}') then try_cast({own} as double) end", "DOUBLE"
    if role.holds is Holds.FLAG:
        said = f"lower(trim({own}::varchar))"
        return f"case when {said} in {_TRUE} then true when {said} in {_FALSE} then false end", "BOOLEAN"
    if role.holds is Holds.DATE and column.holds is Holds.TEXT:
        return _written_date(own, day_comes_first(own)), "TIMESTAMP"
    if role.holds is Holds.DATE and column.holds is Holds.NUMBER:
        return _since_1970(f"{own}::double"), "TIMESTAMP"  # of which the absolute value cannot overflow
    return None


def _written_date(own: str, day_first: bool) -> str:
    """SQL: a date that is written as text, in UTC; null for what is none."""
    ambiguous = (*DAY_FIRST, *MONTH_FIRST) if day_first else (*MONTH_FIRST, *DAY_FIRST)
    formats = [*_NAMED_MONTHS, *ambiguous, *_DATES]
    joined = f"replace(replace({own}, ' +', '+'), ' -', '-')"  # a time zone may stand apart: 09:30:00 +0000
    iso = f"case when {own} like '{_ISO_MOMENT}' then try_cast({joined} as timestamptz)::timestamp end"
    digits = f"case when regexp_full_match({own}, '[0-9]{{10}}([0-9]{{3}})?') then {own}::double end"
    numbered = f"case when regexp_matches({own}, '[0-9]') then {own} end"  # "epoch" and "infinity" are dates to DuckDB
    return f"coalesce({iso}, try_strptime({numbered}, {formats}), {_since_1970(digits)})"


def _since_1970(number: str) -> str:
    """SQL: the moment so many seconds, or milliseconds, after the beginning of 1970."""
    seconds = f"case when abs({number}) > 1e11 then {number} / 1000 else {number} end"
    return f"case when abs({number}) < 1e14 then make_timestamp(({seconds} * 1000000)::bigint) end"


def _holds(duck_type: str) -> Holds | None:
    base = duck_type.split("(")[0].strip()
    if duck_type.endswith("]") or base in ("STRUCT", "MAP", "UNION", "BLOB", "VARIANT"):
        return None
    if base in ("VARCHAR", "ENUM"):
        return Holds.TEXT
    if base == "BOOLEAN":
        return Holds.FLAG
    if base.startswith(("TIMESTAMP", "DATE")):
        return Holds.DATE
    return Holds.NUMBER if base.endswith(("INT", "INTEGER", "DOUBLE", "FLOAT", "DECIMAL")) else None
