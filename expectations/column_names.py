"""May the columns of a batch be called like this?"""

from __future__ import annotations

from collections.abc import Sequence

from expectations.errors import BatchError

RESERVED = "__shopmon"
"""Names that begin so are shopmon's own: `__shopmon_file` and `__shopmon_row` address every row."""

ROW = "__shopmon_row"
"""The number of a record in its file; the first record is 1, a header is not counted."""


def check_names(names: Sequence[str], source: str) -> None:
    """Refuse names that could not tell the columns of `source` apart; keywords and quotes in names are fine.

    Raises BatchError for no columns, empty or duplicate names (SQL does not tell `Text` from `text`), reserved names,
    and names that hold a NUL character.

    >>> check_names(["select", 'say "hi"'], "new.csv")
    """
    if not names:
        raise BatchError(f"{source} has no columns")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise BatchError(
                f"column {position} of {len(names)} in {source} has no name",
                advice="Name it in the header; pandas writes such a column unless told to_csv(…, index=False).",
            )
        if "\0" in name:
            raise BatchError(f"the name of column {position} in {source} holds a NUL character: {name!r}")
        if name.lower().startswith(RESERVED):
            raise BatchError(
                f"column {name!r} in {source} has a name that shopmon keeps for itself", advice="Rename it."
            )
        if (earlier := seen.setdefault(name.lower(), position)) != position:
            other = names[earlier - 1]
            how = "are both called" if other == name else "differ only in case:"
            both = repr(name) if other == name else f"{other!r} and {name!r}"
            raise BatchError(f"columns {earlier} and {position} of {source} {how} {both}", advice="Rename one of them.")
