"""What is minimised when classes are told apart?

Cross-entropy in nats per row. A row may count more for being of a rare class, and less for being recognised already
(Lin et al., Focal Loss for Dense Object Detection, 2017); a part of its label may be spread over all classes (Szegedy
et al., Rethinking the Inception Architecture, 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from retrain.classifier_settings import ClassifierObjective, Weighting
from retrain.learner import Trainable


def class_weights(counts: Sequence[int], weighting: Weighting) -> list[float]:
    """How much a row of each class counts, 1 on average over all rows; a class without a row has 1.

    >>> class_weights([30, 10, 0], Weighting.BALANCED)
    [0.6666666666666666, 2.0, 1.0]
    """
    if weighting is Weighting.NONE:
        return [1.0] * len(counts)
    there = sum(count > 0 for count in counts)
    return [sum(counts) / (there * count) if count else 1.0 for count in counts]


def losses(logits: Tensor, labels: Tensor, weights: Tensor, objective: ClassifierObjective) -> Tensor:
    """(rows,) the loss of each row, in nats, from logits (rows, classes) and labels (rows,).

    >>> losses(torch.zeros(1, 4), torch.tensor([2]), torch.ones(4), ClassifierObjective()).exp().round().tolist()
    [4.0]
    """
    logp = torch.log_softmax(logits.float(), dim=-1)
    right = logp.gather(1, labels[:, None]).squeeze(1)
    share = objective.label_smoothing
    found = -((1 - share) * right + share * logp.mean(-1))
    if objective.focal_gamma:
        found = found * (-torch.expm1(right)).clamp_min(0) ** objective.focal_gamma
    return found * weights[labels]


class ClassLearner(Trainable):
    """A classifier that learns."""

    def __init__(self, model: nn.Module, objective: ClassifierObjective, weights: Sequence[float]) -> None:
        """`weights` say how much a row of each class counts."""
        super().__init__()
        self.model = model
        self.objective = objective
        self.base = None
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(list(weights), dtype=torch.float32), persistent=False)

    def forward(self, groups: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The loss, and the plain cross-entropy, on average over the rows of a step.

        Each group has `input_ids` and `attention_mask` of shape (rows, length), `labels` (rows,), and what else the
        model reads.
        """
        if not groups:  # every parameter takes part in every step, also where a process happens to have no row
            nothing = torch.stack([p.sum() for p in self.model.parameters()]).sum() * 0.0
            self._shared(0)
            return {"loss": nothing}
        said = [(self._logits(group), group["labels"]) for group in groups]
        rows = sum(len(labels) for _, labels in said)
        shared = self._shared(rows)
        loss = torch.stack([losses(*one, self.weights, self.objective).sum() for one in said]).sum() / shared
        plain = torch.stack([nn.functional.cross_entropy(*one, reduction="sum") for one in said]).sum() / rows
        return {"loss": loss, "cross_entropy": plain.detach()}

    def _logits(self, group: Mapping[str, Tensor]) -> Tensor:
        inputs: dict[str, Any] = {name: value for name, value in group.items() if name != "labels"}
        logits: Tensor = self.model(**inputs).logits
        return logits.float()

    def _shared(self, rows: int) -> float:
        """Rows of a step in a process, on average over all: gradients are averaged, and so each row counts alike."""
        if not (distributed.is_initialized() and self.training):
            return rows
        every = torch.tensor([float(rows)], device=self.weights.device)
        distributed.all_reduce(every)
        return float(every) / distributed.get_world_size()
