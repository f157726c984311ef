"""Where do labelled pairs of query and product come from?

From files of the kind `relevance`, or from the Shopping Queries Dataset as it is published: examples in one file,
products in another, joined by DuckDB. Memory does not grow with their rows: what comes out is a parquet file.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.batch import Batch, open_batch
from expectations.columns import FILE, NUMBER, ROW
from expectations.errors import ShopmonError
from expectations.readers import Part, read
from expectations.sources import find_sources, fingerprint
from expectations.sql import literal, quoted
from monitor.retraining_set import text_hash
from monitor.run_folder import write_aside
from retrain.classification_measures import ESCI
from retrain.labelled import SCHEMA, Labelled, check_classes, class_of
from retrain.splits import normalised

VERSION = 2
"""Of what is kept of a pair; raised whenever it would come out differently."""
ATTRIBUTES = ("title", "description", "bullet_point", "brand", "color")
"""What the Shopping Queries Dataset tells of a product, in the order in which LiYuan's recipe joins it."""
_WRITTEN = {"exact": "E", "substitute": "S", "complement": "C", "irrelevant": "I"}
"""How the classes of the Shopping Queries Dataset are written out."""
_AT_ONCE = 10_000
_SHOWN = 5


class Version(StrEnum):
    """Which part of the Shopping Queries Dataset is read."""

    ALL = "all"
    SMALL = "small"
    """`small_version` = 1: the queries of task 1, without the easy ones."""
    LARGE = "large"
    """`large_version` = 1."""


class Missing(StrEnum):
    """What becomes of a pair whose product is not among the products."""

    REFUSE = "refuse"
    DROP = "drop"


@dataclass(frozen=True)
class PairSettings:
    """Which pairs are read, and what their labels mean."""

    data: tuple[str, ...] = ()
    """Files, folders or addresses of pairs, as `shopmon check` reads them."""
    products: str | None = None
    """File of products that the pairs name by product_id (and product_locale); None: the pairs hold the text."""
    product_text: tuple[str, ...] = ("title",)
    """Attributes that make up a product's text, in this order; each on a line of its own, missing ones left out."""
    classes: tuple[str, ...] = ESCI
    """From best to worst."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """How a label is written → its class, beside the classes' own names."""
    grades: Mapping[str, float] = field(default_factory=dict)
    """Class → the least grade that belongs to it, where labels are numbers; empty: labels are words."""
    version: Version = Version.ALL
    locales: tuple[str, ...] = ()
    """Only these; none: all."""
    missing_products: Missing = Missing.REFUSE
    columns: Mapping[str, str] = field(default_factory=dict)
    """The files' own name of a column → its role of the kind `relevance`, where names do not tell."""

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes are two or more different names, got {list(self.classes)}")
        for what, said in (("labels", self.labels.values()), ("grades", self.grades)):
            if strangers := [name for name in said if name not in self.classes]:
                raise ValueError(f"{what} names {strangers[0]!r}, which is no class; there are {list(self.classes)}")
        if not self.product_text:
            raise ValueError("product_text names no attribute, so products would have no text")

    def class_of(self, said: str) -> int | None:
        """The number of the class that a label as written belongs to; None for none.

        >>> PairSettings().class_of("exact"), PairSettings(grades={"E": 3.0, "I": 0.0}).class_of("2.33")
        (0, 3)
        """
        written = {name: label for name, label in _WRITTEN.items() if label in self.classes}
        return class_of(said, self.classes, {**written, **self.labels}, self.grades)


def read_pairs(settings: PairSettings, cache: Path) -> Labelled:
    """Read labelled pairs into a parquet file in `cache`, once: a second call finds it by the hash of what went in.

    Raises ShopmonError, by name, for: no data; columns that are missing; labels that no class was given for; a column
    of numbers and words; products that are missing or named twice; one class only; fewer rows than classes.
    """
    check_named(settings)
    folder = cache / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        open_batch(
            list(settings.data), scratch=Path(scratch), kind="relevance", columns=dict(settings.columns)
        ) as batch,
    ):
        found = _Reading(batch, settings, _products(settings, Path(scratch))).into(folder)
    return check_classes(found, "retrain.relevance")


def check_named(settings: PairSettings) -> None:
    """Raise ShopmonError if no file of pairs is named."""
    if not settings.data:
        raise ShopmonError(
            "no labelled pairs are named", advice='Name their files: data = ["pairs.parquet"] in [retrain.relevance].'
        )


@dataclass(frozen=True)
class _Products:
    part: Part
    sha256: str
    product: str
    """Its own name of the id's column."""
    locale: str | None


def _products(settings: PairSettings, scratch: Path) -> _Products | None:
    if settings.products is None:
        return None
    (found,) = find_sources([settings.products], scratch)
    part = read(found, scratch)
    names = {name.lower(): name for name, _ in part.columns}
    product = next((names[name] for name in ("product_id", "product", "id", "asin") if name in names), None)
    if product is None:
        raise ShopmonError(
            f"{found.name} has no column 'product_id'; it has {_listed(list(names.values()))}",
            advice="Give the file of products, with product_id and, where pairs have one, product_locale.",
        )
    locale = next((names[name] for name in ("product_locale", "locale") if name in names), None)
    return _Products(part, fingerprint(found), product, locale)


@dataclass(frozen=True)
class _Reading:
    """Pairs on their way from a batch to a file."""

    batch: Batch
    settings: PairSettings
    products: _Products | None

    def into(self, folder: Path) -> Labelled:
        sources = self.batch.sources
        inputs = [source.sha256 or f"{source.name} {source.rows}" for source in sources]
        inputs += [self.products.sha256] if self.products else []
        said = json.dumps([VERSION, inputs, _plain(self.settings)], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        self._lay_view()
        incomplete, locales = self._check()
        file = folder / f"{digest}.parquet"
        if not file.exists():
            with write_aside(file) as aside:
                self._write(aside, [(source.name, source.sha256) for source in sources])
        counts = self._counts(file)
        names = [source.name for source in sources] + ([self.products.part.found.name] if self.products else [])
        notes = tuple(
            f"no pair is labelled {label}"
            for label, count in zip(self.settings.classes, counts, strict=True)
            if not count
        )
        return Labelled(
            file, sum(counts), self.settings.classes, counts, tuple(names), digest, incomplete, locales, notes
        )

    def _counts(self, file: Path) -> tuple[int, ...]:
        labels = pq.read_table(file, columns=["label"]).column("label").value_counts().to_pylist()
        counts = {one["values"]: one["counts"] for one in labels}
        return tuple(int(counts.get(number, 0)) for number in range(len(self.settings.classes)))

    # --- the relation

    def _lay_view(self) -> None:
        """`pairs`: one row for each, with its label as written, and what tells whether its product was found."""
        own = {
            "query": self._text_of("query", needed=True),
            "said": self._label(),
            "split": self._text_of("split"),
            "locale": self._text_of("locale"),
            "id": self._text_of("id"),
        }
        selected = [f"{sql} as {quoted(name)}" for name, sql in own.items()]
        where = [f"({one})" for one in self._conditions(own["locale"])] or ["true"]
        joined, text, found = self._joined()
        self.batch.rows_of(
            f"create view pairs as select b.{FILE} as file, b.{ROW} as row, {', '.join(selected)}, {text} as text, "
            f"{found} as found, {self._text_of('product')} as product from batch b {joined} where {' and '.join(where)}"
        )

    def _text_of(self, name: str, *, needed: bool = False) -> str:
        """SQL of a column as text without blanks around it; null for none, and for a blank value."""
        column = self.batch.column(name)
        if column is None and needed:
            raise self._no_column(name)
        return "null::varchar" if column is None else _trimmed(f"b.{column.sql}")

    def _no_column(self, name: str) -> ShopmonError:
        return ShopmonError(
            f"{self.batch.parts[0].found.name} has no column for the {name}; it has "
            f"{_listed([column.name for column in self.batch.own_columns])}",
            advice="Map it in shopmon.toml under [data.relevance.columns].",
        )

    def _label(self) -> str:
        names = ("grade", "label") if self.settings.grades else ("label", "grade")
        for name in (f"{name}{form}" for name in names for form in ("_as_written", "")):
            if self.batch.column(name) is not None:
                return self._text_of(name)
        raise self._no_column("label")

    def _conditions(self, locale: str) -> Iterator[str]:
        if self.settings.version is not Version.ALL:
            name = f"{self.settings.version.value}_version"
            column = self.batch.column(name)
            if column is None:
                raise ShopmonError(
                    f"the {self.settings.version.value} version is asked for, and there is no column {name!r}",
                    advice='Give the examples as they are published, or version = "all" in [retrain.relevance].',
                )
            yield f"try_cast(b.{column.sql} as double) = 1"
        if self.settings.locales:
            asked = ", ".join(literal(one.lower()) for one in self.settings.locales)
            yield f"lower({locale}) in ({asked})"

    def _joined(self) -> tuple[str, str, str]:
        """SQL: the join, the product's text, and whether there is such a product."""
        if self.products is None:
            return "", self._joined_text(self._own_attribute), "true"
        relation = f"read_parquet([{literal(str(self.products.part.path))}], hive_partitioning = false)"
        product, locale = self.batch.column("product"), self.batch.column("locale")
        if product is None:
            raise self._no_column("product")
        keys = [(f"b.{product.sql}::varchar", quoted(self.products.product))]
        if locale is not None and self.products.locale is not None:
            keys.append((f"b.{locale.sql}::varchar", quoted(self.products.locale)))
        self._check_unique(relation, [theirs for _, theirs in keys])
        on = " and ".join(f"{ours} = p.{theirs}::varchar" for ours, theirs in keys)
        found = f"p.{quoted(self.products.product)} is not null"
        return f"left join {relation} p on {on}", self._joined_text(self._their_attribute), found

    def _check_unique(self, relation: str, keys: Sequence[str]) -> None:
        listed = ", ".join(f"{key}::varchar" for key in keys)
        twice = self.batch.rows_of(
            f"select {listed}, count(*) from {relation} group by {', '.join(str(n + 1) for n in range(len(keys)))} "
            "having count(*) > 1 order by all limit 1"
        )
        if twice and self.products:
            *key, count = twice[0]
            raise ShopmonError(
                f"{self.products.part.found.name} has {count} rows for product {' / '.join(map(str, key))}",
                advice="Keep one row for each product and locale.",
            )

    def _joined_text(self, attribute: Callable[[str], str]) -> str:
        parts = ", ".join(attribute(name) for name in self.settings.product_text)
        return f"nullif(concat_ws(chr(10), {parts}), '')"

    def _own_attribute(self, name: str) -> str:
        tried = ("product_text", "product_title") if name == "title" else (name, f"product_{name}")
        found = next((column for one in tried if (column := self.batch.column(one)) is not None), None)
        if found is None:
            raise self._no_column(f"product's {name}")
        return _trimmed(f"b.{found.sql}")

    def _their_attribute(self, name: str) -> str:
        if self.products is None:
            raise AssertionError(name)
        there = {own.lower(): own for own, _ in self.products.part.columns}
        own = next((there[one] for one in (f"product_{name}", name) if one in there), None)
        if own is None:
            raise ShopmonError(
                f"{self.products.part.found.name} has no column 'product_{name}'; it has "
                f"{_listed(list(there.values()))}",
                advice="Name the attributes that it has: product_text in [retrain.relevance].",
            )
        return _trimmed(f"p.{quoted(own)}")

    # --- what may be wrong with it

    def _check(self) -> tuple[int, tuple[str, ...]]:
        """How many rows are incomplete, and the locales there are. Raises ShopmonError as `read_pairs` says."""
        rows, missing, incomplete = self.batch.row_of(
            "select count(*), count(*) filter (not found), "
            "count(*) filter (found and (query is null or text is null or said is null)) from pairs"
        )
        if not rows:
            raise ShopmonError(
                "no pair is left of the version and the locales that are asked for",
                advice="Look at version and locales in [retrain.relevance].",
            )
        if missing and self.settings.missing_products is Missing.REFUSE:
            query, product, locale = self.batch.rows_of(
                "select query, product, locale from pairs where not found order by file, row limit 1"
            )[0]
            raise ShopmonError(
                f"{missing:,} of {rows:,} pairs name a product that is not among the products: query {query!r}, "
                f"product {product!r}{f' ({locale})' if locale else ''}",
                advice='Deliver the missing products, or leave such pairs out: missing_products = "drop" in '
                "[retrain.relevance].",
            )
        self._check_labels()
        locales = self.batch.rows_of("select distinct locale from pairs where locale is not null order by 1")
        return int(incomplete + missing), tuple(str(one) for (one,) in locales)

    def _check_labels(self) -> None:
        written = self.batch.rows_of(
            f"select said, count(*), regexp_full_match(said, '{NUMBER}') from pairs where said is not null "
            "group by said order by 2 desc, 1"
        )
        numbers, words = [one for one in written if one[2]], [one for one in written if not one[2]]
        if numbers and words:
            raise ShopmonError(
                f"the labels mix numbers and words: {numbers[0][0]!r} in {numbers[0][1]:,} rows, {words[0][0]!r} in "
                f"{words[0][1]:,}",
                advice="Write all of them as one or the other.",
            )
        if numbers and not words and not self.settings.grades and self.settings.class_of(str(numbers[0][0])) is None:
            raise ShopmonError(
                f"the labels are numbers ({_listed([one[0] for one in numbers])}), and nothing says what each means",
                advice="Give each class its least grade: [retrain.relevance.grades], such as E = 3.0.",
            )
        unknown = [(said, count) for said, count, _ in written if self.settings.class_of(str(said)) is None]
        if unknown:
            what = "lies below every grade" if self.settings.grades else "is no class"
            more = f" (and {len(unknown) - 1} others)" if len(unknown) > 1 else ""
            raise ShopmonError(
                f"the label {unknown[0][0]!r} of {unknown[0][1]:,} rows{more} {what}; the classes are "
                f"{', '.join(self.settings.classes)}",
                advice="Say what it means under [retrain.relevance.labels] or [retrain.relevance.grades].",
            )

    # --- what is kept

    def _write(self, file: Path, sources: Sequence[tuple[str, str]]) -> None:
        reader = self.batch.connection.sql(
            "select query, text, said, split, locale, id, file, row from pairs where found and query is not null and "
            "text is not null and said is not null order by file, row"
        ).to_arrow_reader(_AT_ONCE)
        with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            while (batch := _next(reader)) is not None:
                writer.write_batch(self._kept(batch, sources))

    def _kept(self, batch: pa.RecordBatch, sources: Sequence[tuple[str, str]]) -> pa.RecordBatch:
        told = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        at = told["file"]
        columns = {
            "text": told["query"],
            "pair": told["text"],
            **{name: told[name] for name in ("split", "locale", "id", "row")},
            "label": [self.settings.class_of(said) for said in told["said"]],
            "group": [
                f"{normalised(query)}\t{locale or ''}"
                for query, locale in zip(told["query"], told["locale"], strict=True)
            ],
            "key": [text_hash(f"{query}\n{text}") for query, text in zip(told["query"], told["text"], strict=True)],
            "alike": [
                text_hash(f"{normalised(query)}\n{normalised(text)}")
                for query, text in zip(told["query"], told["text"], strict=True)
            ],
            "file": [sources[one][0] for one in at],
            "batch": [sources[one][1] for one in at],
        }
        return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def _next(reader: Any) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _plain(settings: PairSettings) -> dict[str, Any]:
    """What decides what comes out; the files count by their bytes, not by their names."""
    return {name: value for name, value in asdict(settings).items() if name not in ("data", "products")}


def _trimmed(sql: str) -> str:
    return f"nullif(trim({sql}::varchar), '')"


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN * 3 else ""
    return ", ".join(repr(name) for name in names[: _SHOWN * 3]) + more
