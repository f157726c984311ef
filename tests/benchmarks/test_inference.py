"""Does the benchmark of inference measure what it says, and does every contestant say the same?"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inference.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("inference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)
    del sys.modules["inference"]


def test_every_contestant_answers_and_says_what_torch_says(script, capsys):
    script.main(["--layers", "1", "--width", "64", "--pairs", "70", "--rounds", "1"])
    told = capsys.readouterr().out
    rows = [
        line.strip("| ").split(" | ") for line in told.splitlines() if line.startswith("| ") and "pairs/" not in line
    ]
    half = script.has_bf16(torch.device("cpu"))
    assert [cells[0].strip("*").partition(",")[0] for cells in rows] == [
        "torch float32", "torch float32", *(["torch bf16"] if half else []), "ONNX float32", "ours: ONNX int8",
    ]  # fmt: skip
    assert rows[0][2:] == ["1.00", "1.00–1.00", "0.0e+00", "100.0%"]
    exact = [cells for cells in rows if "float32" in cells[0]]
    assert all(float(cells[4]) < 1e-5 and cells[5] == "100.0%" for cells in exact)
    assert 1e-5 < float(rows[-1][4]) < 0.05
    assert "70 generated pairs" in told
    assert "551.5 samples/s" in told


def test_a_ratio_is_taken_within_its_round(script):
    said = np.array([[0.5, 0.5]])
    found = [script.Measured("first", [100.0, 10.0, 50.0], said), script.Measured("other", [400.0, 40.0, 200.0], said)]
    assert "| other | 200.0 | 4.00 | 4.00–4.00 | 0.0e+00 | 100.0% |" in script.table(found)
    assert script.speed_up(found) == 4


def test_everyone_takes_a_turn_in_every_round_and_nobody_always_the_first(script, monkeypatch):
    turns = []
    asked = [
        script.Contestant(name, lambda pairs, name=name: turns.append(name) or np.zeros((len(pairs.queries), 2)))
        for name in "abc"
    ]
    found = script.measured(asked, script.Pairs(["x"] * 9, ["y"] * 9, ""), 3)
    assert turns == [*"abc", *"abc", *"bca", *"cab"], "once to get ready, then three rounds"
    assert [len(one.rates) for one in found] == [3, 3, 3]


def test_pairs_of_a_file_stay_pairs(script, tmp_path):
    rows = [{"search_term": f"q{number}", "product_title": f"t{number}", "id": number} for number in range(50)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    pairs = script.pairs_of(tmp_path / "pairs.parquet", 20)
    assert len(set(pairs.queries)) == 20
    assert [query[1:] for query in pairs.queries] == [text[1:] for text in pairs.texts]
