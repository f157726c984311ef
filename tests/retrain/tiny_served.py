"""A classifier that is small enough for tests and has learnt something, and its folder as the registry holds it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from retrain.classifier import Classifier, fresh_classifier
from retrain.onnx_export import export
from retrain.records import write
from retrain.results import BaseUsed, Serving, TrainingResult

CLASSES = ("other", "same", "near")
THINGS, COLOURS = ("shoes", "jacket", "socks", "bag", "boots"), ("red", "blue", "small", "big", "new", "old")


@dataclass(frozen=True)
class Rows:
    """Pairs of query and product, with their classes."""

    texts: list[str]
    pairs: list[str]
    labels: list[int]


def rows(count: int, seed: int = 1) -> Rows:
    """Pairs of several lengths: the same brand, the other one, or none; which is all that their class stands on."""
    draw, found = random.Random(seed), Rows([], [], [])
    for _ in range(count):
        label = draw.randrange(3)
        brand = ("puma", "nike", "house")[label]
        filling = " ".join(draw.choices(COLOURS, k=draw.randrange(1, 16)))
        found.texts.append(f"{draw.choice(THINGS)} {draw.choice(COLOURS)}")
        found.pairs.append(f"{brand} {draw.choice(THINGS)} {filling}")
        found.labels.append(label)
    return found


def taught(base: Path, steps: int = 60) -> Classifier:
    """A classifier of the base that tells these classes apart."""
    torch.manual_seed(1)
    classifier = fresh_classifier(base, CLASSES, 1, device=torch.device("cpu"))
    model = classifier.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(steps):
        learnt = rows(32, seed=100 + step)
        inputs = read(classifier, learnt.texts, learnt.pairs)
        loss = torch.nn.functional.cross_entropy(model(**inputs).logits, torch.tensor(learnt.labels))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()
    return classifier


def read(classifier: Classifier, texts: Sequence[str], pairs: Sequence[str] | None) -> Any:
    """What a model reads of some texts."""
    return classifier.tokenizer(
        list(texts), None if pairs is None else list(pairs), padding=True, truncation=True, max_length=32,
        return_tensors="pt", return_token_type_ids=False,
    )  # fmt: skip


def with_outliers(classifier: Classifier, by: float = 3e3) -> Classifier:
    """A DistilBERT that says the same, though in one place of each layer its states are far larger than in the others.

    Trained models come to that by themselves (Dettmers et al., LLM.int8(), 2022), and it is what int8 cannot bear: one
    scale for all places then leaves the others no digits.
    """
    with torch.no_grad():
        for layer in classifier.model.distilbert.transformer.layer:
            attention = layer.attention
            attention.v_lin.weight[0] *= by
            attention.v_lin.bias[0] *= by
            attention.out_lin.weight[:, 0] /= by
        head = classifier.model
        head.pre_classifier.weight[0] *= by
        head.pre_classifier.bias[0] *= by
        head.classifier.weight[:, 0] /= by
    return classifier


def keep(classifier: Classifier, folder: Path, *, max_length: int = 32) -> Serving:
    """Write model, exported file and record into a folder, as a training does."""
    folder.mkdir(parents=True)
    classifier.model.save_pretrained(folder)
    classifier.tokenizer.save_pretrained(folder)
    held_out = rows(60, seed=2)
    serving = export(classifier, held_out.texts, held_out.pairs, held_out.labels, folder, max_length=max_length)
    settings = {"training": {"max_length": max_length}}
    base = BaseUsed("tiny", "")
    write(TrainingResult(model_id="1", task="relevance", base=base, settings=settings, serving=serving), folder)
    return serving
