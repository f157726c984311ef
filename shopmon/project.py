"""What does this project's `shopmon.toml` say, and what holds where it says nothing?"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from expectations.errors import ProjectError
from expectations.kinds import KINDS, kind_named
from expectations.results import Engine

FILE_NAME = "shopmon.toml"
STORE_URL_VARIABLE = "SHOPMON_STORE_URL"
"""Environment variable that wins over `[store] url`: the place for an address with a password."""

_SQLITE = "sqlite:///"


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError:
        raise ValueError(f"{name!r} is no text encoding; usual ones are 'utf-8', 'latin-1' and 'cp1252'") from None
    return name


class _Section(BaseModel):
    """Unknown keys and wrong types are errors: a setting that is misspelt must not silently do nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Names = Annotated[tuple[Annotated[str, Field(strict=True, min_length=1)], ...], Field(strict=False)]
"""A list of TOML, which pydantic's strict mode would not take for a tuple."""


class KindData(_Section):
    """`[data.KIND]`: how one kind of data arrives here."""

    columns: dict[str, str] = Field(default_factory=dict)
    """The file's own column name → the role it plays (`Content = "text"`); wins over every guess."""


class DataSettings(_Section):
    """`[data]`: how data arrives here."""

    kind: Literal["reviews", "products", "queries", "relevance"] | None = None
    """The kind of every batch; recognised from the columns where nothing is said, since names usually tell."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Encoding of text files; UTF-8 where nothing is said (JSON must be: RFC 8259)."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What separates the values of a CSV file, one character; sniffed from the file where nothing is said."""
    reviews: KindData = KindData()
    products: KindData = KindData()
    queries: KindData = KindData()
    relevance: KindData = KindData()


class KindSuites(_Section):
    """`[check.suites]`: one suite per kind, for a project with several."""

    reviews: str | None = None
    products: str | None = None
    queries: str | None = None
    relevance: str | None = None


class CheckSettings(_Section):
    """`[check]`: what good data looks like."""

    suite: str | None = None
    """Path of the suite for every batch, relative to `shopmon.toml`; otherwise the built-in suite of its kind."""
    suites: KindSuites = KindSuites()
    """Path of the suite by kind; comes before `suite`."""
    engine: Annotated[Engine, Field(strict=False)] = Engine.SCAN
    """Who counts: one scan gives the same counts as Great Expectations' own engine in about a tenth of the time."""
    unreadable_allowed: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of records (0–1) that may be unreadable: exports have a stray line now and then, broken ones have many."""


class DriftSettings(_Section):
    """`[drift]`: what counts as a change since the reference."""

    fail: bool = False
    """Whether drift alone fails a check; it warns, since data may change for good reasons."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Chance (0–1) of any false alarm in one check, over all columns and segments; the field's usual one in twenty."""
    segments: Names = ()
    """Columns by whose values everything is compared once more (`["brand"]`); each costs power, so none by default."""
    ignore: Names = ()
    """Columns that are not compared."""
    dates: bool = False
    """Whether later dates count as drift: new batches are later by nature, so it is told and not counted."""
    sample_rows: Annotated[int, Field(ge=100, le=50_000)] = 10_000
    """Rows of each side that are kept whole for the tests of texts: 5 % of other texts are found at 4,000."""
    text_rows: Annotated[int, Field(ge=100)] = 50_000
    """Texts of each side whose words are counted at most: a word's share is known to 0.5 points or better."""
    evidently: bool = True
    """Whether Evidently measures as well and writes drift.html."""
    evidently_rows: Annotated[int, Field(ge=100, le=50_000)] = 5_000
    """Rows of each side that Evidently sees: its text classifier takes seconds for more."""
    embeddings: Annotated[str, Field(min_length=1)] | None = None
    """A sentence encoder that texts are compared by as well: a folder, a name on the hub, or "offline" (the extra
    `embeddings`); none by default, for it costs half a minute and words tell more."""
    number_floor: Annotated[float, Field(ge=0)] | None = None
    """Standardised Wasserstein distance (standard deviations) below which a number has not drifted; otherwise 0.05."""
    category_floor: Annotated[float, Field(ge=0)] | None = None
    """Jensen-Shannon distance (0–1) below which a category has not drifted; otherwise 0.02."""
    text_floor: Annotated[float, Field(ge=0)] | None = None
    """Share of the texts (0–1) that must have changed before they count as drifted; otherwise 0.005."""


class Words(_Section):
    """`[edge_cases.words]`: whole words and phrases, in any case, by which rows are told apart."""

    brands: Names = ()
    """The brands this shop speaks for."""
    other_brands: Names = ()
    products: Names = ()
    features: Names = ()
    """What people praise or blame: comfort, fit, quality."""
    wanted: Names = ()
    """Words a model should say of the brands."""
    unwanted: Names = ()
    """Words a model should not say of the brands."""
    complaints: Names = ()
    """Words by which customers complain; shopmon has a list of its own for English."""


class RuleSection(_Section):
    """`[edge_cases.rules.NAME]`: which rows a model should learn from, and how."""

    when: Annotated[str, Field(min_length=1)]
    """A formula over signals: `mentions_brand & mentions_product & positive & ~too_long`."""
    role: Literal["positive", "negative", "counterfactual", "replay"] = "positive"
    """How the retraining uses its rows."""
    at_most: Annotated[int, Field(ge=1)] | None = None
    """Rows it may choose in one check, drawn evenly; all by default."""


class EdgeCaseSettings(_Section):
    """`[edge_cases]`: which rows a model should learn from."""

    retrain_after: Annotated[int, Field(ge=1)] = 1_000
    """Rows gathered after which a check says that a retraining is due: fewer taught the seed model little."""
    candidates: Annotated[int, Field(ge=1)] = 5_000
    """Rows of a check for which slow signals (sentiment, language, distance) are computed at most.

    Half a second, a tenth of a check of a million rows; each thousand more takes 0.1 s, and memory for their texts.
    """
    too_long: Annotated[int, Field(ge=1)] = 512
    """Tokens beyond which a text is `too_long`: what DistilBERT reads."""
    defaults: bool = True
    """Whether shopmon's own rules are asked as well, beside those of this file."""
    matching: Literal["words", "substring"] = "words"
    """How words are found; "substring" only to repeat older experiments: it finds "fashionable" in "unfashionable"."""
    words: Words = Words()
    rules: dict[str, RuleSection] = Field(default_factory=dict)


class StoreSettings(_Section):
    """`[store]`: where the record of runs is kept."""

    url: Annotated[str, Field(min_length=1, repr=False)] = "sqlite:///.shopmon/runs.db"
    """SQLAlchemy address of the run store; SQLite, since it needs no server; `postgresql://…` for a team."""
    runs: Annotated[str, Field(min_length=1)] = ".shopmon/runs"
    """Folder of the runs' folders, relative to `shopmon.toml`."""
    references: Annotated[str, Field(min_length=1)] = ".shopmon/references"
    """Folder of the references' profiles, relative to `shopmon.toml`; they hold sampled rows."""
    retraining: Annotated[str, Field(min_length=1)] = ".shopmon/retraining"
    """Folder of the retraining set, relative to `shopmon.toml`."""


class Settings(_Section):
    """All of `shopmon.toml`."""

    data: DataSettings = DataSettings()
    check: CheckSettings = CheckSettings()
    drift: DriftSettings = DriftSettings()
    edge_cases: EdgeCaseSettings = EdgeCaseSettings()
    store: StoreSettings = StoreSettings()


@dataclass(frozen=True)
class Project:
    """A folder that is watched, and its settings.

    Everything has a default, so that a folder without `shopmon.toml` is a project as well.

    >>> Project(Path("/shop")).runs
    PosixPath('/shop/.shopmon/runs')
    """

    folder: Path
    """What relative paths in the settings stand on."""
    settings: Settings = field(default_factory=Settings)
    file: Path | None = None
    """The `shopmon.toml` that was read; None where there is none."""

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The project around `start`, by default the working directory: the nearest `shopmon.toml` upwards, like git.

        Without one, `start` itself with every default. Raises ProjectError if the file cannot be understood.
        """
        start = (start or Path.cwd()).absolute()
        for folder in (start, *start.parents):
            if (folder / FILE_NAME).is_file():
                return cls.read(folder / FILE_NAME)
        return cls(start)

    @classmethod
    def of(cls, given: Project | str | Path | None) -> Project:
        """A project as people name it: itself, its folder or `shopmon.toml`, or None for the nearest one upwards."""
        if given is None:
            return cls.find()
        return given if isinstance(given, Project) else cls.read(Path(given))

    @classmethod
    def read(cls, path: Path) -> Project:
        """The project of this `shopmon.toml`, or of the folder that holds it.

        Raises ProjectError that names file, line and key.
        """
        file = (path / FILE_NAME if path.is_dir() else path).absolute()
        try:
            text = file.read_bytes().decode("utf-8-sig")
            said = tomllib.loads(text)
        except FileNotFoundError:
            raise ProjectError(
                f"{path} holds no {FILE_NAME}", advice="Write one with: shopmon init, or leave out --project."
            ) from None
        except OSError as error:
            raise ProjectError(f"{file} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ProjectError(f"{file} is not UTF-8 (byte {error.start})", advice="Save it as UTF-8.") from error
        except tomllib.TOMLDecodeError as error:
            raise ProjectError(
                f"{file} is not TOML: {error}", advice="See https://toml.io for its few rules."
            ) from error
        try:
            settings = Settings.model_validate(said)
        except ValidationError as error:
            raise _misread(file, text, error.errors()[0]) from None
        project = cls(file.parent, settings, file)
        project._check_columns(text)
        return project

    @property
    def kind(self) -> str | None:
        """The kind of every batch of this project; None: recognise it from the columns."""
        return self.settings.data.kind

    @property
    def columns(self) -> dict[str, dict[str, str]]:
        """Kind → the file's own column name → role, for every kind whose columns are written."""
        sections: dict[str, KindData] = {kind.name: getattr(self.settings.data, kind.name) for kind in KINDS}
        return {kind: dict(section.columns) for kind, section in sections.items() if section.columns}

    def suite(self, kind: str) -> Path | None:
        """The project's own suite for a kind; None where the built-in one holds."""
        own: str | None = getattr(self.settings.check.suites, kind) or self.settings.check.suite
        return self._path(own) if own else None

    @property
    def runs(self) -> Path:
        """The folder of the runs' folders."""
        return self._path(self.settings.store.runs)

    @property
    def references(self) -> Path:
        """The folder of the references' profiles."""
        return self._path(self.settings.store.references)

    @property
    def retraining(self) -> Path:
        """The folder of the retraining set."""
        return self._path(self.settings.store.retraining)

    @property
    def store_url(self) -> str:
        """Address of the run store; may hold a password, so it is never logged or printed."""
        url = os.environ.get(STORE_URL_VARIABLE) or self.settings.store.url
        place, mark, query = url.removeprefix(_SQLITE).partition("?")
        if not url.startswith(_SQLITE) or not place or place == ":memory:":
            return url
        return f"{_SQLITE}{self._path(place)}{mark}{query}"

    def _path(self, written: str) -> Path:
        return self.folder / Path(written).expanduser()

    def _check_columns(self, text: str) -> None:
        """A role that its kind does not have is a mistake to be told now, not when the first batch arrives."""
        for kind, columns in self.columns.items():
            roles = [role.name for role in kind_named(kind).roles]
            for own, role in columns.items():
                if role not in roles:
                    place = ("data", kind, "columns", own)
                    raise ProjectError(
                        f"{_where(self.file, text, place)}: {kind} have no role {role!r} (for column {own!r})",
                        advice=f"{_did_you_mean(role, roles)}Roles: {', '.join(roles)}.",
                    )


def _misread(file: Path, text: str, error: ErrorDetails) -> ProjectError:
    """The first thing wrong in the file, with its place and a way out."""
    place = tuple(str(part) for part in error["loc"] if part != "[key]")
    where = _where(file, text, place)
    if error["type"] == "extra_forbidden":
        known = list(_keys(place[:-1]))
        what = "table" if isinstance(error["input"], dict) else "setting"
        inside = f"[{'.'.join(place[:-1])}]" if place[:-1] else FILE_NAME
        return ProjectError(
            f"{where}: {inside} has no {what} {place[-1]!r}",
            advice=f"{_did_you_mean(place[-1], known)}Known there: {', '.join(known)}.",
        )
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return ProjectError(
        f"{where}: {'.'.join(place)} {message}; got {error['input']!r}", advice=f"Correct it in {FILE_NAME}."
    )


def _keys(place: Sequence[str]) -> Iterator[str]:
    """What may stand in a table."""
    model: type[BaseModel] = Settings
    for part in place:
        if part in model.model_fields:  # else it is a name that the project gave, of a rule for instance
            annotation = model.model_fields[part].annotation
            inside = (annotation, *get_args(annotation))
            model = next(t for t in inside if isinstance(t, type) and issubclass(t, BaseModel))
    yield from model.model_fields


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


def _where(file: Path | None, text: str, place: Sequence[str]) -> str:
    # What stands within a list has no key of its own: then the list's line is told.
    lines = (_line_of(text, tuple(place[:known])) for known in range(len(place), 0, -1))
    line = next((line for line in lines if line), None)
    return f"{file}, line {line}" if line else str(file)


def _line_of(text: str, place: tuple[str, ...]) -> int | None:
    """The line (from 1) on which a key or the header of a table stands; None where it cannot be told.

    tomllib keeps no positions, so each line is read alone: the file as a whole has already been understood.

    >>> _line_of('[data]\\n# how\\nkind = "reviews"', ("data", "kind"))
    3
    """
    table: Names = ()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        try:
            if stripped.startswith("["):
                table = here = tuple(_only_keys(tomllib.loads(stripped)))
            else:
                here = (*table, *_only_keys(tomllib.loads(f"{stripped.partition('=')[0]} = 0")))
        except tomllib.TOMLDecodeError:
            continue
        if here[: len(place)] == place:
            return number
    return None


def _only_keys(tree: Mapping[str, Any]) -> Iterator[str]:
    while isinstance(tree, Mapping) and tree:
        key, tree = next(iter(tree.items()))
        yield key
