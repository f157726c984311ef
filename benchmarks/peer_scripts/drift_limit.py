"""What a comparison must compute at least, plainly: numpy and Polars, without profiles, corrections or explanations.

Numbers: Kolmogorov-Smirnov, Wasserstein, and on the reference's twenty quantiles PSI, Jensen-Shannon and chi-squared.
Categories: the last three on every value. Texts: in how many of them each word stands, and the largest z.
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
                largest_z(np, *(words(pl, frame[name]) for frame in (was, now)), len(was), len(now))
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
    was, now = np.sort(was), np.sort(now)
    both = np.sort(np.concatenate((was, now)), kind="stable")
    apart = np.abs(
        np.searchsorted(was, both, side="right") / len(was) - np.searchsorted(now, both, side="right") / len(now)
    )
    edges = np.unique(np.quantile(was, np.linspace(0, 1, 21)[1:-1]))
    sides = (np.diff(np.searchsorted(side, edges), prepend=0, append=len(side)) for side in (was, now))
    return float(apart.max()), float((apart[:-1] * np.diff(both)).sum()), *shares(np, *sides)


def shares(np: Any, was: Any, now: Any) -> tuple[float, float, float]:
    """Population stability index, Jensen-Shannon distance and chi-squared of counts."""
    p, q = (np.maximum(side, 0.5) / side.sum() for side in (was, now))
    half = (p + q) / 2
    psi = float(((q - p) * np.log(q / p)).sum())
    distance = float(np.sqrt((p * np.log(p / half) + q * np.log(q / half)).sum() / 2))
    together = was + now
    expected = together * (was.sum() / together.sum())
    return (
        psi,
        distance,
        float(((was - expected) ** 2 / expected + (was - expected) ** 2 / (together - expected)).sum()),
    )


def words(pl: Any, texts: Any) -> Any:
    """Word → in how many texts it stands."""
    split = texts.str.to_lowercase().str.extract_all(r"[a-z0-9]+").list.unique()
    return split.explode().drop_nulls().value_counts().rename({texts.name: "word"})


def largest_z(np: Any, was: Any, now: Any, rows: int, rows_now: int) -> float:
    both = was.join(now, on="word", how="full", suffix="_now").fill_null(0)
    a, b = both["count"].to_numpy(), both["count_now"].to_numpy()
    shared = (a + b) / (rows + rows_now)
    return float(
        np.abs((b / rows_now - a / rows) / np.sqrt(shared * (1 - shared) * (1 / rows + 1 / rows_now) + 1e-12)).max()
    )


if __name__ == "__main__":
    measuring.run(prepare)
