"""Results as a check gives them, with the worst that data can say."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from expectations.batch import Source
from expectations.errors import BatchError
from expectations.results import Engine, Example, ExpectationResult, Outcome, Severity
from shopmon.outcome import CheckResult, Failure, Status

RUN_ID = "20261120-195801-a3f9c1"
FOLDER = Path("/shop/.shopmon/runs") / RUN_ID


def rule(
    name: str,
    *,
    outcome: Outcome = Outcome.PASSED,
    severity: Severity = Severity.CRITICAL,
    unexpected: int = 0,
    value: Any = None,
    row: int = 92,
    reason: str = "",
) -> ExpectationResult:
    """One rule's answer over 23,486 rows."""
    return ExpectationResult(
        id=name,
        type="expect_column_values_to_not_be_null",
        column="text",
        severity=severity,
        outcome=outcome,
        examined=23_486 if outcome in (Outcome.PASSED, Outcome.FAILED) else 0,
        unexpected=unexpected,
        engine=Engine.SCAN,
        reason=reason or f"{unexpected:,} of 23,486 rows break the rule",
        example=Example("data/new.parquet", row, value) if unexpected else None,
    )


def failing(**changes: Any) -> CheckResult:
    """A batch with much that is wrong."""
    said = {
        "run_id": RUN_ID,
        "status": Status.FAILED,
        "kind": "reviews",
        "columns": {"text": "Review Text", "stars": "Rating", "title": "title", "date": "date", "brand": "brand"},
        "rows": 23_486,
        "quarantined": 1_038,
        "unreadable": 3,
        "unreadable_allowed": 0.01,
        "tolerated": 12,
        "expectations": (
            rule("title-no-markup", outcome=Outcome.FAILED, severity=Severity.INFO, unexpected=2, row=4117,
                 value="[bold red]<b>Nice\x1b[31m</b>\nnext line\ttab [/nothing]"),
            rule("stars-match-recommendation", outcome=Outcome.FAILED, severity=Severity.WARNING, unexpected=303,
                 row=118, value={"stars": 5, "recommended": False}),
            rule("text-not-near-duplicate", outcome=Outcome.FAILED, severity=Severity.WARNING, unexpected=1204,
                 row=20_118, value="Très belle veste, " * 30),
            rule("text-present", outcome=Outcome.FAILED, unexpected=845),
            rule("stars-mean-plausible", outcome=Outcome.FAILED, severity=Severity.WARNING,
                 reason="the mean of stars is 1.2, expected between 3 and 5"),
            rule("price-above-zero", outcome=Outcome.ERROR, severity=Severity.WARNING,
                 reason="column 'price' holds text such as 'EUR 12', expected a number; map another column or correct"
                        " it"),
            *(rule(f"rule-{n}") for n in range(9)),
            rule("currency-known", outcome=Outcome.NOT_EXAMINED, reason="there is no column currency"),
            rule("locale-known", outcome=Outcome.NOT_EXAMINED, reason="there is no column locale"),
        ),
        "artifacts": {
            "result": FOLDER / "result.json",
            "quarantine": FOLDER / "quarantine.parquet",
        },
        "sources": (Source("data/new.parquet", "parquet", 23_486, 3_000_000, "ab" * 32),),
        "suite": "reviews",
        "seconds": 4.12,
        "started": datetime(2026, 11, 20, 19, 58, 1, tzinfo=UTC).isoformat(),
        "notes": ("dates were read as day first, because 31/12/2025 is among them",),
        "version": "0.1.0",
    }  # fmt: skip
    return CheckResult(**{**said, **changes})


def passing() -> CheckResult:
    """A batch with nothing wrong."""
    expectations = tuple(rule(f"rule-{n}") for n in range(18))
    return failing(
        status=Status.PASSED, expectations=expectations, quarantined=0, tolerated=0, unreadable=0, notes=(),
        artifacts={"result": FOLDER / "result.json"},
    )  # fmt: skip


def errored() -> CheckResult:
    """A check that could not run."""
    error = BatchError("nowhere.parquet does not exist", advice="Check the path.")
    return CheckResult(RUN_ID, Status.ERROR, seconds=0.2, version="0.1.0", error=Failure.of(error))


AWKWARD_VALUES = [
    None, True, 3, 2**70, 1.5, float("nan"), float("inf"), -float("inf"), Decimal("3.50"), Decimal("NaN"),
    "plain", "half \ud800 pair", "nul \x00", b"caf\xe9", date(2026, 11, 20), datetime(2026, 11, 20, tzinfo=UTC),
    {"a": [1, {2: b"x"}]}, ("t", {"s"}), object, "x" * 5000, "[red]", "\x1b[2J", "\u202egnitnaw",
]  # fmt: skip
