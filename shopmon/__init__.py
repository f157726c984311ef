"""Keeps the text models of online shops honest: checks the data, says what drifted, retrains on the edge cases.

`import shopmon` is all that Python needs; nothing heavy is loaded before a name is used:

    result = shopmon.check("new.parquet")          # or a pandas, polars or Arrow table
    trained = shopmon.retrain(base="offline")      # on the rows that checks gathered
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shopmon.checking import check
    from shopmon.classifying import classify
    from shopmon.incremental import check_new
    from shopmon.kept_windows import windows
    from shopmon.labels import join_labels
    from shopmon.project import Project
    from shopmon.ranking import rank
    from shopmon.references import set_reference
    from shopmon.replacing import substitutes
    from shopmon.retraining import models, retrain
    from shopmon.starting import draft

__all__ = [
    "Project",
    "__version__",
    "check",
    "check_new",
    "classify",
    "draft",
    "join_labels",
    "models",
    "rank",
    "retrain",
    "set_reference",
    "substitutes",
    "windows",
]
__version__ = "0.1.0"

_FLOORS = ("expectations", "monitor", "retrain", "dashboards")
_HOMES = {
    # public name -> the module that holds it. No module of this folder may be called like a public name: importing it
    # would put the module in the name's place.
    "Project": "shopmon.project",
    "check": "shopmon.checking",
    "check_new": "shopmon.incremental",
    "classify": "shopmon.classifying",
    "draft": "shopmon.starting",
    "join_labels": "shopmon.labels",
    "models": "shopmon.retraining",
    "rank": "shopmon.ranking",
    "retrain": "shopmon.retraining",
    "set_reference": "shopmon.references",
    "substitutes": "shopmon.replacing",
    "windows": "shopmon.kept_windows",
}


def _place(name: str) -> Path | None:
    """Where Python would take the top-level package `name` from, without importing it; None if it is nowhere."""
    if name in sys.modules and getattr(sys.modules[name], "__spec__", None) is None:
        return Path(getattr(sys.modules[name], "__file__", None) or f"<{name}, made by hand>")
    spec = find_spec(name)
    if spec is None:
        return None
    # A folder without __init__.py is a namespace package: it has places to search, but no origin.
    return Path(spec.origin) if spec.origin else Path(*list(spec.submodule_search_locations or [name])[:1])


def _refuse_strangers(house: Path) -> None:
    """Raise ImportError unless the other four packages come from the folder `house`, where shopmon is.

    Their names are common words: an `expectations.py` in the working directory would silently stand in for ours.
    """
    for name in _FLOORS:
        expected, found = house / name / "__init__.py", _place(name)
        if found is None:
            raise ImportError(
                f"shopmon's package '{name}' is missing: expected {expected}, found none. Install shopmon again.",
                name=name,
            )
        if found.resolve() != expected:
            raise ImportError(
                f"{found} hides shopmon's package '{name}' ({expected}). "
                f"Rename it, or start Python from a folder that has no '{name}' of its own.",
                name=name,
                path=str(found),
            )


_refuse_strangers(Path(__file__).resolve().parents[1])


if not TYPE_CHECKING:  # a type checker would take __getattr__ for leave to use any name

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module 'shopmon' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
