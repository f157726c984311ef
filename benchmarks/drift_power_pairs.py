"""How often does a check of queries and products alarm for nothing, and does it see pairs that were shuffled?

    python benchmarks/drift_power_pairs.py                 40 repeats a cell
    python benchmarks/drift_power_pairs.py --full          200
    python benchmarks/drift_power_pairs.py --rows 1000     only samples of so many rows

Each repeat draws a reference and a batch from one world, compares them as a check does, and looks at which columns
drift under one level of 0.05. "By rows" deals rows, so that both sides ask the same queries; "by queries" deals whole
queries, so that the batch asks others, as later batches do. Shuffled batches are dealt by queries, too: of a share of
their rows the products stand beside one another's queries, and no column of the file changes. "Each row for itself" is
the same without the design effect, and with texts relabelled row by row.

A logistic regression on the words that query and product share stands in for a relevance champion; it learnt from other
queries, and answers 500 pairs of each side.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.batch import open_batch
from monitor.drift import DriftSettings, compare_with
from monitor.pair_relation import AGREES, CLASS, GAIN, SHARED_WORDS, pair_columns, shared_words
from monitor.pair_signals import PairReading
from monitor.profiles import Profile, profile
from monitor.reference import Reference

HOME_DEPOT = Path(__file__).resolve().parents[2] / "shared" / "data" / "queries" / "home_depot_query_product.parquet"
SHARES = (0.01, 0.05, 0.2, 1.0)
MODEL_ROWS = 500
ANY, OTHERS = "any column", "a column of the file"
TOLD = (ANY, OTHERS, SHARED_WORDS, CLASS, GAIN, AGREES)


@dataclass(frozen=True)
class World:
    """Pairs that samples are drawn from."""

    name: str
    pairs: pa.Table
    """query, product_text, and label (E, S or I)."""
    query: np.ndarray
    """(rows,) number of each row's query."""
    model: Regression


class Regression:
    """What a relevance champion would be asked, answered from the words that are shared."""

    model_id, classes, gains = "regression", ("E", "S", "I"), (1.0, 0.5, 0.0)
    attributes, label_columns = (("product_text",),), ("label",)

    def __init__(self, pairs: pa.Table) -> None:
        from sklearn.linear_model import LogisticRegression

        columns = [pairs.column(name).to_pylist() for name in ("query", "product_text")]
        labels = [self.classes.index(label) for label in pairs.column("label").to_pylist()]
        self._fitted = LogisticRegression(max_iter=1000).fit(self._seen(*columns), labels)

    def _seen(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        shared = np.nan_to_num(shared_words(queries, texts))
        lengths = [[len(query), len(text)] for query, text in zip(queries, texts, strict=True)]
        return np.column_stack([shared, shared == 1, shared == 0, np.log1p(np.array(lengths, float).reshape(-1, 2))])

    def class_of(self, label: str) -> int:
        return self.classes.index(label)

    def learnt(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        return np.zeros(len(queries), dtype=bool)

    def probabilities(self, queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        return self._fitted.predict_proba(self._seen(queries, texts)) if queries else np.zeros((0, 3))


# --- the worlds -----------------------------------------------------------------------------------------------------


def worlds(seed: int) -> Iterator[World]:
    yield _world("made-up pairs", made_up(seed), seed)
    if HOME_DEPOT.exists():
        yield _world("Home Depot", home_depot(), seed)


def _world(name: str, pairs: pa.Table, seed: int) -> World:
    """The model learns from a fifth of the queries, and samples are drawn from the others."""
    query = pairs.column("query").dictionary_encode().combine_chunks().indices.to_numpy()
    learns = np.random.default_rng(seed).random(query.max() + 1)[query] < 0.2
    rest = pairs.filter(pa.array(~learns))
    return World(name, rest, query[~learns], Regression(pairs.filter(pa.array(learns))))


def home_depot() -> pa.Table:
    """Relevance from 1 to 3, in three classes."""
    table = pq.read_table(HOME_DEPOT, columns=["search_term", "product_title", "relevance"])
    grades = table.column("relevance").to_numpy()
    labels = np.where(grades >= 2.5, "E", np.where(grades >= 2, "S", "I"))
    text = {"query": "search_term", "product_text": "product_title"}
    return pa.table({**{role: table.column(own).cast(pa.string()) for role, own in text.items()}, "label": labels})


def made_up(seed: int, queries: int = 8_000) -> pa.Table:
    """Queries of one to four words, some more frequent than others, with one to twelve products."""
    rng = np.random.default_rng(seed)
    words = np.array(
        [f"{a}{b}{c}" for a in "bdfklmnprst" for b in "aeiou" for c in ("n", "rt", "sk", "mble", "x", "do")]
    )
    chances = 1 / np.arange(2, len(words) + 2)
    rows: list[tuple[str, ...]] = []
    known: set[tuple[str, ...]] = set()
    while len(known) < queries:
        asked = rng.choice(words, rng.integers(1, 5), replace=False, p=chances / chances.sum())
        if tuple(asked) in known:
            continue
        known.add(tuple(asked))
        for label in rng.choice(["E", "S", "I"], rng.integers(1, 13), p=[0.5, 0.3, 0.2]):
            kept = {"E": len(asked), "S": len(asked) // 2, "I": 0}[label]
            others = rng.choice(words, 6, replace=False, p=chances / chances.sum())
            product = rng.permutation([*rng.choice(asked, kept, replace=False), *others])
            rows.append((" ".join(asked), " ".join(product), label))
    return pa.table(dict(zip(("query", "product_text", "label"), map(list, zip(*rows, strict=True)), strict=True)))


# --- the draws ------------------------------------------------------------------------------------------------------

Rows = tuple[np.ndarray, np.ndarray]


def by_rows(world: World, n: int, rng: np.random.Generator) -> Rows:
    order = rng.permutation(len(world.query))
    return order[:n], order[n : 2 * n]


def by_queries(world: World, n: int, rng: np.random.Generator) -> Rows:
    rank = rng.permutation(world.query.max() + 1)[world.query]
    order = np.argsort(rank, kind="stable")
    return order[:n], order[n : 2 * n]


def shuffled(pairs: pa.Table, share: float, rng: np.random.Generator) -> pa.Table:
    """Of that share of the rows, the products stand beside one another's queries."""
    places = np.flatnonzero(rng.random(pairs.num_rows) < share)
    moved = np.arange(pairs.num_rows)
    moved[places] = rng.permutation(places)
    at = pairs.column_names.index("product_text")
    return pairs.set_column(at, "product_text", pairs.column("product_text").take(pa.array(moved)))


@dataclass(frozen=True)
class Cell:
    """One way of drawing a reference and a batch."""

    name: str
    deal: Callable[[World, int, np.random.Generator], Rows]
    share: float = 0.0
    """Of the batch's pairs that are shuffled."""
    alike: bool = True
    """Whether rows of one query count for fewer."""


CELLS = (
    Cell("split by rows", by_rows),
    Cell("split by queries", by_queries),
    Cell("split by queries, each row for itself", by_queries, alike=False),
    *(Cell(f"{share:.0%} of the pairs shuffled".replace("%", " %"), by_queries, share) for share in SHARES),
)


# --- the comparison -------------------------------------------------------------------------------------------------


def drifted(world: World, cell: Cell, n: int, rng: np.random.Generator) -> set[str]:
    """The columns that drift between a reference and a batch."""
    before, now = (world.pairs.take(pa.array(rows)) for rows in cell.deal(world, n, rng))
    with patch_likeness(cell.alike):
        reference = profiled(before)
        current = profiled(shuffled(now, cell.share, rng), reference)
        reading = PairReading(world.model)
        asks = reading.counting(), reading.counting()
        columns = pair_columns(reference, current, asks, most=MODEL_ROWS).columns
        kept = Reference(reference, "reference", reference.rows, "", ())
        section = compare_with(kept, current, DriftSettings(), derived=columns)
    names = {column.column for column in section.drifted}
    return names | ({ANY} if names else set()) | ({OTHERS} if names & {"query", "product_text", "label"} else set())


def patch_likeness(alike: bool) -> Any:
    """Whether rows of one query are known to be alike."""
    from contextlib import ExitStack

    stack = ExitStack()
    if not alike:
        for module in ("monitor.drift", "monitor.pair_relation"):
            stack.enter_context(patch(f"{module}.groups_of", lambda _: None))
    return stack


def profiled(pairs: pa.Table, like: Profile | None = None) -> Profile:
    with tempfile.TemporaryDirectory() as scratch, open_batch(pairs, scratch=Path(scratch), kind="relevance") as batch:
        return profile(batch, like=like)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40, help="draws per cell (40)")
    parser.add_argument("--full", action="store_true", help="200 repeats")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 5_000], help="rows of a side (1000 5000)")
    parser.add_argument("--only", default="", help="only cells whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    report(200 if said.full else said.repeats, said.rows, said.seed, said.only)


def report(repeats: int, sizes: Sequence[int], seed: int = 0, only: str = "") -> None:
    """Print a Markdown table: shares of the repeats in which columns drifted."""
    print(f"{repeats} repeats; seed {seed}\n")
    print(
        f"| pairs | a side | what | {' | '.join(f'`{name}`' if name not in (ANY, OTHERS) else name for name in TOLD)} |"
    )
    print(f"|---|---|---|{'---|' * len(TOLD)}")
    for world in worlds(seed):
        for n in sizes:
            for number, cell in enumerate(CELLS):
                if only in cell.name:
                    found: Counter[str] = Counter()
                    for repeat in range(repeats):
                        found.update(drifted(world, cell, n, np.random.default_rng([seed, n, number, repeat])))
                    rates = " | ".join(f"{found[name] / repeats:.2f}" for name in TOLD)
                    print(f"| {world.name} | {n:,} | {cell.name} | {rates} |", flush=True)
                    print(f"{time.strftime('%H:%M:%S')} {world.name}, {n:,}: {cell.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
