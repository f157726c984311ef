"""Which rows should a model learn from, and do people agree?"""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from dashboards import charts, inert_text, reading
from dashboards.frame import nothing_yet, page, told
from dashboards.reading import Gathered
from dashboards.shop import Shop, recorded
from expectations.errors import ShopmonError
from monitor.edge_case_rules import Role
from monitor.gathered_rows import GatheredRow, Tallies, Wanted
from monitor.reviews import Decided, Decision, Verdict

PAGE_ROWS = 50
"""Rows in the list at once."""
_LATEST = 20
"""Decisions that are listed."""
UNDECIDED = "undecided"
_EVERY = "all"
_VERDICTS = (UNDECIDED, *(verdict.value for verdict in Verdict), _EVERY)
_KINDS = {"accepted": "good", "rejected": "bad", "relabelled": "warn"}


@dataclass(frozen=True)
class Filter:
    """Which rows a person wants to see."""

    wanted: Wanted
    verdict: str | None
    """undecided, accepted, rejected or relabelled; None for all."""


def body(shop: Shop) -> None:
    """What was gathered, one row at a time to decide about, and the list."""
    gathered = reading.gathered(shop)
    all_rows = gathered.tallies(Wanted())
    if not all_rows.total:
        nothing_yet(
            shop,
            "No row was gathered yet. Name brands and words in shopmon.toml, [edge_cases.words], then check a batch:",
            ["check data/new.parquet", "signals"],
            then="shopmon signals lists what a rule of your own may ask.",
        )
        return
    figures(shop, all_rows)
    chosen = filters(all_rows)
    tallies = gathered.tallies(chosen.wanted)
    total = _total(tallies, chosen.verdict)
    if not total:
        inert_text.note("good" if chosen.verdict == UNDECIDED else "plain", "No row matches; nothing waits here.")
        with told():
            undoing(shop)
    else:
        review(shop, gathered, chosen, total)
    by_reason(shop, tallies)
    with told():
        latest(shop)


def figures(shop: Shop, tallies: Tallies) -> None:
    """How many rows there are, and what became of them."""
    four = st.columns(4)
    four[0].metric("Rows gathered", f"{tallies.total:,}")
    four[1].metric("Wait for a decision", f"{reading.undecided(tallies):,}")
    four[2].metric("Accepted, relabelled", f"{_count(tallies, 'accepted') + _count(tallies, 'relabelled'):,}")
    four[3].metric("Rejected", f"{_count(tallies, 'rejected'):,}")


def by_reason(shop: Shop, tallies: Tallies) -> None:
    """How many rows each rule chose, and what a decision changes."""
    st.subheader("How many rows each rule chose", anchor=False)
    rows = sorted(tallies.by_reason.items(), key=lambda pair: -pair[1])
    chart = charts.bars([{"label": reason, "value": count} for reason, count in rows], "rows")
    st.altair_chart(chart, alt="Rows by reason")
    only = shop.project.settings.retrain.only_accepted
    st.caption(
        "A retraining leaves rejected rows out, and uses relabelled ones in their new role. "
        + ("It learns from accepted rows only." if only else "Rows that nobody decided about are learnt from as well.")
    )


def latest(shop: Shop) -> None:
    """The newest decisions of everybody."""
    found = shop.store.reviews.history(limit=_LATEST) if shop.store else ()
    if not found:
        return
    with st.expander(f"The latest decisions ({len(found)})"):
        rows = [(inert_text.escaped(decision_said(one)), inert_text.escaped(one.text_hash[:12])) for one in found]
        inert_text.table(["decided", "text (SHA-256 begins)"], rows)


def _count(tallies: Tallies, verdict: str) -> int:
    return tallies.by_verdict.get(verdict, 0)


def _total(tallies: Tallies, verdict: str | None) -> int:
    if verdict is None:
        return tallies.total
    return reading.undecided(tallies) if verdict == UNDECIDED else _count(tallies, verdict)


def filters(tallies: Tallies) -> Filter:
    """What a person wants to see; a new choice begins at the first row again."""
    first, second, third, fourth = st.columns([2, 1, 1, 2])
    reasons = sorted(tallies.by_reason, key=lambda name: -tallies.by_reason[name])
    reason = first.selectbox("Reason", [None, *reasons], format_func=_or_all, key="reason", on_change=_begin)
    role = second.selectbox("Role", [None, *tallies.by_role], format_func=_or_all, key="role", on_change=_begin)
    kind = third.selectbox("Kind", [None, *tallies.by_kind], format_func=_or_all, key="row_kind", on_change=_begin)
    contains = fourth.text_input("Search in the texts", key="search", placeholder="any text", on_change=_begin)
    verdict = st.segmented_control(
        "Decided", _VERDICTS, default=UNDECIDED, required=True, key="verdict", on_change=_begin
    )
    wanted = Wanted(kind=kind, reason=reason, role=role, contains=contains or None)
    return Filter(wanted, None if verdict == _EVERY else verdict or UNDECIDED)


def _or_all(name: str | None) -> str:
    return name or "all"


def _begin() -> None:
    st.session_state["at"] = 0


# --- one row at a time ------------------------------------------------------------------------------------------------


def review(shop: Shop, gathered: Gathered, chosen: Filter, total: int) -> None:
    """The row that is to be decided about, the buttons, and the list around it."""
    at = min(max(st.session_state.get("at", 0), 0), total - 1)
    st.session_state["at"] = at
    begin = at // PAGE_ROWS * PAGE_ROWS
    rows = gathered.find(chosen.wanted, chosen.verdict, begin, PAGE_ROWS).rows
    row = rows[min(at - begin, len(rows) - 1)]
    st.subheader(f"Row {at + 1:,} of {total:,}", anchor=False)
    who = reviewer()
    with told():  # above the row: they stay where they are, however long a text is
        buttons(shop, row, who, chosen, total)
    left, right = st.columns([3, 2])
    with left:
        shown(row)
        with told():
            decided_before(shop, row)
    with right, told():
        known(shop, row)
    with told():
        relabel(shop, row, who, chosen)
    with told():
        listed(shop, rows, who, begin)


def shown(row: GatheredRow) -> None:
    """The text, why it was chosen, and what was decided about it."""
    inert_text.show(
        f'<div class="sm-note plain" style="font-size:1.1rem">{inert_text.escaped(row.text, longest=6_000)}</div>'
    )
    inert_text.show(inert_text.chips(row.reasons) + inert_text.chips([f"role: {row.role}"]))


def decided_before(shop: Shop, row: GatheredRow) -> None:
    """What people decided about the row, the newest first, with who and when; what was taken back stands there, too."""
    if shop.store is None:
        return
    for one in shop.store.reviews.history(kind=row.kind, text_hash=row.text_hash, limit=5):
        kind = "plain" if one.withdrawn_at else _KINDS[one.verdict.value]
        inert_text.note(kind, decision_said(one))


def decision_said(one: Decided) -> str:
    """A decision in a line."""
    details = ", ".join(part for part in (one.role, one.label) if part)
    said = f"{one.verdict.value}{f' as {details}' if details else ''} by {one.by}, {one.at:%Y-%m-%d %H:%M} UTC"
    if one.withdrawn_at is None:
        return said
    return f"{said}; taken back by {one.withdrawn_by}, {one.withdrawn_at:%Y-%m-%d %H:%M} UTC"


def known(shop: Shop, row: GatheredRow) -> None:
    """Where the row comes from, and what the signals said of it."""
    facts = {
        "from": f"{shop.near(row.file)}, row {row.row:,}",
        "gathered": f"{row.added_at:%Y-%m-%d %H:%M} UTC",
        "id": row.id,
        "label": row.label,
    }
    facts |= _signals(shop, row)
    cells = [(inert_text.escaped(name), inert_text.escaped(value)) for name, value in facts.items() if value]
    inert_text.table(["what is known", ""], cells)


def _signals(shop: Shop, row: GatheredRow) -> Mapping[str, str]:
    chosen = shop.project.runs / row.run_id / "edge_cases.parquet"
    return reading.signals(chosen, row.text_hash) if chosen.exists() else {}


def reviewer() -> str:
    """Who decides: the name that stands beside every decision."""
    with st.sidebar:
        return st.text_input("Your name, kept with each decision", value=_login(), key="reviewer", max_chars=80)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user, as in some containers
        return ""


def buttons(shop: Shop, row: GatheredRow, who: str, chosen: Filter, total: int) -> None:
    """Accept, reject, move on, go back, undo: each with a key of its own."""
    accept, reject, before, after, undo = st.columns(5)
    if accept.button("Accept", shortcut="A", type="primary", width="stretch", key="accept"):
        decide(shop, [_decision(row, Verdict.ACCEPTED)], who, chosen)
    if reject.button("Reject", shortcut="X", width="stretch", key="reject"):
        decide(shop, [_decision(row, Verdict.REJECTED)], who, chosen)
    if before.button("Back", shortcut="K", width="stretch", key="back", disabled=st.session_state["at"] == 0):
        _move(-1)
    if after.button("Next", shortcut="J", width="stretch", key="next", disabled=st.session_state["at"] + 1 >= total):
        _move(1)
    with undo:
        undoing(shop, who)


def _move(by: int) -> None:
    st.session_state["at"] += by
    st.rerun()


def _decision(row: GatheredRow, verdict: Verdict, role: str | None = None, label: str | None = None) -> Decision:
    return Decision(kind=row.kind, text_hash=row.text_hash, verdict=verdict, role=role, label=label)


def decide(shop: Shop, decisions: Sequence[Decision], who: str, chosen: Filter | None = None) -> None:
    """Keep decisions, and go on with the next row; where decided rows are left out, it takes this one's place."""
    recorded(shop).reviews.decide(decisions, by=who)
    verdict = decisions[0].verdict.value
    st.toast(f"{len(decisions):,} {verdict}" if len(decisions) > 1 else verdict.capitalize())
    if chosen is not None and chosen.verdict not in (UNDECIDED, *({v.value for v in Verdict} - {verdict})):
        st.session_state["at"] += 1
    st.rerun()


def undoing(shop: Shop, who: str | None = None) -> None:
    """Take back what this person decided last."""
    by = who if who is not None else reviewer()
    if st.button("Undo", shortcut="U", width="stretch", key="undo"):
        taken_back = recorded(shop).reviews.undo(by=by)
        if not taken_back:
            raise ShopmonError(f"there is no decision of {by!r} to take back", advice="Each takes back their own.")
        st.toast(f"Taken back: {len(taken_back):,} decision{'' if len(taken_back) == 1 else 's'}")
        st.rerun()


def relabel(shop: Shop, row: GatheredRow, who: str, chosen: Filter) -> None:
    """Give the row another role, which the next retraining uses, or a label of its own."""
    with st.expander("Relabel: another role, or a label"), st.form("relabel", border=False):
        role_of, label_of = st.columns(2)
        roles = [role.value for role in Role]
        current = row.decided_role or row.role
        role = role_of.selectbox("Role", roles, index=roles.index(current) if current in roles else 0)
        label = label_of.text_input("Label", value=row.decided_label or "", placeholder="what is right for this row")
        if st.form_submit_button("Save", width="stretch"):
            changed = role if role != row.role else None
            if changed is None and not label:
                raise ShopmonError("nothing was changed", advice="Choose another role, or write a label.")
            decide(shop, [_decision(row, Verdict.RELABELLED, changed, label or None)], who, chosen)


# --- many at once -----------------------------------------------------------------------------------------------------


def listed(shop: Shop, rows: Sequence[GatheredRow], who: str, begin: int) -> None:
    """The rows around this one; several can be decided about at once."""
    st.subheader("The list", anchor=False)
    event = st.dataframe(
        [
            {
                "decided": row.verdict or "",
                "text": row.text[:500],
                "reasons": ", ".join(row.reasons),
                "role": row.decided_role or row.role,
                "label": row.decided_label or row.label or "",
                "kind": row.kind,
                "from row": row.row,
                "file": shop.near(row.file),
            }
            for row in rows
        ],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"list_{begin}_{rows[0].text_hash[:8]}",
        column_config={"text": st.column_config.TextColumn(width="large")},
        alt="Gathered rows",
    )
    picked = [rows[number] for number in event["selection"]["rows"] if number < len(rows)]
    if not picked:
        st.caption(f"Rows {begin + 1:,} to {begin + len(rows):,}. Tick rows to decide about several at once.")
        return
    accept, reject, look = st.columns(3)
    count = f"{len(picked):,} row{'' if len(picked) == 1 else 's'}"
    if accept.button(f"Accept {count}", width="stretch", key="accept_picked"):
        decide(shop, [_decision(row, Verdict.ACCEPTED) for row in picked], who)
    if reject.button(f"Reject {count}", width="stretch", key="reject_picked"):
        decide(shop, [_decision(row, Verdict.REJECTED) for row in picked], who)
    if look.button("Show the first of them above", width="stretch", key="look"):
        st.session_state["at"] = begin + event["selection"]["rows"][0]
        st.rerun()


if __name__ == "__main__":
    page("Edge cases", "Which rows should a model learn from, and do you agree?", body)
