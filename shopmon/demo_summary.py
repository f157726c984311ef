"""What does a person read when the demonstration has run?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from expectations.errors import sentence
from shopmon.demo import Checked, Demo, Found
from shopmon.demo_retraining import Retrained, Untrained
from shopmon.terminal_text import inert, rows_text
from shopmon.training_summary import gate_table as gate_lines
from shopmon.training_summary import training_verdict
from shopmon.words_summary import words_shown

_NONE = "·"
"""What a table shows for 0, so that a number stands out."""


def demo_summary(demo: Demo, *, here: Path, width: int = 80) -> Group:
    """The checks, every fault and every change with what was planted and found, what was learnt, and how to go on.

    Paths below `here` are shown relative to it; `width` is the terminal's, in columns.
    """
    return Group(*_lines(demo, inert(_near(demo.folder, here)), width))


def _lines(demo: Demo, folder: str, width: int) -> Iterator[RenderableType]:
    made = "made now" if demo.generated else "as an earlier demo made it"
    yield Text.assemble(
        (f"A shop of its own in {folder}/", "bold"), f", {made}: a clean reference, batches with faults"
    )
    for name in demo.edited:
        yield Text(f"  {name} was edited, and is used as it is")
    yield Text()
    yield Text("What shopmon check says", style="bold")
    yield Padding(_checks(demo), (0, 0, 1, 2))
    yield Text("What was planted, and what was found", style="bold")
    yield Padding(_faults(demo), (0, 0, 0, 2))
    yield Padding(_balance(demo), (0, 0, 1, 2))
    yield Text("What changed since the reference, and what was found", style="bold")
    yield Padding(_shifts(demo), (0, 0, 0, 2))
    yield Padding(_learnt(demo), (0, 0, 1, 2))
    yield Text("What a model learns from the rows that the checks gathered", style="bold")
    yield Padding(Group(*_retraining(demo, width - 2)), (0, 0, 1, 2))
    yield Text("Next", style="bold")
    yield Padding(_next(demo, folder), (0, 0, 0, 2))


def _checks(demo: Demo) -> Table:
    table = _table(gap=2)
    for title in ("", "file", "kind"):
        table.add_column(title, no_wrap=True)
    for title in ("rows", "quarantined", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in demo.checked:
        result = one.result
        mark = Text("✓ passed", "green") if result.passed else Text("✗ failed", "red")
        quarantined = f"{result.quarantined:,}" if result.quarantined else _NONE
        table.add_row(mark, one.file, result.kind, f"{result.rows:,}", quarantined, f"{result.seconds:.1f} s")
    return table


def _faults(demo: Demo) -> Table:
    table = _table(gap=1)
    table.add_column("fault", no_wrap=True)
    for title in ("planted", "found", "missed", "others"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("by these rules", overflow="fold")
    for one in demo.checked:
        if one.faults:
            table.add_row(Text(one.file, "bold"))
        for found in one.faults:
            table.add_row(f"  {found.fault.value}", *_counts(found), Text(", ".join(found.rules), "dim"))
    return table


def _counts(found: Found) -> tuple[str, str, Text, Text]:
    missed = Text(f"{found.missed:,}", "bold red") if found.missed else Text(_NONE, "dim")
    others = Text(f"{found.false_alarms:,}", "yellow") if found.false_alarms else Text(_NONE, "dim")
    return f"{found.planted:,}", f"{found.found:,}", missed, others


def _balance(demo: Demo) -> Text:
    planted, found = (sum(getattr(one, name) for one in demo.faults) for name in ("planted", "found"))
    others = sum(one.false_alarms for one in demo.checked)
    rows = sum(one.result.rows for one in demo.checked)
    originals = sum(one.originals for one in demo.faults)
    text = Text(f"{found:,} of {planted:,} planted rows found; {others:,} others in quarantine, of {rows:,} rows.")
    text.append(f"\nOthers: rows in which nothing was planted. {_where_others(demo.checked)}", "dim")
    if originals:
        text.append(
            f"Not among them: {originals:,} earlier rows that planted ones contradict; both are held back.", "dim"
        )
    return text


def _where_others(checked: tuple[Checked, ...]) -> str:
    """The rules that put them there, for they may be rules that no fault was planted for."""
    rules = sorted({rule for one in checked for rule in one.alarming})
    return f"They broke {', '.join(rules)}. " if rules else ""


def _shifts(demo: Demo) -> Table:
    table = _table(gap=2)
    for title in ("", "planted", "what the check says"):
        table.add_column(title, overflow="fold")
    for shift in demo.changes.shifts:
        mark = Text("✓", "green") if shift.found else Text("✗", "bold red")
        table.add_row(mark, shift.what, Text(inert(shift.said) or "nothing", "dim"))
    return table


def _learnt(demo: Demo) -> Text:
    learnt, changes = demo.changes.learnt, demo.changes
    text = Text(f"{sum(s.found for s in changes.shifts)} of {len(changes.shifts)} planted changes found")
    more = ", ".join(map(inert, changes.unplanned))
    text.append(f"; besides: {more}." if more else "; nothing else drifted.")
    text.append(
        f"\nEdge cases: {learnt.found:,} of {learnt.planted:,} planted complaints are in the retraining set; "
        f"the rule for them chose {learnt.others:,} others."
    )
    return text


def _retraining(demo: Demo, width: int) -> Iterator[RenderableType]:
    found = demo.retrained
    if found is None:
        yield Text("no model was trained, as --no-retrain asked")
    elif isinstance(found, Untrained):
        yield Text.assemble(
            ("· no model was trained: ", "yellow"), inert(f"{sentence(found.problem)} {found.advice}".strip())
        )
    else:
        yield from _model(found, width)


def _model(found: Retrained, width: int) -> Iterator[RenderableType]:
    """The verdict, the words of base and model side by side, and the gate's table."""
    yield training_verdict(found.result, width=width)
    used = found.result.data
    rows = ", ".join(f"{count:,} {inert(role)}" for role, count in used.rows.items() if count)
    said = f"{rows_text(sum(used.rows.values()))} to learn from: {rows}"
    yield Text(said if found.new else f"{said}\nAn earlier demo trained it, from the same rows with the same settings.")
    if found.words is not None:
        yield Text()
        yield words_shown(found.words, width=width)
    yield Text()
    yield from gate_lines(found.result, width)


def _next(demo: Demo, folder: str) -> Text:
    failed = sum(not one.result.passed for one in demo.checked)
    new, reviews, project = (shlex.quote(f"{folder}{name}") for name in ("/new.parquet", "/suites/reviews.yaml", ""))
    commands = ["dashboard", f"check {new}", "runs", *_model_commands(demo.retrained)]
    lines = "".join(f"  shopmon {command} --project {project}\n" for command in commands)
    return Text(
        f"{failed} checks failed, and should: the data is dirty. The demo itself went well, and exits with 0.\n{lines}"
        f"planted.json has the rows of every fault. Edit {reviews}, and run the demo again."
    )


def _model_commands(found: Retrained | Untrained | None) -> Iterator[str]:
    if isinstance(found, Retrained):
        if found.words is not None:
            yield f"words {shlex.quote(inert(found.words.prompt))}"
        yield "models"
        yield "retrain --steps 200"


def _table(gap: int) -> Table:
    return Table(box=None, padding=(0, gap, 0, 0), header_style="dim", pad_edge=False)


def _near(path: Path, here: Path) -> str:
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
