"""How is a classifier of query and product trained? The recipe, from labelled pairs to a model in the registry.

1. the base model, with a head that has learnt nothing yet;
2. pairs, dealt to learning, choosing and measuring so that no query is on two sides, and looked through for leaks;
3. training, watched by a figure on the validation rows;
4. two baselines, champion and candidate on the same held-out rows; the gate; the registry.

It follows LiYuan/amazon-query-product-ranking (preset `liyuan`) and sllawlis/all-distilroberta-ce-esci (`esci-ce`), on
the Shopping Queries Dataset (Reddy et al., 2022), and ranks by expected gain as that competition's winners did.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from expectations.errors import ShopmonError
from retrain import checkpoints, processes
from retrain.base import Base, load_encoder
from retrain.baselines import TextPairs, frozen_regression, tfidf_regression
from retrain.class_objective import ClassLearner, class_weights
from retrain.classification_measures import Floats, Predicted, classification_measures
from retrain.classifier import Classifier, fresh_classifier, load_classifier, predict
from retrain.classifier_card import classifier_card
from retrain.classifier_gate import judge_classifier, score
from retrain.classifier_settings import RelevanceSettings
from retrain.lineage import HELD_OUT, SCHEMA, TRAIN
from retrain.metrics import FILE_NAME, Metrics, figures
from retrain.pair_steps import PairSteps, PairStepSettings, cut_pairs
from retrain.pairs import Pairs, check_named, read_pairs
from retrain.recipe import effort, finished, first_line, keep_metrics, kept_model, promoted, tell, verdict, versions
from retrain.records import write
from retrain.registry import LINEAGE, Registered, Registry
from retrain.results import BaseUsed, DataUsed, Measures, Role, TrainingProgress, TrainingResult
from retrain.splits import How, Leaks, Side, Sides, deal, leakage, refuse_leaks, whole_groups, without_leaks
from retrain.training import Fitted, Fitting, Told, check_trackers, fit
from retrain.weights import weights_sha256
from retrain.work import Work, begin_work, resume_work

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("shopmon.retrain")

TASK = "relevance"
CHOSEN, LEFT_OUT = "validation", "leaked"
"""What became of a pair, beside `lineage`'s uses: chose the best weights; left out, for it stands where it measures."""
FEWEST = 32
"""Pairs without which nothing can be learnt."""
_AT_ONCE = 50_000

Progress = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class Asked:
    """What a training is asked to do."""

    settings: RelevanceSettings
    registry: Registry
    work: Path
    """Folder of the trainings that go on."""
    cache: Path
    """Folder of what can be made again: pairs, tokens, the offline base."""
    model_id: str
    resume: bool = False
    promote: bool = False
    """Whether the candidate becomes champion whatever the gate says; that is recorded."""
    progress: Progress = lambda _: None


def train(asked_for: Asked) -> TrainingResult:
    """Train a classifier, measure it beside baselines and champion, and register it.

    In several processes (torchrun) each calls this, and each gets the same answer. Raises ShopmonError where it cannot
    be done: labels that mean nothing, a split that leaks, a base that is no encoder, a loss that is not finite …
    """
    processes.begin()
    with processes.failing_together():
        asked_for = replace(asked_for, model_id=processes.agreed(asked_for.model_id))
        with _work(asked_for) as work:
            kept = kept_model(asked_for.registry, TASK, work.model_id)
            begun = replace(asked_for, settings=work.settings, model_id=work.model_id)
            result = finished(begun.registry, kept, work) if kept else _trained(begun, work)
        processes.together()
        return result


def _work(asked_for: Asked) -> Work[RelevanceSettings]:
    if asked_for.resume:
        return resume_work(asked_for.work, RelevanceSettings)
    check_trackers(asked_for.settings.training.report_to)
    check_named(asked_for.settings.pairs)  # before a base is fetched
    return begin_work(asked_for.work, asked_for.model_id, asked_for.settings)


def _trained(asked_for: Asked, work: Work[RelevanceSettings]) -> TrainingResult:
    began = time.perf_counter()
    settings, progress = asked_for.settings, asked_for.progress
    base = load_encoder(settings.base, asked_for.cache, progress=progress)
    work.holds("base model", base.sha256)
    champion = asked_for.registry.champion(TASK)  # before the work: a damaged one must not cost it
    before = fresh_classifier(base.folder, settings.pairs.classes, settings.training.seed)
    progress(TrainingProgress("reading the labelled pairs"))
    material = prepare(before, settings, asked_for.cache)
    work.holds("labelled pairs", material.pairs.sha256)
    metrics = Metrics(work.folder / FILE_NAME)
    learnt = learn(before, material, settings, folder=work.folder, metrics=metrics, progress=progress)
    measures, notes = _measured(before, learnt.model, champion, material, asked_for)
    gate = judge_classifier(measures, settings.gate)
    result = TrainingResult(
        model_id=work.model_id,
        task=TASK,
        base=BaseUsed(base.name, base.sha256, str(base.folder)),
        champion_before=champion.model_id if champion else None,
        **verdict(gate, promote=asked_for.promote),
        measures=measures,
        data=material.used,
        **effort(learnt.fitted, learnt.resumed_from, began),
        settings=work.plain_settings,
        versions=versions("scikit-learn"),
        notes=(*_warnings(before, base, settings, material.pairs), *material.notes, *notes),
    )
    if not processes.is_first():
        return result
    metrics.end(step=result.steps, best_step=result.best_step, stopped_early=result.stopped_early)
    return _registered(asked_for, result, learnt.model, material, work)


def _warnings(before: Classifier, base: Base, settings: RelevanceSettings, pairs: Pairs) -> tuple[str, ...]:
    """What may make the model poorer than it could be; each is logged as well."""
    told = list(pairs.notes)
    if pairs.foreign and not before.is_multilingual:
        told.append(
            f"pairs of {', '.join(pairs.foreign)} are not English, and the base {base.name} is not multilingual"
        )
    if settings.training.max_length > before.longest:
        told.append(
            f"max_length is {settings.training.max_length}, and the base reads {before.longest} tokens: longer pairs "
            "are cut"
        )
    for note in told:
        log.warning("%s", note)
    return tuple(told)


# --- 2. what it learns from, and what it is measured on ---------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """The pairs of one side."""

    rows: Dataset
    """Cut into tokens."""
    labels: Sequence[int]
    groups: Sequence[str]
    at: Sequence[int]
    """Their numbers among all pairs, from 0."""


@dataclass(frozen=True)
class Material:
    """The pairs of a training, dealt to three sides."""

    pairs: Pairs
    sides: Sides
    train: Part
    validation: Part
    held_out: Part
    counts: Sequence[int]
    """Rows of each class to learn from."""
    used: DataUsed
    notes: tuple[str, ...] = ()


def prepare(model: Classifier, settings: RelevanceSettings, cache: Path) -> Material:
    """Read the pairs, deal them, look for leaks, and cut them into tokens.

    Raises ShopmonError for whatever is wrong with pairs or labels, for a split that leaks, and for too few rows.
    """
    if processes.is_first():
        read_pairs(settings.pairs, cache)
    processes.together()
    pairs = read_pairs(settings.pairs, cache)
    labels, groups = pairs.column("label"), pairs.column("group")
    sides, leaked, notes = _dealt(pairs, labels, groups, settings)
    if not processes.is_first():
        processes.together()  # the first one cuts, and the others find what it kept
    longest = min(settings.training.max_length, model.longest)
    tokens = cut_pairs(pairs, model.tokenizer, longest, cache)
    if processes.is_first():
        processes.together()

    def part(side: Side, most: int | None = None) -> Part:
        at = np.flatnonzero(sides == side).tolist()
        if most is not None:
            at = [at[n] for n in whole_groups([groups[one] for one in at], most)]
        return Part(tokens.select(at), [labels[one] for one in at], [groups[one] for one in at], at)

    def counted(side: Side) -> dict[str, int]:
        found = Counter(np.asarray(labels)[sides == side].tolist())
        return {label: found[number] for number, label in enumerate(pairs.classes) if found[number]}

    train = part(Side.TRAIN)
    if len(train.at) < FEWEST:
        raise ShopmonError(
            f"{len(train.at)} pairs are left to learn from; {FEWEST} are the least", advice="Give more labelled pairs."
        )
    used = DataUsed(
        rows=counted(Side.TRAIN),
        held_out=counted(Side.HELD_OUT),
        validation=counted(Side.VALIDATION),
        split=settings.split.how.value,
        incomplete=pairs.incomplete,
        leaked=leaked,
        sha256=pairs.sha256,
        parts=pairs.sources,
    )
    return Material(
        pairs,
        sides,
        train,
        part(Side.VALIDATION, settings.training.eval_rows),
        part(Side.HELD_OUT, settings.measured_rows),
        np.bincount(train.labels, minlength=len(pairs.classes)).tolist(),
        used,
        notes,
    )


def _dealt(
    pairs: Pairs, labels: Sequence[int], groups: Sequence[str], settings: RelevanceSettings
) -> tuple[Sides, int, tuple[str, ...]]:
    """The side of each pair, how many are left out because they leak, and what is to be told."""
    keys, alike = pairs.column("key"), pairs.column("alike")
    sides = deal(labels, groups, keys, settings.split, published=pairs.column("split"))
    leaked = 0
    if settings.split.leaks is Leaks.DROP:
        before = sides
        sides = without_leaks(sides, keys, alike=alike)
        leaked = int((before != sides).sum())
    found = leakage(sides, keys, groups, alike=alike)
    if found.row is not None:
        query, text = (one[0] for one in pairs.texts_at([found.row]))
        found = replace(found, example=f"{query}\n{text}")
    if settings.split.how is not How.STRATIFIED:  # it is there to repeat figures that were made with its leak
        refuse_leaks(found)
    for side, name in ((Side.VALIDATION, "choose the weights"), (Side.HELD_OUT, "measure")):
        if not (sides == side).any():
            raise ShopmonError(
                f"no pairs are left to {name}", advice="Give them a share: [retrain.relevance] validation and held_out."
            )
    return sides, leaked, ((f"the split {settings.split.how} leaks: {found.told}",) if found.told else ())


# --- 3. training ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Learnt:
    """A candidate, and how it came about."""

    model: Classifier
    fitted: Fitted
    resumed_from: int | None


def learn(
    before: Classifier,
    material: Material,
    settings: RelevanceSettings,
    *,
    folder: Path,
    metrics: Metrics,
    progress: Progress = lambda _: None,
) -> Learnt:
    """Train a copy of a classifier on the material; from the newest checkpoint in the folder, if there is one."""
    training = settings.training
    steps, every = steps_of(settings, len(material.train.at))
    model = copy.deepcopy(before.model)
    candidate = replace(before, model=model, folder=folder)
    weights = class_weights(material.counts, settings.objective.class_weights)
    learner = ClassLearner(model, settings.objective, weights)
    resume = checkpoints.newest(folder / "checkpoints")

    def make(first: int, rank: int, of: int) -> PairSteps:
        how = PairStepSettings(before.padding, training.batch_size, training.seed, rank, of)
        return PairSteps(material.train.rows, how, steps=steps, first=first)

    def evaluate(step: int) -> tuple[float, dict[str, float]]:
        model.eval()
        found = measure(predict(candidate, material.validation.rows), material.validation, settings)
        value = score(_known(found), settings.best_by)
        metrics.evaluated(step, found, score=value)
        return value, figures(_known(found))

    def told(now: Told) -> None:
        tell(metrics, now)
        left = (steps - now.step) * now.seconds / max(now.step - (resume.step if resume else 0), 1)
        progress(TrainingProgress("training", now.step, steps, now.loss, now.tokens_per_second, left))

    if processes.is_first():
        begun = {"model_id": folder.name, "task": TASK, "steps": steps, "seed": training.seed}
        first_line(metrics, resume, begun)
    fitting = Fitting(steps, training, folder, make, evaluate, told, f"shopmon-{folder.name}", every)
    fitted = fit(learner, fitting, resume=resume)
    model.eval()
    return Learnt(candidate, fitted, resume.step if resume else None)


def steps_of(settings: RelevanceSettings, rows: int) -> tuple[int, int]:
    """How many steps a training has, and how many lie between two evaluations; the last step is evaluated.

    `epochs` over the rows are rounded up to whole evaluations; `steps` are rounded down.

    >>> from retrain.classifier_settings import ClassifierTraining
    >>> steps_of(RelevanceSettings(training=ClassifierTraining(epochs=2, batch_size=16)), 168)
    (22, 11)
    """
    training = settings.training
    steps = training.steps or max(1, math.ceil(training.epochs * rows / training.batch_size))
    each = max(1, steps * training.batch_size / rows * training.evaluations)
    looks = min(steps, max(1, round(each)))
    if training.evaluate_every is not None:
        every = min(training.evaluate_every, steps)
        return (steps // every) * every, every
    if training.steps is not None:
        return (steps // looks) * looks, steps // looks
    every = math.ceil(steps / looks)
    return every * looks, every


# --- 4. what it is worth ----------------------------------------------------------------------------------------------


def measure(probabilities: Floats, part: Part, settings: RelevanceSettings) -> Measures:
    """What probabilities (rows, classes) of the pairs of a side are worth."""
    said = Predicted(probabilities, np.asarray(part.labels, np.int64), settings.pairs.classes)
    return Measures(classification=classification_measures(said, queries=part.groups, gains=settings.all_gains))


def _known(found: Measures) -> Any:
    if found.classification is None:
        raise AssertionError("a classifier was measured")
    return found.classification


def _measured(
    before: Classifier, candidate: Classifier, champion: Registered | None, material: Material, asked_for: Asked
) -> tuple[dict[Role, Measures], tuple[str, ...]]:
    """Baselines, champion and candidate on the same held-out pairs; and what is to be told of it."""
    settings, held_out = asked_for.settings, material.held_out
    asked_for.progress(TrainingProgress("measuring the candidate"))
    said = {Role.CANDIDATE: predict(candidate, held_out.rows)}
    notes: tuple[str, ...] = ()
    if champion is not None:
        there = load_classifier(champion.folder)
        if there.classes == settings.pairs.classes:
            asked_for.progress(TrainingProgress("measuring the champion"))
            longest = min(settings.training.max_length, there.longest)
            rows = cut_pairs(material.pairs, there.tokenizer, longest, asked_for.cache).select(held_out.at)
            said[Role.CHAMPION] = predict(there, rows)
            notes = _learnt_by_champion(asked_for.registry, champion, material)
        else:
            notes = (
                f"the champion tells {', '.join(there.classes)} apart: it was not measured, and the gate asks only the "
                "baselines",
            )
    said |= _baselines(before, material, asked_for)
    return {role: measure(one, held_out, settings) for role, one in said.items()}, notes


def _learnt_by_champion(registry: Registry, champion: Registered, material: Material) -> tuple[str, ...]:
    """Whether the champion has learnt from pairs that it is measured on now, which flatters it."""
    try:
        rows = registry.lineage(champion.model_id, TASK)
    except ShopmonError as error:
        return (f"which pairs the champion learnt from cannot be told: {error.problem}",)
    pairs = zip(rows.column("text_hash").to_pylist(), rows.column("use").to_pylist(), strict=True)
    learnt = {digest for digest, use in pairs if use in (TRAIN, CHOSEN)}
    keys = material.pairs.column("key")
    known = sum(keys[at] in learnt for at in material.held_out.at)
    if not known:
        return ()
    return (f"the champion learnt from {known:,} of the {len(material.held_out.at):,} pairs that it is measured on",)


def _baselines(before: Classifier, material: Material, asked_for: Asked) -> dict[Role, Floats]:
    settings, progress = asked_for.settings, asked_for.progress
    keys = material.pairs.column("key")
    some = sorted(range(len(material.train.at)), key=lambda n: keys[material.train.at[n]])[: settings.baseline_rows]
    labels = np.asarray([material.train.labels[n] for n in some], np.int64)
    train = TextPairs(*material.pairs.texts_at([material.train.at[n] for n in some]))
    asked = TextPairs(*material.pairs.texts_at(material.held_out.at))
    weighting = settings.objective.class_weights
    progress(TrainingProgress("measuring the baselines"))
    longest = min(settings.training.max_length, before.longest)
    return {
        Role.TFIDF: tfidf_regression(train, labels, asked, len(before.classes), weighting),
        Role.FROZEN: frozen_regression(before, train, labels, asked, longest, weighting),
    }


def _registered(
    asked_for: Asked, result: TrainingResult, candidate: Classifier, material: Material, work: Work[RelevanceSettings]
) -> TrainingResult:
    """Keep the model with all that is known of it, and let it take the champion's place if it may."""
    asked_for.progress(TrainingProgress("keeping the model"))
    registry = asked_for.registry
    with registry.adding(TASK, result.model_id) as folder:
        candidate.model.to(torch.float32).save_pretrained(folder)
        candidate.tokenizer.save_pretrained(folder)
        told = replace(result, weights_sha256=weights_sha256(folder), folder=registry.folder / TASK / result.model_id)
        _write_lineage(material, folder / LINEAGE, result.model_id)
        write(told, folder)
        (folder / "README.md").write_text(classifier_card(told), encoding="utf-8")
        keep_metrics(work.folder, folder)
    promoted(registry, told)
    work.done()
    return told


_USES: Mapping[int, str] = {
    Side.TRAIN: TRAIN,
    Side.VALIDATION: CHOSEN,
    Side.HELD_OUT: HELD_OUT,
    Side.LEFT_OUT: LEFT_OUT,
}


def _write_lineage(material: Material, file: Path, model_id: str) -> None:
    """Where each pair comes from, its class (as its role), and what became of it."""
    at = 0
    with pq.ParquetFile(material.pairs.file) as pairs, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for batch in pairs.iter_batches(_AT_ONCE, columns=["key", "label", "file", "batch", "row", "id"]):
            sides = material.sides[at : at + len(batch)].tolist()
            at += len(batch)
            told = {name: batch.column(name) for name in ("file", "batch", "row", "id")}
            columns = {
                **told,
                "text_hash": batch.column("key"),
                "role": [material.pairs.classes[label] for label in batch.column("label").to_pylist()],
                "reasons": [[]] * len(batch),
                "kind": [TASK] * len(batch),
                "run_id": [model_id] * len(batch),
                "use": [_USES[side] for side in sides],
            }
            writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=SCHEMA))
