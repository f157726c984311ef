"""A model of natural language inference that is small enough for tests: random weights, but decided answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForSequenceClassification

CLASSES = ("contradiction", "entailment", "neutral")
WORDS = "the this text example is about of a and size shipping quality price it came late fits small warm good bad"


def save_nli(folder: Path, classes: Sequence[str] = CLASSES, *, longest: int = 32, seed: int = 3) -> Path:
    """Save a DistilBERT of two layers with a head of these classes; letters that are no word of its own are tokens."""
    torch.manual_seed(seed)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'{}-"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split(), *letters, *(f"##{one}" for one in letters)]
    names = list(dict.fromkeys(names))
    shape = DistilBertConfig(
        vocab_size=len(names),
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=longest,
        initializer_range=0.4,
        id2label=dict(enumerate(classes)),
        label2id={name: at for at, name in enumerate(classes)},
    )
    DistilBertForSequenceClassification(shape).save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab={name: at for at, name in enumerate(names)}, model_max_length=longest)
    tokenizer.save_pretrained(folder)
    return folder
