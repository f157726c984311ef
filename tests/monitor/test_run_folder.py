from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from expectations.errors import ShopmonError
from monitor.run_folder import OWNER, run_folder, sweep, write_aside

RUN_ID = "20261120-195801-a3f9c1"
AT_ONCE = timedelta(0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def locked_root() -> Iterator[Path]:
    """A folder that this process may read but not write, for root as well: it steps down while the test runs."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder may not be entered by others
        place = Path(name)
        place.chmod(0o555)
        with stepped_down():
            yield place
        place.chmod(0o755)


@contextmanager
def stepped_down() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def process_inside(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun to write its run folder and waits in the middle."""
    code = (
        "import sys, time, pathlib\n"
        "from monitor.run_folder import run_folder\n"
        f"with run_folder(pathlib.Path(sys.argv[1]), {RUN_ID!r}) as folder:\n"
        "    (folder / 'result.json').write_text('half')\n"
        "    print('inside', flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "inside\n"
            yield process
        finally:
            process.kill()


def test_a_folder_appears_under_its_name_with_all_it_holds_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet"
    with run_folder(root, RUN_ID) as folder:
        (folder / "docs").mkdir()
        (folder / "docs" / "index.html").write_text("docs")
        (folder / "result.json").write_text("{}")
        assert not (root / RUN_ID).exists()
    assert names(root) == [RUN_ID]
    assert names(root / RUN_ID) == ["docs", "result.json"]
    assert (root / RUN_ID / "docs" / "index.html").read_text() == "docs"


def test_everything_is_on_disk_before_the_folder_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(number: int) -> None:
        done.append(Path(f"/proc/self/fd/{number}").readlink().name)
        fsync(number)

    def noted_rename(old: Path, new: Path) -> None:
        done.append("rename")
        rename(old, new)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells which file a number belongs to")
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    with run_folder(tmp_path, RUN_ID) as folder:
        (folder / "docs").mkdir()
        (folder / "docs" / "index.html").write_text("docs")
    assert done == ["index.html", "docs", f".partial-{RUN_ID}", "rename", tmp_path.name]


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), KeyboardInterrupt(), SystemExit(2)])
def test_an_error_goes_on_and_leaves_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    def half_a_run() -> None:
        with run_folder(tmp_path, RUN_ID) as folder:
            (folder / "result.json").write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        half_a_run()
    assert caught.value is error
    assert names(tmp_path) == []


def test_a_killed_process_leaves_no_run_and_harms_no_other(tmp_path: Path) -> None:
    with process_inside(tmp_path) as process:
        process.kill()
        process.wait()
    assert names(tmp_path) == [f".partial-{RUN_ID}"]
    with run_folder(tmp_path, "20261120-195802-000000") as folder:
        (folder / "result.json").write_text("{}")
    assert (tmp_path / "20261120-195802-000000" / "result.json").read_text() == "{}"
    assert sweep(tmp_path, AT_ONCE) == (tmp_path / f".partial-{RUN_ID}",)
    assert names(tmp_path) == ["20261120-195802-000000"]


def test_a_running_process_keeps_its_folder_however_old(tmp_path: Path) -> None:
    with process_inside(tmp_path):
        os.utime(tmp_path / f".partial-{RUN_ID}", (0, 0))
        assert sweep(tmp_path, AT_ONCE) == ()
        assert (tmp_path / f".partial-{RUN_ID}" / "result.json").read_text() == "half"


def test_fresh_leftovers_and_finished_runs_are_not_swept(tmp_path: Path) -> None:
    with run_folder(tmp_path, RUN_ID):
        pass
    (tmp_path / ".partial-fresh").mkdir()
    old = tmp_path / ".partial-old"
    old.mkdir()
    (old / OWNER).write_text("1")  # a process that runs, but does not hold the lock: the number was given out again
    os.utime(old, (0, 0))
    os.utime(tmp_path / RUN_ID, (0, 0))
    assert sweep(tmp_path) == (old,)
    assert names(tmp_path) == [".partial-fresh", RUN_ID]


def test_sweeping_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("x")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".partial-link").symlink_to(tmp_path / "elsewhere")
    sweep(tmp_path / "runs", AT_ONCE)
    assert (tmp_path / "elsewhere" / "precious").read_text() == "x"


def test_nothing_to_sweep_is_nothing_swept(tmp_path: Path) -> None:
    assert sweep(tmp_path / "missing") == ()


@pytest.mark.parametrize("content", [[], ["result.json"]])
def test_a_run_never_takes_the_place_of_another(tmp_path: Path, content: list[str]) -> None:
    (tmp_path / RUN_ID).mkdir()
    for name in content:
        (tmp_path / RUN_ID / name).write_text("first")
    with pytest.raises(ShopmonError, match="is there already"), run_folder(tmp_path, RUN_ID):
        pytest.fail("the block may not begin")
    assert names(tmp_path) == [RUN_ID]
    assert names(tmp_path / RUN_ID) == content


def test_a_run_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ShopmonError, match="is there already"), run_folder(tmp_path, RUN_ID):
        (tmp_path / RUN_ID).mkdir()
    assert names(tmp_path) == [RUN_ID]


@pytest.mark.parametrize("run_id", ["", ".", "..", ".hidden", "a/b", "/tmp/x", "../x"])
def test_an_id_that_is_no_plain_name_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(ValueError, match="plain folder name"), run_folder(tmp_path, run_id):
        pytest.fail("the block may not begin")
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(ShopmonError, match=r"the disk is full.*Free some space"), run_folder(tmp_path / "runs", RUN_ID):
        (tmp_path / "full").write_text("{}")
    assert names(tmp_path / "runs") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_a_full_disk_is_told_when_duckdb_meets_it(tmp_path: Path) -> None:
    full = tmp_path / "full"  # a link: a writer that removes its failed file must not remove the device
    full.symlink_to("/dev/full")
    with pytest.raises(ShopmonError, match="the disk is full"), run_folder(tmp_path / "runs", RUN_ID):
        duckdb.sql(f"COPY (SELECT range FROM range(1000)) TO '{full}' (FORMAT parquet, USE_TMP_FILE false)")
    assert names(tmp_path / "runs") == []


def test_another_error_of_the_system_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), run_folder(tmp_path, RUN_ID):
        (tmp_path / "no-such-input.csv").read_text()
    with pytest.raises(PermissionError), run_folder(tmp_path, RUN_ID):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "input.csv"))


def test_a_folder_that_may_not_be_written_is_told(locked_root: Path) -> None:
    with pytest.raises(ShopmonError, match=r"cannot be written.*Let this user write"), run_folder(locked_root, RUN_ID):
        pytest.fail("the block may not begin")
    with (
        pytest.raises(ShopmonError, match="cannot be written"),
        run_folder(locked_root / ".shopmon" / "runs", RUN_ID),
    ):
        pytest.fail("the block may not begin")


@pytest.mark.parametrize("inside", [".", "runs"])
def test_a_file_where_a_folder_belongs_is_told(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(ShopmonError, match="is a file where a folder belongs"),
        run_folder(tmp_path / "file" / inside, RUN_ID),
    ):
        pytest.fail("the block may not begin")


def test_a_file_written_aside_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    target = tmp_path / "good.parquet"
    target.write_text("old")
    target.chmod(0o640)
    with write_aside(target) as aside:
        aside.write_text("new")
        assert aside.suffix == ".parquet"
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["good.parquet"]


def test_a_file_whose_writing_fails_stays_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "good.csv"
    target.write_text("old")
    with suppress(ZeroDivisionError), write_aside(target) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), write_aside(target):
        pass
    assert target.read_text() == "old"
    assert names(tmp_path) == ["good.csv"]


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with write_aside(tmp_path / "link.csv") as aside:
        aside.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


def test_a_device_a_folder_or_a_missing_folder_is_not_written(tmp_path: Path) -> None:
    for place in (Path("/dev/null"), tmp_path):
        with pytest.raises(ShopmonError, match="no regular file"), write_aside(place):
            pytest.fail("the block may not begin")
    with pytest.raises(ShopmonError, match="does not exist"), write_aside(tmp_path / "no" / "good.csv"):
        pytest.fail("the block may not begin")


def test_a_file_that_may_not_be_written_is_told(locked_root: Path) -> None:
    with pytest.raises(ShopmonError, match="cannot be written"), write_aside(locked_root / "good.csv") as aside:
        aside.write_text("x")
