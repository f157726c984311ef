"""Which rows that checks gathered have a label that a person stands for, and how do they join what was delivered?

A label that a person gave takes the place of the delivered one; a row that was accepted as it is joins with the label
it came with; rejected ones leave. All others stay out: what makes a row an edge case is often that its label is wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.retraining_set import RetrainingSet, text_hash
from monitor.reviews import Reviewed
from monitor.run_folder import write_aside
from retrain.labelled import Labelled
from retrain.splits import normalised, normalised_parts

VERSION = 2
"""Of how both are joined; raised whenever something else would come out."""
_COLUMNS = ["text", "text_hash", "label", "file", "batch", "row", "id"]


@dataclass(frozen=True)
class Meaning:
    """What a gathered row means to a task."""

    kind: str
    """Of which rows are read, such as `relevance`."""
    class_of: Callable[[str], int | None]
    """A label as written → the number of its class; None for none."""
    in_two: bool = False
    """Whether a text is two: its first line, and what follows."""


@dataclass(frozen=True)
class _Row:
    """A gathered row whose label a person stands for."""

    text: str
    pair: str | None
    label: int
    key: str
    told: Mapping[str, Any]
    """file, batch, row and id: where it stood."""

    @property
    def alike(self) -> str:
        """The hash of its texts in normal form."""
        if self.pair is None:
            return text_hash(normalised_parts(self.text))
        return text_hash(f"{normalised(self.text)}\n{normalised(self.pair)}")

    @property
    def subject(self) -> str:
        """What it shares with the rows of its group: the query, or its whole text."""
        return self.alike if self.pair is None else normalised(self.text)


def with_gathered(
    labelled: Labelled, gathered: RetrainingSet, reviewed: Reviewed, meaning: Meaning, cache: Path
) -> Labelled:
    """The labelled texts with what people decided; the same ones where nobody decided anything about such rows.

    A new row joins the group that its query (or its text) has already. A label that is no class is left out, and told.
    """
    rows, unknown = _standing(gathered, reviewed, meaning)
    corrected, rejected = {row.key: row.label for row in rows}, reviewed.rejected
    delivered = {key for key in labelled.column("key") if key in corrected or key in rejected}
    if not rows and not unknown and not delivered & rejected:
        return labelled
    new = _as_table([row for row in rows if row.key not in delivered], labelled)
    joined = _Joined(labelled, corrected, rejected, new)
    notes = _notes(new.num_rows, joined.changed, joined.left_out, unknown)
    return joined.written(cache, tuple(notes))


def _standing(gathered: RetrainingSet, reviewed: Reviewed, meaning: Meaning) -> tuple[list[_Row], tuple[str, ...]]:
    """The gathered rows whose label a person stands for, and labels of such rows that mean no class."""
    if not reviewed.accepted:
        return [], ()
    decided = {(meaning.kind, digest): label for digest, label in reviewed.labels.items()}
    found, unknown = [], []
    for batch in gathered.read(_COLUMNS, kind=meaning.kind, labels=decided):
        for row in batch.to_pylist():
            if row["text_hash"] not in reviewed.accepted or row["label"] is None:
                continue
            label = meaning.class_of(row["label"])
            if label is None:
                unknown.append(str(row["label"]))
            elif (texts := _texts(row["text"], meaning)) is not None:
                found.append(_Row(*texts, label, row["text_hash"], row))
    return found, tuple(dict.fromkeys(unknown))


def _texts(text: str, meaning: Meaning) -> tuple[str, str | None] | None:
    """A gathered text as its task reads it; None for one that is to be two, and has a part only."""
    if not meaning.in_two:
        return text, None
    first, _, rest = text.partition("\n")
    return (first, rest) if first.strip() and rest.strip() else None


def _as_table(rows: Sequence[_Row], labelled: Labelled) -> pa.Table:
    """Gathered rows with the columns of the delivered ones; what they cannot know is null."""
    like, group_of = pq.read_schema(labelled.file), _groups_of({row.subject for row in rows}, labelled)
    columns = {
        "text": [row.text for row in rows],
        "pair": [row.pair for row in rows],
        "label": [row.label for row in rows],
        "group": [group_of.get(row.subject, row.subject) for row in rows],
        "key": [row.key for row in rows],
        "alike": [row.alike for row in rows],
        "split": ["train"] * len(rows),  # where the data says itself what measures, this does not
        **{name: [row.told[name] for row in rows] for name in ("id", "file", "batch", "row")},
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(len(rows), field.type)
        for field in like
    ]
    return pa.Table.from_arrays(arrays, schema=like)


def _groups_of(subjects: Set[str], labelled: Labelled) -> dict[str, str]:
    """Query or text → the group of the delivered rows that share it."""
    if not subjects:
        return {}
    in_two = next(iter(labelled.column("pair")), None) is not None
    told = map(normalised, labelled.column("text")) if in_two else labelled.column("alike")
    found: dict[str, str] = {}
    for subject, group in zip(told, labelled.column("group"), strict=True):
        if subject in subjects:
            found.setdefault(subject, group)
    return found


def _notes(new: int, changed: int, rejected: int, unknown: Sequence[str]) -> Iterator[str]:
    if new or changed:
        yield f"people stand for {new:,} gathered rows beside the delivered ones, and changed the label of {changed:,}"
    if rejected:
        yield f"{rejected:,} delivered rows are left out, since a person rejected them"
    if unknown:
        yield f"labels that people gave are no class, and their rows are left out: {', '.join(map(repr, unknown[:5]))}"


@dataclass(frozen=True)
class _Joined:
    """Delivered rows with what people decided about them, and new ones behind them."""

    labelled: Labelled
    corrected: Mapping[str, int]
    """Key → class."""
    rejected: Set[str]
    """Keys."""
    new: pa.Table

    @property
    def changed(self) -> int:
        """How many delivered rows have another class now."""
        rows = zip(self.labelled.column("key"), self.labelled.column("label"), strict=True)
        return sum(self.corrected.get(key, label) != label for key, label in rows)

    @property
    def left_out(self) -> int:
        """How many delivered rows a person rejected."""
        return sum(key in self.rejected for key in self.labelled.column("key"))

    def written(self, cache: Path, notes: tuple[str, ...]) -> Labelled:
        """The joined rows in a file, which is found by the hash of what they are."""
        digest, counts = self._summed_up()
        file = cache / "gathered" / f"{digest}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            with (
                write_aside(file) as aside,
                pq.ParquetWriter(aside, self.new.schema, compression="zstd") as writer,
            ):
                for batch in self._batches(self.new.schema.names):
                    writer.write_batch(batch)
        return replace(
            self.labelled,
            file=file,
            rows=sum(counts),
            counts=tuple(counts),
            sha256=digest,
            notes=(*self.labelled.notes, *notes),
        )

    def _summed_up(self) -> tuple[str, list[int]]:
        """A SHA-256 of which rows there are with which class, and how many of each class."""
        digest = hashlib.sha256(f"{VERSION} {self.labelled.sha256}".encode())
        counts = np.zeros(len(self.labelled.classes), np.int64)
        for batch in self._batches(["key", "label"]):
            digest.update(json.dumps(batch.to_pydict()).encode())
            counts += np.bincount(batch.column("label").to_numpy(), minlength=len(counts))
        return digest.hexdigest(), counts.tolist()

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for batch in self.labelled.batches(columns):
            keys, labels = (batch.column(name).to_pylist() for name in ("key", "label"))
            now = [self.corrected.get(key, label) for key, label in zip(keys, labels, strict=True)]
            at, kept = batch.schema.get_field_index("label"), [key not in self.rejected for key in keys]
            yield batch.set_column(at, batch.schema.field(at), pa.array(now, pa.int64())).filter(pa.array(kept))
        yield from self.new.select(list(columns)).to_batches()
