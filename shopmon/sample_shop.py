"""What does the sample shop sell, to whom, and in which words do people speak of it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shopmon.grammar import Grammar, Keys, Slot, fractions, mixed, row_keys
from shopmon.shop_words import (
    BRAND_WEIGHTS,
    BRANDS,
    CARE,
    CATEGORIES,
    COLOURS,
    COMMON_FEATURES,
    FAMOUS_BRANDS,
    FEATURES,
    MODEL_ENDINGS,
    MODELS,
    OCCASIONS,
    PURPOSES,
    SIZES,
    SPECS,
    TYPES,
    WISHES,
    WORDS,
    WORN,
)

Numbers = npt.NDArray[Any]

BLOCK = 16_384
"""Rows that are made at once: few enough to stay in the processor's cache."""

CATALOGUE = 3_000
"""Articles of the shop that reviews speak of."""

LOCALES = ("en-US", "en-GB", "en-CA", "en-AU")
"""Where the shop sells; all in English."""

FIRST_DAY = np.datetime64("2023-07-01T00:00:00", "s")
DAYS = 730
"""Reviews and queries are dated within so many days from the first one."""


def blocks_of(rows: int, seed: int, start: int) -> Iterator[tuple[int, int, int]]:
    """(seed, first row, rows) of each block that the rows start … start + rows - 1 are made in."""
    if rows < 0 or start < 0:
        raise ValueError(f"rows and start are 0 or more, got rows={rows!r}, start={start!r}")
    for first in range(start, start + rows, BLOCK):
        yield seed, first, min(BLOCK, start + rows - first)


CATEGORY_OF_TYPE = np.array([CATEGORIES.index(t.category) for t in TYPES])
PLURAL_OF_TYPE = np.array([int(t.plural) for t in TYPES])
FEATURES_OF = [(*FEATURES[category], *COMMON_FEATURES) for category in CATEGORIES]
MOST_FEATURES = max(map(len, FEATURES_OF))
FRAMES = ("frame first+", "frame first-", "frame+", "frame-", "frame but+", "frame but-")
FIRST_TIME, AGAIN, TURN = 0, 2, 4
"""Where the frames for a good remark stand; those for a bad one stand next to them."""


@dataclass(frozen=True)
class Articles:
    """Attributes of articles, one value per article."""

    type: Numbers
    brand: Numbers
    model: Numbers
    """Index into every model name with every ending."""
    price: Numbers
    """Dollars, ending in .99, .95 or .50."""

    def of(self, index: Numbers) -> Articles:
        return Articles(self.type[index], self.brand[index], self.model[index], self.price[index])


def drawn_by_weight(weights: Iterable[float], u: Numbers) -> Numbers:
    """Indices drawn with these weights by numbers in [0, 1)."""
    ends = np.cumsum(np.asarray(tuple(weights), dtype=float))
    return np.searchsorted(ends / ends[-1], u, side="right").clip(0, len(ends) - 1)


def random_articles(keys: Keys) -> Articles:
    """One article per key; well-known brands make only what is worn or carried."""
    kind = drawn_by_weight([t.weight for t in TYPES], fractions(keys, 1))
    brand = drawn_by_weight(BRAND_WEIGHTS, fractions(keys, 2))
    worn = np.isin(CATEGORY_OF_TYPE[kind], [CATEGORIES.index(c) for c in (*WORN, "Bags")])
    invented = len(FAMOUS_BRANDS) + drawn_by_weight(BRAND_WEIGHTS[len(FAMOUS_BRANDS) :], fractions(keys, 3))
    brand = np.where(worn | (brand >= len(FAMOUS_BRANDS)), brand, invented)
    model = (fractions(keys, 4) * len(MODELS) * len(MODEL_ENDINGS)).astype(np.int64)
    spread = np.exp(0.7 * (fractions(keys, 5) + fractions(keys, 6) + fractions(keys, 7) - 1.5))
    price = np.array([t.price for t in TYPES])[kind] * spread
    ending = np.array([0.99, 0.99, 0.95, 0.50])[(fractions(keys, 8) * 4).astype(np.int64)]
    return Articles(kind, brand, model, np.round(np.maximum(np.floor(price), 3) + ending, 2))


@lru_cache(maxsize=1)
def catalogue() -> tuple[Articles, pa.Array]:
    """The shop's articles and their names, no name twice: the same for every seed."""
    articles = random_articles(row_keys(2023, 0, 2 * CATALOGUE))
    names = article_names(articles)
    _, first = np.unique(names.to_numpy(zero_copy_only=False), return_index=True)
    kept = np.sort(first)[:CATALOGUE]
    return articles.of(kept), names.take(pa.array(kept))


def _model_names() -> list[str]:
    return [model + ending for model in MODELS for ending in MODEL_ENDINGS]


def article_names(articles: Articles) -> pa.Array:
    """ "Nike Tempo 4 Running Shoes": brand, model, type."""
    types = [t.name.title().replace("Gps", "GPS") for t in TYPES]
    parts = (
        pa.array(BRANDS).take(pa.array(articles.brand)),
        pa.array(_model_names()).take(pa.array(articles.model)),
        pa.array(types).take(pa.array(articles.type)),
    )
    return pc.binary_join_element_wise(*parts, " ")


def _number(singular: str, plural: str) -> Slot:
    return Slot("number", (singular, plural))


def _by_category(rules: dict[str, str], otherwise: str = "") -> Slot:
    return Slot("category", tuple(rules.get(category, otherwise) for category in CATEGORIES))


def _item(noun: str, plural: bool) -> str:
    return f"a pair of {noun}" if plural else f"a{'n' * (noun[0] in 'aeiou')} {noun}"


def _slots() -> dict[str, Slot]:
    nouns = [t.noun for t in TYPES]
    return {
        "brand": Slot("brand", BRANDS),
        "brand-typed": Slot("brand", tuple(b.lower() for b in BRANDS)),
        "other": Slot("other", BRANDS),
        "model": Slot("model", tuple(_model_names())),
        "model-typed": Slot("model", tuple(m.lower() for m in _model_names())),
        "type": Slot("type", tuple(t.name for t in TYPES)),
        "noun": Slot("type", tuple(nouns)),
        "item": Slot("type", tuple(_item(t.noun, t.plural) for t in TYPES)),
        "other-item": Slot(
            "type", tuple(f"[{_item(t.noun, t.plural)}|{_item(t.noun, t.plural)}|something similar]" for t in TYPES)
        ),
        "thing": Slot("type", tuple(f"pair of {t.noun}" if t.plural else t.noun for t in TYPES)),
        "tone": Slot("colour", COLOURS),
        "colour": Slot("locale", ("color", "colour", "colour", "colour")),
        "feature-word": Slot("feature", tuple(f.word for features in _padded_features() for f in features)),
        "wish": Slot("wish", tuple(w for category in CATEGORIES for w in WISHES[category])),
        "occasion": _by_category(OCCASIONS),
        "size": _by_category(SIZES, "my usual size"),
        "in-use": _by_category(dict.fromkeys(WORN, "wore|have worn"), "used|have used"),
        "purpose": _by_category(PURPOSES),
        "care": _by_category(CARE),
        "spec": _by_category({c: "|".join(_lines(s)[::2]) for c, s in SPECS.items()}),
        "spec-2": _by_category({c: "|".join(_lines(s)[1::2]) for c, s in SPECS.items()}),
        "it": _number("it", "they"),
        "them": _number("it", "them"),
        "is": _number("is", "are"),
        "was": _number("was", "were"),
        "does": _number("does", "do"),
        "this": _number("this", "these"),
        "s": _number("s", ""),
        "a-one": _number("one", "a pair"),
    }


def _lines(rule: str) -> list[str]:
    """The alternatives of a rule that stand on lines of their own."""
    return [line.strip() for line in rule.splitlines()]


def _padded_features() -> list[list[Any]]:
    """Every category's features, filled up to equal length."""
    return [[*features, *(features[-1:] * (MOST_FEATURES - len(features)))] for features in FEATURES_OF]


@dataclass(frozen=True)
class Speech:
    """The compiled grammar, and the numbers of the sentences that a plan is made of."""

    grammar: Grammar
    feature: Numbers
    """Symbols by category, feature and frame (in the order of `FRAMES`)."""
    sentence: dict[str, int]
    """Symbols of all other sentences."""


@lru_cache(maxsize=1)
def speech() -> Speech:
    """The grammar of everything that is said in the shop, compiled once (about half a second)."""
    rules = dict(WORDS)
    for category, features in zip(CATEGORIES, _padded_features(), strict=True):
        for number, feature in enumerate(features):
            for mood, said in (("+", feature.good), ("-", feature.bad)):
                rules[f"{category} {number}{mood}"] = f"{feature.subject} [{'|'.join(_lines(said))}]"
    grammar = Grammar(rules, _slots())

    def framed(category: str, number: int, frame: str) -> int:
        return grammar.text(WORDS[frame].replace("CLAUSE", f"{{{category} {number}{frame[-1]}}}"), capital=True)

    symbols = [[[framed(c, n, f) for f in FRAMES] for n in range(MOST_FEATURES)] for c in CATEGORIES]
    names = [name for name in (*WORDS, "care") if name not in FRAMES]
    sentence = {name: grammar.symbol(name, capital=True) for name in names}
    return Speech(grammar, np.array(symbols), sentence | {" ": grammar.text(" ")})


def axes_of(keys: Keys, articles: Articles, locale: Numbers) -> dict[str, Numbers]:
    """What the slots of a sentence depend on: an index per row for every axis of `_slots`."""
    rows = len(keys)
    other = (articles.brand + 1 + (fractions(keys, 30) * (len(BRANDS) - 1)).astype(np.int64)) % len(BRANDS)
    return {
        "brand": articles.brand,
        "other": other,
        "model": articles.model,
        "type": articles.type,
        "number": PLURAL_OF_TYPE[articles.type],
        "category": CATEGORY_OF_TYPE[articles.type],
        "colour": (fractions(keys, 31) * len(COLOURS)).astype(np.int64),
        "locale": locale,
        "feature": np.zeros(rows, dtype=np.int64),
        "wish": np.zeros(rows, dtype=np.int64),
    }


def dates(keys: Keys, days_later: int = 0) -> pa.Array:
    """Moments within the two years, more and more of them, and mostly in the afternoon and evening."""
    day = (DAYS * np.sqrt(fractions(keys, 93) * 0.75 + 0.25) * 2 - DAYS).astype(np.int64) + days_later
    hour = 4 + 20 * (fractions(keys, 94) + fractions(keys, 95)) / 2
    seconds = day * 86_400 + (hour * 3600).astype(np.int64)
    return pa.array((FIRST_DAY + seconds.astype("timedelta64[s]")).astype("datetime64[us]"))


_HANDLES = (
    "[quiet|rainy|lucky|sleepy|brave|sunny|little|old|happy|misty|green|lost|slow|fast|early|late|salty|wild|plain|northern]"
    "[_|.||]"
    "[heron|otter|maple|river|badger|comet|pebble|walker|fox|harbor|teapot|robin|violet|cyclist|beetle|cloud|ferry|lark]"
    "[|{digits}|{digits}]{digits}"
)


@lru_cache(maxsize=1)
def _handles() -> tuple[Grammar, int]:
    grammar = Grammar({"digits": "|".join(map(str, range(100)))})
    return grammar, grammar.text(_HANDLES)


def users(keys: Keys) -> pa.Array:
    """Handles of invented customers; some write often, most once."""
    grammar, handle = _handles()
    user = (500_000 * fractions(keys, 96) ** 1.6).astype(np.uint64)
    return grammar.expand(np.full((len(keys), 1), handle), mixed(user), {})


_HEX = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype=np.uint8)


def ids(prefix: str, seed: int, start: int, rows: int, letters: int = 9) -> pa.Array:
    """Ids that look random and are all different: the row number times an odd number, modulo a power of two."""
    bits = np.uint64(5 * letters)
    with np.errstate(over="ignore"):
        number = np.arange(start, start + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15 | 1)
        number = (number + mixed(np.array([seed % 2**64], dtype=np.uint64))) & ((np.uint64(1) << bits) - np.uint64(1))
    digits = (number[:, None] >> (np.arange(letters, dtype=np.uint64)[::-1] * np.uint64(5))) & np.uint64(31)
    written = np.empty((rows, len(prefix) + letters), dtype=np.uint8)
    written[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    written[:, len(prefix) :] = _HEX[digits]
    ends = np.arange(rows + 1, dtype=np.int32) * written.shape[1]
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(written))
