"""UpTrain 0.0.3: its framework given a few reviews at a time, with one Signal for each list of words."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import measuring
from questions import FEW_REVIEWS, WORDS


def prepare(folder: Path, scratch: Path, at_once: str) -> measuring.Work:
    import pyarrow.parquet as pq
    import uptrain

    os.chdir(scratch)  # it deletes and makes folders where it stands

    def signal(name: str) -> Any:
        words = WORDS[name]

        def names_one(inputs: Any, outputs: Any, gts: Any = None, extra_args: Any = None) -> list[bool]:
            texts = [(text or "").lower() for text in inputs["text"]]
            return [any(word in text for word in words) for text in texts]

        return uptrain.Signal(name, names_one)

    chosen = signal("brands") & signal("products") & signal("features") & ~signal("unwanted")
    settings = {
        "checks": [{"type": uptrain.Anomaly.EDGE_CASE, "signal_formulae": chosen}],
        "retraining_folder": "smart_data",
        "retrain": False,
    }
    size = int(at_once)

    def work() -> tuple[int, measuring.Found]:
        texts = pq.read_table(folder / FEW_REVIEWS, columns=["text"])["text"].to_pylist()
        with contextlib.redirect_stdout(sys.stderr):
            framework = uptrain.Framework(cfg_dict=settings)
            for start in range(0, len(texts), size):
                some = texts[start : start + size]
                framework.check_and_add_data(inputs={"data": {"text": some}}, outputs=[None] * len(some))
        return len(texts), {"rows": sorted(int(one) + 1 for one in framework.smart_data_ids)}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
