"""How many rows may each rule choose, and which of them are drawn?

DuckDB computes the signals that are cheap, for all rows, and leaves out the rows that no rule can choose any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.batch import Batch
from expectations.columns import FILE, ROW
from expectations.sql import any_of, quoted
from monitor import formula as formulas
from monitor.edge_case_rules import Asking, EdgeCaseSettings
from monitor.retraining_set import text_hashes
from monitor.signals import IN_RETRAINING_SET, SAID, SIGNALS, Asked, Signal, text_of

KNOWN = "texts_gathered_before"
"""The relation whose column `text_hash` holds the texts of the retraining set."""
LOWERED = "said_in_lower_case"
"""The column that holds the text in lower case."""
MOST_DRAWN = 999_999
"""Rows that one rule may choose or look at in one check: the most that DuckDB's `min(value, n)` keeps."""
_CANDIDATES, _DRAWS = "edge_case_candidates", "edge_case_draws"
_HORIZON = 100_000
"""Rows of which a rule with a limit is asked at first, those that are drawn first: mostly they hold enough."""


Draws = NDArray[np.uint64]
"""What rows are drawn by: eight bytes each, the smallest first."""


@dataclass(frozen=True)
class Counted:
    """What the scan finds for one rule."""

    sure: int
    """Rows that need no dear signal to be chosen."""
    open: int
    """Rows that a dear signal decides."""
    sure_draws: Draws
    """Those of the sure rows that are drawn first, as far as any limit lets them be taken."""
    open_draws: Draws
    """The same of the open ones, in the order in which they are drawn."""


class Drawn(Protocol):
    """The rows that are drawn, in the order of file and row, wherever they lie."""

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of all of them, such as draws and flags."""

    def of(self, names: Sequence[str], rows: NDArray[np.intp]) -> pa.Table:
        """Some columns of some of them, such as the texts that a dear signal is computed of."""

    def keep(self, verdicts: pa.Table) -> Kept:
        """Give the rows that are chosen their texts; `verdicts` has the columns `VERDICTS`."""


VERDICTS = pa.schema(
    [
        ("at", pa.int64()),
        ("kind", pa.string()),
        ("role", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("signals", pa.map_(pa.string(), pa.string())),
    ]
)
"""Of each row that is chosen: its place among those that are drawn, which role it has, which rules chose it, and the
values that decided, as text by name."""


@dataclass(frozen=True)
class Kept:
    """The rows that are chosen, whole."""

    rows: pa.Table
    """In memory; none where they were written."""
    parts: tuple[Path, ...] = ()
    """The parquet files that others wrote them to, in the order of the rows."""


@dataclass(frozen=True)
class DrawnHere:
    """Those of one machine, in memory."""

    table: pa.Table

    def column(self, name: str) -> pa.ChunkedArray:
        return self.table.column(name)

    def of(self, names: Sequence[str], rows: NDArray[np.intp]) -> pa.Table:
        return self.table.select(list(names)).take(pa.array(rows))

    def keep(self, verdicts: pa.Table) -> Kept:
        return Kept(whole_rows(verdicts, self.of(WHOSE, verdicts.column("at").to_numpy())))


WHOSE = ("file", "row", "text", "id", "label")
"""What is told of a row that is chosen, beside the verdict."""


def whole_rows(verdicts: pa.Table, whose: pa.Table) -> pa.Table:
    """The rows that are chosen, in the columns of `edge_cases.parquet`: verdicts, and beside them the columns `WHOSE`.

    >>> table = whole_rows(VERDICTS.empty_table(), pa.table({name: pa.array([], pa.string()) for name in WHOSE}))
    >>> " ".join(table.column_names)
    'file row text kind role reasons text_hash id label signals'
    """
    columns = {
        "file": whose.column("file").cast(pa.int32()),
        "row": whose.column("row").cast(pa.int64()),
        "text": whose.column("text").cast(pa.string()),
        **{name: verdicts.column(name) for name in ("kind", "role", "reasons")},
        "text_hash": text_hashes(whose.column("text")),
        "id": whose.column("id").cast(pa.string()),
        "label": whose.column("label").cast(pa.string()),
        "signals": verdicts.column("signals"),
    }
    return pa.table(columns)


class Looking(Protocol):
    """Who looks at all rows: how many each rule may choose, and which are drawn."""

    def count(self) -> tuple[int, dict[str, int], list[Counted]]:
        """Rows with a text, those that rules leave to the model of each task, and what there is for each rule."""

    def fetch(self, counts: Sequence[Counted]) -> Drawn:
        """The rows that are drawn: address, text, id, label, cheap signals, and for each rule whether it is sure."""


Near = Mapping[int, int]
"""Number of a rule → draw up to which its rows are looked at; all of them where it is not named."""


class Scan:
    """One look at all rows for how many each rule may choose, another for those that are drawn."""

    def __init__(
        self,
        asked: Asked,
        relation: str,
        asking: Sequence[Asking],
        signals: Mapping[str, Signal],
        settings: EdgeCaseSettings,
    ) -> None:
        self.relation = relation
        self.batch, self.bound, self.asking = asked.batch, asked.bound, asking
        self.most = [settings.model_rows if one.asks else settings.candidates for one in asking]
        self.reads = {task: asked.readers[task].reads for one in asking for task in one.asks if task in asked.readers}
        self.cheap = {name: signal.sql(asked) for name, signal in signals.items() if signal.sql is not None}
        # Those that read the text stand in a column of their own, the ones that most rules name first.
        named = Counter(name for one in asking for name in formulas.names_of(one.tree))
        self.slow = sorted((name for name in self.cheap if name in SIGNALS), key=lambda name: -named[name])
        self.columns = {n: f"signal_{self.slow.index(n)}" if n in self.slow else sql for n, sql in self.cheap.items()}
        self.own = [_own(asked.batch, "id", "id"), _label(asked.batch)]
        # Mostly a hash of the text, so that the same texts are drawn from whatever file; its last bits tell apart rows
        # with the same text, of which there may be very many.
        draw = f"(hash({SAID}) & {2**64 - 2**16}::ubigint) | (hash({FILE}, {ROW}) & {2**16 - 1}::ubigint)"
        texts = f"(select *, {text_of(asked.batch)} as {SAID} from {relation})"
        self.drawn = f"(select *, {draw} as draw from {texts} where {SAID} is not null)"

    def count(self) -> tuple[int, dict[str, int], list[Counted]]:
        """Rows with a text, those that rules leave to the model of each task, and what there is for each rule."""
        (rows,) = self.batch.row_of(f"select count(*) from {self.relation}")
        return self.counted(rows, self.ask)

    def counted(
        self, rows: int, ask: Callable[[Sequence[int], Near], Sequence[Any]]
    ) -> tuple[int, dict[str, int], list[Counted]]:
        """The same of so many rows, of which `ask` answers as this scan does of its own."""
        near = dict.fromkeys(self._limited, _HORIZON * 2**64 // rows) if rows > 2 * _HORIZON else {}
        every = range(len(self.asking))
        looked_at, left_to_models, counts = self._told(every, ask(every, near))
        short = [number for number in near if counts[number].sure < (self.asking[number].rule.at_most or 0)]
        if short:
            _, _, again = self._told(short, ask(short, {}))
            counts = [again[short.index(n)] if n in short else counted for n, counted in enumerate(counts)]
        return looked_at, left_to_models, counts

    @property
    def asks_known(self) -> bool:
        """Whether any rule depends on which texts the retraining set has."""
        return any(IN_RETRAINING_SET in formulas.names_of(one.tree) for one in self.asking)

    def over(self, batch: Batch | None) -> Scan:
        """The same scan of another batch of these columns; of none, so that it can be sent there."""
        other = copy(self)
        other.batch = batch  # type: ignore[assignment]  # it is asked nothing before it has one
        return other

    @property
    def _limited(self) -> list[int]:
        """The rules that choose so many rows and no more, and need no dear signal."""
        return [n for n, one in enumerate(self.asking) if one.rule.at_most is not None and not one.dear]

    def tasks(self, numbers: Sequence[int]) -> list[str]:
        """The tasks whose models some rules ask."""
        return sorted({task for number in numbers for task in self.asking[number].asks})

    def ask(self, numbers: Sequence[int], near: Near) -> Sequence[Any]:
        """Counts and draws for some rules, in the order of `most`."""
        tasks = self.tasks(numbers)
        to_models = [any_of(f"open_{n}" for n in numbers if task in self.asking[n].asks) for task in tasks]
        wanted = ["count(*)", *(f"count(*) filter ({to_model})" for to_model in to_models)]
        for number in numbers:
            one, sure, open_ = self.asking[number], f"filter (sure_{number})", f"filter (open_{number})"
            limit, most = self._limits(number)
            wanted += [f"count(*) {sure}", f"count(*) {open_}", f"min(draw, {limit}) {sure}"]
            wanted.append(f"min(draw, {most}) {open_}" if one.dear and most else "null")
        return self.batch.row_of(
            f"select {', '.join(wanted)} from {self._flagged(self.drawn, numbers, near)}", self.bound
        )

    def _limits(self, number: int) -> tuple[int, int]:
        """How many draws are told of a rule's sure rows, and of its open ones."""
        return min(self.asking[number].rule.at_most or MOST_DRAWN, MOST_DRAWN), self.most[number]

    def together(self, numbers: Sequence[int], one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
        """What `ask` would have said of the rows of two of its answers."""
        limits: list[int | None] = [None] * (1 + len(self.tasks(numbers)))
        for number in numbers:
            limits += [None, None, *self._limits(number)]
        return [
            a + b if limit is None else np.sort(np.concatenate([_draws(a), _draws(b)]))[:limit]
            for limit, a, b in zip(limits, one, other, strict=True)
        ]

    def _told(self, numbers: Sequence[int], answer: Sequence[Any]) -> tuple[int, dict[str, int], list[Counted]]:
        tasks, (looked_at, *found) = self.tasks(numbers), answer
        left, found = dict(zip(tasks, found, strict=False)), found[len(tasks) :]
        each = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True)
        counts = [Counted(sure, open_, _draws(draws), np.sort(_draws(more))) for sure, open_, draws, more in each]
        return looked_at, left, counts

    def fetch(self, counts: Sequence[Counted]) -> DrawnHere:
        """The rows that are drawn: address, text, id, label, cheap signals, and for each rule whether it is sure."""
        with self.candidates(draws_of(counts)) as name:
            return DrawnHere(self.batch.table_of(f"from {name} order by file, row"))

    @contextmanager
    def candidates(self, draws: Draws) -> Iterator[str]:
        """The name of a table of the rows with these draws, as long as the block lasts."""
        taken = [f"{FILE} as file", f"{ROW} as row", "draw", f"{SAID} as text", *self.own]
        taken += [
            f"{sql} as {quoted(read_as(task, place))}"
            for task, columns in self.reads.items()
            for place, sql in enumerate(columns)
        ]
        taken += [f"{sql} as {quoted(value_of(name))}" for name, sql in self.columns.items()]
        taken += [f"sure_{number}, open_{number}" for number, _ in enumerate(self.asking)]
        self.batch.connection.register(_DRAWS, pa.table({"draw": draws}))
        try:
            every = range(len(self.asking))
            some = self._flagged(f"(from {self.drawn} where draw in (select draw from {_DRAWS}))", every, {})
            query = f"select {', '.join(taken)} from {some}"
            self.batch.rows_of(f"create or replace temp table {_CANDIDATES} as {query}", self.bound)
            yield _CANDIDATES
        finally:
            self.batch.rows_of(f"drop table if exists {_CANDIDATES}")
            self.batch.connection.unregister(_DRAWS)

    def _flagged(self, rows: str, numbers: Sequence[int], near: Mapping[int, int]) -> str:
        """SQL: the rows with the signals that read the text, each only where a rule depends on it, and rules' flags."""
        reach = {number: f" and draw <= {near[number]}::ubigint" if number in near else "" for number in numbers}
        rows = f"(select *, lower({SAID}) as {LOWERED} from {rows})"
        for place, name in enumerate(self.slow):
            unknown = self.slow[place:]
            asking = [(n, self.asking[n]) for n in numbers if name in formulas.names_of(self.asking[n].tree)]
            depends = [f"{self._open(one, unknown)}{reach[number]}" for number, one in asking]
            rows = f"(select *, case when {any_of(depends)} then {self.cheap[name]} end as signal_{place} from {rows})"
        flags = [
            f"({self._sure(self.asking[n], ())}){reach[n]} as sure_{n}, {self._open(self.asking[n], ())} as open_{n}"
            for n in numbers
        ]
        return f"(select {', '.join(['*', *flags])} from {rows})"

    def _sure(self, one: Asking, unknown: Sequence[str]) -> str:
        """SQL: the rule chooses the row whatever the unknown and the dear signals are."""
        return formulas.to_sql(formulas.assume(one.tree, [*unknown, *one.dear], False), self._column, self.bound)

    def _open(self, one: Asking, unknown: Sequence[str]) -> str:
        """SQL: whether the rule chooses the row depends on the unknown and the dear signals."""
        if not unknown and not one.dear:
            return "false"
        possibly = formulas.assume(one.tree, [*unknown, *one.dear], True)
        return f"({formulas.to_sql(possibly, self._column, self.bound)} and not {self._sure(one, unknown)})"

    def _column(self, name: str) -> str:
        return self.columns[name]


def draws_of(counts: Sequence[Counted]) -> Draws:
    """The draws of all rows that any rule may choose."""
    every = [draws for counted in counts for draws in (counted.sure_draws, counted.open_draws)]
    return np.unique(np.concatenate([_draws(None), *every]))


def _draws(told: Sequence[int] | Draws | None) -> Draws:
    return np.asarray(() if told is None else told, dtype=np.uint64)


def _label(batch: Batch) -> str:
    """SQL: what people said of the row; of a pair without a label, its grade."""
    graded = "label" not in batch.mapping and "grade" in batch.mapping
    return _own(batch, "grade" if graded else "label", "label")


def _own(batch: Batch, role: str, name: str) -> str:
    column = batch.column(role)
    return f"{column.sql if column else 'null'}::varchar as {name}"


def know(batch: Batch, hashes: pa.Array) -> None:
    """Let SQL about a batch ask which texts the retraining set has."""
    batch.connection.register(KNOWN, pa.table({"text_hash": hashes}))


def read_as(task: str, place: int) -> str:
    """The name of a column that a model reads."""
    return f"{task} reads {place}"


def value_of(name: str) -> str:
    """The name of the column that holds a cheap signal."""
    return f"value of {name}"


def is_judged(name: str) -> bool:
    """Whether a column of the rows that are drawn holds a draw, a flag of a rule, or a cheap signal.

    >>> [name for name in ("text", "draw", "sure_0", "value of words", "mlm reads 0") if is_judged(name)]
    ['draw', 'sure_0', 'value of words']
    """
    return name == "draw" or name.startswith(("sure_", "open_", value_of("")))
