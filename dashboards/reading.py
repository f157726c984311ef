"""What do the store, the runs' folders, the retraining set and the registry say, each read once as long as it stays?

Every cache is keyed by what it holds: by the newest run of the store, by a run's id (a run never changes), by the parts
of the retraining set and the decisions about them, by a model's weights. So nothing stale is shown, and nothing is
read twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from dashboards.shop import Shop, recorded
from expectations.failing_rows import FailingRows, failing_rows, rules_of
from monitor import gathered_rows, history
from monitor.distributions import Spread, read
from monitor.gathered_rows import GatheredRows, Tallies, Wanted
from monitor.history import BatchFigures, ColumnFigures, RuleFigures, RunLine
from monitor.retraining_set import RetrainingSet
from monitor.reviews import Changed, Reviews, Verdict
from monitor.runs import Run, RunStore

# --- the run store ----------------------------------------------------------------------------------------------------


def batches(shop: Shop, limit: int = 1_000) -> tuple[BatchFigures, ...]:
    """The figures of the newest checks, the newest first; none before the first one."""
    if shop.store is None:
        return ()
    return _batches(shop.store, shop.key, history.newest(shop.store), limit)


@st.cache_data(max_entries=32, show_spinner="Reading the checks …")
def _batches(_store: RunStore, key: str, newest: str, limit: int) -> tuple[BatchFigures, ...]:
    return history.batches(_store, limit=limit)


def rules(shop: Shop, run_ids: Sequence[str], rule: str | None = None) -> tuple[RuleFigures, ...]:
    """What some checks say of their rules, or of one."""
    return _rules(recorded(shop), shop.key, tuple(run_ids), rule) if run_ids else ()


@st.cache_data(max_entries=32, show_spinner="Reading the rules …")
def _rules(_store: RunStore, key: str, run_ids: tuple[str, ...], rule: str | None) -> tuple[RuleFigures, ...]:
    return history.rules(_store, run_ids, rule=rule)


def columns(shop: Shop, run_ids: Sequence[str]) -> tuple[ColumnFigures, ...]:
    """What some checks say of their columns as a whole."""
    return _columns(recorded(shop), shop.key, tuple(run_ids)) if run_ids else ()


@st.cache_data(max_entries=32, show_spinner="Reading what drifted …")
def _columns(_store: RunStore, key: str, run_ids: tuple[str, ...]) -> tuple[ColumnFigures, ...]:
    return history.columns(_store, run_ids)


def run(shop: Shop, run_id: str) -> Run:
    """One run with its whole document."""
    return _run(recorded(shop), shop.key, run_id)


@st.cache_data(max_entries=16, show_spinner="Reading the run …")
def _run(_store: RunStore, key: str, run_id: str) -> Run:
    return _store.get(run_id)


def lines(shop: Shop, first: int, most: int, **filters: str | None) -> tuple[tuple[RunLine, ...], int]:
    """A page of the list of runs, and how many there are in all."""
    if shop.store is None:
        return (), 0
    return _lines(shop.store, shop.key, history.newest(shop.store), first, most, tuple(sorted(filters.items())))


@st.cache_data(max_entries=32, show_spinner="Looking for runs …")
def _lines(
    _store: RunStore, key: str, newest: str, first: int, most: int, filters: tuple[tuple[str, str | None], ...]
) -> tuple[tuple[RunLine, ...], int]:
    return history.lines(_store, first=first, most=most, **dict(filters))


# --- a run's folder ---------------------------------------------------------------------------------------------------


def artifact(shop: Shop, found: Run, name: str) -> Path | None:
    """A file that a check wrote, or a folder of parts, also if the project was moved since; None if there is none, or
    none any more."""
    written = found.document.get("artifacts") or {}
    if not isinstance(written, Mapping) or name not in written:
        return None
    path = Path(str(written[name]))
    moved = shop.project.runs / found.run_id / path.name
    return next((place for place in (path, moved) if place.exists()), None)


def was_written(found: Run, name: str) -> bool:
    """Whether a check wrote a file of this name, be it there or not."""
    return name in (found.document.get("artifacts") or {})


def spreads(file: Path, column: str) -> tuple[Spread, ...]:
    """How a column is spread on both sides of a comparison."""
    return _spreads(str(file), _stamp(file), column)


@st.cache_data(max_entries=64, show_spinner=False)
def _spreads(file: str, stamp: tuple[int, int], column: str) -> tuple[Spread, ...]:
    return read(Path(file), column)


def quarantined(file: Path) -> Mapping[str, int]:
    """Rule → rows of a quarantine that broke it."""
    return _quarantined(str(file), _stamp(file))


@st.cache_data(max_entries=16, show_spinner="Reading the quarantine …")
def _quarantined(file: str, stamp: tuple[int, int]) -> Mapping[str, int]:
    return rules_of(Path(file))


def failing(file: Path, rule: str | None, contains: str | None, first: int, most: int) -> FailingRows:
    """A page of the rows of a quarantine."""
    return _failing(str(file), _stamp(file), rule, contains, first, most)


@st.cache_data(max_entries=32, show_spinner="Reading the quarantine …")
def _failing(
    file: str, stamp: tuple[int, int], rule: str | None, contains: str | None, first: int, most: int
) -> FailingRows:
    return failing_rows(Path(file), rule=rule, contains=contains, first=first, most=most)


def _stamp(file: Path) -> tuple[int, int]:
    """What says that a file is still the same: when it was written, and how long it is."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size


# --- the retraining set and what people decided -----------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """The rows that checks gathered, with the decisions about them."""

    rows: RetrainingSet
    content: str
    """Changes with every row and label."""
    key: str
    """Changes with every row, label and decision."""
    decided: pa.Table
    """kind, text_hash, verdict, role, label of what stands."""

    def find(self, wanted: Wanted, verdict: str | None, first: int, most: int) -> GatheredRows:
        """A page of the rows that match, the newest first."""
        return _find(self.key, wanted, verdict, first, most, _gathered=self)

    def tallies(self, wanted: Wanted) -> Tallies:
        """How many rows match, by reason, role, kind and verdict."""
        return _tallies(self.key, wanted, _gathered=self)

    def looked_up(self, wanted: Wanted) -> Wanted:
        """The same rows, without a text to be looked for: it was looked for once, whatever is asked with it."""
        if wanted.contains is None:
            return wanted
        return replace(wanted, contains=None, holding=_holding(self.content, wanted.contains, _rows=self.rows))


def gathered(shop: Shop) -> Gathered:
    """The project's retraining set as it is now."""
    rows = RetrainingSet(shop.project.retraining)
    version, decided = _decisions(shop.key).now(shop.store.reviews) if shop.store else ((), _NOTHING_DECIDED)
    content = repr((str(rows.folder), gathered_rows.content_key(rows)))
    return Gathered(rows, content, repr((content, shop.key, version)), decided)


_DECIDED = pa.schema([(name, pa.string()) for name in ("kind", "text_hash", "verdict", "role", "label")])
_NOTHING_DECIDED = _DECIDED.empty_table()


class _Decisions:
    """The decisions of a store that stand: after each new one only what it changed is read."""

    def __init__(self) -> None:
        self._lock = Lock()  # sessions share it
        self._version: tuple[int, ...] = ()
        self._table = _NOTHING_DECIDED

    def now(self, reviews: Reviews) -> tuple[tuple[int, ...], pa.Table]:
        """The version that the decisions have now, and what stands."""
        with self._lock:
            changed = reviews.changed(self._version)
            if changed.texts:
                self._table = _with(self._table, changed)
            self._version = changed.version
            return self._version, self._table


def _with(decided: pa.Table, changed: Changed) -> pa.Table:
    """The decisions that stand once some have changed."""
    keys = pc.binary_join_element_wise(decided["text_hash"], decided["kind"], "")
    again = pa.array([digest + kind for kind, digest in changed.texts], pa.string())
    stands = [(*text, *said) for text, said in changed.texts.items() if said is not None]
    columns = zip(*stands, strict=True) if stands else ((),) * len(_DECIDED)
    new = pa.table([pa.array(column, pa.string()) for column in columns], schema=_DECIDED)
    return pa.concat_tables([decided.filter(pc.invert(pc.is_in(keys, again))), new]).combine_chunks()


@st.cache_resource(max_entries=8, show_spinner=False)
def _decisions(key: str) -> _Decisions:
    return _Decisions()


@st.cache_data(max_entries=64, show_spinner="Looking through the rows …")
def _find(key: str, wanted: Wanted, verdict: str | None, first: int, most: int, *, _gathered: Gathered) -> GatheredRows:
    return gathered_rows.find(
        _gathered.rows, _gathered.looked_up(wanted), decided=_gathered.decided, verdict=verdict, first=first, most=most
    )


@st.cache_data(max_entries=64, show_spinner="Counting the rows …")
def _tallies(key: str, wanted: Wanted, *, _gathered: Gathered) -> Tallies:
    return gathered_rows.tallies(_gathered.rows, _gathered.looked_up(wanted), decided=_gathered.decided)


@st.cache_resource(max_entries=2, show_spinner=False)
def _holding(content: str, contains: str, *, _rows: RetrainingSet) -> pa.Table:
    return gathered_rows.holding(_rows, contains)


def signals(file: Path, text_hash: str) -> Mapping[str, str]:
    """What was known of a row when it was chosen."""
    return _signals(str(file), _stamp(file), text_hash)


@st.cache_data(max_entries=256, show_spinner=False)
def _signals(file: str, stamp: tuple[int, int], text_hash: str) -> Mapping[str, str]:
    return gathered_rows.signals_of(Path(file), text_hash)


def undecided(tallies: Tallies) -> int:
    """Rows about which nobody has decided."""
    return tallies.total - sum(tallies.by_verdict.get(verdict.value, 0) for verdict in Verdict)


def document_of(found: Run) -> dict[str, Any]:
    """A run's document; an empty one where the record holds something else."""
    return found.document if isinstance(found.document, dict) else {}
