"""The hidden-stop vote: its law, its naive twin, and every play of four nodes and a liar."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import Roster
from quorate.errors import Refusal
from quorate.protocols.hidden_stop_vote import (
    FIXED,
    HIDDEN,
    HiddenStopVote,
    last_round,
    law_of,
    make,
    make_fixed,
    stops,
)
from tests.proof import later
from tests.protocols import plays

FLEET = Roster(4, 1)
STARTS = np.tril(np.ones((5, 4), np.int32), -1)  # 0..4 willing nodes; nodes are alike


def twin(protocol, proposals, lies, coins):
    """IBGP, Section 4.1, message by message in plain numbers."""
    k, margins = int(protocol.threshold), np.broadcast_to(protocol.margin, len(proposals)).tolist()
    willing = [x > 0 for x in proposals]
    for r, told in enumerate(lies):
        heard = [sum(willing) + sum(told[i]) for i in range(len(willing))]
        last = coins[r] < int(protocol.stops[r]) or r == len(lies) - 1
        willing = [w and heard[i] >= k + (0 if last else margins[i]) for i, w in enumerate(willing)]
        if last:
            break
    return [int(w) for w in willing]


def test_it_is_its_twin():
    plays.check_twin(lambda n, t: make(n=n, t=t, k=2, max_rounds=4), twin, [(3, 1), (4, 2)])
    plays.check_twin(lambda n, t: make(n=n, t=t, k=2, margin=(0, 1, 2)[:n], max_rounds=3), twin, [(3, 1)])


SCALE = 12  # of the chances in this file all are twelfths


def share_of(law, end):
    assert (law[end] * SCALE).denominator == 1
    return int(law[end] * SCALE)


def worst(protocol, law):
    """(plays, the largest chance of each promise's breach by the number of willing nodes) over all lies: until a round
    is the last the honest nodes toss nothing, so lies written down beforehand are as good as lies that adapt."""
    lies, chances = plays.every_lie(protocol.rounds, *FLEET), []
    ends = [r for r, share in enumerate(law) if share]
    for proposals in STARTS:
        row = []
        for promise in HIDDEN.properties[:2]:
            broken = []
            for end in ends:
                coins = np.array([plays.TAILS if r == end else plays.HEADS for r in range(len(law))], np.uint32)
                broken.append(
                    plays.broken(promise, protocol, FLEET, proposals, plays.outcomes(protocol, proposals, lies, coins))
                )
            lost = sum(share_of(law, end) * hit for end, hit in zip(ends, np.array(broken, np.int64), strict=True))
            row.append(Fraction(int(np.max(lost)), SCALE))
        chances.append(tuple(row))
    return len(lies) * len(ends) * len(STARTS), chances


@pytest.mark.parametrize("law", [last_round("uniform", 2, 4), last_round("1/2,1/4,1/4", 2, 4)], ids=["uniform", "own"])
def test_every_play_of_four_nodes_and_a_liar(law):
    """3 x 2^16 plays a start. Only with k = 3 willing nodes can liars hope, for the likeliest last round (IBGP,
    Theorem 3, reached); four willing nodes always act."""
    protocol = HiddenStopVote(threshold=3, margin=1, stops=stops(law))
    tried, chances = worst(protocol, law)
    assert tried == 5 * 3 * 2**16
    assert chances == [(0, 0), (0, 0), (0, 0), (max(law), 0), (0, 0)]


class KeepsNoNo(HiddenStopVote):
    """Forgets that who was unwilling stays so."""

    def hear(self, key, ballot, total, coin):
        return super().hear(key, ballot._replace(willing=ballot.willing | ~ballot.over), total, coin)


class OwnVoteTwice(HiddenStopVote):
    def hear(self, key, ballot, total, coin):
        return super().hear(key, ballot, total + self.send(ballot), coin)


class NoMargin(HiddenStopVote):
    def hear(self, key, ballot, total, coin):
        return HiddenStopVote.hear(dataclasses.replace(self, margin=0), key, ballot, total, coin)


class LargerMargin(HiddenStopVote):
    """Asks for one vote too many while the end is hidden."""

    def hear(self, key, ballot, total, coin):
        return HiddenStopVote.hear(dataclasses.replace(self, margin=self.margin + 1), key, ballot, total, coin)


@pytest.mark.parametrize("bug", [OwnVoteTwice, *later(KeepsNoNo, NoMargin, LargerMargin)])
def test_a_seeded_bug_is_seen(bug):
    law = last_round("uniform", 2, 3)
    _, right = worst(HiddenStopVote(threshold=3, margin=1, stops=stops(law)), law)
    _, chances = worst(bug(threshold=3, margin=1, stops=stops(law)), law)
    assert max(right)[0] == Fraction(1, 2)
    assert max(unsafe for unsafe, _ in chances) == 1 or max(stuck for _, stuck in chances) == 1


def test_a_known_end_misfires_always():
    protocol = make_fixed(n=4, t=1, k=3, rounds=3)
    _, chances = worst(protocol, law_of(protocol))
    assert [unsafe for unsafe, _ in chances] == [0, 0, 0, 1, 0]
    assert FIXED.properties[0].at_most(protocol, FLEET) == 0


@given(st.integers(1, 6), st.integers(0, 20), st.sampled_from(["uniform", "geometric:1/3", "geometric:0.25"]))
def test_the_law_survives_its_words(least, more, kind):
    law = last_round(kind, least, least + more)
    assert sum(law) == 1
    assert len(law) == least + more
    back = law_of(HiddenStopVote(threshold=1, margin=0, stops=stops(law)))
    assert all(abs(a - b) <= Fraction(1, 2**30) for a, b in zip(back, law, strict=True))
    if kind == "uniform":
        assert tuple(back) == law


def test_the_promises_in_numbers():
    protocol = make(n=4, t=1, k=3, max_rounds=5)
    safety, liveness, possible = HIDDEN.properties[:3]
    assert safety.at_most(protocol, FLEET) == HIDDEN.bound(protocol, FLEET) == Fraction(1, 4)
    assert HIDDEN.bound(make(n=4, t=1, k=3, margin=0), FLEET) == 1
    assert HIDDEN.bound(make(n=4, t=1, k=3, margin=(1, 1, 1, 0)), FLEET) == 1
    counts = np.array([[4, 0, 0], [2, 2, 0], [1, 3, 0], [0, 3, 1], [3, 0, 1]])
    assert safety.holds(protocol, FLEET, counts).tolist() == [True, False, True, False, False]
    assert liveness.when(protocol, FLEET, np.array([[1, 3], [0, 4]])).tolist() == [False, True]
    assert possible.holds(protocol, FLEET, counts).tolist() == [False, False, True, True, False]
    assert [safety.mark(protocol, x, a).item() for x, a in [(1, 0), (1, 1), (0, 1), (0, 0)]] == [0, 1, 2, 0]
    assert not HIDDEN.warnings(protocol, FLEET)
    assert "--min-rounds 2" in HIDDEN.warnings(make(n=4, min_rounds=1), FLEET)[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(n=4, k=5), "--k is 5; it can be at most --n, which is 4"),
        (dict(n=4, margin=(1, 1)), "--margin has 2 numbers; it takes one, or one for each of the 4 nodes"),
        (dict(n=4, min_rounds=5, max_rounds=3), "--min-rounds is 5; it can be at most --max-rounds, which is 3"),
        (dict(n=4, law="unifrom"), "--law is unifrom; it can be uniform, geometric:0.3, or chances"),
        (dict(n=4, law="geometric:2"), "--law is geometric:2; the chance of a stop must lie between 0 and 1"),
        (dict(n=4, law="1/2,1/2"), "--law has 2 chances; it must have one for each of the 9 rounds 2..10"),
        (dict(n=4, law="1/2,1/4", max_rounds=3), "chances are at least 0 and add up to 1, these to 3/4"),
        (dict(n=4, law="1/2,x", max_rounds=3), "is no number such as 0.25 or 1/4"),
    ],
)
def test_what_cannot_be_is_refused(given, said):
    with pytest.raises(Refusal, match=said):
        make(**given)
