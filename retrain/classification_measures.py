"""How good is a classifier?

From probabilities and labels alone, so that a network, a logistic regression and a champion of last year are measured
by the same code on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.results import ClassificationMeasures, ClassMeasure, RankingMeasure

BINS = 15
"""Of confidence, as in Guo et al.'s tables."""
ESCI = ("E", "S", "C", "I")
"""Exact, substitute, complement, irrelevant: the classes of the Shopping Queries Dataset, from best to worst."""
ESCI_GAINS: Mapping[str, float] = MappingProxyType({"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0})
"""Of the paper and the competition (Reddy et al., Shopping Queries Dataset, 2022)."""
OFFICIAL_SCRIPT_GAINS: Mapping[str, float] = MappingProxyType({"E": 1.0, "S": 0.01, "C": 0.1, "I": 0.0})
"""What the data set's own evaluation script comes to: it numbers E 4, S 2, C 3, I 1, and gives 2 the gain 0.01 and 3
the gain 0.1, so substitute and complement are swapped. Only for comparison with figures that were made with it."""
GAINS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"esci": ESCI_GAINS, "esci_official_script": OFFICIAL_SCRIPT_GAINS}
)
_LEAST = 1e-12
"""Probability below which a logarithm is not taken."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Predicted:
    """What a model says of rows whose classes are known."""

    probabilities: Floats
    """(rows, classes) each row adds up to 1."""
    labels: Ints
    """(rows,) number of the class."""
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.probabilities.shape != (len(self.labels), len(self.classes)):
            raise ValueError(
                f"probabilities have the shape {self.probabilities.shape}, and {len(self.labels)} rows of "
                f"{len(self.classes)} classes have ({len(self.labels)}, {len(self.classes)})"
            )
        if not len(self.labels):
            raise ValueError("there is no row, so nothing can be measured")
        if not np.isfinite(self.probabilities).all():
            raise ValueError("a probability is no finite number")


def classification_measures(
    said: Predicted,
    *,
    queries: Sequence[str] | None = None,
    gains: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> ClassificationMeasures:
    """Measure a classifier; with `queries` (one a row) and `gains`, also the order that it gives each query's rows.

    `gains` are name → class → gain. Raises ValueError for a class without a gain.

    >>> said = Predicted(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]), ("E", "I"))
    >>> found = classification_measures(said, queries=["lamp"] * 3, gains={"esci": {"E": 1.0, "I": 0.0}})
    >>> round(found.accuracy, 3), round(found.macro_f1, 3), found.confusion, found.ranking["esci"].ndcg
    (0.667, 0.667, ((1, 0), (1, 1)), 1.0)
    """
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    numbers = np.arange(len(said.classes))
    guessed = said.probabilities.argmax(1)
    pair = (said.labels, guessed)
    precision, recall, f1, rows = precision_recall_fscore_support(*pair, labels=numbers, zero_division=0.0)
    there = np.union1d(*pair)
    classes = tuple(
        ClassMeasure(
            label,
            rows=int(rows[at]),
            predicted=int((guessed == at).sum()),
            precision=float(precision[at]),
            recall=float(recall[at]),
            f1=float(f1[at]),
        )
        for at, label in enumerate(said.classes)
    )
    ranking = {} if queries is None else {name: _ranking(said, queries, worth) for name, worth in gains.items()}
    return ClassificationMeasures(
        loss=cross_entropy(said),
        accuracy=float((guessed == said.labels).mean()),
        micro_f1=float(f1_score(*pair, labels=numbers, average="micro", zero_division=0.0)),
        macro_f1=float(f1_score(*pair, labels=there, average="macro", zero_division=0.0)),
        calibration_error=calibration_error(said),
        rows=len(said.labels),
        classes=classes,
        confusion=_whole_numbers(confusion_matrix(*pair, labels=numbers)),
        ranking=ranking,
    )


def _whole_numbers(counts: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(count) for count in row) for row in counts)


def cross_entropy(said: Predicted) -> float:
    """Mean of -log P(class) over the rows, in nats.

    >>> round(cross_entropy(Predicted(np.array([[0.5, 0.5]]), np.array([0]), ("a", "b"))), 4)
    0.6931
    """
    right = said.probabilities[np.arange(len(said.labels)), said.labels]
    return float(-np.log(np.maximum(right, _LEAST)).mean())


def calibration_error(said: Predicted, bins: int = BINS) -> float:
    """How far confidence (the largest probability) and accuracy lie apart (0–1), on average over bins of equal width.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017; Naeini et al., AAAI 2015.

    >>> calibration_error(Predicted(np.array([[0.8, 0.2]] * 5), np.array([0, 0, 0, 0, 1]), ("a", "b")))
    0.0
    """
    confidence, right = said.probabilities.max(1), said.probabilities.argmax(1) == said.labels
    # Bins are open below and closed above, as in the paper.
    at = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    apart = np.bincount(at, weights=right - confidence, minlength=bins)
    return round(float(np.abs(apart).sum() / len(right)), 12)


# --- the order --------------------------------------------------------------------------------------------------------


def expected_gain(probabilities: Floats, classes: Sequence[str], gains: Mapping[str, float]) -> Floats:
    """(rows,) what showing each row is worth on average: the sum over the classes of probability and gain.

    Raises ValueError for a class without a gain.

    >>> expected_gain(np.array([[0.5, 0.5, 0.0, 0.0]]), ESCI, ESCI_GAINS).tolist()
    [0.55]
    """
    if missing := [label for label in classes if label not in gains]:
        raise ValueError(f"class {missing[0]!r} has no gain; there are {', '.join(gains)}")
    return np.asarray(probabilities @ np.array([gains[label] for label in classes]), np.float64)


def _ranking(said: Predicted, queries: Sequence[str], gains: Mapping[str, float]) -> RankingMeasure:
    scores = expected_gain(said.probabilities, said.classes, gains)
    true = np.array([gains[label] for label in said.classes])[said.labels]
    return ranking(scores, true, queries, gains)


def ranking(scores: Floats, true: Floats, queries: Sequence[str], gains: Mapping[str, float]) -> RankingMeasure:
    """nDCG of rows that are ordered by `scores` within their query; both are (rows,), `true` the gain of each row.

    The gain itself is discounted by log2(1 + rank), as trec_eval and so the Shopping Queries Dataset have it; of rows
    with the same score each order counts alike, so that the file's order is no help (McSherry and Najork, ECIR 2008).
    Queries without a gain have no nDCG and are left out. Without any query it is 0, of 0 queries.

    Source: Järvelin and Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques, 2002.

    >>> ranking(np.array([0.9, 0.1]), np.array([0.0, 1.0]), ["lamp", "lamp"], {"E": 1.0}).ndcg.__round__(3)
    0.631
    """
    _, of_row = np.unique(np.asarray(queries, dtype=object), return_inverse=True)
    order = np.argsort(of_row, kind="stable")
    ends = np.flatnonzero(np.diff(of_row[order])) + 1
    values, decided = [], 0
    for rows in np.split(order, ends) if len(order) else []:
        ideal = _ideal(true[rows])
        if ideal > 0:
            values.append(_discounted(scores[rows], true[rows]) / ideal)
            decided += bool(np.ptp(true[rows]) > 0)
    return RankingMeasure(float(np.mean(values)) if values else 0.0, len(values), decided, dict(gains))


def _discounts(count: int) -> Floats:
    return np.asarray(1 / np.log2(np.arange(count) + 2), np.float64)


def _ideal(true: Floats) -> float:
    return float(np.sort(true)[::-1] @ _discounts(len(true)))


def _discounted(scores: Floats, true: Floats) -> float:
    """The discounted gain in the order of the scores, on average over the orders of equal ones."""
    unique, of_row, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    gains = np.bincount(of_row, weights=true, minlength=len(unique)) / counts
    ends = np.cumsum(counts)
    whole = np.concatenate([[0.0], np.cumsum(_discounts(len(true)))])
    return float(gains @ (whole[ends] - whole[ends - counts]))
