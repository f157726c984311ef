"""Models that tell classes apart stand on the pages as well as those that fill gaps."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopmon.project import Project
from shopmon.retraining import retrain

from .conftest import Show
from .example_projects import save_base
from .pages import said, works

SETTINGS = """
[retrain]
base = "base"
bf16 = false

[retrain.relevance]
data = ["pairs.parquet"]
classes = ["E", "S", "I"]
gains = { E = 1.0, S = 0.1, I = 0.0 }
learning_rate = 3e-3
steps = 4
evaluate_every = 2
batch_size = 16
max_length = 32
baseline_rows = 200
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a classifier of query and product, which a person made champion."""
    folder: Path = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    save_base(folder / "base")
    draw = random.Random(3)
    rows = [
        {"query": f"warm shoes {n}", "title": f"{title} {draw.randrange(99)}", "label": label}
        for n in range(80)
        for title, label in (("shoes for winter", "E"), ("hats at work", "S"), ("the road and the", "I"))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet")
    retrain(task="relevance", project=Project.read(folder), promote=True)
    return folder


def test_a_classifier_is_shown_with_its_figures_its_gate_and_its_baselines(shop: Path, show: Show) -> None:
    app = show(shop, "training")
    text = works(app)
    for expected in ("macro F1", "TF-IDF", "frozen encoder", "this model", "nDCG"):
        assert expected in text
    assert "perplexity, general text" not in text


@pytest.mark.parametrize("page", ["overview", "runs"])
def test_it_is_champion_and_a_run_like_any_other(shop: Path, show: Show, page: str) -> None:
    app = show(shop, page)
    works(app)
    assert "relevance" in said(app)
