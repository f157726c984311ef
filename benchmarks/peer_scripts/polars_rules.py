"""How do the rules read in Polars?"""

from typing import Any

MISSING, REPEATED = "not_be_null", "be_unique"


def kind_of(rule: dict[str, Any]) -> str:
    """What a rule asks, without the words that Great Expectations' names have in common."""
    return str(rule["type"]).removeprefix("expect_column_").removeprefix("value_").removeprefix("values_to_")


def satisfied(rule: dict[str, Any]) -> Any:
    """Whether a value keeps a rule; null where it is missing."""
    import polars as pl

    asked = rule["kwargs"]
    value = pl.col(asked["column"])
    if "regex" in asked:
        found = value.str.contains(asked["regex"])
        return ~found if "not" in kind_of(rule) else found
    measured = value.str.len_chars() if kind_of(rule).startswith("lengths") else value
    return measured.is_between(asked["min_value"], asked["max_value"])
