from collections.abc import Callable
from datetime import date

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from expectations.text_faults import (
    MOJIBAKE,
    TextFault,
    coarse_letters,
    earliest_day,
    fewest_tokens,
    foreign_language,
    last_day,
    later_than,
    letters_and_digits,
    letters_and_digits_sql,
    sure_language,
    too_many_tokens,
)

FAULTS = {
    "mojibake": MOJIBAKE,
    "English": foreign_language(["en"]),
    "German or French": foreign_language(["de", "fr"], min_length=10),
    "512 tokens": too_many_tokens(),
    "6 tokens": too_many_tokens(6),
    "later": later_than(date(2018, 7, 31)),
}

english = st.sampled_from(
    ["the ", " the ", " and ", " this ", " very ", "-", "1", "!?", "½²", "日本", "e\u0301", "İ", "ΑΣ"]
)
faulty = st.sampled_from(["Ã©", "30å¡", "è_", "\ufffd", "\x85", "\x00", "\n", "👍🏽", "\u00ad", "\u3000"])
days = st.sampled_from(["2018-07-3", "2019-01-01", "31-Jul-18", "3/7/2018", "2018-07-32", "1 Aug 2018"])
foreign = st.sampled_from(["Dieses Kleid ist wunderschön. ", "Cette robe est très jolie. ", "مرحبا بكم في المتجر"])
pieces = english | faulty | days | foreign
texts = st.one_of(st.text(), st.lists(pieces | st.text(max_size=3), max_size=12).map("".join))


def in_duckdb(sql: str, values: list[str]) -> list[object]:
    """One value per text."""
    rows = duckdb.execute(f"select {sql} from (select unnest($texts::varchar[]) as x)", {"texts": values}).fetchall()
    return [value for (value,) in rows]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
@settings(max_examples=60, deadline=None)
@given(values=st.lists(texts, min_size=1, max_size=20))
def test_sql_never_calls_a_faulty_text_clean(fault: TextFault, values: list[str]) -> None:
    surely = in_duckdb(fault.surely_clean_sql("x"), values)
    assert all(fault.is_clean(text) for text, clean in zip(values, surely, strict=True) if clean)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_sql_settles_ordinary_short_texts_alone_and_leaves_null_open(fault: TextFault) -> None:
    ordinary = "2018-07-30T10:00:00Z" if fault is FAULTS["later"] else "Good"
    (clean,) = in_duckdb(fault.surely_clean_sql("x"), [ordinary])
    assert clean is True
    assert in_duckdb(fault.surely_clean_sql("nullif(x, x)"), ["Good"]) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "30å¡ Galvanized",
        "360è_ Tank Top",
        "Reads up to 1000è_F",
        "Crème brÃ»lÃ©e",
        "donâ€™t",
        "lat\ufffdrale",
        "smart\x92quote",
        "Für Ã¤ltere Geräte",
    ],
)
def test_broken_encoding_is_found(text: str) -> None:
    assert not MOJIBAKE.is_clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "Où étaient les œufs ? « À Noël », dit-il…",
        "¿Qué tal? ¡Así! — el niño comió piñas; 1.ª calidad",
        "Größe 42 für Füße, 5 €, 20 °C, 3 × 4 m²",
        "Çok güzel, ışıltılı bir İstanbul çantası",
        "Áo dài đẹp lắm, tôi rất thích chất lượng này",
        "Nestlé® Nescafé™, Beyoncé´s café_latte",
        "qualité¹ santé²",
        "Xin chào 👍🏽 😍 ❤️",
        "日本語のレビュー、とても良い。",
        "“quoted” – and ‘so’ on",
        "col·lecció · Düsseldorf·Köln",
    ],
)
def test_text_of_many_languages_is_not_taken_for_broken_encoding(text: str) -> None:
    assert MOJIBAKE.is_clean(text)


def test_a_long_text_in_another_language_is_foreign_and_a_short_one_is_not() -> None:
    german = "Dieses Kleid ist wunderschön, ich trage es jeden Tag im Büro."
    assert not foreign_language(["en"]).is_clean(german)
    assert foreign_language(["en", "de"]).is_clean(german)
    assert foreign_language(["en"]).is_clean("Sehr schön")
    assert not foreign_language(["en"], min_length=0).is_clean("Cette robe est très jolie")


def test_a_list_of_product_words_has_no_sure_language() -> None:
    assert foreign_language(["de"]).is_clean("Ryobi ONE+ 18-Volt Lithium-Ion Compact Drill/Driver Kit")
    assert sure_language("GE 3.6 Volt 700mAh NiCad 12345 XL-2000 5-Pack") is None


def test_older_codes_and_scripts_are_read_as_iso_639_1() -> None:
    assert sure_language("זה מוצר נהדר ואני ממליץ עליו לכל החברים שלי בחום") == "he"
    assert sure_language("這個產品非常好用，我很喜歡，下次還會再買給我的家人。") == "zh"


@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_no_text_stops_the_language_detector(text: str) -> None:
    assert sure_language(text) is None or len(str(sure_language(text))) <= 3


def test_every_code_point_passes_the_language_detector() -> None:
    for start in range(0, 0x110000, 0x400):
        points = [p for p in range(start, start + 0x400) if not 0xD800 <= p < 0xE000]
        sure_language("hello " + "".join(map(chr, points)) + " world")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: foreign_language([]), "empty"),
        (lambda: foreign_language(["xx"]), r"\['xx'\]"),
        (lambda: foreign_language(["en"], min_length=-1), "0 or more"),
        (lambda: too_many_tokens(2), "at least 3"),
        (lambda: last_day("soon"), "ISO date"),
        (lambda: last_day("2026-01-01", tolerance_days=-1), "0 or more"),
        (lambda: last_day("9999-12-31"), "ISO date"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 2),
        ("one two  three", 5),
        ("don't", 5),
        ("co\u00adop e\u0301te\u0301", 4),
        ("日本 go", 5),
        ("\u0301", 2),
        ("a\x00b \ufffd", 3),
        ("_", 3),
        ("👍🏽 nice", 4),
        ("a\tb\nc\u00a0d", 6),
    ],
)
def test_tokens_are_counted_from_below(text: str, tokens: int) -> None:
    assert fewest_tokens(text) == tokens


@given(text=texts)
def test_a_text_has_no_more_tokens_than_characters(text: str) -> None:
    assert 2 <= fewest_tokens(text) <= 2 + len(text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2018-07-31", "2018-07-31"),
        ("2018/7/31 10:00", "2018-07-31"),
        (" 31-Jul-18", "2018-07-31"),
        ("31 July 2018", "2018-07-31"),
        ("July 31st, 2018", "2018-07-31"),
        ("31.07.2018", "2018-07-31"),
        ("7/31/18", "2018-07-31"),
        ("8/7/2018", "2018-07-08"),
        ("1.1.70", "1970-01-01"),
    ],
)
def test_a_written_date_is_read_in_its_earliest_reading(text: str, day: str) -> None:
    assert str(earliest_day(text)) == day


@pytest.mark.parametrize("text", ["", "soon", "2018-13-45", "31-Foo-18", "99/99/2018", "2018-07-311", "1532995200"])
def test_what_is_no_date_is_not_later(text: str) -> None:
    assert earliest_day(text) is None
    assert later_than(date(1970, 1, 1)).is_clean(text)


@settings(max_examples=150, deadline=None)
@given(values=st.lists(texts, min_size=1, max_size=20))
def test_letters_and_digits_are_the_same_in_duckdb(values: list[str]) -> None:
    assert letters_in_duckdb(values) == [letters_and_digits(text) for text in values]


def test_letters_and_digits_are_the_same_for_every_code_point() -> None:
    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    assert letters_in_duckdb(every) == [letters_and_digits(char) for char in every]


def letters_in_duckdb(values: list[str]) -> list[object]:
    with duckdb.connect() as con:
        con.create_function("letters", letters_and_digits, ["VARCHAR"], "VARCHAR")
        sql = letters_and_digits_sql("x", "letters(x)")
        rows = con.execute(f"select {sql} from (select unnest($t::varchar[]) as x)", {"t": values}).fetchall()
    return [value for (value,) in rows]


def test_a_null_has_no_letters() -> None:
    with duckdb.connect() as con:
        con.create_function("letters", letters_and_digits, ["VARCHAR"], "VARCHAR")
        sql = letters_and_digits_sql("x", "letters(x)")
        assert con.execute(f"select {sql} from (select null::varchar as x)").fetchall() == [(None,)]


@st.composite
def two_ways_to_write(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and the same with other case, spaces and punctuation."""
    text = draw(st.text(st.sampled_from("abcdefgETAOIN01 .,!’é½👍"), max_size=60))
    signs = st.sampled_from(["", " ", "!", "--", "’", "\n", "👍", " " * 40])
    return text, "".join(draw(signs) + (char.swapcase() if draw(st.booleans()) else char) for char in text)


@settings(max_examples=300)
@given(two_ways_to_write())
def test_texts_of_the_same_letters_have_the_same_coarse_number(pair: tuple[str, str]) -> None:
    assume(letters_and_digits(pair[0]) == letters_and_digits(pair[1]))
    assert coarse_letters(pair[0].encode()) == coarse_letters(pair[1].encode())


def test_a_final_sigma_and_signs_before_it_change_no_coarse_number() -> None:
    assert letters_and_digits("ΟΔΟΣ, Α") != letters_and_digits("ΟΔΟΣΑ")
    assert coarse_letters("ΟΔΟΣ, Α".encode()) == coarse_letters("οδος α".encode())


def test_the_coarse_number_of_every_code_point_comes_from_its_letters_and_digits() -> None:
    for point in range(0x110000):
        if not 0xD800 <= point < 0xE000:
            form = letters_and_digits(chr(point))
            assert coarse_letters(chr(point).encode()) == coarse_letters(form.encode()), hex(point)
            assert (coarse_letters(chr(point).encode()) is None) == (form == ""), hex(point)


def test_english_is_recognised_by_its_small_words_whatever_their_case_and_the_signs_behind_them() -> None:
    english = foreign_language(["en"], min_length=0)
    text = "Because. Would! THERE, Müller Straßenfeger Gartenhäuser Wohnungstür Fensterläden"
    assert english.is_clean(text)
    assert not english.is_clean(text.replace("THERE", "dort"))
