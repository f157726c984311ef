"""`shopmon retrain --task category`: from shopmon.toml and a file of products to a recorded model."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from rich.console import Console

import shopmon
from expectations.errors import ProjectError
from monitor.runs import RunStore
from retrain.category import ENCODER, PRESETS, Preset
from retrain.labelled_texts import Rare
from retrain.records import document
from retrain.results import HeadMethod, Role
from retrain.splits import Leaks
from shopmon.cli import main
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.retraining import retrain
from shopmon.rooms import category_settings
from shopmon.training_request import TrainingRequest
from shopmon.training_summary import training_summary

from .example_shop import save_base

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))
SETTINGS = """
[data.products.columns]
"Ware" = "title"

[retrain]
base = "base"
bf16 = false

[retrain.category]
data = ["products.parquet"]
text = ["title", "Details"]
separator = "|"
rare = "other"
numbers = ["price"]
categories = ["brand"]
heads = ["linear", "xgboost"]
validation = 0.2
held_out = 0.2
learning_rate = 3e-3
steps = 4
evaluate_every = 2
batch_size = 16
max_length = 32
baseline_rows = 200

[retrain.category.labels]
"footwear" = "Shoes"

[retrain.category.gate]
class_f1 = false
error = 0.5
"""


def products(file: Path) -> None:
    draw, rows = random.Random(3), []
    for number in range(180):
        kind = ("Shoes | Sport", "Coats", "footwear")[number % 3]
        thing = "coats" if kind == "Coats" else "shoes"
        rows.append(
            {
                "Ware": f"Nike {thing} {number}",
                "Details": None if number % 4 else "in winter",
                "category": kind if number != 5 else "Rafts",
                "price": f"${draw.randrange(5, 90)}.00",
                "brand": "Nike",
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), file)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    save_base(folder / "base")
    products(folder / "products.parquet")
    return Project.read(folder)


@pytest.fixture(scope="module")
def trained(shop):
    return retrain(task="category", project=shop, promote=True)


def said(result, width):
    console = Console(width=width, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        console.print(training_summary(result, width=width, here=Path("/")))
    return captured.get()


def test_a_classifier_is_trained_recorded_and_kept(shop, trained):
    assert (trained.task, trained.steps, trained.promoted) == ("category", 4, True)
    assert shopmon.models(shop).champion("category").model_id == trained.model_id
    assert list(SCHEMA.iter_errors(document(trained))) == []
    assert set(trained.measures) == {Role.TFIDF, Role.FROZEN, Role.BOOSTED, Role.CANDIDATE}
    assert set(trained.data.rows) == {"Shoes", "Coats"} | set(trained.data.rows) & {"other"}
    assert any("are one, 'other': 'Rafts'" in note for note in trained.notes)
    with RunStore.open(shop.store_url) as store:
        run = store.get(trained.model_id)
    assert (run.command, run.status) == ("retrain", "passed")
    assert [one.name for one in run.inputs] == [str(shop.folder / "products.parquet")]


def test_only_the_heads_that_the_project_names_are_compared(trained):
    assert [one.method for one in trained.heads] == [HeadMethod.LINEAR, HeadMethod.XGBOOST, HeadMethod.XGBOOST]
    assert trained.heads[-1].columns == ("price", "brand")


@pytest.mark.parametrize("width", [80, 120])
def test_the_answer_shows_every_head_and_marks_the_one_that_answers(trained, width):
    text = said(trained, width)
    lines = text[text.index("Heads") :].splitlines()
    assert [line[:1] for line in lines[1:4]].count("★") == 1
    assert "XGBoost, with columns" in lines[3]
    assert "Heads" not in said(replace(trained, heads=()), width)
    assert max(map(cell_len, text.splitlines())) <= width


def test_the_settings_of_the_project_stand_over_the_preset(shop):
    asked = category_settings(shop)
    assert (asked.training.epochs, asked.training.warmup) == (3.0, 0.1), "the preset's"
    assert (asked.training.steps, asked.training.learning_rate, asked.training.bf16) == (4, 3e-3, False)
    assert (asked.gate.class_f1, asked.gate.error) == (None, 0.5)
    assert (asked.texts.columns, asked.texts.rare, asked.split.leaks) == ({"Ware": "title"}, Rare.OTHER, Leaks.DROP)
    assert asked.base == str(shop.folder / "base")
    assert category_settings(shop, "aws").training.warmup == PRESETS[Preset.AWS].warmup


def test_a_project_that_names_no_base_begins_with_a_sentence_encoder(tmp_path):
    (tmp_path / "shopmon.toml").write_text("[retrain.category]\n", encoding="utf-8")
    project = Project.read(tmp_path)
    assert category_settings(project).base == ENCODER
    assert category_settings(project).gate.error == 0.0
    request = TrainingRequest(task="category", base="offline", preset="aws", split="hash")
    request.check()
    assert request.applied_to_classifier(category_settings(project, "aws")).base == "offline"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [('best_by = "ndcg"', "rows of this task are not ranked"), ('numbers = ["title"]', "'title' is named twice")],
)
def test_settings_that_contradict_each_other_name_their_section(tmp_path, wrong, told):
    (tmp_path / "shopmon.toml").write_text(f"[retrain.category]\n{wrong}\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=told) as error:
        category_settings(Project.read(tmp_path))
    assert "[retrain.category]" in str(error.value)


def test_without_data_the_command_says_what_to_name(tmp_path, monkeypatch, capsys):
    (tmp_path / "shopmon.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["retrain", "--task", "category"]) == 2
    assert 'data = ["products.parquet"] in [retrain.category]' in " ".join(capsys.readouterr().err.split())
