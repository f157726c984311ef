"""What a comparison must compute at least, plainly: numpy and Polars, without profiles, corrections or explanations.

Numbers: Kolmogorov-Smirnov, Wasserstein, and on the reference's twenty quantiles PSI, Jensen-Shannon and chi-squared.
Categories: the last three on every value. Texts: in how many of them each word stands, by its
hash, and the largest z.
"""

from pathlib import Path
from typing import Any

import measuring
from questions import BEFORE, NOW, NUMBERS, TEXTS, columns


def prepare(folder: Path, scratch: Path, group: str) -> measuring.Work:
    import numpy as np
    import polars as pl

    def read(file: str) -> Any:
        return pl.read_parquet(folder / file, columns=list(columns(group)))

    def work() -> tuple[int, measuring.Found]:
        was, now = read(BEFORE), read(NOW)
        for name in columns(group):
            if name in TEXTS:
                largest_z(np, words(pl, was[name]), words(pl, now[name]), len(was), len(now))
            elif name in NUMBERS:
                numbers(np, was[name].to_numpy(), now[name].to_numpy())
            else:
                counted = (
                    was[name].value_counts(name="was").join(now[name].value_counts(name="now"), on=name, how="full")
                )
                shares(np, *(counted[side].fill_null(0).to_numpy() for side in ("was", "now")))
        return len(now), {}

    return work


def numbers(np: Any, was: Any, now: Any) -> tuple[float, ...]:
    """Kolmogorov-Smirnov's and Wasserstein's distance, and those of `shares` on twenty bins."""
    was, now = np.sort(was), np.sort(now)
    both = np.concatenate((was, now))
    order = np.argsort(both, kind="stable")  # two sorted runs: they are merged
    both = both[order]
    last = np.append(both[1:] != both[:-1], True)  # of equal values
    apart = np.abs(np.cumsum(np.where(order < len(was), 1 / len(was), -1 / len(now)))[last])
    edges = np.unique(was[(np.arange(1, 20) * len(was)) // 20])
    sides = (np.diff(np.searchsorted(side, edges), prepend=0, append=len(side)) for side in (was, now))
    return float(apart.max()), float((apart[:-1] * np.diff(both[last])).sum()), *shares(np, *sides)


def shares(np: Any, was: Any, now: Any) -> tuple[float, float, float]:
    """Population stability index, Jensen-Shannon distance and chi-squared of counts."""
    was, now = was.astype(float), now.astype(float)  # Polars counts without a sign
    p, q = (np.maximum(side, 0.5) / side.sum() for side in (was, now))
    half = (p + q) / 2
    psi = float(((q - p) * np.log(q / p)).sum())
    distance = float(np.sqrt(max(0.0, (p * np.log(p / half) + q * np.log(q / half)).sum() / 2)))
    together = was + now
    expected = np.maximum(together, 1) * (was.sum() / together.sum())
    each = (was - expected) ** 2 / expected + (now - together + expected) ** 2 / np.maximum(together - expected, 1e-9)
    return psi, distance, float(each[together > 0].sum())


def words(pl: Any, texts: Any) -> Any:
    """Hash of a word, as blanks part them → in how many texts it stands."""
    hashes = texts.str.to_lowercase().str.split(" ").list.eval(pl.element().hash())
    return hashes.list.unique().explode().drop_nulls().value_counts().rename({texts.name: "word"})


def largest_z(np: Any, was: Any, now: Any, rows: int, rows_now: int) -> float:
    both = was.join(now, on="word", how="full", suffix="_now").fill_null(0)
    a, b = both["count"].to_numpy(), both["count_now"].to_numpy()
    shared = (a + b) / (rows + rows_now)
    return float(
        np.abs((b / rows_now - a / rows) / np.sqrt(shared * (1 - shared) * (1 / rows + 1 / rows_now) + 1e-12)).max()
    )


if __name__ == "__main__":
    measuring.run(prepare)
