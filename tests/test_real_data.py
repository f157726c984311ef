"""Do the built-in suites, and the comparison with a reference, find what real data is known to have?

Needs the files that docs/real_data.py checks. Of its pairs of batches, those marked `tested` are made here again.
"""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from monitor.results import DriftColumn

ROOT = Path(__file__).parents[1]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_data", ROOT / "docs" / "real_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


real_data: Any = _script()


@pytest.fixture(scope="module")
def data() -> Path:
    folder: Path = real_data.DATA
    if not (folder / "provenance.csv").is_file():
        pytest.skip("the real data does not stand beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="module")
def provenance(data: Path) -> dict[str, dict[str, str]]:
    with (data / "provenance.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def checked(data: Path) -> list[Any]:
    return list(real_data.check_all(data))


@pytest.fixture(scope="module")
def compared(data: Path) -> list[Any]:
    return [real_data.compare_pair(data, pair) for pair in real_data.PAIRS if pair.tested]


def test_every_problem_belongs_to_a_file_that_is_checked() -> None:
    assert {problem.check for problem in real_data.PROBLEMS} <= {check.name for check in real_data.CHECKS}


def test_a_count_that_differs_from_the_listed_one_says_why() -> None:
    assert [p.what for p in real_data.PROBLEMS if p.counted is not None and not p.why] == []


@pytest.mark.slow
@pytest.mark.parametrize("problem", real_data.PROBLEMS, ids=lambda p: f"{Path(p.check).stem}: {p.what}")
def test_a_listed_problem_is_found(problem: Any, checked: list[Any]) -> None:
    (finding,) = [f for one in checked for f in one.findings if f.problem == problem]
    assert finding.found, finding
    assert problem.listed is None or finding.agrees, f"{finding.counted} {problem.unit}, listed: {problem.listed}"


@pytest.mark.slow
def test_every_file_can_be_examined_without_configuration(checked: list[Any]) -> None:
    assert [(one.check.name, r.id, r.reason) for one in checked for r in one.result.unexaminable] == []


@pytest.mark.slow
def test_values_are_shown_only_of_files_whose_terms_allow_it(provenance: dict[str, dict[str, str]]) -> None:
    closed = ("unknown", "not stated", "competition", "non-commercial")
    shown = [provenance[check.file]["terms"] for check in real_data.CHECKS if check.shows_values]
    assert [terms for terms in shown if any(word in terms for word in closed)] == []


@pytest.mark.slow
def test_the_page_holds_no_value_of_the_other_files(checked: list[Any], provenance: dict[str, dict[str, str]]) -> None:
    page = real_data.page(checked, provenance, "today")
    closed = [one for one in checked if not one.check.shows_values]
    held = {str(r.example.value) for one in closed for r in one.result.expectations if r.example}
    texts = [text for text in held if len(text) > 12]  # a flag, a number, one word: nobody's text
    assert texts
    assert [text for text in texts if text[:20] in page] == []


@pytest.mark.slow
def test_the_page_in_docs_says_what_is_found_today(checked: list[Any]) -> None:
    assert real_data.listed_table(checked) in real_data.PAGE.read_text(encoding="utf-8"), "run: make docs"


def test_pairs_are_cut_out_of_files_that_are_checked_and_have_names_of_their_own() -> None:
    checked = {check.file for check in real_data.CHECKS}
    assert {file for pair in real_data.PAIRS for file in pair.files} <= checked
    names = [pair.name for pair in real_data.PAIRS]
    assert len(set(names)) == len(names)


def test_pairs_that_change_and_pairs_that_do_not_are_tested() -> None:
    assert {pair.drifts for pair in real_data.PAIRS if pair.tested} == {True, False}


@pytest.mark.slow
def test_drift_is_found_where_a_pair_changes_and_nowhere_else(compared: list[Any]) -> None:
    found = {one.pair.name: str(one.result.drift.status) for one in compared}
    assert found == {one.pair.name: "drifted" if one.pair.drifts else "stable" for one in compared}


@pytest.mark.slow
def test_the_words_that_a_mixture_brings_are_told_of_it(compared: list[Any]) -> None:
    (mixed,) = [one for one in compared if "Intimate among Tops" in one.pair.name]
    words = {w.word: w for c in mixed.result.drift.drifted for w in c.words}
    assert {"these", "suit"} <= set(words)
    assert all(words[word].current > words[word].reference for word in ("these", "suit"))


@pytest.mark.slow
def test_a_real_batch_that_is_checked_twice_adds_its_edge_cases_once(compared: list[Any]) -> None:
    added = {one.pair.name: (one.result.edge_cases.added > 0, one.again.added) for one in compared}
    assert added == {one.pair.name: (True, 0) for one in compared}
    assert [one for one in compared if one.again.retraining_set_rows != one.result.edge_cases.retraining_set_rows] == []


@pytest.mark.slow
def test_the_page_in_docs_says_what_pairs_of_batches_say_today(compared: list[Any]) -> None:
    page = real_data.PAGE.read_text(encoding="utf-8")
    sections = {one.pair.name: f"### {one.pair.name}\n\n{real_data.pair_section(one)}\n" for one in compared}
    assert [name for name, section in sections.items() if section not in page] == [], "run: make docs"


@pytest.mark.slow
def test_pairs_of_closed_files_show_no_value(compared: list[Any]) -> None:
    closed = [one for one in compared if not one.pair.shows_values]
    shown = "".join(real_data.pair_section(one) for one in closed)
    columns = [c for one in closed for c in one.result.drift.columns if c.sort == "category"]
    assert columns
    values = {match for c in columns for match in re.findall('"(.+)"', c.said)}
    values |= {s.segment.partition(" = ")[2] for one in closed for c in one.result.drift.columns for s in c.sits_in}
    assert [value for value in values if len(value) > 3 and value in shown] == []


def test_what_a_closed_file_says_of_a_category_has_no_value_in_it() -> None:
    pair = next(pair for pair in real_data.PAIRS if not pair.shows_values)
    column = _column("brand", "category", '"The "8" Tablet" 11 → 99 %')
    assert real_data._said(column, pair) == "`one value 11 → 99 %`"
    assert real_data._place("brand = The Tablet", 0.5, pair) == "`brand = one value` (50 % of rows)"


def test_single_words_of_a_closed_file_are_told_with_their_rates() -> None:
    pair = next(pair for pair in real_data.PAIRS if not pair.shows_values)
    assert real_data._said(_column("text", "text", '"voyage" 3.1 → 0 %'), pair) == '`"voyage" 3.1 → 0 %`'


def _column(name: str, sort: str, said: str) -> DriftColumn:
    return DriftColumn(name, None, sort, "a test", 0.0, 0.0, 1.0, "an effect", 0.1, True, said, 10, 10)
