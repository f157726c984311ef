from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from ruamel.yaml import YAML

from retrain.model_card import model_card
from retrain.results import (
    BaseUsed,
    Contrast,
    DataUsed,
    FillIn,
    Gate,
    GateCheck,
    MassMeasure,
    Measures,
    Role,
    TextMeasure,
    TextSet,
    TrainingResult,
)

PROMPT = "{brand} shoes are very [MASK]"


def measures(unwanted: float, perplexity: float, *words: str) -> Measures:
    return Measures(
        texts={TextSet.GENERAL: TextMeasure(5.5, perplexity, 512, 3400)},
        masses={Contrast.GATE: MassMeasure(0.5, unwanted, 3)},
        fill_ins={PROMPT: tuple(FillIn(word, 0.25) for word in words)},
    )


RESULT = TrainingResult(
    model_id="20261120-195801-a3f9c1",
    task="mlm",
    base=BaseUsed("distilbert-base-uncased", "b" * 64, "/hub/snapshots/12uncased"),
    champion_before="20261119-195801-000000",
    promoted=True,
    gate=Gate(
        (
            GateCheck("unwanted_mass", "unwanted words on the gate's prompts", 0.017, 0.02, True, None),
            GateCheck("general_perplexity", "perplexity on general text", 266.0, 278.3, True, Role.BASE),
        )
    ),
    measures={
        Role.BASE: measures(0.304, 253.0, "comfortable", "expensive"),
        Role.CHAMPION: measures(0.05, 270.0, "cheap"),
        Role.CANDIDATE: measures(0.017, 266.0, "comfortable"),
    },
    data=DataUsed(
        rows={"positive": 1040, "negative": 90},
        held_out={"positive": 104},
        general=2000,
        general_source="Python 3.11.7's documentation strings",
        set_aside=3,
        sha256="d" * 64,
        parts=("000001-1.parquet",),
    ),
    steps=50,
    best_step=40,
    seconds=63.2,
    tokens=150_000,
    weights_sha256="e" * 64,
    settings={
        "objective": {"recipe": "full", "unlikelihood": 4.0, "replay_kl": 1.0, "counterfactual_kl": 1.5},
        "words": {"brands": ["Nike", "Adidas"]},
        "general_text": None,
    },
    versions={"torch": "2.13.0"},
)
RULES = {"praises-brand": 1040, "calls-it-expensive": 90}

HOSTILE = (
    "a|b",
    "|",
    "||---|",
    "`code`",
    "``` a",
    "```",
    "`|`",
    "\\|",
    "ends in \\",
    "<script>alert(1)</script>",
    "--><img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "http://evil.example www.evil.example ann@evil.example",
    "<http://evil.example>",
    "two\nlines",
    "\r\n\r\n# A heading\n\n| a | table |\n|---|---|\n",
    "para\u2028graph",
    "---\nlicense: none\n---",
    "- item",
    "1. item",
    "> quote",
    "*bold* _em_ ~~gone~~ $x^2$",
    "&lt;script&gt; &#124;",
    "שלום",
    "مرحبا | عالم",
    "\u202egnp.exe",
    "\u2066\u2069 \u200b\ufeff",
    "\x00\x1b[31m\x7f\x9b",
    "caf\udce9",
    "👟\u200d🔥",
    "'\"\\: {}[],&*#?|-<>=!%@",
    "",
    "   ",
    " padded ",
    "x" * 5_000,
)


def blocks(card: str) -> list[Token]:
    """The card as CommonMark with tables, where raw HTML would be let through; without its front matter."""
    _, _, body = card.split("---\n", 2)
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(body)


def tokens(card: str) -> Iterator[Token]:
    for block in blocks(card):
        yield block
        yield from block.children or ()


def front_matter(card: str) -> Any:
    assert card.startswith("---\n")
    return YAML(typ="safe").load(card.split("---\n", 2)[1])


Cell = tuple[str, tuple[str, ...]]
"""What a cell shows, and the codes in it."""


def tables(card: str) -> list[list[list[Cell]]]:
    """Every table, its head first: rows of cells."""
    found: list[list[list[Cell]]] = []
    in_cell = False
    for token in blocks(card):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open"):
            in_cell = True
        elif token.type in ("td_close", "th_close"):
            in_cell = False
        elif token.type == "inline" and in_cell:
            inside = token.children or []
            codes = tuple(one.content for one in inside if one.type == "code_inline")
            found[-1][-1].append(("".join(one.content for one in inside), codes))
    return found


def table(card: str, *head: str) -> dict[str, list[str]]:
    """The table with this head: first cell → the others, as they are shown."""
    (rows,) = [one[1:] for one in tables(card) if [cell for cell, _ in one[0]] == list(head)]
    return {row[0][0]: [cell for cell, _ in row[1:]] for row in rows}


def headings(card: str) -> list[str]:
    found = blocks(card)
    return [after.content for one, after in pairwise(found) if one.type == "heading_open"]


PLAIN = model_card(RESULT, RULES)


# What it says


def test_hubs_can_read_the_front_matter() -> None:
    assert front_matter(PLAIN) == {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "base_model": "distilbert-base-uncased",
        "tags": ["shopmon", "mlm"],
    }


def test_the_offline_base_is_named_as_the_hub_knows_it() -> None:
    card = model_card(replace(RESULT, base=BaseUsed("offline", "", "/cache/base/offline-1")), RULES)
    assert front_matter(card)["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize("name", ["/home/ann/base", "models/base", "./base", "a b"])
def test_a_folder_is_no_base_that_a_hub_knows(name: str) -> None:
    assert "base_model" not in front_matter(model_card(replace(RESULT, base=BaseUsed(name, "", name)), RULES))


def test_base_champion_and_candidate_stand_side_by_side() -> None:
    said = table(PLAIN, "measure", "base", "champion", "candidate")
    assert said["unwanted words, the gate's prompts"] == ["0.304", "0.05", "0.017"]
    assert said["perplexity, general text"] == ["253", "270", "266"]
    assert said["masked tokens, general text"] == ["3,400"] * 3
    assert "perplexity, the project's own text" not in said


def test_without_a_champion_there_is_no_column_for_one() -> None:
    two = {role: RESULT.measures[role] for role in (Role.CANDIDATE, Role.BASE)}
    said = table(model_card(replace(RESULT, measures=two), RULES), "measure", "base", "candidate")
    assert said["perplexity, general text"] == ["253", "266"]


def test_what_one_model_was_not_measured_on_is_a_dash() -> None:
    of = {**RESULT.measures, Role.CHAMPION: Measures()}
    said = table(model_card(replace(RESULT, measures=of), RULES), "measure", "base", "champion", "candidate")
    assert said["perplexity, general text"] == ["253", "–", "266"]


def test_the_gate_says_each_number_and_its_limit() -> None:
    said = table(PLAIN, "check", "what was asked", "candidate", "limit", "passed")
    assert said == {
        "unwanted_mass": ["unwanted words on the gate's prompts", "0.017", "at most 0.02", "yes"],
        "general_perplexity": ["perplexity on general text", "266", "at most 278.3, by the base", "yes"],
    }


def failing(*, forced: bool) -> TrainingResult:
    checks = (
        replace(RESULT.gate.checks[0], value=0.0201),
        replace(RESULT.gate.checks[1], value=None, reason="there is no text | none"),
        GateCheck("wanted_mass", "wanted words", 0.5, 0.4, False, Role.CHAMPION),
    )
    return replace(RESULT, gate=Gate(checks), promoted=forced, forced=forced)


def test_what_failed_is_said() -> None:
    card = model_card(failing(forced=False), RULES)
    said = table(card, "check", "what was asked", "candidate", "limit", "passed")
    assert said["unwanted_mass"][1:] == ["0.0201", "at most 0.02", "no"]
    assert said["general_perplexity"][1:] == [
        "not measured: there is no text | none",
        "at most 278.3, by the base",
        "no",
    ]
    assert said["wanted_mass"][1:] == ["0.5", "at least 0.4, by the champion", "yes"]
    assert "It was kept back: 2 of 3 checks failed." in card


def test_how_it_became_champion_is_said() -> None:
    assert "It became champion: it passed each of the gate's 2 checks." in PLAIN
    assert "although the gate said no: 2 of 3 checks failed." in model_card(failing(forced=True), RULES)
    assert "It was kept back: nothing was asked." in model_card(replace(RESULT, gate=Gate(), promoted=False), {})


def test_the_data_are_counted_by_role_and_by_rule() -> None:
    assert table(PLAIN, "role", "rows trained on", "rows held out") == {
        "positive": ["1,040", "104"],
        "negative": ["90", "0"],
    }
    assert table(PLAIN, "rule", "rows") == {"praises-brand": ["1,040"], "calls-it-expensive": ["90"]}
    assert "d" * 64 in PLAIN
    assert "000001-1.parquet" in PLAIN


def test_the_likeliest_words_stand_side_by_side() -> None:
    said = table(PLAIN, "prompt", "base", "champion", "candidate")
    assert said == {PROMPT: ["comfortable 0.250, expensive 0.250", "cheap 0.250", "comfortable 0.250"]}


def test_many_prompts_and_long_lists_are_cut_and_said_to_be() -> None:
    many = Measures(fill_ins={f"prompt {n}": (FillIn("warm", 0.5),) for n in range(25)})
    words = {"words": {"brands": [f"brand {n}" for n in range(50)]}}
    card = model_card(replace(RESULT, measures={Role.BASE: many}, settings=words), RULES)
    assert len(table(card, "prompt", "base")) == 20
    assert "5 more prompts are in `training.json`." in card
    assert table(card, "setting", "value")["words.brands"][0].endswith("brand 19, and 30 more")


def test_the_objective_says_its_weights() -> None:
    (rows,) = [one[1:] for one in tables(PLAIN) if one[0][0][0] == "part"]
    assert [(weight, on) for _, (weight, _), (on, _) in rows] == [
        ("1", "positive rows"),
        ("4.0", "negative rows, in place of their unwanted words"),
        ("1.0", "text to be remembered: the project's own and general text"),
        ("1.5", "other brands, and complaints"),
    ]


@pytest.mark.parametrize(("recipe", "says"), [("plain", "on the positive rows"), ("plain_all", "on every row")])
def test_a_plain_recipe_says_what_it_is(recipe: str, says: str) -> None:
    card = model_card(replace(RESULT, settings={"objective": {"recipe": recipe}}), RULES)
    assert f"Minimised: cross-entropy of masked words {says}" in card


def test_settings_and_versions_are_listed() -> None:
    said = table(PLAIN, "setting", "value")
    assert said["objective.unlikelihood"] == ["4.0"]
    assert said["words.brands"] == ["Nike, Adidas"]
    assert said["general_text"] == ["–"]
    assert table(PLAIN, "package", "version") == {"torch": ["2.13.0"]}


def test_the_least_of_a_result_has_a_card() -> None:
    card = model_card(TrainingResult(model_id="1", task="mlm", base=BaseUsed("offline", "")), {})
    assert "The gate asked nothing, which is no pass." in card
    assert "Nothing was measured." in card
    assert "No row of the retraining set was used." in card
    assert headings(card) == ["`1`", "Gate", "Measures", "Data", "Training", "How to load it", "Limits"]


def test_how_to_load_it_is_python() -> None:
    (code,) = [token.content for token in blocks(PLAIN) if token.type == "fence"]
    compile(code, "card", "exec")
    assert "AutoModelForMaskedLM.from_pretrained(folder)" in code


def test_passwords_in_addresses_are_not_shown() -> None:
    secret = "https://ann:secret@shop.example/text.txt"
    used = replace(RESULT.data, general_source=secret, parts=(secret,))
    settings = {"base": secret, "files": [secret]}
    card = model_card(replace(RESULT, base=BaseUsed(secret, ""), data=used, settings=settings), RULES)
    assert "shop.example" in card
    assert "secret" not in card


# What comes from data


def filled(text: str) -> tuple[TrainingResult, Mapping[str, int]]:
    """A result with one text wherever text comes from data or settings, and its rules."""
    of = Measures(
        texts=RESULT.measures[Role.BASE].texts,
        masses=RESULT.measures[Role.BASE].masses,
        fill_ins={text: (FillIn(text, 0.5), FillIn("warm", 0.1))},
    )
    return (
        replace(
            RESULT,
            model_id=text,
            task=text,
            base=BaseUsed(text, text, text),
            champion_before=text,
            gate=Gate((GateCheck(text, text, None, 0.5, True, None, text),)),
            measures=dict.fromkeys(Role, of),
            data=DataUsed(
                rows={text: 1},
                held_out={text: 1},
                general_source=text,
                sha256=text,
                parts=(text,),
            ),
            device=text,
            weights_sha256=text,
            settings={
                text: text,
                "words": {"brands": [text, "Nike"]},
                "objective": {"recipe": "full", "replay_kl": text},
            },
            versions={text: text},
            notes=(text,),
        ),
        {text: 3},
    )


ALLOWED = {
    *(
        "heading_open",
        "heading_close",
        "inline",
        "paragraph_open",
        "paragraph_close",
        "text",
        "code_inline",
        "softbreak",
    ),
    *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close"),
    *("th_open", "th_close", "td_open", "td_close", "strong_open", "strong_close", "fence", "list_item_open"),
    *("bullet_list_open", "bullet_list_close", "list_item_close"),
}
"""Of CommonMark, all that a card consists of: no HTML, no link, no image, no entity."""


def assert_inert(text: str) -> None:
    card = model_card(*filled(text))
    plain = model_card(*filled("harmless"))
    assert {token.type for token in tokens(card)} <= ALLOWED
    shown = [token.content for token in tokens(card) if token.type == "text"]
    assert not [line for line in shown if "http" in line or "www" in line or "@" in line]
    assert [token.type for token in blocks(card)] == [token.type for token in blocks(plain)]
    assert headings(card)[1:] == headings(plain)[1:]
    assert [[len(row) for row in one] for one in tables(card)] == [[len(row) for row in one] for one in tables(plain)]
    assert all(c.isprintable() or c in "\n\u2068\u2069\u200d" for c in card)
    said = front_matter(card)
    assert set(said) <= {"library_name", "pipeline_tag", "base_model", "tags"}
    assert len(said["tags"]) == 2
    assert isinstance(said["tags"][1], str)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_data_does_nothing(text: str) -> None:
    assert_inert(text)


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters() | st.sampled_from("|`\\<>[]()!*_#-\n\r\t &;:'\"\u202e"), max_size=30))
def test_no_text_does_anything(text: str) -> None:
    assert_inert(text)


@pytest.mark.parametrize(
    "text",
    ["a|b", "|", "`code`", "``` a", "`|`", "\\|", "\\\\|", "ends in \\", "<script>alert(1)</script>", "![x](http://e)"],
)
def test_text_is_shown_as_it_is(text: str) -> None:
    card = model_card(replace(RESULT, model_id=text), {text: 3})
    (rows,) = [one[1:] for one in tables(card) if one[0][0][0] == "rule"]
    assert rows == [[(text, (text,)), ("3", ())]]
    (title, *_) = [token for token in blocks(card) if token.type == "inline"]
    assert [one.content for one in title.children or ()] == [text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines", "two⏎lines"),
        ("two\r\nlines", "two⏎lines"),
        ("para\u2028graph", "para⏎graph"),
        ("a\tb\u00a0c", "a b c"),
        ("\u202egnp.exe", "�gnp.exe"),
        ("caf\udce9\x00", "caf��"),
        ("x" * 301, "x" * 300 + "…"),
        ("", "(empty)"),
        ("  ", "(blank)"),
    ],
)
def test_what_cannot_be_shown_is_replaced(text: str, shown: str) -> None:
    assert table(model_card(RESULT, {text: 3}), "rule", "rows") == {shown: ["3"]}


def test_text_from_right_to_left_is_kept_by_itself() -> None:
    assert "| \u2068`שלום`\u2069 | 3 |" in model_card(RESULT, {"שלום": 3})
