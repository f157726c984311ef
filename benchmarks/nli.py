"""Does a model that learnt from 10,000 pairs of one kind know what follows from other texts, and with words missing?

    python benchmarks/nli.py                  # SNLI dev, the offline base, three seeds
    python benchmarks/nli.py --base distilbert-base-uncased --learning-rate 2e-5      # where the hub can be reached

Data, in `--data` (otherwise `../shared/data/nli`): `snli_dev.parquet` to learn from, `mnli_dev_matched.parquet`, and
`mnli_corrupted.parquet`, which is the latter eight times with the words of one class (nouns, verbs …) removed from
premise and hypothesis. It is `shopmon retrain --task nli`'s own code; the sets are `evaluate`, measured whole.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from retrain.classifier_card import NAMES, commonest
from retrain.classifier_settings import ClassifierTraining
from retrain.classifier_training import Asked
from retrain.inference_pairs import InferenceSettings
from retrain.nli import NliSettings, train
from retrain.registry import Registry
from retrain.results import ClassificationMeasures, Role, TrainingResult
from retrain.settings import OFFLINE
from retrain.splits import SplitSettings

DATA = Path(__file__).parents[2] / "shared" / "data" / "nli"
TRAINING = ClassifierTraining(
    epochs=4.0, batch_size=32, learning_rate=2e-4, warmup=0.1, weight_decay=0.01, max_length=128
)
"""Of the offline base; DistilBERT wants a lower rate."""
MATCHED = "MNLI matched"
FIGURES = ("accuracy", "macro_f1", "loss", "calibration_error")


def corrupted(data: Path, folder: Path) -> dict[str, str]:
    """A file for each word class that was removed, by name."""
    table = pq.read_table(data / "mnli_corrupted.parquet")
    found = {}
    for word_class in sorted(table.column("removed_class").unique().to_pylist()):
        file = folder / f"{word_class}.parquet"
        pq.write_table(table.filter(pc.field("removed_class") == word_class), file)
        found[f"without {word_class}"] = str(file)
    return found


def trained(
    data: Path, evaluate: Mapping[str, str], base: str, training: ClassifierTraining, home: Path
) -> TrainingResult:
    """One training; nothing is kept of it but its numbers."""
    seed = training.seed
    settings = NliSettings(
        base=base,
        pairs=InferenceSettings(data=(str(data / "snli_dev.parquet"),)),
        split=SplitSettings(validation=0.05, held_out=0.05, seed=seed),
        training=training,
        evaluate=evaluate,
    )
    room = home / f"seed-{seed}"
    return train(Asked(settings, Registry(room / "models"), room / "training", home / "cache", f"seed-{seed}"))


def held_out_table(results: Sequence[TrainingResult]) -> str:
    """The held-out pairs of what was learnt from, as a Markdown table: mean ± standard deviation over the seeds."""
    lines = ["| held-out SNLI pairs | accuracy | F1, mean of the classes | loss | ECE |", "|---|---:|---:|---:|---:|"]
    for role in (Role.TFIDF, Role.FROZEN, Role.CANDIDATE):
        found = [one for result in results if (one := result.measures[role].classification) is not None]
        lines.append(f"| {NAMES[role]} | {_cells(found)} |")
    return "\n".join(lines)


def further_table(results: Sequence[TrainingResult]) -> str:
    """The further sets, likewise, with the share of the commonest class and what is above it."""
    lines = [
        "| set | pairs | commonest class | accuracy | points above it | F1, mean of the classes | loss | ECE |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in results[0].further:
        found = [one.further[name] for one in results]
        accuracy, *others = _cells(found).split(" | ")
        above = _spread([100 * (one.accuracy - commonest(one)) for one in found], 1)
        guess = f"{commonest(found[0]):.3f}"
        lines.append(f"| {name} | {found[0].rows:,} | {guess} | {accuracy} | {above} | {' | '.join(others)} |")
    return "\n".join(lines)


def _cells(found: Sequence[ClassificationMeasures]) -> str:
    return " | ".join(_spread([getattr(one, name) for one in found], 3) for name in FIGURES)


def _spread(values: Sequence[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--base", default=OFFLINE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=TRAINING.epochs)
    parser.add_argument("--learning-rate", type=float, default=TRAINING.learning_rate)
    parser.add_argument("--batch-size", type=int, default=TRAINING.batch_size)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    if not (asked.data / "snli_dev.parquet").is_file():
        print(f"{asked.data} does not hold the sets: name their folder with --data", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(asked.threads)
    said = {"epochs": asked.epochs, "learning_rate": asked.learning_rate, "batch_size": asked.batch_size}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        evaluate = {MATCHED: str(asked.data / "mnli_dev_matched.parquet"), **corrupted(asked.data, Path(folder))}
        for seed in range(1, asked.seeds + 1):
            began = time.process_time()
            training = replace(TRAINING, seed=seed, **said)
            result = trained(asked.data, evaluate, asked.base, training, Path(folder))
            results.append(result)
            cpu = time.process_time() - began
            gate = "passed" if result.gate.passed else f"failed {[check.name for check in result.gate.failed]}"
            print(f"seed {seed}: {sum(result.data.rows.values()):,} pairs learnt from, {result.steps} steps, the best "
                  f"{result.best_step}, {cpu:.0f} CPU s, gate {gate}", file=sys.stderr, flush=True)  # fmt: skip
            print(f"{held_out_table(results)}\n\n{further_table(results)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
