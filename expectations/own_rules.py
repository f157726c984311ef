"""How are shopmon's own expectations counted in the scan? Beside each the same definition that its class judges by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from expectations.columns import Column
from expectations.cross_row_rules import Failing, failing_rows, key, later_copies
from expectations.kinds import Holds
from expectations.learned_norms import (
    MOST_CATEGORIES,
    CutOffKind,
    DateFormatKind,
    Norm,
    NormKind,
    UsualSpellingKind,
    ambiguous_date_formats,
    category_spellings,
)
from expectations.plans import CrossRowPlan, RowPlan, Unexaminable, ValuePlan, missing, require
from expectations.row_rules import Asked, one_column, skipped_rows
from expectations.sql import all_of
from expectations.text_faults import (
    MOJIBAKE,
    TextFault,
    coarse_letters,
    foreign_language,
    last_day,
    later_than,
    letters_and_digits,
    letters_and_digits_sql,
    too_many_tokens,
)


def _text_fault(asked: Asked, fault: TextFault) -> RowPlan:
    """Ask the Python definition only where SQL cannot already tell that the text is clean."""
    column = asked.column()
    require(column, Holds.TEXT)
    settled = {name: held for name, held in asked.kwargs.items() if name != "column"}
    is_clean = asked.batch.register(f"{fault.name} {settled}", _vectorised(fault.is_clean), ["VARCHAR"], "BOOLEAN")
    surely = fault.surely_clean_sql(column.sql)
    return one_column(asked, f"case when {surely} then false else not {is_clean}({column.sql}) end")


def _vectorised(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    """The function over an Arrow array of texts; a `partial`, which can be sent to another process."""
    return partial(_each, function)


def _each(function: Callable[[str], Any], texts: Any) -> Any:
    """What a function says of each text; Arrow takes the type of the result from its values."""
    import pyarrow as pa

    return pa.array([None if text is None else function(text) for text in texts.to_pylist()])


def _mojibake(asked: Asked) -> RowPlan:
    return _text_fault(asked, MOJIBAKE)


def _language(asked: Asked) -> RowPlan:
    return _text_fault(asked, foreign_language(asked.kwargs["languages"], int(asked.kwargs.get("min_length", 40))))


def _tokens(asked: Asked) -> RowPlan:
    return _text_fault(asked, too_many_tokens(int(asked.kwargs.get("max_tokens", 512))))


def _learnt(asked: Asked, kind: Any, **also: Mapping[Any, int]) -> RowPlan:
    """Count keys in one narrow scan, learn what is usual, and hold every row against it."""
    column = asked.column()
    require(column, Holds.TEXT)
    where = all_of([asked.considered, f"not ({missing(column)})"])
    norm: Norm = kind.learn(_key_counts(asked, kind, column, where), **also)
    broken = f"not ({norm.holds_sql(column.sql)})"
    return RowPlan(asked.considered, missing(column), broken, (column,), norm.describe(), norm.facts())


def _key_counts(asked: Asked, kind: NormKind, column: Column, where: str) -> dict[Any, int]:
    keys = f"unnest({kind.key_sql(column.sql)})" if kind.several else kind.key_sql(column.sql)
    return asked.batch.value_counts(keys, where, asked.bound)


def _cut_off(asked: Asked) -> RowPlan:
    return _learnt(asked, CutOffKind(asked.kwargs.get("length")))


def _date_format(asked: Asked) -> RowPlan:
    return _learnt(asked, DateFormatKind())


def _spelling(asked: Asked) -> RowPlan:
    """The words of `vocabulary_column`, where it is named, are trusted."""
    vocabulary: dict[Any, int] = {}
    if asked.kwargs.get("vocabulary_column"):
        trusted = asked.column("vocabulary_column")
        require(trusted, Holds.TEXT)
        held = all_of([asked.considered, f"not ({missing(trusted)})"])
        vocabulary = _key_counts(asked, UsualSpellingKind(), trusted, held)
    return _learnt(asked, UsualSpellingKind(), vocabulary=vocabulary)


def _not_after(asked: Asked) -> RowPlan:
    column = asked.column()
    require(column, Holds.DATE, Holds.TEXT)
    last = last_day(str(asked.kwargs["moment"]), int(asked.kwargs.get("tolerance_days", 1)))
    if column.holds is Holds.TEXT:
        return _text_fault(asked, later_than(last))
    return one_column(asked, f"{column.sql}::date > {asked.bound.to(last)}")


def _not_repeat(asked: Asked) -> CrossRowPlan:
    column = asked.column()
    require(column, Holds.TEXT)
    long_enough = f"length({column.sql}) >= {int(asked.kwargs.get('min_length', 0))}"
    if asked.kwargs.get("compare", "exact") == "exact":
        return later_copies(asked, [column.sql], missing(column), (column,), long_enough)
    letters = asked.batch.register("letters", _vectorised(letters_and_digits), ["VARCHAR"], "VARCHAR")
    form = letters_and_digits_sql(column.sql, f"{letters}({column.sql})")
    coarse = asked.batch.register("coarse letters", _coarse_letters, ["VARCHAR"], "BIGINT")
    return later_copies(asked, [form], missing(column), (column,), long_enough, f"{coarse}({column.sql})")


def _coarse_letters(texts: Any) -> Any:
    import pyarrow as pa

    written = texts.cast(pa.binary()).to_pylist()
    return pa.array([None if one is None else coarse_letters(one) for one in written], pa.int64())


def _records_not_repeat(asked: Asked) -> CrossRowPlan:
    columns = asked.columns()
    return later_copies(asked, [key(column) for column in columns], skipped_rows(asked, columns), columns[:4])


def _determined(asked: Asked) -> CrossRowPlan:
    *determining, last = columns = asked.columns()
    skipped = " or ".join(f"({missing(column)})" for column in columns)
    where = all_of([asked.considered, f"not ({skipped})"])
    differs = Failing(
        f"min(hash({key(last)})) <> max(hash({key(last)}))", "from narrow group by k having min(v) <> max(v)"
    )
    query, compared = failing_rows([key(column) for column in determining], where, differs, key(last))
    return CrossRowPlan(asked.considered, skipped, query, compared, tuple(columns))


def _spelled_one_way(asked: Asked) -> ValuePlan:
    """Values are counted column by column, one more than are examined, so that no column of ids is held in memory."""
    columns = asked.columns()
    for column in columns:
        require(column, Holds.TEXT)
    counts = {column.name: _value_counts(asked, column) for column in columns}
    found = category_spellings(counts)
    if len(found["not_examined"]) == len(columns):
        raise Unexaminable(f"every column has more than {MOST_CATEGORIES:,} different values: none is of categories")
    empty = all_of(missing(column) for column in columns)
    known = {"table.categories_spelled_two_ways": found}
    return ValuePlan({}, known=known, shown=columns, considered=asked.considered, skipped=empty)


def _unambiguous_dates(asked: Asked) -> ValuePlan:
    column = asked.column()
    require(column, Holds.TEXT)
    where = all_of([asked.considered, f"not ({missing(column)})"])
    found = ambiguous_date_formats(_key_counts(asked, DateFormatKind(), column, where))
    known = {"column.ambiguous_date_formats": found}
    return ValuePlan({}, known=known, shown=(column,), considered=asked.considered, skipped=missing(column))


def _value_counts(asked: Asked, column: Column) -> dict[str, int]:
    where = all_of([asked.considered, f"not ({missing(column)})"])
    return asked.batch.value_counts(column.sql, where, asked.bound, MOST_CATEGORIES + 1)


OWN_RULES: dict[str, Callable[[Asked], RowPlan | CrossRowPlan | ValuePlan]] = {
    "expect_column_values_to_not_be_mojibake": _mojibake,
    "expect_column_values_to_be_in_language": _language,
    "expect_column_values_to_fit_in_tokens": _tokens,
    "expect_column_values_to_not_be_cut_off": _cut_off,
    "expect_column_values_to_share_a_date_format": _date_format,
    "expect_column_values_to_be_spelled_as_usual": _spelling,
    "expect_column_values_to_not_repeat": _not_repeat,
    "expect_column_values_to_not_be_after": _not_after,
    "expect_records_to_not_repeat": _records_not_repeat,
    "expect_last_column_to_be_determined_by_the_others": _determined,
    "expect_categories_to_be_spelled_one_way": _spelled_one_way,
    "expect_column_dates_to_be_unambiguous": _unambiguous_dates,
}
