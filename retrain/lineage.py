"""From which rows was a model made? Each with its batch, its place in it, and the rules that chose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.retraining_set import ROWS, RetrainingSet
from retrain.data import is_held_out
from retrain.results import TrainingResult

TRAIN, HELD_OUT, NOT_USED, SET_ASIDE, EXCLUDED = "train", "held out", "not used", "set aside", "rejected"
"""What became of a row: learnt from; kept from learning; of a role that the recipe does not learn from; an answer to
one of the gate's prompts; rejected by a person."""

_NAMES = ("text_hash", "role", "reasons", "kind", "batch", "file", "row", "id", "run_id")
SCHEMA = pa.schema([*(ROWS.field(name) for name in _NAMES), pa.field("use", pa.string())])
"""The columns: those of the retraining set that say where a row comes from, and its use. Its text stays there."""


@dataclass(frozen=True)
class Fates:
    """By what it is decided what becomes of a row."""

    held_out: float
    """Share of the texts (0–1) that no training sees."""
    is_answer: Callable[[str], bool]
    """Whether a text answers one of the gate's prompts."""
    excluded: frozenset[str] = frozenset()
    """Hashes of texts that a person rejected."""
    roles: frozenset[str] = frozenset()
    """Roles whose rows are learnt from."""

    def use(self, text: str, digest: str, role: str) -> str:
        """What becomes of a row."""
        if self.is_answer(text):
            return SET_ASIDE
        if digest in self.excluded:
            return EXCLUDED
        if is_held_out(digest, self.held_out):
            return HELD_OUT
        return TRAIN if role in self.roles else NOT_USED


@dataclass(frozen=True)
class Lineage:
    """The rows that stood before a training."""

    retraining_set: RetrainingSet
    parts: tuple[str, ...]
    fates: Fates

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
                    rows = zip(*(batch.column(name).to_pylist() for name in ("text", "text_hash", "role")), strict=True)
                    used = pa.array([self.fates.use(*row) for row in rows], pa.string())
                    yield pa.RecordBatch.from_arrays([*(batch.column(n) for n in _NAMES), used], schema=SCHEMA)


def lineage(retraining_set: RetrainingSet, result: TrainingResult, fates: Fates) -> Lineage:
    """What became of the rows of the parts that a training read."""
    return Lineage(retraining_set, result.data.parts, fates)


def _rules(batch: pa.RecordBatch) -> Iterator[str]:
    for reasons, use in zip(batch.column("reasons").to_pylist(), batch.column("use").to_pylist(), strict=True):
        if use == TRAIN:
            yield from reasons or ()
