"""whylogs: a profile of each file, and the drift scores of the two with its default thresholds; `DRIFT` alarms."""

from pathlib import Path

import measuring
from questions import BEFORE, NOW, columns


def prepare(folder: Path, scratch: Path, group: str) -> measuring.Work:
    import pandas as pd
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    asked = list(columns(group))

    def work() -> tuple[int, measuring.Found]:
        was, now = (pd.read_parquet(folder / file, columns=asked) for file in (BEFORE, NOW))
        views = [whylogs.log(frame).profile().view() for frame in (now, was)]
        told = calculate_drift_scores(target_view=views[0], reference_view=views[1], with_thresholds=True)
        alarms = [name for name in asked if told.get(name) and told[name]["drift_category"] == "DRIFT"]
        return len(now), {"alarms": alarms, "asked": [name for name in asked if told.get(name)]}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
