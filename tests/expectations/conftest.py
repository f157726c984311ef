"""What do tests of this room need? A batch and a suite, asked in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations.batch import Batch, open_batch
from expectations.results import ExpectationResult, Validation
from expectations.suite import load_suite
from expectations.validation import validate


@dataclass(frozen=True)
class Answer:
    """A validation, with its quarantine read back."""

    validation: Validation
    rows: tuple[dict[str, Any], ...]
    """The quarantined rows, in the order of the file."""

    @property
    def only(self) -> ExpectationResult:
        """The answer of a suite of one rule."""
        (result,) = self.validation.results
        return result

    @property
    def numbers(self) -> list[int]:
        """The numbers of the quarantined rows."""
        return [row["shopmon_row"] for row in self.rows]

    def of(self, rule: str) -> ExpectationResult:
        """The answer of one rule."""
        return next(result for result in self.validation.results if result.id == rule)


@pytest.fixture
def suite_of(tmp_path: Path) -> Callable[[str], Path]:
    """A suite's file, from the YAML of its expectations."""

    def write(expectations: str) -> Path:
        path = tmp_path / "suite.yaml"
        path.write_text(f"name: mine\nexpectations:\n{expectations}\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Any]:
    """Open data as a batch, in a scratch folder of its own."""
    number = iter(range(1000))

    @contextmanager
    def open_in_scratch(data: Any, **options: Any) -> Iterator[Batch]:
        scratch = tmp_path / f"scratch-{next(number)}"
        scratch.mkdir()
        with open_batch(data, scratch=scratch, **options) as batch:
            yield batch

    return open_in_scratch


@pytest.fixture
def ask(tmp_path: Path, suite_of: Callable[[str], Path], opened: Callable[..., Any]) -> Callable[..., Answer]:
    """Ask a suite, given as YAML, of data; options beyond those of `open_batch` go to `validate`."""
    number = iter(range(1000))

    def run(
        data: Any, expectations: str, *, engine: str = "scan", write_good: Path | None = None, **options: Any
    ) -> Answer:
        folder = tmp_path / f"run-{next(number)}"
        folder.mkdir()
        suite = load_suite(suite_of(expectations))
        with opened(data, **options) as batch:
            validation = validate(batch, suite, folder=folder, engine=engine, write_good=write_good)
        rows = pq.read_table(validation.quarantine).to_pylist() if validation.quarantine else []
        return Answer(validation, tuple(rows))

    return run
