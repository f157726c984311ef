"""What a check gives is true in every form: document, notebook, terminal."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from rich.cells import cell_len
from rich.console import Console

from expectations.batch import Source
from expectations.errors import BatchError
from expectations.results import Example, Outcome
from monitor.results import (
    Alarm,
    Changed,
    ChangedWord,
    ConceptSection,
    DriftColumn,
    DriftSection,
    DriftStatus,
    EdgeCaseSection,
    ExampleRow,
    Measured,
    ModelReading,
    SelectionStatus,
)
from shopmon.outcome import (
    CheckResult,
    Failure,
    Status,
    plain,
    without_password,
)
from shopmon.summary import summary, trouble, verdict
from shopmon.terminal_text import inert

from .example_results import AWKWARD_VALUES, errored, failing, passing, rule

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "result.schema.json").read_text(encoding="utf-8"))
RESULTS = [failing(), passing(), errored()]
TEXT_TAGS = {"p", "b", "br", "code", "table", "thead", "tbody", "tr", "th", "td"}


def drifted():
    text = DriftColumn(
        column="text",
        segment=None,
        sort="text",
        test="language of the texts",
        p_value=1e-12,
        p_adjusted=1e-9,
        effect=0.04,
        effect_name="share of texts that changed",
        floor=0.01,
        drifted=True,
        said='"zipper" 0.4 → 3.1 %',
        reference=10_000,
        current=9_000,
        words=(ChangedWord("zipper<b>", 0.004, 0.031, 14.2),),
        sits_in=(Changed("brand = Nike", 0.2, 0.4, 1e-20),),
        examples=(ExampleRow("new.csv", 4117, "The zipper\x1b[31m broke"),),
        examples_before=(ExampleRow("good.parquet", 3, "Warm."),),
        evidently=Measured("text content", 0.61, 0.55, True),
    )
    columns = (text, replace(text, column="date", floor=None, drifted=False, said="35 days later", evidently=None))
    concept = ConceptSection(
        DriftStatus.DRIFTED, "in date order", 4000, 0.2, (Alarm("ADWIN", 2016, "2026-11-01T00:00:00", 0.1, 0.3),)
    )
    cases = EdgeCaseSection(
        SelectionStatus.SELECTED,
        "2 rules",
        selected=112,
        by_reason={"low confidence": 71},
        by_role={"negative": 112},
        looked_at=9_000,
        left_out=3,
        model=ModelReading(1_234, 500, 480, 16.0, "20261120-195801-a3f9c1\x1b[31m"),
        skipped={"far": "no reference"},
        added=100,
        retraining_set_rows=612,
        retrain_after=600,
        examples=(ExampleRow("new.csv", 7, "[bold]ugly"),),
    )
    return failing(
        drift=DriftSection(
            DriftStatus.DRIFTED, "9,000 rows against 10,000", "good.parquet", 20_000, 9_000, columns, concept
        ),
        edge_cases=cases,
    )


def problems(document):
    validator = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
    return [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(document)]


def strictly_read(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text.encode("utf-8"), parse_constant=refuse)


def rendered(result, width, *, color=False):
    console = Console(width=width, markup=False, highlight=False, emoji=False, force_terminal=color)
    with console.capture() as captured:
        console.print(summary(result, width=width, here=Path("/shop")))
    return captured.get()


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("result", [*RESULTS, drifted()], ids=lambda r: repr(r)[:60])
def test_every_document_keeps_the_schema(result):
    assert problems(strictly_read(result.json())) == []


@pytest.mark.parametrize(
    "change", [{"status": "error"}, {"rows": -1}, {"kind": "shoes"}, {"error": {}}, {"run_id": None}, {"surprise": 1}]
)
def test_the_schema_refuses_what_no_check_gives(change):
    assert problems({**failing().document(), **change})


@pytest.mark.parametrize("name", sorted(SCHEMA["required"]))
def test_the_schema_misses_whatever_is_left_out(name):
    document = failing().document()
    del document[name]
    assert any(name in problem for problem in problems(document))


@pytest.mark.parametrize("value", AWKWARD_VALUES, ids=lambda v: repr(v)[:20])
def test_any_value_of_data_becomes_strict_json(value):
    awkward = failing(expectations=(rule("text-present", outcome=Outcome.FAILED, unexpected=1, value=value),))
    assert problems(strictly_read(awkward.json())) == []


json_text = st.text(st.characters(codec=None), max_size=40)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.binary(max_size=9)
    | st.dates()
    | json_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_text, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_plain_values_are_strict_json_and_stay_as_they_are(value):
    once = plain(value)
    assert strictly_read(json.dumps(once, allow_nan=False, ensure_ascii=False)) == once
    assert plain(once) == once


def test_tables_bring_their_own_kinds_of_nothing():
    np, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert plain([np.float32("nan"), np.int64(3), pd.NaT, np.array([1.5]), np.datetime64("2026-01-02")]) == [
        None, 3, None, [1.5], "2026-01-02",
    ]  # fmt: skip


def test_a_long_text_is_cut_in_the_document_and_says_so():
    cut = plain("x" * 50_000_000)
    assert len(cut) == 1000
    assert cut.endswith("…")


@pytest.mark.parametrize("result", [passing(), errored(), drifted()], ids=lambda r: r.status)
def test_a_result_is_read_back_from_its_document(result):
    document = strictly_read(result.json())
    again = CheckResult.from_document(document)
    assert again.document() == document
    assert again.failures == CheckResult.from_document(again.document()).failures


def test_what_a_rule_asked_is_in_its_document_and_one_without_is_read_all_the_same():
    asked = {"column": "text", "regex": "x" * 2_000, "value_set": [1, "a\0", None], "row_condition": {"type": "and"}}
    document = failing(expectations=(replace(rule("text-present"), asked=asked),)).document()
    (told,) = document["expectations"]
    assert problems(strictly_read(json.dumps(document))) == []
    assert told["asked"] == {**asked, "value_set": [1, "a␀", None]}
    assert CheckResult.from_document(document).expectations[0].asked == told["asked"]
    del told["asked"]
    assert problems(document) == []
    assert CheckResult.from_document(document).expectations[0].asked == {}


def test_a_document_of_another_version_is_not_read():
    assert not CheckResult.can_read({**failing().document(), "schema_version": 1})
    assert CheckResult.can_read(failing().document())


def test_broken_rules_come_by_severity_then_by_rows():
    assert [r.id for r in failing().failures] == [
        "text-present", "text-not-near-duplicate", "stars-match-recommendation", "stars-mean-plausible",
        "title-no-markup",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:secret@host/db::t", "postgresql://me:***@host/db::t"),
        ("cannot reach postgresql+psycopg://me:se@cret@host/db", "cannot reach postgresql+psycopg://me:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("s3://bucket/a:b@c.parquet", "s3://bucket/a:b@c.parquet"),
        ("data/new.parquet", "data/new.parquet"),
    ],
)
def test_no_address_shows_its_password(address, shown):
    assert without_password(address) == shown


def test_a_password_is_in_no_form_of_a_result():
    address = "postgresql://me:hunter2@host/db::reviews"
    result = failing(sources=(Source(address, "table", 1, 0, ""),))
    error = Failure.of(BatchError(f"{address} cannot be reached", advice=f"See to {address}."))
    told = CheckResult("", Status.ERROR, error=error)
    for text in (result.json(), rendered(result, 120), told.json(), repr(told), told._repr_html_()):
        assert "hunter2" not in text


def test_what_was_not_foreseen_is_told_as_a_mistake_of_ours():
    failure = Failure.of(KeyError("text"))
    assert "mistake in shopmon" in failure.advice
    assert failure.type == "KeyError"


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not attrs

    def handle_data(self, data):
        self.text += data


@given(json_text)
def test_text_of_data_is_only_text_in_a_notebook(text):
    for said in (text, f"<script>alert({text!r})</script>", f'"><img src=x onerror={text}>'):
        found = rule(said or "r", outcome=Outcome.FAILED, unexpected=1, value=said, reason=said)
        html = failing(expectations=(found,), kind=said)._repr_html_()
        html.encode("utf-8")
        assert Page(html).tags <= TEXT_TAGS


def test_a_notebook_shows_broken_rules_with_an_example():
    page = Page(failing()._repr_html_())
    assert "text-present" in page.text
    assert "data/new.parquet row 92: missing" in page.text
    assert "Check the path." in Page(errored()._repr_html_()).text


def test_repr_says_the_verdict_in_one_line():
    assert repr(failing()) == (
        "<CheckResult 20261120-195801-a3f9c1: failed, reviews, 23,486 rows, 1,038 quarantined, "
        "5 of 17 rules broken, 1 could not be examined>"
    )
    assert "nowhere.parquet does not exist" in repr(errored())


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("result", [failing(), passing(), drifted()], ids=lambda r: repr(r)[:60])
def test_a_summary_fits_its_terminal(result, width):
    assert max(cell_len(line) for line in rendered(result, width).splitlines()) <= width


def test_the_verdict_is_the_first_line():
    first, second = rendered(failing(), 80).splitlines()[:2]
    assert first.split() == ["✗", "failed", "data/new.parquet", "reviews", "23,486", "rows", "4.1", "s"]
    assert second.strip() == ""
    assert rendered(passing(), 80).startswith("✓ passed")


def test_a_summary_names_rule_count_share_row_and_value():
    text = rendered(failing(), 80)
    assert "✗ text-present                  845 rows   3.6 %  critical\n      row 92: missing\n" in text
    assert "row 118: stars 5, recommended False" in text
    assert "price-above-zero  could not be examined  warning" in text
    assert "Review Text → text" in text
    assert "not examined" in text


def test_rules_with_a_missing_severity_mark_can_be_told_apart_without_colour():
    marks = {line.split()[1]: line.split()[0] for line in rendered(failing(), 80).splitlines() if line.startswith("  ")}
    assert marks["text-present"] == "✗"
    assert marks["stars-match-recommendation"] == "!"
    assert marks["title-no-markup"] == "i"
    assert marks["price-above-zero"] == "?"


def test_nothing_examined_is_called_so():
    text = rendered(failing(expectations=failing().expectations[-2:]), 80)
    assert "nothing was examined, and that is no pass" in text


def test_too_much_unreadable_says_that_it_fails_the_batch():
    assert "this alone fails the batch" in rendered(failing(unreadable=3000), 80)
    assert "this alone fails the batch" not in rendered(failing(), 80)


def test_many_broken_rules_do_not_fill_the_screen():
    rules = tuple(rule(f"rule-{n}", outcome=Outcome.FAILED, unexpected=1, value="x") for n in range(300))
    text = rendered(failing(expectations=rules), 80)
    assert "… and 280 more broken rules" in text
    assert len(text.splitlines()) < 60


def test_paths_below_here_are_shown_relative_to_it():
    assert "Kept in     .shopmon/runs/20261120-195801-a3f9c1/" in rendered(failing(), 80)


@given(json_text)
def test_text_of_data_never_reaches_the_terminal_as_an_order(text):
    shown = inert(text)
    assert all(c.isprintable() or c in "\u200d\ufe0f" for c in shown)
    shown.encode("utf-8")
    said = rule("rule", outcome=Outcome.FAILED, unexpected=1, value=text, reason=text)
    output = rendered(failing(expectations=(said,), notes=(text,), columns={"text": text or "x"}), 80)
    assert all(c.isprintable() or c in "\n\u200d\ufe0f" for c in output)


def test_markup_of_data_stays_text():
    output = rendered(failing(), 200, color=True)
    assert "[bold red]<b>Nice␛[31m</b>⏎next line⇥tab [/nothing]" in output


def test_a_file_is_named_beside_its_row_when_there_are_several():
    several = failing(sources=failing().sources * 2)
    assert "new.parquet row 92: missing" in rendered(several, 80)
    assert "data/new.parquet and 1 more" in rendered(several, 80)


def test_a_long_path_keeps_its_end():
    deep = failing(sources=(Source("/very/long/way/" * 20 + "new.parquet", "parquet", 23_486, 1, ""),))
    assert "new.parquet   reviews   23,486 rows   4.1 s" in str(verdict(deep, width=80))
    assert cell_len(str(verdict(deep, width=80))) <= 80


def test_trouble_says_what_and_what_to_do():
    console = Console(width=80)
    with console.capture() as captured:
        console.print(trouble(errored().error))
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert lines == ["✗ could not run   nowhere.parquet does not exist.", "  Check the path."]


def test_a_problem_that_ends_in_a_question_gets_no_full_stop():
    console = Console(width=80)
    failure = Failure.of(BatchError("nwe.csv does not exist; did you mean new.csv?", advice="Check the path."))
    with console.capture() as captured:
        console.print(trouble(failure))
    assert "did you mean new.csv?\n" in captured.get().replace(" \n", "\n")
    assert failure.message.endswith("did you mean new.csv? Check the path.")


def test_an_example_of_wide_characters_fits():
    wide = rule("rule", outcome=Outcome.FAILED, unexpected=1, value="漢字" * 100)
    assert isinstance(wide.example, Example)
    assert max(cell_len(line) for line in rendered(failing(expectations=(wide,)), 80).splitlines()) <= 80
