"""Which words does this project's model put into a gap, base beside champion, and how does that read?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopmon.project import Project
from shopmon.telemetry import switch_off
from shopmon.terminal_text import inert, shortened

if TYPE_CHECKING:
    from retrain.loading import MaskedModel
    from retrain.word_scores import ComparedWord, Mark, Mass, RankedWord, TopWords, WordScore

TASK = "mlm"
SCHEMA_VERSION = 1
_SMALLEST = 1e-6
"""Probabilities below it are shown as less than it: nobody compares those."""
_WORTH_SAYING = 0.001
"""Probability from which on what is no word is named."""
_NARROW = 64
"""Columns below which lists stand below each other, and nats are left out."""
_MARKS: Mapping[str, tuple[str, str]] = {"wanted": ("✓", "green"), "unwanted": ("✗", "red"), "neither": (" ", "")}
"""Mark → sign and colour."""


@dataclass(frozen=True)
class Side:
    """One model's answer."""

    role: str
    """"base", "champion", or "candidate" for a model that is not champion."""
    name: str
    """The base's name, or the model's id."""
    top: TopWords
    mass: Mass


@dataclass(frozen=True)
class ScoredWord:
    """A wanted or unwanted word of the project, of one piece or several."""

    word: str
    mark: Mark
    scores: tuple[WordScore, ...]
    """One for each side."""


@dataclass(frozen=True)
class WordsFound:
    """What `shopmon words` found."""

    prompt: str
    sides: tuple[Side, ...]
    """The base, and after it the model where there is one."""
    changes: tuple[ComparedWord, ...]
    """Every word of the lists with both models; empty where there is but one."""
    scores: tuple[ScoredWord, ...]
    """The project's words, the likeliest first by the last side's mean over the pieces."""
    notes: tuple[str, ...] = ()


def words_found(
    prompt: str,
    models: Sequence[tuple[str, str, MaskedModel]],
    *,
    wanted: Sequence[str],
    unwanted: Sequence[str],
    top: int = 10,
    of: int = 1_000,
    notes: Sequence[str] = (),
) -> WordsFound:
    """What one model, or a base and a model after it, put into the gap; `models` are (role, name, model).

    Raises ShopmonError for a prompt without exactly one gap, and for words that a vocabulary cannot spell.
    """
    from retrain.word_scores import Mark, compared, masses, score_words, top_words

    tops: tuple[TopWords, ...]
    changes: tuple[ComparedWord, ...] = ()
    if len(models) == 2:
        (_, _, base), (_, _, model) = models
        both = compared(base, model, prompt, wanted=wanted, unwanted=unwanted, of=of, show=top)
        tops, changes = (both.base, both.champion), both.words
    else:
        ((_, _, model),) = models
        tops = (top_words(model, prompt, wanted=wanted, unwanted=unwanted, of=of, show=top),)
    sides = tuple(
        Side(role, name, shown, masses(model, [prompt], wanted, unwanted)[0])
        for (role, name, model), shown in zip(models, tops, strict=True)
    )
    words = {**dict.fromkeys(wanted, Mark.WANTED), **dict.fromkeys(unwanted, Mark.UNWANTED)}
    each = [score_words(model, [prompt], list(words)) for _, _, model in models]
    scores = [ScoredWord(word, mark, tuple(found)) for (word, mark), *found in zip(words.items(), *each, strict=True)]
    scores.sort(key=lambda one: -one.scores[-1].per_piece)
    return WordsFound(prompt, sides, changes, tuple(scores), tuple(notes))


def words_of(
    project: Project,
    prompt: str,
    model_id: str | None = None,
    *,
    top: int = 10,
    of: int = 1_000,
    progress: Callable[[str], None] = lambda _: None,
) -> WordsFound:
    """What the project's champion puts into the gap of a sentence, beside the base that it was trained from.

    `model_id` names another model of the registry. Without one and without a champion, the project's base is asked
    alone. Raises ShopmonError for a prompt without exactly one gap, for words that a vocabulary cannot spell, and for
    models that cannot be loaded.
    """
    switch_off()
    from retrain.loading import load_masked_lm
    from retrain.registry import Registry

    registry = Registry(project.models)
    chosen = registry.champion(TASK) if model_id is None else registry.get(model_id, TASK)
    words = project.words
    notes = [] if words.wanted or words.unwanted else [_NO_WORDS]
    if chosen is None:
        notes.append("there is no champion yet: this is the base alone; train a model with: shopmon retrain")
        asked = [("base", project.base, _base(project, project.base, progress))]
    else:
        registry.verify(chosen)
        asked = _its_base(project, chosen.document["base"], notes, progress)
        asked.append(("champion" if chosen.is_champion else "candidate", chosen.model_id, chosen.folder))
    progress("asking the models" if len(asked) > 1 else "asking the model")
    models = [(role, name, load_masked_lm(folder)) for role, name, folder in asked]
    return words_found(prompt, models, wanted=words.wanted, unwanted=words.unwanted, top=top, of=of, notes=notes)


_NO_WORDS = "no words are wanted or unwanted here: write them to [edge_cases.words] wanted, unwanted in shopmon.toml"


def words_document(found: WordsFound) -> dict[str, Any]:
    """What was found, for machines: probabilities from 0 to 1, logarithms in nats, ranks from 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "prompt": found.prompt,
        "models": [_side_document(side) for side in found.sides],
        "changes": [
            {
                "word": one.word,
                "mark": one.mark.value,
                "base": _ranked_document(one.base),
                "model": _ranked_document(one.champion),
                "risen": one.risen,
            }
            for one in found.changes
        ],
        "words": [
            {"word": one.word, "mark": one.mark.value, "scores": [_score_document(score) for score in one.scores]}
            for one in found.scores
        ],
        "notes": list(found.notes),
    }


def _side_document(side: Side) -> dict[str, Any]:
    return {
        "role": side.role,
        "name": side.name,
        "of": side.top.of,
        "top": [_ranked_document(word) for word in side.top.top],
        "bottom": [_ranked_document(word) for word in side.top.bottom],
        "probability": {
            "wanted": side.mass.wanted,
            "unwanted": side.mass.unwanted,
            "words": side.top.words,
            "punctuation": side.top.punctuation,
            "pieces": side.top.pieces,
        },
        "not_counted": list(side.mass.not_counted),
    }


def _ranked_document(word: RankedWord | None) -> dict[str, Any] | None:
    if word is None:
        return None
    return {"word": word.word, "rank": word.rank, "probability": word.probability, "mark": word.mark.value}


def _score_document(score: WordScore) -> dict[str, Any]:
    return {
        "pieces": list(score.pieces),
        "log_probability": score.log_probability,
        "per_piece": score.per_piece,
        "probability": score.probability,
    }


def words_shown(found: WordsFound, *, width: int) -> Group:
    """What was found, for a terminal of `width` columns: the sentence, what fills it, and the project's own words.

    Text from the prompt, the project and the models comes out inert: no markup, no control character.
    """
    last = max(side.top.of for side in found.sides)
    lines: list[RenderableType] = [Text(inert(found.prompt), "bold"), _heads(found), Text()]
    lines.append(Text(f"The likeliest words, and the last of the likeliest {last:,}", "bold"))
    lines.extend(_lists(found, width))
    if found.scores:
        lines.extend((Text(), Text("Wanted and unwanted words", "bold"), _scores(found, width)))
        lines.append(Text("% is the geometric mean over a word's pieces; nats are those of the whole word", "dim"))
    lines.extend(Text(f"· {inert(note)}", "dim") for note in found.notes)
    return Group(*lines)


def chance(probability: float) -> str:
    """A probability (0–1) in percent, with two digits that say something.

    >>> [chance(p) for p in (0.2504, 0.0304, 0.000152, 1e-9, 0.99999)]
    ['25.0 %', '3.0 %', '0.015 %', '<0.0001 %', '>99.9 %']
    """
    share = 100 * probability
    if 0 < probability < _SMALLEST:
        return "<0.0001 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    decimals = 1 if share >= 1 or share == 0 else 1 - int(log10(share) // 1)
    return f"{share:.{decimals}f} %"


def _heads(found: WordsFound) -> Table:
    """Who was asked, and how its answer divides between what is wanted and what is not."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in found.sides:
        table.add_row(Text(side.role, "bold"), Text(inert(side.name), overflow="fold"))
        rest = (("punctuation", side.top.punctuation), ("word parts", side.top.pieces))
        parts = [(name, share, "dim") for name, share in rest if share >= _WORTH_SAYING]
        if found.scores:
            judged = (("wanted", side.mass.wanted), ("unwanted", side.mass.unwanted))
            parts[:0] = [(" ".join((_MARKS[mark][0], mark)), share, _MARKS[mark][1]) for mark, share in judged]
        table.add_row("", Text(", ").join(Text(f"{name} {chance(share)}", style) for name, share, style in parts))
    return table


def _lists(found: WordsFound, width: int) -> Iterator[Table]:
    """Each model's list, side by side where there is room."""
    many = len(found.sides)
    if width < _NARROW:
        yield from (_list(found, place, width) for place in range(many))
        return
    both = Table.grid(padding=(0, 2, 0, 0))
    both.add_row(*(_list(found, place, (width - 2 * many) // many) for place in range(many)))
    yield both


def _list(found: WordsFound, place: int, width: int) -> Table:
    """One model's likeliest words and the last of them, each with its rank at the other model."""
    side = found.sides[place]
    table = _table()
    table.add_column("", style="dim", justify="right", min_width=5, no_wrap=True)
    table.add_column(f"  {side.role}", no_wrap=True)
    table.add_column("", justify="right", min_width=9, no_wrap=True)
    if found.changes:
        table.add_column("was" if place else "now", style="dim", justify="right", min_width=6, no_wrap=True)
    elsewhere = {one.word: one.base if place else one.champion for one in found.changes}
    room = width - (5 + 1 + 1 + 9) - (1 + 6 if found.changes else 0)
    for words in (side.top.top, side.top.bottom):
        if words is side.top.bottom and words:
            table.add_row("…")
        for word in words:
            other = elsewhere.get(word.word)
            rank = [f"{other.rank:,}" if other else "–"] if found.changes else []
            table.add_row(f"{word.rank:,}", _marked(word.word, word.mark, room), chance(word.probability), *rank)
    return table


def _scores(found: WordsFound, width: int) -> Table:
    """The project's words of any number of pieces in one list, the likeliest first; on a narrow terminal only that."""
    narrow = width < _NARROW
    table = _table()
    table.add_column("", style="dim", justify="right", min_width=3, no_wrap=True)
    table.add_column("  word", no_wrap=True)
    if not narrow:
        table.add_column("pieces", justify="right", no_wrap=True)
    for side in found.sides:
        table.add_column(side.role, justify="right", min_width=9, no_wrap=True)
        if not narrow:
            table.add_column("nats", style="dim", justify="right", min_width=6, no_wrap=True)
    room = width - 4 - len(found.sides) * (10 if narrow else 17) - (0 if narrow else 7)
    for rank, one in enumerate(found.scores, 1):
        pieces = "/".join(dict.fromkeys(str(len(score.pieces)) for score in one.scores))
        cells = [] if narrow else [pieces]
        for score in one.scores:
            cells.extend([chance(score.probability)] if narrow else [chance(score.probability), _nats(score)])
        table.add_row(f"{rank:,}", _marked(one.word, one.mark, room), *cells)
    return table


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)


def _nats(score: WordScore) -> str:
    return f"{score.log_probability:.1f}"


def _marked(word: str, mark: Mark, room: int) -> Text:
    """A word behind its sign, so that it can be told without colour."""
    sign, style = _MARKS[mark]
    return Text(f"{sign} {shortened(inert(word), max(room - 2, 4))}", style)


def _its_base(
    project: Project, said: Mapping[str, Any], notes: list[str], progress: Callable[[str], None]
) -> list[tuple[str, str, Path]]:
    """The base that a model was trained from; none, and a note, where it is not to be had."""
    from expectations.errors import ShopmonError
    from retrain.weights import weights_sha256

    name, folder = str(said["name"]), Path(str(said.get("folder") or "."))
    try:
        if not (folder / "config.json").is_file():
            folder = _base(project, name, progress)
    except ShopmonError as error:
        notes.append(f"its base {name} is not shown: {error}")
        return []
    if weights_sha256(folder) != said["sha256"]:
        notes.append(f"the base {name} is no longer the one that the model was trained from")
    return [("base", name, folder)]


def _base(project: Project, name: str, progress: Callable[[str], None]) -> Path:
    """The folder of the base of this name, as a retraining of this project begins with it."""
    from retrain.base import load_base
    from shopmon.retraining import project_texts

    return load_base(
        name,
        project.cache,
        project_texts=tuple(project_texts(project)),
        general=project.general_text,
        held_out=project.settings.retrain.held_out,
        progress=lambda now: progress(now.doing),
    ).folder
