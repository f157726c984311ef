"""How do rows become tokens a piece at a time, so that each piece is cut once and found again?

The pieces are Arrow files that `datasets` maps into memory: only what is looked at is there, and the system takes it
back when it needs the room. An order or a choice of rows is 8 bytes a row. So any row can be had at any time, as in a
stream it cannot: batches of like length, each rule's share of a step, and a training that goes on where it was killed
are what they are with rows that fit in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset, Features

PIECE = 100_000
"""Rows of a file: what a training that is killed while it cuts has to cut again, at most."""
_AT_ONCE = 1_000
"""Rows that are cut at once."""

Cutter = Callable[[Mapping[str, list[Any]]], dict[str, list[Any]]]
"""Columns of some rows → columns of the rows that they become."""
Progress = Callable[[int, int, float], None]
"""Is told the rows that are cut, all rows, and the seconds that are left."""


@dataclass(frozen=True)
class TokenFiles:
    """Where tokens are kept, and who is told of it."""

    cache: Path
    features: Features
    """The types of the columns, which no piece shows by itself."""
    progress: Progress = lambda done, of, left: None

    def cut(self, rows: Dataset, cutter: Cutter, name: Callable[[Dataset, int], str]) -> Dataset:
        """The rows as `cutter` cuts them; `name` says as what a piece (its rows, the first one's number) is kept."""
        from datasets import Dataset, concatenate_datasets

        if not len(rows):
            return Dataset.from_dict({one: [] for one in self.features}, features=self.features)
        pieces, watch = [], _Watch(len(rows), self.progress)
        for first in range(0, len(rows), PIECE):
            piece = rows.select(range(first, min(first + PIECE, len(rows))))
            pieces.append(self._piece(piece, watch.watched(cutter), name(piece, first)))
            watch.done = first + len(piece)
        return concatenate_datasets(pieces)

    def _piece(self, rows: Dataset, cutter: Cutter, name: str) -> Dataset:
        folder = self.cache / "tokens"
        folder.mkdir(parents=True, exist_ok=True)
        with quiet():
            return rows.map(
                cutter,
                batched=True,
                batch_size=_AT_ONCE,
                remove_columns=rows.column_names,
                features=self.features,  # else the first thousand rows decide, and one without a gap cannot be followed
                cache_file_name=str(folder / f"{name}.arrow"),
                new_fingerprint=name,
                load_from_cache_file=True,
            )


class _Watch:
    """Tells how far the cutting is; what was cut earlier says nothing of how long it takes."""

    def __init__(self, rows: int, progress: Progress) -> None:
        self.done = 0
        self._rows, self._progress = rows, progress
        self._cut, self._seconds = 0, 0.0

    def watched(self, cutter: Cutter) -> Cutter:
        def cut(rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
            began, count = time.monotonic(), len(next(iter(rows.values())))
            found = cutter(rows)
            self.done, self._cut = self.done + count, self._cut + count
            self._seconds += time.monotonic() - began
            self._progress(self.done, self._rows, self._seconds / self._cut * (self._rows - self.done))
            return found

        return cut


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's own bars: progress is told by the command line alone."""
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    logging.getLogger("datasets").setLevel(logging.ERROR)
    yield
