from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.batch import open_batch
from expectations.errors import ShopmonError
from monitor.distributions import BINS, OTHER, Spread, distributions, read, write
from monitor.profiles import (
    BUCKETS,
    CategoryProfile,
    NumberProfile,
    Profile,
    Sort,
    TextProfile,
    profile,
    text_profile,
)
from shopmon.sample_data import reviews

NAN = math.nan
RANDOM = np.random.default_rng(7)


def profiled(columns, like=None):
    rows = len(next(iter(columns.values())))
    table = pa.table({"text": [f"warm and light number {i}" for i in range(rows)], **columns})
    with TemporaryDirectory() as scratch, open_batch(table, scratch=Path(scratch), kind="reviews") as batch:
        return profile(batch, like=like)


def spread(before, now, column):
    """The lines of one column, by part."""
    lines = [Spread(**line) for line in distributions(before, now).to_pylist() if line["column"] == column]
    parts = {}
    for line in lines:
        parts.setdefault(line.part, []).append(line)
    for part in parts.values():
        assert [line.place for line in part] == list(range(len(part)))
    return parts


def of_column(before, now, name="price"):
    reference = profiled({name: before})
    return spread(reference, profiled({name: now}, like=reference), name)


def rows(lines):
    return [(line.label, line.reference, line.current) for line in lines]


# Numbers


def test_few_values_have_a_line_each_and_what_lies_beyond_them_too():
    found = of_column([5, 5, 1, 3, None, 5], [5, 1, 0, 9, 3, 3], "stars")
    assert rows(found["value"]) == [(None, 0, 1), ("1", 1, 1), ("3", 1, 2), ("5", 3, 1), (None, 0, 1)]
    below, one, *_, above = found["value"]
    assert (one.low, one.high, one.rest, one.reference_density) == (1, 1, False, None)
    assert (below.low, below.rest, above.low, above.high, above.rest) == (0, True, 5, 9, True)
    assert rows(found["missing"]) == [(None, 1, 0)]
    assert {(line.of_reference, line.of_current) for line in found["value"] + found["missing"]} == {(6, 6)}


def test_values_between_the_few_make_bins_of_them():
    found = of_column([1.0, 2.0, 3.0] * 50, [1.0, 2.5, 3.0] * 50)
    assert [line.label for line in found["value"]] == [None] * len(found["value"])
    last = found["value"][-1]
    assert (last.low, last.high, last.reference, last.current) == (2, 3, 50, 100)


def test_many_values_have_bins_of_nearly_one_width_over_the_central_part():
    values = RANDOM.normal(100, 10, 5000)
    values[0] = 1e9
    found = of_column(values, RANDOM.normal(110, 10, 5000))["value"]
    central = [line for line in found if not line.rest]
    assert 20 <= len(central) <= BINS
    assert len(found) == len(central) + 2
    widths = np.array([line.high - line.low for line in central])
    assert widths.min() > 0.5 * (central[-1].high - central[0].low) / BINS
    assert (found[-1].high, found[-1].reference) == (1e9, pytest.approx(25, abs=25))
    assert [line.low for line in found[1:]] == [line.high for line in found[:-1]], "nothing lies between two bins"


def test_the_density_is_that_of_the_values_however_wide_the_bins_are():
    values = RANDOM.exponential(100, 9000)
    found = of_column(values, values)["value"]
    for line in (line for line in found if not line.rest):
        width, share = line.high - line.low, math.exp(-line.low / 100) - math.exp(-line.high / 100)
        five_errors = 5 * math.sqrt(share / 9000)
        assert line.reference_density == pytest.approx(share / width, abs=five_errors / width)
    total = sum(line.reference_density * (line.high - line.low) for line in found)
    assert total == pytest.approx(1)


def test_a_batch_that_lies_somewhere_else_stays_in_sight():
    found = of_column(RANDOM.normal(0, 1, 1000), RANDOM.normal(50, 1, 100))["value"]
    assert (found[-1].rest, found[-1].current) == (True, 100)
    assert found[-1].reference <= 5, "the upper tail of the reference: half a percent"
    assert 50 < found[-1].high < 56
    assert len(found) > 20


def test_one_value_and_none_at_all():
    assert rows(of_column([7.5] * 9, [7.5] * 4 + [None])["value"]) == [("7.5", 9, 4)]
    found = of_column([None, None], pa.array([None, 3.5], pa.float64()), "stars")
    assert rows(found["value"]) == [(None, 0, 1)]
    assert (found["value"][0].low, found["value"][0].high, found["value"][0].rest) == (3.5, 3.5, True)
    assert rows(found["missing"]) == [(None, 2, 1)]
    nothing = of_column(pa.array([None], pa.float64()), pa.array([math.inf], pa.float64()), "stars")
    assert list(nothing) == ["missing"]
    assert rows(nothing["missing"]) == [(None, 1, 1)]


# Dates, categories, texts


def test_days_have_names_where_they_are_few_and_bins_of_days_where_they_are_many():
    begin = datetime(2026, 1, 1)
    few = [begin + timedelta(days=n % 3) for n in range(30)]
    found = of_column(few, few[:10], "date")["value"]
    assert rows(found) == [("2026-01-01", 10, 4), ("2026-01-02", 10, 3), ("2026-01-03", 10, 3)]
    assert found[0].low == found[0].high == (begin - datetime(1970, 1, 1)).days
    many = [begin + timedelta(hours=5 * n) for n in range(3000)]
    bins = of_column(many, many, "date")["value"]
    assert len(bins) <= BINS + 2
    assert {line.sort for line in bins} == {"date"}
    assert bins[0].low == pytest.approx(found[0].low)


def test_the_fullest_categories_of_either_side_have_names_and_the_others_one_line():
    before = [f"a{n}" for n in range(30) for _ in range(60 - n)]
    now = [f"b{n}" for n in range(30) for _ in range(60 - n)] + ["a29"]
    found = of_column(before, now, "brand")["value"]
    assert {line.label for line in found[:-1]} == {f"{side}{n}" for side in "ab" for n in range(20)}
    assert rows(found)[-1] == (OTHER, sum(60 - n for n in range(20, 30)), sum(60 - n for n in range(20, 30)) + 1)
    assert [line.rest for line in found] == [False] * 40 + [True]
    assert found[0].low is found[0].high is found[0].reference_density is None


def test_a_category_called_other_is_no_rest():
    found = of_column([OTHER, "a"], [OTHER, OTHER], "brand")["value"]
    assert [(line.label, line.rest, line.reference, line.current) for line in found] == [
        (OTHER, False, 1, 2),
        ("a", False, 1, 0),
    ]


def test_lengths_of_texts_are_of_the_texts_that_were_measured():
    was = text_profile(["warm", "soft", "nice one", None])
    now = text_profile(["warm", None, None, "a"], edges=was.lengths.edges)
    sides = [Profile("reviews", 4, {"text": Sort.TEXT}, {"text": p}, {}, pa.table({})) for p in (was, now)]
    found = spread(*sides, "text")
    assert rows(found["length"]) == [(None, 0, 1), ("4", 2, 1), ("8", 1, 0)]
    assert {(line.of_reference, line.of_current) for line in found["length"]} == {(3, 2)}
    (missing,) = found["missing"]
    assert (missing.reference, missing.of_reference, missing.current, missing.of_current) == (1, 4, 2, 4)


def test_a_column_that_the_batch_lacks_has_no_rows_there():
    reference = profiled({"stars": [1, 2, 3]})
    found = spread(reference, profiled({"price": [1.0]}, like=reference), "stars")
    assert rows(found["value"]) == [("1", 1, 0), ("2", 1, 0), ("3", 1, 0)]
    assert found["value"][0].current_share is None


def test_sides_that_were_not_made_alike_are_refused():
    reference, alone = profiled({"stars": [1, 2, 3]}), profiled({"stars": [1, 2, 4, 5]})
    with pytest.raises(ValueError, match="make one profile `like` the other"):
        distributions(reference, alone)
    other = profiled({"shop": ["a", "b", "a"]})
    with pytest.raises(ValueError, match="'shop' is number in the reference and category now"):
        distributions(profiled({"shop": [1, 2, 3]}), other)


# Every profile

values = st.none() | st.floats(-1e4, 1e4) | st.sampled_from([1.0, 2.5, NAN, math.inf, -math.inf, 1e99, -1e99, 1e300])
number_columns = st.lists(values, min_size=1, max_size=60)


@given(number_columns, number_columns)
@settings(max_examples=40, deadline=None)
def test_numbers_add_up_to_all_rows_whatever_they_are(before, now):
    columns = [{"price": pa.array(side, pa.float64())} for side in (before, now)]
    reference = profiled(columns[0])
    found = spread(reference, profiled(columns[1], like=reference), "price")
    lines = found.get("value", []) + found["missing"]
    assert sum(line.reference for line in lines) == lines[0].of_reference == len(before)
    assert sum(line.current for line in lines) == lines[0].of_current == len(now)
    assert len(lines) <= BINS + 3
    for side, whose in ((before, "reference"), (now, "current")):
        known = np.array([v for v in side if v is not None and abs(v) <= 1e100])  # NaN is not
        for line in found.get("value", []):
            assert getattr(line, whose) == sum(lies_in(known, line))


def lies_in(known, line):
    """Which values a line counts; the smallest one of all lies in the first."""
    if line.label:
        return known == line.low
    return (known > line.low) & (known <= line.high) | (known == line.low) & (line.place == 0)


counts = st.integers(0, 5) | st.integers(0, 10**9)


@st.composite
def number_profiles(draw):
    """Two sides of one column with the same edges, as no batch would ever make them."""
    edges = np.unique(draw(st.lists(st.floats(-1e100, 1e100), max_size=60)))
    return [draw(one_side(edges)) for _ in range(2)]


@st.composite
def one_side(draw, edges):
    held = np.array(draw(st.lists(counts, min_size=len(edges) + 1, max_size=len(edges) + 1)), np.int64)
    held *= draw(st.sampled_from([0, 1]))
    missing = draw(counts)
    ends = (0.0, 1.0, -1e100, 1e100) if held.sum() else (NAN,) * 4
    return NumberProfile(int(held.sum()) + missing, missing, edges, held, *ends)


@given(number_profiles())
@settings(max_examples=200, deadline=None)
def test_any_two_profiles_of_numbers_add_up(sides):
    made = [Profile("reviews", p.rows, {"x": Sort.NUMBER}, {"x": p}, {}, pa.table({})) for p in sides]
    found = spread(*made, "x")
    lines = found.get("value", []) + found["missing"]
    assert sum(line.reference for line in lines) == sides[0].rows
    assert sum(line.current for line in lines) == sides[1].rows
    bins = [line for line in found.get("value", []) if not line.label]
    assert all(line.low <= line.high for line in bins)
    assert len([line for line in bins if not line.rest]) <= BINS


@st.composite
def category_profile(draw):
    held = np.zeros(BUCKETS, np.int64)
    for bucket, count in draw(st.dictionaries(st.integers(0, BUCKETS - 1), counts, max_size=60)).items():
        held[bucket] = count
    named = draw(st.sets(st.sampled_from(np.flatnonzero(held).tolist() or [0])))
    missing = draw(counts)
    return CategoryProfile(int(held.sum()) + missing, missing, held, {bucket: f"v{bucket}" for bucket in named})


@given(category_profile(), category_profile())
@settings(max_examples=100, deadline=None)
def test_any_two_profiles_of_categories_add_up(before, now):
    made = [Profile("reviews", p.rows, {"x": Sort.CATEGORY}, {"x": p}, {}, pa.table({})) for p in (before, now)]
    found = spread(*made, "x")
    lines = found.get("value", []) + found["missing"]
    assert sum(line.reference for line in lines) == before.rows
    assert sum(line.current for line in lines) == now.rows
    assert sum(line.rest for line in lines) <= 1
    assert len(lines) <= 42


texts = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=30), max_size=40)


@given(texts, texts)
@settings(max_examples=50, deadline=None)
def test_lengths_add_up_to_all_texts(before, now):
    was = text_profile(before)
    is_now = text_profile(now, was.lengths.edges)
    made = [Profile("reviews", p.total, {"text": Sort.TEXT}, {"text": p}, {}, pa.table({})) for p in (was, is_now)]
    found = spread(*made, "text")
    lines = found.get("length", []) + found["missing"]
    assert sum(line.reference for line in lines) == len(before)
    assert sum(line.current for line in lines) == len(now)


# The file


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with TemporaryDirectory() as scratch:
        with open_batch(reviews(3000, seed=1), scratch=Path(scratch), kind="reviews") as batch:
            before = profile(batch)
        with open_batch(reviews(1000, seed=2), scratch=Path(scratch), kind="reviews") as batch:
            now = profile(batch, like=before)
    file = tmp_path_factory.mktemp("run") / "distributions.parquet"
    write(distributions(before, now), file)
    return file, before, now


def test_each_column_is_read_as_it_was_written_and_alone(written):
    file, before, now = written
    table = distributions(before, now)
    assert set(table["column"].to_pylist()) == set(before.columns)
    for column, profiled_as in before.columns.items():
        found = read(file, column)
        assert list(found) == [Spread(**line) for line in table.to_pylist() if line["column"] == column]
        every = profiled_as.total if isinstance(profiled_as, TextProfile) else profiled_as.rows
        assert sum(line.reference for line in found) == every == 3000
        assert sum(line.current for line in found) == 1000
    assert read(file, "colour") == ()
    assert read(file, "' OR 1=1 --") == ()
    assert file.stat().st_size < 50_000


def test_pieces_of_other_columns_are_not_read(tmp_path, written, monkeypatch):
    _, before, now = written
    monkeypatch.setattr("monitor.distributions._LINES_AT_ONCE", 20)
    write(distributions(before, now), tmp_path / "small.parquet")
    pieces = pq.ParquetFile(tmp_path / "small.parquet").metadata
    assert pieces.num_row_groups > 5
    assert all(pieces.row_group(n).column(0).statistics.has_min_max for n in range(pieces.num_row_groups))
    assert read(tmp_path / "small.parquet", "price") == read(written[0], "price")


def test_a_file_that_is_missing_damaged_or_another_table_is_told(tmp_path, written):
    with pytest.raises(ShopmonError, match=r"there is no .*gone.parquet.*Check the batch again"):
        read(tmp_path / "gone.parquet", "price")
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(written[0].read_bytes()[:-200])
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"column": ["price"], "rows": [1]}), other)
    for file in (damaged, other, tmp_path):
        with pytest.raises(ShopmonError, match="cannot be read"):
            read(file, "price")
