"""A check of files in a bucket is like one of files here; one that cannot have them whole says so and keeps nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import expectations.remote_files
from expectations.errors import BatchError, ShopmonError
from monitor.runs import RunStore
from shopmon.checking import check
from shopmon.incremental import check_new
from shopmon.project import STORE_URL_VARIABLE, Project

from ..conftest import CuttingProxy, S3Server, use_s3

SUITE = """
name: one rule
expectations:
  - type: expect_column_values_to_not_be_null
    kwargs: {column: text}
    severity: critical
    meta: {id: text-present}
"""


@pytest.fixture
def shop(tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as the working directory, and two files of reviews in a bucket; one row has no text."""
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "shopmon.toml").write_text('[check]\nsuite = "suite.yaml"\n', encoding="utf-8")
    for part in range(2):
        frame = pd.DataFrame({"text": [f"A warm jacket, worn {part} {n} times" for n in range(2000)], "stars": 5})
        if part:
            frame.loc[3, "text"] = None
        frame.to_parquet(tmp_path / "part.parquet")
        s3_server.put(f"s3://shop/new/{part}.parquet", (tmp_path / "part.parquet").read_bytes())
    (tmp_path / "part.parquet").unlink()
    return tmp_path


def nothing_is_kept(shop: Path) -> None:
    """No run has a folder or says that anything was checked, and scratch is empty."""
    with RunStore.open(Project.find(shop).store_url) as store:
        for run in store.list():
            assert (run.status, run.folder, run.rows) == ("error", None, 0)
    runs = shop / ".shopmon" / "runs"
    assert not runs.exists() or list(runs.iterdir()) == []
    assert list((shop / "scratch").iterdir()) == []


def test_files_of_a_bucket_are_checked_like_files_here(shop: Path) -> None:
    result = check("s3://shop/new", only_rules=True)
    assert (result.rows, result.quarantined) == (4000, 1)
    (row,) = pq.read_table(result.artifacts["quarantine"]).to_pylist()
    assert (row["shopmon_file"], row["shopmon_row"]) == ("s3://shop/new/1.parquet", 4)
    assert [len(source.sha256) for source in result.sources] == [64, 64]
    assert list((shop / "scratch").iterdir()) == []


@pytest.mark.parametrize("address", ["s3://nowhere/new", "s3://shop/nothing.parquet", "s3://shop/new/*.csv"])
def test_what_is_not_there_is_an_error_and_nothing_is_kept(shop: Path, address: str) -> None:
    with pytest.raises(BatchError):
        check(address)
    nothing_is_kept(shop)


def test_a_connection_that_is_cut_is_an_error_and_nothing_is_kept(
    shop: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectations.remote_files, "FIRST_WAIT", 0.01)
    proxy = CuttingProxy(s3_server.url, after=10_000)
    use_s3(monkeypatch, AWS_ENDPOINT_URL=proxy.url)
    with pytest.raises(BatchError, match=r"could not be fetched: .*Nothing of it was kept"):
        check("s3://shop/new")
    proxy.close()
    assert proxy.cut > 0
    nothing_is_kept(shop)


@pytest.mark.slow
def test_keys_that_open_nothing_end_a_command_with_2_and_are_not_shown(shop: Path, s3_server: S3Server) -> None:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    s3_server.only_known_keys(json.dumps(policy))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "shopmon", "check", "s3://shop/new/0.parquet"]
    ended = subprocess.run(command, text=True, capture_output=True, env=environment, timeout=200)
    assert ended.returncode == 2
    said = " ".join((ended.stdout + ended.stderr).split())
    assert "s3://shop/new/0.parquet refused access: The AWS Access Key Id you provided does not exist" in said
    assert "staple" not in said
    assert "Traceback" not in said
    nothing_is_kept(shop)


def test_a_reference_may_lie_in_a_bucket(shop: Path) -> None:
    result = check("s3://shop/new/1.parquet", reference="s3://shop/new/0.parquet")
    assert result.drift.reference_rows == 2000


@pytest.mark.parametrize("asked", [{"write_good": "s3://shop/good.parquet"}, {"data_docs": Path("gs://shop/docs")}])
def test_nothing_is_written_to_an_address(shop: Path, asked: dict[str, str | Path]) -> None:
    with pytest.raises(ShopmonError, match=r"nothing is written to (s3|gs)://, only to this machine"):
        check("s3://shop/new", **asked)  # type: ignore[arg-type]
    assert not list(shop.glob("*:"))
    nothing_is_kept(shop)


def test_only_new_and_changed_files_of_a_bucket_are_fetched(shop: Path, s3_server: S3Server) -> None:
    first, again = (check_new("s3://shop/new/*.parquet", only_rules=True) for _ in range(2))
    assert (first.new, first.rows, first.quarantined) == (2, 4000, 1)
    assert (again.status.value, again.same) == ("nothing new", 2)
    pd.DataFrame({"text": [f"A light coat, number {n}" for n in range(3)]}).to_parquet(shop / "small.parquet")
    s3_server.put("s3://shop/new/1.parquet", (shop / "small.parquet").read_bytes())
    changed = check_new("s3://shop/new/*.parquet", only_rules=True)
    assert [unit.files for unit in changed.units] == [("s3://shop/new/1.parquet",)]
    assert (changed.changed, changed.same, changed.rows) == (1, 1, 3)
    assert list((shop / "scratch").iterdir()) == []
