"""Which checks and trainings were there, and how do two of them differ?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboards import inert_text, reading
from dashboards.frame import download, nothing_yet, page, told
from dashboards.shop import Shop
from monitor.history import RunLine, differences

PAGE_ROWS = 50
_MARKS = {"passed": "✓ passed", "failed": "✗ failed", "error": "! could not run"}
_LARGE = 400_000
"""Characters of a document beyond which it is shown by its parts: a browser folds that much JSON slowly."""


def body(shop: Shop) -> None:
    """The list, one run's document, and two side by side."""
    filters, first = filtered(shop)
    found, total = reading.lines(shop, first, PAGE_ROWS, **filters)
    if not found:
        if any(filters.values()):
            inert_text.note("plain", "No run matches.")
        else:
            nothing_yet(shop, "No run was recorded here yet.", ["check data/new.parquet", "retrain"])
        return
    picked = listed(shop, found, first, total)
    if len(picked) == 2:
        with told():
            compared(shop, picked)
    else:
        with told():
            opened(shop, picked[0] if picked else found[0])


def filtered(shop: Shop) -> tuple[dict[str, str | None], int]:
    """What a person wants to see, and the number of the first run of the page."""
    left, middle, right, last = st.columns([1, 1, 2, 1])
    command = left.selectbox("Command", [None, "check", "retrain"], format_func=_or_all, key="command")
    status = middle.selectbox("Ended", [None, *_MARKS], format_func=_ended, key="status")
    contains = right.text_input("Search", placeholder="a file's name, or a run's id", key="run_search") or None
    filters = {"command": command, "status": status, "contains": contains}
    _, total = reading.lines(shop, 0, 1, **filters)
    pages = max(-(-total // PAGE_ROWS), 1)
    number = last.number_input(f"Page, of {pages:,}", 1, pages, 1, key="run_page", disabled=pages == 1)
    return filters, (min(int(number), pages) - 1) * PAGE_ROWS


def _or_all(name: str | None) -> str:
    return name or "all"


def _ended(status: str | None) -> str:
    return _MARKS[status] if status else "all"


def listed(shop: Shop, found: Sequence[RunLine], first: int, total: int) -> list[RunLine]:
    """The runs as a table; those that were ticked."""
    event = st.dataframe(
        [
            {
                "ended": _MARKS.get(line.status, line.status),
                "command": line.command if line.task is None else f"{line.command} {line.task}",
                "what": shop.near(line.name),
                "kind": line.kind or "",
                "rows": line.rows,
                "in quarantine": line.quarantined,
                "began (UTC)": line.started_at.replace(tzinfo=None),
                "seconds": round(line.seconds, 1),
                "run": line.run_id,
            }
            for line in found
        ],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"runs_{first}_{found[0].run_id}",
        alt="Runs",
        column_config={
            "began (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss"),
            "rows": st.column_config.NumberColumn(format="localized"),
        },
    )
    st.caption(f"Runs {first + 1:,} to {first + len(found):,} of {total:,}. Tick one to open it, two to compare them.")
    return [found[number] for number in event["selection"]["rows"] if number < len(found)][:2]


def opened(shop: Shop, line: RunLine) -> None:
    """One run: what went in, and its whole document."""
    st.subheader("One run", anchor=False)
    found = reading.run(shop, line.run_id)
    inert_text.show(
        f"<b>{_MARKS.get(found.status, inert_text.escaped(found.status))}</b> · "
        f"{inert_text.escaped(found.run_id)} · {inert_text.escaped(found.command)}"
    )
    facts = [(inert_text.escaped(shop.near(one.name)), f"{one.rows:,}", inert_text.escaped((one.sha256 or "–")[:16]))
             for one in found.inputs]  # fmt: skip
    if facts:
        inert_text.table(["what went in", "rows", "SHA-256 begins"], facts, numbers=[1])
    error = reading.document_of(found).get("error")
    if isinstance(error, Mapping):
        inert_text.note("bad", error.get("problem"), error.get("advice") or "")
    if found.folder:
        st.caption("Its folder:")
        st.code(found.folder, language=None)
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    inert_text.text(versions, faint=True)
    document(found.document, found.run_id)


def document(found: Mapping[str, Any], run_id: str) -> None:
    """A document to unfold and to download; a very long one is shown part by part."""
    whole = json.dumps(found, ensure_ascii=False, indent=2)
    with st.expander("The whole result, as JSON"):
        shown: Any = found
        if len(whole) > _LARGE:
            part = st.selectbox("Part", list(found), key=f"part_{run_id}")
            shown = found[part] if part else {}
        st.json(shown, expanded=1)
    download("Download the JSON", whole, f"{run_id}.json", "application/json")


def compared(shop: Shop, picked: Sequence[RunLine]) -> None:
    """What two runs say differently; the older one on the left."""
    older, newer = sorted(picked, key=lambda line: line.started_at)
    st.subheader("Two runs side by side", anchor=False)
    one, other = (reading.run(shop, line.run_id).document for line in (older, newer))
    found = differences(one, other)
    if not found:
        inert_text.note("good", "Apart from ids, times and paths, both say the same.")
        return
    inert_text.table(
        [
            "what",
            f"{older.run_id} ({older.started_at:%m-%d %H:%M})",
            f"{newer.run_id} ({newer.started_at:%m-%d %H:%M})",
        ],
        [
            (inert_text.escaped(d.path), inert_text.escaped(_short(d.one)), inert_text.escaped(_short(d.other)))
            for d in found
        ],
    )


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)[:300]


if __name__ == "__main__":
    page("Runs", "Which checks and trainings were there, and how do two of them differ?", body)
