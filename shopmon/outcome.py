"""What does a check give: to a person, to a notebook, to a machine?"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.errors import ShopmonError, sentence
from expectations.results import Engine, Example, ExpectationResult, Outcome, Severity
from monitor.results import DriftSection, EdgeCaseSection, WindowsSection

if TYPE_CHECKING:
    from expectations.batch import Source

SCHEMA_VERSION = 2
"""Grows when a reader of the document would have to change; docs/result.schema.json describes this one."""

LONGEST_VALUE = 1000
"""Characters of one value of data in the document: enough to recognise it; the whole value is in quarantine."""

_SEVERITIES = tuple(Severity)
_PASSWORD = re.compile(r"(?<=://)([^/?#\s:@]*):[^/?#\s]*@")


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    """The data broke a critical rule, or nothing could be examined."""
    ERROR = "error"
    """The check could not run: nothing is said about the data."""


@dataclass(frozen=True)
class Failure:
    """Why a check could not run."""

    type: str
    """The name of the exception, stable enough to branch on."""
    problem: str
    """What arrived, and what was expected; no password in it."""
    advice: str
    """What to do."""
    cause: Exception | None = field(default=None, repr=False, compare=False)
    """The exception itself; None in a result that was read back."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Tell an exception to a person; one that is not meant for a person is a mistake in shopmon, and says so.

        What the machine refuses (a full disk, a permission, memory) is no mistake, and becomes a ShopmonError.

        >>> Failure.of(KeyError("text")).problem
        "KeyError: 'text'"
        """
        error = _told(error)
        name = type(error).__name__
        if isinstance(error, ShopmonError):
            return cls(name, without_password(error.problem), without_password(error.advice), error)
        advice = "This is a mistake in shopmon, not in your data: please report it, with the output of --debug."
        return cls(name, without_password(f"{name}: {error}"), advice, error)

    @property
    def message(self) -> str:
        """Problem and advice in one."""
        return f"{sentence(self.problem)} {self.advice}".strip()


@dataclass(frozen=True, repr=False)
class CheckResult:
    """Is this batch fit to use, and what rests on the answer?

    In a notebook it shows itself as a table; `print` gives one line; `document()` is what `--json` prints.
    """

    run_id: str
    status: Status
    kind: str | None = None
    """reviews, products, queries or relevance; None where the check ended before it was known."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role → the file's own column that was taken for it."""
    rows: int = 0
    """Records that arrived, unreadable ones included."""
    quarantined: int = 0
    """Rows in quarantine: unreadable, or breaking at least one rule."""
    unreadable: int = 0
    """Quarantined rows that could not be read."""
    unreadable_allowed: float = 0.0
    """Share of records (0–1) that may be unreadable before the batch fails for that alone."""
    tolerated: int = 0
    """Quarantined rows that break only rules whose `mostly` still holds."""
    expectations: tuple[ExpectationResult, ...] = ()
    drift: DriftSection = field(default_factory=DriftSection)
    windows: WindowsSection = field(default_factory=WindowsSection)
    edge_cases: EdgeCaseSection = field(default_factory=EdgeCaseSection)
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """What was written: `result`, `quarantine`, `edge_cases`, `distributions`, `drift`, `evidently`, `good`,
    `data_docs`."""
    sources: tuple[Source, ...] = ()
    suite: str | None = None
    """The suite's name."""
    seconds: float = 0.0
    """Wall time of the check."""
    started: str = ""
    """When it began: ISO 8601, UTC."""
    notes: tuple[str, ...] = ()
    """What reading had to decide: a sniffed delimiter, a converted column."""
    version: str = ""
    """Of shopmon."""
    error: Failure | None = None

    @property
    def passed(self) -> bool:
        """Whether the data is fit to use; False as well where the check could not run."""
        return self.status is Status.PASSED

    @property
    def good(self) -> int:
        """Rows that break no rule."""
        return self.rows - self.quarantined

    @property
    def too_many_unreadable(self) -> bool:
        """Whether unreadable records alone fail the batch."""
        return self.unreadable > self.unreadable_allowed * self.rows

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        """Rules that were examined and are broken: the most severe first, then the one with most rows."""
        return self._ordered(Outcome.FAILED)

    @property
    def unexaminable(self) -> tuple[ExpectationResult, ...]:
        """Rules that apply but could not be examined, the most severe first."""
        return self._ordered(Outcome.ERROR)

    @property
    def folder(self) -> Path | None:
        """The folder of this run."""
        result = self.artifacts.get("result")
        return result.parent if result else None

    def _ordered(self, outcome: Outcome) -> tuple[ExpectationResult, ...]:
        found = [r for r in self.expectations if r.outcome is outcome]
        return tuple(sorted(found, key=lambda r: (_SEVERITIES.index(r.severity), -r.unexpected)))

    def document(self) -> dict[str, Any]:
        """This result as strictly valid JSON values, described by docs/result.schema.json.

        NaN and infinities become null, dates and bytes become text, NUL becomes ␀, and a value of data longer than
        `LONGEST_VALUE` characters is cut and ends in "…".
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "shopmon_version": self.version,
            "run_id": self.run_id or None,
            "status": self.status.value,
            "kind": self.kind,
            "columns": dict(self.columns),
            "rows": self.rows,
            "quarantined": self.quarantined,
            "unreadable": self.unreadable,
            "unreadable_allowed": self.unreadable_allowed,
            "tolerated": self.tolerated,
            "suite": self.suite,
            "expectations": [_expectation(r) for r in self.expectations],
            "drift": plain(asdict(self.drift)),
            "windows": plain(asdict(self.windows)),
            "edge_cases": plain(asdict(self.edge_cases)),
            "artifacts": {name: str(path) for name, path in self.artifacts.items()},
            "sources": [_source(s) for s in self.sources],
            "started": self.started or None,
            "seconds": round(self.seconds, 3),
            "notes": [plain(note) for note in self.notes],
            "error": _error(self.error),
        }

    @classmethod
    def can_read(cls, document: Mapping[str, Any]) -> bool:
        """Whether `from_document` understands a document: a check's, of this version of the schema."""
        return document.get("schema_version") == SCHEMA_VERSION and "expectations" in document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> CheckResult:
        """The result that gave this document; values of data are as the document has them, cut if they were long.

        >>> result = CheckResult("20261120-195801-a3f9c1", Status.PASSED, kind="reviews")
        >>> CheckResult.from_document(result.document()) == result
        True
        """
        from pydantic import TypeAdapter

        from expectations.batch import Source

        error = document["error"]
        same = ("rows", "quarantined", "unreadable", "unreadable_allowed", "tolerated", "suite", "kind", "seconds")
        return cls(
            run_id=document["run_id"] or "",
            status=Status(document["status"]),
            columns=document["columns"],
            expectations=tuple(_read_expectation(e) for e in document["expectations"]),
            drift=TypeAdapter(DriftSection).validate_python(document["drift"]),
            windows=TypeAdapter(WindowsSection).validate_python(document.get("windows", {})),  # older ones are without
            edge_cases=TypeAdapter(EdgeCaseSection).validate_python(document["edge_cases"]),
            artifacts={name: Path(path) for name, path in document["artifacts"].items()},
            sources=tuple(Source(**s) for s in document["sources"]),
            started=document["started"] or "",
            notes=tuple(document["notes"]),
            version=document["shopmon_version"],
            error=Failure(error["type"], error["problem"], error["advice"]) if error else None,
            **{name: document[name] for name in same},
        )

    def json(self) -> str:
        """The document as text, indented."""
        return json.dumps(plain(self.document(), longest=None), ensure_ascii=False, allow_nan=False, indent=2)

    def __repr__(self) -> str:
        if self.error:
            return f"<CheckResult {self.run_id}: error, {self.error.problem}>"
        broken = f"{len(self.failures)} of {len(self.expectations)} rules broken"
        unexaminable = f", {len(self.unexaminable)} could not be examined" if self.unexaminable else ""
        return (
            f"<CheckResult {self.run_id}: {self.status}, {self.kind}, {self.rows:,} rows, "
            f"{self.quarantined:,} quarantined, {broken}{unexaminable}>"
        )

    def _repr_html_(self) -> str:
        """For a notebook: the verdict, then a table of every rule that needs a look. All text of data is escaped."""
        return _text(self._html(), None)

    def _html(self) -> str:
        head = f"<p><b>{_MARKS[self.status]} {self.status}</b> · run <code>{html.escape(self.run_id)}</code>"
        if self.error:
            return f"{head}</p><p>{html.escape(self.error.problem)}<br>{html.escape(self.error.advice)}</p>"
        head += (
            f" · {html.escape(str(self.kind))} · {self.rows:,} rows · {self.quarantined:,} in quarantine"
            f"{f', {self.unreadable:,} of them unreadable' if self.unreadable else ''} · {self.seconds:.1f} s</p>"
        )
        rows = "".join(_html_row(r) for r in (*self.failures, *self.unexaminable))
        titles = "".join(f"<th>{t}</th>" for t in ("rule", "severity", "rows", "of", "for example", "what was found"))
        table = f"<table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        rest = sum(r.outcome is Outcome.PASSED for r in self.expectations)
        idle = sum(r.outcome is Outcome.NOT_EXAMINED for r in self.expectations)
        return f"{head}{table}<p>{rest} rules passed, {idle} had nothing to examine. Drift: {self.drift.status}.</p>"


def _told(error: Exception) -> Exception:
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        told = ShopmonError(f"{place}{error.strerror}", advice="See to the disk, the permissions, or the network.")
    elif isinstance(error, MemoryError):
        told = ShopmonError("memory ran out", advice="Check fewer files at once, or give the machine more memory.")
    else:
        return error
    told.__cause__ = error
    return told


_MARKS = {Status.PASSED: "✓", Status.FAILED: "✗", Status.ERROR: "✗"}


def without_password(text: str) -> str:
    """Text in which no address shows its password.

    >>> without_password("postgresql://me:secret@host/db::reviews")
    'postgresql://me:***@host/db::reviews'
    """
    return _PASSWORD.sub(r"\1:***@", text)


def plain(value: Any, *, longest: int | None = LONGEST_VALUE) -> Any:
    """Any value of data as a value that strict JSON can hold.

    `longest` cuts text, in characters; None keeps it whole.

    >>> plain([float("nan"), b"caf\\xe9", date(2026, 11, 20), {1: Decimal("3.50")}])
    [None, 'caf\\\\xe9', '2026-11-20', {'1': 3.5}]
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, str):
        return _text(value, longest)
    if isinstance(value, bytes | bytearray | memoryview):
        return _text(bytes(value).decode("utf-8", "backslashreplace"), longest)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        number = math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)
        return number if math.isfinite(number) else None  # a decimal may be finite and still beyond any float
    return _compound(value, longest)


def _compound(value: Any, longest: int | None) -> Any:
    if isinstance(value, Mapping):
        return {_text(str(key), longest): plain(item, longest=longest) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, longest=longest) for item in value]
    if isinstance(value, date | time):  # pandas' NaT is a date without a year
        return value.isoformat() if value == value else None
    for convert in ("tolist", "item"):  # NumPy arrays and scalars, without importing NumPy
        if callable(getattr(value, convert, None)):
            return plain(getattr(value, convert)(), longest=longest)
    return _text(str(value), longest)


def _text(text: str, longest: int | None) -> str:
    cut = text if longest is None or len(text) <= longest else text[: longest - 1] + "…"
    whole = cut.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is no JSON
    return whole.replace("\0", "␀")  # PostgreSQL's JSON cannot hold the character itself


def _expectation(r: ExpectationResult) -> dict[str, Any]:
    example = None
    if r.example:
        file = plain(without_password(r.example.file))
        example = {"file": file, "row": r.example.row, "value": plain(r.example.value)}
    return {
        "id": r.id,
        "type": r.type,
        "column": r.column,
        "severity": r.severity.value,
        "outcome": r.outcome.value,
        "success": r.success,
        "examined": r.examined,
        "unexpected": r.unexpected,
        "mostly": r.mostly,
        "engine": r.engine.value,
        "reason": plain(r.reason),
        "observed": plain(r.observed),
        "example": example,
        "asked": plain(r.asked, longest=None),
    }


def _read_expectation(said: Mapping[str, Any]) -> ExpectationResult:
    same = ("id", "type", "column", "examined", "unexpected", "reason", "mostly", "observed")
    example = said["example"]
    return ExpectationResult(
        severity=Severity(said["severity"]),
        outcome=Outcome(said["outcome"]),
        engine=Engine(said["engine"]),
        example=Example(**example) if example else None,
        asked=said.get("asked", {}),  # documents recorded before rules said it are without
        **{name: said[name] for name in same},
    )


def _source(s: Source) -> dict[str, Any]:
    name = without_password(s.name)
    return {"name": name, "format": s.format, "rows": s.rows, "bytes": s.bytes, "sha256": s.sha256}


def _error(error: Failure | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "type": error.type,
        "message": plain(error.message),
        "problem": plain(error.problem),
        "advice": plain(error.advice),
    }


def _html_row(r: ExpectationResult) -> str:
    example = ""
    if r.example:
        value = "missing" if r.example.value is None else str(plain(r.example.value, longest=120))
        example = f"{without_password(r.example.file)} row {r.example.row:,}: {value}"
    cells = (r.id, r.severity.value, f"{r.unexpected:,}", f"{r.examined:,}", example, r.reason)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
