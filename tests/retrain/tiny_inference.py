"""Labelled pairs of premise and hypothesis that a tiny model can learn: same thing, another colour, another thing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COLOURS, THINGS = ("red", "blue", "small", "big", "new", "old"), ("shoes", "jacket", "socks", "bag", "boots", "shirt")


def pairs(premises: int, seed: int = 7) -> Iterator[dict[str, str]]:
    """Three hypotheses for each premise, one of each class."""
    draw = random.Random(seed)
    for number in range(premises):
        colour, thing = draw.choice(COLOURS), draw.choice(THINGS)
        other = draw.choice([one for one in COLOURS if one != colour])
        premise = f"i bought {colour} {thing} {number} {seed}"
        yield {"premise": premise, "hypothesis": f"the {thing} are {colour}", "label": "entailment"}
        yield {"premise": premise, "hypothesis": f"the {thing} are {other}", "label": "contradiction"}
        yield {"premise": premise, "hypothesis": f"my wife wore them in {draw.randrange(50)}", "label": "neutral"}


def as_parquet(file: Path, rows: list[dict[str, Any]], names: tuple[str, ...] = ()) -> Path:
    """A parquet file; with `names` its numbers mean these classes, as files of the hub say in their metadata."""
    table = pa.Table.from_pylist(rows)
    if names:
        told = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
    pq.write_table(table, file)
    return file


def as_snli(file: Path, rows: list[dict[str, Any]]) -> Path:
    """JSON lines with the columns of SNLI and MultiNLI as they are published."""
    with file.open("w", encoding="utf-8") as opened:
        for number, row in enumerate(rows):
            told = {
                "annotator_labels": [row["label"]] * 5,
                "gold_label": row["label"],
                "pairID": f"{number}e",
                "sentence1": row["premise"],
                "sentence1_binary_parse": f"( {row['premise']} )",
                "sentence2": row["hypothesis"],
            }
            opened.write(json.dumps(told) + "\n")
    return file
