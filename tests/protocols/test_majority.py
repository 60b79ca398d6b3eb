"""Majority: valid while honest nodes outnumber liars, and never sure to agree."""

import numpy as np

from quorate.core import Roster
from quorate.protocols.majority import MAJORITY, Majority, make
from tests.protocols import plays


def coins(rounds):
    return np.zeros((1, rounds), np.uint32)


def twin(protocol, proposals, lies, coins):
    bits = [int(x > 0) for x in proposals]
    for told in lies:
        bits = [int(sum(bits) + sum(to_me) > int(protocol.members) / 2) for to_me in told]
    return bits


def test_it_is_its_twin():
    plays.check_twin(lambda n, t: make(n=n, t=t, rounds=2), twin, [(3, 1), (4, 2)])


def test_every_play_of_three_nodes_and_a_liar():
    """Of N = 4 members more than 2 must say yes: with two honest yes the liar chooses for each node; other starts are
    safe in one round. 3 starts x (8 - 2) mixed outcomes."""
    roster, promises = Roster(3, 1), MAJORITY.properties[:2]
    assert plays.count(promises, make(n=3, t=1), roster, coins(1)) == (2**3 * 2**3, [18, 0])
    # a second round: 3 of 8 first rounds leave two yes, and then 6 of 8 lies differ; the others end alike
    assert plays.count(promises, make(n=3, t=1, rounds=2), roster, coins(2)) == (2**3 * 2**6, [3 * 3 * 6, 0])


def test_without_liars_and_with_too_many():
    roster, promises = Roster(4, 0), MAJORITY.properties[:2]
    assert plays.count(promises, make(n=4, t=0), roster, coins(1)) == (16, [0, 0])
    # as many liars as honest nodes silence two who agree: all lies but those that help both
    assert plays.count(promises, make(n=2, t=2), Roster(2, 2), coins(1))[1][1] == 16 - 9


class AtLeastHalf(Majority):
    def hear(self, key, ballot, total, coin):
        return 2 * total >= self.members


class SilenceForgotten(Majority):
    """Takes those who say something for all."""

    def hear(self, key, ballot, total, coin):
        return total > 0


class OwnMind(Majority):
    def hear(self, key, ballot, total, coin):
        return ballot


def test_seeded_bugs_are_seen():
    roster, promises = Roster(3, 1), MAJORITY.properties[:2]
    assert plays.count(promises, SilenceForgotten(members=4), roster, coins(1))[1][1] == 7  # the liar wakes somebody
    assert plays.count(promises[:1], OwnMind(members=4), Roster(3, 0), coins(1))[1] == [6]
    # a tie decides yes: two liars can force it upon two who say no
    assert plays.count(promises, AtLeastHalf(members=4), Roster(2, 2), coins(1))[1][1] == 7


def test_all_can_decide_yes():
    decisions = plays.outcomes(make(n=3, t=1), np.ones(3, np.int32), np.zeros((1, 1, 3, 1), bool), coins(1)[0])
    assert not plays.broken(MAJORITY.properties[2], make(n=3), Roster(3, 1), np.ones(3, np.int32), decisions).any()
