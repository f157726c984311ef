"""Which vectors lie nearest to these, and how surely are they found?

Exactly, by NumPy; where many searches go through many vectors, by a graph of faiss, which costs its building and then a
fraction. How much it finds is measured against the exact search on some of the very queries.

Source: Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs, 2018; Douze et al., The Faiss library, 2024.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from expectations.errors import ShopmonError
from monitor.run_folder import write_aside
from retrain.classification_measures import Ints
from retrain.text_vectors import Vectors

log = logging.getLogger("shopmon.nearest")

VERSION = 1
"""Of an index; raised whenever it would be built differently."""
_QUERIES, _ROWS = 128, 32_768
"""Queries and vectors that are multiplied at once: 16 MB of products."""
_LINKS, _BREADTH = 32, 100
"""Neighbours of a vector in the graph (M), and how many are looked at to find them (efConstruction)."""
_BROADER = 1.5
"""By how much a search becomes broader where it has found too little."""
_ADDED = 4_096
"""Vectors that are added to the graph at once, between two words of progress."""
_EQUAL = 1e-6
"""Cosines that differ by less are the same."""
_DIGITS = 6
"""Of a cosine that count: float32 computes one more."""
_LATER = 1e-13
"""Taken off for each row that stands before: less than the last digit for all rows of a block together."""


@dataclass(frozen=True)
class Nearest:
    """What was found, the nearest first."""

    rows: Ints
    """(queries, k) numbers of vectors."""
    cosines: Vectors
    """(queries, k) inner products, which for vectors of length 1 are cosines."""


class Finder(Protocol):
    """A way to find the nearest of some vectors."""

    @property
    def how(self) -> str:
        """In a few words, with how much is found."""
        ...

    def nearest(self, queries: Vectors, k: int) -> Nearest: ...


@dataclass(frozen=True)
class SearchSettings:
    """From when on an index is used, and how much it must find."""

    exact_up_to: int = 50_000
    """Vectors up to which the search is exact."""
    index_from: int = 20_000
    """Searches from which on an index of more vectors saves more than its building costs."""
    recall: float = 0.95
    """Share (0–1) of the exact nearest that an index must find, on average over the measured queries."""
    measured: int = 64
    """Queries that it is measured on."""

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise ValueError(f"recall is a share above 0 and up to 1, got {self.recall!r}")
        if self.measured < 1 or self.index_from < 1 or self.exact_up_to < 0:
            raise ValueError(f"measured and index_from are 1 or more and exact_up_to 0 or more, got {self!r}")


@dataclass(frozen=True)
class ExactFinder:
    """Looks at every vector."""

    vectors: Vectors

    @property
    def how(self) -> str:
        """In a few words."""
        return "exact"

    def nearest(self, queries: Vectors, k: int) -> Nearest:
        """The k vectors nearest to each query, or all where there are fewer; of equal ones the one that stands first.

        Memory grows neither with the vectors nor with their number of queries, but for the answer.

        >>> found = ExactFinder(np.eye(3, dtype=np.float32)).nearest(np.array([[0.0, 0.8, 0.6]], np.float32), 2)
        >>> found.rows.tolist(), found.cosines.round(1).tolist()
        ([[1, 2]], [[0.800000011920929, 0.6000000238418579]])
        """
        k = min(k, len(self.vectors))
        rows, cosines = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        for first in range(0, len(queries), _QUERIES):
            some = slice(first, first + _QUERIES)
            rows[some], cosines[some] = self._block(queries[some], k)
        return Nearest(rows, cosines)

    def _block(self, queries: Vectors, k: int) -> tuple[Ints, Vectors]:
        rows, cosines = np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        for first in range(0, len(self.vectors), _ROWS):
            # The last digits of a product depend on what is multiplied with it; so would which of equal ones are found.
            found = np.round(queries @ self.vectors[first : first + _ROWS].T, _DIGITS)
            at = np.broadcast_to(np.arange(found.shape[1]), found.shape)
            if found.shape[1] > k:
                at = np.argpartition(found - at * _LATER, -k, axis=1)[:, -k:]
                found = np.take_along_axis(found, at, 1)
            rows, cosines = _sorted(np.hstack([rows, at + first]), np.hstack([cosines, found]), k)
        return rows, cosines


@dataclass(frozen=True)
class IndexFinder:
    """Walks through a graph in which each vector is linked with some that lie near it."""

    index: Any
    """`faiss.IndexHNSWFlat`."""
    exact: ExactFinder
    breadth: int
    """How many of the nearest so far it keeps on its way (efSearch)."""
    recall: float
    """Share (0–1) of the exact nearest that it found, on average over the queries it was measured on."""
    measured: int
    """How many those were."""
    k: int
    """How many nearest ones were looked for then."""

    @property
    def how(self) -> str:
        """In a few words, with how much is found."""
        return f"faiss HNSW, recall@{self.k} {self.recall:.3f} on {self.measured:,} queries"

    def nearest(self, queries: Vectors, k: int) -> Nearest:
        """The k nearest of each query that it finds; exactly where the graph leads to fewer."""
        k = min(k, self.index.ntotal)
        found = _search(self.index, queries, k, self.breadth)
        short = np.flatnonzero((found.rows < 0).any(axis=1))
        if len(short):
            whole = self.exact.nearest(queries[short], k)
            found.rows[short], found.cosines[short] = whole.rows, whole.cosines
        return found


def finder_for(
    vectors: Vectors,
    queries: int,
    sample: Callable[[int], Vectors],
    k: int,
    settings: SearchSettings,
    file: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Finder:
    """How to find the k nearest of so many queries, of which `sample` gives as many as it is asked for.

    An index is kept in `file`, and found there by the next call; `progress` is told how many vectors are in it. It is
    searched as broadly as finds what is asked for, on the sample. Raises ShopmonError where faiss is needed and
    missing, and where the file cannot be written.
    """
    exact = ExactFinder(vectors)
    if len(vectors) <= settings.exact_up_to or queries < settings.index_from:
        return exact
    index = _kept_index(vectors, file, progress)
    return _tuned(index, exact, sample(min(settings.measured, queries)), min(k, len(vectors)), settings.recall)


def recall(found: Nearest, exact: Nearest) -> float:
    """Share (0–1) of the exact nearest that were found, on average over the queries; equal ones stand for each other.

    >>> exact = Nearest(np.array([[1, 2]]), np.array([[0.9, 0.8]], np.float32))
    >>> recall(Nearest(np.array([[1, 7]]), np.array([[0.9, 0.5]], np.float32)), exact)
    0.5
    """
    return float((found.cosines >= exact.cosines[:, -1:] - _EQUAL).mean())


def _tuned(index: Any, exact: ExactFinder, sample: Vectors, k: int, wanted: float) -> Finder:
    """The index, searched ever more broadly until enough is found; where that is the whole, the exact search."""
    right = exact.nearest(sample, k)
    breadth = k
    while breadth < index.ntotal:
        found = recall(_search(index, sample, k, breadth), right)
        if found >= wanted:
            return IndexFinder(index, exact, breadth, found, len(sample), k)
        breadth = math.ceil(_BROADER * breadth)
    return exact


def _search(index: Any, queries: Vectors, k: int, breadth: int) -> Nearest:
    index.hnsw.efSearch = max(breadth, k)
    cosines, rows = index.search(np.ascontiguousarray(queries), k)
    return Nearest(*_sorted(rows, np.round(cosines, _DIGITS), k))


def _sorted(rows: Ints, cosines: Vectors, k: int) -> tuple[Ints, Vectors]:
    """The k nearest of some, of equal ones the one that stands first."""
    order = np.lexsort((rows, -cosines), axis=1)[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(cosines, order, 1)


def _kept_index(vectors: Vectors, file: Path, progress: Callable[[int, int], None]) -> Any:
    """The index in a file, or a new one, which is then kept there."""
    if find_spec("faiss") is None:
        raise ShopmonError(
            f"an index of {len(vectors):,} products needs faiss, which is not installed",
            advice="Install it: pip install 'shopmon[embeddings]'. Or raise exact_up_to in [rank].",
        )
    import faiss

    if file.exists():
        try:
            index = faiss.read_index(str(file))
            if isinstance(index, faiss.IndexHNSWFlat) and (index.ntotal, index.d) == vectors.shape:
                return index
            log.warning("%s is of other vectors, and is made again", file)
        except RuntimeError as error:
            log.warning("%s is damaged and is made again: %s", file, str(error).splitlines()[0])
    index = built(vectors, progress)
    file.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(file) as aside:
        faiss.write_index(index, str(aside))
    return index


def built(vectors: Vectors, progress: Callable[[int, int], None] = lambda done, of: None) -> Any:
    """A graph over the vectors: `faiss.IndexHNSWFlat`. Built by several threads it is another one each time."""
    import faiss

    index = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BREADTH
    for first in range(0, len(vectors), _ADDED):
        index.add(np.ascontiguousarray(vectors[first : first + _ADDED]))
        progress(index.ntotal, len(vectors))
    return index


def index_name(sha256: str) -> str:
    """What the file of an index over vectors of this checksum is called."""
    return f"{hashlib.sha256(f'{VERSION} {_LINKS} {_BREADTH} {sha256}'.encode()).hexdigest()}.faiss"
