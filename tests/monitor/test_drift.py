"""What is called drift has changed, and by enough; where it sits and which rows show it is told."""

import numpy as np
import pyarrow as pa
import pytest

from expectations.batch import open_batch
from expectations.errors import ShopmonError
from monitor.drift import LANGUAGE, DriftSettings, compare_with
from monitor.profiles import ProfileSettings, profile
from monitor.reference import Reference
from monitor.results import DriftStatus
from monitor.sampled import segments_of_sample
from shopmon.sample_data import Shift, reviews

ROWS = 4_000


@pytest.fixture(scope="module")
def profiled(tmp_path_factory):
    """A profile of a table, in the bins of another if one is given."""

    def of(table, like=None, segments=()):
        scratch = tmp_path_factory.mktemp("scratch")
        with open_batch(table, scratch=scratch, kind="reviews") as batch:
            return profile(batch, ProfileSettings(), like=like, segments=segments)

    return of


@pytest.fixture(scope="module")
def reference(profiled):
    made = profiled(reviews(ROWS, seed=1))
    return Reference(made, "good.parquet", made.rows, "2026-11-20T00:00:00+00:00", ())


@pytest.fixture(scope="module")
def stable(reference, profiled):
    return compare_with(reference, profiled(reviews(ROWS, seed=1, start=ROWS), like=reference.profile))


@pytest.fixture(scope="module")
def shifted(reference, profiled):
    shift = Shift(price_factor=1.3, brand="Nike", brand_share=0.2, complaint_share=0.3)
    table = reviews(ROWS, seed=1, start=ROWS, shift=shift)
    return compare_with(reference, profiled(table, like=reference.profile), files=["new.parquet"])


def found(section, column, test=None):
    return next(c for c in section.columns if c.column == column and c.segment is None and test in (None, c.test))


def test_a_batch_of_the_same_shop_is_stable_and_every_comparison_is_told(stable):
    assert stable.status is DriftStatus.STABLE
    assert stable.drifted == ()
    assert {"price", "brand", "text", "title", "stars", "date"} <= {c.column for c in stable.columns}
    assert stable.reference_rows == ROWS


def test_planted_changes_are_found_and_nothing_else(shifted):
    assert shifted.status is DriftStatus.DRIFTED
    drifted = {c.column for c in shifted.drifted}
    assert {"price", "brand", "text"} <= drifted
    assert not drifted & {"locale", "date"}


def test_drift_needs_significance_and_an_effect(shifted):
    for column in shifted.columns:
        if column.drifted:
            assert column.p_adjusted <= 0.05
            assert column.effect >= column.floor


def test_an_effect_below_its_floor_is_no_drift_however_sure(reference, profiled):
    from monitor.shift_tests import ShiftSettings

    table = reviews(ROWS, seed=1, start=ROWS, shift=Shift(price_factor=1.3))
    settings = DriftSettings(shift=ShiftSettings(number_floor=5.0))
    price = found(compare_with(reference, profiled(table, like=reference.profile), settings), "price")
    assert price.p_adjusted < 1e-6
    assert not price.drifted


def test_changed_texts_are_explained_by_words_place_and_rows(shifted):
    text = found(shifted, "text", LANGUAGE)
    assert {"refund", "zipper"} <= {word.word for word in text.words}
    assert all(word.current > word.reference for word in text.words if word.word in ("refund", "zipper"))
    assert "brand = Nike" in [place.segment for place in text.sits_in]
    assert all(row.file == "new.parquet" for row in text.examples)
    assert any(word in row.value.lower() for row in text.examples for word in ("refund", "zipper"))


def test_example_rows_stand_where_they_are_said_to(shifted):
    shift = Shift(price_factor=1.3, brand="Nike", brand_share=0.2, complaint_share=0.3)
    table = reviews(ROWS, seed=1, start=ROWS, shift=shift)
    for column in ("price", "text"):
        for row in found(shifted, column).examples:
            assert table.column(column)[row.row - 1].as_py() == row.value


def test_later_dates_are_told_and_not_tested(reference, profiled):
    table = reviews(ROWS, seed=1, start=ROWS, shift=Shift(days_later=90))
    date = found(compare_with(reference, profiled(table, like=reference.profile)), "date")
    assert not date.tested
    assert not date.drifted
    assert "later" in date.said


def test_within_segments_everything_is_compared_once_more_under_the_same_level(reference, profiled):
    table = reviews(ROWS, seed=1, start=ROWS, shift=Shift(brand="Nike", complaint_share=0.5))
    settings = DriftSettings(segments=("brand",))
    told = compare_with(reference, profiled(table, like=reference.profile), settings)
    assert "brand = Nike" in {c.segment for c in told.drifted}
    assert {c.segment for c in told.drifted if c.segment} == {"brand = Nike"}
    price = [c for c in told.columns if c.column == "price" and c.segment is None and c.tested]
    alone = compare_with(reference, profiled(table, like=reference.profile))
    assert price[0].p_adjusted >= found(alone, "price").p_adjusted


def test_segments_of_the_sample_are_those_that_were_counted(profiled):
    counted = profiled(reviews(2_000, seed=3), segments=("brand",))
    sampled = segments_of_sample(counted, "brand", list(counted.segments["brand"]))
    for value, columns in counted.segments["brand"].items():
        assert columns.keys() == sampled[value].keys()
        for name, column in columns.items():
            assert (column.rows, column.missing) == (sampled[value][name].rows, sampled[value][name].missing)
            np.testing.assert_array_equal(column.counts, sampled[value][name].counts)


def test_a_segment_that_is_no_category_is_told(reference, profiled):
    with pytest.raises(ShopmonError, match=r"'price': it is no category there.*brand"):
        compare_with(reference, profiled(reviews(200, seed=2)), DriftSettings(segments=("price",)))


def test_a_column_that_is_gone_has_drifted(reference, profiled):
    table = reviews(ROWS, seed=1, start=ROWS).drop_columns(["price"])
    told = compare_with(reference, profiled(table, like=reference.profile))
    assert [(c.column, c.test) for c in told.drifted] == [("price", "column present")]


def test_numbers_that_arrive_as_words_are_missing_not_an_error(reference, profiled):
    table = reviews(ROWS, seed=1, start=ROWS)
    words = pa.array(["cheap"] * ROWS)
    table = table.set_column(table.column_names.index("price"), "price", words)
    told = compare_with(reference, profiled(table, like=reference.profile))
    assert "price" in {c.column for c in told.drifted}


def test_one_row_is_enough_to_compare_and_too_few_to_drift(reference, profiled):
    told = compare_with(reference, profiled(reviews(1, seed=8), like=reference.profile))
    assert told.drifted == ()


def test_texts_that_are_markup_stay_text(reference, profiled):
    table = reviews(ROWS, seed=1, start=ROWS)
    hostile = pa.array(["<script>alert(1)</script> ' OR 1=1 --"] * ROWS)
    table = table.set_column(table.column_names.index("brand"), "brand", hostile)
    table = table.set_column(table.column_names.index("text"), "text", hostile)
    told = compare_with(reference, profiled(table, like=reference.profile), DriftSettings(segments=("brand",)))
    assert {"brand", "text"} <= {c.column for c in told.drifted}


def test_new_values_are_shown_by_a_row_that_has_one(reference, profiled):
    table = reviews(ROWS, seed=1, start=ROWS)
    locales = table.column("locale").to_pylist()
    locales[:80] = ["xx-XX"] * 80
    table = table.set_column(table.column_names.index("locale"), "locale", pa.array(locales))
    told = compare_with(reference, profiled(table, like=reference.profile))
    assert [row.value for row in found(told, "locale").examples] == ["xx-XX"] * 3
