"""Which of a shop's own topics is a text about, as a model says that was not trained on them?"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from monitor.signals import SAID, Reader, Row, Values

Floats = NDArray[np.float64]


class TopicModel(Protocol):
    """A model that scores how well each topic fits a text."""

    @property
    def model_id(self) -> str:
        """Its name in the registry, its folder, or its name on the hub."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The columns of its answers."""

    def scores(self, texts: Sequence[str]) -> Floats:
        """(n, topics) how well each topic fits each text, from 0 to 1; of no text it only gets ready."""


def signals(scores: Floats, topics: Sequence[str]) -> Mapping[str, Values]:
    """`monitor.signals.TOPIC_SIGNALS` of n texts; of a text without an answer (NaN) None and NaN.

    >>> found = signals(np.array([[0.1, 0.9], [np.nan, np.nan]]), ("size", "shipping"))
    >>> found["topic"].tolist(), found["topic_score"].tolist()
    (['shipping', None], [0.9, nan])
    """
    known = np.asarray(np.isfinite(scores).all(axis=1))
    best = np.where(known[:, None], scores, 0.0).argmax(axis=1)
    names = np.array([*topics, None], dtype=object)
    return {
        "topic": names[np.where(known, best, len(topics))],
        "topic_score": np.where(known, scores[np.arange(len(scores)), best], np.nan),
    }


class TopicReading:
    """A model that reads each text once, however many signals, rules and rows ask for it, and is timed."""

    def __init__(self, model: TopicModel) -> None:
        self._model = model
        self._known: dict[bytes, Floats] = {}
        self.read: tuple[int, float] = (0, 0.0)
        """Different texts it has read, and the seconds that took without what it takes to get ready."""

    def __call__(self, rows: Sequence[Row]) -> Mapping[str, Values]:
        """The signals of n rows, of each of which the text is the first part; blank ones have none."""
        texts = [str(row[0] or "") for row in rows]
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if text.strip() and key not in self._known}
        if new:
            self._known |= dict(zip(new, self._scores(list(new.values())), strict=True))
        nothing = np.full(len(self._model.topics), np.nan)
        scores = np.array([self._known.get(key, nothing) for key in keys]).reshape(len(keys), len(nothing))
        return signals(scores, self._model.topics)

    def _scores(self, texts: Sequence[str]) -> Floats:
        if not self._known:
            self._model.scores([])  # whatever must be loaded is not part of the rate
        begun = time.perf_counter()
        found = self._model.scores(texts)
        if found.shape != (len(texts), len(self._model.topics)) or not np.isfinite(found).all():
            raise ShopmonError(
                f"the model {self._model.model_id} answers {len(texts):,} texts with {found.shape} scores, or with "
                "what is no number",
                advice="Name another one: [edge_cases.zero_shot] model.",
            )
        self.read = self.read[0] + len(texts), self.read[1] + time.perf_counter() - begun
        return found


def topic_reader(model: TopicModel) -> Reader:
    """The model as signals ask it of a batch's rows: it is given the text that a model learns from."""
    reading = TopicReading(model)
    return Reader((SAID,), reading, lambda: reading.read, model.model_id)


def unasked(reason: str) -> Reader:
    """What stands for a model that cannot be asked of any row, and says why in a few words."""
    return Reader((SAID,), lambda _: {}, lacking={"": reason})
