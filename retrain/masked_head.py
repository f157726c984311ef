"""What does a model say at some places of a text? Only there is its head computed.

The head of a masked language model is a third of its work at 30,522 tokens, and at seven places of eight nobody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def logits_at(model: Any, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
    """Logits (n, vocabulary) at the n places where `positions` is true, row by row, as the whole model gives them.

    `input_ids`, `attention_mask` and `positions` (bool) are (rows, length). No place, no logits: (0, vocabulary).
    """
    head = _HEADS.get(model.config.model_type)
    if head is None:  # a family whose head is not known here: every place, and then those asked for
        return model(input_ids=input_ids, attention_mask=attention_mask).logits[positions]  # type: ignore[no-any-return]
    hidden = model.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
    return head(model, hidden[positions])


def _distilbert(model: Any, hidden: Tensor) -> Tensor:
    return model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(hidden))))  # type: ignore[no-any-return]


def _bert(model: Any, hidden: Tensor) -> Tensor:
    return model.cls(hidden)  # type: ignore[no-any-return]


def _roberta(model: Any, hidden: Tensor) -> Tensor:
    return model.lm_head(hidden)  # type: ignore[no-any-return]


_HEADS: Mapping[str, Callable[[Any, Tensor], Tensor]] = {
    "distilbert": _distilbert,
    "bert": _bert,
    "roberta": _roberta,
    "xlm-roberta": _roberta,
    "camembert": _roberta,
}


def log_probabilities(model: Any, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
    """Natural logarithms of the probabilities (n, vocabulary) of every token at n places, in float32."""
    return torch.log_softmax(logits_at(model, input_ids, attention_mask, positions).float(), dim=-1)
