"""How are failing rows put aside where they lie?

`quarantine.parquet` is a folder then, with a part for each piece that has such rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb

from expectations.batch import settle
from expectations.columns import Column
from expectations.pieces import Cut, Piece
from expectations.quarantine import PARQUET, Quarantine, aside_sql, tolerated_sql
from expectations.spark_jobs import Shared, on_pieces
from expectations.sql import Bound, literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def write_quarantine(
    spark: SparkSession,
    whole: Cut,
    breaking: Mapping[int, str],
    shared: Shared,
    path: Path,
    ids: Mapping[int, str],
    broken: Collection[int],
) -> Quarantine:
    """Write what `quarantine.write_quarantine` writes into a folder: of each piece the rows that break a rule.

    `breaking` names the file of each piece's table in the shared folder. No failing row, no folder.
    """
    if not breaking:
        return Quarantine(None, 0, 0)
    aside = Shared.of(path)
    names = tuple(found.name for found in whole.found)
    write = partial(
        _write, own=whole.shape.own_columns, names=names, breaking=breaking, shared=shared, aside=aside,
        ids=dict(ids), broken=sorted(broken),
    )  # fmt: skip
    pieces = [piece for piece in whole.pieces if piece.number in breaking]
    written = on_pieces(spark, pieces, write, "writing the quarantine")
    aside.keep_only(name for name, _, _ in written)
    return Quarantine(path, sum(rows for _, rows, _ in written), sum(tolerated for *_, tolerated in written))


def _write(
    piece: Piece,
    *,
    own: Sequence[Column],
    names: Sequence[str],
    breaking: Mapping[int, str],
    shared: Shared,
    aside: Shared,
    ids: Mapping[int, str],
    broken: Collection[int],
) -> tuple[str, int, int]:
    """The file's name, its rows, and those of them that are tolerated."""
    path, bound = aside.new(f"part-{piece.number:06}"), Bound()
    with TemporaryDirectory(prefix="shopmon-") as scratch, duckdb.connect() as con:
        settle(con, Path(scratch), len(own))
        con.execute("set threads = 1")
        con.execute(f"create view breaking as {from_breaking(shared, breaking[piece.number])}")
        con.execute("create table unreadable (file integer, row bigint, reason varchar, raw blob)")
        con.execute("create table source_names (file integer, name varchar)")
        con.execute("insert into source_names values ($1, $2)", [piece.file, names[piece.file]])
        everything = aside_sql(own, ids, broken, bound)
        _execute(con, f"copy ({everything}) to {literal(str(path))} {PARQUET}", bound)
        ((rows,),) = _execute(con, "select count(*) from breaking", bound)
        ((tolerated,),) = _execute(con, tolerated_sql(broken, bound), bound)
    return path.name, rows, tolerated


def from_breaking(shared: Shared, name: str) -> str:
    """SQL: the table `breaking` of a piece, as it was kept."""
    return f"from read_parquet({literal(str(shared.folder / name))}, hive_partitioning = false)"


def _execute(con: duckdb.DuckDBPyConnection, sql: str, bound: Bound) -> list[tuple[Any, ...]]:
    return con.execute(sql, bound.used_in(sql) or None).fetchall()
