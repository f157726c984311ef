"""How does what a command says reach the terminal, the pipe, or whoever reads it?"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_PATIENCE = 1.0
"""Seconds of silence before progress is shown."""


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Whatever a library prints goes to standard error: standard output holds the answer alone."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def progress_shown() -> Iterator[Callable[[str], None]]:
    """Say on standard error what is being done, once it takes longer than a second; only to a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.text import Text

    status = console(to_stderr=True).status(Text("reading"))
    timer = threading.Timer(_PATIENCE, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda doing: status.update(Text(one_line(doing)))
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def one_line(text: str) -> str:
    from shopmon.terminal_text import inert

    return inert(text)


def console(*, to_stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False, emoji=False, markup=False)


def show(what: RenderableType, *, to_stderr: bool = False) -> None:
    terminal = console(to_stderr=to_stderr)
    with terminal.capture() as captured:  # Rich would end the process with 1 when the reader of a pipe has gone
        terminal.print(what)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
    (write_error if to_stderr else write)(text)


def write(text: str) -> None:
    """Text to standard output; a reader that has gone (`| head`) has read enough, and the verdict stands."""
    stream = sys.stdout
    if stream is None:
        return
    try:
        stream.write(_writable(text, stream))
        stream.flush()
    except BrokenPipeError:
        _let_go_of_stdout()


def write_document(text: str) -> None:
    """JSON to standard output, escaped where its encoding is not Unicode: no character may be lost."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    write((text if encoding.startswith("utf") else json.dumps(json.loads(text), indent=2)) + "\n")


def write_error(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody is left to be told
            sys.stderr.write(_writable(text, sys.stderr))
            sys.stderr.flush()


def _writable(text: str, stream: Any) -> str:
    """Text in the stream's own encoding: a mark it lacks must not cost the answer."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
    except AttributeError:  # standard output is closed
        pass


def _let_go_of_stdout() -> None:
    """Python would complain at exit that it cannot flush: give it somewhere to flush to."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
