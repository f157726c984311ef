"""shopmon's choice of edge cases as a library, by one rule over words."""

from pathlib import Path

import measuring
from questions import CHOOSES, REVIEWS, WORDS


def prepare(folder: Path, scratch: Path) -> measuring.Work:
    import pandas  # noqa: F401  # Arrow imports it at the first array
    import uptrain.framework.signal  # noqa: F401  # by which formulas are asked

    from expectations.batch import open_batch
    from monitor.edge_case_rules import EdgeCaseSettings, Rule
    from monitor.edge_cases import select
    from monitor.signals import Words

    settings = EdgeCaseSettings(Words(**WORDS), {"chosen": Rule(CHOOSES)}, defaults=False, matching="substring")

    def work() -> tuple[int, measuring.Found]:
        with open_batch(folder / REVIEWS, scratch=scratch, kind="reviews") as batch:
            chosen = select(batch, settings)
        return batch.rows, {"rows": sorted(chosen.rows["row"].to_pylist())}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
