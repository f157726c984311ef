"""Projects that several tests of pages look at: made once, also where several processes test."""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboards.shop import PROJECT_VARIABLE

from .example_projects import copied, demo_with_models
from .pages import APP, go_to, start

HERE = Path(__file__).parent
MADE = {"demo", "hostile_shop"}
"""Fixtures of projects that take more than ten seconds to make."""


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Path]) -> Path:
    """A folder that one process of the session makes, and all others find."""
    base = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent  # of all workers
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / f"{name}.done").exists():
            make(base / name)
            (base / f"{name}.done").touch()
    return base / name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what waits for a project that is made first."""
    for item in items:
        if item.path.parent == HERE and MADE & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration with three small models; nobody changes it."""
    return once(tmp_path_factory, "demo", demo_with_models)


@pytest.fixture
def own(demo: Path, tmp_path: Path) -> Path:
    """The demonstration for one test, which may change it."""
    return copied(demo, tmp_path / "shop")


@pytest.fixture(scope="session", autouse=True)
def configured() -> Iterator[None]:
    """The app's own settings, which `streamlit run` finds beside it."""
    said = tomllib.loads((APP.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    options = {f"{section}.{name}": value for section in ("runner",) for name, value in said[section].items()}
    before = {name: config.get_option(name) for name in options}
    for name, value in options.items():
        config.set_option(name, value)
    yield
    for name, value in before.items():
        config.set_option(name, value)


Show = Callable[..., AppTest]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which nothing was done."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "shopmon.toml").touch()
    return folder


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, empty: Path) -> Show:
    """Opens a page of a project."""

    def opened(project: Path, page: str = "overview") -> AppTest:
        monkeypatch.setenv(PROJECT_VARIABLE, str(empty))
        app = start()  # pages are known once one was shown, and here that takes no time
        if (project / "shopmon.toml").exists():
            monkeypatch.setenv(PROJECT_VARIABLE, str(project))
        else:  # as `shopmon dashboard` starts it there
            monkeypatch.delenv(PROJECT_VARIABLE)
            monkeypatch.chdir(project)
        return go_to(app, page)

    return opened
