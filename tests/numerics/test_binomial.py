"""Binomial numbers by two look-ups against scipy's quantiles."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from quorate.numerics.binomial import draw, guide

EDGES = np.concatenate([[0, 2**32 - 1], 2 ** np.arange(32), 2**32 - 1 - 2 ** np.arange(32)])


@partial(jax.jit, static_argnums=3)
def drawn(words, trials, chance, most):
    return draw(words, guide(trials, chance, most))


@pytest.mark.parametrize(
    ("most", "trials", "chance"),
    [
        (0, 0, 0.5), (5, 3, 0.5), (5, 5, 0.0), (5, 5, 1.0), (5, 0, 0.4), (100, 100, 0.01), (100, 77, 0.97),
        (10**6, 10**6, 0.5), (10**6, 10**5, 0.2), (10**6, 10**6, 1e-6), (10**6, 10**6, 0.9999),
    ],
)  # fmt: skip
def test_numbers_are_quantiles(most, trials, chance):
    """100,000 words and the extreme ones. Where one is off it is so by 1, and a tail by 10^-5 of itself: float32."""
    words = np.random.default_rng(trials).integers(0, 2**32, 100_000)
    words = np.concatenate([words, EDGES]).astype(np.uint32)
    got = np.asarray(drawn(words, jnp.int32(trials), jnp.float32(chance), most))
    chance, level = float(np.float32(chance)), (words + 0.5) / 2.0**32
    expected = np.where(level < 0.5, binom.ppf(level, trials, chance), binom.isf(1 - level, trials, chance))
    off = got != expected
    assert np.abs(got - expected).max() <= 1 and off.mean() < 1e-3
    lower = np.minimum(got, expected)[off]
    low, high = binom.cdf(lower, trials, chance) / level[off], binom.sf(lower, trials, chance) / (1 - level[off])
    assert (np.minimum(np.abs(low - 1), np.abs(high - 1)) < 1e-5).all()


def test_trials_are_swept_in_one_program():
    """P(K = k) of 2^16 evenly spaced words, for several t under one guide's size."""
    words = (jnp.arange(2**16, dtype=jnp.uint32) << 16) + 2**15
    rows = jax.vmap(lambda t: drawn(words, t, jnp.float32(0.3), 9))(jnp.array([0, 1, 5, 9]))
    for t, row in zip((0, 1, 5, 9), np.asarray(rows), strict=True):
        share = np.bincount(row, minlength=10) / 2**16
        assert np.abs(share - binom.pmf(np.arange(10), t, float(np.float32(0.3)))).max() < 2**-15
