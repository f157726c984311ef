"""pointblank on Polars, with the failing rows set apart."""

from pathlib import Path
from typing import Any

import measuring
from polars_rules import MISSING, REPEATED, kind_of, satisfied
from questions import REVIEWS, RULES


def prepare(folder: Path, scratch: Path) -> measuring.Work:
    import pointblank as pb
    import polars as pl

    def work() -> tuple[int, measuring.Found]:
        validation = pb.Validate(data=pl.read_parquet(folder / REVIEWS))
        for rule in RULES:
            validation = with_rule(validation, rule)
        validation = validation.interrogate(collect_extracts=False)
        failed = validation.n_failed()
        bad = validation.get_sundered_data(type="fail").height
        rows = next(iter(validation.n().values()))
        return int(rows), {"rules": [int(failed[step]) for step in sorted(failed)], "bad rows": int(bad)}

    return work


def with_rule(validation: Any, rule: dict[str, Any]) -> Any:
    """One more step; pointblank has no lengths and no regular expression that must not match, but any expression."""
    column = rule["kwargs"]["column"]
    if kind_of(rule) == MISSING:
        return validation.col_vals_not_null(columns=column)
    if kind_of(rule) == REPEATED:
        return validation.rows_distinct(columns_subset=column)
    return validation.col_vals_expr(expr=satisfied(rule).fill_null(True))


if __name__ == "__main__":
    measuring.run(prepare)
