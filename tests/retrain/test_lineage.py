"""From a model back to every row: where it came from, why it was chosen, and what became of it."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.retraining_set import RetrainingSet, text_hash
from monitor.reviews import Reviewed
from retrain.data import is_held_out
from retrain.lineage import HELD_OUT, NOT_REVIEWED, NOT_USED, REJECTED, SCHEMA, SET_ASIDE, TRAIN, Fates, lineage
from retrain.prompts import is_answer
from retrain.results import BaseUsed, DataUsed, TrainingResult

TEXTS = [f"text number {number}" for number in range(200)]


def gathered(folder, texts, run_id="run-1"):
    rows = {
        "text": texts,
        "kind": ["reviews"] * len(texts),
        "role": ["positive"] * len(texts),
        "reasons": [["praise", "short"] if at % 4 else ["praise"] for at in range(len(texts))],
        "batch": ["3f2a"] * len(texts),
        "file": ["new.csv"] * len(texts),
        "row": list(range(1, len(texts) + 1)),
        "id": [f"r{at}" for at in range(len(texts))],
    }
    there = RetrainingSet(folder)
    there.add(pa.table(rows), run_id)
    return there


def result(there, *, share=0.1):
    parts = tuple(part.name for part in there.parts)
    settings = {"training": {"held_out": share}}
    return TrainingResult(
        model_id="m", task="mlm", base=BaseUsed("x", "3f"), data=DataUsed(parts=parts), settings=settings
    )


def written(tmp_path, there, told=None, *, answers=lambda _: False, reviewed=None, only_accepted=False):
    told = told or result(there)
    share, roles = told.settings["training"]["held_out"], frozenset({"positive"})
    fates = Fates(share, answers, reviewed or Reviewed(), roles, only_accepted)
    rules = lineage(there, told, fates).write(tmp_path / "lineage.parquet")
    return pq.read_table(tmp_path / "lineage.parquet"), rules


def test_every_row_has_its_source_and_its_use(tmp_path):
    there = gathered(tmp_path / "set", TEXTS)
    table, _ = written(tmp_path, there)
    assert table.schema == SCHEMA
    assert "text" not in table.column_names
    rows = table.to_pylist()
    assert [row["text_hash"] for row in rows] == [text_hash(text) for text in TEXTS]
    assert [(row["row"], row["id"], row["file"], row["run_id"]) for row in rows][6] == (7, "r6", "new.csv", "run-1")
    for row in rows:
        assert row["use"] == (HELD_OUT if is_held_out(row["text_hash"], 0.1) else TRAIN)
    assert 5 < Counter(table["use"].to_pylist())[HELD_OUT] < 40


def test_rules_are_counted_over_the_rows_that_were_learnt_from(tmp_path):
    table, rules = written(tmp_path, gathered(tmp_path / "set", TEXTS))
    learnt = [row for row in table.to_pylist() if row["use"] == TRAIN]
    assert rules == {"praise": len(learnt), "short": sum("short" in row["reasons"] for row in learnt)}
    assert list(rules) == ["praise", "short"]


def test_what_answers_the_gate_or_was_rejected_is_neither_learnt_nor_measured(tmp_path):
    texts = ["nike shoes are very light", "bad text", *TEXTS]
    rejected = Reviewed(rejected=frozenset({text_hash("bad text"), text_hash("nike shoes are very light")}))
    answers = is_answer(["Nike shoes are very [MASK]"])
    table, _ = written(tmp_path, gathered(tmp_path / "set", texts), answers=answers, reviewed=rejected)
    assert table["use"].to_pylist()[:2] == [SET_ASIDE, REJECTED]
    assert set(table["use"].to_pylist()[2:]) == {TRAIN, HELD_OUT}


def test_only_the_parts_that_the_training_read_are_told(tmp_path):
    there = gathered(tmp_path / "set", TEXTS)
    told = result(there)
    gathered(tmp_path / "set", ["a later one"], run_id="run-2")
    table, _ = written(tmp_path, there, told)
    assert table.num_rows == len(TEXTS)
    both, _ = written(tmp_path, there)
    assert both["run_id"].to_pylist() == ["run-1"] * len(TEXTS) + ["run-2"]


def test_no_part_gives_an_empty_table_with_the_same_columns(tmp_path):
    table, rules = written(tmp_path, RetrainingSet(tmp_path / "none"))
    assert (table.num_rows, table.schema, rules) == (0, SCHEMA, {})


def test_the_share_that_is_held_out_is_that_of_the_training(tmp_path):
    there = gathered(tmp_path / "set", TEXTS)
    table, _ = written(tmp_path, there, result(there, share=0.0))
    assert set(table["use"].to_pylist()) == {TRAIN}
    table, _ = written(tmp_path, there, result(there, share=1.0))
    assert set(table["use"].to_pylist()) == {HELD_OUT}


def test_rows_of_a_role_that_is_not_learnt_from_are_not_used():
    fates = Fates(0.1, lambda _: False, Reviewed(), frozenset({"positive"}))
    assert fates.use("text", "ff" * 32, "negative") == NOT_USED
    assert fates.use("text", "ff" * 32, "positive") == TRAIN
    assert fates.use("text", "00" * 32, "negative") == HELD_OUT


def test_a_relabelled_row_is_told_in_the_role_it_played(tmp_path):
    there = gathered(tmp_path / "set", TEXTS)
    digests = [text_hash(text) for text in TEXTS]
    learnt = [digest for digest in digests if not is_held_out(digest, 0.1)]
    given = Reviewed(accepted=frozenset(learnt[:2]), roles={learnt[0]: "negative", learnt[1]: "positive"})
    table, rules = written(tmp_path, there, reviewed=given)
    rows = {row["text_hash"]: row for row in table.to_pylist()}
    assert (rows[learnt[0]]["role"], rows[learnt[0]]["use"]) == ("negative", NOT_USED)
    assert (rows[learnt[1]]["role"], rows[learnt[1]]["use"]) == ("positive", TRAIN)
    assert {rows[digest]["role"] for digest in digests} == {"positive", "negative"}
    assert rules["praise"] == len(learnt) - 1


def test_where_only_accepted_rows_are_asked_for_the_others_are_left_out(tmp_path):
    there = gathered(tmp_path / "set", TEXTS)
    accepted, rejected = (frozenset(map(text_hash, some)) for some in (TEXTS[:50], TEXTS[50:60]))
    table, _ = written(tmp_path, there, reviewed=Reviewed(rejected, accepted), only_accepted=True)
    uses = table["use"].to_pylist()
    assert set(uses[:50]) == {TRAIN, HELD_OUT}
    assert set(uses[50:60]) == {REJECTED}
    assert set(uses[60:]) == {NOT_REVIEWED}
