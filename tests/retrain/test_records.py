from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain.records import FILE_NAME, document, from_document, read, write
from retrain.results import (
    BaseUsed,
    Contrast,
    DataUsed,
    FillIn,
    Gate,
    GateCheck,
    MassMeasure,
    Measures,
    Role,
    TextMeasure,
    TextSet,
    TrainingResult,
)
from retrain.settings import Recipe

MEASURES = Measures(
    texts={TextSet.GENERAL: TextMeasure(4.5, math.exp(4.5), 512, 3400)},
    masses={Contrast.GATE: MassMeasure(0.5, 0.017, 3)},
    fill_ins={"{brand} shoes are [MASK]": (FillIn("warm", 0.2), FillIn("light", 0.1))},
)
RESULT = TrainingResult(
    model_id="20261120-195801-a3f9c1",
    task="mlm",
    base=BaseUsed("offline", "3f2a", "/base"),
    champion_before="20261119-195801-000000",
    promoted=True,
    gate=Gate((GateCheck("unwanted_mass", "unwanted words", 0.017, 0.02, True, None),)),
    measures={Role.BASE: MEASURES, Role.CANDIDATE: MEASURES},
    data=DataUsed(rows={"positive": 40}, held_out={"positive": 4}, general=10, sha256="aa", parts=("1.parquet",)),
    steps=50,
    best_step=40,
    resumed_from=20,
    seconds=12.5,
    settings={"training": {"seed": 1, "steps": None, "bf16": True}, "words": ["warm", "light"]},
    versions={"torch": "2.13.0"},
    folder=Path("/models/mlm/1"),
    notes=("a note",),
)


def through_json(told: dict[str, Any]) -> Any:
    return json.loads(json.dumps(told, allow_nan=False))


# Writing and reading


def test_a_result_is_read_back_as_it_was_written() -> None:
    assert from_document(through_json(document(RESULT))) == RESULT


def test_the_least_of_a_result_is_read_back() -> None:
    least = TrainingResult(model_id="1", task="mlm", base=BaseUsed("offline", ""))
    assert from_document(through_json(document(least))) == least


_finite = st.floats(allow_nan=False, allow_infinity=False)
_count = st.integers(0, 2**60)
_measures = st.builds(
    Measures,
    texts=st.dictionaries(
        st.sampled_from(TextSet),
        st.builds(TextMeasure, loss=_finite, perplexity=_finite, rows=_count, tokens=_count),
    ),
    masses=st.dictionaries(
        st.sampled_from(Contrast), st.builds(MassMeasure, wanted=_finite, unwanted=_finite, prompts=_count)
    ),
    fill_ins=st.dictionaries(
        st.text(), st.lists(st.builds(FillIn, word=st.text(), probability=_finite)).map(tuple), max_size=3
    ),
)
_checks = st.builds(
    GateCheck,
    name=st.text(),
    says=st.text(),
    value=st.none() | _finite,
    limit=_finite,
    at_most=st.booleans(),
    against=st.none() | st.sampled_from(Role),
    reason=st.text(),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _finite | st.text(),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(), of, max_size=3),
    max_leaves=8,
)
_results = st.builds(
    TrainingResult,
    model_id=st.text(),
    task=st.text(),
    base=st.builds(BaseUsed, name=st.text(), sha256=st.text()),
    champion_before=st.none() | st.text(),
    gate=st.builds(Gate, st.lists(_checks, max_size=3).map(tuple)),
    measures=st.dictionaries(st.sampled_from(Role), _measures),
    seconds=_finite,
    resumed_from=st.none() | _count,
    settings=st.dictionaries(st.text(), _json, max_size=3),
    folder=st.none() | st.sampled_from([Path("/models"), Path("models/mlm")]),
    notes=st.lists(st.text(), max_size=3).map(tuple),
)


@settings(deadline=None)
@given(_results)
def test_any_result_is_read_back_as_it_was_written(result: TrainingResult) -> None:
    assert from_document(through_json(document(result))) == result


def test_verdicts_stand_beside_their_numbers() -> None:
    told = document(RESULT)
    assert told["schema_version"] == 1
    assert told["gate"]["passed"] is True
    assert [check["passed"] for check in told["gate"]["checks"]] == [True]
    assert list(told["measures"]) == ["base", "candidate"]
    assert all(type(name) is str for name in told["measures"])


def test_settings_become_plain_values() -> None:
    told = document(replace(RESULT, settings={"recipe": Recipe.FULL, "general_text": Path("a/b"), "words": ("x",)}))
    assert told["settings"] == {"recipe": "full", "general_text": "a/b", "words": ["x"]}
    assert type(told["settings"]["recipe"]) is str


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_by_its_name(number: float) -> None:
    with pytest.raises(ShopmonError, match=r"^seconds is (nan|inf|-inf)"):
        document(replace(RESULT, seconds=number))
    with pytest.raises(ShopmonError, match=r"^settings\.gate\.limits\.1 is"):
        document(replace(RESULT, settings={"gate": {"limits": [1.0, number]}}))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j])
def test_a_value_that_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"settings\.odd is a"):
        document(replace(RESULT, settings={"odd": value}))


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="a name in settings"):
        document(replace(RESULT, settings={1: "one"}))  # type: ignore[dict-item]


# Records that are not as they should be


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    told: dict[str, Any] = through_json(document(RESULT))
    change(told)
    return told


@pytest.mark.parametrize("version", [0, 2, "1", True, None, 1.0])
def test_another_version_is_refused(version: object) -> None:
    with pytest.raises(ShopmonError, match=r"format .* reads 1"):
        from_document(changed(lambda told: told.update(schema_version=version)))


def test_a_record_without_a_version_is_refused() -> None:
    with pytest.raises(ShopmonError, match="format None"):
        from_document(changed(lambda told: told.pop("schema_version")))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told.pop("model_id"), "'model_id' is missing"),
        (lambda told: told["base"].pop("sha256"), "'base.sha256' is missing"),
        (lambda told: told.update(colour="red"), "a field 'colour'"),
        (lambda told: told["data"].update(colour="red"), "a field 'data.colour'"),
        (lambda told: told.update(steps="50"), "steps is '50', and not a whole number"),
        (lambda told: told.update(steps=True), "steps is True, and not a whole number"),
        (lambda told: told.update(steps=1.5), "steps is 1.5, and not a whole number"),
        (lambda told: told.update(seconds=math.nan), "seconds is nan, and not a finite number"),
        (lambda told: told.update(seconds=10**400), "seconds is 1000.*, and not a finite number"),
        (lambda told: told.update(promoted=1), "promoted is 1, and not true or false"),
        (lambda told: told.update(task=None), "task is None, and not a text"),
        (lambda told: told.update(notes="x"), "notes is 'x', and not an array"),
        (lambda told: told.update(notes=[1]), "notes.0 is 1, and not a text"),
        (lambda told: told.update(measures=[]), r"measures is \[\], and not an object"),
        (
            lambda told: told["measures"].update(loser={}),
            "measures is 'loser', and not one of base, tfidf, frozen, boosted, champion",
        ),
        (
            lambda told: told["measures"]["base"]["texts"]["general"].update(loss=None),
            "base.texts.general.loss is None",
        ),
        (lambda told: told.update(gate=[]), r"gate is \[\], and not an object"),
        (lambda told: told["gate"]["checks"][0].update(against=[]), r"gate.checks.0.against is \[\]"),
        (lambda told: told["settings"]["training"].update(seed=math.inf), "settings.training.seed is inf"),
        (lambda told: told.update(folder=3), "folder is 3, and not a path"),
    ],
)
def test_a_damaged_record_names_the_field(change: Callable[[dict[str, Any]], None], says: str) -> None:
    with pytest.raises(ShopmonError, match=says):
        from_document(changed(change))


def test_a_verdict_that_its_numbers_do_not_bear_out_is_refused() -> None:
    def fail(told: dict[str, Any]) -> None:
        told["gate"]["checks"][0].update(value=0.5, passed=False)

    with pytest.raises(ShopmonError, match=r"gate.passed is True, and not false, by the numbers beside it"):
        from_document(changed(fail))


def test_a_field_that_is_missing_has_its_default() -> None:
    assert from_document(changed(lambda told: told.pop("processes"))).processes == 1


def test_a_record_from_before_people_could_review_rows_is_read() -> None:
    def before(told: dict[str, Any]) -> None:
        for name in ("rejected", "relabelled", "not_reviewed"):
            del told["data"][name]

    assert from_document(changed(before)) == RESULT


# Files


def test_a_record_that_was_written_is_read(tmp_path: Path) -> None:
    assert write(RESULT, tmp_path) == tmp_path / FILE_NAME
    assert read(tmp_path) == document(RESULT)


def test_names_that_are_no_characters_are_kept(tmp_path: Path) -> None:
    odd = replace(RESULT, data=DataUsed(general_source="caf\udce9\x00.txt"))
    write(odd, tmp_path)
    assert from_document(read(tmp_path)) == odd


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is damaged: it is no JSON"),
        (b'{"schema_version": 1,', "is damaged: it is no JSON"),
        (b"\xff\xfe\x00", "is damaged: it is no JSON"),
        (b"[" * 100_000, "is damaged: it is no JSON"),
        (b"[]", "and not an object"),
        (b"null", "and not an object"),
        (b'{"schema_version": 7}', "has the format 7"),
        (b'{"schema_version": 1}', "'model_id' is missing"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ShopmonError, match=says) as raised:
        read(tmp_path)
    assert str(tmp_path / FILE_NAME) in raised.value.problem


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ShopmonError, match=r"has no training\.json"):
        read(tmp_path)


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ShopmonError, match="cannot be read: Is a directory"):
        read(tmp_path)
