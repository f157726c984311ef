"""How do ranked products and substitutes read on a terminal?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopmon.answers import Answer
from shopmon.ranking import Ranked
from shopmon.replacing import SubstitutesFound
from shopmon.terminal_text import inert, shortened
from shopmon.training_summary import duration, figure

MOST_PAIRS = 50
"""Pairs that are shown; a file has them all."""
_ID = 16
"""Columns of a product's id at most."""
_CLASS = 6
"""Columns of a class's probability."""
_SIDES = ("product", "substitute")
_LABEL = 11
"""Columns of what stands before a line."""
_PRODUCT = 36
"""Columns that a product's title must have beside the probabilities of all classes; else the likeliest alone stands."""


def ranked_shown(found: Ranked, *, width: int, here: Path) -> Group:
    """Each query with its best products, for a terminal of `width` columns; then how they were found.

    Text from data comes out inert: no markup, no control character, one line.
    """
    lines: list[RenderableType] = []
    if found.table is not None:
        lines.extend(_queries(found, width))
    facts = [
        (f"{found.queries:,}", "query" if found.queries == 1 else "queries"),
        (f"{found.products:,}", "product" if found.products == 1 else "products"),
    ]
    lines.append(_labelled("Ranked", " among ".join(" ".join(one) for one in facts) + f", {duration(found.seconds)}"))
    gains = ", ".join(f"{inert(label)} {gain:g}" for label, gain in found.gains.items())
    lines.append(_labelled("Model", f"{inert(found.model)}, {found.computed}"))
    lines.append(_labelled("Gains", gains))
    lines.extend(_how(found))
    if found.more_queries:
        lines.append(_labelled("Not shown", f"{found.more_queries:,} more queries: --out FILE answers them all"))
    lines.extend(_written(found, here))
    return Group(*lines)


def substitutes_shown(found: SubstitutesFound, *, width: int, here: Path) -> Group:
    """Pairs of products that can replace one another, for a terminal of `width` columns; then how they were found.

    Text from data comes out inert: no markup, no control character, one line.
    """
    lines: list[RenderableType] = []
    if found.table is not None and found.pairs:
        lines.extend((_pairs(found, width), Text()))
    asked = "" if found.asked == found.products else f" for {found.asked:,} of them"
    said = f"{found.pairs:,} of {found.pairs_read:,} pairs of {found.products:,} products{asked}"
    lines.append(_labelled("Substitutes", f"{said}, {duration(found.seconds)}"))
    lines.append(_labelled("Threshold", _threshold(found)))
    lines.append(_labelled("Model", f"{inert(found.model)}, {found.computed}"))
    lines.extend(_how(found))
    if found.table is not None and found.pairs > MOST_PAIRS:
        lines.append(_labelled("Not shown", f"{found.pairs - MOST_PAIRS:,} more pairs: --out FILE holds them all"))
    lines.extend(_written(found, here))
    return Group(*lines)


def _labelled(label: str, text: str) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=_LABEL, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(Text(label, "bold"), Text(text))
    return table


def _how(found: Answer) -> Iterator[RenderableType]:
    read = ", ".join(map(inert, found.product_text))
    yield _labelled(
        "Candidates", f"{found.candidates:,} of each, found by {inert(found.encoder)}; search: {inert(found.search)}"
    )
    yield _labelled("Text read", read)
    for note in found.notes:
        yield Text(f"· {inert(note)}", "dim")


def _written(found: Answer, here: Path) -> Iterator[RenderableType]:
    if found.out is not None:
        place = found.out.absolute()
        shown = place.relative_to(here) if place.is_relative_to(here) else place
        yield _labelled("Kept in", inert(str(shown)))


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)


def _identity(name: str | None, row: int) -> str:
    """What tells a product: its id, or else its row."""
    return shortened(inert(name), _ID) if name else f"row {row:,}"


# --- ranked -----------------------------------------------------------------------------------------------------------


def _queries(found: Ranked, width: int) -> Iterator[RenderableType]:
    rows = [] if found.table is None else found.table.to_pylist()
    ids = [_identity(row["product_id"], row["row"]) for row in rows]
    of_ids = max(map(cell_len, [*ids, "id"]))
    for _, some in groupby(rows, key=lambda row: (row["query_id"], row["query"])):
        products = list(some)
        yield _head(products[0], width)
        yield _products(products, found, width, of_ids)
        yield Text()


def _head(row: Mapping[str, Any], width: int) -> Text:
    name = f"  {shortened(inert(row['query_id']), _ID)}" if row["query_id"] else ""
    head = Text(shortened(inert(row["query"]), max(width - cell_len(name), 12)), "bold")
    return head.append(name, "dim")


def _products(rows: list[dict[str, Any]], found: Ranked, width: int, of_ids: int) -> Table:
    """The products of a query; where there is no room for the probability of each class, only the likeliest class."""
    fixed = 4 + 6 + 7 + of_ids + 1
    each = width - fixed - (_CLASS + 1) * len(found.classes) >= _PRODUCT
    likeliest = 0 if each else max(map(cell_len, found.classes)) + 6
    table = _table()
    table.add_column("", style="dim", justify="right", min_width=3, no_wrap=True)
    table.add_column("gain", justify="right", min_width=5, no_wrap=True)
    for label in found.classes if each else ("class",):
        table.add_column(Text(shortened(inert(label), 12)), justify="right", min_width=_CLASS, no_wrap=True)
    table.add_column("cosine", style="dim", justify="right", min_width=6, no_wrap=True)
    table.add_column("id", style="dim", width=of_ids, no_wrap=True)
    table.add_column("product", no_wrap=True)
    room = width - fixed - ((_CLASS + 1) * len(found.classes) if each else likeliest + 1)
    for row in rows:
        said = {label: row[f"probability_{label}"] for label in found.classes}
        best = max(said, key=lambda label: said[label])
        classes = [_percent(one) for one in said.values()] if each else [f"{inert(best)} {_percent(said[best])}"]
        table.add_row(
            f"{row['rank']:,}",
            figure(row["expected_gain"]),
            *map(Text, classes),
            f"{row['cosine']:.2f}",
            Text(_identity(row["product_id"], row["row"])),
            _product(row["title"], row["same_text"], room),
        )
    return table


def _product(title: str, same_text: list[str | None], room: int) -> Text:
    more = f" +{len(same_text):,}" if same_text else ""
    return Text(shortened(inert(title), max(room - len(more), 8))).append(more, "dim")


def _percent(probability: float) -> str:
    """A probability for reading in few columns.

    >>> [_percent(p) for p in (0.913, 0.004, 0.9999, 1.0)]
    ['91 %', '<1 %', '>99 %', '100 %']
    """
    if 0 < probability < 0.01:
        return "<1 %"
    if 0.99 < probability < 1:
        return ">99 %"
    return f"{100 * probability:.0f} %"


# --- substitutes ------------------------------------------------------------------------------------------------------


def _threshold(found: SubstitutesFound) -> str:
    said = f"P({inert(found.label)}) from {found.threshold:.3f} on, {found.threshold_from}"
    if found.precision is None or found.recall is None:
        return said
    right, finds = _percent(found.precision), _percent(found.recall)
    return f"{said}; on held-out pairs {right} of what it takes is right, and it finds {finds}"


def _pairs(found: SubstitutesFound, width: int) -> Table:
    """Both products of a pair side by side, or where there is no room for that below each other."""
    rows = [] if found.table is None else found.table.slice(0, MOST_PAIRS).to_pylist()
    ids = {side: [_identity(row[f"{side}_id"], row[f"{side}_row"]) for row in rows] for side in _SIDES}
    widths = {side: max(map(cell_len, [*some, "id"])) for side, some in ids.items()}
    room = (width - 18 - sum(widths.values()) - 4) // 2
    beside = room >= _PRODUCT
    if not beside:
        widths = dict.fromkeys(_SIDES, max(widths.values()))
        room = width - 18 - widths["product"] - 2
    table = _table()
    for name, style in (("both", ""), ("→", "dim"), ("←", "dim")):
        table.add_column(name, style=style, justify="right", min_width=5, no_wrap=True)
    for side in _SIDES if beside else _SIDES[:1]:
        table.add_column("id", style="dim", width=widths[side], no_wrap=True)
        table.add_column(side, no_wrap=True)
    for at, row in enumerate(rows):
        said = [_percent(row[name]) for name in ("probability", "probability_forward", "probability_backward")]
        one, other = ((Text(ids[side][at]), _product(row[side], row[f"{side}_same_text"], room)) for side in _SIDES)
        if beside:
            table.add_row(*said, *one, *other)
        else:
            table.add_row(*said, *one)
            table.add_row("", "", "", *other)
    return table
