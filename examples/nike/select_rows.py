"""Which rows did the hackathon's rule choose, and how many of them were wrong?

`python examples/nike/select_rows.py` asks shopmon's own signals: once with the words found as parts of other words, as
the hackathon's code did it, and once whole.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from corpus import DATA, HERE, SEED, TEMPLATE, corpus, counted

from expectations.batch import Batch, open_batch
from monitor.edge_case_rules import EdgeCaseSettings, Rule
from monitor.edge_cases import select
from shopmon.project import Project
from shopmon.rooms import edge_case_settings

AS_IT_DID = "mentions_brand & mentions_product & mentions_feature & sentiment >= 0"
"""The hackathon's rule; `sentiment` is VADER's compound score."""
CORRECTED = "praises-brand"
"""The rule of `shopmon.toml` that takes its place."""

Rows = frozenset[int]
"""Numbers of rows; the first is 1."""


@dataclass(frozen=True)
class Selections:
    """The rows that each way of choosing finds."""

    substring: Rows
    """The hackathon's rule, words found as parts of other words: what it trained on."""
    words: Rows
    """The same rule, whole words."""
    corrected: Rows
    """Whole words, and no unwanted one: the rule of `shopmon.toml`."""
    unwanted: Rows
    """Every row that holds an unwanted word, whole."""

    @property
    def wrong(self) -> Rows:
        """Rows that taught the hackathon's model what it was to unlearn."""
        return self.substring & self.unwanted


def selections(table: pa.Table) -> Selections:
    """Choose from a corpus in each way."""
    settings = edge_case_settings(Project.of(HERE))
    corrected = settings.rules[CORRECTED]
    with TemporaryDirectory() as scratch, open_batch(table, scratch=Path(scratch), kind="reviews") as batch:
        return Selections(
            substring=chosen(batch, replace(settings, matching="substring"), Rule(AS_IT_DID)),
            words=chosen(batch, settings, Rule(AS_IT_DID)),
            corrected=chosen(batch, settings, corrected),
            unwanted=chosen(batch, settings, Rule("mentions_unwanted")),
        )


def chosen(batch: Batch, settings: EdgeCaseSettings, rule: Rule) -> Rows:
    """The rows that one rule alone chooses."""
    found = select(batch, replace(settings, rules={"the-rule": rule}))
    return frozenset(found.rows.column("row").to_pylist())


def report(table: pa.Table, found: Selections) -> str:
    """The figures, over all rows and over the shop's own texts."""
    sources = table.column("source").to_pylist()
    of_shop = frozenset(row for row, source in enumerate(sources, start=1) if source != TEMPLATE)
    lines = (
        ("chosen by substring, as the hackathon did", found.substring),
        ("  of them with an unwanted word: wrong", found.wrong),
        ("chosen by the same rule on whole words", found.words),
        ("  of them with an unwanted word: wrong", found.words & found.unwanted),
        ("chosen by whole words, none of them unwanted", found.corrected),
        ("  of them with an unwanted word: wrong", found.corrected & found.unwanted),
    )
    told = [f"{'':46}{'rows':>8}{'of the shop':>13}{'of the template':>17}"]
    told += [_line("in all", range(1, table.num_rows + 1), of_shop)]
    return "\n".join([*told, *(_line(says, rows, of_shop) for says, rows in lines)])


def _line(says: str, rows: Iterable[int], of_shop: Rows) -> str:
    counted_rows = frozenset(rows)
    shop = len(counted_rows & of_shop)
    return f"{says:46}{len(counted_rows):8,}{shop:13,}{len(counted_rows) - shop:17,}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what the hackathon's rule chose, and what it should have.")
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the three CSV files ({DATA})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the sentences ({SEED})")
    given = parser.parse_args()
    table = corpus(given.data, given.seed)
    sys.stdout.write(f"{counted(table)}\n\n{report(table, selections(table))}\n")


if __name__ == "__main__":
    main()
