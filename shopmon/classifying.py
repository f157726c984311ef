"""Which label fits each row of a file, without a training?"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from expectations.errors import BatchError, ShopmonError
from shopmon.inference_model import inference_model
from shopmon.project import Project
from shopmon.reading import Reading, opened
from shopmon.table_file import check_table_file, table_file
from shopmon.telemetry import switch_off

if TYPE_CHECKING:
    import pyarrow as pa

    from expectations.batch import Batch
    from retrain.results import TrainingProgress
    from shopmon.row_labels import LabelFound, RowLabels, Rows

THRESHOLD = 0.5
"""Score from which on one of several labels fits: the model says yes rather than no."""
_PAIRS, _ROWS = 50_000, 10_000
"""Texts times labels, and texts, that are looked at together at most: bounds memory."""

Progress = Callable[["TrainingProgress"], None]


@dataclass(frozen=True)
class Classified:
    """Which labels fit how many rows of a batch."""

    labels: tuple[LabelFound, ...]
    """In the order in which they were asked about."""
    model: str
    """The id of a registered model, a folder, or a name on the hub."""
    hypothesis: str
    """What the model was asked of each text, with {} for the label."""
    multi: bool
    threshold: float | None
    """Score from which on a label fits, where several may; None: the best one does."""
    files: tuple[str, ...]
    kind: str | None
    """What the batch was taken for; None where the column of the text was named."""
    rows: int
    """Rows that were read."""
    blank: int
    """Rows without a text, which have no label."""
    unfitting: int
    """Rows with a text that none of several labels fits."""
    cut: int
    """Rows whose text is longer than the model reads, so that its end does not count."""
    unreadable: int
    """Records that could not be read, and so are no rows."""
    seconds: float
    out: Path | None = None
    table: pa.Table | None = field(default=None, repr=False, compare=False)
    """Every row, where no file was asked for: file, row, text, label, score and `score_LABEL` of each label; with
    `multi` also `labels`, all that fit, the best first."""

    def document(self) -> dict[str, Any]:
        """The answer as JSON values, without the rows."""
        told = asdict(replace(self, table=None))
        del told["table"]
        return told | {"out": None if self.out is None else str(self.out)}


def classify(
    data: Any,
    labels: str | Sequence[str],
    *,
    multi: bool = False,
    threshold: float | None = None,
    model: str | Path | None = None,
    hypothesis: str | None = None,
    entailment: str | None = None,
    contradiction: str | None = None,
    text: str | None = None,
    out: str | Path | None = None,
    keep: bool = True,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
    progress: Progress = lambda _: None,
) -> Classified:
    """Say of each row which label fits its text best, or with `multi` which of them do; nothing is trained.

    `data` is whatever `check` takes. `model` is a registered one of the task nli (otherwise its champion), a folder, or
    a name on the hub; it is asked about the `hypothesis` of each label. `entailment` and `contradiction` name its
    classes where their own names do not tell. `text` names the column to read; otherwise it is what models read of the
    kind. With `out` the rows go to a file, which is replaced, and memory does not grow with them; without, they are the
    result's table, unless `keep` is False: then only the counts are.

    Raises ShopmonError for labels, columns and models that cannot be used, and where no row has a text.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classify("new.csv", "shipping", project=Project(Path(folder)))
    Traceback (most recent call last):
    expectations.errors.ShopmonError: 'shipping' is the only label, so every text would get it. ...
    """
    switch_off()
    from retrain.hypotheses import HYPOTHESIS, Question
    from shopmon.row_labels import RowLabels

    began = time.perf_counter()
    question = Question(labels_of(labels), HYPOTHESIS if hypothesis is None else hypothesis, multi)
    limit = _threshold(threshold, multi=multi)
    file = None if out is None else Path(out)
    if file is not None:
        check_table_file(file)
    project = Project.of(project)
    name, folder = inference_model(None if model is None else str(model), project, progress)
    reading = Reading(kind, columns, encoding, delimiter)
    with (
        TemporaryDirectory(prefix="shopmon-") as scratch,
        _source(data, reading, text, project, Path(scratch), progress) as source,
    ):
        progress(_doing(f"loading the model {name}"))
        from retrain.zero_shot import load_zero_shot

        asked = load_zero_shot(folder, question, entailment=entailment, contradiction=contradiction)
        rows = RowLabels(asked, limit)
        table = _labelled(source, rows, file, progress, keep=keep)
        return Classified(
            labels=rows.found,
            model=name,
            hypothesis=question.hypothesis,
            multi=multi,
            threshold=limit,
            files=tuple(part.found.name for part in source.batch.parts),
            kind=source.kind,
            rows=rows.rows,
            blank=rows.blank,
            unfitting=rows.unfitting,
            cut=rows.cut,
            unreadable=source.batch.unreadable,
            seconds=time.perf_counter() - began,
            out=file,
            table=table,
        )


def labels_of(written: str | Sequence[str]) -> tuple[str, ...]:
    """Labels with commas between them, or a list of labels; one that holds a comma stands in double quotes.

    >>> labels_of('shipping, "shirts, blouses",size')
    ('shipping', 'shirts, blouses', 'size')
    """
    if not isinstance(written, str):
        return tuple(written)
    (labels,) = csv.reader([" ".join(written.split())], skipinitialspace=True) if written.strip() else ([],)
    return tuple(label.strip() for label in labels)


def _threshold(given: float | None, *, multi: bool) -> float | None:
    if given is None:
        return THRESHOLD if multi else None
    if not multi:
        raise ShopmonError(
            "a threshold says which of several labels fit, and here only the best one is given",
            advice="Add --multi, or leave out --threshold.",
        )
    if not 0 <= given <= 1:
        raise ShopmonError(f"the threshold is {given:g}", advice="Give a score from 0 to 1.")
    return given


# --- the rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A batch that is open, and what is read of it."""

    batch: Batch
    sql: str
    """The text of a row."""
    kind: str | None


@contextmanager
def _source(
    data: Any, reading: Reading, text: str | None, project: Project, scratch: Path, progress: Progress
) -> Iterator[_Source]:
    """Any table will do where the column of the text is named, even one that is no kind of shop data."""
    from monitor.signals import text_of

    if text is None:
        with opened(data, reading, project, scratch, lambda doing: progress(_doing(doing))) as batch:
            yield _Source(batch, text_of(batch), batch.kind)
        return
    if reading.kind is None and reading.columns is None:
        reading = replace(reading, kind="reviews", columns={text: "text"})
    try:
        with opened(data, reading, project, scratch, lambda doing: progress(_doing(doing))) as batch:
            yield _Source(batch, _column(batch, text), None)
    except BatchError as error:
        if not error.problem.startswith(f"column {text!r} is not in the batch"):
            raise
        raise BatchError(error.problem, advice="Give the file's own name of a column: --text COLUMN.") from error


def _column(batch: Batch, name: str) -> str:
    column = next((one for one in batch.own_columns if one.name == name), None) or batch.column(name)
    if column is None or column.holds is None:
        what = "is not in the batch" if column is None else f"holds {column.type}, and no text"
        there = ", ".join(repr(one.name) for one in batch.own_columns[:12])
        raise BatchError(f"column {name!r} {what}; it has {there}", advice="Name another one: --text COLUMN.")
    return f"{column.sql}::varchar"


def _labelled(
    source: _Source, rows: RowLabels, file: Path | None, progress: Progress, *, keep: bool
) -> pa.Table | None:
    """Label every row, into the file, or a table that is kept. Raises ShopmonError where no row has a text."""
    import pyarrow as pa

    kept: list[pa.RecordBatch] = []
    if file is None:
        _each(source, rows, kept.append if keep else lambda _: None, progress)
        return pa.Table.from_batches(kept, schema=rows.schema) if keep else None
    with table_file(file, rows.schema) as write:
        _each(source, rows, write, progress)
    return None


def _each(source: _Source, rows: RowLabels, write: Callable[[pa.RecordBatch], None], progress: Progress) -> None:
    began, of_all = time.perf_counter(), source.batch.readable
    for some in _parts(source, max(1, min(_ROWS, _PAIRS // rows.width))):

        def told(done: int, of: int, before: int = rows.rows, here: int = len(some.texts)) -> None:
            ready = before + round(here * done / of) if of else before
            left = (time.perf_counter() - began) * (of_all - ready) / ready if ready else None
            progress(_doing("classifying", ready, of_all, left))

        write(rows.label(some, progress=told))
    if rows.blank == rows.rows:
        raise ShopmonError(
            f"none of the {rows.rows:,} rows has a text", advice="Name the column that holds it: --text COLUMN."
        )


def _parts(source: _Source, most: int) -> Iterator[Rows]:
    """The rows of a batch in their order, so many at once."""
    from expectations.columns import FILE, ROW
    from shopmon.row_labels import Rows

    names = [part.found.name for part in source.batch.parts]
    query = f"select {FILE} as file, {ROW} as row, {source.sql} as said from batch order by {FILE}, {ROW}"
    for part in source.batch.connection.sql(query).to_arrow_reader(most):
        told = part.to_pydict()
        yield Rows([names[at] for at in told["file"]], told["row"], told["said"])


def _doing(what: str, step: int = 0, steps: int = 0, left: float | None = None) -> TrainingProgress:
    from retrain.results import TrainingProgress

    return TrainingProgress(what, step, steps, seconds_left=left, unit="row")
