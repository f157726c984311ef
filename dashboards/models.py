"""Which models and trainings are there, and what did each tell while it was trained?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from dashboards.shop import Shop
from expectations.errors import ShopmonError
from retrain.metrics import FILE_NAME, told
from retrain.registry import Damaged, Registered, Registry
from retrain.unfinished import Unfinished, unfinished

BASE = "base"


@dataclass(frozen=True)
class Named:
    """A model as pages call it: v1 is the oldest of its task."""

    model: Registered
    number: int

    @property
    def short(self) -> str:
        """As `v2`, with a star for the champion."""
        return f"v{self.number}{' ★' if self.model.is_champion else ''}"

    @property
    def full(self) -> str:
        """As `v2 ★  20261120-195801-a3f9c1`."""
        return f"{self.short}  {self.model.model_id}"


def models(shop: Shop, task: str | None = None) -> tuple[Named, ...]:
    """The whole models of the registry, the newest first."""
    found = _models(str(shop.project.models), _stamp(shop.project.models))
    ages: dict[str, int] = {}
    named = []
    for model in sorted(found, key=lambda one: (one.created, one.model_id)):
        ages[model.task] = ages.get(model.task, 0) + 1
        named.append(Named(model, ages[model.task]))
    return tuple(one for one in reversed(named) if task in (None, one.model.task))


def damaged(shop: Shop) -> tuple[Damaged, ...]:
    """The folders of the registry that are no whole models."""
    return _damaged(str(shop.project.models), _stamp(shop.project.models))


def champions(shop: Shop) -> Mapping[str, Named | str]:
    """Task → its champion, or why it cannot be used; tasks without a champion are left out."""
    registry, found = Registry(shop.project.models), {one.model.model_id: one for one in models(shop)}
    told_of: dict[str, Named | str] = {}
    for task in sorted({one.model.task for one in found.values()} | {one.task for one in damaged(shop)}):
        try:
            champion = registry.champion(task)
        except ShopmonError as error:
            told_of[task] = str(error)
            continue
        if champion is not None:
            told_of[task] = found.get(champion.model_id) or Named(champion, 0)
    return told_of


@st.cache_data(max_entries=4, show_spinner="Reading the models …")
def _models(folder: str, stamp: tuple[Any, ...]) -> tuple[Registered, ...]:
    return Registry(Path(folder)).models()


@st.cache_data(max_entries=4, show_spinner=False)
def _damaged(folder: str, stamp: tuple[Any, ...]) -> tuple[Damaged, ...]:
    return Registry(Path(folder)).damaged()


def _stamp(folder: Path) -> tuple[Any, ...]:
    """What says that a registry is still the same: its records, their times and their sizes."""
    files = sorted([*folder.glob("*/*/training.json"), *folder.glob("*/*.json"), *folder.glob("*/*/*.safetensors")])
    there = sorted(str(path) for path in folder.glob("*/*") if path.is_dir())
    return (*there, *((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@dataclass(frozen=True)
class Told:
    """What a training told, line by line."""

    name: str
    """As pages call it."""
    model_id: str
    lines: Sequence[Mapping[str, Any]]

    def train(self, field: str) -> list[dict[str, Any]]:
        """A figure of its steps, as step, run, value and set; what is no number is left out."""
        return [
            {"step": line["step"], "run": self.name, "value": line[field], "set": "training"}
            for line in self.lines
            if line["event"] == "train" and isinstance(line.get(field), int | float)
        ]

    def parts(self) -> list[dict[str, Any]]:
        """The parts of the objective over the steps."""
        return [
            {"step": line["step"], "run": self.name, "value": value, "set": part}
            for line in self.lines
            if line["event"] == "train"
            for part, value in (line.get("parts") or {}).items()
            if isinstance(value, int | float)
        ]

    def held_out(self, figure: str) -> list[dict[str, Any]]:
        """The loss or perplexity of every set of held-out texts: the base's at step 0, then each evaluation's."""
        return [
            {"step": step, "run": self.name, "value": value, "set": name}
            for step, line in self._evaluations()
            for name, value in (line.get(figure) or {}).items()
            if isinstance(value, int | float)
        ]

    def classified(self) -> list[dict[str, Any]]:
        """The figures of a classifier on held-out pairs, each a set of its own; none of a masked model."""
        return [
            {"step": step, "run": self.name, "value": value, "set": name}
            for step, line in self._evaluations()
            for name, value in (line.get("classification") or {}).items()
            if isinstance(value, int | float)
        ]

    def masses(self, words: str) -> list[dict[str, Any]]:
        """The probability of wanted or unwanted words on every set of prompts."""
        return [
            {"step": step, "run": self.name, "value": masses[words], "set": contrast}
            for step, line in self._evaluations()
            for contrast, masses in (line.get("masses") or {}).items()
            if isinstance(masses, Mapping) and isinstance(masses.get(words), int | float)
        ]

    def _evaluations(self) -> list[tuple[int, Mapping[str, Any]]]:
        begun = [(0, line["base"]) for line in self.lines if line["event"] == "begin" and line.get("base")]
        return begun[-1:] + [(line["step"], line) for line in self.lines if line["event"] == "eval"]


def told_by(named: Named) -> Told:
    """What the training of a registered model told; nothing where its file is gone."""
    file = named.model.folder / FILE_NAME
    stamp = (file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else (0, 0)
    return Told(named.short, named.model.model_id, _told(str(file), stamp))


def told_so_far(training: Unfinished) -> Told:
    """What a training told that is not done; read anew each time, for it goes on."""
    return Told(f"now ({training.model_id[-6:]})", training.model_id, told(training.metrics))


@st.cache_data(max_entries=32, show_spinner=False)
def _told(file: str, stamp: tuple[int, int]) -> tuple[Mapping[str, Any], ...]:
    return told(Path(file))


def going_on(shop: Shop) -> tuple[Unfinished, ...]:
    """The trainings that are not done, the newest first."""
    return unfinished(shop.project.training)
