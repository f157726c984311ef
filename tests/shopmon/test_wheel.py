"""Is what people install whole, and does it work where the repository is not?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("shopmon", "expectations", "monitor", "retrain", "dashboards")
NOT_SOURCES = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", ".hypothesis", ".shopmon", "__pycache__", "*.egg-info", "build", "dist", "demo"
)  # fmt: skip
REVIEWS = """Review Text,Rating,Title,Recommended IND
"The sole came loose after two runs, so I sent it back.",2,Came apart,0
Soft fabric and true to size; my daughter wears it every day.,5,Lovely,1
"Arrived a day late, but the colour is just as in the picture.",4,Good colour,1
"Too tight around the shoulders, fine otherwise.",3,Tight,1
"""

pytestmark = pytest.mark.slow


def call(*command: object, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, without this repository on Python's path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | more
    return subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=800
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the sdist of a copy of the sources: nothing of an older build can slip in."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, folder / "sources", ignore=NOT_SOURCES)
    pins = (ROOT / "constraints.txt").as_uri()  # an address, since pip would split a path at its spaces
    done = call(
        sys.executable, "-m", "build", "--outdir", folder / "dist", "sources", folder=folder, PIP_CONSTRAINT=pins
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `shopmon` command of an environment that holds the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    made = call(sys.executable, "-m", "venv", "--without-pip", "venv", folder=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "venv" / "bin" / "python"
    done = call(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"),
        *("-c", ROOT / "constraints.txt", wheel),
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    return python.parent / "shopmon"


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    sources = {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources
    assert {PurePosixPath(name).parts[0] for name in names} == set(PACKAGES)


def test_the_wheel_holds_the_suites_and_the_word_that_it_is_typed(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"expectations/suites/{kind}.yaml" for kind in ("reviews", "products", "queries", "relevance")} <= names
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_an_installed_shopmon_helps(installed, tmp_path):
    done = call(installed, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "check" in done.stdout


def test_an_installed_shopmon_checks_a_file(installed, tmp_path):
    (tmp_path / "new.csv").write_text(REVIEWS, encoding="utf-8")
    done = call(installed, "check", "new.csv", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["kind"], told["rows"], told["quarantined"]) == ("passed", "reviews", 4, 0)
    assert told["columns"]["text"] == "Review Text"


def test_an_installed_shopmon_finds_the_bad_row(installed, tmp_path):
    (tmp_path / "new.csv").write_text(REVIEWS + '"   ",9,,1\n', encoding="utf-8")
    done = call(installed, "check", "new.csv", "--json", folder=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["status"], told["quarantined"]) == (1, "failed", 1), done.stderr


def test_an_installed_shopmon_says_what_it_could_not_find(installed, tmp_path):
    done = call(installed, "check", "nowhere.csv", folder=tmp_path)
    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr
