"""What is kept of each window of time, and what was found of it last?

Below a folder of its own: `KIND/LENGTH/START/` holds the profile of each file's rows in that window, `analysis.json`
with what the comparison with the reference said, and `distributions.parquet` for charts. Which profiles count is said
by the list of checked files alone: what a killed process left beside them is swept away.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from expectations.errors import ShopmonError
from monitor.checked_files import CheckedFile
from monitor.distributions import distributions
from monitor.distributions import write as write_distributions
from monitor.profiles import NumberProfile, Profile, TextProfile
from monitor.reference import Reference, archive
from monitor.reference import read as read_archive
from monitor.results import DriftStatus, WindowColumn, WindowDrift
from monitor.run_folder import write_aside
from monitor.windows import Windows

_ANALYSIS, _DISTRIBUTIONS, _SHARE = "analysis.json", "distributions.parquet", ".zip"
_ADVICE = "Check its files again: shopmon check … --new --again."


@dataclass(frozen=True)
class Kept:
    """What is on the list of checked files of one window."""

    kind: str
    length: str
    window: int
    rows: int
    files: int
    bins: tuple[str, ...]
    """Of the references by which the shares are profiled: one, unless the reference was set anew meanwhile."""
    shares: tuple[str, ...]
    """Names of the files that hold the profiles."""


@dataclass(frozen=True)
class Analysed:
    """A comparison of a window with a reference, and what it stood on."""

    window: WindowDrift
    reference: str
    """Digest of the reference."""
    shares: tuple[str, ...]


def bins_of(profile: Profile) -> str:
    """A digest of a profile's columns, sorts and bins: profiles that share it can be added up."""
    digest = hashlib.sha256(profile.kind.encode())
    for name, sort in sorted(profile.sorts.items()):
        column = profile.columns[name]
        numbers = column.lengths if isinstance(column, TextProfile) else column
        digest.update(repr((name, sort.value)).encode())
        if isinstance(numbers, NumberProfile):
            digest.update(numbers.edges.tobytes())
    return digest.hexdigest()[:16]


def reference_digest(reference: Reference) -> str:
    """What tells one reference from another that was set later."""
    told = repr((reference.name, reference.rows, reference.created, reference.sha256, bins_of(reference.profile)))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def kept(files: Collection[CheckedFile]) -> tuple[Kept, ...]:
    """Every window that checked files have rows in, by kind, length and time."""
    found: dict[tuple[str, str, int], list[tuple[CheckedFile, int, str]]] = {}
    for file in files:
        for share in file.shares if file.window else ():
            found.setdefault((file.kind, str(file.window), share.window), []).append((file, share.rows, share.kept))
    return tuple(
        Kept(
            kind,
            length,
            window,
            rows=sum(rows for _, rows, _ in held),
            files=len(held),
            bins=tuple(sorted({str(file.bins) for file, _, _ in held})),
            shares=tuple(sorted(name for _, _, name in held)),
        )
        for (kind, length, window), held in sorted(found.items())
    )


@dataclass(frozen=True)
class WindowStore:
    """The folder of a project's windows."""

    root: Path

    def place(self, kind: str, windows: Windows, window: int) -> Path:
        """The folder of a window."""
        return self.root / kind / windows.written / windows.name(window)

    def keep(self, share: Path, kind: str, windows: Windows, window: int, name: str) -> None:
        """Give a share that was written elsewhere on this file system its place and name."""
        folder = self.place(kind, windows, window)
        folder.mkdir(parents=True, exist_ok=True)
        share.rename(folder / name)
        _to_disk(folder)

    def profiles(self, kept: Kept) -> Iterator[Profile]:
        """The profiles of a window's shares. Raises ShopmonError for one that is damaged or not there."""
        folder = self.place(kept.kind, Windows(kept.length), kept.window)
        for name in kept.shares:
            yield read_archive(folder / name, "profile of a window", _ADVICE).profile

    def analyse(self, kept: Kept, found: WindowDrift, now: Profile, reference: Reference) -> None:
        """Keep what a comparison said, and how both sides are spread."""
        folder = self.place(kept.kind, Windows(kept.length), kept.window)
        told = {"reference": reference_digest(reference), "shares": list(kept.shares), "window": asdict(found)}
        with write_aside(folder / _DISTRIBUTIONS) as aside:
            write_distributions(distributions(reference.profile, now), aside)
        with write_aside(folder / _ANALYSIS) as aside:
            aside.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")

    def analysed(self, kept: Kept) -> Analysed | None:
        """What was found of a window last; None where nothing was. Raises ShopmonError if that is damaged."""
        return self._read(self.place(kept.kind, Windows(kept.length), kept.window) / _ANALYSIS)

    def distributions(self, kept: Kept) -> Path | None:
        """The file that says how both sides were spread then; None where there is none."""
        file = self.place(kept.kind, Windows(kept.length), kept.window) / _DISTRIBUTIONS
        return file if file.exists() else None

    def _read(self, file: Path) -> Analysed | None:
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            return Analysed(_window(told["window"]), told["reference"], tuple(told["shares"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ShopmonError(f"{file} cannot be read: {error}", advice="Take it away, and check again.") from error

    def sweep(self, windows: Collection[Kept]) -> None:
        """Take away what no checked file has a share in; only whoever holds the list of checked files may."""
        held = {self.place(one.kind, Windows(one.length), one.window): set(one.shares) for one in windows}
        for folder in self.root.glob("*/*/*"):
            if folder not in held:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for file in folder.glob(f"*{_SHARE}"):
                if file.name not in held[folder]:
                    with suppress(FileNotFoundError):
                        file.unlink()


def write_share(file: Path, profile: Profile, sources: Sequence[tuple[str, str]]) -> None:
    """Write the profile of a file's rows in a window; `sources` are its name and the SHA-256 of its bytes."""
    with write_aside(file) as aside:
        aside.write_bytes(archive(profile, ", ".join(name for name, _ in sources), sources))


def _to_disk(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _window(told: Mapping[str, Any]) -> WindowDrift:
    columns = tuple(WindowColumn(**column) for column in told["columns"])
    same = ("start", "end", "rows", "files", "reason")
    return WindowDrift(**{n: told[n] for n in same}, status=DriftStatus(told["status"]), columns=columns)
