"""Which places have to be filled: whole words, a share of them, the same ones for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.masking import SPECIAL, Alphabet, Phrases, Span, gap, whole_words

ALPHABET = Alphabet(mask=4, size=100)


@st.composite
def texts(draw):
    """Tokens and the words they belong to, with [CLS] and [SEP]."""
    pieces = draw(st.lists(st.integers(1, 4), max_size=30))
    words = [SPECIAL, *(word for word, many in enumerate(pieces) for _ in range(many)), SPECIAL]
    ids = draw(st.lists(st.integers(5, 99), min_size=len(words), max_size=len(words)))
    return np.array(ids, np.int64), np.array(words, np.int64)


@given(texts(), st.floats(0, 1), st.integers(0, 2**32), st.booleans())
@settings(max_examples=200, deadline=None)
def test_whole_words_are_masked_a_share_of_them_and_nothing_else_changes(text, share, seed, only_masks):
    ids, words = text
    kept = ids.copy()
    masked = whole_words(ids, words, share, np.random.default_rng(seed), ALPHABET, only_masks=only_masks)
    there, chosen = set(words) - {SPECIAL}, set(words[masked.places])
    assert np.array_equal(ids, kept)
    assert len(chosen) == (max(1, round(share * len(there))) if there else 0)
    assert SPECIAL not in chosen
    assert masked.places.tolist() == [at for at, word in enumerate(words) if word in chosen]
    assert np.array_equal(masked.targets, ids[masked.places])
    elsewhere = np.setdiff1d(np.arange(len(ids)), masked.places)
    assert np.array_equal(masked.ids[elsewhere], ids[elsewhere])
    if only_masks:
        assert (masked.ids[masked.places] == ALPHABET.mask).all()


@given(texts(), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_the_same_seed_masks_the_same_places(text, seed):
    first, second = (whole_words(*text, 0.15, np.random.default_rng(seed), ALPHABET) for _ in range(2))
    assert np.array_equal(first.ids, second.ids)
    assert np.array_equal(first.places, second.places)


def test_another_seed_masks_other_places():
    ids, words = np.arange(5, 55), np.arange(50)
    found = {tuple(whole_words(ids, words, 0.2, np.random.default_rng(s), ALPHABET).places) for s in range(10)}
    assert len(found) == 10


def test_of_the_chosen_tokens_eight_of_ten_become_the_mask_and_one_of_ten_stays():
    ids, words = np.full(40_000, 7), np.arange(40_000)
    masked = whole_words(ids, words, 1.0, np.random.default_rng(1), ALPHABET)
    share_masked, share_same = (masked.ids == ALPHABET.mask).mean(), (masked.ids == 7).mean()
    assert abs(share_masked - 0.801) < 0.01
    assert abs(share_same - 0.101) < 0.01
    assert set(masked.ids) == set(range(100))


def test_every_word_is_chosen_about_equally_often():
    ids, words = np.arange(5, 25), np.repeat(np.arange(10), 2)
    counts = np.zeros(20)
    for seed in range(2_000):
        counts[whole_words(ids, words, 0.3, np.random.default_rng(seed), ALPHABET).places] += 1
    assert abs(counts / 2_000 - 0.3).max() < 0.05


@given(texts(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_gap_takes_the_phrase_out_and_leaves_the_rest(text, data):
    ids, _ = text
    start = data.draw(st.integers(0, len(ids) - 1))
    end = data.draw(st.integers(start + 1, len(ids)))
    many = data.draw(st.one_of(st.none(), st.integers(1, 5)))
    taken = gap(ids, Span(start, end), ALPHABET, masks=many)
    length = end - start if many is None else many
    assert len(taken.ids) == len(ids) - (end - start) + length
    assert taken.places.tolist() == list(range(start, start + length))
    assert (taken.ids[taken.places] == ALPHABET.mask).all()
    assert np.array_equal(np.delete(taken.ids, taken.places), np.delete(ids, np.s_[start:end]))
    same = length == end - start
    assert taken.targets.tolist() == (ids[start:end].tolist() if same else [-1] * length)


@pytest.mark.parametrize(
    ("phrases", "ids", "words", "found"),
    [
        ([[7]], [2, 7, 3], [-1, 0, -1], [Span(1, 2)]),
        ([[7]], [2, 7, 8, 3], [-1, 0, 0, -1], []),  # "cheap" in "cheap|ly"
        ([[8]], [2, 7, 8, 3], [-1, 0, 0, -1], []),
        ([[7, 8]], [2, 7, 8, 3], [-1, 0, 0, -1], [Span(1, 3)]),  # one word of two pieces
        ([[7, 8]], [2, 7, 8, 3], [-1, 0, 1, -1], [Span(1, 3)]),  # two words
        ([[7, 8]], [2, 7, 8, 9, 3], [-1, 0, 1, 1, -1], []),  # its second word goes on
        ([[7], [7, 8]], [7, 8, 7], [0, 1, 2], [Span(0, 2), Span(2, 3)]),
        ([[7, 7]], [7, 7, 7], [0, 1, 2], [Span(0, 2)]),
        ([[7, 8], [8, 9]], [7, 8, 9], [0, 1, 2], [Span(0, 2)]),
        ([[2]], [2, 7, 3], [-1, 0, -1], []),  # never a special token
        ([[], [7]], [7], [0], [Span(0, 1)]),
        ([[7, 8]], [7], [0], []),
        ([], [7], [0], []),
        ([[7]], [], [], []),
    ],
)
def test_phrases_are_found_at_whole_words_only(phrases, ids, words, found):
    assert Phrases(phrases).find(ids, words) == found


@given(texts(), st.lists(st.lists(st.integers(5, 12), min_size=1, max_size=3), max_size=6))
@settings(max_examples=200, deadline=None)
def test_what_is_found_stands_there_at_the_bounds_of_words_and_never_overlaps(text, phrases):
    ids, words = (values.tolist() for values in text)
    ids = [5 + value % 8 for value in ids]
    end = 0
    for span in Phrases(phrases).find(ids, words):
        assert span.start >= end
        end = span.end
        assert ids[span.start : span.end] in phrases
        assert words[span.start] != words[span.start - 1]
        assert words[span.end - 1] != words[span.end]
