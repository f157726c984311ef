"""Are wrong labels found, and right ones left alone?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.label_errors import suspected

SEEDS = range(20)


def judged(seed: int, *, wrong: float, rows: int = 500, sure: float = 3.0):
    """Probabilities of a model of four unlike classes, labels of which some were flipped, and which."""
    draw = np.random.default_rng(seed)
    true = draw.choice(4, rows, p=[0.5, 0.2, 0.1, 0.2])
    scores = draw.normal(size=(rows, 4))
    scores[np.arange(rows), true] += sure
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    flipped = draw.random(rows) < wrong
    labels = np.where(flipped, (true + draw.integers(1, 4, rows)) % 4, true)
    return probabilities, labels, flipped


@pytest.mark.parametrize("wrong", [0.05, 0.1, 0.2])
def test_planted_wrong_labels_are_found_and_hardly_any_other(wrong):
    right, found, planted = 0, 0, 0
    for seed in SEEDS:
        probabilities, labels, flipped = judged(seed, wrong=wrong)
        told = suspected(probabilities, labels)
        right, found, planted = right + (told & flipped).sum(), found + told.sum(), planted + flipped.sum()
    assert right / found > 0.97, "precision"
    assert right / planted > 0.65, "recall"


def test_of_clean_labels_hardly_any_is_suspected():
    shares = [suspected(*judged(seed, wrong=0.0)[:2]).mean() for seed in SEEDS]
    assert np.mean(shares) < 0.005


def test_a_model_that_is_often_wrong_itself_suspects_clean_labels():
    """What docs/edge-cases.md warns of."""
    shares = {
        sure: np.mean([suspected(*judged(s, wrong=0.0, sure=sure)[:2]).mean() for s in SEEDS]) for sure in (1.5, 2)
    }
    assert shares[1.5] > shares[2] > 0.02


@pytest.mark.parametrize("labels", [[], [1, 1, 1], [-1, -1, 0]], ids=["no rows", "one class", "one label"])
def test_with_nothing_to_tell_apart_nothing_is_suspected(labels):
    probabilities = np.full((len(labels), 3), 1 / 3)
    assert not suspected(probabilities, np.array(labels, dtype=np.int64)).any()


def test_a_class_that_nobody_gave_is_no_obstacle():
    probabilities, labels, flipped = judged(1, wrong=0.1)
    kept = labels != 2
    told = suspected(probabilities[kept], labels[kept])
    assert (told & flipped[kept]).sum() > 0.6 * flipped[kept].sum()


def test_rows_without_label_or_answer_are_never_suspected_and_change_nothing():
    probabilities, labels, _ = judged(2, wrong=0.1)
    known = suspected(probabilities, labels)
    answers = np.vstack([probabilities, [[np.nan] * 4, [0.0, 1.0, 0.0, 0.0]]])
    more = suspected(answers, np.append(labels, [0, -1]))
    assert more.tolist() == [*known, False, False]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) and labels \(1,\)"):
        suspected(np.full((2, 3), 1 / 3), np.array([0]))
    with pytest.raises(ValueError, match="between -1 and 2, got 0 to 3"):
        suspected(np.full((2, 3), 1 / 3), np.array([0, 3]))


@st.composite
def answers(draw):
    rows, classes = draw(st.integers(0, 40)), draw(st.integers(2, 4))
    weights = draw(arrays(float, (rows, classes), elements=st.sampled_from([0.01, 0.1, 0.5, 1.0, 3.0, 10.0])))
    labels = draw(arrays(np.int64, rows, elements=st.integers(-1, classes - 1)))
    order = np.array(draw(st.permutations(range(rows))), dtype=np.int64)
    return weights / weights.sum(axis=1, keepdims=True), labels, order, np.array(draw(st.permutations(range(classes))))


@settings(max_examples=150)
@given(answers())
def test_neither_the_order_of_rows_nor_that_of_classes_counts(drawn):
    probabilities, labels, order, classes = drawn
    told = suspected(probabilities, labels)
    assert suspected(probabilities[order], labels[order]).tolist() == told[order].tolist()
    renumbered = np.where(labels < 0, -1, np.argsort(classes)[labels])
    assert suspected(probabilities[:, classes], renumbered).tolist() == told.tolist()
    assert not told[labels < 0].any()
    assert not told[(labels >= 0) & (labels == probabilities.argmax(axis=1))].any()
