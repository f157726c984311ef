"""`shopmon classify`: from any file and a few labels to a label for each row, without a training."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import shopmon
from expectations.errors import BatchError, ProjectError, ShopmonError
from monitor.results import ExampleRow
from retrain.hypotheses import Question
from retrain.records import write as write_record
from retrain.registry import Registry
from retrain.results import BaseUsed, TrainingResult
from retrain.weights import weights_sha256
from shopmon.classify_summary import classified_shown
from shopmon.classifying import labels_of
from shopmon.cli import main
from shopmon.project import Project
from shopmon.row_labels import RowLabels, Rows

MODEL_ID = "20261120-195801-a3f9c1"
REVIEWS = ["it came late", "fits small", None, "  ", "it came late", "the quality is good", "warm " * 60]
LABELS = "shipping,size,quality"


@pytest.fixture(scope="module")
def save_nli():
    file = Path(__file__).parents[1] / "retrain" / "tiny_nli.py"
    spec = importlib.util.spec_from_file_location("tiny_nli", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.save_nli


@pytest.fixture(scope="module")
def shop(tmp_path_factory, save_nli):
    """A shop with reviews and a model of natural language inference in a folder."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shopmon.toml").write_text("", encoding="utf-8")
    save_nli(folder / "nli", longest=64)
    rows = {"id": [f"r{n}" for n in range(len(REVIEWS))], "text": REVIEWS, "stars": [1, 3, 4, 5, 1, 5, 5]}
    pq.write_table(pa.table(rows), folder / "reviews.parquet")
    return Project.read(folder)


@pytest.fixture
def typed(capfd, monkeypatch, shop):
    """Type a command line in the shop's folder; gives its exit code, and what stands on both outputs."""
    monkeypatch.chdir(shop.folder)

    def run(*line):
        capfd.readouterr()
        code = main(list(line))
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def classify(shop, labels=LABELS, data=None, **more):
    usual = {"model": shop.folder / "nli", "project": shop}
    return shopmon.classify(shop.folder / "reviews.parquet" if data is None else data, labels, **{**usual, **more})


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_every_row_has_its_best_label_and_all_scores(shop):
    found = classify(shop)
    rows = found.table.to_pylist()
    assert found.table.column_names == [
        "file", "row", "text", "label", "score", "score_shipping", "score_size", "score_quality",
    ]  # fmt: skip
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["text"] for row in rows] == REVIEWS
    assert {row["file"] for row in rows} == {str(shop.folder / "reviews.parquet")}
    for row in (row for row in rows if row["text"] and row["text"].strip()):
        scores = {label: row[f"score_{label}"] for label in LABELS.split(",")}
        assert sum(scores.values()) == pytest.approx(1)
        assert row["label"] == max(scores, key=scores.__getitem__)
        assert row["score"] == scores[row["label"]]


def test_a_row_without_a_text_has_no_label_and_that_is_told(shop):
    found = classify(shop)
    blank = [row for row in found.table.to_pylist() if row["row"] in (3, 4)]
    assert {value for row in blank for name, value in row.items() if name.startswith(("label", "score"))} == {None}
    assert (found.rows, found.blank, found.unfitting, found.cut) == (7, 2, 0, 1)
    assert sum(one.rows for one in found.labels) == 5
    assert "2 rows without a text: no label" in shown(found)
    assert "1 row longer than the model reads" in shown(found)


def test_the_counts_are_those_of_the_rows(shop):
    found = classify(shop)
    table = found.table.to_pandas().dropna(subset="label")
    for one in found.labels:
        mine = table[table.label == one.label]
        assert (one.rows, one.share) == (len(mine), len(mine) / 5)
        if len(mine):
            assert one.score == pytest.approx(mine.score.mean())
            best = mine.loc[mine.score.idxmax()]
            assert one.example == ExampleRow(best.file, best.row, best.text)
        else:
            assert (one.score, one.example) == (None, None)


def test_several_labels_may_fit_a_row_or_none(shop):
    found = classify(shop, multi=True, threshold=0.6)
    rows = found.table.to_pylist()
    for row in (row for row in rows if row["labels"] is not None):
        scores = {label: row[f"score_{label}"] for label in LABELS.split(",")}
        fitting = [label for label in sorted(scores, key=scores.get, reverse=True) if scores[label] >= 0.6]
        assert row["labels"] == fitting
        assert (row["label"], row["score"]) == ((fitting[0], scores[fitting[0]]) if fitting else (None, None))
    assert found.unfitting == sum(row["labels"] == [] for row in rows)
    assert {len(row["labels"]) for row in rows if row["labels"] is not None} - {1}
    assert [row["labels"] for row in rows][2:4] == [None, None]
    assert found.threshold == 0.6
    assert classify(shop, multi=True).threshold == 0.5


def test_one_label_can_be_asked_whether_it_fits(shop):
    found = classify(shop, "size", multi=True)
    assert found.table.column_names[-1] == "score_size"
    assert len(found.labels) == 1


def test_a_table_in_memory_is_classified_as_a_file_is(shop):
    frame = pd.DataFrame({"text": REVIEWS, "stars": [1, 3, 4, 5, 1, 5, 5]})
    assert classify(shop, data=frame).table.drop(["file"]).equals(classify(shop).table.drop(["file"]))


@pytest.mark.parametrize(
    ("columns", "read"),
    [
        ({"title": ["warm", None], "description": ["size small", "it came"]}, ["warm\nsize small", "it came"]),
        ({"query": ["small", "warm"]}, ["small", "warm"]),
        ({"query": ["a"], "product_title": ["b"], "label": ["E"]}, ["a\nb"]),
    ],
)
def test_of_each_kind_what_models_read_is_classified(shop, columns, read):
    assert classify(shop, data=pa.table(columns)).table.column("text").to_pylist() == read


def test_any_column_of_any_table_can_be_named(shop):
    tickets = pa.table({"no": [1, 2], "Betreff": ["size", "late"], "subject": ["warm", None]})
    with pytest.raises(BatchError, match="look like no kind of shop data"):
        classify(shop, data=tickets)
    found = classify(shop, data=tickets, text="Betreff")
    assert found.table.column("text").to_pylist() == ["size", "late"]
    assert found.kind is None
    assert classify(shop, data=tickets, text="no").table.column("text").to_pylist() == ["1", "2"]
    with pytest.raises(BatchError, match=r"column 'betreff' is not in the batch.*'Betreff'") as told:
        classify(shop, data=tickets, text="betreff")
    assert "--text COLUMN" in told.value.advice


def test_a_column_can_be_named_beside_a_kind(shop):
    rows = pa.table({"review_body": ["warm"], "headline": ["size"], "both": [{"a": 1}]})
    assert classify(shop, data=rows, kind="reviews", text="title").table.column("text").to_pylist() == ["size"]
    assert classify(shop, data=rows, kind="reviews", text="review_body").table.column("text").to_pylist() == ["warm"]
    with pytest.raises(BatchError, match="column 'stars' is not in the batch; it has 'review_body', 'headline'"):
        classify(shop, data=rows, kind="reviews", text="stars")
    with pytest.raises(BatchError, match=r"column 'both' holds STRUCT.*no text"):
        classify(shop, data=rows, kind="reviews", text="both")


# --- blocks -----------------------------------------------------------------------------------------------------------


class Words:
    """Stands for a model: a label fits a text as much as the text is made of it."""

    def __init__(self, *labels: str, multi: bool = False) -> None:
        self.question = Question(labels, multi=multi)
        self.longest_text = 50
        self.asked: list[str] = []

    def __call__(self, texts, *, progress):
        self.asked += texts
        progress(len(texts), len(texts))
        said = [[text.split().count(label) / len(text.split()) for label in self.question.labels] for text in texts]
        return np.array(said, float).reshape(len(texts), len(self.question.labels))

    def too_long(self, texts):
        return [len(text) > 40 for text in texts]


def test_each_different_text_is_asked_once_a_block():
    model = Words("a", "b")
    rows = RowLabels(model, None)
    for first in (1, 5):
        rows.label(Rows(["f"] * 4, list(range(first, first + 4)), ["a a b", None, "b", "a a b"]))
    assert model.asked == ["a a b", "b"] * 2
    assert [(one.label, one.rows) for one in rows.found] == [("a", 4), ("b", 2)]
    assert rows.found[0].score == pytest.approx(2 / 3)


def test_the_best_fitting_row_of_all_blocks_is_the_example_and_the_first_of_equals():
    rows = RowLabels(Words("a", "b"), None)
    rows.label(Rows(["f"] * 2, [1, 2], ["a b a", "b"]))
    rows.label(Rows(["g"] * 3, [1, 2, 3], ["a", "a", "b"]))
    assert [one.example for one in rows.found] == [ExampleRow("g", 1, "a"), ExampleRow("f", 2, "b")]


def test_only_so_much_of_a_text_is_asked_as_a_model_may_read_and_the_whole_text_is_kept():
    model = Words("a", "b")
    rows = RowLabels(model, None)
    kept = rows.label(Rows(["f"], [1], ["a " * 500]))
    assert [len(text) for text in model.asked] == [50]
    assert kept.column("text").to_pylist() == ["a " * 500]
    assert (rows.cut, len(rows.found[0].example.value)) == (1, 1_000)


def test_a_block_of_nothing_is_nothing():
    rows = RowLabels(Words("a", "b"), None)
    assert rows.label(Rows([], [], [])).num_rows == 0
    assert [(one.rows, one.share, one.score) for one in rows.found] == [(0, 0.0, None)] * 2
    rows.label(Rows(["f"], [1], [None]))
    assert (rows.rows, rows.blank) == (1, 1)


def test_blocks_do_not_change_the_answer(shop, monkeypatch):
    monkeypatch.setattr("retrain.scorer.has_bf16", lambda _: False)  # its rounding depends on what is read together
    whole = classify(shop).table
    monkeypatch.setattr("shopmon.classifying._PAIRS", 6)
    told = []
    parts = classify(shop, progress=told.append).table
    assert parts.drop(["file", *parts.column_names[4:]]).equals(whole.drop(["file", *whole.column_names[4:]]))
    np.testing.assert_allclose(parts.column("score").to_pandas(), whole.column("score").to_pandas(), atol=1e-5)
    rows = [now for now in told if now.doing == "classifying"]
    assert [now.step for now in rows][-1] == 7
    assert all(now.steps == 7 for now in rows)
    assert rows[-1].seconds_left == 0
    assert all(now.seconds_left > 0 for now in rows[:-1] if now.step)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """The model is a stand-in, so that a million rows take seconds."""
    script = """
import sys, resource, numpy as np, pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
import retrain.zero_shot
class Model:
    longest_text = 10_000
    def __init__(self, question): self.question = question
    def __call__(self, texts, *, progress): return np.full((len(texts), len(self.question.labels)), 0.5)
    def too_long(self, texts): return [False] * len(texts)
retrain.zero_shot.load_zero_shot = lambda folder, question, **_: Model(question)
import shopmon
folder, rows = Path(sys.argv[1]), int(sys.argv[2])
with pq.ParquetWriter(folder / "in.parquet", pa.schema([("text", pa.string())])) as writer:
    for first in range(0, rows, 50_000):
        texts = [f"review {n} " + "of many words " * 20 for n in range(first, first + 50_000)]
        writer.write_table(pa.table({"text": texts}))
out = folder / f"{rows}.parquet"
found = shopmon.classify(folder / "in.parquet", "a,b,c", model=folder, project=folder / "shop", out=out)
assert found.rows == rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shopmon.toml").touch()
    used = []
    for rows in (200_000, 1_000_000):
        command = [sys.executable, "-c", script, str(tmp_path), str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
        used.append(int(done.stdout))
    table = pq.ParquetFile(tmp_path / "1000000.parquet")
    assert table.metadata.num_rows == 1_000_000
    assert table.read(["row"]).column("row").to_pylist() == list(range(1, 1_000_001))
    assert used[1] < used[0] + 500, "DuckDB sorts with up to 600 MB before it spills"


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multi", [False, True])
def test_the_three_formats_hold_the_same_rows(shop, tmp_path, multi):
    whole = classify(shop, multi=multi).table.to_pylist()
    for ending in ("parquet", "jsonl", "csv"):
        found = classify(shop, multi=multi, out=tmp_path / "new" / f"out.{ending}")
        assert found.table is None
        assert found.out == tmp_path / "new" / f"out.{ending}"
    assert pq.read_table(tmp_path / "new" / "out.parquet").to_pylist() == whole
    lines = (tmp_path / "new" / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == whole
    with (tmp_path / "new" / "out.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == list(whole[0])
    assert [row["label"] or None for row in rows] == [row["label"] for row in whole]
    if multi:
        assert [json.loads(row["labels"] or "null") for row in rows] == [row["labels"] for row in whole]


def test_what_was_kept_can_be_given_to_shopmon_label(shop, tmp_path):
    classify(shop, out=tmp_path / "out.csv")
    joined = shopmon.join_labels(
        str(tmp_path / "out.csv"), shopmon_keys(text="text", label="label"), Project(tmp_path), kind="reviews"
    )
    assert joined.new == 4, "two rows have the same text, two have none"


def shopmon_keys(**said):
    from shopmon.labels import Keys

    return Keys(**said)


def test_labels_of_odd_characters_are_text(shop, tmp_path):
    odd = ["a,b", '"x"', "a\nb", "=1+1", "'; drop table batch; --", "{0}", "[red]", "größe ☂", "label"]
    for ending in ("parquet", "jsonl", "csv"):
        classify(shop, odd, out=tmp_path / f"out.{ending}")
    names = pq.read_table(tmp_path / "out.parquet").column_names
    assert names[5:] == [f"score_{label}" for label in odd]
    assert set(json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])) == set(names)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as opened:
        assert next(csv.reader(opened)) == names
    said = shown(classify(shop, odd))
    assert "a⏎b" in said
    assert "[red]" in said


def test_labels_are_written_with_commas_and_quotes():
    assert labels_of(" shipping ,size") == ("shipping", "size")
    assert labels_of('"a, b",c') == ("a, b", "c")
    assert labels_of(["a,b", "c "]) == ("a,b", "c ")
    assert labels_of("") == ()
    assert labels_of("a,,b") == ("a", "", "b")


# --- what cannot be done ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "more", "told"),
    [
        ("", {}, "there are no labels"),
        ("a,,b", {}, "a label is empty"),
        ("a", {}, "'a' is the only label"),
        ("a,A", {}, "'a' and 'A' say the same"),
        (LABELS, {"threshold": 0.5}, "a threshold says which of several labels fit"),
        (LABELS, {"threshold": 1.5, "multi": True}, r"the threshold is 1\.5"),
        (LABELS, {"threshold": float("nan"), "multi": True}, "the threshold is nan"),
        (LABELS, {"hypothesis": "about it"}, "has 0 places for a label"),
        (LABELS, {"out": "out.xlsx"}, "ends in .xlsx"),
        (LABELS, {"out": "out"}, "ends in nothing"),
    ],
)
def test_what_cannot_be_asked_is_told_before_anything_is_read(tmp_path, labels, more, told):
    with pytest.raises(ShopmonError, match=told):
        shopmon.classify("missing.csv", labels, project=Project(tmp_path), **more)


def test_a_project_without_a_champion_says_how_to_get_one(tmp_path):
    with pytest.raises(ShopmonError, match="no champion of the task nli") as told:
        shopmon.classify("missing.csv", LABELS, project=Project(tmp_path))
    assert "shopmon retrain --task nli" in told.value.advice
    assert "typeform/distilbert-base-uncased-mnli" in told.value.advice


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("20261120", "there is no model '20261120'"),
        ("/nowhere/nli", "/nowhere/nli is no folder"),
        ("./nli", "./nli is no folder"),
    ],
)
def test_a_model_that_is_not_there_is_told(tmp_path, model, told):
    with pytest.raises(ShopmonError, match=told):
        shopmon.classify("missing.csv", LABELS, model=model, project=Project(tmp_path))


def test_a_model_of_the_hub_is_fetched_without_pickles_and_a_hub_that_is_away_is_told(shop, monkeypatch):
    asked = []

    def fetched(name, **more):
        asked.append((name, more["allow_patterns"]))
        if name != "shop/nli":
            raise OSError("no route to host")
        return str(shop.folder / "nli")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    assert classify(shop, model="shop/nli").model == "shop/nli"
    assert asked[0] == ("shop/nli", ["*.safetensors", "*.json", "*.txt", "*.model"])
    with pytest.raises(ShopmonError, match="'roberta-large-mnli' could not be fetched from the hub: no route") as told:
        classify(shop, model="roberta-large-mnli")
    assert "--base" not in told.value.advice


def test_a_model_without_names_for_its_classes_needs_them(shop, save_nli, tmp_path):
    folder = save_nli(tmp_path / "unnamed", ("LABEL_0", "LABEL_1", "LABEL_2"), longest=64)
    with pytest.raises(ShopmonError, match="none of the model's classes is entailment"):
        classify(shop, model=folder)
    named = classify(shop, model=folder, entailment="LABEL_1", contradiction="LABEL_0", multi=True)
    assert named.table.drop(["file"]).equals(classify(shop, multi=True).table.drop(["file"]))


def test_a_file_without_a_text_is_no_success_and_leaves_no_output(shop, tmp_path):
    with pytest.raises(ShopmonError, match="none of the 2 rows has a text") as told:
        classify(shop, data=pa.table({"text": [" ", None]}), out=tmp_path / "out.parquet")
    assert "--text COLUMN" in told.value.advice
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(shop, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match=r"cannot be made: (Not a directory|File exists)"):
        classify(shop, out=tmp_path / "file" / "out.parquet")
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(ShopmonError, match="is no regular file"):
        classify(shop, out=tmp_path / "out.csv")


# --- registered models ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_champion(shop, tmp_path, save_nli):
    """A project whose champion of nli is the same model as in the folder."""
    registry = Registry(tmp_path / ".shopmon" / "models")
    with registry.adding("nli", MODEL_ID) as staging:
        save_nli(staging, longest=64)
        said = {"base": BaseUsed("offline", "3f2a"), "weights_sha256": weights_sha256(staging)}
        write_record(TrainingResult(model_id=MODEL_ID, task="nli", **said), staging)
    registry.promote(MODEL_ID, by="person", reason="the only one")
    (tmp_path / "shopmon.toml").touch()
    return Project.read(tmp_path)


@pytest.mark.parametrize("model", [None, MODEL_ID, "20261120"])
def test_the_champion_is_asked_or_the_model_of_an_id(shop, with_champion, model):
    found = shopmon.classify(shop.folder / "reviews.parquet", LABELS, model=model, project=with_champion)
    assert found.model == MODEL_ID
    assert found.table.equals(classify(shop).table)


def test_a_champion_whose_weights_changed_is_not_asked(shop, with_champion):
    folder = with_champion.models / "nli" / MODEL_ID
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ShopmonError, match="are not those that were trained"):
        shopmon.classify(shop.folder / "reviews.parquet", LABELS, project=with_champion)


# --- the command ------------------------------------------------------------------------------------------------------


def shown(found, width=100):
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: SIM115, PTH123
    console.print(classified_shown(found, width=width))
    return console.export_text()


def test_the_command_shows_each_label_with_its_rows(typed, tmp_path):
    code, out, _ = typed("classify", "reviews.parquet", "--labels", LABELS, "--model", "nli")
    assert code == 0
    assert out.startswith("✓ classified   reviews.parquet   reviews   7 rows")
    assert 'by nli: "This text is about {}."' in out
    for label in LABELS.split(","):
        assert f"\n{label}" in out
    assert "--out FILE" in out
    code, out, _ = typed(
        "classify", "reviews.parquet", "--labels", LABELS, "--model", "nli", "--out", str(tmp_path / "o.csv")
    )
    assert (code, "Kept in" in out, (tmp_path / "o.csv").exists()) == (0, True, True)


def test_a_narrow_terminal_has_no_line_that_is_too_long(shop):
    for width in (40, 60, 80, 120):
        assert all(len(line) <= width for line in shown(classify(shop, multi=True), width).splitlines())


def test_the_document_is_json_alone(typed):
    code, out, _ = typed("classify", "reviews.parquet", "--labels", LABELS, "--model", "nli", "--multi", "--json")
    said = json.loads(out)
    assert code == 0
    assert [one["label"] for one in said["labels"]] == LABELS.split(",")
    assert (said["rows"], said["blank"], said["threshold"], said["out"]) == (7, 2, 0.5, None)
    assert "table" not in said


def test_a_file_that_is_there_is_replaced_only_by_force(typed, tmp_path):
    (tmp_path / "o.csv").write_text("mine", encoding="utf-8")
    line = ("classify", "reviews.parquet", "--labels", LABELS, "--model", "nli", "--out", str(tmp_path / "o.csv"))
    code, _, err = typed(*line)
    assert (code, "is there already" in " ".join(err.split())) == (2, True)
    assert (tmp_path / "o.csv").read_text(encoding="utf-8") == "mine"
    assert typed(*line, "--force")[0] == 0
    assert (tmp_path / "o.csv").read_text(encoding="utf-8").startswith('"file","row","text","label"')


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("reviews.parquet",), "--labels"),
        (("reviews.parquet", "--labels", "size"), "is the only label"),
        (("missing.parquet", "--labels", LABELS, "--model", "nli"), "does not exist"),
        (("reviews.parquet", "--labels", LABELS), "no champion of the task nli"),
    ],
)
def test_what_cannot_run_ends_with_2(typed, line, told):
    code, out, err = typed("classify", *line)
    assert (code, out) == (2, "")
    assert told in err
    code, out, _ = typed("classify", *line, "--json")
    assert code == 2
    assert told in json.loads(out)["error"]["problem"] + json.loads(out)["error"]["advice"]


def test_unreadable_records_are_told(typed, shop):
    (shop.folder / "broken.csv").write_bytes(b"text,stars\nwarm,5\n\xff\xfe,1,2,3\nsize,4\n")
    code, out, _ = typed("classify", "broken.csv", "--labels", LABELS, "--model", "nli")
    assert code == 0
    assert "1 records could not be read" in out
