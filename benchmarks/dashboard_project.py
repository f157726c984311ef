"""What has a shop that has checked its data a thousand times? A project of that size, for `dashboard.py`.

A few checks are real, on generated data with faults and shifts; the other runs are their documents with other ids,
times and figures, so that every document has the size and the shape that checks write. Models are DistilBERTs of random
weights: of what they say nothing is measured, and reading and asking them takes as long as if they had learnt. The same
size gives the same project, but for the times at which decisions were made.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitor.retraining_set import ROWS, text_hashes
from monitor.reviews import Decision, Verdict
from monitor.runs import Input, Run, RunStore
from retrain import lineage, metrics, records
from retrain.gate import judge
from retrain.registry import LINEAGE, Registry
from retrain.results import BaseUsed, Contrast, DataUsed, FillIn, MassMeasure, Measures, Role, TextMeasure, TextSet
from retrain.results import TrainingResult as Result
from retrain.settings import GateSettings
from retrain.weights import weights_sha256
from shopmon.checking import attempt
from shopmon.planted_faults import plant
from shopmon.project import Project
from shopmon.references import set_reference
from shopmon.request import Request
from shopmon.sample_data import Shift, products, reviews

MADE = "made.json"
"""The file that says of which size a finished project is."""
STORE = "made.sqlite"
"""The run store as it was made; what is measured is a copy, because people decide and check meanwhile."""
WHOLE_RUNS, PARTS, DECISIONS, LINEAGE_ROWS, LARGE, STEPS = 40, 200, 10_000, 100_000, 200_000, 1_000
"""Runs with their folders, parts of the retraining set, decisions, rows of a model's lineage, rows of the one large
quarantine, and steps of a training: so many for a project of full size, and fewer where there are fewer rows."""
BATCH_ROWS = 20_000
LAST = datetime(2026, 11, 20, 19, 58, 1, tzinfo=UTC)
"""When the newest run began; each one before began some hours earlier."""
SETTINGS = """
[edge_cases.words]
brands = ["Nike"]
other_brands = ["Puma", "Adidas", "Reebok", "Asics"]
products = ["shoes", "jacket", "socks"]
wanted = ["comfortable", "light", "warm", "durable", "stylish", "soft", "breathable", "waterproof", "fine", "modern"]
unwanted = ["expensive", "ugly", "cheap", "heavy", "stiff", "poor quality", "overpriced", "dirty", "tacky", "bulky"]

[retrain]
base = "base"
"""
_ROLES = ("positive", "counterfactual", "negative", "replay")
_REASONS = ("brand_praised", "other_brands", "brand_with_unwanted", "stars_disagree", "far_from_reference")
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Size:
    """How much of everything there is."""

    runs: int = 1_000
    models: int = 5
    rows: int = 1_000_000
    """Of the retraining set."""
    width: int = 768
    """Of the models' vectors; 768 in six layers are DistilBERT's 66 million parameters."""

    @property
    def parts(self) -> int:
        """Of the retraining set."""
        return max(min(PARTS, self.rows // 100), 1)

    @property
    def decisions(self) -> int:
        """About so many rows people decided."""
        return min(DECISIONS, self.rows // 100)

    @property
    def large(self) -> int:
        """Rows of the largest quarantine."""
        return min(LARGE, self.rows)


def make(folder: Path, size: Size) -> None:
    """Fill a folder with a project of this size; it is kept if it has it already.

    Raises ValueError for a folder that holds anything else.
    """
    made = folder / MADE
    if made.exists() and json.loads(made.read_text()) == asdict(size):
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds something else than a project of {size}: name another --folder, or empty it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    project = Project.read(folder)
    with TemporaryDirectory(dir=folder) as scratch, RunStore.open(folder / STORE) as store:
        said("checking a few batches", 0, 1)
        checks = real_checks(Path(scratch), size)
        ids = run_ids(size.runs)
        models = make_models(project, size, ids)
        gather(project, size, ids, checks)
        record(project, store, ids, checks, models)
        decide(project, store, size)
    made.write_text(json.dumps(asdict(size)), encoding="utf-8")
    print(file=sys.stderr)


def said(what: str, done: int, of: int) -> None:
    """A line of progress on standard error, in place of the one before."""
    print(f"\r\x1b[K{what}: {done:,} of {of:,}", end="", file=sys.stderr, flush=True)


def run_ids(runs: int) -> list[tuple[str, datetime]]:
    """Ids of the runs and when they began, the newest first."""
    draw, at, found = random.Random(1), LAST, []
    for _ in range(runs):
        found.append((f"{at:%Y%m%d-%H%M%S}-{draw.randrange(16**6):06x}", at))
        at -= timedelta(seconds=draw.randrange(3_600, 6 * 3_600))
    return found


# --- a few real checks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """A check that was really made."""

    document: str
    """JSON."""
    folder: Path | None

    @property
    def said(self) -> dict[str, Any]:
        """Its document, new each time."""
        return dict(json.loads(self.document))


def real_checks(scratch: Path, size: Size) -> list[Checked]:
    """The checks that all runs are like: one with the large quarantine, some usual ones, and one that could not run."""
    (scratch / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    rows = min(BATCH_ROWS, max(size.rows, 1_000))
    by = {"reviews": ("brand", "locale"), "products": ("brand",)}
    for name, table in (("reviews", reviews(rows, seed=1)), ("products", products(rows // 4, seed=1))):
        set_reference(_written(table, scratch / f"{name}.parquet"), project=scratch, by=by[name])
    shift = Shift(price_factor=1.15, brand_share=0.2, complaint_share=0.3, lower_stars=0.1)
    batches = {
        "large": _spoilt(reviews(size.large + rows // 2, seed=2), size.large),
        "shifted": plant(reviews(rows, seed=3, shift=shift), seed=3).table,
        "usual": plant(reviews(rows, seed=4), seed=4).table,
        "goods": plant(products(rows // 4, seed=5), seed=5).table,
    }
    found = []
    for number, (name, table) in enumerate(batches.items()):
        said("checking a few batches", number, len(batches))
        asked = by["products" if name == "goods" else "reviews"]
        found.append(_checked(Request(data=_written(table, scratch / f"{name}.parquet"), project=scratch, by=asked)))
    return [*found, _checked(Request(data=scratch / "missing.parquet", project=scratch))]


def _written(table: pa.Table, file: Path) -> Path:
    pq.write_table(table, file)
    return file


def _spoilt(table: pa.Table, bad: int) -> pa.Table:
    """The table with markup in the first `bad` texts."""
    marked = pa.array(np.arange(table.num_rows) < bad)
    texts = pc.if_else(marked, pc.binary_join_element_wise("<b>", table["text"], "</b>", ""), table["text"])
    return table.set_column(table.column_names.index("text"), "text", texts)


def _checked(request: Request) -> Checked:
    result = attempt(request)
    return Checked(json.dumps(result.document()), result.folder)


# --- a thousand runs --------------------------------------------------------------------------------------------------


def record(
    project: Project,
    store: RunStore,
    ids: Sequence[tuple[str, datetime]],
    checks: Sequence[Checked],
    models: Mapping[str, Result],
) -> None:
    """Every run with its document; the newest ones with their folders, too."""
    draw = random.Random(2)
    for number, (run_id, at) in enumerate(ids):
        said("recording runs", number, len(ids))
        if run_id in models:
            store.add(training_run(models[run_id], at))
            continue
        checked = _like(checks, number, draw)
        folder = project.runs.absolute() / run_id
        told = varied(checked.said, draw, number, run_id, at, folder)
        if number < WHOLE_RUNS and checked.folder:
            _copy(checked.folder, folder)
            (folder / "result.json").write_text(json.dumps(told), encoding="utf-8")
        store.add(check_run(told, at, folder))


def _like(checks: Sequence[Checked], number: int, draw: random.Random) -> Checked:
    large, shifted, usual, goods, failed = checks
    if number == 0:
        return large
    return draw.choices((shifted, usual, goods, failed), (35, 48, 15, 2))[0]


def _copy(source: Path, folder: Path) -> None:
    """The files of a real check's folder, without their bytes, but those that are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name != "result.json" and not (folder / file.name).exists():
            os.link(file, folder / file.name)


def varied(
    told: dict[str, Any], draw: random.Random, number: int, run_id: str, at: datetime, folder: Path
) -> dict[str, Any]:
    """A check's document as that of another run: other ids, times and files, and other figures in the same places."""
    name, times = f"{folder.parents[2] / 'data'}/{told['kind'] or 'batch'}-{number:04d}.parquet", draw.uniform(0.5, 1.5)
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    told |= {"run_id": run_id, "started": at.isoformat(timespec="seconds"), "seconds": round(draw.uniform(4, 9), 3)}
    told["artifacts"] = {what: str(folder / Path(file).name) for what, file in told["artifacts"].items()}
    told["sources"] = [{**source, "name": name, "sha256": digest} for source in told["sources"]]
    for rule in told["expectations"]:
        if number:  # the newest is as it was, so that its quarantine has what it says
            rule["unexpected"] = min(int((rule["unexpected"] or 0) * times), rule["examined"] or 0)
        if rule["outcome"] == "failed" and number and draw.random() < 0.3:
            rule |= {"outcome": "passed", "success": True}
        _elsewhere(rule, name)
    if number and told["status"] != "error":
        broken = any(rule["outcome"] == "failed" and rule["severity"] == "critical" for rule in told["expectations"])
        told["status"] = "failed" if broken else "passed"
    for one in told["drift"]["columns"]:
        one["effect"] *= draw.uniform(0.5, 1.5)
        one["drifted"] = one["drifted"] and one["effect"] >= one["floor"]
        for row in one["examples"]:
            _elsewhere({"example": row}, name)
    return told


def _elsewhere(said_of: Mapping[str, Any], name: str) -> None:
    if said_of.get("example"):
        said_of["example"]["file"] = name


def check_run(told: dict[str, Any], at: datetime, folder: Path) -> Run:
    """A check as the store keeps it."""
    named = [
        Input(name=one["name"], sha256=one["sha256"], rows=one["rows"], bytes=one["bytes"]) for one in told["sources"]
    ]
    return Run(
        run_id=told["run_id"],
        command="check",
        status=told["status"],
        kind=told["kind"],
        started_at=at,
        seconds=told["seconds"],
        rows=told["rows"],
        quarantined=told["quarantined"],
        inputs=tuple(named),
        versions={"shopmon": told["shopmon_version"], "duckdb": "2.0.0"},
        folder=None if told["error"] else str(folder),
        document=told,
    )


def training_run(result: Result, at: datetime) -> Run:
    """A training as the store keeps it."""
    return Run(
        run_id=result.model_id,
        command="retrain",
        status="passed" if result.gate.passed else "failed",
        kind=None,
        started_at=at,
        seconds=result.seconds,
        rows=sum(result.data.rows.values()),
        quarantined=0,
        inputs=(Input(name="retraining", sha256=result.data.sha256, rows=1, bytes=None),),
        versions=dict(result.versions),
        folder=str(result.folder),
        document=records.document(result),
    )


# --- the retraining set, and what people decided ----------------------------------------------------------------------


def gather(project: Project, size: Size, ids: Sequence[tuple[str, datetime]], checks: Sequence[Checked]) -> None:
    """The retraining set in parts, each of one check; the newest checks keep the signals of their rows."""
    folder = project.retraining / "rows"
    folder.mkdir(parents=True)
    signals = pq.read_table(checks[1].folder / "edge_cases.parquet") if checks[1].folder else None
    for number, part in enumerate(_parts(size, ids), 1):
        said("gathering rows", number, size.parts)
        run_id = part["run_id"][0].as_py()
        pq.write_table(part, folder / f"{number:06d}-{run_id}.parquet", compression="zstd", write_page_checksum=True)
        if signals is not None and size.parts - number < WHOLE_RUNS:
            home = project.runs / run_id
            home.mkdir(parents=True, exist_ok=True)
            pq.write_table(_chosen(part, signals), home / "edge_cases.parquet", compression="zstd")


def _parts(size: Size, ids: Sequence[tuple[str, datetime]]) -> Iterator[pa.Table]:
    """The oldest first; where there are more parts than runs, the oldest run has added several."""
    draw, texts = np.random.default_rng(3), _texts(size.rows)
    for number in range(size.parts):
        rows = size.rows // size.parts + (number < size.rows % size.parts)
        run_id, at = ids[min(size.parts - 1 - number, len(ids) - 1)]
        text = pa.array([next(texts) for _ in range(rows)])
        first = draw.choice(len(_REASONS), rows, p=(0.5, 0.3, 0.1, 0.06, 0.04))
        second = draw.integers(0, 4 * len(_REASONS), rows)
        yield pa.table(
            {
                "text": text,
                "kind": ["reviews"] * rows,
                "role": pa.array(_ROLES).take(pa.array(draw.choice(4, rows, p=(0.6, 0.3, 0.07, 0.03)))),
                "reasons": [
                    [_REASONS[one], *((_REASONS[other],) if other < len(_REASONS) and other != one else ())]
                    for one, other in zip(first.tolist(), second.tolist(), strict=True)
                ],
                "batch": [hashlib.sha256(run_id.encode()).hexdigest()] * rows,
                "file": [f"data/reviews-{number:04d}.parquet"] * rows,
                "row": range(1, rows + 1),
                "text_hash": text_hashes(text),
                "id": [f"R{number:03d}{place:06d}" for place in range(rows)],
                "run_id": [run_id] * rows,
                "added_at": [at] * rows,
            },
            schema=ROWS,
        )


def _texts(rows: int) -> Iterator[str]:
    """Different texts of 100 to 300 characters."""
    given, block = 0, 50_000
    for start in range(0, 4 * rows + block, block):
        for text in reviews(min(block, 4 * rows), seed=6, start=start)["text"].to_pylist():
            if 85 <= len(text) <= 285:
                yield f"{text} ({given:,}.)"
                given += 1


def _chosen(part: pa.Table, like: pa.Table) -> pa.Table:
    """What a check keeps of the rows it chose, their signals among it."""
    turns = pa.array(np.arange(part.num_rows) % like.num_rows)
    same = {name: part[name] for name in like.column_names if name in part.column_names and name not in ("file", "id")}
    return pa.table({name: same.get(name, like[name].take(turns)) for name in like.column_names})


def decide(project: Project, store: RunStore, size: Size) -> None:
    """Decisions about rows all over the set, some at once and most one by one."""
    files, draw = sorted((project.retraining / "rows").iterdir()), random.Random(4)
    each = -(-size.decisions // len(files))
    waiting = [
        digest
        for file in files
        for digest in pq.read_table(file, columns=["text_hash"])["text_hash"].to_pylist()[:each]
    ]
    while waiting:
        said("deciding", size.decisions - len(waiting), size.decisions)
        act, waiting = waiting[: (many := draw.choice((1, 1, 10, 50)))], waiting[many:]
        store.reviews.decide([_decision(digest, draw) for digest in act], by=draw.choice(("Ann", "Ben")))


def _decision(digest: str, draw: random.Random) -> Decision:
    verdict = draw.choices(tuple(Verdict), (70, 20, 10))[0]
    role = "replay" if verdict is Verdict.RELABELLED else None
    return Decision(kind="reviews", text_hash=digest, verdict=verdict, role=role)


# --- models -----------------------------------------------------------------------------------------------------------


def make_models(project: Project, size: Size, ids: Sequence[tuple[str, datetime]]) -> dict[str, Result]:
    """A base and models that differ from it, each with what its training told; run's id → its training."""
    base, registry, found = project.folder / "base", Registry(project.models), {}
    _save_base(base, size.width)
    used = BaseUsed("base", weights_sha256(base), str(base.absolute()))
    before: str | None = None
    for number in range(size.models):  # the oldest first
        said("making models", number, size.models)
        model_id, _ = ids[-1 - (number + 1) * (len(ids) - 1) // (size.models + 1)]
        with registry.adding("mlm", model_id) as staging:
            _vary(base, staging, seed=number)
            result = _trained(model_id, used, before, number, staging, registry.folder / "mlm" / model_id, project)
            records.write(result, staging)
            _tell(staging / metrics.FILE_NAME, result)
            pq.write_table(_lineage(min(LINEAGE_ROWS, size.rows), number, ids), staging / LINEAGE, compression="zstd")
        found[model_id] = result
        if result.promoted:
            registry.promote(model_id, by="gate", reason="it passed the gate")
            before = model_id
    return found


def _save_base(folder: Path, width: int) -> None:
    import torch
    import transformers
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    torch.manual_seed(1)
    names = _vocabulary()
    heads = max(width // 64, 1)
    shape = DistilBertConfig(vocab_size=len(names), dim=width, hidden_dim=4 * width, n_heads=heads, n_layers=6)
    DistilBertForMaskedLM(shape).save_pretrained(folder)
    make_tokenizer = transformers.BertTokenizerFast  # type: ignore[attr-defined]  # it is there once it is asked for
    tokenizer = make_tokenizer(vocab={name: at for at, name in enumerate(names)}, model_max_length=512)
    tokenizer.save_pretrained(folder)


def _vocabulary() -> list[str]:
    """BERT's own 30,522 pieces where a package brings them (the extra `offline`), else as many made-up ones."""
    from expectations.errors import ShopmonError
    from monitor.embeddings import offline_model

    try:
        return (offline_model() / "vocab.txt").read_text(encoding="utf-8").splitlines()
    except ShopmonError:
        letters = [f"{mark}{letter}" for mark in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789,.'-"]
        known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
        known += [word for word in dict.fromkeys(SETTINGS.lower().replace('"', " ").split()) if word.isalpha()]
        draw = random.Random(5)
        made = ("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(4, 9))) for _ in range(40_000))
        return list(dict.fromkeys([*known, *made]))[:30_522]


def _vary(base: Path, folder: Path, *, seed: int) -> None:
    """The base with a bias of its own for each word: another model, with other answers."""
    import torch
    from safetensors.torch import load_file, save_file

    for file in base.iterdir():
        if file.name != _WEIGHTS:
            shutil.copy(file, folder)
    weights, draw = load_file(base / _WEIGHTS), torch.Generator().manual_seed(seed)
    bias = weights["vocab_projector.bias"]
    weights["vocab_projector.bias"] = bias + torch.randn(bias.shape, generator=draw)
    save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})


def _trained(
    model_id: str, base: BaseUsed, before: str | None, number: int, staging: Path, folder: Path, project: Project
) -> Result:
    measured = {Role.BASE: _measures(0.25, 0.30, 250.0, project), Role.CANDIDATE: _at(1.0, number, project)}
    if before:
        measured[Role.CHAMPION] = _at(1.0, number - 1, project)
    gate = judge(measured, GateSettings())
    return Result(
        model_id=model_id,
        task="mlm",
        base=base,
        champion_before=before,
        promoted=gate.passed or before is None,
        forced=not gate.passed and before is None,
        gate=gate,
        measures=measured,
        data=DataUsed(
            rows={"positive": 60_000, "negative": 7_000, "counterfactual": 22_000},
            held_out={"positive": 6_000, "negative": 700, "counterfactual": 2_200},
            general=20_000,
            general_source="Python 3.11.7's documentation strings",
            sha256=hashlib.sha256(model_id.encode()).hexdigest(),
            parts=tuple(f"{part:06d}-{model_id}.parquet" for part in range(1, 21)),
        ),
        steps=STEPS,
        best_step=STEPS - 100,
        seconds=5_400.0 + number,
        tokens=8_200_000,
        weights_sha256=weights_sha256(staging),
        settings={"base": base.name, "training": {"held_out": 0.1, "seed": number}},
        versions={"shopmon": "0.1.0", "torch": "2.13.0"},
        folder=folder,
    )


def _at(done: float, number: int, project: Project) -> Measures:
    """What a candidate is worth at a share of its training."""
    return _measures(
        0.25 + (0.3 + 0.02 * number) * done, 0.30 - (0.285 + 0.002 * number) * done, 250 + 6 * done, project
    )


def _measures(wanted: float, unwanted: float, general: float, project: Project) -> Measures:
    def text(perplexity: float) -> TextMeasure:
        return TextMeasure(math.log(perplexity), perplexity, 2_048, 31_004)

    from retrain.prompts import asked

    words = project.words
    likeliest = tuple(FillIn(word, 0.25 / (place + 1)) for place, word in enumerate(words.wanted))
    return Measures(
        texts={TextSet.PROJECT: text(32), TextSet.RETRAINING: text(19), TextSet.GENERAL: text(general)},
        masses={
            Contrast.GATE: MassMeasure(wanted, unwanted, 12),
            Contrast.OTHER_BRANDS: MassMeasure(0.2, 0.31, 24),
            Contrast.COMPLAINTS: MassMeasure(0.02, 0.106, 8),
        },
        fill_ins=dict.fromkeys(asked(project.prompts.gate, words.brands), likeliest),
    )


def _tell(file: Path, result: Result) -> None:
    """What a training tells while it learns: each step, and every hundredth what it is worth."""
    base, last = result.measures[Role.BASE], result.measures[Role.CANDIDATE]
    draw, lines = random.Random(result.model_id), []
    told = {"model_id": result.model_id, "task": result.task, "steps": STEPS, "base": metrics.plain(base)}
    lines.append({"event": "begin", "at": LAST.isoformat(), **told})
    for step in range(1, STEPS + 1):
        parts = {name: draw.uniform(0.9, 1.1) * scale / step**0.2 for name, scale in _OBJECTIVE.items()}
        seen = {"tokens": step * 8_192, "tokens_per_second": draw.uniform(1_400, 1_600), "seconds": step * 5.4}
        rate = 3e-5 * (1 - step / STEPS)
        lines.append(
            {"event": "train", "step": step, "loss": sum(parts.values()), "parts": parts, "learning_rate": rate, **seen}
        )
        if step % 100 == 0:
            lines.append({"event": "eval", "step": step, **metrics.plain(last), "seconds": step * 5.4, "score": 3.0})
    lines.append({"event": "end", "step": STEPS, "best_step": result.best_step, "seconds": result.seconds})
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


_OBJECTIVE = {"positive": 2.4, "unlearning": 0.8, "counterfactual": 0.5, "general": 2.1, "anchor": 0.3}


def _lineage(rows: int, seed: int, ids: Sequence[tuple[str, datetime]]) -> pa.Table:
    """The rows that stood before a training, as many as there were, from twenty batches."""
    draw = np.random.default_rng(seed)
    batch = draw.integers(0, min(20, len(ids)), rows)
    uses = (lineage.TRAIN, lineage.HELD_OUT, lineage.REJECTED, lineage.NOT_USED)
    numbers = np.arange(rows)

    def drawn(names: Sequence[str], shares: Sequence[float]) -> pa.Array:
        return pa.array(names).take(pa.array(draw.choice(len(names), rows, p=shares)))

    columns = {
        "text_hash": [hashlib.sha256(f"{seed} {number}".encode()).hexdigest() for number in numbers],
        "role": drawn(_ROLES, (0.6, 0.3, 0.07, 0.03)),
        "reasons": [[_REASONS[one]] for one in draw.integers(0, len(_REASONS), rows)],
        "kind": ["reviews"] * rows,
        "batch": [hashlib.sha256(ids[one][0].encode()).hexdigest() for one in batch],
        "file": [f"data/reviews-{one:04d}.parquet" for one in batch],
        "row": numbers,
        "id": [f"R{number}" for number in numbers],
        "run_id": [ids[one][0] for one in batch],
        "use": drawn(uses, (0.85, 0.1, 0.03, 0.02)),
    }
    return pa.table(columns, schema=lineage.SCHEMA)
