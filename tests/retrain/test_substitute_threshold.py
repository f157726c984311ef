"""A threshold for substitutes does on other rows what it was chosen to do, as far as those are alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sklearn.metrics import f1_score, precision_score, recall_score

from retrain.classification_measures import ESCI, Predicted
from retrain.records import document, from_document
from retrain.results import BaseUsed, SubstituteThreshold, TrainingResult
from retrain.substitute_threshold import measured_at, substitute_threshold

ROOT = Path(__file__).parents[2]


def rows(scores, right):
    """Rows of two classes, S and I, by the probability of S."""
    scores = np.asarray(scores, np.float64)
    return Predicted(np.stack([scores, 1 - scores], 1), np.where(right, 0, 1).astype(np.int64), ("S", "I"))


def drawn(seed, count=400):
    """Rows whose probability of S is what it says."""
    draw = np.random.default_rng(seed)
    scores = draw.uniform(size=count)
    return rows(scores, draw.uniform(size=count) < scores)


def every_threshold(said):
    """(precision, recall, F1, rows taken) of each row's probability as threshold."""
    scores, right = said.probabilities[:, 0], said.labels == 0
    for value in scores:
        taken = scores >= value
        hits, precision = (taken & right).sum(), (taken & right).sum() / taken.sum()
        yield precision, hits / max(right.sum(), 1), 2 * hits / (taken.sum() + right.sum()), taken.sum()


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.8, 0.9]), st.booleans()), min_size=1, max_size=30))
def test_without_a_precision_it_is_the_threshold_of_the_best_f1(found):
    said = rows(*zip(*found, strict=True))
    threshold = substitute_threshold(said)
    if not any(right for _, right in found):
        assert threshold is None
        return
    assert threshold.chosen_on.f1 == pytest.approx(max(f1 for _, _, f1, _ in every_threshold(said)))
    assert threshold.reached


@given(st.integers(0, 50), st.sampled_from([0.6, 0.8, 0.9]))
def test_with_a_precision_it_finds_most_of_what_can_be_found_so_surely(seed, precision):
    said = drawn(seed, 80)
    threshold = substitute_threshold(said, precision=precision, least=5)
    sure = [recall for exact, recall, _, taken in every_threshold(said) if exact >= precision and taken >= 5]
    assert threshold.reached == bool(sure)
    if sure:
        assert threshold.chosen_on.precision >= precision
        assert threshold.chosen_on.recall == pytest.approx(max(sure))


def test_a_precision_that_no_threshold_reaches_is_told_and_the_best_f1_taken():
    said = rows([0.9, 0.8, 0.7, 0.6] * 10, [False, True, False, True] * 10)
    threshold = substitute_threshold(said, precision=0.99)
    assert not threshold.reached
    assert threshold.precision_asked == 0.99
    assert threshold.value == substitute_threshold(said).value


def test_a_precision_of_few_rows_is_not_believed():
    said = rows([0.99, 0.98, *([0.5] * 20)], [True, True, *([True, False] * 10)])
    assert not substitute_threshold(said, precision=0.9).reached
    assert substitute_threshold(said, precision=0.9, least=2).reached


def test_what_it_does_on_held_out_rows_is_counted_there():
    threshold = measured_at(substitute_threshold(drawn(1)), drawn(2))
    scores, right = drawn(2).probabilities[:, 0], drawn(2).labels == 0
    taken = scores >= threshold.value
    told = threshold.held_out
    assert (told.rows, told.of_class, told.taken) == (400, right.sum(), taken.sum())
    assert told.precision == pytest.approx(precision_score(right, taken))
    assert told.recall == pytest.approx(recall_score(right, taken))
    assert told.f1 == pytest.approx(f1_score(right, taken))
    assert told != threshold.chosen_on


def test_rounding_moves_no_row_to_the_other_side():
    said = rows([0.9, 0.7, 0.3, 0.2], [True, True, False, False])
    threshold = substitute_threshold(said)
    assert threshold.value == pytest.approx(0.5)
    shaken = rows([0.9, 0.7 - 1e-6, 0.3 + 1e-6, 0.2], [True, True, False, False])
    assert measured_at(threshold, shaken).held_out == threshold.chosen_on


def test_rows_in_any_order_give_the_same_threshold():
    said, order = drawn(5), np.random.default_rng(0).permutation(400)
    other = Predicted(said.probabilities[order], said.labels[order], said.classes)
    for precision in (None, 0.8):
        assert substitute_threshold(said, precision=precision) == substitute_threshold(other, precision=precision)


def test_without_the_class_or_a_row_of_it_there_is_none():
    assert substitute_threshold(rows([0.2, 0.3], [False, False])) is None
    assert substitute_threshold(rows([0.2, 0.3], [True, False]), label="substitute") is None
    assert substitute_threshold(rows([0.2, 0.3], [True, False]), label="I").label == "I"


@pytest.mark.parametrize("precision", [0.0, 1.5, float("nan")])
def test_a_precision_that_is_no_share_is_refused(precision):
    with pytest.raises(ValueError, match="precision is a share"):
        substitute_threshold(drawn(1), precision=precision)


def test_rows_of_other_classes_are_not_measured():
    threshold = substitute_threshold(drawn(1))
    other = Predicted(np.full((2, 2), 0.5), np.array([0, 1]), ("good", "bad"))
    with pytest.raises(ValueError, match="is of class 'S'"):
        measured_at(threshold, other)


def test_it_stands_in_the_record_of_its_model_and_is_read_back():
    said = Predicted(np.full((4, 4), 0.25), np.array([0, 1, 2, 3]), ESCI)
    threshold = measured_at(substitute_threshold(said), said)
    result = TrainingResult(
        model_id="20261120-195801-a3f9c1", task="relevance", base=BaseUsed("offline", "ab" * 32), substitutes=threshold
    )
    told = json.loads(json.dumps(document(result), allow_nan=False))
    assert from_document(told).substitutes == threshold
    assert isinstance(from_document(told).substitutes, SubstituteThreshold)
    schema = json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(told)) == []
    del told["substitutes"]  # as a model was recorded before there were any
    assert from_document(told).substitutes is None
