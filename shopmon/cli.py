"""What does a person type, what do they read, and how does it end?

Only this file prints and decides exit codes: 0 the data passed, 1 the data failed, 2 the command could not run.
Nothing heavy is imported before a command needs it, so that help and completion answer at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from expectations.errors import ProjectError, ShopmonError
from shopmon import __version__

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from monitor.runs import Run, RunSummary
    from shopmon.outcome import CheckResult, Failure

PASSED, FAILED, COULD_NOT_RUN = 0, 1, 2
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
_TERMINATED = 128 + signal.SIGTERM
_PATIENCE = 1.0
"""Seconds of silence before progress is shown."""

# Of Typer's exceptions only this one's children are public; its parent is every mistake in a command line.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="shopmon",
    rich_markup_mode=None,  # plain help costs a third of the time, and examples keep their lines
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Kind = Literal["reviews", "products", "queries", "relevance"]
EngineName = Literal["scan", "great_expectations"]
StatusName = Literal["passed", "failed", "error"]

Debug = Annotated[bool, typer.Option("--debug", help="Show what happens inside, and tracebacks.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for machines.")]
ProjectFolder = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="Folder of the shopmon.toml; otherwise the nearest one upwards."),
]
KindOption = Annotated[
    Kind | None, typer.Option("--kind", help="What the data is; otherwise recognised from its columns.")
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="NAME=ROLE", help='Which column is what: "Content=text". May be repeated.'),
]
EncodingOption = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Of text files: utf-8 (as a rule), latin-1, cp1252 …")
]
DelimiterOption = Annotated[
    str | None, typer.Option("--delimiter", metavar="CHAR", help="Of CSV files; otherwise sniffed.")
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
  shopmon check data/new.parquet           is this batch fit to use?
  shopmon init data/good.parquet           a shopmon.toml and a suite of your own
  shopmon runs                             what was checked so far

Exit codes: 0 passed, 1 the data failed, 2 could not run.""",
)
def shopmon(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Watches the text that a shop's models live on: says whether data is fit to use, and which rows are not."""
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
    suite: Annotated[
        Path | None,
        typer.Option("--suite", metavar="FILE", help="The rules; otherwise the project's, else the built-in ones."),
    ] = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    engine: Annotated[
        EngineName | None,
        typer.Option("--engine", help="Who counts: one fast scan, or Great Expectations' own engine (slow)."),
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
    project: ProjectFolder = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the verdict.")] = False,
    debug: Debug = False,
) -> int:
    """Say whether a batch is fit to use, and which rows are not.

    Rows that break a rule go to quarantine with every reason; the answer is kept in .shopmon/runs/.
    """
    with _quiet_libraries(), _progress() as progress:
        from shopmon.checking import Request, attempt

        result = attempt(
            Request(
                data=paths,
                kind=kind,
                suite=suite,
                engine=engine,
                columns=_columns(column),
                encoding=encoding,
                delimiter=delimiter,
                project=project,
                data_docs=data_docs,
                write_good=write_good,
                progress=progress,
            )
        )
    if result.error:
        return _tell(result.error, debug=debug, document=result.json() if as_json else None)
    if as_json:
        _write_document(result.json())
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
        _refuse_to_replace([out], force)
    with _quiet_libraries(), _progress() as progress:
        from shopmon.project import Project
        from shopmon.starting import Reading, draft_from

        reading = Reading(kind, _columns(column), encoding, delimiter)
        drafted = draft_from(file, reading, Project.of(project), progress=progress)
        if out is not None:
            _save(out, drafted.suite)
    if out is None:
        _write(drafted.suite)
    else:
        _write(f"{_line(str(out))} is written: read it, then name it in shopmon.toml or with --suite.\n")
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
    _refuse_to_replace([project / "shopmon.toml"], force)  # before the work
    with _quiet_libraries(), _progress() as progress:
        from shopmon.starting import Reading, starting_files

        reading = Reading(kind, _columns(column), encoding, delimiter)
        files = {project / name: text for name, text in starting_files(reference, reading, progress=progress).items()}
    _refuse_to_replace(list(files), force)
    for file, text in files.items():
        _save(file, text)
    _write("".join(f"{_line(str(file))} is written\n" for file in files))
    _write("Read and correct what is there, then: shopmon check FILE\n")
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
    """List what was checked so far, or show one run."""
    from monitor.runs import RunStore
    from shopmon.project import Project

    with RunStore.open(Project.of(project).store_url) as store:
        if run_id is None:
            return _list_runs(store.list(limit=limit, status=status), as_json)
        return _show_run(store.get(run_id), as_json)


@app.command(
    short_help="See it work, on generated data with planted faults.",
    epilog="""\
\b
Examples:
  shopmon demo
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
    debug: Debug = False,
) -> int:
    """See it work: generated data with planted faults, checked, and what was found beside what was planted.

    The data fails its checks, as it should; the demonstration itself ends with 0.
    """
    with _quiet_libraries(), _progress() as progress:
        from shopmon.demo import run_demo
        from shopmon.demo_summary import demo_summary

        shown = demo_summary(run_demo(folder, rows=rows, seed=seed, progress=progress), here=Path.cwd())
    _print(shown)
    return PASSED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default the process's own) and give its exit code; nothing is raised but SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _prepare(debug="--debug" in given)
    try:
        ended = app(args=given, prog_name="shopmon", standalone_mode=False)
        _flush()
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
        for chatty in ("great_expectations", "sqlalchemy", "asyncio", "fsspec"):
            logging.getLogger(chatty).setLevel(logging.INFO)
    elif not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")  # a dependency's remarks to its programmers are no answer to a person


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End as Ctrl-C does, so that nothing half-written is left; being asked again must not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _interrupted() -> int:
    _write_error("\nInterrupted; nothing half-written was left.\n")
    return _TERMINATED if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN else INTERRUPTED


def _tell_usage(error: Exception, given: Sequence[str]) -> int:
    """A command line that cannot be understood: what is wrong with it, and where to read on."""
    problem = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "shopmon"
    return _could_not_begin(ShopmonError(problem, advice=f"Try: {command} --help"), given)


def _tell(failure: Failure, *, debug: bool, document: str | None) -> int:
    from shopmon.summary import trouble

    if debug and failure.cause:
        import traceback

        _write_error("".join(traceback.format_exception(failure.cause)))
    _print(trouble(failure), to_stderr=True)
    if document is not None:
        _write_document(document)
    return COULD_NOT_RUN


def _wants_document(given: Sequence[str]) -> bool:
    return "--json" in given and given[0] in ("check", "runs")


def _could_not_begin(error: Exception, given: Sequence[str]) -> int:
    """A command that ended before a run began."""
    from datetime import UTC, datetime

    from shopmon.outcome import CheckResult, Failure, Status

    started, failure = datetime.now(UTC).isoformat(timespec="seconds"), Failure.of(error)
    result = CheckResult("", Status.ERROR, started=started, version=__version__, error=failure)
    return _tell(failure, debug="--debug" in given, document=result.json() if _wants_document(given) else None)


def _columns(written: Sequence[str] | None) -> dict[str, str] | None:
    """`NAME=ROLE` as a mapping; a name may itself hold an equals sign."""
    if not written:
        return None
    columns = {}
    for one in written:
        name, equals, role = one.rpartition("=")
        if not (equals and name and role):
            raise typer.BadParameter(
                f"{one!r} is not NAME=ROLE, as in --column 'Review Text=text'", param_hint="--column"
            )
        columns[name] = role.strip()
    return columns


def _refuse_to_replace(files: Sequence[Path], force: bool) -> None:
    there = [str(file) for file in files if file.exists()]
    if there and not force:
        raise ProjectError(f"{' and '.join(there)} is there already", advice="Use --force to replace it.")


def _save(file: Path, text: str) -> None:
    from monitor.run_folder import write_aside

    file.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(file) as aside:
        aside.write_text(text, encoding="utf-8")


def _show_result(result: CheckResult, *, quiet: bool) -> None:
    from shopmon.summary import summary, verdict

    width = _console().width
    _print(verdict(result, width=width) if quiet else summary(result, width=width, here=Path.cwd()))


def _list_runs(found: Sequence[RunSummary], as_json: bool) -> int:
    from shopmon.outcome import plain
    from shopmon.summary import runs_table

    if as_json:
        _write_document(json.dumps(plain([asdict(run) for run in found]), ensure_ascii=False, indent=2))
    else:
        _print(runs_table(found, width=_console().width))
    return PASSED


def _show_run(run: Run, as_json: bool) -> int:
    """A recorded check as it was told then; whatever else is recorded, as its document."""
    from shopmon.outcome import CheckResult
    from shopmon.summary import trouble

    if as_json or not CheckResult.can_read(run.document):
        _write_document(json.dumps(run.document, ensure_ascii=False, indent=2))
        return PASSED
    result = CheckResult.from_document(run.document)
    if result.error:
        _print(trouble(result.error))
    else:
        _show_result(result, quiet=False)
    return PASSED


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Whatever a library prints goes to standard error: standard output holds the answer alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Say on standard error what is being done, once it takes longer than a second; only to a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.text import Text

    status = _console(to_stderr=True).status(Text("reading"))
    timer = threading.Timer(_PATIENCE, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda doing: status.update(Text(_line(doing)))
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def _line(text: str) -> str:
    from shopmon.summary import inert

    return inert(text)


def _console(*, to_stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False, emoji=False, markup=False)


def _print(what: RenderableType, *, to_stderr: bool = False) -> None:
    console = _console(to_stderr=to_stderr)
    with console.capture() as captured:  # Rich would end the process with 1 when the reader of a pipe has gone
        console.print(what)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
    (_write_error if to_stderr else _write)(text)


def _write(text: str) -> None:
    """Text to standard output; a reader that has gone (`| head`) has read enough, and the verdict stands."""
    stream = sys.stdout
    if stream is None:
        return
    try:
        stream.write(_writable(text, stream))
        stream.flush()
    except BrokenPipeError:
        _let_go_of_stdout()


def _write_document(text: str) -> None:
    """JSON to standard output, escaped where its encoding is not Unicode: no character may be lost."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    _write((text if encoding.startswith("utf") else json.dumps(json.loads(text), indent=2)) + "\n")


def _write_error(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody is left to be told
            sys.stderr.write(_writable(text, sys.stderr))
            sys.stderr.flush()


def _writable(text: str, stream: Any) -> str:
    """Text in the stream's own encoding: a mark it lacks must not cost the answer."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
    except AttributeError:  # standard output is closed
        pass


def _let_go_of_stdout() -> None:
    """Python would complain at exit that it cannot flush: give it somewhere to flush to."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
