"""What does a classifier read, in one step and when it is measured? Texts, cut into tokens once, alike in length."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrain.data import spelling
from retrain.labelled import Labelled
from retrain.schedule import Stream, groups
from retrain.token_files import Progress, TokenFiles, quiet

if TYPE_CHECKING:
    from datasets import Dataset

VERSION = 2
"""Of what is kept of a row's tokens; raised whenever it would come out differently."""


def cut_texts(
    labelled: Labelled,
    tokenizer: Any,
    longest: int,
    cache: Path,
    *,
    progress: Progress = lambda done, of, left: None,
) -> Dataset:
    """The rows as tokens: text, and behind a separator the other one; `longest` at most; in the order of `labelled`.

    Columns: `ids`, `types` (which of both a token belongs to, for models that read it), `label`, `length`. Names of
    special tokens in a text are text. Kept in `cache`, mapped into memory, and found there by a second call. `progress`
    is told the rows that are cut, all rows, and the seconds that are left.
    """
    from datasets import Dataset, Features, List, Value

    names, file = ["text", "pair", "label"], glob.escape(str(labelled.file))
    with quiet():
        rows = Dataset.from_parquet(file, columns=names, cache_dir=str(cache / "parquet"))
    typed = "token_type_ids" in tokenizer.model_input_names

    def cut(some: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        alone = some["pair"][0] is None  # either all rows have another text beside them, or none has
        told = tokenizer(
            some["text"], None if alone else some["pair"], truncation=True, max_length=longest,
            split_special_tokens=True, return_token_type_ids=typed,
        )  # fmt: skip
        ids = told["input_ids"]
        types = told["token_type_ids"] if typed else [[] for _ in ids]
        return {"ids": ids, "types": types, "label": some["label"], "length": [len(one) for one in ids]}

    numbers = {name: List(Value("int64")) for name in ("ids", "types")}
    features = Features({**numbers, "label": Value("int64"), "length": Value("int64")})
    how = [VERSION, labelled.sha256, spelling(tokenizer), longest, typed]

    def name(piece: Dataset, first: int) -> str:
        return hashlib.sha256(json.dumps([*how, first, len(piece)]).encode()).hexdigest()

    return TokenFiles(cache, features, progress).cut(rows, cut, name)


@dataclass(frozen=True)
class PairStepSettings:
    """What the steps of a training have in common."""

    padding: int
    """Id of the token that fills up shorter rows."""
    batch_size: int
    seed: int
    rank: int = 0
    """Which of the processes this is."""
    processes: int = 1


class PairSteps(torch.utils.data.Dataset[Any]):
    """The steps of a training: step number → what this process reads in it.

    Of the rows of a step, process r of n reads every n-th from the r-th on: together they read what one would.
    """

    def __init__(self, rows: Dataset, settings: PairStepSettings, *, steps: int, first: int = 0) -> None:
        """`rows` are those to learn from; `first` is the step to begin with."""
        self._settings, self._steps, self._first = settings, steps, first
        lengths = np.asarray(rows.with_format("numpy")["length"][:], np.int64)
        self._rows = rows
        self._stream = Stream("pairs", lengths, settings.batch_size, settings.seed)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, number: int) -> dict[str, Any]:
        mine = self._stream.rows(number + self._first)[self._settings.rank :: self._settings.processes]
        if not len(mine):
            return {"groups": [], "tokens": 0}
        found = self._rows[mine.tolist()]
        together = groups(found["length"])
        padded_groups = [padded(found, some, self._settings.padding) for some in together]
        return {"groups": padded_groups, "tokens": sum(found["length"])}


def padded(rows: Mapping[str, Any], some: Sequence[int], padding: int) -> dict[str, Tensor]:
    """Some rows of several lengths as one group that `ClassLearner` reads."""
    longest = max(rows["length"][at] for at in some)
    ids = np.full((len(some), longest), padding, np.int64)
    attention, types = np.zeros_like(ids), np.zeros_like(ids)
    for place, at in enumerate(some):
        length = rows["length"][at]
        ids[place, :length], attention[place, :length] = rows["ids"][at], 1
        if rows["types"][at]:
            types[place, :length] = rows["types"][at]
    found: dict[str, NDArray[np.int64]] = {"input_ids": ids, "attention_mask": attention}
    if rows["types"][some[0]]:
        found["token_type_ids"] = types
    found["labels"] = np.asarray([rows["label"][at] for at in some], np.int64)
    return {name: torch.from_numpy(value) for name, value in found.items()}
