"""Which windows of time have other rows than were compared last, and how do they differ from the reference now?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from expectations.errors import ShopmonError
from monitor.results import DriftStatus, WindowDrift, WindowsSection
from shopmon.outcome import CheckResult
from shopmon.project import Project
from shopmon.references import reference_for
from shopmon.rooms import drift_settings
from shopmon.windowing import NO_REFERENCE, numbered

if TYPE_CHECKING:
    from monitor.checked_files import CheckedFile
    from monitor.reference import Reference
    from monitor.window_store import Kept, WindowStore

AGAIN = "check them anew with --again"
_STILL = "no window has other rows than were compared before"


def compare_windows(
    project: Project,
    files: Sequence[CheckedFile],
    length: str | None,
    results: Sequence[CheckResult],
    *,
    progress: Callable[[str], None],
) -> dict[str, WindowsSection]:
    """Compare the windows of this length, by kind, and sweep away what no file on the list has a share in.

    `results` are of the checks that have just put rows into windows. Only whoever holds the list may call this.
    """
    from monitor.window_store import WindowStore, kept

    held, store, found = kept(files), WindowStore(project.windows), {}
    if length:
        of_length = [one for one in held if one.length == length]
        for kind in sorted({one.kind for one in of_length} | {one.kind for one in results if one.kind}):
            some = [one for one in of_length if one.kind == kind]
            told = [one.windows for one in results if one.kind == kind]
            found[kind] = _of_kind(project, kind, length, some, told, store, progress)
    store.sweep(held)
    return found


def _of_kind(
    project: Project,
    kind: str,
    length: str,
    held: Sequence[Kept],
    told: Sequence[WindowsSection],
    store: WindowStore,
    progress: Callable[[str], None],
) -> WindowsSection:
    from monitor.window_drift import together
    from monitor.window_store import reference_digest

    reference = reference_for(project, kind)
    if reference is None:
        return WindowsSection(reason=NO_REFERENCE, length=length)
    digest = reference_digest(reference)
    others = [one for one in held if not _is_analysed(store, one, digest)]
    compared = [
        _compared(project, one, reference, store, numbered(progress, number, len(others)))
        for number, one in enumerate(others, start=1)
    ]
    section = together(length, compared, reference)
    if not compared:
        section = replace(section, reason=_STILL if held or not told else told[-1].reason)
    undated, future, late = (sum(getattr(one, name) for one in told) for name in ("undated", "future", "late"))
    return replace(section, undated=undated, future=future, late=late)


def _is_analysed(store: WindowStore, one: Kept, reference: str) -> bool:
    """Whether a window was compared with this reference, with all its rows."""
    try:
        before = store.analysed(one)
    except ShopmonError:  # damaged: it is made anew
        return False
    return before is not None and (before.shares, before.reference) == (one.shares, reference)


def _compared(
    project: Project, one: Kept, reference: Reference, store: WindowStore, progress: Callable[[str], None]
) -> WindowDrift:
    from monitor.window_drift import window_drift
    from monitor.window_store import bins_of
    from monitor.windows import Windows

    if one.bins != (bins_of(reference.profile),):
        return _not_compared(one, f"the reference was set anew since some of its files were checked: {AGAIN}")
    try:
        parts = list(store.profiles(one))
    except ShopmonError as error:  # the others are compared all the same
        return _not_compared(one, str(error))
    settings = drift_settings(project, ())
    found, now = window_drift(
        Windows(one.length), one.window, parts, reference, settings, files=one.files, progress=progress
    )
    store.analyse(one, found, now, reference)
    return found


def _not_compared(one: Kept, reason: str) -> WindowDrift:
    from monitor.windows import Windows

    windows = Windows(one.length)
    start, end = windows.name(one.window), windows.name(one.window + 1)
    return WindowDrift(start, end, one.rows, one.files, DriftStatus.NOT_EXAMINED, reason)
