"""What does a check on Spark cost: core seconds, shuffled bytes, memory of the driver; and what would a cluster need?

    python benchmarks/spark.py --folder /data/spark --rows 100000,400000 --cores 2
    python benchmarks/spark.py --folder /data/spark --rows 400000 --only-rules

The folder gets a shop with a reference of 20,000 reviews and files of 100,000 reviews each, as many as the largest size
asks for; what is there already is used again. Each size is a whole `shopmon check --engine spark`, `local[cores]`, in
a process of its own: the driver, its Java, and the Python workers of the executors. Core seconds are those of all
of them, as the system says, so that other programs on the machine do not count. Shuffled bytes and tasks are read from
Spark's event log, memory from the processes while they run.

With two sizes, the cost of a row is the difference of the two over the difference of their rows: what every check pays
once, such as starting Java, is left out of it and told as `fixed`. From that, a billion and a hundred billion rows are
extrapolated; docs/scale.md names what that assumes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pyarrow.parquet as pq

A_FILE, A_GROUP = 100_000, 50_000
"""Rows of a file, and of a row group."""
REFERENCE_ROWS = 20_000
EXTRAPOLATED = (1_000_000_000, 100_000_000_000)
LOOK_EVERY = 0.25
"""Seconds from one look at the processes to the next."""


@dataclass(frozen=True)
class Measured:
    """One check."""

    rows: int
    seconds: float
    """Of the whole command."""
    cpu: float
    """Core seconds of all its processes."""
    driver: int
    """Bytes of the Python driver at most."""
    java: int
    """Bytes of Java at most: driver and executors are one process here."""
    worker: int
    """Bytes of the largest Python worker at most."""
    shuffled: int
    """Bytes written for a shuffle."""
    returned: int
    """Bytes of the tasks' results."""
    tasks: int


def data(folder: Path, rows: int) -> list[Path]:
    """As many files as hold so many reviews, made where they are missing."""
    from shopmon import sample_data

    files = [folder / "data" / f"{number:05}.parquet" for number in range(-(-rows // A_FILE))]
    for number, file in enumerate(files):
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            table = sample_data.reviews(A_FILE, seed=1, start=(number + 1) * A_FILE)
            aside = file.with_suffix(".aside")
            pq.write_table(table, aside, row_group_size=A_GROUP, compression="zstd")
            aside.rename(file)
    return files


def shop(folder: Path) -> Path:
    """A project with a reference."""
    from shopmon import sample_data
    from shopmon.references import set_reference

    project = folder / "shop"
    if not (project / "shopmon.toml").exists():
        project.mkdir(parents=True, exist_ok=True)
        (project / "shopmon.toml").write_text("[drift]\nevidently = false\n", encoding="utf-8")
    if not (folder / "reference.parquet").exists():
        made = folder / "reference.aside.parquet"
        pq.write_table(sample_data.reviews(REFERENCE_ROWS, seed=1), made)
        set_reference(made, project=project)
        made.rename(folder / "reference.parquet")
    return project


def measure(files: Sequence[Path], project: Path, cores: int, options: Sequence[str]) -> Measured:
    """Run a check of the files, and look at its processes until it ends."""
    with TemporaryDirectory() as logs:
        conf = (
            f"--conf spark.eventLog.enabled=true --conf spark.eventLog.compress=false --conf spark.eventLog.dir={logs}"
        )
        env = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"--master local[{cores}] {conf} pyspark-shell"}
        command = [sys.executable, "-m", "shopmon", "check", *map(str, files), "--engine", "spark", *options]
        begun = time.perf_counter()
        child = psutil.Popen([*command, "--project", str(project)], env=env, stdout=subprocess.DEVNULL)
        seen = Seen()
        while child.poll() is None:
            seen.look(child)
            time.sleep(LOOK_EVERY)
        seconds = time.perf_counter() - begun
        if child.returncode not in (0, 1):
            raise SystemExit(f"the check ended with exit code {child.returncode}")
        ends = list(task_ends(Path(logs)))
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    metrics = [end.get("Task Metrics") or {} for end in ends]
    return Measured(
        rows,
        seconds,
        sum(seen.cpu.values()),
        seen.memory.get("driver", 0),
        seen.memory.get("java", 0),
        seen.memory.get("worker", 0),
        sum(one.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0) for one in metrics),
        sum(one.get("Result Size", 0) for one in metrics),
        len(ends),
    )


class Seen:
    """What was seen of a command and its children."""

    def __init__(self) -> None:
        self.cpu: dict[int, float] = {}
        self.memory: dict[str, int] = {}

    def look(self, command: psutil.Process) -> None:
        """Note what each process has taken so far."""
        for process in [command, *self._below(command)]:
            try:
                with process.oneshot():
                    times, memory, name = process.cpu_times(), process.memory_info().rss, process.name()
            except psutil.Error:  # it has just ended
                continue
            self.cpu[process.pid] = times.user + times.system
            role = "driver" if process.pid == command.pid else "java" if name == "java" else "worker"
            self.memory[role] = max(self.memory.get(role, 0), memory)

    @staticmethod
    def _below(command: psutil.Process) -> list[psutil.Process]:
        try:
            return list(command.children(recursive=True))
        except psutil.Error:
            return []


def task_ends(logs: Path) -> Iterator[dict[str, Any]]:
    """What Spark's event log says of each task that ended."""
    for file in logs.rglob("*"):
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.startswith('{"Event":"SparkListenerTaskEnd"'):
                    yield json.loads(line)


def told(found: Sequence[Measured], cores: int) -> Iterator[str]:
    """The tables."""
    yield f"local[{cores}], {platform.platform()}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}\n"
    yield "| rows | seconds | core seconds | rows/s a core | shuffled | results | driver | Java | worker | tasks |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for one in found:
        yield (
            f"| {one.rows:,} | {one.seconds:.0f} | {one.cpu:.0f} | {one.rows / one.cpu:,.0f} | "
            f"{one.shuffled / one.rows:.0f} B | {one.returned / 1e6:.1f} MB | {one.driver / 1e6:.0f} MB | "
            f"{one.java / 1e6:.0f} MB | {one.worker / 1e6:.0f} MB | {one.tasks:,} |"
        )
    if len(found) < 2:
        return
    few, many = found[0], found[-1]
    more = many.rows - few.rows
    a_row, shuffled = (many.cpu - few.cpu) / more, (many.shuffled - few.shuffled) / more
    yield f"\nfixed: {few.cpu - few.rows * a_row:.0f} core seconds; a further row: {a_row * 1e6:.1f} core microseconds,"
    yield f"{1 / a_row:,.0f} rows/s a core, {shuffled:.0f} bytes shuffled\n"
    yield "| rows | core hours | on 1,000 cores | shuffled |"
    yield "|---:|---:|---:|---:|"
    for rows in EXTRAPOLATED:
        hours = rows * a_row / 3600
        yield f"| {rows:,} | {hours:,.0f} | {hours / 1000 * 60:,.1f} min | {rows * shuffled / 1e12:,.2f} TB |"


def main() -> None:
    """Measure each size, and tell what comes out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", default="100000,400000")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only-rules", action="store_true")
    asked = parser.parse_args()
    sizes = sorted(int(rows) for rows in asked.rows.split(","))
    project, options = shop(asked.folder), ["--only-rules"] if asked.only_rules else []
    files = data(asked.folder, sizes[-1])
    found = [measure(files[: -(-rows // A_FILE)], project, asked.cores, options) for rows in sizes]
    print(*told(found, asked.cores), sep="\n")


if __name__ == "__main__":
    main()
