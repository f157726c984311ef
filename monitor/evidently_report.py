"""What does Evidently say of the same two samples?"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.errors import ShopmonError, first_line
from monitor.profiles import Sort

if TYPE_CHECKING:
    import pandas

MOST_ROWS = 50_000
"""Rows a side: beyond them, Evidently's work on categories and texts grows out of a check's bounds."""
OTHER = "other"
"""Under what name the rare values of a column are put together."""

_METHODS = {
    Sort.NUMBER: ("wasserstein", "psi", "jensenshannon", "hellinger"),
    Sort.CATEGORY: ("jensenshannon", "psi", "hellinger"),
    Sort.TEXT: ("abs_text_content_drift",),
}
"""Evidently's names of what may be asked of each sort: distances and a classifier, of which none is a p-value."""
_LONGEST_TEXT, _LONGEST_NAME = 5_000, 80
"""Characters of one text that Evidently reads and may show as an example; of one category or column as it is shown."""
_DATES_LEFT_OUT = "a later batch has later dates: Evidently's distance between them says nothing"
_NO_NUMBER = "Evidently's value is no finite number"
_HARMLESS = str.maketrans({"<": "‹", ">": "›", **dict.fromkeys([*range(32), 127], " ")})
"""Charts read markup in the names of categories: with other brackets there is none."""

_LOADS_NOTHING = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:\">"
)
"""For the browser: everything that the page needs stands in it."""


@dataclass(frozen=True)
class EvidentlySettings:
    """What Evidently measures, and from which value on it calls a column drifted.

    Methods and thresholds are always passed: those that Evidently chooses by itself depend on the number of rows.
    """

    rows: int = 5_000
    """Rows a side at most, 1 to 50,000; at 5,000 the work on eleven columns takes about half a second."""
    number_method: str = "wasserstein"
    """Evidently's name; the default is the Wasserstein distance in standard deviations of the reference."""
    number_threshold: float = 0.1
    """In the method's unit; for the default, Evidently's own."""
    category_method: str = "jensenshannon"
    """Evidently's name; the default is the Jensen–Shannon distance (0 to 0.83: natural logarithms)."""
    category_threshold: float = 0.1
    """In the method's unit; for the default, Evidently's own."""
    text_method: str = "abs_text_content_drift"
    """Evidently's name of the ROC AUC of a classifier of words that tells the two sides apart; it has no other."""
    text_threshold: float = 0.55
    """An area under the curve (0.5 is chance); Evidently's own."""
    categories: int = 200
    """Values of a column that keep their names, the most frequent of both sides; the rest are "other".

    Evidently's distances know nothing of chance: between two samples of one shop, the Jensen–Shannon distance of a
    column with 200 evenly frequent names is about 0.11 at 5,000 rows a side, with 50 names 0.06.
    """

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MOST_ROWS:
            raise ValueError(f"rows must lie between 1 and {MOST_ROWS:,}, got {self.rows!r}")
        if self.categories < 1:
            raise ValueError(f"categories must be at least 1, got {self.categories!r}")
        for sort, known in _METHODS.items():
            method, threshold = self.asked(sort)
            if method not in known:
                raise ValueError(f"{sort}_method must be one of {', '.join(known)}, got {method!r}")
            if not (math.isfinite(threshold) and threshold > 0):
                raise ValueError(f"{sort}_threshold must be a number above 0, got {threshold!r}")

    def asked(self, sort: Sort) -> tuple[str, float]:
        """Method and threshold for a number, a category or a text.

        >>> EvidentlySettings().asked(Sort.NUMBER)
        ('wasserstein', 0.1)
        """
        return {
            Sort.NUMBER: (self.number_method, self.number_threshold),
            Sort.CATEGORY: (self.category_method, self.category_threshold),
            Sort.TEXT: (self.text_method, self.text_threshold),
        }[sort]


@dataclass(frozen=True)
class EvidentlyValue:
    """What Evidently measures of one column."""

    column: str
    method: str
    """Evidently's name of it; empty where a column is not given to Evidently."""
    value: float | None
    """In the method's unit; None where Evidently could not measure it."""
    threshold: float | None
    drifted: bool | None
    """Evidently's own verdict on value and threshold."""
    reason: str = ""
    """Why it could not be measured."""


@dataclass(frozen=True)
class EvidentlyReport:
    """What Evidently measures of two samples, and where its own report stands."""

    values: tuple[EvidentlyValue, ...]
    """One for each column asked for, in that order."""
    reference: int
    """Rows of the reference's sample that were looked at."""
    current: int
    """Rows of the batch's sample that were looked at."""
    html: Path | None
    """`drift.html`; None where a side has no rows."""
    json: Path | None
    """`evidently.json`; None where a side has no rows."""
    workspace: Path | None = None
    """The workspace to which the run was added."""

    def value(self, column: str) -> EvidentlyValue | None:
        """What was measured of that column, if it was asked for."""
        return next((value for value in self.values if value.column == column), None)


@dataclass(frozen=True)
class _Asked:
    """One column as Evidently gets it."""

    column: str
    shown: str
    """Its name there: without markup, and different from every other."""
    sort: Sort
    method: str
    threshold: float

    def value(self, value: float | None, drifted: bool | None, reason: str = "") -> EvidentlyValue:
        return EvidentlyValue(self.column, self.method, value, self.threshold, drifted, reason)


@dataclass(frozen=True)
class _Sides:
    """The two samples as Evidently gets them."""

    reference: pandas.DataFrame
    current: pandas.DataFrame


def report(
    reference: pandas.DataFrame,
    current: pandas.DataFrame,
    sorts: Mapping[str, Sort],
    settings: EvidentlySettings,
    folder: Path,
    workspace: Path | None,
    name: str,
    run_id: str,
) -> EvidentlyReport:
    """Have Evidently compare two samples, and write its report into `folder` as `drift.html` and `evidently.json`.

    `sorts` says which columns of the two frames are compared, and as what; numbers are floats or can be read as such,
    everything else is taken as text. Of a side with more than `settings.rows` rows, as many are drawn, always the
    same. With a `workspace`, the run is added to its project `name` (made when it is not there) under `run_id`:
    `evidently ui --workspace FOLDER` opens it.

    A column that Evidently cannot measure (without values, not there, of dates) has the value None and a reason. A side
    without rows gives no files. Texts of the data stand in the report as text: their angle brackets become ‹ and ›.

    Raises ShopmonError when the workspace cannot be written. Source: https://docs.evidentlyai.com, data drift.

    >>> import pandas, tempfile
    >>> before, after = pandas.DataFrame({"stars": [4.0, 5.0] * 50}), pandas.DataFrame({"stars": [1.0, 2.0] * 50})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorts, settings = {"stars": Sort.NUMBER}, EvidentlySettings()
    ...     answer = report(before, after, sorts, settings, Path(folder), None, "shop", "20261123-1")
    >>> answer.values[0].value, answer.values[0].drifted
    (6.0, True)
    """
    drawn = _Sides(_drawn(reference, settings.rows), _drawn(current, settings.rows))
    asked, left_out = _asked(drawn, sorts, settings)
    html = written = None
    if len(drawn.reference) and len(drawn.current):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of divisions by zero in constant columns, which we tell as reasons
            sides = _readable(drawn, asked, settings)
            snapshot, values = _measured(sides, asked, run_id)
        html, written = folder / "drift.html", folder / "evidently.json"
        html.write_text(_page(snapshot), encoding="utf-8")
        written.write_text(json.dumps(_without_nan(json.loads(snapshot.json())), indent=1) + "\n", encoding="utf-8")
        if workspace is not None:
            _add_run(snapshot, workspace, name, run_id)
    else:
        values = [one.value(None, None, "a side has no rows") for one in asked]
    found = {value.column: value for value in (*values, *left_out)}
    return EvidentlyReport(
        values=tuple(found[column] for column in sorts),
        reference=len(drawn.reference),
        current=len(drawn.current),
        html=html,
        json=written,
        workspace=workspace if html else None,
    )


def _drawn(frame: pandas.DataFrame, rows: int) -> pandas.DataFrame:
    return frame if len(frame) <= rows else frame.sample(rows, random_state=0)


def _asked(
    sides: _Sides, sorts: Mapping[str, Sort], settings: EvidentlySettings
) -> tuple[list[_Asked], list[EvidentlyValue]]:
    """What Evidently is asked, and what it is not, with the reason."""
    asked, left_out = [], []
    shown = _names(list(sorts))
    for column, sort in sorts.items():
        if sort is Sort.DATE:
            left_out.append(EvidentlyValue(column, "", None, None, None, _DATES_LEFT_OUT))
            continue
        asked.append(_Asked(column, shown[column], sort, *settings.asked(sort)))
        if absent := [side for side in ("reference", "current") if column not in getattr(sides, side)]:
            left_out.append(asked.pop().value(None, None, f"the column is not in the {absent[0]} sample"))
    return asked, left_out


def _names(values: Sequence[str]) -> dict[str, str]:
    """Each value as it may be shown: no markup, not too long, and no two alike.

    >>> _names(["a<b", "a‹b", ""])
    {'a<b': 'a‹b', 'a‹b': 'a‹b (2)', '': '(empty)'}
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for value in values:
        plain = shown = _harmless(value, _LONGEST_NAME) or "(empty)"
        number = 1
        while shown in taken:
            number += 1
            shown = f"{plain} ({number})"
        taken.add(shown)
        names[value] = shown
    return names


def _harmless(text: str, longest: int) -> str:
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return cut.translate(_HARMLESS).strip()


def _readable(drawn: _Sides, asked: Sequence[_Asked], settings: EvidentlySettings) -> _Sides:
    """Both samples with the columns asked for, as Evidently reads them."""
    import pandas

    pairs = {one.shown: _pair(drawn.reference[one.column], drawn.current[one.column], one, settings) for one in asked}
    before = pandas.DataFrame({shown: pair[0] for shown, pair in pairs.items()}, index=range(len(drawn.reference)))
    after = pandas.DataFrame({shown: pair[1] for shown, pair in pairs.items()}, index=range(len(drawn.current)))
    return _Sides(before, after)


def _pair(before: Any, after: Any, one: _Asked, settings: EvidentlySettings) -> tuple[Any, Any]:
    """The values of one column on both sides: floats without infinities, or text and None."""
    if one.sort is Sort.NUMBER:
        return _numbers(before), _numbers(after)
    texts = _texts(before), _texts(after)
    if one.sort is Sort.TEXT:
        return _translated(texts[0]), _translated(texts[1])
    names = _category_names(texts, settings.categories)
    return tuple([None if text is None else names.get(text, OTHER) for text in side] for side in texts)  # type: ignore[return-value]


def _numbers(values: Any) -> Any:
    import numpy as np
    import pandas

    numbers = pandas.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _texts(values: Any) -> list[str | None]:
    return [None if gone else str(value) for value, gone in zip(values.tolist(), values.isna().tolist(), strict=True)]


def _translated(texts: Sequence[str | None]) -> list[str | None]:
    return [None if text is None else _harmless(text, _LONGEST_TEXT) for text in texts]


def _category_names(sides: Sequence[Sequence[str | None]], most: int) -> dict[str, str]:
    """The most frequent values of both sides together, each with the name under which it is shown."""
    from collections import Counter

    counts = Counter(text for side in sides for text in side if text is not None)
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    return _names(ranked[:most])


def _measured(sides: _Sides, asked: Sequence[_Asked], run_id: str) -> tuple[Any, list[EvidentlyValue]]:
    """Evidently's snapshot of all columns that it can measure, and what it says of each."""
    refused = {one.column: reason for one in asked if (reason := _too_little(sides, one))}
    while True:
        rest = [one for one in asked if one.column not in refused]
        try:
            snapshot = _snapshot(sides, rest, run_id)
        except Exception:  # whatever it is: one column must not cost the others their report
            if not rest:
                raise
            refused.update(_refused_alone(sides, rest, run_id))
            continue
        found = _values(snapshot, rest)
        if nowhere := [value for value in found if value.value is None]:
            refused.update({value.column: value.reason for value in nowhere})
            continue
        by_column = {value.column: value for value in found}
        return snapshot, [by_column.get(o.column) or o.value(None, None, refused[o.column]) for o in asked]


def _too_little(sides: _Sides, one: _Asked) -> str:
    for name, side in (("reference", sides.reference), ("current", sides.current)):
        values = int(side[one.shown].notna().sum())
        if values < 2:
            return f"{values} {'value' if values == 1 else 'values'} in the {name} sample; Evidently needs 2"
    return ""


def _refused_alone(sides: _Sides, asked: Sequence[_Asked], run_id: str) -> dict[str, str]:
    """The columns that fail by themselves, with Evidently's words; all of them, if they only fail together."""
    failed = {}
    for one in asked:
        try:
            _snapshot(sides, [one], run_id)
        except Exception as error:
            failed[one.column] = f"Evidently could not measure it: {_first_line(error)}"
    return failed or {one.column: "Evidently could not measure the columns together" for one in asked}


def _first_line(error: Exception) -> str:
    return _harmless(first_line(error), 200)


def _snapshot(sides: _Sides, asked: Sequence[_Asked], run_id: str) -> Any:
    """Run Evidently: the rows, and for each column its drift and its missing values."""
    os.environ["DO_NOT_TRACK"] = "1"  # Evidently reads it while it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import MissingValueCount, RowCount, ValueDrift

    def columns(sort: Sort) -> list[str]:
        return [one.shown for one in asked if one.sort is sort]

    definition = DataDefinition(
        numerical_columns=columns(Sort.NUMBER),
        categorical_columns=columns(Sort.CATEGORY),
        text_columns=columns(Sort.TEXT),
    )
    given = [one.shown for one in asked]
    before, after = (
        Dataset.from_pandas(side[given], data_definition=definition) for side in (sides.reference, sides.current)
    )
    drifts = [ValueDrift(column=one.shown, method=one.method, threshold=one.threshold) for one in asked]
    missing = [MissingValueCount(column=one.shown, tests=[], share_tests=[]) for one in asked]
    asked_for = [RowCount(tests=[]), *drifts, *missing]
    run = Report(asked_for, include_tests=True, tags=["shopmon", run_id], metadata={"shopmon_run": run_id})
    return run.run(after, before, timestamp=datetime.now(), name=run_id)  # it orders its runs by local time


def _values(snapshot: Any, asked: Sequence[_Asked]) -> list[EvidentlyValue]:
    """Value and verdict of each column; the value None, with the reason, for what is no number."""
    found = {}
    for result in snapshot.metric_results.values():
        said = result.metric_value_location.metric.params
        if said["type"].endswith(":ValueDrift"):
            found[said["column"]] = float(result.value), result.tests[0].status.value == "FAIL"
    return [
        one.value(*found[one.shown]) if math.isfinite(found[one.shown][0]) else one.value(None, None, _NO_NUMBER)
        for one in asked
    ]


def _page(snapshot: Any) -> str:
    """Evidently's page: it may load nothing, and no text in its embedded data can end the script that holds it."""
    page: str = snapshot.get_html_str(as_iframe=False)
    start = page.index("<script>\n    var ") + len("<script>")
    end = page.rindex("</script>", start, page.index("<script>var global = globalThis</script>", start))
    head, data = page[:start].replace("<head>", f"<head>{_LOADS_NOTHING}", 1), page[start:end]
    return head + data.replace("<", "\\u003c") + page[end:]


def _without_nan(value: Any) -> Any:
    """The same for JSON, which knows neither NaN nor infinity."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _add_run(snapshot: Any, workspace: Path, name: str, run_id: str) -> None:
    """Add the run to the workspace's project of that name."""
    from evidently.ui.workspace import Workspace

    try:
        opened = Workspace.create(str(workspace))
        found = opened.search_project(name)
        # Two checks at once may each have made the project: from then on, all take the same one.
        project = min(found, key=lambda one: str(one.id)) if found else opened.create_project(name)
        opened.add_run(project.id, snapshot, include_data=False, name=run_id)
    except (OSError, ValueError, KeyError) as error:
        raise ShopmonError(
            f"the run could not be added to the Evidently workspace {workspace}: {_first_line(error)}",
            advice="Give a folder that can be written, and that holds nothing else: --evidently-workspace DIR.",
        ) from error
