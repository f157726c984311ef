"""What does a sentence encoder with a linear layer on top say of one text?

The mean of the encoder's last hidden states over the tokens of a text (Reimers and Gurevych, Sentence-BERT, 2019), and
one linear layer: what the AWS post on product categories trains with cross-entropy. Afterwards the encoder is of use
without the layer, too: sentence-transformers loads the folder, and other heads can be put on its vectors.

`SentenceTransformerTrainer` would train it as well, but its losses are made for pairs and triplets, and its checkpoints
neither survive a kill in the middle of a save nor go on with the same weights. So the loop is ours (`training`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from expectations.errors import ShopmonError, first_line
from retrain.classifier import Classifier
from retrain.loading import best_device, check_tokenizer, pretrained

HEAD, CLASSES = "head.safetensors", "classes.json"
_POOLING = Path("1_Pooling", "config.json")
_LACKS_POOLER = "pooler."
"""What a base may lack: a layer for the first token, which nobody asks here."""
_RETRY = "Give the folder of a model that shopmon retrain --task category made."


class PooledClassifier(nn.Module):
    """A sentence encoder with a linear layer."""

    def __init__(self, encoder: Any, classes: int) -> None:
        """`encoder` is a `PreTrainedModel` without a head; the layer has learnt nothing yet."""
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # weights that no loss reaches stop a training in several processes
        self.base_model = encoder
        self.head = nn.Linear(int(encoder.config.hidden_size), classes)

    @property
    def config(self) -> Any:
        """The encoder's."""
        return self.base_model.config

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> SequenceClassifierOutput:
        """`logits` of shape (rows, classes), from tokens and mask of shape (rows, length)."""
        typed = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.base_model(input_ids=input_ids, attention_mask=attention_mask, **typed).last_hidden_state
        return SequenceClassifierOutput(logits=self.head(mean_state(states, attention_mask)))


def mean_state(states: Tensor, attention: Tensor) -> Tensor:
    """(rows, dimensions) mean of states (rows, length, dimensions) where `attention` (rows, length) is 1.

    >>> mean_state(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    there = attention[..., None].to(torch.float32)
    return (states.float() * there).sum(1) / there.sum(1).clamp_min(1)


def fresh_pooled(folder: Path, classes: Sequence[str], seed: int, *, device: torch.device | None = None) -> Classifier:
    """The encoder in a folder with a layer that has learnt nothing yet, the same for the same seed.

    Raises ShopmonError where the folder holds no encoder, or one whose weights are not whole.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, tokenizer = _encoder(folder)
        model = PooledClassifier(encoder, len(classes))
    return Classifier(model.eval().to(device or best_device()), tokenizer, folder, tuple(classes))


def save_pooled(classifier: Classifier, folder: Path) -> None:
    """Write encoder and tokenizer as sentence-transformers has them, the layer beside them, and the classes' names."""
    model = classifier.model.to(torch.float32)
    model.base_model.save_pretrained(folder)
    classifier.tokenizer.save_pretrained(folder)
    layer = {name: value.detach().cpu().contiguous() for name, value in model.head.named_parameters()}
    save_file(layer, folder / HEAD)
    _write(folder / CLASSES, list(classifier.classes))
    size = int(model.config.hidden_size)
    _write(folder / "modules.json", _MODULES)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": classifier.longest, "do_lower_case": False})
    _write(folder / _POOLING, {"word_embedding_dimension": size, "pooling_mode_mean_tokens": True})


_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": _POOLING.parent.name, "type": "sentence_transformers.models.Pooling"},
]


def load_pooled(folder: Path, *, device: torch.device | None = None) -> Classifier:
    """The classifier that `save_pooled` wrote, on `device` (by default the best there is), in float32.

    Only safetensors and JSON are read. Raises ShopmonError for what is none, or does not fit together.
    """
    encoder, tokenizer = _encoder(folder)
    classes = read_classes(folder)
    model = PooledClassifier(encoder, len(classes))
    try:
        model.head.load_state_dict(load_file(folder / HEAD))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ShopmonError(
            f"{folder / HEAD} is no layer for {len(classes)} classes: {first_line(error)}", advice=_RETRY
        ) from error
    return Classifier(model.eval().to(device or best_device()), tokenizer, folder, classes)


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of a model's classes. Raises ShopmonError where the file is missing or says something else."""
    try:
        told = json.loads((folder / CLASSES).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ShopmonError(f"{folder / CLASSES} cannot be read: {first_line(error)}", advice=_RETRY) from error
    if not isinstance(told, list) or len(told) < 2 or not all(isinstance(one, str) for one in told):
        raise ShopmonError(f"{folder / CLASSES} is no list of two names or more", advice=_RETRY)
    return tuple(told)


def _encoder(folder: Path) -> tuple[Any, Any]:
    from transformers.utils.logging import set_verbosity_error

    set_verbosity_error()  # type: ignore[no-untyped-call]  # that a base has a head of its own is known
    model, tokenizer, missing = pretrained(folder, "AutoModel")
    check_tokenizer(folder, tokenizer, model.config)
    if lacking := [name for name in missing if not name.startswith(_LACKS_POOLER)]:
        raise ShopmonError(
            f"{folder} is no encoder that can be read: its weights lack {lacking[0]}"
            + (f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""),
            advice="Give a sentence encoder such as sentence-transformers/paraphrase-MiniLM-L6-v2.",
        )
    if tokenizer.pad_token_id is None:
        raise ShopmonError(
            f"the tokenizer in {folder} has no token for padding",
            advice="Give a sentence encoder such as sentence-transformers/paraphrase-MiniLM-L6-v2.",
        )
    return model, tokenizer


def _write(file: Path, told: object) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="ascii")
