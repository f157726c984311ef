"""Every failing row is put aside once with every reason, and rows = good + quarantined, exactly."""

import os
import time
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations import scan
from expectations.columns import FILE, ROW
from expectations.errors import BatchError
from expectations.quarantine import RowsLost, write_quarantine
from expectations.suite import load_suite
from expectations.validation import validate

RULES = """\
- type: expect_column_values_to_not_be_null
  kwargs: {column: text}
  meta: {id: text-missing}
- type: expect_column_values_to_be_between
  kwargs: {column: stars, min_value: 1, max_value: 5}
  meta: {id: stars-impossible}
- type: expect_column_values_to_be_in_set
  kwargs: {column: brand, value_set: [acme]}
  meta: {id: brand-unknown}
- type: expect_column_values_to_be_unique
  kwargs: {column: id}
  meta: {id: id-repeated}
"""
DATA = pd.DataFrame(
    {
        "text": ["a", None, "c", "d", "e"],
        "stars": [5.0, 9.0, 0.0, 4.0, 3.0],
        "brand": ["acme", "nike", "acme", "acme", None],
        "id": ["1", "2", "3", "4", "4"],
    }
)


def test_a_row_that_breaks_several_rules_stands_once_with_all_of_them(ask):
    answer = ask(DATA, RULES)
    assert [(row["shopmon_row"], row["shopmon_rules"]) for row in answer.rows] == [
        (2, ["text-missing", "stars-impossible", "brand-unknown"]),
        (3, ["stars-impossible"]),
        (4, ["id-repeated"]),
        (5, ["id-repeated"]),
    ]
    assert (answer.validation.rows, answer.validation.good, answer.validation.quarantined) == (5, 1, 4)


def test_a_quarantined_row_keeps_all_that_its_file_said(ask):
    row = ask(DATA.assign(stars=["5", "nine", "0", " 4 ", "3"]), RULES).rows[1]
    assert (row["text"], row["stars"], row["brand"], row["id"]) == ("c", "0", "acme", "3")


def test_good_rows_and_quarantine_complement_each_other(tmp_path, ask):
    answer = ask(DATA, RULES, write_good=tmp_path / "good.parquet")
    good = pq.read_table(tmp_path / "good.parquet")
    assert good.column_names == list(DATA.columns)
    assert good.to_pylist() == [{"text": "a", "stars": 5.0, "brand": "acme", "id": "1"}]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".partial")] == []
    assert len(good) + len(answer.rows) == len(DATA)


def test_all_rows_good_is_no_file(tmp_path, ask):
    answer = ask(DATA[:1], RULES, write_good=tmp_path / "good.parquet")
    assert answer.validation.quarantine is None
    assert pq.read_table(tmp_path / "good.parquet").num_rows == 1


def test_no_row_good_is_a_file_of_columns(tmp_path, ask):
    ask(DATA[1:], RULES, write_good=tmp_path / "good.parquet")
    assert pq.read_table(tmp_path / "good.parquet").num_rows == 0


def test_good_rows_replace_those_of_an_earlier_run(tmp_path, ask):
    (tmp_path / "good.parquet").write_bytes(b"older")
    ask(DATA, RULES, write_good=tmp_path / "good.parquet")
    assert pq.read_table(tmp_path / "good.parquet").num_rows == 1


def test_good_rows_of_killed_processes_are_swept_away_after_a_day(tmp_path, ask):
    yesterday = time.time() - 86_500
    old, fresh = (tmp_path / f".partial-{uuid4().hex}-good.parquet" for _ in range(2))
    folder, busy = (tmp_path / f".partial-{uuid4().hex}-good on spark" for _ in range(2))
    others = tmp_path / ".partial-download.parquet"
    for path in (folder, busy):
        path.mkdir()
    for path in (old, fresh, others, folder / ".part-000001.parquet", busy / ".part-000001.parquet"):
        path.write_bytes(b"half")
    for path in (old, others, *folder.iterdir(), folder, busy):
        os.utime(path, (yesterday, yesterday))
    ask(DATA, RULES, write_good=tmp_path / "better.parquet")
    assert set(tmp_path.glob(".partial-*")) == {fresh, others, busy}


def test_good_rows_are_never_written_over_the_batch_itself(tmp_path, ask):
    DATA.to_parquet(tmp_path / "new.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "new.parquet")
    before = (tmp_path / "new.parquet").read_bytes()
    for place in ("new.parquet", "link.parquet"):
        with pytest.raises(BatchError, match="is the batch itself"):
            ask(tmp_path / "new.parquet", RULES, write_good=tmp_path / place)
    assert (tmp_path / "new.parquet").read_bytes() == before


@pytest.mark.parametrize("engine", ["scan", "great_expectations"])
def test_rows_within_tolerance_are_quarantined_and_marked(ask, engine):
    rules = RULES.replace("max_value: 5}", "max_value: 5}\n  mostly: 0.5")
    answer = ask(DATA, rules, engine=engine)
    assert answer.of("stars-impossible").outcome == "passed"
    assert answer.of("stars-impossible").unexpected == 2
    assert {row["shopmon_row"]: row["shopmon_tolerated"] for row in answer.rows} == {
        2: False,
        3: True,
        4: False,
        5: False,
    }
    assert answer.validation.tolerated == 1


def test_records_that_cannot_be_read_stand_beside_the_rows_that_break_rules(tmp_path, ask):
    lines = [b"a,5,acme,1", b"b,5", b"c\xe9,5,acme,3", b"d,9,acme,4", *(f"e,5,acme,{n}".encode() for n in range(5, 60))]
    (tmp_path / "new.csv").write_bytes(b"text,stars,brand,id\n" + b"\n".join(lines) + b"\n")
    answer = ask(tmp_path / "new.csv", RULES, write_good=tmp_path / "good.parquet")
    unreadable = [row for row in answer.rows if row["shopmon_rules"] == ["unreadable"]]
    assert [(row["shopmon_row"], row["shopmon_raw"]) for row in unreadable] == [(2, b"b,5\n"), (3, b"c\xe9,5,acme,3\n")]
    assert all(row["shopmon_reason"] and row["text"] is None and not row["shopmon_tolerated"] for row in unreadable)
    assert [row["shopmon_row"] for row in answer.rows if row["shopmon_raw"] is None] == [4]
    assert pq.read_table(tmp_path / "good.parquet").num_rows + len(answer.rows) == answer.validation.rows == 59


def test_several_files_keep_their_names_and_numbers(tmp_path, ask):
    for name in ("b", "a"):
        DATA.assign(id=[f"{name}{n}" for n in range(5)]).to_parquet(tmp_path / f"{name}.parquet")
    answer = ask([tmp_path / "b.parquet", tmp_path / "a.parquet"], RULES)
    addresses = [(Path(row["shopmon_file"]).name, row["shopmon_row"], row["id"]) for row in answer.rows]
    assert addresses == [("a.parquet", 2, "a1"), ("a.parquet", 3, "a2"), ("b.parquet", 2, "b1"), ("b.parquet", 3, "b2")]


@pytest.mark.parametrize("name", ["shopmon_file", "Shopmon_Rules", "SHOPMON_RAW"])
def test_a_column_called_like_one_of_ours_is_kept_beside_it(tmp_path, ask, name):
    answer = ask(DATA.assign(**{name: "theirs"}), RULES, write_good=tmp_path / "good.parquet")
    assert answer.rows[0][f"{name} (of the file)"] == "theirs"
    assert answer.rows[0]["shopmon_rules"] == ["text-missing", "stars-impossible", "brand-unknown"]
    assert name in pq.read_table(tmp_path / "good.parquet").column_names


@pytest.mark.parametrize("folder", ["it's", 'say "hi"', "a; drop table breaking; --", "[x]*", "é👟\n"])
def test_the_quarantine_may_lie_in_a_folder_of_any_name(tmp_path, suite_of, opened, folder):
    (tmp_path / folder).mkdir()
    with opened(DATA) as batch:
        found = validate(
            batch, load_suite(suite_of(RULES)), folder=tmp_path / folder, write_good=tmp_path / folder / "good.parquet"
        )
    assert pq.ParquetFile(found.quarantine).metadata.num_rows == 4
    assert pq.ParquetFile(tmp_path / folder / "good.parquet").metadata.num_rows == 1


@pytest.mark.parametrize(
    "tampering",
    [
        f"insert into breaking select * from breaking where {ROW} = 2",  # a row stands twice
        f"update breaking set {ROW} = 99 where {ROW} = 2",  # a row that is not in the batch
        f"update breaking set {FILE} = 1",
    ],
)
def test_rows_that_do_not_add_up_are_never_written_off(tmp_path, opened, tampering):
    with opened(DATA, kind="reviews") as batch:
        batch.rows_of(f"create table breaking as select *, [0] as rules from batch where {ROW} in (2, 3)")
        batch.rows_of(tampering)
        with pytest.raises(RowsLost, match="5 rows arrived"):
            write_quarantine(batch, tmp_path / "quarantine.parquet", {0: "rule"}, {0})
    assert not (tmp_path / "quarantine.parquet").exists()


def test_a_row_that_vanishes_from_the_batch_is_noticed(tmp_path, opened):
    with opened(DATA, kind="reviews") as batch:
        scan.prepare(batch)
        batch.rows_of(f"create table breaking as select *, [0] as rules from batch where {ROW} in (2, 3)")
        batch.rows_of(f"create table fewer as from batch where {ROW} <> 1")
        batch.rows_of("drop view batch")
        batch.rows_of("alter table fewer rename to batch")
        with pytest.raises(RowsLost):
            write_quarantine(batch, tmp_path / "quarantine.parquet", {0: "rule"}, {0})


CELLS = {
    "text": st.sampled_from(["a", "", " ", None]),
    "stars": st.sampled_from([0.0, 1.0, 5.0, 9.0, float("nan"), None]),
    "brand": st.sampled_from(["acme", "nike", None]),
    "id": st.sampled_from(["1", "2", "3", None]),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=9))
def test_whatever_arrives_is_good_or_in_quarantine_and_never_both(tmp_path, ask, rows):
    kinds = pa.schema([("text", pa.string()), ("stars", pa.float64()), ("brand", pa.string()), ("id", pa.string())])
    table = pa.Table.from_pylist(rows, kinds).append_column("place", pa.array(range(1, len(rows) + 1)))
    answer = ask(table, RULES, write_good=tmp_path / "good.parquet", kind="reviews")
    good = pq.read_table(tmp_path / "good.parquet")["place"].to_pylist()
    assert sorted(good + answer.numbers) == table["place"].to_pylist()
    assert all(row["place"] == row["shopmon_row"] for row in answer.rows)
    by_rule = {
        name: sum(name in row["shopmon_rules"] for row in answer.rows) for name in ("text-missing", "id-repeated")
    }
    assert by_rule == {name: answer.of(name).unexpected for name in by_rule}
