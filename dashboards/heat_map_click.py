"""Which cell of a heat map was clicked on?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st


def clicked(event: Any, key: str) -> Mapping[str, str] | None:
    """The cell of a chart's selection, once: a choice that is made in a list later must not be undone by it."""
    selection = event.get("selection") if isinstance(event, Mapping) else getattr(event, "selection", None)
    cells = (selection or {}).get("cell") or []
    cell = {str(name): str(value) for name, value in cells[0].items()} if cells else None
    if cell == st.session_state.get(f"{key}_seen"):
        return None
    st.session_state[f"{key}_seen"] = cell
    return cell
