"""Is every moment in exactly one window, and the same one in Python and in SQL?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from monitor.windows import ORIGIN, Windows

LENGTHS = st.builds(lambda count, unit: Windows(f"{count}{unit}"), st.integers(1, 400), st.sampled_from("hdw"))
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))


@given(LENGTHS, MOMENTS)
def test_a_moment_lies_in_its_window_and_python_and_sql_agree(windows, moment):
    place = windows.place(moment)
    assert (moment.replace(tzinfo=UTC) - ORIGIN) // windows.length == place
    (found,) = duckdb.execute(f"select {windows.place_sql('$m')}", {"m": moment}).fetchone()
    assert found == place


def test_weeks_begin_on_mondays_and_end_where_the_next_begin():
    weeks = Windows("7d")
    monday = datetime(2026, 11, 16)
    assert weeks.name(weeks.place(monday)) == "2026-11-16"
    assert weeks.place(monday - timedelta(microseconds=1)) == weeks.place(monday) - 1
    assert weeks.start(weeks.place(monday)).weekday() == 0
    assert Windows("1w").place(monday) == weeks.place(monday)


@pytest.mark.parametrize("written", ["", "7", "d", "0d", "-7d", "7 d", "7m", "1.5d", "99999h", "7d\n"])
def test_what_is_no_length_is_refused(written):
    with pytest.raises(ShopmonError, match="is no length of time"):
        Windows(written)
