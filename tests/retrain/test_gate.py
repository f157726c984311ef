"""A candidate passes at each limit, fails beyond it, and never passes by what could not be measured."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.gate import judge, score, shortfall
from retrain.results import Contrast, Gate, MassMeasure, Measures, Role, TextMeasure, TextSet
from retrain.settings import GateSettings

ALL = GateSettings(wanted_mass=None)


def measures(*, unwanted=0.3, wanted=0.25, others=0.3, complaints=0.1, general=200.0, project=400.0, held=300.0):
    texts = {TextSet.GENERAL: general, TextSet.PROJECT: project, TextSet.RETRAINING: held}
    masses = {
        Contrast.GATE: MassMeasure(wanted, unwanted, 3),
        Contrast.OTHER_BRANDS: MassMeasure(0.2, others, 6),
        Contrast.COMPLAINTS: MassMeasure(0.1, complaints, 3),
    }
    return Measures({s: TextMeasure(math.log(p), p, 100, 500) for s, p in texts.items()}, masses)


BASE = measures()
GOOD = {"unwanted": 0.015, "wanted": 0.5, "others": 0.28, "complaints": 0.11, "held": 150.0}


def judged(*, champion=None, settings=ALL, **candidate):
    models = {Role.BASE: BASE, Role.CANDIDATE: measures(**(GOOD | candidate))}
    return judge(models | ({Role.CHAMPION: champion} if champion else {}), settings)


def failed(gate):
    return [check.name for check in gate.failed]


def test_a_good_candidate_passes():
    gate = judged()
    assert gate.passed
    assert [check.name for check in gate.checks] == [
        "unwanted_mass",
        "wanted_mass",
        "other_brands_change",
        "complaints_change",
        "general_perplexity",
        "project_perplexity",
        "retraining_perplexity",
    ]


@pytest.mark.parametrize(
    ("name", "candidate", "limit", "worse"),
    [
        ("unwanted_mass", "unwanted", 0.02, math.inf),
        ("wanted_mass", "wanted", 0.25, -math.inf),
        ("general_perplexity", "general", 1.1 * 200.0, math.inf),
        ("project_perplexity", "project", 1.1 * 400.0, math.inf),
        ("retraining_perplexity", "held", 300.0, math.inf),
    ],
)
def test_each_number_passes_at_its_limit_and_fails_beyond_it(name, candidate, limit, worse):
    assert judged(**{candidate: limit}).passed
    assert failed(judged(**{candidate: math.nextafter(limit, worse)})) == [name]


@pytest.mark.parametrize(
    ("name", "candidate", "base"), [("other_brands_change", "others", 0.3), ("complaints_change", "complaints", 0.1)]
)
def test_what_is_to_stay_may_move_by_a_share_of_the_base_s_either_way(name, candidate, base):
    for moved in (0.8001, 1.1999):
        assert judged(**{candidate: base * moved}).passed
    for moved in (0.7999, 1.2001):
        assert failed(judged(**{candidate: base * moved})) == [name]


def test_a_least_wanted_mass_of_the_settings_takes_the_place_of_the_base_s():
    assert judged(wanted=0.4, settings=replace(ALL, wanted_mass=0.4)).passed
    assert failed(judged(wanted=0.4, settings=replace(ALL, wanted_mass=0.41))) == ["wanted_mass"]


@pytest.mark.parametrize(
    "name",
    [
        "unwanted_mass",
        "other_brands_change",
        "complaints_change",
        "general_perplexity",
        "project_perplexity",
        "retraining_perplexity",
    ],
)
def test_a_check_that_the_settings_leave_out_is_not_made(name):
    gate = judged(settings=replace(ALL, **{name: None}))
    assert name not in [check.name for check in gate.checks]
    assert len(gate.checks) == 6


def test_what_could_not_be_measured_is_no_pass_and_says_why():
    models = {Role.BASE: Measures(), Role.CANDIDATE: Measures()}
    gate = judge(models, ALL)
    assert not gate.passed
    assert len(gate.failed) == len(gate.checks) == 6  # a project without a text of its own is not asked for one
    assert all(check.value is None and check.reason for check in gate.checks)


def test_a_gate_that_asks_nothing_passes_nobody():
    assert not Gate().passed


NUMBERS = ["unwanted", "wanted", "others", "complaints", "general", "project", "held"]


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_no_number_never_passes(number):
    assert not judged(**{number: math.nan}).passed
    assert not judged(champion=BASE, **{number: math.nan}).passed
    of_base = {Role.BASE: measures(**{number: math.nan}), Role.CANDIDATE: measures(**GOOD)}
    if number != "unwanted":  # of the base's the settings alone ask nothing
        assert not judge(of_base, ALL).passed
    assert not judge({Role.BASE: BASE, Role.CANDIDATE: measures(**GOOD | {number: math.nan})}, ALL).passed


@pytest.mark.parametrize("number", ["general", "project", "held"])
def test_an_infinite_perplexity_never_passes(number):
    assert not judged(**{number: math.inf}).passed


# --- beside a champion ------------------------------------------------------------------------------------------------

CHAMPION = measures(**GOOD)


def test_the_champion_once_more_is_no_better_and_does_not_replace_it():
    assert failed(judged(champion=CHAMPION)) == ["champion_gain"]


@pytest.mark.parametrize("better", [{"unwanted": 0.0139}, {"wanted": 0.502}, {"held": 149.0}])
def test_a_candidate_that_is_better_in_one_aim_replaces_the_champion(better):
    assert judged(champion=CHAMPION, **better).passed


def test_a_gain_too_small_to_be_one_replaces_nobody():
    assert failed(judged(champion=CHAMPION, wanted=0.5009)) == ["champion_gain"]
    assert judged(champion=CHAMPION, wanted=0.501001).passed


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("champion_wanted_mass", {"wanted": 0.489}),
        ("champion_general_perplexity", {"general": 204.1}),
        ("champion_project_perplexity", {"project": 408.1}),
        ("champion_retraining_perplexity", {"held": 153.1}),
    ],
)
def test_a_candidate_that_is_worse_than_the_champion_is_told_in_what(name, worse):
    assert failed(judged(champion=CHAMPION, unwanted=0.001, **worse)) == [name]


def test_more_unwanted_words_than_the_champion_s_are_told():
    clean = measures(**GOOD | {"unwanted": 0.001})
    assert failed(judged(champion=clean, wanted=0.6)) == ["champion_unwanted_mass"]
    assert judged(champion=clean, wanted=0.6, unwanted=0.0109).passed


def test_a_little_worse_than_the_champion_is_chance():
    assert judged(champion=CHAMPION, unwanted=0.001, wanted=0.491, general=203.9, project=407.0, held=152.9).passed


# --- what a training is stopped by ------------------------------------------------------------------------------------


def test_what_passes_falls_short_by_nothing_and_then_the_loss_decides():
    good = measures(**GOOD)
    assert shortfall(good, BASE, ALL) == 0
    assert score(good, BASE, ALL) == pytest.approx(math.log(150))
    assert score(measures(**GOOD | {"held": 149.0}), BASE, ALL) < score(good, BASE, ALL)


def test_a_nearer_miss_is_better_than_a_farther_one_whatever_the_loss():
    near, far = measures(**GOOD | {"unwanted": 0.03, "held": 290.0}), measures(**GOOD | {"unwanted": 0.04})
    assert 0 < shortfall(near, BASE, ALL) == pytest.approx(0.5)
    assert score(near, BASE, ALL) < score(far, BASE, ALL)


def test_a_score_that_is_no_number_is_better_than_none():
    worse = score(measures(held=math.nan), BASE, ALL)
    assert not worse < score(BASE, BASE, ALL)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(1, 1e6))
def test_nothing_falls_short_exactly_when_the_gate_is_passed(unwanted, wanted, others, held):
    candidate = measures(unwanted=unwanted, wanted=wanted, others=others, held=held)
    gate = judge({Role.BASE: BASE, Role.CANDIDATE: candidate}, ALL)
    assert gate.passed == (shortfall(candidate, BASE, ALL) == 0)
