"""A training holds numbers of its rows in memory, and not their texts."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).with_name("tiny_memory.py")
ROWS = 40_000
GIVES_BACK = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "MALLOC_MMAP_THRESHOLD_": "65536",
}
"""Settings of glibc's: what is freed goes back to the system at once, so that only what is held counts."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="the memory of a process is read from Linux's /proc"
    ),
]


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    """tests/retrain/tiny_memory.py."""
    spec = importlib.util.spec_from_file_location("tiny_memory", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("task", ["classify", "mask"])
def test_memory_does_not_grow_with_the_texts(task: str, memory: ModuleType, tiny: ModuleType, tmp_path: Path) -> None:
    base = memory.build_base(tmp_path / "base", tiny.build_model)
    make = memory.labelled if task == "classify" else memory.gathered
    make(tmp_path / "small", 3_000)
    make(tmp_path / "large", ROWS)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), task, str(base), *(str(tmp_path / one) for one in ("small", "large", "cache"))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **GIVES_BACK, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["learnt"] > 0.5 * ROWS
    assert told["grown"] < ROWS * memory.LETTERS / 2e6  # megabytes: half of the texts, and buffers are among them
