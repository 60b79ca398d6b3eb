"""Numbers with their uncertainty: bootstrap and exact intervals, robust means, standard errors, log-log slopes.

Everything here is float64 numpy on finished results, deterministic given `seed`. A sample is one *configuration* (one
draw of the problem, its runs already averaged) wherever a claim is about the class of problems: runs of one
configuration are not independent draws of that class, and treating them so makes intervals several times too narrow.
"""

from collections.abc import Callable, Sequence
from operator import index
from typing import NamedTuple

import numpy as np

from quorate.errors import Refusal

_CHUNK = 1 << 22  # numbers gathered at once while resampling: 32 MB
_BLOCKS = 1000  # the jackknife leaves out single samples up to this many, blocks of samples beyond


class Interval(NamedTuple):
    """An estimate between its bounds, as (middle, low, high); `middle` need not be the centre.

    >>> Interval(12.0, 10.2, 14.2).low
    10.2
    """

    middle: float
    low: float
    high: float


def bootstrap(
    samples,
    statistic: Callable[..., np.ndarray] = np.mean,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval, bias-corrected and accelerated (BCa), of a statistic of independent samples.

    With theta the statistic of the samples, theta_b that of resample b, z = Phi^-1 of `level`'s two tails, z0 =
    Phi^-1(share of theta_b below theta, ties half) and a = sum u^3 / (6 (sum u^2)^1.5), u the jackknife's deviations,
    the bounds are the quantiles of theta_b at Phi(z0 + (z0 + z) / (1 - a (z0 + z))).

    Why BCa: percentile intervals are symmetric in rank and miss the long tail of a skewed sample. Measured for the
    mean, 20 samples, level 0.95, 20 000 trials: log-normal 0.874 covered against 0.857 for percentile, normal 0.923
    against 0.925. It is still short of 0.95: with 20 or fewer configurations read a bound as a little too tight, and
    with heavy tails bootstrap the median or `interquartile_mean` instead.

    `samples` is [n], or a tuple of arrays [n] that are resampled together (paired); `statistic(*arrays, axis=-1)`
    reduces the last axis of arrays [..., n]. `level` is the coverage aimed at. When every resample gives the same
    value, so do the bounds.

    Cost: O(resamples * n) time, plus min(n, 1000) evaluations for the jackknife, which leaves out blocks of samples
    beyond n = 1000.
    Errors: Refusal for empty, single, non-finite or unequally long samples, for a level outside (0, 1), for fewer than
    2 / (1 - level) resamples, and when the statistic is not finite on a resample.
    Reference: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 14.3.

    >>> interval = bootstrap([1.0, 2.0, 3.0, 4.0, 10.0])
    >>> interval.middle, 1 < interval.low < 4 < interval.high < 10
    (4.0, True)
    """
    paired = samples if isinstance(samples, tuple) else (samples,)
    names = ["samples"] if len(paired) == 1 else [f"samples[{k}]" for k in range(len(paired))]
    if not paired:
        raise Refusal("samples is an empty tuple; it needs at least one array")
    arrays = [_line(name, array, least=2) for name, array in zip(names, paired, strict=True)]
    for name, array in zip(names[1:], arrays[1:], strict=True):
        _same_length(names[0], arrays[0], name, array)
    return _bca(arrays, statistic, True, level, resamples, seed)


def ratio(
    numerator,
    denominator,
    level: float = 0.95,
    paired: bool = True,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """mean(numerator) / mean(denominator) with its BCa bootstrap interval over configurations.

    Both are [configurations]. With `paired`, entry i of both is the same configuration and they are resampled
    together, which takes the difficulty of a configuration out of the interval; without it they are resampled apart
    and may differ in length. It is the ratio of means, not the mean of ratios: one easy configuration cannot dominate
    it.

    Errors: as `bootstrap`; also a denominator with an entry that is not positive, since a resample of it could have
    mean 0.

    >>> ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    Interval(middle=2.0, low=2.0, high=2.0)
    """
    above, below = _line("numerator", numerator, least=2), _line("denominator", denominator, least=2)
    if paired:
        _same_length("numerator", above, "denominator", below, "; paired=False compares them unpaired")
    if below.min() <= 0:
        raise Refusal(f"denominator holds {below.min():g}; every entry must be above 0 for a ratio of means")
    return _bca([above, below], _ratio_of_means, paired, level, resamples, seed)


def paired_difference(a, b, level: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Interval:
    """mean(a - b) over configurations, with its BCa bootstrap interval; entry i of both is the same configuration.

    `a`, `b` are [configurations], in one unit. Errors: as `bootstrap`.

    >>> paired_difference([3.0, 5.0, 9.0], [1.0, 3.0, 7.0])
    Interval(middle=2.0, low=2.0, high=2.0)
    """
    first, second = _line("a", a, least=2), _line("b", b, least=2)
    _same_length("a", first, "b", second)
    return _bca([first - second], np.mean, True, level, resamples, seed)


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """The exact (conservative) interval of a probability from `successes` in `trials` independent tries.

    middle is successes / trials; low solves P(X >= successes) = (1 - level) / 2 and high P(X <= successes) = (1 -
    level) / 2 for X binomial, so at least `level` of all intervals hold the probability, whatever it is. Errors:
    Refusal unless 0 <= successes <= trials and trials >= 1.
    Reference: Clopper and Pearson, The use of confidence or fiducial limits (1934).

    >>> low_and_high = clopper_pearson(0, 10)[1:]
    >>> [round(bound, 4) for bound in low_and_high]
    [0.0, 0.3085]
    """
    from scipy.special import betaincinv

    trials, successes = _whole("trials", trials), _whole("successes", successes)
    if trials < 1:
        raise Refusal(f"trials is {trials}; it counts tries and must be at least 1")
    if not 0 <= successes <= trials:
        raise Refusal(f"successes is {successes}; it must lie between 0 and trials, which is {trials}")
    tail = (1 - _level(level)) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return Interval(successes / trials, low, high)


def interquartile_mean(samples, axis: int = -1) -> np.ndarray:
    """The mean of the middle half of the n entries along `axis`: the floor(n / 4) smallest and largest are left out.

    Between mean and median: not moved by a heavy tail, less noisy than the median. Works as a `statistic` of
    `bootstrap`.
    Reference: Agarwal et al., Deep RL at the Edge of the Statistical Precipice (2021), section 4.3.

    >>> float(interquartile_mean([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0]))
    3.5
    """
    values = np.sort(np.moveaxis(finite("samples", samples), axis, -1), axis=-1)
    cut = values.shape[-1] // 4
    return values[..., cut : values.shape[-1] - cut].mean(-1)


def quantiles(samples, probabilities: Sequence[float] = (0.1, 0.5, 0.9), axis: int = -1) -> np.ndarray:
    """Quantiles along `axis`, linear between order statistics: [..., n, ...] -> [probabilities, ...].

    With heavy tails show the median with the 10th to the 90th percentile, never only a mean.

    >>> quantiles(np.arange(11.0)).tolist()
    [1.0, 5.0, 9.0]
    """
    wanted = np.asarray(probabilities, np.float64)
    for probability in wanted.flat:
        if not 0 <= probability <= 1:
            raise Refusal(f"probabilities holds {probability:g}; each must lie between 0 and 1")
    return np.quantile(finite("samples", samples), wanted, axis=axis)


def standard_error(samples) -> np.ndarray:
    """The standard error of the overall mean, over configuration means.

    s / sqrt(C), s the sample deviation (divided by C - 1) of the C configuration means. `samples` is [C] (runs
    already averaged) or [C, runs, ...]: configurations first, runs second, further axes (ticks) are kept, so [C] and
    [C, runs] give a scalar and [C, runs, T] gives [T]. Errors: fewer than two configurations.

    >>> float(standard_error([[1.0, 3.0], [4.0, 4.0]]))  # configuration means 2 and 4
    1.0
    """
    values = finite("samples", samples)
    if values.ndim == 0 or values.shape[0] < 2:
        raise Refusal(f"samples has shape {values.shape}; its first axis must hold at least 2 configurations")
    means = values.mean(1) if values.ndim > 1 else values
    return means.std(0, ddof=1) / np.sqrt(means.shape[0])


def slope(x, y) -> float:
    """The exponent b of y = c x^b, by least squares of log y on log x; `x` and `y` are [n] and positive.

    >>> round(slope([50, 100, 1000], [2.0, 1.0, 0.1]), 12)
    -1.0
    """
    across, up = _line("x", x, least=2), _line("y", y, least=2)
    _same_length("x", across, "y", up)
    for name, values in (("x", across), ("y", up)):
        if values.min() <= 0:
            raise Refusal(f"{name} holds {values.min():g}; a log-log slope needs values above 0")
    logarithm = np.log(across)
    if logarithm.min() == logarithm.max():
        raise Refusal(f"x holds only {across[0]:g}; a slope needs two different values")
    centred = logarithm - logarithm.mean()
    return float(centred @ np.log(up) / (centred @ centred))


def _ratio_of_means(above: np.ndarray, below: np.ndarray, axis: int = -1) -> np.ndarray:
    return above.mean(axis) / below.mean(axis)


def _bca(
    arrays: list[np.ndarray], statistic: Callable, paired: bool, level: float, resamples: int, seed: int
) -> Interval:
    from scipy.special import ndtr, ndtri

    tail = (1 - _level(level)) / 2
    resamples = _whole("resamples", resamples)
    if resamples * tail < 1 - 1e-9:
        raise Refusal(f"resamples is {resamples}; a level of {level:g} needs at least {int(np.ceil(1 / tail - 1e-6))}")
    middle = float(_evaluated(statistic, arrays, ()))
    drawn = np.sort(_resampled(arrays, statistic, paired, resamples, seed))
    if drawn[0] == drawn[-1]:
        return Interval(middle, float(drawn[0]), float(drawn[-1]))
    below = (np.searchsorted(drawn, middle, "left") + np.searchsorted(drawn, middle, "right")) / (2 * resamples)
    bias = ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))  # the share is known to half a resample only
    shifted = bias + ndtri(np.array([tail, 1 - tail]))
    acceleration = _acceleration(arrays, statistic, paired)
    ranks = ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-12))
    low, high = np.quantile(drawn, ranks)
    return Interval(middle, float(low), float(high))


def _resampled(arrays: list[np.ndarray], statistic: Callable, paired: bool, resamples: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // sum(array.size for array in arrays))
    results = []
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        if paired:
            chosen = [random.integers(0, arrays[0].size, (rows, arrays[0].size))] * len(arrays)
        else:
            chosen = [random.integers(0, array.size, (rows, array.size)) for array in arrays]
        taken = [array[places] for array, places in zip(arrays, chosen, strict=True)]
        results.append(_evaluated(statistic, taken, (rows,)))
    return np.concatenate(results)


def _acceleration(arrays: list[np.ndarray], statistic: Callable, paired: bool) -> float:
    """The jackknife's skewness over 6 sqrt(n); blocks of m samples estimate the same, as both shrink by sqrt(m)."""
    groups = [list(range(len(arrays)))] if paired else [[k] for k in range(len(arrays))]
    influences = []
    for group in groups:
        size = arrays[group[0]].size
        block = -(-size // _BLOCKS)
        count = size // block
        without = np.empty(count)
        for k in range(count):
            kept = [np.delete(a, slice(k * block, (k + 1) * block)) if j in group else a for j, a in enumerate(arrays)]
            without[k] = _evaluated(statistic, kept, ())
        influences.append((without.mean() - without) * (count - 1) / count)
    influence = np.concatenate(influences)
    largest = np.abs(influence).max()
    if largest == 0:
        return 0.0
    influence /= largest  # the cubes of small errors would underflow
    return float((influence**3).sum() / (6 * (influence**2).sum() ** 1.5))


def _evaluated(statistic: Callable, arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    result = np.asarray(statistic(*arrays, axis=-1), np.float64)
    if result.shape != shape:
        raise Refusal(
            f"statistic gave shape {result.shape}, expected {shape}; it must reduce the last axis and no other"
        )
    if not np.isfinite(result).all():
        raise Refusal("statistic is not finite on some resamples; choose one that is defined for all of them")
    return result


def finite(name: str, values) -> np.ndarray:
    """`values` as float64; Refusal, with the place, for what is empty or not finite."""
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise Refusal(f"{name} is not an array of numbers: {error}") from error
    if array.size == 0:
        raise Refusal(f"{name} is empty; it needs at least 1 value")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = ", ".join(str(k) for k in bad[0])
        raise Refusal(f"{name}[{where}] is {array[tuple(bad[0])]:g}; every value must be finite")
    return array


def _line(name: str, values, least: int) -> np.ndarray:
    array = finite(name, values)
    if array.ndim != 1:
        raise Refusal(f"{name} has shape {array.shape}; it must have one axis")
    if array.size < least:
        raise Refusal(f"{name} holds {array.size} value; at least {least} are needed")
    return array


def _same_length(name: str, array: np.ndarray, other: str, second: np.ndarray, remedy: str = "") -> None:
    if array.size != second.size:
        raise Refusal(f"{name} has {array.size} values and {other} has {second.size}; they must be as many{remedy}")


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise Refusal(f"level is {level:g}; it must lie between 0 and 1, such as 0.95")
    return level


def _whole(name: str, value: int) -> int:
    try:
        return index(value)
    except TypeError:
        raise Refusal(f"{name} is {value!r}; it must be a whole number") from None
