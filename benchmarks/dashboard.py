"""How long does a person wait for each page of the dashboard, in a shop that has checked a thousand batches?

    python benchmarks/dashboard.py                       # 1,000 runs, 5 models, a retraining set of 1,000,000 rows
    python benchmarks/dashboard.py --folder /tmp/shop    # keeps the generated project, and uses it again
    python benchmarks/dashboard.py --only drift,runs     # some of the pages

Every page is run in this process by Streamlit's own AppTest, from `dashboards/app.py`, as a session would: first with
every cache empty (the disk's own is not), then again and again as a person would use it. A time is one whole run of the
script, two where the page runs itself again (after a decision, for instance), and includes what AppTest adds: it starts
a thread and reads all that the script has sent. What a browser needs to draw it comes on top. What is new in each
round (another batch, another text) is asked for the first time, so nothing of it is in a cache.

People decide and check while they look, so a copy of the run store is what the pages read and write.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dashboard_project import STORE, Size, make

HERE = Path(__file__).resolve().parent
APP = HERE.parent / "dashboards" / "app.py"
TARGET = 1.0
"""Seconds that a page's script may take after the first load."""
PATIENCE = 600.0
"""Seconds after which a script is taken for hanging."""
WORDS = ("comfortable", "warm", "jacket", "summer", "colour", "never", "son", "rain", "weeks", "light", "price")
"""What is looked for in texts: some stand in every second one, some in one of a hundred."""

Act = Callable[[Any, int], Any]
"""What a person does in the n-th round (the first is 0), in a session; it gives widget states where AppTest has no
way of its own to do it."""


# --- what people do ---------------------------------------------------------------------------------------------------


def nothing(at: Any, turn: int) -> None:
    """The script is run again, as after any click."""


def choose(key: str, *, first: int = 1) -> Act:
    """Another entry of a list in each round."""

    def act(at: Any, turn: int) -> None:
        box = at.selectbox(key=key)
        box.select_index((first + turn) % len(box.options))

    return act


def write(key: str, *texts: str) -> Act:
    """Another text in each round."""

    def act(at: Any, turn: int) -> None:
        at.text_input(key=key).set_value(texts[turn % len(texts)] + " " * (turn // len(texts)))

    return act


def page(key: str, number: int) -> Act:
    """Page `number` and those after it."""

    def act(at: Any, turn: int) -> None:
        for box in at.number_input:
            if box.key == key and box.max > 1:  # one page cannot be turned
                box.set_value(min(number + turn, int(box.max)))

    return act


def switch(key: str) -> Act:
    """On, off, and on again."""

    def act(at: Any, turn: int) -> None:
        at.toggle(key=key).set_value(not at.toggle(key=key).value)

    return act


def click(key: str) -> Act:
    """A button."""

    def act(at: Any, turn: int) -> None:
        at.button(key=key).click()

    return act


def segment(key: str) -> Act:
    """Another one of a few in a row."""

    def act(at: Any, turn: int) -> None:
        found = [one for one in at.button_group if one.key == key]
        for row in found:  # there is none where there is one kind
            row.set_value(row.options[(turn + 1) % len(row.options)])

    return act


def tick(*rows: int) -> Act:
    """Rows of the table, others in each round."""

    def act(at: Any, turn: int) -> Any:
        table, states = at.dataframe[0], at._tree.get_widget_states()
        there = len(table.value)
        chosen = {"rows": sorted({(row + turn) % there for row in rows}), "columns": [], "cells": []}
        state = states.widgets.add()
        state.id, state.string_value = table.proto.id, json.dumps({"selection": chosen})
        return states

    return act


def models(at: Any, turn: int) -> None:
    """As many models as may be, or one less."""
    box = at.multiselect[0]
    most = min(len(box.options), box.proto.max_selections)
    box.set_value(box.options[: max(most - turn % 2, 1)])


def one_more_check(at: Any, turn: int) -> None:
    """A check is recorded while the page is open."""
    from monitor.runs import Run, RunStore
    from shopmon.project import Project

    with RunStore.open(Project.of(os.environ["SHOPMON_PROJECT"]).store_url) as store:
        run = next(store.get(one.run_id) for one in store.list(limit=50, command="check") if one.status == "failed")
        now = datetime.now(UTC) + timedelta(seconds=turn)
        run_id = f"{now:%Y%m%d-%H%M%S}-{time.perf_counter_ns() % 16**6:06x}"
        store.add(Run(**{**vars(run), "run_id": run_id, "started_at": now}))


PAGES: Mapping[str, tuple[str, Mapping[str, Act]]] = {
    "overview": ("Overview", {"once more": nothing, "after one more check": one_more_check}),
    "data_quality": (
        "Data quality",
        {
            "once more": nothing,
            "another rule": choose("rule"),
            "another batch": choose("batch"),
            "rows of every rule": switch("only_rule"),
            "page 100 of the rows": page("quarantine_page", 100),
            "search in the rows": write("contains", *WORDS),
            "rules that passed, too": switch("every_rule"),
            "another kind": segment("kind"),
        },
    ),
    "drift": (
        "Drift",
        {
            "once more": nothing,
            "another column": choose("column"),
            "another batch": choose("batch"),
            "Evidently's report": switch("evidently"),
            "another kind": segment("kind"),
        },
    ),
    "edge_cases": (
        "Edge cases",
        {
            "once more": nothing,
            "next row": click("next"),
            "accept the row": click("accept"),
            "undo": click("undo"),
            "another reason": choose("reason"),
            "another role": choose("role"),
            "search in the texts": write("search", *WORDS),
            "tick a row": tick(3),
        },
    ),
    "training": (
        "Training",
        {"once more": nothing, "another model": choose("model"), "other models side by side": models},
    ),
    "word_scores": (
        "Word scores",
        {
            "once more": nothing,
            "a sentence asked before": choose("prompt", first=0),
            "a new sentence": write("own_prompt", *(f"the {word} is really [MASK]" for word in WORDS)),
            "other models side by side": models,
        },
    ),
    "runs": (
        "Runs",
        {
            "once more": nothing,
            "page 10": page("run_page", 10),
            "search": write("run_search", "reviews-01", "20261", "goods", "-00", "batch"),
            "checks that failed": choose("status", first=2),
            "another run": tick(5),
            "two runs side by side": tick(0, 7),
            "after one more check": one_more_check,
        },
    ),
}
"""File of each page → its title, and what people do there."""
ASKED_BEFORE = ("a sentence asked before",)
"""What is done once before it is measured, in every round's way."""


# --- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """What one thing took."""

    page: str
    what: str
    took: Sequence[tuple[float, float]]
    """Seconds, and seconds of all cores together, of each round; these say more where other programs run."""
    is_first: bool = False
    """Whether it is a first load, for which there is no target."""


class Troubles(logging.Handler):
    """What the pages could not show: a page that fails is fast, and must not count."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was logged."""
        self.seen.append(logging.Formatter().format(record))


TROUBLES = Troubles()


def timed(at: Any, states: Any = None) -> tuple[float, float]:
    """Seconds, and seconds of CPU, of a session's script. Raises AssertionError where any part of it failed."""
    began, worked = time.perf_counter(), time.process_time()
    if states is None:
        at.run()
    else:
        at._run(states)
    took = time.perf_counter() - began, time.process_time() - worked
    if at.exception or TROUBLES.seen:
        raise AssertionError("\n".join([*TROUBLES.seen, *(str(one.value) for one in at.exception)]))
    return took


def session(file: str, like: Any = None) -> Any:
    """A new session, on a page; what a server finds out once, its pages and parts, it knows from an earlier one."""
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_file(APP, default_timeout=PATIENCE)
    if like is None:
        timed(at)
    else:
        at._registered_pages, at._bidi_component_manager = like._registered_pages, like._bidi_component_manager
    timed(at.switch_page(f"{file}.py"))
    return at


def forget() -> None:
    """Empty every cache that a page has."""
    import streamlit as st

    from monitor import history

    st.cache_data.clear()
    st.cache_resource.clear()
    history._remembered.clear()
    gc.collect()


def measured(file: str, rounds: int) -> Iterator[Measured]:
    """The first load of a page, and what people do there."""
    title, acts = PAGES[file]
    any_page, first = session(file), []
    for _ in range(min(rounds, 3)):
        forget()
        first.append(timed(any_page.switch_page(f"{file}.py")))
    yield Measured(title, "first load", first, is_first=True)
    for what, act in acts.items():
        print(f"\r\x1b[K{title}: {what}", end="", file=sys.stderr, flush=True)
        at = session(file, any_page)
        for turn in range(rounds if what in ASKED_BEFORE else 0):
            timed(at, act(at, turn))
        yield Measured(title, what, [timed(at, act(at, turn)) for turn in range(rounds)])


# --- telling ----------------------------------------------------------------------------------------------------------


def table(found: list[Measured]) -> str:
    """Markdown."""
    lines = ["| page | what | median s | max s | CPU s | target s | |", "|---|---|---:|---:|---:|---:|---|"]
    for one in found:
        seconds, cpu = zip(*one.took, strict=True)
        median, most = statistics.median(seconds), max(seconds)
        target, met = ("–", "") if one.is_first else (f"{TARGET:g}", "✓" if median <= TARGET else "**missed**")
        lines.append(
            f"| {one.page} | {one.what} | {median:.2f} | {most:.2f} | {statistics.median(cpu):.2f} | {target} | {met} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """On what, when and how it was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()} on {platform.system()}; `python {' '.join(sys.argv)}`"
    )


@contextmanager
def looking_at(folder: Path) -> Iterator[None]:
    """The project in a folder is the one that pages show, with a copy of its run store."""
    from shopmon.telemetry import switch_off

    switch_off()
    from shopmon.project import Project

    url = Project.of(folder).store_url
    store = Path(url.removeprefix("sqlite:///"))
    for file in store.parent.glob(f"{store.name}*"):
        file.unlink()
    shutil.copy(folder / STORE, store)
    os.environ["SHOPMON_PROJECT"] = str(folder)
    logging.disable(logging.WARNING)  # Streamlit warns that there is no server, each time
    logging.getLogger("shopmon.dashboard").addHandler(TROUBLES)
    yield


def report(folder: Path, rounds: int, names: list[str]) -> None:
    """Measure, and print the table."""
    load = os.getloadavg()[0]
    with looking_at(folder):
        began = time.perf_counter()
        session(names[0])
        start = time.perf_counter() - began
        found = [one for name in names for one in measured(name, rounds)]
    print("\r\x1b[K", end="", file=sys.stderr)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{machine()}\n\nLoad {load:.1f} at the start; {rounds} rounds. The first page of all, with imports, took "
          f"{start:.1f} s; the process had {peak:.2f} GB of memory at most.\n\n{table(found)}")  # fmt: skip


def main() -> None:
    """Generate in a process of its own, whose memory then does not count, and measure in this one."""
    usual = Size()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=usual.runs, help="recorded runs")
    parser.add_argument("--models", type=int, default=usual.models, help="registered models")
    parser.add_argument("--rows", type=int, default=usual.rows, help="rows of the retraining set")
    parser.add_argument("--width", type=int, default=usual.width, help="width of the models; 768 is DistilBERT's")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each; the table holds medians")
    parser.add_argument("--folder", type=Path, help="where the project is kept (default: a temporary folder)")
    parser.add_argument("--only", default=",".join(PAGES), help=f"pages to measure: {', '.join(PAGES)}")
    parser.add_argument("--generate", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = Size(given.runs, given.models, given.rows, given.width)
    if given.generate:
        try:
            make(given.folder, size)
        except ValueError as error:
            sys.exit(str(error))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        made = subprocess.run([sys.executable, *sys.argv, "--generate", "--folder", str(folder)], check=False)
        if made.returncode:
            sys.exit(made.returncode)
        report(folder, given.rounds, given.only.split(","))


if __name__ == "__main__":
    main()
