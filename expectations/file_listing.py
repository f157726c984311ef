"""Which files stand behind addresses, and as which version, before any of them is read?"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from expectations.addresses import display_name, is_database
from expectations.errors import BatchError
from expectations.remote_files import list_remote
from expectations.sources import (
    WANTED,
    checked_address,
    format_of,
    is_remote,
    local_paths,
    without_file_protocol,
)


@dataclass(frozen=True)
class Listed:
    """One file, of which only its entry in the folder was looked at."""

    key: str
    """What it is called wherever it is named from: its absolute path, or its address without secrets."""
    name: str
    """What a person is shown, and what the source of a batch is called that reads it."""
    address: str = field(repr=False)
    """By which it alone can be read; one elsewhere may hold secrets."""
    within: str
    """The address through which it was found, as a key: itself, its folder, or a glob."""
    size: int | None
    """Bytes; None where that is not known before."""
    version: str
    """Another one whenever the file is: when it was changed (ns), or an ETag. Empty where nothing tells."""
    family: str
    """Files of one family can be read as one batch."""


def list_files(addresses: Iterable[str | Path], *, may_be_empty: Container[str] = ()) -> tuple[Listed, ...]:
    """Every data file behind files, folders, globs and addresses of fsspec, each once, in the order of the addresses.

    Broken and empty files are listed as well: whoever reads them will say so. Raises BatchError where an address names
    none, unless it is a folder or a glob here whose key is in `may_be_empty`, or is a table of a database, which has no
    files.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "new.csv").write_text("text")
    ...     [(Path(file.key).name, file.size, file.family) for file in list_files([folder])]
    [('new.csv', 4, 'delimited text')]
    """
    seen: dict[str, Listed] = {}
    named = list(addresses)
    for address in named:
        for one in _listed(checked_address(address), allow_none=within(address) in may_be_empty):
            seen.setdefault(one.key, one)
    if not named:
        raise BatchError("no data was named", advice="Give a file, a folder, a glob or a URL.")
    return tuple(seen.values())


def within(address: str | Path) -> str:
    """The key of an address, as `Listed.within` has it."""
    text = checked_address(address)
    return display_name(text) if is_remote(text) else _absolute(Path(without_file_protocol(text)))


def _listed(text: str, *, allow_none: bool) -> Iterator[Listed]:
    if is_database(text):
        raise BatchError(
            f"{display_name(text)} is a table of a database, which has no files that could be new",
            advice="Check it as a whole: without --new.",
        )
    if is_remote(text):
        for seen in list_remote(text, WANTED):
            yield Listed(seen.name, seen.name, seen.address, within(text), seen.size, seen.version, _family(seen.name))
        return
    for path in local_paths(without_file_protocol(text), allow_none=allow_none):
        yield _of_path(path, within(text))


def _of_path(path: Path, within: str) -> Listed:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise BatchError(f"{path} does not exist", advice="Check the path.") from None
    except OSError as error:
        raise BatchError(f"{path} cannot be looked at: {error.strerror}", advice="See to its permissions.") from error
    if not stat.S_ISREG(status.st_mode):
        raise BatchError(f"{path} is not a regular file", advice="Write the data to a file first.")
    name, changed = str(path), str(status.st_mtime_ns)
    return Listed(_absolute(path), name, name, within, status.st_size, changed, _family(path.name))


def _absolute(path: Path) -> str:
    return os.path.normpath(path.expanduser().absolute())


def _family(name: str) -> str:
    known = format_of(name)
    return known.family if known else f"like {Path(name).suffix}"
