"""How is a parquet file asked for some of its rows, and what is said of one that cannot be read?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from expectations.sql import Bound

MEMORY = "1GB"
"""What one question may take: DuckDB's buffers, whatever the files hold. Nothing is spilled to the disk."""
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": MEMORY,
    "temp_directory": "",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


class Asking:
    """A DuckDB connection that is asked about parquet files, with every value bound."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.bound = Bound()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of a query, whole, with the bound values that it names."""
        return self.connection.execute(sql, self.bound.used_in(sql) or None).fetchall()

    def numbers(self, sql: str) -> list[int]:
        """The one column of a query for whole numbers: eight bytes a row until they are taken."""
        (column,) = self.connection.execute(sql, self.bound.used_in(sql) or None).fetchnumpy().values()
        return [int(number) for number in column]

    def contains(self, expr: str, text: str) -> str:
        """SQL: a VARCHAR expression holds this text, as it stands and in any case; null holds nothing."""
        return f"coalesce(contains(lower({expr}), lower({self.bound.to(text)})), false)"


@contextmanager
def asking() -> Iterator[Asking]:
    """A connection of its own, for as long as one question takes (15 ms to open): no thread waits for another's.

    Moments with a time zone come in UTC.

    >>> with asking() as asked:
    ...     asked.rows(f"select {asked.contains(asked.bound.to('50 % OFF'), '% o')}")
    [(True,)]
    """
    with duckdb.connect(config=_SETTINGS) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield Asking(connection)


def parts_of_table(path: Path) -> list[Path]:
    """The files of a table in parquet, which is one or a folder of parts; none where there is nothing."""
    parts = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]
    return [part for part in parts if part.is_file()]


def batches_at(
    file: Path, columns: Sequence[str], rows: NDArray[np.int64] | None = None, *, at_once: int
) -> Iterator[pa.RecordBatch]:
    """Some columns of a parquet file, `at_once` rows in memory at a time: of all rows, or of some in ascending order.

    >>> with TemporaryDirectory() as folder:
    ...     pq.write_table(pa.table({"n": [5, 6, 7, 8]}), Path(folder) / "n.parquet")
    ...     found = batches_at(Path(folder) / "n.parquet", ["n"], np.array([0, 3]), at_once=2)
    ...     [batch.to_pydict() for batch in found]
    [{'n': [5]}, {'n': [8]}]
    """
    first = 0
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(at_once, columns=list(columns)):
            if rows is None:
                yield batch
            else:
                start, end = np.searchsorted(rows, [first, first + len(batch)])
                if end > start:
                    yield batch.take(pa.array(rows[start:end] - first))
                if end == len(rows):
                    return
            first += len(batch)


@contextmanager
def readable_names(files: Sequence[Path]) -> Iterator[list[str]]:
    """Names under which DuckDB finds exactly these files.

    It takes a name with `*`, `?` or `[` for a pattern, and knows no way to say that it is none: such files get a link
    with a plain name for as long as the block lasts.
    """
    with TemporaryDirectory(prefix="shopmon-") as folder:
        yield [_plain(file.absolute(), Path(folder) / f"{number}.parquet") for number, file in enumerate(files)]


def _plain(file: Path, link: Path) -> str:
    if not has_magic(str(file)) and sayable(str(file)):
        return str(file)
    link.symlink_to(file)
    return str(link)


def sayable(text: str) -> bool:
    """Whether any text in a file can be like this: half a surrogate pair stands in none, and DuckDB refuses it.

    >>> sayable("👟\\0"), sayable("\\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def cannot_be_read(what: str, error: Exception | str, *, advice: str) -> ShopmonError:
    """What a person is told of a file that a reader refuses: its name, the reader's first line, and what to do.

    >>> print(cannot_be_read("old.parquet", "no magic bytes\\n...", advice="Check the batch again."))
    old.parquet cannot be read: no magic bytes. Check the batch again.
    """
    said = str(error).strip().splitlines()
    return ShopmonError(f"{what} cannot be read: {said[0] if said else 'it is empty'}", advice=advice)
