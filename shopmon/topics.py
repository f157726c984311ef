"""What do rules of a check learn of the topics that a project asks about?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from expectations.errors import ShopmonError
from shopmon.inference_model import inference_champion, inference_model
from shopmon.project import Project
from shopmon.settings import ZeroShotSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from monitor.edge_case_rules import EdgeCaseSettings
    from monitor.signals import Reader
    from retrain.hypotheses import Question
    from retrain.zero_shot import ZeroShot


def topic_readers(
    kind: str, settings: EdgeCaseSettings, project: Project, progress: Callable[[str], None]
) -> Mapping[str, Reader]:
    """What answers for `topic` and `topic_score`, if any rule names them and there is a model; else nothing.

    The model is loaded, with all that takes, when the first row is left to it. Raises ProjectError for topics that
    cannot be asked about.
    """
    from monitor.edge_case_rules import models_asked
    from monitor.signals import INFERENCE
    from monitor.topic_signals import topic_reader, unasked

    if INFERENCE not in models_asked(kind, settings):
        return {}
    said = project.settings.edge_cases.zero_shot
    if not said.labels:
        return {INFERENCE: unasked("no labels are listed in [edge_cases.zero_shot]")}
    name = _name(said, project)
    return {} if name is None else {INFERENCE: topic_reader(_Topics(name, _question(said, project), project, progress))}


def _name(said: ZeroShotSettings, project: Project) -> str | None:
    """The model that the project names, or its champion; None where there is neither."""
    if said.model is not None:
        return project.model_place(said.model)
    champion = inference_champion(project)
    return None if champion is None else champion.model_id


def _question(said: ZeroShotSettings, project: Project) -> Question:
    from expectations.errors import ProjectError
    from retrain.hypotheses import HYPOTHESIS, Question

    try:
        return Question(said.labels, said.hypothesis or HYPOTHESIS, said.multi)
    except ShopmonError as error:
        raise ProjectError(
            f"{project.file or project.folder}: [edge_cases.zero_shot]: {error.problem}", advice=error.advice
        ) from error


@dataclass(frozen=True)
class _Topics:
    """A model of natural language inference, asked about a project's topics."""

    model_id: str
    question: Question
    project: Project
    progress: Callable[[str], None]

    @property
    def topics(self) -> tuple[str, ...]:
        return self.question.labels

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        model = self._loaded
        return model([text[: model.longest_text] for text in texts])

    @cached_property
    def _loaded(self) -> ZeroShot:
        self.progress(f"loading the model {self.model_id}")
        from retrain.zero_shot import load_zero_shot

        said = self.project.settings.edge_cases.zero_shot
        try:
            _, folder = inference_model(self.model_id, self.project, lambda now: self.progress(now.doing))
            return load_zero_shot(folder, self.question, entailment=said.entailment, contradiction=said.contradiction)
        except ShopmonError as error:
            raise ShopmonError(
                f"the model {self.model_id} cannot be asked about topics: {error.problem}",
                advice=f"{error.advice} Or check without it: --only-rules.",
            ) from error
