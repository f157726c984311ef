"""Does the house stand: one version, honest pins, one place for its five packages, names that mean one thing?"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import shopmon

ROOT = Path(__file__).parents[2]
PACKAGES = ("shopmon", "expectations", "monitor", "retrain", "dashboards")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
}
EXTRAS = PROJECT["optional-dependencies"]
DEPENDENCIES = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]

AS_INSTALLED_EDITABLE = """
import importlib.util, sys, pathlib
root = pathlib.Path({root!r})
class Finder:  # as setuptools installs it: asked only after every folder of sys.path
    @staticmethod
    def find_spec(name, path=None, target=None):
        file = root / name / "__init__.py"
        return importlib.util.spec_from_file_location(name, file) if path is None and file.exists() else None
sys.meta_path.append(Finder)
import shopmon
"""


def python(code: str, folder: Path, *options: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `code` as a person would in `folder`, which Python then searches first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if path:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_the_version_stands_the_same_in_both_places():
    assert shopmon.__version__ == PROJECT["version"]


@pytest.mark.parametrize("line", DEPENDENCIES)
def test_every_dependency_is_pinned_within_its_bounds(line):
    wanted = Requirement(line)
    assert wanted.specifier.contains(PINS[canonicalize_name(wanted.name)])


def imported(file: Path) -> Iterator[str]:
    """The top-level modules that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_a_package_imports_is_declared(package):
    declared = {canonicalize_name(Requirement(line).name) for line in DEPENDENCIES}
    names = {name for file in (ROOT / package).rglob("*.py") for name in imported(file)}
    foreign = names - set(sys.stdlib_module_names) - set(PACKAGES) - {"pydantic_core"}  # pydantic's own other half
    distributions = packages_distributions()
    undeclared = {
        name for name in foreign if not declared & {canonicalize_name(d) for d in distributions.get(name, [name])}
    }
    assert undeclared == set()


def test_the_training_library_is_pinned_to_the_version_that_was_tried():
    assert PINS["torch"] == "2.13.0"


def test_importing_shopmon_where_nothing_hides_its_packages_works(tmp_path):
    done = python("import shopmon; print(shopmon.__file__)", tmp_path, path=ROOT)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "shopmon" / "__init__.py"


@pytest.mark.parametrize("name", PACKAGES[1:])
def test_a_file_that_hides_a_package_is_named(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was run')", encoding="utf-8")
    done = python("import shopmon", tmp_path, path=ROOT)
    assert done.returncode == 1
    assert f"ImportError: {tmp_path / name}.py hides shopmon's package '{name}'" in done.stderr
    assert "Rename it" in done.stderr


def test_a_folder_that_hides_a_package_of_an_editable_install_is_named(tmp_path):
    (tmp_path / "dashboards").mkdir()
    done = python(AS_INSTALLED_EDITABLE.format(root=str(ROOT)), tmp_path, "-S")
    assert done.returncode == 1
    assert f"ImportError: {tmp_path / 'dashboards'} hides shopmon's package 'dashboards'" in done.stderr


def test_a_module_made_by_hand_under_our_name_is_told(tmp_path):
    code = "import sys, types; sys.modules['monitor'] = types.ModuleType('monitor'); import shopmon"
    assert "made by hand> hides shopmon's package 'monitor'" in python(code, tmp_path, path=ROOT).stderr


def test_half_an_installation_is_told(tmp_path):
    (tmp_path / "shopmon").mkdir()
    (tmp_path / "shopmon" / "__init__.py").write_bytes((ROOT / "shopmon" / "__init__.py").read_bytes())
    done = python("import shopmon", tmp_path, "-S")
    assert "shopmon's package 'expectations' is missing" in done.stderr
    assert "Install shopmon again" in done.stderr


def test_no_module_takes_the_place_of_a_public_name():
    modules = {file.stem for file in (ROOT / "shopmon").glob("*.py")}
    assert not modules & set(shopmon.__all__)


@pytest.mark.parametrize("name", sorted(set(shopmon.__all__) - {"__version__"}))
def test_a_public_name_is_the_thing_itself_in_whatever_order_modules_are_loaded(name):
    home = import_module(shopmon._HOMES[name])
    assert getattr(shopmon, name) is getattr(home, name)
    assert callable(getattr(shopmon, name))


def test_a_name_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(AttributeError, match=r"no attribute 'chekc'; it has .*check"):
        _ = shopmon.chekc
