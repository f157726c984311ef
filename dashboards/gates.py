"""How does the gate's table read?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboards import inert_text
from shopmon.training_summary import figure


def gate_table(document: Mapping[str, Any]) -> None:
    """Every check of a training's gate: what was asked, what it came to, and the limit."""
    checks = document["gate"]["checks"]
    rows = [
        (
            '<span title="passed">✓</span>' if check["passed"] else '<span title="not passed"><b>✗</b></span>',
            inert_text.escaped(check["says"]),
            inert_text.escaped(check["reason"] if check["value"] is None else figure(check["value"])),
            inert_text.escaped(_limit(check)),
        )
        for check in checks
    ]
    inert_text.table(("", "what was asked", "candidate", "limit"), rows, numbers=(2, 3))


def _limit(check: Mapping[str, Any]) -> str:
    of = f" ({check['against']})" if check["against"] else ""
    return f"{'≤' if check['at_most'] else '≥'} {figure(check['limit'])}{of}"


def gate_said(document: Mapping[str, Any]) -> str:
    """The gate's verdict in a few words."""
    checks = document["gate"]["checks"]
    passed = sum(bool(check["passed"]) for check in checks)
    verdict = "passed" if document["gate"]["passed"] else "kept back"
    return f"gate {verdict}, {passed} of {len(checks)} checks"
