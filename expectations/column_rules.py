"""Which number does a rule about a whole column or table ask for? As SQL aggregates over one scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from expectations.columns import Column
from expectations.cross_row_rules import key
from expectations.kinds import Holds
from expectations.plans import Unexaminable, ValuePlan, missing, require, value
from expectations.row_rules import Asked, members
from expectations.sql import all_of


def _held(asked: Asked, column: Column) -> str:
    """SQL: the rows that are considered and hold a value."""
    return all_of([asked.considered, f"not ({missing(column)})"])


def _measured(
    asked: Asked, column: Column, metrics: Mapping[str, str], adapt: Mapping[str, Callable[[Any], Any]] | None = None
) -> ValuePlan:
    """The plan of a rule about the values that a column holds."""
    return ValuePlan(metrics, adapt or {}, shown=(column,), considered=asked.considered, skipped=missing(column))


def _aggregate(metric: str, sql: str, *, distinct: bool = False) -> Callable[[Asked], ValuePlan]:
    """A number of a column: `{x}` stands for its values."""

    def plan(asked: Asked) -> ValuePlan:
        column = asked.column()
        if distinct:
            require(column, *Holds)
        else:
            require(column, Holds.NUMBER)
        counted = sql.format(x=key(column) if distinct else f"({value(column)})::double")
        return _measured(asked, column, {metric: f"{counted} filter ({_held(asked, column)})"}, {metric: _number})

    return plan


def _number(found: Any) -> Any:
    return None if found is None else float(found)


def _extreme(metric: str, function: str) -> Callable[[Asked], ValuePlan]:
    def plan(asked: Asked) -> ValuePlan:
        column = asked.column()
        require(column, Holds.NUMBER)
        return _measured(asked, column, {metric: f"{function}({value(column)}) filter ({_held(asked, column)})"})

    return plan


def _sum(asked: Asked) -> ValuePlan:
    column = asked.column()
    require(column, Holds.NUMBER)
    total = f"coalesce(sum(({value(column)})::double) filter ({_held(asked, column)}), 0)"
    return _measured(asked, column, {"column.sum": total}, {"column.sum": _number})


def _unique_count(asked: Asked) -> ValuePlan:
    column = asked.column()
    require(column, *Holds)
    counted = f"count(distinct {key(column)}) filter ({_held(asked, column)})"
    return _measured(asked, column, {"column.distinct_values.count": counted})


def _unique_proportion(asked: Asked) -> ValuePlan:
    column = asked.column()
    require(column, *Holds)
    held = _held(asked, column)
    share = f"count(distinct {key(column)}) filter ({held}) / nullif(count(*) filter ({held}), 0)"
    return _measured(asked, column, {"column.unique_proportion": share})


def _non_null_proportion(asked: Asked) -> ValuePlan:
    column = asked.column()
    share = f"count(*) filter ({_held(asked, column)}) / nullif(count(*) filter ({asked.considered}), 0)"
    return ValuePlan({"column.non_null_proportion": share}, shown=(column,), considered=asked.considered)


def _quantiles(asked: Asked) -> ValuePlan:
    """As pandas' `interpolation="nearest"`: the value whose rank is q·(n−1), rounded half to even."""
    column = asked.column()
    require(column, Holds.NUMBER)
    if asked.kwargs.get("allow_relative_error"):
        raise Unexaminable("allow_relative_error is for SQL databases; leave it out")
    held = f"list_sort(list({value(column)}) filter ({_held(asked, column)}))"
    shares = asked.kwargs["quantile_ranges"]["quantiles"]
    ranks = [
        f"list_extract(v, round_even({asked.bound.to(float(q))}::double * (len(v) - 1), 0)::bigint + 1)" for q in shares
    ]
    picked = f"list_transform([{held}], lambda v: [{', '.join(ranks)}])[1]"
    return _measured(asked, column, {"column.quantile_values": picked})


def _most_common(asked: Asked) -> ValuePlan:
    column = asked.column()
    require(column, Holds.TEXT, Holds.NUMBER)
    counts = f"map_entries(histogram({key(column)}) filter ({_held(asked, column)}))"
    return _measured(asked, column, {"column.most_common_value": counts}, {"column.most_common_value": _modes})


def _modes(entries: Any) -> list[Any]:
    most = max((entry["value"] for entry in entries or []), default=0)
    return sorted(entry["key"] for entry in entries or [] if entry["value"] == most)


def _distinct_set(asked: Asked, *, extra: bool, absent: bool) -> ValuePlan:
    column = asked.column()
    wanted = list(asked.kwargs["value_set"])
    fitting = members(column, wanted)
    inside = f"{value(column)} in ({', '.join(map(asked.bound.to, fitting))})" if fitting else "false"
    held = _held(asked, column)
    outside = f"coalesce(list(distinct {key(column)}) filter ({all_of([held, f'not ({inside})'])}), [])"
    present = f"coalesce(list(distinct {key(column)}) filter ({all_of([held, inside])}), [])"
    metrics: dict[str, str] = {}
    adapt: dict[str, Callable[[Any], Any]] = {}
    if extra:
        metrics |= {
            "column.distinct_values.not_in_set": outside,
            "column.distinct_values.not_in_set.count": f"len({outside})",
        }
        adapt["column.distinct_values.not_in_set"] = sorted
    if absent:
        name = "column.distinct_values.missing_from_column"
        metrics |= {name: present, f"{name}.count": present}
        adapt |= {
            name: lambda p: [m for m in wanted if m not in p],
            f"{name}.count": lambda p: sum(m not in p for m in wanted),
        }
    return _measured(asked, column, metrics, adapt)


def _row_count(asked: Asked) -> ValuePlan:
    return ValuePlan({"table.row_count": f"count(*) filter ({asked.considered})"}, considered=asked.considered)


def _columns(asked: Asked) -> ValuePlan:
    """The file's own columns; `expect_column_to_exist` finds roles as well, as every other rule does."""
    own = [column.name for column in asked.batch.own_columns]
    roles = [name for name in asked.batch.names if name not in own] if "column" in asked.kwargs else []
    return ValuePlan({}, known={"table.columns": [*own, *roles], "table.column_count": len(own)})


COLUMN_RULES: dict[str, Callable[[Asked], ValuePlan]] = {
    "expect_column_mean_to_be_between": _aggregate("column.mean", "avg({x})"),
    "expect_column_median_to_be_between": _aggregate("column.median", "median({x})"),
    "expect_column_stdev_to_be_between": _aggregate("column.standard_deviation", "stddev_samp({x})"),
    "expect_column_min_to_be_between": _extreme("column.min", "min"),
    "expect_column_max_to_be_between": _extreme("column.max", "max"),
    "expect_column_sum_to_be_between": _sum,
    "expect_column_unique_value_count_to_be_between": _unique_count,
    "expect_column_proportion_of_unique_values_to_be_between": _unique_proportion,
    "expect_column_proportion_of_non_null_values_to_be_between": _non_null_proportion,
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_most_common_value_to_be_in_set": _most_common,
    "expect_column_distinct_values_to_be_in_set": lambda asked: _distinct_set(asked, extra=True, absent=False),
    "expect_column_distinct_values_to_contain_set": lambda asked: _distinct_set(asked, extra=False, absent=True),
    "expect_column_distinct_values_to_equal_set": lambda asked: _distinct_set(asked, extra=True, absent=True),
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count,
    "expect_table_column_count_to_be_between": _columns,
    "expect_table_column_count_to_equal": _columns,
    "expect_table_columns_to_match_ordered_list": _columns,
    "expect_table_columns_to_match_set": _columns,
    "expect_column_to_exist": _columns,
}
