"""Importance splitting against chances that are known exactly."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from quorate.comms import Channel
from quorate.core import CountingAttack, Fault, Roster, TallyProtocol, static
from quorate.core.property import ALWAYS
from quorate.errors import Refusal
from quorate.protocols import PROTOCOLS
from quorate.verify.exact import solve
from quorate.verify.splitting import split
from tests.verify.votes import SOME, TOGETHER, VOTE, vote

TRIALS = 200


class Toss(TallyProtocol):
    """Two nodes agree as soon as a coin shows heads; with tails R times they never do."""

    rounds: int = static(20)

    def propose(self, key, state, proposal):
        return proposal > 0, jnp.array(False)

    def send(self, ballot):
        return ballot[0]

    def hear(self, key, ballot, total, coin):
        heads = coin < jnp.uint32(2**31)
        return ballot[0] | heads, ballot[1] | heads

    def decide(self, ballot):
        return ballot[0].astype(jnp.int32), ()

    def settled(self, ballot):
        return ballot[1]


class WaitAndSplit(CountingAttack):
    """Holds all willing nodes of a vote up to the round before `until`, lets two of three pass it, and then pushes
    them over the final threshold."""

    until: int = static(5)

    def lies(self, key, state, tally):
        rank = jnp.cumsum(tally.sent) - 1
        return state, jnp.where((tally.round == self.until - 2) & (rank > 1), 0, 1)


class Held(Channel):
    def on_sums(self, key, state, seen, sums):
        return state, sums


def undecided(protocol, round_, ballots):
    """Until the coin shows heads."""
    return ~ballots[1][0]


def covered(intervals, true):
    """How many of the intervals hold the truth must be as likely as 19 of 20 allows: 0.1 % on both sides."""
    hits = sum(one.low <= true <= one.high for one in intervals)
    low, high = binom.ppf([0.001, 0.999], len(intervals), 0.95)
    return low <= hits <= high, hits


@pytest.mark.slow
@pytest.mark.parametrize("alive", [None, undecided])
def test_coverage_for_a_chance_of_one_in_a_million(alive):
    """Tails 20 times: 2^-20."""
    given = {"particles": 200, "repetitions": 10, "alive": alive}
    found = [
        split(Toss(), Roster(2, 0), TOGETHER, (1, 0), Fault(), seed=seed, **given).interval for seed in range(TRIALS)
    ]
    right, hits = covered(found, 2.0**-20)
    assert right, f"{hits} of {TRIALS}"
    assert abs(np.mean([one.middle for one in found]) * 2**20 - 1) < 0.05  # no bias


@pytest.mark.slow
def test_coverage_for_a_vote_that_ends_late():
    """The last round is geometric, 3 in 4 end it from round 2 on; the attack waits for round 9, which is the last with
    a chance of (1/4)^7 3/4, about 1 in 22 000."""
    protocol, law = vote(3, 1, 2, 11, "geometric:3/4")
    true, attack = float(law[8]), WaitAndSplit(until=9, extras=1)
    game = solve(protocol, Roster(4, 1), VOTE.values, VOTE.properties)
    assert 1e-5 < true < 1e-4 < float(game.worst(0)[3])
    given = {"particles": 200, "repetitions": 10}
    found = [
        split(protocol, Roster(4, 1), VOTE.properties[0], (1, 1, 1, 0), attack, seed=seed, **given).interval
        for seed in range(TRIALS)
    ]
    right, hits = covered(found, true)
    assert right, f"{hits} of {TRIALS}"


def test_what_cannot_happen_is_not_called_impossible():
    found = split(Toss(), Roster(2, 0), TOGETHER, (1, 1), Fault(), particles=20, repetitions=5)
    assert tuple(found.interval) == (0.0, 0.0, 1.0) and set(found.repetitions) == {0.0}


def test_what_is_certain_is_found():
    entry = PROTOCOLS["phase_king"]  # reads its mail one by one
    about = entry.properties[0]
    king = split(entry.make(n=4, t=1), Roster(4, 1), about, (1, 1, 0, 0), Fault(extras=1), particles=20, repetitions=5)
    assert king.interval.middle == 0
    always = TOGETHER._replace(kind=ALWAYS, holds=lambda p, f, counts: counts[..., 0] < 0)
    toss = split(Toss(rounds=2), Roster(2, 0), always, (1, 0), Fault(), particles=20, repetitions=5)
    assert tuple(toss.interval) == (1.0, 1.0, 1.0) and toss.alive == (1.0, 1.0)


def test_same_seed_same_estimate():
    found = [
        split(Toss(), Roster(2, 0), TOGETHER, (1, 0), Fault(), particles=200, repetitions=10, seed=s) for s in (5, 5, 6)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"particles": 1}, "particles is 1"),
        ({"repetitions": 1}, "repetitions is 1"),
        ({"level": 0.0}, "level is 0"),
        ({"about": SOME}, "sample it"),
        ({"fault": Held()}, "Held holds mail back"),
        ({"proposals": (1,)}, "there are 1 proposals; the roster has 2"),
        ({"fault": Fault(extras=3)}, "the fault has 3 talkers; the roster has 0"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    asked = {"about": TOGETHER, "proposals": (1, 0), "fault": Fault()} | given
    with pytest.raises(Refusal, match=words):
        split(Toss(), Roster(2, 0), **asked)
