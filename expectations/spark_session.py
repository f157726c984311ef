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
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from expectations.errors import ShopmonError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PATIENCE = 10.0
"""Seconds that a server may take to accept a connection."""
_CONNECT_PORT = 15002
"""Where Spark Connect listens unless it is told otherwise."""
_USUAL = {
    "spark.ui.enabled": "false",  # the pages of a job show data to whoever reaches the machine
    "spark.ui.showConsoleProgress": "false",
    "spark.scheduler.mode": "FAIR",  # else what began first takes all cores, and all else waits for it
}
"""What holds unless the submission says otherwise."""
_LOCAL = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
"""The same for masters on this machine: nobody else needs to reach the driver."""
_TOLD = "shopmon says: "
_PYTHON_ERROR = re.compile(r"(?!org\.|java\.|scala\.|py4j\.)[A-Za-z_][\w.]*(Error|Exception|Exit)\b")
_CLASS = re.compile(r"(?:(?:[a-z]\w*\.)+[A-Z]\w*|ModuleNotFoundError): ")


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
    active = _active()
    if active is not None:
        yield active
        return
    session = _connected() if "SPARK_REMOTE" in os.environ else _started()
    try:
        yield session
    finally:
        session.stop()


def _active() -> SparkSession | None:
    from pyspark.sql import SparkSession

    active: SparkSession | None = SparkSession.getActiveSession()
    if active is not None or "SPARK_REMOTE" in os.environ:
        return active
    from pyspark import SparkContext  # which the client of Spark Connect lacks

    return SparkSession.builder.getOrCreate() if SparkContext._active_spark_context is not None else None


def _connected() -> SparkSession:
    from pyspark.sql import SparkSession

    address = os.environ["SPARK_REMOTE"]
    if address.startswith("sc://"):  # else it is a master that pyspark starts a server for
        _refuse_silent(address, _CONNECT_PORT)
    elif not _has_java():
        raise _no_java()
    else:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.remote(address)
    for name, value in ({} if address.startswith("sc://") else _USUAL | _LOCAL).items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:  # gRPC's, pyspark's own, and ImportError where the client's packages are missing
        raise _unreachable(_shown(address), error) from error


def _started() -> SparkSession:
    if not _has_java():
        raise _no_java()
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    master = "local[*]"
    with TemporaryFile() as log:
        try:
            # Java's own words, traces of hundreds of lines among them, would stand amid ours.
            gateway = SparkContext._gateway or launch_gateway(popen_kwargs={"stdout": log, "stderr": log})
        except Exception as error:
            raise _no_start(log, error) from error
    try:
        conf = SparkConf(_jvm=gateway.jvm)  # Java knows what spark-submit was given
        conf.setIfMissing("spark.master", master)
        master = str(conf.get("spark.master"))
        for name, value in (_USUAL | (_LOCAL if master.startswith("local") else {})).items():
            conf.setIfMissing(name, value)
        if master.startswith("local"):
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if master.startswith("spark://") and "," not in master:
            _refuse_silent(master, 7077)
        SparkContext(conf=conf.setIfMissing("spark.app.name", "shopmon"), gateway=gateway)
        return SparkSession.builder.getOrCreate()
    except ShopmonError:
        raise
    except Exception as error:  # py4j's and pyspark's, which have no class in common
        raise _unreachable(master, error) from error


def _no_start(log: IO[bytes], error: Exception) -> ShopmonError:
    """What Java said last, where it did not start."""
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()
    return ShopmonError(
        f"Spark's Java did not start: {said[-1] if said else cause(error)}",
        advice="Spark 4 needs Java 17 or later; see also PYSPARK_SUBMIT_ARGS and the memory of this machine.",
    )


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
    task = _said_by_task(str(error))
    if task is None and (found := cause(error)).startswith("No module named"):
        return ShopmonError(
            f"the executors' Python is not this one: {found}",
            advice="Install shopmon there in the same version, or send an environment along (docs/scale.md).",
        )
    if task is None:
        return ShopmonError(
            f"Spark failed while {doing}: {cause(error)}",
            advice="Run again with --debug for the whole of what Spark says; its own logs hold the executors' side.",
        )
    return ShopmonError(f"{task['problem']} (on {task['host']}, while {doing})", advice=task["advice"])


def _said_by_task(text: str) -> dict[str, Any] | None:
    """What a TaskError tells, wherever it stands in the words of Spark; None where there is none, or not all of it."""
    for said in re.finditer(re.escape(_TOLD), text):
        with suppress(ValueError):
            task: dict[str, Any]
            task, _ = json.JSONDecoder().raw_decode(text, said.end())
            return task
    return None


def cause(error: Exception) -> str:
    """What lies at the bottom of an error of Spark's, in one line, however long its trace is.

    >>> cause(RuntimeError("Job aborted\\n\\tat org.apache.Foo\\nCaused by: java.io.IOException: no space"))
    'no space'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    of_python = [line for line in lines if _PYTHON_ERROR.match(line)]
    of_java = [line.partition(":")[2].strip() for line in lines if line.startswith("Caused by:")]
    text = _CLASS.sub("", (of_python or of_java or lines[:1])[-1])
    return text if len(text) <= 300 else text[:299] + "…"
