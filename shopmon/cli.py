"""What does a person type, what do they read, and how does it end?

Only this file and those called `cli_…` print and decide exit codes: 0 the data passed, 1 the data failed, 2 the command
could not run.
Nothing heavy is imported before a command needs it, so that help and completion answer at once.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from expectations.errors import ProjectError, ShopmonError
from shopmon import __version__, cli_classify, cli_ranking, cli_training, cli_windows
from shopmon.command_parts import (
    COULD_NOT_RUN,
    FAILED,
    HELP,
    PASSED,
    AsJson,
    ColumnOption,
    Debug,
    DelimiterOption,
    EncodingOption,
    KindOption,
    ProjectFolder,
    Quiet,
    columns_of,
    refuse_to_replace,
    save,
    tell,
)
from shopmon.console import (
    check_shown,
    console,
    flush,
    one_line,
    progress_shown,
    quiet_libraries,
    show,
    write,
    write_document,
    write_error,
)

if TYPE_CHECKING:
    from monitor.reference import Reference
    from monitor.runs import Run, RunSummary
    from shopmon.new_files import NewFiles
    from shopmon.outcome import CheckResult, Failure

__all__ = ["COULD_NOT_RUN", "FAILED", "PASSED", "app", "main"]

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
_TERMINATED = 128 + signal.SIGTERM

# Of Typer's exceptions only this one's children are public; its parent is every mistake in a command line.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="shopmon",
    rich_markup_mode=None,  # plain help costs a third of the time, and examples keep their lines
    pretty_exceptions_enable=False,
    context_settings=HELP,
)

EngineName = Literal["scan", "great_expectations", "spark"]
StatusName = Literal["passed", "failed", "error"]

SuiteOption = Annotated[
    Path | None,
    typer.Option("--suite", metavar="FILE", help="The rules; otherwise the project's, else the built-in ones."),
]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"shopmon {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="""\
\b
Examples:
  shopmon demo                             see it work, on generated data
  shopmon check data/new.parquet           is this batch fit to use, and what changed?
  shopmon init data/good.parquet           a shopmon.toml and a suite of your own
  shopmon reference set data/good.parquet  what later batches are compared with
  shopmon retrain                          train a model on the rows that checks gathered
  shopmon runs                             what was checked and trained so far
  shopmon dashboard                        the same as pages, with what changed, which rows, and why

Exit codes: 0 passed, 1 the data failed, 2 could not run.""",
)
def shopmon(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Watches the text that a shop's models live on: which rows are unfit, what drifted, which rows to learn from."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(
    epilog="""\
\b
Examples:
  shopmon check data/new.parquet
  shopmon check data/ --kind reviews --column "Content=text"
  shopmon check "exports/*.csv" --delimiter ";" --encoding cp1252
  shopmon check s3://shop/reviews.parquet --json | jq .status
  shopmon check "postgresql://host/shop::reviews" --write-good good.parquet
  shopmon check data/new.parquet --reference data/good.parquet --by brand
  shopmon check --new data/                only files that were not checked yet, and windows of time

Exit codes: 0 passed, 1 the data failed, 2 could not run."""
)
def check(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Files (Parquet, CSV, TSV, JSON lines, Arrow), folders, globs, addresses (s3://, gs://, hf://, "
            "https://) or tables (sqlite:///shop.db::reviews).",
        ),
    ],
    kind: KindOption = None,
    suite: SuiteOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            "--engine", help="Who counts: one fast scan, Great Expectations' own engine (slow), or a Spark cluster."
        ),
    ] = None,
    write_good: Annotated[
        Path | None,
        typer.Option("--write-good", metavar="FILE", help="Also write the rows that break no rule (parquet)."),
    ] = None,
    data_docs: Annotated[
        Path | None,
        typer.Option(
            "--data-docs", metavar="DIR", help="Also write Great Expectations' pages; they show failing values."
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="FILE", help="Compare with this file instead of the project's reference."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", help="Compare within each value of this column, too. May be repeated."),
    ] = None,
    evidently_workspace: Annotated[
        Path | None,
        typer.Option(
            "--evidently-workspace", metavar="DIR", help="Add Evidently's measures to a workspace for `evidently ui`."
        ),
    ] = None,
    only_rules: Annotated[
        bool, typer.Option("--only-rules", help="Ask only the rules: no comparison, no edge cases.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Only files that are new or have changed since they were checked this way.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --new: check all of these files anew.")] = False,
    forget_gone: Annotated[
        bool, typer.Option("--forget-gone", help="With --new: rows of files that are gone leave the windows of time.")
    ] = False,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Say whether a batch is fit to use, what changed, and which rows to learn from.

    Rows that break a rule go to quarantine with every reason. The others are compared with the reference (shopmon
    reference set FILE), and edge cases among them are added to the retraining set. The answer is kept in
    .shopmon/runs/.
    """
    if not new and (again or forget_gone):
        raise typer.BadParameter(
            "they are about files that were checked with --new", param_hint="--again, --forget-gone"
        )
    with quiet_libraries(), check_shown() as (progress, watch):
        from shopmon.request import Request

        request = Request(
            data=paths,
            kind=kind,
            suite=suite,
            engine=engine,
            columns=columns_of(column),
            encoding=encoding,
            delimiter=delimiter,
            project=project,
            data_docs=data_docs,
            write_good=write_good,
            reference=reference,
            by=tuple(by or ()),
            evidently_workspace=evidently_workspace,
            only_rules=only_rules,
            progress=progress,
            watch=watch,
        )
        if new:
            from shopmon.incremental import attempt_new

            found = attempt_new(request, again=again, forget_gone=forget_gone)
        else:
            from shopmon.checking import attempt

            result = attempt(request)
    if new:
        return _show_new_files(found, as_json=as_json, quiet=quiet, debug=debug)
    if result.error:
        return tell(result.error, debug=debug, document=result.json() if as_json else None)
    if as_json:
        write_document(result.json())
    else:
        _show_result(result, quiet=quiet)
    return PASSED if result.passed else FAILED


@app.command(
    epilog="""\
\b
Examples:
  shopmon draft data/good.parquet
  shopmon draft data/good.parquet --out suites/reviews.yaml"""
)
def draft(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A batch known to be good.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write the suite; otherwise standard output.")
    ] = None,
    kind: KindOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    project: ProjectFolder = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
    debug: Debug = False,
) -> int:
    """Draft a suite from a batch known to be good, for you to edit.

    A draft says what the batch shows, dirt included: read it before you trust it.
    """
    if out is not None:
        refuse_to_replace([out], force)
    with quiet_libraries(), progress_shown() as progress:
        from shopmon.project import Project
        from shopmon.reading import Reading
        from shopmon.starting import draft_from

        reading = Reading(kind, columns_of(column), encoding, delimiter)
        drafted = draft_from(file, reading, Project.of(project), progress=progress)
        if out is not None:
            save(out, drafted.suite)
    if out is None:
        write(drafted.suite)
    else:
        write(f"{one_line(str(out))} is written: read it, then name it in shopmon.toml or with --suite.\n")
    return PASSED


@app.command(
    short_help="Begin a project: a shopmon.toml, and a drafted suite.",
    epilog="""\
\b
Examples:
  shopmon init                             only a shopmon.toml
  shopmon init data/good.parquet           also a suite, drafted from this batch""",
)
def init(
    reference: Annotated[
        str | None, typer.Argument(metavar="[REFERENCE]", help="A batch known to be good, to draft a suite from.")
    ] = None,
    kind: KindOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    project: Annotated[Path, typer.Option("--project", metavar="DIR", help="Where to write.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    debug: Debug = False,
) -> int:
    """Make a folder a project: a shopmon.toml with every setting explained, and a suite drafted from a reference."""
    if not project.is_dir():
        raise ProjectError(f"{project} is no folder", advice="Make it first, or give another --project.")
    refuse_to_replace([project / "shopmon.toml"], force)  # before the work
    with quiet_libraries(), progress_shown() as progress:
        from shopmon.reading import Reading
        from shopmon.starting import starting_files

        reading = Reading(kind, columns_of(column), encoding, delimiter)
        files = {project / name: text for name, text in starting_files(reference, reading, progress=progress).items()}
    refuse_to_replace(list(files), force)
    for file, text in files.items():
        save(file, text)
    write("".join(f"{one_line(str(file))} is written\n" for file in files))
    write("Read and correct what is there, then: shopmon check FILE\n")
    return PASSED


reference_app = typer.Typer(
    rich_markup_mode=None,
    help="What batches are compared with: set it, or see it.",
    epilog="""\
\b
Examples:
  shopmon reference set data/good.parquet
  shopmon reference show""",
    no_args_is_help=True,
    context_settings=HELP,
)
app.add_typer(reference_app, name="reference")


@reference_app.command(
    "set",
    epilog="""\
\b
Examples:
  shopmon reference set data/good.parquet
  shopmon reference set "data/2026-10/*.parquet" --by brand""",
)
def reference_set(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="A batch known to be good; as for check.")],
    kind: KindOption = None,
    suite: SuiteOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", help="Count within each value of this column, too. May be repeated."),
    ] = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Keep the profile of a batch known to be good: later batches of its kind are compared with it.

    Rows that break a rule stay out. The file itself is not needed afterwards; a sample of its rows is kept.
    """
    with quiet_libraries(), progress_shown() as progress:
        from shopmon.project import Project
        from shopmon.reading import Reading
        from shopmon.references import set_reference
        from shopmon.telemetry import switch_off

        switch_off()
        reading = Reading(kind, columns_of(column), encoding, delimiter)
        made = set_reference(paths, reading, Project.of(project), suite=suite, by=tuple(by or ()), progress=progress)
    return _show_reference(made, as_json)


@reference_app.command(
    "show",
    epilog="""\
\b
Examples:
  shopmon reference show
  shopmon reference show --kind reviews --json""",
)
def reference_show(
    kind: KindOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Show what batches are compared with: the columns, and how each is compared."""
    from shopmon.project import Project
    from shopmon.references import references

    found = references(Project.of(project), kind)
    if not found:
        raise ProjectError("no reference is set here", advice="Set one with: shopmon reference set FILE")
    for one in found:
        _show_reference(one, as_json)
    return PASSED


@app.command(
    epilog="""\
\b
Examples:
  shopmon label labels.csv                 columns: id (or text), label
  shopmon label answers.parquet --kind reviews --id review_id --label verdict"""
)
def label(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file with an id, or the text itself, and a label.")],
    kind: KindOption = None,
    id_column: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column that names the row; otherwise `id`.")
    ] = None,
    label_column: Annotated[
        str, typer.Option("--label", metavar="COLUMN", help="The column that holds the label.")
    ] = "label",
    text_column: Annotated[
        str | None, typer.Option("--text", metavar="COLUMN", help="Join by the text itself instead of by an id.")
    ] = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Join labels that came late to the rows of the retraining set.

    A label may come before its row: it waits for it. Of several labels for one row, the last one given counts.
    """
    with quiet_libraries(), progress_shown() as progress:
        from shopmon.labels import Keys, join_labels
        from shopmon.project import Project

        joined = join_labels(
            file, Keys(id_column, text_column, label_column), Project.of(project), kind=kind, progress=progress
        )
    if as_json:
        write_document(json.dumps(asdict(joined), ensure_ascii=False, indent=2))
    else:
        from shopmon.change_summary import labels_joined

        show(labels_joined(joined))
    return PASSED


@app.command(
    epilog="""\
\b
Examples:
  shopmon signals
  shopmon signals --json | jq -r '.[].name'"""
)
def signals(as_json: AsJson = False) -> int:
    """List what the formula of an edge-case rule may name, and what each signal says of a row."""
    from monitor.signals import ASKING, SIGNALS
    from shopmon.change_summary import signals_table

    found = [*SIGNALS.values(), *ASKING.values()]
    if as_json:
        said = [{"name": signal.name, "is": signal.holds.value, "says": signal.says} for signal in found]
        write_document(json.dumps(said, ensure_ascii=False, indent=2))
    else:
        show(signals_table(found))
    return PASSED


@app.command(
    epilog="""\
\b
Examples:
  shopmon runs
  shopmon runs --status failed --limit 5
  shopmon runs 20261120-195801-a3f9c1      one of them; the beginning of its id is enough"""
)
def runs(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN_ID]", help="Show this run.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest first.")] = 20,
    status: Annotated[StatusName | None, typer.Option("--status", help="Only those that ended so.")] = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """List what was checked and trained so far, or show one run."""
    from monitor.runs import RunStore
    from monitor.unrecorded import record_waiting
    from shopmon.project import Project

    found = Project.of(project)
    with RunStore.open(found.store_url) as store:
        record_waiting(store, found.unrecorded)
        if run_id is None:
            return _list_runs(store.list(limit=limit, status=status), as_json)
        return _show_run(store.get(run_id), as_json)


@app.command(
    short_help="Open the pages: quality, drift, edge cases, trainings, words.",
    epilog="""\
\b
Examples:
  shopmon dashboard
  shopmon dashboard --project demo --port 8600
  shopmon dashboard --host 0.0.0.0 --no-browser     for others on the network, who then read your data""",
)
def dashboard(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; otherwise only this machine can see it.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Otherwise 8501, or the next that is free.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    project: ProjectFolder = None,
    debug: Debug = False,
) -> int:
    """Show the project in the browser, until Ctrl-C: what was checked, what changed, which rows to learn from, and why.

    It reads what checks and trainings left, and writes nothing but decisions about edge cases. Nothing is reported to
    anybody.
    """
    from shopmon.project import Project
    from shopmon.serving import serving

    found = Project.of(project)
    started = serving(found, host=host, port=port, browser=not no_browser)
    if host not in ("127.0.0.1", "localhost", "::1"):
        write_error(f"Whoever reaches {one_line(host)} can read this project's data and decide about its rows.\n")
    write(f"The dashboard of {one_line(str(found.folder))} is at {started.url}; end it with Ctrl-C.\n")
    started.start()


@app.command(
    short_help="See it work, on generated data with planted faults.",
    epilog="""\
\b
Examples:
  shopmon demo
  shopmon demo --no-retrain                checks only, in a quarter of the time
  shopmon demo --rows 100000 --folder /tmp/demo""",
)
def demo(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where to write: a new folder, or that of an earlier demo.")
    ] = Path("demo"),
    rows: Annotated[
        int, typer.Option("--rows", min=1000, help="Reviews in the reference, and as many in the new batch.")
    ] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same data.")] = 1,
    no_retrain: Annotated[
        bool, typer.Option("--no-retrain", help="Only check: train no model on the rows that the checks gathered.")
    ] = False,
    debug: Debug = False,
) -> int:
    """See it work: generated data with planted faults, checked, and what was found beside what was planted.

    A small model then learns from the rows that the checks gathered, without a network (the extra `offline`). The data
    fails its checks, as it should; the demonstration itself ends with 0.
    """
    with quiet_libraries(), progress_shown() as progress:
        from shopmon.demo import run_demo
        from shopmon.demo_summary import demo_summary

        told = run_demo(folder, rows=rows, seed=seed, retrain=not no_retrain, progress=progress)
    show(demo_summary(told, here=Path.cwd(), width=console().width))
    return PASSED


app.add_typer(cli_training.app)
app.add_typer(cli_classify.app)
app.add_typer(cli_ranking.app)
app.add_typer(cli_windows.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default the process's own) and give its exit code; nothing is raised but SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _prepare(debug="--debug" in given)
    try:
        ended = app(args=given, prog_name="shopmon", standalone_mode=False)
        flush()
        if ended == INTERRUPTED:
            return _interrupted()
        return ended if isinstance(ended, int) else PASSED
    except _UsageError as error:
        return _tell_usage(error, given)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except Exception as error:
        return _could_not_begin(error, given)


def _prepare(*, debug: bool) -> None:
    if threading.current_thread() is threading.main_thread():  # nobody else may
        signal.signal(signal.SIGTERM, _terminate)
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
        for chatty in ("great_expectations", "sqlalchemy", "asyncio", "fsspec", "filelock", "httpcore", "alembic"):
            logging.getLogger(chatty).setLevel(logging.INFO)
    elif not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")  # a dependency's remarks to its programmers are no answer to a person


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that nothing half-written is left; being asked again must not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _interrupted() -> int:
    write_error("\nInterrupted; nothing half-written was left.\n")
    return _TERMINATED if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN else INTERRUPTED


def _tell_usage(error: Exception, given: Sequence[str]) -> int:
    """A command line that cannot be understood: what is wrong with it, and where to read on."""
    problem = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "shopmon"
    return _could_not_begin(ShopmonError(problem, advice=f"Try: {command} --help"), given)


def _wants_document(given: Sequence[str]) -> bool:
    return "--json" in given and given[0] in (
        "check",
        "runs",
        "reference",
        "label",
        "retrain",
        "words",
        "models",
        "classify",
        "rank",
        "substitutes",
        "windows",
    )


def _could_not_begin(error: Exception, given: Sequence[str]) -> int:
    """A command that ended before a run began."""
    from shopmon.outcome import Failure

    failure = Failure.of(error)
    document = _document_of(failure, given) if _wants_document(given) else None
    return tell(failure, debug="--debug" in given, document=document)


def _document_of(failure: Failure, given: Sequence[str]) -> str:
    from datetime import UTC, datetime

    from shopmon.new_files import NewFiles, NewStatus
    from shopmon.outcome import CheckResult, Status
    from shopmon.training_outcome import TrainingRun

    started = datetime.now(UTC).isoformat(timespec="seconds")
    if given[0] == "retrain":
        return TrainingRun("", "", failure, started, version=__version__).json()
    if given[0] == "check" and "--new" in given:
        return NewFiles(NewStatus.ERROR, started=started, version=__version__, error=failure).json()
    return CheckResult("", Status.ERROR, started=started, version=__version__, error=failure).json()


def _show_result(result: CheckResult, *, quiet: bool) -> None:
    from shopmon.summary import summary, verdict

    width = console().width
    show(verdict(result, width=width) if quiet else summary(result, width=width, here=Path.cwd()))


def _show_new_files(found: NewFiles, *, as_json: bool, quiet: bool, debug: bool) -> int:
    from shopmon.new_files import NewStatus
    from shopmon.new_files_summary import new_files_summary, new_files_verdict

    if not as_json and (found.units or not found.error):
        width = console().width
        show(new_files_verdict(found, width=width) if quiet else new_files_summary(found, width=width, here=Path.cwd()))
    if found.error:
        return tell(found.error, debug=debug, document=found.json() if as_json else None)
    if as_json:
        write_document(found.json())
    if found.status is NewStatus.ERROR:
        return COULD_NOT_RUN
    return PASSED if found.passed else FAILED


def _show_reference(reference: Reference, as_json: bool) -> int:
    from shopmon.change_summary import reference_shown
    from shopmon.references import description

    said = description(reference)
    if as_json:
        write_document(json.dumps(said, ensure_ascii=False, indent=2))
    else:
        show(reference_shown(said))
    return PASSED


def _list_runs(found: Sequence[RunSummary], as_json: bool) -> int:
    from shopmon.outcome import plain
    from shopmon.summary import runs_table

    if as_json:
        write_document(json.dumps(plain([asdict(run) for run in found]), ensure_ascii=False, indent=2))
    else:
        show(runs_table(found, width=console().width))
    return PASSED


def _show_run(run: Run, as_json: bool) -> int:
    """A recorded check or training as it was told then; whatever else is recorded, as its document."""
    from shopmon.outcome import CheckResult
    from shopmon.summary import trouble

    if not as_json and run.command == "retrain":
        return cli_training.show_again(run)
    if as_json or not CheckResult.can_read(run.document):
        write_document(json.dumps(run.document, ensure_ascii=False, indent=2))
        return PASSED
    result = CheckResult.from_document(run.document)
    if result.error:
        show(trouble(result.error))
    else:
        _show_result(result, quiet=False)
    return PASSED
