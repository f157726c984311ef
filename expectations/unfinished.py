"""What is a file called until it is whole, and who takes away what a killed process left?"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

log = logging.getLogger("shopmon.unfinished")

PARTIAL = ".partial-"
"""How the name of unfinished work begins."""
A_DAY = timedelta(days=1)
_ASIDE = re.compile(re.escape(PARTIAL) + r"[0-9a-f]{32}-.", re.DOTALL)


def aside_of(path: Path) -> Path:
    """A new name beside a path, under which it is written until it is whole.

    What killed processes left under such names in the same folder more than a day ago is taken away, whichever path it
    was to become, be it a file or a folder. Whatever else lies there is somebody else's and stays.

    >>> aside_of(Path("good.parquet")).name
    '.partial-...-good.parquet'
    """
    for left in _left_in(path.parent, time.time() - A_DAY.total_seconds()):
        remove(left)
    return path.with_name(f"{PARTIAL}{uuid4().hex}-{path.name}")


def _left_in(folder: Path, oldest: float) -> Iterator[Path]:
    for left in sorted(folder.glob(f"{PARTIAL}*")):
        try:
            if _ASIDE.match(left.name) and _changed(left) <= oldest:
                yield left
        except FileNotFoundError:  # finished or taken away by another process in between
            continue


def _changed(left: Path) -> float:
    """When something was last written to a file, or into a folder, in seconds since 1970."""
    inside = list(left.iterdir()) if left.is_dir() and not left.is_symlink() else []
    return max(one.lstat().st_mtime for one in [left, *inside])


def remove(left: Path) -> bool:
    """Take away a file or a folder that was left, or say in the log why it stays: untidy is no reason to fail."""
    try:
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    except OSError as error:
        log.warning("could not remove the unfinished %s: %s", left, error.strerror)
        return False
    log.info("removed %s, which a process that has ended left unfinished", left)
    return True
