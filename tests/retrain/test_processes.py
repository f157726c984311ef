"""Several processes train one model: under torchrun and, to be quicker, as forked ones that meet as those do."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from retrain import processes
from retrain.loading import load_masked_lm
from retrain.masking import Alphabet
from retrain.mlm import prepare
from retrain.schedule import part_of
from retrain.steps import Steps, StepSettings

pytestmark = pytest.mark.slow

NAME = "20261120-195801-a3f9c1"


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


@pytest.fixture
def together(trainings: Any) -> Iterator[Any]:
    """Train in two processes that meet at a store of this one, as those of torchrun meet at its own."""
    stores = []

    def both(room: Path, **asked: Any) -> tuple[Any, Any]:
        store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        stores.append(store)
        env = {
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
        }
        requests = [
            trainings.request(room, env={**env, "RANK": str(rank), "LOCAL_RANK": str(rank)}, **asked)
            for rank in range(2)
        ]
        begun = [trainings.begin(request) for request in requests]
        codes = [trainings.end(process, 120) for process in begun]
        first, second = (trainings.ended(*one) for one in zip(requests, codes, strict=True))
        return first, second

    yield both
    stores.clear()


def train_lines(ended: Any) -> dict[int, dict[str, Any]]:
    return {line["step"]: line for line in ended.metrics if line["event"] == "train"}


def evaluations(ended: Any) -> dict[int, dict[str, Any]]:
    return {line["step"]: line for line in ended.metrics if line["event"] == "eval"}


# What they read


@pytest.fixture(scope="module")
def material(tiny: ModuleType, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The rows of a training."""
    asked = tiny.asked(tiny.Request(str(home), str(tmp_path_factory.mktemp("room")), "", ""))
    base = load_masked_lm(home / "base")
    return prepare(base, asked), base.tokenizer


def rows_read(step: Any) -> Counter[tuple[int, ...]]:
    """The rows of a step, whole again: what was masked, put back."""
    found: Counter[tuple[int, ...]] = Counter()
    for group in step["groups"]:
        ids = group["input_ids"].clone()
        ids[group["places"]] = group["target"]
        found.update(
            tuple(row[attends].tolist()) for row, attends in zip(ids, group["attention_mask"].bool(), strict=True)
        )
    return found


def steps_for(material: Any, rank: int, processes: int, *, whole_words: bool) -> Steps:
    prepared, tokenizer = material
    rows = {name: some for name, some in prepared.rows.items() if not whole_words or part_of(name) in WHOLE_WORDS}
    alphabet = Alphabet(tokenizer.mask_token_id, len(tokenizer))
    settings = StepSettings(alphabet, tokenizer.pad_token_id, 0.15, 16, 1, rank, processes)
    return Steps(rows, settings, steps=20)


WHOLE_WORDS = ("positive", "replay")
"""Parts whose masks keep a row's length, so that it can be put together again."""


@pytest.mark.parametrize("processes", [2, 3, 40])
def test_together_processes_read_what_one_would(material: Any, processes: int) -> None:
    alone = steps_for(material, 0, 1, whole_words=True)
    several = [steps_for(material, rank, processes, whole_words=True) for rank in range(processes)]
    for number in range(20):
        of_all = sum((rows_read(steps[number]) for steps in several), Counter())
        assert of_all == rows_read(alone[number])


def test_together_processes_read_as_many_rows_of_every_part(material: Any) -> None:
    alone = steps_for(material, 0, 1, whole_words=False)
    several = [steps_for(material, rank, 2, whole_words=False) for rank in range(2)]

    def rows(step: Any) -> int:
        return sum(len(group["input_ids"]) for group in step["groups"])

    for number in range(20):
        assert sum(rows(steps[number]) for steps in several) == rows(alone[number])


# What comes of it


def test_two_processes_come_to_what_one_comes_to(trainings: Any, together: Any, room: Path) -> None:
    alone = trainings(trainings.room(), base="base-without-dropout")
    first, second = together(room, base="base-without-dropout")
    assert (first.code, second.code) == (0, 0), first.log + second.log
    assert first.said["processes"] == 2
    assert not second.said  # only the first one writes
    one, two = train_lines(alone), train_lines(first)
    assert list(one) == list(two)
    assert [line["learning_rate"] for line in two.values()] == [line["learning_rate"] for line in one.values()]
    for step in one:
        assert two[step]["loss"] == pytest.approx(one[step]["loss"], rel=1e-3)
    assert first.said["tokens"] == alone.said["tokens"]
    for step, line in evaluations(alone).items():
        assert evaluations(first)[step]["perplexity"] == pytest.approx(line["perplexity"], rel=1e-3)
    assert not list((room / "training").glob("*"))


def test_two_processes_stop_early_together(together: Any, room: Path) -> None:
    poor = {"learning_rate": 0.5, "warmup": 0.0, "max_grad_norm": 1e9, "patience": 1, "steps": 60}
    first, second = together(room, training=poor)
    assert (first.code, second.code) == (0, 0), first.log + second.log
    assert first.said["stopped_early"]
    assert first.said["steps"] < 60


def test_two_processes_that_are_killed_go_on_together(together: Any, room: Path) -> None:
    undisturbed, _ = together(room.with_name(f"{room.name}-undisturbed"))
    first, second = together(room, harm="in a step", at=8)
    assert -9 in (first.code, second.code)
    first, second = together(room, resume=True)
    assert (first.code, second.code) == (0, 0), first.log + second.log
    assert first.said["resumed_from"] == 6
    assert first.said["weights"] == undisturbed.said["weights"]


# What ends one ends both


@pytest.mark.parametrize(
    ("harm", "who"), [("error in rank 0", 0), ("error in rank 1", 1), ("error in all ranks", 0), ("full at fsync", 0)]
)
def test_an_error_in_one_process_ends_both_and_is_told_once(together: Any, room: Path, harm: str, who: int) -> None:
    ended = together(room, harm=harm, at=4)
    assert [one.code for one in ended] == [2, 2]
    assert [bool(one.said) for one in ended] == [who == 0, who == 1]
    assert sum(one.log.count("ERROR ") for one in ended) == 1


def test_an_error_before_the_first_step_is_told_by_the_first_process(together: Any, room: Path) -> None:
    ended = together(room, training={"report_to": ["wandb"]})
    assert [one.code for one in ended] == [2, 2]
    assert "wandb is not installed" in ended[0].said["problem"]
    assert not ended[1].said


def test_a_process_that_is_gone_without_a_word_is_told(together: Any, room: Path) -> None:
    ended = together(room, harm="killed in rank 1", at=4)
    assert [one.code for one in ended] == [2, -9]
    assert "another of the processes that train together has ended" in ended[0].said["problem"]
    assert "--resume" in ended[0].said["advice"]


# torchrun itself


def torchrun(script: Path, request: Any, *where: str) -> subprocess.Popen[str]:
    """An agent of torchrun that starts."""
    asked = [sys.executable, "-m", "torch.distributed.run", *where, str(script), json.dumps(asdict(request))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ended_with(agent: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it said."""
    try:
        _, said = agent.communicate(timeout=240)
    finally:
        agent.kill()
    return agent.returncode, said


def one_machine() -> tuple[str, ...]:
    return "--nproc-per-node=2", f"--master-port={free_port()}"


def test_torchrun_trains_and_resumes(trainings: Any, tiny: ModuleType, room: Path) -> None:
    """An error of its second process ends both; then they go on."""
    request = trainings.request(room, harm="error in rank 1", at=8)
    script = Path(str(tiny.__file__))
    code, said = ended_with(torchrun(script, request, *one_machine()))
    assert code != 0
    assert said.count("ERROR this training was made to fail. Do nothing.") == 1
    assert re.search(r"exitcode\s*:\s*2", said)
    again = trainings.request(room, resume=True)
    code, said = ended_with(torchrun(script, again, *one_machine()))
    assert code == 0, said
    ended = trainings.ended(again, code)
    assert ended.said["processes"] == 2
    assert ended.said["resumed_from"] == 6
    assert list(train_lines(ended)) == list(range(1, 13))


# Several machines


def test_two_machines_that_share_a_folder_train_together(trainings: Any, tiny: ModuleType, room: Path) -> None:
    """The commands of docs/scale.md: two agents, each for a process, that meet at an endpoint."""
    request = trainings.request(room)
    meet = ("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=shop-1")
    endpoint = f"--rdzv-endpoint=127.0.0.1:{free_port()}"
    agents = [torchrun(Path(str(tiny.__file__)), request, *meet, endpoint) for _ in range(2)]
    told = [ended_with(agent) for agent in agents]
    assert [code for code, _ in told] == [0, 0], told
    ended = trainings.ended(request, 0)
    assert ended.said["processes"] == 2
    assert list(train_lines(ended)) == list(range(1, 13))


@pytest.mark.parametrize(("numbers", "place"), [((0, 0), 0), ((2, 0), 1), ((1, 1), 2)])
def test_processes_go_in_turn(numbers: tuple[int, int], place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of all, then the first of each machine, then the others; each waits for the same two moments."""
    rank, local = numbers
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("LOCAL_RANK", str(local))
    waits: list[str] = []
    monkeypatch.setattr(processes, "together", lambda: waits.append("wait"))
    with processes.in_turn():
        assert len(waits) == place
    assert len(waits) == 2
