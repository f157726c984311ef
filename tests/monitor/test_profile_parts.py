"""Do the rows of files and windows add up to the whole, whoever adds them?"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from expectations.batch import open_batch
from expectations.errors import BatchError
from monitor import profile_parts
from monitor.profile_parts import merged, part_profiles, split
from monitor.profiles import CategoryProfile, NumberProfile, ProfileSettings, TextProfile, profile
from monitor.window_store import bins_of
from monitor.windows import Windows
from shopmon.sample_data import reviews

WEEKS = Windows("7d")
MONDAY = datetime(2026, 11, 2)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
ALL = ProfileSettings(sample_rows=100_000, text_rows=100_000)


def dated(rows, seed, days):
    table = reviews(rows, seed=seed)
    moments = [None if day is None else MONDAY + timedelta(days=day) for day in days]
    return table.set_column(table.column_names.index("date"), "date", pa.array(moments, pa.timestamp("us")))


@contextmanager
def batch_of(data, **given):
    with TemporaryDirectory() as scratch, open_batch(data, scratch=Path(scratch), kind="reviews", **given) as batch:
        yield batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three files over three weeks, most of them with rows of several."""
    folder = tmp_path_factory.mktemp("in")
    for number in range(3):
        days = [(number * 7 + row) % 21 if number else row % 7 for row in range(200)]
        pq.write_table(dated(200, number, days), folder / f"{number}.parquet")
    return folder


def assert_adds_up(found, whole):
    assert (found.rows, found.sorts) == (whole.rows, whole.sorts)
    for name, column in whole.columns.items():
        other = found.columns[name]
        if isinstance(column, TextProfile):
            assert (other.total, other.rows) == (column.total, column.rows)
            assert np.array_equal(other.frequencies, column.frequencies)
            other, column = other.lengths, column.lengths
        assert (other.rows, other.missing) == (column.rows, column.missing)
        assert np.array_equal(other.counts, column.counts)
        if isinstance(column, NumberProfile):
            np.testing.assert_allclose((other.mean, other.std), (column.mean, column.std), rtol=1e-9)
        if isinstance(column, CategoryProfile):
            assert other.different == column.different


@pytest.mark.parametrize("by_file", [True, False])
def test_parts_of_files_and_windows_add_up_to_the_whole(folder, by_file):
    with batch_of(folder) as batch:
        whole = profile(batch, ALL)
        found = split(batch, WEEKS, whole, NOW, by_file=by_file)
        parts = list(part_profiles(batch, found, whole, ALL))
    assert [part for part, _ in parts] == list(found.parts)
    assert all(part.rows == one.rows for part, one in parts)
    assert_adds_up(merged([one for _, one in parts], ALL), whole)


def test_a_window_is_the_same_whichever_batches_brought_its_files(folder):
    with batch_of(folder) as batch:
        like = profile(batch, ALL)
        found = split(batch, WEEKS, like, NOW, by_file=False)
        at_once = {part.window: one for part, one in part_profiles(batch, found, like, ALL)}
    one_by_one: dict[int, list] = {}
    for file in sorted(folder.iterdir()):
        with batch_of(file) as batch:
            of_file = split(batch, WEEKS, like, NOW, by_file=True)
            for part, one in part_profiles(batch, of_file, like, ALL):
                one_by_one.setdefault(part.window, []).append(one)
    assert at_once.keys() == one_by_one.keys()
    for window, profiles in one_by_one.items():
        assert_adds_up(merged(profiles, ALL), at_once[window])


def test_rows_without_a_date_and_those_of_the_future_are_in_no_window():
    days = [0, 0, None, 7, 40, 27.9, 28.9, 29.1]  # NOW is the 28th day; a day of grace is for other time zones
    with batch_of(dated(8, 1, days)) as batch:
        like = profile(batch, ALL)
        found = split(batch, WEEKS, like, NOW, by_file=False)
    assert (found.undated, found.future, found.late) == (1, 2, 0)
    assert sum(part.rows for part in found.parts) == 5


def test_rows_of_the_future_are_not_profiled_with_their_window_s_other_rows():
    wednesday = datetime(2026, 11, 4, tzinfo=UTC)
    with batch_of(dated(60, 1, [row % 7 for row in range(60)])) as batch:
        like = profile(batch, ALL)
        found = split(batch, WEEKS, like, wednesday, by_file=False)
        ((part, only),) = part_profiles(batch, found, like, ALL)
    assert (part.rows, found.future) == (27, 33)
    assert only.sample.num_rows == 27
    assert pc.max(only.sample["date"]).as_py() < datetime(2026, 11, 5)
    assert all(column.missing == 0 for column in only.columns.values())


def test_rows_that_are_older_than_the_reference_are_told_and_kept():
    with batch_of(dated(4, 1, [7, 8, 9, 10])) as batch:
        like = profile(batch, ALL)
    with batch_of(dated(4, 1, [-20, 8, 9, 10])) as batch:
        found = split(batch, WEEKS, like, NOW, by_file=False)
    assert found.late == 1
    assert [part.rows for part in found.parts] == [1, 3]


def test_a_batch_without_dates_is_refused_where_windows_are_asked_for(folder):
    table = reviews(10, seed=1).drop_columns(["date"])
    with batch_of(folder) as batch:
        like = profile(batch, ALL)
    with batch_of(table) as batch, pytest.raises(BatchError, match="has no dates"):
        split(batch, WEEKS, like, NOW, by_file=False)


def test_dates_that_say_something_else_than_when_are_refused(folder, monkeypatch):
    monkeypatch.setattr(profile_parts, "MOST_WINDOWS", 2)
    with batch_of(folder) as batch, pytest.raises(BatchError, match="reach over 3 windows of 7d, from 2026-11-02"):
        split(batch, WEEKS, profile(batch, ALL), NOW, by_file=True)


def test_a_column_that_one_file_lacks_is_missing_in_its_rows(folder):
    with batch_of(folder) as batch:
        like = profile(batch, ALL)
    profiles = []
    for table in (reviews(50, seed=1), reviews(50, seed=2).drop_columns(["price"])):
        with batch_of(table) as batch:
            profiles.append(profile(batch, ALL, like=like))
    found = merged(profiles, ALL)
    assert (found.columns["price"].rows, found.rows) == (100, 100)
    assert found.columns["price"].missing >= 50


def test_bins_tell_references_apart_that_cannot_be_added_up(folder):
    with batch_of(folder) as batch:
        first, again = profile(batch, ALL), profile(batch, ALL)
    with batch_of(reviews(300, seed=9)) as batch:
        other = profile(batch, ALL)
    assert bins_of(first) == bins_of(again) != bins_of(other)
