"""A base model is found or made, once and whole, or it is said how to get one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

from expectations.errors import ShopmonError
from monitor import embeddings
from monitor.retraining_set import text_hash
from retrain import base, offline_base
from retrain.base import load_base
from retrain.data import is_held_out
from retrain.loading import load_masked_lm
from retrain.settings import Training
from retrain.weights import weights_sha256

NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789"]
NAMES += ["nike", "shoes", "are", "the", "road", "river", "and", "behind", "house", "valley", "in", "old", "runs"]
PROJECT = [f"nike shoes {number} are old" for number in range(60)]


def tiny():
    torch.manual_seed(1)
    sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64}
    model = DistilBertForMaskedLM(DistilBertConfig(vocab_size=len(NAMES), **sizes))
    return model, BertTokenizerFast(vocab={name: at for at, name in enumerate(NAMES)}, model_max_length=64)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a model so small is slower on several
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def made(monkeypatch):
    """How often the package was asked; what it gives is tiny, and so is what is learnt."""
    calls = []
    monkeypatch.setattr(offline_base, "converted", lambda: calls.append(1) or tiny())
    monkeypatch.setattr(base, "_PROJECT", 600)
    monkeypatch.setattr(base, "_GENERAL", 600)
    monkeypatch.setattr(base, "_LEARNING", Training(learning_rate=1e-3, batch_size=16, bf16=False))
    return calls


@pytest.fixture
def general(tmp_path):
    return write_general(tmp_path / "general.txt")


def write_general(file, word="river"):
    passages = [f"the {word} runs behind the old house {number} in the valley" for number in range(120)]
    file.write_text("\n\n".join(passages), encoding="utf-8")
    return file


# --- a folder, the hub ------------------------------------------------------------------------------------------------


def test_a_folder_is_taken_as_it_is(tmp_path):
    model, tokenizer = tiny()
    model.save_pretrained(tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    found = load_base(str(tmp_path / "own"), tmp_path / "cache")
    assert (found.folder, found.sha256) == (tmp_path / "own", weights_sha256(tmp_path / "own"))


def test_a_folder_that_is_no_model_is_told(tmp_path):
    with pytest.raises(ShopmonError, match=r"is no model: it has no config\.json"):
        load_base(str(tmp_path), tmp_path / "cache")


@pytest.mark.parametrize("name", ["/there/is/none", "./none", "../none"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path, name):
    with pytest.raises(ShopmonError, match="is no folder"):
        load_base(name, tmp_path)


def both_ways_out(error):
    return "--base offline" in str(error.value) and "--base FOLDER" in str(error.value)


def test_a_hub_that_cannot_be_reached_is_told_with_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "find_spec", lambda _: None)  # nor is the extra there
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ShopmonError, match="could not be fetched from the hub") as told:
        load_base("nobody/no-such-model-0", tmp_path / "cache")
    assert both_ways_out(told)
    with pytest.raises(ShopmonError, match=r"shopmon\[offline\]"):
        load_base("offline", tmp_path / "cache", project_texts=PROJECT)


def test_a_machine_that_is_told_to_stay_off_the_hub_is_told_with_both_ways_out(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True, raising=False)
    with pytest.raises(ShopmonError, match="could not be fetched from the hub") as told:
        load_base("nobody/no-such-model-0", tmp_path / "cache")
    assert both_ways_out(told)


@pytest.mark.parametrize("name", ["", "a/b/c", "x" * 200, "what is this", "a\u0000b"])
def test_a_name_that_no_model_can_have_is_told(tmp_path, name):
    with pytest.raises(ShopmonError):
        load_base(name, tmp_path / "cache")


# --- without a network ------------------------------------------------------------------------------------------------


def test_the_offline_base_is_made_once_and_can_be_loaded(tmp_path, made, general):
    first, second = (load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general) for _ in range(2))
    assert (first, made) == (second, [1])
    model = load_masked_lm(first.folder, device=torch.device("cpu"))
    assert model.vocabulary == len(NAMES)
    before = tiny()[0].state_dict()
    assert any(not torch.equal(before[name], now) for name, now in model.model.state_dict().items())
    assert [entry.name for entry in (tmp_path / "c" / "base").iterdir()] == [first.folder.name]


def test_the_same_texts_make_the_same_weights(tmp_path, made, general):
    one, other = (load_base("offline", tmp_path / room, project_texts=PROJECT, general=general) for room in "ab")
    assert one.sha256 == other.sha256


def test_another_reference_share_or_general_text_makes_another_base(tmp_path, made, general, monkeypatch):
    monkeypatch.setattr(base, "_learn", lambda *_: None)
    usual = {"project_texts": PROJECT, "general": general}
    found = [load_base("offline", tmp_path, **usual)]
    found.append(load_base("offline", tmp_path, **usual | {"project_texts": PROJECT[:50]}))
    found.append(load_base("offline", tmp_path, **usual, held_out=0.5))
    write_general(general, "road")  # the same file, written anew
    found.append(load_base("offline", tmp_path, **usual))
    assert len({one.folder for one in found}) == 4
    assert made == [1] * 4


def test_no_text_that_is_held_out_is_among_what_it_learns_from(tmp_path, made, general, monkeypatch):
    seen, usual = [], base._learn
    monkeypatch.setattr(
        base, "_learn", lambda m, t, rows, *more: seen.extend(rows["text_hash"]) or usual(m, t, rows, *more)
    )
    load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general, held_out=0.5)
    held = {digest for text in PROJECT if is_held_out(digest := text_hash(text), 0.5)}
    assert len(seen) > 40
    assert 10 < len(held) < 50
    assert not held & set(seen)
    assert not any(is_held_out(digest, 0.5) for digest in seen)


def test_a_project_without_text_of_its_own_has_an_offline_base_too(tmp_path, made, general):
    assert load_base("offline", tmp_path / "c", general=general).folder.is_dir()


def test_its_progress_is_told(tmp_path, made, general):
    told = []
    load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general, progress=told.append)
    assert {one.doing for one in told} == {"preparing the base model"}
    assert told[-1].step == told[-1].steps > 0


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, made, general, monkeypatch):
    monkeypatch.setattr(base, "_learn", lambda *_: None)
    with monkeypatch.context() as broken:
        broken.setattr(BertTokenizerFast, "save_pretrained", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(ShopmonError, match="the disk is full"):
            load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general)
    assert not list((tmp_path / "c" / "base").iterdir())
    load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general)


_KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("tests_of_base", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
tests.offline_base.converted = tests.tiny
tests.base._PROJECT = tests.base._GENERAL = 600
tests.base._LEARNING = tests.Training(learning_rate=1e-3, batch_size=16, bf16=False)
tests.base._learn = lambda *_: None
tests.BertTokenizerFast.save_pretrained = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
room = Path(sys.argv[2])
tests.load_base("offline", room / "c", project_texts=tests.PROJECT, general=room / "general.txt")
"""


@pytest.mark.slow
def test_one_that_was_killed_while_it_was_kept_is_made_anew(tmp_path, made, general, monkeypatch):
    monkeypatch.setattr(base, "_learn", lambda *_: None)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, __file__, str(tmp_path)],
        cwd=Path(__file__).parents[2], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = [entry.name for entry in (tmp_path / "c" / "base").iterdir()]
    assert left
    assert not any(name.startswith("offline-") for name in left)  # nothing half that anybody would take for whole
    found = load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general)
    load_masked_lm(found.folder, device=torch.device("cpu"))
    assert [entry.name for entry in (tmp_path / "c" / "base").iterdir()] == [found.folder.name]


@pytest.mark.slow
def test_the_real_package_becomes_a_base(tmp_path, general, monkeypatch):
    monkeypatch.setattr(base, "_PROJECT", 100_000)
    monkeypatch.setattr(base, "_GENERAL", 100_000)
    found = load_base("offline", tmp_path / "c", project_texts=PROJECT, general=general)
    assert load_masked_lm(found.folder).vocabulary == 30_522
