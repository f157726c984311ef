"""What does a training say of the models it measured, and of the one it made?

Only data: nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """What part a model has in a comparison."""

    BASE = "base"
    TFIDF = "tfidf"
    """A classifier's first baseline: logistic regression on TF-IDF."""
    FROZEN = "frozen"
    """Its second one: logistic regression on the vectors of the base, which learns nothing itself."""
    BOOSTED = "boosted"
    """A third one, where columns stand beside the texts: XGBoost on the same vectors and those columns."""
    CHAMPION = "champion"
    CANDIDATE = "candidate"


class Contrast(StrEnum):
    """Sets of prompts."""

    GATE = "gate"
    """The shop's own brands."""
    OTHER_BRANDS = "other_brands"
    """The same prompts with other brands."""
    COMPLAINTS = "complaints"
    """Complaints about the shop's own brands."""


class TextSet(StrEnum):
    """Sets of held-out texts."""

    PROJECT = "project"
    """The project's own text: the reference's sample."""
    RETRAINING = "retraining"
    """The held-out part of the retraining set's positive rows."""
    GENERAL = "general"
    """General text."""


@dataclass(frozen=True)
class FillIn:
    """A word that a model puts into a gap."""

    word: str
    probability: float
    """0–1."""


@dataclass(frozen=True)
class TextMeasure:
    """What a model makes of a set of texts whose masks are the same for every model."""

    loss: float
    """Mean cross-entropy in nats per masked token."""
    perplexity: float
    """e to the loss."""
    rows: int
    tokens: int
    """Masked tokens."""


@dataclass(frozen=True)
class MassMeasure:
    """What a model says in the gaps of a set of prompts."""

    wanted: float
    """Mean probability (0–1) of all wanted words of one piece together."""
    unwanted: float
    prompts: int
    """Prompts, each with every brand it was asked of."""


@dataclass(frozen=True)
class ClassMeasure:
    """What a classifier makes of one class."""

    label: str
    rows: int
    """Rows of this class."""
    predicted: int
    """Rows that the model puts into it."""
    precision: float
    """Share (0–1) of the predicted rows that are of this class; 0 where none was predicted."""
    recall: float
    """Share (0–1) of the class's rows that are found; 0 where there is none."""
    f1: float
    """Harmonic mean of both (0–1)."""


@dataclass(frozen=True)
class RankingMeasure:
    """How well a classifier's expected gain orders what belongs to a query."""

    ndcg: float
    """Mean of the normalised discounted cumulative gain (0–1) over the queries."""
    queries: int
    """Queries with any gain to be had; the others have no nDCG and are left out."""
    decided: int
    """Of them, those whose rows differ in gain: in the others every order is as good."""
    gains: Mapping[str, float]
    """Class → what finding it is worth."""


@dataclass(frozen=True)
class ClassificationMeasures:
    """What a classifier makes of held-out rows."""

    loss: float
    """Mean cross-entropy in nats per row, of the plain labels: neither weighed nor smoothed."""
    accuracy: float
    """Share (0–1) of the rows whose likeliest class is theirs; with one class a row it is the micro-averaged F1."""
    micro_f1: float
    macro_f1: float
    """Mean of the classes' F1 (0–1), each class alike, over those that have rows or were predicted."""
    calibration_error: float
    """Expected calibration error (0–1): how far confidence and accuracy lie apart, in 15 bins of equal width."""
    rows: int
    classes: tuple[ClassMeasure, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Class of the row → class predicted → rows, in the order of `classes`."""
    ranking: Mapping[str, RankingMeasure] = field(default_factory=dict)
    """Name of a set of gains (`esci`, `esci_official_script`) → the order by it."""


@dataclass(frozen=True)
class Measures:
    """One model on the common sets; what could not be measured is not in it."""

    texts: Mapping[TextSet, TextMeasure] = field(default_factory=dict)
    masses: Mapping[Contrast, MassMeasure] = field(default_factory=dict)
    fill_ins: Mapping[str, tuple[FillIn, ...]] = field(default_factory=dict)
    """Prompt of the gate → the ten likeliest words, the first the likeliest."""
    classification: ClassificationMeasures | None = None
    """Of a classifier; None for a masked model."""


@dataclass(frozen=True)
class GateCheck:
    """One number a candidate must reach."""

    name: str
    """`unwanted_mass`, `general_perplexity`, …: the setting it stands on."""
    says: str
    """What was asked, in a few words for people: "unwanted words on the gate's prompts"."""
    value: float | None
    """The candidate's; None where it could not be measured, which is no pass."""
    limit: float
    at_most: bool
    """Whether the limit is the most (else the least) that passes."""
    against: Role | None
    """The model that the limit was taken from; None for one of the settings alone."""
    reason: str = ""
    """Why it could not be measured."""

    @property
    def passed(self) -> bool:
        """Whether the value is within its limit."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Gate:
    """Whether a candidate may become champion."""

    checks: tuple[GateCheck, ...] = ()

    @property
    def failed(self) -> tuple[GateCheck, ...]:
        """The checks that it did not pass."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether all were passed; a gate without a check is no pass."""
        return bool(self.checks) and not self.failed


@dataclass(frozen=True)
class DataUsed:
    """What a model was trained on."""

    rows: Mapping[str, int] = field(default_factory=dict)
    """Role (positive, negative, counterfactual, replay), or a classifier's class → rows trained on."""
    held_out: Mapping[str, int] = field(default_factory=dict)
    """The same → rows that no training saw."""
    general: int = 0
    """Passages of general text trained on."""
    general_source: str = ""
    """Where they come from: "Python 3.11.7's documentation strings", or a file's name."""
    set_aside: int = 0
    """Rows left out because they are an answer to one of the gate's prompts."""
    rejected: int = 0
    """Rows left out because a person rejected them."""
    relabelled: int = 0
    """Rows that played another role than the one they were gathered in, because a person said so."""
    not_reviewed: int = 0
    """Rows left out because no person had accepted them, where only such rows were asked for."""
    sha256: str = ""
    """Of the retraining set's rows that were read: their text hashes and roles, in order."""
    parts: tuple[str, ...] = ()
    """Names of the retraining set's parts, or of the files with labelled pairs, that were read."""
    validation: Mapping[str, int] = field(default_factory=dict)
    """Class → rows that chose the best weights of a classifier; a masked model is watched on what is held out."""
    split: str = ""
    """How labelled rows were dealt: `grouped`, `hash`, `stratified` or `published`."""
    incomplete: int = 0
    """Labelled rows left out because they have no label or no text."""
    leaked: int = 0
    """Labelled rows left out because their text also stands on a side that measures."""


@dataclass(frozen=True)
class ThresholdMeasure:
    """What a threshold does on some rows."""

    rows: int
    of_class: int
    """Rows of the class that is looked for."""
    taken: int
    """Rows at the threshold or above."""
    precision: float
    """Share (0–1) of the rows taken that are of the class; 0 where none was taken."""
    recall: float
    """Share (0–1) of the class's rows that are taken; 0 where there is none."""
    f1: float
    """Harmonic mean of both (0–1)."""


@dataclass(frozen=True)
class SubstituteThreshold:
    """From which probability of a class on a product counts as a substitute."""

    label: str
    """The class."""
    value: float
    """0–1; a row at it counts."""
    precision_asked: float | None
    """Share (0–1) of what is taken that was to be right; None: the best F1 was asked for."""
    reached: bool
    """Whether that precision was reached on the rows it was chosen on; otherwise it is the threshold of the best F1."""
    chosen_on: ThresholdMeasure
    """Validation rows: they flatter it a little."""
    held_out: ThresholdMeasure | None = None
    """Rows that had no part in anything; None where it was not measured on any."""


class HeadMethod(StrEnum):
    """What kind of head stands on an encoder."""

    LINEAR = "linear"
    """The layer that the encoder was trained with."""
    LOGISTIC = "logistic"
    """A logistic regression."""
    XGBOOST = "xgboost"
    """Gradient-boosted trees."""


@dataclass(frozen=True)
class HeadFigures:
    """What a head is worth on some rows."""

    rows: int
    error: float
    """Share (0–1) of the rows that it puts into a wrong class."""
    macro_f1: float
    """Mean of the classes' F1 (0–1)."""
    loss: float
    """Mean cross-entropy in nats per row."""


@dataclass(frozen=True)
class HeadMeasure:
    """One head on the vectors of the encoder that was trained."""

    method: HeadMethod
    columns: tuple[str, ...]
    """Columns that it reads beside the vectors."""
    chosen: bool
    """Whether it is the one that answers."""
    validation: HeadFigures
    """Rows that chose it: they flatter the best a little."""
    held_out: HeadFigures
    """Rows that had no part in anything."""


class ServingFormat(StrEnum):
    """As what a classifier answers on a CPU."""

    ONNX_INT8 = "onnx_int8"
    """ONNX, whose products are those of whole numbers of eight bits."""
    ONNX_FP32 = "onnx_fp32"
    """ONNX, in float32."""
    TORCH = "torch"
    """As it was trained."""


@dataclass(frozen=True)
class ServingMeasure:
    """What a classifier is worth in one format."""

    accuracy: float
    """Share (0–1) of the rows whose likeliest class is theirs."""
    macro_f1: float
    """Mean of the classes' F1 (0–1)."""
    largest_difference: float
    """The furthest that a probability (0–1) lies from torch's in float32."""
    agreement: float
    """Share (0–1) of the rows whose likeliest class is the one that torch finds."""


@dataclass(frozen=True)
class Serving:
    """In which format a classifier answers on a CPU, and what that costs."""

    format: ServingFormat
    reason: str
    """Why this one, for people."""
    classes: tuple[str, ...] = ()
    """In the order of an answer's columns."""
    longest: int = 0
    """Tokens of the longest text that it can read."""
    file: str = ""
    """Its name in the model's folder; none for torch."""
    sha256: str = ""
    """Of the file."""
    rows: int = 0
    """Held-out rows that the formats were measured on."""
    measured: Mapping[ServingFormat, ServingMeasure] = field(default_factory=dict)
    """Torch in float32, and every format that was tried."""

    @property
    def accuracy_lost(self) -> float:
        """By how much (0–1) accuracy is lower than torch's; below 0 where it is higher, 0 where not measured."""
        if not self.measured:
            return 0.0
        return self.measured[ServingFormat.TORCH].accuracy - self.measured[self.format].accuracy


@dataclass(frozen=True)
class BaseUsed:
    """The model a training began with."""

    name: str
    """As it was asked for."""
    sha256: str
    """Of its weights."""
    folder: str = ""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is."""

    doing: str
    """"training", "measuring", "preparing the base model" …"""
    step: int = 0
    steps: int = 0
    """0 where there are none to count."""
    loss: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    unit: str = "step"
    """What is counted, where it is no step of a training: "row"."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training did, and whether its model became champion."""

    model_id: str
    """The run's id, and the model's folder."""
    task: str
    base: BaseUsed
    champion_before: str | None = None
    """Id of the model that was champion; None where there was none."""
    promoted: bool = False
    forced: bool = False
    """Whether a person promoted it although the gate said no."""
    gate: Gate = field(default_factory=Gate)
    measures: Mapping[Role, Measures] = field(default_factory=dict)
    """The same held-out sets for each; no champion, no entry."""
    data: DataUsed = field(default_factory=DataUsed)
    steps: int = 0
    best_step: int = 0
    """The step whose weights were kept."""
    stopped_early: bool = False
    resumed_from: int | None = None
    """The step of the checkpoint it went on from, where it was resumed."""
    seconds: float = 0.0
    tokens: int = 0
    """Tokens that were read in training, padding left out."""
    device: str = "cpu"
    bf16: bool = False
    processes: int = 1
    weights_sha256: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    """All settings, as plain values."""
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """The model's folder in the registry."""
    substitutes: SubstituteThreshold | None = None
    """Of a classifier with a class of substitutes: from which probability on a product counts as one."""
    heads: tuple[HeadMeasure, ...] = ()
    """Of a classifier whose head was chosen among several: each of them."""
    serving: Serving | None = None
    """As what it answers on a CPU; None where that was not decided."""
    further: Mapping[str, ClassificationMeasures] = field(default_factory=dict)
    """Of a classifier that was measured on further sets of rows, whole files of them: name → what it is worth there."""
    notes: tuple[str, ...] = ()
