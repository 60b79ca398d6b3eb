"""Phase king: full agreement without chance; in some phase the king is honest."""

from fractions import Fraction
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from quorate.arguments import Count
from quorate.core import Inbox, Key, Protocol, Registered, Roster, State, swept
from quorate.core.fields import at_least
from quorate.protocols.agreement import POSSIBLE, VALIDITY, agreement, fitting, too_few
from quorate.protocols.making import checking


class Ballot(NamedTuple):
    me: Int[Array, ""]
    vote: Bool[Array, ""]
    most: Bool[Array, ""]
    strong: Bool[Array, ""]
    round: Int[Array, ""]


class PhaseKing(Protocol):
    """One phase for each king, two rounds each: all vote, then the king says what it heard from most.

        round 1:  m_i = [2 heard_i > N],    strong_i = [the votes for m_i are more than N/2 + t]
        round 2:  x_i = m_i if strong_i, else m_king

    N is `members`, honest nodes and liars; t is `liars`; heard_i counts the yes in round 1, the node's own included;
    what is not heard is a no. `kings` are sender numbers. Only the king is listened to in round 2.

    Holds for N > 4t when a king is honest: a strong vote of any node means that more than N/2 honest nodes say so,
    hence m_king is the same and all are equal after that phase, whatever N is; equal they stay, as N - t > N/2 + t.
    Fails for N <= 4t: liars who are kings turn nodes that agreed.

    Shapes: `kings` [phases]; t + 1 different kings are enough. Cost: 2 rounds a phase, O(N K) each, on inboxes.

    Reference: Berman and Garay, Asymptotically Optimal Distributed Consensus (1989); Attiya and Welch, Distributed
    Computing (2004), Section 5.2.5. There the kings are the first t + 1 members; here they are named, and `make` lets
    every liar be king before an honest node is, so that agreement comes as late as it can. A variant with three rounds
    a phase needs N > 3t only.

    >>> make(n=5, t=1).kings.tolist(), make(n=5, t=1).rounds
    ([5, 0], 4)
    """

    members: Int[Array, ""] = swept(jnp.int32)
    liars: Int[Array, ""] = swept(jnp.int32)
    kings: Int[Array, " P"] = swept(jnp.int32)

    def __check_init__(self):
        at_least(1, members=self.members, phases=self.kings.shape[-1] if self.kings.ndim else 0)
        at_least(0, liars=self.liars, kings=self.kings)

    @property
    def rounds(self) -> int:
        return 2 * self.kings.shape[-1]

    def boot(self, key: Key, me: Int[Array, ""]) -> State:
        return me

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        no = jnp.array(False)
        return Ballot(jnp.asarray(state, jnp.int32), proposal > 0, no, no, jnp.int32(0))

    def send(self, ballot: Ballot) -> Bool[Array, ""]:
        return jnp.where(_voting(ballot), ballot.vote, ballot.most)

    def speaks(self, ballot: Ballot) -> Bool[Array, ""]:
        return _voting(ballot) | (ballot.me == self._king(ballot))

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        heard = jnp.sum(inbox.payload, dtype=jnp.int32)
        most = 2 * heard > self.members
        strong = 2 * jnp.where(most, heard, self.members - heard) > self.members + 2 * self.liars
        word = jnp.any(inbox.payload & (inbox.sender == self._king(ballot)))
        voting = _voting(ballot)
        return Ballot(
            ballot.me,
            jnp.where(voting, ballot.vote, jnp.where(ballot.strong, ballot.most, word)),
            jnp.where(voting, most, ballot.most),
            jnp.where(voting, strong, ballot.strong),
            ballot.round + 1,
        )

    def decide(self, ballot: Ballot) -> tuple[Int[Array, ""], State]:
        return ballot.vote.astype(jnp.int32), ballot.me

    def _king(self, ballot: Ballot) -> Int[Array, ""]:
        return self.kings[ballot.round // 2]


def _voting(ballot: Ballot) -> Bool[Array, ""]:
    return ballot.round % 2 == 0


def proved(protocol: PhaseKing, roster: Roster) -> Fraction:
    """0 where the protocol's N and t are the roster's, N > 4t and some king is honest."""
    kings = np.asarray(protocol.kings)
    crowned = bool(np.any((kings >= 0) & (kings < roster.honest)))
    return Fraction(0 if crowned and fitting(protocol, roster, 4) else 1)


def warnings(protocol: PhaseKing, roster: Roster) -> tuple[str, ...]:
    return too_few(roster, 4, "a phase king of two rounds")


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0, most=500)] = 1,
) -> PhaseKing:
    """The agreement of n honest nodes, numbers 0..n-1, against t liars, numbers n..n+t-1, who are kings first."""
    return PhaseKing(members=n + t, liars=t, kings=np.append(np.arange(n, n + t), 0))


PHASE_KING = Registered(
    make=make,
    example=make(n=5, t=1),
    about="agree in full without chance; kings take turns",
    properties=(agreement(), VALIDITY, POSSIBLE),
    method="exhaustive",
    bound=proved,
    warnings=warnings,
)
