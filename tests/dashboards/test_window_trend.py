"""Does the page about drift show the windows of time that are kept?"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shopmon
from shopmon.project import Project
from shopmon.sample_data import Shift, reviews

from .conftest import Show
from .pages import charts, works

SETTINGS = '[drift]\nwindow = "7d"\nevidently = false\n[edge_cases]\ndefaults = false\n'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with two windows, the later of them dearer."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    table = reviews(800, seed=1, start=0)
    dear = reviews(400, seed=1, start=800, shift=Shift(price_factor=3.0))
    pq.write_table(_dated(table, -14, 14), folder / "good.parquet")
    pq.write_table(_dated(pa.concat_tables([table.slice(0, 400), dear]), 0, 14), folder / "new.parquet")
    project = Project.read(folder)
    shopmon.set_reference(folder / "good.parquet", project=project)
    shopmon.check_new(folder / "new.parquet", project=project)
    return folder


def _dated(table: pa.Table, first: int, days: int) -> pa.Table:
    """The rows in order over so many days, counted from a Monday."""
    monday = datetime(2026, 9, 7)
    moments = [monday + timedelta(days=first + days * row / table.num_rows) for row in range(table.num_rows)]
    return table.set_column(table.column_names.index("date"), "date", pa.array(moments, pa.timestamp("us")))


def test_columns_stand_beside_windows_and_what_drifted_comes_first(shop: Path, show: Show) -> None:
    app = show(shop, "drift")
    works(app)
    assert "Windows of 7d" in [one.value for one in app.subheader]
    (chart,) = [chart for chart in charts(app) if "window, by the date" in str(chart)]
    assert chart["encoding"]["y"]["sort"][0] == "price"


def test_a_window_that_cannot_be_compared_says_why(shop: Path, show: Show) -> None:
    shopmon.set_reference(shop / "new.parquet", project=Project.read(shop))
    text = works(show(shop, "drift"))
    assert "it was compared with an earlier reference" in text
    assert "2 such windows are left out" in text
