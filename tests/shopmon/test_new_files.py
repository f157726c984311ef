"""Checking what is new, as a person types it: each file once, each row in its window, whoever is killed meanwhile."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from rich.console import Console

import shopmon
from monitor.checked_files import CheckedFiles, read
from monitor.results import DriftStatus, WindowColumn, WindowDrift, WindowsSection
from monitor.runs import RunStore
from shopmon import cli
from shopmon.kept_windows import KeptWindow, KeptWindows
from shopmon.new_files import NewFiles, NewStatus, Unit
from shopmon.new_files_summary import new_files_summary
from shopmon.outcome import CheckResult, Failure, Status
from shopmon.project import STORE_URL_VARIABLE, Project
from shopmon.sample_data import Shift, reviews
from shopmon.window_summary import kept_shown, window_shown, windows_said

ROOT = Path(__file__).parents[2]
NEW, WINDOWS = (
    Draft202012Validator(json.loads((ROOT / "docs" / name).read_text(encoding="utf-8")))
    for name in ("new-files.schema.json", "windows.schema.json")
)
MONDAY = datetime(2026, 9, 7)
SETTINGS = """\
[drift]
window = "7d"
evidently = false
[edge_cases]
defaults = false
"""


def week(number, seed, *, rows=300, shift=None):
    """Reviews of one week, counted from a Monday."""
    table = reviews(rows, seed=1, start=1_000 * seed, shift=shift or Shift())
    days = [MONDAY + timedelta(days=7 * number + row % 7, hours=row % 24) for row in range(rows)]
    return table.set_column(table.column_names.index("date"), "date", pa.array(days, pa.timestamp("us")))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A reference of four weeks, and deliveries of one week each; the last one is dearer."""
    folder = tmp_path_factory.mktemp("data")
    pq.write_table(pa.concat_tables([week(-4 + n, n) for n in range(4)]), folder / "good.parquet")
    for number in range(2):
        pq.write_table(week(number, 10 + number), folder / f"{number}.parquet")
    pq.write_table(week(2, 12, shift=Shift(price_factor=3.0)), folder / "2.parquet")
    pq.write_table(week(0, 13, rows=50), folder / "late.parquet")
    pyarrow.csv.write_csv(week(3, 14, rows=60), folder / "3.csv")
    return folder


def typed_in(folder, capfd, *words):
    os.chdir(folder)
    capfd.readouterr()
    code = cli.main(list(words))
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


@pytest.fixture
def typed(tmp_path, capfd, monkeypatch):
    """Type a command in a folder of its own, which holds `in/`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    handler = signal.getsignal(signal.SIGTERM)
    (tmp_path / "in").mkdir()
    yield lambda *words: typed_in(tmp_path, capfd, *words)
    signal.signal(signal.SIGTERM, handler)


def small(name, text="A warm jacket that I wore all winter long.", stars=5):
    rows = [{"text": f"{text} It is number {n} of {Path(name).stem}.", "stars": stars} for n in range(20)]
    table = pa.Table.from_pylist(rows)
    (pyarrow.csv.write_csv if name.endswith(".csv") else pq.write_table)(table, name)


def told(typed, *words, schema=NEW):
    code, out, _ = typed(*words, "--json")
    document = json.loads(out)
    assert [error.message for error in schema.iter_errors(document)] == []
    return code, document


def runs(folder):
    with RunStore.open(Project.of(Project(folder)).store_url) as store:
        return [[Path(one.name).name for one in run.inputs] for run in store.list(limit=100)]


# --- which files are checked ------------------------------------------------------------------------------------------


def test_only_new_and_changed_files_are_checked_and_nothing_new_says_so(typed, tmp_path):
    small("in/a.parquet")
    assert told(typed, "check", "--new", "in", "--only-rules")[0] == 0
    small("in/b.parquet")
    code, document = told(typed, "check", "--new", "in", "--only-rules")
    assert (code, document["files"]["new"], document["files"]["same"]) == (0, 1, 1)
    assert [Path(name).name for unit in document["units"] for name in unit["files"]] == ["b.parquet"]
    small("in/a.parquet", text="A light jacket that I wore all summer long.")
    code, document = told(typed, "check", "--new", "in", "--only-rules")
    assert (document["files"]["changed"], document["rows"]) == (1, 20)
    code, out, err = typed("check", "--new", "in", "--only-rules")
    assert (code, err) == (0, "")
    assert out.startswith("✓ nothing new   2 unchanged files")
    assert runs(tmp_path) == [["a.parquet"], ["b.parquet"], ["a.parquet"]]
    assert told(typed, "check", "--new", "in", "--only-rules", "--again")[1]["files"]["changed"] == 2


def test_bad_data_ends_with_1_once_and_a_file_that_cannot_be_read_with_2_each_time(typed, tmp_path):
    for name in ("a", "b", "c", "d"):
        small(f"in/{name}.parquet", stars=9 if name == "c" else 5)
    (tmp_path / "in" / "e.parquet").write_bytes(b"PAR1 and no more")
    code, out, _ = typed("check", "--new", "in", "--only-rules")
    assert code == 2
    assert "in/e.parquet" in out
    assert "not checked" in out
    code, document = told(typed, "check", "--new", "in", "--only-rules")
    assert (code, document["status"], document["files"]["same"]) == (2, "error", 4)
    (tmp_path / "in" / "e.parquet").unlink()
    small("in/f.parquet", stars=9)
    code, document = told(typed, "check", "--new", "in", "--only-rules")
    assert (code, document["status"], document["quarantined"]) == (1, "failed", 20)
    assert typed("check", "--new", "in", "--only-rules")[0] == 0


def test_files_of_several_kinds_and_formats_are_told_apart(typed):
    small("in/a.parquet")
    small("in/b.csv")
    pq.write_table(pa.table({"query": [f"warm jacket {n}" for n in range(20)]}), "in/q.parquet")
    code, document = told(typed, "check", "--new", "in", "--only-rules")
    assert code == 0
    found = {Path(name).name: unit["kind"] for unit in document["units"] for name in unit["files"]}
    assert found == {"a.parquet": "reviews", "b.csv": "reviews", "q.parquet": "queries"}


def test_a_suite_for_one_kind_keeps_no_file_of_that_kind_from_being_checked(typed, tmp_path):
    (tmp_path / "rules.yaml").write_text(
        "name: own\nkind: reviews\nexpectations:\n"
        "  - {type: expect_column_values_to_not_be_null, kwargs: {column: text}, severity: critical, meta: {id: a}}\n"
    )
    pq.write_table(pa.table({"query": [f"warm jacket {n}" for n in range(20)]}), "in/a.parquet")
    small("in/b.parquet")
    code, document = told(typed, "check", "--new", "in", "--only-rules", "--suite", "rules.yaml")
    assert code == 2
    assert [(unit["status"], unit["kind"]) for unit in document["units"]] == [("error", None), ("passed", "reviews")]


@pytest.mark.parametrize("address", ["in", "in/*.parquet"])
def test_a_folder_that_was_emptied_has_nothing_new_and_one_that_never_held_a_file_is_an_error(typed, address):
    Path("in/notes.md").write_text("no data")
    assert typed("check", "--new", address, "--only-rules")[0] == 2
    small("in/a.parquet")
    assert typed("check", "--new", address, "--only-rules")[0] == 0
    Path("in/a.parquet").unlink()
    code, document = told(typed, "check", "--new", address, "--only-rules")
    assert (code, document["status"], len(document["files"]["gone"])) == (0, "nothing new", 1)
    shutil.rmtree("in")
    assert typed("check", "--new", address, "--only-rules")[0] == 2


def test_what_was_checked_by_other_rules_and_what_is_gone_is_told(typed, tmp_path):
    small("in/a.parquet")
    small("in/b.parquet", text="A light jacket that I wore in the rain.")
    typed("check", "--new", "in", "--only-rules")
    (tmp_path / "in" / "a.parquet").unlink()
    _, document = told(typed, "check", "--new", "in", "--only-rules", "--column", "text=text")
    assert document["files"]["gone"] == [str(tmp_path / "in" / "a.parquet")]
    assert [note.partition(":")[0] for note in document["notes"]] == [
        "1 file checked by other rules or columns than those of now", "1 file gone since they were checked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--again",), "--again, --forget-gone"),
        (("--forget-gone",), "--again, --forget-gone"),
        (("--new", "--write-good", "good.parquet"), "--write-good is about one batch"),
        (("--new", "--data-docs", "site"), "--data-docs is about one batch"),
        (("--new", "--reference", "good.parquet"), "--reference is about one batch"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(typed, words, said):
    small("in/a.parquet")
    code, out, err = typed("check", "in", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert not Path(".shopmon/runs").exists()


@pytest.mark.parametrize("words", [("nowhere",), ("sqlite:///shop.db::reviews",), ("in", "--kind", "shoes")])
def test_json_is_one_document_also_where_nothing_could_be_checked(typed, words):
    code, document = told(typed, "check", "--new", *words)
    assert (code, document["status"], document["units"]) == (2, "error", [])
    assert document["error"]["message"]


def test_two_at_once_are_refused(typed, tmp_path):
    small("in/a.parquet")
    with CheckedFiles.held(tmp_path / ".shopmon" / "checked", tmp_path):
        code, out, err = typed("check", "--new", "in")
    assert (code, out) == (2, "")
    assert f"another process ({os.getpid()}) is checking new files of this project" in err


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_check_goes_on_where_it_stopped_and_counts_nothing_twice(typed, tmp_path, data, number):
    (tmp_path / "shopmon.toml").write_text(SETTINGS)
    shutil.copy(data / "good.parquet", tmp_path)
    assert typed("reference", "set", "good.parquet", "--kind", "reviews")[0] == 0
    shutil.copy(data / "late.parquet", "in/a.parquet")
    shutil.copy(data / "3.csv", "in/b.csv")
    rows = [
        json.dumps({"text": f"A warm jacket, number {n}, that I wore.", "stars": 9, "date": "2026-09-08"})
        for n in range(20)
    ]
    (tmp_path / "in" / "c.jsonl").write_text("\n".join(rows))
    command = [sys.executable, "-m", "shopmon", "check", "--new", "in"]
    running = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    checked = tmp_path / ".shopmon" / "checked"
    ends = time.monotonic() + 500
    while running.poll() is None and not read(checked, tmp_path) and time.monotonic() < ends:
        time.sleep(0.02)
    running.send_signal(number)
    running.wait(timeout=120)
    before = {Path(one.key).name for one in read(checked, tmp_path)}
    assert 0 < len(before) < 3, "the process was to be killed after its first batch and before its last"
    assert not any(one.told for one in read(checked, tmp_path))
    (checked / "windows" / "reviews" / "7d" / "2026-09-07").mkdir(parents=True, exist_ok=True)
    (checked / "windows" / "reviews" / "7d" / "2026-09-07" / "left-0.zip").write_bytes(b"of a killed process")

    code, document = told(typed, "check", "--new", "in")
    units = {Path(name).name: unit for unit in document["units"] for name in unit["files"]}
    assert (code, document["status"]) == (1, "failed")  # the bad file is told, whichever process checked it
    assert {name for name, unit in units.items() if unit["earlier"]} == before
    assert sorted(units) == sorted(name for run in runs(tmp_path) for name in run) == ["a.parquet", "b.csv", "c.jsonl"]
    files = {Path(one.key).name: one for one in read(checked, tmp_path)}
    assert all(one.told for one in files.values())
    kept = sorted(file.name for file in (checked / "windows").rglob("*.zip"))
    assert kept == sorted(share.kept for one in files.values() for share in one.shares)
    windows = {one["start"]: one["rows"] for one in document["windows"]["reviews"]["windows"]}
    good = {name: unit["rows"] - unit["quarantined"] for name, unit in units.items()}
    assert sum(windows.values()) == sum(share.rows for one in files.values() for share in one.shares)
    assert sum(windows.values()) <= sum(good.values()) + sum(unit["quarantined"] for unit in units.values())
    assert windows["2026-09-07"] == sum(share.rows for share in files["a.parquet"].shares)
    code, document = told(typed, "check", "--new", "in")
    assert (code, document["status"], document["units"]) == (0, "nothing new", [])


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def story(data, tmp_path_factory):
    """What each command of a project with windows said, in their order."""
    folder, said = tmp_path_factory.mktemp("shop"), {}
    (folder / "shopmon.toml").write_text(SETTINGS)
    (folder / "in").mkdir()
    project = Project.read(folder)
    shopmon.set_reference(data / "good.parquet", project=project)

    def deliver(name, as_name=None):
        shutil.copy(data / name, folder / "in" / (as_name or name))

    def step(name, **given):
        said[name] = shopmon.check_new(folder / "in", project=project, **given)
        said[f"{name}, windows"] = shopmon.windows(project=project)

    deliver("0.parquet")
    deliver("1.parquet")
    step("two weeks")
    deliver("2.parquet")
    step("a dear week")
    deliver("late.parquet")
    step("late rows")
    deliver("1.parquet", "late.parquet")  # the file is replaced by one with rows of another week
    step("replaced")
    (folder / "in" / "late.parquet").unlink()
    step("gone")
    step("forgotten", forget_gone=True)
    return folder, said


def rows_of(found):
    (only,) = found
    return {one.drift.start: one.drift.rows for one in only.windows}


def compared(found):
    return {one.start for one in found.windows["reviews"].windows}


def test_each_window_has_the_rows_of_its_dates(story):
    _, said = story
    shares = rows_of(said["two weeks, windows"])
    assert list(shares) == ["2026-09-07", "2026-09-14"]
    assert said["two weeks"].rows - said["two weeks"].quarantined <= sum(shares.values()) <= said["two weeks"].rows


def test_a_window_that_differs_is_told_and_those_before_are_not_compared_again(story):
    _, said = story
    assert compared(said["a dear week"]) == {"2026-09-21"}
    (found,) = said["a dear week, windows"]
    by_start = {one.drift.start: one.drift for one in found.windows}
    assert by_start["2026-09-21"].status == "drifted"
    assert "price" in by_start["2026-09-21"].drifted
    assert by_start["2026-09-21"].loudest[0].column == "price"
    assert "price" not in by_start["2026-09-07"].drifted


def test_late_rows_join_the_window_of_their_dates(story):
    _, said = story
    assert compared(said["late rows"]) == {"2026-09-07"}
    before, after = rows_of(said["a dear week, windows"]), rows_of(said["late rows, windows"])
    assert after["2026-09-07"] - before["2026-09-07"] > 40
    (found,) = said["late rows, windows"]
    assert [len(one.files) for one in found.windows] == [2, 1, 1]


def test_rows_of_a_changed_file_take_the_place_of_its_earlier_ones(story):
    _, said = story
    assert said["replaced"].changed == 1
    before, after = rows_of(said["a dear week, windows"]), rows_of(said["replaced, windows"])
    assert after["2026-09-07"] == before["2026-09-07"]
    assert after["2026-09-14"] == 2 * before["2026-09-14"]
    assert compared(said["replaced"]) == {"2026-09-07", "2026-09-14"}


def test_rows_of_a_file_that_is_gone_stay_until_they_are_to_leave(story):
    _, said = story
    assert said["gone"].gone
    assert rows_of(said["gone, windows"]) == rows_of(said["replaced, windows"])
    assert rows_of(said["forgotten, windows"]) == rows_of(said["a dear week, windows"])
    assert compared(said["forgotten"]) == {"2026-09-14"}


def test_windows_are_shown_as_a_trend_and_one_of_them_whole(story, capfd, monkeypatch):
    folder, _ = story
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.chdir(folder)
    code, out, err = typed_in(folder, capfd, "windows")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 90
    assert "≠ 2026-09-21" in out
    assert "price" in next(line for line in out.splitlines() if "2026-09-21" in line)
    code, whole, _ = typed_in(folder, capfd, "windows", "2026-09-23")
    assert code == 0
    assert whole.startswith("≠ drifted   2026-09-21 until 2026-09-28   reviews")
    assert "in/2.parquet" in whole
    assert "2026-09-07" not in whole
    code, _, err = typed_in(folder, capfd, "windows", "2020-01-01")
    assert (code, "Windows are kept from 2026-09-07 to 2026-09-21" in err) == (2, True)
    assert typed_in(folder, capfd, "windows", "yesterday")[0] == 2


def test_the_document_of_windows_keeps_its_schema(story, capfd, monkeypatch):
    folder, _ = story
    monkeypatch.chdir(folder)
    _, out, _ = typed_in(folder, capfd, "windows", "--json")
    document = json.loads(out)
    assert [error.message for error in WINDOWS.iter_errors(document)] == []
    assert [window["start"] for window in document["kinds"][0]["windows"]] == ["2026-09-07", "2026-09-14", "2026-09-21"]


def test_a_later_reference_is_told_by_windows_that_were_compared_with_the_earlier(story, data, tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(story[0], folder)
    project = Project.read(folder)
    shopmon.set_reference(data / "1.parquet", project=project)
    (found,) = shopmon.windows(project=project)
    assert {(one.drift.status.value, "earlier reference" in one.drift.reason) for one in found.windows} == {
        ("not examined", True)
    }
    anew = shopmon.check_new(folder / "in", project=project)
    assert anew.status == "nothing new"  # though the project was moved as a whole
    assert any("--again" in note for note in anew.notes)
    assert {one.status.value for one in anew.windows["reviews"].windows} == {"not examined"}


def test_a_damaged_share_costs_its_window_and_says_what_to_do(story, tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(story[0], folder)
    project = Project.read(folder)
    for file in (project.windows / "reviews" / "7d" / "2026-09-21").glob("*"):
        file.write_bytes(b"damaged") if file.suffix == ".zip" else file.unlink()
    found = shopmon.check_new(folder / "in", project=project)
    (one,) = found.windows["reviews"].windows
    assert (one.start, one.status.value) == ("2026-09-21", "not examined")
    assert "--new --again" in one.reason


# --- how it reads ---------------------------------------------------------------------------------------------------


HOSTILE = "pri\x1b[31mce\n[red]\u202e"
EXAMPLE = NewFiles(
    NewStatus.ERROR, new=3, changed=1, same=1_200, seconds=99.2, version="0.1.0", notes=(f"{HOSTILE} is gone",),
    units=(
        Unit(("/data/very/long/path/2026-09-01.parquet",), "reviews", "20261129-055329-5f17b1", Status.PASSED, 1_200, 0,
             DriftStatus.STABLE, (), 3, 1.0),
        Unit(("in/2.parquet", "in/3.parquet"), "reviews", "20261129-055329-5f17b2", Status.FAILED, 123_456, 1_234,
             DriftStatus.DRIFTED, (HOSTILE, "brand", "category", "title"), 3, 1.0, earlier=True),
        Unit((HOSTILE,), None, "", Status.ERROR, 0, 0, DriftStatus.NOT_EXAMINED, (), 0, 1.0,
             error=Failure("BatchError", f"{HOSTILE} is empty", "See why.")),
    ),
    windows={"reviews": WindowsSection(DriftStatus.DRIFTED, f"each against {HOSTILE} (8 rows)", "1d", 3, 2, 0, (
        WindowDrift("2026-09-01", "2026-09-02", 4_000, 2, DriftStatus.STABLE, ""),
        WindowDrift("2026-09-02", "2026-09-03", 5_000, 2, DriftStatus.DRIFTED, "", (
            WindowColumn(HOSTILE, "number", "KS", 0.3, "d", 0.05, 1e-9, True, HOSTILE),
            WindowColumn("brand", "category", "column present", 1.0, "share", None, 0.0, True, "is gone"))),
        WindowDrift("2026-09-03", "2026-09-04", 6, 2, DriftStatus.NOT_EXAMINED, f"{HOSTILE} cannot be read"),
    ))},
)  # fmt: skip


def printed(what, width):
    terminal = Console(width=width, file=io.StringIO(), force_terminal=False)
    terminal.print(what)
    return terminal.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_a_summary_fits_its_terminal_and_text_of_data_is_no_order_to_it(width):
    drift = EXAMPLE.windows["reviews"].windows
    kept = (KeptWindows("reviews", "1d", HOSTILE, tuple(KeptWindow(one, {HOSTILE: 3}) for one in drift)),)
    for what in (
        new_files_summary(EXAMPLE, width=width, here=Path("/data")),
        kept_shown(kept, width),
        window_shown(kept, width),
    ):
        text = printed(what, width)
        assert max(cell_len(line) for line in text.splitlines()) <= width
        assert not {"\x1b", "\u202e"} & set(text)


def test_a_summary_names_what_a_person_must_look_at():
    text = printed(new_files_summary(EXAMPLE, width=140, here=Path("/data")), 140)
    assert "✗ could not check all   3 new, 1 changed, 1,200 unchanged files   124,656 rows   99.2 s" in text
    assert "✓ very/long/path/2026-09-01.parquet" in text
    assert "✗ in/2.parquet and 1 more (before)" in text
    assert "1,234 in quarantine" in text
    assert "1 of 2 compared windows of 1d drifted (3 in all), each against" in text
    assert "in no window: 3 rows without a date, 2 rows from the future" in text
    (line,) = [line for line in text.splitlines() if "≠ 2026-09-02" in line]
    assert line.split() == ["≠", "2026-09-02", "5,000", "2", "6.0", "████████", "brand,", "pri␛[31mce⏎[red]�"]


def windows_of(*statuses):
    return tuple(WindowDrift("2026-09-01", "2026-09-02", 40, 1, status, "few rows") for status in statuses)


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((DriftStatus.NOT_EXAMINED,) * 1_170, "none of 1,170 windows of 1d could be compared"),
        ((DriftStatus.STABLE,) * 2, "none of 2 windows of 1d drifted"),
        ((DriftStatus.STABLE, DriftStatus.NOT_EXAMINED), "none of 1 compared windows of 1d drifted (2 in all)"),
        ((DriftStatus.DRIFTED, DriftStatus.STABLE), "1 of 2 windows of 1d drifted"),
    ],
)
def test_windows_that_were_not_compared_do_not_read_as_good_news(statuses, said):
    drifts = windows_of(*statuses)
    kept = (KeptWindows("reviews", "1d", "good.parquet", tuple(KeptWindow(one, {}) for one in drifts)),)
    assert f"   {said}, against good.parquet" in printed(kept_shown(kept, 140), 140)
    section = WindowsSection(statuses[0], "each against good.parquet", "1d", windows=drifts)
    compared = section.status is not DriftStatus.NOT_EXAMINED
    assert str(windows_said(section)) == said + (", each against good.parquet" if compared else "")


# --- documents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        NewFiles(NewStatus.NOTHING_NEW, same=3, version="0.1.0"),
        NewFiles(NewStatus.ERROR, error=Failure.of(ValueError("x\0")), version="0.1.0"),
        NewFiles(
            NewStatus.ERROR, version="0.1.0", new=2, moved=(("a", "b"),), gone=("c\udc80",), notes=("d",),
            units=(
                Unit.of(CheckResult("20261120-195801-a3f9c1", Status.PASSED, kind="reviews", rows=3), ["e"]),
                Unit.of(CheckResult("", Status.ERROR, error=Failure.of(ValueError("x"))), ["f"], earlier=True),
            ),
        ),
    ],
)  # fmt: skip
def test_every_document_keeps_the_schema(found):
    assert [error.message for error in NEW.iter_errors(json.loads(found.json()))] == []


def test_the_schemas_are_schemas():
    for schema in (NEW, WINDOWS):
        Draft202012Validator.check_schema(schema.schema)
