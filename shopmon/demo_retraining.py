"""What does a retraining on the demonstration's own rows come to?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from expectations.errors import ShopmonError
from retrain.settings import OFFLINE
from shopmon.project import Project
from shopmon.words_summary import TASK, WordsFound, words_of

if TYPE_CHECKING:
    from retrain.data import Gathered
    from retrain.registry import Registered, Registry
    from retrain.results import TrainingProgress, TrainingResult

TOP, SCORED = 5, 12
"""Words of each model that are shown, and so many of the last; and of the listed words, the likeliest ones."""
_NO_HUB = "HF_HUB_OFFLINE"


@dataclass(frozen=True)
class Retrained:
    """A model that learnt from the rows that the demonstration's checks gathered."""

    result: TrainingResult
    words: WordsFound | None
    """Base beside this model for one prompt of the gate; None where the project has no prompt."""
    new: bool
    """Whether it was trained now; False for that of an earlier demonstration, from the same rows and settings."""


@dataclass(frozen=True)
class Untrained:
    """Why there is no model."""

    problem: str
    advice: str = ""


def retrained(project: Project, *, progress: Callable[[str], None] = lambda _: None) -> Retrained | Untrained:
    """Train the project's masked model, or find the one that was trained from the same rows with the same settings.

    Without the extra `offline`, with too few rows and the like there is none, and the answer says why: what was checked
    stands all the same. With the base `offline` no network is touched.
    """
    with _without_hub(project):
        try:
            return _retrained(project, progress)
        except ShopmonError as error:
            return Untrained(error.problem, error.advice)


@contextmanager
def _without_hub(project: Project) -> Iterator[None]:
    before = os.environ.get(_NO_HUB)
    if project.base == OFFLINE:
        os.environ[_NO_HUB] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_NO_HUB, None)
        else:
            os.environ[_NO_HUB] = before


def _retrained(project: Project, progress: Callable[[str], None]) -> Retrained:
    from monitor.retraining_set import RetrainingSet
    from retrain.data import gathered
    from shopmon.console import training_line
    from shopmon.retraining import models, retrain

    if project.base == OFFLINE:
        from monitor.embeddings import offline_model

        offline_model()  # before the texts are read: without it nothing can come of them

    def told(now: TrainingProgress) -> None:
        progress(training_line(now))

    progress("reading what was gathered")
    rows = gathered(RetrainingSet(project.retraining), project.cache)
    _check_enough(rows, project)  # before a base is made for nothing
    earlier = _earlier(models(project), rows.sha256, project)
    result = earlier or retrain(project=project, progress=told)
    prompt = next(iter(_asked(project)), None)
    words = _words(project, prompt, result.model_id, progress) if prompt else None
    return Retrained(result, words, new=earlier is None)


def _words(project: Project, prompt: str, model_id: str, progress: Callable[[str], None]) -> WordsFound:
    found = words_of(project, prompt, model_id, top=TOP, progress=progress)
    return replace(found, scores=found.scores[:SCORED])


def _asked(project: Project) -> tuple[str, ...]:
    from retrain.prompts import asked

    return asked(project.prompts.gate, project.words.brands)


def _check_enough(rows: Gathered, project: Project) -> None:
    from retrain.data import FEWEST, of_role, split

    learnt, _ = split(of_role(rows.rows, "positive"), project.settings.retrain.held_out)
    if len(learnt) < FEWEST:
        raise ShopmonError(
            f"the checks gathered {len(learnt)} positive rows to learn from; {FEWEST} are the least",
            advice="Give more --rows.",
        )


def _earlier(registry: Registry, rows: str, project: Project) -> TrainingResult | None:
    """What a training said that read the same rows (their SHA-256) with the same settings; the champion's first."""
    from retrain.records import from_document

    settings = _settings(project)
    same = [model for model in registry.models(TASK) if _is_of(model, rows, settings)]
    same.sort(key=lambda model: not model.is_champion)
    return from_document(same[0].document) if same else None


def _is_of(model: Registered, rows: str, settings: dict[str, Any]) -> bool:
    document = model.document
    return bool(document["data"]["sha256"] == rows and document["settings"] == settings)


def _settings(project: Project) -> dict[str, Any]:
    """What a training would be asked now, as it is recorded."""
    from pydantic import TypeAdapter

    from retrain.settings import MlmSettings
    from shopmon.rooms import mlm_settings

    return dict(TypeAdapter(MlmSettings).dump_python(mlm_settings(project), mode="json"))
