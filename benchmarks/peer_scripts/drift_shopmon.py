"""shopmon's comparison as a library: both files profiled, then compared; `every` counts the words of every text."""

from dataclasses import replace
from pathlib import Path

import measuring
from questions import BEFORE, CATEGORIES, NOW, NUMBERS, TEXTS, columns

ALL = NUMBERS + CATEGORIES + TEXTS


def prepare(folder: Path, scratch: Path, group: str, texts: str = "") -> measuring.Work:
    import pandas  # noqa: F401  # Arrow imports it at the first array

    from expectations.batch import open_batch
    from monitor.drift import DriftSettings, compare_with
    from monitor.profiles import ProfileSettings, profile
    from monitor.reference import Reference

    how = ProfileSettings(ignore=tuple(name for name in ALL if name not in columns(group)))

    def work() -> tuple[int, measuring.Found]:
        settings = how
        with open_batch(folder / BEFORE, scratch=scratch, kind="reviews") as batch:
            if texts == "every":
                settings = replace(how, text_rows=batch.rows)
            was = profile(batch, settings)
        with open_batch(folder / NOW, scratch=scratch, kind="reviews") as batch:
            now = profile(batch, settings, like=was)
        told = compare_with(Reference(was, "before", was.rows, "", ()), now, DriftSettings(profile=settings))
        alarms = {one.column for one in told.drifted}
        return now.rows, {"alarms": sorted(alarms), "asked": sorted(was.columns)}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
