"""What changed since the reference, window of time by window of time?"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards import charts, inert_text
from dashboards.shop import Shop
from monitor.results import DriftStatus, WindowColumn
from shopmon.kept_windows import KeptWindow, KeptWindows, windows

MOST_WINDOWS = 26
"""Windows shown, the latest ones: half a year of weeks."""
_TIPS = {"said": "what changed", "times": "effect ÷ floor", "rows": "rows in the window"}


def window_trend(shop: Shop, kind: str) -> None:
    """Columns × windows of a kind; nothing where none is kept."""
    for one in windows(kind=kind, project=shop.project):
        _of_length(one)


def _of_length(one: KeptWindows) -> None:
    st.subheader(f"Windows of {one.length}", anchor=False)
    shown = one.windows[-MOST_WINDOWS:]
    rows = [row for window in shown for row in _cells(window)]
    if rows:
        ranked = sorted(rows, key=lambda row: (row["state"] != "drifted", row["row"]))
        order = list(dict.fromkeys(row["row"] for row in ranked))
        chart = charts.heat_map(
            rows, charts.DRIFT_STATES, row_title="column", order=order, tips=_TIPS,
            batch_title="window, by the date of its rows (UTC)",
        )  # fmt: skip
        st.altair_chart(chart, alt="Columns by windows of time")
    left = [window.drift for window in shown if window.drift.status is DriftStatus.NOT_EXAMINED]
    if left:
        inert_text.note("plain", f"{left[-1].start}: {left[-1].reason}.", f"{len(left):,} such windows are left out.")
    st.caption("Each row is in the window of its date, whichever file and day brought it.")


def _cells(window: KeptWindow) -> list[dict[str, Any]]:
    """Each column of a window once: a text is compared in several ways, and the one that drifted most stands for it."""
    ranked = sorted(window.drift.columns, key=lambda column: (not column.drifted, -(column.times_floor or 0.0)))
    worst: dict[str, WindowColumn] = {}
    for column in ranked:
        worst.setdefault(column.column, column)
    return [
        {"row": name, "batch": window.drift.start, "state": _state(column), "said": column.said[:160],
         "times": "–" if column.times_floor is None else f"{column.times_floor:.1f}", "rows": f"{window.drift.rows:,}"}
        for name, column in worst.items()
    ]  # fmt: skip


def _state(column: WindowColumn) -> str:
    return "drifted" if column.drifted else "stable" if column.floor is not None else "not tested"
