"""How does text from data stay data when SQL is written?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_NAMED = re.compile(r"\$(b\d+)\b")


def quoted(identifier: str) -> str:
    """An identifier in SQL, whatever characters it holds.

    >>> quoted('a "b" c')
    '"a ""b"" c"'
    """
    return '"' + identifier.replace('"', '""') + '"'


def literal(said: str) -> str:
    """A text in SQL, such as a path: what cannot be bound must be quoted.

    >>> literal("it's here")
    "'it''s here'"
    """
    return "'" + said.replace("'", "''") + "'"


def any_of(conditions: Iterable[str]) -> str:
    """True where any condition is; false of none."""
    return " or ".join(f"({c})" for c in conditions) or "false"


def all_of(conditions: Iterable[str]) -> str:
    """True where every condition is; true of none."""
    return " and ".join(f"({c})" for c in conditions if c != "true") or "true"


class Bound:
    """Values that stand in SQL by name, so that none is ever spliced into it.

    >>> bound = Bound()
    >>> sql = f"stars > {bound.to(3)}"
    >>> sql, bound.used_in(sql)
    ('stars > $b0', {'b0': 3})
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def to(self, value: Any) -> str:
        """The name under which the value stands."""
        name = f"b{len(self._values)}"
        self._values[name] = value
        return f"${name}"

    def used_in(self, sql: str) -> dict[str, Any]:
        """The values that this SQL asks for; DuckDB refuses any others."""
        return {name: self._values[name] for name in dict.fromkeys(_NAMED.findall(sql))}
