"""What would do without training a network? Two logistic regressions, on the rows that the network learns from.

One on TF-IDF of words, one on the vectors of an encoder that learns nothing. A network that is no better than they are
is not worth its price.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain.class_objective import class_weights
from retrain.classification_measures import Floats, Ints
from retrain.classifier import Classifier, embed
from retrain.classifier_settings import Weighting

_FEATURES = 100_000
"""Words and pairs of words that are counted at most, on either side."""


@dataclass(frozen=True)
class TextPairs:
    """Queries and product texts, a pair a row."""

    queries: Sequence[str]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.queries)


def tfidf_regression(train: TextPairs, labels: Ints, asked: TextPairs, classes: int, weighting: Weighting) -> Floats:
    """(rows, classes) what a logistic regression on TF-IDF of words and pairs of words says of the pairs in `asked`.

    Query and product are counted apart, and so is what they share: the words in both, as a share of the query's.

    Source: Salton and Buckley, Term-weighting approaches in automatic text retrieval, 1988.

    >>> pairs = TextPairs(["lamp", "bed"] * 9, ["a lamp", "a lamp"] * 9)
    >>> said = tfidf_regression(pairs, np.array([0, 1] * 9), pairs, 2, Weighting.NONE)
    >>> said.argmax(1).tolist()[:4]
    [0, 1, 0, 1]
    """
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    sides = (train.queries, train.texts)
    counted = [TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=_FEATURES).fit(one) for one in sides]

    def features(pairs: TextPairs) -> Any:
        apart = [one.transform(side) for one, side in zip(counted, (pairs.queries, pairs.texts), strict=True)]
        return hstack([*apart, csr_matrix(_shared_words(pairs))]).tocsr()

    return _regression(features(train), labels, features(asked), classes, weighting)


def _shared_words(pairs: TextPairs) -> Floats:
    """(rows, 1) share of the query's words that the product's text has as well."""
    shares = []
    for query, text in zip(pairs.queries, pairs.texts, strict=True):
        words = set(query.lower().split())
        shares.append(len(words & set(text.lower().split())) / max(len(words), 1))
    return np.array(shares)[:, None]


def frozen_regression(
    base: Classifier, train: TextPairs, labels: Ints, asked: TextPairs, longest: int, weighting: Weighting
) -> Floats:
    """(rows, classes) what a logistic regression on the base's own vectors says of the pairs in `asked`.

    Of the vectors u and v of query and product it sees u, v, |u - v| and u·v (Conneau et al., InferSent, 2017).
    """
    both = [*train.queries, *train.texts, *asked.queries, *asked.texts]
    once = list(dict.fromkeys(both))
    place = {text: at for at, text in enumerate(once)}
    vectors = embed(base, once, longest)

    def features(pairs: TextPairs) -> Floats:
        u, v = (vectors[[place[text] for text in side]] for side in (pairs.queries, pairs.texts))
        return np.hstack([u, v, np.abs(u - v), u * v])

    known = features(train)
    mean, spread = known.mean(0), known.std(0) + 1e-9
    return _regression((known - mean) / spread, labels, (features(asked) - mean) / spread, len(base.classes), weighting)


def _regression(known: Any, labels: Ints, asked: Any, classes: int, weighting: Weighting) -> Floats:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    there = np.unique(labels)
    said = np.zeros((asked.shape[0], classes))
    if len(there) == 1:
        said[:, there[0]] = 1.0
        return said
    weights = class_weights(np.bincount(labels, minlength=classes).tolist(), weighting)
    model = LogisticRegression(max_iter=300, class_weight={int(at): weights[at] for at in there})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as good as it is after so many steps
        model.fit(known, labels)
    said[:, there] = model.predict_proba(asked)
    return said
