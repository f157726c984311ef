"""A whole training of a classifier in seconds: labelled pairs, settings, and a process that may be killed.

Run as a script it trains as its only argument, JSON, says, and prints what became of it as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from retrain import classifier_learning, classifier_training, relevance, training
from retrain.classifier_settings import ClassifierGateSettings, ClassifierTraining
from retrain.classifier_training import Asked
from retrain.pairs import PairSettings
from retrain.registry import Registry
from retrain.relevance import RelevanceSettings
from retrain.splits import SplitSettings

MODEL_ID = "20261120-195801-b4e8d2"
COLOURS, THINGS = ("red", "blue", "small", "big", "new", "old"), ("shoes", "jacket", "socks", "bag", "boots", "shirt")
OTHERS = ("water", "house", "river", "stone")


def pairs(file: Path, queries: int = 60) -> Path:
    """Queries with an exact product, a substitute, a complement and an irrelevant one each."""
    draw, rows = random.Random(7), []
    for number in range(queries):
        colour, thing, brand = draw.choice(COLOURS), draw.choice(THINGS), draw.choice(("nike", "puma"))
        query = f"{colour} {brand} {thing} {number}"
        other = draw.choice([one for one in COLOURS if one != colour])
        told = {
            "E": f"{brand} {thing} , {colour} {draw.randrange(50)}",
            "S": f"{brand} {thing} , {other} and nice {draw.randrange(50)}",
            "C": f"a {draw.choice(OTHERS)} for {thing} {draw.randrange(50)}",
            "I": f"the {draw.choice(OTHERS)} and the {draw.choice(OTHERS)} {draw.randrange(50)}",
        }
        rows += [{"query": query, "product_title": text, "label": label} for label, text in told.items()]
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def settings_of(base: Path, file: Path, **changes: Any) -> RelevanceSettings:
    """Settings that train in a second."""
    usual = {
        "steps": 12, "batch_size": 16, "learning_rate": 3e-3, "max_length": 32, "evaluate_every": 3, "patience": 99,
        "bf16": False,
    }  # fmt: skip
    training_of = ClassifierTraining(**{**usual, **changes.pop("training", {})})
    asked = RelevanceSettings(
        base=str(base),
        pairs=PairSettings(data=(str(file),)),
        split=SplitSettings(validation=0.2, held_out=0.2),
        training=training_of,
        gate=ClassifierGateSettings(),
    )
    return replace(asked, **changes)


def asked(room: Path, settings: RelevanceSettings, **more: Any) -> Asked[RelevanceSettings]:
    """What a training in a room is asked to do."""
    usual = {"model_id": MODEL_ID, "promote": True, "cache": room / "cache"}
    return Asked(settings, Registry(room / "models"), room / "training", **{**usual, **more})


def harm(where: str, at: int) -> None:
    """Let the n-th call of a function be the last thing that this process does."""
    owner, name = {
        "in a step": (training._Trainer, "training_step"),
        "while it measures": (classifier_learning, "measure"),
        "before a checkpoint": (training.checkpoints, "save"),
        "while it registers": (classifier_training, "write"),
        "before it is champion": (classifier_training, "promoted"),
    }[where]
    usual, calls = getattr(owner, name), [0]

    def call(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(*args, **kwargs)

    setattr(owner, name, call)


if __name__ == "__main__":
    torch.set_num_threads(1)
    said = json.loads(sys.argv[1])
    if "harm" in said:
        harm(*said["harm"])
    result = relevance.train(
        asked(Path(said["room"]), settings_of(Path(said["base"]), Path(said["file"])), resume=said.get("resume", False))
    )
    told = {"weights": result.weights_sha256, "resumed_from": result.resumed_from, "best_step": result.best_step}
    print(json.dumps({**told, "processes": result.processes}))
