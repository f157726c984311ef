"""What was gathered becomes a model that is recorded, kept whatever the gate says, and champion only if it may be."""

import inspect
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator

import shopmon
from expectations.errors import ProjectError, RunStoreError, ShopmonError
from monitor.retraining_set import text_hash
from monitor.reviews import Decision, Reviewed, Verdict
from monitor.runs import RunStore
from retrain.records import document
from retrain.settings import MlmSettings, Objective, Recipe, Training
from shopmon import retraining
from shopmon.outcome import Failure, Status
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.retraining import attempt_training, project_texts, retrain
from shopmon.training_request import TRACKERS, TrainingRequest

from .example_shop import STRICT, shop_with_a_base
from .example_trainings import failing, passing

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))


BAD, OTHER = "Nike shoes are comfortable in winter", "Nike shoes are light in winter"
"""Texts that were gathered."""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A small shop; tests add models to it."""
    project = shop_with_a_base(tmp_path_factory.mktemp("shop"))
    texts = [f"These Nike shoes are warm and light at work for years, {n} times" for n in range(200)]
    shopmon.set_reference(pd.DataFrame({"text": texts}), project=project)
    return project


@pytest.fixture(scope="module")
def trained(shop):
    """The first model of the shop."""
    seen = []
    return retrain(project=shop, progress=seen.append), seen


@pytest.fixture
def empty(tmp_path):
    """A project without anything in it."""
    return Project(tmp_path)


@pytest.fixture
def told(monkeypatch):
    """Stand in for the training itself, with what it says; gives what it was asked."""
    asked = []

    def answer(what):
        def task(request, project, model_id):
            asked.append((request, project, model_id))
            if isinstance(what, Exception):
                raise what
            return what

        monkeypatch.setattr(retraining, "TASKS", {"mlm": task})
        return asked

    return answer


def recorded(project):
    with RunStore.open(project.store_url) as store:
        return [store.get(run.run_id) for run in store.list()]


# --- a real training --------------------------------------------------------------------------------------------------


def test_a_model_that_passes_becomes_champion_and_is_recorded(shop, trained):
    result, seen = trained
    assert (result.task, result.steps, result.promoted, result.forced) == ("mlm", 4, True, False)
    champion = shopmon.models(shop).champion("mlm")
    assert champion is not None
    assert champion.model_id == result.model_id
    run = next(run for run in recorded(shop) if run.run_id == result.model_id)
    assert (run.command, run.status, run.folder) == ("retrain", "passed", str(result.folder))
    assert run.rows == sum(result.data.rows.values()) > 500
    assert run.document == document(result) == json.loads((result.folder / "training.json").read_text())
    assert list(SCHEMA.iter_errors(run.document)) == []
    assert run.inputs[0].sha256 == result.data.sha256
    assert (shop.folder / ".shopmon" / ".gitignore").read_text() == "*\n"
    assert {now.step for now in seen if now.doing == "training"} == {1, 2, 3, 4}


def test_the_reference_is_the_projects_own_text(trained):
    result, _ = trained
    measured = result.measures["candidate"].texts
    assert set(measured) == {"project", "retraining", "general"}


def test_a_gate_that_says_no_keeps_the_model_back_and_a_person_may_overrule_it(shop, trained):
    first = trained[0].model_id
    strict = shop_settings(shop, STRICT)
    kept_back = attempt_training(TrainingRequest(project=strict, steps=1, seed=2))
    assert kept_back.status is Status.FAILED
    assert "unwanted_mass" in [check.name for check in kept_back.ended.gate.failed]
    registry = shopmon.models(shop)
    assert registry.champion("mlm").model_id == first
    assert not registry.get(kept_back.run_id).gate_passed
    assert recorded(shop)[0].status == "failed"
    forced = retrain(project=strict, steps=1, seed=2, promote=True)
    assert (forced.gate.passed, forced.promoted, forced.forced) == (False, True, True)
    assert registry.champion("mlm").model_id == forced.model_id
    assert registry.history("mlm")[-1].by == "person"
    assert registry.rollback("mlm").model_id == first


def shop_settings(shop, gate):
    """The same shop with another gate."""
    text = (shop.folder / "shopmon.toml").read_text(encoding="utf-8")
    other = shop.folder / "strict" / "shopmon.toml"
    other.parent.mkdir(exist_ok=True)
    before, _, _ = text.partition("[retrain.gate]")
    above = str(shop.folder)
    stores = f'[store]\nurl = "{shop.store_url}"\n' + "".join(
        f'{name} = "{above}/.shopmon/{name}"\n' for name in ("runs", "references", "retraining", "models", "training")
    )
    moved = before.replace('"base"', f'"{above}/base"').replace('"general.txt"', f'"{above}/general.txt"')
    other.write_text(f"{moved}[retrain.gate]\n{gate}\n{stores}", encoding="utf-8")
    return Project.read(other.parent)


def test_a_training_that_broke_off_goes_on_under_its_own_name(shop, trained):
    class Broken(RuntimeError):
        pass

    def breaks(now):
        if now.doing == "training" and now.step == 3:
            raise Broken("the power went")

    with pytest.raises(Broken):
        retrain(project=shop, seed=5, progress=breaks)
    (error,) = [run for run in recorded(shop) if run.status == "error"]
    (left,) = [place.parent.name for place in (shop.training / "mlm").glob("*/plan.json")]
    assert error.run_id != left, "the training may still end well, and is recorded under its own name then"
    result = retrain(project=shop, resume=True)
    assert (result.model_id, result.resumed_from, result.steps) == (left, 2, 4)
    assert {run.run_id: run.status for run in recorded(shop)}[left] in ("passed", "failed")
    uninterrupted = retrain(project=shop, seed=5)
    assert uninterrupted.weights_sha256 == result.weights_sha256
    with pytest.raises(ShopmonError, match="no unfinished training"):
        retrain(project=shop, resume=True)


@contextmanager
def decided(project, *asked):
    """Let a person decide about rows, for the time being."""
    with RunStore.open(project.store_url) as store:
        store.reviews.decide(asked, by="Ann")
        yield
        store.reviews.undo(by="Ann")


def decision(text, verdict, **said):
    return Decision(kind="reviews", text_hash=text_hash(text), verdict=verdict, **said)


def test_what_people_decided_is_honoured_and_what_they_withdrew_is_not(shop, trained):
    bad, other = decision(BAD, Verdict.REJECTED), decision(OTHER, Verdict.RELABELLED, role="negative")
    with decided(shop, bad, other):
        result = retrain(project=shop, steps=1)
    assert (result.data.rejected, result.data.relabelled) == (1, 1)
    lineage = shopmon.models(shop).lineage(result.model_id).to_pylist()
    found = {row["text_hash"]: (row["role"], row["use"]) for row in lineage}
    assert found[bad.text_hash] == ("positive", "rejected")
    assert found[other.text_hash] in (("negative", "train"), ("negative", "held out"))
    assert list(SCHEMA.iter_errors(document(result))) == []
    assert retrain(project=shop, steps=1).data.rejected == 0


def test_only_the_process_that_makes_the_plan_asks_what_people_decided(shop, monkeypatch):
    with decided(shop, decision(BAD, Verdict.REJECTED)):
        told = retraining._reviewed(TrainingRequest(project=shop), shop)
        assert told.rejected == {text_hash(BAD)}
        assert retraining._reviewed(TrainingRequest(project=shop, resume=True), shop) == Reviewed()
        monkeypatch.setenv("RANK", "1")
        assert retraining._reviewed(TrainingRequest(project=shop), shop) == Reviewed()


@pytest.mark.slow
def test_of_two_processes_only_the_first_records_and_tells(shop, trained):
    before = len(recorded(shop))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "shopmon"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with decided(shop, decision(BAD, Verdict.REJECTED)):
        done = subprocess.run(
            [sys.executable, *command, "retrain", "--json", "--seed", "7"],
            cwd=shop.folder, env=environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
    said = json.loads(done.stdout)
    assert done.returncode == (0 if said["gate"]["passed"] else 1), done.stderr
    assert list(SCHEMA.iter_errors(said)) == []
    assert said["processes"] == 2
    assert said["data"]["rejected"] == 1
    assert len(recorded(shop)) == before + 1


# --- the record -------------------------------------------------------------------------------------------------------


def test_a_training_that_cannot_run_is_recorded_with_its_reason(empty, told):
    told(ShopmonError("postgresql://me:secret@host is no base", advice="Name one."))
    with pytest.raises(ShopmonError, match="is no base"):
        retrain(project=empty)
    (run,) = recorded(empty)
    assert (run.command, run.status, run.rows, run.folder) == ("retrain", "error", 0, None)
    assert run.document["error"]["advice"] == "Name one."
    assert "secret" not in json.dumps(run.document)
    assert list(SCHEMA.iter_errors(run.document)) == []


def test_a_mistake_of_ours_is_recorded_too_and_raised_as_it_is(empty, told):
    told(ZeroDivisionError("oh"))
    with pytest.raises(ZeroDivisionError):
        retrain(project=empty)
    assert recorded(empty)[0].document["error"]["type"] == "ZeroDivisionError"


def test_the_run_store_is_opened_before_the_work(empty, told, monkeypatch):
    asked = told(passing())
    monkeypatch.setenv(STORE_URL_VARIABLE, f"sqlite:///{empty.folder}")  # a folder is no database
    with pytest.raises(RunStoreError):
        retrain(project=empty)
    assert asked == []


def test_a_gate_that_said_no_is_recorded_as_failed(empty, told):
    told(failing())
    assert not retrain(project=empty).gate.passed
    assert recorded(empty)[0].status == "failed"


def test_only_the_first_process_records(empty, told, monkeypatch):
    told(passing())
    monkeypatch.setenv("RANK", "1")
    assert attempt_training(TrainingRequest(project=empty)).status is Status.PASSED
    assert not (empty.folder / ".shopmon").exists()


def test_an_id_is_new_for_each_training(empty, told):
    asked = told(ShopmonError("no"))
    runs = [attempt_training(TrainingRequest(project=empty)) for _ in range(3)]
    names = {model_id for _, _, model_id in asked} | {run.run_id for run in runs}
    assert len(names) == 6


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"task": "nil"}, "there is no task 'nil'; shopmon can train mlm, relevance, sentiment, category, nli"),
        ({"task": "relevance", "recipe": "plain"}, "recipe belongs to the task mlm, and relevance was asked for"),
        ({"split": "hash"}, "split belongs to the task relevance or sentiment or category or nli"),
        ({"task": "relevance", "preset": "mine"}, "preset is 'mine', and must be one of liyuan, esci-ce"),
        ({"task": "category", "preset": "liyuan"}, "preset is 'liyuan', and must be one of batched, aws"),
        ({"task": "nli", "preset": "aws"}, "preset is 'aws', and must be one of run_glue"),
        ({"task": "sentiment", "preset": "aws"}, "preset belongs to the task relevance or category or nli"),
        ({"task": "mln"}, "there is no task 'mln'; shopmon can train mlm"),
        ({"steps": 0}, "steps is 0, and must be a whole number of 1 or more"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"steps": True}, "steps is True"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"epochs": 0}, "epochs is 0, and must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"steps": 3, "epochs": 1.0}, "steps and epochs both say how long"),
        ({"recipe": "secret"}, "recipe is 'secret', and must be one of full, plain, plain_all"),
        ({"report_to": ["tensorboard", "post"]}, "report_to is 'post', and must be one of tensorboard, mlflow, wandb"),
        ({"resume": True, "steps": 3}, "keeps the settings it began with, and steps was given"),
        ({"resume": True, "base": "offline", "seed": 1}, "base, seed was given"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(empty, asked, problem):
    run = attempt_training(TrainingRequest(project=empty, **asked))
    assert isinstance(run.ended, Failure)
    assert problem in run.ended.problem
    assert run.ended.advice
    assert not (empty.folder / ".shopmon").exists()


def test_a_project_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ProjectError, match=r"holds no shopmon\.toml"):
        retrain(project=tmp_path / "nowhere")


def test_what_is_asked_for_takes_the_place_of_the_projects_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    settings = MlmSettings(training=Training(steps=500, patience=9), objective=Objective(unlikelihood=2.0))
    request = TrainingRequest(
        base="mine", epochs=2.0, batch_size=8, learning_rate=1e-3, seed=0, recipe="plain", general_text="prose.txt",
        report_to=["mlflow", "mlflow"],
    )  # fmt: skip
    request.check()
    made = request.applied_to(settings)
    assert made.base == str(tmp_path / "mine")
    assert made.general_text == tmp_path / "prose.txt"
    assert made.objective == Objective(recipe=Recipe.PLAIN, unlikelihood=2.0)
    assert made.training == Training(
        steps=None, epochs=2.0, batch_size=8, learning_rate=1e-3, seed=0, patience=9, report_to=("mlflow",)
    )


def test_what_is_not_asked_for_stays_as_the_project_says():
    settings = MlmSettings(base="offline", training=Training(steps=500))
    assert TrainingRequest().applied_to(settings) == settings
    assert TrainingRequest(steps=7).applied_to(settings).training == replace(settings.training, steps=7)


@pytest.mark.parametrize(
    ("base", "kept"),
    [
        ("offline", True),
        ("distilbert-base-uncased", True),
        ("me/model", True),
        ("./mine", False),
        (Path("mine"), False),
    ],
)
def test_a_base_is_a_name_unless_it_is_a_path(base, kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "offline").mkdir()
    found = TrainingRequest(base=base).applied_to(MlmSettings()).base
    assert found == (base if kept else str(tmp_path / "mine"))


def test_the_trackers_are_extras_that_can_be_installed():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(TRACKERS) <= set(extras)


def test_the_page_names_every_argument():
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    told = re.search(r"^## shopmon\.retrain\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)[1]
    named = [name for row in re.findall(r"^\| (`.*?) \|", told, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(inspect.signature(retrain).parameters)


# --- the project's own text -------------------------------------------------------------------------------------------


def test_without_a_reference_there_is_no_text_of_the_project(empty):
    assert list(project_texts(empty)) == []


def test_the_texts_of_every_reference_are_taken_once_as_models_read_them(empty):
    titles = [f"Warm jacket number {n % 30}" for n in range(40)]
    products = pa.table({"title": titles, "description": [f"Of wool, {n % 30}" for n in range(40)]})
    shopmon.set_reference(products, project=empty)
    queries = pa.table({"query": [f"light coat {n}" for n in range(40)]})
    shopmon.set_reference(queries, shopmon_reading("queries"), project=empty)
    texts = list(project_texts(empty))
    assert len(texts) == len(set(texts))
    assert {"Warm jacket number 4\nOf wool, 4", "light coat 39"} <= set(texts)


def shopmon_reading(kind):
    from shopmon.reading import Reading

    return Reading(kind, None, None, None)
