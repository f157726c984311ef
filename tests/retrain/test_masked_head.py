"""The head on chosen places says what the whole model says there."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    CamembertConfig,
    CamembertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from retrain import masked_head
from retrain.masked_head import log_probabilities, logits_at

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
DISTILBERT = {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
FAMILIES = {
    "distilbert": lambda: DistilBertForMaskedLM(DistilBertConfig(**DISTILBERT)),
    "bert": lambda: BertForMaskedLM(BertConfig(**SIZES)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SIZES)),
    "xlm-roberta": lambda: XLMRobertaForMaskedLM(XLMRobertaConfig(**SIZES)),
    "camembert": lambda: CamembertForMaskedLM(CamembertConfig(**SIZES)),
    "electra": lambda: ElectraForMaskedLM(ElectraConfig(embedding_size=16, **SIZES)),
}


def built(family):
    torch.manual_seed(3)
    model = FAMILIES[family]().eval()
    with torch.no_grad():  # a new head is all zeros in its biases, which would hide that one is left out
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def batch(rows=3, length=12):
    torch.manual_seed(4)
    ids = torch.randint(5, 50, (rows, length))
    attention = torch.ones_like(ids)
    attention[1, 7:] = 0
    ids[1, 7:] = 1
    return ids, attention, (torch.rand(rows, length) < 0.3) & attention.bool()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_on_chosen_places_says_what_the_whole_model_says(family):
    model, (ids, attention, places) = built(family), batch()
    assert places.any()
    with torch.no_grad():
        whole = model(input_ids=ids, attention_mask=attention).logits[places]
        found = logits_at(model, ids, attention, places)
    assert found.shape == (int(places.sum()), 50)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_the_whole_model(family):
    model, (ids, attention, places) = built(family), batch()
    model(input_ids=ids, attention_mask=attention).logits[places].square().mean().backward()
    whole = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    logits_at(model, ids, attention, places).square().mean().backward()
    for name, parameter in model.named_parameters():
        if name in whole:
            torch.testing.assert_close(parameter.grad, whole[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_place_no_logits(family):
    ids, attention, places = batch()
    assert logits_at(built(family), ids, attention, torch.zeros_like(places)).shape == (0, 50)


def test_an_unknown_family_is_asked_whole():
    assert "electra" not in masked_head._HEADS
    assert {"distilbert", "bert", "roberta"} <= set(masked_head._HEADS)


def test_a_known_family_computes_its_head_only_where_it_is_asked():
    model, (ids, attention, places) = built("distilbert"), batch()
    seen = []
    model.vocab_projector.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    logits_at(model, ids, attention, places)
    assert seen == [(int(places.sum()), 16)]


def test_log_probabilities_are_float32_and_add_up_to_one():
    model, (ids, attention, places) = built("bert").to(torch.bfloat16), batch()
    found = log_probabilities(model, ids, attention, places)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(len(found)))
