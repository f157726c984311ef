"""How is a part of a recorded document asked for, in SQLite and in PostgreSQL?

The database takes the parts out, so that whole documents are never sent or read. Both give the same answers: text that
`to_json` had to escape comes back as it was, and is looked for as it is stored. Paths are this code's, never data's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Text,
    and_,
    case,
    collate,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.types import JSON

from monitor.run_database import to_json

Path = tuple[str | int, ...]
"""Names of members and places in lists, from the document downwards."""
_JSON = JSON().with_variant(JSONB(), "postgresql")


@dataclass(frozen=True)
class Documents:
    """The JSON functions of one database, under names that both share."""

    sqlite: bool
    """Otherwise PostgreSQL."""

    @classmethod
    def of(cls, connection: Connection) -> Self:
        """Those of the database that is connected."""
        return cls(connection.dialect.name == "sqlite")

    def picked(self, source: ColumnElement[Any], *paths: Path) -> ColumnElement[Any]:
        """What stands at each of two or more paths, as one list; None where nothing does."""
        if len(paths) < 2:
            raise ValueError(f"SQLite gives a list for two or more paths, got {len(paths)}")
        if self.sqlite:
            return func.json_extract(source, *map(_path, paths), type_=_JSON)
        return func.jsonb_build_array(*(func.jsonb_extract_path(source, *map(str, p)) for p in paths), type_=_JSON)

    def text(self, source: ColumnElement[Any], *path: str | int) -> ColumnElement[Any]:
        """The text that stands at a path; null where none does."""
        if self.sqlite:
            return func.json_extract(source, _path(path), type_=Text)
        return func.jsonb_extract_path_text(source, *map(str, path), type_=Text)

    def listed(
        self, source: ColumnElement[Any], path: Path, *wanted: Path, where: dict[str, str | None] | None = None
    ) -> ColumnElement[Any]:
        """Of each object in the list at a path what stands at the wanted ones, as one list of lists.

        `where` has members that must be such a text, or be missing (None). The list is empty (None in PostgreSQL) where
        there is no list, and skips what is no object.
        """
        items, value, is_object = self._items(source, path)
        # SQLite would fail on a value that is no JSON; it writes each one out anew wherever it is named.
        asked = (case((is_object, self._is(value, name, text)), else_=False) for name, text in (where or {}).items())
        picked = self.picked(value, *wanted)
        if self.sqlite:  # rows of a table of values come, and are gathered, in their order
            gathered = func.json_group_array(picked, type_=_JSON)
        else:
            gathered = func.jsonb_agg(aggregate_order_by(picked, items.c.place), type_=_JSON)
        return select(gathered).select_from(items).where(is_object, *asked).scalar_subquery()

    def any_holds(self, source: ColumnElement[Any], member: str, text: str) -> ColumnElement[bool]:
        """Whether that member of any object in a list holds a text, as `holds` does."""
        items, value, is_object = self._items(source, ())
        found = case((is_object, self.holds(self.text(value, member), text)), else_=False)
        return select(literal(1)).select_from(items).where(found).exists()

    def holds(self, whole: ColumnElement[Any], part: str) -> ColumnElement[bool]:
        """Whether a text holds another, letter by letter; A to Z are the same as a to z.

        Other letters are as they are: the databases do not agree on which belong together.
        """
        asked = literal(stored(part), Text)
        if self.sqlite:
            return func.instr(func.lower(whole), func.lower(asked)) > 0
        return func.strpos(func.lower(collate(whole, "C")), func.lower(collate(asked, "C"))) > 0

    def _is(self, value: ColumnElement[Any], member: str, text: str | None) -> ColumnElement[bool]:
        found = self.text(value, member)
        return found.is_(None) if text is None else found == literal(stored(text), Text)

    def _items(
        self, source: ColumnElement[Any], path: Path
    ) -> tuple[FromClause, ColumnElement[Any], ColumnElement[bool]]:
        """The items of the list at a path, each of them, and whether it is an object."""
        if self.sqlite:
            each = func.json_each(source, _path(path)).table_valued("key", "value", "type")
            # The members of an object that stands there in place of a list have texts as keys.
            return each, each.c.value, and_(each.c.type == "object", func.typeof(each.c.key) == "integer")
        there = func.jsonb_extract_path(source, *map(str, path)) if path else source
        items = case((func.jsonb_typeof(there) == "array", there), else_=func.jsonb_build_array())
        found = func.jsonb_array_elements(items).table_valued(column("value", JSONB()), with_ordinality="place")
        each = found.render_derived()
        return each, each.c.value, func.jsonb_typeof(each.c.value) == "object"


def stored(text: str) -> str:
    r"""Text as it stands in the store: what PostgreSQL refuses has become an escape character and four digits.

    >>> stored("a\x00")
    'a\x1b0000'
    """
    return str(json.loads(to_json(text)))


def _path(path: Path) -> str:
    """As SQLite writes it.

    >>> _path(("drift", "columns", 0))
    '$."drift"."columns"[0]'
    """
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f'."{part}"' for part in path)
