"""Is a classifier exported only where it stays as good, and does the record say what was done?"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import logging
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
from jsonschema import Draft202012Validator
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from expectations.errors import ShopmonError
from retrain import onnx_export
from retrain.classifier import Classifier
from retrain.loading import longest_of
from retrain.onnx_export import export, exported, quantised
from retrain.pooled import PooledClassifier
from retrain.records import document, from_document
from retrain.results import BaseUsed, Serving, ServingFormat, TrainingResult
from retrain.scorer import onnx_scorer, torch_scorer

SCHEMA = Path(__file__).parents[2] / "docs" / "training.schema.json"


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
def base(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tiny.build_model(tmp_path_factory.mktemp("base") / "base")
    return place


@pytest.fixture(scope="module")
def taught(served: ModuleType, base: Path) -> Classifier:
    """A classifier that has learnt; nobody changes it."""
    classifier: Classifier = served.taught(base)
    return classifier


@pytest.fixture(scope="module")
def rows(served: ModuleType) -> Any:
    return served.rows(80, seed=2)


def other(classifier: Classifier) -> Classifier:
    """One that may be changed."""
    return replace(classifier, model=copy.deepcopy(classifier.model))


def put(classifier: Classifier, held_out: Any, folder: Path, **more: Any) -> Serving:
    return export(classifier, held_out.texts, held_out.pairs, held_out.labels, folder, **{"max_length": 32, **more})


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_int8_is_kept_where_it_loses_no_accuracy(taught, rows, tmp_path):
    found = put(taught, rows, tmp_path)
    assert found.format is ServingFormat.ONNX_INT8
    assert found.reason == "int8 loses no accuracy"
    assert found.measured[ServingFormat.TORCH].accuracy > 0.9, "it has learnt, so that there is something to lose"
    assert 0 < found.measured[ServingFormat.ONNX_INT8].largest_difference < 0.1
    assert found.accuracy_lost <= 0
    assert (found.rows, found.classes, found.longest) == (80, taught.classes, 64)


def test_the_file_that_is_kept_is_the_only_one_and_has_its_checksum(taught, rows, tmp_path):
    found = put(taught, rows, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [found.file] == ["model.int8.onnx"]
    assert hashlib.sha256((tmp_path / found.file).read_bytes()).hexdigest() == found.sha256
    operations = [node.op_type for node in onnx.load(tmp_path / found.file).graph.node]
    assert operations.count("MatMulInteger") == 14, "six matrices of each of two layers, and two of the head"


def test_two_products_never_overflow_sixteen_bits_so_that_every_processor_answers_alike(taught):
    """Without VNNI, two products of an activation (0–255) and a weight are added in 16 bits."""
    weights = [
        onnx.numpy_helper.to_array(one)
        for one in onnx.load_model_from_string(quantised(taught)).graph.initializer
        if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 2
    ]
    assert len(weights) == 14
    assert 32 < max(int(np.abs(one.astype(int)).max()) for one in weights) <= 32767 // (2 * 255)


def test_float32_is_kept_where_int8_loses_too_much(served, taught, rows, tmp_path, caplog):
    spiked = served.with_outliers(other(taught))
    with caplog.at_level(logging.WARNING):
        found = put(spiked, rows, tmp_path)
    exact, int8, fp32 = (found.measured[one] for one in ("torch", "onnx_int8", "onnx_fp32"))
    assert exact.accuracy - int8.accuracy > 0.005
    assert int8.agreement < 1
    assert fp32.largest_difference < 1e-4
    assert found.format is ServingFormat.ONNX_FP32
    assert found.accuracy_lost == 0
    assert [file.name for file in tmp_path.iterdir()] == [found.file] == ["model.fp32.onnx"]
    lost = 100 * (exact.accuracy - int8.accuracy)
    assert found.reason == (
        f"int8 would lose {lost:.2f} points of accuracy, and 0.5 are allowed; ONNX in float32 says what torch says"
    )
    assert found.reason in caplog.text


def test_what_may_be_lost_is_a_setting(served, taught, rows, tmp_path):
    assert put(served.with_outliers(other(taught)), rows, tmp_path, most_lost=1).format is ServingFormat.ONNX_INT8
    assert put(taught, rows, tmp_path, most_lost=-0.01).format is ServingFormat.ONNX_FP32, "int8 is no better"


def test_torch_stays_where_a_model_cannot_be_exported(taught, rows, tmp_path, caplog):
    class Strange(torch.nn.Module):
        """Computes something that ONNX has no word for."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model, self.config = model, model.config

        def forward(self, **inputs: Any) -> Any:
            found = self.model(**inputs)
            found.logits = torch.special.bessel_j0(found.logits)
            return found

    with caplog.at_level(logging.WARNING):
        found = put(replace(taught, model=Strange(copy.deepcopy(taught.model))), rows, tmp_path)
    assert (found.format, found.file, found.sha256) == (ServingFormat.TORCH, "", "")
    assert "int8 cannot be had: " in found.reason
    assert "ONNX in float32 cannot be had: " in found.reason
    assert found.reason in caplog.text
    assert list(found.measured) == [ServingFormat.TORCH]
    assert not list(tmp_path.iterdir())


def test_torch_stays_where_onnx_says_something_else(taught, rows, tmp_path, monkeypatch):
    def broken(classifier: Classifier) -> bytes:
        changed = other(classifier)
        with torch.no_grad():
            changed.model.classifier.bias += torch.tensor([0.0, 50.0, 0.0])
        return exported(changed)

    first, second = onnx_export._CANDIDATES
    monkeypatch.setattr(onnx_export, "_CANDIDATES", (replace(first, make=broken), replace(second, make=broken)))
    found = put(taught, rows, tmp_path)
    assert found.format is ServingFormat.TORCH
    assert "ONNX in float32 differs from torch by up to " in found.reason
    assert set(found.measured) == set(ServingFormat)
    assert not list(tmp_path.iterdir())


def test_torch_stays_without_a_row_to_measure(taught, tmp_path):
    found = export(taught, [], [], [], tmp_path, max_length=32)
    assert found.format is ServingFormat.TORCH
    assert found.reason == "there is no held-out row to measure it on"
    assert not found.measured
    assert not list(tmp_path.iterdir())


# --- how it is measured -----------------------------------------------------------------------------------------------


def test_no_more_rows_are_measured_than_asked_for_and_always_the_same(taught, rows, tmp_path):
    one, again = (put(taught, rows, tmp_path, rows=30) for _ in range(2))
    assert one == again
    assert one.rows == 30


def test_rows_are_drawn_and_not_the_first_ones(taught, served, tmp_path):
    """The first rows are all labelled wrongly: whoever measured those alone would find no accuracy at all."""
    told = served.rows(200, seed=5)
    told.labels[:100] = [(label + 1) % 3 for label in told.labels[:100]]
    accuracy = put(taught, told, tmp_path, rows=100).measured[ServingFormat.TORCH].accuracy
    assert 0.3 < accuracy < 0.7


def test_the_figures_are_those_of_the_held_out_rows(taught, rows, tmp_path):
    found = put(taught, rows, tmp_path)
    scorers = {
        ServingFormat.TORCH: torch_scorer(taught, 32, bf16=False),
        ServingFormat.ONNX_INT8: onnx_scorer((tmp_path / found.file).read_bytes(), found, taught.tokenizer, 32),
    }
    said = {one: scorer.probabilities(rows.texts, rows.pairs) for one, scorer in scorers.items()}
    for one, measure in found.measured.items():
        assert measure.accuracy == pytest.approx((said[one].argmax(1) == rows.labels).mean())
        assert measure.largest_difference == pytest.approx(np.abs(said[one] - said[ServingFormat.TORCH]).max())


def test_texts_that_stand_alone_are_measured_too(taught, rows, tmp_path):
    found = export(taught, rows.pairs, None, rows.labels, tmp_path, max_length=32)
    said = torch_scorer(taught, 32, bf16=False).probabilities(rows.pairs)
    accuracy = (said.argmax(1) == rows.labels).mean()
    assert found.measured[ServingFormat.TORCH].accuracy == pytest.approx(accuracy)
    assert accuracy < 1, "it has not learnt to read them alone"


# --- what becomes of the classifier, the folder and the record --------------------------------------------------------


def test_the_classifier_stays_as_it_is(taught, rows, tmp_path):
    learning = other(taught)
    learning.model.to(torch.bfloat16).train()
    before = {name: value.clone() for name, value in learning.model.state_dict().items()}
    put(learning, rows, tmp_path)
    assert learning.model.training
    assert all(torch.equal(before[name], value) for name, value in learning.model.state_dict().items())
    assert learning.model.dtype is torch.bfloat16


def test_a_folder_that_cannot_be_written_is_told(taught, rows, tmp_path):
    with pytest.raises(ShopmonError, match="does not exist"):
        put(taught, rows, tmp_path / "none")


def test_the_root_logger_gets_no_handler(taught, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    quantised(taught)
    assert logging.getLogger().handlers == []


def test_a_record_says_it_and_is_read_back(served, taught, rows, tmp_path):
    import json

    serving = put(served.with_outliers(other(taught)), rows, tmp_path)
    result = TrainingResult(model_id="1", task="relevance", base=BaseUsed("tiny", ""), serving=serving)
    told = json.loads(json.dumps(document(result), allow_nan=False))
    assert from_document(told) == result
    assert from_document(document(replace(result, serving=None))).serving is None
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator({"$ref": "#/$defs/serving", "$defs": schema["$defs"]}).validate(told["serving"])


# --- the file ---------------------------------------------------------------------------------------------------------

SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_labels": 3}


def family(name: str, tokenizer: Any) -> Any:
    words = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    torch.manual_seed(1)
    if name == "bert":
        return BertForSequenceClassification(BertConfig(**SMALL, **words, initializer_range=0.3))
    if name == "roberta":
        places = {"max_position_embeddings": 66, "type_vocab_size": 1}
        return RobertaForSequenceClassification(RobertaConfig(**SMALL, **words, **places, initializer_range=0.3))
    shape = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "initializer_range": 0.3}
    return PooledClassifier(DistilBertModel(DistilBertConfig(**shape, **words)), 3)


@pytest.mark.parametrize("name", ["bert", "roberta", "pooled"])
def test_an_exported_model_says_what_torch_says_of_any_number_of_rows_and_tokens(taught, rows, name):
    tokenizer = copy.deepcopy(taught.tokenizer)
    if name != "bert":
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    model = family(name, tokenizer).eval()
    classifier = Classifier(model, tokenizer, Path(), taught.classes)
    serving = Serving(ServingFormat.ONNX_FP32, "", taught.classes, longest_of(model, tokenizer))
    scorers = torch_scorer(classifier, 64, bf16=False), onnx_scorer(exported(classifier), serving, tokenizer, 64)
    for texts, pairs in ((rows.texts, rows.pairs), (["bag"], ["a"]), (["red " * 80], [""])):
        theirs, ours = (one.probabilities(texts, pairs) for one in scorers)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert np.ptp(scorers[0].probabilities(rows.texts, rows.pairs), axis=0).max() > 0.05, "answers differ by text"


def test_types_of_tokens_matter_where_the_model_reads_them(taught, rows):
    """A BERT whose two sides are told apart by their types alone: an export without them would be seen."""
    model = family("bert", taught.tokenizer).eval()
    with torch.no_grad():
        model.bert.embeddings.token_type_embeddings.weight[1] += 1
    classifier = Classifier(model, taught.tokenizer, Path(), taught.classes)
    scorer = onnx_scorer(
        exported(classifier), Serving(ServingFormat.ONNX_FP32, "", taught.classes, 64), taught.tokenizer, 64
    )
    theirs = torch_scorer(classifier, 64, bf16=False)
    np.testing.assert_allclose(
        scorer.probabilities(rows.texts, rows.pairs), theirs.probabilities(rows.texts, rows.pairs), atol=1e-5
    )
