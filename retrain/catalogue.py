"""Which products are there, each text once?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.errors import ShopmonError

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("text", pa.large_string()),
        ("file", pa.string()),
        ("row", pa.int64()),
    ]
)
"""A product as it arrives: `text` is what models read, `row` the record in its file, from 1; id and title may lack."""


@dataclass(frozen=True)
class Catalogue:
    """Products in the order of their texts, whatever order they came in; those of one text stand together as one."""

    rows: pa.Table
    """The columns of `SCHEMA`, and `same_text`: the ids of further products that have this very text."""
    arrived: int
    blank: int
    """Products without a text, which are left out."""
    repeated: int
    """Products whose text another one has."""
    ids_used_twice: int
    """Products that share their id with another one."""
    example: str = ""
    """One such id."""

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def texts(self) -> list[str]:
        """What models read of each, whole."""
        return list(self.rows.column("text").to_pylist())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of what arrived."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self.blank:
            yield f"{self.blank:,} of {self.arrived:,} products have no text, and are left out"
        if self.repeated:
            yield f"{self.repeated:,} products have the text of another one, and stand with it (same_text)"
        if self.ids_used_twice:
            yield f"{self.ids_used_twice:,} products share their id with another one, such as {self.example!r}"
        if self.rows.column("id").null_count == self.rows.num_rows:
            yield "no column was recognised as the products' id: they are told by file and row"


def catalogue_of(products: pa.Table) -> Catalogue:
    """Put products in order, leave out those without a text, and let those of the same text stand together.

    The first by id stands for them. Raises ShopmonError where no product is left.

    >>> some = {"id": ["b", "a", "c"], "title": None, "text": ["lamp", "lamp", " "], "file": "p.csv", "row": [1, 2, 3]}
    >>> columns = {name: value if isinstance(value, list) else [value] * 3 for name, value in some.items()}
    >>> found = catalogue_of(pa.table(columns, schema=SCHEMA))
    >>> len(found), found.blank, found.rows.column("id").to_pylist(), found.rows.column("same_text").to_pylist()
    (1, 1, ['a'], [['b']])
    """
    rows = products.select(SCHEMA.names).cast(SCHEMA)
    text = pc.utf8_trim_whitespace(rows.column("text"))
    rows = rows.set_column(SCHEMA.get_field_index("text"), SCHEMA.field("text"), text)
    rows = rows.filter(pc.fill_null(pc.not_equal(text, ""), False))
    if not rows.num_rows:
        raise ShopmonError(
            f"none of the {products.num_rows:,} products has a text",
            advice="Give a file of products with titles, or name the columns that hold their text: --text COLUMN.",
        )
    ordered = rows.sort_by([(name, "ascending") for name in ("text", "id", "file", "row")]).combine_chunks()
    texts = ordered.column("text").combine_chunks()
    begins = np.ones(len(texts), bool)
    begins[1:] = pc.not_equal(texts.slice(1), texts.slice(0, len(texts) - 1)).to_numpy(zero_copy_only=False)
    further = ordered.column("id").combine_chunks().filter(pa.array(~begins))
    ends = np.append(np.flatnonzero(begins)[1:], len(texts)) - np.arange(1, begins.sum() + 1)
    same = pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), further)
    kept = ordered.filter(pa.array(begins)).append_column("same_text", same)
    twice, example = _used_twice(rows.column("id"))
    return Catalogue(
        kept, products.num_rows, products.num_rows - rows.num_rows, len(texts) - kept.num_rows, twice, example
    )


def _used_twice(ids: pa.ChunkedArray) -> tuple[int, str]:
    """How many rows have an id that another one has as well; one such id."""
    counts = ids.drop_null().value_counts()
    values, numbers = counts.field("values"), counts.field("counts")
    several = values.filter(pc.greater(numbers, 1))
    if not len(several):
        return 0, ""
    return int(pc.sum(numbers.filter(pc.greater(numbers, 1))).as_py()), str(pc.min(several).as_py())
