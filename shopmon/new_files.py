"""What does a check of new files give: to a person, to a notebook, to a machine?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from monitor.results import DriftStatus, WindowsSection
from shopmon.outcome import CheckResult, Failure, Status, plain

SCHEMA_VERSION = 1
"""Grows when a reader of the document would have to change; docs/new-files.schema.json describes this one."""


class NewStatus(StrEnum):
    """How a check of new files ended: as its worst batch did."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """A batch could not be checked, or none could."""
    NOTHING_NEW = "nothing new"
    """Every file is as it was when it was checked."""

    @classmethod
    def of(cls, statuses: Sequence[Status]) -> NewStatus:
        """The worst of several.

        >>> NewStatus.of([Status.PASSED, Status.FAILED]).value, NewStatus.of([]).value
        ('failed', 'nothing new')
        """
        worst = next((one for one in (Status.ERROR, Status.FAILED, Status.PASSED) if one in statuses), None)
        return cls.NOTHING_NEW if worst is None else cls(worst.value)


@dataclass(frozen=True)
class Unit:
    """Some files that were checked together, as one run."""

    files: tuple[str, ...]
    kind: str | None
    """None where it could not be told."""
    run_id: str | None
    """The recorded run; None where none was begun."""
    status: Status
    rows: int
    quarantined: int
    drift: DriftStatus
    drifted: tuple[str, ...]
    """Columns that differ from the reference."""
    selected: int
    """Edge cases."""
    seconds: float
    error: Failure | None = None
    earlier: bool = False
    """Whether an earlier process checked them that was ended before it could tell."""

    @classmethod
    def of(cls, result: CheckResult, files: Sequence[str], *, earlier: bool = False) -> Unit:
        """The answer of one check in short."""
        return cls(
            files=tuple(files),
            kind=result.kind,
            run_id=result.run_id or None,
            status=result.status,
            rows=result.rows,
            quarantined=result.quarantined,
            drift=result.drift.status,
            drifted=tuple(dict.fromkeys(column.column for column in result.drift.drifted)),
            selected=result.edge_cases.selected,
            seconds=result.seconds,
            error=result.error,
            earlier=earlier,
        )


@dataclass(frozen=True)
class NewFiles:
    """Which files were new, what was said of them, and what the windows of time show that they reach."""

    status: NewStatus
    new: int = 0
    """Files that were never checked."""
    changed: int = 0
    """Files of another content than was checked, and those that were to be checked anew."""
    same: int = 0
    """Files that are as they were: not read."""
    moved: tuple[tuple[str, str], ...] = ()
    """(before, now) of files that stand elsewhere with the same bytes: not checked again."""
    gone: tuple[str, ...] = ()
    """Files that are missing for the first time."""
    units: tuple[Unit, ...] = ()
    windows: Mapping[str, WindowsSection] = field(default_factory=dict)
    """Kind → the windows whose rows are other ones than were compared before."""
    notes: tuple[str, ...] = ()
    started: str = ""
    """When it began: ISO 8601, UTC."""
    seconds: float = 0.0
    version: str = ""
    """Of shopmon."""
    error: Failure | None = None
    """Why nothing could be checked."""

    @property
    def passed(self) -> bool:
        """Whether every batch that was checked is fit to use."""
        return self.status in (NewStatus.PASSED, NewStatus.NOTHING_NEW)

    @property
    def rows(self) -> int:
        """Records that were checked now."""
        return sum(unit.rows for unit in self.units)

    @property
    def quarantined(self) -> int:
        """Rows among them that are in quarantine."""
        return sum(unit.quarantined for unit in self.units)

    def document(self) -> dict[str, Any]:
        """This answer as strictly valid JSON values, described by docs/new-files.schema.json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "shopmon_version": self.version,
            "status": self.status.value,
            "files": {
                "new": self.new,
                "changed": self.changed,
                "same": self.same,
                "moved": [{"before": before, "now": now} for before, now in self.moved],
                "gone": list(self.gone),
            },
            "rows": self.rows,
            "quarantined": self.quarantined,
            "units": [_unit(unit) for unit in self.units],
            "windows": {kind: plain(asdict(section)) for kind, section in self.windows.items()},
            "notes": [plain(note) for note in self.notes],
            "started": self.started or None,
            "seconds": round(self.seconds, 3),
            "error": _error(self.error),
        }

    def json(self) -> str:
        """The document as text, indented."""
        return json.dumps(plain(self.document(), longest=None), ensure_ascii=False, allow_nan=False, indent=2)


def _unit(unit: Unit) -> dict[str, Any]:
    told = {name: value for name, value in vars(unit).items() if name not in ("error", "seconds")}
    return {**plain(told), "seconds": round(unit.seconds, 3), "error": _error(unit.error)}


def _error(error: Failure | None) -> dict[str, Any] | None:
    if error is None:
        return None
    told = {"type": error.type, "message": error.message, "problem": error.problem, "advice": error.advice}
    return {name: plain(value) for name, value in told.items()}
