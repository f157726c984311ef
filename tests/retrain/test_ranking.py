"""Products are ranked by expected gain, each query by itself, whatever stands beside it."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain import ranking as module
from retrain.catalogue import SCHEMA, catalogue_of
from retrain.classification_measures import ESCI, ESCI_GAINS
from retrain.nearest import ExactFinder
from retrain.ranking import Judge, RankSettings, Shelf, queries_of, ranked, ranking_schema
from retrain.text_vectors import TextEncoder

TITLES = [
    f"{colour} {thing}" for colour in ("red", "blue", "green", "old") for thing in ("lamp", "coat", "table", "sock")
]


def encode(texts):
    """Words in a bag of 32 places: texts with the same words lie together."""
    found = np.full((len(texts), 32), 1e-3)
    for row, text in zip(found, texts, strict=True):
        for word in text.split():
            row[hashlib.sha256(word.encode()).digest()[0] % 32] += 1
    return found


class Knowing:
    """Stands in for a cross-encoder that has learnt well: it counts the words that both texts have."""

    classes, how = ESCI, "by counting"

    def __init__(self):
        self.read = []

    def probabilities(self, texts, pairs=None):
        self.read += list(zip(texts, pairs, strict=True))
        common = np.array([len(set(one.split()) & set(other.split())) for one, other in self.read[-len(texts) :]])
        logits = np.stack([2.0 * common, 1.0 + common, np.ones(len(texts)), 1.5 - common], 1)
        powers = np.exp(logits)
        return powers / powers.sum(1, keepdims=True)


def shelf(titles):
    rows = [
        {"id": f"p{at}", "title": title, "text": title, "file": "p.csv", "row": at} for at, title in enumerate(titles)
    ]
    catalogue = catalogue_of(pa.Table.from_pylist(rows, schema=SCHEMA))
    encoder = TextEncoder("bag", encode)
    vectors = encoder.vectors(catalogue.texts)
    return Shelf(catalogue, vectors, ExactFinder(vectors), encoder)


def answer(queries, titles=TITLES, scorer=None, **settings):
    judge = Judge(scorer or Knowing(), ESCI_GAINS)
    parts = list(ranked(queries_of(queries), shelf(titles), judge, RankSettings(**settings)))
    return pa.Table.from_batches(parts, ranking_schema(ESCI))


def test_what_fits_a_query_comes_first_with_all_that_is_known_of_it():
    found = answer(["red lamp"], top=3).to_pylist()
    best = found[0]
    assert [row["rank"] for row in found] == [1, 2, 3]
    assert (best["title"], best["product_id"], best["file"], best["row"]) == ("red lamp", "p0", "p.csv", 0)
    assert best["cosine"] == pytest.approx(1, abs=1e-3)
    said = [best[f"probability_{label}"] for label in ESCI]
    assert sum(said) == pytest.approx(1)
    assert best["expected_gain"] == pytest.approx(sum(p * ESCI_GAINS[c] for p, c in zip(said, ESCI, strict=True)))


@given(
    st.lists(st.sampled_from([*TITLES, "lamp", "a green old sock", "nothing like it"]), min_size=1, max_size=9),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_ranks_count_from_one_and_gains_fall(queries, top, candidates):
    found = answer(queries, top=top, candidates=candidates)
    assert list(dict.fromkeys(found.column("query").to_pylist())) == list(dict.fromkeys(queries))
    for query in set(queries):
        rows = [row for row in found.to_pylist() if row["query"] == query]
        assert [row["rank"] for row in rows] == list(range(1, min(top, candidates, len(TITLES)) + 1))
        gains = [round(row["expected_gain"], 6) for row in rows]
        assert gains == sorted(gains, reverse=True)
        assert len({row["product_id"] for row in rows}) == len(rows)


@given(st.permutations(TITLES), st.permutations(["red lamp", "sock", "old table", "zzz"]))
def test_the_order_of_either_file_has_no_part_in_the_answer(titles, queries):
    names = ("query", "rank", "title", "expected_gain", "cosine")
    usual = (
        answer(["red lamp", "sock", "old table", "zzz"])
        .select(names)
        .sort_by([("query", "ascending"), ("rank", "ascending")])
    )
    other = answer(queries, titles).select(names).sort_by([("query", "ascending"), ("rank", "ascending")])
    assert usual.select(["query", "rank", "title"]) == other.select(["query", "rank", "title"])
    for name in ("expected_gain", "cosine"):
        np.testing.assert_allclose(usual.column(name).to_numpy(), other.column(name).to_numpy(), atol=1e-6)


def test_only_candidates_are_read(monkeypatch):
    scorer = Knowing()
    answer(["red lamp", "blue sock"], scorer=scorer, candidates=5, top=2)
    assert len(scorer.read) == 10
    nearest = {title for query, title in scorer.read if query == "red lamp"}
    assert nearest >= {"red lamp"}
    assert all({"red", "lamp"} & set(title.split()) for title in nearest), "of 16 titles 7 share a word with it"


def test_queries_in_blocks_get_the_same_answer(monkeypatch):
    queries = [*TITLES, "lamp", "sock"]
    whole = answer(queries)
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    told = []
    judge = Judge(Knowing(), ESCI_GAINS)
    parts = list(
        ranked(queries_of(queries), shelf(TITLES), judge, progress=lambda doing, done, of: told.append((done, of)))
    )
    assert len(parts) == 9
    blocks = pa.Table.from_batches(parts)
    names = [name for name in whole.column_names if name != "cosine"]
    assert blocks.select(names).to_pylist() == whole.select(names).to_pylist()
    np.testing.assert_allclose(blocks.column("cosine").to_numpy(), whole.column("cosine").to_numpy(), atol=1e-6)
    assert told[0] == (0, 18)
    assert told[-1] == (18, 18)


def test_of_equal_gains_the_one_that_lies_closer_comes_first():
    flat = SimpleNamespace(classes=ESCI, how="", probabilities=lambda texts, pairs: np.full((len(texts), 4), 0.25))
    found = answer(["red lamp"], scorer=flat, top=16)
    cosines = [round(one, 6) for one in found.column("cosine").to_pylist()]
    assert cosines == sorted(cosines, reverse=True)


def test_a_product_without_a_title_is_called_by_the_first_line_of_its_text():
    rows = [{"id": "a", "title": None, "text": "brass\nfor a desk", "file": "p.csv", "row": 1}]
    catalogue = catalogue_of(pa.Table.from_pylist(rows, schema=SCHEMA))
    assert module.titles(catalogue.rows) == ["brass"]


def test_queries_stand_once_and_blank_ones_are_told():
    found = queries_of([" red lamp", "", None, "red lamp", "Red lamp"], ["b", "c", "d", "a", None])
    assert (found.texts, found.ids) == (("red lamp", "Red lamp"), ("a", None))
    assert found.notes == (
        "2 of 5 queries are blank, and are left out",
        "1 queries repeat another one letter for letter: each is answered once",
    )
    assert found.first(1).texts == ("red lamp",)


@pytest.mark.parametrize(("texts", "told"), [([" "], "the query is blank"), (["", None], "none of the 2 queries")])
def test_nothing_to_look_for_is_refused(texts, told):
    with pytest.raises(ShopmonError, match=told):
        queries_of(texts)


def test_a_class_without_a_gain_is_refused():
    with pytest.raises(ValueError, match="class 'S' has no gain"):
        Judge(Knowing(), {"E": 1.0})


@pytest.mark.parametrize("wrong", [{"top": 0}, {"candidates": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="of 1 or more"):
        RankSettings(**wrong)
