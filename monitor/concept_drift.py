"""Does the model err more than before?"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from expectations.columns import FILE, NUMBER, ROW
from expectations.errors import ShopmonError
from expectations.sql import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from expectations.batch import Batch

MOST = 1_000_000
"""Rows of a batch that are examined at most, the latest; each takes about 4 µs for each detector."""

_BLOCK = 65_536
"""Errors that are held as a polars frame at once, about."""
_TRUTHS = ("label", "grade", "stars")
"""Roles that say what is right, best first."""
_PLAIN_DIGITS = 15
"""Characters of a number up to which no two different ones are the same float."""
_CHECK = "Leave out rows without a prediction or a label."
_IMPORTING = threading.Lock()


class Detector(StrEnum):
    """An algorithm that reads errors one by one and tells when their rate has changed."""

    DDM = "DDM"
    ADWIN = "ADWIN"


class Order(StrEnum):
    """In which order rows are taken to have happened."""

    DATE = "date"
    FILE = "file"


@dataclass(frozen=True)
class ConceptSettings:
    """When DDM and ADWIN sound an alarm; UpTrain's defaults."""

    detectors: tuple[Detector, ...] = (Detector.DDM, Detector.ADWIN)
    warm_start: int = 500
    """DDM: rows from the start, and from each alarm on, before it judges."""
    drift_threshold: float = 3.0
    """DDM: standard deviations by which the error rate exceeds its lowest; Gama et al. take 3."""
    delta: float = 0.002
    """ADWIN: probability of a false alarm in one comparison (0–1); Bifet and Gavaldà bound it so."""
    clock: int = 32
    """ADWIN: rows from one comparison to the next."""
    min_window_length: int = 5
    """ADWIN: rows that each of the two windows it compares has at least."""
    grace_period: int = 5
    """ADWIN: rows before its first comparison."""

    def __post_init__(self) -> None:
        for name in ("warm_start", "clock", "min_window_length", "grace_period"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} counts rows and must be at least 1, got {getattr(self, name)!r}")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta is a probability between 0 and 1, got {self.delta!r}")
        if not 0 < self.drift_threshold < float("inf"):
            raise ValueError(f"drift_threshold counts standard deviations above 0, got {self.drift_threshold!r}")


@dataclass(frozen=True)
class Alarm:
    """A row at which a detector holds that the error rate has changed."""

    detector: Detector
    position: int
    """Number of the row in the order examined; the first is 1. The change itself lies before it."""
    error_before: float
    """Share of errors (0–1) from this detector's alarm before, or the start, up to this row, which is left out."""
    error_after: float
    """Share of errors (0–1) from this row up to this detector's next alarm, or the end."""

    @property
    def worse(self) -> bool:
        """Whether the model errs more from here on; ADWIN tells of improvements as well."""
        return self.error_after > self.error_before


@dataclass(frozen=True)
class ConceptDrift:
    """What the detectors say of a sequence of errors."""

    rows: int
    """Rows examined."""
    error_rate: float | None
    """Share of errors among them (0–1); None where nothing was examined."""
    alarms: tuple[Alarm, ...]
    """By position, then in the order of the detectors."""

    @property
    def examined(self) -> bool:
        """Whether there was anything to examine: no alarm in no rows is no good news."""
        return self.rows > 0


@dataclass(frozen=True)
class ErrorStream:
    """Where the model was wrong, row by row in the order in which it happened."""

    errors: np.ndarray | None
    """Shape (rows,), bool, True where prediction and label differ; None where it was not examined."""
    moments: np.ndarray | None
    """Shape (rows,), datetime64[us] in UTC, ascending; None where the rows have no dates."""
    order: Order | None
    """What the order stands on; None where it was not examined."""
    label: str | None
    """The role that the predictions were held against: label, grade or stars."""
    reason: str
    """Why it was not examined, or what was left out; empty where every row took part in date order."""

    @property
    def examined(self) -> bool:
        """Whether there are errors to look at, be they all False."""
        return self.errors is not None


def concept_drift(errors: np.ndarray, settings: ConceptSettings = ConceptSettings()) -> ConceptDrift:
    """Find every place at which the share of errors changes, by UpTrain's ConceptDrift.

    `errors` has shape (rows,), in the order in which the rows happened: bool, or numbers from 0 (right) to 1 (wrong).
    DDM alarms when errors become more frequent, ADWIN also when they become rarer. After an alarm, a detector starts
    anew. DDM trusts a model that was never wrong for `warm_start` rows so much that its first error is an alarm. An
    empty array is not examined.

    Raises ShopmonError if a value is missing, or no number from 0 to 1; ValueError for more than one dimension.
    Sources: J. Gama et al., "Learning with drift detection" (SBIA 2004); A. Bifet and R. Gavaldà, "Learning from
    time-changing data with adaptive windowing" (SDM 2007).

    >>> wrong_from_row_1001_on = np.arange(2000) >= 1000
    >>> [(alarm.detector.value, alarm.position) for alarm in concept_drift(wrong_from_row_1001_on).alarms]
    [('DDM', 1001), ('ADWIN', 1024)]
    """
    checked = _checked(errors)
    if not len(checked):
        return ConceptDrift(0, None, ())
    found = [alarm for detector in settings.detectors for alarm in _alarms(detector, checked, settings)]
    ranks = {detector: rank for rank, detector in enumerate(settings.detectors)}
    found.sort(key=lambda alarm: (alarm.position, ranks[alarm.detector]))
    return ConceptDrift(len(checked), float(checked.mean()), tuple(found))


def _checked(errors: np.ndarray) -> np.ndarray:
    """The errors as floats: a NaN would poison averages silently, and a None stop UpTrain halfway."""
    given = np.asarray(errors)
    if given.ndim != 1:
        raise ValueError(f"errors must have shape (rows,), got {given.shape}")
    if given.dtype.kind not in "biuf" and given.size:
        missing = [index for index, value in enumerate(given.tolist()) if value is None]
        what = f"row {missing[0] + 1} has none" if missing else f"they are of type {given.dtype}"
        raise ShopmonError(f"errors must be numbers from 0 (right) to 1 (wrong); {what}", advice=_CHECK)
    values = given.astype(float)
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))  # NaN as well
    if len(wrong):
        first = f"row {wrong[0] + 1:,} has {values[wrong[0]]}"
        raise ShopmonError(f"errors must be numbers from 0 (right) to 1 (wrong); {first}", advice=_CHECK)
    return values


def _alarms(detector: Detector, errors: np.ndarray, settings: ConceptSettings) -> list[Alarm]:
    cuts = [0, *_positions(detector, errors, settings), len(errors)]
    return [
        Alarm(detector, here + 1, float(errors[start:here].mean()), float(errors[here:end].mean()))
        for start, here, end in zip(cuts, cuts[1:-1], cuts[2:], strict=False)
    ]


def _positions(detector: Detector, errors: np.ndarray, settings: ConceptSettings) -> Iterator[int]:
    """Where the detector alarms, counted from 0."""
    import polars

    operator, step = _operator(detector, settings)
    size = step * max(1, _BLOCK // step)
    for begin in range(0, len(errors), size):
        block = polars.DataFrame({"error": errors[begin : begin + size]})
        for frame in block.iter_slices(step):
            alert = operator.run(frame)["extra"]["alert_info"]
            if alert is not None:
                yield int(alert["counter"])
                operator._alert_info = None  # it keeps the first alarm and would stay silent from then on


def _operator(detector: Detector, settings: ConceptSettings) -> tuple[Any, int]:
    """UpTrain's operator, and how many rows it may see at once: in so many, there is at most one alarm."""
    drift = _uptrain()
    if detector is Detector.DDM:
        params = drift.ParamsDDM(warm_start=settings.warm_start, drift_threshold=settings.drift_threshold)
        step = settings.warm_start
    else:
        params = drift.ParamsADWIN(
            delta=settings.delta,
            clock=settings.clock,
            min_window_length=settings.min_window_length,
            grace_period=settings.grace_period,
        )
        step = settings.clock
    operator = drift.ConceptDrift(algorithm=detector.value, params=params, col_in_measure="error")
    return operator.setup(), step


@cache
def _uptrain() -> Any:
    """UpTrain's module of drift operators, silenced: it would write each alarm to standard error."""
    from loguru import logger

    with _IMPORTING, _root_validator_of_pydantic_1():
        module = importlib.import_module("uptrain.operators.drift")
    logger.disable("uptrain")
    return module


@contextmanager
def _root_validator_of_pydantic_1() -> Iterator[None]:
    """Let `@root_validator` stand without arguments for a moment, as UpTrain writes it and pydantic 2 refuses it."""
    import warnings

    import pydantic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's, of its own deprecated decorator
        original: Callable[..., Any] = pydantic.root_validator

        def lenient(*given: Any, **options: Any) -> Any:
            if given and not options:
                return original(skip_on_failure=True)(*given)
            return original(*given, **options)

        pydantic.root_validator = lenient
        try:
            yield
        finally:
            pydantic.root_validator = original


def error_stream(batch: Batch, relation: str = "batch", *, most: int = MOST) -> ErrorStream:
    """Say of each row with a prediction and a label whether the two differ, in date order.

    The role `prediction` is held against `label`, else `grade`, else `stars`: as text without surrounding blanks, and
    as numbers where both are written as such. Rows without a date have no place in the order and are left out; if no
    row has one, the order is that of the files. Of more than `most` rows, the latest are taken. `relation` is a
    relation of the batch with its columns, such as its good rows.

    Where nothing can be compared, `errors` is None, and `reason` says why.
    """
    compared = pairs_of(batch, relation)
    if isinstance(compared, ErrorStream):
        return compared
    rows, dated = batch.row_of(compared.counts())
    if not rows:
        return compared.nothing
    return compared.stream(batch.table_of(compared.latest(dated, most)), rows, dated, most)


@dataclass(frozen=True)
class Pairs:
    """What a batch's predictions are held against, as SQL."""

    both: str
    """SQL: address, moment, prediction and label of the rows that have both."""
    truth: str
    """The role of the label."""

    def counts(self) -> str:
        """SQL: how many rows there are, and how many of them have a date."""
        return f"select count(*), count(moment) from {self.both}"

    def latest(self, dated: int, most: int) -> str:
        """SQL: whether the latest rows are wrong, and when they are from; the latest first."""
        columns = ("moment", FILE, ROW) if dated else (FILE, ROW)
        latest = ", ".join(f"{column} desc" for column in columns)
        return (
            f"select {_DIFFER} as wrong, moment, {FILE}, {ROW} from {self.kept(dated)} order by {latest} limit {most}"
        )

    def kept(self, dated: int) -> str:
        """SQL: the rows that have a place in the order."""
        return f"(select * from {self.both} where {'moment is not null' if dated else 'true'})"

    def stream(self, table: pa.Table, rows: int, dated: int, most: int) -> ErrorStream:
        """The errors, from what `latest` says of all rows."""
        errors = table.column("wrong").to_numpy().astype(bool)[::-1]
        moments = table.column("moment").to_numpy().astype("datetime64[us]")[::-1] if dated else None
        order = Order.DATE if dated else Order.FILE
        return ErrorStream(errors, moments, order, self.truth, _left_out(rows, dated, most))

    @property
    def nothing(self) -> ErrorStream:
        """The answer where no row has both."""
        return _not_examined(f"no row has both a prediction and a {self.truth}")


def pairs_of(batch: Batch, relation: str = "batch") -> Pairs | ErrorStream:
    """What predictions are held against; an answer already where the batch has nothing for it."""
    prediction = _role(batch, "prediction")
    if prediction is None:
        return _not_examined("the batch has no column of predictions (role prediction)")
    truth = next((role for role in _TRUTHS if _role(batch, role)), "")
    label = _role(batch, truth)
    if label is None:
        return _not_examined(f"the batch has predictions, but none of the roles {', '.join(_TRUTHS)}")
    date = _role(batch, "date")
    moment = f"case when isfinite({date}::timestamp) then epoch_us({date}::timestamp) end" if date else "null"
    pairs = f"""select {FILE}, {ROW}, {moment}::bigint as moment,
        {_said(prediction)} as predicted, {_said(label)} as true_label from {quoted(relation)}"""
    both = f"(select * from ({pairs}) where predicted is not null and true_label is not null)"
    return Pairs(both, truth)


def _role(batch: Batch, role: str) -> str | None:
    """The SQL name of a role; a column of the file that only happens to be called so is none."""
    column = batch.column(role) if role in batch.mapping else None
    return column.sql if column else None


def _left_out(rows: int, dated: int, most: int) -> str:
    said = []
    if not dated:
        said.append("no row has a date, so the order is that of the files")
    elif dated < rows:
        said.append(f"{rows - dated:,} rows without a date were left out")
    if (dated or rows) > most:
        said.append(f"only the latest {most:,} rows were examined")
    return "; ".join(said)


def _not_examined(reason: str) -> ErrorStream:
    return ErrorStream(None, None, None, None, reason)


def _said(column: str) -> str:
    """SQL: a value as text without surrounding blanks; null where nothing is left."""
    return f"nullif(regexp_replace({column}::varchar, '^\\s+|\\s+$', '', 'g'), '')"


def _number(column: str) -> str:
    """SQL: the number that is written, or null; long ones are names, and would be rounded to one another."""
    plain = f"length({column}) <= {_PLAIN_DIGITS} and regexp_full_match({column}, '{NUMBER}')"
    return f"case when {plain} then try_cast({column} as double) end"


_DIFFER = f"predicted <> true_label and coalesce({_number('predicted')} <> {_number('true_label')}, true)"
"""SQL: whether prediction and label differ, as text and, where both are numbers, as numbers."""
