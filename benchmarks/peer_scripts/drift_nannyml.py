"""NannyML: its univariate calculator with its defaults, ten chunks a file, of which any may alarm."""

from pathlib import Path

import measuring
from questions import BEFORE, CATEGORIES, NOW, columns


def prepare(folder: Path, scratch: Path, group: str) -> measuring.Work:
    import nannyml
    import pandas as pd

    asked = list(columns(group))
    categories = [name for name in asked if name in CATEGORIES]

    def work() -> tuple[int, measuring.Found]:
        was, now = (pd.read_parquet(folder / file, columns=asked) for file in (BEFORE, NOW))
        calculator = nannyml.UnivariateDriftCalculator(column_names=asked, treat_as_categorical=categories)
        told = calculator.fit(was).calculate(now).filter(period="analysis").to_df()
        alerts = told.xs("alert", level=2, axis=1)
        return len(now), {"alarms": [name for name in asked if alerts[name].to_numpy().any()], "asked": asked}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
