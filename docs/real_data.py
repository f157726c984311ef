"""What does shopmon find in real shop data? Checks public files and writes `docs/real-data.md`.

    python docs/real_data.py [--data DIR] [--out FILE]

`DIR` holds the files that `CHECKS` names and a `provenance.csv` that says where each is from. Nothing of the data is
kept: the page has counts, row numbers and, where a file's terms allow it, examples of at most 60 characters.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

import shopmon
from expectations.results import ExpectationResult, Outcome
from expectations.suite import built_in, load_suite
from shopmon.outcome import CheckResult
from shopmon.project import Project

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
PAGE = ROOT / "docs" / "real-data.md"
LONGEST_EXAMPLE = 60
"""Characters of one value on the page."""


@dataclass(frozen=True)
class Check:
    """One file as it is checked; nothing is configured but what stands here."""

    file: str
    kind: str | None = None
    """None: shopmon recognises it from the columns."""
    shows_values: bool = False
    """Whether its terms are known and let a few words be quoted."""

    @property
    def name(self) -> str:
        """The file, and the kind where the file is checked as several."""
        return self.file + (f" as {self.kind}" if self.kind else "")


CHECKS = (
    Check("nike/nike_customer_reviews_kaggle.csv"),
    Check("nike/nike_products.csv"),
    Check("nike/products_kaggle.csv"),
    Check("queries/home_depot_query_product.parquet"),
    Check("queries/esci_us_judgments.parquet", shows_values=True),
    Check("queries/esci_ubi_queries.parquet", shows_values=True),
    Check("queries/esci_conversational_queries.csv", shows_values=True),
    Check("esci/esci_schema_sample_16.csv", shows_values=True),
    Check("products/pricerunner_aggregate.parquet", shows_values=True),
    Check("products/myntra_catalog.parquet"),
    Check("products/wdc_product_pairs.parquet", kind="relevance", shows_values=True),  # title_left is its query
    Check("products/wdc_product_pairs.parquet", kind="products", shows_values=True),  # title_left is its title
    Check("reviews/womens_clothing_reviews.parquet", shows_values=True),
    Check("reviews/datafiniti_amazon_1429.parquet"),
    Check("reviews/amazon_alexa_reviews.parquet"),
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One problem that the data is known to have, and how shopmon says it."""

    check: str
    what: str
    rules: tuple[str, ...]
    """Ids of built-in rules; each of them must find something."""
    listed: int | None = None
    """How often, where the data's description says so."""
    unit: str = "rows"
    count: str = "count(*)"
    """SQL over the quarantined rows that break one of the rules: what is to equal `listed`."""
    counted: int | None = None
    """What `count` gives where it is not `listed`, for the reason given in `why`."""
    why: str = ""


_REVIEWS, _NIKE, _NIKE_US = (
    "nike/nike_customer_reviews_kaggle.csv",
    "nike/nike_products.csv",
    "nike/products_kaggle.csv",
)
_HOME, _UBI = "queries/home_depot_query_product.parquet", "queries/esci_ubi_queries.parquet"
_OFFERS, _MYNTRA = "products/pricerunner_aggregate.parquet", "products/myntra_catalog.parquet"
_PAIRS = "products/wdc_product_pairs.parquet as relevance"
_PAIR_TITLES = "products/wdc_product_pairs.parquet as products"
_CLOTHES, _AMAZON = "reviews/womens_clothing_reviews.parquet", "reviews/datafiniti_amazon_1429.parquet"
_ALEXA = "reviews/amazon_alexa_reviews.parquet"

PROBLEMS = (
    Problem(_REVIEWS, "rating words with a leading space", ("space-around:Rating",)),
    Problem(_NIKE, "list price 0", ("list-price-impossible",)),
    Problem(_NIKE, "repeated product ids", ("id-repeated",), 89, "later copies",
            'count(*) - count(distinct "Product ID")'),
    Problem(_NIKE_US, "rating missing", ("stars-missing",), 89),
    Problem(_NIKE_US, "HTML beside plain text", ("html:raw_description",)),
    Problem(_NIKE_US, "day-first dates", ("date-ambiguous",)),
    Problem(_HOME, "broken encoding in titles", ("mojibake:product_text",), 278),
    Problem(_HOME, "typos in queries", ("query-misspelt",)),
    Problem(_HOME, "double spaces", ("double-spaces:query", "double-spaces:product_text")),
    Problem(_HOME, "all-capitals", ("all-capitals:query", "all-capitals:product_text")),
    Problem(_HOME, "same query and title, different relevance", ("grades-contradict",), 401, "pairs",
            "count(distinct (search_term, product_title))", 392, "compared as written; 9 more differ in case alone"),
    Problem(_OFFERS, "repeated titles", ("title-repeated",), 4318),
    Problem(_OFFERS, "titles in several clusters", ("title-clusters",), 617, "titles", "count(distinct product_title)"),
    Problem(_OFFERS, "titles in several categories", ("title-categories",), 2, "titles",
            "count(distinct product_title)"),
    Problem(_MYNTRA, "glued sentences", ("sentences-glued",)),
    Problem(_MYNTRA, "colours with a leading space", ("space-around:color",), 8154),
    Problem(_MYNTRA, "colours missing", ("color-missing",), 894),
    Problem(_MYNTRA, "repeated descriptions", ("description-repeated",), 2056),
    Problem(_PAIRS, "language tags inside titles", ("language-tags:query", "language-tags:product_text")),
    Problem(_PAIRS, "shop slogans, right titles", ("slogan",)),
    Problem(_PAIR_TITLES, "shop slogans, left titles", ("slogan",)),
    Problem(_PAIRS, "non-English titles, right", ("product-language",)),
    Problem(_PAIR_TITLES, "non-English titles, left", ("title-language",)),
    Problem(_PAIRS, "pairs with both labels", ("grades-contradict",), 22, "pairs",
            "count(distinct (title_left, title_right))"),
    Problem(_PAIRS, "train or valid rows that repeat a test pair", ("split-leak",), 145, "rows",
            "count(*) filter (split <> 'test' and (title_left, title_right) in "
            "(select (title_left, title_right) from flagged where split = 'test'))"),
    Problem(_PAIRS, "pairs repeated, since sizes overlap", ("pair-repeated",), 6825),
    Problem(_CLOTHES, "division `Initmates`", ("category-spellings",)),
    Problem(_CLOTHES, "reviews missing", ("text-missing",), 845),
    Problem(_CLOTHES, "text cut at about 500 characters", ("text-cut-off",), 3668, "rows",
            "count(*) filter (length(\"Review Text\") >= 500)", 3559,
            "the rest of those with 500 characters end as a sentence does, or are longer than the cut"),
    Problem(_CLOTHES, "4–5 stars, not recommended", ("praised-but-not-recommended",), 193),
    Problem(_CLOTHES, "1–2 stars, recommended", ("panned-but-recommended",), 110),
    Problem(_AMAZON, "product names missing", ("product-missing",), 6760),
    Problem(_AMAZON, "names with commas and line ends", ("product-broken",)),
    Problem(_AMAZON, "a shop's web address, misspelt, as a category", ("category-address",)),
    Problem(_AMAZON, "two date formats", ("date-formats",)),
    Problem(_AMAZON, "ratings missing", ("stars-missing",), 33),
    Problem(_AMAZON, "ids with several names", ("id-names",), 13, "ids", "count(distinct id)"),
    Problem(_AMAZON, "columns nearly always empty", ("column-empty:reviews.id", "column-empty:reviews.didPurchase")),
    Problem(_ALEXA, "repeated rows", ("record-repeated",), 715),
    Problem(_ALEXA, "blank reviews", ("text-blank",), 79),
    Problem(_ALEXA, "trailing spaces in `variation`", ("space-around:product",)),
    Problem(_ALEXA, "two-digit years", ("date-ambiguous",)),
    Problem(_UBI, "two timestamp formats", ("date-formats",)),
)  # fmt: skip
"""Every problem that the description of the data lists for these files."""

NOT_VISIBLE = (
    ("nli/mnli_corrupted.parquet", "rows were dropped and `index` was numbered afresh",
     "only the file it was made from shows it; and sentence pairs are no shop data"),
    ("sentiment/sst2.parquet", "repeated phrases, both labels, sentences in two splits", "no shop data; not checked"),
)  # fmt: skip

READ_ONE_BY_ONE = (
    ("mojibake", "home_depot, wdc, womens, datafiniti", "92 rows", 92, ""),
    ("html", "home_depot, wdc, womens, alexa", "110 rows", 110, ""),
    ("slogan", "home_depot, pricerunner, wdc", "81 rows", 81, ""),
    ("language", "alexa, datafiniti", "12 rows, all there are", 12, ""),
    ("title-language", "wdc", "30 rows", 30, ""),
    ("title-language", "pricerunner", "30 rows", 27, "strings of codes and sizes"),
    ("title-language, product-language", "myntra, home_depot", "12 rows, all there are", 0, "French names, measures"),
    ("query-misspelt", "home_depot", "60 words", 56, "rare words one letter beside a frequent one"),
    ("query-misspelt", "wdc", "38 words, all there are", 6, "rare words, words of other languages"),
)
"""Rule, files, what was read of what it flags, how much of that was right, what the rest was."""


@dataclass(frozen=True)
class Finding:
    """What became of one problem."""

    problem: Problem
    results: tuple[ExpectationResult, ...]
    rows: int
    """Rows that break one of the rules; for a rule about a whole column, the rows its number rests on."""
    counted: int | None
    """By the data's own way of counting; None where it says no number."""

    @property
    def found(self) -> bool:
        """Whether each of its rules found something."""
        return len(self.results) == len(self.problem.rules) and all(map(has_found, self.results))

    @property
    def agrees(self) -> bool:
        """Whether the count is the one that the data's description leads to expect."""
        expected = self.problem.counted if self.problem.counted is not None else self.problem.listed
        return self.counted == expected

    @property
    def row(self) -> int | None:
        """The first row that breaks a rule; None where a whole column does."""
        return next((r.example.row for r in self.results if r.example), None)


@dataclass(frozen=True)
class Checked:
    """One file, checked."""

    check: Check
    result: CheckResult
    findings: tuple[Finding, ...]
    beyond: tuple[ExpectationResult, ...]
    """What else was found: rules with failing rows, or broken, that no listed problem names."""


def has_found(result: ExpectationResult) -> bool:
    """Whether a rule failed, or found rows that it tolerates."""
    return result.outcome is Outcome.FAILED or result.unexpected > 0


def check_all(data: Path, checks: Sequence[Check] = CHECKS) -> Iterator[Checked]:
    """Check every file with the suites that come with shopmon, in a project without a word of configuration."""
    for check in checks:
        with TemporaryDirectory() as folder:
            result = shopmon.check(data / check.file, kind=check.kind, project=Project(Path(folder)))
            by_id = {r.id: r for r in result.expectations}
            problems = [problem for problem in PROBLEMS if problem.check == check.name]
            findings = tuple(_finding(problem, by_id, result.artifacts.get("quarantine")) for problem in problems)
        named = {rule for problem in problems for rule in problem.rules}
        beyond = tuple(r for r in result.expectations if has_found(r) and r.id not in named)
        yield Checked(check, result, findings, beyond)


def _finding(problem: Problem, by_id: dict[str, ExpectationResult], quarantine: Path | None) -> Finding:
    results = tuple(by_id[rule] for rule in problem.rules if rule in by_id)
    rows, counted = 0, 0
    if any(r.unexpected for r in results) and quarantine is not None:
        rows, counted = _count(quarantine, problem)
    elif results:
        rows = counted = max(map(_rows_of_a_column, results))
    return Finding(problem, results, rows, counted if problem.listed is not None else None)


def _count(quarantine: Path, problem: Problem) -> tuple[int, int]:
    with duckdb.connect() as connection:
        connection.execute(
            "create table flagged as select * from read_parquet($path) where list_has_any(shopmon_rules, $rules)",
            {"path": str(quarantine), "rules": list(problem.rules)},
        )
        counts = connection.execute(f"select count(*), {problem.count} from flagged").fetchone()
    if counts is None:
        raise AssertionError("an aggregate has one row")
    return int(counts[0]), int(counts[1])


def _rows_of_a_column(result: ExpectationResult) -> int:
    """How many rows a statement about a whole column rests on: those without a value, or in the forms it names."""
    details = result.verdict.get("result", {}).get("details") or {}
    if "formats" in details:
        return sum(one["dates"] for one in details["formats"])
    if "pairs" in details:
        return sum(one["usual_rows"] + one["other_rows"] for one in details["pairs"])
    return round((1 - float(result.observed or 0)) * result.examined)


# --- the page -------------------------------------------------------------------------------------------------------


def page(checked: Sequence[Checked], provenance: dict[str, dict[str, str]], today: str) -> str:
    """The document, as Markdown."""
    findings = [finding for one in checked for finding in one.findings]
    found = sum(finding.found for finding in findings)
    parts = [
        "# What shopmon finds in real data",
        f"`python docs/real_data.py` wrote this page on {today} with shopmon {shopmon.__version__}: "
        f"{len(checked)} checks with the suites that come with shopmon, and no configuration. "
        "The data stands beside the repository (`--data DIR` names another folder) and is not part of it.",
        "The description of the files lists problems that were left in on purpose. "
        f"Of the {len(findings)} that one file can show, {found} are found.",
        "Example values have at most 60 characters, and are left out where a file's terms are unknown or forbid it. "
        "Row 1 is the first record; a header is not counted.",
        "## The files",
        _files_table(checked, provenance),
        "Seconds are the wall time of `shopmon.check` in one process; the first check also loads Great Expectations.",
        "## Listed problems",
        listed_table(checked),
        "*tolerated*: the rows are in quarantine, and the rule passes, since fewer rows break it than `mostly` allows.",
        "Not visible in a single file of a shop:",
        _table(("file", "problem", "why"), NOT_VISIBLE),
        "## Found beyond the list",
        _beyond_table(checked),
        "## How often is a flag right?",
        "Flagged rows were drawn by the hash of their number and read one by one by whoever tuned the rules, on the "
        "files they were tuned on: other data will be less kind.",
        _table(("rule", "files", "read", "right", "the others were"), READ_ONE_BY_ONE),
    ]
    return "\n\n".join(parts) + "\n"


def listed_table(checked: Sequence[Checked]) -> str:
    """One line for each listed problem."""
    lines = []
    for one in checked:
        for finding in one.findings:
            problem = finding.problem
            rules = ", ".join(f"`{rule}`" for rule in problem.rules)
            lines.append((_short(one.check), problem.what, rules, f"{finding.rows:,}", _agreement(finding),
                          _where(finding.results, one.check), _verdict(finding)))  # fmt: skip
    return _table(("file", "listed problem", "rules", "rows found", "listed", "first row", "verdict"), lines)


def _agreement(finding: Finding) -> str:
    problem = finding.problem
    if problem.listed is None:
        return ""
    listed = f"{problem.listed:,} {problem.unit}"
    if finding.counted == problem.listed:
        return listed if problem.unit == "rows" and finding.rows == problem.listed else f"{listed}: the same"
    return f"{listed}; here {finding.counted or 0:,}: {problem.why}"


def _verdict(finding: Finding) -> str:
    if not finding.found:
        return "**not found**"
    return "found" if all(r.outcome is Outcome.FAILED for r in finding.results) else "found, tolerated"


def _files_table(checked: Sequence[Checked], provenance: dict[str, dict[str, str]]) -> str:
    lines = []
    for one in checked:
        source, r = provenance.get(one.check.file, {}), one.result
        origin = f"{source.get('repo', '')}; terms: {source.get('terms', 'not stated')}"
        counts = (f"{r.rows:,}", str(r.status), f"{r.quarantined:,}", f"{r.seconds:.1f}")
        lines.append((one.check.file, str(r.kind), *counts, origin))
    return _table(("file", "kind", "rows", "verdict", "in quarantine", "seconds", "from"), lines)


def _beyond_table(checked: Sequence[Checked]) -> str:
    lines = []
    for one in checked:
        said = {rule.id: rule.says for rule in load_suite(built_in(str(one.result.kind))).rules}
        for r in one.beyond:
            rows = f"{r.unexpected or _rows_of_a_column(r):,} of {r.examined:,}"
            told = said.get(r.id) or said.get(r.id.split(":")[0]) or r.type
            lines.append((_short(one.check), f"`{r.id}`", f"{told}", rows, _where((r,), one.check),
                          f"{r.severity}, {'broken' if r.outcome is Outcome.FAILED else 'tolerated'}"))  # fmt: skip
    return _table(("file", "rule", "what", "rows", "first row", "verdict"), lines)


def _where(results: Iterable[ExpectationResult], check: Check) -> str:
    """The number of the first failing row, with its value where it may be shown; for a column what was observed."""
    for result in results:
        if result.example:
            return f"{result.example.row:,}" + (f": {_quoted(result.example.value)}" if check.shows_values else "")
        if check.shows_values and isinstance(result.observed, list):
            return ", ".join(_quoted(one) for one in result.observed[:1])
    return "whole column"


def _quoted(value: Any) -> str:
    if value is None:
        return "no value"
    if isinstance(value, dict):
        value = " / ".join(str(held) for held in value.values())
    text = str(value)
    shown = text if text and text == text.strip() and text.isprintable() else repr(text)
    cut = shown if len(shown) <= LONGEST_EXAMPLE else shown[: LONGEST_EXAMPLE - 1] + "…"
    return "`" + cut.replace("`", "'").replace("|", "\\|") + "`"


def _short(check: Check) -> str:
    return Path(check.file).stem + (f" as {check.kind}" if check.kind else "")


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the files and write the page."""
    parser = argparse.ArgumentParser(description="Check public shop data and write docs/real-data.md.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the files (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write (default: %(default)s)")
    settings = parser.parse_args(arguments)
    if not (settings.data / "provenance.csv").is_file():
        sys.exit(f"{settings.data} holds no provenance.csv: name the folder of the files with --data DIR")
    with (settings.data / "provenance.csv").open(encoding="utf-8", newline="") as file:
        provenance = {row["file"]: row for row in csv.DictReader(file)}
    checked = []
    for one in check_all(settings.data):
        print(f"{one.check.name}: {one.result.status}, {one.result.seconds:.1f} s", file=sys.stderr)
        checked.append(one)
    settings.out.write_text(page(checked, provenance, f"{datetime.now(UTC):%Y-%m-%d}"), encoding="utf-8")


if __name__ == "__main__":
    main()
