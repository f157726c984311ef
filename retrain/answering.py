"""What answers when a classifier is measured: the model as it learnt, or what was built on it, and its baselines?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from retrain.baselines import Texts, frozen_regression, tfidf_regression
from retrain.classification_measures import Floats
from retrain.classifier import Classifier, load_classifier, predict
from retrain.classifier_data import Material, baseline_rows
from retrain.classifier_settings import ClassifierSettings
from retrain.labelled import Labelled, Rows
from retrain.onnx_export import export
from retrain.pair_steps import cut_texts
from retrain.results import Role, Serving


class Answering(Protocol):
    """A model that is measured, and kept if it is the candidate."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of its answers."""

    def says(self, labelled: Labelled, at: Rows) -> Floats:
        """(rows, classes) the probability of each class, for rows given by their numbers from 0."""

    def save(self, folder: Path) -> None:
        """Write all that `Recipe.load` reads into a folder that is not finished yet."""


@dataclass(frozen=True)
class Plain:
    """A classifier as it learnt, with nothing on top of it."""

    classifier: Classifier
    longest: int
    """Tokens that it reads at most."""
    cache: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of its answers."""
        return self.classifier.classes

    def says(self, labelled: Labelled, at: Rows) -> Floats:
        """(rows, classes) the probability of each class, for rows given by their numbers from 0."""
        rows = cut_texts(labelled, self.classifier.tokenizer, self.longest, self.cache)
        return predict(self.classifier, rows.select(at))

    def save(self, folder: Path) -> None:
        """Write weights (float32, safetensors), configuration and tokenizer."""
        self.classifier.model.to(torch.float32).save_pretrained(folder)
        self.classifier.tokenizer.save_pretrained(folder)


def plain(classifier: Classifier, settings: ClassifierSettings, cache: Path) -> Plain:
    """What answers with a classifier's own head."""
    return Plain(classifier, min(settings.training.max_length, classifier.longest), cache)


def as_it_learnt(classifier: Classifier, material: Material, settings: ClassifierSettings, cache: Path) -> Plain:
    """The candidate of a task that builds nothing on its classifier."""
    return plain(classifier, settings, cache)


def load_plain(folder: Path, settings: ClassifierSettings, cache: Path) -> Plain:
    """The same of a model in the registry. Raises ShopmonError for what is no classifier."""
    return plain(load_classifier(folder), settings, cache)


def served(candidate: Answering, material: Material, folder: Path) -> dict[str, Serving]:
    """What a result says of the format in which a candidate answers on a CPU, once it is written beside the weights.

    A head that was put on an encoder answers as it is: nothing is written, and nothing said.
    """
    if not isinstance(candidate, Plain):
        return {}
    texts, pairs = material.labelled.texts_at(material.held_out.at)
    labels = material.held_out.labels.tolist()
    return {"serving": export(candidate.classifier, texts, pairs, labels, folder, max_length=candidate.longest)}


def regressions(before: Classifier, material: Material, settings: ClassifierSettings) -> dict[Role, Floats]:
    """What a logistic regression says of the held-out rows: on TF-IDF, and on vectors of a base that learns nothing.

    Each is (rows, classes). `before` is the base with a head that has learnt nothing yet.
    """
    some = baseline_rows(material, settings.baseline_rows)
    labels = material.train.labels[some]
    train = Texts(*material.labelled.texts_at(material.train.at[some]))
    held_out = Texts(*material.labelled.texts_at(material.held_out.at))
    weighting = settings.objective.class_weights
    longest = min(settings.training.max_length, before.longest)
    return {
        Role.TFIDF: tfidf_regression(train, labels, held_out, len(before.classes), weighting),
        Role.FROZEN: frozen_regression(before, train, labels, held_out, longest, weighting),
    }
