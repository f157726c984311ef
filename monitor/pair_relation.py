"""Do queries and products still belong together as they did?

Each column of a batch of pairs may be as before, and the pairs themselves be others: where a join went wrong, say, each
query stands beside another query's product. So the pairs get columns of their own, which are compared like all others:
how many of a query's words its product has, and what a relevance model says of both, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.alike import Groups, groups_of
from monitor.derived import Derived, Side
from monitor.pair_signals import Counting, PairAnswers
from monitor.profiles import Profile, Sort
from monitor.results import ModelReading
from monitor.signals import RELEVANCE, Row
from monitor.words import incidence

KIND, QUERY, PRODUCT = "relevance", "query", "product_text"
SHARED_WORDS = "query ~ product_text: shared words"
CLASS, GAIN, AGREES = "relevance model: class", "relevance model: expected gain", "relevance model: agrees with label"
FEWEST = 20
"""Pairs of each side without which what a model says is not compared: nothing could be found."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairColumns:
    """What pairs are compared by."""

    columns: tuple[Derived, ...] = ()
    model: ModelReading | None = None
    """What the model read; None where none was asked."""
    notes: tuple[str, ...] = ()
    """What could not be compared, and why."""


def shared_words(queries: Sequence[str | None], texts: Sequence[str | None]) -> Floats:
    """(n,) share of each query's different words that stand in its product's text (0–1).

    NaN where there is no query, no text, or no word in the query.

    >>> shared_words(["red shoes", "Red shoes", "!", None], ["Shoes, blue", "red SHOES", "cap", "cap"]).tolist()
    [0.5, 1.0, nan, nan]
    """
    known = np.array([bool(query) and bool(text) for query, text in zip(queries, texts, strict=True)], dtype=bool)
    pairs = np.flatnonzero(known)
    joined = [str(side[place]) for side in (queries, texts) for place in pairs.tolist()]
    found = incidence(pa.array(joined, pa.large_string()))
    pair, of_query = found.text % max(len(pairs), 1), found.text < len(pairs)
    codes = pair * max(len(found.words), 1) + found.word
    asked = codes[of_query]
    there = np.isin(asked, codes[~of_query])
    words = np.bincount(pair[of_query], minlength=len(pairs))
    held = np.bincount(pair[of_query], weights=there, minlength=len(pairs))
    shares = np.full(len(known), np.nan)
    shares[pairs] = np.divide(held, words, out=np.full(len(pairs), np.nan), where=words > 0)
    return shares


def pair_columns(
    before: Profile, now: Profile, asks: tuple[Counting, Counting] | None = None, *, most: int = 500
) -> PairColumns:
    """What the sampled pairs of a reference and of a batch are compared by; nothing where they have no pairs.

    `asks` ask a relevance model of the reference's pairs and of the batch's, of at most `most` of each side: those
    drawn first from which it did not learn. What it says of pairs that it learnt from is better than of any other.
    """
    sides = (before, now)
    if not all(p.kind == KIND and name in p.columns for name in (QUERY, PRODUCT) for p in sides):
        return PairColumns()
    words = Derived(SHARED_WORDS, Sort.NUMBER, _words_shared(before), _words_shared(now), shows=(QUERY, PRODUCT))
    if asks is None or most < 1:
        return PairColumns((words,))
    said = _said(before, now, asks, most)
    return PairColumns((words, *said.columns), said.model, said.notes)


def _words_shared(profile: Profile) -> Side:
    shares = shared_words(_texts(profile.sample, QUERY), _texts(profile.sample, PRODUCT))
    return Side(shares, groups_of(profile))


# --- what a model says ----------------------------------------------------------------------------------------------


def _said(before: Profile, now: Profile, asks: tuple[Counting, Counting], most: int) -> PairColumns:
    """Columns of what a model says of both sides."""
    if why := _unreadable(asks[0], before, now):
        return PairColumns(notes=(why,))
    drawn = [_drawn(ask, profile, most) for ask, profile in zip(asks, (before, now), strict=True)]
    if why := _too_few(drawn):
        return PairColumns(notes=(why,))
    sides = [_answered(ask, some) for ask, some in zip(asks, drawn, strict=True)]
    read = [ask.read for ask in asks]
    reading = ModelReading(
        rows=sum(some.complete for some in drawn),
        read=sum(len(some.chosen) for some in drawn),
        texts=sum(pairs for pairs, _ in read),
        seconds=sum(seconds for _, seconds in read),
        model=asks[0].model.model_id,
        task=RELEVANCE,
    )
    return PairColumns(_columns(sides), reading)


def _unreadable(ask: Counting, before: Profile, now: Profile) -> str:
    """Which attribute of a product a side lacks that the model reads; empty where there is none."""
    for profile, whose in ((before, "the reference"), (now, "this batch")):
        for names in ask.model.attributes:
            if not any(name in profile.sample.column_names for name in names):
                return f"the relevance model reads the product's {names[0]}, which {whose} lacks: it was not asked"
    return ""


@dataclass(frozen=True)
class _Drawn:
    """The rows of a sample of which a model is asked."""

    rows: Sequence[Row]
    """All of the sample: query, product text, label."""
    complete: int
    """Those with query and product."""
    chosen: NDArray[np.int64]
    """Places of those that it is asked of."""
    groups: Groups | None


def _drawn(ask: Counting, profile: Profile, most: int) -> _Drawn:
    """The pairs of a sample that are drawn first, of those that the model did not learn from."""
    rows = _rows(profile.sample, ask)
    complete = [place for place, row in enumerate(rows) if row[0] and row[1]]
    learnt = ask.model.learnt([str(rows[p][0]) for p in complete], [str(rows[p][1]) for p in complete])
    return _Drawn(rows, len(complete), np.array(complete, dtype=np.int64)[~learnt][:most], groups_of(profile))


def _too_few(drawn: Sequence[_Drawn]) -> str:
    """Why a model cannot be asked of both sides; empty where it can."""
    for some, whose in zip(drawn, ("the reference", "this batch"), strict=True):
        if len(some.chosen) < FEWEST:
            return (
                f"of {some.complete:,} sampled pairs of {whose}, the relevance model did not learn from "
                f"{len(some.chosen):,}: what it says of so few is not compared (of {FEWEST} it would be)"
            )
    return ""


def _rows(sample: pa.Table, ask: Counting) -> list[Row]:
    """Query, product text and label of every sampled row, as the model takes them."""
    columns = sample.column_names
    parts = [_trimmed(sample, next(name for name in names if name in columns)) for names in ask.model.attributes]
    texts = ["\n".join(filter(None, some)) or None for some in zip(*parts, strict=True)]
    label = next((name for name in ask.model.label_columns if name in columns), None)
    labels = _trimmed(sample, label) if label else [None] * sample.num_rows
    return list(zip(_trimmed(sample, QUERY), texts, labels, strict=True))


@dataclass(frozen=True)
class _Answered:
    """What a model says of some rows of a sample."""

    drawn: _Drawn
    answers: PairAnswers

    def spread(self, values: NDArray[Any]) -> Side:
        """A value for each of the sample's rows."""
        whole = np.full(len(self.drawn.rows), None if values.dtype == object else np.nan, dtype=values.dtype)
        whole[self.drawn.chosen] = values
        return Side(whole, self.drawn.groups)


def _answered(ask: Counting, drawn: _Drawn) -> _Answered:
    return _Answered(drawn, ask.answers([drawn.rows[place] for place in drawn.chosen]))


def _columns(sides: Sequence[_Answered]) -> tuple[Derived, ...]:
    labelled = all((side.answers.labels >= 0).sum() >= FEWEST for side in sides)
    asked = [
        (CLASS, Sort.CATEGORY, [side.answers.likeliest for side in sides]),
        (GAIN, Sort.NUMBER, [side.answers.expected_gain for side in sides]),
        *([(AGREES, Sort.CATEGORY, [_agrees(side.answers) for side in sides])] if labelled else []),
    ]
    spread = [
        (name, sort, [side.spread(of) for side, of in zip(sides, both, strict=True)]) for name, sort, both in asked
    ]
    return tuple(Derived(name, sort, both[0], both[1], shows=(QUERY, PRODUCT)) for name, sort, both in spread)


def _agrees(answers: PairAnswers) -> NDArray[np.object_]:
    names = {True: "no", False: "yes", None: None}
    found = np.empty(len(answers.labels), dtype=object)
    found[:] = [names[disagrees] for disagrees in answers.disagrees]
    return found


# --- columns of a sample --------------------------------------------------------------------------------------------


def _texts(sample: pa.Table, name: str) -> list[str | None]:
    return [None if value is None else str(value) for value in sample.column(name).to_pylist()]


def _trimmed(sample: pa.Table, name: str) -> list[str | None]:
    """A column as DuckDB's `trim` and `nullif` would give it as text."""
    return [None if value is None else value.strip(" ") or None for value in _texts(sample, name)]
