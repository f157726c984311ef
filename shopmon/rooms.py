"""What do the project's settings mean to the rooms that do the work?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shopmon.project import Project

if TYPE_CHECKING:
    from monitor.drift import DriftSettings
    from monitor.edge_cases import EdgeCaseSettings
    from monitor.evidently_report import EvidentlySettings
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
    from monitor.edge_cases import EdgeCaseSettings, Role, Rule
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
    elsewhere = {"base", "general_text", "objective", "prompts", "gate"}
    return MlmSettings(
        base=project.base,
        words=project.words,
        prompts=project.prompts,
        objective=Objective(**said.objective.model_dump()),
        training=Training(**said.model_dump(exclude=elsewhere)),
        gate=GateSettings(**said.gate.model_dump()),
        general_text=project.general_text,
    )
