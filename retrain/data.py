"""Which rows does a model learn from, and on which is it measured?

The retraining set's parquet is memory-mapped by `datasets`, cut into tokens once, and kept under the hash of what went
in. Whether a row is held out is decided by the hash of its text alone, so that no text is ever on both sides: not
later, not in another order, and not of another model.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache as remembered
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expectations.errors import ShopmonError
from monitor.retraining_set import ROWS, RetrainingSet, text_hash
from monitor.signals import Words as SignalWords
from retrain.masking import SLOT, SPECIAL, UNWANTED, WANTED, Phrases, Span
from retrain.settings import MASK, Words
from retrain.slots import Descriptions, Slot, composed
from retrain.token_files import Cutter, Progress, TokenFiles, quiet

if TYPE_CHECKING:
    from datasets import Dataset, Features

VERSION = 4
"""Of what is kept of a text; raised whenever rows are cut up in another way."""
FEWEST = 32
"""Positive rows without which nothing can be learnt: half a step's."""
_LOOKED = 50_000
"""Rows of short columns that are in memory at a time."""
_AT_ONCE = 1_000
"""Rows of texts that are."""
_COLUMNS = ["text", "role", "text_hash", "reasons"]
_ROWS = pa.schema([ROWS.field(name) for name in _COLUMNS])
_NUMBERS, _TEXTS = ("ids", "words", "gaps"), ("role", "rule", "text_hash")
_CUT = (*_NUMBERS, *_TEXTS, "length")


def is_held_out(digest: str, share: float) -> bool:
    """Whether a text, given by its hash (hexadecimal), belongs to the share (0–1) that no training sees.

    >>> is_held_out("00" * 32, 0.1), is_held_out("ff" * 32, 0.1)
    (True, False)
    """
    return int(digest[:8], 16) < share * 2**32


@dataclass(frozen=True)
class Cutting:
    """How texts are cut into tokens, and where listed words stand in them."""

    tokenizer: Any
    max_length: int
    words: Words
    """Wanted and unwanted words, whose places are kept."""

    @property
    def key(self) -> str:
        """What makes two ways of cutting the same, as a SHA-256 in hexadecimal."""
        told = [VERSION, spelling(self.tokenizer), self.longest]
        lists = list(astuple(self.words))
        return hashlib.sha256(json.dumps([*told, *lists]).encode()).hexdigest()

    @property
    def longest(self) -> int:
        """Tokens of a row, at most."""
        return int(min(self.max_length, self.tokenizer.model_max_length))

    @property
    def described(self) -> SignalWords:
        """The words by which slots are found, as a check finds them."""
        said = self.words
        return SignalWords(
            brands=said.brands,
            other_brands=said.other_brands,
            products=said.products,
            wanted=said.wanted,
            unwanted=said.unwanted,
        )

    def phrases(self, words: Sequence[str]) -> Phrases:
        """The tokens of words and phrases as they may stand in texts: behind a blank or not, and with a capital."""
        forms = [blank + form for word in words for form in (word, word[:1].upper() + word[1:]) for blank in ("", " ")]
        return Phrases(self.tokenizer(forms, add_special_tokens=False)["input_ids"] if forms else [])


def spelling(tokenizer: Any) -> str:
    """What makes two tokenizers cut texts in the same way, as a SHA-256 in hexadecimal.

    How long rows may be, and how shorter ones are filled up, is left out: that changes with every call of a tokenizer.
    """
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    told = {name: value for name, value in said.items() if name not in ("truncation", "padding")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Gathered:
    """The rows of the retraining set as a training sees them: what was gathered when it began."""

    rows: Dataset
    """text, role, text_hash and reasons, memory-mapped."""
    parts: tuple[str, ...]
    sha256: str
    """`digest_of` the rows."""


def gathered(retraining_set: RetrainingSet, cache: Path, *, parts: Sequence[str] | None = None) -> Gathered:
    """The rows gathered so far, or those of the parts that a training which goes on began with.

    Raises ShopmonError if there are none, or if one of those parts is gone.
    """
    from datasets import Dataset

    there = {part.name: part for part in retraining_set.parts}
    names = tuple(there) if parts is None else tuple(parts)
    if missing := [name for name in names if name not in there]:
        raise ShopmonError(
            f"{missing[0]} is gone from the retraining set in {retraining_set.folder}",
            advice="Restore it, or begin a new training: shopmon retrain without --resume.",
        )
    if not names:
        raise ShopmonError(
            f"the retraining set in {retraining_set.folder} is empty",
            advice="Let checks gather rows first: brands and words in [edge_cases.words], then shopmon check FILE.",
        )
    with quiet():
        rows = Dataset.from_parquet(
            [glob.escape(str(there[name])) for name in names], columns=_COLUMNS, cache_dir=str(cache / "parquet")
        )
    return Gathered(rows, names, digest_of(rows))


def digest_of(rows: Dataset) -> str:
    """What makes rows the same: the SHA-256, in hexadecimal, of their texts' hashes, roles and rules, in order."""
    digest = hashlib.sha256()
    for batch in _batches(rows, "text_hash", "role", "reasons"):
        digest.update(json.dumps([column.to_pylist() for column in batch]).encode())
    return digest.hexdigest()


def _batches(rows: Dataset, *names: str, at_once: int = _LOOKED) -> Iterator[list[pa.ChunkedArray]]:
    """Some columns, as far as they fit in memory at a time."""
    for batch in rows.select_columns(list(names)).with_format("arrow").iter(at_once):
        yield [batch.column(name) for name in names]


def of_texts(texts: Sequence[str], role: str, reason: str = "") -> Dataset:
    """Texts as rows of one role, each once; those without a letter or digit are left out."""
    from datasets import Dataset

    once = [text for text in dict.fromkeys(texts) if any(c.isalnum() for c in text)]
    hashes = [text_hash(text) for text in once]
    return Dataset(pa.table([once, [role] * len(once), hashes, [[reason]] * len(once)], schema=_ROWS))


def cut(
    rows: Dataset,
    cutting: Cutting,
    cache: Path,
    *,
    prompts: bool = False,
    progress: Progress = lambda done, of, left: None,
) -> Dataset:
    """The rows as tokens; a text longer than `max_length` becomes several rows, so that nothing of it is lost.

    Only in `prompts` does `[MASK]` stand for a gap: in a text from data it is what the customer wrote.

    Columns: `ids` and `words` (the word each token belongs to, -1 for none), `gaps` (triples of start, end, and what
    stands there: `WANTED`, `UNWANTED` or `SLOT`), `role`, `rule` (the first that chose it), `text_hash`, `length`. Kept
    in `cache`, some rows a file, under the hash of those rows, of the tokenizer and of the words; a second call reads
    them from there. `progress` is told the rows that are cut, all rows, and the seconds that are left.
    """
    files = TokenFiles(cache, _features(), progress)

    def name(piece: Dataset, first: int) -> str:
        return hashlib.sha256(json.dumps([digest_of(piece), cutting.key, prompts]).encode()).hexdigest()

    return files.cut(rows, _cutter(cutting, prompts), name)


def _features() -> Features:
    """The types of the columns, which no batch of texts shows by itself."""
    from datasets import Features, List, Value

    numbers = {name: List(Value("int64")) for name in _NUMBERS}
    return Features(numbers | {name: Value("string") for name in _TEXTS} | {"length": Value("int64")})


def _cutter(cutting: Cutting, prompts: bool) -> Cutter:
    tokenizer = cutting.tokenizer
    unwanted, wanted = cutting.phrases(cutting.words.unwanted), cutting.phrases(cutting.words.wanted)
    descriptions = Descriptions(cutting.described)

    def cut_up(rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        texts = [composed(text) for text in rows["text"]]
        if prompts:
            texts = [text.replace(MASK, tokenizer.mask_token) for text in texts]
        slots = remembered(lambda source: descriptions.find(texts[source]))  # once, however many rows a text becomes
        encoded = tokenizer(
            texts,
            truncation=True,
            max_length=cutting.longest,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            split_special_tokens=not prompts,
        )
        found: dict[str, list[Any]] = {name: [] for name in _CUT}
        sources = encoded["overflow_to_sample_mapping"]
        torn = _torn(sources, encoded)
        for number, source in enumerate(sources):
            ids = encoded["input_ids"][number]
            words = [SPECIAL if word is None or word in torn[number] else word for word in encoded.word_ids(number)]
            gaps = [(s.start, s.end, UNWANTED) for s in unwanted.find(ids, words)]
            gaps += [(at, at + 1, UNWANTED) for at, token in enumerate(ids) if token == tokenizer.mask_token_id]
            if not gaps and rows["role"][source] == "negative":
                found_slots = _tokens_of(slots(source), encoded["offset_mapping"][number], words)
                gaps += [(s.start, s.end, SLOT) for s in found_slots]
            gaps += [(s.start, s.end, WANTED) for s in wanted.find(ids, words)]
            found["ids"].append(ids)
            found["words"].append(words)
            found["gaps"].append([value for one in gaps for value in one])
            found["role"].append(rows["role"][source])
            found["rule"].append(next(iter(rows["reasons"][source] or ()), ""))
            found["text_hash"].append(rows["text_hash"][source])
            found["length"].append(len(ids))
        return found

    return cut_up


def _torn(sources: Sequence[int], encoded: Any) -> list[set[int]]:
    """Row → its words whose other pieces stand in the row before or behind it: they can neither be found nor masked."""
    words = [[word for word in encoded.word_ids(number) if word is not None] for number in range(len(sources))]
    torn: list[set[int]] = [set() for _ in sources]
    for number in range(1, len(sources)):
        before, now = words[number - 1], words[number]
        if sources[number - 1] == sources[number] and before and now and before[-1] == now[0]:
            torn[number - 1].add(now[0])
            torn[number].add(now[0])
    return torn


def _tokens_of(slots: Sequence[Slot], offsets: Sequence[tuple[int, int]], words: Sequence[int]) -> list[Span]:
    """The tokens of slots of a text, as far as they are in this part of it; `offsets` are each token's characters."""
    found = []
    whole = [(at, *span) for at, span in enumerate(offsets) if words[at] != SPECIAL]
    for slot in slots:
        inside = [at for at, start, end in whole if slot.start <= start < end <= slot.end]
        if inside:
            found.append(Span(inside[0], inside[-1] + 1))
    return found


def split(rows: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """The rows that are learnt from, and those that are held out: in the order of their hashes, so that the first n
    are an even sample of all, and not the oldest."""
    begins = np.fromiter((int(digest[:16], 16) for (digest,) in values(rows, "text_hash")), np.uint64, len(rows))
    held = begins >> np.uint64(32) < share * 2**32  # as `is_held_out` says of each
    even = np.flatnonzero(held)
    return rows.select(np.flatnonzero(~held)), rows.select(even[np.argsort(begins[even], kind="stable")])


def values(rows: Dataset, *names: str) -> Iterator[tuple[Any, ...]]:
    """The values of some columns, row by row; few rows of them are in memory, for texts may be long."""
    for batch in _batches(rows, *names, at_once=_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in batch), strict=True)


def counts(rows: Dataset, name: str) -> Counter[str]:
    """How many rows have each value of a column, in the order in which the values come."""
    return Counter(value for (value,) in values(rows, name))


def in_roles(rows: Dataset, given: Mapping[str, str]) -> Dataset:
    """The rows, each whose text hash is in `given` in the role that it says there."""
    if not given:
        return rows
    batches = _batches(rows, "text_hash", "role")
    roles = [
        pa.array([given.get(*pair) for pair in zip(*(one.to_pylist() for one in batch), strict=True)], pa.string())
        for batch in batches
    ]
    return rows.remove_columns("role").add_column("role", pa.chunked_array(roles, pa.string()))


def of_role(rows: Dataset, *roles: str) -> Dataset:
    """The rows of some roles."""
    return rows.select(_where(rows, "role", roles))


def by_rule(rows: Dataset, part: str) -> dict[str, Dataset]:
    """The rows of each rule, under PART/RULE; a row that several chose belongs to the first."""
    rules = {rule for (column,) in _batches(rows, "rule") for rule in pc.unique(column).to_pylist()}
    return {f"{part}/{rule}": rows.select(_where(rows, "rule", [rule])) for rule in sorted(rules)}


def _where(rows: Dataset, name: str, values: Sequence[str]) -> NDArray[np.int64]:
    """The numbers of the rows that have one of these values in a column."""
    wanted = pa.array(values, pa.string())
    there = [pc.is_in(column, wanted).to_numpy() for (column,) in _batches(rows, name)]
    return np.flatnonzero(np.concatenate([np.zeros(0, bool), *there]))
