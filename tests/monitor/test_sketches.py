from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.sketches import (
    DIFFERENT_LG_K,
    different,
    merged_numbers,
    merged_values,
    quantiles,
    rank_error,
    sketch_of_numbers,
    sketch_of_values,
)

CUTS = st.lists(st.integers(0, 30_000), max_size=5)
SHARES = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


def cut(values, cuts):
    """Any parts of the values, empty ones too."""
    return np.split(values, sorted(cuts))


@given(st.integers(0, 2**32), CUTS)
@settings(max_examples=30)
def test_quantiles_of_merged_parts_lie_within_the_stated_error(seed, cuts):
    random = np.random.default_rng(seed)
    values = np.round(random.lognormal(size=30_000), random.integers(1, 6))
    found = quantiles(merged_numbers([sketch_of_numbers(part) for part in cut(values, cuts)]), SHARES)
    for share, value in zip(SHARES, found, strict=True):
        below, up_to = np.mean(values < value), np.mean(values <= value)
        # 99 of 100 lie within the error; thrice as far off there is none in a hundred thousand.
        assert below - 3 * rank_error() <= share <= up_to + 3 * rank_error()


def test_ninety_nine_of_a_hundred_quantiles_lie_within_the_stated_error():
    values = np.arange(20_000.0)
    off = []
    for cuts in range(100):
        parts = cut(values, [100 * cuts, 15_000])
        off.append(quantiles(merged_numbers([sketch_of_numbers(part) for part in parts]), [0.5])[0] / 20_000 - 0.5)
    assert np.mean(np.abs(off) <= rank_error()) >= 0.95  # 0.99 stated, less three standard deviations of 100 draws


@given(st.sets(st.integers(0, 2**63 - 1), max_size=500), CUTS, st.randoms())
@settings(max_examples=30)
def test_few_different_values_are_told_exactly_whatever_the_parts(values, cuts, random):
    given_twice = [*values, *values]
    random.shuffle(given_twice)
    parts = [sketch_of_values(part.tolist()) for part in cut(np.array(given_twice, np.int64), cuts)]
    found = different(merged_values(parts))
    assert (found.count, found.low, found.high) == (len(values), len(values), len(values))


@given(st.integers(0, 2**32), st.integers(4_000, 100_000), CUTS)
@settings(max_examples=15)
def test_a_merged_sketch_of_many_values_is_that_of_the_whole_to_the_bit(seed, count, cuts):
    values = np.random.default_rng(seed).integers(0, 2**63 - 1, count)
    whole = sketch_of_values(values.tolist())
    parts = [sketch_of_values(part.tolist()) for part in cut(values, cuts)]
    assert merged_values(parts) == whole == merged_values(parts[::-1])
    assert merged_values([merged_values(parts[:2]), *parts[2:]]) == whole


def test_estimates_lie_within_three_standard_errors():
    random = np.random.default_rng(3)
    error = 1 / np.sqrt(2**DIFFERENT_LG_K)
    for count in (5_000, 20_000, 100_000, 300_000):
        found = different(sketch_of_values(random.integers(0, 2**63 - 1, count).tolist()))
        assert found.low <= count <= found.high
        assert abs(found.count - count) <= 3.5 * error * count


def test_what_was_not_kept_stays_unknown():
    assert quantiles(b"", [0.5]) == ()
    assert different(b"") is None
    assert merged_numbers([]) == merged_values([]) == b""
    assert merged_numbers([sketch_of_numbers(np.ones(3)), b""]) == b""
    assert merged_values([b"", sketch_of_values([1])]) == b""


@pytest.mark.parametrize("value", [float("nan")])
def test_nan_is_no_number(value):
    assert quantiles(sketch_of_numbers(np.array([value, 2.0])), [0.0, 1.0]) == (2.0, 2.0)
