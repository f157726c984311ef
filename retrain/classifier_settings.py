"""How is a classifier trained, and when is it good enough?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from retrain.settings import HUB_BASE
from retrain.splits import SplitSettings


class Weighting(StrEnum):
    """How much a row counts, by its class."""

    NONE = "none"
    BALANCED = "balanced"
    """Each class counts as much as every other: a row by the inverse of its class's share (King and Zeng, 2001)."""


class BestBy(StrEnum):
    """By which figure on the validation rows the best weights of a training are chosen."""

    LOSS = "loss"
    MACRO_F1 = "macro_f1"
    NDCG = "ndcg"


@dataclass(frozen=True)
class ClassifierTraining:
    """How long and how fast a classifier learns. The defaults are those of LiYuan/amazon-query-product-ranking."""

    steps: int | None = None
    """Steps at most; None: `epochs` over the training rows."""
    epochs: float = 2.0
    """Passes over the training rows, where `steps` says nothing."""
    batch_size: int = 16
    """Rows of a step, over all processes."""
    learning_rate: float = 2e-5
    """Of AdamW, at its highest; the offline base, a third of DistilBERT's size, learns best at about 1e-4."""
    weight_decay: float = 0.0
    warmup: float = 0.0
    """Share of the steps over which the learning rate grows from 0; afterwards it falls linearly to 0."""
    max_grad_norm: float = 1.0
    """Gradients of a longer norm are shortened to it."""
    max_length: int = 512
    """Tokens of query and product together; what is longer is cut at the end of the longer one."""
    evaluations: float = 1.0
    """Evaluations in an epoch, each with a checkpoint."""
    evaluate_every: int | None = None
    """Steps between two evaluations; None: as `evaluations` says."""
    patience: int = 5
    """Evaluations without a better one after which the training stops."""
    eval_rows: int = 5_000
    """Validation rows that are measured on the way at most, whole groups of them."""
    bf16: bool | None = None
    """Whether to compute in bfloat16; None: where the hardware has it."""
    seed: int = 42
    """The same seed, data and machine give the same weights."""
    report_to: tuple[str, ...] = ()
    """tensorboard, mlflow or wandb: told by the Trainer, beside metrics.jsonl."""


@dataclass(frozen=True)
class ClassifierObjective:
    """What is minimised: cross-entropy, changed where classes are of unlike size or labels are doubtful."""

    class_weights: Weighting = Weighting.NONE
    """Against the imbalance of classes; the published recipes do without."""
    focal_gamma: float = 0.0
    """Exponent by which rows that are recognised already count less (Lin et al., Focal Loss, 2017); 0: none."""
    label_smoothing: float = 0.0
    """Share of a label (0–1) that is spread over all classes (Szegedy et al., 2016); 0: none."""


@dataclass(frozen=True)
class ClassifierGateSettings:
    """What a candidate must reach to become champion; None leaves a check out."""

    macro_f1: float | None = 0.001
    """How much better (0–1) than the better baseline, and than the champion, the macro-averaged F1 must be."""
    ndcg: float | None = 0.001
    """The same of the nDCG, by the first set of gains."""
    class_f1: float | None = 0.02
    """How much lower (0–1) than the champion's, or else the better baseline's, the F1 of a class may be: chance."""
    error: float | None = None
    """How much higher (0–1) than the better baseline's, and than the champion's, the share of wrong rows may be."""


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """The training of a classifier, whole but for its data, which the settings of each task name."""

    base: str = HUB_BASE
    """A name on the hub, a folder, or `offline`."""
    split: SplitSettings = field(default_factory=SplitSettings)
    objective: ClassifierObjective = field(default_factory=ClassifierObjective)
    training: ClassifierTraining = field(default_factory=ClassifierTraining)
    gate: ClassifierGateSettings = field(default_factory=ClassifierGateSettings)
    best_by: BestBy = BestBy.MACRO_F1
    baseline_rows: int = 20_000
    """Training rows that the baselines learn from at most."""
    measured_rows: int = 20_000
    """Held-out rows that every model is measured on at most, whole groups of them."""

    @property
    def all_gains(self) -> Mapping[str, Mapping[str, float]]:
        """Name → class → what finding it is worth, where rows are ranked; the gate asks the first set."""
        return {}

    def __post_init__(self) -> None:
        if self.best_by is BestBy.NDCG and not self.all_gains:
            raise ValueError("best_by is ndcg, and rows of this task are not ranked")
