"""What a person does on the page of edge cases is kept in the run store, under their name, and the page goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.inert_text import escaped
from monitor.retraining_set import RetrainingSet
from monitor.reviews import Decided, Verdict
from monitor.runs import RunStore
from shopmon.project import Project

from .conftest import Show
from .pages import works


@pytest.fixture
def app(own: Path, show: Show) -> AppTest:
    """The page, with Ann before it."""
    opened = show(own, "edge_cases")
    opened.text_input(key="reviewer").set_value("Ann").run()
    return opened


@pytest.fixture
def store(own: Path) -> Iterator[RunStore]:
    with RunStore.open(Project.read(own).store_url) as opened:
        yield opened


def place(app: AppTest) -> str:
    """As "Row 1 of 5,321"."""
    return next(one.value for one in app.subheader if one.value.startswith("Row "))


def row_shown(app: AppTest) -> str:
    """The markup of the row's text."""
    return next(node.value for node in app.html if "font-size:1.1rem" in node.value)


def figure(app: AppTest, name: str) -> str:
    return next(one.value for one in app.metric if one.label == name)


def rows_of(project: Path) -> list[dict[str, Any]]:
    """The gathered rows."""
    return [row for part in RetrainingSet(Project.read(project).retraining).read() for row in part.to_pylist()]


def standing(store: RunStore) -> list[Decided]:
    return list(store.reviews.standing().values())


@pytest.mark.parametrize(
    ("key", "verdict", "name"),
    [("accept", Verdict.ACCEPTED, "Accepted, relabelled"), ("reject", Verdict.REJECTED, "Rejected")],
)
def test_a_decision_is_kept_with_who_and_when_and_the_next_row_is_shown(
    app: AppTest, store: RunStore, key: str, verdict: Verdict, name: str
) -> None:
    before, first = figure(app, "Wait for a decision"), row_shown(app)
    app.button(key=key).click().run()
    text = works(app)
    (one,) = standing(store)
    assert (one.verdict, one.by) == (verdict, "Ann")
    assert timedelta(0) <= datetime.now(UTC) - one.at < timedelta(minutes=2)
    assert row_shown(app) != first
    assert figure(app, name) == "1"
    assert int(figure(app, "Wait for a decision").replace(",", "")) == int(before.replace(",", "")) - 1
    assert f"{verdict.value} by Ann, {one.at:%Y-%m-%d %H:%M} UTC" in text


def test_the_row_that_was_decided_about_is_the_one_that_was_shown(app: AppTest, store: RunStore, own: Path) -> None:
    shown = row_shown(app)
    app.button(key="reject").click().run()
    (one,) = standing(store)
    (text,) = {row["text"] for row in rows_of(own) if row["text_hash"] == one.text_hash}
    assert escaped(text) in shown


def test_undo_takes_back_what_this_person_decided_last(app: AppTest, store: RunStore) -> None:
    first = row_shown(app)
    app.button(key="accept").click().run()
    app.button(key="reject").click().run()
    app.button(key="undo").click().run()
    works(app)
    assert [one.verdict for one in standing(store)] == [Verdict.ACCEPTED]
    app.button(key="undo").click().run()
    assert standing(store) == []
    assert row_shown(app) == first
    app.button(key="undo").click().run()
    assert "there is no decision of 'Ann' to take back" in works(app)
    (_, other) = history = store.reviews.history()
    assert other.withdrawn_by == "Ann"
    assert len(history) == 2


def test_nobody_takes_back_what_another_decided(app: AppTest, store: RunStore) -> None:
    app.button(key="accept").click().run()
    app.text_input(key="reviewer").set_value("Ben").run()
    app.button(key="undo").click().run()
    assert "there is no decision of 'Ben' to take back" in works(app)
    assert [one.by for one in standing(store)] == ["Ann"]


def test_a_decision_needs_a_name(app: AppTest, store: RunStore) -> None:
    app.text_input(key="reviewer").set_value("  ").run()
    app.button(key="accept").click().run()
    assert "a decision needs a name" in works(app)
    assert standing(store) == []


def save(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Save").click().run()


def test_a_row_is_given_another_role_and_a_label(app: AppTest, store: RunStore) -> None:
    role = next(box for box in app.selectbox if box.label == "Role" and box.key != "role")
    other = next(name for name in role.options if name != role.value)
    role.select(other)
    next(one for one in app.text_input if one.label == "Label").set_value("complaint")
    save(app)
    text = works(app)
    (one,) = standing(store)
    assert (one.verdict, one.role, one.label, one.by) == (Verdict.RELABELLED, other, "complaint", "Ann")
    assert f"relabelled as {other}, complaint by Ann" in text


def test_a_relabelling_that_changes_nothing_is_none(app: AppTest, store: RunStore) -> None:
    save(app)
    assert "nothing was changed" in works(app)
    assert standing(store) == []


def test_next_and_back_go_through_the_rows_and_stop_at_the_ends(app: AppTest) -> None:
    first = row_shown(app)
    assert app.button(key="back").disabled
    app.button(key="next").click().run()
    assert place(app).startswith("Row 2 of ")
    assert row_shown(app) != first
    app.button(key="back").click().run()
    assert (place(app)[:9], row_shown(app)) == ("Row 1 of ", first)


def test_a_filter_shows_only_what_matches_and_begins_anew(app: AppTest) -> None:
    app.button(key="next").click().run()
    app.selectbox(key="reason").select("complains-about-our-brand").run()
    text = works(app)
    assert place(app).startswith("Row 1 of ")
    assert "complains-about-our-brand" in text
    few = int(place(app).rsplit(" ", 1)[1].replace(",", ""))
    assert 0 < few < 1_000
    app.selectbox(key="role").select("negative").run()
    assert "No row matches" in works(app)
    app.selectbox(key="role").select(None).run()
    app.selectbox(key="row_kind").select("reviews").run()
    assert place(app) == f"Row 1 of {few:,}"


def test_a_search_finds_texts_in_any_case_and_letter_by_letter(app: AppTest) -> None:
    app.text_input(key="search").set_value("REFUND").run()
    assert "refund" in row_shown(app).lower()
    app.text_input(key="search").set_value("100% surely nowhere _").run()
    assert "No row matches" in works(app)


def test_the_last_row_that_waits_can_be_decided_about_and_taken_back(app: AppTest, store: RunStore, own: Path) -> None:
    texts = [str(row["text"]) for row in rows_of(own)]
    alone = next(
        text for text in texts if len(text) > 60 and sum(text.lower() in other.lower() for other in texts) == 1
    )
    app.text_input(key="search").set_value(alone).run()
    assert place(app) == "Row 1 of 1"
    app.button(key="accept").click().run()
    assert "No row matches" in works(app)
    app.button(key="undo").click().run()
    assert place(app) == "Row 1 of 1"
    assert standing(store) == []


def test_what_was_decided_can_be_looked_at_and_decided_anew(app: AppTest, store: RunStore) -> None:
    for key in ("accept", "accept", "reject"):
        app.button(key=key).click().run()
    app.segmented_control(key="verdict").set_value("accepted").run()
    assert place(app) == "Row 1 of 2"
    app.button(key="reject").click().run()
    works(app)
    assert place(app) == "Row 1 of 1"
    app.segmented_control(key="verdict").set_value("rejected").run()
    assert place(app) == "Row 1 of 2"
    app.segmented_control(key="verdict").set_value("all").run()
    assert figure(app, "Rows gathered") == place(app).rsplit(" ", 1)[1]
    app.button(key="accept").click().run()
    assert place(app).startswith("Row 2 of ")
    assert sum(store.reviews.counts().values()) >= 3


# --- many at once -----------------------------------------------------------------------------------------------------


def tick(app: AppTest, *places: int) -> None:
    """Tick rows of the list."""
    key = next(frame.key for frame in app.dataframe if str(frame.key).startswith("list_"))
    app.session_state[str(key)] = {"selection": {"rows": list(places), "columns": [], "cells": []}}
    app.run()


@pytest.mark.parametrize(("key", "verdict"), [("accept_picked", "accepted"), ("reject_picked", "rejected")])
def test_rows_that_are_ticked_are_decided_about_in_one_act(
    app: AppTest, store: RunStore, key: str, verdict: str
) -> None:
    tick(app, 0, 3, 7)
    assert app.button(key=key).label.endswith("3 rows")
    app.button(key=key).click().run()
    works(app)
    decided = standing(store)
    assert [(one.verdict.value, one.by) for one in decided] == [(verdict, "Ann")] * 3
    assert len({one.act for one in decided}) == 1
    app.button(key="undo").click().run()
    works(app)
    assert standing(store) == []


def test_a_row_that_is_ticked_can_be_looked_at(app: AppTest) -> None:
    tick(app, 4)
    assert app.button(key="accept_picked").label == "Accept 1 row"
    app.button(key="look").click().run()
    works(app)
    assert place(app).startswith("Row 5 of ")


def test_the_list_shows_the_rows_around_the_one_that_is_decided_about(app: AppTest) -> None:
    (first,) = [frame.value for frame in app.dataframe if str(frame.key).startswith("list_0_")]
    assert escaped(str(first["text"][0])) in row_shown(app)
    app.session_state["at"] = 50
    app.run()
    works(app)
    lists = [frame.value for frame in app.dataframe if str(frame.key).startswith("list_50_")]
    assert len(lists) == 1
    assert escaped(str(lists[0]["text"][0])) in row_shown(app)
