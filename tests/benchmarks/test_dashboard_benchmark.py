"""Does the benchmark of the dashboard measure every page of it, doing what people do there?"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "dashboard.py"
TINY = {"runs": 12, "models": 1, "rows": 2_000, "width": 64, "rounds": 1}
LINE = re.compile(r"\| (?P<page>[^|]+) \| (?P<what>[^|]+) \| \d+\.\d\d \| \d+\.\d\d \| \d+\.\d\d \| (1|–) \| [^|]*\|")


def measured(*arguments):
    """What it prints for a tiny project."""
    size = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    here = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
    command = [sys.executable, str(SCRIPT), *size, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=here, cwd=ROOT, check=False)


@pytest.mark.exhaustive  # the pages themselves are tested in tests/dashboards
@pytest.mark.slow
def test_every_page_is_in_the_table_with_its_first_load_and_what_people_do(tmp_path):
    ran = measured("--folder", str(tmp_path / "shop"))
    assert ran.returncode == 0, ran.stderr
    found = [LINE.fullmatch(line) for line in ran.stdout.splitlines() if line.startswith("| ")][1:]
    assert all(found), ran.stdout
    acts = {}
    for line in found:
        acts.setdefault(line["page"], []).append(line["what"])
    app = (ROOT / "dashboards" / "app.py").read_text()
    assert list(acts) == re.findall(r'\("\w+\.py", "([^"]+)", ":', app)
    assert all(whats[:2] == ["first load", "once more"] for whats in acts.values())
    assert "accept the row" in acts["Edge cases"]
    assert "GB of memory at most" in ran.stdout
