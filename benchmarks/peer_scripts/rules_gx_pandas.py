"""Great Expectations on pandas, with the numbers of all failing rows."""

from pathlib import Path

import measuring
from questions import REVIEWS


def prepare(folder: Path, scratch: Path) -> measuring.Work:
    import pandas as pd
    from great_expectations_rules import answers, context

    made = context()

    def work() -> tuple[int, measuring.Found]:
        frame = pd.read_parquet(folder / REVIEWS)
        frame["row"] = range(len(frame))
        asset = made.data_sources.add_pandas("p").add_dataframe_asset("a")
        batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
        return len(frame), answers(batch)

    return work


if __name__ == "__main__":
    measuring.run(prepare)
