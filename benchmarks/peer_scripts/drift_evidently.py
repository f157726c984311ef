"""Evidently: `ValueDrift` on each column, with its default method and threshold."""

from pathlib import Path

import measuring
from questions import BEFORE, CATEGORIES, NOW, NUMBERS, TEXTS, columns


def prepare(folder: Path, scratch: Path, group: str) -> measuring.Work:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    asked = list(columns(group))
    definition = DataDefinition(
        numerical_columns=[name for name in asked if name in NUMBERS],
        categorical_columns=[name for name in asked if name in CATEGORIES],
        text_columns=[name for name in asked if name in TEXTS],
    )

    def work() -> tuple[int, measuring.Found]:
        was, now = (
            Dataset.from_pandas(pd.read_parquet(folder / file, columns=asked), data_definition=definition)
            for file in (BEFORE, NOW)
        )
        told = Report([ValueDrift(column=name) for name in asked], include_tests=True).run(now, was).dict()
        alarms = [
            one["metric_config"]["params"]["column"] for one in told["tests"] if one["status"].split(".")[-1] == "FAIL"
        ]
        return now.stats().row_count, {"alarms": sorted(alarms), "asked": asked}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
