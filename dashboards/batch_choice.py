"""Which batches are looked at?"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboards.shop import Shop
from monitor.history import BatchFigures

MARKS = {"passed": "✓", "failed": "✗", "error": "!"}
MOST = 30
"""Batches side by side: more columns than that nobody tells apart."""


def labels(batches: Sequence[BatchFigures]) -> dict[str, str]:
    """Run → how its batch is called on an axis: when it was checked (UTC), as exactly as tells them apart."""
    for form in ("%m-%d %H:%M", "%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        found = {batch.run_id: f"{batch.started_at:{form}}" for batch in batches}
        if len(set(found.values())) == len(found):
            return found
    return {batch.run_id: f"{batch.started_at:%m-%d %H:%M:%S} {batch.run_id}" for batch in batches}


def chosen_kind(batches: Sequence[BatchFigures]) -> str | None:
    """The kind of these that is looked at: the newest's, the address's (`?kind=`), or a person's choice; else None."""
    kinds = list(dict.fromkeys(batch.kind for batch in batches if batch.kind))
    if not kinds:
        return None
    if len(kinds) == 1:
        return kinds[0]
    asked = st.query_params.get("kind")
    first = asked if asked in kinds else kinds[0]
    return st.segmented_control("Kind of data", kinds, default=first, required=True, key="kind") or first


def chosen_batch(shop: Shop, batches: Sequence[BatchFigures], *, key: str) -> BatchFigures:
    """The batch that a person chose, at first the newest."""
    by_id = {batch.run_id: batch for batch in batches}
    if st.session_state.get(key) not in by_id:
        st.session_state[key] = next(iter(by_id))

    def line(run_id: str) -> str:
        batch = by_id[run_id]
        return f"{MARKS.get(batch.status, '')} {batch.started_at:%Y-%m-%d %H:%M}  {shop.near(batch.name)}"

    return by_id[st.selectbox("Batch", list(by_id), format_func=line, key=key)]
