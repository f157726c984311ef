"""A classifier of products, from their texts and what stands beside them to the registry."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from jsonschema import Draft202012Validator

from expectations.errors import ShopmonError
from monitor.embeddings import encoder
from retrain import classifier_learning
from retrain.category import PRESETS, TASK, CategorySettings, Preset, train
from retrain.classifier_settings import ClassifierTraining
from retrain.classifier_training import Asked
from retrain.head_choice import load_headed
from retrain.heads import LINEAR_FILE, SETTINGS, TREES_FILE
from retrain.labelled_texts import TextSettings, read_texts
from retrain.records import document, from_document
from retrain.registry import Registry
from retrain.results import HeadMethod, Role, TrainingResult
from retrain.splits import SplitSettings

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))
MODEL_ID = "20261120-195801-c5a7d0"
CLASSES = ("bags", "hats", "shoes")


def products(file: Path, count: int = 240) -> Path:
    """Products of three classes; of two of them only brand and price tell which."""
    draw, rows = random.Random(3), []
    for number in range(count):
        label = CLASSES[number % 3]
        thing = {"bags": "bag", "hats": "cap", "shoes": "cap"}[label]
        brand = {"bags": "puma", "hats": "reebok", "shoes": "nike"}[label] if draw.random() < 0.9 else None
        colour = draw.choice(("red", "blue", "big", "small", "new", "old"))
        rows.append(
            {
                "title": f"{colour} {thing} {number // 2}",
                "category": label,
                "cluster": number // 6,
                "brand": brand,
                "price": {"bags": 10.0, "hats": 20.0, "shoes": 40.0}[label] + draw.random() * 3,
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


@pytest.fixture(scope="session")
def base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tiny.build_model(tmp_path_factory.mktemp("base") / "base")
    return place


@pytest.fixture(scope="session")
def settings(base: Path, tmp_path_factory: pytest.TempPathFactory) -> CategorySettings:
    torch.set_num_threads(1)
    file = products(tmp_path_factory.mktemp("products") / "products.parquet")
    return CategorySettings(
        base=str(base),
        texts=TextSettings(data=(str(file),), numbers=("price",), categories=("brand",)),
        split=replace(CategorySettings().split, validation=0.2, held_out=0.2),
        training=ClassifierTraining(
            steps=8, batch_size=16, learning_rate=3e-3, max_length=32, evaluate_every=2, patience=99, bf16=False
        ),
    )


def asked(room: Path, settings: CategorySettings, **more: Any) -> Asked[CategorySettings]:
    usual = {"model_id": MODEL_ID, "promote": True, "cache": room / "cache"}
    return Asked(settings, Registry(room / "models"), room / "training", **{**usual, **more})


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("room")


@pytest.fixture(scope="session")
def whole(settings: CategorySettings, room: Path) -> TrainingResult:
    """A training that nobody disturbed."""
    return train(asked(room, settings))


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_every_head_is_measured_on_the_rows_that_choose_and_on_those_that_measure(whole):
    heads = [(one.method, one.columns) for one in whole.heads]
    beside = ("price", "brand")
    assert heads == [
        (HeadMethod.LINEAR, ()), (HeadMethod.LOGISTIC, ()), (HeadMethod.XGBOOST, ()),
        (HeadMethod.LOGISTIC, beside), (HeadMethod.XGBOOST, beside),
    ]  # fmt: skip
    assert sum(one.chosen for one in whole.heads) == 1
    assert {one.held_out.rows for one in whole.heads} == {sum(whole.data.held_out.values())}
    assert {one.validation.rows for one in whole.heads} == {sum(whole.data.validation.values())}


def test_the_head_that_answers_is_the_best_on_the_rows_that_choose(whole):
    chosen = next(one for one in whole.heads if one.chosen)
    assert chosen.validation.macro_f1 == max(one.validation.macro_f1 for one in whole.heads)
    assert chosen.columns, "here only brand and price tell two classes apart"
    said = whole.measures[Role.CANDIDATE].classification
    assert (said.macro_f1, said.loss) == (chosen.held_out.macro_f1, chosen.held_out.loss)
    alone = [one.held_out.error for one in whole.heads if not one.columns]
    assert chosen.held_out.error < min(alone) - 0.1


def test_baselines_are_measured_on_the_same_rows_and_read_the_columns_as_well(whole):
    assert set(whole.measures) == {Role.TFIDF, Role.FROZEN, Role.BOOSTED, Role.CANDIDATE}
    found = {role: one.classification for role, one in whole.measures.items()}
    assert {one.rows for one in found.values()} == {sum(whole.data.held_out.values())}
    assert found[Role.BOOSTED].accuracy > found[Role.TFIDF].accuracy + 0.1
    assert all(not one.ranking for one in found.values())


def test_the_gate_asks_for_wrong_rows_and_for_every_class(whole):
    checks = {check.name for check in whole.gate.checks}
    assert checks == {"error", "macro_f1", "class_f1"}
    error = next(check for check in whole.gate.checks if check.name == "error")
    assert error.at_most
    assert error.value == pytest.approx(1 - whole.measures[Role.CANDIDATE].classification.accuracy)


def test_no_product_is_on_two_sides(whole, room):
    rows = Registry(room / "models").lineage(whole.model_id).to_pylist()
    uses: dict[int, set[str]] = {}
    for row in rows:
        uses.setdefault((row["row"] - 1) // 6, set()).add(row["use"])
    assert all(len(found - {"leaked"}) == 1 for found in uses.values())
    assert {row["role"] for row in rows} == set(CLASSES)


def test_the_document_is_as_its_schema_says_and_is_read_again(whole):
    said = document(whole)
    assert list(SCHEMA.iter_errors(said)) == []
    assert from_document(json.loads(json.dumps(said))).heads == whole.heads


def test_the_card_says_by_how_much_the_chosen_head_is_better(whole):
    card = (whole.folder / "README.md").read_text()
    wanted = ("A classifier of texts", "### Heads on the encoder", "the best of the others", "frozen base + XGBoost",
              "TF-IDF + LR", "SentenceTransformer(folder)", "`price`")  # fmt: skip
    for said in wanted:
        assert said in card
    assert "AutoModelForSequenceClassification" not in card


def test_the_model_in_the_registry_says_what_was_measured(whole, settings, room):
    kept = load_headed(whole.folder, settings)
    labelled = read_texts(settings.texts, room / "cache")
    said = kept.says(labelled, range(labelled.rows))
    assert said.shape == (240, 3)
    assert said.sum(1) == pytest.approx(1.0)
    rows = Registry(room / "models").lineage(whole.model_id).to_pylist()
    held = [at for at, row in enumerate(rows) if row["use"] == "held out"]
    right = (said[held].argmax(1) == labelled.numbers("label")[held]).mean()
    assert right == whole.measures[Role.CANDIDATE].classification.accuracy
    assert kept.classes == CLASSES


def test_the_folder_holds_data_alone_and_is_an_encoder_for_others(whole):
    suffixes = {file.suffix for file in whole.folder.rglob("*") if file.is_file()}
    assert suffixes <= {".json", ".jsonl", ".safetensors", ".ubj", ".md", ".parquet", ".txt"}
    assert encoder(str(whole.folder))(["a red cap"]).shape == (1, 32)


def test_trees_that_were_changed_are_not_promoted(whole, room):
    trees = next((whole.folder / name for name in (TREES_FILE, LINEAR_FILE) if (whole.folder / name).exists()), None)
    assert trees is not None, "the head that answers lies in a file of its own"
    before = trees.read_bytes()
    registry = Registry(room / "models")
    try:
        trees.write_bytes(before[:-1] + b"?")
        with pytest.raises(ShopmonError, match="are not those that were trained"):
            registry.verify(registry.get(whole.model_id))
    finally:
        trees.write_bytes(before)
    registry.verify(registry.get(whole.model_id))


# --- a second one -----------------------------------------------------------------------------------------------------


def test_a_second_candidate_is_held_against_the_champion_and_is_the_same_for_the_same_seed(whole, settings, room):
    second = train(asked(room, settings, model_id="20261121-195801-c5a7d0", promote=False))
    assert second.champion_before == whole.model_id
    assert second.measures[Role.CHAMPION] == whole.measures[Role.CANDIDATE], "the same rows and the same code"
    assert second.weights_sha256 == whole.weights_sha256
    assert "champion_error" in {check.name for check in second.gate.checks}


def test_a_champion_that_reads_columns_which_are_gone_is_told_and_not_asked(whole, settings, room):
    without = replace(settings, texts=replace(settings.texts, numbers=(), categories=()))
    third = train(asked(room, without, model_id="20261122-195801-c5a7d0", promote=False))
    assert Role.CHAMPION not in third.measures
    assert any("reads a column" in note for note in third.notes)
    assert [one.columns for one in third.heads] == [()] * 3


def test_only_the_heads_that_are_asked_for_are_compared(settings, tmp_path):
    only = replace(settings, heads=(HeadMethod.LINEAR,))
    found = train(asked(tmp_path, only))
    assert [one.method for one in found.heads] == [HeadMethod.LINEAR]
    assert json.loads((found.folder / SETTINGS).read_text())["method"] == "linear"
    assert not (found.folder / TREES_FILE).exists()


def test_a_training_that_broke_off_goes_on_and_ends_with_the_same_model(whole, settings, tmp_path, monkeypatch):
    usual, calls = classifier_learning.measure, []

    def breaks(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return usual(*args)

    with monkeypatch.context() as patched:
        patched.setattr(classifier_learning, "measure", breaks)
        with pytest.raises(KeyboardInterrupt):
            train(asked(tmp_path, settings))
    again = train(asked(tmp_path, settings, resume=True))
    assert again.resumed_from == 4
    assert again.weights_sha256 == whole.weights_sha256
    assert again.heads == whole.heads


# --- what does not fit ------------------------------------------------------------------------------------------------


def test_planted_duplicates_across_the_split_are_refused_or_left_out(settings, tmp_path):
    file = tmp_path / "products.parquet"
    table = pq.read_table(settings.texts.data[0])
    copies = table.set_column(2, "cluster", pa.array([1_000 + at for at in range(table.num_rows)]))
    pq.write_table(pa.concat_tables([table, copies]), file)
    texts = replace(settings.texts, data=(str(file),))
    planted = replace(settings, texts=texts, split=SplitSettings(validation=0.2, held_out=0.2))
    with pytest.raises(ShopmonError, match="the split leaks"):
        train(asked(tmp_path, planted))
    left = train(asked(tmp_path, replace(planted, split=replace(settings.split))))
    assert left.data.leaked > 50


def test_no_data_is_told_with_its_section(settings, tmp_path):
    with pytest.raises(ShopmonError, match="no labelled texts are named") as told:
        train(asked(tmp_path, replace(settings, texts=TextSettings())))
    assert "[retrain.category]" in str(told.value)


def test_settings_without_a_head_are_refused():
    with pytest.raises(ValueError, match="heads names none"):
        CategorySettings(heads=())


def test_the_presets_are_as_published():
    post = PRESETS[Preset.AWS]
    assert (post.epochs, post.batch_size, post.learning_rate) == (5.0, 2, 2e-5)
    assert CategorySettings().training == PRESETS[Preset.BATCHED]
    assert TASK == "category"
