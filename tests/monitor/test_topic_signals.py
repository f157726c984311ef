"""Does a model that was not trained on a shop's topics say them of rows, each text read once?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from expectations.batch import open_batch
from expectations.errors import ShopmonError
from monitor.edge_case_rules import EdgeCaseSettings, Rule
from monitor.edge_cases import select
from monitor.signals import INFERENCE
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


# --- in a rule --------------------------------------------------------------------------------------------------------


def chosen(batch, rule, **more):
    settings = EdgeCaseSettings(rules={"mine": Rule(rule)}, defaults=False, **more.pop("settings", {}))
    return select(batch, settings, **more)


@pytest.fixture
def batch(tmp_path):
    texts = ["size size a", "shipping b", "size b c d", "shipping shipping", "  "]
    table = pa.table({"text": texts, "stars": [1, 1, 5, 5, 1]})
    with open_batch(table, scratch=tmp_path) as found:
        yield found


def test_a_rule_chooses_rows_by_topic_and_score(batch):
    model = Words()
    found = chosen(batch, 'topic == "shipping" & topic_score > 0.6', readers={INFERENCE: topic_reader(model)})
    assert found.rows.column("row").to_pylist() == [4]
    assert found.rows.column("signals").to_pylist() == [[("topic", "shipping"), ("topic_score", "1")]]
    assert [(one.task, one.model, one.texts) for one in found.further_models] == [(INFERENCE, "words", 4)]


def test_the_model_reads_only_rows_that_it_decides_and_no_more_than_may_be(batch):
    model = Words()
    readers = {INFERENCE: topic_reader(model)}
    found = chosen(batch, 'stars <= 2 & topic == "shipping"', readers=readers)
    assert found.rows.column("row").to_pylist() == [2]
    assert sorted(model.asked[1]) == ["shipping b", "size size a"]
    bounded = Words()
    found = chosen(batch, 'topic == "size"', readers={INFERENCE: topic_reader(bounded)}, settings={"model_rows": 2})
    assert len(bounded.asked[1]) <= 2
    assert found.left_out_by_rule == {"mine": 3}, "of five rows, a blank one among them"


def test_a_rule_about_topics_without_a_model_says_how_to_get_one(batch):
    with pytest.raises(ShopmonError, match="the signal 'topic' needs a model, and there is none") as told:
        chosen(batch, 'topic == "size"')
    assert "shopmon retrain --task nli" in told.value.advice


def test_a_rule_about_topics_that_nobody_listed_is_not_examined(batch):
    found = chosen(batch, 'topic == "size"', readers={INFERENCE: unasked("no labels are listed")})
    assert found.skipped == {"mine": "not examined: no labels are listed"}


def test_a_column_that_is_called_topic_is_still_reached(tmp_path):
    table = pa.table({"text": ["a", "b"], "topic": ["x", "y"]})
    with open_batch(table, scratch=tmp_path) as found:
        assert chosen(found, '`topic (of the file)` == "y"').rows.column("row").to_pylist() == [2]


def test_a_topic_is_text_and_its_score_a_number(batch):
    for formula in ("topic > 3", 'topic_score == "size"'):
        with pytest.raises(ShopmonError, match="rule 'mine'"):
            chosen(batch, formula, readers={INFERENCE: topic_reader(Words())})
