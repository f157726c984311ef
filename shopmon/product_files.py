"""Which products and queries stand in the files of this project?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.errors import BatchError
from shopmon.project import Project
from shopmon.reading import Reading, opened
from shopmon.shelves import Progress, doing

if TYPE_CHECKING:
    import pyarrow as pa

    from expectations.batch import Batch
    from retrain.catalogue import Catalogue
    from retrain.ranking import Queries

_SHOWN = 12
"""Columns named in an error."""


@dataclass(frozen=True)
class Found:
    """What was read, from where, and what is to be told of it."""

    files: tuple[str, ...]
    notes: tuple[str, ...]


def products_in(
    data: Any, reading: Reading, project: Project, text: Sequence[str], scratch: Path, progress: Progress
) -> tuple[Catalogue, Found]:
    """The products of a file, of which models read what `text` names: attributes in this order, a line for each.

    An attribute is a role of the kind `products`, or the file's own name of a column, with or without `product_` before
    it. One that is empty for a product is left out. Raises BatchError for a file that cannot be read or lacks an
    attribute, and ShopmonError where no product has a text.
    """
    from retrain.catalogue import SCHEMA, catalogue_of

    with opened(data, reading, project, scratch, lambda what: progress(doing(what))) as batch:
        parts = ", ".join(_attribute(batch, name) for name in text)
        said = f"nullif(concat_ws(chr(10), {parts}), '')"
        table = _rows(batch, {"id": _role(batch, "id"), "title": _role(batch, "title"), "text": said})
        found = _found(batch)
    catalogue = catalogue_of(table.select(SCHEMA.names).cast(SCHEMA))
    return catalogue, replace(found, notes=(*found.notes, *catalogue.notes))


def queries_in(
    data: Any, reading: Reading, project: Project, scratch: Path, progress: Progress
) -> tuple[Queries, Found]:
    """The queries of a file, in its order. Raises BatchError if it cannot be read, ShopmonError if all are blank."""
    from retrain.ranking import queries_of

    with opened(data, reading, project, scratch, lambda what: progress(doing(what))) as batch:
        table = _rows(batch, {"id": _role(batch, "id"), "query": _role(batch, "query")})
        found = _found(batch)
    queries = queries_of(table.column("query").to_pylist(), table.column("id").to_pylist())
    return queries, replace(found, notes=(*found.notes, *queries.notes))


def _rows(batch: Batch, columns: dict[str, str]) -> pa.Table:
    """Columns by SQL of every row, with its file's name and its number, in their order."""
    import pyarrow as pa

    from expectations.columns import FILE, ROW

    selected = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
    table = batch.table_of(f"select {FILE} as file, {ROW} as row, {selected} from batch order by {FILE}, {ROW}")
    names = pa.array([part.found.name for part in batch.parts])
    return table.set_column(0, "file", names.take(table.column("file").combine_chunks()))


def _found(batch: Batch) -> Found:
    notes = batch.notes
    if batch.unreadable:
        notes = (*notes, f"{batch.unreadable:,} of {batch.rows:,} records could not be read, and are left out")
    return Found(tuple(part.found.name for part in batch.parts), notes)


def _role(batch: Batch, name: str) -> str:
    """SQL of a role as text without blanks around it; null where the file has no such column."""
    column = batch.column(name)
    return "null::varchar" if column is None else _trimmed(column.sql)


def _attribute(batch: Batch, name: str) -> str:
    tried = (name, f"product_{name}")
    column = next((found for one in tried if (found := batch.column(one)) is not None), None)
    if column is None or column.holds is None:
        what = f"has no column {name!r}" if column is None else f"has {column.type} in the column {name!r}, and no text"
        raise BatchError(
            f"{batch.parts[0].found.name} {what}; it has {', '.join(_listed(batch))}",
            advice="Name the columns that make up a product's text, as the model learnt to read it: --text COLUMN.",
        )
    return _trimmed(column.sql)


def _listed(batch: Batch) -> Iterator[str]:
    yield from (repr(column.name) for column in batch.own_columns[:_SHOWN])
    if len(batch.own_columns) > _SHOWN:
        yield f"… ({len(batch.own_columns)} in all)"


def _trimmed(sql: str) -> str:
    return f"nullif(trim({sql}::varchar), '')"
