"""How is the database of runs reached, and what is said when it cannot be?"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    TypeDecorator,
    column,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    table,
    text,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError

from expectations.errors import RunStoreAway, RunStoreError
from monitor.migrations import HEAD, REVISIONS, VERSION_TABLE, upgrade

logger = logging.getLogger("shopmon.run_database")

BUSY_SECONDS = 30
"""How long one process waits for another that is writing (seconds)."""
CONNECT_SECONDS = 10
"""How long a PostgreSQL server may take to answer (seconds)."""
MIGRATION_LOCK = 0x73686F706D6F6E  # "shopmon" in ASCII, so that no other application takes the same number by chance
METADATA = MetaData()
"""The tables of the store, as the modules that fill them describe them."""

_EXPECTED = "Expected sqlite:///FOLDER/runs.sqlite or postgresql://USER:PASSWORD@HOST:5432/DATABASE."

# Both step over an escaped backslash, so that what follows it is never taken for an escape.
_UNSTORABLE = re.compile(
    r"\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}"  # a whole pair is a character like any other
    r"|\\u(0000|001b|d[89a-f][0-9a-f]{2})"
)
_ESCAPED = re.compile(r"\\\\|\\u001b([0-9a-f]{4})")


class Instant(TypeDecorator[datetime]):
    """A time in UTC on both databases: SQLite keeps no zone, PostgreSQL answers in its session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """With its time zone, UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Sign(NamedTuple):
    """What a driver's message shows, and what a person should hear of it."""

    pattern: str
    problem: str
    advice: str
    error: type[RunStoreError] = RunStoreError


_SIGNS = (
    _Sign(
        "file is not a database",
        "{store} is no SQLite database",
        "Move that file aside, or name another one for the run store.",
    ),
    _Sign(
        "malformed|disk I/O error",
        "the run store {store} is damaged",
        "Move it aside and a new one is begun; what each run found is still in its folder, as result.json.",
    ),
    _Sign(
        "readonly database|unable to open database",
        "the run store {store} cannot be opened for writing",
        "Let this user write that file and its folder, or name another place for the run store.",
    ),
    _Sign(
        "database is locked|locking protocol|lock timeout",
        f"another process has held the run store {{store}} for more than {BUSY_SECONDS} seconds",
        "Try again; on a network drive, use a PostgreSQL store instead.",
    ),
    _Sign("disk is full|No space left", "the disk of the run store {store} is full", "Free some space and run again."),
    _Sign(
        "password authentication failed|no password supplied|no pg_hba.conf entry",
        "the server does not let this user in: {store}",
        "Check the user and the password in the run store's address.",
    ),
    _Sign(
        'database ".*" does not exist',
        "the server has no such database: {store}",
        "Create it (createdb), or name another one in the run store's address.",
    ),
    _Sign(
        "[Cc]onnection (refused|timeout|timed out|failed)|could not translate|failed to resolve|Name or service"
        "|closed the connection|terminating connection|connection is (lost|closed)|[Cc]onnection reset|EOF detected"
        "|starting up|shutting down|in recovery mode|not yet accepting connections",
        "no PostgreSQL server answers at {store}",
        "Start it, or check the host and the port in the run store's address.",
        RunStoreAway,
    ),
    _Sign(
        "permission denied|must be owner",
        "this user may not read and write the run store {store}",
        "Grant it CREATE on the schema, or the rights on shopmon's tables.",
    ),
    _Sign(
        "no such (table|column)|(relation|column) .* does not exist",
        "the run store {store} lacks tables that its version should have",
        "It was changed by hand: restore a copy, or name a new place for the run store.",
    ),
)


def parse_address(address: str | Path) -> URL:
    """Read `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, or the path of an SQLite file.

    Raises RunStoreError for anything else, without repeating an address that may hold a password.
    """
    if isinstance(address, Path):
        return URL.create("sqlite", database=str(address.absolute()))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        shown = "the run store's address" if "@" in address else f"the run store's address {address!r}"
        raise RunStoreError(f"{shown} cannot be read", advice=_EXPECTED) from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise RunStoreError(f"the run store cannot be kept in {url.drivername!r}", advice=_EXPECTED)
    if url.host or url.query or url.database in (None, "", ":memory:"):
        raise RunStoreError(
            "the run store's address names no SQLite file",
            advice=f"{_EXPECTED} A relative path has three slashes, an absolute one four, and no options follow it.",
        )
    return url.set(database=str(Path(str(url.database)).expanduser().absolute()))


def shown(url: URL) -> str:
    """Name a store for a person: the file, or the server's address without password and options."""
    if url.drivername == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def connect(url: URL) -> Engine:
    """Open the database and bring its tables to the version this code knows; two processes may do so at once.

    Raises RunStoreError if it cannot be reached, is no database, or was written by a newer shopmon.
    """
    with told(url):
        engine = _sqlite_engine(url) if url.drivername == "sqlite" else _postgresql_engine(url)
    try:
        with told(url):
            _bring_up_to_date(engine, url)
    except BaseException:
        engine.dispose()
        raise
    return engine


def to_json(value: Any) -> str:
    r"""Write JSON that PostgreSQL takes too: it refuses NUL and half surrogates, which broken rows do hold.

    They are written as an escape character and four hexadecimal digits; `from_json` reads them back.

    >>> to_json("a\x00")
    '"a\\u001b0000"'
    >>> from_json(to_json("a\x00")) == "a\x00"
    True
    """
    return _UNSTORABLE.sub(_escape, json.dumps(value, allow_nan=False))


def from_json(written: str | bytes) -> Any:
    """Read what `to_json` wrote."""
    content = written if isinstance(written, str) else bytes(written).decode()
    return json.loads(_ESCAPED.sub(lambda found: f"\\u{found[1]}" if found[1] else found[0], content))


def _escape(found: re.Match[str]) -> str:
    return f"\\u001b{found[1]}" if found[1] else found[0]


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that writes. SQLite takes its lock at once: a reader that became a writer could not wait."""
    with engine.execution_options(shopmon_writes=True).begin() as connection:
        yield connection


def one_at_a_time(connection: Connection, lock: int) -> None:
    """Wait for whoever holds this lock, and hold it to the end of the transaction; in SQLite, `writing` holds it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": lock})


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn what a driver raises into a RunStoreError with advice, and without a password, SQL or a run's data."""
    try:
        yield
    except (SQLAlchemyError, OSError, UnicodeError) as error:
        # `from None`: the driver's own error may repeat what must not be shown.
        raise _explained(error, url) from None


def _explained(error: Exception, url: URL) -> RunStoreError:
    store = shown(url)
    if isinstance(error, OSError):
        return RunStoreError(
            f"the run store {store} cannot be opened: {error.strerror}",
            advice="Let this user write in its folder, or name another place for the run store.",
        )
    message = _without_secrets(str(error.orig if isinstance(error, StatementError) else error), url)
    logger.debug("the run store %s: %s", store, message)
    for sign in _SIGNS:
        if re.search(sign.pattern, message):
            return sign.error(sign.problem.format(store=store), advice=sign.advice)
    return RunStoreError(
        f"the run store {store} gave an error: {' '.join(message.split())[:300]}",
        advice="If the address and the server are right, please report this as a bug of shopmon.",
    )


def _without_secrets(message: str, url: URL) -> str:
    options = [value for name, value in url.query.items() if "pass" in name]
    for secret in (url.password, *options):
        for spelling in (str(secret), quote(str(secret), safe="")) if secret else ():
            message = message.replace(spelling, "***")
    return message


def _postgresql_engine(url: URL) -> Engine:
    ours = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "shopmon",
        # A server whose machine went away would otherwise be waited for for two hours.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "prepare_threshold": None,  # a pooler such as PgBouncer loses prepared statements
    }
    options = {name: value for name, value in ours.items() if name not in url.query}
    return create_engine(
        url,
        connect_args=options,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=to_json,
        json_deserializer=from_json,
    )


def _sqlite_engine(url: URL) -> Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS},
        hide_parameters=True,
        json_serializer=to_json,
        json_deserializer=from_json,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """Leave transactions to us, and keep a write-ahead log: readers and one writer then do not wait for each other."""
    connection.isolation_level = None
    _keep_write_ahead_log(connection)


def _keep_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Changing the journal does not wait for other processes as other statements do, so the waiting is done here."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("shopmon_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _bring_up_to_date(engine: Engine, url: URL) -> None:
    with engine.connect() as connection:
        version = _version(connection)
    if version == HEAD:
        return
    with writing(engine) as connection:
        one_at_a_time(connection, MIGRATION_LOCK)
        version = _version(connection)  # another process may have been faster
        if version is not None and version not in REVISIONS:
            raise RunStoreError(
                f"the run store {shown(url)} was written by a newer shopmon: "
                f"its version is {version}, and this one knows versions up to {HEAD}",
                advice="Upgrade shopmon (pip install --upgrade shopmon), or name another run store.",
            )
        if version != HEAD:
            logger.info("bringing the run store %s from version %s to %s", shown(url), version or "none", HEAD)
            upgrade(connection)


def _version(connection: Connection) -> str | None:
    """The store's version; None for a database that holds no run store yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version = connection.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar()
    return None if version is None else str(version)
