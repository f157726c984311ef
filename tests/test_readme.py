"""Does what README and the documentation tell people to type exist, and end as they say?

In a fenced block marked `console`, a line `$ shopmon …` is run, and what follows shows its answer. It must exit with 0;
a line `# exits 1` below it says otherwise. README's blocks run from top to bottom in one folder, after
`shopmon demo --no-retrain`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Shown:
    """One command line that a page shows."""

    line: str
    exit_code: int


def shown(page: str) -> Iterator[Shown]:
    """The `shopmon` commands in the console blocks of a page, in order."""
    for language, block in FENCE.findall(page):
        if language != "console":
            continue
        for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, answer = text.partition("\n")
            code = re.search(r"^# exits (\d+)$", answer, re.MULTILINE)
            if line.startswith("shopmon "):
                yield Shown(line.strip(), int(code[1]) if code else 0)


def commands(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    """The words of every command of a command line, groups opened: ("check",), ("reference", "set") …"""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)
        else:
            yield (*above, name)


def test_a_page_says_which_exit_code_a_command_has():
    page = "```console\n$ shopmon check new.csv\n# exits 1\n✗ failed\n$ ls\n$ shopmon runs\n```\n"
    assert list(shown(page)) == [Shown("shopmon check new.csv", 1), Shown("shopmon runs", 0)]


@pytest.fixture(scope="module")
def known() -> set[tuple[str, ...]]:
    from shopmon.cli import app

    return set(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_commands_that_exist(page, known):
    blocks = "\n".join(block for _, block in FENCE.findall(page.read_text(encoding="utf-8")))
    named = {
        tuple(words.split()) for words in re.findall(r"^(?:\$ )?shopmon ((?:[a-z][a-z-]+ ?)+)", blocks, re.MULTILINE)
    }
    strangers = {words for words in named if words[:1] not in known and words[:2] not in known}
    assert strangers == set()


def test_every_command_is_documented(known):
    told = "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.name in ("README.md", "cli.md"))
    assert known, "the command line has no commands"
    assert {words for words in known if f"shopmon {' '.join(words)}" not in told} == set()


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_a_page_names_only_make_targets_that_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ |^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named - targets == set()


@pytest.mark.slow
def test_the_commands_of_the_readme_end_as_it_says(tmp_path):
    told = list(shown(README.read_text(encoding="utf-8")))
    assert any(command.line.startswith("shopmon check ") for command in told), "README shows no check"
    wrong = [
        f"$ {command.line}: exit {done.returncode}, not {command.exit_code}\n{done.stdout}{done.stderr}"
        for command in (Shown("shopmon demo --no-retrain", 0), *told)
        if (done := run(command.line, tmp_path)).returncode != command.exit_code
    ]
    assert not wrong, "\n".join(wrong)


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-m", *shlex.split(line)]
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
    )
