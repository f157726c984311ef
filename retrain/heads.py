"""To which class does a text belong, by its vector and what stands beside it?

Heads that are put on an encoder's vectors afterwards: a logistic regression, and gradient-boosted trees (Chen and
Guestrin, XGBoost, KDD 2016) with the settings of the AWS post on product categories. Neither is pickled: a regression
is safetensors, trees are XGBoost's own UBJSON, which is data alone and is held against its checksum before it is read.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from expectations.errors import ShopmonError, first_line
from retrain.class_objective import class_weights
from retrain.classification_measures import Floats, Ints, Predicted, cross_entropy
from retrain.classifier_settings import Weighting
from retrain.results import HeadMethod
from retrain.tabular import Columns, Encoding, encoding_from

SETTINGS, LINEAR_FILE, TREES_FILE = "head.json", "logistic.safetensors", "xgboost.ubj"
VERSION = 1
"""Of `head.json`."""
STRENGTHS = (1.0, 0.1, 0.01, 0.001)
"""Of a regression's penalty, as scikit-learn's C; the validation rows choose."""
ROUNDS = 100
TREES = {"objective": "multi:softprob", "max_depth": 6, "eta": 0.3, "tree_method": "hist", "verbosity": 0}
"""The post's settings; softprob is its softmax, which tells probabilities instead of the likeliest class alone."""
_NEVER = -1e4
"""Bias of a class without a row."""
_RETRY = "Restore the model's folder from a copy, or train again: shopmon retrain --task category."


@dataclass(frozen=True)
class Features:
    """What heads see of some rows."""

    vectors: Floats
    """(rows, dimensions)."""
    columns: Columns

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Known:
    """Rows whose classes are known."""

    features: Features
    labels: Ints
    """(rows,) number of the class."""


@dataclass(frozen=True)
class Fitting:
    """What heads that are compared have in common."""

    classes: int
    weighting: Weighting
    seed: int


class Head(Protocol):
    """A head that was fitted."""

    @property
    def method(self) -> HeadMethod:
        """What kind it is."""

    @property
    def encoding(self) -> Encoding | None:
        """How it reads the columns beside a text; None: it does not."""

    def probabilities(self, features: Features) -> Floats:
        """(rows, classes) each row adds up to 1; no rows, no probabilities."""


# --- a regression -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinearHead:
    """One linear function for each class, and a softmax over them."""

    weight: Floats
    """(classes, features)."""
    bias: Floats
    """(classes,)."""
    encoding: Encoding | None = None
    method: HeadMethod = HeadMethod.LOGISTIC

    def probabilities(self, features: Features) -> Floats:
        """(rows, classes) each row adds up to 1; no rows, no probabilities."""
        logits = _spread_out(features, self.encoding) @ self.weight.T + self.bias
        logits -= logits.max(1, keepdims=True, initial=-np.inf)
        odds = np.exp(logits)
        return np.asarray(odds / odds.sum(1, keepdims=True), np.float64)


def _spread_out(features: Features, encoding: Encoding | None) -> Floats:
    vectors = np.asarray(features.vectors, np.float64)
    return vectors if encoding is None else np.hstack([vectors, encoding.spread_out(features.columns)])


def fit_logistic(train: Known, validation: Known, fitting: Fitting, encoding: Encoding | None = None) -> LinearHead:
    """A logistic regression on standardised features, as strongly bound as the validation rows' loss wants it."""
    known = _spread_out(train.features, encoding)
    mean, spread = known.mean(0), known.std(0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    found = [_regression((known - mean) / spread, train.labels, fitting, strength) for strength in STRENGTHS]
    heads = [LinearHead(_stored(w / spread), _stored(b - (w / spread) @ mean), encoding) for w, b in found]
    names = tuple(map(str, range(fitting.classes)))

    def loss(head: LinearHead) -> float:
        return cross_entropy(Predicted(head.probabilities(validation.features), validation.labels, names))

    return min(heads, key=loss)


def _stored(values: Floats) -> Floats:
    """As they will be read again: what was measured is what is kept."""
    return values.astype(np.float32).astype(np.float64)


def _regression(known: Floats, labels: Ints, fitting: Fitting, strength: float) -> tuple[Floats, Floats]:
    """Weights (classes, features) and biases (classes,); a class without a row is never said."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    there = np.unique(labels)
    weight, bias = np.zeros((fitting.classes, known.shape[1])), np.full(fitting.classes, _NEVER)
    bias[there] = 0.0
    if len(there) == 1:
        return weight, bias
    counts = np.bincount(labels, minlength=fitting.classes).tolist()
    weights = class_weights(counts, fitting.weighting)
    model = LogisticRegression(C=strength, max_iter=300, class_weight={int(at): weights[at] for at in there})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as good as it is after so many steps
        model.fit(known, labels)
    rows = there[1:] if len(there) == 2 else there  # of two classes, only the second one's function is told
    weight[rows], bias[rows] = model.coef_, model.intercept_
    return weight, bias


# --- trees ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TreesHead:
    """Gradient-boosted trees."""

    booster: Any
    """An `xgboost.Booster`."""
    classes: int
    encoding: Encoding | None = None
    method: HeadMethod = HeadMethod.XGBOOST

    def probabilities(self, features: Features) -> Floats:
        """(rows, classes) each row adds up to 1; no rows, no probabilities."""
        if not len(features):
            return np.zeros((0, self.classes))
        said = np.asarray(self.booster.predict(_matrix(features, self.encoding)), np.float64)
        return np.asarray(said / said.sum(1, keepdims=True), np.float64)


def _matrix(features: Features, encoding: Encoding | None, **more: Any) -> Any:
    """Vectors, numbers as they are, and values as XGBoost's own categories, where NaN is missing."""
    import xgboost

    beside = encoding or Encoding()
    values = np.hstack([features.vectors, beside.codes(features.columns)]).astype(np.float32)
    types = ["q"] * (values.shape[1] - len(beside.categories)) + ["c"] * len(beside.categories)
    return xgboost.DMatrix(
        values, feature_types=types, enable_categorical=True, nthread=torch.get_num_threads(), **more
    )


def fit_trees(train: Known, fitting: Fitting, encoding: Encoding | None = None) -> TreesHead:
    """100 rounds of trees of depth 6, as the post has them; the same for the same rows, seed and machine."""
    import xgboost

    weights = class_weights(np.bincount(train.labels, minlength=fitting.classes).tolist(), fitting.weighting)
    matrix = _matrix(train.features, encoding, label=train.labels, weight=np.asarray(weights)[train.labels])
    how = {**TREES, "num_class": fitting.classes, "seed": fitting.seed, "nthread": torch.get_num_threads()}
    return TreesHead(xgboost.train(how, matrix, ROUNDS), fitting.classes, encoding)


# --- kept -------------------------------------------------------------------------------------------------------------


def save_head(head: Head, folder: Path) -> None:
    """Write a head beside an encoder; of the encoder's own layer, only that it is the one."""
    told: dict[str, Any] = {
        "version": VERSION,
        "method": head.method.value,
        "columns": None if head.encoding is None else head.encoding.plain(),
    }
    if isinstance(head, TreesHead):
        (folder / TREES_FILE).write_bytes(head.booster.save_raw("ubj"))
        told["sha256"] = _sha256(folder / TREES_FILE)
    elif isinstance(head, LinearHead) and head.method is HeadMethod.LOGISTIC:
        save_file(
            {"weight": head.weight.astype(np.float32), "bias": head.bias.astype(np.float32)}, folder / LINEAR_FILE
        )
        told["sha256"] = _sha256(folder / LINEAR_FILE)
    (folder / SETTINGS).write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="ascii")


def load_head(folder: Path, classes: Sequence[str], own: LinearHead) -> Head:
    """The head that `save_head` wrote; `own` is the encoder's layer.

    Raises ShopmonError for a head that is missing, damaged, or made for another number of classes or dimensions.
    """
    try:
        told = json.loads((folder / SETTINGS).read_bytes())
        if told["version"] != VERSION:
            raise ValueError(f"its format is {told['version']!r}, and this version reads {VERSION}")
        method = HeadMethod(told["method"])
        encoding = None if told["columns"] is None else encoding_from(told["columns"])
        if method is HeadMethod.LINEAR:
            return own
        _verify(folder / (TREES_FILE if method is HeadMethod.XGBOOST else LINEAR_FILE), told["sha256"])
        dimensions = own.weight.shape[1]
        if method is HeadMethod.XGBOOST:
            return _trees(folder / TREES_FILE, len(classes), dimensions, encoding)
        return _linear(folder / LINEAR_FILE, len(classes), dimensions, encoding)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, SafetensorError) as error:
        raise ShopmonError(f"the head in {folder} cannot be used: {first_line(error)}", advice=_RETRY) from error


def _linear(file: Path, classes: int, dimensions: int, encoding: Encoding | None) -> LinearHead:
    found = {name: np.asarray(value, np.float64) for name, value in load_file(file).items()}
    beside = 0 if encoding is None else encoding.spread_out(_nothing(encoding)).shape[1]
    if found["weight"].shape != (classes, dimensions + beside) or found["bias"].shape != (classes,):
        raise ValueError(f"its weights are {found['weight'].shape}, and not {(classes, dimensions + beside)}")
    return LinearHead(found["weight"], found["bias"], encoding)


def _trees(file: Path, classes: int, dimensions: int, encoding: Encoding | None) -> TreesHead:
    import xgboost

    booster = xgboost.Booster({"nthread": torch.get_num_threads()})
    try:
        booster.load_model(str(file))
        read = dimensions + (0 if encoding is None else len(encoding.names))
        if booster.num_features() != read:
            raise ValueError(f"its trees read {booster.num_features()} features, and not {read}")
        head = TreesHead(booster, classes, encoding)
        said = head.probabilities(Features(np.zeros((1, dimensions)), _nothing(encoding or Encoding(), 1)))
    except xgboost.core.XGBoostError as error:
        raise ValueError(f"its trees cannot be read: {first_line(error)}") from error
    if said.shape != (1, classes):
        raise ValueError(f"its trees know {said.shape[-1]} classes, and not {classes}")
    return head


def _nothing(encoding: Encoding, rows: int = 0) -> Columns:
    """Rows of which nothing is known but that they have these columns."""
    numbers = {one.name: np.full(rows, np.nan) for one in encoding.numbers}
    return Columns(rows, numbers, {one.name: [None] * rows for one in encoding.categories})


def _verify(file: Path, expected: str) -> None:
    if _sha256(file) != expected:
        raise ValueError(f"{file.name} is not the file that was trained: its checksum is another")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
