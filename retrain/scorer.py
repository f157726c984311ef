"""What does a classifier say of texts, as fast as this machine can?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from retrain.classification_measures import Floats
from retrain.classifier import Classifier, load_classifier
from retrain.pair_steps import padded

_AT_ONCE = 32
"""Rows of one forward pass."""
_TEXTS = 2_000
"""Texts that are cut into tokens and sorted by length at once."""


@dataclass(frozen=True)
class Scorer:
    """A classifier that answers."""

    classifier: Classifier
    max_length: int

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of an answer's columns."""
        return self.classifier.classes

    @property
    def how(self) -> str:
        """With what it computes, in a few words."""
        return f"torch float32 on {self.classifier.device.type}"

    def probabilities(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Floats:
        """(texts, classes) the probability of each class; of each text alone, or with its other text in `pairs`.

        `progress` is told how many texts are done, and of how many. No texts, no rows.
        """
        logits = self.logits(texts, pairs, progress=progress)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)  # type: ignore[no-any-return]

    def logits(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Floats:
        """The same before the softmax: what tells one text's answer from another's, which probabilities do not."""
        found = np.zeros((len(texts), len(self.classes)))
        for first in range(0, len(texts), _TEXTS):
            some = slice(first, first + _TEXTS)
            found[some] = self._some(texts[some], None if pairs is None else pairs[some])
            progress(min(first + _TEXTS, len(texts)), len(texts))
        return found

    @torch.inference_mode()
    def _some(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Floats:
        tokenizer, device = self.classifier.tokenizer, self.classifier.device
        told = tokenizer(
            list(texts), None if pairs is None else list(pairs), truncation=True, max_length=self.max_length,
            split_special_tokens=True,
        )  # fmt: skip
        ids = told["input_ids"]
        rows = {
            "ids": ids,
            "types": told.get("token_type_ids", [[] for _ in ids]),
            "label": [0] * len(ids),
            "length": list(map(len, ids)),
        }
        found = np.zeros((len(ids), len(self.classes)))
        order = np.argsort(np.asarray(rows["length"], np.int64), kind="stable")
        for first in range(0, len(order), _AT_ONCE):
            some = order[first : first + _AT_ONCE]
            inputs = padded(rows, some.tolist(), self.classifier.padding)
            del inputs["labels"]
            logits = self.classifier.model(**{name: value.to(device) for name, value in inputs.items()}).logits
            found[some] = logits.double().cpu().numpy()
        return found


def load_scorer(folder: Path, *, max_length: int | None = None) -> Scorer:
    """The classifier in a folder, ready to answer; longer texts are cut, as they were when it learnt.

    Raises ShopmonError for what is no classifier.
    """
    classifier = load_classifier(folder)
    return Scorer(classifier, min(max_length or classifier.longest, classifier.longest))
