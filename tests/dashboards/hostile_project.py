"""A shop whose data, settings and records hold whatever could be taken for Markdown, HTML or a formula."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.runs import Input, Run, RunStore
from shopmon import check, retrain, set_reference
from shopmon.project import Project

from ..shopmon.example_shop import WILLING
from .example_projects import save_base, unfinished_training

MARKER = "ev1l"
"""Stands in every hostile text."""
SCRIPT = "<script>alert('ev1l')</script>"
LINK, PICTURE = "[ev1l](javascript:alert(1))", "![ev1l](http://ev1l.example/x.png)"
EVIL = (
    SCRIPT,
    LINK,
    PICTURE,
    "<img src=x onerror=alert('ev1l')>",
    ":red[ev1l] :material/delete: :rocket:",
    "$ev1l^2$ and `ev1l` and $$x$$",
    "# ev1l is a heading",
    "\u202eev1l desrever \u2066x",
    "👩‍👩‍👧‍👦 ev1l 🏳️‍🌈",
    "Donau" + "dampfschiff" * 27 + "ev1l",
    "עברית ev1l العربية",
    "before \x00 ev1l \x07 \x1b[31m after",
    "**ev1l** _x_ ~y~ <https://ev1l.example> https://ev1l.example/ | a | b |",
    "&lt;b&gt;ev1l&amp;#60; </div></span><!-- ev1l",
)
NAME = "ev1l [x](javascript:alert(1)) <b onclick=alert(1)> :red[n] $x$"
"""Of a column, a brand, a person: one line without NUL."""
RULE = "ev1l-<b>-:red[rule]-![i](http:x)"
FOLDER = "ev1l :red[shop] $x$ <b>"
FILE = "ev1l [x](javascript:alert(1)) <img src=x> :red[f].parquet"
_ROWS = 320
_WORDS = ["<script>ev1l", "[ev1l](x)", ":red[ev1l]", "$ev1l$", "#ev1l", "\u202eev1l"]


def hostile(folder: Path) -> Path:
    """Make it: two checks with reference and drift, edge cases, a model, two trainings in progress, strange records."""
    shop = folder / FOLDER
    shop.mkdir(parents=True)
    base = shop / "ev1l base :red[b] <i>"
    save_base(base, ["warm", "ugly", "soft", "heavy", *_WORDS], longest=256)
    general = "the house of the river is on a hill and the water was in it"
    (shop / "general ev1l.txt").write_text("\n\n".join(f"{general} {n}." for n in range(200)), encoding="utf-8")
    (shop / "shopmon.toml").write_text(_settings(base.name), encoding="utf-8")
    (shop / "suite.yaml").write_text(SUITE, encoding="utf-8")
    pq.write_table(_reviews(before=True), shop / f"reference {FILE}")
    pq.write_table(_reviews(before=False), shop / FILE)
    set_reference(shop / f"reference {FILE}", project=shop)
    for name in (f"reference {FILE}", FILE):
        check(shop / name, project=shop)
    retrain(project=shop)
    project = Project.read(shop)
    for record in project.models.glob("mlm/*/training.json"):
        _poison_record(record)
    (project.models / "mlm" / NAME).mkdir()  # a folder that is no model
    going = unfinished_training(shop)
    stopped = going.with_name(NAME)
    stopped.mkdir()
    (stopped / "plan.json").write_text(json.dumps({"model_id": NAME}), encoding="utf-8")
    _poison_store(project)
    return shop


def _settings(base: str) -> str:
    def quoted(text: str) -> str:
        return json.dumps(text)

    return f"""
[check]
suite = "suite.yaml"

[drift]
segments = ["brand"]

[edge_cases.words]
brands = [{quoted(NAME)}]
other_brands = [{quoted(LINK)}]
products = ["shoes"]
wanted = ["warm", "soft"]
unwanted = ["ugly", "heavy"]

[edge_cases.rules.{quoted(RULE)}]
when = 'stars >= 3'
role = "positive"

[edge_cases.rules.{quoted(PICTURE)}]
when = 'stars < 3'
role = "negative"

[retrain]
base = {quoted(base)}
general_text = "general ev1l.txt"
batch_size = 16
steps = 2
evaluate_every = 1
max_length = 48
bf16 = false

[retrain.prompts]
gate = [{quoted(SCRIPT + " {brand} is [MASK].")}, {quoted(":red[ev1l] {brand} is really [MASK].")}]
gate_complaints = [{quoted("# ev1l ![i](http://x) {brand} is [MASK].")}]
training = ["my {{brand}} is [MASK]."]
training_complaints = ["refund my {{brand}} [MASK]."]

[retrain.gate]
{WILLING}"""


SUITE = """
name: ev1l-suite
kind: reviews
expectations:
  - type: expect_column_values_to_not_match_regex
    kwargs: {column: text, regex: 'onerror'}
    severity: critical
    meta: {id: no-markup, says: "# ev1l <b>says</b> ![i](http://x)"}
  - type: expect_column_values_to_be_in_set
    kwargs: {column: brand, value_set: ["ev1l <b>", "$x$"]}
    severity: info
    meta: {id: brand-known, says: ":red[ev1l]"}
  - type: expect_column_values_to_be_between
    kwargs: {column: stars, min_value: 1, max_value: 4}
    severity: info
    meta: {id: stars, says: "ev1l stars"}
"""


def _reviews(*, before: bool) -> pa.Table:
    """Reviews with hostile values in every column; the later ones have other brands, words and numbers."""
    count = range(_ROWS)
    shift = 0 if before else 7
    texts = [f"{EVIL[(n + (n % 3) * shift) % len(EVIL)]} my shoes {n} {'ugly' if n % 4 else 'warm'}" for n in count]
    return pa.table(
        {
            "text": [text if before or n % 3 else f"{text} {' '.join(EVIL[:4])}" for n, text in enumerate(texts)],
            "title": [EVIL[n % 13] for n in count],
            "product": [(EVIL[n % len(EVIL)] * 20)[:200] for n in count],
            "brand": [(NAME, LINK, "Plain")[(n * n) % 3 if before else min(n % 7, 1)] for n in count],
            "stars": [1 + n % 5 if before else 1 + n % 3 for n in count],
            NAME: [float(n % 50 + (0 if before else 40)) for n in count],
            f"{PICTURE} c": [EVIL[n % 3 if before else 3 + n % 9] for n in count],
        }
    )


def _poison_record(record: Path) -> None:
    """What a training says, in other words: its notes, its base, its gate, where its text came from."""
    told = json.loads(record.read_text(encoding="utf-8"))
    told["base"]["name"] = f"{NAME}/{PICTURE}"
    told["notes"] = list(EVIL)
    told["device"] = SCRIPT
    told["data"]["general_source"] = LINK
    told["data"]["rows"][SCRIPT] = 3
    told["data"]["held_out"][PICTURE] = 3
    for asked in told["gate"]["checks"]:
        asked["says"] = PICTURE
    told["gate"]["checks"][0] |= {"value": None, "reason": SCRIPT, "passed": False}
    told["gate"]["passed"] = False
    record.write_text(json.dumps(told), encoding="ascii")


def _poison_store(project: Project) -> None:
    """Runs as another program might have written them into the same database."""
    with RunStore.open(project.store_url) as store:
        last = store.get(store.list(limit=1)[0].run_id)
        for number, kind in enumerate(("reviews", "products")):
            document: dict[str, Any] = {
                "schema_version": 1,
                "status": "error",
                "error": {"problem": SCRIPT, "advice": PICTURE},
                "expectations": [],
                **{text.replace("\x00", ""): [text.replace("\x00", ""), {"ev1l <b>": LINK}] for text in EVIL},
            }
            store.add(
                Run(
                    run_id=f"{NAME}-{number}",
                    command="check",
                    status="error",
                    kind=kind,
                    started_at=datetime.now(UTC),
                    seconds=1.0,
                    rows=3,
                    quarantined=0,
                    inputs=(Input(name=f"{PICTURE} {SCRIPT}", sha256=None, rows=3, bytes=None),),
                    versions={SCRIPT: LINK, **last.versions},
                    folder=f"/tmp/{NAME}",
                    document=document,
                )
            )
