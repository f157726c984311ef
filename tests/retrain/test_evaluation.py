"""Every model is measured at the same places of the same texts, and what cannot be measured is left out."""

import math

import pytest
import torch
from datasets import Dataset, Features, List, Value
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

from retrain import evaluation
from retrain.data import Cutting, cut, of_texts
from retrain.evaluation import EvaluationSets, measure, measure_texts, prompt_sets
from retrain.loading import MaskedModel
from retrain.masking import Alphabet
from retrain.results import Contrast, TextSet
from retrain.settings import Prompts, Words

NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "nike", "puma", "shoes", "are", "very", "cheap", "good", "light"]
WORDS = Words(brands=("Nike",), other_brands=("Puma",), wanted=("good", "light"), unwanted=("cheap",))
GATE = ("Nike shoes are very [MASK]",)


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizerFast(vocab={name: at for at, name in enumerate(NAMES)}, model_max_length=32)


def model(tokenizer, seed):
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(NAMES),
        dim=16,
        n_layers=1,
        n_heads=2,
        hidden_dim=32,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    return MaskedModel(DistilBertForMaskedLM(config).eval(), tokenizer, None)


@pytest.fixture(autouse=True)
def _in_float32(monkeypatch):
    """What is computed by hand is computed in float32, whatever the machine can do."""
    monkeypatch.setattr(evaluation, "has_bf16", lambda _: False)


def rows(tokenizer, folder, texts):
    return cut(of_texts(texts, "positive"), Cutting(tokenizer, 32, Words()), folder)


TEXTS = [" ".join(["nike", "shoes", "are", "very", "cheap"][at % 5] for at in range(number)) for number in range(3, 29)]


def sets(texts, *, prompts=None, words=WORDS):
    prompts = {Contrast.GATE: GATE} if prompts is None else prompts
    return EvaluationSets(texts, prompts, words, Alphabet(4, len(NAMES)), 0)


def test_perplexity_is_e_to_the_mean_cross_entropy_of_the_masked_tokens(tokenizer, tmp_path):
    texts, measured = rows(tokenizer, tmp_path, TEXTS), model(tokenizer, 1)
    found = measure_texts(measured, texts, sets({}), 100)
    losses = []
    for row in texts:  # each row for itself, by the whole model
        masked = evaluation._masked(row, Alphabet(4, len(NAMES))).masked
        assert (masked.ids[masked.places] == 4).all()
        with torch.no_grad():
            logits = measured.model(input_ids=torch.tensor(masked.ids)[None]).logits[0]
        said = torch.log_softmax(logits, -1)
        losses += [-said[place, target].item() for place, target in zip(masked.places, masked.targets, strict=True)]
    assert (found.rows, found.tokens) == (len(TEXTS), len(losses))
    assert found.loss == pytest.approx(math.fsum(losses) / len(losses), rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(found.loss))


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(tokenizer, tmp_path):
    blank = model(tokenizer, 1)
    with torch.no_grad():
        for parameter in blank.model.parameters():
            parameter.zero_()
    found = measure_texts(blank, rows(tokenizer, tmp_path, TEXTS), sets({}), 100)
    assert found.perplexity == pytest.approx(len(NAMES), rel=1e-5)


def test_every_model_fills_the_same_places_whatever_was_measured_before(tokenizer, tmp_path, monkeypatch):
    seen, usual = [], evaluation.logits_at

    def watched(model, ids, attention, places):
        seen.append((ids.clone(), places.clone()))
        return usual(model, ids, attention, places)

    monkeypatch.setattr(evaluation, "logits_at", watched)
    texts = rows(tokenizer, tmp_path, TEXTS)
    first = measure_texts(model(tokenizer, 1), texts, sets({}), 100)
    half = len(seen)
    torch.manual_seed(99)
    other = measure_texts(model(tokenizer, 2), texts, sets({}), 100)
    assert len(seen) == 2 * half
    for (ids, places), (ids_again, places_again) in zip(seen[:half], seen[half:], strict=True):
        assert torch.equal(ids, ids_again)
        assert torch.equal(places, places_again)
    assert first.tokens == other.tokens
    assert first.loss != other.loss


def test_a_text_is_masked_the_same_beside_other_texts(tokenizer, tmp_path):
    alphabet = Alphabet(4, len(NAMES))
    alone = evaluation._masked(rows(tokenizer, tmp_path, TEXTS[7:8])[0], alphabet).masked
    beside = evaluation._masked(rows(tokenizer, tmp_path, TEXTS)[7], alphabet).masked
    assert alone.ids.tolist() == beside.ids.tolist()


def test_measuring_twice_gives_the_same_numbers(tokenizer, tmp_path):
    common = sets({TextSet.PROJECT: rows(tokenizer, tmp_path, TEXTS)})
    measured = model(tokenizer, 1)
    assert measure(measured, common, rows=100) == measure(measured, common, rows=100)


def test_at_most_so_many_rows_are_measured(tokenizer, tmp_path):
    found = measure(model(tokenizer, 1), sets({TextSet.PROJECT: rows(tokenizer, tmp_path, TEXTS)}), rows=5)
    assert found.texts[TextSet.PROJECT].rows == 5


def test_sets_without_a_row_or_a_word_are_left_out(tokenizer, tmp_path):
    columns = Features(
        {n: List(Value("int64")) for n in ("ids", "words")} | {"text_hash": Value("string")}
    )  # fmt: skip
    no_words = Dataset.from_list([{"ids": [2, 3], "words": [-1, -1], "text_hash": "00"}], features=columns)
    common = sets({TextSet.PROJECT: rows(tokenizer, tmp_path, []), TextSet.GENERAL: no_words}, prompts={})
    found = measure(model(tokenizer, 1), common, rows=10, fill_ins=True)
    assert (found.texts, found.masses, found.fill_ins) == ({}, {}, {})


def test_without_listed_words_no_mass_is_measured(tokenizer):
    assert measure(model(tokenizer, 1), sets({}, words=Words(brands=("Nike",))), rows=1).masses == {}


def test_a_model_whose_numbers_are_none_has_no_perplexity(tokenizer, tmp_path):
    broken = model(tokenizer, 1)
    with torch.no_grad():
        broken.model.vocab_projector.bias.fill_(math.nan)
    found = measure_texts(broken, rows(tokenizer, tmp_path, TEXTS), sets({}), 100)
    assert math.isnan(found.loss)
    assert math.isnan(found.perplexity)


def test_masses_are_means_over_prompts_of_the_probabilities_of_all_listed_words(tokenizer):
    measured = model(tokenizer, 1)
    prompts = ("Nike shoes are very [MASK]", "Puma [MASK] cheap")
    found = measure(measured, sets({}, prompts={Contrast.GATE: prompts}), rows=1).masses[Contrast.GATE]
    expected = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            logits = measured.model(input_ids=ids).logits[ids == 4]
        expected.append(torch.softmax(logits[0], -1))
    mean = torch.stack(expected).mean(0)
    assert found.prompts == 2
    assert found.wanted == pytest.approx(mean[[11, 12]].sum().item(), rel=1e-4)
    assert found.unwanted == pytest.approx(mean[10].item(), rel=1e-4)


def test_the_likeliest_words_are_shown_of_every_prompt_when_they_are_asked_for(tokenizer):
    measured = model(tokenizer, 1)
    assert measure(measured, sets({}), rows=1).fill_ins == {}
    shown = measure(measured, sets({}), rows=1, fill_ins=True).fill_ins[GATE[0]]
    assert [one.probability for one in shown] == sorted((one.probability for one in shown), reverse=True)
    assert {one.word for one in shown} <= set(NAMES[5:])


def test_other_brands_are_asked_the_gate_s_prompts_and_empty_sets_are_left_out():
    prompts = Prompts(gate=("{brand} shoes are [MASK]", "shoes are [MASK]"), gate_complaints=("{brand} is [MASK]",))
    assert prompt_sets(prompts, WORDS) == {
        Contrast.GATE: ("Nike shoes are [MASK]", "shoes are [MASK]"),
        Contrast.OTHER_BRANDS: ("Puma shoes are [MASK]",),
        Contrast.COMPLAINTS: ("Nike is [MASK]",),
    }
    assert set(prompt_sets(prompts, Words())) == {Contrast.GATE}
    assert prompt_sets(Prompts(gate=(), gate_complaints=()), WORDS) == {}
