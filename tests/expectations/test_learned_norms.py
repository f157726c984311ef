import random
import re
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.learned_norms import (
    CutOff,
    CutOffKind,
    DateFormat,
    DateFormatKind,
    Norm,
    NormKind,
    NothingLearnt,
    UsualSpelling,
    UsualSpellingKind,
    ambiguous_dates,
    categories_spelled_two_ways,
    count_keys,
    date_shape,
    words_of,
)

dates = st.sampled_from(
    ["2018", "-", "07", ":", "30", ".000", ",5", "T", "Z", "+", "+0100", "-05:00", " ", "Jul", "März"]
)
words = st.sampled_from(
    ["toilet", "toliet", "Celing", "women's", "don’t", "İstanbul", "Größe", "ΑΣ", "\u212a", "ﬁ", "x"]
)
signs = st.sampled_from(
    ["\x00", "\n", "F", ".", "!", '"', "👍", ")", "5*", "½", "123456", "a sentence that goes on for long"]
)
pieces = dates | words | signs
texts = st.one_of(st.text(), st.lists(pieces | st.text(max_size=2), max_size=10).map("".join))
KINDS: dict[str, NormKind] = {
    "cut off": CutOffKind(),
    "cut off at 12": CutOffKind(12),
    "date format": DateFormatKind(),
    "usual spelling": UsualSpellingKind(),
}


def in_duckdb(sql: str, values: list[str]) -> list[Any]:
    rows = duckdb.execute(f"select {sql} from (select unnest($texts::varchar[]) as x)", {"texts": values}).fetchall()
    return [value for (value,) in rows]


def holds_alike(norm: Norm, values: list[str]) -> bool:
    return in_duckdb(norm.holds_sql("x"), values) == [norm.holds(value) for value in values]


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
@settings(max_examples=80, deadline=None)
@given(values=st.lists(texts, min_size=1, max_size=20))
def test_keys_and_norms_are_the_same_in_duckdb(kind: NormKind, values: list[str]) -> None:
    keys = in_duckdb(kind.key_sql("x"), values)
    assert [tuple(key) if kind.several else key for key in keys] == [kind.key(value) for value in values]
    assert holds_alike(kind.learn(count_keys(kind, values)), values)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_null_is_neither_usual_nor_unusual(kind: NormKind) -> None:
    norm = kind.learn(count_keys(kind, ["2018-01-02"]))
    assert duckdb.execute(f"select {norm.holds_sql('null::varchar')}").fetchall() == [(None,)]


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_nothing_counted_teaches_nothing(kind: NormKind) -> None:
    norm = kind.learn({})
    assert norm.holds("whatever")
    assert norm.describe()


def test_every_letter_is_split_into_the_same_words() -> None:
    every = [f"ab{chr(p)}cd" for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    found = in_duckdb(UsualSpellingKind().key_sql("x"), every)
    assert [tuple(words) for words in found] == [words_of(text) for text in every]


# --- cut off ---

ENDLESS = "the fit is lovely and the colour is just what i had hoped for but the zip is stiff and so " * 12


def reviews(longest: int) -> list[str]:
    """A thousand texts of 20 to `longest` characters, evenly spread."""
    lengths = random.Random(7).choices(range(20, longest), k=1_000)
    return [ENDLESS[i % 90 :][: length - 1] + "." for i, length in enumerate(lengths)]


def cut(values: list[str], at: int) -> list[str]:
    return [value[:at] for value in values]


def learnt(values: list[str], kind: NormKind | None = None) -> Any:
    kind = kind or CutOffKind()
    return kind.learn(count_keys(kind, values))


@pytest.mark.parametrize("limit", [60, 140, 255, 500])
def test_texts_cut_at_a_fixed_length_are_found(limit: int) -> None:
    values = cut(reviews(2 * limit), limit)
    norm = learnt(values)
    assert isinstance(norm, CutOff)
    assert norm.longest == limit
    failing = [value for value in values if not norm.holds(value)]
    assert len(failing) > 300
    assert all(len(value) > limit - 10 for value in failing)
    assert re.search(f"texts have .*{limit} characters", norm.describe())


def test_texts_trimmed_after_the_cut_are_found_as_well() -> None:
    values = [value.strip() for value in cut(reviews(600), 300)]
    norm = learnt(values)
    assert isinstance(norm, CutOff)
    assert not norm.holds("x" * 299)


def test_a_handful_of_longer_texts_does_not_hide_the_cut() -> None:
    values = [*cut(reviews(600), 300), "y" * 5_000, "z" * 400]
    norm = learnt(values)
    assert isinstance(norm, CutOff)
    assert norm.longest == 300
    assert norm.holds("y" * 5_000)


@pytest.mark.parametrize("values", [reviews(300), reviews(900), ["short"] * 500, []], ids=["300", "900", "one", "none"])
def test_lengths_that_fall_smoothly_teach_nothing(values: list[str]) -> None:
    norm = learnt(values)
    assert isinstance(norm, NothingLearnt)
    assert all(map(norm.holds, values))


def test_codes_of_one_length_are_not_cut() -> None:
    codes = [f"{i:036d}" for i in range(300)] + [f"user-{i:038d}" for i in range(300)]
    assert isinstance(learnt(codes), NothingLearnt)


def test_one_long_text_repeated_is_not_cut() -> None:
    assert isinstance(learnt(reviews(300) + ["w" * 300] * 200), NothingLearnt)


@pytest.mark.parametrize("end", [".", "!", "?", "…", '."', "!)", ". ", "😍", "!!! 👍", "?”"])
def test_a_text_that_ends_as_a_sentence_was_not_cut(end: str) -> None:
    norm = CutOff(1, 20)
    assert norm.holds("it fits" + end)
    assert not norm.holds("it fits" + end + " a")
    assert holds_alike(norm, ["it fits" + end, "it fits" + end + " a"])


def test_a_known_limit_is_not_learnt() -> None:
    assert learnt(["short"], CutOffKind(length=100)) == CutOff(96, 100)
    with pytest.raises(ValueError, match="1 or more"):
        CutOffKind(length=0)


# --- date format ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2018-01-02T00:00:00Z", "2018-01-02T00:00:00.000Z"),
        ("2018-01-02T00:00:00Z", "2018-01-02T00:00:00+0000"),
        ("2018-01-02T00:00:00+0000", "2018-01-02T00:00:00+00:00"),
        ("2018-01-02", "02-01-2018"),
        ("2018-01-02", "2018/01/02"),
        ("31-Jul-18", "31-Jul-2018"),
        ("July 5, 2018", "5 July 2018"),
        ("20180102", "2018"),
    ],
)
def test_different_formats_have_different_shapes(one: str, other: str) -> None:
    assert date_shape(one) != date_shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2018-01-02T00:00:00.1Z", "2019-11-12T10:30:00.123456Z"),
        ("2018-01-02 10:00:00+0100", "2018-01-02 10:00:00-0500"),
        ("31-Jul-18", "1-March-19"),
        ("5. März 2018", "12. Juli 2019"),
        ("1/2/18", "11/12/18"),
    ],
)
def test_one_format_has_one_shape(one: str, other: str) -> None:
    assert date_shape(one) == date_shape(other)


@settings(max_examples=300, deadline=None)
@given(usual=texts, value=texts)
def test_a_norm_holds_exactly_where_the_shape_is_the_same(usual: str, value: str) -> None:
    norm = DateFormat(date_shape(usual), 1, 1.0)
    assert norm.holds(usual)
    assert norm.holds(value) is (date_shape(value) == date_shape(usual))
    assert holds_alike(norm, [usual, value])


def test_the_most_frequent_format_is_the_norm_and_is_shown() -> None:
    norm = learnt(["2018-01-02"] * 3 + ["01/02/2018"], DateFormatKind())
    assert [norm.holds(d) for d in ("1999-12-31", "01/02/2018")] == [True, False]
    assert norm.describe() == "75.0% of 4 dates are written like 9999-9-9 (9: digits, a: letters)"


def test_equally_frequent_formats_are_settled_the_same_way_every_time() -> None:
    values = ["2018-01-02", "01/02/2018"]
    assert learnt(values, DateFormatKind()) == learnt(values[::-1], DateFormatKind())


# --- dates that can be read in one way only ---


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("31-Jul-18", "the year has two digits"),
        ("Jul 31, 18", "the year has two digits"),
        ("Tue, 31 Jul 18", "the year has two digits"),
        ("20/09/2022 23:32:28", "day and month can be confused"),
        ("3.4.2024", "day and month can be confused"),
        ("7/31/18", "day and month can be confused, and the year has two digits"),
    ],
)
def test_a_date_that_two_people_read_differently_is_ambiguous(written: str, why: str) -> None:
    (found,) = ambiguous_dates(count_keys(DateFormatKind(), [written] * 3))
    assert (found.dates, found.why) == (3, why)


@pytest.mark.parametrize(
    "written",
    ["2018-07-31", "2018/7/31 10:30", "2024-12-10T00:01:29.378+0000", "July 31, 2018", "31st Jul 2018", "20180731",
     "1533024000", "10:30:15", "12 Jul 10:30", "soon", ""],
)  # fmt: skip
def test_a_date_that_everybody_reads_alike_is_left_alone(written: str) -> None:
    assert ambiguous_dates(count_keys(DateFormatKind(), [written])) == ()


# --- usual spelling ---

COMMON = {"toilet": 900, "ceiling": 500, "refrigerator": 100, "light": 800, "white": 400, "filters": 300, "steel": 300}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("toliet", "toilet"),
        ("celing", "ceiling"),
        ("refridgerator", "refrigerator"),
        ("fulters", "filters"),
        ("steal", "steel"),
    ],
)
def test_a_slip_of_a_frequent_word_is_a_misspelling(wrong: str, right: str) -> None:
    norm = UsualSpellingKind().learn({**COMMON, wrong: 3})
    assert norm.corrections == {wrong: right}
    assert not norm.holds(f"White {wrong.upper()}, 2in")
    assert f"{wrong} (for {right})" in norm.describe()
    assert holds_alike(norm, [f"a {wrong}", f"a{wrong}", f"{wrong}s", right, f"{wrong}2", wrong.title(), f"'{wrong}'"])


@pytest.mark.parametrize(
    "word",
    [
        "night",  # another first letter
        "toilets",
        "lights",
        "lighty",
        "whites",
        "while",  # another consonant in five letters
        "toil",
        "steels",
    ],
)
def test_a_word_that_is_merely_similar_is_left_alone(word: str) -> None:
    assert UsualSpellingKind().learn({**COMMON, word: 2}).corrections == {}


def test_a_word_must_be_twenty_times_as_frequent_to_correct_another() -> None:
    kind = UsualSpellingKind()
    assert kind.learn({"toilet": 60, "toliet": 3}).corrections == {"toliet": "toilet"}
    assert kind.learn({"toilet": 59, "toliet": 3}).corrections == {}


def test_the_vocabulary_lends_frequency_and_vouches_for_its_own_words() -> None:
    kind = UsualSpellingKind()
    assert kind.learn({"toliet": 3}, {"toilet": 60}).corrections == {"toliet": "toilet"}
    assert kind.learn({"toliet": 1, "toilet": 400}, {"toliet": 3}).corrections == {}
    assert kind.learn({"lamp": 1}, {"toliet": 1, "toilet": 60}).corrections == {}  # titles are not judged


def test_thousands_of_misspellings_are_still_told_apart_in_duckdb() -> None:
    wrong = {f"word{a}{b}{c}": "x" for a in "abcdefghijklm" for b in "abcdefghijklm" for c in "abcdefghijklm"}
    norm = UsualSpelling(wrong)
    assert holds_alike(norm, ["a wordabc here", "wordmmm", "wordnnn", "wordabcd", "ordabc"])


@given(st.dictionaries(st.text("abcd", min_size=4, max_size=7), st.integers(1, 500), max_size=40))
def test_no_word_corrects_itself_or_a_more_frequent_one(counts: dict[str, int]) -> None:
    corrections = UsualSpellingKind().learn(counts).corrections
    assert all(counts[right] >= 20 * counts[wrong] for wrong, right in corrections.items())


# --- categories ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Intimates", "Initmates"),
        ("Jackets", "Jakets"),
        ("T-Shirt", "t shirt"),
        ("Black", " black"),
        ("Grey", "GREY"),
        ("Electronics", "Electronncs"),
    ],
)
def test_one_category_spelled_two_ways_is_found(one: str, other: str) -> None:
    (pair,) = categories_spelled_two_ways({"c": {one: 50, other: 10}})
    assert (pair.usual, pair.usual_rows, pair.other, pair.other_rows) == (one, 50, other, 10)
    assert categories_spelled_two_ways({"a": {one: 50}, "b": {other: 10}}) == (pair,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Skirts", "Shirts"),
        ("Dress", "Dresses"),
        ("Boot", "Boots"),
        ("Size 10", "Size 11"),
        ("1.5", "15"),
        ("1/2 inch", "12 inch"),
        ("C", "C++"),
        ("Red", "Rad"),
        ("日本", "日木"),
    ],
)
def test_two_categories_that_look_alike_are_left_alone(one: str, other: str) -> None:
    assert categories_spelled_two_ways({"c": {one: 50, other: 1}}) == ()


def test_a_slip_as_frequent_as_the_word_may_be_a_word() -> None:
    assert categories_spelled_two_ways({"c": {"Intimates": 50, "Initmates": 11}}) == ()


def test_a_column_of_too_many_values_is_not_examined() -> None:
    many = {f"Category {i}": 1 for i in range(2_000)}
    assert categories_spelled_two_ways({"c": {**many, "category 1": 1}}) == ()
    assert len(categories_spelled_two_ways({"c": {"Category": 1, "category": 1}, "d": many})) == 1


@given(st.dictionaries(st.text("abAB -", max_size=7), st.integers(1, 50), max_size=20))
def test_every_pair_names_two_values_that_occur(counts: dict[str, int]) -> None:
    pairs = categories_spelled_two_ways({"c": counts})
    assert all(counts[p.usual] == p.usual_rows >= p.other_rows == counts[p.other] for p in pairs)
    assert len({frozenset((p.usual, p.other)) for p in pairs}) == len(pairs)
