"""How is any classifier trained, measured and kept? The same way for each task.

1. labelled texts, and a base model with a head that has learnt nothing yet;
2. rows, dealt to learning, choosing and measuring so that no group is on two sides, and looked through for leaks;
3. training, watched by a figure on the validation rows;
4. baselines, champion and candidate on the same held-out rows; the gate; the registry.

What a task does in its own way stands in its `Recipe`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.errors import ShopmonError
from monitor.retraining_set import RetrainingSet
from monitor.reviews import Reviewed
from retrain import processes
from retrain.answering import Answering, as_it_learnt, load_plain, regressions, served
from retrain.base import Base, load_encoder
from retrain.classification_measures import Floats
from retrain.classifier import Classifier, fresh_classifier
from retrain.classifier_card import classifier_card
from retrain.classifier_data import Material, prepare
from retrain.classifier_gate import judge_classifier
from retrain.classifier_learning import Progress, learn, measure
from retrain.classifier_settings import ClassifierSettings
from retrain.gathered_labels import Meaning, with_gathered
from retrain.labelled import Labelled
from retrain.lineage import HELD_OUT, SCHEMA, TRAIN
from retrain.metrics import FILE_NAME, Metrics
from retrain.recipe import cutting_told, effort, finished, keep_metrics, kept_model, promoted, verdict, versions
from retrain.records import write
from retrain.registry import LINEAGE, Registered, Registry
from retrain.results import BaseUsed, Measures, Role, TrainingProgress, TrainingResult
from retrain.splits import Side
from retrain.training import check_trackers
from retrain.weights import weights_sha256
from retrain.work import Work, begin_work, resume_work

log = logging.getLogger("shopmon.retrain")

CHOSEN, LEFT_OUT = "validation", "leaked"
"""What became of a row, beside `lineage`'s uses: chose the best weights; left out, for it stands where it measures."""
_AT_ONCE = 50_000

AnySettings = TypeVar("AnySettings", bound=ClassifierSettings)


@dataclass(frozen=True)
class Asked(Generic[AnySettings]):
    """What a training is asked to do."""

    settings: AnySettings
    registry: Registry
    work: Path
    """Folder of the trainings that go on."""
    cache: Path
    """Folder of what can be made again: rows, tokens, the offline base."""
    model_id: str
    gathered: RetrainingSet | None = None
    """Rows that checks gathered: those that people stand for join the delivered ones; None: none do."""
    reviewed: Reviewed = field(default_factory=Reviewed)
    """What people decided about them; one that goes on keeps what was decided when it began."""
    resume: bool = False
    promote: bool = False
    """Whether the candidate becomes champion whatever the gate says; that is recorded."""
    progress: Progress = lambda _: None


def nothing_more(
    candidate: Answering, material: Material, settings: ClassifierSettings, folder: Path
) -> dict[str, Any]:
    """No further field."""
    return {}


@dataclass(frozen=True)
class Recipe(Generic[AnySettings]):
    """What a task does in its own way."""

    task: str
    settings: type[AnySettings]
    check: Callable[[AnySettings], None]
    """Raises ShopmonError for settings that cannot work, before a base is fetched."""
    read: Callable[[AnySettings, Path], Labelled]
    """Settings, cache → labelled texts; in each process, and the first one has read them before."""
    meaning: Callable[[AnySettings, Sequence[str]], Meaning] | None = None
    """Settings, classes → what rows of the retraining set mean to it; None: nothing."""
    fresh: Callable[[Path, Sequence[str], int], Classifier] = fresh_classifier
    """Folder of the base, classes, seed → what learns."""
    finish: Callable[[Classifier, Material, AnySettings, Path], Answering] = as_it_learnt
    """What learnt, rows, settings, cache → the candidate."""
    load: Callable[[Path, AnySettings, Path], Answering] = load_plain
    """Folder of a champion, settings, cache → what answers."""
    baselines: Callable[[Classifier, Material, AnySettings], Mapping[Role, Floats]] = regressions
    """What has learnt nothing yet, rows, settings → what each baseline says of the held-out rows."""
    tells: Callable[[Answering, Material, AnySettings, Path], Mapping[str, Any]] = nothing_more
    """Candidate, rows, settings, the folder that it was saved to → further fields of the result."""
    card: Callable[[TrainingResult], str] = classifier_card
    packages: tuple[str, ...] = ("scikit-learn",)
    """Whose versions are recorded, beside those of every training."""


def train_classifier(recipe: Recipe[AnySettings], asked_for: Asked[AnySettings]) -> TrainingResult:
    """Train a classifier, measure it beside baselines and champion, and register it.

    In several processes (torchrun) each calls this, and each gets the same answer. Raises ShopmonError where it cannot
    be done: labels that mean nothing, a split that leaks, a base that is no encoder, a loss that is not finite …
    """
    processes.begin()
    with processes.failing_together():
        asked_for = replace(asked_for, model_id=processes.agreed(asked_for.model_id))
        with _work(recipe, asked_for) as work:
            kept = kept_model(asked_for.registry, recipe.task, work.model_id)
            begun = replace(asked_for, settings=work.settings, model_id=work.model_id)
            result = finished(begun.registry, kept, work) if kept else _trained(recipe, begun, work)
        processes.together()
        return result


def _work(recipe: Recipe[AnySettings], asked_for: Asked[AnySettings]) -> Work[AnySettings]:
    if asked_for.resume:
        return resume_work(asked_for.work, recipe.settings)
    check_trackers(asked_for.settings.training.report_to)
    recipe.check(asked_for.settings)
    return begin_work(asked_for.work, asked_for.model_id, asked_for.settings, reviewed=asked_for.reviewed)


def _trained(recipe: Recipe[AnySettings], asked_for: Asked[AnySettings], work: Work[AnySettings]) -> TrainingResult:
    began = time.perf_counter()
    settings, progress = asked_for.settings, asked_for.progress
    base = load_encoder(settings.base, asked_for.cache, progress=progress)
    work.holds("base model", base.sha256)
    champion = asked_for.registry.champion(recipe.task)  # before the work: a damaged one must not cost it
    progress(TrainingProgress("reading the labelled rows"))
    labelled = _read(recipe, replace(asked_for, reviewed=work.reviewed))
    work.holds("labelled data", labelled.sha256)
    before = recipe.fresh(base.folder, labelled.classes, settings.training.seed)
    material = prepare(before, labelled, settings, asked_for.cache, progress=cutting_told(progress))
    metrics = Metrics(work.folder / FILE_NAME)
    learnt = learn(before, material, settings, task=recipe.task, folder=work.folder, metrics=metrics, progress=progress)
    progress(TrainingProgress("measuring the candidate"))
    candidate = recipe.finish(learnt.model, material, settings, asked_for.cache)
    measures, notes = _measured(recipe, before, candidate, champion, material, asked_for)
    gate = judge_classifier(measures, settings.gate)
    result = TrainingResult(
        model_id=work.model_id,
        task=recipe.task,
        base=BaseUsed(base.name, base.sha256, str(base.folder)),
        champion_before=champion.model_id if champion else None,
        **verdict(gate, promote=asked_for.promote),
        measures=measures,
        data=material.used,
        **effort(learnt.fitted, learnt.resumed_from, began),
        settings=work.plain_settings,
        versions=versions(*recipe.packages),
        notes=(*_warnings(before, base, settings, labelled), *material.notes, *notes),
    )
    if not processes.is_first():
        return result
    metrics.end(step=result.steps, best_step=result.best_step, stopped_early=result.stopped_early)
    return _registered(recipe, asked_for, result, candidate, material, work)


def _read(recipe: Recipe[AnySettings], asked_for: Asked[AnySettings]) -> Labelled:
    """The labelled texts, with what people decided; the first process reads them, and the others find what it kept."""

    def read() -> Labelled:
        labelled = recipe.read(asked_for.settings, asked_for.cache)
        if recipe.meaning is None or asked_for.gathered is None:
            return labelled
        meaning = recipe.meaning(asked_for.settings, labelled.classes)
        return with_gathered(labelled, asked_for.gathered, asked_for.reviewed, meaning, asked_for.cache)

    if processes.is_first():
        read()
    processes.together()
    return read()


def _warnings(before: Classifier, base: Base, settings: ClassifierSettings, labelled: Labelled) -> tuple[str, ...]:
    """What may make the model poorer than it could be; each is logged as well."""
    told = list(labelled.notes)
    if labelled.foreign and not before.is_multilingual:
        told.append(
            f"rows of {', '.join(labelled.foreign)} are not English, and the base {base.name} is not multilingual"
        )
    if settings.training.max_length > before.longest:
        told.append(
            f"max_length is {settings.training.max_length}, and the base reads {before.longest} tokens: longer rows "
            "are cut"
        )
    for note in told:
        log.warning("%s", note)
    return tuple(told)


def _measured(
    recipe: Recipe[AnySettings],
    before: Classifier,
    candidate: Answering,
    champion: Registered | None,
    material: Material,
    asked_for: Asked[AnySettings],
) -> tuple[dict[Role, Measures], tuple[str, ...]]:
    """Baselines, champion and candidate on the same held-out rows; and what is to be told of it."""
    labelled, held_out = material.labelled, material.held_out
    said = {Role.CANDIDATE: candidate.says(labelled, held_out.at)}
    notes: tuple[str, ...] = ()
    if champion is not None:
        asked_for.progress(TrainingProgress("measuring the champion"))
        there = recipe.load(champion.folder, asked_for.settings, asked_for.cache)
        try:
            said[Role.CHAMPION] = _champion_says(there, material)
            notes = _learnt_by_champion(asked_for.registry, champion, material)
        except ShopmonError as error:
            notes = (f"the champion was not measured, and the gate asks only the baselines: {error.problem}",)
    asked_for.progress(TrainingProgress("measuring the baselines"))
    said |= recipe.baselines(before, material, asked_for.settings)
    found = {role: measure(one, held_out, labelled.classes, asked_for.settings) for role, one in said.items()}
    return {role: Measures(classification=one) for role, one in found.items()}, notes


def _champion_says(champion: Answering, material: Material) -> Floats:
    """What the champion says of the held-out rows. Raises ShopmonError where it cannot say anything of them."""
    if champion.classes != material.labelled.classes:
        raise ShopmonError(f"the champion tells {', '.join(champion.classes)} apart")
    return champion.says(material.labelled, material.held_out.at)


def _learnt_by_champion(registry: Registry, champion: Registered, material: Material) -> tuple[str, ...]:
    """Whether the champion has learnt from rows that it is measured on now, which flatters it."""
    try:
        rows = registry.lineage(champion.model_id, champion.task, ["text_hash", "use"])
    except ShopmonError as error:
        return (f"which rows the champion learnt from cannot be told: {error.problem}",)
    learnt = rows.column("text_hash").filter(pc.is_in(rows.column("use"), pa.array([TRAIN, CHOSEN])))
    keys = list(material.labelled.column("key", material.held_out.at))
    there = set(learnt.filter(pc.is_in(learnt, pa.array(keys, pa.string()))).to_pylist())
    known = sum(key in there for key in keys)
    if not known:
        return ()
    return (f"the champion learnt from {known:,} of the {len(material.held_out.at):,} rows that it is measured on",)


def _registered(
    recipe: Recipe[AnySettings],
    asked_for: Asked[AnySettings],
    result: TrainingResult,
    candidate: Answering,
    material: Material,
    work: Work[AnySettings],
) -> TrainingResult:
    """Keep the model with all that is known of it, and let it take the champion's place if it may."""
    asked_for.progress(TrainingProgress("keeping the model"))
    registry = asked_for.registry
    with registry.adding(recipe.task, result.model_id) as folder:
        candidate.save(folder)
        told: dict[str, Any] = dict(recipe.tells(candidate, material, asked_for.settings, folder))
        told |= served(candidate, material, folder)
        place = registry.folder / recipe.task / result.model_id
        kept = replace(result, weights_sha256=weights_sha256(folder), folder=place, **told)
        _write_lineage(recipe.task, material, folder / LINEAGE, result.model_id)
        write(kept, folder)
        (folder / "README.md").write_text(recipe.card(kept), encoding="utf-8")
        keep_metrics(work.folder, folder)
    promoted(registry, kept)
    work.done()
    return kept


_USES: Mapping[int, str] = {
    Side.TRAIN: TRAIN,
    Side.VALIDATION: CHOSEN,
    Side.HELD_OUT: HELD_OUT,
    Side.LEFT_OUT: LEFT_OUT,
}


def _write_lineage(task: str, material: Material, file: Path, model_id: str) -> None:
    """Where each row comes from, its class (as its role), and what became of it."""
    at, labelled = 0, material.labelled
    with pq.ParquetFile(labelled.file) as rows, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for batch in rows.iter_batches(_AT_ONCE, columns=["key", "label", "file", "batch", "row", "id"]):
            sides = material.sides[at : at + len(batch)].tolist()
            at += len(batch)
            told = {name: batch.column(name) for name in ("file", "batch", "row", "id")}
            columns = {
                **told,
                "text_hash": batch.column("key"),
                "role": [labelled.classes[label] for label in batch.column("label").to_pylist()],
                "reasons": [[]] * len(batch),
                "kind": [task] * len(batch),
                "run_id": [model_id] * len(batch),
                "use": [_USES[side] for side in sides],
            }
            writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=SCHEMA))
