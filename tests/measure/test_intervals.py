"""Intervals against scipy, against the coverage they were measured to have, and against shifts and scales."""

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings

from quorate.errors import Refusal
from quorate.measure import intervals
from quorate.measure.intervals import (
    bootstrap,
    clopper_pearson,
    interquartile_mean,
    paired_difference,
    quantiles,
    ratio,
    slope,
    standard_error,
)

SKEWED = np.random.default_rng(4).lognormal(size=20)
OTHER = SKEWED * np.random.default_rng(5).lognormal(sigma=0.3, size=20)


def correlation(x, y, axis=-1):
    x, y = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
    return (x * y).sum(axis) / np.sqrt((x * x).sum(axis) * (y * y).sum(axis))


def assert_same_law(ours, scipys):
    """Both bounds of two interval makers agree up to resampling noise, judged by their spread over 12 seeds each."""
    mine = np.array([ours(seed)[1:] for seed in range(12)])
    theirs = np.array([scipys(seed) for seed in range(12)])
    noise = np.sqrt((mine.var(0, ddof=1) + theirs.var(0, ddof=1)) / 12)
    assert (np.abs(mine.mean(0) - theirs.mean(0)) < 5 * noise).all()  # |t| > 5 on 22 degrees: 1 in 20 000
    assert (noise < 0.02 * np.ptp(theirs.mean(0))).all()  # so the line above can see 10 % of the width


def scipy_interval(samples, statistic, paired, level=0.95):
    def interval(seed):
        found = scipy.stats.bootstrap(
            samples,
            statistic,
            paired=paired,
            vectorized=True,
            n_resamples=4000,
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(100 + seed),
        )
        return found.confidence_interval

    return interval


def test_bootstrap_agrees_with_scipy():
    for samples, statistic in (
        ((SKEWED,), np.mean),
        ((SKEWED,), interquartile_mean),
        ((SKEWED, OTHER), correlation),
    ):
        ours = samples if len(samples) > 1 else samples[0]
        assert_same_law(
            lambda seed, ours=ours, statistic=statistic: bootstrap(ours, statistic, resamples=4000, seed=seed),
            scipy_interval(samples, statistic, paired=True),
        )


def test_ratio_agrees_with_scipy():
    longer = np.append(OTHER, [1.0, 2.0, 7.0])
    for paired, below in ((True, OTHER), (False, longer)):
        assert_same_law(
            lambda seed, p=paired, b=below: ratio(SKEWED, b, level=0.9, paired=p, resamples=4000, seed=seed),
            scipy_interval(
                (SKEWED, below), lambda x, y, axis=-1: x.mean(axis) / y.mean(axis), paired=paired, level=0.9
            ),
        )


def test_blocks_of_samples_give_the_same_acceleration(monkeypatch):
    """Of 3000 exponential samples, skewness 2, it is about 2 / (6 sqrt 3000) = 0.006.

    A skewness over 1000 blocks has a noise of about 0.2, so the acceleration one of 0.2 / (6 sqrt 1000) = 0.001 and the
    mean of 25 of them 0.0002. A wrong power of the block size would be off by 0.0025 at least.
    """
    draws = [np.random.default_rng(seed).exponential(size=3000) for seed in range(25)]
    blocks = [intervals._acceleration([samples], np.mean, True) for samples in draws]
    monkeypatch.setattr(intervals, "_BLOCKS", 3000)
    singles = [intervals._acceleration([samples], np.mean, True) for samples in draws]
    u = draws[0] - draws[0].mean()
    assert singles[0] == pytest.approx((u**3).sum() / (6 * (u**2).sum() ** 1.5), rel=1e-6)
    assert 0 != abs(np.mean(blocks) - np.mean(singles)) < 0.001


def test_pieces_do_not_change_what_is_drawn(monkeypatch):
    whole = bootstrap(SKEWED, resamples=500)
    monkeypatch.setattr(intervals, "_CHUNK", 20 * 64)
    assert bootstrap(SKEWED, resamples=500) == whole


def coverage(draw, truth, trials):
    """How often BCa and percentile intervals of the mean hold the truth."""
    random, covered = np.random.default_rng(7), np.zeros(2)
    for seed in range(trials):
        samples = draw(random)
        found = bootstrap(samples, resamples=1000, seed=seed)
        means = samples[np.random.default_rng(seed).integers(0, samples.size, (1000, samples.size))].mean(-1)
        low, high = np.quantile(means, (0.025, 0.975))
        covered += (found.low <= truth <= found.high, low <= truth <= high)
    return covered / trials


def test_coverage_is_what_the_docstring_says():
    """Log-normal, 20 samples: 0.874 and 0.857 in 20 000 trials; normal 0.923 and 0.925; within 4 standard errors."""
    skewed = coverage(lambda random: random.lognormal(size=20), np.exp(0.5), 2000)
    assert np.abs(skewed - (0.874, 0.857)).max() < 4 * np.sqrt(0.87 * 0.13 / 2000)
    assert skewed[0] > skewed[1]
    normal = coverage(lambda random: random.normal(size=20), 0.0, 2000)
    assert np.abs(normal - (0.923, 0.925)).max() < 4 * np.sqrt(0.924 * 0.076 / 2000)


@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=12),
    st.integers(-100, 100),
    st.sampled_from([0.25, 1.0, 8.0]),
    st.integers(0, 5),
)
@settings(max_examples=40)
def test_the_interval_of_the_mean_moves_with_the_samples(samples, shift, scale, seed):
    found = np.array(bootstrap(samples, resamples=200, seed=seed))
    moved = np.array(bootstrap(shift + scale * np.array(samples), resamples=200, seed=seed))
    np.testing.assert_allclose(moved, shift + scale * found, rtol=1e-9, atol=1e-9)
    assert min(samples) - 1e-9 <= found[1] <= found[2] <= max(samples) + 1e-9


def test_the_same_seed_gives_the_same_interval_and_another_another():
    assert bootstrap(SKEWED, seed=3) == bootstrap(SKEWED, seed=3) != bootstrap(SKEWED, seed=4)


def test_a_higher_level_is_wider():
    narrow, wide = bootstrap(SKEWED, level=0.8), bootstrap(SKEWED, level=0.99)
    assert wide.low < narrow.low < narrow.middle < narrow.high < wide.high


@pytest.mark.parametrize("unit", [1e-300, 1e-120, 1e100])
def test_the_unit_does_not_matter(unit):
    np.testing.assert_allclose(np.array(bootstrap(unit * SKEWED)) / unit, bootstrap(SKEWED), rtol=1e-9)


def test_equal_samples_give_an_interval_of_no_width():
    assert bootstrap(np.full(7, 0.5)) == (0.5, 0.5, 0.5)


def test_pairing_takes_out_what_configurations_share():
    difficulty = np.random.default_rng(0).lognormal(sigma=2.0, size=30)
    paired, apart = ratio(2 * difficulty, difficulty), ratio(2 * difficulty, difficulty, paired=False)
    assert paired.middle == apart.middle == 2
    np.testing.assert_allclose(paired, 2, rtol=1e-12)
    assert apart.high / apart.low > 3


def test_paired_difference_is_the_bootstrap_of_the_difference():
    assert paired_difference(SKEWED, OTHER, level=0.9, seed=2) == bootstrap(SKEWED - OTHER, level=0.9, seed=2)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_clopper_pearson_is_scipys_exact_interval(counts, level):
    successes, trials = counts
    theirs = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    found = clopper_pearson(successes, trials, level)
    np.testing.assert_allclose(found[1:], (theirs.low, theirs.high), rtol=1e-9, atol=1e-12)
    assert found.low <= found.middle == successes / trials <= found.high


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 0.5, 1.0])
def test_clopper_pearson_covers_at_least_its_level_exactly(probability):
    """The coverage is summed over all outcomes of 25 trials, so nothing is sampled."""
    weights = scipy.stats.binom.pmf(np.arange(26), 25, probability)
    found = [clopper_pearson(successes, 25, 0.9) for successes in range(26)]
    inside = np.array([interval.low <= probability <= interval.high for interval in found])
    assert weights[inside].sum() >= 0.9


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_interquartile_mean_is_scipys_trimmed_mean(samples):
    np.testing.assert_allclose(interquartile_mean(samples), scipy.stats.trim_mean(samples, 0.25), rtol=1e-9, atol=1e-9)


def test_interquartile_mean_and_quantiles_take_an_axis():
    table = np.random.default_rng(0).normal(size=(9, 4))
    np.testing.assert_allclose(interquartile_mean(table, axis=0), scipy.stats.trim_mean(table, 0.25, axis=0))
    np.testing.assert_array_equal(quantiles(table, (0.1, 0.9), axis=0), np.quantile(table, (0.1, 0.9), axis=0))


def test_standard_error_is_over_configurations_not_runs():
    curves = np.random.default_rng(0).normal(size=(20, 5, 3)) + np.random.default_rng(1).normal(size=(20, 1, 1))
    np.testing.assert_allclose(standard_error(curves), scipy.stats.sem(curves.mean(1), axis=0))
    np.testing.assert_allclose(standard_error(curves[:, :, 0]), scipy.stats.sem(curves[:, :, 0].mean(1)))
    np.testing.assert_allclose(standard_error(SKEWED), scipy.stats.sem(SKEWED))
    np.testing.assert_allclose(standard_error(np.repeat(SKEWED[:, None], 50, axis=1)), scipy.stats.sem(SKEWED))


@given(st.floats(-3, 3), st.floats(0.01, 100), st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True))
def test_slope_finds_the_exponent(exponent, factor, x):
    x = np.array(x, np.float64)
    assert slope(x, factor * x**exponent) == pytest.approx(exponent, abs=1e-6)


def test_slope_is_scipys_regression():
    x = np.arange(1.0, 21.0)
    assert slope(x, SKEWED) == pytest.approx(scipy.stats.linregress(np.log(x), np.log(SKEWED)).slope)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap([]), "samples is empty; it needs at least 1 value"),
        (lambda: bootstrap([1.0]), "samples holds 1 value; at least 2 are needed"),
        (lambda: bootstrap([1.0, np.nan]), "samples[1] is nan; every value must be finite"),
        (lambda: bootstrap([[1.0, 2.0]]), "samples has shape (1, 2); it must have one axis"),
        (lambda: bootstrap(()), "samples is an empty tuple; it needs at least one array"),
        (
            lambda: bootstrap(([1.0, 2.0], [1.0, 2.0, 3.0]), correlation),
            "samples[0] has 2 values and samples[1] has 3; they must be as many",
        ),
        (lambda: bootstrap(SKEWED, level=95), "level is 95; it must lie between 0 and 1, such as 0.95"),
        (lambda: bootstrap(SKEWED, level=np.nan), "level is nan; it must lie between 0 and 1, such as 0.95"),
        (lambda: bootstrap(SKEWED, level=0.99, resamples=199), "resamples is 199; a level of 0.99 needs at least 200"),
        (lambda: bootstrap(SKEWED, resamples=1e3), "resamples is 1000.0; it must be a whole number"),
        (
            lambda: bootstrap(SKEWED, lambda x, axis: x),
            "statistic gave shape (20,), expected (); it must reduce the last axis and no other",
        ),
        (
            lambda: bootstrap([0.0, 1.0], lambda x, axis: np.where(x.mean(axis) > 0, 1.0, np.nan)),
            "statistic is not finite on some resamples; choose one that is defined for all of them",
        ),
        (
            lambda: ratio([1.0, 2.0], [1.0, 2.0, 3.0]),
            "numerator has 2 values and denominator has 3; they must be as many; paired=False compares them unpaired",
        ),
        (
            lambda: ratio([1.0, 2.0], [1.0, 0.0]),
            "denominator holds 0; every entry must be above 0 for a ratio of means",
        ),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "b holds 1 value; at least 2 are needed"),
        (lambda: paired_difference([1.0, 2.0], SKEWED), "a has 2 values and b has 20; they must be as many"),
        (lambda: clopper_pearson(0, 0), "trials is 0; it counts tries and must be at least 1"),
        (lambda: clopper_pearson(4, 3), "successes is 4; it must lie between 0 and trials, which is 3"),
        (lambda: clopper_pearson(0.5, 3), "successes is 0.5; it must be a whole number"),
        (lambda: clopper_pearson(1, 3, 1.0), "level is 1; it must lie between 0 and 1, such as 0.95"),
        (lambda: interquartile_mean([1.0, np.inf]), "samples[1] is inf; every value must be finite"),
        (lambda: quantiles([]), "samples is empty; it needs at least 1 value"),
        (lambda: quantiles([1.0], (0.5, 90)), "probabilities holds 90; each must lie between 0 and 1"),
        (
            lambda: standard_error([[1.0, 2.0]]),
            "samples has shape (1, 2); its first axis must hold at least 2 configurations",
        ),
        (lambda: standard_error([[1.0], [np.nan]]), "samples[1, 0] is nan; every value must be finite"),
        (lambda: slope([1.0, 1.0], [1.0, 2.0]), "x holds only 1; a slope needs two different values"),
        (lambda: slope([1.0, 2.0], [0.0, 2.0]), "y holds 0; a log-log slope needs values above 0"),
        (lambda: slope([1.0, 2.0], [1.0, 2.0, 3.0]), "x has 2 values and y has 3; they must be as many"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(Refusal) as refused:
        call()
    assert str(refused.value) == message


def test_refuses_what_is_no_number():
    with pytest.raises(Refusal, match="^samples is not an array of numbers: "):
        bootstrap(["a", "b"])
