"""Do the lists, tables and examples of the documentation say what the code does?"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.registry import get_expectation_impl, list_registered_expectation_implementations
from ruamel.yaml import YAML

import shopmon
from expectations import suite as suites
from expectations.batch import open_batch
from expectations.errors import SuiteError
from expectations.judge import check_suite
from expectations.kinds import KINDS, Holds, Kind
from expectations.own_rules import OWN_RULES
from expectations.planning import RULES
from expectations.results import ExpectationResult
from expectations.row_condition import read_condition
from expectations.sources import _EXTENSIONS
from expectations.suite import load_suite
from monitor.concept_drift import Detector
from monitor.drift import LANGUAGE
from monitor.edge_case_rules import Role, Rule, default_rules, parse_rules
from monitor.evidently_report import EvidentlySettings
from monitor.formula import FormulaError, check, parse
from monitor.profiles import BUCKETS, WORD_BUCKETS, ProfileSettings, Sort
from monitor.results import Alarm, ConceptSection, DriftColumn, DriftSection, EdgeCaseSection
from monitor.retraining_set import LABELS, ROWS, RetrainingSet
from monitor.reviews import ROLES, Verdict
from monitor.runs import RunStore
from monitor.shift_tests import ShiftSettings
from monitor.signals import ASKING, SIGNALS, Words
from monitor.text_shift import TextSettings, compare_texts
from retrain.settings import Prompts
from shopmon.cli import app
from shopmon.demo_project import prepare
from shopmon.outcome import CheckResult
from shopmon.project import Project
from shopmon.sample_data import reviews
from shopmon.settings import ClassifierSection, Settings

ROOT = Path(__file__).parents[1]
PACKAGES = ("expectations", "monitor", "retrain", "shopmon", "dashboards")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
EXPECTATIONS, KINDS_PAGE, PYTHON, CONTRIBUTING, DRIFT, EDGE_CASES, CLI = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in (
        "docs/expectations.md",
        "docs/kinds.md",
        "docs/python.md",
        "CONTRIBUTING.md",
        "docs/drift.md",
        "docs/edge-cases.md",
        "docs/cli.md",
    )
)


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    marks = heading.split(" ")[0]
    _, found, rest = page.partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    return re.split(rf"^#{{1,{len(marks)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def table(text: str) -> Iterator[list[str]]:
    """The cells of the rows of the first table."""
    found = re.search(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    assert found, "there is no table"
    for row in found[1].splitlines():
        yield [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split(" | ")]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table."""
    return [list(table(found)) for found in re.findall(r"^\|.*\n\|[-|]+\|\n(?:\|.*\n?)+", text, re.MULTILINE)]


def plain(cell: str) -> str:
    """A cell without the marks of code, and its bars as they are."""
    return cell.strip("`").replace("\\|", "|")


def codes(text: str) -> list[str]:
    """What stands in backticks, outside blocks."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


# --- links ----------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
    lost = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


# --- expectations.md ------------------------------------------------------------------------------------------------


def named(heading: str) -> Counter[str]:
    """The types of rules that a section lists."""
    found = codes(section(EXPECTATIONS, heading))
    return Counter(name for name in found if name.startswith("expect_") or name == "unexpected_rows_expectation")


def great_expectations_own() -> set[str]:
    """The types that Great Expectations brings."""
    return {
        name
        for name in list_registered_expectation_implementations()
        if get_expectation_impl(name).__module__.startswith("great_expectations.")
    }


def test_the_page_lists_exactly_the_rules_that_the_scan_counts() -> None:
    assert named("### In the scan") == Counter(RULES.keys() - OWN_RULES.keys())
    assert {cells[0].strip("`") for cells in table(section(EXPECTATIONS, "## shopmon's own expectations"))} == set(
        OWN_RULES
    )


def test_the_page_lists_every_other_rule_of_great_expectations_once() -> None:
    elsewhere = named("### On Great Expectations' own engine") + named("### Not at all")
    assert elsewhere == Counter(great_expectations_own() - RULES.keys())


WORKS_ON = """
expectations:
- type: expect_column_kl_divergence_to_be_less_than
  kwargs: {column: text, partition_object: {values: [a], weights: [1]}, threshold: 9}
- type: expect_column_pair_values_to_be_in_set
  kwargs: {column_A: n, column_B: m, value_pairs_set: [[1, 2]]}
- type: expect_column_type_to_be
  kwargs: {column: text, type_: str}
- type: expect_column_values_to_be_of_type
  kwargs: {column: text, type_: object}
- type: expect_column_values_to_be_in_type_list
  kwargs: {column: n, type_list: [int64]}
- type: expect_column_value_z_scores_to_be_less_than
  kwargs: {column: n, threshold: 1, double_sided: true}
- type: expect_column_values_to_not_be_outliers
  kwargs: {column: n}
- type: expect_column_values_to_be_increasing
  kwargs: {column: n}
- type: expect_column_values_to_be_decreasing
  kwargs: {column: n}
- type: expect_column_values_to_be_dateutil_parseable
  kwargs: {column: text}
- type: expect_column_values_to_match_strftime_format
  kwargs: {column: text, strftime_format: '%Y'}
- type: expect_column_values_to_be_json_parseable
  kwargs: {column: text}
- type: expect_column_values_to_match_json_schema
  kwargs: {column: json, json_schema: {type: object}}
- type: expect_multicolumn_sum_to_equal
  kwargs: {column_list: [n, m], sum_total: 3}
- type: expect_multicolumn_values_to_be_equal
  kwargs: {column_list: [n, m]}
"""
WORKS_NOT = """
expectations:
- type: expect_column_values_to_match_like_pattern
  kwargs: {column: text, like_pattern: 'a%'}
- type: expect_column_values_to_not_match_like_pattern
  kwargs: {column: text, like_pattern: 'a%'}
- type: expect_column_values_to_match_like_pattern_list
  kwargs: {column: text, like_pattern_list: ['a%']}
- type: expect_column_values_to_not_match_like_pattern_list
  kwargs: {column: text, like_pattern_list: ['a%']}
- type: unexpected_rows_expectation
  kwargs: {unexpected_rows_query: 'select * from {batch}'}
- type: expect_query_results_to_match_comparison
  kwargs: {base_query: select 1, comparison_query: select 1, comparison_data_source_name: shop}
- type: expect_table_row_count_to_equal_other_table
  kwargs: {other_table_name: reviews}
"""


@pytest.mark.parametrize(
    ("written", "heading", "outcomes"),
    [
        (WORKS_ON, "### On Great Expectations' own engine", {"passed", "failed"}),
        (WORKS_NOT, "### Not at all", {"error"}),
    ],
)
def test_rules_that_are_not_compiled_end_as_the_page_says(tmp_path, written, heading, outcomes) -> None:
    rows = pa.table({"text": ["a", "b", "2018"], "n": [1, 2, 4], "m": [2, 1, 2], "json": ["{}", "{}", "[]"]})
    suite = tmp_path / "suite.yaml"
    suite.write_text(written, encoding="utf-8")
    answers = shopmon.check(rows, suite=suite, project=shopmon.Project(tmp_path)).expectations
    assert Counter(answer.type for answer in answers) == named(heading)
    assert {answer.outcome.value for answer in answers} == outcomes


@pytest.mark.parametrize("name", sorted(OWN_RULES))
def test_the_page_names_every_argument_of_an_own_expectation(name) -> None:
    row = next(cells for cells in table(section(EXPECTATIONS, "## shopmon's own expectations")) if name in cells[0])
    told = dict(re.findall(r"`(\w+)`(?: = (\w+))?", row[1]))
    known = get_expectation_impl(name).__fields__
    everywhere = {*BatchExpectation.__fields__, "mostly", "row_condition", "condition_parser"}
    assert set(told) == set(known) - everywhere
    in_words = {"learnt": "None", "none": "None", "now": "None", "": "None"}
    assert {field: in_words.get(default, default) for field, default in told.items()} == {
        field: str(known[field].default) for field in told
    }


@pytest.mark.parametrize("keys", ["_SUITE_KEYS", "_RULE_KEYS", "_META_KEYS"])
def test_the_page_explains_every_key_of_a_suite(keys) -> None:
    explained = codes(section(EXPECTATIONS, "## The file"))
    wanted = {key if keys != "_META_KEYS" else f"meta.{key}" for key in getattr(suites, keys)} - {"meta"}
    assert wanted - set(explained) == set()


def test_the_suites_on_the_pages_are_understood(tmp_path) -> None:
    shown = [block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"), "yaml")]
    whole = [block if "expectations:" in block else f"expectations:\n{block}" for block in shown if "- type:" in block]
    assert len(whole) >= 2
    for number, block in enumerate(whole):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        check_suite(load_suite(path))


def test_the_row_conditions_on_the_page_are_understood() -> None:
    one_line, several = blocks(section(EXPECTATIONS, "### Row conditions"), "yaml")
    written = [YAML(typ="safe").load(text)["row_condition"] for text in [*one_line.splitlines(), several]]
    assert [read_condition(condition)["type"] for condition in written] == ["comparison", "nullity", "nullity", "and"]


STRICTNESS = section(EXPECTATIONS, "## A suite is read strictly")


@pytest.mark.parametrize("cells", list(table(STRICTNESS)), ids=lambda cells: cells[1][:50])
def test_what_a_suite_must_not_say_is_refused_in_these_words(tmp_path, cells) -> None:
    path = tmp_path / "suite.yaml"
    written = cells[0].strip("`")
    path.write_text(written if "expectations:" in written else f"expectations:\n- {written}", encoding="utf-8")
    with pytest.raises(SuiteError) as refused:
        check_suite(load_suite(path))
    assert re.sub(r"^.*?suite\.yaml(, line \d+:)? ", "", str(refused.value)) == cells[1]


# --- kinds.md -------------------------------------------------------------------------------------------------------


def roles(kind: Kind) -> str:
    """The table of a kind's roles, as the page has it."""
    rows = ["| role | holds | recognised names |", "|---|---|---|"]
    for role in kind.roles:
        rows.append(f"| `{role.name}` | {role.holds} | {', '.join(n for n in role.names if n != role.name)} |")
    return "\n".join(rows)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_page_lists_the_roles_and_names_of_a_kind(kind: Kind) -> None:
    assert roles(kind) in section(KINDS_PAGE, f"### {kind.name}")


def test_the_page_says_what_each_kind_cannot_be_without() -> None:
    told = {cells[0].strip("`"): set(codes(cells[2])) for cells in table(KINDS_PAGE)}
    assert told == {kind.name: {role for group in kind.needs for role in group} for kind in KINDS}


def test_the_page_names_every_extension() -> None:
    files = next(cells[0] for cells in table(section(KINDS_PAGE, "## What may be checked")))
    assert set(codes(files)) == set(_EXTENSIONS)


@pytest.mark.parametrize("cells", list(table(section(KINDS_PAGE, "## What a value is read as"))), ids=lambda c: c[0])
def test_a_date_is_read_as_the_page_says(tmp_path, cells) -> None:
    frame = pa.table({"text": ["a"], "date": [cells[0].strip("`")]})
    with open_batch(frame, scratch=tmp_path) as batch:
        (read,) = batch.row_of(f"select {batch.column('date').sql} from batch")
    assert str(read or "nothing") == cells[1]


# --- python.md ------------------------------------------------------------------------------------------------------


def run(page: str) -> list[str]:
    """Run a page's Python from top to bottom, and say which `# → value` does not hold."""
    names: dict[str, object] = {}
    wrong = []
    for block in blocks(page, "python"):
        lines = block.splitlines()
        for statement in ast.parse(block).body:
            code = ast.get_source_segment(block, statement) or ""
            if not isinstance(statement, ast.Expr):
                exec(code, names)
                continue
            value = eval(code, names)
            _, arrow, told = lines[(statement.end_lineno or 1) - 1].partition("# → ")
            if arrow and repr(value) != told:
                wrong.append(f"{code} gives {value!r}, the page says {told}")
    return wrong


def test_the_python_of_the_page_runs_and_gives_what_it_says(tmp_path, monkeypatch, capsys) -> None:
    prepare(tmp_path / "demo", rows=1_000, seed=0)
    monkeypatch.chdir(tmp_path)
    assert PYTHON.count("# → ") > 20
    assert run(PYTHON) == []
    problem, advice = re.findall(r"print\(error\.\w+\) +# (.*)", PYTHON)
    assert f"{problem}\n{advice}\n" in capsys.readouterr().out


def test_the_page_names_every_argument_of_check() -> None:
    told = [name for cells in table(section(PYTHON, "## shopmon.check")) for name in codes(cells[0])]
    assert Counter(told) == Counter(inspect.signature(shopmon.check).parameters.keys())


@pytest.mark.parametrize("kind", [CheckResult, ExpectationResult])
def test_the_page_names_every_attribute_of_a_result(kind) -> None:
    public = {name for name in vars(kind) if not name.startswith("_")} | {field.name for field in fields(kind)}
    told = {name.removesuffix("()") for name in codes(section(PYTHON, "## The result"))}
    assert public - told == set()


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        (DriftSection, "## What changed"),
        (DriftColumn, "## What changed"),
        (ConceptSection, "## What changed"),
        (Alarm, "## What changed"),
        (EdgeCaseSection, "## Which rows to learn from"),
    ],
)
def test_the_page_names_every_attribute_of_drift_and_edge_cases(kind, heading) -> None:
    public = {name for name in vars(kind) if not name.startswith("_")} | {field.name for field in fields(kind)}
    assert public - set(codes(section(PYTHON, heading))) == set()


def test_the_page_names_every_public_name() -> None:
    assert {name for name in shopmon.__all__ if f"shopmon.{name}" not in PYTHON} <= {"__version__"}


# --- drift.md -------------------------------------------------------------------------------------------------------


def written_floor(cell: str) -> float | None:
    return None if cell.startswith("none") else float(cell)


def test_the_page_tells_every_comparison_with_its_test_its_effect_and_its_floor(tmp_path) -> None:
    (tmp_path / "shopmon.toml").write_text("[drift]\nevidently = false\n", encoding="utf-8")
    project = Project.of(tmp_path)
    table_of_reviews = reviews(400, seed=1, recommended=True)
    shopmon.set_reference(table_of_reviews, project=project)
    found = shopmon.check(table_of_reviews.drop_columns(["recommended"]), project=project).drift.columns
    # without a missing value on either side, their share is not tested, and then has no floor
    made = {(c.sort, c.test, c.effect_name.partition(",")[0], c.floor) for c in found if c.tested or c.sort == "date"}
    made = {row for row in made if row[1] != "missing share"}
    told = set()
    for cells in table(section(DRIFT, "## What is compared")):
        sorts = [sort.value for sort in Sort] if cells[0] == "every sort" else [plain(cells[0])]
        test, effect = codes(cells[1])[0], codes(cells[2])[0].partition(",")[0]
        told |= {(sort, test, effect, written_floor(cells[3])) for sort in sorts}
    assert made - told == set()
    assert {row[:3] for row in told if row[1] not in ("missing share", "column present")} <= {row[:3] for row in made}
    assert {"column present", LANGUAGE} <= {row[1] for row in made}
    missing = {(c.test, c.effect_name, ShiftSettings().missing_floor) for c in found if c.test == "missing share"}
    assert missing == {row[1:] for row in told if row[1] == "missing share"}


def test_the_page_names_the_statistics_of_texts() -> None:
    from monitor.profiles import text_profile

    texts = ["a warm coat", "a thin coat", "a wool dress", "it fits"] * 5
    shift = compare_texts(text_profile(texts * 2), text_profile(texts * 2), texts, texts)
    told = [plain(cells[0]) for cells in table(section(DRIFT, "## The language of the texts"))]
    assert Counter(told) == Counter(shift.tests.keys())
    assert f"{TextSettings().permutations} random relabellings" in DRIFT


def test_the_page_says_what_evidently_is_asked() -> None:
    asked = {plain(c[0]): (plain(c[1]), c[2]) for c in table(section(DRIFT, "## Evidently beside ours"))}
    settings = EvidentlySettings()
    known = {s.value: (settings.asked(s)[0], str(settings.asked(s)[1])) for s in Sort if s is not Sort.DATE}
    assert asked == {**known, Sort.DATE.value: ("none", "none")}
    assert f"{settings.rows:,} rows of each side" in DRIFT
    assert f"the {settings.categories} most frequent" in DRIFT


def test_the_page_names_the_detectors_of_concept_drift() -> None:
    detectors = [plain(cells[0]) for cells in table(section(DRIFT, "## Concept drift"))]
    assert detectors == [detector.value for detector in Detector]


def test_the_page_says_how_much_a_profile_keeps() -> None:
    kept, settings = section(DRIFT, "## The reference"), ProfileSettings()
    for number in (settings.bins, BUCKETS, settings.text_rows, WORD_BUCKETS, settings.sample_rows):
        assert f"{number:,}" in kept
    assert f"{settings.segment_values} most frequent values" in kept


# --- edge-cases.md --------------------------------------------------------------------------------------------------


def test_the_page_lists_exactly_the_signals() -> None:
    told = [[plain(cell) for cell in cells] for cells in table(section(EDGE_CASES, "## Signals"))]
    known = [*SIGNALS.values(), *ASKING.values()]
    assert told == [[signal.name, signal.holds.value, signal.says] for signal in known]
    assert next(iter(ASKING)) == "model_confidence", "the page says that from there on they ask a model"


def test_the_page_lists_the_roles_in_their_order() -> None:
    roles_told, _ = tables(section(EDGE_CASES, "## Rules"))
    assert [plain(cells[0]) for cells in roles_told] == [role.value for role in Role]


def test_the_page_lists_the_default_rules() -> None:
    _, told = tables(section(EDGE_CASES, "## Rules"))
    words = Words(*[("a",)] * 7)
    known = {name: rule for kind in KINDS for name, rule in default_rules(kind.name, words).items()}
    assert [plain(cells[0]) for cells in told] == sorted(known, key=[plain(cells[0]) for cells in told].index)
    for cells in told:
        rule = known[plain(cells[0])]
        assert (plain(cells[2]), cells[3]) == (rule.role.value, f"{rule.at_most:,}" if rule.at_most else "all")
        assert not cells[1].startswith("`") or plain(cells[1]) == rule.when
    for kind in ("reviews", "relevance"):
        only_of_this = set(default_rules(kind)) - set(default_rules("products"))
        assert only_of_this == {plain(cells[0]) for cells in told if cells[4].partition(",")[0] == kind}


@pytest.mark.parametrize("cells", list(table(section(EDGE_CASES, "## The formula").rpartition("What could")[2])))
def test_a_formula_that_cannot_be_understood_is_refused_in_these_words(cells) -> None:
    signals = {name: signal.holds for name, signal in SIGNALS.items()}
    with pytest.raises(FormulaError) as refused:
        check(parse(plain(cells[0])), {**signals, "stars": Holds.NUMBER, "text": Holds.TEXT})
    advice = refused.value.advice.partition("\n")[0]
    assert f"{refused.value.problem}. {advice}" == cells[1].replace("\\|", "|")


def test_the_page_lists_the_columns_of_the_retraining_set() -> None:
    rows = [name for cells in table(section(EDGE_CASES, "## The retraining set")) for name in codes(cells[0])]
    labels = [name for cells in table(section(EDGE_CASES, "## Labels that come late")) for name in codes(cells[0])]
    assert Counter(rows) == Counter(ROWS.names)
    assert Counter(labels) == Counter(LABELS.names)


def test_the_page_lists_the_verdicts_of_a_review() -> None:
    told = [plain(cells[0]) for cells in table(section(EDGE_CASES, "## Reviewing rows"))]
    assert told == [verdict.value for verdict in Verdict]
    assert set(ROLES) < set(codes(section(EDGE_CASES, "## Reviewing rows")))


def test_the_python_that_reviews_rows_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shopmon.toml").touch()
    found = {"text": "", "kind": "reviews", "role": "positive", "reasons": ["praise"], "batch": "3f", "file": "new.csv"}
    rows = [{**found, "text": text, "row": at} for at, text in enumerate(("Warm.", "Cold.", "Red."), 1)]
    RetrainingSet(Project.of(".").retraining).add(pa.Table.from_pylist(rows), "20261120-195801-a3f9c1")
    names: dict[str, object] = {}
    exec(blocks(section(EDGE_CASES, "## Reviewing rows"), "python")[0], names)
    with RunStore.open(Project.of(".").store_url) as store:
        assert names["standing"] == store.reviews.standing()
        assert [one.verdict for one in store.reviews.standing().values()] == [Verdict.ACCEPTED, Verdict.RELABELLED]
        assert [bool(one.withdrawn_at) for one in store.reviews.history()] == [False, False, True]


# --- shopmon.toml and cli.md ----------------------------------------------------------------------------------------


def toml_blocks() -> list[str]:
    return [block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"), "toml")]


@pytest.mark.parametrize("block", toml_blocks())
def test_the_settings_on_the_pages_are_understood(block) -> None:
    settings = Settings.model_validate(tomllib.loads(block))
    rules = {name: Rule(rule.when, Role(rule.role), rule.at_most) for name, rule in settings.edge_cases.rules.items()}
    known = [*SIGNALS, *ASKING]
    columns = {role.name for kind in KINDS for role in kind.roles}
    for formula in parse_rules(rules).values():
        assert set(formula.names) <= {*known, *columns}


def settings_of(model: type, *above: str) -> Iterator[tuple[str, ...]]:
    """Where every setting stands: ("drift", "level") …"""
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
            yield from settings_of(field.annotation, *above, name)
        else:
            yield (*above, name)


SHOWN = tomllib.loads(blocks(section(CLI, "## shopmon.toml"), "toml")[0])
OTHER_KINDS = {kind.name for kind in KINDS} - {"reviews"}


def is_shown_elsewhere(place: Sequence[str]) -> bool:
    """Whether it is the setting of another kind of data, or one that all classifiers share."""
    if place[0] != "retrain":
        return bool(OTHER_KINDS & set(place))
    return len(place) > 2 and place[1] != "relevance" and place[2] in ClassifierSection.model_fields


def test_the_page_shows_every_setting() -> None:
    missing = []
    for place in settings_of(Settings):
        inside: object = SHOWN
        for part in place:
            inside = inside.get(part) if isinstance(inside, dict) else None
        if inside is None and not is_shown_elsewhere(place):
            missing.append(place)
    assert missing == []


def test_the_page_shows_the_defaults_of_drift_edge_cases_retrain_and_store() -> None:
    floors = {
        "number_floor": ShiftSettings().number_floor,
        "category_floor": ShiftSettings().category_floor,
        "text_floor": TextSettings().floor,
    }
    known_tables = {
        name: getattr(Settings(), name).model_dump() for name in ("drift", "edge_cases", "retrain", "store")
    }
    known_tables["drift"] |= floors
    tables = [(known, SHOWN[name]) for name, known in known_tables.items()]
    tables += [(known_tables["retrain"][name], SHOWN["retrain"][name]) for name in ("objective", "gate")]
    for known, table in tables:
        shown = {key: value for key, value in table.items() if not isinstance(value, dict | list)}
        assert {key: value for key, value in shown.items() if known[key] is not None} == {
            key: known[key] for key in shown if known[key] is not None
        }


def test_the_page_shows_the_prompts(tmp_path) -> None:
    (tmp_path / "shopmon.toml").write_text(blocks(section(CLI, "## shopmon.toml"), "toml")[0], encoding="utf-8")
    assert Project.read(tmp_path).prompts == Prompts()


def sections_of_commands() -> list[tuple[str, object]]:
    """Every command's name, and the command."""

    def within(group: object, *above: str) -> Iterator[tuple[str, object]]:
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                yield from within(command, *above, name)
            else:
                yield " ".join((*above, name)), command

    return list(within(typer.main.get_command(app)))


@pytest.mark.parametrize(("name", "command"), sections_of_commands(), ids=lambda one: str(one))
def test_the_page_names_every_option_of_a_command(name, command) -> None:
    heading = re.search(rf"^## shopmon {name}\b.*$", CLI, re.MULTILINE)
    assert heading, f"there is no heading for shopmon {name}"
    told = {word for code in codes(section(CLI, heading[0])) for word in code.split() if word.startswith("-")}
    options = {parameter.opts[0] for parameter in command.params if parameter.param_type_name == "option"}
    assert options - told - {"--help"} == set()


# --- the map of the house -------------------------------------------------------------------------------------------


def question(file: Path) -> str:
    """The first sentence of a module's docstring."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert said, f"{file} does not say which question it answers"
    first = " ".join(said.split("\n\n")[0].split())
    found = re.match(r"[^?]*\?|[^.]*\.(?=\s|$)", first)
    return found[0] if found else first


def test_the_map_names_every_module_once_with_the_question_it_begins_with() -> None:
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file.stem != "__init__")
    modules = {f"| `{file.relative_to(ROOT).as_posix()}` | {question(file)} |" for file in files}
    rows = [line for line in section(CONTRIBUTING, "## The map of the house").splitlines() if ".py` |" in line]
    assert Counter(rows) == Counter(modules)


def test_the_map_names_every_package() -> None:
    floors = [cells[1].strip("`/") for cells in table(section(CONTRIBUTING, "## The map of the house"))]
    assert sorted(floors) == sorted(PACKAGES)
