"""How fast does a check count and find bad rows, beside one scan of the file and beside its peers?

    python benchmarks/check.py --rows 1000000            # DuckDB scan, shopmon, pandera, pointblank, GX on pandas
    python benchmarks/check.py --rows 10000000 --skip gx,pandera,pointblank

Every contestant runs in a process of its own, in turn, several times over; times are medians. `work` is what the
contestant does once its libraries are imported: read the file, count fifteen rules, and say which rows break them.
`process` is the whole process. The ratio to the scan compares work within the same round, so that it holds when the
machine's speed drifts. The peak is the largest resident size of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
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
    "pandera": ("pandera on Polars, 15 rules", pandera_polars),
    "pointblank": ("pointblank on Polars, 15 rules", pointblank_polars),
    "gx": ("Great Expectations on pandas, 15 rules", gx_pandas),
}


# --- measuring -------------------------------------------------------------------------------------------------------


def run_one(name: str, path: Path) -> None:
    """In the contestant's own process: work once, and print what it took."""
    work = CONTESTANTS[name][1](path)
    start = time.perf_counter()
    bad_rows = work()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"work": seconds, "peak": peak, "bad_rows": bad_rows}))


def measure(name: str, path: Path) -> Run | str:
    start = time.perf_counter()
    command = [sys.executable, __file__, "--one", name, "--file", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "DO_NOT_TRACK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    told = json.loads(done.stdout.splitlines()[-1])
    return Run(told["work"], time.perf_counter() - start, told["peak"], told["bad_rows"])


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
        "| contestant | work s | rows/s | × scan | process s | peak GB | bad rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        work = statistics.median(run.work for run in runs)
        ratios = [run.work / scan.work for run, scan in zip(runs, found["scan"], strict=False)]
        lines.append(
            f"| {CONTESTANTS[name][0]} | {work:.2f} | {rows / work:,.0f} | {statistics.median(ratios):.1f} "
            f"| {statistics.median(run.process for run in runs):.1f} "
            f"| {statistics.median(run.peak for run in runs) / 1e9:.2f} | {runs[0].bad_rows:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated file")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the table holds medians")
    parser.add_argument("--file", type=Path, help="where the generated file is kept (default: a temporary folder)")
    parser.add_argument("--skip", default="", help="contestants to leave out: " + ",".join(CONTESTANTS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(given.one, given.file)
        return
    names = [name for name in CONTESTANTS if name == "scan" or name not in given.skip.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        path = given.file or Path(folder) / "reviews.parquet"
        if not path.exists():
            subprocess.run([sys.executable, HERE / "generate.py", "--rows", str(given.rows), "--out", path], check=True,
                           env={**os.environ, "PYTHONPATH": str(HERE.parent)})  # fmt: skip
        found = rounds(names, path, given.repeats)
        size = path.stat().st_size / 1e6
    print(f"{given.rows:,} rows, {size:,.0f} MB of parquet; medians of {given.repeats}; {os.cpu_count()} cores; "
          f"Python {platform.python_version()}\n")  # fmt: skip
    print(table(found, given.rows))


if __name__ == "__main__":
    main()
