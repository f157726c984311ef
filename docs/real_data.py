"""What does shopmon find in real shop data? Checks public files and writes `docs/real-data.md`.

    python docs/real_data.py [--data DIR] [--out FILE]

`DIR` holds the files that `CHECKS` names and a `provenance.csv` that says where each is from. Nothing of the data is
kept: the page has counts, row numbers, single words and, where a file's terms allow it, values of at most 60
characters. A first part checks each file, a second compares pairs of batches that are cut out of them.
"""

from __future__ import annotations

import argparse
import csv
import math
import multiprocessing
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

import shopmon
from expectations.results import ExpectationResult, Outcome
from expectations.suite import built_in, load_suite
from monitor.results import DriftColumn, DriftStatus, EdgeCaseSection
from shopmon.outcome import CheckResult
from shopmon.project import Project
from shopmon.reading import Reading
from shopmon.references import set_reference
from shopmon.settings import EdgeCaseSettings, Settings

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


# --- pairs of batches -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two batches cut out of real files for one comparison: what came before, and what came then."""

    name: str
    kind: str
    files: tuple[str, ...]
    reference: str
    """SQL over views that are called like the files."""
    current: str
    drifts: bool | None
    """What is to be found: random halves are alike, and other pairs are not; None where nobody can say."""
    note: str = ""
    """What to know when reading the outcome."""
    tested: bool = False
    """Whether the tests compare what the page says of it with what is found today."""

    @property
    def shows_values(self) -> bool:
        """Whether the terms of every file let a few values be quoted; single words are no quotation."""
        return all(check.shows_values for check in CHECKS if check.file in self.files)


_CONVERSATIONS = "queries/esci_conversational_queries.csv"
_NO_DEPARTMENT = '* exclude ("Division Name", "Department Name", "Class Name", "Clothing ID")'
_NO_CRAWL = '* exclude (name, "reviews.dateAdded", "reviews.dateSeen", "reviews.sourceURLs")'


def _half(file: str, kind: str, key: str, seed: int, note: str = "") -> Pair:
    """Two halves of a file, dealt by the hash of `key` and a seed."""
    view = Path(file).stem
    dealt = "select * from {0} where hash({1}, {2}) % 2 = {3} order by hash({1}, {2}, 1)"
    one, other = (dealt.format(view, key, seed, side) for side in (0, 1))
    return Pair(f"{view}: two halves, dealt by {key}", kind, (file,), one, other, False, note)


def _mixture(department: str, percent: int, seed: int, rows: int = 4_000) -> Pair:
    """Reviews of tops, and other reviews of tops into which those of another department are mixed."""
    others = rows * percent // 100
    tops, drawn = """ from womens_clothing_reviews where "Department Name" = 'Tops'""", f"order by hash(row, {seed})"
    mixed_in = f""" from womens_clothing_reviews where "Department Name" = '{department}'"""
    return Pair(
        f"womens_clothing_reviews: {percent} % {department} among Tops",
        "reviews",
        (_CLOTHES,),
        f"select {_NO_DEPARTMENT} {tops} {drawn} limit {rows}",
        f"(select {_NO_DEPARTMENT} {tops} {drawn} limit {rows - others} offset {rows}) union all "
        f"(select {_NO_DEPARTMENT} {mixed_in} {drawn} limit {others})",
        drifts=True,
    )


def _split(name: str, kind: str, file: str, before: str, then: str, note: str, columns: str = "*") -> Pair:
    view = Path(file).stem
    earlier, later = (f"select {columns} from {view} where {condition}" for condition in (before, then))
    return Pair(f"{view}: {name}", kind, (file,), earlier, later, True, note)


_KEYWORDS = "select distinct on (search_term) id as query_id, search_term as query from home_depot_query_product "
_TALKED = "select example_id as query_id, query from esci_conversational_queries where query_source = 'enhanced'"
_IN_2016, _IN_2017 = """left("reviews.date", 4) = '2016'""", """left("reviews.date", 4) = '2017'"""

PAIRS = (
    replace(_half(_CLOTHES, "reviews", "row", 0), tested=True),
    _split("Dresses against Tops", "reviews", _CLOTHES, "\"Department Name\" = 'Tops'",
           "\"Department Name\" = 'Dresses'", "The columns that name the department are left out.", _NO_DEPARTMENT),
    _split("all departments, then all but Dresses and half of the Tops", "reviews", _CLOTHES, "hash(row, 5) % 2 = 0",
           "hash(row, 5) % 2 = 1 and \"Department Name\" <> 'Dresses' and "
           "(\"Department Name\" <> 'Tops' or hash(row, 6) % 2 = 0)",
           "Here the columns that name the department stay."),
    *(_mixture(department, 5, 0) for department in ("Dresses", "Bottoms", "Intimate")),
    *(_mixture(department, 20, 0) for department in ("Dresses", "Bottoms")),
    replace(_mixture("Intimate", 20, 0), tested=True),
    _split("2016, then 2017, as the file is", "reviews", _AMAZON, _IN_2016, _IN_2017,
           "Most rows of 2017 are in quarantine: their product goes by several names, or by none. Only good rows are "
           "compared, so what is said of products here is said of the few that are left."),
    _split("2016, then 2017, without names and crawl", "reviews", _AMAZON, _IN_2016, _IN_2017,
           "Without the products' names and three columns of the crawl (when and where a review was seen), most rows "
           "are good ones; `categories` and `keys` stand for the products.", _NO_CRAWL),
    _split("2015, then 2016, without names and crawl", "reviews", _AMAZON, """left("reviews.date", 4) = '2015'""",
           _IN_2016, "", _NO_CRAWL),
    _half(_HOME, "relevance", "id", 0),
    replace(_half(_HOME, "relevance", "search_term", 0,
            "Not one query stands in both halves, and each stands in a handful of rows: the halves do differ, and "
            "every test takes rows as drawn one by one. Who splits or samples by such a key will see this."),
            drifts=True),
    Pair("home_depot_query_product: keywords, then conversational queries", "queries", (_HOME, _CONVERSATIONS),
         _KEYWORDS + "order by search_term, id", _TALKED, drifts=True,
         note="Each search term once. The columns are renamed to `query_id` and `query`, and other ones left out."),
    Pair("esci_ubi_queries: keywords, then conversational queries", "queries", (_UBI, _CONVERSATIONS),
         "select query_id, user_query as query from esci_ubi_queries", _TALKED, drifts=True, tested=True),
    _half(_OFFERS, "products", "product_id", 0),
    _split("Freezers against Fridges", "products", _OFFERS, "category_label = 'Fridges'",
           "category_label = 'Freezers'", ""),
    _split("Freezers against Fridges, titles alone", "products", _OFFERS, "category_label = 'Fridges'",
           "category_label = 'Freezers'", "The columns that name the category and the product are left out.",
           "product_id, product_title, merchant_id"),
    _split("Mobile Phones against all others", "products", _OFFERS, "category_label <> 'Mobile Phones'",
           "category_label = 'Mobile Phones'", ""),
    replace(_half(_MYNTRA, "products", "ProductID", 0,
            "Five of six rows break a rule, most often that of a space before the colour: few are left."),
            tested=True),
    _split("Women against Men", "products", _MYNTRA, "Gender = 'Men'", "Gender = 'Women'", ""),
    replace(_split("up to 2019, then 2020", "reviews", _REVIEWS, "year(Date) < 2020", "year(Date) = 2020",
            "One review is of 2011 and none of the five years after it, so the file holds no 2011–2016 to compare "
            "with. A few dozen good rows a side tell of large changes only: that nothing is found says little."),
            drifts=None),
)  # fmt: skip


@dataclass(frozen=True)
class Repeated:
    """One comparison, made anew with every seed."""

    name: str
    pair: Callable[[int], Pair]
    drifts: bool


REPEATS = 20
REPEATED = (
    Repeated("womens_clothing_reviews: two halves", partial(_half, _CLOTHES, "reviews", "row"), False),
    Repeated("pricerunner_aggregate: two halves", partial(_half, _OFFERS, "products", "product_id"), False),
    Repeated("myntra_catalog: two halves", partial(_half, _MYNTRA, "products", "ProductID"), False),
    Repeated("nike_customer_reviews_kaggle: two halves", partial(_half, _REVIEWS, "reviews", "Content"), False),
    *(
        Repeated(f"womens_clothing_reviews: 5 % {department} among Tops", partial(_mixture, department, 5), True)
        for department in ("Dresses", "Bottoms", "Intimate")
    ),
)


@dataclass(frozen=True)
class Outcomes:
    """A pair of batches, compared."""

    pair: Pair
    reference_rows: int
    """Rows of the reference's file; those that break no rule are in `result.drift`."""
    result: CheckResult
    again: EdgeCaseSection | None
    """Of the same file, checked once more; None where it was not."""


def compare_pair(data: Path, pair: Pair, *, settings: Settings = Settings(), twice: bool = True) -> Outcomes:
    """Set the one batch as the reference and check the other, in a project that knows `settings` and nothing else."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        project = Project(place, settings)
        rows = _cut_out(data, pair, place)
        set_reference(place / "reference.parquet", Reading(pair.kind), project)
        result = shopmon.check(place / "current.parquet", kind=pair.kind, project=project)
        again = shopmon.check(place / "current.parquet", kind=pair.kind, project=project) if twice else None
    return Outcomes(pair, rows, result, again.edge_cases if again else None)


def _cut_out(data: Path, pair: Pair, place: Path) -> int:
    """Write both batches as parquet; the rows of the reference."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")  # rows stay in order
        for file in pair.files:
            connection.from_query(f"from '{data / file}'").create_view(Path(file).stem)
        for name in ("current", "reference"):
            connection.execute(f"copy ({getattr(pair, name)}) to '{place / name}.parquet'")
        found = connection.execute(f"select count(*) from '{place / 'reference'}.parquet'").fetchone()
    if found is None:
        raise AssertionError("an aggregate has one row")
    return int(found[0])


@dataclass(frozen=True)
class Alarms:
    """How often one comparison raised an alarm."""

    repeated: Repeated
    times: int
    alarms: int
    """Runs in which at least one column drifted."""
    columns: Counter[str]
    """Column → alarms."""
    evidently: int
    """Runs in which Evidently called at least one column drifted, by its own thresholds."""


def repeat(data: Path, repeated: Repeated, pool: ProcessPoolExecutor, times: int = REPEATS) -> Alarms:
    """Make a comparison with as many seeds; edge cases, which take no part in the answer, are left out."""
    pairs = [repeated.pair(seed) for seed in range(1, times + 1)]
    found = list(pool.map(_alarms, [data] * times, pairs))
    columns = Counter(column for ours, _ in found for column in set(ours))
    return Alarms(repeated, times, sum(bool(ours) for ours, _ in found), columns, sum(theirs for _, theirs in found))


def _alarms(data: Path, pair: Pair) -> tuple[list[str], bool]:
    settings = Settings(edge_cases=EdgeCaseSettings(defaults=False))
    drift = compare_pair(data, pair, settings=settings, twice=False).result.drift
    return [c.column for c in drift.drifted], any(bool(c.evidently and c.evidently.drifted) for c in drift.columns)


# --- the page -------------------------------------------------------------------------------------------------------


def page(
    checked: Sequence[Checked],
    provenance: dict[str, dict[str, str]],
    today: str,
    compared: Sequence[Outcomes] = (),
    alarms: Sequence[Alarms] = (),
) -> str:
    """The document, as Markdown."""
    findings = [finding for one in checked for finding in one.findings]
    found = sum(finding.found for finding in findings)
    parts = [
        "# What shopmon finds in real data",
        f"`python docs/real_data.py` wrote this page on {today} with shopmon {shopmon.__version__}: "
        f"{len(checked)} checks and {len(compared)} comparisons with what comes with shopmon, and no configuration. "
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
        *pairs_page(compared, alarms),
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


def _quoted(value: Any, longest: int = LONGEST_EXAMPLE) -> str:
    if value is None:
        return "no value"
    if isinstance(value, dict):
        value = " / ".join(str(held) for held in value.values())
    text = str(value)
    shown = text if text and text == text.strip() and text.isprintable() else repr(text)
    cut = shown if len(shown) <= longest else shown[: longest - 1] + "…"
    return "`" + cut.replace("`", "'").replace("|", "\\|") + "`"


def _short(check: Check) -> str:
    return Path(check.file).stem + (f" as {check.kind}" if check.kind else "")


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


# --- the page: pairs ------------------------------------------------------------------------------------------------


def pairs_page(compared: Sequence[Outcomes], alarms: Sequence[Alarms]) -> list[str]:
    """The paragraphs about what changed and which rows to learn from."""
    known = [one for one in compared if one.pair.drifts is not None]
    right = sum(_drifted(one) == one.pair.drifts for one in known)
    return [
        "## What changed, and which rows to learn from",
        "Batches are cut out of the same files, one is set as the reference (`shopmon reference set`), and the other "
        "is checked, with no setting. Only rows that break no rule are compared, and asked for edge cases. Halves "
        f"dealt at random are to be found stable, and other pairs changed: {right} of {len(known)} are. Of files whose "
        "terms are unknown or forbid it, the page has single words and counts, and no other value.",
        _summary_table(compared),
        "*changed*: columns; a column counts once, however many of its tests found something. *Evidently*: columns "
        "that Evidently calls drifted by its own thresholds, on at most 5,000 rows a side. *edge cases*: rows; each "
        "rule chooses at most 1,000 of a batch. *gathered*: different texts of them, in the retraining set.",
        "### How often is an alarm raised?",
        f"The same comparisons with {REPEATS} seeds each. shopmon promises false alarms in at most 5 % of checks, over "
        "all columns; Evidently's thresholds promise nothing of the kind. That level is shared by all comparisons of a "
        "check, so that a small change of the texts alone is found less often than by a test of the texts alone.",
        _alarms_table(alarms),
        *(part for one in compared for part in (f"### {one.pair.name}", pair_section(one))),
        "### The same file again",
        "Every batch was checked a second time in the same project. Of the rows selected then, the retraining set "
        f"took {sum(one.again.added for one in compared if one.again):,}: each text is kept once.",
        "None of these files holds predictions, so the rules for labels and confidence, and concept drift, had "
        "nothing to examine.",
        "The tests compare the sections of " + ", ".join(f"*{one.pair.name}*" for one in compared if one.pair.tested)
        + " with what is found today; all else here is as `make docs` found it.",
    ]  # fmt: skip


def pair_section(one: Outcomes) -> str:
    """What is said of one pair: rows, columns that drifted, words, Evidently, edge cases."""
    drift, result = one.result.drift, one.result
    rows = (
        f"Reference: {drift.reference_rows:,} good rows of {one.reference_rows:,}. "
        f"Batch: {result.rows - result.quarantined:,} of {result.rows:,}."
    )
    parts = [f"{one.pair.note} {rows}".strip(), _drift_said(one)]
    words = _words_table(drift.drifted)
    only_evidently = _only_evidently(one)
    return "\n\n".join(part for part in (*parts, words, only_evidently, _edge_cases_said(one)) if part)


def _drifted(one: Outcomes) -> bool:
    return one.result.drift.status is DriftStatus.DRIFTED


def _summary_table(compared: Sequence[Outcomes]) -> str:
    lines = []
    for one in compared:
        drift, cases, again = one.result.drift, one.result.edge_cases, one.again
        tested = {c.column for c in drift.columns if c.tested}
        evidently = {c.column for c in drift.columns if c.evidently and c.evidently.drifted}
        right = "" if _drifted(one) == one.pair.drifts else ", **not as expected**"
        right = ", too few rows to tell" if one.pair.drifts is None else right
        lines.append((one.pair.name, f"{drift.reference_rows:,}", f"{one.result.rows - one.result.quarantined:,}",
                      f"{len({c.column for c in drift.drifted})} of {len(tested)}", len(evidently),
                      f"{drift.status}{right}", f"{cases.selected:,}", f"{cases.retraining_set_rows:,}",
                      "" if again is None else f"{again.added:,}"))  # fmt: skip
    head = ("pair", "reference", "batch", "changed", "Evidently", "verdict", "edge cases", "gathered", "again: new")
    return _table(head, lines)


def _alarms_table(alarms: Sequence[Alarms]) -> str:
    lines = []
    for one in alarms:
        columns = ", ".join(f"`{name}` {times}" for name, times in one.columns.most_common(4))
        told = "changes" if one.repeated.drifts else "is stable"
        lines.append((one.repeated.name, told, f"{one.alarms} of {one.times}", columns,
                      f"{one.evidently} of {one.times}"))  # fmt: skip
    return _table(("comparison", "in truth", "alarms", "of which columns", "Evidently's alarms"), lines)


def _drift_said(one: Outcomes) -> str:
    drift = one.result.drift
    if not drift.drifted:
        tested = [c for c in drift.columns if c.tested]
        return f"{str(drift.status).capitalize()}: no change in {len(tested)} comparisons."
    lines = [
        (f"`{c.column}`", c.test, _said(c, one.pair), f"{c.effect_name} {c.effect:.2g}", _p(c.p_adjusted),
         "; ".join(_place(s.segment, s.share, one.pair) for s in c.sits_in), _evidently(c, drift.columns))
        for c in drift.drifted
    ]  # fmt: skip
    return _table(("column", "test", "what changed", "effect", "p", "sits mostly in", "Evidently"), lines)


def _said(column: DriftColumn, pair: Pair) -> str:
    """The command's own clause, in which a closed file's values are not told; words of texts are."""
    shown = pair.shows_values or column.sort == "text"
    said = column.said if shown else re.sub('"(?!(?:true|false)").*"', "one value", column.said)
    return _quoted(said, longest=200)


def _place(segment: str, share: float, pair: Pair) -> str:
    named = segment if pair.shows_values else f"{segment.partition(' = ')[0]} = one value"
    return f"{_quoted(named)} ({share:.0%} of rows)".replace("%", " %")


def _p(p: float) -> str:
    """A bound for a p-value, in which no machine's last digits can be seen."""
    if p < 1e-99:
        return "< 1e-99"
    bound = 10.0 ** math.ceil(math.log10(p))
    return f"< {min(bound, 0.05):g}"


def _evidently(column: DriftColumn, columns: Sequence[DriftColumn]) -> str:
    """Evidently's verdict on a column, which it gives once, whatever shopmon asks of it."""
    measured = next((c.evidently for c in columns if c.column == column.column and c.evidently), None)
    if measured is None or measured.value is None or measured.threshold is None:
        return "not measured"
    return f"{measured.method} {measured.value:.2f}: {'drifted' if measured.drifted else 'stable'}"


def _only_evidently(one: Outcomes) -> str:
    ours = {c.column for c in one.result.drift.drifted}
    told: dict[str, str] = {}
    for c in one.result.drift.columns:
        if c.evidently and c.evidently.drifted and c.column not in ours:
            told.setdefault(c.column, f"`{c.column}` ({_evidently(c, (c,)).partition(':')[0]}; {_said(c, one.pair)})")
    return f"Evidently alone calls drifted: {', '.join(told.values())}." if told else ""


def _words_table(drifted: Sequence[DriftColumn], most: int = 8) -> str:
    lines = [
        (
            f"`{c.column}`",
            ", ".join(f"{w.word} {_percent(w.reference)} → {_percent(w.current)}" for w in c.words[:most]),
        )
        for c in drifted
        if c.words
    ]
    return _table(("texts", "words, with the share of texts that hold them (%)"), lines) if lines else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")


def _edge_cases_said(one: Outcomes) -> str:
    cases = one.result.edge_cases
    reasons = ", ".join(f"{count:,} `{reason}`" for reason, count in cases.by_reason.items())
    roles = ", ".join(f"{count:,} {role}" for role, count in cases.by_role.items())
    left_out = f" {cases.left_out:,} times `candidates` kept a rule from a row." if cases.left_out else ""
    again = f"; the same file again adds {one.again.added:,}" if one.again else ""
    return (
        f"Edge cases: {cases.selected:,} of {cases.looked_at:,} rows ({reasons or 'no rule'}; {roles or 'no role'})."
        f"{left_out} The retraining set holds {cases.retraining_set_rows:,} texts{again}."
    )


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
    compared = []
    for pair in PAIRS:
        compared.append(compare_pair(settings.data, pair))
        print(f"{pair.name}: {compared[-1].result.drift.status}", file=sys.stderr)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        alarms = [_told(repeat(settings.data, repeated, pool)) for repeated in REPEATED]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    settings.out.write_text(page(checked, provenance, today, compared, alarms), encoding="utf-8")


def _told(alarms: Alarms) -> Alarms:
    print(f"{alarms.repeated.name}: alarms in {alarms.alarms} of {alarms.times}", file=sys.stderr)
    return alarms


if __name__ == "__main__":
    main()
