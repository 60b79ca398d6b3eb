"""Systems compared on the same seeds: intervals of all their differences that hold at once.

Runs of one seed share arrivals and losses, so the difference of two systems is taken seed by seed: what a seed does to
both drops out. Where the best of many is picked by the data, an interval for one pair alone is too narrow; the
intervals here cover all pairs together, and therefore also the pairs with whichever system came out best.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal

FLIPS = 12  # seeds from which signs are flipped; below there are too few patterns for the tail
_CHUNK = 1 << 21


class Differences(NamedTuple):
    """All pairwise differences of A systems, mean over seeds of row minus column, with bounds that hold together.

    `mean`, `low`, `high` are [A, A]; `low` and `high` are None with one seed. `multiplier` is the number of standard
    errors that a bound is away (None with one seed), `method` one of "signs", "pooled", "one seed".
    """

    mean: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    multiplier: float | None
    method: str


class Mean(NamedTuple):
    """A mean over seeds between its bounds; `low` and `high` are None with one seed."""

    middle: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def mean_interval(samples, level: float = 0.95) -> Mean:
    """The mean over the last axis with its t interval: mean +- t_{S-1, (1 + level) / 2} s / sqrt(S).

    `samples` is [..., S], one entry a seed. With S = 1 there is no interval: both bounds are None.

    >>> [round(float(x), 3) for x in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484]
    """
    from scipy.special import stdtrit

    values = _samples(samples)
    middle, count = values.mean(-1), values.shape[-1]
    _level(level)
    if count == 1:
        return Mean(middle, None, None)
    half = stdtrit(count - 1, (1 + level) / 2) * values.std(-1, ddof=1) / np.sqrt(count)
    return Mean(middle, middle - half, middle + half)


def differences(samples, level: float = 0.95, flips: int = 20_000, seed: int = 0) -> Differences:
    """Simultaneous intervals of all pairwise differences: with probability `level` every one of them is right.

    With d = samples[a] - samples[b], m its mean and e its standard error over the S seeds, the interval of each pair
    is m +- k e with one k for all. From S = 12 on k is the quantile of max over pairs |m* / e*| when the signs of the
    centred differences are flipped, one sign a seed for all pairs, so that what the pairs have in common narrows k.
    Below that a pair's own e is hardly known, so spreads are pooled: k = q_{A, (A-1)(S-1)} / sqrt(2), Tukey's range of
    A systems in S blocks, with sqrt(2 MSE / S) for e, MSE the mean square of what is left of the samples without
    system and seed, or the pair's own e where that is larger. Exact for normal samples of one spread; unequal ones are
    what the larger e is for. With one seed there is no interval.

    A pair that differs by the same number in every seed has e = 0 and the interval is that number.

    samples: [A, S], entry s of every system with the same seed. Cost: O(flips S A^2). Deterministic given `seed`.
    Coverage of level 0.95, measured for 5 independent normal systems, 1000 trials: 0.965, 0.940 with 12, 20 seeds
    (signs).
    Reference: Westfall and Young, Resampling-Based Multiple Testing (1993), section 2.3 (max-t); Tukey, The Problem of
    Multiple Comparisons (1953), for randomized blocks in Hochberg and Tamhane, Multiple Comparison Procedures (1987).

    >>> found = differences([[0.9, 0.8, 0.7], [0.9, 0.8, 0.7], [0.5, 0.5, 0.2]])
    >>> float(found.low[0, 1]), float(found.high[0, 1]), round(float(found.mean[0, 2]), 3), found.method
    (0.0, 0.0, 0.4, 'pooled')
    """
    values = _samples(samples)
    if values.ndim != 2:
        raise Refusal(f"samples has shape {values.shape}; it must be [systems, seeds]")
    _level(level)
    if not isinstance(flips, int | np.integer) or flips * (1 - level) < 1:
        raise Refusal(f"flips is {flips}; a level of {level:g} needs at least {int(np.ceil(1 / (1 - level) - 1e-6))}")
    systems, seeds = values.shape
    mean = values.mean(-1)[:, None] - values.mean(-1)[None, :]
    if seeds == 1:
        return Differences(mean, None, None, None, "one seed")
    first, second = np.triu_indices(systems, 1)
    apart = values[first] - values[second]  # [pairs, S]
    error = np.zeros_like(mean)
    spread = apart.std(-1, ddof=1)
    spread[spread <= 1e-12 * np.abs(apart).max(-1, initial=0.0)] = 0.0  # equal numbers, but for the last digit
    error[first, second] = error[second, first] = spread / np.sqrt(seeds)
    moving = apart[spread > 0]
    method = "signs" if seeds >= FLIPS else "pooled"
    multiplier = 0.0
    if len(moving) and method == "signs":
        multiplier = _signs(moving, level, flips, seed)
    elif len(moving):
        multiplier, pooled = _pooled(values, level)
        error = np.where(error > 0, np.maximum(error, pooled), 0.0)
    half = multiplier * error
    return Differences(mean, mean - half, mean + half, multiplier, method)


@cache
def _range(level: float, systems: int, freedom: int) -> float:
    """Quantile of the studentized range; it takes some hundredths of a second."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(level, systems, freedom))


def _pooled(values: np.ndarray, level: float) -> tuple[float, float]:
    """(k, e) of Tukey's range for samples [A, S] in S blocks."""
    systems, seeds = values.shape
    left = values - values.mean(1, keepdims=True) - values.mean(0, keepdims=True) + values.mean()
    freedom = (systems - 1) * (seeds - 1)
    error = np.sqrt(2 * (left**2).sum() / freedom / seeds)
    return float(_range(level, systems, freedom) / np.sqrt(2)), float(error)


def _signs(apart: np.ndarray, level: float, flips: int, seed: int) -> float:
    """The `level` quantile of the largest |t| over pairs when every seed's sign is drawn anew; apart [P, S]."""
    centred = apart - apart.mean(-1, keepdims=True)
    centred /= np.sqrt((centred**2).sum(-1, keepdims=True))
    seeds = centred.shape[-1]
    random = np.random.default_rng(seed)
    largest = []
    at_once = max(1, _CHUNK // max(centred.shape))
    for start in range(0, flips, at_once):
        signs = random.integers(0, 2, (min(at_once, flips - start), seeds)) * 2.0 - 1.0
        share = ((signs @ centred.T) ** 2).max(-1) / seeds  # of the sum of squares, what the mean takes
        largest.append(np.sqrt((seeds - 1) * share / np.maximum(1 - share, 1e-12)))
    drawn = np.sort(np.concatenate(largest))
    return float(drawn[min(flips - 1, int(np.ceil((flips + 1) * level)) - 1)])


def _samples(samples) -> np.ndarray:
    try:
        values = np.asarray(samples, np.float64)
    except (TypeError, ValueError) as error:
        raise Refusal(f"samples is not an array of numbers: {error}") from error
    if values.ndim == 0 or values.size == 0:
        raise Refusal(f"samples has shape {values.shape}; its last axis must hold at least one seed")
    if not np.isfinite(values).all():
        raise Refusal(f"samples holds {values[~np.isfinite(values)].flat[0]:g}; every value must be finite")
    return values


def _level(level: float) -> None:
    if not 0 < level < 1:
        raise Refusal(f"level is {level:g}; it must lie between 0 and 1, such as 0.95")
