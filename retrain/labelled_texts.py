"""Where do labelled texts come from, one a row?

From any file of a kind: products with their category, reviews with stars or a verdict. What a person would look at
beside the text, price or brand, comes along as columns. Memory does not grow with the rows: what comes out is a parquet
file.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.batch import Batch, open_batch
from expectations.columns import FILE, NUMBER, ROW, Column
from expectations.errors import ShopmonError
from expectations.kinds import Holds
from expectations.sql import literal
from monitor.retraining_set import text_hash
from monitor.run_folder import write_aside
from retrain.labelled import SCHEMA, Labelled, check_classes
from retrain.splits import normalised_parts

VERSION = 1
"""Of what is kept of a text; raised whenever it would come out differently."""
NUMBERS, CATEGORIES = "number:", "category:"
"""How the names of further columns begin: of numbers (null where there is none), and of words."""
OTHER = "other"
"""The class that rare ones become."""
_GROUPS = {"products": "cluster"}
"""Kind → the role whose rows are one thing, and stay together where nothing else is named."""
_MOST = 10_000
"""Classes; the largest taxonomies of shops have about 6,000."""
_AT_ONCE = 10_000
_SHOWN = 15
_PRICE = r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?|[0-9]+(\.[0-9]+)?"
"""What is left of a written price without its currency: 1,299.00 or 1299."""
_CURRENCY = r"^\s*(\p{Sc}|[A-Z]{3}|Rs\.?)\s*|\s*(\p{Sc}|[A-Z]{3})\s*$"


class Rare(StrEnum):
    """What becomes of classes with too few rows."""

    REFUSE = "refuse"
    OTHER = "other"
    """They become one class, `other`."""


@dataclass(frozen=True)
class TextSettings:
    """Which texts are read, and what their labels mean. Columns are named by their role, or by the file's own name."""

    data: tuple[str, ...] = ()
    """Files, folders or addresses, as `shopmon check` reads them."""
    kind: str = "products"
    text: tuple[str, ...] = ("title",)
    """Columns whose texts make up a row's, in this order; each on a line of its own, missing ones left out."""
    label: str = "category"
    """The column that holds the label."""
    separator: str | None = None
    """Of a label's parts, of which the first counts: "|" of "Toys & Games | Puzzles"; None: labels are whole."""
    classes: tuple[str, ...] = ()
    """In the order in which they are told of; empty: the grades', else all there are, sorted."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """How a label is written → its class, beside the classes' own names."""
    grades: Mapping[str, float] = field(default_factory=dict)
    """Class → the least grade that belongs to it, where labels are numbers; empty: labels are names."""
    left_out: tuple[str, ...] = ()
    """Labels, as they are written, whose rows are left out: "3" where three stars are neither good nor bad."""
    least_rows: int = 10
    """Rows that a class has at least, where classes are found: fewer cannot be dealt to three sides."""
    rare: Rare = Rare.REFUSE
    group: str | None = None
    """The column whose rows stay on one side of a split; None: of products the cluster, else what has the same text."""
    numbers: tuple[str, ...] = ()
    """Columns of numbers, flags or prices that come along."""
    categories: tuple[str, ...] = ()
    """Columns of words or ids that come along."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The files' own name of a column → its role of the kind, where names do not tell."""

    def __post_init__(self) -> None:
        if self.classes and (len(self.classes) < 2 or len(set(self.classes)) < len(self.classes)):
            raise ValueError(f"classes are two or more different names, got {list(self.classes)}")
        for what, said in (("labels", self.labels.values()), ("grades", self.grades)):
            if self.classes and (strangers := [name for name in said if name not in self.classes]):
                raise ValueError(f"{what} names {strangers[0]!r}, which is no class; there are {list(self.classes)}")
        if not self.text:
            raise ValueError("text names no column, so there would be nothing to read")
        if self.separator == "":
            raise ValueError("separator is empty, and would part every letter from the next")
        read = [*self.text, *self.numbers, *self.categories]
        if twice := [name for name in read if read.count(name) > 1 or name == self.label]:
            raise ValueError(f"{twice[0]!r} is named twice among text, label, numbers and categories")


def read_texts(settings: TextSettings, cache: Path, section: str = "retrain.category") -> Labelled:
    """Read labelled texts into a parquet file in `cache`, once: a second call finds it by the hash of what went in.

    Beside the columns of `labelled.SCHEMA`, of which `pair` is null, there is one for each of `numbers` (such as
    "number:price", a float) and `categories` ("category:brand", a text). `section` of shopmon.toml is named in advice.

    Raises ShopmonError, by name, for: no data; columns that are missing, or that nothing can be read of; labels that no
    class was given for; a column of numbers and words; classes with too few rows; one class only; fewer rows than
    classes.
    """
    check_texts_named(settings, section)
    folder = cache / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        open_batch(
            list(settings.data), scratch=Path(scratch), kind=settings.kind, columns=dict(settings.columns)
        ) as batch,
    ):
        found = _Reading(batch, settings, section).into(folder)
    return check_classes(found, section)


def check_texts_named(settings: TextSettings, section: str) -> None:
    """Raise ShopmonError if no file of texts is named."""
    if not settings.data:
        raise ShopmonError(
            "no labelled texts are named",
            advice=f'Name their files: data = ["{settings.kind}.parquet"] in [{section}].',
        )


@dataclass(frozen=True)
class _Classes:
    """What the labels mean."""

    names: tuple[str, ...]
    by_label: Mapping[str, int]
    """Label as written, in lower case → number of the class."""
    grades: tuple[tuple[float, int], ...] = ()
    """Least grade, and number of the class, from the highest down; empty where labels are names."""
    notes: tuple[str, ...] = ()

    def of(self, said: str) -> int | None:
        """The number of the class that a label belongs to; None for none."""
        if not self.grades:
            return self.by_label.get(said.lower())
        try:
            grade = float(said)
        except ValueError:
            return None
        return next((number for least, number in self.grades if grade >= least - 1e-9), None)


@dataclass(frozen=True)
class _Reading:
    """Texts on their way from a batch to a file."""

    batch: Batch
    settings: TextSettings
    section: str

    def into(self, folder: Path) -> Labelled:
        sources = self.batch.sources
        inputs = [source.sha256 or f"{source.name} {source.rows}" for source in sources]
        said = json.dumps([VERSION, inputs, list(self.settings.grades), _plain(self.settings)], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        self._lay_view()
        incomplete, left_out, locales = self._counted()
        classes = self._classes()
        file = folder / f"{digest}.parquet"
        if not file.exists():
            with write_aside(file) as aside:
                self._write(aside, classes, [(source.name, source.sha256) for source in sources])
        counts = _counts(file, len(classes.names))
        none = (f"no row is labelled {name}" for name, n in zip(classes.names, counts, strict=True) if not n)
        told = [f"{left_out:,} rows are left out, as asked: {_listed(self.settings.left_out)}"] if left_out else []
        notes = (*none, *told, *classes.notes, *self._unread())
        names = tuple(source.name for source in sources)
        return Labelled(file, sum(counts), classes.names, counts, names, digest, incomplete, locales, notes)

    # --- the relation

    def _lay_view(self) -> None:
        """`texts`: one row for each, with its label as written; null for what is missing or blank."""
        texts = [self._column(name, "text") for name in self.settings.text]
        label = self._column(self.settings.label, "label")
        self._check_apart(label)
        parts = ", ".join(_trimmed(f"b.{column.sql}") for column in texts)
        own = {
            "text": f"nullif(concat_ws(chr(10), {parts}), '')",
            "said": self._label(label),
            "grp": self._group(),
            **{name: self._if_there(name) for name in ("split", "locale", "id")},
            **{f"n{at}": self._number(name) for at, name in enumerate(self.settings.numbers)},
            **{f"w{at}": self._written(name) for at, name in enumerate(self.settings.numbers)},
            **{f"c{at}": self._category(name) for at, name in enumerate(self.settings.categories)},
        }
        selected = [f"{sql} as {name}" for name, sql in own.items()]
        self.batch.rows_of(
            f"create view texts as select b.{FILE} as file, b.{ROW} as row, {', '.join(selected)} from batch b"
        )
        said = ", ".join(literal(one.lower()) for one in self.settings.left_out)
        apart = f"lower(said) in ({said})" if said else "false"
        self.batch.rows_of(
            f"create view complete as select * from texts where text is not null and said is not null and not {apart}"
        )

    def _column(self, name: str, what: str) -> Column:
        """A column as it was written, by its role or its own name."""
        found = self.batch.column(f"{name}_as_written") or self.batch.column(name)
        if found is None:
            own = [column.name for column in self.batch.own_columns]
            raise ShopmonError(
                f"{self.batch.parts[0].found.name} has no column {name!r} for the {what}; it has {_listed(own)}",
                advice=f"Correct it in [{self.section}], or map it under [data.{self.settings.kind}.columns].",
            )
        if found.holds is None:
            raise ShopmonError(
                f"the column {name!r} holds {found.type}, which cannot be the {what}",
                advice="Write it as text or numbers: flatten what is nested into columns of their own.",
            )
        return found

    def _check_apart(self, label: Column) -> None:
        """A model that reads its own label has learnt nothing."""
        read = {"text": self.settings.text, "numbers": self.settings.numbers, "categories": self.settings.categories}
        for name, what in ((name, what) for what, names in read.items() for name in names):
            if self._column(name, what).sql == label.sql:
                raise ShopmonError(
                    f"{name!r} is the column of the label {self.settings.label!r}, by another name",
                    advice=f"Take it out of what the model reads: [{self.section}].",
                )

    def _if_there(self, name: str) -> str:
        column = self.batch.column(name)
        return "null::varchar" if column is None else _trimmed(f"b.{column.sql}")

    def _label(self, column: Column) -> str:
        said = _trimmed(f"b.{column.sql}")
        if self.settings.separator is not None:
            said = _trimmed(f"split_part({said}, {literal(self.settings.separator)}, 1)")
        whole = f"regexp_replace({said}, '^([+-]?[0-9]+)\\.0+$', '\\1')"  # numbers with gaps are stored as fractions
        flag = self.batch.column(self.settings.label)
        if flag is not None and flag.holds is Holds.FLAG:
            return f"coalesce(b.{flag.sql}::varchar, {whole})"
        return whole

    def _group(self) -> str:
        if self.settings.group is not None:
            return _trimmed(f"b.{self._column(self.settings.group, 'group').sql}")
        usual = _GROUPS.get(self.settings.kind)
        return self._if_there(usual) if usual else "null::varchar"

    def _written(self, name: str) -> str:
        own = self._column(name, "numbers")
        return f"{_trimmed(f'b.{own.sql}')} is not null"

    def _number(self, name: str) -> str:
        """SQL: a number, a flag as 0 or 1, a written price without its currency; null for anything else."""
        column = self._column(name, "numbers")
        own = f"b.{column.sql}"
        if column.holds is not Holds.TEXT:
            return f"nullif(nullif({own}::double, 'inf'::double), '-inf'::double)"
        bare = f"regexp_replace({own}, '{_CURRENCY}', '', 'g')"
        price = f"case when regexp_full_match({bare}, '{_PRICE}') then try_cast(replace({bare}, ',', '') as double) end"
        return f"case when regexp_full_match({own}, '{NUMBER}') then try_cast({own} as double) else {price} end"

    def _category(self, name: str) -> str:
        own = _trimmed(f"b.{self._column(name, 'categories').sql}")
        return f"regexp_replace({own}, '^([+-]?[0-9]+)\\.0+$', '\\1')"

    # --- what may be wrong with it

    def _counted(self) -> tuple[int, int, tuple[str, ...]]:
        """Rows without text or label, rows that are left out as asked, and the locales there are."""
        rows, whole, complete = self.batch.row_of(
            "select count(*), count(*) filter (text is not null and said is not null), "
            "(select count(*) from complete) from texts"
        )
        if not complete:
            raise ShopmonError(
                f"none of the {rows:,} rows has a text and a label",
                advice=f"Look at text and label in [{self.section}].",
            )
        locales = self.batch.rows_of("select distinct locale from complete where locale is not null order by 1")
        return rows - whole, whole - complete, tuple(str(one) for (one,) in locales)

    def _unread(self) -> Iterator[str]:
        """What is to be told of numbers that could not be read. Raises ShopmonError where none of a column could."""
        for at, name in enumerate(self.settings.numbers):
            written, read = self.batch.row_of(f"select count(*) filter (w{at}), count(n{at}) from complete")
            if written and not read:
                raise ShopmonError(
                    f"the column {name!r} is to hold numbers, and not one of its {written:,} values is a number",
                    advice=f"Name it among categories in [{self.section}], or leave it out.",
                )
            if read < written:
                yield f"{written - read:,} of {written:,} values of {name!r} are no numbers, and count as missing"

    def _classes(self) -> _Classes:
        """What the labels mean. Raises ShopmonError as `read_texts` says."""
        if self.settings.grades:
            return self._graded()
        (different,) = self.batch.row_of("select count(distinct said) from complete")
        if different > _MOST:
            raise ShopmonError(
                f"the label {self.settings.label!r} has {different:,} different values: those are no classes",
                advice=f"Name another column in [{self.section}], a separator, or grades.",
            )
        written = self.batch.rows_of("select said, count(*) from complete group by said order by 2 desc, 1")
        counts = {str(said): int(count) for said, count in written}
        known = {label.lower(): label for label in self.settings.classes}
        known |= {said.lower(): label for said, label in self.settings.labels.items()}
        self._check_written({said: n for said, n in counts.items() if said.lower() not in known})
        return self._given(counts, known) if self.settings.classes else self._found(counts, known)

    def _graded(self) -> _Classes:
        words, word, least = self.batch.row_of(
            f"select count(*) filter (not regexp_full_match(said, '{NUMBER}')), "
            f"min(said) filter (not regexp_full_match(said, '{NUMBER}')), min(try_cast(said as double)) from complete"
        )
        names = self.settings.classes or tuple(self.settings.grades)
        if words:
            raise ShopmonError(
                f"the labels are to be grades, and {words:,} rows have words: {word!r}",
                advice=f"Leave them out (left_out in [{self.section}]), or give labels instead of grades.",
            )
        lowest = min(self.settings.grades.values())
        if least < lowest - 1e-9:
            raise ShopmonError(
                f"the grade {least:g} lies below every class; the lowest begins at {lowest:g}",
                advice=f"Say what it means under [{self.section}.grades].",
            )
        ordered = sorted(((least, names.index(name)) for name, least in self.settings.grades.items()), reverse=True)
        return _Classes(names, {}, tuple(ordered))

    def _check_written(self, unknown: Mapping[str, int]) -> None:
        """Labels that nothing was said of must be of one type, and no fractions."""
        if not unknown:
            return
        numbers = {said: count for said, count in unknown.items() if _is_number(said)}
        if numbers and len(numbers) < len(unknown):
            word, number = next(one for one in unknown if one not in numbers), next(iter(numbers))
            raise ShopmonError(
                f"the labels mix numbers and words: {number!r} in {numbers[number]:,} rows, {word!r} in "
                f"{unknown[word]:,}",
                advice=f"Write all of them as one or the other, or say what they mean under [{self.section}.labels].",
            )
        if any(not said.strip("+-").isdigit() for said in numbers):
            raise ShopmonError(
                f"the labels are numbers ({_listed(list(numbers))}), and nothing says what each means",
                advice=f"Give each class its least grade: [{self.section}.grades].",
            )

    def _given(self, counts: Mapping[str, int], known: Mapping[str, str]) -> _Classes:
        classes = self.settings.classes
        unknown = [said for said in counts if said.lower() not in known]
        if unknown:
            more = f" (and {len(unknown) - 1} others)" if len(unknown) > 1 else ""
            raise ShopmonError(
                f"the label {unknown[0]!r} of {counts[unknown[0]]:,} rows{more} is no class; the classes are "
                f"{', '.join(classes)}",
                advice=f"Say what it means under [{self.section}.labels], or leave it out: left_out.",
            )
        return _Classes(classes, {said: classes.index(label) for said, label in known.items()})

    def _found(self, counts: Mapping[str, int], known: Mapping[str, str]) -> _Classes:
        """The classes there are; labels that differ in case alone are one, as it is written most often."""
        written: dict[str, str] = {}
        rows: dict[str, int] = {}
        for said, count in counts.items():
            label = known.get(said.lower()) or said
            name = written.setdefault(label.lower(), label)
            rows[name] = rows.get(name, 0) + count
        of = {said.lower(): written[(known.get(said.lower()) or said).lower()] for said in counts}
        rare = {name: count for name, count in rows.items() if count < self.settings.least_rows}
        if rare and self.settings.rare is Rare.REFUSE:
            name = min(rare, key=lambda one: (rare[one], one))
            raise ShopmonError(
                f"{len(rare)} of {len(rows)} classes have fewer than {self.settings.least_rows} rows: {name!r} has "
                f"{rare[name]:,}",
                advice=f'Make them one class (rare = "other" in [{self.section}]), or say what they mean: labels.',
            )
        of = {said: OTHER if name in rare else name for said, name in of.items()}
        names = tuple(sorted(set(of.values())))
        told = f"{len(rare)} classes with fewer than {self.settings.least_rows} rows are one, {OTHER!r}: "
        notes = (told + _listed(list(rare)),) if rare else ()
        return _Classes(names, {said: names.index(name) for said, name in of.items()}, notes=notes)

    # --- what is kept

    def _write(self, file: Path, classes: _Classes, sources: Sequence[tuple[str, str]]) -> None:
        told = self.batch.connection.sql("select * from complete order by file, row").to_arrow_reader(_AT_ONCE)
        schema = _schema(self.settings)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in told:
                writer.write_batch(self._kept(batch, schema, classes, sources))

    def _kept(
        self, batch: pa.RecordBatch, schema: pa.Schema, classes: _Classes, sources: Sequence[tuple[str, str]]
    ) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        at = batch.column("file").to_pylist()
        alike = [text_hash(normalised_parts(text)) for text in texts]
        groups = zip(batch.column("grp").to_pylist(), alike, strict=True)
        columns = {
            **{name: batch.column(name) for name in ("text", "split", "locale", "id", "row")},
            "pair": pa.nulls(len(texts), pa.string()),
            "label": [classes.of(said) for said in batch.column("said").to_pylist()],
            "group": [same if group is None else f"group\t{group}" for group, same in groups],
            "key": [text_hash(text) for text in texts],
            "alike": alike,
            "file": [sources[one][0] for one in at],
            "batch": [sources[one][1] for one in at],
            **{f"{NUMBERS}{name}": batch.column(f"n{n}") for n, name in enumerate(self.settings.numbers)},
            **{f"{CATEGORIES}{name}": batch.column(f"c{n}") for n, name in enumerate(self.settings.categories)},
        }
        return pa.RecordBatch.from_pydict(columns, schema=schema)


def _schema(settings: TextSettings) -> pa.Schema:
    numbers = [pa.field(f"{NUMBERS}{name}", pa.float64()) for name in settings.numbers]
    return pa.schema(
        [*SCHEMA, *numbers, *(pa.field(f"{CATEGORIES}{name}", pa.string()) for name in settings.categories)]
    )


def _counts(file: Path, classes: int) -> tuple[int, ...]:
    labels = pq.read_table(file, columns=["label"]).column("label").value_counts().to_pylist()
    counts = {one["values"]: one["counts"] for one in labels}
    return tuple(int(counts.get(number, 0)) for number in range(classes))


def _plain(settings: TextSettings) -> dict[str, Any]:
    """What decides what comes out; the files count by their bytes, not by their names."""
    return {name: value for name, value in asdict(settings).items() if name != "data"}


def _is_number(said: str) -> bool:
    return re.fullmatch(NUMBER, said) is not None


def _trimmed(sql: str) -> str:
    return f"nullif(trim({sql}::varchar, chr(32) || chr(9) || chr(10) || chr(13)), '')"


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
