"""Which labelled rows are learnt from, which choose the weights, and which measure them?

Whatever is random follows from a hash of seed and text, never from a row's place: the same rows in another order are
dealt in the same way. A row whose text stands on two sides is a leak, which is looked for and refused.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError

Sides = NDArray[np.int8]
"""(rows,) of `Side`."""


class How(StrEnum):
    """How rows are dealt."""

    GROUPED = "grouped"
    """A group (all pairs of a query, all offers of a product) stays together; each label keeps its share."""
    HASH = "hash"
    """A group's hash alone decides: it stays on its side in every later training, whatever rows come. Sizes vary."""
    STRATIFIED = "stratified"
    """Each label keeps its share, and groups are torn: what LiYuan/amazon-query-product-ranking did. It leaks."""
    PUBLISHED = "published"
    """As a column of the data says."""


class Side(IntEnum):
    """What a row is for."""

    LEFT_OUT = -1
    TRAIN = 0
    VALIDATION = 1
    """Chooses the best weights of a training."""
    HELD_OUT = 2
    """Measures them: no training and no choice sees it."""


class Leaks(StrEnum):
    """What becomes of rows that stand on two sides."""

    REFUSE = "refuse"
    """Nothing is trained."""
    DROP = "drop"
    """They are left out where they would be learnt from, and measured on."""


@dataclass(frozen=True)
class SplitSettings:
    """How rows are dealt, and how many to each side."""

    how: How = How.GROUPED
    validation: float = 0.1
    """Share of the rows (0–1) that choose the best weights; with `published`, of the rows published for training."""
    held_out: float = 0.1
    """Share of the rows (0–1) that measure; `published` says itself which."""
    seed: int = 1
    leaks: Leaks = Leaks.REFUSE

    def __post_init__(self) -> None:
        for name in ("validation", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a share between 0 and 1, got {getattr(self, name)!r}")
        if self.validation + self.held_out >= 1:
            raise ValueError(f"validation {self.validation} and held_out {self.held_out} leave nothing to learn from")

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of training, validation and held-out rows; 1 together."""
        return (1 - self.validation - self.held_out, self.validation, self.held_out)


def deal(
    labels: Sequence[int],
    groups: Sequence[str],
    texts: Sequence[str],
    settings: SplitSettings,
    *,
    published: Sequence[str | None] | None = None,
) -> Sides:
    """Say for each row which side it is on; no rows, no sides.

    `labels` are numbers of classes, `groups` what must stay together, `texts` what tells rows apart, `published` what
    the data's own column says: train, validation (valid, val, dev) or test (held_out).

    Raises ShopmonError where a side that was asked for stays empty, and for a published split that is missing or holds
    something else; ValueError if the columns differ in length.

    >>> sides = deal([0, 1] * 10, [f"query {n // 2}" for n in range(20)], list(map(str, range(20))), SplitSettings())
    >>> [int((sides == side).sum()) for side in (Side.TRAIN, Side.VALIDATION, Side.HELD_OUT)]
    [16, 2, 2]
    """
    if not len(labels) == len(groups) == len(texts):
        raise ValueError(f"{len(labels)} labels, {len(groups)} groups and {len(texts)} texts are not one column each")
    if not len(labels):
        return np.zeros(0, np.int8)
    if settings.how is How.PUBLISHED:
        return _as_published(labels, groups, published, settings)
    if settings.how is How.HASH:
        sides = _by_hash(groups, settings)
    elif settings.how is How.STRATIFIED:
        sides = _stratified(labels, texts, settings)
    else:
        sides = _grouped(labels, groups, settings.shares, settings.seed)
    _check_sides(sides, settings, len(set(groups)))
    return sides


def _position(seed: int, text: str) -> int:
    """Where a text stands among all others: 64 bits of its hash, which follow from nothing else but the seed."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode(errors="surrogatepass")).digest()[:8], "big")


def _by_hash(groups: Sequence[str], settings: SplitSettings) -> Sides:
    place = {group: _position(settings.seed, group) / 2**64 for group in set(groups)}
    at = np.array([place[group] for group in groups])
    _, validation, held_out = settings.shares
    sides = np.full(len(groups), Side.TRAIN, np.int8)
    sides[at < held_out + validation] = Side.VALIDATION
    sides[at < held_out] = Side.HELD_OUT  # the same groups, however many are to choose the weights
    return sides


def _stratified(labels: Sequence[int], texts: Sequence[str], settings: SplitSettings) -> Sides:
    """Each label's rows in the order of their hashes, cut where its shares end: to a row exactly."""
    there = np.asarray(labels)
    place = np.array([_position(settings.seed, text) for text in texts], np.uint64)
    sides = np.full(len(there), Side.TRAIN, np.int8)
    for label in np.unique(there):
        rows = np.flatnonzero(there == label)
        ordered = rows[np.argsort(place[rows], kind="stable")]
        held = round(settings.held_out * len(ordered))
        validation = round(settings.validation * len(ordered))
        sides[ordered[:held]] = Side.HELD_OUT
        sides[ordered[held : held + validation]] = Side.VALIDATION
    return sides


def _grouped(labels: Sequence[int], groups: Sequence[str], shares: Sequence[float], seed: int) -> Sides:
    """Deal whole groups, the largest first: to a side that has room left, where the labels miss their shares least.

    A side is given no group once it has its share, so none has more than its share by a whole group. What is to be
    least is Pearson's chi-squared of labels by side.
    """
    names, of_row = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    _, of_label = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.zeros((len(names), int(of_label.max()) + 1))
    np.add.at(counts, (of_row, of_label), 1)
    sizes = counts.sum(1)
    wanted = np.outer(shares, counts.sum(0))
    places = np.array([_position(seed, str(name)) for name in names], np.uint64)
    chosen = np.zeros(len(names), np.int8)
    have, room = np.zeros_like(wanted), np.asarray(shares) * sizes.sum()
    weights = 1 / np.maximum(wanted, 1e-9)
    for group in np.lexsort((places, -sizes)):
        more = counts[group]
        cost = ((2 * (have - wanted) + more) * more * weights).sum(1)
        cost[room <= 1e-9] = np.inf
        side = int(np.argmin(cost))
        chosen[group], room[side] = side, room[side] - sizes[group]
        have[side] += more
    return np.asarray(chosen[of_row], np.int8)


# --- what the data says itself ----------------------------------------------------------------------------------------

_PUBLISHED: Mapping[str, Side] = {
    "train": Side.TRAIN,
    "training": Side.TRAIN,
    "validation": Side.VALIDATION,
    "valid": Side.VALIDATION,
    "val": Side.VALIDATION,
    "dev": Side.VALIDATION,
    "test": Side.HELD_OUT,
    "held_out": Side.HELD_OUT,
}


def _as_published(
    labels: Sequence[int], groups: Sequence[str], published: Sequence[str | None] | None, settings: SplitSettings
) -> Sides:
    """What the data's column says; where it names no validation, a share of the training rows, grouped."""
    if published is None or not any(published):
        raise ShopmonError(
            "the split is to be the published one, and the data has no column 'split'",
            advice="Add one that says train or test for each row, or choose another: --split grouped.",
        )
    said = [(written or "").strip().lower() for written in published]
    if unknown := sorted(set(said) - set(_PUBLISHED)):
        raise ShopmonError(
            f"the column 'split' says {unknown[0]!r} in {said.count(unknown[0]):,} rows",
            advice=f"It may say {', '.join(_PUBLISHED)}; or choose another split: --split grouped.",
        )
    sides = np.array([_PUBLISHED[one] for one in said], np.int8)
    train = np.flatnonzero(sides == Side.TRAIN).tolist()
    if settings.validation and not (sides == Side.VALIDATION).any() and train:
        shares = (1 - settings.validation, settings.validation)
        dealt = _grouped([labels[at] for at in train], [groups[at] for at in train], shares, settings.seed)
        sides[np.asarray(train)[dealt == 1]] = Side.VALIDATION
    for side, name in ((Side.TRAIN, "train"), (Side.HELD_OUT, "test")):
        if not (sides == side).any():
            raise ShopmonError(
                f"no row of the column 'split' says {name}", advice="Choose another split: --split grouped."
            )
    return sides


def _check_sides(sides: Sides, settings: SplitSettings, groups: int) -> None:
    names = ("training", "validation", "held-out")
    for side, (name, share) in enumerate(zip(names, settings.shares, strict=True)):
        if share and not (sides == side).any():
            raise ShopmonError(
                f"no {name} rows are left: {len(sides):,} rows in {groups:,} groups cannot be dealt so that "
                f"{share:.0%} of them are",
                advice="Give more data, or a larger share: validation and held_out, as in [retrain.relevance].",
            )


def whole_groups(groups: Sequence[str], most: int, seed: int = 0) -> list[int]:
    """Rows (numbers from 0, in their order) of so many whole groups as have `most` rows together at most, but of one.

    Which groups follows from their hashes: an even sample, the same in any order.

    >>> whole_groups(["a", "b", "a", "b"], 2) in ([0, 2], [1, 3])
    True
    """
    if len(groups) <= most:
        return list(range(len(groups)))
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    taken: set[str] = set()
    rows = 0
    for group in sorted(sizes, key=lambda one: _position(seed, one)):
        if not taken or rows + sizes[group] <= most:
            taken.add(group)
            rows += sizes[group]
    return [at for at, group in enumerate(groups) if group in taken]


# --- leaks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leakage:
    """What stands on two sides of a split."""

    exact: int
    """Rows that measure or choose and stand, letter for letter, on an earlier side (training, validation) as well."""
    normalised: int
    """Further ones that stand there in other case, spacing, punctuation or Unicode form."""
    groups: int
    """Groups of which rows are on several sides."""
    rows: int
    """Rows that measure or choose, all of them."""
    example: str = ""
    """One text that stands on two sides."""
    row: int | None = None
    """Where it stands, from 0."""

    @property
    def found(self) -> bool:
        """Whether any text stands on two sides."""
        return bool(self.exact or self.normalised)

    @property
    def told(self) -> str:
        """What was found, in a sentence; empty where nothing was."""
        parts = []
        if self.found:
            share = (self.exact + self.normalised) / self.rows
            parts.append(
                f"{self.exact + self.normalised:,} of {self.rows:,} rows that measure ({share:.1%}) stand among those "
                f"learnt from as well: {self.exact:,} letter for letter, {self.normalised:,} but for case, spacing or "
                "punctuation"
            )
        if self.groups:
            parts.append(f"{self.groups:,} groups (queries, products) are on several sides")
        return "; ".join(parts)


def normalised(text: str) -> str:
    """A text without what does not make it another one: case, spacing, punctuation, Unicode's forms.

    >>> normalised("  LED-Light, 5 ﬁxtures ")
    'led light 5 fixtures'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in folded).split())


def normalised_parts(text: str) -> str:
    """The same for a text of several parts, one a line, which stay apart.

    >>> normalised_parts("LED\\nA lamp.")
    'led\\na lamp'
    """
    return "\n".join(normalised(part) for part in text.split("\n"))


def leakage(
    sides: Sides, texts: Sequence[str], groups: Sequence[str] | None = None, *, alike: Sequence[str] | None = None
) -> Leakage:
    """Look for texts, and groups, on two sides; rows that are left out are on none.

    `texts` may be hashes as well, with those of the normalised texts in `alike`.

    >>> leakage(np.array([0, 2, 2], np.int8), ["A lamp", "a lamp.", "a lamp"]).normalised
    2
    """
    exact = _on_earlier(sides, texts)
    same = _on_earlier(sides, [normalised_parts(text) for text in texts] if alike is None else alike)
    kept = sides > Side.TRAIN
    first = next(iter(np.flatnonzero(exact | same).tolist()), None)
    return Leakage(
        exact=int(exact.sum()),
        normalised=int((same & ~exact).sum()),
        groups=_torn(sides, groups) if groups is not None else 0,
        rows=int(kept.sum()),
        example="" if first is None else texts[first],
        row=first,
    )


def refuse_leaks(found: Leakage) -> None:
    """Raise ShopmonError, with an example, if texts stand on two sides."""
    if found.found:
        shown = found.example.replace("\n", " / ")
        raise ShopmonError(
            f"the split leaks: {found.told}, for instance {shown[:120]!r}",
            advice='Deal whole groups (--split grouped), or leave them out: leaks = "drop", see [retrain.relevance].',
        )


def without_leaks(sides: Sides, texts: Sequence[str], *, alike: Sequence[str] | None = None) -> Sides:
    """The same sides, with rows left out that a later side holds as well: what measures stays whole.

    >>> without_leaks(np.array([0, 0, 2], np.int8), ["A lamp", "a bed", "a lamp"]).tolist()
    [-1, 0, 2]
    """
    alike = [normalised_parts(text) for text in texts] if alike is None else alike
    last: dict[str, int] = {}
    for text, side in zip(alike, sides.tolist(), strict=True):
        last[text] = max(last.get(text, -1), side)
    return np.array(
        [Side.LEFT_OUT if side < last[text] else side for text, side in zip(alike, sides.tolist(), strict=True)],
        np.int8,
    )


def _on_earlier(sides: Sides, texts: Sequence[str]) -> NDArray[np.bool_]:
    """(rows,) whether a row's text stands on a side before its own."""
    first: dict[str, int] = {}
    for text, side in zip(texts, sides.tolist(), strict=True):
        if side >= 0:
            first[text] = min(first.get(text, side), side)
    return np.array([side >= 0 and first[text] < side for text, side in zip(texts, sides.tolist(), strict=True)], bool)


def _torn(sides: Sides, groups: Sequence[str]) -> int:
    seen: dict[str, set[int]] = {}
    for group, side in zip(groups, sides.tolist(), strict=True):
        if side >= 0:
            seen.setdefault(group, set()).add(side)
    return sum(len(found) > 1 for found in seen.values())
