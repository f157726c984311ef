"""What do these JSON lines say, record by record?"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterator
from enum import IntFlag
from pathlib import Path
from typing import Any

import pyarrow as pa

from expectations.column_names import check_names
from expectations.errors import BatchError
from expectations.raw_text import RawText, open_text
from expectations.scratch_parquet import ScratchParquet, Written

MOST_COLUMNS = 10_000
"""More different keys than this are data, not names of columns."""

_BATCH_CELLS = 1_000_000
"""Records are gathered until they have so many cells, so a file of many columns needs no more memory."""


class _Kind(IntFlag):
    """What the values of one column are; a column of several kinds has several flags."""

    BOOLEAN = 1
    INTEGER = 2
    LONG = 4  # beyond 2^53: a 64-bit float does not hold every such number
    HUGE = 8  # beyond 64 bits
    FLOAT = 16
    TEXT = 32
    NESTED = 64


_KINDS = {bool: _Kind.BOOLEAN, float: _Kind.FLOAT, str: _Kind.TEXT, dict: _Kind.NESTED, list: _Kind.NESTED}


def read_json_lines(
    path: Path, name: str, scratch: Path, *, encoding: str | None = None, progress: Callable[[int], None]
) -> Written:
    """Read JSON lines (gzip too) into parquet, one column per key, in the order in which keys appear.

    Integers stay 64-bit integers; beside fractions they become 64-bit floats; numbers beside text, and integers beyond
    64 bits, become text; objects and lists are kept as JSON text. An absent key is null. Blank lines are no records. A
    line that is not one JSON object (duplicate keys, NaN and Infinity included) is rejected with its bytes.

    Raises BatchError for a file that is one JSON array, for unusable keys, and when no line can be read.
    """
    text = open_text(path, name, scratch, encoding)
    try:
        _check_no_array(text)
        # Two passes: a key may appear, or a number turn out to be a text, on the last line; one parquet has one schema.
        kinds = _survey(text)
        check_names(list(kinds), name)
        columns = {key: _column(key, flags) for key, flags in kinds.items()}
        with ScratchParquet(scratch, pa.schema([(key, kind) for key, (kind, _) in columns.items()]), progress) as out:
            _write(text, kinds, columns, out)
            return out.written([f"{name}: {note}" for _, note in columns.values() if note])
    finally:
        if text.path != path:
            text.path.unlink(missing_ok=True)


def _check_no_array(text: RawText) -> None:
    start = text.sample.lstrip()
    if not start.startswith(b"["):
        return
    line, _, rest = start.partition(b"\n")
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        first = None
    if first is None or not rest.strip() or any(isinstance(item, dict) for item in first):
        raise BatchError(
            f"{text.name} is one JSON array, not JSON lines",
            advice=f"Write one object per line: jq -c '.[]' {text.name} > new.jsonl",
        )


# --- one line -------------------------------------------------------------------------------------------------------


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # the last of two values would win without a word
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands in one object twice")
    return found


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise ValueError(f"{literal[:20]} is too large for a 64-bit float")
    return number


def _refuse(literal: str) -> None:
    raise ValueError(f"{literal} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def _parse(raw: bytes, encoding: str) -> dict[str, Any] | str:
    """Return the object on a line, or why there is none."""
    try:
        text = raw.decode(encoding).rstrip()
        record = _DECODER.decode(text)
        if not isinstance(record, dict):
            return f"a JSON {_json_name(record)}, not an object"
        if "\\u" in text:
            _as_json(record).encode()
    except UnicodeDecodeError:
        return f"the bytes are not valid {encoding}"
    except UnicodeEncodeError:
        return "broken JSON: half of a surrogate pair"
    except json.JSONDecodeError as error:
        return f"broken JSON: {error.msg} at character {error.pos + 1:,}"
    except RecursionError:
        return "broken JSON: nested too deeply"
    except ValueError as error:
        return f"broken JSON: {error}"
    return record


def _json_name(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names[type(value)]


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _numbered(text: RawText) -> Iterator[tuple[int, bytes]]:
    number = 0
    for block in text.blocks():
        for line in block:
            if line.strip():
                number += 1
                yield number, line


# --- the columns ----------------------------------------------------------------------------------------------------


def _survey(text: RawText) -> dict[str, _Kind]:
    """Say which kinds of values stand under each key."""
    kinds: dict[str, _Kind] = {}
    number, readable, first_fault = 0, False, ""
    for number, line in _numbered(text):
        record = _parse(line, text.encoding)
        if isinstance(record, str):
            first_fault = first_fault or f"line {number:,}: {record}"
            continue
        readable = True
        for key, value in record.items():
            kind = _kind(value)
            known = kinds.get(key)
            if known is None:
                kinds[key] = kind
            elif known | kind != known:
                kinds[key] = known | kind
        if len(kinds) > MOST_COLUMNS:
            raise BatchError(f"{text.name} has more than {MOST_COLUMNS:,} different keys", advice="Are some keys data?")
    _check_readable(text, number, readable, first_fault)
    return kinds


def _check_readable(text: RawText, records: int, readable: bool, fault: str) -> None:
    if not records:
        raise BatchError(f"{text.name} holds no records, only white space", advice="Was it written completely?")
    if readable:
        return
    how = "Write one object per line"
    if text.sample.lstrip()[:1] == b"{":
        how += f": jq -c . {text.name} > new.jsonl"
    what = f"none of the {records:,} lines" if records > 1 else "the only line"
    raise BatchError(f"{what} of {text.name} is a JSON object: {fault}", advice=how)


def _kind(value: object) -> _Kind:
    if type(value) is int:
        if -(2**53) <= value <= 2**53:
            return _Kind.INTEGER
        return _Kind.LONG if -(2**63) <= value < 2**63 else _Kind.HUGE
    return _KINDS.get(type(value), _Kind(0))


def _column(key: str, kinds: _Kind) -> tuple[pa.DataType, str]:
    """Choose one type for the values of a key, and say what a person should know about it."""
    integer = _Kind.INTEGER | _Kind.LONG
    if not kinds or kinds == _Kind.TEXT:
        return pa.string(), ""
    if kinds == _Kind.BOOLEAN:
        return pa.bool_(), ""
    if kinds | integer == integer:
        return pa.int64(), ""
    if kinds in (_Kind.FLOAT, _Kind.FLOAT | _Kind.INTEGER):
        return pa.float64(), ""
    if kinds == _Kind.NESTED:
        return pa.string(), f"column {key!r} holds objects or lists; they are kept as JSON text"
    if kinds | integer == integer | _Kind.HUGE:
        return pa.string(), f"column {key!r} holds integers beyond 64 bits; it is read as text"
    words = {
        _Kind.BOOLEAN: "booleans",
        integer | _Kind.HUGE | _Kind.FLOAT: "numbers",
        _Kind.TEXT: "text",
        _Kind.NESTED: "objects or lists",
    }
    mixed = [word for flag, word in words.items() if kinds & flag]
    if mixed == ["numbers"]:
        return pa.string(), f"column {key!r} holds fractions and integers beyond 2^53; it is read as text"
    return pa.string(), f"column {key!r} holds {' and '.join(mixed)}; it is read as text"


# --- writing --------------------------------------------------------------------------------------------------------


def _write(
    text: RawText, kinds: dict[str, _Kind], columns: dict[str, tuple[pa.DataType, str]], out: ScratchParquet
) -> None:
    most = max(1, min(16_384, _BATCH_CELLS // len(columns)))
    numbers = array("q")
    records: list[dict[str, Any]] = []
    size = 0

    def flush() -> None:
        arrays = [_array(records, key, kind, kinds[key]) for key, (kind, _) in columns.items()]
        out.add(pa.array(numbers, pa.int64()), arrays)

    for number, line in _numbered(text):
        record = _parse(line, text.encoding)
        if isinstance(record, str):
            out.reject(number, record, line)
            continue
        numbers.append(number)
        records.append(record)
        size += len(line)
        if len(records) >= most or size >= 16 << 20:
            flush()
            del numbers[:]
            records, size = [], 0
    if records:
        flush()


def _array(records: list[dict[str, Any]], key: str, kind: pa.DataType, found: _Kind) -> pa.Array:
    values = [record.get(key) for record in records]
    if pa.types.is_string(kind) and found | _Kind.TEXT != _Kind.TEXT:
        values = [value if value is None or isinstance(value, str) else _as_json(value) for value in values]
    return pa.array(values, kind)
