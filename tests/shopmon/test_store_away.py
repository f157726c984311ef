"""A check whose run store goes away loses nothing, and says where everything is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psycopg
import pytest

import monitor.unrecorded
from monitor.runs import RunStore
from shopmon.checking import attempt
from shopmon.outcome import CheckResult, Status
from shopmon.project import STORE_URL_VARIABLE
from shopmon.request import Request

from ..conftest import PASSWORD, PostgresqlServer

SUITE = """
name: one rule
expectations:
  - type: expect_column_values_to_not_be_null
    kwargs: {column: text}
    severity: critical
    meta: {id: text-present}
"""


@pytest.fixture
def server(postgresql_server: PostgresqlServer) -> PostgresqlServer:
    """One that runs and holds nothing when a test begins."""
    postgresql_server.stop_if_running()
    postgresql_server.start()
    with psycopg.connect(postgresql_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgresql_server


@pytest.fixture
def shop(tmp_path: Path, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that records in that server, as the working directory; one row of its batch has no text."""
    monkeypatch.setenv(STORE_URL_VARIABLE, server.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "shopmon.toml").write_text('[check]\nsuite = "suite.yaml"\n', encoding="utf-8")
    frame = pd.DataFrame({"text": [f"A warm jacket, worn {n} times" for n in range(20)], "stars": [5] * 20})
    frame.loc[3, "text"] = None
    frame.to_parquet(tmp_path / "new.parquet")
    return tmp_path


def checked(progress: Callable[[str], None] = lambda _: None) -> CheckResult:
    return attempt(Request(data="new.parquet", only_rules=True, progress=progress))


def once(action: Callable[[], None]) -> Callable[[str], None]:
    """Progress at whose first word something happens."""
    done: list[str] = []

    def told(doing: str) -> None:
        if not done:
            done.append(doing)
            action()

    return told


def test_a_server_that_is_restarted_during_a_check_records_it(shop: Path, server: PostgresqlServer) -> None:
    def restart() -> None:
        server.stop()
        server.start()

    result = checked(once(restart))
    assert result.status is Status.FAILED
    with RunStore.open(server.url) as store:
        assert store.get(result.run_id).document == json.loads(result.json())
    assert not (shop / ".shopmon" / "runs" / ".unrecorded").exists()


def test_a_check_whose_server_went_away_keeps_its_result_and_is_recorded_by_the_next(
    shop: Path, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor.unrecorded, "PATIENCE", 0.5)
    told = checked(once(server.stop))
    assert told.status is Status.ERROR
    assert told.error is not None
    runs = shop / ".shopmon" / "runs"
    (folder,) = (path for path in runs.iterdir() if not path.name.startswith("."))
    assert f"the work is done, and its result is in {folder}" in told.error.problem
    assert f"waits in {runs / '.unrecorded' / folder.name}.json" in told.error.advice
    assert PASSWORD not in str(told.error)
    assert "staple" not in str(told.error)
    kept = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert (kept["status"], kept["quarantined"]) == ("failed", 1)
    assert (folder / "quarantine.parquet").exists()
    assert list((shop / "scratch").iterdir()) == []

    server.start()
    later = checked()
    assert later.status is Status.FAILED
    with RunStore.open(server.url) as store:
        assert {run.run_id for run in store.list()} == {folder.name, later.run_id}
        assert store.get(folder.name).document == kept
        assert store.get(folder.name).folder == str(folder)
    assert list((runs / ".unrecorded").iterdir()) == []


def shopmon(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "shopmon", *arguments]
    return subprocess.Popen(command, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_two_processes_check_at_once_and_both_are_recorded(shop: Path, server: PostgresqlServer) -> None:
    both = [shopmon("check", "new.parquet", "--only-rules", "--json") for _ in range(2)]
    answers = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [1, 1], answers
    ids = {json.loads(answer)["run_id"] for answer, _ in answers}
    with RunStore.open(server.url) as store:
        assert {run.run_id for run in store.list()} == ids
    assert len(ids) == 2


@pytest.mark.slow
def test_a_server_that_is_away_ends_commands_with_2_and_shows_no_password(shop: Path, server: PostgresqlServer) -> None:
    server.stop()
    commands = (("check", "new.parquet"), ("check", f"{server.url}::reviews"), ("runs",))
    for process in [shopmon(*command) for command in commands]:
        answer, told = process.communicate(timeout=200)
        assert process.returncode == 2
        assert "no PostgreSQL server answers at" in told
        assert f"postgresql://shopmon:***@127.0.0.1:{server.port}/postgres" in told
        assert "Traceback" not in answer + told
        assert "staple" not in answer + told
    assert not (shop / ".shopmon" / "runs").exists()


@pytest.mark.slow
def test_a_table_is_checked_like_a_file(shop: Path, server: PostgresqlServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, text text, stars int)")
        rows = [(n, None if n == 3 else f"A warm jacket, worn {n} times", 5) for n in range(20)]
        connection.cursor().executemany("INSERT INTO reviews VALUES (%s, %s, %s)", rows)
    process = shopmon("check", f"{server.url}::reviews", "--only-rules", "--json")
    answer, told = process.communicate(timeout=200)
    assert process.returncode == 1, told
    document = json.loads(answer)
    assert (document["rows"], document["quarantined"]) == (20, 1)
    (rule,) = document["expectations"]
    assert (rule["outcome"], rule["example"]["row"]) == ("failed", 4)
    assert "staple" not in answer + told
