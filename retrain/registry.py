"""Which models are there, and which one is champion?

A folder for each task, with a folder for each model and `champion.json`, which holds every change of champion. Nothing
here needs torch.
"""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import ShopmonError, first_line
from monitor.run_folder import run_folder, sweep, write_aside
from retrain.records import FILE_NAME, from_document, read
from retrain.weights import weights_sha256

log = logging.getLogger("shopmon.registry")

CHAMPION = "champion.json"
LINEAGE = "lineage.parquet"
SCHEMA_VERSION = 1
"""Of `champion.json`."""

By = Literal["gate", "person", "rollback"]
"""Who changed the champion."""

_LOCK = "lock"
_POLL = 0.05
"""Seconds between two attempts to get the lock."""
_RESTORE = "Restore it from a copy."


@dataclass(frozen=True)
class Registered:
    """A model of the registry."""

    task: str
    model_id: str
    folder: Path
    created: str
    """When, in UTC (ISO 8601)."""
    gate_passed: bool
    is_champion: bool
    document: Mapping[str, Any]
    """What its training said, as plain JSON: see `records`."""


@dataclass(frozen=True)
class Damaged:
    """A folder of the registry that is no whole model."""

    task: str
    model_id: str
    folder: Path
    why: str


@dataclass(frozen=True)
class Event:
    """One change of champion."""

    at: str
    """When, in UTC (ISO 8601)."""
    model_id: str | None
    """Who became champion; None where a rollback left none, as it was before the first."""
    before: str | None
    """Who had been champion."""
    by: By
    reason: str


@dataclass(frozen=True)
class Registry:
    """The models of a project.

    A model appears whole or not at all, and so does a change of champion, under a lock that one process at a time
    holds: two at once, or one killed at any moment, lose no event. Nobody needs the lock to read. Whatever cannot be
    read, written or locked is a ShopmonError that names it. A task is a plain name, else ShopmonError.

    >>> from tempfile import TemporaryDirectory
    >>> from retrain.records import write
    >>> from retrain.results import BaseUsed, TrainingResult
    >>> name = "20261120-195801-a3f9c1"
    >>> with TemporaryDirectory() as folder:
    ...     registry = Registry(Path(folder))
    ...     with registry.adding("mlm", name) as staging:
    ...         _ = (staging / "model.safetensors").write_bytes(b"weights")
    ...         said = {"base": BaseUsed("offline", "3f2a"), "weights_sha256": weights_sha256(staging)}
    ...         _ = write(TrainingResult(model_id=name, task="mlm", **said), staging)
    ...     _ = registry.promote("20261120", by="person", reason="the only one")
    ...     registry.champion("mlm").created
    '2026-11-20T19:58:01+00:00'
    """

    folder: Path
    """Such as `.shopmon/models` of a project; created with the first model."""
    wait_seconds: float = 60.0
    """For how long to wait for the lock, which others hold for as long as a model takes to reach the disk."""

    @contextmanager
    def adding(self, task: str, model_id: str) -> Iterator[Path]:
        """Yield an unfinished folder; once the block ends well, it is the model's, whole and on disk.

        A block that raises leaves nothing behind. What a killed process left unfinished is removed first. Raises
        ShopmonError if there is such a model already.
        """
        place = self._task(task)
        with ExitStack() as lock:
            lock.enter_context(self._locked(task))
            sweep(place, timedelta(0))  # only who holds the lock begins or finishes here: what has no owner was killed
            with run_folder(place, model_id) as staging:
                lock.close()  # filling takes its time, and disturbs nobody
                yield staging
                lock.enter_context(self._locked(task))

    def models(self, task: str | None = None) -> tuple[Registered, ...]:
        """The whole models of a task, or of all, the newest first; damaged ones are logged as warnings."""
        found, damaged = self._all(task)
        for one in damaged:
            log.warning("the model %s is left out: %s", one.model_id, one.why)
        return tuple(sorted(found, key=lambda one: (one.created, one.model_id), reverse=True))

    def damaged(self, task: str | None = None) -> tuple[Damaged, ...]:
        """The folders of a task, or of all, that are no whole models, sorted by name."""
        return tuple(self._all(task)[1])

    def get(self, model_id: str, task: str | None = None) -> Registered:
        """The model of this id, or of the only id that begins so.

        Raises ShopmonError if there is none (naming near ones), if several begin so (naming some), or if it is damaged.
        """
        owner, name = self._resolved(model_id, task)
        return self._read(owner, name, self._champion_id(owner))

    def champion(self, task: str) -> Registered | None:
        """The champion of a task; None where there is none.

        Raises ShopmonError, with the way out, if its folder is gone or damaged, or if `champion.json` is.
        """
        name = self._champion_id(task)
        if name is None:
            return None
        try:
            return self._read(task, name, name)
        except ShopmonError as error:
            raise ShopmonError(
                f"the champion {name} of {task} cannot be used: {error.problem}",
                advice="Restore it from a copy, or go back to the one before it: shopmon models rollback.",
            ) from error

    def promote(self, model_id: str, *, task: str | None = None, by: str, reason: str = "") -> Event:
        """Make a model champion, whose weights are held against their checksum before; the event that did so.

        The champion is promoted once: if it is champion already, nothing is changed, and its last event is returned.
        Raises ShopmonError as `get` and `verify` do; ValueError unless `by` is "gate" or "person".
        """
        if by not in ("gate", "person"):
            raise ValueError(f'a model is promoted by the "gate" or a "person", got {by!r}')
        model = self.get(model_id, task)
        self.verify(model)
        with self._locked(model.task):
            history = self.history(model.task)
            before = history[-1].model_id if history else None
            if history and before == model.model_id:
                return history[-1]
            return self._changed(model.task, history, Event(_now(), model.model_id, before, _by(by), reason))

    def rollback(self, task: str) -> Event:
        """Go back to the champion before this one; once more, to the one before that, and at last to none.

        Those that are gone or damaged are passed over, as the event's reason says. Raises ShopmonError where there is
        no champion.
        """
        place = self._task(task)
        if not place.is_dir():  # a lock would make it
            raise _no_champion(task)
        with self._locked(task):
            history = self.history(task)
            line = _line(history)
            if not line:
                raise _no_champion(task)
            passed, back = [], None
            for name in reversed(line[:-1]):
                if name == line[-1]:
                    continue
                try:
                    self.verify(self._read(task, name, None))
                except ShopmonError as error:
                    log.warning("the champion before, %s, is passed over: %s", name, error.problem)
                    passed.append(f"passed over {name}: {error.problem}")
                else:
                    back = name
                    break
            return self._changed(task, history, Event(_now(), back, line[-1], "rollback", "; ".join(passed)))

    def history(self, task: str) -> tuple[Event, ...]:
        """Every change of champion, the oldest first; empty before the first one."""
        file = self._task(task) / CHAMPION
        try:
            return _events(json.loads(file.read_bytes()))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise ShopmonError(f"{file} cannot be read: {error.strerror}", advice="Let this user read it.") from error
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            said = str(error) if isinstance(error, ValueError) else "it is no record of champions"
            raise ShopmonError(
                f"{file} is damaged: {said}",
                advice="Restore it from a copy. Or move it away: then there is no champion, until one is promoted with "
                "shopmon models promote.",
            ) from error

    def lineage(self, model_id: str, task: str | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Every row that stood before a model's training: where it comes from, which rules chose it, and its use.

        Columns: text_hash, role, reasons, kind, batch, file, row, id, run_id, use; or some of them. Raises ShopmonError
        if it is missing or damaged, and as `get` does.
        """
        file = self.get(model_id, task).folder / LINEAGE
        try:
            return pq.read_table(file, columns=columns, page_checksum_verification=True)
        except FileNotFoundError as error:
            raise ShopmonError(f"{file} is missing", advice=_RESTORE) from error
        except (OSError, pa.ArrowException) as error:
            raise ShopmonError(f"{file} cannot be read: {first_line(error)}", advice=_RESTORE) from error

    def verify(self, model: Registered) -> None:
        """Hold a model's weights against the checksum that its training wrote down.

        Raises ShopmonError if they are not the same. It reads them whole: a second for a gigabyte.
        """
        expected = model.document.get("weights_sha256", "")
        try:
            found = weights_sha256(model.folder)
        except OSError as error:
            raise ShopmonError(
                f"the weights in {model.folder} cannot be read: {error.strerror}", advice=_RESTORE
            ) from error
        if found != expected:
            raise ShopmonError(
                f"the weights in {model.folder} are not those that were trained: their SHA-256 is {found[:12]}…, and "
                f"{FILE_NAME} says {_begun(expected)}",
                advice=_RESTORE,
            )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _task(self, task: str) -> Path:
        """The folder of a task, which may not be there."""
        if not _is_plain(task):
            raise ShopmonError(f"{task!r} is no task", advice="A task has a plain name, such as mlm.")
        return self.folder / task

    def _tasks(self, task: str | None) -> Sequence[str]:
        return [task] if task is not None else _folders(self.folder)

    def _all(self, task: str | None) -> tuple[list[Registered], list[Damaged]]:
        found, damaged = [], []
        for owner in self._tasks(task):
            champion = self._champion_id(owner)
            for name in _folders(self._task(owner)):
                try:
                    found.append(self._read(owner, name, champion))
                except ShopmonError as error:
                    damaged.append(Damaged(owner, name, self._task(owner) / name, error.problem))
        return found, damaged

    def _read(self, task: str, name: str, champion: str | None) -> Registered:
        folder = self._task(task) / name
        if not folder.is_dir():
            raise ShopmonError(f"there is no folder {folder}", advice=_RESTORE)
        document = read(folder)
        if (document["task"], document["model_id"]) != (task, name):
            raise ShopmonError(
                f"{folder / FILE_NAME} is of another model: {document['task']}/{document['model_id']}", advice=_RESTORE
            )
        if not any(folder.glob("*.safetensors")):
            raise ShopmonError(f"{folder} has no weights: no .safetensors file", advice=_RESTORE)
        return Registered(
            task=task,
            model_id=name,
            folder=folder,
            created=_created(name, folder / FILE_NAME),
            gate_passed=from_document(document).gate.passed,
            is_champion=name == champion,
            document=document,
        )

    def _champion_id(self, task: str) -> str | None:
        history = self.history(task)
        return history[-1].model_id if history else None

    def _resolved(self, wanted: str, task: str | None) -> tuple[str, str]:
        """Task and id of the model that is meant."""
        there = [(owner, name) for owner in self._tasks(task) for name in _folders(self._task(owner))]
        exact = [one for one in there if one[1] == wanted]
        found = exact or [one for one in there if wanted and one[1].startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            told = _some([f"{name} ({owner})" for owner, name in found], 5)
            raise ShopmonError(
                f"several models {'are called' if exact else 'begin with'} {wanted!r}: {told}",
                advice="Give the task, too." if exact else "Give more of the model's id.",
            )
        raise self._unknown(wanted, [name for _, name in there])

    def _unknown(self, wanted: str, names: Sequence[str]) -> ShopmonError:
        if not names:
            return ShopmonError(
                f"there is no model {wanted!r}: {self.folder} holds none yet", advice="Train one: shopmon retrain."
            )
        near = get_close_matches(wanted, names, n=3)
        hint = f"near it: {_some(near, 3)}" if near else f"the newest: {_some(sorted(names, reverse=True), 3)}"
        return ShopmonError(
            f"there is no model {wanted!r} in {self.folder}; {hint}", advice="shopmon models lists them."
        )

    def _changed(self, task: str, history: Sequence[Event], event: Event) -> Event:
        """Write one more event; only for who holds the lock."""
        told = {
            "schema_version": SCHEMA_VERSION,
            "champion": event.model_id,
            "history": [asdict(one) for one in (*history, event)],
        }
        with write_aside(self._task(task) / CHAMPION) as aside:
            aside.write_text(json.dumps(told, indent=2) + "\n", encoding="ascii")
        return event

    @contextmanager
    def _locked(self, task: str) -> Iterator[None]:
        """Hold the task's lock, which the system takes back from a process that ends, however it ends."""
        place = self._task(task)
        try:
            place.mkdir(parents=True, exist_ok=True)
            lock = (place / _LOCK).open("a", encoding="ascii")
        except OSError as error:
            raise ShopmonError(
                f"{error.filename or place} cannot be written: {error.strerror}",
                advice=f"Let this user write in {self.folder}, or free some space.",
            ) from error
        with lock:
            until = time.monotonic() + self.wait_seconds
            while not _locks(lock, place):
                if time.monotonic() >= until:
                    raise ShopmonError(
                        f"another process is changing {place}, and did not end within {self.wait_seconds:g} seconds",
                        advice="Wait until it has ended, or end it, and run again.",
                    )
                time.sleep(_POLL)
            yield


def _locks(lock: IO[str], place: Path) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ShopmonError(
            f"no file can be locked in {place}: {error.strerror}",
            advice="Keep the project on a file system that has locks; without, two trainings could harm each other.",
        ) from error
    return True


def _folders(place: Path) -> list[str]:
    """The names of the finished folders in a place, sorted; none where it is missing."""
    try:
        return sorted(one.name for one in place.iterdir() if not one.name.startswith(".") and one.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ShopmonError(f"{place} cannot be read: {error.strerror}", advice="Let this user read it.") from error


def _created(model_id: str, file: Path) -> str:
    """When a model was made: a run's id says it; for any other, when its record was written."""
    try:
        at = datetime.strptime(model_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return at.isoformat(timespec="seconds")


def _line(history: Sequence[Event]) -> list[str]:
    """The champions that a rollback can go back through; the last one is champion now."""
    line: list[str] = []
    for event in history:
        if event.by != "rollback":
            line += [event.model_id] if event.model_id is not None else []
            continue
        line = line[:-1]
        while line and line[-1] != event.model_id:
            line.pop()
    return line


def _events(told: Any) -> tuple[Event, ...]:
    """The history as `champion.json` tells it. Raises ValueError, TypeError or LookupError for what is none."""
    if told["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"its format is {told['schema_version']!r}, and this shopmon reads {SCHEMA_VERSION}")
    history = tuple(_event(**one) for one in told["history"])
    last = None
    for event in history:
        if event.before != last:
            raise ValueError(f"its history says that {event.model_id} came after {event.before}, and after {last}")
        last = event.model_id
    if told["champion"] != last:
        raise ValueError(f"it names {told['champion']!r} as champion, and its history {last!r}")
    return history


def _event(*, at: str, model_id: str | None, before: str | None, by: str, reason: str) -> Event:
    for name in (model_id, before):
        if name is not None and not _is_plain(name):
            raise ValueError(f"{name!r} is no model's id")
    if not isinstance(at, str) or not isinstance(reason, str):
        raise TypeError("an event has a time and a reason, both texts")
    return Event(at, model_id, before, _by(by), reason)


def _is_plain(name: object) -> bool:
    """Whether a name leads to nothing but a folder of that name."""
    return isinstance(name, str) and name[:1] not in ("", ".") and "\0" not in name and Path(name).name == name


def _by(told: str) -> By:
    for by in get_args(By):
        if told == by:
            return by  # type: ignore[no-any-return]
    raise ValueError(f"an event is by one of {', '.join(get_args(By))}, and not {told!r}")


def _no_champion(task: str) -> ShopmonError:
    return ShopmonError(
        f"there is no champion of {task}, so there is nothing to go back from",
        advice="shopmon models lists the models; shopmon models promote makes one champion.",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _begun(digest: str) -> str:
    return f"{digest[:12]}…" if digest else "none"


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
