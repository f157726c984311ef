"""From which rows was a model made? Each with its batch, its place in it, and the rules that chose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.retraining_set import ROWS, RetrainingSet
from retrain.data import is_held_out
from retrain.results import TrainingResult

TRAIN, HELD_OUT, SET_ASIDE, EXCLUDED = "train", "held out", "set aside", "rejected"
"""What became of a row: learnt from; measured on; an answer to one of the gate's prompts; rejected by a person."""

_NAMES = ("text_hash", "role", "reasons", "kind", "batch", "file", "row", "id", "run_id")
SCHEMA = pa.schema([*(ROWS.field(name) for name in _NAMES), pa.field("use", pa.string())])
"""The columns: those of the retraining set that say where a row comes from, and its use. Its text stays there."""


@dataclass(frozen=True)
class Lineage:
    """The rows that stood before a training."""

    retraining_set: RetrainingSet
    parts: tuple[str, ...]
    use: Callable[[str, str], str]
    """Text and its hash → what became of the row."""

    def write(self, file: Path) -> dict[str, int]:
        """Write one row for each to a parquet file; gives rule → rows that it chose and that were learnt from."""
        rules: Counter[str] = Counter()
        with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for batch in self._batches():
                writer.write_batch(batch)
                rules.update(_rules(batch))
        return dict(rules.most_common())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        there = {part.name: part for part in self.retraining_set.parts}
        for name in self.parts:
            with pq.ParquetFile(there[name]) as part:
                for batch in part.iter_batches(50_000, columns=[*_NAMES, "text"]):
                    pairs = zip(batch.column("text").to_pylist(), batch.column("text_hash").to_pylist(), strict=True)
                    used = pa.array([self.use(text, digest) for text, digest in pairs], pa.string())
                    yield pa.RecordBatch.from_arrays([*(batch.column(n) for n in _NAMES), used], schema=SCHEMA)


def lineage(
    retraining_set: RetrainingSet, result: TrainingResult, is_answer: Callable[[str], bool], excluded: frozenset[str]
) -> Lineage:
    """What became of the rows of the parts that a training read."""
    share = _share(result.settings)

    def use(text: str, digest: str) -> str:
        if is_answer(text):
            return SET_ASIDE
        if digest in excluded:
            return EXCLUDED
        return HELD_OUT if is_held_out(digest, share) else TRAIN

    return Lineage(retraining_set, result.data.parts, use)


def _share(settings: Mapping[str, object]) -> float:
    training = settings["training"]
    if not isinstance(training, Mapping):
        raise TypeError("the settings of a training have no part 'training'")
    return float(training["held_out"])


def _rules(batch: pa.RecordBatch) -> Iterator[str]:
    for reasons, use in zip(batch.column("reasons").to_pylist(), batch.column("use").to_pylist(), strict=True):
        if use == TRAIN:
            yield from reasons or ()
