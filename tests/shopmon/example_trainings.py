"""Trainings as the recipe gives them, with the worst that data and models can say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from retrain.results import (
    BaseUsed,
    Contrast,
    DataUsed,
    FillIn,
    Gate,
    GateCheck,
    MassMeasure,
    Measures,
    Role,
    TextMeasure,
    TextSet,
    TrainingResult,
)

MODEL_ID = "20261120-195801-a3f9c1"
BEFORE = "20261101-080000-0b1c2d"
FOLDER = Path("/shop/.shopmon/models/mlm") / MODEL_ID
PROMPT = "Nike shoes are very [MASK]"
EVIL = "[bold red]<b>\x1b[31m\n\u202egnola 👩‍👩‍👧‍👦 Ünderärmöür " * 5


def text(perplexity: float) -> TextMeasure:
    from math import log

    return TextMeasure(loss=log(perplexity), perplexity=perplexity, rows=2_048, tokens=31_004)


def measures(wanted: float, unwanted: float, general: float, words: str) -> Measures:
    """One model's numbers; its likeliest word is the first of `words`."""
    said = tuple(FillIn(word, 0.25 / (n + 1)) for n, word in enumerate(words.split()))
    return Measures(
        texts={TextSet.PROJECT: text(31.4), TextSet.RETRAINING: text(18.25), TextSet.GENERAL: text(general)},
        masses={
            Contrast.GATE: MassMeasure(wanted, unwanted, 3),
            Contrast.OTHER_BRANDS: MassMeasure(0.2, 0.31, 6),
            Contrast.COMPLAINTS: MassMeasure(0.02, 0.106, 3),
        },
        fill_ins={"these Nike shoes look [MASK]": said[:3], PROMPT: said},
    )


BASE = measures(0.2551, 0.3042, 252.94, "popular durable expensive comfortable fashionable attractive ugly 漢字漢字 ok")
CANDIDATE = measures(0.5364, 0.0171, 265.7, "comfortable durable stylish light warm soft fine good great expensive")
CHECKS = (
    GateCheck("unwanted_mass", "unwanted words on the gate's prompts", 0.0171, 0.02, True, None),
    GateCheck("wanted_mass", "wanted words on the gate's prompts", 0.5364, 0.2551, False, Role.BASE),
    GateCheck("other_brands_change", "unwanted words for other brands, change", 0.04, 0.2, True, Role.BASE),
    GateCheck("general_perplexity", "perplexity on general text", 265.7, 278.23, True, Role.BASE),
    GateCheck("champion_gain", "most gained over the champion in any of its aims", 0.03, 0.001, False, Role.CHAMPION),
)


def passing(**changes: Any) -> TrainingResult:
    """A model that became champion in the place of another."""
    said = {
        "model_id": MODEL_ID,
        "task": "mlm",
        "base": BaseUsed("distilbert-base-uncased", "3f2a" * 16, "/cache/base"),
        "champion_before": BEFORE,
        "promoted": True,
        "gate": Gate(CHECKS),
        "measures": {Role.BASE: BASE, Role.CANDIDATE: CANDIDATE, Role.CHAMPION: measures(0.5, 0.05, 280.0, "nice")},
        "data": DataUsed(
            rows={"positive": 812, "negative": 304, "counterfactual": 120},
            held_out={"positive": 90, "negative": 31},
            general=2_000,
            general_source="Python 3.11.7's documentation strings",
            set_aside=3,
            sha256="ab" * 32,
            parts=("000001-20261119-101010-abcdef.parquet",),
        ),
        "steps": 76,
        "best_step": 70,
        "stopped_early": True,
        "resumed_from": 40,
        "seconds": 252.3,
        "tokens": 1_204_331,
        "weights_sha256": "cd" * 32,
        "settings": {
            "base": "distilbert-base-uncased",
            "words": {"wanted": ["comfortable", "durable", "stylish"], "unwanted": ["expensive", "ugly"]},
            "training": {"held_out": 0.1, "seed": 1},
        },
        "versions": {"shopmon": "0.1.0", "torch": "2.13.0"},
        "folder": FOLDER,
        "notes": ("the champion has another vocabulary",),
    }
    return TrainingResult(**{**said, **changes})


def failing(**changes: Any) -> TrainingResult:
    """A model that was kept back: one number is too high, another could not be measured."""
    checks = (
        replace(CHECKS[0], value=0.0912),
        *CHECKS[1:4],
        GateCheck("complaints_change", "unwanted words in complaints, change", None, 0.2, True, Role.BASE,
                  "there are no prompts for complaints"),
    )  # fmt: skip
    said = {"promoted": False, "gate": Gate(checks), "measures": {Role.BASE: BASE, Role.CANDIDATE: CANDIDATE}}
    return passing(**{**said, "champion_before": None, "resumed_from": None, **changes})


def hostile() -> TrainingResult:
    """Names and words that try to take the terminal over, or to burst the table."""
    said = (FillIn(EVIL, 0.5), FillIn("漢" * 60, 0.25), FillIn("👩‍👩‍👧‍👦" * 20, 1e-9), FillIn("", 0.0))
    one = replace(CANDIDATE, fill_ins={f"{EVIL} [MASK]": said})
    return failing(
        model_id=MODEL_ID,
        base=BaseUsed(EVIL, "3f2a" * 16, EVIL),
        measures=dict.fromkeys((Role.BASE, Role.CHAMPION, Role.CANDIDATE), one),
        gate=Gate((GateCheck(EVIL, EVIL, None, 1e300, True, Role.CHAMPION, EVIL),
                   GateCheck("x", EVIL, 1e-300, -5e20, False, None))),
        data=DataUsed(rows={EVIL: 10**12}, general=10**9, general_source=EVIL),
        settings={"words": {"unwanted": [EVIL]}},
        notes=(EVIL,) * 9,
        folder=Path("/shop") / EVIL.replace("/", "") / MODEL_ID,
        device=EVIL,
        steps=10**9,
        seconds=3e6,
    )  # fmt: skip
