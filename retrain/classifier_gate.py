"""May a classifier become champion?

Better than the better baseline, and than the champion, in what it is for, and of no class worse by more than chance. A
number that could not be measured is no pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retrain.classifier_settings import BestBy, ClassifierGateSettings
from retrain.results import ClassificationMeasures, Gate, GateCheck, Measures, Role

BASELINES = (Role.TFIDF, Role.FROZEN, Role.BOOSTED)
_NO_ORDER = "no query has held-out products that differ in gain"


def judge_classifier(measures: Mapping[Role, Measures], settings: ClassifierGateSettings) -> Gate:
    """Hold a candidate against the baselines and, where there is one, the champion.

    >>> judge_classifier({}, ClassifierGateSettings()).passed
    False
    """
    found = {role: one.classification for role, one in measures.items() if one.classification is not None}
    candidate = found.get(Role.CANDIDATE)
    if candidate is None:
        return Gate()
    beside = {role: one for role, one in found.items() if role in BASELINES}
    checks = [*_better(candidate, beside, settings, "")]
    champion: dict[Role, ClassificationMeasures] = {role: found[role] for role in found if role == Role.CHAMPION}
    checks += _better(candidate, champion, settings, "champion_")
    checks += _no_class_worse(candidate, champion or beside, settings)
    return Gate(tuple(checks))


def score(found: ClassificationMeasures, by: BestBy) -> float:
    """What a training is stopped by, lower is better: the loss, or what is missing to 1."""
    if by is BestBy.LOSS:
        return found.loss
    if by is BestBy.NDCG:
        ranked = next(iter(found.ranking.values()), None)
        return 1 - ranked.ndcg if ranked and ranked.decided else 1.0
    return 1 - found.macro_f1


def _better(
    candidate: ClassificationMeasures,
    beside: Mapping[Role, ClassificationMeasures],
    settings: ClassifierGateSettings,
    before: str,
) -> Iterator[GateCheck]:
    if not beside:
        return
    if settings.error is not None:
        role = max(beside, key=lambda one: beside[one].accuracy)
        limit = min(1 - beside[role].accuracy + settings.error, 1.0)
        yield GateCheck(f"{before}error", "share of wrong rows", 1 - candidate.accuracy, limit, True, role)
    if settings.macro_f1 is not None:
        role = max(beside, key=lambda one: beside[one].macro_f1)
        limit = beside[role].macro_f1 + settings.macro_f1
        yield GateCheck(f"{before}macro_f1", "F1, mean of the classes", candidate.macro_f1, limit, False, role)
    if settings.ndcg is not None and candidate.ranking:  # others tell classes apart, and put nothing in order
        yield _order(candidate, beside, settings.ndcg, f"{before}ndcg")


def _order(
    candidate: ClassificationMeasures, beside: Mapping[Role, ClassificationMeasures], gain: float, name: str
) -> GateCheck:
    by = next(iter(candidate.ranking), "")
    says = f"nDCG of the held-out queries, gains {by}"
    known = {role: one.ranking[by].ndcg for role, one in beside.items() if by in one.ranking}
    if not known or not candidate.ranking[by].decided:
        return GateCheck(name, says, None, 0.0, False, next(iter(beside)), _NO_ORDER)
    role = max(known, key=lambda one: known[one])
    return GateCheck(name, says, candidate.ranking[by].ndcg, min(known[role] + gain, 1.0), False, role)


def _no_class_worse(
    candidate: ClassificationMeasures,
    beside: Mapping[Role, ClassificationMeasures],
    settings: ClassifierGateSettings,
) -> Iterator[GateCheck]:
    if settings.class_f1 is None or not beside:
        return
    role = max(beside, key=lambda one: beside[one].macro_f1)
    before = {one.label: one for one in beside[role].classes}
    for one in candidate.classes:
        if one.rows and one.label in before:
            limit = max(before[one.label].f1 - settings.class_f1, 0.0)
            yield GateCheck("class_f1", f"F1 of class {one.label}", one.f1, limit, False, role)
