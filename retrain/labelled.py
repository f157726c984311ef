"""What are labelled texts, once they are read?

One text a row, or two that belong together: query and product, premise and hypothesis. They lie in a parquet file, so
that memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from expectations.parquet_query import batches_at

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("pair", pa.string()),
        ("label", pa.int64()),
        ("group", pa.string()),
        ("key", pa.string()),
        ("alike", pa.string()),
        ("split", pa.string()),
        ("locale", pa.string()),
        ("id", pa.string()),
        ("file", pa.string()),
        ("batch", pa.string()),
        ("row", pa.int64()),
    ]
)
"""The columns of a row: `text`, and in `pair` the other one (null: there is none), as tokenizers call them; `label` is
the number of its class, `group` what must stay on one side of a split, `key` the hash of the texts, `alike` that of
both in normal form, `split` what the data says itself, and `file`, `batch` (the file's SHA-256) and `row` (from 1)
where it stands. Further columns may follow."""
Rows = Sequence[int] | NDArray[np.int64]
"""Numbers of rows, from 0."""
_AT_ONCE = 2_000
"""Rows of which a column is in memory at a time."""
_ENGLISH = ("us", "uk", "gb", "au", "ca", "ie", "nz", "en")


@dataclass(frozen=True)
class Labelled:
    """Labelled texts, on disk."""

    file: Path
    """Parquet, with the columns of `SCHEMA`, in the order in which they were read."""
    rows: int
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    """Rows of each class."""
    sources: tuple[str, ...]
    """Files that were read."""
    sha256: str
    """Of the files' bytes and of all that says how they were read."""
    incomplete: int = 0
    """Rows without a text or a label, which are left out."""
    locales: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What people should know of it."""

    def column(self, name: str, rows: Rows | None = None) -> LabelledColumn:
        """One column of all rows, or of some, whose numbers ascend."""
        return LabelledColumn(self, name, None if rows is None else np.asarray(rows, np.int64))

    def numbers(self, name: str) -> NDArray[np.int64]:
        """(rows,) a column of numbers."""
        return np.fromiter(self.column(name), np.int64, self.rows)

    def rows_at(self, rows: Rows, columns: Sequence[str]) -> pa.Table:
        """Some rows in the order in which they are asked for; the file is read through, and only they are kept."""
        asked = np.asarray(rows, np.int64)
        order = np.argsort(asked, kind="stable")
        schema = pa.schema([pq.read_schema(self.file).field(name) for name in columns])
        found = pa.Table.from_batches(self.batches(columns, asked[order]), schema)
        return found.take(pa.array(np.argsort(order, kind="stable")))

    def batches(self, columns: Sequence[str], rows: NDArray[np.int64] | None = None) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, or of some, whose numbers ascend, as far as they fit in memory at a time."""
        return batches_at(self.file, columns, rows, at_once=_AT_ONCE)

    def texts_at(self, rows: Rows) -> tuple[list[str], list[str] | None]:
        """The texts of some rows, given by their numbers from 0, and the others beside them; None where there are none.

        Either all rows have another text beside them or none has.
        """
        found = self.rows_at(rows, ["text", "pair"])
        pairs = found.column("pair")
        return found.column("text").to_pylist(), None if pairs.null_count == len(pairs) else pairs.to_pylist()

    @property
    def foreign(self) -> tuple[str, ...]:
        """Locales whose language is not English, as far as their names tell."""
        return tuple(one for one in self.locales if one.lower().replace("_", "-").split("-")[0] not in _ENGLISH)


@dataclass(frozen=True)
class LabelledColumn(Collection[Any]):
    """One column of labelled texts, read from disk anew each time it is gone through."""

    labelled: Labelled
    name: str
    rows: NDArray[np.int64] | None = None
    """Numbers of the rows, which ascend; None: all."""

    def __len__(self) -> int:
        return self.labelled.rows if self.rows is None else len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.labelled.batches([self.name], self.rows):
            yield from batch.column(0).to_pylist()

    def __contains__(self, value: object) -> bool:
        return any(one == value for one in self)


def class_of(
    said: str, classes: Sequence[str], labels: Mapping[str, str], grades: Mapping[str, float] = MappingProxyType({})
) -> int | None:
    """The number of the class that a label as written belongs to; None for none.

    `labels` are other ways to write a class, in any case; `grades`, where there are any, each class's least number.

    >>> class_of("Exact", ("E", "I"), {"exact": "E"}), class_of("2.5", ("E", "I"), {}, {"E": 3.0, "I": 1.0})
    (0, 1)
    """
    if grades:
        try:
            grade = float(said)
        except ValueError:
            return None
        fitting = [(least, label) for label, least in grades.items() if grade >= least - 1e-9]
        return classes.index(max(fitting)[1]) if fitting else None
    known = {label.lower(): label for label in classes} | {name.lower(): label for name, label in labels.items()}
    found = known.get(said.lower())
    return None if found is None else classes.index(found)


def check_classes(found: Labelled, section: str) -> Labelled:
    """The same, once there is something to tell apart; `section` is that of shopmon.toml, for advice.

    Raises ShopmonError for fewer rows than classes, and for one class only.
    """
    there = [label for label, count in zip(found.classes, found.counts, strict=True) if count]
    if found.rows < len(found.classes):
        raise ShopmonError(
            f"there are {found.rows:,} complete rows for {len(found.classes)} classes: fewer rows than classes",
            advice="Give more data; some hundreds of rows are the least that teaches anything.",
        )
    if len(there) < 2:
        raise ShopmonError(
            f"every one of the {found.rows:,} rows is labelled {''.join(there)}: one class leaves nothing to tell "
            "apart",
            advice=f"Give rows of other classes as well, or map their labels: [{section}.labels].",
        )
    return found
