"""What does Evidently say: of every column, whatever it holds, on a page that is safe to open?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from monitor.evidently_report import MOST_ROWS, OTHER, EvidentlySettings, _category_names, _names, report
from monitor.profiles import Sort

NUMBER, CATEGORY, DATE, TEXT = Sort.NUMBER, Sort.CATEGORY, Sort.DATE, Sort.TEXT

OWNED = "document.documentElement.dataset.owned"
HOSTILE = (
    "<script>alert(1)</script>",
    f"</script><script>{OWNED}=1</script>",
    f'<img src=x onerror="{OWNED}=2">',
    '<a href="javascript:alert(1)">here</a>',
    "javascript:alert(1)",
    f"<!--<script>{OWNED}=3</script>",
    "]]></script><svg onload=alert(1)>",
    "{{7*7}} ${alert(1)}",
)
"""What would run, or change the page, were it taken for markup."""


@pytest.fixture
def said(tmp_path):
    """Evidently's answer on two samples."""

    def ask(before, after, sorts, s=EvidentlySettings(), workspace=None, name="shop", run_id="20261123-200000-abc"):
        return report(pd.DataFrame(before), pd.DataFrame(after), sorts, s, tmp_path, workspace, name, run_id)

    return ask


def hostile_samples():
    """Two samples of which the second differs, with hostile names, categories and texts."""
    names = {f"{value} ({sort})": sort for value in HOSTILE[:4] for sort in (NUMBER, CATEGORY)}
    random = np.random.default_rng(0)

    def side(shift):
        categories = random.choice(HOSTILE, 400)
        texts = [f"{value} {'old' if shift else 'new'} shoe" for value in random.choice(HOSTILE, 400)]
        columns = {name: random.random(400) + shift if sort is NUMBER else categories for name, sort in names.items()}
        return {**columns, "text": texts}

    return side(0), side(1), {**names, "text": TEXT}


# Values and verdicts


def test_a_shift_is_measured_and_called_drift(said):
    random = np.random.default_rng(1)
    before = {
        "price": random.normal(50, 10, 1000),
        "brand": ["Nike", "Puma"] * 500,
        "text": ["warm coat", "light shoe"] * 500,
    }
    after = {
        "price": random.normal(55, 10, 1000),
        "brand": ["Nike"] * 900 + ["Asics"] * 100,
        "text": ["broken zipper", "refund please"] * 500,
    }
    price, brand, text = said(before, after, {"price": NUMBER, "brand": CATEGORY, "text": TEXT}).values
    assert (price.method, price.threshold, price.drifted) == ("wasserstein", 0.1, True)
    assert price.value == pytest.approx(0.5, abs=0.1)  # of a standard deviation
    assert (brand.method, brand.drifted) == ("jensenshannon", True)
    shares = np.array([[0.5, 0.5, 0], [0.9, 0, 0.1]])
    middle = shares.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.nansum(shares * np.log(shares / middle)) / 2
    assert brand.value == pytest.approx(np.sqrt(divergence))
    assert (text.method, text.value, text.drifted) == ("abs_text_content_drift", 1.0, True)


def test_identical_samples_do_not_drift(said):
    same = {"price": np.arange(500.0), "brand": list("abcde") * 100, "text": ["warm boots", "nice coat"] * 250}
    answer = said(same, same, {"price": NUMBER, "brand": CATEGORY, "text": TEXT})
    assert [value.drifted for value in answer.values] == [False, False, False]
    assert [value.value for value in answer.values[:2]] == [0, 0]


def test_method_and_threshold_are_those_of_the_settings_whatever_the_size(said):
    s = EvidentlySettings(
        number_method="psi", number_threshold=0.2, category_method="hellinger", category_threshold=0.9
    )
    for rows in (40, 2_000):
        before, after = {"n": np.arange(rows), "c": ["a"] * rows}, {"n": np.arange(rows), "c": ["b"] * rows}
        n, c = said(before, after, {"n": NUMBER, "c": CATEGORY}, s).values
        assert (n.method, n.threshold, c.method, c.threshold) == ("psi", 0.2, "hellinger", 0.9)
        assert (n.drifted, c.value, c.drifted) == (False, pytest.approx(1), True)


def test_dates_are_left_out_and_said_to_be(said):
    days = pd.date_range("2026-01-01", periods=10)
    (date, stars) = said({"d": days, "s": range(10)}, {"d": days, "s": range(10)}, {"d": DATE, "s": NUMBER}).values
    assert (date.value, date.drifted) == (None, None)
    assert "later dates" in date.reason
    assert stars.value == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": MOST_ROWS + 1},
        {"rows": 0},
        {"categories": 0},
        {"number_method": "chisquare"},
        {"text_threshold": 0.0},
        {"category_threshold": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EvidentlySettings(**wrong)


def test_no_more_rows_are_looked_at_than_the_settings_allow(said):
    rows = {"price": np.arange(1_000.0)}
    answer = said(rows, {"price": np.arange(70.0)}, {"price": NUMBER}, EvidentlySettings(rows=100))
    assert (answer.reference, answer.current) == (100, 70)
    counts = json.loads(answer.json.read_text())["metrics"][0]
    assert (counts["metric_name"], counts["value"]) == ("RowCount()", 70)


def test_the_rows_drawn_are_always_the_same(said):
    random = np.random.default_rng(3)
    before, after = {"price": random.random(1_000)}, {"price": random.random(1_000)}
    s = EvidentlySettings(rows=50)
    first, again = (said(before, after, {"price": NUMBER}, s).values[0].value for _ in range(2))
    assert first == again


def test_rare_categories_become_one_on_both_sides_alike(said):
    before = {"c": ["a"] * 50 + [f"old {i}" for i in range(50)]}
    after = {"c": ["a"] * 50 + [f"new {i}" for i in range(50)]}
    assert said(before, after, {"c": CATEGORY}, EvidentlySettings(categories=1)).values[0].value == 0
    assert said(before, after, {"c": CATEGORY}).values[0].value > 0.5


@given(
    before=st.lists(st.none() | st.text(max_size=3)),
    after=st.lists(st.none() | st.text(max_size=3)),
    most=st.integers(1, 5),
)
def test_the_most_frequent_categories_of_both_sides_keep_their_names(before, after, most):
    names = _category_names((before, after), most)
    both = [value for value in (*before, *after) if value is not None]
    assert len(names) == min(most, len(set(both)))
    assert len(set(names.values())) == len(names)
    rest = [both.count(value) for value in set(both) - set(names)]
    assert all(both.count(value) >= max(rest, default=0) for value in names)


def test_a_category_that_is_called_as_the_rest_counts_with_it():
    assert _category_names((["other", "other", "a"], []), 1) == {"other": OTHER}


# Columns that cannot be measured


def odd(kind, rows):
    """A column of that kind, as sort and values."""
    random = np.random.default_rng(rows)
    return {
        "constant": (NUMBER, [5.0] * rows),
        "all missing": (NUMBER, [np.nan] * rows),
        "all None": (CATEGORY, [None] * rows),
        "NaN and infinity": (NUMBER, random.choice([np.nan, np.inf, -np.inf, 1.0, 2.0], rows)),
        "too large": (NUMBER, random.random(rows) * 1.7e308),
        "booleans": (CATEGORY, random.random(rows) < 0.5),
        "numbers and text": (NUMBER, random.choice(np.array([1.5, "many", None], dtype=object), rows)),
        "mixed": (CATEGORY, random.choice(np.array([1, "1", None, True], dtype=object), rows)),
        "stop words": (TEXT, ["the and of"] * rows),
        "empty texts": (TEXT, [""] * rows),
        "missing texts": (TEXT, [None] * rows),
        "some texts": (TEXT, random.choice(np.array(["warm", "cold", None, ""], dtype=object), rows)),
        "good": (NUMBER, random.random(rows)),
    }[kind]


KINDS = ("constant", "all missing", "all None", "NaN and infinity", "too large", "booleans", "numbers and text",
         "mixed", "stop words", "empty texts", "missing texts", "some texts", "good")  # fmt: skip


@pytest.mark.parametrize(("reference", "current"), [(1, 1), (1, 60), (60, 1), (2, 3), (60, 40)])
def test_a_column_that_cannot_be_measured_costs_no_other_its_report(said, reference, current):
    before = {kind: odd(kind, reference)[1] for kind in KINDS}
    after = {kind: odd(kind, current)[1] for kind in KINDS}
    answer = said(before, after, {kind: odd(kind, 1)[0] for kind in KINDS})
    assert [value.column for value in answer.values] == list(KINDS)
    for value in answer.values:
        assert (value.value is None) == (value.drifted is None) == bool(value.reason)
    good = answer.value("good")
    assert (good.value is None) == (1 in (reference, current))
    if good.value is None:
        assert "1 value in the" in good.reason
    assert answer.value("all None").reason.startswith("0 values in the reference sample")
    assert answer.html.stat().st_size > 1_000_000
    json.loads(answer.json.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_side_without_rows_gives_reasons_and_no_files(said, tmp_path):
    answer = said({"price": []}, {"price": [1.0, 2.0]}, {"price": NUMBER}, workspace=tmp_path / "ws")
    assert answer.values[0].reason == "a side has no rows"
    assert (answer.html, answer.json, answer.workspace) == (None, None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_on_one_side_only_is_told(said):
    (value,) = said({"a": [1.0, 2.0]}, {"b": [1.0, 2.0]}, {"b": NUMBER}).values
    assert value.reason == "the column is not in the reference sample"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(max_size=12), min_size=1, max_size=5, unique=True))
def test_any_column_name_can_be_measured(said, names):
    names = [*names, "'\".,:;", "\U0001f600", "<b>", "‹b›", "a\nb", "a b", ""]
    columns = {name: np.arange(10.0) for name in names}
    answer = said(columns, columns, dict.fromkeys(columns, NUMBER))
    assert {value.column: value.value for value in answer.values} == dict.fromkeys(columns, 0.0)


@given(st.lists(st.text(), unique=True))
def test_names_are_shown_without_markup_and_never_twice(names):
    shown = _names(names)
    assert list(shown) == names
    assert len(set(shown.values())) == len(names)
    assert not any(set(name) & set("<>\n\0") for name in shown.values())


def test_long_texts_are_cut(said):
    before, after = {"t": ["warm coat " * 20_000] * 20}, {"t": ["broken zipper " * 20_000] * 20}
    answer = said(before, after, {"t": TEXT})
    assert answer.values[0].drifted
    assert 1_000 < answer.html.read_text().count("broken zipper") < 10 * 5_000 / len("broken zipper ")


# The page


class Page(HTMLParser):
    """The elements of a page, and what it would load."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.loaded = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_hostile_names_categories_and_texts_add_no_element_to_the_page(said):
    plain = Page(said({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"a": NUMBER}).html.read_text())
    answer = said(*hostile_samples())
    assert all(value.value is not None for value in answer.values)
    page = answer.html.read_text()
    assert Page(page).tags == plain.tags
    for value in HOSTILE:
        assert "<" not in value or value not in page
    data = page[page.index("<script>") + len("<script>") : page.index("</script>")]
    assert "<" not in data
    assert "Drift in column" in data


def test_the_page_names_nothing_to_load_and_forbids_loading(said):
    page = said({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"a": NUMBER}).html.read_text()
    assert Page(page).loaded == []
    style = page[page.index("<style>") : page.index("</style>")]
    assert style.count("url(") == style.count("url(data:")
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<script>")
    assert "default-src 'none'" in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium is installed (Debian: apt-get install chromium)")
def test_in_a_browser_the_page_draws_its_charts_runs_nothing_hostile_and_asks_for_nothing(said, tmp_path):
    page = said(*hostile_samples()).html.read_text()
    drawn = in_chromium(page, tmp_path)
    root = drawn[: drawn.index(">", drawn.index("<html"))]
    assert "data-owned" not in root
    assert "data-asked" not in root
    assert drawn.count('class="js-plotly-plot"') >= 8
    charts = drawn[drawn.index("<body") : drawn.index("<script>var global")]
    assert "‹img src=x" in charts
    assert "<img src=" not in charts
    assert "javascript:alert(1)" in charts
    assert not any((value or "").startswith("javascript") for value in Page(charts).loaded)


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium is installed (Debian: apt-get install chromium)")
def test_the_browser_test_would_notice(said, tmp_path):
    page = said({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"a": NUMBER}).html.read_text()
    asking = "<img src=http://shop.invalid/pixel.png>"
    drawn = in_chromium(page.replace("<body>", f"<body>{HOSTILE[2]}{asking}", 1), tmp_path)
    assert 'data-owned="2"' in drawn
    assert 'data-asked="http://shop.invalid/pixel.png"' in drawn


def in_chromium(page, folder):
    """The page's elements once its scripts have run, with what it asked for and was refused in `data-asked`."""
    listening = (
        "<script>addEventListener('securitypolicyviolation',"
        "e => document.documentElement.setAttribute('data-asked', e.blockedURI))</script>"
    )
    copy = folder / "copy.html"
    copy.write_text(page.replace("<style>", f"{listening}<style>", 1), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    bounds = [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=8000", "--dump-dom", copy.as_uri()]
    done = subprocess.run(["chromium", *options, *bounds], capture_output=True, check=True, timeout=120)
    return done.stdout.decode()


# The workspace


def test_runs_are_added_to_one_project_that_is_made_once(said, tmp_path):
    from evidently.ui.workspace import Workspace

    before, after = {"price": np.arange(10.0)}, {"price": np.arange(10.0) + 5}
    folder = tmp_path / "workspace"
    for run_id in ("20261123-200000-abc", "20261123-210000-def"):
        said(before, after, {"price": NUMBER}, workspace=folder, run_id=run_id)
    said(before, after, {"price": NUMBER}, workspace=folder, name="another shop", run_id="20261123-220000-ghi")

    read = Workspace(str(folder))
    assert sorted(project.name for project in read.list_projects()) == ["another shop", "shop"]
    (project,) = read.search_project("shop")
    runs = [read.get_run(project.id, run) for run in read.list_runs(project.id)]
    assert sorted(run.name for run in runs) == ["20261123-200000-abc", "20261123-210000-def"]
    for run in runs:
        assert run.metadata == {"shopmon_run": run.name}
        assert run.tags == ["shopmon", run.name]
        drift = [
            r for r in run.metric_results.values() if "ValueDrift" in r.metric_value_location.metric.params["type"]
        ]
        assert drift[0].value == pytest.approx(5 / np.std(np.arange(10.0)))


def test_hostile_data_stands_in_the_workspace_without_markup(said, tmp_path):
    said(*hostile_samples(), workspace=tmp_path / "workspace")
    (snapshot,) = (tmp_path / "workspace").glob("*/snapshots/*.json")
    text = snapshot.read_text()
    assert "‹img src=x" in json.dumps(json.loads(text), ensure_ascii=False)
    assert not any(value in json.loads(json.dumps(text)) for value in HOSTILE if "<" in value)


def test_a_workspace_that_cannot_be_written_is_told(said, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ShopmonError, match="could not be added to the Evidently workspace"):
        said({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"a": NUMBER}, workspace=tmp_path / "file")


# The network


def test_evidently_is_used_without_the_network(tmp_path):
    script = """
import socket, sys
from pathlib import Path
asked = []
def refuse(*given, **_):
    asked.append(given)
    raise OSError("there is no network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
import pandas, time
from monitor.evidently_report import EvidentlySettings, report
from monitor.profiles import Sort
assert "evidently" not in sys.modules
rows = pandas.DataFrame({"stars": [1.0, 2.0, 3.0]})
folder = Path(sys.argv[1])
report(rows, rows, {"stars": Sort.NUMBER}, EvidentlySettings(), folder, folder / "workspace", "shop", "1")
time.sleep(0.5)  # telemetry goes out from a thread
print(asked)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
