"""Which products of this project belong to a query, as its champion sees it?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from expectations.errors import ShopmonError
from shopmon.answers import Answer, check_answer_file, finished
from shopmon.product_files import Found, products_in, queries_in
from shopmon.project import Project
from shopmon.reading import Reading
from shopmon.relevance_champion import relevance_model
from shopmon.shelves import Progress, counted, doing, shelf_of, text_encoder
from shopmon.telemetry import switch_off

if TYPE_CHECKING:
    from retrain.ranking import Queries, RankSettings
    from retrain.text_vectors import TextEncoder, Vectors


@dataclass(frozen=True, kw_only=True)
class Ranked(Answer):
    """The best products of each query.

    The table's columns: query_id, query, rank (from 1), product_id, title, expected_gain, `probability_CLASS` of each
    class, cosine (of the bi-encoder), file, row, and same_text, the ids of further products that have the same text.
    """

    rows_name: ClassVar[str] = "ranking"

    classes: tuple[str, ...]
    gains: Mapping[str, float]
    """Class → what showing a product of it is worth."""
    top: int
    """Products of a query that are told at most."""
    queries: int
    """Different queries that were answered."""
    more_queries: int
    """Queries that were not, because only the first ones were asked for."""


def rank(
    products: Any,
    query: str | Sequence[str] | None = None,
    *,
    queries: Any = None,
    top: int | None = None,
    candidates: int | None = None,
    encoder: str | Path | None = None,
    model: str | None = None,
    text: str | Sequence[str] | None = None,
    out: str | Path | None = None,
    at_most: int | None = None,
    columns: Mapping[str, str] | None = None,
    query_columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
    progress: Progress = lambda _: None,
) -> Ranked:
    """Say which products of a catalogue belong to a query, the best first, in two stages.

    `products` is whatever `check` takes, of the kind `products`. What is looked for is a `query` or several, or else
    `queries`, a file or table of that kind. A sentence encoder finds `candidates` for each query, and the champion of
    the task relevance (or `model`) puts them in order by expected gain. Of a product it reads what it was trained on,
    or the attributes that `text` names. With `out` the rows go to a file, which is replaced, and memory does not grow
    with them; without, they are the result's table. `at_most` answers only the first queries.

    Whatever is left out is as the project says. Raises ShopmonError where there is no model, and for files, columns and
    encoders that cannot be used.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rank("products.parquet", "red shoes", project=Project(Path(folder)))
    Traceback (most recent call last):
    expectations.errors.ShopmonError: there is no champion of the task relevance, ...
    """
    switch_off()
    began, project = time.perf_counter(), Project.of(project)
    asked = _Asked(query, queries, Reading("queries", query_columns, encoding, delimiter))
    how = _settings(project, top, candidates)
    file = None if out is None else check_answer_file(Path(out))
    used = relevance_model(project, model, progress=lambda what: progress(doing(what)))
    encode = text_encoder(project, encoder)
    attributes = (text,) if isinstance(text, str) else tuple(text or used.product_text)
    with TemporaryDirectory(prefix="shopmon-") as folder:
        wanted, of_queries = asked.read(project, Path(folder), progress)
        reading = Reading("products", columns, encoding, delimiter)
        catalogue, of_products = products_in(products, reading, project, attributes, Path(folder), progress)
    some = wanted if at_most is None else wanted.first(at_most)
    shelf = shelf_of(
        catalogue,
        encode,
        project,
        searches=len(some),
        sample=lambda _, count: _sample(some, encode, count),
        k=how.candidates,
        progress=progress,
    )
    from retrain.ranking import ranked, ranking_schema

    classes = used.judge.scorer.classes
    answer = Ranked(
        model=used.model_id,
        computed=used.judge.scorer.how,
        encoder=encode.name,
        classes=classes,
        gains=dict(used.judge.gains),
        product_text=attributes,
        candidates=how.candidates,
        top=how.top,
        search=shelf.finder.how,
        files=(*of_queries.files, *of_products.files),
        products=len(catalogue),
        queries=len(some),
        more_queries=len(wanted) - len(some),
        notes=(*of_queries.notes, *of_products.notes),
    )
    parts = ranked(some, shelf, used.judge, how, progress=counted(progress))
    return finished(answer, parts, ranking_schema(classes), file, began)


@dataclass(frozen=True)
class _Asked:
    """What is looked for: one or several queries, or those of a file."""

    query: str | Sequence[str] | None
    queries: Any
    reading: Reading

    def __post_init__(self) -> None:
        if (self.query is None) == (self.queries is None):
            both = "both a query and a file of queries were" if self.query is not None else "nothing to look for was"
            raise ShopmonError(
                f"{both} given", advice="Give one of them: --query TEXT, or shopmon rank QUERIES PRODUCTS."
            )

    def read(self, project: Project, scratch: Path, progress: Progress) -> tuple[Queries, Found]:
        """The queries, each once, and what is to be told of them."""
        if self.queries is not None:
            return queries_in(self.queries, self.reading, project, scratch, progress)
        from retrain.ranking import queries_of

        texts = [self.query] if isinstance(self.query, str) else list(self.query or ())
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ShopmonError(
                    f"the query {text!r} is no text: it holds bytes that are not UTF-8", advice="Type it in UTF-8."
                ) from error
        found = queries_of(texts)
        return found, Found((), found.notes)


def _settings(project: Project, top: int | None, candidates: int | None) -> RankSettings:
    """How far is looked and how much is told; at least as many are looked at as are told."""
    from retrain.ranking import RankSettings

    said = project.settings.rank
    shown = said.top if top is None else top
    try:
        return RankSettings(max(said.candidates, shown) if candidates is None else candidates, shown)
    except ValueError as error:
        raise ShopmonError(str(error), advice="Correct it, or leave it out.") from error


def _sample(queries: Queries, encode: TextEncoder, count: int) -> Vectors:
    """So many of the queries, evenly spread, as vectors."""
    step = len(queries) / count
    return encode.vectors([queries.texts[int(n * step)] for n in range(count)])
