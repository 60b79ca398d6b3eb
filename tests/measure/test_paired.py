"""Simultaneous intervals: against plain formulas, against scipy, and by coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from quorate.errors import Refusal
from quorate.measure.paired import differences, mean_interval


def twin_pooled(samples, level):
    """Loops over cells, the range by scipy: randomized blocks as they are written."""
    systems, seeds = len(samples), len(samples[0])
    rows = [sum(row) / seeds for row in samples]
    columns = [sum(samples[a][s] for a in range(systems)) / systems for s in range(seeds)]
    whole = sum(rows) / systems
    square = sum((samples[a][s] - rows[a] - columns[s] + whole) ** 2 for a in range(systems) for s in range(seeds))
    freedom = (systems - 1) * (seeds - 1)
    multiplier = stats.studentized_range.ppf(level, systems, freedom) / math.sqrt(2)
    pooled, found = math.sqrt(2 * square / freedom / seeds), {}
    for a, b in itertools.combinations(range(systems), 2):
        d = [samples[a][s] - samples[b][s] for s in range(seeds)]
        half = multiplier * max(pooled, stats.sem(d))
        found[a, b] = (sum(d) / seeds, sum(d) / seeds - half, sum(d) / seeds + half)
    return found


def test_few_seeds_pool_their_spreads_as_tukey_does_in_blocks():
    samples = np.random.default_rng(0).normal(size=(4, 5))
    found = differences(samples, 0.9)
    assert found.method == "pooled"
    for (a, b), expected in twin_pooled(samples.tolist(), 0.9).items():
        assert (found.mean[a, b], found.low[a, b], found.high[a, b]) == pytest.approx(expected)
        assert (found.mean[b, a], -found.high[b, a], -found.low[b, a]) == pytest.approx((-expected[0], *expected[1:]))


def test_three_seeds_tell_apart_what_differs_by_many_spreads():
    random = np.random.default_rng(6)
    samples = np.array([0.77, 0.86, 0.88, 0.89, 0.89, 0.89, 0.77, 0.85])[:, None] + 0.003 * random.normal(size=(8, 3))
    found = differences(samples, 0.99)
    assert found.high[0, 3] < 0 and not (found.high[2, 3] < 0)


def test_the_multiplier_of_signs_is_the_quantile_over_all_sign_patterns():
    """All 2^12 patterns enumerated, t by scipy; the drawn ones miss the exact quantile by chance alone.

    The share of patterns at or below the drawn multiplier is 0.95 with standard error sqrt(.95 * .05 / 20000) =
    0.0015; five of them and one pattern's weight are allowed.
    """
    samples = np.random.default_rng(1).normal(size=(3, 12))
    found = differences(samples, 0.95)
    assert found.method == "signs"
    pairs = [samples[a] - samples[b] for a, b in ((0, 1), (0, 2), (1, 2))]
    centred = np.stack([d - d.mean() for d in pairs])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=12)))
    statistic = np.abs(stats.ttest_1samp(signs[:, None, :] * centred[None], 0.0, axis=-1).statistic).max(-1)
    assert (statistic <= found.multiplier + 1e-9).mean() == pytest.approx(0.95, abs=5 * 0.0015 + 2 / 4096)


@pytest.mark.parametrize("seeds", [3, 12, 20])
def test_all_intervals_hold_at_once_as_often_as_promised(seeds):
    """Coverage over 600 trials of 4 correlated systems of unequal spread whose true means differ.

    A method that covers 0.95 falls below 0.95 - 4 sqrt(.95 * .05 / 600) = 0.914 in fewer than 1 of 10^4 such tests;
    one that ignores that there are six pairs covers about 0.8 and fails.
    """
    random = np.random.default_rng(seeds)
    truth = np.array([0.0, 0.0, 0.3, 1.0])
    scale = np.array([1.0, 0.5, 1.0, 0.1])
    trials, held, naive = 600, 0, 0
    for trial in range(trials):
        shared = random.normal(size=seeds)
        samples = truth[:, None] + 5 * shared + scale[:, None] * random.normal(size=(4, seeds))
        found = differences(samples, flips=2000, seed=trial)
        error = np.abs(found.mean - (truth[:, None] - truth[None, :]))
        held += bool((error <= (found.high - found.low) / 2 + 1e-12).all())
        own = (samples[:, None] - samples[None, :]).std(-1, ddof=1) / math.sqrt(seeds)
        naive += bool((error <= stats.t.ppf(0.975, seeds - 1) * own + 1e-12).all())
    least = 0.95 - 4 * math.sqrt(0.95 * 0.05 / trials)
    assert held / trials >= least
    assert naive / trials < least  # the test can tell


def test_what_a_seed_does_to_all_drops_out():
    samples = np.random.default_rng(2).normal(size=(3, 15))
    shift = 1000.0 * np.arange(15)
    plain, shifted = differences(samples), differences(samples + shift[None, :])
    assert np.allclose(plain.low, shifted.low) and np.allclose(plain.high, shifted.high)


def test_two_seeds_suffice_and_one_gives_no_interval():
    assert differences([[1.0, 2.0], [0.0, 3.0]]).method == "pooled"
    one = differences([[1.0], [0.25]])
    assert (one.low, one.high, one.multiplier, one.method) == (None, None, None, "one seed")
    assert one.mean.tolist() == [[0.0, 0.75], [-0.75, 0.0]]
    assert mean_interval([[1.0], [2.0]]).low is None


def test_equal_runs_and_a_constant_difference_have_no_width():
    for seeds in (4, 20):
        base = np.random.default_rng(3).normal(size=seeds)
        found = differences([base, base, base + 0.1])
        assert found.low[0, 1] == found.high[0, 1] == 0
        assert found.low[2, 0] == found.high[2, 0] == pytest.approx(0.1)
    assert differences([base]).mean.tolist() == [[0.0]]


def test_the_same_seed_gives_the_same_bounds_and_pairs_do_not_depend_on_order():
    samples = np.random.default_rng(4).normal(size=(4, 20))
    first, again, turned = differences(samples), differences(samples), differences(samples[::-1])
    assert np.array_equal(first.low, again.low)
    assert np.allclose(first.low, turned.low[::-1, ::-1])


def test_alike_systems_need_a_smaller_multiplier_than_the_formula_gives():
    """Pairs that move together are nearly one pair: flipping signs sees it, a formula for each pair cannot."""
    random = np.random.default_rng(5)
    base = random.normal(size=20)
    samples = np.concatenate([base[None] + 1e-3 * random.normal(size=(6, 20)), np.zeros((1, 20))])
    several = differences(np.stack([samples[0], samples[6], samples[6] + 1e-9 * base]))
    assert several.multiplier < stats.t.ppf((1 + 0.95 ** (1 / 3)) / 2, 19)


def test_mean_interval_is_that_of_scipy():
    samples = np.random.default_rng(6).normal(size=(2, 3, 7))
    found = mean_interval(samples, 0.9)
    low, high = stats.t.interval(0.9, 6, samples.mean(-1), stats.sem(samples, axis=-1))
    assert np.allclose(found.low, low) and np.allclose(found.high, high)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: differences([1.0, 2.0]), "must be \\[systems, seeds\\]"),
        (lambda: differences([[1.0, np.nan]]), "samples holds nan; every value must be finite"),
        (lambda: differences([[]]), "at least one seed"),
        (lambda: differences([[1.0, 2.0]], level=1.0), "level is 1; it must lie between 0 and 1"),
        (lambda: differences([[1.0, 2.0]], flips=10), "flips is 10; a level of 0.95 needs at least 20"),
        (lambda: mean_interval([["a"]]), "not an array of numbers"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(Refusal, match=message):
        call()
