"""How does a check read on a terminal?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from expectations.errors import sentence
from expectations.results import ExpectationResult, Outcome, Severity
from shopmon.change_summary import drift_lines, drift_said, edge_case_lines, edge_cases_said
from shopmon.outcome import CheckResult, Failure, Status
from shopmon.terminal_text import example_text, inert, padded, percent, rows_text, shortened, shortened_path
from shopmon.window_summary import window_lines, windows_said

if TYPE_CHECKING:
    from monitor.runs import RunSummary

MOST_RULES = 20
"""Broken rules shown; more are in result.json, and nobody reads a second screen."""
MOST_NAMES = 4
"""Names listed in a line before it only counts."""
_ROOM_FOR_EXAMPLE = 46
"""Columns of the terminal an example needs beside its rule; with fewer it gets a line of its own."""
_INDENT = 6
"""Columns before what stands below a rule."""
_LONGEST_ID = 36
"""Columns of the terminal for a rule's id."""
_MARKS = {
    Severity.CRITICAL: ("✗", "bold red"),
    Severity.WARNING: ("!", "bold yellow"),
    Severity.INFO: ("i", "bold blue"),
}


def summary(result: CheckResult, *, width: int, here: Path) -> Group:
    """A check's answer: the verdict, then what a person should look at, then where things are.

    `width` is the terminal's, in columns; paths below `here` are shown relative to it. Text from data comes out inert:
    no markup, no control character, one line.
    """
    lines: list[RenderableType] = [verdict(result, width=width), Text()]
    lines.append(_labelled(_before_rules(result)))
    lines.extend(_rules(result, width))
    lines.append(_labelled([("Drift", drift_said(result.drift))]))
    lines.extend(drift_lines(result.drift, width))
    if result.windows.length:
        lines.append(_labelled([("Windows", windows_said(result.windows))]))
        lines.extend(window_lines(result.windows.windows, width) if result.windows.windows else ())
    lines.append(_labelled([("Edge cases", edge_cases_said(result.edge_cases))]))
    lines.extend(edge_case_lines(result.edge_cases, width))
    lines.append(_labelled(_after_rules(result, here)))
    return Group(*lines)


def verdict(result: CheckResult, *, width: int) -> Text:
    """The first line: how it ended, what was checked, how much of it, how long it took."""
    mark, style = ("✓", "bold green") if result.passed else ("✗", "bold red")
    status = "could not run" if result.status is Status.ERROR else result.status.value
    facts = [result.kind or "", rows_text(result.rows), f"{result.seconds:.1f} s"] if result.sources else []
    rest = "".join(f"   {fact}" for fact in facts if fact)
    head = f"{mark} {status}"
    name = shortened_path(_names(result), width - cell_len(head) - cell_len(rest) - 3)
    return Text.assemble((head, style), f"   {name}" if name else "", rest, no_wrap=True, overflow="ellipsis")


def trouble(failure: Failure) -> Group:
    """Why a check could not run, and what to do, for standard error."""
    problem = Text.assemble(("✗ could not run", "bold red"), "   ", _inert_lines(sentence(failure.problem)))
    advice = [Padding(Text(_inert_lines(failure.advice)), (0, 0, 0, 2))] if failure.advice else []
    return Group(problem, *advice)


def _inert_lines(text: str) -> str:
    """As `inert`, but a message of our own may have several lines."""
    return "\n".join(inert(line) for line in text.split("\n"))


def runs_table(runs: Sequence[RunSummary], *, width: int) -> RenderableType:
    """The runs, one a line, in the order given; start times are local."""
    if not runs:
        return Text("no run is recorded here yet; begin with: shopmon check FILE")
    when = width >= 100  # an id begins with the time, though in UTC
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("run", min_width=22, no_wrap=True)
    table.add_column("ended", min_width=8, no_wrap=True)
    if when:
        table.add_column("when", min_width=16, no_wrap=True)
    table.add_column("rows", min_width=10, no_wrap=True, justify="right")
    table.add_column("quarantined", min_width=11, no_wrap=True, justify="right")
    table.add_column("what", ratio=1, no_wrap=True, overflow="ellipsis")
    for run in runs:
        mark, style = _RUN_MARKS[run.status]
        local = [f"{run.started_at.astimezone():%Y-%m-%d %H:%M}"] if when else []
        counts = (f"{run.rows:,}", f"{run.quarantined:,}") if run.rows else ("", "")
        table.add_row(run.run_id, Text(f"{mark} {run.status}", style), *local, *counts, Text(_run_inputs(run)))
    return table


_RUN_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "error": ("?", "yellow")}


def _run_inputs(run: RunSummary) -> str:
    names = [Path(inert(one.name)).name or inert(one.name) for one in run.inputs]
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return " ".join(part for part in (run.kind or "", f"{names[0]}{more}" if names else "") if part)


def _labelled(lines: Iterable[tuple[str, Text]]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=11, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for label, text in lines:
        table.add_row(Text(label, style="bold"), text)
    return table


def _names(result: CheckResult) -> str:
    names = [inert(source.name) for source in result.sources]
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else ""


def _before_rules(result: CheckResult) -> Iterator[tuple[str, Text]]:
    yield "Columns", _columns(result.columns)
    if result.unreadable:
        yield "Unreadable", _unreadable(result)
    yield "Rules", _counts(result)


def _columns(mapping: Mapping[str, str]) -> Text:
    """Which column was taken for what; a column whose name is its role needs no arrow."""
    same = [role for role, own in mapping.items() if own == role]
    text = Text()
    for role, own in mapping.items():
        if own != role:
            text.append(", " if text else "").append(inert(own)).append(" → ", "dim").append(role)
    if same:
        text.append("; " if text else "").append(", ".join(same))
    return text


def _unreadable(result: CheckResult) -> Text:
    allowed = percent(result.unreadable_allowed, 1)
    share = percent(result.unreadable, result.rows)
    text = Text(f"{result.unreadable:,} of {result.rows:,} records ({share}); raw bytes in quarantine")
    if result.too_many_unreadable:
        text.append(f"\nmore than the {allowed} allowed: this alone fails the batch", "red")
    return text


def _counts(result: CheckResult) -> Text:
    rules = [r for r in result.expectations if r.outcome is not Outcome.NOT_EXAMINED]
    broken = [r for r in rules if r.broken]
    if not any(r.outcome in (Outcome.PASSED, Outcome.FAILED) for r in rules):
        text = Text("nothing was examined, and that is no pass", "red")
    elif not broken:
        text = Text(f"all {len(rules)} kept")
    else:
        critical = sum(r.severity is Severity.CRITICAL for r in broken)
        text = Text(f"{len(broken)} of {len(rules)} broken, {critical or 'none'} of them critical")
    return text.append(f"; {_quarantined(result)}")


def _quarantined(result: CheckResult) -> str:
    if not result.quarantined:
        return "no row in quarantine"
    rows = f"{rows_text(result.quarantined)} ({percent(result.quarantined, result.rows)}) in quarantine"
    tolerated = f", {result.tolerated:,} of them tolerated" if result.tolerated else ""
    return f"{rows}{tolerated}; {result.rows - result.quarantined:,} are good"


def _rules(result: CheckResult, width: int) -> Iterator[RenderableType]:
    yield from _failed_rules(result, width)
    for rule in result.unexaminable[:MOST_RULES]:
        head = f"{shortened(inert(rule.id), _LONGEST_ID)}  could not be examined  "
        yield Text.assemble(("  ? ", _MARKS[rule.severity][1]), head, (rule.severity, "dim"))
        yield Padding(Text(inert(rule.reason), "dim"), (0, 0, 0, _INDENT))
    passed = [r for r in result.expectations if r.outcome is Outcome.PASSED]
    groups = (
        ("✓", "passed", [r for r in passed if not r.unexpected] if len(passed) < len(result.expectations) else []),
        ("✓", "passed with rows tolerated", [r for r in passed if r.unexpected]),
        ("·", "had nothing to examine", [r for r in result.expectations if r.outcome is Outcome.NOT_EXAMINED]),
    )
    for mark, words, rules in groups:
        if rules:
            listed = f": {', '.join(inert(r.id) for r in rules)}" if len(rules) <= MOST_NAMES else ""
            yield Text(f"  {mark} {len(rules)} {words}{listed}", "dim", no_wrap=True, overflow="ellipsis")


def _failed_rules(result: CheckResult, width: int) -> Iterator[Text]:
    """One line per rule, with its example beside it where there is room, else below it."""
    failures = result.failures[:MOST_RULES]
    ids = padded([shortened(inert(r.id), _LONGEST_ID) for r in failures])
    counts = padded([rows_text(r.unexpected) if r.unexpected else "" for r in failures], right=True)
    shares = padded([percent(r.unexpected, r.examined) if r.unexpected else "" for r in failures], right=True)
    for rule, name, count, share in zip(failures, ids, counts, shares, strict=True):
        mark, style = _MARKS[rule.severity]
        line = Text.assemble((f"  {mark} ", style), f"{name}  {count}  {share}  ", (f"{rule.severity:<8}", "dim"))
        room = width - line.cell_len - 2
        beside = room >= _ROOM_FOR_EXAMPLE
        said = _said(rule, name_file=len(result.sources) > 1, columns=room if beside else width - _INDENT)
        yield line.append("  " if beside else "\n" + " " * _INDENT).append(said, "dim")
    if len(result.failures) > MOST_RULES:
        yield Text(f"  … and {len(result.failures) - MOST_RULES} more broken rules in result.json")


def _said(rule: ExpectationResult, *, name_file: bool, columns: int) -> str:
    if rule.example:
        return example_text(rule.example, name_file=name_file, columns=columns)
    return shortened(inert(rule.reason), columns)


def _after_rules(result: CheckResult, here: Path) -> Iterator[tuple[str, Text]]:
    for index, note in enumerate(result.notes[:MOST_NAMES]):
        yield "" if index else "Notes", Text(inert(note))
    if len(result.notes) > MOST_NAMES:
        yield "", Text(f"… and {len(result.notes) - MOST_NAMES} more in result.json")
    yield from _kept(result, here)
    advice = _next(result)
    if advice:
        yield "Next", Text(advice)


def _kept(result: CheckResult, here: Path) -> Iterator[tuple[str, Text]]:
    inside = [path.name for path in result.artifacts.values() if path.parent == result.folder]
    if result.folder:
        names = " · ".join(sorted(inside))
        yield "Kept in", Text(f"{_near(result.folder, here)}/").append(f"\n{names}", "dim")
    for name, label in (("good", "Good rows"), ("data_docs", "Data Docs")):
        if name in result.artifacts:
            yield label, Text(inert(_near(result.artifacts[name], here)))


def _near(path: Path, here: Path) -> str:
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _failed_by_drift_alone(result: CheckResult) -> bool:
    critical = any(r.broken and r.severity is Severity.CRITICAL for r in result.expectations)
    return not (result.passed or critical or result.too_many_unreadable) and bool(result.drift.drifted)


def _next(result: CheckResult) -> str:
    if not any(r.outcome in (Outcome.PASSED, Outcome.FAILED) for r in result.expectations):
        return "see that kind and columns are right: --kind, --column"
    if _failed_by_drift_alone(result):
        return "see whether the change is meant; if it is: shopmon reference set FILE"
    if not result.quarantined:
        return "" if result.passed else "correct the batch, or the suite where it asks too much"
    if "good" in result.artifacts:
        return "go on with the good rows; correct the quarantined ones"
    if result.passed:
        return "--write-good good.parquet gives the batch without these rows"
    return "correct the quarantined rows, or the suite where it asks too much"
