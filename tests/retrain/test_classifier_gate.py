"""A classifier becomes champion if it is better, and of no class worse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from retrain.classification_measures import ESCI, GAINS, Predicted, classification_measures
from retrain.classifier_gate import judge_classifier, score
from retrain.classifier_settings import BestBy, ClassifierGateSettings
from retrain.results import Gate, Measures, Role


def model(right: float, classes: int = 4) -> Measures:
    """One that recognises a share of the rows."""
    labels = np.tile(np.arange(4) % classes, 100)
    knows = np.arange(400) % 100 < right * 100
    said = np.where(knows[:, None], np.eye(4)[labels], np.roll(np.eye(4)[labels], 1, 1)) * 0.9 + 0.025
    queries = [f"query {n // 8}" for n in range(400)]
    return Measures(classification=classification_measures(Predicted(said, labels, ESCI), queries=queries, gains=GAINS))


def judged(candidate: float, champion: float | None = None, **settings: float | None) -> Gate:
    measures: Mapping[Role, Measures] = {
        Role.TFIDF: model(0.5),
        Role.FROZEN: model(0.4),
        Role.CANDIDATE: model(candidate),
        **({} if champion is None else {Role.CHAMPION: model(champion)}),
    }
    return judge_classifier(measures, ClassifierGateSettings(**settings))


def failed(gate: Gate) -> set[str]:
    return {check.name for check in gate.failed}


def test_one_that_is_better_than_both_baselines_passes_without_a_champion():
    gate = judged(0.8)
    assert gate.passed
    assert {check.against for check in gate.checks} == {Role.TFIDF}, "the better one of both"
    assert {check.says for check in gate.checks if check.name == "class_f1"} == {f"F1 of class {c}" for c in ESCI}


@pytest.mark.parametrize(
    ("candidate", "champion", "names"),
    [
        (0.3, None, {"macro_f1", "ndcg", "class_f1"}),
        (0.8, 0.8, {"champion_macro_f1", "champion_ndcg"}),
        (0.7, 0.8, {"champion_macro_f1", "champion_ndcg", "class_f1"}),
        (0.9, 0.8, set()),
    ],
)
def test_one_that_is_not_better_is_kept_back(candidate, champion, names):
    assert failed(judged(candidate, champion)) == names


def test_one_that_errs_more_than_the_better_baseline_is_kept_back_where_that_is_asked():
    assert failed(judged(0.45, macro_f1=None, ndcg=None, class_f1=None, error=0.0)) == {"error"}
    assert judged(0.5, macro_f1=None, ndcg=None, class_f1=None, error=0.0).passed, "as good is not worse"
    assert failed(judged(0.7, 0.8, macro_f1=None, ndcg=None, class_f1=None, error=0.0)) == {"champion_error"}
    assert "error" not in {check.name for check in judged(0.8).checks}


def test_trees_on_the_frozen_encoder_are_a_baseline_as_well():
    measures = {Role.TFIDF: model(0.5), Role.BOOSTED: model(0.7), Role.CANDIDATE: model(0.6)}
    gate = judge_classifier(measures, ClassifierGateSettings(error=0.0))
    assert {check.against for check in gate.checks} == {Role.BOOSTED}
    assert {"error", "macro_f1"} <= failed(gate)


def test_checks_can_be_left_out_and_a_gate_that_asks_nothing_is_no_pass():
    assert {check.name for check in judged(0.8, macro_f1=None, class_f1=None).checks} == {"ndcg"}
    assert not judged(0.8, macro_f1=None, ndcg=None, class_f1=None).passed
    assert judge_classifier({Role.TFIDF: model(0.1)}, ClassifierGateSettings()) == Gate()


def test_an_order_that_nobody_could_decide_is_no_pass():
    alike = {role: model(0.8, classes=1) for role in (Role.TFIDF, Role.CANDIDATE)}
    (check,) = judge_classifier(alike, ClassifierGateSettings(macro_f1=None, class_f1=None)).checks
    assert (check.value, check.passed) == (None, False)
    assert "no query has held-out products that differ" in check.reason


def test_a_class_that_gets_worse_fails_by_its_name():
    gate = judged(0.5, 0.6, macro_f1=None, ndcg=None)
    assert [check.against for check in gate.failed] == [Role.CHAMPION] * 4


@pytest.mark.parametrize("by", list(BestBy))
def test_better_models_have_lower_scores(by):
    good, poor = model(0.9).classification, model(0.2).classification
    assert good is not None
    assert poor is not None
    assert score(good, by) < score(poor, by)
