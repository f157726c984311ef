"""What stands beside a text, as numbers that a head can read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from retrain.labelled_texts import TextSettings, read_texts
from retrain.tabular import Columns, Encoding, columns_at, encoding_from, encoding_of

BRANDS = ["Acme"] * 6 + ["Puma"] * 8 + ["Rare", None]
LEARNT = Columns(16, {"price": np.array([*range(15), np.nan])}, {"brand": BRANDS})
LATER = Columns(3, {"price": np.array([7.0, np.nan, np.inf])}, {"brand": ["Puma", "Rare", "New"]})


def test_values_that_are_seldom_missing_or_new_are_missing_to_trees():
    told = encoding_of(LEARNT).codes(LATER)
    assert told.shape == (3, 2)
    assert told[:, 0].tolist()[:1] == [7.0]
    assert np.isnan(told[1:, 0]).all(), "neither a gap nor infinity is a price"
    assert told[0, 1] == 0.0, "the most frequent value comes first"
    assert np.isnan(told[1:, 1]).all()


def test_a_regression_sees_flags_and_standard_deviations():
    told = encoding_of(LEARNT).spread_out(LATER)
    assert told.tolist() == [[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]


def test_rows_without_columns_are_read_as_nothing():
    assert Encoding().codes(Columns(2)).shape == (2, 0)
    assert Encoding().spread_out(Columns(2)).shape == (2, 0)
    assert not Columns(2).any


def test_a_column_that_says_nothing_is_no_trouble():
    empty = Columns(2, {"price": np.full(2, np.nan)}, {"brand": [None, "once"]})
    found = encoding_of(empty)
    assert found.spread_out(empty).tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert np.isnan(found.codes(empty)).all()


def test_a_column_that_is_missing_is_told_with_those_there_are():
    with pytest.raises(ShopmonError, match="reads a column 'price' beside the text, and the rows have 'brand'"):
        encoding_of(LEARNT).codes(Columns(1, categories={"brand": ["Acme"]}))


def test_it_is_the_same_after_it_was_written_down():
    found = encoding_of(LEARNT)
    assert encoding_from(json.loads(json.dumps(found.plain()))) == found


@pytest.mark.parametrize(
    "told",
    [None, {}, {"numbers": [{"name": "a", "mean": "x", "spread": 1}], "categories": []},
     {"numbers": [{"name": "a", "mean": 0, "spread": 0}], "categories": []}],
)  # fmt: skip
def test_what_is_no_encoding_is_refused(told):
    with pytest.raises(ValueError, match=r"damaged|above 0"):
        encoding_from(told)


def test_columns_are_those_of_the_rows_that_are_asked_for(tmp_path: Path):
    file = tmp_path / "products.parquet"
    columns = {"title": list("abc"), "category": ["x", "y", "x"], "price": [1.0, None, 3.0], "brand": ["p", None, "q"]}
    pq.write_table(pa.table(columns), file)
    asked = TextSettings(data=(str(file),), numbers=("price",), categories=("brand",), least_rows=1)
    found = columns_at(read_texts(asked, tmp_path), [2, 1])
    assert found.rows == 2
    assert found.numbers["price"][0] == 3.0
    assert np.isnan(found.numbers["price"][1])
    assert found.categories["brand"] == ["q", None]
