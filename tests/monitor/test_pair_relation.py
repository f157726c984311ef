"""Is it seen that queries and products no longer belong together, though no column has changed?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.batch import open_batch
from monitor.derived import Derived, Side, with_derived
from monitor.drift import DriftSettings, compare_with
from monitor.multiplicity import holm
from monitor.pair_relation import AGREES, CLASS, FEWEST, GAIN, SHARED_WORDS, pair_columns, shared_words
from monitor.pair_signals import PairReading
from monitor.profiles import ProfileSettings, Sort, profile
from monitor.reference import Reference
from monitor.text_shift import TextSettings
from monitor.words import tokens

QUICK = DriftSettings(text=TextSettings(permutations=99))
THINGS = [f"{a}{b}" for a in ("red", "blue", "old", "new", "small") for b in ("shoe", "hat", "sock", "coat", "bag")]


def pairs(seed, queries=120, each=3):
    """Queries for two things, each with products that have both, one, or none of them."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(queries):
        first, second, other = draw.choice(THINGS, 3, replace=False)
        for label in draw.choice(["E", "S", "I"], each, p=[0.6, 0.2, 0.2]):
            product = {"E": [first, second], "S": [first, other], "I": [other]}[label]
            rows.append((f"{first} {second} {number}", f"{' '.join(product)} {draw.integers(999)}", label))
    return pa.table(dict(zip(("query", "product_text", "label"), map(list, zip(*rows, strict=True)), strict=True)))


def shuffled(table, share, seed=0):
    draw = np.random.default_rng(seed)
    places = np.flatnonzero(draw.random(table.num_rows) < share)
    moved = np.arange(table.num_rows)
    moved[places] = draw.permutation(places)
    return table.set_column(1, "product_text", table.column("product_text").take(pa.array(moved)))


def profiled(table, like=None, **settings):
    with TemporaryDirectory() as folder, open_batch(table, scratch=Path(folder), kind="relevance") as batch:
        return profile(batch, ProfileSettings(**settings), like=like)


class Overlap:
    """A model that goes by the words that are shared, and knows which pairs it learnt from."""

    model_id, classes, gains = "20261120-195801-b4e8d2", ("E", "S", "I"), (1.0, 0.5, 0.0)
    attributes, label_columns = (("product_text", "product_title"),), ("label",)

    def __init__(self, learnt=()):
        self.read, self._learnt = 0, set(learnt)

    def class_of(self, label):
        return self.classes.index(label)

    def learnt(self, queries, texts):
        return np.array([query in self._learnt for query in queries], dtype=bool)

    def probabilities(self, queries, texts):
        self.read += len(queries)
        shares = shared_words(queries, texts)
        found = np.full((len(queries), 3), 0.1)
        found[np.arange(len(queries)), np.where(shares > 0.5, 0, np.where(shares > 0.2, 1, 2))] = 0.8
        return found


def compared(before, now, model=None, most=500):
    was = profiled(before)
    is_now = profiled(now, was)
    asks = None if model is None else (PairReading(model).counting(), PairReading(model).counting())
    between = pair_columns(was, is_now, asks, most=most)
    kept = Reference(was, "good.csv", was.rows, "", ())
    section = compare_with(kept, is_now, QUICK, derived=between.columns, files=["new.csv"])
    return between, section


def drifted(section):
    return {column.column for column in section.drifted}


# --- words that are shared ------------------------------------------------------------------------------------------

_texts = st.lists(st.one_of(st.none(), st.text("ab é'-", max_size=8)), max_size=6)


@given(_texts, _texts)
def test_the_share_of_shared_words_is_what_the_words_of_both_say(queries, texts):
    size = min(len(queries), len(texts))
    queries, texts = queries[:size], texts[:size]
    found = shared_words(queries, texts)
    assert found.shape == (size,)
    for query, text, share in zip(queries, texts, found, strict=True):
        asked = set(tokens(query)) if query and text else set()
        if not asked:
            assert np.isnan(share)
        else:
            assert share == pytest.approx(len(asked & set(tokens(text))) / len(asked))


# --- what changed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, Overlap()], ids=["no model", "a model"])
def test_pairs_of_other_queries_are_quiet(model):
    """The share of false alarms, over many more, is in docs/drift.md."""
    alarms = [drifted(compared(pairs(2 * seed, 60, 8), pairs(2 * seed + 1, 60, 8), model)[1]) for seed in range(5)]
    assert alarms.count(set()) >= 4


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_shuffled_pairs_are_found_though_each_column_is_as_it_was(share):
    between, section = compared(pairs(1, 300), shuffled(pairs(2, 300), share), Overlap())
    assert {SHARED_WORDS, CLASS, AGREES} <= drifted(section)
    assert not {"query", "label"} & drifted(section)
    assert between.notes == ()


def test_without_a_model_the_words_tell_it():
    between, section = compared(pairs(1, 300), shuffled(pairs(2, 300), 0.2))
    assert [column.name for column in between.columns] == [SHARED_WORDS]
    assert SHARED_WORDS in drifted(section)
    assert between.model is None


def test_example_rows_show_both_sides_of_a_pair():
    table = shuffled(pairs(2, 300), 1.0)
    section = compared(pairs(1, 300), table)[1]
    shared = next(column for column in section.columns if column.column == SHARED_WORDS)
    row = shared.examples[0]
    told = table.slice(row.row - 1, 1).to_pylist()[0]
    assert (row.file, row.value) == ("new.csv", f"{told['query']} ~ {told['product_text']}")
    assert not set(tokens(told["query"])) & set(tokens(told["product_text"]))


def test_labels_that_mean_something_else_are_found_though_texts_and_answers_are_as_they_were():
    other = pairs(2, 300)
    turned = {"E": "I", "S": "S", "I": "E"}
    every_other = [turned[x] if n % 2 else x for n, x in enumerate(other.column("label").to_pylist())]
    section = compared(pairs(1, 300), other.set_column(2, "label", pa.array(every_other)), Overlap())[1]
    assert AGREES in drifted(section)
    assert not {CLASS, GAIN, SHARED_WORDS} & drifted(section)


def test_every_comparison_takes_part_in_one_decision():
    section = compared(pairs(1), shuffled(pairs(2), 0.3), Overlap())[1]
    tested = [column for column in section.columns if column.tested]
    assert {SHARED_WORDS, CLASS, GAIN, AGREES} <= {column.column for column in tested}
    adjusted = [decision.adjusted for decision in holm([column.p_value for column in tested])]
    assert [column.p_adjusted for column in tested] == pytest.approx(adjusted)


# --- what a model is asked ------------------------------------------------------------------------------------------


def test_a_model_reads_no_more_pairs_of_each_side_than_allowed():
    model = Overlap()
    between, _ = compared(pairs(1), pairs(2), model, most=50)
    assert (between.model.rows, between.model.read, between.model.texts) == (720, 100, 100)
    assert model.read == 100
    assert (between.model.model, between.model.task) == (model.model_id, "relevance")
    assert pair_columns(profiled(pairs(1)), profiled(pairs(2)), None, most=0).model is None


def test_pairs_that_it_learnt_from_are_left_out_on_both_sides():
    before, now = pairs(1), pairs(2)
    learnt = before.column("query").to_pylist()[:270] + now.column("query").to_pylist()[:30]
    between, _ = compared(before, now, Overlap(learnt), most=1000)
    assert between.model.read == 90 + 330
    known = [side.known.sum() for side in (between.columns[1].before, between.columns[1].now)]
    assert known == [90, 330]


def test_where_too_few_are_left_the_answer_says_so():
    before = pairs(1)
    learnt = before.column("query").to_pylist()[:-15]
    between, _ = compared(before, pairs(2), Overlap(learnt))
    assert between.model is None
    assert [column.name for column in between.columns] == [SHARED_WORDS]
    assert (
        f"of 360 sampled pairs of the reference, the relevance model did not learn from {FEWEST - 5}"
        in between.notes[0]
    )


def test_a_product_s_attribute_that_a_side_lacks_is_told():
    model = Overlap()
    model.attributes = (("product_text",), ("description", "product_description"))
    between, _ = compared(pairs(1), pairs(2), model)
    assert between.notes == (
        "the relevance model reads the product's description, which the reference lacks: it was not asked",
    )
    assert model.read == 0


def test_all_attributes_of_a_product_are_read_a_line_each():
    seen = []

    class Seeing(Overlap):
        def probabilities(self, queries, texts):
            seen.extend(texts)
            return super().probabilities(queries, texts)

    model = Seeing()
    model.attributes = (("product_text",), ("description",))
    tables = [pairs(seed) for seed in (1, 2)]
    described = [
        t.append_column("description", pa.array([" a long one " if n % 2 else None for n in range(360)]))
        for t in tables
    ]
    compared(*described, model, most=60)
    assert {text.partition("\n")[2] for text in seen} == {"a long one", ""}


def test_without_labels_it_is_not_asked_whether_they_agree():
    between, _ = compared(
        *(pairs(seed).drop_columns(["label"]).append_column("grade", pa.array([1.0] * 360)) for seed in (1, 2)),
        Overlap(),
    )
    assert [column.name for column in between.columns] == [SHARED_WORDS, CLASS, GAIN]


def test_a_batch_without_products_has_no_pairs():
    table = pairs(1).drop_columns(["product_text"]).append_column("product_id", pa.array([f"p{n}" for n in range(360)]))
    assert compared(table, table)[0].columns == ()


# --- columns that no file has ---------------------------------------------------------------------------------------


def test_rows_without_a_value_are_neither_compared_nor_missing():
    values = np.array([0.1, np.nan, 0.9] * 20)
    column = Derived("score", Sort.NUMBER, Side(values), Side(values[:30]))
    was, now = column.profiles
    assert (was.rows, was.missing, now.rows) == (40, 0, 20)
    assert (column.compared().reference, column.compared().current) == (40, 20)
    before, after = with_derived(profiled(pairs(1, 20)), profiled(pairs(2, 10)), [column])
    assert before.sample.column("score").null_count == 20
    assert (after.sorts["score"], after.columns["score"].rows) == (Sort.NUMBER, 20)


def test_alike_rows_make_a_derived_column_less_sure():
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 10)
    before, now = (np.clip(np.repeat(draw.normal(mean, 0.2, 60), 10), 0, 1) for mean in (0.4, 0.5))
    alone = Derived("score", Sort.NUMBER, Side(before), Side(now)).compared()
    alike = Derived("score", Sort.NUMBER, Side(before, groups), Side(now, groups)).compared()
    assert alone.p_value < 1e-9 < 1e-3 < alike.p_value
    assert (alone.effect_name, alone.floor, alone.said) == ("Wasserstein", 0.02, alike.said)
