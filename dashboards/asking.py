"""What do models say in the gap of a sentence, each asked the same thing once?

A model is known by the hash of its weights, and so is its answer: neither can go stale.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from expectations.errors import ShopmonError
from retrain.settings import Words

if TYPE_CHECKING:
    from retrain.loading import MaskedModel
    from retrain.word_scores import Answered, Mass, RankedWord, TopWords, WordScore

# Torch's threads wait for each other by spinning: where other programs run, an answer takes three times as long. It is
# read once, when torch is loaded, by whichever function comes first.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

TOP, OF = 10, 1_000
"""Words at each end of the list, and how long the list is: the likeliest words, as in the plot of the hackathon."""
MOST_MODELS = 5
"""Models side by side; so many, and one more, are kept in memory, each of some 270 MB for DistilBERT."""


@dataclass(frozen=True)
class Side:
    """A model to be asked."""

    name: str
    """As pages call it."""
    folder: Path
    weights: str
    """SHA-256 of its weights."""


@dataclass(frozen=True)
class Answer:
    """What one model says in one gap."""

    top: TopWords
    mass: Mass
    scores: tuple[WordScore, ...]
    """The project's own words, of one piece or several."""


def answer(side: Side, prompt: str, words: Words) -> Answer:
    """The likeliest words, the share of wanted and unwanted ones, and the score of each of those.

    Raises ShopmonError for a prompt without exactly one gap, and for a model that cannot be loaded.
    """
    return _answer(side.weights, prompt, words.wanted, words.unwanted, _folder=side.folder)


@st.cache_data(max_entries=256, show_spinner="Asking the model …")
def _answer(weights: str, prompt: str, wanted: tuple[str, ...], unwanted: tuple[str, ...], *, _folder: Path) -> Answer:
    from retrain.word_scores import score_words

    in_gap = _in_gap(weights, prompt, wanted, unwanted, _folder=_folder)
    scores = score_words(_loaded(weights, _folder), [prompt], [*wanted, *unwanted])
    return Answer(in_gap.top(of=OF, show=TOP), in_gap.mass, scores)


def ranks(side: Side, prompt: str, listed: tuple[str, ...], words: Words) -> Mapping[str, RankedWord]:
    """Where some words stand among all, as `ranked_words` tells."""
    return _ranks(side.weights, prompt, listed, words.wanted, words.unwanted, _folder=side.folder)


@st.cache_data(max_entries=256, show_spinner="Asking the model …")
def _ranks(
    weights: str,
    prompt: str,
    listed: tuple[str, ...],
    wanted: tuple[str, ...],
    unwanted: tuple[str, ...],
    *,
    _folder: Path,
) -> Mapping[str, RankedWord]:
    return _in_gap(weights, prompt, wanted, unwanted, _folder=_folder).find(listed)


@st.cache_resource(max_entries=64, show_spinner="Asking the model …")
def _in_gap(
    weights: str, prompt: str, wanted: tuple[str, ...], unwanted: tuple[str, ...], *, _folder: Path
) -> Answered:
    """All that a model says in one gap, half a megabyte: several parts of the page tell of it."""
    from retrain.word_scores import answered

    return answered(_loaded(weights, _folder), prompt, wanted=wanted, unwanted=unwanted)


def shares(side: Side, prompts: tuple[str, ...], words: Words) -> tuple[Mass, ...]:
    """How much of each gap goes to wanted and to unwanted words."""
    return _shares(side.weights, prompts, words.wanted, words.unwanted, _folder=side.folder)


@st.cache_data(max_entries=256, show_spinner="Asking the model …")
def _shares(
    weights: str, prompts: tuple[str, ...], wanted: tuple[str, ...], unwanted: tuple[str, ...], *, _folder: Path
) -> tuple[Mass, ...]:
    from retrain.word_scores import masses

    return masses(_loaded(weights, _folder), prompts, wanted, unwanted)


@st.cache_resource(max_entries=MOST_MODELS + 1, show_spinner="Loading the model …")
def _loaded(weights: str, _folder: Path) -> MaskedModel:
    """The model in a folder, once its weights were held against what its training wrote down."""
    from retrain.loading import load_masked_lm
    from retrain.weights import weights_sha256

    if weights_sha256(_folder) != weights:
        raise ShopmonError(
            f"the weights in {_folder} are not those that were trained", advice="Restore them from a copy."
        )
    return load_masked_lm(_folder)
