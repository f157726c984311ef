"""What would a shop's reviews look like?

Row i of a seed is always the same row, in whatever chunks it is asked for. A plan says which sentences a review has, in
accord with its stars; the grammar of `sample_shop.py` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopmon.grammar import Keys, fractions, mixed, row_keys
from shopmon.sample_shop import (
    AGAIN,
    FEATURES_OF,
    FIRST_TIME,
    LOCALES,
    MOST_FEATURES,
    TURN,
    Numbers,
    axes_of,
    blocks_of,
    catalogue,
    dates,
    drawn_by_weight,
    ids,
    speech,
    users,
)
from shopmon.shop_words import (
    BRANDS,
    CATEGORIES,
    SIZES,
)

ROW_GROUP = 122_880
"""Rows per parquet row group, and per chunk that is written (DuckDB's own row-group size)."""

STAR_SHARES = (0.09, 0.06, 0.11, 0.22, 0.52)
"""Share of reviews with 1, 2, 3, 4, 5 stars: the J that shops know."""

SENTENCE_SHARES = (0.10, 0.16, 0.21, 0.19, 0.14, 0.10, 0.06, 0.04)
"""Share of reviews with 1, 2 … 8 sentences: most are short, few are long."""

REVIEWS = pa.schema(
    [
        ("id", pa.string()),
        ("date", pa.timestamp("us")),
        ("locale", pa.string()),
        ("user", pa.string()),
        ("product", pa.string()),
        ("brand", pa.string()),
        ("category", pa.string()),
        ("price", pa.float64()),
        ("stars", pa.int64()),
        ("title", pa.string()),
        ("text", pa.string()),
    ]
)


@dataclass(frozen=True)
class Shift:
    """How a later batch differs from the one before; by default not at all."""

    price_factor: float = 1.0
    """Every price is multiplied by it (unitless)."""
    brand: str = "Nike"
    """The brand that the next two fields speak of."""
    brand_share: float | None = None
    """Share of reviews about that brand, 0–1, where it is raised; None leaves it."""
    complaint_share: float = 0.0
    """Share of that brand's reviews that complain about zippers and refunds, 0–1; they have one or two stars."""
    lower_stars: float = 0.0
    """Share of all reviews that have one star less than they would have, 0–1 (one star stays one star)."""
    days_later: int = 0
    """Every date is so many days later."""

    def __post_init__(self) -> None:
        if self.brand not in BRANDS:
            raise ValueError(f"brand is one of the shop's ({', '.join(BRANDS)}), got {self.brand!r}")
        if self.price_factor <= 0:
            raise ValueError(f"price_factor is above 0, got {self.price_factor!r}")
        for name in ("brand_share", "complaint_share", "lower_stars"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is a share between 0 and 1, got {share!r}")


NO_SHIFT = Shift()


def reviews(
    rows: int, *, seed: int = 0, start: int = 0, shift: Shift = NO_SHIFT, recommended: bool = False
) -> pa.Table:
    """The reviews start … start + rows - 1 of a seed, 11 columns (`REVIEWS`), none of them faulty.

    `recommended` adds a twelfth column of booleans that agree with the stars. No rows asked for, no rows given.
    Raises ValueError for a negative number of rows or start.

    >>> table = reviews(3, seed=5)
    >>> table.num_rows, table.column_names[-2:]
    (3, ['title', 'text'])
    >>> reviews(2, seed=5, start=1).equals(table.slice(1))
    True
    """
    blocks = [_review_block(*block, shift, recommended) for block in blocks_of(rows, seed, start)]
    schema = REVIEWS.append(pa.field("recommended", pa.bool_())) if recommended else REVIEWS
    return pa.concat_tables(blocks).combine_chunks() if blocks else schema.empty_table()


def review_chunks(rows: int, *, seed: int = 0, shift: Shift = NO_SHIFT) -> Iterator[pa.Table]:
    """The first `rows` reviews of a seed in tables of `ROW_GROUP` rows: memory does not grow with their number."""
    for start in range(0, rows, ROW_GROUP):
        yield reviews(min(ROW_GROUP, rows - start), seed=seed, start=start, shift=shift)


def write_reviews(path: Path | str, rows: int, seed: int = 0, *, shift: Shift = NO_SHIFT) -> None:
    """Write so many reviews as parquet, chunk by chunk."""
    write_chunks(path, review_chunks(rows, seed=seed, shift=shift), REVIEWS)


def write_chunks(path: Path | str, chunks: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write tables of one schema as one parquet file (zstd), a row group for each; no table gives a file of 0 rows.

    The file appears when it is whole; until then it grows beside its place under the ending `.partial`.
    """
    import pyarrow.parquet as pq

    unfinished = Path(f"{path}.partial")
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            for chunk in chunks:
                writer.write_table(chunk, row_group_size=ROW_GROUP)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Drawn:
    """What a block of reviews is about, before a word is written; one value per row."""

    keys: Keys
    article: Numbers
    stars: Numbers
    locale: Numbers
    complaint: Numbers
    """Whether the review carries the shifted complaint (bool)."""


def _draw(keys: Keys, shift: Shift) -> _Drawn:
    articles, _ = catalogue()
    # a few articles sell most: the density falls with the square root of the rank
    article = (len(articles.type) * fractions(keys, 10) ** 2.0).astype(np.int64)
    if shift.brand_share is not None:
        article = _raised(article, keys, shift)
    quality = 0.08 * np.sin(articles.brand[article] * 2.4 + articles.model[article])
    star = drawn_by_weight(STAR_SHARES, np.clip(fractions(keys, 11) + quality, 0, 1 - 1e-9)) + 1
    star = np.maximum(star - (fractions(keys, 12) < shift.lower_stars), 1)
    of_brand = articles.brand[article] == BRANDS.index(shift.brand)
    complaint = of_brand & (fractions(keys, 13) < shift.complaint_share)
    star = np.where(complaint, 1 + (star > 3), star)
    return _Drawn(keys, article, star, drawn_by_weight((62, 22, 9, 7), fractions(keys, 14)), complaint)


def _raised(article: Numbers, keys: Keys, shift: Shift) -> Numbers:
    """So many more reviews about one brand that its share becomes what was asked for (never less than before)."""
    articles, _ = catalogue()
    ours = np.flatnonzero(articles.brand == BRANDS.index(shift.brand))
    ranks = np.sqrt(np.arange(len(articles.type) + 1) / len(articles.type))
    before = float((ranks[ours + 1] - ranks[ours]).sum())
    moved = fractions(keys, 15) < max(0.0, ((shift.brand_share or 0.0) - before) / (1 - before))
    return np.where(moved, ours[(fractions(keys, 16) * len(ours)).astype(np.int64)], article)


def _review_block(seed: int, start: int, rows: int, shift: Shift, recommended: bool) -> pa.Table:
    keys = row_keys(seed, start, rows)
    drawn = _draw(keys, shift)
    articles, names = catalogue()
    bought = articles.of(drawn.article)
    axes = axes_of(keys, bought, drawn.locale)
    order = _feature_order(keys, axes["category"])
    axes["feature"] = axes["category"] * MOST_FEATURES + order[:, 0]
    text = _styled(speech().grammar.expand(_plan(drawn, axes["category"], order), keys, axes), keys)
    columns = {
        "id": ids("R", seed, start, rows),
        "date": dates(keys, shift.days_later),
        "locale": pa.array(LOCALES).take(pa.array(drawn.locale)),
        "user": users(keys),
        "product": names.take(pa.array(drawn.article)),
        "brand": pa.array(BRANDS).take(pa.array(bought.brand)),
        "category": pa.array(CATEGORIES).take(pa.array(axes["category"])),
        "price": pa.array(_paid(keys, bought.price * shift.price_factor)),
        "stars": pa.array(drawn.stars.astype(np.int64)),
        "title": _titles(drawn, keys, axes),
        "text": text,
    }
    if recommended:
        agrees = (drawn.stars > 3) | ((drawn.stars == 3) & (fractions(keys, 20) < 0.4))
        columns["recommended"] = pa.array(agrees)
    return pa.table(columns)


def _feature_order(keys: Keys, category: Numbers) -> Numbers:
    """A random order of the category's features for each row (rows × features), so that a review repeats none."""
    have = np.array([len(f) for f in FEATURES_OF])[category]
    u = np.stack([fractions(keys, 40 + f) for f in range(MOST_FEATURES)], axis=1)
    u[np.arange(MOST_FEATURES) >= have[:, None]] += 1  # the fillers come last
    return np.argsort(u, axis=1)


_GOOD_SHARE = np.array([0.0, 0.0, 0.22, 0.5, 0.9, 0.985])
"""Share of what is said that is good, by stars."""
_CONTEXTS = ("purchase", "ownership", "sizing", "delivery")
"""What a review tells besides its opinion; the last one depends on the mood."""
_SIZING = _CONTEXTS.index("sizing")
_SIZED = [CATEGORIES.index(category) for category in SIZES]


@dataclass
class _Writing:
    """How far the reviews of a block are written; one value per row."""

    stars: Numbers
    tone: Numbers
    """0 bad, 1 so-so, 2 good: index into the moods of a sentence."""
    sentences: Numbers
    """How many sentences the review will have."""
    contexts: Numbers
    """How many sentences of context it has."""
    remarks: Numbers
    """How many features it has spoken of."""
    previous: Numbers
    """What it said of the feature before: 1 good, 0 bad, -1 nothing yet."""
    nagged: Numbers
    """Whether a satisfied review has had its one small complaint (bool)."""


def _plan(drawn: _Drawn, category: Numbers, order: Numbers) -> Numbers:
    """The start symbols of every review: its sentences in order with a space between (rows × 15, -1 where none)."""
    rows, most = len(drawn.keys), len(SENTENCE_SHARES)
    sentences = drawn_by_weight(SENTENCE_SHARES, fractions(drawn.keys, 50)) + 1
    none = np.zeros(rows, dtype=np.int64)
    tone = np.array([0, 0, 0, 1, 2, 2])[drawn.stars]
    state = _Writing(drawn.stars, tone, sentences, none.copy(), none.copy(), none - 1, none > 0)
    contexts = np.argsort(np.stack([fractions(drawn.keys, 60 + k) for k in range(len(_CONTEXTS))], axis=1), axis=1)
    plan = np.full((rows, 2 * most - 1), -1, dtype=np.int64)
    for place in range(most):
        symbol = _sentence(place, state, drawn.keys, category, order, contexts)
        symbol = np.where(drawn.complaint & (place == np.minimum(1, sentences - 1)), _symbol("complaint"), symbol)
        plan[:, 2 * place] = np.where(place < sentences, symbol, -1)
        if place:
            plan[:, 2 * place - 1] = np.where(place < sentences, _symbol(" "), -1)
    return plan


def _symbol(name: str) -> int:
    return speech().sentence[name]


def _sentence(place: int, state: _Writing, keys: Keys, category: Numbers, order: Numbers, contexts: Numbers) -> Numbers:
    """The symbol of every review's next sentence: an opening, context, a remark or a closing; `state` moves on."""
    u = fractions(keys, 70 + place)
    row = np.arange(len(keys))
    good = fractions(keys, 80 + place) < _GOOD_SHARE[state.stars]
    context = contexts[row, np.minimum(state.contexts, len(_CONTEXTS) - 1)]
    tells = _tells_context(place, u, state) & ((context != _SIZING) | np.isin(category, _SIZED))
    opens = (place == 0) & ~tells & ((u < 0.75) | (state.sentences == 1))
    closes = (place == state.sentences - 1) & (state.sentences > 2) & ~tells & (u > 0.55)
    happy = state.stars >= 4
    nag = happy & ~good & ~state.nagged & ~(tells | opens | closes) & (place > 0)
    good |= happy
    remarks = ~(tells | opens | closes | nag)
    turns = state.previous != good
    frame = np.where(state.previous < 0, FIRST_TIME, np.where(turns, TURN, AGAIN)) + ~good
    chosen = speech().feature[category, order[row, state.remarks], frame]
    chosen = np.where(nag, _symbol("niggle"), chosen)
    chosen = np.where(tells, _of_context()[context, state.tone], chosen)
    chosen = np.where(closes, _by_tone("closing")[state.tone], chosen)
    chosen = np.where(opens, _opening(u, state), chosen)
    state.contexts += tells
    state.remarks += remarks
    state.previous = np.where(remarks, good, state.previous)
    state.nagged |= nag
    return chosen


def _tells_context(place: int, u: Numbers, state: _Writing) -> Numbers:
    """Whether the sentence tells what led to the review; a review of two sentences needs it to be anybody's own."""
    share = np.where((place == 1) & (state.sentences == 2), 0.7, 0.22 if place == 0 else 0.4)
    return np.asarray((u < share) & (state.contexts < 3) & (state.sentences > 1))


def _opening(u: Numbers, state: _Writing) -> Numbers:
    """Short reviews open with all they have to say: otherwise they would repeat each other, word for word."""
    rich, usual = _by_tone("single")[state.tone], _by_tone("opening")[state.tone]
    alone = np.where(u < 0.3, _by_tone("short")[state.tone], rich)
    return np.where(state.sentences == 1, alone, np.where(state.sentences == 2, rich, usual))


def _by_tone(name: str) -> Numbers:
    return np.array([_symbol(f"{name}{mood}") for mood in "-=+"])


def _of_context() -> Numbers:
    return np.array([[_symbol(name)] * 3 for name in _CONTEXTS[:-1]] + [list(_by_tone(_CONTEXTS[-1]))])


def _styled(text: pa.Array, keys: Keys) -> pa.Array:
    """Some people write no capitals, some devices write curly apostrophes."""
    u = fractions(keys, 90)
    text = pc.if_else(pa.array(u < 0.05), pc.utf8_lower(text), text)
    return pc.if_else(pa.array(u > 0.97), pc.replace_substring(text, "'", "’"), text)


def _titles(drawn: _Drawn, keys: Keys, axes: dict[str, Numbers]) -> pa.Array:
    by_stars = np.array([0] + [speech().sentence[f"title {stars}"] for stars in range(1, 6)])
    return speech().grammar.expand(by_stars[drawn.stars][:, None], mixed(keys), axes)


def _paid(keys: Keys, price: Numbers) -> Numbers:
    """What was paid: one in four bought with a discount of 5 to 40 %."""
    discount = np.where(fractions(keys, 91) < 0.25, 0.05 + 0.35 * fractions(keys, 92), 0.0)
    return np.asarray(np.maximum(np.round(price * (1 - discount), 2), 0.5))
