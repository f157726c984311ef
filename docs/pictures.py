"""Draw what README shows, anew from a real run: docs/images/check.svg, and the answer in README's first console block.

    .venv/bin/python docs/pictures.py

Run it when a check's answer or a built-in suite has changed.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from shopmon.checking import check
from shopmon.summary import summary

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "check.svg"
COMMAND = "shopmon check demo/new.parquet"
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


def answer() -> RenderableType:
    """What the command says of the demonstration's new batch, in a folder like any other."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        # a process of its own, so that the check below takes as long as for whoever types it
        subprocess.run([sys.executable, "-m", "shopmon", "demo"], check=True, stdout=subprocess.DEVNULL)
        return summary(check("demo/new.parquet"), width=WIDTH, here=Path.cwd())


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


def with_answer(page: str, text: str) -> str:
    """The page with another answer below the command. Raises ValueError if the command is not there exactly once."""
    block = re.compile(rf"(^\$ {re.escape(COMMAND)}\n# exits 1\n).*?(^```$)", re.MULTILINE | re.DOTALL)
    page, times = block.subn(lambda found: f"{found[1]}{text}\n{found[2]}", page)
    if times != 1:
        raise ValueError(f"`$ {COMMAND}` begins {times} console blocks of README.md, expected 1")
    return page


if __name__ == "__main__":
    shown = answer()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(shown), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_answer(readme.read_text(encoding="utf-8"), written(shown)), encoding="utf-8")
