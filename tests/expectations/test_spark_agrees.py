"""A Spark cluster must say of pieces what the scan says of the whole: every count, verdict and failing row."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from expectations import spark_measures
from expectations.batch import open_batch
from expectations.errors import ShopmonError
from expectations.pieces import cut
from expectations.planning import RULES
from expectations.results import Engine, ExpectationResult, Outcome, Validation
from expectations.spark_measures import narrowed
from expectations.spark_session import TaskError, cause, told
from expectations.spark_validation import validate_on_spark
from expectations.spark_values import value_counts
from expectations.sql import Bound
from expectations.suite import built_in, load_suite
from expectations.validation import validate
from shopmon import sample_data
from shopmon.planted_faults import plant


def _oracle() -> Any:
    """The tables and rules that the scan is held against Great Expectations with."""
    path = Path(__file__).with_name("test_engines_agree.py")
    spec = importlib.util.spec_from_file_location("engines_agree", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ORACLE = _oracle()
QUARANTINE = ["shopmon_file", "shopmon_row", "shopmon_rules", "shopmon_tolerated"]


def in_files(folder: Path, table: pa.Table, cuts: list[int], group: int) -> Path:
    """The table as several parquet files of small row groups."""
    folder.mkdir()
    edges = sorted({0, table.num_rows, *(at % (table.num_rows + 1) for at in cuts)})
    for begin, end in pairwise(edges):
        pq.write_table(table.slice(begin, end - begin), folder / f"{begin:06}.parquet", row_group_size=group)
    return folder


def rows_of(validation: Validation) -> list[tuple[Any, ...]]:
    """Per quarantined row its address and rules, and the rows themselves as text."""
    if validation.quarantine is None:
        return []
    read = pq.read_table(validation.quarantine).to_pylist()
    return sorted(tuple(map(str, row.values())) for row in read)


def on_both(
    spark: Any, folder: Path, data: Path, suite: Path, most: int, kind: str = "reviews"
) -> tuple[Validation, Validation]:
    """What this machine says, and what Spark does."""
    for name in ("here", "there"):
        (folder / name).mkdir(parents=True)
    with open_batch(str(data), scratch=folder / "here", kind=kind) as batch:
        here = validate(batch, load_suite(suite), folder=folder / "here")
    with open_batch(str(data), scratch=folder / "there", kind=kind) as batch:
        there = validate_on_spark(
            batch, load_suite(suite), spark, folder=folder / "there", staging=folder / "staging",
            pieces=cut(batch, most),
        ).validation  # fmt: skip
    return here, there


def assert_same(here: Validation, there: Validation) -> None:
    for mine, its in zip(here.results, there.results, strict=True):
        assert same(mine) == same(its), f"{mine}\n{its}"
        if isinstance(mine.observed, float):
            assert mine.observed == pytest.approx(its.observed, rel=1e-12, nan_ok=True), f"{mine}\n{its}"
    assert (here.rows, here.quarantined, here.tolerated) == (there.rows, there.quarantined, there.tolerated)
    assert rows_of(here) == rows_of(there)


def same(result: ExpectationResult) -> tuple[Any, ...]:
    """What must be the same to the letter: all but the engine, and numbers that are summed in another order."""
    counted = (result.id, result.outcome, result.examined, result.unexpected, result.column, str(result.example))
    asked = str({**result.asked, "learnt": None, "moment": None})  # the moment of the check, where it is "now"
    learnt = {name: sorted(map(str, v)) if isinstance(v, list) else v for name, v in _learnt(result).items()}
    observed = () if isinstance(result.observed, float) else (result.observed, result.reason)
    return (*counted, asked, str(learnt), observed)


def _learnt(result: ExpectationResult) -> dict[str, Any]:
    return dict(result.asked.get("learnt", {}))


@pytest.mark.slow
@settings(
    max_examples=3,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_every_compiled_rule_says_of_pieces_what_it_says_of_the_whole(
    data: st.DataObject, spark: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("agree")
    rules = [data.draw(ORACLE.rules(rule_type)) for rule_type in sorted(RULES)]
    for rule in rules:
        rule["meta"] = {"id": rule["type"]}
    suite = folder / "suite.yaml"
    with suite.open("w") as file:
        YAML().dump({"name": "random", "expectations": rules}, file)
    cuts = data.draw(st.lists(st.integers(0, 12), max_size=2))
    written = in_files(folder / "data", data.draw(ORACLE.tables(least=2)), cuts, data.draw(st.integers(1, 4)))
    assert_same(*on_both(spark, folder, written, suite, most=data.draw(st.integers(1, 5))))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reviews", "relevance"])
def test_a_built_in_suite_says_of_pieces_what_it_says_of_the_whole(kind: str, spark: Any, tmp_path: Path) -> None:
    dirty = plant(getattr(sample_data, kind)(3_000, seed=7), seed=7, share=0.002).table
    written = in_files(tmp_path / "data", dirty, [1_100], 400)
    here, there = on_both(spark, tmp_path, written, built_in(kind), most=800, kind=kind)
    assert_same(here, there)
    assert here.quarantined
    assert {result.engine for result in there.results} == {Engine.SPARK}


@pytest.mark.parametrize("ties_okay", [True, False])
def test_of_many_values_that_are_the_most_frequent_together_some_are_told_and_the_verdict_is_the_same(
    ties_okay: bool, spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_measures, "_TIED", 5)
    suite = tmp_path / "suite.yaml"
    asked = [("number", [39, 7]), ("number", [40]), ("text", ["t39", "x"]), ("number", ["a"]), ("one", [1.0])]
    rules = [
        {
            "type": "expect_column_most_common_value_to_be_in_set",
            "kwargs": {"column": column, "value_set": wanted, "ties_okay": ties_okay},
            "meta": {"id": f"rule-{number}"},
        }
        for number, (column, wanted) in enumerate(asked)
    ]
    with suite.open("w") as file:
        YAML().dump({"name": "ties", "expectations": rules}, file)
    table = pa.table(
        {"text": [f"t{i}" for i in range(40)], "number": list(range(40)), "one": [1.0, 1.0, *map(float, range(2, 40))]}
    )
    here, there = on_both(spark, tmp_path, in_files(tmp_path / "data", table, [13], 5), suite, most=5)
    assert [one.outcome for one in here.results] == [one.outcome for one in there.results]
    assert {one.outcome for one in there.results} == {Outcome.PASSED, Outcome.FAILED}
    number, *_, one = there.results
    assert number.observed == [0, 1, 7, 10, 11, 12, 39]
    assert one.observed == [1.0]


def test_a_rule_that_is_not_compiled_is_an_error_on_spark(spark: Any, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "expectations: [{type: expect_column_values_to_be_increasing, kwargs: {column: stars}, meta: {id: up}}]"
    )
    written = in_files(tmp_path / "data", pa.table({"text": ["a", "b"], "stars": [1, 2]}), [], 10)
    _, there = on_both(spark, tmp_path, written, suite, most=10)
    (result,) = there.results
    assert result.outcome is Outcome.ERROR
    assert "check with --engine scan" in result.reason


def test_a_file_that_vanishes_before_a_task_reads_it_is_told_with_its_path(spark: Any, tmp_path: Path) -> None:
    written = in_files(tmp_path / "data", pa.table({"text": ["a", "b"], "stars": [1, 2]}), [], 10)
    (tmp_path / "there").mkdir()
    with open_batch(str(written), scratch=tmp_path / "there") as batch:
        pieces = cut(batch)
        for file in written.iterdir():
            file.rename(file.with_suffix(".gone"))
        with pytest.raises(ShopmonError, match=r"does not find .*000000\.parquet") as raised:
            value_counts(spark, batch, pieces, "c0", "true", Bound(), None)
    assert "Traceback" not in str(raised.value)


@given(
    pieces=st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=30), min_size=1, max_size=4),
    share=st.floats(0, 1),
    steps=st.integers(2, 6),
)
def test_the_steps_of_pieces_close_in_on_the_value_at_a_place(
    pieces: list[list[int]], share: float, steps: int
) -> None:
    """The rounds of a quantile, with the steps that DuckDB would tell."""
    every = sorted(value for piece in pieces for value in piece)
    place = round(share * (len(every) - 1))
    low: int | None = None
    high: int | None = None
    for _ in range(20):
        left = place - sum(value <= low for value in every) if low is not None else place
        inside = [[v for v in p if (low is None or v > low) and (high is None or v <= high)] for p in pieces]
        before = low, high
        low, high, sure = narrowed([_steps(sorted(values), steps) for values in inside], left, low)
        if sure:
            break
        steps *= 16 if (low, high) == before else 1
    assert high == every[place]


def _steps(values: list[int], steps: int) -> list[tuple[int, int, bool]]:
    upto, told = 0, {}
    for value in sorted(set(values)):
        upto += values.count(value)
        few = len(set(values)) <= steps
        told.setdefault(upto if few else (upto - 1) * steps // len(values), []).append(value)
    return [(max(held), sum(map(values.count, held)), len(held) == 1) for held in told.values()]


def test_an_error_of_a_task_reaches_a_person_in_one_line() -> None:
    """As Spark wraps it: the last line of a Python traceback amid lines of Java."""

    class Wrapped(Exception):
        __module__ = "pyspark.errors"

    said = TaskError(ShopmonError("new.parquet is damaged", advice="Deliver it again."))
    with pytest.raises(ShopmonError) as raised, told("counting"):
        raise Wrapped(f"An exception was thrown:\n  File x\nexpectations.TaskError: {said}\n\tat java.lang.Thread")
    assert raised.value.problem.startswith("new.parquet is damaged (on ")
    assert raised.value.advice == "Deliver it again."


def test_the_cause_of_a_java_error_is_told_without_its_trace() -> None:
    trace = "Job aborted due to stage failure\n" + "\tat org.apache.spark.Foo(Foo.scala:1)\n" * 200
    assert cause(RuntimeError(trace)) == "Job aborted due to stage failure"
    assert cause(RuntimeError(f"{trace}Caused by: java.io.IOException: No space left on device")) == (
        "No space left on device"
    )
