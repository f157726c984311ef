"""Is a fine-tuned classifier of query and product worth more than a regression?

    python benchmarks/classifiers.py                        # all 74,067 pairs of home_depot, the offline base, one seed
    python benchmarks/classifiers.py --pairs 20000 --seeds 3    # a part of them: five minutes a seed
    python benchmarks/classifiers.py --base distilbert-base-uncased     # where the hub can be reached

Data: `../shared/data/queries/home_depot_query_product.parquet` (real queries, graded 1 to 3 by people), or the file of
`--data` with the same columns. Grades become the classes E (3), S (2.33 and more), C (1.67 and more) and I; whole
queries are drawn, and dealt so that none is on two sides. Every model is measured on the same held-out pairs, by
`shopmon retrain --task relevance`'s own code; the split changes with the seed. No class is weighed in the training, as
in the published recipes; since a regression may gain by weights what it lacks in the rare classes, both baselines are
asked once more with each class weighed alike.
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

import pyarrow.parquet as pq
import torch

from retrain.answering import regressions
from retrain.base import load_encoder
from retrain.classifier import fresh_classifier
from retrain.classifier_card import NAMES
from retrain.classifier_data import prepare
from retrain.classifier_learning import measure
from retrain.classifier_settings import ClassifierObjective, ClassifierTraining, Weighting
from retrain.classifier_training import Asked
from retrain.pairs import PairSettings, read_pairs
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


def table(found: Mapping[str, Sequence[ClassificationMeasures]]) -> str:
    """Model → what it was measured as with each seed; as a Markdown table of mean ± standard deviation."""
    lines = [f"| model | {' | '.join(FIGURES)} |", f"|---{'|---:' * len(FIGURES)}|"]
    for model, measured in found.items():
        figures = [numbers(one) for one in measured]
        lines.append(f"| {model} | {' | '.join(_spread([one[name] for one in figures]) for name in FIGURES)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def settings_of(file: Path, asked: argparse.Namespace, seed: int) -> RelevanceSettings:
    """What one seed trains with; the baselines learn from all pairs, too."""
    return RelevanceSettings(
        base=asked.base,
        pairs=PairSettings(data=(str(file),), grades=GRADES),
        split=SplitSettings(seed=seed),
        training=replace(TRAINING, seed=seed, epochs=asked.epochs),
        baseline_rows=asked.pairs,
    )


def trained(settings: RelevanceSettings, home: Path) -> TrainingResult:
    """One training; nothing is kept of it but its numbers."""
    name = f"seed-{settings.training.seed}"
    room = home / name
    return train(Asked(settings, Registry(room / "models"), room / "training", home / "cache", name))


def weighed(settings: RelevanceSettings, home: Path) -> dict[Role, ClassificationMeasures]:
    """Both baselines once more, with each class weighed alike, on the same rows."""
    alike = replace(settings, objective=ClassifierObjective(class_weights=Weighting.BALANCED))
    labelled = read_pairs(settings.pairs, home / "cache")
    base = load_encoder(settings.base, home / "cache")
    before = fresh_classifier(base.folder, labelled.classes, settings.training.seed)
    material = prepare(before, labelled, alike, home / "cache")
    said = regressions(before, material, alike)
    return {role: measure(one, material.held_out, labelled.classes, alike) for role, one in said.items()}


def measured(result: TrainingResult, again: Mapping[Role, ClassificationMeasures]) -> dict[str, ClassificationMeasures]:
    """The lines of the table, of one seed."""
    found = {}
    for role in (Role.TFIDF, Role.FROZEN, Role.CANDIDATE):
        one = result.measures[role].classification
        if one is None:
            raise AssertionError(role)
        found[NAMES[role]] = one
        if role in again:
            found[f"{NAMES[role]}, classes alike"] = again[role]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--pairs", type=int, default=74_067, help="pairs at most, whole queries of them")
    parser.add_argument("--base", default=OFFLINE)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=float, default=TRAINING.epochs)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    if not asked.data.is_file():
        print(f"{asked.data} is not here: give another file with --data", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(asked.threads)
    found: dict[str, list[ClassificationMeasures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = drawn(asked.data, asked.pairs, Path(folder) / "pairs.parquet")
        for seed in range(1, asked.seeds + 1):
            began = time.process_time()
            settings = settings_of(file, asked, seed)
            result = trained(settings, Path(folder))
            for model, one in measured(result, weighed(settings, Path(folder))).items():
                found.setdefault(model, []).append(one)
            rows = ", ".join(str(sum(side.values())) for side in (result.data.rows, result.data.held_out))
            said = "passed" if result.gate.passed else f"failed {[check.name for check in result.gate.failed]}"
            cpu = time.process_time() - began
            print(f"seed {seed}: {rows} pairs learnt from and held out, {result.steps} steps, {cpu:.0f} CPU s, {said}",
                  file=sys.stderr, flush=True)  # fmt: skip
            print(table(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
