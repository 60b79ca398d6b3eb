"""Push-sum gossip: everybody learns the average, telling half of what it has to one neighbour a round."""

from fractions import Fraction
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from quorate.arguments import Count
from quorate.core import Inbox, Key, Neighbours, Property, Protocol, Registered, Roster, State, static, swept
from quorate.core.fields import at_least
from quorate.core.property import EVENTUALLY
from quorate.errors import Refusal
from quorate.protocols.making import checking

MOST_ROUNDS = 120  # a weight is halved each round at worst, and float32 has no normal number below 2^-126
BINS, TOLERANCE = 64, 4
MEASURED = 64  # members up to which the chance of a large error was measured


class Push(NamedTuple):
    """A message: half of what its sender has, for the neighbour `to` only."""

    sum: Float[Array, ""]
    weight: Float[Array, ""]
    to: Int[Array, ""]


class Ballot(NamedTuple):
    me: Int[Array, ""]
    push: Push


class PushSum(Protocol):
    """Each node keeps half of its sum and weight and pushes the other half to one neighbour, chosen at random.

        s_i <- s_i / 2 + sum over j who chose i of s_j / 2,    w_i likewise,    decision_i = s_i / w_i

    s_i starts as the proposal, w_i as 1. Mail goes to all neighbours; who is not meant throws it away, so `neighbours`
    must be the topology, and who hears whom must be mutual (`over` sees to both). Own number among the neighbours: a
    node may choose itself.

    Holds: sums and weights are conserved where no message is lost, exactly for whole proposals if N and the sum of
    their absolute values are below 2^(24 - rounds). If all hear all, itself included, the mean square of s_i - mean w_i
    falls in expectation to 1/2 - 1/(4 N) of itself a round. Fails: a lost message takes its mass along and moves the
    average for good; one liar sets any value.

    Shapes: `neighbours` [N, K], `degree` [N]: the first degree_i of row i are real. Cost: O(N K) a round, N of the
    messages meant for somebody; O(log N + log 1/error) rounds if all hear all.

    Reference: Kempe, Dobra and Gehrke, Gossip-Based Computation of Aggregate Information (2003), Section 2.

    >>> protocol = make(n=4, t=0)
    >>> protocol.rounds, protocol.neighbours.shape
    (18, (4, 4))
    """

    neighbours: Int[Array, "N K"] = swept(jnp.int32)
    degree: Int[Array, " N"] = swept(jnp.int32)
    rounds: int = static()

    def __check_init__(self):
        at_least(1, rounds=self.rounds, degree=self.degree)
        at_least(0, neighbours=self.neighbours)
        if self.rounds > MOST_ROUNDS:
            raise Refusal(f"rounds is {self.rounds}; push-sum takes 1 to {MOST_ROUNDS}, then a weight may vanish")

    def boot(self, key: Key, me: Int[Array, ""]) -> State:
        return jnp.asarray(me, jnp.int32)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        return self._halved(key, state, proposal.astype(jnp.float32), jnp.float32(1))

    def send(self, ballot: Ballot) -> Push:
        return ballot.push

    def receive(self, key: Key, ballot: Ballot, inbox: Inbox) -> Ballot:
        mine = inbox.heard & (inbox.payload.to == ballot.me)
        s, w = (
            kept + jnp.sum(jnp.where(mine, come, 0))
            for kept, come in zip(ballot.push[:2], inbox.payload[:2], strict=True)
        )
        return self._halved(key, ballot.me, s, w)

    def decide(self, ballot: Ballot) -> tuple[Float[Array, ""], State]:
        return ballot.push.sum / ballot.push.weight, ballot.me

    def _halved(self, key: Key, me: Int[Array, ""], s: Float[Array, ""], w: Float[Array, ""]) -> Ballot:
        pick = jax.random.randint(key, (), 0, self.degree[me])
        return Ballot(me, Push(s / 2, w / 2, self.neighbours[me, pick]))


def over(links: Neighbours, rounds: int) -> PushSum:
    """Push-sum on a topology, which is then given to the scenario too.

    Errors: `Refusal` where who hears whom is not mutual, a node has no neighbour or one twice, or padding stands before
    a neighbour.
    """
    index, real = np.asarray(links.index), np.asarray(links.real)
    n, degree = len(index), real.sum(1)
    if np.any(degree == 0):
        raise Refusal(f"node {int(np.argmin(degree))} has no neighbour; push-sum needs one for each")
    if np.any(real != (np.arange(real.shape[1])[None, :] < degree[:, None])):
        raise Refusal("padding stands before a neighbour; put the real neighbours of a row first")
    node = np.repeat(np.arange(n), degree)
    there = np.unique(node * n + index[real])
    alone = np.setdiff1d(there, np.unique(index[real] * n + node))
    if alone.size:
        raise Refusal(f"node {alone[0] // n} hears node {alone[0] % n} and is not heard by it; mass would be lost")
    if len(there) < len(node):
        raise Refusal("a node has a neighbour twice; a message would count twice")
    return PushSum(neighbours=index, degree=degree, rounds=rounds)


# ----------------------------------------------------------------------------------------------------- its promises


def estimated(protocol: PushSum, proposal: Array, decision: Array) -> Array:
    """What it proposed, 0 or 1, and its estimate to the nearest of 65 marks from 0 to 1; a last one for what is
    outside."""
    near = jnp.round(decision * BINS)
    inside = (near >= 0) & (near <= BINS)
    return jnp.where(inside, near, BINS + 1).astype(jnp.int32) + (BINS + 2) * (proposal > 0)


def _near(protocol: PushSum, roster: Roster, counts: np.ndarray) -> np.ndarray:
    by_proposal = counts.reshape(*counts.shape[:-1], 2, BINS + 2)
    ones, estimates = by_proposal[..., 1, :].sum(-1), by_proposal.sum(-2)
    share = ones / np.maximum(estimates.sum(-1), 1) * BINS
    far = np.abs(np.arange(BINS + 2) - share[..., None]) > TOLERANCE
    return ~np.any((far | (np.arange(BINS + 2) > BINS)) & (estimates > 0), -1)


def usual(members: int) -> int:
    """3 ceil(log2 N) + 12 rounds."""
    return 3 * (members - 1).bit_length() + 12


def promised(protocol: PushSum, roster: Roster) -> Fraction:
    """1/100 where all hear all for at least the usual rounds and N <= 64: measured below 1/1000 there. Else 1, which is
    no promise."""
    members = roster.honest + roster.liars
    everybody = int(np.min(np.asarray(protocol.degree))) >= members
    measured = everybody and members <= MEASURED and protocol.rounds >= usual(members)
    return Fraction(1, 100) if measured else Fraction(1)


NEAR = Property(
    kind=EVENTUALLY,
    words=lambda protocol, roster: (
        f"estimates end within {TOLERANCE}/{BINS} of the share of ones, to the nearest 1/{BINS}"
    ),
    marks=2 * (BINS + 2),
    mark=estimated,
    holds=_near,
    at_most=promised,
)


def warnings(protocol: PushSum, roster: Roster) -> tuple[str, ...]:
    lines = ("push-sum promises nothing against liars: one of them sets any average",) if roster.liars else ()
    if promised(protocol, roster) < 1:
        return lines
    return (*lines, f"nothing is promised: errors were measured for up to {MEASURED} members and the usual rounds only")


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes", most=10_000)],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0, most=10_000)] = 0,
    rounds: Annotated[int, Count("rounds; 3 log2(n + t) + 12 unless told", most=MOST_ROUNDS)] = None,
) -> PushSum:
    """The gossip of n honest nodes, any of which may choose any member, itself and liars included."""
    members = n + t
    rounds = usual(members) if rounds is None else rounds
    neighbours = np.broadcast_to(np.arange(members), (n, members))
    return PushSum(neighbours=neighbours, degree=np.full(n, members), rounds=rounds)


PUSH_SUM = Registered(
    make=make,
    example=make(n=5, t=0, rounds=4),
    about="learn the average of all; a liar moves it at will",
    properties=(NEAR,),
    method="sampled",
    warnings=warnings,
    settings=lambda protocol, asked: asked | {"rounds": protocol.rounds},
)
