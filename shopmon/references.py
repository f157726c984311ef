"""With what are batches compared?"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from expectations.errors import BatchError
from shopmon import __version__
from shopmon.outcome import without_password
from shopmon.project import Project
from shopmon.reading import Reading, opened
from shopmon.request import Request
from shopmon.rooms import drift_settings

if TYPE_CHECKING:
    from expectations.batch import Batch
    from expectations.results import Validation
    from monitor.reference import Reference

FIT = "fit"
"""The relation of a validated batch that holds the rows which break neither a critical rule nor a warning."""


QUANTILES = (0.05, 0.5, 0.95)
"""Shares of a reference's numbers that lie below the values told of it."""


def set_reference(
    data: Any,
    reading: Reading = Reading(),
    project: Project | str | Path | None = None,
    *,
    suite: Path | None = None,
    by: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Reference:
    """Keep the profile of a batch known to be good; from now on batches of its kind are compared with it.

    Only rows that break no critical rule and no warning go in, as only such rows of later batches are compared. An
    earlier reference of the same kind is replaced, at once or not at all.

    Raises ShopmonError if the batch cannot be read, or holds no good row.
    """
    return _made(data, reading, Project.of(project), suite=suite, by=by, progress=progress)


def references(project: Project, kind: str | None = None) -> tuple[Reference, ...]:
    """The references that were set, of one kind or of all. Raises ShopmonError if one is damaged."""
    from expectations.kinds import KINDS

    kinds = [kind] if kind else [known.name for known in KINDS]
    found = (reference_for(project, name) for name in kinds)
    return tuple(reference for reference in found if reference is not None)


def description(reference: Reference) -> dict[str, Any]:
    """A reference in short, as JSON values: name, kind, rows, when it was set, how each column is compared.

    Of numbers and dates the values below which 5, 50 and 95 % lie, of categories how many different ones there are;
    references that were set before these were kept have none.
    """
    from monitor.profiles import CategoryProfile, NumberProfile, Sort
    from monitor.sketches import different, quantiles

    profile = reference.profile
    usual, several = {}, {}
    for name, column in profile.columns.items():
        if isinstance(column, NumberProfile) and (found := quantiles(column.quantiles, QUANTILES)):
            usual[name] = [_day(value) for value in found] if profile.sorts[name] is Sort.DATE else list(found)
        elif isinstance(column, CategoryProfile) and (estimate := different(column.different)):
            several[name] = round(estimate.count)
    return {
        "kind": profile.kind,
        "name": reference.name,
        "rows": profile.rows,
        "created": reference.created,
        "columns": {name: sort.value for name, sort in profile.sorts.items()},
        "segments": {column: list(values) for column, values in profile.segments.items()},
        "quantiles": usual,
        "different": several,
    }


def _day(days: float) -> str:
    return (date(1970, 1, 1) + timedelta(days=math.floor(days))).isoformat()


def reference_for(project: Project, kind: str) -> Reference | None:
    """The project's reference for a kind; None where none was set. Raises ShopmonError if it is damaged."""
    from monitor.reference import load

    folder = project.references / kind
    return load(folder) if folder.is_dir() else None


def reference_of(request: Request, project: Project, kind: str) -> Reference | None:
    """With what a check compares a batch of a kind: with the file that it names, else with the project's reference.

    None where there is neither. Raises ShopmonError for a file that cannot be read, and for a damaged reference.
    """
    if request.reference is None:
        return reference_for(project, kind)
    reading = Reading(kind, request.columns, request.encoding, request.delimiter)
    suite = Path(request.suite) if request.suite else project.suite(kind)
    return reference_from(request.reference, reading, project, suite=suite, by=request.by, progress=request.progress)


def reference_from(
    file: str | Path,
    reading: Reading,
    project: Project,
    *,
    suite: Path | None,
    by: Sequence[str],
    progress: Callable[[str], None],
) -> Reference:
    """The profile of a file that stands in for the project's reference in one check; kept, so that it is read once.

    It is found again by the file's content, the settings, and the suite that lets its rows in.
    """
    from expectations.sources import find_sources, fingerprint
    from monitor.reference import load

    with TemporaryDirectory(prefix="shopmon-") as scratch:
        contents = [fingerprint(found) for found in find_sources([file], Path(scratch), progress)]
    rules = suite.read_bytes() if suite else b""
    settings = drift_settings(project, by)
    asked = repr((contents, reading, settings.profile, settings.segments, __version__))
    digest = hashlib.sha256(asked.encode() + rules).hexdigest()[:16]
    folder = project.references / "files" / digest
    if folder.is_dir() and all(contents):  # a table of a database has no content of its own to know it by
        return load(folder)
    return _made(file, reading, project, folder=folder, suite=suite, by=by, progress=progress)


def _made(
    data: Any,
    reading: Reading,
    project: Project,
    *,
    folder: Path | None = None,
    suite: Path | None = None,
    by: Sequence[str] = (),
    progress: Callable[[str], None],
) -> Reference:
    from expectations.suite import built_in, load_suite
    from expectations.validation import validate
    from monitor.profiles import profile
    from monitor.reference import load, save

    settings = drift_settings(project, by)
    with (
        TemporaryDirectory(prefix="shopmon-") as scratch,
        opened(data, reading, project, Path(scratch), progress) as batch,
    ):
        rules = load_suite(suite or project.suite(batch.kind) or built_in(batch.kind))
        keep_fit(batch, validate(batch, rules, folder=Path(scratch), progress=progress))
        if batch.row_of(f"select count(*) from {FIT}") == (0,):
            names = ", ".join(without_password(source.name) for source in batch.sources)
            raise BatchError(
                f"no row of {names} is fit to compare with: each breaks a critical rule or a warning",
                advice="See why with: shopmon check FILE. The reference before it is kept.",
            )
        progress("profiling the reference")
        how = replace(settings.profile, sketched=True)
        made = profile(batch, how, segments=settings.segments, relation=FIT, progress=progress)
        place = folder or project.references / batch.kind
        sources = tuple((without_password(s.name), s.sha256) for s in batch.sources)
    save(made, place, name=", ".join(name for name, _ in sources), sources=sources)
    return load(place)


def keep_fit(batch: Batch, validation: Validation) -> None:
    """Lay a relation over the rows of a validated batch that are fit to compare and to learn from.

    Those that break no critical rule and no warning. What is only worth knowing, as a space too many, may concern most
    rows of a file: without them nothing would be left, or something else than the shop has.
    """
    from expectations.quarantine import lay_fit, serious

    lay_fit(batch, FIT, serious(validation.results))
