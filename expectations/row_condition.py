"""Which rows does a rule look at? Great Expectations' `row_condition`, read strictly."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any

from expectations.columns import Column
from expectations.kinds import Holds
from expectations.plans import Unexaminable, missing, value
from expectations.sql import Bound

_TEXT_FORM = re.compile(
    r"""\s*col\(\s*(?P<q>["'])(?P<column>[^"']+)(?P=q)\s*\)\s*
    (?:\.\s*(?P<null>notNull|isNull)\(\)|(?P<operator>==|!=|<=|>=|<|>)\s*(?P<parameter>.+?))\s*""",
    re.VERBOSE | re.DOTALL,
)
_ONE_TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_SAFE_NAME = re.compile(r"[\w .\-]+")
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "IN", "NOT_IN")
_LITERALS = {"true": "True", "false": "False"}


def read_condition(written: Any) -> dict[str, Any]:
    """A row condition in Great Expectations' mapping form.

    The short text form is one comparison, `col("stars") >= 4`, or `col("text").notNull()`. Great Expectations' own
    parser drops whatever follows the first comparison without a word, so anything longer must be a mapping.

    >>> read_condition('col("stars") >= 4')["operator"]
    '>='

    Raises ValueError saying what is wrong.
    """
    if isinstance(written, str):
        return _from_text(written)
    if not isinstance(written, Mapping):
        raise ValueError(f"a row_condition is text or a mapping, got {type(written).__name__}")
    return _checked(dict(written))


def columns_of(condition: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns a condition reads."""
    if condition["type"] in ("and", "or"):
        return tuple(name for part in condition["conditions"] for name in columns_of(part))
    return (str(condition["column"]["name"]),)


def condition_sql(condition: Mapping[str, Any], column: Callable[[str], Column], bound: Bound) -> str:
    """The condition in SQL, true or false and never NULL.

    As in pandas, `!=` and `NOT_IN` keep rows without a value and every other comparison leaves them out.

    Raises Unexaminable where a column's type does not fit what it is compared with.
    """
    if condition["type"] in ("and", "or"):
        joined = f" {condition['type']} ".join(condition_sql(part, column, bound) for part in condition["conditions"])
        return f"({joined})"
    found = column(condition["column"]["name"])
    if not _SAFE_NAME.fullmatch(found.name):  # Great Expectations splices it into a pandas query
        raise Unexaminable(f"row_condition cannot name the column {found.name!r}: give it a role or a plain name")
    if condition["type"] == "nullity":
        return f"({missing(found)})" if condition["is_null"] else f"(not ({missing(found)}))"
    return _comparison(condition, found, bound)


def _comparison(condition: Mapping[str, Any], found: Column, bound: Bound) -> str:
    operator, parameter = condition["operator"], condition["parameter"]
    members = parameter if operator in ("IN", "NOT_IN") else [parameter]
    fitting = {Holds.TEXT: str, Holds.NUMBER: int | float, Holds.FLAG: bool}.get(found.holds or Holds.DATE)
    if fitting is None or not all(isinstance(member, fitting) for member in members):
        raise Unexaminable(f"row_condition compares {found.name!r}, which holds {found.type}, with {parameter!r}")
    absent, held = missing(found), value(found)
    if operator in ("IN", "NOT_IN"):
        inside = f"({held} in ({', '.join(map(bound.to, members))}))" if members else "false"
        return f"(not ({absent}) and {inside})" if operator == "IN" else f"({absent} or not {inside})"
    sql = f"{held} {operator.replace('==', '=').replace('!=', '<>')} {bound.to(parameter)}"
    return f"({absent} or {sql})" if operator == "!=" else f"(not ({absent}) and {sql})"


def _from_text(written: str) -> dict[str, Any]:
    match = _TEXT_FORM.fullmatch(written)
    if match is None:
        raise ValueError(
            f'row_condition {written!r} is not one comparison like col("stars") >= 4; '
            "join several as a mapping: {type: and, conditions: [...]}"
        )
    column = {"name": match["column"]}
    if match["null"]:
        return {"type": "nullity", "column": column, "is_null": match["null"] == "isNull"}
    parameter = _parameter(match["parameter"], written)
    return _checked({"type": "comparison", "column": column, "operator": match["operator"], "parameter": parameter})


def _parameter(raw: str, written: str) -> Any:
    try:
        parameter = ast.literal_eval(_LITERALS.get(raw, raw))
    except (ValueError, SyntaxError):
        parameter = None
    # Python joins 'it' and 's' in 'it''s', where SQL means it's: what has two meanings is refused.
    if parameter is None or (isinstance(parameter, str) and not _ONE_TEXT.fullmatch(raw)):
        raise ValueError(f"row_condition {written!r} compares with {raw!r}: write a number or quoted text")
    return parameter


def _checked(condition: dict[str, Any]) -> dict[str, Any]:
    kind = condition.get("type")
    allowed = {
        "and": {"type", "conditions"},
        "or": {"type", "conditions"},
        "nullity": {"type", "column", "is_null"},
        "comparison": {"type", "column", "operator", "parameter"},
    }.get(str(kind))
    if allowed is None:
        raise ValueError(f"row_condition has type {kind!r}; it is one of: and, or, comparison, nullity")
    if set(condition) != allowed:
        raise ValueError(
            f"a row_condition of type {kind!r} has exactly {', '.join(sorted(allowed))}; got {sorted(condition)}"
        )
    if kind in ("and", "or"):
        parts = condition["conditions"]
        if not isinstance(parts, list) or not parts:
            raise ValueError(f"row_condition of type {kind!r} joins a list of conditions, got {parts!r}")
        return {"type": kind, "conditions": [read_condition(part) for part in parts]}
    column = condition["column"]
    if not isinstance(column, Mapping) or set(column) != {"name"} or not isinstance(column["name"], str):
        raise ValueError(f"row_condition needs column: {{name: ...}}, got {column!r}")
    if kind == "comparison":
        _check_comparison(condition)
    elif not isinstance(condition["is_null"], bool):
        raise ValueError(f"row_condition needs is_null: true or false, got {condition['is_null']!r}")
    return condition


def _check_comparison(condition: Mapping[str, Any]) -> None:
    operator, parameter = condition["operator"], condition["parameter"]
    if operator not in _OPERATORS:
        raise ValueError(f"row_condition has operator {operator!r}; it is one of: {', '.join(_OPERATORS)}")
    if operator in ("IN", "NOT_IN") and (not isinstance(parameter, list) or not parameter):
        raise ValueError(f"row_condition {operator} needs a list, got {parameter!r}")
    for member in parameter if operator in ("IN", "NOT_IN") else [parameter]:
        if not isinstance(member, str | int | float | bool) or member != member:
            raise ValueError(f"row_condition compares with numbers or text, got {member!r}")
