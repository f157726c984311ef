"""A training's folder: what it began with, and who may go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expectations.errors import ShopmonError
from monitor.reviews import Reviewed
from retrain import work
from retrain.settings import MlmSettings, Objective, Recipe, Training, Words
from retrain.work import begin_work, resume_work

FIRST, SECOND = "20261120-195801-a3f9c1", "20261121-080000-b00000"
SETTINGS = MlmSettings(
    words=Words(brands=("Nike", "Café\u2028")),
    objective=Objective(recipe=Recipe.PLAIN),
    training=Training(steps=7, report_to=("tensorboard",)),
    general_text=Path("general.txt"),
)
REVIEWED = Reviewed(
    rejected=frozenset({"ff", "00"}),
    accepted=frozenset({"aa", "bb"}),
    roles={"aa": "negative"},
    labels={"bb": "“warm”\u2028"},
)


def test_a_training_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    texts = ["Warm.", "\u2028 and “light”", ""]
    with begin_work(tmp_path, FIRST, SETTINGS, ["1.parquet"], texts, REVIEWED) as begun:
        pass
    with resume_work(tmp_path, MlmSettings) as resumed:
        assert resumed.settings == SETTINGS == begun.settings
        assert (resumed.model_id, resumed.parts, resumed.texts) == (FIRST, ("1.parquet",), tuple(texts))
        assert resumed.reviewed == REVIEWED == begun.reviewed
        assert resumed.folder == tmp_path / FIRST


def test_a_training_that_began_before_rows_could_be_relabelled_goes_on_with_what_was_rejected(tmp_path: Path) -> None:
    with begin_work(tmp_path, FIRST, SETTINGS, [], [], REVIEWED) as begun:
        pass
    plan = json.loads((begun.folder / work.PLAN).read_text(encoding="utf-8"))
    plan["excluded"] = plan.pop("reviewed")["rejected"]
    del plan["settings"]["training"]["only_accepted"]
    (begun.folder / work.PLAN).write_text(json.dumps(plan), encoding="utf-8")
    with resume_work(tmp_path, MlmSettings) as resumed:
        assert resumed.reviewed == Reviewed(rejected=REVIEWED.rejected)
        assert resumed.settings == SETTINGS


def test_the_newest_training_goes_on(tmp_path: Path) -> None:
    for name in (SECOND, FIRST):
        with begin_work(tmp_path, name, SETTINGS, [], [], Reviewed()):
            pass
    with resume_work(tmp_path, MlmSettings) as resumed:
        assert resumed.model_id == SECOND


def test_a_training_that_is_done_is_not_resumed(tmp_path: Path) -> None:
    with begin_work(tmp_path, FIRST, SETTINGS, [], [], Reviewed()) as begun:
        begun.done()
    with pytest.raises(ShopmonError, match="no unfinished training"):
        resume_work(tmp_path, MlmSettings)


def test_a_folder_without_a_plan_is_no_training(tmp_path: Path) -> None:
    (tmp_path / FIRST).mkdir()
    with pytest.raises(ShopmonError, match="no unfinished training"):
        resume_work(tmp_path, MlmSettings)


def test_two_processes_do_not_train_the_same(tmp_path: Path) -> None:
    begun = begin_work(tmp_path, FIRST, SETTINGS, [], [], Reviewed())
    with begun, pytest.raises(ShopmonError, match="goes on in another process"):
        resume_work(tmp_path, MlmSettings)
    with resume_work(tmp_path, MlmSettings) as resumed:
        assert resumed.model_id == FIRST


@pytest.mark.parametrize(
    "plan", ["", "{}", "[]", '{"model_id": "x", "settings": {"training": {"steps": "many"}}}', "\xff"]
)
def test_a_damaged_plan_is_told_and_its_folder_let_go(tmp_path: Path, plan: str) -> None:
    with begin_work(tmp_path, FIRST, SETTINGS, [], [], Reviewed()) as begun:
        pass
    (begun.folder / work.PLAN).write_bytes(plan.encode("latin-1"))
    for _ in range(2):  # the second time, nobody holds the lock
        with pytest.raises(ShopmonError, match=r"the plan of the training in .* is damaged"):
            resume_work(tmp_path, MlmSettings)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "training").write_text("a file")
    with pytest.raises(ShopmonError, match=r"training/.* cannot be written"):
        begin_work(tmp_path / "training", FIRST, SETTINGS, [], [], Reviewed())


def test_a_lock_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with begin_work(tmp_path, FIRST, SETTINGS, [], [], Reviewed()) as begun:
        pass
    (begun.folder / "lock").unlink()
    (begun.folder / "lock").mkdir()
    with pytest.raises(ShopmonError, match="cannot be written"):
        resume_work(tmp_path, MlmSettings)
