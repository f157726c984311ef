"""Has the language of the texts changed?

One p-value for a whole column of texts, joined from statistics that each see another sort of change: the loudest word,
many quiet words, and *topics*, words that keep company in the pooled texts. What a topic is was learnt without knowing
which text came from which side, and every statistic is recomputed under the same random relabellings of the texts.
So the level holds exactly, however the statistics depend on each other (P. Westfall and S. Young, Resampling-Based
Multiple Testing, 1993).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.profiles import TextProfile
from monitor.words import incidence

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats: TypeAlias = NDArray[np.floating[Any]]
Sparse: TypeAlias = "csr_matrix[Any]"
Groups: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Of the reference's sample and of the current one: the number of each text's group."""

LEAST_TEXTS = 4
"""Texts that must hold a word before it is looked at: rarer ones cannot tell two samples apart."""
MOST_WORDS = 20_000
"""Words looked at, those of most texts first: bounds memory where texts are long."""
MOST_PAIRS = 10_000_000
"""Pairs of words in one text that topics may be learnt from: bounds memory where texts are long."""
TOPICAL = 0.03
"""Share of the texts up to which a word says what a text is about; commoner words would join every topic."""
COMPANY = 6
"""Words that a topic has besides the one it grew from, at most."""
TOGETHER = 3
"""Texts that must hold two words together before they may share a topic."""
LOUD = 3.0
"""z from which a topic counts as risen: what lies below is mostly chance."""
ASTIR = 2.0
"""z from which a topic counts as changed where many small changes may add up."""
TAIL = 0.1
"""Share of the relabellings to which the tail is fitted."""


@dataclass(frozen=True)
class TextSettings:
    """How texts are compared."""

    level: float = 0.05
    """Probability below which words and rows are listed (0-1)."""
    permutations: int = 499
    """Random relabellings: the power no longer grows beyond, and p-values below 1/500 come from a fitted tail."""
    floor: float = 0.005
    """Share of the texts (0-1) that must have changed before anybody needs to act: one text in 200."""
    words: int = 10
    """Words listed at most."""
    rows: int = 5
    """Typical rows listed at most."""
    embeddings: Callable[[Sequence[str]], NDArray[np.floating[Any]]] | None = None
    """Vectors of n texts, (n, d): one more statistic, the distance between the two means."""
    embedded: int = 1_000
    """Texts of both samples together that are embedded at most: half a minute with a small encoder on one core."""

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level is a probability between 0 and 1, got {self.level!r}")
        if self.permutations < 99:
            raise ValueError(f"fewer than 99 permutations cannot hold a level of 0.05, got {self.permutations!r}")


@dataclass(frozen=True)
class WordShift:
    """How much more or less often a word is used."""

    word: str
    reference: float
    """Share of the reference's texts that hold it (0-1)."""
    current: float
    """Share of the current texts that hold it (0-1)."""
    z: float
    """Difference of the two in standard errors; positive where the word rose."""
    reference_texts: int
    """Texts of the reference that hold it."""
    current_texts: int
    """Current texts that hold it."""


@dataclass(frozen=True)
class TextShift:
    """Whether the language changed, by how much, and which words and rows show it."""

    p_value: float
    """Chance of so large a difference between samples of the same texts (0-1)."""
    effect: float
    """Share of the texts (0-1) that must at least have changed to explain what was seen."""
    effect_name: str
    floor: float
    """Effect below which nobody needs to act."""
    tests: Mapping[str, float]
    """p-value of each statistic by itself (0-1), uncorrected."""
    words: tuple[WordShift, ...]
    """The words that changed, the strongest evidence first."""
    reference: int
    """Texts of the reference that were compared."""
    current: int
    """Current texts that were compared."""
    typical: tuple[int, ...] = field(default=())
    """Positions in the current sample of rows that show the change best."""


@dataclass(frozen=True)
class _Pool:
    """Both samples together: which text holds which word."""

    names: tuple[str, ...]
    holds: Sparse
    """(texts, words) ones; the reference's texts first."""
    reference: int
    current: int

    @property
    def texts(self) -> int:
        return self.reference + self.current

    @property
    def counts(self) -> Floats:
        return np.asarray(self.holds.sum(axis=0), dtype=float).ravel()

    @property
    def deviations(self) -> Floats:
        """(words,) standard deviation of the count of current texts holding the word, over all relabellings."""
        return _deviation(self.counts / self.texts * (1 - self.counts / self.texts), self.reference, self.current)


@dataclass(frozen=True)
class _Topics:
    """Groups of words that keep company, one grown from each word that is not common."""

    members: NDArray[np.int64]
    """(words looked at,) their positions in the pool."""
    weights: Sparse
    """(topics, words looked at) weights, so that weights @ z has variance 1 under the null hypothesis."""


def compare_texts(
    reference: TextProfile,
    current: TextProfile,
    reference_sample: Sequence[str],
    current_sample: Sequence[str],
    settings: TextSettings = TextSettings(),
    groups: Groups | None = None,
) -> TextShift:
    """Say whether two samples of texts speak the same language, and which words and rows show the difference.

    The samples (up to about 10,000 texts a side; the cost grows with their words) are tested by relabelling. Where the
    profiles counted more texts than the samples hold, their words are tested too, at half the level each. Missing texts
    are left out. A side without texts cannot differ: p = 1, effect 0. The same samples give the same answer, always.

    `groups` say by numbers which texts of each sample belong together, as the products of one query do: whole groups
    are then relabelled, and the samples alone are tested. Two sides' groups of one number have nothing to do with each
    other.

    Source: Westfall and Young (1993) for the joint test; T. Knijnenburg et al., "Fewer permutations, more accurate
    p-values", Bioinformatics 25 (2009), for its tail.

    >>> from monitor.text_shift import compare_samples
    >>> shift = compare_samples(["a warm coat", "a thin coat"] * 50, ["a warm coat", "a wool dress"] * 50)
    >>> [word.word for word in shift.words]
    ['coat', 'dress', 'thin', 'wool']
    """
    shift = compare_samples(reference_sample, current_sample, settings, groups)
    if groups is not None or (reference.rows <= shift.reference and current.rows <= shift.current):
        return shift
    return _with_counts(shift, reference, current, settings)


def compare_samples(
    reference: Sequence[str],
    current: Sequence[str],
    settings: TextSettings = TextSettings(),
    groups: Groups | None = None,
) -> TextShift:
    """The same for samples alone.

    >>> compare_samples(["a coat", "a dress"], ["a coat", "a dress"]).p_value
    1.0
    """
    before, after = _present(reference), _present(current)
    texts = [reference[i] for i in before] + [current[i] for i in after]
    if not before or not after:
        return _nothing(len(before), len(after), settings)
    pool = _pool(texts, len(before))
    together = None if groups is None else _together(groups[0][before], groups[1][after])
    labels = _labels(texts, len(before), settings.permutations, together)
    z = _standardised(pool, labels)
    topics = _topics(pool)
    topical = topics.weights @ z[topics.members]
    values = _statistics(z, topical)
    if settings.embeddings is not None:
        some = _some(texts, settings.embedded)
        vectors = settings.embeddings([texts[i] for i in some])
        values["embeddings"] = _embedding_distance(vectors, labels[some], len(some))
    p = _p_value(_joined(values))
    alone = {name: float(np.mean(value >= value[0] - 1e-6)) for name, value in values.items()}
    direction = _direction(z[:, 0], topics, topical[:, 0])
    drifted = p <= settings.level
    return TextShift(
        p_value=p,
        effect=_effect(pool, z[:, 0], topics, topical[:, 0]),
        effect_name="share of texts changed, at least",
        floor=settings.floor,
        tests=alone,
        words=_words(pool, z, direction, settings) if drifted else (),
        reference=pool.reference,
        current=pool.current,
        typical=_typical(pool, direction, texts, after, settings.rows) if drifted else (),
    )


def _nothing(reference: int, current: int, settings: TextSettings) -> TextShift:
    return TextShift(1.0, 0.0, "share of texts changed, at least", settings.floor, {}, (), reference, current)


def _present(texts: Sequence[str | None]) -> list[int]:
    return [i for i, text in enumerate(texts) if text is not None]


# What the samples hold


def _pool(texts: Sequence[str], reference: int) -> _Pool:
    from scipy.sparse import csr_matrix

    found = incidence(_column(texts))
    names, flat, rows = found.words, found.word, found.text
    alphabetical = sorted(range(len(names)), key=names.__getitem__)
    often = np.bincount(flat, minlength=len(names))[alphabetical]
    enough = np.array(alphabetical, np.intp)[np.sort(_fullest(often, LEAST_TEXTS, MOST_WORDS))]
    column = np.full(len(names), -1)
    column[enough] = np.arange(len(enough))
    kept = column[flat] >= 0
    where = (rows[kept], column[flat[kept]])
    holds = csr_matrix((np.ones(kept.sum(), np.float32), where), shape=(len(texts), len(enough)))
    return _Pool(tuple(names[i] for i in enough), holds, reference, len(texts) - reference)


def _column(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:  # half a surrogate pair, which is no letter, as a question mark is none
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.large_string())


def _fullest(counts: NDArray[np.int64], least: int, most: int) -> NDArray[np.intp]:
    """Where the counts are not below `least`: at most so many places, those of the highest counts first."""
    enough = np.flatnonzero(counts >= least)
    return enough[np.argsort(-counts[enough], kind="stable")[:most]]


def _labels(
    texts: Sequence[str], reference: int, permutations: int, together: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """(texts, 1 + permutations): 1 for the current texts; the first column as they are, the others relabelled.

    `together` (texts,) are numbers of groups, which are relabelled whole: the two sides are then as large as they were
    but for part of a group.
    """
    random = _random(texts)
    labels = np.zeros((len(texts), permutations + 1), np.float32)
    labels[reference:, 0] = 1
    smaller = min(reference, len(texts) - reference)
    sizes = None if together is None else np.bincount(together)
    for column in range(1, permutations + 1):
        if together is None or sizes is None:
            labels[random.permutation(len(texts))[:smaller], column] = 1
        else:
            labels[:, column] = _drawn_whole(random.permutation(len(sizes)), sizes, smaller)[together]
    if smaller == reference:
        labels[:, 1:] = 1 - labels[:, 1:]
    return labels


def _drawn_whole(order: NDArray[np.int64], sizes: NDArray[np.int64], wanted: int) -> NDArray[np.bool_]:
    """(groups,) which groups are drawn, in the given order, so that they hold as nearly so many texts as may be."""
    held = np.cumsum(sizes[order])
    drawn = np.zeros(len(sizes), dtype=bool)
    drawn[order[: 1 + int(np.argmin(np.abs(held - wanted)))]] = True
    return drawn


def _together(reference: NDArray[np.int64], current: NDArray[np.int64]) -> NDArray[np.int64]:
    """(texts,) the groups of both sides, numbered without gaps."""
    pairs = np.concatenate([2 * reference, 2 * current + 1])
    return np.unique(pairs, return_inverse=True)[1].astype(np.int64)


def _random(texts: Sequence[str]) -> np.random.Generator:
    """The same for the same texts, always."""
    digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _some(texts: Sequence[str], most: int) -> NDArray[np.intp]:
    """Positions of at most so many texts, drawn without a look at their sides, so that the test stays exact."""
    if len(texts) <= most:
        return np.arange(len(texts))
    return np.sort(_random(texts).choice(len(texts), most, replace=False))


def _deviation(variance: Floats, reference: int, current: int) -> Floats:
    total = reference + current
    return np.sqrt(variance * reference * current / max(total - 1, 1))


def _standardised(pool: _Pool, labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(words, relabellings) each word's z."""
    expected = pool.counts * pool.current / pool.texts
    deviation = np.where(pool.deviations > 0, pool.deviations, np.inf)  # a word of every text tells nothing
    z: NDArray[np.float32] = pool.holds.T.tocsr() @ labels
    z -= expected[:, None].astype(np.float32)
    z /= deviation[:, None].astype(np.float32)
    return z


# Topics: label-free, so relabelling stays exact


def _topics(pool: _Pool) -> _Topics:
    """Grow one topic from each word that is not common: the words whose company is closest, by their correlation."""
    from scipy.sparse import csr_matrix, diags, identity

    members = _topical(pool)
    held = pool.holds[:, members].tocsr()
    together = (held.T.tocsr() @ held).tocsr()
    seeds, company, closeness = _closest(together, pool.counts[members], pool.texts)
    size = len(members)
    grown = csr_matrix((np.sqrt(closeness), (seeds, company)), shape=(size, size)) + 0.5 * identity(size)
    rate = pool.counts[members] / pool.texts
    scaled = grown @ diags(1 / np.sqrt(pool.texts * rate * (1 - rate)))
    variance = np.asarray(scaled.multiply(scaled @ together).sum(axis=1)).ravel()
    variance -= (scaled @ pool.counts[members]) ** 2 / pool.texts
    weights = (diags(1 / np.sqrt(np.maximum(variance, 0.25))) @ grown).tocsr().astype(np.float32)
    return _Topics(members, weights)


def _topical(pool: _Pool) -> NDArray[np.intp]:
    counts = pool.counts
    members = np.flatnonzero(counts <= min(max(TOPICAL * pool.texts, LEAST_TEXTS), pool.texts - 1))
    while np.square(np.asarray(pool.holds[:, members].sum(axis=1), dtype=float)).sum() > MOST_PAIRS:
        members = np.sort(members[np.argsort(-counts[members], kind="stable")[: len(members) * 2 // 3]])
    return members


def _closest(together: Sparse, counts: Floats, texts: int) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    pairs = together.tocoo()
    often = (pairs.data >= TOGETHER) & (pairs.row != pairs.col)
    row, column, both = pairs.row[often], pairs.col[often], pairs.data[often].astype(float)
    chance = counts[row] * counts[column] / texts
    closeness = (both - chance) / np.sqrt(
        counts[row] * counts[column] * (1 - counts[row] / texts) * (1 - counts[column] / texts)
    )
    beyond = both - chance > 3 * np.sqrt(chance)
    row, column, closeness = row[beyond], column[beyond], closeness[beyond]
    order = np.lexsort((column, -closeness, row))
    row, column, closeness = row[order], column[order], closeness[order]
    near = np.arange(len(row)) - np.searchsorted(row, row) < COMPANY
    return row[near], column[near], closeness[near]


# Statistics: each gives (1 + permutations,) values, large where the samples differ


def _statistics(z: NDArray[np.float32], topical: NDArray[np.float32]) -> dict[str, Floats]:
    """Large where: one word shouts; many words whisper; a new topic came up; topics came or went."""
    if not len(z):
        return {"loudest word": np.zeros(z.shape[1])}
    return {
        "loudest word": np.maximum(z.max(axis=0), -z.min(axis=0)).astype(float),
        "many words": _squares(z),
        "rising topics": np.sqrt(_squares(np.maximum(topical - LOUD, 0))),
        "changed topics": np.sqrt(_squares(np.maximum(np.abs(topical) - ASTIR, 0))),
    }


def _squares(values: NDArray[np.float32]) -> Floats:
    """(n, relabellings) → (relabellings,) sums of squares; 0 where n is 0."""
    return np.asarray(np.einsum("ij,ij->j", values, values, dtype=np.float64), dtype=float)


def _embedding_distance(vectors: Floats, labels: NDArray[np.float32], texts: int) -> Floats:
    """Squared distance of the two sides' means, every direction counted in units of its own spread."""
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != texts:
        raise ValueError(f"embeddings of {texts} texts must be an array ({texts}, d), got shape {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError(
            "embeddings hold NaN or infinite numbers: leave such texts out, or give them a vector of zeros"
        )
    centred = vectors - vectors.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    centred = centred[:, spread > 1e-9] / spread[spread > 1e-9]
    shift = centred.T @ labels
    return np.asarray((shift.astype(float) ** 2).sum(axis=0))


def _joined(values: Mapping[str, Floats]) -> Floats:
    """(1 + permutations,) how surprising the statistics are together: the loudest of them, or their sum.

    The loudest (Tippett) sees what shows in one of them alone, the sum (Fisher) what shows a little in each.
    """
    evidence = np.array([_surprise(value) for value in values.values()])
    loudest, together = _surprise(evidence.max(axis=0)), _surprise(evidence.sum(axis=0))
    joint: Floats = np.maximum(loudest, together)
    return joint


def _surprise(values: Floats) -> Floats:
    """-log p of each relabelling among all: by rank, and in the tail exponential, so that loud ones stay apart."""
    total = len(values)
    rounded = np.round(values, 6)
    at_least = total - np.searchsorted(np.sort(rounded), rounded, side="left")
    cut = np.quantile(rounded, 1 - TAIL)
    tail = rounded > cut
    excess = float((rounded[tail] - cut).mean()) if tail.any() else 0.0
    ranked = -np.log(at_least / total)
    if excess <= 0:
        return np.asarray(ranked)
    start = -np.log(tail.mean())
    surprise: Floats = np.where(tail, start + (rounded - cut) / excess, np.minimum(ranked, start))
    return surprise


def _p_value(joint: Floats) -> float:
    """p of the first value among all; a rank, but where fewer than ten lie above, the predictive exponential tail.

    The tail allows for the error of its own fit (the predictive law of an exponential with an unknown mean is Lomax's).
    """
    observed, others = joint[0], joint[1:]
    above = int(np.sum(others >= observed - 1e-9))
    ranked = (1 + above) / len(joint)
    cut = np.quantile(others, 1 - TAIL)
    excesses = others[others > cut] - cut
    if above >= 10 or observed <= cut or len(excesses) < 9:
        return float(ranked)
    tail = len(excesses) / len(others)
    return float(tail * (1 + (observed - cut) / excesses.sum()) ** -len(excesses))


# How much, and which


def _effect(pool: _Pool, z: Floats, topics: _Topics, topical: Floats) -> float:
    """How far the share of texts moved that hold the loudest word, or any word of the loudest topic.

    No change of fewer texts could move a share as far, so it is a lower bound of the share that changed (the total
    variation distance). It is not shrunk: noise may raise it in small samples, where the test decides; in large ones,
    where every trifle is significant, it is exact.
    """
    moved = [0.0]
    if len(z):
        loudest = pool.holds[:, [int(np.argmax(np.abs(z)))]]
        moved.append(_moved(pool, loudest))
    if len(topical):
        members = topics.weights[[int(np.argmax(np.abs(topical)))]].indices
        moved.append(_moved(pool, pool.holds[:, topics.members[members]]))
    return max(moved)


def _moved(pool: _Pool, held: Sparse) -> float:
    any_of_them = np.asarray(held.sum(axis=1)).ravel() > 0
    return abs(float(any_of_them[pool.reference :].mean() - any_of_them[: pool.reference].mean()))


def _direction(z: Floats, topics: _Topics, topical: Floats) -> Floats:
    """(words,) how much a word speaks for the current side: what it does by itself, and in changed topics."""
    direction = np.sign(z) * np.maximum(np.abs(z) - LOUD, 0)
    if len(topical):
        loud = np.sign(topical) * np.maximum(np.abs(topical) - LOUD, 0)
        direction[topics.members] += topics.weights.T @ loud
    return direction if direction.any() else z


def _words(pool: _Pool, z: NDArray[np.float32], direction: Floats, settings: TextSettings) -> tuple[WordShift, ...]:
    observed = z[:, 0]
    chosen = _significant(z, settings)
    if not len(chosen):
        agreeing = np.maximum(observed * direction, 0)
        chosen = np.lexsort((np.arange(len(observed)), -agreeing))[: settings.words]
        chosen = chosen[agreeing[chosen] > 0]
    after = np.asarray(pool.holds[pool.reference :].sum(axis=0)).ravel()
    before = pool.counts - after
    return tuple(
        _word(pool.names[i], int(before[i]), int(after[i]), pool.reference, pool.current, float(observed[i]))
        for i in chosen
    )


def _word(word: str, before: int, after: int, reference: int, current: int, z: float) -> WordShift:
    return WordShift(word, before / reference, after / current, z, before, after)


def _significant(z: NDArray[np.float32], settings: TextSettings) -> NDArray[np.intp]:
    """The words that stand out by themselves, the loudest first (Westfall and Young's step-down)."""
    order = np.lexsort((np.arange(len(z)), -np.round(np.abs(z[:, 0]), 3)))
    first, rest = order[: settings.words], order[settings.words :]
    bar = np.abs(z[rest]).max(axis=0, initial=0)
    bars = np.maximum.accumulate(np.vstack([bar, np.abs(z[first[::-1]])]))[:0:-1]
    enough = np.mean(bars >= bars[:, :1] - 1e-6, axis=1) <= settings.level
    return first[: len(first) if enough.all() else int(np.argmin(enough))]


def _typical(pool: _Pool, direction: Floats, texts: Sequence[str], after: Sequence[int], most: int) -> tuple[int, ...]:
    """The current rows whose words speak most for the current side; of equal texts only the first."""
    current = pool.holds[pool.reference :]
    length = np.asarray(current.sum(axis=1)).ravel()
    deviation = np.where(pool.deviations > 0, pool.deviations, np.inf)
    score = np.asarray(current @ (direction / deviation)).ravel() / np.sqrt(np.maximum(length, 1))
    chosen: dict[str, int] = {}
    for row in np.lexsort((np.arange(len(score)), -score)):
        if len(chosen) == most or score[row] <= 0:
            break
        chosen.setdefault(texts[pool.reference + row], after[row])
    return tuple(chosen.values())


# More texts than the samples hold


def _with_counts(shift: TextShift, reference: TextProfile, current: TextProfile, settings: TextSettings) -> TextShift:
    """Join the samples' answer with that of all texts whose words were counted, at half the level each."""
    if not reference.rows or not current.rows:
        return shift
    buckets, p = _bucket_p_values(reference, current)
    whole = float(min(1.0, p.min(initial=1.0) * max(len(p), 1)))
    joined = min(1.0, 2 * min(shift.p_value, whole))
    loud = buckets[p * max(len(p), 1) <= settings.level]
    listed = _bucket_words(loud, reference, current)[: settings.words]
    moved = max((abs(word.current - word.reference) for word in listed), default=0.0)
    drifted = joined <= settings.level
    return TextShift(
        p_value=joined,
        effect=max(shift.effect, moved) if shift.p_value <= whole else moved,
        effect_name=shift.effect_name,
        floor=shift.floor,
        tests={**shift.tests, "loudest word of all texts": whole},
        words=(listed or shift.words) if drifted else (),
        reference=max(shift.reference, reference.rows),
        current=max(shift.current, current.rows),
        typical=shift.typical if drifted else (),
    )


def _bucket_p_values(reference: TextProfile, current: TextProfile) -> tuple[NDArray[np.intp], Floats]:
    """Two-sided p of each bucket with enough texts: of the texts that hold it, how many are current (binomial)?"""
    from scipy.stats import binom

    together = reference.frequencies + current.frequencies
    buckets = np.flatnonzero(together >= 2 * LEAST_TEXTS)
    total, after = together[buckets], current.frequencies[buckets]
    share = current.rows / (reference.rows + current.rows)
    p = 2 * np.minimum(binom.cdf(after, total, share), binom.sf(after - 1, total, share))
    return buckets, np.minimum(p, 1.0)


def _bucket_words(buckets: NDArray[np.intp], reference: TextProfile, current: TextProfile) -> tuple[WordShift, ...]:
    found = []
    for bucket in buckets.tolist():
        name = current.words.get(bucket, reference.words.get(bucket))
        if name is None:
            continue
        before, after = int(reference.frequencies[bucket]), int(current.frequencies[bucket])
        rate = (before + after) / (reference.rows + current.rows)
        error = np.sqrt(max(rate * (1 - rate), 1e-12) * (1 / reference.rows + 1 / current.rows))
        z = float((after / current.rows - before / reference.rows) / error)
        found.append(_word(name, before, after, reference.rows, current.rows, z))
    return tuple(sorted(found, key=lambda word: (-abs(word.z), word.word)))
