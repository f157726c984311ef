"""How do labels that came late find their rows?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from expectations.addresses import display_name
from expectations.errors import BatchError, ProjectError
from shopmon.project import Project

if TYPE_CHECKING:
    import pyarrow as pa

    from monitor.retraining_set import Labelled, RetrainingSet


@dataclass(frozen=True)
class Keys:
    """Which columns of a file of labels say what belongs where."""

    id: str | None = None
    """Names the row; None: `id`, unless `text` is given."""
    text: str | None = None
    """Holds the text itself."""
    label: str = "label"


def join_labels(
    file: str,
    keys: Keys = Keys(),
    project: Project | str | Path | None = None,
    *,
    kind: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Labelled:
    """Join the labels of a file to the rows of the project's retraining set, by id or by the text itself.

    `kind` may be left out where the project or the rows gathered so far have one kind only. Raises ShopmonError for a
    file that cannot be read or lacks the columns, and where the kind cannot be told.
    """
    from monitor.retraining_set import RetrainingSet
    from monitor.runs import new_run_id

    project = Project.of(project)
    gathered = RetrainingSet(project.retraining, progress=progress)
    with TemporaryDirectory(prefix="shopmon-") as scratch:
        labels = _read(file, keys, Path(scratch), project, progress)
    kind = kind or project.kind or _only_kind(gathered)
    progress("joining labels")
    run_id = new_run_id(datetime.now(UTC))
    return gathered.add_labels(labels, kind=kind, run_id=run_id, source=display_name(file))


def _only_kind(gathered: RetrainingSet) -> str:
    from expectations.kinds import KINDS

    kinds = [kind.name for kind in KINDS if gathered.rows(kind.name)]
    if len(kinds) == 1:
        return kinds[0]
    there = f"rows of {' and '.join(kinds)}" if kinds else "no row yet"
    raise ProjectError(
        f"the retraining set has {there}, so the kind of the labels cannot be told",
        advice=f"Say which: --kind {kinds[0] if kinds else 'reviews'}.",
    )


def _read(file: str, keys: Keys, scratch: Path, project: Project, progress: Callable[[str], None]) -> pa.Table:
    """The labels of one file as text: `label`, and `id` or `text_hash`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from expectations.readers import read
    from expectations.sources import find_sources
    from monitor.retraining_set import text_hashes

    said = project.settings.data
    by = keys.text or keys.id or "id"
    tables = []
    for found in find_sources([file], scratch, progress):
        part = read(found, scratch, encoding=said.encoding, delimiter=said.delimiter, progress=progress)
        _check_columns(found.name, [name for name, _ in part.columns], (by, keys.label))
        table = pq.read_table(part.path, columns=[by, keys.label])
        tables.append(pa.table({"by": _text(table.column(by)), "label": _text(table.column(keys.label))}))
    joined = pa.concat_tables(tables)
    if keys.text is None:
        return joined.rename_columns(["id", "label"])
    return pa.table({"text_hash": text_hashes(joined.column("by")), "label": joined.column("label")})


def _check_columns(name: str, there: list[str], wanted: tuple[str, str]) -> None:
    for column in wanted:
        if column not in there:
            listed = ", ".join(map(repr, there[:12]))
            raise BatchError(
                f"{name} has no column {column!r}; it has {listed}",
                advice="Say which is which: --id COLUMN (or --text COLUMN) and --label COLUMN.",
            )


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return column.cast(pa.string())
