"""A check goes its way whole, is recorded, and leaves nothing half-done behind."""

import json
import os
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import BatchError, ProjectError, RunStoreError, ShopmonError, SuiteError
from monitor.runs import RunStore
from shopmon.checking import attempt, check
from shopmon.outcome import Status
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.request import Request

SUITE = """
name: two rules
expectations:
  - type: expect_column_values_to_not_be_null
    kwargs: {column: text}
    severity: critical
    meta: {id: text-present}
  - type: expect_column_values_to_be_between
    kwargs: {column: stars, min_value: 1, max_value: 5}
    severity: warning
    meta: {id: stars-in-range}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A project with a suite of two rules, as the working directory; temporary files go to `scratch` in it."""
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "shopmon.toml").write_text('[check]\nsuite = "suite.yaml"\n', encoding="utf-8")
    return tmp_path


@pytest.fixture
def good(shop):
    frame = pd.DataFrame({"text": [f"A warm jacket, worn {n} times" for n in range(20)], "stars": [5] * 20})
    frame.to_parquet(shop / "good.parquet")
    return frame


@pytest.fixture
def bad(good, shop):
    frame = good.copy()
    frame.loc[3, "text"] = None
    frame.loc[[3, 7], "stars"] = 9
    frame.to_parquet(shop / "bad.parquet")
    return frame


def recorded(shop):
    with RunStore.open(Project.find(shop).store_url) as store:
        return store.list()


def left_over(shop):
    runs = shop / ".shopmon" / "runs"
    return sorted(p.name for p in [*(shop / "scratch").iterdir(), *(runs.iterdir() if runs.is_dir() else [])])


def test_good_data_passes_and_is_recorded(shop, good):
    result = check("good.parquet")
    assert result.passed
    assert (result.kind, result.rows, result.quarantined, result.good) == ("reviews", 20, 0, 20)
    assert result.columns == {"text": "text", "stars": "stars"}
    assert [r.id for r in result.expectations] == ["text-present", "stars-in-range"]
    (run,) = recorded(shop)
    assert (run.run_id, run.status, run.rows, run.command) == (result.run_id, "passed", 20, "check")
    assert run.inputs[0].sha256 == result.sources[0].sha256


def test_bad_data_fails_without_an_exception(shop, bad):
    result = check("bad.parquet")
    assert result.status is Status.FAILED
    assert {r.id: r.unexpected for r in result.failures} == {"text-present": 1, "stars-in-range": 2}
    assert result.rows == result.good + result.quarantined == 20
    assert result.quarantined == 2
    assert pq.read_table(result.artifacts["quarantine"]).num_rows == 2


def test_what_is_kept_is_what_was_told(shop, bad):
    result = check("bad.parquet")
    kept = json.loads(result.artifacts["result"].read_text(encoding="utf-8"))
    assert kept == json.loads(result.json())
    assert result.folder == shop / ".shopmon" / "runs" / result.run_id
    assert all(Path(path).exists() for path in kept["artifacts"].values())
    with RunStore.open(Project.find(shop).store_url) as store:
        assert store.get(result.run_id).document == kept


@pytest.mark.parametrize("make", ["pandas", "polars", "arrow"])
def test_a_table_is_checked_like_its_file(shop, bad, make):
    if make == "polars":
        table = pytest.importorskip("polars").from_pandas(bad)
    else:
        table = bad if make == "pandas" else pa.Table.from_pandas(bad)
    from_table, from_file = check(table), check(shop / "bad.parquet")
    assert [(r.id, r.unexpected) for r in from_table.failures] == [(r.id, r.unexpected) for r in from_file.failures]
    assert (from_table.rows, from_table.quarantined) == (from_file.rows, from_file.quarantined)


def test_several_paths_are_one_batch(shop, good, bad):
    result = check(["good.parquet", shop / "bad.parquet"])
    assert (result.rows, len(result.sources)) == (40, 2)
    assert [source.rows for source in recorded(shop)[0].inputs] == [20, 20]


def test_good_rows_are_written_only_when_asked_for(shop, bad):
    assert "good" not in check("bad.parquet").artifacts
    result = check("bad.parquet", write_good="fine.parquet")
    assert pq.read_table(shop / "fine.parquet").num_rows == result.good == 18
    assert result.artifacts["good"] == shop / "fine.parquet"


def test_what_is_given_wins_over_the_project(shop, bad):
    (shop / "shopmon.toml").write_text('[check]\nsuite = "nowhere.yaml"\n[data]\nkind = "products"\n', encoding="utf-8")
    with pytest.raises(BatchError, match="products"):
        check("bad.parquet")
    assert check("bad.parquet", kind="reviews", suite="suite.yaml").kind == "reviews"


def test_the_projects_columns_are_taken(shop, bad):
    bad.rename(columns={"text": "Zeugnis"}).to_parquet(shop / "own.parquet")
    with pytest.raises(BatchError, match="Zeugnis"):
        check("own.parquet")
    with (shop / "shopmon.toml").open("a", encoding="utf-8") as file:
        file.write('[data.reviews.columns]\nZeugnis = "text"\n')
    assert check("own.parquet").columns["text"] == "Zeugnis"
    bad.rename(columns={"text": "Brief"}).to_parquet(shop / "other.parquet")
    assert check("other.parquet", columns={"Brief": "text"}).columns["text"] == "Brief"


def test_a_project_is_found_from_a_folder_below(shop, good, monkeypatch):
    (shop / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(shop / "deep" / "down")
    assert check("../../good.parquet").folder.is_relative_to(shop / ".shopmon")
    assert not (shop / "deep" / "down" / ".shopmon").exists()


def test_a_project_may_be_given_by_its_folder(shop, good, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert check(good, project=shop).suite == "two rules"
    assert not Path(".shopmon").exists()


def test_the_same_table_on_great_expectations_own_engine_counts_the_same(shop, bad):
    scan, own = check(bad), check(bad, engine="great_expectations")
    assert {r.engine for r in own.expectations} == {"great_expectations"}
    assert [(r.id, r.success, r.unexpected) for r in own.expectations] == [
        (r.id, r.success, r.unexpected) for r in scan.expectations
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"data": "nowhere.parquet"}, BatchError),
        ({"data": []}, BatchError),
        ({"data": "good.parquet", "suite": "nowhere.yaml"}, SuiteError),
        ({"data": "good.parquet", "kind": "shoes"}, BatchError),
        ({"data": "good.parquet", "columns": {"Nothing": "text"}}, BatchError),
    ],
)
def test_a_check_that_cannot_run_raises_is_recorded_and_leaves_nothing(shop, good, arguments, error):
    with pytest.raises(error):
        check(**arguments)
    (run,) = recorded(shop)
    assert (run.status, run.folder) == ("error", None)
    assert left_over(shop) == []


def test_what_could_not_be_read_is_named_in_the_record_without_its_password(shop):
    with pytest.raises(ShopmonError):
        check("sqlite:///nowhere.db::t")
    with pytest.raises(ShopmonError) as told:
        check("postgresql://me:hunter2@127.0.0.1:1/none::t")
    assert "hunter2" not in str(told.value)
    assert [run.inputs[0].name for run in recorded(shop)] == [
        "postgresql://me:***@127.0.0.1:1/none::t", "sqlite:///nowhere.db::t",
    ]  # fmt: skip


def test_a_suite_for_another_kind_is_refused(shop, good):
    with (shop / "suite.yaml").open("a", encoding="utf-8") as file:
        file.write("kind: products\n")
    with pytest.raises(SuiteError, match=r"suite for products, and the batch is taken for reviews"):
        check("good.parquet")


def test_an_error_is_a_result_for_who_wants_one(shop):
    result = attempt(Request(data="nowhere.parquet"))
    assert result.status is Status.ERROR
    assert result.error.type == "BatchError"
    assert "nowhere.parquet" in result.error.message
    assert recorded(shop)[0].run_id == result.run_id


def test_a_store_that_cannot_be_used_is_told_before_the_work(shop, good, monkeypatch):
    (shop / "folder.db").mkdir()
    monkeypatch.setenv(STORE_URL_VARIABLE, f"sqlite:///{shop}/folder.db")
    done = []
    with pytest.raises(RunStoreError):
        check("good.parquet", progress=done.append)
    assert done == []
    assert left_over(shop) == []


def test_a_project_that_cannot_be_understood_ends_the_check(shop, good):
    (shop / "shopmon.toml").write_text("[chek]\n", encoding="utf-8")
    with pytest.raises(ProjectError, match="Did you mean 'check'"):
        check("good.parquet")


def test_runs_that_cannot_be_kept_are_told(shop, good):
    (shop / ".shopmon").mkdir()
    (shop / ".shopmon" / "runs").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(ShopmonError, match="runs"):
        check("good.parquet")


class Stopped:
    """Something that goes wrong at the n-th word of progress."""

    def __init__(self, at, error):
        self.left, self.error = at, error

    def __call__(self, doing):
        self.left -= 1
        if self.left < 0:
            raise self.error


def steps(data):
    said = []
    check(data, progress=said.append)
    return len(said)


def test_an_interrupted_check_leaves_nothing_wherever_it_is(shop, bad):
    before = left_over(shop)
    for at in range(steps(bad)):
        kept = left_over(shop)
        with pytest.raises(KeyboardInterrupt):
            check(bad, progress=Stopped(at, KeyboardInterrupt()), write_good="fine.parquet")
        assert left_over(shop) == kept
    assert before == []
    assert not list(shop.glob("*fine.parquet"))


def test_a_mistake_of_ours_stays_what_it_is_and_is_recorded(shop, good):
    with pytest.raises(ZeroDivisionError):
        check("good.parquet", progress=Stopped(0, ZeroDivisionError("oh")))
    (run,) = recorded(shop)
    assert run.status == "error"
    assert left_over(shop) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "/tmp/x"), MemoryError()])
def test_what_the_machine_refuses_is_told_to_a_person(shop, good, error):
    result = attempt(Request(data="good.parquet", progress=Stopped(0, error)))
    assert result.error.type == "ShopmonError"
    assert "mistake in shopmon" not in result.error.message


def test_scratch_space_is_given_back(shop, bad):
    bad.to_csv(shop / "bad.csv", index=False)
    check("bad.csv")
    assert list((shop / "scratch").iterdir()) == []


def test_runs_stay_out_of_git(shop, good):
    check("good.parquet")
    assert (shop / ".shopmon" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_no_dependency_reports_to_its_makers(shop, good, monkeypatch):
    monkeypatch.delenv("GX_ANALYTICS_ENABLED", raising=False)
    check("good.parquet")
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_data_docs_are_written_where_asked(shop, bad):
    result = check("bad.parquet", data_docs="pages")
    page = result.artifacts["data_docs"]
    assert page.is_relative_to(shop / "pages")
    assert "html" in page.read_text(encoding="utf-8")
