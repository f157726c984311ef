"""What a training says reads well on any terminal, obeys nothing that data says, and is what its schema promises."""

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from rich.cells import cell_len
from rich.console import Console

from expectations.errors import ShopmonError
from retrain.records import document, from_document
from retrain.registry import Event, Registered
from retrain.results import Gate, Role, TrainingResult
from shopmon.outcome import Failure, Status
from shopmon.training_outcome import TrainingRun, failure_in, is_training
from shopmon.training_summary import (
    event_said,
    lineage_counts,
    lineage_shown,
    model_shown,
    models_table,
    training_summary,
    training_verdict,
)

from .example_trainings import BEFORE, EVIL, FOLDER, MODEL_ID, PROMPT, failing, hostile, passing

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "training.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
HERE = Path("/shop")
RESULTS = [passing(), failing(), failing(promoted=True, forced=True), hostile(), passing(gate=Gate(), promoted=False)]
LINEAGE = pa.table({
    "use": ["train", "train", "held out", "set aside"],
    "role": ["positive", "negative", "positive", "positive"],
    "reasons": [["praise", "long"], ["unwanted_word"], ["praise"], None],
    "file": [EVIL, "new.csv", "new.csv", None],
})  # fmt: skip


def drawn(what, width=80):
    """What a terminal of that many columns shows, line by line."""
    console = Console(width=width, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        console.print(what)
    return captured.get().splitlines()


def said(result, width=80):
    return "\n".join(drawn(training_summary(result, width=width, here=HERE), width))


def registered(result, **changes):
    told = {"task": "mlm", "model_id": result.model_id, "folder": FOLDER, "created": "2026-11-20T19:58:01+00:00"}
    told |= {"gate_passed": result.gate.passed, "is_champion": result.promoted, "document": document(result)}
    return Registered(**{**told, **changes})


def invalid(said):
    return [error.message for error in VALIDATOR.iter_errors(said)]


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("result", RESULTS, ids=range(len(RESULTS)))
def test_no_line_is_wider_than_the_terminal_and_none_obeys_what_data_says(result, width):
    events = [Event("2026-11-20T20:00:00+00:00", EVIL, BEFORE, "person", EVIL)]
    model = registered(result)
    shown = (
        training_summary(result, width=width, here=HERE),
        model_shown(model, result, events, LINEAGE, width=width, here=HERE),
        models_table([model, replace(model, is_champion=False, gate_passed=False)], width=width),
        event_said(events[0]),
    )
    for what in shown:
        lines = drawn(what, width)
        assert max(map(cell_len, lines)) <= width
        assert not [line for line in lines if "\x1b" in line or "\u202e" in line]


def test_a_narrow_terminal_gets_an_answer_as_well():
    assert "champion" in said(passing(), width=20)


def test_the_first_line_is_the_verdict():
    assert said(passing()).startswith(f"✓ champion   {MODEL_ID}   mlm   76 steps   4 min 12 s\n")
    assert said(failing()).startswith(f"✗ kept back   {MODEL_ID}")
    assert said(failing(promoted=True, forced=True)).startswith("✓ champion, against the gate")
    assert said(passing(promoted=False)).startswith("✓ passed the gate")


def test_the_numbers_that_failed_are_named_at_once():
    line = drawn(training_verdict(failing(), width=80))[1]
    assert line == "  failed: unwanted_mass, complaints_change"
    forced = drawn(training_verdict(failing(promoted=True, forced=True), width=80))[1]
    assert forced == "  the gate said no to unwanted_mass, complaints_change"


def test_a_gate_without_a_check_is_no_pass():
    text = said(passing(gate=Gate(), promoted=False))
    assert text.startswith("✗ kept back")
    assert text.count("that is no pass") == 2


def test_base_champion_and_candidate_stand_side_by_side():
    text = said(passing())
    (head,) = [line.split() for line in text.splitlines() if line.startswith("Measures")]
    assert head == ["Measures", "base", "champion", "candidate"]
    (unwanted,) = [line for line in text.splitlines() if "probability of unwanted words, our brands" in line]
    assert unwanted.split()[-3:] == ["0.304", "0.050", "0.017"]
    assert "champion" not in next(line for line in said(failing()).splitlines() if line.startswith("Measures"))


def test_each_check_shows_its_value_its_limit_and_against_whom():
    lines = [" ".join(line.split()) for line in said(failing()).splitlines()]
    assert "✗ unwanted words on the gate's prompts 0.091 ≤ 0.020" in lines
    assert "✓ wanted words on the gate's prompts 0.536 ≥ 0.255 (base)" in lines
    assert "✗ unwanted words in complaints, change not measured ≤ 0.200 (base)" in lines
    assert "there are no prompts for complaints" in lines


def test_the_prompt_that_changed_most_is_shown_with_wanted_and_unwanted_words_marked():
    lines = said(passing()).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("Says"))
    assert lines[at].split(maxsplit=1)[1] == PROMPT
    assert [line.rsplit("  ", 1)[0].split("   ")[0].strip() for line in lines[at + 2 : at + 5]] == [
        "popular", "✓ durable", "✗ expensive",
    ]  # fmt: skip
    assert "✓ comfortable   25.0 %" in lines[at + 2]


def test_what_went_in_is_told():
    text = " ".join(said(passing()).split())
    assert "1,236 rows to learn from: 812 positive, 304 negative, 120 counterfactual; 121 held out" in text
    assert "2,000 passages of Python 3.11.7's documentation strings" in text
    assert "3 rows set aside" in text
    assert "by people" not in text
    assert "step 70 of 76 was the best; stopped early; went on from step 40" in text


def test_what_people_decided_about_the_rows_is_told():
    reviewed = replace(passing().data, rejected=3, relabelled=1, not_reviewed=1_204)
    text = " ".join(said(passing(data=reviewed)).split())
    left_out = "1,204 rows left out, since nobody accepted them"
    assert f"by people: 3 rows rejected, 1 row in another role, {left_out}" in text
    assert "by people: 1 row rejected" in " ".join(said(passing(data=replace(passing().data, rejected=1))).split())


@pytest.mark.parametrize(
    ("result", "advice"),
    [
        (passing(), "shopmon models rollback"),
        (passing(promoted=False), f"shopmon models promote {MODEL_ID}"),
        (failing(), "give what could not be measured"),
        (replace(failing(), gate=Gate(failing().gate.checks[:2])), f"overrule it: shopmon models promote {MODEL_ID}"),
    ],
)
def test_the_last_line_says_what_next(result, advice):
    assert advice in " ".join(said(result).split("Next")[-1].split())


def test_models_are_listed_with_the_champion_marked():
    lines = drawn(models_table([registered(passing()), registered(failing(), model_id=BEFORE)], width=80))
    assert lines[1].split()[:7] == ["★", MODEL_ID, "mlm", "✓", "passed", "unwanted", "0.017"]
    assert lines[2].split()[:4] == [BEFORE, "mlm", "✗", "failed"]
    assert "shopmon retrain" in drawn(models_table([], width=80))[0]


def test_a_model_whose_training_measured_nothing_is_listed():
    bare = TrainingResult(model_id=MODEL_ID, task="mlm", base=passing().base)
    assert drawn(models_table([registered(bare)], width=80))[1].split()[4] == "–"


def test_lineage_is_counted_by_use_and_what_was_learnt_from_by_role_rule_and_file():
    assert lineage_counts(LINEAGE) == {
        "use": {"train": 2, "held out": 1, "set aside": 1},
        "role": {"positive": 1, "negative": 1},
        "rule": {"praise": 1, "long": 1, "unwanted_word": 1},
        "file": {EVIL: 1, "new.csv": 1},
    }
    assert lineage_counts(LINEAGE.slice(0, 0)) == {"use": {}, "role": {}, "rule": {}, "file": {}}
    assert drawn(lineage_shown(LINEAGE.slice(0, 0), width=80))[0].split() == ["Rows", "none"]


def test_a_model_is_shown_without_a_lineage_that_cannot_be_read():
    shown = model_shown(registered(passing()), passing(), [], None, problem="it is gone", width=80, here=HERE)
    text = "\n".join(drawn(shown))
    assert "it is gone" in text
    assert "✓ champion" in text


# --- the document -----------------------------------------------------------------------------------------------------


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("result", RESULTS[:3], ids=range(3))
def test_the_document_of_a_training_is_what_the_schema_promises_and_can_be_read_again(result):
    run = TrainingRun(result.model_id, "mlm", result)
    told = json.loads(run.json())
    assert invalid(told) == []
    assert is_training(told)
    assert failure_in(told) is None
    assert from_document(told).gate == result.gate
    assert from_document(told).measures == result.measures


def test_a_hostile_document_is_still_one_that_the_schema_knows():
    assert invalid(json.loads(TrainingRun(MODEL_ID, "mlm", hostile()).json())) == []


def test_the_document_of_a_training_that_could_not_run_is_what_the_schema_promises():
    error = ShopmonError("postgresql://me:secret@host cannot be reached \ud800\0", advice="Start it.")
    run = TrainingRun(MODEL_ID, "mlm", Failure.of(error), "2026-11-20T19:58:01+00:00", 1.23456, "0.1.0")
    told = json.loads(run.json())
    assert invalid(told) == []
    assert "secret" not in run.json()
    assert run.status is Status.ERROR
    assert not is_training(told)
    failure = failure_in(told)
    assert failure
    assert failure.advice == "Start it."


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (passing(), Status.PASSED),
        (passing(promoted=False), Status.PASSED),
        (failing(promoted=True, forced=True), Status.PASSED),
        (failing(), Status.FAILED),
        (passing(gate=Gate(), promoted=False), Status.FAILED),
    ],
)
def test_a_run_passed_where_the_gate_or_a_person_said_yes(result, status):
    assert TrainingRun(MODEL_ID, "mlm", result).status is status


def test_the_schema_refuses_what_no_training_says():
    good = document(passing())
    for wrong in (
        {**good, "promoted": "yes"},
        {**good, "extra": 1},
        {name: value for name, value in good.items() if name != "gate"},
        {**good, "measures": {"stranger": good["measures"]["base"]}},
    ):
        assert invalid(wrong) != []


def described(schema):
    """The properties of the object that a schema speaks of, directly, as an item, or as a value."""
    while "properties" not in schema:
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        elif "oneOf" in schema:  # null is the other one
            schema = schema["oneOf"][0]
        else:
            schema = schema["items"] if "items" in schema else schema["additionalProperties"]
    return schema["properties"]


def dataclasses_in(hint):
    """The dataclasses that a type speaks of."""
    if is_dataclass(hint):
        yield hint
    for inside in get_args(hint):
        yield from dataclasses_in(inside)


def test_the_schema_has_every_field_of_a_training():
    def differences(kind, schema):
        names = {one.name for one in fields(kind)} | ({"passed"} if "passed" in vars(kind) else set())
        found = described(schema)
        yield from {(kind.__name__, name) for name in names ^ (set(found) - {"schema_version"})}
        for name, hint in get_type_hints(kind).items():
            for inside in dataclasses_in(hint):
                yield from differences(inside, found[name])

    assert set(differences(TrainingResult, SCHEMA["$defs"]["training"])) == set()
    assert set(SCHEMA["$defs"]["training"]["required"]) == set(SCHEMA["$defs"]["training"]["properties"])


def test_the_roles_of_the_schema_are_those_of_the_library():
    assert SCHEMA["$defs"]["role"]["enum"] == [role.value for role in Role]
