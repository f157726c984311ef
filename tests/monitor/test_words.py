from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.words import WORD_BUCKETS, document_frequencies, incidence, tokens, word_bucket

TEXTS = st.lists(
    st.none() | st.text(st.characters(codec="utf-8"), max_size=60) | st.text("aB9' _'’é充電ア-\t\n", max_size=40),
    max_size=30,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't, DON'T!", ("don't",)),
        ("don’t", ("don't",)),
        ("'quoted' dogs' 'tis", ("quoted", "dogs", "tis")),
        ("a''b", ("a", "b")),
        ("snake_case 4.5", ("snake", "case", "4", "5")),
        ("Ünïcode STRASSE", ("ünïcode", "strasse")),
        ("e\u0301te\u0301", ("été",)),
        ("हिन्दी अच्छी", ("हिन्दी", "अच्छी")),
        ("充電器が遅い", ("充電", "電器", "器が", "が遅", "遅い")),
        ("iPhone充電器 本", ("iphone", "充電", "電器", "本")),
        ("튼튼한 가방", ("튼튼한", "가방")),
        ("… 👍 !!", ()),
        ("", ()),
    ],
)
def test_a_text_falls_into_its_words(text, words):
    assert tokens(text) == words


@settings(deadline=None)
@given(TEXTS)
@example(["a'", "b", "'c", "d'e", "''", "x'", "'"])
@example(["it's it's", None, "", "İ I"])
def test_whole_columns_are_cut_exactly_like_single_texts(texts):
    expected = np.zeros(WORD_BUCKETS, np.int64)
    for word, n in Counter(word for text in texts if text is not None for word in tokens(text)).items():
        expected[word_bucket(word)] += n
    found = document_frequencies(texts)
    assert np.array_equal(found.frequencies, expected)
    assert found.texts == sum(text is not None for text in texts)
    assert all(word_bucket(word) == bucket for bucket, word in found.words.items())
    assert found.words.keys() == set(np.flatnonzero(expected).tolist())


@settings(deadline=None)
@given(TEXTS.map(lambda texts: [text for text in texts if text is not None]), st.sampled_from([1, 20, 10**9]))
@example(["a'", "é d'e", ""], 1)
def test_each_text_has_its_words_once_however_many_are_held_at_a_time(texts, at_once):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("monitor.words._BYTES_AT_ONCE", at_once)
        found = incidence(pa.array(texts, pa.string()))
    pairs = sorted(
        (text, found.words[word]) for text, word in zip(found.text.tolist(), found.word.tolist(), strict=True)
    )
    assert pairs == sorted((i, word) for i, text in enumerate(texts) for word in tokens(text))
    assert len(set(found.words)) == len(found.words)


def test_a_slice_of_a_column_is_cut_like_the_texts_in_it():
    column = pa.chunked_array([["one two", None, "two's three"], [], ["vier é", "one'"]]).slice(1, 3)
    assert sorted(document_frequencies(column).words.values()) == ["three", "two's", "vier", "é"]


def test_many_texts_are_counted_like_few():
    texts = ["warm and light", "warm, too", None, "größer"]
    few, many = document_frequencies(texts), document_frequencies(texts * 10_001)
    assert np.array_equal(many.frequencies, few.frequencies * 10_001)
    assert many.words == few.words


def test_only_the_fullest_buckets_keep_a_word():
    rare = [f"w{i}" for i in range(25_000)]
    found = document_frequencies([" ".join(rare), "often", "often"])
    assert len(found.words) == 20_000
    assert found.words[word_bucket("often")] == "often"


def test_another_process_puts_a_word_into_the_same_bucket():
    words = ["waterproof", "größe", "充電"]
    asked = f"from monitor.words import word_bucket; print([word_bucket(w) for w in {words!r}])"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str([word_bucket(word) for word in words])
    assert all(0 <= word_bucket(word) < WORD_BUCKETS for word in words)
