"""Labelled pairs, from files in the schema of the Shopping Queries Dataset and from others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from expectations.errors import ShopmonError
from retrain.pairs import ATTRIBUTES, Missing, PairSettings, Version, read_pairs

SHARED = Path(__file__).parents[3] / "shared" / "data"
QUERIES = ("led lamp", "LED  Lamp!", "red shoes", "zapatos rojos")


def published(folder: Path) -> tuple[Path, Path]:
    """Examples and products as the Shopping Queries Dataset publishes them, generated."""
    examples, products = [], []
    for number, query in enumerate(QUERIES):
        for at, label in enumerate("ESCIE"):
            examples.append(
                {
                    "example_id": len(examples), "query": query, "query_id": number, "product_id": f"B0{at}",
                    "product_locale": "es" if number == 3 else "us", "esci_label": label,
                    "small_version": int(number < 2), "large_version": 1, "split": "test" if number == 2 else "train",
                }
            )  # fmt: skip
    for at in range(5):
        for locale in ("us", "es"):
            products.append(
                {
                    "product_id": f"B0{at}", "product_title": f"thing {at} {locale}",
                    "product_description": None if at == 2 else f"<p>about {at}</p>",
                    "product_bullet_point": f"point {at}", "product_brand": "Acme" if at else "  ",
                    "product_color": "red", "product_locale": locale,
                }
            )  # fmt: skip
    places = (
        folder / "shopping_queries_dataset_examples.parquet",
        folder / "shopping_queries_dataset_products.parquet",
    )
    for place, rows in zip(places, (examples, products), strict=True):
        pq.write_table(pa.Table.from_pylist(rows), place)
    return places


@pytest.fixture
def esci(tmp_path: Path) -> PairSettings:
    examples, products = published(tmp_path)
    return PairSettings(data=(str(examples),), products=str(products))


def rows_of(settings: PairSettings, cache: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(read_pairs(settings, cache).file).to_pylist()
    return found


def of_table(tmp_path: Path, columns: Mapping[str, Any], **settings: Any) -> PairSettings:
    file = tmp_path / "pairs.parquet"
    pq.write_table(pa.table(columns), file)
    return PairSettings(data=(str(file),), **settings)


SIMPLE: Mapping[str, Any] = {
    "query": ["lamp"] * 4,
    "product_title": ["a", "b", "c", "d"],
    "label": ["E", "s", "Complement", "I"],
}


# --- the published schema ---------------------------------------------------------------------------------------------


def test_examples_and_products_are_joined_on_product_and_locale(esci, tmp_path):
    found = read_pairs(esci, tmp_path / "cache")
    rows = pq.read_table(found.file).to_pylist()
    assert (found.rows, found.counts, found.classes) == (20, (8, 4, 4, 4), ("E", "S", "C", "I"))
    assert {row["pair"] for row in rows if row["locale"] == "es"} == {f"thing {at} es" for at in range(5)}
    assert Counter(row["split"] for row in rows) == {"train": 15, "test": 5}
    assert [row["row"] for row in rows] == list(range(1, 21))
    assert rows[0]["file"].endswith("examples.parquet")
    assert len(rows[0]["batch"]) == 64
    assert found.locales == ("es", "us")
    assert found.foreign == ("es",)


def test_queries_that_differ_in_writing_alone_are_one_group(esci, tmp_path):
    groups = Counter(row["group"] for row in rows_of(esci, tmp_path / "cache"))
    assert groups == {"led lamp\tus": 10, "red shoes\tus": 5, "zapatos rojos\tes": 5}


def test_all_attributes_are_joined_in_the_order_that_is_asked_for(esci, tmp_path):
    texts = [row["pair"] for row in rows_of(replace(esci, product_text=ATTRIBUTES), tmp_path / "cache")]
    assert texts[1] == "thing 1 us\n<p>about 1</p>\npoint 1\nAcme\nred"
    assert texts[0] == "thing 0 us\n<p>about 0</p>\npoint 0\nred", "a blank brand is none"
    assert texts[2] == "thing 2 us\npoint 2\nAcme\nred", "a missing description is left out"
    assert rows_of(replace(esci, product_text=("brand", "title")), tmp_path / "cache")[1]["pair"] == "Acme\nthing 1 us"


def test_the_small_version_and_the_locales_are_honoured(esci, tmp_path):
    cache = tmp_path / "cache"
    assert read_pairs(replace(esci, version=Version.SMALL), cache).rows == 10
    assert read_pairs(replace(esci, version=Version.LARGE), cache).rows == 20
    assert read_pairs(replace(esci, locales=("ES",)), cache).locales == ("es",)


def test_a_second_call_finds_what_the_first_one_kept(esci, tmp_path):
    first = read_pairs(esci, tmp_path / "cache")
    before = first.file.stat().st_mtime_ns
    again = read_pairs(esci, tmp_path / "cache")
    assert (again, again.file.stat().st_mtime_ns) == (first, before)
    assert read_pairs(replace(esci, product_text=("brand",)), tmp_path / "cache").sha256 != first.sha256
    assert not [place for place in (tmp_path / "cache" / "pairs").iterdir() if place.is_dir()], "nothing is left over"


def without(place: str, rows: Callable[[dict[str, Any]], bool]) -> None:
    kept = [row for row in pq.read_table(place).to_pylist() if rows(row)]
    pq.write_table(pa.Table.from_pylist(kept), place)


def test_a_product_that_is_missing_is_told_with_its_query(esci, tmp_path):
    without(esci.products, lambda row: (row["product_id"], row["product_locale"]) != ("B01", "us"))
    with pytest.raises(ShopmonError, match=r"3 of 20 pairs name a product .* query 'led lamp', product 'B01' \(us\)"):
        read_pairs(esci, tmp_path / "cache")
    left = read_pairs(replace(esci, missing_products=Missing.DROP), tmp_path / "cache")
    assert (left.rows, left.incomplete) == (17, 3)


def test_a_product_that_is_told_twice_is_refused(esci, tmp_path):
    table = pq.read_table(esci.products)
    pq.write_table(pa.concat_tables([table, table.slice(3, 1)]), esci.products)
    with pytest.raises(ShopmonError, match="has 2 rows for product B01 / es"):
        read_pairs(esci, tmp_path / "cache")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": ()}, "no labelled pairs are named"),
        ({"product_text": ("price",)}, "has no column 'product_price'"),
        ({"locales": ("jp",)}, "no pair is left"),
        ({"products": None}, "has no column for the product's title"),
    ],
)
def test_what_does_not_fit_is_told_by_name(esci, tmp_path, changes, told):
    with pytest.raises(ShopmonError, match=told):
        read_pairs(replace(esci, **changes), tmp_path / "cache")


def test_products_without_an_id_are_told(esci, tmp_path):
    pq.write_table(pa.table({"name": ["a"]}), esci.products)
    with pytest.raises(ShopmonError, match="has no column 'product_id'; it has 'name'"):
        read_pairs(esci, tmp_path / "cache")


# --- any file of the kind ---------------------------------------------------------------------------------------------


def test_labels_may_be_written_out_in_any_case(tmp_path):
    assert [row["label"] for row in rows_of(of_table(tmp_path, SIMPLE), tmp_path)] == [0, 1, 2, 3]


def test_a_csv_file_with_columns_of_its_own_is_read(tmp_path):
    file = tmp_path / "pairs.csv"
    table = pa.table({"Suche": ["lamp"] * 4, "Ware": list("abcd"), "label": ["E", "S", "C", "I"]})
    pyarrow.csv.write_csv(table, file)
    found = rows_of(PairSettings(data=(str(file),), columns={"Suche": "query", "Ware": "product_text"}), tmp_path)
    assert [(row["text"], row["pair"], row["label"]) for row in found] == [
        ("lamp", text, number) for number, text in enumerate("abcd")
    ]


GRADES = {"E": 3.0, "S": 2.33, "C": 1.67, "I": 1.0}


def test_grades_become_classes_by_the_least_grade_of_each(tmp_path):
    columns = {
        "search_term": ["lamp"] * 6,
        "product_title": list("abcdef"),
        "relevance": [3.0, 2.67, 2.33, 2.0, 1.67, 1.0],
    }
    found = rows_of(of_table(tmp_path, columns, grades=GRADES), tmp_path)
    assert [row["label"] for row in found] == [0, 1, 1, 2, 2, 3]


def test_labels_of_another_shop_are_mapped(tmp_path):
    columns = {**SIMPLE, "label": ["good", "BAD", "good", "bad"]}
    asked = of_table(tmp_path, columns, classes=("yes", "no"), labels={"good": "yes", "bad": "no"})
    assert [row["label"] for row in rows_of(asked, tmp_path)] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("label", "more", "told"),
    [
        (["E", "S", "X", "X"], {}, "the label 'X' of 2 rows is no class; the classes are E, S, C, I"),
        (["E", "E", "E", "E"], {}, "every one of the 4 rows is labelled E"),
        (["E", "S", "C", None], {}, "3 complete rows for 4 classes: fewer rows than classes"),
        (["E", "S", "3", "2"], {}, "the labels mix numbers and words: '2' in 1 rows, 'E' in 1"),
        ([3, 2, 1, 1], {}, r"the labels are numbers \('1', '2', '3'\), and nothing says"),
        ([3, 2, 1, 0], {"grades": GRADES}, "the label '0' of 1 rows lies below every grade"),
        (["E", "S", "C", "I"], {"grades": GRADES}, "lies below every grade"),
        (["E", "S", "C", "I"], {"version": Version.SMALL}, "no column 'small_version'"),
    ],
)
def test_labels_that_teach_nothing_are_told_by_name(tmp_path, label, more, told):
    with pytest.raises(ShopmonError, match=told):
        read_pairs(of_table(tmp_path, {**SIMPLE, "label": label}, **more), tmp_path)


def test_incomplete_rows_are_left_out_and_counted(tmp_path):
    columns = {
        "query": ["lamp", " ", None, "lamp", "lamp", "bed", "bed"],
        "product_title": ["a", "b", "c", "", "d", "e", "f"],
        "label": ["E", "E", "E", "E", "S", "C", None],
    }
    found = read_pairs(of_table(tmp_path, columns, classes=("E", "S", "C")), tmp_path)
    assert (found.rows, found.incomplete, list(found.column("row"))) == (3, 4, [1, 5, 6])


def test_a_class_without_a_pair_is_noted(tmp_path):
    found = read_pairs(of_table(tmp_path, {**SIMPLE, "label": ["E", "E", "I", "S"]}), tmp_path)
    assert found.notes == ("no pair is labelled C",)


def test_columns_that_are_missing_are_told_with_those_there_are(tmp_path):
    with pytest.raises(ShopmonError, match=r"label|grade"):
        read_pairs(of_table(tmp_path, {"query": ["a"], "product_title": ["b"]}), tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"classes": ("E",)}, {"labels": {"x": "Z"}}, {"grades": {"Z": 1.0}}, {"product_text": ()}]
)
def test_settings_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValueError, match=r"classes|no class|no attribute"):
        PairSettings(**wrong)


def test_a_quote_in_a_locale_is_no_code(esci, tmp_path):
    with pytest.raises(ShopmonError, match="no pair is left"):
        read_pairs(replace(esci, locales=("us' or 'a' = 'a",)), tmp_path / "cache")


# --- real files, where they are present -------------------------------------------------------------------------------


def shared(name: str) -> str:
    place = SHARED / name
    if not place.exists():
        pytest.skip(f"{place} is not here: it is no part of the repository")
    return str(place)


def test_the_sample_of_the_published_data_is_read(tmp_path):
    asked = PairSettings(
        data=(shared("esci/esci_schema_sample_16.csv"),), version=Version.SMALL, product_text=ATTRIBUTES
    )
    found = read_pairs(asked, tmp_path)
    assert (found.rows, found.counts, found.foreign) == (16, (3, 6, 0, 7), ())
    assert set(found.column("split")) == {"test"}
    assert max(map(len, list(found.column("pair")))) > 1_000


def test_home_depots_grades_are_read_as_classes(tmp_path):
    asked = PairSettings(data=(shared("queries/home_depot_query_product.parquet"),), grades=GRADES)
    found = read_pairs(asked, tmp_path)
    assert found.rows == 74_067
    assert found.counts == (19_125, 31_292, 18_530, 5_120)
    assert len(set(found.column("group"))) < 11_795, "queries that differ in case or spacing are one"
