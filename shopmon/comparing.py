"""What has changed in a batch that was validated, and which of its rows should a model learn from?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from monitor.results import (
    Alarm,
    ConceptSection,
    DriftSection,
    DriftStatus,
    EdgeCaseSection,
    ExampleRow,
    Measured,
    SelectionStatus,
)
from shopmon.champions import PairChampion, masked_champion, pair_champion
from shopmon.project import Project
from shopmon.references import FIT, reference_of
from shopmon.request import Request
from shopmon.rooms import drift_settings, edge_case_settings, evidently_settings
from shopmon.topics import topic_readers

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from expectations.batch import Batch
    from monitor.concept_drift import ErrorStream
    from monitor.drift import DriftSettings
    from monitor.edge_case_rules import EdgeCaseSettings
    from monitor.edge_cases import EdgeCases
    from monitor.pair_relation import PairColumns
    from monitor.profiles import Profile, ProfileSettings
    from monitor.reference import Reference

_EDGE_CASES = "edge_cases.parquet"
"""The rows that a model should learn from, in a run's folder: a file, or a folder of parts."""
_HEARTBEAT = 0.2
"""Seconds at most from Ctrl-C until it is noticed."""
MOST_COLUMNS = 100
"""Columns that Evidently measures at most, those that drifted first: its page of thousands could not be opened."""
_EXAMPLES = 5
"""Rows that are shown of those that were selected."""


@dataclass(frozen=True)
class Compared:
    """What changed, and what was written about it."""

    section: DriftSection
    artifacts: dict[str, str] = field(default_factory=dict)
    """Name → file in the run's folder."""


class FitRows(Protocol):
    """The rows of a validated batch that are fit to be compared and to be learnt from, wherever they lie."""

    def any(self) -> bool:
        """Whether there is one."""

    def profile(self, settings: ProfileSettings, *, segments: Sequence[str], like: Profile) -> Profile:
        """What they show, in the columns and bins of another profile."""

    def errors(self) -> ErrorStream:
        """Where the model was wrong."""

    def select(self, settings: EdgeCaseSettings, into: Path, **asked: Any) -> EdgeCases:
        """Which of them a model should learn from, put into a file, or a folder of them, if there are any.

        `asked` as for `monitor.edge_cases.select`.
        """


@dataclass(frozen=True)
class RowsHere:
    """Those of a batch on this machine."""

    batch: Batch
    progress: Callable[[str], None]

    def any(self) -> bool:
        return self.batch.row_of(f"select count(*) from {FIT}") != (0,)

    def profile(self, settings: ProfileSettings, *, segments: Sequence[str], like: Profile) -> Profile:
        from monitor.profiles import profile

        return profile(self.batch, settings, segments=segments, like=like, relation=FIT, progress=self.progress)

    def errors(self) -> ErrorStream:
        from monitor.concept_drift import error_stream

        return error_stream(self.batch, FIT)

    def select(self, settings: EdgeCaseSettings, into: Path, **asked: Any) -> EdgeCases:
        import pyarrow.parquet as pq

        from monitor.edge_cases import select

        found = select(self.batch, settings, relation=FIT, progress=self.progress, **asked)
        if found.selected:
            pq.write_table(found.rows, into, compression="zstd")
        return found


def beyond_rules(
    batch: Batch, request: Request, project: Project, *, rows: FitRows, folder: Path, run_id: str
) -> tuple[Compared, EdgeCaseSection]:
    """What changed since the reference, and which rows a model should learn from; both look only at fit rows.

    The reference is the project's, or the one that was asked for. The selected rows are put into the retraining set,
    each once, after everything else has gone well.
    """
    concept = _concept(rows, request)
    reference = reference_of(request, project, batch.kind)
    settings = edge_case_settings(project)
    pairs = pair_champion(batch.kind, settings, project, request, compares=reference is not None)
    sides = _sides(batch, rows, request, project, reference, pairs) if reference else None
    # Python compares the samples while DuckDB looks for rows to learn from: neither waits for the other.
    with ThreadPoolExecutor(1, thread_name_prefix="shopmon-compare") as beside:
        comparing = beside.submit(_compared, sides, batch, request, project, folder, run_id)
        found = _selected(batch, rows, request, project, reference, pairs, folder / _EDGE_CASES)
        while wait([comparing], timeout=_HEARTBEAT).not_done:  # woken now and then, to hear of Ctrl-C
            pass
        compared = comparing.result()
    section = replace(compared.section, concept=concept)
    files = compared.artifacts | ({"edge_cases": _EDGE_CASES} if found.selected else {})
    return Compared(section, files), _gathered(found, batch, request, project, run_id)


@dataclass(frozen=True)
class _Sides:
    """A batch and what it is compared with."""

    reference: Reference
    current: Profile | None
    """None where no good row is left."""
    settings: DriftSettings
    between: PairColumns
    """What queries and products are compared by."""


def _sides(
    batch: Batch,
    rows: FitRows,
    request: Request,
    project: Project,
    reference: Reference,
    pairs: PairChampion | None,
) -> _Sides:
    from monitor.pair_relation import PairColumns, pair_columns

    own = {own: role for role, own in batch.mapping.items()}
    settings = drift_settings(project, [own.get(name, name) for name in request.by])
    if not rows.any():
        return _Sides(reference, None, settings, PairColumns())
    request.progress("profiling the batch")
    current = rows.profile(
        settings.profile,
        segments=[name for name in settings.segments if name in reference.profile.segments],
        like=reference.profile,
    )
    asks = pairs.compared_by if pairs else None
    between = pair_columns(reference.profile, current, asks, most=pairs.rows if pairs else 0)
    return _Sides(reference, current, settings, between)


def _compared(
    sides: _Sides | None, batch: Batch, request: Request, project: Project, folder: Path, run_id: str
) -> Compared:
    from monitor.derived import with_derived
    from monitor.drift import compare_with

    if sides is None:
        return Compared(DriftSection())
    if sides.current is None:
        return Compared(DriftSection(reason="every row has a fault: none is left to compare"))
    section = compare_with(
        sides.reference,
        sides.current,
        sides.settings,
        files=[part.found.name for part in batch.parts],
        derived=sides.between.columns,
        progress=request.progress,
    )
    section = replace(section, model=sides.between.model, notes=sides.between.notes)
    spread = _spread(*with_derived(sides.reference.profile, sides.current, sides.between.columns), folder)
    section, measured = _with_evidently(section, sides.reference, sides.current, request, project, folder, run_id)
    return Compared(section, spread | measured)


def _spread(reference: Profile, current: Profile, folder: Path) -> dict[str, str]:
    """Write how both sides are spread into the folder, for charts."""
    from monitor.distributions import FILE_NAME, distributions, write

    write(distributions(reference, current), folder / FILE_NAME)
    return {"distributions": FILE_NAME}


def _concept(rows: FitRows, request: Request) -> ConceptSection:
    from monitor.concept_drift import concept_drift

    stream = rows.errors()
    if stream.errors is None:
        return ConceptSection(reason=stream.reason)
    request.progress("watching the model's errors")
    found = concept_drift(stream.errors)
    return ConceptSection(
        DriftStatus.DRIFTED if found.alarms else DriftStatus.STABLE,
        stream.reason or "in date order",
        len(stream.errors),
        float(stream.errors.mean()),
        tuple(
            Alarm(a.detector.value, a.position, _moment(stream.moments, a.position), a.error_before, a.error_after)
            for a in found.alarms
        ),
    )


def _moment(moments: np.ndarray | None, position: int) -> str | None:
    return None if moments is None else str(moments[position - 1])


def _with_evidently(
    section: DriftSection,
    reference: Reference,
    current: Profile,
    request: Request,
    project: Project,
    folder: Path,
    run_id: str,
) -> tuple[DriftSection, dict[str, str]]:
    """The same section, with what Evidently measured beside each column, and its report in the folder."""
    settings = evidently_settings(project)
    if settings is None:
        return section, {}
    request.progress("Evidently measures")
    from monitor.evidently_report import report

    there = (c.column for c in section.columns if c.column in current.columns)  # what drifted comes first
    names = list(dict.fromkeys(there))[:MOST_COLUMNS]
    told = report(
        reference.profile.sample.select(names).to_pandas(),
        current.sample.select(names).to_pandas(),
        {name: reference.profile.sorts[name] for name in names},
        settings,
        folder,
        workspace=Path(request.evidently_workspace) if request.evidently_workspace else None,
        name=project.folder.absolute().name,
        run_id=run_id,
    )
    measured = {v.column: Measured(v.method, v.value, v.threshold, v.drifted, v.reason) for v in told.values}
    columns = tuple(
        replace(c, evidently=measured.get(c.column)) if c.segment is None and not c.test.startswith("missing") else c
        for c in section.columns
    )
    files = {"drift": told.html, "evidently": told.json}
    return replace(section, columns=columns), {name: file.name for name, file in files.items() if file}


def _selected(
    batch: Batch,
    rows: FitRows,
    request: Request,
    project: Project,
    reference: Reference | None,
    pairs: PairChampion | None,
    into: Path,
) -> EdgeCases:
    from monitor.pair_signals import reader
    from monitor.retraining_set import RetrainingSet
    from monitor.signals import RELEVANCE

    request.progress("selecting edge cases")
    settings = edge_case_settings(project)
    masked = masked_champion(batch.kind, settings, project, request)
    readers = dict(topic_readers(batch.kind, settings, project, request.progress))
    if pairs and pairs.in_rules:
        readers[RELEVANCE] = reader(pairs.of_batch, batch)
    found = rows.select(
        settings,
        into,
        reference=reference.profile if reference else None,
        known_hashes=RetrainingSet(project.retraining).known_hashes(batch.kind),
        model_signals=None if masked is None else masked.says,
        readers=readers,
    )
    if masked is None or found.model is None:
        return found
    return replace(found, model=replace(found.model, model=masked.model_id))


def _gathered(found: EdgeCases, batch: Batch, request: Request, project: Project, run_id: str) -> EdgeCaseSection:
    """Put the selected rows into the retraining set, each once."""
    import pyarrow.compute as pc

    from monitor.retraining_set import RetrainingSet

    said = project.settings.edge_cases
    gathered = RetrainingSet(project.retraining)
    if not found.by_reason:
        return EdgeCaseSection(
            skipped=found.skipped,
            retraining_set_rows=gathered.rows(),
            retrain_after=said.retrain_after,
        )
    request.progress("adding to the retraining set")
    new, examples = 0, list[ExampleRow]()
    for rows in found.bulks():
        added = gathered.add(_with_sources(rows, batch), run_id)
        new += added.new
        labelled = rows.filter(pc.is_valid(rows.column("label")))
        if labelled.num_rows:  # labels that came with the batch itself
            gathered.add_labels(labelled.select(["text_hash", "label"]), kind=batch.kind, run_id=run_id)
        examples += _examples(rows, batch, _EXAMPLES - len(examples))
    return EdgeCaseSection(
        SelectionStatus.SELECTED,
        f"{len(found.by_reason)} rules were asked",
        selected=found.selected,
        by_reason=found.by_reason,
        by_role=found.by_role,
        looked_at=found.looked_at,
        left_out=found.left_out,
        model=found.model,
        further_models=found.further_models,
        skipped=found.skipped,
        added=new,
        retraining_set_rows=added.total,
        retrain_after=said.retrain_after,
        examples=tuple(examples),
    )


def _with_sources(rows: pa.Table, batch: Batch) -> pa.Table:
    """The rows with the name and the hash of the file that each came from, in place of its number."""
    import pyarrow as pa

    sources = batch.sources
    files = rows.column("file").to_pylist()
    table = rows.set_column(rows.column_names.index("file"), "file", pa.array([sources[f].name for f in files]))
    return table.append_column("batch", pa.array([sources[f].sha256 for f in files], pa.string()))


def _examples(rows: pa.Table, batch: Batch, most: int) -> list[ExampleRow]:
    some: Sequence[dict[str, Any]] = rows.slice(0, most).to_pylist()
    return [ExampleRow(batch.parts[r["file"]].found.name, r["row"], r["text"]) for r in some]
