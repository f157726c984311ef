"""Does a check find the shifts and the edge cases that were planted?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from monitor.results import DriftColumn
from shopmon.outcome import CheckResult
from shopmon.sample_data import Shift

COMPLAINTS_RULE = "complains-about-our-brand"
"""The demonstration's own rule for edge cases."""
COMPLAINT_WORDS = frozenset({"zipper", "zippers", "refund", "refunds"})


@dataclass(frozen=True)
class Planted:
    """One planted change, and what the check says of it."""

    what: str
    found: bool
    said: str
    """What the check says; empty where it says nothing."""


@dataclass(frozen=True)
class Learnt:
    """The planted complaints, and the rows that the rule for them chose."""

    planted: int
    """Rows that complain and have no fault besides."""
    found: int
    """Of these, rows that were chosen."""
    others: int
    """Rows chosen in which no complaint was planted."""


@dataclass(frozen=True)
class Changes:
    """What the shifted batch showed."""

    shifts: tuple[Planted, ...]
    unplanned: tuple[str, ...]
    """Columns that drifted though nothing was planted in them."""
    learnt: Learnt


def changes_found(result: CheckResult, shift: Shift, complaints: Collection[int], chosen: Collection[int]) -> Changes:
    """Hold what a check says of changes against what was planted.

    `complaints` are the row numbers of planted complaints, `chosen` those that the rule for them selected.
    """
    shifts = tuple(_planted(result, shift))
    touched = {"price", "brand", "text", "title", "stars", "date", "recommended", "product", "category"}
    unplanned = tuple(dict.fromkeys(c.column for c in result.drift.drifted if c.column not in touched))
    found = len(set(chosen) & set(complaints))
    return Changes(shifts, unplanned, Learnt(len(complaints), found, len(set(chosen)) - found))


def _planted(result: CheckResult, shift: Shift) -> Iterator[Planted]:
    drifted = result.drift.drifted
    yield _shift(f"prices {shift.price_factor - 1:+.0%}", _first(drifted, "price"))
    about = f"{shift.brand_share or 0:.0%} of reviews about {shift.brand}"
    yield _shift(about, _first(drifted, "brand", lambda c: c.segment is None))
    complaints = f"{shift.complaint_share:.0%} of these about zippers and refunds"
    yield _shift(complaints, _first(drifted, "text", lambda c: any(w.word in COMPLAINT_WORDS for w in c.words)))
    yield _shift("the complaints sit with that brand", _sitting(drifted, f"brand = {shift.brand}"))
    yield _shift(f"one star less in {shift.lower_stars:.0%}", _first(drifted, "stars"))
    dates = next((c for c in result.drift.columns if c.column == "date" and c.segment is None and c.said), None)
    yield _shift(f"dates {shift.days_later} days later", dates)


def _shift(what: str, column: DriftColumn | None) -> Planted:
    return Planted(what, column is not None, column.said if column else "")


def _first(
    drifted: Collection[DriftColumn], name: str, fits: Callable[[DriftColumn], bool] = lambda _: True
) -> DriftColumn | None:
    return next((c for c in drifted if c.column == name and fits(c)), None)


def _sitting(drifted: Collection[DriftColumn], segment: str) -> DriftColumn | None:
    """The change of the texts, where it is said to sit in this segment, or was found within it."""
    texts = [c for c in drifted if c.column == "text"]
    return next((c for c in texts if c.segment == segment or segment in [s.segment for s in c.sits_in]), None)
