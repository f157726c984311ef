"""How do a training and the models it made read on a terminal?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from retrain.classifier_card import commonest, head_name
from retrain.results import Contrast, DataUsed, FillIn, GateCheck, Measures, Role, TextSet, TrainingResult
from shopmon.terminal_text import inert, padded, rows_text, shortened, shortened_path
from shopmon.words_summary import chance

if TYPE_CHECKING:
    import pyarrow as pa

    from retrain.registry import Event, Registered

MOST_NOTES, MOST_RULES = 4, 8
"""Notes and rules shown; more are in training.json and lineage.parquet."""
_LABEL = 11
"""Columns of what stands before a line."""
_ROLES = (Role.BASE, Role.TFIDF, Role.FROZEN, Role.BOOSTED, Role.CHAMPION, Role.CANDIDATE)
_TEXTS = (
    (TextSet.RETRAINING, "held-out positive rows"),
    (TextSet.PROJECT, "the project's text"),
    (TextSet.GENERAL, "general text"),
)
_MASSES = (
    (Contrast.GATE, "our brands"),
    (Contrast.OTHER_BRANDS, "other brands"),
    (Contrast.COMPLAINTS, "complaints"),
)


def training_summary(result: TrainingResult, *, width: int, here: Path) -> Group:
    """A training's answer: the verdict, what went in, the measures of each model, the gate, what changed, what next.

    `width` is the terminal's, in columns; paths below `here` are shown relative to it. Text from data and from models
    comes out inert: no markup, no control character, one line.
    """
    lines: list[RenderableType] = [training_verdict(result, width=width), Text()]
    lines.append(_labelled(_went_in(result)))
    lines.extend(_measures(result, width))
    lines.extend(_heads(result, width))
    lines.extend(_further(result, width))
    lines.append(Text())
    lines.extend(gate_table(result, width))
    lines.extend(_changes(result, width))
    lines.append(Text())
    lines.append(_labelled(_kept(result, here)))
    return Group(*lines)


def training_verdict(result: TrainingResult, *, width: int) -> Text:
    """The first line: what became of the model, which one it is, how long it took; then the numbers that failed."""
    mark, style = ("✓", "bold green") if result.promoted or result.gate.passed else ("✗", "bold red")
    facts = (inert(result.model_id), inert(result.task), f"{result.steps:,} steps", duration(result.seconds))
    head = Text.assemble((f"{mark} {_became(result)}", style), *(f"   {fact}" for fact in facts))
    head.truncate(width, overflow="ellipsis")
    if result.gate.failed:
        names = ", ".join(inert(check.name) for check in result.gate.failed)
        head.append(f"\n  {'the gate said no to' if result.forced else 'failed:'} {names}", "red")
    elif not result.gate.checks:
        head.append("\n  the gate had nothing to ask, and that is no pass", "red")
    return head


def _became(result: TrainingResult) -> str:
    if result.forced:
        return "champion, against the gate"
    if result.promoted:
        return "champion"
    return "passed the gate" if result.gate.passed else "kept back"


def duration(seconds: float) -> str:
    """A time for reading.

    >>> [duration(s) for s in (4.24, 59.96, 252, 7325)]
    ['4.2 s', '1 min 0 s', '4 min 12 s', '2 h 2 min']
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def figure(value: float) -> str:
    """A number for reading: three digits that say something.

    >>> [figure(n) for n in (0.0171, 0.5, 0.00004, 8.254, 252.94, 12345.6, 3.1e9, 0)]
    ['0.017', '0.500', '4e-05', '8.25', '253', '12,346', '3e+09', '0']
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size < 0.0005 or size >= 1e7:
        return f"{value:.0e}"
    decimals = 3 if size < 0.9995 else 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{value:,.{decimals}f}"


def _labelled(lines: Iterable[tuple[str, Text]]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=_LABEL, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for label, text in lines:
        table.add_row(Text(label, style="bold"), text)
    return table


# --- what went in -----------------------------------------------------------------------------------------------------


def _went_in(result: TrainingResult) -> Iterator[tuple[str, Text]]:
    before = f"; champion was {inert(result.champion_before)}" if result.champion_before else "; no champion before it"
    yield "Base", Text(f"{inert(result.base.name)} ({inert(result.base.sha256[:12])})").append(before, "dim")
    yield "Data", _data(result)
    yield "Training", _training(result)


def _data(result: TrainingResult) -> Text:
    used = result.data
    text = Text(f"{rows_text(sum(used.rows.values()))} to learn from{_counts(used.rows)}")
    if used.validation:
        text.append(f"; {sum(used.validation.values()):,} to choose the weights")
    if used.held_out:
        text.append(f"; {sum(used.held_out.values()):,} held out")
    if used.split:
        text.append(f"\nsplit: {inert(used.split)}", "dim")
    if used.general:
        text.append(f"\n{used.general:,} passages of {inert(used.general_source) or 'general text'}")
    if used.set_aside:
        text.append(f"\n{rows_text(used.set_aside)} set aside: they answer a prompt of the gate", "dim")
    if said := _left_out(used):
        text.append(f"\nleft out: {said}", "dim")
    if said := _reviewed(used):
        text.append(f"\nby people: {said}", "dim")
    return text


def _left_out(used: DataUsed) -> str:
    """Labelled rows that were not used, and why."""
    counts = {"without a label or a text": used.incomplete, "that stand where it is measured as well": used.leaked}
    return ", ".join(f"{rows_text(count)} {what}" for what, count in counts.items() if count)


def _reviewed(used: DataUsed) -> str:
    """What people's decisions came to."""
    counts = {
        "rejected": used.rejected,
        "in another role": used.relabelled,
        "left out, since nobody accepted them": used.not_reviewed,
    }
    return ", ".join(f"{rows_text(count)} {what}" for what, count in counts.items() if count)


def _counts(rows: Mapping[str, int]) -> str:
    said = ", ".join(f"{count:,} {inert(role)}" for role, count in rows.items() if count)
    return f": {said}" if said else ""


def _training(result: TrainingResult) -> Text:
    facts = [f"step {result.best_step:,} of {result.steps:,} was the best"]
    if result.stopped_early:
        facts.append("stopped early")
    if result.resumed_from is not None:
        facts.append(f"went on from step {result.resumed_from:,}")
    facts.append(f"{result.tokens:,} tokens")
    machine = f"{inert(result.device)}{', bf16' if result.bf16 else ''}"
    several = f", {result.processes} processes" if result.processes > 1 else ""
    return Text(f"{'; '.join(facts)}; {machine}{several}")


# --- what the models are worth ----------------------------------------------------------------------------------------


def _measures(result: TrainingResult, width: int) -> Iterator[RenderableType]:
    """Base, champion and candidate side by side, as far as they were measured."""
    roles = [role for role in _ROLES if role in result.measures]
    measured = (_mass_rows, _text_rows, _class_rows)
    rows = [row for each in measured for row in each(result.measures, roles)]
    if not rows:
        return
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    room = max(width - 11 * len(roles) - 1, 12)
    table.add_column("Measures", no_wrap=True, max_width=room, overflow="ellipsis")
    for role in roles:
        table.add_column(role.value, justify="right", min_width=9, no_wrap=True)
    for name, values in rows:
        cells = ["–" if value is None else figure(value) for value in values]
        table.add_row(f"  {name}", *cells)
    yield table


_Row = tuple[str, list[float | None]]


def _mass_rows(measures: Mapping[Role, Measures], roles: Sequence[Role]) -> Iterator[_Row]:
    for contrast, where in _MASSES:
        found = [measures[role].masses.get(contrast) for role in roles]
        if any(found):
            if contrast is Contrast.GATE:
                yield f"probability of wanted words, {where}", [one.wanted if one else None for one in found]
            yield f"probability of unwanted words, {where}", [one.unwanted if one else None for one in found]


def _text_rows(measures: Mapping[Role, Measures], roles: Sequence[Role]) -> Iterator[_Row]:
    for texts, where in _TEXTS:
        found = [measures[role].texts.get(texts) for role in roles]
        if any(found):
            yield f"perplexity on {where}", [one.perplexity if one else None for one in found]


def _class_rows(measures: Mapping[Role, Measures], roles: Sequence[Role]) -> Iterator[_Row]:
    """A classifier's figures; then the F1 of each class."""
    found = [measures[role].classification for role in roles]
    there = [one for one in found if one]
    if not there:
        return
    for name, says in _FIGURES:
        yield says, [getattr(one, name) if one else None for one in found]
    for by in dict.fromkeys(by for one in there for by in one.ranking):
        yield f"nDCG, gains {inert(by)}", [one.ranking[by].ndcg if one and by in one.ranking else None for one in found]
    for label in dict.fromkeys(each.label for one in there for each in one.classes):
        known = [{each.label: each.f1 for each in one.classes} if one else {} for one in found]
        yield f"F1 of class {inert(label)}", [one.get(label) for one in known]


_FIGURES = (
    ("loss", "loss (nats per row)"),
    ("accuracy", "accuracy"),
    ("macro_f1", "F1, mean of the classes"),
    ("calibration_error", "expected calibration error"),
)


def _heads(result: TrainingResult, width: int) -> Iterator[RenderableType]:
    """The heads that were put on a classifier's encoder; the one that answers is marked."""
    if not result.heads:
        return
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("Heads (share of wrong rows)", no_wrap=True, max_width=max(width - 24, 12), overflow="ellipsis")
    for side in ("validation", "held out"):
        table.add_column(side, justify="right", min_width=9, no_wrap=True)
    for one in result.heads:
        cells = [figure(one.validation.error), figure(one.held_out.error)]
        table.add_row(f"{'★' if one.chosen else ' '} {head_name(one)}", *cells)
    yield table


def _further(result: TrainingResult, width: int) -> Iterator[RenderableType]:
    """What a classifier is worth on further sets, beside the share that a guess would get."""
    if not result.further:
        return
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("Further sets", no_wrap=True, max_width=max(width - 46, 12), overflow="ellipsis")
    for figure_of in ("rows", "a guess", "accuracy", "F1"):
        table.add_column(figure_of, justify="right", min_width=9, no_wrap=True)
    for name, one in result.further.items():
        cells = [f"{one.rows:,}", *map(figure, (commonest(one), one.accuracy, one.macro_f1))]
        table.add_row(Text(f"  {inert(name)}"), *cells)
    yield table


# --- the gate ---------------------------------------------------------------------------------------------------------


def gate_table(result: TrainingResult, width: int) -> Iterator[RenderableType]:
    """Each number with its limit, and the model that the limit was taken from."""
    checks = result.gate.checks
    passed = len(checks) - len(result.gate.failed)
    head = f"{passed} of {len(checks)} checks passed" if checks else "nothing was asked, and that is no pass"
    yield Text.assemble(("Gate".ljust(_LABEL + 1), "bold"), (head, "" if result.gate.passed else "red"))
    values = padded([_value(check) for check in checks], right=True)
    limits = padded([_limit(check) for check in checks])
    room = max(width - 4 - max(map(cell_len, values), default=0) - max(map(cell_len, limits), default=0) - 4, 12)
    names = padded([shortened(inert(check.says), room) for check in checks])
    for check, name, value, limit in zip(checks, names, values, limits, strict=True):
        mark, style = ("✓", "green") if check.passed else ("✗", "bold red")
        yield Text.assemble((f"  {mark} ", style), f"{name}  {value}  ", (limit.rstrip(), "dim"))
        if check.value is None and check.reason:
            yield Text(shortened(f"    {inert(check.reason)}", width), "dim")


def _value(check: GateCheck) -> str:
    return "not measured" if check.value is None else figure(check.value)


def _limit(check: GateCheck) -> str:
    beside = f" ({check.against.value})" if check.against else ""
    return f"{'≤' if check.at_most else '≥'} {figure(check.limit)}{beside}"


# --- what changed in what it says -------------------------------------------------------------------------------------


def _changes(result: TrainingResult, width: int) -> Iterator[RenderableType]:
    """The likeliest words of each model in the gap of one prompt: the one where base and candidate differ most."""
    roles = [role for role in _ROLES if role in result.measures]
    prompt = _most_changed(result)
    if prompt is None:
        return
    yield Text()
    yield Text.assemble(("Says".ljust(_LABEL + 1), "bold"), shortened(inert(prompt), max(width - _LABEL - 1, 12)))
    marks = _judged(result.settings)
    lists = [result.measures[role].fill_ins.get(prompt, ()) for role in roles]
    room = max((width - 2) // len(roles) - 13, 6)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for role in roles:
        table.add_column(f"  {role.value}", no_wrap=True, min_width=min(room + 2, 12))
        table.add_column("", justify="right", no_wrap=True, min_width=8)
    for row in zip_longest(*lists):
        table.add_row(*(cell for word in row for cell in _word(word, marks, room)))
    yield table


def _most_changed(result: TrainingResult) -> str | None:
    """Of the prompts about the shop's own brands, which come first, the one whose words changed most."""
    measures = result.measures.get(Role.CANDIDATE, Measures())
    own = measures.masses.get(Contrast.GATE)
    candidate = dict(islice(measures.fill_ins.items(), own.prompts if own else None))
    base = result.measures.get(Role.BASE, Measures()).fill_ins

    def changed(prompt: str) -> int:
        before = {one.word for one in base.get(prompt, ())}
        return sum(one.word not in before for one in candidate[prompt])

    return max(candidate, key=changed, default=None)


def _judged(settings: Mapping[str, object]) -> Mapping[str, tuple[str, str]]:
    """Word, in small letters → sign and colour, as the settings of the training have it."""
    words = settings.get("words")
    if not isinstance(words, Mapping):
        return {}
    signs = (("wanted", "✓", "green"), ("unwanted", "✗", "red"))
    return {str(word).lower(): (sign, style) for name, sign, style in signs for word in words.get(name) or ()}


def _word(said: FillIn | None, marks: Mapping[str, tuple[str, str]], room: int) -> tuple[Text, Text]:
    if said is None:
        return Text(), Text()
    sign, style = marks.get(said.word.lower(), (" ", ""))
    return Text(f"{sign} {shortened(inert(said.word), room)}", style), Text(chance(said.probability))


# --- where it is, and what next ---------------------------------------------------------------------------------------


def _kept(result: TrainingResult, here: Path) -> Iterator[tuple[str, Text]]:
    for index, note in enumerate(result.notes[:MOST_NOTES]):
        yield "" if index else "Notes", Text(inert(note))
    if len(result.notes) > MOST_NOTES:
        yield "", Text(f"… and {len(result.notes) - MOST_NOTES} more in training.json")
    if result.folder:
        files = "README.md · training.json · metrics.jsonl · lineage.parquet · model.safetensors"
        yield "Kept in", Text(f"{inert(_near(result.folder, here))}/").append(f"\n{files}", "dim")
    yield "Next", Text(_next(result))


def _next(result: TrainingResult) -> str:
    name = inert(result.model_id)
    if result.task != "mlm" and (result.promoted or result.gate.passed):
        undo = f"; to take it back: shopmon models rollback --task {inert(result.task)}"
        promote = f"; to make it champion: shopmon models promote {name}"
        return f"read its card: README.md in its folder{undo if result.promoted else promote}"
    if result.promoted or result.gate.passed:
        undo = "; to take it back: shopmon models rollback" if result.promoted else f": shopmon models promote {name}"
        return f'see what it says: shopmon words "… [MASK]"{undo}'
    unmeasured = [check for check in result.gate.failed if check.value is None]
    if unmeasured:
        return "give what could not be measured its words, prompts or rows in shopmon.toml, and train again"
    return f"see docs/retraining.md for what moves which number, or overrule it: shopmon models promote {name}"


def _near(path: Path, here: Path) -> str:
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# --- the registry -----------------------------------------------------------------------------------------------------


def models_table(models: Sequence[Registered], *, width: int) -> RenderableType:
    """The models, one a line, in the order given; ★ is the champion of its task."""
    if not models:
        return Text("no model is kept here yet; train one with: shopmon retrain")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    when = width >= 100
    titles = ["  model", "task", "gate", *(["when"] if when else []), "held out", "base"]
    for title in titles:
        last = title == "base"
        table.add_column(
            title,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if last else None,
            min_width=None if last else _WIDTHS.get(title),
        )
    for model in models:
        table.add_row(*_model_cells(model, when))
    legend = (
        "★ champion; measured by its training: of a masked model the probability of unwanted words and the perplexity "
        "on general text, of a classifier the mean F1 of its classes and the order of products"
    )
    return Group(table, Text(legend, "dim"))


_WIDTHS = {"  model": 24, "task": 9, "gate": 8, "when": 16, "held out": 22}


def _model_cells(model: Registered, when: bool) -> list[Text]:
    star = "★" if model.is_champion else " "
    gate = Text("✓ passed", "green") if model.gate_passed else Text("✗ failed", "red")
    created = [Text(inert(model.created[:16].replace("T", " ")))] if when else []
    base = model.document.get("base")
    name = base.get("name", "") if isinstance(base, Mapping) else ""
    return [
        Text(f"{star} {inert(model.model_id)}"), Text(inert(model.task)), gate, *created,
        Text(_of_candidate(model.document)), Text(shortened_path(inert(str(name)), 40)),
    ]  # fmt: skip


def _of_candidate(document: Mapping[str, Any]) -> str:
    """The figures that tell most of a model, in a few words; "–" where nothing was measured."""
    measures = document.get("measures", {}).get(Role.CANDIDATE.value, {})
    if classes := measures.get("classification"):
        ranked = next(iter(classes["ranking"].values()), None)
        return f"F1 {figure(classes['macro_f1'])}" + (f" nDCG {figure(ranked['ndcg'])}" if ranked else "")
    mass = measures.get("masses", {}).get(Contrast.GATE.value)
    general = measures.get("texts", {}).get(TextSet.GENERAL.value)
    said = [f"unwanted {figure(mass['unwanted'])}"] if mass else []
    said += [f"ppl {figure(general['perplexity'])}"] if general else []
    return " ".join(said) or "–"


def model_shown(
    model: Registered,
    result: TrainingResult,
    events: Sequence[Event],
    lineage: pa.Table | None,
    *,
    problem: str = "",
    width: int,
    here: Path,
) -> Group:
    """One model: what its training said, when it became champion or ceased to be, from which rows it was made.

    Without its lineage `problem` says what is wrong with it.
    """
    state = "the champion" if model.is_champion else "not the champion"
    now = [("Now", Text(f"{state} of {inert(model.task)}"))]
    now += [("" if index else "History", Text(_event(event), "dim")) for index, event in enumerate(events)]
    rows = (
        _labelled([("Rows", Text(inert(problem), "red"))]) if lineage is None else lineage_shown(lineage, width=width)
    )
    return Group(training_summary(result, width=width, here=here), _labelled(now), rows)


def event_said(event: Event) -> Text:
    """What a change of champion came to."""
    now = inert(event.model_id) if event.model_id else "no model"
    before = inert(event.before) if event.before else "none"
    return Text(f"{now} is champion now; before it: {before}")


def _event(event: Event) -> str:
    reason = f": {inert(event.reason)}" if event.reason else ""
    now = inert(event.model_id) if event.model_id else "no model"
    before = f" instead of {inert(event.before)}" if event.before else ""
    return f"{inert(event.at)}   {now} became champion{before}, by {event.by}{reason}"


def lineage_counts(lineage: pa.Table) -> dict[str, dict[str, int]]:
    """From which rows a model was made: use → rows, and of those learnt from role → rows, rule → rows, file → rows."""
    uses, roles, rules, files = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for batch in lineage.select(["use", "role", "reasons", "file"]).to_batches():
        for use, role, reasons, file in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            uses[use] += 1
            if use == "train":
                roles[role] += 1
                rules.update(reasons or ())
                files[file or ""] += 1
    named = {"use": uses, "role": roles, "rule": rules, "file": files}
    return {name: dict(counted.most_common()) for name, counted in named.items()}


def lineage_shown(lineage: pa.Table, *, width: int) -> RenderableType:
    """The rows behind a model, counted: by use, and those learnt from by role, rule and file."""
    counts = lineage_counts(lineage)
    room = max(width - _LABEL - 2, 20)
    lines = [("Rows", Text(_listed(counts["use"]) or "none"))]
    lines += [(title, line) for name, title in _COUNTED for title, line in _counted(counts[name], title, room)]
    return _labelled(lines)


_COUNTED = (("role", "By role"), ("rule", "By rule"), ("file", "By file"))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {inert(str(name))}" for name, count in counts.items())


def _counted(counts: Mapping[str, int], title: str, room: int) -> Iterator[tuple[str, Text]]:
    shown = list(counts.items())[:MOST_RULES]
    numbers = padded([f"{count:,}" for _, count in shown], right=True)
    for index, ((name, _), number) in enumerate(zip(shown, numbers, strict=True)):
        said = shortened_path(inert(str(name)), room - len(number) - 2) or "no name"
        yield "" if index else title, Text(f"{number}  {said}")
    if len(counts) > len(shown):
        yield "", Text(f"… and {len(counts) - len(shown):,} more", "dim")
