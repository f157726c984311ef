"""Which pages are there? Started by `shopmon dashboard`, or by `streamlit run dashboards/app.py`; never imported."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st

from dashboards import inert_text
from dashboards.shop import open_shop
from expectations.errors import ShopmonError
from shopmon.telemetry import switch_off

HERE = Path(__file__).parent
PAGES = (
    ("overview.py", "Overview", ":material/storefront:"),
    ("data_quality.py", "Data quality", ":material/rule:"),
    ("drift.py", "Drift", ":material/trending_up:"),
    ("edge_cases.py", "Edge cases", ":material/fact_check:"),
    ("training.py", "Training", ":material/model_training:"),
    ("word_scores.py", "Word scores", ":material/format_quote:"),
    ("runs.py", "Runs", ":material/history:"),
)
"""File, title and icon of each page; the first one is shown first."""


def app() -> None:
    """Show the page that a person chose, beside the list of all."""
    switch_off()
    st.set_page_config(page_title="shopmon", page_icon=str(HERE / "icon.svg"), layout="wide")
    pages = [
        st.Page(HERE / file, title=title, icon=icon, default=not at) for at, (file, title, icon) in enumerate(PAGES)
    ]
    chosen = st.navigation(pages, expanded=True)
    with st.sidebar:
        inert_text.style()
        with suppress(ShopmonError):  # the page says what is wrong, and what to do
            inert_text.text(f"Project {open_shop().name}", faint=True)
    chosen.run()


if __name__ == "__main__":
    app()
