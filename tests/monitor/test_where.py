"""A change is looked for where it sits, and never named where it does not."""

import numpy as np

from monitor.where import Split, sits_in


def brands(rng, rows):
    return rng.choice(np.array(["Nike", "Puma", "Fila"], dtype=object), rows)


def test_a_change_in_one_segment_is_found_there():
    rng = np.random.default_rng(3)
    before, now = brands(rng, 2000), brands(rng, 2000)
    reference, current = rng.normal(size=2000), rng.normal(size=2000)
    current[now == "Puma"] -= 1
    (found,) = sits_in(reference, current, [Split("brand", before, now)])
    assert found.segment == "brand = Puma"
    assert found.effect < -0.5
    assert 0.2 < found.share < 0.5


def test_a_change_that_is_everywhere_sits_nowhere():
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        reference, current = rng.normal(size=600), rng.normal(size=600) + 1
        alarms += bool(sits_in(reference, current, [Split("brand", brands(rng, 600), brands(rng, 600))]))
    assert alarms <= 2


def test_segments_of_a_few_rows_are_left_alone():
    rng = np.random.default_rng(5)
    before, now = brands(rng, 500), brands(rng, 500)
    before[:10], now[:10] = "Asics", "Asics"
    current = rng.normal(size=500)
    current[:10] += 50
    assert "b = Asics" not in [c.segment for c in sits_in(rng.normal(size=500), current, [Split("b", before, now)])]


def test_missing_values_are_no_segment():
    rng = np.random.default_rng(6)
    nothing = np.full(300, None, dtype=object)
    assert sits_in(rng.normal(size=300), rng.normal(size=300) + 1, [Split("brand", nothing, nothing)]) == ()


def test_no_rows_and_constant_rows_give_no_segment():
    none, some = np.array([]), np.ones(50)
    empty = np.array([], dtype=object)
    assert sits_in(none, some, [Split("brand", empty, np.full(50, "a", dtype=object))]) == ()
    split = Split("brand", np.array(["a", "b"] * 25, dtype=object), np.array(["a", "b"] * 25, dtype=object))
    assert sits_in(some, some, [split]) == ()


def test_a_segment_with_nearly_all_rows_is_no_place():
    rng = np.random.default_rng(3)
    brands = np.array(["Nike"] * 1900 + ["Puma"] * 100, dtype=object)
    current = rng.normal(size=2000) + (brands == "Nike")
    assert sits_in(rng.normal(size=2000), current, [Split("brand", brands, brands)]) == ()


def test_a_segment_that_changed_a_little_more_than_the_whole_is_no_place():
    rng = np.random.default_rng(3)
    brands = np.array(["Nike", "Puma"] * 20_000, dtype=object)
    current = rng.normal(size=40_000) + np.where(brands == "Nike", 1.1, 1.0)
    assert sits_in(rng.normal(size=40_000), current, [Split("brand", brands, brands)]) == ()
