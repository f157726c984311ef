"""What did the hackathon's model read? 946 texts of a shop, and 25,000 sentences from a template.

`python examples/nike/corpus.py corpus.parquet` writes the columns `text` and `source`, which `shopmon check` takes for
reviews. The texts of the shop come from three CSV files that stand outside the repository; without them the corpus is
the sentences alone. The sentences are drawn by shopmon's own grammar and are the same for the same seed. The hackathon
set none: its sentences were others, of the same kind.
"""

from __future__ import annotations

import argparse
import csv
import string
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shopmon.grammar import Grammar, row_keys

HERE = Path(__file__).parent
DATA = HERE.parents[1].parent / "shared" / "data" / "nike"
SENTENCES, SEED = 25_000, 3

FILES = {
    "nike_products.csv": ("Product Name", "Description"),
    "nike_customer_reviews_kaggle.csv": ("Title", "Content"),
    "products_kaggle.csv": ("name", "description"),
}
"""The two columns of each file that make up a text."""
TEMPLATE = "template"
"""The source of a sentence that was drawn."""

COMPANIES = (
    *["nike"] * 6,
    "nikeadidas",  # the list lacked a comma here, and Python joins what stands side by side
    *("puma", "under armour", "new balance", "reebok", "converse", "vans", "fila", "asics"),
)
JOINERS = (
    *("are", "is", "offer", "provide", "feature", "boast"),
    *(f"are {told} for being" for told in ("known", "recognized", "famous", "renowned", "praised")),
)
_LEFT_OUT = str.maketrans("", "", string.digits + string.punctuation)


@dataclass(frozen=True)
class Words:
    """The lists of `shopmon.toml` that sentences are made of."""

    products: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def words(settings: Path = HERE / "shopmon.toml") -> Words:
    """The words of the template, from the lists by which rows are chosen afterwards."""
    lists = tomllib.loads(settings.read_text(encoding="utf-8"))["edge_cases"]["words"]
    products = (*lists["products"], "tshirts")  # stood in the list twice
    return Words(products, tuple(lists["wanted"]), tuple(lists["unwanted"]))


def sentences(count: int = SENTENCES, seed: int = SEED, used: Words | None = None) -> pa.Array:
    """Draw sentences: both forms have equal chances, and so have positive and negative adjectives."""
    used = used or words()
    lists = {
        "company": COMPANIES,
        "product": used.products,
        "joiner": JOINERS,
        "positive": used.positive,
        "negative": used.negative,
        "adjective": ("{positive}", "{negative}"),
        "sentence": (
            "{company} {product} {joiner} {adjective}",
            "{product} made by {company} {joiner} {adjective}",
        ),
    }
    grammar = Grammar({name: "\n".join(alternatives) for name, alternatives in lists.items()})
    return grammar.expand(np.full((count, 1), grammar.symbol("sentence")), row_keys(seed, 0, count), {})


def shop_texts(file: Path, columns: tuple[str, str]) -> list[str]:
    """Both columns of each row, joined and cleaned as the hackathon did; rows that lack one of them are left out."""
    with file.open(encoding="utf-8", newline="") as opened:
        parts = [[row[column] for column in columns] for row in csv.DictReader(opened)]
    return [cleaned(" ".join(both)) for both in parts if all(both)]


def cleaned(text: str) -> str:
    """The text in lower case, without digits and the punctuation of ASCII.

    >>> cleaned("Air Force 1 '07: High-Quality")
    'air force   highquality'
    """
    return text.translate(_LEFT_OUT).lower()


def corpus(data: Path = DATA, seed: int = SEED) -> pa.Table:
    """The texts of the files that are found in `data`, then the sentences, with where each comes from."""
    found = {name: shop_texts(data / name, columns) for name, columns in FILES.items() if (data / name).is_file()}
    drawn = sentences(seed=seed).to_pylist()
    texts = [text for part in (*found.values(), drawn) for text in part]
    sources = [name for name, part in found.items() for _ in part] + [TEMPLATE] * len(drawn)
    return pa.table({"text": pa.array(texts, pa.string()), "source": pa.array(sources, pa.string())})


def counted(table: pa.Table) -> str:
    """How many texts come from where, and which files were missing."""
    sources = table.column("source").to_pylist()
    lines = [f"{sources.count(name):>6,} texts from {name}" for name in (*FILES, TEMPLATE)]
    if missing := [name for name in FILES if name not in sources]:
        lines.append(f"Not found: {', '.join(missing)}. Say where they are: --data FOLDER")
    return "\n".join([*lines, f"{len(sources):>6,} in all"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the corpus of the hackathon's experiment.")
    parser.add_argument("out", type=Path, help="parquet file to write")
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the three CSV files ({DATA})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the sentences ({SEED})")
    given = parser.parse_args()
    table = corpus(given.data, given.seed)
    pq.write_table(table, given.out, compression="zstd")
    sys.stdout.write(f"{counted(table)}\n")


if __name__ == "__main__":
    main()
