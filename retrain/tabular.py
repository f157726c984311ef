"""What stands beside a text, as numbers that a head can read: a price, a brand, a flag?

What is usual is learnt from the rows that are learnt from: which values a column has, and how its numbers are spread. A
value that was not there, or too seldom, counts as missing later on: it has taught nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from expectations.errors import ShopmonError
from retrain.classification_measures import Floats
from retrain.labelled import Labelled, Rows
from retrain.labelled_texts import CATEGORIES, NUMBERS

LEAST = 5
"""Rows with a value without which nothing can be said of it."""
MOST = 1_000
"""Values of a column that are told apart, the most frequent ones."""


@dataclass(frozen=True)
class Columns:
    """What stands beside the texts of some rows."""

    rows: int
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    """Name → (rows,), NaN where there is none."""
    categories: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """Name → a value a row, None where there is none."""

    @property
    def any(self) -> bool:
        """Whether there is a column at all."""
        return bool(self.numbers or self.categories)


def columns_at(labelled: Labelled, rows: Rows) -> Columns:
    """The columns beside some rows, given by their numbers from 0: those that `labelled_texts` brought along."""
    names = [name for name in pq.read_schema(labelled.file).names if name.startswith((NUMBERS, CATEGORIES))]
    if not names:
        return Columns(len(rows))
    table = labelled.rows_at(rows, names)
    numbers = {
        name.removeprefix(NUMBERS): np.array(
            [np.nan if value is None else value for value in table.column(name).to_pylist()], np.float64
        )
        for name in names
        if name.startswith(NUMBERS)
    }
    categories = {
        name.removeprefix(CATEGORIES): table.column(name).to_pylist() for name in names if name.startswith(CATEGORIES)
    }
    return Columns(len(rows), numbers, categories)


@dataclass(frozen=True)
class Scale:
    """How the numbers of a column are spread."""

    name: str
    mean: float
    spread: float
    """Standard deviation; 1 where all are the same."""


@dataclass(frozen=True)
class Values:
    """The values of a column that are told apart, the most frequent first."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Encoding:
    """How columns become numbers."""

    numbers: tuple[Scale, ...] = ()
    categories: tuple[Values, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, as `codes` has them."""
        return (*(one.name for one in self.numbers), *(one.name for one in self.categories))

    def codes(self, columns: Columns) -> Floats:
        """(rows, columns) numbers as they are and values by their number from 0; NaN for what is missing or not known.

        For trees, which know what to do with both. Raises ShopmonError for a column that is not there.
        """
        parts = [self._numbers(columns, one.name) for one in self.numbers]
        for one in self.categories:
            place = {value: float(at) for at, value in enumerate(one.values)}
            parts.append(np.array([place.get(said or "", np.nan) for said in self._said(columns, one.name)]))
        return np.stack(parts, 1) if parts else np.zeros((columns.rows, 0))

    def spread_out(self, columns: Columns) -> Floats:
        """(rows, features) numbers in standard deviations (0 for missing) and a flag for those; a flag for each value.

        For a regression, which adds up. Raises ShopmonError for a column that is not there.
        """
        parts = []
        for scale in self.numbers:
            told = self._numbers(columns, scale.name)
            missing = np.isnan(told)
            parts += [np.where(missing, 0.0, (told - scale.mean) / scale.spread)[:, None], missing[:, None]]
        for one in self.categories:
            said = np.array([value or "" for value in self._said(columns, one.name)], dtype=object)
            parts.append(np.stack([said == value for value in one.values], 1) if one.values else said[:, None][:, :0])
        return np.hstack(parts).astype(np.float64) if parts else np.zeros((columns.rows, 0))

    def _numbers(self, columns: Columns, name: str) -> Floats:
        if name not in columns.numbers:
            raise _no_column(name, columns)
        told = columns.numbers[name]
        return np.where(np.isfinite(told), told, np.nan)

    def _said(self, columns: Columns, name: str) -> Sequence[str | None]:
        if name not in columns.categories:
            raise _no_column(name, columns)
        return columns.categories[name]

    def plain(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return asdict(self)


def encoding_of(columns: Columns) -> Encoding:
    """Learn from some rows how their columns become numbers.

    >>> encoding_of(Columns(6, categories={"brand": ["Acme"] * 5 + [None]})).categories
    (Values(name='brand', values=('Acme',)),)
    """
    numbers = []
    for name, told in columns.numbers.items():
        known = told[np.isfinite(told)]
        spread = float(known.std()) if len(known) else 0.0
        numbers.append(Scale(name, float(known.mean()) if len(known) else 0.0, spread or 1.0))
    categories = []
    for name, said in columns.categories.items():
        counts = Counter(value for value in said if value)
        ordered = sorted(
            (value for value, rows in counts.items() if rows >= LEAST), key=lambda one: (-counts[one], one)
        )
        categories.append(Values(name, tuple(ordered[:MOST])))
    return Encoding(tuple(numbers), tuple(categories))


def encoding_from(told: Any) -> Encoding:
    """An encoding from its plain JSON. Raises ValueError for anything else."""
    try:
        numbers = tuple(Scale(str(one["name"]), float(one["mean"]), float(one["spread"])) for one in told["numbers"])
        values = tuple(Values(str(one["name"]), tuple(map(str, one["values"]))) for one in told["categories"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError("the encoding of the columns is damaged") from error
    if not all(np.isfinite([one.mean, one.spread]).all() and one.spread > 0 for one in numbers):
        raise ValueError("the spread of a column is no number above 0")
    return Encoding(numbers, values)


def _no_column(name: str, columns: Columns) -> ShopmonError:
    there = ", ".join(repr(one) for one in (*columns.numbers, *columns.categories)) or "none"
    return ShopmonError(
        f"the model reads a column {name!r} beside the text, and the rows have {there}",
        advice="Give the columns that it was trained with: numbers and categories in [retrain.category].",
    )
