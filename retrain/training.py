"""How does a learner learn? transformers' Trainer, with steps, checkpoints and measures of our own.

One path on a CPU, a GPU, and several processes (torchrun, accelerate launch): the Trainer wraps the learner. What is
random follows from seed and step, so that a resumed training ends with the same weights.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import DataLoader, Dataset

from expectations.errors import ShopmonError
from retrain import checkpoints, processes
from retrain.checkpoints import Checkpoint
from retrain.learner import Pace, Trainable
from retrain.loading import has_bf16

log = logging.getLogger("shopmon.retrain")

_WORKERS = 4
"""Processes that mask rows for a GPU: one alone masks fewer tokens than it reads."""
_LOGS = 200
"""Lines of metrics that a training writes, about."""
TRACKERS = ("mlflow", "tensorboard", "wandb")
"""What a training can report to, each an extra of the same name."""
_ABSURD = 1e6
"""No weight of a model that answers is so large."""
_TENSORBOARD = "TENSORBOARD_LOGGING_DIR"


@dataclass(frozen=True)
class Told:
    """What is known after some steps."""

    step: int
    loss: float
    parts: Mapping[str, float]
    learning_rate: float
    tokens: int
    """Read so far, padding left out, by all processes."""
    seconds: float
    """Since the training began or went on."""
    tokens_per_second: float


@dataclass(frozen=True)
class Best:
    """The best evaluation so far."""

    score: float = float("inf")
    """Lower is better."""
    step: int = 0
    waited: int = 0
    """Evaluations since."""


@dataclass(frozen=True)
class Fitted:
    """How a training ended."""

    step: int
    best: Best
    stopped_early: bool
    tokens: int
    seconds: float
    device: str
    bf16: bool


@dataclass(frozen=True)
class Fitting:
    """What a training needs besides its learner."""

    steps: int
    training: Pace
    folder: Path
    """For checkpoints and the trackers' files."""
    make_steps: Callable[[int, int, int], Dataset[Any]]
    """(first step, rank, processes) → the steps from there."""
    evaluate: Callable[[int], tuple[float, dict[str, float]]] | None = None
    """Step → a score, lower is better, and numbers for trackers; None: the last weights are the best."""
    told: Callable[[Told], None] = lambda _: None
    run_name: str = "shopmon"
    every: int = 0
    """Steps between two evaluations, each with a checkpoint; 0: at the end alone."""
    checkpoints: bool = True
    """Whether it can go on after it was killed."""


def fit(learner: Trainable, fitting: Fitting, *, resume: Checkpoint | None = None) -> Fitted:
    """Train, and leave the best weights in the learner.

    Raises ShopmonError for a loss that is not finite, for too little memory, for a disk that is full, and for a tracker
    that is not installed.
    """
    check_trackers(fitting.training.report_to)
    with _tensorboard_in(fitting.folder):
        trainer = _Trainer(learner, fitting, resume)
    try:
        if trainer.goes_on:
            trainer.train(resume_from_checkpoint=str(resume.folder) if resume else None)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _too_little_memory(fitting) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "out of memory" in str(error):
            raise _too_little_memory(fitting) from error
        raise
    trainer.take_best()
    return trainer.ended()


def uses_bf16(training: Pace, device: torch.device) -> bool:
    """Whether a training computes in bfloat16."""
    return has_bf16(device) if training.bf16 is None else training.bf16


def arguments(fitting: Fitting) -> transformers.TrainingArguments:
    """The Trainer's settings for a training."""
    training = fitting.training
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    every = fitting.every or fitting.steps
    return transformers.TrainingArguments(
        output_dir=str(fitting.folder),
        max_steps=fitting.steps,
        per_device_train_batch_size=1,  # an item of the data is a whole step
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        warmup_steps=round(training.warmup * fitting.steps),
        lr_scheduler_type="linear",
        max_grad_norm=training.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=uses_bf16(training, device),
        use_cpu=device.type == "cpu",
        seed=training.seed,
        logging_strategy="steps",
        logging_steps=_log_every(fitting.steps, every),
        logging_nan_inf_filter=False,
        eval_strategy="steps" if fitting.evaluate else "no",
        eval_steps=every,
        save_strategy="steps" if fitting.checkpoints else "no",
        save_steps=every,
        report_to=list(training.report_to) or "none",
        run_name=fitting.run_name,
        remove_unused_columns=False,
        ignore_data_skip=True,
        disable_tqdm=True,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        ddp_backend="gloo" if device.type == "cpu" and processes.count() > 1 else None,
        dataloader_num_workers=_WORKERS if device.type == "cuda" else 0,
        dataloader_pin_memory=device.type == "cuda",
        save_total_limit=None,
    )


def _log_every(steps: int, every: int) -> int:
    """Steps between two lines: about `_LOGS` in all, and one at each checkpoint: a resumed training tells the same."""
    return next(each for each in range(max(1, min(steps // _LOGS, every)), 0, -1) if every % each == 0)


def check_trackers(names: Collection[str]) -> None:
    """Raise ShopmonError for a tracker that is not known or not installed.

    >>> check_trackers(["papyrus"])
    Traceback (most recent call last):
    expectations.errors.ShopmonError: 'papyrus' is no tracker. Choose from: mlflow, tensorboard, wandb.
    """
    for name in names:
        if name not in TRACKERS:
            raise ShopmonError(f"{name!r} is no tracker", advice=f"Choose from: {', '.join(TRACKERS)}.")
        if find_spec(name) is None:
            raise ShopmonError(
                f"{name} is not installed, so the training cannot report to it",
                advice=f"Install it: pip install 'shopmon[{name}]', or leave --report-to {name} out.",
            )


@contextmanager
def _tensorboard_in(folder: Path) -> Iterator[None]:
    """The library asks the environment where TensorBoard's files go; what the user says there goes first."""
    mine = _TENSORBOARD not in os.environ
    if mine:
        os.environ[_TENSORBOARD] = str(folder / "tensorboard")
    try:
        yield
    finally:
        if mine:
            del os.environ[_TENSORBOARD]


class _Trainer(transformers.Trainer):
    """The library's loop; what it reads, keeps and measures is ours."""

    def __init__(self, learner: Trainable, fitting: Fitting, resume: Checkpoint | None) -> None:
        super().__init__(
            model=learner, args=arguments(fitting), train_dataset=_Nothing(), eval_dataset=_Nothing(), callbacks=[]
        )
        self.remove_callback(transformers.PrinterCallback)
        self._learner, self._fitting, self._resume = learner, fitting, resume
        self._best, self._stopped = Best(), False
        self._tokens, self._earlier_tokens = 0, 0
        self._uncounted = 0
        self._parts: dict[str, list[torch.Tensor]] = {}
        self._began = time.perf_counter()
        if learner.base is not None:
            learner.base.to(self.args.device)
        if resume is not None:
            self._go_on_from(resume)

    # --- where it begins

    @property
    def goes_on(self) -> bool:
        """Whether there are steps left: a training may have been killed after its last one."""
        return self.state.global_step < self._fitting.steps and not self._stopped

    def _go_on_from(self, found: Checkpoint) -> None:
        best = found.state["best"]
        self._best = Best(float(best["score"]), int(best["step"]), int(best["waited"]))
        self._tokens = self._earlier_tokens = int(found.state["tokens"])
        self.state.global_step = found.step
        self._stopped = self._is_enough()
        self._take(found)

    def _is_enough(self) -> bool:
        """Whether it stops before its last step, for it has not become better for long."""
        waited = self._best.waited >= self._fitting.training.patience
        return waited and self.state.global_step < self._fitting.steps

    # --- what it reads

    def get_train_dataloader(self) -> DataLoader[Any]:
        first = self._resume.step if self._resume else 0
        steps = self._fitting.make_steps(first, self.args.process_index, self.args.world_size)
        workers = self.args.dataloader_num_workers
        pinned = self.args.dataloader_pin_memory
        return DataLoader(steps, batch_size=None, shuffle=False, num_workers=workers, pin_memory=pinned)

    # --- what it does in a step

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        # Dropout too follows from the step alone; each process drops others.
        torch.manual_seed((self.args.seed * 1_000_003 + self.state.global_step) * 1_009 + self.args.process_index)
        self._uncounted += int(inputs["tokens"])
        return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        found = model(inputs["groups"])
        for name, value in found.items():
            if name != "loss":
                self._parts.setdefault(name, []).append(value)
        return found["loss"]

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # counted by the benchmark, not guessed from a batch of several lengths

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            self._tell(logs)
        super().log(logs, start_time)

    def _tell(self, logs: dict[str, float]) -> None:
        loss = logs["loss"]
        self._check_finite("loss", loss)
        self._count_tokens()
        parts = {name: float(torch.stack(values).float().mean()) for name, values in self._parts.items()}
        self._parts.clear()
        logs.update({f"loss_{name}": value for name, value in parts.items()})
        if self.args.process_index:
            return
        seconds = time.perf_counter() - self._began
        read = self._tokens - self._earlier_tokens
        rate = logs.get("learning_rate", 0.0)
        self._fitting.told(
            Told(self.state.global_step, loss, parts, rate, self._tokens, seconds, read / max(seconds, 1e-9))
        )

    def _count_tokens(self) -> None:
        """Add what all processes have read since the last time."""
        read = torch.tensor([self._uncounted], dtype=torch.int64, device=self.args.device)
        if self.args.world_size > 1:
            torch.distributed.all_reduce(read)
        self._tokens, self._uncounted = self._tokens + int(read), 0

    def _check_finite(self, name: str, value: float) -> None:
        """Raise ShopmonError for a value that is no number; all processes have the same."""
        if not math.isfinite(value):
            raise self._useless(f"the {name} is {value}")

    def _check_weights(self) -> None:
        """Raise ShopmonError for weights that no measure could make anything of; all processes have the same."""
        largest = float(torch.stack([weight.detach().abs().max() for weight in self._learner.parameters()]).max())
        if not largest < _ABSURD:
            raise self._useless(f"a weight is {largest:.3g}")

    def _useless(self, why: str) -> ShopmonError:
        return ShopmonError(
            f"{why} at step {self.state.global_step}: the weights have become useless",
            advice="Begin again with a lower [retrain] learning_rate, or with bf16 = false.",
        )

    # --- what it measures

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure, and stop once it has not become better for long; the first process decides for all."""
        self._check_weights()
        self._count_tokens()
        self._learner.eval()
        step = self.state.global_step
        found: dict[str, float] = {}
        score = float("nan")
        if self._fitting.evaluate and self.args.process_index == 0:
            score, found = self._fitting.evaluate(step)
        score = self._from_first(score)
        self._check_finite("measure", score)
        self._learner.train()
        better = score < self._best.score
        self._best = Best(score, step) if better else replace(self._best, waited=self._best.waited + 1)
        metrics = {f"eval_{name}": value for name, value in {**found, "score": score}.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._stopped = self._is_enough()
        self.control.should_training_stop |= self._stopped
        return metrics

    def _from_first(self, value: float) -> float:
        if self.args.world_size == 1:
            return value
        sent = torch.tensor([value], dtype=torch.float64, device=self.args.device)
        torch.distributed.broadcast(sent, 0)
        return float(sent)

    # --- what it keeps

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        if self.args.process_index == 0:
            tensors = {f"model.{name}": value for name, value in self._learner.model.named_parameters()}
            folder = self._checkpoints
            checkpoints.save(folder, step, tensors | self._moments(), self._plain_state(), beside=self._save_state)
            checkpoints.rotate(folder, step, {self._best.step})
        if self.args.world_size > 1:
            torch.distributed.barrier()

    def _save_state(self, place: Path) -> None:
        self.state.save_to_json(str(place / "trainer_state.json"))

    @property
    def _checkpoints(self) -> Path:
        return self._fitting.folder / "checkpoints"

    def _plain_state(self) -> dict[str, Any]:
        whole = self.lr_scheduler.state_dict() if self.lr_scheduler else {}
        schedule = {name: value for name, value in whole.items() if name in ("last_epoch", "_step_count")}
        best = {"score": self._best.score, "step": self._best.step, "waited": self._best.waited}
        needs = [self._best.step] if self._best.step not in (0, self.state.global_step) else []
        return {"schedule": schedule, "best": best, "tokens": self._tokens, "needs": needs}

    def _names(self) -> dict[Any, str]:
        return {parameter: name for name, parameter in self._learner.model.named_parameters()}

    def _moments(self) -> dict[str, torch.Tensor]:
        """The optimizer's state of each weight."""
        names = self._names()
        return {
            f"optimizer.{names[parameter]}.{what}": torch.as_tensor(value)
            for parameter, state in (self.optimizer.state if self.optimizer else {}).items()
            for what, value in state.items()
        }

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Nothing: the weights were taken when this was made."""

    def _take(self, found: Checkpoint) -> None:
        tensors = found.tensors()
        with torch.no_grad():
            for name, parameter in self._learner.model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        found = self._resume
        if found is None or self.optimizer is None or self.lr_scheduler is None:
            return
        tensors = found.tensors(self.args.device)
        for parameter, name in self._names().items():
            moments = {
                what: tensors[f"optimizer.{name}.{what}"]
                for what in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{name}.{what}" in tensors
            }
            if moments:
                self.optimizer.state[parameter] = moments
        self.lr_scheduler.last_epoch = found.state["schedule"]["last_epoch"] - 1
        self.lr_scheduler._step_count = found.state["schedule"]["_step_count"] - 1
        self.lr_scheduler.step()

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Nothing: every step sets its own."""

    # --- how it ended

    def take_best(self) -> None:
        """The weights of the best evaluation, which need not be the last."""
        if self._fitting.evaluate and self._best.step not in (0, self.state.global_step):
            self._take(checkpoints.at(self._checkpoints, self._best.step))

    def ended(self) -> Fitted:
        """What is to be told of it."""
        seconds = time.perf_counter() - self._began
        best = self._best if self._fitting.evaluate else Best(step=self.state.global_step)
        device = self.args.device
        bf16 = uses_bf16(self._fitting.training, device)
        return Fitted(self.state.global_step, best, self._stopped, self._tokens, seconds, str(device), bf16)


class _Nothing(Dataset[Any]):
    """The Trainer wants a data set; ours is made when it is known where to begin."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> Any:
        raise IndexError(number)


def _too_little_memory(fitting: Fitting) -> ShopmonError:
    half = max(1, fitting.training.batch_size // 2)
    return ShopmonError(
        f"there is too little memory for {fitting.training.batch_size} rows at a time",
        advice=f"Give a smaller batch: --batch-size {half}, or shorter rows: [retrain] max_length.",
    )
