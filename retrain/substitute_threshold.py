"""From which probability on does a product count as a substitute?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retrain.classification_measures import Floats, Ints, Predicted
from retrain.results import SubstituteThreshold, ThresholdMeasure

SUBSTITUTE = "S"
"""The class of substitutes in the Shopping Queries Dataset."""
LEAST = 10
"""Rows that must lie above a threshold before its precision is believed: three of three right is chance."""


def substitute_threshold(
    said: Predicted, *, label: str = SUBSTITUTE, precision: float | None = None, least: int = LEAST
) -> SubstituteThreshold | None:
    """Choose from which probability of the class `label` on a row is taken for it, on rows that nothing learnt from.

    With `precision` (0–1) it is the threshold that finds most rows of the class while that share of what it takes is
    right, `least` rows or more; without it, or where none is so good, the one with the best F1, and `reached` says
    which. It lies halfway to the next row below. None where there is no such class, or no row of it.

    >>> said = Predicted(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]), np.array([0, 1, 0, 1]), ("E", "S"))
    >>> found = substitute_threshold(said)
    >>> round(found.value, 3), found.chosen_on.f1, found.reached
    (0.45, 1.0, True)
    """
    if precision is not None and not 0 < precision <= 1:
        raise ValueError(f"precision is a share above 0 and up to 1, got {precision!r}")
    if label not in said.classes or not (said.labels == said.classes.index(label)).any():
        return None
    scores, right = _of_class(said, label)
    order = np.argsort(-scores, kind="stable")
    falling, hits = scores[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.append(np.diff(falling) < 0, True))  # rows of one probability stay together
    best, reached = _best(ends + 1, hits[ends], int(right.sum()), precision, least)
    above, below = float(falling[ends[best]]), falling[ends[best] + 1 :]
    value = _between(above, float(below[0])) if len(below) else above
    return SubstituteThreshold(label, value, precision, reached, _measure(scores, right, value))


def _best(taken: Ints, hits: Ints, of_class: int, precision: float | None, least: int) -> tuple[int, bool]:
    """Which of the cuts that take so many rows, and as many right ones, is best; whether it is what was asked for."""
    if precision is not None:
        fitting = np.flatnonzero((hits / taken >= precision) & (taken >= least))
        if len(fitting):
            return int(fitting[np.argmax(hits[fitting])]), True
    return int(np.argmax(2 * hits / (taken + of_class))), precision is None


def measured_at(threshold: SubstituteThreshold, said: Predicted) -> SubstituteThreshold:
    """The same threshold with what it does on held-out rows, which had no part in its choice.

    Raises ValueError for rows without its class.

    >>> said = Predicted(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]), ("E", "S"))
    >>> measured_at(substitute_threshold(said), said).held_out.precision
    1.0
    """
    if threshold.label not in said.classes:
        raise ValueError(f"the threshold is of class {threshold.label!r}, and the rows tell {list(said.classes)} apart")
    return replace(threshold, held_out=_measure(*_of_class(said, threshold.label), threshold.value))


def _of_class(said: Predicted, label: str) -> tuple[Floats, Ints]:
    """(rows,) the probability of a class, and whether a row is of it (1 or 0)."""
    at = said.classes.index(label)
    return said.probabilities[:, at], (said.labels == at).astype(np.int64)


def _between(above: float, below: float) -> float:
    """Halfway between two rows, so that rounding moves neither to the other side."""
    middle = (above + below) / 2
    return middle if middle > below else above


def _measure(scores: Floats, right: Ints, value: float) -> ThresholdMeasure:
    taken = scores >= value
    hits, predicted, rows = int(right[taken].sum()), int(taken.sum()), int(right.sum())
    return ThresholdMeasure(
        rows=len(right),
        of_class=rows,
        taken=predicted,
        precision=hits / predicted if predicted else 0.0,
        recall=hits / rows if rows else 0.0,
        f1=2 * hits / (predicted + rows) if predicted + rows else 0.0,
    )
