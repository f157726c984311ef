"""Which way of training rids a model of unwanted words and leaves the rest as it was?

    python benchmarks/objectives.py                               # the offline base, three seeds
    python benchmarks/objectives.py --base distilbert-base-uncased  # where the model hub can be reached

The experiment of the Nike hackathon (examples/nike), three ways, each with the same base, steps, rows per step and
learning rate, each measured on the same held-out texts and prompts:

- v1: cross-entropy on every text of the corpus;
- v2: cross-entropy on the rows that the hackathon's rule chose, words found as parts of other words;
- ours: `shopmon retrain` with the settings of examples/nike/shopmon.toml.

Neither joins texts to chunks of 128 tokens, as the hackathon did: here a row is a text. Masses are the mean probability
of the wanted or unwanted words of one piece over the gate's prompts, none of which is trained on.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "nike"))

from corpus import DATA
from pydantic import TypeAdapter
from three_ways import PROMPTS, WAYS, Outcome, scene, trained, words

from retrain.results import Contrast, Measures, TextSet


def numbers(found: Measures, base: Measures) -> dict[str, float]:
    """The columns of the table."""
    texts = {name: found.texts[name].perplexity for name in TextSet if name in found.texts}
    ratio = texts[TextSet.GENERAL] / base.texts[TextSet.GENERAL].perplexity
    mass = found.masses
    return {
        "wanted": mass[Contrast.GATE].wanted,
        "unwanted": mass[Contrast.GATE].unwanted,
        "other brands": mass[Contrast.OTHER_BRANDS].unwanted,
        "complaints": mass[Contrast.COMPLAINTS].unwanted,
        "general ppl": texts[TextSet.GENERAL],
        "× base": ratio,
        "project ppl": texts[TextSet.PROJECT],
        "held-out ppl": texts[TextSet.RETRAINING],
    }


def table(base: Measures, outcomes: Sequence[Outcome]) -> str:
    """Mean ± standard deviation over the seeds, as a Markdown table."""
    names = list(numbers(base, base))
    lines = [f"| way | steps | CPU s | {' | '.join(names)} |", f"|---{'|---:' * (len(names) + 2)}|"]
    plain = [_digits(name, value) for name, value in numbers(base, base).items()]
    lines.append(f"| base | – | – | {' | '.join(plain)} |")
    for way in WAYS:
        runs = [one for one in outcomes if one.way == way]
        if not runs:
            continue
        found = [numbers(one.measures, base) for one in runs]
        told = [_spread(name, [one[name] for one in found]) for name in names]
        steps = sorted({one.steps for one in runs})
        span = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]}–{steps[-1]}"
        cpu = statistics.mean(one.cpu_seconds for one in runs)
        lines.append(f"| {way} | {span} | {cpu:.0f} | {' | '.join(told)} |")
    return "\n".join(lines)


def _spread(name: str, values: Sequence[float]) -> str:
    mean = _digits(name, statistics.mean(values))
    return f"{mean} ± {_digits(name, statistics.stdev(values))}" if len(values) > 1 else mean


def _digits(name: str, value: float) -> str:
    return f"{value:.1f}" if name.endswith("ppl") else f"{value:.2f}" if name == "× base" else f"{value:.3f}"


def targets(base: Measures, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was to be reached, and what was."""
    ours = [numbers(one.measures, base) for one in outcomes if one.way == "ours"]
    before = numbers(base, base)

    def change(name: str) -> float:
        return max(abs(one[name] / before[name] - 1) for one in ours)

    for says, value, limit, at_most in (
        ("unwanted mass, the worst seed", max(one["unwanted"] for one in ours), 0.02, True),
        ("wanted mass, the worst seed", min(one["wanted"] for one in ours), 0.5, False),
        ("other brands' change, the worst seed", change("other brands"), 0.2, True),
        ("complaints' change, the worst seed", change("complaints"), 0.2, True),
        ("general perplexity × base, the worst seed", max(one["× base"] for one in ours), 1.1, True),
    ):
        met = value <= limit if at_most else value >= limit
        yield f"{'met   ' if met else 'MISSED'} {says}: {value:.3f} ({'≤' if at_most else '≥'} {limit})"


def kept(file: Path, train: Callable[[], Outcome]) -> Outcome:
    """What a training came to, from the file that an earlier call left, or made now and left there."""
    adapter = TypeAdapter(Outcome)
    if not file.exists():
        file.write_bytes(adapter.dump_json(train()))
    return adapter.validate_json(file.read_bytes())


def prompts(base: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """The likeliest words for the hackathon's prompts, with the first seed of each way."""
    first = {one.way: one.words for one in reversed(outcomes)}
    lines = {"base": base, **{way: first[way] for way in WAYS if way in first}}
    return "\n".join(
        f"{prompt}\n" + "\n".join(f"  {way:5} {found[number]}" for way, found in lines.items())
        for number, prompt in enumerate(PROMPTS)
    )


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="offline", help="offline, a folder, or a name on the hub")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, help="of every way; otherwise as examples/nike/shopmon.toml says")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of the shop's three CSV files ({DATA})")
    parser.add_argument("--folder", type=Path, help="where to work; what is there is used again (otherwise a new one)")
    given = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="shopmon-objectives-") as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        on, material = scene(folder, given.data, given.base, given.steps)
        outcomes = []
        for seed in given.seeds:
            for way in given.ways:
                outcome = kept(folder / f"{way}-{seed}.json", lambda: trained(way, seed, on, material[way]))  # noqa: B023
                outcomes.append(outcome)
                said = json.dumps(numbers(outcome.measures, on.of_base))
                _tell(f"{way} seed {seed}, {outcome.steps} steps: {said}")
        sys.stdout.write(f"{table(on.of_base, outcomes)}\n\n")
        sys.stdout.write(f"{prompts(list(words(on.base, on.settings)), outcomes)}\n\n")
        if "ours" in given.ways:
            sys.stdout.write("\n".join(targets(on.of_base, outcomes)) + "\n")


if __name__ == "__main__":
    main()
