"""The second paper's acceptance tests by name: what the vote must do, in one place. The files that go deeper are
`test_exact`, `test_optimal` and `tests/protocols`."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quorate import comms
from quorate.core import Roster
from quorate.faults import RandomYes
from quorate.faults.scripted import Scripted
from quorate.numerics.dispersion import dispersed
from quorate.protocols import PROTOCOLS
from quorate.solvers.target_selection import collected, greedy, optimum
from quorate.verify import optimal
from quorate.verify.exact import informed, solve

HIDDEN, FIXED, SINGLE = (PROTOCOLS[name] for name in ("hidden_stop_vote", "fixed_round_vote", "single_round_vote"))
NINTH = Fraction(1, 9)


def solved(entry, n, t, **options):
    return solve(entry.make(n=n, t=t, **options), Roster(n, t), entry.values, entry.properties)


def counted(vote, fault, proposals, seed=0):
    """How many act in each run of the engine."""
    n = proposals.shape[1]

    def one(key, proposal):
        lasting, rot = comms.boot(key, vote, n), fault.reset(key, n)
        talked = comms.converse(key, jax.random.fold_in(key, 7), vote, lasting, proposal, None, fault, rot, None, n)
        return jnp.sum(talked.decision)

    keys = jax.random.split(jax.random.key(seed), len(proposals))
    return np.asarray(jax.jit(jax.vmap(one))(keys, proposals))


@pytest.mark.parametrize(
    ("n", "k", "t", "margin", "last", "worst"),
    [
        (4, 3, 1, 1, 5, [0, 0, 0, Fraction(1, 4), 0]),
        (4, 2, 2, 2, 10, [0, 0, NINTH, NINTH, 0]),
        (10, 5, 2, 2, 10, [NINTH if a in (5, 6) else 0 for a in range(11)]),
        (20, 4, 2, 2, 10, [NINTH if a in (4, 5) else 0 for a in range(21)]),
        (6, 3, 2, 0, 10, [1 if a in (1, 2) else 0 for a in range(7)]),
        (6, 3, 2, 1, 10, [1 if a in (2, 3) else 0 for a in range(7)]),
        (6, 3, 2, 2, 10, [NINTH if a in (3, 4) else 0 for a in range(7)]),
    ],
)
def test_acceptance_01_worst_cases_exactly(n, k, t, margin, last, worst):
    assert solved(HIDDEN, n, t, k=k, margin=margin, max_rounds=last).worst(0) == worst


def test_acceptance_01_message_by_message():
    """The optimal attack, played by the engine, within four standard errors."""
    game, runs = solved(HIDDEN, 4, 1, k=3, max_rounds=5), 6000
    proposals = jnp.broadcast_to(jnp.array([1, 1, 1, 0]), (runs, 4))
    count = counted(game.protocol, optimal.optimal(game), proposals)
    share = ((count > 0) & (count < 3)).mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / runs)


def test_acceptance_02_what_holds_under_every_attack():
    """Random lies, 3000 plays: too few willing never act, enough of them all act, and nobody who did not propose."""
    n, k, t, plays = 7, 4, 2, 3000
    vote, dice = HIDDEN.make(n=n, k=k, t=t, max_rounds=6), np.random.default_rng(0)
    willing = dice.integers(0, n + 1, plays)
    proposals = jnp.asarray(dice.random((plays, n)).argsort(axis=1) < willing[:, None], jnp.int32)
    lies = jnp.asarray(dice.integers(0, t + 1, (plays, 6, n)), jnp.int32)

    def one(key, proposal, plan):
        fault, lasting = Scripted(plan=plan, extras=t), comms.boot(key, vote, n)
        rot = fault.reset(key, n)
        return comms.converse(key, key, vote, lasting, proposal, None, fault, rot, None, n).decision

    keys = jax.random.split(jax.random.key(1), plays)
    decided = np.asarray(jax.jit(jax.vmap(one))(keys, proposals, lies))
    count = decided.sum(axis=1)
    assert np.all(decided <= np.asarray(proposals))
    assert np.all(count[willing < k] == 0) and np.all(count[willing >= k + t] == willing[willing >= k + t])
    between = (willing >= k) & (willing < k + t)
    assert len(set(count[between].tolist())) > 2  # here anything may happen


def test_acceptance_03_votes_that_fail():
    for threshold in range(1, 8):
        game = solved(SINGLE, 4, 1, k=3, threshold=threshold)
        never = max(game.worst(2)) == 0
        assert max(game.worst(0)) == 1 or never
    for rounds in (1, 2, 5):
        assert max(solved(FIXED, 4, 1, k=3, rounds=rounds).worst(0)) == 1


@pytest.mark.parametrize(("n", "k", "t"), [(7, 4, 3), (6, 2, 2)])
def test_acceptance_03_margins_below_t(n, k, t):
    for margin in range(t):
        broken = [max(1, k - (t - margin)) <= a <= k + margin - 1 for a in range(n + 1)]
        assert solved(HIDDEN, n, t, k=k, margin=margin, max_rounds=4).worst(0) == broken


def test_acceptance_03_all_yes_against_margin_t_is_silence_against_none():
    n, k, t, runs = 4, 2, 2, 500
    dice = np.random.default_rng(3)
    proposals = jnp.asarray(dice.integers(0, 2, (runs, n)), jnp.int32)
    found = [
        counted(HIDDEN.make(n=n, k=k, t=t, margin=margin), RandomYes(chance=chance, extras=t), proposals)
        for margin, chance in ((t, 1.0), (0, 0.0))
    ]
    willing = np.asarray(proposals).sum(axis=1)
    reward = [np.sign((count >= k) * 1.0 - ((count > 0) & (count < k))) for count in found]
    for count in range(n + 1):  # the scores agree start by start
        assert reward[0][willing == count].mean() == pytest.approx(reward[1][willing == count].mean(), abs=1e-12)


def test_acceptance_04_dispersion_and_greedy_selection():
    named = jnp.asarray(np.repeat(np.arange(4), 5)[None], jnp.int32)  # one attacker, four targets, twenty receivers
    through = [np.unique(dispersed(jax.random.key(i), named + 1, 45)) for i in range(50)]
    assert max(len(set(row.tolist()) - {0}) for row in through) <= 3
    dice = np.random.default_rng(5)
    for _ in range(100):
        targets, nodes = dice.integers(1, 5), dice.integers(1, 7)
        rewards, thresholds = dice.random(targets) + 0.1, dice.integers(1, 4, targets)
        able = dice.random((nodes, targets)) < 0.6
        best = collected(rewards, thresholds, optimum(rewards, thresholds, able))
        assert collected(rewards, thresholds, greedy(rewards, thresholds, able)) >= best / thresholds.max() - 1e-9


def test_acceptance_05_the_hidden_coin_is_what_protects():
    game = solved(HIDDEN, 7, 2, k=4, max_rounds=6)
    assert informed(game, 0, "end")[4] == 1
    assert informed(game, 0, "bit") == game.answers[0].chances
