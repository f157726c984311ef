"""What is damaged is told where it matters, and whatever else there is is shown."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import streamlit as st

from .conftest import Show
from .example_projects import models_of, runs_of
from .pages import PAGES, go_to, works

Harm = Callable[[Path], None]


def remove_runs(shop: Path) -> None:
    shutil.rmtree(shop / ".shopmon" / "runs")


def cut_quarantines(shop: Path) -> None:
    for folder in runs_of(shop, "quarantine.parquet"):
        file = folder / "quarantine.parquet"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garble_distributions(shop: Path) -> None:
    for folder in runs_of(shop, "distributions.parquet"):
        (folder / "distributions.parquet").write_bytes(b"PAR1 and then nothing that is parquet PAR1" * 40)


def remove_results(shop: Path) -> None:
    for folder in runs_of(shop):
        (folder / "result.json").unlink()


def garble_edge_cases(shop: Path) -> None:
    for folder in runs_of(shop, "edge_cases.parquet"):
        (folder / "edge_cases.parquet").write_bytes(b"garbage")


def remove_weights(shop: Path) -> None:
    (models_of(shop)[-1] / "model.safetensors").unlink()


def remove_all_weights(shop: Path) -> None:
    for folder in models_of(shop):
        (folder / "model.safetensors").unlink()


def break_record(shop: Path) -> None:
    (models_of(shop)[0] / "training.json").write_text('{"schema_version": 1, "model_id": ', encoding="utf-8")


def remove_lineage(shop: Path) -> None:
    for folder in models_of(shop):
        (folder / "lineage.parquet").unlink()


def garble_metrics(shop: Path) -> None:
    for folder in models_of(shop):
        (folder / "metrics.jsonl").write_bytes(b'\xff\xfe{"event"\n[]\n{"event": "train"}\n{"event": "eval"}\n3\n')


def remove_metrics(shop: Path) -> None:
    for folder in models_of(shop):
        (folder / "metrics.jsonl").unlink()


def garble_a_part(shop: Path) -> None:
    part = sorted((shop / ".shopmon" / "retraining" / "rows").iterdir())[1]
    part.write_bytes(part.read_bytes()[:200])


def break_champion(shop: Path) -> None:
    (shop / ".shopmon" / "models" / "mlm" / "champion.json").write_text("{", encoding="utf-8")


def remove_base(shop: Path) -> None:
    shutil.rmtree(shop / "tiny")


def change_weights(shop: Path) -> None:
    file = models_of(shop)[-1] / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 0xFF
    file.write_bytes(bytes(raw))


def garble_documents(shop: Path) -> None:
    """Documents of another version, or of none."""
    with closing(sqlite3.connect(shop / ".shopmon" / "runs.db")) as store, store:
        for number, document in enumerate(("[]", "{}", '{"drift": 3, "expectations": "x"}', '"text"', "null", "3")):
            store.execute(
                "UPDATE shopmon_runs SET document = ? WHERE run_id = (SELECT run_id FROM shopmon_runs "
                "ORDER BY started_at LIMIT 1 OFFSET ?)",
                (document, number),
            )


HARMS: tuple[tuple[Harm, dict[str, str]], ...] = (
    (remove_runs, {"data_quality": "is gone: its folder was moved or removed", "drift": "or its folder is gone"}),
    (cut_quarantines, {"data_quality": "cannot be read"}),
    (garble_distributions, {"drift": "distributions.parquet"}),
    (remove_results, {}),
    (garble_edge_cases, {"edge_cases": "cannot be read"}),
    (remove_weights, {"overview": "is damaged", "training": "is damaged and left out", "word_scores": ""}),
    (remove_all_weights, {"overview": "is damaged", "training": "is damaged and left out"}),
    (break_record, {"overview": "is damaged", "training": "is damaged and left out"}),
    (remove_lineage, {"training": "lineage.parquet is missing"}),
    (garble_metrics, {}),
    (remove_metrics, {"training": "told nothing yet"}),
    (garble_a_part, {"overview": "cannot be read", "edge_cases": "cannot be read"}),
    (break_champion, {"overview": "champion.json is damaged", "training": "champion.json is damaged"}),
    (remove_base, {"word_scores": "The base is not on this machine any more"}),
    (change_weights, {"word_scores": "are not those that were trained"}),
    (garble_documents, {}),
)


@pytest.mark.parametrize(("harm", "told"), HARMS, ids=[harm.__name__ for harm, _ in HARMS])
def test_damage_is_told_where_it_matters_and_the_rest_is_shown(
    own: Path, show: Show, harm: Harm, told: dict[str, str]
) -> None:
    st.cache_data.clear()  # what was read of the same weights in another copy is still true, and would be shown
    st.cache_resource.clear()
    harm(own)
    wrong, app = {}, show(own)
    for page in PAGES:
        text = works(go_to(app, page))
        if told.get(page, "") not in text:
            wrong[page] = text
    assert not wrong
