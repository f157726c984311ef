"""How is the dashboard started?"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from expectations.errors import ShopmonError
from shopmon.project import Project
from shopmon.telemetry import switch_off

LOCAL = "127.0.0.1"
PORT = 8501
"""Streamlit's own; the next free one is taken where it is in use and nobody asked for a certain one."""
_TRIED = 20
"""Ports that are tried."""
PROJECT_VARIABLE = "SHOPMON_PROJECT"
"""Environment variable by which the pages know the project: its folder, or its shopmon.toml."""


@dataclass(frozen=True)
class Serving:
    """A dashboard that is to be started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    """Where it is started."""
    url: str

    def start(self) -> NoReturn:
        """Become the server: it takes this process's place, so that Ctrl-C and signals reach it and none is left."""
        os.chdir(self.folder)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(self.command[0], self.command, dict(self.environment))  # noqa: S606 - no shell, and our own words


def serving(project: Project, *, host: str = LOCAL, port: int | None = None, browser: bool = True) -> Serving:
    """How the dashboard of a project is started, by Streamlit, on `host` and `port`.

    Without a port it is 8501, or the next that is free. Raises ShopmonError if the port is in use, or if this machine
    has no such address.

    >>> serving(Project(Path("/shop")), port=8599).url
    'http://127.0.0.1:8599'
    """
    switch_off()
    if not host.strip():  # it would listen on every address there is
        raise _unusable("no address", port or PORT, "the host is empty")
    chosen = _free(host, PORT) if port is None else _checked(host, port)
    shown = f"[{host}]" if ":" in host else host
    options = {"server.address": host, "server.port": str(chosen)}
    if not browser:
        options["server.headless"] = "true"
    flags = tuple(f"--{name}={value}" for name, value in options.items())
    environment = dict(os.environ)
    environment.pop(PROJECT_VARIABLE, None)
    if project.file is not None:  # else every default holds, in the folder in which it is started
        environment[PROJECT_VARIABLE] = str(project.file)
    return Serving(
        (sys.executable, "-m", "streamlit", "run", str(_app()), *flags),
        environment,
        project.folder if project.file is None else Path.cwd(),
        f"http://{shown}:{chosen}",
    )


def _app() -> Path:
    """The file that Streamlit runs. It is never imported: it is a page, and its floor is above this one."""
    spec = find_spec("dashboards")
    if spec is None or spec.origin is None:  # the package says so itself when it is imported; this is for the types
        raise ShopmonError("shopmon's package 'dashboards' is missing", advice="Install shopmon again.")
    return Path(spec.origin).with_name("app.py")


def _free(host: str, first: int) -> int:
    for port in range(first, first + _TRIED):
        if _is_free(host, port):
            return port
    raise ShopmonError(
        f"the ports {first} to {first + _TRIED - 1} of {host} are all in use", advice="Name a free one: --port NUMBER."
    )


def _checked(host: str, port: int) -> int:
    if _is_free(host, port):
        return port
    raise ShopmonError(
        f"port {port} of {host} is in use", advice="End what runs there, or name another: --port NUMBER."
    )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (PermissionError, socket.gaierror) as error:
            raise _unusable(host, port, error.strerror) from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise _unusable(host, port, error.strerror) from error
            return False
        except (TypeError, ValueError) as error:  # a name that no machine can have: too long, or with a dot too many
            raise _unusable(host, port, "this is no address") from error
    return True


def _unusable(host: str, port: int, why: str | None) -> ShopmonError:
    return ShopmonError(
        f"nothing can be served on {host}, port {port}: {why}",
        advice=f"Use an address of this machine and a port from 1024 on, or leave both out ({LOCAL}).",
    )
