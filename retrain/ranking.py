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
from retrain.classification_measures import ESCI, ESCI_GAINS, Floats, expected_gain
from retrain.nearest import Finder
from retrain.text_vectors import TextEncoder, Vectors

PROBABILITY = "probability_"
"""What stands before a class in the name of its column."""
_PAIRS = 2_000
"""Pairs of query and product that the cross-encoder is given at once: it sorts them by length."""
_DIGITS = 6
"""Decimals that scores are told apart by: beyond them lies what other machines round otherwise."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


class Scoring(Protocol):
    """What can say of pairs of texts to which class each belongs: `retrain.scorer.Scorer`."""

    @property
    def classes(self) -> tuple[str, ...]: ...

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


def gains_for(classes: Sequence[str], own: Mapping[str, float]) -> dict[str, float]:
    """What finding each class is worth: as a training said itself, else as the Shopping Queries Dataset, else evenly.

    >>> gains_for(("E", "S", "C", "I"), {}), gains_for(("good", "so-so", "bad"), {})
    ({'E': 1.0, 'S': 0.1, 'C': 0.01, 'I': 0.0}, {'good': 1.0, 'so-so': 0.5, 'bad': 0.0})
    """
    if own:
        return dict(own)
    if set(classes) <= set(ESCI):
        return {label: ESCI_GAINS[label] for label in classes}
    last = max(len(classes) - 1, 1)
    return {label: 1 - at / last for at, label in enumerate(classes)}


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
    the one whose text comes first: the order of neither file has a part in it. A catalogue of fewer products than asked
    for gives all it has.
    """
    most = min(settings.candidates, len(shelf.catalogue))
    at_once = max(1, _PAIRS // most)
    for first in range(0, len(queries), at_once):
        progress("ranking queries", first, len(queries))
        yield _ranked_block(queries, slice(first, first + at_once), shelf, judge, most, settings.top)
    progress("ranking queries", len(queries), len(queries))


def _ranked_block(
    queries: Queries, some: slice, shelf: Shelf, judge: Judge, candidates: int, top: int
) -> pa.RecordBatch:
    texts, ids = queries.texts[some], queries.ids[some]
    near = shelf.finder.nearest(shelf.encoder.vectors(texts), candidates)
    rows = shelf.catalogue.rows
    read = rows.column("text").take(pa.array(near.rows.ravel())).to_pylist()
    asked = [text for text in texts for _ in range(candidates)]
    said = judge.scorer.probabilities(asked, read)
    gain = expected_gain(said, judge.scorer.classes, judge.gains).reshape(near.rows.shape)
    keys = (near.rows, -np.round(near.cosines, _DIGITS), -np.round(gain, _DIGITS))
    best = np.lexsort(keys, axis=1)[:, :top]
    of = np.arange(len(texts))[:, None]
    shown = rows.take(pa.array(near.rows[of, best].ravel()))
    chosen = said.reshape(*near.rows.shape, -1)[of, best].reshape(best.size, -1)
    columns = {
        "query_id": [name for name in ids for _ in range(best.shape[1])],
        "query": [text for text in texts for _ in range(best.shape[1])],
        "rank": np.tile(np.arange(1, best.shape[1] + 1, dtype=np.int32), len(texts)),
        "product_id": shown.column("id"),
        "title": titles(shown),
        "expected_gain": gain[of, best].ravel(),
        "cosine": near.cosines[of, best].ravel().astype(np.float64),
        **{name: shown.column(name) for name in ("file", "row", "same_text")},
        **{f"{PROBABILITY}{label}": chosen[:, at] for at, label in enumerate(judge.scorer.classes)},
    }
    schema = ranking_schema(judge.scorer.classes)
    return pa.table(columns).select(schema.names).cast(schema).combine_chunks().to_batches()[0]


def titles(products: pa.Table) -> list[str]:
    """What a product is called: its title, or where it has none the first line of its text."""
    pairs = zip(products.column("title").to_pylist(), products.column("text").to_pylist(), strict=True)
    return [(title or "").strip() or text.split("\n")[0] for title, text in pairs]
