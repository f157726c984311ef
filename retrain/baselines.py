"""What would do without training a network? Two logistic regressions, on the rows that the network learns from.

One on TF-IDF of words, one on the vectors of an encoder that learns nothing. A network that is no better than they are
is not worth its price.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.retraining_set import text_hash
from retrain.class_objective import class_weights
from retrain.classification_measures import Floats, Ints
from retrain.classifier import Classifier, embed
from retrain.classifier_settings import Weighting

_FEATURES = 100_000
"""Words and pairs of words that are counted at most, on either side."""
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""What errors may weigh against large coefficients (scikit-learn's C), the simplest model first."""
_USUAL = 1.0
"""Scikit-learn's own, where there is too little to choose by."""
_FEWEST = 100
"""Rows below which nothing is chosen."""
_ASIDE = 5
"""Of so many texts one is kept aside, with all its rows, to choose by."""


@dataclass(frozen=True)
class Texts:
    """One text a row, or two that belong together."""

    texts: Sequence[str]
    pairs: Sequence[str] | None = None
    """The texts beside them; None: there are none."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def sides(self) -> tuple[Sequence[str], ...]:
        """The texts, and the others where there are any."""
        return (self.texts,) if self.pairs is None else (self.texts, self.pairs)


def tfidf_regression(train: Texts, labels: Ints, asked: Texts, classes: int, weighting: Weighting) -> Floats:
    """(rows, classes) what a logistic regression on TF-IDF of words and pairs of words says of the rows in `asked`.

    Two texts of a row are counted apart, and so is what they share: the words in both, as a share of the first one's.

    Source: Salton and Buckley, Term-weighting approaches in automatic text retrieval, 1988.

    >>> pairs = Texts(["lamp", "bed"] * 9, ["a lamp", "a lamp"] * 9)
    >>> said = tfidf_regression(pairs, np.array([0, 1] * 9), pairs, 2, Weighting.NONE)
    >>> said.argmax(1).tolist()[:4]
    [0, 1, 0, 1]
    """
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    usual = {"ngram_range": (1, 2), "sublinear_tf": True, "max_features": _FEATURES}
    counted = [TfidfVectorizer(**usual).fit(side) for side in train.sides]

    def features(rows: Texts) -> Any:
        apart = [one.transform(side) for one, side in zip(counted, rows.sides, strict=True)]
        shared = [] if rows.pairs is None else [csr_matrix(_shared_words(rows.texts, rows.pairs))]
        return hstack([*apart, *shared]).tocsr()

    # As strong as scikit-learn has it: chosen by the loss, it is simpler and ranks worse.
    return _regression(_Known(features(train), labels, train.texts), features(asked), classes, weighting, _USUAL)


def _shared_words(texts: Sequence[str], pairs: Sequence[str]) -> Floats:
    """(rows, 1) share of the words of a text that the one beside it has as well."""
    shares = []
    for text, pair in zip(texts, pairs, strict=True):
        words = set(text.lower().split())
        shares.append(len(words & set(pair.lower().split())) / max(len(words), 1))
    return np.array(shares)[:, None]


def frozen_regression(
    base: Classifier, train: Texts, labels: Ints, asked: Texts, longest: int, weighting: Weighting
) -> Floats:
    """(rows, classes) what a logistic regression on the base's own vectors says of the rows in `asked`.

    Of the vectors u and v of two texts it sees u, v, |u - v| and u·v (Conneau et al., InferSent, 2017).
    """
    once = list(dict.fromkeys(chain(*train.sides, *asked.sides)))
    place = {text: at for at, text in enumerate(once)}
    vectors = embed(base, once, longest).astype(np.float32)  # the exactness they come with, in half the time

    def features(rows: Texts) -> NDArray[np.float32]:
        u, *beside = (vectors[[place[text] for text in side]] for side in rows.sides)
        return u if not beside else np.hstack([u, (v := beside[0]), np.abs(u - v), u * v])

    known = features(train)
    mean, spread = (found.astype(np.float32) for found in (known.mean(0, np.float64), known.std(0, np.float64) + 1e-9))
    rows = _Known((known - mean) / spread, labels, train.texts)
    return _regression(rows, (features(asked) - mean) / spread, len(base.classes), weighting)


# --- the regression ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What a regression learns from."""

    features: Any
    """(rows, features) dense or sparse."""
    labels: Ints
    texts: Sequence[str]
    """(rows,) what must not be both learnt from and chosen by: queries, where there are pairs."""


def _regression(known: _Known, asked: Any, classes: int, weighting: Weighting, strength: float | None = None) -> Floats:
    """(rows, classes) what a regression says that has learnt from all rows.

    Without a strength it is as simple as those rows want it that are kept aside while it is chosen.
    """
    there = np.unique(known.labels)
    said = np.zeros((asked.shape[0], classes))
    if len(there) == 1:
        said[:, there[0]] = 1.0
        return said
    weights = np.asarray(class_weights(np.bincount(known.labels, minlength=classes).tolist(), weighting))
    model = _fitted(known.features, known.labels, weights, strength or _strength(known, weights))
    said[:, there] = model.predict_proba(asked)
    return said


def _strength(known: _Known, weights: Floats) -> float:
    """The strength with the least loss on rows kept aside; the search ends where it gets worse.

    So those are never fitted that learn by heart, and take ten times as long.
    """
    aside = _kept_aside(known.texts)
    labels = known.labels
    if len(labels) < _FEWEST or set(labels[~aside].tolist()) != set(labels.tolist()):
        return _USUAL
    best, least = _USUAL, np.inf
    for strength in _STRENGTHS:
        model = _fitted(known.features[~aside], labels[~aside], weights, strength)
        loss = _loss(model, known.features[aside], labels[aside], weights)
        if loss >= least:
            break
        best, least = strength, loss
    return best


def _kept_aside(texts: Sequence[str]) -> NDArray[np.bool_]:
    """(rows,) whether a row is chosen by; the same ones in any order."""
    kept = set(sorted(set(texts), key=text_hash)[::_ASIDE])
    return np.array([text in kept for text in texts])


def _loss(model: Any, features: Any, labels: Ints, weights: Floats) -> float:
    place = np.searchsorted(model.classes_, labels)
    right = model.predict_proba(features)[np.arange(len(labels)), place]
    return float((weights[labels] * -np.log(np.maximum(right, 1e-12))).mean())


def _fitted(features: Any, labels: Ints, weights: Floats, strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    counted = {int(at): float(weights[at]) for at in np.unique(labels)}
    model = LogisticRegression(C=strength, max_iter=300, class_weight=counted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as good as it is after so many steps
        return model.fit(features, labels)
