"""Write a file of reviews for benchmarks: 11 columns, about one row in a hundred with a fault.

    python benchmarks/generate.py --rows 1000000 --out reviews.parquet

The faults are those of `shopmon.planted_faults`, planted chunk by chunk: memory does not grow with the rows, and the
same rows and seed give the same file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from shopmon.planted_faults import plant
from shopmon.sample_data import REVIEWS, review_chunks, write_chunks

FAULT_SHARE = 0.0004
"""Share of rows for each kind of fault; with 0.3 % of cut-off texts this makes 1 % of all rows."""

FEWEST_ROWS = 300
"""Chunks with fewer rows stay clean: they have no room for two rows of every fault and thirty cut-off texts."""


def chunks_with_faults(rows: int, seed: int) -> Iterator[pa.Table]:
    """The reviews in chunks, with faults in every chunk, and a line of progress on standard error."""
    begun, done = time.monotonic(), 0
    for number, chunk in enumerate(review_chunks(rows, seed=seed)):
        enough = chunk.num_rows >= FEWEST_ROWS
        yield plant(chunk, seed=seed * 1_000_003 + number, share=FAULT_SHARE).table if enough else chunk
        done += chunk.num_rows
        speed = done / (time.monotonic() - begun)
        print(f"\r{done:,} of {rows:,} rows, {speed:,.0f} rows/s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write a file of reviews for benchmarks.")
    parser.add_argument("--rows", type=int, required=True, help="how many reviews")
    parser.add_argument("--out", type=Path, required=True, help="the parquet file to write")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other reviews (default 0)")
    options = parser.parse_args(arguments)
    if options.rows < 0 or options.seed < 0:
        parser.error(f"--rows and --seed are 0 or more, got {options.rows} and {options.seed}")
    write_chunks(options.out, chunks_with_faults(options.rows, options.seed), REVIEWS)


if __name__ == "__main__":
    main()
