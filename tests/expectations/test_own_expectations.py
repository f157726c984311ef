import datetime
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import great_expectations as gx
import pandas as pd
import pytest
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.registry import get_expectation_impl
from great_expectations.expectations.row_conditions import Column
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

import expectations.own_expectations as own

FILE, ROW = "__shopmon_file", "__shopmon_row"
FORMAT = {"result_format": "COMPLETE", "unexpected_index_column_names": [FILE, ROW], "partial_unexpected_count": 10**9}


@dataclass(frozen=True)
class Case:
    """An expectation, a frame, and the rows (from 1) that break it."""

    name: str
    expectation: BatchExpectation
    columns: dict[str, Any]
    failing: list[int]
    examined: int
    success: bool = False
    kept: list[int] | None = field(default=None)
    """Rows that meet the row condition; None where there is none."""

    @property
    def frame(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.columns)
        return frame.assign(**{FILE: 0, ROW: range(1, len(frame) + 1)})


def cut_reviews() -> list[str]:
    """Texts of every length from 50 to 150, and ninety cut at 150 characters; the last one ends as it should."""
    text = "the fit is lovely and the colour is just what i had hoped for but the zip is stiff and " * 3
    whole = [text[i % 7 :][: 49 + i % 101] + "." for i in range(303)]
    return whole + [text[i:][:150] for i in range(90)] + [text[3:][:149] + "."]


def queries() -> tuple[list[str], list[str]]:
    good = ["toilet seat"] * 30 + ["kitchen light"] * 30
    bad = ["toliet seat", "kitchn light", "night light", "Toilets!"]
    return good + bad, ["Night Light for the kitchen"] * (len(good) + len(bad))


def cases() -> list[Case]:
    reviews = cut_reviews()
    searched, titles = queries()
    moment = "2026-11-20T12:00:00Z"
    utc = datetime.UTC
    return [
        Case(
            "mojibake",
            own.ExpectColumnValuesToNotBeMojibake(column="t"),
            {"t": ["fine", None, "360è_ Tank Top", "naïve café", "Ã©tÃ©", math.nan, "\ufffd"]},
            [3, 5, 7],
            5,
        ),
        Case(
            "mojibake, mostly",
            own.ExpectColumnValuesToNotBeMojibake(column="t", mostly=0.5, severity="warning"),
            {"t": ["fine", "fine", "30å¡ Galvanized"]},
            [3],
            3,
            success=True,
        ),
        Case(
            "mojibake, where the stars are many",
            own.ExpectColumnValuesToNotBeMojibake(column="t", row_condition=Column("stars") > 3),
            {"t": ["\ufffd", "fine", "\ufffd", None], "stars": [1, 5, 5, 5]},
            [3],
            2,
            kept=[2, 3, 4],
        ),
        Case(
            "language",
            own.ExpectColumnValuesToBeInLanguage(column="t", languages=["en"]),
            {"t": ["Dieses Kleid ist wunderschön, ich trage es jeden Tag im Büro.", "Kurz und gut", None]},
            [1],
            2,
        ),
        Case(
            "tokens",
            own.ExpectColumnValuesToFitInTokens(column="t", max_tokens=5),
            {"t": ["much too long", "much too long.", None, ""]},
            [2],
            3,
        ),
        Case("cut off", own.ExpectColumnValuesToNotBeCutOff(column="t"), {"t": reviews}, list(range(304, 394)), 394),
        Case(
            "cut off at a known length",
            own.ExpectColumnValuesToNotBeCutOff(column="t", length=20),
            {"t": ["x" * 20, "x" * 19 + ".", "x" * 21, "short"]},
            [1],
            4,
        ),
        Case(
            "date format",
            own.ExpectColumnValuesToShareADateFormat(column="d"),
            {"d": ["2018-01-02", "2018-01-03T00:00:00Z", "2018-01-04", None]},
            [2],
            3,
        ),
        Case(
            "date format of nothing",
            own.ExpectColumnValuesToShareADateFormat(column="d"),
            {"d": pd.Series([None, None], dtype=object)},
            [],
            0,
            success=True,
        ),
        Case(
            "spelling beside a vocabulary",
            own.ExpectColumnValuesToBeSpelledAsUsual(column="q", vocabulary_column="p"),
            {"q": searched, "p": titles},
            [61, 62],
            64,
        ),
        Case(
            "spelling with missing queries and titles",
            own.ExpectColumnValuesToBeSpelledAsUsual(column="q", vocabulary_column="p"),
            {"q": [*searched, None], "p": [*titles[:-1], None, "Toilet"]},
            [61, 62],
            64,
        ),
        Case(
            "exact copies",
            own.ExpectColumnValuesToNotRepeat(column="t"),
            {"t": ["a", "b", "a", None, "A", None, "a", ""]},
            [3, 7],
            6,
        ),
        Case(
            "exact copies of numbers",
            own.ExpectColumnValuesToNotRepeat(column="n"),
            {"n": [0.0, -0.0, math.nan, 1.5, math.nan]},
            [2],
            3,
        ),
        Case(
            "near copies",
            own.ExpectColumnValuesToNotRepeat(column="t", compare="letters", min_length=4),
            {"t": ["Love it!!", "love IT", "👍👍👍👍", "👍👍👍👍", "ok", "OK", "É-tés", "étés"]},
            [2, 8],
            8,
        ),
        Case(
            "written dates",
            own.ExpectColumnValuesToNotBeAfter(column="d", moment=moment),
            {"d": ["2026-11-21T23:59:59Z", "2026-11-22", "22-Nov-26", "12/11/2026", "soon", None]},
            [2, 3],
            5,
        ),
        Case(
            "dates",
            own.ExpectColumnValuesToNotBeAfter(column="d", moment=moment, tolerance_days=0),
            {"d": [datetime.date(2026, 11, 20), datetime.date(2026, 11, 21), None]},
            [2],
            2,
        ),
        Case(
            "moments",
            own.ExpectColumnValuesToNotBeAfter(column="d", moment=moment, tolerance_days=0),
            {"d": pd.to_datetime(["2026-11-20T23:59:59", "2026-11-21T00:00:00", None])},
            [2],
            2,
        ),
        Case(
            "moments with a time zone",
            own.ExpectColumnValuesToNotBeAfter(column="d", moment=moment, tolerance_days=0),
            {
                "d": [
                    datetime.datetime(2026, 11, 21, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
                    datetime.datetime(2026, 11, 21, 1, tzinfo=utc),
                ]
            },
            [2],
            2,
        ),
        Case(
            "records",
            own.ExpectRecordsToNotRepeat(column_list=["a", "b"]),
            {"a": ["x", "x", None, None, None, None], "b": [1.0, 1.0, 2.0, 2.0, math.nan, math.nan]},
            [2, 4],
            4,
        ),
        Case(
            "contradictions",
            own.ExpectLastColumnToBeDeterminedByTheOthers(column_list=["q", "p", "label"]),
            {
                "q": ["hat", "hat", "hat", "cap", "cap", None, None],
                "p": ["red", "red", "blue", "red", "red", "red", "red"],
                "label": ["E", "S", "E", "E", None, "E", "S"],
            },
            [1, 2],
            4,
        ),
    ]


def validated(case: Case) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch(batch_parameters={"dataframe": case.frame})
    return batch.validate(case.expectation, result_format=FORMAT)


def by_great_expectations(case: Case) -> dict[str, Any]:
    return dict(validated(case).to_json_dict())


def by_hand(case: Case) -> dict[str, Any]:
    """What the compiled scan does: count, and let `metrics_validate` judge."""
    frame = case.frame
    rows = frame[ROW].isin(case.kept) if case.kept else frame[ROW] > 0
    domain = getattr(case.expectation, "column_list", None) or [case.expectation.column]  # type: ignore[attr-defined]
    bad = frame[frame[ROW].isin(case.failing)]
    records = bad[domain].to_dict("records")
    computed = {
        "table.row_count": int(rows.sum()),
        "nonnull.unexpected_count": int(rows.sum()) - case.examined,
        "filtered_row_count": case.examined,
        "unexpected_count": len(case.failing),
        "unexpected_values": records if len(domain) > 1 else [record[domain[0]] for record in records],
        "unexpected_index_list": bad[[*domain, FILE, ROW]].to_dict("records"),
        "unexpected_index_query": None,
    }
    return judged(case.expectation, computed)


def judged(expectation: BatchExpectation, computed: dict[str, Any]) -> dict[str, Any]:
    engine = PandasExecutionEngine()
    asked = expectation.get_validation_dependencies(
        execution_engine=engine, runtime_configuration={"result_format": FORMAT}
    )
    metrics = {
        config.id: next(value for suffix, value in computed.items() if name.endswith(suffix))
        for name, config in asked.metric_configurations.items()
    }
    result = expectation.metrics_validate(
        metrics=metrics, runtime_configuration={"result_format": FORMAT}, execution_engine=engine
    )
    return dict(result.to_json_dict())


def comparable(result: dict[str, Any]) -> Any:
    """Everything but the query (pandas code, which nobody runs) and what GX's batch adds: its id."""
    result["result"].pop("unexpected_index_query", None)
    result["expectation_config"]["kwargs"].pop("batch_id", None)
    return json.loads(json.dumps(result, sort_keys=True).replace("NaN", "null"))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_great_expectations_and_counts_from_elsewhere_agree(case: Case) -> None:
    theirs = by_great_expectations(case)
    assert theirs["exception_info"]["raised_exception"] is False
    assert [row[ROW] for row in theirs["result"].get("unexpected_index_list", [])] == case.failing
    assert theirs["success"] is case.success
    assert comparable(by_hand(case)) == comparable(theirs)


SPELLINGS = {"division": ["Initmates"] * 9 + ["Tops"], "kind": ["Intimates"] * 5 + ["Intimates "] * 4 + [None]}


def test_categories_spelled_two_ways_are_listed_with_their_counts() -> None:
    expectation = own.ExpectCategoriesToBeSpelledOneWay(column_list=["division", "kind"])
    theirs = by_great_expectations(Case("", expectation, SPELLINGS, [], 0))
    assert theirs["success"] is False
    assert theirs["result"]["observed_value"] == ["'Intimates ' (4 rows) beside 'Intimates' (5 rows)"]
    counts = {name: pd.Series(values).value_counts().to_dict() for name, values in SPELLINGS.items()}
    ours = judged(expectation, {"table.categories_spelled_two_ways": own.category_spellings(counts)})
    assert comparable(ours) == comparable(theirs)


def test_too_many_categories_are_named_as_not_examined() -> None:
    expectation = own.ExpectCategoriesToBeSpelledOneWay(column_list=["id"])
    result = by_great_expectations(Case("", expectation, {"id": [f"number {i}" for i in range(2_001)]}, [], 0))
    assert result["result"]["details"] == {"pairs": [], "not_examined": ["id"]}


def test_categories_meet_the_row_condition_first() -> None:
    expectation = own.ExpectCategoriesToBeSpelledOneWay(column_list=["kind"], row_condition=Column("ok") == 1)
    case = Case("", expectation, {"kind": ["Red", "red"], "ok": [1, 0]}, [], 0)
    assert by_great_expectations(case)["success"] is True


def test_ambiguous_date_formats_are_listed_with_their_counts() -> None:
    expectation = own.ExpectColumnDatesToBeUnambiguous(column="d")
    dates = ["31-Jul-18", "1-Aug-18", None, "2018-08-01", "01/02/2018"]
    theirs = by_great_expectations(Case("", expectation, {"d": dates}, [], 0))
    assert theirs["success"] is False
    assert theirs["result"]["observed_value"] == [
        "9-a-9 (2 dates): the year has two digits",
        "9/9/9999 (1 dates): day and month can be confused",
    ]
    found = own.ambiguous_date_formats({"00-Jul-00": 1, "0-Aug-00": 1, "0000-00-00": 1, "00/00/0000": 1})
    assert comparable(judged(expectation, {"column.ambiguous_date_formats": found})) == comparable(theirs)


@pytest.mark.parametrize(
    ("expectation", "columns"),
    [
        (own.ExpectColumnDatesToBeUnambiguous(column="t"), {"t": [1, 2]}),
        (own.ExpectColumnValuesToNotBeMojibake(column="t"), {"t": [1, 2]}),
        (own.ExpectColumnValuesToNotBeMojibake(column="absent"), {"t": ["x"]}),
        (own.ExpectColumnValuesToBeSpelledAsUsual(column="t", vocabulary_column="absent"), {"t": ["x"]}),
        (own.ExpectColumnValuesToNotBeAfter(column="t", moment="2026-01-01"), {"t": [1, 2]}),
        (own.ExpectLastColumnToBeDeterminedByTheOthers(column_list=["t", "absent"]), {"t": ["x"]}),
        (own.ExpectCategoriesToBeSpelledOneWay(column_list=["absent"]), {"t": ["x"]}),
        (own.ExpectCategoriesToBeSpelledOneWay(column_list=["t"]), {"t": [1]}),
    ],
)
def test_a_missing_column_or_a_wrong_type_is_an_error_and_no_pass(expectation: Any, columns: dict[str, Any]) -> None:
    result = by_great_expectations(Case("", expectation, columns, [], 0))
    assert result["success"] is False
    assert "raised_exception" in json.dumps(result["exception_info"])
    assert '"raised_exception": true' in json.dumps(result["exception_info"])


TYPES = {
    "expect_column_values_to_not_be_mojibake": {"column": "c"},
    "expect_column_values_to_be_in_language": {"column": "c", "languages": ["en", "fr"]},
    "expect_column_values_to_fit_in_tokens": {"column": "c"},
    "expect_column_values_to_not_be_cut_off": {"column": "c"},
    "expect_column_values_to_share_a_date_format": {"column": "c"},
    "expect_column_values_to_be_spelled_as_usual": {"column": "c"},
    "expect_column_values_to_not_repeat": {"column": "c"},
    "expect_column_values_to_not_be_after": {"column": "c", "moment": "2026-11-20"},
    "expect_records_to_not_repeat": {"column_list": ["c", "d"]},
    "expect_last_column_to_be_determined_by_the_others": {"column_list": ["c", "d"]},
    "expect_categories_to_be_spelled_one_way": {"column_list": ["c"]},
    "expect_column_dates_to_be_unambiguous": {"column": "c"},
}


@pytest.mark.parametrize(("name", "kwargs"), TYPES.items())
def test_every_type_is_registered_and_refuses_unknown_arguments(name: str, kwargs: dict[str, Any]) -> None:
    expectation = get_expectation_impl(name)(**kwargs)
    assert expectation.expectation_type == name
    for unknown in ("mostyl", "in_words"):
        with pytest.raises(ValueError, match="extra fields"):
            get_expectation_impl(name)(**kwargs, **{unknown: "0.9"})


@pytest.mark.parametrize(("name", "kwargs"), TYPES.items())
def test_every_type_reads_as_a_sentence_in_data_docs(name: str, kwargs: dict[str, Any]) -> None:
    expectation = get_expectation_impl(name)(**kwargs, row_condition=Column("stars") > 3)
    (content,) = type(expectation)._prescriptive_renderer(configuration=expectation.configuration)
    sentence, params = content.string_template["template"], content.string_template["params"]
    for param, value in params.items():
        sentence = sentence.replace(f"${param}", value)
    assert re.match(r"If stars > 3, then (c|records|of c, d|categories)[ ,].*\bmust\b.*\.$", sentence), sentence
    assert not re.search(r"\$|None", sentence)
    expectation.render()
    rendered = expectation.rendered_content[0].value.template
    assert rendered.split(", then ")[1].lower() == content.string_template["template"].split(", then ")[1].lower()


def test_what_a_suite_says_stays_text_in_data_docs() -> None:
    case = Case("", own.ExpectColumnValuesToNotBeMojibake(column="<b>$t</b>"), {"<b>$t</b>": ["\ufffd"]}, [1], 1)
    validation = ExpectationSuiteValidationResult(
        success=False,
        results=[validated(case)],
        suite_name="reviews",
        suite_parameters={},
        statistics={
            "evaluated_expectations": 1,
            "successful_expectations": 0,
            "unsuccessful_expectations": 1,
            "success_percent": 0.0,
        },
        meta={
            "great_expectations_version": gx.__version__,
            "run_id": {"run_name": "r", "run_time": "2026-11-20T00:00:00"},
            "batch_spec": {},
            "active_batch_definition": {"batch_identifiers": {}},
        },
    )
    page = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(validation))
    assert "must be free of broken encoding." in page
    assert "&lt;b&gt;$t&lt;/b&gt;" in page


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: own.ExpectColumnValuesToBeInLanguage(column="c", languages=[]), "languages is empty"),
        (lambda: own.ExpectColumnValuesToBeInLanguage(column="c", languages=["english"]), "not ISO 639-1"),
        (lambda: own.ExpectColumnValuesToFitInTokens(column="c", max_tokens=2), "at least 3"),
        (lambda: own.ExpectColumnValuesToNotBeCutOff(column="c", length=0), "1 or more"),
        (lambda: own.ExpectColumnValuesToNotRepeat(column="c", compare="sound"), "unexpected value"),
        (lambda: own.ExpectColumnValuesToNotRepeat(column="c", min_length=-1), "0 or more"),
        (lambda: own.ExpectColumnValuesToNotBeAfter(column="c", moment="tomorrow"), "ISO date"),
        (lambda: own.ExpectColumnValuesToNotBeAfter(column="c", moment="2026-01-01", tolerance_days=-1), "0 or more"),
        (lambda: own.ExpectRecordsToNotRepeat(column_list=["c", "c"]), "more than once"),
        (lambda: own.ExpectCategoriesToBeSpelledOneWay(column_list=[]), "column_list is empty"),
        (
            lambda: own.ExpectLastColumnToBeDeterminedByTheOthers(column_list=["a", "b"], ignore_row_if="never"),
            "unexpected value",
        ),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_when_the_suite_is_read(build: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build()
