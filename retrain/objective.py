"""What is minimised? Four parts, each at the places it is asked of.

- positive rows: cross-entropy at masked words, in nats (Devlin et al., BERT, 2019);
- negative rows: unlikelihood in the gap of an unwanted word, -log(1 - P), where P is the probability of all unwanted
  words of one piece, or that of the word itself where it has several (Welleck et al., Neural Text Generation with
  Unlikelihood Training, 2020); and, in gaps of one mask, -log of the probability of all wanted words of one piece;
- counterfactual and replayed rows: KL(base ‖ model), so that what the base says there stays (Li and Hoiem, Learning
  without Forgetting, 2016; with the base's whole distribution as in Hinton et al., 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, distributed, nn

from retrain.learner import Trainable
from retrain.masked_head import logits_at
from retrain.settings import Objective

_LEAST = 1e-6
"""Nats by which a word of several pieces is always less than certain, so that a logarithm stays finite."""


class Part(IntEnum):
    """What is asked of a place."""

    POSITIVE = 0
    UNWANTED = 1
    """A gap of one mask in a negative row: none of the unwanted words."""
    UNWANTED_WORD = 2
    """A gap of several masks in a negative row: not the word that stood there."""
    COUNTERFACTUAL = 3
    REPLAY = 4


PARTS = {
    "positive": (Part.POSITIVE,),
    "unlikelihood": (Part.UNWANTED, Part.UNWANTED_WORD),
    "wanted_likelihood": (Part.UNWANTED,),
    "counterfactual_kl": (Part.COUNTERFACTUAL,),
    "replay_kl": (Part.REPLAY,),
}
"""The parts as people are told of them, by the name of their weight."""


class Learner(Trainable):
    """A model that learns, beside the one that it must not forget."""

    def __init__(
        self,
        model: nn.Module,
        base: nn.Module | None,
        objective: Objective,
        unwanted: Sequence[int],
        wanted: Sequence[int] = (),
    ) -> None:
        """`base` is frozen and answers KL; None where no part needs it.

        `unwanted` and `wanted` are tokens of one-piece words.
        """
        super().__init__()
        self.model = model
        self.weights = {
            "positive": 1.0,
            "unlikelihood": objective.unlikelihood,
            "wanted_likelihood": objective.wanted_likelihood,
            "counterfactual_kl": objective.counterfactual_kl,
            "replay_kl": objective.replay_kl,
        }
        # Not submodules: neither is trained, kept or sent to other processes.
        object.__setattr__(self, "base", base)
        self.unwanted: Tensor
        self.wanted: Tensor
        self.register_buffer("unwanted", torch.tensor(list(unwanted), dtype=torch.long), persistent=False)
        self.register_buffer("wanted", torch.tensor(list(wanted), dtype=torch.long), persistent=False)

    def forward(self, groups: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The loss, and each part's mean before it is weighed, over several paddings of one step.

        Each group has `input_ids`, `attention_mask`, `places` (bool) of shape (rows, length), and of the n places, row
        by row: `part`, `target` (a token, or -1), and `gap`, the number of the gap that a place belongs to.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for group in groups:
            for name, losses in self._losses(group).items():
                sums[name] = sums.get(name, losses.new_zeros(())) + losses.sum()
                counts[name] = counts.get(name, 0) + len(losses)
        shared = self._shared(counts)
        means = {name: total / shared[name] for name, total in sums.items() if shared[name]}
        # Every parameter takes part in every step, also where a process happens to have no place to fill.
        nothing = torch.stack([p.sum() for p in self.model.parameters()]).sum() * 0.0 if not means else None
        weighed = [self.weights[name] * mean for name, mean in means.items()]
        loss = torch.stack(weighed).sum() if nothing is None else nothing
        return {"loss": loss, **{name: mean.detach() for name, mean in means.items()}}

    def _shared(self, counts: Mapping[str, int]) -> Mapping[str, float]:
        """Places of each part in a process, on average over all: their gradients are averaged, too, and so a step
        weighs every place alike, wherever it is read."""
        if not (distributed.is_initialized() and self.training):
            return counts
        every = torch.tensor([float(counts.get(name, 0)) for name in PARTS], device=self.unwanted.device)
        distributed.all_reduce(every)
        return dict(zip(PARTS, (every / distributed.get_world_size()).tolist(), strict=True))

    def _losses(self, group: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Part → the loss of each of its places (of each gap, for words of several pieces), in nats."""
        inputs = (group["input_ids"], group["attention_mask"], group["places"])
        part = group["part"]
        logits = logits_at(self.model, *inputs).float()
        found: dict[str, Tensor] = {}
        at = part == Part.POSITIVE
        if at.any():
            found["positive"] = nn.functional.cross_entropy(logits[at], group["target"][at], reduction="none")
        gaps = part == Part.UNWANTED
        if gaps.any() and len(self.wanted) and self.weights["wanted_likelihood"]:
            found["wanted_likelihood"] = likelihood(logits[gaps], self.wanted)
        unwanted = self._unlikelihood(logits, group)
        if len(unwanted):
            found["unlikelihood"] = unwanted
        return found | self._divergences(logits, inputs, part)

    def _unlikelihood(self, logits: Tensor, group: Mapping[str, Tensor]) -> Tensor:
        part = group["part"]
        losses = []
        single, several = part == Part.UNWANTED, part == Part.UNWANTED_WORD
        if single.any():
            losses.append(unlikelihood(logits[single], self.unwanted))
        if several.any():
            token = torch.log_softmax(logits[several], dim=-1).gather(1, group["target"][several, None]).squeeze(1)
            _, number = torch.unique(group["gap"][several], return_inverse=True)
            joint = token.new_zeros(int(number.max()) + 1).index_add(0, number, token)
            losses.append(-torch.log(-torch.expm1(joint.clamp_max(-_LEAST))))
        return torch.cat(losses) if losses else logits.new_zeros(0)

    def _divergences(self, logits: Tensor, inputs: tuple[Tensor, Tensor, Tensor], part: Tensor) -> dict[str, Tensor]:
        kept = {name: part == which for name, which in _KEPT.items()}
        asked = torch.stack(list(kept.values())).any(0)
        if self.base is None or not asked.any():
            return {}
        said = self._base_logits(inputs, asked)
        divergence = logits.new_zeros(len(part))
        divergence[asked] = kl_divergence(said, logits[asked])
        return {name: divergence[at] for name, at in kept.items() if at.any()}

    @torch.no_grad()
    def _base_logits(self, inputs: tuple[Tensor, Tensor, Tensor], asked: Tensor) -> Tensor:
        """What the base says at the places asked for; rows without one are not read."""
        ids, attention, places = inputs
        only = torch.zeros_like(places)
        only[places] = asked
        rows = only.any(1)
        return logits_at(self.base, ids[rows], attention[rows], only[rows]).float()


_KEPT = {"counterfactual_kl": Part.COUNTERFACTUAL, "replay_kl": Part.REPLAY}


def likelihood(logits: Tensor, wanted: Tensor) -> Tensor:
    """-log P in nats of n distributions, given as logits (n, vocabulary); P is that of all wanted tokens.

    >>> likelihood(torch.zeros(1, 4), torch.tensor([0, 1])).exp().round().tolist()
    [2.0]
    """
    return torch.logsumexp(logits, dim=-1) - torch.logsumexp(logits[:, wanted], dim=-1)


def unlikelihood(logits: Tensor, unwanted: Tensor) -> Tensor:
    """-log(1 - P) in nats of n distributions, given as logits (n, vocabulary); P is that of all unwanted tokens.

    It is taken from the other tokens' logits: however sure a model is of an unwanted word, it can still unlearn it.

    >>> unlikelihood(torch.zeros(1, 4), torch.tensor([0, 1])).exp().round().tolist()
    [2.0]
    """
    others = logits.index_fill(1, unwanted, float("-inf"))
    return torch.logsumexp(logits, dim=-1) - torch.logsumexp(others, dim=-1)


def kl_divergence(base: Tensor, model: Tensor) -> Tensor:
    """KL(base ‖ model) in nats of n distributions, given as logits (n, vocabulary).

    >>> kl_divergence(torch.zeros(1, 4), torch.zeros(1, 4)).tolist()
    [0.0]
    """
    said, says = torch.log_softmax(base, dim=-1), torch.log_softmax(model, dim=-1)
    return (said.exp() * (said - says)).sum(-1)


def parameters_of(learner: Any) -> int:
    """How many numbers are learnt."""
    return sum(p.numel() for p in learner.parameters() if p.requires_grad)
