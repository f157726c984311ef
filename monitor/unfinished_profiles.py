"""How is a profile put together from parts of its rows, so that texts are counted in those drawn of the whole?

Until all parts are added up, a profile is unfinished: of texts it says how many are missing, and its sample is every
row that is drawn. However a batch is cut into parts, the finished profile has the rows that are drawn of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from expectations.columns import FILE, ROW
from monitor.profiles import (
    PRIORITY,
    ColumnProfile,
    ComparedColumn,
    Profile,
    ProfileSettings,
    Sort,
    TextProfile,
    counted_texts,
    merge,
)


def unfinished(
    kind: str,
    rows: int,
    asked: Sequence[ComparedColumn],
    found: Mapping[str, ColumnProfile | int],
    drawn: pa.Table,
    like: Profile,
) -> Profile:
    """The profile of some rows, without segments. `found` has, of a text, how many are missing."""
    return Profile(
        kind=kind,
        rows=rows,
        sorts={one.name: one.sort for one in asked},
        columns={one.name: _uncounted(found[one.name], rows, like.columns[one.name]) for one in asked},
        segments={},
        sample=drawn,
    )


def added(parts: Sequence[Profile]) -> Profile:
    """The unfinished profile of all parts, which has all rows that were drawn of any. Raises ValueError as `merge`."""
    sums = merge([_without_texts(part) for part in parts])
    texts = {name: _missing(part.columns[name] for part in parts) for name in parts[0].sorts if name not in sums.sorts}
    columns = {name: texts[name] if name in texts else sums.columns[name] for name in parts[0].sorts}
    drawn = pa.concat_tables([part.sample for part in parts], promote_options="permissive")
    return replace(sums, sorts=parts[0].sorts, columns=columns, sample=drawn)


def finished(whole: Profile, settings: ProfileSettings, like: Profile) -> Profile:
    """The profile whose texts are counted, in the first rows that were drawn, as many as the settings say."""
    order = pc.sort_indices(whole.sample, sort_keys=[(n, "ascending") for n in (PRIORITY, FILE, ROW)])
    drawn = whole.sample.take(order)
    columns = dict(whole.columns)
    for name, column in whole.columns.items():
        told = like.columns[name]
        if isinstance(column, TextProfile) and isinstance(told, TextProfile):
            texts = drawn.column(name).slice(0, settings.text_rows)
            columns[name] = counted_texts(texts, column.total, column.missing, told.lengths.edges, settings.bins)
    return replace(whole, columns=columns, sample=drawn.slice(0, settings.sample_rows).combine_chunks())


def _uncounted(found: ColumnProfile | int, rows: int, like: ColumnProfile) -> ColumnProfile:
    """What is known of a column; a text gets its place, and nothing is counted in it."""
    if not isinstance(found, int):
        return found
    if not isinstance(like, TextProfile):
        raise AssertionError(like)
    return counted_texts(pa.array([], pa.string()), rows, found, like.lengths.edges, ProfileSettings().bins)


def _without_texts(part: Profile) -> Profile:
    """What is added up of a part but the rows that are drawn; adding a quarter of a million zeros takes time."""
    sorts = {name: sort for name, sort in part.sorts.items() if sort is not Sort.TEXT}
    columns = {name: part.columns[name] for name in sorts}
    return replace(part, sorts=sorts, columns=columns, sample=part.sample.slice(0, 0))


def _missing(parts: Iterable[ColumnProfile]) -> TextProfile:
    """Of a text, how many are missing of how many."""
    texts = [part for part in parts if isinstance(part, TextProfile)]
    return replace(texts[0], missing=sum(one.missing for one in texts), total=sum(one.total for one in texts))
