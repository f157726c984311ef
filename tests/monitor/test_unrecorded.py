"""What a store could not take is not lost: it waits, and is recorded once."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from expectations.errors import RunStoreAway, RunStoreError
from monitor.runs import Input, Run, RunStore, new_run_id
from monitor.unrecorded import record, record_waiting

from ..conftest import PostgresqlServer


def a_run(**changes: Any) -> Run:
    now = datetime.now(UTC)
    run = Run(
        run_id=new_run_id(now),
        command="check",
        status="failed",
        kind="reviews",
        started_at=now,
        seconds=1.5,
        rows=3_000_000_000,
        quarantined=2,
        inputs=(Input(name="a\x00b.parquet", sha256="ab", rows=1, bytes=2),),
        versions={"shopmon": "0.1.0"},
        folder="/shop/.shopmon/runs/1",
        document={"status": "failed", "value": "\x00 \ud800 ü \\u0000 😀"},
    )
    return replace(run, **changes)


def unwatched(_: str) -> None:
    pass


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    return tmp_path / "unrecorded"


@pytest.fixture
def server(postgresql_server: PostgresqlServer) -> PostgresqlServer:
    """One that runs when a test begins."""
    postgresql_server.stop_if_running()
    postgresql_server.start()
    return postgresql_server


def test_a_run_is_recorded_and_nothing_waits(store: RunStore, waiting: Path) -> None:
    run = a_run()
    record(store, run, waiting, progress=unwatched)
    assert store.get(run.run_id) == run
    assert not waiting.exists()
    assert record_waiting(store, waiting) == ()


def test_a_server_that_comes_back_takes_the_run(server: PostgresqlServer, waiting: Path) -> None:
    told: list[str] = []
    with RunStore.open(server.url) as store:
        run = a_run()
        server.stop()
        starting = threading.Timer(1.0, server.start)
        starting.start()
        record(store, run, waiting, progress=told.append)
        starting.join()
        assert store.get(run.run_id) == run
    assert told[0].startswith("waiting for the run store, which does not answer: 30 s left")
    assert not waiting.exists()


def test_a_server_that_stays_away_is_waited_for_a_while_and_the_run_is_kept(
    server: PostgresqlServer, waiting: Path
) -> None:
    run, other = a_run(), a_run(folder=None)
    with RunStore.open(server.url) as store:
        server.stop()
        begun = time.monotonic()
        with pytest.raises(RunStoreError) as caught:
            record(store, run, waiting, progress=unwatched, patience=1.2)
        assert 0.25 <= time.monotonic() - begun < 10
        with pytest.raises(RunStoreError):
            record(store, other, waiting, progress=unwatched, patience=0)
        message = str(caught.value)
        assert f"no PostgreSQL server answers at postgresql://shopmon:***@127.0.0.1:{server.port}/postgres" in message
        assert "staple" not in message
        assert "the work is done, and its result is in /shop/.shopmon/runs/1" in message
        assert f"waits in {waiting / run.run_id}.json" in message
        with pytest.raises(RunStoreAway):
            record_waiting(store, waiting)
        server.start()
        assert set(record_waiting(store, waiting)) == {run.run_id, other.run_id}
        assert (store.get(run.run_id), store.get(other.run_id)) == (run, other)
        assert record_waiting(store, waiting) == ()
    assert list(waiting.iterdir()) == []


def test_a_run_that_was_kept_before_its_server_went_is_recorded_once(address: str, waiting: Path) -> None:
    class Unlucky(RunStore):
        """Its server goes after the commit and before the answer."""

        def add(self, run: Run) -> None:
            super().add(run)
            raise RunStoreAway("the server closed the connection")

    with Unlucky.open(address) as store:
        run = a_run()
        record(store, run, waiting, progress=unwatched)
        assert len(store.list()) == 1
        assert store.get(run.run_id) == run
    assert not waiting.exists()


def test_what_no_store_takes_is_kept_without_waiting(
    store: RunStore, waiting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Run) -> None:
        raise RunStoreError("the disk of the run store is full", advice="Free some space.")

    run = a_run()
    with monkeypatch.context() as patched:
        patched.setattr(store, "add", full)
        with pytest.raises(RunStoreError, match=r"disk of the run store is full; the work is done.* Free some space\."):
            record(store, run, waiting, progress=unwatched)
    assert record_waiting(store, waiting) == (run.run_id,)
    assert store.get(run.run_id) == run


def test_several_that_record_what_waits_at_once_record_it_once(
    new_address: Callable[[], str], waiting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise RunStoreAway("no server answers")

    address, runs = new_address(), [a_run() for _ in range(30)]
    with RunStore.open(address) as store, monkeypatch.context() as patched:
        patched.setattr(RunStore, "add", away)
        for run in runs:
            with pytest.raises(RunStoreError):
                record(store, run, waiting, progress=unwatched, patience=0)

    def take(_: int) -> tuple[str, ...]:
        with RunStore.open(address) as store:
            return record_waiting(store, waiting)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(4)))
    with RunStore.open(address) as store:
        assert {run.run_id for run in store.list(limit=None)} == {run.run_id for run in runs}
    assert list(waiting.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '"x"', '{"inputs": 5, "started_at": "now"}', "\xff"])
def test_a_file_that_is_no_run_stays_and_is_told(
    store: RunStore, waiting: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    waiting.mkdir()
    (waiting / "a.json").write_text(content, encoding="latin-1")
    with caplog.at_level(logging.WARNING):
        assert record_waiting(store, waiting) == ()
    assert "a.json cannot be read, so its run is not recorded" in caplog.text
    assert (waiting / "a.json").exists()


def test_a_file_that_another_process_still_writes_is_left_alone(store: RunStore, waiting: Path) -> None:
    waiting.mkdir()
    (waiting / ".partial-0a1b2c3d-1.json").write_text(json.dumps({}), encoding="utf-8")
    assert record_waiting(store, waiting) == ()


def test_a_run_that_cannot_be_kept_either_is_told_with_where_it_is(
    store: RunStore, waiting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Run) -> None:
        raise RunStoreAway("no server answers")

    waiting.write_text("a file in the way", encoding="utf-8")
    monkeypatch.setattr(store, "add", away)
    with pytest.raises(RunStoreError, match=r"can neither be recorded nor kept for later: .*in /shop/\.shopmon/runs/1"):
        record(store, a_run(), waiting, progress=unwatched, patience=0)
