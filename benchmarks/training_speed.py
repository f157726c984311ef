"""How fast does `shopmon retrain` learn, beside the Trainer's default recipe?

    python benchmarks/training_speed.py                  # a GPU where there is one, otherwise one thread of the CPU
    python benchmarks/training_speed.py --device cuda    # tokens/s, TFLOP/s and the share of the matmul rate
    python benchmarks/training_speed.py --device cuda --compile    # the same with torch.compile beside it
    python benchmarks/training_speed.py --device cpu --rows 16 --rounds 5

A model of the size of DistilBERT-base with random weights reads rows of random tokens, all of one length, 15 % of them
to be filled. Ours goes through `retrain.training.fit`, the path of `shopmon retrain`; the default recipe through the
library's Trainer and its own collator: float32, head on every token, the optimizer it picks itself. Between them stand
the steps from one to the other. Every contestant takes its turn in every round, and a round begins with another one
each time; its first steps are not counted. Ratios are taken within a round, so that they hold when the machine's speed
drifts; the table holds medians. On a CPU time is that of the processor (one thread), rows are masked within it.

Floating-point operations of a token in training, with d = width, h = inner width, n = layers, L = length, V = words,
s = share of the places at which the head is computed (1: at all of them):

    3 · [ n · (2 · (4d² + 2dh) + 4Ld) + s · 2 · (d² + dV) ]

A weight in a product costs 2 going forward (multiply, add) and twice as many going back, so 6 in all; a token's
attention is 2Ld for its scores and 2Ld for what it takes up. For DistilBERT-base (768, 3072, 6, 128, 30522) these are
284 MFLOP with s = 0.15, and 406 with s = 1. Embeddings, norms and activations are not counted, nor the optimizer.

A GPU machine needs torch, transformers, accelerate and this repository, nothing else of what shopmon needs. There rows
are masked beforehand; what masking them costs is a line of its own.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parents[1]))  # a machine with a GPU need not have shopmon installed

from expectations.errors import ShopmonError
from retrain import training
from retrain.loading import has_bf16
from retrain.masking import Alphabet, whole_words
from retrain.objective import Learner, Part
from retrain.schedule import generator
from retrain.settings import Objective, Training
from retrain.steps import Row, padded

COMMAND = "python benchmarks/training_speed.py --device cuda"
TARGET_CPU, TARGET_GPU = 3.5, 0.5
"""Asked for: times as fast as the default recipe, and the share (0–1) of the matmul rate."""
MASK, UNWANTED, FIRST_WORD = 4, range(10, 18), 10
SHARE = 0.15
"""Share of the tokens (0–1) that are to be filled, of ours and of the library's collator."""
POOL = 4
"""Steps that are masked beforehand on a GPU, and read in turn."""
BATCHES = (64, 128, 256, 512, 1024)
MATMUL = 8192


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """What is read in a step, and how often."""

    config: transformers.DistilBertConfig
    rows: int
    length: int
    """Tokens of a row."""
    steps: int
    """Steps that are counted."""
    warm_up: int
    """Steps before them that are not."""

    @property
    def tokens(self) -> int:
        """Tokens of the steps that are counted."""
        return self.rows * self.length * self.steps


@dataclass(frozen=True)
class Contestant:
    """One way to take a step."""

    says: str
    ours: bool = True
    """Through `retrain.training.fit`, the head on places to fill; otherwise the library's Trainer, on all places."""
    bf16: bool = True
    parts: tuple[Part, ...] = (Part.POSITIVE,)
    """What is asked of the rows, in turn."""
    optimizer: str = "adamw_torch_fused"
    compiled: bool = False


DEFAULT = Contestant("the Trainer's default: float32, head on every token, fused AdamW", ours=False, bf16=False)
HEAD_ONLY = Contestant("head on masked places only, float32", bf16=False)
BF16_ONLY = Contestant("bf16 only, head on every token", ours=False)
UNFUSED = Contestant("bf16, head on masked places, AdamW not fused", optimizer="adamw_torch")
OURS = Contestant("**ours: bf16, head on masked places, fused AdamW**")
ROLES = (*[Part.POSITIVE] * 3, Part.UNWANTED, *[Part.COUNTERFACTUAL] * 3, Part.REPLAY)
"""How the parts share the rows of a step (`retrain.schedule.WEIGHTS`)."""
WHOLE = Contestant("ours, whole objective: the base is read for half of the rows", parts=ROLES)
ON_CPU = (DEFAULT, HEAD_ONLY, BF16_ONLY, UNFUSED, OURS, WHOLE)
ON_GPU = (
    OURS,
    Contestant("ours, whole objective", parts=ROLES),
    BF16_ONLY,
)
COMPILED = Contestant("ours, encoder compiled", compiled=True)


def training_flops(config: Any, length: int, head_share: float) -> float:
    """Floating-point operations of a token in training (module docstring); `head_share` is 0–1.

    >>> round(training_flops(transformers.DistilBertConfig(), 128, 0.15) / 1e6)
    284
    """
    width, inner = config.dim, config.hidden_dim
    layer = 2 * (4 * width**2 + 2 * width * inner) + 4 * length * width
    head = 2 * (width**2 + width * config.vocab_size)
    return float(3 * (config.n_layers * layer + head_share * head))


# --- what is read -----------------------------------------------------------------------------------------------------


class Steps(Dataset[Any]):
    """Steps as `retrain.steps.Steps` makes them, of random rows that need no file."""

    def __init__(self, size: Size, parts: Sequence[Part], *, beforehand: bool) -> None:
        self._size, self._parts = size, parts
        self._pool = [self._made(number) for number in range(POOL)] if beforehand else []

    def __len__(self) -> int:
        return self._size.warm_up + self._size.steps

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self._pool[number % POOL] if self._pool else self._made(number)

    def _made(self, number: int) -> dict[str, Any]:
        ids = tokens(self._size, number)
        alphabet = Alphabet(MASK, self._size.config.vocab_size)
        words = np.arange(self._size.length)
        words[[0, -1]] = -1
        rows = []
        for at, row in enumerate(ids):
            masked = whole_words(row, words, SHARE, generator("mask", 1, "rows", number, at), alphabet)
            part = self._parts[at % len(self._parts)]
            rows.append(Row(masked, np.full(len(masked.places), part)))
        return {"groups": [padded(rows, 0)], "tokens": ids.size}


class Rows(Dataset[Any]):
    """The same rows, one by one, for the library's collator."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._ids = np.concatenate([tokens(size, number) for number in range(min(POOL, size.warm_up + size.steps))])

    def __len__(self) -> int:
        return self._size.rows * (self._size.warm_up + self._size.steps)

    def __getitem__(self, number: int) -> dict[str, Any]:
        ids = self._ids[number % len(self._ids)]
        return {"input_ids": ids.tolist(), "attention_mask": [1] * len(ids)}


def tokens(size: Size, number: int) -> Any:
    """(rows, length) random words between [CLS] and [SEP]."""
    ids = np.random.default_rng(number).integers(FIRST_WORD, size.config.vocab_size, (size.rows, size.length))
    ids[:, 0], ids[:, -1] = 2, 3
    return ids


def tokenizer(words: int) -> Any:
    """A tokenizer of so many made-up words: the library's collator asks it for its special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: at for at, word in enumerate([*special, *(f"w{at}" for at in range(5, words))])}
    library: Any = transformers  # its types do not know all that it has
    return library.BertTokenizerFast(vocab=vocabulary)


# --- one contestant's turn --------------------------------------------------------------------------------------------


@dataclass
class Clock:
    """Seconds from the last step that is not counted to the last one: of the processor, or on a GPU those that pass."""

    size: Size
    cuda: bool
    marks: dict[int, float] = field(default_factory=dict)

    def step(self, number: int) -> None:
        if number in (self.size.warm_up, self.size.warm_up + self.size.steps):
            if self.cuda:
                torch.cuda.synchronize()
            self.marks[number] = time.perf_counter() if self.cuda else time.process_time()

    @property
    def seconds(self) -> float:
        return self.marks[self.size.warm_up + self.size.steps] - self.marks[self.size.warm_up]


class _EachStep(transformers.TrainerCallback):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock.step(state.global_step)


def seconds(one: Contestant, size: Size, folder: Path, *, cuda: bool) -> float:
    """What the steps that are counted take. Raises ShopmonError or torch.OutOfMemoryError for too little memory."""
    torch.manual_seed(1)
    model = transformers.DistilBertForMaskedLM(size.config)
    if one.compiled:
        model.base_model.compile()
    clock = Clock(size, cuda)
    (_ours if one.ours else _library)(model, one, size, folder, clock)
    return clock.seconds


def _ours(model: Any, one: Contestant, size: Size, folder: Path, clock: Clock) -> None:
    base = None
    if len(one.parts) > 1:
        base = transformers.DistilBertForMaskedLM(size.config).requires_grad_(False)
        base.train(False)
    learner = Learner(model, base, Objective(), list(UNWANTED))
    steps = Steps(size, one.parts, beforehand=clock.cuda)
    fitting = training.Fitting(
        steps=len(steps),
        training=Training(batch_size=size.rows, bf16=one.bf16),
        folder=folder,
        make_steps=lambda *_: steps,
        told=lambda told: clock.step(told.step),
        checkpoints=False,
    )
    real = training.arguments

    def arguments(asked: training.Fitting) -> transformers.TrainingArguments:
        return _changed(real(asked), one.optimizer)

    with patch.object(training, "arguments", arguments):
        training.fit(learner, fitting)


def _changed(arguments: transformers.TrainingArguments, optimizer: str) -> transformers.TrainingArguments:
    arguments.optim = optimizer
    arguments.logging_steps = 1  # the clock listens there
    return arguments


def _library(model: Any, one: Contestant, size: Size, folder: Path, clock: Clock) -> None:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=size.warm_up + size.steps,
        per_device_train_batch_size=size.rows,
        bf16=one.bf16,
        use_cpu=not clock.cuda,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    collator = transformers.DataCollatorForLanguageModeling(tokenizer(size.config.vocab_size), mlm_probability=SHARE)
    trainer = transformers.Trainer(
        model, arguments, data_collator=collator, train_dataset=Rows(size), callbacks=[_EachStep(clock)]
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()


Rates = dict[str, list[float]]
"""Contestant → tokens a second, one number each round; NaN where memory did not suffice."""


def rounds(contestants: Sequence[Contestant], size: Size, count: int, *, cuda: bool) -> Rates:
    """Everyone's turn in every round, each of which begins with another one."""
    found: Rates = {one.says: [] for one in contestants}
    for number in range(count):
        first = number % len(contestants)
        for one in (*contestants[first:], *contestants[:first]):
            tell(f"round {number + 1} of {count}, {size.rows} rows: {one.says}")
            with tempfile.TemporaryDirectory() as folder:
                found[one.says].append(_rate(one, size, Path(folder), cuda=cuda))
            gc.collect()
            if cuda:
                torch.cuda.empty_cache()
    return found


def _rate(one: Contestant, size: Size, folder: Path, *, cuda: bool) -> float:
    try:
        rate = size.tokens / seconds(one, size, folder, cuda=cuda)
    except (ShopmonError, torch.OutOfMemoryError) as error:
        if isinstance(error, ShopmonError) and "memory" not in error.problem:
            raise
        tell(f"  {error}")
        return float("nan")
    tell(f"  {rate:,.0f} tokens/s")
    return rate


# --- the two machines -------------------------------------------------------------------------------------------------


def on_cpu(given: argparse.Namespace) -> None:
    """Tokens per second of the processor, and how many times the default recipe's."""
    torch.set_num_threads(1)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    size = Size(config_of(given), given.rows or 8, given.length, given.steps or 2, warm_up=1)
    bf16 = has_bf16(torch.device("cpu"))
    contestants = [one for one in ON_CPU if bf16 or not one.bf16]
    if not bf16:
        print("This processor has no bf16, so only what float32 gains can be measured.\n")
    print(f"{_about(given)}, one thread of {platform.processor() or platform.machine()} ({_cpu_name()}), "
          f"load {os.getloadavg()[0]:.1f}; {size.rows} rows × {size.length} tokens a step\n", flush=True)  # fmt: skip
    found = rounds(contestants, size, given.rounds, cuda=False)
    print(cpu_table(found), flush=True)
    rates = {name: cpu_matmul_rate(size, dtype) / 1e9 for name, dtype in _DTYPES.items()}
    print(f"\nproducts alone, by the type of number: {', '.join(f'{n} {r:,.0f} GFLOP/s' for n, r in rates.items())}")
    ratio = statistics.median(_ratios(found, (OURS if bf16 else HEAD_ONLY).says))
    print(f"\n{'met' if ratio >= TARGET_CPU else 'MISSED'}: ours is {ratio:.2f} × the default (≥ {TARGET_CPU})")


_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def cpu_matmul_rate(size: Size, dtype: torch.dtype) -> float:
    """FLOP per CPU-second of a layer's largest product, with weights that no cache holds: what bf16 can gain here."""
    width, inner = size.config.dim, size.config.hidden_dim
    read = torch.randn(size.rows * size.length, width).to(dtype)
    weights = [torch.randn(inner, width).to(dtype) for _ in range(8)]
    took = []
    for weight in weights * 3:
        began = time.process_time()
        torch.nn.functional.linear(read, weight)
        took.append(time.process_time() - began)
    return 2.0 * len(read) * width * inner / statistics.median(took)


def cpu_table(found: Rates) -> str:
    """Medians over the rounds; the ratios' least and most beside them."""
    lines = ["| step | tokens/CPU-s | × default | least–most |", "|---|---:|---:|---:|"]
    for name, rates in found.items():
        each = _ratios(found, name)
        rate, ratio = statistics.median(rates), statistics.median(each)
        lines.append(f"| {name} | {rate:,.0f} | {ratio:.2f} | {min(each):.2f}–{max(each):.2f} |")
    return "\n".join(lines)


def _ratios(found: Rates, name: str) -> list[float]:
    """How many times as fast as the default recipe, in each round."""
    return [rate / default for rate, default in zip(found[name], found[DEFAULT.says], strict=True)]


def on_gpu(given: argparse.Namespace) -> None:
    """Tokens per second, TFLOP/s, and the share of what the same GPU multiplies in the same run."""
    config = config_of(given)
    contestants = [*ON_GPU, *([COMPILED] if given.compile else [])]
    print(f"{_about(given)}, {torch.cuda.get_device_name()}; rows × {given.length} tokens a step\n", flush=True)
    before = matmul_rate()
    lines = [
        "| rows a step | step | tokens/s | TFLOP/s | share of the matmul rate | peak GB |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    best = 0.0
    for rows in [given.rows] if given.rows else BATCHES:
        steps = given.steps or max(20, 20 * BATCHES[-1] // rows // 2)
        size = Size(config, rows, given.length, steps, warm_up=10)
        for one in contestants:
            torch.cuda.reset_peak_memory_stats()
            rates = rounds([one], size, given.rounds, cuda=True)[one.says]
            rate, flops = statistics.median(rates), _flops(one, size)
            share = rate * flops / before
            best = max(best, share) if one is OURS else best
            lines.append(
                f"| {rows} | {one.says} | {rate:,.0f} | {rate * flops / 1e12:.0f} | {share:.0%} "
                f"| {torch.cuda.max_memory_allocated() / 1e9:.1f} |"
            )
    after = matmul_rate()
    print("\n".join(lines), flush=True)
    print(f"\nbf16 matmul {MATMUL}³: {before / 1e12:.0f} TFLOP/s before, {after / 1e12:.0f} after")
    print(f"masking on one core of the CPU: {masking_rate(config, given.length):,.0f} tokens/s")
    print(f"{'met' if best >= TARGET_GPU else 'MISSED'}: ours reaches {best:.0%} of it (≥ {TARGET_GPU:.0%})")


def _flops(one: Contestant, size: Size) -> float:
    """Of a token; the base, which is read for half of the rows, goes forward only: a third of the work."""
    whole = training_flops(size.config, size.length, SHARE if one.ours else 1.0)
    read = sum(part in (Part.COUNTERFACTUAL, Part.REPLAY) for part in one.parts) / len(one.parts)
    return whole * (1 + read / 3)


def matmul_rate(size: int = MATMUL) -> float:
    """FLOP/s of bf16 products of square matrices: the median of twenty, after five that are not counted."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    event: Any = torch.cuda.Event
    took: list[float] = []
    for _ in range(25):
        begin, end = (event(enable_timing=True) for _ in range(2))
        begin.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        took.append(begin.elapsed_time(end) / 1000)
    return 2.0 * size**3 / statistics.median(took[5:])


def masking_rate(config: Any, length: int) -> float:
    """Tokens a second that one core makes ready; the GPU waits where this is less than what it learns."""
    size = Size(config, 64, length, 4, 0)
    steps = Steps(size, (Part.POSITIVE,), beforehand=False)
    began = time.perf_counter()
    for number in range(size.steps):
        steps[number]
    return size.tokens / (time.perf_counter() - began)


# --- what is said -----------------------------------------------------------------------------------------------------


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _about(given: argparse.Namespace) -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; torch {torch.__version__}, transformers {transformers.__version__}, "
        f"Python {platform.python_version()}; medians of {given.rounds} rounds"
    )


def _cpu_name() -> str:
    told = Path("/proc/cpuinfo")
    names = [line for line in told.read_text().splitlines() if line.startswith("model name")] if told.exists() else []
    return names[0].partition(":")[2].strip() if names else "unknown"


def config_of(given: argparse.Namespace) -> transformers.DistilBertConfig:
    """DistilBERT-base, unless other sizes are asked for."""
    return transformers.DistilBertConfig(
        n_layers=given.layers,
        dim=given.width,
        hidden_dim=4 * given.width,
        n_heads=max(1, given.width // 64),
        vocab_size=given.words,
    )


def chosen(device: str) -> Callable[[argparse.Namespace], None] | None:
    """What to measure; None where a GPU is asked for and there is none."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # `fit` takes a GPU where it sees one
        return on_cpu
    if torch.cuda.is_available():
        return on_gpu
    return on_cpu if device == "auto" else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--rounds", type=int, default=3, help="the tables hold medians")
    parser.add_argument("--rows", type=int, help="rows of a step (CPU: 8, the Trainer's default; GPU: 64 to 1024)")
    parser.add_argument("--length", type=int, default=128, help="tokens of a row")
    parser.add_argument("--steps", type=int, help="steps of a turn that are counted (CPU: 2; GPU: 20 and more)")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile beside it (GPU)")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--words", type=int, default=30_522, help="words of the vocabulary")
    given = parser.parse_args(arguments)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    measure = chosen(given.device)
    if measure is None:
        print(f"No GPU was found, so nothing was measured. On a machine with one: {COMMAND}")
        return
    measure(given)


if __name__ == "__main__":
    main()
