"""What changed since the reference? Every column and segment compared, decided together, and explained by rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.columns import FILE, ROW
from expectations.errors import ShopmonError
from monitor.alike import Groups, groups_of, worth
from monitor.derived import Derived, with_derived
from monitor.multiplicity import holm
from monitor.profiles import CategoryProfile, ColumnProfile, Profile, ProfileSettings, Sort, TextProfile, text_profile
from monitor.reference import Reference
from monitor.results import Changed, ChangedWord, DriftColumn, DriftSection, DriftStatus, ExampleRow
from monitor.sampled import frequent_values, segments_of_sample
from monitor.shift_tests import Comparison, ShiftSettings, compare
from monitor.text_shift import TextSettings, TextShift, compare_texts
from monitor.where import Split, sits_in
from monitor.words import tokens

LANGUAGE = "language of the texts"
"""The test of a text column as a whole; what it joins is in `text_shift`."""
_EXAMPLES = 3


@dataclass(frozen=True)
class DriftSettings:
    """What counts as a change."""

    level: float = 0.05
    """Chance (0–1) of any false alarm in one check, over all columns and segments."""
    segments: tuple[str, ...] = ()
    """Columns by whose values everything is compared once more."""
    profile: ProfileSettings = field(default_factory=ProfileSettings)
    shift: ShiftSettings = field(default_factory=ShiftSettings)
    text: TextSettings = field(default_factory=TextSettings)


@dataclass(frozen=True)
class _Asked:
    """One comparison on its way to a decision, with what explains it."""

    comparison: Comparison
    text: TextShift | None = None
    shows: tuple[str, ...] = ()
    """Columns whose values stand for it in example rows; none: its own."""


def compare_with(
    reference: Reference,
    current: Profile,
    settings: DriftSettings = DriftSettings(),
    *,
    files: Sequence[str] = (),
    derived: Sequence[Derived] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> DriftSection:
    """Hold a batch's profile against the reference's, made with the same segments.

    Every column is compared, then every column within every segment, and the derived ones; a comparison counts as drift
    when its p-value stands after Holm's correction over all of them *and* its effect reaches the floor. `files` are the
    names of the batch's files, for the example rows. A column that the batch lacks has drifted.
    """
    before = reference.profile
    before, current = _with_segments(before, current, settings)
    asked = list(_columns(before, current, settings, progress))
    asked += _segments(before, current, settings, progress)
    asked += [_Asked(column.compared(settings.shift), shows=column.shows) for column in derived]
    decided = _decide(asked, settings.level)
    sides = _Sides(*with_derived(before, current, derived), tuple(before.sorts), reference.name, files)
    columns = [_explained(a, column, sides) for a, column in decided]
    columns += [_gone(name, before) for name in before.columns if name not in current.columns]
    columns.sort(key=lambda c: (not c.drifted, not c.tested, c.segment is not None, c.p_adjusted, -c.effect))
    status = DriftStatus.DRIFTED if any(c.drifted for c in columns) else DriftStatus.STABLE
    if not any(c.tested for c in columns):
        status = DriftStatus.NOT_EXAMINED
    stands_on = f"{current.rows:,} rows against {before.rows:,}"
    return DriftSection(status, stands_on, reference.name, before.rows, current.rows, tuple(columns))


def _with_segments(before: Profile, current: Profile, settings: DriftSettings) -> tuple[Profile, Profile]:
    """Both profiles with every segment that is asked for; the samples give what the reference was not counted by."""
    for column in settings.segments:
        if column in before.segments and column in current.segments:
            continue
        for profile, whose in ((before, "the reference"), (current, "the batch")):
            if profile.sorts.get(column) is not Sort.CATEGORY:
                there = ", ".join(name for name, sort in profile.sorts.items() if sort is Sort.CATEGORY) or "none"
                raise ShopmonError(
                    f"{whose} cannot be split by {column!r}: it is no category there",
                    advice=f"Name a category in --by or under [drift] segments; there are: {there}.",
                )
        values = frequent_values(current, column, settings.profile.segment_values)
        before, current = (
            replace(profile, segments={**profile.segments, column: segments_of_sample(profile, column, values)})
            for profile in (before, current)
        )
    return before, current


def _columns(
    before: Profile, current: Profile, settings: DriftSettings, progress: Callable[[str], None]
) -> Iterator[_Asked]:
    groups = _groups(before, current)
    for name, profile in before.columns.items():
        now = current.columns.get(name)
        if now is None:
            continue
        alike = _alike(before, current, name, groups)
        yield from map(_Asked, compare(name, before.sorts[name], profile, now, settings.shift, alike=alike))
        if isinstance(profile, TextProfile) and isinstance(now, TextProfile):
            progress(f"comparing the language of {name}")
            shift = compare_texts(profile, now, _texts(before, name), _texts(current, name), settings.text, groups)
            yield _Asked(_language(name, None, shift), shift)


def _groups(before: Profile, current: Profile) -> tuple[Groups, Groups] | None:
    """Which sampled rows of both sides are alike; None where each stands for itself."""
    was, now = groups_of(before), groups_of(current)
    return None if was is None or now is None else (was, now)


def _alike(before: Profile, current: Profile, name: str, groups: tuple[Groups, Groups] | None) -> tuple[float, float]:
    """How many rows of a column tell as much as one that is independent, on both sides."""
    if groups is None:
        return 1.0, 1.0
    sides = zip((before, current), groups, strict=True)
    was, now = (worth(_values(profile.sample, name), profile.sorts[name], some) for profile, some in sides)
    return was, now


def _segments(
    before: Profile, current: Profile, settings: DriftSettings, progress: Callable[[str], None]
) -> Iterator[_Asked]:
    groups = _groups(before, current) if before.segments else None
    alike = {name: _alike(before, current, name, groups) for name in before.columns.keys() & current.columns.keys()}
    for column, values in before.segments.items():
        for value in sorted(values.keys() & current.segments.get(column, {}).keys()):
            segment = f"{column} = {value}"
            progress(f"comparing where {segment}")
            now = current.segments[column][value]
            for name, profile in values[value].items():
                if name in now:
                    found = compare(name, before.sorts[name], profile, now[name], settings.shift, segment, alike[name])
                    yield from map(_Asked, found)
            for name in before.columns.keys() & current.columns.keys():
                if before.sorts[name] is Sort.TEXT:
                    yield from _segment_texts(before, current, column, value, name, settings.text)


def _segment_texts(
    before: Profile, current: Profile, column: str, value: str, name: str, settings: TextSettings
) -> Iterator[_Asked]:
    """The texts of one segment; they are compared on the rows kept whole, of which `typical` then speaks."""
    rows_before, rows = (np.flatnonzero(_values(p.sample, column) == value) for p in (before, current))
    was = [_text(t) for t in _values(before.sample, name)[rows_before]]
    now = [_text(t) for t in _values(current.sample, name)[rows]]
    if was and now:
        groups = _groups(before, current)
        some = None if groups is None else (groups[0][rows_before], groups[1][rows])
        shift = compare_texts(text_profile(was), text_profile(now), was, now, settings, some)
        shift = replace(shift, typical=tuple(int(rows[i]) for i in shift.typical))
        yield _Asked(_language(name, f"{column} = {value}", shift), shift)


def _language(name: str, segment: str | None, shift: TextShift) -> Comparison:
    return Comparison(
        column=name,
        segment=segment,
        sort=Sort.TEXT,
        test=LANGUAGE,
        p_value=shift.p_value,
        effect=shift.effect,
        effect_name=shift.effect_name,
        floor=shift.floor,
        said=_words_said(shift),
        reference=shift.reference,
        current=shift.current,
    )


def _words_said(shift: TextShift, most: int = 3) -> str:
    if not shift.words:
        return "no single word stands out" if shift.p_value < 0.05 else ""
    return ", ".join(f'"{w.word}" {_percent(w.reference)} → {_percent(w.current)} %' for w in shift.words[:most])


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def _decide(asked: Sequence[_Asked], level: float) -> list[tuple[_Asked, DriftColumn]]:
    tested = [a for a in asked if a.comparison.tested]
    decisions = holm([a.comparison.p_value for a in tested], level)
    adjusted = {id(a): d for a, d in zip(tested, decisions, strict=True)}
    decided = []
    for a in asked:
        decision = adjusted.get(id(a))
        drifted = decision is not None and decision.rejected and a.comparison.effect >= a.comparison.floor
        decided.append((a, _column(a.comparison, decision.adjusted if decision else 1.0, drifted)))
    return decided


def _column(c: Comparison, p_adjusted: float, drifted: bool) -> DriftColumn:
    return DriftColumn(
        column=c.column,
        segment=c.segment,
        sort=c.sort.value,
        test=c.test,
        p_value=c.p_value,
        p_adjusted=p_adjusted,
        effect=c.effect,
        effect_name=c.effect_name,
        floor=c.floor if c.tested and math.isfinite(c.floor) else None,
        drifted=drifted,
        said=c.said,
        reference=c.reference,
        current=c.current,
    )


def _gone(name: str, before: Profile) -> DriftColumn:
    """A column that the reference had and this batch has not: no test is needed to see it."""
    return DriftColumn(
        column=name,
        segment=None,
        sort=before.sorts[name].value,
        test="column present",
        p_value=0.0,
        p_adjusted=0.0,
        effect=1.0,
        effect_name="share of rows without the column",
        floor=1.0,
        drifted=True,
        said="the column is not in this batch",
        reference=before.rows,
        current=0,
    )


@dataclass(frozen=True)
class _Sides:
    """Both samples, for explanations."""

    before: Profile
    current: Profile
    own: tuple[str, ...]
    """The columns that files have."""
    reference: str
    files: Sequence[str]


def _explained(asked: _Asked, column: DriftColumn, sides: _Sides) -> DriftColumn:
    """A comparison that drifted, with the segments in which it sits and rows that show it."""
    words = tuple(ChangedWord(w.word, w.reference, w.current, w.z) for w in asked.text.words) if asked.text else ()
    if not column.drifted:
        return replace(column, words=words)
    before, current = sides.before, sides.current
    risen = _most_moved(before.columns[column.column], current.columns[column.column])
    was, now = (_shown(profile, asked, column, risen) for profile in (before, current))
    up = np.sign(now.mean() - was.mean()) if len(was) and len(now) else 0.0
    typical = asked.text.typical if asked.text and asked.text.typical else _strongest(now * up)
    shows = asked.shows or (column.column,)
    return replace(
        column,
        words=words,
        sits_in=_where(sides, was, now) if column.segment is None else (),
        examples=_rows(current, shows, typical[:_EXAMPLES], sides.files),
        examples_before=_rows(before, shows, _strongest(-was * up)[:_EXAMPLES], [sides.reference]),
    )


def _shown(profile: Profile, asked: _Asked, column: DriftColumn, risen: str | None) -> NDArray[np.float64]:
    """How much of the change each sampled row shows: a number itself, whether a value is missing, a text's words."""
    values = _values(profile.sample, column.column)
    if column.test.startswith("missing"):
        return np.array([v is None for v in values], dtype=float)
    if asked.text is not None:
        weights = {w.word: float(np.sign(w.z)) for w in asked.text.words}
        return np.array([sum(weights.get(t, 0.0) for t in tokens(_text(v))) for v in values])
    if column.sort == Sort.CATEGORY:
        return np.array([v is not None and str(v) == risen for v in values], dtype=float)
    return _numbers(values, length=column.sort == Sort.TEXT)


def _most_moved(before: ColumnProfile, now: ColumnProfile) -> str | None:
    """The category whose share has moved most for its size; None where none has a name, and for other sorts."""
    if not isinstance(before, CategoryProfile) or not isinstance(now, CategoryProfile):
        return None
    names = {**before.names, **now.names}
    if not names:
        return None
    was, is_now = max(before.counts.sum(), 1), max(now.counts.sum(), 1)
    shared = (before.counts + now.counts) / (was + is_now)
    error = np.sqrt(shared * (1 - shared) * (1 / was + 1 / is_now)) + 1e-12
    z = np.abs(now.counts / is_now - before.counts / was) / error
    return names[max(names, key=lambda bucket: z[bucket])]


def _numbers(values: NDArray[np.object_], *, length: bool) -> NDArray[np.float64]:
    """Numbers for comparing rows; what is missing stands at the median, where it moves no mean."""
    if length:
        found = np.array([len(v) if v is not None else np.nan for v in values], dtype=float)
    else:
        found = np.array([_number(v) for v in values], dtype=float)
    found[~np.isfinite(found)] = np.nan
    if np.isnan(found).all():
        return np.zeros(len(found))
    return np.where(np.isnan(found), np.nanmedian(found), found)


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    return value.timestamp() if hasattr(value, "timestamp") else float(value)


def _strongest(shown: NDArray[np.float64]) -> tuple[int, ...]:
    """Indices of the rows that show most of it, the most first; none where all are alike."""
    if not len(shown) or shown.max() == shown.min():
        return ()
    return tuple(int(i) for i in np.argsort(-shown, kind="stable")[:_EXAMPLES])


def _where(sides: _Sides, was: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[Changed, ...]:
    splits = [
        Split(name, _values(sides.before.sample, name), _values(sides.current.sample, name))
        for name in sides.own
        if sides.before.sorts[name] is Sort.CATEGORY and name in sides.current.columns
    ]
    return sits_in(was, now, splits)


def _rows(
    profile: Profile, columns: Sequence[str], indices: Sequence[int], files: Sequence[str]
) -> tuple[ExampleRow, ...]:
    some = profile.sample.take(pa.array(indices, pa.int64())).select([FILE, ROW, *columns]).to_pylist()
    return tuple(ExampleRow(_name(files, r[FILE]), r[ROW], _told(r, columns)) for r in some)


def _told(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """The value that stands for a row; of several columns, all of them in one line."""
    return row[columns[0]] if len(columns) == 1 else " ~ ".join(_text(row[name]) for name in columns)


def _name(files: Sequence[str], index: int) -> str:
    return files[index] if index < len(files) else files[0] if files else ""


def _values(sample: pa.Table, column: str) -> NDArray[np.object_]:
    values = np.empty(sample.num_rows, dtype=object)
    values[:] = sample.column(column).to_pylist()
    return values


def _texts(profile: Profile, column: str) -> list[str]:
    return [_text(value) for value in profile.sample.column(column).to_pylist()]


def _text(value: Any) -> str:
    return "" if value is None else str(value)
