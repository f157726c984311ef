"""Projects as the pages meet them: a demonstration with trained models, copies of it, and a training that goes on."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from shopmon import retrain
from shopmon.demo import run_demo
from shopmon.project import Project

from ..shopmon.example_shop import STRICT, WILLING

ROWS = 1_000
"""The fewest that a demonstration is made of."""
_RETRAIN = """[retrain]
base = "tiny"
general_text = "general.txt"
batch_size = 16
steps = {steps}
evaluate_every = 2
max_length = 48
bf16 = false

[retrain.gate]
{gate}
"""
_NAMES = (
    "i my we you they he she this that these those the a an is are was were be very really so too quite and but for"
)
_NAMES += (
    " to of in on at it bought wore returned love like fits fit feel feels look looks asked refund zipper broke such"
)
_NAMES += (
    " boots hoodie jacket socks tights fleece shorts backpack shirt sneakers trainers shoes bag price money still no"
)
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def demo_with_models(folder: Path) -> Path:
    """The demonstration, and what three trainings with a tiny base made.

    The first passed its gate, the second was kept back, the third as well, but a person made it champion.
    """
    run_demo(folder, rows=ROWS, retrain=False)
    words = Project.read(folder).words
    save_base(folder / "tiny", [*words.wanted, *words.unwanted, *words.brands, *words.other_brands, *words.products])
    text = "the house of the river is on a hill and the water was in it"
    (folder / "general.txt").write_text("\n\n".join(f"{text} {n}." for n in range(200)), encoding="utf-8")
    toml = folder / "shopmon.toml"
    said = toml.read_text(encoding="utf-8")
    for seed, (gate, forced) in enumerate(((WILLING, False), (STRICT, False), (STRICT, True)), 1):
        recipe = _RETRAIN.format(gate=gate, steps=4 + 2 * seed)
        toml.write_text(_with_recipe(said, recipe), encoding="utf-8")
        retrain(project=folder, seed=seed, promote=forced)
    return folder


def _with_recipe(said: str, recipe: str) -> str:
    """The settings with another way to train; its prompts stay."""
    return said[: said.index("[retrain]\n")] + recipe + "\n" + said[said.index("[retrain.prompts]") :]


def save_base(folder: Path, words: Sequence[str] = (), *, longest: int = 64) -> None:
    """A DistilBERT of two layers of random weights that can spell everything, and knows these words whole."""
    import torch
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

    torch.set_num_threads(1)
    torch.manual_seed(1)
    whole = [part for word in words for part in word.lower().split()]
    names = dict.fromkeys([*_SPECIAL, *_NAMES.split(), *whole, *_LETTERS, *".,!?'-", *(f"##{c}" for c in _LETTERS)])
    tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)}, model_max_length=longest)
    shape = DistilBertConfig(
        vocab_size=len(names), dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=longest
    )
    DistilBertForMaskedLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def copied(project: Path, to: Path) -> Path:
    """A copy of a project in which whatever names the project's folder names the copy."""
    shutil.copytree(project, to)
    with closing(sqlite3.connect(to / ".shopmon" / "runs.db")) as store, store:
        for column in ("document", "folder", "inputs"):
            store.execute(f"UPDATE shopmon_runs SET {column} = replace({column}, ?, ?)", (str(project), str(to)))
    for record in to.glob(".shopmon/models/*/*/training.json"):
        record.write_text(record.read_text(encoding="utf-8").replace(str(project), str(to)), encoding="utf-8")
    return to


def models_of(project: Path) -> list[Path]:
    """The folders of a project's models, the oldest first."""
    return sorted(
        folder for folder in (project / ".shopmon/models/mlm").iterdir() if (folder / "training.json").exists()
    )


def runs_of(project: Path, artifact: str = "result.json") -> list[Path]:
    """The folders of a project's checks that hold this file, the oldest first."""
    return sorted(file.parent for file in project.glob(f".shopmon/runs/*/{artifact}"))


def unfinished_training(project: Path, *, silent: float = 0.0, step: int = 30, steps: int = 60) -> Path:
    """A training in progress, as its files tell it: the last line is half written. `silent` is in seconds."""
    folder = project / ".shopmon/training/mlm/20261124-120000-0a1b2c"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"model_id": folder.name, "settings": {}}), encoding="utf-8")
    metrics = folder / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in told_lines(step, steps)), encoding="utf-8")
    with metrics.open("a", encoding="utf-8") as opened:
        opened.write('{"event": "train", "step": 31, "lo')
    then = time.time() - silent
    for file in folder.iterdir():
        os.utime(file, (then, then))
    return folder


def told_lines(step: int, steps: int) -> list[dict[str, Any]]:
    """What a training tells until a step: its begin, each step, and what it measured at every tenth."""
    said = {
        "loss": {"project": 3.4, "retraining": 2.9, "general": 5.5},
        "perplexity": {"project": 31.0, "retraining": 18.25, "general": 252.9},
        "masses": {"gate": {"wanted": 0.25, "unwanted": 0.3}, "complaints": {"wanted": 0.02, "unwanted": 0.1}},
    }
    lines: list[dict[str, Any]] = [{"event": "begin", "steps": steps, "base": said}]
    for number in range(1, step + 1):
        lines.append(
            {
                "event": "train",
                "step": number,
                "loss": 3.0 / number,
                "parts": {"positive": 2.0 / number, "negative": None},
                "learning_rate": 1e-4,
                "tokens_per_second": 1_200.0,
                "seconds": number * 0.5,
            }
        )
        if number % 10 == 0:
            lines.append({"event": "eval", "step": number, **said})
    return lines
