"""The rules as Great Expectations asks them, and what it answers, on whichever of its engines."""

from typing import Any

from questions import RULES


def suite() -> Any:
    import great_expectations as gx
    from great_expectations.expectations.registry import get_expectation_impl

    asked = [
        get_expectation_impl(rule["type"])(**rule["kwargs"], meta={"rule": number}) for number, rule in enumerate(RULES)
    ]
    return gx.ExpectationSuite("fifteen", asked)


def context() -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    made = gx.get_context(mode="ephemeral")
    made.variables.progress_bars = ProgressBarsConfig(globally=False)
    return made


def answers(batch: Any) -> dict[str, Any]:
    """Failing rows of each rule, and of any; the frame's column `row` numbers them."""
    form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    told = batch.validate(suite(), result_format=form).results
    wrong = [one.exception_info for one in told if not one.result]
    if wrong:
        raise RuntimeError(str(wrong[0]))
    bad = {row["row"] for one in told for row in one.result.get("unexpected_index_list") or []}
    by_rule = {one.expectation_config.meta["rule"]: one.result["unexpected_count"] for one in told}
    return {"rules": [by_rule[number] for number in range(len(RULES))], "bad rows": len(bad)}
