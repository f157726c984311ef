"""Which versions has the run store had, and how does an older one become the newest?"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

REVISIONS = ("0001", "0002")
"""Every version there has been, oldest first; alembic's history says the same, and a test compares them."""
HEAD = REVISIONS[-1]
"""The version this code reads and writes. Kept here so that an up-to-date store is opened without alembic."""
VERSION_TABLE = "shopmon_version"
"""alembic's usual name would meet another application's in a shared PostgreSQL database."""

_one_at_a_time = Lock()  # alembic keeps its context in module globals


def upgrade(connection: Connection) -> None:
    """Bring the store to `HEAD` inside the transaction that `connection` has begun; the caller commits and locks."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, HEAD)
