"""Does a check find what was planted? The demonstration: generated data, checked, and held against the truth.

What the checks gathered is then learnt: `demo_retraining`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shopmon.checking import check
from shopmon.demo_changes import COMPLAINTS_RULE, Changes, changes_found
from shopmon.demo_project import REFERENCE, SHIFT, SHIFTED, DemoProject, Planting, prepare
from shopmon.demo_retraining import Retrained, Untrained, retrained
from shopmon.outcome import CheckResult
from shopmon.planted_faults import Fault
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.references import set_reference
from shopmon.sample_data import Shift

ROWS = 20_000
"""Reviews of the reference, and of the new batch: checked in seconds, and enough to learn from."""

UNREADABLE = ("unreadable",)

EXPECTED: dict[Fault, tuple[str, ...]] = {
    Fault.TEXT_MISSING: ("text-missing",),
    Fault.TEXT_BLANK: ("text-blank",),
    Fault.EXACT_DUPLICATE: ("text-repeated",),
    Fault.NEAR_DUPLICATE: ("text-nearly-repeated",),
    Fault.MOJIBAKE: ("mojibake:text",),
    Fault.HTML: ("html",),
    Fault.LITERAL_ESCAPES: ("literal-escapes", "html"),
    Fault.UNTIDY_SPACES: ("space-around:text", "double-spaces"),
    Fault.CUT_OFF: ("text-cut-off",),
    Fault.STARS_IMPOSSIBLE: ("stars-impossible",),
    Fault.PRICE_ZERO: ("price-impossible",),
    Fault.PRICE_NEGATIVE: ("price-impossible",),
    Fault.DATE_IN_FUTURE: ("date-in-future",),
    Fault.CONTRADICTION: ("praised-but-not-recommended", "panned-but-recommended"),
    Fault.WRONG_LANGUAGE: ("language",),
    Fault.TOO_LONG: ("text-too-long",),
    Fault.CATEGORY_MISSPELT: ("category-known",),
    Fault.LOCALE_UNKNOWN: ("locale-known",),
    Fault.DATE_FORMAT: ("date-formats",),
    Fault.NUMBER_UNREADABLE: ("stars-unreadable",),
    Fault.FIELDS_TOO_MANY: UNREADABLE,
    Fault.FIELDS_TOO_FEW: UNREADABLE,
    Fault.BYTES_UNDECODABLE: UNREADABLE,
    Fault.SALE_ABOVE_LIST: ("sale-above-list",),
    Fault.ID_REUSED: ("id-titles",),
    Fault.DESCRIPTION_MISSING: ("description-missing",),
    Fault.QUERY_MISSPELT: ("query-misspelt",),
    Fault.QUERY_BLANK: ("query-blank",),
    Fault.QUERY_CAPITALS: ("all-capitals",),
    Fault.LABEL_DISAGREES: ("labels-contradict",),
    Fault.LABEL_UNKNOWN: ("label-known",),
}
"""Which rules a fault must break. A row of it counts as found when one of them put it into quarantine."""


@dataclass(frozen=True)
class Found:
    """One kind of fault in one file: what was planted, and what the rules for it found."""

    fault: Fault
    rules: tuple[str, ...]
    planted: int
    """Rows."""
    found: int
    """Planted rows that one of the rules put into quarantine."""
    originals: int
    """Earlier rows, repeated or contradicted by a planted one, that the rules quarantined with it."""
    false_alarms: int
    """Rows that the rules quarantined although nothing was planted in them, originals apart."""

    @property
    def missed(self) -> int:
        """Planted rows that none of the rules found."""
        return self.planted - self.found


@dataclass(frozen=True)
class Checked:
    """One file of the demonstration: the check's answer beside the truth."""

    file: str
    result: CheckResult
    faults: tuple[Found, ...]
    false_alarms: int
    """Rows in quarantine, by whatever rule, in which nothing was planted, originals apart."""
    alarming: tuple[str, ...]
    """The rules that put them there."""


@dataclass(frozen=True)
class Demo:
    """What the demonstration showed."""

    folder: Path
    checked: tuple[Checked, ...]
    """The reference first, then every batch with faults."""
    generated: bool
    """Whether the data was made now; False where that of an earlier call was used."""
    edited: tuple[str, ...]
    """Settings and suites that somebody changed since they were made; they were used as they are."""
    changes: Changes
    """What was planted beside the faults of the shifted batch, and what was found."""
    shift: Shift = SHIFT
    """How the shifted batch differs from the reference besides its faults."""
    retrained: Retrained | Untrained | None = None
    """What was learnt from the rows that the checks gathered, or why nothing was; None where nobody asked for it."""

    @property
    def faults(self) -> tuple[Found, ...]:
        """Every kind of fault in every file."""
        return tuple(found for checked in self.checked for found in checked.faults)


def run_demo(
    folder: str | Path = "demo",
    *,
    rows: int = ROWS,
    seed: int = 1,
    retrain: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Demo:
    """Make a small shop's data in `folder`, check it, and say what was found beside what was planted.

    With `retrain` a masked model then learns from the rows that the checks gathered, in two or three minutes; one that
    learnt from the same rows before is shown again.

    `rows` (1,000 or more) are those of the reference and of the new batch of reviews; the other files have a quarter.
    The folder is a project like any other: its runs are recorded there, whatever the environment says. A second call
    with the same parameters makes nothing anew, and finds the same.

    Raises ProjectError if the folder holds what the demonstration did not write, or if there are too few rows.
    """
    ready = prepare(Path(folder), rows=rows, seed=seed, progress=progress)
    with _runs_in_the_project():
        project = Project.read(ready.folder)
        progress("setting the reference")
        set_reference(ready.folder / REFERENCE, project=project, progress=progress)
        checked = tuple(_checked(ready, name, project, progress) for name in ready.planted)
        model = retrained(project, progress=lambda doing: progress(f"retraining: {doing}")) if retrain else None
    shifted = next(one.result for one in checked if one.file == SHIFTED)
    changes = changes_found(shifted, SHIFT, ready.complaints, _chosen(shifted))
    return Demo(ready.folder, checked, ready.generated, ready.edited, changes, retrained=model)


def _chosen(result: CheckResult) -> list[int]:
    """The rows that the demonstration's own rule chose."""
    import pyarrow.parquet as pq

    if "edge_cases" not in result.artifacts:
        return []
    rows = pq.read_table(result.artifacts["edge_cases"], columns=["row", "reasons"]).to_pylist()
    return [row["row"] for row in rows if COMPLAINTS_RULE in row["reasons"]]


@contextmanager
def _runs_in_the_project() -> Iterator[None]:
    """A team's store of runs is no place for a demonstration."""
    url = os.environ.pop(STORE_URL_VARIABLE, None)
    try:
        yield
    finally:
        if url is not None:
            os.environ[STORE_URL_VARIABLE] = url


def _checked(ready: DemoProject, name: str, project: Project, progress: Callable[[str], None]) -> Checked:
    result = check(ready.folder / name, project=project, progress=lambda doing: progress(f"checking {name}: {doing}"))
    return compared(name, result, ready.planted[name], _quarantined(result))


def compared(file: str, result: CheckResult, planted: Planting, quarantined: Mapping[str, frozenset[int]]) -> Checked:
    """Hold a check's answer against what was planted; `quarantined` is rule → row numbers."""
    touched = frozenset(row for rows in planted.rows.values() for row in rows)
    originals = frozenset(row for rows in planted.originals.values() for row in rows)
    faults = tuple(
        _found(fault, rows, _by(quarantined, EXPECTED[fault]), touched, planted.originals.get(fault, ()))
        for fault, rows in planted.rows.items()
    )
    others = {rule: rows - touched - originals for rule, rows in quarantined.items()}
    alarming = tuple(rule for rule, rows in others.items() if rows)
    return Checked(file, result, faults, len(_by(others, others)), alarming)


def _found(
    fault: Fault, rows: Collection[int], caught: frozenset[int], touched: frozenset[int], originals: Collection[int]
) -> Found:
    return Found(
        fault,
        EXPECTED[fault],
        planted=len(rows),
        found=len(caught & frozenset(rows)),
        originals=len(caught & frozenset(originals) - touched),
        false_alarms=len(caught - touched - frozenset(originals)),
    )


def _by(quarantined: Mapping[str, frozenset[int]], rules: Collection[str]) -> frozenset[int]:
    return frozenset().union(*(quarantined.get(rule, ()) for rule in rules))


def _quarantined(result: CheckResult) -> dict[str, frozenset[int]]:
    """Rule → the rows it put into quarantine, read from the file that every check leaves."""
    import pyarrow.parquet as pq

    if "quarantine" not in result.artifacts:
        return {}
    table = pq.read_table(result.artifacts["quarantine"], columns=["shopmon_row", "shopmon_rules"])
    rows: dict[str, set[int]] = {}
    for row, rules in zip(*(column.to_pylist() for column in table.columns), strict=True):
        for rule in rules:
            rows.setdefault(rule, set()).add(row)
    return {rule: frozenset(found) for rule, found in rows.items()}
