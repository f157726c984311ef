"""How do changes, edge cases and what they stand on read on a terminal?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.results import (
    ConceptSection,
    DriftColumn,
    DriftSection,
    DriftStatus,
    EdgeCaseSection,
    ExampleRow,
    ModelReading,
    SelectionStatus,
)
from shopmon.terminal_text import inert, padded, percent, rows_text, shortened, shortened_path, value_text

if TYPE_CHECKING:
    from monitor.retraining_set import Labelled
    from monitor.signals import Signal

MASKED = "mlm"
"""The task whose model reads single texts."""
MOST_COLUMNS, MOST_SEGMENTS = 12, 5
"""Comparisons shown that drifted, of the whole batch and within segments; more are in result.json."""
_INDENT = 6
_LONGEST_NAME = 40


def drift_said(drift: DriftSection) -> Text:
    """The line beside "Drift": how many comparisons changed, and against what."""
    if drift.status is DriftStatus.NOT_EXAMINED:
        return Text(f"not examined: {inert(drift.reason)}", "dim")
    tested = [c for c in drift.columns if c.tested]
    name = shortened_path(inert(drift.reference or ""), 40)
    against = f"{rows_text(drift.current_rows)} against {name} ({drift.reference_rows:,})"
    if not drift.drifted:
        return Text(f"none in {len(tested)} comparisons, {against}")
    names = dict.fromkeys(c.column for c in drift.drifted)
    return Text(f"in {len(names)} of {len({c.column for c in tested})} columns, {against}")


def drift_lines(drift: DriftSection, width: int) -> Iterator[RenderableType]:
    """What drifted, the whole batch first: what changed, how surely, where it sits, and a row that shows it."""
    whole = [c for c in drift.drifted if c.segment is None]
    within = [c for c in drift.drifted if c.segment is not None]
    shown = [*whole[:MOST_COLUMNS], *within[:MOST_SEGMENTS]]
    yield from _drifted(whole[:MOST_COLUMNS], width, details=True)
    yield from _drifted(within[:MOST_SEGMENTS], width, details=False)
    if more := len(drift.drifted) - len(shown):
        yield Text(f"  … and {more} more, most of them within segments, in result.json", "dim")
    for column in drift.columns:
        if column.sort == "date" and not column.tested and column.effect > 0 and column.segment is None:
            yield Text(f"  · {inert(column.column)}: {inert(column.said)}; told, not tested", "dim")
    if drift.model and drift.model.rows:
        yield Text(f"  · {_reading(drift.model, 'drift')}", "dim")
    for note in drift.notes:
        yield Text(f"  · {inert(note)}", "dim")
    yield from _concept(drift.concept)


def _drifted(columns: Sequence[DriftColumn], width: int, *, details: bool) -> Iterator[RenderableType]:
    names = padded([shortened(inert(_name(column)), _LONGEST_NAME) for column in columns])
    for column, name in zip(columns, names, strict=True):
        line = Text.assemble(("  ≠ ", "bold yellow"), f"{name}  ")
        yield line.append(shortened(inert(column.said), width - line.cell_len))
        for detail in _details(column) if details else ():
            yield Padding(Text(shortened(detail, width - _INDENT), "dim"), (0, 0, 0, _INDENT))


def _name(column: DriftColumn) -> str:
    return f"{column.column} where {column.segment}" if column.segment else column.column


def _evidence(column: DriftColumn) -> str:
    if column.test == "column present":
        return ""
    p = "p < 1e-99" if column.p_adjusted < 1e-99 else f"p {column.p_adjusted:.0e}"
    return f"{column.effect_name} {column.effect:.2g}, {p}"


def _details(column: DriftColumn) -> Iterator[str]:
    places = ", ".join(f"{inert(s.segment)} ({percent(s.share, 1)} of rows)" for s in column.sits_in)
    facts = [_evidence(column), f"mostly where {places}" if places else ""]
    if any(facts):
        yield "; ".join(filter(None, facts))
    if len(column.words) > 3:
        more = (f'"{inert(w.word)}" {percent(w.reference, 1)} → {percent(w.current, 1)}' for w in column.words[3:8])
        yield f"also {', '.join(more)}"
    for row in column.examples[:1]:
        yield f"e.g. row {row.row:,}: {value_text(_plain_number(row.value))}"


def _plain_number(value: Any) -> Any:
    """Stars are whole, though they were compared as any number is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _concept(concept: ConceptSection) -> Iterator[RenderableType]:
    if concept.status is DriftStatus.NOT_EXAMINED or concept.errors is None:
        return
    errs = f"the model errs in {percent(concept.errors, 1)} of {rows_text(concept.rows)}"
    if not concept.alarms:
        yield Text(f"  · {errs}, all along the batch ({inert(concept.reason)})", "dim")
        return
    yield Text.assemble(("  ≠ ", "bold yellow"), f"{errs}, and not all along ({inert(concept.reason)})")
    for alarm in concept.alarms[:5]:
        rates = f"{percent(alarm.after, 1)}, before {percent(alarm.before, 1)}"
        said = f"{alarm.detector}: from row {alarm.position:,} on {rates}"
        yield Padding(Text(said, "dim"), (0, 0, 0, _INDENT))


def edge_cases_said(cases: EdgeCaseSection) -> Text:
    """The line beside "Edge cases": how many rows, for which reasons, and how many have gathered."""
    if cases.status is SelectionStatus.NOT_EXAMINED:
        return Text(f"not examined: {inert(cases.reason)}", "dim")
    reasons = ", ".join(f"{count:,} {inert(name)}" for name, count in cases.by_reason.items() if count)
    text = Text(f"{rows_text(cases.selected)} to learn from{f': {reasons}' if reasons else ''}")
    after = f" of {cases.retrain_after:,}" if cases.retrain_after else ""
    text.append(f"; {cases.added:,} new, {cases.retraining_set_rows:,}{after} gathered")
    if cases.due:
        text.append("\nenough has gathered to retrain", "bold yellow")
    return text


def edge_case_lines(cases: EdgeCaseSection, width: int) -> Iterator[RenderableType]:
    """What was left out, and why; an example."""
    if cases.left_out:
        why = "[edge_cases] candidates bounds slow signals"
        yield Text(f"  · {cases.left_out:,} questions of a row left open: {why}", "dim")
    for reading in (cases.model, *cases.further_models):
        if reading and reading.rows:
            yield Text(f"  · {_reading(reading, 'edge_cases')}", "dim")
    if cases.skipped:
        names = ", ".join(map(inert, cases.skipped))
        yield Text(f"  · nothing to ask here for {names}", "dim", no_wrap=True, overflow="ellipsis")
    for row in cases.examples[:1]:
        yield Text(shortened(f"  e.g. {_where(row)}: {value_text(row.value)}", width), "dim")


def _reading(reading: ModelReading, section: str) -> str:
    """How much a model read, and by which section of the settings that is bounded."""
    of, what = (rows_text(reading.rows), "texts") if reading.task == MASKED else (f"{reading.rows:,} pairs", "pairs")
    said = f"{inert(reading.model)} read {reading.read:,} of {of}"
    if reading.texts_per_second is not None:
        said += f", {reading.texts_per_second:,.0f} {what} a second"
    return said if reading.read == reading.rows else f"{said}: [{section}] model_rows bounds it"


def _where(row: ExampleRow) -> str:
    return f"row {row.row:,}"


def reference_shown(said: Mapping[str, Any]) -> Group:
    """What batches of a kind are compared with."""
    head = Text.assemble(
        (f"{said['kind']}", "bold"), f"   {inert(said['name'])}   {rows_text(said['rows'])}   set {said['created']}"
    )
    by_sort: dict[str, list[str]] = {}
    for column, sort in said["columns"].items():
        by_sort.setdefault(sort, []).append(inert(column))
    lines = [Text(f"  {sort:<9} {', '.join(names)}") for sort, names in by_sort.items()]
    segments = [
        Text(f"  within    {inert(column)}: {', '.join(map(inert, values))}")
        for column, values in said["segments"].items()
    ]
    return Group(head, *lines, *segments, *_spread(said))


def _spread(said: Mapping[str, Any]) -> Iterator[Text]:
    """Between which values nine tenths of a column's lie, or how many different ones it has."""
    told = {
        **{
            name: f"{_number(low)} to {_number(high)} in nine of ten rows, half up to {_number(half)}"
            for name, (low, half, high) in said["quantiles"].items()
        },
        **{name: f"{count:,} different values" for name, count in said["different"].items()},
    }
    names = padded([shortened(inert(name), _LONGEST_NAME) for name in list(told)[:MOST_COLUMNS]])
    for name, line in zip(names, told.values(), strict=False):
        yield Text(f"  {name}  {line}", "dim")


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.6g}"


def labels_joined(joined: Labelled) -> Text:
    """What became of labels."""
    text = Text(f"{joined.new:,} labels are new, {joined.changed:,} changed, {joined.known:,} were known")
    text.append(f"; {rows_text(joined.joined)} of the retraining set have theirs from this file")
    notes = (
        (joined.unknown, "belong to no row yet: they are kept, and join when it comes"),
        (joined.conflicting, "ids have several labels that differ: the last one counts"),
        (joined.ambiguous, "ids belong to several rows: each has the label"),
        (joined.unusable, "lack the id or the label"),
    )
    for count, what in notes:
        if count:
            text.append(f"\n  {count:,} {what}")
    return text


def signals_table(signals: Sequence[Signal]) -> RenderableType:
    """What a formula may name, one a line."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for title in ("signal", "is", "says"):
        table.add_column(title, no_wrap=title != "says")
    for signal in signals:
        table.add_row(signal.name, signal.holds.value, signal.says)
    return table
