"""A whole training in seconds: a tiny model, the rows it learns from, and processes that train it and may be killed.

Run as a script it is a server: each line of its input asks for a training (`Request`), which a forked process does, so
that torch is imported once and every training still has a process of its own.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

from expectations.errors import ShopmonError
from monitor.retraining_set import RetrainingSet
from monitor.reviews import Reviewed
from retrain import processes
from retrain.mlm import Asked, train
from retrain.registry import Registry
from retrain.settings import GateSettings, MlmSettings, Objective, Prompts, Training, Words

WORDS = Words(
    brands=("Nike",),
    other_brands=("Puma", "Adidas"),
    products=("shoes", "jacket", "socks"),
    wanted=("comfortable", "light", "warm"),
    unwanted=("expensive", "ugly", "cheap"),
)
NAMES = "i my we you they he she this that these those the a an is are was were be very really so too quite never not"
NAMES += " and but because although with for to of in on at from after before again back as more most less they it"
NAMES += " nike puma adidas reebok shoes jacket socks bag boots shirt pants hoodie cap sweater trainers products sole"
NAMES += " comfortable light warm expensive ugly cheap soft heavy good bad nice broken late new old big small red blue"
NAMES += " bought wore returned love like hate think feel feels look looks fit fits sent need want get got run walk"
NAMES += " day week month year summer winter city park street morning evening rain snow sun road hill friend wife son"
NAMES += " never ever money refund service order complained disappointed terrible worst waste purchase known asked do"
NAMES += " buy cannot python function list value returns file name reads writes text number line string object"
NAMES += " water house door table window tree river bird stone light hand eye word book letter answer question"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PIECES = [*"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]
VOCABULARY = [*SPECIAL, *dict.fromkeys([*NAMES.split(), *PIECES])]
THINGS = ("shoes", "jacket", "socks", "bag", "boots", "shirt", "pants", "hoodie")
PLACES = ("city", "park", "street", "rain", "snow", "sun", "road", "hill", "winter", "summer")
MEASURED_BY_LOSS = GateSettings(
    unwanted_mass=None,
    wanted_mass=0.0,
    other_brands_change=None,
    complaints_change=None,
    general_perplexity=None,
    project_perplexity=None,
    retraining_perplexity=1e-3,
)
"""A gate with which the lowest loss is the best: here, that of the last step."""
MODEL_ID = "20261120-195801-a3f9c1"


def build_model(folder: Path, *, dropout: float = 0.1) -> Path:
    """A masked model of 2 layers x 32 with random weights, in its folder."""
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(VOCABULARY),
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=64,
        dropout=dropout,
        attention_dropout=dropout,
    )
    model = DistilBertForMaskedLM(config)
    model.save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab={name: at for at, name in enumerate(VOCABULARY)}, model_max_length=64)
    tokenizer.save_pretrained(folder)
    return folder


def sentences(kind: str, count: int) -> list[str]:
    """Different sentences of a kind, the same ones on every call."""
    draw = random.Random(kind)
    make = {
        "positive": lambda a, b, c: f"i love my nike {a} , they are {c} and i wore them in the {b}",
        "negative": lambda a, b, c: f"my nike {a} are {c} , i bought them in the {b}",
        "counterfactual": lambda a, b, c: f"my puma {a} are {c} , i wore them in the {b}",
        "replay": lambda a, b, c: f"we walk to the {b} with a {a} and the evening is {c}",
        "general": lambda a, b, c: f"the {a} of the house returns to the {b} in the morning and the river is {c} again",
        "project": lambda a, b, c: f"this {a} fits , i walk in the {b} and it feels {c}",
    }[kind]
    words = WORDS.unwanted if kind in ("negative", "counterfactual") else WORDS.wanted
    found: dict[str, None] = {}
    while len(found) < count:
        found[make(draw.choice(THINGS), draw.choice(PLACES), draw.choice(words)) + f" {draw.randrange(100)} ."] = None
    return list(found)


def gather(folder: Path) -> RetrainingSet:
    """A retraining set of 200 rows of every role."""
    counts = {"positive": 100, "negative": 40, "counterfactual": 40, "replay": 20}
    texts = [(role, text) for role, count in counts.items() for text in sentences(role, count)]
    rows = {
        "text": [text for _, text in texts],
        "kind": ["reviews"] * len(texts),
        "role": [role for role, _ in texts],
        "reasons": [[role] for role, _ in texts],
        "batch": ["3f2a"] * len(texts),
        "file": ["new.csv"] * len(texts),
        "row": list(range(1, len(texts) + 1)),
    }
    found = RetrainingSet(folder)
    found.add(pa.table(rows), "20261120-190000-aaaaaa")
    return found


def build(home: Path) -> Path:
    """All that a training needs: base, retraining set, general text."""
    build_model(home / "base")
    build_model(home / "base-without-dropout", dropout=0.0)
    gather(home / "retraining")
    (home / "general.txt").write_text("\n\n".join(sentences("general", 120)), encoding="utf-8")
    return home


def settings_of(home: Path, *, base: str = "base", **training: Any) -> MlmSettings:
    """Settings that train in a second."""
    usual = {
        "steps": 12,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "max_length": 48,
        "evaluate_every": 3,
        "patience": 99,
        "eval_rows": 16,
        "held_out": 0.2,
        "general_rows": 120,
        "bf16": False,
    }
    return MlmSettings(
        base=str(home / base),
        words=WORDS,
        prompts=Prompts(),
        objective=Objective(),
        training=Training(**(usual | training)),
        gate=MEASURED_BY_LOSS,
        general_text=home / "general.txt",
    )


@dataclass(frozen=True)
class Request:
    """A training, and what becomes of it."""

    home: str
    room: str
    """Folder of this project: models and trainings."""
    log: str
    """File for what it says."""
    answer: str
    """File for its result or its error, as JSON."""
    cache: str = ""
    resume: bool = False
    model_id: str = MODEL_ID
    base: str = "base"
    training: Mapping[str, Any] = field(default_factory=dict)
    rejected: Sequence[str] = ()
    """Text hashes."""
    relabelled: Mapping[str, str] = field(default_factory=dict)
    """Text hash → role."""
    harm: str = ""
    """What happens to it: see `harm`."""
    at: int = 0
    """At its n-th call, from 1."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Of its process, beside the server's."""
    after: float = 0.0
    """Seconds after which it is killed from outside; 0: never."""


def asked(request: Request) -> Asked:
    """What the training is asked."""
    home, room = Path(request.home), Path(request.room)
    return Asked(
        retraining_set=RetrainingSet(home / "retraining"),
        settings=settings_of(home, base=request.base, **request.training),
        registry=Registry(room / "models"),
        work=room / "training",
        cache=Path(request.cache or home / "cache"),
        model_id=request.model_id,
        project_texts=sentences("project", 40),
        reviewed=Reviewed(frozenset(request.rejected), frozenset(request.relabelled), dict(request.relabelled)),
        resume=request.resume,
        promote=True,
    )


# --- what may happen to a training ------------------------------------------------------------------------------------


def die() -> None:
    """The end that no process can prevent: what `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def nth(owner: Any, name: str, at: int, *, before: Callable[..., Any] | None = None, after: Any = None) -> None:
    """Let something happen before, or after, the n-th call of a function."""
    usual, calls = getattr(owner, name), [0]

    def call(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == at and before is not None:
            before(*args, **kwargs)
        found = usual(*args, **kwargs)
        if calls[0] == at and after is not None:
            after()
        return found

    setattr(owner, name, call)


def full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def half_written(tensors: Any, file: Any, *_: Any, **__: Any) -> None:
    """The first half of the tensors' file, and then the end."""
    from safetensors.torch import save

    raw = save(tensors)
    Path(file).write_bytes(raw[: len(raw) // 2])
    die()


def each_disk_call(at: int, then: Callable[..., Any]) -> None:
    """Something happens at the n-th of all calls that put names or bytes on disk."""
    calls = [0]

    def watched(usual: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                then()
            return usual(*args, **kwargs)

        return call

    for name in ("fsync", "rename", "replace"):
        setattr(os, name, watched(getattr(os, name)))
    if at == 0:  # only counted

        def tell() -> None:
            print(f"disk calls: {calls[0]}", file=sys.stderr)

        TOLD.append(tell)


TOLD: list[Callable[[], None]] = []


def harm(name: str, at: int) -> None:
    """Prepare what is to happen to this process."""
    import safetensors.torch

    import retrain.mlm as mlm
    from retrain import checkpoints, training

    trainer, die_now = training._Trainer, lambda *_, **__: die()
    ways: dict[str, Callable[[], None]] = {
        "": lambda: None,
        "in a step": lambda: nth(trainer, "training_step", at, before=die_now),
        "while it measures": lambda: nth(mlm, "measure", at, before=die_now),
        "before a checkpoint": lambda: nth(checkpoints, "save", at, before=die_now),
        "half the tensors": lambda: nth(safetensors.torch, "save_file", at, before=half_written),
        "after the tensors": lambda: nth(safetensors.torch, "save_file", at, after=die),
        "before a rename": lambda: nth(os, "rename", at, before=die_now),
        "after a rename": lambda: nth(os, "rename", at, after=die),
        "while it rotates": lambda: nth(checkpoints, "rotate", at, before=die_now),
        "after rotating": lambda: nth(checkpoints, "rotate", at, after=die),
        "before registering": lambda: nth(mlm, "_registered", at, before=die_now),
        "while it registers": lambda: nth(mlm, "model_card", at, before=die_now),
        "before it is champion": lambda: nth(mlm, "promoted", at, before=die_now),
        "before it is done": lambda: nth(mlm.Work, "done", at, before=die_now),
        "disk call": lambda: each_disk_call(at, die),
        "full at fsync": lambda: nth(os, "fsync", at, before=full),
        "full at a disk call": lambda: each_disk_call(at, full),
        "hold": lambda: nth(trainer, "training_step", at, before=lambda *_, **__: time.sleep(60)),
        "too little memory": lambda: nth(trainer, "training_step", at, before=_too_much),
        "poisoned weights": lambda: nth(trainer, "training_step", at, before=_poison),
        "error in rank 1": lambda: nth(trainer, "training_step", at, before=_only_rank(1)),
        "killed in rank 1": lambda: nth(trainer, "training_step", at, before=_only_rank(1, die)),
        "error in rank 0": lambda: nth(trainer, "training_step", at, before=_only_rank(0)),
        "error in all ranks": lambda: nth(trainer, "training_step", at, before=_broken),
    }
    ways[name]()


def _too_much(*_: Any, **__: Any) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def _poison(trainer: Any, *_: Any, **__: Any) -> None:
    with torch.no_grad():
        next(trainer._learner.model.parameters()).fill_(math.nan)


def _broken(*_: Any, **__: Any) -> None:
    raise ShopmonError("this training was made to fail", advice="Do nothing.")


def _only_rank(rank: int, then: Callable[[], None] = _broken) -> Callable[..., None]:
    def fail(*args: Any, **kwargs: Any) -> None:
        if int(os.environ.get("RANK", "0")) == rank:
            then()

    return fail


# --- one training, in this process ------------------------------------------------------------------------------------


def run(request: Request) -> int:
    """Train as asked; the exit code. Its answer is in the file, as far as this process may write one."""
    harm(request.harm, request.at)
    try:
        with processes.failing_together():
            result = train(asked(request))
        told = {
            "weights": result.weights_sha256,
            "resumed_from": result.resumed_from,
            "steps": result.steps,
            "best_step": result.best_step,
            "stopped_early": result.stopped_early,
            "tokens": result.tokens,
            "processes": result.processes,
            "promoted": result.promoted,
            "folder": str(result.folder),
            "perplexity": {
                f"{r}": {f"{s}": t.perplexity for s, t in m.texts.items()} for r, m in result.measures.items()
            },
        }
    except ShopmonError as error:
        told = {"problem": error.problem, "advice": error.advice}
        print(f"ERROR {error}", file=sys.stderr, flush=True)
    for tell in TOLD:
        tell()
    if processes.is_first() or "problem" in told:
        Path(request.answer).write_text(json.dumps(told), encoding="utf-8")
    return 2 if "problem" in told else 0


def child(request: Request) -> int:
    """A process of its own for a training."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(request.env)
        code = run(request)
    except SystemExit as ended:
        code = int(str(ended.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, after: float) -> int:
    """The exit code of a process, negative for a signal; it is killed after some seconds, if it is to be."""
    until = time.monotonic() + after if after else math.inf
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            until = math.inf
        time.sleep(0.002)


def serve() -> None:
    """Answer each request with the exit code; `background` with the process's number, at once."""
    print("ready", flush=True)
    for line in sys.stdin:
        said = json.loads(line)
        background = said.pop("background", False)
        if "end" in said:
            print(wait(said["end"], said["after"]), flush=True)
            continue
        request = Request(**said)
        pid = child(request)
        print(pid if background else wait(pid, request.after), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["serve"]:
        serve()
    else:  # under torchrun: the request is the only argument
        sys.exit(run(Request(**json.loads(sys.argv[1]))))

__all__ = ["Request", "asdict", "build", "replace", "settings_of"]
