"""Which labels are likely wrong?

Confident learning (C. Northcutt, L. Jiang, I. Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels,
JAIR 70, 2021), computed by cleanlab, their own. A class's threshold is the mean probability that rows labelled so give
it. A row counts as confidently of the likeliest class whose threshold it reaches; those that count for another class
than their label say how many labels are wrong, and the labels with the lowest probability are taken to be these.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray


def suspected(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether each label is likely wrong.

    `probabilities` (n, classes) are of a model that did not learn from these rows, and each row adds up to 1. `labels`
    (n,) are numbers of classes; -1 is no label. A row without a label, or with a probability that is no number, is
    never suspected and says nothing of others. Nor is a row whose label is the model's own answer. Of labels that are
    equally doubtful all are suspected, or none is. Without rows, or with labels of one class alone, none is.

    Raises ValueError for shapes that do not fit, and for a label that is no class.

    >>> sure, doubtful = [0.9, 0.1], [0.05, 0.95]
    >>> suspected(np.array([sure, sure, sure, doubtful, doubtful]), np.array([0, 0, 0, 1, 0])).tolist()
    [False, False, False, False, True]
    """
    _check(probabilities, labels)
    judged = np.flatnonzero((labels >= 0) & np.isfinite(probabilities).all(axis=1))
    found = np.zeros(len(labels), dtype=bool)
    if len(np.unique(labels[judged])) > 1:
        found[judged] = _suspected(probabilities[judged], labels[judged])
    return found


def _check(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities have the shape {probabilities.shape} and labels {labels.shape}; n rows of k classes have "
            "(n, k) and (n,)"
        )
    if len(labels) and not -1 <= labels.min() <= labels.max() < probabilities.shape[1]:
        raise ValueError(
            f"labels lie between -1 and {probabilities.shape[1] - 1}, got {labels.min()} to {labels.max()}"
        )


def _suspected(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a class has few rows
        found = find_label_issues(labels, probabilities, filter_by="low_self_confidence", n_jobs=1)
    own = probabilities[np.arange(len(labels)), labels]
    # Which of equally doubtful ones cleanlab takes depends on their order.
    least = own[found].max(initial=-1.0)
    return np.asarray((own <= least) & (own < probabilities.max(axis=1)))
