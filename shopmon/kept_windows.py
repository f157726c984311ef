"""What do the windows of time show that are kept, without reading data again?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.errors import ProjectError
from monitor.results import DriftStatus, WindowDrift
from shopmon import __version__
from shopmon.outcome import plain
from shopmon.project import Project
from shopmon.references import reference_for

if TYPE_CHECKING:
    from monitor.checked_files import CheckedFile
    from monitor.reference import Reference
    from monitor.window_store import Kept, WindowStore

SCHEMA_VERSION = 1
"""Grows when a reader of the document would have to change; docs/windows.schema.json describes this one."""
UNFINISHED = "some of its rows were not compared yet: shopmon check --new goes on"
EARLIER = "it was compared with an earlier reference: shopmon check --new compares it anew where it can"


@dataclass(frozen=True)
class KeptWindow:
    """One window of time, as its files were checked."""

    drift: WindowDrift
    """What changed since the reference."""
    files: Mapping[str, int]
    """Each file with rows in it, and how many."""


@dataclass(frozen=True)
class KeptWindows:
    """The windows of one kind and one length."""

    kind: str
    length: str
    """Of each window: `7d`."""
    reference: str | None
    """What they are compared with; None where no reference is set."""
    windows: tuple[KeptWindow, ...]
    """The earliest first."""


def windows(
    day: str | None = None, *, kind: str | None = None, project: Project | str | Path | None = None
) -> tuple[KeptWindows, ...]:
    """What each window shows of the rows that `check --new` put into it; of `day`, only those it lies in.

    Nothing is read but what is kept, and nothing is compared anew. Empty where no file was put into windows. Raises
    ShopmonError for a day of which no window is kept, and where what is kept is damaged.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     windows(project=Project(Path(folder)))
    ()
    """
    from monitor.checked_files import read
    from monitor.window_store import kept

    found = Project.of(project)
    files = read(found.checked, found.folder.absolute())
    held = [one for one in kept(files) if kind in (None, one.kind)]
    at = _moment(day) if day else None
    chosen = [one for one in held if at is None or _holds(one, at)]
    if at is not None and not chosen:
        raise ProjectError(f"no window is kept that {day} lies in", advice=_known(held))
    by_kind = groupby(chosen, key=lambda one: (one.kind, one.length))
    return tuple(_of_kind(found, *which, list(some), files) for which, some in by_kind)


def document(found: Sequence[KeptWindows]) -> dict[str, Any]:
    """Windows as strictly valid JSON values, described by docs/windows.schema.json."""
    return {
        "schema_version": SCHEMA_VERSION,
        "shopmon_version": __version__,
        "kinds": [
            {
                "kind": one.kind,
                "length": one.length,
                "reference": plain(one.reference),
                "windows": [_window(window) for window in one.windows],
            }
            for one in found
        ],
    }


def _window(window: KeptWindow) -> dict[str, Any]:
    told = {name: value for name, value in asdict(window.drift).items() if name not in ("files", "columns")}
    files = [{"name": plain(name), "rows": rows} for name, rows in window.files.items()]
    columns = [{**plain(asdict(column)), "times_floor": plain(column.times_floor)} for column in window.drift.columns]
    return {**plain(told), "files": files, "drifted": plain(window.drift.drifted), "columns": columns}


def _of_kind(
    project: Project, kind: str, length: str, held: Sequence[Kept], files: Sequence[CheckedFile]
) -> KeptWindows:
    from monitor.window_store import WindowStore

    reference, store = reference_for(project, kind), WindowStore(project.windows)
    found = tuple(KeptWindow(_drift(store, one, reference), dict(_files(one, files))) for one in held)
    return KeptWindows(kind, length, reference.name if reference else None, found)


def _drift(store: WindowStore, one: Kept, reference: Reference | None) -> WindowDrift:
    from monitor.window_store import reference_digest
    from monitor.windows import Windows

    before = store.analysed(one)
    if before is None or before.shares != one.shares:
        named, place = Windows(one.length), one.window
        unknown = DriftStatus.NOT_EXAMINED
        return WindowDrift(named.name(place), named.name(place + 1), one.rows, one.files, unknown, UNFINISHED)
    if reference is None or before.reference != reference_digest(reference):
        return replace(before.window, status=DriftStatus.NOT_EXAMINED, reason=EARLIER, columns=())
    return before.window


def _files(one: Kept, files: Sequence[CheckedFile]) -> Iterator[tuple[str, int]]:
    for file in files:
        rows = sum(share.rows for share in file.shares if (file.kind, file.window, share.window) == _place(one))
        if rows:
            yield file.key, rows


def _place(one: Kept) -> tuple[str, str, int]:
    return one.kind, one.length, one.window


def _moment(day: str) -> datetime:
    try:
        return datetime.fromisoformat(day)
    except ValueError:
        raise ProjectError(
            f"{day!r} is no day", advice="Write it as 2026-11-16, or with an hour: 2026-11-16T06."
        ) from None


def _holds(one: Kept, moment: datetime) -> bool:
    from monitor.windows import Windows

    return Windows(one.length).place(moment) == one.window


def _known(held: Sequence[Kept]) -> str:
    from monitor.windows import Windows

    if not held:
        return "None is kept at all: set [drift] window, and check files with: shopmon check --new PATH"
    first, last = (pick(held, key=lambda one: Windows(one.length).start(one.window)) for pick in (min, max))
    return (
        f"Windows are kept from {Windows(first.length).name(first.window)} to {Windows(last.length).name(last.window)}."
    )
