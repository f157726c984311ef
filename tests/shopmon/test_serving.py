"""The dashboard is started as it was asked for, or a person is told why not."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from expectations.errors import ShopmonError
from shopmon import cli, serving
from shopmon.project import Project
from shopmon.serving import PROJECT_VARIABLE, Serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Serving]:
    """What was started, without becoming it."""
    found: list[Serving] = []
    monkeypatch.setattr(Serving, "start", lambda self: found.append(self))
    return found


Typed = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Type a command in an empty folder; exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def run(line: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = cli.main(shlex.split(line))
        said = capfd.readouterr()
        return code, said.out, said.err

    yield run
    signal.signal(signal.SIGTERM, handler)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_listens_to_this_machine_alone_unless_somebody_says_otherwise(typed: Typed, started: list[Serving]) -> None:
    code, out, err = typed("dashboard")
    (one,) = started
    assert code == cli.PASSED
    assert "--server.address=127.0.0.1" in one.command
    assert one.url.startswith("http://127.0.0.1:")
    assert f"at {one.url}; end it with Ctrl-C." in out
    assert err == ""


def test_another_address_is_served_with_a_warning(typed: Typed, started: list[Serving]) -> None:
    _, _, err = typed("dashboard --host 0.0.0.0")
    assert "--server.address=0.0.0.0" in started[0].command
    assert "Whoever reaches 0.0.0.0 can read this project's data and decide about its rows." in err


def test_a_port_that_is_in_use_is_told(typed: Typed, started: list[Serving], taken: int) -> None:
    code, out, err = typed(f"dashboard --port {taken}")
    assert (code, out, started) == (cli.COULD_NOT_RUN, "", [])
    assert f"port {taken} of 127.0.0.1 is in use" in err
    assert "--port NUMBER" in err


def test_without_a_port_the_next_free_one_is_taken(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(serving, "PORT", taken)
    found = serving.serving(Project(Path("/shop")))
    port = int(found.url.rsplit(":", 1)[1])
    assert taken < port < taken + serving._TRIED
    assert f"--server.port={port}" in found.command


def test_where_every_port_is_in_use_a_person_is_told(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(serving, "PORT", taken)
    monkeypatch.setattr(serving, "_TRIED", 1)
    with pytest.raises(ShopmonError, match=r"are all in use.*--port NUMBER"):
        serving.serving(Project(Path("/shop")))


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "2001:db8::1", "..", "x" * 80, "a b", "é" * 70])
def test_an_address_that_this_machine_does_not_have_is_told(typed: Typed, started: list[Serving], host: str) -> None:
    code, out, err = typed(f"dashboard --host {shlex.quote(host)}")
    assert (code, out, started) == (cli.COULD_NOT_RUN, "", [])
    assert "nothing can be served on" in err
    assert "Use an address of this machine" in " ".join(err.split())
    assert "Traceback" not in err


def test_a_port_that_only_the_system_may_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shopmon.serving.socket.socket.bind", refused, raising=False)
    with pytest.raises(ShopmonError, match=r"port 80: Permission denied.*from 1024 on"):
        serving.serving(Project(Path("/shop")), port=80)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "eight"])
def test_a_port_that_is_none_is_told(typed: Typed, started: list[Serving], port: str) -> None:
    code, _, err = typed(f"dashboard --port={port}")
    assert (code, started) == (cli.COULD_NOT_RUN, [])
    assert "--port" in err


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = free_port()
    assert serving.serving(Project(Path("/shop")), host="::1", port=port).url == f"http://[::1]:{port}"


# --- which project ----------------------------------------------------------------------------------------------------


def test_the_pages_know_the_project_by_the_environment(
    typed: Typed, started: list[Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shopmon.toml").write_text("", encoding="utf-8")
    monkeypatch.setenv(PROJECT_VARIABLE, "/another")
    typed("dashboard --project shop")
    (one,) = started
    assert Path(one.environment[PROJECT_VARIABLE]).resolve() == tmp_path / "shop" / "shopmon.toml"
    assert one.folder == tmp_path  # so that commands on the pages can be typed where it was started


def test_without_settings_the_working_directory_is_the_project(
    typed: Typed, started: list[Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROJECT_VARIABLE, "/another")
    typed("dashboard")
    (one,) = started
    assert PROJECT_VARIABLE not in one.environment
    assert one.folder == tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "told"), [(None, "holds no shopmon.toml"), ("[retrain\n", "is not TOML"), ("x = 1", "'x'")]
)
def test_a_project_that_cannot_be_read_is_told_before_anything_is_started(
    typed: Typed, started: list[Serving], tmp_path: Path, said: str | None, told: str
) -> None:
    (tmp_path / "shop").mkdir()
    if said is not None:
        (tmp_path / "shop" / "shopmon.toml").write_text(said, encoding="utf-8")
    code, out, err = typed("dashboard --project shop")
    assert (code, out, started) == (cli.COULD_NOT_RUN, "", [])
    assert told in " ".join(err.split())


# --- how it is started ------------------------------------------------------------------------------------------------


def test_it_is_streamlit_of_this_python_with_our_pages() -> None:
    found = serving.serving(Project(Path("/shop")), browser=False, port=free_port())
    assert found.command[:4] == (sys.executable, "-m", "streamlit", "run")
    assert found.command[4] == str(ROOT / "dashboards" / "app.py")
    assert "--server.headless=true" in found.command
    assert "--server.headless=true" not in serving.serving(Project(Path("/shop"))).command


def test_starting_takes_this_process_s_place(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from shopmon.serving import Serving; "
        "Serving((sys.executable, '-c', 'import os; print(os.getpid(), os.getcwd(), os.environ[\"SAID\"])'), "
        f"{{'SAID': 'so'}}, Path({str(tmp_path)!r}), '').start()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=60)
    assert out.split() == [str(process.pid), str(tmp_path), "so"]


def test_help_says_what_it_shows_and_what_it_writes(typed: Typed) -> None:
    code, out, _ = typed("dashboard --help")
    words = " ".join(out.split())
    assert code == cli.PASSED
    assert "Show the project in the browser, until Ctrl-C" in words
    assert "writes nothing but decisions about edge cases" in words
    assert all(option in out for option in ("--host", "--port", "--no-browser", "--project"))


def test_it_is_served_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "shopmon", "dashboard", "--port", str(port), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            answer = answered(f"http://127.0.0.1:{port}/_stcore/health", server)
            server.send_signal(signal.SIGINT)
            out, _ = server.communicate(timeout=30)
        finally:
            server.kill()
    assert answer == "ok"
    assert f"is at http://127.0.0.1:{port}; end it with Ctrl-C." in out
    assert "Traceback" not in out
    assert "Collecting usage statistics" not in out
    assert list(tmp_path.iterdir()) == []


def answered(url: str, server: subprocess.Popen[str]) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as found:
                return str(found.read().decode())
        except OSError:
            time.sleep(0.1)
    return "no answer"


def test_an_empty_host_is_no_leave_to_listen_everywhere() -> None:
    with pytest.raises(ShopmonError, match="the host is empty"):
        serving.serving(Project(Path("/shop")), host=" ")
