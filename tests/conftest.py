"""What do tests of several rooms need?"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import settings

# Machines are shared: how long an example takes says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What is started in the background, as in many CI systems, ignores Ctrl-C, and so do its children: tests that press it
# would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

PASSWORD = "correct horse/battery@staple"
"""Holds what an address must escape."""


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server of this test session, as an address with user and password; stopped at the end."""
    with _served() as server:
        yield server.url


@pytest.fixture(scope="module")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """One more, which tests may stop and start; no other test file is served by it."""
    with _served() as server:
        yield server


@dataclass(frozen=True)
class PostgresqlServer:
    """A server that runs, and that can be stopped and started again on the same port."""

    programs: Path
    folder: Path
    user: dict[str, Any]
    port: int

    @property
    def url(self) -> str:
        """The address of its first database, with user and password."""
        return f"postgresql://shopmon:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """End it as a crash would: nobody is waited for."""
        _pg_ctl(self, "stop", "-m", "immediate")

    def stop_if_running(self) -> None:
        """End it, if a test has not done so."""
        with suppress(subprocess.CalledProcessError):
            self.stop()

    def start(self) -> None:
        """Serve again what it served before."""
        # No socket file: its path may be too long. Nothing here need survive a crash, so nothing waits for the disk.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        _pg_ctl(self, "start", "-l", self.folder / "log", "-o", options)


@contextmanager
def _served() -> Iterator[PostgresqlServer]:
    programs = _postgresql_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    # Not pytest's own folder: only its owner may enter that, and the server must not run as root.
    folder = Path(tempfile.mkdtemp(prefix="shopmon-postgresql-"))
    user = _server_user()
    try:
        if user:
            shutil.chown(folder, user["user"], user["group"])
        server = _started(programs, folder, user)
        try:
            yield server
        finally:
            server.stop_if_running()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgresql_programs() -> Path | None:
    """The folder of PostgreSQL's programs: the newest of Debian's, or the one on PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(debian, key=lambda found: float(found.parts[-3]), default=None)
    on_path = shutil.which("initdb")
    found = newest or (Path(on_path).resolve() if on_path else None)
    return found.parent if found else None


def _server_user() -> dict[str, Any]:
    """As whom the server runs, as arguments of `subprocess.run`: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    import grp
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": account.pw_name, "group": grp.getgrgid(account.pw_gid).gr_name, "extra_groups": ()}


def _started(programs: Path, folder: Path, user: dict[str, Any]) -> PostgresqlServer:
    """Create a database and serve it on a free port."""
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    if user:
        shutil.chown(secret, user["user"], user["group"])
    initdb = [programs / "initdb", "-D", folder / "data", "-U", "shopmon", "-E", "UTF8", "--no-sync"]
    _call([*initdb, "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}"], folder, user)
    for attempt in range(5):
        server = PostgresqlServer(programs, folder, user, _free_port())
        try:
            server.start()
        except subprocess.CalledProcessError:
            if attempt == 4:  # otherwise somebody else took the port in between
                raise
        else:
            return server
    raise AssertionError("unreachable: the last attempt returns or raises")


def _pg_ctl(server: PostgresqlServer, action: str, *options: Any) -> None:
    command = [server.programs / "pg_ctl", action, "-D", server.folder / "data", "-w", *options]
    _call(command, server.folder, server.user)


def _call(command: list[Any], folder: Path, user: dict[str, Any]) -> None:
    # Its output goes to a file: the server would inherit a pipe, and waiting for the pipe's end would never end.
    with (folder / "calls.log").open("ab") as log:
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **user)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
