"""How are failing rows put aside where they lie?

`quarantine.parquet` is a folder then, with a part for each piece that has such rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb

from expectations.batch import Batch, settle
from expectations.columns import Column
from expectations.errors import BatchError
from expectations.pieces import Cut, Piece, opened
from expectations.quarantine import PARQUET, Quarantine, aside_sql, good_sql, tolerated_sql
from expectations.spark_jobs import Shared, on_pieces
from expectations.sql import Bound, literal
from expectations.unfinished import aside_of

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
    aside.publish(parts_of(pieces, [name for name, _, _ in written]))
    return Quarantine(path, sum(rows for _, rows, _ in written), sum(tolerated for *_, tolerated in written))


def write_good(spark: SparkSession, whole: Cut, breaking: Mapping[int, str], shared: Shared, path: Path) -> None:
    """Write the rows that break no rule, in the files' own columns, into a folder that appears whole or not at all.

    Raises BatchError where something else has taken its name meanwhile.
    """
    aside = Shared.of(aside_of(path))
    try:
        write = partial(_write_good, whole=whole, breaking=breaking, shared=shared, aside=aside)
        written = on_pieces(spark, whole.pieces, write, "writing the good rows")
        aside.publish(parts_of(whole.pieces, written))
        _give_name(aside.folder, path)
    finally:
        shutil.rmtree(aside.folder, ignore_errors=True)


def _give_name(folder: Path, path: Path) -> None:
    check_free(path)
    try:
        folder.rename(path)
    except OSError as error:  # taken between the two
        raise BatchError(
            f"{path} cannot be written: {error.strerror}", advice="Give a new name in a folder that may be written."
        ) from error


def check_free(path: Path) -> None:
    """Refuse a place for the good rows before any work is done. Raises BatchError."""
    if path.exists() or not path.parent.is_dir():
        what = "is there already" if path.exists() else f"cannot be written: the folder {path.parent} does not exist"
        raise BatchError(
            f"{path} {what}", advice="Give a new name in a folder that exists: parts are written below it."
        )


def parts_of(pieces: Sequence[Piece], written: Sequence[str]) -> dict[str, str]:
    """The hidden files that tasks wrote of pieces, and the names by which they are to be found."""
    return {name: f"part-{piece.number:06}.parquet" for piece, name in zip(pieces, written, strict=True)}


def _write_good(piece: Piece, *, whole: Cut, breaking: Mapping[int, str], shared: Shared, aside: Shared) -> str:
    path = aside.new(f"part-{piece.number:06}")
    with opened(whole, piece) as batch:
        lay_breaking(batch, shared, breaking.get(piece.number))
        batch.rows_of(f"copy ({good_sql(batch)}) to {literal(str(path))} {PARQUET}")
    return path.name


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


def lay_breaking(batch: Batch, shared: Shared, name: str | None) -> None:
    """Lay the relation `breaking` over what was kept of a piece; empty where nothing was."""
    held = from_breaking(shared, name) if name else "select *, []::integer[] as rules from batch limit 0"
    batch.rows_of(f"create view breaking as {held}")


def from_breaking(shared: Shared, name: str) -> str:
    """SQL: the table `breaking` of a piece, as it was kept."""
    return f"from read_parquet({literal(str(shared.folder / name))}, hive_partitioning = false)"


def _execute(con: duckdb.DuckDBPyConnection, sql: str, bound: Bound) -> list[tuple[Any, ...]]:
    return con.execute(sql, bound.used_in(sql) or None).fetchall()
