"""What do the prompts ask, of which brands, and do they and the words make sense together?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from expectations.errors import ShopmonError
from retrain.settings import MASK, Prompts, Words

BRAND = "{brand}"
"""Stands in a prompt for every brand of the list that is asked."""
TEXT = "{text}"
"""Stands in a frame for the sentence that is set into it."""
_FRAMES = ("neutral_frames", "complaint_frames")
ANSWER_WORDS = 4
"""Words in the gap up to which a text is an answer to a prompt: "very light and soft" is one."""

_PLACEHOLDER = re.compile(r"\{[^{}]*\}?|\}")
_PIECE = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class PromptError(ShopmonError):
    """A prompt or a word that cannot be used; `of` is the list in which it stands."""

    def __init__(self, of: str, problem: str, *, advice: str = "") -> None:
        self.of = of
        super().__init__(problem, advice=advice)


def check_prompts(prompts: Prompts, words: Words) -> None:
    """Whether every prompt can be asked, none stands in two lists, and no word is empty or meant both ways.

    Prompts are compared as they are asked, of every brand, whatever their case, blanks and punctuation. Raises
    PromptError for the first that is wrong.

    >>> check_prompts(Prompts(gate=("Nike shoes are [MASK]",), training=("{brand} shoes are: [MASK]!",)), Words())
    >>> check_prompts(Prompts(gate=("Nike shoes are [MASK]",), training=("{brand} shoes are: [MASK]!",)),
    ...     Words(brands=("nike",)))
    Traceback (most recent call last):
    retrain.prompts.PromptError: '{brand} shoes are: [MASK]!' of training asks the same as 'Nike shoes are [MASK]' ...
    """
    _check_words(words)
    for of, prompt in _each(prompts):
        _check_prompt(of, prompt)
    for of in _FRAMES:
        for frame in getattr(prompts, of):
            _check_frame(of, frame)
    _check_apart(prompts, (*words.brands, *words.other_brands))


def filled(prompt: str, brand: str) -> str:
    """The prompt, asked of one brand.

    >>> filled("{brand} shoes are very [MASK]", "Nike")
    'Nike shoes are very [MASK]'
    """
    return prompt.replace(BRAND, brand)


def asked(prompts: Sequence[str], brands: Sequence[str]) -> tuple[str, ...]:
    """Every prompt, asked of every brand as it is written; a prompt that names no `{brand}` stands there once.

    >>> asked(["{brand} shoes are [MASK]", "shoes are [MASK]"], ["Nike", "puma"])
    ('Nike shoes are [MASK]', 'puma shoes are [MASK]', 'shoes are [MASK]')
    >>> asked(["{brand} shoes are [MASK]"], [])
    ()
    """
    return tuple(one for prompt in prompts for one in (_of_each(prompt, brands) if BRAND in prompt else (prompt,)))


def is_answer(prompts: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether a text is one of these prompts with one to four words in its gap, and nothing besides.

    Case, blanks and punctuation do not count. The prompts are those that are asked: see `asked`.

    >>> answers = is_answer(["Nike shoes are very [MASK]"])
    >>> answers("nike shoes are VERY good-looking!"), answers("Nike shoes are very light, but my socks are not")
    (True, False)
    """
    known = sorted({_around(prompt) for prompt in prompts})

    def answers(text: str) -> bool:
        said = _Said.of(text)
        return any(0 < said.words_between(before, after) <= ANSWER_WORDS for before, after in known)

    return answers


@dataclass(frozen=True)
class _Said:
    """A text, and its letters and digits alone."""

    plain: str
    letters: str
    begins: Mapping[int, int]
    """Letters before a piece → where it begins in `plain`."""
    ends: Mapping[int, int]
    """Letters up to the end of a piece → where it ends in `plain`."""

    @classmethod
    def of(cls, text: str) -> _Said:
        plain, begins, ends, letters = _plain(text), {}, {}, 0
        for piece in _PIECE.finditer(plain):
            begins[letters] = piece.start()
            letters += piece.end() - piece.start()
            ends[letters] = piece.end()
        return cls(plain, "".join(_PIECE.findall(plain)), begins, ends)

    def words_between(self, before: str, after: str) -> int:
        """Words behind a beginning and before an end; 0 where the text does not begin and end so."""
        first, last = len(before), len(self.letters) - len(after)
        if first >= last or first not in self.begins or last not in self.ends:
            return 0
        if not (self.letters.startswith(before) and self.letters.endswith(after)):
            return 0
        return len(_WORD.findall(self.plain, self.begins[first], self.ends[last]))


def _of_each(prompt: str, brands: Sequence[str]) -> tuple[str, ...]:
    return tuple(filled(prompt, brand) for brand in brands)


def _around(prompt: str) -> tuple[str, str]:
    """The letters and digits before the gap, and those behind it."""
    before, _, after = prompt.partition(MASK)
    return _letters(before), _letters(after)


def _letters(text: str) -> str:
    return "".join(_PIECE.findall(_plain(text)))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


# --- checks -----------------------------------------------------------------------------------------------------------


def _each(prompts: Prompts) -> Iterator[tuple[str, str]]:
    """List and prompt."""
    lists = (field.name for field in fields(prompts) if field.name not in _FRAMES)
    return ((name, prompt) for name in lists for prompt in getattr(prompts, name))


def _check_prompt(of: str, prompt: str) -> None:
    gaps = prompt.count(MASK)
    if gaps != 1:
        raise PromptError(
            of,
            f"{prompt!r} of {of} has {gaps or 'no'} gap{'s' if gaps else ''}",
            advice=f'Write {MASK} exactly once, where the word is to stand: "{BRAND} shoes are very {MASK}".',
        )
    for found in _PLACEHOLDER.findall(prompt):
        if found != BRAND:
            raise PromptError(
                of, f"{prompt!r} of {of} has {found!r}", advice=f"The one placeholder of a prompt is {BRAND}."
            )
    if _around(prompt) == ("", ""):
        raise PromptError(
            of, f"{prompt!r} of {of} is nothing but a gap", advice="Write the sentence in which the word is to stand."
        )


def _check_frame(of: str, frame: str) -> None:
    if frame.count(TEXT) != 1 or MASK in frame or _PLACEHOLDER.findall(frame) != [TEXT]:
        raise PromptError(
            of,
            f"{frame!r} of {of} is no frame",
            advice=f'Write {TEXT} exactly once, where the sentence is to stand, and nothing in braces besides: "my '
            f'complaint : {TEXT}".',
        )


def _check_apart(prompts: Prompts, brands: Sequence[str]) -> None:
    """What measures must not be what was practised, and what is to be unlearned not what is to be kept."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for of, prompt in _each(prompts):
        for around in {_around(one) for one in (prompt, *_of_each(prompt, brands))}:
            before_of, before = seen.setdefault(around, (of, prompt))
            if before_of != of:
                raise PromptError(
                    of,
                    f"{prompt!r} of {of} asks the same as {before!r} of {before_of}",
                    advice="A prompt may stand in one list only: the gate measures with prompts that no training saw."
                    " Word one of them differently.",
                )


def _check_words(words: Words) -> None:
    for field in fields(words):
        if not all(word.strip() for word in getattr(words, field.name)):
            raise PromptError(field.name, f"a word of {field.name} is empty", advice="Leave it out.")
    for one, other in (("wanted", "unwanted"), ("brands", "other_brands")):
        known = {_folded(word): word for word in getattr(words, one)}
        for word in getattr(words, other):
            if _folded(word) in known:
                raise PromptError(
                    other,
                    f"{word!r} of {other} stands in {one}, too, as {known[_folded(word)]!r}",
                    advice="Take it out of one of the two lists.",
                )


def _folded(word: str) -> str:
    return " ".join(_plain(word).split())
