"""What does a relevance model say of a query and a product, and of the label that the pair was given?"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from expectations.batch import Batch
from expectations.errors import ShopmonError
from monitor.label_errors import suspected
from monitor.signals import Reader, Row, Values

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class PairModel(Protocol):
    """A model that tells classes of pairs apart, and what is known of its training."""

    @property
    def model_id(self) -> str:
        """Its name in the registry."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of its answers."""

    @property
    def gains(self) -> tuple[float, ...]:
        """What showing a product of each class is worth."""

    @property
    def attributes(self) -> tuple[tuple[str, ...], ...]:
        """What makes up a product's text, a line each: the names that a column with it may have."""

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The names that a column of labels may have, the best first."""

    def class_of(self, label: str) -> int | None:
        """The number of the class that a label as written belongs to; None for none."""

    def learnt(self, queries: Sequence[str], texts: Sequence[str]) -> Flags:
        """(n,) whether it learnt from each pair, or was chosen by it: what it says of such is no measure."""

    def probabilities(self, queries: Sequence[str], texts: Sequence[str]) -> Floats:
        """(n, classes) the probability of each class."""


class KeptAnswers(Protocol):
    """Answers of a model that outlast a check."""

    def recall(self, queries: Sequence[str], texts: Sequence[str]) -> Floats | None:
        """(n, classes) what was said of exactly these pairs; None where nothing was kept of them."""

    def keep(self, queries: Sequence[str], texts: Sequence[str], probabilities: Floats) -> None:
        """Keep what was said of these pairs."""


@dataclass(frozen=True)
class PairAnswers:
    """What a model says of n pairs."""

    classes: tuple[str, ...]
    gains: Floats
    """(classes,)."""
    probabilities: Floats
    """(n, classes); NaN for a pair without a query or a product."""
    labels: Ints
    """(n,) the class of each pair's own label; -1 where the model knows none, or has learnt from the pair."""

    @property
    def asked(self) -> Flags:
        """(n,) whether there is an answer."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    @property
    def confidence(self) -> Floats:
        """(n,) the largest probability."""
        return np.asarray(self.probabilities.max(axis=1, initial=0.0))

    @property
    def margin(self) -> Floats:
        """(n,) the largest probability less the second."""
        ordered = np.sort(self.probabilities, axis=1)
        return np.asarray(ordered[:, -1] - ordered[:, -2])

    @property
    def expected_gain(self) -> Floats:
        """(n,) the sum of probability and gain over the classes."""
        return np.asarray(self.probabilities @ self.gains)

    @property
    def likeliest(self) -> Values:
        """(n,) the name of the likeliest class; None without an answer."""
        names = np.array([*self.classes, None], dtype=object)
        best = np.where(self.asked, np.nan_to_num(self.probabilities).argmax(axis=1), len(self.classes))
        return names[best]

    @property
    def of_label(self) -> Floats:
        """(n,) the probability of the pair's own label; NaN where there is none to judge."""
        own = self.probabilities[np.arange(len(self.labels)), np.maximum(self.labels, 0)]
        return np.where(self.labels >= 0, own, np.nan)

    @property
    def disagrees(self) -> Values:
        """(n,) whether another class than the pair's own is likelier; None where there is nothing to judge."""
        return _where_known(self.of_label < self.confidence, np.isfinite(self.of_label))

    @property
    def errors(self) -> Values:
        """(n,) whether the label is likely wrong, as all pairs together tell; None where there is nothing to judge."""
        return _where_known(suspected(self.probabilities, self.labels), np.isfinite(self.of_label))


def _where_known(flags: Flags, known: Flags) -> Values:
    values = flags.astype(object)
    values[~known] = None
    return values


def signals(answers: PairAnswers) -> Mapping[str, Values]:
    """`monitor.signals.PAIR_SIGNALS` of n pairs."""
    return {
        "relevance_class": answers.likeliest,
        "relevance_confidence": answers.confidence,
        "relevance_margin": answers.margin,
        "relevance_gain": answers.expected_gain,
        "relevance_disagrees": answers.disagrees,
        "label_probability": answers.of_label,
        "label_error": answers.errors,
    }


# --- asking it ------------------------------------------------------------------------------------------------------


class PairReading:
    """A model that reads each pair once, whoever asks and however often.

    >>> from types import SimpleNamespace
    >>> def says(queries, texts):
    ...     return np.array([[0.9, 0.1] if query in text else [0.2, 0.8] for query, text in zip(queries, texts)])
    >>> model = SimpleNamespace(classes=("E", "I"), gains=(1.0, 0.0), class_of={"E": 0, "I": 1}.get,
    ...                         learnt=lambda queries, texts: np.zeros(len(queries), bool), probabilities=says)
    >>> reading = PairReading(model)
    >>> found = reading.answers([("cap", "a cap", "E"), ("cap", "a hat", "E"), (None, "a hat", "I")])
    >>> found.likeliest.tolist(), found.of_label.tolist(), reading.counting().read
    (['E', 'I', None], [0.9, 0.2, nan], (0, 0.0))
    """

    def __init__(self, model: PairModel, kept: KeptAnswers | None = None) -> None:
        self.model, self._kept = model, kept
        self._known: dict[bytes, Floats] = {}
        self._lock = threading.Lock()

    def counting(self) -> Counting:
        """One who asks it, and wants to know what that took."""
        return Counting(self)

    def answers(self, rows: Sequence[Row], told: Counting | None = None) -> PairAnswers:
        """What it says of n rows of query, product text and label, each of which may be None."""
        probabilities = np.full((len(rows), len(self.model.classes)), np.nan)
        whole = [place for place, row in enumerate(rows) if row[0] and row[1]]
        queries, texts = ([str(rows[place][part]) for place in whole] for part in (0, 1))
        probabilities[whole] = self._probabilities(queries, texts, told)
        labels = np.full(len(rows), -1, dtype=np.int64)
        labels[whole] = [self._class_of(rows[place][2]) for place in whole]
        labels[np.array(whole, dtype=np.int64)[self.model.learnt(queries, texts)]] = -1
        return PairAnswers(self.model.classes, np.asarray(self.model.gains, dtype=float), probabilities, labels)

    def _class_of(self, label: str | None) -> int:
        found = None if label is None else self.model.class_of(label)
        return -1 if found is None else found

    def _probabilities(self, queries: Sequence[str], texts: Sequence[str], told: Counting | None) -> Floats:
        """Those of pairs; what is not known yet is read by one thread at a time."""
        keys = [_key(*pair) for pair in zip(queries, texts, strict=True)]
        with self._lock:
            new = {key: place for place, key in enumerate(keys) if key not in self._known}
            if new:
                found = self._read([queries[place] for place in new.values()], [texts[p] for p in new.values()], told)
                self._known |= dict(zip(new, found, strict=True))
            return np.array([self._known[key] for key in keys]).reshape(len(keys), len(self.model.classes))

    def _read(self, queries: Sequence[str], texts: Sequence[str], told: Counting | None) -> Floats:
        """Those of different pairs: as they were kept, else as the model says now."""
        kept = None if self._kept is None else self._kept.recall(queries, texts)
        if kept is not None:
            return self._checked(kept, len(queries))
        if not self._known:
            self.model.probabilities([], [])  # whatever must be loaded is not part of the rate
        begun = time.perf_counter()
        found = self._checked(self.model.probabilities(queries, texts), len(queries))
        if told is not None:
            told.read = told.read[0] + len(queries), told.read[1] + time.perf_counter() - begun
        if self._kept is not None:
            self._kept.keep(queries, texts, found)
        return found

    def _checked(self, found: Floats, pairs: int) -> Floats:
        if found.shape != (pairs, len(self.model.classes)) or not np.isfinite(found).all():
            raise ShopmonError(
                f"the model {self.model.model_id} answers {pairs:,} pairs with {found.shape} probabilities, or with "
                "what is no number",
                advice="Its weights are damaged: go back to another, shopmon models rollback --task relevance.",
            )
        return found


def _key(query: str, text: str) -> bytes:
    return hashlib.blake2b(f"{len(query)} {query}{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Counting:
    """One who asks a model, with the pairs that were read for it and the seconds that took."""

    def __init__(self, reading: PairReading) -> None:
        self._reading = reading
        self.read: tuple[int, float] = (0, 0.0)

    @property
    def model(self) -> PairModel:
        """The model that is asked."""
        return self._reading.model

    def answers(self, rows: Sequence[Row]) -> PairAnswers:
        """As `PairReading.answers`."""
        return self._reading.answers(rows, self)


def reader(reading: PairReading, batch: Batch) -> Reader:
    """A relevance model as signals ask it of a batch's rows."""
    asks, model = reading.counting(), reading.model
    product = [_first(batch, names) for names in model.attributes]
    label = _first(batch, model.label_columns)
    lacking = (
        {} if label else dict.fromkeys(("relevance_disagrees", "label_probability", "label_error"), "no column 'label'")
    )
    for names, found in zip(model.attributes, product, strict=True):
        if found is None:
            lacking[""] = f"the model reads the product's {names[0]}, and there is no such column"
    parts = ", ".join(found for found in product if found) or "null::varchar"
    reads = (_first(batch, ("query",)) or "null::varchar", f"nullif(concat_ws(chr(10), {parts}), '')",
             label or "null::varchar")  # fmt: skip
    return Reader(reads, lambda rows: signals(asks.answers(rows)), lambda: asks.read, model.model_id, lacking)


def _first(batch: Batch, names: Sequence[str]) -> str | None:
    """SQL: the first of some columns that the batch has, as text without blanks around it, null where that is empty."""
    column = next((column for name in names if (column := batch.column(name)) is not None), None)
    return None if column is None else f"nullif(trim({column.sql}::varchar), '')"
