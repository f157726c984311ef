"""Which files are likely to have the same columns, as their first bytes tell?"""

from __future__ import annotations

import json
from pathlib import Path

from expectations.file_listing import Listed

_HEADER = 64 * 1024
"""Bytes in which a header ends, if there is one."""
_PARQUET, _DELIMITED = "parquet", "delimited text"
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""How gzip, bzip2, xz and zstandard begin."""


def layout(one: Listed) -> str:
    """A name that files share whose columns are called the same; empty where that cannot be told at a glance.

    Nothing rests on it but which files are read together first: elsewhere than on this machine, packed, damaged, or in
    JSON lines, files have an empty one.
    """
    if one.key == one.name and "://" in one.key:
        return ""
    try:
        if one.family == _PARQUET:
            import pyarrow.parquet as pq

            return json.dumps(sorted(pq.read_schema(one.address).names))
        return _header(Path(one.address)) if one.family == _DELIMITED else ""
    except (OSError, ValueError):  # damaged, or not there any more: whoever reads it will tell
        return ""


def _header(file: Path) -> str:
    with file.open("rb") as opened:
        line, end, _ = opened.read(_HEADER).partition(b"\n")
    return line.decode("latin-1") if end and not line.startswith(_PACKED) else ""
