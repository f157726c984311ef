"""What does a person type to label rows without a training?

As in `cli`, exit codes are decided here: 0 the rows have their labels, 2 the command could not run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from shopmon.command_parts import (
    HELP,
    PASSED,
    AsJson,
    ColumnOption,
    Debug,
    DelimiterOption,
    EncodingOption,
    KindOption,
    ProjectFolder,
    columns_of,
    refuse_to_replace,
)
from shopmon.console import console, quiet_libraries, show, training_shown, write_document

app = typer.Typer(rich_markup_mode=None, context_settings=HELP)


@app.command(
    short_help="Label rows without a training, with labels of your own.",
    epilog="""\
\b
Examples:
  shopmon classify data/new.parquet --labels "shipping,size,quality"
  shopmon classify data/new.parquet --labels "shipping,size,quality" --multi --out topics.parquet
  shopmon classify tickets.csv --text body --labels 'refund,"moving, address",praise' --out topics.csv
  shopmon classify data/ --labels "joy,anger" --hypothesis "The customer feels {}." --model models/nli

Exit codes: 0 the rows have their labels, 2 could not run.""",
)
def classify(
    paths: Annotated[list[str], typer.Argument(metavar="FILE", help="What to label; as for check.")],
    labels: Annotated[
        str, typer.Option("--labels", metavar="TEXT", help='With commas between them; one with a comma in "…".')
    ],
    multi: Annotated[
        bool, typer.Option("--multi", help="Several labels may fit a row, or none: each is judged by itself.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="SCORE", help="With --multi: from which score on a label fits; 0.5."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="A model's id (of the task nli), a folder, or a name on the hub; otherwise the champion of nli.",
        ),
    ] = None,
    hypothesis: Annotated[
        str | None,
        typer.Option("--hypothesis", metavar="TEXT", help='What is asked of a label: "This text is about {}."'),
    ] = None,
    entailment: Annotated[
        str | None,
        typer.Option("--entailment", metavar="CLASS", help="The model's class for yes, where its name does not tell."),
    ] = None,
    contradiction: Annotated[
        str | None, typer.Option("--contradiction", metavar="CLASS", help="The same of its class for no.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="COLUMN", help="The column to read; otherwise what models read of the kind."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Keep each row's label and scores: .parquet, .csv or .jsonl."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
    kind: KindOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Label rows without a training: a model of natural language inference says which label fits each text best.

    It needs no examples, and is worth less than a model that was trained on some. Nothing is recorded.
    """
    if out is not None:
        refuse_to_replace([out], force)
    with quiet_libraries(), training_shown() as progress:
        from shopmon.classifying import classify as classified

        found = classified(
            paths,
            labels,
            multi=multi,
            threshold=threshold,
            model=model,
            hypothesis=hypothesis,
            entailment=entailment,
            contradiction=contradiction,
            text=text,
            out=out,
            keep=False,
            kind=kind,
            columns=columns_of(column),
            encoding=encoding,
            delimiter=delimiter,
            project=project,
            progress=progress,
        )
    if as_json:
        from shopmon.outcome import plain

        write_document(json.dumps(plain(found.document(), longest=None), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        from shopmon.classify_summary import classified_shown

        show(classified_shown(found, width=console().width))
    return PASSED
