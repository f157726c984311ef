"""A check on Spark must end in the document, the quarantine and the edge cases of a check on one machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import shopmon
from expectations import pieces, spark_session
from expectations.errors import ShopmonError
from expectations.sources import find_sources
from monitor.results import DriftStatus
from shopmon import on_spark
from shopmon.outcome import CheckResult
from shopmon.project import Project
from shopmon.request import Request

from .example_spark import checked, differences, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def both(project: Path, spark: Any) -> tuple[CheckResult, CheckResult]:
    """The same check on one machine, and on Spark in pieces of 300 rows."""
    here = checked(project, "scan", write_good=project / "good.parquet")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pieces, "PIECE_ROWS", 300)
        there = checked(project, "spark", write_good=project / "good on spark")
    return here, there


@pytest.mark.slow
def test_the_document_of_a_check_on_spark_is_that_of_one_machine(both: tuple[CheckResult, CheckResult]) -> None:
    here, there = both
    assert differences(json.loads(here.json()), json.loads(there.json())) == []
    assert here.drift.columns
    assert here.edge_cases.selected
    assert here.drift.concept.rows
    assert set(here.artifacts) == set(there.artifacts)


def test_windows_that_lie_in_several_pieces_and_files_are_compared(both: tuple[CheckResult, CheckResult]) -> None:
    _, there = both
    compared = [one for one in there.windows.windows if one.status is not DriftStatus.NOT_EXAMINED]
    assert len(compared) > 3
    assert all(one.files == 2 and one.columns for one in compared)  # no piece has rows of two files


def test_the_executors_put_the_same_rows_aside(both: tuple[CheckResult, CheckResult]) -> None:
    here, there = both
    assert there.artifacts["quarantine"].is_dir()
    assert rows_in(here.artifacts["quarantine"]) == rows_in(there.artifacts["quarantine"])


def test_the_same_edge_cases_are_selected(both: tuple[CheckResult, CheckResult]) -> None:
    here, there = both
    assert there.artifacts["edge_cases"].is_dir()
    assert here.edge_cases.by_reason["new-anger"]
    assert pq.read_table(here.artifacts["edge_cases"]).equals(pq.read_table(there.artifacts["edge_cases"]))


def test_nothing_but_the_result_is_left_in_a_run_s_folder(both: tuple[CheckResult, CheckResult]) -> None:
    _, there = both
    assert there.folder
    hidden = [path.name for path in there.folder.rglob(".*")]
    assert hidden == []
    parts = [path.name for name in ("quarantine", "edge_cases") for path in there.artifacts[name].iterdir()]
    assert all(re.fullmatch(r"part-\d{6}\.parquet", name) for name in parts)


def test_the_executors_write_the_same_good_rows(both: tuple[CheckResult, CheckResult]) -> None:
    here, there = both
    assert rows_in(here.artifacts["good"]) == rows_in(there.artifacts["good"])


def rows_in(quarantine: Path) -> list[str]:
    return sorted(map(str, pq.read_table(quarantine).to_pylist()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": "s3://bucket/new.parquet"}, "not s3://. Mount the bucket"),
        ({"data": "postgresql://ann:secret@db/shop::reviews"}, "not postgresql://. Write the table as parquet"),
        ({"data": "sqlite:///shop.db::reviews"}, "not sqlite://. Write the table as parquet"),
        ({"data": pa.table({"text": ["a"]})}, "a table in memory"),
    ],
)
def test_what_spark_is_not_asked_is_refused_before_it_starts(
    options: dict[str, Any], said: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:1")  # would be an error of its own
    with pytest.raises(ShopmonError, match=re.escape(said)):
        shopmon.check(**{"data": project / "new", "engine": "spark", "project": project, **options})


def test_what_is_no_parquet_is_refused(spark: Any, project: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,stars\nWarm and light.,5\n")
    with pytest.raises(ShopmonError, match=r"new\.csv is csv, and a Spark cluster is asked about parquet only"):
        shopmon.check(tmp_path / "new.csv", engine="spark", project=project)


@contextmanager
def machines(project: Path, folder: Path) -> Iterator[on_spark.OnSpark]:
    """The executors, for a run that writes into this folder."""
    folder.mkdir(parents=True)
    with on_spark.on_spark(Request(data=project / "new"), Project.of(project), folder) as there:
        yield there


def hashing_begins(there: on_spark.OnSpark, files: int, begun: Path, seconds: float) -> Any:
    """Hash files in tasks that take so long, and wait until one has begun; each leaves a file in the folder."""
    begun.mkdir()

    def slowly(piece: pieces.Piece, *, paths: list[str]) -> str:
        (begun / str(piece.number)).touch()
        time.sleep(seconds)
        return paths[piece.file]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(on_spark, "_sha256", slowly)
        (monday, _) = find_sources([there.project.folder / "new"], begun)
        hashes = there.hashes([monday] * files)
        wait_for(lambda: any(begun.iterdir()))
    return hashes


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.parametrize("error", [ShopmonError("the suite is wrong"), KeyboardInterrupt()])
def test_files_that_are_still_hashed_hold_no_error_back(
    error: BaseException, spark: Any, project: Path, tmp_path: Path
) -> None:
    hashes: list[Any] = []
    began: list[float] = []

    def failing() -> None:
        with machines(project, tmp_path / "run") as there:
            hashes.extend(hashing_begins(there, 4, tmp_path / "begun", 600))
            began.append(time.monotonic())
            raise error

    with pytest.raises(type(error)):
        failing()
    assert time.monotonic() - began[0] < 60
    with pytest.raises(ShopmonError, match="while hashing the files"):
        hashes[0].result(timeout=0)  # nothing of it goes on
    assert spark.range(4).count() == 4


def test_files_that_are_hashed_leave_cores_to_what_begins_later(spark: Any, project: Path, tmp_path: Path) -> None:
    with machines(project, tmp_path / "run") as there:
        hashing_begins(there, 20, tmp_path / "begun", 0.5)
        assert spark.range(4).count() == 4
        assert len(list((tmp_path / "begun").iterdir())) < 20


def test_a_file_that_a_task_does_not_find_to_hash_it_is_told_with_path_and_host(
    spark: Any, project: Path, tmp_path: Path
) -> None:
    with machines(project, tmp_path / "run") as there:
        (gone,) = find_sources([project / "new" / "monday.parquet"], tmp_path)
        hashes = there.hashes([replace(gone, path=tmp_path / "gone.parquet")])
        with pytest.raises(ShopmonError, match=r"does not find .*gone\.parquet \(on ") as raised:
            hashes[0].result()
    assert "under the same path" in raised.value.advice


@pytest.mark.parametrize("error", [None, ShopmonError("the suite is wrong")])
def test_a_task_that_writes_to_the_last_leaves_nothing_in_the_run(
    error: ShopmonError | None, spark: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path / "run" / ".pieces" / ".late.parquet"

    @contextmanager
    def ending_late() -> Iterator[Any]:
        try:
            yield spark
        finally:
            late.parent.mkdir(exist_ok=True)
            late.touch()

    monkeypatch.setattr(spark_session, "spark_session", ending_late)
    with suppress(ShopmonError), machines(project, tmp_path / "run"):
        if error:
            raise error
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"]


def told(project: Path, **environment: str) -> str:
    """What the command line says in an environment of its own, where it must exit with 2."""
    env = {k: v for k, v in os.environ.items() if k not in ("SPARK_REMOTE", "JAVA_HOME", "PYSPARK_SUBMIT_ARGS")}
    command = [sys.executable, "-m", "shopmon", "check", str(project / "new"), "--engine", "spark"]
    ran = subprocess.run(
        command, env={**env, **environment, "COLUMNS": "500"}, cwd=project, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    return " ".join(ran.stderr.split())


def test_a_cluster_that_cannot_be_reached_is_told_at_once(project: Path) -> None:
    pytest.importorskip("pyspark")
    said = told(project, SPARK_REMOTE="sc://127.0.0.1:1/;token=secret")
    assert "Spark cannot be reached at sc://127.0.0.1:1" in said
    assert "secret" not in said


def test_without_java_it_is_told_what_to_install(project: Path) -> None:
    pytest.importorskip("pyspark")
    assert "JAVA_HOME=/nowhere holds no bin/java" in told(project, JAVA_HOME="/nowhere")
