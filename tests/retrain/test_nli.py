"""Does the recipe of natural language inference train a model that labels rows, and measure it on further sets?"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from expectations.errors import ShopmonError
from retrain.classifier_settings import ClassifierGateSettings, ClassifierTraining
from retrain.classifier_training import Asked
from retrain.hypotheses import Question
from retrain.inference_pairs import CLASSES, InferenceSettings
from retrain.nli import PRESETS, RECIPE, NliSettings, Preset, train
from retrain.records import document, from_document
from retrain.registry import Registry
from retrain.results import Role
from retrain.splits import How, Leaks, SplitSettings
from retrain.zero_shot import load_zero_shot

MODEL_ID = "20261120-195801-b4e8d2"


@pytest.fixture(scope="module")
def inference() -> ModuleType:
    """tests/retrain/tiny_inference.py."""
    spec = importlib.util.spec_from_file_location("tiny_inference", Path(__file__).with_name("tiny_inference.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_inference"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files(inference, tmp_path_factory) -> Path:
    """Pairs to learn from, and two further sets: one as SNLI has them, one as parquet."""
    folder = tmp_path_factory.mktemp("pairs")
    inference.as_snli(folder / "train.jsonl", list(inference.pairs(80)))
    inference.as_parquet(folder / "matched.parquet", list(inference.pairs(12, seed=8)))
    inference.as_snli(folder / "mismatched.jsonl", list(inference.pairs(10, seed=9)))
    return folder


def settings_of(home: Path, files: Path, **changes) -> NliSettings:
    training = ClassifierTraining(
        steps=8, batch_size=16, learning_rate=3e-3, max_length=48, evaluate_every=4, patience=99, bf16=False
    )
    usual = NliSettings(
        base=str(home / "base"),
        pairs=InferenceSettings(data=(str(files / "train.jsonl"),)),
        split=SplitSettings(validation=0.2, held_out=0.2),
        training=training,
        evaluate={"matched": str(files / "matched.parquet"), "mismatched": str(files / "mismatched.jsonl")},
        gate=ClassifierGateSettings(),
    )
    return replace(usual, **changes)


def asked(room: Path, settings: NliSettings) -> Asked[NliSettings]:
    return Asked(settings, Registry(room / "models"), room / "training", room / "cache", MODEL_ID, promote=True)


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="module")
def trained(home, files, room):
    torch.set_num_threads(1)
    return train(asked(room, settings_of(home, files)))


def test_a_model_is_trained_measured_beside_baselines_and_champion(trained, room):
    assert (trained.task, trained.steps, trained.promoted) == ("nli", 8, True)
    assert set(trained.measures) == {Role.CANDIDATE, Role.TFIDF, Role.FROZEN}
    assert sum(trained.data.rows.values()) == 240 * 0.6
    assert [one.label for one in trained.measures[Role.CANDIDATE].classification.classes] == list(CLASSES)
    assert Registry(room / "models").champion("nli").model_id == MODEL_ID


def test_no_premise_is_on_two_sides(trained, room):
    rows = Registry(room / "models").lineage(MODEL_ID, "nli").to_pylist()
    sides = {}
    for row in rows:
        sides.setdefault((row["row"] - 1) // 3, set()).add(row["use"])
    assert len(sides) == 80
    assert all(len(uses) == 1 for uses in sides.values())


def test_further_sets_are_measured_whole_and_recorded(trained):
    assert {name: one.rows for name, one in trained.further.items()} == {"matched": 36, "mismatched": 30}
    assert from_document(document(trained)).further == trained.further
    card = (trained.folder / "README.md").read_text(encoding="utf-8")
    assert "matched" in card
    assert "zero-shot-classification" in card


def test_the_model_labels_rows_without_being_told_which_class_is_which(trained):
    scores = load_zero_shot(trained.folder, Question(("red", "blue"), "the shoes are {}"))(["i bought red shoes 3 7"])
    assert scores.shape == (1, 2)
    assert scores.sum() == pytest.approx(1)


def test_a_further_set_that_is_learnt_from_is_refused(home, files, inference, tmp_path):
    known = list(inference.pairs(80))[:4]
    shouted = [{**row, "premise": row["premise"].upper() + " !"} for row in known]
    inference.as_parquet(tmp_path / "leaky.parquet", [*shouted, *inference.pairs(5, seed=11)])
    settings = settings_of(home, files, evaluate={"matched": str(tmp_path / "leaky.parquet")})
    with pytest.raises(
        ShopmonError, match="4 of the 19 pairs of matched stand among those that are learnt from"
    ) as told:
        train(asked(tmp_path, settings))
    assert 'leaks = "drop"' in told.value.advice
    assert not (tmp_path / "models").exists()


def test_or_its_known_pairs_are_left_out_when_asked(home, files, inference, tmp_path):
    known = list(inference.pairs(80))[:4]
    inference.as_parquet(tmp_path / "leaky.parquet", [*known, *inference.pairs(5, seed=11)])
    dropping = SplitSettings(validation=0.2, held_out=0.2, leaks=Leaks.DROP)
    settings = settings_of(home, files, evaluate={"matched": str(tmp_path / "leaky.parquet")}, split=dropping)
    assert train(asked(tmp_path, settings)).further["matched"].rows == 15
    inference.as_parquet(tmp_path / "same.parquet", list(inference.pairs(80))[:9])
    settings = replace(settings, evaluate={"matched": str(tmp_path / "same.parquet")})
    with pytest.raises(ShopmonError, match="9 of the 9 pairs of matched"):
        train(asked(tmp_path / "other", settings))


def test_planted_duplicates_across_a_published_split_are_refused(home, inference, tmp_path):
    rows = [{**row, "split": "test" if number % 5 == 0 else "train"} for number, row in enumerate(inference.pairs(60))]
    inference.as_parquet(tmp_path / "train.parquet", [*rows, {**rows[1], "split": "test"}])
    settings = settings_of(
        home, tmp_path, pairs=InferenceSettings(data=(str(tmp_path / "train.parquet"),)), evaluate={},
        split=SplitSettings(How.PUBLISHED, validation=0.2, held_out=0.2),
    )  # fmt: skip
    with pytest.raises(ShopmonError, match="the split leaks"):
        train(asked(tmp_path, settings))


def test_no_file_of_pairs_is_told_before_anything_is_fetched(home, files, tmp_path):
    settings = settings_of(home, files, base="no/such-model", pairs=InferenceSettings())
    with pytest.raises(ShopmonError, match="no labelled pairs of premise and hypothesis are named"):
        train(asked(tmp_path, settings))


def test_classes_without_entailment_are_refused():
    with pytest.raises(ValueError, match="none is entailment by its name"):
        NliSettings(pairs=InferenceSettings(classes=("yes", "no")))
    assert (
        NliSettings(pairs=InferenceSettings(classes=("entailment", "not_entailment"))).pairs.classes[0] == "entailment"
    )


def test_the_preset_is_what_the_card_tells():
    said = PRESETS[Preset.RUN_GLUE]
    assert (said.learning_rate, said.batch_size, said.max_length, said.epochs, said.seed) == (2e-5, 16, 128, 5.0, 42)
    assert (said.warmup, said.weight_decay) == (0.0, 0.0)
    assert NliSettings().training == said
    assert RECIPE.task == "nli"
