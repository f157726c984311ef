"""Which of some labels fits a text, as a model sees it that was never trained on them?

A model of natural language inference is asked whether the text entails a sentence about each label, such as "This text
is about shipping.". Source: Yin, Hay and Roth, Benchmarking Zero-shot Text Classification (EMNLP 2019).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from expectations.errors import ShopmonError
from retrain.classification_measures import Floats
from retrain.hypotheses import Question
from retrain.scorer import Scorer, load_scorer

_AGAINST = ("notentailment", "nonentailment", "noentailment")
"""How models of two classes call the one that is not entailment, as letters alone."""


@dataclass(frozen=True)
class Sides:
    """Which of a model's classes says that a text entails a sentence, and which that it does not; by number."""

    entailment: int
    against: int | None
    """Contradiction; of two classes, the other one. None where no name tells."""


def sides(classes: Sequence[str], *, entailment: str | None = None, contradiction: str | None = None) -> Sides:
    """Find both classes by what they are called, in any case and order; or by the names that are given.

    Raises ShopmonError where no class is entailment, as far as its name tells, or a given name is no class.

    >>> sides(["CONTRADICTION", "NEUTRAL", "ENTAILMENT"])
    Sides(entailment=2, against=0)
    >>> sides(["entailment", "not_entailment"]).against
    1
    """
    plain = [re.sub("[^a-z]", "", name.lower()) for name in classes]
    found = _given(classes, entailment, "--entailment") if entailment else _only(plain, ("entail",))
    if found is None:
        raise ShopmonError(
            f"none of the model's classes is entailment, as far as their names tell: {', '.join(classes)}",
            advice="Give a model of natural language inference; or, if it is one, say which class it is: --entailment.",
        )
    if contradiction:
        against = _given(classes, contradiction, "--contradiction")
        if against == found:
            raise ShopmonError(f"{contradiction!r} is both classes", advice="Name two different ones.")
        return Sides(found, against)
    if len(classes) == 2:
        return Sides(found, 1 - found)
    against_by_name = _only(plain, ("contradict", *_AGAINST))
    return Sides(found, None if against_by_name == found else against_by_name)


def _given(classes: Sequence[str], name: str, option: str) -> int:
    if name not in classes:
        raise ShopmonError(
            f"the model has no class {name!r}; it has {', '.join(classes)}", advice=f"Give one of them: {option}."
        )
    return classes.index(name)


def _only(plain: Sequence[str], beginnings: tuple[str, ...]) -> int | None:
    """The only name that begins so; None where there is none, or where there are several."""
    fitting = [at for at, name in enumerate(plain) if name.startswith(beginnings)]
    return fitting[0] if len(fitting) == 1 else None


@dataclass(frozen=True)
class ZeroShot:
    """A model that answers one question about many texts."""

    scorer: Scorer
    question: Question
    sides: Sides

    @property
    def longest_text(self) -> int:
        """Characters of a text beyond which the model surely reads nothing: it reads word pieces, mostly of a few."""
        return self.scorer.max_length * _CHARACTERS

    def __call__(self, texts: Sequence[str], *, progress: Callable[[int, int], None] = lambda done, of: None) -> Floats:
        """(texts, labels) how well each label fits each text, from 0 to 1; no texts, no rows.

        Labels that share a text sum to 1: the softmax of the entailment logits over the labels. With `multi` each is
        held against its own contradiction alone. A text that is too long is cut at its end; a sentence never is.
        `progress` is told how many sentences have been judged, and of how many.
        """
        sentences = self.question.sentences
        premises = [text for text in texts for _ in sentences]
        logits = self.scorer.logits(premises, list(sentences) * len(texts), progress=progress)
        if not np.isfinite(logits).all():
            raise ShopmonError("the model answers with what is no number", advice="Give a model that is not damaged.")
        return fits(logits.reshape(len(texts), len(sentences), logits.shape[-1]), self.sides, multi=self.question.multi)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """Of each text whether its end is cut, since the model does not read it whole beside the longest sentence."""
        tokenizer = self.scorer.tokenizer
        sentences = tokenizer(list(self.question.sentences), add_special_tokens=False, split_special_tokens=True)
        room = self.scorer.max_length - tokenizer.num_special_tokens_to_add(pair=True)
        room -= max(map(len, sentences["input_ids"]))
        cut = [False] * len(texts)
        doubtful = [at for at, text in enumerate(texts) if len(text) > room]  # each token takes a character
        if doubtful:
            told = tokenizer([texts[at] for at in doubtful], add_special_tokens=False, split_special_tokens=True)
            for at, ids in zip(doubtful, told["input_ids"], strict=True):
                cut[at] = len(ids) > room
        return cut


_CHARACTERS = 32
"""Characters that a token stands for at most, as far as a text's end is still looked at: English has four or five."""


def fits(logits: Floats, of: Sides, *, multi: bool) -> Floats:
    """(texts, labels) how well labels fit, from (texts, labels, classes) logits about the labels' sentences.

    >>> fits(np.array([[[0.0, 2.0], [0.0, 2.0]]]), Sides(1, 0), multi=False)
    array([[0.5, 0.5]])
    >>> fits(np.array([[[0.0, 0.0], [9.0, 9.0]]]), Sides(1, 0), multi=True)
    array([[0.5, 0.5]])
    """
    said = logits[..., of.entailment]
    if multi:
        if of.against is None:
            raise ValueError("labels that are judged one by one need a class that speaks against them")
        return 1 / (1 + np.exp(np.clip(logits[..., of.against] - said, -500, 500)))
    powers = np.exp(said - said.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def load_zero_shot(
    folder: Path, question: Question, *, entailment: str | None = None, contradiction: str | None = None
) -> ZeroShot:
    """The model in a folder, ready to answer.

    `entailment` and `contradiction` name its classes where their names do not tell. Raises ShopmonError for what is no
    sequence classifier, for one without such classes, and for a label so long that no room is left for a text.
    """
    scorer = load_scorer(folder)
    found = sides(scorer.classes, entailment=entailment, contradiction=contradiction)
    if question.multi and found.against is None:
        raise ShopmonError(
            f"no class of the model speaks against a label, as far as their names tell: {', '.join(scorer.classes)}",
            advice="Say which one does: --contradiction CLASS.",
        )
    _check_room(scorer, question)
    return ZeroShot(scorer, question, found)


def _check_room(scorer: Scorer, question: Question) -> None:
    """A sentence may take half of what the model reads: of a text beside it only the text is then ever cut."""
    most = scorer.max_length // 2
    for label, sentence in zip(question.labels, question.sentences, strict=True):
        length = len(scorer.tokenizer(sentence, split_special_tokens=True)["input_ids"])
        if length > most:
            raise ShopmonError(
                f"the sentence about {label[:60]!r} has {length} tokens, and the model reads {scorer.max_length} of a "
                "text and a sentence together",
                advice=f"Shorten the label or the hypothesis: {most} tokens are the most.",
            )
