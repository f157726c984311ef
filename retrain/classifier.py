"""To which class does a pair of texts belong, as a model sees it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from expectations.errors import ShopmonError
from retrain.classification_measures import Floats
from retrain.loading import best_device, check_tokenizer, has_bf16, longest_of, pretrained
from retrain.pair_steps import padded

if TYPE_CHECKING:
    from datasets import Dataset

_AT_ONCE = 32
"""Rows of one forward pass."""
_HEADS = ("classifier.", "pre_classifier.", "score.", "pooler.", "out_proj.")
"""What a base may lack: a head, with which it begins afresh."""
_MULTILINGUAL = ("xlm-roberta", "xlm", "bert-multilingual")
_MANY_TOKENS = 100_000
"""Tokens of a vocabulary from which on a model knows more than one language: multilingual BERT has 119,547."""


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier with the tokenizer that it was trained with."""

    model: Any
    """A `PreTrainedModel` with a classification head, ready to answer (dropout off)."""
    tokenizer: Any
    """A fast tokenizer."""
    folder: Path
    classes: tuple[str, ...]

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    @property
    def longest(self) -> int:
        """Tokens of the longest pair it can read."""
        return longest_of(self.model, self.tokenizer)

    @property
    def padding(self) -> int:
        """Id of the token that fills up shorter rows."""
        return int(self.tokenizer.pad_token_id)

    @property
    def is_multilingual(self) -> bool:
        """Whether it was made for more languages than English, as far as its family and vocabulary tell."""
        config = self.model.config
        return config.model_type in _MULTILINGUAL or int(config.vocab_size) >= _MANY_TOKENS


def load_classifier(folder: Path, *, device: torch.device | None = None) -> Classifier:
    """The classifier in a folder, on `device` (by default the best there is), in float32.

    Only safetensors are read, and no code that comes with a model is run. Raises ShopmonError for what is none.
    """
    model, tokenizer, missing = _loaded(folder, {})
    if missing:
        raise ShopmonError(
            f"{folder} is no classifier: its weights lack {missing[0]}",
            advice="Give a model that was trained to tell classes apart, such as one of shopmon models.",
        )
    names = model.config.id2label
    classes = tuple(str(names[at]) for at in range(model.config.num_labels))
    return Classifier(model.eval().to(device or best_device()), tokenizer, folder, classes)


def fresh_classifier(
    folder: Path, classes: Sequence[str], seed: int, *, device: torch.device | None = None
) -> Classifier:
    """The encoder in a folder with a head that has learnt nothing yet, the same for the same seed.

    Raises ShopmonError where the folder holds no encoder, or one whose weights are not whole.
    """
    labels = {
        "num_labels": len(classes),
        "id2label": dict(enumerate(classes)),
        "label2id": {label: at for at, label in enumerate(classes)},
        "problem_type": "single_label_classification",
        "ignore_mismatched_sizes": True,  # a head of other classes begins afresh as well
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, tokenizer, missing = _loaded(folder, labels)
        lacking = [name for name in missing if not any(f".{name}".find(f".{head}") >= 0 for head in _HEADS)]
    if lacking:
        raise ShopmonError(
            f"{folder} is no encoder that can be read: its weights lack {lacking[0]}"
            + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""),
            advice="Give an encoder such as distilbert-base-uncased.",
        )
    return Classifier(model.eval().to(device or best_device()), tokenizer, folder, tuple(classes))


def _loaded(folder: Path, more: Mapping[str, Any]) -> tuple[Any, Any, list[str]]:
    """Model, tokenizer, and the names of weights that the folder lacks."""
    from transformers.utils.logging import set_verbosity_error

    set_verbosity_error()  # type: ignore[no-untyped-call]  # that a head begins afresh is what is asked for
    model, tokenizer, missing = pretrained(folder, "AutoModelForSequenceClassification", **more)
    check_tokenizer(folder, tokenizer, model.config)
    if tokenizer.pad_token_id is None:
        raise ShopmonError(
            f"the tokenizer in {folder} has no token for padding",
            advice="Give an encoder such as distilbert-base-uncased.",
        )
    return model, tokenizer, missing


@torch.inference_mode()
def predict(classifier: Classifier, rows: Dataset) -> Floats:
    """(rows, classes) the probability of each class, for rows cut into tokens (`pair_steps.cut_pairs`).

    Rows of like length are read together, and come back in their own order. No rows, no probabilities.
    """
    found = np.zeros((len(rows), len(classifier.classes)))
    order = np.argsort(np.asarray(rows["length"][:], np.int64), kind="stable")
    device = classifier.device
    for first in range(0, len(order), _AT_ONCE):
        some = order[first : first + _AT_ONCE]
        read = rows[some.tolist()]
        group = padded(read, range(len(some)), classifier.padding)
        inputs = {name: value.to(device) for name, value in group.items() if name != "labels"}
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            logits: Tensor = classifier.model(**inputs).logits
        found[some] = torch.softmax(logits.double(), -1).cpu().numpy()
    return found


@torch.inference_mode()
def embed(classifier: Classifier, texts: Sequence[str], longest: int) -> Floats:
    """(texts, dimensions) mean of the encoder's last hidden states over the tokens of each text (Reimers, 2019).

    The head has no part in it: of a fresh classifier these are the base's own vectors.
    """
    encoder, device = classifier.model.base_model, classifier.device
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    found = np.zeros((len(texts), int(classifier.model.config.hidden_size)))
    for first in range(0, len(order), _AT_ONCE):
        some = order[first : first + _AT_ONCE]
        read = classifier.tokenizer(
            [texts[at] for at in some], truncation=True, max_length=longest, padding=True, return_tensors="pt",
            split_special_tokens=True, return_token_type_ids=False,
        ).to(device)  # fmt: skip
        with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
            states = encoder(**read).last_hidden_state.float()
        attention = read["attention_mask"][..., None].float()
        found[some] = ((states * attention).sum(1) / attention.sum(1).clamp_min(1)).cpu().numpy()
    return found
