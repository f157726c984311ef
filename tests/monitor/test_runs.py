from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

import monitor.migrations
from expectations.errors import RunStoreAway, RunStoreError
from monitor.migrations import HEAD, REVISIONS, VERSION_TABLE
from monitor.run_database import connect, parse_address, to_json, writing
from monitor.runs import METADATA, Input, Run, RunStore, new_run_id

from ..conftest import PostgresqlServer
from .conftest import new_postgresql_database

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def a_run(run_id: str = "20261120-120000-a3f9c1", **changes: Any) -> Run:
    run = Run(
        run_id=run_id,
        command="check",
        status="failed",
        kind="reviews",
        started_at=NOON,
        seconds=4.25,
        rows=3_000_000_000,
        quarantined=1038,
        inputs=(Input(name="data/new.parquet", sha256="ab" * 32, rows=3_000_000_000, bytes=5_000_000_000),),
        versions={"shopmon": "0.1.0"},
        folder=".shopmon/runs/20261120-120000-a3f9c1",
        document={"status": "failed", "expectations": [{"id": "text-present", "success": False, "observed": None}]},
    )
    return replace(run, **changes)


def execute(address: str, statement: str) -> None:
    """Change a store behind the code's back."""
    engine = connect(parse_address(address))
    with writing(engine) as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


# What is kept


def test_a_run_comes_back_as_it_was(store: RunStore) -> None:
    run = a_run()
    store.add(run)
    assert store.get(run.run_id) == run
    assert store.latest("check") == run


def test_a_run_without_kind_folder_or_inputs_comes_back_as_it_was(store: RunStore) -> None:
    table = Input(name="postgresql://host/db::reviews", sha256=None, rows=0, bytes=None)
    for number, inputs in enumerate([(), (table,)]):
        run = a_run(f"run-{number}", kind=None, folder=None, inputs=inputs, document={}, versions={}, status="error")
        store.add(run)
        assert store.get(run.run_id) == run


def test_runs_outlive_the_store_that_recorded_them(address: str) -> None:
    with RunStore.open(address) as store:
        store.add(a_run())
    with RunStore.open(address) as store:
        assert store.get(a_run().run_id) == a_run()


def test_a_start_in_another_time_zone_is_the_same_instant(store: RunStore) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    store.add(a_run(started_at=tokyo))
    found = store.get(a_run().run_id).started_at
    assert found == tokyo
    assert found.utcoffset() == timedelta(0)


# PostgreSQL keeps numbers as decimals: a float of 1e16 or more comes back as the integer it looks like.
numbers = st.floats(-1e15, 1e15, allow_nan=False) | st.integers()
# Broken rows hold NUL, half surrogates and escapes; hypothesis seldom finds them among all characters.
texts = st.text(st.characters(exclude_categories=()) | st.sampled_from('\x00\x1b\\u01bd8\ud800\udfff"'))
documents = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=8,
    ),
    max_size=4,
)


@given(documents)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_document_comes_back_as_it_was(shared_store: RunStore, document: dict[str, Any]) -> None:
    run_id = new_run_id(NOON) + secrets.token_hex(8)
    shared_store.add(a_run(run_id, document=document))
    as_json = json.loads(json.dumps(document))  # two half surrogates in a row are one character in JSON
    assert shared_store.get(run_id).document == as_json


def test_text_from_data_is_never_sql(store: RunStore) -> None:
    evil = "x'); DROP TABLE shopmon_runs; --"
    store.add(a_run(evil, command=evil, kind=evil, folder=evil, document={evil: evil}))
    assert store.get(evil).folder == evil
    assert [run.run_id for run in store.list(command=evil, kind=evil)] == [evil]
    assert store.list(kind="' OR 1=1 --") == ()
    assert store.latest("' OR 1=1 --") is None


def test_a_document_that_is_no_json_is_refused_and_nothing_is_kept(store: RunStore) -> None:
    with pytest.raises(RunStoreError, match=r"result of run .* is no JSON: .*not JSON compliant"):
        store.add(a_run(document={"p_value": float("nan")}))
    assert store.list() == ()


def test_the_same_run_twice_is_an_error_and_the_first_stays(store: RunStore) -> None:
    store.add(a_run())
    with pytest.raises(RunStoreError, match=r"20261120-120000-a3f9c1 is recorded already.*new id"):
        store.add(a_run(status="passed"))
    assert store.get(a_run().run_id).status == "failed"


def test_a_status_nobody_knows_and_a_time_without_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="got 'fine'"):
        a_run(status="fine")
    with pytest.raises(ValueError, match="time zone"):
        a_run(started_at=datetime(2026, 11, 20))
    with pytest.raises(ValueError, match="time zone"):
        new_run_id(datetime(2026, 11, 20))


# What is listed


def test_runs_are_listed_newest_first_up_to_the_limit(store: RunStore) -> None:
    for minute in (3, 1, 2, 0):
        store.add(a_run(f"run-{minute}", started_at=NOON + timedelta(minutes=minute)))
    assert [run.run_id for run in store.list()] == ["run-3", "run-2", "run-1", "run-0"]
    assert [run.run_id for run in store.list(limit=2)] == ["run-3", "run-2"]
    assert len(store.list(limit=None)) == 4


def test_runs_are_chosen_by_command_status_and_kind_together(store: RunStore) -> None:
    store.add(a_run("a", command="check", status="passed", kind="reviews"))
    store.add(a_run("b", command="check", status="failed", kind="queries"))
    store.add(a_run("c", command="retrain", status="passed", kind="reviews"))
    assert [run.run_id for run in store.list(status="passed")] == ["c", "a"]
    assert [run.run_id for run in store.list(command="check", status="passed", kind="reviews")] == ["a"]
    assert store.list(command="check", kind="products") == ()


def test_a_list_says_all_but_the_document(store: RunStore) -> None:
    store.add(a_run())
    (listed,) = store.list()
    everything = asdict(a_run())
    del everything["document"]
    assert asdict(listed) == everything


def test_a_list_does_not_read_the_documents(address: str) -> None:
    with RunStore.open(address) as store:
        store.add(a_run())
        spoiled = '\'{"no": "json"\'' if address.startswith("sqlite") else "'[]'::jsonb"
        execute(address, f"UPDATE shopmon_runs SET document = {spoiled}")
        assert [run.run_id for run in store.list()] == [a_run().run_id]


def test_the_latest_run_is_that_of_the_command(store: RunStore) -> None:
    store.add(a_run("check-1"))
    store.add(a_run("retrain-1", command="retrain", started_at=NOON + timedelta(days=1)))
    latest = store.latest("check")
    assert latest is not None
    assert latest.run_id == "check-1"
    assert store.latest("demo") is None


# What is found by its id


def test_the_beginning_of_an_id_is_enough_when_only_one_run_begins_so(store: RunStore) -> None:
    store.add(a_run("20261120-120000-a3f9c1"))
    store.add(a_run("20261120-130000-b00000"))
    assert store.get("20261120-12").run_id == "20261120-120000-a3f9c1"
    with pytest.raises(RunStoreError, match="several runs begin with '20261120': 20261120-120000-a3f9c1, 20261120-130"):
        store.get("20261120")


def test_a_whole_id_is_found_beside_longer_ones(store: RunStore) -> None:
    for run_id in ("run-12", "run-1", "run-11", *(f"run-1-{n}" for n in range(8))):
        store.add(a_run(run_id))
    assert store.get("run-1").run_id == "run-1"


def test_an_unknown_id_is_told_with_the_ones_near_it(store: RunStore) -> None:
    store.add(a_run("20261120-120000-a3f9c1"))
    with pytest.raises(RunStoreError, match=r"no run '20261120-120000-a3f9c2'.*near it: 20261120-120000-a3f9c1"):
        store.get("20261120-120000-a3f9c2")
    with pytest.raises(RunStoreError, match=r"no run 'zzz'.*the newest: 20261120-120000-a3f9c1"):
        store.get("zzz")
    with pytest.raises(RunStoreError, match="no run ''"):
        store.get("")


@pytest.mark.parametrize("wildcard", ["%", "_", "2026112_-", "20261120-120000-A3F9C1"])
def test_an_id_is_text_and_no_pattern(store: RunStore, wildcard: str) -> None:
    store.add(a_run("20261120-120000-a3f9c1"))
    with pytest.raises(RunStoreError, match="there is no run"):
        store.get(wildcard)


def test_an_empty_store_says_so(store: RunStore) -> None:
    assert store.list() == ()
    with pytest.raises(RunStoreError, match="holds none yet"):
        store.get("20261120")


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.timedeltas(timedelta(seconds=1), timedelta(days=9)))
def test_ids_sort_by_time(start: datetime, later: timedelta) -> None:
    start = start.replace(tzinfo=timezone(timedelta(hours=-7)))
    assert new_run_id(start) < new_run_id(start + later)


def test_two_runs_of_one_second_have_two_ids() -> None:
    assert len({new_run_id(NOON) for _ in range(100)}) == 100


# Several processes


ADD_RUNS = """
import sys
from datetime import UTC, datetime
from monitor.runs import Run, RunStore, new_run_id
print("ready", flush=True)
sys.stdin.readline()
with RunStore.open(sys.argv[1]) as store:
    for number in range(int(sys.argv[2])):
        now = datetime.now(UTC)
        store.add(Run(run_id=new_run_id(now) + sys.argv[3] + str(number), command="check", status="passed", kind=None,
                      started_at=now, seconds=0.0, rows=number, quarantined=0, inputs=(), versions={}, folder=None,
                      document={"who": sys.argv[3]}))
"""


def start_adding(address: str, runs: int, who: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", ADD_RUNS, address, str(runs), who]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environment, **pipes)  # type: ignore[call-overload,no-any-return]


def test_processes_that_open_a_new_store_and_add_at_once_lose_nothing(address: str) -> None:
    processes = [start_adding(address, 40, who) for who in "abc"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # none begins before all have imported: creating the tables is part of the race
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [(process.returncode, answer[1]) for process, answer in zip(processes, answers, strict=True)] == [
        (0, "")
    ] * 3
    with RunStore.open(address) as store:
        found = [(store.get(run.run_id).document["who"], run.rows) for run in store.list(limit=None)]
    assert sorted(found) == [(who, number) for who in "abc" for number in range(40)]


def test_the_tables_are_made_once_when_two_open_a_new_store(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def slow_upgrade(connection: Any) -> None:
        made.append(connection)
        time.sleep(0.4)  # long enough for the other to find no tables either
        monitor.migrations.upgrade(connection)

    monkeypatch.setattr("monitor.run_database.upgrade", slow_upgrade)
    with ThreadPoolExecutor(2) as both:
        for store in both.map(RunStore.open, [address, address]):
            assert store.list() == ()
            store.close()
    assert len(made) == 1


def test_two_stores_of_one_process_see_each_other(address: str) -> None:
    with RunStore.open(address) as one, RunStore.open(address) as other:
        one.add(a_run("one"))
        other.add(a_run("other"))
        assert {run.run_id for run in one.list()} == {run.run_id for run in other.list()} == {"one", "other"}


# Versions of the store


def test_the_version_the_code_knows_is_the_head_of_alembics_history() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(monitor.migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    assert tuple(step.revision for step in script.walk_revisions())[::-1] == REVISIONS


def test_the_migrations_build_the_very_tables_the_code_uses(address: str) -> None:
    engine = connect(parse_address(address))
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
    engine.dispose()


def test_a_store_without_tables_is_brought_to_the_newest_version(address: str) -> None:
    RunStore.open(address).close()
    for table in METADATA.tables:
        execute(address, f"DROP TABLE {table}")
    execute(address, f"DELETE FROM {VERSION_TABLE}")  # as alembic leaves it before the first step
    with RunStore.open(address) as store:
        store.add(a_run())
        assert len(store.list()) == 1


def test_a_migration_that_fails_leaves_no_half_of_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: Any) -> None:
        monitor.migrations.upgrade(connection)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("monitor.run_database.upgrade", broken)
    with pytest.raises(RunStoreError, match="Input/output error"):
        RunStore.open(address)
    monkeypatch.undo()
    with RunStore.open(address) as store:  # would fail on a table that is there already
        assert store.list() == ()


def test_a_newer_store_is_refused_and_left_alone(address: str) -> None:
    with RunStore.open(address) as store:
        store.add(a_run())
    execute(address, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(RunStoreError, match=rf"newer shopmon: its version is 9999.*up to {HEAD}.*Upgrade shopmon"):
        RunStore.open(address)
    # The version is checked when a store is opened, so the way back has to go around it.
    undo = f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'"
    if address.startswith("sqlite"):
        with closing(sqlite3.connect(make_url(address).database or "")) as connection, connection:
            connection.execute(undo)
    else:
        import psycopg

        with psycopg.connect(address) as connected:
            connected.execute(undo)
    with RunStore.open(address) as store:
        assert store.get(a_run().run_id) == a_run()


def test_a_table_dropped_by_hand_is_told(address: str) -> None:
    with RunStore.open(address) as store:
        execute(address, "DROP TABLE shopmon_runs")
        with pytest.raises(RunStoreError, match="lacks tables"):
            store.list()


def test_an_up_to_date_store_is_used_without_alembic(address: str) -> None:
    RunStore.open(address).close()
    code = (
        "import sys; from monitor.runs import RunStore; RunStore.open(sys.argv[1]).list(); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'alembic', 'pandas', 'great_expectations'}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, address]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "[]\n"


# What is told


def told_when_opening(address: str | Path) -> str:
    with pytest.raises(RunStoreError) as told:
        RunStore.open(address)
    assert told.value.advice
    return str(told.value)


def test_a_path_is_an_sqlite_file_whatever_its_name_holds(tmp_path: Path) -> None:
    path = tmp_path / "a new folder" / "100% café? #1.sqlite"
    with RunStore.open(path) as store:
        store.add(a_run())
    assert path.read_bytes().startswith(b"SQLite format 3")
    with RunStore.open(path) as store:
        assert len(store.list()) == 1


def test_a_relative_path_stays_where_it_was_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with RunStore.open("sqlite:///runs.sqlite") as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.add(a_run())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("content", [b"text,stars\nGood,5\n", b"PAR1" * 500])
def test_a_file_that_is_no_database_is_told_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_bytes(content)
    assert "runs.sqlite is no SQLite database" in told_when_opening(path)
    assert path.read_bytes() == content


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with RunStore.open(path) as store:
        for number in range(40):
            store.add(a_run(f"run-{number}", document={"text": "x" * 5000}))
    pages = bytearray(path.read_bytes())
    pages[4096 * 2 :] = os.urandom(len(pages) - 4096 * 2)
    path.write_bytes(pages)

    def use() -> None:
        with RunStore.open(path) as store:
            store.list(limit=None)
            store.latest("check")

    with pytest.raises(RunStoreError, match=r"is damaged.*result\.json"):
        use()


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    assert "cannot be opened" in told_when_opening(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "cannot be opened" in told_when_opening(tmp_path / "file" / "runs.sqlite")


def test_a_read_only_folder_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder may not be entered by others
        place = Path(name)
        place.chmod(0o555)
        as_root = os.geteuid() == 0
        if as_root:  # who may write anywhere
            os.seteuid(65534)
        try:
            assert "cannot be opened for writing" in told_when_opening(place / "runs.sqlite")
            assert "cannot be opened: Permission denied" in told_when_opening(place / "new" / "runs.sqlite")
        finally:
            if as_root:
                os.seteuid(0)
            place.chmod(0o755)


def test_a_store_that_another_process_holds_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.run_database.BUSY_SECONDS", 0.1)
    with RunStore.open(tmp_path / "runs.sqlite") as store, closing(sqlite3.connect(tmp_path / "runs.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert store.list() == ()  # a reader need not wait
        with pytest.raises(RunStoreError, match=r"another process has held.*Try again"):
            store.add(a_run())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("runs.sqlite", "'runs.sqlite' cannot be read"),
        ("", "'' cannot be read"),
        ("mysql://u:geheim@host/db", "cannot be kept in 'mysql'"),
        ("sqlite://", "names no SQLite file"),
        ("sqlite:///:memory:", "names no SQLite file"),
        ("sqlite://runs.sqlite", "names no SQLite file"),
        ("sqlite:///runs.sqlite?mode=ro", "names no SQLite file"),
        ("postgresql:/u:geheim@host/db", "the run store's address cannot be read"),
        ("postgresql://u:x@geheim:geheim@host:geheim/db", "the run store's address cannot be read"),
    ],
)
def test_an_address_of_nothing_known_is_told_without_its_password(address: str, said: str) -> None:
    message = told_when_opening(address)
    assert said in message
    assert "Expected sqlite:///" in message
    assert "geheim" not in message


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    with socket.socket() as taken:  # bound, but nobody listens: nobody else can take the port meanwhile
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        message = told_when_opening(f"postgresql://u:geheim@127.0.0.1:{port}/db?sslpassword=auch-geheim")
        with pytest.raises(RunStoreAway):  # by which it is told from errors that no waiting mends
            RunStore.open(f"postgresql://u:geheim@127.0.0.1:{port}/db")
    assert f"no PostgreSQL server answers at postgresql://u:***@127.0.0.1:{port}/db. Start it" in message
    assert "geheim" not in message


def test_a_wrong_password_is_told_without_repeating_it(postgresql_url: str) -> None:
    wrong = make_url(postgresql_url).set(password="falsch und geheim")
    message = told_when_opening(wrong.render_as_string(hide_password=False))
    assert "does not let this user in" in message
    assert "geheim" not in message


def test_a_missing_database_is_told(postgresql_url: str) -> None:
    missing = make_url(postgresql_url).set(database="nowhere")
    assert "has no such database" in told_when_opening(missing.render_as_string(hide_password=False))


def test_a_user_without_rights_is_told(postgresql_url: str) -> None:
    import psycopg

    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    guest = make_url(new_postgresql_database(postgresql_url)).set(username="guest", password="guest")
    assert "may not read and write" in told_when_opening(guest.render_as_string(hide_password=False))


def test_a_server_that_goes_away_in_between_is_asked_again(postgresql_url: str) -> None:
    import psycopg

    address = new_postgresql_database(postgresql_url)
    with RunStore.open(address) as store:
        store.add(a_run())
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            name = make_url(address).database
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert len(store.list()) == 1


def test_a_server_that_was_restarted_has_kept_what_was_recorded_and_takes_more(
    postgresql_server: PostgresqlServer,
) -> None:
    with RunStore.open(new_postgresql_database(postgresql_server.url)) as store:
        store.add(a_run("before"))
        postgresql_server.stop()
        with pytest.raises(RunStoreAway, match="no PostgreSQL server answers"):
            store.list()
        postgresql_server.start()
        assert "before" in store
        store.add(a_run("after"))
        assert {run.run_id for run in store.list()} == {"before", "after"}
        assert "bef" not in store


def test_a_store_shows_itself_without_its_password(postgresql_url: str) -> None:
    with RunStore.open(new_postgresql_database(postgresql_url)) as store:
        assert repr(store).startswith("RunStore('postgresql://shopmon:***@127.0.0.1:")


def test_what_postgresql_refuses_never_reaches_it() -> None:
    assert to_json("\x00\ud800\x1b") == '"\\u001b0000\\u001bd800\\u001b001b"'
    assert to_json("\\u0000😀") == '"\\\\u0000\\ud83d\\ude00"'
