"""Checkpoints appear whole or not at all."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from expectations.errors import ShopmonError
from retrain import checkpoints

TENSORS = {"model.a": torch.arange(6.0).reshape(2, 3), "optimizer.a.step": torch.tensor(3.0)}


def names(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.iterdir())


def save(folder: Path, *steps: int, needs: tuple[int, ...] = ()) -> None:
    for step in steps:
        checkpoints.save(folder, step, TENSORS, {"tokens": 7, "needs": list(needs)})


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    save(tmp_path, 3)
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert (found.step, found.state["tokens"]) == (3, 7)
    for name, tensor in found.tensors().items():
        assert torch.equal(tensor, TENSORS[name])


def test_without_a_checkpoint_there_is_no_newest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoints.newest(tmp_path / "missing") is None
    assert not caplog.records


def test_the_newest_is_that_of_the_latest_step(tmp_path: Path) -> None:
    save(tmp_path, 900, 1_000, 12_000, 11_000)
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 12_000


def test_rotation_keeps_the_best_and_the_last_two(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4, 5)
    checkpoints.rotate(tmp_path, 5, {2})
    assert names(tmp_path) == ["step-00000002", "step-00000004", "step-00000005"]


def test_rotation_removes_what_a_training_comes_to_again(tmp_path: Path) -> None:
    """Damaged ones of later steps must not count as the last two."""
    save(tmp_path, 1, 2, 3, 8, 9)
    checkpoints.rotate(tmp_path, 3, {1})
    assert names(tmp_path) == ["step-00000001", "step-00000002", "step-00000003"]


def test_a_checkpoint_is_of_no_use_without_those_it_needs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 1, 2)
    save(tmp_path, 3, needs=(2,))
    (tmp_path / "step-00000002" / "state.json").unlink()
    with caplog.at_level(logging.WARNING):
        found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 1
    assert "step-00000002 is damaged" in caplog.text


def test_a_step_that_is_there_already_is_written_anew(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (tmp_path / "step-00000003" / "tensors.safetensors").write_bytes(b"damaged")
    save(tmp_path, 3)
    assert checkpoints.at(tmp_path, 3).step == 3


def test_what_a_killed_training_left_unfinished_is_no_checkpoint_and_in_nobodys_way(tmp_path: Path) -> None:
    left = tmp_path / ".partial-step-00000003"
    left.mkdir()
    (left / "tensors.safetensors").write_bytes(b"half")
    assert checkpoints.newest(tmp_path) is None
    save(tmp_path, 3)
    assert names(tmp_path) == ["step-00000003"]


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "sha256.json", "beside.json"])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.7, 0.999])
def test_one_wrong_byte_anywhere_is_damage(tmp_path: Path, name: str, at: float) -> None:
    def beside(place: Path) -> None:
        (place / "beside.json").write_text('{"more": 1}')

    place = checkpoints.save(tmp_path, 3, TENSORS, {}, beside=beside)
    raw = bytearray((place / name).read_bytes())
    raw[int(at * len(raw))] ^= 4
    (place / name).write_bytes(raw)
    with pytest.raises(ShopmonError, match="is damaged"):
        checkpoints.read(place)


def test_a_folder_in_a_checkpoint_is_damage(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (tmp_path / "step-00000003" / "more").mkdir()
    with pytest.raises(ShopmonError, match="is damaged"):
        checkpoints.at(tmp_path, 3)


# A disk that is full


def no_space(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def safetensors_without_space(*_: Any, **__: Any) -> None:
    raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (safetensors.torch, "save_file", safetensors_without_space),
        (os, "fsync", no_space),
        (os, "rename", no_space),
        (Path, "write_text", no_space),
    ],
)
def test_a_full_disk_is_told_and_earlier_checkpoints_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: Any
) -> None:
    save(tmp_path, 3)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, error)
        with pytest.raises(ShopmonError, match="the disk is full") as told:
            save(tmp_path, 6)
    assert "--resume" in told.value.advice
    assert names(tmp_path) == ["step-00000003"]
    save(tmp_path, 6)
    found = checkpoints.newest(tmp_path)
    assert found is not None
    assert found.step == 6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("this user may not mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full_is_told(small_disk: Path) -> None:
    save(small_disk, 3)
    large = {"model.a": torch.zeros(100, 1_000)}
    with pytest.raises(ShopmonError, match="the disk is full"):
        checkpoints.save(small_disk, 6, large, {})
    assert names(small_disk) == ["step-00000003"]
    assert checkpoints.newest(small_disk) is not None
