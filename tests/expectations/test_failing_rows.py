"""A page of quarantined rows is what the file says, whatever is asked for and whatever stands in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from expectations.failing_rows import failing_rows, rules_of

HOSTILE = [
    "it's", 'say "hi"', "100 %", "_", "%", "\\", "\\n", "'; drop table quarantine; --", "$b0", "a\0b",
    "\u202eRTL\u202c", "👟🏽", "İstanbul", "straße", "[x]*?", "", " ", "null", "\ud83d",
]  # fmt: skip


def quarantine_of(path: Path, rows: list[dict[str, Any]], **own: Any) -> Path:
    """A quarantine of these rows; `own` are the file's own columns."""
    defaults = {"file": "new.csv", "rules": ["text-blank"], "tolerated": False, "reason": None, "raw": None}
    filled = [{**defaults, "row": number, **row} for number, row in enumerate(rows, 1)]
    types = {"row": pa.int64(), "rules": pa.list_(pa.string()), "tolerated": pa.bool_(), "raw": pa.binary()}
    columns = {
        f"shopmon_{name}": pa.array([row[name] for row in filled], types.get(name, pa.string()))
        for name in ("file", "row", "rules", "tolerated", "reason", "raw")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**columns, **own}), path, row_group_size=4)
    return path


def test_a_page_is_what_a_check_put_aside(ask) -> None:
    rules = "- type: expect_column_values_to_not_be_null\n  kwargs: {column: text}\n  meta: {id: text-missing}"
    answer = ask(pa.table({"text": ["a", None, "c", None], "stars": [1, 2, 3, 4]}), rules)
    found = failing_rows(answer.validation.quarantine)
    assert (found.total, found.columns) == (2, ("text", "stars"))
    assert [(row.row, row.rules, row.values) for row in found.rows] == [
        (2, ("text-missing",), {"text": None, "stars": 2}),
        (4, ("text-missing",), {"text": None, "stars": 4}),
    ]
    assert rules_of(answer.validation.quarantine) == {"text-missing": 2}


def test_a_record_that_could_not_be_read_comes_with_its_bytes(tmp_path) -> None:
    raw = b"caf\xe9,5\n"
    broken = {"rules": ["unreadable"], "reason": "not UTF-8", "raw": raw}
    file = quarantine_of(tmp_path / "q.parquet", [{}, broken], text=["a", None])
    (row,) = failing_rows(file, rule="unreadable").rows
    assert (row.row, row.reason, row.raw, row.values) == (2, "not UTF-8", raw, {"text": None})
    assert failing_rows(file, contains="CAF").total == 1
    assert failing_rows(file, contains="utf-8").total == 1


def test_a_quarantine_in_parts_reads_as_one_in_their_order(tmp_path) -> None:
    folder = tmp_path / "quarantine.parquet"
    rows = [{"row": number, "rules": ["odd" if number % 2 else "even"]} for number in range(1, 12)]
    for place, (begin, end) in enumerate(((0, 5), (5, 6), (6, 11))):
        quarantine_of(folder / f"part-{place:06}.parquet", rows[begin:end], text=[str(n) for n in range(begin, end)])
    (folder / ".part-000001-of-a-late-task.parquet").write_bytes(b"half of it")
    pages = [failing_rows(folder, first=first, most=4) for first in range(0, 12, 4)]
    assert [row.row for page in pages for row in page.rows] == list(range(1, 12))
    assert [row.row for row in failing_rows(folder, rule="odd", first=1, most=3).rows] == [3, 5, 7]
    assert [row.row for row in failing_rows(folder, contains="10").rows] == [11]
    assert rules_of(folder) == {"odd": 6, "even": 5}


def test_a_folder_without_parts_is_no_quarantine(tmp_path) -> None:
    with pytest.raises(ShopmonError, match="holds no parts"):
        failing_rows(tmp_path)


def test_pages_follow_each_other_and_the_total_stays(tmp_path) -> None:
    file = quarantine_of(tmp_path / "q.parquet", [{} for _ in range(23)], text=[f"text {n}" for n in range(23)])
    pages = [failing_rows(file, contains="TEXT", first=first, most=5) for first in range(0, 30, 5)]
    assert [row.row for page in pages for row in page.rows] == list(range(1, 24))
    assert {page.total for page in pages} == {23}
    assert pages[-1].rows == ()
    assert failing_rows(file, most=0).rows == ()


def test_rules_are_counted_with_the_most_frequent_first(tmp_path) -> None:
    file = quarantine_of(tmp_path / "q.parquet", [{"rules": ["a", "b"]}, {"rules": ["b"]}, {"rules": ["c", "b"]}])
    assert list(rules_of(file).items()) == [("b", 3), ("a", 1), ("c", 1)]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_looked_for_as_it_stands(tmp_path, text) -> None:
    texts = ["nothing", *(f"before {one} after" for one in HOSTILE if one != "\ud83d")]
    file = quarantine_of(tmp_path / "q.parquet", [{} for _ in texts], text=texts)
    found = failing_rows(file, contains=text, most=99)
    assert [row.values["text"] for row in found.rows] == [one for one in texts if text in one]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_rule_is_looked_for_as_it_stands(tmp_path, text) -> None:
    rules = [[one] for one in HOSTILE if one != "\ud83d"]
    file = quarantine_of(tmp_path / "q.parquet", [{"rules": one} for one in rules])
    assert [row.rules for row in failing_rows(file, rule=text).rows] == [(one,) for (one,) in rules if one == text]


@pytest.mark.parametrize("folder", ["it's", "[x]*", "a?b", "a\\b*", "{a,b}", 'say "hi"', "é👟\n", "$b0; drop table x"])
def test_a_quarantine_is_found_in_a_folder_of_any_name_and_no_other_is_read(tmp_path, folder) -> None:
    quarantine_of(tmp_path / "x" / "q.parquet", [{}, {}])
    quarantine_of(tmp_path / "ab" / "q.parquet", [{}, {}, {}])
    file = quarantine_of(tmp_path / folder / "q.parquet", [{}], text=["mine"])
    assert [row.values for row in failing_rows(file).rows] == [{"text": "mine"}]


@pytest.mark.parametrize(
    "name",
    ["file_row_number", "FILE_ROW_NUMBER", "filename", "place", "c0", "shopmon_file (of the file)", 'a"b', "é 👟"],
)
def test_a_column_may_be_called_as_it_likes(tmp_path, name) -> None:
    texts = [f"text {n}" for n in range(10)]
    file = quarantine_of(tmp_path / "q.parquet", [{} for _ in texts], **{name: texts, "text": ["9"] * 10})
    found = failing_rows(file, contains="text", first=8)
    assert (found.columns, found.total) == ((name, "text"), 10)
    assert [row.values for row in found.rows] == [{name: "text 8", "text": "9"}, {name: "text 9", "text": "9"}]


def test_a_file_without_columns_of_its_own_still_has_rows(tmp_path) -> None:
    assert failing_rows(quarantine_of(tmp_path / "q.parquet", [{}])).rows[0].values == {}


def test_a_quarantine_without_rows_is_an_empty_page(tmp_path) -> None:
    file = quarantine_of(tmp_path / "q.parquet", [], text=pa.array([], pa.string()))
    assert (failing_rows(file).rows, failing_rows(file, rule="a").total, rules_of(file)) == ((), 0, {})


@pytest.mark.parametrize("asked", [failing_rows, rules_of])
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path, asked) -> None:
    whole = quarantine_of(tmp_path / "it's whole.parquet", [{} for _ in range(99)], text=["a" * 99] * 99).read_bytes()
    for name, written in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"text,stars\na,5\n"}.items():
        file = tmp_path / f"{name}.parquet"
        file.write_bytes(written)
        with pytest.raises(ShopmonError, match=f"{name}.parquet cannot be read: .*Check the batch again"):
            asked(file)
    with pytest.raises(ShopmonError, match=r"none.parquet does not exist. Give a run's quarantine.parquet"):
        asked(tmp_path / "none.parquet")
    with pytest.raises(ShopmonError, match="is no file"):
        asked(tmp_path)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ShopmonError, match="is no quarantine: it lacks the column 'shopmon_file', and has 'text'"):
        asked(tmp_path / "other.parquet")
    pq.write_table(pa.table({f"shopmon_{n}": ["a"] for n in ("file", "row", "rules", "tolerated", "reason", "raw")}),
                   tmp_path / "flat.parquet")  # fmt: skip
    with pytest.raises(ShopmonError, match="it lacks a list of rules in 'shopmon_rules'"):
        asked(tmp_path / "flat.parquet")


def test_a_file_that_is_damaged_inside_is_named(tmp_path) -> None:
    file = quarantine_of(tmp_path / "q.parquet", [{} for _ in range(999)], text=[str(n) * 50 for n in range(999)])
    damaged = bytearray(file.read_bytes())
    for place in range(100, len(damaged) // 2, 7):
        damaged[place] ^= 0xFF
    file.write_bytes(damaged)
    with pytest.raises(ShopmonError, match=r"q.parquet cannot be read"):
        failing_rows(file, contains="1")


@pytest.mark.parametrize(("first", "most"), [(-1, 5), (0, -1)])
def test_a_page_before_the_first_is_refused(tmp_path, first, most) -> None:
    with pytest.raises(ValueError, match="0 or more, got"):
        failing_rows(tmp_path / "q.parquet", first=first, most=most)


RULES = st.lists(st.sampled_from(["a", "b", "it's"]), min_size=1, max_size=3, unique=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(RULES, st.none() | st.text("aB%_'é", max_size=3)), max_size=12),
    rule=st.sampled_from(["a", "b", "it's", None]),
    text=st.none() | st.text("ab%_'é", max_size=2),
    first=st.integers(0, 13),
    most=st.integers(0, 13),
)
def test_any_page_is_the_one_that_python_would_give(tmp_path, rows, rule, text, first, most) -> None:
    texts = pa.array([one for _, one in rows], pa.string())
    file = quarantine_of(tmp_path / "q.parquet", [{"rules": rules} for rules, _ in rows], text=texts)
    found = failing_rows(file, rule=rule, contains=text, first=first, most=most)
    wanted = [
        number
        for number, (rules, one) in enumerate(rows, 1)
        if (rule is None or rule in rules) and (text is None or (one is not None and text in one.lower()))
    ]
    assert found.total == len(wanted)
    assert [row.row for row in found.rows] == wanted[first : first + most]
