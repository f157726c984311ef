"""Rows that are dealt: no group on two sides, each label its share, and planted duplicates found."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from expectations.errors import ShopmonError
from retrain.splits import (
    How,
    Leaks,
    Side,
    SplitSettings,
    deal,
    leakage,
    normalised,
    refuse_leaks,
    without_leaks,
)


def drawn(seed: int, count: int, groups: int) -> list[tuple[int, int]]:
    """(label, group) of each row; hypothesis draws the seed alone, for long lists take it long."""
    rng = np.random.default_rng(seed)
    return [
        (int(label), int(group))
        for label, group in zip(rng.integers(0, 4, count), rng.integers(0, groups, count), strict=True)
    ]


ROWS = st.builds(drawn, st.integers(0, 2**32 - 1), st.integers(120, 400), st.integers(30, 90))
SHARES = st.tuples(st.sampled_from([0.1, 0.15, 0.25]), st.sampled_from([0.1, 0.2, 0.3]))
WITH_GROUPS = st.sampled_from([How.GROUPED, How.HASH])


def dealt(rows, how=How.GROUPED, shares=(0.1, 0.2), seed=1):
    labels, groups = [label for label, _ in rows], [f"query {group}" for _, group in rows]
    texts = [f"{group}\n{number}" for number, group in enumerate(groups)]
    return deal(labels, groups, texts, SplitSettings(how, *shares, seed=seed)), groups


@given(ROWS, WITH_GROUPS, st.integers(0, 5))
@settings(deadline=None)
def test_no_group_is_on_two_sides(rows, how, seed):
    try:
        sides, groups = dealt(rows, how, seed=seed)
    except ShopmonError:
        assert how is How.HASH, "only the hash leaves the sizes to chance"
        return
    assert not leakage(sides, groups).found
    assert leakage(sides, groups, groups).groups == 0


@given(ROWS, SHARES)
@settings(deadline=None)
def test_no_side_has_more_than_its_share_by_a_whole_group(rows, shares):
    sides, groups = dealt(rows, shares=shares)
    largest = max(Counter(groups).values())
    for side, share in enumerate(SplitSettings(How.GROUPED, *shares).shares):
        assert (sides == side).sum() < share * len(rows) + largest + 1e-6


@given(ROWS, st.sampled_from([How.GROUPED, How.HASH, How.STRATIFIED]), st.integers(0, 99))
@settings(deadline=None)
def test_the_order_of_the_rows_does_not_matter(rows, how, chance):
    labels, groups = [label for label, _ in rows], [f"query {group}" for _, group in rows]
    texts = [f"{group}\n{number}" for number, group in enumerate(groups)]
    order = list(range(len(rows)))
    random.Random(chance).shuffle(order)
    asked = SplitSettings(how, 0.1, 0.3)
    try:
        first = deal(labels, groups, texts, asked)
    except ShopmonError:
        return
    again = deal([labels[n] for n in order], [groups[n] for n in order], [texts[n] for n in order], asked)
    assert first[order].tolist() == again.tolist()


@given(ROWS, SHARES)
@settings(deadline=None)
def test_the_plain_split_gives_each_label_its_share_to_a_row(rows, shares):
    sides, _ = dealt(rows, How.STRATIFIED, shares)
    labels = np.array([label for label, _ in rows])
    for label in set(labels.tolist()):
        for side, share in ((Side.VALIDATION, shares[0]), (Side.HELD_OUT, shares[1])):
            assert abs(((labels == label) & (sides == side)).sum() - share * (labels == label).sum()) <= 0.5


def test_groups_keep_the_labels_shares_about_as_well_as_scikit_learn():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(400), rng.integers(1, 25, 400))
    liking = rng.dirichlet([6, 2, 1, 1], 400)
    labels = np.array([rng.choice(4, p=liking[group]) for group in groups])

    def miss(side):
        whole, part = np.bincount(labels) / len(labels), np.bincount(labels[side], minlength=4) / side.sum()
        return float(np.abs(whole - part).max())

    ours = deal(labels.tolist(), [str(g) for g in groups], [str(n) for n in range(len(labels))], SplitSettings())
    _, held = next(StratifiedGroupKFold(10, shuffle=True, random_state=1).split(labels, labels, groups))
    theirs = np.zeros(len(labels), bool)
    theirs[held] = True
    assert miss(ours == Side.HELD_OUT) < 0.01
    assert miss(ours == Side.HELD_OUT) < miss(theirs) + 0.005
    assert abs((ours == Side.HELD_OUT).mean() - 0.1) < 0.002


def test_another_seed_deals_otherwise_and_the_same_seed_the_same():
    rows = [(n % 3, n // 4) for n in range(400)]
    assert dealt(rows)[0].tolist() == dealt(rows)[0].tolist()
    assert dealt(rows)[0].tolist() != dealt(rows, seed=2)[0].tolist()


def test_by_hash_a_group_stays_on_its_side_when_rows_come():
    rows = [(n % 3, n // 4) for n in range(400)]
    few, groups = dealt(rows, How.HASH)
    many, more = dealt([*rows, *((1, n) for n in range(50, 200))], How.HASH)
    assert dict(zip(groups, few.tolist(), strict=True)).items() <= dict(zip(more, many.tolist(), strict=True)).items()


def test_no_rows_have_no_sides():
    assert deal([], [], [], SplitSettings()).tolist() == []


def test_too_few_groups_are_told():
    with pytest.raises(ShopmonError, match=r"no (validation|held-out) rows are left: 40 rows in 2 groups"):
        deal([0, 1] * 20, ["a"] * 20 + ["b"] * 20, list(map(str, range(40))), SplitSettings())


@pytest.mark.parametrize("wrong", [{"validation": 1.0}, {"held_out": -0.1}, {"validation": 0.5, "held_out": 0.5}])
def test_shares_that_leave_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=r"share between|leave nothing"):
        SplitSettings(**wrong)


# --- what is published ------------------------------------------------------------------------------------------------

PUBLISHED = SplitSettings(How.PUBLISHED, validation=0.25)


def test_a_published_split_is_honoured_and_validation_is_cut_from_its_training_rows():
    said = ["train"] * 80 + ["test"] * 20
    groups = [f"query {n // 4}" for n in range(100)]
    sides = deal([n % 4 for n in range(100)], groups, groups, PUBLISHED, published=said)
    assert set(sides[80:].tolist()) == {Side.HELD_OUT}
    assert Counter(sides[:80].tolist()) == {Side.TRAIN: 60, Side.VALIDATION: 20}
    assert leakage(sides, groups, groups).groups == 0


def test_a_published_validation_is_honoured_as_well():
    said = ["train", "dev", "Test "] * 4
    sides = deal([0, 1, 2] * 4, ["a"] * 12, ["t"] * 12, PUBLISHED, published=said)
    assert sides.tolist() == [Side.TRAIN, Side.VALIDATION, Side.HELD_OUT] * 4


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "has no column 'split'"),
        ([None, None], "has no column 'split'"),
        (["train", "maybe"], "says 'maybe' in 1 rows"),
        (["train", None], "says '' in 1 rows"),
        (["train", "train"], "says test"),
        (["test", "test"], "says train"),
    ],
)
def test_a_published_split_that_says_too_little_is_told(said, told):
    with pytest.raises(ShopmonError, match=told):
        deal([0, 1], ["a", "b"], ["a", "b"], SplitSettings(How.PUBLISHED, validation=0.0), published=said)


# --- leaks ------------------------------------------------------------------------------------------------------------


def test_planted_duplicates_are_found_and_refused():
    sides = np.array([0] * 6 + [1, 1, 2, 2, 2, 2], np.int8)
    texts = [f"query {n}\nproduct {n}" for n in range(12)]
    assert not leakage(sides, texts).found
    refuse_leaks(leakage(sides, texts))
    texts[7] = texts[0]
    texts[9] = texts[6]  # from validation into what measures
    texts[10] = "Query  1\nPRODUCT, 1"
    found = leakage(sides, texts)
    assert (found.exact, found.normalised, found.rows) == (2, 1, 6)
    with pytest.raises(
        ShopmonError, match=r"3 of 6 rows that measure \(50.0%\).*2 letter for letter, 1 but for"
    ) as told:
        refuse_leaks(found)
    assert "query 0 / product 0" in told.value.problem
    assert "leaks" in told.value.advice


@given(ROWS, st.integers(1, 20), st.integers(0, 9))
@settings(deadline=None)
def test_however_many_duplicates_are_planted_all_are_found(rows, planted, seed):
    sides, _ = dealt(rows, seed=seed)
    texts = [f"query {n}\nproduct {n}" for n in range(len(rows))]
    train, held = np.flatnonzero(sides == Side.TRAIN), np.flatnonzero(sides == Side.HELD_OUT)
    some = list(zip(train, held, strict=False))[:planted]
    for at, (there, here) in enumerate(some):
        texts[here] = texts[there] if at % 2 else texts[there].upper() + " !"
    found = leakage(sides, texts)
    assert found.exact == len(some) // 2
    assert found.normalised == len(some) - len(some) // 2
    kept = without_leaks(sides, texts)
    assert not leakage(kept, texts).found
    assert (kept == Side.HELD_OUT).sum() == (sides == Side.HELD_OUT).sum(), "what measures stays whole"
    assert (kept == Side.LEFT_OUT).sum() == len(some)


def test_the_plain_split_tears_queries_apart_and_says_so():
    rows = [(n % 3, n // 4) for n in range(400)]
    sides, groups = dealt(rows, How.STRATIFIED)
    found = leakage(sides, [str(n) for n in range(400)], groups)
    assert found.groups > 20
    assert "groups (queries, products) are on several sides" in found.told


@pytest.mark.parametrize(
    ("one", "other"),
    [("Café", "CAFE\u0301"), ("5 ㎝", "5 cm"), ("a  b", "A-B"), ("Straße", "STRASSE"), ("क्षि", " क्षि!")],
)
def test_texts_that_differ_in_writing_alone_are_the_same(one, other):
    assert normalised(one) == normalised(other) != ""


def test_what_becomes_of_leaks_has_two_names():
    assert [one.value for one in Leaks] == ["refuse", "drop"]
