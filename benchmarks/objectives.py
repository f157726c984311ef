"""Which way of training rids a model of unwanted words and leaves the rest as it was?

    python benchmarks/objectives.py                               # the offline base, three seeds
    python benchmarks/objectives.py --base distilbert-base-uncased  # where the model hub can be reached

The experiment of the Nike hackathon (examples/nike), three ways, each with the same base, steps, rows per step and
learning rate, each measured on the same held-out texts and prompts:

- v1: cross-entropy on every text of the corpus;
- v2: cross-entropy on the rows that the hackathon's rule chose, words found as parts of other words;
- ours: `shopmon retrain` with the settings of examples/nike/shopmon.toml.

Neither joins texts to chunks of 128 tokens, as the hackathon did: here a row is a text. Masses are the mean probability
of the wanted or unwanted words of one piece over the gate's prompts, none of which is trained on.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "nike"))

from corpus import DATA, HERE, corpus
from select_rows import selections

from monitor.retraining_set import RetrainingSet
from retrain.evaluation import EvaluationSets, measure
from retrain.loading import MaskedModel, load_masked_lm
from retrain.metrics import Metrics
from retrain.mlm import Asked, Material, learn, load_base, prepare
from retrain.registry import Registry
from retrain.results import Contrast, Measures, TextSet
from retrain.settings import MlmSettings, Objective, Recipe
from shopmon.checking import check
from shopmon.project import Project
from shopmon.references import set_reference
from shopmon.retraining import project_texts
from shopmon.rooms import mlm_settings

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
    found = load_base(base, project.cache, project_texts=own, progress=lambda now: _tell(f"{now.doing} {now.step}"))
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


def trained(way: str, seed: int, on: Scene, material: Material) -> tuple[MaskedModel, Outcome]:
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
        on.of_base,
        replace(material, sets=on.sets),
        settings,
        folder=folder,
        metrics=Metrics(folder / "metrics.jsonl"),
    )
    spent = time.process_time() - began
    measures = measure(learnt.model, on.sets, rows=ROWS, fill_ins=True)
    model = replace(learnt.model, model=copy.deepcopy(learnt.model.model).float())
    shutil.rmtree(folder)
    return model, Outcome(way, seed, learnt.fitted.step, spent, measures)


def numbers(found: Measures, base: Measures) -> dict[str, float]:
    """The columns of the table."""
    texts = {name: found.texts[name].perplexity for name in TextSet if name in found.texts}
    ratio = texts[TextSet.GENERAL] / base.texts[TextSet.GENERAL].perplexity
    mass = found.masses
    return {
        "wanted": mass[Contrast.GATE].wanted,
        "unwanted": mass[Contrast.GATE].unwanted,
        "other brands": mass[Contrast.OTHER_BRANDS].unwanted,
        "complaints": mass[Contrast.COMPLAINTS].unwanted,
        "general ppl": texts[TextSet.GENERAL],
        "× base": ratio,
        "project ppl": texts[TextSet.PROJECT],
        "held-out ppl": texts[TextSet.RETRAINING],
    }


def table(base: Measures, outcomes: Sequence[Outcome]) -> str:
    """Mean ± standard deviation over the seeds, as a Markdown table."""
    names = list(numbers(base, base))
    lines = [f"| way | steps | CPU s | {' | '.join(names)} |", f"|---{'|---:' * (len(names) + 2)}|"]
    plain = [_digits(name, value) for name, value in numbers(base, base).items()]
    lines.append(f"| base | – | – | {' | '.join(plain)} |")
    for way in WAYS:
        runs = [one for one in outcomes if one.way == way]
        if not runs:
            continue
        found = [numbers(one.measures, base) for one in runs]
        told = [_spread(name, [one[name] for one in found]) for name in names]
        steps = sorted({one.steps for one in runs})
        span = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]}–{steps[-1]}"
        cpu = statistics.mean(one.cpu_seconds for one in runs)
        lines.append(f"| {way} | {span} | {cpu:.0f} | {' | '.join(told)} |")
    return "\n".join(lines)


def _spread(name: str, values: Sequence[float]) -> str:
    mean = _digits(name, statistics.mean(values))
    return f"{mean} ± {_digits(name, statistics.stdev(values))}" if len(values) > 1 else mean


def _digits(name: str, value: float) -> str:
    return f"{value:.1f}" if name.endswith("ppl") else f"{value:.2f}" if name == "× base" else f"{value:.3f}"


def targets(base: Measures, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was to be reached, and what was."""
    ours = [numbers(one.measures, base) for one in outcomes if one.way == "ours"]
    before = numbers(base, base)

    def change(name: str) -> float:
        return max(abs(one[name] / before[name] - 1) for one in ours)

    for says, value, limit, at_most in (
        ("unwanted mass, the worst seed", max(one["unwanted"] for one in ours), 0.02, True),
        ("wanted mass, the worst seed", min(one["wanted"] for one in ours), 0.5, False),
        ("other brands' change, the worst seed", change("other brands"), 0.2, True),
        ("complaints' change, the worst seed", change("complaints"), 0.2, True),
        ("general perplexity × base, the worst seed", max(one["× base"] for one in ours), 1.1, True),
    ):
        met = value <= limit if at_most else value >= limit
        yield f"{'met   ' if met else 'MISSED'} {says}: {value:.3f} ({'≤' if at_most else '≥'} {limit})"


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="offline", help="offline, a folder, or a name on the hub")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of every way; otherwise as examples/nike/shopmon.toml says")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the shop's three CSV files ({DATA})")
    parser.add_argument("--folder", type=Path, help="where to work; what is there is used again (otherwise a new one)")
    given = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="shopmon-objectives-") as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        on, material = scene(folder, given.data, given.base, given.steps)
        outcomes = []
        for seed in range(1, given.seeds + 1):
            for way in given.ways:
                _, outcome = trained(way, seed, on, material[way])
                outcomes.append(outcome)
                _tell(f"{way} seed {seed}: {json.dumps(numbers(outcome.measures, on.of_base))}")
        sys.stdout.write(f"{table(on.of_base, outcomes)}\n\n")
        if "ours" in given.ways:
            sys.stdout.write("\n".join(targets(on.of_base, outcomes)) + "\n")


if __name__ == "__main__":
    main()
