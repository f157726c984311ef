"""Who should count fifteen rules on Spark: our SQL in each task, Spark SQL, or Great Expectations' Spark engine?

    python benchmarks/spark_rules.py --folder /data/spark --rows 200000 --cores 2

The files of `benchmarks/spark.py`, of whose rows every 200th has stars beyond five. Each contestant is a process of its
own that starts Spark with `local[cores]`, counts the rules of `benchmarks/check.py`, and writes the rows that
break one, with the numbers of the rules, as parquet. `nothing` starts Spark and ends: what it takes is taken off. Core
seconds are those of all processes, as the system says, so that other programs on the machine do not count.

Spark SQL is written by hand, for these rules alone: regular expressions are Java's, and lengths are those of Java. It
is here as the least that a second dialect would cost.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
CONTESTANTS = ("nothing", "shopmon", "spark sql", "great expectations")


def started() -> Any:
    """The session that the environment asks for."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()


def nothing(files: Sequence[str], folder: Path) -> int:
    """Start Spark, and have two workers of Python."""
    started().range(0, 2, 1, 2).mapInArrow(lambda batches: batches, "id long").collect()
    return 0


def shopmon(files: Sequence[str], folder: Path) -> int:
    """Our SQL, by DuckDB in each task."""
    from ruamel.yaml import YAML

    from expectations.batch import open_batch
    from expectations.spark_validation import validate_on_spark
    from expectations.suite import load_suite

    rules = import_module("check").RULES
    suite = folder / "suite.yaml"
    with suite.open("w") as file:
        asked = [{**rule, "meta": {"id": f"rule-{number}"}} for number, rule in enumerate(rules)]
        YAML().dump({"name": "fifteen", "expectations": asked}, file)
    with open_batch(files, scratch=folder, kind="reviews") as batch:
        return validate_on_spark(
            batch, load_suite(suite), started(), folder=folder, staging=folder / "staging"
        ).validation.quarantined


def spark_sql(files: Sequence[str], folder: Path) -> int:
    """Conditions in Spark's dialect; counts in one pass, failing rows in another."""
    check = import_module("check")
    read = started().read.parquet(*files)
    copied = read.groupBy("id").count().where("count > 1").withColumnRenamed("count", "copies")
    frame = read.join(copied, "id", "left")
    conditions = [_condition(rule, check) for rule in check.RULES]
    numbered = [f"case when {condition} then {number} end" for number, condition in enumerate(conditions)]
    flagged = frame.selectExpr("*", f"array_compact(array({', '.join(numbered)})) as rules")
    bad = flagged.where("size(rules) > 0").drop("copies")
    bad.write.parquet(str(folder / "bad"))
    frame.selectExpr(*(f"count_if({condition}) as r{n}" for n, condition in enumerate(conditions))).collect()
    return int(started().read.parquet(str(folder / "bad")).count())


def _condition(rule: dict[str, Any], check: Any) -> str:
    """SQL of Spark: a row breaks the rule."""
    asked, column = rule["kwargs"], rule["kwargs"]["column"]
    kind = rule["type"].removeprefix("expect_column_")
    if kind == "values_to_not_be_null":
        return f"{column} is null"
    if kind == "values_to_be_unique":
        return "copies > 1"
    if kind == "values_to_be_between":
        return f"{column} < {asked['min_value']} or {column} > {asked['max_value']}"
    if kind == "value_lengths_to_be_between":
        return f"char_length({column}) < {asked['min_value']} or char_length({column}) > {asked['max_value']}"
    found = f"{column} rlike r'{asked['regex']}'"
    return found if "not_match" in kind else f"not ({found})"


def great_expectations(files: Sequence[str], folder: Path) -> int:
    """Great Expectations' own engine, told to number the failing rows, which come to the driver."""
    import great_expectations as gx
    from great_expectations.expectations.registry import get_expectation_impl
    from pyspark.sql.functions import monotonically_increasing_id

    rules = import_module("check").RULES
    context = gx.get_context(mode="ephemeral")
    frame = started().read.parquet(*files).withColumn("row", monotonically_increasing_id())
    asset = context.data_sources.add_spark("s").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite("fifteen", [get_expectation_impl(rule["type"])(**rule["kwargs"]) for rule in rules])
    form: Any = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    told = batch.validate(suite, result_format=form).results
    return len({row["row"] for one in told for row in one.result.get("unexpected_index_list") or []})


RUN: dict[str, Callable[[Sequence[str], Path], int]] = {
    "nothing": nothing,
    "shopmon": shopmon,
    "spark sql": spark_sql,
    "great expectations": great_expectations,
}


def measure(name: str, files: Sequence[Path], cores: int) -> tuple[float, float, int]:
    """Seconds, core seconds, and rows that break a rule."""
    import psutil

    seen = import_module("spark").Seen()
    env = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"--master local[{cores}] --driver-memory 2g --conf spark.ui.enabled=false "
        "--conf spark.driver.bindAddress=127.0.0.1 --conf spark.driver.host=127.0.0.1 pyspark-shell",
    }
    begun = time.perf_counter()
    child = psutil.Popen(
        [sys.executable, __file__, "--run", name, *map(str, files)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while child.poll() is None:
        seen.look(child)
        time.sleep(0.2)
    seconds = time.perf_counter() - begun
    if child.returncode:
        raise SystemExit(f"{name} ended with exit code {child.returncode}")
    return seconds, sum(seen.cpu.values()), int(child.stdout.read().split()[-1])


def with_faults(folder: Path, rows: int) -> list[Path]:
    """The files, in which stars lie beyond five every 200 rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    spark = import_module("spark")
    made = []
    for file in spark.data(folder, rows):
        faulty = folder / "faulty" / file.name
        if not faulty.exists():
            faulty.parent.mkdir(exist_ok=True)
            table = pq.read_table(file)
            stars = table["stars"].to_pylist()
            stars[::200] = [9] * len(stars[::200])
            table = table.set_column(table.column_names.index("stars"), "stars", pa.array(stars, pa.int64()))
            pq.write_table(table, faulty, row_group_size=spark.A_GROUP, compression="zstd")
        made.append(faulty)
    return made


def main() -> None:
    """Measure each contestant once, and tell what comes out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--run", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        with TemporaryDirectory() as folder:
            print(RUN[asked.run](asked.files, Path(folder)))
        return
    files = with_faults(asked.folder, asked.rows)
    found = {name: measure(name, files, asked.cores) for name in CONTESTANTS}
    start = found.pop("nothing")
    print("| fifteen rules on Spark | seconds | core seconds | rows that break one |\n|---|---:|---:|---:|")
    for name, (seconds, cpu, bad) in found.items():
        print(f"| {name} | {seconds - start[0]:.1f} | {cpu - start[1]:.1f} | {bad:,} |")


if __name__ == "__main__":
    main()
