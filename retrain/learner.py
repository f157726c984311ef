"""What can a training train?"""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Trainable(nn.Module):
    """A model with what is minimised: given the groups of a step, it says the loss, and its parts by name."""

    model: nn.Module
    """What is learnt and kept."""
    base: nn.Module | None
    """What answers beside it and is not trained; None where nothing does."""


class Pace(Protocol):
    """What the settings of every training say of how it learns."""

    @property
    def batch_size(self) -> int:
        """Rows of a step, over all processes."""

    @property
    def learning_rate(self) -> float:
        """At its highest."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW."""

    @property
    def warmup(self) -> float:
        """Share of the steps over which the learning rate grows."""

    @property
    def max_grad_norm(self) -> float:
        """Gradients of a longer norm are shortened to it."""

    @property
    def patience(self) -> int:
        """Evaluations without a better one after which the training stops."""

    @property
    def bf16(self) -> bool | None:
        """Whether to compute in bfloat16; None: where the hardware has it."""

    @property
    def seed(self) -> int:
        """The same seed, data and machine give the same weights."""

    @property
    def report_to(self) -> tuple[str, ...]:
        """Trackers beside metrics.jsonl."""
