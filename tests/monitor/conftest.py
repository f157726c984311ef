"""What do tests of the run store need? Each of them runs on both databases."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from monitor.runs import RunStore


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new_address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Makes addresses at which nothing is yet, on one of the two databases."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('store')}/runs.sqlite"
    server = request.getfixturevalue("postgresql_url")
    return lambda: new_postgresql_database(server)


def new_postgresql_database(server: str) -> str:
    """The address of a new, empty database of a server."""
    import psycopg

    name = f"store_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture
def address(new_address: Callable[[], str]) -> str:
    """One at which nothing is yet."""
    return new_address()


@pytest.fixture
def store(address: str) -> Iterator[RunStore]:
    """A store of its own for each test."""
    with RunStore.open(address) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_store(new_address: Callable[[], str]) -> Iterator[RunStore]:
    """One store for all examples of a property."""
    with RunStore.open(new_address()) as opened:
        yield opened
