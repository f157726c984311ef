"""How is Spark reached, and what is said when it cannot be?"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from expectations.errors import ShopmonError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PATIENCE = 10.0
"""Seconds that a server may take to accept a connection."""
_CONNECT_PORT = 15002
"""Where Spark Connect listens unless it is told otherwise."""
_QUIET = {
    "spark.ui.enabled": "false",  # the pages of a job show data to whoever reaches the machine
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
"""What holds unless the submission says otherwise."""
_LOCAL = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
"""The same for masters on this machine: nobody else needs to reach the driver."""
_TOLD = "shopmon says: "
_SAID = re.compile(re.escape(_TOLD) + r"(\{.*\})")


class TaskError(Exception):
    """An error of a task that a person must be told about, as one line that survives the way to the driver."""

    def __init__(self, error: ShopmonError) -> None:
        told = {"problem": error.problem, "advice": error.advice, "host": socket.gethostname()}
        super().__init__(_TOLD + json.dumps(told))


@contextmanager
def spark_session() -> Iterator[SparkSession]:
    """The session that is active in this process, else a new one that ends with the block.

    Its master is what `SPARK_REMOTE` or `spark-submit` say; without either, all cores of this machine. Raises
    ShopmonError where pyspark or Java is missing, and where the master cannot be reached.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise ShopmonError("--engine spark needs pyspark", advice="Install it with: pip install 'shopmon[spark]'.")
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    session = _connected() if "SPARK_REMOTE" in os.environ else _started()
    try:
        yield session
    finally:
        session.stop()


def _connected() -> SparkSession:
    from pyspark.sql import SparkSession

    address = os.environ["SPARK_REMOTE"]
    if address.startswith("sc://"):  # else it is a master that pyspark starts a server for
        _refuse_silent(address, _CONNECT_PORT)
    elif not _has_java():
        raise _no_java()
    try:
        return SparkSession.builder.remote(address).getOrCreate()
    except Exception as error:  # gRPC's, pyspark's own, and ImportError where the client's packages are missing
        raise _unreachable(_shown(address), error) from error


def _started() -> SparkSession:
    if not _has_java():
        raise _no_java()
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    _say_little()
    master = "local[*]"
    try:
        conf = SparkConf()  # starts Java, which knows what spark-submit was given
        conf.setIfMissing("spark.master", master)
        master = str(conf.get("spark.master"))
        for name, value in (_QUIET | (_LOCAL if master.startswith("local") else {})).items():
            conf.setIfMissing(name, value)
        if master.startswith("local"):
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if master.startswith("spark://") and "," not in master:
            _refuse_silent(master, 7077)
        return SparkSession.builder.config(conf=conf).appName("shopmon").getOrCreate()
    except ShopmonError:
        raise
    except Exception as error:  # py4j's and pyspark's, which have no class in common
        raise _unreachable(master, error) from error


def _say_little() -> None:
    """Have Java's own log begin with errors: it starts before the configuration is read."""
    os.environ.setdefault("SPARK_SUBMIT_OPTS", "-Dlog4j2.level=ERROR -Dlog4j2.StatusLogger.level=ERROR")


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=os.path.join(home, "bin") if home else None) is not None  # noqa: PTH118


def _no_java() -> ShopmonError:
    home = os.environ.get("JAVA_HOME")
    where = f"JAVA_HOME={home} holds no bin/java" if home else "there is no java on the PATH"
    return ShopmonError(
        f"--engine spark needs Java 17, and {where}",
        advice="Install it (Debian: apt-get install openjdk-17-jre-headless), or use a Spark elsewhere: SPARK_REMOTE.",
    )


def _refuse_silent(address: str, port: int) -> None:
    """Ask for a connection before Spark does, which would go on trying for minutes. Raises ShopmonError."""
    parts = urlsplit(address.split(";")[0])
    try:
        with socket.create_connection((parts.hostname or "localhost", parts.port or port), timeout=_PATIENCE):
            pass
    except (OSError, ValueError) as error:
        raise _unreachable(_shown(address), error) from error


def _shown(address: str) -> str:
    """The address of a server without its parameters, which may hold a token."""
    return address.split(";")[0].rstrip("/")


def _unreachable(master: str, error: Exception) -> ShopmonError:
    return ShopmonError(
        f"Spark cannot be reached at {master}: {cause(error)}",
        advice="Start it, or correct SPARK_REMOTE or the --master of spark-submit.",
    )


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn what Spark raises within the block into one error with its cause. Raises ShopmonError."""
    try:
        yield
    except ShopmonError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("pyspark", "py4j", "grpc")):
            raise
        raise _explained(doing, error) from error


def _explained(doing: str, error: Exception) -> ShopmonError:
    said = _SAID.search(str(error))
    if said is None:
        return ShopmonError(
            f"Spark failed while {doing}: {cause(error)}",
            advice="Run again with --debug for the whole of what Spark says; its own logs hold the executors' side.",
        )
    found: dict[str, Any] = json.loads(said[1])
    return ShopmonError(f"{found['problem']} (on {found['host']}, while {doing})", advice=found["advice"])


def cause(error: Exception) -> str:
    """What lies at the bottom of an error of Spark's, in one line, however long its trace is.

    >>> cause(RuntimeError("Job aborted\\n\\tat org.apache.Foo\\nCaused by: java.io.IOException: no space"))
    'no space'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit)\b", line)]
    caused = [line.partition(":")[2].strip() for line in lines if line.startswith("Caused by:")]
    of_python = [line for line in python if not line.startswith(("org.", "java.", "scala.", "py4j."))]
    chosen = (of_python or caused or [line for line in lines if not line.startswith("at ")] or [type(error).__name__])[
        -1 if (of_python or caused) else 0
    ]
    text = re.sub(r"^(?:[a-z]\w*\.)+[A-Z]\w*: ", "", chosen)
    return text if len(text) <= 300 else text[:299] + "…"
