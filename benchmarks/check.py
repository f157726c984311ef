"""How fast does a check count and find bad rows, beside one scan of the file and beside its peers?

    python benchmarks/check.py --rows 1000000            # DuckDB scan, shopmon, pandera, pointblank, GX on pandas
    python benchmarks/check.py --rows 10000000 --skip gx,pandera,pointblank
    python benchmarks/check.py --rows 1000000 --only whole,whole-suite,parts,small

`whole` is what a shop runs every day: the rules, the comparison with a reference of 100,000 other reviews (texts and
Evidently's report among it), and the edge cases with the words of the Nike experiment. `parts` takes it apart, one step
after the other, where the check itself does two at once; `small` is a file of 1,000 rows, imports and start included.

Every contestant runs in a process of its own, in turn, several times over; times are medians. `work` is what the
contestant does once its libraries are imported: read the file, count fifteen rules, and say which rows break them.
`CPU` are the seconds of all cores that this took. `process` is the whole process. The ratio to the scan compares work
within the same round, so that it holds when the machine's speed drifts. The peak is the largest resident size of the
process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHOP = "shop"
"""The folder beside the file in which `whole` finds its project."""
REFERENCE_ROWS, SMALL_ROWS = 100_000, 1_000
IMPORTED = (
    "monitor.runs",
    "expectations.judge",
    "expectations.validation",
    "monitor.drift",
    "monitor.edge_cases",
    "monitor.retraining_set",
    "evidently.metrics",
    "uptrain.framework.signal",
    "vaderSentiment.vaderSentiment",
    "pandas",
    "scipy.stats",
)
"""Modules that are loaded before the clock of `work` starts."""
HTML = r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>"
UNTIDY = r"^\s|\s$"
RULES: list[dict[str, Any]] = [
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}},
    {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "text"}},
    {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "text", "regex": r"\S"}},
    {
        "type": "expect_column_value_lengths_to_be_between",
        "kwargs": {"column": "text", "min_value": 2, "max_value": 2000},
    },
    {"type": "expect_column_values_to_not_match_regex", "kwargs": {"column": "text", "regex": HTML}},
    {"type": "expect_column_values_to_not_match_regex", "kwargs": {"column": "text", "regex": UNTIDY}},
    {"type": "expect_column_values_to_not_match_regex", "kwargs": {"column": "title", "regex": UNTIDY}},
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "stars"}},
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "stars", "min_value": 1, "max_value": 5}},
    {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "price", "min_value": 0.01, "max_value": 10000},
    },
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "date"}},
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "brand"}},
    {
        "type": "expect_column_value_lengths_to_be_between",
        "kwargs": {"column": "category", "min_value": 3, "max_value": 40},
    },
    {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "locale", "regex": r"^[a-z]{2}(-[A-Z]{2})?$"}},
]
"""Fifteen rules that every contestant can express."""


@dataclass(frozen=True)
class Run:
    """One contestant's one run."""

    work: float
    """Seconds."""
    process: float
    """Seconds, imports and start included."""
    cpu: float
    """Seconds of all cores together that `work` took, which says more than `work` where other programs run."""
    peak: float
    """Bytes of resident memory at most."""
    bad_rows: int


# --- contestants: each gives the work as a function, after its imports ----------------------------------------------


def duckdb_scan(path: Path) -> Callable[[], int]:
    import duckdb

    def work() -> int:
        connection = duckdb.connect()
        columns = [
            row[0] for row in connection.execute("describe select * from read_parquet($p)", {"p": str(path)}).fetchall()
        ]
        hashed = ", ".join(f'"{name}"' for name in columns)
        connection.execute(f"select bit_xor(hash({hashed})) from read_parquet($p)", {"p": str(path)}).fetchall()
        return 0

    return work


def shopmon_scan(path: Path, suite: Path | None = None) -> Callable[[], int]:
    import expectations.judge  # noqa: F401
    from expectations.batch import open_batch
    from expectations.suite import built_in, load_suite
    from expectations.validation import validate

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder, open_batch(path, scratch=Path(folder), kind="reviews") as batch:
            chosen = load_suite(suite or built_in("reviews"))
            found = validate(batch, chosen, folder=Path(folder))
            return found.quarantined

    return work


def shopmon_fifteen(path: Path) -> Callable[[], int]:
    return shopmon_scan(path, _suite(path.parent))


def _suite(folder: Path) -> Path:
    suite = folder / "fifteen.yaml"
    rules = [{**rule, "meta": {"id": f"rule-{number}"}} for number, rule in enumerate(RULES)]
    suite.write_text(json.dumps({"name": "fifteen", "kind": "reviews", "expectations": rules}))
    return suite


def shopmon_whole(path: Path, *, fifteen: bool = True) -> Callable[[], int]:
    """Rules, drift and edge cases, in a fresh copy of the project: its retraining set is empty."""
    _import_everything()
    from expectations.suite import built_in
    from shopmon.checking import check

    suite = _suite(path.parent) if fifteen else built_in("reviews")

    def work() -> int:
        with tempfile.TemporaryDirectory() as folder:
            project = shutil.copytree(path.parent / SHOP, Path(folder) / SHOP)
            return check(path, project=project, suite=suite).quarantined

    return work


def shopmon_whole_suite(path: Path) -> Callable[[], int]:
    return shopmon_whole(path, fifteen=False)


def _import_everything() -> None:
    """What a whole check imports while it works."""
    from shopmon.telemetry import switch_off

    switch_off()
    for name in IMPORTED:
        import_module(name)


def gx_pandas(path: Path) -> Callable[[], int]:
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.registry import get_expectation_impl

    def work() -> int:
        frame = pd.read_parquet(path)
        frame["row"] = range(len(frame))
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
        batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
        suite = gx.ExpectationSuite("s", [get_expectation_impl(rule["type"])(**rule["kwargs"]) for rule in RULES])
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
        results = batch.validate(suite, result_format=form).results
        return len({one["row"] for result in results for one in result.result.get("unexpected_index_list") or []})

    return work


def pandera_polars(path: Path) -> Callable[[], int]:
    import pandera.polars as pa
    import polars as pl

    schema = _pandera_schema(pa, pl)

    def work() -> int:
        frame = pl.read_parquet(path).with_row_index("row")
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as errors:
            return int(errors.failure_cases["index"].drop_nulls().n_unique())
        return 0

    return work


def _pandera_schema(pa: Any, pl: Any) -> Any:
    def lacks(pattern: str) -> Any:
        return pa.Check(lambda data: data.lazyframe.select(~pl.col(data.key).str.contains(pattern)))

    def has(pattern: str) -> Any:
        return pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).str.contains(pattern)))

    def long(least: int, most: int) -> Any:
        return pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).str.len_chars().is_between(least, most)))

    return pa.DataFrameSchema(
        {
            "id": pa.Column(nullable=False, unique=True),
            "text": pa.Column(checks=[has(r"\S"), long(2, 2000), lacks(HTML), lacks(UNTIDY)], nullable=False),
            "title": pa.Column(checks=[lacks(UNTIDY)], nullable=True),
            "stars": pa.Column(checks=[pa.Check.in_range(1, 5)], nullable=False),
            "price": pa.Column(checks=[pa.Check.in_range(0.01, 10000)], nullable=True),
            "date": pa.Column(nullable=False),
            "brand": pa.Column(nullable=False),
            "category": pa.Column(checks=[long(3, 40)], nullable=True),
            "locale": pa.Column(checks=[has(r"^[a-z]{2}(-[A-Z]{2})?$")], nullable=True),
        }
    )


def pointblank_polars(path: Path) -> Callable[[], int]:
    import pointblank as pb
    import polars as pl

    def work() -> int:
        validation = (
            pb.Validate(data=pl.read_parquet(path))
            .col_vals_not_null(columns=["id", "text", "stars", "date", "brand"])
            .rows_distinct(columns_subset="id")
            .col_vals_regex(columns="text", pattern=r"\S", na_pass=True)
            .col_vals_expr(expr=pl.col("text").str.len_chars().is_between(2, 2000).fill_null(True))
            .col_vals_expr(expr=(~pl.col("text").str.contains(HTML)).fill_null(True))
            .col_vals_expr(expr=(~pl.col("text").str.contains(UNTIDY)).fill_null(True))
            .col_vals_expr(expr=(~pl.col("title").str.contains(UNTIDY)).fill_null(True))
            .col_vals_between(columns="stars", left=1, right=5, na_pass=True)
            .col_vals_between(columns="price", left=0.01, right=10000, na_pass=True)
            .col_vals_expr(expr=pl.col("category").str.len_chars().is_between(3, 40).fill_null(True))
            .col_vals_regex(columns="locale", pattern=r"^[a-z]{2}(-[A-Z]{2})?$", na_pass=True)
            .interrogate(collect_extracts=False)
        )
        return int(validation.get_sundered_data(type="fail").height)

    return work


CONTESTANTS: dict[str, tuple[str, Callable[[Path], Callable[[], int]]]] = {
    "scan": ("DuckDB, scan of all columns", duckdb_scan),
    "shopmon": ("shopmon, 15 rules and bad rows", shopmon_fifteen),
    "suite": ("shopmon, its own suite for reviews", shopmon_scan),
    "whole": ("shopmon, whole check with 15 rules", shopmon_whole),
    "whole-suite": ("shopmon, whole check with its own suite", shopmon_whole_suite),
    "pandera": ("pandera on Polars, 15 rules", pandera_polars),
    "pointblank": ("pointblank on Polars, 15 rules", pointblank_polars),
    "gx": ("Great Expectations on pandas, 15 rules", gx_pandas),
}


# --- the project of a whole check, its parts, and a small file ------------------------------------------------------


def make_shop(folder: Path) -> None:
    """A project with the words of the Nike experiment and a reference of other reviews; kept if it is there."""
    shop = folder / SHOP
    if shop.exists():
        return
    example = (HERE.parent / "examples" / "nike" / "shopmon.toml").read_text()
    words = example[example.index("[edge_cases.words]") : example.index("# The hackathon's rule")]
    making = Path(tempfile.mkdtemp(dir=folder)) / SHOP
    making.mkdir()
    (making / "shopmon.toml").write_text(words)
    before = making.parent / "before.parquet"
    generate(REFERENCE_ROWS, before, seed=1)
    set_reference = "import sys; from shopmon.references import set_reference as s; s(sys.argv[1], project=sys.argv[2])"
    subprocess.run([sys.executable, "-c", set_reference, str(before), str(making)], check=True, env=_environment())
    making.rename(shop)
    shutil.rmtree(making.parent)


def parts(path: Path) -> dict[str, tuple[float, float]]:
    """Seconds of work and of CPU of each step of a whole check with fifteen rules, one after the other."""
    _import_everything()
    from expectations.batch import open_batch
    from expectations.suite import load_suite
    from expectations.validation import validate
    from monitor import drift, edge_cases, evidently_report, profiles, reference, retraining_set
    from shopmon.project import Project
    from shopmon.references import FIT, keep_fit
    from shopmon.rooms import drift_settings, edge_case_settings, evidently_settings

    project, took = Project.read(path.parent / SHOP), Stopwatch()
    settings, asked = drift_settings(project, []), evidently_settings(project)
    known = reference.load(project.references / "reviews")
    was = known.profile
    took.add("reading the reference")
    with tempfile.TemporaryDirectory() as folder, open_batch(path, scratch=Path(folder), kind="reviews") as batch:
        keep_fit(batch, validate(batch, load_suite(_suite(path.parent)), folder=Path(folder)))
        took.add("the rules, and bad rows aside")
        now = profiles.profile(batch, settings.profile, like=was, relation=FIT)
        took.add("the profile, words of 50,000 texts counted")
        drift.compare_with(known, now, settings)
        took.add("the comparison, language of the texts among it")
        names = list(was.columns)
        before, after = (one.sample.select(names).to_pandas() for one in (was, now))
        if asked is not None:
            evidently_report.report(before, after, was.sorts, asked, Path(folder), None, "shop", "run")
        took.add("Evidently's report")
        found = edge_cases.select(batch, edge_case_settings(project), relation=FIT, reference=was)
        took.add("the selection of edge cases")
        rows = found.rows.drop_columns("file").append_column("file", _column_of(found.rows.num_rows, str(path)))
        rows = rows.append_column("batch", _column_of(found.rows.num_rows, ""))
        retraining_set.RetrainingSet(Path(folder) / "retraining").add(rows, "run")
        took.add("the retraining set")
    return took.seconds


def _column_of(rows: int, value: str) -> Any:
    import pyarrow as pa

    return pa.array([value] * rows, pa.string())


class Stopwatch:
    """What each step took since the one before it."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}
        self._last = time.perf_counter(), time.process_time()

    def add(self, step: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.seconds[step] = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now


def small_file(folder: Path, repeats: int = 5) -> list[float]:
    """Seconds of wall time that `shopmon check` takes of 1,000 rows of CSV, from the shell and back, each time."""
    import duckdb

    parquet, csv = folder / "small.parquet", folder / "small.csv"
    generate(SMALL_ROWS, parquet, seed=2)
    duckdb.sql(f"copy (from '{parquet}') to '{csv}'")
    took = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as fresh:
            shop = shutil.copytree(folder / SHOP, Path(fresh) / SHOP)
            command = [sys.executable, "-m", "shopmon", "check", str(csv), "--project", str(shop), "--quiet"]
            start = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
            took.append(time.perf_counter() - start)
            if done.returncode not in (0, 1):
                raise RuntimeError(done.stderr)
    return took


def generate(rows: int, out: Path, seed: int = 0) -> None:
    command = [sys.executable, str(HERE / "generate.py"), "--rows", str(rows), "--out", str(out), "--seed", str(seed)]
    subprocess.run(command, check=True, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent), "DO_NOT_TRACK": "1"}


# --- measuring -------------------------------------------------------------------------------------------------------


def run_one(name: str, path: Path) -> None:
    """In the contestant's own process: work once, and print what it took."""
    if name == "parts":
        print(json.dumps(parts(path)))
        return
    work = CONTESTANTS[name][1](path)
    start, before = time.perf_counter(), time.process_time()
    bad_rows = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"work": seconds, "cpu": cpu, "peak": peak, "bad_rows": bad_rows}))


def in_own_process(name: str, path: Path) -> dict[str, Any]:
    """What a contestant printed. Raises RuntimeError with its last words."""
    command = [sys.executable, __file__, "--one", name, "--file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(name: str, path: Path) -> Run | str:
    start = time.perf_counter()
    try:
        told = in_own_process(name, path)
    except RuntimeError as error:
        return str(error)
    return Run(told["work"], time.perf_counter() - start, told["cpu"], told["peak"], told["bad_rows"])


def rounds(names: list[str], path: Path, repeats: int) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(repeats):
        for name in names:
            print(f"round {number + 1} of {repeats}: {CONTESTANTS[name][0]}", file=sys.stderr)
            run = measure(name, path)
            if isinstance(run, str):
                print(f"  could not run: {run}", file=sys.stderr)
            else:
                found[name].append(run)
    return {name: runs for name, runs in found.items() if runs}


def table(found: dict[str, list[Run]], rows: int) -> str:
    lines = [
        "| contestant | work s | rows/s | × scan | CPU s | × scan's | process s | peak GB | bad rows |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        work = statistics.median(run.work for run in runs)
        beside = list(zip(runs, found["scan"], strict=False))
        ratio = statistics.median(run.work / scan.work for run, scan in beside)
        cpu_ratio = statistics.median(run.cpu / scan.cpu for run, scan in beside)
        lines.append(
            f"| {CONTESTANTS[name][0]} | {work:.2f} | {rows / work:,.0f} | {ratio:.1f} "
            f"| {statistics.median(run.cpu for run in runs):.2f} | {cpu_ratio:.1f} "
            f"| {statistics.median(run.process for run in runs):.1f} "
            f"| {statistics.median(run.peak for run in runs) / 1e9:.2f} | {runs[0].bad_rows:,} |"
        )
    return "\n".join(lines)


def parts_table(path: Path, repeats: int) -> str:
    found = [(in_own_process("scan", path), in_own_process("parts", path)) for _ in range(repeats)]
    lines = ["| part | work s | × scan | CPU s | × scan's |", "|---|---|---|---|---|"]
    for name in found[0][1]:
        each = [(steps[name], (scan["work"], scan["cpu"])) for scan, steps in found]
        told = [name]
        for kind in (0, 1):
            told.append(f"{statistics.median(step[kind] for step, _ in each):.2f}")
            told.append(f"{statistics.median(step[kind] / scan[kind] for step, scan in each):.1f}")
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated file")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the table holds medians")
    parser.add_argument("--file", type=Path, help="where the generated file is kept (default: a temporary folder)")
    known = ",".join([*CONTESTANTS, "parts", "small"])
    parser.add_argument("--skip", default="", help=f"contestants to leave out: {known}")
    parser.add_argument("--only", default="", help="contestants to run, beside the scan; otherwise all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(given.one, given.file)
        return
    asked = (given.only or known).split(",")
    names = [name for name in ("scan", *asked) if name not in given.skip.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "reviews.parquet"
        if not path.exists():
            generate(given.rows, path)
        report(list(dict.fromkeys(names)), path, given.rows, given.repeats)


def report(names: list[str], path: Path, rows: int, repeats: int) -> None:
    """Measure, and print the tables."""
    if {"whole", "whole-suite", "parts", "small"} & set(names):
        make_shop(path.parent)
    print(f"{rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB of parquet; medians of {repeats}; "
          f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}\n")  # fmt: skip
    print(table(rounds([name for name in names if name in CONTESTANTS], path, repeats), rows), flush=True)
    if "parts" in names:
        print("\n" + parts_table(path, repeats), flush=True)
    if "small" in names:
        print(f"\n{SMALL_ROWS:,} rows of CSV, a whole check: {statistics.median(small_file(path.parent)):.1f} s "
              "of wall time, imports included (median of 5)")  # fmt: skip


if __name__ == "__main__":
    main()
