"""Is a fine-tuned classifier of query and product worth more than a regression?

    python benchmarks/classifiers.py                        # 12,000 pairs of home_depot, the offline base, three seeds
    python benchmarks/classifiers.py --pairs 74067 --base distilbert-base-uncased   # all, where the hub can be reached

Data: `../shared/data/queries/home_depot_query_product.parquet` (real queries, graded 1 to 3 by people), or the file of
`--data` with the same columns. Grades become the classes E (3), S (2.33 and more), C (1.67 and more) and I; whole
queries are drawn, and dealt so that none is on two sides. Every model is measured on the same held-out pairs, by
`shopmon retrain --task relevance`'s own code; the split changes with the seed.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import torch

from retrain.classifier_card import NAMES
from retrain.classifier_settings import ClassifierTraining
from retrain.classifier_training import Asked
from retrain.pairs import PairSettings
from retrain.registry import Registry
from retrain.relevance import RelevanceSettings, train
from retrain.results import ClassificationMeasures, Role, TrainingResult
from retrain.settings import OFFLINE
from retrain.splits import SplitSettings, normalised, whole_groups

DATA = Path(__file__).parents[2] / "shared" / "data" / "queries" / "home_depot_query_product.parquet"
GRADES = {"E": 3.0, "S": 2.33, "C": 1.67, "I": 1.0}
TRAINING = ClassifierTraining(
    epochs=2.0, batch_size=32, learning_rate=1e-4, warmup=0.1, weight_decay=0.01, max_length=64, evaluations=2.0
)
"""Of the offline base; DistilBERT wants a lower rate."""
FIGURES = ("nDCG", "macro-F1", "accuracy", "loss", "ECE", *(f"F1 {label}" for label in GRADES))


def drawn(data: Path, pairs: int, file: Path) -> Path:
    """So many pairs, whole queries of them, the same ones on every call."""
    table = pq.read_table(data)
    groups = [normalised(query) for query in table.column("search_term").to_pylist()]
    pq.write_table(table.take(whole_groups(groups, pairs)), file)
    return file


def numbers(found: ClassificationMeasures) -> dict[str, float]:
    """The columns of the table."""
    named = {one.label: one.f1 for one in found.classes}
    return {
        "nDCG": found.ranking["esci"].ndcg,
        "macro-F1": found.macro_f1,
        "accuracy": found.accuracy,
        "loss": found.loss,
        "ECE": found.calibration_error,
        **{f"F1 {label}": named[label] for label in GRADES},
    }


def table(results: Sequence[TrainingResult]) -> str:
    """Mean ± standard deviation over the seeds, as a Markdown table."""
    lines = [f"| model | {' | '.join(FIGURES)} |", f"|---{'|---:' * len(FIGURES)}|"]
    for role in (Role.TFIDF, Role.FROZEN, Role.CANDIDATE):
        of = [one.measures[role].classification for one in results]
        found = [numbers(one) for one in of if one is not None]
        lines.append(f"| {NAMES[role]} | {' | '.join(_spread([one[name] for one in found]) for name in FIGURES)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def trained(file: Path, base: str, seed: int, epochs: float, home: Path) -> TrainingResult:
    """One training; nothing is kept of it but its numbers."""
    settings = RelevanceSettings(
        base=base,
        pairs=PairSettings(data=(str(file),), grades=GRADES),
        split=SplitSettings(seed=seed),
        training=replace(TRAINING, seed=seed, epochs=epochs),
    )
    room = home / f"seed-{seed}"
    return train(Asked(settings, Registry(room / "models"), room / "training", home / "cache", f"seed-{seed}"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--pairs", type=int, default=12_000, help="pairs at most, whole queries of them")
    parser.add_argument("--base", default=OFFLINE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=TRAINING.epochs)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    if not asked.data.is_file():
        print(f"{asked.data} is not here: give another file with --data", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(asked.threads)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        file = drawn(asked.data, asked.pairs, Path(folder) / "pairs.parquet")
        for seed in range(1, asked.seeds + 1):
            began = time.process_time()
            result = trained(file, asked.base, seed, asked.epochs, Path(folder))
            results.append(result)
            rows = ", ".join(str(sum(side.values())) for side in (result.data.rows, result.data.held_out))
            said = "passed" if result.gate.passed else f"failed {[check.name for check in result.gate.failed]}"
            cpu = time.process_time() - began
            print(f"seed {seed}: {rows} pairs learnt from and held out, {result.steps} steps, {cpu:.0f} CPU s, {said}",
                  file=sys.stderr, flush=True)  # fmt: skip
            print(table(results), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
