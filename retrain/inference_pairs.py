"""Where do labelled pairs of premise and hypothesis come from?

From files as SNLI, MultiNLI and their like are published: JSON lines, TSV or parquet, with the column names of either.
Memory does not grow with their rows: what comes out is a parquet file.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import ShopmonError
from expectations.readers import Part, read
from expectations.sources import Format, find_sources, fingerprint
from expectations.sql import literal, quoted
from monitor.retraining_set import text_hash
from monitor.run_folder import write_aside
from retrain.labelled import SCHEMA, Labelled, check_classes, class_of
from retrain.splits import normalised

VERSION = 1
"""Of what is kept of a pair; raised whenever it would come out differently."""
CLASSES = ("entailment", "neutral", "contradiction")
"""In the order in which SNLI and MultiNLI number them on the hub."""
NO_GOLD = ("-", "-1")
"""How a pair is labelled whose annotators did not agree, or that is for others to label: it has no gold label."""
_NAMES: Mapping[str, tuple[str, ...]] = {
    "premise": ("premise", "sentence1"),
    "hypothesis": ("hypothesis", "sentence2"),
    "label": ("gold_label", "label"),
    "id": ("pairid", "id", "idx", "index"),
    "locale": ("language", "locale", "lang"),
    "split": ("split",),
}
"""Role → the names of its column in lower case, the best first: those of the published files."""
_NEEDED = ("premise", "hypothesis", "label")
_WHOLE = "premise is not null and hypothesis is not null and said is not null"
_MEMORY = "600MB"
_AT_ONCE = 10_000
_SHOWN = 15


@dataclass(frozen=True)
class InferenceSettings:
    """Which pairs are read, and what their labels mean."""

    data: tuple[str, ...] = ()
    """Files, folders or addresses."""
    classes: tuple[str, ...] = CLASSES
    labels: Mapping[str, str] = field(default_factory=dict)
    """How a label is written → its class, beside the classes' own names: {"0": "entailment"}."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The files' own name of a column → premise, hypothesis, label, id, locale or split, where names do not tell."""

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes are two or more different names, got {list(self.classes)}")
        if strangers := [name for name in self.labels.values() if name not in self.classes]:
            raise ValueError(f"labels names {strangers[0]!r}, which is no class; there are {list(self.classes)}")
        if unknown := [role for role in self.columns.values() if role not in _NAMES]:
            raise ValueError(f"columns names the role {unknown[0]!r}; there are {', '.join(_NAMES)}")


def read_inference(settings: InferenceSettings, cache: Path, section: str = "retrain.nli") -> Labelled:
    """Read labelled pairs into a parquet file in `cache`, once: a second call finds it by the hash of what went in.

    Of a row `text` is the premise and `pair` the hypothesis; all pairs of a premise are one group. Pairs without a gold
    label are left out and counted. `section` of shopmon.toml is named in advice.

    Raises ShopmonError, by name, for: no data; columns that are missing; labels that no class was given for, numbers
    among them unless the file says itself what they mean; one class only; fewer rows than classes.
    """
    check_inference_named(settings, section)
    folder = cache / "inference"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = _Reading(settings, section, Path(scratch)).into(folder)
    return check_classes(found, section)


def check_inference_named(settings: InferenceSettings, section: str = "retrain.nli") -> None:
    """Raise ShopmonError if no file of pairs is named."""
    if not settings.data:
        raise ShopmonError(
            "no labelled pairs of premise and hypothesis are named",
            advice=f'Name their files, such as those of MultiNLI: data = ["multinli_1.0_train.jsonl"] in [{section}].',
        )


@dataclass(frozen=True)
class _Reading:
    """Pairs on their way from files to one file."""

    settings: InferenceSettings
    section: str
    scratch: Path

    def into(self, folder: Path) -> Labelled:
        # Each by itself: SNLI may come as JSON lines, and MultiNLI as parquet.
        sources = [one for address in self.settings.data for one in find_sources([address], self.scratch)]
        parts = [read(one, self.scratch, allow_empty=len(sources) > 1) for one in sources]
        hashes = [fingerprint(one.found) for one in parts]
        inputs = [digest or f"{one.found.name} {one.rows}" for digest, one in zip(hashes, parts, strict=True)]
        said = json.dumps([VERSION, inputs, _plain(self.settings)], sort_keys=True)
        name = hashlib.sha256(said.encode()).hexdigest()
        readers = [
            _PartReading(part, self.settings, self.section, digest) for part, digest in zip(parts, hashes, strict=True)
        ]
        readers = [one for one in readers if one.part.rows]
        with _database(self.scratch) as connection:
            counted = [one.check(connection) for one in readers]
            file = folder / f"{name}.parquet"
            if not file.exists():
                with write_aside(file) as aside, pq.ParquetWriter(aside, SCHEMA, compression="zstd") as writer:
                    for one in readers:
                        for batch in one.kept(connection):
                            writer.write_batch(batch)
        counts = _counts(file, len(self.settings.classes))
        without = sum(one.without for one in counted)
        return Labelled(
            file,
            sum(counts),
            self.settings.classes,
            counts,
            tuple(one.name for one in sources),
            name,
            without + sum(one.incomplete for one in counted),
            tuple(sorted({name for one in counted for name in one.locales})),
            tuple(self._notes(counts, without, parts)),
        )

    def _notes(self, counts: Sequence[int], without: int, parts: Sequence[Part]) -> Iterator[str]:
        for label, count in zip(self.settings.classes, counts, strict=True):
            if not count:
                yield f"no pair is labelled {label}"
        if without:
            yield f"{without:,} pairs have no gold label, and are left out"
        if unreadable := sum(part.rejected_rows for part in parts):
            yield f"{unreadable:,} records could not be read, and are left out"


@dataclass(frozen=True)
class _Counted:
    """What there is in a file, beside what is kept."""

    without: int
    """Complete pairs without a gold label."""
    incomplete: int
    """Pairs that lack something else."""
    locales: Sequence[str]


@dataclass(frozen=True)
class _PartReading:
    """The pairs of one file."""

    part: Part
    settings: InferenceSettings
    section: str
    digest: str
    """The file's SHA-256."""

    def check(self, connection: duckdb.DuckDBPyConnection) -> _Counted:
        """What is left out. Raises ShopmonError for labels that mean nothing."""
        written = self._rows(connection, "said, count(*)", f"{_WHOLE} group by 1 order by 2 desc, 1")
        counts = {said: count for said, count in written if self._class_of(said) is None}
        without = sum(counts.pop(said, 0) for said in NO_GOLD)
        self._check_labels(counts)
        ((incomplete,),) = self._rows(connection, "count(*)", f"not ({_WHOLE})")
        locales = self._rows(connection, "distinct locale", "locale is not null")
        return _Counted(without, incomplete, [name for (name,) in locales])

    def kept(self, connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
        """The complete pairs with a gold label, as `SCHEMA` has them."""
        query = f"select * from ({self._relation()}) where {_WHOLE} order by row"
        for batch in connection.sql(query).to_arrow_reader(_AT_ONCE):
            told = batch.to_pydict()
            labels = [self._class_of(said) for said in told["said"]]
            some = [at for at, label in enumerate(labels) if label is not None]
            pairs = [(told["premise"][at], told["hypothesis"][at]) for at in some]
            premises = [normalised(premise) for premise, _ in pairs]
            columns = {
                "text": [premise for premise, _ in pairs],
                "pair": [hypothesis for _, hypothesis in pairs],
                "label": [labels[at] for at in some],
                "group": premises,
                "key": [text_hash(f"{premise}\n{hypothesis}") for premise, hypothesis in pairs],
                "alike": [
                    text_hash(f"{same}\n{normalised(hypothesis)}")
                    for same, (_, hypothesis) in zip(premises, pairs, strict=True)
                ],
                "file": [self.part.found.name] * len(some),
                "batch": [self.digest] * len(some),
                **{name: [told[name][at] for at in some] for name in ("split", "locale", "id", "row")},
            }
            yield pa.RecordBatch.from_pydict(columns, schema=SCHEMA)

    def _class_of(self, said: str) -> int | None:
        return class_of(said, self.settings.classes, {**self._names_of_numbers, **self.settings.labels})

    @cached_property
    def _names_of_numbers(self) -> Mapping[str, str]:
        """What the file itself says its numbers mean, as those of the hub do; nothing where it does not."""
        if self.part.found.format is not Format.PARQUET:
            return {}
        told = pq.read_schema(self.part.path).metadata or {}
        try:
            features = json.loads(told[b"huggingface"])["info"]["features"]
            names = features[self._column("label")]["names"]
        except (LookupError, TypeError, ValueError):
            return {}
        by_name = {name.lower(): name for name in self.settings.classes}
        return {str(at): by_name[str(name).lower()] for at, name in enumerate(names) if str(name).lower() in by_name}

    def _relation(self) -> str:
        """SQL: the pairs as text without blanks around it, null for what is missing or blank."""
        number = quoted(self.part.row_column) if self.part.row_column else "file_row_number + 1"
        columns = {role: self._column(role) for role in _NAMES}
        named = [f"{_trimmed(quoted(own)) if own else 'null::varchar'} as {role}" for role, own in columns.items()]
        whole = "regexp_replace(label, '^([+-]?[0-9]+)\\.0+$', '\\1')"  # numbers with gaps are stored as fractions
        file = f"read_parquet([{literal(str(self.part.path))}], hive_partitioning = false)"
        own = f"select ({number})::bigint as row, {', '.join(named)} from {file}"
        return f"select * exclude (label), {whole} as said from ({own})"

    def _column(self, role: str) -> str | None:
        """The file's own name of a role's column; None for none that could be done without."""
        own = [name for name, _ in self.part.columns]
        given = [name for name, to in self.settings.columns.items() if to == role and name in own]
        by_name = {name.lower(): name for name in reversed(own)}
        found = [*given, *(by_name[name] for name in _NAMES[role] if name in by_name)]
        if found:
            return found[0]
        if role in _NEEDED:
            raise ShopmonError(
                f"{self.part.found.name} has no column for the {role}; it has {_listed(own)}",
                advice=f'Say which it is: columns = {{ "its own name" = "{role}" }} in [{self.section}].',
            )
        return None

    def _check_labels(self, unknown: Mapping[str, int]) -> None:
        if not unknown:
            return
        said, count = next(iter(unknown.items()))
        classes = self.settings.classes
        if said.lstrip("+-").isdigit():
            meant = ", ".join(f'"{at}" = "{name}"' for at, name in enumerate(classes))
            raise ShopmonError(
                f"the labels of {self.part.found.name} are numbers ({_listed(list(unknown))}), and nothing says what "
                "each means",
                advice=f"Say so in [{self.section}]; SNLI and MultiNLI of the hub have labels = {{ {meant} }}.",
            )
        more = f" (and {len(unknown) - 1} others)" if len(unknown) > 1 else ""
        raise ShopmonError(
            f"the label {said!r} of {count:,} pairs{more} in {self.part.found.name} is no class; the classes are "
            f"{', '.join(classes)}",
            advice=f"Say what it means under [{self.section}.labels].",
        )

    def _rows(self, connection: duckdb.DuckDBPyConnection, what: str, where: str) -> list[tuple[Any, ...]]:
        return connection.execute(f"select {what} from ({self._relation()}) where {where}").fetchall()


@contextmanager
def _database(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database for one reading. Raises ShopmonError for a file that is damaged behind its first bytes."""
    with duckdb.connect() as connection:
        for setting in (f"memory_limit = '{_MEMORY}'", "enable_progress_bar = false"):
            connection.execute(f"set {setting}")
        connection.execute("set temp_directory = $folder", {"folder": str(scratch / "spill")})
        try:
            yield connection
        except duckdb.Error as error:
            raise ShopmonError(
                f"the pairs cannot be read: {str(error).strip().splitlines()[0]}", advice="Deliver the file again."
            ) from error


def _counts(file: Path, classes: int) -> tuple[int, ...]:
    counted = Counter(pq.read_table(file, columns=["label"]).column("label").to_pylist())
    return tuple(counted[number] for number in range(classes))


def _plain(settings: InferenceSettings) -> dict[str, Any]:
    """What decides what comes out; the files count by their bytes, not by their names."""
    return {name: value for name, value in asdict(settings).items() if name != "data"}


def _trimmed(sql: str) -> str:
    return f"nullif(trim({sql}::varchar, chr(32) || chr(9) || chr(10) || chr(13)), '')"


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
