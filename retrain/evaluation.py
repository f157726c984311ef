"""What is a model worth, on the same held-out texts and prompts as every other?

The masks of a text follow from its hash alone: each model fills the same places. So perplexities can be compared, which
those of models that were each measured on a split of their own cannot.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from retrain.loading import MaskedModel, has_bf16
from retrain.masked_head import logits_at
from retrain.masking import Alphabet, whole_words
from retrain.prompts import asked
from retrain.results import Contrast, FillIn, MassMeasure, Measures, TextMeasure, TextSet
from retrain.schedule import generator, groups
from retrain.settings import Prompts, Words
from retrain.steps import Row, padded
from retrain.word_scores import masses, top_words_each

if TYPE_CHECKING:
    from datasets import Dataset

MASKED = 0.15
"""Share of the words that are masked; that of BERT's authors, so that perplexities mean what people are used to."""
_AT_ONCE = 32
"""Rows of one forward pass."""
_SHOWN = 10


@dataclass(frozen=True)
class EvaluationSets:
    """What every model is measured on."""

    texts: Mapping[TextSet, Dataset]
    """Held-out rows, cut into tokens; the first ones are an even sample."""
    prompts: Mapping[Contrast, tuple[str, ...]]
    words: Words
    alphabet: Alphabet
    padding: int


def prompt_sets(prompts: Prompts, words: Words) -> dict[Contrast, tuple[str, ...]]:
    """The gate's prompts with every brand they are asked of; what would be empty is left out."""
    found = {
        Contrast.GATE: asked(prompts.gate, words.brands),
        Contrast.OTHER_BRANDS: asked([p for p in prompts.gate if "{brand}" in p], words.other_brands),
        Contrast.COMPLAINTS: asked(prompts.gate_complaints, words.brands),
    }
    return {contrast: some for contrast, some in found.items() if some}


def measure(model: MaskedModel, sets: EvaluationSets, *, rows: int, fill_ins: bool = False) -> Measures:
    """One model on at most `rows` rows of each set; with `fill_ins`, also its ten likeliest words for each prompt.

    A set without a place to fill is left out: nothing was measured there, which is no success.
    """
    texts = {name: found for name, some in sets.texts.items() if (found := measure_texts(model, some, sets, rows))}
    said = {
        contrast: _mass(model, prompts, sets.words)
        for contrast, prompts in sets.prompts.items()
        if sets.words.wanted or sets.words.unwanted
    }
    return Measures(texts, said, _fill_ins(model, sets) if fill_ins else {})


def measure_texts(model: MaskedModel, texts: Dataset, sets: EvaluationSets, rows: int) -> TextMeasure | None:
    """Cross-entropy at the masked words of at most `rows` rows; None where there is not one masked word."""
    some = texts.select(range(min(rows, len(texts))))
    found = [loss for group in _groups(some, sets) for loss in _losses(model, group)]
    if not found:
        return None
    loss = math.fsum(found) / len(found)
    return TextMeasure(loss, math.inf if loss >= 700 else math.exp(loss), len(some), len(found))


def _groups(texts: Dataset, sets: EvaluationSets) -> Iterator[dict[str, Tensor]]:
    """The rows, masked, in groups of like length."""
    rows = [_masked(row, sets.alphabet) for row in texts]
    for some in groups([len(row.masked.ids) for row in rows]):
        for first in range(0, len(some), _AT_ONCE):
            yield padded([rows[at] for at in some[first : first + _AT_ONCE]], sets.padding)


def _masked(row: Mapping[str, Any], alphabet: Alphabet) -> Row:
    ids, words = np.asarray(row["ids"], np.int64), np.asarray(row["words"], np.int64)
    rng = generator("evaluation", row["text_hash"])
    taken = whole_words(ids, words, MASKED, rng, alphabet, only_masks=True)
    return Row(taken, np.zeros(len(taken.places), np.int64))


@torch.inference_mode()
def _losses(model: MaskedModel, group: Mapping[str, Tensor]) -> list[float]:
    """Cross-entropy of each masked token, in nats."""
    device = model.device
    inputs = (group[name].to(device) for name in ("input_ids", "attention_mask", "places"))
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
        logits = logits_at(model.model, *inputs)
    target = group["target"].to(device)
    losses: list[float] = torch.nn.functional.cross_entropy(logits.float(), target, reduction="none").tolist()
    return losses


def _mass(model: MaskedModel, prompts: Sequence[str], words: Words) -> MassMeasure:
    found = masses(model, prompts, words.wanted, words.unwanted)
    wanted, unwanted = (math.fsum(getattr(one, name) for one in found) / len(found) for name in ("wanted", "unwanted"))
    return MassMeasure(wanted, unwanted, len(found))


def _fill_ins(model: MaskedModel, sets: EvaluationSets) -> dict[str, tuple[FillIn, ...]]:
    prompts = [prompt for some in sets.prompts.values() for prompt in some]
    found = top_words_each(model, prompts, show=_SHOWN)
    return {one.prompt: tuple(FillIn(word.word, word.probability) for word in one.top[:_SHOWN]) for one in found}
