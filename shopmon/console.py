"""How does what a command says reach the terminal, the pipe, or whoever reads it?"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from retrain.results import TrainingProgress
    from shopmon.check_progress import CheckProgress

_PATIENCE = 1.0
"""Seconds of silence before progress is shown."""
_REDRAWN = 0.25
"""Seconds between two looks at how far a check is."""


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Whatever a library prints goes to standard error: standard output holds the answer alone.

    Libraries that are not loaded yet show no progress of their own, which would run into ours.
    """
    os.environ.setdefault("TQDM_DISABLE", "1")
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


@contextlib.contextmanager
def check_shown() -> Iterator[tuple[Callable[[str], None], CheckProgress]]:
    """Show on standard error how far a check is, once it takes longer than a second; only to a terminal.

    Given are what is told of each step, and what is told how far it is.
    """
    from shopmon.check_progress import CheckProgress

    watch = CheckProgress()
    if sys.stderr is None or not sys.stderr.isatty():
        yield watch.step, watch
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
    from rich.table import Column

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[doing]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        console=console(to_stderr=True),
        transient=True,
        refresh_per_second=4,
        get_time=time.monotonic,
    )
    shown = bar.add_task("", total=1.0, doing="reading", left="")
    stopped = threading.Event()

    def keep_up() -> None:
        if stopped.wait(_PATIENCE):
            return
        bar.start()
        while not stopped.wait(_REDRAWN):
            doing = one_line(watch.doing) or "reading"
            total = None if watch.on_spark else 1.0
            bar.update(shown, total=total, completed=watch.done, doing=doing, left=progress_facts(watch))

    drawing = threading.Thread(target=keep_up, name="shopmon-progress", daemon=True)
    drawing.start()
    try:
        yield watch.step, watch
    finally:
        stopped.set()
        drawing.join()
        bar.stop()


def progress_facts(watch: CheckProgress) -> str:
    """What is known of how far a check is: a share, once there is one, and the time left, once it can be known."""
    from shopmon.check_progress import about

    left = watch.seconds_left
    share = f"{100 * watch.done:.0f} %" if watch.done >= 0.01 else ""
    return ", ".join(filter(None, (share, "" if left is None else f"about {about(left)} left")))


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


# --- trainings, which take long ---------------------------------------------------------------------------------------

_EVERY = 30.0
"""Seconds between two lines of progress where there is no terminal: few enough for a log of hours."""


@contextlib.contextmanager
def training_shown(*, hidden: bool = False) -> Iterator[Callable[[TrainingProgress], None]]:
    """Show on standard error how far a training is: a bar on a terminal, elsewhere a line every half a minute."""
    if hidden or sys.stderr is None:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar() as update:
            yield update
    else:
        yield _Lines()


def training_line(now: TrainingProgress) -> str:
    """How far a training is, in one line.

    >>> from retrain.results import TrainingProgress
    >>> training_line(TrainingProgress("training", 40, 300, 2.3149, 12345.6, 80.4))
    'training: step 40 of 300, loss 2.315, 12,346 tokens/s, 1:20 left'
    >>> training_line(TrainingProgress("classifying", 12_000, 1_000_000, seconds_left=8_000, unit="row"))
    'classifying: row 12,000 of 1,000,000, 2:13:20 left'
    """
    step = f"{now.unit} {now.step:,} of {now.steps:,}" if now.steps else ""
    return ": ".join(filter(None, (one_line(now.doing), ", ".join(filter(None, (step, *_facts(now)))))))


def _facts(now: TrainingProgress) -> Iterator[str]:
    if now.loss is not None:
        yield f"loss {now.loss:.3f}"
    if now.tokens_per_second is not None:
        yield f"{now.tokens_per_second:,.0f} tokens/s"
    if now.seconds_left is not None:
        minutes, seconds = divmod(round(max(now.seconds_left, 0)), 60)
        hours, minutes = divmod(minutes, 60)
        yield f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"


class _Lines:
    """One line of progress after each half minute."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, now: TrainingProgress) -> None:
        if time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            write_error(f"{training_line(now)}\n")


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[TrainingProgress], None]]:
    """A bar that appears with the first thing told, and goes when all is done."""
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    bar = Progress(
        TextColumn("{task.fields[doing]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=16),
        TextColumn(
            "{task.fields[facts]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
        console=console(to_stderr=True),
        transient=True,
    )
    shown = bar.add_task("", total=None, doing="", facts="")

    def update(now: TrainingProgress) -> None:
        step = f"{now.step:,}/{now.steps:,}" if now.steps else ""
        facts = "  ".join(filter(None, (step, *_facts(now))))
        bar.update(shown, total=now.steps or None, completed=now.step, doing=one_line(now.doing), facts=facts)
        bar.start()

    try:
        yield update
    finally:
        bar.stop()
