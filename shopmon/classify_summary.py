"""How do labels that were found without a training read on a terminal?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopmon.classifying import Classified
from shopmon.row_labels import LabelFound
from shopmon.terminal_text import inert, percent, rows_text, shortened, shortened_path, value_text
from shopmon.training_summary import duration

_LONGEST_LABEL = 28
_NARROW = 60
"""Columns of a terminal below which examples stand below their label."""


def classified_shown(found: Classified, *, width: int) -> Group:
    """The answer: what was read and by which model, each label with its rows, and what has none.

    Text from data comes out inert: no markup, no control character, one line.
    """
    lines: list[RenderableType] = [_head(found, width), _asked(found, width), Text(), _labels(found, width)]
    lines += [Text(f"  · {note}", "dim") for note in _notes(found)]
    if found.out is not None:
        lines += [Text(), Text(f"Kept in  {shortened_path(inert(str(found.out)), max(width - 9, 12))}")]
    elif found.rows:
        lines += [Text(), Text("Keep the label of each row with --out FILE (.parquet, .csv, .jsonl)", "dim")]
    return Group(*lines)


def _head(found: Classified, width: int) -> Text:
    name = found.files[0] if len(found.files) == 1 else f"{len(found.files):,} files"
    facts = [shortened_path(inert(name), 40), *filter(None, [found.kind]), rows_text(found.rows)]
    head = Text.assemble(("✓ classified", "bold green"), *(f"   {fact}" for fact in [*facts, duration(found.seconds)]))
    head.truncate(width, overflow="ellipsis")
    return head


def _asked(found: Classified, width: int) -> Text:
    return Text(shortened(f'  by {inert(found.model)}: "{inert(found.hypothesis)}"', width), "dim")


def _labels(found: Classified, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("label", no_wrap=True)
    for title in ("rows", "share", "score"):
        table.add_column(title, justify="right", no_wrap=True)
    names = [shortened(inert(one.label), _LONGEST_LABEL) for one in found.labels]
    room = width - max(5, *map(len, names)) - 8 - 8 - 7 - 4 * 2
    if width >= _NARROW:
        table.add_column("the best fitting", no_wrap=True, style="dim")
    for name, one in zip(names, found.labels, strict=True):
        cells = [name, f"{one.rows:,}", percent(one.share, 1), "–" if one.score is None else f"{one.score:.2f}"]
        cells += [_example(one, found, room)] if width >= _NARROW else []
        table.add_row(*map(Text, cells))
    return table


def _example(one: LabelFound, found: Classified, room: int) -> str:
    if one.example is None:
        return ""
    file = f"{shortened_path(inert(Path(one.example.file).name), 20)} " if len(found.files) > 1 else ""
    return shortened(f"{file}row {one.example.row:,}: {value_text(one.example.value)}", max(room, 12))


def _notes(found: Classified) -> Iterator[str]:
    if found.unfitting:
        yield f"{rows_text(found.unfitting)}: no label reaches {found.threshold:g}"
    if found.blank:
        yield f"{rows_text(found.blank)} without a text: no label"
    if found.cut:
        yield f"{rows_text(found.cut)} longer than the model reads: their end does not count"
    if found.unreadable:
        yield f"{found.unreadable:,} records could not be read: they are left out"
    if found.multi:
        yield "a row may have several labels"
