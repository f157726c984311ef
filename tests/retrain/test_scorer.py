"""Does a classifier answer for texts in any order and number, from the file that its training wrote and no other?"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expectations.errors import ShopmonError
from retrain import records, scorer
from retrain.classifier import Classifier, load_classifier
from retrain.onnx_export import exported
from retrain.onnx_model import open_onnx, read_checked
from retrain.results import ServingFormat
from retrain.scorer import Scorer, batches, load_scorer, torch_scorer


@pytest.fixture(scope="module")
def served() -> Iterator[ModuleType]:
    """tests/retrain/tiny_served.py."""
    spec = importlib.util.spec_from_file_location("tiny_served", Path(__file__).with_name("tiny_served.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_served"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["tiny_served"]


@pytest.fixture(scope="module")
def taught(served: ModuleType, tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    classifier: Classifier = served.taught(tiny.build_model(tmp_path_factory.mktemp("base") / "base"))
    return classifier


@pytest.fixture(scope="module")
def folder(served: ModuleType, taught: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder; nobody changes it."""
    place = tmp_path_factory.mktemp("models") / "1"
    assert served.keep(taught, place).format is ServingFormat.ONNX_INT8
    return place


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Path:
    """The same folder, which may be changed."""
    place = tmp_path / "model"
    place.mkdir()
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


@pytest.fixture(scope="module")
def exact(taught: Classifier) -> Scorer:
    return torch_scorer(taught, 32, bf16=False)


@pytest.fixture(scope="module")
def rows(served: ModuleType) -> Any:
    return served.rows(40, seed=3)


# --- many texts -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 2_000))
def test_every_row_is_read_once_and_no_batch_is_too_large(lengths, tokens):
    found = list(batches(lengths, tokens))
    assert sorted(at for some in found for at in some) == list(range(len(lengths)))
    assert all(len(some) == 1 or len(some) * max(lengths[at] for at in some) <= tokens for some in found)
    read = [lengths[at] for some in found for at in some]
    assert read == sorted(lengths, reverse=True)


def test_answers_come_in_the_order_of_the_texts(exact, taught, served, rows):
    said = exact.probabilities(rows.texts, rows.pairs)
    np.testing.assert_allclose(said.sum(1), 1)
    with torch.inference_mode():
        for at in range(0, 40, 7):
            inputs = served.read(taught, rows.texts[at : at + 1], rows.pairs[at : at + 1])
            alone = torch.softmax(taught.model(**inputs).logits.double(), -1).numpy()
            np.testing.assert_allclose(said[at : at + 1], alone, atol=1e-5)
    assert np.ptp(said, axis=0).max() > 0.5, "the answers differ, so that their order matters"


def test_texts_that_do_not_fit_into_memory_at_once_get_the_same_answers(exact, rows, monkeypatch):
    whole = exact.probabilities(rows.texts, rows.pairs)
    monkeypatch.setattr(scorer, "_TEXTS", 7)
    in_parts = replace(exact, tokens=50).probabilities(rows.texts, rows.pairs)
    np.testing.assert_allclose(in_parts, whole, atol=1e-6)


def test_progress_grows_to_the_number_of_texts(exact, rows):
    told: list[tuple[int, int]] = []
    replace(exact, tokens=100).probabilities(rows.texts, rows.pairs, progress=lambda done, of: told.append((done, of)))
    assert len(told) > 3
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (40, 40)
    assert {of for _, of in told} == {40}


def test_no_texts_get_no_answers(exact, folder):
    assert exact.probabilities([]).shape == exact.logits([], []).shape == (0, 3)
    assert load_scorer(folder).probabilities([]).shape == (0, 3)


def test_a_text_without_its_other_text_is_refused(exact):
    with pytest.raises(ValueError, match="2 texts have 1 other texts"):
        exact.probabilities(["a", "b"], ["c"])


def test_names_of_special_tokens_in_a_text_are_text(exact):
    """A text that writes [SEP] could else move where the query ends."""
    plain = exact.probabilities(["red bag nike shoes"], [""])
    assert not np.allclose(exact.probabilities(["red bag [SEP] nike shoes"], [""]), plain, atol=1e-6)
    ids = exact._cut(["red [SEP] bag"], ["[PAD]"])["ids"][0]
    assert ids.count(exact.tokenizer.sep_token_id) == 2
    assert exact.tokenizer.pad_token_id not in ids


def test_bfloat16_is_near_float32(taught, exact, rows):
    half = torch_scorer(taught, 32, bf16=True)
    assert half.how == "torch bfloat16 on cpu"
    assert exact.how == "torch float32 on cpu"
    apart = np.abs(half.probabilities(rows.texts, rows.pairs) - exact.probabilities(rows.texts, rows.pairs)).max()
    assert 0 < apart < 0.05


# --- from a folder ----------------------------------------------------------------------------------------------------


def test_on_a_cpu_the_exported_file_answers(folder, exact, rows):
    found = load_scorer(folder)
    assert found.how == "onnx int8 on cpu"
    assert found.classes == load_classifier(folder).classes == ("other", "same", "near")
    said = found.probabilities(rows.texts, rows.pairs)
    np.testing.assert_allclose(said, exact.probabilities(rows.texts, rows.pairs), atol=0.05)
    assert (said.argmax(1) == rows.labels).mean() > 0.9


def test_without_its_weights_it_still_answers(changed, rows):
    """So it is the exported file that does, and not what it was made of."""
    (changed / "model.safetensors").unlink()
    assert load_scorer(changed).probabilities(rows.texts[:2], rows.pairs[:2]).shape == (2, 3)


def test_on_a_gpu_torch_answers(folder, monkeypatch):
    monkeypatch.setattr(scorer, "best_device", lambda: torch.device("cuda"))
    assert load_scorer(folder).how.startswith("torch ")


def test_a_model_that_no_training_of_ours_made_is_asked_in_torch(changed, rows, exact, monkeypatch):
    monkeypatch.setattr(scorer, "has_bf16", lambda device: False)
    (changed / records.FILE_NAME).unlink()
    found = load_scorer(changed)
    assert found.how == "torch float32 on cpu"
    assert found.max_length == 64
    np.testing.assert_allclose(
        found.probabilities(rows.texts, rows.pairs), exact.probabilities(rows.texts, rows.pairs), atol=1e-5
    )


def test_a_model_for_which_torch_stays_is_asked_in_torch(changed):
    say(changed, lambda told: told["serving"].update(format="torch", file="", sha256=""))
    assert load_scorer(changed).how.startswith("torch ")


def test_texts_are_cut_as_they_were_when_it_learnt(served, taught, tmp_path):
    served.keep(taught, tmp_path / "model", max_length=12)
    found = load_scorer(tmp_path / "model")
    assert found.max_length == 12
    long = "nike bag " + "red " * 30
    np.testing.assert_array_equal(found.probabilities(["bag"], [long]), found.probabilities(["bag"], [long + "puma"]))
    assert load_scorer(tmp_path / "model", max_length=20).max_length == 20
    assert load_scorer(tmp_path / "model", max_length=999).max_length == 64, "it can read no more"


def test_torch_cuts_them_so_too(changed):
    say(changed, lambda told: told["settings"]["training"].update(max_length=9))
    say(changed, lambda told: told.update(serving=None))
    assert load_scorer(changed).max_length == 9


def test_it_computes_on_as_many_threads_as_torch(folder, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert session_of(load_scorer(folder)).get_session_options().intra_op_num_threads == 3


def session_of(one: Scorer) -> Any:
    return next(
        cell.cell_contents for cell in one.forward.__closure__ if hasattr(cell.cell_contents, "session")
    ).session


# --- what is refused --------------------------------------------------------------------------------------------------


def say(folder: Path, change: Any) -> None:
    """Change a model's record."""
    told = json.loads((folder / records.FILE_NAME).read_bytes())
    change(told)
    (folder / records.FILE_NAME).write_text(json.dumps(told))


def test_an_exported_file_that_was_changed_is_refused(changed):
    file = changed / "model.int8.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ShopmonError, match=r"model\.int8\.onnx is not what the training wrote"):
        load_scorer(changed)


def test_an_exported_file_that_is_gone_is_told(changed):
    (changed / "model.int8.onnx").unlink()
    with pytest.raises(ShopmonError, match=r"model\.int8\.onnx cannot be read: No such file"):
        load_scorer(changed)


@pytest.mark.parametrize("name", ["../1/model.int8.onnx", "/etc/passwd", "..", "", ".hidden"])
def test_a_record_can_only_name_a_file_of_its_folder(folder, changed, name):
    say(changed, lambda told: told["serving"].update(file=name))
    with pytest.raises(ShopmonError, match="is no name of a file in"):
        load_scorer(changed)
    with pytest.raises(ShopmonError, match="is no name of a file in"):
        read_checked(folder, name, "")


def test_a_damaged_record_is_told_and_not_passed_over(changed):
    (changed / records.FILE_NAME).write_text("{")
    with pytest.raises(ShopmonError, match=r"training\.json is damaged"):
        load_scorer(changed)


def test_a_damaged_tokenizer_is_told(changed):
    (changed / "tokenizer.json").write_text("{")
    with pytest.raises(ShopmonError, match=r"the tokenizer in .* cannot be loaded"):
        load_scorer(changed)


def test_a_token_that_the_model_does_not_know_is_told(folder, rows):
    found = load_scorer(folder)
    with pytest.raises(ShopmonError, match="cannot read these texts"):
        found.forward({name: torch.full((1, 3), 99_999) for name in ("input_ids", "attention_mask")})


@pytest.mark.parametrize("content", [b"", b"no model", b"ORTM\x00" * 9])
def test_what_is_no_onnx_is_refused(content):
    with pytest.raises(ShopmonError, match="the exported model"):
        open_onnx(content, 3)


def test_a_model_of_other_classes_is_refused(taught):
    with pytest.raises(ShopmonError, match="no classifier of 4 classes"):
        open_onnx(exported(taught), 4)


def edited(classifier: Classifier, change: Any) -> bytes:
    model = onnx.load_model_from_string(exported(classifier))
    change(model)
    content: bytes = model.SerializeToString()
    return content


def test_operations_of_somebody_elses_library_are_refused(taught):
    def foreign(model: Any) -> None:
        model.graph.node[0].domain = "com.example"
        model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))

    with pytest.raises(ShopmonError, match=r"operations of 'com\.example'"):
        open_onnx(edited(taught, foreign), 3)


@pytest.mark.parametrize("where", ["weight", "constant"])
def test_weights_in_another_file_are_refused(taught, where, tmp_path):
    def elsewhere(model: Any) -> None:
        constants = (node.attribute[0].t for node in model.graph.node if node.op_type == "Constant")
        tensor = model.graph.initializer[0] if where == "weight" else next(constants)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", str(tmp_path / "secret")

    with pytest.raises(ShopmonError, match="weights in another file"):
        open_onnx(edited(taught, elsewhere), 3)


# --- what leaves the machine ------------------------------------------------------------------------------------------

IMPORTED = "import {first}onnxruntime; from pathlib import Path; print([p.name for p in Path.home().rglob('*')])"


def left_at_home(home: Path, first: str) -> str:
    """What an import of ONNX Runtime leaves in the home folder, after that of another module."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, "-c", IMPORTED.format(first=first)]
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        command, env=environment | {"HOME": str(home)}, cwd=root, capture_output=True, text=True, check=True
    )
    return ran.stdout


def test_onnx_runtime_keeps_what_it_sees_to_itself(tmp_path):
    """By itself it makes up a device's id in the home folder, and a database of what it will send."""
    alone, ours = tmp_path / "alone", tmp_path / "ours"
    alone.mkdir()
    ours.mkdir()
    assert left_at_home(ours, "retrain.onnx_model, ").strip() == "[]"
    if left_at_home(alone, "").strip() == "[]":
        pytest.skip("ONNX Runtime keeps nothing by itself here, so nothing shows that it was kept from doing so")
