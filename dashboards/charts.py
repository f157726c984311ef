"""How is each chart drawn? One look for all of them: colours told apart by everyone, units on axes, values on hover.

A chart never takes text from data as anything but a value: fields have our own names, and no expression is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

import altair as alt
import pandas as pd

# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), by what they stand for.
REFERENCE, CURRENT = "#8C8C8C", "#0072B2"
GOOD, INFO, WARNING, BAD, NOTHING, UNSURE = "#009E73", "#56B4E9", "#E69F00", "#D55E00", "#C4C7CC", "#CC79A7"
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C")
"""Of series that stand for nothing but themselves, in this order."""

STATES = {
    "passed": GOOD,
    "broken, info": INFO,
    "broken, warning": WARNING,
    "broken, critical": BAD,
    "could not be examined": UNSURE,
    "nothing to examine": NOTHING,
}
"""What a rule said of a batch → its colour."""

DRIFT_STATES = {"drifted": BAD, "stable": GOOD, "not tested": NOTHING}
_LABEL = 260
"""Pixels of an axis label, beyond which it is cut; its whole text stands in the tooltip."""
_CELL = 22
"""Pixels of a row of a heat map."""
_RANKS = 480
"""Pixels of the height of the chart of ranks."""

Rows = Sequence[Mapping[str, Any]]
Drawn = alt.Chart | alt.LayerChart | alt.FacetChart


def _frame(rows: Rows, columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame([dict(row) for row in rows], columns=list(columns))


def colours(domain: Sequence[str]) -> alt.Scale:
    """A scale that gives every name of a list the same colour on every chart of a page."""
    return alt.Scale(domain=list(domain), range=[SERIES[at % len(SERIES)] for at in range(len(domain))])


def heat_map(
    rows: Rows,
    states: Mapping[str, str],
    *,
    row_title: str,
    order: Sequence[str],
    tips: Mapping[str, str],
    batch_title: str = "batch, by the time of its check (UTC)",
) -> Drawn:
    """Rows × batches, each cell in the colour of its state; `rows` have row, batch, state and the fields of `tips`.

    `order` is that of the rows; batches stand in the order in which they come. `tips` is field → title. A cell that is
    clicked on is the selection `cell`.
    """
    there = [state for state in states if any(row["state"] == state for row in rows)]
    frame = _frame(rows, ["row", "batch", "state", *tips])
    cell = alt.selection_point(name="cell", fields=["row", "batch"], on="click", empty=False)
    return (
        alt.Chart(frame)
        .mark_rect(stroke="#7F7F7F55", strokeWidth=1, cornerRadius=2, cursor="pointer")
        .encode(
            x=alt.X("batch:N", sort=None, title=batch_title, axis=alt.Axis(labelAngle=-40)),
            y=alt.Y(
                "row:N", sort=list(order), title=row_title, axis=alt.Axis(labelLimit=_LABEL, titleX=-8, titleY=-10,
                titleAngle=0, titleAlign="right"),
            ),
            color=alt.Color(
                "state:N",
                scale=alt.Scale(domain=there, range=[states[state] for state in there]),
                legend=alt.Legend(title=None, orient="top", columns=2, labelLimit=0),
            ),
            tooltip=[alt.Tooltip("row:N", title=row_title), alt.Tooltip("batch:N", title=batch_title.partition(",")[0])]
            + [alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()],
        )
        .add_params(cell)
        .properties(height=alt.Step(_CELL))
    )  # fmt: skip


def trend(rows: Rows, value: str, title: str, *, percent: bool = False, kinds: Sequence[str] = ()) -> Drawn:
    """One figure of every batch over time; `rows` have at, batch, kind and the figure."""
    form = ".1%" if percent else ",.0f"
    frame = _frame(rows, ["at", "batch", "kind", value])
    legend = alt.Legend(title=None, orient="top", columns=2) if len(kinds) > 1 else None
    return (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(size=34, filled=True), strokeWidth=1.5)
        .encode(
            x=alt.X("at:T", title="time of the check (UTC)", axis=alt.Axis(tickCount=5, labelOverlap=True)),
            y=alt.Y(f"{value}:Q", title=title, axis=alt.Axis(format=form, tickCount=4, tickMinStep=0 if percent else 1),
                    scale=alt.Scale(zero=not percent or value != "pass_rate", nice=True)),
            color=alt.Color("kind:N", scale=colours(kinds), legend=legend),
            tooltip=[
                alt.Tooltip("batch:N", title="batch"),
                alt.Tooltip("at:T", title="checked", format="%Y-%m-%d %H:%M"),
                alt.Tooltip("kind:N", title="kind"),
                alt.Tooltip(f"{value}:Q", title=title, format=form),
            ],
        )
        .properties(height=250)
    )  # fmt: skip


def rule_history(rows: Rows, allowed: float) -> Drawn:
    """The share of rows that break one rule, over its batches, and the share that is allowed.

    `rows` have at, batch, share, unexpected, examined and state.
    """
    frame = _frame(rows, ["at", "batch", "share", "unexpected", "examined", "state"])
    x = alt.X("at:T", title="time of the check (UTC)", axis=alt.Axis(tickCount=6, labelOverlap=True))
    there = [state for state in STATES if any(row["state"] == state for row in rows)]
    base = alt.Chart(frame).encode(x=x)
    y = alt.Y("share:Q", title="rows that break it", axis=alt.Axis(format="%", tickCount=5))
    line = base.mark_line(color=REFERENCE, strokeWidth=1.2).encode(y=y)
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        y=y,
        color=alt.Color("state:N", scale=alt.Scale(domain=there, range=[STATES[state] for state in there]),
                        legend=alt.Legend(title=None, orient="top")),
        tooltip=[
            alt.Tooltip("batch:N", title="batch"),
            alt.Tooltip("share:Q", title="rows that break it", format=".3%"),
            alt.Tooltip("unexpected:Q", title="in rows", format=","),
            alt.Tooltip("examined:Q", title="of rows examined", format=","),
            alt.Tooltip("state:N", title="verdict"),
        ],
    )  # fmt: skip
    limit = (
        alt.Chart(_frame([{"allowed": allowed}], ["allowed"]))
        .mark_rule(color=BAD, strokeDash=[5, 4])
        .encode(y="allowed:Q", tooltip=[alt.Tooltip("allowed:Q", title="allowed at most", format=".3%")])
    )
    return alt.layer(line, points, limit).properties(height=240)


def effects(rows: Rows) -> Drawn:
    """How far each column has moved, in multiples of the floor below which nobody needs to act.

    `rows` have row, times (effect / floor), effect, floor, effect_name, p_adjusted and state.
    """
    names = ["row", "times", "effect", "floor", "effect_name", "p_adjusted", "state"]
    frame = _frame(rows, names)
    there = [state for state in DRIFT_STATES if any(row["state"] == state for row in rows)]
    bars = (
        alt.Chart(frame)
        .mark_bar(cornerRadius=2, height={"band": 0.7})
        .encode(
            y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(labelLimit=_LABEL)),
            x=alt.X("times:Q", title="effect, in multiples of its floor", scale=alt.Scale(type="symlog", domainMin=0),
                    axis=alt.Axis(values=[0, 0.5, 1, 2, 5, 10, 20, 50], format=",.3~r")),
            color=alt.Color("state:N", scale=alt.Scale(domain=there, range=[DRIFT_STATES[state] for state in there]),
                            legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("row:N", title="column"),
                alt.Tooltip("effect_name:N", title="effect is the"),
                alt.Tooltip("effect:Q", title="effect", format=".4f"),
                alt.Tooltip("floor:Q", title="floor", format=".4f"),
                alt.Tooltip("p_adjusted:Q", title="p, adjusted", format=".2e"),
            ],
        )
    )  # fmt: skip
    floor = alt.Chart(_frame([{"floor": 1.0}], ["floor"])).mark_rule(strokeDash=[5, 4], color=WARNING, strokeWidth=2)
    return alt.layer(bars, floor.encode(x="floor:Q")).properties(height=alt.Step(_CELL + 4))


SIDES = ("reference", "this batch")


def _side_scale() -> alt.Scale:
    return alt.Scale(domain=list(SIDES), range=[REFERENCE, CURRENT])


def histogram(rows: Rows, title: str, *, dates: bool = False) -> Drawn:
    """Both sides of a column of numbers or dates; `rows` have side, low, high, density, share and said.

    The height is the share of rows per unit of the axis, so that bins of different widths can be compared.
    """
    kind = "T" if dates else "Q"
    frame = _frame(rows, ["side", "low", "high", "density", "share", "said"])
    return (
        alt.Chart(frame)
        .mark_bar(opacity=0.55, binSpacing=0)
        .encode(
            x=alt.X(f"low:{kind}", title=title),
            x2="high",
            y2=alt.datum(0),
            y=alt.Y(
                "density:Q", stack=None, title="share of rows, by width", axis=alt.Axis(tickCount=4, format=",.3~r")
            ),
            color=alt.Color("side:N", scale=_side_scale(), legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("side:N", title="side"),
                alt.Tooltip("said:N", title="from – to"),
                alt.Tooltip("share:Q", title="share of rows", format=".2%"),
            ],
        )
        .properties(height=260)
    )


def bars_of_two(rows: Rows, title: str, *, height: int = 20) -> Drawn:
    """The share of rows of each value, on both sides; `rows` have label, side, share and rows, in their order."""
    frame = _frame(rows, ["label", "side", "share", "rows"])
    return (
        alt.Chart(frame)
        .mark_bar(cornerRadius=1)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=_LABEL)),
            yOffset=alt.YOffset("side:N", sort=list(SIDES)),
            x=alt.X("share:Q", title=title, axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("side:N", scale=_side_scale(), legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("label:N", title="value"),
                alt.Tooltip("side:N", title="side"),
                alt.Tooltip("share:Q", title=title, format=".2%"),
                alt.Tooltip("rows:Q", title="rows", format=","),
            ],
        )
        .properties(height=alt.Step(height / 2))
    )


def words(rows: Rows) -> Drawn:
    """Words by the share of texts that hold them, before and now; `rows` have word, before, now and z."""
    frame = _frame(rows, ["word", "before", "now", "z"])
    y = alt.Y("word:N", sort=None, title=None, axis=alt.Axis(labelLimit=_LABEL))
    share = alt.Axis(format="%", tickCount=5)
    tips = [
        alt.Tooltip("word:N", title="word"),
        alt.Tooltip("before:Q", title="in the reference", format=".2%"),
        alt.Tooltip("now:Q", title="in this batch", format=".2%"),
        alt.Tooltip("z:Q", title="z", format="+.1f"),
    ]
    base = alt.Chart(frame).encode(y=y, tooltip=tips)
    rule = base.mark_rule(strokeWidth=2, color=NOTHING).encode(
        x=alt.X("before:Q", title="share of texts that hold the word", axis=share), x2="now:Q"
    )
    sides = [
        base.transform_calculate(side=f"'{name}'")
        .mark_point(filled=True, size=90, opacity=1, shape=shape)
        .encode(x=field, color=alt.Color("side:N", scale=_side_scale(), legend=alt.Legend(title=None, orient="top")))
        for name, field, shape in ((SIDES[0], "before:Q", "square"), (SIDES[1], "now:Q", "circle"))
    ]
    return alt.layer(rule, *sides).properties(height=alt.Step(_CELL))


def bars(rows: Rows, title: str, *, percent: bool = False, colour: str = CURRENT) -> Drawn:
    """One bar for each label; `rows` have label and value, in their order."""
    form = ".1%" if percent else ",.4~r"
    return (
        alt.Chart(_frame(rows, ["label", "value"]))
        .mark_bar(color=colour, cornerRadius=2, height={"band": 0.7})
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=_LABEL)),
            x=alt.X("value:Q", title=title, axis=alt.Axis(format="%" if percent else ",.4~r", tickCount=5)),
            tooltip=[alt.Tooltip("label:N", title="what"), alt.Tooltip("value:Q", title=title, format=form)],
        )
        .properties(height=alt.Step(_CELL + 2))
    )


def over_steps(rows: Rows, title: str, runs: Sequence[str], *, log: bool = False, percent: bool = False) -> Drawn:
    """A figure over the steps of trainings; `rows` have step, run and value. The title stands above."""
    form = ".2%" if percent else ",.4~r"
    dots = alt.OverlayMarkDef(size=18) if len(rows) <= 400 else False
    return (
        alt.Chart(_frame(rows, ["step", "run", "value"]))
        .mark_line(point=dots, strokeWidth=1.7)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1, tickCount=5)),
            y=alt.Y(
                "value:Q",
                title=None,
                scale=alt.Scale(type="symlog" if log else "linear", zero=False, nice=True),
                axis=alt.Axis(format="~%" if percent else ",.3~r", tickCount=5),
            ),
            color=alt.Color("run:N", scale=colours(runs), legend=alt.Legend(title=None, orient="bottom", columns=4)),
            tooltip=[
                alt.Tooltip("run:N", title="training"),
                alt.Tooltip("step:Q", title="step"),
                alt.Tooltip("value:Q", title=title, format=form),
            ],
        )
        .properties(height=300, title=alt.TitleParams(title, anchor="start", fontSize=13, fontWeight="normal"))
    )


_MARKS = {"wanted": GOOD, "unwanted": BAD, "neither": REFERENCE}
"""What the project thinks of a word → its colour; a sign stands beside the word as well."""


def ranked_words(rows: Rows, title: str, most: float) -> Drawn:
    """The words that a model puts into a gap, by their rank; `rows` have label, word, rank, probability and mark.

    The axis ends at `most`, so that models can be compared.
    """
    frame = _frame(rows, ["label", "word", "rank", "probability", "mark"])
    return (
        alt.Chart(frame)
        .mark_bar(cornerRadius=2, height={"band": 0.7})
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=180)),
            x=alt.X("probability:Q", title=title, axis=alt.Axis(format="~%", tickCount=3),
                    scale=alt.Scale(domain=[0, most])),
            color=alt.Color("mark:N", scale=alt.Scale(domain=list(_MARKS), range=list(_MARKS.values())), legend=None),
            tooltip=[
                alt.Tooltip("word:N", title="word"),
                alt.Tooltip("rank:Q", title="rank among all words", format=","),
                alt.Tooltip("probability:Q", title="probability", format=".4%"),
                alt.Tooltip("mark:N", title="in shopmon.toml"),
            ],
        )
        .properties(height=alt.Step(_CELL - 2))
    )  # fmt: skip


def masses(rows: Rows, models: Sequence[str]) -> Drawn:
    """How much of a gap goes to wanted and to unwanted words; `rows` have model, words and mass."""
    frame = _frame(rows, ["model", "words", "mass"])
    return (
        alt.Chart(frame)
        .mark_bar(cornerRadius=2)
        .encode(
            y=alt.Y("model:N", sort=list(models), title=None, axis=alt.Axis(labelLimit=_LABEL)),
            yOffset=alt.YOffset("words:N", sort=["wanted", "unwanted"]),
            x=alt.X("mass:Q", title="probability of all of them together", axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("words:N", scale=alt.Scale(domain=["wanted", "unwanted"], range=[GOOD, BAD]),
                            legend=alt.Legend(title=None, orient="top")),
            tooltip=[
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("words:N", title="words"),
                alt.Tooltip("mass:Q", title="probability", format=".2%"),
            ],
        )
        .properties(height=alt.Step(12))
    )  # fmt: skip


def ranks(rows: Rows, models: Sequence[str]) -> Drawn:
    """How the rank of each word changes from model to model; `rows` have word, model, rank, probability and mark."""
    frame = _frame(rows, ["word", "model", "rank", "probability", "mark"])
    base = alt.Chart(frame).encode(
        x=alt.X("model:N", sort=list(models), title=None, axis=alt.Axis(labelAngle=0, labelLimit=140, orient="top")),
        y=alt.Y("rank:Q", title="rank (1 is the likeliest)", axis=alt.Axis(format="~s", tickCount=5),
                scale=alt.Scale(type="log", reverse=True, nice=False)),
        detail="word:N",
        color=alt.Color("mark:N", scale=alt.Scale(domain=list(_MARKS), range=list(_MARKS.values())),
                        legend=alt.Legend(title=None, orient="bottom")),
        tooltip=[
            alt.Tooltip("word:N", title="word"),
            alt.Tooltip("model:N", title="model"),
            alt.Tooltip("rank:Q", title="rank", format=","),
            alt.Tooltip("probability:Q", title="probability", format=".4%"),
        ],
    )  # fmt: skip
    last = alt.Chart(
        _frame(_apart([row for row in rows if row["model"] == models[-1]], rows), ["word", "model", "at", "mark"])
    )
    names = last.mark_text(align="left", dx=9, fontSize=11, limit=150).encode(
        x=alt.X("model:N", sort=list(models)), y="at:Q", text="word:N", color=alt.Color("mark:N", legend=None)
    )
    lines = base.mark_line(point=alt.OverlayMarkDef(size=45, filled=True), strokeWidth=1.7)
    return alt.layer(lines, names).properties(height=_RANKS)


def _apart(last: Rows, rows: Rows) -> list[dict[str, Any]]:
    """Words with the places (`at`, in ranks) of their names: below each other where ranks lie too close for that."""
    if not last:
        return []
    span = log10(max(row["rank"] for row in rows)) or 1.0
    least, below = span * 13 / (_RANKS - 80), -1.0  # 13 pixels for a name; the axes take some 80
    placed = []
    for row in sorted(last, key=lambda one: one["rank"]):
        below = max(log10(row["rank"]), below + least)
        placed.append({**row, "at": 10**below})
    return placed
