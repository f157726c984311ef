"""What people decide is kept, counted and withdrawn as they meant it, on both databases and by several at once."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, inspect

import monitor.migrations
from expectations.errors import RunStoreError, ShopmonError
from monitor import run_database
from monitor.edge_case_rules import Role
from monitor.migrations import VERSION_TABLE
from monitor.reviews import ROLES, Decided, Decision, Reviewed, Reviews, Verdict, decided_labels, reviewed
from monitor.run_database import connect, parse_address, writing
from monitor.runs import Run, RunStore


def digest(name: str | int) -> str:
    """A hash of a text."""
    return f"{name:0>64}"


def accepted(name: str | int, kind: str = "reviews") -> Decision:
    return Decision(kind=kind, text_hash=digest(name), verdict=Verdict.ACCEPTED)


def rejected(name: str | int, kind: str = "reviews") -> Decision:
    return Decision(kind=kind, text_hash=digest(name), verdict=Verdict.REJECTED)


def relabelled(name: str | int, role: str | None = None, label: str | None = None, kind: str = "reviews") -> Decision:
    return Decision(kind=kind, text_hash=digest(name), verdict=Verdict.RELABELLED, role=role, label=label)


@pytest.fixture
def reviews(store: RunStore) -> Reviews:
    return store.reviews


@pytest.fixture(scope="module")
def shared_reviews(shared_store: RunStore) -> Reviews:
    """One store for all examples of a property."""
    return shared_store.reviews


def verdicts(reviews: Reviews) -> dict[str, str]:
    """The end of a text's hash → what stands about it."""
    return {text.lstrip("0"): one.verdict.value for (_, text), one in reviews.standing().items()}


def execute(address: str, statement: str) -> None:
    """Change a store behind the code's back."""
    engine = connect(parse_address(address))
    with writing(engine) as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


# What may be decided


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"verdict": Verdict.RELABELLED}, "has neither"),
        ({"verdict": Verdict.ACCEPTED, "role": "negative"}, "and this is accepted"),
        ({"verdict": Verdict.REJECTED, "label": "5"}, "and this is rejected"),
        ({"verdict": Verdict.RELABELLED, "role": "postive"}, "positive, negative, .* got 'postive'"),
        ({"verdict": Verdict.RELABELLED, "role": ""}, "got ''"),
        ({"verdict": Verdict.RELABELLED, "label": " \n"}, "not blank"),
        ({"verdict": Verdict.RELABELLED, "label": "a\x00b"}, r"U\+0000"),
        ({"verdict": Verdict.RELABELLED, "label": "\ud83d"}, "half characters"),
        ({"verdict": "maybe"}, "'maybe' is not a valid Verdict"),
        ({"kind": " "}, "a kind is a name"),
        ({"text_hash": "ab"}, "64 hexadecimal digits, got 'ab'"),
        ({"text_hash": "AB" * 32}, "64 hexadecimal digits"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(wrong: dict[str, Any], said: str) -> None:
    usual = {"kind": "reviews", "text_hash": digest(1), "verdict": Verdict.ACCEPTED}
    with pytest.raises(ValueError, match=said):
        Decision(**{**usual, **wrong})


def test_a_row_can_be_given_the_roles_of_edge_cases() -> None:
    assert {role.value for role in Role} == set(ROLES)


@pytest.mark.parametrize("nobody", ["", "  \n", "a\x00b", "\udfff"])
def test_who_decides_must_have_a_name(reviews: Reviews, nobody: str) -> None:
    for ask in (lambda: reviews.decide([accepted(1)], by=nobody), lambda: reviews.undo(by=nobody)):
        with pytest.raises(ShopmonError) as told:
            ask()
        assert told.value.advice
    assert reviews.history() == ()


def test_nothing_and_two_things_about_one_text_are_no_act(reviews: Reviews) -> None:
    with pytest.raises(ValueError, match="got none"):
        reviews.decide([], by="Ann")
    with pytest.raises(ValueError, match=r"got reviews 0+1 twice"):
        reviews.decide([accepted(1), rejected(1)], by="Ann")
    assert reviews.history() == ()


# What is kept


def test_what_was_decided_comes_back_with_who_and_when(reviews: Reviews) -> None:
    before = datetime.now(UTC)
    asked = [accepted(1), rejected(2), relabelled(3, "negative", "1 star"), relabelled(4, label="5")]
    act = reviews.decide(asked, by=" Ann ")
    found = tuple(reviews.standing().values())
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert {(one.act, one.by, one.withdrawn_by, one.withdrawn_at) for one in found} == {(act, "Ann", None, None)}
    assert all(before - timedelta(seconds=1) < one.at <= datetime.now(UTC) for one in found)
    assert all(one.at.utcoffset() == timedelta(0) for one in found)
    plain = [{name: value for name, value in asdict(one).items() if name in asdict(asked[0])} for one in found]
    assert plain == [asdict(one) for one in asked]
    assert found == reviews.history()[::-1]


def test_decisions_outlive_the_store_that_took_them(address: str) -> None:
    with RunStore.open(address) as store:
        store.reviews.decide([rejected(1)], by="Ann")
    with RunStore.open(address) as store:
        assert verdicts(store.reviews) == {"1": "rejected"}


def test_nothing_decided_is_nothing(reviews: Reviews) -> None:
    assert reviews.standing() == {}
    assert reviews.history() == ()
    assert reviews.undo(by="Ann") == ()
    assert reviews.counts() == dict.fromkeys(Verdict, 0)
    assert reviewed(reviews.standing()) == Reviewed()


EVIL = "x'); DROP TABLE shopmon_reviews; -- \x1b[31m%s :by {0} \u202e שלום 👟"


def test_text_is_never_sql(reviews: Reviews) -> None:
    reviews.decide([relabelled(1, label=EVIL, kind=EVIL)], by=EVIL)
    (one,) = reviews.standing(EVIL).values()
    assert (one.by, one.label, one.kind) == (EVIL, EVIL, EVIL)
    assert reviews.history(kind=EVIL, text_hash=digest(1)) == (one,)
    assert reviews.history(text_hash="' OR 1=1 --") == ()
    assert reviews.standing("' OR 1=1 --") == {}
    assert reviews.undo(by="' OR 1=1 --") == ()
    assert [found.number for found in reviews.undo(by=EVIL)] == [1]


def test_an_act_is_kept_whole_or_not_at_all(address: str, reviews: Reviews, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews.decide([accepted(1)], by="Ann")
    execute(address, "CREATE UNIQUE INDEX once ON shopmon_reviews (text_hash)")  # so that the second row breaks
    with pytest.raises(RunStoreError):
        reviews.decide([accepted(2), rejected(1)], by="Ann")
    assert verdicts(reviews) == {"1": "accepted"}


# What counts


def test_the_newest_decision_about_a_text_counts(reviews: Reviews) -> None:
    reviews.decide([accepted(1), accepted(2)], by="Ann")
    reviews.decide([rejected(1)], by="Bob")
    assert verdicts(reviews) == {"1": "rejected", "2": "accepted"}
    assert len(reviews.history()) == 3


def test_a_text_of_two_kinds_is_decided_about_twice(reviews: Reviews) -> None:
    reviews.decide([accepted(1), rejected(1, "queries")], by="Ann")
    assert len(reviews.standing()) == 2
    assert list(reviews.standing("queries")) == [("queries", digest(1))]
    assert reviews.counts("queries")[Verdict.REJECTED] == 1
    assert reviews.counts("queries")[Verdict.ACCEPTED] == 0
    assert reviewed(reviews.standing()) == Reviewed(rejected=frozenset({digest(1)}))


def test_what_stands_is_counted_by_verdict(reviews: Reviews) -> None:
    reviews.decide([accepted(1), accepted(2), rejected(3), relabelled(4, "negative")], by="Ann")
    reviews.decide([rejected(1)], by="Bob")
    reviews.decide([rejected(2)], by="Bob")
    reviews.undo(by="Bob")
    assert reviews.counts() == {Verdict.ACCEPTED: 1, Verdict.REJECTED: 2, Verdict.RELABELLED: 1}


def test_the_history_is_newest_first_within_its_limit(reviews: Reviews) -> None:
    for number in range(1, 6):
        reviews.decide([accepted(number % 2), accepted(number % 2, "queries")], by="Ann")
    assert [one.number for one in reviews.history(limit=3)] == [10, 9, 8]
    assert [one.number for one in reviews.history(kind="queries", text_hash=digest(1))] == [10, 6, 2]
    with pytest.raises(ValueError, match="got 0"):
        reviews.history(limit=0)


def test_a_training_hears_of_the_newer_of_two_decisions_about_a_text() -> None:
    now = datetime.now(UTC)

    def decided(number: int, asked: Decision) -> Decided:
        return Decided(**asdict(asked), number=number, act="a", by="Ann", at=now)

    asked = [rejected(1), accepted(1, "queries"), relabelled(2, "negative"), relabelled(3, label="5"), rejected(4)]
    standing = {(one.kind, one.text_hash): decided(at, one) for at, one in enumerate(asked)}
    found = reviewed(dict(reversed(standing.items())))
    assert found == Reviewed(
        rejected=frozenset({digest(4)}),
        accepted=frozenset(map(digest, (1, 2, 3))),
        roles={digest(2): "negative"},
        labels={digest(3): "5"},
    )
    assert decided_labels(standing) == {("reviews", digest(3)): "5"}


# What is withdrawn


def test_undo_withdraws_a_whole_act_and_the_decision_before_it_counts_again(reviews: Reviews) -> None:
    reviews.decide([accepted(1)], by="Bob")
    act = reviews.decide([rejected(1), rejected(2)], by="Ann")
    withdrawn = reviews.undo(by="Ann")
    assert [(one.act, one.text_hash, one.withdrawn_by) for one in withdrawn] == [
        (act, digest(1), "Ann"),
        (act, digest(2), "Ann"),
    ]
    assert all(one.withdrawn_at is not None and one.withdrawn_at >= one.at for one in withdrawn)
    assert verdicts(reviews) == {"1": "accepted"}
    assert reviews.history()[:2] == withdrawn[::-1]


def test_undo_goes_back_act_by_act_and_then_does_nothing(reviews: Reviews) -> None:
    for asked in ([accepted(1)], [rejected(1)], [relabelled(1, "replay")]):
        reviews.decide(asked, by="Ann")
    for left in ("rejected", "accepted"):
        reviews.undo(by="Ann")
        assert verdicts(reviews) == {"1": left}
    assert len(reviews.undo(by="Ann")) == 1
    assert reviews.undo(by="Ann") == ()
    assert verdicts(reviews) == {}
    assert len(reviews.history()) == 3


def test_undo_is_of_ones_own_acts(reviews: Reviews) -> None:
    reviews.decide([rejected(1)], by="Ann")
    reviews.decide([accepted(1)], by="Bob")
    assert reviews.undo(by="Eve") == ()
    assert [one.by for one in reviews.undo(by="Ann")] == ["Ann"]
    assert verdicts(reviews) == {"1": "accepted"}, "what Bob said later still stands"
    reviews.undo(by="Bob")
    assert verdicts(reviews) == {}


def test_one_may_decide_anew_after_undoing(reviews: Reviews) -> None:
    reviews.decide([rejected(1)], by="Ann")
    reviews.undo(by="Ann")
    reviews.decide([accepted(1)], by="Ann")
    assert [one.verdict for one in reviews.undo(by="Ann")] == [Verdict.ACCEPTED]


def test_the_version_changes_with_every_decision_and_every_withdrawal(reviews: Reviews) -> None:
    seen = [reviews.version()]
    for number in range(3):
        reviews.decide([accepted(number)], by="Ann")
        seen.append(reviews.version())
    for _ in range(3):
        reviews.undo(by="Ann")
        seen.append(reviews.version())
    assert len(set(seen)) == 7
    reviews.undo(by="Ann")
    reviews.standing()
    assert reviews.version() == seen[-1]


people = st.sampled_from(["Ann", "Bob"])
acts = st.lists(
    st.tuples(people, st.none() | st.lists(st.integers(1, 4), min_size=1, unique=True)),
    max_size=10,
)


@given(acts)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_stands_is_what_is_left_when_the_withdrawn_acts_had_never_been(
    shared_reviews: Reviews, acts: list[tuple[str, list[int] | None]]
) -> None:
    kind = secrets.token_hex(8)  # of this example alone, and so are the people
    done: list[tuple[str, dict[str, int]]] = []
    for at, (person, texts) in enumerate(acts):
        if texts is None:
            mine = [one for one in done if one[0] == person]
            assert len(shared_reviews.undo(by=person + kind)) == len(mine[-1][1] if mine else ())
            done = [one for one in done if not mine or one is not mine[-1]]
        else:
            shared_reviews.decide([relabelled(t, label=str(at), kind=kind) for t in texts], by=person + kind)
            done.append((person, {digest(t): at for t in texts}))
    expected = {text: str(at) for _, said in done for text, at in said.items()}
    assert {text: one.label for (_, text), one in shared_reviews.standing(kind).items()} == expected


@given(acts, st.sets(st.integers(0, 9)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_changed_since_each_look_makes_up_what_stands(
    shared_reviews: Reviews, acts: list[tuple[str, list[int] | None]], looks: set[int]
) -> None:
    kind = secrets.token_hex(8)
    known, version = {}, ()
    for at, (person, texts) in enumerate(acts):
        if texts is None:
            shared_reviews.undo(by=person + kind)
        else:
            shared_reviews.decide([relabelled(t, label=str(at), kind=kind) for t in texts], by=person + kind)
        if at in looks or at + 1 == len(acts):
            changed = shared_reviews.changed(version)
            known, version = known | changed.texts, changed.version
            standing = {key: (str(one.verdict), one.role, one.label) for key, one in shared_reviews.standing().items()}
            assert {key: said for key, said in known.items() if said is not None} == standing


def test_after_one_decision_one_text_has_changed_and_after_none_nothing(reviews: Reviews) -> None:
    reviews.decide([accepted(number) for number in range(5)], by="Ann")
    whole = reviews.changed()
    assert len(whole.texts) == 5
    assert reviews.changed(whole.version).texts == {}
    reviews.decide([relabelled(3, role="replay")], by="Bob")
    since = reviews.changed(whole.version)
    assert since.texts == {("reviews", digest(3)): ("relabelled", "replay", None)}
    reviews.undo(by="Ann")
    left = reviews.changed(since.version).texts
    assert {text for (_, text), said in left.items() if said is None} == {digest(number) for number in (0, 1, 2, 4)}


# Several processes


DECIDE = """
import sys
from monitor.reviews import Decision, Verdict
from monitor.runs import RunStore
who = sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
with RunStore.open(sys.argv[1]) as store:
    reviews, seen = store.reviews, set()
    for number in range(30):
        texts = [f"{text:064}" for text in range(3)]
        reviews.decide([Decision(kind="reviews", text_hash=text, verdict=Verdict.REJECTED) for text in texts], by=who)
        if number % 3 == 2:
            reviews.undo(by="both")
        seen.add(reviews.version())
    assert len(seen) == 30, seen
"""


def start_deciding(address: str, who: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", DECIDE, address, who]
    return subprocess.Popen(command, text=True, env=environment, **pipes)  # type: ignore[call-overload,no-any-return]


def test_two_processes_that_decide_and_undo_at_once_lose_nothing(address: str) -> None:
    with RunStore.open(address) as store:
        for _ in range(20):
            store.reviews.decide([accepted(number) for number in range(3)], by="both")
    processes = [start_deciding(address, who) for who in ("Ann", "Bob")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [(process.returncode, answer[1]) for process, answer in zip(processes, answers, strict=True)] == [
        (0, "")
    ] * 2
    with RunStore.open(address) as store:
        found = store.reviews.history(limit=1_000)
        assert len(found) == 3 * (20 + 2 * 30)
        acts = [one.act for one in found]
        assert all(acts[at] == acts[at + 1] == acts[at + 2] for at in range(0, len(acts), 3)), "acts are mixed up"
        withdrawn = {one.act for one in found if one.withdrawn_at}
        assert len(withdrawn) == 20, "two who undo at once withdraw two acts"
        assert store.reviews.counts()[Verdict.REJECTED] == 3


# Versions of the store


def old_store(address: str) -> Engine:
    """A store as the first version of shopmon left it, with a run in it."""
    url = parse_address(address)
    engine = run_database._sqlite_engine(url) if url.drivername == "sqlite" else create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(monitor.migrations.__file__).parent))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO shopmon_runs VALUES ('20261120-120000-a3f9c1', 'check', 'failed', 'reviews', "
            "'2026-11-20 12:00:00', 4.25, 5000, 125, '[]', '{}', NULL, '{\"status\": \"failed\"}')"
        )
    return engine


def test_a_store_of_the_first_version_is_upgraded_in_place_and_keeps_its_runs(address: str) -> None:
    engine = old_store(address)
    assert sorted(inspect(engine).get_table_names()) == ["shopmon_runs", VERSION_TABLE]
    engine.dispose()
    with RunStore.open(address) as store:
        run = store.get("20261120")
        assert (run.rows, run.quarantined, run.document) == (5000, 125, {"status": "failed"})
        store.reviews.decide([rejected(1)], by="Ann")
        store.add(replace(run, run_id="20261121-120000-a3f9c1"))
    with RunStore.open(address) as store:
        assert isinstance(store.get("20261121"), Run)
        assert verdicts(store.reviews) == {"1": "rejected"}


def test_decisions_in_a_store_of_a_newer_version_are_left_alone(address: str) -> None:
    with RunStore.open(address) as store:
        store.reviews.decide([rejected(1)], by="Ann")
    execute(address, f"UPDATE {VERSION_TABLE} SET version_num = '0003'")
    with pytest.raises(RunStoreError, match=r"newer shopmon: its version is 0003.*Upgrade shopmon"):
        RunStore.open(address)


def test_a_table_dropped_by_hand_is_told(address: str) -> None:
    with RunStore.open(address) as store:
        execute(address, "DROP TABLE shopmon_reviews")
        for ask in (store.reviews.standing, store.reviews.version, store.reviews.changed, store.reviews.counts):
            with pytest.raises(RunStoreError, match="lacks tables"):
                ask()
        with pytest.raises(RunStoreError, match="lacks tables"):
            store.reviews.decide([rejected(1)], by="Ann")
