"""Which files does this address name?"""

from __future__ import annotations

import difflib
import glob
import hashlib
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path, PurePosixPath

from expectations.addresses import display_name as display_name
from expectations.addresses import is_database
from expectations.errors import BatchError
from expectations.remote_files import Wanted, fetch_remote

log = logging.getLogger("shopmon.sources")


class Format(StrEnum):
    """How the records of a source are written down."""

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    ARROW = "arrow"
    TABLE = "table"
    """A table of a database, or one that is in memory already."""

    @property
    def family(self) -> str:
        """What one batch may hold together: CSV and TSV differ in one character only."""
        return "delimited text" if self in (Format.CSV, Format.TSV) else self.value


@dataclass(frozen=True)
class Found:
    """One source of records."""

    name: str
    """What a person is shown: the address without secrets."""
    format: Format
    path: Path | None = None
    """The file on this machine; None for a table."""
    url: str | None = field(default=None, repr=False)
    """The database's URL, password included: never show it."""
    table: str | None = None
    """The table's name, `schema.table` allowed."""
    sha256: str | None = None
    """Known already where the file was streamed from elsewhere."""


_EXTENSIONS = {
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".csv": Format.CSV,
    ".txt": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".arrow": Format.ARROW,
    ".feather": Format.ARROW,
    ".ipc": Format.ARROW,
}
_TEXT = frozenset({Format.CSV, Format.TSV, Format.JSONL})

_MAGIC = (
    (b"PAR1", "a parquet file"),
    (b"PARE", "an encrypted parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\xff\xff\xff\xff", "an Arrow stream"),
    (b"FEA1", "a Feather file of version 1"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip archive (an .xlsx workbook is one, too)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%PDF-", "a PDF"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"BZh91AY&SY", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
)
_READABLE = "parquet, CSV or TSV (also .gz), JSON lines (also .gz), Arrow or Feather"


def _silent(message: str) -> None:
    """Progress that nobody watches."""


def find_sources(
    addresses: Sequence[str | Path], scratch: Path, progress: Callable[[str], None] = _silent
) -> tuple[Found, ...]:
    """Name every file or table behind `addresses`, in their order; the files of a folder or glob are sorted by path.

    An address is a file, a folder (searched downwards; names beginning with `.` or `_` are left out), a glob, an fsspec
    URL (`s3://`, `gs://`, `hf://`, `https://`, `memory://`, `file://`), or a table: `sqlite:///shop.db::reviews`,
    `postgresql://user:password@host/shop::public.reviews`. Remote files are copied into `scratch`. A file named twice
    is read once. Nothing named, nothing found: BatchError.

    Raises BatchError when something is missing, empty, unreadable, of an unknown format, not what its name says, or
    when the formats differ.
    """
    given = [addresses] if isinstance(addresses, (str, Path)) else list(addresses)
    if not given:
        raise BatchError("no data was named", advice="Give a file, a folder, a glob, a URL or DATABASE_URL::TABLE.")
    found = tuple(_distinct(chain.from_iterable(_find(address, scratch, progress) for address in given)))
    _check_one_family(found)
    return found


def fingerprint(found: Found) -> str:
    """Return the SHA-256 of a source's bytes, as 64 hexadecimal digits; "" for a table, which has no bytes of its own.

    Safe to run in a thread: hashing releases the interpreter's lock.
    """
    if found.sha256 is not None:
        return found.sha256
    if found.path is None:
        return ""
    with found.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- what kind of address -------------------------------------------------------------------------------------------


def _find(address: str | Path, scratch: Path, progress: Callable[[str], None]) -> Iterator[Found]:
    text = checked_address(address)
    if is_database(text):
        return iter([_database(text)])
    if is_remote(text):
        return _remote(text, scratch, progress)
    return _local(without_file_protocol(text))


def checked_address(address: str | Path) -> str:
    """An address as text. Raises BatchError for one that is empty, or holds what no path can."""
    text = os.fspath(address)
    if not text.strip():
        raise BatchError("an empty address was given", advice="Give a file, a folder, a glob or a URL.")
    if "\0" in text:
        raise BatchError(f"{text!r} is no path: it holds a NUL character")
    return text


def is_remote(text: str) -> bool:
    """Whether an address is one of fsspec's, and not a path here; its chains look like zip://new.csv::s3://bucket/a."""
    if re.match(r"(file|local)://", text):
        return False
    return bool(re.match(r"[A-Za-z][\w+.-]*://", text)) or ("::" in text and "://" in text)


def without_file_protocol(text: str) -> str:
    """The path of a `file://` address; other text as it is."""
    return re.sub(r"^(file|local)://(localhost(?=/))?", "", text)


def _database(address: str) -> Found:
    url, separator, table = address.rpartition("::")
    if not separator or not table.strip():
        raise BatchError(
            f"{display_name(address)} names a database but no table",
            advice="Add the table after two colons: DATABASE_URL::TABLE or DATABASE_URL::SCHEMA.TABLE.",
        )
    return Found(name=display_name(address), format=Format.TABLE, url=url, table=table)


# --- local files ----------------------------------------------------------------------------------------------------


def _local(text: str) -> Iterator[Found]:
    paths = local_paths(text)
    try:
        return iter([_recognise(path, str(path)) for path in paths])
    except PermissionError as error:
        raise _not_permitted(error.filename or text) from error
    except OSError as error:
        raise BatchError(f"{text} cannot be read: {error.strerror or error}") from error


def local_paths(text: str, *, allow_none: bool = False) -> list[Path]:
    """The data files of a folder or glob, sorted, or the one file that is named; none is opened.

    Raises BatchError where there are none, unless that is allowed of a folder that is there, and where one may not be
    looked into.
    """
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return _data_files(_files_below(path), f"the folder {text}", allow_none)
        if os.path.lexists(path) or not glob.has_magic(text):
            return [path]
        if allow_none and path.parent.is_dir() and not glob.glob(str(path), recursive=True):  # noqa: PTH207
            return []
        return _data_files(_files_matching(path), f"{text!r} matches files, and", allow_none)
    except PermissionError as error:
        raise _not_permitted(error.filename or text) from error
    except OSError as error:
        raise BatchError(f"{text} cannot be read: {error.strerror or error}") from error


def _data_files(paths: list[Path], where: str, allow_none: bool) -> list[Path]:
    """The data files among the files of a folder or glob; the other files are left alone."""
    data = [path for path in paths if _is_data_name(path.name)]
    if not data and not allow_none:
        names = ", ".join(path.name for path in paths[:5]) or "nothing"
        raise BatchError(f"{where} holds no data files; it has {names}", advice=f"Expected are {_READABLE}.")
    for path in sorted(set(paths) - set(data)):
        log.info("%s is no data file and is left out", path)
    return data


def _is_data_name(name: str) -> bool:
    # A README.txt beside the data must not become a part of it; a .txt that is meant is named by itself.
    return format_of(name) is not None and not name.lower().endswith((".txt", ".txt.gz"))


def _files_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    files: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        files += [Path(place, name) for name in names if not name.startswith((".", "_"))]
    return sorted(files)


def _files_matching(pattern: Path) -> list[Path]:
    # Path.glob neither starts from an absolute pattern nor leaves hidden files out.
    matches = sorted(Path(match) for match in glob.glob(str(pattern), recursive=True))  # noqa: PTH207
    if not pattern.name.startswith("_"):  # `data/*` does not mean Spark's _SUCCESS
        matches = [match for match in matches if not match.name.startswith("_")]
    if not matches:
        raise BatchError(f"no file matches {str(pattern)!r}{_near_misses(pattern)}", advice="Check the pattern.")
    files = [match for match in matches if not match.is_dir()]
    # `data/**` matches the folders on the way, too; their files are in the list already.
    return files or sorted(chain.from_iterable(_files_below(match) for match in matches))


def _near_misses(path: Path) -> str:
    """What stands where the missing path was looked for."""
    folder = path.parent
    if not folder.is_dir():
        return f", and neither does its folder {folder}"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"; {folder} holds {shown or 'nothing'}"


def _not_permitted(path: object) -> BatchError:
    return BatchError(
        f"{path} may not be read by this user", advice="Change its permissions (chmod u+r), or run as one who may."
    )


# --- what a file is -------------------------------------------------------------------------------------------------


def format_of(name: str) -> Format | None:
    """The format that a file's name tells; None where it tells none."""
    path = PurePosixPath(name.lower())
    if path.suffix != ".gz":
        return _EXTENSIONS.get(path.suffix)
    inner = _EXTENSIONS.get(PurePosixPath(path.stem).suffix)
    return inner if inner in _TEXT else None


def _recognise(path: Path, name: str) -> Found:
    """Say what a file is by its name, and check it against its first bytes."""
    if not path.exists():
        what = "is a link that leads nowhere" if path.is_symlink() else f"does not exist{_near_misses(path)}"
        raise BatchError(f"{name} {what}", advice="Check the path.")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device could wait for ever
        raise BatchError(f"{name} is not a regular file", advice="Write the data to a file first.")
    if status.st_size == 0:
        raise BatchError(f"{name} is empty (0 bytes)", advice="Was it written completely? Deliver it again.")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except PermissionError as error:
        raise _not_permitted(name) from error
    kind = format_of(path.name) or _format_by_magic(head)
    if kind is None:
        raise BatchError(
            f"{name} is {_described(head)}, and its name tells no format", advice=f"Expected are {_READABLE}."
        )
    _check_magic(head, kind, path, name)
    return Found(name=name, format=kind, path=path)


def _format_by_magic(head: bytes) -> Format | None:
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    return Format.ARROW if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")) else None


def _check_magic(head: bytes, kind: Format, path: Path, name: str) -> None:
    suffix = path.suffix.lower()
    gzipped = head.startswith(b"\x1f\x8b")
    if kind is Format.PARQUET:
        fits = head.startswith(b"PAR1")
    elif kind is Format.ARROW:
        fits = head.startswith((b"ARROW1", b"\xff\xff\xff\xff"))
    else:
        fits = gzipped if suffix == ".gz" else not any(head.startswith(magic) for magic, _ in _MAGIC)
    if fits:
        return
    if head.startswith(b"PARE"):
        raise BatchError(f"{name} is an encrypted parquet file", advice="Decrypt it first; shopmon holds no keys.")
    if head.startswith(b"FEA1"):
        raise BatchError(
            f"{name} is a Feather file of version 1", advice="Write it again as version 2 (or as parquet)."
        )
    raise BatchError(f"{name} is {_described(head)} called {suffix or path.name}", advice=_how_to_name(head))


def _described(head: bytes) -> str:
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what
    if _is_text(head):
        first = head.decode("utf-8", "replace").lstrip("\ufeff").strip().partition("\n")[0][:60]
        return f"a text file (it begins with {first!r})"
    return f"a file of unknown format (it begins with the bytes {head[:8].hex(' ')})"


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head) * 20 <= len(head)


def _how_to_name(head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "Rename it to end in .parquet."
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "Rename it to end in .arrow."
    if head.startswith(b"\x1f\x8b"):
        return "Rename it to end in .csv.gz, .tsv.gz or .jsonl.gz, or unpack it."
    if _is_text(head):
        return "Rename it to what it is (.csv, .tsv or .jsonl), or deliver the real file."
    return f"Deliver it as {_READABLE}."


def _distinct(found: Iterator[Found]) -> Iterator[Found]:
    seen: set[object] = set()
    for one in found:
        key = one.path.resolve() if one.path else (one.url, one.table)
        if key in seen:
            log.warning("%s is named twice and is read once", one.name)
            continue
        seen.add(key)
        yield one


def _check_one_family(found: Sequence[Found]) -> None:
    first = found[0]
    for other in found[1:]:
        if other.format.family != first.format.family:
            raise BatchError(
                f"the files are of different formats: {first.name} is {first.format.family}, "
                f"{other.name} is {other.format.family}",
                advice="A batch is of one format: name only its files, for example with a glob.",
            )


# --- files elsewhere ------------------------------------------------------------------------------------------------


def _remote(address: str, scratch: Path, progress: Callable[[str], None]) -> Iterator[Found]:
    arrived = fetch_remote(address, WANTED, scratch, progress)
    return (replace(one.file, sha256=one.sha256) for one in arrived)


WANTED = Wanted(is_data=_is_data_name, expected=_READABLE, recognise=_recognise)
"""Which files of an address elsewhere are data."""
