"""What does a person read who opens a model's folder?

Markdown with the front matter that model hubs read. Text from data and settings stands in code spans, where nothing of
it is Markdown, HTML or a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from expectations.addresses import display_name
from retrain.card_text import MOST, cell, code, number, prose, quoted, some, table
from retrain.results import BaseUsed, Contrast, FillIn, GateCheck, Measures, Role, TextSet, TrainingResult
from retrain.settings import OFFLINE, Recipe

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_OFFLINE_NAME = "sentence-transformers/all-MiniLM-L6-v2"
"""What the offline base was converted from, under its name on the hub."""

_TEXTS = {
    TextSet.RETRAINING: "held-out positive rows",
    TextSet.PROJECT: "the project's own text",
    TextSet.GENERAL: "general text",
}
_CONTRASTS = {
    Contrast.GATE: "the gate's prompts",
    Contrast.OTHER_BRANDS: "the same prompts, other brands",
    Contrast.COMPLAINTS: "complaints",
}


def model_card(result: TrainingResult, rules: Mapping[str, int]) -> str:
    """A model's card; `rules` says how many of the rows it was trained on each edge-case rule chose.

    >>> from retrain.results import BaseUsed
    >>> card = model_card(TrainingResult(model_id="1", task="mlm", base=BaseUsed("offline", "3f2a")), {"cheap|bad": 2})
    >>> [line for line in card.splitlines() if "cheap" in line]
    ['| `cheap\\\\|bad` | 2 |']
    """
    parts = (
        front_matter(result, "fill-mask"),
        _head(result),
        gate_part(result),
        _measures(result),
        _fill_ins(result),
        _data(result, rules),
        _training(result),
        settings_part(result),
        versions_part(result),
        [_LOADING],
        [_LIMITS],
    )
    return "\n\n".join(chain.from_iterable(parts)) + "\n"


# --- the parts --------------------------------------------------------------------------------------------------------


def front_matter(result: TrainingResult, pipeline: str) -> Iterator[str]:
    """What model hubs read; `pipeline` is their name of what the model does."""
    lines = ["library_name: transformers", f"pipeline_tag: {pipeline}"]
    if base := _hub_name(result.base):
        lines.append(f"base_model: {quoted(base)}")
    yield "\n".join(["---", *lines, f"tags: [shopmon, {quoted(result.task)}]", "---"])


def _hub_name(base: BaseUsed) -> str | None:
    """What the base is called on the hub; None for a folder, whose name would mislead there."""
    if base.name == OFFLINE:
        return _OFFLINE_NAME
    is_folder = bool(base.folder) and Path(base.name) == Path(base.folder)
    return base.name if _HUB_NAME.fullmatch(base.name) and not is_folder else None


def _head(result: TrainingResult) -> Iterator[str]:
    yield f"# {code(result.model_id)}"
    yield (
        f"A masked language model (task {code(result.task)}), trained by shopmon from "
        f"{code(display_name(result.base.name))} on rows that checks had chosen to learn from. {verdict(result)}"
    )
    if result.notes:
        yield "\n".join(f"- {prose(note, code)}" for note in result.notes)


def verdict(result: TrainingResult) -> str:
    """What became of a model, in a sentence."""
    failed, asked = len(result.gate.failed), len(result.gate.checks)
    told = f"{failed} of {asked} checks failed" if asked else "nothing was asked"
    if result.forced:
        return f"A person made it champion although the gate said no: {told}."
    if result.promoted:
        return f"It became champion: it passed each of the gate's {asked} checks."
    return f"It passed each of the gate's {asked} checks." if result.gate.passed else f"It was kept back: {told}."


def gate_part(result: TrainingResult) -> Iterator[str]:
    """The gate's numbers."""
    yield "## Gate"
    if not result.gate.checks:
        yield "The gate asked nothing, which is no pass."
        return
    rows = [
        [cell(check.name), prose(check.says), _value(check), _limit(check), "yes" if check.passed else "**no**"]
        for check in result.gate.checks
    ]
    yield table(["check", "what was asked", "candidate", "limit", "passed"], rows)


def _value(check: GateCheck) -> str:
    if check.value is None:
        return f"not measured: {prose(check.reason)}" if check.reason else "not measured"
    return number(check.value)


def _limit(check: GateCheck) -> str:
    side = "at most" if check.at_most else "at least"
    by = f", by the {check.against.value}" if check.against else ""
    return f"{side} {number(check.limit)}{by}"


def _measures(result: TrainingResult) -> Iterator[str]:
    yield "## Measures"
    roles = _roles(result)
    rows = [[says, *(_read(of, result.measures[role]) for role in roles)] for says, of in _MEASURED]
    measured = [row for row in rows if any(row[1:])]
    if not measured:
        yield "Nothing was measured."
        return
    yield "Each model on the same held-out texts, masked at the same places, and on the same prompts."
    yield table(["measure", *(role.value for role in roles)], [[cell or "–" for cell in row] for row in measured])
    yield (
        "Perplexity is e to the mean cross-entropy in nats per masked token. Wanted and unwanted words: the mean "
        "probability (0–1) of all of them together in the gap of a prompt."
    )


_Measure = Callable[[Measures], float | None]


def _of_texts(texts: TextSet, name: str) -> _Measure:
    return lambda measures: getattr(measures.texts.get(texts), name, None)


def _of_masses(contrast: Contrast, name: str) -> _Measure:
    return lambda measures: getattr(measures.masses.get(contrast), name, None)


_MEASURED: tuple[tuple[str, _Measure], ...] = (
    *((f"unwanted words, {says}", _of_masses(contrast, "unwanted")) for contrast, says in _CONTRASTS.items()),
    *((f"wanted words, {says}", _of_masses(contrast, "wanted")) for contrast, says in _CONTRASTS.items()),
    *((f"prompts asked, {says}", _of_masses(contrast, "prompts")) for contrast, says in _CONTRASTS.items()),
    *((f"perplexity, {says}", _of_texts(texts, "perplexity")) for texts, says in _TEXTS.items()),
    *((f"loss (nats), {says}", _of_texts(texts, "loss")) for texts, says in _TEXTS.items()),
    *((f"masked tokens, {says}", _of_texts(texts, "tokens")) for texts, says in _TEXTS.items()),
)


def _read(measure: _Measure, measures: Measures) -> str:
    found = measure(measures)
    return "" if found is None else number(found)


def _roles(result: TrainingResult) -> list[Role]:
    return [role for role in Role if role in result.measures]


def _fill_ins(result: TrainingResult) -> Iterator[str]:
    roles = _roles(result)
    prompts = list(dict.fromkeys(chain.from_iterable(result.measures[role].fill_ins for role in roles)))
    if not prompts:
        return
    yield "## Likeliest words"
    rows = [
        [cell(prompt), *(_words(result.measures[role].fill_ins.get(prompt, ())) for role in roles)]
        for prompt in prompts[:MOST]
    ]
    yield table(["prompt", *(role.value for role in roles)], rows)
    if len(prompts) > MOST:
        yield f"{len(prompts) - MOST:,} more prompts are in `training.json`."


def _words(words: Sequence[FillIn]) -> str:
    return ", ".join(f"{cell(one.word)} {one.probability:.3f}" for one in words) or "–"


def _data(result: TrainingResult, rules: Mapping[str, int]) -> Iterator[str]:
    data = result.data
    yield "## Data"
    roles = dict.fromkeys([*data.rows, *data.held_out])
    if roles:
        rows = [[cell(role), f"{data.rows.get(role, 0):,}", f"{data.held_out.get(role, 0):,}"] for role in roles]
        yield table(["role", "rows trained on", "rows held out"], rows)
    else:
        yield "No row of the retraining set was used."
    yield table(
        ["", ""],
        [
            ["general text", _general(result)],
            ["rows set aside, since they answer a prompt of the gate", f"{data.set_aside:,}"],
            ["rows left out, since a person rejected them", f"{data.rejected:,}"],
            ["rows left out, since no person had accepted them", f"{data.not_reviewed:,}"],
            ["rows in another role than they were gathered in, since a person said so", f"{data.relabelled:,}"],
            ["SHA-256 of the rows that were read", cell(data.sha256)],
            ["parts of the retraining set", some(data.parts)],
        ],
    )
    if rules:
        yield "The rules that chose the rows it was trained on; a row may have been chosen by several:"
        ordered = sorted(rules.items(), key=lambda rule: (-rule[1], rule[0]))
        yield table(["rule", "rows"], [[cell(rule), f"{rows:,}"] for rule, rows in ordered])
    yield "`lineage.parquet` names every row: its batch, file and place there, the rules that chose it, and its use."


def _general(result: TrainingResult) -> str:
    source = result.data.general_source
    return f"{result.data.general:,} passages" + (f" of {cell(display_name(source))}" if source else "")


def _training(result: TrainingResult) -> Iterator[str]:
    yield "## Training"
    yield from _objective(result.settings)
    yield training_facts(result)


def training_facts(result: TrainingResult) -> str:
    """With what a model began, how long it learnt, and where: a table."""
    facts = [
        ["base", cell(display_name(result.base.name))],
        ["SHA-256 of the base's weights", cell(result.base.sha256)],
        ["SHA-256 of these weights", cell(result.weights_sha256)],
        ["champion before", cell(result.champion_before) if result.champion_before else "none"],
        ["steps", f"{result.steps:,}{', stopped early' if result.stopped_early else ''}"],
        ["step whose weights were kept", f"{result.best_step:,}"],
        ["tokens read", f"{result.tokens:,}"],
        ["seconds", f"{result.seconds:,.1f}"],
        ["device", f"{cell(result.device)}, {'bfloat16' if result.bf16 else 'float32'}"],
        ["processes", f"{result.processes:,}"],
    ]
    if result.resumed_from is not None:
        facts.append(["resumed from the checkpoint of step", f"{result.resumed_from:,}"])
    return table(["", ""], facts)


def _objective(settings: Mapping[str, object]) -> Iterator[str]:
    """What was minimised, as far as the settings say."""
    said = settings.get("objective")
    if not isinstance(said, Mapping):
        return
    recipe = said.get("recipe")
    if recipe in _PLAIN:
        yield f"Minimised: cross-entropy of masked words {_PLAIN[recipe]}, and nothing else."
    elif recipe == Recipe.FULL:
        yield "Minimised: the sum of these parts."
        rows = [[part, cell(str(said.get(name, "?"))) if name else "1", on] for name, part, on in _PARTS]
        yield table(["part", "weight", "on"], rows)


_PLAIN = {Recipe.PLAIN: "on the positive rows", Recipe.PLAIN_ALL: "on every row, whatever its role"}
_PARTS = (
    ("", "cross-entropy of masked words", "positive rows"),
    ("unlikelihood", "−log(1 − P(unwanted words))", "negative rows, in place of their unwanted words"),
    ("replay_kl", "KL(base ‖ model)", "text to be remembered: the project's own and general text"),
    ("counterfactual_kl", "KL(base ‖ model)", "other brands, and complaints"),
)


def settings_part(result: TrainingResult) -> Iterator[str]:
    """Every setting by its whole name."""
    if result.settings:
        yield "### Settings"
        yield table(["setting", "value"], [[cell(name), told] for name, told in _flat(result.settings, "")])


def _flat(settings: Mapping[str, object], under: str) -> Iterator[tuple[str, str]]:
    """Every setting by its whole name."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", _setting(value)


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return some([str(one) for one in value])
    return "–" if value is None else cell(display_name(str(value)))


def versions_part(result: TrainingResult) -> Iterator[str]:
    """The packages it was trained with."""
    if result.versions:
        yield "## Versions"
        yield table(["package", "version"], [[cell(name), cell(said)] for name, said in result.versions.items()])


_LOADING = """## How to load it

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

folder = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForMaskedLM.from_pretrained(folder)
```

The weights are safetensors; no code comes with them, and none is needed."""

_LIMITS = """## Limits

- It was measured on a part of one shop's texts and on a few prompts. That says nothing of other shops, of other
  languages, or of prompts of another form.
- Wanted and unwanted words count where they are one piece of the vocabulary. What means the same in other words is not
  counted, and may be said.
- The perplexities here can be compared with each other, and with no other table: texts and masks are theirs alone.
- It knows what its base knew, prejudices included. Nothing was done about those.
- It fills gaps. It judges no text, and what it says of a brand is no statement of fact."""
