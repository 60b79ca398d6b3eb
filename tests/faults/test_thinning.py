"""Numbers from the table, against scipy's binomial distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quorate.faults.thinning import lost

DRAWS = 20_000


def fits(drawn, law):
    """Chi-square over cells that expect 8 draws at least, tails gathered; all tests together are wrong once in 10^4."""
    low, high = int(law.ppf(1e-9)), int(law.ppf(1 - 1e-9))
    expected = law.pmf(np.arange(low, high + 1)) * len(drawn)
    edges, mass = [low], 0.0
    for value, here in zip(range(low, high + 1), expected, strict=True):
        mass += here
        if mass >= 8:
            edges.append(value + 1)
            mass = 0.0
    edges[-1] = high + 1
    observed = np.histogram(drawn, np.array(edges) - 0.5)[0]
    assert observed.sum() == len(drawn)
    cells = np.diff(law.cdf(np.array(edges) - 1)) * len(drawn)
    return len(cells) == 1 or stats.chisquare(observed, cells * len(drawn) / cells.sum()).pvalue > 1e-5


EDGES = np.concatenate([[0, 2**32 - 1], 2 ** np.arange(32), 2**32 - 1 - 2 ** np.arange(32)]).astype(np.uint32)


@pytest.mark.parametrize("trials", [1, 2, 13, 300, 1_000_000])
@pytest.mark.parametrize("share", [0.0, 1e-6, 0.2, 0.97, 1.0])
def test_the_extreme_words(monkeypatch, trials, share):
    """Each receiver has an extreme word, the last 128 and the first among them, which a float32 would round to 1."""
    words = np.concatenate([EDGES, 2**32 - 1 - np.arange(200, dtype=np.uint32), np.arange(200, dtype=np.uint32)])
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: jnp.asarray(words))
    gone = np.asarray(lost(jax.random.key(0), jnp.full(len(words), trials), jnp.float32(share), trials))
    law, level = stats.binom(trials, float(np.float32(share))), (words + 0.5) / 2.0**32
    expected = np.where(level < 0.5, law.ppf(level), law.isf(1 - level))
    off = gone != expected
    assert np.abs(gone - expected).max() <= 1
    lower = np.minimum(gone, expected)[off]  # where it is off by 1 a tail is as close to the word as float32 can say
    low, high = law.cdf(lower) / level[off], law.sf(lower) / (1 - level[off])
    assert (np.minimum(np.abs(low - 1), np.abs(high - 1)) < 1e-5).all()


@pytest.mark.parametrize(("trials", "share"), [(1, 0.3), (7, 0.5), (200, 0.02), (5000, 0.9), (1_000_000, 0.1)])
def test_draws_for_all_with_one_count(trials, share):
    counts = jnp.full(DRAWS, trials)
    gone = np.asarray(jax.jit(lost, static_argnums=3)(jax.random.key(trials), counts, jnp.float32(share), trials))
    assert fits(gone, stats.binom(trials, share))


def test_draws_for_counts_that_differ():
    """Each of five counts by itself; the least is 4, so that 4 and 15, 4 and 1, ... are added up."""
    kinds = np.array([4, 5, 19, 12, 6])
    counts = jnp.asarray(np.repeat(kinds, DRAWS))
    gone = np.asarray(lost(jax.random.key(3), counts, jnp.float32(0.35), 20)).reshape(5, DRAWS)
    for row, trials in zip(gone, kinds, strict=True):
        assert fits(row, stats.binom(trials, 0.35))
    correlations = np.corrcoef(gone)[~np.eye(5, dtype=bool)]
    assert np.abs(correlations).max() < 5.5 / np.sqrt(DRAWS)  # independent: each has deviation 1 / sqrt(draws)


@pytest.mark.parametrize(("share", "kept"), [(0.0, 1), (1.0, 0)])
def test_nothing_and_everything(share, kept):
    counts = jnp.array([0, 3, 900, 17])
    assert (counts - lost(jax.random.key(0), counts, jnp.float32(share), 1000)).tolist() == (counts * kept).tolist()
