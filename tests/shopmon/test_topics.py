"""Rules of a check that ask what a text is about, of the topics that a project lists."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import shopmon
from expectations.errors import ProjectError, ShopmonError
from shopmon.project import Project

SETTINGS = """
[edge_cases]
defaults = false

[edge_cases.zero_shot]
labels = ["shipping", "size"]
model = "nli"

[edge_cases.rules.late]
when = 'topic == "shipping" & topic_score > 0.5 & stars <= 2'

[edge_cases.rules.fits]
when = 'topic == "size"'
at_most = 5
"""
TEXTS = ["it came late", "the size fits small", "warm and good", "the price is bad", "it came late"]
BATCH = pa.table({"text": TEXTS, "stars": [1, 2, 5, 1, 2]})


@pytest.fixture(scope="module")
def save_nli():
    file = Path(__file__).parents[1] / "retrain" / "tiny_nli.py"
    spec = importlib.util.spec_from_file_location("tiny_nli", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.save_nli


@pytest.fixture(scope="module")
def model(save_nli, tmp_path_factory) -> Path:
    return save_nli(tmp_path_factory.mktemp("models") / "nli", longest=64)


def shop(folder: Path, settings: str = SETTINGS, model: Path | None = None) -> Project:
    (folder / "shopmon.toml").write_text(settings, encoding="utf-8")
    if model is not None:
        (folder / "nli").symlink_to(model)
    return Project.read(folder)


def test_rules_choose_the_rows_that_classify_labels_so(tmp_path, model):
    project = shop(tmp_path, model=model)
    labelled = shopmon.classify(BATCH, ["shipping", "size"], model=model, project=project).table.to_pylist()
    said = {row["row"]: (row["label"], row["score"]) for row in labelled}
    found = shopmon.check(BATCH, project=project).edge_cases
    late = [n for n, (label, _) in said.items() if label == "shipping" and BATCH["stars"][n - 1].as_py() <= 2]
    fits = [n for n, (label, _) in said.items() if label == "size"]
    assert found.by_reason == {"late": len(late), "fits": len(fits)}
    (reading,) = found.further_models
    assert (reading.task, reading.read, reading.texts) == ("nli", 5, 4)
    assert reading.model.endswith("nli")


def test_without_labels_the_rules_are_not_examined(tmp_path, model):
    found = shopmon.check(BATCH, project=shop(tmp_path, SETTINGS.replace("labels", "# labels"), model)).edge_cases
    told = "not examined: no labels are listed in [edge_cases.zero_shot]"
    assert found.skipped == {"late": told, "fits": told}


def test_without_a_model_the_check_says_how_to_get_one(tmp_path):
    project = shop(tmp_path, SETTINGS.replace('model = "nli"', ""))
    with pytest.raises(ShopmonError, match="needs a model, and there is none") as told:
        shopmon.check(BATCH, project=project)
    assert "shopmon retrain --task nli" in told.value.advice


def test_a_model_that_cannot_be_asked_is_told_with_a_way_round(tmp_path, save_nli):
    unnamed = save_nli(tmp_path / "unnamed", ("LABEL_0", "LABEL_1", "LABEL_2"))
    project = shop(tmp_path, model=unnamed)
    with pytest.raises(ShopmonError, match="cannot be asked about topics: none of the model's classes") as told:
        shopmon.check(BATCH, project=project)
    assert "--only-rules" in told.value.advice
    named = SETTINGS.replace('model = "nli"', 'model = "nli"\nentailment = "LABEL_1"\ncontradiction = "LABEL_0"')
    (tmp_path / "shopmon.toml").write_text(named, encoding="utf-8")
    assert shopmon.check(BATCH, project=Project.read(tmp_path)).edge_cases.by_reason


def test_labels_that_cannot_be_told_apart_are_told_with_their_section(tmp_path, model):
    project = shop(tmp_path, SETTINGS.replace('["shipping", "size"]', '["size", "Size"]'), model)
    with pytest.raises(ProjectError, match=r"\[edge_cases.zero_shot\]: the labels 'size' and 'Size' say the same"):
        shopmon.check(BATCH, project=project)


def test_a_check_whose_rules_ask_no_topic_loads_no_torch(tmp_path, model):
    shop(tmp_path, SETTINGS.replace("topic ==", "brand ==").replace("topic_score > 0.5", "stars > 0"), model)
    code = "import sys, shopmon, pyarrow as pa; "
    code += "shopmon.check(pa.table({'text': ['a'], 'stars': [1], 'brand': ['size']})); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().splitlines()[-1:] == ["False"], done.stderr
