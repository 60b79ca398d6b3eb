"""Agreement by a common coin: the exact game against a liar who adapts, and its bound of 2^-R."""

import itertools
from fractions import Fraction
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Roster
from quorate.protocols.common_coin import COMMON_COIN, CommonCoin, make
from tests.protocols import plays

AGREEMENT, VALIDITY, POSSIBLE = COMMON_COIN.properties


def twin(protocol, proposals, lies, coins):
    """The rule in words: what N - t say, else the coin."""
    members, liars = int(protocol.members), int(protocol.liars)
    bits = [int(x > 0) for x in proposals]
    for told, coin in zip(lies, coins, strict=True):
        heard = [sum(bits) + sum(to_me) for to_me in told]
        bits = []
        for yes in heard:
            if yes >= members - liars:
                bits.append(1)
            elif members - yes >= members - liars:
                bits.append(0)
            else:
                bits.append(coin >> 31)
    return bits


def test_it_is_its_twin():
    plays.check_twin(lambda n, t: make(n=n, t=t, rounds=3), twin, [(3, 1), (4, 2), (5, 2)])


def game(protocol, n, t):
    """The largest chance that two honest nodes differ at the end, for each start [2^n]: liars see the honest bits of
    the round and all coins before it, and add 0..t yes for each node. Also the number of (bits, lies, coin)."""
    states = plays.every_start(n)
    lies = np.array(list(itertools.product(range(t + 1), repeat=n)), np.int32)
    total = jnp.asarray(states.sum(1)[:, None, None] + lies[None])
    coins = jnp.array([plays.TAILS, plays.HEADS], jnp.uint32)
    ballots = jnp.broadcast_to(jnp.asarray(states > 0)[:, None, :], total.shape)

    def after(coin):
        flat = jax.vmap(lambda ballot, heard: protocol.hear(None, ballot, heard, coin))(ballots.ravel(), total.ravel())
        return flat.reshape(total.shape)

    weights = 2 ** np.arange(n)[::-1]
    following = np.stack([np.asarray(after(coin)) @ weights for coin in coins], -1)  # [states, lies, coins]

    @cache
    def worst(state, left):
        if not left:
            return Fraction(int(0 < states[state].sum() < n))
        choices = {tuple(pair) for pair in following[state].tolist()}
        return max((worst(a, left - 1) + worst(b, left - 1)) / 2 for a, b in choices)

    return [worst(state, protocol.rounds) for state in range(len(states))], following.size


@pytest.mark.parametrize(("n", "t"), [(3, 1), (4, 1), (5, 2), (6, 2)])
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_the_exact_game_has_the_value_of_the_proof(n, t, rounds):
    """2^-R where liars can make some node sure and not all (n - t..n - 1 honest nodes say the same), else 0."""
    values, size = game(make(n=n, t=t, rounds=rounds), n, t)
    assert size == 2**n * (t + 1) ** n * 2
    close = [n - t <= max(yes, n - yes) < n for yes in plays.every_start(n).sum(1).tolist()]
    assert values == [Fraction(1, 2**rounds) if hope else Fraction(0) for hope in close]
    assert max(values) == AGREEMENT.at_most(make(n=n, t=t, rounds=rounds), Roster(n, t))


def test_too_few_members_break_it():
    """With N = 3t the liars tell half that all say yes and half that all say no, for ever."""
    for rounds in (1, 5):
        protocol = make(n=2, t=1, rounds=rounds)
        assert max(game(protocol, 2, 1)[0]) == 1
        assert COMMON_COIN.bound(protocol, Roster(2, 1)) == 1
        assert AGREEMENT.at_most(protocol, Roster(2, 1)) == Fraction(1, 2**rounds)
    assert COMMON_COIN.warnings(make(n=2), Roster(2, 1)) == (
        "3 members with 1 liars; agreement by a coin is proved from 4 members on, that is --n 3",
    )
    assert COMMON_COIN.warnings(make(n=3), Roster(3, 1)) == ()
    assert COMMON_COIN.bound(make(n=3, rounds=2), Roster(3, 1)) == Fraction(1, 4)
    assert COMMON_COIN.bound(make(n=3, rounds=2), Roster(3, 2)) == 1


def test_every_play_of_three_nodes_and_a_liar():
    """Two rounds, message by message, all coins: who all say the same is never moved."""
    protocol, coins = make(n=3, t=1, rounds=2), plays.every_coin(2)
    tried, (differ, moved) = plays.count((AGREEMENT, VALIDITY), protocol, Roster(3, 1), coins)
    assert (tried, moved) == (2**3 * 2**6 * 4, 0)
    # From any of 6 mixed starts one bit v can be kept. One coin of two fails, then 3 x 2 of 8 lies split the nodes (one
    # or two keep v); such a split is again a mixed start: 6 x (6 x 6) pairs of lies, one of the four rows of coins.
    assert differ == 6 * 6 * 6


def test_the_half_of_the_words_is_a_half():
    protocol = make(n=3, t=1, rounds=1)
    words = jnp.array([0, 2**31 - 1, 2**31, 2**32 - 1], jnp.uint32)
    heard = jax.vmap(lambda coin: protocol.hear(None, jnp.array(True), jnp.int32(2), coin))(words)
    assert heard.tolist() == [False, False, True, True]


class FixedCoin(CommonCoin):
    def hear(self, key, ballot, total, coin):
        return super().hear(key, ballot, total, jnp.uint32(0))


class OneShort(CommonCoin):
    """Is content with one vote less than N - t."""

    def hear(self, key, ballot, total, coin):
        return (total >= self.members - self.liars - 1) | ((total > self.liars) & (coin >= jnp.uint32(2**31)))


class OwnMindFirst(CommonCoin):
    """Keeps its own bit where it should follow the coin."""

    def hear(self, key, ballot, total, coin):
        return (total >= self.members - self.liars) | ((total > self.liars) & ballot)


class AlwaysCoin(CommonCoin):
    def hear(self, key, ballot, total, coin):
        return coin >= jnp.uint32(2**31)


@pytest.mark.parametrize("bug", [FixedCoin, OneShort, OwnMindFirst])
def test_a_seeded_bug_breaks_agreement(bug):
    assert max(game(bug(members=4, liars=1, rounds=3), 3, 1)[0]) > Fraction(1, 2**3)


def test_a_seeded_bug_breaks_validity():
    bug = AlwaysCoin(members=4, liars=1, rounds=2)
    assert plays.count((VALIDITY,), bug, Roster(3, 1), plays.every_coin(2))[1] == [2 * 2**6 * 2]


def test_all_can_decide_yes():
    yes, coins = np.ones(3, np.int32), np.zeros(3, np.uint32)
    decisions = plays.outcomes(make(n=3, rounds=3), yes, np.zeros((1, 3, 3, 1), bool), coins)
    assert not plays.broken(POSSIBLE, make(n=3), Roster(3, 1), yes, decisions).any()
