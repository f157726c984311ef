"""What a person types is answered once, in the right place, with the right exit code."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
import typing
from pathlib import Path

import pandas as pd
import pytest
import typer
from jsonschema import Draft202012Validator

from expectations.kinds import KINDS
from expectations.results import Engine
from monitor import runs as run_store
from shopmon import __version__, checking, cli, command_parts, outcome
from shopmon.project import STORE_URL_VARIABLE, Project

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8")))
MANUAL = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
GROUP = typer.main.get_group(cli.app)
BY_NAME = {
    **GROUP.commands,
    **{f"reference {name}": command for name, command in GROUP.commands["reference"].commands.items()},
}
COMMANDS = sorted(BY_NAME)


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    """The working directory: a good batch and a bad one."""
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    frame = pd.DataFrame({"text": [f"A warm jacket that I wore {n} times last winter." for n in range(40)]})
    frame["stars"] = [1 + n % 5 for n in range(40)]
    frame.to_parquet("good.parquet")
    frame.loc[3, "stars"] = 9
    frame.loc[4:9, "text"] = None
    frame.to_parquet("bad.parquet")
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def typed(capfd):
    """Type a command; get exit code, standard output and standard error."""

    def run(line):
        capfd.readouterr()
        code = cli.main(shlex.split(line))
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def one_document(text):
    document = json.loads(text)
    assert [e.message for e in SCHEMA.iter_errors(document)] == []
    return document


def process(*arguments, **changes):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **changes.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "shopmon", *arguments],
        env=environment,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **changes},
    )


def test_good_data_ends_with_0_and_bad_data_with_1(typed):
    code, out, err = typed("check good.parquet")
    assert (code, err) == (0, "")
    assert out.startswith("✓ passed   good.parquet   reviews   40 rows")
    code, out, err = typed("check bad.parquet")
    assert (code, err) == (1, "")
    assert out.startswith("✗ failed   bad.parquet   reviews   40 rows")
    assert "quarantine.parquet" in out


@pytest.mark.parametrize(
    "line",
    [
        "check nowhere.parquet", "check", "chek good.parquet", "check good.parquet --kind shoes", "check --nothing",
        "check good.parquet --column text", "check good.parquet --project nowhere", "runs 2020", "runs --limit 0",
        "runs --status sad", "init --project nowhere", "check good.parquet --suite nowhere.yaml",
    ],
)  # fmt: skip
def test_what_cannot_run_ends_with_2_and_one_message_on_standard_error(typed, line):
    code, out, err = typed(line)
    assert (code, out) == (2, "")
    assert err.startswith("✗ could not run   ")
    assert err.count("could not run") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "code", "status"),
    [
        ("check good.parquet --json", 0, "passed"),
        ("check bad.parquet --json", 1, "failed"),
        ("check nowhere.parquet --json", 2, "error"),
        ("check --json", 2, "error"),
        ("check good.parquet --json --kind shoes", 2, "error"),
        ("check good.parquet --json --nothing", 2, "error"),
        ("check good.parquet --json --project nowhere", 2, "error"),
        ("check good.parquet --json --quiet", 0, "passed"),
    ],
)
def test_json_is_exactly_one_document_whatever_happens(typed, line, code, status):
    ended, out, err = typed(line)
    assert ended == code
    assert one_document(out)["status"] == status
    assert bool(err) == (status == "error")


def test_the_document_is_what_is_kept(typed):
    document = one_document(typed("check bad.parquet --json")[1])
    kept = Path(document["artifacts"]["result"]).read_text(encoding="utf-8")
    assert json.loads(kept) == document


def test_quiet_is_only_the_verdict(typed):
    code, out, _ = typed("check bad.parquet -q")
    assert (code, len(out.splitlines())) == (1, 1)
    assert out.startswith("✗ failed")


def test_what_a_library_prints_stays_off_standard_output(typed, monkeypatch):
    attempt = checking.attempt

    def chatty(request):
        print("buy our product")
        return attempt(request)

    monkeypatch.setattr(checking, "attempt", chatty)
    code, out, err = typed("check good.parquet --json")
    assert (code, one_document(out)["status"]) == (0, "passed")
    assert "buy our product" in err


def test_a_mistake_of_ours_says_so_and_shows_its_trace_only_when_asked(typed, monkeypatch):
    def broken(request):
        raise ZeroDivisionError("[red]oh\x1b[31m")

    monkeypatch.setattr(checking, "attempt", broken)
    code, out, err = typed("check good.parquet")
    assert (code, out) == (2, "")
    assert "mistake in shopmon" in err
    assert "report it" in err
    assert "Traceback" not in err
    assert "[red]oh␛[31m" in err
    assert "Traceback" in typed("check good.parquet --debug")[2]
    assert one_document(typed("check good.parquet --json")[1])["error"]["type"] == "ZeroDivisionError"


def test_debug_shows_where_it_went_wrong(typed):
    code, out, err = typed("check nowhere.parquet --debug")
    assert (code, out) == (2, "")
    assert "Traceback" in err


def test_a_mapped_column_is_taken(typed, shop):
    pd.read_parquet("good.parquet").rename(columns={"text": "a=b"}).to_parquet("own.parquet")
    code, out, _ = typed('check own.parquet --json --column "a=b=text"')
    assert code == 0
    assert one_document(out)["columns"]["text"] == "a=b"


def test_names_of_files_are_not_markup(typed, shop):
    (shop / "good.parquet").rename(shop / "[red]x[bold].parquet")
    assert typed('check "[red]x[bold].parquet" -q')[1].startswith("✓ passed   [red]x[bold].parquet   reviews")


def test_colour_is_for_terminals_and_only_where_it_is_wanted(typed, monkeypatch):
    coloured = re.compile("\x1b\\[[0-9;]*3[0-7]m")
    assert "\x1b" not in typed("check bad.parquet")[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert coloured.search(typed("check bad.parquet")[1])
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured.search(typed("check bad.parquet")[1])


def test_version_is_told(typed):
    assert typed("--version") == (0, f"shopmon {__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(typed, command):
    code, out, err = typed(f"{command} --help")
    assert (code, err) == (0, "")
    assert f"  shopmon {command}" in out


def test_nothing_typed_is_answered_with_help(typed):
    code, out, _ = typed("")
    assert code == 0
    assert all(f"\n  {command} " in out for command in GROUP.commands)
    assert "Exit codes: 0 passed, 1 the data failed, 2 could not run" in out


@pytest.mark.parametrize("command", [name for name in COMMANDS if not hasattr(BY_NAME[name], "commands")])
def test_every_command_and_option_is_documented(command):
    section = re.search(rf"^## shopmon {command}\b.*?(?=^## |\Z)", MANUAL, re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section for {command}"
    options = {o for p in BY_NAME[command].params for o in p.opts if o.startswith("-")}
    options -= {"--help", "-h"}
    assert {o for o in options if f"`{o}" not in section[0]} == set()
    assert set(re.findall(r"`(--?[a-z-]+)", section[0])) <= options


def test_the_manual_shows_settings_that_are_understood(shop):
    (shown,) = re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)
    (shop / "shopmon.toml").write_text(shown, encoding="utf-8")
    said = tomllib.loads(shown)
    project = Project.read(shop)
    assert project.settings.store.url == said["store"]["url"]
    assert project.columns == {"reviews": {"Content": "text"}}


def test_choices_are_those_of_the_library():
    assert set(typing.get_args(command_parts.Kind)) == {kind.name for kind in KINDS}
    assert set(typing.get_args(cli.EngineName)) == set(Engine)
    assert set(typing.get_args(cli.StatusName)) == set(outcome.Status) == set(run_store.STATUSES)


def test_runs_are_listed_and_shown_again(typed):
    checked = typed("check bad.parquet")[1]
    typed("check good.parquet")
    listed = json.loads(typed("runs --json")[1])
    assert [run["status"] for run in listed] == ["passed", "failed"]
    assert [run["run_id"] in typed("runs")[1] for run in listed] == [True, True]
    assert [run["status"] for run in json.loads(typed("runs --json --status failed")[1])] == ["failed"]
    assert len(json.loads(typed("runs --json --limit 1")[1])) == 1
    failed = listed[1]["run_id"]
    assert typed(f"runs {failed}")[:2] == (0, checked)
    assert one_document(typed(f"runs {failed} --json")[1])["run_id"] == failed


def test_a_run_that_ended_in_an_error_is_shown_again(typed):
    told = typed("check nowhere.parquet")[2]
    (run,) = json.loads(typed("runs --json")[1])
    assert typed(f"runs {run['run_id']}")[:2] == (0, told)


def test_no_runs_say_how_to_begin(typed):
    code, out, _ = typed("runs")
    assert code == 0
    assert "shopmon check" in out


def test_init_writes_what_check_understands(typed, shop):
    assert typed("init good.parquet")[0] == 0
    assert Project.read(shop).suite("reviews") == shop / "suites/reviews.yaml"
    code, out, err = typed("check good.parquet --json")
    assert (code, err) == (0, "")
    assert one_document(out)["rows"] == 40


def test_init_replaces_nothing_unless_told_to(typed, shop):
    (shop / "shopmon.toml").write_text("# mine\n", encoding="utf-8")
    code, _, err = typed("init")
    assert code == 2
    assert "is there already" in err
    assert (shop / "shopmon.toml").read_text(encoding="utf-8") == "# mine\n"
    assert typed("init --force --kind queries")[0] == 0
    assert Project.read(shop).kind == "queries"


def test_a_draft_goes_to_standard_output_or_to_a_file(typed, shop):
    code, out, err = typed("draft good.parquet")
    assert (code, err) == (0, "")
    assert "expectations:" in out
    assert typed("draft good.parquet --out deep/suite.yaml")[0] == 0
    assert (shop / "deep/suite.yaml").read_text(encoding="utf-8") == out
    assert typed("draft good.parquet --out deep/suite.yaml")[0] == 2
    assert typed("check good.parquet --suite deep/suite.yaml")[0] == 0


def test_completion_knows_the_commands():
    asked = {"_SHOPMON_COMPLETE": "complete_bash", "COMP_WORDS": "shopmon ch", "COMP_CWORD": "1"}
    out, _ = process(env=asked).communicate(timeout=60)
    assert out.decode().split() == ["check"]


def test_a_reader_that_has_gone_changes_no_verdict(shop):
    for line in ("check bad.parquet --json", "check bad.parquet"):
        reading, writing = os.pipe()
        os.close(reading)
        running = process(*line.split(), stdout=writing)
        os.close(writing)
        _, err = running.communicate(timeout=120)
        assert (running.returncode, err) == (1, b"")


def test_no_character_is_lost_on_an_output_without_unicode(shop):
    frame = pd.read_parquet("good.parquet")
    frame.loc[0, "text"] = "Très belle veste 漢字 <b>chaude</b>"
    frame.to_parquet("żółć.parquet")
    out, err = process("check", "żółć.parquet", "--json", env={"PYTHONIOENCODING": "ascii"}).communicate(timeout=120)
    assert err == b""
    assert one_document(out.decode("ascii"))["sources"][0]["name"] == "żółć.parquet"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_check_that_is_stopped_leaves_nothing_half_written(shop, number, code):
    runs = shop / ".shopmon" / "runs"
    running = process("check", "bad.parquet", env={"TMPDIR": str(shop)})
    ends = time.monotonic() + 60
    while not (runs.is_dir() and list(runs.iterdir())) and time.monotonic() < ends:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        running.send_signal(number)
    out, err = running.communicate(timeout=60)
    # Python itself may end by the signal where it hit inside an exec(); a shell shows the same code for both.
    assert running.returncode in (code, -number)
    assert out == b""
    assert b"Traceback" not in err
    assert list(runs.iterdir()) == []
    assert list(shop.glob("shopmon-*")) == []
