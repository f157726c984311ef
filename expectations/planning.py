"""How is each question counted? In the scan where it can be compiled, else on Great Expectations' own engine."""

from __future__ import annotations

from collections.abc import Callable

from expectations.batch import Batch
from expectations.binding import Question
from expectations.column_rules import COLUMN_RULES
from expectations.columns import Column
from expectations.cross_row_rules import CROSS_ROW_RULES
from expectations.own_rules import OWN_RULES
from expectations.plans import Plan, Unexaminable
from expectations.row_condition import condition_sql
from expectations.row_rules import ROW_RULES, Asked
from expectations.sql import Bound

RULES: dict[str, Callable[[Asked], Plan]] = {**ROW_RULES, **CROSS_ROW_RULES, **COLUMN_RULES, **OWN_RULES}
"""Great Expectations' name of a rule → how it is compiled. What is not here runs on Great Expectations' own engine."""

_ANY_TYPE_FITS = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null", "expect_column_to_exist",
                  "expect_column_proportion_of_non_null_values_to_be_between")  # fmt: skip
_NEEDS_A_DATABASE = ("unexpected_rows_expectation", "expect_query_results_to_match_comparison",
                     "expect_table_row_count_to_equal_other_table")  # fmt: skip


def plan(question: Question, batch: Batch, bound: Bound) -> Plan | None:
    """The plan for a question, or None where only Great Expectations' own engine can count it.

    Raises Unexaminable when the columns are not of a sort that the rule can be asked of, whichever engine counts.
    """
    rule = question.rule
    if rule.type in _NEEDS_A_DATABASE:
        raise Unexaminable(f"{rule.type} sends its own SQL to a database; write it as rules about columns")
    for name in rule.columns:
        column = batch.column(name)
        if column is not None and column.holds is None and rule.type not in _ANY_TYPE_FITS:
            raise Unexaminable(
                f"{name!r} holds {column.type}; write it as text, numbers or dates, in columns of their own"
            )

    def found(name: str) -> Column:
        column = batch.column(name)
        if column is None:
            raise Unexaminable(f"column {name!r} is not in the batch")
        return column

    considered = condition_sql(question.condition, found, bound) if question.condition else "true"
    compile_rule = RULES.get(rule.type)
    return compile_rule(Asked(batch, rule.kwargs, considered, bound)) if compile_rule else None
