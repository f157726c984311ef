"""Is the time left told only where it can be known, and without wild jumps?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.batch import open_batch
from expectations.spark_tasks import Tasks
from shopmon.check_progress import STEPS, UNTIMED, CheckProgress
from shopmon.console import progress_facts
from shopmon.sample_data import reviews

ROOT = Path(__file__).parents[2]
EVENTS = st.lists(
    st.tuples(
        st.floats(0, 60),
        st.one_of(
            st.floats(0, 1).map(lambda share: ("statement", share)),
            st.sampled_from([beginning for beginning, _ in STEPS]).map(lambda doing: ("step", doing)),
        ),
    ),
    max_size=60,
)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def even(total, stop=1.0):
    """A check whose steps take exactly their shares of so many seconds, told ten times a second until `stop` of it."""
    clock = Clock()
    watch, passed = CheckProgress(clock), 0.0
    for beginning, share in STEPS:
        watch.step(f"{beginning}: so many rows")
        seconds = total * share
        for tick in range(int(seconds * 10)):
            clock.now = 1_000 + passed + tick / 10
            if clock.now - 1_000 > stop * total:
                return
            watch.statement(tick / 10 / seconds)
            yield clock.now - 1_000, watch
        passed += seconds


def test_shares_of_steps_add_up_to_the_whole():
    assert sum(share for _, share in STEPS) == pytest.approx(1)


def test_every_step_is_told_somewhere_under_its_name():
    files = [file for floor in ("expectations", "monitor", "shopmon") for file in (ROOT / floor).glob("*.py")]
    told = "\n".join(file.read_text(encoding="utf-8") for file in files if file.name != "check_progress.py")
    names = [*(name for name, _ in STEPS), *UNTIMED]
    unknown = [name for name in names if not re.search(rf'progress\(\s*f?"{re.escape(name)}', told)]
    assert unknown == []


def test_an_even_check_is_foretold_and_ends_when_it_was_said_to():
    for at, watch in even(200.0):
        if at < 9.9 or watch.done < 0.09:
            assert watch.seconds_left is None
        if at > 60:
            assert watch.seconds_left == pytest.approx(200 - at, abs=8)
    assert watch.done > 0.98


@given(EVENTS)
def test_the_share_never_falls_and_what_is_left_is_no_negative_time(events):
    clock = Clock()
    watch, before = CheckProgress(clock), 0.0
    for pause, (what, told) in events:
        clock.now += pause
        getattr(watch, what)(told)
        assert before <= watch.done < 1
        assert watch.seconds_left is None or watch.seconds_left >= 0
        before = watch.done


def test_a_sudden_measure_moves_what_is_told_only_in_part():
    *_, (at, watch) = even(200.0, stop=0.4)
    told = watch.seconds_left
    watch.step(STEPS[-1][0])  # most steps were skipped: what was measured falls from two minutes to a few seconds
    assert told * 0.8 < watch.seconds_left <= told
    assert at == pytest.approx(80, abs=1)


def test_no_time_is_told_where_nothing_was_heard_for_long():
    *_, (_, watch) = even(200.0, stop=0.5)
    assert watch.seconds_left is not None
    watch._clock.now += 60
    assert watch.seconds_left is None
    assert "left" not in progress_facts(watch)


def test_how_long_reading_took_says_nothing_of_the_rest():
    clock = Clock()
    watch = CheckProgress(clock)
    watch.step("reading new.csv: 100,000 records")
    clock.now += 1_000
    assert (watch.done, watch.seconds_left) == (0, None)
    watch.step(STEPS[0][0])
    clock.now += 20
    watch.statement(0.5)
    assert watch.seconds_left == pytest.approx(20 / watch.done - 20)
    watch.step("putting rows into windows")
    assert watch.seconds_left is None


def test_what_follows_the_last_batch_is_foretold_by_nothing():
    clock = Clock()
    watch = CheckProgress(clock)
    for before in (0.0, 0.5):
        watch.part(before, 0.5)
        clock.now += 50
        watch.step(STEPS[-1][0])
    assert watch.seconds_left is not None
    watch.part(1.0, 0.0)
    watch.step("comparing the window 2026-11-16")
    assert (watch.seconds_left, watch.done) == (None, 0.999)


def test_batches_count_by_their_size():
    watch = CheckProgress(Clock())
    watch.part(0.0, 0.25)
    watch.step(STEPS[-1][0])
    assert 0.2 < watch.done < 0.25
    watch.part(0.25, 0.75)
    assert watch.done == 0.25


def test_on_spark_tasks_are_told_and_neither_a_share_nor_a_time():
    clock, running = Clock(), iter([None, Tasks(3, 1_200)])
    watch = CheckProgress(clock, lambda: next(running))
    watch.step("starting Spark")
    assert watch.doing == "starting Spark"
    for beginning, _ in STEPS[:-1]:
        clock.now += 60
        watch.step(beginning)
        watch.statement(0.5)
        assert (watch.done, watch.seconds_left, progress_facts(watch)) == (0, None, "")
    watch.step("profiling the batch")
    assert watch.doing == "profiling the batch (Spark: 3 of 1,200 tasks)"


def test_batches_on_spark_count_only_once_they_are_done():
    watch = CheckProgress(Clock(), lambda: None)
    watch.part(0.0, 0.25)
    watch.step("batch 1 of 2: starting Spark")
    watch.step(f"batch 1 of 2: {STEPS[-1][0]}")
    watch.statement(0.5)
    assert watch.done == 0
    watch.part(0.25, 0.75)
    assert watch.done == 0.25


def test_on_one_machine_nobody_asks_for_tasks():
    watch = CheckProgress(Clock(), lambda: pytest.fail("there is no Spark"))
    watch.step("profiling the batch")
    assert watch.doing == "profiling the batch"


def test_duckdb_says_how_far_a_statement_is(tmp_path, capfd):
    heard = []
    with open_batch(reviews(100, seed=1), scratch=tmp_path, kind="reviews") as batch:
        batch.watched = heard.append
        batch.rows_of("set threads = 1")
        batch.rows_of("create table numbers as select range as i from range(3000000)")
        batch.rows_of("select sum(length(regexp_replace(hash(i)::varchar, '[13]', 'ab', 'g'))) from numbers")
    assert heard
    assert all(0 <= share <= 1 for share in heard)
    assert max(heard) > 0.2
    assert capfd.readouterr() == ("", "")
