"""Which products can replace one another?

The cross-encoder is asked whether one product is a substitute (the class S of the Shopping Queries Dataset) for whoever
looks for the other by its title, in both directions. Whether two products can replace one another is the same question
from either side, so its answer is the mean of both: two looks at one thing err less than one, on the same scale, which
is that of the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from retrain.classification_measures import Floats, Ints
from retrain.ranking import Progress, Scoring, Shelf, titles
from retrain.splits import normalised
from retrain.substitute_threshold import SUBSTITUTE

_PAIRS = 1_000
"""Pairs of products that the cross-encoder is given at once, each in both directions."""
_AT_ONCE = 1_000
"""Products whose neighbours are looked for at once, and pairs of one part of the answer."""
_MOST_ALIKE = 100
"""Products that are the same but for case, spacing or punctuation which are passed over in the search at most."""
_DIGITS = 6

SCHEMA = pa.schema(
    [
        ("product_id", pa.string()),
        ("product", pa.string()),
        ("substitute_id", pa.string()),
        ("substitute", pa.string()),
        ("probability", pa.float64()),
        ("probability_forward", pa.float64()),
        ("probability_backward", pa.float64()),
        ("cosine", pa.float64()),
        ("product_file", pa.string()),
        ("product_row", pa.int64()),
        ("product_same_text", pa.list_(pa.string())),
        ("substitute_file", pa.string()),
        ("substitute_row", pa.int64()),
        ("substitute_same_text", pa.list_(pa.string())),
    ]
)
"""A pair of products, each pair once. `forward` asks by the product's title for the substitute, `backward` the other
way round, `probability` is the mean of both."""


@dataclass(frozen=True)
class SubstituteSettings:
    """How far is looked, and what counts."""

    threshold: float
    """Probability (0–1) from which on a pair counts."""
    candidates: int = 20
    """Products that are looked at for each product."""
    label: str = SUBSTITUTE
    """The class of substitutes."""

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is a probability from 0 to 1, got {self.threshold!r}")
        if self.candidates < 1:
            raise ValueError(f"candidates is a whole number of 1 or more, got {self.candidates!r}")


@dataclass(frozen=True)
class Substitutes:
    """Pairs of products that can replace one another, the surest first."""

    products: pa.Table
    """The catalogue's rows."""
    first: Ints
    """(pairs,) rows of the catalogue."""
    second: Ints
    forward: Floats
    """(pairs,) P(S) of the second for whoever looks for the first."""
    backward: Floats
    cosines: Floats
    asked: int
    """Pairs that the cross-encoder read."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def probabilities(self) -> Floats:
        """(pairs,) the mean of both directions."""
        return (self.forward + self.backward) / 2

    def parts(self) -> Iterator[pa.RecordBatch]:
        """The pairs in the columns of `SCHEMA`, so many at a time; one empty part where there is none."""
        for first in range(0, max(len(self), 1), _AT_ONCE):
            yield self._part(slice(first, first + _AT_ONCE))

    def _part(self, some: slice) -> pa.RecordBatch:
        one, other = (self.products.take(pa.array(side[some])) for side in (self.first, self.second))
        columns = {
            "product": titles(one),
            "substitute": titles(other),
            "probability": self.probabilities[some],
            "probability_forward": self.forward[some],
            "probability_backward": self.backward[some],
            "cosine": self.cosines[some],
            **{f"product_{name}": one.column(name) for name in ("id", "file", "row", "same_text")},
            **{f"substitute_{name}": other.column(name) for name in ("id", "file", "row", "same_text")},
        }
        return pa.RecordBatch.from_arrays([_array(columns[one.name], one.type) for one in SCHEMA], schema=SCHEMA)


def _array(values: object, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.cast(kind).combine_chunks()
    return pa.array(values, kind)


def find_substitutes(
    shelf: Shelf,
    scorer: Scoring,
    settings: SubstituteSettings,
    *,
    of: Sequence[int] | None = None,
    progress: Progress = lambda doing, done, of: None,
) -> Substitutes:
    """The pairs of products that can replace one another; `of` names rows of the catalogue, otherwise all are asked.

    A product is no substitute for itself, nor for one that is the same but for case, spacing or punctuation. Raises
    ShopmonError for a model without the class of substitutes.
    """
    if settings.label not in scorer.classes:
        raise ShopmonError(
            f"the model tells {', '.join(scorer.classes)} apart, and none of them is the class of substitutes, "
            f"{settings.label}",
            advice="Say which class means a substitute: label in [substitutes]; or ask another model: --model.",
        )
    first, second = _pairs(shelf, settings.candidates, of, progress)
    at = scorer.classes.index(settings.label)
    rows = shelf.catalogue.rows
    forward, backward = np.zeros(len(first)), np.zeros(len(first))
    for begin in range(0, len(first), _PAIRS):
        progress("asking for substitutes", begin, len(first))
        some = slice(begin, begin + _PAIRS)
        one, other = (rows.take(pa.array(side[some])) for side in (first, second))
        asked, read = titles(one) + titles(other), (other.column("text"), one.column("text"))
        said = scorer.probabilities(asked, [text for column in read for text in column.to_pylist()])[:, at]
        forward[some], backward[some] = said[: len(one)], said[len(one) :]
    progress("asking for substitutes", len(first), len(first))
    return _kept(shelf, first, second, forward, backward, settings.threshold)


def _kept(shelf: Shelf, first: Ints, second: Ints, forward: Floats, backward: Floats, threshold: float) -> Substitutes:
    mean = (forward + backward) / 2
    kept = np.flatnonzero(mean >= threshold)
    kept = kept[np.lexsort((second[kept], first[kept], -np.round(mean[kept], _DIGITS)))]
    vectors = shelf.vectors
    one, other = first[kept], second[kept]
    cosines = np.array([float(vectors[a] @ vectors[b]) for a, b in zip(one, other, strict=True)], np.float64)
    return Substitutes(shelf.catalogue.rows, one, other, forward[kept], backward[kept], cosines, len(first))


def _pairs(shelf: Shelf, candidates: int, of: Sequence[int] | None, progress: Progress) -> tuple[Ints, Ints]:
    """Each pair of a product and one of its candidates once; one that was asked for stands first."""
    count = len(shelf.catalogue)
    same, largest = _same_but_for_form(shelf.catalogue.texts)
    most = min(candidates + min(largest, _MOST_ALIKE), count)
    asked = np.arange(count) if of is None else np.unique(np.asarray(of, np.int64))
    found = []
    for begin in range(0, len(asked), _AT_ONCE):
        progress("finding candidates", begin, len(asked))
        rows = asked[begin : begin + _AT_ONCE]
        near = shelf.finder.nearest(shelf.vectors[rows], most).rows
        other = same[near] != same[rows][:, None]
        other &= np.cumsum(other, axis=1) <= candidates
        one = np.broadcast_to(rows[:, None], near.shape)[other]
        found.append(np.minimum(one, near[other]) * count + np.maximum(one, near[other]))
    codes = np.unique(np.concatenate(found))
    first, second = codes // count, codes % count
    turned = np.isin(second, asked) & ~np.isin(first, asked)
    return np.where(turned, second, first), np.where(turned, first, second)


def _same_but_for_form(texts: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """(texts,) the same number for texts of the same normal form; and how many have the most frequent one."""
    numbers: dict[str, int] = {}
    found = np.array([numbers.setdefault(normalised(text), len(numbers)) for text in texts], np.int64)
    return found, int(np.bincount(found).max())
