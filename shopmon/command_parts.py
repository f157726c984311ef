"""What do commands share: exit codes, options, how trouble is told, how a file is written?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from expectations.errors import ProjectError
from shopmon.console import show, write_document, write_error

if TYPE_CHECKING:
    from shopmon.outcome import Failure

PASSED, FAILED, COULD_NOT_RUN = 0, 1, 2

HELP = {"help_option_names": ["-h", "--help"]}

Debug = Annotated[bool, typer.Option("--debug", help="Show what happens inside, and tracebacks.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the verdict.")]
ProjectFolder = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="Folder of the shopmon.toml; otherwise the nearest one upwards."),
]

Kind = Literal["reviews", "products", "queries", "relevance"]
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


def tell(failure: Failure, *, debug: bool, document: str | None) -> int:
    """Say on standard error why a command could not run, and in a document where one was asked for."""
    from shopmon.summary import trouble

    if debug and failure.cause:
        import traceback

        write_error("".join(traceback.format_exception(failure.cause)))
    show(trouble(failure), to_stderr=True)
    if document is not None:
        write_document(document)
    return COULD_NOT_RUN


def columns_of(written: Sequence[str] | None) -> dict[str, str] | None:
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


def refuse_to_replace(files: Sequence[Path], force: bool) -> None:
    """Raise ProjectError if a file is there already and may not be replaced."""
    there = [str(file) for file in files if file.exists()]
    if there and not force:
        raise ProjectError(f"{' and '.join(there)} is there already", advice="Use --force to replace it.")


def save(file: Path, text: str) -> None:
    """Write a file whole or not at all; its folder is made."""
    from monitor.run_folder import write_aside

    file.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(file) as aside:
        aside.write_text(text, encoding="utf-8")
