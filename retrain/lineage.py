"""From which rows was a model made? Each with its batch, its place in it, and the rules that chose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.retraining_set import ROWS, RetrainingSet
from monitor.reviews import Reviewed
from retrain.data import is_held_out
from retrain.results import TrainingResult

TRAIN, HELD_OUT, NOT_USED = "train", "held out", "not used"
"""What became of a row: learnt from; kept from learning; of a role that the recipe does not learn from."""
SET_ASIDE, REJECTED, NOT_REVIEWED = "set aside", "rejected", "not reviewed"
"""Why a row was left out: it answers one of the gate's prompts; a person rejected it; nobody accepted it, where only
accepted rows were asked for."""

_NAMES = ("text_hash", "role", "reasons", "kind", "batch", "file", "row", "id", "run_id")
SCHEMA = pa.schema([*(ROWS.field(name) for name in _NAMES), pa.field("use", pa.string())])
"""The columns: those of the retraining set that say where a row comes from, and its use. Its text stays there.

`role` is the one that it was used in: a person may have given it another than the one it was gathered in."""
_AT_ONCE = 10_000
"""Rows whose texts are in memory at a time."""


@dataclass(frozen=True)
class Fates:
    """By what it is decided what becomes of a row."""

    held_out: float
    """Share of the texts (0–1) that no training sees."""
    is_answer: Callable[[str], bool]
    """Whether a text answers one of the gate's prompts."""
    reviewed: Reviewed = field(default_factory=Reviewed)
    """What people decided."""
    roles: frozenset[str] = frozenset()
    """Roles whose rows are learnt from."""
    only_accepted: bool = False
    """Whether rows that nobody accepted are left out."""

    def use(self, text: str, digest: str, role: str) -> str:
        """What becomes of a row; `role` is the one it was gathered in."""
        if why := self.left_out(text, digest):
            return why
        if is_held_out(digest, self.held_out):
            return HELD_OUT
        return TRAIN if self.role(digest, role) in self.roles else NOT_USED

    def left_out(self, text: str, digest: str) -> str:
        """Why a row is neither learnt from nor measured on; empty where it may be."""
        if self.is_answer(text):
            return SET_ASIDE
        if digest in self.reviewed.rejected:
            return REJECTED
        return NOT_REVIEWED if self.only_accepted and digest not in self.reviewed.accepted else ""

    def role(self, digest: str, role: str) -> str:
        """The role that a person gave a row; else the one it was gathered in."""
        return self.reviewed.roles.get(digest, role)


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
                for batch in part.iter_batches(_AT_ONCE, columns=[*_NAMES, "text"]):
                    yield self._used(batch)

    def _used(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows in the roles that they played, with what became of them."""
        columns = [batch.column(name).to_pylist() for name in ("text", "text_hash", "role")]
        uses = [self.fates.use(*row) for row in zip(*columns, strict=True)]
        roles = [self.fates.role(digest, role) for digest, role in zip(*columns[1:], strict=True)]
        told = {name: batch.column(name) for name in _NAMES} | {"role": roles, "use": uses}
        return pa.RecordBatch.from_pydict(told, schema=SCHEMA)


def lineage(retraining_set: RetrainingSet, result: TrainingResult, fates: Fates) -> Lineage:
    """What became of the rows of the parts that a training read."""
    return Lineage(retraining_set, result.data.parts, fates)


def _rules(batch: pa.RecordBatch) -> Iterator[str]:
    for reasons, use in zip(batch.column("reasons").to_pylist(), batch.column("use").to_pylist(), strict=True):
        if use == TRAIN:
            yield from reasons or ()
