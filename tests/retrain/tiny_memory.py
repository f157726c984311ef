"""How much memory does a training take before and in its first steps? Run as a script, a process of its own says so.

A text is one long word, which no tokenizer knows: many bytes, and few tokens to wait for.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import normalizers
from transformers import AutoTokenizer

from monitor.retraining_set import RetrainingSet, text_hash
from monitor.reviews import Reviewed
from retrain.classifier import fresh_classifier
from retrain.classifier_data import baseline_rows, prepare
from retrain.classifier_settings import ClassifierTraining
from retrain.gathered_labels import Meaning, with_gathered
from retrain.labelled import SCHEMA, Labelled
from retrain.loading import load_masked_lm
from retrain.masking import Alphabet
from retrain.mlm import Asked
from retrain.mlm import prepare as prepare_masked
from retrain.pair_steps import PairSteps, PairStepSettings
from retrain.registry import Registry
from retrain.relevance import RelevanceSettings
from retrain.settings import MlmSettings, Training, Words
from retrain.steps import Steps, StepSettings

LETTERS = 2_500
"""Bytes of a text, about."""
WORDS = Words(brands=("nike",), other_brands=("puma",), products=("shoes",), wanted=("light",), unwanted=("ugly",))
_AT_ONCE = 1_000
_ROLES = ("positive", "negative", "counterfactual", "replay")


def text(number: int) -> str:
    """Another text for each number."""
    return f"nike {number} ".ljust(LETTERS, "x")


def labelled(file: Path, rows: int) -> None:
    """Labelled pairs as they are once they are read: four of each query, which is long as well."""
    with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        for first in range(0, rows, _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, rows))
            pairs = [(f"query {number // 4} ".ljust(400, "q"), text(number)) for number in some]
            keys = [text_hash(f"{query}\n{other}") for query, other in pairs]
            columns = {
                "text": [query for query, _ in pairs],
                "pair": [other for _, other in pairs],
                "label": [number % 4 for number in some],
                "group": [query for query, _ in pairs],
                "key": keys,
                "alike": keys,
                "split": [None] * len(pairs),
                "locale": [None] * len(pairs),
                "id": [str(number) for number in some],
                "file": ["new.csv"] * len(pairs),
                "batch": ["3f2a"] * len(pairs),
                "row": [number + 1 for number in some],
            }
            writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=SCHEMA))


def gathered(folder: Path, rows: int) -> None:
    """A retraining set."""
    found = RetrainingSet(folder)
    for first in range(0, rows, _AT_ONCE):
        some = range(first, min(first + _AT_ONCE, rows))
        columns = {
            "text": [text(number) for number in some],
            "kind": ["reviews"] * len(some),
            "role": [_ROLES[number % 4] for number in some],
            "reasons": [["praise"]] * len(some),
            "batch": ["3f2a"] * len(some),
            "file": ["new.csv"] * len(some),
            "row": [number + 1 for number in some],
        }
        found.add(pa.table(columns), f"run-{first:08}")


def build_base(folder: Path, build_model: Callable[[Path], Path]) -> Path:
    """A tiny model whose tokenizer takes letters as they are, which is ten times as quick."""
    base = build_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.save_pretrained(base)
    return base


@contextmanager
def watched() -> Iterator[list[float]]:
    """[megabytes that the process took at most, beyond those at the beginning]; pages of mapped files do not count."""
    found, ended, before = [0.0], threading.Event(), _anonymous()

    def look() -> None:
        while not ended.wait(0.01):
            found[0] = max(found[0], _anonymous() - before)

    thread = threading.Thread(target=look)
    thread.start()
    yield found
    ended.set()
    thread.join()


def _anonymous() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def classify(base: Path, file: Path, cache: Path) -> int:
    """What a classifier does with its rows; how many it learns from."""
    rows = pq.read_metadata(file).num_rows
    settings = RelevanceSettings(training=ClassifierTraining(max_length=32, eval_rows=100))
    settings = replace(settings, baseline_rows=100, measured_rows=100)
    given = Labelled(file, rows, settings.pairs.classes, (rows // 4,) * 4, ("new.csv",), "3f2a")
    rejected = frozenset({next(iter(given.column("key")))})
    nobody = RetrainingSet(cache / "nothing")
    joined = with_gathered(given, nobody, Reviewed(rejected), Meaning("relevance", lambda _: 0, True), cache)
    material = prepare(fresh_classifier(base, given.classes, 1), joined, settings, cache)
    material.labelled.texts_at(material.train.at[baseline_rows(material, 100)])
    material.labelled.texts_at(material.held_out.at)
    steps = PairSteps(material.train.rows, PairStepSettings(0, 16, 1), steps=100)
    assert all(steps[number]["tokens"] for number in range(100))
    return len(material.train.at)


def mask(base: Path, folder: Path, cache: Path) -> int:
    """What a masked model does with its rows; how many there are to learn from."""
    training = Training(max_length=32, eval_rows=16, held_out=0.2)
    prose = (f"the river returns to house number {number} and the evening is light" for number in range(120))
    (cache / "general.txt").write_text("\n\n".join(prose), encoding="utf-8")
    settings = MlmSettings(base=str(base), words=WORDS, training=training, general_text=cache / "general.txt")
    model = load_masked_lm(base)
    asked = Asked(RetrainingSet(folder), settings, Registry(cache / "models"), cache / "work", cache, "1")
    material = prepare_masked(model, asked)
    alphabet = Alphabet(model.tokenizer.mask_token_id, len(model.tokenizer))
    steps = Steps(material.rows, StepSettings(alphabet, 0, 0.15, 16, 1), steps=100)
    assert all(steps[number]["tokens"] for number in range(100))
    return sum(len(rows) for rows in material.rows.values())


def main() -> None:
    task, base, small, large, cache = sys.argv[1], *map(Path, sys.argv[2:6])
    torch.set_num_threads(1)
    run = classify if task == "classify" else mask
    for name in ("small", "large"):
        (cache / name).mkdir(parents=True)
    run(base, small, cache / "small")  # libraries are loaded, and what is kept of them is there
    with watched() as grown:
        learnt = run(base, large, cache / "large")
        time.sleep(0.05)
    print(json.dumps({"grown": grown[0], "learnt": learnt}))


if __name__ == "__main__":
    main()
