import csv
import gzip
import io
import itertools
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from expectations.column_names import ROW
from expectations.errors import BatchError
from expectations.readers import Part, check_same_columns, read, read_table
from expectations.sources import find_sources

counter = itertools.count()
database = duckdb.connect()


def read_bytes(data: bytes, name: str, folder: Path, **options: Any) -> Part:
    path = folder / f"{next(counter)}-{name}"
    path.write_bytes(data)
    return read_path(path, folder / "scratch", **options)


def read_path(address: str | Path, scratch: Path, **options: Any) -> Part:
    (found,) = find_sources([address], scratch)
    return read(found, scratch, **options)


def rows(part: Part) -> list[tuple[Any, ...]]:
    """All rows in order, the number of the record first."""
    number = f'"{part.row_column}"' if part.row_column else "file_row_number + 1"
    names = ", ".join('"' + name.replace('"', '""') + '"' for name, _ in part.columns)
    query = f"SELECT {number}, {names} FROM read_parquet(?, file_row_number = true) ORDER BY 1"
    return database.execute(query, [str(part.path)]).fetchall()


def rejected(part: Part) -> list[tuple[int, str, bytes]]:
    if part.rejected is None:
        return []
    return database.execute("SELECT row, reason, raw FROM read_parquet(?)", [str(part.rejected)]).fetchall()


def left_in(folder: Path) -> list[str]:
    return [path.name for path in (folder / "scratch").glob("*")]


# --- CSV: what is read ---------------------------------------------------------------------------------------------


def test_csv_values_stay_as_written_and_an_unquoted_empty_field_is_null(tmp_path: Path) -> None:
    part = read_bytes(b'text,stars\n  fits , 05\n,""\n"",\n"a, ""b""\nc",1e3\n', "new.csv", tmp_path)
    assert rows(part) == [(1, "  fits ", " 05"), (2, None, ""), (3, "", None), (4, 'a, "b"\nc', "1e3")]
    assert part.columns == (("text", "VARCHAR"), ("stars", "VARCHAR"))
    assert (part.row_column, part.rows, part.rejected, part.rejected_rows, part.notes) == (ROW, 4, None, 0, ())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    lines = [["text", "price", "note"], ["a, b; c", "1,50", "x|y"], ["d", "2,25", "tab\there"]] * 5
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(
        [lines[0], *(row for row in lines if row[1] != "price")]
    )
    part = read_bytes(out.getvalue().encode(), "new.csv", tmp_path)
    assert [name for name, _ in part.columns] == ["text", "price", "note"]
    assert rows(part)[0] == (1, "a, b; c", "1,50", "x|y")


@pytest.mark.parametrize(
    ("data", "name", "note"),
    [
        (b"text\tstars\nfits, well\t5\nok\t4\n", "new.csv", "is separated by tabs, not by commas"),
        (b"text;price\nfits;1,5\nok;2,5\n", "new.csv", "is separated by semicolons, not by commas"),
        (b"text,stars\nfits,5\nok,4\n", "new.tsv", "is separated by commas, not by tabs"),
    ],
)
def test_a_wrong_delimiter_under_the_name_is_read_rightly_with_a_note(
    data: bytes, name: str, note: str, tmp_path: Path
) -> None:
    part = read_bytes(data, name, tmp_path)
    assert (len(part.columns), part.rows) == (2, 2)
    assert note in part.notes[0]


def test_the_delimiter_may_be_given(tmp_path: Path) -> None:
    part = read_bytes(b"text~stars\na,b~5\n", "new.csv", tmp_path, delimiter="~")
    assert rows(part) == [(1, "a,b", "5")]
    with pytest.raises(BatchError, match="'::' is no delimiter"):
        read_bytes(b"a\n1\n", "new.csv", tmp_path, delimiter="::")


def test_one_column_is_enough_and_blank_lines_are_no_records(tmp_path: Path) -> None:
    part = read_bytes(b'text\nfits\n\n""\nok\n\n', "new.csv", tmp_path)
    assert rows(part) == [(1, "fits"), (2, ""), (3, "ok")]
    assert "2 blank lines" in part.notes[0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_understood(end: str, tmp_path: Path) -> None:
    data = end.join(["text,stars", "fits,5", f'"two{end}lines",4', ""])
    assert rows(read_bytes(data.encode(), "new.csv", tmp_path)) == [(1, "fits", "5"), (2, f"two{end}lines", "4")]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    assert rows(read_bytes(gzip.compress(b"text\nfits\n"), "new.csv.gz", tmp_path)) == [(1, "fits")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_settles_the_encoding(encoding: str, tmp_path: Path) -> None:
    part = read_bytes("text,stars\nGrößer – 好,5\n".encode(encoding), "new.csv", tmp_path)
    assert part.columns[0][0] == "text"
    assert rows(part) == [(1, "Größer – 好", "5")]
    assert len(left_in(tmp_path)) == 1


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "cp500"])
def test_an_encoding_may_be_given(encoding: str, tmp_path: Path) -> None:
    part = read_bytes("text,stars\nGrößer,5\n".encode(encoding), "new.csv", tmp_path, encoding=encoding)
    assert rows(part) == [(1, "Größer", "5")]


def test_an_encoding_whose_letters_hold_delimiter_bytes_is_split_rightly(tmp_path: Path) -> None:
    text = "ポ|ン"  # the second byte of several kana is that of | or \ in Shift JIS
    part = read_bytes(f'text|stars\n"{text}"|5\nソ|4\n'.encode("shift_jis"), "new.csv", tmp_path, encoding="shift_jis")
    assert rows(part) == [(1, text, "5"), (2, "ソ", "4")]


def test_an_unknown_encoding_is_told(tmp_path: Path) -> None:
    for name in ("latin-42", "base64"):
        with pytest.raises(BatchError, match=f"'{name}' is no text encoding. Known are utf-8"):
            read_bytes(b"a\n1\n", "new.csv", tmp_path, encoding=name)


def test_names_that_are_keywords_or_hold_quotes_survive(tmp_path: Path) -> None:
    part = read_bytes(b'select,"say ""hi""",a;b,"x\ny",\'; drop\n1,2,3,4,5\n', "new.csv", tmp_path)
    assert [name for name, _ in part.columns] == ["select", 'say "hi"', "a;b", "x\ny", "'; drop"]
    assert rows(part) == [(1, "1", "2", "3", "4", "5")]


def test_five_thousand_columns_are_read_in_seconds(tmp_path: Path) -> None:
    header = ",".join(f"column number {i}" for i in range(5000))
    line = ",".join("x" for _ in range(5000))
    started = time.process_time()
    part = read_bytes("\n".join([header] + [line] * 300).encode(), "new.csv", tmp_path)
    assert (len(part.columns), part.rows) == (5000, 300)
    assert time.process_time() - started < 20


def test_a_text_of_fifty_megabytes_is_read(tmp_path: Path) -> None:
    data = b'text,stars\nfits,5\n"' + b'good ""shoe""\n' * 3_500_000 + b'",4\nok,3\n'
    part = read_bytes(data, "new.csv", tmp_path)
    assert (part.rows, part.rejected_rows) == (3, 0)
    longest = database.execute("SELECT max(length(text)) FROM read_parquet(?)", [str(part.path)]).fetchall()
    assert longest == [(len('good "shoe"\n') * 3_500_000,)]


# --- CSV: single records that cannot be read -----------------------------------------------------------------------


def test_a_record_of_another_width_is_rejected_with_its_bytes(tmp_path: Path) -> None:
    part = read_bytes(b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n5,6,7\n8,9,0\n", "new.csv", tmp_path)
    assert rows(part) == [(1, "1", "2", "3"), (4, "5", "6", "7"), (5, "8", "9", "0")]
    assert rejected(part) == [
        (2, "2 fields, the header has 3", b"1,2\n"),
        (3, "4 fields, the header has 3", b"1,2,3,4\n"),
    ]


def test_undecodable_bytes_and_nuls_reject_their_record_only(tmp_path: Path) -> None:
    part = read_bytes("text,stars\ngrößer,5\n".encode() + b"caf\xe9,4\nn\0l,3\nok,2\n", "new.csv", tmp_path)
    assert rows(part) == [(1, "größer", "5"), (4, "ok", "2")]
    assert rejected(part) == [(2, "the bytes are not valid utf-8", b"caf\xe9,4\n"), (3, "a NUL byte", b"n\0l,3\n")]


def test_an_undecodable_line_inside_a_quoted_text_rejects_the_whole_record(tmp_path: Path) -> None:
    part = read_bytes(b'text,stars\n"one\ncaf\xe9\ntwo",4\nok,2\n', "new.csv", tmp_path)
    assert rows(part) == [(2, "ok", "2")]
    assert rejected(part) == [(1, "the bytes are not valid utf-8", b'"one\ncaf\xe9\ntwo",4\n')]


def test_a_latin_1_file_is_recognised_in_a_note(tmp_path: Path) -> None:
    lines = ["text,stars", *(f"caf\xe9 {i},5" for i in range(30)), *(f"plain {i},4" for i in range(70))]
    part = read_bytes("\n".join(lines).encode("latin-1"), "new.csv", tmp_path)
    assert (part.rows, part.rejected_rows) == (70, 30)
    assert "30 of 100 records" in part.notes[0]
    assert "not UTF-8; it looks like Latin-1 or cp1252 (Windows): pass --encoding cp1252" in part.notes[0]


def test_few_latin_1_records_are_noticed_when_most_letters_beyond_ascii_are_theirs(tmp_path: Path) -> None:
    lines = ["text,stars", *(f"caf\xe9 {i},5" for i in range(20)), *(f"plain {i},4" for i in range(5000))]
    part = read_bytes("\n".join(lines).encode("latin-1"), "new.csv", tmp_path)
    assert "20 of 5,020 records" in part.notes[0]


def test_a_file_of_only_undecodable_records_is_told_with_the_encoding(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"none of the 2 records .* could be read: .*looks like Latin-1.*--encoding"):
        read_bytes(b"text,stars\ncaf\xe9,5\n\xe9,4\n", "new.csv", tmp_path)
    assert left_in(tmp_path) == []


def test_a_malformed_quote_rejects_its_record(tmp_path: Path) -> None:
    part = read_bytes(b'text,stars\n"he said "hi" to me",5\nok,4\n', "new.csv", tmp_path)
    assert rejected(part) == [(1, "a quote inside a quoted field is not doubled", b'"he said "hi" to me",5\n')]
    assert rows(part) == [(2, "ok", "4")]


def test_a_bare_carriage_return_rejects_its_record(tmp_path: Path) -> None:
    part = read_bytes(b"text,stars\none\rtwo,5\nok,4\n", "new.csv", tmp_path)
    assert rejected(part) == [(1, "a carriage return stands outside quotes", b"one\rtwo,5\n")]
    assert rows(part) == [(2, "ok", "4")]


OPEN = "a quote is opened and never closed"


def test_an_open_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = [f"text {i},{i}" for i in range(20_000)]
    lines[100] = '"5 inch,100'
    part = read_bytes("\n".join(["text,stars", *lines, ""]).encode(), "new.csv", tmp_path)
    assert part.rows == 19_999
    assert rejected(part) == [(101, OPEN, b'"5 inch,100\n')]
    assert rows(part)[100] == (102, "text 101", "101")


def test_an_open_quote_that_a_later_quote_closes_costs_its_own_line_only(tmp_path: Path) -> None:
    data = b'text,stars\n"5 inch,1\nok,2\nfine,3\n"quoted",4\n"5 inch again,5\nlast,6\n'
    part = read_bytes(data, "new.csv", tmp_path)
    assert rejected(part) == [(1, OPEN, b'"5 inch,1\n'), (5, OPEN, b'"5 inch again,5\n')]
    assert [row[0] for row in rows(part)] == [2, 3, 4, 6]


def test_a_long_text_of_many_lines_is_one_record(tmp_path: Path) -> None:
    long = "\n".join(f"line {i} of a text without that many commas" for i in range(5_000))
    part = read_bytes(f'text,stars\n"{long}",5\nok,4\n'.encode(), "new.csv", tmp_path)
    assert rows(part) == [(1, long, "5"), (2, "ok", "4")]


def test_a_faulty_record_of_several_lines_is_rejected_whole(tmp_path: Path) -> None:
    part = read_bytes(b'a,b,c\n"one\ntwo\nthree",2\n1,2,3\n4,5,6\n', "new.csv", tmp_path)
    assert rejected(part) == [(1, "2 fields, the header has 3", b'"one\ntwo\nthree",2\n')]
    assert [row[0] for row in rows(part)] == [2, 3]


# --- CSV: files that cannot be read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"a,b,c\n1\n2\n3,4\n",
            r"ragged, separated by commas: its header has 3 fields, most .* have 1; .* on line 2\.",
        ),
        (b"text\na,b,c\nd,e,f\n", r"ragged, .* its header has 1 field, most records have 3; the first is on line 2\."),
        (b"a,b\n1,2\n1,2,3\n1,2,3\n1,2,3\n", r"header has 2 fields, most records have 3; the first is on line 3\."),
        (b"a,a,b\n1,2,3\n", r"columns 1 and 2 of .* are both called 'a'\. Rename one"),
        (b"Text,text\n1,2\n", r"columns 1 and 2 of .* differ only in case: 'Text' and 'text'"),
        (b",text\n0,fits\n", r"column 1 of 2 in .* has no name\. .*index=False"),
        (b"text,__shopmon_row\nfits,1\n", r"column '__shopmon_row' in .* has a name that shopmon keeps for itself"),
        (
            b"4.5,fits,2020-01-01\n3.0,ok,2020-01-02\n",
            r"seems to have no header: its first line is data \('4\.5', 'fits'",
        ),
        (b"caf\xe9,stars\nx,5\n", r"the header of .* is not valid utf-8\. Pass the encoding"),
        (b'"text,stars\nx,5\n', r"the header of .* cannot be read: a quote is opened and never closed"),
        (b"text,stars\n", r"has 0 rows, only columns"),
        (b" \n\n", r"holds no records, only white space|has 0 rows|has no name"),
        (b"\n\n\n", r"holds no records, only white space"),
        ("text,stars\nfits,5\n".encode("utf-16-le"), r"is binary, or UTF-16 without a byte order mark: .* are NUL"),
        (b"text\0,stars\nfits and fits and fits and fits and fits,5\n", r"column 1 in .* holds a NUL character"),
    ],
)
def test_a_text_file_that_cannot_be_read_is_told(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=message):
        read_bytes(data, "new.csv", tmp_path)
    assert left_in(tmp_path) == []


def test_a_file_that_becomes_ragged_after_the_sample_is_told(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,2\n" * 30_000 + b"1,2,3\n" * 40_000
    with pytest.raises(BatchError, match=r"header has 2 fields, most records have 3; the first is on line 30,002"):
        read_bytes(data, "new.csv", tmp_path)
    assert left_in(tmp_path) == []


def test_years_and_numbers_may_be_names_of_columns(tmp_path: Path) -> None:
    assert read_bytes(b"name,2019,2020\na,1,2\n", "new.csv", tmp_path).rows == 1
    assert read_bytes(b"0,1,2\n7,8,9\n", "new.csv", tmp_path).rows == 1


def test_truncated_gzip_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(b"text\n" + b"".join(b"line %d\n" % (i * i) for i in range(50_000)))
    with pytest.raises(BatchError, match="is a truncated or corrupt gzip file"):
        read_bytes(packed[: len(packed) // 2], "new.csv.gz", tmp_path)
    assert left_in(tmp_path) == []


def test_columns_without_records_may_be_allowed(tmp_path: Path) -> None:
    part = read_bytes(b"text,stars\n", "new.csv", tmp_path, allow_empty=True)
    assert (part.rows, len(part.columns)) == (0, 2)


# --- CSV: properties -----------------------------------------------------------------------------------------------

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=12)


@st.composite
def text_tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=20))


@settings(deadline=None)
@given(text_tables(), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_csv_writes_is_read_back_with_its_row_numbers(
    table: list[list[str]], delimiter: str, quoting: Any
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)
    writer.writerow([f"column {i}" for i in range(len(table[0]))])
    writer.writerows(table)
    quoted = quoting == csv.QUOTE_ALL or len(table[0]) == 1  # the csv module quotes an empty field that stands alone
    expected = [(i, *(cell if cell or quoted else None for cell in row)) for i, row in enumerate(table, start=1)]
    with tempfile.TemporaryDirectory() as folder:
        part = read_bytes(out.getvalue().encode(), "new.csv", Path(folder), delimiter=delimiter)
        assert rows(part) == expected
        assert part.rejected_rows == 0


def _check_that_none_is_lost(data: bytes, name: str, count: Callable[[bytes], int] | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            part = read_bytes(data, name, Path(folder))
        except BatchError:
            assert left_in(Path(folder)) == []
            return
        numbers = [row[0] for row in rows(part)] + [row for row, _, _ in rejected(part)]
        assert sorted(numbers) == list(range(1, part.rows + part.rejected_rows + 1))
        if count is not None:
            assert part.rows + part.rejected_rows == count(data)


@settings(deadline=None, max_examples=150)
@given(st.binary(min_size=1, max_size=300))
@example(b'a,b\n"x\n1,2\n')
@example(b"\xff\xfea\x00\n\x00\x00\xd8\n\x00b")
@example(b"a\n\xef\xbb\xbf\n")
@example(b"\x00\x00\xfe\xff\x00")
def test_random_bytes_as_csv_raise_nothing_but_a_batch_error(data: bytes) -> None:
    _check_that_none_is_lost(data, "new.csv", None)


csv_bytes = st.lists(
    st.sampled_from([b"a", b",", b"\n", b'"', b'""', b"\r\n", b"\xe9", b"\0", b"1,2\n", b'"x\ny",3\n'])
)


@settings(deadline=None, max_examples=200)
@given(csv_bytes.map(lambda pieces: b"first,second\n" + b"1,2\n" * 20 + b"".join(pieces) + b"\n"))
def test_no_byte_of_broken_csv_is_lost(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            part = read_bytes(data, "new.csv", Path(folder))
        except BatchError:
            return
        refused = b"".join(raw for _, _, raw in rejected(part))
        readable = rows(part)
        texts = "".join(cell for row in readable for cell in row[1:] if cell)
        kept = data.removeprefix(b"first,second\n")
        for byte in (b"a", b"x", b"\xe9", b"\0"):  # what is neither read nor refused would be missing here
            assert kept.count(byte) == refused.count(byte) + texts.encode().count(byte)


@settings(deadline=None, max_examples=150)
@given(st.binary(min_size=1, max_size=200).filter(lambda data: not data.startswith((b"\xff\xfe", b"\xfe\xff"))))
def test_random_bytes_as_json_lines_lose_no_line(data: bytes) -> None:
    good = b'{"a": 1}\n' + data
    ends = b"\n" if b"\n" in good else b"\r"
    _check_that_none_is_lost(good, "new.jsonl", lambda data: sum(bool(line.strip()) for line in data.split(ends)))


# --- JSON lines ----------------------------------------------------------------------------------------------------


def lines(*records: Any) -> bytes:
    return b"".join(
        (record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()) + b"\n"
        for record in records
    )


def test_json_lines_keep_types_and_late_columns(tmp_path: Path) -> None:
    data = lines({"text": "fits", "stars": 5, "ok": True}, {"stars": None, "price": 9.5}, {"text": "", "price": 3})
    part = read_bytes(data, "new.jsonl", tmp_path)
    assert part.columns == (("text", "VARCHAR"), ("stars", "BIGINT"), ("ok", "BOOLEAN"), ("price", "DOUBLE"))
    assert rows(part) == [(1, "fits", 5, True, None), (2, None, None, None, 9.5), (3, "", None, None, 3.0)]
    assert part.notes == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "cut', "broken JSON: Unterminated string starting at at character 10"),
        (b"[1, 2]", "a JSON array, not an object"),
        (b"null", "a JSON null, not an object"),
        (b"3", "a JSON number, not an object"),
        (b'{"text": "caf\xe9"}', "the bytes are not valid utf-8"),
        (b'{"text": 1, "text": 2}', "broken JSON: the key 'text' stands in one object twice"),
        (b'{"text": {"a": 1, "a": 2}}', "broken JSON: the key 'a' stands in one object twice"),
        (b'{"text": NaN}', "broken JSON: NaN is no JSON"),
        (b'{"text": -Infinity}', "broken JSON: -Infinity is no JSON"),
        (b'{"text": 1e999}', "broken JSON: 1e999 is too large for a 64-bit float"),
        (rb'{"text": "\ud83d"}', "broken JSON: half of a surrogate pair"),
        (b'{"text": "a"} {"text": "b"}', "broken JSON: Extra data at character 15"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "broken JSON: nested too deeply"),
        (b'{"text": "n\0l"}', "broken JSON: Invalid control character at at character 12"),
    ],
)
def test_a_broken_json_line_is_rejected_with_its_bytes(line: bytes, reason: str, tmp_path: Path) -> None:
    part = read_bytes(lines({"text": "fits"}, line, {"text": "ok"}), "new.jsonl", tmp_path)
    assert rows(part) == [(1, "fits"), (3, "ok")]
    assert rejected(part) == [(2, reason, line + b"\n")]


def test_a_number_of_too_many_digits_rejects_its_line(tmp_path: Path) -> None:
    part = read_bytes(lines({"text": 1}, b'{"text": ' + b"9" * 5000 + b"}"), "new.jsonl", tmp_path)
    assert "4300 digits" in rejected(part)[0][1]


@pytest.mark.parametrize(
    ("values", "kind", "kept", "note"),
    [
        ([1, 2.5], "DOUBLE", [1.0, 2.5], None),
        ([1, "a"], "VARCHAR", ["1", "a"], "holds numbers and text; it is read as text"),
        ([True, 1], "VARCHAR", ["true", "1"], "holds booleans and numbers; it is read as text"),
        ([2**63 - 1, -(2**63)], "BIGINT", [2**63 - 1, -(2**63)], None),
        ([2**63, 1], "VARCHAR", [str(2**63), "1"], "holds integers beyond 64 bits; it is read as text"),
        ([2**53 + 1, 0.5], "VARCHAR", [str(2**53 + 1), "0.5"], "holds fractions and integers beyond 2^53"),
        ([{"a": [1, "ü"]}, []], "VARCHAR", ['{"a": [1, "ü"]}', "[]"], "they are kept as JSON text"),
        ([None, None], "VARCHAR", [None, None], None),
    ],
)
def test_a_json_column_gets_the_one_type_that_holds_all(
    values: list[Any], kind: str, kept: list[Any], note: str | None, tmp_path: Path
) -> None:
    part = read_bytes(lines(*({"x": value} for value in values)), "new.jsonl", tmp_path)
    assert part.columns == (("x", kind),)
    assert [row[1] for row in rows(part)] == kept
    assert (note in part.notes[0]) if note else part.notes == ()


@pytest.mark.parametrize("array", [b'[{"a": 1}, {"a": 2}]', b'[\n  {"a": 1},\n  {"a": 2}\n]\n', b"[]", b"[\n]"])
def test_one_big_json_array_is_told_with_how_to_convert_it(array: bytes, tmp_path: Path) -> None:
    with pytest.raises(
        BatchError, match=r"is one JSON array, not JSON lines\. Write one object per line: jq -c '\.\[\]'"
    ):
        read_bytes(array, "new.json", tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{\n  "a": 1\n}\n', r"none of the 3 lines of .* is a JSON object: line 1: .*jq -c \."),
        (b"text,stars\nfits,5\n", r"none of the 2 lines of .* is a JSON object: line 1: broken JSON: Expecting value"),
        (b" \n \n", "holds no records, only white space"),
        (b'{"__shopmon_row": 1}\n', "has a name that shopmon keeps for itself"),
        (b'{"Text": 1}\n{"text": 2}\n', "differ only in case: 'Text' and 'text'"),
        (b'{"": 1}\n', "column 1 of 1 .* has no name"),
        (b"{}\n", "has no columns"),
        (b'{"a\0": 1}'.replace(b"\0", rb"\u0000"), "holds a NUL character"),
        ('{"a": 1}\n'.encode("utf-16-be"), "UTF-16 without a byte order mark"),
    ],
)
def test_json_lines_that_cannot_be_read_are_told(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=message):
        read_bytes(data, "new.jsonl", tmp_path)
    assert left_in(tmp_path) == []


def test_keys_that_are_data_are_told(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"has more than 10,000 different keys\. Are some keys data\?"):
        read_bytes(lines(*({f"key {i}": 1} for i in range(10_001))), "new.jsonl", tmp_path)


json_values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | cells


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), json_values, min_size=1), min_size=1, max_size=10))
def test_json_lines_are_read_back(records: list[dict[str, Any]]) -> None:
    def same(arrived: Any, kept: Any, kind: str) -> bool:
        if arrived is None or kind != "VARCHAR" or isinstance(arrived, str):
            return bool(arrived == kept)
        return isinstance(kept, str) and bool(json.loads(kept) == arrived)

    with tempfile.TemporaryDirectory() as folder:
        part = read_bytes(lines(*records), "new.jsonl", Path(folder))
        for record, row in zip(records, rows(part), strict=True):
            assert all(same(record.get(n), v, k) for (n, k), v in zip(part.columns, row[1:], strict=True))


# --- parquet -------------------------------------------------------------------------------------------------------


def parquet(folder: Path, table: Any, name: str = "new.parquet", **options: Any) -> Path:
    path = folder / name
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def test_parquet_is_used_in_place(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": ["fits", "ok"], "tags": [["a"], []], "at": [{"x": 1}, None]})
    part = read_path(path, tmp_path / "scratch")
    assert (part.path, part.row_column, part.rows, part.rejected) == (path, None, 2, None)
    assert part.columns == (("text", "VARCHAR"), ("tags", "VARCHAR[]"), ("at", "STRUCT(x BIGINT)"))
    assert [row[0] for row in rows(part)] == [1, 2]
    assert not (tmp_path / "scratch").exists()


def test_truncated_parquet_is_told_with_what_arrived(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": [str(i) for i in range(1000)]})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        BatchError, match=r"is truncated parquet: 1,000 bytes arrived, the last are b'.*' and not b'PAR1'\. Del"
    ):
        read_path(path, tmp_path / "scratch")


def test_a_corrupt_footer_is_told(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"text": ["fits"]})
    data = bytearray(path.read_bytes())
    data[-60:-12] = b"\xff" * 48
    path.write_bytes(data)
    with pytest.raises(BatchError, match=r"is corrupt parquet \(\d+ bytes\): .* Write or deliver it again"):
        read_path(path, tmp_path / "scratch")


@settings(deadline=None, max_examples=100)
@example(b"\x80", 216, False)  # a column's name that is no UTF-8
@given(st.binary(max_size=60), st.integers(0, 400), st.booleans())
def test_damaged_parquet_raises_nothing_but_a_batch_error(damage: bytes, place: int, cut: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = parquet(Path(folder), {"text": ["fits", None], "stars": [1, 2]})
        data = path.read_bytes()
        place = 4 + place % (len(data) - 4)
        path.write_bytes(data[:place] + damage + (b"" if cut else data[place + len(damage) :]))
        try:
            part = read_path(path, Path(folder) / "scratch")
        except BatchError:
            return
        assert part.columns


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"text": pa.array([], pa.string())}), "has 0 rows, only columns"),
        (pa.table([[1], [2]], names=["a", "a"]), "columns 1 and 2 of .* are both called 'a'"),
        (pa.table({"Text": ["a"], "text": ["b"]}), "differ only in case: 'Text' and 'text'"),
        (pa.table({"__shopmon_file": [1]}), "shopmon keeps for itself"),
        (pa.table({"": [1]}), "column 1 of 1 .* has no name"),
    ],
)
def test_parquet_that_cannot_be_used_is_told(table: pa.Table, message: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=message):
        read_path(parquet(tmp_path, table), tmp_path / "scratch")


def test_encrypted_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "new.parquet"
    path.write_bytes(b"PAR1" + b"\x15" * 100 + b"\x20\0\0\0PARE")
    with pytest.raises(BatchError, match="is encrypted parquet"):
        read_path(path, tmp_path / "scratch")


def test_a_parquet_name_with_glob_characters_is_that_file(tmp_path: Path) -> None:
    parquet(tmp_path, {"text": ["wrong"]}, "new1.parquet")
    part = read_path(parquet(tmp_path, {"text": ["right"]}, "new[1].parquet"), tmp_path / "scratch")
    assert rows(part) == [(1, "right")]


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "date=2020-01-01").mkdir()
    part = read_path(parquet(tmp_path / "date=2020-01-01", {"text": ["a"]}), tmp_path / "scratch")
    assert part.columns == (("text", "VARCHAR"),)


def test_five_thousand_parquet_columns_with_odd_names_survive(tmp_path: Path) -> None:
    names = ["select", 'say "hi"', "'; drop table x; --", *(f"c{i}" for i in range(4997))]
    part = read_path(parquet(tmp_path, {name: ["x"] for name in names}), tmp_path / "scratch")
    assert [name for name, _ in part.columns] == names


# --- several files -------------------------------------------------------------------------------------------------


def parts(folder: Path, *tables: dict[str, Any]) -> Sequence[Part]:
    return [read_path(parquet(folder, t, f"{i}.parquet"), folder / "scratch") for i, t in enumerate(tables)]


def test_files_of_the_same_columns_pass_in_any_order(tmp_path: Path) -> None:
    check_same_columns(parts(tmp_path, {"a": ["x"], "b": [1]}, {"b": [2], "a": ["y"]}))


def test_files_whose_types_disagree_are_told_with_the_first_difference(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"column 'b' is BIGINT in .*0\.parquet and VARCHAR in .*1\.parquet"):
        check_same_columns(parts(tmp_path, {"a": ["x"], "b": [1]}, {"a": ["x"], "b": ["1"]}))


def test_files_whose_names_disagree_are_told(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"0\.parquet has a column 'b', .*1\.parquet has none"):
        check_same_columns(parts(tmp_path, {"a": ["x"], "b": [1]}, {"a": ["x"]}))
    with pytest.raises(BatchError, match=r"1\.parquet has a column 'c', .*0\.parquet has none"):
        check_same_columns(parts(tmp_path, {"a": ["x"]}, {"a": ["x"], "c": [1]}))


def test_parquet_written_by_different_libraries_agrees(tmp_path: Path) -> None:
    pd.DataFrame({"a": ["x"]}).to_parquet(tmp_path / "0.parquet")
    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "1.parquet")
    parquet(tmp_path, {"a": pa.array(["x"]).dictionary_encode()}, "2.parquet")
    check_same_columns([read_path(tmp_path / f"{i}.parquet", tmp_path / "scratch") for i in range(3)])


# --- Arrow and tables in memory ------------------------------------------------------------------------------------

TABLE = pa.table({"text": ["fits", None, "ok"], "stars": [5, 4, None]})
NUMBERED = [(1, "fits", 5), (2, None, 4), (3, "ok", None)]


def stream_bytes(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


def feather_bytes(table: pa.Table) -> bytes:
    out = io.BytesIO()
    feather.write_feather(table, out)
    return out.getvalue()


@pytest.mark.parametrize("written", [stream_bytes, feather_bytes])
def test_arrow_files_and_streams_are_read(written: Callable[[pa.Table], bytes], tmp_path: Path) -> None:
    assert rows(read_bytes(written(TABLE), "new.arrow", tmp_path)) == NUMBERED


@pytest.mark.parametrize("written", [stream_bytes, feather_bytes])
def test_truncated_arrow_is_told(written: Callable[[pa.Table], bytes], tmp_path: Path) -> None:
    data = written(pa.table({"text": [str(i) for i in range(5000)]}))
    with pytest.raises(BatchError, match=r"is a truncated or corrupt Arrow file \([\d,]+ bytes\)"):
        read_bytes(data[: len(data) // 2], "new.arrow", tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("kind", [lambda t: t, lambda t: t.to_pandas(), pl.from_arrow])
def test_tables_in_memory_are_read(kind: Callable[[pa.Table], Any], tmp_path: Path) -> None:
    part = read_table(kind(TABLE), tmp_path)
    assert rows(part) == NUMBERED
    assert part.row_column == ROW


def test_the_name_of_a_table_in_memory_says_what_it_is(tmp_path: Path) -> None:
    assert read_table(TABLE.to_pandas(), tmp_path).found.name == "pandas DataFrame"


def test_a_pandas_index_is_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c"]}, index=pd.Index([7, 8, 9], name="id"))
    assert rows(read_table(frame, tmp_path)) == [(1, "a"), (2, "b"), (3, "c")]
    assert rows(read_table(frame[frame.text != "b"].rename_axis(None), tmp_path)) == [(1, "a"), (2, "c")]


def test_encoded_types_become_their_values(tmp_path: Path) -> None:
    texts = pa.array(["a", None, "a"])
    table = pa.table(
        {
            "dictionary": texts.dictionary_encode(),
            "view": texts.cast(pa.string_view()),
            "large": texts.cast(pa.large_string()),
            "nothing": pa.nulls(3),
        }
    )
    part = read_table(table, tmp_path)
    assert {kind for _, kind in part.columns} == {"VARCHAR"}
    assert rows(part) == [(1, "a", "a", "a", None), (2, None, None, None, None), (3, "a", "a", "a", None)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([{"a": 1}], r"got a builtins list\. Expected is a pandas, polars or Arrow table"),
        (pd.DataFrame({"a": [1, "x"]}), r"the pandas DataFrame cannot be read as a table: .* column a .*one type"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"cannot be read as a table: Duplicate column names"),
        (pd.DataFrame({"a": []}), "the pandas DataFrame has 0 rows"),
        (pa.table({"Text": ["a"], "text": ["b"]}), "differ only in case"),
        (pl.Series([1]), "cannot be read as a table"),
        (
            pa.table({"a": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}),
            "has a column of a type that parquet lacks",
        ),
    ],
)
def test_tables_that_cannot_be_read_are_told(table: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=message):
        read_table(table, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- databases -----------------------------------------------------------------------------------------------------


def sqlite(folder: Path, *statements: str) -> str:
    path = folder / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{path}"


def test_an_sqlite_table_is_read_by_its_key(tmp_path: Path) -> None:
    url = sqlite(
        tmp_path,
        'CREATE TABLE "my ""reviews" (id INTEGER PRIMARY KEY, "select" TEXT, price REAL, day DATE, ok BOOLEAN)',
        "INSERT INTO \"my \"\"reviews\" VALUES (2, 'b', 1.5, '2020-01-02', 1), (1, 'a', 2, '02/01/2020', 0)",
    )
    part = read_path(f'{url}::my "reviews', tmp_path / "scratch")
    assert rows(part) == [(1, 1, "a", 2.0, "02/01/2020", 0), (2, 2, "b", 1.5, "2020-01-02", 1)]
    assert part.columns[1:3] == (("select", "VARCHAR"), ("price", "DOUBLE"))


def test_sqlite_columns_are_typed_by_what_they_hold(tmp_path: Path) -> None:
    url = sqlite(
        tmp_path, "CREATE TABLE t (n INTEGER, e TEXT)", "INSERT INTO t VALUES (1, NULL), ('many', NULL), (2.5, NULL)"
    )
    part = read_path(f"{url}::t", tmp_path / "scratch")
    assert rows(part) == [(1, "1", None), (2, "many", None), (3, "2.5", None)]
    assert "'n' is read as text" in part.notes[0]


def test_sqlite_text_that_is_not_utf_8_rejects_its_row(tmp_path: Path) -> None:
    url = sqlite(tmp_path, "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES ('x'), (CAST(X'636166e9' AS TEXT)), ('y')")
    part = read_path(f"{url}::t", tmp_path / "scratch")
    assert rows(part) == [(1, "x"), (3, "y")]
    assert rejected(part) == [(2, "column 'a' holds text that is not UTF-8", b"caf\xe9")]


def test_an_sqlite_view_is_read(tmp_path: Path) -> None:
    url = sqlite(tmp_path, "CREATE VIEW v AS SELECT 'x' AS a")
    assert rows(read_path(f"{url}::v", tmp_path / "scratch")) == [(1, "x")]


def test_an_unknown_table_is_told_with_near_names(tmp_path: Path) -> None:
    url = sqlite(tmp_path, "CREATE TABLE reviews (a TEXT)", "CREATE TABLE products (a TEXT)")
    with pytest.raises(BatchError, match=r"there is no table 'review' in .*; did you mean reviews\?"):
        read_path(f"{url}::review", tmp_path / "scratch")
    with pytest.raises(BatchError, match=r"there is no table 'zzz' in .*; it has products, reviews"):
        read_path(f"{url}::zzz", tmp_path / "scratch")


def test_a_missing_sqlite_file_is_told_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"the SQLite file .*none\.db does not exist"):
        read_path(f"sqlite:///{tmp_path}/none.db::t", tmp_path / "scratch")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(b"text,stars\nfits,5\n" * 100)
    with pytest.raises(BatchError, match="could not be read: file is not a database"):
        read_path(f"sqlite:///{tmp_path}/shop.db::t", tmp_path / "scratch")


def test_an_empty_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="has 0 rows, only columns"):
        read_path(f"{sqlite(tmp_path, 'CREATE TABLE t (a TEXT)')}::t", tmp_path / "scratch")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://ann:hunter2@127.0.0.1:1/shop::t", "could not be read: .*connection"),
        ("postgresql+nodriver://ann:hunter2@h/shop::t", "is no database URL that can be read"),
        ("postgresql://ann:hunter2@h:port/shop::t", "is no database URL that can be read"),
        ("oracle://ann:hunter2@h/shop::t", "needs a database driver that is not installed. pip install"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_secrets(address: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=message) as caught:
        read_path(address, tmp_path)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.fixture
def postgresql_table(postgresql_url: str) -> str:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute('DROP SCHEMA IF EXISTS "read" CASCADE')
        connection.execute('CREATE SCHEMA "read"')
        connection.execute(
            'CREATE TABLE "read".reviews (id int PRIMARY KEY, "select" text, price numeric(8, 2), weight numeric, '
            "at timestamptz, day date, tags text[], ok bool, stars float4)"
        )
        connection.execute(
            """INSERT INTO "read".reviews
               SELECT 25001 - i, 'text ' || i, i / 4.0, i / 8.0,
                      '2020-01-01 00:00:00+00', '2020-01-02', '{a,b}', true, 4.5
               FROM generate_series(1, 25000) i"""
        )
        connection.execute("""UPDATE "read".reviews SET price = 'NaN' WHERE id = 3""")
    return f"{postgresql_url}::read.reviews"


def test_a_postgresql_table_is_streamed_by_its_key(postgresql_table: str, tmp_path: Path) -> None:
    part = read_path(postgresql_table, tmp_path)
    assert (part.rows, part.rejected_rows) == (24_999, 1)
    assert dict(part.columns) == {
        "id": "BIGINT",
        "select": "VARCHAR",
        "price": "DECIMAL(8,2)",
        "weight": "VARCHAR",
        "at": "TIMESTAMP WITH TIME ZONE",
        "day": "DATE",
        "tags": "VARCHAR",
        "ok": "BOOLEAN",
        "stars": "DOUBLE",
    }
    first = rows(part)[0]
    assert first[:3] == (1, 1, "text 25000")
    assert (str(first[3]), first[4], first[7], first[9]) == ("6250.00", "3125.0000000000000000", "{a,b}", 4.5)
    assert [(row, reason) for row, reason, _ in rejected(part)] == [
        (3, "column 'price' holds a value that is no decimal128(8, 2)")
    ]


def test_a_wrong_password_is_told_without_showing_one(postgresql_url: str, tmp_path: Path) -> None:
    before, _, after = postgresql_url.partition("@")
    wrong = f"{before.rpartition(':')[0]}:not-the-password@{after}::t"
    with pytest.raises(BatchError, match=r"could not be read: .*password authentication failed") as caught:
        read_path(wrong, tmp_path)
    assert "not-the-password" not in str(caught.value)


def test_an_unknown_postgresql_table_is_told_with_near_names(postgresql_table: str, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match=r"there is no table 'revews' .*did you mean reviews\?"):
        read_path(postgresql_table.replace("read.reviews", "read.revews"), tmp_path)


# --- all -----------------------------------------------------------------------------------------------------------


def test_reading_tells_its_progress(tmp_path: Path) -> None:
    heard: list[str] = []
    read_bytes(b"text\n" + b"fits very well\n" * 600_000, "new.csv", tmp_path, progress=heard.append)
    assert len(heard) >= 2
    assert heard[-1].endswith("600,000 records")


def test_a_scratch_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file is in the way")
    with pytest.raises(BatchError, match="cannot be read, or scratch not written"):
        read_bytes(b"text\nfits\n", "new.csv", tmp_path)
