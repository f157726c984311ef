"""What a model puts into a gap, held against the whole model asked by hand and against transformers' own pipeline."""

import math
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaTokenizerFast,
    pipeline,
)

from expectations.errors import ShopmonError
from retrain import word_scores
from retrain.loading import load_masked_lm
from retrain.word_scores import (
    Mark,
    WordScore,
    answered,
    compared,
    gap_ids,
    masses,
    ranked_words,
    score_words,
    spelled,
    top_words,
    top_words_each,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"]
WORDS = ["nike", "puma", "shoes", "socks", "are", "very", "these", "look", "st", "a"]
WORDS += ["comfortable", "cheap", "ugly", "heavy", "good", "looking", "poor", "quality"]
PIECES = ["##yl", "##ish", "##able", "##s"]
PUNCTUATION = ["-", ".", ",", "!", "##"]
PROMPT = "Nike shoes are very [MASK]"


def saved(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_masked_lm(folder, device=torch.device("cpu"))


def wordpiece(folder, names, *, seed=1, length=48):
    tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)}, model_max_length=length)
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(names),
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=length,
        initializer_range=0.6,  # answers that differ from word to word and from place to place
    )
    return saved(folder, DistilBertForMaskedLM(config), tokenizer)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return wordpiece(tmp_path_factory.mktemp("base"), [*SPECIAL, *WORDS, *PIECES, *PUNCTUATION])


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory):
    """A model that writes the blank before a word into the word, as RoBERTa does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "n"), ("Ġn", "i"), ("Ġ", "c"), ("Ġc", "a"), ("n", "i"), ("Ã", "©"), ("Ġca", "f"), ("Ġcaf", "Ã©")]
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet, *("".join(pair) for pair in merges)]
    tokenizer = RobertaTokenizerFast(
        vocab={name: number for number, name in enumerate(names)}, merges=merges, model_max_length=60
    )
    torch.manual_seed(2)
    config = RobertaConfig(
        vocab_size=len(names),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=62,
        initializer_range=0.6,
    )
    return saved(tmp_path_factory.mktemp("byte-level"), RobertaForMaskedLM(config), tokenizer)


def by_hand(model, tokens, position):
    """Log-probabilities of every token at one place, from the whole model, one sentence at a time."""
    ids = torch.tensor([model.tokenizer.convert_tokens_to_ids(tokens)])
    with torch.no_grad():
        return model.model(input_ids=ids).logits[0, position].double().log_softmax(-1)


def id_of(model, token):
    return model.tokenizer.convert_tokens_to_ids(token)


def test_a_word_of_several_pieces_is_scored_from_left_to_right_with_the_rest_masked(model):
    frame = lambda *inside: ["[CLS]", "nike", "shoes", "are", "very", *inside, "!", "[SEP]"]  # noqa: E731
    expected = (
        by_hand(model, frame("[MASK]", "[MASK]", "[MASK]"), 5)[id_of(model, "st")]
        + by_hand(model, frame("st", "[MASK]", "[MASK]"), 6)[id_of(model, "##yl")]
        + by_hand(model, frame("st", "##yl", "[MASK]"), 7)[id_of(model, "##ish")]
    )
    (score,) = score_words(model, ["Nike shoes are very [MASK]!"], ["stylish"])
    assert score.pieces == ("st", "##yl", "##ish")
    assert score.log_probability == pytest.approx(float(expected), abs=1e-4)
    assert score.per_piece == pytest.approx(float(expected) / 3, abs=1e-4)
    assert score.probability == pytest.approx(math.exp(float(expected) / 3), rel=1e-4)


def test_a_phrase_of_two_words_is_scored_as_one_word(model):
    expected = (
        by_hand(model, ["[CLS]", "these", "look", "[MASK]", "[MASK]", "[SEP]"], 3)[id_of(model, "poor")]
        + by_hand(model, ["[CLS]", "these", "look", "poor", "[MASK]", "[SEP]"], 4)[id_of(model, "quality")]
    )
    (score,) = score_words(model, ["these look [MASK]"], ["poor quality"])
    assert score.log_probability == pytest.approx(float(expected), abs=1e-4)


def test_a_word_of_one_piece_scores_its_probability_in_the_gap(model):
    (score,) = score_words(model, [PROMPT], ["cheap"])
    shown = next(word for word in top_words(model, PROMPT, show=100).top if word.word == "cheap")
    assert score.probability == pytest.approx(shown.probability, rel=1e-5)


def test_batches_say_what_one_sentence_at_a_time_says(model, monkeypatch):
    prompts = [PROMPT, "[MASK]", "these socks look very very very [MASK] , puma socks look cheap", "socks are [MASK]."]
    words = ["cheap", "stylish", "good-looking", "poor quality", "ugly", "comfortables"]
    alone = [score for prompt in prompts for word in words for score in score_words(model, [prompt], [word])]
    monkeypatch.setattr(word_scores, "_MOST_ROWS", 7)
    monkeypatch.setattr(word_scores, "_MOST_TOKENS", 60)
    together = score_words(model, prompts, words)
    assert [(s.prompt, s.word) for s in together] == [(s.prompt, s.word) for s in alone]
    for one, other in zip(together, alone, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
    tops, mass = top_words_each(model, prompts), masses(model, prompts, ["cheap"], ["ugly"])
    for prompt, top, one in zip(prompts, tops, mass, strict=True):
        assert top.prompt == one.prompt == prompt
        assert [word.word for word in top.top] == [word.word for word in top_words(model, prompt).top]
        assert one.wanted == pytest.approx(masses(model, [prompt], ["cheap"], ["ugly"])[0].wanted, abs=1e-6)


def test_sentences_that_words_share_are_computed_once(model, monkeypatch):
    seen = []
    real = word_scores.log_probabilities
    monkeypatch.setattr(
        word_scores, "log_probabilities", lambda m, ids, *more: seen.append(len(ids)) or real(m, ids, *more)
    )
    score_words(model, [PROMPT], ["cheap", "ugly", "heavy", "poor quality", "good quality"])
    assert seen == [4]  # one mask; two masks; "poor" and a mask; "good" and a mask


@pytest.mark.parametrize("which", ["model", "byte_level"])
@pytest.mark.parametrize("prompt", ["nike socks are very [MASK]", "very [MASK] socks.", "[MASK] socks are cheap"])
def test_top_words_have_the_probabilities_of_the_fill_mask_pipeline(which, prompt, request):
    model = request.getfixturevalue(which)
    fill = pipeline("fill-mask", model=model.model, tokenizer=model.tokenizer, device="cpu", top_k=model.vocabulary)
    blank = "" if which == "model" or prompt.startswith("[") else " "
    # The pipeline leaves the blank before its mask as a token of its own, which no model was trained on.
    asked = prompt.replace(" [MASK]", "<mask>").replace("[MASK]", "<mask>") if which == "byte_level" else prompt
    said = {one["token"]: one["score"] for one in fill(asked)}
    shown = top_words(model, prompt, of=1_000, show=1_000)
    assert shown.top
    for word in shown.top:
        ids = model.tokenizer(f"{blank}{word.word}", add_special_tokens=False).input_ids
        assert len(ids) == 1
        assert word.probability == pytest.approx(said[ids[0]], rel=1e-4)
    assert [one.rank for one in shown.top] == list(range(1, len(shown.top) + 1))
    assert sorted(shown.top, key=lambda one: -one.probability) == list(shown.top)


def test_pieces_punctuation_and_special_tokens_are_no_words(model):
    shown = top_words(model, PROMPT, show=1_000)
    assert {one.word for one in shown.top} == set(WORDS)
    expected = by_hand(model, ["[CLS]", "nike", "shoes", "are", "very", "[MASK]", "[SEP]"], 5).exp()
    assert shown.words == pytest.approx(float(sum(expected[id_of(model, word)] for word in WORDS)), abs=1e-5)
    assert shown.pieces == pytest.approx(float(sum(expected[id_of(model, piece)] for piece in PIECES)), abs=1e-5)
    assert shown.punctuation == pytest.approx(float(sum(expected[id_of(model, p)] for p in PUNCTUATION)), abs=1e-5)


def test_the_bottom_is_the_end_of_what_was_looked_at_and_repeats_nothing(model):
    shown = top_words(model, PROMPT, of=9, show=3)
    assert [one.rank for one in shown.top] == [1, 2, 3]
    assert [one.rank for one in shown.bottom] == [7, 8, 9]
    assert [one.rank for one in top_words(model, PROMPT, of=4, show=3).bottom] == [4]
    everything = top_words(model, PROMPT, of=10_000, show=2)
    assert everything.of == len(WORDS)
    assert [one.rank for one in everything.bottom] == [len(WORDS) - 1, len(WORDS)]
    with pytest.raises(ShopmonError, match="0 of 10 words cannot be shown"):
        top_words(model, PROMPT, of=10, show=0)


def test_words_are_marked_whatever_their_case(model):
    shown = top_words(model, PROMPT, wanted=["Comfortable", "stylish"], unwanted=["UGLY"], show=1_000)
    marks = {one.word: one.mark for one in shown.top if one.mark is not Mark.NEITHER}
    assert marks == {"comfortable": Mark.WANTED, "ugly": Mark.UNWANTED}


def test_masses_add_up_different_words_of_one_piece_and_name_the_others(model):
    prompts = [PROMPT, "these look [MASK]"]
    found = masses(model, prompts, ["comfortable", "Comfortable", "stylish"], ["ugly", "heavy", "poor quality"])
    assert [one.prompt for one in found] == prompts
    expected = by_hand(model, ["[CLS]", "these", "look", "[MASK]", "[SEP]"], 3).exp()
    assert found[1].wanted == pytest.approx(float(expected[id_of(model, "comfortable")]), rel=1e-4)
    both = expected[id_of(model, "ugly")] + expected[id_of(model, "heavy")]
    assert found[1].unwanted == pytest.approx(float(both), rel=1e-4)
    assert found[1].not_counted == ("stylish", "poor quality")


def test_one_look_into_a_gap_says_all_that_three_say(model):
    judged = {"wanted": ["comfortable", "stylish"], "unwanted": ["ugly", "poor quality"]}
    once = answered(model, PROMPT, **judged)
    assert once.top(of=9, show=3) == top_words(model, PROMPT, **judged, of=9, show=3)
    assert (once.mass,) == masses(model, [PROMPT], **judged)
    assert once.find(["ugly", "nike"]) == ranked_words(model, PROMPT, ["ugly", "nike"], **judged)


def test_a_word_has_the_same_rank_whether_it_is_asked_for_or_listed(model):
    judged = {"wanted": ["comfortable", "stylish"], "unwanted": ["ugly"]}
    listed = top_words(model, PROMPT, **judged, of=100, show=100).top
    found = ranked_words(model, PROMPT, [word.word for word in listed], **judged)
    assert list(found.values()) == list(listed)
    assert {word: found[word].mark for word in ("comfortable", "ugly", "nike")} == {
        "comfortable": word_scores.Mark.WANTED, "ugly": word_scores.Mark.UNWANTED, "nike": word_scores.Mark.NEITHER
    }  # fmt: skip


def test_words_that_a_vocabulary_lacks_or_has_in_pieces_have_no_rank(model):
    assert ranked_words(model, PROMPT, ["stylish", "nowhere", "", "[MASK]", "##yl", ","]) == {}
    assert ranked_words(model, PROMPT, []) == {}
    with pytest.raises(ShopmonError, match="gap"):
        ranked_words(model, "no mask here", ["nike"])


def test_a_word_cannot_be_wanted_and_unwanted(model):
    with pytest.raises(ShopmonError, match=r"'Cheap' is unwanted, and 'cheap' is wanted.*Remove one of the two"):
        masses(model, [PROMPT], ["cheap"], ["Cheap"])
    with pytest.raises(ShopmonError, match="'poor quality' is unwanted, and 'Poor Quality' is wanted"):
        top_words(model, PROMPT, wanted=["Poor Quality"], unwanted=["poor quality"])


def test_no_prompt_and_no_word_have_no_answer(model):
    assert score_words(model, [], ["cheap"]) == score_words(model, [PROMPT], []) == ()
    assert masses(model, [], ["cheap"], []) == top_words_each(model, []) == ()
    assert masses(model, [PROMPT], [], [])[0].wanted == 0.0


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("Nike shoes are very comfortable", "has no gap. Write [MASK] exactly once"),
        ("", "has no gap"),
        ("[MASK] shoes are [MASK]", "has 2 gaps. Write [MASK] exactly once"),
        ("nike [mask]", "has no gap"),
        ("\udce9 [MASK]", "holds bytes that are not UTF-8"),
        ("very " * 46 + "[MASK]", "has 49 tokens; the model reads 48 at most"),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_told(model, prompt, problem):
    for ask in (lambda: top_words(model, prompt), lambda: score_words(model, [PROMPT, prompt], ["cheap"])):
        with pytest.raises(ShopmonError) as told:
            ask()
        assert problem in str(told.value)


def test_a_phrase_that_makes_the_prompt_too_long_is_told(model):
    prompt = "very " * 45 + "[MASK]"
    assert len(score_words(model, [prompt], ["cheap"])) == 1
    with pytest.raises(ShopmonError, match="with 'poor quality' in it has 49 tokens; the model reads 48 at most"):
        score_words(model, [prompt], ["cheap", "poor quality"])


def test_a_gap_may_be_written_as_the_tokenizers_own_mask(byte_level):
    assert gap_ids(byte_level.tokenizer, "ni <mask>").ids == gap_ids(byte_level.tokenizer, "ni [MASK]").ids
    with pytest.raises(ShopmonError, match="has 2 gaps"):
        gap_ids(byte_level.tokenizer, "<mask> and [MASK]")


@pytest.mark.parametrize("word", ["teuer", "好", "[SEP]", "[MASK]", "poor ☃x"])
def test_a_word_that_the_vocabulary_cannot_spell_is_named(model, word):
    with pytest.raises(ShopmonError) as told:
        spelled(model.tokenizer, ["cheap", word])
    assert f"the model's vocabulary cannot spell {word!r}" in str(told.value)
    assert "remove it from the list" in str(told.value)


def test_letters_that_a_vocabulary_drops_in_silence_are_told():
    letters = Tokenizer(BPE(vocab={letter: number for number, letter in enumerate("cheap")}, merges=[]))
    silent = PreTrainedTokenizerFast(tokenizer_object=letters, mask_token="[MASK]")
    assert spelled(silent, ["ape"]).several["ape"]
    with pytest.raises(ShopmonError, match="cannot spell 'apex'"):
        spelled(silent, ["apex"])


@pytest.mark.parametrize("word", ["", "  ", "\x00"])
def test_nothing_is_no_word(model, word):
    with pytest.raises(ShopmonError, match="is no word"):
        spelled(model.tokenizer, [word])


def test_words_are_told_apart_by_their_number_of_pieces(model):
    found = spelled(model.tokenizer, ["cheap", "good-looking", "Stylish"])
    assert found.single == {"cheap": id_of(model, "cheap")}
    assert {word: model.tokenizer.convert_ids_to_tokens(list(ids)) for word, ids in found.several.items()} == {
        "good-looking": ["good", "-", "looking"],
        "Stylish": ["st", "##yl", "##ish"],
    }


def test_a_word_carries_its_blank_where_the_vocabulary_says_so(byte_level):
    name = byte_level.tokenizer.convert_ids_to_tokens
    assert name(list(spelled(byte_level.tokenizer, ["ni", "café"]).single.values())) == [
        "Ġni",
        "Ġcafé".replace("é", "Ã©"),
    ]
    assert name(list(spelled(byte_level.tokenizer, ["ni"], after_blank=False).single.values())) == ["ni"]
    inside = {one.word for one in top_words(byte_level, "x [MASK]", show=1_000).top}
    assert {"ni", "café", "c", "n"} <= inside
    assert "x" not in inside  # only as a piece that goes on


def test_a_byte_level_word_of_several_pieces_is_scored_by_hand(byte_level):
    frame = lambda *inside: ["<s>", "x", *inside, "Ġ", "z", "</s>"]  # noqa: E731
    expected = (
        by_hand(byte_level, frame("<mask>", "<mask>"), 2)[id_of(byte_level, "Ġni")]
        + by_hand(byte_level, frame("Ġni", "<mask>"), 3)[id_of(byte_level, "k")]
    )
    (score,) = score_words(byte_level, ["x [MASK] z"], ["nik"])
    assert score.log_probability == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("before", [[], ["("]])
def test_a_word_at_the_beginning_or_behind_a_sign_has_no_blank(byte_level, before):
    (score,) = score_words(byte_level, [f"{''.join(before)}[MASK] z"], ["ni"])
    tokens = ["<s>", *before, "<mask>", "Ġ", "z", "</s>"]
    expected = by_hand(byte_level, tokens, 1 + len(before))[id_of(byte_level, "ni")]
    assert score.pieces == ("ni",)
    assert score.log_probability == pytest.approx(float(expected), abs=1e-4)


def test_base_and_champion_stand_side_by_side(model, tmp_path):
    champion = wordpiece(tmp_path, [*SPECIAL, *WORDS, *PIECES, *PUNCTUATION], seed=7)
    found = compared(model, champion, PROMPT, wanted=["comfortable"], unwanted=["ugly"], of=12, show=3)
    assert found.base == top_words(model, PROMPT, wanted=["comfortable"], unwanted=["ugly"], of=12, show=3)
    assert found.champion.top == top_words(champion, PROMPT, wanted=["comfortable"], unwanted=["ugly"], show=3).top
    listed = {one.word for top in (found.base, found.champion) for one in (*top.top, *top.bottom)}
    assert {one.word for one in found.words} == listed
    ranks = [one.champion.rank for one in found.words]
    assert ranks == sorted(ranks)
    everything = {m: {one.word: one for one in top_words(m, PROMPT, show=1_000).top} for m in (model, champion)}
    for one in found.words:
        before, after = everything[model][one.word], everything[champion][one.word]
        assert (one.base.rank, one.champion.rank) == (before.rank, after.rank)
        assert one.risen == before.rank - after.rank
        assert one.base.probability == before.probability


def test_vocabularies_may_differ(model, tmp_path):
    champion = wordpiece(tmp_path, [*SPECIAL, "sleek", *(word for word in WORDS if word != "a"), *PIECES, *PUNCTUATION])
    found = {one.word: one for one in compared(model, champion, PROMPT, show=1_000).words}
    assert found["sleek"].base is None
    assert found["a"].champion is None
    assert found["sleek"].risen is None
    assert found["cheap"].base.word == found["cheap"].champion.word == "cheap"
    assert list(found)[-1] == "a"


def test_a_model_that_says_nan_is_told(model, tmp_path):
    damaged = wordpiece(tmp_path, [*SPECIAL, *WORDS, *PIECES, *PUNCTUATION])
    with torch.no_grad():
        damaged.model.vocab_projector.bias.fill_(float("nan"))
    with pytest.raises(ShopmonError, match="NaN"):
        masses(damaged, [PROMPT], ["cheap"], ["ugly"])


def test_a_model_may_have_more_tokens_than_its_tokenizer(model):
    folder = model.folder.parent / "padded"
    wider = load_masked_lm(model.folder, device=torch.device("cpu"))
    wider.model.resize_token_embeddings(model.vocabulary + 7)
    padded = saved(folder, wider.model, wider.tokenizer)
    assert {one.word for one in top_words(padded, PROMPT, show=1_000).top} == set(WORDS)


def test_scores_per_piece_let_words_of_any_length_stand_in_one_list():
    short = WordScore(PROMPT, "cheap", ("cheap",), -3.0)
    assert replace(short, pieces=("a", "b", "c")).per_piece == -1.0
    assert short.probability == pytest.approx(math.exp(-3.0))
