"""A model comes into memory safely, or it is said why it does not."""

import json
import pickle
from contextlib import suppress

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from expectations.errors import ShopmonError
from retrain.loading import check_folder, load_masked_lm

CPU = torch.device("cpu")
NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "nike", "shoes", "are", "warm"]


def tokenizer(names=NAMES, **more):
    return BertTokenizerFast(vocab={name: at for at, name in enumerate(names)}, model_max_length=32, **more)


def config(**more):
    sizes = {"vocab_size": len(NAMES), "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32}
    return DistilBertConfig(**(sizes | {"max_position_embeddings": 40} | more))


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    DistilBertForMaskedLM(config()).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return tmp_path


def refused(folder):
    with pytest.raises(ShopmonError) as told:
        load_masked_lm(folder, device=CPU)
    return str(told.value)


def test_a_model_is_loaded_ready_to_answer_in_float32(folder):
    model = load_masked_lm(folder, device=CPU)
    assert not model.model.training
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.float32}
    assert (model.device, model.vocabulary, model.longest) == (CPU, len(NAMES), 32)


def test_a_model_kept_in_bfloat16_is_read_in_float32(folder):
    DistilBertForMaskedLM(config()).to(torch.bfloat16).save_pretrained(folder)
    model = load_masked_lm(folder, device=CPU)
    assert {parameter.dtype for parameter in model.model.parameters()} == {torch.float32}


def test_the_longest_text_is_what_both_model_and_tokenizer_can_read(folder):
    BertTokenizerFast(vocab={n: at for at, n in enumerate(NAMES)}, model_max_length=99).save_pretrained(folder)
    assert load_masked_lm(folder, device=CPU).longest == 40


def test_places_that_are_numbered_behind_the_padding_do_not_count(tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    roberta = RobertaConfig(vocab_size=len(NAMES), max_position_embeddings=22, pad_token_id=1, **sizes)
    RobertaForMaskedLM(roberta).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    model = load_masked_lm(tmp_path, device=CPU)
    assert model.longest == 20
    ids = torch.full((1, model.longest), 5)
    assert model.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.isfinite().all()


class _Trap:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def test_pickled_weights_are_refused_and_never_opened(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Trap()))
    assert "pickle" in refused(folder)
    assert not (folder / "ran").exists()


def test_pickled_weights_beside_safe_ones_are_not_read(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Trap()))
    load_masked_lm(folder, device=CPU)
    assert not (folder / "ran").exists()


def test_code_that_comes_with_a_model_is_not_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "modeling_evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Evil: ...\n")
    for name in ("config.json", "tokenizer_config.json"):
        said = json.loads((folder / name).read_text())
        auto = {"AutoModelForMaskedLM": "modeling_evil.Evil", "AutoConfig": "modeling_evil.Evil"}
        said["auto_map"] = auto | {"AutoTokenizer": ["modeling_evil.Evil", "modeling_evil.Evil"]}
        (folder / name).write_text(json.dumps(said))
    with suppress(ShopmonError):  # refused is as good as loaded without it
        load_masked_lm(folder, device=CPU)
    assert not (folder / "ran").exists()


def test_a_family_that_exists_only_as_code_is_refused(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "modeling_evil.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Evil: ...\n")
    told = {"model_type": "evil", "auto_map": {"AutoConfig": "modeling_evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(told))
    assert "cannot be loaded" in refused(folder)
    assert not (folder / "ran").exists()


def test_no_folder_is_told(tmp_path):
    assert "is no folder" in refused(tmp_path / "none")


def test_a_missing_configuration_is_told(folder):
    (folder / "config.json").unlink()
    assert "has no config.json" in refused(folder)


def test_missing_weights_are_told(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ShopmonError, match="has no weights"):
        check_folder(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_of_weights_is_told(folder, kept):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    assert "cannot be loaded" in refused(folder)


@pytest.mark.parametrize("said", ["", "{", "[]", '{"model_type": 7}', '{"model_type": "distilbert", "dim": "x"}'])
def test_a_damaged_configuration_is_told(folder, said):
    (folder / "config.json").write_text(said)
    assert "cannot be loaded" in refused(folder)


def test_a_configuration_of_another_size_is_told(folder):
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(said | {"dim": 32}))
    assert "cannot be loaded" in refused(folder)


def test_an_encoder_without_a_head_is_told(folder):
    DistilBertModel(config()).save_pretrained(folder)
    assert "is no masked language model" in refused(folder)


def test_a_bert_without_a_head_is_told_and_one_with_a_head_is_not(tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    bert = BertConfig(vocab_size=len(NAMES), **sizes)
    tokenizer().save_pretrained(tmp_path)
    BertForMaskedLM(bert).save_pretrained(tmp_path)
    assert load_masked_lm(tmp_path, device=CPU).vocabulary == len(NAMES)
    BertModel(bert).save_pretrained(tmp_path)
    assert "is no masked language model" in refused(tmp_path)


def test_a_tokenizer_without_a_mask_token_is_told(folder):
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            said = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(said | {"mask_token": None}))
    assert "has no mask token" in refused(folder)


def test_a_tokenizer_of_more_tokens_than_the_model_is_told(folder):
    tokenizer([*NAMES, "one", "two"]).save_pretrained(folder)
    assert "has 11 tokens, and its model 9" in refused(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_told(folder, name):
    (folder / name).write_text("{")
    assert "cannot be loaded" in refused(folder)


def test_a_folder_without_a_tokenizer_is_told(folder):
    for file in folder.glob("*token*"):
        file.unlink()
    assert "tokenizer" in refused(folder)
