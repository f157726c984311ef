"""The nearest are found exactly, or nearly so, and how nearly is said."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain import nearest as module
from retrain.nearest import ExactFinder, IndexFinder, SearchSettings, finder_for, index_name, recall


def drawn(count, seed=0, dimensions=16, centres=40):
    """Vectors of length 1 in heaps, as those of a catalogue are."""
    draw = np.random.default_rng(seed)
    heaps = np.random.default_rng(99).normal(size=(centres, dimensions))
    found = heaps[draw.integers(centres, size=count)] + 0.5 * draw.normal(size=(count, dimensions))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def scattered(count, seed=0):
    """Vectors of length 1 anywhere in 64 dimensions, among which a graph has a hard time."""
    found = np.random.default_rng(seed).normal(size=(count, 64))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def brute_force(vectors, query, k):
    """Every vector, sorted by what Python's own arithmetic makes of it."""
    scores = [sum(float(a) * float(b) for a, b in zip(vector, query, strict=True)) for vector in vectors]
    return sorted(range(len(vectors)), key=lambda at: (-scores[at], at))[:k]


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 1000))
def test_the_exact_search_finds_what_looking_at_each_one_finds(count, k, seed):
    vectors, queries = drawn(count, seed), drawn(3, seed + 1)
    found = ExactFinder(vectors).nearest(queries, k)
    assert found.rows.shape == (3, min(k, count))
    for rows, query in zip(found.rows.tolist(), queries, strict=True):
        assert rows == brute_force(vectors, query, k)


def test_blocks_change_nothing(monkeypatch):
    vectors, queries = drawn(500), drawn(20, 1)
    whole = ExactFinder(vectors).nearest(queries, 30)
    monkeypatch.setattr(module, "_ROWS", 47)
    monkeypatch.setattr(module, "_QUERIES", 7)
    parts = ExactFinder(vectors).nearest(queries, 30)
    np.testing.assert_array_equal(whole.rows, parts.rows)
    np.testing.assert_allclose(whole.cosines, parts.cosines, atol=1e-6)


def test_of_equal_vectors_the_one_that_stands_first_comes_first():
    vectors = np.tile(drawn(1), (5, 1))
    assert ExactFinder(vectors).nearest(vectors[:1], 5).rows.tolist() == [[0, 1, 2, 3, 4]]


def indexed(tmp_path, count=3_000, k=20, queries=200, **settings):
    pytest.importorskip("faiss", reason="the extra `embeddings` is not installed")
    asked = scattered(queries, 5)
    said = SearchSettings(**{"exact_up_to": 100, "index_from": 50, "measured": 32, **settings})
    vectors = scattered(count)
    finder = finder_for(vectors, queries, lambda n: asked[:n], k, said, tmp_path / "indexes" / "one.faiss")
    return vectors, asked, finder


@pytest.mark.parametrize("wanted", [0.5, 0.95, 0.99])
def test_an_index_finds_what_is_asked_for_on_queries_that_it_was_not_measured_on(tmp_path, wanted):
    vectors, asked, finder = indexed(tmp_path, recall=wanted)
    assert isinstance(finder, IndexFinder)
    exact = ExactFinder(vectors).nearest(asked[32:], 20)
    found = finder.nearest(asked[32:], 20)
    assert finder.recall >= wanted
    assert recall(found, exact) >= wanted - 0.03
    common = [len(set(one) & set(other)) for one, other in zip(found.rows.tolist(), exact.rows.tolist(), strict=True)]
    assert recall(found, exact) == pytest.approx(np.mean(common) / 20)
    assert f"recall@20 {finder.recall:.3f} on 32 queries" in finder.how
    # what it found has its true cosine, the nearest first
    told = np.take_along_axis(asked[32:] @ vectors.T, found.rows, 1)
    np.testing.assert_allclose(found.cosines, told, atol=1e-5)
    assert (np.diff(found.cosines, axis=1) <= 0).all()


def test_it_looks_no_further_than_it_must(tmp_path):
    little, much = (indexed(tmp_path, recall=wanted)[2] for wanted in (0.5, 0.995))
    assert little.breadth < much.breadth


def test_where_only_the_whole_is_enough_the_search_is_exact(tmp_path):
    vectors, asked, finder = indexed(tmp_path, count=200, k=150, recall=1.0)
    np.testing.assert_array_equal(finder.nearest(asked, 150).rows, ExactFinder(vectors).nearest(asked, 150).rows)


def test_small_catalogues_and_few_searches_are_exact(tmp_path):
    assert isinstance(indexed(tmp_path, exact_up_to=3_000)[2], ExactFinder)
    assert isinstance(indexed(tmp_path, queries=49)[2], ExactFinder)
    assert not (tmp_path / "indexes").exists()


def test_an_index_is_kept_and_found_again(tmp_path, monkeypatch):
    _, asked, finder = indexed(tmp_path)
    monkeypatch.setattr(module, "built", None)
    again = indexed(tmp_path)[2]
    np.testing.assert_array_equal(again.nearest(asked, 20).rows, finder.nearest(asked, 20).rows)
    assert [file.name for file in (tmp_path / "indexes").iterdir()] == ["one.faiss"]


@pytest.mark.parametrize("harm", [b"", b"IHNf but no index", "of other vectors"])
def test_an_index_that_cannot_be_used_is_made_again(tmp_path, caplog, harm):
    vectors, asked, _ = indexed(tmp_path)
    file = tmp_path / "indexes" / "one.faiss"
    if isinstance(harm, str):
        indexed(tmp_path, count=2_000)
    else:
        file.write_bytes(harm)
    with caplog.at_level(logging.WARNING):
        finder = indexed(tmp_path)[2]
    assert "is made again" in caplog.text
    assert recall(finder.nearest(asked, 20), ExactFinder(vectors).nearest(asked, 20)) > 0.9


def test_an_interrupted_building_leaves_no_index(tmp_path):
    pytest.importorskip("faiss", reason="the extra `embeddings` is not installed")

    def stop(done, of):
        raise KeyboardInterrupt

    said, file = SearchSettings(exact_up_to=10, index_from=1), tmp_path / "one.faiss"
    with pytest.raises(KeyboardInterrupt):
        finder_for(drawn(200), 100, lambda n: drawn(n), 10, said, file, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_where_the_graph_leads_to_too_few_it_looks_everywhere():
    vectors, asked = drawn(300), drawn(10, 4)

    class Lost:
        """A graph that finds one neighbour of the first query, and all of the others'."""

        ntotal, hnsw = 300, type("Hnsw", (), {})()

        def search(self, queries, k):
            found = ExactFinder(vectors).nearest(queries, k)
            found.rows[0, 1:], found.cosines[0, 1:] = -1, -3.4e38
            return found.cosines, found.rows

    found = IndexFinder(Lost(), ExactFinder(vectors), 1, 1.0, 1, 20).nearest(asked, 20)
    np.testing.assert_array_equal(found.rows, ExactFinder(vectors).nearest(asked, 20).rows)


def test_without_faiss_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ShopmonError, match=r"pip install 'shopmon\[embeddings\]'.*exact_up_to"):
        finder_for(
            drawn(200),
            100,
            lambda n: drawn(n),
            10,
            SearchSettings(exact_up_to=10, index_from=1),
            tmp_path / "one.faiss",
        )


def test_an_index_belongs_to_its_vectors():
    assert index_name("ab") != index_name("cd")
    assert index_name("ab").endswith(".faiss")


@pytest.mark.parametrize(
    "wrong", [{"recall": 0.0}, {"recall": 1.1}, {"measured": 0}, {"exact_up_to": -1}, {"index_from": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        SearchSettings(**wrong)
