"""Which training goes on, and with what did it begin?

A training that is not finished has a folder: what it was asked to do, its metrics and its checkpoints. Settings, texts,
the parts of the retraining set and what people decided about its rows stand fixed in it, so that one which was killed
goes on with what it began with.
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Self, TypeVar

from expectations.errors import ShopmonError
from monitor.reviews import Reviewed
from monitor.run_folder import write_aside
from retrain import processes
from retrain.metrics import FILE_NAME

log = logging.getLogger("shopmon.retrain")

PLAN = "plan.json"
_LOCK = "lock"
_HELD = "held.json"
"""What else it began with: name → SHA-256."""


Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Work(Generic[Settings]):
    """A training in its folder, which no other process touches while it is open."""

    folder: Path
    model_id: str
    settings: Settings
    plain_settings: Mapping[str, Any]
    """The same as plain JSON."""
    parts: tuple[str, ...]
    """Parts of the retraining set that were there when it began."""
    texts: tuple[str, ...]
    """The project's own texts."""
    reviewed: Reviewed
    """What people had decided when it began."""
    held: ExitStack = field(default_factory=ExitStack, repr=False)

    def holds(self, what: str, sha256: str) -> None:
        """Remember what a training began with, or see that it is still the same.

        Raises ShopmonError if a training that goes on would go on with something else.
        """
        file = self.folder / _HELD
        held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if held.get(what, sha256) != sha256:
            raise ShopmonError(
                f"the {what} is not the one that the training in {self.folder} began with",
                advice="Put back the one of then, or begin a new training: shopmon retrain without --resume.",
            )
        if what not in held and processes.is_first():
            with write_aside(file) as aside:
                aside.write_text(json.dumps({**held, what: sha256}), encoding="utf-8")

    def done(self) -> None:
        """Remove the folder: the model is in the registry."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not (self.folder / FILE_NAME).exists() and processes.is_first():
            self.done()  # not one step was taken: what could not begin is not what a later --resume should take
        self.held.close()


def begin_work(
    root: Path,
    model_id: str,
    settings: Settings,
    parts: Sequence[str] = (),
    texts: Sequence[str] = (),
    reviewed: Reviewed = Reviewed(),
) -> Work[Settings]:
    """Make the folder of a new training. Raises ShopmonError where it cannot be written."""
    folder = root / model_id
    plan = {
        "model_id": model_id,
        "settings": _adapter(type(settings)).dump_python(settings, mode="json"),
        "parts": list(parts),
        "texts": list(texts),
        "reviewed": _plain(reviewed),
    }
    if processes.is_first():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with write_aside(folder / PLAN) as aside:
                aside.write_text(json.dumps(plan, ensure_ascii=False), encoding="utf-8")
        except OSError as error:
            raise ShopmonError(
                f"{folder} cannot be written: {error.strerror}", advice="Free some space, or let this user write there."
            ) from error
    processes.together()
    return _opened(folder, type(settings))


def resume_work(root: Path, kind: type[Settings]) -> Work[Settings]:
    """The newest training that was begun and not finished; `kind` is what its settings are.

    Raises ShopmonError where there is none, where it goes on in another process, or where its plan is damaged.
    """
    there = sorted((plan.parent for plan in root.glob(f"*/{PLAN}")), reverse=True)
    if not there:
        raise ShopmonError(
            f"there is no unfinished training in {root}", advice="Begin one: shopmon retrain, without --resume."
        )
    return _opened(there[0], kind)


def _opened(folder: Path, kind: type[Settings]) -> Work[Settings]:
    held = ExitStack()
    if processes.is_first():
        held.enter_context(_locked(folder))
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        settings = _adapter(kind).validate_python(plan["settings"])
        return Work(
            folder,
            plan["model_id"],
            settings,
            plan["settings"],
            tuple(plan["parts"]),
            tuple(plan["texts"]),
            _reviewed(plan),
            held,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        held.close()
        raise ShopmonError(
            f"the plan of the training in {folder} is damaged: {type(error).__name__}",
            advice="Remove the folder and begin again: shopmon retrain.",
        ) from error


def _plain(reviewed: Reviewed) -> dict[str, Any]:
    return {
        "rejected": sorted(reviewed.rejected),
        "accepted": sorted(reviewed.accepted),
        "roles": dict(reviewed.roles),
        "labels": dict(reviewed.labels),
    }


def _reviewed(plan: Mapping[str, Any]) -> Reviewed:
    if "reviewed" not in plan:  # of a shopmon that knew of rejected rows only
        return Reviewed(rejected=frozenset(plan["excluded"]))
    said = plan["reviewed"]
    return Reviewed(frozenset(said["rejected"]), frozenset(said["accepted"]), dict(said["roles"]), dict(said["labels"]))


def _locked(folder: Path) -> IO[str]:
    """The folder's lock, which the system takes back from a process that ends, however it ends."""
    try:
        lock = (folder / _LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise ShopmonError(
            f"{folder} cannot be written: {error.strerror}", advice="Free some space, or let this user write there."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise ShopmonError(
            f"the training in {folder} goes on in another process",
            advice="Wait until it has ended, or end it.",
        ) from error
    return lock


def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
