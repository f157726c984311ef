"""A table of PostgreSQL is read whole, as of one moment, in bounded memory; every value is what it was, or not read."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf, isnan
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from expectations.database_table import read_database_table
from expectations.errors import BatchError
from expectations.scratch_parquet import Written


@pytest.fixture(scope="module")
def url(postgresql_url: str) -> str:
    """A database of this file's own."""
    name = f"tables_{secrets.token_hex(4)}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgresql_url.rpartition('/')[0]}/{name}"


@pytest.fixture
def run(url: str) -> Iterator[Callable[[str], Any]]:
    """Runs SQL as the shop would, in an empty schema."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        yield connection.execute


def read(url: str, table: str, scratch: Path, progress: Callable[[int], None] = lambda _: None) -> Written:
    return read_database_table(url, table, scratch, progress)


def asked(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What SQL says of `written`, a parquet file."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.read_parquet(str(path)).create_view("written")
        return connection.execute(sql).fetchall()


def values(written: Written) -> list[tuple[Any, ...]]:
    return asked(written.path, "SELECT * FROM written ORDER BY __shopmon_row")


def types(written: Written) -> dict[str, str]:
    described = asked(written.path, "DESCRIBE written")
    return {name: kind for name, kind, *_ in described if name != "__shopmon_row"}


def rejected(written: Written) -> list[tuple[int, str, bytes]]:
    return asked(written.rejected, "SELECT * FROM written ORDER BY row") if written.rejected else []


# --- values --------------------------------------------------------------------------------------------------------

KEPT = [
    # type, literal, DuckDB's type, value
    ("smallint", "'-7'", "BIGINT", -7),
    ("bigint", "'9223372036854775807'", "BIGINT", 2**63 - 1),
    ("real", "'0.1'", "DOUBLE", 0.1),
    ("double precision", "'0.1'::float8 + '0.2'::float8", "DOUBLE", 0.1 + 0.2),
    ("double precision", "'-Infinity'", "DOUBLE", -inf),
    ("numeric(10, 2)", "'12345678.90'", "DECIMAL(10,2)", Decimal("12345678.90")),
    ("numeric(38, 10)", "'-1e-10'", "DECIMAL(38,10)", Decimal("-1e-10")),
    ("numeric", "'1e-40'", "VARCHAR", "0." + "0" * 39 + "1"),
    ("numeric", "'NaN'", "VARCHAR", "NaN"),
    ("boolean", "'yes'", "BOOLEAN", True),
    ("text", "''", "VARCHAR", ""),
    ("text", r"E'NULL, \\N \"quoted\" \'x\'\r\n\t\\. ü 😀'", "VARCHAR", "NULL, \\N \"quoted\" 'x'\r\n\t\\. ü 😀"),
    ("text", r"E'\\.'", "VARCHAR", "\\."),
    ("varchar(20)", "' blanks '", "VARCHAR", " blanks "),
    ("char(8)", "'short'", "VARCHAR", "short"),
    ("timestamptz", "'2024-03-31 02:30:00.123456+05:30'", "TIMESTAMP WITH TIME ZONE", "2024-03-30 21:00:00.123456+00"),
    ("timestamp", "'0001-01-01 00:00:00'", "TIMESTAMP", datetime(1, 1, 1)),
    ("timestamp", "'9999-12-31 23:59:59.999999'", "TIMESTAMP", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("date", "'2024-02-29'", "DATE", date(2024, 2, 29)),
    ("time", "'23:59:59'", "VARCHAR", "23:59:59"),
    ("interval", "'1 day 2 hours'", "VARCHAR", "1 day 02:00:00"),
    ("bytea", r"'\x00ff22'", "BLOB", b'\x00\xff"'),
    ("bytea", "''", "BLOB", b""),
    ("text[]", """'{a,"b,c",NULL}'""", "VARCHAR", '{a,"b,c",NULL}'),
    ("int[]", "'{{1,2},{3,4}}'", "VARCHAR", "{{1,2},{3,4}}"),
    ("json", """'{"b":1, "a": null}'""", "VARCHAR", '{"b":1, "a": null}'),
    ("jsonb", """'{"b":1, "a": "\\u00fc"}'""", "VARCHAR", '{"a": "ü", "b": 1}'),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "VARCHAR", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("inet", "'10.0.0.1/8'", "VARCHAR", "10.0.0.1/8"),
    ("tstzrange", "'[2024-01-01 00:00+02,infinity)'", "VARCHAR", '["2023-12-31 22:00:00+00",infinity)'),
    ("mood", "'glad'", "VARCHAR", "glad"),
    ("stars", "'5'", "BIGINT", 5),
]


@pytest.mark.parametrize("place", ["Berlin", "Kathmandu"])
def test_every_value_comes_as_what_it_is_whatever_the_servers_settings(
    run: Callable[[str], Any], url: str, tmp_path: Path, place: str
) -> None:
    zone = {"Berlin": "Europe/Berlin", "Kathmandu": "Asia/Kathmandu"}[place]
    run(f"ALTER ROLE shopmon SET timezone = '{zone}'; ALTER ROLE shopmon SET datestyle = 'German'")
    run("ALTER ROLE shopmon SET intervalstyle = 'iso_8601'; ALTER ROLE shopmon SET bytea_output = 'escape'")
    run("ALTER ROLE shopmon SET extra_float_digits = -10; ALTER ROLE shopmon SET client_encoding = 'LATIN1'")
    try:
        run("CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN stars AS int CHECK (value BETWEEN 1 AND 5)")
        columns = ", ".join(f'"{number}" {kind}' for number, (kind, _, _, _) in enumerate(KEPT))
        run(f"CREATE TABLE kept (id int PRIMARY KEY, {columns})")
        run(f"INSERT INTO kept VALUES (1, {', '.join(literal for _, literal, _, _ in KEPT)})")
        run("INSERT INTO kept VALUES (2)")
        written = read(url, "kept", tmp_path)
        # Python has no time zones of its own here, so a time with one is compared as text.
        shown = [f'"{n}"::varchar' if kind == "timestamptz" else f'"{n}"' for n, (kind, *_) in enumerate(KEPT)]
        first, empty = asked(written.path, f"SELECT {', '.join(shown)} FROM written ORDER BY id")
    finally:
        run("ALTER ROLE shopmon RESET ALL")
    expected = [value for *_, value in KEPT]
    assert [*types(written).values()][1:] == [kind for _, _, kind, _ in KEPT]
    assert list(first) == expected
    assert list(empty) == [None] * len(KEPT)
    assert written.rejected_rows == 0
    assert "are read as text" in written.notes[0]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_the_address_is_read_alike(
    run: Callable[[str], Any], url: str, tmp_path: Path, scheme: str
) -> None:
    run("CREATE TABLE t AS SELECT 'infinity'::date AS a, 1 AS b UNION SELECT '2024-01-01', 2")
    written = read(f"{scheme}://{url.partition('://')[2]}", "t", tmp_path)
    assert (written.rows, written.rejected_rows, types(written)) == (1, 1, {"a": "DATE", "b": "BIGINT"})


def test_nan_in_a_float_stays_nan(run: Callable[[str], Any], url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t AS SELECT 'NaN'::float8 AS a")
    assert isnan(values(read(url, "t", tmp_path))[0][1])


UNFIT = [
    ("numeric(8, 2)", "NaN", "decimal128(8, 2)"),
    ("date", "infinity", "date32[day]"),
    ("date", "-infinity", "date32[day]"),
    ("date", "10000-01-01", "date32[day]"),
    ("date", "0001-12-31 BC", "date32[day]"),
    ("timestamptz", "infinity", "timestamp[us, tz=UTC]"),
    ("timestamptz", "294276-12-31 23:59:59+00", "timestamp[us, tz=UTC]"),
    ("timestamp", "-infinity", "timestamp[us]"),
    ("timestamp", "4713-01-01 00:00:00 BC", "timestamp[us]"),
]


@pytest.mark.parametrize(("kind", "literal", "shown"), UNFIT)
def test_a_value_that_has_no_place_costs_its_row_and_no_other(
    run: Callable[[str], Any], url: str, tmp_path: Path, kind: str, literal: str, shown: str
) -> None:
    good = "1.5" if kind.startswith("numeric") else "2024-02-29"
    run(f'CREATE TABLE t (id int PRIMARY KEY, other {kind}, "valid %to" {kind})')
    run(f"INSERT INTO t VALUES (1, '{good}', '{good}'), (2, '{good}', '{literal}'), (3, NULL, NULL)")
    run(f"INSERT INTO t VALUES (4, '{good}', NULL)")
    written = read(url, "t", tmp_path)
    assert [row[:2] for row in values(written)] == [(1, 1), (3, 3), (4, 4)]
    assert rejected(written) == [(2, f"column 'valid %to' holds a value that is no {shown}", literal.encode())]


def test_text_that_is_not_utf_8_costs_its_row_where_a_database_keeps_no_encoding(
    postgresql_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS raw")
        connection.execute("CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    address = f"{postgresql_url.rpartition('/')[0]}/raw"
    with psycopg.connect(address, autocommit=True, client_encoding="UTF8") as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, näme text, day date)")
        connection.execute("INSERT INTO t SELECT i, 'fits', '2024-01-01' FROM generate_series(1, 1000) i")
        connection.execute(r"UPDATE t SET näme = convert_from('\x636166e9', 'SQL_ASCII') WHERE id IN (17, 998)")
        connection.execute("UPDATE t SET day = 'infinity' WHERE id = 18")
    written = read(address, "t", tmp_path)
    assert (written.rows, types(written)) == (997, {"id": "BIGINT", "näme": "VARCHAR", "day": "DATE"})
    assert rejected(written) == [
        (17, "column 'näme' holds text that is not UTF-8", b"caf\xe9"),
        (18, "column 'day' holds a value that is no date32[day]", b"infinity"),
        (998, "column 'näme' holds text that is not UTF-8", b"caf\xe9"),
    ]
    assert [row[0] for row in values(written)] == [n for n in range(1, 1001) if n not in (17, 18, 998)]


def test_rows_beyond_one_block_and_a_value_longer_than_a_block_are_read(
    run: Callable[[str], Any], url: str, tmp_path: Path
) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, a text)")
    run("INSERT INTO t SELECT i, repeat(E'x\\n', 10000) FROM generate_series(1, 999) i")
    run("UPDATE t SET a = repeat(E'x\\n', 5000000) WHERE id = 500")
    written = read(url, "t", tmp_path)
    lengths = asked(written.path, "SELECT id, __shopmon_row, length(a) FROM written ORDER BY id")
    assert lengths == [(i, i, 10_000_000 if i == 500 else 20_000) for i in range(1, 1000)]


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "table"),
    [
        ("public", 'select "x"; DROP TABLE kept; --'),
        ('my "shop"', "new.reviews"),
        ("a.b", "c.d"),
        ("Größe %s", "ÄÖ 'x' {y} \\z :p"),
    ],
)
def test_names_are_names_whatever_they_hold(
    run: Callable[[str], Any], url: str, tmp_path: Path, schema: str, table: str
) -> None:
    def own(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    run("CREATE TABLE kept (a int)")
    if schema != "public":
        run(f"DROP SCHEMA IF EXISTS {own(schema)} CASCADE")
        run(f"CREATE SCHEMA {own(schema)}")
    column = 'co"l %(x)s; -- \\ 100%'
    run(f"CREATE TABLE {own(schema)}.{own(table)} (id int PRIMARY KEY, {own(column)} numeric(4, 1))")
    run(f"INSERT INTO {own(schema)}.{own(table)} VALUES (2, 1.5), (1, 'NaN')")
    written = read(url, f"{schema}.{table}", tmp_path)
    assert types(written) == {"id": "BIGINT", column: "DECIMAL(4,1)"}
    assert values(written) == [(2, 2, Decimal("1.5"))]
    assert run("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.parametrize("table", ["seen", "kept_view", "parts", "outside.seen"])
def test_views_materialised_views_and_partitioned_tables_are_read(
    run: Callable[[str], Any], url: str, tmp_path: Path, table: str
) -> None:
    run("CREATE TABLE t AS SELECT i AS id, 'x' AS a FROM generate_series(1, 100) i")
    run("CREATE VIEW seen AS SELECT * FROM t WHERE id <= 50")
    run("CREATE MATERIALIZED VIEW kept_view AS SELECT * FROM seen")
    run("CREATE TABLE parts (id int, a text) PARTITION BY RANGE (id)")
    run("CREATE TABLE few PARTITION OF parts FOR VALUES FROM (0) TO (26)")
    run("CREATE TABLE many PARTITION OF parts FOR VALUES FROM (26) TO (1000)")
    run("INSERT INTO parts SELECT * FROM seen")
    run("DROP SCHEMA IF EXISTS outside CASCADE; CREATE SCHEMA outside; CREATE VIEW outside.seen AS TABLE seen")
    written = read(url, table, tmp_path)
    assert sorted(row[1] for row in values(written)) == list(range(1, 51))


# --- one moment, and nothing written -------------------------------------------------------------------------------


def test_a_table_is_read_as_of_one_moment_and_cannot_be_written(
    run: Callable[[str], Any], url: str, tmp_path: Path
) -> None:
    told = ", ".join(f"current_setting('transaction_{what}') AS {what}" for what in ("isolation", "read_only"))
    run(f"CREATE VIEW v AS SELECT {told}")
    assert values(read(url, "v", tmp_path)) == [(1, "repeatable read", "on")]


def test_what_happens_while_a_table_is_read_is_not_seen(run: Callable[[str], Any], url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id int PRIMARY KEY, a text)")
    run("INSERT INTO t SELECT i, 'old' FROM generate_series(1, 200000) i")
    changed: list[int] = []

    def change(rows: int) -> None:
        if not changed:
            changed.append(rows)
            run("UPDATE t SET a = 'new'; DELETE FROM t WHERE id % 2 = 0; INSERT INTO t VALUES (200001, 'new')")

    written = read(url, "t", tmp_path, change)
    assert 0 < changed[0] < 200_000
    (said,) = asked(written.path, "SELECT count(*), min(a), max(a), sum(id) FROM written")
    assert said == (200_000, "old", "old", 200_000 * 200_001 // 2)


# --- memory --------------------------------------------------------------------------------------------------------

READ_AND_TELL = """
import re, sys
from pathlib import Path
from expectations.database_table import read_database_table
written = read_database_table(sys.argv[1], sys.argv[2], Path(sys.argv[3]), lambda rows: None)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(written.rows, int(peak) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
def test_memory_does_not_grow_with_the_table(run: Callable[[str], Any], url: str, tmp_path: Path) -> None:
    run("SET synchronous_commit = off")
    run("CREATE UNLOGGED TABLE big (id int PRIMARY KEY, text text, price numeric(8, 2), day date, brand text)")
    run(
        "INSERT INTO big SELECT i, md5(i::text) || repeat(' fits well', 12), i % 1000 / 4.0, '2024-01-01', "
        "'brand ' || i % 50 FROM generate_series(1, 1000000) i"
    )
    run("CREATE VIEW tenth AS SELECT * FROM big LIMIT 100000")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    peaks = {}
    for table in ("tenth", "big"):
        command = [sys.executable, "-c", READ_AND_TELL, url, table, str(tmp_path)]
        told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()
        peaks[int(told[0])] = int(told[1])
    assert set(peaks) == {100_000, 1_000_000}
    assert peaks[1_000_000] < 450  # megabytes, imports included; the rows are 200
    assert peaks[1_000_000] < peaks[100_000] + 80


# --- what can go wrong ---------------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_on_the_way_leaves_nothing(
    run: Callable[[str], Any], url: str, tmp_path: Path
) -> None:
    run("CREATE TABLE t AS SELECT i AS id, repeat('x', 500) AS a FROM generate_series(1, 200000) i")

    def cut(rows: int) -> None:
        run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'copy %'")

    with pytest.raises(BatchError, match=r"could not be read: .*The connection was lost on the way") as caught:
        read(url, "t", tmp_path, cut)
    assert "staple" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wait", ["before the first row", "between rows"])
def test_ctrl_c_ends_the_reading_here_and_on_the_server(
    run: Callable[[str], Any], url: str, tmp_path: Path, wait: str
) -> None:
    sleep = "pg_sleep(30)" if wait == "before the first row" else "pg_sleep(0.01)"
    run(f"CREATE VIEW slow AS SELECT {sleep}::text AS a FROM generate_series(1, 100000)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", READ_AND_TELL, url, "slow", str(tmp_path)]
    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'copy %' AND state = 'active'"

    def comes_to(count: int) -> bool:
        deadline = time.monotonic() + 60
        while run(active).fetchone() != (count,) and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(run(active).fetchone() == (count,))

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert comes_to(1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert told.strip().endswith("KeyboardInterrupt")
    assert comes_to(0)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_this_user_may_not_read_is_told(run: Callable[[str], Any], url: str, tmp_path: Path) -> None:
    run("DROP ROLE IF EXISTS reader")
    run("CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
    run("CREATE TABLE t (a int)")
    run("GRANT USAGE ON SCHEMA public TO reader")
    guest = "postgresql://reader:hunter2@" + url.rpartition("@")[2]
    with pytest.raises(BatchError, match=r"permission denied for table t.*GRANT SELECT") as caught:
        read(guest, "t", tmp_path)
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_statement_that_takes_too_long_for_the_server_is_told(
    run: Callable[[str], Any], url: str, tmp_path: Path
) -> None:
    run("CREATE VIEW slow AS SELECT pg_sleep(1)::text AS a FROM generate_series(1, 60)")
    run("ALTER ROLE shopmon SET statement_timeout = '300ms'")
    try:
        with pytest.raises(BatchError, match=r"statement timeout.*Let statements of this user take longer"):
            read(url, "slow", tmp_path)
    finally:
        run("ALTER ROLE shopmon RESET ALL")


def test_an_error_in_the_middle_of_a_view_is_told(run: Callable[[str], Any], url: str, tmp_path: Path) -> None:
    run("CREATE VIEW v AS SELECT 1 / (99999 - i) AS a FROM generate_series(1, 200000) i")
    with pytest.raises(BatchError, match="could not be read: division by zero"):
        read(url, "v", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_time_in_utc_is_that_instant(run: Callable[[str], Any], url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t AS SELECT '2024-07-01 12:00:00+02'::timestamptz AS a")
    (instant,) = asked(read(url, "t", tmp_path).path, "SELECT epoch(a) FROM written")
    assert instant == (datetime(2024, 7, 1, 10, tzinfo=UTC).timestamp(),)
