"""Does the test of texts hold its level, see what changed, and say it in words and rows?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.profiles import NumberProfile, TextProfile
from monitor.text_shift import TextSettings, compare_samples, compare_texts
from monitor.words import document_frequencies, tokens

LENGTHS = NumberProfile(0, 0, np.array([]), np.array([0]), *[float("nan")] * 4)


def profile(texts):
    found = document_frequencies(texts)
    return TextProfile(found.texts, 0, len(texts), found.frequencies, found.words, LENGTHS)


def reviews(random, n, own=()):
    """Reviews of ten words after Zipf's law, and of three of `own` words each."""
    rates = 1 / np.arange(1, 401)
    words = random.choice(400, (n, 10), p=rates / rates.sum())
    texts = [[f"w{word}" for word in row] for row in words]
    return [" ".join([*text, *(random.choice(own, 3, replace=False) if len(own) else ())]) for text in texts]


SWIM = ["swimsuit", "bikini", "pool", "beach", "bathing", "padding", "cups", "straps"]


def mixed(random, n, replaced):
    return reviews(random, n - replaced) + reviews(random, replaced, SWIM)


def test_identical_texts_do_not_drift():
    texts = reviews(np.random.default_rng(0), 300)
    shift = compare_samples(texts, texts)
    assert shift.p_value == 1
    assert (shift.words, shift.typical, shift.effect) == ((), (), 0)


def test_order_does_not_matter_to_identical_texts():
    texts = reviews(np.random.default_rng(0), 200)
    assert compare_samples(texts, texts[::-1]).p_value == 1


@pytest.mark.parametrize("sides", [([], []), (["a coat"], []), ([], ["a coat"]), ([None], ["a coat"])])
def test_a_side_without_texts_cannot_differ(sides):
    shift = compare_samples(*sides)
    assert (shift.p_value, shift.effect, shift.words, shift.typical) == (1, 0, (), ())


@pytest.mark.parametrize("texts", [[""] * 20, ["!!!"] * 20, ["a"] * 20, [f"only{i}" for i in range(20)]])
def test_texts_without_telling_words_do_not_drift(texts):
    assert compare_samples(texts, texts).p_value == 1


def test_few_texts_against_many_can_drift_and_need_not():
    random = np.random.default_rng(1)
    usual = reviews(random, 400)
    assert compare_samples(usual, reviews(random, 5)).p_value > 0.05
    assert compare_samples(usual, ["broken zipper broken zipper"] * 5).p_value < 0.05
    assert compare_samples(["broken zipper"] * 5, usual).p_value < 0.05


def test_the_same_texts_give_the_same_answer():
    random = np.random.default_rng(2)
    pair = reviews(random, 200), mixed(random, 200, 20)
    assert compare_samples(*pair) == compare_samples(*pair)


def test_a_quiet_topic_is_seen_that_no_single_word_shows():
    random = np.random.default_rng(3)
    ours = [compare_samples(mixed(random, 500, 5), mixed(random, 500, 17)) for _ in range(20)]
    assert np.mean([shift.p_value <= 0.05 for shift in ours]) > np.mean(
        [s.tests["loudest word"] <= 0.025 for s in ours]
    )


def test_the_words_and_rows_that_came_are_named():
    random = np.random.default_rng(4)
    shift = compare_samples(reviews(random, 600), mixed(random, 600, 60))
    assert shift.p_value < 0.001
    assert shift.effect > shift.floor
    assert {word.word for word in shift.words} == set(SWIM)
    assert all(word.reference == 0 < word.current and word.z > 0 for word in shift.words)
    assert len(shift.typical) == 5
    assert min(shift.typical) >= 540


def test_words_that_went_are_named_too():
    random = np.random.default_rng(5)
    shift = compare_samples(mixed(random, 600, 60), reviews(random, 600))
    assert {word.word for word in shift.words} == set(SWIM)
    assert all(word.z < 0 for word in shift.words)


def test_typical_rows_keep_their_place_among_missing_ones():
    random = np.random.default_rng(6)
    current = [None, *reviews(random, 300), None, *reviews(random, 60, SWIM)]
    shift = compare_samples(reviews(random, 300), current)
    assert shift.typical
    assert all(not tokens_of(current[row]).isdisjoint(SWIM) for row in shift.typical)


def tokens_of(text):
    return set(tokens(text))


def test_a_stable_column_lists_no_words_and_rarely_alarms():
    random = np.random.default_rng(7)
    shifts = [compare_samples(reviews(random, 150), reviews(random, 150)) for _ in range(100)]
    alarms = [shift for shift in shifts if shift.p_value <= 0.05]
    assert len(alarms) <= 11  # P(more | rate 0.05) = 0.4 %
    assert not any(shift.words or shift.typical for shift in shifts if shift.p_value > 0.05)


def test_small_p_values_are_honest_too():
    random = np.random.default_rng(8)
    found = [compare_samples(reviews(random, 60), reviews(random, 60)).p_value for _ in range(150)]
    assert np.sum(np.array(found) <= 0.05 / 11) <= 4  # P(more | rate 0.0045) = 0.1 %


def test_texts_of_other_scripts_are_compared():
    before, after = ["это платье красное", "hübsche Jacke, süß"] * 60, ["это платье красное", "このコートは暖かい"] * 60
    shift = compare_samples(before, after)
    assert shift.p_value < 0.01
    assert any(word.word == "hübsche" and word.z < 0 for word in shift.words)


def test_all_counted_texts_speak_where_the_samples_are_silent():
    random = np.random.default_rng(9)
    before, after = reviews(random, 6000), mixed(random, 6000, 120)
    shift = compare_texts(profile(before), profile(after), before[:100], after[:100])
    assert compare_samples(before[:100], after[:100]).p_value > 0.05
    assert shift.p_value < 0.001
    assert {word.word for word in shift.words} == set(SWIM)
    assert (shift.reference, shift.current) == (6000, 6000)
    assert shift.effect == pytest.approx(max(abs(word.current - word.reference) for word in shift.words))


def test_counts_that_hold_no_more_than_the_samples_change_nothing():
    random = np.random.default_rng(10)
    before, after = reviews(random, 200), mixed(random, 200, 20)
    assert compare_texts(profile(before), profile(after), before, after) == compare_samples(before, after)


def test_a_trifle_in_many_texts_is_significant_but_below_the_floor():
    before, after = ["a coat"] * 100_000, ["a coat"] * 99_900 + ["a parka"] * 100
    shift = compare_texts(profile(before), profile(after), before[:500], after[:500])
    assert shift.p_value < 0.001
    assert 0 < shift.effect < shift.floor


def test_embeddings_see_what_words_do_not():
    before = [f"only{i}" for i in range(200)]
    after = [f"just{i}" for i in range(200)]

    def made_up(texts):
        return np.array([[text.startswith("just") * 1.0, len(text)] for text in texts])

    assert compare_samples(before, after).p_value == 1
    shift = compare_samples(before, after, TextSettings(embeddings=made_up))
    assert shift.p_value < 0.01
    assert "embeddings" in shift.tests


@pytest.mark.parametrize("vectors", [np.zeros((3, 2)), np.zeros(20), np.full((20, 2), np.nan)])
def test_embeddings_that_do_not_fit_are_refused(vectors):
    with pytest.raises(ValueError, match="embeddings"):
        compare_samples(["a coat"] * 10, ["a coat"] * 10, TextSettings(embeddings=lambda _: vectors))


@pytest.mark.parametrize("wrong", [{"level": 0}, {"level": 1.5}, {"permutations": 10}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        TextSettings(**wrong)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=12), st.lists(st.text(max_size=20), max_size=12))
def test_any_texts_give_a_probability_and_a_share(before, after):
    shift = compare_samples(before, after)
    assert 0 < shift.p_value <= 1
    assert 0 <= shift.effect <= 1
    assert all(0 <= row < len(after) for row in shift.typical)


# --- texts that belong together -------------------------------------------------------------------------------------


def clusters(random, n, each=8):
    """Texts of groups that have words of their own, as the products of one query have; and the groups."""
    own = [random.choice(400, 3, replace=False) for _ in range(n)]
    texts = [" ".join(f"w{word}" for word in (*words, *random.choice(400, 3))) for words in own for _ in range(each)]
    return texts, np.repeat(np.arange(n), each)


def test_texts_that_belong_together_are_no_more_evidence_than_one():
    alone, together = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        (before, was), (now, is_now) = clusters(random, 60), clusters(random, 60)
        settings = TextSettings(permutations=99)
        alone.append(compare_samples(before, now, settings).p_value)
        together.append(compare_samples(before, now, settings, (was, is_now)).p_value)
    assert np.mean(np.array(alone) <= 0.05) > 0.9, "each text for itself alarms for nothing"
    assert np.mean(np.array(together) <= 0.05) <= 0.2


def test_a_topic_in_many_groups_is_still_seen():
    random = np.random.default_rng(1)
    (before, was), (now, is_now) = clusters(random, 100), clusters(random, 100)
    now = [f"{text} {' '.join(random.choice(SWIM, 3))}" if n % 10 == 0 else text for n, text in enumerate(now)]
    shift = compare_samples(before, now, groups=(was, is_now))
    assert shift.p_value < 0.01
    assert len({word.word for word in shift.words} & set(SWIM)) > 4


def test_counts_of_all_texts_say_nothing_of_texts_that_belong_together():
    texts, groups = clusters(np.random.default_rng(2), 30)
    whole = profile(texts * 20), profile(["swimsuit"] * 5000)
    shift = compare_texts(*whole, texts, texts, groups=(groups, groups))
    assert "loudest word of all texts" not in shift.tests
    assert (shift.p_value, shift.reference) == (1.0, len(texts))
