"""Does the benchmark of training measure what it says, and on a bare GPU machine too?"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training_speed.py"
BARE = """
import runpy, sys

HIDDEN = {"duckdb", "datasets", "evidently", "great_expectations", "pyarrow", "pandas", "shopmon"}

class Without:
    # Finds what another finder finds, but for some packages, which are not on this machine.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
script, *sys.argv[1:] = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def bare(*arguments):
    """The script where nothing is installed but torch and transformers, and no GPU is seen."""
    here = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BARE, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=here, cwd=SCRIPT.parent, check=False)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("training_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_speed"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["training_speed"]


def test_without_a_gpu_the_command_for_one_is_told():
    ran = bare("--device", "cuda")
    assert ran.returncode == 0, ran.stderr
    assert "No GPU was found" in ran.stdout
    assert "python benchmarks/training_speed.py --device cuda" in ran.stdout


@pytest.mark.slow
def test_a_bare_machine_measures_every_contestant(script):
    size = {"rows": 8, "length": 12, "layers": 1, "width": 16, "words": 60, "rounds": 1, "steps": 1}
    ran = bare("--device", "cpu", *(word for name, value in size.items() for word in (f"--{name}", str(value))))
    assert ran.returncode == 0, ran.stderr
    rows = [line for line in ran.stdout.splitlines() if line.startswith("| ") and "tokens/CPU-s" not in line]
    bf16 = script.has_bf16(torch.device("cpu"))
    assert len(rows) == sum(bf16 or not one.bf16 for one in script.ON_CPU)
    assert rows[0].endswith("| 1.00 | 1.00–1.00 |")


def test_the_operations_of_a_token_are_those_that_torch_counts(script):
    from torch.utils.flop_counter import FlopCounterMode

    config = transformers.DistilBertConfig(n_layers=2, dim=64, hidden_dim=256, n_heads=2, vocab_size=300)
    model = transformers.DistilBertForMaskedLM(config)
    ids = torch.randint(0, 300, (4, 32))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    # What goes back through attention may compute the scores anew: some more than the formula, never less.
    told = script.training_flops(config, 32, 1.0) * ids.numel()
    assert told <= counter.get_total_flops() * 1.001
    assert counter.get_total_flops() == pytest.approx(told, rel=0.05)


def test_the_sizes_of_distilbert_are_those_of_the_documentation(script):
    config = transformers.DistilBertConfig()
    assert round(script.training_flops(config, 128, 0.15) / 1e6) == 284
    assert round(script.training_flops(config, 128, 1.0) / 1e6) == 406


def test_both_recipes_fill_the_same_share_of_places(script):
    size = script.Size(SimpleNamespace(vocab_size=400), rows=64, length=64, steps=1, warm_up=0)
    ours = script.Steps(size, script.OURS.parts, beforehand=False)[0]["groups"][0]["places"]
    collator = transformers.DataCollatorForLanguageModeling(script.tokenizer(400), mlm_probability=script.SHARE)
    rows = script.Rows(size)
    theirs = collator([rows[at] for at in range(len(rows))])["labels"] != -100
    assert ours.float().mean() == pytest.approx(script.SHARE, abs=0.02)
    assert theirs.float().mean() == pytest.approx(script.SHARE, abs=0.02)


def test_the_clock_leaves_the_first_steps_out(script, monkeypatch):
    now = iter([10.0, 14.0])
    monkeypatch.setattr(script.time, "process_time", lambda: next(now))
    clock = script.Clock(script.Size(None, 1, 1, steps=3, warm_up=2), cuda=False)
    for step in range(1, 6):
        clock.step(step)
    assert clock.seconds == 4.0


def test_a_ratio_is_taken_within_its_round(script):
    found = {script.DEFAULT.says: [100.0, 10.0, 50.0], "other": [400.0, 40.0, 200.0]}
    assert "| other | 200 | 4.00 | 4.00–4.00 |" in script.cpu_table(found)
