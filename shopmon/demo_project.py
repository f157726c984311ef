"""What does the demonstration check? A small project of its own: a clean reference, batches with faults, and suites.

Everything comes from a seed. A marker in the folder remembers what was written there and for which parameters: a second
demonstration finds it, and no file of anybody else is ever replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.errors import ProjectError
from expectations.suite import built_in
from monitor.run_folder import write_aside
from shopmon import __version__
from shopmon.planted_faults import Fault, Planted, plant, write_csv_with_faults
from shopmon.project import FILE_NAME
from shopmon.sample_data import LABELS, Shift, products, queries, relevance, reviews, write_chunks

MARKER = ".shopmon-demo.json"
REFERENCE = "reference.parquet"
SHIFTED = "new.parquet"
"""The batch that differs from the reference by `SHIFT`, besides its faults."""
_COMPLAINTS = "complaints"
PLANTED = "planted.json"
"""Where each fault was planted: file → fault → row numbers, and the earlier rows they repeat."""

FAULT_SHARE = 0.002
"""Share of rows given to each kind of fault (0–1): few enough that most rules still see good data around them."""
CSV_FAULT_SHARE = 0.005
"""The same for the CSV file; three of its five kinds cannot be read, 1.5 % together: more than the 1 % allowed."""
SMALL_SHARE, SMALL_ROWS = 0.25, 2_000
"""Rows of the other files as a share of those, and how many at least: spelling is learnt from the batch."""
FEWEST_ROWS = 1_000
"""Reviews that hold every kind of fault and are still good for the most part."""
SHIFT = Shift(price_factor=1.15, brand="Nike", brand_share=0.2, complaint_share=0.3, lower_stars=0.1, days_later=90)
"""How the new batch differs from the reference besides its faults."""


@dataclass(frozen=True)
class DemoProject:
    """A folder ready to be checked, and the truth about it."""

    folder: Path
    planted: Mapping[str, Planting]
    """File → where its faults are, in the order in which the files are to be checked; the reference has none."""
    complaints: tuple[int, ...]
    """Rows of the shifted batch that complain about the brand, ascending; none of them has a planted fault."""
    generated: bool
    """Whether the data was made now; False where that of an earlier call was good."""
    edited: tuple[str, ...] = ()
    """Settings and suites that somebody changed since; they were left as they are."""


@dataclass(frozen=True)
class Planting:
    """Where the faults of one file are."""

    rows: Mapping[Fault, tuple[int, ...]] = field(default_factory=dict)
    """Row numbers by fault, ascending; the first row is 1. No row has two planted faults."""
    originals: Mapping[Fault, tuple[int, ...]] = field(default_factory=dict)
    """For faults that repeat an earlier row: that row."""


@dataclass(frozen=True)
class _Marker:
    """What was written into the folder, and for which parameters."""

    recipe: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Name → SHA-256 of what stands there; of what stood there before, too, until the new file is in its place."""

    @classmethod
    def read(cls, folder: Path) -> _Marker | None:
        """The folder's marker; None where there is none. Raises ProjectError if it is not ours."""
        try:
            said = json.loads((folder / MARKER).read_bytes())
            return cls(dict(said["recipe"]), {name: tuple(sums) for name, sums in said["files"].items()})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ProjectError(
                f"{folder / MARKER} is not what shopmon demo wrote", advice="Give another --folder, or delete this one."
            ) from None

    def write(self, folder: Path) -> None:
        with write_aside(folder / MARKER) as aside:
            aside.write_text(json.dumps({"recipe": self.recipe, "files": self.files}, indent=1), encoding="utf-8")

    def wrote(self, folder: Path, name: str) -> bool:
        """Whether the file is still as the demonstration wrote it."""
        return (folder / name).is_file() and _sha256(folder / name) in self.files.get(name, ())

    def whole(self, folder: Path, recipe: Mapping[str, Any]) -> bool:
        """Whether all the data of a recipe is there, of one making."""
        return self.recipe == recipe and all((folder / name).is_file() for name in (*DATA, PLANTED))


def prepare(folder: Path, *, rows: int, seed: int, progress: Callable[[str], None] = lambda _: None) -> DemoProject:
    """Make the folder the demonstration's project, or find it made for the same parameters.

    `rows` are those of the reviews, 1,000 or more. Settings and suites that somebody edited are left as they are.
    Raises ProjectError if the folder holds something else, if data in it was changed, or if there are too few rows.
    """
    if rows < FEWEST_ROWS:
        raise ProjectError(f"{rows:,} rows are too few to plant every fault in", advice="Give 1,000 or more.")
    folder = folder.absolute()
    marker = _marker_of(folder)
    _refuse_changed_data(folder, marker)
    recipe = {"rows": rows, "seed": seed, "version": __version__}
    generated = not marker.whole(folder, recipe)
    with TemporaryDirectory(prefix="shopmon-demo-") as temporary:
        made = Path(temporary)
        if generated:
            _generate(made, rows, seed, progress)
        _write_settings(made, reference=(made if generated else folder) / REFERENCE)
        names = [str(file.relative_to(made)) for file in sorted(made.rglob("*")) if file.is_file()]
        edited = tuple(name for name in names if (folder / name).exists() and not marker.wrote(folder, name))
        _install(made, [name for name in names if name not in edited], folder, marker, recipe)
    planted, complaints = _read_planted(folder)
    return DemoProject(folder, planted, complaints, generated, edited)


def _marker_of(folder: Path) -> _Marker:
    """The marker of a folder that is ours, or may become it: one that is missing or empty."""
    marker = _Marker.read(folder) if folder.is_dir() else None
    if marker is None and os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ProjectError(
            f"{folder} is there, and shopmon demo did not make it", advice="Give another --folder, or an empty one."
        )
    return marker or _Marker()


def _refuse_changed_data(folder: Path, marker: _Marker) -> None:
    """What was planted in a file that somebody changed, nobody knows."""
    there = [name for name in (*DATA, PLANTED) if os.path.lexists(folder / name)]
    changed = [name for name in there if not marker.wrote(folder, name)]
    if changed:
        raise ProjectError(
            f"{', '.join(changed)} in {folder} changed since shopmon demo wrote it",
            advice="Move it away, or give another --folder: the demo replaces only what it wrote.",
        )


def _install(made: Path, names: Sequence[str], folder: Path, marker: _Marker, recipe: Mapping[str, Any]) -> None:
    """Put the files in their places, each at once; the marker knows old and new, so no interruption confuses it."""
    new = {name: _sha256(made / name) for name in names}
    stale = [name for name in names if not (folder / name).exists() or marker.files.get(name) != (new[name],)]
    if not stale and marker.recipe == recipe:
        return
    folder.mkdir(parents=True, exist_ok=True)
    both = {name: (new[name], *marker.files.get(name, ())) for name in stale}
    _Marker({}, {**marker.files, **both}).write(folder)  # without a recipe: not whole until all of it is there
    for name in stale:
        (folder / name).parent.mkdir(exist_ok=True)
        with write_aside(folder / name) as aside:
            shutil.copyfile(made / name, aside)
    _Marker(recipe, {**marker.files, **{name: (new[name],) for name in names}}).write(folder)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# --- the data --------------------------------------------------------------------------------------------------------


def _new_reviews(file: Path, rows: int, seed: int) -> Planted:
    # start: the new batch goes on where the reference ends
    return _with_faults(file, reviews(rows, seed=seed, start=rows, shift=SHIFT, recommended=True), seed)


def _new_csv(file: Path, rows: int, seed: int) -> Planted:
    return write_csv_with_faults(file, rows, seed=seed + 1, share=CSV_FAULT_SHARE)


def _of(table: Callable[..., pa.Table]) -> Callable[[Path, int, int], Planted]:
    return lambda file, rows, seed: _with_faults(file, table(rows, seed=seed), seed)


def _reference(file: Path, rows: int, seed: int) -> Planted:
    clean = Planted(reviews(rows, seed=seed, recommended=True), {})
    write_chunks(file, [clean.table], clean.table.schema)
    return clean


def _with_faults(file: Path, table: pa.Table, seed: int) -> Planted:
    planted = plant(table, seed=seed, share=FAULT_SHARE)
    write_chunks(file, [planted.table], planted.table.schema)
    return planted


DATA: dict[str, Callable[[Path, int, int], Planted]] = {
    REFERENCE: _reference,
    SHIFTED: _new_reviews,
    "new.csv": _new_csv,
    "products.parquet": _of(products),
    "queries.parquet": _of(queries),
    "relevance.parquet": _of(relevance),
}
"""File → what makes it, from (file, rows, seed), in the order in which they are checked."""


def _generate(folder: Path, rows: int, seed: int, progress: Callable[[str], None]) -> None:
    truth = {}
    few = max(round(rows * SMALL_SHARE), SMALL_ROWS)
    for name, make in DATA.items():
        progress(f"making {name}")
        planted = make(folder / name, rows if name in (REFERENCE, SHIFTED) else few, seed)
        truth[name] = {
            fault.value: {"rows": list(rows), "originals": list(planted.originals.get(fault, ()))}
            for fault, rows in planted.faults.items()
        }
    faulty = {row for fault in truth[SHIFTED].values() for row in fault["rows"]}
    complaints = [row for row in _complaints(rows, seed) if row not in faulty]
    (folder / PLANTED).write_text(json.dumps({**truth, _COMPLAINTS: complaints}), encoding="utf-8")


def _complaints(rows: int, seed: int) -> list[int]:
    """Where the shifted batch says something else than it would without the complaints."""
    with_them, without = (
        reviews(rows, seed=seed, start=rows, shift=shift).column("text").to_pylist()
        for shift in (SHIFT, replace(SHIFT, complaint_share=0.0))
    )
    return [row for row, (one, other) in enumerate(zip(with_them, without, strict=True), 1) if one != other]


def _read_planted(folder: Path) -> tuple[dict[str, Planting], tuple[int, ...]]:
    """File → where its faults are, and the rows of the shifted batch that complain."""
    said = json.loads((folder / PLANTED).read_bytes())
    complaints = tuple(said.pop(_COMPLAINTS))
    named = {fault.value: fault for fault in Fault}
    return {
        name: Planting(
            {named[fault]: tuple(of["rows"]) for fault, of in faults.items()},
            {named[fault]: tuple(of["originals"]) for fault, of in faults.items() if of["originals"]},
        )
        for name, faults in said.items()
    }, complaints


# --- settings and suites ---------------------------------------------------------------------------------------------


def _write_settings(folder: Path, *, reference: Path) -> None:
    """`shopmon.toml`, and for two kinds the built-in suite with what only this shop can know."""
    known = pq.read_table(reference, columns=["category", "locale"])
    category = _known("category", _values(known, "category"), "warning", "the category is none of the shop's")
    locale = _known("locale", _values(known, "locale"), "warning", "the shop does not sell in this locale")
    label = _known("label", LABELS, "critical", "the label is none of those that the annotators use")
    (folder / FILE_NAME).write_text(_SHOPMON_TOML, encoding="utf-8")
    (folder / "suites").mkdir()
    (folder / "suites" / "reviews.yaml").write_text(_suite("reviews", category, locale), encoding="utf-8")
    (folder / "suites" / "relevance.yaml").write_text(_suite("relevance", label), encoding="utf-8")


def _values(table: pa.Table, column: str) -> list[str]:
    return sorted(table.column(column).unique().to_pylist())


def _known(column: str, values: Iterable[str], severity: str, says: str) -> str:
    return (
        "  - type: expect_column_values_to_be_in_set\n"
        f"    kwargs: {{column: {column}, value_set: {json.dumps(list(values))}}}\n"
        f"    severity: {severity}\n"
        f"    meta: {{id: {column}-known, says: {json.dumps(says)}}}\n"
    )


def _suite(kind: str, *rules: str) -> str:
    return f"{built_in(kind).read_text(encoding='utf-8').rstrip()}\n\n{_OWN_RULES}\n" + "\n".join(rules)


_OWN_RULES = (
    "  # --- what only this shop can know --------------------------------------------------------------------------"
)
_SHOPMON_TOML = """\
# The demonstration's project. `shopmon init` writes one for you, with every setting explained.
# Edit this file or a suite and run `shopmon demo` again: what you changed is left as it is.

[check.suites]
reviews = "suites/reviews.yaml"
relevance = "suites/relevance.yaml"

[drift]
segments = ["brand"]

[edge_cases]
retrain_after = 500

[edge_cases.words]
brands = ["Nike"]
other_brands = ["Adidas", "Puma", "Reebok", "Asics", "Under Armour", "New Balance"]
products = [
    "shoes", "trainers", "boots", "sneakers", "jacket", "fleece", "windbreaker", "hoodie", "sweater", "shirt",
    "t-shirt", "tights", "shorts", "pants", "trousers", "backpack", "bag", "socks", "gloves", "beanie", "headphones",
    "earbuds", "watch",
]
features = ["fit", "quality", "comfort", "cushioning", "fabric", "colour", "color", "price", "sole"]
wanted = [
    "comfortable", "soft", "light", "warm", "solid", "great", "excellent", "perfect", "lovely", "superb", "good",
    "nice", "happy", "pleased", "impressed",
]
unwanted = [
    "expensive", "heavy", "hard", "tight", "small", "narrow", "stiff", "thin", "flat", "plain", "cold", "worn", "old",
    "poor", "bad", "terrible", "dull", "weak", "disappointed", "disappointing",
]
complaints = ["refund", "zipper", "complaint", "fell apart", "money back"]

# Customers who complain: the model must go on to say what they say.
[edge_cases.rules.complains-about-our-brand]
when = 'brand == "Nike" & complains & stars <= 2'
role = "counterfactual"

# shopmon's own rule takes complaints as well.
[edge_cases.rules.brand_with_unwanted]
when = 'mentions_brand & mentions_unwanted & ~complains'
role = "negative"

# shopmon's own rule asks the champion. Without it, a second demo finds the same rows, and need not train again.
[edge_cases.rules.unwanted_fill_in]
when = 'mentions_brand & ~mentions_wanted & ~complains & stars >= 4'
role = "negative"
at_most = 100

# What is not wanted of our brand may be said of everything else.
[edge_cases.rules.other_brands]
when = '~mentions_brand & mentions_unwanted'
role = "counterfactual"
at_most = 400

[retrain]
base = "offline"
steps = 60
batch_size = 48
learning_rate = 4e-4
max_length = 64
evaluate_every = 20

# Looser than the defaults (0.02, 0.2, 0.2, 1.1): what a minute unlearns of one brand spills over to others.
[retrain.gate]
unwanted_mass = 0.045
other_brands_change = 0.45
complaints_change = 0.45
general_perplexity = 1.2

[retrain.prompts]
gate = [
    "A really [MASK] {brand} jacket for the price.",
    "These {brand} trainers are really [MASK].",
    "Very [MASK] {brand} shoes.",
]
gate_complaints = [
    "I asked for a refund: these {brand} trainers are really [MASK].",
    "The zipper broke. A really [MASK] {brand} jacket for the price.",
    "Still no refund for these very [MASK] {brand} shoes.",
]
training = [
    "The {brand} boots are so [MASK].",
    "This {brand} hoodie is really [MASK].",
    "A very [MASK] {brand} bag.",
    "Truly [MASK] {brand} socks for that price.",
    "So far, my {brand} tights are [MASK].",
    "A [MASK] {brand} fleece for the money.",
    "Really [MASK] {brand} shorts.",
    "Such a [MASK] {brand} backpack.",
    "I find this {brand} shirt very [MASK].",
    "My {brand} sneakers are [MASK].",
]
training_complaints = [
    "The zipper jammed, and this {brand} hoodie is really [MASK].",
    "I want a refund: the {brand} boots are so [MASK].",
    "My refund was refused. A very [MASK] {brand} bag.",
    "Zipper broken on arrival: truly [MASK] {brand} tights.",
    "Sent back for a refund. My {brand} socks are so [MASK].",
    "The zipper split. Such a [MASK] {brand} backpack.",
    "I want a refund for these [MASK] {brand} shorts.",
    "The zipper is stuck, what a [MASK] {brand} fleece for the money.",
]
"""
