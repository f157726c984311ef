"""Products that can replace one another are found as pairs, each once, by what the model says in both directions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain import substitutes as module
from retrain.catalogue import SCHEMA as PRODUCTS
from retrain.catalogue import catalogue_of
from retrain.nearest import ExactFinder
from retrain.ranking import Shelf
from retrain.splits import normalised
from retrain.substitutes import SCHEMA, SubstituteSettings, find_substitutes
from retrain.text_vectors import TextEncoder

TITLES = ("a1", "a2", "a3", "b1", "b2", "c1")


def encode(texts):
    """Texts of the same letter lie together; the digit tells them apart a little."""
    return np.array(
        [
            [text.lower().startswith(letter) + 1e-3 for letter in "abc"] + [ord(text.strip("-")[-1]) / 1e3]
            for text in texts
        ]
    )


class Knowing:
    """Stands in for a cross-encoder: the same letter is a substitute, less so where the query has the larger digit."""

    classes, how = ("E", "S"), "by the letter"

    def __init__(self):
        self.read = []

    def probabilities(self, texts, pairs=None):
        self.read += list(zip(texts, pairs, strict=True))
        said = [self.said(one, other) for one, other in zip(texts, pairs, strict=True)]
        return np.stack([1 - np.array(said), np.array(said)], 1)

    @staticmethod
    def said(query, product):
        if query[0].lower() != product[0].lower():
            return 0.1
        return 0.9 if query < product else 0.7


def shelf(titles=TITLES):
    rows = [
        {"id": title, "title": title, "text": title, "file": "p.csv", "row": at} for at, title in enumerate(titles, 1)
    ]
    catalogue = catalogue_of(pa.Table.from_pylist(rows, schema=PRODUCTS))
    encoder = TextEncoder("letters", encode)
    vectors = encoder.vectors(catalogue.texts)
    return Shelf(catalogue, vectors, ExactFinder(vectors), encoder)


def found(titles=TITLES, *, of=None, scorer=None, **settings):
    said = SubstituteSettings(**{"threshold": 0.5, "candidates": 5, **settings})
    return find_substitutes(shelf(titles), scorer or Knowing(), said, of=of)


def rows(pairs):
    return pa.Table.from_batches(pairs.parts(), SCHEMA).to_pylist()


def test_each_pair_stands_once_with_both_directions_and_their_mean():
    told = {(row["product_id"], row["substitute_id"]): row for row in rows(found())}
    assert set(told) == {("a1", "a2"), ("a1", "a3"), ("a2", "a3"), ("b1", "b2")}
    for row in told.values():
        said = [row[f"probability{name}"] for name in ("", "_forward", "_backward")]
        assert said == pytest.approx([0.8, 0.9, 0.7])
        assert (row["product"], row["product_row"]) == (row["product_id"], TITLES.index(row["product_id"]) + 1)
        assert row["cosine"] > 0.9


ANY = [f"{letter}{digit}" for letter in "abc" for digit in range(6)]


@given(st.lists(st.sampled_from(ANY), min_size=1, unique=True), st.sampled_from([0.05, 0.5, 0.85]))
def test_with_candidates_enough_it_is_what_asking_about_every_pair_finds(titles, threshold):
    pairs = found(tuple(titles), threshold=threshold, candidates=len(titles))
    mean = {pair: (Knowing.said(*pair) + Knowing.said(*reversed(pair))) / 2 for pair in combinations(sorted(titles), 2)}
    assert {(row["product_id"], row["substitute_id"]) for row in rows(pairs)} == {
        pair for pair, probability in mean.items() if probability >= threshold
    }
    assert (np.diff(np.round(pairs.probabilities, 6)) <= 0).all(), "the surest first"


def test_the_order_of_the_file_has_no_part_in_the_answer():
    usual, other = (rows(found(titles)) for titles in (TITLES, TITLES[::-1]))
    names = ("product_id", "substitute_id", "probability", "probability_forward", "probability_backward")
    assert [[row[name] for name in names] for row in usual] == [[row[name] for name in names] for row in other]


def test_the_question_is_the_same_from_either_side():
    scorer = Knowing()
    pairs = found(scorer=scorer, candidates=2)
    assert len(scorer.read) == len(set(scorer.read)) == 2 * pairs.asked
    assert {(other, one) for one, other in scorer.read} == set(scorer.read)


def test_what_differs_in_form_alone_is_no_substitute_and_takes_no_candidate_s_place():
    titles = ("a-1", "A 1", "a 1", "a2", "b1")
    assert normalised("a-1") == normalised("A 1")
    told = {frozenset((row["product_id"], row["substitute_id"])) for row in rows(found(titles, candidates=1))}
    assert {frozenset((one, "a2")) for one in ("a-1", "A 1", "a 1")} == told


def test_a_product_that_is_asked_for_stands_first_and_others_are_not_asked():
    scorer = Knowing()
    pairs = found(of=[2], scorer=scorer)
    assert [(row["product_id"], row["substitute_id"]) for row in rows(pairs)] == [("a3", "a1"), ("a3", "a2")]
    assert rows(pairs)[0]["probability_forward"] == pytest.approx(0.7), "asked by the title of a3"
    assert all("a3" in pair for pair in scorer.read)
    assert len(found(of=[0, 2])) == 3, "a pair of two that are asked for stands once"


def test_few_candidates_are_the_nearest_ones():
    assert found(candidates=1).asked <= len(TITLES)
    assert {row["product"][0] for row in rows(found(candidates=1))} == {"a", "b"}


def test_blocks_change_nothing(monkeypatch):
    whole = rows(found())
    for name in ("_PAIRS", "_AT_ONCE"):
        monkeypatch.setattr(module, name, 2)
    parts = list(found().parts())
    assert [len(part) for part in parts] == [2, 2]
    assert pa.Table.from_batches(parts).to_pylist() == whole


def test_without_a_pair_the_answer_has_its_columns_and_no_row():
    nothing = found(("a1", "b1"))
    assert (len(nothing), nothing.asked) == (0, 1)
    assert pa.Table.from_batches(nothing.parts()).schema == SCHEMA
    assert rows(found(("a1",))) == [], "a product alone"
    assert found(("a1",)).asked == 0


def test_a_model_without_the_class_is_told():
    with pytest.raises(ShopmonError, match=r"tells E, S apart.*class of substitutes, substitute.*\[substitutes\]"):
        found(label="substitute")


@pytest.mark.parametrize("wrong", [{"threshold": -0.1}, {"threshold": 1.1}, {"candidates": 0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        SubstituteSettings(**{"threshold": 0.5, **wrong})
