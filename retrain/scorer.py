"""What does a classifier say of texts, as fast as this machine can?

On a CPU it is asked in the format that its training found to be fast and no worse (`onnx_export`), where there is such
a record; else in torch, with bfloat16 where the hardware multiplies it faster. Texts of like length are read together,
so that hardly any padding is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expectations.errors import ShopmonError, first_line
from retrain import records
from retrain.classification_measures import Floats
from retrain.classifier import Classifier, load_classifier
from retrain.loading import best_device, check_tokenizer, has_bf16
from retrain.onnx_model import open_onnx, read_checked
from retrain.pair_steps import padded
from retrain.results import Serving, ServingFormat, TrainingResult

_TOKENS_OF_THREAD, _TOKENS_OF_GPU = 512, 16_384
"""Tokens of one forward pass, padding included: what a core's cache holds, and what keeps a GPU busy."""
_TEXTS = 4_096
"""Texts that are cut into tokens and sorted by length at once: memory does not grow with the texts."""

Forward = Callable[[Mapping[str, Tensor]], Floats]
"""Tokens, mask and types, each (rows, tokens) → logits (rows, classes)."""


@dataclass(frozen=True)
class Scorer:
    """A classifier that answers."""

    forward: Forward
    tokenizer: Any
    """A fast one, with a token for padding."""
    classes: tuple[str, ...]
    """In the order of an answer's columns."""
    max_length: int
    """Tokens that are read of a text at most, with the other text of its pair."""
    how: str
    """With what it computes, in a few words: "onnx int8 on cpu"."""
    tokens: int = _TOKENS_OF_THREAD
    """Of one forward pass at most; a longer text is read alone."""

    def probabilities(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Floats:
        """(texts, classes) the probability of each class; of each text alone, or with its other text in `pairs`.

        `progress` is told how many texts are done, and of how many. No texts, no rows.
        """
        logits = self.logits(texts, pairs, progress=progress)
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)  # type: ignore[no-any-return]

    def logits(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> Floats:
        """The same before the softmax: what tells one text's answer from another's, which probabilities do not."""
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts have {len(pairs)} other texts: one is needed for each")
        found = np.zeros((len(texts), len(self.classes)))
        done = 0
        for first in range(0, len(texts), _TEXTS):
            some = slice(first, first + _TEXTS)
            rows = self._cut(texts[some], None if pairs is None else pairs[some])
            for together in batches(rows["length"], self.tokens):
                inputs = padded(rows, together, int(self.tokenizer.pad_token_id))
                del inputs["labels"]
                found[first + np.asarray(together)] = self.forward(inputs)
                done += len(together)
                progress(done, len(texts))
        return found

    def _cut(self, texts: Sequence[str], pairs: Sequence[str] | None) -> dict[str, Any]:
        """Texts as tokens. Names of special tokens in a text are text."""
        told = self.tokenizer(
            list(texts), None if pairs is None else list(pairs), truncation=True, max_length=self.max_length,
            split_special_tokens=True, return_attention_mask=False,
        )  # fmt: skip
        ids = told["input_ids"]
        return {
            "ids": ids,
            "types": told.get("token_type_ids", [[] for _ in ids]),
            "label": [0] * len(ids),
            "length": list(map(len, ids)),
        }


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Rows of like length together, as many as `tokens` hold once they are padded; a longer one alone.

    The longest come first, so that memory is at its most from the beginning.

    >>> list(batches([2, 9, 2, 8, 2], 16))
    [[1], [3, 0], [2, 4]]
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable").tolist()
    first = 0
    while first < len(order):
        rows = max(1, tokens // max(1, lengths[order[first]]))
        yield order[first : first + rows]
        first += rows


# --- what computes ----------------------------------------------------------------------------------------------------


def torch_scorer(classifier: Classifier, max_length: int, *, bf16: bool | None = None) -> Scorer:
    """A classifier in memory, computed by torch where it is; in bfloat16 if asked for, or where that is faster."""
    device = classifier.device
    half = has_bf16(device) if bf16 is None else bf16

    @torch.inference_mode()
    def forward(inputs: Mapping[str, Tensor]) -> Floats:
        there = {name: value.to(device) for name, value in inputs.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = classifier.model(**there).logits
        return np.asarray(logits.double().cpu().numpy(), np.float64)

    how = f"torch {'bfloat16' if half else 'float32'} on {device.type}"
    tokens = _tokens_of_cpu() if device.type == "cpu" else _TOKENS_OF_GPU
    longest = min(max_length, classifier.longest)
    return Scorer(forward, classifier.tokenizer, classifier.classes, longest, how, tokens)


def onnx_scorer(content: bytes, serving: Serving, tokenizer: Any, max_length: int) -> Scorer:
    """An exported classifier, computed by ONNX Runtime on as many threads as torch would use.

    Raises ShopmonError for what is no such classifier.
    """
    model = open_onnx(content, len(serving.classes), threads=torch.get_num_threads())

    def forward(inputs: Mapping[str, Tensor]) -> Floats:
        rows: dict[str, NDArray[np.int64]] = {name: value.numpy() for name, value in inputs.items()}
        return np.asarray(model(rows), np.float64)

    how = f"{serving.format.value.replace('_', ' ')} on cpu"
    longest = min(max_length, serving.longest)
    return Scorer(forward, tokenizer, serving.classes, longest, how, _tokens_of_cpu())


def _tokens_of_cpu() -> int:
    return _TOKENS_OF_THREAD * torch.get_num_threads()


# --- from a folder ----------------------------------------------------------------------------------------------------


def load_scorer(folder: Path, *, max_length: int | None = None) -> Scorer:
    """The classifier in a folder, ready to answer; longer texts are cut, by default as they were when it learnt.

    Raises ShopmonError for what is no classifier, for a damaged record of its training, and for an exported file that
    is not the one its training wrote.
    """
    told = _record(folder)
    asked = max_length or _learnt_with(told)
    serving = told.serving if told else None
    if serving is None or serving.format is ServingFormat.TORCH or best_device().type != "cpu":
        classifier = load_classifier(folder)
        return torch_scorer(classifier, asked or classifier.longest)
    content = read_checked(folder, serving.file, serving.sha256)
    return onnx_scorer(content, serving, _tokenizer(folder), asked or serving.longest)


def _record(folder: Path) -> TrainingResult | None:
    """What a training says of its model; None for a model that none of ours made."""
    return records.from_document(records.read(folder)) if (folder / records.FILE_NAME).exists() else None


def _learnt_with(told: TrainingResult | None) -> int | None:
    """Tokens at which texts were cut when a model learnt."""
    training = told.settings.get("training") if told else None
    found = training.get("max_length") if isinstance(training, Mapping) else None
    return found if isinstance(found, int) else None


def _tokenizer(folder: Path) -> Any:
    import transformers

    try:
        found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged file ends in a dozen different exceptions
        raise ShopmonError(
            f"the tokenizer in {folder} cannot be loaded: {first_line(error)}",
            advice="Restore the model's folder from a copy.",
        ) from error
    check_tokenizer(folder, found, config)
    if found.pad_token_id is None:
        raise ShopmonError(
            f"the tokenizer in {folder} is not the one that its model was trained with: it cannot pad",
            advice="Restore the model's folder from a copy.",
        )
    return found
