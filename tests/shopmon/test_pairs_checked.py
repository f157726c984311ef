"""`shopmon check` of queries and products: what the relevance champion says of them, and what changed between them."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

import shopmon
from monitor.distributions import read
from monitor.retraining_set import RetrainingSet
from shopmon import cli
from shopmon.outcome import CheckResult
from shopmon.project import STORE_URL_VARIABLE

from .example_pairs import SETTINGS, pairs, save_base

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8")))
SHARED, CLASS = "query ~ product_text: shared words", "relevance model: class"
GAIN, AGREES = "relevance model: expected gain", "relevance model: agrees with label"


def put(table: pa.Table, name: str, values: list[str]) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def shuffled(table: pa.Table, share: float = 1.0) -> pa.Table:
    """The same queries and the same products; some of the products stand beside another query."""
    draw, titles = random.Random(5), table.column("product_title").to_pylist()
    places = draw.sample(range(len(titles)), int(share * len(titles)))
    moved = dict(zip(places, draw.sample(places, len(places)), strict=True))
    return put(table, "product_title", [titles[moved.get(at, at)] for at in range(len(titles))])


def mislabelled(table: pa.Table, rows: range) -> pa.Table:
    labels = table.column("label").to_pylist()
    return put(table, "label", [{"E": "I", "I": "E"}[x] if n in rows else x for n, x in enumerate(labels)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a project, its relevance champion, a reference, and batches."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text(SETTINGS, encoding="utf-8")
    save_base(folder / "base")
    for number, name in enumerate(("learnt", "good", "same", "new")):
        some = pairs(number, 300, meant=1) if name == "learnt" else pairs(number)
        pq.write_table(some, folder / f"{name}.parquet")
    pq.write_table(shuffled(pairs(2)), folder / "shuffled.parquet")
    pq.write_table(mislabelled(pairs(2), range(0, 440, 10)), folder / "mislabelled.parquet")
    result = shopmon.retrain(task="relevance", project=folder, promote=True)
    shopmon.set_reference(folder / "good.parquet", project=folder)
    measured = result.measures["candidate"].classification
    assert measured.accuracy > 0.9, "a champion that is worth asking"
    return folder, result


@pytest.fixture
def shop(trained, tmp_path, monkeypatch):
    """A copy of it, in which the test stands."""
    monkeypatch.delenv(STORE_URL_VARIABLE, raising=False)
    shutil.copytree(trained[0], tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path / "shop"
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def champion(trained):
    return trained[1].model_id


@pytest.fixture
def typed(capfd, shop):
    def run(*words):
        capfd.readouterr()
        code = cli.main(list(words))
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


@pytest.fixture
def document(typed):
    def run(*words):
        code, out, _ = typed("check", *words, "--json")
        told = json.loads(out)
        assert [e.message for e in SCHEMA.iter_errors(told)] == []
        assert CheckResult.from_document(told).document() == told
        return code, told

    return run


def drifted(told):
    return {column["column"] for column in told["drift"]["columns"] if column["drifted"]}


def test_a_batch_like_the_reference_is_quiet(document, champion):
    code, told = document("same.parquet")
    assert code == 0
    assert told["drift"]["status"] == "stable"
    assert {SHARED, CLASS, GAIN, AGREES} <= {column["column"] for column in told["drift"]["columns"]}
    reading = told["drift"]["model"]
    assert (reading["task"], reading["model"], reading["read"], reading["rows"]) == ("relevance", champion, 300, 880)
    assert told["drift"]["notes"] == []
    assert told["edge_cases"]["by_reason"]["label_error"] <= 3


def test_products_beside_other_queries_are_found_though_no_column_has_changed(document):
    _, told = document("shuffled.parquet")
    assert drifted(told) == {SHARED, CLASS, GAIN, AGREES}
    shared = next(column for column in told["drift"]["columns"] if column["column"] == SHARED)
    row = shared["examples"][0]
    table = pq.read_table("shuffled.parquet").slice(row["row"] - 1, 1).to_pylist()[0]
    assert row["value"] == f"{table['query']} ~ {table['product_title']}"


def test_wrong_labels_are_found_by_what_the_model_says_of_them(document, champion):
    _, told = document("mislabelled.parquet")
    cases = told["edge_cases"]
    rows = pq.read_table(told["artifacts"]["edge_cases"]).to_pylist()
    chosen = {row["row"] - 1 for row in rows if "label_error" in row["reasons"]}
    (reading,) = cases["further_models"]
    assert (reading["task"], reading["model"]) == ("relevance", champion)
    assert 190 <= reading["read"] <= 200, "[edge_cases] model_rows bounds it"
    assert len(chosen) >= 8, "of some twenty among those that it reads"
    assert len([row for row in chosen if row % 10 == 0]) >= 0.9 * len(chosen)
    assert {row["role"] for row in rows if "label_error" in row["reasons"]} == {"counterfactual"}
    gathered = RetrainingSet(Path(".shopmon/retraining")).read(["reasons", "label", "row"]).read_all().to_pylist()
    labels = pq.read_table("mislabelled.parquet").column("label").to_pylist()
    assert all(row["label"] == labels[row["row"] - 1] for row in gathered if "label_error" in row["reasons"])
    assert AGREES in drifted(told), "labels mean something else than they did"


def test_the_answer_says_who_was_asked_and_how_much(typed, champion):
    _, out, _ = typed("check", "shuffled.parquet")
    said = " ".join(out.split())
    assert f"{champion} read 300 of " in said
    assert "[drift] model_rows bounds it" in said
    assert "[edge_cases] model_rows bounds it" in said
    assert SHARED in said


def test_the_reference_s_pairs_are_read_once(document, shop):
    first = document("same.parquet")[1]["drift"]["model"]
    (kept,) = (shop / ".shopmon" / "cache" / "answers").iterdir()
    second = document("new.parquet")[1]["drift"]["model"]
    assert (first["read"], first["texts"]) == (300, 300)
    assert (second["read"], second["texts"]) == (300, 150)
    kept.write_bytes(b"damaged")
    assert document("same.parquet")[1]["drift"]["model"]["texts"] == 300


def test_pairs_that_the_model_learnt_from_are_not_compared(document, champion):
    pq.write_table(pairs(7, meant=1), "later.parquet")
    _, told = document("later.parquet", "--reference", "learnt.parquet")
    reading = told["drift"]["model"]
    held_out = reading["read"] - 150
    assert 40 <= held_out < 80, "of 600 pairs a tenth measured"
    assert drifted(told) == set()
    pq.write_table(pq.read_table("learnt.parquet").slice(0, 60), "few.parquet")
    _, told = document("few.parquet")
    assert told["drift"]["model"] is None
    assert "did not learn from" in told["drift"]["notes"][0]
    assert SHARED in {column["column"] for column in told["drift"]["columns"]}


def test_without_a_champion_everything_is_as_before_but_for_the_words_that_pairs_share(document, shop):
    shutil.rmtree(shop / ".shopmon" / "models")
    _, told = document("shuffled.parquet")
    assert drifted(told) == {SHARED}
    assert (told["drift"]["model"], told["drift"]["notes"]) == (None, [])
    assert told["edge_cases"]["further_models"] == []
    assert "shopmon retrain --task relevance" in told["edge_cases"]["skipped"]["label_error"]
    assert not (shop / ".shopmon" / "cache" / "answers").exists()


def test_how_what_pairs_are_compared_by_is_spread_is_kept(document):
    _, told = document("shuffled.parquet")
    file = Path(told["artifacts"]["distributions"])
    for name, rows in {SHARED: 440, CLASS: 150, GAIN: 150}.items():
        lines = read(file, name)
        assert sum(line.reference for line in lines) == rows
        assert sum(line.current for line in lines) == min(rows, told["drift"]["current_rows"])


def test_a_project_may_do_without_comparing_what_the_model_says(document, shop):
    (shop / "shopmon.toml").write_text(SETTINGS.replace("model_rows = 150", "model_rows = 0"), encoding="utf-8")
    _, told = document("shuffled.parquet")
    assert drifted(told) == {SHARED}
    assert told["drift"]["model"] is None


@pytest.mark.parametrize("damage", ["flipped", "no lineage", "no tokenizer", "other classes"])
def test_a_damaged_champion_ends_the_check_and_names_the_ways_out(typed, shop, champion, damage):
    folder = shop / ".shopmon" / "models" / "relevance" / champion
    if damage == "flipped":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    elif damage == "no lineage":
        (folder / "lineage.parquet").unlink()
    elif damage == "other classes":
        told = json.loads((folder / "training.json").read_text())
        told["settings"]["pairs"]["classes"] = ["E", "S"]
        (folder / "training.json").write_text(json.dumps(told))
    else:
        for file in folder.glob("tokenizer*"):
            file.unlink()
    code, out, err = typed("check", "same.parquet")
    assert (code, out) == (2, "")
    said = " ".join(err.split())
    assert f"the champion {champion} cannot be asked" in said
    assert "shopmon models rollback --task relevance" in said
    assert not (shop / ".shopmon" / "retraining").exists()
    assert typed("check", "same.parquet", "--only-rules")[0] == 0


def test_only_the_rules_ask_no_model(document, shop):
    _, told = document("shuffled.parquet", "--only-rules")
    assert (told["drift"]["model"], told["edge_cases"]["further_models"]) == (None, [])


LOADS = """
import sys
from shopmon.cli import main
code = main(["check", sys.argv[1], "-q"])
print(code, *sorted({"torch", "transformers", "cleanlab"} & set(sys.modules)))
"""


def test_nothing_heavy_is_loaded_where_no_pair_is_read(shop):
    shutil.rmtree(shop / ".shopmon" / "models")
    done = subprocess.run(
        [sys.executable, "-c", LOADS, "same.parquet"], capture_output=True, text=True, cwd=shop, check=True
    )
    assert done.stdout.split() == ["0"] or done.stdout.splitlines()[-1].split() == ["0"]
