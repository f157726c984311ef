"""`shopmon check` from the shell and back, as people call it: start, imports and the record of the run included."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import measuring
from questions import CHOOSES, NOW, REVIEWS, SHOP, TEXTS, WORDS, columns
from rules_shopmon import write_suite


def prepare(folder: Path, scratch: Path, what: str) -> measuring.Work:
    return {"rules": rules, "drift": drift, "selection": selection}[what](folder, scratch)


def rules(folder: Path, scratch: Path) -> measuring.Work:
    write_shop(scratch, defaults=False)
    suite = write_suite(scratch / "fifteen.yaml")

    def work() -> tuple[int, measuring.Found]:
        told = check(folder / REVIEWS, "--suite", suite, "--only-rules", "--project", scratch)
        return told["rows"], {
            "rules": [one["unexpected"] for one in told["expectations"]],
            "bad rows": told["quarantined"],
        }

    return work


def drift(folder: Path, scratch: Path) -> measuring.Work:
    shop = shutil.copytree(folder / SHOP, scratch / SHOP)

    def work() -> tuple[int, measuring.Found]:
        told = check(folder / NOW, "--suite", shop / "texts.yaml", "--project", shop)
        asked = columns("tabular") + TEXTS
        drifted = {one["column"] for one in told["drift"]["columns"] if one["drifted"]}
        return told["rows"], {"alarms": sorted(drifted & set(asked)), "asked": asked}

    return work


def selection(folder: Path, scratch: Path) -> measuring.Work:
    write_shop(scratch, defaults=False)

    def work() -> tuple[int, measuring.Found]:
        told = check(folder / REVIEWS, "--suite", scratch / "texts.yaml", "--project", scratch)
        import pyarrow.parquet as pq

        chosen = pq.read_table(told["artifacts"]["edge_cases"], columns=["row"])
        return told["rows"], {"rows": sorted(chosen["row"].to_pylist())}

    return work


def write_shop(folder: Path, *, defaults: bool) -> None:
    """A project whose suite asks for a text, and which chooses what `questions.CHOOSES` says."""
    words = "\n".join(f"{name} = {json.dumps(list(each))}" for name, each in WORDS.items())
    folder.mkdir(exist_ok=True)
    (folder / "shopmon.toml").write_text(
        f'[edge_cases]\ndefaults = {json.dumps(defaults)}\nmatching = "substring"\n\n[edge_cases.words]\n{words}\n\n'
        f'[edge_cases.rules.chosen]\nwhen = "{CHOOSES}"\n'
    )
    rule = {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "text"},
        "meta": {"id": "text-missing"},
    }
    suite = {"name": "texts", "kind": "reviews", "expectations": [rule]}
    (folder / "texts.yaml").write_text(json.dumps(suite))


def check(*arguments: object) -> dict[str, Any]:
    """The document of a check."""
    command = [sys.executable, "-m", "shopmon", "check", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    measuring.run(prepare)
