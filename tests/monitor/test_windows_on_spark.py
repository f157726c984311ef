"""Do the profiles of windows, made of pieces, end in those of the whole batch?"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial, reduce

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.batch import open_batch
from expectations.errors import BatchError
from expectations.pieces import cut, opened, whole_of
from expectations.spark_fit import Fit
from expectations.spark_jobs import Shared
from monitor import profile_parts, windows_on_spark
from monitor.profile_parts import part_profiles, split
from monitor.profiles import NumberProfile, ProfileSettings, TextProfile, profile
from monitor.reference import archive, restored
from monitor.unfinished_profiles import added, finished
from monitor.windows import Windows
from monitor.windows_on_spark import WindowsOnSpark, piece_profiles
from shopmon.sample_data import reviews

WEEKS = Windows("7d")
NOW = datetime(2026, 11, 25, tzinfo=UTC)
ROWS = 300
FEW = ProfileSettings(sample_rows=20, text_rows=30)
"""Fewer than a window has: which rows are drawn matters."""


@pytest.fixture(scope="module")
def table():
    """Reviews without anything missing but dates."""
    return reviews(ROWS, seed=3)


def write(table, folder, days, ends, row_group):
    """The table as files that end at these rows, each row on one of these days before or behind `NOW`."""
    moments = [None if day is None else NOW.replace(tzinfo=None) + timedelta(days=day) for day in days]
    dated = table.set_column(table.column_names.index("date"), "date", pa.array(moments, pa.timestamp("us")))
    for old in folder.iterdir():
        old.unlink()
    for number, (begin, end) in enumerate(zip([0, *ends], [*ends, ROWS], strict=True)):
        pq.write_table(dated.slice(begin, end - begin), folder / f"{number}.parquet", row_group_size=row_group)


def by_pieces(batch, found, like, most):
    """The profile of each window, from pieces that send what a task sends."""
    whole = whole_of(batch, cut(batch, most))
    sent: dict[int, list[bytes]] = {}
    for piece in whole.pieces:
        files = {piece.file: whole.found[piece.file].name}
        with opened(whole, piece) as some:
            for part, one in piece_profiles(some, found, like, FEW, relation="batch", files=files):
                sent.setdefault(part.window, []).append(archive(one, "piece"))
    sums = {
        window: reduce(lambda a, b: added([a, b]), map(restored, shares)) for window, shares in sorted(sent.items())
    }
    return {window: finished(one, FEW, like) for window, one in sums.items()}


def assert_same(one, other):
    assert (one.kind, one.rows, one.sorts) == (other.kind, other.rows, other.sorts)
    assert one.sample.equals(other.sample)
    for name, column in one.columns.items():
        told = other.columns[name]
        if isinstance(column, TextProfile):
            assert (column.rows, column.missing, column.total) == (told.rows, told.missing, told.total)
            assert np.array_equal(column.frequencies, told.frequencies)
            assert column.words == told.words
            column, told = column.lengths, told.lengths
        assert (column.rows, column.missing) == (told.rows, told.missing)
        assert np.array_equal(column.counts, told.counts)
        if isinstance(column, NumberProfile):
            ends = [(c.mean, c.std, c.minimum, c.maximum) for c in (column, told)]
            np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-9)


DAYS = st.lists(st.none() | st.floats(-30, 5), min_size=ROWS, max_size=ROWS)
ENDS = st.lists(st.integers(1, ROWS - 1), max_size=2, unique=True).map(sorted)


@settings(max_examples=8)
@given(days=DAYS, ends=ENDS, row_group=st.integers(20, 200), most=st.integers(20, 200))
def test_windows_of_random_pieces_end_as_those_of_the_whole(tmp_path_factory, table, days, ends, row_group, most):
    folder = tmp_path_factory.mktemp("in")
    write(table, folder, days, ends, row_group)
    with open_batch(folder, scratch=tmp_path_factory.mktemp("scratch"), kind="reviews") as batch:
        like = profile(batch)
        found = split(batch, WEEKS, like, NOW, by_file=False)
        whole = {part.window: one for part, one in part_profiles(batch, found, like, FEW)}
        pieces = by_pieces(batch, found, like, most)
    assert list(whole) == list(pieces) == [part.window for part in found.parts]
    for window, one in whole.items():
        assert_same(one, pieces[window])
        assert one.sample.num_rows == min(one.rows, FEW.sample_rows)


def test_a_window_of_which_a_piece_has_no_drawn_row_is_counted_there(tmp_path, table, monkeypatch):
    """One row in twenty is drawn; by its hash, the only one of the second file is none of them."""
    (tmp_path / "in").mkdir()
    write(table, tmp_path / "in", [-1.0] * ROWS, [ROWS - 1], ROWS)
    tiny = ProfileSettings(sample_rows=1, text_rows=1)
    monkeypatch.chdir(tmp_path)  # the name of a file, as it is given, has a say in what is drawn
    with open_batch("in", scratch=tmp_path, kind="reviews") as batch:
        like = profile(batch)
        found = split(batch, WEEKS, like, NOW, by_file=False)
        last = whole_of(batch, cut(batch)).pieces[-1]
        with opened(whole_of(batch, cut(batch)), last) as some:
            ((part, one),) = piece_profiles(
                some, found, like, tiny, relation="batch", files={1: batch.parts[1].found.name}
            )
    assert (part.rows, one.rows, one.columns["stars"].rows) == (1, 1, 1)
    assert one.sample.num_rows == 0


@pytest.mark.slow
def test_executors_count_and_profile_windows_as_one_machine_does(tmp_path, table, spark):
    (tmp_path / "in").mkdir()
    days = [None if row % 50 == 0 else (row * 7) % 40 - 33 + row / ROWS for row in range(ROWS)]
    write(table, tmp_path / "in", days, [90, 200], 25)
    with open_batch(tmp_path / "in", scratch=tmp_path, kind="reviews") as batch:
        like = profile(batch)
        date = replace(like.columns["date"], minimum=like.columns["date"].minimum + 3)
        like = replace(like, columns={**like.columns, "date": date})
        whole = whole_of(batch, cut(batch, 25))
        there = WindowsOnSpark(spark, Fit(whole, {}, Shared.of(tmp_path / "staging"), (), ROWS, "fit"), batch)
        found = split(batch, WEEKS, like, NOW, by_file=False)
        assert there.split(WEEKS, like, NOW) == found
        assert min(found.undated, found.future, found.late) > 0
        assert {part.files for part in found.parts} == {3}
        here, spread = (list(by(found, like, FEW)) for by in (partial(part_profiles, batch), there.profiles))
    assert [part for part, _ in here] == [part for part, _ in spread] == list(found.parts)
    for (_, one), (_, other) in zip(here, spread, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("most", [10, 100])
def test_far_too_many_windows_are_refused_in_the_words_of_one_machine(tmp_path, table, spark, monkeypatch, most):
    """A tenth more than is kept, and so many that the driver does not even list them."""
    monkeypatch.setattr(profile_parts, "MOST_WINDOWS", most)
    monkeypatch.setattr(windows_on_spark, "_MOST_COUNTS", most + 2)
    (tmp_path / "in").mkdir()
    write(table, tmp_path / "in", [None, 5.0, *(-(row % 101) / 24 for row in range(ROWS - 2))], [90], 100)
    with open_batch(tmp_path / "in", scratch=tmp_path, kind="reviews") as batch:
        like, hours = profile(batch), Windows("1h")
        fit = Fit(whole_of(batch, cut(batch, 100)), {}, Shared.of(tmp_path / "staging"), (), ROWS, "fit")
        with pytest.raises(BatchError, match=f"over 101 windows of 1h, .*; {most} are kept") as here:
            split(batch, hours, like, NOW, by_file=False)
        with pytest.raises(BatchError) as there:
            WindowsOnSpark(spark, fit, batch).split(hours, like, NOW)
    assert str(there.value) == str(here.value)


def test_what_one_machine_refuses_is_refused_before_executors_work(tmp_path, table):
    pytest.importorskip("pyspark")
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "dated.parquet")
    pq.write_table(table.drop_columns(["date"]), tmp_path / "in" / "undated.parquet")
    with open_batch(tmp_path / "dated.parquet", scratch=tmp_path, kind="reviews") as batch:
        like = profile(batch)
    with open_batch(tmp_path / "in", scratch=tmp_path, kind="reviews") as batch:
        fit = Fit(whole_of(batch, cut(batch)), {}, Shared.of(tmp_path / "staging"), (), ROWS, "fit")
        with pytest.raises(BatchError, match="has no dates"):
            WindowsOnSpark(None, fit, batch).split(WEEKS, like, NOW)
