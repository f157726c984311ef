"""How does an answer of many rows become a table, a file, or a document?"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from expectations.errors import ProjectError
from shopmon.outcome import plain
from shopmon.table_file import ENDINGS, check_table_file, table_file

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
"""Of the documents of `rank` and `substitutes`."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found, without or with its rows."""

    rows_name: ClassVar[str]
    """The name of the rows in the document."""

    model: str
    """Id of the cross-encoder."""
    computed: str
    """With what it computes, in a few words."""
    encoder: str
    """Name of the bi-encoder that found the candidates."""
    product_text: tuple[str, ...]
    """Attributes of a product that were read."""
    candidates: int
    """Products that the cross-encoder read at most for each query, or product."""
    search: str
    """How candidates were found: exactly, or by an index, with the recall that was measured."""
    files: tuple[str, ...]
    products: int
    """Different product texts among which was looked."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    out: Path | None = None
    """The file that holds the rows."""
    table: pa.Table | None = field(default=None, repr=False, compare=False)
    """The rows, where no file was asked for."""

    def document(self) -> dict[str, Any]:
        """The answer as JSON values; without the rows where they went to a file."""
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "table"}
        told = {"schema_version": SCHEMA_VERSION, **{name: plain(value, longest=None) for name, value in named.items()}}
        return told if self.table is None else {**told, self.rows_name: list(json_rows(self.table))}


Found = TypeVar("Found", bound=Answer)


def finished(
    answer: Found, parts: Iterable[pa.RecordBatch], schema: pa.Schema, out: Path | None, began: float
) -> Found:
    """An answer with its rows, in a file or as its table, and with the seconds since `began`.

    Raises ShopmonError where the file cannot be written; then it is as it was.
    """
    import pyarrow as pa

    def ended(table: pa.Table | None = None) -> Found:
        return replace(answer, seconds=time.perf_counter() - began, out=out, table=table)

    if out is None:
        return ended(pa.Table.from_batches(parts, schema))
    write_answer(out, schema, parts, rows=answer.rows_name, head=lambda: ended().document())
    return ended()


def check_answer_file(out: Path) -> Path:
    """The file, once its ending says a format and its folder can be written to: to be asked before any work.

    Raises ProjectError otherwise. `.json` is the whole answer; every other ending holds its rows.
    """
    if out.suffix != ".json":
        if out.suffix not in ENDINGS:
            raise ProjectError(
                f"{out} ends in {out.suffix or 'nothing'}",
                advice=f"Let it end in .json, which holds the whole answer, or in {', '.join(ENDINGS)}.",
            )
        check_table_file(out)
    if out.is_dir():
        raise ProjectError(f"{out} is a folder", advice="Name a file.")
    there = next(one for one in out.absolute().parents if one.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ProjectError(
            f"{out} cannot be written: {there} is no folder that takes files", advice="Choose another place."
        )
    return out


def write_answer(
    out: Path,
    schema: pa.Schema,
    parts: Iterable[pa.RecordBatch],
    *,
    rows: str,
    head: Callable[[], Mapping[str, Any]],
) -> None:
    """Write an answer's rows part by part; the file is there whole, or else as it was.

    In a `.json` file they stand under the name `rows`, before what `head` says of the answer once they are all there.
    Raises ShopmonError where it cannot be written.

    >>> import pyarrow as pa
    >>> from tempfile import TemporaryDirectory
    >>> part = pa.RecordBatch.from_pylist([{"rank": 1}, {"rank": 2}])
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "ranked.json"
    ...     write_answer(file, part.schema, [part], rows="ranking", head=lambda: {"queries": 1})
    ...     json.loads(file.read_text())
    {'ranking': [{'rank': 1}, {'rank': 2}], 'queries': 1}
    """
    from monitor.run_folder import write_aside

    if out.suffix != ".json":
        with table_file(out, schema) as write:
            for part in parts:
                write(part)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(out) as aside, aside.open("w", encoding="utf-8") as opened:
        opened.write(f"{{{json.dumps(rows)}: [")
        for number, row in enumerate(row for part in parts for row in json_rows(part)):
            opened.write(f"{',' if number else ''}\n{_json(row)}")
        opened.write("\n]")
        for name, value in head().items():
            opened.write(f",\n{json.dumps(name)}: {_json(value)}")
        opened.write("}\n")


def json_rows(part: pa.RecordBatch | pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as JSON values."""
    for row in part.to_pylist():
        yield {name: plain(value, longest=None) for name, value in row.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
