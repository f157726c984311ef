"""Which model says what a product is to a query, and how did it learn to read products?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expectations.errors import ShopmonError
from shopmon.project import Project

if TYPE_CHECKING:
    from retrain.ranking import Judge
    from retrain.results import SubstituteThreshold

TASK = "relevance"


@dataclass(frozen=True)
class RelevanceModel:
    """A cross-encoder of the registry, ready to answer."""

    model_id: str
    judge: Judge
    product_text: tuple[str, ...]
    """Attributes of a product that it learnt to read, in their order."""
    threshold: SubstituteThreshold | None
    """From which probability on it takes a product for a substitute; None where its training chose none."""


def relevance_model(
    project: Project, model_id: str | None = None, *, progress: Callable[[str], None] = lambda _: None
) -> RelevanceModel:
    """The project's champion of the task relevance, or another model of it, whose weights are verified first.

    Raises ShopmonError where there is none, with what to do, and for one that is damaged.
    """
    from retrain.ranking import Judge
    from retrain.records import from_document
    from retrain.registry import Registry
    from retrain.scorer import load_scorer

    registry = Registry(project.models)
    found = registry.champion(TASK) if model_id is None else registry.get(model_id, TASK)
    if found is None:
        raise ShopmonError(
            "there is no champion of the task relevance, which says what a product is to a query",
            advice="Train one with: shopmon retrain --task relevance. Or name a model of that task: --model ID.",
        )
    progress(f"loading the model {found.model_id}")
    registry.verify(found)
    result = from_document(found.document)
    read = _part(result.settings, "pairs")
    scorer = load_scorer(found.folder)
    try:
        judge = Judge(scorer, _gains(scorer.classes, _part(result.settings, "gains")))
    except ValueError as error:
        raise ShopmonError(
            f"the model {found.model_id} cannot rank: {error}",
            advice="Train one whose gains name every class: [retrain.relevance.gains].",
        ) from error
    return RelevanceModel(found.model_id, judge, tuple(read.get("product_text") or ("title",)), result.substitutes)


def _gains(classes: tuple[str, ...], own: Mapping[str, Any]) -> Mapping[str, float]:
    """What showing a product of each class is worth: what the gate asked by. Raises ValueError for gains of others."""
    from retrain.pairs import PairSettings
    from retrain.relevance import RelevanceSettings

    settings = RelevanceSettings(pairs=PairSettings(classes=classes), gains=own)
    return dict(next(iter(settings.all_gains.values())))


def _part(settings: Mapping[str, object], name: str) -> Mapping[str, Any]:
    """A table of a training's settings; empty where an earlier shopmon did not write it down."""
    found = settings.get(name)
    return found if isinstance(found, Mapping) else {}
