"""What changed since the reference, how much, and where?"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import log10
from typing import Any

import streamlit as st

from dashboards import batch_choice, charts, inert_text, reading
from dashboards.batch_choice import MOST
from dashboards.frame import download, nothing_yet, page, told
from dashboards.heat_map_click import clicked
from dashboards.shop import Shop
from dashboards.window_trend import window_trend
from monitor.distributions import Spread
from monitor.history import BatchFigures, ColumnFigures
from monitor.runs import Run

_TIPS = {"said": "what changed", "effect": "effect", "floor": "floor", "p": "p, adjusted"}


def body(shop: Shop) -> None:
    """The heat map, one batch's effects, and one column in full."""
    compared = [batch for batch in reading.batches(shop) if batch.compared]
    kind = batch_choice.chosen_kind(compared)
    batches = [batch for batch in compared if batch.kind == kind]
    if not batches:
        nothing_yet(
            shop,
            "No batch was compared with a reference yet. Set one, and check again:",
            ["reference set data/good.parquet", "check data/new.parquet"],
        )
        return
    shown = batches[:MOST][::-1]
    figures = [one for one in reading.columns(shop, [batch.run_id for batch in shown]) if _about_values(one)]
    cell = heat_map(figures, shown)
    by_label = {label: run_id for run_id, label in batch_choice.labels(shown).items()}
    if cell and cell["batch"] in by_label:  # else the batches have changed since it was drawn
        st.session_state["column"], st.session_state["batch"] = cell["row"], by_label[cell["batch"]]
    batch = batch_choice.chosen_batch(shop, batches, key="batch")
    found = reading.run(shop, batch.run_id)
    section = found.document["drift"]
    inert_text.text(f"{section['reason']}, the reference: {shop.near(section['reference'] or '')}", faint=True)
    with told():
        window_trend(shop, str(kind))
    with told():
        effects(section)
    with told():
        column = chosen_column(section)
        one_column(shop, found, section, column)
    with told():
        concept(section)
    with told():
        evidently(shop, found, batch)


def _about_values(figure: ColumnFigures) -> bool:
    return not figure.test.startswith("missing")


def state(drifted: bool, floor: float | None) -> str:
    """How a comparison ended, as charts tell it."""
    return "drifted" if drifted else "stable" if floor is not None else "not tested"


def heat_map(figures: Sequence[ColumnFigures], shown: Sequence[BatchFigures]) -> Mapping[str, str] | None:
    """Columns × batches; the cell that was clicked on last, once."""
    st.subheader("Columns and batches", anchor=False)
    labels = batch_choice.labels(shown)
    ranked = sorted(figures, key=lambda one: (not one.drifted, one.column))
    order = list(dict.fromkeys(one.column for one in ranked))
    worst: dict[tuple[str, str], ColumnFigures] = {}
    for one in ranked:  # a text is compared by its words and by its length: the one that drifted stands for both
        worst.setdefault((one.run_id, one.column), one)
    rows = [
        {"row": one.column, "batch": labels[run_id], "state": state(one.drifted, one.floor), "said": one.said[:160],
         "effect": f"{one.effect:.3f} ({one.effect_name})", "floor": "–" if one.floor is None else f"{one.floor:g}",
         "p": _p(one.p_adjusted)}
        for run_id in labels
        for (of, _), one in worst.items()
        if of == run_id
    ]  # fmt: skip
    chart = charts.heat_map(rows, charts.DRIFT_STATES, row_title="column", order=order, tips=_TIPS)
    event = st.altair_chart(chart, on_select="rerun", key="columns_map", alt="Columns by batches")
    st.caption("Click on a cell to see that column in that batch.")
    return clicked(event, "columns_map")


def effects(section: Mapping[str, Any]) -> None:
    """Every comparison of the batch as a whole, with its effect beside the floor, and all figures as a table."""
    st.subheader("Effects and floors", anchor=False)
    whole = [one for one in section["columns"] if one["segment"] is None]
    tested = [one for one in whole if one["floor"]]
    rows = [
        {"row": _named(one), "times": one["effect"] / one["floor"], "effect": one["effect"], "floor": one["floor"],
         "effect_name": one["effect_name"], "p_adjusted": one["p_adjusted"],
         "state": state(one["drifted"], one["floor"])}
        for one in tested
        if one["drifted"] or one["effect"] > 0
    ]  # fmt: skip
    if rows:
        st.altair_chart(charts.effects(rows), alt="Effect of each column in multiples of its floor")
    still = len(tested) - len(rows)
    st.caption(
        "A column has drifted when its change is too large for chance (p, adjusted by Holm over all comparisons) and "
        f"reaches its floor, the dashed line. {still} further comparisons did not move at all."
    )
    with st.expander("All figures"):
        st.dataframe(
            [
                {
                    "column": one["column"],
                    "within": one["segment"] or "the whole batch",
                    "test": one["test"],
                    "p": _p(one["p_value"]),
                    "p, adjusted": _p(one["p_adjusted"]),
                    "effect": one["effect"],
                    "floor": one["floor"],
                    "effect is the": one["effect_name"],
                    "drifted": one["drifted"],
                    "Evidently": _evidently(one["evidently"]),
                }
                for one in section["columns"]
            ],
            hide_index=True,
        )


def _named(one: Mapping[str, Any]) -> str:
    """A comparison of the whole batch by its column, and by what was compared where that is not its values."""
    about = {"missing share": "missing", "column present": "gone"}.get(one["test"])
    if about is None and one["sort"] == "text" and one["test"] != "language of the texts":
        about = "length"
    return f"{one['column']} ({about})" if about else str(one["column"])


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 1e-99" if value < 1e-99 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _evidently(measured: Mapping[str, Any] | None) -> str:
    if not measured or measured["value"] is None:
        return "–"
    return f"{measured['value']:.3f} ({measured['method']}), {'drifted' if measured['drifted'] else 'stable'}"


def chosen_column(section: Mapping[str, Any]) -> str:
    """The column that a person chose, at first the one that drifted most surely."""
    st.subheader("One column", anchor=False)
    names = list(dict.fromkeys(str(one["column"]) for one in section["columns"]))
    if st.session_state.get("column") not in names:
        st.session_state.pop("column", None)
    return st.selectbox("Column", names, key="column") or names[0]


def one_column(shop: Shop, found: Run, section: Mapping[str, Any], column: str) -> None:
    """The verdict on one column, both sides of it, where the change sits, and rows that show it."""
    of_column = [one for one in section["columns"] if one["column"] == column]
    whole = [one for one in of_column if one["segment"] is None]
    for one in whole:
        if one["drifted"] or _about(one):
            verdict(one)
    left, right = st.columns(2)
    with left, told():
        spread(shop, found, column)
    with right:
        word_rates(whole)
        segments(of_column)
    examples(whole)


def _about(one: Mapping[str, Any]) -> bool:
    return not str(one["test"]).startswith("missing")


def verdict(one: Mapping[str, Any]) -> None:
    """One comparison in a sentence with its figures."""
    how = state(one["drifted"], one["floor"])
    kind = {"drifted": "bad", "stable": "good"}.get(how, "plain")
    floor = f", floor {one['floor']:g}" if one["floor"] is not None else ""
    figures = (
        f"{one['effect_name']} {one['effect']:.3f}{floor}; p {_p(one['p_value'])}, adjusted {_p(one['p_adjusted'])}; "
        f"{one['current']:,} rows against {one['reference']:,}"
    )
    said = f": {one['said']}" if one["said"] else ""
    inert_text.show(
        f'<div class="sm-note {kind}">{how}{inert_text.escaped(said)}<br>'
        f'<span class="sm-faint">{inert_text.escaped(one["test"])}: {inert_text.escaped(figures)}</span></div>'
    )


# --- both sides -------------------------------------------------------------------------------------------------------


def spread(shop: Shop, found: Run, column: str) -> None:
    """Reference beside batch: a histogram, or the most frequent values."""
    file = reading.artifact(shop, found, "distributions")
    if file is None:
        inert_text.note(
            "plain",
            "How both sides are spread was not kept by this check, or its folder is gone.",
            "Check the file again to see it.",
        )
        return
    lines = reading.spreads(file, column)
    values = [one for one in lines if one.part == "value"] or [one for one in lines if one.part == "length"]
    if not values:
        st.caption("There is nothing to draw of this column.")
        return
    if any(one.label is not None for one in values):
        st.altair_chart(charts.bars_of_two(list(_two(values)), "share of rows"), alt=f"Values of {column}")
    else:
        title = f"{column} (characters)" if values[0].part == "length" else column
        rows = [row for one in values if not one.rest for row in _bin(one)]
        chart = charts.histogram(rows, title, dates=values[0].sort == "date")
        st.altair_chart(chart, alt=f"Histogram of {column}")
        beyond = [one for one in values if one.rest]
        if beyond:
            st.caption(f"Not drawn, further out: {_sum(beyond)}.")
    missing = [one for one in lines if one.part == "missing" and (one.reference or one.current)]
    if missing:
        st.caption(f"Missing: {_sum(missing)}.")


def _sum(lines: Sequence[Spread]) -> str:
    """The share of rows that some lines hold together, on both sides."""
    reference = sum(one.reference_share or 0.0 for one in lines)
    return f"{reference:.1%} of the reference, {sum(one.current_share or 0.0 for one in lines):.1%} of this batch"


def _two(lines: Sequence[Spread]) -> Iterator[dict[str, Any]]:
    for one in lines:
        label = one.label or f"{_bound(one.low, one.sort)} – {_bound(one.high, one.sort)}"
        for side, rows, share in _sides(one):
            yield {"label": label, "side": side, "share": share, "rows": rows}


def _sides(one: Spread) -> tuple[tuple[str, int, float], ...]:
    """Name, rows and share of either side."""
    shares = (one.reference_share or 0.0, one.current_share or 0.0)
    return tuple(zip(charts.SIDES, (one.reference, one.current), shares, strict=True))


def _bin(one: Spread) -> list[dict[str, Any]]:
    """A bin on both sides."""
    if one.low is None or one.high is None:
        return []
    low, high = (_moment(one.low), _moment(one.high)) if one.sort == "date" else (one.low, one.high)
    said = f"{_bound(one.low, one.sort)} – {_bound(one.high, one.sort)}"
    densities = (one.reference_density or 0.0, one.current_density or 0.0)
    return [
        {"side": side, "low": low, "high": high, "share": share, "said": said, "density": density}
        for (side, _, share), density in zip(_sides(one), densities, strict=True)
    ]


def _moment(days: float) -> datetime:
    return datetime(1970, 1, 1) + timedelta(days=days)


def _bound(value: float | None, sort: str) -> str:
    if value is None:
        return "–"
    if sort == "date":
        return f"{_moment(value):%Y-%m-%d}"
    digits = max(0, 3 - int(log10(abs(value)))) if value else 0
    return f"{value:,.{min(digits, 4)}f}"


# --- words, places, rows ----------------------------------------------------------------------------------------------


def word_rates(whole: Sequence[Mapping[str, Any]]) -> None:
    """The words whose rates have changed, with both rates and z."""
    found: list[dict[str, Any]] = next((one["words"] for one in whole if one["words"]), [])
    if not found:
        return
    rows = [{"word": w["word"], "before": w["reference"], "now": w["current"], "z": w["z"]} for w in found]
    st.altair_chart(charts.words(rows), alt="Words by the share of texts that hold them")
    with st.expander("These words as figures"):
        inert_text.table(
            ["word", "reference", "this batch", "z"],
            [
                (inert_text.escaped(w["word"]), f"{w['reference']:.2%}", f"{w['current']:.2%}", f"{w['z']:+.1f}")
                for w in found
            ],
            numbers=[1, 2, 3],
        )


def segments(of_column: Sequence[Mapping[str, Any]]) -> None:
    """Where the change sits, and how it is within segments that were compared by themselves."""
    sits: list[dict[str, Any]] = next((one["sits_in"] for one in of_column if one["sits_in"]), [])
    if sits:
        rows = [{"label": f"{s['segment']} ({s['share']:.0%} of rows)", "value": s["effect"]} for s in sits]
        st.altair_chart(charts.bars(rows, "shift within, in standard deviations"), alt="Where the change sits")
    within = [one for one in of_column if one["segment"] is not None and one["drifted"]]
    if within:
        rows = [{"label": one["segment"], "value": one["effect"]} for one in within[:12]]
        st.altair_chart(charts.bars(rows, within[0]["effect_name"], colour=charts.BAD), alt="Effects within segments")


def examples(whole: Sequence[Mapping[str, Any]]) -> None:
    """Rows that show the change, beside rows of the reference."""
    one = next((one for one in whole if one["examples"]), None)
    if one is None:
        return
    left, right = st.columns(2)
    for place, title, rows in ((left, "Rows of this batch that show it", one["examples"]),
                               (right, "Rows of the reference, beside them", one["examples_before"])):  # fmt: skip
        with place:
            st.markdown(f"**{title}**")
            inert_text.table(
                ["row", "value"],
                [(f"{row['row']:,}", inert_text.escaped(row["value"], longest=400)) for row in rows],
                numbers=[0],
            )


def concept(section: Mapping[str, Any]) -> None:
    """Whether the model errs more than before, where the batch has its predictions with labels."""
    found = section["concept"]
    if found["status"] == "not examined":
        return
    st.subheader("The model's errors", anchor=False)
    kind = "bad" if found["alarms"] else "good"
    errors = f"{found['errors']:.1%} of {found['rows']:,} rows" if found["errors"] is not None else ""
    inert_text.note(kind, f"{found['status']}: {errors} were predicted wrongly, {found['reason']}.")
    inert_text.table(
        ["detector", "from row", "date", "errors before", "errors after"],
        [
            (inert_text.escaped(a["detector"]), f"{a['position']:,}", inert_text.escaped(a["at"]),
             f"{a['before']:.1%}", f"{a['after']:.1%}")
            for a in found["alarms"]
        ],
        numbers=[1, 3, 4],
    )  # fmt: skip


def evidently(shop: Shop, found: Run, batch: BatchFigures) -> None:
    """Evidently's own report of the same two samples, embedded when it is asked for."""
    file = reading.artifact(shop, found, "drift")
    if file is None:
        return
    st.subheader("Evidently's report", anchor=False)
    if st.toggle(f"Show it here ({file.stat().st_size / 1e6:.1f} MB)", key="evidently"):
        # As data of its own the page has no origin: whatever stands in it reaches neither this page nor the server.
        page_of = base64.b64encode(file.read_bytes()).decode()
        st.iframe(f"data:text/html;base64,{page_of}", height=900, alt="Evidently's report")
    download("Download it (HTML)", file, f"drift-{batch.run_id}.html", "text/html")


if __name__ == "__main__":
    page("Drift", "What changed since the reference, how much, and where?", body)
