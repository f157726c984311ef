"""What do the project's settings mean to the rooms that do the work?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from expectations.errors import ProjectError
from shopmon.project import Project
from shopmon.settings import ClassifierSection

CLASSIFIERS = ("relevance", "sentiment", "category", "nli")
"""Tasks that tell classes apart, each with a section of its own below `[retrain]`."""

if TYPE_CHECKING:
    from monitor.drift import DriftSettings
    from monitor.edge_case_rules import EdgeCaseSettings
    from monitor.evidently_report import EvidentlySettings
    from retrain.category import CategorySettings
    from retrain.classifier_settings import ClassifierTraining
    from retrain.nli import NliSettings
    from retrain.relevance import RelevanceSettings
    from retrain.sentiment import SentimentSettings
    from retrain.settings import MlmSettings


def drift_settings(project: Project, by: Sequence[str]) -> DriftSettings:
    """What counts as a change; `by` names segments beyond the project's."""
    from dataclasses import replace

    from monitor.drift import DriftSettings
    from monitor.profiles import ProfileSettings
    from monitor.shift_tests import ShiftSettings
    from monitor.text_shift import TextSettings

    said = project.settings.drift
    shift, text = ShiftSettings(level=said.level, test_dates=said.dates), TextSettings()
    if said.number_floor is not None:
        shift = replace(shift, number_floor=said.number_floor)
    if said.category_floor is not None:
        shift = replace(shift, category_floor=said.category_floor)
    if said.text_floor is not None:
        text = replace(text, floor=said.text_floor)
    if said.embeddings is not None:
        from monitor.embeddings import encoder

        text = replace(text, embeddings=encoder(said.embeddings))
    return DriftSettings(
        level=said.level,
        segments=tuple(dict.fromkeys((*said.segments, *by))),
        profile=ProfileSettings(sample_rows=said.sample_rows, text_rows=said.text_rows, ignore=said.ignore),
        shift=shift,
        text=text,
    )


def evidently_settings(project: Project) -> EvidentlySettings | None:
    """How Evidently is to measure; None where the project does without."""
    from monitor.evidently_report import EvidentlySettings

    said = project.settings.drift
    return EvidentlySettings(rows=said.evidently_rows) if said.evidently else None


def edge_case_settings(project: Project) -> EdgeCaseSettings:
    """Which rows a model should learn from."""
    from monitor.edge_case_rules import EdgeCaseSettings, Role, Rule
    from monitor.signals import Words

    said = project.settings.edge_cases
    return EdgeCaseSettings(
        words=Words(**said.words.model_dump(exclude_unset=True)),
        rules={name: Rule(rule.when, Role(rule.role), rule.at_most) for name, rule in said.rules.items()},
        defaults=said.defaults,
        candidates=said.candidates,
        model_rows=said.model_rows,
        unwanted_above=said.unwanted_above,
        too_long=said.too_long,
        matching=said.matching,
    )


def mlm_settings(project: Project) -> MlmSettings:
    """How a masked model is trained, and what it must reach."""
    from retrain.settings import GateSettings, MlmSettings, Objective, Training

    said = project.settings.retrain
    elsewhere = {"base", "general_text", "objective", "prompts", "gate", *CLASSIFIERS}
    return MlmSettings(
        base=project.base,
        words=project.words,
        prompts=project.prompts,
        objective=Objective(**said.objective.model_dump()),
        training=Training(**said.model_dump(exclude=elsewhere)),
        gate=GateSettings(**said.gate.model_dump()),
        general_text=project.general_text,
    )


def relevance_settings(project: Project, preset: str | None = None) -> RelevanceSettings:
    """How a classifier of query and product is trained; `preset` takes the place of the project's.

    Raises ProjectError for settings that contradict each other.
    """
    from retrain.pairs import Missing, PairSettings, Version
    from retrain.relevance import PRESETS, Preset, RelevanceSettings

    said = project.settings.retrain.relevance
    with _told("retrain.relevance", project):
        pairs = PairSettings(
            data=tuple(map(project.address, said.data)),
            products=project.address(said.products) if said.products else None,
            product_text=said.product_text,
            classes=said.classes,
            labels=said.labels,
            grades=said.grades,
            version=Version(said.version),
            locales=said.locales,
            missing_products=Missing(said.missing_products),
            columns=project.columns.get("relevance", {}),
        )
        shared = _classifier(said, project, PRESETS[Preset(preset or said.preset)])
        substitutes = project.settings.substitutes
        return RelevanceSettings(
            **shared,
            pairs=pairs,
            gains=said.gains,
            substitute_label=substitutes.label,
            substitute_precision=substitutes.precision,
        )


def sentiment_settings(project: Project) -> SentimentSettings:
    """How a classifier of reviews is trained. Raises ProjectError for settings that contradict each other."""
    from dataclasses import replace

    from retrain.labelled_texts import TextSettings
    from retrain.sentiment import KNOWN, TRAINING, SentimentSettings

    said = project.settings.retrain.sentiment
    with _told("retrain.sentiment", project):
        usual = KNOWN.get(said.label, TextSettings(kind="reviews", text=("text",), label=said.label))
        own = {name: getattr(said, name) for name in ("classes", "labels", "grades", "left_out")}
        texts = replace(
            usual,
            data=tuple(map(project.address, said.data)),
            text=said.text,
            columns=project.columns.get("reviews", {}),
            **{name: value for name, value in own.items() if value is not None},
        )
        return SentimentSettings(**_classifier(said, project, TRAINING), texts=texts)


def category_settings(project: Project, preset: str | None = None) -> CategorySettings:
    """How a classifier of products is trained; `preset` takes the place of the project's.

    A project that names no base begins with a sentence encoder. Raises ProjectError for settings that contradict each
    other.
    """
    from retrain.category import ENCODER, PRESETS, CategorySettings, Preset
    from retrain.labelled_texts import Rare, TextSettings
    from retrain.results import HeadMethod

    said = project.settings.retrain.category
    with _told("retrain.category", project):
        texts = TextSettings(
            data=tuple(map(project.address, said.data)),
            text=said.text,
            label=said.label,
            separator=said.separator,
            classes=said.classes,
            labels=said.labels,
            least_rows=said.least_rows,
            rare=Rare(said.rare),
            group=said.group,
            numbers=said.numbers,
            categories=said.categories,
            columns=project.columns.get("products", {}),
        )
        shared = _classifier(said, project, PRESETS[Preset(preset or said.preset)])
        if "base" not in project.settings.retrain.model_fields_set:
            shared["base"] = ENCODER
        return CategorySettings(**shared, texts=texts, heads=tuple(map(HeadMethod, said.heads)))


def nli_settings(project: Project, preset: str | None = None) -> NliSettings:
    """How a model of natural language inference is trained; `preset` takes the place of the project's.

    Raises ProjectError for settings that contradict each other.
    """
    from retrain.inference_pairs import InferenceSettings
    from retrain.nli import PRESETS, NliSettings, Preset

    said = project.settings.retrain.nli
    with _told("retrain.nli", project):
        pairs = InferenceSettings(
            data=tuple(map(project.address, said.data)),
            classes=said.classes,
            labels=said.labels,
            columns=said.columns,
        )
        evaluate = {name: project.address(file) for name, file in said.evaluate.items()}
        shared = _classifier(said, project, PRESETS[Preset(preset or said.preset)])
        return NliSettings(**shared, pairs=pairs, evaluate=evaluate)


@contextmanager
def _told(section: str, project: Project) -> Iterator[None]:
    """Settings that contradict each other are told with the file and the section that hold them."""
    try:
        yield
    except ValueError as error:
        raise ProjectError(
            f"{project.file or project.folder}: [{section}]: {error}", advice="Correct it in shopmon.toml."
        ) from error


def _classifier(said: ClassifierSection, project: Project, recipe: ClassifierTraining) -> dict[str, Any]:
    """What the settings of all classifiers have in common; where the section says nothing, it is as the recipe has it.

    Raises ValueError for settings that contradict each other.
    """
    from dataclasses import fields, replace

    from retrain.classifier_settings import (
        BestBy,
        ClassifierGateSettings,
        ClassifierObjective,
        ClassifierTraining,
        Weighting,
    )
    from retrain.splits import How, Leaks, SplitSettings

    retrain = project.settings.retrain
    own = {one.name: getattr(said, one.name, None) for one in fields(ClassifierTraining)}
    own |= {"bf16": retrain.bf16, "report_to": retrain.report_to}
    training = replace(recipe, **{name: value for name, value in own.items() if value is not None})
    return {
        "base": project.base,
        "split": SplitSettings(How(said.split), said.validation, said.held_out, training.seed, Leaks(said.leaks)),
        "objective": ClassifierObjective(Weighting(said.class_weights), said.focal_gamma, said.label_smoothing),
        "training": training,
        "gate": ClassifierGateSettings(**said.gate.model_dump()),
        "best_by": BestBy(said.best_by),
        "baseline_rows": said.baseline_rows,
        "measured_rows": said.measured_rows,
    }
