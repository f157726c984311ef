"""Heads on vectors of texts, and on what stands beside them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expectations.errors import ShopmonError
from retrain.classifier_settings import Weighting
from retrain.heads import (
    LINEAR_FILE,
    SETTINGS,
    TREES_FILE,
    Features,
    Fitting,
    Head,
    Known,
    LinearHead,
    fit_logistic,
    fit_trees,
    load_head,
    save_head,
)
from retrain.results import HeadMethod
from retrain.tabular import Columns, encoding_of

CLASSES = ("bag", "lamp", "shoe")
FITTING = Fitting(3, Weighting.NONE, 1)


def rows(seed: int, count: int = 240) -> Known:
    """Vectors that tell two of three classes apart, and a brand and a price that tell the others."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    vectors = draw.normal(size=(count, 6))
    vectors[:, 0] += 4 * (labels == 0)
    brands = [("Acme", "Puma", "Nike")[label] if draw.random() < 0.95 else None for label in labels]
    prices = np.where(draw.random(count) < 0.2, np.nan, labels * 10.0 + draw.normal(size=count))
    return Known(Features(vectors, Columns(count, {"price": prices}, {"brand": brands})), labels)


TRAIN, VALIDATION, HELD_OUT = rows(1), rows(2), rows(3)
ENCODING = encoding_of(TRAIN.features.columns)
OWN = LinearHead(np.zeros((3, 6)), np.zeros(3), method=HeadMethod.LINEAR)


def fitted(method: HeadMethod, *, columns: bool) -> Head:
    encoding = ENCODING if columns else None
    if method is HeadMethod.LOGISTIC:
        return fit_logistic(TRAIN, VALIDATION, FITTING, encoding)
    return fit_trees(TRAIN, FITTING, encoding)


def error(head: Head) -> float:
    said = head.probabilities(HELD_OUT.features)
    assert said.sum(1) == pytest.approx(1.0)
    return float((said.argmax(1) != HELD_OUT.labels).mean())


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
def test_columns_beside_the_text_tell_what_the_text_does_not(method):
    assert error(fitted(method, columns=False)) > 0.25
    assert error(fitted(method, columns=True)) < 0.05


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
@pytest.mark.parametrize("columns", [True, False])
def test_a_head_says_the_same_after_it_was_kept(tmp_path, method, columns):
    head = fitted(method, columns=columns)
    save_head(head, tmp_path)
    again = load_head(tmp_path, CLASSES, OWN)
    assert (again.method, again.encoding) == (method, head.encoding)
    assert again.probabilities(HELD_OUT.features) == pytest.approx(head.probabilities(HELD_OUT.features), abs=1e-6)
    assert not list(tmp_path.glob("*.pkl"))


def test_the_encoders_own_layer_is_kept_where_the_encoder_is(tmp_path):
    save_head(OWN, tmp_path)
    assert load_head(tmp_path, CLASSES, OWN) is OWN
    assert [file.name for file in tmp_path.iterdir()] == [SETTINGS]


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
def test_the_same_rows_and_seed_give_the_same_head(tmp_path, method):
    name = LINEAR_FILE if method is HeadMethod.LOGISTIC else TREES_FILE
    said = []
    for place in (tmp_path / "a", tmp_path / "b"):
        place.mkdir()
        save_head(fitted(method, columns=True), place)
        said.append((place / name).read_bytes())
    assert said[0] == said[1]


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
def test_values_that_were_never_seen_are_missing_and_no_trouble(method):
    head = fitted(method, columns=True)
    strange = Columns(2, {"price": np.array([np.inf, np.nan])}, {"brand": ["Unheard of", None]})
    said = head.probabilities(Features(np.zeros((2, 6)), strange))
    assert said[0] == pytest.approx(said[1])


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
def test_no_rows_have_no_probabilities(method):
    nothing = Features(np.zeros((0, 6)), Columns(0))
    assert fitted(method, columns=False).probabilities(nothing).shape == (0, 3)


@pytest.mark.parametrize("labels", [[0, 2], [2]])
def test_a_class_that_nothing_was_learnt_of_is_not_said(labels):
    some = np.isin(TRAIN.labels, labels)
    train = Known(Features(TRAIN.features.vectors[some], Columns(int(some.sum()))), TRAIN.labels[some])
    logistic = fit_logistic(train, VALIDATION, FITTING).probabilities(HELD_OUT.features)
    assert logistic[:, 1].max() < 1e-6
    trees = fit_trees(train, FITTING).probabilities(HELD_OUT.features)
    assert trees[:, 1].max() < 0.05


def test_two_classes_are_told_apart_by_the_right_one():
    labels = (TRAIN.labels == 0).astype(np.int64)
    two = replace(FITTING, classes=2)
    asked = (HELD_OUT.labels == 0).astype(np.int64)
    head = fit_logistic(replace(TRAIN, labels=labels), replace(VALIDATION, labels=(VALIDATION.labels == 0) * 1), two)
    assert (head.probabilities(HELD_OUT.features).argmax(1) == asked).mean() > 0.9


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
def test_a_rare_class_counts_as_much_as_the_others_where_that_is_asked_for(method):
    draw = np.random.default_rng(5)
    labels = np.array([0] * 380 + [1] * 20)
    vectors = draw.normal(size=(400, 3)) + labels[:, None]
    known = Known(Features(vectors, Columns(400)), labels)

    def found(weighting: Weighting) -> int:
        how = Fitting(2, weighting, 1)
        head = fit_logistic(known, known, how) if method is HeadMethod.LOGISTIC else fit_trees(known, how)
        other = draw.normal(size=(2_000, 3)) + 1
        return int((head.probabilities(Features(other, Columns(2_000)))[:, 1] > 0.5).sum())

    assert found(Weighting.BALANCED) > found(Weighting.NONE)


# --- damaged, or of another model -------------------------------------------------------------------------------------


def test_trees_whose_checksum_is_another_are_not_even_read(tmp_path):
    save_head(fitted(HeadMethod.XGBOOST, columns=False), tmp_path)
    (tmp_path / TREES_FILE).write_bytes(b"{L\x00\x00")
    with pytest.raises(ShopmonError, match="checksum is another"):
        load_head(tmp_path, CLASSES, OWN)


def told(folder: Path, **changes: object) -> None:
    said = json.loads((folder / SETTINGS).read_text())
    (folder / SETTINGS).write_text(json.dumps({**said, **changes}))


@pytest.mark.parametrize("method", [HeadMethod.LOGISTIC, HeadMethod.XGBOOST])
@pytest.mark.parametrize(
    ("changes", "classes"),
    [
        ({"version": 9}, 3),
        ({"method": "pickle"}, 3),
        ({"columns": 7}, 3),
        ({"columns": {"numbers": [{"name": "a", "mean": 0.0, "spread": 1.0}], "categories": []}}, 3),
        ({}, 4),
        ({"sha256": "00"}, 3),
    ],
)
def test_a_head_that_does_not_fit_is_refused_by_name(tmp_path, method, changes, classes):
    save_head(fitted(method, columns=False), tmp_path)
    told(tmp_path, **changes)
    with pytest.raises(ShopmonError, match=r"the head in .* cannot be used"):
        load_head(tmp_path, [str(one) for one in range(classes)], OWN)


def test_a_head_of_other_vectors_is_refused(tmp_path):
    for method in (HeadMethod.LOGISTIC, HeadMethod.XGBOOST):
        save_head(fitted(method, columns=False), tmp_path)
        with pytest.raises(ShopmonError, match="cannot be used"):
            load_head(tmp_path, CLASSES, LinearHead(np.zeros((3, 7)), np.zeros(3), method=HeadMethod.LINEAR))


def test_a_head_that_is_missing_is_told(tmp_path):
    with pytest.raises(ShopmonError, match="cannot be used"):
        load_head(tmp_path, CLASSES, OWN)
