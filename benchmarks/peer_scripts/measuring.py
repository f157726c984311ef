"""How long does a piece of work take, how much CPU and memory? Standard library alone: each peer's Python runs it.

A script beside this one gives `run` a function that imports what the contestant needs and returns its work. The clock
starts when that is done. What the work says is printed as one line of JSON, with what it took.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # last: it is for `check`, and must not hide a peer's package

Found = dict[str, Any]
Work = Callable[[], tuple[int, Found]]
"""Rows that were examined, and what was found in them."""


def run(prepare: Callable[..., Work]) -> None:
    """Work once on the folder of the command line, with an empty one to write into, and print what it took."""
    with tempfile.TemporaryDirectory() as scratch:
        work = prepare(Path(sys.argv[1]), Path(scratch), *sys.argv[2:])
        start, before = time.perf_counter(), _cpu()
        rows, found = work()
        seconds, cpu, peak = time.perf_counter() - start, _cpu() - before, _peak()
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu": cpu, "peak": peak, "found": found}))


def _cpu() -> float:
    """Seconds of CPU of this process, of its children that have ended, and of those that live, such as Spark's JVM."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = sum(child.ticks for child in _descendants(os.getpid()))
    return time.process_time() + ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _peak() -> float:
    """Bytes at most: this process and its living descendants together, or the largest child that has ended."""
    living = [os.getpid(), *(child.number for child in _descendants(os.getpid()))]
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return max(sum(_resident_at_most(number) for number in living), ended)


@dataclass(frozen=True)
class _Process:
    number: int
    parent: int
    ticks: int
    """Of itself and of its children that have ended."""


def _descendants(number: int) -> Iterator[_Process]:
    processes = list(_processes())
    asked = {number}
    while asked:
        found = [process for process in processes if process.parent in asked]
        yield from found
        asked = {process.number for process in found}


def _processes() -> Iterator[_Process]:
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = file.read_text().rpartition(") ")  # a program's name may hold anything
        except OSError:  # it has just ended
            continue
        fields = rest.split()
        yield _Process(int(file.parent.name), int(fields[1]), sum(map(int, fields[11:15])))


def _resident_at_most(number: int) -> int:
    try:
        told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{number}/status").read_text())
    except OSError:
        return 0
    return int(told[1]) * 1024 if told else 0
