"""Which profile do later batches compare with, and where is it kept?

A reference is one file in a folder of its own: an archive of `profile.json`, `arrays.npz` and `sample.parquet`. Being
one file, it is replaced at once; every part of it carries a checksum.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expectations.addresses import display_name
from expectations.errors import ShopmonError
from expectations.unfinished import PARTIAL
from monitor.profiles import (
    BUCKETS,
    WORD_BUCKETS,
    CategoryProfile,
    ColumnProfile,
    NumberProfile,
    Profile,
    Sort,
    TextProfile,
)
from monitor.run_folder import sweep, write_aside

FILE_NAME = "reference.zip"
VERSION = 1
"""Of the format; raised whenever profiles of before cannot be compared with those of now."""

_ADVICE = "Set it anew: shopmon reference set FILE."


@dataclass(frozen=True)
class Reference:
    """The profile of a batch known to be good."""

    profile: Profile
    name: str
    """What was profiled: the address, without secrets."""
    rows: int
    """Of the profile."""
    created: str
    """When, in UTC (ISO 8601)."""
    sha256: tuple[str, ...]
    """Of each source; empty for what has no bytes of its own, such as a table of a database."""


def save(profile: Profile, folder: Path, *, name: str, sources: Sequence[tuple[str, str]] = ()) -> None:
    """Keep a profile in a folder, whole or not at all; one that is there is replaced at once.

    `sources` are pairs of a source's name and the SHA-256 of its bytes. Two writers at once do not disturb each other:
    the later one's reference stays. Raises ShopmonError if the disk is full or writing is not permitted.
    """
    content = archive(profile, name, sources)
    sweep(folder.parent)
    sweep(folder)
    try:
        if folder.exists() or not _placed(folder, content):
            with write_aside(folder / FILE_NAME) as aside:
                aside.write_bytes(content)
    except OSError as error:
        raise ShopmonError(
            f"the reference cannot be kept in {folder}: {error.strerror}",
            advice=f"Let this user write in {folder.parent}, or choose another folder.",
        ) from error


def load(folder: Path) -> Reference:
    """The reference that was kept in a folder.

    Raises ShopmonError if there is none, if it is damaged, or if another version of shopmon wrote it.
    """
    return read(folder / FILE_NAME, "reference", _ADVICE)


def read(file: Path, what: str, advice: str) -> Reference:
    """What `archive` made, from a file. `what` it is and the `advice` go into errors, which are as for `load`."""
    try:
        with zipfile.ZipFile(file) as archive:
            told = json.loads(archive.read("profile.json"))
            if told["version"] != VERSION:
                raise ShopmonError(
                    f"the {what} {file} has format {told['version']}, and this version of shopmon reads {VERSION}",
                    advice=advice,
                )
            return _read(archive, told)
    except FileNotFoundError as error:
        raise ShopmonError(f"there is no {what} in {file.parent}", advice=advice) from error
    except PermissionError as error:
        raise ShopmonError(f"{file} cannot be read: {error.strerror}", advice="Let this user read it.") from error
    except ShopmonError:
        raise
    except Exception as error:  # whatever a damaged byte makes of the archive, its JSON, its arrays or its parquet
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ShopmonError(f"the {what} {file} is damaged: {said[0]}", advice=advice) from error


def _placed(folder: Path, content: bytes) -> bool:
    """Make the folder with the reference in it at once: false if another process made it meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.parent / f"{PARTIAL}{secrets.token_hex(4)}-{folder.name}"
    staging.mkdir()
    try:
        with write_aside(staging / FILE_NAME) as aside:
            aside.write_bytes(content)
        with suppress(OSError):  # it holds a reference already
            os.rename(staging, folder)  # noqa: PTH104 - the system call is the point here
            return True
        return False
    finally:
        shutil.rmtree(staging, ignore_errors=True)


# --- to and from bytes ----------------------------------------------------------------------------------------------


def archive(profile: Profile, name: str, sources: Sequence[tuple[str, str]] = ()) -> bytes:
    """A profile as the bytes of the one file that holds it, for `read`."""
    arrays: dict[str, NDArray[Any]] = {}
    told = {
        "version": VERSION,
        "name": display_name(name),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": [[display_name(source), digest] for source, digest in sources],
        "kind": profile.kind,
        "rows": profile.rows,
        "sorts": list(profile.sorts.items()),
        "columns": _written_columns(profile.columns, arrays),
        "segments": [
            [column, [[value, _written_columns(columns, arrays)] for value, columns in values.items()]]
            for column, values in profile.segments.items()
        ],
    }
    packed, sample, whole = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]  # numpy's stubs take the names for its options
    pq.write_table(profile.sample, sample, compression="zstd")
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("profile.json", json.dumps(told, ensure_ascii=True))
        archive.writestr("arrays.npz", packed.getvalue())
        archive.writestr("sample.parquet", sample.getvalue())
    return whole.getvalue()


def restored(content: bytes) -> Profile:
    """The profile whose bytes `archive` made."""
    with zipfile.ZipFile(io.BytesIO(content)) as held:
        return _read(held, json.loads(held.read("profile.json"))).profile


def _read(archive: zipfile.ZipFile, told: Mapping[str, Any]) -> Reference:
    sample = pq.read_table(io.BytesIO(archive.read("sample.parquet")))
    with np.load(io.BytesIO(archive.read("arrays.npz")), allow_pickle=False) as packed:
        arrays = {key: packed[key] for key in packed.files}
    profile = Profile(
        kind=told["kind"],
        rows=told["rows"],
        sorts={name: Sort(sort) for name, sort in told["sorts"]},
        columns=_read_columns(told["columns"], arrays),
        segments={
            column: {value: _read_columns(columns, arrays) for value, columns in values}
            for column, values in told["segments"]
        },
        sample=_in_one_piece(sample),
    )
    digests = tuple(digest for _, digest in told["sources"])
    return Reference(profile, told["name"], profile.rows, told["created"], digests)


def _in_one_piece(sample: pa.Table) -> pa.Table:
    return sample.replace_schema_metadata(None).combine_chunks()


def _written_columns(columns: Mapping[str, ColumnProfile], arrays: dict[str, NDArray[Any]]) -> list[list[Any]]:
    return [[name, _written(profile, arrays)] for name, profile in columns.items()]


def _read_columns(written: Sequence[Sequence[Any]], arrays: Mapping[str, NDArray[Any]]) -> dict[str, ColumnProfile]:
    return {name: _column(told, arrays) for name, told in written}


def _put(array: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    key = f"a{len(arrays)}"
    arrays[key] = array
    return key


def _written(profile: ColumnProfile, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """A column's profile as JSON, its arrays by their keys; numbers as text, which holds NaN and every digit."""
    if isinstance(profile, NumberProfile):
        ends = (profile.mean, profile.std, profile.minimum, profile.maximum)
        return {
            "number": [profile.rows, profile.missing],
            "arrays": [_put(profile.edges, arrays), _put(profile.counts, arrays)],
            "ends": [repr(float(end)) for end in ends],
            **_sketch("quantiles", profile.quantiles, arrays),
        }
    if isinstance(profile, CategoryProfile):
        filled = np.flatnonzero(profile.counts)
        return {
            "category": [profile.rows, profile.missing],
            "arrays": [_put(filled, arrays), _put(profile.counts[filled], arrays)],
            "names": list(profile.names.items()),
            **_sketch("different", profile.different, arrays),
        }
    filled = np.flatnonzero(profile.frequencies)
    return {
        "text": [profile.rows, profile.missing, profile.total],
        "arrays": [_put(filled, arrays), _put(profile.frequencies[filled], arrays)],
        "names": list(profile.words.items()),
        "lengths": _written(profile.lengths, arrays),
    }


def _sketch(name: str, sketch: bytes, arrays: dict[str, NDArray[Any]]) -> dict[str, str]:
    """Where a sketch is kept, if it is: archives of before have none."""
    return {name: _put(np.frombuffer(sketch, np.uint8), arrays)} if sketch else {}


def _bytes(told: Mapping[str, Any], name: str, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    return arrays[told[name]].tobytes() if name in told else b""


def _column(told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ColumnProfile:
    if "number" in told:
        return _number(told, arrays)
    names = {int(bucket): str(name) for bucket, name in told["names"]}
    if "category" in told:
        rows, missing = told["category"]
        return CategoryProfile(rows, missing, _spread(told, arrays, BUCKETS), names, _bytes(told, "different", arrays))
    rows, missing, total = told["text"]
    lengths = _number(told["lengths"], arrays)
    return TextProfile(rows, missing, total, _spread(told, arrays, WORD_BUCKETS), names, lengths)


def _number(told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> NumberProfile:
    edges, counts = (arrays[key] for key in told["arrays"])
    rows, missing = told["number"]
    mean, std, minimum, maximum = map(float, told["ends"])
    sketch = _bytes(told, "quantiles", arrays)
    return NumberProfile(rows, missing, edges, counts, mean, std, minimum, maximum, sketch)


def _spread(told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], size: int) -> NDArray[np.int64]:
    """Counts of all buckets from those of the filled ones."""
    filled, counts = (arrays[key] for key in told["arrays"])
    spread = np.zeros(size, np.int64)
    spread[filled] = counts
    return spread
