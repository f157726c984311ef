"""Which project do the pages show, and how is its record reached?"""

from __future__ import annotations

import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from expectations.errors import ShopmonError
from monitor.runs import RunStore
from shopmon.project import Project
from shopmon.serving import PROJECT_VARIABLE as PROJECT_VARIABLE

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Shop:
    """A project with its run store."""

    project: Project
    store: RunStore | None
    """None before anything was recorded: looking at a folder leaves nothing in it."""
    key: str
    """What caches know this store by; without its password."""

    @property
    def name(self) -> str:
        """The name of the project's folder."""
        return self.project.folder.absolute().name

    def near(self, name: str) -> str:
        """A path, or several, without the project's own folder before it."""
        return name.replace(f"{self.project.folder.absolute()}/", "")

    def command(self, words: str) -> str:
        """A command for this project, as it is typed in the working directory."""
        if self.project.folder.absolute() == Path.cwd():
            return f"shopmon {words}"
        return f"shopmon {words} --project {shlex.quote(str(_nearby(self.project.folder)))}"


def open_shop() -> Shop:
    """The project that `shopmon dashboard` was asked for, or the one around the working directory.

    Raises ShopmonError if its settings cannot be understood, or its store cannot be reached or is of a newer shopmon.
    """
    project = Project.of(os.environ.get(PROJECT_VARIABLE) or None)
    url = project.store_url
    file = _file_of(url)
    if file is not None and not file.exists():
        return Shop(project, None, "")
    identity = (url, file.stat().st_ino if file else 0)
    key = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
    return Shop(project, _store(key, url), key)


@st.cache_resource(max_entries=8, show_spinner=False, on_release=lambda store: store.close())
def _store(key: str, _url: str) -> RunStore:
    """The store, opened once; `_url` is not part of the cache's key, for it may hold a password."""
    return RunStore.open(_url)


def _file_of(url: str) -> Path | None:
    """The SQLite file of a store's address; None for a server."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def _nearby(folder: Path) -> Path:
    absolute, here = folder.absolute(), Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def recorded(shop: Shop) -> RunStore:
    """The run store of a project in which something was recorded. Raises ShopmonError where nothing was."""
    if shop.store is None:
        raise ShopmonError("nothing was checked here yet", advice="Begin with: shopmon check FILE.")
    return shop.store
