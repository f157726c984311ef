"""What is asked of a text about each label, when a model was not trained on the labels?

A sentence about each of them, of which the model says whether it follows from the text. Source: Yin, Hay and Roth,
Benchmarking Zero-shot Text Classification (EMNLP 2019). Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expectations.errors import ShopmonError

HYPOTHESIS = "This text is about {}."
"""The sentence about a label, whose place is {}."""
GAP = "{}"


@dataclass(frozen=True)
class Question:
    """What is asked of each text."""

    labels: tuple[str, ...]
    hypothesis: str = HYPOTHESIS
    multi: bool = False
    """Whether several labels may fit one text, each judged by itself; else they share the text among them."""

    def __post_init__(self) -> None:
        """Raise ShopmonError for labels and sentences that cannot be asked about."""
        _check_labels(self.labels, self.multi)
        if self.hypothesis.count(GAP) != 1:
            raise ShopmonError(
                f"the hypothesis {self.hypothesis!r} has {self.hypothesis.count(GAP)} places for a label",
                advice=f'Write {GAP} once where the label belongs, as in "{HYPOTHESIS}".',
            )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a text may entail, one sentence a label.

        >>> Question(("shipping", "size {0}")).sentences
        ('This text is about shipping.', 'This text is about size {0}.')
        """
        return tuple(self.hypothesis.replace(GAP, label) for label in self.labels)


def _check_labels(labels: Sequence[str], multi: bool) -> None:
    if not labels or any(not label.strip() for label in labels):
        raise ShopmonError(
            "a label is empty" if labels else "there are no labels", advice='Name some: "shipping,size,quality".'
        )
    seen: dict[str, str] = {}
    for label in labels:
        plain = " ".join(label.split()).casefold()
        if plain in seen:
            same = f"the label {label!r} stands there twice"
            problem = same if seen[plain] == label else f"the labels {seen[plain]!r} and {label!r} say the same"
            raise ShopmonError(problem, advice="Keep one of them.")
        seen[plain] = label
    if len(labels) == 1 and not multi:
        raise ShopmonError(
            f"{labels[0]!r} is the only label, so every text would get it",
            advice="Give another one, or ask of each label whether it fits: multi.",
        )
