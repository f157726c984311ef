"""While Spark works, anyone may ask how many of its tasks are done, whichever way it is reached."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from expectations.pieces import Piece
from expectations.spark_jobs import on_pieces
from expectations.spark_tasks import Tasks, running

PIECES = [Piece(number, number, 0, 0, True) for number in range(4)]


def slow(seconds: float) -> Any:
    """What a task of so many seconds does; Spark sends it along with the job, as its machines have no tests."""

    def work(piece: Piece) -> int:
        time.sleep(seconds)
        return piece.number

    return work


def told_meanwhile(spark: Any, seconds: float) -> Iterator[Tasks | None]:
    """What was told while a job of four such tasks ran, and right after it."""
    with ThreadPoolExecutor(1) as beside:
        job = beside.submit(on_pieces, spark, PIECES, slow(seconds), "sleeping")
        while not job.done():
            yield running()
            time.sleep(0.1)
        assert job.result() == [0, 1, 2, 3]
    yield running()


def test_tasks_of_a_job_are_told_while_it_runs(spark: Any) -> None:
    *meanwhile, after = told_meanwhile(spark, 1.0)
    assert after is None
    assert {told.of for told in meanwhile if told} == {4}
    assert any(0 < told.done < 4 for told in meanwhile if told)


OWN_SPARK = """\
import sys
sys.path[:0] = sys.argv[1:]
from expectations.spark_session import spark_session
from test_spark_tasks import running, told_meanwhile
with spark_session() as spark:
    told = [*told_meanwhile(spark, 3.0), running()]
print(*(f"{one.done}/{one.of}" for one in told[:-2] if one), *told[-2:], running())
"""


@pytest.mark.slow
@pytest.mark.usefixtures("spark_home")
@pytest.mark.parametrize(
    "reached", [{"PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell"}, {"SPARK_REMOTE": "local[2]"}]
)
def test_tasks_are_told_of_a_spark_until_it_ends_also_through_spark_connect(reached: dict[str, str]) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("SPARK_REMOTE", "PYSPARK_SUBMIT_ARGS")}
    command = [sys.executable, "-c", OWN_SPARK, str(Path(__file__).parent)]
    ran = subprocess.run(command, env=env | reached, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = ran.stdout.split()
    assert told[-3:] == ["None"] * 3
    assert {"1/4", "2/4", "3/4"} & set(told)
    assert {one.partition("/")[2] for one in told[:-3]} == {"4"}
    assert "py4j" not in ran.stderr
