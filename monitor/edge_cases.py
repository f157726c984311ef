"""Which rows should a model learn from, and why? Named rules choose them; each row carries the rules that did.

A rule is a formula over signals. DuckDB computes what is cheap and leaves out the rows that no rule can choose any
more. For the others dear signals are computed, one after the other and only where they still decide, and UpTrain's
Signals say which rows are chosen. The outcome is the same as if everything had been computed for every row, but for two
bounds: at most `candidates` rows of a check have dear signals computed, and of the rules that ask a model, which is the
dearest, at most `model_rows` for each model. Which these are depends on a hash of their text, and how many were left
out is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from expectations.batch import Batch
from expectations.errors import ShopmonError
from expectations.parquet_query import batches_at
from expectations.sql import Bound
from monitor.edge_case_decisions import Deciding, drawn_first
from monitor.edge_case_rules import Asking, EdgeCaseSettings, askable
from monitor.edge_case_scan import KNOWN, LOWERED, MOST_DRAWN, Counted, Draws, Looking, Scan, know
from monitor.profiles import Profile
from monitor.results import ModelReading
from monitor.signals import MASKED, Asked, Reader, ReadOnce, Signal, Values


@dataclass(frozen=True)
class EdgeCases:
    """The rows that a model should learn from."""

    rows: pa.Table
    """One row each: file (index), row (from 1), text, kind, role, reasons (list of rules), text_hash, id, label (null
    where there is none), and signals: the values that decided, as text by name. In the order of file and row. Without
    a row where they were written to `parts`."""
    parts: tuple[Path, ...] = ()
    """The parquet files with these columns that the executors of a cluster wrote, in the order of their rows."""
    by_reason: Mapping[str, int] = field(default_factory=dict)
    """Rule → rows it chose, for every rule that was asked; a row may have several."""
    by_role: Mapping[str, int] = field(default_factory=dict)
    looked_at: int = 0
    """Rows with a text, of which the rules were asked."""
    left_out: int = 0
    """Rows that a dear signal had to decide and that were beyond `candidates`: the sum over the rules that ask no
    model, of which each gets the same share of the candidates as long as it has rows for it."""
    left_out_by_rule: Mapping[str, int] = field(default_factory=dict)
    """The same of each rule, and of those that ask a model what is beyond `model_rows`, which they share alike."""
    model: ModelReading | None = None
    """What the masked model read; None where no rule asked it."""
    further_models: tuple[ModelReading, ...] = ()
    """What each other model read that a rule asked."""
    beyond_limit: Mapping[str, int] = field(default_factory=dict)
    """Rule → rows that it would have chosen beyond its own `at_most`, as far as they were looked at."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Rule → why it could not be asked of this batch."""

    @property
    def selected(self) -> int:
        """How many rows there are."""
        return sum(self.by_role.values())

    def bulks(self, most: int = 50_000) -> Iterator[pa.Table]:
        """The rows in their order, some tens of thousands at a time; one table without any row where there is none."""
        if not self.parts:
            yield self.rows
            return
        held: list[pa.RecordBatch] = []
        for batch in (batch for part in self.parts for batch in batches_at(part, self.rows.column_names, at_once=most)):
            held.append(batch)
            if sum(map(len, held)) >= most:
                yield pa.Table.from_batches(held)
                held = []
        if held:
            yield pa.Table.from_batches(held)


def select(
    batch: Batch,
    settings: EdgeCaseSettings = EdgeCaseSettings(),
    *,
    relation: str = "batch",
    reference: Profile | None = None,
    known_hashes: pa.Array | None = None,
    model_signals: Callable[[Sequence[str]], Mapping[str, Values]] | None = None,
    readers: Mapping[str, Reader] | None = None,
    looking: Callable[[Scan], Looking] = lambda scan: scan,
    progress: Callable[[str], None] = lambda _: None,
) -> EdgeCases:
    """The rows of a relation (with the columns of `batch`) that the rules choose, each once, with all its reasons.

    `reference` is what `distance` measures from, `known_hashes` are the text hashes of the retraining set, and
    `model_signals` computes `monitor.signals.MODEL_SIGNALS` for a list of texts; `readers` are the models of other
    tasks. `looking` says who looks at all rows, where they do not lie here. Without a row or a rule: no rows.

    Raises ShopmonError for a rule that cannot be understood, names what does not exist, or needs a model that is not
    there. A rule that this batch lacks a column for is skipped, and the reason is told.
    """
    for name in ("candidates", "model_rows"):
        if not 0 <= (rows := getattr(settings, name)) <= MOST_DRAWN:
            raise ShopmonError(f"{name} is {rows:,} rows", advice=f"Give 0 to {MOST_DRAWN:,}.")
    known = None
    if known_hashes is not None and len(known_hashes):
        know(batch, known_hashes)
        known = KNOWN
    try:
        model = None if model_signals is None else ReadOnce(model_signals)
        asked = Asked(batch, settings.signals, Bound(), reference, known, model, readers or {}, LOWERED)
        asking, signals, skipped = askable(settings, asked)
        progress("looking for rows to learn from")
        scan = looking(Scan(asked, relation, asking, signals, settings))
        found = _selected(asked, settings, scan, asking, signals, skipped, progress)
        if model is None or found.model is None:
            return found
        return replace(found, model=replace(found.model, texts=model.texts, seconds=model.seconds))
    finally:
        if known is not None:
            batch.connection.unregister(known)


def _selected(
    asked: Asked,
    settings: EdgeCaseSettings,
    scan: Looking,
    asking: Sequence[Asking],
    signals: Mapping[str, Signal],
    skipped: Mapping[str, str],
    progress: Callable[[str], None],
) -> EdgeCases:
    looked_at, left_to_models, counts = scan.count()
    quotas = _quotas(asking, counts, settings)
    drawn = scan.fetch(counts)
    deciding = Deciding(drawn, signals, asked, progress)
    deciding.look_ahead(asking, quotas)
    chosen, beyond = {}, {}
    for number, (one, counted) in enumerate(zip(asking, counts, strict=True)):
        mask, decided = deciding.chosen(number, one, quotas[number])
        chosen[one.name] = drawn_first(mask, deciding.draw, one.rule.at_most)
        beyond[one.name] = counted.sure + decided - int(chosen[one.name].sum())
    left = {one.name: counts[n].open - quotas[n] for n, one in enumerate(asking)}
    verdicts = deciding.verdicts(asking, chosen)
    kept = drawn.keep(verdicts)
    readings = {task: _reading(task, rows_left, deciding) for task, rows_left in left_to_models.items()}
    return EdgeCases(
        rows=kept.rows,
        parts=kept.parts,
        by_reason={name: int(mask.sum()) for name, mask in chosen.items()},
        by_role=dict(Counter(verdicts.column("role").to_pylist())),
        looked_at=looked_at,
        left_out=sum(left[one.name] for one in asking if not one.asks),
        left_out_by_rule={name: count for name, count in left.items() if count},
        model=readings.get(MASKED),
        further_models=tuple(reading for task, reading in readings.items() if task != MASKED),
        beyond_limit={name: count for name, count in beyond.items() if count},
        skipped=dict(skipped),
    )


def _reading(task: str, rows: int, deciding: Deciding) -> ModelReading:
    """What a task's model read of the rows that rules left to it."""
    reader = deciding.asked.readers.get(task)
    texts, seconds = reader.counted() if reader else (0, 0.0)
    return ModelReading(rows, deciding.read(task), texts, seconds, reader.model if reader else "", task)


def _quotas(asking: Sequence[Asking], counts: Sequence[Counted], settings: EdgeCaseSettings) -> list[int]:
    """Rows of each rule that dear signals may decide: rules that ask a model share what that model may read.

    A rule that asks several has the smallest of its shares.
    """
    quotas = [counted.open for counted in counts]
    plain = [number for number, one in enumerate(asking) if not one.asks]
    shares = dict(zip(plain, share_out([quotas[number] for number in plain], settings.candidates), strict=True))
    for task in sorted({task for one in asking for task in one.asks}):
        which = [number for number, one in enumerate(asking) if task in one.asks]
        most = most_each([counts[number].open_draws for number in which], settings.model_rows)
        shares |= {number: min(most, shares.get(number, most)) for number in which}
    return [min(open_, shares[number]) for number, open_ in enumerate(quotas)]


def most_each(drawn: Sequence[Sequence[int] | Draws], total: int) -> int:
    """How many of its rows each rule may look at, so that all of them together look at no more than `total` rows.

    `drawn` has the rows of each rule in the order in which they are drawn; a row that several look at counts once.

    >>> most_each([[1, 2, 3], [1, 2, 4], [1]], 4)
    3
    """
    low, high = 0, max(map(len, drawn), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        together = set().union(*(rows[:middle] for rows in drawn))
        low, high = (middle, high) if len(together) <= total else (low, middle - 1)
    return low


def share_out(wanted: Sequence[int], total: int) -> list[int]:
    """How much each gets of a total that may not be enough: all get the same, and none more than it wants.

    >>> share_out([10, 100, 1000], 300)
    [10, 100, 190]
    """
    given = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for place, index in enumerate(order):
        given[index] = min(wanted[index], total // (len(order) - place))
        total -= given[index]
    return given
