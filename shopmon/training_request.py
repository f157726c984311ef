"""What can be asked of a training, and what does that change in the project's settings?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from expectations.errors import ShopmonError
from retrain.settings import OFFLINE, Recipe
from shopmon.project import Project
from shopmon.rooms import CLASSIFIERS

if TYPE_CHECKING:
    from retrain.classifier_settings import ClassifierSettings, ClassifierTraining
    from retrain.results import TrainingProgress
    from retrain.settings import MlmSettings, Training

    AnyTraining = TypeVar("AnyTraining", Training, ClassifierTraining)
    AnyClassifier = TypeVar("AnyClassifier", bound=ClassifierSettings)

TRACKERS = ("tensorboard", "mlflow", "wandb")
"""What a training can tell, beside metrics.jsonl; each an extra."""
PRESETS = {"relevance": ("liyuan", "esci-ce"), "category": ("batched", "aws"), "nli": ("run_glue",)}
"""Task → what its preset may be."""
_TRAINING = ("steps", "epochs", "batch_size", "learning_rate", "seed", "report_to")
"""What stands under the same name in the settings of a training."""


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What to train, and how; None means: as the project says."""

    task: str = "mlm"
    """Which model: `mlm`, the masked language model, or a classifier: `relevance` of query and product, `sentiment` of
    reviews, `category` of products, `nli` of what follows from a text."""
    base: str | Path | None = None
    """A name on the hub, a folder, or `offline`."""
    steps: int | None = None
    """Steps at most."""
    epochs: float | None = None
    """Passes over the rows that are learnt from, instead of steps."""
    batch_size: int | None = None
    """Rows of a step, over all processes."""
    learning_rate: float | None = None
    seed: int | None = None
    """The same seed, data and machine give the same weights."""
    recipe: str | None = None
    """`full`, `plain` or `plain_all`; of `mlm` alone."""
    general_text: str | Path | None = None
    """A file of general text; of `mlm` alone."""
    preset: str | None = None
    """A recipe: of `relevance` `liyuan` or `esci-ce`, of `category` `batched` or `aws`, of `nli` `run_glue`."""
    split: str | None = None
    """`grouped`, `hash`, `stratified` or `published`: how labelled rows are dealt; of classifiers."""
    report_to: Sequence[str] | None = None
    """Some of `tensorboard`, `mlflow`, `wandb`."""
    resume: bool = False
    """Go on with the newest training that was not finished; it keeps the settings it began with."""
    promote: bool = False
    """Make the candidate champion whatever the gate says; that is recorded."""
    project: Project | str | Path | None = None
    """A project, or the folder that holds its `shopmon.toml`; None: the nearest one upwards."""
    progress: Callable[[TrainingProgress], None] = field(default=lambda _: None, repr=False)
    """Told how far the training is."""

    def check(self) -> None:
        """Raise ShopmonError for what makes no sense, whatever the project says."""
        said = [name for name in _SETTINGS if getattr(self, name) is not None]
        if self.resume and said:
            raise ShopmonError(
                f"a training that goes on keeps the settings it began with, and {', '.join(said)} was given",
                advice="Leave it out to go on, or leave out resume to begin a new training.",
            )
        for name, tasks in _ONLY.items():
            if getattr(self, name) is not None and self.task not in tasks:
                raise ShopmonError(
                    f"{name} belongs to the task {' or '.join(tasks)}, and {self.task} was asked for",
                    advice="Leave it out.",
                )
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0)):
            _check(name, getattr(self, name), f"a whole number of {least} or more", _whole(least))
        for name in ("epochs", "learning_rate"):
            _check(name, getattr(self, name), "a number above 0", _above_zero)
        if self.steps is not None and self.epochs is not None:
            raise ShopmonError("steps and epochs both say how long to train", advice="Give one of them.")
        for name, values, known in (
            ("recipe", [self.recipe], [*Recipe]),
            ("report_to", self.report_to or (), TRACKERS),
            ("preset", [self.preset], PRESETS.get(self.task, ())),
            ("split", [self.split], ["grouped", "hash", "stratified", "published"]),
        ):
            for value in values:
                _check(name, value, f"one of {', '.join(known)}", known.__contains__)

    def applied_to(self, settings: MlmSettings) -> MlmSettings:
        """A project's settings with what was asked for in their place."""
        changes: dict[str, Any] = {"training": self._applied(settings.training)}
        if self.base is not None:
            changes["base"] = _place(self.base)
        if self.general_text is not None:
            changes["general_text"] = Path(self.general_text).expanduser().absolute()
        if self.recipe is not None:
            changes["objective"] = replace(settings.objective, recipe=Recipe(self.recipe))
        return replace(settings, **changes)

    def applied_to_classifier(self, settings: AnyClassifier) -> AnyClassifier:
        """The same for a classifier; the preset is in the settings already."""
        from retrain.splits import How

        training = self._applied(settings.training)
        split = replace(settings.split, seed=training.seed)
        if self.split is not None:
            split = replace(split, how=How(self.split))
        base = settings.base if self.base is None else _place(self.base)
        return replace(settings, base=base, training=training, split=split)

    def _applied(self, training: AnyTraining) -> AnyTraining:
        said = {name: getattr(self, name) for name in _TRAINING if getattr(self, name) is not None}
        if "report_to" in said:
            said["report_to"] = tuple(dict.fromkeys(said["report_to"]))
        if self.epochs is not None:
            said["steps"] = None  # the project's steps would win over the epochs that were asked for
        return replace(training, **said)


_ONLY = {"recipe": ("mlm",), "general_text": ("mlm",), "preset": tuple(PRESETS), "split": CLASSIFIERS}
"""What can be asked of some tasks alone → which."""
_SETTINGS = tuple(
    one.name for one in fields(TrainingRequest) if one.default is None and one.name not in ("task", "project")
)


def _place(base: str | Path) -> str:
    """A base as it is found from any folder: a path is made absolute, a name of the hub stays."""
    place, written = Path(base).expanduser(), str(base)
    is_path = isinstance(base, Path) or written.startswith((".", "~")) or place.is_dir()
    return str(place.absolute()) if is_path and written != OFFLINE else written


def _check(name: str, value: Any, expected: str, fits: Callable[[Any], bool]) -> None:
    if value is not None and not fits(value):
        raise ShopmonError(f"{name} is {value!r}, and must be {expected}", advice="Correct it, or leave it out.")


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _above_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0
