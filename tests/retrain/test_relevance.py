"""A classifier of query and product, from labelled pairs to the registry."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from jsonschema import Draft202012Validator
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from expectations.errors import ShopmonError
from retrain.base import load_encoder
from retrain.classification_measures import ESCI
from retrain.classifier import embed, fresh_classifier, load_classifier, predict
from retrain.classifier_learning import steps_of
from retrain.classifier_settings import (
    BestBy,
    ClassifierGateSettings,
    ClassifierObjective,
    ClassifierTraining,
    Weighting,
)
from retrain.metrics import told
from retrain.pair_steps import cut_texts
from retrain.pairs import PairSettings, read_pairs
from retrain.records import document, from_document
from retrain.registry import Registry
from retrain.relevance import PRESETS, Preset, RelevanceSettings, train
from retrain.results import Role, ServingFormat
from retrain.scorer import load_scorer
from retrain.splits import How, Leaks, SplitSettings

SCRIPT = Path(__file__).with_name("tiny_pairs.py")
ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def small() -> ModuleType:
    """tests/retrain/tiny_pairs.py."""
    spec = importlib.util.spec_from_file_location("tiny_pairs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.set_num_threads(1)
    return module


@pytest.fixture(scope="session")
def file(small: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = small.pairs(tmp_path_factory.mktemp("pairs") / "pairs.parquet")
    return place


@pytest.fixture(scope="session")
def base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tiny.build_model(tmp_path_factory.mktemp("base") / "base")
    return place


@pytest.fixture(scope="session")
def settings(small: ModuleType, base: Path, file: Path) -> RelevanceSettings:
    asked: RelevanceSettings = small.settings_of(base, file)
    return asked


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="session")
def whole(small: ModuleType, settings: RelevanceSettings, room: Path) -> Any:
    """A training that nobody disturbed."""
    return train(small.asked(room, settings))


def again(small: ModuleType, place: Path, settings: RelevanceSettings, **more: Any) -> Any:
    return train(small.asked(place, settings, **more))


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_candidate_and_baselines_are_measured_on_the_same_held_out_rows(whole):
    assert set(whole.measures) == {Role.TFIDF, Role.FROZEN, Role.CANDIDATE}
    found = {role: one.classification for role, one in whole.measures.items()}
    assert {one.rows for one in found.values()} == {sum(whole.data.held_out.values())}
    assert all([one.label for one in of.classes] == list(ESCI) for of in found.values())
    assert all(set(of.ranking) == {"esci", "esci_official_script"} for of in found.values())
    assert len({tuple(one.rows for one in of.classes) for of in found.values()}) == 1


def test_the_document_is_as_its_schema_says_and_is_read_again(whole):
    said = document(whole)
    assert list(SCHEMA.iter_errors(said)) == []
    assert from_document(json.loads(json.dumps(said))).measures == whole.measures
    assert json.loads((whole.folder / "training.json").read_text()) == said


def test_rows_are_counted_by_class_on_every_side(whole):
    data = whole.data
    assert [sum(side.values()) for side in (data.rows, data.validation, data.held_out)] == [144, 48, 48]
    assert data.rows == {"E": 36, "S": 36, "C": 36, "I": 36}
    assert (data.split, data.incomplete, data.leaked) == ("grouped", 0, 0)
    assert len(data.sha256) == 64


def test_the_lineage_names_every_pair_and_no_query_has_two_uses(whole, room):
    rows = Registry(room / "models").lineage(whole.model_id).to_pylist()
    uses: dict[str, set[str]] = {}
    for row in rows:
        uses.setdefault(str((row["row"] - 1) // 4), set()).add(row["use"])
    assert len(rows) == 240
    assert all(len(found) == 1 for found in uses.values())
    assert set().union(*uses.values()) == {"train", "validation", "held out"}
    assert {row["role"] for row in rows} == set(ESCI)


def test_the_champion_answers_on_a_cpu_in_what_was_found_to_be_no_worse(whole):
    serving = whole.serving
    assert serving.format.value in ("onnx_int8", "onnx_fp32")
    assert serving.measured[ServingFormat.TORCH].agreement == 1.0
    assert serving.accuracy_lost <= 0.005
    assert (whole.folder / serving.file).is_file()
    if not torch.cuda.is_available():
        assert load_scorer(whole.folder).how.startswith("onnx")


def test_the_threshold_of_substitutes_is_chosen_on_one_side_and_measured_on_another(whole):
    found = whole.substitutes
    assert found.label == "S"
    assert 0 < found.value < 1
    assert found.chosen_on.rows == sum(whole.data.validation.values())
    assert found.held_out.rows == sum(whole.data.held_out.values())


def test_the_card_tells_measures_classes_and_data(whole):
    card = (whole.folder / "README.md").read_text()
    wanted = ("pipeline_tag: text-classification", "TF-IDF + LR", "frozen base + LR", "### Class by class")
    for said in (*wanted, "nDCG, gains `esci_official_script`", "swaps two of them", "ForSequenceClassification"):
        assert said in card


def test_the_metrics_are_told_while_it_learns(whole):
    lines = told(whole.folder / "metrics.jsonl")
    assert [line["step"] for line in lines if line["event"] == "eval"] == [3, 6, 9, 12]
    assert {"loss", "accuracy", "macro_f1", "ndcg_esci"} <= set(
        next(line for line in lines if line["event"] == "eval")["classification"]
    )
    assert all(line["parts"]["cross_entropy"] > 0 for line in lines if line["event"] == "train")


def test_the_model_in_the_registry_says_what_was_measured(whole, settings, room):
    kept = load_classifier(whole.folder, device=torch.device("cpu"))
    assert kept.classes == ESCI
    pairs = read_pairs(settings.pairs, room / "cache")
    said = predict(kept, cut_texts(pairs, kept.tokenizer, 32, room / "cache"))
    assert said.shape == (240, 4)
    assert said.sum(1) == pytest.approx(1.0)
    assert AutoModelForSequenceClassification.from_pretrained(whole.folder).config.id2label[0] == "E"


def test_it_is_champion_by_a_persons_word_and_the_gate_says_why_not(whole, room):
    champion = Registry(room / "models").champion("relevance")
    assert champion is not None
    assert champion.model_id == whole.model_id
    assert {check.name for check in whole.gate.checks} == {"macro_f1", "ndcg", "class_f1"}
    assert whole.promoted
    assert whole.forced is not whole.gate.passed


def test_a_second_candidate_is_held_against_the_champion_too(small, whole, settings, room):
    second = again(small, room, replace(settings, gate=ClassifierGateSettings()), model_id="20261121-195801-b4e8d2",
                   promote=False)  # fmt: skip
    assert second.champion_before == whole.model_id
    assert set(second.measures) == {Role.TFIDF, Role.FROZEN, Role.CHAMPION, Role.CANDIDATE}
    assert second.measures[Role.CHAMPION] == whole.measures[Role.CANDIDATE], "the same rows and the same code"
    assert second.weights_sha256 == whole.weights_sha256
    assert {check.name for check in second.gate.failed} >= {"champion_macro_f1"}, "as good is not better"
    assert not second.promoted


def test_a_champion_that_learnt_from_what_measures_it_is_told(small, whole, settings, room):
    other = replace(settings, split=replace(settings.split, seed=2))
    third = again(small, room, other, model_id="20261122-195801-b4e8d2", promote=False)
    assert any("the champion learnt from" in note for note in third.notes)


# --- killed, and gone on ----------------------------------------------------------------------------------------------


def process(
    room: Path, base: Path, file: Path, *, torchrun: bool = False, **more: Any
) -> subprocess.CompletedProcess[str]:
    said = json.dumps({"room": str(room), "base": str(base), "file": str(file), **more})
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if torchrun else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), said], env=environment, capture_output=True, text=True, timeout=250
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "at", "goes_on_from"),
    [
        ("in a step", 8, 6),
        pytest.param("before a checkpoint", 2, 3, marks=pytest.mark.exhaustive),
        pytest.param("while it registers", 1, 12, marks=pytest.mark.exhaustive),
        ("before it is champion", 1, None),
    ],
)
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, base, file, whole, moment, at, goes_on_from):
    assert process(tmp_path, base, file, harm=[moment, at]).returncode == -9
    done = process(tmp_path, base, file, resume=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["weights"], said["best_step"]) == (whole.weights_sha256, whole.best_step)
    assert said["resumed_from"] == goes_on_from
    champion = json.loads((tmp_path / "models" / "relevance" / "champion.json").read_text())
    assert champion["champion"] == whole.model_id
    assert not list((tmp_path / "training").glob("*"))


def test_a_training_goes_on_only_with_the_pairs_it_began_with(small, tmp_path, base, monkeypatch):
    own = small.pairs(tmp_path / "pairs.parquet")
    asked = small.settings_of(base, own)

    def breaks(now):
        if now.doing == "training" and now.step == 5:
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        again(small, tmp_path, asked, progress=breaks)
    small.pairs(own, queries=61)
    with pytest.raises(ShopmonError, match="the labelled data is not the one"):
        again(small, tmp_path, asked, resume=True)


@pytest.mark.slow
def test_two_processes_learn_what_one_would(tmp_path, base, file, whole):
    done = process(tmp_path, base, file, torchrun=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "models" / "relevance" / whole.model_id / "training.json").read_text())
    assert result["processes"] == 2
    mine, theirs = (told(place / "metrics.jsonl") for place in (whole.folder, Path(result["folder"])))
    first = [next(line for line in lines if line["event"] == "train")["tokens"] for lines in (mine, theirs)]
    assert first[0] == first[1], "together they read what one would"


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_presets_are_the_published_recipes():
    liyuan, esci = PRESETS[Preset.LIYUAN], PRESETS[Preset.ESCI_CE]
    assert (liyuan.epochs, liyuan.learning_rate, liyuan.batch_size, liyuan.warmup, liyuan.seed) == (2, 2e-5, 16, 0, 42)
    assert (esci.epochs, esci.learning_rate, esci.batch_size, esci.warmup, esci.max_length) == (3, 5e-5, 32, 0.1, 512)
    rows = 32 * 100
    steps, every = steps_of(RelevanceSettings(training=esci), rows)
    assert (steps, every) == (300, 10), "every tenth of an epoch"
    assert steps_of(RelevanceSettings(training=liyuan), rows) == (400, 200)


@pytest.mark.parametrize(
    ("training", "expected"),
    [({"steps": 10, "evaluate_every": 3}, (9, 3)), ({"steps": 2, "evaluate_every": 9}, (2, 2)), ({"steps": 1}, (1, 1))],
)
def test_the_last_step_is_always_evaluated(training, expected):
    assert steps_of(RelevanceSettings(training=ClassifierTraining(**training)), 100) == expected


@pytest.mark.parametrize(
    "objective",
    [
        ClassifierObjective(class_weights=Weighting.BALANCED),
        ClassifierObjective(focal_gamma=2.0, label_smoothing=0.1),
    ],
)
def test_the_objective_can_be_changed_and_the_weights_be_chosen_otherwise(small, tmp_path, settings, whole, objective):
    result = again(small, tmp_path, replace(settings, objective=objective, best_by=BestBy.NDCG))
    assert result.settings["objective"]["class_weights"] == objective.class_weights.value
    if objective.focal_gamma:
        assert result.weights_sha256 != whole.weights_sha256


def test_a_bert_with_token_types_learns_as_well(small, tiny, tmp_path, settings):
    folder = tiny.build_model(tmp_path / "bert")
    config = BertConfig(
        vocab_size=len(tiny.VOCABULARY), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, num_labels=3,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)  # its head of three classes begins afresh
    result = again(small, tmp_path, replace(settings, base=str(folder)))
    assert load_classifier(result.folder).classes == ESCI


def test_own_classes_and_gains_are_used(small, tmp_path, settings, file):
    table = pq.read_table(file)
    labels = ["yes" if one in "ES" else "no" for one in table.column("label").to_pylist()]
    own = tmp_path / "own.parquet"
    pq.write_table(table.set_column(2, "label", pa.array(labels)), own)
    pairs = PairSettings(data=(str(own),), classes=("yes", "no"))
    result = again(small, tmp_path, replace(settings, pairs=pairs, gains={"yes": 3.0, "no": 0.0}))
    assert set(result.measures[Role.CANDIDATE].classification.ranking) == {"own"}
    with pytest.raises(ValueError, match="gains are of"):
        replace(settings, pairs=pairs, gains={"yes": 1.0})


# --- what may be wrong ------------------------------------------------------------------------------------------------


def planted(file: Path, folder: Path, split: bool = True) -> Path:
    """The pairs, of which a tenth stands on both sides of a published split."""
    rows = pq.read_table(file).to_pylist()
    for number, row in enumerate(rows):
        row["split"] = "test" if number >= 180 else "train"
    rows += [{**row, "query": row["query"].upper(), "split": "test"} for row in rows[:24]]
    place = folder / "planted.parquet"
    pq.write_table(pa.Table.from_pylist(rows), place)
    return place


def test_planted_duplicates_are_refused_and_can_be_left_out(small, tmp_path, settings, file):
    pairs = PairSettings(data=(str(planted(file, tmp_path)),))
    asked = replace(settings, pairs=pairs, split=SplitSettings(How.PUBLISHED, validation=0.2))
    with pytest.raises(ShopmonError, match=r"the split leaks: 24 of \d+ rows that measure"):
        again(small, tmp_path, asked)
    assert not list((tmp_path / "training").glob("*")), "what could not begin leaves nothing"
    result = again(small, tmp_path, replace(asked, split=replace(asked.split, leaks=Leaks.DROP)))
    assert result.data.leaked == 24
    assert sum(result.data.held_out.values()) == 84


def test_the_plain_split_of_the_seed_says_that_it_leaks(small, tmp_path, settings):
    result = again(small, tmp_path, replace(settings, split=replace(settings.split, how=How.STRATIFIED)))
    assert any("the split stratified leaks" in note and "on several sides" in note for note in result.notes)


def test_a_max_length_beyond_the_model_is_told(small, tmp_path, settings):
    result = again(small, tmp_path, replace(settings, training=replace(settings.training, max_length=512)))
    assert any("max_length is 512, and the base reads 64 tokens" in note for note in result.notes)


def test_a_foreign_locale_without_a_multilingual_base_is_told(small, tmp_path, settings, file):
    table = pq.read_table(file)
    own = tmp_path / "own.parquet"
    pq.write_table(table.append_column("product_locale", pa.array(["us"] * 120 + ["jp"] * 120)), own)
    result = again(small, tmp_path, replace(settings, pairs=PairSettings(data=(str(own),))))
    assert any(note.startswith("rows of jp are not English") for note in result.notes)


def test_too_few_pairs_are_told(small, tmp_path, settings, file):
    own = tmp_path / "few.parquet"
    pq.write_table(pq.read_table(file).slice(0, 40), own)
    with pytest.raises(ShopmonError, match="24 rows are left to learn from; 32 are the least"):
        again(small, tmp_path, replace(settings, pairs=PairSettings(data=(str(own),))))


def test_a_base_that_is_no_encoder_is_told(small, tmp_path, settings):
    (tmp_path / "base").mkdir()
    with pytest.raises(ShopmonError, match=r"has no config.json"):
        again(small, tmp_path, replace(settings, base=str(tmp_path / "base")))


def test_a_folder_without_a_trained_head_is_no_classifier(base):
    with pytest.raises(ShopmonError, match="is no classifier: its weights lack"):
        load_classifier(base)


def test_the_offline_base_begins_as_the_encoder_it_was_made_of(tmp_path):
    first, again_there = load_encoder("offline", tmp_path), load_encoder("offline", tmp_path)
    assert (first, first.name) == (again_there, "offline")
    fresh = fresh_classifier(first.folder, ESCI, seed=1, device=torch.device("cpu"))
    same = fresh_classifier(first.folder, ESCI, seed=1, device=torch.device("cpu"))
    other = fresh_classifier(first.folder, ESCI, seed=2, device=torch.device("cpu"))
    assert torch.equal(fresh.model.classifier.weight, same.model.classifier.weight)
    assert not torch.equal(fresh.model.classifier.weight, other.model.classifier.weight)
    lamp, light, shoes = embed(fresh, ["a desk lamp", "a table light", "running shoes"], 32)
    assert lamp @ light > 2 * abs(lamp @ shoes), "it knows English without having learnt anything here"
    assert (fresh.longest, fresh.is_multilingual) == (512, False)


def test_a_folder_may_be_called_as_a_pattern(small, tmp_path, settings, whole):
    result = again(small, tmp_path / "shop [2] *", settings)
    assert result.weights_sha256 == whole.weights_sha256
