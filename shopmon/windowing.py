"""What changed since the reference, window of time by window of time?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.results import DriftStatus, WindowDrift, WindowsSection
from shopmon.outcome import without_password
from shopmon.project import Project
from shopmon.reading import Reading
from shopmon.references import FIT, reference_for, reference_from
from shopmon.request import Request
from shopmon.rooms import drift_settings

if TYPE_CHECKING:
    from expectations.batch import Batch
    from monitor.profile_parts import Split
    from monitor.profiles import Profile
    from monitor.reference import Reference
    from monitor.windows import Windows

NO_REFERENCE = "there is no reference; set one with: shopmon reference set FILE"
_BINS = "bins"


def windowed(batch: Batch, request: Request, project: Project) -> WindowsSection:
    """What each window of time shows of a batch's good rows; nothing where the project asks for no windows.

    Where the request has a folder for shares, the profile of each file's rows in each window is put there, and nothing
    is compared. Raises BatchError for a batch without dates whose reference has them.
    """
    length = project.settings.drift.window
    if length is None:
        return WindowsSection()
    from monitor.profile_parts import split
    from monitor.windows import Windows

    windows, reference = Windows(length), _reference(batch, request, project)
    if reference is None:
        return WindowsSection(reason=NO_REFERENCE, length=length)
    if request.shares is not None:
        from monitor.window_store import bins_of

        (request.shares / _BINS).write_text(bins_of(reference.profile), encoding="ascii")
    if "date" not in reference.profile.columns and batch.column("date") is None:
        return WindowsSection(reason=f"these {batch.kind} have no dates, and neither has the reference", length=length)
    request.progress("putting rows into windows")
    now, by_file = datetime.now(UTC), request.shares is not None
    found = split(batch, windows, reference.profile, now, by_file=by_file, relation=FIT)
    section = _compared(batch, windows, found, reference, request, project)
    return replace(section, undated=found.undated, future=found.future, late=found.late)


def _compared(
    batch: Batch, windows: Windows, found: Split, reference: Reference, request: Request, project: Project
) -> WindowsSection:
    from monitor.profile_parts import part_profiles
    from monitor.window_drift import together, window_drift

    settings = drift_settings(project, ())
    profiles = part_profiles(
        batch, windows, found.parts, reference.profile, settings.profile, relation=FIT, progress=request.progress
    )
    if request.shares is not None:
        for part, profile in profiles:
            _keep(batch, request.shares / f"{part.file}_{part.window}.zip", part.file or 0, profile)
        return counted(windows, found)
    compared = []
    for number, (part, profile) in enumerate(profiles, start=1):
        told = numbered(request.progress, number, len(found.parts))
        drift, _ = window_drift(windows, part.window, [profile], reference, settings, files=part.files, progress=told)
        compared.append(drift)
    return together(windows.written, compared, reference)


def numbered(progress: Callable[[str], None], number: int, of: int) -> Callable[[str], None]:
    """Tell which of several windows is meant."""
    return lambda doing: progress(f"{doing}, {number:,} of {of:,}")


def counted(windows: Windows, found: Split) -> WindowsSection:
    """How many rows lie in which window, where they are compared later, together with those of other batches."""
    later = "compared once all new files are checked"
    rows: dict[int, list[int]] = {}
    for part in found.parts:
        rows.setdefault(part.window, []).append(part.rows)
    return WindowsSection(
        reason=later,
        length=windows.written,
        windows=tuple(
            WindowDrift(
                windows.name(window), windows.name(window + 1), sum(of_files), len(of_files),
                DriftStatus.NOT_EXAMINED, later,
            )
            for window, of_files in sorted(rows.items())
        ),
    )  # fmt: skip


def bins_of_shares(shares: Path) -> str | None:
    """A digest of the bins that a check used for the shares which it put into this folder.

    Not those of the reference as it is afterwards: another process may have set one meanwhile. None where the project
    has no windows or no reference.
    """
    file = shares / _BINS
    return file.read_text(encoding="ascii") if file.exists() else None


def _keep(batch: Batch, file: Path, index: int, profile: Profile) -> None:
    from monitor.window_store import write_share

    source = batch.sources[index]
    write_share(file, profile, [(without_password(source.name), source.sha256)])


def _reference(batch: Batch, request: Request, project: Project) -> Reference | None:
    if request.reference is None:
        return reference_for(project, batch.kind)
    reading = Reading(batch.kind, request.columns, request.encoding, request.delimiter)
    suite = Path(request.suite) if request.suite else project.suite(batch.kind)
    return reference_from(request.reference, reading, project, suite=suite, by=request.by, progress=request.progress)
