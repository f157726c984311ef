"""How does one window of time differ from the reference?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from monitor.drift import DriftSettings, compare_with
from monitor.profile_parts import merged
from monitor.profiles import Profile
from monitor.reference import Reference
from monitor.results import DriftColumn, DriftStatus, WindowColumn, WindowDrift, WindowsSection
from monitor.windows import Windows

FEWEST_ROWS = 30
"""Rows of a window that is compared: of fewer, the words of a single text are a change of their own."""


def window_drift(
    windows: Windows,
    place: int,
    parts: Sequence[Profile],
    reference: Reference,
    settings: DriftSettings = DriftSettings(),
    *,
    files: int,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[WindowDrift, Profile]:
    """Hold the rows of one window, whose profiles are given in parts, against the reference; and their profile.

    The tests and the decision are those of a whole check without segments; every window has its own correction for
    many comparisons. A window of fewer than `FEWEST_ROWS` rows is not compared. `files` is the number of files that the
    rows stand in.
    """
    start, end = windows.name(place), windows.name(place + 1)
    progress(f"comparing the window {start}")
    now = merged(parts, settings.profile)
    if now.rows < FEWEST_ROWS:
        reason = f"a window of fewer than {FEWEST_ROWS} rows is not compared"
        return WindowDrift(start, end, now.rows, files, DriftStatus.NOT_EXAMINED, reason), now
    known = replace(reference, profile=replace(reference.profile, segments={}))
    section = compare_with(known, now, replace(settings, segments=()), files=[start])
    columns = tuple(_column(column) for column in section.columns if column.segment is None)
    return WindowDrift(start, end, now.rows, files, section.status, section.reason, columns), now


def together(length: str, compared: Sequence[WindowDrift], reference: Reference) -> WindowsSection:
    """What was found of several windows, as one section."""
    statuses = [one.status for one in compared]
    status = DriftStatus.DRIFTED if DriftStatus.DRIFTED in statuses else DriftStatus.STABLE
    if DriftStatus.DRIFTED not in statuses and DriftStatus.STABLE not in statuses:
        status = DriftStatus.NOT_EXAMINED
    reason = f"each against {reference.name} ({reference.rows:,} rows)" if compared else "no row lies in a window"
    return WindowsSection(status, reason, length, windows=tuple(compared))


def _column(column: DriftColumn) -> WindowColumn:
    return WindowColumn(
        column=column.column,
        sort=column.sort,
        test=column.test,
        effect=column.effect,
        effect_name=column.effect_name,
        floor=column.floor,
        p_adjusted=column.p_adjusted,
        drifted=column.drifted,
        said=column.said,
    )
