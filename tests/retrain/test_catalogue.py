"""A catalogue holds each text once, whatever order the products came in."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain.catalogue import SCHEMA, catalogue_of


def products(*rows):
    """Products from (id, text)."""
    told = [
        {"id": name, "title": text, "text": text, "file": "p.csv", "row": at} for at, (name, text) in enumerate(rows, 1)
    ]
    return pa.Table.from_pylist(told, schema=SCHEMA)


NAMES = st.one_of(st.none(), st.sampled_from("abc"))
ROWS = st.lists(
    st.tuples(NAMES, st.one_of(st.none(), st.sampled_from(["lamp", " lamp", "Lamp", "coat", " ", ""]))), max_size=9
)


@given(ROWS)
def test_every_product_with_a_text_stands_in_it_once(rows):
    texts = {(text or "").strip() for _, text in rows} - {""}
    if not texts:
        with pytest.raises(ShopmonError, match="has a text"):
            catalogue_of(products(*rows))
        return
    found = catalogue_of(products(*rows))
    assert found.texts == sorted(texts)
    assert (found.arrived, found.blank) == (len(rows), sum(not (text or "").strip() for _, text in rows))
    for told in found.rows.to_pylist():
        ids = [name for name, text in rows if (text or "").strip() == told["text"]]
        inside = sorted(one for one in ids if one is not None)
        assert told["id"] == (inside[0] if inside else None), "the least id stands for a text"
        assert sorted((told["id"], *told["same_text"]), key=str) == sorted(ids, key=str)
    assert found.repeated == len(rows) - found.blank - len(texts)


@given(ROWS, st.randoms())
def test_the_order_in_which_products_came_changes_nothing(rows, random):
    table = products(*rows, ("z", "table"))
    order = list(range(table.num_rows))
    random.shuffle(order)
    one, other = catalogue_of(table), catalogue_of(table.take(order))
    assert one.rows.equals(other.rows)
    assert one.notes == other.notes


def test_what_is_odd_about_it_is_told():
    found = catalogue_of(products(("a", "lamp"), ("a", "coat"), ("b", "lamp"), ("c", None)))
    assert found.notes == (
        "1 of 4 products have no text, and are left out",
        "1 products have the text of another one, and stand with it (same_text)",
        "2 products share their id with another one, such as 'a'",
    )
    assert "no column was recognised" in catalogue_of(products((None, "lamp"))).notes[0]


def test_a_catalogue_without_a_text_is_refused_with_what_to_do():
    with pytest.raises(ShopmonError, match=r"none of the 2 products has a text.*--text COLUMN"):
        catalogue_of(products(("a", None), ("b", "  ")))
