"""Which runs ended while the run store could not be reached?"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from expectations.errors import RunStoreAway, RunStoreError, ShopmonError
from expectations.unfinished import PARTIAL
from monitor.run_database import from_json, to_json
from monitor.run_folder import write_aside
from monitor.runs import Input, Run, RunStore

logger = logging.getLogger("shopmon.unrecorded")

PATIENCE = 30.0
"""Seconds for which a server that went away is asked again: a restart takes less."""
_FIRST_WAIT = 0.25
"""Seconds before it is asked a second time; each wait is twice as long as the one before."""


def record(
    store: RunStore,
    run: Run,
    waiting: Path,
    *,
    progress: Callable[[str], None] = logger.warning,
    patience: float | None = None,
) -> None:
    """Record a run whose folder is in place; where the store cannot take it, keep its record in the folder `waiting`.

    A server that is away is asked again for `patience` seconds, `PATIENCE` as a rule. Raises RunStoreError if the run
    could not be recorded: it says where the run's result is, and how it gets into the record later.
    """
    try:
        _add(store, run, progress, PATIENCE if patience is None else patience)
    except RunStoreError as error:
        kept = _keep(run, waiting)
        where = f", and its result is in {run.folder}" if run.folder else ""
        raise RunStoreError(
            f"{error.problem.rstrip('.')}; the work is done{where}, but run {run.run_id} is not recorded yet",
            advice=f"{error.advice} What is to be recorded waits in {kept}: the next command that opens the store "
            "takes it in, shopmon runs for instance.",
        ) from None


def record_waiting(store: RunStore, waiting: Path) -> tuple[str, ...]:
    """Record what `record` had to keep, the oldest first, and return the ids; two processes may do so at once.

    A file that cannot be read stays where it is, and is logged. Raises RunStoreError if the store cannot take one.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, RunStore.open(Path(folder) / "runs.sqlite") as store:
    ...     record_waiting(store, Path(folder) / "nothing waits here")
    ()
    """
    recorded = []
    for kept in sorted(waiting.glob("*.json")):
        if kept.name.startswith(PARTIAL):  # another process writes it right now
            continue
        try:
            run = _read(kept)
        except FileNotFoundError:  # another process was faster
            continue
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("%s cannot be read, so its run is not recorded: %s", kept, error)
            continue
        if run.run_id not in store:
            _add_or_find(store, run)
            recorded.append(run.run_id)
        kept.unlink(missing_ok=True)
    return tuple(recorded)


def _add(store: RunStore, run: Run, progress: Callable[[str], None], patience: float) -> None:
    deadline, wait, again = time.monotonic() + patience, _FIRST_WAIT, False
    while True:
        try:
            if again:
                _add_or_find(store, run)
            else:
                store.add(run)
            return
        except RunStoreAway:
            if time.monotonic() + wait > deadline:
                raise
            progress(f"waiting for the run store, which does not answer: {deadline - time.monotonic():.0f} s left")
            time.sleep(wait)
            wait, again = 2 * wait, True


def _add_or_find(store: RunStore, run: Run) -> None:
    """Record a run that may be recorded already: its server may have gone between keeping it and saying so."""
    if run.run_id in store:
        return
    try:
        store.add(run)
    except RunStoreError:
        if run.run_id not in store:  # another process may have been faster
            raise


def _keep(run: Run, waiting: Path) -> Path:
    path = waiting / f"{run.run_id}.json"
    try:
        waiting.mkdir(parents=True, exist_ok=True)
        with write_aside(path) as aside:
            aside.write_text(to_json({**asdict(run), "started_at": run.started_at.isoformat()}), encoding="utf-8")
    except (OSError, ShopmonError, TypeError, ValueError) as error:
        raise RunStoreError(
            f"run {run.run_id} can neither be recorded nor kept for later: {error}",
            advice=f"Its result is in {run.folder}." if run.folder else "",
        ) from None
    return path


def _read(kept: Path) -> Run:
    """Raises ValueError, TypeError or KeyError for what `_keep` did not write."""
    fields = from_json(kept.read_text(encoding="utf-8"))
    if not isinstance(fields, dict):
        raise ValueError(f"it holds no run, but {json.dumps(fields)[:40]}")
    inputs = tuple(Input(**one) for one in fields["inputs"])
    return Run(**{**fields, "started_at": datetime.fromisoformat(fields["started_at"]), "inputs": inputs})
