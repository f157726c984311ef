"""What does a model of the registry bring along when a check asks it of pairs?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from monitor.retraining_set import text_hash
from retrain.pair_answers import AnswersOnDisk, PairAnswerer
from retrain.records import write
from retrain.registry import LINEAGE, Registry
from retrain.results import BaseUsed, TrainingResult
from retrain.weights import weights_sha256

MODEL_ID = "20261120-195801-b4e8d2"


@pytest.fixture
def answerer(tmp_path):
    """Makes one of a registered model whose training had these settings."""

    def make(settings, rows=()):
        registry = Registry(tmp_path / "models")
        with registry.adding("relevance", MODEL_ID) as staging:
            (staging / "model.safetensors").write_bytes(b"weights")
            hashes = {"text_hash": [text_hash(text) for text, _ in rows], "use": [use for _, use in rows]}
            pq.write_table(
                pa.table({name: pa.array(told, pa.string()) for name, told in hashes.items()}), staging / LINEAGE
            )
            said = {
                "base": BaseUsed("offline", "3f2a"),
                "weights_sha256": weights_sha256(staging),
                "settings": settings,
            }
            write(TrainingResult(model_id=MODEL_ID, task="relevance", **said), staging)
        return PairAnswerer(registry, registry.get(MODEL_ID))

    return make


def test_labels_mean_what_they_meant_to_its_training(answerer):
    words = answerer({"pairs": {"classes": ["E", "I"], "labels": {"wrong": "I", "1": "E"}}})
    assert [words.class_of(label) for label in ("exact", "i", "wrong", "S", "1", "1.0")] == [0, 1, 1, None, 0, 0]
    assert words.label_columns == ("label_as_written", "label", "grade_as_written", "grade")


def test_grades_come_before_labels_where_it_learnt_from_them(answerer):
    graded = answerer({"pairs": {"classes": ["E", "I"], "grades": {"E": 2.5, "I": 1}}})
    assert [graded.class_of(grade) for grade in ("3", "2.5", "2.33", "0.5")] == [0, 0, 1, None]
    assert graded.label_columns[0] == "grade_as_written"


def test_it_reads_a_product_as_it_learnt_to(answerer):
    told = answerer({"pairs": {"product_text": ["title", "brand"]}})
    assert told.attributes == (("product_text", "product_title"), ("brand", "product_brand"))


def test_gains_are_those_of_its_training(answerer):
    assert answerer({"gains": {"E": 1.0, "S": 0.2, "C": 0.1, "I": 0.0}}).gains == (1.0, 0.2, 0.1, 0.0)


def test_a_record_that_says_nothing_has_the_classes_of_the_published_data(answerer):
    plain = answerer({})
    assert (plain.classes, plain.gains) == (("E", "S", "C", "I"), (1.0, 0.1, 0.01, 0.0))


def test_it_knows_which_pairs_it_learnt_from_or_was_chosen_by(answerer):
    rows = [
        ("cap\na cap", "train"),
        ("hat\na hat", "validation"),
        ("sock\na sock", "held out"),
        ("bag\na bag", "leaked"),
    ]
    known = answerer({}, rows).learnt(
        ["cap", "hat", "sock", "bag", "new"], ["a cap", "a hat", "a sock", "a bag", "one"]
    )
    assert known.tolist() == [True, True, False, False, False]


def test_a_model_that_is_no_classifier_names_the_way_out(answerer):
    with pytest.raises(ShopmonError, match=f"the champion {MODEL_ID} cannot be asked") as told:
        answerer({}).probabilities(["cap"], ["a cap"])
    assert "shopmon models rollback --task relevance" in told.value.advice


def test_answers_are_found_again_by_exactly_what_was_asked_of_which_weights(tmp_path):
    kept, said = AnswersOnDisk(tmp_path / "answers", "3f2a"), np.array([[0.75, 0.25], [0.5, 0.5]])
    kept.keep(["a", "b"], ["x", "y"], said)
    assert (kept.recall(["a", "b"], ["x", "y"]) == said).all()
    assert kept.recall(["b", "a"], ["y", "x"]) is None
    assert kept.recall(["a"], ["x"]) is None
    assert AnswersOnDisk(tmp_path / "answers", "other").recall(["a", "b"], ["x", "y"]) is None
    (file,) = (tmp_path / "answers").iterdir()
    file.write_bytes(b"damaged")
    assert kept.recall(["a", "b"], ["x", "y"]) is None, "the model can be asked again"


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "answers").write_text("a file")
    with pytest.raises(ShopmonError, match="cannot be written"):
        AnswersOnDisk(tmp_path / "answers", "3f2a").keep(["a"], ["x"], np.ones((1, 2)))
