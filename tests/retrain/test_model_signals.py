"""What a model says of the brands in texts, held against the whole model asked slot by slot."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

from expectations.errors import ShopmonError
from monitor.signals import MODEL_SIGNALS, Words
from retrain import model_signals
from retrain.loading import load_masked_lm
from retrain.model_signals import ModelSignals
from retrain.slots import MOST, Descriptions

NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NAMES += "nike puma shoes are is very so not too the and they but i love fit a box in mask sep".split()  # noqa: SIM905
NAMES += ["expensive", "ugly", "heavy", "comfortable", "light", "warm", "good", "looking", "over", "##priced", "##s"]
NAMES += list("-,.![]")
WORDS = Words(
    brands=("Nike",),
    other_brands=("Puma",),
    products=("shoes",),
    features=("fit",),
    wanted=("comfortable", "good-looking"),
    unwanted=("expensive", "ugly", "overpriced"),
)
SCRAPS = [
    "Nike",
    "not",
    "very",
    "is",
    "are",
    "expensive",
    ",",
    ".",
    "é",
    "light",
    "so",
    "is\tpretty",
    "fit",
    "Puma",
    "n't",
]
TEXTS = [
    "Nike shoes are very expensive",
    "Nike shoes are warm, so light and comfortable",
    "Puma shoes are ugly",
    "Nike shoes and a box",
    "I love the fit. Nike!",
    "They are good-looking and the Nike box is warm",
    "nike is overpriced " * 30,
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    length = 48
    tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(NAMES)}, model_max_length=length)
    torch.manual_seed(1)
    config = DistilBertConfig(
        vocab_size=len(NAMES),
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=length,
        initializer_range=0.6,  # answers that differ from place to place
    )
    DistilBertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_masked_lm(folder, device=torch.device("cpu"))


@pytest.fixture
def exact(monkeypatch):
    """In float32: in bfloat16 a text's answer depends a little on what it is read with."""
    monkeypatch.setattr(model_signals, "has_bf16", lambda _: False)


def said_by_hand(loaded, ids, place):
    """unwanted, confidence, entropy, margin of the whole model on one text, without batches and padding."""
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([ids])).logits[0, place]
    chances = torch.softmax(logits.double(), -1)
    unwanted = sum(chances[NAMES.index(word)].item() for word in ("expensive", "ugly"))
    first, second = chances.sort(descending=True).values[:2].tolist()
    return unwanted, first, -(chances * chances.log()).sum().item(), first - second


def masked(*words):
    return [NAMES.index(word) for word in ("[CLS]", *words, "[SEP]")], 1 + words.index("[MASK]")


def values(found, number):
    return [found[name][number] for name in model_signals.NAMES]


# --- what is asked --------------------------------------------------------------------------------------------------


def slots(text, words=WORDS, **kwargs):
    return [text[slot.start : slot.end] for slot in Descriptions(words, **kwargs).find(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nike shoes are very expensive", ["expensive"]),
        ("NIKE's shoes feel SOFT, and so light!", ["SOFT", "light"]),
        ("Nike: they're really quite sturdy", ["sturdy"]),
        ("Nike. Extremely well made, pretty good", ["good"]),
        ("Nike shoes are the best", []),
        ("Nike shoes are in a box", []),
        ("Nike shoes are. Very", []),
        ("Nike shoes are, well, very - cheap", []),
        ("These are Nike shoes and Puma is Puma", []),
        ("Nike is 42", []),
        ("I like the fit. Nike!", ["fit"]),
        ("Nike is good-looking, not goodlooking", ["good-looking"]),
        ("Nike is fashionable but unfashionably expensive", ["fashionable", "expensive"]),
        ("Nike shoes are not expensive", []),
        ("Nike shoes are not very expensive but isn't it so heavy", ["heavy"]),
        ("Nike shoes aren't too warm", []),
        ("Not only expensive. Nike never is cheap", ["expensive"]),
        ("Puma shoes are very expensive", []),
        ("unnikely shoes are very expensive", []),
        ("", []),
    ],
)
def test_a_slot_is_a_listed_word_or_what_stands_behind_a_copula_or_a_word_of_degree(text, found):
    assert slots(text) == found


def test_listed_words_come_first_where_a_text_has_too_many_slots():
    text = "Nike is warm, is red, is blue, is ugly, is expensive, is green"
    assert slots(text) == ["warm", "red", "ugly", "expensive"]
    assert len(slots("Nike is ugly. " * 50)) == MOST


def test_phrases_are_one_slot_and_brands_are_found_as_the_rules_find_them():
    words = Words(brands=("nik",), unwanted=("poor quality",))
    assert slots("Nikes are poor  quality", words) == []
    assert slots("Nikes are poor  quality", words, matching="substring") == ["poor  quality"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(SCRAPS)))
def test_slots_are_words_of_the_text_that_do_not_meet(words):
    text = " ".join(words)
    found = Descriptions(WORDS).find(text)
    assert len(found) <= MOST
    assert all(0 <= slot.start < slot.end <= len(text) for slot in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(not text[slot.start : slot.end].isspace() for slot in found)
    assert not found or "nike" in text.lower()


# --- what is answered -----------------------------------------------------------------------------------------------


def test_every_model_signal_is_answered():
    assert set(model_signals.NAMES) == set(MODEL_SIGNALS)


def test_a_text_is_answered_as_by_the_whole_model_asked_by_hand(loaded, exact):
    found = ModelSignals(loaded, WORDS)(TEXTS)
    expected = said_by_hand(loaded, *masked("nike", "shoes", "are", "very", "[MASK]"))
    assert values(found, 0) == pytest.approx(expected, rel=1e-4)


def test_of_several_slots_the_one_with_most_unwanted_words_answers(loaded, exact):
    words = ["nike", "shoes", "are", "warm", ",", "so", "light", "and", "comfortable"]
    each = [
        said_by_hand(loaded, *masked(*["[MASK]" if word == slot else word for word in words]))
        for slot in ("warm", "light", "comfortable")
    ]
    assert len({round(said[0], 6) for said in each}) == 3
    assert values(ModelSignals(loaded, WORDS)(TEXTS), 1) == pytest.approx(max(each), rel=1e-4)


def test_a_word_of_several_tokens_is_one_gap(loaded, exact):
    gaps = list(ModelSignals(loaded, WORDS).gaps(["They are good-looking, Nike"]))
    assert [[NAMES[token] for token in gap.ids] for gap in gaps] == [
        ["[CLS]", "they", "are", "[MASK]", ",", "nike", "[SEP]"]
    ]
    assert [gap.place for gap in gaps] == [3]


def test_what_names_no_brand_or_describes_nothing_has_no_answer(loaded):
    found = ModelSignals(loaded, WORDS)(TEXTS)
    for name in model_signals.NAMES:
        assert np.isnan(found[name]).tolist() == [False, False, True, True, False, False, False]
        assert found[name].shape == (len(TEXTS),)


def test_answers_keep_their_bounds(loaded):
    found = ModelSignals(loaded, WORDS)(TEXTS * 3)
    there = ~np.isnan(found["model_entropy"])
    for name in ("unwanted_probability", "model_confidence", "model_margin"):
        assert ((found[name][there] >= 0) & (found[name][there] <= 1)).all()
    assert (found["model_margin"][there] <= found["model_confidence"][there]).all()
    assert (found["model_entropy"][there] <= math.log(len(NAMES)) + 1e-6).all()


def test_an_answer_does_not_depend_on_what_is_read_beside_it(loaded, exact, monkeypatch):
    signals = ModelSignals(loaded, WORDS)
    together = signals(TEXTS)
    monkeypatch.setattr(model_signals, "_TEXTS", 2)
    monkeypatch.setattr(model_signals, "_TOKENS", {"cpu": 20})
    parts = signals(TEXTS)
    for number, text in enumerate(TEXTS):
        alone = signals([text])
        assert values(alone, 0) == pytest.approx(values(together, number), rel=1e-4, nan_ok=True)
        assert values(parts, number) == pytest.approx(values(together, number), rel=1e-4, nan_ok=True)


def test_in_bfloat16_the_answer_is_nearly_the_same(loaded, monkeypatch):
    signals = ModelSignals(loaded, WORDS)
    found = []
    for bf16 in (False, True):
        monkeypatch.setattr(model_signals, "has_bf16", lambda _, bf16=bf16: bf16)
        found.append(signals(TEXTS[:2])["unwanted_probability"])
    assert found[0] == pytest.approx(found[1], abs=0.05)


def test_only_what_the_model_can_read_around_a_slot_is_read(loaded, exact):
    around = ["Nike"] + ["box"] * 100 + ["ugly"] + ["light"] * 100
    (gap,) = ModelSignals(loaded, WORDS).gaps([" ".join(around)])
    read = [NAMES[token] for token in gap.ids]
    assert len(read) == loaded.longest == 48
    half = (48 - 3) // 2
    assert read == ["[CLS]", *["box"] * half, "[MASK]", *["light"] * (48 - 3 - half), "[SEP]"]


@pytest.mark.parametrize("at", [0, 3, 60, 99])
def test_near_an_end_the_window_reaches_further_to_the_other_side(loaded, at):
    words = ["nike"] * 100
    words[at] = "ugly"
    (gap,) = ModelSignals(loaded, WORDS).gaps([" ".join(words)])
    assert len(gap.ids) == 48
    assert gap.ids[gap.place] == NAMES.index("[MASK]")
    assert gap.place == min(1 + at, max(1 + 45 // 2, 48 - 1 - (100 - at)))


def test_what_looks_like_a_special_token_in_a_text_is_plain_text(loaded):
    (gap,) = ModelSignals(loaded, WORDS).gaps(["Nike [MASK] is ugly [SEP] [PAD]"])
    read = [NAMES[token] for token in gap.ids]
    assert read.count("[MASK]") == read.count("[SEP]") == read.count("[CLS]") == 1
    assert "[PAD]" not in read
    assert read[:6] == ["[CLS]", "nike", "[", "mask", "]", "is"]


@pytest.mark.parametrize(
    "text",
    [
        "Nike is \u200b",
        "Nike is 鞋鞋 very 鞋",
        "Nike is ugly\x00",
        "Nike " * 5_000 + "is ugly",
        "\n",
    ],
)
def test_no_text_is_too_odd(loaded, text):
    found = ModelSignals(loaded, WORDS)([text])
    assert all(len(found[name]) == 1 for name in model_signals.NAMES)


def test_of_no_text_there_is_no_answer(loaded):
    assert {name: len(values) for name, values in ModelSignals(loaded, WORDS)([]).items()} == dict.fromkeys(
        model_signals.NAMES, 0
    )


def test_words_of_several_tokens_cannot_be_said_in_one_gap(loaded, exact):
    one = ModelSignals(loaded, WORDS)(TEXTS)["unwanted_probability"]
    words = Words(**{**vars(WORDS), "unwanted": ("expensive", "Ugly")})
    other = ModelSignals(loaded, words)(TEXTS[:2])["unwanted_probability"]
    assert other == pytest.approx(one[:2], rel=1e-4), "'overpriced' adds nothing, and this model knows no upper case"


@pytest.mark.parametrize("unwanted", [("overpriced",), ("鞋", "overpriced")])
def test_a_model_that_cannot_say_any_unwanted_word_is_told(loaded, unwanted):
    with pytest.raises(ShopmonError, match=r"has no unwanted word as one token: .*overpriced"):
        ModelSignals(loaded, Words(brands=("Nike",), unwanted=unwanted))


def test_a_model_whose_weights_are_no_numbers_is_told(loaded):
    broken = copy.deepcopy(loaded)
    with torch.no_grad():
        next(broken.model.parameters()).fill_(float("nan"))
    with pytest.raises(ShopmonError, match="no number"):
        ModelSignals(broken, WORDS)(TEXTS)


def test_batches_hold_like_lengths_within_their_bounds(loaded, monkeypatch):
    monkeypatch.setattr(model_signals, "_TOKENS", {"cpu": 60})
    monkeypatch.setattr(model_signals, "_ROWS", {"cpu": 5})
    gaps = list(ModelSignals(loaded, WORDS).gaps(TEXTS * 4))
    batches = list(model_signals._batches(gaps, "cpu"))
    assert sorted(place for batch in batches for place in batch) == list(range(len(gaps)))
    lengths = [[len(gaps[place].ids) for place in batch] for batch in batches]
    assert all(len(each) == 1 or (len(each) <= 5 and max(each) * len(each) <= 60) for each in lengths)
    assert [length for each in lengths for length in each] == sorted((len(gap.ids) for gap in gaps), reverse=True)
