"""What does a person type to train a model, to ask it, and to choose between models?

As in `cli`, exit codes are decided here: 0 the model passed its gate, 1 the gate said no, 2 the command could not run.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from expectations.errors import ShopmonError
from shopmon.command_parts import FAILED, HELP, PASSED, AsJson, Debug, ProjectFolder, Quiet, tell
from shopmon.console import (
    console,
    one_line,
    progress_shown,
    quiet_libraries,
    show,
    training_shown,
    write,
    write_document,
    write_error,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from monitor.runs import Run
    from retrain.registry import Event, Registered, Registry
    from retrain.results import TrainingResult
    from shopmon.training_outcome import TrainingRun

app = typer.Typer(rich_markup_mode=None, context_settings=HELP)

RecipeName = Literal["full", "plain", "plain_all"]
PresetName = Literal["liyuan", "esci-ce", "batched", "aws", "run_glue"]
SplitName = Literal["grouped", "hash", "stratified", "published"]

TaskOption = Annotated[
    str | None, typer.Option("--task", metavar="NAME", help="Only models of this task; otherwise of any.")
]
ModelId = Annotated[str, typer.Argument(metavar="ID", help="A model's id; its beginning is enough.")]


@app.command(
    short_help="Train a model on the rows that checks gathered.",
    epilog="""\
\b
Examples:
  shopmon retrain                          with the settings of shopmon.toml
  shopmon retrain --base offline           without a network (the extra `offline`)
  shopmon retrain --steps 200 --batch-size 32
  shopmon retrain --resume                 go on with one that was killed
  shopmon retrain --task relevance         learn from labelled pairs of query and product
  shopmon retrain --task category          learn from products whose category is known
  shopmon retrain --task nli               learn what follows from a text, to label rows without a training
  torchrun --nproc-per-node 4 -m shopmon retrain

Exit codes: 0 the model passed its gate (or --promote), 1 the gate said no, 2 could not run.""",
)
def retrain(
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="NAME", help="Which model: mlm, the masked one, or relevance, sentiment, category, nli."
        ),
    ] = "mlm",
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="MODEL", help="What to begin with: a name on the hub, a folder, or offline."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps at most.")] = None,
    epochs: Annotated[
        float | None,
        typer.Option("--epochs", metavar="NUMBER", help="Passes over the rows to learn from, instead of steps."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Rows of a step; fewer need less memory.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", metavar="NUMBER", help="At its highest, such as 1e-4.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same seed, data and machine give the same weights.")
    ] = None,
    recipe: Annotated[
        RecipeName | None,
        typer.Option(
            "--recipe", help="full, or for comparison: plain (only positive rows), plain_all (every row, as positive)."
        ),
    ] = None,
    general_text: Annotated[
        Path | None,
        typer.Option("--general-text", metavar="FILE", help="General text; otherwise Python's own documentation."),
    ] = None,
    preset: Annotated[
        PresetName | None, typer.Option("--preset", help="A recipe, of the tasks relevance, category and nli.")
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option("--split", help="How labelled rows are dealt, of classifiers; stratified tears groups."),
    ] = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option(
            "--report-to", metavar="TRACKER", help="Tell tensorboard, mlflow or wandb as well. May be repeated."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest training that was not finished, as it began.")
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it champion whatever the gate says; that is recorded.")
    ] = False,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> int:
    """Train a model on the rows that checks gathered; it becomes champion if the gate says yes.

    Base, champion and candidate are measured on the same held-out texts and prompts; with --task relevance two
    baselines, champion and candidate on the same held-out pairs. The model is kept in
    .shopmon/models/ with its card and the rows it was made from, whatever the gate says.
    """
    with quiet_libraries():
        from shopmon.outcome import Failure
        from shopmon.retraining import attempt_training, is_first
        from shopmon.training_request import TrainingRequest

        first = is_first()
        with training_shown(hidden=quiet or not first) as progress:
            request = TrainingRequest(
                task=task,
                base=base,
                steps=steps,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                seed=seed,
                recipe=recipe,
                general_text=general_text,
                preset=preset,
                split=split,
                report_to=report_to or None,
                resume=resume,
                promote=promote,
                project=project,
                progress=progress,
            )
            try:
                run = attempt_training(request)
            except KeyboardInterrupt:
                _say_how_to_go_on(project, task)
                raise
    if first:
        return _ended(run, as_json=as_json, quiet=quiet, debug=debug)
    # Only the first one judges; but what broke another one must not go unsaid.
    return tell(run.ended, debug=debug, document=None) if isinstance(run.ended, Failure) else PASSED


def _ended(run: TrainingRun, *, as_json: bool, quiet: bool, debug: bool) -> int:
    from shopmon.outcome import Failure, Status

    if isinstance(run.ended, Failure):
        return tell(run.ended, debug=debug, document=run.json() if as_json else None)
    if as_json:
        write_document(run.json())
    else:
        _show_training(run.ended, quiet=quiet)
    return PASSED if run.status is Status.PASSED else FAILED


def _say_how_to_go_on(project: Path | None, task: str) -> None:
    from shopmon.project import Project

    if any((Project.of(project).training / task).glob("*/checkpoints/step-*")):
        write_error(
            f"\nThe training is kept up to its last checkpoint; go on with: shopmon retrain{_task(task)} --resume\n"
        )


def _task(name: str) -> str:
    return "" if name == "mlm" else f" --task {name}"


def _show_training(result: TrainingResult, *, quiet: bool) -> None:
    from shopmon.training_summary import training_summary, training_verdict

    width = console().width
    show(training_verdict(result, width=width) if quiet else training_summary(result, width=width, here=Path.cwd()))


def show_again(run: Run) -> int:
    """A recorded training as it was told then."""
    from shopmon.summary import trouble
    from shopmon.training_outcome import failure_in, is_training

    failure = failure_in(run.document)
    if failure:
        show(trouble(failure))
    elif is_training(run.document):
        from retrain.records import from_document

        _show_training(from_document(run.document), quiet=False)
    else:
        write_document(json.dumps(run.document, ensure_ascii=False, indent=2))
    return PASSED


@app.command(
    short_help="Show which words a model puts into a gap.",
    epilog="""\
\b
Examples:
  shopmon words "Nike shoes are very [MASK]"
  shopmon words "Nike shoes are very [MASK]" --top 5 --model 20261120""",
)
def words(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A sentence with one [MASK] in it.")],
    top: Annotated[int, typer.Option("--top", min=1, help="So many of the likeliest words, and of the least.")] = 10,
    of: Annotated[int, typer.Option("--of", min=1, help="How many of the likeliest words are looked at.")] = 1_000,
    model: Annotated[
        str | None, typer.Option("--model", metavar="ID", help="Ask this model instead of the champion.")
    ] = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Show which words a model puts into the gap of a sentence, base beside champion.

    The words that shopmon.toml wants and does not want are marked, and each is scored, also those of several pieces.
    """
    with quiet_libraries(), progress_shown() as progress:
        from shopmon.project import Project
        from shopmon.telemetry import switch_off
        from shopmon.words_summary import words_document, words_of, words_shown

        switch_off()
        found = words_of(Project.of(project), prompt, model, top=top, of=of, progress=progress)
    if as_json:
        write_document(json.dumps(words_document(found), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        show(words_shown(found, width=console().width))
    return PASSED


# --- models -----------------------------------------------------------------------------------------------------------

models_app = typer.Typer(
    rich_markup_mode=None,
    epilog="""\
\b
Examples:
  shopmon models                           which models are there, and which is champion?
  shopmon models show 20261120-195801      one of them; the beginning of its id is enough
  shopmon models promote 20261120-195801 --reason "reads better"
  shopmon models rollback""",
    context_settings=HELP,
)
app.add_typer(models_app, name="models")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, project: ProjectFolder = None, as_json: AsJson = False, debug: Debug = False) -> int:
    """List the models that were trained; show, promote or take back one."""
    if context.invoked_subcommand is None:
        return _list_models(project, None, as_json)
    if project or as_json:  # they would be lost on the way
        name = context.invoked_subcommand
        raise typer.BadParameter(f"options stand behind the command: shopmon models {name} …")
    return PASSED


@models_app.command(
    "list",
    epilog="""\
\b
Examples:
  shopmon models list
  shopmon models list --json | jq -r '.[0].model_id'""",
)
def models_list(
    task: TaskOption = None, project: ProjectFolder = None, as_json: AsJson = False, debug: Debug = False
) -> int:
    """List the models, the newest first: their gate, what they say, and which is champion."""
    return _list_models(project, task, as_json)


@models_app.command(
    "show",
    epilog="""\
\b
Examples:
  shopmon models show 20261120-195801""",
)
def models_show(
    model_id: ModelId,
    task: TaskOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Show one model: what its training said, when it was champion, and from how many rows it was made."""
    registry = _registry(project)
    model = registry.get(model_id, task)
    history = [one for one in registry.history(model.task) if model.model_id in (one.model_id, one.before)]
    rows, problem = _lineage_or_problem(registry, model)
    if as_json:
        from shopmon.training_summary import lineage_counts

        lineage = None if rows is None else lineage_counts(rows)
        said = {**_in_short(model), "history": [asdict(one) for one in history], "lineage": lineage}
        _write_json({**said, "training": dict(model.document)})
    else:
        from retrain.records import from_document
        from shopmon.training_summary import model_shown

        result = from_document(model.document)
        width = console().width
        show(model_shown(model, result, history, rows, problem=problem, width=width, here=Path.cwd()))
    return PASSED


@models_app.command(
    "lineage",
    epilog="""\
\b
Examples:
  shopmon models lineage 20261120-195801
  shopmon models lineage 20261120-195801 --out rows.parquet""",
)
def models_lineage(
    model_id: ModelId,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write every row to a file: .parquet or .csv."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
    task: TaskOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Say from which rows a model was made: their file and batch, their role, and the rules that chose them."""
    from shopmon.command_parts import refuse_to_replace
    from shopmon.training_summary import lineage_counts, lineage_shown

    if out is not None:
        refuse_to_replace([out], force)
    registry = _registry(project)
    model = registry.get(model_id, task)
    rows = registry.lineage(model.model_id, model.task)
    if out is not None:
        _save_table(rows, out)
    if as_json:
        _write_json({"model_id": model.model_id, "task": model.task, "rows": rows.num_rows, **lineage_counts(rows)})
    else:
        show(lineage_shown(rows, width=console().width))
        if out is not None:
            write(f"{one_line(str(out))} is written: {rows.num_rows:,} rows\n")
    return PASSED


@models_app.command(
    "promote",
    epilog="""\
\b
Examples:
  shopmon models promote 20261120-195801 --reason "reads better to our support team\"""",
)
def models_promote(
    model_id: ModelId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "",
    task: TaskOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Make a model champion, whatever its gate said; who did so and why is recorded."""
    return _changed(_registry(project).promote(model_id, task=task, by="person", reason=reason), as_json)


@models_app.command(
    "rollback",
    epilog="""\
\b
Examples:
  shopmon models rollback""",
)
def models_rollback(
    task: Annotated[str, typer.Option("--task", metavar="NAME", help="Of which task.")] = "mlm",
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Go back to the champion before this one."""
    return _changed(_registry(project).rollback(task), as_json)


def _registry(project: Path | None) -> Registry:
    from shopmon.retraining import models

    return models(project)


def _list_models(project: Path | None, task: str | None, as_json: bool) -> int:
    found = _registry(project).models(task)
    if as_json:
        _write_json([_in_short(model) for model in found])
    else:
        from shopmon.training_summary import models_table

        width = console().width
        show(models_table(found, width=width))
    return PASSED


def _in_short(model: Registered) -> dict[str, Any]:
    """What a list says of a model, for machines."""
    names = ("task", "model_id", "created", "gate_passed", "is_champion")
    return {**{name: getattr(model, name) for name in names}, "folder": str(model.folder)}


def _lineage_or_problem(registry: Registry, model: Registered) -> tuple[pa.Table | None, str]:
    """The rows behind a model; or, since the rest can be shown without, why they cannot be read."""
    try:
        return registry.lineage(model.model_id, model.task), ""
    except ShopmonError as error:
        return None, error.problem


def _changed(event: Event, as_json: bool) -> int:
    from shopmon.training_summary import event_said

    if as_json:
        _write_json(asdict(event))
    else:
        show(event_said(event))
    return PASSED


def _write_json(said: Any) -> None:
    from shopmon.outcome import plain

    write_document(json.dumps(plain(said, longest=None), ensure_ascii=False, allow_nan=False, indent=2))


def _save_table(rows: pa.Table, out: Path) -> None:
    """Rows as parquet or CSV, by the file's ending; lists become text with blanks between in CSV."""
    import pyarrow.compute as pc
    import pyarrow.csv
    import pyarrow.parquet

    from monitor.run_folder import write_aside

    if out.suffix not in (".parquet", ".csv"):
        raise ShopmonError(f"{out} ends in {out.suffix or 'nothing'}", advice="Let it end in .parquet or .csv.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(out) as aside:
        if out.suffix == ".parquet":
            pyarrow.parquet.write_table(rows, aside, compression="zstd")
        else:
            place = rows.schema.get_field_index("reasons")
            joined = pc.binary_join(rows.column("reasons"), " ")
            pyarrow.csv.write_csv(rows.set_column(place, "reasons", joined), aside)
