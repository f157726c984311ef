"""Which head on an encoder's vectors tells classes apart best, and how does it answer?

The layer that the encoder was trained with, a logistic regression and trees are held against each other on the rows
that choose the weights, each on vectors alone and with the columns beside the texts. What measures has no say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from retrain.classification_measures import Floats
from retrain.classifier import Classifier, embed
from retrain.classifier_data import Material, Part, baseline_rows
from retrain.classifier_gate import score
from retrain.classifier_learning import measure
from retrain.classifier_settings import ClassifierSettings
from retrain.heads import (
    Features,
    Fitting,
    Head,
    Known,
    LinearHead,
    fit_logistic,
    fit_trees,
    load_head,
    save_head,
)
from retrain.labelled import Labelled, Rows
from retrain.pooled import load_pooled, save_pooled
from retrain.results import ClassificationMeasures, HeadFigures, HeadMeasure, HeadMethod
from retrain.tabular import Encoding, columns_at, encoding_of


@dataclass(frozen=True)
class Compared:
    """A head, and what it is worth on the rows that choose."""

    head: Head
    validation: ClassificationMeasures


@dataclass(frozen=True)
class Headed:
    """An encoder that answers with one of its heads."""

    classifier: Classifier
    """With the layer that it was trained with."""
    head: Head
    longest: int
    """Tokens that it reads at most."""
    compared: tuple[Compared, ...] = ()
    """All heads that there was a choice of; none for a model of the registry."""
    _read: dict[tuple[str, bytes], Features] = field(default_factory=dict, repr=False, compare=False)
    """The rows that were read last, so that every head sees them and the encoder reads them once."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The columns of its answers."""
        return self.classifier.classes

    def says(self, labelled: Labelled, at: Rows) -> Floats:
        """(rows, classes) the probability of each class, for rows given by their numbers from 0.

        Raises ShopmonError where the rows lack a column that the head reads.
        """
        return self.head.probabilities(self.features(labelled, at))

    def features(self, labelled: Labelled, at: Rows) -> Features:
        """What heads see of the rows."""
        key = (labelled.sha256, np.asarray(at, np.int64).tobytes())
        if key not in self._read:
            self._read.clear()
            self._read[key] = features_at(self.classifier, labelled, at, self.longest)
        return self._read[key]

    def save(self, folder: Path) -> None:
        """Write encoder, layer and head, all safetensors, JSON or UBJSON."""
        save_pooled(self.classifier, folder)
        save_head(self.head, folder)


def features_at(classifier: Classifier, labelled: Labelled, at: Rows, longest: int) -> Features:
    """Vectors of some rows' texts, and the columns beside them."""
    texts, _ = labelled.texts_at(at)
    return Features(embed(classifier, texts, longest), columns_at(labelled, at))


def best_headed(
    classifier: Classifier, material: Material, settings: ClassifierSettings, methods: Sequence[HeadMethod]
) -> Headed:
    """An encoder that has learnt, with the head that is best on the validation rows.

    Heads learn from the rows that the baselines learn from. Of heads that are alike by `best_by`, the lower loss wins.
    """
    found = Headed(classifier, own_layer(classifier), _longest(classifier, settings))
    train, validation = known_rows(classifier, material, settings)
    how = fitting(material, settings)
    heads = [one for one in (found.head, *fitted(train, validation, how)) if one.method in methods]
    labels, classes = material.validation, material.labelled.classes
    compared = tuple(
        Compared(head, measure(head.probabilities(validation.features), labels, classes, settings)) for head in heads
    )
    best = min(compared, key=lambda one: (score(one.validation, settings.best_by), one.validation.loss))
    return replace(found, head=best.head, compared=compared)


def own_layer(classifier: Classifier) -> LinearHead:
    """The layer that an encoder was trained with, as a head."""
    weight, bias = (
        value.detach().cpu().numpy().astype(np.float64) for value in classifier.model.head.state_dict().values()
    )
    return LinearHead(weight, bias, method=HeadMethod.LINEAR)


def fitting(material: Material, settings: ClassifierSettings) -> Fitting:
    """What the heads on one material have in common."""
    return Fitting(len(material.labelled.classes), settings.objective.class_weights, settings.training.seed)


def known_rows(classifier: Classifier, material: Material, settings: ClassifierSettings) -> tuple[Known, Known]:
    """What heads learn from, and what chooses among them, as an encoder sees it."""
    some = baseline_rows(material, settings.baseline_rows)
    longest = _longest(classifier, settings)

    def known(part: Part, places: Sequence[int]) -> Known:
        return Known(features_at(classifier, material.labelled, part.at[places], longest), part.labels[places])

    return known(material.train, some), known(material.validation, range(len(material.validation.at)))


def fitted(train: Known, validation: Known, how: Fitting) -> Iterator[Head]:
    """A regression and trees, on vectors alone and, where there are any, with the columns."""
    for encoding in (None, *encodings(train)):
        yield fit_logistic(train, validation, how, encoding)
        yield fit_trees(train, how, encoding)


def encodings(train: Known) -> tuple[Encoding, ...]:
    """How the columns become numbers; none where there is no column."""
    columns = train.features.columns
    return (encoding_of(columns),) if columns.any else ()


def head_measures(candidate: Headed, material: Material, settings: ClassifierSettings) -> tuple[HeadMeasure, ...]:
    """Every head that there was a choice of, on the rows that chose and on those that measure."""
    part, classes = material.held_out, material.labelled.classes
    features = candidate.features(material.labelled, part.at)
    return tuple(
        HeadMeasure(
            method=one.head.method,
            columns=one.head.encoding.names if one.head.encoding else (),
            chosen=one.head is candidate.head,
            validation=_figures(one.validation),
            held_out=_figures(measure(one.head.probabilities(features), part, classes, settings)),
        )
        for one in candidate.compared
    )


def _figures(found: ClassificationMeasures) -> HeadFigures:
    return HeadFigures(found.rows, 1 - found.accuracy, found.macro_f1, found.loss)


def load_headed(folder: Path, settings: ClassifierSettings) -> Headed:
    """An encoder with its head from the registry. Raises ShopmonError for what is none."""
    classifier = load_pooled(folder)
    head = load_head(folder, classifier.classes, own_layer(classifier))
    return Headed(classifier, head, _longest(classifier, settings))


def _longest(classifier: Classifier, settings: ClassifierSettings) -> int:
    return min(settings.training.max_length, classifier.longest)
