"""shopmon's rules as a library: read, count, judge, and write every bad row with its reasons."""

import json
from pathlib import Path

import measuring
from questions import REVIEWS, RULES


def write_suite(file: Path) -> Path:
    """The rules as a suite of shopmon."""
    rules = [{**rule, "meta": {"id": f"rule-{number}"}} for number, rule in enumerate(RULES)]
    file.write_text(json.dumps({"name": "fifteen", "kind": "reviews", "expectations": rules}))
    return file


def prepare(folder: Path, scratch: Path) -> measuring.Work:
    import expectations.judge  # noqa: F401  # Great Expectations, which validate() imports otherwise
    from expectations.batch import open_batch
    from expectations.suite import load_suite
    from expectations.validation import validate

    def work() -> tuple[int, measuring.Found]:
        suite = load_suite(write_suite(scratch / "fifteen.yaml"))
        with open_batch(folder / REVIEWS, scratch=scratch, kind="reviews") as batch:
            found = validate(batch, suite, folder=scratch)
        return found.rows, {"rules": [one.unexpected for one in found.results], "bad rows": found.quarantined}

    return work


if __name__ == "__main__":
    measuring.run(prepare)
