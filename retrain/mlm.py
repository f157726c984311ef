"""How is a masked model retrained? The recipe, from the rows that were gathered to a model in the registry.

1. the base model, and what it is not to forget: the project's own text and general text;
2. rows by their role, and the sets on which every model is measured;
3. training, watched by the gate's own measure;
4. base, champion and candidate on the same sets; the gate; the registry.

The objective follows the experiments in docs/retraining.md: filtering alone (`Recipe.PLAIN`, what the Nike hackathon
did) makes a model praise everybody, in complaints as well, and forget its English.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from expectations.errors import ShopmonError
from monitor.retraining_set import RetrainingSet, text_hash
from monitor.reviews import Reviewed
from retrain import checkpoints, processes
from retrain.base import Base, load_base
from retrain.data import (
    FEWEST,
    Cutting,
    Gathered,
    by_rule,
    counts,
    cut,
    gathered,
    in_roles,
    is_held_out,
    of_role,
    of_texts,
    spelling,
    split,
    values,
)
from retrain.evaluation import EvaluationSets, measure, prompt_sets
from retrain.gate import judge, score
from retrain.general_text import GeneralText, general_text
from retrain.lineage import NOT_REVIEWED, REJECTED, SET_ASIDE, Fates, lineage
from retrain.loading import MaskedModel, load_masked_lm
from retrain.masking import Alphabet
from retrain.metrics import FILE_NAME, Metrics, plain
from retrain.model_card import model_card
from retrain.objective import Learner
from retrain.prompts import TEXT, asked, check_prompts, is_answer
from retrain.recipe import (
    cutting_told,
    effort,
    finished,
    first_line,
    keep_metrics,
    kept_model,
    promoted,
    tell,
    verdict,
    versions,
)
from retrain.records import write
from retrain.registry import Registry
from retrain.results import (
    BaseUsed,
    DataUsed,
    Measures,
    Role,
    TextSet,
    TrainingProgress,
    TrainingResult,
)
from retrain.settings import MASK, MlmSettings, Objective, Recipe
from retrain.steps import Steps, StepSettings
from retrain.training import Fitted, Fitting, Told, check_trackers, fit
from retrain.weights import weights_sha256
from retrain.word_scores import spelled
from retrain.work import Work, begin_work, resume_work

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger("shopmon.retrain")

TASK = "mlm"
_EVALUATIONS = 10
"""In a training, where the settings do not say."""
_FINAL_ROWS = 4
"""Times as many rows are measured at the end as on the way."""
_LONGEST_FRAMED, _MOST_FRAMED = 200, 10_000
"""Characters of a negative row that is made a complaint, and how many rows are: a sentence each, not a whole review."""
_ROLES = ("positive", "negative", "counterfactual", "replay")

Progress = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class Asked:
    """What a training is asked to do."""

    retraining_set: RetrainingSet
    settings: MlmSettings
    registry: Registry
    work: Path
    """Folder of the trainings that go on."""
    cache: Path
    """Folder of what can be made again: tokens, the offline base."""
    model_id: str
    project_texts: Sequence[str] = ()
    """Texts of the project as they usually are: the reference's sample."""
    reviewed: Reviewed = field(default_factory=Reviewed)
    """What people decided about the rows."""
    resume: bool = False
    promote: bool = False
    """Whether the candidate becomes champion whatever the gate says; that is recorded."""
    progress: Progress = lambda _: None


def train(asked_for: Asked) -> TrainingResult:
    """Retrain a masked model, measure it beside base and champion, and register it.

    In several processes (torchrun) each calls this, and each gets the same answer. Raises ShopmonError where it cannot
    be done: too few rows, a base that is no masked model, prompts without a gap, a loss that is not finite …
    """
    processes.begin()
    with processes.failing_together():
        asked_for = replace(asked_for, model_id=processes.agreed(asked_for.model_id))
        with _work(asked_for) as work:
            kept = kept_model(asked_for.registry, TASK, work.model_id)
            begun = replace(
                asked_for,
                settings=work.settings,
                model_id=work.model_id,
                project_texts=work.texts,
                reviewed=work.reviewed,
            )
            result = finished(begun.registry, kept, work) if kept else _trained(begun, work)
        processes.together()
        return result


def _work(asked_for: Asked) -> Work[MlmSettings]:
    if asked_for.resume:
        return resume_work(asked_for.work, MlmSettings)
    check_prompts(asked_for.settings.prompts, asked_for.settings.words)
    check_trackers(asked_for.settings.training.report_to)
    parts = [part.name for part in asked_for.retraining_set.parts]
    return begin_work(
        asked_for.work, asked_for.model_id, asked_for.settings, parts, asked_for.project_texts, asked_for.reviewed
    )


def _trained(asked_for: Asked, work: Work[MlmSettings]) -> TrainingResult:
    began = time.perf_counter()
    settings, progress = asked_for.settings, asked_for.progress
    base = _base(asked_for)
    work.holds("base model", base.sha256)
    champion = asked_for.registry.champion(TASK)  # before the work: a damaged one must not cost it
    before = load_masked_lm(base.folder)
    material = prepare(before, asked_for, parts=work.parts)
    work.holds("general text", material.general_sha256)
    sets, measured = material.sets, settings.training.eval_rows
    metrics = Metrics(work.folder / FILE_NAME)
    learnt = learn(before, material, settings, folder=work.folder, metrics=metrics, progress=progress)
    progress(TrainingProgress("measuring base, champion and candidate"))
    measures, notes = _measured(before, learnt.model, champion.folder if champion else None, sets, measured)
    gate = judge(measures, settings.gate)
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
        versions=versions(),
        notes=notes,
    )
    if not processes.is_first():
        return result
    metrics.end(step=result.steps, best_step=result.best_step, stopped_early=result.stopped_early)
    return _registered(asked_for, result, learnt.model, work)


# --- 1. where it begins -----------------------------------------------------------------------------------------------


def _base(asked_for: Asked) -> Base:
    settings = asked_for.settings
    answers = _is_gate(settings)
    return load_base(
        settings.base,
        asked_for.cache,
        project_texts=[text for text in asked_for.project_texts if not answers(text)],
        general=settings.general_text,
        held_out=settings.training.held_out,
        progress=asked_for.progress,
    )


# --- 2. what it learns from, and what it is measured on ---------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """The rows of a training, and the sets on which all models are measured."""

    rows: Mapping[str, Dataset]
    """Part (positive, negative, counterfactual, replay) → rows to learn from, cut into tokens."""
    sets: EvaluationSets
    used: DataUsed
    general_sha256: str
    """Of the general text."""


def prepare(model: MaskedModel, asked_for: Asked, *, parts: Sequence[str] | None = None) -> Material:
    """Cut everything into tokens, and deal it to learning and measuring by the hash of each text.

    Raises ShopmonError for words that the tokenizer cannot spell, and where too few rows are left to learn from.
    """
    settings = asked_for.settings
    tokenizer, words = model.tokenizer, settings.words
    spelled(tokenizer, [*words.wanted, *words.unwanted])
    asked_for.progress(TrainingProgress("reading the retraining set"))
    found = gathered(asked_for.retraining_set, asked_for.cache, parts=parts)
    general = general_text(settings.general_text, most=settings.training.general_rows)
    cutting = Cutting(tokenizer, min(settings.training.max_length, model.longest), words)
    with processes.in_turn():
        return _dealt(found, general, cutting, asked_for)


def _dealt(found: Gathered, general: GeneralText, cutting: Cutting, asked_for: Asked) -> Material:
    from datasets import concatenate_datasets

    settings, cache, share = asked_for.settings, asked_for.cache, asked_for.settings.training.held_out
    fates = _fates(asked_for)
    kept, left_out = _admitted(found, fates)
    answers = _is_gate(settings)
    project = tuple(text for text in asked_for.project_texts if not answers(text))
    rows, held = split(cut(kept, cutting, cache, progress=cutting_told(asked_for.progress)), share)
    own, own_held = split(cut(of_texts(project, "replay"), cutting, cache), share)
    prose, prose_held = split(cut(of_texts(general.passages, "replay"), cutting, cache), share)
    prompts = cut(_training_prompts(settings), cutting, cache, prompts=True)
    framed = cut(_framed(kept, settings), cutting, cache)
    parts = _parts(settings.objective, rows, concatenate_datasets([prompts, framed]), own, prose)
    _check_enough(parts, asked_for)
    sets = EvaluationSets(
        texts={
            TextSet.PROJECT: own_held,
            TextSet.RETRAINING: of_role(held, "positive"),
            TextSet.GENERAL: prose_held,
        },
        prompts=prompt_sets(settings.prompts, settings.words),
        words=settings.words,
        alphabet=Alphabet(cutting.tokenizer.mask_token_id, len(cutting.tokenizer)),
        padding=cutting.tokenizer.pad_token_id,
    )
    used = DataUsed(
        rows={role: count for role, count in counts(rows, "role").items() if role in roles(settings.objective)},
        held_out=dict(counts(held, "role")),
        general=len(prose),
        general_source=general.source,
        set_aside=left_out[SET_ASIDE],
        rejected=left_out[REJECTED],
        relabelled=_relabelled(found, fates),
        not_reviewed=left_out[NOT_REVIEWED],
        sha256=found.sha256,
        parts=found.parts,
    )
    return Material(parts, sets, used, general.sha256)


def _is_gate(settings: MlmSettings) -> Callable[[str], bool]:
    """Whether a text answers one of the gate's prompts: nobody may learn from it."""
    return is_answer([prompt for some in prompt_sets(settings.prompts, settings.words).values() for prompt in some])


def _admitted(found: Gathered, fates: Fates) -> tuple[Dataset, Counter[str]]:
    """The rows that may be learnt from or measured on, in the roles they play; and why others may not → how many."""
    why: Counter[str] = Counter()

    def admitted() -> Iterator[bool]:
        for text, digest in values(found.rows, "text", "text_hash"):
            reason = fates.left_out(text, digest)
            why[reason] += 1
            yield not reason

    at = np.flatnonzero(np.fromiter(admitted(), bool, len(found.rows)))
    del why[""]
    return in_roles(found.rows, fates.reviewed.roles).select(at), why


def _relabelled(found: Gathered, fates: Fates) -> int:
    """How many of the rows that may be learnt from or measured on play another role than they were gathered in."""
    if not fates.reviewed.roles:
        return 0
    rows = values(found.rows, "text", "text_hash", "role")
    return sum(fates.role(digest, role) != role and not fates.left_out(text, digest) for text, digest, role in rows)


def _training_prompts(settings: MlmSettings) -> Dataset:
    """Prompts to learn from: of the brands, what not to say and what to say; else, what the base says."""
    prompts, words = settings.prompts, settings.words
    about = asked(prompts.training, words.brands)
    others = asked([p for p in prompts.training if "{brand}" in p], words.other_brands)
    complaints = asked(prompts.training_complaints, words.brands)
    from datasets import concatenate_datasets

    return concatenate_datasets(
        [
            of_texts(about, "negative", "training prompts"),
            of_texts([p.replace(MASK, word) for p in about for word in words.wanted], "positive", "training prompts"),
            of_texts(others, "counterfactual", "training prompts"),
            of_texts(complaints, "counterfactual", "training complaints"),
        ]
    )


def _framed(rows: Dataset, settings: MlmSettings) -> Dataset:
    """Negative rows that are learnt from, once in a neutral frame and once as a complaint."""
    from datasets import concatenate_datasets

    negative, share = of_role(rows, "negative"), settings.training.held_out
    pairs = values(negative, "text", "text_hash")
    texts = ((t, digest) for t, digest in pairs if len(t) <= _LONGEST_FRAMED and not is_held_out(digest, share))
    prompts, some = settings.prompts, list(islice(texts, _MOST_FRAMED))
    return concatenate_datasets(
        [
            of_texts(_set_into(prompts.neutral_frames, some), "negative", "neutral frames"),
            of_texts(_set_into(prompts.complaint_frames, some), "counterfactual", "complaint frames"),
        ]
    )


def _set_into(frames: Sequence[str], texts: Sequence[tuple[str, str]]) -> list[str]:
    """Each text in a frame that its hash chooses; without a frame, none."""
    return [frames[int(digest[8:16], 16) % len(frames)].replace(TEXT, text) for text, digest in texts if frames]


def _parts(objective: Objective, rows: Dataset, prompts: Dataset, own: Dataset, prose: Dataset) -> dict[str, Dataset]:
    """Which rows play which part."""
    from datasets import concatenate_datasets

    if objective.recipe is Recipe.PLAIN_ALL:
        return {"positive": rows}
    if objective.recipe is Recipe.PLAIN:
        return {"positive": of_role(rows, "positive")}
    parts = {"positive/rows": of_role(rows, "positive"), "positive/prompts": of_role(prompts, "positive")}
    for name, weight in (("negative", objective.unlikelihood), ("counterfactual", objective.counterfactual_kl)):
        if weight:
            parts |= by_rule(concatenate_datasets([of_role(rows, name), of_role(prompts, name)]), name)
    if objective.replay_kl:
        parts["replay"] = concatenate_datasets([of_role(rows, "replay"), own, prose])
    return parts


def roles(objective: Objective) -> frozenset[str]:
    """The roles whose rows are learnt from.

    >>> sorted(roles(Objective(recipe=Recipe.PLAIN)))
    ['positive']
    """
    if objective.recipe is not Recipe.FULL:
        return frozenset({"positive"} if objective.recipe is Recipe.PLAIN else _ROLES)
    without = {
        "negative": objective.unlikelihood,
        "counterfactual": objective.counterfactual_kl,
        "replay": objective.replay_kl,
    }
    return frozenset(role for role in _ROLES if without.get(role, 1.0))


def positive(parts: Mapping[str, Dataset]) -> int:
    """How many positive rows there are to learn from, prompts left out."""
    return sum(len(rows) for name, rows in parts.items() if name in ("positive", "positive/rows"))


def _check_enough(parts: Mapping[str, Dataset], asked_for: Asked) -> None:
    there, only_accepted = positive(parts), asked_for.settings.training.only_accepted
    if there < FEWEST:
        raise ShopmonError(
            f"the retraining set in {asked_for.retraining_set.folder} has {there} positive rows to learn from"
            f"{' that a person accepted' if only_accepted else ''}; {FEWEST} are the least",
            advice="Accept more of them, or set only_accepted = false in [retrain]."
            if only_accepted
            else "Let checks gather more, or loosen the rules of [edge_cases]: shopmon check FILE tells what each "
            "rule chose.",
        )


# --- 3. training ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Learnt:
    """A candidate, and how it came about."""

    model: MaskedModel
    fitted: Fitted
    resumed_from: int | None


def learn(
    before: MaskedModel,
    material: Material,
    settings: MlmSettings,
    *,
    folder: Path,
    metrics: Metrics,
    progress: Progress = lambda _: None,
) -> Learnt:
    """Train a copy of a model on the material; from the newest checkpoint in the folder, if there is one."""
    training, objective = settings.training, settings.objective
    steps = steps_of(settings, positive(material.rows))
    every = training.evaluate_every or max(1, steps // _EVALUATIONS)
    model = copy.deepcopy(before.model)
    candidate = MaskedModel(model, before.tokenizer, folder)
    progress(TrainingProgress("measuring the base model"))
    of_base = measure(before, material.sets, rows=training.eval_rows)  # on the very rows that candidates are
    words = settings.words
    learner = Learner(model, before.model, objective, _ids(before, words.unwanted), _ids(before, words.wanted))
    resume = checkpoints.newest(folder / "checkpoints")

    def make(first: int, rank: int, of: int) -> Steps:
        alphabet, padding = material.sets.alphabet, material.sets.padding
        how = StepSettings(
            alphabet,
            padding,
            objective.masked_share,
            training.batch_size,
            training.seed,
            rank,
            of,
            objective.wanted_share if objective.recipe is Recipe.FULL else 0.0,
        )
        return Steps(material.rows, how, steps=steps, first=first)

    def evaluate(step: int) -> tuple[float, dict[str, float]]:
        model.eval()
        found = measure(candidate, material.sets, rows=training.eval_rows)
        value = score(found, of_base, settings.gate)
        metrics.evaluated(step, found, score=value)
        return value, _numbers(found)

    def told(now: Told) -> None:
        tell(metrics, now)
        left = (steps - now.step) * now.seconds / max(now.step - (resume.step if resume else 0), 1)
        progress(TrainingProgress("training", now.step, steps, now.loss, now.tokens_per_second, left))

    if processes.is_first():
        begun = {"model_id": folder.name, "task": TASK, "steps": steps, "seed": training.seed, "base": plain(of_base)}
        first_line(metrics, resume, begun)
    fitting = Fitting(steps, training, folder, make, evaluate, told, f"shopmon-{folder.name}", every)
    fitted = fit(learner, fitting, resume=resume)
    model.eval()
    return Learnt(candidate, fitted, resume.step if resume else None)


def steps_of(settings: MlmSettings, positive: int) -> int:
    """How many steps a training has: as the settings say, or so many that `epochs` pass over the positive rows."""
    training = settings.training
    if training.steps is not None:
        return training.steps
    return max(1, math.ceil(training.epochs * positive / max(1, training.batch_size // 2)))


def _ids(model: MaskedModel, words: Sequence[str]) -> list[int]:
    """The tokens of words of one piece."""
    return sorted(set(spelled(model.tokenizer, words).single.values()))


def _numbers(found: Measures) -> dict[str, float]:
    """Measures as trackers want them: one number under one name."""
    numbers = {f"{name.value}_perplexity": one.perplexity for name, one in found.texts.items()}
    for name, mass in found.masses.items():
        numbers |= {f"{name.value}_wanted": mass.wanted, f"{name.value}_unwanted": mass.unwanted}
    return numbers


# --- 4. what it is worth ----------------------------------------------------------------------------------------------


def _measured(
    base: MaskedModel, candidate: MaskedModel, champion: Path | None, sets: EvaluationSets, rows: int
) -> tuple[dict[Role, Measures], tuple[str, ...]]:
    """Base, champion and candidate on the same sets."""
    models = {Role.BASE: base, Role.CANDIDATE: candidate}
    notes: tuple[str, ...] = ()
    if champion is not None:
        there = load_masked_lm(champion)
        if spelling(there.tokenizer) == spelling(base.tokenizer):
            models[Role.CHAMPION] = there
        else:  # it fills other pieces: its perplexity says something else
            notes = ("the champion has another vocabulary: it was not measured, and the gate asks only the base",)
    return {role: measure(one, sets, rows=rows * _FINAL_ROWS, fill_ins=True) for role, one in models.items()}, notes


def _registered(
    asked_for: Asked, result: TrainingResult, candidate: MaskedModel, work: Work[MlmSettings]
) -> TrainingResult:
    """Keep the model with all that is known of it, and let it take the champion's place if it may."""
    asked_for.progress(TrainingProgress("keeping the model"))
    registry = asked_for.registry
    rows = lineage(asked_for.retraining_set, result, _fates(asked_for))
    with registry.adding(TASK, result.model_id) as folder:
        candidate.model.to(torch.float32).save_pretrained(folder)
        candidate.tokenizer.save_pretrained(folder)
        told = replace(result, weights_sha256=weights_sha256(folder), folder=registry.folder / TASK / result.model_id)
        rules = rows.write(folder / "lineage.parquet")
        write(told, folder)
        (folder / "README.md").write_text(model_card(told, rules), encoding="utf-8")
        keep_metrics(work.folder, folder)
    promoted(registry, told)
    work.done()
    return told


def _fates(asked_for: Asked) -> Fates:
    """What becomes of the rows."""
    settings = asked_for.settings
    training = settings.training
    learnt_from = roles(settings.objective)
    return Fates(training.held_out, _is_gate(settings), asked_for.reviewed, learnt_from, training.only_accepted)


__all__ = ["TASK", "Asked", "Learnt", "Material", "learn", "prepare", "steps_of", "text_hash", "train"]
