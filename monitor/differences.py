"""In what do two documents differ?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

_OF_THE_RUN = frozenset({"run_id", "model_id", "started", "seconds", "artifacts", "folder"})
"""What every run has anew, whatever it finds."""
_OF_DATA = frozenset({"value", "observed"})
"""Members that hold values of data: what is in there is one value, whatever its shape."""
_KEYS = (("id",), ("column", "segment", "test"), ("name",), ("word",), ("segment",))
"""Members by which the objects of a list are known again."""


@dataclass(frozen=True)
class Difference:
    """A place in which two documents differ."""

    path: str
    """As `expectations[id=html].unexpected`."""
    one: Any
    """None where there is null, or nothing."""
    other: Any
    in_one: bool = True
    """Whether there is anything at that place."""
    in_other: bool = True


def differences(one: Mapping[str, Any], other: Mapping[str, Any], *, most: int = 500) -> tuple[Difference, ...]:
    """The places in which two documents differ, at most so many: plain values before what is nested, by name.

    Objects in a list are matched by `id`, by `column`, `segment` and `test`, or by a name of theirs, else by their
    place. One that only one document has is one difference. Ids of runs and models, times, seconds, and the paths of
    what was written are left out, as the run itself makes them differ.

    >>> was = {"run_id": "a", "expectations": [{"id": "html", "unexpected": 3}]}
    >>> now = {"run_id": "b", "expectations": [{"id": "price", "unexpected": 0}, {"id": "html", "unexpected": 5}]}
    >>> for found in differences(was, now):
    ...     print(found.path, found.one, found.other)
    expectations[id=html].unexpected 3 5
    expectations[id=price] None {'id': 'price', 'unexpected': 0}
    """
    return tuple(islice(_objects("", one, other), most))


def _objects(path: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    names = {name for name in one.keys() | other.keys() if name not in _OF_THE_RUN}
    for name in sorted(names, key=lambda name: (_nested(one.get(name)) or _nested(other.get(name)), name)):
        place = f"{path}.{name}" if path else name
        if name not in one or name not in other:
            yield _only(place, one, other, name)
        elif name in _OF_DATA:
            yield from _plain(place, one[name], other[name])
        else:
            yield from _values(place, one[name], other[name])


def _values(path: str, one: Any, other: Any) -> Iterator[Difference]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        yield from _objects(path, one, other)
    elif _of_objects(one) and _of_objects(other):
        yield from _lists(path, one, other)
    else:
        yield from _plain(path, one, other)


def _lists(path: str, one: Sequence[Any], other: Sequence[Any]) -> Iterator[Difference]:
    was, now = _named(one, other)
    for name in [*was, *(name for name in now if name not in was)]:
        if name in was and name in now:
            yield from _values(f"{path}[{name}]", was[name], now[name])
        else:
            yield _only(f"{path}[{name}]", was, now, name)


def _named(one: Sequence[Any], other: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The objects of two lists under the names that tell them apart in both; under their places where none do."""
    for keys in _KEYS:
        was, now = ({_key(item, keys): item for item in items} for items in (one, other))
        if len(was) == len(one) and len(now) == len(other) and None not in (*was, *now):
            return {str(k): v for k, v in was.items()}, {str(k): v for k, v in now.items()}
    return {str(i): item for i, item in enumerate(one)}, {str(i): item for i, item in enumerate(other)}


def _key(item: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """None where a member is missing, or all are null."""
    if not all(key in item for key in keys):
        return None
    return ", ".join(f"{key}={item[key]}" for key in keys if item[key] is not None) or None


def _plain(path: str, one: Any, other: Any) -> Iterator[Difference]:
    # True is 1 to Python, and 1 is 1.0: the second is how PostgreSQL gives numbers back.
    if one != other or isinstance(one, bool) != isinstance(other, bool):
        yield Difference(path, one, other)


def _only(path: str, one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> Difference:
    return Difference(path, one.get(name), other.get(name), name in one, name in other)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | list)


def _of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)
