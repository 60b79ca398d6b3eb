"""Dispersion: against a twin in plain Python, against the binomial law, and the numbers of influenced targets."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.errors import Refusal
from quorate.numerics.dispersion import dispersed, draws_needed, most, permutations

N, M = 20, 4


def twin(named, orders):
    """The majority of what the receivers in each order were told, in plain numbers."""
    found = []
    for told in named.tolist():
        row = []
        for i in range(len(told)):
            heard = [told[order[i]] for order in orders.tolist()]
            row.append(next((v for v in set(heard) if 2 * heard.count(v) > len(heard)), 0))
        found.append(row)
    return found


@pytest.mark.parametrize(("senders", "receivers", "draws"), [(1, 1, 1), (2, 5, 4), (3, 7, 9)])
def test_it_is_its_twin(senders, receivers, draws):
    @jax.jit
    def both(key, named):
        return dispersed(key, named, draws), permutations(key, draws, receivers)

    for seed in range(30):
        named = np.random.default_rng(seed).integers(0, 3, (senders, receivers)).astype(np.int32)
        found, orders = both(jax.random.key(seed), named)
        assert np.array_equal(np.sort(orders, 1), np.broadcast_to(np.arange(receivers), orders.shape))
        assert found.tolist() == twin(named, np.asarray(orders))


def test_half_is_no_majority():
    heard = jnp.array([[[1, 2, 0], [1, 1, 3], [2, 1, 3], [2, 1, 3]]])
    assert most(heard).tolist() == [[0, 1, 3]]


def spread(shares):
    """A sender who names target j + 1 to shares[j] receivers."""
    return np.repeat(np.arange(1, len(shares) + 1), shares).astype(np.int32)


@partial(jax.jit, static_argnums=2)
def many(keys, told, draws):
    return jax.vmap(lambda key: dispersed(key, told[None], draws)[0])(keys)


def influenced(shares, draws):
    """(targets that come through to somebody [runs], what each receiver heard [runs, N])."""
    heard = np.asarray(many(jax.random.split(jax.random.key(draws), RUNS), spread(shares), draws))
    return (heard[:, :, None] == np.arange(1, M + 1)).any(1).sum(1), heard


RUNS = 300
RECORDED = {  # 200 runs with two attackers each
    (5, 5, 5, 5): {1: 4.0, 15: 1.27, 45: 0.01, 101: 0.0},
    (10, 10): {1: 2.0, 101: 2.0},
    (7, 7, 6): {1: 3.0, 15: 2.64, 45: 0.74, 101: 0.03},
}


@pytest.mark.parametrize("shares", RECORDED)
def test_influenced_targets_per_attacker(shares):
    """Twenty receivers, four targets (IBGP, Theorem 6): means of two samples, at most four standard errors of both and
    0.005 of rounding apart. Where hits are rare a sample says little of its spread: that of a Poisson law is taken."""
    for draws, recorded in RECORDED[shares].items():
        counts, _ = influenced(shares, draws)
        deviation = max(counts.std(), math.sqrt(max(recorded, counts.mean())) if recorded < 1 else 0)
        assert abs(counts.mean() - recorded) <= 4 * deviation * math.sqrt(1 / RUNS + 1 / 200) + 0.005


@pytest.mark.parametrize("shares", [(5, 5, 5, 5), (6, 5, 5, 4), (6, 6, 4, 4), (7, 7, 3, 3), (8, 5, 4, 3)])
def test_never_more_than_three_from_45_draws_on(shares):
    assert influenced(shares, 45)[0].max() <= 3


@pytest.mark.parametrize(("share", "draws"), [(5, 1), (5, 15), (8, 15), (13, 15), (8, 45), (11, 101)])
def test_a_share_comes_through_by_the_binomial_law(share, draws):
    """One receiver's draws are independent; four standard errors over runs, receivers of one run taken as one."""
    _, heard = influenced((share, N - share), draws)
    f = share / N
    law = sum(math.comb(draws, c) * f**c * (1 - f) ** (draws - c) for c in range(draws // 2 + 1, draws + 1))
    hits = (heard == 1).mean(1)
    assert abs(hits.mean() - law) <= 4 * hits.std() / math.sqrt(len(hits))


def test_draws_needed():
    assert (draws_needed(20, 4, 2, 0.05), draws_needed(60, 12, 6, 0.05)) == (146, 205)
    for draws in (145, 146):
        assert (20 * 4 * 2 * math.exp(-draws / 18) <= 0.05) == (draws == 146)


@pytest.mark.parametrize("given", [(0, 4, 2, 0.05), (20, 4, 2, 0.0), (20, 4, 2, 1.0)])
def test_numbers_that_cannot_be_are_refused(given):
    with pytest.raises(Refusal, match="must"):
        draws_needed(*given)


def test_no_draws_are_refused():
    with pytest.raises(Refusal, match="draws is 0"):
        dispersed(jax.random.key(0), jnp.zeros((1, 2), jnp.int32), 0)
