"""How fast does a table of PostgreSQL, or a bucket, become rows that can be checked, and in how much memory?

    python benchmarks/databases.py tables --rows 1000000
    python benchmarks/databases.py objects --megabytes 400

`tables` starts a PostgreSQL server of its own, fills a table with generated reviews, and has each contestant bring it
into numbered parquet, ordered by its key: rows through SQLAlchemy's server-side cursor (as other databases are read),
psycopg's binary COPY, ADBC, and COPY as CSV parsed by Arrow, which is what `shopmon check` does. Two more count the
fifteen rules of `benchmarks/check.py` and name the rows that break one: PostgreSQL itself, with the rules written as
its own SQL, and shopmon, reading included.

`objects` starts an S3 server (moto) of its own and has each contestant fetch the same bytes: one large file, several,
and many small ones behind a proxy that answers late, as a store far away does.

Every contestant runs in a process of its own, in turn, several times over; figures are medians, and ratios are taken
within the same round. CPU is that of the contestant, and for tables that of the server beside it. The peak is the
largest resident size of the contestant's process.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLE = "reviews"
COLUMNS = {
    "number": "bigint primary key",
    "id": "text",
    "date": "timestamptz",
    "locale": "text",
    "user": "text",
    "product": "text",
    "brand": "text",
    "category": "text",
    "price": "numeric(12, 2)",
    "stars": "int4",
    "title": "text",
    "text": "text",
}
BUCKET, LATE = "shop", 0.05
"""The bucket, and seconds by which the proxy answers late."""


@dataclass(frozen=True)
class Run:
    """One contestant's one run."""

    seconds: float
    """Of work, imports left out."""
    cpu: float
    """Seconds of all cores that the contestant took."""
    server: float
    """Seconds of all cores that the server took meanwhile."""
    peak: float
    """Bytes of resident memory at most."""
    found: int
    """Rows, bad rows or bytes."""


# --- tables: each contestant gives the work as a function, after its imports ----------------------------------------


def by_sqlalchemy(url: str, scratch: Path) -> Callable[[], int]:
    import pyarrow as pa
    import sqlalchemy as sa

    from expectations.scratch_parquet import ScratchParquet

    def work() -> int:
        engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect().execution_options(stream_results=True, yield_per=10_000) as connection:
            table = sa.Table(TABLE, sa.MetaData(), autoload_with=connection)
            rows = connection.execute(sa.select(table).order_by(table.c.number))
            with ScratchParquet(scratch, _schema(pa), _silent) as out:
                for part in rows.partitions():
                    _add(pa, out, list(zip(*part, strict=True)))
                return out.written().rows

    return work


def by_binary_copy(url: str, scratch: Path) -> Callable[[], int]:
    import psycopg
    import pyarrow as pa

    from expectations.scratch_parquet import ScratchParquet

    def work() -> int:
        query = f'copy (select * from "{TABLE}" order by number) to stdout (format binary)'
        with psycopg.connect(url) as connection, connection.cursor().copy(query) as copy:
            copy.set_types([_one_word(kind).replace("bigint", "int8") for kind in COLUMNS.values()])
            with ScratchParquet(scratch, _schema(pa), _silent) as out:
                for part in _parts(copy.rows(), 10_000):
                    _add(pa, out, list(zip(*part, strict=True)))
                return out.written().rows

    return work


def by_adbc(url: str, scratch: Path) -> Callable[[], int]:
    import adbc_driver_postgresql.dbapi as adbc
    import pyarrow as pa

    from expectations.scratch_parquet import ScratchParquet

    def work() -> int:
        asked = ", ".join(
            f'"{name}"::text' if kind.startswith("numeric") else f'"{name}"' for name, kind in COLUMNS.items()
        )
        with adbc.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(f'select {asked} from "{TABLE}" order by number')
            with ScratchParquet(scratch, _schema(pa), _silent) as out:
                for batch in cursor.fetch_record_batch():
                    arrays = [one.cast(kind) for one, kind in zip(batch.columns, _schema(pa).types, strict=True)]
                    out.add(_numbers(pa, out, batch.num_rows), arrays)
                return out.written().rows

    return work


def by_shopmon(url: str, scratch: Path) -> Callable[[], int]:
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

    from expectations.database_table import read_database_table

    return lambda: read_database_table(url, TABLE, scratch, _silent).rows


def rules_by_postgresql(url: str, scratch: Path) -> Callable[[], int]:
    import psycopg
    from check import RULES

    broken = [f"not ({_as_postgresql(rule)})" for rule in RULES if "unique" not in rule["type"]]
    broken.append("twice.id is not null")
    repeated = f'(select id from "{TABLE}" group by id having count(*) > 1)'
    joined = f'"{TABLE}" left join {repeated} as twice using (id)'  # `id in (…)` would not end

    def work() -> int:
        counts = ", ".join(f"count(*) filter (where {one})" for one in broken)
        with psycopg.connect(url) as connection:
            connection.execute(f"select {counts} from {joined}").fetchall()
            bad = f"select * from {joined} where {' or '.join(broken)}"
            with connection.cursor("bad") as cursor:
                cursor.execute(bad)
                return sum(1 for _ in cursor)

    return work


def rules_by_shopmon(url: str, scratch: Path) -> Callable[[], int]:
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401
    from check import _suite

    import expectations.judge  # noqa: F401
    from expectations.batch import open_batch
    from expectations.suite import load_suite
    from expectations.validation import validate

    def work() -> int:
        with open_batch(f"{url}::{TABLE}", scratch=scratch, kind="reviews") as batch:
            return validate(batch, load_suite(_suite(scratch)), folder=scratch).quarantined

    return work


TABLES: dict[str, tuple[str, Callable[[str, Path], Callable[[], int]]]] = {
    "shopmon": ("shopmon: COPY as CSV, parsed by Arrow", by_shopmon),
    "adbc": ("ADBC: binary COPY into Arrow", by_adbc),
    "binary": ("psycopg: binary COPY, rows in Python", by_binary_copy),
    "sqlalchemy": ("SQLAlchemy: server-side cursor, rows in Python", by_sqlalchemy),
    "rules-shopmon": ("shopmon: read, fifteen rules, bad rows aside", rules_by_shopmon),
    "rules-postgresql": ("PostgreSQL: fifteen rules as its SQL, bad rows fetched", rules_by_postgresql),
}


def _as_postgresql(rule: dict[str, Any]) -> str:
    """The condition that a good row meets."""
    asked = rule["kwargs"]
    column, kind = f'"{asked["column"]}"', rule["type"].removeprefix("expect_column_").removeprefix("values_to_")
    if kind == "not_be_null":
        return f"{column} is not null"
    if kind in ("match_regex", "not_match_regex"):
        return f"{column} {'!' if kind.startswith('not') else ''}~ '{asked['regex']}'"
    measured = f"char_length({column})" if "lengths" in kind else column
    return f"{measured} between {asked['min_value']} and {asked['max_value']}"


def _schema(pa: Any) -> Any:
    known = {
        "bigint": pa.int64(),
        "int4": pa.int64(),
        "numeric": pa.decimal128(12, 2),
        "text": pa.string(),
        "timestamptz": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, known[_one_word(kind)]) for name, kind in COLUMNS.items()])


def _one_word(kind: str) -> str:
    return kind.partition("(")[0].split()[0]


def _add(pa: Any, out: Any, columns: Sequence[Sequence[Any]]) -> None:
    arrays = [pa.array(values, kind) for values, kind in zip(columns, _schema(pa).types, strict=True)]
    out.add(_numbers(pa, out, len(columns[0])), arrays)


def _numbers(pa: Any, out: Any, rows: int) -> Any:
    return pa.array(range(out.rows + 1, out.rows + 1 + rows), pa.int64())


def _parts(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    part = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _silent(_: object) -> None:
    """Progress that nobody watches."""


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, int]]:
    """A server of its own: its address, and its process number."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda found: float(found.parts[-2]))
    root = os.geteuid() == 0  # as whom PostgreSQL refuses to run
    user = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": ()} if root else {}
    data, port = folder / "data", _free_port()
    data.mkdir()
    if root:
        shutil.chown(folder, "postgres")
        shutil.chown(data, "postgres")

    def call(program: str, *options: str) -> None:
        with (folder / "log").open("ab") as log:
            command = [str(programs / program), "-D", str(data), *options]
            subprocess.run(command, check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder, **user)  # type: ignore[call-overload]

    call("initdb", "-U", "shopmon", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    call("pg_ctl", "start", "-w", "-l", str(folder / "server.log"), "-o", options)
    try:
        number = int((data / "postmaster.pid").read_text().splitlines()[0])
        yield f"postgresql://shopmon@127.0.0.1:{port}/postgres", number
    finally:
        call("pg_ctl", "stop", "-w", "-m", "immediate")


def fill(url: str, rows: int, folder: Path) -> None:
    """A table of generated reviews; as in a real one, its rows do not lie in the order of its key."""
    import duckdb
    import psycopg

    generated, csv = folder / "reviews.parquet", folder / "reviews.csv"
    command = [sys.executable, str(HERE / "generate.py"), "--rows", str(rows), "--out", str(generated)]
    subprocess.run(command, check=True, env=_environment())
    duckdb.sql(
        f"copy (select row_number() over (), * from '{generated}' order by hash(id)) "
        f"to '{csv}' (header false, nullstr '\\N')"
    )
    declared = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'create table "{TABLE}" ({declared})')
        taken = f"copy \"{TABLE}\" from stdin (format csv, null '\\N')"
        with connection.cursor().copy(taken) as copy, csv.open("rb") as file:
            while chunk := file.read(1 << 20):
                copy.write(chunk)
        connection.execute("vacuum analyze")
    csv.unlink()


# --- objects --------------------------------------------------------------------------------------------------------


def fetch_by_shopmon(prefix: str, scratch: Path) -> Callable[[], int]:
    import s3fs  # noqa: F401

    from expectations.sources import find_sources

    def work() -> int:
        found = find_sources([f"s3://{BUCKET}/{prefix}"], scratch)
        return sum(one.path.stat().st_size for one in found if one.path)

    return work


def fetch_one_by_one(prefix: str, scratch: Path) -> Callable[[], int]:
    import expectations.remote_files

    expectations.remote_files.AT_ONCE = 1
    return fetch_by_shopmon(prefix, scratch)


def fetch_by_s3fs(prefix: str, scratch: Path) -> Callable[[], int]:
    import s3fs

    def work() -> int:
        s3fs.S3FileSystem().get(f"{BUCKET}/{prefix}/", str(scratch / "got"), recursive=True)
        return sum(file.stat().st_size for file in (scratch / "got").rglob("*") if file.is_file())

    return work


def fetch_by_boto3(prefix: str, scratch: Path) -> Callable[[], int]:
    import boto3

    def work() -> int:
        client = boto3.client("s3")
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")["Contents"]
        for number, one in enumerate(listed):
            client.download_file(BUCKET, one["Key"], str(scratch / str(number)))
        return sum(file.stat().st_size for file in scratch.iterdir())

    return work


OBJECTS: dict[str, tuple[str, Callable[[str, Path], Callable[[], int]]]] = {
    "shopmon": ("shopmon: four at once, hashed and verified", fetch_by_shopmon),
    "one-by-one": ("shopmon, had it one at a time", fetch_one_by_one),
    "s3fs": ("s3fs: get of the folder", fetch_by_s3fs),
    "boto3": ("boto3: download_file, one after the other", fetch_by_boto3),
}


@contextmanager
def s3(folder: Path) -> Iterator[tuple[str, int]]:
    """A server of its own: its address, and its process number."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "s3.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.kill()


def put(url: str, megabytes: int) -> None:
    """The same bytes three times over: one file, eight files, and 200 small ones that are fewer bytes."""
    import boto3

    os.environ.update(_keys(url))
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    line = b"A warm jacket, worn for years and still as on the picture,5\n"
    for prefix, files, size in (("one", 1, megabytes), ("eight", 8, megabytes / 8), ("small", 200, 0.02)):
        for number in range(files):
            head = b"text,stars\n" + os.urandom(8).hex().encode() + b",5\n"
            client.put_object(
                Bucket=BUCKET, Key=f"{prefix}/{number}.csv", Body=head + line * int(size * 1e6 / len(line))
            )


@contextmanager
def late(url: str) -> Iterator[str]:
    """The same server, whose answers come late."""
    target = ("127.0.0.1", int(url.rpartition(":")[2]))
    listening = socket.create_server(("127.0.0.1", 0))

    def pass_on(client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(target) as server:
            threading.Thread(target=copied, args=(client, server), daemon=True).start()
            time.sleep(LATE)
            copied(server, client)

    def copied(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(1 << 16):
                sink.sendall(chunk)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=pass_on, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


def _keys(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


# --- measuring ------------------------------------------------------------------------------------------------------


def run_one(kind: str, name: str, place: str) -> None:
    """In the contestant's own process: work once, and print what it took."""
    import re

    import pandas  # noqa: F401  # Arrow imports it at the first array, and a check needs it anyway

    with tempfile.TemporaryDirectory() as folder:
        work = {"tables": TABLES, "objects": OBJECTS}[kind][name][1](place, Path(folder))
        start, before = time.perf_counter(), time.process_time()
        found = work()
        seconds, cpu = time.perf_counter() - start, time.process_time() - before
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": int(peak[1]) * 1024 if peak else 0, "found": found}))


def measured(kind: str, name: str, place: str, server: int, **variables: str) -> Run | str:
    """What a contestant printed, or its last words."""
    command = [sys.executable, __file__, kind, "--one", name, "--place", place]
    before = _cpu_of(server)
    done = subprocess.run(command, capture_output=True, text=True, env=_environment() | variables, check=False)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    time.sleep(0.2)  # the server's own processes end a little later
    return Run(**json.loads(done.stdout.splitlines()[-1]), server=_cpu_of(server) - before)


def _cpu_of(process: int) -> float:
    """Seconds of CPU of a process and of its children, living or ended."""
    import psutil

    told = psutil.Process(process).cpu_times()
    living = sum(sum(child.cpu_times()[:2]) for child in psutil.Process(process).children())
    return float(told.user + told.system + told.children_user + told.children_system + living)


def rounds(
    kind: str, names: Sequence[str], place: str, server: int, repeats: int, **variables: str
) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {name: [] for name in names}
    for number in range(repeats):
        for name in names:
            print(f"round {number + 1} of {repeats}: {place} {name}", file=sys.stderr)
            run = measured(kind, name, place, server, **variables)
            if isinstance(run, str):
                print(f"  could not run: {run}", file=sys.stderr)
            else:
                found[name].append(run)
    return {name: runs for name, runs in found.items() if runs}


def shown(kind: str, found: dict[str, list[Run]], against: str, what: str) -> str:
    """A table, whose ratios are to one of the contestants in the same round."""
    titles = {"tables": TABLES, "objects": OBJECTS}[kind]
    lines = [
        f"| contestant | s | × | CPU s | server's CPU s | both, × | peak MB | {what} |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        pairs = list(zip(runs, found[against], strict=False))
        lines.append(
            f"| {titles[name][0]} | {_median(run.seconds for run in runs):.2f} "
            f"| {_median(run.seconds / base.seconds for run, base in pairs):.2f} "
            f"| {_median(run.cpu for run in runs):.2f} | {_median(run.server for run in runs):.2f} "
            f"| {_median((run.cpu + run.server) / (base.cpu + base.server) for run, base in pairs):.2f} "
            f"| {_median(run.peak for run in runs) / 1e6:.0f} | {runs[0].found:,} |"
        )
    return "\n".join(lines)


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    here = [str(HERE.parent), str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, here)), "DO_NOT_TRACK": "1"}


def tables(rows: int, repeats: int) -> None:
    """Measure and print both tables of tables."""
    with tempfile.TemporaryDirectory() as folder, postgresql(Path(folder)) as (url, server):
        fill(url, rows, Path(tempfile.mkdtemp(dir=folder)))
        print(
            f"{rows:,} rows of {len(COLUMNS)} columns; medians of {repeats}; {os.cpu_count()} cores, load {_load()}\n"
        )
        reading = [name for name in TABLES if not name.startswith("rules")]
        print(shown("tables", rounds("tables", reading, url, server, repeats), "shopmon", "rows") + "\n", flush=True)
        asking = [name for name in TABLES if name.startswith("rules")]
        print(shown("tables", rounds("tables", asking, url, server, repeats), "rules-shopmon", "bad rows"), flush=True)


def objects(megabytes: int, repeats: int) -> None:
    """Measure and print the table of each way in which bytes lie in a bucket."""
    with tempfile.TemporaryDirectory() as folder, s3(Path(folder)) as (url, server), late(url) as far:
        put(url, megabytes)
        print(f"{megabytes:,} MB; medians of {repeats}; {os.cpu_count()} cores, load {_load()}")
        for prefix, title, place in (
            ("one", "one file", url),
            ("eight", "eight files", url),
            ("small", f"200 files of 20 kB, each answer {LATE:.2f} s late", far),
        ):
            found = rounds("objects", list(OBJECTS), prefix, server, repeats, **_keys(place))
            print(f"\n{title}\n\n{shown('objects', found, 'shopmon', 'bytes')}", flush=True)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tables", "objects"))
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the generated table")
    parser.add_argument("--megabytes", type=int, default=400, help="of the generated files")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the tables hold medians")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(given.what, given.one, given.place)
    elif given.what == "tables":
        tables(given.rows, given.repeats)
    else:
        objects(given.megabytes, given.repeats)


if __name__ == "__main__":
    main()
