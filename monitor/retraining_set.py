"""Which rows were gathered so far?

A folder that only grows: `rows/` holds what edge cases chose, `labels/` what people said of it later, each in parquet
parts that are never changed once they have their name. Folder and lock are this module's alone.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.errors import ShopmonError
from expectations.parquet_query import cannot_be_read
from monitor.run_folder import sweep, write_aside

_TIME = pa.timestamp("us", tz="UTC")
_NEEDED = (
    ("text", pa.string()),
    ("kind", pa.string()),
    ("role", pa.string()),
    ("reasons", pa.list_(pa.string())),
    ("batch", pa.string()),
    ("file", pa.string()),
    ("row", pa.int64()),
)
ROWS = pa.schema(
    [*_NEEDED, ("text_hash", pa.string()), ("id", pa.string()), ("run_id", pa.string()), ("added_at", _TIME)]
)
"""The columns of a row; `batch` is the SHA-256 of the file it came from, `file` its name, `row` counts from 1."""
LABELS = pa.schema([("kind", pa.string()), ("id", pa.string()), ("text_hash", pa.string()), ("label", pa.string()),
                    ("source", pa.string()), ("run_id", pa.string()), ("added_at", _TIME)])  # fmt: skip
"""The columns of a label: it belongs to the rows of `kind` with this `id`, or, where that is null, `text_hash`."""

_LOCK = "lock"
_NUMBERED = re.compile(r"(\d{6,})-.+\.parquet")
_ROW_GROUP = 50_000
"""Rows of a part that are compressed together, and so read together: bounds memory."""
_POLL = 0.1
"""Seconds between two attempts to get the lock."""
_BLANK = r"^[\s\p{Z}]*$"

_Key = tuple[str, str, str]
"""Kind, the column that joins (`id` or `text_hash`), and its value."""


@dataclass(frozen=True)
class Added:
    """What became of rows that were to be added; `new`, `known` and `without_text` make up all of them."""

    new: int
    """Rows that were added."""
    known: int
    """Rows whose text the set has already, or that repeat an earlier one of the same table."""
    without_text: int
    """Rows with no text, or a blank one: nothing can be learnt from them, and they are left out."""
    total: int
    """Rows of the set now, of every kind."""


@dataclass(frozen=True)
class Labelled:
    """What became of labels; `new`, `changed`, `known`, `repeated` and `unusable` make up all of them."""

    new: int
    """Labels for what had none."""
    changed: int
    """Labels that differ from an earlier one, which they now take the place of."""
    known: int
    """Labels that say what was said before; they are not kept again."""
    repeated: int
    """Labels followed by another for the same id in the same table; the last one counts."""
    unusable: int
    """Labels without a label, or without the id that says what they belong to."""
    conflicting: int
    """Ids to which this table gives two labels or more that differ."""
    joined: int
    """Rows of the set that have their label from this table now, or had the same before."""
    unknown: int
    """Ids that no row of the set has yet; their labels are kept, and join when such a row comes."""
    ambiguous: int
    """Ids that several rows of the set carry; the label is given to each of them."""


def text_hash(text: str) -> str:
    """What makes two texts the same: the SHA-256, in hex, of the text in Unicode's form NFC and UTF-8.

    Upper case, blanks and punctuation count. DuckDB's `sha256(nfc_normalize(text))` says the same, but for texts with
    U+0000 and for characters that are younger than either one's tables.

    >>> text_hash("Caf\\u00e9") == text_hash("Cafe\\u0301")
    True
    """
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode()).hexdigest()


def text_hashes(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """`text_hash` of a whole column of strings; null stays null.

    >>> text_hashes(pa.array(["Warm.", None])).null_count
    1
    """
    return pa.array([None if text is None else text_hash(text) for text in texts.to_pylist()], pa.string())


@dataclass(frozen=True)
class RetrainingSet:
    """The rows gathered in a folder, which is created with the first of them.

    A part is written aside, put on disk and then given its name, under a lock that one process at a time holds: two
    checks at once, or one killed at any moment, lose nothing and add nothing twice. Nobody needs the lock to read.
    Whatever cannot be read, written or locked is a ShopmonError that names it.

    Each check that finds something new leaves one part, and they are never merged: adding looks into every part (the
    columns `kind` and `text_hash` only), which takes a millisecond for each part and half a second for a million rows.

    >>> from tempfile import TemporaryDirectory
    >>> found = {"text": ["Warm.", "Warm."], "kind": "reviews", "role": "positive", "reasons": [["praise"], ["praise"]],
    ...          "batch": "3f2a", "file": "new.csv", "row": [1, 2], "id": ["a", "b"]}
    >>> rows = pa.table({name: value if isinstance(value, list) else [value] * 2 for name, value in found.items()})
    >>> with TemporaryDirectory() as folder:
    ...     gathered = RetrainingSet(Path(folder))
    ...     gathered.add(rows, "20261120-195801-a3f9c1")
    ...     gathered.add_labels(pa.table({"id": ["a"], "label": ["5"]}), kind="reviews", run_id="1").joined
    ...     gathered.read(["text", "label"]).read_all().to_pylist()
    Added(new=1, known=1, without_text=0, total=1)
    1
    [{'text': 'Warm.', 'label': '5'}]
    """

    folder: Path
    """Such as `.shopmon/retraining` of a project."""
    wait_seconds: float = 60.0
    """For how long to wait while other processes add, each of which takes a second or so."""
    progress: Callable[[str], None] = lambda _: None
    """Told, in a few words, when it has to wait."""

    def add(self, rows: pa.Table, run_id: str) -> Added:
        """Add the rows whose text the set does not have yet.

        `rows` has the columns of `ROWS` from `text` to `row`, and `id` where there is one; others are ignored. A text
        is kept once for each kind, as it came first: if it is chosen again, for other reasons or in another role,
        nothing is added or changed. So the same file adds nothing a second time, and after a kill what is missing.

        Raises ValueError for missing columns, rows without a kind, or a `run_id` that is no plain name; ShopmonError as
        said above.
        """
        _check_run_id(run_id)
        usable = _usable(rows)
        with self._locked():
            known, total = self._known_among(usable)
            fresh = _first_of_each(usable, known)
            if fresh.num_rows:
                _append(self._rows_folder, _stamped(fresh, ROWS, run_id), run_id)
        return Added(
            new=fresh.num_rows,
            known=usable.num_rows - fresh.num_rows,
            without_text=rows.num_rows - usable.num_rows,
            total=total + fresh.num_rows,
        )

    def add_labels(self, labels: pa.Table, *, kind: str, run_id: str, source: str = "") -> Labelled:
        """Add labels, which may come before the rows that they belong to or long after.

        `labels` has a column `label`, and `id` or `text_hash`, all read as text; `source` says where they come from.
        Rows of `kind` with the same id, exactly as written, get the label. A later one takes the place of an earlier
        one: first by when it was added, then by its place in the table. Adding the same labels twice adds nothing.

        Raises ValueError for missing columns or a `run_id` that is no plain name; ShopmonError as said above.
        """
        _check_run_id(run_id)
        by, said = _said(labels)
        final = {(kind, by, key): label for key, label in said}
        with self._locked():
            before = self._latest_labels()
            fresh = {key: label for key, label in final.items() if before.get(key, (0, None))[1] != label}
            if fresh:
                _append(self._labels_folder, _labels_table(fresh, source, run_id), run_id)
            carried = self._carriers(final)
        changed = sum(key in before for key in fresh)
        return Labelled(
            new=len(fresh) - changed,
            changed=changed,
            known=len(final) - len(fresh),
            repeated=len(said) - len(final),
            unusable=labels.num_rows - len(said),
            conflicting=_several(Counter(key for key, _ in set(said))),
            joined=carried.total(),
            unknown=len(final) - len(carried),
            ambiguous=_several(carried),
        )

    def known_hashes(self, kind: str) -> pa.ChunkedArray:
        """The `text_hash` of every row of a kind: 64 bytes for each row, in the order in which they were added."""
        chunks = [
            batch.column("text_hash").filter(pc.equal(batch.column("kind"), kind))
            for batch in self._batches(["kind", "text_hash"])
        ]
        return pa.chunked_array(chunks, pa.string())

    def rows(self, kind: str | None = None) -> int:
        """How many rows there are, of one kind or of all; 0 before anything was added."""
        return sum(_count(batch, kind) for batch in self._batches(["kind"]))

    def by_role(self, kind: str | None = None) -> dict[str, int]:
        """How many rows there are in each role, of one kind or of all; the most frequent role first."""
        roles: Counter[str] = Counter()
        for batch in self._batches(["kind", "role"]):
            of_kind = batch if kind is None else batch.filter(pc.equal(batch.column("kind"), kind))
            roles.update(of_kind.column("role").to_pylist())
        return dict(roles.most_common())

    def read(
        self,
        columns: Sequence[str] | None = None,
        *,
        kind: str | None = None,
        labels: Mapping[tuple[str, str], str] | None = None,
    ) -> pa.RecordBatchReader:
        """The rows in the order in which they were added, with the latest `label` of each, null where there is none.

        A stream of Arrow batches, which DuckDB reads as a table; memory holds the labels and 50,000 rows. `columns` are
        some of `ROWS` and `label`; None is all of them. `labels` are what people decided, (kind, text hash) → label
        (`monitor.reviews.decided_labels`); they win over those that were added, whenever that was. What is added after
        the call is not in it. A damaged part is a ShopmonError while the stream is read. Raises ValueError for a column
        that is not there.
        """
        schema = ROWS.append(pa.field("label", pa.string()))
        wanted = list(schema.names if columns is None else columns)
        if unknown := sorted(set(wanted) - set(schema.names)):
            raise ValueError(f"the retraining set has no column {unknown[0]!r}; it has {', '.join(schema.names)}")
        known = self._latest_labels() | _decided(labels or {}) if "label" in wanted else {}
        return pa.RecordBatchReader.from_batches(
            pa.schema([schema.field(name) for name in wanted]),
            _labelled(_read(self.parts, ROWS, _columns_for(wanted)), wanted, known, kind),
        )

    @property
    def parts(self) -> tuple[Path, ...]:
        """The parquet files with rows, in the order in which they were added."""
        return _parts(self._rows_folder)

    @property
    def label_parts(self) -> tuple[Path, ...]:
        """The parquet files with labels, in the order in which they were added."""
        return _parts(self._labels_folder)

    @property
    def _rows_folder(self) -> Path:
        return self.folder / "rows"

    @property
    def _labels_folder(self) -> Path:
        return self.folder / "labels"

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return _read(self.parts, ROWS, columns)

    def _known_among(self, rows: pa.Table) -> tuple[set[tuple[str, str]], int]:
        """Which of these texts the set has already, as (kind, hash), and how many rows it has in all."""
        asked = {kind: set(_of_kind(rows, kind).to_pylist()) for kind in pc.unique(rows.column("kind")).to_pylist()}
        known: set[tuple[str, str]] = set()
        total = 0
        for batch in self._batches(["kind", "text_hash"]):
            total += batch.num_rows
            for kind, hashes in asked.items():
                known.update((kind, shared) for shared in hashes.intersection(_of_kind(batch, kind).to_pylist()))
        return known, total

    def _latest_labels(self) -> dict[_Key, tuple[int, str]]:
        """The label that counts, with its place in the order of all labels."""
        latest: dict[_Key, tuple[int, str]] = {}
        places = count(1)
        for batch in _read(_parts(self._labels_folder), LABELS, ["kind", "id", "text_hash", "label"]):
            columns = [batch.column(name).to_pylist() for name in ("kind", "id", "text_hash", "label")]
            for kind, own, digest, label in zip(*columns, strict=True):
                by, key = ("text_hash", digest) if own is None else ("id", own)
                latest[kind, by, key] = (next(places), label)
        return latest

    def _carriers(self, labels: Iterable[_Key]) -> Counter[_Key]:
        """How many rows of the set each of these labels belongs to; those without any are left out."""
        asked = set(labels)
        carriers: Counter[_Key] = Counter()
        for by in {by for _, by, _ in asked}:
            for batch in self._batches(["kind", by]):
                pairs = zip(batch.column("kind").to_pylist(), batch.column(by).to_pylist(), strict=True)
                carriers.update(key for kind, value in pairs if (key := (kind, by, value)) in asked)
        return carriers

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the set's lock, which the system takes back from a process that ends, however it ends."""
        with _told(self.folder):
            for folder in (self._rows_folder, self._labels_folder):
                _make_folder(folder)
            lock = (self.folder / _LOCK).open("a+", encoding="ascii")
        with lock:
            self._wait_for(lock)
            for folder in (self._rows_folder, self._labels_folder):
                sweep(folder, timedelta(0))  # only who holds the lock writes here: what is unfinished was killed
            yield

    def _wait_for(self, lock: IO[str]) -> None:
        until = time.monotonic() + self.wait_seconds
        told = False
        while not _locks(lock, self.folder):
            if time.monotonic() >= until:
                raise ShopmonError(
                    f"another process{_holder(lock)} is adding to {self.folder}, and did not end within "
                    f"{self.wait_seconds:g} seconds",
                    advice="Wait until it has ended, or end it, and run again.",
                )
            if not told:
                self.progress("waiting for another process that adds to the retraining set")
                told = True
            time.sleep(_POLL)
        with suppress(OSError):  # a full disk: whoever waits then reads no number, or that of an earlier holder
            lock.truncate(0)
            os.write(lock.fileno(), str(os.getpid()).encode())


def _check_run_id(run_id: str) -> None:
    if not run_id or run_id.startswith(".") or Path(run_id).name != run_id:
        raise ValueError(f"a run's id is a plain name such as 20261120-195801-a3f9c1, got {run_id!r}")


def _usable(rows: pa.Table) -> pa.Table:
    """The rows that have a text, with the columns of a part that the caller knows, and the hash of each text."""
    if missing := [name for name, _ in _NEEDED if name not in rows.column_names]:
        raise ValueError(f"rows for the retraining set need the column {missing[0]!r}; got {rows.column_names}")
    if rows.column("kind").null_count:
        raise ValueError(f"every row needs a kind; {rows.column('kind').null_count} have none")
    ids = rows.column("id").cast(pa.string()) if "id" in rows.column_names else pa.nulls(rows.num_rows, pa.string())
    given = pa.table({**{name: rows.column(name).cast(held) for name, held in _NEEDED}, "id": ids})
    blank = pc.match_substring_regex(given.column("text"), _BLANK)
    usable = given.filter(pc.invert(pc.fill_null(blank, True)))
    return usable.append_column("text_hash", text_hashes(usable.column("text")))


def _first_of_each(rows: pa.Table, known: set[tuple[str, str]]) -> pa.Table:
    """The rows that are not known, the first of each kind and text."""
    seen = set(known)
    first = []
    for key in zip(rows.column("kind").to_pylist(), rows.column("text_hash").to_pylist(), strict=True):
        first.append(key not in seen)
        seen.add(key)
    return rows.filter(pa.array(first, pa.bool_()))


def _said(labels: pa.Table) -> tuple[str, list[tuple[str, str]]]:
    """By which column labels join, and each usable one with what it belongs to, in the table's order."""
    by = next((name for name in ("id", "text_hash") if name in labels.column_names), None)
    if by is None or "label" not in labels.column_names:
        raise ValueError(f"labels need the columns 'label' and 'id' (or 'text_hash'); got {labels.column_names}")
    keys, values = (labels.column(name).cast(pa.string()).to_pylist() for name in (by, "label"))
    return by, [(key, label) for key, label in zip(keys, values, strict=True) if key and label]


def _several(counts: Counter[Any]) -> int:
    return sum(times > 1 for times in counts.values())


def _labels_table(labels: dict[_Key, str], source: str, run_id: str) -> pa.Table:
    columns = {
        "kind": [kind for kind, _, _ in labels],
        "id": [key if by == "id" else None for _, by, key in labels],
        "text_hash": [key if by == "text_hash" else None for _, by, key in labels],
        "label": list(labels.values()),
        "source": [source] * len(labels),
    }
    return _stamped(pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()}), LABELS, run_id)


def _stamped(table: pa.Table, schema: pa.Schema, run_id: str) -> pa.Table:
    """The table as a part holds it, with who added it and when."""
    stamps = {"run_id": pa.scalar(run_id), "added_at": pa.scalar(datetime.now(UTC), _TIME)}
    for name, value in stamps.items():
        table = table.append_column(name, pa.repeat(value, table.num_rows))
    return table.select(schema.names).cast(schema)


def _append(folder: Path, table: pa.Table, run_id: str) -> None:
    """Write one more part, whole and on disk or not at all; only for who holds the lock."""
    # Numbered, not dated: clocks are set back, and the later label must win.
    number = max((_number(part) for part in _parts(folder)), default=0) + 1
    with write_aside(folder / f"{number:06d}-{run_id}.parquet") as aside, aside.open("wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP, write_page_checksum=True)


def _parts(folder: Path) -> tuple[Path, ...]:
    """The finished parts of a folder, in the order in which they were added."""
    try:
        found = [path for path in folder.iterdir() if _NUMBERED.fullmatch(path.name)]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error)) from error
    return tuple(sorted(found, key=lambda part: (_number(part), part.name)))


def _number(part: Path) -> int:
    return int(part.name.partition("-")[0])


def _read(parts: Iterable[Path], schema: pa.Schema, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The columns asked for, part by part; every page is held against its checksum."""
    for part in parts:
        try:
            with pq.ParquetFile(part, page_checksum_verification=True) as file:
                if not file.schema_arrow.equals(schema):
                    raise _unreadable(part, "its columns are not those of a part")
                yield from file.iter_batches(_ROW_GROUP, columns=list(columns))
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(part, str(error)) from error


def _unreadable(place: Path, why: str) -> ShopmonError:
    return cannot_be_read(
        f"{place} of the retraining set",
        why,
        advice="Restore it from a copy. Or move it away, and check the files again that its rows came from.",
    )


def _columns_for(wanted: Sequence[str]) -> list[str]:
    """What must be read of a part to answer these columns."""
    joins = ["id", "text_hash"] if "label" in wanted else []
    return [name for name in ROWS.names if name in {*wanted, *joins, "kind"}]


def _labelled(
    batches: Iterable[pa.RecordBatch], wanted: Sequence[str], labels: dict[_Key, tuple[int, str]], kind: str | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        of_kind = batch if kind is None else batch.filter(pc.equal(batch.column("kind"), kind))
        if "label" in wanted:
            of_kind = of_kind.append_column("label", _labels_of(of_kind, labels))
        yield of_kind.select(list(wanted))


def _decided(labels: Mapping[tuple[str, str], str]) -> dict[_Key, tuple[int, str]]:
    """Labels that people decided, behind all that were added: the last one counts."""
    return {(kind, "text_hash", digest): (sys.maxsize, label) for (kind, digest), label in labels.items()}


def _labels_of(batch: pa.RecordBatch, labels: dict[_Key, tuple[int, str]]) -> pa.Array:
    """The latest label of each row, whether it was given by id or by text."""
    if not labels:
        return pa.nulls(batch.num_rows, pa.string())
    none = (0, None)
    rows = zip(*(batch.column(name).to_pylist() for name in ("kind", "id", "text_hash")), strict=True)
    latest = (
        max(labels.get((kind, "id", own), none), labels.get((kind, "text_hash", digest), none), key=_place)
        for kind, own, digest in rows
    )
    return pa.array([label for _, label in latest], pa.string())


def _place(label: tuple[int, str | None]) -> int:
    return label[0]


def _count(batch: pa.RecordBatch, kind: str | None) -> int:
    return batch.num_rows if kind is None else pc.sum(pc.equal(batch.column("kind"), kind)).as_py() or 0


def _of_kind(rows: pa.Table | pa.RecordBatch, kind: str) -> Any:
    """The hashes of the rows of a kind."""
    return rows.column("text_hash").filter(pc.equal(rows.column("kind"), kind))


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, and put their names on disk: a part is lost if its folder's name is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        number = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _locks(lock: IO[str], folder: Path) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ShopmonError(
            f"no file can be locked in {folder}: {error.strerror}",
            advice="Keep the project on a file system that has locks; without, two checks could harm each other.",
        ) from error
    return True


def _holder(lock: IO[str]) -> str:
    """Which process holds the lock, as it wrote there itself."""
    lock.seek(0)
    number = lock.read(20)
    return f" ({number})" if number.isdecimal() else ""


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tell what keeps the folder from being made and locked."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ShopmonError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            advice="Free some space and run again." if full else f"Let this user write in {folder}.",
        ) from error
