"""When does an index pay, and how much of what belongs to a query does the first stage find?

    python benchmarks/ranking.py                             # home_depot's titles and queries, the offline encoder
    python benchmarks/ranking.py --rows 10000,53489          # smaller; --encoder for another encoder

Data: `../shared/data/queries/home_depot_query_product.parquet` (real queries and titles, graded 1 to 3 by people), or
the file of `--data` with the same columns. Vectors are kept in `--cache`, so that only the first run encodes. More
products than there are titles are mixed of two of them, with a little noise. Times are seconds of one thread's CPU, so
that they hold on a busy machine; the code that is timed is that of `shopmon rank`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow.parquet as pq

from monitor.embeddings import OFFLINE, encoder
from retrain.nearest import ExactFinder, IndexFinder, Nearest, built, recall
from retrain.text_vectors import TextEncoder, Vectors, text_vectors

DATA = Path(__file__).parents[2] / "shared" / "data" / "queries" / "home_depot_query_product.parquet"
K = 100
"""Candidates of a query."""
ASKED = 512
"""Queries that are timed."""
DEPTHS = (10, 20, 50, 100, 200)
ENOUGH = 0.95

Answer = TypeVar("Answer")


def timed(work: Callable[[], Answer]) -> tuple[Answer, float]:
    """What some work gives, and the seconds of CPU that it took."""
    began = time.process_time()
    return work(), time.process_time() - began


def grown(vectors: Vectors, rows: int) -> Vectors:
    """So many vectors: those there are, and mixtures of two of them with noise."""
    draw = np.random.default_rng(1)
    vectors = vectors[draw.permutation(len(vectors))]
    parts, there = [vectors[:rows]], min(rows, len(vectors))
    while there < rows:
        one, other = (vectors[draw.integers(len(vectors), size=len(vectors))] for _ in range(2))
        share = draw.uniform(0.5, 1, size=(len(vectors), 1))
        mixed = share * one + (1 - share) * other + draw.normal(scale=0.01, size=vectors.shape)
        parts.append((mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)[: rows - there])
        there += len(parts[-1])
    return np.concatenate(parts)


def search_row(vectors: Vectors, queries: Vectors) -> str:
    """One row of the first table: the exact search, and an index that finds enough."""
    exact = ExactFinder(vectors)
    right, exact_took = timed(lambda: exact.nearest(queries, K))
    _, alone_took = timed(lambda: exact.nearest(queries[:1], K))
    index, build_took = timed(lambda: built(vectors))
    breadth, found, index_took, share = K, right, 0.0, 0.0
    while share < ENOUGH:
        search = partial(IndexFinder(index, exact, breadth, 0.0, 0, K).nearest, queries, K)
        found, index_took = timed(search)
        share, breadth = recall(found, right), breadth * 3 // 2
    saved = (exact_took - index_took) / len(queries)
    pays = f"{build_took / saved:,.0f}" if saved > 0 else "never"
    times = [1e3 * one for one in (exact_took / len(queries), alone_took, index_took / len(queries))]
    told = " | ".join(f"{one:.2f}" for one in times)
    return f"| {len(vectors):,} | {told} | {share:.3f} | {build_took:.1f} | {pays} |"


def found_within(near: Nearest, wanted: Sequence[set[int]]) -> list[float]:
    """For each depth, the share of what belongs to a query that stands so high, on average over the queries."""
    shares = []
    for depth in DEPTHS:
        each = [
            len(some.intersection(rows[:depth])) / len(some)
            for some, rows in zip(wanted, near.rows.tolist(), strict=True)
        ]
        shares.append(float(np.mean(each)))
    return shares


def first_stage(
    table: dict[str, list[object]], titles: list[str], vectors: Vectors, encode: TextEncoder, cache: Path
) -> str:
    """The second table: how many of the products that people graded 3 (exact) the first stage finds."""
    place = {title: at for at, title in enumerate(titles)}
    graded: dict[str, set[int]] = {}
    for query, title, grade in zip(table["search_term"], table["product_title"], table["relevance"], strict=True):
        if float(str(grade)) >= 3.0:
            graded.setdefault(str(query).strip(), set()).add(place[str(title).strip()])
    asked = text_vectors(list(graded), encode, cache).rows
    near = ExactFinder(vectors).nearest(asked, max(DEPTHS))
    shares = found_within(near, list(graded.values()))
    lines = [f"| candidates | {' | '.join(map(str, DEPTHS))} |", f"|---{'|---:' * len(DEPTHS)}|"]
    lines.append(f"| of {len(graded):,} queries' exact products found | {' | '.join(f'{one:.3f}' for one in shares)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rows", default="10000,53489,200000", help="sizes of the catalogue, with commas between")
    parser.add_argument("--encoder", default=OFFLINE)
    parser.add_argument("--cache", type=Path, default=Path(".shopmon") / "cache")
    asked = parser.parse_args(arguments)
    if not asked.data.is_file():
        print(f"{asked.data} is not here: give another file with --data", file=sys.stderr)
        return 2
    import faiss

    faiss.omp_set_num_threads(1)
    table = pq.read_table(asked.data, columns=["search_term", "product_title", "relevance"]).to_pydict()
    titles = sorted({title.strip() for title in table["product_title"]})
    queries = sorted({query.strip() for query in table["search_term"]})
    encode = TextEncoder(asked.encoder, encoder(asked.encoder))

    def told(done: int, of: int) -> None:
        print(f"\rencoding {done:,} of {of:,}", end="", file=sys.stderr, flush=True)

    vectors = text_vectors(titles, encode, asked.cache, progress=told).rows
    drawn = np.random.default_rng(2).permutation(len(queries))[:ASKED]
    some = text_vectors([queries[at] for at in drawn], encode, asked.cache).rows
    print(first_stage(table, titles, vectors, encode, asked.cache), flush=True)
    print("\n| products | exact, ms a query | alone, ms | index, ms a query | recall@100 | built in s | pays after |")
    print("|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for rows in map(int, asked.rows.split(",")):
        print(search_row(grown(vectors, rows), some), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
