"""A page of gathered rows is what the retraining set says, whatever is asked for and whatever stands in it."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from monitor.gathered_rows import (
    UNDECIDED,
    GatheredRow,
    Tallies,
    Wanted,
    content_key,
    find,
    holding,
    signals_of,
    tallies,
)
from monitor.retraining_set import RetrainingSet, text_hash

HOSTILE = [
    "it's", 'say "hi"', "100 %", "_", "\\", "\\n", "'; drop table places; --", "$b0", "a\0b", "\u202eRTL\u202c", "👟🏽",
    "İstanbul", "straße", "[x]*?", "null", "undecided",
]  # fmt: skip
HALF = "\ud83d"


def add(gathered: RetrainingSet, texts: Sequence[str], run_id: str = "1", **columns: Any) -> None:
    """Add rows as edge cases would choose them; `columns` names a column's one value, or its values as a list."""
    values = {"kind": "reviews", "role": "positive", "batch": "3f2a", "file": "new.csv", **columns}
    filled = {name: value if isinstance(value, list) else [value] * len(texts) for name, value in values.items()}
    filled.setdefault("reasons", [["praise"]] * len(texts))
    filled.setdefault("row", list(range(1, len(texts) + 1)))
    gathered.add(pa.table({"text": pa.array(texts, pa.string()), **filled}), run_id)


def decisions(*decided: tuple[str, str] | tuple[str, str, str | None, str | None], kind: str = "reviews") -> pa.Table:
    """Decisions about texts: text, verdict, role and label."""
    rows = [(*one, None, None)[:4] for one in decided]
    columns = {"kind": [kind] * len(rows), "text_hash": [text_hash(row[0]) for row in rows]}
    columns |= {name: [row[place] for row in rows] for place, name in ((1, "verdict"), (2, "role"), (3, "label"))}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def texts_of(gathered: RetrainingSet, *wanted: Wanted, **asked: Any) -> list[str]:
    return [row.text for row in find(gathered, *wanted, **asked).rows]


@pytest.fixture
def gathered(tmp_path: Path) -> RetrainingSet:
    return RetrainingSet(tmp_path / "retraining")


def test_a_set_that_was_never_added_to_has_no_rows(gathered: RetrainingSet) -> None:
    assert find(gathered).rows == ()
    assert find(gathered, Wanted(contains="a"), decided=decisions(("a", "accepted")), verdict="accepted").total == 0
    assert tallies(gathered) == Tallies({}, {}, {}, {}, 0)
    assert find(gathered, Wanted(holding=holding(gathered, "a"), reason="praise")).total == 0
    assert not gathered.folder.exists()


def test_a_row_is_told_as_it_was_added_with_its_label_and_the_decision(gathered: RetrainingSet) -> None:
    add(gathered, ["Warm."], "run-7", id=["a"], reasons=[["praise", "short"]], row=[7], file="it's.csv")
    gathered.add_labels(pa.table({"id": ["a"], "label": ["5"]}), kind="reviews", run_id="2")
    (row,) = find(gathered, decided=decisions(("Warm.", "relabelled", "negative", "1"))).rows
    assert row == GatheredRow(
        text="Warm.", kind="reviews", role="positive", reasons=("praise", "short"), file="it's.csv", row=7,
        text_hash=text_hash("Warm."), id="a", run_id="run-7", added_at=row.added_at, label="5",
        verdict="relabelled", decided_role="negative", decided_label="1",
    )  # fmt: skip
    assert row.added_at.utcoffset() == timedelta(0)
    assert row.added_at == gathered.read(["added_at"]).read_all().column(0)[0].as_py()
    (undecided,) = find(gathered).rows
    assert (undecided.verdict, undecided.decided_role, undecided.decided_label) == (None, None, None)


def test_the_newest_come_first_and_those_of_one_check_by_file_and_row(gathered: RetrainingSet) -> None:
    add(gathered, ["b2", "a9", "a10", "b1"], file=["b", "a", "a", "b"], row=[2, 9, 10, 1])
    for number in range(2, 13):  # the names of parts go from one digit to two
        add(gathered, [f"part {number}"], str(number))
    wanted = [*(f"part {number}" for number in range(12, 1, -1)), "a9", "a10", "b1", "b2"]
    assert texts_of(gathered) == wanted
    assert [text for first in range(0, 16, 2) for text in texts_of(gathered, first=first, most=2)] == wanted
    assert texts_of(gathered, first=99) == texts_of(gathered, most=0) == texts_of(gathered, first=13, most=0) == []


def test_rows_are_asked_for_by_all_that_is_known_of_them(gathered: RetrainingSet) -> None:
    add(gathered, ["a", "b"], "1", role=["positive", "negative"], reasons=[["short"], ["praise", "short"]])
    add(gathered, ["c"], "2", kind="queries")
    assert texts_of(gathered, Wanted(kind="queries")) == ["c"]
    assert texts_of(gathered, Wanted(reason="short")) == ["a", "b"]
    assert texts_of(gathered, Wanted(reason="shor")) == []
    assert texts_of(gathered, Wanted(role="negative")) == ["b"]
    assert texts_of(gathered, Wanted(run_id="2")) == ["c"]
    assert texts_of(gathered, Wanted(reason="praise", kind="reviews")) == ["b"]


def test_a_verdict_leaves_the_rows_that_have_it(gathered: RetrainingSet) -> None:
    add(gathered, ["a", "b", "c", "a"], kind=["reviews"] * 3 + ["queries"])
    decided = decisions(("a", "accepted"), ("b", "rejected"), ("nowhere", "rejected"))
    found = {one: texts_of(gathered, decided=decided, verdict=one) for one in ("accepted", "rejected", "relabelled")}
    assert found == {"accepted": ["a"], "rejected": ["b"], "relabelled": []}
    undecided = find(gathered, decided=decided, verdict=UNDECIDED).rows
    assert [(row.kind, row.text) for row in undecided] == [("reviews", "c"), ("queries", "a")]
    assert tallies(gathered, decided=decided).by_verdict == {UNDECIDED: 2, "accepted": 1, "rejected": 1}
    assert texts_of(gathered, verdict="accepted") == []
    assert len(texts_of(gathered, verdict=UNDECIDED)) == 4
    with pytest.raises(ValueError, match="'decided' needs the column 'verdict'"):
        find(gathered, decided=decided.drop_columns("verdict"))


def test_rows_are_counted_by_what_they_are(gathered: RetrainingSet) -> None:
    add(gathered, ["a", "b"], role=["positive", "negative"], reasons=[["short"], ["praise", "short"]])
    add(gathered, ["c"], "2", kind="queries", reasons=[[]])
    told = tallies(gathered)
    assert told == Tallies(
        {"short": 2, "praise": 1}, {"positive": 2, "negative": 1}, {"reviews": 2, "queries": 1}, {UNDECIDED: 3}, 3
    )
    assert list(told.by_reason) == ["short", "praise"]
    assert tallies(gathered, Wanted(contains="B")).total == 1


def test_the_label_is_the_one_that_reading_gives(gathered: RetrainingSet) -> None:
    add(gathered, ["a", "b", "c", "d"], id=["1", "2", "2", None], kind=["reviews"] * 3 + ["queries"])
    for labels in ({"id": ["1", "2"], "label": ["x", "y"]}, {"text_hash": [text_hash("a")], "label": ["by text"]},
                   {"id": ["2", "9"], "label": ["z", "nobody's"]}):  # fmt: skip
        gathered.add_labels(pa.table(labels), kind="reviews", run_id="1")
    gathered.add_labels(pa.table({"text_hash": [text_hash("d")], "label": ["q"]}), kind="queries", run_id="1")
    gathered.add_labels(pa.table({"id": ["1"], "label": ["of another kind"]}), kind="queries", run_id="1")
    read = gathered.read(["text", "label"]).read_all().to_pydict()
    assert {row.text: row.label for row in find(gathered).rows} == dict(zip(*read.values(), strict=True))


# Whatever stands there


@pytest.mark.parametrize("text", [*HOSTILE, HALF])
def test_every_argument_is_taken_as_it_stands(gathered: RetrainingSet, text: str) -> None:
    add(gathered, [f"before {one} after" for one in HOSTILE], role=HOSTILE, reasons=[[one] for one in HOSTILE],
        kind=HOSTILE, file=HOSTILE, id=HOSTILE)  # fmt: skip
    same = [one for one in HOSTILE if one == text]
    for wanted in (Wanted(kind=text), Wanted(role=text), Wanted(reason=text)):
        assert [row.kind for row in find(gathered, wanted).rows] == same
        assert tallies(gathered, wanted).total == len(same)
    expected = {one for one in HOSTILE if text in f"before {one} after"}
    assert {row.kind for row in find(gathered, Wanted(contains=text)).rows} == expected
    assert {row.kind for row in find(gathered, Wanted(holding=holding(gathered, text))).rows} == expected
    assert find(gathered, Wanted(run_id=text)).total == 0
    if text not in (HALF, UNDECIDED):
        decided = decisions((f"before {text} after", text), kind=text)
        assert [row.kind for row in find(gathered, decided=decided, verdict=text).rows] == [text]
        assert tallies(gathered, decided=decided).by_verdict[text] == 1
    assert signals_of(gathered.folder / "none.parquet", text) == {}


@pytest.mark.parametrize("folder", ["it's", "[x]*", "a?b", "a\\b*", 'say "hi"', "é👟\n"])
def test_a_set_is_read_in_a_folder_of_any_name_and_no_other_is(tmp_path: Path, folder: str) -> None:
    for name in ("x", "ab", folder):
        add(RetrainingSet(tmp_path / name), [f"in {name}"])
    RetrainingSet(tmp_path / folder).add_labels(pa.table({"id": ["a"], "label": ["b"]}), kind="reviews", run_id="1")
    assert texts_of(RetrainingSet(tmp_path / folder)) == [f"in {folder}"]


ROLES, VERDICTS = ("positive", "negative"), ("accepted", "rejected", "relabelled")
some_rows = st.lists(
    st.tuples(
        st.text("aB%é", min_size=1, max_size=2),
        st.sampled_from(["reviews", "queries"]),
        st.sampled_from(ROLES),
        st.lists(st.sampled_from(["short", "praise"]), max_size=2, unique=True),
        st.sampled_from(["a.csv", "b.csv"]),
        st.integers(1, 5),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    adds=st.lists(some_rows, max_size=4),
    wanted=st.builds(
        Wanted,
        kind=st.none() | st.just("reviews"),
        reason=st.none() | st.just("short"),
        role=st.none() | st.sampled_from(ROLES),
        run_id=st.none() | st.sampled_from(["0", "1"]),
        contains=st.none() | st.text("ab%é", max_size=2),
    ),
    said=st.dictionaries(st.text("aB%é", min_size=1, max_size=1), st.sampled_from(VERDICTS), max_size=3),
    verdict=st.none() | st.sampled_from([*VERDICTS, UNDECIDED]),
    page=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_any_page_and_any_count_is_the_one_that_python_would_give(adds, wanted, said, verdict, page) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gathered = RetrainingSet(Path(folder))
        for number, rows in enumerate(adds):
            texts, kinds, roles, reasons, files, places = map(list, zip(*rows, strict=True)) if rows else [[]] * 6
            if rows:
                add(gathered, texts, str(number), kind=kinds, role=roles, reasons=reasons, file=files, row=places)
        decided = decisions(*said.items())
        expected = [row for row in _in_order(gathered) if _meets(row, wanted)]
        told = tallies(gathered, wanted, decided=decided)
        assert told.total == len(expected)
        assert told.by_role == Counter(row["role"] for row in expected)
        assert told.by_reason == Counter(reason for row in expected for reason in row["reasons"])
        assert told.by_verdict == Counter(_verdict(row, said) for row in expected)
        left = [row for row in expected if verdict in (None, _verdict(row, said))]
        found = find(gathered, wanted, decided=decided, verdict=verdict, first=page[0], most=page[1])
        assert found.total == len(left)
        shown = left[page[0] : page[0] + page[1]]
        assert [(row.kind, row.text, row.row) for row in found.rows] == [
            (r["kind"], r["text"], r["row"]) for r in shown
        ]
        if wanted.contains is not None:  # what was looked for beforehand is found again
            known = replace(wanted, contains=None, holding=holding(gathered, wanted.contains))
            assert tallies(gathered, known, decided=decided) == told
            assert find(gathered, known, decided=decided, verdict=verdict, first=page[0], most=page[1]) == found


def _in_order(gathered: RetrainingSet) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = gathered.read().read_all().to_pylist()
    return sorted(rows, key=lambda row: (-int(row["run_id"]), row["file"], row["row"]))


def _meets(row: dict[str, Any], wanted: Wanted) -> bool:
    equal = all(getattr(wanted, name) in (None, row[name]) for name in ("kind", "role", "run_id"))
    held = wanted.contains is None or wanted.contains in row["text"].lower()
    return equal and held and (wanted.reason is None or wanted.reason in row["reasons"])


def _verdict(row: dict[str, Any], said: dict[str, str]) -> str:
    return said.get(row["text"], UNDECIDED) if row["kind"] == "reviews" else UNDECIDED


# What changes


def test_the_key_changes_with_every_part_and_with_nothing_else(gathered: RetrainingSet) -> None:
    keys = [content_key(gathered)]
    for text in ("a", "b"):
        add(gathered, [text], text)
        keys.append(content_key(gathered))
    gathered.add_labels(pa.table({"id": ["1"], "label": ["x"]}), kind="reviews", run_id="1")
    keys.append(content_key(gathered))
    assert len(set(keys)) == 4
    assert add(gathered, ["a"]) is None
    assert content_key(gathered) == keys[-1]
    os.utime(gathered.parts[0], ns=(1, 1))
    assert content_key(gathered) != keys[-1]


# What can go wrong


@pytest.mark.parametrize("written", [b"", b"text,stars\na,5\n", "cut", "foreign"])
@pytest.mark.parametrize("asked", [find, tallies])
def test_a_damaged_part_is_named_with_what_to_do(gathered: RetrainingSet, asked: Any, written: Any) -> None:
    for number in range(3):
        add(gathered, [f"text {number} {row}" for row in range(50)], str(number))
    part = gathered.parts[1]
    if written == "foreign":
        pq.write_table(pa.table({"text": ["a"]}), part)
    else:
        part.write_bytes(part.read_bytes()[:500] if written == "cut" else written)
    with pytest.raises(ShopmonError, match=r"000002-1.parquet of the retraining set cannot be read: .*Restore it"):
        asked(gathered, Wanted(contains="text"))


def test_a_damaged_part_of_labels_is_named(gathered: RetrainingSet) -> None:
    add(gathered, ["a"], id=["1"])
    gathered.add_labels(pa.table({"id": ["1"], "label": ["x"]}), kind="reviews", run_id="1")
    gathered.label_parts[0].write_bytes(b"nothing")
    with pytest.raises(ShopmonError, match=r"labels/000001-1.parquet of the retraining set cannot be read"):
        find(gathered)


@pytest.mark.parametrize(("first", "most"), [(-1, 5), (0, -1)])
def test_a_page_before_the_first_is_refused(gathered: RetrainingSet, first: int, most: int) -> None:
    with pytest.raises(ValueError, match="0 or more, got"):
        find(gathered, first=first, most=most)


def test_the_signals_of_a_row_are_those_that_its_run_kept(tmp_path: Path) -> None:
    file = tmp_path / "it's [x]*.parquet"
    kept = pa.array([[("stars", "1"), ("praise", None)], None], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"text_hash": ["a", "b"], "signals": kept}), file)
    assert signals_of(file, "a") == {"stars": "1", "praise": "None"}
    assert signals_of(file, "b") == signals_of(file, "c") == signals_of(file, HALF) == {}
    assert signals_of(tmp_path / "gone.parquet", "a") == {}
    file.write_bytes(b"PAR1 nothing")
    with pytest.raises(ShopmonError, match=r"cannot be read: .*Check the batch again"):
        signals_of(file, "a")
