"""How does a model get from its folder into memory, safely?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from expectations.errors import ShopmonError, first_line

_COUNTS_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Families whose first places are numbered behind the padding's, and so are fewer than they seem."""
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class MaskedModel:
    """A masked language model with the tokenizer that it was trained with."""

    model: Any
    """A `PreTrainedModel` with a masked-LM head, ready to answer (dropout off)."""
    tokenizer: Any
    """A fast tokenizer."""
    folder: Path

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device  # type: ignore[no-any-return]

    @property
    def vocabulary(self) -> int:
        """Tokens that the model can say."""
        return int(self.model.config.vocab_size)

    @property
    def longest(self) -> int:
        """Tokens of the longest text it can read."""
        return longest_of(self.model, self.tokenizer)


def longest_of(model: Any, tokenizer: Any) -> int:
    """Tokens of the longest text that a model can read."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", 512)
    if config.model_type in _COUNTS_FROM_PADDING:
        positions -= config.pad_token_id + 1
    return int(min(positions, tokenizer.model_max_length))


def best_device() -> torch.device:
    """The GPU of this process where there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 at more than the speed of float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in _CPU_BF16)


_CPU_BF16 = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


def load_masked_lm(folder: Path, *, device: torch.device | None = None) -> MaskedModel:
    """The masked language model in a folder, on `device` (by default the best there is), in float32.

    Only safetensors are read, and no code that comes with a model is run. Raises ShopmonError for a folder that is no
    such model: pickled weights, another kind of model, a tokenizer without a mask token, weights that do not fit.
    """
    model, tokenizer, missing = pretrained(folder, "AutoModelForMaskedLM")
    _check_head(folder, missing)
    check_tokenizer(folder, tokenizer, model.config)
    _check_mask(folder, tokenizer)
    return MaskedModel(model.eval().to(device or best_device()), tokenizer, folder)


def pretrained(folder: Path, kind: str, **more: Any) -> tuple[Any, Any, list[str]]:
    """Model, tokenizer, and the names of the weights that the folder lacks; `kind` is a class of transformers.

    From the folder alone, only from safetensors, in float32, and without running code of the model's. Raises
    ShopmonError for what cannot be loaded so.
    """
    check_folder(folder)
    import transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # a model is read in a second; what takes long is told by the command line
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model, told = getattr(transformers, kind).from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
            **more,
        )
    except Exception as error:  # a damaged file ends in a dozen different exceptions
        raise ShopmonError(
            f"the model in {folder} cannot be loaded: {first_line(error)}",
            advice="Give a folder that save_pretrained wrote, with model.safetensors, config.json and a tokenizer.",
        ) from error
    missing = told["missing_keys"] if isinstance(told, dict) else told.missing_keys
    return model, tokenizer, sorted(missing)


def check_folder(folder: Path) -> None:
    """Raise ShopmonError unless the folder holds a model's configuration and its weights as safetensors."""
    if not folder.is_dir():
        raise ShopmonError(f"{folder} is no folder", advice="Give the folder of a model, or its name on the hub.")
    if not (folder / "config.json").is_file():
        raise ShopmonError(
            f"{folder} is no model: it has no config.json", advice="Give a folder that save_pretrained wrote."
        )
    if any(folder.glob("*.safetensors")):
        return
    if any((folder / name).exists() for name in _PICKLED):
        raise ShopmonError(
            f"the weights in {folder} are pickled, and a pickle can run anything when it is opened",
            advice="Convert them where you trust them: model.save_pretrained(folder, safe_serialization=True).",
        )
    raise ShopmonError(f"{folder} has no weights: no .safetensors file", advice="Give a folder with the weights.")


def _check_head(folder: Path, missing: Sequence[str]) -> None:
    if missing:
        raise ShopmonError(
            f"{folder} is no masked language model: its weights lack {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            advice="Give a model that was trained to fill gaps, such as distilbert-base-uncased.",
        )


def check_tokenizer(folder: Path, tokenizer: Any, config: Any) -> None:
    """Raise ShopmonError for a tokenizer that is slow, knows no words, or is not that of a model so configured."""
    if not tokenizer.is_fast:
        raise ShopmonError(
            f"the tokenizer in {folder} is a slow one, which cannot tell words apart",
            advice="Save the model with its fast tokenizer (tokenizer.json).",
        )
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):  # the library makes one out of nothing
        raise ShopmonError(
            f"the tokenizer in {folder} knows no words, or there is none",
            advice="Save the model's tokenizer beside it: tokenizer.save_pretrained(folder).",
        )
    if len(tokenizer) > config.vocab_size:
        raise ShopmonError(
            f"the tokenizer in {folder} has {len(tokenizer):,} tokens, and its model {config.vocab_size:,}",
            advice="Give the tokenizer that the model was trained with.",
        )


def _check_mask(folder: Path, tokenizer: Any) -> None:
    if tokenizer.mask_token_id is None:
        raise ShopmonError(
            f"the tokenizer in {folder} has no mask token, so no gap can be written for it",
            advice="Give a masked language model, such as distilbert-base-uncased.",
        )
