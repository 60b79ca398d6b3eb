"""One round is too little, whatever the threshold."""

import itertools

import numpy as np
import pytest

from quorate.core import Roster
from quorate.errors import Refusal
from quorate.protocols.single_round_vote import SINGLE_ROUND, SingleRoundVote, make
from tests.protocols import plays

NO_COIN = np.zeros((1, 1), np.uint32)


def twin(protocol, proposals, lies, coins):
    heard = [sum(proposals) + sum(told) for told in lies[0]]
    return [int(x > 0 and h >= int(protocol.threshold)) for x, h in zip(proposals, heard, strict=True)]


def test_it_is_its_twin():
    plays.check_twin(lambda n, t: make(n=n, t=t, k=2, threshold=2), twin, [(3, 1), (4, 2)])


@pytest.mark.parametrize(("threshold", "start"), [(3, 2), (4, 3)])
def test_four_nodes_three_of_them_enough(threshold, start):
    """IBGP, Section 3.2: a threshold of k fails with two willing nodes, one of k + t with three."""
    protocol, roster = make(n=4, t=1, k=3, threshold=threshold), Roster(4, 1)
    assert int(make(n=4, t=1, k=3).threshold) == 4
    tried, breaches = plays.count(SINGLE_ROUND.properties[:2], protocol, roster, NO_COIN)
    # of 6 starts with two willing nodes 3 of 4 lies to these wake one or both; of 4 starts with three 6 of 8 wake
    # one or two, and three are enough; lies to unwilling nodes change nothing
    assert tried == 2**4 * 2**4
    assert breaches == [{2: 6 * 3 * 2**2, 3: 4 * 6 * 2}[start], 0]


def test_no_threshold_has_both_promises():
    """All n <= 4, t <= 2, 2 <= k <= n, thresholds up to n + t + 1, all lies: safe only where nobody can act."""
    safe, tried = [], 0
    for n, t in itertools.product((2, 3, 4), (1, 2)):
        for k, threshold in itertools.product(range(2, n + 1), range(1, n + t + 2)):
            protocol, roster = SingleRoundVote(threshold=threshold, enough=k), Roster(n, t)
            starts = np.tril(np.ones((n + 1, n), np.int32), -1)
            breaches = plays.count(SINGLE_ROUND.properties[:1], protocol, roster, NO_COIN, starts)[1]
            tried += 1
            if not breaches[0]:
                safe.append((n, t, k, threshold))
    assert tried == 70
    assert safe == [(n, t, k, n + t + 1) for n, t in itertools.product((2, 3, 4), (1, 2)) for k in range(2, n + 1)]
    possible = SINGLE_ROUND.properties[2]
    silent = np.zeros((1, 1, 4, 1), bool)
    for threshold, can in ((4, True), (6, False)):
        protocol = SingleRoundVote(threshold=threshold, enough=3)
        decisions = plays.outcomes(protocol, np.ones(4, np.int32), silent, NO_COIN[0])
        assert plays.broken(possible, protocol, Roster(4, 1), np.ones(4, np.int32), decisions)[0] != can


class Unwilling(SingleRoundVote):
    """Asks not whether the node is willing itself."""

    def hear(self, key, ballot, total, coin):
        return ballot._replace(acts=total >= self.threshold)


class Deaf(SingleRoundVote):
    def hear(self, key, ballot, total, coin):
        return ballot._replace(acts=ballot.willing & (total >= self.threshold + 1))


def test_seeded_bugs_are_seen():
    """Without liars the right vote at its threshold keeps both promises; the wrong ones do not."""
    roster, promises = Roster(4, 0), SINGLE_ROUND.properties[:2]
    assert plays.count(promises, SingleRoundVote(threshold=3, enough=3), roster, NO_COIN) == (16, [0, 0])
    assert plays.count(promises, Unwilling(threshold=3, enough=3), roster, NO_COIN) == (16, [4, 0])
    assert plays.count(promises, Deaf(threshold=3, enough=3), roster, NO_COIN) == (16, [0, 4])


def test_one_round_is_all_there_is():
    assert make(n=4).rounds == 1
    with pytest.raises(TypeError):
        SingleRoundVote(threshold=4, enough=3, rounds=2)


def test_more_than_all_is_refused():
    with pytest.raises(Refusal, match="--k is 5; it can be at most --n, which is 4"):
        make(n=4, k=5)
