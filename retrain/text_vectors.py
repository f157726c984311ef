"""What does a sentence encoder make of many texts, each of them asked once?

What it said of a text is kept by the text's hash. So a second query over a catalogue is quick, a catalogue that changed
a little costs little, and one whose encoding was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from monitor.embeddings import Encoder
from monitor.run_folder import write_aside

log = logging.getLogger("shopmon.vectors")

Vectors = NDArray[np.float32]
"""(texts, dimensions), each row of length 1."""
Keys = NDArray[np.bytes_]
"""(texts,) the first 16 bytes of each text's SHA-256."""

AT_ONCE = 256
"""Texts that the encoder is given at once, between two words of progress."""
A_PART = 8_192
"""Texts of one file of the cache: so much work is lost at most when a run is interrupted."""
_PROBES = ("red running shoes for women, size 38", "a table lamp of brass")
"""What every encoder is asked first: one that answers otherwise than when its cache was made is another one."""
_SAME = 0.01
"""How far (Euclidean) a probe's vector may lie from that of then: other machines round otherwise."""


@dataclass(frozen=True)
class TextEncoder:
    """A sentence encoder by the name that it was asked for."""

    name: str
    encode: Encoder

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimensions) what it says of some texts, each row of length 1; nothing is kept.

        Raises ShopmonError where that is not one vector of finite numbers for each.
        """
        found = np.asarray(self.encode(texts), np.float32)
        if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():
            raise ShopmonError(
                f"the encoder {self.name!r} gave something else than one vector of finite numbers for each text",
                advice="Choose another encoder: --encoder, or [rank] encoder.",
            )
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(lengths, 1e-12), np.float32)


@dataclass(frozen=True)
class TextVectors:
    """Texts as vectors."""

    rows: Vectors
    sha256: str
    """Of the texts in their order, of the encoder's name, and of what it says of two sentences."""
    encoded: int
    """Texts that the encoder had to be asked for; the others were known."""


def text_vectors(
    texts: Sequence[str],
    encoder: TextEncoder,
    cache: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> TextVectors:
    """The vector of each text; from `cache` where it is known there, else from the encoder, and then kept there.

    `progress` is told how many of the texts that are not known are done, and of how many. No texts, no vectors. A part
    of the cache that is damaged, or was made by another encoder of this name, is made again. Raises ShopmonError for
    an encoder that gives no numbers, and where the cache cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> letters = TextEncoder("letters", lambda some: np.eye(26, dtype=np.float32)[[ord(t[0]) - 97 for t in some]])
    >>> with TemporaryDirectory() as cache:
    ...     first = text_vectors(["lamp", "coat"], letters, Path(cache))
    ...     second = text_vectors(["coat", "lamp", "table"], letters, Path(cache))
    >>> first.encoded, second.encoded, second.rows.shape
    (2, 1, (3, 26))
    """
    probe = encoder.vectors(_PROBES)
    keys = np.array([hashlib.sha256(text.encode()).digest()[:16] for text in texts], dtype="S16")
    folder = cache / "vectors" / hashlib.sha256(encoder.name.encode()).hexdigest()[:16]
    rows, missing = np.empty((len(texts), probe.shape[1]), np.float32), np.ones(len(texts), bool)
    for there, vectors in _parts(folder, probe) if len(texts) else ():
        at = np.minimum(np.searchsorted(there, keys), len(there) - 1)
        known = missing & (there[at] == keys)
        rows[known] = vectors[at[known]]
        missing &= ~known
    asked = np.flatnonzero(missing)
    _, index, place = np.unique(keys[asked], return_index=True, return_inverse=True)
    first = asked[index]  # a text that comes twice is asked once
    order = first[np.argsort([len(texts[n]) for n in first], kind="stable")]  # alike in length: less padding
    _encode(texts, keys, rows, order, _Store(encoder, folder, probe), progress)
    rows[asked] = rows[first[place]]
    said = hashlib.sha256(f"{encoder.name}\n".encode() + np.round(probe, 3).tobytes() + keys.tobytes())
    return TextVectors(rows, said.hexdigest(), len(order))


@dataclass(frozen=True)
class _Store:
    encoder: TextEncoder
    folder: Path
    probe: Vectors

    def keep(self, keys: Keys, vectors: Vectors) -> None:
        """Add a part, whole or not at all, under a name that says what is in it."""
        from safetensors.numpy import save_file

        order = np.argsort(keys)
        written = np.frombuffer(b"".join(key.ljust(16, b"\0") for key in keys[order].tolist()), np.uint8)
        told: dict[str, NDArray[Any]] = {
            "keys": written.reshape(-1, 16),
            "vectors": vectors[order],
            "probe": self.probe,
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ShopmonError(
                f"{self.folder} cannot be written: {error.strerror}", advice="Let this user write there: [store] cache."
            ) from error
        with write_aside(self.folder / f"{hashlib.sha256(written.tobytes()).hexdigest()[:32]}.safetensors") as aside:
            save_file(told, aside)


def _encode(
    texts: Sequence[str],
    keys: Keys,
    rows: Vectors,
    order: NDArray[np.int64],
    store: _Store,
    progress: Callable[[int, int], None],
) -> None:
    """Fill the rows of some texts, and keep them part by part."""
    for begin in range(0, len(order), A_PART):
        part = order[begin : begin + A_PART]
        for at in range(0, len(part), AT_ONCE):
            some = part[at : at + AT_ONCE]
            rows[some] = store.encoder.vectors([texts[n] for n in some])
            progress(begin + at + len(some), len(order))
        store.keep(keys[part], rows[part])


def _parts(folder: Path, probe: Vectors) -> Iterator[tuple[Keys, Vectors]]:
    """Every part of the cache that this encoder made: its keys, sorted, and their vectors."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for file in sorted(folder.glob("[!.]*.safetensors")):
        try:
            told = load_file(file)
            keys, vectors, of = told["keys"], told["vectors"], told["probe"]
            fits = keys.shape == (len(vectors), 16) and vectors.ndim == 2 and len(vectors) > 0
            if fits and of.shape == probe.shape and np.linalg.norm(of - probe, axis=1).max() < _SAME:
                yield np.ascontiguousarray(keys).view("S16").ravel(), vectors
                continue
            log.warning("%s is of another encoder, and is made again", file)
        except (SafetensorError, KeyError, OSError, ValueError) as error:
            log.warning("%s is damaged and is made again: %s", file, error)
        file.unlink(missing_ok=True)
