"""Does a model that was not trained on a shop's topics say them of rows, each text read once?"""

from __future__ import annotations

import numpy as np
import pytest

from expectations.errors import ShopmonError
from monitor.topic_signals import signals, topic_reader, unasked


class Words:
    """Stands for a model: a topic fits a text as much as the text is made of it."""

    model_id, topics = "words", ("size", "shipping")

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def scores(self, texts):
        self.asked.append(list(texts))
        said = [[text.split().count(topic) / len(text.split()) for topic in self.topics] for text in texts]
        return np.array(said, float).reshape(len(texts), len(self.topics))


def test_each_text_is_read_once_whatever_asks():
    model = Words()
    reader = topic_reader(model)
    found = reader.says([("size size a",), ("shipping",), ("size size a",)])
    assert found["topic"].tolist() == ["size", "shipping", "size"]
    assert found["topic_score"].round(2).tolist() == [0.67, 1.0, 0.67]
    assert reader.says([("shipping",), ("size",)])["topic"].tolist() == ["shipping", "size"]
    assert model.asked == [[], ["size size a", "shipping"], ["size"]], "of no text it gets ready"
    assert reader.counted()[0] == 3
    assert reader.model == "words"


def test_a_row_without_a_text_has_no_topic():
    model = Words()
    found = topic_reader(model).says([(None,), ("  ",), ("size",)])
    assert found["topic"].tolist() == [None, None, "size"]
    assert np.isnan(found["topic_score"][:2]).all()
    assert model.asked == [[], ["size"]]


def test_no_rows_have_no_values():
    found = topic_reader(Words()).says([])
    assert {name: len(values) for name, values in found.items()} == {"topic": 0, "topic_score": 0}


def test_of_equals_the_first_topic_counts():
    assert signals(np.array([[0.5, 0.5]]), ("a", "b"))["topic"].tolist() == ["a"]


@pytest.mark.parametrize("answer", [np.full((1, 2), np.nan), np.zeros((1, 3)), np.zeros((2, 2))])
def test_a_broken_model_is_told(answer):
    model = Words()
    model.scores = lambda texts: answer if texts else np.zeros((0, 2))
    with pytest.raises(ShopmonError, match="the model words answers 1 texts"):
        topic_reader(model).says([("size",)])


def test_what_cannot_be_asked_says_why():
    assert unasked("no labels").lacking == {"": "no labels"}
