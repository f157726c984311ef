"""What do tests of checks on Spark need: a project, a batch of two files, and two answers side by side."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shopmon
from monitor.retraining_set import RetrainingSet
from shopmon import sample_data
from shopmon.outcome import CheckResult
from shopmon.planted_faults import plant
from shopmon.project import Project
from shopmon.references import set_reference

MAY_DIFFER = {"run_id", "seconds", "started", "moment", "engine", "artifacts"}
"""Of the document: when it was, who counted, and where files lie."""


def make_project(root: Path) -> Path:
    """A project with a reference, brands to look for, and a batch of two files that differs from it."""
    (root / "shopmon.toml").write_text(
        '[drift]\nsegments = ["category"]\nwindow = "90d"\n\n'
        '[edge_cases.words]\nbrands = ["Nike"]\nunwanted = ["cheap"]\n\n'
        '[edge_cases.rules.new-anger]\nwhen = "stars == 1 & ~in_retraining_set"\nat_most = 40\n',
        encoding="utf-8",
    )
    pq.write_table(sample_data.reviews(1_500, seed=1), root / "reference.parquet")
    set_reference(root / "reference.parquet", project=root)
    table = plant(sample_data.reviews(1_200, seed=2, start=5_000), seed=2, share=0.01).table
    said = pa.array([str(number % 5 + 1) for number in range(table.num_rows)])
    table = table.append_column("prediction", said)
    (root / "new").mkdir()
    pq.write_table(table.slice(0, 700), root / "new" / "monday.parquet", row_group_size=250)
    pq.write_table(table.slice(700), root / "new" / "tuesday.parquet")
    return root


def begin_anew(root: Path) -> int:
    """Leave in the retraining set some texts of the batch's first file, as if they had been chosen before; how many."""
    shutil.rmtree(Project.of(root).retraining, ignore_errors=True)
    texts = pq.read_table(root / "new" / "monday.parquet", columns=["text"]).column("text").slice(0, 300).to_pylist()
    told = {"kind": "reviews", "role": "positive", "reasons": ["before"], "batch": "3f2a", "file": "old.parquet"}
    columns = {name: [value] * len(texts) for name, value in told.items()}
    rows = pa.table({"text": texts, "row": list(range(1, len(texts) + 1)), **columns})
    return RetrainingSet(Project.of(root).retraining).add(rows, "20261101-120000-aaaaaa").new


def checked(root: Path, engine: str, **options: Any) -> CheckResult:
    """A check that finds the same retraining set each time."""
    begin_anew(root)
    return shopmon.check(root / "new", engine=engine, project=root, **options)


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two documents differ beyond the last digits of a number."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted({*one, *other} - MAY_DIFFER)
        return [d for n in names for d in differences(one.get(n, "-"), other.get(n, "-"), f"{place}.{n}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{place}[{i}]")]
    if isinstance(one, float) and isinstance(other, float):
        return [] if one == pytest.approx(other, rel=1e-9) else [f"{place}: {one} {other}"]
    return [] if one == other else [f"{place}: {one!r} {other!r}"]
