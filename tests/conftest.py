"""What do tests of several rooms need?"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import settings

# Machines are shared: how long an example takes says nothing of the code.
settings.register_profile("exhaustive", deadline=None)  # `make test-all`
settings.register_profile("untimed", deadline=None, max_examples=40)
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


@pytest.fixture(scope="session")
def spark_home() -> Path:
    """Where Spark's own programs lie; whoever asks for it is skipped where Spark or its Java is missing."""
    pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed: pip install 'shopmon[spark]'")
    if shutil.which("java") is None:
        pytest.skip("no Java here (Debian: apt-get install openjdk-17-jre-headless)")
    return Path(str(pyspark.__file__)).parent


@pytest.fixture(scope="session")
def spark(spark_home: Path) -> Iterator[Any]:
    """A Spark of two cores in this process, whose executors run this Python; stopped at the end."""
    from expectations.spark_session import spark_session

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYSPARK_SUBMIT_ARGS", "--master local[2] --driver-memory 1g pyspark-shell")
        patched.delenv("SPARK_REMOTE", raising=False)
        with spark_session() as session:
            yield session


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


S3_KEYS = {"AWS_ACCESS_KEY_ID": "shopmon", "AWS_SECRET_ACCESS_KEY": "correct-horse-battery-staple"}
"""Any keys open the store, until `S3Server.only_known_keys`."""


@dataclass(frozen=True)
class S3Server:
    """A real S3 server, in a process of its own."""

    url: str

    def client(self, service: str = "s3", keys: dict[str, str] = S3_KEYS) -> Any:
        """What Amazon's own package offers."""
        import boto3
        from botocore.config import Config

        names = {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}
        plain = Config(request_checksum_calculation="when_required")  # as older packages write files
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", config=plain, **names)

    def put(self, address: str, content: bytes, **options: Any) -> None:
        """Write `s3://bucket/key`."""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        client = self.client()
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key=key, Body=content, **options)

    def only_known_keys(self, policy: str) -> dict[str, str]:
        """From now on only these keys open the store, as far as the policy (JSON) allows."""
        iam = self.client("iam")
        iam.create_user(UserName="ann")
        iam.put_user_policy(UserName="ann", PolicyName="reading", PolicyDocument=policy)
        key = iam.create_access_key(UserName="ann")["AccessKey"]
        self._ask("reset-auth", b"0")
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def reset(self) -> None:
        """Forget every bucket and user."""
        self._ask("reset-auth", b"inf")
        self._ask("reset", b"")

    def _ask(self, what: str, body: bytes) -> None:
        asked = urllib.request.Request(f"{self.url}/moto-api/{what}", data=body, headers={"Content-Type": "text/plain"})
        urllib.request.urlopen(asked, timeout=30).close()


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server of this test session."""
    for package in ("moto", "flask", "flask_cors", "boto3", "s3fs"):
        pytest.importorskip(package, reason=f"a local S3 server needs {package}, which `make test` installs")
    log = tmp_path_factory.mktemp("s3") / "log"
    for attempt in range(5):
        port = _free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
            try:
                if _answers(port, process):
                    yield S3Server(f"http://127.0.0.1:{port}")
                    return
            finally:
                process.kill()
        assert attempt < 4, log.read_text(encoding="utf-8")  # otherwise somebody else took the port in between


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def s3_server(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An empty S3 server, to which the environment leads."""
    s3_process.reset()
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    use_s3(monkeypatch, AWS_ENDPOINT_URL=s3_process.url, AWS_DEFAULT_REGION="us-east-1", **S3_KEYS)
    return s3_process


def use_s3(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Set environment variables for s3fs, which otherwise keeps what it once read."""
    import s3fs

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


class CuttingProxy:
    """Stands before a server, and closes connections once so many bytes of an answer have passed.

    `cuts` is how many of them; None: every one. `garble` changes a byte of long answers instead of cutting them.
    """

    def __init__(self, url: str, after: int, cuts: int | None = None, garble: bool = False, delay: float = 0.0) -> None:
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._after, self._left, self._garble, self._delay = after, cuts, garble, delay
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cut = self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._target) as server:
            asking = threading.Thread(target=self._ask, args=(client, server), daemon=True)
            asking.start()
            with self._counted():
                time.sleep(self._delay)
            passed = 0
            while chunk := server.recv(1 << 16):
                passed += len(chunk)
                if passed > self._after and self._left != 0:
                    self._left = None if self._left is None else self._left - 1
                    self.cut += 1
                    if not self._garble:
                        client.shutdown(socket.SHUT_RDWR)
                        return
                    chunk = chunk[:-1] + bytes([chunk[-1] ^ 1])
                client.sendall(chunk)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        yield
        with self._lock:
            self._at_once -= 1

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(1 << 16):
                server.sendall(chunk)
