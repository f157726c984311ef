"""How do windows of time read on a terminal?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.results import DriftStatus, WindowColumn, WindowDrift, WindowsSection
from shopmon.kept_windows import KeptWindow, KeptWindows
from shopmon.terminal_text import inert, rows_text, shortened, shortened_path

MOST_WINDOWS = 26
"""Windows shown of one kind, the latest ones: half a year of weeks. More are in the document."""
MOST_FILES = 12
MISSING = "missing share"
"""The test of whether more values are missing than before."""
_BAR = 8
"""Columns of the terminal for the bar of the loudest column."""
_NAMED = 3
"""Columns named beside it."""
_INDENT = 2
_MARKS = {
    DriftStatus.STABLE: ("✓", "green"),
    DriftStatus.DRIFTED: ("≠", "bold yellow"),
    DriftStatus.NOT_EXAMINED: ("?", "dim"),
}


def windows_said(section: WindowsSection) -> Text:
    """The line beside "Windows": how many of them changed, and against what."""
    if not section.windows:
        return Text(f"not examined: {inert(section.reason)}", "dim")
    text = Text(counted(section.windows, section.length))
    if section.status is not DriftStatus.NOT_EXAMINED:  # else each window says why, below
        text.append(f", {inert(section.reason)}")
    left_out = {"without a date": section.undated, "from the future": section.future}
    told = ", ".join(f"{rows_text(rows)} {what}" for what, rows in left_out.items() if rows)
    return text.append(f"\nin no window: {told}", "dim") if told else text


def counted(windows: Sequence[WindowDrift], length: str | None) -> str:
    """How many windows drifted, of those that could be compared: that none drifted must not be said of none."""
    statuses = [one.status for one in windows]
    drifted, total = statuses.count(DriftStatus.DRIFTED), len(statuses)
    compared = total - statuses.count(DriftStatus.NOT_EXAMINED)
    if not compared:
        return f"none of {total:,} windows of {length} could be compared"
    if compared == total:
        return f"{drifted or 'none'} of {total:,} windows of {length} drifted"
    return f"{drifted or 'none'} of {compared:,} compared windows of {length} drifted ({total:,} in all)"


def window_lines(windows: Sequence[WindowDrift], width: int) -> Iterator[RenderableType]:
    """Each window in a line: its rows, its files, and what differs most from the reference, with a bar."""
    shown = windows[-MOST_WINDOWS:]
    if len(shown) < len(windows):
        yield Text(f"  … and {len(windows) - len(shown):,} earlier ones, in the document of --json", "dim")
    most = max((_times(one) for one in shown), default=0.0)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", width=max(width - _INDENT, 40))
    for title, right in (("window", False), ("rows", True), ("files", True)):
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    table.add_column("× floor", justify="right", no_wrap=True)
    table.add_column("", width=_BAR, no_wrap=True)
    table.add_column("drifted, most first", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in shown:
        table.add_row(_head(one), f"{one.rows:,}", f"{one.files:,}", *_loudness(one, most))
    yield Padding(table, (0, 0, 0, _INDENT))
    for reason in dict.fromkeys(one.reason for one in shown if one.status is DriftStatus.NOT_EXAMINED):
        yield Text(f"  ? {inert(reason)}", "dim")


def _head(one: WindowDrift) -> Text:
    mark, style = _MARKS[one.status]
    return Text.assemble((mark, style), f" {one.start}")


def _loudness(one: WindowDrift, most: float) -> tuple[str | Text, ...]:
    if one.status is DriftStatus.NOT_EXAMINED:
        return "", "", Text("not compared", "dim")
    names = list(dict.fromkeys(inert(column.column) for column in one.loudest))
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    times = _times(one)
    style = _MARKS[one.status][1]
    return (
        f"{times:.1f}" if times else "",
        Text(bar(times / most if most else 0.0), style),
        Text(", ".join(names[:_NAMED]) + more),
    )


def _times(one: WindowDrift) -> float:
    """The largest effect of a window as a multiple of its floor."""
    return max((column.times_floor or 0.0 for column in one.loudest), default=0.0)


def bar(share: float, columns: int = _BAR) -> str:
    """A bar of so many columns at most, to an eighth of one; what is there is never nothing.

    >>> bar(1, 3), bar(0.5, 3), bar(0.001, 3), bar(0, 3)
    ('███', '█▌', '▏', '')
    """
    eighths = min(max(round(share * columns * 8), 1 if share > 0 else 0), columns * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def kept_shown(found: Sequence[KeptWindows], width: int) -> Group:
    """All windows that are kept, by kind."""
    if not found:
        how = 'set [drift] window = "7d", and check files with: shopmon check --new PATH'
        return Group(Text(f"no window is kept here yet; {how}"))
    lines: list[RenderableType] = []
    for one in found:
        drifts = [window.drift for window in one.windows]
        lines += [Text(), _heading(one, counted(drifts, one.length), width), *window_lines(drifts, width)]
    return Group(*lines[1:])


def _heading(one: KeptWindows, said: str, width: int) -> Text:
    against = shortened_path(inert(one.reference), 40) if one.reference else "no reference"
    return Text.assemble((one.kind, "bold"), shortened(f"   {said}, against {against}", width - len(one.kind)))


def window_shown(found: Sequence[KeptWindows], width: int) -> Group:
    """One window whole: every comparison with the reference, and the files that its rows stand in."""
    lines: list[RenderableType] = []
    for one in found:
        for window in one.windows:
            lines += [Text(), *_whole(one, window, width)]
    return Group(*lines[1:])


def _whole(one: KeptWindows, window: KeptWindow, width: int) -> Iterator[RenderableType]:
    drift = window.drift
    mark, style = _MARKS[drift.status]
    head = Text.assemble((f"{mark} {drift.status.value}", style), f"   {drift.start} until {drift.end}   {one.kind}   ")
    yield head.append(rows_text(drift.rows))
    yield Text(f"{inert(drift.reason)}", "dim")
    told = [column for column in drift.columns if column.drifted or column.test != MISSING]
    if told:
        yield Text()
        yield Padding(_comparisons(told, width - _INDENT), (0, 0, 0, _INDENT))
    if still := len(drift.columns) - len(told):
        yield Text(f"  · of {still:,} columns the share of missing values did not change", "dim")
    yield Text()
    for name, rows in list(window.files.items())[:MOST_FILES]:
        said = f"  {rows_text(rows)}"
        yield Text(f"  {shortened_path(inert(name), width - len(said) - _INDENT)}").append(said, "dim")
    if (more := len(window.files) - MOST_FILES) > 0:
        yield Text(f"  … and {more:,} files more, in the document of --json", "dim")


def _probability(p: float) -> str:
    return f"{p:.1g}" if p >= 0.001 else f"{max(p, 1e-99):.0e}"


def _comparisons(columns: Sequence[WindowColumn], width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", width=max(width, 40))
    table.add_column("column", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("× floor", justify="right", no_wrap=True)
    table.add_column("p", no_wrap=True)
    table.add_column("what changed", ratio=1, no_wrap=True, overflow="ellipsis")
    for column in columns:
        mark, style = _MARKS[DriftStatus.DRIFTED if column.drifted else DriftStatus.STABLE]
        if column.floor is None and not column.drifted:
            mark, style = "·", "dim"  # told, not tested
        times = "" if column.times_floor is None else f"{column.times_floor:.1f}"
        p = "" if column.floor is None else _probability(column.p_adjusted)
        table.add_row(Text.assemble((mark, style), f" {inert(column.column)}"), times, p, Text(inert(column.said)))
    return table
