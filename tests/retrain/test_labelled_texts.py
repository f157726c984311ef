"""Labelled texts, one a row, from products and reviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from retrain.labelled_texts import OTHER, Rare, TextSettings, read_texts

SHARED = Path(__file__).parents[3] / "shared" / "data"
AMAZON = pa.table(
    {
        "Product Name": ["Lamp", "lamp", "Puzzle", "Kite", "Desk"],
        "About Product": ["bright", "bright", None, "flies", "  "],
        "Technical Details": ["5 W", "5 W", "500 pieces", None, None],
        "Category": ["Home & Kitchen | Lamps", "Home & Kitchen", "Toys & Games | Puzzles", "toys & games", " | x"],
        "Selling Price": ["$1,299.00", "12.5", "EUR 7", "$5.99 - $7.99", None],
        "Is Amazon Seller": ["Y", "N", "Y", None, "N"],
    }
)
TEXT = ("title", "description", "Technical Details")


def of_table(folder: Path, table: pa.Table | Mapping[str, Any], **settings: Any) -> TextSettings:
    file = folder / "products.parquet"
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), file)
    return TextSettings(data=(str(file),), **{"least_rows": 1, **settings})


def rows_of(settings: TextSettings, cache: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(read_texts(settings, cache).file).to_pylist()
    return found


def labelled(labels: list[Any]) -> dict[str, Any]:
    return {"title": [f"thing {at}" for at in range(len(labels))], "category": labels}


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_text_is_the_columns_in_their_order_and_missing_ones_are_left_out(tmp_path):
    rows = rows_of(of_table(tmp_path, AMAZON, text=TEXT, separator="|"), tmp_path)
    assert [row["text"] for row in rows] == [
        "Lamp\nbright\n5 W",
        "lamp\nbright\n5 W",
        "Puzzle\n500 pieces",
        "Kite\nflies",
    ]
    other = rows_of(of_table(tmp_path, AMAZON, text=("Technical Details", "title"), separator="|"), tmp_path)
    assert other[2]["text"] == "500 pieces\nPuzzle"
    assert all(row["pair"] is None for row in rows)


def test_the_first_part_of_a_label_is_the_class_and_case_makes_no_other(tmp_path):
    found = read_texts(of_table(tmp_path, AMAZON, separator="|"), tmp_path)
    assert (found.classes, found.counts) == (("Home & Kitchen", "Toys & Games"), (2, 2))
    assert (found.rows, found.incomplete) == (4, 1), "a label without a first part is none"
    whole = read_texts(of_table(tmp_path, AMAZON), tmp_path)
    assert len(whole.classes) == 5


def test_prices_and_flags_come_along_as_numbers_and_words(tmp_path):
    asked = of_table(tmp_path, AMAZON, separator="|", numbers=("price",), categories=("Is Amazon Seller",))
    found = read_texts(asked, tmp_path)
    assert list(found.column("number:price")) == [1299.0, 12.5, 7.0, None]
    assert list(found.column("category:Is Amazon Seller")) == ["Y", "N", "Y", None]
    assert found.notes == ("1 of 4 values of 'price' are no numbers, and count as missing",)


def test_flags_and_whole_numbers_that_are_stored_as_fractions_stay_what_they_are(tmp_path):
    columns = {
        **labelled(["a", "b", "a"]),
        "sold": [True, False, None],
        "shop": [7.0, 8.0, None],
        "price": [1, 2, None],
    }
    found = read_texts(of_table(tmp_path, columns, numbers=("sold", "price"), categories=("shop",)), tmp_path)
    assert list(found.column("number:sold")) == [1.0, 0.0, None]
    assert list(found.column("number:price")) == [1.0, 2.0, None]
    assert list(found.column("category:shop")) == ["7", "8", None]


def test_products_of_a_cluster_are_one_group_and_others_go_by_their_text(tmp_path):
    columns = {
        "title": ["A lamp", "another", "a LAMP!", "A lamp"],
        "cluster_id": [1, 1, None, None],
        "category": ["x", "y", "x", "y"],
    }
    groups = [row["group"] for row in rows_of(of_table(tmp_path, columns), tmp_path)]
    assert groups[0] == groups[1] == "group\t1"
    assert groups[2] == groups[3]
    assert groups[2] != groups[0]


def test_a_column_of_ones_own_may_say_what_stays_together(tmp_path):
    columns = {**labelled(["a", "b", "a"]), "shelf": ["p", "q", "p"], "cluster": [1, 2, 3]}
    groups = [row["group"] for row in rows_of(of_table(tmp_path, columns, group="shelf"), tmp_path)]
    assert groups == ["group\tp", "group\tq", "group\tp"]


def test_each_row_tells_its_file_and_its_place(tmp_path):
    rows = rows_of(of_table(tmp_path, {**labelled(["a", None, "b"]), "id": [4, 5, 6]}), tmp_path)
    assert [(row["row"], row["id"]) for row in rows] == [(1, "4"), (3, "6")]
    assert rows[0]["file"].endswith("products.parquet")
    assert len(rows[0]["batch"]) == 64
    assert len({row["key"] for row in rows}) == 2


def test_a_second_call_finds_what_the_first_one_kept(tmp_path):
    asked = of_table(tmp_path, AMAZON, separator="|")
    first = read_texts(asked, tmp_path / "cache")
    before = first.file.stat().st_mtime_ns
    again = read_texts(asked, tmp_path / "cache")
    assert (again, again.file.stat().st_mtime_ns) == (first, before)
    assert read_texts(replace(asked, categories=("price",)), tmp_path / "cache").sha256 != first.sha256
    assert not [place for place in (tmp_path / "cache" / "texts").iterdir() if place.is_dir()], "nothing is left over"


def test_a_csv_file_is_read_as_a_parquet_file_is(tmp_path):
    file = tmp_path / "products.csv"
    pyarrow.csv.write_csv(AMAZON, file)
    asked = of_table(tmp_path, AMAZON, text=TEXT, separator="|", numbers=("price",))
    of_csv = rows_of(replace(asked, data=(str(file),)), tmp_path)
    names = ("text", "label", "group", "key", "number:price")
    assert [[row[name] for name in names] for row in of_csv] == [
        [row[name] for name in names] for row in rows_of(asked, tmp_path)
    ]


# --- what labels mean -------------------------------------------------------------------------------------------------


def test_rare_classes_are_refused_or_become_one(tmp_path):
    asked = of_table(tmp_path, labelled(["a"] * 4 + ["b"] * 4 + ["c", "d"]), least_rows=3)
    with pytest.raises(ShopmonError, match="2 of 4 classes have fewer than 3 rows: 'c' has 1"):
        read_texts(asked, tmp_path)
    found = read_texts(replace(asked, rare=Rare.OTHER), tmp_path)
    assert (found.classes, found.counts) == (("a", "b", OTHER), (4, 4, 2))
    assert found.notes == ("2 classes with fewer than 3 rows are one, 'other': 'c', 'd'",)


def test_classes_may_be_named_and_others_mapped_to_them(tmp_path):
    asked = of_table(tmp_path, labelled(["Shoes", "boots", "HAT"]), classes=("shoes", "hat"), labels={"Boots": "shoes"})
    assert [row["label"] for row in rows_of(asked, tmp_path)] == [0, 0, 1]
    named = read_texts(replace(asked, classes=("hat", "shoes", "bag")), tmp_path)
    assert (named.counts, named.notes) == ((1, 2, 0), ("no row is labelled bag",))


def test_stars_become_classes_by_the_least_grade_of_each(tmp_path):
    columns = {"review_text": list("abcde"), "stars": [1, 2, 3, 4, 5]}
    grades = {"negative": 1.0, "positive": 4.0}
    asked = of_table(tmp_path, columns, kind="reviews", text=("text",), label="stars", grades=grades)
    found = read_texts(asked, tmp_path)
    assert (found.classes, list(found.column("label"))) == (("negative", "positive"), [0, 0, 0, 1, 1])
    without = read_texts(replace(asked, left_out=("3",)), tmp_path)
    assert (list(without.column("label")), without.notes) == ([0, 0, 1, 1], ("1 rows are left out, as asked: '3'",))
    assert list(read_texts(replace(asked, classes=("positive", "negative")), tmp_path).column("label")) == [
        1,
        1,
        1,
        0,
        0,
    ]


@pytest.mark.parametrize("written", [["yes", "no", "yes"], [1, 0, 1], [True, False, True], ["1.0", "0.0", "1.0"]])
def test_a_recommendation_is_one_however_it_is_written(tmp_path, written):
    columns = {"review_text": list("abc"), "recommended": written}
    asked = of_table(
        tmp_path, columns, kind="reviews", text=("text",), label="recommended", labels={"true": "yes", "false": "no"}
    )
    found = read_texts(asked, tmp_path)
    assert (found.classes, list(found.column("label"))) == (("no", "yes"), [1, 0, 1])


@pytest.mark.parametrize(
    ("label", "more", "told"),
    [
        (["a", "b", "x", "x"], {"classes": ("a", "b")}, "the label 'x' of 2 rows is no class; the classes are a, b"),
        (["a", "a"], {}, "every one of the 2 rows is labelled a"),
        (["a", "b", None], {"classes": ("a", "b", "c")}, "2 complete rows for 3 classes: fewer rows than classes"),
        (["a", "b", "3", "2"], {}, "the labels mix numbers and words: '2' in 1 rows, 'a' in 1"),
        ([0.5, 1.5], {}, r"the labels are numbers \('0.5', '1.5'\), and nothing says"),
        ([3, 0], {"grades": {"good": 2.0, "bad": 1.0}}, "the grade 0 lies below every class; the lowest begins at 1"),
        (["3", "b"], {"grades": {"good": 2.0, "bad": 1.0}}, "to be grades, and 1 rows have words: 'b'"),
        ([None, None], {}, "none of the 2 rows has a text and a label"),
    ],
)
def test_labels_that_teach_nothing_are_told_by_name(tmp_path, label, more, told):
    with pytest.raises(ShopmonError, match=told):
        read_texts(of_table(tmp_path, labelled(label), **more), tmp_path)


def test_whole_numbers_may_be_names_of_classes(tmp_path):
    assert read_texts(of_table(tmp_path, labelled([2612.0, 2613.0, None])), tmp_path).classes == ("2612", "2613")


def test_a_label_that_is_different_in_every_row_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("retrain.labelled_texts._MOST", 3)
    with pytest.raises(ShopmonError, match="has 4 different values: those are no classes"):
        read_texts(of_table(tmp_path, labelled(list("abcd"))), tmp_path)


# --- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": ()}, "no labelled texts are named"),
        ({"label": "shelf"}, "has no column 'shelf' for the label; it has 'Product Name', 'About Product'"),
        ({"text": ("title", "summary")}, "has no column 'summary' for the text"),
        ({"group": "maker"}, "has no column 'maker' for the group"),
        ({"numbers": ("weight",)}, "has no column 'weight' for the numbers"),
        ({"numbers": ("Is Amazon Seller",)}, "not one of its 4 values is a number"),
        ({"categories": ("Category",)}, "'Category' is the column of the label 'category', by another name"),
    ],
)
def test_what_does_not_fit_is_told_by_name(tmp_path, changes, told):
    with pytest.raises(ShopmonError, match=told):
        read_texts(replace(of_table(tmp_path, AMAZON), **changes), tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": ("a",)},
        {"classes": ("a", "b"), "labels": {"x": "c"}},
        {"text": ()},
        {"separator": ""},
        {"numbers": ("category",)},
        {"numbers": ("price",), "categories": ("price",)},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValueError, match=r"classes|no class|no column|empty|twice"):
        TextSettings(**wrong)


def test_a_quote_in_a_separator_or_a_label_is_no_code(tmp_path):
    asked = of_table(tmp_path, labelled(["a'|b", "a'|c", "d' or '1'='1"]), separator="'|", left_out=("d' or '1'='1",))
    with pytest.raises(ShopmonError, match="every one of the 2 rows is labelled a"):
        read_texts(asked, tmp_path)


# --- real files, where they are present -------------------------------------------------------------------------------


def test_the_offers_of_a_price_comparison_are_read_with_their_merchants(tmp_path):
    place = SHARED / "products" / "pricerunner_aggregate.parquet"
    if not place.exists():
        pytest.skip(f"{place} is not here: it is no part of the repository")
    found = read_texts(TextSettings(data=(str(place),), categories=("merchant_id",)), tmp_path)
    assert (found.rows, len(found.classes), found.incomplete) == (35_311, 10, 0)
    assert Counter(found.column("group")).most_common(1)[0][1] > 1
    assert len(set(found.column("category:merchant_id"))) == 306
