"""Do rows of one query count for as many independent rows as they are worth?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.batch import open_batch
from monitor.alike import design_effect, groups_of, worth
from monitor.profiles import Sort, profile


def profiled(columns, kind):
    with TemporaryDirectory() as folder, open_batch(pa.table(columns), scratch=Path(folder), kind=kind) as batch:
        return profile(batch)


def test_pairs_of_one_query_are_alike_whatever_its_case_and_blanks():
    queries = ["red  shoes", "cap", "Red Shoes", None, None]
    made = profiled({"query": queries, "product_text": list("abcde"), "label": ["E"] * 5}, "relevance")
    found = dict(zip(made.sample.column("product_text").to_pylist(), groups_of(made).tolist(), strict=True))
    assert found["a"] == found["c"]
    assert len(set(found.values())) == 4, "what lacks a query stands for itself"


def test_in_other_kinds_each_row_stands_for_itself():
    made = profiled({"query": ["cap", "cap"]}, "queries")
    assert groups_of(made) is None
    assert worth(np.array([1.0, 1.0]), Sort.NUMBER, None) == 1.0


@given(st.integers(2, 6), st.integers(20, 60))
def test_rows_that_are_copies_count_once(copies, groups):
    values = np.repeat(np.random.default_rng(groups).normal(size=groups), copies)
    assert worth(values, Sort.NUMBER, np.repeat(np.arange(groups), copies)) == pytest.approx(copies, rel=0.3)


def test_rows_that_only_share_a_group_count_each():
    draw = np.random.default_rng(1)
    effects = [worth(draw.normal(size=600), Sort.NUMBER, np.repeat(np.arange(200), 3)) for _ in range(20)]
    assert np.mean(effects) < 1.3, "but for what noise the largest of several has"


@pytest.mark.parametrize(
    ("values", "sort"),
    [
        (np.array(["E", "I"], dtype=object)[np.repeat(np.arange(40) % 2, 5)], Sort.CATEGORY),
        (np.array(["a", "abc"], dtype=object)[np.repeat(np.arange(40) % 2, 5)], Sort.TEXT),
        (np.array([None, 1.0], dtype=object)[np.repeat(np.arange(40) % 2, 5)], Sort.NUMBER),
    ],
    ids=["categories", "lengths of texts", "missing values"],
)
def test_what_is_compared_of_a_column_decides(values, sort):
    assert worth(values, sort, np.repeat(np.arange(40), 5)) == pytest.approx(5, rel=0.1)


def test_of_few_groups_each_counts_as_one_row():
    assert design_effect(np.arange(20.0)[:, None], np.repeat(np.arange(4), 5)) == 5
    one_large = np.concatenate([np.zeros(300, np.int64), np.arange(1, 701)])
    assert design_effect(np.arange(1000.0)[:, None], one_large) == pytest.approx(90.7)
    assert design_effect(np.arange(20.0)[:, None], np.zeros(20, np.int64)) == 20
    assert design_effect(np.zeros((0, 1)), np.zeros(0, np.int64)) == 1


def test_where_nothing_varies_there_is_nothing_to_correct():
    assert worth(np.ones(60), Sort.NUMBER, np.repeat(np.arange(20), 3)) == 1.0
    assert worth(np.array([None] * 60, dtype=object), Sort.CATEGORY, np.repeat(np.arange(20), 3)) == 1.0
