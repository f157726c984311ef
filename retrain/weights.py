"""Are a model's weights what they were?"""

from __future__ import annotations

import hashlib
from pathlib import Path


def weights_sha256(folder: Path) -> str:
    """SHA-256, in hexadecimal, of the SHA-256 of every file with weights in a folder, in the order of their names.

    Those are .safetensors, and .ubj, which holds XGBoost's trees.

    >>> weights_sha256(Path("there/is/none"))[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.ubj")]):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
