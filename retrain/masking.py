"""Which places of a text does a model have to fill?

Two ways: some whole words of a text (Devlin et al., BERT, 2019, in the whole-word form of its authors' later release),
or one chosen gap, a word or phrase that is taken out. All draws come from a generator that is given, so that the same
seed masks the same places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
SPECIAL = -1
"""The word number of tokens that belong to no word: [CLS], [SEP]."""


WANTED, UNWANTED, SLOT = 0, 1, 2
"""What stands in a gap: a wanted word, an unwanted one, or, in a negative row without any, another word in whose place
an unwanted one could stand."""


@dataclass(frozen=True)
class Masked:
    """A text with places to fill."""

    ids: Ids
    """(length,) tokens, some of them masked."""
    places: NDArray[np.int64]
    """(n,) the places to fill, in order."""
    targets: Ids
    """(n,) the tokens that stood there; of a gap that was given another length, -1."""


@dataclass(frozen=True)
class Span:
    """A word or phrase in a text: its tokens from `start` up to, but not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Alphabet:
    """What of a tokenizer is needed to mask."""

    mask: int
    """Id of the mask token."""
    size: int
    """Number of tokens."""


def whole_words(
    ids: Ids, words: Ids, share: float, rng: np.random.Generator, alphabet: Alphabet, *, only_masks: bool = False
) -> Masked:
    """Mask a share of the words, at least one, with all their tokens.

    `words` (length,) says which word each token belongs to, -1 for none. Of the tokens 80 % become the mask, 10 % a
    random token and 10 % stay as they are, as in BERT; with `only_masks` all become the mask. A text without a word has
    no place to fill.
    """
    there = np.unique(words[words != SPECIAL])
    if not len(there):
        return Masked(ids, np.empty(0, np.int64), np.empty(0, np.int64))
    chosen = rng.choice(there, max(1, round(share * len(there))), replace=False)
    places = np.flatnonzero(np.isin(words, chosen))
    filled = ids.copy()
    filled[places] = alphabet.mask
    if not only_masks:
        fate = rng.random(len(places))
        filled[places[fate >= 0.9]] = ids[places[fate >= 0.9]]
        random = places[(fate >= 0.8) & (fate < 0.9)]
        filled[random] = rng.integers(0, alphabet.size, len(random))
    return Masked(filled, places, ids[places])


def also(masked: Masked, ids: Ids, span: Span, alphabet: Alphabet) -> Masked:
    """The same text with one more word or phrase to fill; `ids` (length,) are the tokens before anything was masked.

    >>> text = np.array([2, 7, 8, 9, 3])
    >>> also(Masked(text, np.array([3]), np.array([9])), text, Span(1, 2), Alphabet(mask=4, size=10)).ids.tolist()
    [2, 4, 8, 9, 3]
    """
    places = np.union1d(masked.places, np.arange(span.start, span.end))
    filled = masked.ids.copy()
    filled[span.start : span.end] = alphabet.mask
    return Masked(filled, places, ids[places])


def gap(ids: Ids, span: Span, alphabet: Alphabet, *, masks: int | None = None) -> Masked:
    """Take a word or phrase out: one mask for each of its tokens, or as many as `masks` says.

    >>> gap(np.array([2, 7, 8, 9, 3]), Span(1, 3), Alphabet(mask=4, size=10), masks=1).ids.tolist()
    [2, 4, 9, 3]
    """
    length = span.end - span.start
    many = length if masks is None else masks
    taken = np.full(many, alphabet.mask, np.int64)
    targets = ids[span.start : span.end] if many == length else np.full(many, -1, np.int64)
    filled = np.concatenate([ids[: span.start], taken, ids[span.end :]])
    return Masked(filled, np.arange(span.start, span.start + many), targets)


class Phrases:
    """Finds words and phrases in texts that were cut into tokens: whole words only."""

    def __init__(self, phrases: Iterable[Sequence[int]]) -> None:
        """`phrases` are the tokens of each; an empty one is never found."""
        by_first: dict[int, list[tuple[int, ...]]] = {}
        for phrase in sorted({tuple(phrase) for phrase in phrases if phrase}, key=len, reverse=True):
            by_first.setdefault(phrase[0], []).append(phrase)
        self._by_first: Mapping[int, Sequence[tuple[int, ...]]] = by_first

    def find(self, ids: Sequence[int], words: Sequence[int]) -> list[Span]:
        """Where they stand, from left to right; of two at one place the longer one, and none within another.

        >>> Phrases([[7], [7, 8]]).find([2, 7, 8, 7, 3], [-1, 0, 1, 2, -1])
        [Span(start=1, end=3), Span(start=3, end=4)]
        """
        found: list[Span] = []
        at = 0
        while at < len(ids):
            phrase = next((p for p in self._by_first.get(ids[at], ()) if _stands(p, at, ids, words)), None)
            if phrase is not None:
                found.append(Span(at, at + len(phrase)))
            at += len(phrase) if phrase else 1
        return found


def _stands(phrase: tuple[int, ...], at: int, ids: Sequence[int], words: Sequence[int]) -> bool:
    """Whether a phrase stands here, and neither its first nor its last token is a part of a longer word."""
    end = at + len(phrase)
    if tuple(ids[at:end]) != phrase:
        return False
    begins = at == 0 or words[at - 1] != words[at]
    ends = end == len(ids) or words[end] != words[end - 1]
    return begins and ends and SPECIAL not in words[at:end]
