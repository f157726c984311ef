"""How did each training go, what did its gate say, and from which rows was its model made?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    chosen = chosen_models(found)
    live = any(training.goes_on for training in open_ones)
    with told():
        st.fragment(curves, run_every=LIVE if live else None)(shop, chosen)
    if chosen:
        with told():
            measures(chosen)
        with told():
            one_model(shop, chosen)


def chosen_models(found: Sequence[Named]) -> list[Named]:
    """The models that a person wants side by side: at first the champion and the newest ones."""
    if not found:
        return []
    by_id = {named.model.model_id: named for named in found}
    first = [named.model.model_id for named in sorted(found, key=lambda one: not one.model.is_champion)[:3]]
    picked = st.multiselect("Models side by side", list(by_id), default=first, max_selections=7,
                            format_func=lambda one: by_id[one].full, key="models")  # fmt: skip
    return [by_id[one] for one in picked]


def curves(shop: Shop, chosen: Sequence[Named]) -> None:
    """Loss, perplexity, probabilities, rate and speed over the steps, of the chosen models and of what goes on now."""
    now = [training for training in going_on(shop) if training.goes_on]
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
    st.subheader("Loss and perplexity", anchor=False)
    st.caption("Held-out texts and their masks are the same for every model: step 0 is the base.")
    left, right = st.columns(2)
    _chart(left, runs, names, "training loss, all parts (nats)", [row for run in runs for row in run.train("loss")])
    _chart(
        right, runs, names, "held-out loss (nats per masked token)", _named(_of(runs, "loss"), _SETS), dashes="texts"
    )
    _chart(left, runs, names, "held-out perplexity", _named(_of(runs, "perplexity"), _SETS), log=True, dashes="texts")
    parts = [row for run in runs for row in run.parts()]
    _chart(right, runs, names, "parts of the training loss (nats)", parts, dashes="part")
    st.subheader("What the models say", anchor=False)
    left, right = st.columns(2)
    for place, words in ((left, "unwanted"), (right, "wanted")):
        rows = _named([row for run in runs for row in run.masses(words)], _CONTRASTS)
        _chart(place, runs, names, f"probability of {words} words", rows, percent=True, dashes="prompts")
    st.subheader("Speed and learning rate", anchor=False)
    left, right = st.columns(2)
    speed = [row for run in runs for row in run.train("tokens_per_second")]
    _chart(left, runs, names, "tokens per second", speed)
    rate = [row for run in runs for row in run.train("learning_rate")]
    _chart(right, runs, names, "learning rate", rate)


def _of(runs: Sequence[Told], field: str) -> list[dict[str, Any]]:
    return [row for run in runs for row in run.held_out(field)]


def _named(rows: Sequence[dict[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{**row, "set": names.get(row["set"], row["set"])} for row in rows]


def _chart(
    place: Any, runs: Sequence[Told], names: Sequence[str], title: str, rows: Sequence[dict[str, Any]], **how: Any
) -> None:
    if rows:
        place.altair_chart(charts.over_steps(rows, title, names, **how), alt=f"{title} over steps")


def measures(chosen: Sequence[Named]) -> None:
    """The final figures of base and models on the same sets."""
    st.subheader("Measured at the end", anchor=False)
    st.caption(
        "Each training measures its base, the champion of then, and its candidate on the same texts and prompts."
    )
    rows = []
    for named in chosen:
        said = named.model.document["measures"]
        for role in ("base", "candidate"):
            if role in said:
                rows.append([inert_text.escaped(named.full), role, *_figures(said[role])])
    heads = ["model", "measured", *(f"perplexity, {name}" for name in _SETS.values())]
    heads += [f"{words}, {name}" for words in ("wanted", "unwanted") for name in _CONTRASTS.values()]
    inert_text.table(heads, rows, numbers=range(2, len(heads)))


def _figures(said: Mapping[str, Any]) -> list[str]:
    texts = [said["texts"].get(name) for name in _SETS]
    shown = [figure(one["perplexity"]) if one else "–" for one in texts]
    for words in ("wanted", "unwanted"):
        masses = [said["masses"].get(name) for name in _CONTRASTS]
        shown += [f"{one[words]:.1%}" if one else "–" for one in masses]
    return shown


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
        "steps": f"{document['steps']:,}, the best was {document['best_step']:,}",
        "took": f"{duration(document['seconds'])}, {document['tokens']:,} tokens, {document['device']}",
        "weights": document["weights_sha256"][:12],
    }
    cells = [(inert_text.escaped(name), inert_text.escaped(value)) for name, value in told_of.items() if value]
    inert_text.table(["", ""], cells)


def lineage(shop: Shop, named: Named) -> None:
    """From which batches and by which rules the model's rows came."""
    st.markdown("**From model to data**")
    counts = _lineage(str(shop.project.models), named.model.task, named.model.model_id,
                      str(named.model.document["weights_sha256"]))  # fmt: skip
    for title, found in counts.items():
        if found:
            rows = [{"label": label, "value": count} for label, count in found.items()][:15]
            st.altair_chart(charts.bars(rows, f"rows, by {title}"), alt=f"Rows by {title}")
    st.caption("Every single row, with its batch and its place in it:")
    st.code(shop.command(f"models lineage {named.model.model_id} --json"), language="bash")


@st.cache_data(max_entries=16, show_spinner="Counting the model's rows …")
def _lineage(folder: str, task: str, model_id: str, weights: str) -> dict[str, dict[str, int]]:
    from pathlib import Path

    found: pa.Table = Registry(Path(folder)).lineage(model_id, task)
    return lineage_counts(found)


if __name__ == "__main__":
    page("Training", "How did each training go, what did its gate say, and from which rows was its model made?", body)
