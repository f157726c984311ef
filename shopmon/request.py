"""What can be asked of a check?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopmon.check_progress import CheckProgress
from shopmon.project import Project


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to check, and how; None means: as the project says, else as the data shows."""

    data: Any
    """A path or address, several of them, or a pandas, polars or Arrow table."""
    kind: str | None = None
    """reviews, products, queries or relevance."""
    suite: str | Path | None = None
    """A suite's file."""
    engine: str | None = None
    """`scan`, `great_expectations` or `spark`."""
    columns: Mapping[str, str] | None = None
    """The file's own column name → role; instead of the project's."""
    encoding: str | None = None
    """Of text files."""
    delimiter: str | None = None
    """Of CSV files, one character."""
    project: Project | str | Path | None = None
    """A project, or the folder that holds its `shopmon.toml`; None: the nearest one upwards."""
    data_docs: str | Path | None = None
    """A folder for Great Expectations' own pages; they hold failing values."""
    write_good: str | Path | None = None
    """A parquet file for the rows that break no rule."""
    reference: str | Path | None = None
    """A file to compare with, instead of the project's reference."""
    by: Sequence[str] = ()
    """Columns by whose values everything is compared once more, beside those of the project."""
    evidently_workspace: str | Path | None = None
    """A folder that `evidently ui` opens, to which Evidently's measures are added."""
    only_rules: bool = False
    """Leave out the comparison with the reference and the edge cases."""
    shares: Path | None = None
    """An empty folder for the profile of each file's rows in each window of time, `FILE_WINDOW.zip` by their numbers;
    whoever gave it compares the windows. None: the check compares those of its own rows."""
    progress: Callable[[str], None] = field(default=lambda _: None, repr=False)
    """Told what is being done, in a few words."""
    watch: CheckProgress = field(default_factory=CheckProgress, repr=False)
    """Told how far it is; whoever shows it asks it for the time that is left."""
