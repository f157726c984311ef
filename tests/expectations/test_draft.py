"""Does a drafted suite say what its reference shows, and survive whatever the reference holds?"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from expectations.batch import Batch, open_batch
from expectations.column_names import check_names
from expectations.draft import _Counted, _emitted, _limits, _mostly, draft_suite
from expectations.errors import BatchError
from expectations.judge import check_suite
from expectations.kinds import KINDS
from expectations.reference_figures import Spread
from expectations.results import Severity, Validation
from expectations.suite import Rule, Suite, built_in, load_suite
from expectations.validation import validate
from shopmon.sample_data import products, queries, relevance, reviews

MAKERS = {"reviews": reviews, "products": products, "queries": queries, "relevance": relevance}


@contextmanager
def opened(table: pa.Table, kind: str | None = None, columns: dict[str, str] | None = None) -> Iterator[Batch]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_batch(table, scratch=Path(folder), kind=kind, columns=columns) as batch,
    ):
        yield batch


def read(text: str, *, judged: bool = True) -> Suite:
    """The suite as a check would read it: strictly, and by Great Expectations as well."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suite.yaml"
        path.write_text(text, encoding="utf-8")
        suite = load_suite(path)
        if judged:
            check_suite(suite)
    return suite


def drafted(table: pa.Table, kind: str | None = None) -> Suite:
    with opened(table, kind) as batch:
        return read(draft_suite(batch))


def rules(suite: Suite) -> dict[str, Rule]:
    return {rule.id: rule for rule in suite.rules}


def examined(table: pa.Table, suite: Suite, kind: str | None = None) -> Validation:
    with opened(table, kind) as batch:
        return validate(batch, suite, folder=batch.scratch)


def with_column(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


# --- a clean reference ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_clean_reference_passes_the_suite_drafted_from_it(kind):
    table = MAKERS[kind](3_000)
    suite = drafted(table, kind)
    assert suite.kind == kind
    validation = examined(table, suite, kind)
    assert validation.passed
    assert [r.id for r in validation.results if r.id.startswith("draft-") and r.outcome != "passed"] == []


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_next_batch_of_the_same_shop_passes_too(kind):
    suite = drafted(MAKERS[kind](3_000), kind)
    validation = examined(MAKERS[kind](3_000, start=3_000), suite, kind)
    assert [(r.id, r.reason) for r in validation.results if r.id.startswith("draft-") and r.broken] == []


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_the_builtin_rules_that_apply_stand_there_unchanged_and_the_others_are_named(kind):
    with opened(MAKERS[kind](500), kind) as batch:
        text = draft_suite(batch)
    found = rules(read(text))
    left_out = text.partition("# Left out")[2].partition("# === measured")[0]
    for rule in load_suite(built_in(kind)).rules:
        if rule.id in found:
            mine = found[rule.id]
            same = {**rule.kwargs, "languages": None} == {**mine.kwargs, "languages": None}
            assert same
            assert (mine.type, mine.severity, mine.meta) == (rule.type, rule.severity, rule.meta)
        else:
            assert f" {rule.id}" in left_out
    assert not any(rule.id in left_out.split() for rule in found.values())


def test_every_drafted_rule_is_marked_and_only_must_haves_are_critical():
    suite = drafted(with_column(reviews(2_000), "text", [None, None, *reviews(1_998)["text"].to_pylist()]))
    mine = [rule for rule in suite.rules if rule.id.startswith("draft-")]
    assert len(mine) > 10
    assert all(rule.meta["draft"] is True and rule.says for rule in mine)
    critical = {rule.columns for rule in mine if rule.severity is Severity.CRITICAL}
    assert critical <= {("text",)}


def test_every_drafted_rule_stands_below_its_figure():
    with opened(reviews(2_000)) as batch:
        lines = draft_suite(batch).splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("  # === measured")]
    measured = lines[starts[0] :]
    for before, line in pairwise(measured):
        if line.startswith("  - type:"):
            assert before.startswith("  # ")
            assert any(sign.isdigit() for sign in before)


def test_the_same_batch_gives_the_same_draft():
    def text() -> str:
        with opened(reviews(1_500)) as batch:
            return draft_suite(batch)

    assert text() == text()


# --- figures ----------------------------------------------------------------------------------------------------


def test_dirt_below_one_percent_becomes_no_rule():
    rows = 4_000
    table = reviews(rows)
    category = table["category"].to_pylist()
    price, date, text = table["price"].to_pylist(), table["date"].to_pylist(), table["text"].to_pylist()
    clean = set(category)
    for n in range(36):  # 0.9 %
        category[n * 100] = "categroy"
        price[n * 100] = 99_999.0 if n % 2 else -1.0
        date[n * 100] = datetime(1970, 1, 1)
        text[n * 100] = "x" * 30_000
    dirty = table
    for name, values in (("category", category), ("price", price), ("date", date), ("text", text)):
        dirty = with_column(dirty, name, values)
    suite = drafted(dirty)
    found = rules(suite)
    assert set(found["draft-category-values"].kwargs["value_set"]) == clean
    assert 0 <= found["draft-price-range"].kwargs["min_value"] < min(table["price"].to_pylist())
    assert max(table["price"].to_pylist()) < found["draft-price-range"].kwargs["max_value"] < 5_000
    assert found["draft-text-length"].kwargs["max_value"] < 5_000
    assert found["draft-date-start"].kwargs["min_value"] > "2010"
    broken = {r.id: r.unexpected for r in examined(dirty, suite).results}
    assert broken["draft-category-values"] == broken["draft-price-range"] == broken["draft-date-start"] == 36
    assert [r.id for r in examined(dirty, suite).results if r.id.startswith("draft-") and r.broken] == []


def test_a_column_that_is_not_a_category_gets_no_set_of_values():
    suite = drafted(
        pa.table(
            {"text": [f"review {n} of this coat" for n in range(500)], "note": [f"n{n % 120}" for n in range(500)]}
        )
    )
    assert "draft-note-values" not in rules(suite)


def test_values_with_a_long_tail_are_no_set_either():
    notes = ["a"] * 800 + [f"tail {n % 15}" for n in range(120)] + ["b"] * 80  # 12 % in values of 0.8 % each
    suite = drafted(pa.table({"text": [f"review {n} of this coat" for n in range(1_000)], "note": notes}))
    assert "draft-note-values" not in rules(suite)


def test_what_is_missing_in_the_reference_may_be_missing_later():
    titles = [None if n % 25 == 0 else f"coat {n}" for n in range(2_000)]  # 4 %
    suite = drafted(with_column(reviews(2_000), "title", titles))
    assert rules(suite)["draft-title-missing"].mostly == 0.95


def test_only_an_id_must_be_unique():
    rows = 1_200
    table = pa.table(
        {
            "text": [f"a fine coat, worn {n} times" for n in range(rows)],
            "review_id": list(range(rows)),
            "hash": [f"{n * 7919:032x}" for n in range(rows)],
            "weight": [n + 0.5 for n in range(rows)],
            "shelf": [n % 600 for n in range(rows)],
        }
    )
    unique = {r.columns[0] for r in drafted(table).rules if r.type == "expect_column_values_to_be_unique"}
    assert unique == {"id", "hash"}


def test_nearly_unique_ids_may_stay_nearly_unique():
    ids = [f"r{n}" for n in range(2_000)]
    ids[1] = ids[0]
    table = reviews(2_000).set_column(0, "id", pa.array(ids))
    assert rules(drafted(table))["draft-id-repeated"].mostly == 0.997


def test_a_rule_that_the_builtin_suite_asks_already_is_not_drafted():
    found = rules(drafted(products(2_000)))
    assert "id-missing" in found
    assert "draft-id-missing" not in found
    assert "id-repeated" in found
    assert "draft-id-repeated" not in found


def test_what_the_reference_lacks_of_the_builtin_rules_is_told():
    texts = [None if n % 25 == 0 else f"a coat, worn {n} times" for n in range(2_000)]
    with opened(pa.table({"text": texts, "stars": [4] * 2_000})) as batch:
        written = draft_suite(batch)
    assert "# 1,920 of 2,000 rows have a value (96 %). Too few for text-missing above, which asks for 0.99." in written
    assert "for stars-missing" not in written


def test_dates_begin_with_the_year_or_the_month():
    def first(days: int) -> str:
        dates = [datetime(2019, 5, 17) + timedelta(days=days * n / 1_000) for n in range(1_000)]
        table = pa.table({"text": [f"coat {n}" for n in range(1_000)], "date": dates})
        return str(rules(drafted(table))["draft-date-start"].kwargs["min_value"])

    assert (first(1_500), first(90)) == ("2019-01-01", "2019-05-01")


def test_times_with_a_zone_are_compared_with_a_day():
    dates = pa.array(
        [datetime(2024, 5, 17) + timedelta(hours=n) for n in range(500)], pa.timestamp("us", tz="Europe/Berlin")
    )
    table = pa.table({"text": [f"coat {n}" for n in range(500)], "date": dates})
    suite = drafted(table)
    assert {r.id: r.outcome for r in examined(table, suite).results}["draft-date-start"] == "passed"


def test_the_languages_of_the_reference_are_the_languages_of_the_rule():
    german = "Der Mantel ist warm, passt sehr gut und war schnell geliefert. Farbe und Stoff gefallen mir."
    italian = "La borsa è bellissima e molto comoda da portare ogni giorno."
    texts = [*reviews(1_000)["text"].to_pylist(), *[german] * 100, *[italian] * 4]
    found = rules(drafted(pa.table({"text": texts})))
    assert found["language"].kwargs["languages"] == ["de", "en"]
    assert rules(drafted(pa.table({"text": ["gut"] * 50})))["language"].kwargs["languages"] == ["en"]


def test_hard_limits_are_kept_and_tails_get_room():
    stars = Spread(least=1, low_tail=1, low=1, high=5, high_tail=5, most=5, whole=True)
    prices = Spread(least=4.99, low_tail=7.69, low=9.99, high=320.5, high_tail=473.2, most=519.0, whole=False)
    years = Spread(least=2014, low_tail=2015, low=2016, high=2024, high_tail=2025, most=2026, whole=True)
    assert _limits(stars) == (1, 5)
    assert _limits(prices) == (3, 520)
    assert _limits(years) == (2014, 2026)


finite = st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(finite, min_size=6, max_size=6).map(sorted), st.booleans())
def test_limits_are_never_the_wrong_way_round(ends, whole):
    ends = [float(round(end)) for end in ends] if whole else ends
    low, high = _limits(Spread(*ends, whole=whole))
    assert low <= ends[2] or low <= 0 <= ends[0]
    assert high >= ends[3]
    assert low <= high


@given(st.integers(1, 10**7), st.data())
def test_the_reference_always_keeps_what_is_asked_of_it(examined_rows, data):
    broken = data.draw(st.integers(0, examined_rows))
    assert (examined_rows - broken) / examined_rows >= _mostly(_Counted(examined_rows, broken)) - 1e-12


# --- whatever the data holds --------------------------------------------------------------------------------------

NASTY = ["NO", "no", "1e3", "0x1F", "1_000", "~", "null", "", " ", "\n", '": x', "- a", "{{ x }}", "# c", "a: b",
         "&a *a", "!t", "%d", "@x", "`x`", "'", '"', "\\", "\0\x07\x1b\x7f", "\x85\u2028\u2029", "\x85", "\ufeff",
         "\ud7ff\ue000\ufffd", "🧥", "a\r\nb\tc", "x" * 10_000, "\n" * 300, "? ", ": ", "---", "...", "<<", "=",
         "2024-01-01", "yes", "true", ".inf", "0o7", "12:30:45"]  # fmt: skip


def test_nasty_categories_come_back_as_they_were():
    values = NASTY * 20
    table = pa.table({"text": [f"a coat, worn {n} times" for n in range(len(values))], "note": values})
    suite = drafted(table)
    assert set(rules(suite)["draft-note-values"].kwargs["value_set"]) == set(NASTY)
    assert {r.id: r.outcome for r in examined(table, suite).results}["draft-note-values"] == "passed"


@pytest.mark.parametrize("name", [name for name in NASTY if name.strip() and "\0" not in name])
def test_nasty_column_names_come_back_as_they_were(name):
    table = pa.table({"text": [f"a coat, worn {n} times" for n in range(60)], name: [n % 3 + 1 for n in range(60)]})
    suite = drafted(table)
    assert name in rules(suite)["draft-columns"].kwargs["column_set"]
    about = [rule for rule in suite.rules if rule.columns == (name,)]
    assert len(about) == 2
    assert all(r.outcome == "passed" for r in examined(table, suite).results if r.id.startswith("draft-"))


anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(NASTY)


@settings(max_examples=100, deadline=None)
@given(name=anything, values=st.lists(anything, min_size=1, max_size=4), says=anything)
def test_any_text_survives_the_way_through_the_file(name, values, says):
    kwargs = {"column": name, "value_set": values}
    rule = Rule("draft-x", "expect_column_values_to_be_in_set", kwargs, Severity.INFO, 0, says)
    text = "expectations:\n" + "\n".join(_emitted(rule)) + "\n"
    (back,) = read(text, judged=False).rules
    assert (back.kwargs, back.says, back.id) == (rule.kwargs, says, "draft-x")
    assert YAML(typ="safe", pure=True).load(io.BytesIO(text.encode()))["expectations"][0]["kwargs"] == rule.kwargs


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=anything, values=st.lists(anything, min_size=1, max_size=4, unique=True))
def test_any_reference_passes_the_suite_drafted_from_it(name, values):
    try:
        check_names(["text", name], "a table")
    except BatchError:
        return
    table = pa.table({"text": ["a fine coat"] * 40 * len(values), name: values * 40})
    suite = drafted(table, "reviews")
    mine = [r for r in examined(table, suite, "reviews").results if r.id.startswith("draft-")]
    assert mine
    assert [(r.id, r.reason) for r in mine if r.outcome != "passed"] == []


def test_columns_that_no_rule_can_name_are_told():
    texts = [f"coat {n}" for n in range(50)]
    table = pa.table({"Review Text": texts, "score": list(range(50)), "stars": ["x"] * 50})
    with opened(table, columns={"score": "stars"}) as batch:
        text = draft_suite(batch)
    assert "No rule can name 'stars'" in text
    read(text)


def test_empty_nested_and_infinite_columns_are_no_stumbling_block():
    rows = 30
    table = pa.table(
        {
            "text": [f"a coat, worn {n} times" for n in range(rows)],
            "empty": pa.array([None] * rows, pa.string()),
            "never": pa.array([None] * rows, pa.float64()),
            "tags": [[n] for n in range(rows)],
            "raw": [b"x"] * rows,
            "odd": [float("nan"), float("inf"), *[1.0] * (rows - 2)],
        }
    )
    suite = drafted(table)
    assert {"draft-tags-missing", "draft-raw-missing"} <= set(rules(suite))
    assert not [rule.id for rule in suite.rules if rule.columns[:1] in (("empty",), ("never",))]
    assert [r.id for r in examined(table, suite).results if r.id.startswith("draft-") and r.outcome != "passed"] == []


def test_a_table_of_thousands_of_columns_is_drafted_by_its_roles():
    table = pa.table({"text": ["a coat", "a bag"]} | {f"c{n}": [n, n] for n in range(1_100)})
    with opened(table) as batch:
        text = draft_suite(batch)
    assert len(read(text).rules) < 60
    assert "1,100 columns without a role" in text


def test_one_row_is_enough_for_a_draft():
    assert rules(drafted(pa.table({"text": ["a coat"]})))["draft-columns"].kwargs["column_set"] == ["text"]
