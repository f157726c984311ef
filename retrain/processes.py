"""Which of several processes is this one? One, as a rule; more under torchrun or accelerate launch."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from torch import distributed

_PATIENCE = timedelta(hours=2)
"""How long the others wait while the first one measures or keeps a model."""


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
