"""Rows are cut once, a piece at a time; what is there is found again, and how far it is is told."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, Value

from retrain import token_files
from retrain.token_files import TokenFiles

FEATURES = Features({"length": Value("int64")})


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_files, "PIECE", 10)
    monkeypatch.setattr(token_files, "_AT_ONCE", 4)


def texts(count: int) -> Dataset:
    return Dataset.from_dict({"text": ["x" * at for at in range(count)]})


def by_content(piece: Dataset, first: int) -> str:
    return f"{first}-{len(piece)}-{len(''.join(piece['text']))}"


class Lengths:
    """Cuts, and counts what it has cut."""

    def __init__(self) -> None:
        self.cut = 0

    def __call__(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        self.cut += len(rows["text"])
        return {"length": [len(text) for text in rows["text"]]}


def test_pieces_are_one_whole_in_their_order(tmp_path: Path) -> None:
    found = TokenFiles(tmp_path, FEATURES).cut(texts(25), Lengths(), by_content)
    assert found["length"][:] == list(range(25))
    assert len(list((tmp_path / "tokens").glob("*.arrow"))) == 3


def test_no_rows_are_no_rows_of_the_same_columns(tmp_path: Path) -> None:
    found = TokenFiles(tmp_path, FEATURES).cut(texts(0), Lengths(), by_content)
    assert (len(found), found.column_names) == (0, ["length"])


def test_what_was_cut_is_found_again_and_only_new_rows_are_cut(tmp_path: Path) -> None:
    TokenFiles(tmp_path, FEATURES).cut(texts(20), Lengths(), by_content)
    later = Lengths()
    assert TokenFiles(tmp_path, FEATURES).cut(texts(27), later, by_content)["length"][:] == list(range(27))
    assert later.cut == 7


def test_how_far_it_is_is_told_with_the_seconds_left(tmp_path: Path) -> None:
    TokenFiles(tmp_path, FEATURES).cut(texts(10), Lengths(), by_content)
    told: list[tuple[int, int, float]] = []
    files = TokenFiles(tmp_path, FEATURES, lambda *now: told.append(now))
    files.cut(texts(25), Lengths(), by_content)
    assert [(done, of) for done, of, _ in told] == [(14, 25), (18, 25), (20, 25), (24, 25), (25, 25)]
    assert all(left > 0 for _, _, left in told[:-1])
    assert told[-1][2] == 0


CUT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from datasets import Dataset, Features, Value
from retrain import token_files
token_files.PIECE, token_files._AT_ONCE = 10, 4
cut = [0]
def lengths(rows):
    cut[0] += len(rows["text"])
    if cut[0] > 15:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"length": [len(text) for text in rows["text"]]}
rows = Dataset.from_dict({"text": ["x" * at for at in range(25)]})
files = token_files.TokenFiles(Path(sys.argv[1]), Features({"length": Value("int64")}))
files.cut(rows, lengths, lambda piece, first: f"{first}-{len(piece)}-{len(''.join(piece['text']))}")
"""


def test_a_killed_cutting_goes_on_behind_its_last_whole_piece(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CUT_AND_DIE, str(tmp_path)], cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == -signal.SIGKILL
    again = Lengths()
    assert TokenFiles(tmp_path, FEATURES).cut(texts(25), again, by_content)["length"][:] == list(range(25))
    assert again.cut == 15
