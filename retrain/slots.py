"""Which words of a text say what a brand is like, so that another word could stand in their place?

There is no tagger for it: a slot is an occurrence of a listed word, or the word behind a copula or a word of degree
("are comfortable", "so light", "feel really soft"), unless that word only holds the sentence together. What is denied
("not very expensive") is no slot: in it any word would say something else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from monitor.signals import Matching, Words, where_words

MOST = 4
"""Slots of one text, listed words first: a text is read once for each."""


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_COPULAS = _listed(
    "am are is was were be been being feel feels felt look looks looked seem seems seemed it's that's they're"
    " it’s that’s they’re"
)
_DEGREES = _listed(
    "very so too really quite extremely pretty rather fairly super incredibly absolutely completely exactly perfectly"
    " thoroughly totally truly"
)
_DENIALS = _listed("not never no hardly nor neither without cannot")
_FUNCTION_WORDS = _listed(
    "a about above after again against all already also although always an and any around as at away back because"
    " before below between both but by can cannot could did do does done down during each either else even ever every"
    " far few first for from get gets getting going gone got had has have having he her here hers him his how i if in"
    " into it its itself just like little made many may me might mine more most much must my near neither never no nor"
    " not nothing now of off on once one only or other our ours out over own per probably same she should since some"
    " something still such supposed than that the their theirs them then there these they this those though through to"
    " together under until up upon us used we well what when where whether which while who whom whose why will with"
    " within without would yes yet you your yours"
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Slot:
    """A word or phrase of a text: its characters from `start` up to, but not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Descriptions:
    """Finds the slots in texts about the brands.

    >>> text = "Nike shoes are very expensive, and so light. Not too heavy!"
    >>> found = Descriptions(Words(brands=("Nike",), unwanted=("expensive", "heavy"))).find(text)
    >>> [text[slot.start:slot.end] for slot in found]
    ['expensive', 'light']
    """

    words: Words
    matching: Matching = "words"
    """How a brand is found; slots are whole words."""

    def find(self, text: str, most: int = MOST) -> list[Slot]:
        """The slots of a text in Unicode's form NFC, as they stand in it; of more than `most`, listed words are kept.

        None where the text does not name a brand.
        """
        if not self._brands.search(text):
            return []
        listed = [Slot(*found.span()) for found in self._words.finditer(text)]
        words = [Slot(*found.span()) for found in _WORD.finditer(text)]
        denied = _denied(text, words)
        taken = [slot for slot in listed if slot.start not in denied][:most]
        apart = [*listed, *(Slot(*found.span()) for found in self._names.finditer(text))]
        for slot in _described(text, words):
            if len(taken) < most and slot.start not in denied and not any(_meet(slot, other) for other in apart):
                taken.append(slot)
        return sorted(taken, key=lambda slot: slot.start)

    @cached_property
    def _brands(self) -> re.Pattern[str]:
        return where_words(self.words.brands, self.matching)

    @cached_property
    def _words(self) -> re.Pattern[str]:
        return where_words([*self.words.wanted, *self.words.unwanted, *self.words.features])

    @cached_property
    def _names(self) -> re.Pattern[str]:
        return where_words([*self.words.brands, *self.words.other_brands, *self.words.products])


def composed(text: str) -> str:
    """A text as slots are found in it: in Unicode's form NFC."""
    return unicodedata.normalize("NFC", text)


def _described(text: str, words: Sequence[Slot]) -> Iterator[Slot]:
    """Words behind a copula or a word of degree, with nothing but blanks between."""
    for before, slot in pairwise(words):
        word = _lower(text, slot)
        led = _lower(text, before) in _COPULAS | _DEGREES and _only_blanks(text, before, slot)
        if led and word[0].isalpha() and word not in _FUNCTION_WORDS | _DEGREES | _COPULAS:
            yield slot


def _denied(text: str, words: Sequence[Slot]) -> set[int]:
    """Where words begin that are denied: behind "not", "never" or "isn't", with words of degree and copulas between."""
    denied, denying = set(), False
    for number, slot in enumerate(words):
        denying = denying and _only_blanks(text, words[number - 1], slot)
        if denying:
            denied.add(slot.start)
        word = _lower(text, slot)
        denies = word in _DENIALS or word.endswith(("n't", "n’t"))
        denying = denies or (denying and word in _DEGREES | _COPULAS)
    return denied


def _only_blanks(text: str, before: Slot, after: Slot) -> bool:
    return text[before.end : after.start].isspace()


def _lower(text: str, slot: Slot) -> str:
    return text[slot.start : slot.end].lower()


def _meet(one: Slot, other: Slot) -> bool:
    return one.start < other.end and other.start < one.end
