"""What do the project's champions say of the rows of a batch, when a check asks them?

A champion is looked for where a check could ask it, and loaded, with all that takes, where it must read a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from expectations.errors import ShopmonError
from shopmon.project import Project
from shopmon.request import Request

if TYPE_CHECKING:
    import numpy as np

    from monitor.edge_case_rules import EdgeCaseSettings
    from monitor.pair_signals import Counting, PairReading
    from retrain.model_signals import ModelSignals
    from retrain.registry import Registered

KIND_OF_PAIRS = "relevance"


@dataclass(frozen=True)
class MaskedChampion:
    """The masked model, as rules ask it."""

    model_id: str
    says: Callable[[Sequence[str]], Mapping[str, np.ndarray]]
    """`monitor.signals.MODEL_SIGNALS` of texts."""


@dataclass(frozen=True)
class PairChampion:
    """The relevance model, as rules and comparisons ask it."""

    of_reference: PairReading
    """Its answers are kept: those of one reference are asked for once."""
    of_batch: PairReading
    rows: int
    """Pairs of each side that it reads at most, to be compared."""
    in_rules: bool
    """Whether any rule asks it."""

    @property
    def compared_by(self) -> tuple[Counting, Counting] | None:
        """Who asks it of the reference's pairs and of the batch's; None where it is not to be compared."""
        return (self.of_reference.counting(), self.of_batch.counting()) if self.rows else None


def masked_champion(kind: str, settings: EdgeCaseSettings, project: Project, request: Request) -> MaskedChampion | None:
    """The project's masked model, if any rule asks what it says; None where there is none."""
    from monitor.edge_case_rules import models_asked
    from monitor.signals import MASKED

    champion = _champion(MASKED, project) if MASKED in models_asked(kind, settings) else None
    return None if champion is None else MaskedChampion(champion.model_id, _reads(champion, settings, project, request))


def pair_champion(
    kind: str, settings: EdgeCaseSettings, project: Project, request: Request, *, compares: bool
) -> PairChampion | None:
    """The project's relevance model, if the batch holds pairs and anything asks of it; None where there is none.

    `compares` says whether there is a reference to compare with.
    """
    from monitor.edge_case_rules import models_asked
    from monitor.pair_signals import PairReading
    from monitor.signals import RELEVANCE

    rows = project.settings.drift.model_rows if compares else 0
    in_rules = RELEVANCE in models_asked(kind, settings)
    if kind != KIND_OF_PAIRS or not (rows or in_rules):
        return None
    champion = _champion(RELEVANCE, project)
    if champion is None:
        return None
    from retrain.pair_answers import AnswersOnDisk, PairAnswerer
    from retrain.registry import Registry

    model = PairAnswerer(Registry(project.models), champion, progress=request.progress)
    kept = AnswersOnDisk(project.cache / "answers", model.weights)
    return PairChampion(PairReading(model, kept), PairReading(model), rows, in_rules)


def _champion(task: str, project: Project) -> Registered | None:
    from retrain.registry import Registry

    return Registry(project.models).champion(task)


def _reads(
    champion: Registered, settings: EdgeCaseSettings, project: Project, request: Request
) -> Callable[[Sequence[str]], Mapping[str, np.ndarray]]:
    """What the masked model says of texts; it is loaded when it is asked for the first time.

    Asking raises ShopmonError for a champion that is damaged.
    """

    @cache
    def loaded() -> ModelSignals:
        request.progress(f"loading the model {champion.model_id}")
        from retrain.loading import load_masked_lm
        from retrain.model_signals import ModelSignals
        from retrain.registry import Registry

        try:
            Registry(project.models).verify(champion)
            return ModelSignals(load_masked_lm(champion.folder), settings.words, matching=settings.matching)
        except ShopmonError as error:
            raise ShopmonError(
                f"the champion {champion.model_id} cannot be asked: {error.problem}",
                advice="Go back to the one before it (shopmon models rollback), or check without it: --only-rules.",
            ) from error

    return lambda texts: loaded()(texts)
