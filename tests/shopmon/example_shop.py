"""A small shop with a retraining set, and a base model that is small enough to train in seconds."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pyarrow as pa

from monitor.retraining_set import RetrainingSet
from shopmon.project import Project

SETTINGS = """
[edge_cases.words]
brands = ["Nike"]
other_brands = ["Puma"]
products = ["shoes"]
wanted = ["comfortable", "light", "good-looking"]
unwanted = ["expensive", "ugly"]

[retrain]
base = "base"
general_text = "general.txt"
batch_size = 16
steps = 4
evaluate_every = 2
bf16 = false

[retrain.gate]
{gate}
"""
WILLING = """
unwanted_mass = 1.0
wanted_mass = 0.0
other_brands_change = false
complaints_change = false
general_perplexity = 1000.0
project_perplexity = 1000.0
retraining_perplexity = 1000.0
champion_tolerance = 1.0
champion_mass = 1.0
"""
"""A gate that lets pass whatever could be measured."""
STRICT = WILLING.replace("unwanted_mass = 1.0", "unwanted_mass = 0.0")
"""A gate that no model passes."""

_SUBJECTS = ("Nike shoes", "these Nike jackets", "my Nike socks", "our Nike coats", "the Nike hats")
_JOINERS = ("are", "look", "feel", "seem", "stay")
_GOOD = ("comfortable", "light", "warm", "soft", "durable")
_BAD = ("expensive", "ugly")
_ENDINGS = ("in winter", "at work", "on the road", "for years")
_OTHER = "the of and to a in is it you that he was for on are with as i his they be at one have this from"


def shop_with_a_base(folder: Path, gate: str = WILLING) -> Project:
    """Make the folder a project with a base model, general text and a retraining set of 700 rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shopmon.toml").write_text(SETTINGS.format(gate=gate), encoding="utf-8")
    words = _OTHER.split()
    passages = (" ".join(words[(n * k) % len(words)] for k in range(2, 26)) + f" number {n}." for n in range(200))
    (folder / "general.txt").write_text("\n\n".join(passages) + "\n", encoding="utf-8")
    save_base(folder / "base")
    project = Project.read(folder)
    gather(project)
    return project


def save_base(folder: Path) -> None:
    """A DistilBERT of two layers of random weights that knows the shop's words."""
    import torch
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

    torch.set_num_threads(1)
    torch.manual_seed(1)
    text = " ".join((*_SUBJECTS, "puma", *_JOINERS, *_GOOD, *_BAD, *_ENDINGS, _OTHER, "number good looking"))
    text += " i returned because they were too never again jacket was fell apart want refund very really new"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(text.lower().split()), *",.-0123456789"]
    names += [f"##{digit}" for digit in "0123456789"]
    tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)})
    shape = DistilBertConfig(
        vocab_size=len(names), dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64
    )
    DistilBertForMaskedLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def gather(project: Project) -> None:
    """Rows as checks would have chosen them, for learning and for unlearning."""
    parts = [
        ("positive", "praise", product(_SUBJECTS, _JOINERS, _GOOD, _ENDINGS)),
        ("negative", "unwanted_word", product(_SUBJECTS, _JOINERS, _BAD, _ENDINGS[:2])),
        ("counterfactual", "other_brand", product(("Puma shoes", "these Puma hats"), _JOINERS, _GOOD, _ENDINGS[:2])),
    ]
    rows = [(role, rule, " ".join(words)) for role, rule, found in parts for words in found]
    columns = {
        "text": [text for _, _, text in rows],
        "kind": ["reviews"] * len(rows),
        "role": [role for role, _, _ in rows],
        "reasons": [[rule] for _, rule, _ in rows],
        "batch": ["ab" * 32] * len(rows),
        "file": ["new.csv"] * len(rows),
        "row": list(range(1, len(rows) + 1)),
        "id": [f"r{n}" for n in range(len(rows))],
    }
    RetrainingSet(project.retraining).add(pa.table(columns), "20261119-101010-abcdef")
