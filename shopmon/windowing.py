"""What changed since the reference, window of time by window of time?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from monitor.results import DriftStatus, WindowDrift, WindowsSection
from shopmon.outcome import without_password
from shopmon.project import Project
from shopmon.references import FIT, reference_of
from shopmon.request import Request
from shopmon.rooms import drift_settings

if TYPE_CHECKING:
    from expectations.batch import Batch
    from monitor.drift import DriftSettings
    from monitor.profile_parts import Part, Split
    from monitor.profiles import Profile, ProfileSettings
    from monitor.reference import Reference
    from monitor.windows import Windows

NO_REFERENCE = "there is no reference; set one with: shopmon reference set FILE"
_BINS = "bins"


class RowsByWindow(Protocol):
    """The good rows of a batch by window, wherever they lie."""

    def split(self, windows: Windows, like: Profile, now: datetime) -> Split:
        """How many there are in each."""

    def profiles(self, found: Split, like: Profile, settings: ProfileSettings) -> Iterator[tuple[Part, Profile]]:
        """What those of each show, in the bins of another profile."""


@dataclass(frozen=True)
class _RowsHere:
    """Those of a batch on this machine."""

    batch: Batch
    by_file: bool
    progress: Callable[[str], None]

    def split(self, windows: Windows, like: Profile, now: datetime) -> Split:
        from monitor.profile_parts import split

        return split(self.batch, windows, like, now, by_file=self.by_file, relation=FIT)

    def profiles(self, found: Split, like: Profile, settings: ProfileSettings) -> Iterator[tuple[Part, Profile]]:
        from monitor.profile_parts import part_profiles

        return part_profiles(self.batch, found, like, settings, relation=FIT, progress=self.progress)


def windowed(batch: Batch, request: Request, project: Project, rows: RowsByWindow | None = None) -> WindowsSection:
    """What each window of time shows of a batch's good rows; nothing where the project asks for no windows.

    Where the request has a folder for shares, the profile of each file's rows in each window is put there, and nothing
    is compared. `rows` are those of the batch; on this machine unless given. Raises BatchError for a batch without
    dates whose reference has them.
    """
    length = project.settings.drift.window
    if length is None:
        return WindowsSection()
    from monitor.windows import Windows

    windows, reference = Windows(length), reference_of(request, project, batch.kind)
    if reference is None:
        return WindowsSection(reason=NO_REFERENCE, length=length)
    if request.shares is not None:
        from monitor.window_store import bins_of

        (request.shares / _BINS).write_text(bins_of(reference.profile), encoding="ascii")
    if "date" not in reference.profile.columns and batch.column("date") is None:
        return WindowsSection(reason=f"these {batch.kind} have no dates, and neither has the reference", length=length)
    request.progress("putting rows into windows")
    rows = rows or _RowsHere(batch, request.shares is not None, request.progress)
    found = rows.split(windows, reference.profile, datetime.now(UTC))
    settings = drift_settings(project, ())
    profiles = rows.profiles(found, reference.profile, settings.profile)
    if request.shares is None:
        section = _compared(found, profiles, reference, settings, request.progress)
    else:
        section = _kept(batch, found, profiles, request.shares)
    return replace(section, undated=found.undated, future=found.future, late=found.late)


def _kept(batch: Batch, found: Split, profiles: Iterable[tuple[Part, Profile]], shares: Path) -> WindowsSection:
    for part, profile in profiles:
        _keep(batch, shares / f"{part.file}_{part.window}.zip", part.file or 0, profile)
    return counted(found)


def _compared(
    found: Split,
    profiles: Iterable[tuple[Part, Profile]],
    reference: Reference,
    settings: DriftSettings,
    progress: Callable[[str], None],
) -> WindowsSection:
    from monitor.window_drift import together, window_drift

    windows = found.windows
    compared = []
    for number, (part, profile) in enumerate(profiles, start=1):
        told = numbered(progress, number, len(found.parts))
        drift, _ = window_drift(windows, part.window, [profile], reference, settings, files=part.files, progress=told)
        compared.append(drift)
    return together(windows.written, compared, reference)


def numbered(progress: Callable[[str], None], number: int, of: int) -> Callable[[str], None]:
    """Tell which of several windows is meant."""
    return lambda doing: progress(f"{doing}, {number:,} of {of:,}")


def counted(found: Split) -> WindowsSection:
    """How many rows lie in which window, where they are compared later, together with those of other batches."""
    later = "compared once all new files are checked"
    windows, rows = found.windows, dict[int, list[int]]()
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
