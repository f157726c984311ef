"""Do the pages work in a real browser: shown whole, quiet, at home, and answering keys and clicks?

SHOPMON_PICTURES=docs/images saves the pictures of the documentation; SHOPMON_PICTURES_PROJECT=demo names the project
that they show, which is the tests' own otherwise.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from monitor.runs import RunStore
from shopmon.project import Project

from .browser import NARROW, PAGES, WIDE, Visit, browser, chromium, dashboard
from .conftest import once
from .example_projects import copied
from .hostile_project import FOLDER, MARKER, hostile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
]
PICTURES = os.environ.get("SHOPMON_PICTURES")
PROMPT = "These shoes feel so [MASK] to me"


@pytest.fixture(scope="module")
def chrome():
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def shown(request, tmp_path_factory):
    """The project whose pages are looked at; decisions are made in it."""
    named = os.environ.get("SHOPMON_PICTURES_PROJECT")
    if named:
        return Path(named).absolute()
    return copied(request.getfixturevalue("demo"), tmp_path_factory.mktemp("browser") / "demo")


@pytest.fixture(scope="module")
def served(shown):
    with dashboard(shown) as url:
        yield url


@pytest.fixture
def pictures(tmp_path):
    return Path(PICTURES).absolute() if PICTURES else tmp_path


def in_order(visit: Visit) -> None:
    """What holds of every page: nothing failed, nothing sticks out, nobody else was asked."""
    assert visit.page.get_by_test_id("stException").count() == 0
    assert "mistake in shopmon" not in visit.text()
    assert visit.sticks_out() <= 0
    assert visit.console == []
    assert visit.elsewhere == []
    assert visit.dialogs == []


def test_a_person_walks_through_every_page(chrome, served, pictures):
    visit = Visit.begin(chrome, served, WIDE)
    visit.open("overview")
    for path in PAGES:
        visit.click_to(path)
        in_order(visit)
        assert len(visit.text()) > 200
        visit.picture(pictures / f"dashboard-{path.replace('_', '-')}.png")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_on_a_telephone(chrome, served, path):
    visit = Visit.begin(chrome, served, NARROW)
    visit.open(path)
    in_order(visit)


def test_a_page_can_be_read_in_the_dark(chrome, served):
    visit = Visit.begin(chrome, served, WIDE, dark=True)
    visit.open("overview")
    in_order(visit)
    colour = visit.page.evaluate(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
    )
    assert max(map(int, re.findall(r"\d+", colour)[:3])) < 80


def test_an_edge_case_is_accepted_by_a_key_and_taken_back_by_another(chrome, served, shown):
    visit = Visit.begin(chrome, served)
    visit.open("edge_cases")
    name = visit.page.get_by_label("Your name, kept with each decision")
    name.fill("Ada")
    name.press("Enter")
    visit.done()
    text = visit.page.locator(".sm-note.plain").first.inner_text()
    visit.page.locator("h1").first.click()  # a key that is pressed in a field writes there
    visit.page.keyboard.press("a")
    visit.page.wait_for_function("text => document.querySelector('.sm-note.plain').innerText !== text", arg=text)
    visit.done()
    with RunStore.open(Project.read(shown).store_url) as store:
        (newest, *_) = store.reviews.history()
        assert (newest.by, newest.verdict, newest.withdrawn_at) == ("Ada", "accepted", None)
        visit.page.keyboard.press("u")
        visit.page.wait_for_function("text => document.querySelector('.sm-note.plain').innerText === text", arg=text)
        assert store.reviews.history()[0].withdrawn_by == "Ada"
    in_order(visit)


def test_a_prompt_that_is_typed_is_asked_of_every_model(chrome, served):
    visit = Visit.begin(chrome, served)
    visit.open("word_scores")
    field = visit.page.get_by_label("Or type your own")
    field.fill(PROMPT)
    field.press("Enter")
    visit.page.locator(".sm-text", has_text=PROMPT).first.wait_for()
    visit.done()
    in_order(visit)


def test_a_cell_of_the_heat_map_opens_its_rule(chrome, served):
    visit = Visit.begin(chrome, served)
    visit.open("data_quality", "kind=reviews")
    chart = visit.page.locator(".vega-embed").first
    box = chart.bounding_box()
    before = visit.page.get_by_label("Rule", exact=True).input_value()
    chart.click(position={"x": box["width"] - 40, "y": box["height"] * 0.62})
    visit.page.wait_for_function(
        "before => [...document.querySelectorAll('input')].some(i => i.getAttribute('aria-label')?.includes('Rule')"
        " && i.value !== before)",
        arg=before,
    )
    in_order(visit)


def test_evidentlys_report_stands_in_the_page_and_cannot_reach_it(chrome, served):
    visit = Visit.begin(chrome, served)
    visit.open("drift")
    visit.page.get_by_text("Show it here").click()
    frame = visit.page.frame_locator("iframe").first
    frame.locator("body").wait_for()
    visit.done()
    assert visit.page.locator("iframe").first.get_attribute("src").startswith("data:text/html")
    assert visit.page.get_by_test_id("stException").count() == 0


def test_a_chart_can_be_downloaded_as_a_picture(chrome, served):
    visit = Visit.begin(chrome, served)
    visit.open("drift")
    visit.page.locator(".vega-embed").first.hover()
    with visit.page.expect_download() as download:
        visit.page.get_by_label("Download as PNG").first.click()
    assert download.value.suggested_filename.endswith(".png")


@pytest.fixture(scope="module")
def hostile_shop(tmp_path_factory):
    return once(tmp_path_factory, "hostile", hostile) / FOLDER


@pytest.mark.parametrize(
    "size", [pytest.param(WIDE, id="laptop"), pytest.param(NARROW, id="telephone", marks=pytest.mark.exhaustive)]
)
def test_text_from_data_is_neither_run_nor_fetched_nor_followed(chrome, hostile_shop, size):
    with dashboard(hostile_shop) as url:
        visit = Visit.begin(chrome, url, size)
        for path in PAGES:
            visit.open(path)
            in_order(visit)
            main = visit.page.get_by_test_id("stMain")
            assert main.locator("script, img[src*=x], [onclick], [onerror]").count() == 0
            assert main.locator('a[href^="javascript"], a[href*="evil"], a[href*="ev1l"]').count() == 0
            assert MARKER in visit.text() or MARKER in visit.page.content()  # it stands there, as what somebody wrote
        assert visit.dialogs == []
