"""May a candidate become champion?

Better in what it was trained for, and no worse elsewhere: each number is held against a limit of the settings, the
base's value or the champion's. A number that could not be measured is no pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from retrain.results import Contrast, Gate, GateCheck, Measures, Role, TextSet
from retrain.settings import GateSettings

_BETTER = 1e-3
"""Least gain in probability that counts as better."""


def judge(measures: Mapping[Role, Measures], settings: GateSettings) -> Gate:
    """Hold a candidate against the settings, the base and, where there is one, the champion."""
    base, candidate = measures[Role.BASE], measures[Role.CANDIDATE]
    checks = [*_against_base(base, candidate, settings)]
    champion = measures.get(Role.CHAMPION)
    if champion is not None:
        checks += _against_champion(champion, candidate, settings)
    return Gate(tuple(checks))


def shortfall(measures: Measures, base: Measures, settings: GateSettings) -> float:
    """How far a model is from passing against the base: each miss as a share of its limit, added up; 0 passes."""
    return sum(_miss(check) for check in _against_base(base, measures, settings))


def score(measures: Measures, base: Measures, settings: GateSettings) -> float:
    """What a training is stopped by, lower is better: first the shortfall, then the loss on held-out rows."""
    held_out = measures.texts.get(TextSet.RETRAINING)
    return shortfall(measures, base, settings) * 1_000 + (held_out.loss if held_out else 0.0)


def _miss(check: GateCheck) -> float:
    if check.value is None:
        return 0.0  # missing for every model alike: nothing a training could change
    if check.passed:
        return 0.0
    return abs(check.value - check.limit) / max(abs(check.limit), 1e-6)


# --- against the base -------------------------------------------------------------------------------------------------


def _against_base(base: Measures, candidate: Measures, settings: GateSettings) -> Iterator[GateCheck]:
    yield from _masses(base, candidate, settings)
    for contrast, name, says in _CHANGES:
        share = getattr(settings, name)
        if share is not None:
            yield _change(base, candidate, contrast, share, name, says)
    for texts, name, says in _PERPLEXITIES:
        ratio = getattr(settings, name)
        if ratio is not None and (texts in base.texts or texts is not TextSet.PROJECT):
            yield _perplexity(_Beside(Role.BASE, base), candidate, texts, ratio, name, says)


def _masses(base: Measures, candidate: Measures, settings: GateSettings) -> Iterator[GateCheck]:
    said, before = candidate.masses.get(Contrast.GATE), base.masses.get(Contrast.GATE)
    why = "" if said else _NO_PROMPTS
    if settings.unwanted_mass is not None:
        value = said.unwanted if said else None
        yield GateCheck(
            "unwanted_mass", "unwanted words on the gate's prompts", value, settings.unwanted_mass, True, None, why
        )
    limit = settings.wanted_mass if settings.wanted_mass is not None else before.wanted if before else 0.0
    against = None if settings.wanted_mass is not None else Role.BASE
    yield GateCheck(
        "wanted_mass", "wanted words on the gate's prompts", said.wanted if said else None, limit, False, against, why
    )


_NO_PROMPTS = "no brands, words or prompts are listed: [edge_cases.words] and [retrain.prompts]"

_CHANGES = (
    (Contrast.OTHER_BRANDS, "other_brands_change", "unwanted words for other brands, change"),
    (Contrast.COMPLAINTS, "complaints_change", "unwanted words in complaints, change"),
)
_PERPLEXITIES = (
    (TextSet.GENERAL, "general_perplexity", "perplexity on general text"),
    (TextSet.PROJECT, "project_perplexity", "perplexity on the project's text"),
    (TextSet.RETRAINING, "retraining_perplexity", "perplexity on held-out positive rows"),
)


def _change(base: Measures, candidate: Measures, contrast: Contrast, share: float, name: str, says: str) -> GateCheck:
    """How much the unwanted words' probability moved from the base's, as a share of it, either way."""
    before, now = base.masses.get(contrast), candidate.masses.get(contrast)
    if before is None or now is None:
        return GateCheck(name, says, None, share, True, Role.BASE, f"there are no prompts for {contrast.value}")
    value = abs(now.unwanted - before.unwanted) / max(before.unwanted, 1e-6)
    return GateCheck(name, says, value, share, True, Role.BASE)


@dataclass(frozen=True)
class _Beside:
    """The model that a candidate is held against."""

    role: Role
    measures: Measures


def _perplexity(beside: _Beside, candidate: Measures, texts: TextSet, ratio: float, name: str, says: str) -> GateCheck:
    before, now = beside.measures.texts.get(texts), candidate.texts.get(texts)
    if before is None or now is None:
        return GateCheck(name, says, None, 0.0, True, beside.role, f"there is no held-out text: {texts.value}")
    return GateCheck(name, says, now.perplexity, ratio * before.perplexity, True, beside.role)


# --- against the champion ---------------------------------------------------------------------------------------------


def _against_champion(champion: Measures, candidate: Measures, settings: GateSettings) -> Iterator[GateCheck]:
    beside = _Beside(Role.CHAMPION, champion)
    for texts, name, says in _PERPLEXITIES:
        if texts in champion.texts:
            ratio = 1 + settings.champion_tolerance
            yield _perplexity(beside, candidate, texts, ratio, f"champion_{name}", says)
    before, now = champion.masses.get(Contrast.GATE), candidate.masses.get(Contrast.GATE)
    if before is None or now is None:
        return
    more, less = before.unwanted + settings.champion_mass, before.wanted - settings.champion_mass
    yield GateCheck(
        "champion_unwanted_mass", "unwanted words on the gate's prompts", now.unwanted, more, True, Role.CHAMPION
    )
    yield GateCheck(
        "champion_wanted_mass", "wanted words on the gate's prompts", now.wanted, less, False, Role.CHAMPION
    )
    yield _better(champion, candidate)


def _better(champion: Measures, candidate: Measures) -> GateCheck:
    """A champion is replaced by what is better, not by what is merely no worse."""
    gain = max(gain for measure in _GAINS if (gain := measure(champion, candidate)) is not None)
    return GateCheck(
        "champion_gain", "most gained over the champion in any of its aims", gain, _BETTER, False, Role.CHAMPION
    )


def _fewer_unwanted(champion: Measures, candidate: Measures) -> float | None:
    return champion.masses[Contrast.GATE].unwanted - candidate.masses[Contrast.GATE].unwanted


def _more_wanted(champion: Measures, candidate: Measures) -> float | None:
    return candidate.masses[Contrast.GATE].wanted - champion.masses[Contrast.GATE].wanted


def _lower_loss(champion: Measures, candidate: Measures) -> float | None:
    before, now = champion.texts.get(TextSet.RETRAINING), candidate.texts.get(TextSet.RETRAINING)
    return before.loss - now.loss if before and now else None


_GAINS: tuple[Callable[[Measures, Measures], float | None], ...] = (_fewer_unwanted, _more_wanted, _lower_loss)
"""Aims of a training: less of what is unwanted, more of what is wanted (probability), a lower loss (nats)."""
