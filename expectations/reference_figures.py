"""What does a reference batch show? Figures per column that single odd rows cannot sway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from expectations.batch import Batch
from expectations.columns import FILE, ROW, Column
from expectations.kinds import Holds, Kind, kind_named
from expectations.text_faults import sure_language

SAMPLED = 200_000
"""Rows that are measured, chosen by the hash of their address: the same file, the same figures. Smaller files whole."""
COMMON = 0.01
"""Share of rows in which a value must stand to be more than an accident (0–1)."""
LONGEST = 20_000
"""Characters of a text that are looked at."""
TEXTS = 2_000
"""Texts whose language is detected."""
_CELLS = 20_000_000
_AT_ONCE = 50
_ROWS_A_VALUE = 10
_TAIL, _AT_AN_EDGE = 0.001, 5
_SURE_TEXTS, _TEXTS_A_LANGUAGE = 20, 3
_PROSE = ("text", "title", "description", "query", "product_text")
_NAMES = ("id", "user", "product", "product_id", "cluster")


@dataclass(frozen=True)
class Spread:
    """Where the values of a column lie: numbers, lengths in characters, or seconds since 1970."""

    least: float
    low_tail: float
    """The 0.1 % quantile."""
    low: float
    """The 1 % quantile, and at least 5 rows from the end."""
    high: float
    high_tail: float
    most: float
    whole: bool
    """Whether every value is a whole number."""


@dataclass(frozen=True)
class Figures:
    """One column, as rules name it, and what its measured rows show."""

    column: Column
    own: Column
    """The same as the file has it."""
    is_role: bool
    held: int
    """Measured rows that hold a value."""
    distinct: int
    spread: Spread | None
    common: tuple[str, ...] = ()
    """Of a category: the values that stand in 1 % of the rows or more, the most frequent first."""

    @property
    def all_different(self) -> bool:
        """Whether nearly every measured value stands in one row alone."""
        return self.held > 0 and self.distinct >= 0.99 * self.held

    @property
    def is_text(self) -> bool:
        """Whether the file holds it as text; ids are text to a rule, though a file may number them."""
        return self.column.holds is Holds.TEXT and self.own.holds is Holds.TEXT


def measure(batch: Batch, columns: Sequence[tuple[Column, Column]]) -> tuple[Figures, ...]:
    """Measure columns of a batch in one scan, each given as rules name it and as the file has it.

    Quantiles and shares are those of at most `SAMPLED` rows, which stay in the table `reference_sample`. Columns that
    are nested or binary are counted only.
    """
    _take_sample(batch, [column for column, _ in columns])
    (sampled,) = batch.row_of("select count(*) from reference_sample")
    kind = kind_named(batch.kind)
    return tuple(
        figures
        for start in range(0, len(columns), _AT_ONCE)
        for figures in _measure_some(batch, kind, columns[start : start + _AT_ONCE], sampled)
    )


def languages_of(batch: Batch, column: Column, min_length: int) -> tuple[str, ...] | None:
    """ISO 639-1 codes of the languages that 1 % of a measured column's texts or more are surely in, sorted.

    None where too few texts have `min_length` characters and a sure language to say so. Needs `measure` before it.
    """
    texts = batch.rows_of(
        f"select left({column.sql}, {TEXTS}) from reference_sample where {column.sql}_length >= {min_length} "
        f"order by hash({FILE}, {ROW}) limit {TEXTS}"
    )
    found = Counter(filter(None, (sure_language(text) for (text,) in texts)))
    if found.total() < _SURE_TEXTS:
        return None
    least = max(COMMON * found.total(), _TEXTS_A_LANGUAGE)
    return tuple(sorted(language for language, count in found.items() if count >= least))


def _take_sample(batch: Batch, columns: Sequence[Column]) -> None:
    wanted = min(SAMPLED, max(1_000, _CELLS // max(1, len(columns))))
    every = -(-batch.readable // wanted)
    chosen = f"where hash({FILE}, {ROW}) % {every} = 0" if every > 1 else ""
    selected = [FILE, ROW]
    for column in columns:
        if column.holds is Holds.TEXT:
            selected += [
                f"left({column.sql}, {LONGEST + 1}) as {column.sql}",
                f"length({column.sql}) as {column.sql}_length",
            ]
        else:
            selected.append(f"{column.sql} is not null as {column.sql}" if column.holds is None else column.sql)
    batch.rows_of(f"create or replace temp table reference_sample as select {', '.join(selected)} from batch {chosen}")


def _measure_some(
    batch: Batch, kind: Kind, columns: Sequence[tuple[Column, Column]], sampled: int
) -> Iterator[Figures]:
    edge = min(0.5, max(COMMON, _AT_AN_EDGE / max(1, sampled)))
    points = [_TAIL, edge, 1 - edge, 1 - _TAIL]
    asked = []
    for column, _ in columns:
        v = _as_number(column)
        held = f"count(*) filter ({column.sql})" if column.holds is None else f"count({column.sql})"
        asked += [held, f"count(distinct hash({column.sql})) filter ({column.sql} is not null)"]
        asked += [f"[min({v}), max({v})]", f"quantile_disc({v}, {points})", f"bool_and({v} = floor({v}))"]
    row = batch.row_of(f"select {', '.join(asked)} from reference_sample")
    for index, (column, own) in enumerate(columns):
        held, distinct, extremes, quantiles, whole = row[5 * index : 5 * index + 5]
        spread = None if quantiles is None else _spread(extremes, quantiles, bool(whole))
        is_role = kind.role(column.name) is not None and column.name in batch.mapping
        figures = Figures(column, own, is_role, held, distinct, spread)
        yield _with_common_values(batch, figures) if _may_be_category(figures) else figures


def _spread(extremes: Sequence[float], quantiles: Sequence[float], whole: bool) -> Spread:
    least, most = extremes
    low_tail, low, high, high_tail = quantiles
    return Spread(least, low_tail, low, high, high_tail, most, whole)


def _as_number(column: Column) -> str:
    """SQL: the value as a number of which quantiles can be taken; NULL for NaN, infinity, and what has no order."""
    if column.holds is Holds.TEXT:
        return f"{column.sql}_length::double"
    if column.holds is Holds.NUMBER:
        return f"case when isfinite({column.sql}::double) then {column.sql}::double end"
    if column.holds is Holds.DATE:
        return f"case when isfinite({column.sql}) then epoch({column.sql}) end"
    return "null::double"


def _may_be_category(figures: Figures) -> bool:
    named = figures.is_role and figures.column.name in (*_PROSE, *_NAMES)
    few = 0 < figures.distinct * _ROWS_A_VALUE <= figures.held
    return figures.column.holds is Holds.TEXT and few and not named


def _with_common_values(batch: Batch, figures: Figures) -> Figures:
    sql = figures.column.sql
    rows = batch.rows_of(
        f"select {sql} from reference_sample where {sql} is not null group by {sql} "
        f"having count(*) >= {COMMON} * {figures.held} order by count(*) desc, {sql}"
    )
    common = tuple(value for (value,) in rows)
    if any(len(value) > LONGEST for value in common):
        return figures
    return replace(figures, common=common)


def nameable_columns(batch: Batch) -> tuple[tuple[tuple[Column, Column], ...], tuple[str, ...]]:
    """The batch's columns as rules name them, each beside its own; and the names of those that no rule can name.

    A column goes by its role if it has one. It cannot be named when its own name is a role that another column has.
    """
    by_own: Mapping[str, str] = {own: role for role, own in batch.mapping.items()}
    found: list[tuple[Column, Column]] = []
    hidden: list[str] = []
    for own in batch.own_columns:
        meant = batch.column(by_own.get(own.name, own.name))
        if meant is not None and (own.name in by_own or meant.sql == own.sql):
            found.append((meant, own))
        else:
            hidden.append(own.name)
    return tuple(found), tuple(hidden)
