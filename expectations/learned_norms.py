"""What is usual in this column, and which of its values are not?

One pass counts keys (lengths, shapes of dates, words), a norm is learnt from the counts, and a second pass holds every
value against it. A norm kind and its norm say all of this twice, in Python and in DuckDB's SQL, and both agree on every
text, so that it does not matter which engine counts and which one judges.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any, Protocol

from rapidfuzz.distance import OSA

from expectations.sql import literal


class Norm(Protocol):
    """What was learnt."""

    def holds(self, value: str) -> bool:
        """Whether one value keeps to the norm."""

    def holds_sql(self, expr: str) -> str:
        """The same as a DuckDB condition over a VARCHAR expression; null for null."""

    def describe(self) -> str:
        """One sentence: what was learnt, and from how much."""

    def facts(self) -> dict[str, Any]:
        """What was learnt, as JSON values: all it takes to find the part of a value that breaks the norm."""


class NormKind(Protocol):
    """What can be learnt, and from which counts."""

    @property
    def several(self) -> bool:
        """Whether one value has several keys: `key` gives a tuple then, and `key_sql` a list to unnest."""

    def key(self, value: str) -> Any:
        """What is counted of a value."""

    def key_sql(self, expr: str) -> str:
        """The same as a DuckDB expression over a VARCHAR expression."""

    def learn(self, counts: Mapping[Any, int]) -> Norm:
        """The norm, from how often each key stands in the column (nulls are not counted)."""


def count_keys(kind: NormKind, values: Iterable[str]) -> Counter[Any]:
    """How often each key of the values occurs: what the counting pass of the scan gives, in Python.

    >>> count_keys(DateFormatKind(), ["31-Jul-18", "30-Jul-18", "1-Jul-18"])
    Counter({'00-Jul-00': 2, '0-Jul-00': 1})
    """
    if kind.several:
        return Counter(key for value in values for key in kind.key(value))
    return Counter(map(kind.key, values))


@dataclass(frozen=True)
class NothingLearnt:
    """The norm of a column in which nothing is usual: every value keeps to it."""

    reason: str

    def holds(self, value: str) -> bool:
        return True

    def holds_sql(self, expr: str) -> str:
        return f"({expr} is not null or null)"

    def describe(self) -> str:
        return self.reason

    def facts(self) -> dict[str, Any]:
        return {}


# --- texts cut off at a fixed length --------------------------------------------------------------------------------

_SHORTEST_CUT = 30
_MOST_STRAGGLERS = 0.005
"""Share of longer texts (imported from elsewhere, edited later) that does not hide a cut."""
_FEWEST_CUT = 20
_LEAST_RATIO = 3.0
_LARGEST_P = 1e-6
_ENDINGS = 32
"""Into how many classes the last two characters are sorted; 2^5, so that a key is length × 32 + class."""
_FEWEST_ENDINGS = 10
"""A cut leaves as many endings as there are texts; one text repeated, or a slogan behind every title, leaves few."""

_CLOSERS = "\"'’”»›)\\]}* \\t\\r\\n\ufe0f\u200d"
_ENDERS = ".!?…。！？～~:;\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2764"
_ENDS_A_SENTENCE = f"[{_ENDERS}][{_CLOSERS}{_ENDERS}]*\\z"
_ENDS_A_SENTENCE_RE = re.compile(_ENDS_A_SENTENCE.replace("\\z", "\\Z"))


@dataclass(frozen=True)
class CutOff:
    """Texts of `shortest` to `longest` characters were cut, unless they end as a sentence does."""

    shortest: int
    longest: int
    texts: int | None = None
    """How many texts have such a length; None where the length was given, not learnt."""
    expected: float = 0.0
    """How many the lengths below lead one to expect."""

    def holds(self, value: str) -> bool:
        if not self.shortest <= len(value) <= self.longest:
            return True
        return _ENDS_A_SENTENCE_RE.search(value) is not None

    def holds_sql(self, expr: str) -> str:
        inside = f"length({expr}) between {self.shortest} and {self.longest}"
        return f"(not ({inside}) or regexp_matches({expr}, {literal(_ENDS_A_SENTENCE)}))"

    def describe(self) -> str:
        if self.texts is None:
            return f"texts of {self.shortest} to {self.longest} characters should end as a sentence does"
        return (
            f"{self.texts:,} texts have {self.shortest} to {self.longest} characters where about {self.expected:,.0f} "
            "were to be expected: texts were cut at that length"
        )

    def facts(self) -> dict[str, Any]:
        return {"shortest": self.shortest, "longest": self.longest}


@dataclass(frozen=True)
class CutOffKind:
    """Were texts cut at a fixed length?

    Learnt from the histogram of lengths. Where texts are cut, they pile up just below the limit M. The window
    (M − w, M] (w is M / 20, at most 10 characters) holds a pile when it has at least 20 texts, three times as many as
    the slope of the 4 w lengths below it predicts, and as many by chance with p < 1e-6 (Poisson). At most 0.5 % of the
    texts may be longer than M. Where lengths fall smoothly, nothing is learnt and every row holds. Nor is a pile taken
    for a cut when its texts end in few ways (one text repeated), or when three quarters of the lengths below it
    stand empty (numbers and dates). So the key is the length and a class of the last two characters:
    length × 32 + class.
    """

    length: int | None = None
    """The known limit in characters, if it is known: then nothing is learnt, and the window is judged as it is."""

    several = False

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 1:
            raise ValueError(f"length is a number of characters, 1 or more, got {self.length!r}")

    def key(self, value: str) -> int:
        ending = 31 * ord(value[-2]) + ord(value[-1]) if len(value) >= _SHORTEST_CUT else 0
        return len(value) * _ENDINGS + ending % _ENDINGS

    def key_sql(self, expr: str) -> str:
        ending = f"(31 * unicode(({expr})[-2]) + unicode(({expr})[-1])) % {_ENDINGS}"
        length = f"length({expr})"
        return f"({length} * {_ENDINGS} + case when {length} >= {_SHORTEST_CUT} then {ending} else 0 end)"

    def learn(self, counts: Mapping[int, int]) -> CutOff | NothingLearnt:
        """The cut, from how many texts have each length and ending."""
        if self.length is not None:
            return CutOff(self.length - _window(self.length) + 1, self.length)
        lengths: Counter[int] = Counter()
        endings: defaultdict[int, set[int]] = defaultdict(set)
        for key, count in counts.items():
            lengths[key // _ENDINGS] += count
            endings[key // _ENDINGS].add(key % _ENDINGS)
        found = (_pile_below(top, lengths) for top in _possible_limits(lengths))
        piles = [pile for pile in found if pile and len(_endings_in(pile, endings)) >= _FEWEST_ENDINGS]
        return max(
            piles,
            key=lambda pile: pile.texts or 0,
            default=NothingLearnt("texts are not cut at a fixed length: long ones do not pile up"),
        )


def _window(limit: int) -> int:
    return min(10, max(1, limit // 20))


def _endings_in(pile: CutOff, endings: Mapping[int, set[int]]) -> set[int]:
    return {ending for n in range(pile.shortest, pile.longest + 1) for ending in endings.get(n, ())}


def _possible_limits(counts: Mapping[int, int]) -> Iterator[int]:
    allowed = _MOST_STRAGGLERS * sum(counts.values())
    longer = 0
    for length in sorted(counts, reverse=True):
        if length < _SHORTEST_CUT or longer > allowed:
            return
        yield length
        longer += counts[length]


def _pile_below(limit: int, counts: Mapping[int, int]) -> CutOff | None:
    width = _window(limit)

    def between(low: int, high: int) -> int:
        """Texts of more than `low` and at most `high` characters."""
        return sum(counts.get(length, 0) for length in range(low + 1, high + 1))

    near = between(limit - 3 * width, limit - width)
    far = between(limit - 5 * width, limit - 3 * width)
    occupied = sum(counts.get(length, 0) > 0 for length in range(limit - 5 * width + 1, limit - width + 1))
    if near + far < _FEWEST_CUT or occupied <= width:
        return None
    # Where lengths rise towards the window the rise goes on (its middle is 1.5 w further, the two bands 2 w apart);
    # where they fall, the fall is not extrapolated: both make a pile harder to claim.
    expected = max(near / 2 * max(1.0, (near / max(far, 1)) ** 0.75), 0.5)
    found = between(limit - width, limit)
    if found < max(_FEWEST_CUT, _LEAST_RATIO * expected) or _poisson_tail(found, expected) >= _LARGEST_P:
        return None
    usual = _LEAST_RATIO * expected / width
    shortest = min(n for n in range(limit - width + 1, limit + 1) if counts.get(n, 0) >= usual)
    share = (limit - shortest + 1) / width
    return CutOff(shortest, limit, between(shortest - 1, limit), expected * share)


def _poisson_tail(found: int, expected: float) -> float:
    """Upper bound of P(X ≥ found), X ~ Poisson(expected), for found > expected: first term times a geometric series."""
    first = math.exp(found * math.log(expected) - expected - math.lgamma(found + 1))
    return first / (1 - expected / (found + 1))


# --- dates written in one format ------------------------------------------------------------------------------------

_LETTERS = "(?:[A-Za-z]|[^\\x00-\\x7F])+"
_SHAPE_STEPS = tuple(
    (re.compile(pattern), into)
    for pattern, into in (
        ("[\\x00-\\x1F\\x7F]", " "),
        (_LETTERS, "a"),
        ("(:[0-9]{1,2})[.,][0-9]+", "\\1.F"),
        ("(:[0-9]{1,2}|F)( ?)[+-](?=[0-9])", "\\1\\2Z"),
        ("[0-9]{5,}", "L"),
        ("[0-9]{4}", "Y"),
        ("[0-9]{3}", "T"),
        ("[0-9]{1,2}", "D"),
    )
)
_SHAPE_REGEX = {
    "a": _LETTERS,
    ".F": "[.,][0-9]+",
    "Z": "[+-]",
    "L": "[0-9]{5,}",
    "Y": "[0-9]{4}",
    "T": "[0-9]{3}",
    "D": "[0-9]{1,2}",
    " ": "[\\x00-\\x20\\x7F]",
}
_SHAPE_SHOWN = {".F": ".9", "Z": "±", "L": "99999", "Y": "9999", "T": "999", "D": "9"}
_SHAPE_TOKEN = re.compile("\\.F|.", re.DOTALL)
_DIGITS, _ZEROS = "123456789", "000000000"
_COARSE = str.maketrans(_DIGITS, _ZEROS)


def date_shape(text: str) -> str:
    """The shape of a written date: D for 1–2 digits, T for 3, Y for 4, L for more, a for letters, .F for a fraction of
    seconds, Z for the sign of a time zone; everything else as it stands.

    >>> date_shape("2017-01-13T09:30:00.000Z"), date_shape("31-Jul-18"), date_shape("2017-01-13 09:30:00+0100")
    ('Y-D-DaD:D:D.Fa', 'D-a-D', 'Y-D-D D:D:DZY')
    """
    for pattern, into in _SHAPE_STEPS:
        text = pattern.sub(into, text)
    return text


def _shape_shown(shape: str) -> str:
    """The shape as a person reads it: 9999-9-9a9:9:9.9a."""
    return "".join(_SHAPE_SHOWN.get(token, token) for token in _SHAPE_TOKEN.findall(shape))


@dataclass(frozen=True)
class DateFormat:
    """Dates are written in the shape most of them have."""

    shape: str
    dates: int
    """How many dates were counted, and in which `share` of them the shape was found."""
    share: float
    _regex: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = (_SHAPE_REGEX.get(token) or re.escape(token) for token in _SHAPE_TOKEN.findall(self.shape))
        object.__setattr__(self, "_regex", "".join(parts))

    def holds(self, value: str) -> bool:
        return re.fullmatch(self._regex, value) is not None

    def holds_sql(self, expr: str) -> str:
        return f"regexp_full_match({expr}, {literal(self._regex)})"

    def describe(self) -> str:
        shown = _shape_shown(self.shape)
        return f"{self.share:.1%} of {self.dates:,} dates are written like {shown} (9: digits, a: letters)"

    def facts(self) -> dict[str, Any]:
        return {"format": _shape_shown(self.shape)}


@dataclass(frozen=True)
class DateFormatKind:
    """In which format are most dates of this column written?

    What is counted is cheaper than the shape, and not much more varied: the text with every digit as 0.
    """

    several = False

    def key(self, value: str) -> str:
        return value.translate(_COARSE)

    def key_sql(self, expr: str) -> str:
        return f"translate({expr}, '{_DIGITS}', '{_ZEROS}')"

    def learn(self, counts: Mapping[str, int]) -> DateFormat | NothingLearnt:
        """The most frequent shape; of equally frequent ones the first in alphabetical order."""
        shapes: Counter[str] = Counter()
        for coarse, count in counts.items():
            shapes[date_shape(coarse)] += count
        if not shapes:
            return NothingLearnt("there is no date to learn a format from")
        shape = min(shapes, key=lambda s: (-shapes[s], s))
        return DateFormat(shape, shapes.total(), shapes[shape] / shapes.total())


# --- dates that can be read in one way only -------------------------------------------------------------------------

_NUMBERED_MONTH = re.compile(" *(?:a[, ] *)?D *([-/. ]) *D *\\1 *(?P<year>[DY])(?![-/.:])")
_NAMED_MONTH = re.compile(" *(?:a[, ] *)?(?:Da?[-/. ,]*a[-/. ,]*|a[-/. ]+Da?[-/. ,]+)(?P<year>[DY])(?![-/.:])")


@dataclass(frozen=True)
class AmbiguousFormat:
    """A date format that two people may read as two different days."""

    format: str
    """As a person reads it: 9 for digits, a for letters."""
    dates: int
    """How many dates are written so."""
    why: str

    def __str__(self) -> str:
        return f"{self.format} ({self.dates:,} dates): {self.why}"


def ambiguous_dates(counts: Mapping[str, int]) -> tuple[AmbiguousFormat, ...]:
    """The formats of a column that leave open which day is meant; the most frequent first.

    `counts` are those of `DateFormatKind`. Ambiguous are day and month as numbers before the year, since one country
    writes one first and the next the other, and a year of two digits. What is no date, and a date without a year, is
    left alone. No dates, no formats.

    >>> print(*ambiguous_dates({"00-Jul-00": 2, "00/00/0000": 1, "0000-00-00": 5}), sep="; ")
    9-a-9 (2 dates): the year has two digits; 9/9/9999 (1 dates): day and month can be confused
    """
    shapes: Counter[str] = Counter()
    for coarse, count in counts.items():
        shapes[date_shape(coarse)] += count
    found = ((shape, _why_ambiguous(shape)) for shape in sorted(shapes, key=lambda s: (-shapes[s], s)))
    return tuple(AmbiguousFormat(_shape_shown(shape), shapes[shape], why) for shape, why in found if why)


def ambiguous_date_formats(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The value of the metric `column.ambiguous_date_formats`: `AmbiguousFormat`s as dictionaries.

    >>> ambiguous_date_formats({"0/0/00": 3})
    [{'format': '9/9/9', 'dates': 3, 'why': 'day and month can be confused, and the year has two digits'}]
    """
    return [asdict(one) for one in ambiguous_dates(counts)]


def _why_ambiguous(shape: str) -> str:
    numbered, named = _NUMBERED_MONTH.match(shape), _NAMED_MONTH.match(shape)
    match = numbered or named
    reasons = ["day and month can be confused"] if numbered else []
    if match and match["year"] == "D":
        reasons.append("the year has two digits")
    return ", and ".join(reasons)


# --- words spelled as usual -----------------------------------------------------------------------------------------

_WORD_LETTERS = "a-zß-öø-ɏ"
_WORDS = f"[{_WORD_LETTERS}]{{4,}}"
_WORDS_RE = re.compile(_WORDS)
_APOSTROPHES = str.maketrans("", "", "'’")
_EDGE = (f"(?:^|[^{_WORD_LETTERS}])", f"(?:[^{_WORD_LETTERS}]|\\z)")
_WORDS_IN_A_REGEX = 1_000
_SHORTEST_MISSPELLING = 5
_LONG_WORD = 8
_TIMES_MORE_FREQUENT = 20
_KNOWN_FROM = 3
_VOWELS = frozenset("aeiouy")
_MOST_TOLD = 1_000
"""Misspellings that are told one by one, the most frequent: 12 kB."""
_MAY_HOLD_A_WORD = re.compile("(?:[^\\W\\d_]|['’])+")


def words_of(text: str) -> tuple[str, ...]:
    """Words of four letters and more, in lower case, apostrophes left out.

    >>> words_of("Women's 30in. Toilet-seat")
    ('womens', 'toilet', 'seat')
    """
    # İ is the one letter that Python and DuckDB lower differently.
    return tuple(_WORDS_RE.findall(text.replace("İ", "i").lower().translate(_APOSTROPHES)))


def places_of_words(text: str, words: Collection[str]) -> tuple[tuple[int, int], ...]:
    """Where a text holds one of these words of `words_of`: (start, end) in characters, in their order.

    >>> places_of_words("A Sandel, and sandels", {"sandel"})
    ((2, 8),)
    """
    runs = _MAY_HOLD_A_WORD.finditer(text)
    return tuple(run.span() for run in runs if any(word in words for word in words_of(run[0])))


def _lower_sql(expr: str) -> str:
    return f"translate(lower(replace({expr}, 'İ', 'i')), '''’', '')"


@dataclass(frozen=True)
class UsualSpelling:
    """Words that are misspelt here, each with the word that was meant."""

    corrections: Mapping[str, str]
    words: int = 0
    """Different words that were looked at."""

    def holds(self, value: str) -> bool:
        return self.corrections.keys().isdisjoint(words_of(value))

    def holds_sql(self, expr: str) -> str:
        if not self.corrections:
            return NothingLearnt("").holds_sql(expr)
        # One automaton over the text is 20 times as fast as looking every word up in a list; RE2 bounds its size.
        misspelt = sorted(self.corrections)
        parts = (misspelt[i : i + _WORDS_IN_A_REGEX] for i in range(0, len(misspelt), _WORDS_IN_A_REGEX))
        found = (f"regexp_matches({_lower_sql(expr)}, '{_EDGE[0]}(?:{'|'.join(part)}){_EDGE[1]}')" for part in parts)
        return f"not ({' or '.join(found)})"

    def describe(self) -> str:
        if not self.corrections:
            return f"none of {self.words:,} words looks like a misspelling of a frequent one"
        examples = ", ".join(f"{wrong} (for {right})" for wrong, right in list(self.corrections.items())[:3])
        return f"{len(self.corrections):,} of {self.words:,} words look like misspellings: {examples}"

    def facts(self) -> dict[str, Any]:
        return {"misspelt": list(self.corrections)[:_MOST_TOLD]}


@dataclass(frozen=True)
class UsualSpellingKind:
    """Which words are misspellings of words that are frequent here?

    A word of five letters or more is one when a word at least 20 times as frequent stands at Damerau–Levenshtein
    distance 1 (optimal string alignment), and chance does not explain it better. So these are left alone: an ending
    more, less or other (plurals, inflections); in words of fewer than eight letters another first letter
    (`light`, `night`); in words of five letters another consonant (`black`, `blank`); and words that stand three times
    or more in the vocabulary.
    """

    several = True

    def key(self, value: str) -> tuple[str, ...]:
        return words_of(value)

    def key_sql(self, expr: str) -> str:
        return f"regexp_extract_all({_lower_sql(expr)}, '{_WORDS}')"

    def learn(self, counts: Mapping[str, int], vocabulary: Mapping[str, int] | None = None) -> UsualSpelling:
        """The misspellings, most frequent first, from the column's word counts and those of a trusted column beside it
        (product titles beside queries), which are added to them."""
        vocabulary = vocabulary or {}
        total = Counter(counts)
        total.update(vocabulary)
        frequent: defaultdict[str, list[str]] = defaultdict(list)
        for word, count in total.items():
            if count >= _TIMES_MORE_FREQUENT:
                for stump in _stumps(word):
                    frequent[stump].append(word)
        corrections = {}
        for word in sorted(counts, key=lambda w: (-counts[w], w)):
            if len(word) >= _SHORTEST_MISSPELLING and vocabulary.get(word, 0) < _KNOWN_FROM:
                meant = {right for stump in _stumps(word) for right in frequent.get(stump, ())}
                likely = [
                    right
                    for right in meant
                    if total[right] >= _TIMES_MORE_FREQUENT * total[word] and _is_slip(word, right)
                ]
                if likely:
                    corrections[word] = max(likely, key=lambda right: (total[right], right))
        return UsualSpelling(corrections, len(total))


def _stumps(word: str) -> set[str]:
    """The word and all it can be with one letter less: words one slip apart have one of these in common."""
    return {word} | {word[:i] + word[i + 1 :] for i in range(len(word))}


def _is_slip(word: str, meant: str) -> bool:
    if OSA.distance(word, meant, score_cutoff=1) != 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(word, meant, strict=False)) if a != b), min(len(word), len(meant)))
    if same >= min(len(word), len(meant)) - (len(word) == len(meant)):
        return False  # another ending
    if same == 0 and len(word) < _LONG_WORD:
        return False
    substituted = len(word) == len(meant) and word[same + 1 :] == meant[same + 1 :]
    if substituted and len(word) <= _SHORTEST_MISSPELLING:
        return {word[same], meant[same]} <= _VOWELS
    return True


# --- categories spelled one way -------------------------------------------------------------------------------------

MOST_CATEGORIES = 2_000
"""Columns with more different values are not categories, and are not examined."""
_SHORTEST_CATEGORY = 5
_FAR_MORE_FREQUENT = 5


@dataclass(frozen=True)
class TwoSpellings:
    """One category that is written in two ways."""

    usual: str
    usual_rows: int
    other: str
    other_rows: int

    def __str__(self) -> str:
        return f"{self.other!r} ({self.other_rows:,} rows) beside {self.usual!r} ({self.usual_rows:,} rows)"


def categories_spelled_two_ways(columns: Mapping[str, Mapping[str, int]]) -> tuple[TwoSpellings, ...]:
    """Pairs of values, over all columns, that look like one category written twice; the most frequent pair first.

    `columns` maps a column to how often each of its values occurs. Two values are a pair when they differ in case,
    spaces and punctuation alone; or, with five letters and more, by one slip (Damerau–Levenshtein distance 1), when one
    of them is at least five times as frequent. A slip is no ending (plurals), and no other consonant in words of fewer
    than eight letters (`Skirts`, `Shirts`). Values that differ in digits are never a pair. Columns of more than 2,000
    different values are not examined. No columns, no pairs.

    >>> print(*categories_spelled_two_ways({"division": {"Initmates": 9}, "class": {"Intimates": 90}}))
    'Initmates' (9 rows) beside 'Intimates' (90 rows)
    """
    rows: Counter[str] = Counter()
    for counts in columns.values():
        if len(counts) <= MOST_CATEGORIES:
            rows.update(counts)
    pairs = {frozenset(pair) for pair in _same_when_folded(rows)} | {frozenset(pair) for pair in _one_slip_apart(rows)}
    found = []
    for pair in pairs:
        usual, other = sorted(pair, key=lambda value: (-rows[value], value))
        found.append(TwoSpellings(usual, rows[usual], other, rows[other]))
    return tuple(sorted(found, key=lambda f: (-f.usual_rows - f.other_rows, f.usual, f.other)))


def category_spellings(columns: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """The value of the metric `table.categories_spelled_two_ways`, from how often each column holds each value.

    `pairs` are `TwoSpellings` as dictionaries; `not_examined` names the columns of more than 2,000 different values, of
    which it is enough to pass 2,001.

    >>> category_spellings({"colour": {"Black": 3, "black ": 2}})["pairs"]
    [{'usual': 'Black', 'usual_rows': 3, 'other': 'black ', 'other_rows': 2}]
    """
    return {
        "pairs": [asdict(pair) for pair in categories_spelled_two_ways(columns)],
        "not_examined": [name for name, counts in columns.items() if len(counts) > MOST_CATEGORIES],
    }


def _fold(value: str) -> str:
    return "".join(filter(str.isalnum, value.lower()))


def _digits(value: str) -> tuple[str, ...]:
    return tuple(re.findall("[0-9]+", value))


def _same_when_folded(values: Iterable[str]) -> Iterator[tuple[str, str]]:
    groups: defaultdict[Hashable, list[str]] = defaultdict(list)
    for value in values:
        # One letter may carry its meaning in its sign: C, C++, C#.
        if len(folded := _fold(value)) > 1 and any(char.isalpha() for char in folded):
            groups[folded, _digits(value)].append(value)
    for group in groups.values():
        yield from combinations(group, 2)


def _one_slip_apart(rows: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    stumps: defaultdict[str, list[str]] = defaultdict(list)
    for value in rows:
        if sum(char.isalpha() for char in value) >= _SHORTEST_CATEGORY:
            for stump in _stumps(value.lower().strip()):
                stumps[stump].append(value)
    for group in stumps.values():
        for one, other in combinations(group, 2):
            few, many = sorted((one, other), key=lambda value: rows[value])
            far = rows[many] >= _FAR_MORE_FREQUENT * rows[few]
            if far and _digits(one) == _digits(other) and _is_one_slip_of_a_category(few, many):
                yield one, other


def _is_one_slip_of_a_category(few: str, many: str) -> bool:
    few, many = few.lower().strip(), many.lower().strip()
    if not _is_slip(few, many):
        return False
    if len(few) != len(many) or sorted(few) == sorted(many):
        return True  # a letter too many, too few, or two swapped
    changed = {char for pair in zip(few, many, strict=True) if pair[0] != pair[1] for char in pair}
    return len(few) >= _LONG_WORD or changed <= _VOWELS
