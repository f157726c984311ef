from __future__ import annotations

import math
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.batch import open_batch
from expectations.columns import FILE, ROW
from expectations.errors import ShopmonError
from monitor.profiles import (
    BUCKETS,
    PRIORITY,
    CategoryProfile,
    NumberProfile,
    ProfileSettings,
    Sort,
    TextProfile,
    merge,
    profile,
    text_profile,
    value_bucket,
)
from shopmon.sample_data import reviews

SMALL = ProfileSettings(sample_rows=50, text_rows=200)
BEGIN = datetime(2026, 1, 1)


@contextmanager
def batch_of(table, **options):
    with TemporaryDirectory() as scratch, open_batch(table, scratch=Path(scratch), **options) as batch:
        yield batch


def profiled(table, settings=ProfileSettings(), **options):
    with batch_of(table, kind="reviews") as batch:
        return profile(batch, settings, **options)


def texts(n):
    return [f"warm and light number {i}" for i in range(n)]


def assert_same(found, expected):
    assert type(found) is type(expected)
    for name, value in vars(expected).items():
        other = getattr(found, name)
        if isinstance(value, np.ndarray):
            assert np.array_equal(other, value), name
        elif isinstance(value, NumberProfile):
            assert_same(other, value)
        elif isinstance(value, float):
            assert other == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name
        else:
            assert other == value, name


# --- which columns, and as what -------------------------------------------------------------------------------------


def test_columns_are_compared_as_what_they_hold():
    found = profiled(reviews(500)).sorts
    assert found["text"] is Sort.TEXT
    assert found["title"] is Sort.TEXT
    assert found["stars"] is Sort.NUMBER
    assert found["price"] is Sort.NUMBER
    assert found["date"] is Sort.DATE
    assert found["brand"] is Sort.CATEGORY
    assert not {"id", "user"} & found.keys()


def test_own_columns_are_judged_by_their_values():
    n = 300
    own = {
        "text": texts(n),
        "row_id": list(range(n)),
        "sku": [f"A{i}" for i in range(n)],
        "remark": [f"the parcel of customer {i} came late and it was quite wet" for i in range(n)],
        "shop": ["north", "south"] * (n // 2),
        "votes": [str(i % 7) for i in range(n)],
        "weight": [i * 0.37 for i in range(n)],
        "gift": [True, None, False] * (n // 3),
        "nested": [[i] for i in range(n)],
    }
    found = profiled(pa.table(own)).sorts
    assert found == {
        "text": Sort.TEXT,
        "remark": Sort.TEXT,
        "shop": Sort.CATEGORY,
        "votes": Sort.NUMBER,
        "weight": Sort.NUMBER,
        "gift": Sort.CATEGORY,
    }


def test_a_column_that_is_a_role_appears_once_under_its_role():
    found = profiled(pa.table({"Review Text": texts(5), "Rating": ["1", "2", "x", None, "5"]}))
    assert list(found.columns) == ["text", "stars"]
    assert (found.columns["stars"].rows, found.columns["stars"].missing) == (5, 2)


def test_ignored_columns_are_left_out():
    table = pa.table({"text": texts(5), "stars": [1, 2, 3, 4, 5]})
    assert list(profiled(table, ProfileSettings(ignore=("stars",))).columns) == ["text"]


# --- numbers, dates, categories, texts ------------------------------------------------------------------------------


def test_what_is_below_every_value_of_the_reference_has_a_bin():
    before = profiled(pa.table({"text": texts(200), "size": [2623.5] * 200}))
    now = profiled(pa.table({"text": texts(200), "size": [2621.5] * 200}), like=before)
    assert before.columns["size"].counts.argmax() != now.columns["size"].counts.argmax()


def test_numbers_that_name_something_are_categories_and_written_dates_are_dates():
    some = [n % 7 for n in range(200)]
    table = pa.table({"text": texts(200), "merchant_id": some, "seen": [f"2026-01-{1 + n:02d}" for n in some]})
    sorts = profiled(table).sorts
    assert (sorts["merchant_id"], sorts["seen"]) == (Sort.CATEGORY, Sort.DATE)


def test_few_values_have_bins_of_their_own():
    found = profiled(pa.table({"text": texts(6), "stars": [5, 5, 1, 3, None, 5]})).columns["stars"]
    assert found.edges.tolist() == [np.nextafter(1, 0), 1, 3, 5]
    assert found.counts.tolist() == [0, 1, 1, 3, 0]
    assert (found.rows, found.missing, found.minimum, found.maximum) == (6, 1, 1, 5)
    assert found.mean == pytest.approx(3.8)
    assert found.std == pytest.approx(np.std([5, 5, 1, 3, 5]))


@given(
    st.lists(
        st.none() | st.floats(-1e6, 1e6) | st.sampled_from([1.0, 2.5, math.nan, math.inf, -math.inf, 1e300]), min_size=1
    )
)
@settings(max_examples=25, deadline=None)
def test_numbers_are_binned_as_numpy_would(values):
    table = pa.table({"text": texts(len(values)), "price": pa.array(values, pa.float64())})
    found = profiled(table, ProfileSettings(bins=8)).columns["price"]
    finite = np.array([v for v in values if v is not None and math.isfinite(v) and abs(v) < 1e100])
    assert found.missing == len(values) - len(finite)
    assert len(found.edges) < 8
    expected = np.bincount(np.searchsorted(found.edges, finite), minlength=len(found.edges) + 1)
    assert np.array_equal(found.counts, expected)
    if len(finite):
        assert found.mean == pytest.approx(finite.mean(), abs=1e-6)
        assert found.std == pytest.approx(finite.std(), abs=1e-6)
    else:
        assert math.isnan(found.mean)


def test_dates_are_days_since_1970():
    dates = [datetime(1970, 1, 2, 12), datetime(1970, 1, 11), None]
    found = profiled(pa.table({"text": texts(3), "date": dates})).columns["date"]
    assert (found.minimum, found.maximum, found.missing) == (1.5, 10.0, 1)
    assert found.counts.tolist() == [0, 1, 1, 0]


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=80))
@settings(max_examples=25, deadline=None)
def test_categories_are_counted_by_the_bucket_python_tells(values):
    table = pa.table({"text": texts(len(values)), "brand": pa.array(values, pa.string())})
    found = profiled(table).columns["brand"]
    expected = np.zeros(BUCKETS, np.int64)
    for value in values:
        if value is not None:
            expected[value_bucket(value)] += 1
    assert np.array_equal(found.counts, expected)
    assert found.missing == values.count(None)
    assert all(value_bucket(name) == bucket and name in values for bucket, name in found.names.items())


def test_a_category_of_any_cardinality_is_counted_whole():
    n = 30_000
    products = [f"p{i % 12_000}" for i in range(n)]
    found = profiled(pa.table({"text": texts(n), "product": products})).columns["product"]
    assert found.counts.sum() == n
    assert len(found.names) == 200


def test_texts_know_their_missing_ones_and_their_words():
    found = profiled(pa.table({"text": ["Warm and light", None, "warm", ""]})).columns["text"]
    expected = text_profile(["Warm and light", None, "warm", ""])
    assert_same(found, expected)
    assert (found.total, found.missing, found.rows) == (4, 1, 3)
    assert set(found.words.values()) == {"warm", "and", "light"}
    assert found.lengths.edges[1:].tolist() == [0, 4, 14]


def test_only_so_many_texts_are_read():
    found = profiled(pa.table({"text": [*texts(900), *[None] * 100]}), SMALL).columns["text"]
    assert (found.total, found.missing) == (1000, 100)
    assert 0.7 * 200 < found.rows <= 200


def test_a_batch_without_values_can_be_profiled():
    nothing = pa.table({"text": pa.array([None, None], pa.string()), "stars": pa.array([None, None], pa.float64())})
    found = profiled(nothing)
    assert (found.columns["text"].missing, found.columns["stars"].missing) == (2, 2)
    assert found.columns["stars"].counts.tolist() == [0]
    filled = profiled(pa.table({"text": texts(3), "stars": [1.0, 2.0, 3.0]}), like=found)
    assert filled.columns["stars"].counts.tolist() == [3]


def test_a_relation_of_no_row_can_be_profiled():
    with batch_of(reviews(20), kind="reviews") as batch:
        whole = profile(batch)
        batch.rows_of("create view nothing as select * from batch where false")
        found = profile(batch, like=whole, relation="nothing")
    assert found.rows == found.sample.num_rows == 0
    assert found.sample.schema.names == whole.sample.schema.names
    assert merge([whole, found]).columns["stars"].mean == whole.columns["stars"].mean


# --- the sample -----------------------------------------------------------------------------------------------------


def test_the_sample_has_whole_rows_and_is_drawn_again_the_same():
    table = reviews(1000)
    first, second = profiled(table, SMALL).sample, profiled(table, SMALL).sample
    assert first.equals(second)
    assert first.num_rows == 50
    assert first[PRIORITY].to_pylist() == sorted(first[PRIORITY].to_pylist())
    assert set(first[FILE].to_pylist()) == {0}
    rows = first[ROW].to_pylist()
    assert first["text"].to_pylist() == [table["text"][row - 1].as_py() for row in rows]


def test_the_sample_is_drawn_from_all_parts_of_the_batch():
    rows = np.array(profiled(reviews(4000), ProfileSettings(sample_rows=400, text_rows=400)).sample[ROW].to_pylist())
    quarters = np.bincount((rows - 1) // 1000, minlength=4)
    assert quarters.sum() == 400
    assert quarters.min() > 60  # 100 are expected, and 9 are a standard deviation


# --- like another ---------------------------------------------------------------------------------------------------


def test_like_another_has_its_sorts_and_edges():
    reference = profiled(pa.table({"text": texts(4), "stars": [1, 2, 3, 4], "shop": ["a", "b", "a", "b"]}))
    other = pa.table({"text": texts(3), "stars": [9.5, 2.5, 0.0], "shop": [7, 8, 7], "new": [1.0, 2.0, 3.0]})
    found = profiled(other, like=reference)
    assert found.sorts["shop"] is Sort.CATEGORY
    assert found.columns["stars"].edges[1:].tolist() == [1, 2, 3, 4]
    assert found.columns["stars"].counts.tolist() == [1, 0, 0, 1, 0, 1]
    assert np.array_equal(found.columns["text"].lengths.edges, reference.columns["text"].lengths.edges)
    assert "new" not in found.sorts


def test_a_column_that_is_gone_is_left_out():
    reference = profiled(pa.table({"text": texts(4), "stars": [1, 2, 3, 4]}))
    assert list(profiled(pa.table({"text": texts(4)}), like=reference).columns) == ["text"]


# --- segments -------------------------------------------------------------------------------------------------------


def test_a_segment_is_profiled_like_a_batch_of_its_rows():
    table = reviews(2000)
    whole = profiled(table, segments=["category"], settings=ProfileSettings(segment_values=3))
    assert len(whole.segments["category"]) == 3
    for value, columns in whole.segments["category"].items():
        alone = profiled(table.filter(pa.compute.equal(table["category"], value)), like=whole)
        assert columns.keys() == {n for n, s in whole.sorts.items() if s is not Sort.TEXT and n != "category"}
        for name, column in columns.items():
            assert_same(column, alone.columns[name])


def test_the_most_frequent_values_make_segments():
    brands = ["a"] * 5 + ["b"] * 4 + ['it\'s "c"'] * 6 + [None] * 9
    found = profiled(
        pa.table({"text": texts(24), "brand": brands}), ProfileSettings(segment_values=2), segments=["brand"]
    )
    assert list(found.segments["brand"]) == ['it\'s "c"', "a"]
    later = pa.table({"text": texts(3), "brand": ["z", "z", "a"]})
    assert list(profiled(later, like=found, segments=["brand"]).segments["brand"]) == ["a"]


@pytest.mark.parametrize("name", ["stars", "colour", "id"])
def test_what_is_no_category_makes_no_segments(name):
    with pytest.raises(ShopmonError, match=rf"'{name}' cannot make segments.*the batch has: .*brand"):
        profiled(reviews(200), segments=[name])


# --- merging --------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 300), max_size=3), st.sampled_from([40, 1000]))
@settings(max_examples=10, deadline=None)
def test_parts_merged_are_the_whole(cuts, sample_rows):
    how = ProfileSettings(sample_rows=sample_rows, text_rows=1000)
    ends = [0, *sorted(cuts), 300]
    with batch_of(reviews(300, seed=7), kind="reviews") as batch:
        whole = profile(batch, how, segments=["brand"])
        parts = []
        for i, (begin, end) in enumerate(pairwise(ends)):
            batch.rows_of(f"create view part{i} as select * from batch where {ROW} > {begin} and {ROW} <= {end}")
            parts.append(profile(batch, how, segments=["brand"], like=whole, relation=f"part{i}"))
    merged = merge(parts, how)
    assert merged.rows == whole.rows
    for name, column in whole.columns.items():
        found = merged.columns[name]
        if isinstance(column, CategoryProfile):  # which of two equally frequent values names a bucket is open
            assert np.array_equal(found.counts, column.counts)
            assert (found.rows, found.missing, len(found.names)) == (column.rows, column.missing, len(column.names))
        elif isinstance(column, TextProfile):
            assert np.array_equal(found.frequencies, column.frequencies)
            assert_same(found.lengths, column.lengths)
        else:
            assert_same(found, column)
    for value, columns in whole.segments["brand"].items():
        assert_same(merged.segments["brand"][value]["price"], columns["price"])
    assert merged.sample.equals(whole.sample)


def test_what_differs_is_not_merged():
    one = profiled(pa.table({"text": texts(3), "stars": [1, 2, 3]}))
    with pytest.raises(ValueError, match="cannot be merged"):
        merge([one, profiled(pa.table({"text": texts(3)}))])
    with pytest.raises(ValueError, match="bins differ"):
        merge([one, profiled(pa.table({"text": texts(3), "stars": [1, 2, 4]}))])
    with pytest.raises(ValueError, match="no profile"):
        merge([])


def test_settings_out_of_bounds_are_refused():
    with pytest.raises(ValueError, match="bins"):
        ProfileSettings(bins=1)
    with pytest.raises(ValueError, match="sample_rows"):
        ProfileSettings(sample_rows=0)


def test_dates_outside_of_our_calendar_are_missing():
    dates = [str(BEGIN + timedelta(days=i)) for i in range(3)] + ["290000-01-01", "infinity"]
    table = pa.table({"text": texts(5), "date": dates})
    with batch_of(table, kind="reviews") as batch:
        found = profile(batch)
    assert found.columns["date"].missing == 2
    assert found.sample["date"].null_count == 2
