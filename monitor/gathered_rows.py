"""Which of the gathered rows match? A page of them at a time, however many the retraining set holds."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from expectations.parquet_query import Asking, asking, cannot_be_read, parts_of_table, readable_names, sayable
from expectations.sql import all_of
from monitor.retraining_set import ROWS, RetrainingSet

UNDECIDED = "undecided"
"""What stands in a verdict's place for rows about which nobody has decided."""
_OWN = ("text", "kind", "role", "reasons", "file", "row", "text_hash", "id", "run_id", "added_at")
_DECIDED = ("verdict", "role", "label")
_NONE_CHOSEN = pa.schema(
    [
        *(ROWS.field(name) for name in ("kind", "role", "reasons", "run_id", "text_hash", "added_at")),
        pa.field("file_index", pa.int64()),
        pa.field("file_row_number", pa.int64()),
    ]
).empty_table()
_CHOSEN_BY = _NONE_CHOSEN.column_names
"""What says whether a row matches, but its text, and where it stands."""
_KEY = ("kind", "text_hash")
_LEFT_DECIDED = "left join decided d on d.kind = r.kind and d.text_hash = r.text_hash"

_Key = tuple[str, str, str]
"""Kind, the column by which a label joins (`id` or `text_hash`), and its value."""


@dataclass(frozen=True)
class Wanted:
    """Which rows are asked for: those that meet everything that is given."""

    kind: str | None = None
    reason: str | None = None
    """One of the row's reasons."""
    role: str | None = None
    """The role in which it was gathered, whatever people decided."""
    run_id: str | None = None
    contains: str | None = None
    """What its text holds, in any case and as it stands: `%` is a per cent sign."""
    holding: pa.Table | None = None
    """Rows to choose from, as the function of this name gives them."""


@dataclass(frozen=True)
class GatheredRow:
    """One row of the retraining set, with what people said of it."""

    text: str
    kind: str
    role: str
    """In which it was gathered: positive, negative, counterfactual or replay."""
    reasons: tuple[str, ...]
    file: str
    row: int
    """Number of the record in its file; the first is 1."""
    text_hash: str
    id: str | None
    run_id: str
    """The check that added it."""
    added_at: datetime
    """In UTC."""
    label: str | None
    """The latest that came with labels."""
    verdict: str | None
    """What a person decided; None where nobody has."""
    decided_role: str | None
    decided_label: str | None


@dataclass(frozen=True)
class GatheredRows:
    """A page of rows."""

    rows: tuple[GatheredRow, ...]
    total: int
    """Rows that match, over all pages."""


@dataclass(frozen=True)
class Tallies:
    """How many rows match; in each, the most frequent comes first."""

    by_reason: Mapping[str, int]
    """A row counts for each of its reasons."""
    by_role: Mapping[str, int]
    by_kind: Mapping[str, int]
    by_verdict: Mapping[str, int]
    """`UNDECIDED` among them."""
    total: int


def find(
    gathered: RetrainingSet,
    wanted: Wanted = Wanted(),
    *,
    decided: pa.Table | None = None,
    verdict: str | None = None,
    first: int = 0,
    most: int = 50,
) -> GatheredRows:
    """The rows that match from the `first` on (0 is the first), at most `most`: newest first, then by file and row.

    `decided` has what people decided: `kind`, `text_hash`, `verdict`, `role` and `label`, once for each kind and text.
    `verdict` leaves only rows with this one, or those that are `UNDECIDED`. What was added by one check is equally new,
    and newer than all that was there before, whatever the clock said. No row, and a page past the end: no rows.

    A million rows in 200 parts take 0.1 to 0.2 s, and with `contains` 0.4 s (on two cores); memory holds 16 bytes for
    each row that matches, the decisions, and the page.

    Raises ShopmonError for a part that is damaged; ValueError for a page before the first, and tables without their
    columns.

    >>> from tempfile import TemporaryDirectory
    >>> said = {"text": ["Warm."], "kind": ["reviews"], "role": ["positive"], "reasons": [["praise"]],
    ...         "batch": ["3f2a"], "file": ["new.csv"], "row": [1]}
    >>> with TemporaryDirectory() as folder:
    ...     gathered = RetrainingSet(Path(folder))
    ...     _ = gathered.add(pa.table(said), "20261120-195801-a3f9c1")
    ...     found = find(gathered, Wanted(reason="praise", contains="WARM"))
    ...     found.total, found.rows[0].text, tallies(gathered).by_role
    (1, 'Warm.', {'positive': 1})
    """
    if first < 0 or most < 0:
        raise ValueError(f"first and most count rows, 0 or more, got {first!r} and {most!r}")
    with _asked(gathered, wanted, decided) as rows:
        parts, places = rows.matching(wanted, verdict)
        return GatheredRows(rows.page(parts, places, first, most), len(places))


def holding(gathered: RetrainingSet, contains: str) -> pa.Table:
    """The rows whose text holds something, for `Wanted.holding`: what they are and where they stand, without the texts.

    Texts are most of a set. Whoever asks more than once about those that hold the same looks through them once, with
    some 150 bytes for each row that is found. It stands as long as `content_key` does. Raises as `find` does.
    """
    with _asked(gathered, Wanted(), None) as rows:
        return rows.chosen(Wanted(contains=contains))


def tallies(gathered: RetrainingSet, wanted: Wanted = Wanted(), *, decided: pa.Table | None = None) -> Tallies:
    """How many rows match, by what they are; no rows, no counts. `decided` and what is raised are as with `find`."""
    with _asked(gathered, wanted, decided) as rows:
        counted = rows.counted(wanted)
    return Tallies(
        by_reason=_sums((reason, count) for _, _, reasons, _, count in counted for reason in reasons),
        by_role=_sums((role, count) for _, role, _, _, count in counted),
        by_kind=_sums((kind, count) for kind, _, _, _, count in counted),
        by_verdict=_sums((verdict, count) for _, _, _, verdict, count in counted),
        total=sum(count for *_, count in counted),
    )


def content_key(gathered: RetrainingSet) -> str:
    """What changes whenever rows or labels are added, so that a cache can be keyed by it; no part is opened."""
    known = hashlib.sha256()
    for part in (*gathered.parts, *gathered.label_parts):
        try:
            found = part.stat()
        except OSError as error:
            raise _damaged(part, error) from error
        known.update(repr((part.parent.name, part.name, found.st_size, found.st_mtime_ns)).encode())
    return known.hexdigest()


def signals_of(edge_cases: Path, text_hash: str) -> Mapping[str, str]:
    """What the signals said of a row when it was chosen: the `signals` that its run's edge_cases.parquet keeps.

    That is a file, or a folder of parts. Empty where it is gone, or does not have the row. Raises ShopmonError where it
    is damaged.
    """
    files = parts_of_table(edge_cases)
    if not files or not sayable(text_hash):
        return {}
    try:
        with readable_names(files) as names, asking() as asked:
            scan, digest = (
                f"read_parquet({asked.bound.to(names)}, hive_partitioning = false)",
                asked.bound.to(text_hash),
            )
            found: Any = asked.rows(f"select signals from {scan} where text_hash = {digest} limit 1")
    except (duckdb.Error, OSError) as error:
        advice = "Check the batch again; its run then has its edge cases anew."
        raise cannot_be_read(f"the edge cases {edge_cases}", error, advice=advice) from error
    return {str(signal): str(value) for (said,) in found for signal, value in (said or {}).items()}


@dataclass(frozen=True)
class _Rows:
    """The parts of a retraining set, as they are asked; `decided` and `held` are tables of the connection."""

    asked: Asking
    parts: Sequence[str]
    """The names of the parts, the oldest first."""
    labels: Sequence[str]

    def matching(self, wanted: Wanted, verdict: str | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each row that matches: which part it is in (an index), and where in the part."""
        where = self._where(wanted, verdict)
        if not self.parts or where is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return self._numbers(f"select file_index, file_row_number from {self._rows(wanted)} r where {where}")

    def chosen(self, wanted: Wanted) -> pa.Table:
        """Of each row that matches all by which rows are chosen, but its text."""
        where = self._where(wanted, None)
        if not self.parts or where is None:
            return _NONE_CHOSEN
        sql = f"select {', '.join(_CHOSEN_BY)} from {self._scan(self.parts)} r where {where}"
        return self.asked.connection.sql(sql, params=self.asked.bound.used_in(sql)).to_arrow_table()

    def page(
        self, parts: NDArray[np.int64], places: NDArray[np.int64], first: int, most: int
    ) -> tuple[GatheredRow, ...]:
        """The rows of a page; only the parts that hold some of them are looked into."""
        counts = np.bincount(parts, minlength=len(self.parts))[::-1]  # the newest part first
        before = np.cumsum(counts) - counts
        on_it = np.flatnonzero((counts > 0) & (before < first + most) & (before + counts > first))
        if not most or not len(on_it):
            return ()
        near = np.isin(parts, len(self.parts) - 1 - on_it)
        chosen = self._in_order(parts[near], places[near], first - int(before[on_it[0]]), most)
        return self._with_labels(self._taken(*chosen))

    def _in_order(
        self, parts: NDArray[np.int64], places: NDArray[np.int64], skipped: int, most: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of these rows some, in the order of the page."""
        scan = self._at(parts, places)
        ordered = f"order by c.part desc, r.file, r.row, c.place limit {most:d} offset {skipped:d}"
        return self._numbers(f"select c.part, c.place from {scan} {ordered}")

    def _taken(self, parts: NDArray[np.int64], places: NDArray[np.int64]) -> list[tuple[Any, ...]]:
        """These rows whole, with what was decided of each."""
        own, said = (", ".join(f"{of}.{name}" for name in names) for of, names in (("r", _OWN), ("d", _DECIDED)))
        return self.asked.rows(f"select {own}, {said} from {self._at(parts, places)} {_LEFT_DECIDED} order by c.turn")

    def _at(self, parts: NDArray[np.int64], places: NDArray[np.int64]) -> str:
        """SQL: the rows `r` at these places, with `part`, `place` and `turn` (their order here) as `c`."""
        held, index = np.unique(parts, return_inverse=True)
        turns = pa.table({"part": parts, "index": index, "place": places, "turn": np.arange(len(parts))})
        self.asked.connection.register("places", turns)
        scan = self._scan([self.parts[part] for part in held])
        return f"{scan} r join places c on r.file_index = c.index and r.file_row_number = c.place"

    def _with_labels(self, rows: Sequence[tuple[Any, ...]]) -> tuple[GatheredRow, ...]:
        own = [dict(zip(_OWN, row, strict=False)) for row in rows]
        labels = self._labels_of(own)
        return tuple(_row(said, labels, *row[len(_OWN) :]) for said, row in zip(own, rows, strict=True))

    def _labels_of(self, rows: Sequence[Mapping[str, Any]]) -> dict[_Key, tuple[int, str]]:
        """The labels that count for these rows, each with its place in the order of all labels."""
        if not self.labels:
            return {}
        by = {name: self.asked.bound.to(sorted({row[name] for row in rows if row[name]})) for name in ("id", *_KEY)}
        of_them = f"list_contains({by['id']}, id) or (id is null and list_contains({by['text_hash']}, text_hash))"
        found: Any = self.asked.rows(
            f"select kind, id, text_hash, label from {self._scan(self.labels)} "
            f"where list_contains({by['kind']}, kind) and ({of_them}) order by file_index, file_row_number"
        )
        return {
            (kind, *(("text_hash", digest) if own is None else ("id", own))): (place, label)
            for place, (kind, own, digest, label) in enumerate(found, 1)
        }

    def counted(self, wanted: Wanted) -> list[tuple[Any, ...]]:
        """Kind, role, reasons and verdict, and how many rows have just these."""
        where = self._where(wanted, None)
        if not self.parts or where is None:
            return []
        rows: Any = self.asked.rows(
            f"select r.kind, r.role, r.reasons, coalesce(d.verdict, '{UNDECIDED}'), count(*) "
            f"from {self._rows(wanted)} r {_LEFT_DECIDED} where {where} group by all"
        )
        return [(kind, role, reasons or (), verdict, int(count)) for kind, role, reasons, verdict, count in rows]

    def _where(self, wanted: Wanted, verdict: str | None) -> str | None:
        """SQL: the row `r` matches; None where none can."""
        said = (wanted.kind, wanted.reason, wanted.role, wanted.run_id, wanted.contains, verdict)
        if not all(sayable(text) for text in said if text is not None):
            return None
        bind = self.asked.bound.to
        equal = {"kind": wanted.kind, "role": wanted.role, "run_id": wanted.run_id}
        where = ["r.added_at is not null"]  # always so, and asked because a file that is no part has no such column
        where += [f"r.{name} = {bind(value)}" for name, value in equal.items() if value is not None]
        if wanted.reason is not None:
            where.append(f"list_contains(r.reasons, {bind(wanted.reason)})")
        if wanted.contains is not None:
            where.append(self.asked.contains("r.text", wanted.contains))
        if verdict is not None:
            theirs = "d.kind = r.kind and d.text_hash = r.text_hash"
            this = "" if verdict == UNDECIDED else f" and d.verdict = {bind(verdict)}"
            where.append(f"{'not ' if not this else ''}exists (select 1 from decided d where {theirs}{this})")
        return all_of(where)

    def _rows(self, wanted: Wanted) -> str:
        return self._scan(self.parts) if wanted.holding is None else "held"

    def _scan(self, names: Sequence[str]) -> str:
        return f"read_parquet({self.asked.bound.to(list(names))})"

    def _numbers(self, sql: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The two columns of a query for whole numbers."""
        found = self.asked.connection.execute(sql, self.asked.bound.used_in(sql)).fetchnumpy()
        one, other = (np.asarray(column).astype(np.int64) for column in found.values())
        return one, other


@contextmanager
def _asked(gathered: RetrainingSet, wanted: Wanted, decided: pa.Table | None) -> Iterator[_Rows]:
    """The set's parts, opened; what keeps DuckDB from reading them is told by the part's name."""
    known = _with_columns(decided, ("kind", "text_hash", *_DECIDED), "decided")
    held = _with_columns(wanted.holding, _CHOSEN_BY, "holding")
    parts, labels = gathered.parts, gathered.label_parts
    try:
        with readable_names([*parts, *labels]) as names, asking() as asked:
            for name, table in (("decided", known), ("held", held)):
                asked.connection.register(name, table)
            yield _Rows(asked, names[: len(parts)], names[len(parts) :])
    except (duckdb.Error, OSError) as error:
        for _ in gathered.read():  # which names the part that is damaged
            pass
        raise _damaged(gathered.folder, error) from error


def _row(
    own: dict[str, Any], labels: Mapping[_Key, tuple[int, str]], verdict: str, role: str, label: str
) -> GatheredRow:
    keys = ((own["kind"], "id", own["id"]), (own["kind"], "text_hash", own["text_hash"]))
    _, latest = max((labels[key] for key in keys if key in labels), default=(0, None))
    own |= {"reasons": tuple(own["reasons"] or ()), "added_at": own["added_at"].astimezone(UTC)}
    return GatheredRow(**own, label=latest, verdict=verdict, decided_role=role, decided_label=label)


def _with_columns(table: pa.Table | None, needed: Iterable[str], name: str) -> pa.Table:
    """The table, or one without rows in its place. Raises ValueError where it lacks a column."""
    if table is None:
        return pa.table({column: pa.array([], pa.string()) for column in needed})
    if missing := [column for column in needed if column not in table.column_names]:
        raise ValueError(f"{name!r} needs the column {missing[0]!r}; got {table.column_names}")
    return table


def _damaged(place: Path, error: Exception) -> ShopmonError:
    advice = (
        "Try again. If it happens again, look at the files in this folder, and restore what is damaged from a copy."
    )
    return cannot_be_read(f"{place} of the retraining set", error, advice=advice)


def _sums(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for name, count in counted:
        sums[name] += count
    return dict(sorted(sums.items(), key=lambda pair: (-pair[1], str(pair[0]))))
