"""What is said of one window of time?"""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.batch import open_batch
from monitor.profiles import profile
from monitor.reference import Reference
from monitor.results import DriftStatus
from monitor.window_drift import FEWEST_ROWS, window_drift
from monitor.windows import Windows
from shopmon.sample_data import reviews


def profiled(folder, rows, seed, like=None):
    folder.mkdir()
    with open_batch(reviews(rows, seed=seed), scratch=Path(folder), kind="reviews") as batch:
        return profile(batch, like=like)


@pytest.mark.parametrize("rows", [1, FEWEST_ROWS - 1, FEWEST_ROWS])
def test_a_window_is_compared_from_thirty_rows_on(tmp_path, rows):
    good = profiled(tmp_path / "good", 500, 1)
    few = profiled(tmp_path / "few", rows, 2, good)
    found, now = window_drift(
        Windows("7d"), 0, [few], Reference(good, "good.parquet", 500, "2026-11-20T00:00:00+00:00", ()), files=1
    )
    assert (found.rows, now.rows) == (rows, rows)
    if rows < FEWEST_ROWS:
        assert found.status is DriftStatus.NOT_EXAMINED
        assert found.reason == "a window of fewer than 30 rows is not compared"
        assert found.columns == ()
    else:
        assert found.status is DriftStatus.STABLE
        assert {column.column for column in found.columns} >= {"text", "stars"}
