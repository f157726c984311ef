from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from monitor.profiles import BUCKETS, WORD_BUCKETS, CategoryProfile, NumberProfile, Sort, TextProfile
from monitor.shift_tests import (
    Comparison,
    ShiftSettings,
    categories_p_value,
    chance,
    chi_square,
    compare,
    fisher,
    jensen_shannon,
    numbers_p_value,
    pooled,
    spread_unit,
    wasserstein,
)

Array = np.ndarray
Sampler = Callable[[np.random.Generator, int], Array]


def edges_of(reference: Array) -> Array:
    return np.unique(np.quantile(reference, np.arange(1, 256) / 256, method="inverted_cdf"))


def numbers(values: Array, edges: Array, missing: int = 0) -> NumberProfile:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    ends = (values.mean(), values.std(), values.min(), values.max()) if len(values) else (np.nan,) * 4
    return NumberProfile(len(values) + missing, missing, edges, counts, *(float(end) for end in ends))


def two(reference: Array, current: Array) -> tuple[NumberProfile, NumberProfile]:
    edges = edges_of(reference)
    return numbers(reference, edges), numbers(current, edges)


def categories(shares_or_rows: dict[str, int], missing: int = 0) -> CategoryProfile:
    counts = np.zeros(BUCKETS, dtype=np.int64)
    names = {place(name): name for name in shares_or_rows}
    for name, rows in shares_or_rows.items():
        counts[place(name)] = rows
    return CategoryProfile(sum(shares_or_rows.values()) + missing, missing, counts, names)


def place(name: str) -> int:
    return sum(map(ord, name)) % BUCKETS


def normal(rng: np.random.Generator, n: int) -> Array:
    return rng.normal(size=n)


def prices(rng: np.random.Generator, n: int) -> Array:
    return np.round(10 * (1 + rng.pareto(1.5, n)), 2)  # of infinite variance


def stars(rng: np.random.Generator, n: int) -> Array:
    return rng.choice(np.arange(1.0, 6.0), n, p=[0.1, 0.05, 0.1, 0.2, 0.55])


def mostly_zero(rng: np.random.Generator, n: int) -> Array:
    return (rng.random(n) < 0.01).astype(float)


def zipf(k: int) -> Array:
    weights = 1 / np.arange(1, k + 1)
    return weights / weights.sum()


def hashed(shares: Array) -> Array:
    """Shares of categories as shares of the buckets they fall into."""
    return np.bincount(np.random.default_rng(5).integers(0, BUCKETS, len(shares)), shares, minlength=BUCKETS)


def alarms_of_numbers(draw: Sampler, later: Sampler, n: int, m: int, repeats: int) -> float:
    rng = np.random.default_rng(11)
    pairs = (two(draw(rng, n), later(rng, m)) for _ in range(repeats))
    return float(np.mean([numbers_p_value(a.counts, b.counts) <= 0.05 for a, b in pairs]))


def alarms_of_categories(shares: Array, later: Array, n: int, m: int, repeats: int) -> float:
    rng = np.random.default_rng(12)
    pairs = ((rng.multinomial(n, shares), rng.multinomial(m, later)) for _ in range(repeats))
    return float(np.mean([categories_p_value(*pair) <= 0.05 for pair in pairs]))


# --- what holds of every pair ---------------------------------------------------------------------------------------

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(np.array)
few = st.lists(st.integers(1, 5), min_size=1, max_size=60).map(lambda drawn: np.array(drawn, dtype=float))
counted = st.integers(1, 12).flatmap(
    lambda k: st.tuples(*[st.lists(st.integers(0, 60), min_size=k, max_size=k).map(np.array)] * 2)
)


@given(st.one_of(values, few), st.one_of(values, few))
def test_numbers_give_a_probability_and_a_size(reference, current):
    before, now = two(reference, current)
    assert 0 <= numbers_p_value(before.counts, now.counts) <= 1
    assert 0 <= wasserstein(before, now) < np.inf


@given(counted)
def test_categories_give_a_probability_and_a_size(pair):
    assert 0 <= categories_p_value(*pair) <= 1
    assert 0 <= jensen_shannon(*pair) <= 1


@given(st.one_of(values, few))
def test_identical_numbers_do_not_differ(sample):
    before, now = two(sample, sample)
    assert numbers_p_value(before.counts, now.counts) == 1
    assert wasserstein(before, now) == 0


def test_a_spread_of_next_to_nothing_is_a_unit_like_any_other():
    sample = np.array([0.0, 0.0, 1.0, 1e-280])
    assert wasserstein(*two(sample, sample)) == 0
    assert np.isfinite(wasserstein(*two(sample, np.full(1000, 1.0))))


@given(counted)
def test_identical_categories_do_not_differ(pair):
    assert categories_p_value(pair[0], pair[0]) == 1
    assert jensen_shannon(pair[0], pair[0]) == 0


@given(st.one_of(values, few), st.one_of(values, few))
def test_which_side_is_called_the_reference_makes_no_difference_to_the_test_of_numbers(one, other):
    before, now = two(one, other)
    there, back = numbers_p_value(before.counts, now.counts), numbers_p_value(now.counts, before.counts)
    assert there == pytest.approx(back, rel=1e-6, abs=1e-12)


@given(counted)
def test_which_side_is_called_the_reference_makes_no_difference_to_chi_square(pair):
    kept = pair[0] + pair[1] > 0
    before, now = pair[0][kept], pair[1][kept]
    if before.sum() and now.sum():
        assert chi_square(before, now) == pytest.approx(chi_square(now, before))
        assert chance(before, now) == pytest.approx(chance(now, before), abs=1e-6)


@given(values, values, st.floats(0.1, 50), st.floats(-100, 100))
def test_the_size_does_not_depend_on_the_currency(reference, current, factor, start):
    before, now = two(np.round(reference, 3), np.round(current, 3))

    def exchanged(profile: NumberProfile) -> NumberProfile:
        ends = (factor * end + start for end in (profile.mean, profile.minimum, profile.maximum))
        mean, low, high = ends
        return replace(
            profile,
            edges=factor * profile.edges + start,
            mean=mean,
            std=factor * profile.std,
            minimum=low,
            maximum=high,
        )

    assert wasserstein(exchanged(before), exchanged(now)) == pytest.approx(wasserstein(before, now), rel=1e-3, abs=1e-5)


def test_the_order_of_rows_and_of_parts_makes_no_difference():
    rng = np.random.default_rng(3)
    reference, parts = normal(rng, 500), [normal(rng, n) + 0.3 for n in (100, 250, 150)]
    edges = edges_of(reference)
    counts = sum(numbers(part, edges).counts for part in parts)
    whole = numbers(np.concatenate(parts[::-1]), edges)
    before = numbers(reference, edges)
    assert numbers_p_value(before.counts, counts) == numbers_p_value(before.counts, whole.counts)


# --- levels: samples of one distribution ----------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [normal, prices, stars, mostly_zero])
@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (30, 300), (300, 30), (100, 2000)])
def test_equal_numbers_are_told_apart_no_more_often_than_the_level(draw, n, m):
    assert alarms_of_numbers(draw, draw, n, m, 300) <= 0.085  # 0.05, and 2.8 standard errors


@pytest.mark.parametrize("shares", [zipf(5), zipf(100), hashed(zipf(42_000)), hashed(np.full(42_000, 1 / 42_000))])
@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (50_000, 1000), (1000, 20_000)])
def test_equal_categories_are_told_apart_no_more_often_than_the_level(shares, n, m):
    assert alarms_of_categories(shares, shares, n, m, 300) <= 0.085


def test_permuted_labels_are_told_apart_no_more_often_than_the_level():
    rng = np.random.default_rng(4)
    rows, found = np.concatenate([stars(rng, 400), np.full(100, 3.0)]), []
    for _ in range(400):
        rng.shuffle(rows)
        found.append(numbers_p_value(*(side.counts for side in two(rows[:200], rows[200:]))) <= 0.05)
    assert np.mean(found) <= 0.08


# --- power: what was planted is found -------------------------------------------------------------------------------


def with_outliers(rng: np.random.Generator, n: int) -> Array:
    return prices(rng, n) * np.where(rng.random(n) < 0.05, 5, 1)


@pytest.mark.parametrize(
    ("draw", "later"),
    [
        pytest.param(normal, lambda rng, n: normal(rng, n) + 0.1, id="mean + 0.1 sd"),
        pytest.param(normal, lambda rng, n: normal(rng, n) * 1.2**0.5, id="variance x 1.2"),
        pytest.param(normal, lambda rng, n: normal(rng, n) * np.where(rng.random(n) < 0.05, 5, 1), id="5 % x 5"),
        pytest.param(prices, with_outliers, id="5 % of prices x 5"),
    ],
)
def test_a_planted_shift_of_numbers_is_found_and_large_enough(draw, later):
    rng, settings = np.random.default_rng(6), ShiftSettings()
    pairs = [two(draw(rng, 10_000), later(rng, 10_000)) for _ in range(40)]
    found = [
        numbers_p_value(a.counts, b.counts) < 0.002 and wasserstein(a, b) >= settings.number_floor for a, b in pairs
    ]
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize("shares", [zipf(30), zipf(100), hashed(zipf(42_000))])
def test_five_percent_of_other_categories_are_found_and_large_enough(shares):
    rng, mixed = np.random.default_rng(8), 0.95 * shares + 0.05 * shares[::-1]
    pairs = [(rng.multinomial(10_000, shares), rng.multinomial(10_000, mixed)) for _ in range(40)]
    found = [
        categories_p_value(*pair) < 0.002 and jensen_shannon(*pair) >= ShiftSettings().category_floor for pair in pairs
    ]
    assert np.mean(found) >= 0.95


def test_one_new_category_is_found_among_42_000():
    rng = np.random.default_rng(9)
    shares = hashed(np.full(42_000, 1 / 42_000))
    before, now = rng.multinomial(10_000, shares), rng.multinomial(9_900, shares)
    now[17] += 100
    assert categories_p_value(before, now) < 1e-10


def test_many_new_categories_that_are_all_rare_are_found_and_large():
    before, now = np.zeros(BUCKETS, dtype=np.int64), np.zeros(BUCKETS, dtype=np.int64)
    before[:10], now[:10] = 100, 94
    now[100:160] = 1
    assert categories_p_value(before, now) < 1e-6
    assert jensen_shannon(before, now) > 0.1


# --- against what is known ------------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_missing_shares_are_compared_as_scipy_does(hits, misses, other_hits, other_misses):
    ours = fisher(hits, hits + misses, other_hits, other_hits + other_misses)
    theirs = stats.fisher_exact([[hits, misses], [other_hits, other_misses]]).pvalue
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_large_shares_are_compared_alike_on_both_sides_of_the_shortcut():
    exact, shortcut = fisher(49_900, 200_000, 50_100, 199_000), fisher(50_100, 200_000, 50_310, 199_000)
    assert exact == pytest.approx(stats.fisher_exact([[49_900, 150_100], [50_100, 148_900]]).pvalue, rel=1e-4)
    assert shortcut == pytest.approx(stats.fisher_exact([[50_100, 149_900], [50_310, 148_690]]).pvalue, rel=0.02)


def test_the_moments_of_chi_square_are_those_of_all_ways_to_deal_the_rows():
    rows = np.repeat(np.arange(3), [3, 2, 4])
    dealt = [np.bincount(rows[list(hand)], minlength=3) for hand in combinations(range(9), 4)]
    found = [chi_square(np.array([3, 2, 4]) - hand, hand) for hand in dealt]
    assert chance(np.array([1, 1, 3]), np.array([2, 1, 1])) == pytest.approx((np.mean(found), np.var(found)))


def test_the_moments_of_chi_square_stay_those_of_the_textbook_where_rows_are_many():
    counts = np.full(100, 10**9)
    assert chance(counts, counts) == pytest.approx((99, 198))
    assert categories_p_value(counts, counts) == 1


def test_chi_square_is_the_textbook_one():
    before, now = np.array([30, 50, 20]), np.array([60, 70, 70])
    assert chi_square(before, now) == pytest.approx(stats.chi2_contingency([before, now]).statistic)


def test_a_shift_of_one_standard_deviation_has_size_one():
    rng = np.random.default_rng(1)
    sample = normal(rng, 50_000)
    assert wasserstein(*two(sample, sample + 1)) == pytest.approx(1, abs=0.06)


def test_one_absurd_price_neither_makes_nor_hides_a_change():
    rng = np.random.default_rng(2)
    sample = rng.normal(50, 10, 2000)
    absurd = np.append(rng.normal(50, 10, 1999), 1e9)
    assert wasserstein(*two(sample, absurd)) < 0.1
    assert wasserstein(*two(absurd, sample + 5)) == pytest.approx(0.5, abs=0.1)
    assert spread_unit(two(absurd, sample)[0]) == pytest.approx(10, rel=0.1)


def test_noise_is_taken_off_the_size():
    rng = np.random.default_rng(2)
    sizes = [wasserstein(*two(normal(rng, 1000), normal(rng, 1000))) for _ in range(100)]
    assert np.mean(np.array(sizes) < ShiftSettings().number_floor) >= 0.7


def test_pooling_goes_by_what_both_samples_have_together():
    before, now = pooled(np.array([30, 19, 0, 15]), np.array([40, 0, 19, 10]))
    assert before.tolist() == [30, 15, 19]
    assert now.tolist() == [40, 10, 19]


# --- what is said ---------------------------------------------------------------------------------------------------


def told(sort: Sort, before, now, settings: ShiftSettings = ShiftSettings()) -> tuple[Comparison, Comparison]:
    values, missing = compare("column", sort, before, now, settings)
    return values, missing


def test_a_changed_mean_is_told_with_both_means():
    rng = np.random.default_rng(5)
    before = rng.normal(54.2, 22, 20_000)
    values, _ = told(Sort.NUMBER, *two(before, before + 6.8))
    assert values.said.startswith("+0.31 sd (mean 54.")
    assert values.matters


def test_a_changed_spread_is_told_as_a_spread():
    rng = np.random.default_rng(5)
    values, _ = told(Sort.NUMBER, *two(rng.normal(50, 10, 20_000), rng.normal(50, 20, 20_000)))
    assert values.said.startswith("spread ")


def test_medians_are_told_where_outliers_carry_the_mean():
    sample = np.append(np.random.default_rng(5).normal(50, 10, 5000), 1e9)
    values, _ = told(Sort.NUMBER, *two(sample, sample + 5))
    assert "median 5" in values.said
    assert "mean" not in values.said


def test_an_absurd_value_in_the_batch_does_not_make_the_clause_absurd():
    sample = np.random.default_rng(5).normal(50, 10, 5000)
    values, _ = told(Sort.NUMBER, *two(sample, np.append(sample, 1e100)))
    assert values.said == "+0.01 usual spreads (median 50.5 → 50.6)"


def test_the_category_that_changed_most_is_told_by_name():
    before = categories({"Nike": 120, "Puma": 380, "Vans": 500})
    now = categories({"Nike": 200, "Puma": 340, "Vans": 460})
    values, _ = told(Sort.CATEGORY, before, now)
    assert values.said == '"Nike" 12 → 20 %'
    assert values.p_value < 0.001


def test_new_values_are_counted_where_there_are_several():
    now = {f"brand {i}": 20 for i in range(5)} | {"Vans": 900}
    values, _ = told(Sort.CATEGORY, categories({"Vans": 1000}), categories(now))
    assert values.said == "5 new values, 0 → 10 % of rows"


def test_new_values_are_a_lower_bound_where_they_share_buckets_with_known_ones():
    before, now = np.zeros((2, BUCKETS), np.int64)
    before[:1000], now[1000:1500] = 5, 5
    sides = (CategoryProfile(int(side.sum()), 0, side, {}) for side in (before, now))
    values, _ = told(Sort.CATEGORY, *sides)
    assert values.said == "at least 500 new values, 0 → 100 % of rows"


def test_a_column_of_one_value_is_told_with_that_value():
    values, _ = told(Sort.CATEGORY, categories({"Nike": 120}), categories({"Nike": 90}))
    assert values.said == '"Nike" 100 → 100 %'


def test_where_outliers_carry_the_mean_and_the_median_stays_the_tail_is_told():
    before = np.repeat([0.0, 1.0, 4.0, 1e6], [600, 200, 200, 1])
    values, _ = told(Sort.NUMBER, *two(before, np.repeat([0.0, 1.0], [650, 350])))
    assert values.said == "90 % of the values up to 4 → 1"


def test_a_value_from_the_data_is_shown_on_one_short_line():
    name = "Zara\n" + "x" * 100
    values, _ = told(Sort.CATEGORY, categories({"Vans": 100}), categories({"Vans": 50, name: 50}))
    assert "\n" not in values.said
    assert len(values.said) < 60


def test_missing_values_are_told_as_shares_and_compared_on_their_own():
    rng = np.random.default_rng(5)
    sample = normal(rng, 2000)
    edges = edges_of(sample)
    values, missing = told(Sort.NUMBER, numbers(sample, edges, 2), numbers(sample, edges, 83))
    assert missing.said == "missing 0.1 → 4 %"
    assert missing.p_value < 1e-10
    assert missing.matters
    assert values.p_value == 1
    assert (missing.reference, values.reference) == (2002, 2000)


def dates(start: float, days: int) -> Array:
    return start + np.linspace(0, days, 500)


def test_later_dates_are_told_and_not_tested():
    values, missing = told(Sort.DATE, *two(dates(20_000, 60), dates(20_035, 60)))
    assert (values.said, values.p_value, values.tested, values.matters) == ("35 days later", 1.0, False, False)
    assert not missing.tested


def test_a_missing_share_is_a_question_only_where_some_values_are_missing_and_some_are_not():
    sample = np.arange(100.0)
    edges = edges_of(sample)
    none, some = numbers(sample, edges), numbers(sample, edges, 1)
    assert [told(Sort.NUMBER, *pair)[1].tested for pair in ((none, none), (none, some), (some, none))] == [0, 1, 1]
    nothing = numbers(np.array([]), edges, 100)
    assert not told(Sort.NUMBER, nothing, nothing)[1].tested


def test_a_batch_that_ends_before_the_reference_is_told_so():
    values, _ = told(Sort.DATE, *two(dates(20_700, 90), dates(20_720, 57)))
    assert values.said == "now ends 2026-11-20, before the reference's end"


def test_dates_are_tested_where_that_is_asked_for():
    values, _ = told(Sort.DATE, *two(dates(20_000, 60), dates(20_035, 60)), ShiftSettings(test_dates=True))
    assert values.tested
    assert values.matters
    assert values.p_value < 1e-10
    assert values.effect == pytest.approx(35, abs=1)


def test_texts_are_compared_by_their_lengths():
    rng = np.random.default_rng(5)
    before, now = two(np.round(rng.normal(120, 20, 1000)), np.round(rng.normal(80, 20, 1000)))
    empty = np.zeros(WORD_BUCKETS, dtype=np.int64)
    reference, current = TextProfile(1000, 1, 1001, empty, {}, before), TextProfile(1000, 0, 1000, empty, {}, now)
    values, missing = told(Sort.TEXT, reference, current)
    assert values.said.startswith("texts 1")
    assert values.said.endswith("characters")
    assert values.p_value < 1e-10
    assert missing.reference == 1001


@pytest.mark.parametrize("empty", ["reference", "current", "both"])
def test_where_nothing_can_be_compared_it_is_said_and_not_tested(empty):
    sample, nothing = np.arange(100.0), np.array([])
    edges = edges_of(sample)
    before = numbers(nothing if empty in ("reference", "both") else sample, edges)
    now = numbers(nothing if empty in ("current", "both") else sample, edges)
    for comparison in told(Sort.NUMBER, before, now):
        assert (comparison.p_value, comparison.effect, comparison.tested) == (1.0, 0.0, False)
        assert comparison.said.startswith("no values")


def test_a_column_that_is_missing_altogether_alarms_by_its_missing_share():
    sample = np.arange(100.0)
    edges = edges_of(sample)
    values, missing = told(Sort.NUMBER, numbers(sample, edges), numbers(np.array([]), edges, 100))
    assert not values.tested
    assert missing.p_value < 1e-10
    assert missing.effect == 1


def test_numbers_counted_in_other_bins_are_refused():
    before, now = two(np.arange(100.0), np.arange(100.0))
    with pytest.raises(ValueError, match="other bins"):
        compare("price", Sort.NUMBER, before, replace(now, edges=now.edges + 1))


def test_profiles_that_do_not_fit_are_refused():
    before, _ = two(np.arange(100.0), np.arange(100.0))
    with pytest.raises(ValueError, match="'price' is compared as number, got NumberProfile and CategoryProfile"):
        compare("price", Sort.NUMBER, before, categories({"Nike": 1}))


@pytest.mark.parametrize("wrong", [{"level": 0}, {"level": 2}, {"number_floor": -1}, {"missing_floor": float("nan")}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShiftSettings(**wrong)


# --- rows that are alike, and numbers that are shares -----------------------------------------------------------------


def test_copies_of_rows_are_as_sure_as_the_rows_by_themselves():
    rng = np.random.default_rng(1)
    before, now = normal(rng, 400), normal(rng, 400) + 0.3
    once, thrice = two(before, now), two(np.repeat(before, 3), np.repeat(now, 3))
    plain = compare("x", Sort.NUMBER, *once)[0]
    alike = compare("x", Sort.NUMBER, *thrice, alike=(3.0, 3.0))[0]
    assert alike.p_value == pytest.approx(plain.p_value, rel=1e-6)
    assert alike.effect == pytest.approx(plain.effect, rel=0.02)
    assert (plain.reference, alike.reference) == (400, 1200), "the rows themselves are told"
    of_kinds = categories({"a": 60, "b": 40}), categories({"a": 40, "b": 60})
    of_copies = categories({"a": 180, "b": 120}), categories({"a": 120, "b": 180})
    assert compare("x", Sort.CATEGORY, *of_copies, alike=(3.0, 3.0))[0].p_value == pytest.approx(
        compare("x", Sort.CATEGORY, *of_kinds)[0].p_value
    )
    missing = categories({"a": 90}, missing=30), categories({"a": 60}, missing=60)
    assert compare("x", Sort.CATEGORY, *missing, alike=(3.0, 3.0))[1].p_value == pytest.approx(fisher(10, 40, 20, 40))


@given(st.floats(1.0, 50.0), st.floats(1.0, 50.0), st.integers(1, 6))
def test_equal_numbers_do_not_differ_however_much_alike_they_are(one, other, values):
    sides = two(np.repeat(np.arange(values), 50.0 / values).astype(float), np.arange(values).astype(float))
    same = two(np.tile(np.arange(values), 20).astype(float), np.tile(np.arange(values), 20).astype(float))
    assert compare("x", Sort.NUMBER, *same, alike=(one, other))[0].p_value == pytest.approx(1.0)
    assert 0 <= compare("x", Sort.NUMBER, *sides, alike=(one, other))[0].effect < 10


def test_shares_are_told_as_they_are():
    rng = np.random.default_rng(2)
    before = np.where(rng.random(2000) < 0.5, 0.001, 0.999)
    now = np.where(rng.random(2000) < 0.4, 0.001, 0.999)
    told = compare("x", Sort.NUMBER, *two(before, now), shares=True)[0]
    assert (told.effect_name, told.floor) == ("Wasserstein", 0.02)
    assert told.effect == pytest.approx(abs(now.mean() - before.mean()), abs=0.02)
    assert told.said.startswith("mean 0.")
    wider = compare("x", Sort.NUMBER, *two(np.full(2000, 0.5) + rng.normal(0, 0.01, 2000), now), shares=True)[0]
    assert wider.said.startswith("spread 0.0")
