"""A kind is recognised from the columns that shops really have, and what a person says wins."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import BatchError
from expectations.kinds import KINDS, Holds, _mapping, kind_named, recognise

TEXT, NUMBER, DATE, FLAG = Holds.TEXT, Holds.NUMBER, Holds.DATE, Holds.FLAG


@pytest.mark.parametrize(
    ("columns", "kind", "mapping"),
    [
        (
            {"Review Text": TEXT, "Rating": NUMBER, "Clothing ID": NUMBER, "Recommended IND": NUMBER, "Title": TEXT},
            "reviews",
            {
                "text": "Review Text",
                "stars": "Rating",
                "product": "Clothing ID",
                "recommended": "Recommended IND",
                "title": "Title",
            },
        ),
        (
            {"reviews.text": TEXT, "reviews.rating": NUMBER, "reviews.doRecommend": FLAG, "name": TEXT, "asins": TEXT},
            "reviews",
            {
                "text": "reviews.text",
                "stars": "reviews.rating",
                "recommended": "reviews.doRecommend",
                "product": "name",
                "product_id": "asins",
            },
        ),
        (
            {"verified_reviews": TEXT, "rating": NUMBER, "date": TEXT, "variation": TEXT, "feedback": NUMBER},
            "reviews",
            {"text": "verified_reviews", "stars": "rating", "date": "date", "product": "variation"},
        ),
        ({"Content": TEXT, "Star_rating": NUMBER}, "reviews", {"text": "Content", "stars": "Star_rating"}),
        (
            {"query": TEXT, "product_title": TEXT, "esci_label": TEXT, "product_id": TEXT},
            "relevance",
            {"query": "query", "product_text": "product_title", "label": "esci_label", "product": "product_id"},
        ),
        (
            {"search_term": TEXT, "product_title": TEXT, "relevance": NUMBER},
            "relevance",
            {"query": "search_term", "product_text": "product_title", "grade": "relevance"},
        ),
        (
            {"product_title": TEXT, "sale_price": NUMBER, "listing_price": NUMBER, "brand": TEXT},
            "products",
            {"title": "product_title", "price": "sale_price", "list_price": "listing_price", "brand": "brand"},
        ),
        ({"search_term": TEXT, "timestamp": DATE}, "queries", {"query": "search_term", "date": "timestamp"}),
    ],
)
def test_common_names_of_shop_data_are_recognised(columns, kind, mapping):
    found = recognise(columns)
    assert found.kind.name == kind
    assert found.mapping == mapping


@given(
    st.lists(st.sampled_from(["text", "stars", "title", "review_text", "rating", "body", "name", "price"]), unique=True)
)
def test_no_column_serves_two_roles(names):
    try:
        mapping = recognise(dict.fromkeys(["text", *names], TEXT)).mapping
    except BatchError:
        pytest.fail("a column called text makes reviews")
    assert len(set(mapping.values())) == len(mapping)


def test_what_a_person_says_wins_over_every_guess():
    found = recognise({"text": TEXT, "Inhalt": TEXT, "Sterne": NUMBER}, given={"Inhalt": "text", "Sterne": "stars"})
    assert found.mapping == {"text": "Inhalt", "stars": "Sterne"}


def test_a_role_that_only_one_kind_has_settles_the_kind():
    assert (
        recognise({"text": TEXT, "title": TEXT, "waehrung": TEXT}, given={"waehrung": "currency"}).kind.name
        == "products"
    )


def test_the_kind_that_is_said_wins():
    assert recognise({"query": TEXT, "title": TEXT, "label": TEXT}, kind="products").kind.name == "products"


def test_a_number_called_label_is_a_grade():
    columns = {"query": TEXT, "title": TEXT, "label": NUMBER}
    assert recognise(columns).mapping == {"query": "query", "product_text": "title", "grade": "label"}


def test_what_holds_dates_is_no_rating():
    assert "stars" not in recognise({"text": TEXT, "rating": DATE}).mapping


def test_what_is_nested_serves_no_role():
    assert recognise({"text": None, "body": TEXT}).mapping == {"text": "body"}
    with pytest.raises(BatchError, match="'text' holds neither text nor numbers"):
        recognise({"text": None, "stars": NUMBER})


@pytest.mark.parametrize(
    ("given_roles", "said"),
    [
        ({"txt": "text"}, "column 'txt' is not in the batch.*Did you mean 'text'"),
        ({"text": "txet"}, "no kind has a role 'txet'.*Did you mean 'text'"),
        ({"text": "text", "stars": "text"}, "'text' and 'stars' are both given for text"),
        ({"text": "verdict", "stars": "currency"}, "no kind has all of the roles verdict, currency"),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_refused(given_roles, said):
    with pytest.raises(BatchError, match=said):
        recognise({"text": TEXT, "stars": NUMBER}, given=given_roles)


def test_a_role_that_the_kind_lacks_is_refused():
    with pytest.raises(BatchError, match="queries have no role 'stars' for column 'stars'"):
        recognise({"query": TEXT, "stars": NUMBER}, kind="queries", given={"stars": "stars"})


def test_an_unknown_kind_names_those_there_are():
    with pytest.raises(BatchError, match="products, queries, relevance, reviews"):
        kind_named("shoes")


def test_a_long_list_of_columns_is_cut_in_the_message():
    with pytest.raises(BatchError, match="and 4988 more") as refusal:
        recognise({f"column {n}": TEXT for n in range(5000)})
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_role_of_a_kind_can_be_given_by_its_own_name(kind):
    needed = [group[0] for group in kind.needs]
    for role in kind.roles:
        names = dict.fromkeys([*needed, role.name])
        columns = {f"column of {name}": (kind.role(name) or role).holds for name in names}
        found = recognise(columns, kind=kind.name, given={f"column of {name}": name for name in names})
        assert found.mapping[role.name] == f"column of {role.name}"


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_outputs_of_a_model_are_recognised_in_every_kind(kind):
    columns = {"text": TEXT, "title": TEXT, "query": TEXT, "label": TEXT, "Predicted Label": TEXT, "Confidence": NUMBER}
    found = recognise(columns, kind=kind).mapping
    assert found["prediction"] == "Predicted Label"
    assert found["prediction_score"] == "Confidence"
    assert found["label"] == "label"


def test_a_number_may_be_the_label_where_there_are_no_grades():
    assert recognise({"text": TEXT, "prediction": NUMBER, "target": NUMBER}).mapping["label"] == "target"
    assert "label" not in recognise({"query": TEXT, "title": TEXT, "label": NUMBER}).mapping


@given(st.lists(st.sampled_from([name for kind in KINDS for role in kind.roles for name in role.names]), unique=True))
def test_outputs_of_a_model_take_no_column_from_another_role(names):
    outputs = {"prediction", "prediction_score", "label"}
    for kind in (kind for kind in KINDS if not kind.role("grade")):
        without = replace(kind, roles=tuple(role for role in kind.roles if role.name not in outputs))
        columns = dict.fromkeys(names, TEXT)
        found = _mapping(kind, columns, {})
        assert {role: own for role, own in found.items() if role not in outputs} == _mapping(without, columns, {})
