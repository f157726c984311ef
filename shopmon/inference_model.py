"""Which model of natural language inference is asked, and where does it lie?"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.errors import ShopmonError
from retrain.registry import Registered, Registry
from shopmon.project import Project

if TYPE_CHECKING:
    from retrain.results import TrainingProgress

TASK = "nli"
_ID = re.compile(r"\d{8}(-[0-9a-f-]*)?")
"""A registered model's id, or its beginning."""
_MODELS = (
    "Give a registered model of the task nli (shopmon models), the folder of a model of natural language inference, or "
    "the name of one on the hub, such as typeform/distilbert-base-uncased-mnli."
)

Progress = Callable[["TrainingProgress"], None]


def inference_model(given: str | None, project: Project, progress: Progress = lambda _: None) -> tuple[str, Path]:
    """The name and the folder of a model: a folder, a registered one by its id, one of the hub; else the champion.

    A registered model is held against its checksum; one of the hub is fetched where it is not here yet. Raises
    ShopmonError where there is none.
    """
    if given is not None and Path(given).is_dir():
        return given, Path(given)
    registry = Registry(project.models)
    if given is not None and not _is_registered(given, registry):
        return given, _from_hub(given, progress)
    found = registry.champion(TASK) if given is None else registry.get(given, TASK)
    if found is None:
        raise ShopmonError(
            "there is no champion of the task nli that could be asked",
            advice=f"Train one with: shopmon retrain --task nli. Or name a model: --model. {_MODELS}",
        )
    registry.verify(found)
    return found.model_id, found.folder


def inference_champion(project: Project) -> Registered | None:
    """The project's own model of natural language inference; None where there is none."""
    return Registry(project.models).champion(TASK)


def _from_hub(name: str, progress: Progress) -> Path:
    if Path(name).is_absolute() or name.startswith((".", "~")):
        raise ShopmonError(f"{name} is no folder", advice=_MODELS)
    from retrain.base import from_hub

    return from_hub(name, advice=_MODELS, progress=progress)


def _is_registered(name: str, registry: Registry) -> bool:
    """Whether a model's id is meant: a name that begins one, or looks so much like one that the hub has none such."""
    return bool(_ID.fullmatch(name)) or any(one.model_id.startswith(name) for one in registry.models(TASK))
