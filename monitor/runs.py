"""Which checks and trainings were there?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Double,
    Engine,
    Index,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import JSON

from expectations.errors import RunStoreError
from monitor.reviews import Reviews
from monitor.run_database import METADATA, Instant, connect, parse_address, shown, to_json, told, writing

STATUSES = ("passed", "failed", "error")
"""How a run can end: `error` means that it could not do its work."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One file or table that a run read."""

    name: str
    """Its path or address, without passwords."""
    sha256: str | None
    """Hash of its bytes, in hexadecimal; None for what has no bytes of its own, such as a database's table."""
    rows: int
    bytes: int | None


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a check or a training did, in short."""

    run_id: str
    command: str
    """`check`, `retrain`, …"""
    status: str
    """`passed`, `failed` or `error`."""
    kind: str | None
    """`reviews`, `products`, `queries` or `relevance`; None where it could not be told."""
    started_at: datetime
    """An instant with its time zone; the store gives it back in UTC."""
    seconds: float
    rows: int
    quarantined: int
    inputs: tuple[Input, ...]
    versions: dict[str, str]
    """What did the work: package → version."""
    folder: str | None
    """Where the artifacts are; None for a run that left none."""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"a run's status is one of {', '.join(STATUSES)}, got {self.status!r}")
        if self.started_at.utcoffset() is None:
            raise ValueError(f"a run starts at an instant with a time zone, got {self.started_at.isoformat()}")


@dataclass(frozen=True, kw_only=True)
class Run(RunSummary):
    """What a check or a training did, with its whole result."""

    document: dict[str, Any]
    """The JSON result as `--json` gives it. PostgreSQL (JSONB) does not keep the order of its names."""


_JSON = JSON().with_variant(JSONB(), "postgresql")
RUNS = Table(
    "shopmon_runs",  # a PostgreSQL database may be shared with others
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("command", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("kind", Text),
    Column("started_at", Instant, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("inputs", _JSON, nullable=False),
    Column("versions", _JSON, nullable=False),
    Column("folder", Text),
    Column("document", _JSON, nullable=False),
    Index("shopmon_runs_newest", "started_at", "run_id"),
    Index("shopmon_runs_command", "command", "started_at"),
)
_SHORT = [column for column in RUNS.c if column.name != "document"]
NEWEST_FIRST = (RUNS.c.started_at.desc(), RUNS.c.run_id.desc())


def new_run_id(now: datetime) -> str:
    """Name a run by its start in UTC and six random hexadecimal digits: names sort by time, and two never meet.

    Raises ValueError if `now` has no time zone.

    >>> new_run_id(datetime(2026, 11, 20, 19, 58, 1, tzinfo=UTC))[:16]
    '20261120-195801-'
    """
    if now.utcoffset() is None:
        raise ValueError(f"a run starts at an instant with a time zone, got {now.isoformat()}")
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


class RunStore:
    """The record of every run, in an SQLite file or a PostgreSQL database; several processes may use it at once.

    Every method raises RunStoreError, with advice and without passwords, when the database cannot do its part.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, RunStore.open(Path(folder) / "runs.sqlite") as store:
    ...     store.list()
    ()
    """

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = url

    @classmethod
    def open(cls, address: str | Path) -> Self:
        """Open `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE` or a path; create or migrate as needed.

        Raises RunStoreError if it cannot be reached, is no database, or was written by a newer shopmon.
        """
        url = parse_address(address)
        return cls(connect(url), url)

    def close(self) -> None:
        """Let go of the database; closing twice is fine."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RunStore({shown(self._url)!r})"

    def add(self, run: Run) -> None:
        """Record a run, once its folder is in place.

        Raises RunStoreError if its id is recorded already, or its document is no JSON (NaN and infinity are not).
        """
        values = {column.name: getattr(run, column.name) for column in RUNS.c}
        values["inputs"] = [asdict(one) for one in run.inputs]
        _refuse_what_is_no_json(run)
        with told(self._url):
            try:
                with writing(self._engine) as connection:
                    connection.execute(insert(RUNS), values)
            except IntegrityError:  # no column can be empty by type, so only the id can be in the way
                raise RunStoreError(
                    f"run {run.run_id} is recorded already in {shown(self._url)}",
                    advice="A run is recorded once; give a new run a new id (new_run_id).",
                ) from None

    def __contains__(self, run_id: str) -> bool:
        """Whether a run of exactly this id is recorded."""
        with self.reading() as connection:
            return connection.execute(select(RUNS.c.run_id).where(RUNS.c.run_id == run_id)).one_or_none() is not None

    def get(self, run_id: str) -> Run:
        """The run of this id, or of the only id that begins so.

        Raises RunStoreError if there is none (naming near ones) or if several begin so (naming some).
        """
        with self.reading() as connection:
            full = self._resolve(connection, run_id)
            return _run(connection.execute(select(RUNS).where(RUNS.c.run_id == full)).one())

    def latest(self, command: str) -> Run | None:
        """The newest run of a command; None if there was none."""
        newest = select(RUNS).where(RUNS.c.command == command).order_by(*NEWEST_FIRST).limit(1)
        with self.reading() as connection:
            row = connection.execute(newest).one_or_none()
        return None if row is None else _run(row)

    def list(
        self,
        limit: int | None = 20,
        command: str | None = None,
        status: str | None = None,
        kind: str | None = None,
    ) -> tuple[RunSummary, ...]:
        """The newest runs first, without their documents; `limit=None` for all. Nothing recorded, nothing listed."""
        asked = {"command": command, "status": status, "kind": kind}
        chosen = [RUNS.c[name] == value for name, value in asked.items() if value is not None]
        newest = select(*_SHORT).where(*chosen).order_by(*NEWEST_FIRST).limit(limit)
        with self.reading() as connection:
            return tuple(RunSummary(**_fields(row)) for row in connection.execute(newest))

    @property
    def reviews(self) -> Reviews:
        """What people decided about the rows that were gathered: in the same database, as long as it is open."""
        return Reviews(self._engine, self._url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that reads; what the driver raises meanwhile becomes a RunStoreError, without passwords."""
        with told(self._url), self._engine.connect() as connection:
            yield connection

    def _resolve(self, connection: Connection, wanted: str) -> str:
        begins_so = func.substr(RUNS.c.run_id, 1, len(wanted)) == wanted  # LIKE would ignore case in SQLite only
        by_length = (func.length(RUNS.c.run_id), RUNS.c.run_id)  # so an exact match comes first
        found = connection.execute(select(RUNS.c.run_id).where(begins_so).order_by(*by_length).limit(6)).scalars().all()
        if wanted and (wanted in found or len(found) == 1):
            return str(found[0])
        if wanted and found:
            raise RunStoreError(
                f"several runs begin with {wanted!r}: {_some(found, 5)}", advice="Give more of the run's id."
            )
        recent = connection.execute(select(RUNS.c.run_id).order_by(*NEWEST_FIRST).limit(1000)).scalars().all()
        raise _unknown(wanted, recent, shown(self._url))


def _refuse_what_is_no_json(run: Run) -> None:
    try:
        to_json(run.document)
    except (TypeError, ValueError) as error:
        raise RunStoreError(
            f"the result of run {run.run_id} is no JSON: {error}", advice="Please report this as a bug of shopmon."
        ) from None


def _unknown(wanted: str, recent: Sequence[str], store: str) -> RunStoreError:
    """Say that there is no such run, and which ones come near; `recent` holds ids, newest first."""
    if not recent:
        return RunStoreError(f"there is no run {wanted!r}: {store} holds none yet", advice="Begin with shopmon check.")
    near = get_close_matches(wanted, recent, n=3)
    hint = f"near it: {_some(near, 3)}" if near else f"the newest: {_some(recent, 3)}"
    return RunStoreError(f"there is no run {wanted!r} in {store}; {hint}", advice="shopmon runs lists them.")


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _fields(row: Row[Any]) -> dict[str, Any]:
    """A row's values under the names of a run's fields."""
    values = dict(row._mapping)
    values["inputs"] = tuple(Input(**one) for one in values["inputs"])
    return values


def _run(row: Row[Any]) -> Run:
    return Run(**_fields(row))
