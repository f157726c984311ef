"""What does a validation say of each rule?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

MOST_LISTED = 50
"""How many members of a list that a rule was given are told; behind them stands `CUT`."""
CUT = "…"


class Severity(StrEnum):
    """Great Expectations' own three: only `critical` fails a check."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Outcome(StrEnum):
    """How one rule ended. Only `passed` is a pass."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The rule applies but could not be examined: its column is missing or has the wrong type."""
    NOT_EXAMINED = "not examined"
    """The rule is optional and this batch has nothing for it."""


class Engine(StrEnum):
    """Who counted. Great Expectations judges either way."""

    SCAN = "scan"
    GREAT_EXPECTATIONS = "great_expectations"
    SPARK = "spark"
    """The scan's own SQL, asked of pieces of the batch by the executors of a Spark cluster."""


@dataclass(frozen=True)
class Example:
    """One failing row: where it stands and what it says."""

    file: str
    row: int
    """Number of the record in its file; the first record is 1, a header is not counted."""
    value: Any


@dataclass(frozen=True)
class ExpectationResult:
    """One rule's answer, and what it rests on."""

    id: str
    type: str
    column: str | None
    severity: Severity
    outcome: Outcome
    examined: int
    """Rows the rule looked at: those that meet its row condition and hold a value."""
    unexpected: int
    """Rows among them that break the rule; 0 for a rule about the whole column or table."""
    engine: Engine
    reason: str
    """One sentence: what was found, or why nothing could be examined."""
    mostly: float = 1.0
    """Share of examined rows that must keep the rule (0–1)."""
    observed: Any = None
    """The measured value of a rule about a whole column or table."""
    example: Example | None = None
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the rule asked: its arguments as they were settled for this batch, `row_condition` among them, and under
    `learnt` what was learnt of the batch; all as JSON values. Of a list the first `MOST_LISTED` members, then `CUT`."""
    verdict: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Great Expectations' own result, as JSON."""

    @property
    def success(self) -> bool | None:
        """True or False once examined; None where nothing was."""
        return {Outcome.PASSED: True, Outcome.NOT_EXAMINED: None}.get(self.outcome, False)

    @property
    def broken(self) -> bool:
        """Whether a person should look: the rule failed, or could not be examined though it applies."""
        return self.outcome in (Outcome.FAILED, Outcome.ERROR)


@dataclass(frozen=True)
class Validation:
    """Is this data fit to use, and which rows are not?"""

    results: tuple[ExpectationResult, ...]
    rows: int
    """Records that arrived, unreadable ones included."""
    unreadable: int
    """Records that could not be read; they are in quarantine with their raw bytes."""
    quarantined: int
    """Rows in quarantine: unreadable, or breaking at least one rule, tolerated or not."""
    tolerated: int
    """Quarantined rows that only break rules whose `mostly` still holds."""
    unreadable_allowed: float
    """Share of unreadable records that does not yet fail the batch (0–1)."""
    quarantine: Path | None
    """The parquet file of quarantined rows; None when every row is good."""

    @property
    def good(self) -> int:
        """Rows that break no rule."""
        return self.rows - self.quarantined

    @property
    def too_many_unreadable(self) -> bool:
        """Whether unreadable records alone fail the batch."""
        return self.unreadable > self.unreadable_allowed * self.rows

    @property
    def examined(self) -> bool:
        """Whether any rule looked at anything."""
        return any(r.outcome in (Outcome.PASSED, Outcome.FAILED) for r in self.results)

    @property
    def passed(self) -> bool:
        """Passed: something was examined, no critical rule is broken, and nearly every record could be read."""
        critical = any(r.broken and r.severity is Severity.CRITICAL for r in self.results)
        return self.examined and not critical and not self.too_many_unreadable
