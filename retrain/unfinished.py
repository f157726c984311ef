"""Which trainings are not done, and does one go on right now?

Only their files are looked at: a lock that is tried, were it for a moment, could keep a training from beginning.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from retrain.metrics import FILE_NAME, told

PLAN = "plan.json"
_SILENCE = 60.0
"""Seconds without a word from which on a training is taken for stopped; loading and measuring are silent."""
_STEPS = 20
"""Times the usual time between two lines that it may be silent as well, where steps are slow."""


@dataclass(frozen=True)
class Unfinished:
    """A training that was begun and is in no registry yet."""

    model_id: str
    task: str
    folder: Path
    step: int
    """The last one that was told of; 0 before the first."""
    steps: int
    """0 where it has not been told yet."""
    silent: float
    """Seconds since it last told something."""
    usual: float
    """Seconds between two steps, the median; 0.0 before the second."""

    @property
    def goes_on(self) -> bool:
        """Whether it told something lately; else it was stopped, and `shopmon retrain --resume` goes on with it."""
        return self.silent <= max(_SILENCE, _STEPS * self.usual)

    @property
    def metrics(self) -> Path:
        """The file that it tells its numbers in."""
        return self.folder / FILE_NAME


def unfinished(root: Path, *, now: float | None = None) -> tuple[Unfinished, ...]:
    """The trainings under `root`, a folder for each task and in it one for each training; the newest first.

    `now` is in seconds since 1970, by default the clock's. No folder, no training; a folder without a readable plan is
    no training, either.

    >>> unfinished(Path("/nowhere"))
    ()
    """
    moment = time.time() if now is None else now
    plans = sorted(root.glob(f"*/*/{PLAN}"), key=lambda plan: plan.parent.name, reverse=True)
    return tuple(_looked_at(plan.parent, moment) for plan in plans if _is_plan(plan))


def _is_plan(file: Path) -> bool:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and "model_id" in said


def _looked_at(folder: Path, now: float) -> Unfinished:
    lines = told(folder / FILE_NAME)
    steps = [line for line in lines if line["event"] == "train"]
    seconds = [float(line.get("seconds") or 0) for line in steps]
    each = [later - earlier for earlier, later in pairwise(seconds) if later > earlier]
    files = (folder / FILE_NAME, folder / PLAN)
    last = max(file.stat().st_mtime for file in files if file.exists())
    return Unfinished(
        model_id=folder.name,
        task=folder.parent.name,
        folder=folder,
        step=int(steps[-1]["step"]) if steps else 0,
        steps=next((int(line.get("steps") or 0) for line in lines if line["event"] == "begin"), 0),
        silent=max(now - last, 0.0),
        usual=median(each) if each else 0.0,
    )
