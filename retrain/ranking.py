"""Which products belong to a query, the best first?

In two stages, as the model card of sllawlis/all-distilroberta-ce-esci describes: a bi-encoder, which reads queries and
products apart, finds candidates in the whole catalogue; a cross-encoder, which reads a query and a product together and
is too slow for the whole, puts those in order, by the gain that showing them is worth on average.

Source: Nogueira and Cho, Passage Re-ranking with BERT, 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa

from expectations.errors import ShopmonError
from retrain.catalogue import Catalogue
from retrain.classification_measures import Floats, Ints, expected_gain
from retrain.nearest import Finder
from retrain.text_vectors import TextEncoder, Vectors

PROBABILITY = "probability_"
"""What stands before a class in the name of its column."""
_AT_ONCE = 64
"""Queries whose candidates are looked for at once."""
_DIGITS = 6
"""Decimals that scores are told apart by: beyond them lies what other machines round otherwise."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


class Scoring(Protocol):
    """What can say of pairs of texts to which class each belongs: `retrain.scorer.Scorer`."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def how(self) -> str: ...

    def probabilities(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Floats: ...


@dataclass(frozen=True)
class Judge:
    """A cross-encoder, and what each of its classes is worth."""

    scorer: Scoring
    gains: Mapping[str, float]
    """Class → gain."""

    def __post_init__(self) -> None:
        if missing := [label for label in self.scorer.classes if label not in self.gains]:
            raise ValueError(f"class {missing[0]!r} has no gain; there are {', '.join(self.gains)}")


@dataclass(frozen=True)
class Shelf:
    """A catalogue in which candidates can be found."""

    catalogue: Catalogue
    vectors: Vectors
    """(products, dimensions) what the encoder makes of each."""
    finder: Finder
    encoder: TextEncoder


@dataclass(frozen=True)
class RankSettings:
    """How far is looked, and how much is told."""

    candidates: int = 100
    """Products of each query that the cross-encoder reads."""
    top: int = 10
    """Products of each query in the answer."""

    def __post_init__(self) -> None:
        for name in ("candidates", "top"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is a whole number of 1 or more, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Queries:
    """What is looked for, each text once, in the order in which it first came."""

    ids: tuple[str | None, ...]
    texts: tuple[str, ...]
    arrived: int
    blank: int
    """Queries without a text, which are left out."""

    def __len__(self) -> int:
        return len(self.texts)

    def first(self, most: int) -> Queries:
        """Only the first ones."""
        return replace(self, ids=self.ids[:most], texts=self.texts[:most])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of what arrived."""
        repeated = self.arrived - self.blank - len(self)
        told = [f"{self.blank:,} of {self.arrived:,} queries are blank, and are left out"] if self.blank else []
        if repeated:
            told.append(f"{repeated:,} queries repeat another one letter for letter: each is answered once")
        return tuple(told)


def queries_of(texts: Sequence[str | None], ids: Sequence[str | None] | None = None) -> Queries:
    """Queries without blanks around them, each once; the least id stands for one that comes several times.

    Raises ShopmonError where none is left.

    >>> found = queries_of(["red shoes ", None, "red shoes"], ["b", "x", "a"])
    >>> found.texts, found.ids, found.blank
    (('red shoes',), ('a',), 1)
    """
    found: dict[str, str | None] = {}
    blank = 0
    for text, name in zip(texts, ids or [None] * len(texts), strict=True):
        said = (text or "").strip()
        if not said:
            blank += 1
        elif found.get(said) is None or (name is not None and name < str(found[said])):
            found[said] = name
    if not found:
        what = "the query is blank" if len(texts) == 1 else f"none of the {len(texts):,} queries has a text"
        raise ShopmonError(what, advice="Say what to look for.")
    return Queries(tuple(found.values()), tuple(found), len(texts), blank)


def ranking_schema(classes: Sequence[str]) -> pa.Schema:
    """The columns of an answer: a row is one product of one query."""
    return pa.schema(
        [
            ("query_id", pa.string()),
            ("query", pa.string()),
            ("rank", pa.int32()),
            ("product_id", pa.string()),
            ("title", pa.string()),
            ("expected_gain", pa.float64()),
            *((f"{PROBABILITY}{label}", pa.float64()) for label in classes),
            ("cosine", pa.float64()),
            ("file", pa.string()),
            ("row", pa.int64()),
            ("same_text", pa.list_(pa.string())),
        ]
    )


def ranked(
    queries: Queries,
    shelf: Shelf,
    judge: Judge,
    settings: RankSettings = RankSettings(),
    *,
    progress: Progress = lambda doing, done, of: None,
) -> Iterator[pa.RecordBatch]:
    """The best products of each query, some queries at a time, in the columns of `ranking_schema`.

    Rank 1 is the product of the highest expected gain; of equal ones the one that the bi-encoder finds closer, and then
    the one whose text comes first. The cross-encoder reads the candidates of one query at a time, in the order of their
    texts: neither the order of the products nor the other queries have a part in an answer. A catalogue of fewer
    products than asked for gives all it has.
    """
    schema = ranking_schema(judge.scorer.classes)
    for first in range(0, len(queries), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        near = shelf.finder.nearest(shelf.encoder.vectors(queries.texts[some]), settings.candidates)
        parts = []
        for at, (rows, cosines) in enumerate(zip(near.rows, near.cosines, strict=True), first):
            progress("ranking queries", at, len(queries))
            parts.append(_ranked(queries, at, rows, cosines, shelf, judge, settings.top))
        yield pa.concat_tables(parts).cast(schema).combine_chunks().to_batches()[0]
    progress("ranking queries", len(queries), len(queries))


def _ranked(queries: Queries, at: int, rows: Ints, cosines: Vectors, shelf: Shelf, judge: Judge, top: int) -> pa.Table:
    """The best of a query's candidates, which are given by their rows in the catalogue and their cosines."""
    alphabetical = np.argsort(rows)  # the catalogue is in the order of its texts
    rows, cosines = rows[alphabetical], cosines[alphabetical]
    read = shelf.catalogue.rows.take(pa.array(rows))
    classes = judge.scorer.classes
    said = judge.scorer.probabilities([queries.texts[at]] * len(rows), read.column("text").to_pylist())
    gain = expected_gain(said, classes, judge.gains)
    best = np.lexsort((rows, -np.round(cosines, _DIGITS), -np.round(gain, _DIGITS)))[:top]
    shown = read.take(pa.array(best))
    columns = {
        "query_id": pa.array([queries.ids[at]] * len(best), pa.string()),
        "query": [queries.texts[at]] * len(best),
        "rank": np.arange(1, len(best) + 1),
        "product_id": shown.column("id"),
        "title": titles(shown),
        "expected_gain": gain[best],
        "cosine": cosines[best].astype(np.float64),
        **{name: shown.column(name) for name in ("file", "row", "same_text")},
        **{f"{PROBABILITY}{label}": said[best, number] for number, label in enumerate(classes)},
    }
    return pa.table(columns).select(ranking_schema(classes).names)


def titles(products: pa.Table) -> list[str]:
    """What a product is called: its title, or where it has none the first line of its text."""
    pairs = zip(products.column("title").to_pylist(), products.column("text").to_pylist(), strict=True)
    return [(title or "").strip() or text.split("\n")[0] for title, text in pairs]
