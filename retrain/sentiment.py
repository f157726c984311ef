"""How is a classifier of reviews trained? The recipe: what stars or recommendations say of a text.

Reviews are the first kind of data that users bring, and their labels come with them: stars (by default four and five
are good, one and two bad, and three is neither and left out, as Pang, Lee and Vaithyanathan, 2002, did), or whether the
customer recommends. It learns as the other classifiers do, with DistilBERT's settings for SST-2 (Sanh et al., 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from retrain.classifier_settings import ClassifierSettings, ClassifierTraining
from retrain.classifier_training import Asked, Recipe, train_classifier
from retrain.gathered_labels import Meaning
from retrain.labelled import Labelled, class_of
from retrain.labelled_texts import TextSettings, check_texts_named, read_texts
from retrain.results import TrainingResult

TASK = "sentiment"
SECTION = f"retrain.{TASK}"
STARS = TextSettings(
    kind="reviews",
    text=("text",),
    label="stars",
    classes=("negative", "positive"),
    grades={"negative": 1.0, "positive": 4.0},
    left_out=("3",),
)
"""Whether the customer is pleased; what is learnt where nothing else is asked for."""
RECOMMENDED = TextSettings(
    kind="reviews",
    text=("text",),
    label="recommended",
    classes=("not recommended", "recommended"),
    labels={"false": "not recommended", "0": "not recommended", "true": "recommended", "1": "recommended"},
)
"""Whether the customer would recommend the product."""
KNOWN: Mapping[str, TextSettings] = {one.label: one for one in (STARS, RECOMMENDED)}
"""Column of the label → what its values mean, where the project says nothing."""
TRAINING = ClassifierTraining(epochs=3.0, batch_size=32, learning_rate=2e-5, weight_decay=0.01, max_length=256)
"""A review has 60 words on average, and hardly one in a hundred more than 256 tokens."""


@dataclass(frozen=True, kw_only=True)
class SentimentSettings(ClassifierSettings):
    """The training of a classifier of reviews, whole."""

    texts: TextSettings = STARS
    training: ClassifierTraining = field(default_factory=lambda: TRAINING)


def train(asked_for: Asked[SentimentSettings]) -> TrainingResult:
    """Train a classifier of reviews: see `classifier_training`."""
    return train_classifier(RECIPE, asked_for)


def _check(settings: SentimentSettings) -> None:
    check_texts_named(settings.texts, SECTION)


def _read(settings: SentimentSettings, cache: Path) -> Labelled:
    return read_texts(settings.texts, cache, SECTION)


def _meaning(settings: SentimentSettings, classes: Sequence[str]) -> Meaning:
    said = settings.texts
    return Meaning("reviews", partial(class_of, classes=classes, labels=said.labels, grades=said.grades))


RECIPE = Recipe(TASK, SentimentSettings, check=_check, read=_read, meaning=_meaning)
