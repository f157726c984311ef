"""Do the built-in suites find what real data is known to have? Needs the files that docs/real_data.py checks."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
