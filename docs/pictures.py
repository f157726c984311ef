"""Draw what the pages show, anew from real runs: docs/images/check.svg, and the answers below some commands.

    .venv/bin/python docs/pictures.py

Run it when a check's answer or a built-in suite has changed, on a machine that does nothing else: the pages show times.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from shopmon.checking import check
from shopmon.references import set_reference
from shopmon.summary import summary

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "check.svg"
COMMAND = "shopmon check demo/new.parquet"
"""What README begins with, and what is drawn; the reference was set before."""
WIDTH = 100
"""Columns: what GitHub shows of a code block without a scroll bar."""

PAPER = TerminalTheme(
    background=(250, 250, 248),
    foreground=(20, 24, 28),
    normal=[
        (20, 24, 28), (190, 40, 45), (26, 127, 55), (154, 103, 0),
        (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129),
    ],
    bright=[
        (87, 96, 106), (190, 40, 45), (26, 127, 55), (154, 103, 0),
        (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129),
    ],
)  # fmt: skip
"""Dark on light, read on either of GitHub's backgrounds; contrast at least 4.5 : 1, dim text too (WCAG 2.2)."""

# Rich's own frame fetches a font from the network; every system has one that will do.
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_FRAME = f"""\
<svg class="rich-terminal" viewBox="0 0 {{width}} {{height}}" role="img" aria-label="$ {COMMAND}, and its answer" \
xmlns="http://www.w3.org/2000/svg">
  <style>
    .{{unique_id}}-matrix {{{{ font-family: {_FONTS}; font-size: {{char_height}}px; line-height: {{line_height}}px; }}}}
    {{styles}}
  </style>
  <defs>
    <clipPath id="{{unique_id}}-clip-terminal">
      <rect x="0" y="0" width="{{terminal_width}}" height="{{terminal_height}}" />
    </clipPath>
    {{lines}}
  </defs>
  <rect fill="{PAPER.background_color.hex}" width="100%" height="100%" rx="10" />
  <g transform="translate(24, 28) scale(0.975)" clip-path="url(#{{unique_id}}-clip-terminal)">
    {{backgrounds}}
    <g class="{{unique_id}}-matrix">
    {{matrix}}
    </g>
  </g>
</svg>
"""


@dataclass(frozen=True)
class Shown:
    """A command of a page, and its answer."""

    page: str
    command: str
    answer: RenderableType
    part: str = ""
    """The heading of the answer's only part that the page shows; all of it where there is none."""


def answers() -> Iterator[Shown]:
    """What the commands say of the demonstration's batches, in a folder like any other."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        # a process of its own, so that the checks below take as long as for whoever types them
        subprocess.run([sys.executable, "-m", "shopmon", "demo"], check=True, stdout=subprocess.DEVNULL)
        models = "shopmon models list --project demo"
        yield Shown("README.md", models, Text(typed(models)))
        own = summary(check("demo/new.parquet", project="demo"), width=WIDTH, here=Path.cwd())
        yield Shown("docs/edge-cases.md", f"{COMMAND} --project demo", own, "Edge cases")
        set_reference("demo/reference.parquet")
        yield Shown("README.md", COMMAND, summary(check("demo/new.parquet"), width=WIDTH, here=Path.cwd()))
        text_file = summary(check("demo/new.csv"), width=WIDTH, here=Path.cwd())
        yield Shown("docs/cli.md", "shopmon check demo/new.csv", text_file)
        set_reference("demo/reference.parquet", by=["brand"])
        split = summary(check("demo/new.parquet", by=["brand"]), width=WIDTH, here=Path.cwd())
        yield Shown("docs/drift.md", f"{COMMAND} --by brand", split, "Drift")


def typed(command: str) -> str:
    """What a command answers on a terminal of `WIDTH` columns."""
    environment = {**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    line = [sys.executable, "-m", *shlex.split(command)]
    return subprocess.run(line, check=True, env=environment, capture_output=True, text=True).stdout.rstrip()  # noqa: S603 - a line of this file


def drawn(shown: RenderableType) -> str:
    """The command and its answer as SVG."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True, highlight=False, markup=False)
    console.print(Text.assemble(("$ ", "dim"), (COMMAND, "bold")))
    console.print(shown)
    svg = console.export_svg(theme=PAPER, code_format=_FRAME, unique_id="check")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def written(shown: RenderableType) -> str:
    """The answer as text."""
    console = Console(width=WIDTH, file=io.StringIO(), highlight=False, markup=False)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def part_of(text: str, heading: str) -> str:
    """The lines from a heading to the next one."""
    return re.split(rf"^(?=\S)(?!{re.escape(heading)})", text[text.index(f"\n{heading} ") + 1 :], flags=re.MULTILINE)[0]


def with_answer(page: str, command: str, text: str) -> str:
    """The page with another answer below the command. Raises ValueError if the command is not there exactly once."""
    block = re.compile(rf"(^\$ {re.escape(command)}\n(?:# exits 1\n)?).*?(^```$)", re.MULTILINE | re.DOTALL)
    page, times = block.subn(lambda found: f"{found[1]}{text}\n{found[2]}", page)
    if times != 1:
        raise ValueError(f"`$ {command}` begins {times} console blocks, expected 1")
    return page


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    for shown in answers():
        text = written(shown.answer)
        page = ROOT / shown.page
        said = part_of(text, shown.part).rstrip() if shown.part else text
        page.write_text(with_answer(page.read_text(encoding="utf-8"), shown.command, said), encoding="utf-8")
        if shown.command == COMMAND:
            PICTURE.write_text(drawn(shown.answer), encoding="utf-8")
