"""How is a classifier of products trained? The recipe: its category, by its text and by what stands beside that.

It follows the AWS post on product categories (Create and fine-tune sentence transformers for enhanced classification
accuracy, 2024). A sentence encoder is trained with one linear layer and cross-entropy (`pooled`); then gradient-boosted
trees learn from its vectors and from columns such as price, brand and flags, with a logistic regression beside them
(`heads`). Which of them answers is chosen on the validation rows. The same heads on the encoder that learns nothing are
the baselines, beside TF-IDF.

The post: paraphrase-MiniLM-L6-v2, AdamW at 2e-5, two rows a step, five epochs (preset `aws`); name, description,
specification and technical details as the text, the first part of the category as the label; accuracy .78 with the
encoder as it comes, and .94 once it has learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from retrain.answering import Answering
from retrain.baselines import Texts, tfidf_regression
from retrain.classification_measures import Floats
from retrain.classifier import Classifier
from retrain.classifier_card import classifier_card
from retrain.classifier_data import Material, baseline_rows
from retrain.classifier_settings import ClassifierGateSettings, ClassifierSettings, ClassifierTraining
from retrain.classifier_training import Asked, Recipe, train_classifier
from retrain.gathered_labels import Meaning
from retrain.head_choice import (
    Headed,
    best_headed,
    encodings,
    features_at,
    fitting,
    head_measures,
    known_rows,
    load_headed,
)
from retrain.heads import fit_logistic, fit_trees
from retrain.labelled import Labelled, class_of
from retrain.labelled_texts import TextSettings, check_texts_named, read_texts
from retrain.pooled import fresh_pooled
from retrain.results import HeadMethod, Role, TrainingResult
from retrain.splits import Leaks, SplitSettings

TASK = "category"
SECTION = f"retrain.{TASK}"
ENCODER = "sentence-transformers/paraphrase-MiniLM-L6-v2"
"""The post's base, of 384 dimensions; what a project begins with that names none."""


class Preset(StrEnum):
    """How long and how fast the encoder learns."""

    BATCHED = "batched"
    """Ours: 32 rows a step at 1e-4, three epochs, 10 % warm-up."""
    AWS = "aws"
    """The post's: two rows a step at 2e-5, five epochs, at which its loss was lowest."""


PRESETS: Mapping[Preset, ClassifierTraining] = {
    Preset.BATCHED: ClassifierTraining(
        epochs=3.0, batch_size=32, learning_rate=1e-4, weight_decay=0.01, warmup=0.1, max_length=128
    ),
    Preset.AWS: ClassifierTraining(epochs=5.0, batch_size=2, learning_rate=2e-5, weight_decay=0.01, max_length=128),
}
"""What the post does not tell is as AdamW and sentence-transformers have it."""


@dataclass(frozen=True, kw_only=True)
class CategorySettings(ClassifierSettings):
    """The training of a classifier of products, whole."""

    base: str = ENCODER
    texts: TextSettings = field(default_factory=TextSettings)
    heads: tuple[HeadMethod, ...] = tuple(HeadMethod)
    """Between which there is a choice."""
    split: SplitSettings = field(default_factory=lambda: SplitSettings(leaks=Leaks.DROP))
    """Two products may be called the same, so that a text stands in two groups: it is left out where it would be
    learnt from and measured on."""
    training: ClassifierTraining = PRESETS[Preset.BATCHED]
    gate: ClassifierGateSettings = field(default_factory=lambda: ClassifierGateSettings(error=0.0, ndcg=None))
    baseline_rows: int = 50_000
    """Training rows that the heads and the baselines learn from at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.heads:
            raise ValueError("heads names none, so nothing would answer")


def train(asked_for: Asked[CategorySettings]) -> TrainingResult:
    """Train a classifier of products: see `classifier_training`."""
    return train_classifier(RECIPE, asked_for)


def _check(settings: CategorySettings) -> None:
    check_texts_named(settings.texts, SECTION)


def _read(settings: CategorySettings, cache: Path) -> Labelled:
    return read_texts(settings.texts, cache, SECTION)


def _meaning(settings: CategorySettings, classes: Sequence[str]) -> Meaning:
    said = settings.texts
    return Meaning(said.kind, partial(class_of, classes=classes, labels=said.labels, grades=said.grades))


def _finish(classifier: Classifier, material: Material, settings: CategorySettings, cache: Path) -> Headed:
    return best_headed(classifier, material, settings, settings.heads)


def _load(folder: Path, settings: CategorySettings, cache: Path) -> Headed:
    return load_headed(folder, settings)


def _baselines(before: Classifier, material: Material, settings: CategorySettings) -> dict[Role, Floats]:
    """What does without training an encoder: TF-IDF, and both heads on the encoder as it comes.

    The heads read the columns as well, where there are any.
    """
    train, validation = known_rows(before, material, settings)
    how, labelled = fitting(material, settings), material.labelled
    encoding = next(iter(encodings(train)), None)
    longest = min(settings.training.max_length, before.longest)
    held_out = features_at(before, labelled, material.held_out.at, longest)
    some = material.train.at[baseline_rows(material, settings.baseline_rows)]
    texts, asked = (Texts(labelled.texts_at(at)[0]) for at in (some, material.held_out.at))
    return {
        Role.TFIDF: tfidf_regression(texts, train.labels, asked, how.classes, how.weighting),
        Role.FROZEN: fit_logistic(train, validation, how, encoding).probabilities(held_out),
        Role.BOOSTED: fit_trees(train, how, encoding).probabilities(held_out),
    }


def _tells(candidate: Answering, material: Material, settings: CategorySettings, folder: Path) -> Mapping[str, Any]:
    if not isinstance(candidate, Headed):
        raise AssertionError(candidate)
    return {"heads": head_measures(candidate, material, settings)}


LOADING = """## How to load it

```python
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

folder = "."  # where this file lies
encoder = SentenceTransformer(folder)
vectors = torch.from_numpy(encoder.encode(["a product's text"]))
layer = load_file(f"{folder}/head.safetensors")
probabilities = (vectors @ layer["weight"].T + layer["bias"]).softmax(-1)  # in the order of classes.json
```

That is the layer it was trained with. `head.json` names the head that answers in shopmon, and the columns that it reads
beside the vectors: a regression lies in `logistic.safetensors`, trees in `xgboost.ubj`
(`xgboost.Booster(model_file="xgboost.ubj")`). No code comes with any of them, and none is needed."""


def _trees_package() -> str:
    """Under which name XGBoost is installed: without support for GPUs, or with."""
    try:
        version("xgboost-cpu")
    except PackageNotFoundError:
        return "xgboost"
    return "xgboost-cpu"


RECIPE = Recipe(
    TASK,
    CategorySettings,
    check=_check,
    read=_read,
    meaning=_meaning,
    fresh=fresh_pooled,
    finish=_finish,
    load=_load,
    baselines=_baselines,
    tells=_tells,
    card=partial(classifier_card, reads="texts", loading=LOADING),
    packages=("scikit-learn", _trees_package()),
)
