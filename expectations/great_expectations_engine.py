"""What does Great Expectations count by itself? Its pandas engine: the oracle, and the way of rules not compiled."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.validator.metrics_calculator import MetricsCalculator

from expectations.batch import Batch
from expectations.binding import Question
from expectations.columns import FILE, ROW
from expectations.plans import value
from expectations.row_condition import columns_of
from expectations.sql import quoted

_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": [FILE, ROW],
    "partial_unexpected_count": 20,
    "include_unexpected_rows": False,
}


@dataclass(frozen=True)
class Counted:
    """What Great Expectations found on its own."""

    result: ExpectationValidationResult | None
    addresses: tuple[tuple[int, int], ...] = ()
    """File and row of every failing row."""
    examined: int = 0
    error: str = ""
    """Why nothing could be examined; empty if all went well."""


def count(question: Question, expectation: Expectation, batch: Batch) -> Counted:
    """Let Great Expectations count and judge one rule on pandas, with only the columns the rule needs.

    It holds those columns in memory: for batches that fit, or for the rare rule that no scan can answer.
    """
    engine = PandasExecutionEngine(batch_data_dict={"batch": _frame(question, batch)})
    runtime = {"result_format": _FORMAT}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            asked = expectation.get_validation_dependencies(execution_engine=engine, runtime_configuration=runtime)
            wanted = list(asked.metric_configurations.values())
            calculator = MetricsCalculator(execution_engine=engine, show_progress_bars=False)
            metrics, aborted = calculator.compute_metrics(wanted, runtime_configuration=runtime)
    except GreatExpectationsError as error:
        return Counted(None, error=_first_line(str(error)))
    if aborted:
        return Counted(None, error=_why(aborted))
    by_name = {configuration.metric_name: metrics[configuration.id] for configuration in wanted}
    if empty := [name for name, found in by_name.items() if _is_nothing(name, found)]:
        return Counted(None, error=f"no row holds a value to measure {empty[0]} by")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = expectation.metrics_validate(metrics=metrics, runtime_configuration=runtime, execution_engine=engine)
    return Counted(result, _addresses(by_name), _examined(by_name))


def _is_nothing(name: str, found: Any) -> bool:
    if name.endswith(("unexpected_index_query", "unexpected_index_list")):
        return False
    return found is None or (isinstance(found, float) and math.isnan(found))


def _addresses(metrics: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    listed = next((found for name, found in metrics.items() if name.endswith("unexpected_index_list")), None)
    return tuple((int(one[FILE]), int(one[ROW])) for one in listed or ())


def _examined(metrics: Mapping[str, Any]) -> int:
    """The rows Great Expectations judged, in its own numbers."""
    filtered = [int(found) for name, found in metrics.items() if name.endswith("filtered_row_count")]
    rows = int(metrics.get("table.row_count") or 0)
    if filtered:
        return filtered[0]
    about_nulls = any(name.endswith("null.unexpected_values") for name in metrics)
    return rows if about_nulls else rows - int(metrics.get("column_values.nonnull.unexpected_count") or 0)


def _why(aborted: Mapping[Any, Mapping[str, Any]]) -> str:
    for failed in aborted.values():
        information = failed.get("exception_info") or {}
        found = information if "exception_message" in information else next(iter(information.values()), {})
        if isinstance(found, Mapping) and found.get("exception_message"):
            return _first_line(str(found["exception_message"]))
    return "Great Expectations could not count it"


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "Great Expectations could not count it"


def _frame(question: Question, batch: Batch) -> Any:
    condition = columns_of(question.condition) if question.condition else ()
    names = list(dict.fromkeys([*question.rule.columns, *condition]))
    if _about_columns_alone(question.rule.type):
        own = [column.name for column in batch.own_columns]
        extra = [name for name in names if name not in own and batch.column(name) is not None]
        return _select([*own, *extra], "limit 0", batch).drop(columns=[FILE, ROW])
    return _select(names, f"order by {FILE}, {ROW}", batch)


def _select(names: Sequence[str], tail: str, batch: Batch) -> Any:
    found = [(name, batch.column(name)) for name in names]
    columns = [f"{value(column)} as {quoted(name)}" for name, column in found if column is not None]
    # By way of Arrow, whole numbers beside nulls become floats, as users of Great Expectations on pandas have them.
    return batch.table_of(f"select {', '.join([*columns, FILE, ROW])} from batch {tail}").to_pandas()


def _about_columns_alone(rule_type: str) -> bool:
    return rule_type == "expect_column_to_exist" or rule_type.startswith("expect_table_column")
