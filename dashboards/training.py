"""How did each training go, what did its gate say, and from which rows was its model made?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboards import charts, inert_text
from dashboards.frame import nothing_yet, page, told
from dashboards.gates import gate_said, gate_table
from dashboards.models import Named, Told, champions, damaged, going_on, models, told_by, told_so_far
from dashboards.shop import Shop
from retrain.registry import Registry
from shopmon.training_summary import duration, figure, lineage_counts

LIVE = 2.0
"""Seconds between two looks at a training that goes on."""
_SETS = {"project": "the project's own text", "retraining": "held-out positive rows", "general": "general text"}
_CLASSIFIED = {"macro_f1": "macro F1", "accuracy": "accuracy", "loss": "loss (nats per pair)"}
_MEASURED = {
    "tfidf": "TF-IDF",
    "frozen": "frozen encoder",
    "boosted": "frozen encoder, XGBoost",
    "champion": "champion before",
    "candidate": "this model",
}
"""Whom a classifier's training measures, in this order."""
_CONTRASTS = {"gate": "our brands", "other_brands": "other brands", "complaints": "complaints"}


def body(shop: Shop) -> None:
    """Live curves, measures, the gate and the lineage."""
    found, open_ones = models(shop), going_on(shop)
    for one in damaged(shop):
        inert_text.note("bad", f"The model {one.model_id} is damaged and left out: {one.why}.")
    if not found and not open_ones:
        nothing_yet(
            shop,
            "No model was trained yet. Rows to learn from gather while batches are checked; then:",
            ["retrain", "retrain --base offline"],
            then="Without a network, --base offline makes a small model from a package.",
        )
        return
    for training in open_ones:
        if not training.goes_on:
            inert_text.note(
                "warn", f"The training {training.model_id} stopped at step {training.step:,} of {training.steps:,}.",
                "It keeps its last checkpoint; go on with:", command=shop.command("retrain --resume"),
            )  # fmt: skip
    chosen = chosen_models(of_one_task(found))
    live = any(training.goes_on for training in open_ones)
    st.fragment(curves, run_every=LIVE if live else None)(shop, chosen, live)
    if chosen:
        with told():
            measures(chosen)
        with told():
            one_model(shop, chosen)


def of_one_task(found: Sequence[Named]) -> Sequence[Named]:
    """The models of one task: those of different tasks have no figure in common."""
    tasks = sorted({named.model.task for named in found}, key=lambda task: task != "mlm")
    if len(tasks) < 2:
        return found
    task = st.segmented_control("Task", tasks, default=tasks[0], required=True, key="task")
    return [named for named in found if named.model.task == task]


def chosen_models(found: Sequence[Named]) -> list[Named]:
    """The models that a person wants side by side: at first the champion and the newest ones."""
    if not found:
        return []
    by_id = {named.model.model_id: named for named in found}
    first = [named.model.model_id for named in sorted(found, key=lambda one: not one.model.is_champion)[:3]]
    picked = st.multiselect("Models side by side", list(by_id), default=first, max_selections=7,
                            format_func=lambda one: by_id[one].full, key="models")  # fmt: skip
    return [by_id[one] for one in picked]


def curves(shop: Shop, chosen: Sequence[Named], live: bool) -> None:
    """Loss, perplexity, probabilities, rate and speed over the steps, of the chosen models and of what goes on now.

    It is run by itself, too: then nobody else would tell what went wrong.
    """
    with told():
        _curves(shop, chosen, live)


def _curves(shop: Shop, chosen: Sequence[Named], live: bool) -> None:
    now = [training for training in going_on(shop) if training.goes_on]
    if live and not now:  # it has ended: its model is on the page from now on
        st.rerun()
    for training in now:
        done = training.step / training.steps if training.steps else 0.0
        seconds = (training.steps - training.step) * training.usual
        said = f"Training now: step {training.step:,} of {training.steps or '?'}"
        st.progress(min(done, 1.0), text=said + (f", about {duration(seconds)} left" if seconds else ""))
    runs = [told_by(named) for named in chosen] + [told_so_far(training) for training in now]
    if not any(run.lines for run in runs):
        inert_text.note("plain", "These trainings told nothing yet.")
        return
    names = [run.name for run in runs]
    if any(run.classified() for run in runs):
        classified(runs, names)
    if any(run.held_out("loss") for run in runs):
        held_out(runs, names)
        sayings(runs, names)
    steps(runs, names)


def held_out(runs: Sequence[Told], names: Sequence[str]) -> None:
    """Loss or perplexity of each set of held-out texts, a chart for each."""
    st.subheader("On texts that no training saw", anchor=False)
    figures = {"perplexity": "perplexity", "loss": "loss (nats per masked token)"}
    picked = st.segmented_control("Figure", list(figures), default="perplexity", required=True, key="figure")
    rows = [row for run in runs for row in run.held_out(picked or "perplexity")]
    _side_by_side(rows, _SETS, figures[picked or "perplexity"], names)
    st.caption("The texts and their masks are the same for every model of a training; step 0 is its base.")


def classified(runs: Sequence[Told], names: Sequence[str]) -> None:
    """How well classes are told apart, a chart for each figure."""
    st.subheader("On pairs that no training saw", anchor=False)
    rows = [row for run in runs for row in run.classified()]
    ranked = sorted({row["set"] for row in rows if row["set"].startswith("ndcg_")})
    sets = {**_CLASSIFIED, **{name: f"nDCG ({name.removeprefix('ndcg_')})" for name in ranked}}
    _side_by_side(rows, sets, "validation pairs", names)


def sayings(runs: Sequence[Told], names: Sequence[str]) -> None:
    """The probability of unwanted or of wanted words for each set of prompts, a chart for each."""
    st.subheader("What the models say", anchor=False)
    words = st.segmented_control("Words", ["unwanted", "wanted"], default="unwanted", required=True, key="words")
    rows = [row for run in runs for row in run.masses(words or "unwanted")]
    _side_by_side(rows, _CONTRASTS, f"probability of {words or 'unwanted'} words", names, percent=True)


def steps(runs: Sequence[Told], names: Sequence[str]) -> None:
    """What was minimised, how fast, and at which rate."""
    st.subheader("Step by step", anchor=False)
    figures = (
        ("loss", "training loss, all parts together (nats)"),
        ("tokens_per_second", "tokens per second"),
        ("learning_rate", "learning rate"),
    )
    for place, (field, title) in zip(st.columns(3), figures, strict=True):
        rows = [row for run in runs for row in run.train(field)]
        if rows:
            place.altair_chart(charts.over_steps(rows, title, names), alt=f"{title}, over steps")
    with st.expander("The parts of the training loss"):
        for run in runs:
            rows = run.parts()
            if rows:
                parts = sorted({row["set"] for row in rows})
                by_part = [{**row, "run": row["set"]} for row in rows]
                title = f"{run.name}: parts of the training loss (nats)"
                st.altair_chart(charts.over_steps(by_part, title, parts, log=True), alt=title)


def _side_by_side(
    rows: Sequence[dict[str, Any]], sets: Mapping[str, str], title: str, names: Sequence[str], *, percent: bool = False
) -> None:
    """A chart for each set, on axes of its own: their figures lie far apart."""
    there = [name for name in sets if any(row["set"] == name for row in rows)]
    for place, name in zip(st.columns(max(len(there), 1)), there, strict=False):
        some = [row for row in rows if row["set"] == name]
        chart = charts.over_steps(some, sets[name], names, percent=percent)
        place.altair_chart(chart, alt=f"{title} on {sets[name]}, over steps")
    st.caption(f"Each: {title}.")


def measures(chosen: Sequence[Named]) -> None:
    """The final figures of each model beside its base's, on the same sets."""
    st.subheader("Measured at the end", anchor=False)
    if any(named.model.document["measures"].get("candidate", {}).get("classification") for named in chosen):
        classified_at_the_end(chosen)
        return
    st.caption("Base → model, on the same texts and prompts. Trainings that saw more rows hold out other texts.")
    said = [named.model.document["measures"] for named in chosen]
    rows = [
        [f"perplexity, {title}", *(_change(one, "texts", name, "perplexity", figure) for one in said)]
        for name, title in _SETS.items()
    ]
    rows += [
        [f"{words} words, {title}", *(_change(one, "masses", name, words, "{:.1%}".format) for one in said)]
        for words in ("wanted", "unwanted")
        for name, title in _CONTRASTS.items()
    ]
    heads = ["", *(named.short for named in chosen)]
    inert_text.table(heads, rows, numbers=range(1, len(heads)))


def classified_at_the_end(chosen: Sequence[Named]) -> None:
    """The final figures of classifiers on the same held-out pairs, beside what does without training a network."""
    heads, rows = ["model", "measured", *_CLASSIFIED.values(), "calibration error", "nDCG"], []
    for named in chosen:
        for role, title in _MEASURED.items():
            found = named.model.document["measures"].get(role, {}).get("classification")
            if found:
                figures = [found[name] for name in (*_CLASSIFIED, "calibration_error")]
                figures += [one["ndcg"] for one in found["ranking"].values()][:1] or [None]
                shown = ["–" if value is None else figure(value) for value in figures]
                rows.append([inert_text.escaped(named.short), title, *shown])
    inert_text.table(heads, rows, numbers=range(2, len(heads)))


def _change(said: Mapping[str, Any], what: str, name: str, field: str, shown: Callable[[float], str]) -> str:
    """A figure of the base and of the model that was trained from it, as markup."""
    found = [said.get(role, {}).get(what, {}).get(name) for role in ("base", "candidate")]
    return inert_text.escaped(" → ".join(shown(one[field]) if one else "–" for one in found))


def one_model(shop: Shop, chosen: Sequence[Named]) -> None:
    """One model in full: its gate, what it was trained with, and its rows."""
    st.subheader("One model", anchor=False)
    by_id = {named.model.model_id: named for named in chosen}
    if st.session_state.get("model") not in by_id:
        st.session_state.pop("model", None)
    picked = st.selectbox("Model", list(by_id), format_func=lambda one: by_id[one].full, key="model")
    named = by_id[picked or next(iter(by_id))]
    document = named.model.document
    kind = "good" if document["gate"]["passed"] else "bad"
    became = "It is champion." if named.model.is_champion else ""
    if named.model.is_champion and document.get("forced"):
        became = "It is champion: a person overruled the gate."
    inert_text.note(kind, gate_said(document) + ".", became)
    gate_table(document)
    facts(document)
    with told():
        champion = champions(shop).get(named.model.task)
        if isinstance(champion, str):
            inert_text.note("bad", champion)
    with told():
        lineage(shop, named)


def facts(document: Mapping[str, Any]) -> None:
    """What a training was, in figures."""
    data = document["data"]
    rows = ", ".join(f"{count:,} {role}" for role, count in data["rows"].items())
    told_of = {
        "base": f"{document['base']['name']} ({document['base']['sha256'][:12]})",
        "learnt from": f"{rows}; {data['general']:,} passages of {data['general_source']}",
        "held out": ", ".join(f"{count:,} {role}" for role, count in data["held_out"].items()),
        "by people": _by_people(data),
        "steps": f"{document['steps']:,}, the best was {document['best_step']:,}",
        "took": f"{duration(document['seconds'])}, {document['tokens']:,} tokens, {document['device']}",
        "weights": document["weights_sha256"][:12],
    }
    cells = [(inert_text.escaped(name), inert_text.escaped(value)) for name, value in told_of.items() if value]
    inert_text.table(["", ""], cells)


def _by_people(data: Mapping[str, Any]) -> str:
    """What people decided about the rows, as far as it changed anything."""
    names = {
        "rejected": "rejected",
        "relabelled": "relabelled",
        "not_reviewed": "left out, for nobody had accepted them",
    }
    return ", ".join(f"{data[name]:,} {title}" for name, title in names.items() if data.get(name))


def lineage(shop: Shop, named: Named) -> None:
    """From which batches and by which rules the model's rows came."""
    st.markdown("**From model to data**")
    counts = _lineage(str(shop.project.models), named.model.task, named.model.model_id,
                      str(named.model.document["weights_sha256"]))  # fmt: skip
    places = [*st.columns(2), *st.columns(2)]
    for place, (title, found) in zip(places, counts.items(), strict=True):
        if found:
            rows = [{"label": shop.near(label), "value": count} for label, count in found.items()][:15]
            place.altair_chart(charts.bars(rows, f"rows, by {title}"), alt=f"Rows by {title}")
    st.caption("Every single row, with its batch and its place in it:")
    st.code(shop.command(f"models lineage {named.model.model_id} --json"), language="bash")


@st.cache_data(max_entries=16, show_spinner="Counting the model's rows …")
def _lineage(folder: str, task: str, model_id: str, weights: str) -> dict[str, dict[str, int]]:
    from pathlib import Path

    found: pa.Table = Registry(Path(folder)).lineage(model_id, task)
    return lineage_counts(found)


if __name__ == "__main__":
    page("Training", "How did each training go, what did its gate say, and from which rows was its model made?", body)
