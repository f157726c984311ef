"""A batch is one relation in which every row keeps its address, and every column is read as what it is."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.columns import FILE, ROW
from expectations.errors import BatchError
from expectations.kinds import Holds

DATE = dt.datetime(2024, 3, 31, 23, 30)


def held(batch, name):
    """The values of a column as rules see them, in the order of the rows."""
    return [value for (value,) in batch.rows_of(f"select {batch.column(name).sql} from batch order by {FILE}, {ROW}")]


def csv(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- addresses ------------------------------------------------------------------------------------------------------


def test_every_row_has_its_file_and_its_number_from_one(tmp_path, opened):
    for name, rows in (("a", 3), ("b", 0), ("c", 2)):
        pq.write_table(
            pa.table({"text": pa.array([f"{name}{n}" for n in range(rows)], pa.string())}), tmp_path / f"{name}.parquet"
        )
    with opened([tmp_path / "c.parquet", tmp_path / "b.parquet", tmp_path / "a.parquet"]) as batch:
        assert batch.rows_of(f"select {FILE}, {ROW}, c0 from batch order by all") == [
            (0, 1, "c0"), (0, 2, "c1"), (2, 1, "a0"), (2, 2, "a1"), (2, 3, "a2"),
        ]  # fmt: skip
        assert [Path(source.name).name for source in batch.sources] == ["c.parquet", "b.parquet", "a.parquet"]
        assert [source.rows for source in batch.sources] == [2, 0, 3]


def test_numbers_go_on_over_row_groups(tmp_path, opened):
    pq.write_table(pa.table({"text": [str(n) for n in range(5000)]}), tmp_path / "a.parquet", row_group_size=700)
    with opened(tmp_path / "a.parquet") as batch:
        assert batch.row_of(f"select count(*), bool_and({ROW} = c0::int + 1) from batch") == (5000, True)


def test_records_that_cannot_be_read_keep_their_number_and_bytes(tmp_path, opened):
    lines = [f"fine {n},5".encode() for n in range(50)]
    lines[2] = b"caf\xe9,4"
    (tmp_path / "a.csv").write_bytes(b"text,stars\n" + b"\n".join(lines) + b"\n")
    with opened(tmp_path / "a.csv") as batch:
        ((file, row, _, raw),) = batch.rows_of("from unreadable")
        assert (file, row, bytes(raw)) == (0, 3, b"caf\xe9,4\n")
        assert (batch.rows, batch.readable, batch.unreadable) == (50, 49, 1)
        assert batch.row_of(f"select {ROW} from batch where c0 = 'fine 3'") == (4,)


def test_a_folder_named_like_a_partition_makes_no_column(tmp_path, opened):
    folder = tmp_path / "brand=nike"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["a"], "stars": [1]}), folder / "a.parquet")
    with opened(folder / "a.parquet") as batch:
        assert [column.name for column in batch.own_columns] == ["text", "stars"]


@pytest.mark.parametrize("name", ["it's", 'say "hi"', "[ab]*?", "a;b--", "üñ👟", "new\nline", "{x}$b0", " "])
def test_a_path_may_hold_any_character(tmp_path, opened, name):
    folder = tmp_path / name
    folder.mkdir()
    pq.write_table(pa.table({"text": ["a"]}), folder / f"{name}.parquet")
    with opened(folder / f"{name}.parquet") as batch:
        assert held(batch, "text") == ["a"]


# --- types ----------------------------------------------------------------------------------------------------------

TYPES = {
    "tinyint": (pa.array([1], pa.int8()), Holds.NUMBER),
    "uinteger": (pa.array([1], pa.uint32()), Holds.NUMBER),
    "ubigint": (pa.array([2**64 - 1], pa.uint64()), Holds.NUMBER),
    "float": (pa.array([1.5], pa.float32()), Holds.NUMBER),
    "half": (pa.array([1.5], pa.float32()), Holds.NUMBER),
    "decimal": (pa.array([1], pa.decimal128(38, 2)), Holds.NUMBER),
    "flag": (pa.array([True]), Holds.FLAG),
    "large text": (pa.array(["a"], pa.large_string()), Holds.TEXT),
    "category": (pa.array(["a"]).dictionary_encode(), Holds.TEXT),
    "null": (pa.nulls(1), Holds.TEXT),
    "day": (pa.array([dt.date(2024, 1, 1)]), Holds.DATE),
    "nanoseconds": (pa.array([0], pa.timestamp("ns")), Holds.DATE),
    "zoned": (pa.array([0], pa.timestamp("us", "America/New_York")), Holds.DATE),
    "time": (pa.array([dt.time(10)]), None),
    "binary": (pa.array([b"\xff"]), None),
    "list": (pa.array([["a"]]), None),
    "list of decimals": (pa.array([[1]], pa.list_(pa.decimal128(10, 2))), None),
    "struct": (pa.array([{"a": 1}]), None),
    "map": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), None),
}


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_known_for_what_it_holds(tmp_path, opened, name):
    values, holds = TYPES[name]
    pq.write_table(pa.table({"text": ["a"], "x": values}), tmp_path / "a.parquet")
    with opened(tmp_path / "a.parquet") as batch:
        assert batch.column("x").holds is holds
        assert bool(batch.notes) is (holds is None)


def test_types_that_only_duckdb_writes_are_known_as_well(tmp_path, opened):
    made = tmp_path / "a.parquet"
    duckdb.sql(
        "select 'a' as text, uuid() as u, 'x'::enum('x') as e, '{}'::json as j, interval 3 day as i, 5::hugeint as h"
    ).write_parquet(str(made))
    with opened(made) as batch:
        holds = {column.name: column.holds for column in batch.own_columns}
        assert uuid.UUID(held(batch, "u")[0])
    text, number = Holds.TEXT, Holds.NUMBER
    assert holds == {"text": text, "u": text, "e": text, "j": text, "i": None, "h": number}


def test_a_part_without_any_value_agrees_with_one_that_has_some(tmp_path, opened):
    """pandas writes the type null for a column of nothing but None."""
    pq.write_table(pa.table({"text": ["a"], "size": pa.nulls(1), "stars": pa.nulls(1)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["b"], "size": ["L"], "stars": [4]}), tmp_path / "b.parquet")
    with opened([tmp_path / "a.parquet", tmp_path / "b.parquet"]) as batch:
        assert held(batch, "size") == [None, "L"]
        assert held(batch, "stars") == [None, 4]


# --- roles ----------------------------------------------------------------------------------------------------------


def test_written_numbers_dates_and_flags_are_read_and_the_writing_is_kept(tmp_path, opened):
    path = csv(
        tmp_path / "a.csv", "text,stars,date,recommended", "a, 4.5 ,2024-03-31,Yes", "b,five,31/03/2024,0", "c,,,"
    )
    with opened(path) as batch:
        assert held(batch, "stars") == [4.5, None, None]
        assert held(batch, "recommended") == [True, False, None]
        assert held(batch, "date") == [dt.datetime(2024, 3, 31)] * 2 + [None]
        assert held(batch, "stars_as_written") == [" 4.5 ", "five", None]
        assert held(batch, "date_as_written") == ["2024-03-31", "31/03/2024", None]


@pytest.mark.parametrize(
    ("written", "number"),
    [("5", 5), ("+5.", 5), (".5", 0.5), ("-1e3", -1000), ("\t5", 5), ("1,5", None), ("1_000", None), ("0x10", None),
     ("nan", None), ("inf", None), ("five", None), ("5 stars", None), ("٥", None), ("", None)],
)  # fmt: skip
def test_only_what_is_written_as_a_number_is_one(opened, written, number):
    with opened(pa.table({"text": ["a"], "stars": [written]}), kind="reviews", columns={"stars": "stars"}) as batch:
        assert held(batch, "stars") == [number]


@pytest.mark.parametrize(
    "stored",
    [
        pa.array([DATE], pa.timestamp("us")),
        pa.array([DATE.replace(tzinfo=dt.UTC)], pa.timestamp("us", "America/New_York")),
        pa.array([int(DATE.replace(tzinfo=dt.UTC).timestamp())]),
        pa.array([int(DATE.replace(tzinfo=dt.UTC).timestamp()) * 1000]),
        pa.array([DATE.replace(tzinfo=dt.UTC).timestamp()]),
        pa.array(["2024-03-31T23:30:00Z"]),
        pa.array(["2024-03-31T23:30:00.000Z"]),
        pa.array(["2024-03-31T19:30:00-04:00"]),
        pa.array(["2024-03-31 23:30:00"]),
        pa.array(["2024-03-31T23:30:00.000"]),
        pa.array(["2024-03-31 23:30:00.000000000"]),
        pa.array(["2024-03-31T23:30"]),
        pa.array(["2024-03-31 23:30:00+00:00"]),
        pa.array(["2024-03-31 23:30:00.000+00"]),
        pa.array(["2024-04-01 05:00:00 +0530"]),
        pa.array(["2024-03-31 20:30:00 -0300"]),
        pa.array(["2024-03-31 23:30:00 UTC"]),
        pa.array(["2024/03/31 23:30:00"]),
        pa.array(["3/31/2024 23:30"]),
        pa.array(["3/31/2024 11:30 PM"]),
        pa.array(["31/03/2024 23:30"]),
        pa.array(["31.03.2024 23:30"]),
        pa.array([str(int(DATE.replace(tzinfo=dt.UTC).timestamp()))]),
        pa.array([str(int(DATE.replace(tzinfo=dt.UTC).timestamp()) * 1000)]),
    ],
    ids=str,
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_date_is_one_moment_in_utc_wherever_the_check_runs(monkeypatch, opened, stored, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with opened(pa.table({"text": ["a"], "date": stored})) as batch:
            assert held(batch, "date") == [DATE]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_parts_that_disagree_are_told_even_behind_one_without_values(tmp_path, opened):
    for name, sizes in (("a", pa.nulls(1)), ("b", ["L"]), ("c", [4])):
        pq.write_table(pa.table({"text": ["a"], "size": sizes}), tmp_path / f"{name}.parquet")
    with (
        pytest.raises(BatchError, match=r"'size' is VARCHAR in .*b\.parquet and BIGINT in .*c\.parquet"),
        opened([tmp_path / f"{name}.parquet" for name in "abc"]),
    ):
        pass


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 0])
def test_no_number_is_too_large_to_be_asked_whether_it_is_a_date(opened, number):
    with opened(pa.table({"text": ["a"], "date": pa.array([number])})) as batch:
        assert held(batch, "date") == [dt.datetime(1970, 1, 1) if number == 0 else None]


def test_nan_is_no_date(opened):
    with opened(pa.table({"text": ["a"], "date": pa.array([float("nan")])})) as batch:
        assert held(batch, "date") == [None]


@pytest.mark.parametrize(
    "written",
    ["2024-02-30", "2024-02-30 10:00:00", "2024-02-30T10:00:00Z", "30/02/2024", "30 Feb 2024", "2024-01-01 25:00:00",
     "0000-00-00", "0000-00-00 00:00:00", "yesterday", "infinity", "epoch", "1234", "12345678901"],
)  # fmt: skip
def test_a_day_that_no_calendar_has_is_no_date(opened, written):
    with opened(pa.table({"text": ["a"], "date": [written]})) as batch:
        assert held(batch, "date") == [None]


def test_day_or_month_first_is_settled_by_what_can_be_read(opened):
    with opened(pa.table({"text": ["a", "b"], "date": ["03/04/2024", "25/12/2023"]})) as batch:
        assert held(batch, "date")[0] == dt.datetime(2024, 4, 3)
    with opened(pa.table({"text": ["a", "b"], "date": ["03/04/2024", "12/25/2023"]})) as batch:
        assert held(batch, "date")[0] == dt.datetime(2024, 3, 4)


def test_an_id_that_is_a_number_is_read_as_text(opened):
    with opened(pa.table({"text": ["a"], "id": [7]})) as batch:
        assert held(batch, "id") == ["7"]
        assert [column.type for column in batch.own_columns] == ["VARCHAR", "BIGINT"]


def test_a_column_that_is_named_like_another_columns_role_keeps_a_name_of_its_own(opened):
    data = pa.table({"Inhalt": ["a"], "text": ["other"]})
    with opened(data, kind="reviews", columns={"Inhalt": "text"}) as batch:
        assert held(batch, "text") == ["a"]
        assert held(batch, "text (of the file)") == ["other"]
        assert batch.mapping == {"text": "Inhalt"}


def test_the_mapping_whose_columns_are_there_settles_the_kind(opened):
    mappings = {"reviews": {"Inhalt": "text"}, "products": {"Titel": "title"}}
    with opened(pa.table({"Titel": ["a"], "Preis": ["5"]}), columns=mappings) as batch:
        assert (batch.kind, batch.mapping) == ("products", {"title": "Titel"})
    with opened(pa.table({"Inhalt": ["a"], "Titel": ["5"]}), columns=mappings, kind="reviews") as batch:
        assert batch.mapping == {"text": "Inhalt"}


# --- ends -----------------------------------------------------------------------------------------------------------


def test_a_frame_in_memory_is_a_batch(opened):
    with opened(pd.DataFrame({"text": ["a", None], "stars": [5, 1]})) as batch:
        assert held(batch, "text") == ["a", None]
        (source,) = batch.sources
        assert (source.format, source.sha256, source.rows) == ("table", "", 2)


def test_the_hash_of_a_source_is_that_of_its_bytes(tmp_path, opened):
    import hashlib

    path = csv(tmp_path / "a.csv", "text,stars", "a,5")
    with opened(path) as batch:
        assert batch.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def open_files():
    """The files that this process holds open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing itself is closed by now
            found.append(str(descriptor.readlink()))
    return sorted(name for name in found if name.startswith("/"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed in /proc on Linux only")
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_no_file_stays_open_however_the_work_ends(tmp_path, opened, error):
    path = csv(tmp_path / "a.csv", "text,stars", "a,5")
    before = open_files()
    try:
        with opened(path) as batch:
            batch.register("upper", lambda texts: texts, ["VARCHAR"], "VARCHAR")
            if error:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert error is type(raised)  # noqa: PT017 - both ends are tested here
    assert open_files() == before


@pytest.mark.parametrize("work", ["sum(sqrt(a.range * b.range))", "count({sleep}(a.range, b.range))"])
def test_ctrl_c_stops_duckdb_whatever_it_is_at(opened, work):
    def sleep(a, b):
        time.sleep(0.01)
        return a

    pressed = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    with opened(pa.table({"text": ["a"]})) as batch:
        name = batch.register("sleep", sleep, ["BIGINT", "BIGINT"], "BIGINT")
        pressed.start()
        with pytest.raises(KeyboardInterrupt):
            batch.rows_of(f"select {work.format(sleep=name)} from range(10_000_000) a, range(10_000_000) b")


def test_duckdb_draws_no_progress_bar_into_our_answer(tmp_path):
    """Where Python runs no file (python -c, a notebook), DuckDB would draw one on standard output after two seconds."""
    program = f"""
import time, pyarrow, pathlib
from expectations.batch import open_batch
with open_batch(pyarrow.table({{"text": ["a"]}}), scratch=pathlib.Path({str(tmp_path)!r})) as batch:
    rows, took = 20_000, 0.0
    while took < 2.5:
        began = time.monotonic()
        batch.rows_of(f"select sum(sqrt(a.range * b.range)) from range({{rows}}) a, range(20000) b")
        took, rows = time.monotonic() - began, 2 * rows
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == ""


def test_a_mistake_of_ours_is_not_taken_for_damage(tmp_path, opened):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(duckdb.BinderException), opened(tmp_path / "a.parquet") as batch:
        batch.rows_of("select nothing_of_this_name from batch")


def test_damage_that_shows_only_while_reading_is_told(tmp_path, opened):
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(1000)]}), tmp_path / "a.parquet", compression="snappy")
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[len(whole) // 3 : len(whole) // 3 + 200] = b"\xff" * 200
    (tmp_path / "a.parquet").write_bytes(whole)
    with pytest.raises(BatchError, match=r"a\.parquet is damaged"), opened(tmp_path / "a.parquet") as batch:
        batch.rows_of("select max(c0) from batch")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1500000000", dt.datetime(2017, 7, 14, 2, 40)),
        ("1500000000000", dt.datetime(2017, 7, 14, 2, 40)),
        ("2020-01-01 10:00", dt.datetime(2020, 1, 1, 10)),
        ("20200101", dt.datetime(2020, 1, 1)),
        ("soon", None),
    ],
)
def test_a_written_date_is_read(written, read, tmp_path, opened):
    with opened(csv(tmp_path / "new.csv", "text,date", f"fits,{written}")) as batch:
        assert held(batch, "date") == [read]


def test_a_mapping_that_does_not_fit_is_told(tmp_path, opened):
    path = csv(tmp_path / "new.csv", "text,stars", "fits,5")
    with opened(path, columns={"reviews": {"Content": "text"}}) as batch:
        assert batch.notes == ("[data.reviews.columns] was not used: the batch has no column 'Content'",)


@pytest.mark.parametrize("written", ["31/12/24", "31.12.24", "31-12-24", "12/31/24", "12-31-24", "2024/12/31"])
def test_a_year_of_two_digits_is_of_this_century(written, opened):
    with opened(pa.table({"text": ["a"], "date": [written]})) as batch:
        assert held(batch, "date") == [dt.datetime(2024, 12, 31)]
