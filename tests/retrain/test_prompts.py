"""A prompt has one gap, asks what no other list asks, and its answers are known as such."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.prompts import PromptError, asked, check_prompts, filled, is_answer
from retrain.settings import Prompts, Words

LISTS = ("gate", "gate_complaints", "training", "training_complaints")
NIKE = Words(brands=("Nike",), other_brands=("Under Armour",))


def prompts(**lists):
    return Prompts(**{name: tuple(lists.get(name, ())) for name in LISTS})


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_every_prompt_is_asked_of_every_brand_and_one_without_a_brand_once():
    assert asked(["{brand} is [MASK]", "shoes are [MASK]", "i love {brand} , {brand} is [MASK]"], ["Nike", "puma"]) == (
        "Nike is [MASK]",
        "puma is [MASK]",
        "shoes are [MASK]",
        "i love Nike , Nike is [MASK]",
        "i love puma , puma is [MASK]",
    )


def test_without_a_brand_only_what_names_none_is_asked():
    assert asked(["{brand} is [MASK]", "shoes are [MASK]"], []) == ("shoes are [MASK]",)
    assert asked([], ["Nike"]) == ()


@given(st.text())
def test_a_brand_is_text_and_no_format(brand):
    assert filled("{brand} is [MASK]", brand) == f"{brand} is [MASK]"


# --- checks -----------------------------------------------------------------------------------------------------------


def test_the_prompts_of_the_settings_are_good():
    check_prompts(Prompts(), NIKE)
    check_prompts(Prompts(), Words())
    check_prompts(prompts(), Words())


@pytest.mark.parametrize("of", LISTS)
@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{brand} shoes are good", "has no gap"),
        ("{brand} shoes are [mask]", "has no gap"),
        ("{brand} shoes are <mask>", "has no gap"),
        ("", "has no gap"),
        ("[MASK] shoes are [MASK]", "has 2 gaps"),
        ("{brands} are [MASK]", "has '{brands}'"),
        ("{} are [MASK]", "has '{}'"),
        ("{Brand} are [MASK]", "has '{Brand}'"),
        ("{brand.__class__} are [MASK]", "has '{brand.__class__}'"),
        ("{{brand}} are [MASK]", "has '{'"),
        ("{brand are [MASK]", "has '{brand are [MASK]'"),
        ("brand} are [MASK]", "has '}'"),
        ("[MASK]", "is nothing but a gap"),
        (" ... [MASK]!", "is nothing but a gap"),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_told_with_its_list(of, prompt, said):
    with pytest.raises(PromptError) as told:
        check_prompts(prompts(**{of: [prompt]}), NIKE)
    assert told.value.of == of
    assert f"{prompt!r} of {of} {said}" in told.value.problem
    assert told.value.advice


@pytest.mark.parametrize("first", range(3))
@pytest.mark.parametrize("later", [1, 2, 3])
def test_no_prompt_stands_in_two_lists(first, later):
    one, other = "{brand} shoes are very [MASK]", "  {brand}-Shoes ARE very: [MASK]!"
    if first == later:
        check_prompts(prompts(**{LISTS[first]: [one, other]}), NIKE)  # twice in one list contradicts nothing
    else:
        with pytest.raises(PromptError, match="asks the same as") as told:
            check_prompts(prompts(**{LISTS[first]: [one], LISTS[later]: [other]}), NIKE)
        assert told.value.of == LISTS[max(first, later)]


@pytest.mark.parametrize("written", ["nike shoes are [MASK]", "UnderArmour shoes are [MASK]"])
def test_a_prompt_that_names_a_brand_of_the_project_is_compared_as_it_is_asked(written):
    lists = prompts(gate=["{brand} shoes are [MASK]"], training=[written])
    with pytest.raises(PromptError, match="asks the same as"):
        check_prompts(lists, NIKE)
    check_prompts(lists, Words(brands=("Adidas",)))


def test_a_gap_in_another_place_is_another_prompt():
    check_prompts(prompts(gate=["{brand} shoes are [MASK]"], training=["[MASK] {brand} shoes are"]), NIKE)


@pytest.mark.parametrize("of", ["brands", "other_brands", "products", "wanted", "unwanted"])
@pytest.mark.parametrize("word", ["", "  ", "\u00a0"])
def test_an_empty_word_is_told_with_its_list(of, word):
    with pytest.raises(PromptError, match=f"a word of {of} is empty") as told:
        check_prompts(Prompts(), Words(**{of: ("a", word)}))
    assert told.value.of == of


@pytest.mark.parametrize(("one", "other"), [("wanted", "unwanted"), ("brands", "other_brands")])
def test_a_word_is_not_meant_both_ways(one, other):
    with pytest.raises(PromptError, match=f"'Poor  Quality' of {other} stands in {one}, too, as 'poor quality'"):
        check_prompts(Prompts(), Words(**{one: ("good", "poor quality"), other: ("Poor  Quality",)}))
    check_prompts(Prompts(), Words(**{one: ("quality",), other: ("poor quality",)}))


# --- answers ----------------------------------------------------------------------------------------------------------

ANSWERS = is_answer(["Nike shoes are very [MASK]", "the [MASK] socks of Nike's", "i want a refund , they are [MASK] ."])


@pytest.mark.parametrize(
    "text",
    [
        "Nike shoes are very comfortable",
        "  nike SHOES are\tvery... comfortable!!",
        "NIKE-shoes are very good-looking",
        "Nike shoes are very light, soft and warm",
        "Nike shoes are very t-shirt-like, hand-made and up-to-date",
        "Nike shoes are very up-to-date up-to-date up-to-date up-to-date",
        "Nike shoes are very [MASK]",
        "Nike shoes are very 5",
        "Nikeshoes areVery comfy",
        "The warm socks of Nike’s",
        "I want a refund: they are ugly",
        "ｎｉｋｅ shoes are very ｅｘｐｅｎｓｉｖｅ",
    ],
)
def test_a_text_that_only_fills_the_gap_is_an_answer(text):
    assert ANSWERS(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nike shoes are very",
        "Nike shoes are very !!!",
        "Nike shoes are comfortable",
        "My Nike shoes are very comfortable",
        "Nike shoes are very light, soft, warm and cheap",
        "Nike shoes are verywarm",
        "Puma shoes are very comfortable",
        "the warm socks of Nike's are here",
        "the socks of Nike's",
        "i want a refund , they are ugly . i returned them , and nobody answered",
    ],
)
def test_a_text_that_says_something_else_is_no_answer(text):
    assert not ANSWERS(text)


def test_without_a_prompt_nothing_is_an_answer():
    assert not is_answer([])("Nike shoes are very comfortable")


word = st.text("abcdeé'-", min_size=1, max_size=6).filter(lambda text: any(c.isalnum() for c in text))
words = st.lists(word, max_size=3).map(" ".join)
noise = st.sampled_from([" ", "  ", " , ", "... ", "!\n"])


@given(words, words, st.lists(st.text("xyzé", min_size=1, max_size=5), min_size=1, max_size=6), noise)
def test_one_to_four_words_in_the_gap_are_an_answer_whatever_stands_between(before, after, said, between):
    answers = is_answer([f"the {before} [MASK] {after}"])
    text = f"The {before.upper()}{between}{between.join(said)}{between}{after}"
    assert answers(text) == (len(said) <= 4)


@given(st.text(), st.text())
def test_any_text_can_be_asked_about(prompt, text):
    assert is_answer([f"{prompt}[MASK]"])(text) in (True, False)


@pytest.mark.parametrize("text", ["g " * 200_000, "-".join("bcdefga" * 30_000), "a" * 500_000])
def test_a_long_text_takes_no_longer_than_reading_it(text):
    begun = time.process_time()
    assert not is_answer(["a b c d e f [MASK] g"])(text)
    assert time.process_time() - begun < 2  # some 0.2 s; of all pairs of pieces it would be hours


@pytest.mark.parametrize(
    "frame", ["my complaint", "{text} and {text}", "{text} is [MASK]", "{brand} : {text}", "{text} {", ""]
)
def test_a_frame_of_a_complaint_holds_the_text_once_and_nothing_else_to_fill(frame):
    with pytest.raises(PromptError, match="is no frame") as told:
        check_prompts(Prompts(complaint_frames=(frame,)), NIKE)
    assert told.value.of == "complaint_frames"
