"""Has a column's distribution changed, and by how much?

Each column is asked two things: is as much of it missing as before, and is what is there distributed as before? Every
test compares two samples and conditions on what both hold together, so that it counts the noise of the reference as
well as that of the new batch. Effects say how large a change is; how sure it is, the p-values say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import inf, isfinite, sqrt

import numpy as np
from scipy import special

from monitor.profiles import CategoryProfile, ColumnProfile, NumberProfile, Sort, TextProfile

Array = np.ndarray
"""One-dimensional, of float64 or int64."""
CROWDED = 0.1
"""Share of a category's buckets (0–1) from which on new values are not all seen: many share one with a known value."""


@dataclass(frozen=True)
class ShiftSettings:
    """What counts as a change that somebody should look at."""

    level: float = 0.05
    """Probability of any false alarm in one check, over all columns and segments (0–1)."""
    number_floor: float = 0.05
    """Standardised Wasserstein distance (the reference's standard deviations): half of a shift of 0.1, which people
    still see in a chart; two samples of 10,000 equal rows lie within 0.02."""
    share_floor: float = 0.02
    """Wasserstein distance of numbers that lie between 0 and 1, as shares and probabilities do: two points in a
    hundred, about what 5 % of shuffled pairs move the share of a query's words in its product by."""
    category_floor: float = 0.02
    """Jensen–Shannon distance (0–1): about what one or two rows in a hundred make that are drawn from elsewhere."""
    date_floor: float = 1.0
    """Between medians (days), where dates are tested: what a batch of the next day differs by anyway."""
    missing_floor: float = 0.01
    """Difference between the shares of missing values (0–1): one row in a hundred."""
    rare: int = 20
    """Values that both samples together have less often are pooled (rows): Pearson's rule of five, and room to
    spare."""
    test_dates: bool = False
    """Whether a shift of dates can be an alarm: a later batch has later dates, so by default it is told, not tested."""

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level is a probability between 0 and 1, got {self.level!r}")
        for name in ("number_floor", "share_floor", "category_floor", "date_floor", "missing_floor"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is 0 or above, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Comparison:
    """One question about one column, answered."""

    column: str
    segment: str | None
    """As in "brand = Nike"; None for the whole batch."""
    sort: Sort
    test: str
    """Its name in the literature."""
    p_value: float
    """The probability of so much difference by chance (0–1); 1 where nothing could be compared."""
    effect: float
    """How large the difference is, at least 0, in the unit of `effect_name`; noise is taken off."""
    effect_name: str
    floor: float
    """The effect below which nobody needs to act; infinite where the difference is told only."""
    said: str
    """One short clause for people. It may hold text from the data."""
    reference: int
    """Rows compared on the reference's side; missing values count where they are what is compared."""
    current: int
    """Rows compared on the new batch's side."""
    open: bool = True
    """False where the test could not have found anything, whatever the rows' sides: no value is missing on either."""

    @property
    def tested(self) -> bool:
        """Whether the p-value is an answer, to be held against the level together with the others.

        Leaving out what could not have been found costs no false alarm and makes the others' correction milder (R. E.
        Tarone, A modified Bonferroni method for discrete data, Biometrics 46, 1990).
        """
        return self.open and isfinite(self.floor) and self.reference > 0 and self.current > 0

    @property
    def matters(self) -> bool:
        """Whether the effect alone would be worth somebody's time."""
        return self.tested and self.effect >= self.floor


def compare(
    name: str,
    sort: Sort,
    reference: ColumnProfile,
    current: ColumnProfile,
    settings: ShiftSettings = ShiftSettings(),
    segment: str | None = None,
    alike: tuple[float, float] = (1.0, 1.0),
    shares: bool = False,
) -> tuple[Comparison, ...]:
    """Compare what two samples hold in one column: first the values that are there, then the share of missing ones.

    For texts, the values are their lengths in characters; their words are `text_shift`'s. Where a side has no row, p is
    1, the effect 0, and `tested` is false. `alike` says of each side how many of its rows tell as much as one that is
    independent of all others (1 or more: Kish's design effect). `shares` says of numbers that they lie between 0 and 1:
    how far they moved is then told as it is, and not in standard deviations. Raises ValueError if the profiles do not
    fit each other or the sort.

    >>> from monitor.profiles import NumberProfile
    >>> def prices(*counts, mean):
    ...     return NumberProfile(400, 0, np.array([10.0, 20.0, 30.0]), np.array(counts), mean, 11.2, 1.0, 40.0)
    >>> values, missing = compare(
    ...     "price", Sort.NUMBER, prices(100, 100, 100, 100, mean=20.0), prices(40, 80, 120, 160, mean=25.0)
    ... )
    >>> values.p_value < 1e-6, values.said, missing.said
    (True, '+0.45 sd (mean 20 → 25)', 'missing 0 → 0 %')
    """
    where = _Where(name, segment, sort, settings, alike, shares)
    if isinstance(reference, TextProfile) and isinstance(current, TextProfile) and sort is Sort.TEXT:
        values = _compare_numbers(where, reference.lengths, current.lengths)
        return values, _compare_missing(where, reference.missing, reference.total, current.missing, current.total)
    if isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile) and sort is Sort.CATEGORY:
        values = _compare_categories(where, reference, current)
    elif (
        isinstance(reference, NumberProfile) and isinstance(current, NumberProfile) and sort in (Sort.NUMBER, Sort.DATE)
    ):
        values = _compare_numbers(where, reference, current)
    else:
        sides = f"{type(reference).__name__} and {type(current).__name__}"
        raise ValueError(f"column {name!r} is compared as {sort}, got {sides}")
    return values, _compare_missing(where, reference.missing, reference.rows, current.missing, current.rows)


@dataclass(frozen=True)
class _Where:
    """What all comparisons of one column share."""

    column: str
    segment: str | None
    sort: Sort
    settings: ShiftSettings
    alike: tuple[float, float]
    shares: bool

    def independent(self, before: Array, now: Array) -> tuple[Array, Array]:
        """The counts of both sides, as if each value were independent of all others."""
        return (before, now) if self.alike == (1.0, 1.0) else (before / self.alike[0], now / self.alike[1])

    def fewer(self, hits: int, rows: int, side: int) -> tuple[int, int]:
        """Hits and rows of a side, as if each row were independent of all others."""
        return round(hits / self.alike[side]), round(rows / self.alike[side])

    def told(
        self, test: str, p: float, effect: tuple[float, str, float], said: str, rows: tuple[int, int]
    ) -> Comparison:
        size, unit, floor = effect
        return Comparison(self.column, self.segment, self.sort, test, p, size, unit, floor, said, *rows)


# --- the share of missing values ------------------------------------------------------------------------------------


def _compare_missing(where: _Where, missing_before: int, before: int, missing_now: int, now: int) -> Comparison:
    unit, floor = "difference of shares", where.settings.missing_floor
    if not before or not now:
        return where.told("missing share", 1.0, (0.0, unit, floor), _empty(before, now), (before, now))
    was, is_now = missing_before / before, missing_now / now
    p = fisher(*where.fewer(missing_before, before, 0), *where.fewer(missing_now, now, 1))
    said = f"missing {_percent(was, is_now)}"
    told = where.told("missing share", p, (abs(is_now - was), unit, floor), said, (before, now))
    return replace(told, open=0 < missing_before + missing_now < before + now)


def fisher(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """How likely two shares are to differ so much by chance: Fisher's exact test, two-sided; p in (0, 1].

    Past 100,000 hits and misses alike the chi-square test stands in for it, which then gives the same. 1 if a side has
    no rows. Source: R. A. Fisher, Statistical Methods for Research Workers (1934), section 21.02.

    >>> round(fisher(3, 4, 1, 4), 4)  # the lady tasting tea
    0.4857
    """
    total, both = hits + other_hits, rows + other_rows
    if 2 * total > both:  # count what is rarer
        return fisher(rows - hits, rows, other_rows - other_hits, other_rows)
    if not rows or not other_rows or not total:
        return 1.0
    if total > 100_000:
        z = (hits - total * rows / both) / sqrt(total * (both - total) * rows * other_rows / (both * both * (both - 1)))
        return float(special.chdtrc(1, z * z))
    drawn = np.arange(max(0, total - other_rows), min(total, rows) + 1)
    log = -_log_ways(drawn, rows - drawn) - _log_ways(total - drawn, other_rows - total + drawn)
    weight = np.exp(log - log.max())
    likely = weight[hits - drawn[0]]
    return min(1.0, float(weight[weight <= likely * (1 + 1e-7)].sum() / weight.sum()))  # ties differ by rounding


def _log_ways(chosen: Array, left: Array) -> Array:
    """Minus the logarithm of the binomial coefficient, less what depends on the sum of both alone."""
    return np.asarray(special.gammaln(chosen + 1.0) + special.gammaln(left + 1.0))


# --- numbers --------------------------------------------------------------------------------------------------------


def _compare_numbers(where: _Where, reference: NumberProfile, current: NumberProfile) -> Comparison:
    if not np.array_equal(reference.edges, current.edges):
        raise ValueError(
            f"column {where.column!r} has other bins in the reference ({len(reference.edges)} edges) than in the batch "
            f"({len(current.edges)}): profile the batch like the reference"
        )
    rows = int(reference.counts.sum()), int(current.counts.sum())
    told_only = where.sort is Sort.DATE and not where.settings.test_dates
    test = "time line (told, not tested)" if told_only else "Kolmogorov-Smirnov and rank scores"
    unit, floor = _unit_and_floor(where)
    floor = inf if told_only else floor
    if not all(rows):
        return where.told(test, 1.0, (0.0, unit, floor), _empty(*rows), rows)
    before, now = where.independent(reference.counts, current.counts)
    p = 1.0 if told_only else numbers_p_value(before, now)
    if where.sort is Sort.DATE:
        effect = abs(_quantile(current, 0.5) - _quantile(reference, 0.5))
    else:
        sides = replace(reference, counts=before), replace(current, counts=now)
        effect = wasserstein(*sides, shares=where.shares)
    said = _shares_said(reference, current, effect) if where.shares else _SPOKEN[where.sort](reference, current)
    return where.told(test, p, (effect, unit, floor), said, rows)


def _unit_and_floor(where: _Where) -> tuple[str, float]:
    """In what the effect on numbers is told, and from which on it matters."""
    if where.sort is Sort.DATE:
        return "days between medians", where.settings.date_floor
    if where.shares:
        return "Wasserstein", where.settings.share_floor
    return "standardised Wasserstein", where.settings.number_floor


def numbers_p_value(reference: Array, current: Array) -> float:
    """How likely two samples of one distribution are to differ so much: p in [0, 1], from counts in shared bins (k+1,).

    Twice the smaller of two p-values: Kolmogorov–Smirnov, and a chi-square test on rank scores that see a shift of
    place, a change of spread, and either tail. Both are valid with ties: KS becomes conservative, the scores'
    covariance is that of the permutations of what was seen. 1 if a side is empty.

    Sources: J. Hájek, Z. Šidák, P. K. Sen, Theory of Rank Tests (1999), chapter 3 (linear rank statistics under
    permutation); A. Janic-Wróblewska, T. Ledwina, Scandinavian Journal of Statistics 27 (2000), for joining several.

    >>> numbers_p_value(np.array([50, 50]), np.array([50, 50]))
    1.0
    """
    if not reference.sum() or not current.sum():
        return 1.0
    return min(1.0, 2 * min(_kolmogorov_smirnov(reference, current), _rank_scores(reference, current)))


def _kolmogorov_smirnov(reference: Array, current: Array) -> float:
    n, m = float(reference.sum()), float(current.sum())
    apart = np.abs(_cumulated(reference) - _cumulated(current)).max()
    return float(special.kolmogorov(sqrt(n * m / (n + m)) * apart))


def _rank_scores(reference: Array, current: Array) -> float:
    both = reference + current
    seen = both > 0
    both, now, rows = both[seen], current[seen], float(both.sum())
    scores = _scores((np.cumsum(both) - both / 2) / rows, float(min(reference.sum(), current.sum())))
    scores -= (scores @ both / rows)[:, None]
    share = now.sum() / rows
    # Under permutation the sum over the batch's rows has this covariance, whatever the ties.
    covariance = share * (1 - share) * rows / max(rows - 1, 1) * (scores * both) @ scores.T
    spreads, directions = np.linalg.eigh(covariance)
    kept = spreads > 1e-9 * max(spreads[-1], 1e-9)  # with few different values some scores say the same
    z = (directions.T @ (scores @ now))[kept] / np.sqrt(spreads[kept])
    return float(special.chdtrc(kept.sum(), z @ z)) if kept.any() else 1.0


def _scores(rank: Array, rows: float) -> Array:
    """What each row counts for, by its share of rows below (0–1): place, spread, the lower tail, the upper tail.

    `rows` has the smaller sample. Its tails are of one row in a hundred, and hold ten if that is possible: the bins end
    where rows of the reference lie, and with fewer the last of them alone would be found to differ far too often.
    """
    tail = min(0.1, max(0.01, 10 / rows))
    centred = 2 * rank - 1
    return np.array([centred, centred**2, (rank < tail).astype(float), (rank > 1 - tail).astype(float)])


def wasserstein(reference: NumberProfile, current: NumberProfile, *, shares: bool = False) -> float:
    """How far the values moved on average, in the reference's standard deviations; at least 0, noise taken off.

    The 1-Wasserstein distance from the bins: the area between both cumulated shares. Rows further out than three units
    beyond the outermost edge count as if they lay there, and where a few outliers carry the standard deviation (it is
    above three times what the interquartile range says), the range says the unit: one absurd price then neither makes
    nor hides a change. What two samples of the pooled distribution are apart on average is taken off, in squares.

    Of `shares` it is told as it is. Between two edges lies none of them, as most are of few words, or near 0 and 1.
    """
    unit = 1.0 if shares else _unit(reference, current)
    if not unit or not isfinite(unit):
        return 0.0
    places = _places(reference, current, unit)
    before, now = _cumulated(reference.counts), _cumulated(current.counts)
    n, m = float(reference.counts.sum()), float(current.counts.sum())
    together = (before * n + now * m) / (n + m)
    uncertain = np.maximum(together * (1 - together), 0)  # the last share is 1, but for rounding
    by_chance = np.sqrt(2 / np.pi * uncertain * (1 / n + 1 / m))  # mean of a normal's absolute value
    area, noise = (_area(places, heights, steps=shares) for heights in (np.abs(before - now), by_chance))
    return area * sqrt(1 - (noise / area) ** 2) if area > noise else 0.0  # squares of either may be too large


def _unit(reference: NumberProfile, current: NumberProfile) -> float:
    return spread_unit(reference) or spread_unit(current) or abs(current.mean - reference.mean)


def spread_unit(profile: NumberProfile) -> float:
    """The unit of `wasserstein`: the standard deviation, or what the interquartile range says; or 0."""
    by_range = (_quantile(profile, 0.75) - _quantile(profile, 0.25)) / 1.349  # 1 for a standard normal distribution
    carried = by_range > 0 and not profile.std <= 3 * by_range
    unit = by_range if carried else profile.std
    return float(unit) if isfinite(unit) else 0.0


def _places(reference: NumberProfile, current: NumberProfile, unit: float) -> Array:
    """Where the cumulated shares are known, in units (k+2,): the edges, and the ends on both sides."""
    edges = reference.edges
    if not len(edges):
        return np.array([min(reference.minimum, current.minimum), max(reference.maximum, current.maximum)]) / unit
    low = np.clip(min(reference.minimum, current.minimum), edges[0] - 3 * unit, edges[0])
    high = np.clip(max(reference.maximum, current.maximum), edges[-1], edges[-1] + 3 * unit)
    return np.concatenate([[low], edges, [high]]) / unit


def _area(places: Array, heights: Array, *, steps: bool = False) -> float:
    """Under the line through the heights at the edges, 0 at both ends; or under steps, each as long as its bin."""
    if steps:
        return float(np.concatenate([[0.0], heights[:-1]]) @ np.diff(places))
    return float(np.trapezoid(np.concatenate([[0.0], heights[:-1], [0.0]]), places))


def _cumulated(counts: Array) -> Array:
    return np.asarray(np.cumsum(counts) / counts.sum())


def _quantile(profile: NumberProfile, share: float) -> float:
    """Where so many of the values are reached; NaN where there are none.

    The upper end of an inner bin, which is exact where values repeat; in the outermost ones, which are wide, so far
    along as its rows go.
    """
    wanted = share * profile.counts.sum()
    if not wanted:
        return float("nan")
    reached = np.cumsum(profile.counts)
    i = int(np.searchsorted(reached, wanted, side="left"))
    if 0 < i < len(profile.edges):
        return float(np.clip(profile.edges[i], profile.minimum, profile.maximum))
    ends = np.clip(
        [profile.minimum, *profile.edges[:1], *profile.edges[-1:], profile.maximum], profile.minimum, profile.maximum
    )
    low, high = (ends[-2], ends[-1]) if i or not len(profile.edges) else (ends[0], ends[1])
    return float(low + (high - low) * (1 - (reached[i] - wanted) / profile.counts[i]))


# --- categories -----------------------------------------------------------------------------------------------------


def _compare_categories(where: _Where, reference: CategoryProfile, current: CategoryProfile) -> Comparison:
    test, unit, floor = "two-sample chi-square", "Jensen-Shannon distance", where.settings.category_floor
    before, now = reference.counts, current.counts
    if before.shape != now.shape:
        raise ValueError(f"column {where.column!r} has {len(before)} buckets in the reference, {len(now)} in the batch")
    rows = int(before.sum()), int(now.sum())
    if not all(rows):
        return where.told(test, 1.0, (0.0, unit, floor), _empty(*rows), rows)
    before, now = where.independent(before, now)
    p = categories_p_value(before, now, where.settings.rare)
    effect = jensen_shannon(before, now, where.settings.rare)
    return where.told(test, p, (effect, unit, floor), _loudest(reference, current), rows)


def categories_p_value(reference: Array, current: Array, rare: int = 20) -> float:
    """How likely two samples of one distribution are to differ so much: p in [0, 1], from counts by category (k,).

    Three tests share one level: a chi-square test over all, which sees many small changes, has two thirds of it; the
    loudest single category (with Bonferroni's correction), which sees one among 42,000, and the share of rows whose
    category the reference lacks, which sees many new ones, have a sixth each, as what they see they see at any level.
    All hold given how often both samples together have each category, which is also what decides about pooling, so that
    pooling takes no side. 1 if a side is empty.

    >>> categories_p_value(np.array([90, 10]), np.array([90, 10]))
    1.0
    """
    if not reference.sum() or not current.sum():
        return 1.0
    seen = reference + current > 0
    reference, current = reference[seen], current[seen]
    over_all = _chi_square(*pooled(reference, current, rare))
    loudest = float(_single(reference, current).min()) * len(reference)
    return min(1.0, 1.5 * over_all, 6 * loudest, 6 * _unseen(reference, current))


def pooled(reference: Array, current: Array, rare: int = 20) -> tuple[Array, Array]:
    """Both counts, with the categories that both samples together have less than `rare` times put into one, the last.

    Where that would hide most of the rows, as with tens of thousands of categories, the threshold falls until it does
    not: 20, 10, 5, 2. `chance`'s moments are exact, and a sum over so many categories is near normal even then.

    >>> pooled(np.array([90, 4, 6]), np.array([80, 5, 4]))
    (array([90, 10]), array([80,  9]))
    """
    both = reference + current
    steps = [rare, *(step for step in (10, 5, 2) if step < rare)]
    enough = (step for step in steps if 2 * both[both >= step].sum() >= both.sum())
    kept = both >= next(enough, steps[-1])
    others = ~kept & (both > 0)
    if not others.any():
        return reference[kept], current[kept]
    return np.append(reference[kept], reference[others].sum()), np.append(current[kept], current[others].sum())


def chi_square(reference: Array, current: Array) -> float:
    """Pearson's two-sample statistic, at least 0; every category must be in one of the samples."""
    n, m, both = float(reference.sum()), float(current.sum()), reference + current
    apart = current - both * (m / (n + m))
    return float((apart**2 / both).sum() * (n + m) ** 2 / (n * m))


def chance(reference: Array, current: Array) -> tuple[float, float]:
    """Mean and variance of `chi_square` over all ways to deal the rows to both samples; exact for any counts.

    Every category must be in one of the samples, and neither sample empty.

    Source: R. B. Dawson, A simplified expression for the variance of the chi-square function on a contingency table,
    Biometrika 41 (1954).
    """
    both = (reference + current).astype(float)
    rows, k = float(both.sum()), len(both)
    if rows <= 3:
        return rows * (k - 1) / max(rows - 1, 1), 0.0
    sides, uneven = _unevenness(np.array([reference.sum(), current.sum()], dtype=float)), _unevenness(both)
    free = (rows - 2) / (rows - 1) - sides, (k - 1) * (rows - k) / (rows - 1) - uneven
    variance = 2 * rows / (rows - 3) * free[0] * free[1] + rows**2 / (rows - 1) * sides * uneven
    return rows * (k - 1) / (rows - 1), max(0.0, variance)


def _unevenness(margin: Array) -> float:
    """How far a table's margin is from equal parts, as Dawson's formula takes it: 0 where they are equal."""
    rows = margin.sum()
    return float(((rows / margin).sum() - len(margin) ** 2) / (rows - 2))


def _chi_square(reference: Array, current: Array) -> float:
    """The p-value, from the gamma distribution with exact mean and variance: the usual one where nothing is rare."""
    if len(reference) < 2:
        return 1.0
    mean, variance = chance(reference, current)
    if variance <= 1e-9 * mean:
        return 1.0
    return float(special.gammaincc(mean**2 / variance, chi_square(reference, current) * mean / variance))


def _single(reference: Array, current: Array) -> Array:
    """Each category's own two-sided p-value, which the binomial gives a little too large (k,)."""
    both, share = reference + current, current.sum() / (reference.sum() + current.sum())
    up = np.where(current > 0, special.betainc(np.maximum(current, 1), reference + 1, share), 1.0)
    down = np.where(reference > 0, special.betainc(np.maximum(reference, 1), current + 1, 1 - share), 1.0)
    return np.where(both > 0, np.minimum(1.0, 2 * np.minimum(up, down)), 1.0)


def _unseen(reference: Array, current: Array) -> float:
    """At most how likely so many rows of unseen categories are: Chernoff's bound.

    A category of c rows is unseen if all of them fall to the batch. That one does makes it less likely of another, so
    that the bound for independent ones holds for these.
    """
    rows = int(current[reference == 0].sum())
    if not rows:
        return 1.0
    sizes, times = np.unique(reference + current, return_counts=True)
    alone = (current.sum() / (reference.sum() + current.sum())) ** sizes
    tilts = np.geomspace(1e-4, 20, 200)[:, None]
    # log(1 + q(e^(tc) - 1)), without overflow where tc is large
    tilted = np.logaddexp(np.log1p(-alone), tilts * sizes + np.log(np.maximum(alone, 1e-300)))
    return float(np.exp(min(0.0, (tilted @ times - tilts[:, 0] * rows).min())))


def jensen_shannon(reference: Array, current: Array, rare: int = 20) -> float:
    """How different two distributions over categories are: Jensen–Shannon distance, base 2, 0–1, noise taken off.

    The square root of the divergence, from which the share is taken off that chi-square has by chance. Where more rows
    than chance explains are of categories that the reference lacks, at least what they alone make. 0 if a side is
    empty. Source: D. M. Endres, J. E. Schindelin, A new metric for probability distributions, IEEE Trans. Inf. Theory
    49 (2003).
    """
    if not reference.sum() or not current.sum():
        return 0.0
    before, now = pooled(reference, current, rare)
    found = chi_square(before, now)
    signal = max(0.0, 1 - chance(before, now)[0] / found) if found > 0 else 0.0
    new = _more_unseen_than_chance(reference, current)
    return sqrt(max(_divergence(before, now) * signal, _divergence(np.array([1.0, 0.0]), np.array([1 - new, new]))))


def _more_unseen_than_chance(reference: Array, current: Array) -> float:
    """The share of the batch's rows that are of unseen categories, less what chance gives (0–1)."""
    both, share = reference + current, current.sum() / (reference.sum() + current.sum())
    expected = (both * share**both).sum()
    return float(max(0.0, current[reference == 0].sum() - expected) / current.sum())


def _divergence(before: Array, now: Array) -> float:
    """Jensen–Shannon divergence in bits (0–1)."""
    p, q = before / before.sum(), now / now.sum()
    middle = (p + q) / 2
    bits = (special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum() / 2 / np.log(2)
    return min(1.0, max(0.0, float(bits)))


# --- what people read -----------------------------------------------------------------------------------------------


def _empty(before: int, now: int) -> str:
    if not before and not now:
        return "no values on either side"
    return "no values in the new batch" if before else "no values in the reference"


def _percent(was: float, is_now: float) -> str:
    """ "12 → 20 %", with as many digits as tell both apart, and no small share as 0."""
    texts = [(_hundredths(was, more), _hundredths(is_now, more)) for more in (0, 1, 2)]
    return "{} → {} %".format(*next((pair for pair in texts if pair[0] != pair[1]), texts[0]))


def _hundredths(share: float, more_digits: int) -> str:
    percent = 100 * share
    digits = 0 if percent >= 9.5 else 1 if percent >= 0.095 else 2
    return f"{round(percent, digits + more_digits):g}"


def _pair(was: float, is_now: float) -> str:
    """Two numbers with three or more digits, as many as tell both apart."""
    digits = next((d for d in (3, 4, 5, 6) if f"{was:.{d}g}" != f"{is_now:.{d}g}"), 3)
    return f"{_plain(was, digits)} → {_plain(is_now, digits)}"


def _plain(value: float, digits: int) -> str:
    """1,234,000 rather than 1.234e+06."""
    rounded = float(f"{value:.{digits}g}")
    return (
        f"{rounded:,.0f}" if digits <= len(f"{abs(rounded):.0f}") and abs(rounded) < 1e15 else f"{rounded:.{digits}g}"
    )


def _numbers_said(reference: NumberProfile, current: NumberProfile) -> str:
    unit = spread_unit(reference)
    if unit and not max(reference.std, current.std) <= 3 * max(unit, spread_unit(current)):
        return _robustly_said(reference, current, unit)  # outliers carry mean and standard deviation
    mean = f"mean {_pair(reference.mean, current.mean)}"
    if not unit:
        return mean
    if abs(current.mean - reference.mean) < 0.5 * unit * wasserstein(reference, current):
        return f"spread {_pair(reference.std, current.std)} ({mean})"
    return f"{_units(current.mean - reference.mean, unit)} sd ({mean})"


def _shares_said(reference: NumberProfile, current: NumberProfile, moved: float) -> str:
    mean = f"mean {_pair(reference.mean, current.mean)}"
    if abs(current.mean - reference.mean) >= 0.5 * moved:
        return mean
    return f"spread {_pair(reference.std, current.std)} ({mean})"


def _robustly_said(reference: NumberProfile, current: NumberProfile, unit: float) -> str:
    """The median, or the first place further out that moved as much as the values did on average."""
    was, is_now = _quantile(reference, 0.5), _quantile(current, 0.5)
    moved = wasserstein(reference, current)
    if abs(is_now - was) < 0.5 * unit * moved:
        for share in (0.75, 0.25, 0.9, 0.1, 0.95, 0.05, 0.99, 0.01):
            low, high = _quantile(reference, share), _quantile(current, share)
            if abs(high - low) >= unit * moved:
                return f"{share:.0%} of the values up to {_pair(low, high)}".replace("%", " %")
    return f"{_units(is_now - was, unit)} usual spreads (median {_pair(was, is_now)})"


def _units(moved: float, unit: float) -> str:
    units = moved / unit
    return f"{units:+.2f}" if abs(units) < 1000 else f"{units:+.0e}"


def _lengths_said(reference: NumberProfile, current: NumberProfile) -> str:
    return f"texts {_quantile(reference, 0.5):.0f} → {_quantile(current, 0.5):.0f} characters"


def _dates_said(reference: NumberProfile, current: NumberProfile) -> str:
    if current.maximum < reference.maximum:
        return f"now ends {_day(current.maximum)}, before the reference's end"
    days = round(_quantile(current, 0.5) - _quantile(reference, 0.5))
    if not days:
        return "the same time"
    return f"{abs(days):,} day{'s' if abs(days) != 1 else ''} {'later' if days > 0 else 'earlier'}"


def _day(days: float) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=int(days // 1))).isoformat()
    except (OverflowError, ValueError):
        return "in no year of our calendar"


_SPOKEN: dict[Sort, Callable[[NumberProfile, NumberProfile], str]] = {
    Sort.NUMBER: _numbers_said,
    Sort.DATE: _dates_said,
    Sort.TEXT: _lengths_said,
}


def _loudest(reference: CategoryProfile, current: CategoryProfile) -> str:
    """The category that changed most surely, and by how much."""
    before, now = reference.counts, current.counts
    was, is_now = before / before.sum(), now / now.sum()
    new = np.flatnonzero((before == 0) & (now > 0))
    # Far out p-values are all 0; the larger change comes first among them, and of equal ones the fullest.
    loudest = np.lexsort((-(was + is_now), -np.abs(is_now - was), _single(before, now)))[0]
    if len(new) > 1 and is_now[new].sum() > abs(is_now[loudest] - was[loudest]):
        hidden = "at least " if (before > 0).mean() > CROWDED else ""
        return f"{hidden}{len(new):,} new values, {_percent(0.0, float(is_now[new].sum()))} of rows"
    name = current.names.get(int(loudest)) if now[loudest] else reference.names.get(int(loudest))
    called = f'"{_shown(name)}"' if name is not None else "a rare value"
    return f"{called} {_percent(float(was[loudest]), float(is_now[loudest]))}"


def _shown(name: str) -> str:
    """A value on one line, not longer than a headline has room for."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return line if len(line) <= 40 else f"{line[:39]}…"
