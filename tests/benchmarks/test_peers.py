"""Does the benchmark of peers measure what it says, and does everybody who is installed here find the same?"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = BENCHMARKS / "peer_scripts"
MODULES = ("peers", "peer_data", "peer_environments", "questions", "check", "commands", "measuring", "rules_shopmon")


@pytest.fixture(scope="module")
def script():
    before = list(sys.path)
    sys.path[:0] = [str(BENCHMARKS), str(SCRIPTS)]
    yield importlib.import_module("peers")
    sys.path[:] = before
    for name in (*MODULES, "drift_limit"):
        sys.modules.pop(name, None)


def run(script, seconds, rows=100, cpu=1.0, **found):
    return script.Run(rows=rows, seconds=seconds, process=seconds, cpu=cpu, peak=1e9, found=found)


@pytest.fixture(scope="module")
def data(script, tmp_path_factory):
    """The files of all tasks, small: of 3,000 rows, or of 20,000 where small shifts are looked for."""
    folder = tmp_path_factory.mktemp("data")
    script.write_data(folder, ("expectations", "selection"), 3_000, 500)
    peer_data = sys.modules["peer_data"]
    peer_data.write_batch(20_000, False, folder / "before.parquet")
    peer_data.write_batch(20_000, True, folder / "now.parquet")
    return folder


def measured(script, data, name, *arguments):
    found = script.measured(script.Contestant(name, name, arguments), Path(sys.executable), data)
    assert isinstance(found, script.Run), found
    assert found.seconds > 0
    assert found.cpu > 0
    assert found.process > found.seconds
    assert found.peak > 1e7
    return found


@pytest.mark.slow
def test_great_expectations_on_pandas_counts_what_shopmon_counts(script, data):
    ours, theirs = (measured(script, data, name) for name in ("rules_shopmon.py", "rules_gx_pandas.py"))
    assert sum(ours.found["rules"]) > 0
    assert script.rules_answer(theirs, ours) == (f"{ours.found['bad rows']:,}", "15 of 15")


@pytest.mark.slow
def test_the_command_finds_what_the_library_finds(script, data):
    command = measured(script, data, "commands.py", "rules")
    assert command.found == measured(script, data, "rules_shopmon.py").found
    assert (
        measured(script, data, "commands.py", "selection").found == measured(script, data, "selection_shopmon.py").found
    )


@pytest.mark.slow
def test_planted_shifts_are_found_and_no_others(script, data):
    found = measured(script, data, "drift_shopmon.py", "tabular")
    assert script.drift_answer(found, None) == ("4 of 4", "0 of 4")
    assert measured(script, data, "drift_limit.py", "tabular").found == {}
    texts = measured(script, data, "drift_shopmon.py", "texts", "every")
    assert texts.found == {"alarms": ["text"], "asked": ["text", "title"]}


@pytest.mark.slow
def test_rows_that_shopmon_chooses_are_those_that_a_plain_loop_chooses(script, data):
    import pyarrow.parquet as pq

    words = sys.modules["questions"].WORDS

    def names(text, which):
        return any(word in text for word in words[which])

    texts = [(text or "").lower() for text in pq.read_table(data / "reviews.parquet")["text"].to_pylist()]
    wanted = ("brands", "products", "features")
    chosen = [
        row + 1
        for row, text in enumerate(texts)
        if all(names(text, which) for which in wanted) and not names(text, "unwanted")
    ]
    assert chosen
    assert measured(script, data, "selection_shopmon.py").found["rows"] == chosen


def test_the_limit_computes_what_it_says(script):
    limit = importlib.import_module("drift_limit")
    rng = np.random.default_rng(0)
    was, now = rng.normal(0, 1, 500), rng.normal(0.3, 1, 400)
    ks, wasserstein, *_ = limit.numbers(np, was, now)
    assert ks == pytest.approx(ks_2samp(was, now).statistic)
    assert wasserstein == pytest.approx(wasserstein_distance(was, now))
    counts = np.array([[30, 20, 50], [25, 40, 45]], dtype=np.uint32)  # as Polars counts
    assert limit.shares(np, *counts)[2] == pytest.approx(chi2_contingency(counts).statistic)


def test_child_processes_count(tmp_path):
    work = tmp_path / "work.py"
    work.write_text(
        "import subprocess, sys\nimport measuring\n"
        "burn = 'import time; held = bytearray(200_000_000)\\nwhile time.process_time() < 0.5: pass'\n"
        "def prepare(folder, scratch):\n"
        "    return lambda: (subprocess.run([sys.executable, '-c', burn], check=True) and 1, {})\n"
        "measuring.run(prepare)\n"
    )
    told = subprocess.run(
        [sys.executable, str(work), str(tmp_path)], env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, check=True
    )
    found = json.loads(told.stdout)
    assert found["cpu"] >= 0.5
    assert found["peak"] >= 200_000_000


def test_a_ratio_is_taken_within_its_round_and_for_a_row(script):
    runs = {
        "shopmon": {0: run(script, 1.0, 1_000), 1: run(script, 10.0, 1_000)},
        "other": {0: run(script, 2.0, 100), 1: run(script, 20.0, 100)},
        "once": {1: run(script, 30.0, 1_000)},
    }
    assert script.ratios(runs, "other", "shopmon") == pytest.approx([20, 20])
    assert script.ratios(runs, "once", "shopmon") == [3]


def test_a_target_that_is_missed_says_so_and_one_that_nobody_ran_too(script):
    runs = {"a": {0: run(script, 5.0)}, "b": {0: run(script, 1.0)}}
    at_most = script.Target("a takes at most 4 × as long", "a", "b", at_most=4)
    assert "**no**, 5.0 × in seconds" in script.verdict(at_most, runs)
    at_least = script.Target("a takes at least 4 × as long", "a", "b", at_least=4)
    assert "yes, 5.0 × in seconds" in script.verdict(at_least, runs)
    assert script.verdict(at_most, {}).endswith("not measured")


def test_what_others_count_differently_is_named(script):
    ours = run(script, 1, **{"rules": [0] * 15, "bad rows": 3})
    other = run(script, 1, **{"rules": [0] * 14 + [2], "bad rows": 5})
    assert script.rules_answer(other, ours) == ("5", "14 of 15, not rule 15")
    told = run(script, 1, alarms=["brand", "price"], asked=["brand", "days", "price"])
    assert script.drift_answer(told, None) == ("1 of 2, not days", "1 of 1: price")
    ours = script.Run(100, 1, 1, 1, 1, {"rows": [3, 60, 99]})
    few = script.Run(50, 1, 1, 1, 1, {"rows": [3, 4]})
    assert script.selection_answer(few, ours) == ("2 of 50", "1 differ")


def test_a_peer_that_cannot_be_installed_is_named_with_pips_reason(script, tmp_path):
    table = script.Table("", {"gone": script.Contestant("Gone", "none.py", peer="gone")}, "gone", (), lambda *_: ())
    asked = script.Asked((), 1, 1, 1, frozenset({"gone"}), tmp_path)
    environments = sys.modules["peer_environments"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(environments.PINS, "gone", ("./no-such-package.whl",))
        ready, missing = script.pythons(table, asked)
    assert not ready
    assert missing["gone"].startswith("could not be installed: ERROR:")
    assert "no-such-package.whl" in missing["gone"]


def test_an_environment_is_made_once_and_another_pin_makes_another(script, tmp_path):
    environments = sys.modules["peer_environments"]
    empty = environments.python_of("none", tmp_path, {"none": ("pip",)})
    marked = empty.parents[1] / "mark"
    marked.touch()
    assert environments.python_of("none", tmp_path, {"none": ("pip",)}) == empty
    assert marked.exists()
    assert environments.python_of("none", tmp_path, {"none": ("pip>=1",)}) != empty


def test_a_task_or_peer_that_does_not_exist_is_refused(script, capsys):
    with pytest.raises(SystemExit):
        script.main(["expectation"])
    assert "there is no expectation; tasks are expectations, drift, selection" in capsys.readouterr().err
