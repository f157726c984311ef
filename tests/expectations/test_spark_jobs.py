"""What tasks say and write must come together once, whatever is many, late, or somewhere else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations import spark_jobs, spark_quarantine
from expectations.batch import open_batch
from expectations.errors import BatchError, ShopmonError
from expectations.pieces import Cut, Piece, cut, opened, whole_of
from expectations.spark_jobs import Shared, merged_on_pieces, on_pieces
from expectations.spark_quarantine import write_good
from expectations.spark_session import TaskError, told


def pieces(count: int) -> list[Piece]:
    return [Piece(number, 0, number, 1, False) for number in range(count)]


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cut]:
    """Three rows in two pieces, named as a person in their folder would."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "data").mkdir()
    table = pa.table({"text": ["Warm.", "Light.", "Torn."], "stars": [5, 4, 1]})
    pq.write_table(table, tmp_path / "data" / "new.parquet", row_group_size=2)
    monkeypatch.chdir(tmp_path)
    with open_batch("data", scratch=tmp_path / "scratch") as batch:
        yield whole_of(batch, cut(batch, 2))


def test_a_piece_of_a_relative_path_is_opened_from_another_folder(
    whole: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "scratch")
    with opened(whole, whole.pieces[1]) as batch:
        assert batch.row_of("select count(*) from batch") == (1,)
    assert whole.found[0].name == os.path.join("data", "new.parquet")  # noqa: PTH118 - as it was typed


@pytest.mark.parametrize("count", [1, 2, 9])
def test_what_pieces_say_is_merged_until_few_answers_are_left_for_the_driver(
    count: int, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_jobs, "_TOGETHER", 2)
    monkeypatch.setattr(spark_jobs, "_COLLECTED", 2)
    here: list[str] = []  # executors have a copy of their own

    def both(one: bytes, other: bytes) -> bytes:
        here.append("merged")
        return json.dumps(sorted(json.loads(one) + json.loads(other))).encode()

    said = merged_on_pieces(spark, pieces(count), lambda piece: json.dumps([piece.number]).encode(), both, "counting")
    assert json.loads(said) == list(range(count))
    assert len(here) <= 1


def test_good_rows_whose_place_is_taken_meanwhile_leave_nothing_half_written(
    whole: Cut, spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "good"

    def taking_long(*asked: Any) -> Any:
        said = on_pieces(*asked)
        place.mkdir()
        (place / "theirs").touch()
        return said

    monkeypatch.setattr(spark_quarantine, "on_pieces", taking_long)
    with pytest.raises(BatchError, match="is there already"):
        write_good(spark, whole, {}, Shared.of(tmp_path / "shared"), place)
    assert [path.name for path in place.iterdir()] == ["theirs"]
    assert not list(tmp_path.glob(".partial-*"))


class Wrapped(Exception):
    """An error of a task as Spark tells it, amid words of its own."""

    __module__ = "pyspark.errors"


def test_an_error_of_a_task_is_found_whatever_stands_behind_it() -> None:
    said = TaskError(ShopmonError('new.parquet is {"damaged"}', advice="Deliver it again."))
    with pytest.raises(ShopmonError) as raised, told("counting"):
        raise Wrapped(f'{{"trace": "TaskError: {said}", "cause": {{}}}}')
    assert raised.value.problem.startswith('new.parquet is {"damaged"} (on ')
    assert raised.value.advice == "Deliver it again."


def test_an_error_of_a_task_that_spark_cuts_short_is_told_as_it_came() -> None:
    said = str(TaskError(ShopmonError("new.parquet is damaged")))
    with pytest.raises(ShopmonError, match=r"Spark failed while counting: .*shopmon says"), told("counting"):
        raise Wrapped(said[:40])
