"""How far is a check, and how long will it take yet?

What DuckDB says of the statement it works on is the only measure there is within a step; how steps compare with one
another was measured once. The time left is therefore told late, in round numbers, and not at all where it is a guess.
On Spark neither measure holds: what is told there is how many of its tasks are done, of what it works on at the moment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from expectations.spark_tasks import Tasks, running

STEPS = (
    # how a step begins to be told, and its share of the time of a long check: from one of 200,000 reviews in parquet,
    # what grows with the rows taken 15 times
    ("looking for rows that repeat", 0.26),
    ("finding the rows that break a rule", 0.40),
    ("counting", 0.03),
    ("judging", 0.04),
    ("counting numbers", 0.08),
    ("counting categories", 0.02),
    ("counting words", 0.01),
    ("looking for rows to learn from", 0.16),
)
UNTIMED = (
    "looking for new files",
    "reading",
    "fetching",
    "loading",
    "putting rows into windows",
    "profiling the window",
    "comparing the window",
)
"""Steps that say nothing of the others: their time hangs on the format, the network, and the number of windows."""
_ON_SPARK = "starting Spark"
"""The step after which neither the shares of steps nor DuckDB's statements say how far a check is."""
_PATIENCE, _LEAST = 10.0, 0.1
"""Seconds, and share of the whole, from which on the time left can be told."""
_STILL = 0.25
"""Share of the time so far after which a measure that did not move says nothing any more."""
_SMOOTH, _LEAST_SMOOTH, _MOST_SMOOTH = 0.25, 2.0, 15.0
"""An estimate takes over two thirds of what is measured anew in a quarter of the time left, within these seconds."""


_OF_BATCH = re.compile(r"batch [0-9,]+ of [0-9,]+: ")
"""What stands before a step where several batches are checked."""


class CheckProgress:
    """A check on its way. Told what is being done; asked for the share that is done, and the seconds that are left."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, tasks: Callable[[], Tasks | None] = running
    ) -> None:
        self._clock, self._tasks = clock, tasks
        self._began = self._moved = self._estimated = clock()
        self._untimed: float | None = self._began
        self._step, self._within = 0, 0.0
        self._before, self._part, self._several = 0.0, 1.0, False
        self._told = 0.0
        self._left: float | None = None
        self._doing = ""
        self.on_spark = False
        """Whether a cluster works, of which nothing says what share is done."""

    @property
    def doing(self) -> str:
        """What is being done, in a few words; on Spark with how many tasks are done of what runs there just now."""
        tasks = self._tasks() if self.on_spark else None
        return f"{self._doing} (Spark: {tasks})" if tasks else self._doing

    def step(self, doing: str) -> None:
        """A step begins: what is told of it, in a few words."""
        self._doing = doing
        what = _OF_BATCH.sub("", doing)
        self.on_spark = self.on_spark or what.startswith(_ON_SPARK)
        if self.on_spark:
            return
        if what.startswith(UNTIMED):
            if not self._several and self._untimed is None:
                self._untimed = self._clock()
            return
        fitting = [number for number, (beginning, _) in enumerate(STEPS) if what.startswith(beginning)]
        if not fitting:
            return
        self._go_on()
        if fitting[-1] > self._step:  # "counting" fits "counting words" as well, and comes before it
            self._step, self._within = fitting[-1], 0.0
        self._look()

    def _go_on(self) -> None:
        """After an untimed step: what it took is left out of all that is measured."""
        if self._untimed is None:
            return
        passed = self._clock() - self._untimed
        self._began, self._moved, self._estimated = (at + passed for at in (self._began, self._moved, self._estimated))
        self._untimed = None

    def statement(self, share: float) -> None:
        """DuckDB has done this share of a statement; a step may have several, of which the first tells most."""
        if self._untimed is not None or self.on_spark:
            return
        self._within = max(self._within, min(max(share, 0.0), 1.0))
        self._look()

    def part(self, before: float, size: float) -> None:
        """A batch of several begins: the share of the whole that was done before it, and its own share.

        Each has its untimed steps, so that they count. A share of 0 says that nothing is known of what follows.
        """
        if not self._several:
            self._go_on()
        self._before, self._part, self._several = before, size, True
        self._step, self._within = 0, 0.0
        self._look()

    @property
    def done(self) -> float:
        """The share of the whole that is done, 0–1; it never falls."""
        return self._told

    @property
    def seconds_left(self) -> float | None:
        """About how long it will take yet; None as long as, or whenever, that cannot be known."""
        now = self._clock()
        so_far = now - self._began
        if self._left is None or self._untimed is not None or now - self._moved > max(_PATIENCE, _STILL * so_far):
            return None
        return max(self._left - (now - self._estimated), 0.0)

    def _look(self) -> None:
        steps = sum(share for _, share in STEPS[: self._step]) + STEPS[self._step][1] * self._within
        done = min(self._before + self._part * steps, 0.999)
        if self._part == 0:
            self._left = None
        if done <= self._told:
            return
        self._told, self._moved = done, self._clock()
        so_far = self._moved - self._began
        if so_far < _PATIENCE or done < _LEAST or self._part == 0:
            return
        measured = so_far * (1 - done) / done
        if self._left is None:
            self._left = measured
        else:
            passed = self._moved - self._estimated
            expected = max(self._left - passed, 0.0)
            weight = passed / (passed + min(max(_SMOOTH * expected, _LEAST_SMOOTH), _MOST_SMOOTH))
            self._left = expected + weight * (measured - expected)
        self._estimated = self._moved


def about(seconds: float) -> str:
    """A duration that is only known about, in round numbers.

    >>> [about(seconds) for seconds in (3, 42, 100, 400, 8_000)]
    ['a few s', '40 s', '2 min', '7 min', '2.2 h']
    """
    if seconds < 10:
        return "a few s"
    if seconds < 90:
        return f"{round(seconds / 10) * 10:.0f} s"
    if seconds < 5_400:
        return f"{round(seconds / 60):.0f} min"
    return f"{seconds / 3_600:.1f} h"
