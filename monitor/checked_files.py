"""Which files were checked already, as which version, and what became of them?

One list for a project, `files.json` in a folder of its own. It is written aside and replaced at once, under a lock that
one process at a time holds: what is on it was checked and recorded, whenever a process was killed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from expectations.errors import ShopmonError
from expectations.file_listing import Listed
from monitor.run_folder import write_aside

VERSION = 1
"""Of the list's format."""
_FILE, _LOCK = "files.json", "lock"
_ADVICE = "Take it away, and all files count as new; what was recorded of them stays."


@dataclass(frozen=True)
class Share:
    """The rows of a file in one window of time."""

    window: int
    """Number of the window."""
    rows: int
    kept: str
    """Name of the file that holds their profile."""


@dataclass(frozen=True)
class CheckedFile:
    """A file that was checked, and what became of it."""

    key: str
    """Its absolute path, or its address without secrets."""
    within: str
    """The address through which it was found."""
    size: int | None
    version: str
    """As the listing told it: when it was changed, or an ETag."""
    sha256: str
    run_id: str
    """The check that read it."""
    status: str
    """How that check ended: passed or failed."""
    kind: str
    rows: int
    checked: str
    """When (ISO 8601, UTC)."""
    asked: str
    """A digest of the rules and settings that it was checked by."""
    window: str | None = None
    """Length of the windows that its rows were put into; None where they were put into none."""
    bins: str | None = None
    """A digest of the reference's columns and bins, by which its shares are profiled."""
    shares: tuple[Share, ...] = ()
    again: bool = False
    """Whether it is to be checked anew; until then its shares count."""
    gone: bool = False
    """Whether it was missing when its folder was looked at last; its shares go on to count."""
    told: bool = True
    """Whether the command that checked it came to its end, and could say what it found."""


@dataclass(frozen=True)
class Changes:
    """What a listing shows beside what was checked."""

    new: tuple[Listed, ...] = ()
    changed: tuple[Listed, ...] = ()
    """Files of another content than was checked, and those that are to be checked anew."""
    same: tuple[str, ...] = ()
    """Keys of files that are as they were."""
    moved: tuple[tuple[str, str], ...] = ()
    """(key before, key now) of files that are gone from where they were, and stand elsewhere with the same bytes."""
    gone: tuple[str, ...] = ()
    """Keys of files that are missing for the first time."""
    known: tuple[CheckedFile, ...] = ()
    """Entries that are to be kept for what was found: of moved, missing, and merely touched files."""

    @property
    def to_check(self) -> tuple[Listed, ...]:
        """New and changed files, as they were listed."""
        return (*self.changed, *self.new)


class CheckedFiles:
    """The list of a folder, held by this process alone."""

    def __init__(self, folder: Path, base: Path) -> None:
        self._folder, self._base = folder, base
        self.files: dict[str, CheckedFile] = {one.key: one for one in read(folder, base)}

    @classmethod
    @contextmanager
    def held(cls, folder: Path, base: Path) -> Iterator[CheckedFiles]:
        """The list, until the block ends; the folder is made where it is missing.

        Paths below `base` are kept relative to it: a project that is moved as a whole keeps its files.

        Raises ShopmonError where another process holds it, or where it cannot be read or written.
        """
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / _LOCK).open("a+", encoding="ascii")
        with lock:
            _take(lock, folder)
            yield cls(folder, base)

    def commit(self, entries: Iterable[CheckedFile], without: Iterable[str] = ()) -> None:
        """Put files on the list, in place of earlier entries, and take others off: all at once, or not at all."""
        files = {key: one for key, one in self.files.items() if key not in set(without)}
        files |= {one.key: one for one in entries}
        if files == self.files:
            return
        told = {"version": VERSION, "files": [_kept(files[key], self._base) for key in sorted(files)]}
        with _told(self._folder), write_aside(self._folder / _FILE) as aside:
            aside.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
        self.files = files

    def check_again(self, keys: Iterable[str]) -> None:
        """Have these files be checked anew, as if they had changed; a process that follows a killed one goes on."""
        self.commit([replace(self.files[key], again=True) for key in keys if key in self.files])

    def changes(
        self, listed: Sequence[Listed], within: Sequence[str], sha256: Callable[[Listed], str | None]
    ) -> Changes:
        """What is new, changed, moved or gone among files that were listed behind these addresses.

        A file of the same size and version is the same. One of another version is asked for its `sha256` (None where
        that would mean fetching it), as is a new one where a file of its size is gone: content decides then.
        """
        return _Comparing(self.files, listed, within, sha256).changes()


def read(folder: Path, base: Path) -> tuple[CheckedFile, ...]:
    """What is on the list of a folder, without holding it; nothing where there is none.

    Raises ShopmonError for a damaged list, and one of another version of shopmon.
    """
    file = folder / _FILE
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["version"] != VERSION:
            raise ShopmonError(
                f"the list {file} has format {told['version']}, and this version of shopmon reads {VERSION}",
                advice=_ADVICE,
            )
        return tuple(_entry(one, base) for one in told["files"])
    except FileNotFoundError:
        return ()
    except ShopmonError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShopmonError(f"the list {file} cannot be read: {error}", advice=_ADVICE) from error


def _entry(told: Mapping[str, Any], base: Path) -> CheckedFile:
    known = {field.name for field in fields(CheckedFile)} - {"key", "within", "shares"}
    return CheckedFile(
        key=_absolute(told["key"], base),
        within=_absolute(told["within"], base),
        shares=tuple(Share(**share) for share in told["shares"]),
        **{name: value for name, value in told.items() if name in known},
    )


def _kept(one: CheckedFile, base: Path) -> dict[str, Any]:
    return asdict(replace(one, key=_relative(one.key, base), within=_relative(one.within, base)))


def _relative(place: str, base: Path) -> str:
    path = Path(place)
    return str(path.relative_to(base)) if path.is_absolute() and path.is_relative_to(base) else place


def _absolute(place: str, base: Path) -> str:
    return place if "://" in place else os.path.normpath(base / place)


class _Comparing:
    """A listing beside what is known."""

    def __init__(
        self,
        known: Mapping[str, CheckedFile],
        listed: Sequence[Listed],
        within: Sequence[str],
        sha256: Callable[[Listed], str | None],
    ) -> None:
        self._known, self._listed, self._sha256 = known, listed, sha256
        here = {one.key for one in listed}
        self._missing = {key: one for key, one in known.items() if one.within in within and key not in here}
        self._hashes: dict[str, str | None] = {}

    def changes(self) -> Changes:
        new, changed, same, moved, touched = [], [], [], [], []
        missing = dict(self._missing)
        for one in self._listed:
            before = self._known.get(one.key)
            if before is None:
                was = self._moved_from(one, missing)
                if was is None:
                    new.append(one)
                else:
                    moved.append((was.key, one.key))
                    touched.append(_as_listed(missing.pop(was.key), one))
            elif before.again or not self._is_same(one, before):
                changed.append(one)
            else:
                same.append(one.key)
                touched.append(_as_listed(before, one))
        gone = [one for one in missing.values() if not one.gone]
        entries = [entry for entry in touched if entry != self._known.get(entry.key)]
        entries += [replace(one, gone=True) for one in gone]
        return Changes(
            tuple(new), tuple(changed), tuple(same), tuple(moved), tuple(one.key for one in gone), tuple(entries)
        )

    def _is_same(self, one: Listed, before: CheckedFile) -> bool:
        if one.size == before.size and one.version and one.version == before.version:
            return True
        return (one.size is None or one.size == before.size) and self._hash(one) == before.sha256

    def _moved_from(self, one: Listed, missing: Mapping[str, CheckedFile]) -> CheckedFile | None:
        alike = [was for was in missing.values() if was.size == one.size and not was.again]
        return next((was for was in alike if self._hash(one) == was.sha256), None)

    def _hash(self, one: Listed) -> str | None:
        if one.key not in self._hashes:
            self._hashes[one.key] = self._sha256(one)
        return self._hashes[one.key]


def _as_listed(before: CheckedFile, one: Listed) -> CheckedFile:
    return replace(before, key=one.key, within=one.within, size=one.size, version=one.version, gone=False)


def asked_digest(*asked: Any) -> str:
    """A short digest of what files were checked by."""
    return hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _take(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        number = lock.read(20)
        holder = f" ({number})" if number.isdecimal() else ""
        raise ShopmonError(
            f"another process{holder} is checking new files of this project",
            advice="Wait until it ends; what it has checked is not checked twice.",
        ) from None
    except OSError as error:
        raise ShopmonError(
            f"no file can be locked in {folder}: {error.strerror}",
            advice="Keep the project on a file system that has locks.",
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ShopmonError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            advice="Free some space and run again." if full else f"Let this user write in {folder}.",
        ) from error
