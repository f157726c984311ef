"""What does a model put into the gap of a sentence, and how likely is a word or phrase there?

A word of one piece has its probability in the gap: what every fill-in shows. Other words ("good-looking", "poor
quality") consist of several pieces, and no single mask can ever produce them. They are scored by pseudo-log-likelihood
(Salazar et al., "Masked Language Model Scoring", ACL 2020, doi:10.18653/v1/2020.acl-main.240), which masks one piece
after the other and adds the logarithms of their probabilities; in the variant that Kauf and Ivanova call PLL-word-l2r
("A Better Way to Do Masked Language Model Scoring", ACL 2023, arXiv:2305.10588), which also masks the word's pieces to
the right of the one it asks for: with those in sight, rare words are guessed from their ends and score too high. Here a
phrase counts as one word, and only the gap is scored, not the sentence around it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from math import exp
from typing import Any

import torch
from torch import Tensor

from expectations.errors import ShopmonError
from retrain.loading import MaskedModel
from retrain.masked_head import log_probabilities
from retrain.settings import MASK

_BLANKS = ("Ġ", "▁")
"""How byte-level and SentencePiece vocabularies write the blank before a word."""
_MOST_ROWS, _MOST_TOKENS = 64, 4_096
"""Of one forward pass; 64 rows of logits over 30,522 words are 8 MB."""


class Mark(StrEnum):
    """What the project thinks of a word."""

    WANTED = "wanted"
    UNWANTED = "unwanted"
    NEITHER = "neither"


@dataclass(frozen=True)
class Gap:
    """A sentence with one gap, as a model reads it."""

    prompt: str
    ids: tuple[int, ...]
    """Tokens of the whole sentence, the special ones at its ends among them."""
    position: int
    """Of the mask, counted from 0."""
    after_blank: bool
    """Whether a word in the gap stands after a blank, which some vocabularies write into the word."""

    def filled(self, pieces: Sequence[int], known: int) -> tuple[int, ...]:
        """The sentence with as many masks as there are pieces, of which the first `known` are filled in."""
        mask = self.ids[self.position]
        inside = (*pieces[:known], *[mask] * (len(pieces) - known))
        return self.ids[: self.position] + inside + self.ids[self.position + 1 :]


@dataclass(frozen=True)
class Spelled:
    """Words in the pieces of a vocabulary, in the order in which they were given."""

    single: Mapping[str, int] = field(default_factory=dict)
    """Word → the id of its one piece."""
    several: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Word → the ids of its two or more pieces."""


@dataclass(frozen=True)
class RankedWord:
    """A word of one piece in a gap."""

    word: str
    rank: int
    """1 is the likeliest of all words of one piece."""
    probability: float
    """0–1, over all tokens: the same number that a fill-mask pipeline gives."""
    mark: Mark = Mark.NEITHER


@dataclass(frozen=True)
class TopWords:
    """What a model puts into a gap."""

    prompt: str
    of: int
    """How many of the likeliest words were looked at."""
    top: tuple[RankedWord, ...]
    """The likeliest of them, the likeliest first."""
    bottom: tuple[RankedWord, ...]
    """The least likely of them that are not among the top, the least likely last."""
    words: float
    """Probability (0–1) of all words of one piece together."""
    punctuation: float
    """Probability (0–1) of everything without a letter or a digit."""
    pieces: float
    """Probability (0–1) of pieces that only go on with a word ("##able")."""


@dataclass(frozen=True)
class ComparedWord:
    """A word of one piece with two models."""

    word: str
    base: RankedWord | None
    """None where its vocabulary does not have the word."""
    champion: RankedWord | None

    @property
    def mark(self) -> Mark:
        """What the project thinks of it."""
        known = self.champion or self.base
        return known.mark if known else Mark.NEITHER

    @property
    def risen(self) -> int | None:
        """Ranks by which the champion has it higher than the base; negative where it fell; None where one lacks it."""
        return self.base.rank - self.champion.rank if self.base and self.champion else None


@dataclass(frozen=True)
class ComparedWords:
    """What two models put into the same gap."""

    prompt: str
    base: TopWords
    champion: TopWords
    words: tuple[ComparedWord, ...]
    """Every word of either's lists, in the champion's order; after them those that it does not have."""


@dataclass(frozen=True)
class WordScore:
    """How likely a word or phrase is in a gap.

    Only `per_piece` may be compared between words of different lengths, and with care: it is the logarithm of the
    pieces' geometric mean, and a phrase whose end follows from its beginning gains by it. The sum in `log_probability`
    knows how many masks there were, so over all phrases it does not add up to one.

    >>> WordScore("this is [MASK]", "good-looking", ("good", "-", "looking"), log_probability=-6.0).per_piece
    -2.0
    """

    prompt: str
    word: str
    pieces: tuple[str, ...]
    log_probability: float
    """Sum over the pieces of the natural logarithm of each one's probability given those before it, in nats; ≤ 0."""

    @property
    def per_piece(self) -> float:
        """Mean over the pieces, in nats per piece: minus the logarithm of the word's pseudo-perplexity."""
        return self.log_probability / len(self.pieces)

    @property
    def probability(self) -> float:
        """Geometric mean of the pieces' probabilities (0–1); of a word of one piece, its probability in the gap."""
        return exp(self.per_piece)


@dataclass(frozen=True)
class Mass:
    """How much of its probability a model gives to two lists of words in one gap."""

    prompt: str
    wanted: float
    """Sum (0–1) over the different wanted words of one piece."""
    unwanted: float
    not_counted: tuple[str, ...]
    """Words of several pieces, which one mask cannot produce: see `score_words` for them."""


def gap_ids(tokenizer: Any, prompt: str, *, longest: int | None = None) -> Gap:
    """The tokens of a sentence and the place of its gap, written [MASK] or as the tokenizer's own mask.

    Raises ShopmonError unless there is exactly one gap, and if there are more than `longest` tokens.

    >>> from transformers import BertTokenizerFast
    >>> names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "these", "are", "very"]
    >>> tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)})
    >>> gap_ids(tokenizer, "these are very [MASK]").position
    4
    """
    _check_text(prompt)
    parts = prompt.replace(tokenizer.mask_token, MASK).split(MASK)
    if len(parts) != 2:
        raise ShopmonError(
            f"the prompt {prompt!r} has {len(parts) - 1 or 'no'} gap{'s' if len(parts) > 2 else ''}",
            advice=f'Write {MASK} exactly once, where the word is to stand: "Nike shoes are very {MASK}".',
        )
    before, after = parts
    blank = _blank(tokenizer)
    # Where words bring their own blank, one before the mask would be a token too many.
    text = f"{before.rstrip() if blank else before}{tokenizer.mask_token}{after}"
    ids = tuple(tokenizer(text).input_ids)
    if longest is not None and len(ids) > longest:
        raise ShopmonError(
            f"the prompt {prompt[:40]!r}… has {len(ids):,} tokens; the model reads {longest:,} at most",
            advice="Shorten it.",
        )
    return Gap(prompt, ids, ids.index(tokenizer.mask_token_id), _after_blank(tokenizer, before, blank))


def spelled(tokenizer: Any, words: Iterable[str], *, after_blank: bool = True) -> Spelled:
    """The pieces of each word as it stands within a sentence, after a blank or, at its beginning, without.

    Case and accents are treated as the tokenizer does: an uncased one makes no difference between "Cheap" and "cheap".
    Raises ShopmonError for a word that the vocabulary cannot spell.

    >>> from transformers import BertTokenizerFast
    >>> names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "stylish", "good", "-", "looking"]
    >>> tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)})
    >>> spelled(tokenizer, ["Stylish", "good-looking"])
    Spelled(single={'Stylish': 5}, several={'good-looking': (6, 7, 8)})
    """
    marker = _blank(tokenizer) if after_blank else ""
    found = {word: _pieces(tokenizer, word, " " if marker else "") for word in words}
    return Spelled(
        {word: ids[0] for word, ids in found.items() if len(ids) == 1},
        {word: ids for word, ids in found.items() if len(ids) > 1},
    )


def top_words(
    model: MaskedModel,
    prompt: str,
    *,
    wanted: Sequence[str] = (),
    unwanted: Sequence[str] = (),
    of: int = 1_000,
    show: int = 10,
) -> TopWords:
    """The `show` likeliest and the `show` least likely among the `of` likeliest words of one piece.

    Pieces that only go on with a word, special tokens and punctuation are no words; they keep their probability, and
    the result says how much it is. Where a word stands without a blank before it (at the beginning of a sentence),
    byte-level vocabularies cannot tell words from pieces that go on.
    Raises ShopmonError for a prompt without exactly one gap, and for words that cannot be spelled.
    """
    return top_words_each(model, [prompt], wanted=wanted, unwanted=unwanted, of=of, show=show)[0]


def top_words_each(
    model: MaskedModel,
    prompts: Sequence[str],
    *,
    wanted: Sequence[str] = (),
    unwanted: Sequence[str] = (),
    of: int = 1_000,
    show: int = 10,
) -> tuple[TopWords, ...]:
    """As `top_words`, for many prompts in few forward passes; no prompt, no answer."""
    return tuple(_top(answer, of, show) for answer in _answers(model, prompts, wanted, unwanted))


def answered(model: MaskedModel, prompt: str, *, wanted: Sequence[str] = (), unwanted: Sequence[str] = ()) -> Answered:
    """What a model says in the gap of a prompt, of which `top_words`, `ranked_words` and `masses` each tell a part.

    Raises as `top_words` does.
    """
    return _answers(model, [prompt], wanted, unwanted)[0]


def compared(
    base: MaskedModel,
    champion: MaskedModel,
    prompt: str,
    *,
    wanted: Sequence[str] = (),
    unwanted: Sequence[str] = (),
    of: int = 1_000,
    show: int = 10,
) -> ComparedWords:
    """What two models put into the same gap: each one's lists, and every word of them with both models' numbers.

    The vocabularies may differ; words are matched as they read. Raises as `top_words` does.
    """
    of_base = _answers(base, [prompt], wanted, unwanted)[0]
    of_champion = _answers(champion, [prompt], wanted, unwanted)[0]
    tops = _top(of_base, of, show), _top(of_champion, of, show)
    listed = dict.fromkeys(one.word for top in tops for one in (*top.top, *top.bottom))
    before, after = of_base.find(listed), of_champion.find(listed)
    known = sorted(after, key=lambda word: after[word].rank)
    words = (*known, *(word for word in listed if word not in after))
    return ComparedWords(prompt, *tops, tuple(ComparedWord(word, before.get(word), after.get(word)) for word in words))


def ranked_words(
    model: MaskedModel,
    prompt: str,
    words: Collection[str],
    *,
    wanted: Sequence[str] = (),
    unwanted: Sequence[str] = (),
) -> dict[str, RankedWord]:
    """Where some words stand among all words of one piece in a gap, by the way they read; those it lacks are left out.

    Raises as `top_words` does.
    """
    return _answers(model, [prompt], wanted, unwanted)[0].find(words)


def score_words(model: MaskedModel, prompts: Sequence[str], words: Sequence[str]) -> tuple[WordScore, ...]:
    """How likely each word or phrase is in the gap of each prompt; prompt by prompt, in the order of the words.

    A word of k pieces gets k masks. Piece j is scored with the pieces before it filled in and masks from j on, and the
    logarithms are added. Sentences that several words ask for are computed once.
    Raises ShopmonError for a prompt without exactly one gap, one that the words make too long, and for a word that
    the vocabulary cannot spell. No prompt or no word, no score.
    """
    targets: dict[_Place, list[tuple[int, int]]] = {}
    asked: list[tuple[str, str, tuple[int, ...]]] = []
    for prompt in prompts:
        gap = gap_ids(model.tokenizer, prompt, longest=model.longest)
        for word, pieces in _all_pieces(spelled(model.tokenizer, words, after_blank=gap.after_blank), words):
            _check_room(model, gap, word, pieces)
            for known, piece in enumerate(pieces):
                place = (gap.filled(pieces, known), gap.position + known)
                targets.setdefault(place, []).append((len(asked), piece))
            asked.append((prompt, word, pieces))
    sums = _summed(model, targets, len(asked))
    name = model.tokenizer.convert_ids_to_tokens
    return tuple(
        WordScore(prompt, word, tuple(name(list(pieces))), total)
        for (prompt, word, pieces), total in zip(asked, sums, strict=True)
    )


def masses(
    model: MaskedModel, prompts: Sequence[str], wanted: Sequence[str], unwanted: Sequence[str]
) -> tuple[Mass, ...]:
    """How much probability each prompt's gap gives to the wanted and to the unwanted words of one piece.

    Words that the tokenizer takes for the same one ("Cheap", "cheap") are counted once. No word, no mass: 0.
    Raises ShopmonError for a prompt without exactly one gap, for a word that the vocabulary cannot spell, and for one
    that is both wanted and unwanted.
    """
    gaps, judged = _asked(model, prompts, wanted, unwanted)
    found: dict[int, Mass] = {}
    for numbers, scores in _log_probabilities(model, [(gap.ids, gap.position) for gap in gaps]):
        for number, probabilities in zip(numbers, scores.exp().cpu(), strict=True):
            found[number] = _mass(gaps[number], probabilities, judged[gaps[number].after_blank])
    return tuple(found[number] for number in range(len(gaps)))


_Place = tuple[tuple[int, ...], int]
"""Tokens of a sentence, and the place in it that is asked for."""


@dataclass(frozen=True)
class _Vocabulary:
    """Which tokens are what, in a gap after a blank or without one."""

    texts: tuple[str, ...]
    """Id → how the token reads."""
    words: Tensor
    """(vocabulary,) bool."""
    punctuation: Tensor
    pieces: Tensor


@dataclass(frozen=True)
class _Judged:
    """Wanted and unwanted words in the pieces of a vocabulary."""

    marks: Mapping[int, Mark]
    several: tuple[str, ...]

    def mass(self, probabilities: Tensor, mark: Mark) -> float:
        """Sum over the different words of this mark; `probabilities` is (vocabulary,)."""
        ids = [one for one, has in self.marks.items() if has is mark]
        return float(probabilities[ids].double().sum())


@dataclass(frozen=True)
class Answered:
    """What a model says in one gap: `answered` gives it, and whatever is asked of it costs no second look."""

    gap: Gap
    probabilities: Tensor
    """(vocabulary,)"""
    vocabulary: _Vocabulary
    judged: _Judged

    order: Tensor
    """(words,) ids of the words, the likeliest first; of equals the lower id."""

    def top(self, *, of: int = 1_000, show: int = 10) -> TopWords:
        """As `top_words`."""
        return _top(self, of, show)

    @property
    def mass(self) -> Mass:
        """As `masses`."""
        return _mass(self.gap, self.probabilities, self.judged)

    def ranked(self, rank: int) -> RankedWord:
        """The word of a rank, counted from 1."""
        one = int(self.order[rank - 1])
        mark = self.judged.marks.get(one, Mark.NEITHER)
        return RankedWord(self.vocabulary.texts[one], rank, float(self.probabilities[one]), mark)

    def find(self, words: Collection[str]) -> dict[str, RankedWord]:
        """Those of the words that the vocabulary has, by the way they read."""
        texts = self.vocabulary.texts
        return {texts[one]: self.ranked(rank) for rank, one in enumerate(self.order.tolist(), 1) if texts[one] in words}

    def share(self, which: Tensor) -> float:
        """Probability of the tokens that are marked in `which`, (vocabulary,) bool."""
        return float(self.probabilities[which].double().sum())


def _mass(gap: Gap, probabilities: Tensor, words: _Judged) -> Mass:
    return Mass(
        gap.prompt,
        wanted=words.mass(probabilities, Mark.WANTED),
        unwanted=words.mass(probabilities, Mark.UNWANTED),
        not_counted=words.several,
    )


def _top(answer: Answered, of: int, show: int) -> TopWords:
    if min(of, show) < 1:
        raise ShopmonError(f"{show} of {of} words cannot be shown", advice="Give numbers from 1 on.")
    last = min(of, len(answer.order))
    ranks = range(1, last + 1)
    vocabulary = answer.vocabulary
    return TopWords(
        answer.gap.prompt,
        last,
        tuple(map(answer.ranked, ranks[:show])),
        tuple(map(answer.ranked, ranks[max(show, last - show) :])),
        words=answer.share(vocabulary.words),
        punctuation=answer.share(vocabulary.punctuation),
        pieces=answer.share(vocabulary.pieces),
    )


def _asked(
    model: MaskedModel, prompts: Sequence[str], wanted: Sequence[str], unwanted: Sequence[str]
) -> tuple[list[Gap], dict[bool, _Judged]]:
    """The prompts in tokens; and the words, spelled as they are after a blank, and as they are without one."""
    gaps = [gap_ids(model.tokenizer, prompt, longest=model.longest) for prompt in prompts]
    return gaps, {
        blank: _judged(model.tokenizer, wanted, unwanted, blank) for blank in {gap.after_blank for gap in gaps}
    }


def _answers(
    model: MaskedModel, prompts: Sequence[str], wanted: Sequence[str], unwanted: Sequence[str]
) -> tuple[Answered, ...]:
    gaps, judged = _asked(model, prompts, wanted, unwanted)
    found: dict[int, Answered] = {}
    for numbers, scores in _log_probabilities(model, [(gap.ids, gap.position) for gap in gaps]):
        for number, probabilities in zip(numbers, scores.exp().cpu(), strict=True):
            gap = gaps[number]
            vocabulary = _vocabulary(model.tokenizer, model.vocabulary, gap.after_blank)
            words = vocabulary.words.nonzero().squeeze(1)
            order = words[torch.argsort(probabilities[words], descending=True, stable=True)]
            found[number] = Answered(gap, probabilities, vocabulary, judged[gap.after_blank], order)
    return tuple(found[number] for number in range(len(gaps)))


def _summed(model: MaskedModel, targets: Mapping[_Place, Sequence[tuple[int, int]]], many: int) -> list[float]:
    """For each of `many` phrases the sum of the log-probabilities of its pieces; place → (phrase, piece), …"""
    sums = torch.zeros(many, dtype=torch.float64)
    places = list(targets)
    for numbers, scores in _log_probabilities(model, places):
        wanted = [(row, *target) for row, number in enumerate(numbers) for target in targets[places[number]]]
        row, phrase, piece = torch.tensor(wanted).unbind(1)
        sums.index_add_(0, phrase, scores[row.to(scores.device), piece.to(scores.device)].double().cpu())
    return sums.tolist()


def _log_probabilities(model: MaskedModel, places: Sequence[_Place]) -> Iterator[tuple[list[int], Tensor]]:
    """Batch by batch, numbers of n places, and the log-probabilities (n, vocabulary) there; short sentences first."""
    waiting = sorted(range(len(places)), key=lambda number: len(places[number][0]))
    while waiting:
        # They are sorted: the last of a batch is its longest, and all others are filled up to it.
        fits = (len(places[number][0]) * many <= _MOST_TOKENS for many, number in enumerate(waiting[:_MOST_ROWS], 1))
        many = max(1, sum(fits))
        numbers, waiting = waiting[:many], waiting[many:]
        yield numbers, _at(model, [places[number] for number in numbers])


@torch.inference_mode()
def _at(model: MaskedModel, places: Sequence[_Place]) -> Tensor:
    """Log-probabilities (n, vocabulary) at n places, in one forward pass."""
    length = max(len(ids) for ids, _ in places)
    padding = model.tokenizer.pad_token_id or 0
    ids = torch.tensor([[*row, *[padding] * (length - len(row))] for row, _ in places])
    there = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row, _ in places])
    asked = torch.zeros_like(ids, dtype=torch.bool)
    asked[torch.arange(len(places)), torch.tensor([position for _, position in places])] = True
    scores = log_probabilities(model.model, ids.to(model.device), there.to(model.device), asked.to(model.device))
    if bool(scores.isnan().any()):
        raise ShopmonError(
            f"the model in {model.folder} answers with what is no number (NaN)",
            advice="Its weights are damaged: take another model, or train it again with a lower learning rate.",
        )
    return scores


def _judged(tokenizer: Any, wanted: Sequence[str], unwanted: Sequence[str], after_blank: bool) -> _Judged:
    good = spelled(tokenizer, wanted, after_blank=after_blank)
    bad = spelled(tokenizer, unwanted, after_blank=after_blank)
    is_wanted = {ids: word for word, ids in _all_pieces(good, wanted)}
    for word, ids in _all_pieces(bad, unwanted):
        if ids in is_wanted:
            raise ShopmonError(
                f"{word!r} is unwanted, and {is_wanted[ids]!r} is wanted: to the model they are the same word",
                advice="Remove one of the two.",
            )
    marks = {**dict.fromkeys(good.single.values(), Mark.WANTED), **dict.fromkeys(bad.single.values(), Mark.UNWANTED)}
    return _Judged(marks, (*good.several, *bad.several))


def _all_pieces(words: Spelled, order: Iterable[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for word in order:
        yield word, words.several.get(word) or (words.single[word],)


def _pieces(tokenizer: Any, word: str, blank: str) -> tuple[int, ...]:
    _check_text(word)
    text = f"{blank}{word.strip()}"
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, covered = tuple(read.input_ids), {at for start, end in read.offset_mapping for at in range(start, end)}
    if not ids or not word.strip():
        raise ShopmonError(f"{word!r} is no word: nothing of it is left for the model", advice="Remove it.")
    lost = [character for at, character in enumerate(text) if character.isalnum() and at not in covered]
    if lost or not set(ids).isdisjoint(tokenizer.all_special_ids):
        raise ShopmonError(
            f"the model's vocabulary cannot spell {word!r}",
            advice="Write it in the letters that the model was trained on, or remove it from the list.",
        )
    return ids


def _check_text(text: str) -> None:
    """Half a surrogate pair, which stands for a byte that is no UTF-8, stops every tokenizer."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ShopmonError(
            f"{text!r} is no text: it holds bytes that are not UTF-8", advice="Write it in UTF-8."
        ) from None


def _check_room(model: MaskedModel, gap: Gap, word: str, pieces: Sequence[int]) -> None:
    tokens = len(gap.ids) + len(pieces) - 1
    if tokens > model.longest:
        raise ShopmonError(
            f"the prompt {gap.prompt[:40]!r}… with {word!r} in it has {tokens:,} tokens; "
            f"the model reads {model.longest:,} at most",
            advice="Shorten the prompt.",
        )


def _blank(tokenizer: Any) -> str:
    """What the vocabulary puts before a word that follows a blank; nothing in WordPiece vocabularies."""
    first = next(iter(tokenizer.tokenize(" x")), "")[:1]
    return first if first in _BLANKS else ""


def _after_blank(tokenizer: Any, before: str, blank: str) -> bool:
    if before.strip():
        return before[-1].isspace()
    return next(iter(tokenizer.tokenize("x")), "")[:1] == blank if blank else True


@lru_cache(maxsize=8)
def _vocabulary(tokenizer: Any, size: int, after_blank: bool) -> _Vocabulary:
    """What each of a model's `size` tokens is; tokens that the tokenizer does not know are nothing."""
    tokens = tokenizer.convert_ids_to_tokens(list(range(size)))
    texts = tokenizer.backend_tokenizer.decode_batch([[one] for one in range(size)], skip_special_tokens=False)
    goes_on = getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None) or ""
    blank = _blank(tokenizer)
    sorts = torch.zeros(size, dtype=torch.int8)
    special = set(tokenizer.all_special_ids)
    for one, (token, text) in enumerate(zip(tokens, texts, strict=True)):
        if one not in special and token is not None:
            sorts[one] = _sort(token, text.strip(), goes_on, blank, after_blank)
    return _Vocabulary(tuple(text.strip() for text in texts), sorts == _WORD, sorts == _PUNCTUATION, sorts == _PIECE)


_WORD, _PUNCTUATION, _PIECE, _NOTHING = 1, 2, 3, 0


def _sort(token: str, text: str, goes_on: str, blank: str, after_blank: bool) -> int:
    if not text or (len(text) > 2 and text[0] + text[-1] in ("[]", "<>")):
        return _NOTHING  # [unused7], <extra_id_1>
    if (goes_on and token.startswith(goes_on) and token != goes_on) or "\ufffd" in text:
        return _PIECE
    if not any(character.isalnum() for character in text):
        return _PUNCTUATION
    return _WORD if not blank or token.startswith(blank) == after_blank else _PIECE
