"""What do a comparison with the reference and a selection of rows say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class DriftStatus(StrEnum):
    """How a comparison ended. That nothing was compared is never `stable`."""

    NOT_EXAMINED = "not examined"
    STABLE = "stable"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class ChangedWord:
    """A word that texts use more, or less, than they did."""

    word: str
    reference: float
    """Share of the reference's texts that hold it (0–1)."""
    current: float
    """Share of this batch's texts that hold it (0–1)."""
    z: float
    """Difference of the two shares in standard errors; above 0 where the share has risen."""


@dataclass(frozen=True)
class ExampleRow:
    """One row that shows a change: a batch's own, or one of the reference."""

    file: str
    row: int
    """Number of the record in its file; the first is 1."""
    value: Any


@dataclass(frozen=True)
class Changed:
    """Where a change sits: a segment in which the column differs more than elsewhere."""

    segment: str
    """As `brand = Nike`."""
    share: float
    """Share of the batch's rows that are in the segment (0–1)."""
    effect: float
    """The column's effect within the segment, in the unit of the column's own."""
    p_value: float


@dataclass(frozen=True)
class Measured:
    """What Evidently measures of the same column, on a sample."""

    method: str
    value: float | None
    """None where Evidently could not measure it."""
    threshold: float | None
    drifted: bool | None
    reason: str = ""
    """Why it could not be measured."""


@dataclass(frozen=True)
class DriftColumn:
    """One comparison of a column with the reference."""

    column: str
    segment: str | None
    """As `brand = Nike`; None for the whole batch."""
    sort: str
    """number, category, date or text."""
    test: str
    p_value: float
    p_adjusted: float
    """After Holm's correction over every comparison of the check."""
    effect: float
    """In the unit that `effect_name` says."""
    effect_name: str
    floor: float | None
    """The effect below which nobody needs to act; None for what is told and not tested."""
    drifted: bool
    """Significant after Holm's correction, and an effect of at least the floor."""
    said: str
    """What changed, in a few words."""
    reference: int
    """Rows of the reference that were compared."""
    current: int
    """Rows of this batch that were compared."""
    words: tuple[ChangedWord, ...] = ()
    sits_in: tuple[Changed, ...] = ()
    """The segments in which the change is largest, the largest first."""
    examples: tuple[ExampleRow, ...] = ()
    """Rows of this batch that show the change best."""
    examples_before: tuple[ExampleRow, ...] = ()
    """Rows of the reference, for comparison."""
    evidently: Measured | None = None

    @property
    def tested(self) -> bool:
        """Whether it took part in the decision: what has no floor is told for information."""
        return self.floor is not None


@dataclass(frozen=True)
class Alarm:
    """A place in the batch from which on the model errs more, or less, than before it."""

    detector: str
    """DDM or ADWIN."""
    position: int
    """Row in date order, from 1, of those that have a prediction and a label."""
    at: str | None
    """Its date (ISO 8601); None where rows have none."""
    before: float
    """Share of errors before it, since the alarm before (0–1)."""
    after: float
    """Share of errors from it on, until the next alarm (0–1)."""


@dataclass(frozen=True)
class ConceptSection:
    """Does the model err more than before, within this batch?"""

    status: DriftStatus = DriftStatus.NOT_EXAMINED
    reason: str = "the batch has no predictions with labels"
    rows: int = 0
    """Rows with a prediction and a label."""
    errors: float | None = None
    """Share of them in which the two differ (0–1)."""
    alarms: tuple[Alarm, ...] = ()


@dataclass(frozen=True)
class ModelReading:
    """How much of a batch a model read."""

    rows: int
    """Rows that were left to it: by rules, once words and columns have been asked; in a comparison, all sampled rows of
    both sides that have what it reads."""
    read: int
    """Rows among them of which it was asked."""
    texts: int
    """Different texts, or pairs, that it read for this: one that it has read before is not read again."""
    seconds: float
    """Wall time of the reading; the model had been loaded before."""
    model: str = ""
    """Its name in the registry."""
    task: str = "mlm"
    """What it was trained for: mlm, relevance."""

    @property
    def texts_per_second(self) -> float | None:
        """The measured rate; None where nothing was read."""
        return self.texts / self.seconds if self.texts and self.seconds else None


@dataclass(frozen=True)
class DriftSection:
    """What changed since the reference."""

    status: DriftStatus = DriftStatus.NOT_EXAMINED
    reason: str = "there is no reference; set one with: shopmon reference set FILE"
    """Why nothing was compared, or what the comparison stands on."""
    reference: str | None = None
    """Name of the reference."""
    reference_rows: int = 0
    current_rows: int = 0
    """Rows of this batch that were compared: those without a serious fault."""
    columns: tuple[DriftColumn, ...] = ()
    """Every comparison: drifted ones first, then by evidence."""
    concept: ConceptSection = field(default_factory=ConceptSection)
    model: ModelReading | None = None
    """What the relevance model read of both sides; None where none was asked."""
    notes: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def drifted(self) -> tuple[DriftColumn, ...]:
        """The comparisons that call for a look."""
        return tuple(c for c in self.columns if c.drifted)


@dataclass(frozen=True)
class WindowColumn:
    """One comparison of a column with the reference, of the rows of one window."""

    column: str
    sort: str
    """number, category, date or text."""
    test: str
    effect: float
    """In the unit that `effect_name` says."""
    effect_name: str
    floor: float | None
    """The effect below which nobody needs to act; None for what is told and not tested."""
    p_adjusted: float
    """After Holm's correction over every comparison of the window."""
    drifted: bool
    said: str
    """What changed, in a few words."""

    @property
    def times_floor(self) -> float | None:
        """The effect as a multiple of its floor; None for what is told and not tested, and for a missing column.

        >>> WindowColumn("price", "number", "Kolmogorov-Smirnov", 0.3, "distance", 0.1, 1e-9, True, "").times_floor
        3.0
        """
        return round(abs(self.effect) / self.floor, 6) if self.floor else None


@dataclass(frozen=True)
class WindowDrift:
    """What changed since the reference, among the rows of one window of time."""

    start: str
    """When it begins: a day, or a day and an hour (ISO 8601), UTC."""
    end: str
    """When the next one begins."""
    rows: int
    """Good rows whose date lies in it."""
    files: int
    """Files that they stand in."""
    status: DriftStatus
    reason: str
    """Why it was not compared, or what the comparison stands on."""
    columns: tuple[WindowColumn, ...] = ()
    """Every comparison: drifted ones first, then by evidence."""

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that call for a look."""
        return tuple(dict.fromkeys(column.column for column in self.columns if column.drifted))

    @property
    def loudest(self) -> tuple[WindowColumn, ...]:
        """What drifted, that first whose effect is the largest multiple of its floor; what has none comes first."""
        drifted = [column for column in self.columns if column.drifted]
        return tuple(sorted(drifted, key=lambda column: -(column.times_floor or float("inf"))))


@dataclass(frozen=True)
class WindowsSection:
    """What changed since the reference, window by window."""

    status: DriftStatus = DriftStatus.NOT_EXAMINED
    """Drifted, if any of the windows is."""
    reason: str = "no window is set: [drift] window"
    """Why no window was compared, or what the comparisons stand on."""
    length: str | None = None
    """Of each window, as the project has it: 7d."""
    undated: int = 0
    """Good rows without a date, which are in no window."""
    future: int = 0
    """Good rows whose date lies in the future, which are in no window either."""
    late: int = 0
    """Good rows that are older than any of the reference; they are in the windows of their dates."""
    windows: tuple[WindowDrift, ...] = ()
    """Those that rows of this batch fall into, the earliest first."""


class SelectionStatus(StrEnum):
    """How a selection ended."""

    NOT_EXAMINED = "not examined"
    SELECTED = "selected"


@dataclass(frozen=True)
class EdgeCaseSection:
    """Which rows a model should learn from."""

    status: SelectionStatus = SelectionStatus.NOT_EXAMINED
    reason: str = "no rule for edge cases holds for this batch"
    selected: int = 0
    """Rows that at least one rule chose."""
    by_reason: Mapping[str, int] = field(default_factory=dict)
    """Rule → rows it chose; a row may have several reasons."""
    by_role: Mapping[str, int] = field(default_factory=dict)
    """positive, negative, counterfactual, replay → rows; a row has one role."""
    looked_at: int = 0
    """Good rows that the rules were asked of."""
    left_out: int = 0
    """Rows that a slow signal would have had to decide, beyond the number the settings allow (`candidates`)."""
    model: ModelReading | None = None
    """What the masked model read of the batch; None where no rule asked it."""
    further_models: tuple[ModelReading, ...] = ()
    """What each other model read that a rule asked."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Rule → why it could not be asked of this batch."""
    added: int = 0
    """Rows that are new in the retraining set; the others were there already."""
    retraining_set_rows: int = 0
    """Rows gathered so far, over all batches."""
    retrain_after: int | None = None
    """Rows after which a retraining is due; None where the project does not say."""
    examples: tuple[ExampleRow, ...] = ()
    """A few of the rows selected."""

    @property
    def due(self) -> bool:
        """Whether enough has gathered to retrain."""
        return self.retrain_after is not None and self.retraining_set_rows >= self.retrain_after
