"""How does a classifier learn from its rows, watched by those that choose its weights?"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retrain import checkpoints, processes
from retrain.class_objective import ClassLearner, class_weights
from retrain.classification_measures import Floats, Predicted, classification_measures
from retrain.classifier import Classifier, predict
from retrain.classifier_data import Material, Part
from retrain.classifier_gate import score
from retrain.classifier_settings import ClassifierSettings
from retrain.metrics import Metrics, figures
from retrain.pair_steps import PairSteps, PairStepSettings
from retrain.recipe import first_line, tell
from retrain.results import ClassificationMeasures, Measures, TrainingProgress
from retrain.training import Fitted, Fitting, Told, fit

Progress = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class Learnt:
    """What learnt, and how it came about."""

    model: Classifier
    fitted: Fitted
    resumed_from: int | None


def learn(
    before: Classifier,
    material: Material,
    settings: ClassifierSettings,
    *,
    task: str,
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
        said = predict(candidate, material.validation.rows)
        found = measure(said, material.validation, before.classes, settings)
        value = score(found, settings.best_by)
        metrics.evaluated(step, Measures(classification=found), score=value)
        return value, figures(found)

    def told(now: Told) -> None:
        tell(metrics, now)
        left = (steps - now.step) * now.seconds / max(now.step - (resume.step if resume else 0), 1)
        progress(TrainingProgress("training", now.step, steps, now.loss, now.tokens_per_second, left))

    if processes.is_first():
        begun = {"model_id": folder.name, "task": task, "steps": steps, "seed": training.seed}
        first_line(metrics, resume, begun)
    fitting = Fitting(steps, training, folder, make, evaluate, told, f"shopmon-{folder.name}", every)
    fitted = fit(learner, fitting, resume=resume)
    model.eval()
    return Learnt(candidate, fitted, resume.step if resume else None)


def steps_of(settings: ClassifierSettings, rows: int) -> tuple[int, int]:
    """How many steps a training has, and how many lie between two evaluations; the last step is evaluated.

    `epochs` over the rows are rounded up to whole evaluations; `steps` are rounded down.

    >>> from retrain.classifier_settings import ClassifierTraining
    >>> steps_of(ClassifierSettings(training=ClassifierTraining(epochs=2, batch_size=16)), 168)
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


def measure(
    probabilities: Floats, part: Part, classes: tuple[str, ...], settings: ClassifierSettings
) -> ClassificationMeasures:
    """What probabilities (rows, classes) of the rows of a side are worth."""
    said = Predicted(probabilities, np.asarray(part.labels, np.int64), classes)
    queries = part.groups if settings.all_gains else None
    return classification_measures(said, queries=queries, gains=settings.all_gains)
