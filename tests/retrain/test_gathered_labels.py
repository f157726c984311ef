"""What people decided about gathered rows reaches a classifier, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.retraining_set import RetrainingSet, text_hash
from monitor.reviews import Reviewed
from retrain.gathered_labels import Meaning, with_gathered
from retrain.labelled import Labelled
from retrain.pairs import PairSettings, read_pairs

PAIRS = [
    ("red lamp", "a red lamp", "E"),
    ("red lamp", "a blue lamp", "S"),
    ("red lamp", "a bulb", "C"),
    ("oak bed", "a bed of oak", "E"),
    ("oak bed", "a river", "I"),
]
MEANING = Meaning("relevance", PairSettings().class_of, in_two=True)


@pytest.fixture
def delivered(tmp_path: Path) -> Labelled:
    file = tmp_path / "pairs.parquet"
    names = ("query", "product_title", "esci_label")
    pq.write_table(
        pa.table({name: list(values) for name, values in zip(names, zip(*PAIRS, strict=True), strict=True)}), file
    )
    return read_pairs(PairSettings(data=(str(file),)), tmp_path / "cache")


def gathered(tmp_path: Path, *rows: tuple[str, str | None], kind: str = "relevance") -> RetrainingSet:
    """Texts with the label that each came with."""
    there = RetrainingSet(tmp_path / "retraining")
    count = len(rows)
    columns = {
        "text": [text for text, _ in rows], "kind": [kind] * count, "role": ["positive"] * count,
        "reasons": [["low_margin"]] * count, "batch": ["3f2a"] * count, "file": ["new.csv"] * count,
        "row": list(range(1, count + 1)),
    }  # fmt: skip
    there.add(pa.table(columns), "1")
    labels = [(text_hash(text), label) for text, label in rows if label is not None]
    if labels:
        hashes, said = zip(*labels, strict=True)
        there.add_labels(pa.table({"text_hash": list(hashes), "label": list(said)}), kind=kind, run_id="1")
    return there


def accepted(*texts: str, **more: Any) -> Reviewed:
    return Reviewed(accepted=frozenset(map(text_hash, texts)), **more)


def rows_of(found: Labelled) -> list[tuple[str, str, str]]:
    return [(row["text"], row["pair"], found.classes[row["label"]]) for row in pq.read_table(found.file).to_pylist()]


def test_what_nobody_decided_changes_nothing(delivered, tmp_path):
    there = gathered(tmp_path, ("red lamp\na green lamp", "S"))
    assert with_gathered(delivered, there, Reviewed(), MEANING, tmp_path) == delivered


def test_an_accepted_row_joins_the_group_of_its_query(delivered, tmp_path):
    there = gathered(tmp_path, ("Red  lamp\na green lamp", "substitute"), ("oak table\na table", "E"))
    found = with_gathered(delivered, there, accepted("Red  lamp\na green lamp"), MEANING, tmp_path)
    assert rows_of(found) == [*PAIRS, ("Red  lamp", "a green lamp", "S")]
    groups = list(found.column("group"))
    assert groups[-1] == groups[0]
    assert (found.rows, found.counts) == (6, (2, 2, 1, 1))
    assert found.sha256 != delivered.sha256
    assert "stand for 1 gathered rows" in found.notes[-1]


def test_a_label_that_a_person_gave_takes_the_place_of_the_delivered_one(delivered, tmp_path):
    text = "red lamp\na blue lamp"
    there = gathered(tmp_path, (text, "S"))
    found = with_gathered(delivered, there, accepted(text, labels={text_hash(text): "E"}), MEANING, tmp_path)
    assert rows_of(found) == [PAIRS[0], ("red lamp", "a blue lamp", "E"), *PAIRS[2:]]
    assert "changed the label of 1" in found.notes[-1]


def test_a_rejected_row_leaves(delivered, tmp_path):
    rejected = Reviewed(rejected=frozenset({text_hash("red lamp\na bulb")}))
    found = with_gathered(delivered, gathered(tmp_path, ("a\nb", None)), rejected, MEANING, tmp_path)
    assert rows_of(found) == [*PAIRS[:2], *PAIRS[3:]]
    assert found.notes[-1].startswith("1 delivered rows are left out")


def test_labels_that_are_no_class_and_half_texts_stay_out_and_are_told(delivered, tmp_path):
    texts = ("red lamp\na green lamp", "only a query", "oak bed\nan oak bed")
    there = gathered(tmp_path, (texts[0], "great"), (texts[1], "E"), (texts[2], None))
    found = with_gathered(delivered, there, accepted(*texts), MEANING, tmp_path)
    assert rows_of(found) == PAIRS
    assert "'great'" in found.notes[-1]


def test_single_texts_of_another_kind_do_not_join(delivered, tmp_path):
    there = gathered(tmp_path, ("red lamp\na green lamp", "S"), kind="reviews")
    found = with_gathered(delivered, there, accepted("red lamp\na green lamp"), MEANING, tmp_path)
    assert found == delivered


def test_the_same_decisions_are_the_same_data(delivered, tmp_path):
    there = gathered(tmp_path, ("red lamp\na green lamp", "S"))
    twice = [with_gathered(delivered, there, accepted("red lamp\na green lamp"), MEANING, tmp_path) for _ in range(2)]
    assert twice[0] == twice[1]
