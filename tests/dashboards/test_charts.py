"""A chart is a valid specification with fields of our own names; whatever data says is a value in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from dashboards import charts
from dashboards.charts import DRIFT_STATES, SIDES, STATES, Drawn

EVIL = (
    "<script>alert(1)</script>",
    "datum.x + 1",
    "a.b[0]",
    "a:Q",
    "'); alert(1); //",
    "![i](http://evil.example/x.png)",
    "\u202e עברית 👩‍👩‍👧‍👦",
    "",
)
NOON = datetime(2026, 11, 24, 12)


def rows(**fields: Callable[[int], Any]) -> list[dict[str, Any]]:
    return [{name: value(at) for name, value in fields.items()} for at in range(len(EVIL))]


def evil(at: int) -> str:
    return EVIL[at % len(EVIL)]


def number(at: int) -> float:
    return at / 7


def moment(at: int) -> datetime:
    return NOON + timedelta(hours=at)


def state(at: int) -> str:
    return list(STATES)[at % len(STATES)]


def mark(at: int) -> str:
    return ("wanted", "unwanted", "neither")[at % 3]


DRAWN: dict[str, Callable[[], Drawn]] = {
    "heat_map": lambda: charts.heat_map(
        rows(row=evil, batch=evil, state=state, said=evil), STATES, row_title="rule", order=EVIL, tips={"said": "what"}
    ),
    "trend": lambda: charts.trend(
        rows(at=moment, batch=evil, kind=evil, pass_rate=number), "pass_rate", "rules that hold", percent=True,
        kinds=EVIL,
    ),
    "rule_history": lambda: charts.rule_history(
        rows(at=moment, batch=evil, share=number, unexpected=int, examined=int, state=state), 0.01
    ),
    "effects": lambda: charts.effects(
        rows(row=evil, times=number, effect=number, floor=number, effect_name=evil, p_adjusted=number,
             state=lambda at: list(DRIFT_STATES)[at % 3])
    ),
    "histogram": lambda: charts.histogram(
        rows(side=lambda at: SIDES[at % 2], low=number, high=lambda at: number(at) + 1, density=number, share=number,
             said=evil),
        EVIL[0],
    ),
    "histogram of dates": lambda: charts.histogram(
        rows(side=lambda at: SIDES[at % 2], low=moment, high=moment, density=number, share=number, said=evil),
        EVIL[1],
        dates=True,
    ),
    "bars_of_two": lambda: charts.bars_of_two(
        rows(label=evil, side=lambda at: SIDES[at % 2], share=number, rows=int), "share of rows"
    ),
    "words": lambda: charts.words(rows(word=evil, before=number, now=number, z=number)),
    "bars": lambda: charts.bars(rows(label=evil, value=number), EVIL[0], percent=True),
    "over_steps": lambda: charts.over_steps(rows(step=int, run=evil, value=number), EVIL[0], EVIL, log=True),
    "ranked_words": lambda: charts.ranked_words(
        rows(label=evil, word=evil, rank=lambda at: at + 1, probability=number, mark=mark), "probability", 0.5
    ),
    "masses": lambda: charts.masses(
        rows(model=evil, words=lambda at: ("wanted", "unwanted")[at % 2], mass=number), EVIL
    ),
    "ranks": lambda: charts.ranks(
        [
            {"word": word, "model": model, "rank": at + 1, "probability": 0.1, "mark": mark(at)}
            for model in EVIL[:3]
            for at, word in enumerate(EVIL)
        ],
        EVIL[:3],
    ),
}  # fmt: skip


def parts(spec: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every name and value of a specification, but for its data."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key not in ("datasets", "values"):
                yield key, value
                yield from parts(value, key)
    elif isinstance(spec, list):
        for one in spec:
            yield from parts(one, name)


def test_every_chart_there_is_stands_here() -> None:
    there = {
        name for name, made in vars(charts).items()
        if callable(made) and getattr(made, "__module__", "") == charts.__name__ and not name.startswith("_")
    }  # fmt: skip
    assert there - {"colours"} == {name.split(" ")[0] for name in DRAWN}


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_valid_and_its_fields_are_ours(name: str) -> None:
    spec = DRAWN[name]().to_dict()  # which validates it
    fields = [value for key, value in parts(spec) if key == "field" and isinstance(value, str)]
    assert fields
    assert all(re.fullmatch(r"[a-z_]+", field) for field in fields), fields


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_of_data_is_a_formula(name: str) -> None:
    for key, value in parts(DRAWN[name]().to_dict()):
        if key in ("calculate", "expr", "test", "filter", "labelExpr", "href", "url", "equal"):
            assert not any(text and text in str(value) for text in EVIL), (key, value)


@pytest.mark.parametrize("name", DRAWN)
def test_hostile_values_are_values_as_they_were(name: str) -> None:
    tables = DRAWN[name]().to_dict()["datasets"].values()
    texts = {value for table in tables for row in table for value in row.values() if isinstance(value, str)}
    assert set(EVIL[:7]) <= texts


@pytest.mark.parametrize(
    "chart",
    [
        lambda: charts.heat_map([], STATES, row_title="rule", order=[], tips={}),
        lambda: charts.trend([], "drifted", "columns"),
        lambda: charts.rule_history([], 0.0),
        lambda: charts.effects([]),
        lambda: charts.histogram([], "x"),
        lambda: charts.bars_of_two([], "x"),
        lambda: charts.words([]),
        lambda: charts.bars([], "x"),
        lambda: charts.over_steps([], "x", []),
        lambda: charts.ranked_words([], "x", 1.0),
        lambda: charts.masses([], []),
    ],
)
def test_a_chart_of_nothing_is_valid(chart: Callable[[], Drawn]) -> None:
    chart().to_dict()


def test_a_name_has_the_same_colour_on_every_chart_of_a_page() -> None:
    names = [f"run {number}" for number in range(9)]
    said = charts.colours(names).to_dict()
    assert said["domain"] == names
    assert said["range"][7:] == said["range"][:2]
    assert len(set(said["range"])) == len(charts.SERIES)


def test_a_state_is_told_by_the_same_colour_however_many_states_there_are() -> None:
    for there in (["passed"], ["passed", "broken, critical"]):
        data = [{"row": "r", "batch": str(n), "state": one} for n, one in enumerate(there)]
        spec = charts.heat_map(data, STATES, row_title="rule", order=["r"], tips={}).to_dict()
        scale = spec["encoding"]["color"]["scale"]
        assert dict(zip(scale["domain"], scale["range"], strict=True)) == {one: STATES[one] for one in there}


def test_the_cell_that_is_clicked_on_is_told_by_its_row_and_batch() -> None:
    spec = DRAWN["heat_map"]().to_dict()
    (param,) = spec["params"]
    assert (param["name"], param["select"]["fields"]) == ("cell", ["row", "batch"])
