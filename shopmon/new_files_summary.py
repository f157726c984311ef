"""How does a check of new files read on a terminal?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.results import DriftStatus
from shopmon.new_files import NewFiles, NewStatus, Unit
from shopmon.outcome import Status
from shopmon.terminal_text import inert, rows_text, shortened, shortened_path
from shopmon.window_summary import window_lines, windows_said

MOST_UNITS = 40
"""Batches shown, those first that are not in order; more are in the document, and in `shopmon runs`."""
_INDENT = 2
_NAME = 26
"""Columns for the first file of a batch, its mark and the number of the others; more where there is room."""
_WIDE = 130
"""Columns of a terminal from which on each line has the id of its run."""
_MARKS = {Status.PASSED: ("✓", "green"), Status.FAILED: ("✗", "bold red"), Status.ERROR: ("?", "bold red")}
_VERDICTS = {
    NewStatus.PASSED: ("✓", "bold green"),
    NewStatus.NOTHING_NEW: ("✓", "bold green"),
    NewStatus.FAILED: ("✗", "bold red"),
    NewStatus.ERROR: ("✗", "bold red"),
}


def new_files_summary(found: NewFiles, *, width: int, here: Path) -> Group:
    """The verdict, each batch of files in a line, the windows that they reach, and what else is to be known.

    `width` is the terminal's, in columns; files below `here` are shown relative to it.
    """
    lines: list[RenderableType] = [new_files_verdict(found, width=width)]
    if found.units:
        lines += [Text(), *_units(found.units, width, here)]
    checked = {unit.kind for unit in found.units}
    for kind, section in found.windows.items():
        if not section.windows and kind not in checked:
            continue  # nothing happened there
        lines += [Text(), Text.assemble((kind, "bold"), "   ", windows_said(section))]
        lines += window_lines(section.windows, width) if section.windows else ()
    if found.notes:
        lines += [Text(), *(Text(f"· {inert(note)}", "dim") for note in found.notes)]
    return Group(*lines)


def new_files_verdict(found: NewFiles, *, width: int) -> Text:
    """The first line: how it ended, how many files were new, how many rows they hold, how long it took."""
    mark, style = _VERDICTS[found.status]
    status = "could not check all" if found.status is NewStatus.ERROR else found.status.value
    counted = {"new": found.new, "changed": found.changed, "unchanged": found.same, "moved": len(found.moved)}
    files = ", ".join(f"{count:,} {what}" for what, count in counted.items() if count) or "no"
    files += " file" if sum(counted.values()) == 1 else " files"
    head = f"{mark} {status}"
    rest = "".join(
        f"   {fact}" for fact in (rows_text(found.rows) if found.units else "", f"{found.seconds:.1f} s") if fact
    )
    return Text.assemble((head, style), shortened(f"   {files}{rest}", width - cell_len(head)))


def _units(units: tuple[Unit, ...], width: int, here: Path) -> Iterator[RenderableType]:
    order = (Status.ERROR, Status.FAILED, Status.PASSED)
    shown = sorted(units, key=lambda unit: order.index(unit.status))[:MOST_UNITS] if len(units) > MOST_UNITS else units
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False, width=max(width - _INDENT, 40))
    table.add_column(ratio=1, no_wrap=True, min_width=_NAME)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 4)
    if width >= _WIDE:
        table.add_column(no_wrap=True)
    for unit in shown:
        run = [unit.run_id or ""] if width >= _WIDE else []
        table.add_row(_files(unit, max(width // 3, _NAME) - 2, here), *_facts(unit), *run)
    yield Padding(table, (0, 0, 0, _INDENT))
    for unit in shown:
        if unit.error:
            yield Padding(Text(f"? {inert(unit.error.message)}", "red"), (0, 0, 0, _INDENT))
    if any(unit.earlier for unit in shown):
        yield Text("  (before): by a call that was ended before it could tell", "dim")
    if more := len(units) - len(shown):
        yield Text(f"  … and {more:,} batches more, in the document of --json", "dim")


def _files(unit: Unit, width: int, here: Path) -> Text:
    mark, style = _MARKS[unit.status]
    more = f" and {len(unit.files) - 1:,} more" if len(unit.files) > 1 else ""
    more += " (before)" if unit.earlier else ""
    name = shortened_path(inert(_near(unit.files[0], here)), width - len(more)) if unit.files else ""
    return Text.assemble((mark, style), f" {name}", (more, "dim"))


def _near(name: str, here: Path) -> str:
    path = Path(name)
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else name


def _facts(unit: Unit) -> tuple[str | Text, ...]:
    if unit.error:
        return "", "", Text("not checked", "bold red")
    quarantined = f"{unit.quarantined:,} in quarantine" if unit.quarantined else ""
    return rows_text(unit.rows), quarantined, _drift(unit)


def _drift(unit: Unit) -> Text:
    if unit.drift is DriftStatus.NOT_EXAMINED:
        return Text("not compared", "dim")
    if not unit.drifted:
        return Text("no drift")
    return Text(f"≠ {', '.join(map(inert, unit.drifted))}", "yellow")
