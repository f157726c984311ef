"""Which rows of a piece are fit to be compared and to be learnt from?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from expectations.batch import Batch
from expectations.pieces import Cut, Piece, opened
from expectations.quarantine import lay_fit
from expectations.spark_jobs import Shared
from expectations.spark_quarantine import lay_breaking


@dataclass(frozen=True)
class Fit:
    """The rows of a validated batch without a serious fault, piece by piece."""

    whole: Cut
    breaking: Mapping[int, str]
    """Piece → file of the shared folder that holds the rows which break a rule; none without such a row."""
    shared: Shared
    serious: tuple[int, ...]
    """The numbers of the rules whose breaking makes a row unfit."""
    rows: int
    """Rows that are fit."""
    name: str
    """Of the relation that holds them."""


@contextmanager
def opened_fit(fit: Fit, piece: Piece) -> Iterator[Batch]:
    """The piece with the relation of its fit rows beside all of them. Raises TaskError as `pieces.opened` does."""
    with opened(fit.whole, piece) as batch:
        lay_breaking(batch, fit.shared, fit.breaking.get(piece.number))
        lay_fit(batch, fit.name, fit.serious)
        yield batch
