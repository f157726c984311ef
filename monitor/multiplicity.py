"""Which of many p-values still speak when many questions were asked at once?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Decision:
    """What one question's p-value comes to among the others."""

    name: str
    """The question, as it was asked; its place in the order where the questions had no names."""
    p_value: float
    """The probability of so much difference by chance, had this been the only question (0–1)."""
    adjusted: float
    """The smallest level of the whole at which this question is decided (0–1), never below `p_value`."""
    level: float
    """Probability of any false alarm among all the questions together (0–1)."""

    @property
    def rejected(self) -> bool:
        """Whether chance alone is ruled out."""
        return self.adjusted <= self.level

    @property
    def reason(self) -> str:
        """One clause for people."""
        verdict = "more than chance" if self.rejected else "may be chance"
        return f"{verdict} (adjusted p {self.adjusted:.2g}, alone {self.p_value:.2g})"


def holm(p_values: Mapping[str, float] | Sequence[float], level: float = 0.05) -> tuple[Decision, ...]:
    """Decide many tests together, so that the chance of any false alarm among them is at most `level`.

    One decision for each p-value, in the order given. The tests may depend on each other in any way. Without a test
    there is no decision: an empty tuple.

    Raises ValueError for a p-value that is not a number from 0 to 1, and for a level that is not between them.
    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).

    >>> for decision in holm({"price": 0.001, "stars": 0.04, "brand": 0.03}):
    ...     print(decision.name, decision.rejected, round(decision.adjusted, 3))
    price True 0.003
    stars False 0.06
    brand False 0.06
    """
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1, got {level!r}")
    named = p_values if isinstance(p_values, Mapping) else {str(i): p for i, p in enumerate(p_values)}
    for name, p in named.items():
        if not 0 <= p <= 1:  # NaN as well
            raise ValueError(f"a p-value lies between 0 and 1, got {p!r} for {name!r}")
    alone = [float(p) for p in named.values()]
    return tuple(Decision(*each, level) for each in zip(named, alone, _adjusted(alone), strict=True))


def _adjusted(p_values: Sequence[float]) -> list[float]:
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    # Nobody who asked with a larger p may come out ahead of one with a smaller, though the factors fall.
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted]
