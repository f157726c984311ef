"""What do many runs say, side by side?

The database takes from each document what is asked for (`run_documents`). Documents of another version, or of a shape
that nobody knows, say nothing: their figures are 0 or None, and nothing is raised for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from monitor.differences import Difference as Difference
from monitor.differences import differences as differences
from monitor.results import DriftStatus
from monitor.run_documents import Documents, stored
from monitor.runs import NEWEST_FIRST, RUNS, RunStore

_NAMED = 3
"""Inputs of a run that are named; the others are "…"."""
_AT_ONCE = 1000
"""Runs in one statement."""
_REMEMBERED = 20_000
"""Runs whose documents' figures are remembered."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What the table of runs says of one."""

    run_id: str
    status: str
    """`passed`, `failed` or `error`."""
    kind: str | None
    started_at: datetime
    """In UTC."""
    seconds: float
    rows: int
    quarantined: int
    name: str
    """Names of its inputs: the first three, and "…" if there are more."""
    folder: str | None


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What a check's document says, in figures."""

    unreadable: int = 0
    tolerated: int = 0
    """Quarantined rows that break only rules whose `mostly` still holds."""
    rules: int = 0
    broken: int = 0
    """Rules that were examined and do not hold."""
    critical: int = 0
    """Broken rules that fail a check."""
    unexaminable: int = 0
    """Rules that apply but could not be examined."""
    not_examined: int = 0
    """Rules for which the batch had nothing."""
    drift: str = DriftStatus.NOT_EXAMINED.value
    """A `DriftStatus`."""
    reference: str | None = None
    """Name of the reference."""
    compared: int = 0
    """Columns that were compared over the whole batch."""
    drifted: int = 0
    """Columns among them that drifted, in any of their tests."""
    selected: int = 0
    """Edge cases."""
    added: int = 0
    """Rows that were new in the retraining set."""
    gathered: int = 0
    """Rows in the retraining set after this check."""
    retrain_after: int | None = None
    """Rows after which a retraining is due."""
    problem: str | None = None
    """Why the check could not run."""


@dataclass(frozen=True, kw_only=True)
class BatchFigures(_Line, _Said):
    """One check, in figures."""

    @property
    def good(self) -> int:
        """Rows that break no rule."""
        return self.rows - self.quarantined

    @property
    def quarantined_share(self) -> float | None:
        """Share of the rows that are in quarantine (0–1); None where no row arrived."""
        return self.quarantined / self.rows if self.rows else None

    @property
    def passed(self) -> int:
        """Rules that were examined and hold."""
        return self.examined - self.broken

    @property
    def examined(self) -> int:
        """Rules that were examined."""
        return self.rules - self.unexaminable - self.not_examined

    @property
    def pass_rate(self) -> float | None:
        """Share of the examined rules that hold (0–1); None where none was examined."""
        return self.passed / self.examined if self.examined else None

    @property
    def due(self) -> bool:
        """Whether enough had gathered to retrain."""
        return self.retrain_after is not None and self.gathered >= self.retrain_after


@dataclass(frozen=True, kw_only=True)
class RuleFigures:
    """What one rule said of one batch."""

    run_id: str
    id: str
    column: str | None
    severity: str
    outcome: str
    examined: int
    """Rows."""
    unexpected: int
    """Rows among them that break it; 0 for a rule about a whole column or table."""
    mostly: float | None
    """Share of the examined rows that must keep it (0–1)."""
    reason: str

    @property
    def unexpected_share(self) -> float | None:
        """Share of the examined rows that break it (0–1); None where none was examined."""
        return self.unexpected / self.examined if self.examined else None


@dataclass(frozen=True, kw_only=True)
class ColumnFigures:
    """One comparison of a column with the reference."""

    run_id: str
    column: str
    segment: str | None
    """As `brand = Nike`; None for the whole batch."""
    sort: str
    """number, category, date or text."""
    test: str
    effect: float
    """In the unit that `effect_name` says."""
    effect_name: str
    floor: float | None
    """The effect below which nobody needs to act; None for what is told and not tested."""
    p_value: float | None
    p_adjusted: float | None
    """After Holm's correction over every comparison of the check."""
    drifted: bool
    said: str
    evidently_method: str | None
    """None, as are the next two, where Evidently did not measure the column."""
    evidently_value: float | None
    evidently_drifted: bool | None


@dataclass(frozen=True, kw_only=True)
class RunLine(_Line):
    """One run in a list of them."""

    command: str
    """`check`, `retrain`, …"""
    task: str | None
    """What a training was for."""


def batches(store: RunStore, *, kind: str | None = None, limit: int = 1000) -> tuple[BatchFigures, ...]:
    """The newest checks, the newest first: of one kind of data, or of all.

    A document never changes once it is recorded: its figures are taken out once, and remembered in this process.
    Raises RunStoreError when the database cannot do its part, and ValueError for a limit below 1.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, RunStore.open(Path(folder) / "runs.sqlite") as store:
    ...     batches(store), rules(store, ["20261120-195801-a3f9c1"]), lines(store)
    ((), (), ((), 0))
    """
    _at_least(1, limit=limit)
    chosen = select(RUNS.c.run_id).where(*_chosen(command="check", kind=kind)).order_by(*NEWEST_FIRST).limit(limit)
    with store.reading() as connection:
        rows = connection.execute(_line(Documents.of(connection), chosen)).all()
    said = _said(store, [row.run_id for row in rows])
    return tuple(BatchFigures(**_line_of(row), **vars(said[row.run_id])) for row in rows)


def rules(store: RunStore, run_ids: Sequence[str], *, rule: str | None = None) -> tuple[RuleFigures, ...]:
    """What every rule, or the one of this id, said in these runs: in their order, then in the suite's.

    A run that is not there, or is no check, has none.
    """
    where = {} if rule is None else {"id": rule}
    found = _listed(store, run_ids, ("expectations",), _RULE, where)
    return tuple(figures for run_id, one in found for figures in _rule(run_id, one))


def columns(
    store: RunStore, run_ids: Sequence[str], *, column: str | None = None, segments: bool = False
) -> tuple[ColumnFigures, ...]:
    """The comparisons of every column, or of this one, in these runs: in their order, then in the document's.

    `segments` adds those within segments to those of the whole batch.
    """
    where = {"column": column, "segment": None}
    if column is None:
        del where["column"]
    if segments:
        del where["segment"]
    found = _listed(store, run_ids, ("drift", "columns"), _COLUMN, where)
    return tuple(figures for run_id, one in found for figures in _column(run_id, one))


def lines(
    store: RunStore,
    *,
    command: str | None = None,
    status: str | None = None,
    kind: str | None = None,
    contains: str | None = None,
    first: int = 0,
    most: int = 50,
) -> tuple[tuple[RunLine, ...], int]:
    """A page of the list of runs, newest first, from place `first` (0 for the newest), and how many there are in all.

    `contains` is looked for in a run's id, the names of its inputs and the id of the model it made: letter by letter,
    with A to Z the same as a to z. Raises ValueError for a page before the first or of no line.
    """
    _at_least(0, first=first)
    _at_least(1, most=most)
    with store.reading() as connection:
        asked = Documents.of(connection)
        where = _chosen(command=command, status=status, kind=kind)
        if contains:
            where.append(_holding(asked, contains))
        page = select(RUNS.c.run_id).where(*where).order_by(*NEWEST_FIRST).limit(most).offset(first)
        more = RUNS.c.command, asked.picked(RUNS.c.document, ("task",), ("model_id",)).label("training")
        rows = connection.execute(_line(asked, page, *more)).all()
        every = connection.execute(select(func.count()).select_from(RUNS).where(*where)).scalar_one()
    found = (RunLine(**_line_of(row), command=row.command, task=_text(row.training[0])) for row in rows)
    return tuple(found), every


def newest(store: RunStore) -> str:
    """A text that is another one as soon as a run is recorded; what was kept for this one still holds until then."""
    last = select(RUNS.c.run_id).order_by(*NEWEST_FIRST).limit(1).scalar_subquery()
    with store.reading() as connection:
        count, run_id = connection.execute(select(select(func.count()).select_from(RUNS).scalar_subquery(), last)).one()
    return f"{count}:{run_id or ''}"


# --- asking ---------------------------------------------------------------------------------------------------------


_FACTS = (
    ("unreadable",),
    ("tolerated",),
    ("drift", "status"),
    ("drift", "reference"),
    ("edge_cases", "selected"),
    ("edge_cases", "added"),
    ("edge_cases", "retraining_set_rows"),
    ("edge_cases", "retrain_after"),
    ("error", "problem"),
)
_RULE = tuple((name,) for name in ("id", "column", "severity", "outcome", "examined", "unexpected", "mostly", "reason"))
_COLUMN = (
    *((name,) for name in ("column", "segment", "sort", "test", "effect", "effect_name", "floor")),
    *((name,) for name in ("p_value", "p_adjusted", "drifted", "said")),
    *(("evidently", name) for name in ("method", "value", "drifted")),
)


def _chosen(**asked: str | None) -> list[ColumnElement[bool]]:
    return [RUNS.c[name] == stored(value) for name, value in asked.items() if value is not None]


def _holding(asked: Documents, contains: str) -> ColumnElement[bool]:
    return or_(
        asked.holds(RUNS.c.run_id, contains),
        asked.any_holds(RUNS.c.inputs, "name", contains),
        and_(RUNS.c.command != "check", asked.holds(asked.text(RUNS.c.document, "model_id"), contains)),
    )


def _line(asked: Documents, chosen: Select[Any], *more: ColumnElement[Any]) -> Select[Any]:
    """The lines of chosen runs. They are chosen first: a database that sorts would take parts out of every document."""
    names = asked.picked(RUNS.c.inputs, *((place, "name") for place in range(_NAMED + 1)))
    short = [column for column in RUNS.c if column.name in _SHORT]
    return select(*short, names.label("names"), *more).where(RUNS.c.run_id.in_(chosen)).order_by(*NEWEST_FIRST)


_SHORT = ("run_id", "status", "kind", "started_at", "seconds", "rows", "quarantined", "folder")


def _line_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SHORT} | {"name": _name(row.names)}


def _listed(
    store: RunStore,
    run_ids: Sequence[str],
    path: tuple[str, ...],
    wanted: tuple[tuple[str, ...], ...],
    where: Mapping[str, str | None],
) -> Iterator[tuple[str, list[Any]]]:
    """Of each object in that list of these runs' documents what is wanted, with its run."""
    found: dict[str, list[Any] | None] = {}
    with store.reading() as connection:
        asked = Documents.of(connection)
        told = asked.listed(RUNS.c.document, path, *wanted, where=dict(where))
        for some in _parts(run_ids):
            query = select(RUNS.c.run_id, told).where(RUNS.c.run_id.in_(some), RUNS.c.command == "check")
            found |= {row.run_id: row[1] for row in connection.execute(query)}
    for run_id in dict.fromkeys(run_ids):
        for one in found.get(run_id) or ():
            yield run_id, one


def _parts(run_ids: Sequence[str]) -> Iterator[list[str]]:
    """Each id once, in pieces."""
    every = [stored(run_id) for run_id in dict.fromkeys(run_ids)]
    for begin in range(0, len(every), _AT_ONCE):
        yield every[begin : begin + _AT_ONCE]


# --- what documents say ---------------------------------------------------------------------------------------------


_remembered: dict[tuple[str, str], _Said] = {}
"""Store and run → what its document says."""


def _said(store: RunStore, run_ids: Sequence[str]) -> dict[str, _Said]:
    known = {run_id: _remembered.get((repr(store), run_id)) for run_id in run_ids}
    new = _read(store, [run_id for run_id, said in known.items() if said is None])
    if len(_remembered) + len(new) > _REMEMBERED:
        _remembered.clear()
    _remembered.update({(repr(store), run_id): said for run_id, said in new.items()})
    return {run_id: said or new.get(run_id, _Said()) for run_id, said in known.items()}


def _read(store: RunStore, run_ids: Sequence[str]) -> dict[str, _Said]:
    with store.reading() as connection:
        asked = Documents.of(connection)
        document = RUNS.c.document
        wanted = (
            asked.picked(document, *_FACTS),
            asked.listed(document, ("expectations",), ("outcome",), ("severity",)),
            asked.listed(
                document, ("drift", "columns"), ("column",), ("floor",), ("drifted",), where={"segment": None}
            ),
        )
        found: dict[str, _Said] = {}
        for some in _parts(run_ids):
            query = select(RUNS.c.run_id, *wanted).where(RUNS.c.run_id.in_(some))
            found |= {run_id: _figures(*told) for run_id, *told in connection.execute(query)}
    return found


def _figures(facts: Sequence[Any], rules: Sequence[Any] | None, columns: Sequence[Any] | None) -> _Said:
    unreadable, tolerated, status, reference, selected, added, gathered, retrain_after, problem = facts
    outcomes = [outcome for outcome, _ in rules or ()]
    tested = [(str(column), drifted is True) for column, floor, drifted in columns or () if floor is not None]
    return _Said(
        unreadable=_whole(unreadable),
        tolerated=_whole(tolerated),
        rules=len(outcomes),
        broken=outcomes.count("failed"),
        critical=sum(one == ["failed", "critical"] for one in rules or ()),
        unexaminable=outcomes.count("error"),
        not_examined=outcomes.count("not examined"),
        drift=status if status in tuple(DriftStatus) else DriftStatus.NOT_EXAMINED.value,
        reference=_text(reference),
        compared=len({column for column, _ in tested}),
        drifted=len({column for column, drifted in tested if drifted}),
        selected=_whole(selected),
        added=_whole(added),
        gathered=_whole(gathered),
        retrain_after=_whole(retrain_after) or None,
        problem=_text(problem),
    )


def _rule(run_id: str, told: Sequence[Any]) -> Iterator[RuleFigures]:
    """None where it has no id."""
    name, column, severity, outcome, examined, unexpected, mostly, reason = told
    if isinstance(name, str):
        yield RuleFigures(
            run_id=run_id,
            id=name,
            column=_text(column),
            severity=_text(severity) or "",
            outcome=_text(outcome) or "",
            examined=_whole(examined),
            unexpected=_whole(unexpected),
            mostly=_number(mostly),
            reason=_text(reason) or "",
        )


def _column(run_id: str, told: Sequence[Any]) -> Iterator[ColumnFigures]:
    """None where it has no name."""
    name, segment, sort, test, effect, effect_name, floor, p_value, p_adjusted, drifted, said, *evidently = told
    if isinstance(name, str):
        yield ColumnFigures(
            run_id=run_id,
            column=name,
            segment=_text(segment),
            sort=_text(sort) or "",
            test=_text(test) or "",
            effect=_number(effect) or 0.0,
            effect_name=_text(effect_name) or "",
            floor=_number(floor),
            p_value=_number(p_value),
            p_adjusted=_number(p_adjusted),
            drifted=drifted is True,
            said=_text(said) or "",
            evidently_method=_text(evidently[0]),
            evidently_value=_number(evidently[1]),
            evidently_drifted=evidently[2] if isinstance(evidently[2], bool) else None,
        )


def _name(names: Sequence[Any]) -> str:
    texts = [name for name in names if isinstance(name, str)]
    return ", ".join([*texts[:_NAMED], *(["…"] if len(texts) > _NAMED else [])])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _at_least(least: int, **given: int) -> None:
    for name, value in given.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value!r}")
