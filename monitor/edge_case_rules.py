"""Which rules choose the rows that a model learns from, and which of them can be asked of a batch?

A rule is a formula over signals. Some make sense for a kind without any setting; a project names its own beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from expectations.errors import ShopmonError
from monitor import formula as formulas
from monitor.formula import Formula, FormulaError, Tree
from monitor.signals import (
    ASKING,
    SIGNALS,
    Asked,
    Matching,
    Signal,
    SignalSettings,
    Words,
    needs_model,
    no_model,
    signal_named,
    signal_names,
)


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
class Asking:
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


def askable(settings: EdgeCaseSettings, asked: Asked) -> tuple[list[Asking], dict[str, Signal], dict[str, str]]:
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
        asking.append(Asking(name, rules[name], tree, tuple(dear)))
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
