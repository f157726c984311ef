"""Which words do texts consist of, and how often?

A word is a run of letters and digits of any script, in lower case; an apostrophe stays inside it (`don't`). Chinese and
Japanese put no blanks between words: there, every two neighbouring characters count as one. Of a text only the distinct
words count, so that a frequency is a number of texts.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

WORD_BUCKETS = 2**18
"""Hashed buckets of words: with 50,000 different words, about one in ten shares its bucket with another."""
NAMED = 20_000
"""Buckets that keep a word for people, the fullest first."""

_AT_ONCE, _THREADS = 10_000, 2
"""Texts whose words one thread holds in memory at a time; threads."""
_BYTES_AT_ONCE = 16_000_000
"""Bytes of texts whose words are held in memory at a time; lists of words take several times as much."""
_UNSPACED = r"\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Han characters and kana."""
_LETTER = rf"[^\W_{_UNSPACED}]"
_MARK = r"[\u0300-\u036f\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0962\u0963\u0980-\u0dff]"
"""Accents and vowel signs, which Python counts among no letters: without them, Hindi falls to pieces."""
_WORD = re.compile(rf"[{_UNSPACED}]+|{_LETTER}+(?:{_MARK}+{_LETTER}*|'{_LETTER}+)*")
_FIRST_UNSPACED = "\u3005"

_LOOSE = re.compile(r"(?<![a-z0-9])'|'(?![a-z0-9])")
"""In ASCII text in lower case, an apostrophe that stands in no word."""
_APOSTROPHE, _BLANK = ord("'"), ord(" ")
_LOWER = bytes(
    ord(chr(b).lower()) if b < 128 and (chr(b).isalnum() or b == _APOSTROPHE) else _BLANK for b in range(256)
)
"""Each byte of ASCII text as it stands in a word; a blank for what stands in none."""


@dataclass(frozen=True)
class Frequencies:
    """In how many texts each word stands."""

    texts: int
    """Texts that were read; None counts as no text, "" as one without words."""
    frequencies: NDArray[np.int64]
    """(WORD_BUCKETS,): texts that hold a word of this bucket; one that holds two of them counts twice."""
    words: Mapping[int, str]
    """Bucket → its most frequent word, for the `NAMED` fullest buckets."""


def tokens(text: str) -> tuple[str, ...]:
    """The distinct words of a text, in the order in which they first stand there; empty for a text without any.

    >>> tokens("Don't buy: the SOLE is not the sole problem (L'Œuvre 2.0)")
    ("don't", 'buy', 'the', 'sole', 'is', 'not', 'problem', "l'œuvre", '2', '0')
    >>> tokens("充電器 ok")
    ('充電', '電器', 'ok')
    """
    if text.isascii():
        return tuple(dict.fromkeys(_ascii_words(text)))
    found = _WORD.findall(unicodedata.normalize("NFC", text.replace("’", "'")).lower())
    return tuple(dict.fromkeys(chain.from_iterable(map(_pairs, found))))


def _ascii_words(text: str) -> list[str]:
    """The same words as `_WORD` finds, in half the time."""
    plain = text.encode("ascii").translate(_LOWER).decode("ascii")
    return (_LOOSE.sub(" ", plain) if "'" in plain else plain).split()


def _pairs(run: str) -> Sequence[str]:
    """A word as it is; a run of characters without blanks between words as its pairs."""
    if run[0] < _FIRST_UNSPACED or len(run) == 1 or not re.match(f"[{_UNSPACED}]", run):
        return (run,)
    return [run[i : i + 2] for i in range(len(run) - 1)]


def word_bucket(word: str) -> int:
    """The bucket (0 … WORD_BUCKETS - 1) of a word, the same on every machine: BLAKE2b of its UTF-8 bytes.

    >>> word_bucket("waterproof")
    57654
    """
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % WORD_BUCKETS


def document_frequencies(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Frequencies:
    """In how many of the texts each word stands, exactly as `tokens` tells them.

    ASCII texts are cut as whole columns, others one by one, which takes about 15 µs a text.

    >>> found = document_frequencies(["Warm and light.", "Not warm!", None])
    >>> found.texts, found.frequencies[word_bucket("warm")], found.words[word_bucket("warm")]
    (2, np.int64(2), 'warm')
    """
    column = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.string())
    counted: Counter[str] = Counter()
    with ThreadPoolExecutor(_THREADS) as threads:  # Arrow and numpy let others work beside them
        for words in threads.map(_count, _parts(column)):
            counted.update(words)
    return _hashed(counted, len(column) - column.null_count)


def _parts(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        for start in range(0, len(chunk), _AT_ONCE):
            yield chunk.slice(start, _AT_ONCE).cast(pa.large_string()).drop_null()


def _count(texts: pa.Array) -> Counter[str]:
    found = incidence(texts)
    return Counter(dict(zip(found.words, np.bincount(found.word).tolist(), strict=True)))


@dataclass(frozen=True)
class Incidence:
    """Which words stand in which texts, each word of a text once."""

    text: NDArray[np.int64]
    """(n,) the place of a text, in no order."""
    word: NDArray[np.int64]
    """(n,) the place in `words` of a word that stands in it."""
    words: tuple[str, ...]
    """Every word that stands in any text, in no order."""


def incidence(texts: pa.Array) -> Incidence:
    """Which words stand in which texts, exactly as `tokens` tells them; no text may be null.

    >>> found = incidence(pa.array(["Not warm, not light", "warm"]))
    >>> found.words, found.text.tolist(), found.word.tolist()
    (('not', 'warm', 'light'), [0, 0, 0, 1], [0, 1, 2, 1])
    """
    codes: dict[str, int] = {}
    text, word = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    step = max(1, len(texts) * _BYTES_AT_ONCE // max(texts.nbytes, _BYTES_AT_ONCE))
    for start in range(0, len(texts), step):
        places, places_in, words = _incidence(texts.slice(start, step).cast(pa.large_string()))
        text.append(places + start)
        word.append(np.array([codes.setdefault(one, len(codes)) for one in words], np.int64)[places_in])
    return Incidence(np.concatenate(text), np.concatenate(word), tuple(codes))


_Pairs = tuple[NDArray[np.int64], NDArray[np.int64], list[str]]
"""Texts, their words by place, and the words."""


def _incidence(texts: pa.Array) -> _Pairs:
    simple = pc.string_is_ascii(texts)
    text, word, words = _ascii_incidence(texts.filter(simple))
    others = list(map(tokens, texts.filter(pc.invert(simple)).to_pylist()))
    codes = {one: code for code, one in enumerate(words)}
    more = [codes.setdefault(one, len(codes)) for one in chain.from_iterable(others)]
    is_simple = simple.to_numpy(zero_copy_only=False)
    owners = np.repeat(np.flatnonzero(~is_simple), np.array([len(found) for found in others], np.int64))
    places = np.concatenate([np.flatnonzero(is_simple)[text], owners])
    return places, np.concatenate([word, np.array(more, np.int64)]), list(codes)


def _ascii_incidence(texts: pa.Array) -> _Pairs:
    """Of ASCII texts: cut at blanks once every other byte is one; of equal pairs of text and word, one is kept."""
    if not len(texts):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), []
    cut = pc.ascii_split_whitespace(_with_blanks(texts))
    found = pc.list_flatten(cut)
    held = pc.not_equal(found, "")  # which stands before a blank at the beginning, and after one at the end
    coded = found.filter(held).dictionary_encode()
    words = coded.dictionary.to_pylist()
    narrow = np.int32 if len(texts) * len(words) < 2**31 else np.int64  # which is sorted in half the time
    pairs = pc.list_parent_indices(cut).filter(held).to_numpy().astype(narrow)
    pairs = pairs * narrow(len(words)) + coded.indices.to_numpy()
    pairs.sort()
    first = np.concatenate([[True], pairs[1:] != pairs[:-1]]) if len(pairs) else np.zeros(0, bool)
    text, word = np.divmod(pairs[first].astype(np.int64), max(len(words), 1))
    return text, word, words


def _with_blanks(texts: pa.Array) -> pa.Array:
    """The same texts in lower case, with blanks for everything that stands in no word."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    start, end = int(offsets[0]), int(offsets[-1])
    data = texts.buffers()[2]
    raw = bytes(data[start:end]) if data is not None else b""
    lowered = np.frombuffer(bytearray(raw.translate(_LOWER)), np.uint8)
    _blank_loose_apostrophes(lowered, offsets - start)
    shifted = pa.py_buffer((offsets - start).astype(np.int64).tobytes())
    return pa.Array.from_buffers(pa.large_string(), len(texts), [None, shifted, pa.py_buffer(lowered.tobytes())])


def _blank_loose_apostrophes(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    """An apostrophe without a letter or digit of its own text on both sides belongs to no word."""
    at = np.flatnonzero(data == _APOSTROPHE)
    if not len(at):
        return
    padded = np.concatenate([[_BLANK], data, [_BLANK]])  # place i of the data stands at i + 1
    inside = np.isin(at, offsets, invert=True) & np.isin(at + 1, offsets, invert=True)
    for neighbour in (padded[at], padded[at + 2]):
        inside &= (neighbour != _BLANK) & (neighbour != _APOSTROPHE)
    data[at[~inside]] = _BLANK


def _hashed(counted: Mapping[str, int], texts: int) -> Frequencies:
    frequencies = np.zeros(WORD_BUCKETS, np.int64)
    best: dict[int, tuple[int, str]] = {}
    for word, n in counted.items():
        bucket = word_bucket(word)
        frequencies[bucket] += n
        if bucket not in best or (-n, word) < best[bucket]:
            best[bucket] = (-n, word)
    kept = fullest(frequencies, NAMED)
    return Frequencies(texts, frequencies, {int(b): best[int(b)][1] for b in kept})


def fullest(counts: NDArray[Any], most: int) -> NDArray[np.int64]:
    """The buckets with the highest counts above 0, at most so many, the fullest first; of equal ones, the first.

    >>> fullest(np.array([0, 3, 7, 3]), 2)
    array([2, 1])
    """
    held = np.flatnonzero(counts)
    return held[np.argsort(-counts[held], kind="stable")[:most]]
