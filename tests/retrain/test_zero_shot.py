"""Does a model that was never trained on some labels say which of them fits, as others compute it too?"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import pipeline

from expectations.errors import ShopmonError
from retrain.classifier import load_classifier
from retrain.hypotheses import HYPOTHESIS, Question
from retrain.scorer import torch_scorer
from retrain.zero_shot import Sides, ZeroShot, fits, load_zero_shot, sides

TEXTS = ("it came late", "fits small", "the quality is good and the price is bad", "warm")
LABELS = ("shipping", "size", "quality")


@pytest.fixture(scope="module")
def tiny_nli() -> ModuleType:
    """tests/retrain/tiny_nli.py."""
    spec = importlib.util.spec_from_file_location("tiny_nli", Path(__file__).with_name("tiny_nli.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tiny_nli, tmp_path_factory) -> Path:
    return tiny_nli.save_nli(tmp_path_factory.mktemp("nli") / "model")


def theirs(folder: Path, hypothesis: str, *, multi: bool) -> np.ndarray:
    """What transformers' own pipeline says of the texts."""
    ask = pipeline("zero-shot-classification", model=str(folder), tokenizer=str(folder), device="cpu")
    said = ask(list(TEXTS), candidate_labels=list(LABELS), hypothesis_template=hypothesis, multi_label=multi)
    return np.array([[one["scores"][one["labels"].index(label)] for label in LABELS] for one in said])


def in_float32(model: ZeroShot, folder: Path) -> ZeroShot:
    """The same, computed as exactly as others do, also where bfloat16 would be faster."""
    return replace(model, scorer=torch_scorer(load_classifier(folder), 32, bf16=False))


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("classes", [("contradiction", "entailment", "neutral"), ("Entailment", "NOT_ENTAILMENT")])
def test_scores_are_those_of_the_pipeline_of_transformers(tiny_nli, tmp_path, classes, multi):
    folder = tiny_nli.save_nli(tmp_path / "model", classes)
    ours = in_float32(load_zero_shot(folder, Question(LABELS, multi=multi)), folder)(TEXTS)
    np.testing.assert_allclose(ours, theirs(folder, HYPOTHESIS, multi=multi), atol=1e-5)
    assert np.ptp(ours) > 0.1, "the answers differ, so that agreeing is no accident"


def test_labels_that_share_a_text_sum_to_one_and_those_judged_alone_need_not(folder):
    alone = load_zero_shot(folder, Question(LABELS, multi=True))(TEXTS)
    shared = load_zero_shot(folder, Question(LABELS))(TEXTS)
    np.testing.assert_allclose(shared.sum(1), 1)
    assert (abs(alone.sum(1) - 1) > 0.05).any()
    assert ((alone >= 0) & (alone <= 1)).all()


def test_an_answer_does_not_depend_on_the_texts_beside_it(folder):
    model = in_float32(load_zero_shot(folder, Question(LABELS)), folder)
    np.testing.assert_allclose(model(TEXTS)[::-1], model(TEXTS[::-1]), atol=1e-6)
    np.testing.assert_allclose(model(TEXTS)[2:3], model(TEXTS[2:3]), atol=1e-6)
    assert model(()).shape == (0, 3)


def test_the_logits_matter_and_not_the_probabilities_of_one_sentence():
    """Both sentences are surely entailed, one of them far more surely: shared shares say so, probabilities do not."""
    logits = np.array([[[0.0, 10.0], [0.0, 14.0]]])
    assert fits(logits, Sides(1, 0), multi=False)[0].round(2).tolist() == [0.02, 0.98]
    assert fits(logits, Sides(1, 0), multi=True)[0].round(2).tolist() == [1.0, 1.0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=2, max_size=5), st.booleans())
def test_any_logits_give_scores(said, multi):
    found = fits(np.array([said]), Sides(2, 0), multi=multi)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    best = int(np.argmax([one[2] - (one[0] if multi else 0) for one in said]))
    assert found[0, best] == found.max()


# --- what the model reads ---------------------------------------------------------------------------------------------


def test_of_a_long_text_the_end_is_cut_and_never_the_sentence(folder):
    model = load_zero_shot(folder, Question(LABELS))
    long = "the price is bad and " * 40
    assert model.too_long(["warm", long, "x" * 25, "warm " * 24]) == [False, True, True, True]
    assert not np.allclose(model([long])[0], 1 / 3, atol=1e-3), "each label still has a sentence of its own"
    np.testing.assert_array_equal(model([long]), model([long + "and the size fits"]))
    told = model.scorer.tokenizer(
        long, model.question.sentences[1], truncation=True, max_length=model.scorer.max_length
    )["input_ids"]
    sentence = model.scorer.tokenizer(model.question.sentences[1])["input_ids"]
    assert told[-len(sentence) + 1 :] == sentence[1:]
    assert len(told) == 32


def test_a_text_that_just_fits_is_not_cut(folder):
    model = load_zero_shot(folder, Question(("size", "it")))
    room = 32 - 3 - 6
    assert model.too_long(["warm " * room, "warm " * (room + 1)]) == [False, True]
    np.testing.assert_array_equal(model(["warm " * (room + 1)]), model(["warm " * room]))


def test_names_of_special_tokens_in_a_text_or_a_label_are_text(folder):
    model = load_zero_shot(folder, Question(("[SEP] size", "size")))
    assert not np.allclose(model(["it fits [SEP] [CLS]"])[0, 0], 0.5)


def test_a_label_is_text_and_no_format(folder):
    odd = ("{0.__class__}", "%s", "a{b}c", "size\n")
    assert Question(odd).sentences[:3] == (
        "This text is about {0.__class__}.",
        "This text is about %s.",
        "This text is about a{b}c.",
    )
    assert load_zero_shot(folder, Question(odd, "{}!"))(["it fits"]).shape == (1, 4)
    assert Question(("{}", "size")).sentences[0] == "This text is about {}."


def test_a_label_that_leaves_no_room_for_a_text_is_refused(folder):
    load_zero_shot(folder, Question(("size", "fits " * 7)))
    with pytest.raises(ShopmonError, match=r"the sentence about 'fits .* has 17 tokens, and the model reads 32"):
        load_zero_shot(folder, Question(("size", "fits " * 10)))


# --- what can be asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ((), "there are no labels"),
        (("size", " "), "a label is empty"),
        (("size", "size"), "'size' stands there twice"),
        (("size", "Size  "), "'size' and 'Size  ' say the same"),
        (("size",), "'size' is the only label"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(labels, told):
    with pytest.raises(ShopmonError, match=told):
        Question(labels)


def test_one_label_may_be_asked_whether_it_fits():
    assert Question(("size",), multi=True).sentences == ("This text is about size.",)


@pytest.mark.parametrize(("written", "places"), [("this is it", 0), ("{} or {}", 2), ("", 0), ("{0}", 0)])
def test_a_hypothesis_has_one_place_for_the_label(written, places):
    with pytest.raises(ShopmonError, match=f"has {places} places for a label"):
        Question(LABELS, written)


# --- the model's classes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "entailment", "against"),
    [
        (("entailment", "neutral", "contradiction"), 0, 2),
        (("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), 2, 0),
        (("not_entailment", "entailment"), 1, 0),
        (("entails", "does not"), 0, 1),
        (("non-entailment", "neutral", "Entailed"), 2, 0),
        (("neutral", "entailment", "other"), 1, None),
    ],
)
def test_both_classes_are_found_by_name_in_any_case_and_order(classes: Sequence[str], entailment, against):
    assert sides(classes) == Sides(entailment, against)


@pytest.mark.parametrize("classes", [("LABEL_0", "LABEL_1", "LABEL_2"), ("E", "S", "C", "I"), ("positive", "negative")])
def test_a_model_without_a_class_of_entailment_is_refused_until_one_is_named(classes):
    with pytest.raises(ShopmonError, match=f"none of the model's classes is entailment.*{', '.join(classes)}") as told:
        sides(classes)
    assert "--entailment" in told.value.advice
    assert sides(classes, entailment=classes[1]).entailment == 1


def test_two_classes_that_both_say_entailment_are_not_guessed_between():
    with pytest.raises(ShopmonError, match="none of the model's classes"):
        sides(("entailment", "entailed", "neutral"))


def test_named_classes_must_be_the_models_and_different():
    with pytest.raises(ShopmonError, match="no class 'yes'; it has LABEL_0, LABEL_1"):
        sides(("LABEL_0", "LABEL_1"), entailment="yes")
    with pytest.raises(ShopmonError, match="'LABEL_0' is both classes"):
        sides(("LABEL_0", "LABEL_1"), entailment="LABEL_0", contradiction="LABEL_0")
    assert sides(("a", "b", "c"), entailment="c", contradiction="a") == Sides(2, 0)


def test_several_labels_need_a_class_that_speaks_against_them(tiny_nli, tmp_path):
    folder = tiny_nli.save_nli(tmp_path / "model", ("LABEL_0", "LABEL_1", "LABEL_2"))
    load_zero_shot(folder, Question(LABELS), entailment="LABEL_2")
    with pytest.raises(ShopmonError, match="no class of the model speaks against a label") as told:
        load_zero_shot(folder, Question(LABELS, multi=True), entailment="LABEL_2")
    assert "--contradiction" in told.value.advice
    load_zero_shot(folder, Question(LABELS, multi=True), entailment="LABEL_2", contradiction="LABEL_0")


def test_a_folder_without_a_classifier_is_refused(folder, tmp_path):
    with pytest.raises(ShopmonError, match=r"has no config\.json"):
        load_zero_shot(tmp_path, Question(LABELS))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "contradiction", "1": "entailment", "2": "neutral"}


def test_a_model_that_answers_with_no_number_is_refused(folder):
    model = load_zero_shot(folder, Question(LABELS))

    class Broken:
        max_length = 32

        def logits(self, texts, pairs, progress):
            return np.full((len(texts), 3), np.nan)

    with pytest.raises(ShopmonError, match="what is no number"):
        replace(model, scorer=Broken())(TEXTS)
