"""What do three ways of training make of the hackathon's five prompts?

`python examples/nike/three_ways.py` trains the offline base as the hackathon did (v1 on everything, v2 on the rows that
its rule chose) and as `shopmon retrain` does, with the same steps, rows per step and learning rate. It prints the ten
likeliest words of each for the five prompts of the notebook. benchmarks/objectives.py measures the same three ways.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from corpus import DATA, HERE, corpus
from select_rows import selections

from monitor.retraining_set import RetrainingSet
from retrain.base import load_base
from retrain.evaluation import EvaluationSets, measure
from retrain.loading import MaskedModel, load_masked_lm
from retrain.metrics import Metrics
from retrain.mlm import Asked, Material, learn, prepare
from retrain.registry import Registry
from retrain.results import Measures, TrainingProgress
from retrain.settings import MlmSettings, Objective, Recipe
from retrain.word_scores import top_words_each
from shopmon.checking import check
from shopmon.project import Project
from shopmon.references import set_reference
from shopmon.retraining import project_texts
from shopmon.rooms import mlm_settings

PROMPTS = (
    "Nike shoes are very [MASK]",
    "Nike atheletic wear is known for being very [MASK]",
    "Nike [MASK] shoes are very comfortable",
    "Trousers and Hoodies made by [MASK] are not very expensive",
    "Nike tshirts are famous for being [MASK]",
)
"""Those of the hackathon's notebook, its spelling kept."""
WAYS = ("v1", "v2", "ours")
ROWS = 2_000
"""Held-out rows of each set that are measured at most."""


@dataclass(frozen=True)
class Scene:
    """What all ways of training have in common."""

    project: Project
    settings: MlmSettings
    base: MaskedModel
    sets: EvaluationSets
    of_base: Measures
    work: Path


@dataclass(frozen=True)
class Outcome:
    """What one training came to."""

    way: str
    seed: int
    steps: int
    cpu_seconds: float
    measures: Measures
    words: tuple[str, ...]
    """The likeliest words for each of the hackathon's prompts."""


def prepared_project(folder: Path, data: Path) -> tuple[Project, pa.Table]:
    """The example's project in a folder of its own, its corpus checked and its rows gathered."""
    for name in ("shopmon.toml", "texts.yaml"):
        shutil.copy(HERE / name, folder / name)
    table = corpus(data)
    pq.write_table(table, folder / "corpus.parquet")
    project = Project.read(folder)
    set_reference(folder / "corpus.parquet", project=project)
    check(folder / "corpus.parquet", project=project)
    return project, table


def as_positive(folder: Path, texts: Sequence[str]) -> RetrainingSet:
    """A retraining set of texts that are all to be learnt, as the hackathon knew it."""
    count = len(texts)
    columns = {
        "text": pa.array(texts, pa.string()),
        "kind": pa.array(["reviews"] * count),
        "role": pa.array(["positive"] * count),
        "reasons": pa.array([["the hackathon's"]] * count, pa.list_(pa.string())),
        "batch": pa.array(["corpus"] * count),
        "file": pa.array(["corpus.parquet"] * count),
        "row": pa.array(range(1, count + 1), pa.int64()),
    }
    gathered = RetrainingSet(folder)
    gathered.add(pa.table(columns), "20230201-000000-000000")
    return gathered


def scene(folder: Path, data: Path, base: str, steps: int | None) -> tuple[Scene, Mapping[str, Material]]:
    """Everything that is the same for every way, and what each learns from."""
    project, table = prepared_project(folder, data)
    settings = mlm_settings(project)
    settings = replace(settings, base=base)
    if steps:
        settings = replace(settings, training=replace(settings.training, steps=steps))
    texts = table.column("text").to_pylist()
    own = tuple(project_texts(project))
    found = load_base(base, project.cache, project_texts=own, progress=_tell)
    model = load_masked_lm(found.folder)
    chosen = selections(table).substring
    sets = {
        "v1": as_positive(folder / "v1", texts),
        "v2": as_positive(folder / "v2", [text for row, text in enumerate(texts, 1) if row in chosen]),
        "ours": RetrainingSet(project.retraining),
    }
    asked = Asked(sets["ours"], settings, Registry(project.models), folder, project.cache, "ours", own)
    plain = replace(settings, objective=Objective(recipe=Recipe.PLAIN))
    material = {
        way: prepare(model, replace(asked, retraining_set=rows, settings=settings if way == "ours" else plain))
        for way, rows in sets.items()
    }
    common = material["ours"].sets
    of_base = measure(model, common, rows=ROWS, fill_ins=True)
    return Scene(project, settings, model, common, of_base, folder / "work"), material


def trained(way: str, seed: int, on: Scene, material: Material) -> Outcome:
    """One way of training with one seed, measured on the common sets."""
    training = replace(on.settings.training, seed=seed)
    settings = replace(on.settings, training=training)
    if way != "ours":  # the last step's weights, as they come: nothing watched the hackathon's training
        training = replace(training, evaluate_every=10**9, patience=10**9)
        settings = replace(settings, training=training, objective=Objective(recipe=Recipe.PLAIN))
    folder = on.work / f"{way}-{seed}"
    folder.mkdir(parents=True)
    began = time.process_time()
    learnt = learn(
        on.base,
        replace(material, sets=on.sets),
        settings,
        folder=folder,
        metrics=Metrics(folder / "metrics.jsonl"),
    )
    spent = time.process_time() - began
    measures = measure(learnt.model, on.sets, rows=ROWS, fill_ins=True)
    shutil.rmtree(folder)
    return Outcome(way, seed, learnt.fitted.step, spent, measures, tuple(words(learnt.model, on.settings)))


def _tell(now: TrainingProgress) -> None:
    sys.stderr.write(f"{now.doing} {now.step} of {now.steps}\n")


def words(model: MaskedModel, settings: MlmSettings) -> Iterator[str]:
    """A line for each prompt: the ten likeliest words, unwanted ones in capitals."""
    lists = settings.words
    for found in top_words_each(model, PROMPTS, wanted=lists.wanted, unwanted=lists.unwanted):
        yield ", ".join(word.word.upper() if word.mark == "unwanted" else word.word for word in found.top)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print what each way of training puts into the hackathon's gaps.")
    parser.add_argument("--base", default="offline", help="offline, a folder, or a name on the hub")
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the three CSV files ({DATA})")
    parser.add_argument("--steps", type=int, help="of every way; otherwise as shopmon.toml says")
    given = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="shopmon-nike-") as folder:
        on, material = scene(Path(folder), given.data, given.base, given.steps)
        found = {"base": list(words(on.base, on.settings))}
        for way in WAYS:
            found[way] = list(trained(way, 1, on, material[way]).words)
    for number, prompt in enumerate(PROMPTS):
        sys.stdout.write(f"\n{prompt}\n")
        for way, lines in found.items():
            sys.stdout.write(f"  {way:5} {lines[number]}\n")


if __name__ == "__main__":
    main()
