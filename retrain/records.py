"""How is what a training says written down as plain JSON, and read again without guessing?

The types of `results` are the format: a field that is added there is written and read without a word here. A record is
refused if it holds a field that is not known, or a value of another type than its field's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from expectations.errors import ShopmonError
from retrain.results import Gate, GateCheck, TrainingResult

FILE_NAME = "training.json"
SCHEMA_VERSION = 1
"""Of the format; raised whenever records of before would be misread."""

_DERIVED = {Gate: ("passed",), GateCheck: ("passed",)}
"""What follows from other fields, and is written all the same for those who read the JSON alone."""


def document(result: TrainingResult) -> dict[str, Any]:
    """What a training says, as plain JSON: objects, arrays, texts, whole and finite numbers, true, false and null.

    Raises ShopmonError for a number that is not finite, saying which; TypeError for a value that JSON has no word for.

    >>> from retrain.results import BaseUsed
    >>> told = document(TrainingResult(model_id="1", task="mlm", base=BaseUsed("offline", "3f2a")))
    >>> told["base"], told["gate"]
    ({'name': 'offline', 'sha256': '3f2a', 'folder': ''}, {'checks': [], 'passed': False})
    >>> from_document(told).base.name
    'offline'
    """
    return {"schema_version": SCHEMA_VERSION, **_plain(result, "")}


def from_document(document: Mapping[str, Any]) -> TrainingResult:
    """What a training said, from its record; arrays of the settings stay lists.

    A field that is missing has its default. Raises ShopmonError for another version, a field that is missing and has
    none, one that is not known, or one of another type: it names the field.
    """
    if not isinstance(document, Mapping):
        raise _damaged("", "an object", document)
    told = dict(document)
    version = told.pop("schema_version", None)
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ShopmonError(
            f"the record has the format {version!r}, and this version of shopmon reads {SCHEMA_VERSION}",
            advice="Use the version of shopmon that wrote it.",
        )
    found: TrainingResult = _object(told, TrainingResult, "")
    return found


def write(result: TrainingResult, folder: Path) -> Path:
    """Write a training's record into a folder that is not finished yet, and say where.

    ASCII alone: names of files may hold bytes that are no characters, which UTF-8 cannot say.
    """
    file = folder / FILE_NAME
    file.write_text(json.dumps(document(result), indent=2, allow_nan=False) + "\n", encoding="ascii")
    return file


def read(folder: Path) -> dict[str, Any]:
    """The record in a model's folder, as plain JSON that `from_document` has read once.

    Raises ShopmonError, naming the file, if it is missing or damaged or of another version.
    """
    file = folder / FILE_NAME
    try:
        told = json.loads(file.read_bytes())
        from_document(told)
    except FileNotFoundError as error:
        raise ShopmonError(f"{folder} has no {FILE_NAME}", advice="Restore it from a copy.") from error
    except OSError as error:
        raise ShopmonError(f"{file} cannot be read: {error.strerror}", advice="Let this user read it.") from error
    except ShopmonError as error:
        raise ShopmonError(f"{file}: {error.problem}", advice=error.advice) from error
    except (ValueError, RecursionError) as error:
        raise ShopmonError(f"{file} is damaged: it is no JSON ({error})", advice="Restore it from a copy.") from error
    return dict(told)


# --- to JSON ----------------------------------------------------------------------------------------------------------


def _plain(value: Any, where: str) -> Any:
    """The value as JSON; `where` is its path, for errors."""
    if is_dataclass(value) and not isinstance(value, type):
        names = (*(field.name for field in fields(value)), *_DERIVED.get(type(value), ()))
        return {name: _plain(getattr(value, name), _below(where, name)) for name in names}
    if isinstance(value, Enum):
        return _plain(value.value, where)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(name, where): _plain(one, _below(where, _key(name, where))) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, _below(where, place)) for place, one in enumerate(value)]
    return _scalar(value, where)


def _scalar(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ShopmonError(
            f"{where} is {value}, which is no result of a training",
            advice="Train with a lower learning_rate, or without bf16.",
        )
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    raise TypeError(f"{where} is a {type(value).__name__}, and JSON has no such value: {value!r}")


def _key(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a name in {where} is a {type(name).__name__}, and JSON's are texts: {name!r}")
    return str(name.value if isinstance(name, Enum) else name)


def _below(where: str, name: str | int) -> str:
    return f"{where}.{name}" if where else str(name)


# --- from JSON --------------------------------------------------------------------------------------------------------


def _object(told: Any, kind: Any, where: str) -> Any:
    """A dataclass from its JSON."""
    if not isinstance(told, Mapping):
        raise _damaged(where, "an object", told)
    hints, derived = _hints(kind), _DERIVED.get(kind, ())
    if unknown := sorted(str(name) for name in set(told) - set(hints) - set(derived)):
        raise ShopmonError(
            f"the record is damaged, or a newer shopmon wrote it: it has a field {_below(where, unknown[0])!r}",
            advice="Update shopmon, or restore the file from a copy.",
        )
    if missing := [name for name in _needed(kind) if name not in told]:
        raise ShopmonError(
            f"the record is damaged: {_below(where, missing[0])!r} is missing", advice="Restore it from a copy."
        )
    found = kind(**{name: _read(told[name], hint, _below(where, name)) for name, hint in hints.items() if name in told})
    for name in derived:  # whoever changed a verdict by hand must not be believed
        if name in told and told[name] is not getattr(found, name):
            raise _damaged(_below(where, name), f"{getattr(found, name)}, by the numbers beside it".lower(), told[name])
    return found


def _read(told: Any, hint: Any, where: str) -> Any:
    """A value of the type that a field asks for."""
    origin, of = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return None if told is None else _read(told, next(one for one in of if one is not type(None)), where)
    if origin is tuple:
        if not isinstance(told, list):
            raise _damaged(where, "an array", told)
        return tuple(_read(one, of[0], _below(where, place)) for place, one in enumerate(told))
    if origin is Mapping:
        if not isinstance(told, dict):
            raise _damaged(where, "an object", told)
        return {_read(name, of[0], where): _read(one, of[1], _below(where, name)) for name, one in told.items()}
    if hint is object:
        return _free(told, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return _object(told, hint, where)
    return _simple(told, hint, where)


def _simple(told: Any, hint: Any, where: str) -> Any:
    if hint is float and type(told) in (int, float) and _finite(told):
        return float(told)
    if hint in (str, int, bool) and type(told) is hint:  # not isinstance: true is no number
        return told
    if hint is Path and isinstance(told, str):
        return Path(told)
    if issubclass(hint, Enum):
        if told not in [one.value for one in hint]:
            raise _damaged(where, "one of " + ", ".join(one.value for one in hint), told)
        return hint(told)
    raise _damaged(where, _NAMES[hint], told)


_NAMES = {float: "a finite number", int: "a whole number", bool: "true or false", str: "a text", Path: "a path"}


def _free(told: Any, where: str) -> Any:
    """Any JSON, with finite numbers."""
    for place, number in _numbers(told, where):
        if not _finite(number):
            raise _damaged(place, "a finite number", number)
    return told


def _numbers(told: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(told, float):
        yield where, told
    elif isinstance(told, list | dict):
        for name, one in told.items() if isinstance(told, dict) else enumerate(told):
            yield from _numbers(one, _below(where, name))


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can hold
        return False


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Field → type, of those that are set when it is made."""
    return get_type_hints(kind)


def _needed(kind: Any) -> list[str]:
    """The fields without a default."""
    return [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]


def _damaged(where: str, expected: str, told: Any) -> ShopmonError:
    arrived = repr(told)
    short = arrived if len(arrived) <= 60 else f"{arrived[:60]}…"
    return ShopmonError(
        f"the record is damaged: {where or 'it'} is {short}, and not {expected}", advice="Restore it from a copy."
    )
