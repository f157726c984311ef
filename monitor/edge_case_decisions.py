"""Which of the rows that are drawn are chosen?

UpTrain's Signals say so. Dear signals are computed one after the other, and only where they still decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor import formula as formulas
from monitor.edge_case_rules import Asking, Role
from monitor.edge_case_scan import MOST_DRAWN, VERDICTS, Drawn, read_as, value_of
from monitor.formula import Tree
from monitor.signals import ASKING, Asked, Row, Signal, Values

CHUNK = 50_000
"""Texts for which a dear signal is computed at once: bounds memory."""
Mask = NDArray[np.bool_]


class Deciding:
    """Rows that may be chosen, and what is known of them so far."""

    def __init__(
        self, drawn: Drawn, signals: Mapping[str, Signal], asked: Asked, progress: Callable[[str], None]
    ) -> None:
        self.drawn, self.signals, self.asked, self.progress = drawn, signals, asked, progress
        self.draw: NDArray[np.uint64] = drawn.column("draw").to_numpy()
        self.values: dict[str, Values] = {
            name: _array(drawn.column(value_of(name))) for name, signal in signals.items() if not signal.is_dear
        }
        self.done: dict[str, Mask] = {}
        self.together: dict[str, Mask] = {}
        """Of a signal whose values depend on one another: the rows that it is computed of."""

    def look_ahead(self, asking: Sequence[Asking], quotas: Sequence[int]) -> None:
        """Note which rows may be looked at for signals that are computed of all rows together."""
        for number, (one, quota) in enumerate(zip(asking, quotas, strict=True)):
            for name in (name for name in one.dear if self.signals[name].together):
                so_far = self.together.setdefault(name, np.zeros(len(self.draw), dtype=bool))
                self.together[name] = so_far | self._open(number, quota)

    def _open(self, number: int, quota: int) -> Mask:
        """The rows of a rule that dear signals may decide."""
        return drawn_first(self.drawn.column(f"open_{number}").to_numpy(), self.draw, quota)

    def chosen(self, number: int, one: Asking, quota: int) -> tuple[Mask, int]:
        """The rows that a rule chooses, and how many of them a dear signal decided.

        Dear signals are computed one after the other, and only where the formula is not decided without them.
        """
        sure = drawn_first(self.drawn.column(f"sure_{number}").to_numpy(), self.draw, one.rule.at_most or MOST_DRAWN)
        open_ = self._open(number, quota)
        chosen = np.zeros(len(sure), dtype=bool)
        rows, unknown = np.flatnonzero(sure | open_), list(one.dear)
        while len(rows):
            yes = self._holds(formulas.assume(one.tree, unknown, False), rows)
            chosen[rows[yes]] = True
            rows = rows[~yes]
            rows = rows[self._holds(formulas.assume(one.tree, unknown, True), rows)]
            if not unknown:
                break
            self._compute(unknown.pop(0), rows)
        return chosen, int((chosen & ~sure).sum())

    def _holds(self, tree: Tree, rows: NDArray[np.intp]) -> Mask:
        if isinstance(tree, formulas.Always):
            return np.full(len(rows), tree.value)
        names = formulas.names_of(tree)
        holds = {name: self.signals[name].holds for name in names}
        return formulas.run(tree, formulas.settled_frame({name: self.values[name][rows] for name in names}, holds))

    def _compute(self, name: str, rows: NDArray[np.intp]) -> None:
        """Have a dear signal's values for these rows, each computed once, and once for each text."""
        signal = self.signals[name]
        done = self.done.setdefault(name, np.zeros(len(self.draw), dtype=bool))
        missing = rows[~done[rows]]
        if len(missing) and signal.together:
            missing = np.flatnonzero(self.together[name])
        values = self.values.setdefault(name, np.full(len(self.draw), None, dtype=object))
        for chunk in [missing] if signal.together else _chunks(missing):
            self.progress(f"{name} of {len(missing):,} rows")
            given, place = self._given(signal, chunk)
            found = signal.compute(given, self.asked) if signal.compute else ()
            values[chunk] = np.asarray(found, dtype=object)[place]
        done[missing] = True

    def _given(self, signal: Signal, rows: NDArray[np.intp]) -> tuple[Sequence[Any], NDArray[np.intp]]:
        """What a signal is computed from, each different one once, and the place of each row's among them."""
        if signal.task not in self.asked.readers:
            texts = self.drawn.of(["text"], rows).column("text").combine_chunks().dictionary_encode()
            return texts.dictionary.to_pylist(), texts.indices.to_numpy()
        names = [read_as(signal.task, place) for place, _ in enumerate(self.asked.readers[signal.task].reads)]
        table = self.drawn.of(names, rows)
        columns = [table.column(name).to_pylist() for name in names]
        places: dict[Row, int] = {}
        place = [places.setdefault(row, len(places)) for row in zip(*columns, strict=True)]
        return list(places), np.array(place, dtype=np.intp)

    def read(self, task: str) -> int:
        """Rows that the model of a task read."""
        masks = [done for name, done in self.done.items() if name in ASKING and ASKING[name].task == task]
        return int(np.any([*masks, np.zeros(len(self.draw), dtype=bool)], axis=0).sum())

    def verdicts(self, asking: Sequence[Asking], chosen: Mapping[str, Mask]) -> pa.Table:
        """Of the rows that any rule chose: roles, reasons, and what was known of them; the columns `VERDICTS`."""
        any_chosen = np.any([*chosen.values(), np.zeros(len(self.draw), dtype=bool)], axis=0)
        where = np.flatnonzero(any_chosen)
        by_row = [[one for one in asking if chosen[one.name][row]] for row in where.tolist()]
        order = list(Role)
        columns = [
            where,
            [self.asked.batch.kind] * len(where),
            [min((one.rule.role for one in by), key=order.index) for by in by_row],
            [[one.name for one in by] for by in by_row],
            [self._said(row, by) for row, by in zip(where.tolist(), by_row, strict=True)],
        ]
        return pa.table([pa.array(c, f.type) for c, f in zip(columns, VERDICTS, strict=True)], schema=VERDICTS)

    def _said(self, row: int, by: Sequence[Asking]) -> list[tuple[str, str]]:
        """The signals that the rules speak of, as far as they had to be known."""
        names = dict.fromkeys(name for one in by for name in formulas.names_of(one.tree))
        known = ((name, _shown(self.values[name][row])) for name in names if name in self.values)
        return [(name, shown) for name, shown in known if shown is not None]


def _array(column: pa.ChunkedArray) -> Values:
    """Numbers with NaN for null, else objects with None."""
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy(), dtype=float)
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]


def _chunks(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _shown(value: Any) -> str | None:
    """A value as people read it; None for a missing one."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def drawn_first(mask: Mask, draw: NDArray[np.uint64], limit: int | None) -> Mask:
    """Of the rows in the mask, those that are drawn first."""
    where = np.flatnonzero(mask)
    if limit is None or len(where) <= limit:
        return mask
    kept = np.zeros_like(mask)
    kept[where[np.argsort(draw[where], kind="stable")[:limit]]] = True
    return kept
