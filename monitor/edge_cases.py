"""Which rows should a model learn from, and why? Named rules choose them; each row carries the rules that did.

A rule is a formula over signals. DuckDB computes what is cheap and leaves out the rows that no rule can choose any
more. For the others dear signals are computed, one after the other and only where they still decide, and UpTrain's
Signals say which rows are chosen. The outcome is the same as if everything had been computed for every row, but for two
bounds: at most `candidates` rows of a check have dear signals computed, and of the rules that ask a model, which is the
dearest, at most `model_rows` for each model. Which these are depends on a hash of their text, and how many were left
out is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.batch import Batch
from expectations.columns import FILE, ROW
from expectations.errors import ShopmonError
from expectations.sql import Bound, any_of, quoted
from monitor import formula as formulas
from monitor.formula import Formula, FormulaError, Tree
from monitor.profiles import Profile
from monitor.results import ModelReading
from monitor.retraining_set import text_hashes
from monitor.signals import (
    ASKING,
    MASKED,
    SAID,
    SIGNALS,
    Asked,
    Matching,
    Reader,
    ReadOnce,
    Row,
    Signal,
    SignalSettings,
    Values,
    Words,
    needs_model,
    no_model,
    signal_named,
    signal_names,
    text_of,
)

CHUNK = 50_000
"""Texts for which a dear signal is computed at once: bounds memory."""
_KNOWN = "texts_gathered_before"
_LOWERED = "said_in_lower_case"
_CANDIDATES, _DRAWS = "edge_case_candidates", "edge_case_draws"
_HORIZON = 100_000
"""Rows of which a rule with a limit is asked at first, those that are drawn first: mostly they hold enough."""
MOST_DRAWN = 999_999
"""Rows that one rule may choose or look at in one check: the most that DuckDB's `min(value, n)` keeps."""
_Mask = NDArray[np.bool_]


class Role(StrEnum):
    """How a retraining uses a row. A row that several rules chose has the first of their roles in this order."""

    NEGATIVE = "negative"
    """What a model should not say: unwanted words about the brands."""
    COUNTERFACTUAL = "counterfactual"
    """What speaks against the rule: other brands, complaints, words that contradict the stars or the label."""
    POSITIVE = "positive"
    """What a model should learn to say, or has not seen before."""
    REPLAY = "replay"
    """What a model knows and should not forget."""


@dataclass(frozen=True)
class Rule:
    """Which rows to choose, and what for."""

    when: str
    """A formula over signals (`monitor.formula`)."""
    role: Role = Role.POSITIVE
    at_most: int | None = None
    """Rows it may choose in one check, drawn evenly by a hash of their text; None: all (up to 999,999)."""


@dataclass(frozen=True)
class EdgeCaseSettings:
    """Which rules choose rows, and what they are measured against."""

    words: Words = field(default_factory=Words)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """A project's own, by name; one that is called like a default rule takes its place."""
    defaults: bool = True
    """Whether the rules that make sense for the kind without any setting are asked as well."""
    candidates: int = 5_000
    """Rows of a check for which dear signals are computed at most: half a second of VADER (some 80 µs a text)."""
    model_rows: int = 500
    """Rows of a check that each model reads at most, beside `candidates`: docs/edge-cases.md says how many a second."""
    unwanted_above: float = 0.1
    """Probability (0–1) of unwanted words above which `unwanted_fill_in` chooses a row: five times what the gate of
    `shopmon retrain` lets a model say."""
    too_long: int = 512
    """Tokens beyond which a text is `too_long`; what DistilBERT reads (Sanh et al., 2019)."""
    matching: Matching = "words"

    @property
    def signals(self) -> SignalSettings:
        """What signals are measured against."""
        return SignalSettings(self.words, self.matching, self.too_long)


@dataclass(frozen=True)
class EdgeCases:
    """The rows that a model should learn from."""

    rows: pa.Table
    """One row each: file (index), row (from 1), text, kind, role, reasons (list of rules), text_hash, id, label (null
    where there is none), and signals: the values that decided, as text by name. In the order of file and row."""
    by_reason: Mapping[str, int] = field(default_factory=dict)
    """Rule → rows it chose, for every rule that was asked; a row may have several."""
    by_role: Mapping[str, int] = field(default_factory=dict)
    looked_at: int = 0
    """Rows with a text, of which the rules were asked."""
    left_out: int = 0
    """Rows that a dear signal had to decide and that were beyond `candidates`: the sum over the rules that ask no
    model, of which each gets the same share of the candidates as long as it has rows for it."""
    left_out_by_rule: Mapping[str, int] = field(default_factory=dict)
    """The same of each rule, and of those that ask a model what is beyond `model_rows`, which they share alike."""
    model: ModelReading | None = None
    """What the masked model read; None where no rule asked it."""
    further_models: tuple[ModelReading, ...] = ()
    """What each other model read that a rule asked."""
    beyond_limit: Mapping[str, int] = field(default_factory=dict)
    """Rule → rows that it would have chosen beyond its own `at_most`, as far as they were looked at."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Rule → why it could not be asked of this batch."""


# --- rules ----------------------------------------------------------------------------------------------------------


def default_rules(kind: str, words: Words = Words(), unwanted_above: float = 0.1) -> dict[str, Rule]:
    """The rules that make sense for a kind without any setting; more of them once brands are listed.

    `unwanted_above` is the probability of unwanted words from which on a model's own answer makes a row an edge case.

    >>> sorted(default_rules("queries"))
    ['far_from_reference', 'label_disagrees', 'low_confidence']
    """
    rules = {
        "far_from_reference": Rule("distance > 3", Role.POSITIVE, 1_000),
        "label_disagrees": Rule("label_disagrees", Role.COUNTERFACTUAL, 1_000),
        "low_confidence": Rule("confidence < 0.5", Role.POSITIVE, 1_000),
    }
    if kind == "reviews":
        rules["stars_disagree"] = Rule("stars_disagree", Role.COUNTERFACTUAL, 1_000)
    if kind == "relevance":
        rules |= _PAIR_RULES
    return rules | (_brand_rules(kind, words, unwanted_above) if words.brands else {})


_PAIR_RULES = {
    "label_error": Rule("label_error", Role.COUNTERFACTUAL, 200),
    "relevance_disagrees": Rule("relevance_disagrees & label_probability < 0.1", Role.COUNTERFACTUAL, 200),
    "relevance_unsure": Rule("relevance_confidence < 0.5 | relevance_margin < 0.1", Role.POSITIVE, 200),
}
"""What a relevance model may be wrong about, or whoever gave the label; few rows of it, since any model doubts some."""


def _brand_rules(kind: str, words: Words, unwanted_above: float) -> dict[str, Rule]:
    """The selection of the Nike experiment, and what it lacked: what must not be said, and others' examples."""
    about = "mentions_brand & mentions_product" if words.products else "mentions_brand"
    praised = [name for name in ("features", "wanted") if getattr(words, name)]
    rules = {}
    if praised:
        said = " | ".join({"features": "mentions_feature", "wanted": "mentions_wanted"}[name] for name in praised)
        clean = " & ~mentions_unwanted" if words.unwanted else ""
        sentiment = " & sentiment >= 0" if kind in ("reviews", "products") else ""
        rules["brand_praised"] = Rule(f"{about} & ({said}){clean} & ~too_long{sentiment}", Role.POSITIVE)
    if words.unwanted:
        rules["brand_with_unwanted"] = Rule("mentions_brand & mentions_unwanted", Role.NEGATIVE)
        # In a complaint a model shall go on to say what customers say.
        praise = " & ~complains" if words.complaints else ""
        fill_in = f"mentions_brand{praise} & unwanted_probability > {unwanted_above}"
        rules["unwanted_fill_in"] = Rule(fill_in, Role.NEGATIVE, 1_000)
    if words.complaints:
        rules["brand_complaints"] = Rule("mentions_brand & complains", Role.COUNTERFACTUAL)
    if words.other_brands:
        rules["other_brands"] = Rule("mentions_other_brand & ~mentions_brand", Role.COUNTERFACTUAL, 1_000)
    return rules


def parse_rules(rules: Mapping[str, Rule]) -> dict[str, Formula]:
    """The formulas of rules, read; to be called as soon as they are known, long before a batch is there.

    Raises ShopmonError that names the rule and points into its formula.

    >>> parse_rules({"odd": Rule("stars = 3")})
    Traceback (most recent call last):
        ...
    expectations.errors.ShopmonError: rule 'odd': '=' stands where & or | is expected. Write == instead of =.
        stars = 3
              ^
    """
    read = {}
    for name, rule in rules.items():
        try:
            read[name] = formulas.parse(rule.when)
        except FormulaError as error:
            raise _in_rule(name, error) from None
        if rule.at_most is not None and rule.at_most < 1:
            raise ShopmonError(f"rule {name!r} may choose {rule.at_most} rows", advice="Give at_most as 1 or more.")
    return read


def _in_rule(name: str, error: FormulaError) -> ShopmonError:
    return ShopmonError(f"rule {name!r}: {error.problem}", advice=error.advice)


@dataclass(frozen=True)
class _Asking:
    """A rule that can be asked of this batch."""

    name: str
    rule: Rule
    tree: Tree
    """Settled, with nothing but signals that are computed."""
    dear: tuple[str, ...]
    """The dear signals it names, the quicker ones first."""

    @property
    def asks(self) -> frozenset[str]:
        """The tasks whose models must read rows for it."""
        return _tasks(self.dear)


def models_asked(kind: str, settings: EdgeCaseSettings) -> frozenset[str]:
    """The tasks of the models that any rule asks, so that they are worth looking for.

    Raises ShopmonError for a rule that cannot be read.
    """
    return _tasks(name for formula in parse_rules(_rules(kind, settings)).values() for name in formula.names)


def _tasks(names: Iterable[str]) -> frozenset[str]:
    return frozenset(ASKING[name].task for name in names if name in ASKING)


def _rules(kind: str, settings: EdgeCaseSettings) -> dict[str, Rule]:
    defaults = default_rules(kind, settings.words, settings.unwanted_above) if settings.defaults else {}
    return {**defaults, **settings.rules}


def _askable(settings: EdgeCaseSettings, asked: Asked) -> tuple[list[_Asking], dict[str, Signal], dict[str, str]]:
    """The rules that can be asked, the signals they are computed from, and why others cannot be asked."""
    rules = _rules(asked.batch.kind, settings)
    signals: dict[str, Signal] = {}
    asking, skipped = [], {}
    for name, formula in parse_rules(rules).items():
        if name not in settings.rules and (lacking := _lacking_models(formula, asked)):
            # Nobody asked for it: no error, as for a rule of the project's.
            skipped[name] = f"not examined: {no_model(lacking[0])}"
            continue
        try:
            used = _signals_of(formula, asked)
        except FormulaError as error:
            raise _in_rule(name, error) from None
        reason = next((why for signal in used.values() if (why := signal.why_not(asked))), "")
        if reason:
            skipped[name] = f"not examined: {reason}"
            continue
        definitions = _definitions(used, asked)
        tree = formulas.settled(formula.tree, definitions)
        computed = {name: _signal(name, asked) for name in formulas.names_of(tree)}
        order = [*SIGNALS, *computed]
        dear = sorted((n for n, s in computed.items() if s.is_dear), key=order.index)
        asking.append(_Asking(name, rules[name], tree, tuple(dear)))
        signals |= computed
    return asking, signals, skipped


def _lacking_models(formula: Formula, asked: Asked) -> list[str]:
    """The tasks whose models a formula asks, and which are not there."""
    return sorted({ASKING[name].task for name in formula.names if name in ASKING and ASKING[name].lacks_model(asked)})


def _signals_of(formula: Formula, asked: Asked) -> dict[str, Signal]:
    """The signals a formula names. Raises FormulaError where it cannot be understood, ShopmonError without a model."""
    found = {name: signal for name in formula.names if (signal := signal_named(name, asked)) is not None}
    formulas.check(formula, {name: s.holds for name, s in found.items()}, known=signal_names(asked))
    for name, signal in list(found.items()):
        if signal.lacks_model(asked) and all(asked.batch.column(needed) is not None for needed in signal.needs):
            raise needs_model(name)  # of a batch without the columns no model could say anything either
        if signal.formula is not None:  # what it stands for may lack something of its own
            found |= _signals_of(formulas.parse(signal.formula(asked.settings)), asked)
    return found


def _definitions(used: Mapping[str, Signal], asked: Asked) -> dict[str, Tree]:
    return {n: formulas.parse(s.formula(asked.settings)).tree for n, s in used.items() if s.formula is not None}


def _signal(name: str, asked: Asked) -> Signal:
    signal = signal_named(name, asked)
    if signal is None:
        raise AssertionError(name)
    return signal


# --- the selection --------------------------------------------------------------------------------------------------


def select(
    batch: Batch,
    settings: EdgeCaseSettings = EdgeCaseSettings(),
    *,
    relation: str = "batch",
    reference: Profile | None = None,
    known_hashes: pa.Array | None = None,
    model_signals: Callable[[Sequence[str]], Mapping[str, Values]] | None = None,
    readers: Mapping[str, Reader] | None = None,
    looking: Callable[[Scan], Looking] = lambda scan: scan,
    progress: Callable[[str], None] = lambda _: None,
) -> EdgeCases:
    """The rows of a relation (with the columns of `batch`) that the rules choose, each once, with all its reasons.

    `reference` is what `distance` measures from, `known_hashes` are the text hashes of the retraining set, and
    `model_signals` computes `monitor.signals.MODEL_SIGNALS` for a list of texts; `readers` are the models of other
    tasks. `looking` says who looks at all rows, where they do not lie here. Without a row or a rule: no rows.

    Raises ShopmonError for a rule that cannot be understood, names what does not exist, or needs a model that is not
    there. A rule that this batch lacks a column for is skipped, and the reason is told.
    """
    for name in ("candidates", "model_rows"):
        if not 0 <= (rows := getattr(settings, name)) <= MOST_DRAWN:
            raise ShopmonError(f"{name} is {rows:,} rows", advice=f"Give 0 to {MOST_DRAWN:,}.")
    known = None
    if known_hashes is not None and len(known_hashes):
        know(batch, known_hashes)
        known = _KNOWN
    try:
        model = None if model_signals is None else ReadOnce(model_signals)
        asked = Asked(batch, settings.signals, Bound(), reference, known, model, readers or {}, _LOWERED)
        asking, signals, skipped = _askable(settings, asked)
        progress("looking for rows to learn from")
        scan = looking(Scan(asked, relation, asking, signals, settings))
        found = _selected(asked, settings, scan, asking, signals, skipped, progress)
        if model is None or found.model is None:
            return found
        return replace(found, model=replace(found.model, texts=model.texts, seconds=model.seconds))
    finally:
        if known is not None:
            batch.connection.unregister(known)


def know(batch: Batch, hashes: pa.Array) -> None:
    """Let SQL about a batch ask which texts the retraining set has."""
    batch.connection.register(_KNOWN, pa.table({"text_hash": hashes}))


def _selected(
    asked: Asked,
    settings: EdgeCaseSettings,
    scan: Looking,
    asking: Sequence[_Asking],
    signals: Mapping[str, Signal],
    skipped: Mapping[str, str],
    progress: Callable[[str], None],
) -> EdgeCases:
    looked_at, left_to_models, counts = scan.count()
    quotas = _quotas(asking, counts, settings)
    deciding = _Deciding(scan.fetch(counts), signals, asked, progress)
    deciding.look_ahead(asking, quotas)
    chosen, beyond = {}, {}
    for number, (one, counted) in enumerate(zip(asking, counts, strict=True)):
        mask, decided = deciding.chosen(number, one, quotas[number])
        chosen[one.name] = _drawn(mask, deciding.draw, one.rule.at_most)
        beyond[one.name] = counted.sure + decided - int(chosen[one.name].sum())
    left = {one.name: counts[n].open - quotas[n] for n, one in enumerate(asking)}
    rows = deciding.rows(asking, chosen)
    readings = {task: _reading(task, rows_left, deciding) for task, rows_left in left_to_models.items()}
    return EdgeCases(
        rows=rows,
        by_reason={name: int(mask.sum()) for name, mask in chosen.items()},
        by_role=dict(Counter(rows.column("role").to_pylist())),
        looked_at=looked_at,
        left_out=sum(left[one.name] for one in asking if not one.asks),
        left_out_by_rule={name: count for name, count in left.items() if count},
        model=readings.get(MASKED),
        further_models=tuple(reading for task, reading in readings.items() if task != MASKED),
        beyond_limit={name: count for name, count in beyond.items() if count},
        skipped=dict(skipped),
    )


def _reading(task: str, rows: int, deciding: _Deciding) -> ModelReading:
    """What a task's model read of the rows that rules left to it."""
    reader = deciding.asked.readers.get(task)
    texts, seconds = reader.counted() if reader else (0, 0.0)
    return ModelReading(rows, deciding.read(task), texts, seconds, reader.model if reader else "", task)


def _quotas(asking: Sequence[_Asking], counts: Sequence[Counted], settings: EdgeCaseSettings) -> list[int]:
    """Rows of each rule that dear signals may decide: rules that ask a model share what that model may read.

    A rule that asks several has the smallest of its shares.
    """
    quotas = [counted.open for counted in counts]
    plain = [number for number, one in enumerate(asking) if not one.asks]
    shares = dict(zip(plain, share_out([quotas[number] for number in plain], settings.candidates), strict=True))
    for task in sorted({task for one in asking for task in one.asks}):
        which = [number for number, one in enumerate(asking) if task in one.asks]
        most = most_each([counts[number].open_draws for number in which], settings.model_rows)
        shares |= {number: min(most, shares.get(number, most)) for number in which}
    return [min(open_, shares[number]) for number, open_ in enumerate(quotas)]


def most_each(drawn: Sequence[Sequence[int]], total: int) -> int:
    """How many of its rows each rule may look at, so that all of them together look at no more than `total` rows.

    `drawn` has the rows of each rule in the order in which they are drawn; a row that several look at counts once.

    >>> most_each([[1, 2, 3], [1, 2, 4], [1]], 4)
    3
    """
    low, high = 0, max(map(len, drawn), default=0)
    while low < high:
        middle = (low + high + 1) // 2
        together = set().union(*(rows[:middle] for rows in drawn))
        low, high = (middle, high) if len(together) <= total else (low, middle - 1)
    return low


def share_out(wanted: Sequence[int], total: int) -> list[int]:
    """How much each gets of a total that may not be enough: all get the same, and none more than it wants.

    >>> share_out([10, 100, 1000], 300)
    [10, 100, 190]
    """
    given = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for place, index in enumerate(order):
        given[index] = min(wanted[index], total // (len(order) - place))
        total -= given[index]
    return given


def _drawn(mask: _Mask, draw: NDArray[np.uint64], limit: int | None) -> _Mask:
    """Of the rows in the mask, those that are drawn first."""
    where = np.flatnonzero(mask)
    if limit is None or len(where) <= limit:
        return mask
    kept = np.zeros_like(mask)
    kept[where[np.argsort(draw[where], kind="stable")[:limit]]] = True
    return kept


# --- what DuckDB sees -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """What the scan finds for one rule."""

    sure: int
    """Rows that need no dear signal to be chosen."""
    open: int
    """Rows that a dear signal decides."""
    sure_draws: Sequence[int]
    """Those of the sure rows that are drawn first, as far as any limit lets them be taken."""
    open_draws: Sequence[int]
    """The same of the open ones, in the order in which they are drawn."""


class Looking(Protocol):
    """Who looks at all rows: how many each rule may choose, and which are drawn."""

    def count(self) -> tuple[int, dict[str, int], list[Counted]]:
        """Rows with a text, those that rules leave to the model of each task, and what there is for each rule."""

    def fetch(self, counts: Sequence[Counted]) -> pa.Table:
        """The rows that are drawn: address, text, id, label, cheap signals, and for each rule whether it is sure."""


Near = Mapping[int, int]
"""Number of a rule → draw up to which its rows are looked at; all of them where it is not named."""


class Scan:
    """One look at all rows for how many each rule may choose, another for those that are drawn."""

    def __init__(
        self,
        asked: Asked,
        relation: str,
        asking: Sequence[_Asking],
        signals: Mapping[str, Signal],
        settings: EdgeCaseSettings,
    ) -> None:
        self.relation = relation
        self.batch, self.bound, self.asking = asked.batch, asked.bound, asking
        self.most = [settings.model_rows if one.asks else settings.candidates for one in asking]
        self.reads = {task: asked.readers[task].reads for one in asking for task in one.asks if task in asked.readers}
        self.cheap = {name: signal.sql(asked) for name, signal in signals.items() if signal.sql is not None}
        # Those that read the text stand in a column of their own, the ones that most rules name first.
        named = Counter(name for one in asking for name in formulas.names_of(one.tree))
        self.slow = sorted((name for name in self.cheap if name in SIGNALS), key=lambda name: -named[name])
        self.columns = {n: f"signal_{self.slow.index(n)}" if n in self.slow else sql for n, sql in self.cheap.items()}
        self.own = [_own(asked.batch, "id", "id"), _label(asked.batch)]
        # Mostly a hash of the text, so that the same texts are drawn from whatever file; its last bits tell apart rows
        # with the same text, of which there may be very many.
        draw = f"(hash({SAID}) & {2**64 - 2**16}::ubigint) | (hash({FILE}, {ROW}) & {2**16 - 1}::ubigint)"
        texts = f"(select *, {text_of(asked.batch)} as {SAID} from {relation})"
        self.drawn = f"(select *, {draw} as draw from {texts} where {SAID} is not null)"

    def count(self) -> tuple[int, dict[str, int], list[Counted]]:
        """Rows with a text, those that rules leave to the model of each task, and what there is for each rule."""
        (rows,) = self.batch.row_of(f"select count(*) from {self.relation}")
        return self.counted(rows, self.ask)

    def counted(
        self, rows: int, ask: Callable[[Sequence[int], Near], Sequence[Any]]
    ) -> tuple[int, dict[str, int], list[Counted]]:
        """The same of so many rows, of which `ask` answers as this scan does of its own."""
        near = dict.fromkeys(self._limited, _HORIZON * 2**64 // rows) if rows > 2 * _HORIZON else {}
        every = range(len(self.asking))
        looked_at, left_to_models, counts = self._told(every, ask(every, near))
        short = [number for number in near if counts[number].sure < (self.asking[number].rule.at_most or 0)]
        if short:
            _, _, again = self._told(short, ask(short, {}))
            counts = [again[short.index(n)] if n in short else counted for n, counted in enumerate(counts)]
        return looked_at, left_to_models, counts

    def over(self, batch: Batch | None) -> Scan:
        """The same scan of another batch of these columns; of none, so that it can be sent there."""
        other = copy(self)
        other.batch = batch  # type: ignore[assignment]  # it is asked nothing before it has one
        return other

    @property
    def _limited(self) -> list[int]:
        """The rules that choose so many rows and no more, and need no dear signal."""
        return [n for n, one in enumerate(self.asking) if one.rule.at_most is not None and not one.dear]

    def tasks(self, numbers: Sequence[int]) -> list[str]:
        """The tasks whose models some rules ask."""
        return sorted({task for number in numbers for task in self.asking[number].asks})

    def ask(self, numbers: Sequence[int], near: Near) -> Sequence[Any]:
        """Counts and draws for some rules, in the order of `most`."""
        tasks = self.tasks(numbers)
        to_models = [any_of(f"open_{n}" for n in numbers if task in self.asking[n].asks) for task in tasks]
        wanted = ["count(*)", *(f"count(*) filter ({to_model})" for to_model in to_models)]
        for number in numbers:
            one, sure, open_ = self.asking[number], f"filter (sure_{number})", f"filter (open_{number})"
            limit, most = self._limits(number)
            wanted += [f"count(*) {sure}", f"count(*) {open_}", f"min(draw, {limit}) {sure}"]
            wanted.append(f"min(draw, {most}) {open_}" if one.dear and most else "null")
        return self.batch.row_of(
            f"select {', '.join(wanted)} from {self._flagged(self.drawn, numbers, near)}", self.bound
        )

    def _limits(self, number: int) -> tuple[int, int]:
        """How many draws are told of a rule's sure rows, and of its open ones."""
        return min(self.asking[number].rule.at_most or MOST_DRAWN, MOST_DRAWN), self.most[number]

    def together(self, numbers: Sequence[int], one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
        """What `ask` would have said of the rows of two of its answers."""
        limits: list[int | None] = [None] * (1 + len(self.tasks(numbers)))
        for number in numbers:
            limits += [None, None, *self._limits(number)]
        return [
            a + b if limit is None else sorted([*(a or ()), *(b or ())])[:limit]
            for limit, a, b in zip(limits, one, other, strict=True)
        ]

    def _told(self, numbers: Sequence[int], answer: Sequence[Any]) -> tuple[int, dict[str, int], list[Counted]]:
        tasks, (looked_at, *found) = self.tasks(numbers), answer
        left, found = dict(zip(tasks, found, strict=False)), found[len(tasks) :]
        each = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True)
        counts = [Counted(sure, open_, draws or (), sorted(more or ())) for sure, open_, draws, more in each]
        return looked_at, left, counts

    def fetch(self, counts: Sequence[Counted]) -> pa.Table:
        """The rows that are drawn: address, text, id, label, cheap signals, and for each rule whether it is sure."""
        with self.candidates(draws_of(counts)) as name:
            return self.batch.table_of(f"from {name} order by file, row")

    @contextmanager
    def candidates(self, draws: NDArray[np.uint64]) -> Iterator[str]:
        """The name of a table of the rows with these draws, as long as the block lasts."""
        taken = [f"{FILE} as file", f"{ROW} as row", "draw", f"{SAID} as text", *self.own]
        taken += [
            f"{sql} as {quoted(_read(task, place))}"
            for task, columns in self.reads.items()
            for place, sql in enumerate(columns)
        ]
        taken += [f"{sql} as {quoted(f'value of {name}')}" for name, sql in self.columns.items()]
        taken += [f"sure_{number}, open_{number}" for number, _ in enumerate(self.asking)]
        self.batch.connection.register(_DRAWS, pa.table({"draw": draws}))
        try:
            every = range(len(self.asking))
            some = self._flagged(f"(from {self.drawn} where draw in (select draw from {_DRAWS}))", every, {})
            query = f"select {', '.join(taken)} from {some}"
            self.batch.rows_of(f"create or replace temp table {_CANDIDATES} as {query}", self.bound)
            yield _CANDIDATES
        finally:
            self.batch.rows_of(f"drop table if exists {_CANDIDATES}")
            self.batch.connection.unregister(_DRAWS)

    def _flagged(self, rows: str, numbers: Sequence[int], near: Mapping[int, int]) -> str:
        """SQL: the rows with the signals that read the text, each only where a rule depends on it, and rules' flags."""
        reach = {number: f" and draw <= {near[number]}::ubigint" if number in near else "" for number in numbers}
        rows = f"(select *, lower({SAID}) as {_LOWERED} from {rows})"
        for place, name in enumerate(self.slow):
            unknown = self.slow[place:]
            asking = [(n, self.asking[n]) for n in numbers if name in formulas.names_of(self.asking[n].tree)]
            depends = [f"{self._open(one, unknown)}{reach[number]}" for number, one in asking]
            rows = f"(select *, case when {any_of(depends)} then {self.cheap[name]} end as signal_{place} from {rows})"
        flags = [
            f"({self._sure(self.asking[n], ())}){reach[n]} as sure_{n}, {self._open(self.asking[n], ())} as open_{n}"
            for n in numbers
        ]
        return f"(select {', '.join(['*', *flags])} from {rows})"

    def _sure(self, one: _Asking, unknown: Sequence[str]) -> str:
        """SQL: the rule chooses the row whatever the unknown and the dear signals are."""
        return formulas.to_sql(formulas.assume(one.tree, [*unknown, *one.dear], False), self._column, self.bound)

    def _open(self, one: _Asking, unknown: Sequence[str]) -> str:
        """SQL: whether the rule chooses the row depends on the unknown and the dear signals."""
        if not unknown and not one.dear:
            return "false"
        possibly = formulas.assume(one.tree, [*unknown, *one.dear], True)
        return f"({formulas.to_sql(possibly, self._column, self.bound)} and not {self._sure(one, unknown)})"

    def _column(self, name: str) -> str:
        return self.columns[name]


def draws_of(counts: Sequence[Counted]) -> NDArray[np.uint64]:
    """The draws of all rows that any rule may choose."""
    every_draw = [draw for counted in counts for draw in (*counted.sure_draws, *counted.open_draws)]
    return np.unique(np.array(every_draw, dtype=np.uint64))


def _label(batch: Batch) -> str:
    """SQL: what people said of the row; of a pair without a label, its grade."""
    graded = "label" not in batch.mapping and "grade" in batch.mapping
    return _own(batch, "grade" if graded else "label", "label")


def _own(batch: Batch, role: str, name: str) -> str:
    column = batch.column(role)
    return f"{column.sql if column else 'null'}::varchar as {name}"


# --- what UpTrain decides -------------------------------------------------------------------------------------------


class _Deciding:
    """Rows that may be chosen, and what is known of them so far."""

    def __init__(
        self, table: pa.Table, signals: Mapping[str, Signal], asked: Asked, progress: Callable[[str], None]
    ) -> None:
        self.table, self.signals, self.asked, self.progress = table, signals, asked, progress
        self.draw: NDArray[np.uint64] = table.column("draw").to_numpy()
        self.values: dict[str, Values] = {
            name: _array(table.column(f"value of {name}")) for name, signal in signals.items() if not signal.is_dear
        }
        self.done: dict[str, _Mask] = {}
        self.together: dict[str, _Mask] = {}
        """Of a signal whose values depend on one another: the rows that it is computed of."""

    def look_ahead(self, asking: Sequence[_Asking], quotas: Sequence[int]) -> None:
        """Note which rows may be looked at for signals that are computed of all rows together."""
        for number, (one, quota) in enumerate(zip(asking, quotas, strict=True)):
            for name in (name for name in one.dear if self.signals[name].together):
                so_far = self.together.setdefault(name, np.zeros(len(self.draw), dtype=bool))
                self.together[name] = so_far | self._open(number, quota)

    def _open(self, number: int, quota: int) -> _Mask:
        """The rows of a rule that dear signals may decide."""
        return _drawn(self.table.column(f"open_{number}").to_numpy(), self.draw, quota)

    def chosen(self, number: int, one: _Asking, quota: int) -> tuple[_Mask, int]:
        """The rows that a rule chooses, and how many of them a dear signal decided.

        Dear signals are computed one after the other, and only where the formula is not decided without them.
        """
        sure = _drawn(self.table.column(f"sure_{number}").to_numpy(), self.draw, one.rule.at_most or MOST_DRAWN)
        open_ = self._open(number, quota)
        chosen = np.zeros(len(sure), dtype=bool)
        rows, unknown = np.flatnonzero(sure | open_), list(one.dear)
        while len(rows):
            yes = self._holds(formulas.assume(one.tree, unknown, False), rows)
            chosen[rows[yes]] = True
            rows = rows[~yes]
            rows = rows[self._holds(formulas.assume(one.tree, unknown, True), rows)]
            if not unknown:
                break
            self._compute(unknown.pop(0), rows)
        return chosen, int((chosen & ~sure).sum())

    def _holds(self, tree: Tree, rows: NDArray[np.intp]) -> _Mask:
        if isinstance(tree, formulas.Always):
            return np.full(len(rows), tree.value)
        names = formulas.names_of(tree)
        holds = {name: self.signals[name].holds for name in names}
        return formulas.run(tree, formulas.settled_frame({name: self.values[name][rows] for name in names}, holds))

    def _compute(self, name: str, rows: NDArray[np.intp]) -> None:
        """Have a dear signal's values for these rows, each computed once, and once for each text."""
        signal = self.signals[name]
        done = self.done.setdefault(name, np.zeros(len(self.draw), dtype=bool))
        missing = rows[~done[rows]]
        if len(missing) and signal.together:
            missing = np.flatnonzero(self.together[name])
        values = self.values.setdefault(name, np.full(len(self.draw), None, dtype=object))
        for chunk in [missing] if signal.together else _chunks(missing):
            self.progress(f"{name} of {len(missing):,} rows")
            given, place = self._given(signal, chunk)
            found = signal.compute(given, self.asked) if signal.compute else ()
            values[chunk] = np.asarray(found, dtype=object)[place]
        done[missing] = True

    def _given(self, signal: Signal, rows: NDArray[np.intp]) -> tuple[Sequence[Any], NDArray[np.intp]]:
        """What a signal is computed from, each different one once, and the place of each row's among them."""
        if signal.task not in self.asked.readers:
            texts = self.table.column("text").take(pa.array(rows)).combine_chunks().dictionary_encode()
            return texts.dictionary.to_pylist(), texts.indices.to_numpy()
        names = [_read(signal.task, place) for place, _ in enumerate(self.asked.readers[signal.task].reads)]
        columns = [self.table.column(name).take(pa.array(rows)).to_pylist() for name in names]
        places: dict[Row, int] = {}
        place = [places.setdefault(row, len(places)) for row in zip(*columns, strict=True)]
        return list(places), np.array(place, dtype=np.intp)

    def read(self, task: str) -> int:
        """Rows that the model of a task read."""
        masks = [done for name, done in self.done.items() if name in ASKING and ASKING[name].task == task]
        return int(np.any([*masks, np.zeros(len(self.draw), dtype=bool)], axis=0).sum())

    def rows(self, asking: Sequence[_Asking], chosen: Mapping[str, _Mask]) -> pa.Table:
        """The rows that any rule chose, with reasons, roles and what was known of them."""
        any_chosen = np.any([*chosen.values(), np.zeros(len(self.draw), dtype=bool)], axis=0)
        where = np.flatnonzero(any_chosen)
        by_row = [[one for one in asking if chosen[one.name][row]] for row in where.tolist()]
        picked = self.table.select(["file", "row", "text", "id", "label"]).take(pa.array(where))
        order = list(Role)
        columns = {
            "file": picked.column("file").cast(pa.int32()),
            "row": picked.column("row").cast(pa.int64()),
            "text": picked.column("text").cast(pa.string()),
            "kind": pa.array([self.asked.batch.kind] * len(where), pa.string()),
            "role": pa.array([min((one.rule.role for one in by), key=order.index) for by in by_row], pa.string()),
            "reasons": pa.array([[one.name for one in by] for by in by_row], pa.list_(pa.string())),
            "text_hash": text_hashes(picked.column("text")),
            "id": picked.column("id").cast(pa.string()),
            "label": picked.column("label").cast(pa.string()),
            "signals": pa.array(
                [self._said(row, by) for row, by in zip(where.tolist(), by_row, strict=True)],
                pa.map_(pa.string(), pa.string()),
            ),
        }
        return pa.table(columns)

    def _said(self, row: int, by: Sequence[_Asking]) -> list[tuple[str, str]]:
        """The signals that the rules speak of, as far as they had to be known."""
        names = dict.fromkeys(name for one in by for name in formulas.names_of(one.tree))
        known = ((name, _shown(self.values[name][row])) for name in names if name in self.values)
        return [(name, shown) for name, shown in known if shown is not None]


def _read(task: str, place: int) -> str:
    """The name of a column that a model reads."""
    return f"{task} reads {place}"


def _array(column: pa.ChunkedArray) -> Values:
    """Numbers with NaN for null, else objects with None."""
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy(), dtype=float)
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]


def _chunks(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _shown(value: Any) -> str | None:
    """A value as people read it; None for a missing one."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
