"""Which faults does a shop's data have, and where did we plant them?

Clean sample data in, data with known faults out: each fault on rows of its own, so that what a check finds can be held
against what was planted, row by row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shopmon.foreign_reviews import FOREIGN, RULES
from shopmon.grammar import Grammar, row_keys
from shopmon.sample_data import reviews

CUT_AT = 500
"""Characters at which cut-off texts end (a VARCHAR(500) somewhere on the way)."""

CUT_SHARE = 0.003
"""A cut shows only where texts of one length pile up: at least this share of rows is cut, …"""

CUT_ROWS = 30
"""… and at least so many."""

MANY_WORDS = 540
"""Words of a text that no model with 512 word pieces takes whole."""

REPEATED_AT_LEAST = 40
"""Characters that a repeated text is longer than; short praise repeats by itself."""

ROWS_AT_LEAST = 2
"""Rows for each fault, however small the table."""


class Fault(StrEnum):
    """Everything that can be planted; the value is the fault's name, `description` says what it is."""

    def __new__(cls, name: str, description: str) -> Fault:
        fault = str.__new__(cls, name)
        fault._value_ = name
        fault.description = description
        return fault

    description: str

    TEXT_MISSING = "text-missing", "the text is null"
    TEXT_BLANK = "text-blank", "the text is empty or spaces only"
    EXACT_DUPLICATE = "exact-duplicate", "a later copy of an earlier row under an id of its own"
    NEAR_DUPLICATE = "near-duplicate", "an earlier text again with other capitals or punctuation"
    MOJIBAKE = "mojibake", "UTF-8 that was read as Windows-1252 (â€™, Â°)"
    HTML = "html", "tags left in the text (<br />, <b>)"
    LITERAL_ESCAPES = "literal-escapes", r"escapes that were never decoded (\n, &amp;, \u2019)"
    UNTIDY_SPACES = "untidy-spaces", "a space before or after the text, or two inside it"
    CUT_OFF = "cut-off", f"the text ends in mid-word after exactly {CUT_AT} characters"
    STARS_IMPOSSIBLE = "stars-impossible", "0, 6 or -1 stars"
    PRICE_ZERO = "price-zero", "the price is 0"
    PRICE_NEGATIVE = "price-negative", "the price is below 0"
    DATE_IN_FUTURE = "date-in-future", "the date is a hundred years too late"
    CONTRADICTION = "contradiction", "5 stars but not recommended, or 1 star and recommended"
    WRONG_LANGUAGE = "wrong-language", "German, French, Spanish or Italian under an English locale"
    TOO_LONG = "too-long", "far more than 512 word pieces"
    CATEGORY_MISSPELT = "category-misspelt", "'Shoess' beside 'Shoes'"
    LOCALE_UNKNOWN = "locale-unknown", "a locale that does not exist"
    SALE_ABOVE_LIST = "sale-above-list", "the price is above the list price"
    ID_REUSED = "id-reused", "the id of an earlier product with another title"
    DESCRIPTION_MISSING = "description-missing", "the description is null"
    QUERY_MISSPELT = "query-misspelt", "two letters of a frequent word are swapped"
    QUERY_BLANK = "query-blank", "the query is empty or spaces only"
    QUERY_CAPITALS = "query-capitals", "the query is typed in capitals"
    LABEL_DISAGREES = "label-disagrees", "an earlier pair of query and product again, with another label"
    LABEL_UNKNOWN = "label-unknown", "a label other than E, S, C, I"
    DATE_FORMAT = "date-format", "a date written 31/12/2024 among dates written 2024-12-31"
    NUMBER_UNREADABLE = "number-unreadable", "the stars are a word ('five')"
    FIELDS_TOO_MANY = "fields-too-many", "a line with one field too many"
    FIELDS_TOO_FEW = "fields-too-few", "a line that ends before its last fields"
    BYTES_UNDECODABLE = "bytes-undecodable", "bytes that are no UTF-8"


@dataclass(frozen=True)
class Planted:
    """A table with faults, and where they are."""

    table: pa.Table
    faults: Mapping[Fault, tuple[int, ...]]
    """Row numbers by fault, ascending; the first row is 1. No row has two planted faults."""
    originals: Mapping[Fault, tuple[int, ...]] = field(default_factory=dict)
    """For faults that repeat an earlier row (duplicates, reused ids, disagreeing labels): that row, in their order."""

    @property
    def rows(self) -> frozenset[int]:
        """All rows with a planted fault."""
        return frozenset(row for rows in self.faults.values() for row in rows)


Rows = npt.NDArray[np.int64]

Change = Callable[[dict[str, Any], int, np.random.Generator], dict[str, Any]]
"""(row, its number among the fault's rows, random numbers) to the columns that change."""


def plant(table: pa.Table, *, seed: int = 0, share: float = 0.002) -> Planted:
    """Plant every fault that the table's columns can show: reviews, products, queries or judged pairs.

    `share` is the share of rows given to each kind of fault, 0–1, but at least two rows; cut-off texts need more
    (`CUT_SHARE`, `CUT_ROWS`). Only planted rows are touched, so the cost does not depend on the clean ones.

    Raises ValueError if the columns are none of the four kinds', if the share is none, or if the faults would take more
    than half of the rows.

    >>> planted = plant(reviews(1000, seed=1), seed=1)
    >>> len(planted.faults[Fault.TEXT_MISSING]), planted.table.num_rows
    (2, 1000)
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share lies between 0 and 1, got {share!r}")
    changes = _changes(table.column_names)
    random = np.random.default_rng([seed, table.num_rows])
    sizes = {fault: max(ROWS_AT_LEAST, round(share * table.num_rows)) for fault in changes}
    if Fault.CUT_OFF in sizes:
        sizes[Fault.CUT_OFF] = max(sizes[Fault.CUT_OFF], CUT_ROWS, int(np.ceil(CUT_SHARE * table.num_rows)))
    rows = _rows_of_their_own(sizes, table.num_rows, _worth_repeating(table), random)
    return _changed(table, rows, changes, random)


def _worth_repeating(table: pa.Table) -> Rows:
    """Rows, from 0, whose copy is a fault: everybody writes "Great shoes", nobody two sentences word for word."""
    if "text" not in table.column_names:
        return np.arange(table.num_rows)
    return np.flatnonzero(pc.greater(pc.utf8_length(table.column("text")), REPEATED_AT_LEAST))


def plantable(columns: Sequence[str]) -> tuple[Fault, ...]:
    """The faults that `plant` puts into a table of these columns. Raises ValueError if they are of no kind it knows.

    >>> [fault.value for fault in plantable(["query_id", "query"])]
    ['query-misspelt', 'query-blank', 'query-capitals']
    """
    return tuple(_changes(columns))


def _rows_of_their_own(
    sizes: Mapping[Fault, int], rows: int, repeatable: Rows, random: np.random.Generator
) -> dict[Fault, list[tuple[int, int]]]:
    """For each fault (row, original) pairs, from 0; the originals of repeating faults come earlier and stay clean."""
    twice = 2 * sum(size for fault, size in sizes.items() if fault in _REPEATING)
    once = sum(size for fault, size in sizes.items() if fault not in _REPEATING)
    if 2 * (once + twice) > rows or twice > len(repeatable):
        raise ValueError(
            f"{once + twice:,} rows are needed for the faults, too many for a table of {rows:,} (half of them stay "
            "clean): give more rows or a smaller share"
        )
    repeated = random.choice(repeatable, size=twice, replace=False)
    in_pairs = iter(repeated.reshape(-1, 2).tolist())
    alone = iter(random.choice(np.setdiff1d(np.arange(rows), repeated), size=once, replace=False).tolist())
    placed: dict[Fault, list[tuple[int, int]]] = {}
    for fault, size in sizes.items():
        pairs = [next(in_pairs) if fault in _REPEATING else [next(alone)] for _ in range(size)]
        placed[fault] = sorted((max(pair), min(pair)) for pair in pairs)
    return placed


def _changed(
    table: pa.Table,
    placed: Mapping[Fault, list[tuple[int, int]]],
    changes: Mapping[Fault, Change],
    random: np.random.Generator,
) -> Planted:
    """The table with the faults put in: only the touched cells become Python values."""
    donors = _texts(table, random)
    cells: dict[str, dict[int, Any]] = {}
    for fault, pairs in placed.items():
        originals = table.take(pa.array([original for _, original in pairs], pa.int64())).to_pylist()
        for number, ((row, _), original) in enumerate(zip(pairs, originals, strict=True)):
            for column, value in changes[fault](original | {_DONORS: donors}, number, random).items():
                cells.setdefault(column, {})[row] = value
    for column, values in cells.items():
        place = table.schema.get_field_index(column)
        table = table.set_column(place, table.schema.field(place), _put(table.column(column), values))
    return Planted(
        table,
        {fault: tuple(row + 1 for row, _ in pairs) for fault, pairs in placed.items()},
        {fault: tuple(original + 1 for _, original in pairs) for fault, pairs in placed.items() if fault in _REPEATING},
    )


def _put(column: pa.ChunkedArray, values: Mapping[int, Any]) -> pa.ChunkedArray:
    """The column with other values in some rows."""
    indices = np.arange(len(column), dtype=np.int64)
    indices[list(values)] = len(column) + np.arange(len(values))
    more = pa.array(list(values.values()), column.type)
    return pa.chunked_array([*column.chunks, more]).take(pa.array(indices))


# --- what each fault does to a row -----------------------------------------------------------------------------------

_DONORS = "\0texts"
"""Key under which a change finds texts of other rows; no column can be called so."""

_REPEATING = frozenset({Fault.EXACT_DUPLICATE, Fault.NEAR_DUPLICATE, Fault.ID_REUSED, Fault.LABEL_DISAGREES})


def _texts(table: pa.Table, random: np.random.Generator) -> list[str]:
    """Some texts of the table, to make long ones from."""
    if "text" not in table.column_names:
        return []
    rows = random.choice(table.num_rows, size=min(400, table.num_rows), replace=False)
    return [t for t in table.column("text").take(pa.array(rows)).to_pylist() if len(t) > 40]


def _missing(column: str) -> Change:
    return lambda row, number, random: {column: None}


def _blank(column: str) -> Change:
    return lambda row, number, random: {column: " " * (number % 3)}


def _exact_duplicate(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in ("id", _DONORS)}


def _near_duplicate(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    text = row["text"]
    bare = text.rstrip(".!")
    return {"text": (text.upper(), bare.replace(",", "") + "!!", bare.lower() + "...")[number % 3]}


def misread(text: str) -> str:
    """UTF-8 read as Windows-1252, as browsers do it: bytes that it leaves undefined become control characters.

    >>> misread("It’s 20 °C")
    'Itâ€™s 20 Â°C'
    """
    return "".join(bytes([b]).decode("cp1252" if b not in _UNDEFINED else "latin-1") for b in text.encode())


_UNDEFINED = frozenset({0x81, 0x8D, 0x8F, 0x90, 0x9D})
_TYPOGRAPHIC = (
    " The label says “one size”.",
    " It’s fine down to 5 °C.",
    " I’ll write again in a month – or earlier.",
    " Wash at 30° and that’s it.",
)


def _mojibake(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    return {"text": misread(row["text"].replace("'", "’") + _TYPOGRAPHIC[number % len(_TYPOGRAPHIC)])}


def _html(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    first, _, rest = row["text"].partition(" ")
    marked = (f"<p>{row['text']}</p>", f"<b>{first}</b> {rest or row['title']}", f"{row['text']}<br /><br />Thanks!")
    return {"text": marked[number % len(marked)]}


def _literal_escapes(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    escapes = (
        r"\n\nThanks for reading.",
        " Comfort &amp; style.",
        r" That\u2019s all.",
        " Worth it &quot;for now&quot;.",
    )
    return {"text": row["text"] + escapes[number % len(escapes)]}


def _untidy_spaces(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    text = row["text"]
    inside = text.replace(" ", "  ", 1) if " " in text else f"{text}  Thanks."
    return {"text": (f" {text}", f"{text} ", inside)[number % 3]}


def _at_least(row: dict[str, Any], random: np.random.Generator, enough: Callable[[str], bool]) -> str:
    """The row's text with texts of other rows after it, until it is long enough."""
    text: str = row["text"]
    while not enough(text):
        text = f"{text} {row[_DONORS][random.integers(len(row[_DONORS]))]}"
    return text


def _cut_off(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    begun = row | {"text": row["text"].split(". ")[0].rstrip(".") + "."}
    while True:  # two of three attempts end inside a word
        text = _at_least(begun, random, lambda t: len(t) > CUT_AT)
        if text[CUT_AT - 1].isalpha() and text[CUT_AT].isalpha():
            return {"text": text[:CUT_AT]}


def _too_long(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    return {"text": _at_least(row, random, lambda t: len(t.split()) >= MANY_WORDS)}


def _contradiction(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    good = row["stars"] >= 3
    return {"stars": 5 if good else 1, "recommended": not good}


@lru_cache(maxsize=1)
def _foreign() -> tuple[Grammar, dict[str, list[int]]]:
    """The grammar, and for each language the symbols of a review: opening, two remarks, closing, spaces between."""
    grammar = Grammar(RULES)
    space = grammar.text(" ")
    parts = {language: [grammar.symbol(f"{language} {part}") for part in _PARTS] for language in FOREIGN}
    return grammar, {language: [s for part in of for s in (part, space)][:-1] for language, of in parts.items()}


_PARTS = ("opening", "remark", "remark", "closing")


def foreign_review(language: str, number: int) -> str:
    """Review `number` in German, French, Spanish or Italian, of at least 60 characters.

    Raises KeyError for another language.
    """
    grammar, symbols = _foreign()
    starts = np.array([symbols[language]])
    # two remarks alike are possible, and then look odd: take the next number
    text: str = grammar.expand(starts, row_keys(number, 0, 1), {})[0].as_py()
    sentences = re.split(r"(?<=\.) ", text)
    distinct = len({sentence[:8] for sentence in sentences}) == len(sentences)
    return text if len(text) >= 60 and distinct else foreign_review(language, number + 2**40)


def _wrong_language(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    language = list(FOREIGN)[number % len(FOREIGN)]
    return {"text": foreign_review(language, int(random.integers(2**40)))}


def _century_late(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    date: datetime = row["date"]
    return {"date": date.replace(year=date.year + 100, day=min(date.day, 28))}


def _misspelt_category(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    category = row["category"]
    wrong = (category + category[-1], category[:-2] + category[-1] + category[-2], category[0] + category[2:])
    return {"category": wrong[number % 3]}


def _one_of(column: str, *values: Any) -> Change:
    return lambda row, number, random: {column: values[number % len(values)]}


def _sale_above_list(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    return {"price": round(row["list_price"] * 1.25 + 1, 2)}


def _swapped(query: str) -> str:
    """The query with two letters in the middle of its longest word swapped.

    >>> _swapped("blue jacket")
    'blue jakcet'
    """
    word = max(query.split(), key=len)
    places = [i for i in range(1, len(word) - 1) if word[i] != word[i + 1]] or [0]
    at = places[len(places) // 2 - (len(places) > 2)]
    return query.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)


def _misspelt_query(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    return {"query": _swapped(row["query"])}


def _disagrees(row: dict[str, Any], number: int, random: np.random.Generator) -> dict[str, Any]:
    label = "I" if row["label"] != "I" else "E"
    return {"query": row["query"], "product_text": row["product_text"], "label": label}


_REVIEW_FAULTS: dict[Fault, Change] = {
    Fault.TEXT_MISSING: _missing("text"),
    Fault.TEXT_BLANK: _blank("text"),
    Fault.EXACT_DUPLICATE: _exact_duplicate,
    Fault.NEAR_DUPLICATE: _near_duplicate,
    Fault.MOJIBAKE: _mojibake,
    Fault.HTML: _html,
    Fault.LITERAL_ESCAPES: _literal_escapes,
    Fault.UNTIDY_SPACES: _untidy_spaces,
    Fault.CUT_OFF: _cut_off,
    Fault.STARS_IMPOSSIBLE: _one_of("stars", 0, 6, -1),
    Fault.PRICE_ZERO: _one_of("price", 0.0),
    Fault.PRICE_NEGATIVE: lambda row, number, random: {"price": -row["price"]},
    Fault.DATE_IN_FUTURE: _century_late,
    Fault.CONTRADICTION: _contradiction,
    Fault.WRONG_LANGUAGE: _wrong_language,
    Fault.TOO_LONG: _too_long,
    Fault.CATEGORY_MISSPELT: _misspelt_category,
    Fault.LOCALE_UNKNOWN: _one_of("locale", "xx-XX", "english", "us"),
}
_PRODUCT_FAULTS: dict[Fault, Change] = {
    Fault.SALE_ABOVE_LIST: _sale_above_list,
    Fault.PRICE_ZERO: _one_of("price", 0.0),
    Fault.ID_REUSED: lambda row, number, random: {"id": row["id"]},
    Fault.DESCRIPTION_MISSING: _missing("description"),
}
_QUERY_FAULTS: dict[Fault, Change] = {
    Fault.QUERY_MISSPELT: _misspelt_query,
    Fault.QUERY_BLANK: _blank("query"),
    Fault.QUERY_CAPITALS: lambda row, number, random: {"query": row["query"].upper()},
}
_RELEVANCE_FAULTS: dict[Fault, Change] = {
    Fault.LABEL_DISAGREES: _disagrees,
    Fault.LABEL_UNKNOWN: _one_of("label", "X", "exact", "e"),
}


def _changes(columns: Sequence[str]) -> dict[Fault, Change]:
    """The faults that a table of these columns can show."""
    if "product_text" in columns:
        return _RELEVANCE_FAULTS
    if "list_price" in columns:
        return _PRODUCT_FAULTS
    if "query" in columns:
        return _QUERY_FAULTS
    if "text" in columns:
        without = set() if "recommended" in columns else {Fault.CONTRADICTION}
        return {fault: change for fault, change in _REVIEW_FAULTS.items() if fault not in without}
    raise ValueError(f"the columns are not those of sample reviews, products, queries or pairs: {', '.join(columns)}")


# --- faults that only a text file can have ---------------------------------------------------------------------------

_STAR_WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
_CSV_FAULTS = (
    Fault.DATE_FORMAT,
    Fault.NUMBER_UNREADABLE,
    Fault.FIELDS_TOO_MANY,
    Fault.FIELDS_TOO_FEW,
    Fault.BYTES_UNDECODABLE,
)


def write_csv_with_faults(path: Path | str, rows: int = 2_000, *, seed: int = 0, share: float = 0.005) -> Planted:
    """Write reviews as UTF-8 CSV with a header, some records broken in ways that only a text file can be.

    Row numbers are record numbers: the first record after the header is 1. The table of the answer is the clean one.
    Raises ValueError as `plant` does.
    """
    table = reviews(rows, seed=seed)
    random = np.random.default_rng([seed, rows])
    sizes = {fault: max(ROWS_AT_LEAST, round(share * rows)) for fault in _CSV_FAULTS}
    placed = _rows_of_their_own(sizes, rows, np.arange(rows), random)
    faults = {fault: tuple(row + 1 for row, _ in pairs) for fault, pairs in placed.items()}
    fault_of = {row: fault for fault, numbers in faults.items() for row in numbers}
    with Path(path).open("wb") as file:
        file.write(_line(table.column_names))
        for number, record in enumerate(_records(table), start=1):
            file.write(_broken(record, fault_of.get(number), table.column_names))
    return Planted(table, faults)


def _records(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=10_000):
        for record in batch.to_pylist():
            yield record | {"date": record["date"].isoformat(sep=" ")}


def _broken(record: dict[str, Any], fault: Fault | None, columns: Sequence[str]) -> bytes:
    fields = dict(record)
    if fault is Fault.DATE_FORMAT:
        fields["date"] = datetime.fromisoformat(record["date"]).strftime("%d/%m/%Y")
    if fault is Fault.NUMBER_UNREADABLE:
        fields["stars"] = _STAR_WORDS[record["stars"]]
    if fault is Fault.BYTES_UNDECODABLE:
        # é in Latin-1 in the middle of UTF-8, as when two exports are glued together
        fields["text"] += " Seen in a caf\udce9."
    values = [fields[column] for column in columns]
    if fault is Fault.FIELDS_TOO_MANY:
        values.append("left over")
    if fault is Fault.FIELDS_TOO_FEW:
        values = values[:-3]
    return _line(values)


def _line(values: Sequence[Any]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerow(values)
    return written.getvalue().encode(errors="surrogateescape")
