"""The demonstration finds what it planted, says so truly, and touches nothing that is not its own."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from expectations.errors import ProjectError
from shopmon import cli
from shopmon.demo import EXPECTED, UNREADABLE, compared, run_demo
from shopmon.demo_changes import Learnt, Planted
from shopmon.demo_project import DATA, FEWEST_ROWS, MARKER, PLANTED, REFERENCE, Planting, prepare
from shopmon.demo_summary import demo_summary
from shopmon.planted_faults import Fault
from shopmon.project import STORE_URL_VARIABLE

ROWS = 5_000
"""Enough for texts that were cut to pile up visibly."""
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def demo(home):
    """One demonstration, in `home/demo`, under an environment that names another run store."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(STORE_URL_VARIABLE, f"sqlite:///{home}/team.db")
        patched.chdir(home)
        return run_demo("demo", rows=ROWS, retrain=False)


def shown(demo, here, width=80):
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    console.print(demo_summary(demo, here=here))
    return console.file.getvalue()


def contents(folder):
    """Every file but the records of runs: name → hash."""
    files = (file for file in folder.rglob("*") if file.is_file() and ".shopmon" not in file.parts)
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_every_fault_is_planted_in_some_file(demo):
    assert {found.fault for found in demo.faults} == set(Fault)
    assert all(found.planted >= 2 for found in demo.faults)


def test_every_planted_row_is_found_by_a_rule_for_its_fault(demo):
    missed = {(one.file, found.fault.value): found.missed for one in demo.checked for found in one.faults}
    assert {place: rows for place, rows in missed.items() if rows} == {}


def test_every_rule_that_a_fault_must_break_is_a_rule_of_its_file(demo):
    for one in demo.checked:
        rules = {rule.id for rule in one.result.expectations} | set(UNREADABLE)
        assert {rule for found in one.faults for rule in found.rules} <= rules, one.file
    assert set(EXPECTED) == set(Fault)


def test_the_clean_reference_passes_and_every_batch_with_faults_fails(demo):
    assert {one.file: one.result.passed for one in demo.checked} == {name: name == REFERENCE for name in DATA}
    assert demo.checked[0].result.rows == ROWS


def test_few_clean_rows_are_quarantined_with_the_faulty_ones(demo):
    clean = sum(one.result.rows for one in demo.checked) - sum(found.planted for found in demo.faults)
    assert sum(one.false_alarms for one in demo.checked) < 0.005 * clean


def test_quarantine_holds_the_planted_rows_their_originals_and_the_false_alarms_and_nothing_else(demo):
    for one in demo.checked:
        accounted = sum(found.found + found.originals for found in one.faults) + one.false_alarms
        assert one.result.quarantined == accounted, one.file


def test_a_row_that_no_rule_found_is_counted_as_missed_and_a_clean_one_as_false_alarm(demo):
    planting = Planting({Fault.HTML: (3, 5), Fault.TEXT_MISSING: (7,)}, {})
    answer = compared(
        "new.parquet",
        demo.checked[0].result,
        planting,
        {"html": frozenset({3, 7, 9}), "language": frozenset({9, 11})},
    )
    html, missing = answer.faults
    assert (html.planted, html.found, html.missed, html.false_alarms) == (2, 1, 1, 1)
    assert (missing.planted, missing.found, missing.missed) == (1, 0, 1)
    assert (answer.false_alarms, answer.alarming) == (2, ("html", "language"))


def test_what_was_missed_and_falsely_accused_is_shown(demo, home):
    broken = replace(demo.checked[1].faults[0], found=1, false_alarms=77)
    dirty = replace(demo.checked[1], faults=(broken,), false_alarms=77, alarming=("language",))
    text = shown(replace(demo, checked=(demo.checked[0], dirty)), home)
    line = next(line for line in text.splitlines() if line.split()[:1] == ["text-missing"])
    assert line.split() == ["text-missing", str(broken.planted), "1", str(broken.planted - 1), "77", "text-missing"]
    assert f"1 of {broken.planted} planted rows found; 77 others in quarantine" in text


def test_every_planted_change_is_found_and_nothing_else_drifts(demo):
    assert {shift.what: shift.found for shift in demo.changes.shifts if not shift.found} == {}
    assert demo.changes.unplanned == ()


def test_nearly_every_planted_complaint_is_an_edge_case_and_nothing_else_is(demo):
    learnt = demo.changes.learnt
    assert learnt.planted > 50
    assert learnt.found >= 0.95 * learnt.planted
    assert learnt.others <= 0.05 * learnt.planted


def test_a_change_that_was_not_found_is_shown(demo, home):
    missed = replace(demo.changes, shifts=(Planted("prices +15%", False, ""),), learnt=Learnt(90, 4, 7))
    text = shown(replace(demo, changes=missed), home)
    assert "✗  prices +15%" in text
    assert "0 of 1 planted changes found" in text
    assert "4 of 90 planted complaints" in text


def test_the_table_names_every_fault_with_its_rules_and_every_change(demo, home):
    text = shown(demo, home, width=140)
    lines = [line.split() for line in text.splitlines()]
    for found in demo.faults:
        line = next(words for words in lines if words and words[0] == found.fault.value)
        assert " ".join(line).endswith(", ".join(found.rules))
    assert all(shift.what in text for shift in demo.changes.shifts)


def test_a_line_fits_into_eighty_columns(demo, home):
    assert max(map(len, shown(demo, home).splitlines())) <= 80


def test_nothing_is_written_outside_the_folder(demo, home):
    assert [path.name for path in home.iterdir()] == ["demo"]
    assert all(one.result.folder.is_relative_to(home / "demo") for one in demo.checked)


def test_the_team_s_run_store_is_named_again_after_the_demonstration(tmp_path, monkeypatch):
    monkeypatch.setenv(STORE_URL_VARIABLE, "sqlite:///team.db")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / MARKER).write_text('{"recipe": {}, "files": {}}')
    monkeypatch.setattr("shopmon.demo.check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_demo(tmp_path / "demo", rows=FEWEST_ROWS)
    assert os.environ[STORE_URL_VARIABLE] == "sqlite:///team.db"


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_a_second_call_makes_nothing_anew_and_finds_the_same(demo, home, monkeypatch):
    before = contents(home / "demo")
    monkeypatch.setattr("shopmon.demo_project._generate", interrupted)
    again = run_demo(home / "demo", rows=ROWS, retrain=False)
    assert (demo.generated, again.generated) == (True, False)
    assert again.faults == demo.faults
    assert contents(home / "demo") == before


def test_planted_json_tells_the_rows_of_every_fault(demo, home):
    told = json.loads((home / "demo" / PLANTED).read_text())
    assert told[REFERENCE] == {}
    assert len(told["new.parquet"]["text-missing"]["rows"]) == demo.checked[1].faults[0].planted


# --- the folder ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    prepare(tmp_path / "small", rows=FEWEST_ROWS, seed=1)
    return tmp_path / "small"


def test_the_same_seed_gives_the_same_files_and_another_seed_others(small, tmp_path):
    prepare(tmp_path / "twin", rows=FEWEST_ROWS, seed=1)
    assert contents(tmp_path / "twin") == contents(small)
    assert prepare(small, rows=FEWEST_ROWS, seed=2).generated
    assert all(contents(tmp_path / "twin")[name] != contents(small)[name] for name in DATA)


def test_a_missing_file_is_made_again(small):
    before = contents(small)
    (small / "queries.parquet").unlink()
    assert prepare(small, rows=FEWEST_ROWS, seed=1).generated
    assert contents(small) == before


@pytest.mark.parametrize("name", ["new.parquet", PLANTED])
def test_data_that_somebody_changed_is_neither_replaced_nor_believed(small, name):
    with (small / name).open("ab") as file:
        file.write(b" ")
    before = contents(small)
    for seed in (1, 2):
        with pytest.raises(ProjectError, match=f"{name} in .* changed since"):
            prepare(small, rows=FEWEST_ROWS, seed=seed)
    assert contents(small) == before


def test_an_edited_suite_is_kept_and_used_even_for_new_data(small):
    suite = small / "suites" / "reviews.yaml"
    suite.write_text(suite.read_text() + "# mine\n")
    for seed in (1, 2):
        assert prepare(small, rows=FEWEST_ROWS, seed=seed).edited == ("suites/reviews.yaml",)
        assert suite.read_text().endswith("# mine\n")


def test_a_suite_of_an_older_version_is_brought_up_to_date(small, monkeypatch):
    monkeypatch.setattr("shopmon.demo_project._OWN_RULES", "  # said otherwise")
    assert prepare(small, rows=FEWEST_ROWS, seed=1).edited == ()
    assert "# said otherwise" in (small / "suites" / "reviews.yaml").read_text()


def test_a_demonstration_interrupted_while_files_are_put_in_place_is_completed_by_the_next(small, monkeypatch):
    copies = []

    def interrupted_at_the_third(source, target, copy=shutil.copyfile):
        copies.append(target)
        return interrupted() if len(copies) == 3 else copy(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("shopmon.demo_project.shutil.copyfile", interrupted_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            prepare(small, rows=FEWEST_ROWS, seed=2)
    ready = prepare(small, rows=FEWEST_ROWS, seed=2)
    assert (ready.generated, ready.edited) == (True, ())
    assert not list(small.glob(".partial*"))


@pytest.mark.parametrize("there", ["a file", "a folder with something in it", "a broken link"])
def test_what_the_demonstration_did_not_make_is_left_alone(tmp_path, there):
    place = tmp_path / "demo"
    if there == "a file":
        place.write_text("mine")
    elif there == "a broken link":
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.mkdir()
        (place / "new.parquet").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(ProjectError, match="did not make it"):
        prepare(place, rows=FEWEST_ROWS, seed=1)
    assert contents(tmp_path) == before


def test_a_marker_that_is_none_is_refused(tmp_path):
    (tmp_path / MARKER).write_text("[]")
    with pytest.raises(ProjectError, match="is not what shopmon demo wrote"):
        prepare(tmp_path, rows=FEWEST_ROWS, seed=1)


def test_too_few_rows_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ProjectError, match="too few"):
        prepare(tmp_path / "demo", rows=FEWEST_ROWS - 1, seed=1)
    assert not (tmp_path / "demo").exists()


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_exits_with_0_though_checks_fail_and_with_2_where_it_may_not_write(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "80"}
    command = [sys.executable, "-m", "shopmon", "demo", "--no-retrain", "--rows", str(FEWEST_ROWS)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == cli.PASSED, done.stderr
    assert "✗ failed  new.parquet" in done.stdout
    assert "exits with 0" in done.stdout
    assert "no model was trained, as --no-retrain asked" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    (tmp_path / "demo" / MARKER).unlink()
    refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (cli.COULD_NOT_RUN, "")
    assert "did not make it" in refused.stderr
