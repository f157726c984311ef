"""What does a person type to see windows of time?

As in `cli`, exit codes are decided here: 0 they are shown, 2 the command could not run.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from shopmon.command_parts import HELP, PASSED, AsJson, Debug, KindOption, ProjectFolder
from shopmon.console import console, show, write_document

app = typer.Typer(rich_markup_mode=None, context_settings=HELP)


@app.command(
    short_help="Show what changed window of time by window of time.",
    epilog="""\
\b
Examples:
  shopmon windows                          all of them, with what differs most from the reference
  shopmon windows 2026-11-16               the one in which this day lies, whole
  shopmon windows --kind reviews --json

Exit codes: 0 they are shown, 2 could not run.""",
)
def windows(
    day: Annotated[
        str | None, typer.Argument(metavar="[DAY]", help="Show the window whole in which this day, or hour, lies.")
    ] = None,
    kind: KindOption = None,
    project: ProjectFolder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> int:
    """Show the windows of time that check --new keeps: their rows, and how they differ from the reference.

    Nothing is read again but what was kept. How long a window is, [drift] window says.
    """
    from shopmon.kept_windows import document
    from shopmon.kept_windows import windows as kept

    found = kept(day, kind=kind, project=project)
    if as_json:
        write_document(json.dumps(document(found), ensure_ascii=False, allow_nan=False, indent=2))
        return PASSED
    from shopmon.window_summary import kept_shown, window_shown

    width = console().width
    show(window_shown(found, width) if day else kept_shown(found, width))
    return PASSED
