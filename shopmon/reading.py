"""How is a file of this project read?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopmon.project import Project

if TYPE_CHECKING:
    from expectations.batch import Batch
    from expectations.sources import Found


@dataclass(frozen=True)
class Reading:
    """How a file is to be read; None means: as the project says, else as the file shows."""

    kind: str | None = None
    columns: Mapping[str, str] | None = None
    """The file's own column name → role."""
    encoding: str | None = None
    delimiter: str | None = None


def opened(
    data: Any,
    reading: Reading,
    project: Project,
    scratch: Path,
    progress: Callable[[str], None],
    hashes: Callable[[Sequence[Found]], Sequence[Future[str]]] | None = None,
) -> AbstractContextManager[Batch]:
    """The batch, open until the block ends; `hashes` as for `open_batch`. Raises BatchError if it cannot be read."""
    from expectations.batch import open_batch

    settings = project.settings.data
    return open_batch(
        data,
        scratch=scratch,
        kind=reading.kind or project.kind,
        columns=reading.columns if reading.columns is not None else project.columns,
        encoding=reading.encoding or settings.encoding,
        delimiter=reading.delimiter or settings.delimiter,
        hashes=hashes,
        progress=progress,
    )
