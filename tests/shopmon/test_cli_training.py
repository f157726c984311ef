"""What a person types to train, ask and choose models is answered once, with the right exit code."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import typing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import typer
from jsonschema import Draft202012Validator
from rich.cells import cell_len

import shopmon
from expectations.errors import ShopmonError
from monitor.runs import RunStore
from retrain.results import TrainingProgress
from retrain.settings import Recipe
from shopmon import cli, cli_training, console, retraining
from shopmon.project import STORE_URL_VARIABLE, Project

from .example_shop import shop_with_a_base
from .example_trainings import BEFORE, MODEL_ID, failing, passing

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "training.schema.json").read_text(encoding="utf-8")))
MANUAL = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
GROUP = typer.main.get_group(cli.app)
MODELS = GROUP.commands["models"].commands
COMMANDS = {"retrain": GROUP.commands["retrain"], "words": GROUP.commands["words"]} | {
    f"models {name}": command for name, command in MODELS.items()
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    handler = signal.getsignal(signal.SIGTERM)
    for name in (STORE_URL_VARIABLE, "RANK", "WORLD_SIZE", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "TQDM_DISABLE"):
        monkeypatch.delenv(name, raising=False)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small shop in which one model was trained and became champion; its project, and what was told of it."""
    project = shop_with_a_base(tmp_path_factory.mktemp("shop"))
    texts = [f"These Nike shoes are warm and light at work for years, {n} times" for n in range(200)]
    shopmon.set_reference(pd.DataFrame({"text": texts}), project=project)
    return project, shopmon.retrain(project=project)


@pytest.fixture
def typed(capfd, monkeypatch, tmp_path):
    """Type a command in an empty folder, or in another; get exit code, standard output and standard error."""

    def run(line, folder=tmp_path):
        monkeypatch.chdir(folder)
        capfd.readouterr()
        code = cli.main(shlex.split(line))
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def told(monkeypatch):
    """Stand in for the training itself, with what it says; gives what it was asked."""
    asked = []

    def answer(what):
        def task(request, project, model_id):
            asked.append(request)
            if isinstance(what, BaseException):
                raise what
            return what

        monkeypatch.setattr(retraining, "TASKS", {"mlm": task})
        return asked

    return answer


def recorded(folder):
    with RunStore.open(Project.find(folder).store_url) as store:
        return store.list()


# --- retrain ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "code"),
    [(passing(), 0), (passing(promoted=False), 0), (failing(promoted=True, forced=True), 0), (failing(), 1)],
)
def test_the_exit_code_says_what_the_gate_said(typed, told, result, code):
    told(result)
    ended, out, err = typed("retrain")
    assert (ended, err) == (code, "")
    assert out.startswith("✓ " if code == 0 else "✗ kept back")
    told(replace(result, model_id=BEFORE))
    ended, out, _ = typed("retrain --quiet")
    assert ended == code
    assert len(out.splitlines()) == (1 if result.gate.passed else 2)
    if code == 1:
        assert "failed: unwanted_mass, complaints_change" in out


def test_what_cannot_run_ends_with_2_and_one_message_on_standard_error(typed, told):
    told(ShopmonError("there is [red]no base\x1b[31m", advice="Name one."))
    code, out, err = typed("retrain")
    assert (code, out) == (2, "")
    assert err == "✗ could not run   there is [red]no base␛[31m.\n  Name one.\n"
    assert "Traceback" not in err
    assert "Traceback" in typed("retrain --debug")[2]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("retrain --json", 2),  # nothing has been gathered in an empty folder
        ("retrain --json --task category", 2),
        ("retrain --json --steps none", 2),
        ("retrain --json --nothing", 2),
        ("retrain --json --project nowhere", 2),
        ("retrain --json --resume --steps 3", 2),
    ],
)
def test_json_is_exactly_one_document_whatever_happens(typed, line, code):
    ended, out, err = typed(line)
    said = json.loads(out)
    assert ended == code
    assert [error.message for error in SCHEMA.iter_errors(said)] == []
    assert said["status"] == "error"
    assert err.startswith("✗ could not run   ")


@pytest.mark.parametrize("result", [passing(), failing()])
def test_the_document_is_that_of_the_training(typed, told, result):
    told(result)
    code, out, err = typed("retrain --json")
    said = json.loads(out)
    assert [error.message for error in SCHEMA.iter_errors(said)] == []
    assert (code, err, said["gate"]["passed"]) == (0 if result.promoted else 1, "", result.gate.passed)


def test_every_option_reaches_the_training(typed, told):
    asked = told(passing())
    typed(
        "retrain --base offline --steps 7 --batch-size 8 --learning-rate 1e-3 --seed 3 --recipe plain --general-text"
        " prose.txt --report-to tensorboard --report-to mlflow --promote"
    )
    (request,) = asked
    given = {"base": "offline", "steps": 7, "batch_size": 8, "learning_rate": 1e-3, "seed": 3, "recipe": "plain",
             "general_text": Path("prose.txt"), "report_to": ["tensorboard", "mlflow"], "promote": True}  # fmt: skip
    assert {name: getattr(request, name) for name in given} == given
    typed("retrain --epochs 1.5")
    typed("retrain --resume")
    assert (asked[1].epochs, asked[1].report_to, asked[2].resume) == (1.5, None, True)


def test_the_recipes_are_those_of_the_library():
    assert set(typing.get_args(cli_training.RecipeName)) == set(Recipe)


def test_another_process_of_the_same_training_says_nothing_but_what_broke_it(typed, told, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    told(failing())
    assert typed("retrain --json") == (0, "", ""), "its exit code would end the first process before it has told"
    told(ShopmonError("memory ran out"))
    code, out, err = typed("retrain --json")
    assert (code, out) == (2, "")
    assert "memory ran out" in err


def test_trainings_are_listed_and_shown_again(typed, told):
    told(failing())
    first = typed("retrain")[1]
    told(ShopmonError("there is no base", advice="Name one."))
    error = typed("retrain")[2]
    listed = json.loads(typed("runs --json")[1])
    assert [(run["command"], run["status"]) for run in listed] == [("retrain", "error"), ("retrain", "failed")]
    assert typed(f"runs {MODEL_ID}")[:2] == (0, first)
    assert typed(f"runs {listed[0]['run_id']}")[:2] == (0, error)
    assert json.loads(typed(f"runs {MODEL_ID} --json")[1])["model_id"] == MODEL_ID
    assert "retraining" in typed("runs")[1]


def test_a_real_training_ends_with_what_its_gate_says(typed, trained):
    project, first = trained
    code, out, _ = typed("retrain --json --steps 1 --seed 4", project.folder)
    said = json.loads(out)
    assert [error.message for error in SCHEMA.iter_errors(said)] == []
    assert code == (0 if said["gate"]["passed"] else 1)
    assert said["champion_before"] == first.model_id
    assert set(said["measures"]) == {"base", "champion", "candidate"}
    assert json.loads((Path(said["folder"]) / "training.json").read_text(encoding="utf-8")) == said
    typed(f"models promote {first.model_id}", project.folder)


def test_an_interrupted_training_says_how_to_go_on(typed, told, tmp_path):
    told(KeyboardInterrupt())
    code, out, err = typed("retrain")
    assert (code, out) == (130, "")
    assert "--resume" not in err, "there is no checkpoint to go on from"
    (tmp_path / ".shopmon/training/mlm" / MODEL_ID / "checkpoints/step-00000002").mkdir(parents=True)
    code, out, err = typed("retrain")
    assert code == 130
    assert "go on with: shopmon retrain --resume" in err


@pytest.mark.slow
def test_a_training_that_is_stopped_can_go_on(tmp_path):
    project = shop_with_a_base(tmp_path)
    settings = tmp_path / "shopmon.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("steps = 4", "steps = 4000"), encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", "shopmon", "retrain"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    ends = time.monotonic() + 200
    while not list(project.training.glob("mlm/*/checkpoints/step-*")) and time.monotonic() < ends:
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, b""), err
    assert b"go on with: shopmon retrain --resume" in err
    assert b"Traceback" not in err
    assert recorded(tmp_path) == ()


# --- progress ---------------------------------------------------------------------------------------------------------


class Screen:
    """Standard error that says it is a terminal, or that it is none."""

    encoding = "utf-8"

    def __init__(self, tty):
        self.tty, self.text = tty, ""

    def isatty(self):
        return self.tty

    def write(self, text):
        self.text += text
        return len(text)

    def flush(self):
        pass


NOW = TrainingProgress("training [red]\x1b[31m", 40, 300, 2.3149, 12345.6, 7322.4)


def test_without_a_terminal_there_is_a_line_every_half_minute(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(sys, "stderr", Screen(tty=False))
    with console.training_shown() as progress:
        for _ in range(70):
            clock[0] += 1
            progress(NOW)
    line = "training [red]␛[31m: step 40 of 300, loss 2.315, 12,346 tokens/s, 2:02:02 left\n"
    assert sys.stderr.text == line * 2


def test_on_a_terminal_there_is_a_bar_that_goes_when_all_is_done(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Screen(tty=True))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    with console.training_shown() as progress:
        progress(TrainingProgress("preparing the base model"))
        progress(NOW)
        time.sleep(0.3)
    shown = sys.stderr.text
    assert "40/300" in shown
    assert "loss 2.315" in shown
    assert "\x1b[31mred" not in shown
    assert "training [red]␛[31m" in shown
    assert shown.endswith("\x1b[2K")


def test_a_training_that_fails_at_once_shows_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Screen(tty=True))
    with console.training_shown():
        pass
    assert sys.stderr.text == ""


def test_quiet_shows_no_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Screen(tty=True))
    with console.training_shown(hidden=True) as progress:
        progress(NOW)
    assert sys.stderr.text == ""


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (TrainingProgress("measuring the base model"), "measuring the base model"),
        (TrainingProgress("training", 3, 9), "training: step 3 of 9"),
        (TrainingProgress("training", 3, 9, seconds_left=0.0), "training: step 3 of 9, 0:00 left"),
    ],
)
def test_what_is_not_known_is_not_said(now, line):
    assert console.training_line(now) == line


# --- words ------------------------------------------------------------------------------------------------------------


def test_words_shows_base_and_champion(typed, trained):
    project, result = trained
    code, out, _ = typed('words "Nike shoes are very [MASK]" --top 3', project.folder)
    assert code == 0
    assert out.startswith("Nike shoes are very [MASK]\n")
    assert result.model_id in out
    assert max(map(cell_len, out.splitlines())) <= 80
    said = json.loads(typed('words "Nike shoes are very [MASK]" --top 3 --of 20 --json', project.folder)[1])
    assert [(one["role"], len(one["top"]), one["of"]) for one in said["models"]] == [
        ("base", 3, 20),
        ("champion", 3, 20),
    ]
    named = json.loads(typed(f'words "are [MASK]" --model {result.model_id} --json', project.folder)[1])
    assert named["models"][-1]["name"] == result.model_id


@pytest.mark.parametrize(
    "line",
    ["words", "words 'no gap'", "words '[MASK] and [MASK]'", "words 'a [MASK]' --top 0", "words 'a [MASK]' --model x"],
)  # fmt: skip
def test_what_cannot_be_asked_ends_with_2(typed, trained, line):
    code, out, err = typed(line, trained[0].folder)
    assert (code, out) == (2, "")
    assert "could not run" in err


# --- models -----------------------------------------------------------------------------------------------------------


def test_no_model_says_how_to_begin(typed):
    code, out, err = typed("models")
    assert (code, err) == (0, "")
    assert "shopmon retrain" in out
    assert json.loads(typed("models --json")[1]) == []


def test_models_alone_lists_them(typed, trained):
    project, result = trained
    code, out, err = typed("models", project.folder)
    assert (code, err) == (0, "")
    assert f"★ {result.model_id}" in out
    assert max(map(cell_len, out.splitlines())) <= 80
    assert typed("models list", project.folder)[1] == out
    assert typed("models list --task mlm", project.folder)[1] == out
    (champion,) = [one for one in json.loads(typed("models --json", project.folder)[1]) if one["is_champion"]]
    assert champion["model_id"] == result.model_id
    assert champion["folder"] == str(result.folder)


def test_a_model_is_shown_with_the_rows_it_was_made_from(typed, trained):
    project, result = trained
    code, out, _ = typed(f"models show {result.model_id}", project.folder)
    assert code == 0
    assert re.search(r"By rule +\d+ +praise", out)
    said = json.loads(typed(f"models show {result.model_id} --json", project.folder)[1])
    assert said["training"]["model_id"] == result.model_id
    assert said["lineage"]["role"] == dict(result.data.rows)
    assert said["history"][0]["by"] == "gate"


def test_lineage_is_counted_and_written(typed, trained, tmp_path):
    project, result = trained
    name = result.model_id
    counts = json.loads(typed(f"models lineage {name} --json", project.folder)[1])
    assert counts["rule"]["praise"] == counts["role"]["positive"] == result.data.rows["positive"]
    rows, text = tmp_path / "new" / "rows.parquet", tmp_path / "rows.csv"
    code, out, _ = typed(f"models lineage {name} --out {rows}", project.folder)
    assert code == 0
    assert f"is written: {counts['rows']:,} rows" in out
    assert pq.read_table(rows).num_rows == counts["rows"]
    assert typed(f"models lineage {name} --out {text}", project.folder)[0] == 0
    assert pd.read_csv(text)["reasons"].unique().tolist() == ["praise", "unwanted_word", "other_brand"]
    assert typed(f"models lineage {name} --out {text}", project.folder)[0] == 2
    assert typed(f"models lineage {name} --out {text} --force", project.folder)[0] == 0
    code, _, err = typed(f"models lineage {name} --out rows.xlsx", project.folder)
    assert code == 2
    assert ".parquet or .csv" in err


def test_a_champion_is_taken_back_and_made_again(typed, trained):
    project, result = trained
    code, out, _ = typed("models rollback", project.folder)
    assert (code, out.split()[:2]) == (0, ["no", "model"])
    assert shopmon.models(project).champion("mlm") is None
    assert typed("models rollback", project.folder)[0] == 2
    said = json.loads(typed(f'models promote {result.model_id} --reason "[red]why" --json', project.folder)[1])
    assert (said["by"], said["reason"], said["model_id"]) == ("person", "[red]why", result.model_id)
    assert "[red]why" in typed(f"models show {result.model_id}", project.folder)[1]


def test_a_damaged_model_is_told_and_the_others_are_listed(typed, trained, tmp_path):
    project, result = trained
    broken = project.models / "mlm" / "20990101-000000-abcdef"
    broken.mkdir()
    try:
        code, out, err = typed("models", project.folder)
        assert (code, result.model_id in out) == (0, True)
        assert broken.name in err or broken.name not in out
        assert typed(f"models show {broken.name}", project.folder)[0] == 2
    finally:
        broken.rmdir()


@pytest.mark.parametrize(
    "line",
    ["models show", "models show nothing", "models promote nothing", "models rollback --task ..", "models nothing",
     "models lineage nothing", "models --json show x"],
)  # fmt: skip
def test_what_is_not_there_ends_with_2(typed, trained, line):
    code, _, err = typed(line, trained[0].folder)
    assert code == 2
    assert "could not run" in err
    assert "Traceback" not in err


# --- help and manual --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(typed, command):
    code, out, err = typed(f"{command} --help")
    assert (code, err) == (0, "")
    assert f"  shopmon {command}" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command):
    section = re.search(rf"^## shopmon {command}\b.*?(?=^## |\Z)", MANUAL, re.MULTILINE | re.DOTALL)
    assert section, f"docs/cli.md has no section for {command}"
    options = {o for p in COMMANDS[command].params for o in p.opts if o.startswith("-")} - {"--help", "-h"}
    assert {o for o in options if f"`{o}" not in section[0]} == set()
    assert set(re.findall(r"`(--?[a-z-]+)", section[0])) <= options


def test_the_manual_names_the_schema():
    assert "training.schema.json" in MANUAL


def test_the_help_of_a_training_loads_nothing_heavy():
    code = "import sys; from shopmon.cli import main; main(['retrain', '--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd="/",
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert {"torch", "transformers", "datasets", "pyarrow", "duckdb", "pandas"} & set(done.stderr.split()) == set()
