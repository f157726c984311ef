"""How are candidates found in a catalogue of this project?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shopmon.project import Project

if TYPE_CHECKING:
    from retrain.catalogue import Catalogue
    from retrain.ranking import Shelf
    from retrain.results import TrainingProgress
    from retrain.text_vectors import TextEncoder, Vectors

Progress = Callable[["TrainingProgress"], None]


def text_encoder(project: Project, asked: str | Path | None) -> TextEncoder:
    """The sentence encoder that was asked for, else the project's; it is loaded when the first text comes.

    It is a name on the hub, a folder (relative to `shopmon.toml` where that names it), or `offline`. Raises
    ShopmonError where what runs it is not installed.
    """
    from monitor.embeddings import OFFLINE, encoder
    from retrain.text_vectors import TextEncoder

    written = str(project.settings.rank.encoder if asked is None else asked)
    folder = Path(written).expanduser()
    if asked is None:
        folder = project.folder / folder
    is_path = isinstance(asked, Path) or written.startswith((".", "~", "/")) or folder.is_dir()
    name = str(folder.absolute()) if is_path and written != OFFLINE else written
    return TextEncoder(name, encoder(name))


def shelf_of(
    catalogue: Catalogue,
    encoder: TextEncoder,
    project: Project,
    *,
    searches: int,
    sample: Callable[[Vectors, int], Vectors],
    k: int,
    progress: Progress,
) -> Shelf:
    """The catalogue as vectors, which are kept in the project's cache, and a way to search it so many times.

    `sample` gives so many of the queries as vectors, from the catalogue's own. Raises ShopmonError for an encoder that
    cannot be loaded, and where the cache cannot be written.
    """
    from retrain.nearest import SearchSettings, finder_for, index_name
    from retrain.ranking import Shelf
    from retrain.text_vectors import text_vectors
    from shopmon.checking import keep_out_of_git

    keep_out_of_git(project)
    said = project.settings.rank
    told = counted(progress)
    known = text_vectors(
        catalogue.texts, encoder, project.cache, progress=lambda done, of: told("encoding products", done, of)
    )
    finder = finder_for(
        known.rows,
        searches,
        lambda count: sample(known.rows, count),
        k,
        SearchSettings(said.exact_up_to, said.index_from, said.recall),
        project.cache / "indexes" / index_name(known.sha256),
        progress=lambda done, of: told("building an index", done, of),
    )
    return Shelf(catalogue, known.rows, finder, encoder)


def counted(progress: Progress) -> Callable[[str, int, int], None]:
    """What tells how much of something is done, with the time that is left by the pace so far."""
    began: dict[str, float] = {}

    def tell(what: str, done: int, of: int) -> None:
        now = time.monotonic()
        passed = now - began.setdefault(what, now)
        progress(doing(what, done, of, passed * (of - done) / done if done and passed else None))

    return tell


def doing(what: str, step: int = 0, steps: int = 0, left: float | None = None) -> TrainingProgress:
    """What is being done, and how much of it."""
    from retrain.results import TrainingProgress

    return TrainingProgress(what, step, steps, seconds_left=left)
