"""Is the newest batch in order, how has it been, and what needs a person now?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import streamlit as st

from dashboards import charts, inert_text, reading
from dashboards.frame import nothing_yet, page, told
from dashboards.gates import gate_said, gate_table
from dashboards.models import Named, champions, damaged, going_on, models
from dashboards.shop import Shop
from monitor.gathered_rows import Wanted
from monitor.history import BatchFigures

_VERDICTS = {"passed": ("good", "✓ passed"), "failed": ("bad", "✗ failed"), "error": ("bad", "! could not run")}
_TRENDS = (
    ("pass_rate", "rules that hold", True),
    ("quarantined_share", "rows in quarantine", True),
    ("drifted", "columns that drifted", False),
    ("selected", "edge cases", False),
)


def body(shop: Shop) -> None:
    """The newest batch, what to do, the trends, and the champions."""
    batches = reading.batches(shop)
    if not batches:
        nothing_yet(
            shop,
            "Nothing was checked here yet.",
            ["check data/new.parquet", "reference set data/good.parquet"],
            then="Or see everything on generated data: shopmon demo, then shopmon dashboard --project demo",
        )
        if models(shop):
            with told():
                champion_tables(shop)
        return
    newest(shop, batches[0])
    with told():
        to_do(shop, batches)
    with told():
        trends(shop, batches)
    with told():
        champion_tables(shop)


def newest(shop: Shop, batch: BatchFigures) -> None:
    """The verdict of the newest check and its four figures."""
    kind, verdict = _VERDICTS.get(batch.status, ("plain", batch.status))
    when = f"{batch.started_at:%Y-%m-%d %H:%M} UTC"
    what, sort = inert_text.escaped(shop.near(batch.name)), inert_text.escaped(batch.kind or "kind unknown")
    problem = f"<br>{inert_text.escaped(batch.problem)}" if batch.problem else ""
    inert_text.show(
        f'<div class="sm-note {kind}"><span class="sm-verdict">{verdict}: {what}</span><br>'
        f'<span class="sm-faint">{sort} · {batch.rows:,} rows · {when} · took {batch.seconds:.1f} s</span>{problem}'
        "</div>"
    )
    if batch.status == "error":
        return
    four = st.columns(4)
    four[0].metric("Rules broken", f"{batch.broken} of {batch.rules}", help=f"{batch.critical} of them critical")
    four[1].metric("Rows in quarantine", f"{batch.quarantined:,}", f"{batch.quarantined_share or 0:.1%} of rows",
                   delta_color="off", delta_arrow="off")  # fmt: skip
    compared = f"{batch.drifted} of {batch.compared}" if batch.compared else "–"
    four[2].metric(
        "Columns that drifted", compared, help=None if batch.compared else "not compared: no reference is set"
    )
    four[3].metric("Edge cases", f"{batch.selected:,}", f"{batch.added:,} new", delta_color="off", delta_arrow="off")


@dataclass(frozen=True)
class _Task:
    """Something that waits for a person."""

    kind: str
    said: str
    advice: str = ""
    command: str = ""
    page: str = ""
    """File of the page on which it can be done or seen."""
    link: str = ""
    kind_of_data: str = ""
    """Which kind that page begins with."""


def to_do(shop: Shop, batches: Sequence[BatchFigures]) -> None:
    """What needs a person now, the most pressing first."""
    st.subheader("What needs you now", anchor=False)
    tasks = [*_of_batches(shop, batches), *_of_rows(shop, batches), *_of_models(shop)]
    if not tasks:
        inert_text.note("good", "Nothing: every kind's newest batch passed, and no row waits for a decision.")
    for task in tasks:
        left, right = st.columns([4, 1], vertical_alignment="center")
        with left:
            inert_text.note(task.kind, task.said, task.advice, command=task.command)
        if task.page:
            asked = {"kind": task.kind_of_data} if task.kind_of_data else None
            right.page_link(task.page, label=task.link, icon=":material/arrow_forward:", query_params=asked)


def _of_batches(shop: Shop, batches: Sequence[BatchFigures]) -> Iterator[_Task]:
    last: dict[str | None, BatchFigures] = {}
    for batch in batches:
        last.setdefault(batch.kind, batch)
    for batch in last.values():
        what = shop.near(batch.name)
        if batch.status == "error":
            yield _Task("bad", f"{what} could not be checked: {batch.problem or 'see the run'}.",
                        page="runs.py", link="Run")  # fmt: skip
            continue
        if batch.status == "failed":
            yield _Task(
                "bad",
                f"{batch.kind}: {what} failed; critical rules broken: {batch.critical}, "
                f"rows in quarantine: {batch.quarantined:,}.",
                page="data_quality.py",
                link="See the rows",
                kind_of_data=batch.kind or "",
            )
        if batch.drifted:
            said = f"{batch.kind}: {batch.drifted} of {batch.compared} columns drifted in {what}."
            yield _Task("warn", said, page="drift.py", link="What changed", kind_of_data=batch.kind or "")


def _of_rows(shop: Shop, batches: Sequence[BatchFigures]) -> Iterator[_Task]:
    gathered = reading.gathered(shop)
    tallies = gathered.tallies(Wanted())
    open_rows = reading.undecided(tallies)
    if open_rows:
        yield _Task("warn", f"{open_rows:,} of {tallies.total:,} gathered rows wait for a decision.",
                    page="edge_cases.py", link="Review them")  # fmt: skip
    after = shop.project.settings.edge_cases.retrain_after
    learnt = max((sum(one.model.document["data"]["rows"].values()) for one in models(shop)), default=0)
    more = tallies.total - learnt
    if more >= after:
        said = (
            f"{more:,} more rows have gathered than any model has learnt from; a retraining is due from {after:,} on."
        )
        yield _Task("warn", said, command=shop.command("retrain"))


def _of_models(shop: Shop) -> Iterator[_Task]:
    for training in going_on(shop):
        if training.goes_on:
            yield _Task("plain", f"A training goes on: step {training.step:,} of {training.steps or '?'}.",
                        page="training.py", link="Watch it")  # fmt: skip
        else:
            said = f"The training {training.model_id} stopped at step {training.step:,}."
            yield _Task("warn", said, "Go on with it:", command=shop.command("retrain --resume"))
    for one in damaged(shop):
        yield _Task("bad", f"The model {one.model_id} is damaged: {one.why}.")
    for task in sorted({one.model.task for one in models(shop)}):
        latest = models(shop, task)[0]
        if not latest.model.gate_passed and not latest.model.is_champion:
            yield _Task("warn", f"The gate kept {latest.full} back.", page="training.py", link="See why")


def trends(shop: Shop, batches: Sequence[BatchFigures]) -> None:
    """How the four figures of the batches went."""
    st.subheader("How it has been", anchor=False)
    there = [batch for batch in batches if batch.status != "error"]
    if len(there) < 2:
        inert_text.note("plain", "A line needs two points: check a second batch, and the trend stands here.")
        return
    kinds = sorted({str(batch.kind) for batch in there})
    rows = [
        {
            "at": batch.started_at.replace(tzinfo=None),
            "batch": shop.near(batch.name),
            "kind": str(batch.kind),
            **{name: getattr(batch, name) for name, _, _ in _TRENDS},
        }
        for batch in there
    ]
    places = [*st.columns(2), *st.columns(2)]
    for place, (name, title, percent) in zip(places, _TRENDS, strict=True):
        place.altair_chart(charts.trend(rows, name, title, percent=percent, kinds=kinds), alt=f"{title} over time")


def champion_tables(shop: Shop) -> None:
    """The champion of each task, with the table of its gate."""
    st.subheader("Champions", anchor=False)
    found = champions(shop)
    if not found:
        said = "There is no champion yet." if models(shop) else "No model was trained yet."
        nothing_yet(shop, said, ["retrain"] if not models(shop) else ["models list", "models promote ID"])
    for task, champion in found.items():
        if not isinstance(champion, Named):
            inert_text.note("bad", champion)
            continue
        document = champion.model.document
        inert_text.show(
            f"<b>{inert_text.escaped(task)}</b> · {inert_text.escaped(champion.full)} · "
            f"{inert_text.escaped(gate_said(document))} · from {inert_text.escaped(document['base']['name'])}"
        )
        if document.get("forced"):
            inert_text.note("warn", "A person promoted it although the gate said no.")
        gate_table(document)


if __name__ == "__main__":
    page("Overview", "Is the newest batch in order, how has it been, and what needs you now?", body)
