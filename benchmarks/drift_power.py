"""How often does a check alarm for nothing, and which shifts does it find? Columns here, texts in drift_power_text.py,
queries with their products in drift_power_pairs.py.

    python benchmarks/drift_power.py                     # 200 repeats; Evidently beside shopmon on some of them
    python benchmarks/drift_power.py --full              # 1,000 repeats
    python benchmarks/drift_power.py --nannyml PYTHON    # a Python that has nannyml, which cannot live beside Evidently

Each repeat draws two samples of n rows from one world, the reference and the batch, so that every alarm over them is
false. A planted shift changes one column of the batch. Everybody sees the same samples:

- shopmon: two comparisons for each column, Holm's correction over all of them, and the floors on the effect;
- "without floors": the same without the floors, to see what the tests hold by themselves;
- Evidently: `ValueDrift` on each column with its default method and threshold;
- NannyML: its univariate calculator with its defaults, which cuts each sample into ten chunks; any chunk alarms.

"No shift" counts the samples in which any column alarms; a planted shift counts those in which its own column does.
The other two do not see columns of more than 500 categories (there their distances take noise for drift, and minutes),
nor titles, texts and dates.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from monitor.profiles import ColumnProfile, Sort

Values = np.ndarray
NUMBER, CATEGORY, DATE, LENGTH = "number", "category", "date", "length"
SIZES = (1_000, 10_000)
POOL = 200_000  # rows of made-up reviews that samples are drawn from
NO_SHIFT = "no shift, any alarm"


@dataclass(frozen=True)
class Column:
    """One column of a world."""

    name: str
    sort: str
    draw: Callable[[np.random.Generator, Values], Values]
    """Its values in those rows of the world; categories are numbers that stand for names."""
    peers: bool = True
    """Whether the other contestants see it as well."""


@dataclass(frozen=True)
class Planted:
    """One shift of one column."""

    name: str
    column: str
    change: Callable[[np.random.Generator, Values], Values]


@dataclass(frozen=True)
class World:
    """What samples are drawn from."""

    name: str
    columns: tuple[Column, ...]
    planted: tuple[Planted, ...]


@dataclass
class Tally:
    """How often a contestant alarmed."""

    alarms: int = 0
    repeats: int = 0

    def add(self, alarm: bool) -> None:
        self.alarms += alarm
        self.repeats += 1

    def __str__(self) -> str:
        return f"{self.alarms / self.repeats:.3f}" if self.repeats else "not run"


Tallies = dict[tuple[str, int, str, str], Tally]
"""By world, rows of a sample, shift, and contestant."""


# --- the worlds -----------------------------------------------------------------------------------------------------


def replaced(share: float, chances: Values) -> Callable[[np.random.Generator, Values], Values]:
    """That share of the rows drawn anew, with those chances for each category."""

    def change(rng: np.random.Generator, codes: Values) -> Values:
        drawn = rng.choice(len(chances), len(codes), p=chances / chances.sum())
        return np.where(rng.random(len(codes)) < share, drawn, codes)

    return change


def stretched(factor: float, share: float = 1.0) -> Callable[[np.random.Generator, Values], Values]:
    """That share of the rows multiplied."""
    return lambda rng, values: np.where(rng.random(len(values)) < share, factor, 1) * values


def raised(by: float) -> Callable[[np.random.Generator, Values], Values]:
    """Every row raised."""
    return lambda rng, values: values + by


def one_more(share: float, code: int) -> Callable[[np.random.Generator, Values], Values]:
    """That share of the rows in a category of their own."""
    return lambda rng, codes: np.where(rng.random(len(codes)) < share, code, codes)


def rarest(codes: Values, share: float) -> Values:
    """Equal chances for that share of the categories, the rarest ones, and none for the others."""
    rows = np.bincount(codes)
    chances = np.zeros(len(rows))
    chances[np.argsort(rows)[: round(share * len(rows))]] = 1
    return chances


def review_world(seed: int) -> World:
    """Made-up reviews, all eleven columns; of the texts their lengths."""
    import pyarrow.compute as pc

    from shopmon.sample_data import reviews

    table = reviews(POOL, seed=seed)
    pool: dict[str, Values] = {}
    sorts = {"date": DATE, "price": NUMBER, "stars": NUMBER, "title": LENGTH, "text": LENGTH}
    for name in table.column_names:
        column, sort = table[name].combine_chunks(), sorts.get(name, CATEGORY)
        if sort == CATEGORY:
            pool[name] = column.dictionary_encode().indices.to_numpy()
        elif sort == DATE:
            pool[name] = pc.cast(column, "int64").to_numpy() / 86_400e6
        else:
            pool[name] = (pc.utf8_length(column) if sort == LENGTH else column).to_numpy().astype(float)
    hidden = ("id", "user", "product", "title", "text", "date")
    columns = tuple(
        Column(name, sorts.get(name, CATEGORY), _from(values), name not in hidden) for name, values in pool.items()
    )
    planted = (
        Planted("price: mean + 0.1 sd", "price", raised(0.1 * float(pool["price"].std()))),
        Planted("category: 5 % from the rarer half", "category", replaced(0.05, rarest(pool["category"], 0.5))),
        Planted("brand: 5 % from the rarest tenth", "brand", replaced(0.05, rarest(pool["brand"], 0.1))),
        Planted("brand: 1 % of a new one", "brand", one_more(0.01, int(pool["brand"].max()) + 1)),
    )
    return World("reviews", columns, planted)


def _from(values: Values) -> Callable[[np.random.Generator, Values], Values]:
    return lambda rng, rows: values[rows]


def plain_world(seed: int) -> World:
    """Ten columns without any relation to each other: six of numbers, four of categories."""
    codes = {k: np.random.default_rng(seed).choice(k, 100_000, p=_zipf(k)) for k in (3, 12, 50, 2000)}
    columns = (
        Column("normal", NUMBER, lambda rng, rows: rng.normal(50, 10, len(rows))),
        Column("lognormal", NUMBER, lambda rng, rows: rng.lognormal(3, 1, len(rows))),
        Column("heavy-tailed", NUMBER, lambda rng, rows: np.round(10 * (1 + rng.pareto(1.5, len(rows))), 2)),
        Column("waiting", NUMBER, lambda rng, rows: rng.exponential(1, len(rows))),
        Column("stars", NUMBER, lambda rng, rows: rng.choice(np.arange(1.0, 6.0), len(rows), p=_zipf(5)[::-1])),
        Column("mostly zero", NUMBER, lambda rng, rows: (rng.random(len(rows)) < 0.01).astype(float)),
        *(Column(f"of {k}", CATEGORY, _by_zipf(k), k <= 500) for k in codes),
    )
    planted = (
        Planted("normal: mean + 0.1 sd", "normal", raised(1.0)),
        Planted("normal: variance x 1.2", "normal", lambda rng, values: 50 + (values - 50) * 1.2**0.5),
        Planted("normal: 5 % of rows x 5", "normal", stretched(5, 0.05)),
        Planted("heavy-tailed: 5 % of rows x 5", "heavy-tailed", stretched(5, 0.05)),
        Planted("of 12: 5 % from the rarer half", "of 12", replaced(0.05, rarest(codes[12], 0.5))),
        Planted("of 50: 5 % from reversed shares", "of 50", replaced(0.05, _zipf(50)[::-1])),
    )
    return World("plain", columns, planted)


def _by_zipf(k: int) -> Callable[[np.random.Generator, Values], Values]:
    return lambda rng, rows: rng.choice(k, len(rows), p=_zipf(k))


def _zipf(k: int) -> Values:
    weights = 1 / np.arange(1, k + 1)
    return np.asarray(weights / weights.sum())


# --- shopmon --------------------------------------------------------------------------------------------------------


def sort_of(column: Column) -> Sort:
    from monitor.profiles import Sort

    return {NUMBER: Sort.NUMBER, LENGTH: Sort.NUMBER, DATE: Sort.DATE, CATEGORY: Sort.CATEGORY}[column.sort]


def profiles_of(column: Column, reference: Values, current: Values) -> tuple[ColumnProfile, ColumnProfile]:
    """Both samples as a check would keep them, without the detour through files."""
    if column.sort == CATEGORY:
        return category_profile(reference), category_profile(current)
    edges = np.unique(np.quantile(reference, np.arange(1, 256) / 256, method="inverted_cdf"))
    edges = np.unique(np.append(edges, np.nextafter(reference.min(), -np.inf)))[-255:]
    return number_profile(reference, edges), number_profile(current, edges)


def number_profile(values: Values, edges: Values) -> ColumnProfile:
    from monitor.profiles import NumberProfile

    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    mean, std, minimum, maximum = (float(end) for end in (values.mean(), values.std(), values.min(), values.max()))
    return NumberProfile(len(values), 0, edges, counts, mean, std, minimum, maximum)


def category_profile(codes: Values) -> ColumnProfile:
    from monitor.profiles import BUCKETS, CategoryProfile

    counts = np.bincount(buckets(int(codes.max()) + 1)[codes], minlength=BUCKETS)
    return CategoryProfile(len(codes), 0, counts, {})


_BUCKETS: Values = np.empty(0, dtype=np.int64)


def buckets(codes: int) -> Values:
    """The bucket of each category, by its hash: tens of thousands share 4,096 of them, as in a check."""
    global _BUCKETS  # hashed once
    if len(_BUCKETS) < codes:
        from monitor.profiles import BUCKETS

        hashes = (hashlib.blake2b(str(code).encode(), digest_size=8).digest() for code in range(max(codes, 50_000)))
        _BUCKETS = np.array([int.from_bytes(each, "big") % BUCKETS for each in hashes])
    return _BUCKETS


def shopmon_alarms(columns: Mapping[str, tuple[Any, ...]]) -> tuple[set[str], set[str]]:
    """The columns that alarm, with the floors and without them, from each column's comparisons."""
    from monitor.multiplicity import holm
    from monitor.shift_tests import ShiftSettings

    asked = [comparison for comparisons in columns.values() for comparison in comparisons if comparison.tested]
    decided = zip(asked, holm([each.p_value for each in asked], ShiftSettings().level), strict=True)
    rejected = [comparison for comparison, decision in decided if decision.rejected]
    return {each.column for each in rejected if each.matters}, {each.column for each in rejected}


# --- the others -----------------------------------------------------------------------------------------------------


def evidently_alarms(reference: pd.DataFrame, current: pd.DataFrame, categories: list[str]) -> set[str]:
    """The columns that alarm by Evidently's defaults."""
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    numbers = [name for name in reference if name not in categories]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    before, now = (Dataset.from_pandas(frame, data_definition=definition) for frame in (reference, current))
    report = Report([ValueDrift(column=name) for name in reference], include_tests=True)
    told = report.run(now, before).dict()
    return {
        test["metric_config"]["params"]["column"] for test in told["tests"] if test["status"].split(".")[-1] == "FAIL"
    }


def nannyml_alarms(python: str, folder: Path) -> list[set[str]]:
    """The columns that alarm by NannyML's defaults, for each pair of samples in the folder, in order."""
    environment = os.environ | {"NML_DISABLE_USAGE_LOGGING": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([python, __file__, "--as-nannyml", str(folder)], check=True, env=environment, stdout=sys.stderr)
    return [set(names) for names in json.loads((folder / "alarms.json").read_text("utf-8"))]


def be_nannyml(folder: Path) -> None:
    """What the other Python runs: it has NannyML, and nothing of ours."""
    import nannyml
    import pandas

    alarms = []
    categories = json.loads((folder / "categories.json").read_text("utf-8"))
    for before in sorted(folder.glob("reference-*.parquet")):
        reference = pandas.read_parquet(before)
        current = pandas.read_parquet(before.with_name(before.name.replace("reference", "current")))
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=list(reference.columns), treat_as_categorical=categories
        )
        told = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
        alarms.append([name for name in reference if told.xs("alert", level=2, axis=1)[name].to_numpy().any()])
    (folder / "alarms.json").write_text(json.dumps(alarms), "utf-8")


# --- the replay -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Repeat:
    """Two samples of a world, and the batch's columns with each shift planted."""

    reference: dict[str, Values]
    current: dict[str, Values]
    shifted: dict[str, Values]
    """By the shift's name."""


def draw(world: World, n: int, seed: Iterable[int]) -> Repeat:
    rng = np.random.default_rng(list(seed))
    rows = rng.choice(POOL, 2 * n, replace=False)
    reference = {column.name: column.draw(rng, rows[:n]) for column in world.columns}
    current = {column.name: column.draw(rng, rows[n:]) for column in world.columns}
    shifted = {planted.name: planted.change(rng, current[planted.column]) for planted in world.planted}
    return Repeat(reference, current, shifted)


def replay(world: World, n: int, seed: int, options: argparse.Namespace, tallies: Tallies) -> None:
    """Count the alarms of all contestants over all repeats of one world and size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.repeats):
            repeat = draw(world, n, (seed, n, number))
            ask_shopmon(world, n, repeat, tallies)
            if number < options.peer_repeats:
                reference, current, categories = frames(world, repeat)
                if not options.no_evidently:
                    count(world, n, evidently_alarms(reference, current, categories), "Evidently", tallies)
                reference.to_parquet(folder / f"reference-{number:05}.parquet")
                current.to_parquet(folder / f"current-{number:05}.parquet")
                (folder / "categories.json").write_text(json.dumps(categories), "utf-8")
            progress(world, n, number + 1, options.repeats)
        if options.nannyml:
            for alarms in nannyml_alarms(options.nannyml, folder):
                count(world, n, alarms, "NannyML", tallies)


def ask_shopmon(world: World, n: int, repeat: Repeat, tallies: Tallies) -> None:
    from monitor.shift_tests import compare

    by_name = {column.name: column for column in world.columns}

    def compared(column: Column, current: Values) -> tuple[Any, ...]:
        return compare(column.name, sort_of(column), *profiles_of(column, repeat.reference[column.name], current))

    unshifted = {column.name: compared(column, repeat.current[column.name]) for column in world.columns}
    for contestant, alarms in zip(("shopmon", "without floors"), shopmon_alarms(unshifted), strict=True):
        tallies[world.name, n, NO_SHIFT, contestant].add(bool(alarms))
    for planted in world.planted:
        one = {planted.column: compared(by_name[planted.column], repeat.shifted[planted.name])}
        for contestant, alarms in zip(("shopmon", "without floors"), shopmon_alarms(unshifted | one), strict=True):
            tallies[world.name, n, planted.name, contestant].add(planted.column in alarms)


def frames(world: World, repeat: Repeat) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Both samples for the others, who judge a column without looking at others: each shift is a column of its own."""
    import pandas as pd

    by_name = {column.name: column for column in world.columns if column.peers}
    reference = {name: repeat.reference[name] for name in by_name}
    current = {name: repeat.current[name] for name in by_name}
    categories = {name for name, column in by_name.items() if column.sort == CATEGORY}
    for planted in world.planted:
        reference[planted.name] = repeat.reference[planted.column]
        current[planted.name] = repeat.shifted[planted.name]
        if planted.column in categories:
            categories.add(planted.name)
    before, now = pd.DataFrame(reference), pd.DataFrame(current)
    for name in categories:
        before[name], now[name] = before[name].astype(str), now[name].astype(str)
    return before, now, sorted(categories)


def count(world: World, n: int, alarms: set[str], contestant: str, tallies: Tallies) -> None:
    shifts = {planted.name for planted in world.planted}
    tallies[world.name, n, NO_SHIFT, contestant].add(bool(alarms - shifts))
    for shift in shifts:
        tallies[world.name, n, shift, contestant].add(shift in alarms)


def progress(world: World, n: int, done: int, repeats: int) -> None:
    if done % 25 == 0 or done == repeats:
        print(f"{time.strftime('%H:%M:%S')} {world.name}, n = {n:,}: {done} of {repeats}", file=sys.stderr, flush=True)


# --- the table ------------------------------------------------------------------------------------------------------

CONTESTANTS = ("shopmon", "without floors", "Evidently", "NannyML")


def table(worlds: Iterable[World], tallies: Tallies) -> str:
    """A Markdown table: shares of the repeats that alarmed, for both sizes."""
    header = [f"{contestant}, {n // 1000}k" for contestant in CONTESTANTS for n in SIZES]
    lines = [f"| world | shift | {' | '.join(header)} |", f"|---|---|{'---|' * len(header)}"]
    for world in worlds:
        for shift in (NO_SHIFT, *(planted.name for planted in world.planted)):
            cells = [str(tallies[world.name, n, shift, contestant]) for contestant in CONTESTANTS for n in SIZES]
            lines.append(f"| {world.name} | {shift} | {' | '.join(cells)} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=200, help="pairs of samples for each world and size")
    parser.add_argument("--peer-repeats", type=int, default=50, help="of these, how many the others see; they are slow")
    parser.add_argument(
        "--part", choices=("columns", "texts", "pairs", "all"), default="all", help="what to replay (all)"
    )
    parser.add_argument("--full", action="store_true", help="1,000 repeats, and 200 for the others")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-evidently", action="store_true")
    parser.add_argument("--nannyml", metavar="PYTHON", help="the path of a Python that has nannyml")
    parser.add_argument("--as-nannyml", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.full:
        options.repeats, options.peer_repeats = 1000, 200
    options.peer_repeats = min(options.peer_repeats, options.repeats)
    return options


def main() -> None:
    options = arguments()
    if options.as_nannyml:
        return be_nannyml(options.as_nannyml)
    if options.part in ("columns", "all"):
        columns(options)
    if options.part in ("pairs", "all"):
        import drift_power_pairs

        drift_power_pairs.report(min(options.repeats, 200), (1_000, 5_000), options.seed)
    if options.part in ("texts", "all"):
        import drift_power_text  # here, since a Python that has nannyml need not have what it stands on

        drift_power_text.report(drift_power_text.cells(), options.repeats, min(options.peer_repeats, options.repeats))
    return None


def columns(options: argparse.Namespace) -> None:
    """Numbers and categories."""
    worlds = (review_world(options.seed), plain_world(options.seed))
    tallies: Tallies = defaultdict(Tally)
    for number, world in enumerate(worlds):
        for n in SIZES:
            replay(world, n, 1000 * options.seed + number, options, tallies)
    print(f"{options.repeats} repeats; {options.peer_repeats} of them for Evidently and NannyML; seed {options.seed}\n")
    print(table(worlds, tallies), end="\n\n")


if __name__ == "__main__":
    main()
