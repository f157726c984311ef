"""`shopmon retrain --task nli`: from shopmon.toml and files of pairs to a model that labels rows."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

import shopmon
from expectations.errors import ProjectError
from retrain.nli import PRESETS, Preset
from retrain.records import document
from shopmon.cli import main
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.retraining import retrain
from shopmon.rooms import nli_settings
from shopmon.training_request import TrainingRequest
from shopmon.training_summary import training_summary

from .example_shop import save_base

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))
SETTINGS = """
[retrain]
base = "base"
bf16 = false

[retrain.nli]
data = ["train.jsonl"]
evaluate = { matched = "matched.parquet" }
validation = 0.2
held_out = 0.2
learning_rate = 3e-3
steps = 4
evaluate_every = 2
max_length = 32
baseline_rows = 200
"""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    save_base(folder / "base")
    file = Path(__file__).parents[1] / "retrain" / "tiny_inference.py"
    spec = importlib.util.spec_from_file_location("tiny_inference", file)
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    tiny.as_snli(folder / "train.jsonl", list(tiny.pairs(60)))
    tiny.as_parquet(folder / "matched.parquet", list(tiny.pairs(10, seed=8)))
    return Project.read(folder)


@pytest.fixture(scope="module")
def trained(shop):
    return retrain(task="nli", project=shop, promote=True)


def test_a_model_is_trained_recorded_and_measured_on_further_sets(shop, trained):
    assert (trained.task, trained.steps, trained.promoted) == ("nli", 4, True)
    assert shopmon.models(shop).champion("nli").model_id == trained.model_id
    assert list(SCHEMA.iter_errors(document(trained))) == []
    assert {name: one.rows for name, one in trained.further.items()} == {"matched": 30}


def test_the_summary_names_the_further_sets(trained):
    for width in (60, 100):
        console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: SIM115, PTH123
        console.print(training_summary(trained, width=width, here=Path("/")))
        said = console.export_text()
        assert "matched" in said
        assert all(len(line) <= width for line in said.splitlines())


def test_the_champion_labels_rows(shop, trained, monkeypatch, capfd):
    monkeypatch.chdir(shop.folder)
    (shop.folder / "new.csv").write_text("text,stars\nNike shoes are warm,5\n,3\n", encoding="utf-8")
    assert main(["classify", "new.csv", "--labels", "shoes,coats", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["model"], said["rows"], said["blank"]) == (trained.model_id, 2, 1)
    assert sum(one["rows"] for one in said["labels"]) == 1


def test_the_settings_of_the_project_stand_over_the_preset(shop):
    asked = nli_settings(shop)
    assert (asked.training.batch_size, asked.training.epochs) == (16, 5.0), "the preset's"
    assert (asked.training.learning_rate, asked.training.steps) == (3e-3, 4)
    assert asked.evaluate == {"matched": str(shop.folder / "matched.parquet")}
    assert asked.pairs.data == (str(shop.folder / "train.jsonl"),)


def test_a_project_that_says_nothing_has_the_published_recipe(tmp_path):
    assert nli_settings(Project(tmp_path)).training == PRESETS[Preset.RUN_GLUE]
    request = TrainingRequest(task="nli", preset="run_glue", split="hash", base="offline", seed=7)
    request.check()
    asked = request.applied_to_classifier(nli_settings(Project(tmp_path), "run_glue"))
    assert (asked.base, asked.training.seed, asked.split.seed) == ("offline", 7, 7)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('classes = ["yes", "no"]', "none is entailment by its name"),
        ('labels = { "0" = "yes" }', "names 'yes', which is no class"),
        ('columns = { "a" = "text" }', "names the role 'text'"),
        ('best_by = "ndcg"', "rows of this task are not ranked"),
    ],
)
def test_settings_that_contradict_each_other_are_told(tmp_path, written, told):
    (tmp_path / "shopmon.toml").write_text(f"[retrain.nli]\n{written}\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=told) as error:
        nli_settings(Project.read(tmp_path))
    assert "[retrain.nli]" in str(error.value)


def test_a_project_without_pairs_says_what_to_name(tmp_path, monkeypatch, capsys):
    (tmp_path / "shopmon.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert main(["retrain", "--task", "nli"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "no labelled pairs of premise and hypothesis are named" in told
    assert 'data = ["multinli_1.0_train.jsonl"] in [retrain.nli]' in told
