"""Do the profiles of parts add up to the profile of the whole?"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
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
from expectations.columns import FILE, ROW
from monitor.profiles import CategoryProfile, NumberProfile, ProfileSettings, TextProfile, merge, profile, text_profile
from monitor.sketches import different, quantiles, rank_error
from monitor.words import word_bucket
from shopmon.sample_data import reviews

ALL = ProfileSettings(sample_rows=40, text_rows=10_000, sketched=True)
BEGIN = datetime(2026, 1, 1)

WORDS = st.lists(st.sampled_from(["warm", "light", "zu", "klein", "充電器", "don't", "é", ""]), max_size=6).map(
    " ".join
)
RECORD = st.fixed_dictionaries(
    {
        "text": st.none() | WORDS,
        "stars": st.none() | st.integers(1, 5),
        "price": st.none() | st.floats(-1e6, 1e6, width=32) | st.sampled_from([float("nan"), float("inf"), 1e300, 0.0]),
        "brand": st.none() | st.sampled_from(["Nike", "Puma", "", "O'Neill", '"', "ベル"]) | st.text(max_size=3),
        "date": st.none() | st.integers(-(10**6), 10**6).map(lambda minutes: BEGIN + timedelta(minutes=minutes)),
    }
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("stars", pa.int64()),
        ("price", pa.float64()),
        ("brand", pa.string()),
        ("date", pa.timestamp("us")),
    ]
)


@contextmanager
def batch_of(data):
    with TemporaryDirectory() as scratch, open_batch(data, scratch=Path(scratch), kind="reviews") as batch:
        yield batch


@st.composite
def parted(draw):
    """Rows, and for each the part that it falls into; some parts may have none."""
    records = draw(st.lists(RECORD, min_size=1, max_size=60))
    count = draw(st.integers(1, 5))
    places = draw(st.lists(st.integers(0, count - 1), min_size=len(records), max_size=len(records)))
    return records, places, count


def profiles(records, places, count):
    """The profile of all rows, and those of the parts, in the same bins."""
    table = pa.Table.from_pylist([{**r, "text": r["text"] and r["text"].encode().decode()} for r in records], SCHEMA)
    with batch_of(table) as batch:
        whole = profile(batch, ALL)
        parts = []
        for number in range(count):
            rows = [row for row, place in enumerate(places, start=1) if place == number]
            batch.rows_of(f"create view part{number} as from batch where list_contains({rows}::bigint[], {ROW})")
            parts.append(profile(batch, ALL, like=whole, relation=f"part{number}"))
    return whole, parts


def assert_alike(found, whole):
    """Exact but for rounding of means, names of buckets that are equally full, and quantiles."""
    assert (found.kind, found.rows, found.sorts) == (whole.kind, whole.rows, whole.sorts)
    assert found.sample.equals(whole.sample)
    for name, column in whole.columns.items():
        assert_alike_columns(found.columns[name], column)


def assert_alike_columns(found, column):
    assert (found.rows, found.missing) == (column.rows, column.missing)
    if isinstance(column, NumberProfile):
        assert np.array_equal(found.counts, column.counts)
        assert np.array_equal(found.edges, column.edges)
        ends = [(p.mean, p.std, p.minimum, p.maximum) for p in (found, column)]
        largest = max(abs(column.minimum), abs(column.maximum)) if column.rows > column.missing else 1.0
        np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9, atol=1e-7 * largest, equal_nan=True)
    elif isinstance(column, CategoryProfile):
        assert np.array_equal(found.counts, column.counts)
        # Each part names its 200 fullest buckets: of more, some of the whole's may have a name in none.
        assert found.names.keys() <= column.names.keys()
        assert found.names.keys() == column.names.keys() or np.count_nonzero(column.counts) > 200
        assert found.different == column.different
    elif isinstance(column, TextProfile):
        assert found.total == column.total
        assert np.array_equal(found.frequencies, column.frequencies)
        assert found.words.keys() == column.words.keys()
        assert_alike_columns(found.lengths, column.lengths)


@given(parted())
@settings(max_examples=12)
def test_any_parts_add_up_to_the_whole(drawn):
    whole, parts = profiles(*drawn)
    assert_alike(merge(parts, ALL), whole)


@given(parted(), st.randoms())
@settings(max_examples=12)
def test_neither_the_order_nor_the_brackets_matter(drawn, random):
    whole, parts = profiles(*drawn)
    shuffled = parts.copy()
    random.shuffle(shuffled)
    assert_alike(merge(shuffled, ALL), whole)
    cut = random.randrange(len(parts))
    bracketed = [merge(some, ALL) for some in (parts[:cut], parts[cut:]) if some]
    assert_alike(merge(bracketed, ALL), whole)


def test_files_add_up_to_the_folder(tmp_path):
    for number in range(3):
        pq.write_table(reviews(400, seed=number), tmp_path / f"{number}.parquet")
    with batch_of(tmp_path) as batch:
        whole = profile(batch, ALL)
        for number in range(3):
            batch.rows_of(f"create view part{number} as from batch where {FILE} = {number}")
        parts = [profile(batch, ALL, like=whole, relation=f"part{number}") for number in range(3)]
    merged = merge(parts, ALL)
    assert_alike(merged, whole)
    prices = np.concatenate([reviews(400, seed=number)["price"].drop_null().to_numpy() for number in range(3)])
    for share, price in zip(
        (0.1, 0.5, 0.9), quantiles(merged.columns["price"].quantiles, (0.1, 0.5, 0.9)), strict=True
    ):
        assert np.mean(prices < price) - 3 * rank_error() <= share <= np.mean(prices <= price) + 3 * rank_error()
    brands = {brand for number in range(3) for brand in reviews(400, seed=number)["brand"].drop_null().to_pylist()}
    assert different(merged.columns["brand"].different).count == len(brands)


def test_a_part_that_counted_a_larger_share_of_its_texts_counts_for_less():
    every = text_profile(["warm"] * 1_000)
    a_tenth = text_profile(["cold"] * 500)
    a_tenth = replace(a_tenth, total=5_000)  # of 5,000 texts, 500 were counted
    found = merge_texts([every, a_tenth])
    assert (found.total, found.rows) == (6_000, 600)
    shares = [found.frequencies[word_bucket(word)] / found.rows for word in ("warm", "cold")]
    assert shares == pytest.approx([1 / 6, 5 / 6])
    assert found.lengths.rows == found.lengths.counts.sum() == 600
    again = merge_texts([a_tenth, every])
    assert np.array_equal(found.frequencies, again.frequencies)
    assert found.words == again.words


def test_a_part_without_a_text_changes_nothing():
    held, none = (
        text_profile(["warm", "cold"]),
        text_profile([None, None], text_profile(["warm", "cold"]).lengths.edges),
    )
    found = merge_texts([none, held])
    assert (found.rows, found.missing, found.total) == (2, 2, 4)
    assert np.array_equal(found.frequencies, held.frequencies)


def merge_texts(parts):
    """Profiles of nothing but one column of texts, merged."""
    from monitor.profiles import PRIORITY, Profile, Sort

    sample = pa.table({"text": pa.array([], pa.string()), FILE: pa.array([], pa.int32()), ROW: pa.array([], pa.int64()),
                       PRIORITY: pa.array([], pa.uint64())})  # fmt: skip
    whole = [Profile("reviews", part.total, {"text": Sort.TEXT}, {"text": part}, {}, sample) for part in parts]
    return merge(whole).columns["text"]
