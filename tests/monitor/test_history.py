from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.errors import RunStoreError
from monitor.history import batches, columns, differences, lines, newest, rules
from monitor.run_database import from_json
from monitor.runs import Input, Run, RunStore
from shopmon.outcome import CheckResult, Failure, Status

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVIL = "x' \"); DROP TABLE shopmon_runs; -- \x00\ud800\x1b % _"


def a_rule(**said: Any) -> dict[str, Any]:
    rule = {"id": "html", "type": "expect_x", "column": "text", "severity": "warning", "outcome": "passed"}
    counted = {"success": True, "examined": 100, "unexpected": 3, "mostly": 0.9, "engine": "scan"}
    return {**rule, **counted, "reason": "tags", "observed": None, "example": None, **said}


def a_column(**said: Any) -> dict[str, Any]:
    column = {"column": "price", "segment": None, "sort": "number", "test": "mean", "p_value": 1e-9, "p_adjusted": 1e-8}
    found = {"effect": 0.5, "effect_name": "SD", "floor": 0.05, "drifted": True, "said": "higher", "examples": []}
    measured = {"method": "wasserstein", "value": 0.25, "threshold": 0.1, "drifted": True, "reason": ""}
    return {**column, **found, "evidently": measured, **said}


def a_document(**changes: Any) -> dict[str, Any]:
    document = CheckResult("r", Status.PASSED, kind="reviews", rows=100, unreadable=2, tolerated=5).document()
    document["expectations"] = [
        a_rule(),
        a_rule(id="missing", severity="critical", outcome="failed", unexpected=7),
        a_rule(id="blank", outcome="failed"),
        a_rule(id="broken", outcome="error", examined=0, unexpected=0),
        a_rule(id="idle", outcome="not examined", examined=0, unexpected=0),
    ]
    document["drift"] |= {"status": "drifted", "reference": "good.parquet"}
    document["drift"]["columns"] = [
        a_column(),
        a_column(test="missing values", drifted=False),
        a_column(segment="brand = Nike"),
        a_column(column="brand", sort="category", drifted=False, evidently=None),
        a_column(column="date", sort="date", floor=None, drifted=False),
    ]
    document["edge_cases"] |= {"selected": 9, "added": 8, "retraining_set_rows": 500, "retrain_after": 500}
    return {**document, **changes}


def a_run(run_id: str = "run-0", minute: int = 0, **changes: Any) -> Run:
    said = {
        "command": "check",
        "status": "passed",
        "kind": "reviews",
        "started_at": NOON + timedelta(minutes=minute),
        "seconds": 4.5,
        "rows": 100,
        "quarantined": 10,
        "inputs": (Input(name="data/new.parquet", sha256=None, rows=100, bytes=None),),
        "versions": {},
        "folder": "/runs/run-0",
        "document": a_document(),
    }
    return Run(run_id=run_id, **{**said, **changes})


# Batches


def test_a_check_is_told_in_figures(store: RunStore) -> None:
    store.add(a_run())
    (found,) = batches(store)
    assert (found.run_id, found.started_at, found.status, found.kind) == ("run-0", NOON, "passed", "reviews")
    assert (found.name, found.folder, found.seconds) == ("data/new.parquet", "/runs/run-0", 4.5)
    assert (found.rows, found.quarantined, found.unreadable, found.tolerated) == (100, 10, 2, 5)
    assert (found.rules, found.broken, found.critical, found.unexaminable, found.not_examined) == (5, 2, 1, 1, 1)
    assert (found.good, found.quarantined_share, found.examined, found.passed) == (90, 0.1, 3, 1)
    assert found.pass_rate == pytest.approx(1 / 3)
    assert (found.selected, found.added, found.gathered, found.retrain_after, found.due) == (9, 8, 500, 500, True)
    assert found.problem is None


def test_a_column_counts_once_and_only_where_the_whole_batch_was_tested(store: RunStore) -> None:
    store.add(a_run())
    (found,) = batches(store)
    assert (found.drift, found.reference) == ("drifted", "good.parquet")
    assert (found.compared, found.drifted) == (2, 1), "price twice, brand once; date is told and not tested"


def test_checks_come_newest_first_up_to_the_limit_and_trainings_are_none(store: RunStore) -> None:
    for minute in (2, 0, 1):
        store.add(a_run(f"run-{minute}", minute))
    store.add(a_run("products", 3, kind="products"))
    store.add(a_run("model", 9, command="retrain", kind=None, document={"model_id": "model"}))
    assert [found.run_id for found in batches(store)] == ["products", "run-2", "run-1", "run-0"]
    assert [found.run_id for found in batches(store, kind="reviews", limit=2)] == ["run-2", "run-1"]
    assert batches(store, kind=EVIL) == ()


def test_three_inputs_are_named_and_the_others_are_dots(store: RunStore) -> None:
    def named(*names: str) -> tuple[Input, ...]:
        return tuple(Input(name=name, sha256=None, rows=1, bytes=None) for name in names)

    store.add(a_run("none", 0, inputs=()))
    store.add(a_run("three", 1, inputs=named("a", EVIL, "c")))
    store.add(a_run("four", 2, inputs=named("a", "b", "c", "d")))
    assert [found.name for found in batches(store)] == ["a, b, c, …", f"a, {EVIL}, c", ""]


def test_a_check_that_could_not_run_says_why(store: RunStore) -> None:
    error = CheckResult("r", Status.ERROR, error=Failure("BatchError", "no rows: \x00", "Look."))
    store.add(a_run(status="error", kind=None, rows=0, quarantined=0, folder=None, document=error.document()))
    (found,) = batches(store)
    assert (found.problem, found.rules, found.drift) == ("no rows: ␀", 0, "not examined")
    assert (found.pass_rate, found.quarantined_share, found.due) == (None, None, False)


STRANGE = [
    {},
    {"schema_version": 1, "status": "passed", "results": [{"id": "html"}], "drift": None},
    {"expectations": {"id": {"id": "html", "outcome": "failed"}}, "drift": {"columns": {"a": {"column": "price"}}}},
    {"expectations": "html", "drift": [1, 2], "edge_cases": 3, "error": "none"},
    {"expectations": [None, 1, "html", [], [{"id": "html"}], {}], "drift": {"columns": [None, {}], "status": 3}},
    {"unreadable": "many", "tolerated": None, "edge_cases": {"selected": 1.5, "retrain_after": True}, "error": {}},
]


@pytest.mark.parametrize("document", STRANGE)
def test_a_document_of_another_shape_says_nothing(store: RunStore, document: dict[str, Any]) -> None:
    store.add(a_run(document=document))
    (found,) = batches(store)
    assert (found.rows, found.broken, found.drift, found.compared, found.drifted) == (100, 0, "not examined", 0, 0)
    assert (found.unreadable, found.tolerated, found.selected, found.retrain_after) == (0, 0, 0, None)
    assert not rules(store, ["run-0"])
    assert not columns(store, ["run-0"], segments=True)
    assert lines(store, contains="nothing") == ((), 0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "column", "name"]), inner),
    max_leaves=6,
)
MEMBERS = ["expectations", "drift", "edge_cases", "error", "unreadable", "columns", "id", "column", "outcome", "floor"]
objects = st.recursive(
    st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=4),
    lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner | st.lists(inner, max_size=3), max_size=4),
    max_leaves=6,
)


@given(objects)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_document_at_all_raises_anything(shared_store: RunStore, document: dict[str, Any]) -> None:
    run_id = secrets.token_hex(8)
    shared_store.add(a_run(run_id, document=document))
    assert batches(shared_store, limit=1)[0].rules >= len(rules(shared_store, [run_id]))
    columns(shared_store, [run_id], segments=True)
    lines(shared_store, contains="x", most=1)


def test_figures_that_were_remembered_are_those_of_the_same_store(new_address: Callable[[], str]) -> None:
    for tolerated in (1, 2):
        with RunStore.open(new_address()) as store:
            store.add(a_run(document=a_document(tolerated=tolerated)))
            assert [found.tolerated for found in batches(store) + batches(store)] == [tolerated, tolerated]


def test_no_document_is_read_whole(new_address: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def watched(written: str | bytes) -> Any:
        read.append(written if isinstance(written, str) else bytes(written).decode())
        return from_json(written)

    monkeypatch.setattr("monitor.run_database.from_json", watched)
    with RunStore.open(new_address()) as store:
        store.add(a_run(document=a_document(notes=["whole" * 1000])))
        batches(store)
        rules(store, ["run-0"])
        columns(store, ["run-0"])
        lines(store, contains="new")
        assert read
        assert not any("wholewhole" in one for one in read)
        store.get("run-0")
        assert any("wholewhole" in one for one in read), "what is read whole would have been seen"


# Rules and columns


def test_rules_come_in_the_order_of_the_runs_and_of_the_suite(store: RunStore) -> None:
    for minute in (0, 1):
        store.add(a_run(f"run-{minute}", minute))
    store.add(a_run("model", command="retrain", document={"expectations": [a_rule()]}))
    found = rules(store, ["run-1", "nowhere", "model", "run-0", "run-1", EVIL])
    assert [one.run_id for one in found] == ["run-1"] * 5 + ["run-0"] * 5
    assert [one.id for one in found[:5]] == ["html", "missing", "blank", "broken", "idle"]
    missing = found[1]
    assert (missing.column, missing.severity, missing.outcome, missing.reason) == ("text", "critical", "failed", "tags")
    assert (missing.examined, missing.unexpected, missing.mostly, missing.unexpected_share) == (100, 7, 0.9, 0.07)
    assert found[3].unexpected_share is None


def test_one_rule_is_asked_for_by_its_id_whatever_it_holds(store: RunStore) -> None:
    store.add(a_run(document=a_document(expectations=[a_rule(), a_rule(id=EVIL, reason=EVIL), a_rule(id="HTML")])))
    assert [one.id for one in rules(store, ["run-0"], rule="html")] == ["html"]
    assert [(one.id, one.reason) for one in rules(store, ["run-0"], rule=EVIL)] == [(EVIL, EVIL)]
    assert rules(store, ["run-0"], rule="' OR 1=1 --") == ()


def test_columns_are_those_of_the_whole_batch_unless_segments_are_asked_for(store: RunStore) -> None:
    store.add(a_run())
    assert [(c.column, c.test) for c in columns(store, ["run-0"])] == [
        ("price", "mean"),
        ("price", "missing values"),
        ("brand", "mean"),
        ("date", "mean"),
    ]
    found = columns(store, ["run-0"], column="price", segments=True)
    assert [c.segment for c in found] == [None, None, "brand = Nike"]
    assert columns(store, ["run-0"], column="brand = Nike") == ()


def test_a_comparison_comes_with_its_test_and_evidentlys(store: RunStore) -> None:
    store.add(a_run())
    price = columns(store, ["run-0"], column="price")[0]
    assert (price.sort, price.effect, price.effect_name, price.floor) == ("number", 0.5, "SD", 0.05)
    assert (price.p_value, price.p_adjusted, price.drifted, price.said) == (1e-9, 1e-8, True, "higher")
    assert (price.evidently_method, price.evidently_value, price.evidently_drifted) == ("wasserstein", 0.25, True)
    (brand,) = columns(store, ["run-0"], column="brand")
    assert (brand.evidently_method, brand.evidently_value, brand.evidently_drifted) == (None, None, None)
    (date,) = columns(store, ["run-0"], column="date")
    assert date.floor is None


def test_more_runs_than_one_statement_takes_are_asked_for_in_pieces(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.history._AT_ONCE", 2)
    for minute in range(5):
        store.add(a_run(f"run-{minute}", minute))
    assert {found.rules for found in batches(store)} == {5}
    assert [r.run_id for r in rules(store, [f"run-{n}" for n in range(5)], rule="html")] == [
        f"run-{n}" for n in range(5)
    ]


# Lines


def test_a_page_of_runs_comes_with_how_many_there_are(store: RunStore) -> None:
    for minute in range(7):
        store.add(a_run(f"run-{minute}", minute, status="failed" if minute % 2 else "passed"))
    page, every = lines(store, first=2, most=3)
    assert ([line.run_id for line in page], every) == (["run-4", "run-3", "run-2"], 7)
    assert lines(store, first=7) == ((), 7)
    failed, count = lines(store, status="failed", command="check", kind="reviews", most=2)
    assert ([line.run_id for line in failed], count) == (["run-5", "run-3"], 3)
    assert lines(store, kind=EVIL) == ((), 0)
    first = page[0]
    assert (first.command, first.kind, first.seconds, first.rows, first.quarantined) == (
        "check",
        "reviews",
        4.5,
        100,
        10,
    )
    assert (first.name, first.task, first.folder, first.started_at) == (
        "data/new.parquet",
        None,
        "/runs/run-0",
        NOON + timedelta(minutes=4),
    )


def test_runs_are_found_by_id_input_or_model_in_either_case(store: RunStore) -> None:
    inputs = tuple(Input(name=n, sha256=None, rows=1, bytes=None) for n in ("a", "b", "c", "d", "Data/Winter_50%.csv"))
    store.add(a_run("20261120-120000-a3f9c1", 0, inputs=inputs))
    store.add(a_run("other", 1))
    trained = {"model_id": "20261121-070000-BEEF00", "task": "mlm"}
    store.add(a_run("trained", 2, command="retrain", kind=None, document=trained))

    def found(contains: str) -> list[str]:
        page, every = lines(store, contains=contains)
        assert len(page) == every
        return [line.run_id for line in page]

    assert found("A3F9") == ["20261120-120000-a3f9c1"]
    assert found("data/wINTER_50%") == ["20261120-120000-a3f9c1"]
    assert found("beef") == ["trained"]
    assert found("new.parquet") == ["trained", "other"]
    assert found("") == ["trained", "other", "20261120-120000-a3f9c1"]
    for pattern in ("%", "_", "20261120%c1", "winter?50", EVIL, "' OR 1=1 --"):
        assert found(pattern) == (["20261120-120000-a3f9c1"] if pattern in ("%", "_") else [])
    assert lines(store, contains="beef")[0][0].task == "mlm"


def test_letters_beyond_a_to_z_are_found_as_they_are_written_on_both_databases(store: RunStore) -> None:
    store.add(a_run(inputs=(Input(name="ÄRGER.csv", sha256=None, rows=1, bytes=None),)))
    assert lines(store, contains="Ärger.CSV")[1] == 1
    assert lines(store, contains="ärger")[1] == 0


def test_pages_before_the_first_and_limits_of_nothing_are_refused(store: RunStore) -> None:
    with pytest.raises(ValueError, match="first must be at least 0, got -1"):
        lines(store, first=-1)
    with pytest.raises(ValueError, match="most must be at least 1, got 0"):
        lines(store, most=0)
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        batches(store, limit=0)


def test_what_is_newest_changes_whenever_a_run_is_recorded(store: RunStore) -> None:
    seen = {newest(store), newest(store)}
    assert len(seen) == 1
    for minute in (5, 9, 1):  # the last one began before the others, and ended after them
        store.add(a_run(f"run-{minute}", minute))
        assert newest(store) not in seen
        seen.add(newest(store))


def test_a_database_that_fails_is_told(store: RunStore) -> None:
    with store.reading() as connection:
        connection.exec_driver_sql("DROP TABLE shopmon_runs")
        connection.commit()
    for ask in (batches, lines, newest):
        with pytest.raises(RunStoreError, match="lacks tables"):
            ask(store)


# Differences


def told(one: Any, other: Any) -> list[tuple[str, Any, Any]]:
    return [(d.path, d.one, d.other) for d in differences(one, other)]


def test_a_document_does_not_differ_from_itself_nor_from_the_same_check_run_again() -> None:
    again = a_document(run_id="b", started="2026-11-21T12:00:00+00:00", seconds=9.0, artifacts={"result": "/b"})
    assert differences(a_document(), a_document()) == differences(a_document(), again) == ()


def test_rules_and_comparisons_are_matched_by_what_they_are_called() -> None:
    now = a_document()
    now["expectations"].insert(0, a_rule(id="new"))
    now["expectations"][1] = a_rule(unexpected=4)
    now["drift"]["columns"].reverse()
    now["drift"]["columns"][-1]["evidently"]["value"] = 0.5
    now["drift"]["columns"][2]["effect"] = 0.7
    found = told(a_document(), now)
    assert found == [
        ("drift.columns[column=price, test=mean].evidently.value", 0.25, 0.5),
        ("drift.columns[column=price, segment=brand = Nike, test=mean].effect", 0.5, 0.7),
        ("expectations[id=html].unexpected", 3, 4),
        ("expectations[id=new]", None, a_rule(id="new")),
    ]
    assert [(d.in_one, d.in_other) for d in differences(a_document(), now)][-1] == (False, True)


def test_plain_values_come_first_and_no_more_than_asked_for() -> None:
    was, now = a_document(rows=1, notes=["a"]), a_document(rows=2, notes=["b", "c"], kind="products")
    assert told(was, now) == [("kind", "reviews", "products"), ("rows", 1, 2), ("notes", ["a"], ["b", "c"])]
    assert len(differences(was, now, most=2)) == 2


def test_what_data_holds_is_one_value_and_never_left_out() -> None:
    was, now = ({"example": {"value": {"run_id": run_id, "id": 1}}} for run_id in "ab")
    assert told(was, now) == [("example.value", was["example"]["value"], now["example"]["value"])]


def test_two_rules_of_one_id_are_matched_by_their_place() -> None:
    twice = [a_rule(), a_rule()]
    was, now = {"expectations": twice}, {"expectations": [a_rule(), a_rule(unexpected=9)]}
    assert told(was, now) == [("expectations[1].unexpected", 3, 9)]


def test_a_number_is_the_same_whichever_database_gave_it_and_true_is_no_number() -> None:
    assert told({"a": 1, "b": 1.0, "c": None}, {"a": 1.0, "b": True, "c": None}) == [("b", 1.0, True)]


@given(json_values, json_values)
def test_documents_differ_exactly_where_values_do(one: Any, other: Any) -> None:
    was, now = {"said": one}, {"said": other}
    assert differences(was, was) == ()
    backwards = [(d.path, d.other, d.one) for d in differences(now, was)]
    assert sorted(told(was, now), key=repr) == sorted(backwards, key=repr)
