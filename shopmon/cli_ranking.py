"""What does a person type to rank products, and to find those that can replace one another?

As in `cli`, exit codes are decided here: 0 it was answered, 2 the command could not run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shopmon.command_parts import (
    HELP,
    PASSED,
    AsJson,
    ColumnOption,
    Debug,
    DelimiterOption,
    EncodingOption,
    ProjectFolder,
    Quiet,
    columns_of,
    refuse_to_replace,
)
from shopmon.console import console, quiet_libraries, show, training_shown, write_document

if TYPE_CHECKING:
    from shopmon.answers import Answer

app = typer.Typer(rich_markup_mode=None, context_settings=HELP)

MOST_QUERIES = 20
"""Queries that are answered on a terminal; a file or a document has them all."""

CandidatesOption = Annotated[
    int | None, typer.Option("--candidates", min=1, help="Products that the classifier reads at most for each.")
]
EncoderOption = Annotated[
    str | None,
    typer.Option("--encoder", metavar="MODEL", help="Who finds candidates: a name on the hub, a folder, or offline."),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="ID", help="Ask this model of the task relevance, not the champion.")
]
TextOption = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="COLUMN",
        help="What makes up a product's text; otherwise as the model was trained. May be repeated, in order.",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the rows: .parquet, .csv, .jsonl; or the whole answer: .json."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace the file of --out.")]


@app.command(
    short_help="Rank a catalogue's products for queries.",
    epilog="""\
\b
Examples:
  shopmon rank products.parquet --query "red running shoes"
  shopmon rank products.csv --query "desk lamp" --query "brass lamp" --top 5
  shopmon rank queries.parquet products.parquet --out ranked.parquet
  shopmon rank products.parquet --query lamp --encoder offline --json | jq .ranking

Exit codes: 0 ranked, 2 could not run.""",
)
def rank(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[QUERIES] PRODUCTS", help="The catalogue; before it a file of queries, unless --query is given."
        ),
    ],
    query: Annotated[
        list[str] | None, typer.Option("--query", metavar="TEXT", help="What to look for. May be repeated.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Products of each query in the answer.")] = None,
    candidates: CandidatesOption = None,
    encoder: EncoderOption = None,
    model: ModelOption = None,
    text: TextOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    column: ColumnOption = None,
    query_column: Annotated[
        list[str] | None,
        typer.Option("--query-column", metavar="NAME=ROLE", help="The same for the file of queries."),
    ] = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Rank a catalogue's products for queries, the best first, in two stages.

    A sentence encoder finds candidates in the whole catalogue, whose vectors are kept; the champion of the task
    relevance then reads each candidate together with the query and puts them in order by expected gain.
    """
    *before, products = files
    if len(before) > 1 or bool(before) == bool(query):
        said = f"{len(files)} files{' and --query' if query else ''}"
        raise typer.BadParameter(
            f"{said}: give PRODUCTS with --query TEXT, or QUERIES and PRODUCTS", param_hint="[QUERIES] PRODUCTS"
        )
    if out is not None:
        refuse_to_replace([out], force)
    with quiet_libraries(), training_shown(hidden=quiet) as progress:
        from shopmon import ranking

        found = ranking.rank(
            products,
            query or None,
            queries=before[0] if before else None,
            top=top,
            candidates=candidates,
            encoder=encoder,
            model=model,
            text=text or None,
            out=out,
            at_most=None if as_json or out is not None else MOST_QUERIES,
            columns=columns_of(column),
            query_columns=columns_of(query_column),
            encoding=encoding,
            delimiter=delimiter,
            project=project,
            progress=progress,
        )
    return _answered(found, as_json)


@app.command(
    short_help="Find products that can replace one another.",
    epilog="""\
\b
Examples:
  shopmon substitutes products.parquet --out substitutes.parquet
  shopmon substitutes products.parquet --product B00X4WHP5E --product B07MBFSXLP
  shopmon substitutes products.csv --threshold 0.6 --json | jq .substitutes

Exit codes: 0 answered, 2 could not run.""",
)
def substitutes(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The catalogue, as for check.")],
    product: Annotated[
        list[str] | None,
        typer.Option("--product", metavar="ID", help="Only for this product; otherwise for each. May be repeated."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold", min=0, max=1, help="Probability from which on a pair counts; otherwise the model's."
        ),
    ] = None,
    candidates: CandidatesOption = None,
    encoder: EncoderOption = None,
    model: ModelOption = None,
    text: TextOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Find products that can replace one another, the surest pairs first.

    Each product's title is taken as a query; a sentence encoder finds candidates, and the champion of the task
    relevance says in both directions how likely one is a substitute for the other. Pairs count from the threshold on
    that was chosen when the model was trained.
    """
    if out is not None:
        refuse_to_replace([out], force)
    with quiet_libraries(), training_shown(hidden=quiet) as progress:
        from shopmon import replacing

        found = replacing.substitutes(
            file,
            product=product or None,
            threshold=threshold,
            candidates=candidates,
            encoder=encoder,
            model=model,
            text=text or None,
            out=out,
            columns=columns_of(column),
            encoding=encoding,
            delimiter=delimiter,
            project=project,
            progress=progress,
        )
    return _answered(found, as_json)


def _answered(found: Answer, as_json: bool) -> int:
    if as_json:
        write_document(json.dumps(found.document(), ensure_ascii=False, allow_nan=False, indent=2))
        return PASSED
    from shopmon.ranking import Ranked
    from shopmon.ranking_summary import ranked_shown, substitutes_shown
    from shopmon.replacing import SubstitutesFound

    width, here = console().width, Path.cwd()
    if isinstance(found, Ranked):
        show(ranked_shown(found, width=width, here=here))
    elif isinstance(found, SubstitutesFound):
        show(substitutes_shown(found, width=width, here=here))
    return PASSED
