"""What are labelled texts, once they are read?

One text a row, or two that belong together: query and product, premise and hypothesis. They lie in a parquet file, so
that memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import ShopmonError

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

    def column(self, name: str) -> list[Any]:
        """One column, whole."""
        return list(pq.read_table(self.file, columns=[name]).column(name).to_pylist())

    def texts_at(self, rows: Sequence[int]) -> tuple[list[str], list[str] | None]:
        """The texts of some rows, given by their numbers from 0, and the others beside them; None where there are none.

        Either all rows have another text beside them or none has.
        """
        found = pq.read_table(self.file, columns=["text", "pair"]).take(pa.array(rows, pa.int64()))
        pairs = found.column("pair")
        return found.column("text").to_pylist(), None if pairs.null_count == len(pairs) else pairs.to_pylist()

    @property
    def foreign(self) -> tuple[str, ...]:
        """Locales whose language is not English, as far as their names tell."""
        return tuple(one for one in self.locales if one.lower().replace("_", "-").split("-")[0] not in _ENGLISH)


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
