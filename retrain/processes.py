"""Which of several processes is this one? One, as a rule; more under torchrun or accelerate launch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
from torch import distributed

from expectations.errors import ShopmonError

_PATIENCE = timedelta(hours=2)
"""How long the others wait while the first one measures or keeps a model."""
_A_MOMENT = timedelta(seconds=2)
"""How long another process lets the first one tell of an error."""
_TOLD = "shopmon/told"
_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""What gloo says when another process is gone."""


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that measures, keeps and tells."""
    return int(os.environ.get("RANK", "0")) == 0


def begin() -> None:
    """Let the processes find each other; alone, nothing happens."""
    if count() == 1 or distributed.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)


def together() -> None:
    """Wait until all have come so far."""
    if distributed.is_initialized():
        distributed.barrier()


@contextmanager
def in_turn() -> Iterator[None]:
    """The first process goes first, then the first of each other machine, then all others.

    So what is kept in a folder is made once where the machines share it, and once on each machine where they do not.
    """
    place = 0 if is_first() else 1 if os.environ.get("LOCAL_RANK", "0") == "0" else 2
    for _ in range(place):
        together()
    yield
    for _ in range(2 - place):
        together()


@contextmanager
def failing_together() -> Iterator[None]:
    """What ends one process ends all of them, and one alone tells why: the others end with code 2 and say nothing.

    The first process tells what all of them met. Raises ShopmonError in place of the error that a process gets because
    another one is gone without a word.
    """
    try:
        yield
    except Exception as error:
        if not distributed.is_initialized():
            raise
        if not _tells(at_once=is_first() or not isinstance(error, ShopmonError)):
            raise SystemExit(2) from error
        if isinstance(error, RuntimeError) and any(said in str(error) for said in _GONE):
            raise ShopmonError(
                "another of the processes that train together has ended",
                advice="Free some memory if the system ended it, then go on: the same command with --resume.",
            ) from error
        raise


def _tells(at_once: bool) -> bool:
    """Whether this process is the one that tells. What all of them met, the first one should: others let it."""
    store = distributed.distributed_c10d._get_default_store()
    try:
        if not at_once:
            with suppress(distributed.DistError):
                store.wait([_TOLD], _A_MOMENT)
        who: bytes = store.compare_set(_TOLD, "", os.environ["RANK"])
    except RuntimeError:  # the store is gone with the one who held it
        return True
    return who.decode() == os.environ["RANK"]


def agreed(text: str) -> str:
    """What the first process says, in all of them. Sent as bytes: nothing that is received is run."""
    if not distributed.is_initialized():
        return text
    device = "cuda" if torch.cuda.is_available() else "cpu"
    said = text.encode()
    length = torch.tensor([len(said)], device=device)
    distributed.broadcast(length, 0)
    sent = torch.zeros(int(length), dtype=torch.uint8, device=device)
    if is_first():
        sent = torch.tensor(list(said), dtype=torch.uint8, device=device)
    distributed.broadcast(sent, 0)
    return bytes(sent.tolist()).decode()


def end() -> None:
    """Let the others go."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
