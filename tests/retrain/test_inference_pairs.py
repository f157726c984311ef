"""Are labelled pairs of premise and hypothesis read as they are published?"""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from monitor.retraining_set import text_hash
from retrain.inference_pairs import CLASSES, InferenceSettings, read_inference

NLI = Path(__file__).parents[3] / "shared" / "data" / "nli"


@pytest.fixture(scope="module")
def tiny():
    """tests/retrain/tiny_inference.py."""
    spec = importlib.util.spec_from_file_location("tiny_inference", Path(__file__).with_name("tiny_inference.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rows(tiny):
    return list(tiny.pairs(10))


def reading(tmp_path, *files, **more):
    return read_inference(InferenceSettings(data=tuple(map(str, files)), **more), tmp_path / "cache")


def test_every_published_form_gives_the_same_pairs(tiny, rows, tmp_path):
    numbered = [{**row, "label": CLASSES.index(row["label"])} for row in rows]
    with (tmp_path / "mnli.tsv").open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, ["index", "sentence1", "sentence2", "label1", "gold_label"], delimiter="\t")
        writer.writeheader()
        for number, row in enumerate(rows):
            told = {"sentence1": row["premise"], "sentence2": row["hypothesis"], "gold_label": row["label"]}
            writer.writerow({**told, "index": number, "label1": "neutral"})
    files = [
        tiny.as_parquet(tmp_path / "plain.parquet", rows),
        tiny.as_snli(tmp_path / "snli.jsonl", rows),
        tmp_path / "mnli.tsv",
        tiny.as_parquet(tmp_path / "glue.parquet", numbered, CLASSES),
        tiny.as_parquet(tmp_path / "other.parquet", [{**row, "label": 2 - row["label"]} for row in numbered],
                        CLASSES[::-1]),
    ]  # fmt: skip
    read = [reading(tmp_path, file) for file in files]
    for one in read:
        assert (one.classes, one.counts, one.incomplete) == (CLASSES, (10, 10, 10), 0)
        for name in ("text", "pair", "label", "group", "key", "alike", "row"):
            assert list(one.column(name)) == list(read[0].column(name))
    assert next(iter(read[0].column("text"))) == rows[0]["premise"]
    assert next(iter(read[0].column("pair"))) == rows[0]["hypothesis"]
    assert next(iter(read[0].column("key"))) == text_hash(f"{rows[0]['premise']}\n{rows[0]['hypothesis']}")
    assert list(read[0].column("row")) == list(range(1, 31))
    assert list(read[1].column("id"))[:2] == ["0e", "1e"]


def test_files_of_several_forms_are_one(tiny, rows, tmp_path):
    files = [tiny.as_parquet(tmp_path / "a.parquet", rows[:15]), tiny.as_snli(tmp_path / "b.jsonl", rows[15:])]
    found = reading(tmp_path, *files)
    assert found.rows == 30
    assert found.sources == tuple(map(str, files))
    assert list(found.column("file")) == [str(files[0])] * 15 + [str(files[1])] * 15
    assert list(found.column("row")) == [*range(1, 16)] * 2
    assert len(set(found.column("batch"))) == 2


def test_the_pairs_of_a_premise_are_one_group_however_it_is_spelt(tiny, tmp_path):
    rows = [
        {"premise": "A Red bag.", "hypothesis": "a", "label": "neutral"},
        {"premise": "a red  bag", "hypothesis": "b", "label": "entailment"},
        {"premise": "a blue bag", "hypothesis": "b", "label": "contradiction"},
    ]
    groups = list(reading(tmp_path, tiny.as_parquet(tmp_path / "a.parquet", rows)).column("group"))
    assert groups == ["a red bag", "a red bag", "a blue bag"]


def test_pairs_without_a_gold_label_are_left_out_and_counted(tiny, rows, tmp_path):
    some = [
        *rows,
        *({**row, "label": "-"} for row in rows[:4]),
        {**rows[0], "label": None},
        {**rows[0], "premise": " "},
    ]
    found = reading(tmp_path, tiny.as_snli(tmp_path / "snli.jsonl", some))
    assert (found.rows, found.incomplete) == (30, 6)
    assert found.notes == ("4 pairs have no gold label, and are left out",)
    numbered = [{**row, "label": CLASSES.index(row["label"])} for row in rows] + [{**rows[0], "label": -1}]
    found = reading(tmp_path, tiny.as_parquet(tmp_path / "glue.parquet", numbered, CLASSES))
    assert (found.rows, found.incomplete) == (30, 1)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_numbers_mean_what_a_mapping_says_and_nothing_else(tiny, rows, tmp_path, kind):
    table = pa.Table.from_pylist([{**row, "label": CLASSES.index(row["label"])} for row in rows])
    at = table.column_names.index("label")
    pq.write_table(table.set_column(at, "label", table.column("label").cast(kind)), tmp_path / "a.parquet")
    with pytest.raises(ShopmonError, match=r"are numbers \('0', '1', '2'\), and nothing says what each means") as told:
        reading(tmp_path, tmp_path / "a.parquet")
    assert '"0" = "entailment", "1" = "neutral", "2" = "contradiction"' in told.value.advice
    found = reading(tmp_path, tmp_path / "a.parquet", labels={"0": "contradiction", "1": "neutral", "2": "entailment"})
    assert list(found.column("label")) == [2 - CLASSES.index(row["label"]) for row in rows]


def test_two_classes_can_be_made_of_three(tiny, rows, tmp_path):
    file = tiny.as_parquet(tmp_path / "a.parquet", rows)
    two = {"classes": ("entailment", "not_entailment")}
    with pytest.raises(ShopmonError, match="the label 'contradiction' of 10 pairs"):
        reading(tmp_path, file, **two)
    labels = {"neutral": "not_entailment", "contradiction": "not_entailment"}
    assert reading(tmp_path, file, labels=labels, **two).counts == (10, 20)


def test_columns_of_other_names_are_named(tiny, rows, tmp_path):
    file = tiny.as_parquet(
        tmp_path / "a.parquet",
        [{"vorher": r["premise"], "nachher": r["hypothesis"], "label": r["label"]} for r in rows],
    )
    with pytest.raises(ShopmonError, match="has no column for the premise; it has 'vorher', 'nachher'") as told:
        reading(tmp_path, file)
    assert 'columns = { "its own name" = "premise" }' in told.value.advice
    found = reading(tmp_path, file, columns={"vorher": "premise", "nachher": "hypothesis"})
    assert next(iter(found.column("pair"))) == rows[0]["hypothesis"]


def test_a_label_that_is_no_class_is_told(tiny, rows, tmp_path):
    odd = [*rows, {**rows[0], "label": "Widerspruch"}, {**rows[1], "label": "x"}]
    with pytest.raises(ShopmonError, match=r"'Widerspruch' of 1 pairs \(and 1 others\) in .* is no class") as told:
        reading(tmp_path, tiny.as_parquet(tmp_path / "a.parquet", odd))
    assert "[retrain.nli.labels]" in told.value.advice


def test_labels_are_read_in_any_case(tiny, rows, tmp_path):
    shouted = [{**row, "label": f" {row['label'].upper()} "} for row in rows]
    assert reading(tmp_path, tiny.as_parquet(tmp_path / "a.parquet", shouted)).counts == (10, 10, 10)


def test_one_class_only_and_too_few_rows_are_refused(tiny, rows, tmp_path):
    with pytest.raises(ShopmonError, match="one class leaves nothing to tell apart"):
        reading(tmp_path, tiny.as_parquet(tmp_path / "a.parquet", rows[::3]))
    with pytest.raises(ShopmonError, match="fewer rows than classes"):
        reading(tmp_path, tiny.as_parquet(tmp_path / "b.parquet", rows[:2]))
    with pytest.raises(ShopmonError, match="no labelled pairs of premise and hypothesis are named"):
        reading(tmp_path)


def test_unreadable_records_are_told(tiny, rows, tmp_path):
    file = tiny.as_snli(tmp_path / "a.jsonl", rows)
    file.write_text(file.read_text(encoding="utf-8") + '{"broken\n', encoding="utf-8")
    assert "1 records could not be read, and are left out" in reading(tmp_path, file).notes


def test_languages_that_are_told_are_known(tiny, rows, tmp_path):
    found = reading(tmp_path, tiny.as_parquet(tmp_path / "xnli.parquet", [{**row, "language": "de"} for row in rows]))
    assert found.foreign == ("de",)


def test_what_was_read_is_read_once_and_anew_when_it_means_something_else(tiny, rows, tmp_path):
    file = tiny.as_parquet(tmp_path / "a.parquet", rows)
    first, again = reading(tmp_path, file), reading(tmp_path, file)
    assert first == again
    other = reading(tmp_path, file, labels={"neutral": "contradiction"})
    assert other.sha256 != first.sha256
    assert other.counts == (10, 0, 20)
    assert other.notes == ("no pair is labelled neutral",)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"classes": ("entailment",)}, "two or more different names"),
        ({"labels": {"0": "yes"}}, "names 'yes', which is no class"),
        ({"columns": {"a": "text"}}, "names the role 'text'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(said, told):
    with pytest.raises(ValueError, match=told):
        InferenceSettings(**said)


@pytest.mark.skipif(not NLI.is_dir(), reason="the public data are not here")
def test_the_public_sets_are_read(tmp_path):
    found = reading(tmp_path, NLI / "snli_dev.parquet")
    assert (found.rows, found.counts) == (9_842, (3_329, 3_235, 3_278))
    assert len(set(found.column("group"))) < 3_320
    assert reading(tmp_path, NLI / "mnli_dev_matched.parquet").rows == 9_815
