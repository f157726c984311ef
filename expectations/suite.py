"""What does good data look like? A suite: a YAML file in Great Expectations' own terms, read strictly."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from expectations.errors import SuiteError
from expectations.kinds import KINDS
from expectations.results import Severity

_SUITE_KEYS = ("name", "kind", "expectations", "notes")
_RULE_KEYS = ("type", "kwargs", "severity", "mostly", "row_condition", "meta", "description", "notes")
_META_KEYS = ("id", "says", "optional", "each", "where_present", "draft")
_EACH = ("text column", "number column", "date column", "column")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]*")
_REGEX_ARGUMENTS = ("regex", "regex_list")
_BESIDE = "Write it beside `kwargs`."
_MISPLACED = {"severity": _BESIDE, "meta": _BESIDE, "id": "Write it as meta.id.", "result_format": "Leave it out.",
              "batch_id": "Leave it out.", "windows": "Leave it out: it would change nothing."}  # fmt: skip
_ENDLESS = (float("inf"), float("-inf"))


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite, as written."""

    id: str
    type: str
    """Great Expectations' name, e.g. `expect_column_values_to_not_be_null`."""
    kwargs: dict[str, Any]
    """Its arguments, `mostly` and `row_condition` among them."""
    severity: Severity
    line: int
    """Where it stands in its file; the first line is 1."""
    says: str = ""
    """What a row that breaks it is told, e.g. "the text is missing"."""
    optional: bool = False
    """A batch that lacks its column leaves it not examined, instead of failing it."""
    each: str | None = None
    """Asked of every column of a sort, e.g. `text column`, in place of one that is named."""
    where_present: bool = False
    """Of its `column_list`, only the columns that the batch has are asked about."""
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def mostly(self) -> float:
        """Share of examined rows that must keep the rule (0–1)."""
        return float(self.kwargs.get("mostly", 1.0))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is about, in the order of its arguments."""
        one = [
            self.kwargs[key] for key in ("column", "column_A", "column_B", "vocabulary_column") if key in self.kwargs
        ]
        return tuple(map(str, [*one, *self.kwargs.get("column_list", [])]))


@dataclass(frozen=True)
class Suite:
    """Rules for one kind of batch."""

    name: str
    kind: str | None
    rules: tuple[Rule, ...]
    path: Path

    def error(self, line: int, problem: str, advice: str = "") -> SuiteError:
        """An error that names the line."""
        return SuiteError(f"{self.path}, line {line}: {problem}", advice=advice)


def built_in(kind: str) -> Path:
    """The suite that comes with shopmon for a kind."""
    return Path(str(files("expectations.suites") / f"{kind}.yaml"))


def load_suite(path: str | Path) -> Suite:
    """Read a suite; nothing in the file may be dropped or misread.

    Raises SuiteError, naming the line, for an unknown key or severity, an invalid regular expression, an id that
    stands twice, a limit that can never hold, and a suite without rules. Whether Great Expectations knows each type
    and its arguments is settled by `judge.understand`.
    """
    path = Path(path)
    document, lines, key_lines = _parse(path)
    if not isinstance(document, Mapping):
        raise SuiteError(
            f"{path} holds {type(document).__name__}, not a suite", advice="Write `expectations:` and a list."
        )
    for key, line in key_lines.items():
        _known((key,), _SUITE_KEYS, path, line, "the suite")
    kind, kinds = document.get("kind"), sorted(kind.name for kind in KINDS)
    if kind is not None and kind not in kinds:
        raise SuiteError(
            f"{path}, line {key_lines['kind']}: there is no kind {kind!r}",
            advice=f"Give one of: {', '.join(kinds)}; or leave `kind` out.",
        )
    items = document.get("expectations")
    if not isinstance(items, list) or not items:
        raise SuiteError(
            f"{path} holds no expectations: a suite that asks nothing would always pass",
            advice="Write a list under `expectations:`, or draft one: shopmon draft FILE",
        )
    rules = tuple(_rule(item, path, lines[index]) for index, item in enumerate(items))
    _distinct(rules, path)
    return Suite(str(document.get("name", path.stem)), kind, rules, path)


def _parse(path: Path) -> tuple[Any, list[int], dict[Any, int]]:
    """The document, the lines on which its expectations begin, and those of its keys."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
        marked: Any = YAML(typ="rt").load(text)  # keeps the lines
        plain = YAML(typ="safe", pure=True).load(text)  # YAML 1.2: a bare NO stays text
    except FileNotFoundError:
        raise SuiteError(
            f"the suite {path} does not exist", advice="Draft one: shopmon draft FILE --out suite.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"the suite {path} cannot be read: {error}") from error
    except MarkedYAMLError as error:
        line = (error.problem_mark.line + 1) if error.problem_mark else 1
        raise SuiteError(f"{path}, line {line}: {error.problem}") from error
    except YAMLError as error:
        raise SuiteError(f"{path} is not YAML: {error}") from error
    if not isinstance(marked, CommentedMap):
        return plain, [], {}
    key_lines = {key: marked.lc.key(key)[0] + 1 for key in marked}
    items = marked.get("expectations")
    lines = [items.lc.item(i)[0] + 1 for i in range(len(items))] if isinstance(items, CommentedSeq) else []
    return plain, lines, key_lines


def _rule(item: Any, path: Path, line: int) -> Rule:
    def wrong(problem: str, advice: str = "") -> SuiteError:
        return SuiteError(f"{path}, line {line}: {problem}", advice=advice)

    if not isinstance(item, Mapping):
        raise wrong(f"an expectation is a mapping with `type` and `kwargs`, got {item!r}")
    _known(item, _RULE_KEYS, path, line, "an expectation")
    kind = item.get("type")
    if not isinstance(kind, str):
        raise wrong("the expectation has no `type`", advice="e.g. type: expect_column_values_to_not_be_null")
    kwargs, meta = item.get("kwargs") or {}, item.get("meta") or {}
    if not isinstance(kwargs, Mapping) or not isinstance(meta, Mapping):
        raise wrong(f"`kwargs` and `meta` of {kind} are mappings")
    for key in ("mostly", "row_condition"):
        if key in item and key in kwargs:
            raise wrong(f"`{key}` stands twice: beside `kwargs` and in it")
    merged = {**kwargs, **{key: item[key] for key in ("mostly", "row_condition") if key in item}}
    _known(meta, _META_KEYS, path, line, "`meta`")
    each = meta.get("each")
    if each is not None and each not in _EACH:
        raise wrong(f"`meta.each` is {each!r}", advice=f"Give one of: {', '.join(_EACH)}.")
    if each is not None and "column" in merged:
        raise wrong(f"{kind} names a column and is asked of each {each}", advice="Leave one of the two out.")
    _check_values(merged, wrong)
    return Rule(
        id=_id(meta, kind, merged, wrong),
        type=kind,
        kwargs=merged,
        severity=_severity(item.get("severity", "critical"), wrong),
        line=line,
        says=str(meta.get("says", "")),
        optional=_flag(meta, "optional", wrong),
        each=each,
        where_present=_flag(meta, "where_present", wrong),
        meta=dict(meta),
    )


def _id(meta: Mapping[str, Any], kind: str, kwargs: Mapping[str, Any], wrong: Any) -> str:
    derived = "-".join([kind.removeprefix("expect_"), *map(str, [kwargs["column"]] if "column" in kwargs else [])])
    name = meta.get("id", re.sub(r"[^A-Za-z0-9_.:\-]+", "-", derived).strip("-"))
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise wrong(f"`meta.id` is {name!r}", advice="Use letters, digits, '-', '_', '.' and ':' only.")
    return name


def _severity(given: Any, wrong: Any) -> Severity:
    try:
        return Severity(given)
    except ValueError:
        raise wrong(f"severity is {given!r}", advice="Give one of: critical, warning, info.") from None


def _flag(meta: Mapping[str, Any], key: str, wrong: Any) -> bool:
    value = meta.get(key, False)
    if not isinstance(value, bool):
        raise wrong(f"`meta.{key}` is {value!r}, not true or false")
    return value


def _check_values(kwargs: Mapping[str, Any], wrong: Any) -> None:
    mostly = kwargs.get("mostly", 1.0)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
        raise wrong(f"`mostly` is {mostly!r}, not a share between 0 and 1")
    for key, advice in _MISPLACED.items():
        if key in kwargs:
            raise wrong(f"`{key}` has no place in `kwargs`", advice=advice)
    for pattern in _patterns(kwargs):
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise wrong(f"the regular expression {pattern!r} is invalid: {error}") from None
    for key in ("min_value", "max_value"):
        limit = kwargs.get(key)
        if limit is not None and (
            not isinstance(limit, int | float | str | date) or limit in _ENDLESS or limit != limit
        ):
            raise wrong(f"`{key}` is {limit!r}, not a number or a date")
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    strict = kwargs.get("strict_min") or kwargs.get("strict_max")
    if low is not None and high is not None and _comparable(low, high) and (low > high or (strict and low == high)):
        raise wrong(f"no value lies between min_value {low!r} and max_value {high!r}: nothing could ever pass")
    if "value_set" in kwargs:
        _check_set(kwargs["value_set"], wrong)
    if "quantile_ranges" in kwargs:
        _check_quantiles(kwargs["quantile_ranges"], wrong)


def _comparable(low: Any, high: Any) -> bool:
    return any(isinstance(low, kind) and isinstance(high, kind) for kind in (int | float, str, datetime)) or (
        type(low) is date and type(high) is date
    )


def _check_set(values: Any, wrong: Any) -> None:
    if not isinstance(values, list) or not values:
        raise wrong(f"`value_set` is a list of values, got {values!r}", advice="e.g. value_set: [red, green]")
    for value in values:
        if not isinstance(value, str | int | float | date):
            raise wrong(
                f"`value_set` holds {value!r}", advice="Missing values are never held against a set; leave it out."
            )
    if any(isinstance(value, bool) for value in values) and len(set(map(type, values))) > 1:
        raise wrong("`value_set` mixes true or false with other values", advice='Write "true" in quotes if it is text.')


def _check_quantiles(given: Any, wrong: Any) -> None:
    quantiles = given.get("quantiles") if isinstance(given, Mapping) else None
    ranges = given.get("value_ranges") if isinstance(given, Mapping) else None
    if (
        not isinstance(quantiles, list)
        or not isinstance(ranges, list)
        or not quantiles
        or len(quantiles) != len(ranges)
    ):
        raise wrong("`quantile_ranges` needs `quantiles` and `value_ranges`, two lists of the same length")
    if not all(isinstance(q, int | float) and 0 <= q <= 1 for q in quantiles):
        raise wrong(f"`quantiles` are shares between 0 and 1, got {quantiles!r}")
    if not all(isinstance(limits, list) and len(limits) == 2 for limits in ranges):
        raise wrong(f"`value_ranges` are pairs [lowest, highest], got {ranges!r}")


def _patterns(kwargs: Mapping[str, Any]) -> Iterator[Any]:
    for key in _REGEX_ARGUMENTS:
        if key in kwargs:
            value = kwargs[key]
            yield from value if isinstance(value, list) else [value]


def _known(item: Iterable[Any], keys: tuple[str, ...], path: Path, line: int, what: str) -> None:
    for key in item:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"It may have: {', '.join(keys)}."
            raise SuiteError(f"{path}, line {line}: {what} has no `{key}`", advice=hint)


def _distinct(rules: tuple[Rule, ...], path: Path) -> None:
    seen: dict[str, int] = {}
    for rule in rules:
        if rule.id in seen:
            raise SuiteError(
                f"{path}, line {rule.line}: the id {rule.id!r} stands already on line {seen[rule.id]}",
                advice="Give each rule its own meta.id.",
            )
        seen[rule.id] = rule.line
