"""Which rules do batches break, since when, and which rows are they?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from dashboards import batch_choice, charts, inert_text, reading
from dashboards.batch_choice import MOST
from dashboards.frame import download, nothing_yet, page, told
from dashboards.heat_map_click import clicked
from dashboards.shop import Shop
from expectations.failing_rows import FailingRow
from expectations.offending import offending_parts
from monitor.history import BatchFigures, RuleFigures

PAGE_ROWS = 25
"""Failing rows that are shown at once."""
_ORDER = (
    "broken, critical",
    "broken, warning",
    "broken, info",
    "could not be examined",
    "nothing to examine",
    "passed",
)
_TIPS = {"said": "rows that break it", "severity": "severity", "reason": "what was found"}


def body(shop: Shop) -> None:
    """The heat map, one rule's history, and its rows in one batch."""
    examined = [batch for batch in reading.batches(shop) if batch.rules]
    kind = batch_choice.chosen_kind(examined)
    batches = [batch for batch in examined if batch.kind == kind]
    if not batches:
        nothing_yet(shop, "No batch was examined yet.", ["check data/new.parquet"])
        return
    shown = batches[:MOST][::-1]
    figures = reading.rules(shop, [batch.run_id for batch in shown])
    by_label = {label: run_id for run_id, label in batch_choice.labels(shown).items()}
    cell = heat_map(figures, shown)
    if cell and cell["batch"] in by_label:  # else the batches have changed since it was drawn
        st.session_state["rule"], st.session_state["batch"] = cell["row"], by_label[cell["batch"]]
    rule = chosen_rule(figures, newest=batches[0].run_id)
    if rule is None:
        return
    with told():
        history(shop, rule, shown, figures)
    with told():
        rows(shop, rule, batches)


def state(figure: RuleFigures) -> str:
    """What a rule said of a batch, as the heat map tells it."""
    if figure.outcome == "failed":
        return f"broken, {figure.severity}"
    return {"error": "could not be examined", "not examined": "nothing to examine"}.get(figure.outcome, "passed")


def heat_map(figures: Sequence[RuleFigures], shown: Sequence[BatchFigures]) -> Mapping[str, str] | None:
    """Rules × batches; the cell that was clicked on last, once."""
    st.subheader("Rules and batches", anchor=False)
    labels = batch_choice.labels(shown)
    every = st.toggle("Show rules that always passed, too", value=False, key="every_rule")
    worst: dict[str, int] = {}
    for figure in figures:
        worst[figure.id] = min(worst.get(figure.id, 9), _ORDER.index(state(figure)))
    listed = sorted((name for name, rank in worst.items() if every or rank <= 3), key=lambda name: (worst[name], name))
    if not listed:
        inert_text.note("good", f"Every one of {len(worst)} rules passed in these batches.")
        return None
    rows = [
        {"row": f.id, "batch": labels[f.run_id], "state": state(f), "said": _said(f), "severity": f.severity,
         "reason": f.reason[:160]}
        for batch in shown
        for f in figures
        if f.run_id == batch.run_id and f.id in listed
    ]  # fmt: skip
    chart = charts.heat_map(rows, charts.STATES, row_title="rule", order=listed, tips=_TIPS)
    event = st.altair_chart(chart, on_select="rerun", key="rules_map", alt="Rules by batches")
    st.caption("Click on a cell to see that rule in that batch.")
    return clicked(event, "rules_map")


def _said(figure: RuleFigures) -> str:
    share = figure.unexpected / figure.examined if figure.examined else 0.0
    return f"{figure.unexpected:,} of {figure.examined:,} ({share:.2%})"


def chosen_rule(figures: Sequence[RuleFigures], newest: str) -> str | None:
    """The rule that a person chose, at first the most severe one that the newest batch breaks; others after."""

    def rank(figure: RuleFigures) -> tuple[bool, bool, int, int, str]:
        holds = figure.outcome in ("passed", "not examined")
        return holds, figure.run_id != newest, _ORDER.index(state(figure)), -figure.unexpected, figure.id

    ranked = sorted(figures, key=rank)
    names = list(dict.fromkeys(figure.id for figure in ranked))
    if st.session_state.get("rule") not in names:
        st.session_state.pop("rule", None)
    return st.selectbox("Rule", names, key="rule")


def history(shop: Shop, rule: str, shown: Sequence[BatchFigures], figures: Sequence[RuleFigures]) -> None:
    """What one rule asks, and the share of rows that broke it over time."""
    st.subheader("One rule over time", anchor=False)
    by_run = {figure.run_id: figure for figure in figures if figure.id == rule}
    last = by_run[next(batch.run_id for batch in reversed(shown) if batch.run_id in by_run)]
    inert_text.show(
        inert_text.chips(
            [last.severity, last.column or "the whole table", f"may be broken by {_allowed(last):.1%} of rows"]
        )
        + f'<br><span class="sm-faint">{inert_text.escaped(last.reason)}</span>'
    )
    points = [
        {
            "at": batch.started_at.replace(tzinfo=None),
            "batch": shop.near(batch.name),
            "share": found.unexpected / found.examined if found.examined else 0.0,
            "unexpected": found.unexpected,
            "examined": found.examined,
            "state": state(found),
        }
        for batch in shown
        if (found := by_run.get(batch.run_id))
    ]
    st.altair_chart(charts.rule_history(points, _allowed(last)), alt=f"Share of rows that break {rule}, over time")


def _allowed(figure: RuleFigures) -> float:
    """The share of rows that may break a rule before it counts as broken."""
    return 1 - (1.0 if figure.mostly is None else figure.mostly)


def rows(shop: Shop, rule: str, batches: Sequence[BatchFigures]) -> None:
    """The rows of one batch that broke the rule, with the offending part marked, and what can be downloaded."""
    st.subheader("The rows", anchor=False)
    batch = batch_choice.chosen_batch(shop, batches, key="batch")
    found = reading.run(shop, batch.run_id)
    told_of: list[dict[str, Any]] = found.document.get("expectations", [])
    asked: dict[str, Any] = next((one for one in told_of if one.get("id") == rule), {})
    file = reading.artifact(shop, found, "quarantine")
    if file is None:
        _without_quarantine(shop, batch, reading.was_written(found, "quarantine"))
    else:
        _listed(file, _Rule(rule, asked, found.document.get("columns") or {}), batch)
    data_docs(found.document)


def _without_quarantine(shop: Shop, batch: BatchFigures, was_written: bool) -> None:
    if was_written:
        inert_text.note("bad", f"The quarantine of run {batch.run_id} is gone: its folder was moved or removed.",
                        "Check the file again.", command=shop.command("check FILE"))  # fmt: skip
    else:
        inert_text.note("good", "No row of this batch is in quarantine.")


@dataclass(frozen=True)
class _Rule:
    """A rule as one check asked it."""

    id: str
    said: Mapping[str, Any]
    """Its entry in the check's document."""
    roles: Mapping[str, str]
    """Role → the file's own column."""

    def columns(self, there: Sequence[str]) -> list[str]:
        """The columns it is about, by the file's own names; the first one where it names none that is there."""
        names = [self.roles.get(name, name) for name in str(self.said.get("column") or "").split(" + ")]
        return [name for name in names if name in there] or list(there[:1])

    def marked(self, value: Any) -> str:
        """A value with the part that breaks the rule marked, or all of it where no smaller part is known."""
        found = offending_parts(str(self.said.get("type", "")), self.said.get("asked") or {}, value)
        parts = [(part.start, part.end) for part in found]
        return inert_text.marked(value, parts, whole=not parts, longest=600)


def _listed(file: Path, rule: _Rule, batch: BatchFigures) -> None:
    breaking = reading.quarantined(file).get(rule.id, 0)
    only = st.toggle(f"Only rows that break this rule ({breaking:,} of {batch.quarantined:,})", True, key="only_rule")
    contains = st.text_input("Search in the rows", key="contains", placeholder="any text, in any column") or None
    asked = rule.id if only else None
    total = reading.failing(file, asked, contains, 0, 1).total
    first = _page_of(total, "quarantine_page")
    page_of = reading.failing(file, asked, contains, first, PAGE_ROWS)
    if not total:
        inert_text.note("plain", _why_none(rule, contains))
    else:
        _table(page_of.rows, page_of.columns, rule)
    name = f"quarantine-{batch.run_id}.parquet"
    if file.is_dir():  # as the executors of a Spark cluster write it, of whatever size
        inert_text.note("plain", f"The whole quarantine lies in parts below {file}.")
    else:
        download("Download the whole quarantine (Parquet)", file, name, "application/vnd.apache.parquet")


def _why_none(rule: _Rule, contains: str | None) -> str:
    """Why no row is listed."""
    if contains:
        return "No row matches."
    if not rule.said:
        return "This batch was not asked this rule."
    if rule.said.get("outcome") != "failed":
        return f"No row of this batch breaks this rule: {rule.said.get('reason') or rule.said.get('outcome')}."
    return "No row breaks this rule by itself: it is about the whole column or table."


def _page_of(total: int, key: str) -> int:
    """The number of the first row of the page that a person is on."""
    pages = max(-(-total // PAGE_ROWS), 1)
    if pages == 1:
        st.caption(f"{total:,} row{'' if total == 1 else 's'}")
        return 0
    chosen = st.number_input(f"Page, of {pages:,} ({total:,} rows)", 1, pages, 1, key=key)
    return (int(chosen) - 1) * PAGE_ROWS


def _table(found: Sequence[FailingRow], columns: Sequence[str], rule: _Rule) -> None:
    own = rule.columns(columns)
    rest = [column for column in columns if column not in own][: max(6 - len(own), 0)]
    inert_text.table(["row", *own, "breaks", *rest], [_cells(row, own, rest, rule) for row in found], numbers=[0])


def _cells(row: FailingRow, own: Sequence[str], rest: Sequence[str], rule: _Rule) -> list[str]:
    if row.raw is not None:  # it could not be read: its bytes stand in the place of its values
        written = inert_text.marked(row.raw.decode("utf-8", "backslashreplace"), whole=True, longest=600)
        why = inert_text.escaped(row.reason)
        return [f"{row.row:,}", written, *[""] * (len(own) - 1), why, *[""] * len(rest)]
    tolerated = " (tolerated)" if row.tolerated else ""
    return [
        f"{row.row:,}",
        *(rule.marked(row.values.get(column)) for column in own),
        inert_text.escaped(", ".join(row.rules) + tolerated),
        *(inert_text.escaped(row.values.get(column), longest=160) for column in rest),
    ]


def data_docs(document: Mapping[str, Any]) -> None:
    """Where Great Expectations' own pages are, if the check wrote them."""
    site = (document.get("artifacts") or {}).get("data_docs")
    if not site:
        return
    st.caption("Great Expectations' own pages were written, too; open this address in the browser:")
    st.code(Path(str(site)).as_uri(), language=None)  # a page of http may not lead to a file by itself


if __name__ == "__main__":
    page("Data quality", "Which rules do batches break, since when, and which rows are they?", body)
