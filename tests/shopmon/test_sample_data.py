import random
import re
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopmon.sample_data import (
    LABELS,
    REVIEWS,
    Shift,
    products,
    queries,
    relevance,
    reviews,
    write_chunks,
    write_reviews,
)
from shopmon.shop_words import BRANDS, CATEGORIES, FEATURES, TYPES

MAKERS = [reviews, products, queries, relevance]
SEED = 11


@pytest.fixture(scope="module")
def many() -> pa.Table:
    return reviews(20_000, seed=SEED, recommended=True)


@pytest.mark.parametrize("make", MAKERS)
def test_the_same_seed_gives_the_same_rows(make):
    assert make(300, seed=4).equals(make(300, seed=4))


@pytest.mark.parametrize("make", MAKERS)
def test_another_seed_gives_other_rows(make):
    assert not make(300, seed=4).equals(make(300, seed=5))


@settings(max_examples=12, deadline=None)
@given(make=st.sampled_from(MAKERS), start=st.integers(0, 40_000), cut=st.integers(0, 60), rows=st.integers(0, 60))
def test_rows_do_not_depend_on_the_chunks_they_are_asked_for_in(make, start, cut, rows):
    whole = make(cut + rows, seed=SEED, start=start)
    assert whole.slice(cut).to_pylist() == make(rows, seed=SEED, start=start + cut).to_pylist()


def test_rows_do_not_depend_on_the_blocks_inside_either():
    assert reviews(20_000, seed=SEED).slice(16_380, 10).equals(reviews(10, seed=SEED, start=16_380))


@pytest.mark.parametrize("make", MAKERS)
def test_no_rows_asked_for_are_no_rows_of_the_same_columns(make):
    assert make(0).num_rows == 0
    assert make(0).schema == make(1).schema


def test_a_negative_number_of_rows_is_refused():
    with pytest.raises(ValueError, match="rows=-1"):
        reviews(-1)


def test_reviews_have_the_eleven_columns_of_the_benchmark():
    assert reviews(10).schema == REVIEWS
    assert len(REVIEWS) == 11


def test_no_value_is_missing(many):
    assert {name: many.column(name).null_count for name in many.column_names if many.column(name).null_count} == {}


def test_ids_are_all_different(many):
    assert len(set(many["id"].to_pylist())) == many.num_rows


def test_reviews_of_two_sentences_hardly_ever_repeat(many):
    texts = [_letters(t) for t in many["text"].to_pylist() if len(t) > 40]
    assert 1 - len(set(texts)) / len(texts) < 0.001


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


@pytest.mark.parametrize("column", ["text", "title", "product", "user"])
def test_clean_values_have_tidy_spaces_and_no_leftovers_of_the_grammar(many, column):
    untidy = re.compile(r"^\s|\s$|\s\s|\s[.,!:]|\.\.|[\[\]{}|\\<>&]|CLAUSE|,\.")
    assert [value for value in many[column].to_pylist() if untidy.search(value)] == []


def test_nobody_shouts(many):
    assert [t for t in many["text"].to_pylist() if t == t.upper()] == []


def test_sentences_begin_with_a_capital_letter_except_where_somebody_never_uses_one(many):
    texts = many["text"].to_pylist()
    lazy = [t for t in texts if t == t.lower()]
    small = [t for t in texts if t != t.lower() and re.search(r"(?:^|[.!] )[a-z]", t)]
    assert 0.03 < len(lazy) / len(texts) < 0.07
    assert small == []


def test_most_reviews_are_short_and_few_are_long(many):
    lengths = np.array([len(t) for t in many["text"].to_pylist()])
    assert 120 < np.median(lengths) < lengths.mean() < 300
    assert (lengths < 30).mean() > 0.01
    assert lengths.max() < 900


def test_stars_have_the_shape_of_a_j(many):
    share = Counter(many["stars"].to_pylist())
    assert share[5] > share[4] > share[3] > share[2]
    assert share[1] > share[2]
    assert set(share) == {1, 2, 3, 4, 5}


def test_the_recommendation_agrees_with_the_stars(many):
    pairs = set(zip(many["stars"].to_pylist(), many["recommended"].to_pylist(), strict=True))
    assert pairs == {(1, False), (2, False), (3, False), (3, True), (4, True), (5, True)}


def test_a_reviews_brand_and_category_are_those_of_its_product(many):
    category_of = {t.name.lower(): t.category for t in TYPES}
    for row in many.slice(0, 2_000).to_pylist():
        assert row["product"].startswith(f"{row['brand']} ")
        assert row["category"] in {c for name, c in category_of.items() if row["product"].lower().endswith(f" {name}")}


PRAISE = re.compile(r"\b(love|superb|highly recommended|worth every|exceeded my|could not be happier)\b", re.I)
SCORN = re.compile(r"\b(disappointed|I regret|never again|waste of money|went straight back|do not buy)\b", re.I)


def test_five_stars_praise_and_one_star_scorns(many):
    said = defaultdict(list)
    for stars, text, title in zip(*(many[c].to_pylist() for c in ("stars", "text", "title")), strict=True):
        said[stars].append(f"{title} {text}")
    assert [t for t in said[5] if SCORN.search(t)] == []
    assert [t for t in said[1] if PRAISE.search(t)] == []
    assert sum(bool(PRAISE.search(t)) for t in said[5]) > 0.3 * len(said[5])
    assert sum(bool(SCORN.search(t)) for t in said[1]) > 0.3 * len(said[1])


def test_a_review_speaks_only_of_its_own_kind_of_article(many):
    texts = [t for t, c in zip(many["text"].to_pylist(), many["category"].to_pylist(), strict=True) if c == "Audio"]
    assert texts
    assert not any(re.search(r"\b(laces|waistband|hood|insole|GPS)\b", t) for t in texts)


def test_dates_are_in_the_past_and_prices_are_prices(many):
    assert max(many["date"].to_pylist()).year == 2025
    assert min(many["price"].to_pylist()) > 0
    assert all(price == round(price, 2) for price in many["price"].to_pylist())


def test_every_category_has_enough_to_be_said_for_the_longest_review():
    assert all(len(features) >= 4 for features in FEATURES.values())
    assert set(FEATURES) == set(CATEGORIES)


# --- shifts ----------------------------------------------------------------------------------------------------------


def test_no_shift_speaks_of_zippers_and_refunds(many):
    assert not any(re.search("zipper|refund", t, re.I) for t in many["text"].to_pylist())


def test_a_complaint_is_made_in_its_share_of_one_brands_reviews():
    table = reviews(20_000, seed=SEED, shift=Shift(brand="Puma", complaint_share=0.3))
    rows = table.select(["brand", "text", "stars"]).to_pylist()
    complaints = [r for r in rows if re.search("zipper", r["text"], re.I)]
    assert {r["brand"] for r in complaints} == {"Puma"}
    assert max(r["stars"] for r in complaints) <= 2
    assert len(complaints) / sum(r["brand"] == "Puma" for r in rows) == pytest.approx(0.3, abs=0.04)


def test_a_brands_share_is_raised_to_what_was_asked_for():
    brands = reviews(20_000, seed=SEED, shift=Shift(brand="Fila", brand_share=0.25))["brand"].to_pylist()
    assert brands.count("Fila") / len(brands) == pytest.approx(0.25, abs=0.02)


def test_inflation_raises_every_price_and_nothing_else(many):
    dearer = reviews(2_000, seed=SEED, shift=Shift(price_factor=2.0))
    clean = many.slice(0, 2_000).drop_columns(["recommended"])
    ratio = np.array(dearer["price"]) / np.array(clean["price"])
    assert np.allclose(ratio, 2.0, atol=0.02)
    assert dearer.drop_columns(["price"]).equals(clean.drop_columns(["price"]).combine_chunks())


def test_lower_stars_lower_the_mean_and_never_leave_the_scale(many):
    lower = np.array(reviews(20_000, seed=SEED, shift=Shift(lower_stars=0.5))["stars"])
    assert lower.min() == 1
    assert np.array(many["stars"]).mean() - lower.mean() > 0.3


def test_a_later_batch_is_later():
    days = [
        (b - a).days
        for a, b in zip(
            reviews(50, seed=SEED)["date"].to_pylist(),
            reviews(50, seed=SEED, shift=Shift(days_later=30))["date"].to_pylist(),
            strict=True,
        )
    ]
    assert set(days) == {30}


@pytest.mark.parametrize(
    "wrong", [{"brand": "Nikee"}, {"price_factor": 0}, {"complaint_share": 1.5}, {"brand_share": -0.1}]
)
def test_a_shift_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Shift(**wrong)


# --- products, queries, pairs ----------------------------------------------------------------------------------------


def test_a_product_costs_at_most_its_list_price():
    assert all(row["price"] <= row["list_price"] for row in products(3_000, seed=SEED).to_pylist())


def test_product_ids_are_all_different_and_descriptions_are_sentences():
    rows = products(3_000, seed=SEED).to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(re.fullmatch(r"[A-Z][^\[\]{}|]+[.]", row["description"]) for row in rows)


def test_queries_are_typed_in_small_letters_and_frequent_ones_repeat():
    typed = queries(5_000, seed=SEED)["query"].to_pylist()
    without_names = [q for q in typed if "GPS" not in q]
    assert all(q == q.lower().strip() for q in without_names)
    assert Counter(typed).most_common(1)[0][1] > 10


def test_the_same_pair_never_has_two_labels():
    labels = defaultdict(set)
    for row in relevance(20_000, seed=SEED).to_pylist():
        labels[row["query"], row["product_text"]].add(row["label"])
    assert max(map(len, labels.values())) == 1


def test_an_exact_match_names_the_brand_and_the_type_that_were_asked_for():
    rows = relevance(5_000, seed=SEED).to_pylist()
    assert {row["label"] for row in rows} == set(LABELS)
    for row in rows:
        asked, shown = row["query"].lower(), row["product_text"].lower()
        brand = next((b.lower() for b in BRANDS if asked.startswith(f"{b.lower()} ")), "")
        kind = next(t.name.lower() for t in sorted(TYPES, key=lambda t: -len(t.name)) if t.name.lower() in asked)
        if row["label"] == "E":
            assert brand in shown
            assert kind in shown
        if row["label"] in "CI":
            assert f" {kind}," not in shown


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_holds_the_rows_that_were_asked_for(tmp_path):
    write_reviews(tmp_path / "r.parquet", 1_500, SEED)
    assert pq.read_table(tmp_path / "r.parquet").equals(reviews(1_500, seed=SEED))
    assert [p.name for p in tmp_path.iterdir()] == ["r.parquet"]


def test_a_file_that_could_not_be_finished_does_not_appear(tmp_path):
    def failing():
        yield reviews(10)
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError):
        write_chunks(tmp_path / "r.parquet", failing(), REVIEWS)
    assert list(tmp_path.iterdir()) == []


def test_rows_look_independent_of_each_other():
    stars = np.array(reviews(10_000, seed=random.Random(1).randrange(1000))["stars"], dtype=float)
    assert abs(np.corrcoef(stars[:-1], stars[1:])[0, 1]) < 0.05
