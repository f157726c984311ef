"""How many pairs does a classifier judge in a second of a processor, beside torch as it comes?

    python benchmarks/inference.py                       # the size of DistilBERT-base, random weights, generated pairs
    python benchmarks/inference.py --data ../shared/data/queries/home_depot_query_product.parquet
    python benchmarks/inference.py --model .shopmon/models/relevance/ID    # a model that was trained

Torch as it comes: float32, 32 pairs at a time in the order in which they stand, padded to the longest of them. Ours is
what `shopmon rank`, `substitutes`, `classify` and `check` ask on a CPU: ONNX int8, pairs of like length together.
Between them stand the steps from one to the other. What a contestant does begins with two lists of strings and ends
with probabilities, cutting into tokens included; loading and exporting a model is not counted. Every contestant takes
its turn in every round, and a round begins with another one each time. Time is that of the processor, all threads
together. Ratios are taken within a round, so that they hold when the machine's speed drifts; the table holds medians.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs where shopmon is not installed

import retrain.onnx_model  # noqa: F401, I001 - switches ONNX Runtime's reports off, before it is imported
import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import torch
import transformers

from monitor.embeddings import offline_model
from retrain.classification_measures import Floats
from retrain.classifier import Classifier, load_classifier
from retrain.loading import has_bf16
from retrain.onnx_export import exported, quantised
from retrain.results import Serving, ServingFormat
from retrain.scorer import Scorer, onnx_scorer, torch_scorer

TARGET = 4.0
"""Asked for: times as many pairs as torch in float32, batches as found."""
AT_ONCE = 32
"""Pairs of a batch as found."""
COLUMNS = (("search_term", "query"), ("product_title", "product_text", "title"))
"""What the query and the product's text are called in a file, the first that is there."""
CARD = "typeform/distilbert-base-uncased-mnli: 551.5 samples/s in evaluation on a V100, 128 tokens at most (its card)"


# --- what is read -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """What is judged."""

    queries: list[str]
    texts: list[str]
    says: str


def pairs_of(data: Path | None, count: int) -> Pairs:
    """Pairs of a file, drawn; or generated ones."""
    if data is None:
        from shopmon.sample_data import relevance

        table = relevance(count)
        return Pairs(table["query"].to_pylist(), table["product_text"].to_pylist(), "generated pairs")
    table = pq.read_table(data)
    query, text = (next(name for name in names if name in table.schema.names) for names in COLUMNS)
    at = np.random.default_rng(0).choice(len(table), min(count, len(table)), replace=False)
    some = table.select([query, text]).take(at)
    return Pairs(some[query].to_pylist(), some[text].to_pylist(), f"pairs of {data.name}")


def random_classifier(layers: int, width: int, classes: int = 4) -> Classifier:
    """A DistilBERT classifier that has learnt nothing; its words are those of the offline base."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(offline_model(), local_files_only=True)
    tokenizer.model_max_length = 512
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        "distilbert",
        n_layers=layers,
        dim=width,
        hidden_dim=4 * width,
        n_heads=max(1, width // 64),
        num_labels=classes,
        vocab_size=len(tokenizer),
    )
    model = transformers.AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    model.eval()
    return Classifier(model, tokenizer, Path(), tuple(f"{number}" for number in range(classes)))


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contestant:
    """One way to answer."""

    says: str
    answers: Callable[[Pairs], Floats]


@torch.inference_mode()
def as_found(classifier: Classifier, pairs: Pairs, length: int) -> Floats:
    """Probabilities by torch in float32, batches in the order of the pairs."""
    found = []
    for first in range(0, len(pairs.queries), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        inputs = classifier.tokenizer(
            pairs.queries[some],
            pairs.texts[some],
            truncation=True,
            max_length=length,
            padding=True,
            return_tensors="pt",
        )
        found.append(torch.softmax(classifier.model(**inputs).logits.double(), -1).numpy())
    return np.concatenate(found)


def contestants(classifier: Classifier, length: int) -> list[Contestant]:
    """From torch as it comes to ours."""

    def by(says: str, scorer: Scorer) -> Contestant:
        return Contestant(says, lambda pairs: scorer.probabilities(pairs.queries, pairs.texts))

    def onnx(says: str, kept: ServingFormat, content: bytes) -> Contestant:
        serving = Serving(kept, "measured", classifier.classes, classifier.longest)
        return by(says, onnx_scorer(content, serving, classifier.tokenizer, length))

    found = [
        Contestant("torch float32, batches as found", lambda pairs: as_found(classifier, pairs, length)),
        by("torch float32, by length", torch_scorer(classifier, length, bf16=False)),
    ]
    if has_bf16(torch.device("cpu")):
        found.append(by("torch bf16, by length", torch_scorer(classifier, length, bf16=True)))
    found.append(onnx("ONNX float32, by length", ServingFormat.ONNX_FP32, exported(classifier)))
    found.append(onnx("**ours: ONNX int8, by length**", ServingFormat.ONNX_INT8, quantised(classifier)))
    return found


@dataclass(frozen=True)
class Measured:
    """What a contestant did."""

    says: str
    rates: list[float]
    """Pairs per second of the processor, one a round."""
    said: Floats


def measured(asked: Sequence[Contestant], pairs: Pairs, rounds: int) -> list[Measured]:
    """Every contestant in every round."""
    found = [Measured(one.says, [], one.answers(Pairs(pairs.queries[:8], pairs.texts[:8], ""))) for one in asked]
    for number in range(rounds):
        for place in range(len(asked)):
            at = (place + number) % len(asked)
            began = time.process_time()
            said = asked[at].answers(pairs)
            rate = len(said) / (time.process_time() - began)
            found[at] = Measured(asked[at].says, [*found[at].rates, rate], said)
            tell(f"round {number + 1}, {asked[at].says}: {rate:.1f} pairs/CPU-s")
    return found


def table(found: Sequence[Measured]) -> str:
    """Medians, and ratios within a round to the first of them."""
    lines = [
        "| | pairs/CPU-s | × as found | least–most | largest difference of a probability | same class |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    first = found[0]
    for one in found:
        times = [mine / theirs for mine, theirs in zip(one.rates, first.rates, strict=True)]
        apart = np.abs(one.said - first.said).max()
        same = (one.said.argmax(1) == first.said.argmax(1)).mean()
        lines.append(
            f"| {one.says} | {statistics.median(one.rates):.1f} | {statistics.median(times):.2f} "
            f"| {min(times):.2f}–{max(times):.2f} | {apart:.1e} | {same:.1%} |"
        )
    return "\n".join(lines)


def speed_up(found: Sequence[Measured]) -> float:
    """How many times as many pairs the last one judges as the first, by the median of the rounds."""
    return statistics.median(mine / theirs for mine, theirs in zip(found[-1].rates, found[0].rates, strict=True))


# --- what is said -----------------------------------------------------------------------------------------------------


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _processor() -> str:
    """Its name, and what it has for whole numbers and bfloat16."""
    told = Path("/proc/cpuinfo")
    said = dict(line.split(":", 1) for line in told.read_text().splitlines() if ":" in line) if told.exists() else {}
    lines = {name.strip(): value.strip() for name, value in said.items()}
    flags = set(lines.get("flags", "").split()) & {"avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8"}
    return f"{lines.get('model name', 'unknown processor')} ({', '.join(sorted(flags)) or 'no such instructions'})"


def about(classifier: Classifier, pairs: Pairs, length: int, given: argparse.Namespace) -> str:
    """What was measured, where, and with what."""
    told = classifier.tokenizer(pairs.queries, pairs.texts, truncation=True, max_length=length)["input_ids"]
    lengths = list(map(len, told))
    config = classifier.model.config
    libraries = {"torch": torch, "transformers": transformers, "ONNX Runtime": onnxruntime}
    versions = ", ".join(f"{name} {library.__version__}" for name, library in libraries.items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {_processor()}, threads: {torch.get_num_threads()}; {versions}, Python "
        f"{platform.python_version()}\n{config.model_type}, {config.num_hidden_layers} layers × {config.hidden_size}; "
        f"{len(lengths):,} {pairs.says} of {min(lengths)} to {max(lengths)} tokens, {statistics.mean(lengths):.0f} on "
        f"average; medians of {given.rounds} rounds\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a classifier (default: DistilBERT-base, random weights)")
    parser.add_argument("--data", type=Path, help="parquet with queries and product texts (default: generated pairs)")
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--length", type=int, default=128, help="tokens of a pair at most")
    parser.add_argument("--rounds", type=int, default=3, help="the table holds medians")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", type=int, default=6, help="of the model with random weights")
    parser.add_argument("--width", type=int, default=768, help="of the model with random weights")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    classifier = (
        load_classifier(given.model, device=torch.device("cpu"))
        if given.model
        else random_classifier(given.layers, given.width)
    )
    pairs = pairs_of(given.data, given.pairs)
    tell("exporting")
    found = measured(contestants(classifier, given.length), pairs, given.rounds)
    print(about(classifier, pairs, given.length, given))
    print(table(found))
    reached = speed_up(found)
    print(f"\n{'met' if reached >= TARGET else 'MISSED'}: {reached:.1f} × torch float32 as found (≥ {TARGET:g})")
    print(f"Beside it, on other hardware and so not to be compared: {CARD}")


if __name__ == "__main__":
    main()
