"""Which files are contestants given? Reviews with faults, and two batches that differ in some columns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "peer_scripts")]

from commands import write_shop  # noqa: E402
from questions import BEFORE, FEW_REVIEWS, NOW, REVIEWS, SHOP  # noqa: E402

from shopmon.sample_data import review_chunks  # noqa: E402

VALUES = {"category": 12, "warehouse": 50, "brand": 300, "article": 42_000}
"""Columns of categories, and how many there are; shares fall as 1 / (rank + 50), those of `category` as 1 / rank."""
COMPLAINT = "The parcel arrived damaged."
"""What 5 % of the later texts end with."""


def write_data(folder: Path, tasks: Collection[str], rows: int, few: int) -> None:
    """What these tasks need; what is there already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    if "drift" in tasks:
        _once(folder / BEFORE, partial(write_batch, rows, False))
        _once(folder / NOW, partial(write_batch, rows, True))
        _once(folder / SHOP, partial(_write_shop, folder / BEFORE))
    if {"expectations", "selection"} & set(tasks):
        _once(folder / REVIEWS, partial(_write_reviews, rows))
        pq.write_table(pq.read_table(folder / REVIEWS).slice(0, few), folder / FEW_REVIEWS)


def write_batch(rows: int, later: bool, out: Path) -> None:
    """Reviews' titles, texts and stars beside columns drawn here; in a later batch five of them are shifted."""
    rng = np.random.default_rng(later)
    writer = None
    for reviews in review_chunks(rows, seed=10 + later):
        table = pa.table(dict(batch_columns(rng, reviews, later)))
        writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def batch_columns(rng: np.random.Generator, reviews: pa.Table, later: bool) -> Iterator[tuple[str, pa.Array]]:
    """Ten columns; shifted are weight, days, category, brand and text."""
    rows = len(reviews)
    yield "price", np.round(rng.lognormal(3, 1, rows), 2)
    yield "stars", reviews["stars"]
    yield "weight", rng.normal(51 if later else 50, 10, rows)
    days = rng.exponential(3, rows)
    yield "days", np.where(rng.random(rows) < 0.05, 5, 1) * days if later else days
    for name, values in VALUES.items():
        shares = 1 / (np.arange(values) + (1 if name == "category" else 50))
        codes = rng.choice(values, rows, p=shares / shares.sum())
        if later and name == "category":
            codes = np.where(rng.random(rows) < 0.05, rng.integers(values // 2, values, rows), codes)
        if later and name == "brand":
            codes = np.where(rng.random(rows) < 0.02, values, codes)
        yield name, pc.take(pa.array([f"{name} {code}" for code in range(values + 1)]), pa.array(codes))
    yield "title", reviews["title"]
    said = pc.binary_join_element_wise(reviews["text"], COMPLAINT, " ")
    yield "text", pc.if_else(pa.array(rng.random(rows) < 0.05), said, reviews["text"]) if later else reviews["text"]


def _write_reviews(rows: int, out: Path) -> None:
    _python(HERE / "generate.py", "--rows", rows, "--out", out)


def _write_shop(reference: Path, out: Path) -> None:
    write_shop(out, defaults=False)
    _python("-m", "shopmon", "reference", "set", reference, "--suite", out / "texts.yaml", "--project", out)


def _once(place: Path, write: Callable[[Path], None]) -> None:
    """Have a file or folder written aside, and put into its place as a whole."""
    if not place.exists():
        print(f"writing {place.name}", file=sys.stderr, flush=True)
        aside = place.with_name(f"making-{place.name}")
        write(aside)
        aside.rename(place)


def _python(*arguments: object) -> None:
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
