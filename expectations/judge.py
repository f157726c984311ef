"""What does Great Expectations say? It knows the rules and gives every verdict; the counts may come from our scan."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Great Expectations warns of its own deprecations at import
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    import expectations.own_expectations  # noqa: F401  (registers ours)

from expectations.binding import Question
from expectations.errors import first_line
from expectations.row_condition import read_condition
from expectations.scan import Counts
from expectations.suite import Rule, Suite

_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 20, "include_unexpected_rows": False}
_MOMENT = "2000-01-01"
"""Stands for "now" until the batch is there."""


class Unjudged(Exception):
    """Great Expectations was given the counts and could not judge them."""


def check_suite(suite: Suite) -> None:
    """Make sure that Great Expectations knows every rule as it is written, before any data is read.

    Great Expectations itself logs and drops what it does not know when it loads a suite; nothing is dropped here.

    Raises SuiteError, naming the line, for an unknown type, an unknown or ill-typed argument, and an argument that
    Great Expectations would silently change.
    """
    for rule in suite.rules:
        understand(rule, suite)


def understand(rule: Rule, suite: Suite) -> Expectation:
    """The rule as Great Expectations' own object.

    Raises SuiteError as `check_suite` does.
    """
    try:
        implementation = get_expectation_impl(rule.type)
    except GreatExpectationsError:
        near = difflib.get_close_matches(rule.type, list_registered_expectation_implementations(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "See https://greatexpectations.io/expectations."
        raise suite.error(rule.line, f"Great Expectations knows no expectation {rule.type!r}", hint) from None
    stated = _stated(rule, suite)
    filled = {"moment": _MOMENT} if "moment" in implementation.__fields__ else {}
    if rule.each is not None:  # the column is settled once the batch is there
        filled["column"] = "any column"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = implementation(
                **{**filled, **stated}, severity=FailureSeverity(rule.severity.value), meta={"id": rule.id}
            )
    except Exception as error:  # pydantic's errors, and whatever a class's own validators raise
        raise suite.error(rule.line, f"{rule.type}: {_first_line(error)}") from None
    _nothing_changed(stated, made, rule, suite)
    return made


def judge(question: Question, expectation: Expectation, counts: Counts) -> ExpectationValidationResult:
    """Great Expectations' verdict on counts that somebody else made.

    Raises Unjudged when it asks for a number that was not counted, or has none to judge by.
    """
    engine = PandasExecutionEngine()
    runtime = {"result_format": _FORMAT}
    asked = expectation.get_validation_dependencies(execution_engine=engine, runtime_configuration=runtime)
    metrics = {
        configuration.id: _metric(configuration.metric_name, counts, question)
        for configuration in asked.metric_configurations.values()
    }
    return expectation.metrics_validate(metrics=metrics, runtime_configuration=runtime, execution_engine=engine)


def verdict_json(result: ExpectationValidationResult) -> dict[str, Any]:
    """Great Expectations' result as plain JSON values; its own form holds dates, NumPy numbers and infinities."""
    plain = jsonable(result.to_json_dict())
    return plain if isinstance(plain, dict) else {}


def jsonable(value: Any) -> Any:
    """The value as JSON can hold it: NaN and infinity become null, dates ISO 8601, long texts are shortened."""
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): jsonable(held) for key, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(held) for held in value]
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 1000 else text[:999] + "…"


def _stated(rule: Rule, suite: Suite) -> dict[str, Any]:
    stated = dict(rule.kwargs)
    if stated.get("row_condition") is not None:
        try:
            stated["row_condition"] = read_condition(stated["row_condition"])
        except ValueError as error:
            raise suite.error(rule.line, str(error)) from None
    if stated.get("column_list") == ["*"]:  # every column of a batch that is not known yet
        stated["column_list"] = ["any column", "any other"]
    return stated


def _nothing_changed(stated: Mapping[str, Any], made: Expectation, rule: Rule, suite: Suite) -> None:
    """Every stated argument must be found again in what Great Expectations made of it."""
    kept: Any = made.configuration.to_json_dict()["kwargs"]
    for name, value in stated.items():
        if not _same(jsonable(value), jsonable(kept.get(name, getattr(made, name, None)))):
            raise suite.error(
                rule.line,
                f"{rule.type} would read {name} as {kept.get(name)!r}, not as the {value!r} that is written",
                "Write the value in the form that Great Expectations keeps.",
            )


def _same(stated: Any, kept: Any) -> bool:
    if isinstance(stated, dict):
        return isinstance(kept, dict) and all(_same(v, kept.get(k)) for k, v in stated.items())
    if isinstance(stated, list):
        return isinstance(kept, list) and len(stated) == len(kept) and all(map(_same, stated, kept))
    return bool(stated == kept) and isinstance(stated, bool) == isinstance(kept, bool)


def _metric(name: str, counts: Counts, question: Question) -> Any:
    if name in counts.metrics:
        found = counts.metrics[name]
        if found is None or (isinstance(found, float) and math.isnan(found)):
            raise Unjudged(f"no row holds a value to measure {name} by")
        return found
    if name == "table.row_count":
        return counts.considered
    if name.endswith(".nonnull.unexpected_count") and "not_be_null" not in question.rule.type:
        return counts.skipped
    by_ending = {
        ".unexpected_count": counts.unexpected,
        ".filtered_row_count": counts.examined,
        ".unexpected_values": [_shown(sample.values, question.rule) for sample in counts.samples],
        ".unexpected_index_list": [],
        ".unexpected_index_query": None,
    }
    for ending, value in by_ending.items():
        if name.endswith(ending):
            return value
    raise Unjudged(f"Great Expectations asks for {name}, which was not counted")


def _shown(values: Mapping[str, Any], rule: Rule) -> Any:
    """A failing row's values in the form Great Expectations has them: one, a pair, or several by name."""
    if "column_list" in rule.kwargs:
        return dict(values)
    held = tuple(values.values())
    return held[0] if len(held) == 1 else held


def _first_line(error: Exception) -> str:
    """What pydantic says, without its class names and links."""
    details = getattr(error, "errors", None)
    if callable(details):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in details())
    return first_line(error)
