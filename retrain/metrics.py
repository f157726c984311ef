"""How does a training tell what it sees, while it runs? One JSON object a line, each on disk at once."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expectations.errors import ShopmonError
from monitor.run_folder import write_aside
from retrain.results import ClassificationMeasures, Measures

FILE_NAME = "metrics.jsonl"
_WITHOUT_STEP = ("begin", "end")
"""Events that are of no step."""


@dataclass(frozen=True)
class Metrics:
    """The file that a training appends to."""

    file: Path
    began: float = field(default_factory=time.perf_counter)

    def begin(self, **values: Any) -> None:
        """The first line: what is trained, and when it began."""
        self._write({"event": "begin", "at": datetime.now(UTC).isoformat(timespec="seconds"), **values})

    def train(self, step: int, **values: Any) -> None:
        """What some steps cost."""
        self._write({"event": "train", "step": step, **values})

    def evaluated(self, step: int, measures: Measures, **values: Any) -> None:
        """What a model is worth at a step."""
        self._write({"event": "eval", "step": step, **plain(measures), "seconds": self._seconds, **values})

    def end(self, **values: Any) -> None:
        """The last line."""
        self._write({"event": "end", "seconds": self._seconds, **values})

    def go_on_from(self, step: int) -> None:
        """Forget what was told after a step, and of the end: it will be told again."""
        kept = [line for line in _lines(self.file) if _step(line) <= step]
        with write_aside(self.file) as aside:
            aside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    @property
    def _seconds(self) -> float:
        return round(time.perf_counter() - self.began, 3)

    def _write(self, values: Mapping[str, Any]) -> None:
        try:
            with self.file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(_finite(values), ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise ShopmonError(
                f"{self.file} cannot be written: {error.strerror}",
                advice="Free some space, then go on: shopmon retrain --resume.",
            ) from error


def plain(measures: Measures) -> dict[str, Any]:
    """Measures as a line tells them: loss and perplexity by set of texts, masses by set of prompts; a classifier's."""
    if measures.classification is not None:
        return {"classification": figures(measures.classification)}
    return {
        "loss": {name.value: found.loss for name, found in measures.texts.items()},
        "perplexity": {name.value: found.perplexity for name, found in measures.texts.items()},
        "masses": {
            name.value: {"wanted": found.wanted, "unwanted": found.unwanted} for name, found in measures.masses.items()
        },
    }


def figures(found: ClassificationMeasures) -> dict[str, float]:
    """A classifier's figures, each one number under one name."""
    names = ("loss", "accuracy", "macro_f1", "calibration_error")
    ranked = {f"ndcg_{name}": one.ndcg for name, one in found.ranking.items()}
    return {**{name: getattr(found, name) for name in names}, **ranked}


def told(file: Path) -> tuple[Mapping[str, Any], ...]:
    """What a training told so far, a line each, the first one first; what is no whole line, or lacks its step, is
    left out.

    No file, nothing told. Raises ShopmonError where it cannot be read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / FILE_NAME
    ...     Metrics(file).train(1, loss=2.5)
    ...     _ = file.open("a").write('{"event": "tra')
    ...     told(file)
    ({'event': 'train', 'step': 1, 'loss': 2.5},)
    """
    try:
        lines = _lines(file)
    except OSError as error:
        raise ShopmonError(f"{file} cannot be read: {error.strerror}", advice="Let this user read it.") from error
    found = (_read(line) for line in lines)
    return tuple(line for line in found if line is not None)


def _read(line: str) -> Mapping[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or "event" not in said:
        return None
    return said if isinstance(said.get("step", 0 if said["event"] in _WITHOUT_STEP else None), int) else None


def _finite(value: Any) -> Any:
    """The value with null for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    return value


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").split("\n") if file.exists() else []


def _step(line: str) -> float:
    """The step of a line; the last one of a killed training may be half a line, which is left out."""
    try:
        told = json.loads(line)
    except ValueError:
        return math.inf
    return math.inf if told["event"] == "end" else float(told.get("step", 0))
