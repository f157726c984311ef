"""Two regressions without a network: as simple as rows kept aside want them."""

import numpy as np
import pytest

from retrain import baselines
from retrain.baselines import Texts, tfidf_regression
from retrain.classifier_settings import Weighting


def vectors(rows, *, told, features=40, seed=3):
    """Vectors of which the first `told` places say which of two classes a row is, the others nothing."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 2, rows)
    found = chance.normal(size=(rows, features)).astype(np.float32)
    found[:, :told] += 2.0 * labels[:, None]
    return found, labels


def known_of(features, labels, texts=None):
    return baselines._Known(features, labels, [f"text {n}" for n in range(len(labels))] if texts is None else texts)


def test_what_only_noise_would_explain_is_not_learnt_by_heart():
    features, labels = vectors(400, told=0, features=300)
    asked, _ = vectors(200, told=0, features=300, seed=4)
    said = baselines._regression(known_of(features, labels), asked, 2, Weighting.NONE)
    assert np.abs(said - 0.5).mean() < 0.2
    usual = baselines._fitted(features, labels, np.ones(2), 1.0).predict_proba(asked)
    assert np.abs(usual - 0.5).mean() > 0.3


def test_what_the_rows_do_tell_is_learnt():
    features, labels = vectors(400, told=3)
    asked, right = vectors(400, told=3, seed=4)
    said = baselines._regression(known_of(features, labels), asked, 2, Weighting.NONE)
    assert (said.argmax(1) == right).mean() > 0.9


def test_a_text_is_either_learnt_from_or_chosen_by_whatever_the_order():
    texts = [f"query {n // 4}" for n in range(200)]
    aside = baselines._kept_aside(texts)
    assert aside.sum() == 40
    assert not {t for t, kept in zip(texts, aside, strict=True) if kept} & {
        t for t, kept in zip(texts, aside, strict=True) if not kept
    }
    assert (baselines._kept_aside(texts[::-1]) == aside[::-1]).all()


def test_the_search_stops_where_it_gets_worse(monkeypatch):
    fitted, tried = baselines._fitted, []

    def noted(features, labels, weights, strength):
        tried.append(strength)
        return fitted(features, labels, weights, strength)

    monkeypatch.setattr(baselines, "_fitted", noted)
    features, labels = vectors(400, told=0, features=300)
    baselines._regression(known_of(features, labels), features, 2, Weighting.NONE)
    *searched, last = tried
    assert searched == list(baselines._STRENGTHS[: len(searched)])
    assert 1 < len(searched) < len(baselines._STRENGTHS)
    assert last == searched[-2]


@pytest.mark.parametrize(
    ("rows", "texts"), [(60, None), (200, ["the same query"] * 200)], ids=["too few rows", "one query alone"]
)
def test_where_nothing_can_be_chosen_by_the_usual_strength_is_taken(rows, texts):
    features, labels = vectors(rows, told=3)
    assert baselines._strength(known_of(features, labels, texts), np.ones(2)) == 1.0


def test_a_rare_class_is_named_more_often_where_classes_are_balanced():
    chance = np.random.default_rng(3)
    words = chance.choice(["red", "blue", "green"], (600, 4))
    labels = ((words == "red").sum(1) + chance.integers(0, 3, 600) > 4).astype(np.int64)
    rows = Texts([" ".join(some) for some in words])
    named = {
        weighting: (tfidf_regression(rows, labels, rows, 2, weighting).argmax(1) == 1).sum() for weighting in Weighting
    }
    assert 0 < labels.mean() < 0.15
    assert named[Weighting.BALANCED] > 2 * named[Weighting.NONE]


def test_of_one_class_alone_that_class_is_said():
    rows = Texts(["a lamp", "a bed"])
    assert tfidf_regression(rows, np.array([1, 1]), rows, 3, Weighting.BALANCED).tolist() == [[0, 1, 0]] * 2


def test_a_class_without_rows_is_never_said():
    features, labels = vectors(300, told=3)
    said = baselines._regression(known_of(features, 2 * labels), features, 4, Weighting.BALANCED)
    assert (said[:, [1, 3]] == 0).all()
    assert np.allclose(said.sum(1), 1)
