"""How is a model of natural language inference trained? The recipe: premise and hypothesis, and what follows from what.

It follows typeform/distilbert-base-uncased-mnli (preset `run_glue`): DistilBERT on MultiNLI (Williams, Nangia and
Bowman, 2018) by the settings of transformers' `run_glue`, as its card tells them; the card's accuracy on the matched
and mismatched sets is .82. With such a model rows get labels without a training (`zero_shot`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from retrain.answering import Answering, Plain
from retrain.classification_measures import Predicted, classification_measures
from retrain.classifier_card import classifier_card
from retrain.classifier_data import Material
from retrain.classifier_settings import ClassifierSettings, ClassifierTraining
from retrain.classifier_training import Asked, Recipe, train_classifier
from retrain.inference_pairs import InferenceSettings, check_inference_named, read_inference
from retrain.labelled import Labelled
from retrain.results import ClassificationMeasures, TrainingResult
from retrain.splits import Leaks, Places, places
from retrain.zero_shot import sides

TASK = "nli"
SECTION = f"retrain.{TASK}"


class Preset(StrEnum):
    """A published recipe."""

    RUN_GLUE = "run_glue"
    """typeform/distilbert-base-uncased-mnli: 5 epochs of 16 rows at 2e-5, linear, no warm-up, 128 tokens, seed 42."""


PRESETS: Mapping[Preset, ClassifierTraining] = {
    Preset.RUN_GLUE: ClassifierTraining(epochs=5.0, batch_size=16, learning_rate=2e-5, max_length=128)
}
"""As its card tells it; what the card does not tell is as AdamW and the Trainer have it."""
LOADING = """## How to load it

```python
from transformers import pipeline

ask = pipeline("zero-shot-classification", model=".")  # where this file lies
ask("It came a week late.", candidate_labels=["shipping", "size"], hypothesis_template="This text is about {}.")
```

`shopmon classify FILE --labels "shipping,size"` asks it of every row of a file. The weights are safetensors; no code
comes with them, and none is needed."""


@dataclass(frozen=True, kw_only=True)
class NliSettings(ClassifierSettings):
    """The training of a model of natural language inference, whole."""

    pairs: InferenceSettings = field(default_factory=InferenceSettings)
    training: ClassifierTraining = field(default_factory=lambda: PRESETS[Preset.RUN_GLUE])
    evaluate: Mapping[str, str] = field(default_factory=dict)
    """Name → file of further pairs, such as the matched and mismatched ones of MultiNLI: the candidate is measured on
    each of them whole, and nothing is learnt or chosen by them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            sides(self.pairs.classes)
        except ShopmonError as error:
            raise ValueError(f"classes are {list(self.pairs.classes)}, and none is entailment by its name") from error

    def further(self, name: str) -> InferenceSettings:
        """Which pairs are read of a further set: its labels and columns mean what those of the others do."""
        return replace(self.pairs, data=(self.evaluate[name],))


def train(asked_for: Asked[NliSettings]) -> TrainingResult:
    """Train a model of natural language inference: see `classifier_training`."""
    return train_classifier(RECIPE, asked_for)


def _check(settings: NliSettings) -> None:
    check_inference_named(settings.pairs, SECTION)


def _read(settings: NliSettings, cache: Path) -> Labelled:
    """The pairs, once the further sets are known to be others: a set that was learnt from measures nothing."""
    labelled = read_inference(settings.pairs, cache, SECTION)
    known = places(labelled.column("alike"))
    for name in settings.evaluate:
        further = read_inference(settings.further(name), cache, SECTION)
        unknown = _unknown(further, known)
        if len(unknown) == further.rows or (len(unknown) and settings.split.leaks is Leaks.DROP):
            continue
        shared = int(np.setdiff1d(np.arange(further.rows), unknown)[0])
        (premise,), pairs = further.texts_at([shared])
        raise ShopmonError(
            f"{further.rows - len(unknown):,} of the {further.rows:,} pairs of {name} stand among those that are "
            f"learnt from, for instance {premise[:80]!r}, {(pairs or [''])[0][:80]!r}",
            advice=f'Give another file, or leave them out where it measures: leaks = "drop" in [{SECTION}].',
        )
    return labelled


def _unknown(further: Labelled, known: Places) -> NDArray[np.int64]:
    """The rows of a further set that do not stand among those that are learnt from, by number."""
    return np.flatnonzero(~np.isin(places(further.column("alike")), known))


def _tells(candidate: Answering, material: Material, settings: NliSettings, folder: Path) -> Mapping[str, Any]:
    """What the candidate is worth on each further set."""
    if not isinstance(candidate, Plain):
        raise AssertionError("nothing is built on a model of natural language inference")
    known = places(material.labelled.column("alike"))
    return {"further": {name: _measured(candidate, settings.further(name), known) for name in settings.evaluate}}


def _measured(candidate: Plain, pairs: InferenceSettings, known: Places) -> ClassificationMeasures:
    further = read_inference(pairs, candidate.cache, SECTION)
    rows = _unknown(further, known)
    labels = further.numbers("label")[rows]
    return classification_measures(Predicted(candidate.says(further, rows), labels, further.classes))


RECIPE = Recipe(
    TASK,
    NliSettings,
    check=_check,
    read=_read,
    tells=_tells,
    card=partial(classifier_card, reads="premise and hypothesis", loading=LOADING),
)
