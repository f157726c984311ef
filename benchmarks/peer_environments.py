"""In which Python does a peer run? In an environment of its own, made once and kept, with pinned versions.

Peers cannot live together: UpTrain 0.0.3 needs pydantic 1, NannyML other versions of pandas than Evidently. An
environment is a folder named by what is asked for, so that another pin makes another one.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PINS: Mapping[str, tuple[str, ...]] = {
    "great-expectations": ("great-expectations==1.24.1", "pandas==2.3.3", "numpy==2.4.6", "pyarrow==26.0.1"),
    "great-expectations-spark": (
        "great-expectations==1.24.1",
        "pyspark==4.1.4",
        "pandas==2.3.3",
        "numpy==2.4.6",
        "pyarrow==26.0.1",
        "setuptools<81",
    ),
    "pandera": ("pandera[polars]==0.35.0", "polars==2.1.0", "numpy==2.4.6", "pyarrow==26.0.1"),
    "pointblank": ("pointblank==1.1.1", "polars==2.1.0", "numpy==2.4.6", "pyarrow==26.0.1"),
    "evidently": ("evidently==0.7.23", "pandas==2.3.3", "numpy==2.4.6", "scikit-learn==1.9.1", "pyarrow==26.0.1"),
    "nannyml": (
        "nannyml==0.13.1",
        "statsmodels==0.15.0",
        "pandas==3.1.1",
        "numpy==2.4.6",
        "scikit-learn==1.9.1",
        "pyarrow==26.0.1",
    ),
    "whylogs": ("whylogs[viz]==1.6.4", "pandas==2.2.3", "numpy==1.26.4", "scipy==1.14.1", "pyarrow==16.1.0"),
    # The newest that were there, or soon after, when it was new (February 2023), of those that know Python 3.11.
    "uptrain": (
        "uptrain==0.0.3",
        "pydantic==1.10.27",
        "pandas==1.5.3",
        "numpy==1.24.4",
        "scikit-learn==1.2.2",
        "scipy==1.10.1",
        "plotly==5.24.1",
        "pyarrow==16.1.0",
    ),
}
"""Peer → what pip is asked to install; what these packages need in turn, pip chooses."""
QUIET = {
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "GX_ANALYTICS_ENABLED": "false",
    "PB_NO_TELEMETRY": "1",
    "PANDERA_NO_TELEMETRY": "1",
}
"""Variables of the environment that keep each peer's usage to itself."""
_READY = "ready"


class NotInstalled(Exception):
    """A peer that pip could not install, and pip's reason."""


def default_folder() -> Path:
    """Where environments are kept: the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shopmon-benchmarks"


def python_of(peer: str, folder: Path, pins: Mapping[str, tuple[str, ...]] = PINS) -> Path:
    """The Python that has a peer, installed if it is not there yet. Raises NotInstalled."""
    asked = pins[peer]
    key = hashlib.sha256("\n".join((platform.python_version(), *asked)).encode()).hexdigest()[:10]
    place = folder / f"{peer}-{key}"
    python = place / "bin" / "python"
    if not (place / _READY).exists():
        print(f"installing {peer} into {place}", file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)  # what a killed installation left
        folder.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(place)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", *asked])
        (place / _READY).touch()
    return python


def _run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
        reasons = [line.strip() for line in said if line.startswith("ERROR:")]
        raise NotInstalled(" ".join(reasons or said[-1:]))
