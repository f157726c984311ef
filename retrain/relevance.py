"""How is a classifier of query and product trained? The recipe: pairs of both, graded by people.

It follows LiYuan/amazon-query-product-ranking (preset `liyuan`) and sllawlis/all-distilroberta-ce-esci (`esci-ce`), on
the Shopping Queries Dataset (Reddy et al., 2022), and ranks by expected gain as that competition's winners did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from retrain.answering import Answering
from retrain.classification_measures import ESCI, GAINS, Predicted
from retrain.classifier_data import Material, Part
from retrain.classifier_settings import ClassifierSettings, ClassifierTraining
from retrain.classifier_training import Asked, Recipe, train_classifier
from retrain.gathered_labels import Meaning
from retrain.labelled import Labelled
from retrain.pairs import PairSettings, check_named, read_pairs
from retrain.results import TrainingResult
from retrain.substitute_threshold import SUBSTITUTE, measured_at, substitute_threshold

TASK = "relevance"


class Preset(StrEnum):
    """A published recipe."""

    LIYUAN = "liyuan"
    """LiYuan/amazon-query-product-ranking: DistilBERT, 2 epochs, 16 rows, 2e-5, linear, seed 42."""
    ESCI_CE = "esci-ce"
    """sllawlis/all-distilroberta-ce-esci: 3 epochs, 32 rows, 5e-5, 10 % warm-up, 512 tokens, ten looks an epoch."""


PRESETS: Mapping[Preset, ClassifierTraining] = {
    Preset.LIYUAN: ClassifierTraining(),
    Preset.ESCI_CE: ClassifierTraining(
        epochs=3.0,
        batch_size=32,
        learning_rate=5e-5,
        weight_decay=0.01,
        warmup=0.1,
        evaluations=10.0,
        patience=30,
    ),
}
"""Each as its card tells it; what a card does not tell is as AdamW and the Trainer have it."""


@dataclass(frozen=True, kw_only=True)
class RelevanceSettings(ClassifierSettings):
    """The training of a classifier of query and product, whole."""

    pairs: PairSettings = field(default_factory=PairSettings)
    gains: Mapping[str, float] = field(default_factory=dict)
    """Class → what finding it is worth; empty: those of the Shopping Queries Dataset, or from 1 evenly down to 0."""
    substitute_label: str = SUBSTITUTE
    """The class that means a substitute."""
    substitute_precision: float | None = None
    """Share (0–1) of what is taken for a substitute that is to be right; None: the best F1."""

    @property
    def all_gains(self) -> Mapping[str, Mapping[str, float]]:
        """Name → class → gain; the first set is the one that the gate asks.

        >>> list(RelevanceSettings().all_gains), RelevanceSettings(pairs=PairSettings(classes=("a", "b"))).all_gains
        (['esci', 'esci_official_script'], {'even': {'a': 1.0, 'b': 0.0}})
        """
        classes = self.pairs.classes
        if self.gains:
            return {"own": dict(self.gains)}
        if set(classes) == set(ESCI):
            return GAINS
        last = len(classes) - 1
        return {"even": {label: 1 - at / last for at, label in enumerate(classes)}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gains and set(self.gains) != set(self.pairs.classes):
            raise ValueError(f"gains are of {list(self.gains)}, and the classes are {list(self.pairs.classes)}")


def train(asked_for: Asked[RelevanceSettings]) -> TrainingResult:
    """Train a classifier of query and product: see `classifier_training`."""
    return train_classifier(RECIPE, asked_for)


def _read(settings: RelevanceSettings, cache: Path) -> Labelled:
    return read_pairs(settings.pairs, cache)


def _meaning(settings: RelevanceSettings, classes: Sequence[str]) -> Meaning:
    return Meaning("relevance", settings.pairs.class_of, in_two=True)


def _tells(candidate: Answering, material: Material, settings: RelevanceSettings, folder: Path) -> Mapping[str, Any]:
    """From which probability on products are substitutes: chosen on the rows that choose the weights, and measured."""

    def said_of(part: Part) -> Predicted:
        said = candidate.says(material.labelled, part.at)
        return Predicted(said, np.asarray(part.labels, np.int64), candidate.classes)

    threshold = substitute_threshold(
        said_of(material.validation), label=settings.substitute_label, precision=settings.substitute_precision
    )
    return {} if threshold is None else {"substitutes": measured_at(threshold, said_of(material.held_out))}


RECIPE = Recipe(
    TASK,
    RelevanceSettings,
    check=lambda settings: check_named(settings.pairs),
    read=_read,
    meaning=_meaning,
    tells=_tells,
)
