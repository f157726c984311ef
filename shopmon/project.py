"""What does this project's `shopmon.toml` say, and what holds where it says nothing?"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from expectations.errors import ProjectError
from expectations.kinds import KINDS, kind_named
from retrain.prompts import PromptError, check_prompts
from retrain.settings import OFFLINE, Prompts, Words
from shopmon.settings import KindData, Settings

FILE_NAME = "shopmon.toml"
STORE_URL_VARIABLE = "SHOPMON_STORE_URL"
"""Environment variable that wins over `[store] url`: the place for an address with a password."""

_SQLITE = "sqlite:///"


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
        project._check_prompts(text)
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
    def unrecorded(self) -> Path:
        """The folder of what is to be recorded once the run store can be reached again."""
        return self.runs / ".unrecorded"

    @property
    def references(self) -> Path:
        """The folder of the references' profiles."""
        return self._path(self.settings.store.references)

    @property
    def checked(self) -> Path:
        """The folder of the list of checked files."""
        return self._path(self.settings.store.checked)

    @property
    def windows(self) -> Path:
        """The folder of the windows' profiles, and of what was found of them."""
        return self.checked / "windows"

    @property
    def retraining(self) -> Path:
        """The folder of the retraining set."""
        return self._path(self.settings.store.retraining)

    @property
    def models(self) -> Path:
        """The folder of the registered models."""
        return self._path(self.settings.store.models)

    @property
    def training(self) -> Path:
        """The folder of trainings that are not done: checkpoints and numbers."""
        return self._path(self.settings.store.training)

    @property
    def cache(self) -> Path:
        """The folder of what can be made again: the offline base, and texts as tokens."""
        return self._path(self.settings.store.cache)

    @property
    def base(self) -> str:
        """What a training begins with: `offline`, the absolute path of a folder, or a name on the hub."""
        written = self.settings.retrain.base
        return written if written == OFFLINE else self.model_place(written)

    def model_place(self, written: str) -> str:
        """A model as it is found from any folder: the path of a folder is made absolute, a name stays."""
        folder = self._path(written)
        is_path = folder.is_dir() or written.startswith((".", "~")) or Path(written).is_absolute()
        return str(folder.absolute()) if is_path else written

    @property
    def general_text(self) -> Path | None:
        """The file of general text; None where the standard library's documentation stands for it."""
        written = self.settings.retrain.general_text
        return self._path(written) if written else None

    def address(self, written: str) -> str:
        """Data as it is found from any folder: a path is made absolute, an address stays."""
        return written if "://" in written else str(self._path(written).absolute())

    @property
    def prompts(self) -> Prompts:
        """What models are asked."""
        return Prompts(**self.settings.retrain.prompts.model_dump())

    @property
    def words(self) -> Words:
        """What a model should and should not say, of whom."""
        known = {field.name for field in fields(Words)}
        return Words(**self.settings.edge_cases.words.model_dump(include=known))

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

    def _check_prompts(self, text: str) -> None:
        """Prompts and words that contradict each other would make a training that nobody could judge."""
        try:
            check_prompts(self.prompts, self.words)
        except PromptError as error:
            table = ("edge_cases", "words") if error.of in Words.__dataclass_fields__ else ("retrain", "prompts")
            where = _where(self.file, text, (*table, error.of))
            raise ProjectError(f"{where}: {error.problem}", advice=error.advice) from None


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
    table: tuple[str, ...] = ()
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
