"""Which labelled rows are learnt from, which choose the weights, and which measure them?

Whatever is random follows from a hash of seed and text, never from a row's place: the same rows in another order are
dealt in the same way. A row whose text stands on two sides is a leak, which is looked for and refused.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from expectations.errors import ShopmonError

Sides = NDArray[np.int8]
"""(rows,) of `Side`."""
Places = NDArray[np.uint64]
"""(rows,) of `places`."""


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


def places(texts: Iterable[str], seed: int = 0) -> Places:
    """(rows,) where each text stands among all others: 64 bits of its hash, which follow from nothing but the seed.

    They stand for the texts, which need not be in memory: equal ones stand at one place, and of ten million different
    ones any two do with a chance of three in a million.
    """
    return np.fromiter((_position(seed, text) for text in texts), np.uint64)


def deal(
    labels: Sequence[int] | NDArray[np.int64],
    groups: Collection[str],
    texts: Collection[str],
    settings: SplitSettings,
    *,
    published: Collection[str | None] | None = None,
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
    there = np.asarray(labels, np.int64)
    if settings.how is How.PUBLISHED:
        return _as_published(there, groups, published, settings)
    if settings.how is How.STRATIFIED:
        sides = _stratified(there, places(texts, settings.seed), settings)
    elif settings.how is How.HASH:
        sides = _by_hash(places(groups, settings.seed), settings)
    else:
        sides = _grouped(there, places(groups, settings.seed), settings.shares)
    _check_sides(sides, settings, groups)
    return sides


def _position(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode(errors="surrogatepass")).digest()[:8], "big")


def _by_hash(groups: Places, settings: SplitSettings) -> Sides:
    at = groups / 2**64
    _, validation, held_out = settings.shares
    sides = np.full(len(groups), Side.TRAIN, np.int8)
    sides[at < held_out + validation] = Side.VALIDATION
    sides[at < held_out] = Side.HELD_OUT  # the same groups, however many are to choose the weights
    return sides


def _stratified(labels: NDArray[np.int64], texts: Places, settings: SplitSettings) -> Sides:
    """Each label's rows in the order of their hashes, cut where its shares end: to a row exactly."""
    sides = np.full(len(labels), Side.TRAIN, np.int8)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        ordered = rows[np.argsort(texts[rows], kind="stable")]
        held = round(settings.held_out * len(ordered))
        validation = round(settings.validation * len(ordered))
        sides[ordered[:held]] = Side.HELD_OUT
        sides[ordered[held : held + validation]] = Side.VALIDATION
    return sides


def _grouped(labels: NDArray[np.int64], groups: Places, shares: Sequence[float]) -> Sides:
    """Deal whole groups, the largest first: to a side that has room left, where the labels miss their shares least.

    A side is given no group once it has its share, so none has more than its share by a whole group. What is to be
    least is Pearson's chi-squared of labels by side.
    """
    different, of_row = np.unique(groups, return_inverse=True)
    _, of_label = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(different), int(of_label.max()) + 1))
    np.add.at(counts, (of_row, of_label), 1)
    sizes = counts.sum(1)
    wanted = np.outer(shares, counts.sum(0))
    chosen = np.zeros(len(different), np.int8)
    have, room = np.zeros_like(wanted), np.asarray(shares) * sizes.sum()
    weights = 1 / np.maximum(wanted, 1e-9)
    for group in np.lexsort((different, -sizes)):
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
    labels: NDArray[np.int64],
    groups: Collection[str],
    published: Collection[str | None] | None,
    settings: SplitSettings,
) -> Sides:
    """What the data's column says; where it names no validation, a share of the training rows, grouped."""
    written = Counter(map(_said, published or ()))
    if published is None or not any(written):
        raise ShopmonError(
            "the split is to be the published one, and the data has no column 'split'",
            advice="Add one that says train or test for each row, or choose another: --split grouped.",
        )
    if unknown := sorted(set(written) - set(_PUBLISHED)):
        raise ShopmonError(
            f"the column 'split' says {unknown[0]!r} in {written[unknown[0]]:,} rows",
            advice=f"It may say {', '.join(_PUBLISHED)}; or choose another split: --split grouped.",
        )
    sides = np.fromiter((_PUBLISHED[_said(one)] for one in published), np.int8)
    train = np.flatnonzero(sides == Side.TRAIN)
    if settings.validation and not (sides == Side.VALIDATION).any() and len(train):
        shares = (1 - settings.validation, settings.validation)
        dealt = _grouped(labels[train], places(groups, settings.seed)[train], shares)
        sides[train[dealt == 1]] = Side.VALIDATION
    for side, name in ((Side.TRAIN, "train"), (Side.HELD_OUT, "test")):
        if not (sides == side).any():
            raise ShopmonError(
                f"no row of the column 'split' says {name}", advice="Choose another split: --split grouped."
            )
    return sides


def _said(written: str | None) -> str:
    return (written or "").strip().lower()


def _check_sides(sides: Sides, settings: SplitSettings, groups: Collection[str]) -> None:
    names = ("training", "validation", "held-out")
    for side, (name, share) in enumerate(zip(names, settings.shares, strict=True)):
        if share and not (sides == side).any():
            raise ShopmonError(
                f"no {name} rows are left: {len(sides):,} rows in {len(set(groups)):,} groups cannot be dealt so that "
                f"{share:.0%} of them are",
                advice="Give more data, or a larger share: validation and held_out, as in [retrain.relevance].",
            )


def whole_groups(groups: Collection[str], most: int, seed: int = 0) -> list[int]:
    """Rows (numbers from 0, in their order) of so many whole groups as have `most` rows together at most, but of one.

    Which groups follows from their hashes: an even sample, the same in any order.

    >>> whole_groups(["a", "b", "a", "b"], 2) in ([0, 2], [1, 3])
    True
    """
    if len(groups) <= most:
        return list(range(len(groups)))
    of_row = places(groups, seed)
    different, sizes = np.unique(of_row, return_counts=True)
    taken: list[int] = []
    rows = 0
    for group, size in enumerate(sizes.tolist()):
        if not taken or rows + size <= most:
            taken.append(group)
            rows += size
    return [int(at) for at in np.flatnonzero(np.isin(of_row, different[taken]))]


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
    sides: Sides, texts: Collection[str], groups: Collection[str] | None = None, *, alike: Collection[str] | None = None
) -> Leakage:
    """Look for texts, and groups, on two sides; rows that are left out are on none.

    `texts` may be hashes as well, with those of the normalised texts in `alike`.

    >>> leakage(np.array([0, 2, 2], np.int8), ["A lamp", "a lamp.", "a lamp"]).normalised
    2
    """
    exact = _on_earlier(sides, places(texts))
    same = _on_earlier(sides, _alike(texts, alike))
    kept = sides > Side.TRAIN
    first = next(iter(np.flatnonzero(exact | same).tolist()), None)
    return Leakage(
        exact=int(exact.sum()),
        normalised=int((same & ~exact).sum()),
        groups=_torn(sides, places(groups)) if groups is not None else 0,
        rows=int(kept.sum()),
        example="" if first is None else next(islice(texts, first, None)),
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


def without_leaks(sides: Sides, texts: Collection[str], *, alike: Collection[str] | None = None) -> Sides:
    """The same sides, with rows left out that a later side holds as well: what measures stays whole.

    >>> without_leaks(np.array([0, 0, 2], np.int8), ["A lamp", "a bed", "a lamp"]).tolist()
    [-1, 0, 2]
    """
    different, of_row = np.unique(_alike(texts, alike), return_inverse=True)
    last = np.full(len(different), Side.LEFT_OUT, np.int8)
    np.maximum.at(last, of_row, sides)
    left: Sides = np.where(sides < last[of_row], np.int8(Side.LEFT_OUT), sides)
    return left


def _alike(texts: Collection[str], alike: Collection[str] | None) -> Places:
    """Places of the texts in normal form."""
    return places(map(normalised_parts, texts) if alike is None else alike)


def _on_earlier(sides: Sides, texts: Places) -> NDArray[np.bool_]:
    """(rows,) whether a row's text stands on a side before its own."""
    first, _, of_row = _sides_of(sides, texts)
    found: NDArray[np.bool_] = (sides > Side.LEFT_OUT) & (first[of_row] < sides)
    return found


def _torn(sides: Sides, groups: Places) -> int:
    first, last, _ = _sides_of(sides, groups)
    return int((first < last).sum())


def _sides_of(sides: Sides, texts: Places) -> tuple[Sides, Sides, NDArray[np.int64]]:
    """The first and the last side that each different text is on, rows left out not counted; and each row's text."""
    different, of_row = np.unique(texts, return_inverse=True)
    first, last = (np.full(len(different), side, np.int8) for side in (max(Side), Side.LEFT_OUT))
    kept = sides > Side.LEFT_OUT
    np.minimum.at(first, of_row[kept], sides[kept])
    np.maximum.at(last, of_row[kept], sides[kept])
    return first, last, of_row
