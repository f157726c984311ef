"""How do the rows that were gathered become a model that is recorded, and champion if it may?"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.errors import RunStoreError, ShopmonError
from shopmon import __version__
from shopmon.outcome import Failure
from shopmon.project import Project
from shopmon.telemetry import switch_off
from shopmon.training_outcome import TrainingRun
from shopmon.training_request import TrainingRequest

if TYPE_CHECKING:
    from monitor.reviews import Reviewed
    from monitor.runs import Run, RunStore
    from retrain.classifier_training import AnySettings, Recipe
    from retrain.registry import Registry
    from retrain.results import TrainingProgress, TrainingResult

log = logging.getLogger("shopmon.retrain")


def retrain(
    *,
    task: str = "mlm",
    base: str | Path | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    recipe: str | None = None,
    general_text: str | Path | None = None,
    preset: str | None = None,
    split: str | None = None,
    report_to: Sequence[str] | None = None,
    resume: bool = False,
    promote: bool = False,
    project: Project | str | Path | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train the project's model on the rows that checks gathered, and make it champion if the gate says yes.

    The other tasks train classifiers on the labelled files that `shopmon.toml` names: `relevance` of query and product,
    `sentiment` of reviews, `category` of products, `nli` of what follows from a text.

    Whatever is left out is as the project's `shopmon.toml` says. `base` is a name on the hub, a folder, or `offline`;
    `resume` goes on with the newest training that was not finished, `promote` overrules the gate, on the record.

    The model is kept in the project's registry whatever the gate says; a gate that says no is no error:
    `result.gate.passed` is False. Raises ShopmonError where the training could not run: too few rows, for instance, or
    a base that cannot be found. That is recorded, too, if the run store allows.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     retrain(task="prices", project=Project(Path(folder)))
    Traceback (most recent call last):
    expectations.errors.ShopmonError: there is no task 'prices'; shopmon can train mlm, relevance, ...
    """
    given = {name: value for name, value in locals().items() if name != "progress"}
    request = TrainingRequest(**given) if progress is None else TrainingRequest(**given, progress=progress)
    run = attempt_training(request)
    if isinstance(run.ended, Failure):
        raise run.ended.cause or ShopmonError(run.ended.problem, advice=run.ended.advice)
    return run.ended


def models(project: Project | str | Path | None = None) -> Registry:
    """The models of a project: which there are, which is champion, and from which rows each was made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     models(Project(Path(folder))).models()
    ()
    """
    from retrain.registry import Registry

    return Registry(Project.of(project).models)


def is_first() -> bool:
    """Whether this is the process that records and tells; under torchrun there are several.

    `retrain.processes` knows as well, but only once torch is loaded.
    """
    return int(os.environ.get("RANK", "0")) == 0


def attempt_training(request: TrainingRequest) -> TrainingRun:
    """As `retrain`, but a training that could not run is an answer as well."""
    switch_off()
    from monitor.runs import RunStore, new_run_id  # after the variables: it is the first heavy import
    from monitor.unrecorded import record_waiting
    from shopmon.checking import keep_out_of_git

    now = datetime.now(UTC)
    begun = _Begun(new_run_id(now), new_run_id(now), request.task, now, time.perf_counter())
    try:
        request.check()
        task = _task(request.task)
        project = Project.of(request.project)
        if not is_first():
            return begun.judged(task(request, project, begun.model_id))
        keep_out_of_git(project)
        with RunStore.open(project.store_url) as store:  # before the work: it takes long and must not be lost
            record_waiting(store, project.unrecorded)
            run = _trained_or_error(task, request, project, begun)
            _record(store, run, project, begun)
            return run
    except Exception as error:
        return begun.error(error)


@dataclass(frozen=True)
class _Begun:
    """A training that goes on."""

    model_id: str
    """Of a new model; one that goes on has its own."""
    error_id: str
    """Of the run, if it cannot be finished: the training may go on later, and is then recorded under its model's."""
    task: str
    at: datetime
    clock: float
    """Seconds of the performance counter."""

    def judged(self, result: TrainingResult) -> TrainingRun:
        """The run of a training that was judged."""
        return self._run(result.model_id, result)

    def error(self, error: Exception) -> TrainingRun:
        """The run of a training that ended in an exception."""
        log.debug("the training %s could not be finished", self.model_id, exc_info=error)
        return self._run(self.error_id, Failure.of(error))

    def _run(self, run_id: str, ended: TrainingResult | Failure) -> TrainingRun:
        seconds = time.perf_counter() - self.clock
        return TrainingRun(run_id, self.task, ended, self.at.isoformat(timespec="seconds"), seconds, __version__)


Task = Callable[[TrainingRequest, Project, str], "TrainingResult"]
"""(what is asked, the project, the id of a new model) → what became of it."""


def _masked_model(request: TrainingRequest, project: Project, model_id: str) -> TrainingResult:
    from monitor.retraining_set import RetrainingSet
    from retrain import processes
    from retrain.mlm import Asked, train
    from retrain.registry import Registry
    from shopmon.rooms import mlm_settings

    result = train(
        Asked(
            RetrainingSet(project.retraining),
            request.applied_to(mlm_settings(project)),
            Registry(project.models),
            work=project.training / "mlm",
            cache=project.cache,
            model_id=model_id,
            project_texts=() if request.resume else tuple(project_texts(project)),
            reviewed=_reviewed(request, project),
            resume=request.resume,
            promote=request.promote,
            progress=request.progress if is_first() else lambda _: None,
        )
    )
    processes.end()
    return result


def _relevance(request: TrainingRequest, project: Project, model_id: str) -> TrainingResult:
    from retrain.relevance import RECIPE
    from shopmon.rooms import relevance_settings

    return _classifier(RECIPE, relevance_settings(project, request.preset), request, project, model_id)


def _sentiment(request: TrainingRequest, project: Project, model_id: str) -> TrainingResult:
    from retrain.sentiment import RECIPE
    from shopmon.rooms import sentiment_settings

    return _classifier(RECIPE, sentiment_settings(project), request, project, model_id)


def _classifier(
    recipe: Recipe[AnySettings], settings: AnySettings, request: TrainingRequest, project: Project, model_id: str
) -> TrainingResult:
    """Any model that tells classes apart."""
    from monitor.retraining_set import RetrainingSet
    from retrain import processes
    from retrain.classifier_training import Asked, train_classifier
    from retrain.registry import Registry

    result = train_classifier(
        recipe,
        Asked(
            request.applied_to_classifier(settings),
            Registry(project.models),
            work=project.training / recipe.task,
            cache=project.cache,
            model_id=model_id,
            gathered=RetrainingSet(project.retraining),
            reviewed=_reviewed(request, project),
            resume=request.resume,
            promote=request.promote,
            progress=request.progress if is_first() else lambda _: None,
        ),
    )
    processes.end()
    return result


def _category(request: TrainingRequest, project: Project, model_id: str) -> TrainingResult:
    from retrain.category import RECIPE
    from shopmon.rooms import category_settings

    return _classifier(RECIPE, category_settings(project, request.preset), request, project, model_id)


def _inference(request: TrainingRequest, project: Project, model_id: str) -> TrainingResult:
    from retrain.nli import RECIPE
    from shopmon.rooms import nli_settings

    return _classifier(RECIPE, nli_settings(project, request.preset), request, project, model_id)


def _reviewed(request: TrainingRequest, project: Project) -> Reviewed:
    """What people decided about the rows so far: asked by the process that makes the plan, which holds it for all."""
    from monitor.reviews import Reviewed, reviewed
    from monitor.runs import RunStore

    if request.resume or not is_first():
        return Reviewed()
    with RunStore.open(project.store_url) as store:
        return reviewed(store.reviews.standing())


TASKS: Mapping[str, Task] = {
    "mlm": _masked_model,
    "relevance": _relevance,
    "sentiment": _sentiment,
    "category": _category,
    "nli": _inference,
}
"""Name → how its model is trained."""


def _task(name: str) -> Task:
    if name in TASKS:
        return TASKS[name]
    near = get_close_matches(name, TASKS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else "Leave out --task for the masked language model."
    raise ShopmonError(f"there is no task {name!r}; shopmon can train {', '.join(TASKS)}", advice=hint)


def project_texts(project: Project) -> Iterator[str]:
    """The project's own texts, each once: the samples that its references keep, as models read them.

    No reference, no text. Raises ShopmonError if a reference is damaged.
    """
    from monitor.signals import text_columns
    from shopmon.references import references

    told = set()
    for reference in references(project):
        sample = reference.profile.sample
        names = [name for name in text_columns(reference.profile.kind) if name in sample.column_names]
        for parts in zip(*(sample.column(name).to_pylist() for name in names), strict=True):
            text = "\n".join(str(part) for part in parts if part)
            if text.strip() and text not in told:
                told.add(text)
                yield text


def _trained_or_error(task: Task, request: TrainingRequest, project: Project, begun: _Begun) -> TrainingRun:
    try:
        return begun.judged(task(request, project, begun.model_id))
    except Exception as error:
        return begun.error(error)


def _record(store: RunStore, run: TrainingRun, project: Project, begun: _Begun) -> None:
    from monitor.unrecorded import record

    recorded = _recorded(run, project, begun)
    if not isinstance(run.ended, Failure):
        record(store, recorded, project.unrecorded)
        return
    with suppress(RunStoreError):  # the first error is the one to tell
        record(store, recorded, project.unrecorded, patience=0)


def _recorded(run: TrainingRun, project: Project, begun: _Begun) -> Run:
    from monitor.runs import Input, Run

    ended, folder, rows, sha256 = run.ended, None, 0, None
    versions = {"shopmon": __version__, "python": platform.python_version()}
    if not isinstance(ended, Failure):
        folder, versions = ended.folder, {**versions, **ended.versions}
        rows, sha256 = sum(ended.data.rows.values()), ended.data.sha256 or None
    return Run(
        run_id=run.run_id,
        command="retrain",
        status=run.status.value,
        kind=None,
        started_at=begun.at,
        seconds=run.seconds,
        rows=rows,
        quarantined=0,
        inputs=(Input(name=_learnt_from(run, project), sha256=sha256, rows=rows, bytes=None),),
        versions=versions,
        folder=str(folder) if folder else None,
        document=run.document(),
    )


def _learnt_from(run: TrainingRun, project: Project) -> str:
    """What a training read: the retraining set, or files of labelled pairs."""
    if run.task == "mlm":
        return str(project.retraining)
    section = getattr(project.settings.retrain, run.task)
    files = section.data if isinstance(run.ended, Failure) else run.ended.data.parts
    return ", ".join(files)
