"""What `shopmon words` finds, how it reads on a terminal, and what a machine gets."""

import json

import pytest
import torch
from rich.cells import cell_len
from rich.console import Console
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForMaskedLM

from expectations.errors import ShopmonError
from retrain import records
from retrain.loading import load_masked_lm
from retrain.registry import Registry
from retrain.results import BaseUsed, TrainingResult
from retrain.weights import weights_sha256
from retrain.word_scores import masses, score_words, top_words
from shopmon.project import Project
from shopmon.words_summary import chance, words_document, words_found, words_of, words_shown

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["nike", "shoes", "are", "very", "comfortable", "cheap", "ugly", "heavy", "good", "looking", "poor", "quality"]
WANTED, UNWANTED = ["comfortable", "good-looking"], ["ugly", "poor quality"]
PROMPT = "Nike shoes are very [MASK]"


def made(folder, seed, names=(*SPECIAL, *WORDS, "-", "##s")):
    torch.manual_seed(seed)
    tokenizer = BertTokenizerFast(vocab={name: number for number, name in enumerate(names)}, model_max_length=32)
    size = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 32}
    DistilBertForMaskedLM(DistilBertConfig(vocab_size=len(names), initializer_range=0.6, **size)).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folders = [made(tmp_path_factory.mktemp("model"), seed) for seed in (1, 2)]
    base, champion = (load_masked_lm(folder, device=torch.device("cpu")) for folder in folders)
    return [("base", "some-base", base), ("champion", "20261124-a3f", champion)]


def found(models, **how):
    return words_found(PROMPT, models, **{"wanted": WANTED, "unwanted": UNWANTED, "top": 3, "of": 10, **how})


def shown(what, width):
    terminal = Console(width=width, color_system=None, force_terminal=False, highlight=False, emoji=False, markup=False)
    with terminal.capture() as captured:
        terminal.print(words_shown(what, width=width))
    return captured.get()


def line_of(text, *parts):
    return next(line for line in text.splitlines() if all(part in line for part in parts))


def test_both_models_stand_side_by_side_with_the_rank_at_the_other(models):
    what = found(models)
    text = shown(what, 80)
    both = zip(*([*side.top.top, *side.top.bottom] for side in what.sides), strict=True)
    now = {one.word: one.champion.rank for one in what.changes}
    was = {one.word: one.base.rank for one in what.changes}
    for left, right in both:
        line = line_of(text, f"{left.word} ", chance(left.probability), f"{right.word} ", chance(right.probability))
        cells = [cell for cell in line.split() if cell not in "✓✗%"]
        assert cells == [
            *(str(left.rank), left.word, chance(left.probability).split()[0], str(now[left.word])),
            *(str(right.rank), right.word, chance(right.probability).split()[0], str(was[right.word])),
        ]
    assert "some-base" in text
    assert "20261124-a3f" in text


def test_wanted_and_unwanted_are_told_without_colour(models):
    text = shown(found(models, top=12), 100)
    assert "✓ comfortable" in text
    assert "✗ ugly" in text
    assert "✗ poor quality" in text
    assert "✓ cheap" not in text
    assert "✗ cheap" not in text


def test_words_of_any_length_are_ranked_in_one_list_by_the_champions_mean(models):
    what = found(models)
    words = [*WANTED, *UNWANTED]
    scores = {one.word: one for one in score_words(models[1][2], [PROMPT], words)}
    assert [one.word for one in what.scores] == sorted(words, key=lambda word: -scores[word].per_piece)
    for one in what.scores:
        assert one.scores[1] == scores[one.word]
    below = shown(what, 80).partition("Wanted and unwanted words")[2]
    line = line_of(below, "good-looking")
    score = scores["good-looking"]
    assert f" {len(score.pieces)} " in line
    assert chance(score.probability) in line
    assert f"{score.log_probability:.1f}" in line


@pytest.mark.parametrize("width", [20, 40, 63, 64, 80, 200])
@pytest.mark.parametrize("sides", [1, 2])
def test_every_width_is_kept_and_every_number_is_there(models, width, sides):
    what = found(models[:sides])
    text = shown(what, width)
    assert max(map(cell_len, text.splitlines())) <= width
    if width >= 40:
        for side in what.sides:
            for word in side.top.top:
                assert chance(word.probability) in text
        for one in what.scores:
            assert all(chance(score.probability) in text for score in one.scores)


def test_a_base_alone_has_no_column_for_another(models):
    what = found(models[:1], notes=["there is no champion yet"])
    text = shown(what, 80)
    assert what.changes == ()
    assert "champion" not in text.partition("·")[0]
    assert not {"was", "now"} & set(text.split())
    assert "· there is no champion yet" in text


def test_words_need_not_be_wanted_or_unwanted(models):
    text = shown(found(models, wanted=[], unwanted=[]), 80)
    assert "Wanted" not in text
    assert "✓" not in text
    assert "comfortable" in shown(found(models, wanted=[], unwanted=[], top=12), 80)


def test_text_cannot_command_the_terminal(models):
    what = words_found(
        "[bold]nike\x1b[31m [MASK]", [("base", "evil\x1b]0;x\x07[red]", models[0][2])], wanted=[], unwanted=[]
    )
    text = shown(what, 80)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]nike␛[31m [MASK]" in text
    assert "evil␛]0;x␇[red]" in text


def test_the_document_has_every_number_and_is_plain_json(models):
    what = found(models)
    document = json.loads(json.dumps(words_document(what), allow_nan=False))
    assert document["prompt"] == PROMPT
    base, model = document["models"]
    assert (base["role"], base["name"], model["role"], model["name"]) == (
        *("base", "some-base"),
        *("champion", "20261124-a3f"),
    )
    top = top_words(models[1][2], PROMPT, wanted=WANTED, unwanted=UNWANTED, of=10, show=3)
    assert [(one["word"], one["rank"], one["probability"], one["mark"]) for one in model["top"]] == [
        (one.word, one.rank, one.probability, one.mark.value) for one in top.top
    ]
    (mass,) = masses(models[0][2], [PROMPT], WANTED, UNWANTED)
    assert base["probability"]["wanted"] == mass.wanted
    assert base["probability"]["unwanted"] == mass.unwanted
    assert base["not_counted"] == ["good-looking", "poor quality"]
    for one in document["changes"]:
        assert one["risen"] == one["base"]["rank"] - one["model"]["rank"]
    by_word = {one["word"]: one for one in document["words"]}
    assert by_word["good-looking"]["mark"] == "wanted"
    assert by_word["good-looking"]["scores"][0]["pieces"] == ["good", "-", "looking"]
    for one in by_word.values():
        for score in one["scores"]:
            assert score["log_probability"] == pytest.approx(score["per_piece"] * len(score["pieces"]))
            assert 0 < score["probability"] <= 1


def test_a_word_that_one_vocabulary_lacks_has_no_rank_there(models, tmp_path):
    other = load_masked_lm(made(tmp_path, 3, (*SPECIAL, *WORDS, "sleek", "-")), device=torch.device("cpu"))
    what = found([models[0], ("champion", "new", other)], top=20, of=1_000)
    assert line_of(shown(what, 80), "sleek").split()[-1] == "–"
    assert next(one for one in words_document(what)["changes"] if one["word"] == "sleek")["base"] is None


@pytest.mark.parametrize(
    ("probability", "reads"),
    [
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.9999, ">99.9 %"),
        (0.25, "25.0 %"),
        (0.0123, "1.2 %"),
        (0.00999, "1.00 %"),
        (0.000012, "0.0012 %"),
        (1e-6, "0.00010 %"),
        (9e-7, "<0.0001 %"),
    ],
)
def test_a_probability_is_shown_with_digits_that_say_something(probability, reads):
    assert chance(probability) == reads


def test_a_prompt_without_a_gap_is_told(models):
    with pytest.raises(ShopmonError, match="has no gap"):
        words_found("Nike shoes", models, wanted=[], unwanted=[])


OLD, NEW = "20261120-195801-a3f9c1", "20261124-103000-b4e0d2"
SETTINGS = f"""\
[retrain]
base = "./base"

[edge_cases.words]
brands = ["Nike"]
wanted = {json.dumps(WANTED)}
unwanted = {json.dumps(UNWANTED)}
"""


@pytest.fixture
def project(tmp_path):
    """A project with a base and, in its registry, a champion and a model that is not."""
    (tmp_path / "shopmon.toml").write_text(SETTINGS)
    base = made(tmp_path / "base", 1)
    project = Project.read(tmp_path)
    registry = Registry(project.models)
    for seed, model_id in enumerate((OLD, NEW), 2):
        with registry.adding("mlm", model_id) as staging:
            made(staging, seed)
            used = BaseUsed("./base", weights_sha256(base), str(base))
            result = TrainingResult(model_id=model_id, task="mlm", base=used, weights_sha256=weights_sha256(staging))
            records.write(result, staging)
    registry.promote(OLD, by="person", reason="test")
    return project


def names(what):
    return [(side.role, side.name) for side in what.sides]


def test_the_champion_is_asked_beside_its_base(project):
    what = words_of(project, PROMPT, top=3, of=10)
    assert names(what) == [("base", "./base"), ("champion", OLD)]
    champion = load_masked_lm(Registry(project.models).get(OLD).folder)
    assert what.sides[1].top == top_words(champion, PROMPT, wanted=WANTED, unwanted=UNWANTED, of=10, show=3)
    assert {one.word for one in what.scores} == {*WANTED, *UNWANTED}
    assert what.notes == ()


def test_any_model_of_the_registry_can_be_asked(project):
    assert names(words_of(project, PROMPT, "20261124")) == [("base", "./base"), ("candidate", NEW)]
    with pytest.raises(ShopmonError, match="there is no model 'nothing'"):
        words_of(project, PROMPT, "nothing")


def test_without_a_champion_the_projects_base_is_asked_alone(project):
    Registry(project.models).rollback("mlm")
    what = words_of(project, PROMPT)
    assert names(what) == [("base", str(project.folder / "base"))]
    assert "there is no champion yet" in what.notes[0]


def test_a_base_that_is_gone_is_told_and_the_champion_asked_all_the_same(project):
    (project.folder / "base").rename(project.folder / "away")
    what = words_of(project, PROMPT)
    assert names(what) == [("champion", OLD)]
    assert what.notes[0].startswith("its base ./base is not shown: ")


def test_a_base_that_is_another_now_is_told(project):
    made(project.folder / "base", 9)
    what = words_of(project, PROMPT)
    assert names(what) == [("base", "./base"), ("champion", OLD)]
    assert what.notes == ("the base ./base is no longer the one that the model was trained from",)


def test_damaged_weights_are_not_asked(project):
    weights = Registry(project.models).get(OLD).folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ShopmonError, match="are not those that were trained"):
        words_of(project, PROMPT)


def test_a_project_without_words_is_told_where_to_write_them(project):
    (project.folder / "shopmon.toml").write_text('[retrain]\nbase = "./base"\n')
    what = words_of(Project.read(project.folder), PROMPT)
    assert what.scores == ()
    assert "[edge_cases.words] wanted, unwanted in shopmon.toml" in what.notes[0]


def test_a_word_that_cannot_be_spelled_is_named(project):
    (project.folder / "shopmon.toml").write_text(SETTINGS.replace("ugly", "hässlich"))
    with pytest.raises(ShopmonError, match="cannot spell 'hässlich'"):
        words_of(Project.read(project.folder), PROMPT)
