"""A shop with queries and products, and a base that learns in seconds which of them belong together."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa

SETTINGS = """
[drift]
evidently = false
model_rows = 150

[edge_cases]
model_rows = 200

[retrain]
base = "base"
bf16 = false

[retrain.relevance]
data = ["learnt.parquet"]
classes = ["E", "I"]
validation = 0.1
held_out = 0.1
learning_rate = 2e-3
steps = 200
evaluate_every = 50
batch_size = 64
max_length = 16
baseline_rows = 200

[retrain.relevance.gate]
macro_f1 = false
ndcg = false
class_f1 = false
"""
THINGS = ("shoes", "hats")
PLACES = ("in winter", "at work", "on the road", "for years")


def pairs(number: int, queries: int = 110, meant: int = 3) -> pa.Table:
    """Each query with some products that are meant and one that is not."""
    draw, rows = random.Random(number), []
    for at in draw.sample(range(100, 999), queries):
        thing = draw.choice(THINGS)
        other = THINGS[thing == THINGS[0]]
        shown = [("E", thing)] * meant + [("I", other)]
        for (label, what), size in zip(shown, draw.sample(range(100, 999), len(shown)), strict=True):
            product = f"{what} {draw.choice(PLACES)} {size}"
            rows.append({"query": f"{thing} {at}", "product_title": product, "label": label})
    return pa.Table.from_pylist(rows)


def save_base(folder: Path) -> None:
    """A DistilBERT of one layer; its large random weights let it soon see that one word stands on both sides."""
    import torch
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

    torch.set_num_threads(1)
    torch.manual_seed(1)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *THINGS, *sorted({w for p in PLACES for w in p.split()})]
    names += [*"0123456789", *(f"##{digit}" for digit in "0123456789")]
    shape = DistilBertConfig(
        vocab_size=len(names), dim=64, n_layers=1, n_heads=4, hidden_dim=128, max_position_embeddings=32,
        dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, initializer_range=0.1,
    )  # fmt: skip
    DistilBertForMaskedLM(shape).save_pretrained(folder)
    BertTokenizerFast(vocab={name: number for number, name in enumerate(names)}).save_pretrained(folder)
