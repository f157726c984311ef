"""How many of its tasks has Spark done, of what it works on now?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import StatusTracker
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.shell.progress import StageInfo


@dataclass(frozen=True)
class Tasks:
    """Those of the stages that run."""

    done: int
    of: int

    def __str__(self) -> str:
        """As a person reads it.

        >>> str(Tasks(0, 1)), str(Tasks(3, 1_200))
        ('0 of 1 task', '3 of 1,200 tasks')
        """
        return f"{self.done:,} of {self.of:,} task{'' if self.of == 1 else 's'}"


@dataclass
class _Jobs:
    """Where the jobs of this process are heard of; Spark itself has one context for all of it."""

    tracker: StatusTracker | None = None
    """Whom to ask."""
    operations: dict[str | None, Tasks] = field(default_factory=dict)
    """What Spark Connect told last of each that runs."""


_JOBS = _Jobs()


def follow(spark: SparkSession) -> None:
    """From now on `running` tells of the jobs of this session as well; to say so again changes nothing."""
    if hasattr(spark, "sparkContext"):
        _JOBS.tracker = spark.sparkContext.statusTracker()
    else:  # Spark Connect tells by itself, every two seconds
        spark.registerProgressHandler(_heard)


def running() -> Tasks | None:
    """How far the stages are that run now, of all jobs together; None where none does, or Spark cannot be asked.

    A job that hashes files beside another is among them. Whatever thread asks is answered within milliseconds.
    """
    known = [*_asked(), *tuple(_JOBS.operations.values())]
    whole = Tasks(sum(one.done for one in known), sum(one.of for one in known))
    return whole if whole.of else None


def _asked() -> list[Tasks]:
    if _JOBS.tracker is None:
        return []
    try:
        stages = [_JOBS.tracker.getStageInfo(stage) for stage in _JOBS.tracker.getActiveStageIds()]
    except Exception:  # py4j's, which have no class in common: Spark has ended, or the connection has
        return []
    return [Tasks(stage.numCompletedTasks, stage.numTasks) for stage in stages if stage is not None]


def _heard(stages: Iterable[StageInfo] | None, inflight_tasks: int, operation_id: str | None, done: bool) -> None:
    """What Spark Connect tells of an operation."""
    if done:
        _JOBS.operations.pop(operation_id, None)
        return
    left = sorted((stage for stage in stages or () if not stage.done), key=lambda stage: stage.stage_id)
    # Stages whose answers an earlier job has left are told among them, and never begin.
    begun = [stage for stage in left if stage.num_completed_tasks] or left[-1:]
    _JOBS.operations[operation_id] = Tasks(
        sum(stage.num_completed_tasks for stage in begun), sum(stage.num_tasks for stage in begun)
    )
