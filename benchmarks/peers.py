"""How fast is shopmon beside others who do the same, in how much memory, and do they find the same?

    python benchmarks/peers.py                              # all three tasks at 1,000,000 rows
    python benchmarks/peers.py expectations drift --rows 100000 --repeats 1
    python benchmarks/peers.py drift --peers nannyml,whylogs

`expectations`: the fifteen rules of `benchmarks/check.py` asked of one file of reviews. `drift`: two files compared,
eight columns of numbers and categories (one of 42,000 values), then two of texts; in some a shift is planted.
`selection`: the reviews that name a brand, a product and a feature, and nothing unwanted.

Each peer gets an environment of its own, which this script makes with pip and keeps (`--environments`); one that cannot
be installed or fails is named below the table, with the reason. Every contestant runs in a process of its own
(`benchmarks/peer_scripts`), in turn, several times over; figures are medians. The clock of `work` starts when imports
are done and ends when the answer is there, reading the files included; `process` is the whole process. Ratios are taken
within a round. CPU and memory count the processes that a contestant starts, such as Spark's JVM.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "peer_scripts"
sys.path[:0] = [str(HERE), str(SCRIPTS)]

from peer_data import write_data  # noqa: E402
from peer_environments import PINS, QUIET, NotInstalled, default_folder, python_of  # noqa: E402
from questions import CHANGED, RULES  # noqa: E402

OURS = "shopmon"


@dataclass(frozen=True)
class Contestant:
    """Who answers, and by which script."""

    says: str
    script: str
    arguments: tuple[str, ...] = ()
    peer: str = ""
    """Whose environment it needs (`peer_environments.PINS`); none: the one of this script."""
    once: bool = False
    """Whether the first round is enough: it takes minutes."""


@dataclass(frozen=True)
class Run:
    """One contestant's one run."""

    rows: int
    """Rows it went through."""
    seconds: float
    """Of work, imports left out."""
    process: float
    """Seconds of the whole process."""
    cpu: float
    """Seconds of all cores that the work took, of its child processes too."""
    peak: float
    """Bytes of resident memory at most."""
    found: Mapping[str, Any]


Runs = dict[str, dict[int, Run]]
"""Contestant → round → run; a contestant without any run is not in it."""
Answer = Callable[[Run, Run | None], tuple[str, ...]]
"""What a table says of a contestant's findings, beside shopmon's."""


@dataclass(frozen=True)
class Target:
    """What was asked for: so many times the time (or the rate) of another contestant."""

    says: str
    of: str
    than: str
    at_least: float = 0
    at_most: float = float("inf")
    measure: str = "seconds"
    """`seconds` or `cpu`, of one row."""


@dataclass(frozen=True)
class Table:
    """Contestants who are asked the same."""

    title: str
    contestants: Mapping[str, Contestant]
    against: str
    """The contestant by whose time ratios are taken."""
    answers: tuple[str, ...]
    """Headings of what `answer` says."""
    answer: Answer
    targets: tuple[Target, ...] = ()


# --- what is said of findings ---------------------------------------------------------------------------------------


def rules_answer(run: Run, ours: Run | None) -> tuple[str, ...]:
    if not run.found:
        return "–", "–"
    if ours is None:
        return f"{run.found['bad rows']:,}", "–"
    same = [counted == by_us for counted, by_us in zip(run.found["rules"], ours.found["rules"], strict=True)]
    others = ", ".join(f"rule {number + 1}" for number, agrees in enumerate(same) if not agrees)
    agreed = f"{sum(same)} of {len(RULES)}" + (f", not {others}" if others else "")
    return f"{run.found['bad rows']:,}", agreed


def drift_answer(run: Run, _: Run | None) -> tuple[str, ...]:
    if not run.found:
        return "–", "–"
    alarms, asked = set(run.found["alarms"]), set(run.found["asked"])
    changed, others = asked & set(CHANGED), asked - set(CHANGED)
    missed = ", ".join(sorted(changed - alarms))
    false = ", ".join(sorted(alarms & others))
    return (
        f"{len(changed & alarms)} of {len(changed)}" + (f", not {missed}" if missed else ""),
        f"{len(others & alarms)} of {len(others)}" + (f": {false}" if false else ""),
    )


def selection_answer(run: Run, ours: Run | None) -> tuple[str, ...]:
    chosen = set(run.found["rows"])
    if ours is None:
        return f"{len(chosen):,}", "–"
    differ = chosen ^ {row for row in ours.found["rows"] if row <= run.rows}
    return f"{len(chosen):,} of {run.rows:,}", f"{len(differ):,} differ" if differ else "the same"


# --- who is asked ---------------------------------------------------------------------------------------------------

TABLES: Mapping[str, Table] = {
    "rules": Table(
        "Fifteen rules",
        {
            "scan": Contestant("DuckDB, scan of all columns", "rules_scan.py"),
            OURS: Contestant("shopmon, as a library", "rules_shopmon.py"),
            "command": Contestant("`shopmon check --only-rules`, whole", "commands.py", ("rules",)),
            "gx-pandas": Contestant("Great Expectations on pandas", "rules_gx_pandas.py", peer="great-expectations"),
            "gx-spark": Contestant(
                "Great Expectations on Spark", "rules_gx_spark.py", peer="great-expectations-spark", once=True
            ),
            "pandera": Contestant("pandera on Polars", "rules_pandera.py", peer="pandera"),
            "pointblank": Contestant("pointblank on Polars", "rules_pointblank.py", peer="pointblank"),
        },
        OURS,
        ("bad rows", "counts as shopmon's"),
        rules_answer,
        (Target("Great Expectations on pandas takes at least 8 × as long", "gx-pandas", OURS, at_least=8),),
    ),
    "tabular": Table(
        "Eight columns of numbers and categories",
        {
            "limit": Contestant("numpy and Polars, the limit", "drift_limit.py", ("tabular",)),
            OURS: Contestant("shopmon, as a library", "drift_shopmon.py", ("tabular",)),
            "command": Contestant("`shopmon check`, whole, texts too", "commands.py", ("drift",)),
            "nannyml": Contestant("NannyML", "drift_nannyml.py", ("tabular",), "nannyml"),
            "whylogs": Contestant("whylogs", "drift_whylogs.py", ("tabular",), "whylogs"),
            "evidently-few": Contestant(
                "Evidently, without the 42,000 categories", "drift_evidently.py", ("few",), "evidently"
            ),
            "evidently": Contestant("Evidently", "drift_evidently.py", ("tabular",), "evidently", once=True),
        },
        "limit",
        ("changed columns found", "false alarms"),
        drift_answer,
        (Target("shopmon takes at most 4 × the limit's CPU", OURS, "limit", at_most=4, measure="cpu"),),
    ),
    "texts": Table(
        "Two columns of texts",
        {
            "limit": Contestant("Polars, the limit: document frequencies", "drift_limit.py", ("texts",)),
            OURS: Contestant("shopmon, as a library: words of 50,000 texts a side", "drift_shopmon.py", ("texts",)),
            "every": Contestant("shopmon, words of every text", "drift_shopmon.py", ("texts", "every")),
            "evidently": Contestant("Evidently", "drift_evidently.py", ("texts",), "evidently", once=True),
        },
        "limit",
        ("changed columns found", "false alarms"),
        drift_answer,
        (
            Target("shopmon takes at most 4 × the limit's CPU", OURS, "limit", at_most=4, measure="cpu"),
            Target("so it does where it counts every text", "every", "limit", at_most=4, measure="cpu"),
        ),
    ),
    "choice": Table(
        "Reviews that name a brand, a product and a feature, and nothing unwanted",
        {
            OURS: Contestant("shopmon, as a library", "selection_shopmon.py"),
            "command": Contestant("`shopmon check`, whole", "commands.py", ("selection",)),
            "uptrain": Contestant("UpTrain 0.0.3, row by row", "selection_uptrain.py", ("1",), "uptrain"),
            "uptrain-1000": Contestant(
                "UpTrain 0.0.3, 1,000 rows at a time", "selection_uptrain.py", ("1000",), "uptrain"
            ),
        },
        OURS,
        ("chosen", "beside shopmon's"),
        selection_answer,
        (Target("UpTrain, row by row, takes at least 100 × as long for a row", "uptrain", OURS, at_least=100),),
    ),
}  # fmt: skip
TASKS = {"expectations": ("rules",), "drift": ("tabular", "texts"), "selection": ("choice",)}


# --- measuring ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """One run of this script."""

    tasks: tuple[str, ...]
    rows: int
    few: int
    repeats: int
    peers: frozenset[str]
    environments: Path


def measured(one: Contestant, python: Path, folder: Path) -> Run | str:
    """What a contestant printed, or its last words."""
    command = [str(python), str(SCRIPTS / one.script), str(folder), *one.arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | QUIET
    if not one.peer:
        environment["PYTHONPATH"] = str(HERE.parent)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    process = time.perf_counter() - start
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return Run(**json.loads(done.stdout.splitlines()[-1]), process=process)


def pythons(table: Table, asked: Asked) -> tuple[dict[str, Path], dict[str, str]]:
    """Contestant → its Python, of those that are wanted; and why others cannot be asked."""
    ready: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for name, one in table.contestants.items():
        if not one.peer:
            ready[name] = Path(sys.executable)
        elif one.peer in asked.peers:
            try:
                ready[name] = python_of(one.peer, asked.environments)
            except NotInstalled as error:
                missing[name] = f"could not be installed: {error}"
        else:
            missing[name] = "not asked for"
    return ready, missing


def rounds(table: Table, ready: Mapping[str, Path], folder: Path, repeats: int) -> tuple[Runs, dict[str, str]]:
    """Everybody in turn, so that what else the machine does meets all alike; and the last words of who failed."""
    runs: Runs = {}
    failed: dict[str, str] = {}
    for number in range(repeats):
        for name, python in ready.items():
            one = table.contestants[name]
            if name in failed or (one.once and number):
                continue
            print(f"round {number + 1} of {repeats}: {one.says}", file=sys.stderr, flush=True)
            run = measured(one, python, folder)
            if isinstance(run, str):
                failed[name] = f"could not run: {run}"
                print(f"  {failed[name]}", file=sys.stderr, flush=True)
            else:
                runs.setdefault(name, {})[number] = run
                print(f"  {run.seconds:.2f} s, {run.cpu:.2f} s of CPU", file=sys.stderr, flush=True)
    return runs, failed


# --- the tables -----------------------------------------------------------------------------------------------------


def ratios(runs: Runs, of: str, than: str, measure: str = "seconds") -> list[float]:
    """How many times as long one takes for a row as the other, in each round that both ran."""
    both = [(runs[of][number], runs[than][number]) for number in runs.get(of, {}) if number in runs.get(than, {})]
    return [getattr(a, measure) / a.rows / (getattr(b, measure) / b.rows) for a, b in both]


def shown(table: Table, runs: Runs) -> str:
    head = ["contestant", "rounds", "work s", "rows/s", "×", "CPU s", "CPU ×", "process s", "peak GB", *table.answers]
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * 8}{'---|' * len(table.answers)}"]
    ours = next(iter(runs.get(OURS, {}).values()), None)
    for name, by_round in runs.items():
        each = list(by_round.values())
        seconds, cpu, peak = (_median(getattr(run, what) for run in each) for what in ("seconds", "cpu", "peak"))
        cells = [
            table.contestants[name].says,
            str(len(each)),
            f"{seconds:.2f}",
            f"{each[0].rows / seconds:,.0f}",
            _times(ratios(runs, name, table.against)),
            f"{cpu:.2f}",
            _times(ratios(runs, name, table.against, "cpu")),
            f"{_median(run.process for run in each):.1f}",
            f"{peak / 1e9:.2f}",
            *table.answer(each[0], ours),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(target: Target, runs: Runs) -> str:
    """Whether a target was reached, and by how much."""
    found = ratios(runs, target.of, target.than, target.measure)
    if not found:
        return f"- {target.says}: not measured"
    middle = statistics.median(found)
    kept = target.at_least <= middle <= target.at_most
    other = "cpu" if target.measure == "seconds" else "seconds"
    beside = _times(ratios(runs, target.of, target.than, other))
    words = {"seconds": "in seconds", "cpu": "in CPU"}
    return (
        f"- {target.says}: {'yes' if kept else '**no**'}, {_times(found)} × {words[target.measure]} "
        f"({_times([min(found)])}–{_times([max(found)])}), {beside} × {words[other]}"
    )


def _times(found: Sequence[float]) -> str:
    if not found:
        return "–"
    middle = statistics.median(found)
    return f"{middle:,.0f}" if middle >= 100 else f"{middle:.1f}" if middle >= 1 else f"{middle:.2f}"


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def report(asked: Asked, folder: Path) -> None:
    """Measure, and print the tables."""
    write_data(folder, asked.tasks, asked.rows, asked.few)
    print(
        f"{datetime.date.today()}, {asked.rows:,} rows; medians of up to {asked.repeats}; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}\n"
    )
    for name in (name for task in asked.tasks for name in TASKS[task]):
        table = TABLES[name]
        ready, missing = pythons(table, asked)
        before = os.getloadavg()[0]
        runs, failed = rounds(table, ready, folder, asked.repeats)
        print(f"**{table.title}** (load {before:.1f} at the start, {os.getloadavg()[0]:.1f} at the end)\n")
        print(shown(table, runs) + "\n")
        for target in table.targets:
            print(verdict(target, runs))
        for who, why in (missing | failed).items():
            print(f"- {table.contestants[who].says}: {why}")
        print(flush=True)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"what to measure: {', '.join(TASKS)} (all)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each generated file")
    parser.add_argument("--few", type=int, default=10_000, help="rows that UpTrain gets, at some 500 a second")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; who takes minutes runs in the first alone")
    parser.add_argument("--peers", default=",".join(PINS), help="who is asked beside shopmon (all); '' for nobody")
    parser.add_argument("--environments", type=Path, default=default_folder(), help="where peers are installed")
    parser.add_argument("--data", type=Path, help="where generated files are kept (default: a temporary folder)")
    told = parser.parse_args(given)
    unknown = [*_unknown(told.tasks, TASKS), *_unknown(told.peers.split(","), {*PINS, ""})]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; tasks are {', '.join(TASKS)}, peers {', '.join(PINS)}")
    for name in ("rows", "few", "repeats"):
        if getattr(told, name) < 1:
            parser.error(f"--{name} is 1 or more, got {getattr(told, name)}")
    return told


def _unknown(given: Sequence[str], known: Collection[str]) -> list[str]:
    return [name for name in given if name not in known]


def main(given: Sequence[str] | None = None) -> None:
    told = arguments(given)
    asked = Asked(
        tuple(told.tasks or TASKS),
        told.rows,
        min(told.few, told.rows),
        told.repeats,
        frozenset(told.peers.split(",")),
        told.environments,
    )
    with tempfile.TemporaryDirectory() as temporary:
        report(asked, (told.data or Path(temporary)) / str(told.rows))


if __name__ == "__main__":
    main()
