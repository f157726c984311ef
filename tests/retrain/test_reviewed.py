"""What people rejected or relabelled: a training learns from it as they said, and is measured so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from monitor.retraining_set import RetrainingSet, text_hash
from monitor.reviews import Reviewed
from retrain.data import is_held_out
from retrain.lineage import HELD_OUT, NOT_REVIEWED, REJECTED, TRAIN
from retrain.loading import MaskedModel, load_masked_lm
from retrain.mlm import Asked, Material, prepare
from retrain.results import TextSet

SHARE = 0.2
"""Held out, in tests/retrain/tiny.py."""


@pytest.fixture(scope="module")
def asked(tiny: ModuleType, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    found: Asked = tiny.asked(tiny.Request(str(home), str(tmp_path_factory.mktemp("room")), "", ""))
    return found


@pytest.fixture(scope="module")
def base(home: Path) -> MaskedModel:
    return load_masked_lm(home / "base")


@pytest.fixture(scope="module")
def rows(asked: Asked) -> Mapping[str, str]:
    """Text hash → role, as they were gathered."""
    read = asked.retraining_set.read(["text_hash", "role"]).read_all().to_pylist()
    return {row["text_hash"]: row["role"] for row in read}


def some(rows: Mapping[str, str], role: str, count: int, *, held_out: bool = False) -> list[str]:
    """The first hashes of a role, of those that are held out or not."""
    found = [digest for digest, own in rows.items() if own == role and is_held_out(digest, SHARE) is held_out]
    return found[:count]


def learnt(material: Material, part: str) -> set[str]:
    """The hashes of the rows of a part: positive, negative …"""
    return {digest for name, data in material.rows.items() if name.startswith(part) for digest in data["text_hash"][:]}


def everywhere(material: Material) -> set[str]:
    measured = {digest for texts in material.sets.texts.values() for digest in texts["text_hash"][:]}
    return measured | learnt(material, "")


def test_a_rejected_row_is_neither_learnt_from_nor_measured_on(
    asked: Asked, base: MaskedModel, rows: Mapping[str, str]
) -> None:
    rejected = [*some(rows, "positive", 3), *some(rows, "positive", 2, held_out=True), *some(rows, "negative", 4)]
    before = prepare(base, asked)
    after = prepare(base, replace(asked, reviewed=Reviewed(rejected=frozenset(rejected))))
    assert set(rejected) <= everywhere(before)
    assert not set(rejected) & everywhere(after)
    assert (before.used.rejected, after.used.rejected) == (0, 9)
    assert after.used.rows["negative"] == before.used.rows["negative"] - 4
    assert after.used.held_out["positive"] == before.used.held_out["positive"] - 2


def test_a_frame_around_a_rejected_row_is_not_learnt_from_either(
    asked: Asked, base: MaskedModel, rows: Mapping[str, str]
) -> None:
    negative = some(rows, "negative", 99)
    before = prepare(base, asked)
    after = prepare(base, replace(asked, reviewed=Reviewed(rejected=frozenset(negative))))
    framed = "counterfactual/complaint frames"
    assert len(before.rows[framed]) >= len(negative)
    assert framed not in after.rows


def test_a_relabelled_row_plays_its_new_role_everywhere(
    asked: Asked, base: MaskedModel, rows: Mapping[str, str]
) -> None:
    (learnt_from,), (measured_on,) = some(rows, "positive", 1), some(rows, "positive", 1, held_out=True)
    (new_measure,) = some(rows, "replay", 1, held_out=True)
    given = {learnt_from: "negative", measured_on: "counterfactual", new_measure: "positive"}
    before = prepare(base, asked)
    after = prepare(base, replace(asked, reviewed=Reviewed(accepted=frozenset(given), roles=given)))
    assert learnt_from in learnt(before, "positive")
    assert learnt_from not in learnt(after, "positive")
    assert learnt_from in learnt(after, "negative")
    measured = set(after.sets.texts[TextSet.RETRAINING]["text_hash"][:])
    assert measured_on not in measured
    assert new_measure in measured
    assert after.used.relabelled == 3
    roles = ("positive", "negative", "counterfactual", "replay")
    changes = {role: after.used.rows[role] - before.used.rows[role] for role in roles}
    assert changes == {"positive": -1, "negative": 1, "counterfactual": 0, "replay": 0}
    held = {role: after.used.held_out.get(role, 0) - before.used.held_out.get(role, 0) for role in roles}
    assert held == {"positive": 0, "negative": 0, "counterfactual": 1, "replay": -1}


def test_a_role_that_a_row_had_already_and_a_label_alone_change_nothing(
    asked: Asked, base: MaskedModel, rows: Mapping[str, str]
) -> None:
    (same,), (labelled,) = some(rows, "positive", 1), some(rows, "negative", 1)
    said = Reviewed(accepted=frozenset({same, labelled}), roles={same: "positive"}, labels={labelled: "5"})
    before, after = prepare(base, asked), prepare(base, replace(asked, reviewed=said))
    assert after.used == before.used
    assert {name: data["text_hash"][:] for name, data in after.rows.items()} == {
        name: data["text_hash"][:] for name, data in before.rows.items()
    }


def only_accepted(asked: Asked, reviewed: Reviewed) -> Asked:
    training = replace(asked.settings.training, only_accepted=True)
    return replace(asked, reviewed=reviewed, settings=replace(asked.settings, training=training))


def test_only_accepted_rows_are_used_where_they_alone_are_asked_for(
    asked: Asked, base: MaskedModel, rows: Mapping[str, str]
) -> None:
    accepted, measured = some(rows, "positive", 40), some(rows, "positive", 5, held_out=True)
    (relabelled,) = some(rows, "replay", 1)
    said = Reviewed(frozenset(), frozenset([*accepted, *measured, relabelled]), {relabelled: "negative"})
    material = prepare(base, only_accepted(asked, said))
    assert everywhere(material) & set(rows) == {*accepted, *measured, relabelled}
    assert material.used.rows == {"positive": 40, "negative": 1}
    assert material.used.held_out == {"positive": 5}
    assert (material.used.not_reviewed, material.used.relabelled) == (len(rows) - 46, 1)


def test_too_few_accepted_rows_are_told(asked: Asked, base: MaskedModel, rows: Mapping[str, str]) -> None:
    said = Reviewed(accepted=frozenset(some(rows, "positive", 3)))
    with pytest.raises(ShopmonError, match="has 3 positive rows to learn from that a person accepted") as told:
        prepare(base, only_accepted(asked, said))
    assert "only_accepted = false" in told.value.advice


# Whole trainings


@pytest.fixture(scope="module")
def decided(rows: Mapping[str, str]) -> dict[str, Any]:
    """What people decided before a training began."""
    return {
        "rejected": [*some(rows, "positive", 2), *some(rows, "positive", 1, held_out=True)],
        "relabelled": {some(rows, "positive", 3)[2]: "negative", some(rows, "replay", 1, held_out=True)[0]: "positive"},
    }


def lineage(ended: Any) -> dict[str, tuple[str, str]]:
    """Text hash → role and use."""
    table = pq.read_table(Path(ended.said["folder"]) / "lineage.parquet", columns=["text_hash", "role", "use"])
    return {row["text_hash"]: (row["role"], row["use"]) for row in table.to_pylist()}


def document(ended: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(ended.said["folder"]) / "training.json").read_text())
    return found


@pytest.fixture(scope="module")
def reviewed_training(trainings: Any, decided: dict[str, Any]) -> Any:
    ended = trainings(trainings.room(), **decided)
    assert ended.code == 0, ended.log
    return ended


def test_a_model_says_what_people_decided_about_its_rows(
    reviewed_training: Any, decided: dict[str, Any], rows: Mapping[str, str]
) -> None:
    found = lineage(reviewed_training)
    assert set(found) == set(rows)
    assert {found[digest] for digest in decided["rejected"]} == {("positive", REJECTED)}
    learnt_from, measured_on = decided["relabelled"]
    assert found[learnt_from] == ("negative", TRAIN)
    assert found[measured_on] == ("positive", HELD_OUT)
    used = document(reviewed_training)["data"]
    assert (used["rejected"], used["relabelled"], used["not_reviewed"]) == (3, 2, 0)
    told = Counter(role for role, use in found.values() if use == TRAIN)
    assert {role: told[role] for role in used["rows"]} == used["rows"]
    assert NOT_REVIEWED not in {use for _, use in found.values()}
    card = (Path(reviewed_training.said["folder"]) / "README.md").read_text(encoding="utf-8")
    assert "| rows left out, since a person rejected them | 3 |" in card
    assert "| rows in another role than they were gathered in, since a person said so | 2 |" in card


def test_a_training_that_was_killed_goes_on_with_the_decisions_it_began_with(
    trainings: Any, room: Path, reviewed_training: Any, decided: dict[str, Any], rows: Mapping[str, str]
) -> None:
    assert trainings(room, harm="in a step", at=5, **decided).code == -9
    ended = trainings(room, resume=True, rejected=some(rows, "negative", 9))  # decided meanwhile: for the next one
    assert ended.code == 0, ended.log
    assert ended.said["resumed_from"] == 3
    assert ended.said["weights"] == reviewed_training.said["weights"]
    assert lineage(ended) == lineage(reviewed_training)
    assert document(ended)["data"] == document(reviewed_training)["data"]


def test_a_text_that_was_decided_about_and_never_gathered_does_no_harm(
    asked: Asked, base: MaskedModel, tmp_path: Path
) -> None:
    absent = text_hash("never gathered")
    said = Reviewed(frozenset({absent}), frozenset(), {absent: "negative"})
    assert prepare(base, replace(asked, reviewed=said)).used == prepare(base, asked).used
    with pytest.raises(ShopmonError, match="is empty"):
        prepare(base, replace(asked, retraining_set=RetrainingSet(tmp_path), reviewed=said))
