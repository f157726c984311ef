"""How does a run's folder appear whole or not at all?"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from expectations.errors import ShopmonError
from expectations.unfinished import A_DAY, PARTIAL, remove

OWNER = ".owner"
"""The file in an unfinished folder that its process keeps locked; it holds the process's number."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def run_folder(root: Path, run_id: str) -> Iterator[Path]:
    """Yield an unfinished folder beside the runs; once the block ends well, it is `root/run_id`, whole and on disk.

    A block that raises leaves nothing behind, and its error goes on. A killed process leaves a `.partial-` folder,
    which nobody reads and `sweep` takes away. `root` is created when it is missing. Add the run to the store after
    this block, so that the store never names a folder that is not there.

    Raises ShopmonError if the folder is there already, the disk is full, or writing is not permitted; ValueError if
    `run_id` is no plain name. Needs a POSIX system: folders are put on disk too, and a lock tells the owner.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as runs:
    ...     with run_folder(Path(runs), "20261120-195801-a3f9c1") as folder:
    ...         _ = (folder / "result.json").write_text("{}")
    ...     [path.name for path in Path(runs).rglob("*")]
    ['20261120-195801-a3f9c1', 'result.json']
    """
    if not run_id or run_id.startswith(".") or Path(run_id).name != run_id:
        raise ValueError(f"a run's id is a plain folder name such as 20261120-195801-a3f9c1, got {run_id!r}")
    final, staging = root / run_id, root / f"{PARTIAL}{run_id}"
    with _told(root):
        root.mkdir(parents=True, exist_ok=True)
        _refuse_existing(final)
        _refuse_existing(staging)
        staging.mkdir()
    try:
        with _told(staging), _owned(staging):
            yield staging
            _finish(staging, final)
    except BaseException:  # an interrupted run (Ctrl-C) must leave nothing behind either
        shutil.rmtree(staging, ignore_errors=True)
        raise


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; once the block ends well, what it wrote replaces `path` at once.

    A reader sees the old file or the new one, never half of it. The old file's permissions are kept, and a symbolic
    link stays a link: the file it points to is replaced. The temporary name ends as `path` does, for writers that
    look at it.

    Raises ShopmonError if `path` is no regular file or its folder is missing, the disk is full, or writing is not
    permitted; FileNotFoundError if the block wrote nothing.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     target = Path(folder) / "good.csv"
    ...     with write_aside(target) as aside:
    ...         _ = aside.write_text("text,stars")
    ...     target.read_text()
    'text,stars'
    """
    target = path.resolve()
    if target.exists() and not target.is_file():  # a replaced /dev/stdout would be gone for everybody
        raise ShopmonError(f"{path} is no regular file", advice="Name a file that may be replaced.")
    if not target.parent.is_dir():
        raise ShopmonError(f"the folder {path.parent} does not exist", advice="Create it, or choose another path.")
    aside = target.with_name(f"{PARTIAL}{secrets.token_hex(4)}-{target.name}")
    try:
        with _told(aside):
            yield aside
            if target.exists():
                shutil.copymode(target, aside)
            _fsync(aside)
            os.replace(aside, target)  # noqa: PTH105 - the pair of os.rename above
            _fsync(target.parent)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def sweep(root: Path, older_than: timedelta = A_DAY) -> tuple[Path, ...]:
    """Remove what killed processes left unfinished in `root`, and say what was removed, sorted by name.

    Only `.partial-…` whose last change is older than `older_than` and whose owner has ended: a running process keeps a
    lock on its folder, which the system takes back when the process ends, however it ends. So a process number that was
    given out again, or that belongs to another container, misleads nobody. A missing `root` gives an empty tuple.
    """
    oldest = time.time() - older_than.total_seconds()
    return tuple(left for left in sorted(root.glob(f"{PARTIAL}*")) if _is_stale(left, oldest) and remove(left))


def _refuse_existing(folder: Path) -> None:
    if os.path.lexists(folder):
        raise ShopmonError(f"{folder} is there already", advice="A run writes its folder once; start a new run.")


def _finish(staging: Path, final: Path) -> None:
    """Put every byte on disk, then give the folder its name."""
    (staging / OWNER).unlink()
    for folder, _, names in os.walk(staging, topdown=False):
        for name in names:
            if not Path(folder, name).is_symlink():
                _fsync(Path(folder, name))
        _fsync(Path(folder))
    _refuse_existing(final)  # renaming would silently take the place of an empty folder
    os.rename(staging, final)  # noqa: PTH104 - the system call is the point here
    _fsync(final.parent)


def _fsync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _owned(staging: Path) -> Iterator[None]:
    """Keep the folder's owner file locked until the block ends or this process does."""
    with (staging / OWNER).open("w", encoding="ascii") as owner:
        owner.write(str(os.getpid()))
        owner.flush()
        with suppress(OSError):  # a file system without locks: then only age protects the folder from a sweep
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _is_stale(left: Path, oldest: float) -> bool:
    try:
        return left.lstat().st_mtime <= oldest and not _has_owner(left)
    except FileNotFoundError:  # finished or swept by another process in between
        return False


def _has_owner(left: Path) -> bool:
    try:
        owner = (left / OWNER).open("rb")
    except (FileNotFoundError, NotADirectoryError):  # a single file, or a folder that was about to get its name
        return False
    except OSError:
        return True
    with owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # locked; or locks cannot be asked for here, and then nothing may be taken away
            return True
    return False


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Tell a full disk or a missing permission at `place` as such; an error about any other place goes on as it is."""
    try:
        yield
    except OSError as error:
        told = _explained(error, place)
        if told is None:
            raise
        raise told from error
    except Exception as error:
        if isinstance(error, ShopmonError) or "No space left on device" not in str(error):
            raise
        raise _disk_full(place) from error  # DuckDB's IOException is no OSError


def _explained(error: OSError, place: Path) -> ShopmonError | None:
    named = error.filename
    # A write to an open file names none; of the errors that do, only those about our place are ours to explain.
    ours = named is None or (isinstance(named, str | os.PathLike) and Path(named).is_relative_to(place))
    if error.errno in _FULL and ours:
        return _disk_full(place)
    if named is None or not (ours or place.is_relative_to(named)):
        return None
    if error.errno in _FORBIDDEN:
        return ShopmonError(
            f"{named} cannot be written: {error.strerror}",
            advice=f"Let this user write in {Path(named).parent}, or choose another folder.",
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and place.is_relative_to(named):
        return ShopmonError(f"{named} is a file where a folder belongs", advice="Move it, or choose another folder.")
    return None


def _disk_full(place: Path) -> ShopmonError:
    return ShopmonError(
        f"the disk is full: {place} could not be finished, and nothing of it was kept",
        advice="Free some space and run again.",
    )
