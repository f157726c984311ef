import csv
import html
import os
import re
import subprocess
import sys
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shopmon.planted_faults import (
    CUT_AT,
    MANY_WORDS,
    Fault,
    Planted,
    foreign_review,
    misread,
    plant,
    plantable,
    write_csv_with_faults,
)
from shopmon.sample_data import LABELS, LOCALES, products, queries, relevance, reviews
from shopmon.shop_words import CATEGORIES

SEED = 3
MAKERS = {
    "reviews": partial(reviews, 6_000, seed=SEED, recommended=True),
    "products": partial(products, 2_000, seed=SEED),
    "queries": partial(queries, 2_000, seed=SEED),
    "relevance": partial(relevance, 2_000, seed=SEED),
}
FOREIGN = re.compile(
    r"\b(Die|La|El|Il|Le) \w+ (ist|est|es|è|kam|llegó|fällt|sieht)\b|\b(Nach|Au bout|Después|Dopo|Conviene|Il faut) "
)


@cache
def clean(kind: str) -> pa.Table:
    return MAKERS[kind]()


@cache
def planted_in(kind: str) -> Planted:
    return plant(clean(kind), seed=SEED)


# How anybody would see the fault in one row; written apart from the code that plants it.
SEEN = {
    Fault.TEXT_MISSING: lambda r: r["text"] is None,
    Fault.TEXT_BLANK: lambda r: r["text"] is not None and not r["text"].strip(),
    Fault.MOJIBAKE: lambda r: bool(re.search("â€|Â°|Ã", r["text"] or "")),
    Fault.HTML: lambda r: bool(re.search(r"</?\w+ ?/?>", r["text"] or "")),
    Fault.LITERAL_ESCAPES: lambda r: "\\" in (r["text"] or "") or html.unescape(r["text"] or "") != (r["text"] or ""),
    Fault.UNTIDY_SPACES: lambda r: bool((r["text"] or "").strip()) and bool(re.search(r"^\s|\s$|\s\s", r["text"])),
    Fault.CUT_OFF: lambda r: len(r["text"] or "") == CUT_AT and r["text"][-1].isalpha(),
    Fault.STARS_IMPOSSIBLE: lambda r: r["stars"] not in range(1, 6),
    Fault.PRICE_ZERO: lambda r: r["price"] == 0,
    Fault.PRICE_NEGATIVE: lambda r: r["price"] < 0,
    Fault.DATE_IN_FUTURE: lambda r: r["date"].year > 2100,
    Fault.CONTRADICTION: lambda r: (r["stars"], r["recommended"]) in {(5, False), (1, True)},
    Fault.WRONG_LANGUAGE: lambda r: bool(FOREIGN.search(r["text"] or "")),
    Fault.TOO_LONG: lambda r: len((r["text"] or "").split()) >= MANY_WORDS,
    Fault.CATEGORY_MISSPELT: lambda r: r["category"] not in CATEGORIES,
    Fault.LOCALE_UNKNOWN: lambda r: r["locale"] not in LOCALES,
    Fault.SALE_ABOVE_LIST: lambda r: r["price"] > r["list_price"],
    Fault.DESCRIPTION_MISSING: lambda r: r["description"] is None,
    Fault.QUERY_BLANK: lambda r: not r["query"].strip(),
    Fault.QUERY_CAPITALS: lambda r: bool(r["query"]) and r["query"].isupper(),
    Fault.LABEL_UNKNOWN: lambda r: r["label"] not in LABELS,
}
FAULTS = {
    "reviews": plantable(["text", "recommended"]),
    "products": plantable(["title", "list_price"]),
    "queries": plantable(["query"]),
    "relevance": plantable(["query", "product_text"]),
}


def rows_of(table: pa.Table) -> dict[int, dict[str, object]]:
    return dict(enumerate(table.to_pylist(), start=1))


@pytest.mark.parametrize(("kind", "fault"), [(k, f) for k, faults in FAULTS.items() for f in faults if f in SEEN])
def test_a_fault_is_in_the_rows_that_are_stated_and_nowhere_else(kind, fault):
    planted = planted_in(kind)
    found = [number for number, row in rows_of(planted.table).items() if SEEN[fault](row)]
    assert tuple(found) == planted.faults[fault]


@pytest.mark.parametrize("kind", MAKERS)
def test_clean_data_has_none_of_these_faults(kind):
    rows = rows_of(clean(kind))
    for fault in planted_in(kind).faults:
        if fault in SEEN:
            assert [number for number, row in rows.items() if SEEN[fault](row)] == [], fault


@pytest.mark.parametrize("kind", MAKERS)
def test_rows_without_a_planted_fault_are_as_they_were(kind):
    planted = planted_in(kind)
    kept = pa.array([number not in planted.rows for number in range(1, planted.table.num_rows + 1)])
    assert planted.table.filter(kept).equals(clean(kind).filter(kept))
    assert planted.table.schema == clean(kind).schema


@pytest.mark.parametrize("kind", MAKERS)
def test_no_row_has_two_planted_faults_and_originals_have_none(kind):
    planted = planted_in(kind)
    rows = [row for rows in planted.faults.values() for row in rows]
    assert len(rows) == len(set(rows))
    assert not planted.rows & {row for rows in planted.originals.values() for row in rows}


def test_every_kind_of_fault_is_planted_somewhere(tmp_path):
    in_files = write_csv_with_faults(tmp_path / "r.csv", 200).faults
    assert {fault for faults in FAULTS.values() for fault in faults} | set(in_files) == set(Fault)


def test_every_fault_says_what_it_is():
    assert all(fault.description and str(fault) == fault.value for fault in Fault)
    assert Fault("mojibake") is Fault.MOJIBAKE


def test_a_duplicate_is_a_later_copy_of_its_original_under_an_id_of_its_own():
    rows = rows_of(planted_in("reviews").table)
    for copy, original in _pairs("reviews", Fault.EXACT_DUPLICATE):
        assert copy > original
        assert rows[copy]["id"] != rows[original]["id"]
        assert rows[copy] | {"id": ""} == rows[original] | {"id": ""}
        assert len(rows[copy]["text"]) > 40


def test_a_near_duplicate_has_the_same_letters_but_is_not_the_same():
    rows = rows_of(planted_in("reviews").table)
    for copy, original in _pairs("reviews", Fault.NEAR_DUPLICATE):
        text, before = rows[copy]["text"], rows[original]["text"]
        assert copy > original
        assert text != before
        assert re.sub(r"\W", "", text.lower()) == re.sub(r"\W", "", before.lower())


def test_a_reused_id_belongs_to_an_earlier_product_with_another_title():
    rows = rows_of(planted_in("products").table)
    for copy, original in _pairs("products", Fault.ID_REUSED):
        assert copy > original
        assert rows[copy]["id"] == rows[original]["id"]
        assert rows[copy]["title"] != rows[original]["title"]


def test_a_disagreeing_label_repeats_an_earlier_pair():
    rows = rows_of(planted_in("relevance").table)
    for copy, original in _pairs("relevance", Fault.LABEL_DISAGREES):
        assert copy > original
        assert rows[copy]["query"] == rows[original]["query"]
        assert rows[copy]["product_text"] == rows[original]["product_text"]
        assert rows[copy]["label"] in set(LABELS) - {rows[original]["label"]}


def _pairs(kind: str, fault: Fault) -> list[tuple[int, int]]:
    planted = planted_in(kind)
    pairs = list(zip(planted.faults[fault], planted.originals[fault], strict=True))
    assert pairs
    return pairs


def test_a_misspelt_query_has_the_same_letters_in_another_order():
    planted = planted_in("queries")
    now, before = rows_of(planted.table), rows_of(clean("queries"))
    for number in planted.faults[Fault.QUERY_MISSPELT]:
        assert now[number]["query"] != before[number]["query"]
        assert sorted(now[number]["query"]) == sorted(before[number]["query"])


def test_enough_texts_are_cut_for_the_cut_to_show():
    assert len(planted_in("reviews").faults[Fault.CUT_OFF]) == 30
    many = plant(reviews(40_000, seed=1), seed=1, share=0.0005)
    assert len(many.faults[Fault.CUT_OFF]) == 120
    assert len(many.faults[Fault.HTML]) == 20


def test_contradictions_need_the_column_that_contradicts():
    assert Fault.CONTRADICTION not in plant(reviews(1_000), seed=1).faults


def test_the_same_seed_plants_the_same_faults():
    table = reviews(1_000, seed=2)
    once, again, other = plant(table, seed=1), plant(table, seed=1), plant(table, seed=2)
    assert once.table.equals(again.table)
    assert once.faults == again.faults != other.faults


def test_a_table_too_small_for_all_faults_is_refused():
    with pytest.raises(ValueError, match="too many for a table of 50"):
        plant(reviews(50))


def test_a_table_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="answer"):
        plant(pa.table({"answer": [42]}))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share"):
        plant(reviews(1_000), share=share)


@pytest.mark.parametrize("language", ["German", "French", "Spanish", "Italian"])
def test_foreign_reviews_are_long_enough_and_hardly_repeat(language):
    made = [foreign_review(language, number) for number in range(300)]
    assert min(map(len, made)) >= 60
    assert len(set(made)) > 290


def test_misread_text_is_read_right_again_by_undoing_it():
    assert misread("it’s – 20 °C, café").encode("cp1252").decode() == "it’s – 20 °C, café"


# --- CSV -------------------------------------------------------------------------------------------------------------


def test_a_csv_file_is_broken_in_the_records_that_are_stated_and_nowhere_else(tmp_path):
    planted = write_csv_with_faults(tmp_path / "r.csv", 1_000, seed=SEED)
    lines = (tmp_path / "r.csv").read_bytes().decode(errors="surrogateescape").splitlines()
    header, *records = csv.reader(lines)
    seen = {fault: [] for fault in planted.faults}
    for number, record in enumerate(records, start=1):
        row = dict(zip(header, record, strict=False))
        seen[Fault.FIELDS_TOO_MANY] += [number] * (len(record) > len(header))
        seen[Fault.FIELDS_TOO_FEW] += [number] * (len(record) < len(header))
        seen[Fault.DATE_FORMAT] += [number] * bool(re.fullmatch(r"\d\d/\d\d/\d{4}", row["date"]))
        seen[Fault.NUMBER_UNREADABLE] += [number] * (not row.get("stars", "1").isdecimal())
        seen[Fault.BYTES_UNDECODABLE] += [number] * ("\udce9" in lines[number])
    assert {fault: tuple(numbers) for fault, numbers in seen.items()} == planted.faults


def test_an_unbroken_record_says_what_the_table_says(tmp_path):
    planted = write_csv_with_faults(tmp_path / "r.csv", 300, seed=SEED)
    records = list(csv.DictReader((tmp_path / "r.csv").read_text(errors="replace").splitlines()))
    for number, row in rows_of(planted.table).items():
        if number not in planted.rows:
            record = records[number - 1]
            assert record["text"] == row["text"]
            assert datetime.fromisoformat(record["date"]) == row["date"]
            assert float(record["price"]) == row["price"]


# --- the benchmark's file --------------------------------------------------------------------------------------------


def test_the_benchmark_file_has_about_one_fault_in_a_hundred_rows(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "generate.py"
    here = os.environ | {"PYTHONPATH": str(script.parents[1])}
    command = [sys.executable, script, "--rows", "30000", "--out", tmp_path / "b.parquet", "--seed", "5"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=here)
    table, before = pq.read_table(tmp_path / "b.parquet"), reviews(30_000, seed=5)
    changed = np.zeros(30_000, dtype=bool)
    for name in before.column_names:
        changed |= np.array([a != b for a, b in zip(table[name].to_pylist(), before[name].to_pylist(), strict=True)])
    assert 0.007 < changed.mean() < 0.013
    assert "30,000 of 30,000 rows" in ran.stderr
