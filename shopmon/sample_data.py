"""What would a shop's data look like?

Reviews (`sample_reviews.py`), products, search queries and judged pairs of query and product, made up by a small seeded
grammar. Row i of a seed is always the same row; the catalogue that reviews and queries speak of is the same for all.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopmon.grammar import Keys, fractions, mixed, row_keys
from shopmon.sample_reviews import (
    NO_SHIFT,
    REVIEWS,
    ROW_GROUP,
    Shift,
    review_chunks,
    reviews,
    write_chunks,
    write_reviews,
)
from shopmon.sample_shop import (
    CATALOGUE,
    CATEGORY_OF_TYPE,
    LOCALES,
    Articles,
    Numbers,
    article_names,
    axes_of,
    blocks_of,
    catalogue,
    dates,
    drawn_by_weight,
    ids,
    random_articles,
    speech,
    users,
)
from shopmon.shop_words import (
    BRANDS,
    CATEGORIES,
    COLOURS,
    COMPLEMENTS,
    WISHES,
)

__all__ = [
    "LABELS",
    "NO_SHIFT",
    "REVIEWS",
    "ROW_GROUP",
    "Shift",
    "products",
    "queries",
    "relevance",
    "review_chunks",
    "reviews",
    "write_chunks",
    "write_reviews",
]

LABELS = ("E", "S", "C", "I")
"""Exact, substitute, complement, irrelevant: the grades of the ESCI shopping queries."""


def products(rows: int, *, seed: int = 0, start: int = 0) -> pa.Table:
    """Catalogue entries: id, title, description, brand, category, price, list_price, currency, date (first listed).

    The list price is never below the price. Ids are unique within a seed.
    """
    blocks = [_product_block(*block) for block in blocks_of(rows, seed, start)]
    return pa.concat_tables(blocks).combine_chunks() if blocks else _product_block(0, 0, 1).slice(0, 0)


def queries(rows: int, *, seed: int = 0, start: int = 0) -> pa.Table:
    """What people typed into the search box: query_id, query, date, locale, user. Frequent ones repeat."""
    blocks = [_query_block(*block) for block in blocks_of(rows, seed, start)]
    return pa.concat_tables(blocks).combine_chunks() if blocks else _query_block(0, 0, 1).slice(0, 0)


def relevance(rows: int, *, seed: int = 0, start: int = 0) -> pa.Table:
    """Judged pairs: query, product_text, label, locale.

    The label follows from what the query asks for: E everything is met, S the right category but another type, brand,
    colour or property, C what is bought along with it, I something else. The same pair always has the same label.
    """
    blocks = [_relevance_block(*block) for block in blocks_of(rows, seed, start)]
    return pa.concat_tables(blocks).combine_chunks() if blocks else _relevance_block(0, 0, 1).slice(0, 0)


_TYPES_OF_CATEGORY = [np.flatnonzero(c == CATEGORY_OF_TYPE) for c in range(len(CATEGORIES))]


def _wished(keys: Keys, category: Numbers, stream: int) -> Numbers:
    """Index of one of the category's wishes in the slot of all wishes."""
    each = len(next(iter(WISHES.values())))
    return category * each + (fractions(keys, stream) * each).astype(np.int64)


def _described(keys: Keys, articles: Articles, locale: Numbers) -> tuple[pa.Array, dict[str, Numbers]]:
    axes = axes_of(keys, articles, locale)
    axes["wish"] = _wished(keys, axes["category"], 100)
    grammar = speech().grammar
    symbols = speech().sentence
    plan = np.full((len(keys), 5), -1, dtype=np.int64)
    plan[:, 0] = symbols["description"]
    for place, share in ((1, 0.8), (3, 0.4)):
        more = fractions(keys, 101) < share
        plan[:, place] = np.where(more, symbols[" "], -1)
        plan[:, place + 1] = np.where(more, symbols["detail" if place == 1 else "care"], -1)
    return grammar.expand(plan, keys, axes), axes


def _product_titles(articles: Articles, axes: dict[str, Numbers]) -> pa.Array:
    """ "Nike Tempo 4 Running Shoes, waterproof, navy"."""
    wishes = [w for category in CATEGORIES for w in WISHES[category]]
    wish = pa.array(wishes).take(pa.array(axes["wish"]))
    return pc.binary_join_element_wise(
        article_names(articles), wish, pa.array(COLOURS).take(pa.array(axes["colour"])), ", "
    )


def _product_block(seed: int, start: int, rows: int) -> pa.Table:
    keys = mixed(row_keys(seed, start, rows))
    articles = random_articles(keys)
    description, axes = _described(keys, articles, np.zeros(rows, dtype=np.int64))
    reduced = fractions(keys, 110) < 0.4
    list_price = np.where(
        reduced, np.round(np.ceil(articles.price * (1.1 + 0.5 * fractions(keys, 111))) - 0.01, 2), articles.price
    )
    return pa.table(
        {
            "id": ids("P", seed, start, rows, 8),
            "title": _product_titles(articles, axes),
            "description": description,
            "brand": pa.array(BRANDS).take(pa.array(articles.brand)),
            "category": pa.array(CATEGORIES).take(pa.array(axes["category"])),
            "price": pa.array(articles.price),
            "list_price": pa.array(list_price),
            "currency": pa.array(["USD"] * rows),
            "date": dates(keys),
        }
    )


def _query_block(seed: int, start: int, rows: int) -> pa.Table:
    keys = mixed(row_keys(seed, start, rows) ^ np.uint64(1))
    known, _ = catalogue()
    articles = known.of((CATALOGUE * fractions(keys, 120) ** 2.5).astype(np.int64) % len(known.type))
    locale = drawn_by_weight((62, 22, 9, 7), fractions(keys, 121))
    axes = axes_of(keys, articles, locale)
    axes["wish"] = _wished(keys, axes["category"], 122)
    symbol = _typed("query words")
    return pa.table(
        {
            "query_id": ids("Q", seed, start, rows),
            "query": speech().grammar.expand(np.full((rows, 1), symbol), keys, axes),
            "date": dates(keys),
            "locale": pa.array(LOCALES).take(pa.array(locale)),
            "user": users(keys),
        }
    )


@lru_cache(maxsize=4)
def _typed(name: str) -> int:
    """The symbol of a rule without a capital letter, as people type."""
    return speech().grammar.symbol(name)


@lru_cache(maxsize=1)
def _asking() -> Numbers:
    """Symbols of queries by what they name: brand (bit 1), colour (bit 2), a property (bit 4)."""
    parts = ("{brand-typed} ", "{tone} ", " {wish}")

    def query(bits: int) -> str:
        before = "".join(part for bit, part in ((1, parts[0]), (2, parts[1])) if bits & bit)
        return before + "{type}" + (parts[2] if bits & 4 else "")

    return np.array([speech().grammar.text(query(bits)) for bits in range(8)])


def _relevance_block(seed: int, start: int, rows: int) -> pa.Table:
    keys = mixed(row_keys(seed, start, rows) ^ np.uint64(2))
    shown = random_articles(keys)
    text_axes = axes_of(keys, shown, np.zeros(rows, dtype=np.int64))
    text_axes["wish"] = _wished(keys, text_axes["category"], 100)
    asked, asked_axes = _asked(keys, shown, text_axes)
    names = (fractions(keys, 130) * 8).astype(np.int64)
    same_type = asked.type == shown.type
    met = (
        ((names & 1 == 0) | (asked.brand == shown.brand))
        & ((names & 2 == 0) | (asked_axes["colour"] == text_axes["colour"]))
        & ((names & 4 == 0) | (asked_axes["wish"] == text_axes["wish"]))
    )
    along = np.array([CATEGORIES.index(COMPLEMENTS[c]) for c in CATEGORIES])[asked_axes["category"]]
    akin = asked_axes["category"] == text_axes["category"]
    label = np.where(same_type & met, 0, np.where(akin, 1, np.where(along == text_axes["category"], 2, 3)))
    return pa.table(
        {
            "query": speech().grammar.expand(_asking()[names][:, None], keys, asked_axes),
            "product_text": _product_titles(shown, text_axes),
            "label": pa.array(LABELS).take(pa.array(label)),
            "locale": pa.array(LOCALES).take(pa.array(drawn_by_weight((62, 22, 9, 7), fractions(keys, 131)))),
        }
    )


def _asked(keys: Keys, shown: Articles, axes: dict[str, Numbers]) -> tuple[Articles, dict[str, Numbers]]:
    """What the query is after: the article shown, one that differs in something, one bought along with it, or any."""
    rows = len(keys)
    case = drawn_by_weight((55, 25, 9, 11), fractions(keys, 140))
    other = random_articles(mixed(keys))
    # a type of a category that the article shown goes along with
    leads = {complement: category for category, complement in COMPLEMENTS.items()}
    along = np.array([CATEGORIES.index(leads.get(c, c)) for c in CATEGORIES])
    of_along = np.array([types[0] for types in _TYPES_OF_CATEGORY])[along[axes["category"]]]
    kind = np.where(case == 2, of_along, np.where(case == 3, other.type, shown.type))
    differs = case == 1
    asked = Articles(kind, np.where(differs | (case == 3), other.brand, shown.brand), shown.model, shown.price)
    asked_axes = axes_of(keys, asked, np.zeros(rows, dtype=np.int64))
    colour = (axes["colour"] + differs * (fractions(keys, 141) * len(COLOURS)).astype(np.int64)) % len(COLOURS)
    same_category = asked_axes["category"] == axes["category"]
    wish = np.where(same_category & ~differs, axes["wish"], _wished(keys, asked_axes["category"], 142))
    return asked, asked_axes | {"colour": colour, "wish": wish}
