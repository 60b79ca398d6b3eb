"""Phase king: a million plays of four nodes and a liar king, and what breaks it."""

import jax.numpy as jnp
import numpy as np
import pytest

from quorate.core import Roster
from quorate.protocols.phase_king import PHASE_KING, PhaseKing, make
from tests.protocols import plays

PROMISES = PHASE_KING.properties[:2]


def coins(protocol):
    return np.zeros((1, protocol.rounds), np.uint32)


def twin(protocol, proposals, lies, coins):
    """Attiya and Welch, Section 5.2.5, with lists of messages."""
    n, members, liars = len(proposals), int(protocol.members), int(protocol.liars)
    votes = [int(x > 0) for x in proposals]
    for phase, king in enumerate(np.asarray(protocol.kings).tolist()):
        mail = [votes + [int(lie) for lie in told] for told in lies[2 * phase]]
        most = [int(sum(box) > members / 2) for box in mail]
        times = [sum(box) if m else members - sum(box) for box, m in zip(mail, most, strict=True)]
        words = [most[king] if king < n else int(lies[2 * phase + 1][i][king - n]) for i in range(n)]
        votes = [most[i] if times[i] > members / 2 + liars else words[i] for i in range(n)]
    return votes


def test_it_is_its_twin():
    plays.check_twin(lambda n, t: make(n=n, t=t), twin, [(4, 1), (3, 1), (7, 2)])
    plays.check_twin(lambda n, t: PhaseKing(members=n + t, liars=t, kings=[2, n]), twin, [(4, 1)])


def test_every_play_of_four_nodes_and_a_liar():
    """All 2^16 lies of four rounds from all 16 starts."""
    protocol, roster = make(n=4, t=1), Roster(4, 1)
    assert plays.count(PROMISES, protocol, roster, coins(protocol)) == (2**20, [0, 0])
    assert PHASE_KING.bound(protocol, roster) == 0
    assert not PHASE_KING.warnings(protocol, roster)


def test_four_members_are_too_few():
    """N = 4t. A strong vote needs all four, so the liar makes each node weak and then, as king, turns it: a quarter of
    the lies of a phase for each node. Of 64 lies 27, 9, 1 turn one, two, all three. Three who said yes end with no if
    one was turned and the next king is told no, or more were; three who said no end with yes if two were turned and the
    next king is told yes, or all were."""
    protocol, roster = make(n=3, t=1), Roster(3, 1)
    moved = 2**6 * (27 + 2 * 9 + 2 * 1) // 2 + 2**6 * (9 + 2 * 1) // 2
    assert plays.count(PROMISES, protocol, roster, coins(protocol)) == (2**15, [0, moved])
    last = PhaseKing(members=4, liars=1, kings=[0, 3])
    assert plays.count(PROMISES, last, roster, coins(last))[1][0] > 0  # a liar undoes what the honest king did
    assert PHASE_KING.bound(protocol, roster) == 1
    assert PHASE_KING.warnings(protocol, roster)[0].endswith("proved from 5 members on, that is --n 4")


def test_honest_kings_only_and_liar_kings_only():
    roster = Roster(4, 1)
    honest = PhaseKing(members=5, liars=1, kings=[3])
    assert plays.count(PROMISES, honest, roster, coins(honest)) == (2**12, [0, 0])
    lying = PhaseKing(members=5, liars=1, kings=[4])
    tried, (differ, moved) = plays.count(PROMISES, lying, roster, coins(lying))
    assert (tried, moved) == (2**12, 0)
    assert differ > 0
    assert PHASE_KING.bound(lying, roster) == 1
    assert PHASE_KING.bound(honest, roster) == 0


def test_nobody_is_king_minus_one(monkeypatch):
    """Such a king cannot be made; if it were, nothing would be proved."""
    monkeypatch.setattr(PhaseKing, "__check_init__", lambda self: None)
    assert PHASE_KING.bound(PhaseKing(members=5, liars=1, kings=[-1]), Roster(4, 1)) == 1


class WeakIsEnough(PhaseKing):
    """Keeps what more than half say."""

    def receive(self, key, ballot, inbox):
        heard = jnp.sum(inbox.payload, dtype=jnp.int32)
        after = super().receive(key, ballot, inbox)
        strong = 2 * jnp.maximum(heard, self.members - heard) > self.members
        return after._replace(strong=jnp.where(ballot.round % 2 == 0, strong, after.strong))


class EverybodyIsKing(PhaseKing):
    """Believes any word of the second round, as no king were named."""

    def receive(self, key, ballot, inbox):
        after = super().receive(key, ballot, inbox)
        vote = jnp.where(ballot.strong, ballot.most, jnp.any(inbox.payload))
        return after._replace(vote=jnp.where(ballot.round % 2 == 0, after.vote, vote))


class KingFirst(PhaseKing):
    """Follows the king even where the vote was strong."""

    def receive(self, key, ballot, inbox):
        weak = ballot._replace(strong=jnp.where(ballot.round % 2 == 1, False, ballot.strong))
        return super().receive(key, weak, inbox)


@pytest.mark.parametrize("bug", [WeakIsEnough, EverybodyIsKing, KingFirst])
def test_a_seeded_bug_is_seen(bug):
    protocol = bug(members=5, liars=1, kings=[0, 4])
    starts = np.array([[0, 0, 1, 1], [0, 0, 0, 0]], np.int32)
    right = PhaseKing(members=5, liars=1, kings=[0, 4])
    assert plays.count(PROMISES, right, Roster(4, 1), coins(right), starts)[1] == [0, 0]
    assert sum(plays.count(PROMISES, protocol, Roster(4, 1), coins(protocol), starts)[1]) > 0


def test_only_the_king_speaks_in_the_second_round():
    protocol = make(n=4, t=1)
    ballot = protocol.propose(None, jnp.int32(0), jnp.int32(1))
    assert [bool(protocol.speaks(ballot._replace(round=jnp.int32(r)))) for r in range(4)] == [True, False, True, True]
    assert not protocol.speaks(ballot._replace(round=jnp.int32(3), me=jnp.int32(1)))


def test_all_can_decide_yes():
    protocol, yes = make(n=4, t=1), np.ones(4, np.int32)
    decisions = plays.outcomes(protocol, yes, np.zeros((1, 4, 4, 1), bool), coins(protocol)[0])
    assert not plays.broken(PHASE_KING.properties[2], protocol, Roster(4, 1), yes, decisions).any()
