"""What do the models put into the gap of a sentence, side by side?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboards import asking, charts, inert_text
from dashboards.asking import MOST_MODELS, TOP, Answer, Side
from dashboards.frame import nothing_yet, page, told
from dashboards.models import Named, models
from dashboards.shop import Shop
from retrain.prompts import asked
from retrain.settings import MASK, Words
from shopmon.words_summary import TASK, chance

if TYPE_CHECKING:
    from retrain.word_scores import RankedWord

_OTHER_BRANDS = 4
_OF_LIST, _OF_MARK = 5, 5
"""Words of each model's list, and so many wanted and unwanted ones, whose ranks are drawn."""

Answers = Sequence[tuple[Side, Answer]]


def body(shop: Shop) -> None:
    """A prompt, each model's list, the project's own words, other contexts, and the change of ranks."""
    found = models(shop, TASK)
    if not found:
        nothing_yet(
            shop,
            "No masked model was trained yet, so there is nothing to set side by side.",
            ["retrain", f'words "Nike shoes are very {MASK}"'],
            then="shopmon words asks the base alone.",
        )
        return
    words = shop.project.words
    prompt = chosen_prompt(shop, words)
    sides = chosen_sides(found)
    if not prompt or not sides:
        inert_text.note("plain", "Choose a sentence and at least one model.")
        return
    answers = [(side, asking.answer(side, prompt, words)) for side in sides]
    with told():
        shares(answers)
    with told():
        lists(answers)
    with told():
        rank_changes(answers, words)
    with told():
        own_words(answers, words)
    with told():
        contexts(shop, sides, prompt, words)


# --- what is asked, and of whom ---------------------------------------------------------------------------------------


def chosen_prompt(shop: Shop, words: Words) -> str:
    """One of the gate's prompts, or a person's own sentence."""
    known = asked(shop.project.prompts.gate, words.brands)
    left, right = st.columns(2)
    own = right.text_input("Or type your own", key="own_prompt", placeholder=f"These boots look really {MASK}")
    listed = left.selectbox("A sentence with one gap", known, key="prompt", disabled=bool(own.strip())) if known else ""
    typed = own.strip()
    if typed and MASK not in typed:
        right.caption(f"Its gap was put at the end; write {MASK} where the word is to stand.")
        typed = f"{typed} {MASK}"
    return typed or listed or ""


def chosen_sides(found: Sequence[Named]) -> list[Side]:
    """Base and models, as a person wants them: at first the base, the two oldest of the newest and the champion."""
    options: dict[str, Side] = {}
    for named in found:
        base = named.model.document["base"]
        folder = Path(str(base.get("folder") or ""))
        if base.get("folder") and (folder / "config.json").is_file():
            options.setdefault(base["sha256"], Side(f"base {base['name']}", folder, base["sha256"]))
    bases = list(options)
    for named in reversed(found):
        weights = named.model.document["weights_sha256"]
        options[weights] = Side(named.short, named.model.folder, weights)
    named_in_full = {named.model.document["weights_sha256"]: named.full for named in found}
    newest = [named.model.document["weights_sha256"] for named in sorted(found, key=lambda n: not n.model.is_champion)]
    first = bases[:1] + [one for one in options if one in newest[: MOST_MODELS - 2]]
    picked = st.multiselect("Models", list(options), default=first, max_selections=MOST_MODELS,
                            format_func=lambda one: named_in_full.get(one, options[one].name), key="sides")  # fmt: skip
    if not bases:
        inert_text.note("plain", "The base is not on this machine any more; shopmon words makes it anew.")
    return [options[one] for one in options if one in picked]


# --- how it is shown --------------------------------------------------------------------------------------------------


def shares(answers: Answers) -> None:
    """How much of the gap goes to wanted and to unwanted words, and to what is no word."""
    prompt = answers[0][1].top.prompt
    inert_text.show(f'<span style="font-size:1.3rem">{inert_text.escaped(prompt)}</span>')
    rows = [
        [
            inert_text.escaped(side.name),
            *(chance(share) for share in (answer.mass.wanted, answer.mass.unwanted, answer.top.words,
                                          answer.top.punctuation, answer.top.pieces)),
        ]
        for side, answer in answers
    ]  # fmt: skip
    heads = ["model", "wanted words", "unwanted words", "all words", "punctuation", "word parts"]
    inert_text.table(heads, rows, numbers=range(1, 6))


def lists(answers: Answers) -> None:
    """The likeliest words of each model, and the last of the likeliest thousand."""
    of = max(answer.top.of for _, answer in answers)
    st.subheader(f"The likeliest {TOP}, and the last {TOP} of the likeliest {of:,}", anchor=False)
    st.caption("✓ wanted, ✗ unwanted words, as shopmon.toml names them; all models on the same axes.")
    places = st.columns(2 if len(answers) in (2, 4) else min(len(answers), 3))
    most = [max(word.probability for _, answer in answers for word in side(answer)) for side in (_first, _last)]
    for at, (side, answer) in enumerate(answers):
        with places[at % len(places)]:
            inert_text.show(f"<b>{inert_text.escaped(side.name)}</b>")
            for words, title, end in zip((_first(answer), _last(answer)), _ENDS, most, strict=True):
                rows = [_bar(word) for word in words]
                st.altair_chart(charts.ranked_words(rows, title, end), alt=f"{title}: {side.name}")


_ENDS = ("probability", "probability, last of the list")


def _first(answer: Answer) -> Sequence[RankedWord]:
    return answer.top.top


def _last(answer: Answer) -> Sequence[RankedWord]:
    return answer.top.bottom or answer.top.top


def _bar(word: RankedWord) -> dict[str, Any]:
    sign = {"wanted": " ✓", "unwanted": " ✗"}.get(word.mark.value, "")
    return {
        "label": f"{word.rank:,}  {word.word}{sign}",
        "word": word.word,
        "rank": word.rank,
        "probability": word.probability,
        "mark": word.mark.value,
    }


def rank_changes(answers: Answers, words: Words) -> None:
    """Where the words of all lists stand with each model."""
    if len(answers) < 2:
        return
    st.subheader("How ranks change from model to model", anchor=False)
    listed = dict.fromkeys(word.word for _, answer in answers for word in answer.top.top)
    judged = dict.fromkeys(score.word for _, answer in answers for score in answer.scores if len(score.pieces) == 1)
    names = tuple(dict.fromkeys([*listed, *judged]))
    prompt = answers[0][1].top.prompt
    by_side = {side.name: asking.ranks(side, prompt, names, words) for side, _ in answers}
    drawn = _drawn(answers, by_side)
    rows = [
        {"word": one.word, "model": name, "rank": one.rank, "probability": one.probability, "mark": one.mark.value}
        for name, ranked in by_side.items()
        for one in ranked.values()
        if one.word in drawn
    ]
    st.altair_chart(charts.ranks(rows, list(by_side)), alt="Rank of each word with each model")
    with st.expander("The ranks as a table"):
        st.dataframe(
            [
                {"word": name} | {model: of[name].rank if name in of else None for model, of in by_side.items()}
                for name in names
            ],
            hide_index=True,
        )  # fmt: skip


def _drawn(answers: Answers, by_side: Mapping[str, Mapping[str, RankedWord]]) -> set[str]:
    """The words whose lines are drawn: the first of every list, and the wanted and unwanted ones that rank highest."""
    chosen = {word.word for _, answer in answers for word in answer.top.top[:_OF_LIST]}
    for mark in ("wanted", "unwanted"):
        best: dict[str, int] = {}
        for ranked in by_side.values():
            for one in ranked.values():
                if one.mark.value == mark:
                    best[one.word] = min(best.get(one.word, one.rank), one.rank)
        chosen.update(sorted(best, key=lambda word: best[word])[:_OF_MARK])
    return chosen


def own_words(answers: Answers, words: Words) -> None:
    """The project's wanted and unwanted words, of one piece or several, with each model."""
    if not answers[0][1].scores:
        inert_text.note(
            "plain", "No words are wanted or unwanted here: write them to [edge_cases.words] in shopmon.toml."
        )
        return
    st.subheader("Wanted and unwanted words", anchor=False)
    rows = [
        {"model": side.name, "words": which, "mass": mass}
        for side, answer in answers
        for which, mass in (("wanted", answer.mass.wanted), ("unwanted", answer.mass.unwanted))
    ]
    st.altair_chart(charts.masses(rows, [side.name for side, _ in answers]), alt="Wanted and unwanted words by model")
    scores = {side.name: {score.word: score for score in answer.scores} for side, answer in answers}
    last = scores[answers[-1][0].name]
    ordered = sorted(last, key=lambda word: -last[word].per_piece)
    with st.expander(f"All {len(ordered)} words"):
        inert_text.table(
            ["word", "is", "pieces", *scores],
            [
                [
                    inert_text.escaped(word),
                    "✓ wanted" if word in words.wanted else "✗ unwanted",
                    str(len(last[word].pieces)),
                    *(chance(of[word].probability) if word in of else "–" for of in scores.values()),
                ]
                for word in ordered
            ],
            numbers=range(2, 3 + len(scores)),
        )
        st.caption("Of several pieces, the geometric mean of their probabilities.")


def contexts(shop: Shop, sides: Sequence[Side], prompt: str, words: Words) -> None:
    """The same sentence of other brands, and complaints: what must not change there."""
    groups = _contexts(shop, prompt, words)
    if not groups:
        return
    st.subheader("Elsewhere: what should stay as the base has it", anchor=False)
    places = st.columns(len(groups))
    for place, (title, prompts) in zip(places, groups.items(), strict=True):
        rows = []
        for side in sides:
            found = asking.shares(side, prompts, words)
            for name in ("wanted", "unwanted"):
                mean = sum(getattr(one, name) for one in found) / len(found)
                rows.append({"model": side.name, "words": name, "mass": mean})
        with place:
            st.markdown(f"**{title}**")
            st.altair_chart(charts.masses(rows, [side.name for side in sides]), alt=title)
            inert_text.show(f'<span class="sm-faint">{"<br>".join(map(inert_text.escaped, prompts))}</span>')


def _contexts(shop: Shop, prompt: str, words: Words) -> dict[str, tuple[str, ...]]:
    """Title → prompts; a sentence that names none of our brands has no counterpart of other brands."""
    found: dict[str, tuple[str, ...]] = {}
    ours = next((brand for brand in words.brands if brand.lower() in prompt.lower()), None)
    if ours is not None:
        at = prompt.lower().index(ours.lower())
        others = words.other_brands[:_OTHER_BRANDS]
        swapped = tuple(prompt[:at] + other + prompt[at + len(ours) :] for other in others)
        found["Other brands"] = swapped
    complaints = asked(shop.project.prompts.gate_complaints, words.brands)
    found["Complaints about our brands"] = complaints
    return {title: prompts for title, prompts in found.items() if prompts}


if __name__ == "__main__":
    page("Word scores", "What do the models put into the gap of a sentence, side by side?", body)
