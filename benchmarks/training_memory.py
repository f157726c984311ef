"""How much memory does `shopmon retrain` take, as rows become more and texts longer?

    python benchmarks/training_memory.py                                  # both tasks, 100,000 and 300,000 rows
    python benchmarks/training_memory.py --task mlm --rows 100000 1000000
    python benchmarks/training_memory.py --words 10 80                    # the same rows with longer texts

Rows are made up and written to disk, and then each training has a process of its own: a tiny model (2 layers of 32),
20 steps, baselines on 500 rows. So what is seen is what the rows take, and not the model. Memory is the anonymous part
of the process (`RssAnon` of Linux), looked at a hundred times a second: pages of files that are mapped into memory are
the system's to take back, and are no cost; what is freed goes back at once. The peak stands in a column for each
phase; "a row" is what the overall peak grew by since the line above, over the rows that were added.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

_AT_ONCE = 50_000
_WORDS = 5_000
"""Different words of the texts."""
_LOOK = 0.01
"""Seconds between two looks at the memory."""
_GIVES_BACK = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "MALLOC_MMAP_THRESHOLD_": "65536",
}
"""Settings of glibc's: what is freed goes back to the system at once. Otherwise up to 60 MB of it stay, now more, now
less."""
_ROLES = ("positive", "negative", "counterfactual", "replay")
_CLASSES = ("E", "S", "C", "I")
_MODEL_ID = "20261120-195801-a3f9c1"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--task", nargs="+", choices=["mlm", "relevance"], default=["mlm", "relevance"])
    asked.add_argument("--rows", nargs="+", type=int, default=[100_000, 300_000])
    asked.add_argument("--words", nargs="+", type=int, default=[20], help="words of a text")
    asked.add_argument("--folder", type=Path, help="where data and caches go; default: a temporary one")
    asked.add_argument("--train", help=argparse.SUPPRESS)
    told = asked.parse_args()
    if told.train:
        print(json.dumps(_peaks(json.loads(told.train))))
        return
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        for task in told.task:
            for words in told.words:
                _table(task, words, told.rows, Path(folder))


def _table(task: str, words: int, rows: list[int], folder: Path) -> None:
    print(f"\n{task}, texts of {words} words\n")
    before: tuple[int, float] | None = None
    for number, count in enumerate(rows):
        place = folder / f"{task}-{words}-{count}"
        size = make(task, count, words, place)
        peaks = measured(task, place)
        whole = max(peaks.values())
        grown = "" if before is None else f"{(whole - before[1]) * 1e6 / (count - before[0]):,.0f} B"
        before = (count, whole)
        if not number:
            print("| rows | texts | " + " | ".join(peaks) + " | a row |")
            print("|---:|---:|" + "---:|" * (len(peaks) + 1))
        figures = " | ".join(f"{peak:,.0f} MB" for peak in peaks.values())
        print(f"| {count:,} | {size / 1e6:,.0f} MB | {figures} | {grown} |", flush=True)


# --- the data ---------------------------------------------------------------------------------------------------------


def make(task: str, rows: int, words: int, place: Path) -> int:
    """Write the rows of a task, and a base to begin with, into a folder; the bytes of all texts."""
    place.mkdir(parents=True)
    build_base(place / "base")
    (place / "general.txt").write_text("\n\n".join(_texts(200, 40, seed=1)), encoding="utf-8")
    return _gather(place, rows, words) if task == "mlm" else _pairs(place, rows, words)


def build_base(folder: Path) -> None:
    """A masked model of 2 layers x 32 with random weights, in its folder."""
    import torch
    import transformers
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(_WORDS))]
    names += ["nike", "puma", "shoes", "are", "very", "light", "warm", "ugly", "cheap"]
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=len(names), dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    DistilBertForMaskedLM(config).save_pretrained(folder)
    make_tokenizer = transformers.BertTokenizerFast  # type: ignore[attr-defined]  # it is there once it is asked for
    tokenizer = make_tokenizer(vocab={name: at for at, name in enumerate(names)}, model_max_length=128)
    tokenizer.save_pretrained(folder)


def _texts(rows: int, words: int, seed: int) -> Iterator[str]:
    drawn = np.random.default_rng(seed).integers(0, _WORDS, (rows, words))
    return (" ".join(f"w{word}" for word in row) for row in drawn.tolist())


def _gather(place: Path, rows: int, words: int) -> int:
    from monitor.retraining_set import RetrainingSet

    found, size = RetrainingSet(place / "retraining"), 0
    for first in range(0, rows, _AT_ONCE):
        some = min(_AT_ONCE, rows - first)
        texts = [f"{first + at} {text}" for at, text in enumerate(_texts(some, words - 1, seed=first))]
        roles = [_ROLES[at % 4] for at in range(some)]
        told = {"kind": "reviews", "batch": "3f2a", "file": "new.csv"}
        columns: dict[str, Any] = {name: [value] * some for name, value in told.items()}
        columns |= {"text": texts, "role": roles, "reasons": [[role] for role in roles]}
        found.add(pa.table(columns | {"row": list(range(first + 1, first + some + 1))}), f"run-{first}")
        size += sum(map(len, texts))
    return size


def _pairs(place: Path, rows: int, words: int) -> int:
    """Pairs of which four share a query."""
    names, size = ["query_id", "query", "product_id", "product_title", "esci_label"], 0
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(place / "pairs.parquet", schema) as file:
        for first in range(0, rows, _AT_ONCE):
            some = min(_AT_ONCE, rows - first)
            queries = [f"q{(first + at) // 4} w{at % _WORDS}" for at in range(0, some, 4) for _ in range(4)][:some]
            texts = [f"p{first + at} {text}" for at, text in enumerate(_texts(some, words - 2, seed=first))]
            ids = [str(first + at) for at in range(some)]
            labels = [_CLASSES[label] for label in np.random.default_rng(first).integers(0, 4, some)]
            file.write_table(pa.table([queries, queries, ids, texts, labels], schema=schema))
            size += sum(map(len, texts)) + sum(map(len, queries))
    return size


# --- what it takes ----------------------------------------------------------------------------------------------------


def measured(task: str, place: Path) -> Mapping[str, float]:
    """Phase → peak in MB, of a training in a process of its own."""
    said = json.dumps({"task": task, "place": str(place)})
    environment = {**os.environ, **_GIVES_BACK, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, __file__, "--train", said], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    found: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _peaks(asked: Mapping[str, str]) -> Mapping[str, float]:
    import torch

    torch.set_num_threads(1)
    with _watched() as watch:
        (_train_mlm if asked["task"] == "mlm" else _train_relevance)(Path(asked["place"]), watch)
    return {phase: peak / 1e6 for phase, peak in watch.peaks.items()}


class _Watch:
    """The peak of each phase, in bytes."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self._phase = "beginning"

    def look(self) -> None:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        now = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024
        self.peaks[self._phase] = max(self.peaks.get(self._phase, 0), now)

    def progress(self, now: Any) -> None:
        """What a training calls with its `TrainingProgress`."""
        self._phase = now.doing


@contextmanager
def _watched() -> Iterator[_Watch]:
    watch, ended = _Watch(), threading.Event()

    def look() -> None:
        while not ended.is_set():
            watch.look()
            time.sleep(_LOOK)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield watch
    ended.set()
    thread.join()


def _train_mlm(place: Path, watch: _Watch) -> None:
    from monitor.retraining_set import RetrainingSet
    from retrain.mlm import Asked, train
    from retrain.registry import Registry
    from retrain.settings import MlmSettings, Training, Words

    training = Training(steps=20, batch_size=16, max_length=128, eval_rows=64, bf16=False)
    words = Words(brands=("nike",), other_brands=("puma",), products=("shoes",), wanted=("light",), unwanted=("ugly",))
    settings = MlmSettings(base=str(place / "base"), words=words, training=training, general_text=place / "general.txt")
    train(
        Asked(
            RetrainingSet(place / "retraining"),
            settings,
            Registry(place / "models"),
            place / "training",
            place / "cache",
            _MODEL_ID,
            project_texts=list(_texts(200, 20, seed=2)),
            progress=watch.progress,
        )
    )


def _train_relevance(place: Path, watch: _Watch) -> None:
    from retrain.classifier_settings import ClassifierTraining
    from retrain.classifier_training import Asked
    from retrain.pairs import PairSettings
    from retrain.registry import Registry
    from retrain.relevance import RelevanceSettings, train

    settings = RelevanceSettings(
        base=str(place / "base"),
        pairs=PairSettings(data=(str(place / "pairs.parquet"),)),
        training=ClassifierTraining(steps=20, batch_size=16, max_length=64, eval_rows=500, bf16=False),
    )
    settings = replace(settings, baseline_rows=500, measured_rows=500)
    registry, work, cache = Registry(place / "models"), place / "training", place / "cache"
    train(Asked(settings, registry, work, cache, _MODEL_ID, progress=watch.progress))


if __name__ == "__main__":
    main()
