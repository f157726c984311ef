"""How does a batch go from what came in to a recorded answer?"""

from __future__ import annotations

import logging
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from expectations.addresses import display_name
from expectations.errors import RunStoreError, ShopmonError, SuiteError
from monitor.results import DriftSection, DriftStatus, EdgeCaseSection, WindowsSection
from shopmon import __version__
from shopmon.outcome import CheckResult, Failure, Status, without_password
from shopmon.project import Project
from shopmon.reading import Reading, opened
from shopmon.request import Request
from shopmon.telemetry import switch_off

if TYPE_CHECKING:
    from expectations.batch import Batch
    from expectations.results import Validation
    from expectations.sources import Found
    from expectations.suite import Suite
    from monitor.runs import Input, Run, RunStore
    from shopmon.comparing import Compared, FitRows

log = logging.getLogger("shopmon.check")


def check(
    data: Any,
    *,
    kind: str | None = None,
    suite: str | Path | None = None,
    engine: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
    data_docs: str | Path | None = None,
    write_good: str | Path | None = None,
    reference: str | Path | None = None,
    by: Sequence[str] = (),
    evidently_workspace: str | Path | None = None,
    only_rules: bool = False,
    progress: Callable[[str], None] | None = None,
) -> CheckResult:
    """Say whether a batch is fit to use, what changed since the reference, and which rows to learn from.

    `data` is a path, a folder, a glob, an address (`s3://…`, `sqlite:///shop.db::reviews`), a list of them, or a
    pandas, polars or Arrow table. Whatever is left out is as the project's `shopmon.toml` says, or as the data shows.
    `columns` maps the data's own column names to roles (`{"Content": "text"}`) and stands in for the project's.
    `reference` is a file to compare with instead of the project's reference, `by` names columns by whose values
    everything is compared once more. Edge cases are added to the project's retraining set, each once.

    The result, quarantined rows among it, is kept in the project's folder of runs and recorded in its run store.
    Bad data is no error: `result.passed` is False. Raises ShopmonError where the check could not run: for data without
    a single row, for instance, or a suite that cannot be understood. That is recorded, too, if the store allows.

    >>> import pandas, tempfile
    >>> reviews = pandas.DataFrame({"text": ["Warm and light.", None], "stars": [5, 4]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check(reviews, project=Project(Path(folder))).passed
    False
    """
    given = {name: value for name, value in locals().items() if name != "progress"}
    request = Request(**given) if progress is None else Request(**given, progress=progress)
    result = attempt(request)
    if result.error and result.error.cause:
        raise result.error.cause
    return result


def attempt(request: Request, *, record_errors: bool = True) -> CheckResult:
    """As `check`, but a check that could not run is a result as well, with status `error`.

    `record_errors` says whether such a one is recorded: whoever is about to try again does without.
    """
    switch_off()
    from monitor.runs import RunStore, new_run_id  # after the variables: it is the first heavy import
    from monitor.unrecorded import record_waiting

    now = datetime.now(UTC)
    begun = _Begun(new_run_id(now), now, time.perf_counter())
    try:
        project = Project.of(request.project)
        keep_out_of_git(project)
        with RunStore.open(project.store_url) as store:  # before the work: it may take long and must not be lost
            record_waiting(store, project.unrecorded)
            result = _examined_or_error(request, project, begun)
            if result.error is None or record_errors:
                _record(store, request, result, project, begun)
            return result
    except Exception as error:
        return begun.error(error)


@dataclass(frozen=True)
class _Begun:
    """A run that goes on."""

    run_id: str
    at: datetime
    clock: float
    """Seconds of the performance counter."""

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.clock

    def error(self, error: Exception) -> CheckResult:
        """The result of a run that ended in an exception."""
        log.debug("run %s could not be finished", self.run_id, exc_info=error)
        return CheckResult(
            run_id=self.run_id,
            status=Status.ERROR,
            seconds=self.seconds,
            started=self.at.isoformat(timespec="seconds"),
            version=__version__,
            error=Failure.of(error),
        )


def keep_out_of_git(project: Project) -> None:
    """Runs hold the shop's data, which does not belong into a repository."""
    folder = project.folder / ".shopmon"
    ignore = folder / ".gitignore"
    if not ignore.exists():
        with suppress(OSError):  # whoever writes the run will tell
            folder.mkdir(parents=True, exist_ok=True)
            ignore.write_text("*\n", encoding="utf-8")


def _examined_or_error(request: Request, project: Project, begun: _Begun) -> CheckResult:
    from monitor.run_folder import run_folder, sweep

    try:
        sweep(project.runs)
        with TemporaryDirectory(prefix="shopmon-") as scratch, run_folder(project.runs, begun.run_id) as folder:
            result = _examine(request, project, begun, Path(scratch), folder)
            (folder / "result.json").write_text(result.json() + "\n", encoding="utf-8")
        return result
    except Exception as error:
        return begun.error(error)


def _examine(request: Request, project: Project, begun: _Begun, scratch: Path, folder: Path) -> CheckResult:
    """Batch, suite, validation, drift, edge cases: the way of the data, top to bottom."""
    from expectations.suite import built_in, load_suite

    _refuse_addresses(request)
    reading = Reading(request.kind, request.columns, request.encoding, request.delimiter)
    with ExitStack() as until_done:
        machines = until_done.enter_context(_machines(request, project, folder))
        batch = until_done.enter_context(
            opened(request.data, reading, project, scratch, request.progress, machines.hashes)
        )
        batch.watched = request.watch.statement
        chosen = Path(request.suite) if request.suite else project.suite(batch.kind) or built_in(batch.kind)
        suite = load_suite(chosen)
        if suite.kind not in (None, batch.kind):  # most of its rules would find nothing to examine, and pass
            raise SuiteError(
                f"{chosen} is a suite for {suite.kind}, and the batch is taken for {batch.kind}",
                advice=f"Say what the batch is (--kind {suite.kind}), or give a suite for {batch.kind}.",
            )
        good = Path(request.write_good).absolute() if request.write_good else None
        if good is not None:
            machines.check_place(batch, good)
        validation = machines.validate(batch, suite)
        compared, windows, cases = _beyond_rules(request, project, batch, machines, folder, begun.run_id)
        if good is not None:  # last: a check that is interrupted leaves nothing behind
            request.progress("writing the good rows")
            machines.write_good(batch, good)
        final = project.runs.absolute() / begun.run_id
        artifacts = _artifacts(request, validation, final, begun.run_id, batch, suite.name)
        artifacts |= {name: final / file for name, file in compared.artifacts.items()}
        result = _result(batch, validation, begun)
    result = replace(result, drift=compared.section, windows=windows, edge_cases=cases)
    result = replace(result, suite=suite.name, artifacts=artifacts)
    if project.settings.drift.fail and DriftStatus.DRIFTED in (result.drift.status, result.windows.status):
        result = replace(result, status=Status.FAILED)
    return replace(result, seconds=begun.seconds)


class Machines(Protocol):
    """Where the rows of a batch are looked at."""

    @property
    def hashes(self) -> Callable[[Sequence[Found]], Sequence[Future[str]]] | None:
        """Who hashes the sources; None: a thread of this process."""

    def validate(self, batch: Batch, suite: Suite) -> Validation:
        """Ask a suite of the batch; failing rows go into the run's folder."""

    def fit_rows(self) -> FitRows:
        """Of the batch that was validated."""

    def windowed(self) -> WindowsSection:
        """What each window of time shows of them."""

    def check_place(self, batch: Batch, good: Path) -> None:
        """Refuse a place for the good rows before any work is done."""

    def write_good(self, batch: Batch, good: Path) -> None:
        """Write the rows that break no rule, whole or not at all."""


@dataclass
class _ThisMachine:
    """This process does it all."""

    request: Request
    project: Project
    folder: Path
    hashes: Callable[[Sequence[Found]], Sequence[Future[str]]] | None = None
    _validated: tuple[Batch, Validation] | None = None

    def validate(self, batch: Batch, suite: Suite) -> Validation:
        from expectations.validation import validate

        settings = self.project.settings.check
        validation = validate(
            batch,
            suite,
            folder=self.folder,
            engine=self.request.engine or settings.engine.value,
            unreadable_allowed=settings.unreadable_allowed,
            progress=self.request.progress,
        )
        self._validated = batch, validation
        return validation

    def fit_rows(self) -> FitRows:
        from shopmon.comparing import RowsHere
        from shopmon.references import keep_fit

        batch, validation = self._done
        keep_fit(batch, validation)
        return RowsHere(batch, self.request.progress)

    def windowed(self) -> WindowsSection:
        from shopmon.windowing import windowed

        return windowed(self._done[0], self.request, self.project)

    def check_place(self, batch: Batch, good: Path) -> None:
        from expectations.quarantine import check_writable

        check_writable(batch, good)

    def write_good(self, batch: Batch, good: Path) -> None:
        from expectations.quarantine import write_good

        write_good(batch, good)

    @property
    def _done(self) -> tuple[Batch, Validation]:
        if self._validated is None:
            raise AssertionError("nothing was validated")
        return self._validated


def _machines(request: Request, project: Project, folder: Path) -> AbstractContextManager[Machines]:
    if (request.engine or project.settings.check.engine.value) != "spark":
        return nullcontext(_ThisMachine(request, project, folder))
    from shopmon.on_spark import on_spark

    return on_spark(request, project, folder)


def _refuse_addresses(request: Request) -> None:
    """Data is read from anywhere and written here; a path would make a folder called `s3:` of an address."""
    for written in (request.write_good, request.data_docs):
        address = re.match(r"([A-Za-z][\w+.-]+):/", str(written or ""))
        if address:
            raise ShopmonError(
                f"nothing is written to {address[1]}://, only to this machine",
                advice="Name a path here, and copy it there with the tools of that service.",
            )


def _beyond_rules(
    request: Request, project: Project, batch: Batch, machines: Machines, folder: Path, run_id: str
) -> tuple[Compared, WindowsSection, EdgeCaseSection]:
    """What changed, and which rows to learn from: both look only at rows without a serious fault."""
    from shopmon.comparing import Compared, beyond_rules

    if request.only_rules:
        reason = "only the rules were asked for"
        return Compared(DriftSection(reason=reason)), WindowsSection(reason=reason), EdgeCaseSection(reason=reason)
    rows = machines.fit_rows()
    windows = machines.windowed()  # before rows are added to the retraining set: it may refuse the batch
    compared, cases = beyond_rules(batch, request, project, rows=rows, folder=folder, run_id=run_id)
    return compared, windows, cases


def _artifacts(
    request: Request, validation: Validation, final: Path, run_id: str, batch: Batch, suite_name: str
) -> dict[str, Path]:
    """What was written, under the names it has once the run's folder is whole."""
    artifacts = {"result": final / "result.json"}
    if validation.quarantine:
        artifacts["quarantine"] = final / validation.quarantine.name
    if request.write_good:
        artifacts["good"] = Path(request.write_good).absolute()
    if request.data_docs:
        from expectations.data_docs import write_data_docs

        request.progress("writing Data Docs")
        name = ", ".join(without_password(source.name) for source in batch.sources)
        site = Path(request.data_docs).absolute()
        artifacts["data_docs"] = write_data_docs(validation, name, run_id, site, suite_name=suite_name)
    return artifacts


def _result(batch: Batch, validation: Validation, begun: _Begun) -> CheckResult:
    return CheckResult(
        run_id=begun.run_id,
        status=Status.PASSED if validation.passed else Status.FAILED,
        kind=batch.kind,
        columns=dict(batch.mapping),
        rows=validation.rows,
        quarantined=validation.quarantined,
        unreadable=validation.unreadable,
        unreadable_allowed=validation.unreadable_allowed,
        tolerated=validation.tolerated,
        expectations=validation.results,
        sources=tuple(batch.sources),
        started=begun.at.isoformat(timespec="seconds"),
        notes=tuple(batch.notes),
        version=__version__,
    )


def _record(store: RunStore, request: Request, result: CheckResult, project: Project, begun: _Begun) -> None:
    from monitor.unrecorded import record

    run = _run(request, result, begun)
    if result.error is None:
        record(store, run, project.unrecorded, progress=request.progress)
        return
    with suppress(RunStoreError):  # the first error is the one to tell
        record(store, run, project.unrecorded, progress=request.progress, patience=0)


def _run(request: Request, result: CheckResult, begun: _Begun) -> Run:
    from monitor.runs import Run

    return Run(
        run_id=result.run_id,
        command="check",
        status=result.status.value,
        kind=result.kind,
        started_at=begun.at,
        seconds=result.seconds,
        rows=result.rows,
        quarantined=result.quarantined,
        inputs=_inputs(request, result),
        versions=_versions(),
        folder=str(result.folder) if result.folder else None,
        document=result.document(),
    )


def _inputs(request: Request, result: CheckResult) -> tuple[Input, ...]:
    """What was read; where nothing could be, what was asked for."""
    from monitor.runs import Input

    if result.sources:
        return tuple(
            Input(name=without_password(s.name), sha256=s.sha256 or None, rows=s.rows, bytes=s.bytes)
            for s in result.sources
        )
    asked = [request.data] if isinstance(request.data, str | Path) else request.data
    if not isinstance(asked, Sequence):
        return ()
    return tuple(Input(name=display_name(str(name)), sha256=None, rows=0, bytes=None) for name in asked)


def _versions() -> dict[str, str]:
    versions = {"shopmon": __version__, "python": platform.python_version()}
    for package in ("duckdb", "evidently", "great_expectations", "pyspark", "uptrain"):
        with suppress(PackageNotFoundError):
            versions[package] = installed_version(package)
    return versions
