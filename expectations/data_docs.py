"""What does Great Expectations' own site say of a run? Its Data Docs, from the results that are there already.

The pages hold raw failing values: treat them as you treat the data. They are styled by scripts and style sheets that a
browser loads from public servers (jsDelivr, unpkg, cdnjs, jQuery, Bootstrap); without a network they are plain, and the
index shows its runs as a plain list. Building them asks no network for anything.
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Great Expectations warns of its own deprecations at import
    import great_expectations.render.view as gx_view
    from great_expectations.core import (
        ExpectationSuite,
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.render.renderer.page_renderer import (
        ExpectationSuitePageRenderer,
        ValidationResultsPageRenderer,
    )
    from great_expectations.render.renderer.site_index_page_renderer import SiteIndexPageRenderer
    from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView

    import expectations.own_expectations  # noqa: F401  (registers ours, with the sentences they are told in)

from expectations.errors import ShopmonError
from expectations.results import ExpectationResult, Outcome, Validation

_MARKUP = "<>&\"'$"
_STAND_INS = {ord(sign): chr(0xFDD0 + place) for place, sign in enumerate(_MARKUP)}
"""Signs that mean something to HTML or to a template, and the noncharacters that stand for them while Great
Expectations renders: it escapes some values, not others, and must neither be trusted nor escaped twice."""
_NOT_TEXT = dict.fromkeys(range(0xFDD0, 0xFDF0), "\N{REPLACEMENT CHARACTER}")
_ENTITIES = {ord(stand_in): f"&#{sign};" for sign, stand_in in _STAND_INS.items()}
_IN_JSON = re.compile(r"\\+u(fdd[0-5])", re.IGNORECASE)
_SHOWN_COLUMNS = "meta_properties_to_render"
_COLUMNS = {"In words": "words", "Outcome": "outcome", "Rule": "rule", "Severity": "severity"}
"""Beside Great Expectations' own, whose status is an icon that a browser without a network cannot show."""
_NO_TRACEBACK = "Nothing was raised: before counting it was clear that this batch cannot be asked."
_PLAIN_LIST = """<details id="plain-runs" open><summary>All runs as plain links</summary>
<ul>
{listed}
</ul>
</details>
<script>
  if (window.jQuery && jQuery.fn.bootstrapTable) document.getElementById("plain-runs").open = false;
</script>
"""
_FACTS = "run.json"
_INDEX = "index.html"
_PARTIAL = ".partial-"

log = logging.getLogger("shopmon.data_docs")


def write_data_docs(
    validation: Validation, batch_name: str, run_id: str, directory: Path, *, suite_name: str = "suite"
) -> Path:
    """Add a run to a Great Expectations site in `directory`, made if it is missing; returns the site's `index.html`.

    As users of Great Expectations expect, the site keeps the pages of earlier runs, and the index lists them all, the
    newest first. A run that is there already is replaced. Whether a run succeeded is shopmon's verdict: warnings do not
    fail it. A rule that could not be examined stands there with its reason, as Great Expectations shows exceptions;
    it counts as unsuccessful only if it applied. Other files in `directory` are left alone.

    Raises ShopmonError if nothing can be written there. The module's docstring says what the pages hold and load.
    """
    suite, run = _slug(suite_name, "suite"), _slug(run_id, "run")
    moment = _moment(run_id)
    page = Path("validations", suite, run, moment.strftime("%Y%m%dT%H%M%S.%fZ"), _slug(batch_name, "batch") + ".html")
    facts = {
        "asset_name": batch_name,
        "run_name": run_id,
        "run_time": moment.isoformat(),
        "success": validation.passed,
        "suite_name": suite_name,
    }
    results = [_result(result) for result in validation.results]
    with _told(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with _put_in_place(directory, *page.parts[:3]) as unfinished:
            inside = unfinished / page.relative_to(Path(*page.parts[:3]))
            inside.parent.mkdir(parents=True)
            _write(inside, _validation_page(validation, results, facts, moment, suite))
            _write(inside.with_name(_FACTS), json.dumps(facts))
        _replace(directory / "expectations" / f"{suite}.html", _suite_page(results, suite))
        _copy_images(directory)
        _replace(directory / _INDEX, _index_page(directory))
    return directory / _INDEX


# --- what Great Expectations renders ----------------------------------------------------------------------------


def _result(result: ExpectationResult) -> ExpectationValidationResult:
    """Great Expectations' own object again, from its JSON; where there is none, an exception with the reason."""
    verdict = _guarded(result.verdict)
    stated = verdict.get("expectation_config") or {"type": result.type, "kwargs": _known_arguments(result)}
    words = _guarded(_in_words(result))
    meta = {"id": _guarded(result.id)}
    attributes = {"rule": meta["id"], "severity": str(result.severity), "words": words, "outcome": str(result.outcome)}
    kwargs = {**stated["kwargs"], _SHOWN_COLUMNS: dict(_COLUMNS)}
    return ExpectationValidationResult(
        success=result.outcome is Outcome.PASSED,
        expectation_config=_Shown(
            type=result.type,
            kwargs=kwargs,
            meta={**meta, "attributes": attributes},
            severity=FailureSeverity(result.severity),
            description=None if verdict else f"{meta['id']}: {result.type}",
        ),
        result=_flat(verdict.get("result") or {}),
        meta=meta,
        exception_info={
            "raised_exception": not verdict,
            "exception_message": words,
            "exception_traceback": _NO_TRACEBACK,
        },
    )


class _Shown(ExpectationConfiguration):
    """A rule as the pages show it: with columns of ours, and perhaps without its arguments."""

    def to_domain_obj(self) -> Any:
        """What the renderers look at: a description, which stands in for arguments that are not known."""
        if self.description:
            return SimpleNamespace(description=self.description)
        kwargs = {key: value for key, value in self.kwargs.items() if key != _SHOWN_COLUMNS}
        return ExpectationConfiguration(self.type, kwargs, self.meta, severity=self.severity).to_domain_obj()


def _known_arguments(result: ExpectationResult) -> dict[str, Any]:
    return _guarded({"column": result.column}) if result.column and " + " not in result.column else {}


def _in_words(result: ExpectationResult) -> str:
    if result.outcome in (Outcome.ERROR, Outcome.NOT_EXAMINED):
        return f"{'could not be examined' if result.outcome is Outcome.ERROR else 'not examined'}: {result.reason}"
    example = f"; row {result.example.row:,} of {result.example.file}" if result.example else ""
    return f"{result.reason}{example}"


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """A result whose failing values are plain: Great Expectations prints records as Python would."""
    values = [_line(value) for value in found.get("partial_unexpected_list") or []]
    counts: dict[str, int] = {}
    for value in map(str, values):
        counts[value] = counts.get(value, 0) + 1
    listed = [{"value": value, "count": count} for value, count in counts.items()]
    known = {"partial_unexpected_list": values, "partial_unexpected_counts": listed} if values else {}
    observed = found.get("observed_value")
    shown = {"observed_value": _line(observed)} if isinstance(observed, list | dict) else {}
    return {**found, **known, **shown}


def _line(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_line(held)}" for key, held in value.items())
    if isinstance(value, list):
        return ", ".join(str(_line(held)) for held in value) or "none"
    return value


def _validation_page(
    validation: Validation,
    results: list[ExpectationValidationResult],
    facts: Mapping[str, Any],
    moment: datetime,
    suite: str,
) -> str:
    outcomes = [result.outcome for result in validation.results]
    passed, unexamined = outcomes.count(Outcome.PASSED), outcomes.count(Outcome.NOT_EXAMINED)
    asked = len(outcomes) - unexamined
    rows = {"rows": validation.rows, "quarantined": validation.quarantined, "unreadable": validation.unreadable}
    document = ExpectationSuiteValidationResult(
        success=validation.passed,
        results=results,
        suite_name=suite,
        suite_parameters={},
        statistics={
            "evaluated_expectations": asked,
            "successful_expectations": passed,
            "unsuccessful_expectations": asked - passed,
            "success_percent": 100 * passed / asked if asked else None,
        },
        meta={
            "great_expectations_version": _gx_version(),
            "run_id": {"run_name": _guarded(facts["run_name"]), "run_time": moment.isoformat()},
            "batch_spec": {"data_asset_name": _guarded(facts["asset_name"]), **rows},
            "active_batch_definition": {"batch_identifiers": {}},
        },
    )
    return _rendered(DefaultJinjaPageView(), ValidationResultsPageRenderer().render(document))


def _suite_page(results: list[ExpectationValidationResult], suite: str) -> str:
    """The suite as Great Expectations tells it: those of its rules that this run could ask."""
    made = ExpectationSuite(name=suite)
    for result in results:
        stated = result.expectation_config
        if stated is None or result.exception_info["raised_exception"]:
            continue
        made.expectations.append(stated.to_domain_obj())
    return _rendered(DefaultJinjaPageView(), ExpectationSuitePageRenderer().render(made))  # type: ignore[no-untyped-call]


def _index_page(directory: Path) -> str:
    """All runs whose pages are in the directory, the newest first."""
    runs = sorted(_runs(directory), key=lambda run: str(run["run_time"]), reverse=True)
    links = {"site_name": "shopmon", "validations_links": runs, "expectations_links": _suites(directory)}
    page = _rendered(DefaultJinjaIndexPageView(), SiteIndexPageRenderer.render(links))  # type: ignore[no-untyped-call]
    listed = "\n".join(f"<li>{_listed(run)}</li>" for run in runs)
    before, body, after = page.rpartition("</body>")
    return f"{before}{_PLAIN_LIST.format(listed=listed)}{body}{after}"


def _listed(run: Mapping[str, Any]) -> str:
    verdict = "passed" if run["validation_success"] else "failed"
    return f'<a href="{run["filepath"]}">{run["run_name"]}</a> {verdict}: {run["asset_name"]}'


def _runs(directory: Path) -> Iterator[dict[str, Any]]:
    for noted in sorted((directory / "validations").glob(f"[!.]*/[!.]*/*/{_FACTS}")):
        try:
            facts = json.loads(noted.read_text(encoding="utf-8"))
            (page,) = noted.parent.glob("*.html")
            moment = datetime.fromisoformat(facts["run_time"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read, so the index leaves its run out: %s", noted, error)
            continue
        path = quote(page.relative_to(directory).as_posix())
        yield {
            "expectation_suite_name": html.escape(str(facts.get("suite_name"))),
            "expectation_suite_filepath": f"expectations/{quote(page.parts[-4])}.html",
            "filepath": path,
            "batch_identifier": page.stem,
            "validation_success": facts.get("success") is True,
            "run_time": moment,
            "run_name": html.escape(str(facts.get("run_name"))),
            "asset_name": html.escape(str(facts.get("asset_name"))),
            "batch_spec": {},
        }


def _suites(directory: Path) -> list[dict[str, Any]]:
    pages = sorted((directory / "expectations").glob("[!.]*.html"))
    return [{"expectation_suite_name": page.stem, "filepath": f"expectations/{quote(page.name)}"} for page in pages]


def _rendered(view: Any, content: Any) -> str:
    return _released(str(view.render(content, show_how_to_buttons=False)))


# --- text from data ---------------------------------------------------------------------------------------------


def _guarded(value: Any, key: str = "") -> Any:
    """JSON values in which no text from data can be markup or a template, until `_released`."""
    if isinstance(value, str):
        return value if key == "operator" else value.translate(_NOT_TEXT).translate(_STAND_INS)
    if isinstance(value, Mapping):
        return {_guarded(str(name)): _guarded(held, str(name)) for name, held in value.items()}
    return [_guarded(held) for held in value] if isinstance(value, list | tuple) else value


def _released(page: str) -> str:
    """The page with every stand-in as an HTML entity; inside scripts, too, where JSON escapes noncharacters."""
    page = _IN_JSON.sub(lambda match: chr(int(match[1], 16)), page)
    return page.translate(_ENTITIES)


# --- files ------------------------------------------------------------------------------------------------------


@contextmanager
def _put_in_place(root: Path, *parts: str) -> Iterator[Path]:
    """An unfinished folder that becomes `root/parts…` when the block ends well; what was there before makes way."""
    final = root.joinpath(*parts)
    final.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=final.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # a temporary folder is its owner's alone; a site may be for others as well
        if final.exists():
            shutil.rmtree(final)
        unfinished.rename(final)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _replace(path: Path, text: str) -> None:
    """Write a file aside and give it its name: whoever looks sees the old page or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{_PARTIAL}{os.getpid()}-{path.name}")
    try:
        _write(aside, text)
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "backslashreplace"))


def _copy_images(directory: Path) -> None:
    """The icon that the pages name; whatever else they show comes from Great Expectations' own servers."""
    icon = Path("static", "images", "favicon.ico")
    target = directory / icon
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(gx_view.__file__).parent / icon, target)


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"Data Docs cannot be written into {directory}: {error.strerror or error}"
        raise ShopmonError(problem, advice="Give a folder that may be written to.") from error


def _slug(name: str, otherwise: str) -> str:
    """A name as one part of a path and of a link: letters, digits, - and _; dots would make folders."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or otherwise


def _moment(run_id: str) -> datetime:
    """When the run began, as its id says (UTC); now, for another id."""
    with suppress(ValueError):
        return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return datetime.now(UTC)


def _gx_version() -> str:
    """The version of Great Expectations that judged and rendered."""
    from importlib.metadata import version

    return version("great_expectations")
