"""What does a person read who opens a classifier's folder?

As of a masked model (`model_card`): Markdown with the front matter that model hubs read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from expectations.addresses import display_name
from retrain.card_text import cell, code, number, prose, some, table
from retrain.model_card import front_matter, gate_part, settings_part, training_facts, verdict, versions_part
from retrain.results import ClassificationMeasures, HeadMeasure, HeadMethod, Role, TrainingResult

NAMES = {
    Role.TFIDF: "TF-IDF + LR",
    Role.FROZEN: "frozen base + LR",
    Role.BOOSTED: "frozen base + XGBoost",
    Role.CHAMPION: "champion",
    Role.CANDIDATE: "candidate",
}
"""How the models that are compared are called."""
LOADING = """## How to load it

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder)
inputs = tokenizer("query", "product text", truncation=True, return_tensors="pt")
probabilities = model(**inputs).logits.softmax(-1)  # in the order of model.config.id2label
```

The weights are safetensors; no code comes with them, and none is needed."""
_SWAPPED = "esci_official_script"


def classifier_card(result: TrainingResult, *, reads: str = "pairs of texts", loading: str = LOADING) -> str:
    """A classifier's card; `reads` says of what, `loading` how its folder is loaded.

    >>> from retrain.results import BaseUsed
    >>> card = classifier_card(TrainingResult(model_id="1", task="relevance", base=BaseUsed("offline", "3f2a")))
    >>> [line for line in card.splitlines() if line.startswith("pipeline_tag")]
    ['pipeline_tag: text-classification']
    """
    parts = (
        front_matter(result, "text-classification"),
        _head(result, reads),
        gate_part(result),
        _measures(result),
        _heads(result),
        _further(result),
        _classes(result),
        _data(result),
        ["## Training", _objective(result.settings), training_facts(result)],
        settings_part(result),
        versions_part(result),
        [loading],
        [_LIMITS],
    )
    return "\n\n".join(chain.from_iterable(parts)) + "\n"


def _head(result: TrainingResult, reads: str) -> Iterator[str]:
    yield f"# {code(result.model_id)}"
    yield (
        f"A classifier of {reads} (task {code(result.task)}), trained by shopmon from "
        f"{code(display_name(result.base.name))}. {verdict(result)}"
    )
    if result.notes:
        yield "\n".join(f"- {prose(note, code)}" for note in result.notes)


def _found(result: TrainingResult) -> dict[Role, ClassificationMeasures]:
    measured = {role: result.measures[role].classification for role in NAMES if role in result.measures}
    return {role: one for role, one in measured.items() if one is not None}


def _measures(result: TrainingResult) -> Iterator[str]:
    yield "## Measures"
    found = _found(result)
    if not found:
        yield "Nothing was measured."
        return
    held_out = next(iter(found.values())).rows
    yield f"Each model on the same {held_out:,} held-out rows, which no training and no choice saw."
    rows = [[says, *(number(getattr(one, name)) for one in found.values())] for name, says in _FIGURES]
    for by in dict.fromkeys(chain.from_iterable(one.ranking for one in found.values())):
        cells = [number(one.ranking[by].ndcg) if by in one.ranking else "–" for one in found.values()]
        rows.append([f"nDCG, gains {cell(by)}", *cells])
    yield table(["measure", *(NAMES[role] for role in found)], rows)
    yield from _gains(next(iter(found.values())))


_FIGURES = (
    ("loss", "loss (nats per row)"),
    ("accuracy", "accuracy"),
    ("micro_f1", "F1, micro-averaged"),
    ("macro_f1", "F1, mean of the classes"),
    ("calibration_error", "expected calibration error"),
)


def _gains(found: ClassificationMeasures) -> Iterator[str]:
    for name, one in found.ranking.items():
        worth = ", ".join(f"{cell(label)} {number(gain)}" for label, gain in one.gains.items())
        swapped = " (those of the data set's own script, which swaps two of them)" if name == _SWAPPED else ""
        yield (
            f"Gains {cell(name)}{swapped}: {worth}; {one.queries:,} queries with any gain, in {one.decided:,} of which "
            "the order matters."
        )


def _heads(result: TrainingResult) -> Iterator[str]:
    """All heads that were put on the encoder, and by how much the chosen one is better."""
    if not result.heads:
        return
    yield "### Heads on the encoder that was trained"
    yield (
        "The head that answers was chosen on the validation rows; what it is worth is said by the held-out rows, which "
        "had no part in that."
    )
    rows = [
        [
            f"**{head_name(one)}**" if one.chosen else head_name(one),
            *(number(value) for side in (one.validation, one.held_out) for value in (side.error, side.macro_f1)),
            number(one.held_out.loss),
        ]
        for one in result.heads
    ]
    sides = [f"{figure}, {side}" for side in ("validation", "held out") for figure in ("wrong rows (share)", "F1")]
    yield table(["head", *sides, "loss, held out"], rows)
    yield heads_told(result)


METHODS = {
    HeadMethod.LINEAR: "the encoder's own layer",
    HeadMethod.LOGISTIC: "logistic regression",
    HeadMethod.XGBOOST: "XGBoost",
}
"""How the kinds of heads are called."""


def head_name(one: HeadMeasure) -> str:
    """What a head is, and whether it reads columns beside the text.

    >>> from retrain.results import HeadFigures
    >>> figures = HeadFigures(10, 0.1, 0.9, 0.3)
    >>> head_name(HeadMeasure(HeadMethod.XGBOOST, ("price",), True, figures, figures))
    'XGBoost, with columns'
    """
    return METHODS[one.method] + (", with columns" if one.columns else "")


def heads_told(result: TrainingResult) -> str:
    """By how much the chosen head is better or worse than the next best on held-out rows; empty without a choice."""
    chosen = next((one for one in result.heads if one.chosen), None)
    others = [one for one in result.heads if not one.chosen]
    if chosen is None or not others:
        return ""
    best = min(others, key=lambda one: one.held_out.error)
    apart = (best.held_out.error - chosen.held_out.error) * 100
    columns = sorted({name for one in result.heads for name in one.columns})
    beside = f" Columns: {some(columns)}." if columns else ""
    compared = (
        "as good as" if not round(apart, 2) else f"{abs(apart):.2f} points {'better' if apart > 0 else 'worse'} than"
    )
    return (
        f"On held-out rows the chosen head ({head_name(chosen)}) is {compared} the best of the others "
        f"({head_name(best)}), by the share of wrong rows.{beside}"
    )


def _further(result: TrainingResult) -> Iterator[str]:
    """What the candidate is worth on whole sets that had no part in the training."""
    if not result.further:
        return
    yield "### Further sets"
    yield (
        "The candidate on whole files of rows by which nothing was learnt or chosen. The share of the commonest class "
        "is what a guess would get."
    )
    rows = [
        [cell(name), f"{one.rows:,}", number(commonest(one)), *(number(getattr(one, by)) for by, _ in _FIGURES)]
        for name, one in result.further.items()
    ]
    yield table(["set", "rows", "commonest class (share)", *(says for _, says in _FIGURES)], rows)


def commonest(found: ClassificationMeasures) -> float:
    """Share (0–1) of the rows that are of the commonest class; 0 without rows."""
    return max((one.rows for one in found.classes), default=0) / max(found.rows, 1)


def _classes(result: TrainingResult) -> Iterator[str]:
    candidate = _found(result).get(Role.CANDIDATE)
    if candidate is None:
        return
    yield "### Class by class"
    rows = [
        [
            cell(one.label),
            f"{one.rows:,}",
            f"{one.predicted:,}",
            *(number(x) for x in (one.precision, one.recall, one.f1)),
        ]
        for one in candidate.classes
    ]
    yield table(["class", "rows", "predicted", "precision", "recall", "F1"], rows)
    yield "Rows of a class (down) by the class that the candidate puts them into (across):"
    labels = [cell(one.label) for one in candidate.classes]
    counted = [
        [label, *(f"{count:,}" for count in row)] for label, row in zip(labels, candidate.confusion, strict=True)
    ]
    yield table(["", *labels], counted)


def _data(result: TrainingResult) -> Iterator[str]:
    data = result.data
    yield "## Data"
    labels = dict.fromkeys([*data.rows, *data.validation, *data.held_out])
    rows = [
        [cell(label), *(f"{side.get(label, 0):,}" for side in (data.rows, data.validation, data.held_out))]
        for label in labels
    ]
    if rows:
        yield table(["class", "rows trained on", "rows that chose the weights", "rows held out"], rows)
    yield table(
        ["", ""],
        [
            ["how rows were dealt", cell(data.split)],
            ["rows left out, without a label or a text", f"{data.incomplete:,}"],
            ["rows left out, since a side that measures has their text", f"{data.leaked:,}"],
            ["SHA-256 of what was read", cell(data.sha256)],
            ["files", some(data.parts)],
        ],
    )
    yield "`lineage.parquet` names every row: its file and place there, its class, and its use."


def _objective(settings: Mapping[str, object]) -> str:
    said = settings.get("objective")
    told = dict(said) if isinstance(said, Mapping) else {}
    parts = [f"{name.replace('_', ' ')} {cell(str(value))}" for name, value in told.items()]
    return "Minimised: cross-entropy" + (f" ({', '.join(parts)})." if parts else ".")


_LIMITS = """## Limits

- It was measured on a part of one shop's rows. That says nothing of other shops, of other languages, or of texts that
  are put together in another way.
- Labels are people's opinions, and some are wrong: no model is right about those.
- Its probabilities are as good as the calibration error above says, and no better.
- It knows what its base knew, prejudices included. Nothing was done about those."""
