"""Does each signal say of a row what its sentence promises?"""

from __future__ import annotations

import re
import time
import unicodedata
from contextlib import contextmanager
from functools import cache

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from expectations.batch import open_batch
from expectations.errors import ShopmonError
from expectations.kinds import KINDS, Holds
from monitor.formula import names_of, parse
from monitor.profiles import WORD_BUCKETS, NumberProfile, Profile, Sort, TextProfile
from monitor.signals import (
    ASKING,
    MODEL_SIGNALS,
    SIGNALS,
    Asked,
    ReadOnce,
    SignalSettings,
    Words,
    rarity,
    signal_named,
    signal_names,
    text_columns,
    text_of,
    where_words,
    words_pattern,
)
from monitor.words import tokens, word_bucket

WORDS = Words(brands=("Nike",), products=("running shoes",), wanted=("fashionable", "good"))


@contextmanager
def opened(tmp_path, columns, **kwargs):
    with open_batch(pa.table(columns), scratch=tmp_path, **kwargs) as batch:
        yield batch


def cheap(asked, name):
    """A cheap signal's values, in the order of the rows."""
    signal = signal_named(name, asked)
    source = f"(select *, {text_of(asked.batch)} as said from batch)"
    found = asked.batch.rows_of(f"select {signal.sql(asked)} from {source} order by __shopmon_row", asked.bound)
    return [value for (value,) in found]


@cache
def database():
    return duckdb.connect()


def mentions(words, text, matching="words"):
    said = "select regexp_matches(nfc_normalize(lower($text)), $pattern)"
    bound = {"text": text, "pattern": words_pattern(words, matching)}
    return database().execute(said, bound).fetchone()[0]


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("fashionable", "So unfashionable!", False),
        ("fashionable", "So FASHIONABLE!", True),
        ("nike", "Nike's best", True),
        ("nike", "Nike’s best", True),
        ("nike", "the Nikes", False),
        ("nike", "'Nike'", True),
        ("nike", "Nike-", True),
        ("nike", "Adidas--Nike--Puma", True),
        ("nike", "a Nike-like shoe", False),
        ("nike", "nike_shoes", False),
        ("nike", "nike2", False),
        ("good", "a good-looking shoe", False),
        ("good-looking", "a good-looking shoe", True),
        ("looking", "a good-looking shoe", False),
        ("running shoes", "running  \n shoes", True),
        ("running shoes", "running\u00a0shoes", True),
        ("running shoes", "running, shoes", False),
        ("doesn't work", "It doesn’t work.", True),
        ("crème", "CRÈME brûlée", True),
        ("crème", "cre\u0300me", True),
        ("creme", "cre\u0300me", False),
        ("鞋", "鞋", True),
        ("c++", "I like C++.", True),
        ("<b>", "size<b>42", True),
        ("nike", "", False),
    ],
)
def test_a_word_is_found_whole_and_in_any_case(word, text, found):
    assert mentions([word], text) is found


def test_a_part_of_a_word_is_found_only_where_it_is_asked_for():
    assert mentions(["fashionable"], "unfashionable", "substring")
    assert not mentions(["fashionable"], "unfashionable")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text("aB'’ é-", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=3),
    st.text("aBb'’ é\u0301-\n", max_size=12),
    st.sampled_from(["words", "substring"]),
)
@example(["running shoes"], "running \n shoes", "words")
@example(["a'b"], "A’B", "words")
@example(["'"], "a'b", "substring")
def test_few_words_are_found_just_as_by_their_pattern(words, text, matching):
    asked = Asked(None, SignalSettings(Words(brands=tuple(words)), matching))
    sql = f"select {SIGNALS['mentions_brand'].sql(asked)} from (select $said as said)"
    bound = {**asked.bound.used_in(sql), "said": text}
    assert database().execute(sql, bound).fetchone()[0] is mentions(words, text, matching)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("aB'’ é-+2鞋", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=3),
    st.text("aBb'’ é\u0301\u0903-\n\u3000+_2鞋", max_size=12),
    st.sampled_from(["words", "substring"]),
)
@example(["running shoes"], "running \n shoes", "words")
@example(["a'b"], "A’B", "words")
@example(["c++"], "I like C++.", "words")
@example(["nike"], "Nike's best", "words")
@example(["a"], "a\u0903", "words")
def test_where_words_stand_is_where_they_are_found(words, text, matching):
    composed = unicodedata.normalize("NFC", text)
    found = where_words(words, matching).search(composed)
    assert (found is not None) is mentions(words, text, matching)
    if found:
        same = {" ".join(unicodedata.normalize("NFC", w).lower().split()).replace("’", "'") for w in words}
        said = found.group().lower()
        assert matching == "substring" or " ".join(said.split()).replace("’", "'") in same


def test_no_words_stand_nowhere():
    assert where_words([]).search("Nike") is None


def test_sentiment_is_what_vader_says():
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    rng, vader = np.random.default_rng(1), SentimentIntensityAnalyzer()
    words = (
        "never so this without doubt the shit bomb kiss of death yeah right sort kind least but no nor GOOD bad shoe"
    )
    texts = [" ".join(rng.choice(words.split(), rng.integers(1, 12))) for _ in range(1000)]
    said = SIGNALS["sentiment"].compute(texts, Asked(None))
    assert said.tolist() == [vader.polarity_scores(text)["compound"] for text in texts]


@pytest.mark.parametrize("matching", ["words", "substring"])
@pytest.mark.parametrize(
    "word", [".*", "a|b", "(", "[a-z]", "x{2}", r"\d", "^", "'; drop table batch; --", "<script>", "a\\"]
)
def test_a_word_of_special_characters_means_only_itself(word, matching):
    assert mentions([word], f"before {word} after", matching)
    assert not mentions([word], "a b xx 7 z x", matching)


_LETTERS = "aB1_-'’ .éß\u0301鞋\n"
_TEXT = st.text(alphabet=_LETTERS, max_size=12)


def plainly_found(word, text):
    """The definition in plain Python: the runs of letters with single joiners inside, each compared whole."""
    text, word = (unicodedata.normalize("NFC", said.lower()).replace("’", "'") for said in (text, word))
    kept = re.sub(r"[^\w\u0300-\u036f'-]", " ", text)
    runs = re.findall(r"[\w\u0300-\u036f]+(?:['-][\w\u0300-\u036f]+)*", kept)
    return any(run in (word, f"{word}'s") for run in runs)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="aB1é鞋_", min_size=1, max_size=3), _TEXT)
@example("a", "a's")
@example("a", "-a")
@example("a", "b--a")
@example("a", "b-a")
def test_a_word_is_found_exactly_where_plain_python_finds_it(word, text):
    assert mentions([word], text) == plainly_found(word, text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="aB+é 1", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=4), _TEXT)
def test_a_list_is_found_where_any_of_its_words_is(words, text):
    assert mentions(words, text) == any(mentions([word], text) for word in words)


def test_an_empty_word_is_refused():
    with pytest.raises(ShopmonError, match="an empty one"):
        words_pattern(["nike", " "])


def test_mentions_are_told_row_by_row_and_missing_texts_say_nothing(tmp_path):
    with opened(tmp_path, {"text": ["Nike is good", "unfashionable", None], "stars": [5, 1, 2]}) as batch:
        asked = Asked(batch, SignalSettings(WORDS))
        assert cheap(asked, "mentions_brand") == [True, False, None]
        assert cheap(asked, "mentions_wanted") == [True, False, None]
        assert cheap(asked, "words") == [3.0, 1.0, None]
        assert cheap(asked, "characters") == [12.0, 13.0, None]


def test_a_list_without_words_cannot_be_asked(tmp_path):
    with opened(tmp_path, {"text": ["a"], "stars": [1]}) as batch:
        asked = Asked(batch, SignalSettings(WORDS))
        assert "unwanted" in SIGNALS["mentions_unwanted"].why_not(asked)
        assert not SIGNALS["mentions_brand"].why_not(asked)
        assert not SIGNALS["complains"].why_not(asked)


def test_complaints_are_found_by_shopmons_own_list(tmp_path):
    with opened(tmp_path, {"text": ["The sole fell apart.", "I want a refund", "lovely"], "stars": [1, 1, 5]}) as batch:
        assert cheap(Asked(batch), "complains") == [True, True, False]


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_kind_has_a_text(kind):
    roles = {role.name: role.holds for role in next(k for k in KINDS if k.name == kind).roles}
    assert all(roles[name] is Holds.TEXT for name in text_columns(kind))


def test_a_products_text_is_title_and_description(tmp_path):
    columns = {"title": ["Shoe", "Cap", None, ""], "description": ["Warm.", None, None, ""], "price": [1, 2, 3, 4]}
    with opened(tmp_path, columns, kind="products") as batch:
        said = batch.rows_of(f"select {text_of(batch)} from batch order by __shopmon_row")
        assert said == [("Shoe\nWarm.",), ("Cap",), (None,), (None,)]


def test_every_column_is_a_signal_under_its_own_name(tmp_path):
    columns = {
        "text": ["a", "b"], "stars": [5.0, float("nan")], "recommended": ["yes", None],
        "date": ["2026-01-31", None], "Age Group": ["20-30", None],
    }  # fmt: skip
    with opened(tmp_path, columns) as batch:
        asked = Asked(batch)
        assert cheap(asked, "stars") == [5.0, None]
        assert cheap(asked, "recommended") == [True, None]
        assert cheap(asked, "date") == ["2026-01-31", None]
        assert cheap(asked, "Age Group") == ["20-30", None]
        assert {"Age Group", "sentiment", "model_entropy", "confidence"} <= set(signal_names(asked))


def test_a_column_that_is_called_like_a_signal_has_another_name(tmp_path):
    with opened(tmp_path, {"text": ["a"], "stars": [1], "negative": ["mine"]}) as batch:
        asked = Asked(batch)
        assert signal_named("negative", asked) is SIGNALS["negative"]
        assert cheap(asked, "negative (of the file)") == ["mine"]


def test_a_role_that_the_batch_lacks_is_known_and_says_what_is_missing(tmp_path):
    with opened(tmp_path, {"text": ["a"], "stars": [1]}) as batch:
        asked = Asked(batch)
        assert signal_named("price", asked).why_not(asked) == "no column 'price'"
        assert signal_named("confidence", asked).why_not(asked) == "no column 'prediction_score'"
        assert signal_named("label_disagrees", asked).why_not(asked) == "no column 'prediction'"
        assert signal_named("pric", asked) is None


def test_predictions_are_held_against_labels(tmp_path):
    columns = {
        "query": ["a", "b", "c"], "product_text": ["x", "y", "z"],
        "label": ["E", "E", None], "prediction": ["E", "I", "I"], "prediction_score": [0.9, 0.4, 0.2],
    }  # fmt: skip
    with opened(tmp_path, columns, kind="relevance") as batch:
        asked = Asked(batch)
        assert cheap(asked, "label_disagrees") == [False, True, None]
        assert cheap(asked, "confidence") == [0.9, 0.4, 0.2]


def test_what_was_gathered_before_is_known_by_its_text_hash(tmp_path):
    from monitor.retraining_set import text_hash

    with opened(tmp_path, {"text": ["Cafe\u0301", "other"], "stars": [1, 2]}) as batch:
        batch.connection.register("gathered", pa.table({"text_hash": [text_hash("Caf\u00e9")]}))
        assert cheap(Asked(batch, known_hashes="gathered"), "in_retraining_set") == [True, False]
        assert cheap(Asked(batch), "in_retraining_set") == [False, False]


@pytest.fixture
def asked(tmp_path):
    with opened(tmp_path, {"text": ["a"], "stars": [1]}) as batch:
        yield Asked(batch)


def test_sentiment_is_vaders_compound_score(asked):
    texts = ["I love it, wonderful!", "It is terrible and broke.", "The box is blue."]
    best, worst, neutral = SIGNALS["sentiment"].compute(texts, asked)
    assert best > 0.5
    assert worst < -0.4
    assert neutral == 0
    assert SIGNALS["sentiment"].compute([], asked).shape == (0,)


def test_language_is_told_where_it_is_sure(asked):
    german = "Dieses Kleid ist wunderschön, ich trage es jeden Tag im Büro."
    assert SIGNALS["language"].compute([german, "ok"], asked).tolist() == ["de", None]


def test_a_text_is_too_long_exactly_where_the_expectations_say_so(asked):
    from expectations.text_faults import fewest_tokens

    formula = parse(SIGNALS["too_long"].formula(SignalSettings(too_long=5)))
    assert names_of(formula.tree) == ("characters", "tokens")
    texts = ["a b c", "a b c d", "abcd", "!!!!"]
    assert SIGNALS["tokens"].compute(texts, asked).tolist() == [fewest_tokens(text) for text in texts]


@pytest.mark.parametrize("name", [name for name, signal in SIGNALS.items() if signal.formula])
def test_a_signal_that_is_a_formula_speaks_of_signals(name, asked):
    formula = parse(SIGNALS[name].formula(asked.settings))
    assert all(signal_named(part, asked) is not None for part in formula.names)


@pytest.mark.parametrize("name", [*SIGNALS, *ASKING])
def test_every_signal_says_what_it_is_and_comes_from_one_place(name):
    signal = (SIGNALS | ASKING)[name]
    assert signal.name == name
    assert signal.says.endswith(".")
    assert sum(source is not None for source in (signal.sql, signal.formula, signal.compute)) == 1


def test_stars_are_held_against_the_ends_of_their_scale():
    formula = parse(SIGNALS["stars_disagree"].formula(SignalSettings(stars=(0, 100))))
    assert {part.right for side in formula.tree.parts for part in side.parts} == {-0.5, 75.0, 100.0, 0.5, 25.0, 0.0}
    assert parse(SIGNALS["stars_disagree"].formula(SignalSettings())).text.count("stars >= 4.0") == 1


# --- distance -------------------------------------------------------------------------------------------------------

NOTHING = NumberProfile(0, 0, np.array([]), np.array([0]), np.nan, np.nan, np.nan, np.nan)


def profile_of(texts, kind="reviews", column="text"):
    counts = np.zeros(WORD_BUCKETS, dtype=np.int64)
    for text in texts:
        counts[list({word_bucket(word) for word in tokens(text)})] += 1
    words = TextProfile(len(texts), 0, len(texts), counts, {}, NOTHING)
    sample = pa.table({column: pa.array(texts, pa.string())})
    return Profile(kind, len(texts), {column: Sort.TEXT}, {column: words}, {}, sample)


USUAL = [
    " ".join(["the", what, "are", *how[:count], "and i like them"])
    for count in (1, 2, 3)
    for what in ("shoes", "shoes", "shoes", "socks", "caps", "shirts")
    for how in (("warm", "light", "soft"), ("good", "fine", "warm"), ("soft", "good", "cheap"))
] * 10


def distances(asked, texts, reference):
    return SIGNALS["distance"].compute(texts, Asked(asked.batch, reference=reference))


def test_texts_like_the_references_are_near_and_others_are_far(asked):
    near, far, none = distances(
        asked,
        ["the caps are soft and i like them", "quantum flux capacitors oscillate wildly tonight", "…"],
        profile_of(USUAL),
    )
    assert abs(near) < 2
    assert far > 3
    assert np.isnan(none)


def test_the_references_own_texts_are_at_distance_zero_on_average(asked):
    assert abs(np.mean(distances(asked, USUAL, profile_of(USUAL)))) < 0.1


def test_one_odd_word_alone_is_nearer_than_many(asked):
    one, many = distances(asked, ["xylophone", "xylophone zither quasar nebula"], profile_of(USUAL))
    assert one < many


def test_distance_cannot_be_told_without_a_reference_or_from_too_few_texts(asked):
    distance = SIGNALS["distance"]
    assert "reference set" in distance.why_not(asked)
    assert "too few" in distance.why_not(Asked(asked.batch, reference=profile_of(["one text"])))
    assert "too few" in distance.why_not(Asked(asked.batch, reference=profile_of(["same text"] * 5)))
    assert "queries" in distance.why_not(Asked(asked.batch, reference=profile_of(USUAL, "queries", "query")))
    assert distance.why_not(Asked(asked.batch, reference=profile_of(USUAL))) == ""
    assert rarity(profile_of([])) is None


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODEL_SIGNALS)
def test_a_model_signal_is_known_and_needs_a_model(name, asked):
    assert signal_named(name, asked) is MODEL_SIGNALS[name]
    with pytest.raises(ShopmonError, match="shopmon retrain"):
        MODEL_SIGNALS[name].compute(["a"], asked)


def test_a_model_gives_one_value_for_each_text(asked):
    given_one = Asked(asked.batch, model=lambda texts: {"model_entropy": np.array([len(text) for text in texts])})
    assert MODEL_SIGNALS["model_entropy"].compute(["a", "bcd"], given_one).tolist() == [1.0, 3.0]
    with pytest.raises(ShopmonError, match="model_margin"):
        MODEL_SIGNALS["model_margin"].compute(["a"], given_one)
    short = Asked(asked.batch, model=lambda texts: {"model_entropy": np.array([0.5])})
    with pytest.raises(ShopmonError, match="1 values of model_entropy for 2 texts"):
        MODEL_SIGNALS["model_entropy"].compute(["a", "b"], short)


def test_a_model_reads_each_text_once_whatever_is_asked_of_it():
    read = []

    def model(texts):
        read.append(list(texts))
        return {"model_entropy": np.array([len(text) for text in texts], float), "model_margin": np.zeros(len(texts))}

    once = ReadOnce(model)
    assert once(["a", "bcd", "a"])["model_entropy"].tolist() == [1, 3, 1]
    assert once(["bcd", "ef"])["model_margin"].tolist() == [0, 0]
    assert once(["ef", "a"])["model_entropy"].tolist() == [2, 1]
    assert read == [[], ["a", "bcd"], ["ef"]], "of no text it only gets ready"
    assert once.texts == 3


def test_what_a_model_takes_to_get_ready_is_not_counted():
    once = ReadOnce(lambda texts: time.sleep(0.01 if texts else 0.5) or {"model_margin": np.zeros(len(texts))})
    once(["a"])
    assert 0.01 <= once.seconds < 0.4


def test_a_model_that_answers_too_little_is_told():
    once = ReadOnce(lambda texts: {"model_entropy": np.zeros(min(len(texts), 1))})
    with pytest.raises(ShopmonError, match="1 values of model_entropy for 2 texts"):
        once(["a", "b"])
