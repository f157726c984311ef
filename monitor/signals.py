"""What can be said of each row? One value per row, computed for whole columns.

`SIGNALS` is the table of them; a batch's own columns are signals as well, under their own names. A cheap signal is an
SQL expression, which DuckDB computes for all rows. A dear one is computed in Python for the rows it can still decide.
Others are formulas over these.
"""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from expectations.batch import Batch
from expectations.columns import Column
from expectations.errors import ShopmonError
from expectations.kinds import KINDS, Holds
from expectations.sql import Bound, any_of
from expectations.text_faults import fewest_tokens, sure_language
from monitor.profiles import Profile, TextProfile
from monitor.words import incidence, word_bucket

MASKED, RELEVANCE, INFERENCE = "mlm", "relevance", "nli"
"""Tasks whose models signals ask."""
IN_RETRAINING_SET = "in_retraining_set"
SAID = "said"
"""The column of the relation that signals are computed over: the text that a model learns from."""
POSITIVE, NEGATIVE = 0.05, -0.05
"""VADER's compound score from which a text counts as positive, and down to which as negative: its authors' thresholds.
Source: https://github.com/cjhutto/vaderSentiment#about-the-scoring"""
STRONG = 0.5
"""Compound score (0–1, either sign) of a text that nobody takes for the opposite: half of what the score can reach."""
LONGEST = 10_000
"""Characters of a text that sentiment, language and distance look at: a longer one could stop a check."""
SAMPLED = 3_000
"""Texts of the reference's sample by which distance is scaled: a standard deviation is known to 1.3 % then."""
USUAL_WORDS = 5
"""Words of usual rarity that each text counts as having besides its own: one odd word alone must not be an outlier."""
_PARTS = 2**32
"""Parts of a bit."""
_FEW = 4
"""Words up to which looking for each takes less time than one pattern of them all: a sixth of it for each."""

COMPLAINTS = (
    "broke", "broken", "cheaply made", "complain", "complaint", "damaged", "defect", "defective", "disappointed",
    "disappointing", "disappointment", "does not work", "doesn't work", "fell apart", "faulty", "horrible", "junk",
    "money back", "never again", "poor quality", "refund", "returned it", "returning it", "ripped", "scam",
    "sent it back", "stopped working", "terrible", "too expensive", "torn", "useless", "waste of money", "worst",
    "worthless", "wrong size",
)  # fmt: skip
"""English words and phrases by which customers say that something is wrong."""

Matching = Literal["words", "substring"]
Values = NDArray[Any]
"""One value per text; None or NaN where nothing can be said."""
Row = tuple[str | None, ...]
"""What a model is given of one row: the texts that it reads, and whatever else it must know."""


@dataclass(frozen=True)
class Words:
    """Words and phrases by which rows are told apart: whole words, in any case, nothing else implied.

    `fashionable` is not in "unfashionable", "Nike's" is about Nike, "good-looking" is one word, and a plural is another
    word. Each is text: none of its characters means anything else.
    """

    brands: tuple[str, ...] = ()
    """The brands this shop speaks for."""
    other_brands: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    """What people praise or blame: comfort, fit, quality."""
    wanted: tuple[str, ...] = ()
    """Words a model should say of the brands."""
    unwanted: tuple[str, ...] = ()
    """Words a model should not say of the brands."""
    complaints: tuple[str, ...] = COMPLAINTS


@dataclass(frozen=True)
class SignalSettings:
    """What signals are measured against."""

    words: Words = Words()
    matching: Matching = "words"
    """`substring` finds "fashionable" in "unfashionable"; only to repeat experiments that did so."""
    too_long: int = 512
    """Tokens beyond which a text is `too_long`; what DistilBERT reads (Sanh et al., 2019)."""
    stars: tuple[float, float] = (1, 5)
    """Least and most stars that a review can give."""


@dataclass(frozen=True)
class Reader:
    """A model that reads more of a row than its text; signals of its task ask it."""

    reads: tuple[str, ...]
    """SQL over a relation with the batch's columns and `said`: what it is given of a row, each as text."""
    says: Callable[[Sequence[Row]], Mapping[str, Values]]
    """From n rows to n values of each signal of its task, by their names."""
    counted: Callable[[], tuple[int, float]] = lambda: (0, 0.0)
    """How many different texts it has read for these signals, and the seconds that took."""
    model: str = ""
    """Its name in the registry."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Signal → why this batch does not let it be computed; "" stands for all of them."""


@dataclass(frozen=True)
class Asked:
    """Of what signals are asked."""

    batch: Batch
    settings: SignalSettings = SignalSettings()
    bound: Bound = field(default_factory=Bound)
    """Collects the values of the SQL that is written."""
    reference: Profile | None = None
    known_hashes: str | None = None
    """The relation whose column `text_hash` holds the texts gathered before; None where none were."""
    model: Callable[[Sequence[str]], Mapping[str, Values]] | None = None
    """Computes the model signals of texts, by their names; of no text it only gets ready."""
    readers: Mapping[str, Reader] = field(default_factory=dict)
    """Task → the model that signals of that task ask."""
    lowered: str = f"lower({SAID})"
    """SQL: the text in lower case; a relation that holds it in a column spares every list of words to make it."""

    @cached_property
    def rarity(self) -> Rarity | None:
        """How rare the reference's words are; None where there is no reference, or too little in it."""
        return None if self.reference is None else rarity(self.reference)


@dataclass(frozen=True)
class Signal:
    """One thing that can be said of each row. It is cheap (`sql`), dear (`compute`), or a `formula` over others."""

    name: str
    holds: Holds
    says: str
    """What it says, in one sentence."""
    needs: tuple[str, ...] = ()
    """Columns that a batch must have, by role."""
    sql: Callable[[Asked], str] | None = None
    """A DuckDB expression over a relation with the batch's columns and `said`."""
    formula: Callable[[SignalSettings], str] | None = None
    compute: Callable[[Sequence[Any], Asked], Values] | None = None
    """From n texts to n values; where a reader is asked, from n rows of what it reads."""
    task: str = ""
    """Of which task's model it is asked; empty: of none."""
    together: bool = False
    """Whether a row's value depends on the other rows: it is computed for all of them at once, or for none."""
    lacking: Callable[[Asked], str] = lambda _: ""
    """What else is missing for it, in a few words; empty where nothing is."""

    @property
    def is_dear(self) -> bool:
        """Whether it is computed in Python, text by text."""
        return self.compute is not None

    def lacks_model(self, asked: Asked) -> bool:
        """Whether it asks a model that is not there."""
        return bool(self.task) and (asked.model is None if self.task == MASKED else self.task not in asked.readers)

    def why_not(self, asked: Asked) -> str:
        """Why it cannot be asked of this batch; empty where it can."""
        missing = [name for name in self.needs if asked.batch.column(name) is None]
        return f"no column {missing[0]!r}" if missing else self.lacking(asked)


# --- the text -------------------------------------------------------------------------------------------------------

_TEXTS = {
    "reviews": ("text",),
    "products": ("title", "description"),
    "queries": ("query",),
    "relevance": ("query", "product_text"),
}


def text_columns(kind: str) -> tuple[str, ...]:
    """The roles whose texts, one a line, are what a model learns from.

    >>> text_columns("products")
    ('title', 'description')
    """
    return _TEXTS[kind]


def text_of(batch: Batch) -> str:
    """SQL: the text of a row that a model learns from, null where there is none.

    A review's text, a product's title and description, a query, a query and its product; several stand on lines of
    their own.
    """
    found = [column.sql for name in text_columns(batch.kind) if (column := batch.column(name)) is not None]
    filled = [f"nullif({sql}, '')" for sql in found]
    return filled[0] if len(filled) == 1 else f"nullif(concat_ws(chr(10), {', '.join(filled)}), '')"


# --- words ----------------------------------------------------------------------------------------------------------

_IN_WORD, _JOINER = r"\p{L}\p{M}\p{N}_", "'’-"
_BEFORE = rf"(?:^|[^{_IN_WORD}{_JOINER}]|(?:^|[^{_IN_WORD}])[{_JOINER}])"
_AFTER = rf"(?:['’]s)?(?:$|[^{_IN_WORD}{_JOINER}]|[{_JOINER}](?:$|[^{_IN_WORD}]))"
_BLANK = r"[\s\p{Z}]+"


def words_pattern(words: Iterable[str], matching: Matching = "words") -> str:
    r"""An RE2 pattern that finds any of these words and phrases in a text in lower case and Unicode's form NFC.

    A word is letters, digits, marks and `_`, with single hyphens and apostrophes inside; it is found whole, or with 's
    behind it. The blanks of a phrase may be any blanks.

    Raises ShopmonError for an empty word, which every text would hold.
    """
    plain = list(dict.fromkeys(unicodedata.normalize("NFC", word).lower().strip() for word in words))
    if "" in plain:
        raise ShopmonError("a list of words holds an empty one", advice="Take it out of [edge_cases.words].")
    if matching == "substring":
        return "|".join(_literal(word) for word in plain)
    # A pattern that begins with a choice of beginnings is written once, not once a word: RE2 then keeps few states.
    both, others = [w for w in plain if _in_word(w[0]) and _in_word(w[-1])], []
    for word in plain:
        if word not in both:
            before, after = _BEFORE if _in_word(word[0]) else "", _AFTER if _in_word(word[-1]) else ""
            others.append(f"{before}{_phrase(word)}{after}")
    whole = [f"{_BEFORE}(?:{'|'.join(map(_phrase, both))}){_AFTER}"] if both else []
    return "|".join([*whole, *others])


def where_words(words: Iterable[str], matching: Matching = "words") -> re.Pattern[str]:
    """A Python pattern for where the words stand that `words_pattern` finds: it matches them, and nothing around them.

    For texts in Unicode's form NFC, in any case. Of words that begin at one place it takes the longest.

    >>> [found.group() for found in where_words(["Nike", "Nike Air"]).finditer("Nike's best: nike  AIR, no Nikes")]
    ['Nike', 'nike  AIR']
    """
    plain = {unicodedata.normalize("NFC", word).lower().strip() for word in words} - {""}
    longest_first = sorted(plain, key=lambda word: (-len(word), word))
    each = [re.escape(word) if matching == "substring" else _where_whole(word) for word in longest_first]
    return re.compile("|".join(each) or "(?!)", re.IGNORECASE)


def _where_whole(word: str) -> str:
    before, after = _python_bounds()
    parts = (re.sub("['’]", "['’]", re.escape(part)) for part in word.split())
    return f"{before if _in_word(word[0]) else ''}{_PYTHON_BLANK.join(parts)}{after if _in_word(word[-1]) else ''}"


_PYTHON_BLANK = r"[ \t\n\f\r\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+"


@lru_cache(maxsize=1)
def _python_bounds() -> tuple[str, str]:
    """`_BEFORE` and `_AFTER` as Python writes them: looking around, and with marks one by one."""
    marks = "".join(char for char in map(chr, range(0x300, 0x20000)) if unicodedata.category(char)[0] == "M")
    word = rf"\w{marks}"
    before = rf"(?:(?<![{word}{_JOINER}])|(?<=[{_JOINER}])(?<![{word}][{_JOINER}]))"
    after = rf"(?=(?:['’]s)?(?:\Z|[^{word}{_JOINER}]|[{_JOINER}](?:\Z|[^{word}])))"
    return before, after


def _in_word(char: str) -> bool:
    return char == "_" or unicodedata.category(char)[0] in "LMN"


def _phrase(phrase: str) -> str:
    return _BLANK.join(_literal(word, apostrophes=True) for word in phrase.split())


def _literal(text: str, *, apostrophes: bool = False) -> str:
    """The text as a pattern; whatever is no letter or digit is written as its code point, and so means only itself."""
    return "".join(
        "['’]" if apostrophes and char in "'’" else char if char.isalnum() else f"\\x{{{ord(char):x}}}" for char in text
    )


def _pieces(words: Iterable[str]) -> list[str]:
    """Of each word or phrase, the longest part that stands in a text just so wherever the whole is found."""
    plain = (unicodedata.normalize("NFC", word).lower() for word in words)
    return list(dict.fromkeys(max(re.split(r"[\s'’]+", word), key=len) for word in plain))


def _mentions(name: str, words: Callable[[Words], tuple[str, ...]], listed: str, says: str) -> Signal:
    def sql(asked: Asked) -> str:
        sought = words(asked.settings.words)
        pattern = words_pattern(sought, asked.settings.matching)
        composed = asked.lowered if pattern.replace("’", "").isascii() else f"nfc_normalize({asked.lowered})"
        found = f"regexp_matches({composed}, {asked.bound.to(pattern)})"
        pieces = _pieces(sought)
        if len(pieces) > _FEW or "" in pieces:
            return found
        # A few plain searches take less than the pattern, of which only the texts are asked that hold a piece.
        held = any_of([f"contains({composed}, {asked.bound.to(piece)})" for piece in pieces])
        return f"(case when {SAID} is not null then case when {held} then {found} else false end end)"

    def lacking(asked: Asked) -> str:
        return "" if words(asked.settings.words) else f"no words are listed under {listed} in [edge_cases.words]"

    return Signal(name, Holds.FLAG, says, sql=sql, lacking=lacking)


# --- sentiment, language, length ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer as Vader

    class Windowed(Vader):  # type: ignore[misc]
        """The same scores: these checks look at three words before and two after, and would lower all the others."""

        @staticmethod
        def _negation_check(valence: float, words: list[str], before: int, at: int) -> Any:
            first = max(at - 3, 0)
            return Vader._negation_check(valence, words[first : at + 1], before, at - first)

        @staticmethod
        def _special_idioms_check(valence: float, words: list[str], at: int) -> Any:
            return Vader._special_idioms_check(valence, words[at - 3 : at + 3], 3)

    return Windowed()


def _sentiment(texts: Sequence[str], _: Asked) -> Values:
    score = _vader().polarity_scores
    return np.array([score(text[:LONGEST])["compound"] for text in texts], dtype=float)


def _language(texts: Sequence[str], _: Asked) -> Values:
    return np.array([sure_language(text[:LONGEST]) for text in texts], dtype=object)


def _tokens(texts: Sequence[str], _: Asked) -> Values:
    return np.array([fewest_tokens(text) for text in texts], dtype=float)


def _too_long(settings: SignalSettings) -> str:
    # Every token but the two special ones takes a character, so that most texts need not be cut up.
    return f"characters > {settings.too_long - 2} & tokens > {settings.too_long}"


def _stars_disagree(settings: SignalSettings) -> str:
    least, most = settings.stars
    few, many = least + (most - least) / 4, most - (most - least) / 4
    praised = f"sentiment <= {-STRONG} & stars >= {many} & stars <= {most}"
    blamed = f"sentiment >= {STRONG} & stars <= {few} & stars >= {least}"
    return f"{praised} | {blamed}"


# --- distance from the reference ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rarity:
    """How rare the words of a reference's texts are."""

    bits: NDArray[np.float64]
    """(WORD_BUCKETS,) -log2 of the smoothed share of the reference's texts that hold a word of the bucket."""
    usual: float
    """Mean over the reference's sampled texts of their words' mean bits."""
    mean: float
    spread: float
    """Mean and standard deviation of the sampled texts' scores: `score` without themselves among the reference."""

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Mean bits of each text's different words and of five usual ones; NaN for a text without a word."""
        total, words = _word_bits(texts, self.bits)
        return np.where(words > 0, (total + USUAL_WORDS * self.usual) / (words + USUAL_WORDS), np.nan)


def _word_bits(texts: Sequence[str], bits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of the bits of each text's different words, and how many these are."""
    found = incidence(pa.array([text[:LONGEST] for text in texts], pa.large_string()))
    known = bits[np.fromiter(map(word_bucket, found.words), np.int64, len(found.words))]
    total = np.bincount(found.text, known[found.word], len(texts)).astype(np.float64)
    return total, np.bincount(found.text, minlength=len(texts)).astype(np.int64)


def rarity(profile: Profile) -> Rarity | None:
    """How rare a reference's words are; None where it holds too few texts to say so (two that differ).

    Each sampled text is scored as if it were not among the reference's (leave-one-out): otherwise its own words would
    never be new, as a later text's may be.
    """
    sampled = [name for name in text_columns(profile.kind) if name in profile.sample.column_names]
    columns = [column for name in sampled if isinstance(column := profile.columns.get(name), TextProfile)]
    sample = _joined([profile.sample.column(name).slice(0, SAMPLED).to_pylist() for name in sampled])
    if not columns or min(column.rows for column in columns) < 2:
        return None
    bits, without = _bits(columns, 0), _bits(columns, 1)
    total, words = _word_bits(sample, without)
    if not words.any():
        return None
    usual = float(np.mean(total[words > 0] / words[words > 0]))
    scores = Rarity(without, usual, 0.0, 1.0).score(sample)
    mean, spread = float(np.nanmean(scores)), float(np.nanstd(scores))
    return Rarity(bits, usual, mean, spread) if spread > 0 else None


def _joined(columns: Sequence[Sequence[str | None]]) -> list[str]:
    texts = ("\n".join(filter(None, parts)) for parts in zip(*columns, strict=True))
    return [text for text in texts if text]


def _bits(columns: Sequence[TextProfile], less: int) -> NDArray[np.float64]:
    """-log2 of the chance that any of the columns holds a word of the bucket, as if they were independent.

    In whole parts of a bit, so that a sum of them is the same in whatever order they are added.
    """
    absent = np.ones(len(columns[0].frequencies))
    for column in columns:
        absent *= 1 - (np.maximum(column.frequencies - less, 0) + 0.5) / (column.rows - less + 1)
    return np.asarray(np.round(-np.log2(1 - absent) * _PARTS) / _PARTS, dtype=float)


def _distance(texts: Sequence[str], asked: Asked) -> Values:
    usual = asked.rarity
    if usual is None:
        raise AssertionError("a signal that lacks something was computed")
    return (usual.score(texts) - usual.mean) / usual.spread


def _no_reference(asked: Asked) -> str:
    if asked.reference is None:
        return "there is no reference; set one with: shopmon reference set FILE"
    if asked.reference.kind != asked.batch.kind:
        return f"the reference holds {asked.reference.kind}"
    return "" if asked.rarity else "the reference holds too few texts"


# --- what models and people said ------------------------------------------------------------------------------------


def _label_disagrees(asked: Asked) -> str:
    said, label = asked.batch.column("prediction"), asked.batch.column("label")
    if said is None or label is None:
        raise AssertionError("a signal that lacks a column was computed")
    numbers = said.holds is Holds.NUMBER and label.holds is Holds.NUMBER
    kind = "double" if numbers else "varchar"
    return f"({said.sql}::{kind} <> {label.sql}::{kind})"


def _known(asked: Asked) -> str:
    if asked.known_hashes is None:
        return "false"
    return f"(sha256(nfc_normalize({SAID})) in (select text_hash from {asked.known_hashes}))"


def _of_the_model(name: str) -> Callable[[Sequence[str], Asked], Values]:
    def compute(texts: Sequence[str], asked: Asked) -> Values:
        found = asked.model(texts).get(name) if asked.model else None
        if found is None:
            raise needs_model(name)
        return _one_each(name, found, texts)

    return compute


def _nothing_to_ask(name: str) -> Callable[[Asked], str]:
    needed = ("brands", "unwanted") if name == "unwanted_probability" else ("brands",)

    def lacking(asked: Asked) -> str:
        missing = [listed for listed in needed if not getattr(asked.settings.words, listed)]
        return f"no words are listed under {missing[0]} in [edge_cases.words]" if missing else ""

    return lacking


def _one_each(name: str, found: Values, texts: Sequence[str]) -> NDArray[np.float64]:
    if len(found) != len(texts):
        raise ShopmonError(
            f"the model gave {len(found):,} values of {name} for {len(texts):,} texts",
            advice="It must give one for each text, in the same order.",
        )
    return np.asarray(found, dtype=float)


class ReadOnce:
    """A model that reads each text once, however many signals, rules and rows ask for it, and is timed.

    >>> model = ReadOnce(lambda texts: {"model_entropy": np.array([len(text) for text in texts])})
    >>> model(["a", "bcd", "a"])["model_entropy"].tolist(), model.texts
    ([1.0, 3.0, 1.0], 2)
    """

    def __init__(self, model: Callable[[Sequence[str]], Mapping[str, Values]]) -> None:
        self._model = model
        self._known: dict[bytes, int] = {}
        self._values: dict[str, list[float]] = {}
        self.texts = 0
        """Different texts it has read."""
        self.seconds = 0.0
        """Wall time it took to read them, without what it takes to get ready for the first."""

    def __call__(self, texts: Sequence[str]) -> Mapping[str, Values]:
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            self._read(list(new.values()))
            self._known |= {key: len(self._known) + place for place, key in enumerate(new)}
        where = [self._known[key] for key in keys]
        return {name: np.array(values, dtype=float)[where] for name, values in self._values.items()}

    def _read(self, texts: Sequence[str]) -> None:
        if not self.texts:
            self._model(())  # whatever must be loaded is not part of the rate
        begun = time.perf_counter()
        found = self._model(texts)
        self.seconds += time.perf_counter() - begun
        self.texts += len(texts)
        for name, values in found.items():
            self._values.setdefault(name, []).extend(_one_each(name, values, texts).tolist())


def needs_model(name: str) -> ShopmonError:
    """The error for a signal that asks a model where there is none."""
    return ShopmonError(
        f"the signal {name!r} needs a model, and there is none",
        advice=f"Models arrive with: {_TRAINED_BY[ASKING[name].task]}. Until then leave the rule out.",
    )


def no_model(task: str) -> str:
    """Why a rule that nobody asked for is left out where a task has no model, in a few words."""
    whose = "" if task == MASKED else f"{task} "
    return f"there is no {whose}model; train one with: {_TRAINED_BY[task]}"


# --- what a model says of a query and a product ---------------------------------------------------------------------


def _of_the_reader(task: str, name: str) -> Callable[[Sequence[Row], Asked], Values]:
    def compute(rows: Sequence[Row], asked: Asked) -> Values:
        found = asked.readers[task].says(rows)[name] if task in asked.readers else None
        if found is None:
            raise needs_model(name)
        return np.asarray(found, dtype=object)

    return compute


def _reader_lacks(task: str, name: str) -> Callable[[Asked], str]:
    def lacking(asked: Asked) -> str:
        said = asked.readers[task].lacking if task in asked.readers else {}
        return said.get("") or said.get(name, "")

    return lacking


def _of_pairs(name: str, holds: Holds, says: str, *, together: bool = False) -> Signal:
    return Signal(
        name,
        holds,
        says,
        ("query", "product_text"),
        compute=_of_the_reader(RELEVANCE, name),
        lacking=_reader_lacks(RELEVANCE, name),
        task=RELEVANCE,
        together=together,
    )


# --- the table ------------------------------------------------------------------------------------------------------


def _cheap(name: str, holds: Holds, says: str, sql: str | Callable[[Asked], str], *needs: str) -> Signal:
    return Signal(name, holds, says, needs, sql=(lambda _: sql) if isinstance(sql, str) else sql)


def _dear(
    name: str,
    holds: Holds,
    says: str,
    compute: Callable[[Sequence[str], Asked], Values],
    lacking: Callable[[Asked], str] = lambda _: "",
) -> Signal:
    return Signal(name, holds, says, compute=compute, lacking=lacking)


def _formula(name: str, says: str, formula: str | Callable[[SignalSettings], str], *needs: str) -> Signal:
    written = (lambda _: formula) if isinstance(formula, str) else formula
    return Signal(name, Holds.FLAG, says, needs, formula=written)


_ALL = (
    _mentions("mentions_brand", lambda w: w.brands, "brands", "The text names one of the brands."),
    _mentions("mentions_other_brand", lambda w: w.other_brands, "other_brands", "The text names another brand."),
    _mentions("mentions_product", lambda w: w.products, "products", "The text names one of the products."),
    _mentions("mentions_feature", lambda w: w.features, "features", "The text names something people praise or blame."),
    _mentions("mentions_wanted", lambda w: w.wanted, "wanted", "The text holds a word that is wanted of the brands."),
    _mentions("mentions_unwanted", lambda w: w.unwanted, "unwanted", "The text holds a word that is not wanted."),
    _mentions("complains", lambda w: w.complaints, "complaints", "The text holds a word of complaint."),
    _cheap("characters", Holds.NUMBER, "How many characters the text has.", f"length({SAID})::double"),
    _cheap("words", Holds.NUMBER, "How many words the text has.",
           f"len(regexp_extract_all({SAID}, '[{_IN_WORD}]+(?:[''’-][{_IN_WORD}]+)*'))::double"),
    _cheap(IN_RETRAINING_SET, Holds.FLAG, "The retraining set has this very text already.", _known),
    _cheap("label_disagrees", Holds.FLAG, "The model's prediction is not the label.", _label_disagrees,
           "prediction", "label"),
    # Dear ones stand in the order in which they are computed, the quicker ones first.
    _dear("tokens", Holds.NUMBER, "How many tokens a BERT model reads of the text, at least.", _tokens),
    _dear("language", Holds.TEXT, "ISO 639-1 code of the text's language, where CLD2 is sure of it.", _language),
    _dear("distance", Holds.NUMBER,
          "How much rarer its words are in the reference than those of the reference's texts, in standard deviations.",
          _distance, _no_reference),
    _dear("sentiment", Holds.NUMBER, "VADER's compound score of the text, from -1 to 1.", _sentiment),
    _formula("positive", f"VADER finds the text positive: {POSITIVE} or more.", f"sentiment >= {POSITIVE}"),
    _formula("negative", f"VADER finds the text negative: {NEGATIVE} or less.", f"sentiment <= {NEGATIVE}"),
    _formula("too_long", "The text has more tokens than a model reads.", _too_long),
    _formula("stars_disagree", "A strongly negative text with many stars, or a strongly positive one with few.",
             _stars_disagree, "stars"),
)  # fmt: skip

SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _ALL}
"""Every signal that needs no model. Source of sentiment: C. Hutto, E. Gilbert, VADER (ICWSM 2014)."""

MODEL_SIGNALS: Mapping[str, Signal] = {
    name: Signal(name, Holds.NUMBER, says, compute=_of_the_model(name), lacking=_nothing_to_ask(name), task=MASKED)
    for name, says in {
        "model_confidence": "Chance (0–1) that the model gives its best answer.",
        "model_entropy": "Entropy of the model's answers, in nats.",
        "model_margin": "Chance (0–1) of the model's best answer less that of its second best.",
        "unwanted_probability": "Chance (0–1) that the model says an unwanted word.",
    }.items()
}
"""Signals that a masked model computes of texts about the brands; without one they are known, and cannot be asked."""

PAIR_SIGNALS: Mapping[str, Signal] = {
    signal.name: signal
    for signal in (
        _of_pairs("relevance_class", Holds.TEXT, "The class that the relevance model gives the pair."),
        _of_pairs("relevance_confidence", Holds.NUMBER, "Chance (0–1) of the relevance model's likeliest class."),
        _of_pairs("relevance_margin", Holds.NUMBER, "Chance (0–1) of its likeliest class less that of the second."),
        _of_pairs("relevance_gain", Holds.NUMBER, "What it expects showing the product to be worth, by the gains."),
        _of_pairs("relevance_disagrees", Holds.FLAG, "The relevance model's likeliest class is not the label."),
        _of_pairs("label_probability", Holds.NUMBER, "Chance (0–1) that the relevance model gives the label."),
        _of_pairs("label_error", Holds.FLAG, "The label is likely wrong, as confident learning finds.", together=True),
    )
}
"""What a relevance model says of a query and a product, and of the label that people gave them."""

TOPIC_SIGNALS: Mapping[str, Signal] = {
    name: Signal(
        name,
        holds,
        says,
        compute=_of_the_reader(INFERENCE, name),
        lacking=_reader_lacks(INFERENCE, name),
        task=INFERENCE,
    )
    for name, holds, says in (
        ("topic", Holds.TEXT, "Which of the topics in [edge_cases.zero_shot] fits the text best."),
        ("topic_score", Holds.NUMBER, "How well it fits (0–1), as a model says that was not trained on it."),
    )
}
"""What a model of natural language inference says of a text and of the topics that a project asks about."""

ASKING: Mapping[str, Signal] = {**MODEL_SIGNALS, **PAIR_SIGNALS, **TOPIC_SIGNALS}
"""Every signal that asks a model."""
_TRAINED_BY = {
    MASKED: "shopmon retrain",
    RELEVANCE: "shopmon retrain --task relevance",
    INFERENCE: "shopmon retrain --task nli",
}

_COLUMNS = {"confidence": "prediction_score"}
"""Signals that are a column under another name."""
_MODELS_COLUMNS = {"prediction": Holds.TEXT, "prediction_score": Holds.NUMBER, "label": Holds.TEXT}


def signal_named(name: str, asked: Asked) -> Signal | None:
    """The signal of that name for this batch: one of the tables', or a column; None where nothing is called so.

    A column that is called like a signal is reached as `NAME (of the file)`, in backquotes.
    """
    if name in SIGNALS or name in ASKING:
        return SIGNALS.get(name) or ASKING[name]
    column_name = _COLUMNS.get(name, name)
    of_the_file = column_name.removesuffix(" (of the file)")
    is_signal = of_the_file in SIGNALS or of_the_file in ASKING
    column = asked.batch.column(column_name) or (asked.batch.column(of_the_file) if is_signal else None)
    if column is not None and column.holds is not None:
        return Signal(name, column.holds, f"The column {column.name!r}.", sql=_column_sql(column))
    holds = _known_columns().get(column_name)
    return None if holds is None else Signal(name, holds, f"The column {column_name!r}.", needs=(column_name,))


def signal_names(asked: Asked) -> tuple[str, ...]:
    """Every name that a formula may use of this batch."""
    own = [name for name in asked.batch.names if signal_named(name, asked) is not None]
    return tuple(dict.fromkeys([*SIGNALS, *ASKING, *_COLUMNS, *own]))


def _known_columns() -> dict[str, Holds]:
    """Roles of every kind: a batch may lack them, and their names are still no mistake."""
    return {role.name: role.holds for kind in KINDS for role in kind.roles} | _MODELS_COLUMNS


def _column_sql(column: Column) -> Callable[[Asked], str]:
    own = column.sql
    sql = {
        Holds.NUMBER: f"nullif({own}::double, 'nan'::double)",
        Holds.DATE: f"strftime({own}::timestamp, '%Y-%m-%d')",
        Holds.TEXT: f"{own}::varchar",
        Holds.FLAG: own,
    }[column.holds or Holds.TEXT]
    return lambda _: sql
