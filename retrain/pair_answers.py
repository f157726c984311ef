"""What does a relevance model of the registry say of pairs, and from which of them did it learn?"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import ShopmonError
from monitor.pair_signals import Flags, Floats
from monitor.retraining_set import text_hash
from monitor.run_folder import write_aside
from retrain.pairs import PairSettings
from retrain.registry import Registered, Registry

if TYPE_CHECKING:
    from retrain.scorer import Scorer

TASK = "relevance"
_WAY_OUT = "Go back to the one before it (shopmon models rollback --task relevance), or check without it: --only-rules."


class PairAnswerer:
    """A relevance model as `monitor.pair_signals.PairModel` asks it.

    It is loaded when it is asked for the first time. Asking raises ShopmonError for a model that is damaged.
    """

    def __init__(
        self, registry: Registry, model: Registered, *, progress: Callable[[str], None] = lambda _: None
    ) -> None:
        self._registry, self._model, self._progress = registry, model, progress
        self._asking = threading.RLock()
        said, usual = _part(model.document.get("settings"), "pairs"), PairSettings()
        self._pairs = PairSettings(
            product_text=tuple(said.get("product_text", usual.product_text)),
            classes=tuple(said.get("classes", usual.classes)),
            labels=_part(said, "labels"),
            grades=_part(said, "grades"),
        )

    @property
    def model_id(self) -> str:
        """Its name in the registry."""
        return self._model.model_id

    @property
    def weights(self) -> str:
        """The checksum of its weights, as its training wrote it down."""
        return str(self._model.document.get("weights_sha256", ""))

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of its answers."""
        return self._pairs.classes

    @cached_property
    def gains(self) -> tuple[float, ...]:
        """What showing a product of each class is worth, by the first gains of its training."""
        from retrain.relevance import RelevanceSettings

        own = _part(self._model.document.get("settings"), "gains")
        gains = next(iter(RelevanceSettings(pairs=self._pairs, gains=own).all_gains.values()))
        return tuple(float(gains[label]) for label in self.classes)

    @property
    def attributes(self) -> tuple[tuple[str, ...], ...]:
        """What makes up a product's text, a line each: the names that a column with it may have."""
        return tuple(
            ("product_text", "product_title") if name == "title" else (name, f"product_{name}")
            for name in self._pairs.product_text
        )

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The names that a column of labels may have, the best first."""
        names = ("grade", "label") if self._pairs.grades else ("label", "grade")
        return tuple(f"{name}{form}" for name in names for form in ("_as_written", ""))

    def class_of(self, label: str) -> int | None:
        """The number of the class that a label as written belongs to, as it learnt; None for none.

        A whole number means the same with a decimal point as without.
        """
        found = self._pairs.class_of(label)
        return self._pairs.class_of(label.removesuffix(".0")) if found is None else found

    def learnt(self, queries: Sequence[str], texts: Sequence[str]) -> Flags:
        """(n,) whether it learnt from each pair, or was chosen by it."""
        pairs = zip(queries, texts, strict=True)
        with self._asking:
            known = self._learnt
        return np.array([text_hash(f"{query}\n{text}") in known for query, text in pairs], dtype=bool)

    def probabilities(self, queries: Sequence[str], texts: Sequence[str]) -> Floats:
        """(n, classes) the probability of each class; of no pair it only gets ready."""
        with self._asking:  # a comparison and rules may ask at once
            return self._scorer.probabilities(queries, texts, progress=self._tell)

    def _tell(self, done: int, of: int) -> None:
        if of:
            self._progress(f"{self.model_id} has read {done:,} of {of:,} pairs")

    @cached_property
    def _learnt(self) -> frozenset[str]:
        """The hashes of the pairs that it learnt from or was chosen by."""
        from retrain.classifier_training import CHOSEN
        from retrain.lineage import TRAIN

        with _telling(self.model_id):
            rows = self._registry.lineage(self.model_id, TASK, ["text_hash", "use"])
        hashes = zip(rows.column("text_hash").to_pylist(), rows.column("use").to_pylist(), strict=True)
        return frozenset(digest for digest, use in hashes if use in (TRAIN, CHOSEN))

    @cached_property
    def _scorer(self) -> Scorer:
        self._progress(f"loading the model {self.model_id}")
        from retrain.scorer import load_scorer

        longest = _part(self._model.document.get("settings"), "training").get("max_length")
        with _telling(self.model_id):
            self._registry.verify(self._model)
            scorer = load_scorer(self._model.folder, max_length=longest)
            if scorer.classes != self.classes:
                named, answered = ", ".join(self.classes), ", ".join(scorer.classes)
                raise ShopmonError(f"its record names the classes {named}, and it answers {answered}")
        return scorer


@contextmanager
def _telling(model_id: str) -> Iterator[None]:
    """Names the model, and the way out, in whatever is told inside."""
    try:
        yield
    except ShopmonError as error:
        raise ShopmonError(f"the champion {model_id} cannot be asked: {error.problem}", advice=_WAY_OUT) from error


def _part(settings: Any, name: str) -> Mapping[str, Any]:
    """A table of a training's settings; empty where there is none."""
    found = settings.get(name) if isinstance(settings, Mapping) else None
    return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True)
class AnswersOnDisk:
    """What a model said of some pairs, kept by what exactly was asked of which weights.

    A file that cannot be read counts for none: the model can be asked again.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     kept = AnswersOnDisk(Path(folder), "3f2a")
    ...     kept.keep(["cap"], ["a red cap"], np.array([[0.75, 0.25]]))
    ...     kept.recall(["cap"], ["a red cap"]).tolist(), kept.recall(["cap"], ["a hat"])
    ([[0.75, 0.25]], None)
    """

    folder: Path
    weights: str
    """The checksum of the model's weights."""

    def recall(self, queries: Sequence[str], texts: Sequence[str]) -> Floats | None:
        """(n, classes) what was said of exactly these pairs; None where nothing was kept of them."""
        try:
            table = pq.read_table(self._file(queries, texts))
        except (OSError, pa.ArrowException):
            return None
        columns = [column.to_numpy() for column in table.columns]
        return np.stack(columns, axis=1) if columns and table.num_rows == len(queries) else None

    def keep(self, queries: Sequence[str], texts: Sequence[str], probabilities: Floats) -> None:
        """Keep what was said of these pairs. Raises ShopmonError where the folder cannot be written."""
        table = pa.table({str(place): column for place, column in enumerate(probabilities.T)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with write_aside(self._file(queries, texts)) as aside:
                pq.write_table(table, aside)
        except OSError as error:
            raise ShopmonError(
                f"{self.folder} cannot be written: {error.strerror}",
                advice="Free some space, or let this user write there.",
            ) from error

    def _file(self, queries: Sequence[str], texts: Sequence[str]) -> Path:
        asked = json.dumps([self.weights, list(queries), list(texts)])
        return self.folder / f"{hashlib.sha256(asked.encode()).hexdigest()}.parquet"
