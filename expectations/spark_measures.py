"""How is a number of a whole column put together from pieces of it?

Some add up: counts, sums, means, deviations, ends, sets of values. Others need values brought together: how many are
different, which is the most frequent. And some need an order: medians and quantiles are found by narrowing down between
which two values they lie, until it is told exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from math import ceil, floor, isfinite, sqrt
from typing import TYPE_CHECKING, Any

from expectations.batch import Batch
from expectations.cross_row_rules import key
from expectations.pieces import Cut, Piece, opened
from expectations.plans import ValuePlan, missing, value
from expectations.spark_jobs import on_pieces
from expectations.spark_session import told
from expectations.spark_values import counts_of_values
from expectations.sql import Bound, all_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MOST_STEPS, _FEWEST_STEPS, _STEPS = 2_000, 16, 1_000_000
"""Into how many shares a piece's values are told; all pieces together take a million on the driver."""
_TIED = 1_000
"""Values told of those that are the most frequent together: of a column of ids, all of them would be."""


@dataclass(frozen=True)
class Measure:
    """A number that adds up."""

    kind: str
    """What parts of it are, and so how two of them are added: a key of `ADDED`."""
    sql: Callable[[ValuePlan], str]
    """SQL: a piece's part."""
    value: Callable[[Any], Any] = lambda part: part
    """The number, from the part of all pieces together."""


def held(plan: ValuePlan) -> str:
    """SQL: the rows on which a rule's value rests."""
    return all_of([plan.considered, f"not ({plan.skipped})"])


def _moments(plan: ValuePlan) -> str:
    x, rows = f"({value(plan.shown[0])})::double", f"filter ({held(plan)})"
    return f"[count(*) {rows}, avg({x}) {rows}, coalesce(var_pop({x}) {rows} * count(*) {rows}, 0)]"


def _mean(plan: ValuePlan) -> str:
    rows = f"filter ({held(plan)})"
    return f"[count(*) {rows}, avg(({value(plan.shown[0])})::double) {rows}, 0]"


def _deviation(part: Any) -> float | None:
    rows, _, squares = part
    return sqrt(squares / (rows - 1)) if rows > 1 else None


def _shares(plan: ValuePlan) -> str:
    present = all_of([plan.considered, f"not ({missing(plan.shown[0])})"])  # whose absence is no reason to skip a row
    return f"[count(*) filter ({present}), count(*) filter ({plan.considered})]"


def _own(metric: str) -> Callable[[ValuePlan], str]:
    return lambda plan: plan.metrics[metric]


_ABSENT, _EXTRA = "column.distinct_values.missing_from_column", "column.distinct_values.not_in_set"
MEASURES: dict[str, Measure] = {
    "table.row_count": Measure("total", _own("table.row_count")),
    "column.non_null_proportion": Measure("totals", _shares, lambda part: part[0] / part[1] if part[1] else None),
    "column.min": Measure("least", _own("column.min")),
    "column.max": Measure("most", _own("column.max")),
    "column.sum": Measure("total", _own("column.sum")),
    "column.mean": Measure("moments", _mean, lambda part: part[1]),
    "column.standard_deviation": Measure("moments", _moments, _deviation),
    _EXTRA: Measure("values", _own(_EXTRA)),
    f"{_EXTRA}.count": Measure("values", _own(_EXTRA), len),
    _ABSENT: Measure("values", _own(_ABSENT)),
    f"{_ABSENT}.count": Measure("values", _own(_ABSENT)),
}
"""Great Expectations' name of a metric → how it adds up. The others are found by `brought_together`."""


def _both_moments(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """Rows, mean and squared distances from it of both (T. F. Chan, G. H. Golub, R. J. LeVeque, 1983)."""
    (n, a, s), (m, b, t) = one, other
    if not n or not m:
        return list(one if n else other)
    apart = b - a
    between = apart**2 * n * m / (n + m) if isfinite(apart) else 0.0
    mean = a + apart * (m / (n + m)) if isfinite(apart) else a + b
    return [n + m, mean, s + t + between]


def _either(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda one, other: other if one is None else one if other is None else choose(one, other)


ADDED: dict[str, Callable[[Any, Any], Any]] = {
    "total": lambda one, other: one + other,
    "totals": lambda one, other: [a + b for a, b in zip(one, other, strict=True)],
    "least": _either(min),
    "most": _either(max),
    "moments": _both_moments,
    "values": lambda one, other: list(dict.fromkeys([*one, *other])),
}


# --- what must be brought together ----------------------------------------------------------------------------------


def brought_together(
    spark: SparkSession,
    batch: Batch,
    whole: Cut,
    plan: ValuePlan,
    metric: str,
    kwargs: Sequence[Mapping[str, Any]],
    bound: Bound,
) -> Any:
    """A metric as DuckDB's SQL in the plan would give it, had it all rows; `kwargs` are those of all rules that ask.

    Of more than a thousand values that are the most frequent together some are left out, none of a rule's own. Raises
    KeyError for a metric that it does not know.
    """
    return _TOGETHER[metric](_Asked(spark, batch, whole, plan, kwargs, bound))


@dataclass(frozen=True)
class _Asked:
    spark: SparkSession
    batch: Batch
    whole: Cut
    plan: ValuePlan
    kwargs: Sequence[Mapping[str, Any]]
    bound: Bound

    @property
    def key(self) -> str:
        return key(self.plan.shown[0])

    def rows(self) -> int:
        """Rows that the value rests on."""
        ask = partial(_count, whole=self.whole, where=held(self.plan), bound=self.bound)
        return sum(on_pieces(self.spark, self.whole.pieces, ask, "counting"))


def _count(piece: Piece, *, whole: Cut, where: str, bound: Bound) -> int:
    with opened(whole, piece) as batch:
        return int(batch.row_of(f"select count(*) from batch where {where}", bound)[0])


def _different(asked: _Asked) -> int:
    counted = counts_of_values(asked.spark, asked.whole, asked.key, held(asked.plan), asked.bound)
    with told("counting different values"):
        return int(counted.where("k is not null").count())


def _different_share(asked: _Asked) -> float | None:
    rows = asked.rows()
    return _different(asked) / rows if rows else None


def _most_frequent(asked: _Asked) -> list[dict[str, Any]]:
    from pyspark.sql import functions as F  # noqa: N812

    counted = counts_of_values(asked.spark, asked.whole, asked.key, held(asked.plan), asked.bound).where(
        "k is not null"
    )
    type_of = _type(asked, asked.key)
    with told("looking for the most frequent value"):
        found = counted.orderBy(F.desc("n"), "k").limit(_TIED).collect()
        most = found[0]["n"] if found else 0
        values = [row["k"] for row in found if row["n"] == most]
        if len(values) == _TIED:  # there may be more, and rules ask whether their own are among them
            own = _as_texts(asked.batch, [str(one) for rule in asked.kwargs for one in rule["value_set"]], type_of)
            tied = counted.where((F.col("n") == most) & F.col("k").isin(own)).collect()
            values = list(dict.fromkeys([*values, *(row["k"] for row in tied)]))
    typed = f"select k::{type_of} from (select unnest($values::varchar[]) as k)"
    rows = asked.batch.connection.execute(typed, {"values": values}).fetchall()
    return [{"key": one, "value": most} for (one,) in rows]


def _as_texts(batch: Batch, values: Sequence[str], type_of: str) -> list[str]:
    """Values as they are written where a column's are compared as texts; none that its type cannot hold."""
    written = f"select try_cast(k as {type_of})::varchar as k from (select unnest($values::varchar[]) as k)"
    found = batch.connection.execute(f"select k from ({written}) where k is not null", {"values": values})
    return [one for (one,) in found.fetchall()]


def _type(asked: _Asked, expression: str) -> str:
    ((_, found, *_),) = asked.batch.rows_of(f"describe select {expression} as k from batch", asked.bound)
    return str(found)


def _median(asked: _Asked) -> float | None:
    x, rows = f"({value(asked.plan.shown[0])})::double", asked.rows()
    if not rows:
        return None
    place = 0.5 * (rows - 1)
    low, high = values_at(asked.spark, asked.whole, x, held(asked.plan), [floor(place), ceil(place)], asked.bound)
    return float(low) if low == high else float(low + (high - low) * (place - floor(place)))


def _quantiles(asked: _Asked) -> list[Any] | None:
    rows = asked.rows()
    if not rows:
        return None
    shares = asked.kwargs[0]["quantile_ranges"]["quantiles"]  # which the metric's SQL names: all rules' are the same
    places = [round(float(share) * (rows - 1)) for share in shares]
    x = value(asked.plan.shown[0])
    return values_at(asked.spark, asked.whole, x, held(asked.plan), places, asked.bound)


_TOGETHER: dict[str, Callable[[_Asked], Any]] = {
    "column.distinct_values.count": _different,
    "column.unique_proportion": _different_share,
    "column.most_common_value": _most_frequent,
    "column.median": _median,
    "column.quantile_values": _quantiles,
}


# --- what stands at a place in the order ----------------------------------------------------------------------------


def values_at(spark: SparkSession, whole: Cut, x: str, where: str, places: Sequence[int], bound: Bound) -> list[Any]:
    """The values of an SQL expression at these places (0 is the lowest) of the order of all of them, exactly.

    Each round tells every piece's values in steps of equal rows; what is asked for lies within a few of them, and the
    next round looks only there.
    """
    return [_value_at(spark, whole, x, where, place, bound) for place in places]


def _value_at(spark: SparkSession, whole: Cut, x: str, where: str, place: int, bound: Bound) -> Any:
    low: Any = None
    high: Any = None
    steps = max(_FEWEST_STEPS, min(_MOST_STEPS, _STEPS // len(whole.pieces)))
    while True:
        ask = partial(_stepped, whole=whole, x=x, where=where, low=low, high=high, steps=steps, bound=bound)
        told_by = on_pieces(spark, whole.pieces, ask, "looking for a quantile")
        left, before = place - sum(below for below, _ in told_by), (low, high)
        low, high, sure = narrowed([some for _, some in told_by], left, low)
        if sure:
            return high
        if (low, high) == before:  # in the end every value is a step of its own
            steps *= _FEWEST_STEPS


def narrowed(told_by: Sequence[Sequence[Sequence[Any]]], place: int, low: Any) -> tuple[Any, Any, bool]:
    """Between which values (above the first, up to the second) a place lies, and whether it is the second for sure.

    `told_by` has the steps of each piece: highest value, rows, and whether all of them are that value.

    >>> narrowed([[[5, 3, False], [9, 3, True]], [[6, 2, True]]], 2, None)
    (None, 5, False)
    """
    steps = sorted((step[0], step[1], step[2], piece) for piece, some in enumerate(told_by) for step in some)
    upto = list(accumulate(rows for _, rows, _, _ in steps))
    reached = next(i for i, rows in enumerate(upto) if rows > place)
    high = steps[reached][0]
    # Of a piece, rows of the step that ends beyond a value may lie below it, too.
    for at in range(reached, -1, -1):
        end = steps[at][0]
        if end < high and _at_most(told_by, end) <= place:
            return end, high, _only(told_by, end, high)
    return low, high, _only(told_by, low, high)


def _at_most(told_by: Sequence[Sequence[Sequence[Any]]], end: Any) -> int:
    """The most rows that may hold a value up to this one."""
    rows = 0
    for steps in told_by:
        for highest, count, same in steps:
            if highest <= end:
                rows += count
            else:
                rows += 0 if same else count
                break
    return rows


def _only(told_by: Sequence[Sequence[Sequence[Any]]], low: Any, high: Any) -> bool:
    """Whether no other value than `high` lies above `low` and up to `high`."""
    for steps in told_by:
        for highest, _, same in steps:
            if low is not None and highest <= low:
                continue
            if highest > high:
                if not same:
                    return False
                break
            if highest != high or not same:
                return False
    return True


def _stepped(
    piece: Piece, *, whole: Cut, x: str, where: str, low: Any, high: Any, steps: int, bound: Bound
) -> tuple[int, list[list[Any]]]:
    """Rows of a piece that hold a value up to `low`, and the steps of those above it, up to `high`."""
    inside = []
    with opened(whole, piece) as batch:
        below = 0
        if low is not None:
            lowest = bound.to(low)
            (below,) = batch.row_of(f"select count(*) from batch where {all_of([where, f'({x}) <= {lowest}'])}", bound)
            inside.append(f"({x}) > {lowest}")
        if high is not None:
            inside.append(f"({x}) <= {bound.to(high)}")
        counted = f"select {x} as v, count(*) as n from batch where {all_of([where, *inside])} group by v"
        ranked = (
            "select v, n, sum(n) over (order by v) as upto, sum(n) over () as total, count(*) over () as different "
            f"from ({counted})"
        )
        step = f"case when different <= {steps} then upto else (upto - 1) * {steps} // total end"
        found = batch.rows_of(
            f"select max(v), sum(n)::bigint, count(*) = 1 from ({ranked}) group by {step} order by 1", bound
        )
        return below, [list(one) for one in found]
