"""How did a training end: for a person, a notebook, a machine?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shopmon.outcome import Failure, Status, plain

if TYPE_CHECKING:
    from retrain.results import TrainingResult

SCHEMA_VERSION = 1
"""Of the document of a training that could not run; docs/training.schema.json describes it and the other."""


@dataclass(frozen=True)
class TrainingRun:
    """A training that was measured and judged, or one that could not run."""

    run_id: str
    """The model's id. Of a training that could not run an id of its own: it may still go on, and end well."""
    task: str
    ended: TrainingResult | Failure
    started: str = ""
    """ISO 8601, UTC."""
    seconds: float = 0.0
    version: str = ""
    """Of shopmon."""

    @property
    def status(self) -> Status:
        """Passed: the gate said yes, or a person did. Failed: the gate said no."""
        if isinstance(self.ended, Failure):
            return Status.ERROR
        return Status.PASSED if self.ended.promoted or self.ended.gate.passed else Status.FAILED

    def document(self) -> dict[str, Any]:
        """What `--json` prints and the run store keeps, described by docs/training.schema.json.

        Of a training that was judged it is what `training.json` in the model's folder holds.

        >>> from expectations.errors import ShopmonError
        >>> error = Failure.of(ShopmonError("there is no base", advice="Name one."))
        >>> TrainingRun("20261120-195801-a3f9c1", "mlm", error).document()["status"]
        'error'
        """
        if not isinstance(self.ended, Failure):
            from retrain.records import document

            return dict(plain(document(self.ended), longest=None))
        return {
            "schema_version": SCHEMA_VERSION,
            "shopmon_version": self.version,
            "run_id": self.run_id or None,
            "task": self.task or None,
            "status": self.status.value,
            "started": self.started or None,
            "seconds": round(self.seconds, 3),
            "error": _told(self.ended),
        }

    def json(self) -> str:
        """The document as text, indented."""
        return json.dumps(self.document(), ensure_ascii=False, allow_nan=False, indent=2)


def is_training(document: Mapping[str, Any]) -> bool:
    """Whether a recorded document is that of a training which was judged."""
    return "model_id" in document and "gate" in document


def failure_in(document: Mapping[str, Any]) -> Failure | None:
    """Why a recorded training could not run; None for any other document."""
    error = document.get("error")
    if "task" not in document or not isinstance(error, Mapping):
        return None
    return Failure(str(error["type"]), str(error["problem"]), str(error["advice"]))


def _told(error: Failure) -> dict[str, Any]:
    said = {"type": error.type, "message": error.message, "problem": error.problem, "advice": error.advice}
    return {name: plain(text, longest=None) for name, text in said.items()}
