"""`shopmon retrain --task relevance`: from shopmon.toml and a file of pairs to a recorded model."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

import shopmon
from expectations.errors import ProjectError, ShopmonError
from monitor.runs import RunStore
from retrain.classifier_settings import Weighting
from retrain.records import document
from retrain.relevance import PRESETS, Preset
from retrain.results import Role
from retrain.splits import How
from shopmon.cli import main
from shopmon.outcome import Failure
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.retraining import attempt_training, retrain
from shopmon.rooms import relevance_settings
from shopmon.training_request import TrainingRequest
from shopmon.training_summary import training_summary

from .example_shop import save_base

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))
SETTINGS = """
[data.relevance.columns]
"Suche" = "query"

[retrain]
base = "base"
bf16 = false

[retrain.relevance]
data = ["pairs.parquet"]
classes = ["E", "S", "I"]
gains = { E = 1.0, S = 0.1, I = 0.0 }
validation = 0.2
held_out = 0.2
preset = "esci-ce"
learning_rate = 3e-3
steps = 4
evaluate_every = 2
batch_size = 16
max_length = 32
baseline_rows = 200

[retrain.relevance.labels]
"wrong" = "I"

[retrain.relevance.gate]
class_f1 = false
"""
THINGS = ("Nike shoes", "Nike jackets", "Nike socks", "Nike coats", "Puma shoes", "Puma hats")


def pairs(file: Path) -> None:
    draw, rows = random.Random(3), []
    for number in range(60):
        thing = draw.choice(THINGS)
        rows += [
            {"Suche": f"{thing} {number}", "title": f"{thing} in winter {draw.randrange(99)}", "label": "E"},
            {"Suche": f"{thing} {number}", "title": f"{thing[:4]} hats at work {draw.randrange(99)}", "label": "s"},
            {"Suche": f"{thing} {number}", "title": f"the road and the {draw.randrange(99)}", "label": "wrong"},
        ]
    pq.write_table(pa.Table.from_pylist(rows), file)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop with labelled pairs; tests add models to it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    save_base(folder / "base")
    pairs(folder / "pairs.parquet")
    return Project.read(folder)


@pytest.fixture(scope="module")
def trained(shop):
    return retrain(task="relevance", project=shop, promote=True)


def test_a_classifier_is_trained_recorded_and_kept(shop, trained):
    assert (trained.task, trained.steps, trained.promoted) == ("relevance", 4, True)
    assert shopmon.models(shop).champion("relevance").model_id == trained.model_id
    assert trained.folder.parent == shop.models / "relevance"
    assert list(SCHEMA.iter_errors(document(trained))) == []
    with RunStore.open(shop.store_url) as store:
        run = store.get(trained.model_id)
    assert (run.command, run.status, run.rows) == ("retrain", "passed", 108)
    assert [one.name for one in run.inputs] == [str(shop.folder / "pairs.parquet")]
    assert run.document["measures"]["candidate"]["classification"]["ranking"].keys() == {"own"}


def test_the_settings_of_the_project_stand_over_the_preset(shop):
    asked = relevance_settings(shop)
    assert (asked.training.epochs, asked.training.warmup) == (3.0, 0.1), "the preset's"
    assert (asked.training.steps, asked.training.learning_rate, asked.training.bf16) == (4, 3e-3, False)
    assert asked.gate.class_f1 is None
    assert asked.pairs.columns == {"Suche": "query"}
    assert asked.base == str(shop.folder / "base")
    other = relevance_settings(shop, "liyuan")
    assert (other.training.epochs, other.training.warmup) == (2.0, 0.0)


def test_a_project_that_says_nothing_has_the_preset_and_the_plain_objective(tmp_path):
    asked = relevance_settings(Project(tmp_path))
    assert asked.training == PRESETS[Preset.LIYUAN]
    assert asked.objective.class_weights is Weighting.NONE
    assert list(asked.all_gains) == ["esci", "esci_official_script"]
    assert asked.split.seed == 42


def test_what_is_asked_for_takes_the_place_of_the_settings(shop):
    request = TrainingRequest(task="relevance", split="hash", epochs=1.0, seed=5, base="offline")
    asked = request.applied_to_classifier(relevance_settings(shop))
    assert (asked.split.how, asked.split.seed, asked.training.seed) == (How.HASH, 5, 5)
    assert (asked.training.steps, asked.training.epochs, asked.base) == (None, 1.0, "offline")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('gains = { E = 1.0 }', r"\[retrain.relevance\]: gains are of"),
        ('validation = 0.5\nheld_out = 0.5', "leave nothing to learn from"),
        ('labels = { good = "Z" }', "names 'Z', which is no class"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_told(tmp_path, written, told):
    (tmp_path / "shopmon.toml").write_text(f"[retrain.relevance]\n{written}\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=told):
        relevance_settings(Project.read(tmp_path))


def test_a_project_without_pairs_is_told_before_anything_is_fetched(tmp_path):
    run = attempt_training(TrainingRequest(task="relevance", project=Project(tmp_path)))
    assert isinstance(run.ended, Failure)
    assert "no labelled pairs are named" in run.ended.problem
    assert "[retrain.relevance]" in run.ended.advice


def shown(result, width=100):
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: SIM115, PTH123
    console.print(training_summary(result, width=width, here=Path("/")))
    return console.export_text()


def test_the_summary_has_baselines_and_candidate_side_by_side(trained):
    said = shown(trained)
    for told in ("tfidf", "frozen", "candidate", "F1, mean of the classes", "nDCG, gains own", "F1 of class E",
                 "36 E, 36 S, 36 I", "36 to choose the weights", "split: grouped"):  # fmt: skip
        assert told in said
    assert "shopmon words" not in said, "it fills no gaps"
    assert all(len(line) <= 60 for line in shown(trained, 60).splitlines())


@pytest.fixture
def typed(capfd, monkeypatch, shop):
    """Type a command line in the shop's folder; gives its exit code and what stands on standard output."""
    monkeypatch.chdir(shop.folder)

    def run(*line):
        capfd.readouterr()
        code = main(list(line))
        return code, capfd.readouterr().out

    return run


def test_the_command_prints_one_document_and_its_exit_code_is_the_gates(trained, typed):
    code, out = typed("retrain", "--task", "relevance", "--split", "hash", "--json", "--quiet")
    said = json.loads(out)
    assert list(SCHEMA.iter_errors(said)) == []
    assert code == (0 if said["gate"]["passed"] else 1)
    assert said["data"]["split"] == "hash"
    assert said["champion_before"] == trained.model_id
    assert set(said["measures"]) == {role.value for role in Role} - {"base", "boosted"}


def test_models_show_a_classifier_as_any_other(trained, typed):
    listed = json.loads(typed("models", "list", "--task", "relevance", "--json")[1])
    assert trained.model_id in [one["model_id"] for one in listed]
    counts = json.loads(typed("models", "lineage", trained.model_id, "--json")[1])
    assert counts["use"] == {"train": 108, "validation": 36, "held out": 36}
    assert counts["role"] == {"E": 36, "S": 36, "I": 36}
    assert "F1 of class" in typed("models", "show", trained.model_id)[1]
    assert "relevance" in typed("models", "list")[1]


def test_a_training_that_broke_off_goes_on(shop, trained):
    def breaks(now):
        if now.doing == "training" and now.step == 3:
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        retrain(task="relevance", project=shop, seed=7, progress=breaks)
    result = retrain(task="relevance", project=shop, resume=True)
    assert (result.resumed_from, result.steps) == (2, 4)
    assert retrain(task="relevance", project=shop, seed=7).weights_sha256 == result.weights_sha256
    with pytest.raises(ShopmonError, match="no unfinished training"):
        retrain(task="relevance", project=shop, resume=True)
