"""A tiny model with the rows it learns from, and a server that trains it in processes which may be killed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("tiny.py")


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """tests/retrain/tiny.py."""
    return _loaded()


@pytest.fixture(scope="session")
def home(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what every training needs; nobody changes it."""
    built: Path = tiny.build(tmp_path_factory.mktemp("home"))
    return built


@dataclass(frozen=True)
class Ended:
    """What became of a training's process."""

    code: int
    """Its exit code; -9 where it was killed."""
    said: Mapping[str, Any]
    """Its result, or its error; empty where it was killed."""
    log: str
    room: Path

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of the model's metrics."""
        return lines(Path(self.said["folder"]) / "metrics.jsonl")


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


class Trainings:
    """Trains in processes of their own, in rooms of their own."""

    def __init__(self, tiny: ModuleType, home: Path, folder: Path) -> None:
        self._tiny, self._home, self._folder = tiny, home, folder
        self._count = 0
        self._server = subprocess.Popen(
            [sys.executable, str(SCRIPT), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )
        assert self._answer() == "ready"

    def room(self) -> Path:
        """A new project's folder."""
        self._count += 1
        room = self._folder / f"room-{self._count}"
        room.mkdir()
        return room

    def request(self, room: Path, **asked: Any) -> Any:
        """What to ask for: see `tiny.Request`."""
        self._count += 1
        usual = self._tiny.Request(
            home=str(self._home),
            room=str(room),
            log=str(self._folder / f"{self._count}.log"),
            answer=str(self._folder / f"{self._count}.json"),
        )
        return replace(usual, **asked)

    def __call__(self, room: Path, **asked: Any) -> Ended:
        """Train in a room, to the end or as far as it comes."""
        request = self.request(room, **asked)
        return self.ended(request, int(self._asked(asdict(request))))

    def begin(self, request: Any) -> int:
        """Let a training begin; its process's number."""
        return int(self._asked({**asdict(request), "background": True}))

    def end(self, process: int, after: float) -> int:
        """The exit code of a training that began; it is killed unless it ends within some seconds."""
        return int(self._asked({"end": process, "after": after}))

    def ended(self, request: Any, code: int) -> Ended:
        answer, log = Path(request.answer), Path(request.log)
        said = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
        told = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return Ended(code, said, told, Path(request.room))

    def close(self) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(60)

    def _asked(self, said: Mapping[str, Any]) -> str:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(said) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline().strip()


@pytest.fixture(scope="session")
def trainings(tiny: ModuleType, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    """Trains a tiny model in processes of their own."""
    server = Trainings(tiny, home, tmp_path_factory.mktemp("rooms"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def whole(trainings: Trainings) -> Ended:
    """A training that nobody disturbed."""
    ended = trainings(trainings.room())
    assert ended.code == 0, ended.log
    return ended


@pytest.fixture
def room(trainings: Trainings) -> Path:
    """A new project's folder."""
    return trainings.room()
