"""How often does the test of texts raise a false alarm, and how often does it see a real change?

    python benchmarks/drift_power_text.py                  200 repeats a cell
    python benchmarks/drift_power_text.py --full           1,000
    python benchmarks/drift_power_text.py --only Intimate  the cells whose name holds it

Each repeat draws two samples that share no row, so the repeats of one cell differ, but all come from one finite set of
texts. Powers and false-alarm rates stand beside those of the loudest word alone (Bonferroni over words of at least 20
texts) and of Evidently's default for texts. The rates carry a standard error of sqrt(r (1 - r) / repeats).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.text_shift import compare_samples

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
LEVELS = (0.05, 0.05 / 11)
"""Level of a single column, and of the hardest one among 11 under Holm's correction."""
NEGATIONS = frozenset({"not", "no", "never", "nothing", "don't", "didn't", "doesn't", "isn't", "wasn't", "can't"})
Draw = Callable[[np.random.Generator], tuple[list[str], list[str]]]


@dataclass(frozen=True)
class Cell:
    """One way of drawing two samples."""

    name: str
    texts: int
    share: float
    """Share of the current texts that were replaced (0-1); NaN where whole samples differ."""
    draw: Draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="draws per cell (200)")
    parser.add_argument("--evidently-repeats", type=int, default=10, help="the same for Evidently, which is slow (10)")
    parser.add_argument("--full", action="store_true", help="1,000 repeats, 100 of Evidently")
    parser.add_argument("--only", default="", help="only cells whose name holds this")
    parser.add_argument("--texts", type=int, default=0, help="only cells of so many texts a side")
    parser.add_argument("--shares", type=float, nargs="*", help="only cells in which these shares were replaced (0–1)")
    said = parser.parse_args()
    repeats, of_evidently = (1000, 100) if said.full else (said.repeats, said.evidently_repeats)
    chosen = (
        cell
        for cell in cells()
        if said.only in cell.name and said.texts in (0, cell.texts) and (not said.shares or cell.share in said.shares)
    )
    report(chosen, repeats, of_evidently)


def report(cells: Iterable[Cell], repeats: int, of_evidently: int) -> None:
    """Print a Markdown table, a line for each cell as soon as it is measured."""
    print(f"α = 0.05 and 0.05/11 = {LEVELS[1]:.4f}; {repeats} repeats a cell, of Evidently {of_evidently}\n")
    print("| texts | a side | replaced | ours | ours, α/11 | loudest word | loudest word, α/11 | Evidently | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for cell in cells:
        print(line(cell, repeats, of_evidently), flush=True)


def cells() -> Iterator[Cell]:
    """All cells whose data is there; what is not is said on the error output."""
    for made in (clothing, datafiniti, inference):
        try:
            yield from made()
        except FileNotFoundError as missing:
            print(f"skipped {made.__name__}: {missing.filename} is not there", file=sys.stderr)
    yield from planted()


def line(cell: Cell, repeats: int, of_evidently: int) -> str:
    ours, loudest, evidently, seconds = [], [], [], 0.0
    for i in range(repeats):
        pair = cell.draw(np.random.default_rng([zlib.crc32(cell.name.encode()), cell.texts, i]))
        started = time.process_time()
        ours.append(compare_samples(*pair).p_value)
        seconds += (time.process_time() - started) / repeats
        loudest.append(loudest_word(*pair))
        if i < of_evidently:
            evidently.append(drifts_by_evidently(*pair))
        print(f"\r{cell.name}, {cell.texts}: {i + 1} of {repeats}", end="", file=sys.stderr, flush=True)
    rates = [f"{np.mean(np.array(p) <= level):.3f}" for p in (ours, loudest) for level in LEVELS]
    share = "" if np.isnan(cell.share) else f"{100 * cell.share:g} %"
    verdict = f"{np.mean(evidently):.2f}" if evidently else ""
    return f"| {' | '.join([cell.name, str(cell.texts), share, *rates, verdict, f'{seconds:.2f}'])} |"


# Where the texts come from


def read(path: str, *columns: str) -> list[NDArray[np.object_]]:
    import polars as pl

    where = SHARED / path
    if not where.exists():
        raise FileNotFoundError(2, "no such file", str(where))
    table = pl.read_parquet(where, columns=list(columns)).filter(pl.col(columns[0]).is_not_null())
    return [table[column].to_numpy().astype(object) for column in columns]


def mixture(texts: NDArray[np.object_], usual: NDArray[np.intp], other: NDArray[np.intp], n: int, share: float) -> Draw:
    def draw(random: np.random.Generator) -> tuple[list[str], list[str]]:
        rows, replaced = random.permutation(usual), round(n * share)
        current = np.concatenate([rows[n : 2 * n - replaced], random.choice(other, replaced, replace=False)])
        return texts[rows[:n]].tolist(), texts[current].tolist()

    return draw


def clothing() -> Iterator[Cell]:
    texts, department = read("reviews/womens_clothing_reviews.parquet", "Review Text", "Department Name")
    tops, anything = np.flatnonzero(department == "Tops"), np.arange(len(texts))
    for n in (1000, 4000):
        yield Cell("Tops", n, 0, mixture(texts, tops, tops, n, 0))
    yield Cell("all departments", 10_000, 0, mixture(texts, anything, anything, 10_000, 0))
    for share in (0.05, 0.01, 0.02, 0.10, 0.20):
        for name in ("Dresses", "Bottoms", "Intimate"):
            for n in (4000, 1000):
                other = np.flatnonzero(department == name)
                yield Cell(f"Tops, {name}", n, share, mixture(texts, tops, other, n, share))


def datafiniti() -> Iterator[Cell]:
    texts, dates = read("reviews/datafiniti_amazon_1429.parquet", "reviews.text", "reviews.date")
    years = np.array([str(date)[:4] for date in dates])
    for before, after in (("2016", "2016"), ("2015", "2016"), ("2016", "2017")):
        first, second = np.flatnonzero(years == before), np.flatnonzero(years == after)
        yield Cell(f"Datafiniti {before}, {after}", 1000, float("nan"), two_sets(texts, first, second, 1000))


def two_sets(texts: NDArray[np.object_], first: NDArray[np.intp], second: NDArray[np.intp], n: int) -> Draw:
    def draw(random: np.random.Generator) -> tuple[list[str], list[str]]:
        before = random.choice(first, n, replace=False)
        after = random.choice(np.setdiff1d(second, before), n, replace=False)
        return texts[before].tolist(), texts[after].tolist()

    return draw


def inference() -> Iterator[Cell]:
    from monitor.words import tokens

    (texts,) = read("nli/mnli_dev_matched.parquet", "hypothesis")
    negated = np.array([not NEGATIONS.isdisjoint(tokens(text)) for text in texts])
    anything = np.arange(len(texts))
    for n in (1000, 4000):
        yield Cell("MNLI", n, 0, mixture(texts, anything, anything, n, 0))
        yield Cell("MNLI, none with a negation", n, float("nan"), without(texts, negated, n, 1.0))
        yield Cell("MNLI, 3 in 10 negations less", n, float("nan"), without(texts, negated, n, 0.3))


def without(texts: NDArray[np.object_], marked: NDArray[np.bool_], n: int, share: float) -> Draw:
    """The current sample leaves out this share of the marked rows."""

    def draw(random: np.random.Generator) -> tuple[list[str], list[str]]:
        rows = random.permutation(len(texts))
        rest = rows[n:]
        kept = rest[~(marked[rest] & (random.random(len(rest)) < share))]
        return texts[rows[:n]].tolist(), texts[kept[:n]].tolist()

    return draw


def planted() -> Iterator[Cell]:
    for n in (1000, 10_000):
        yield Cell("made-up words", n, 0, topics(n, 0))
        yield Cell("made-up words, a topic", n, 0.05, topics(n, 0.05))


def topics(n: int, share: float) -> Draw:
    """Texts of 30 words after Zipf's law; those of a topic take half of them from 150 that others use too."""

    def draw(random: np.random.Generator) -> tuple[list[str], list[str]]:
        rates = 1 / np.arange(1, 5001)
        words = random.choice(5000, (2 * n, 30), p=rates / rates.sum())
        replaced = n + np.arange(round(n * share))
        own = random.integers(1000, 1150, (len(replaced), 30))
        words[replaced] = np.where(random.random(own.shape) < 0.5, own, words[replaced])
        texts = [" ".join(f"w{word}" for word in row) for row in words.tolist()]
        return texts[:n], texts[n:]

    return draw


# What else could be asked


def loudest_word(reference: Sequence[str], current: Sequence[str]) -> float:
    """p of the largest |z| over words of at least 20 texts, Bonferroni."""
    from scipy.stats import norm
    from sklearn.feature_extraction.text import CountVectorizer

    holds = CountVectorizer(binary=True, min_df=20).fit_transform([*reference, *current])
    before = np.asarray(holds[: len(reference)].mean(axis=0)).ravel()
    after = np.asarray(holds[len(reference) :].mean(axis=0)).ravel()
    rate = np.asarray(holds.mean(axis=0)).ravel()
    error = np.sqrt(np.maximum(rate * (1 - rate), 1e-12) * (1 / len(reference) + 1 / len(current)))
    return float(min(1.0, len(rate) * 2 * norm.sf((np.abs(after - before) / error).max())))


def drifts_by_evidently(reference: Sequence[str], current: Sequence[str]) -> bool:
    """Evidently's own verdict, with what it takes by default for so many texts."""
    os.environ["DO_NOT_TRACK"] = "1"
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(text_columns=["text"])
    before, after = (
        Dataset.from_pandas(pd.DataFrame({"text": texts}), data_definition=definition) for texts in (reference, current)
    )
    run = Report([ValueDrift(column="text")], include_tests=True).run(after, before)
    return any("FAIL" in str(test["status"]) for test in run.dict()["tests"])


if __name__ == "__main__":
    main()
