"""What are all contestants asked? Columns, words and rules, for every Python that reads them."""

from __future__ import annotations

from check import RULES as RULES

REVIEWS, SHOP = "reviews.parquet", "shop"
"""The file that is checked for rules and edge cases, and the project with a reference."""
BEFORE, NOW = "before.parquet", "now.parquet"
NUMBERS = ("price", "stars", "weight", "days")
CATEGORIES = ("category", "warehouse", "brand", "article")
MANY = "article"
"""The category with 42,000 values."""
TEXTS = ("title", "text")
CHANGED = ("weight", "days", "category", "brand", "text")
"""Columns in which a shift is planted; the others are drawn twice from the same distribution."""
FEW_REVIEWS = "few.parquet"
"""The first reviews alone, for who goes through them row by row."""
WORDS = {
    "brands": ("nike", "adidas"),
    "products": ("shoes", "jacket", "backpack", "shirt", "trousers", "socks"),
    "features": ("comfort", "fit", "quality", "style", "durab", "light", "warm", "grip", "design", "soft"),
    "unwanted": ("expensive", "ugly", "heavy", "broke", "poor quality", "uncomfortable", "overpriced"),
}
"""Looked for anywhere in the text, in any case, as the hackathon of the Nike experiment did."""
CHOOSES = "mentions_brand & mentions_product & mentions_feature & ~mentions_unwanted"


def columns(group: str) -> tuple[str, ...]:
    """The columns of `tabular`, `few` (the same without the one of many values) or `texts`."""
    tabular = NUMBERS + CATEGORIES
    return {"tabular": tabular, "few": tuple(c for c in tabular if c != MANY), "texts": TEXTS}[group]
