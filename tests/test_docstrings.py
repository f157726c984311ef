"""Do the examples in docstrings run, and say what they say?"""

from __future__ import annotations

import doctest
import io
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("shopmon", "expectations", "monitor", "retrain", "dashboards")


def _modules_with_examples() -> list[str]:
    """Their dotted names; files without an example are not imported, since some (migrations) run only inside a tool."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    names = (
        ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if ">>> " in file.read_text("utf-8")
    )
    return sorted(name.removesuffix(".__init__") for name in names)


@pytest.mark.parametrize("name", _modules_with_examples())
def test_docstring_examples_say_what_happens(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write files
    told = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(exclude_empty=True).find(import_module(name)):
        runner.run(example, out=told.write)
    assert runner.failures == 0, told.getvalue()
    assert runner.tries > 0, f"{name} shows an example that doctest does not find"
