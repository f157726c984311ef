"""A check must end the same on clusters of machines of their own, and lose nothing where one of them dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.retraining_set import RetrainingSet
from shopmon.project import Project

from .example_spark import begin_anew, checked, differences, make_project

pytestmark = pytest.mark.slow
PATIENCE = 120.0
PROGRAM = "from shopmon.cli import main\nraise SystemExit(main())\n"
"""What docs/scale.md tells to submit."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("project"))
    (root / "check.py").write_text(PROGRAM, encoding="ascii")
    return root


@pytest.fixture(scope="module")
def here(project: Path) -> dict[str, Any]:
    """The answer of one machine, where a person in the project's folder asks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(project)
        found: dict[str, Any] = json.loads(checked(Path(), "scan").json())
    return found


@pytest.fixture(scope="module")
def master(spark_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster: a master, and two workers with a core each, in processes of their own."""
    folder = tmp_path_factory.mktemp("cluster")
    port = free_port()
    address = f"spark://127.0.0.1:{port}"
    runs = spark_home / "bin" / "spark-class"
    of_spark = ("org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker")
    at = ("--host", "127.0.0.1", "--webui-port", "0")
    with started(runs, of_spark[0], *at, "--port", str(port)):
        wait_for(lambda: listens(port))
        limits = ("--cores", "1", "--memory", "1g")
        dirs = [str(folder / name) for name in ("one", "two")]
        with (
            started(runs, of_spark[1], *at, *limits, "--work-dir", dirs[0], address),
            started(runs, of_spark[1], *at, *limits, "--work-dir", dirs[1], address),
        ):
            yield address


@contextmanager
def started(program: Path, *words: str) -> Iterator[None]:
    """A program of Spark's that runs until the block ends."""
    process = subprocess.Popen(
        [str(program), *words],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    """This one, without what says where Spark is."""
    foreign = ("SPARK_REMOTE", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "SPARK_LOCAL_IP")
    told = {name: value for name, value in os.environ.items() if name not in foreign}
    return told | {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


def submitted(home: Path, master: str, project: Path) -> list[str]:
    """The command that docs/scale.md tells."""
    settings = ("--conf", "spark.executor.memory=512m", "--conf", "spark.driver.host=127.0.0.1")
    program = ("check.py", "check", "new", "--engine", "spark", "--json")
    return [str(home / "bin" / "spark-submit"), "--master", master, *settings, *program]


def answered(command: list[str], project: Path, env: Mapping[str, str]) -> dict[str, Any]:
    """The document that a command prints, which finds the same retraining set each time."""
    begin_anew(project)
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_check_through_spark_connect_ends_as_on_one_machine(
    spark_home: Path, project: Path, here: dict[str, Any]
) -> None:
    port = free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": port,
        "spark.ui.enabled": "false",
    }
    told = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    runs = ("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal")
    server = ("--master", "local[2]", "--driver-memory", "1g", *told, *runs)
    command = [sys.executable, "-m", "shopmon", "check", "new", "--engine", "spark", "--json"]
    with started(spark_home / "bin" / "spark-submit", *server):
        wait_for(lambda: listens(port))
        there = answered(command, project, environment() | {"SPARK_REMOTE": f"sc://127.0.0.1:{port}"})
    assert differences(here, there) == []


def test_a_driver_that_is_killed_leaves_nothing_and_the_check_submitted_again_ends_as_on_one_machine(
    spark_home: Path, master: str, project: Path, here: dict[str, Any]
) -> None:
    shop = Project.of(project)
    gathered = begin_anew(project)
    before = set(shop.runs.iterdir())
    command = submitted(spark_home, master, project)
    driver = subprocess.Popen(
        command,
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # In the middle: executors have written of what breaks rules.
    wait_for(lambda: any(shop.runs.glob(".partial-*/.pieces/.*.parquet")))
    os.killpg(driver.pid, signal.SIGKILL)
    said, _ = driver.communicate()
    assert said == b""
    left = set(shop.runs.iterdir()) - before
    assert [path.name.startswith(".partial-") for path in left] == [True]
    assert RetrainingSet(shop.retraining).rows() == gathered
    there = answered(command, project, environment())
    assert differences(here, there) == []
    assert Path(there["artifacts"]["edge_cases"]).is_dir()
