"""What can be wrong with one text, seen by itself?

Every fault has one definition, in Python; beside it stands SQL that spares most rows the call of it. `surely_clean_sql`
is *sound*: it never holds for a faulty text. So `case when surely_clean then true else is_clean(x) end` says for every
row what `is_clean` alone says, and both engines agree.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pycld2
from ftfy.badness import BADNESS_RE, is_bad


@dataclass(frozen=True)
class TextFault:
    """One fault that a text may have."""

    name: str
    is_clean: Callable[[str], bool]
    """Whether a text is free of the fault. Takes any text, never raises."""
    surely_clean_sql: Callable[[str], str]
    """From a DuckDB VARCHAR expression, the condition under which nobody needs to ask `is_clean`; null for null."""


# --- mojibake: text decoded with the wrong encoding ----------------------------------------------------------------

_NEVER_MEANT = re.compile("[\ufffd\x80-\x9f]")
# Nothing puts a currency sign, a fraction or a lone diacritic right behind an accented letter. Signs that people do put
# there stay allowed: quotes « » ´, Nestlé®, footnotes ¹ ² ³, ª º, the separator ·, degrees, the soft hyphen.
_ACCENTED_THEN_SIGN = re.compile("[À-ÖØ-öø-ɏ](?:[¡¢£¤¥¦§¨¬¯±µ¶¸¼½¾]|_(?!\\w))")

# Behind a degree sign that became a letter, the unit stands in the same word: "1000è_F", "47è_Flood".
_DIGIT_ACCENTED_UNDERSCORE = re.compile("[0-9][À-ÖØ-öø-ɏ]_")


_BROKEN = (_NEVER_MEANT, _ACCENTED_THEN_SIGN, _DIGIT_ACCENTED_UNDERSCORE)


def _is_free_of_mojibake(text: str) -> bool:
    if text.isascii():
        return True
    return not (any(pattern.search(text) for pattern in _BROKEN) or is_bad(text))


def broken_encoding(text: str) -> tuple[tuple[int, int], ...]:
    """Where a text shows broken encoding: (start, end) in characters; they may overlap. None where `MOJIBAKE` is clean.

    >>> broken_encoding("30å¡ Galvanized"), broken_encoding("Crème")
    (((2, 4),), ())
    """
    if text.isascii():
        return ()
    return tuple(match.span() for pattern in (*_BROKEN, BADNESS_RE) for match in pattern.finditer(text))


def ascii_sql(expr: str) -> str:
    """DuckDB condition: the text has as many bytes as characters, so it is ASCII."""
    return f"(strlen({expr}) = length({expr}))"


MOJIBAKE = TextFault("mojibake", _is_free_of_mojibake, ascii_sql)
"""Broken encoding: what ftfy's heuristic finds, U+FFFD, C1 control characters, and an accented letter before a sign
(`30å¡ Galvanized`, `360è_ Tank Top`), which ftfy lets pass.

>>> MOJIBAKE.is_clean("Crème brûlée à 5 €"), MOJIBAKE.is_clean("360è_ Tank Top")
(True, False)
"""


# --- language -------------------------------------------------------------------------------------------------------

_ISO_639_1 = {"iw": "he", "jw": "jv", "nn": "no", "nb": "no"}  # CLD2's older and narrower names
_NO_SHOP_WRITES = frozenset({"un", "ia", "ie", "vo", "la", "sco"})
"""What CLD2 takes lists of English or French words for: unknown, constructed languages, Latin, Scots."""
_KNOWN_LANGUAGES = frozenset(
    _ISO_639_1.get(code, code) for _, code in pycld2.LANGUAGES if re.fullmatch("[a-z]{2}", code)
)
_BEST_SHARE = 70
"""Per cent of the text that the best language must cover, before a text counts as foreign."""
_ENGLISH = frozenset(
    ["the", "and", "this", "with", "have", "they", "that", "you", "very", "not", "it", "my", "these", "would", "could",
     "should", "because", "than", "from", "which", "were", "when", "their", "after", "about", "only", "there", "your",
     "what", "while"]
)  # fmt: skip
_ENGLISH_ENOUGH = 3
_ENGLISH_MOST = ("the", "and", "this", "it", "my", "not", "very", "with")
"""The eight that clear most texts; one regular expression over twelve has more states than RE2 keeps."""
# What CLD2 refuses: control characters and the code points that Unicode keeps for nobody.
_REFUSED_BY_CLD2 = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)


def foreign_language(languages: Iterable[str], min_length: int = 40) -> TextFault:
    """The fault of being written in none of the expected languages (ISO 639-1 codes, `en`, `de` …).

    A text counts as foreign when it has at least `min_length` characters and CLD2 is sure: reliable, and its best
    language covers 70 % of the text. With English expected, a text with three different English function words
    (`the`, `and`, `because` …, in any case, between white space and `.,!?`) is English before CLD2 is asked.

    Raises ValueError for no language, for a code that CLD2 does not know, and for a negative length.
    Source: D. Sites, Compact Language Detector 2, https://github.com/CLD2Owners/cld2

    >>> foreign_language(["en"]).is_clean("Dieses Kleid ist wunderschön, ich trage es jeden Tag im Büro.")
    False
    """
    expected = known_languages(languages)
    if min_length < 0:
        raise ValueError(f"min_length is a number of characters, 0 or more, got {min_length!r}")
    english = "en" in expected

    def is_clean(text: str) -> bool:
        if len(text) < min_length or (english and _looks_english(text)):
            return True
        best = sure_language(text)
        return best is None or best in expected

    def surely_clean_sql(expr: str) -> str:
        short = f"strlen({expr}) < {min_length}"  # bytes, never fewer than characters
        return f"({short} or {_looks_english_sql(expr)})" if english else f"({short})"

    return TextFault("foreign_language", is_clean, surely_clean_sql)


def known_languages(languages: Iterable[str]) -> frozenset[str]:
    """The codes, checked. Raises ValueError for none, and for one that the detector does not know.

    >>> sorted(known_languages(["en", "he"]))
    ['en', 'he']
    """
    expected = frozenset([languages] if isinstance(languages, str) else languages)
    if not expected:
        raise ValueError("languages is empty: name at least one ISO 639-1 code, such as 'en'")
    if unknown := sorted(str(code) for code in expected - _KNOWN_LANGUAGES):
        raise ValueError(f"{unknown} are not ISO 639-1 codes that the detector knows; write 'en', 'de', 'fr', 'zh' …")
    return expected


def sure_language(text: str) -> str | None:
    """ISO 639-1 code of the language that surely fills most of the text; None where CLD2 is not sure.

    >>> sure_language("Questa borsa è bellissima e molto comoda da portare ogni giorno.")
    'it'
    """
    try:
        reliable, _, details = pycld2.detect(text)
    except pycld2.error:  # looking for what it refuses takes as long as the detection
        reliable, _, details = pycld2.detect(_REFUSED_BY_CLD2.sub(" ", text))
    _, code, share, _ = details[0]
    if not reliable or share < _BEST_SHARE or code in _NO_SHOP_WRITES:
        return None
    code = str(code).split("-")[0]  # zh-Hant and sr-ME are scripts and places of one language
    return _ISO_639_1.get(code, code)


def _looks_english(text: str) -> bool:
    text = text.lower()
    for sign in ".,!?":
        text = text.replace(sign, " ")
    return len(_ENGLISH.intersection(text.split())) >= _ENGLISH_ENOUGH


def _looks_english_sql(expr: str) -> str:
    """DuckDB condition: it surely does. Two English texts in three are settled so."""
    return f"regexp_matches({expr}, '(?s) {_different_words(_ENGLISH_MOST, _ENGLISH_ENOUGH)}')"


def _different_words(words: tuple[str, ...], enough: int) -> str:
    """A regular expression: behind a space so many different words, in any order, between spaces."""
    if enough == 1:
        return f"(?:{'|'.join(words)}) "
    branches = (
        f"{word} (?:.* )?{_different_words(tuple(other for other in words if other != word), enough - 1)}"
        for word in words
    )
    return f"(?:{'|'.join(branches)})"


# --- tokens ---------------------------------------------------------------------------------------------------------

_SPECIAL_TOKENS = 2  # [CLS] and [SEP]
_CJK = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_PIECE = re.compile("[^ ]+")


class _Pieces(dict[int, str]):
    """What BERT's basic tokenizer makes of a character: nothing, a space, a piece of its own, or part of a word."""

    def __missing__(self, point: int) -> str:
        self[point] = kind = _piece(chr(point))
        return kind


def _piece(char: str) -> str:
    category = unicodedata.category(char)
    if char in "\t\n\r" or category[0] == "Z":
        return " "
    if category[0] == "C" or char == "\ufffd" or category == "Mn":
        return ""
    if any(low <= ord(char) <= high for low, high in _CJK):
        return " . "
    is_ascii_sign = char.isascii() and not char.isalnum()
    return " . " if is_ascii_sign or category[0] == "P" else "a"


_PIECES = _Pieces()


def fewest_tokens(text: str) -> int:
    """A lower bound of a BERT model's tokens: special tokens, one per word, punctuation mark and CJK character.

    Word pieces only make it more, so a text above a model's limit here is surely too long for it.
    Source: J. Devlin et al., BERT (2019), `BasicTokenizer`.

    >>> fewest_tokens("Runs small, sadly.")
    7
    """
    return _SPECIAL_TOKENS + len(_PIECE.findall(text.translate(_PIECES)))


def first_beyond(text: str, max_tokens: int) -> int | None:
    """Where the first of `fewest_tokens` begins that is one too many, in characters; None where all fit.

    >>> first_beyond("much too long.", 5), first_beyond("much too long", 5)
    (13, None)
    """
    if len(text) <= max_tokens - _SPECIAL_TOKENS:
        return None
    tokens, in_word = _SPECIAL_TOKENS, False
    for place, char in enumerate(text):
        piece = _PIECES[ord(char)]
        if not piece:
            continue
        tokens += piece == " . " or (piece == "a" and not in_word)
        if tokens > max_tokens:
            return place
        in_word = piece == "a"
    return None


def too_many_tokens(max_tokens: int = 512) -> TextFault:
    """The fault of being surely longer than a model reads: `fewest_tokens` above `max_tokens`.

    Raises ValueError when `max_tokens` leaves no room for a word.

    >>> too_many_tokens(5).is_clean("much too long"), too_many_tokens(5).is_clean("much too long.")
    (True, False)
    """
    if max_tokens <= _SPECIAL_TOKENS:
        raise ValueError(f"max_tokens must be at least {_SPECIAL_TOKENS + 1}, got {max_tokens!r}")

    def is_clean(text: str) -> bool:
        # Every piece takes a character, so a short text need not be cut up.
        return len(text) <= max_tokens - _SPECIAL_TOKENS or fewest_tokens(text) <= max_tokens

    return TextFault("too_many_tokens", is_clean, lambda expr: f"(strlen({expr}) <= {max_tokens - _SPECIAL_TOKENS})")


# --- dates in the future --------------------------------------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEAR_FIRST = re.compile("([0-9]{4})([-/.])([0-9]{1,2})\\2([0-9]{1,2})(?![0-9])")
_DAY_MONTH_NAME = re.compile("([0-9]{1,2})[ .-]*([A-Za-z]{3,9})[ .,-]*([0-9]{4}|[0-9]{2})(?![0-9])")
_MONTH_NAME_DAY = re.compile("([A-Za-z]{3,9})[ .]+([0-9]{1,2})(?:st|nd|rd|th)?[ ,]+([0-9]{4})(?![0-9])")
_YEAR_LAST = re.compile("([0-9]{1,2})([-/.])([0-9]{1,2})\\2([0-9]{4}|[0-9]{2})(?![0-9])")


def earliest_day(text: str) -> date | None:
    """The day that a written date begins with, in the reading that makes it earliest; None where it is no date.

    Read are years first (`2018-07-31T…`, `2018/7/31`), English month names (`31-Jul-18`, `July 31, 2018`), and day and
    month as numbers in both orders (`31/7/18`, `7/31/2018`). Two digits of a year are 1969–2068, as POSIX has it.

    >>> earliest_day("05/04/2018").isoformat(), earliest_day("31-Jul-18").isoformat(), earliest_day("soon")
    ('2018-04-05', '2018-07-31', None)
    """
    text = text.lstrip()
    if match := _YEAR_FIRST.match(text):
        year, _, month, day = match.groups()
        return _day(year, int(month), day)
    if match := _DAY_MONTH_NAME.match(text):
        day, name, year = match.groups()
        return _day(year, _month(name), day)
    if match := _MONTH_NAME_DAY.match(text):
        name, day, year = match.groups()
        return _day(year, _month(name), day)
    if match := _YEAR_LAST.match(text):
        one, _, other, year = match.groups()
        readings = (_day(year, int(one), other), _day(year, int(other), one))
        return min((reading for reading in readings if reading), default=None)
    return None


def _month(name: str) -> int:
    """1–12; 0, which is no month, for another word."""
    return _MONTHS.index(name[:3].lower()) + 1 if name[:3].lower() in _MONTHS else 0


def _day(year: str, month: int, day: str) -> date | None:
    full = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 69 else 1900)
    try:
        return date(full, month, int(day))
    except ValueError:
        return None


def last_day(moment: str, tolerance_days: int = 1) -> date:
    """The last day that is not yet the future: the ISO moment's day (in UTC), and some more for clocks and time zones.

    Raises ValueError for what is no ISO moment, and for a negative tolerance.

    >>> last_day("2026-11-20T23:30:00-05:00").isoformat()
    '2026-11-22'
    """
    if tolerance_days < 0:
        raise ValueError(f"tolerance_days is a number of days, 0 or more, got {tolerance_days!r}")
    try:
        parsed = datetime.fromisoformat(moment)
        return (parsed.astimezone(UTC) if parsed.tzinfo else parsed).date() + timedelta(days=tolerance_days)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"moment must be an ISO date or time such as 2026-11-20T19:58:01Z, got {moment!r}") from error


def later_than(day: date) -> TextFault:
    """The fault of being a written date later than `day`. What cannot be read as a date is not later.

    >>> later_than(date(2018, 7, 31)).is_clean("1-Aug-18")
    False
    """

    def is_clean(text: str) -> bool:
        found = earliest_day(text)
        return found is None or found <= day

    def surely_clean_sql(expr: str) -> str:
        iso = f"regexp_matches({expr}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
        return f"({iso} and left({expr}, 10) <= '{day.isoformat()}')"

    return TextFault("later_than", is_clean, surely_clean_sql)


# --- what is left of a text when only letters and digits count ------------------------------------------------------

# Ranges in which every engine and every Unicode version agrees on case, letters and digits; İ (U+0130) is left out,
# because Python lowers it to two characters and DuckDB to one.
_AGREED = (
    "\\x00-\u012f\u0131-\u017e\u2010-\u2027\u2030-\u205e\u20a0-\u20ac"
    "\u2600-\u2767\ufe0f\u200d\U0001f300-\U0001f64f\U0001f680-\U0001f6ff"  # emoji
)
_AGREED_KEPT = "0-9a-zª²³µ¹º¼½¾ß-öø-\u017e"


def letters_and_digits(text: str) -> str:
    """The text in lower case without anything but letters and digits: its form when it is compared with others.

    >>> letters_and_digits("Love it -- LOVE it!!")
    'loveitloveit'
    """
    return "".join(filter(str.isalnum, text.lower()))


def letters_and_digits_sql(expr: str, fallback: str) -> str:
    """The same in DuckDB; `fallback` calls `letters_and_digits` (a UDF over `expr`) where engines may disagree."""
    plain = f"regexp_replace(lower({expr}), '[^{_AGREED_KEPT}]', '', 'g')"
    return f"case when regexp_full_match({expr}, '[{_AGREED}]*') then {plain} else {fallback} end"


_ASCII_SIGNS = bytes(point for point in range(128) if not chr(point).isalnum())
_ASCII_LOWERED = bytes(range(256)).lower()
_NO_LETTER_OR_DIGIT = re.compile(r"\W")


def coarse_letters(written: bytes) -> int | None:
    """A number that is the same for all texts (in UTF-8) of the same letters and digits; None where there are none.

    It costs a tenth of `letters_and_digits`, from which it differs in a final sigma, and holds within one process.

    >>> coarse_letters(b"Love it!") == coarse_letters(b"love, IT"), coarse_letters(b"...") is None
    (True, True)
    """
    left = written.translate(_ASCII_LOWERED, _ASCII_SIGNS)
    if not left.isascii():
        # Without the signs between words, another sigma would be the final one.
        left = _NO_LETTER_OR_DIGIT.sub("", left.decode().lower()).replace("ς", "σ").encode()
    return hash(left) if left else None
