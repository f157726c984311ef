"""pandera on Polars, with every failing row."""

from pathlib import Path
from typing import Any

import measuring
from polars_rules import MISSING, REPEATED, kind_of, satisfied
from questions import REVIEWS, RULES

NAMES = {MISSING: "not_nullable", REPEATED: "field_uniqueness"}
"""What pandera calls its own checks."""


def prepare(folder: Path, scratch: Path) -> measuring.Work:
    import pandera.polars as pa
    import polars as pl

    asked = schema(pa)

    def work() -> tuple[int, measuring.Found]:
        frame = pl.read_parquet(folder / REVIEWS).with_row_index("row")
        try:
            asked.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as errors:
            return len(frame), answers(errors.failure_cases)
        return len(frame), {"rules": [0] * len(RULES), "bad rows": 0}

    return work


def schema(pa: Any) -> Any:
    """A column for each that the rules speak of, with a check for each rule, called by the rule's number."""
    columns: dict[str, dict[str, Any]] = {}
    for number, rule in enumerate(RULES):
        column = columns.setdefault(rule["kwargs"]["column"], {"checks": [], "nullable": True, "unique": False})
        if kind_of(rule) == MISSING:
            column["nullable"] = False
        elif kind_of(rule) == REPEATED:
            column["unique"] = True
        else:
            column["checks"].append(pa.Check(check(rule), name=f"rule-{number}"))
    return pa.DataFrameSchema({name: pa.Column(**column) for name, column in columns.items()})


def check(rule: dict[str, Any]) -> Any:
    return lambda data: data.lazyframe.select(satisfied(rule))


def answers(cases: Any) -> measuring.Found:
    counts = {(column, name): rows for column, name, rows in cases.group_by("column", "check").len().iter_rows()}
    named = [NAMES.get(kind_of(rule), f"rule-{number}") for number, rule in enumerate(RULES)]
    by_rule = [counts.get((rule["kwargs"]["column"], name), 0) for rule, name in zip(RULES, named, strict=True)]
    return {"rules": by_rule, "bad rows": cases["index"].drop_nulls().n_unique()}


if __name__ == "__main__":
    measuring.run(prepare)
