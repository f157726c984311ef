"""Which files are new since they were checked last, and what do they and the windows of time that they reach say?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from expectations.errors import BatchError, ProjectError, ShopmonError, SuiteError
from monitor.results import DriftStatus, WindowsSection
from shopmon import __version__
from shopmon.checking import attempt, keep_out_of_git
from shopmon.comparing_windows import AGAIN, compare_windows
from shopmon.new_files import NewFiles, NewStatus, Unit
from shopmon.outcome import CheckResult, Failure
from shopmon.project import Project
from shopmon.references import reference_for
from shopmon.request import Request
from shopmon.telemetry import switch_off
from shopmon.windowing import bins_of_shares

if TYPE_CHECKING:
    from expectations.file_listing import Listed
    from monitor.checked_files import Changes, CheckedFile, CheckedFiles, Share

MOST_FILES = 1_000
"""Files of one batch: each of them is a source in the record of its run."""


def check_new(
    data: str | Path | Sequence[str | Path],
    *,
    again: bool = False,
    forget_gone: bool = False,
    kind: str | None = None,
    suite: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
    only_rules: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> NewFiles:
    """Check the files behind addresses that are new, or have changed, since this project checked them last.

    They are checked in batches of `[check] at_once` megabytes, each recorded as a run of its own; what a process has
    checked before it was killed is not checked again. With `[drift] window`, the rows of each file are put into windows
    of time, and every window that is reached is compared with the reference: with all its rows, whichever file and
    whichever day brought them. Rows of a file that has changed take the place of its earlier ones there; those of a
    file that is gone stay, unless `forget_gone` takes them out. `again` checks all files anew.

    Bad data is no error: `result.passed` is False. A batch that could not be checked is a `Unit` with an error. What a
    killed process had checked and could not tell is told now, and counts for the status. Raises ShopmonError where
    nothing could be checked: for an address that names no file, or while another process is at it.

    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "new.csv").write_text("text,stars\\nWarm and light.,5\\n")
    ...     first, second = (check_new(folder, project=Project(Path(folder)), only_rules=True) for _ in range(2))
    >>> first.new, second.same, second.status.value
    (1, 1, 'nothing new')
    """
    given = {name: value for name, value in locals().items() if name not in ("again", "forget_gone")}
    found = attempt_new(Request(**given), again=again, forget_gone=forget_gone)
    if found.error and found.error.cause:
        raise found.error.cause
    return found


def attempt_new(request: Request, *, again: bool = False, forget_gone: bool = False) -> NewFiles:
    """As `check_new`, but that nothing could be checked is a result as well, with status `error`."""
    switch_off()
    started, clock = datetime.now(UTC), perf_counter()
    try:
        found = _Checking(request, Project.of(request.project)).run(again=again, forget_gone=forget_gone)
    except Exception as error:
        found = NewFiles(NewStatus.ERROR, error=Failure.of(error))
    at = started.isoformat(timespec="seconds")
    return replace(found, started=at, seconds=perf_counter() - clock, version=__version__)


class _Checking:
    """New files on their way."""

    def __init__(self, request: Request, project: Project) -> None:
        self.request, self.project = request, project
        self.addresses = _addresses(request, project)
        self.length = None if request.only_rules else project.settings.drift.window
        self.units: list[Unit] = []
        self.results: list[CheckResult] = []
        self.notes: list[str] = []
        self.stopped = False
        self.error: Failure | None = None

    def run(self, *, again: bool, forget_gone: bool) -> NewFiles:
        from expectations.file_listing import list_files, within
        from monitor.checked_files import CheckedFiles
        from monitor.run_folder import sweep

        keep_out_of_git(self.project)
        base = self.project.folder.absolute()
        self.request.progress("looking for new files")
        named = [within(address) for address in self.addresses]
        with CheckedFiles.held(self.project.checked, base) as known:
            sweep(self.project.checked, timedelta(0))  # whoever holds the list writes here, and nobody else
            # Where files were before, there may be none any more: they were taken away, and nobody mistyped an address.
            listed = list_files(self.addresses, may_be_empty={one.within for one in known.files.values()})
            if again:
                known.check_again(one.key for one in listed)
            changes = known.changes(listed, named, _sha256)
            known.commit(changes.known, without=[before for before, _ in changes.moved])
            self.notes += self._notes(changes, known, forget_gone)
            if forget_gone:
                known.commit([], without=[key for key, one in known.files.items() if one.gone and one.within in named])
            self._take_over(changes, known)
            batches = list(units(changes.to_check, self.project.settings.check.at_once * 1_000_000))
            before, sizes = 0.0, [float(sum(one.size or 1 for one in unit)) for unit in batches]
            for number, (unit, size) in enumerate(zip(batches, sizes, strict=True), start=1):
                if not self.stopped:
                    if len(batches) > 1:
                        self.request.watch.part(before / sum(sizes), size / sum(sizes))
                    before += size
                    self._check(unit, known, f"batch {number:,} of {len(batches):,}: " if len(batches) > 1 else "")
            self.request.watch.part(1.0, 0.0)
            windows = self._windows_or_error(known)
            if self.error is None:
                here = {one.key for one in listed}
                known.commit(replace(one, told=True) for one in known.files.values() if one.key in here)
        return self._found(changes, windows)

    def _take_over(self, changes: Changes, known: CheckedFiles) -> None:
        """Tell what a process had checked that was ended before it could tell."""
        from monitor.runs import RunStore

        files = [known.files[key] for key in changes.same if not known.files[key].told]
        if not files:
            return
        with RunStore.open(self.project.store_url) as store:  # what is on the list was recorded before
            for run_id in dict.fromkeys(one.run_id for one in files):
                recorded = store.get(run_id).document if run_id in store else {}
                if not CheckResult.can_read(recorded):
                    self.notes.append(f"what run {run_id} found, which was ended before it could tell, is not recorded")
                    continue
                result = CheckResult.from_document(recorded)
                self.units.append(Unit.of(result, [source.name for source in result.sources], earlier=True))
                self.results.append(result)

    # --- one batch after the other ----------------------------------------------------------------------------------

    def _check(self, unit: Sequence[Listed], known: CheckedFiles, prefix: str) -> None:
        """Check a batch; one that cannot be read is taken apart, until the files are found that are at fault."""
        from expectations.unfinished import PARTIAL

        def told(doing: str) -> None:
            self.request.progress(prefix + doing)

        with TemporaryDirectory(prefix=PARTIAL, dir=self.project.checked) as staging:
            asked = replace(self.request, data=[one.address for one in unit], shares=Path(staging), progress=told)
            result = attempt(asked, record_errors=len(unit) == 1)
            apart = result.error is not None and isinstance(result.error.cause, BatchError) and len(unit) > 1
            if result.error is None:
                self._commit(unit, result, Path(staging), known)
        if apart:
            middle = len(unit) // 2
            for part in (unit[:middle], unit[middle:]):
                self._check(part, known, prefix)
            return
        self.stopped = self._would_end_alike(result)
        self.units.append(Unit.of(result, [one.name for one in unit]))
        self.results.append(result)

    def _would_end_alike(self, result: CheckResult) -> bool:
        """Whether the next batch would end as this one did, because the project or the machine is at fault."""
        if result.error is None or isinstance(result.error.cause, BatchError):
            return False
        if isinstance(result.error.cause, SuiteError):  # one that is for another kind, or that nobody can read?
            return any(unit.error and unit.error.message == result.error.message for unit in self.units)
        return True

    def _commit(self, unit: Sequence[Listed], result: CheckResult, staging: Path, known: CheckedFiles) -> None:
        """Give the shares their places, then put the files on the list: what is on it is recorded, and counts once."""
        sources = {source.name: index for index, source in enumerate(result.sources)}
        shares = self._placed(result, staging)
        bins = bins_of_shares(staging)
        entries = []
        for one in unit:
            index = sources.get(one.name)  # none for another name of a file that was read already
            source = None if index is None else result.sources[index]
            entries.append(
                _entry(
                    one,
                    sha256=source.sha256 if source else _sha256(one) or "",
                    run_id=result.run_id,
                    status=result.status.value,
                    kind=result.kind or "",
                    rows=source.rows if source else 0,
                    checked=datetime.now(UTC).isoformat(timespec="seconds"),
                    asked=_asked(self.request, self.project, result.kind or ""),
                    window=self.length if bins else None,
                    bins=bins,
                    told=False,
                    shares=tuple(shares.get(-1 if index is None else index, ())),
                )
            )
        known.commit(entries)

    def _placed(self, result: CheckResult, staging: Path) -> dict[int, list[Share]]:
        """The shares of each file of a batch, in the places where they stay."""
        from monitor.checked_files import Share
        from monitor.window_store import WindowStore
        from monitor.windows import Windows

        store, found = WindowStore(self.project.windows), dict[int, list[Share]]()
        rows = {window.start: window for window in result.windows.windows}
        for file in sorted(staging.glob("*.zip")):
            index, window = map(int, file.stem.split("_"))
            windows, name = Windows(self.length or ""), f"{result.run_id}-{index}.zip"
            store.keep(file, result.kind or "", windows, window, name)
            found.setdefault(index, []).append(Share(window, rows[windows.name(window)].rows, name))
        return found

    def _bins(self, kind: str) -> str | None:
        from monitor.window_store import bins_of

        reference = reference_for(self.project, kind)
        return bins_of(reference.profile) if reference else None

    def _windows_or_error(self, known: CheckedFiles) -> dict[str, WindowsSection]:
        """The files were checked all the same, and that must be told whatever is wrong with kept windows."""
        try:
            return compare_windows(
                self.project, list(known.files.values()), self.length, self.results, progress=self.request.progress
            )
        except ShopmonError as error:
            self.error = Failure.of(error)
            return {}

    # --- what is told -----------------------------------------------------------------------------------------------

    def _notes(self, changes: Changes, known: CheckedFiles, forget_gone: bool) -> Iterator[str]:
        same = [known.files[key] for key in changes.same]
        kinds = {one.kind for one in same}
        asked = {kind: _asked(self.request, self.project, kind) for kind in kinds}
        if other := [one for one in same if one.asked != asked[one.kind]]:
            yield f"{_files(len(other))} checked by other rules or columns than those of now: {AGAIN}"
        bins = {kind: self._bins(kind) for kind in kinds} if self.length else {}
        if left_out := [
            one for one in same if bins.get(one.kind) and (one.window, one.bins) != (self.length, bins[one.kind])
        ]:
            yield (
                f"{_files(len(left_out))} in no window of {self.length} that the reference of now could be "
                f"compared with: {AGAIN}"
            )
        if changes.gone:
            names = _some(changes.gone)
            stay = "their rows leave the windows" if forget_gone else "their rows stay in windows (--forget-gone)"
            yield f"{_files(len(changes.gone))} gone since they were checked: {names}; {stay}"
        for before, now in changes.moved:
            yield f"{before} has moved to {now}"

    def _found(self, changes: Changes, windows: Mapping[str, WindowsSection]) -> NewFiles:
        left = len(changes.to_check) - sum(len(unit.files) for unit in self.units if not unit.earlier)
        status = NewStatus.of([unit.status for unit in self.units])
        drifted = any(section.status is DriftStatus.DRIFTED for section in windows.values())
        if drifted and self.project.settings.drift.fail and status in (NewStatus.PASSED, NewStatus.NOTHING_NEW):
            status = NewStatus.FAILED
        stopped = [f"{_files(left)} not checked, as the batch before could not be"] if left else []
        return NewFiles(
            NewStatus.ERROR if self.error else status,
            new=len(changes.new),
            changed=len(changes.changed),
            same=len(changes.same),
            moved=changes.moved,
            gone=changes.gone,
            units=tuple(self.units),
            windows=windows,
            notes=(*self.notes, *stopped),
            error=self.error,
        )


def units(files: Iterable[Listed], most_bytes: int) -> Iterator[list[Listed]]:
    """Files in batches of one family and layout, each of so many bytes at most, or of one file."""
    from expectations.file_layout import layout

    alike: dict[tuple[str, str], list[Listed]] = {}
    for one in files:
        alike.setdefault((one.family, layout(one)), []).append(one)
    for family in alike.values():
        unit: list[Listed] = []
        held = 0
        for one in family:
            size = one.size or 0
            if unit and (held + size > most_bytes or len(unit) == MOST_FILES):
                yield unit
                unit, held = [], 0
            unit.append(one)
            held += size
        yield unit


def _addresses(request: Request, project: Project) -> list[str | Path]:
    refused = {"--write-good": request.write_good, "--data-docs": request.data_docs, "--reference": request.reference}
    for option, given in refused.items():
        if given is not None:
            raise ProjectError(f"{option} is about one batch, and --new makes several", advice="Leave one of them out.")
    if (request.engine or project.settings.check.engine.value) == "spark":
        raise ProjectError(
            "--new keeps its list and its windows on this machine, and the engine is spark",
            advice="Use another --engine, or check whole batches there, without --new.",
        )
    data = [request.data] if isinstance(request.data, str | Path) else request.data
    if not isinstance(data, Sequence) or not all(isinstance(one, str | Path) for one in data):
        raise ShopmonError(
            f"got a {type(request.data).__name__}, in which nothing can be new",
            advice="Give files, folders, globs or addresses.",
        )
    return list(data)


def _sha256(one: Listed) -> str | None:
    """Of a file on this machine; None for one elsewhere, or one that cannot be read."""
    path = Path(one.address)
    if one.key == one.name and "://" in one.key:
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _asked(request: Request, project: Project, kind: str) -> str:
    """A digest of what decides how files of a kind are read and judged."""
    from expectations.suite import built_in
    from monitor.checked_files import asked_digest

    suite = Path(request.suite) if request.suite else project.suite(kind) or built_in(kind)
    data = project.settings.data
    columns = request.columns if request.columns is not None else project.columns.get(kind, {})
    reading = (request.encoding or data.encoding, request.delimiter or data.delimiter)
    return asked_digest(suite.read_bytes(), sorted(columns.items()), reading)


def _entry(one: Listed, **told: Any) -> CheckedFile:
    from monitor.checked_files import CheckedFile

    return CheckedFile(key=one.key, within=one.within, size=one.size, version=one.version, **told)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
