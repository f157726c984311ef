"""Which labels do rows get from a model that was not trained on them, and what do these come to?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.results import ExampleRow

if TYPE_CHECKING:
    from retrain.zero_shot import ZeroShot

_SHOWN = 1_000
"""Characters of an example's text that are kept."""


@dataclass(frozen=True)
class LabelFound:
    """What became of one label."""

    label: str
    rows: int
    """Rows that it fits; of several labels for a row, each counts."""
    share: float
    """The same as a share (0–1) of the rows that have a text."""
    score: float | None
    """Mean score (0–1) in those rows; None where there are none."""
    example: ExampleRow | None
    """The row that it fits best."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a batch, one after the other."""

    files: Sequence[str]
    numbers: Sequence[int]
    """Of each row in its file; the first is 1."""
    texts: Sequence[str | None]


def rows_schema(labels: Sequence[str], *, multi: bool) -> pa.Schema:
    """The columns of labelled rows: `score_LABEL` of each label, and with `multi` the list of those that fit.

    >>> rows_schema(["size", "fit"], multi=False).names
    ['file', 'row', 'text', 'label', 'score', 'score_size', 'score_fit']
    """
    several = [("labels", pa.list_(pa.string()))] if multi else []
    named = [(f"score_{label}", pa.float64()) for label in labels]
    first = [("file", pa.string()), ("row", pa.int64()), ("text", pa.string()), ("label", pa.string())]
    return pa.schema([*first, *several, ("score", pa.float64()), *named])


class RowLabels:
    """Labels rows, part by part, and counts what they come to."""

    def __init__(self, model: ZeroShot, threshold: float | None) -> None:
        """`threshold` is the score from which on one of several labels fits; without it, the best one does."""
        self._model, self._threshold = model, threshold
        self._labels = model.question.labels
        self.schema = rows_schema(self._labels, multi=model.question.multi)
        self.rows = self.blank = self.unfitting = self.cut = 0
        """Rows so far; those without a text, those that no label fits, those whose text is cut."""
        self._counts = np.zeros(len(self._labels), np.int64)
        self._sums = np.zeros(len(self._labels))
        self._examples: list[tuple[float, ExampleRow] | None] = [None] * len(self._labels)

    def label(self, some: Rows, *, progress: Callable[[int, int], None] = lambda done, of: None) -> pa.RecordBatch:
        """The rows with their labels, as `schema` has them; each different text is asked about once.

        A blank text has null labels and scores.
        """
        scores, cut = self._scores(some.texts, progress)
        fitting = self._fitting(scores)
        self._count(some, scores, fitting, cut)
        return self._batch(some, scores, fitting)

    @property
    def width(self) -> int:
        """How many labels are asked about."""
        return len(self._labels)

    @property
    def found(self) -> tuple[LabelFound, ...]:
        """What became of each label so far."""
        asked = max(self.rows - self.blank, 1)
        each = zip(self._labels, self._counts.tolist(), self._sums.tolist(), self._examples, strict=True)
        return tuple(
            LabelFound(label, count, count / asked, total / count if count else None, best[1] if best else None)
            for label, count, total, best in each
        )

    def _scores(
        self, texts: Sequence[str | None], progress: Callable[[int, int], None]
    ) -> tuple[NDArray[np.float64], int]:
        """(texts, labels) scores, NaN where there is no text; and how many of the texts are cut."""
        at: dict[str, int] = {}
        places = [
            at.setdefault(text[: self._model.longest_text], len(at)) if text and text.strip() else -1 for text in texts
        ]
        different = list(at)
        found = np.full((len(different) + 1, len(self._labels)), np.nan)  # the last row is that of blank texts: -1
        found[:-1] = self._model(different, progress=progress)
        too_long = np.array([*self._model.too_long(different), False])
        return found[places], int(too_long[places].sum())

    def _fitting(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(rows, labels) whether the label fits the row."""
        if self._threshold is not None:
            return np.greater_equal(scores, self._threshold)  # never where it is NaN
        known = ~np.isnan(scores[:, :1])
        best = np.where(known, scores, 0).argmax(1)
        fitting: NDArray[np.bool_] = known & (np.arange(self.width) == best[:, None])
        return fitting

    def _count(self, some: Rows, scores: NDArray[np.float64], fitting: NDArray[np.bool_], cut: int) -> None:
        blank = int(np.isnan(scores[:, 0]).sum())
        self.rows += len(scores)
        self.blank += blank
        self.unfitting += len(scores) - blank - int(fitting.any(1).sum())
        self.cut += cut
        there = np.where(fitting, scores, 0)
        self._counts += fitting.sum(0)
        self._sums += there.sum(0)
        for number, row in enumerate(there.argmax(0).tolist() if len(scores) else ()):
            best, score = self._examples[number], float(there[row, number])
            if fitting[row, number] and (best is None or score > best[0]):
                text = (some.texts[row] or "")[:_SHOWN]
                self._examples[number] = score, ExampleRow(some.files[row], some.numbers[row], text)

    def _batch(self, some: Rows, scores: NDArray[np.float64], fitting: NDArray[np.bool_]) -> pa.RecordBatch:
        best = np.where(fitting, scores, -1).argmax(1)
        fits: NDArray[np.bool_] = np.any(fitting, axis=1)
        columns = {
            "file": some.files,
            "row": some.numbers,
            "text": some.texts,
            "label": [self._labels[at] if fits[row] else None for row, at in enumerate(best.tolist())],
            "labels": [self._best_first(scores[at], fitting[at]) for at in range(len(scores))],
            "score": _or_null(np.where(fits, scores[np.arange(len(scores)), best], np.nan)),
            **{f"score_{label}": _or_null(scores[:, at]) for at, label in enumerate(self._labels)},
        }
        return pa.RecordBatch.from_pydict({name: columns[name] for name in self.schema.names}, schema=self.schema)

    def _best_first(self, scores: NDArray[np.float64], fitting: NDArray[np.bool_]) -> list[str] | None:
        """The labels that fit a row; None where there is no text to fit."""
        if np.isnan(scores[0]):
            return None
        order = np.argsort(-scores, kind="stable")
        return [self._labels[at] for at in order.tolist() if fitting[at]]


def _or_null(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)
