"""Does `shopmon --help` answer at once?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "alembic",
    "altair",
    "datasets",
    "duckdb",
    "evidently",
    "faiss",
    "fsspec",
    "ftfy",
    "great_expectations",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "pycld2",
    "rapidfuzz",
    "requests",
    "river",
    "ruamel",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "sqlalchemy",
    "streamlit",
    "torch",
    "transformers",
    "uptrain",
    "xgboost",
)
HELP_CPU = 0.3
"""Seconds of CPU that `shopmon --help` may take, Python's own start included (bytecode written)."""

LOADED = """
import json, sys
from shopmon.cli import main
sys.argv = ["shopmon", *{arguments!r}]
try:
    code = main()
except SystemExit as end:
    code = end.code
print(json.dumps([code or 0, sorted(name for name in sys.modules if "." not in name)]), file=sys.stderr)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def loaded_by(arguments: list[str], folder: Path) -> tuple[int, set[str]]:
    """The exit code of a command line, and the top-level modules that it loaded."""
    command = [sys.executable, "-c", LOADED.format(arguments=arguments)]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60)
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert "shopmon" in loaded
    return code, set(loaded)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["check", "--help"], ["no-such-command"]])
def test_an_answer_that_needs_no_data_loads_nothing_heavy(tmp_path, arguments):
    code, loaded = loaded_by(arguments, tmp_path)
    assert code == (2 if arguments == ["no-such-command"] else 0)
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_first_answer_does_without_pydantic(tmp_path, arguments):
    _, loaded = loaded_by(arguments, tmp_path)  # a command's own help cannot: Typer reads its arguments with it
    assert "pydantic" not in loaded


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the CPU time of one process is read with wait4")
def test_help_answers_within_its_cpu_time(tmp_path):
    assert min(help_cpu(tmp_path) for _ in range(5)) <= HELP_CPU  # the least of a few: other processes share the caches


def help_cpu(folder: Path) -> float:
    """Seconds of CPU, user and system, of one `shopmon --help`."""
    with subprocess.Popen(
        [sys.executable, "-m", "shopmon", "--help"], cwd=folder, env=environment(), stdout=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime
