"""Is each pair read once, and what becomes of answers that make no sense?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from expectations.errors import ShopmonError
from monitor.pair_signals import PairReading, signals
from monitor.signals import PAIR_SIGNALS


class Model:
    """Answers by the length of the product's text, and remembers what it was asked."""

    model_id, classes, gains = "20261120-195801-b4e8d2", ("E", "S", "I"), (1.0, 0.5, 0.0)

    def __init__(self):
        self.asked = []

    def class_of(self, label):
        return {"E": 0, "S": 1, "I": 2}.get(label)

    def learnt(self, queries, texts):
        return np.array([query == "learnt" for query in queries], dtype=bool)

    def probabilities(self, queries, texts):
        self.asked.append(list(zip(queries, texts, strict=True)))
        return np.array([[0.6, 0.3, 0.1] if len(text) < 5 else [0.1, 0.2, 0.7] for text in texts]).reshape(-1, 3)


class Memory:
    """Keeps answers while the test lasts."""

    def __init__(self):
        self.kept = {}

    def recall(self, queries, texts):
        return self.kept.get((tuple(queries), tuple(texts)))

    def keep(self, queries, texts, probabilities):
        self.kept[tuple(queries), tuple(texts)] = probabilities


def test_every_signal_of_pairs_is_told():
    rows = [
        ("cap", "red", "E"),
        ("cap", "a long one", "E"),
        ("learnt", "red", "I"),
        (None, "red", "E"),
        ("cap", "", "E"),
    ]
    found = signals(PairReading(Model()).answers([*rows, ("cap", "red", "strange")]))
    assert set(found) == set(PAIR_SIGNALS)
    assert found["relevance_class"].tolist() == ["E", "I", "E", None, None, "E"]
    assert found["relevance_confidence"][:3].tolist() == [0.6, 0.7, 0.6]
    assert found["relevance_margin"][:2].tolist() == pytest.approx([0.3, 0.5])
    assert found["relevance_gain"][:2].tolist() == pytest.approx([0.75, 0.2])
    assert found["relevance_disagrees"].tolist() == [False, True, None, None, None, None]
    assert found["label_probability"][:2].tolist() == [0.6, 0.1]
    assert np.isnan(found["label_probability"][2:]).all()
    assert found["label_error"].tolist()[2:] == [None] * 4


def test_no_row_has_no_value():
    found = signals(PairReading(Model()).answers([]))
    assert all(len(values) == 0 for values in found.values())


def test_each_pair_is_read_once_and_counted_for_whom_it_was_read():
    model = Model()
    reading = PairReading(model)
    first, second = reading.counting(), reading.counting()
    first.answers([("a", "x", None), ("b", "x", None), ("a", "x", "E")])
    second.answers([("b", "x", "I"), ("b", "y", None), ("a b", "x", None), ("a", " bx", None)])
    assert [first.read[0], second.read[0]] == [2, 3]
    assert model.asked[0] == [], "of no pair it only gets ready"
    assert sum(map(len, model.asked)) == 5
    assert first.read[1] >= 0


def test_threads_that_ask_at_once_do_not_read_a_pair_twice():
    model = Model()
    reading = PairReading(model)
    rows = [(f"query {n}", "x", None) for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reading.answers(rows), range(8)))
    assert sum(map(len, model.asked)) == 50


def test_answers_that_were_kept_are_not_asked_for_again():
    memory, rows = Memory(), [("a", "x", "E"), ("b", "long one", "E")]
    before = PairReading(Model(), memory).answers(rows)
    model = Model()
    again = PairReading(model, memory).counting()
    assert (again.answers(rows).probabilities == before.probabilities).all()
    assert (model.asked, again.read) == ([], (0, 0.0))


@pytest.mark.parametrize("answer", [np.full((1, 3), np.nan), np.ones((1, 2)), np.ones((0, 3))])
def test_what_is_no_answer_is_told(answer):
    model = Model()
    model.probabilities = lambda queries, texts: answer
    with pytest.raises(ShopmonError, match=r"20261120-195801-b4e8d2 answers 1 pairs") as told:
        PairReading(model).answers([("a", "x", None)])
    assert "--task relevance" in told.value.advice
