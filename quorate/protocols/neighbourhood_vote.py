"""Neighbourhood vote: take over a new value once more members of one neighbourhood say so than can lie; then ask the
next neighbourhood."""

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, UInt32
from scipy.sparse import csr_matrix

from quorate.arguments import Count
from quorate.core import (
    Inbox,
    Key,
    Neighbours,
    Property,
    Protocol,
    Registered,
    Roster,
    State,
    TallyProtocol,
    static,
    swept,
)
from quorate.core.fields import at_least
from quorate.core.property import ALWAYS, EVENTUALLY, SOMETIMES
from quorate.errors import Refusal
from quorate.protocols.agreement import all_yes, decided
from quorate.protocols.making import checking

NOTHING = 0  # a value that stands for none: nothing seen, nothing said, nothing believed


class Ballot(NamedTuple):
    willing: Bool[Array, ""]
    acts: Bool[Array, ""]
    round: Int[Array, ""]


class NeighbourhoodVote(TallyProtocol):
    """One vote on one value in one neighbourhood, whose members all hear each other.

        w_1 = x and [heard_1 >= margin + 1],    act = w_1 or [heard_2 >= margin + 1]

    x is the proposal: whether the node holds the value for true. heard_r is the number of yes in round r, the node's
    own included. To act is to believe the value.

    It is the hidden-stop vote with k = 1, where one acting node is enough: nothing can be split, so the end need not be
    hidden and two rounds do. New is that bystanders, who were not willing, act as well.

    Holds: with margin >= t liars nobody acts unless an honest node was willing, and if margin + 1 were, all act. Fails:
    with margin < t liars alone convince everybody; with fewer than margin + 1 willing nodes liars choose who is
    convinced, of something true.

    Cost: O(N) a round by tally, two rounds. Reference: IBGP, Sections 4.1 and 5.2; the rule for bystanders is ours, the
    paper leaves it open.

    >>> vote = NeighbourhoodVote(margin=1)
    >>> bystander = vote.propose(None, (), jnp.int32(0))._replace(round=jnp.int32(1))
    >>> [bool(vote.hear(None, bystander, jnp.int32(heard), None).acts) for heard in (1, 2)]
    [False, True]
    """

    margin: Int[Array, ""] = swept(jnp.int32)

    @property
    def rounds(self) -> int:
        return 2

    def __check_init__(self):
        at_least(0, margin=self.margin)

    def propose(self, key: Key, state: State, proposal: PyTree) -> Ballot:
        return Ballot(proposal > 0, jnp.array(False), jnp.int32(0))

    def send(self, ballot: Ballot) -> Bool[Array, ""]:
        return ballot.willing

    def hear(self, key: Key, ballot: Ballot, total: Int[Array, ""], coin: UInt32[Array, ""]) -> Ballot:
        enough = total > self.margin
        last = ballot.round == 1
        willing = ballot.willing & (enough | last)
        return Ballot(willing, last & (willing | enough), jnp.minimum(ballot.round + 1, 1))

    def decide(self, ballot: Ballot) -> tuple[Int[Array, ""], State]:
        return ballot.acts.astype(jnp.int32), ()


# ------------------------------------------------------------------------------ from neighbourhood to neighbourhood


class Known(NamedTuple):
    """What a node keeps from step to step: its belief, and its neighbourhoods among those it hears."""

    belief: Int[Array, ""]
    circles: Bool[Array, "P K"] | None


class Spreading(NamedTuple):
    known: Known
    value: Int[Array, ""]  # what it stands for in this step; NOTHING: a bystander
    fresh: Bool[Array, ""]  # it has its value since the last vote and calls the next one
    vote: Ballot
    phase: Int[Array, ""]  # 0 call, 1 and 2 the two rounds of the vote


class Spread(Protocol):
    """A new value passes from neighbourhood to neighbourhood by votes, each node changing at most once a step.

    A wave has three rounds. First whoever holds a new value calls: it tells the value, which opens a vote on it in
    every neighbourhood it belongs to. Then all who hold the same value and heard a call vote in the two rounds of
    `vote`. A bystander that hears more than `vote.margin` votes for a value within one of its neighbourhoods believes
    it, and calls in the next wave. The proposal is what the node sees, NOTHING where it sees nothing; seeing what it
    believes already is no news, but supports the calls of others. The decision is the belief.

    circles   [N, P, K]: which of the K nodes that node i hears are members of its p-th neighbourhood, as
              `neighbourhoods` makes them; None: everybody it hears is one neighbourhood
    waves     a few more than the diameter of the graph reach everybody

    Holds: with at most `margin` liars in each neighbourhood nobody believes what no honest node has seen in this step.
    All are reached where each next neighbourhood has margin + 1 honest members who know; that the graph is connected is
    not enough (see the recipe `sensor_network`). Fails: where margin + 1 liars share a neighbourhood.

    Shapes: proposal, message and decision are i32, from 1 on. Cost: 3 rounds a wave, of O(N P K^2); a node speaks in
    at most three rounds of its own wave and two of each wave that calls for its value, otherwise it is silent.

    Reference: IBGP, Section 5.2 and Theorem 8. There scope and value of a vote are agreed beforehand by a protocol for
    Byzantine generals. Here a vote's neighbourhood is common knowledge and its value is what each was told: liars may
    also call, and tell each another value, which is more than the paper allows them. As differences, a vote counts in
    every neighbourhood, also in one whose centre did not call, and a node that is only confirmed calls as well.

    >>> spread = Spread(vote=NeighbourhoodVote(margin=1), waves=4)
    >>> spread.rounds
    12
    """

    vote: NeighbourhoodVote
    circles: Bool[Array, "N P K"] | None = None
    waves: int = static(1)

    def __check_init__(self):
        at_least(1, waves=self.waves)

    @property
    def rounds(self) -> int:
        return 3 * self.waves

    def boot(self, key: Key, me: Int[Array, ""]) -> Known:
        return Known(jnp.int32(NOTHING), None if self.circles is None else self.circles[me])

    def propose(self, key: Key, state: Known, proposal: Int[Array, ""]) -> Spreading:
        sees = proposal != NOTHING
        fresh = sees & (proposal != state.belief)
        belief = jnp.where(sees, proposal, state.belief)
        idle = self.vote.propose(key, (), jnp.int32(0))
        return Spreading(state._replace(belief=belief), proposal, fresh, idle, jnp.int32(0))

    def speaks(self, ballot: Spreading) -> Bool[Array, ""]:
        return jnp.where(ballot.phase == 0, ballot.fresh, self.vote.send(ballot.vote))

    def send(self, ballot: Spreading) -> Int[Array, ""]:
        return jnp.where(self.speaks(ballot), ballot.value, NOTHING)

    def receive(self, key: Key, ballot: Spreading, inbox: Inbox) -> Spreading:
        said = jnp.where(inbox.heard, inbox.payload, NOTHING)
        circles = ballot.known.circles
        circles = jnp.ones((1, said.shape[0]), bool) if circles is None else circles
        alike = (said[:, None] == said[None, :]) & (said != NOTHING)[None, :]
        # For the value in each slot. Written out: small products of matrices are slower than this sum.
        counts = jnp.sum(circles[:, :, None] & alike[None], axis=1, dtype=jnp.int32)  # [P, K]
        votes = jnp.max(counts, axis=0)
        mine = (said == ballot.value) & (ballot.value != NOTHING)
        support = jnp.max(jnp.sum(circles & mine[None, :], axis=1, dtype=jnp.int32))

        called = self.vote.propose(key, (), jnp.any(mine))
        relayed = self.vote.hear(key, ballot.vote, support, inbox.coin)
        passed = self.vote.hear(key, relayed._replace(willing=jnp.array(False)), votes, inbox.coin).acts
        most = jnp.max(jnp.where(passed, votes, 0))
        winner = jnp.min(jnp.where(passed & (votes == most), said, jnp.iinfo(jnp.int32).max))
        over = ballot.phase == 2
        adopts = over & (ballot.value == NOTHING) & (most > 0)

        value = jnp.where(adopts, winner, ballot.value)
        belief = jnp.where(adopts, winner, ballot.known.belief)
        willing = jnp.where(ballot.phase == 0, called.willing, relayed.willing & ~over)
        turn = jnp.where(ballot.phase == 1, 1, 0).astype(jnp.int32)
        vote = Ballot(willing, jnp.array(False), turn)
        fresh = jnp.where(over, adopts, ballot.fresh)
        return Spreading(ballot.known._replace(belief=belief), value, fresh, vote, (ballot.phase + 1) % 3)

    def decide(self, ballot: Spreading) -> tuple[Int[Array, ""], Known]:
        return ballot.known.belief, ballot.known


def neighbourhoods(links: Neighbours, relayed: bool = True) -> tuple[Neighbours, Bool[Array, "N P K"]]:
    """Who hears whom in the votes, and every node's neighbourhoods among those it hears, on the host.

    links     who is whose neighbour, each its own (`loops`), undirected
    relayed   True: members of one neighbourhood hear each other, so a node hears two links far, and belongs to its own
              neighbourhood and to those of its neighbours (the paper's votes). False: a node hears its neighbours only,
              and they are its one neighbourhood

    Errors: `Refusal` where a node does not hear itself, or hears one that does not hear it.

    >>> from quorate import comms
    >>> wide, circles = neighbourhoods(comms.ring(6))
    >>> wide.index.tolist()[0], circles.shape
    ([0, 1, 2, 4, 5], (6, 3, 5))
    """
    index, real = np.asarray(links.index), np.asarray(links.real)
    receiver, slot = np.nonzero(real)
    ones = np.ones(len(receiver), np.int32)
    beside = csr_matrix((ones, (receiver, index[receiver, slot])), shape=(len(index),) * 2)
    beside.data[:] = 1
    deaf, (one, other) = np.flatnonzero(beside.diagonal() == 0), (beside > beside.T).nonzero()
    if len(deaf):
        raise Refusal(f"node {deaf[0]} does not hear itself; in its neighbourhood each is its own neighbour")
    if len(one):
        raise Refusal(f"node {one[0]} hears node {other[0]} and is not heard by it; neighbours hear each other")
    if not relayed:
        return links, jnp.asarray(real[:, None, :])
    near = (beside @ beside).tocsr()
    near.sort_indices()
    degree = np.diff(near.indptr)
    there = np.arange(degree.max())[None, :] < degree[:, None]
    heard = np.zeros(there.shape, np.int32)
    heard[there] = near.indices
    centre = np.broadcast_to(index[:, :, None], (*index.shape, heard.shape[1]))
    other = np.broadcast_to(heard[:, None, :], centre.shape)
    member = np.asarray(beside[centre.ravel(), other.ravel()]).reshape(centre.shape) > 0
    circles = member & real[:, :, None] & there[:, None, :]
    return Neighbours(jnp.asarray(heard), jnp.asarray(there)), jnp.asarray(circles)


# ----------------------------------------------------------------------------------------------------- its promises


def _nobody(protocol: NeighbourhoodVote, roster: Roster, counts: np.ndarray) -> np.ndarray:
    return counts[..., 1] == 0


def _unseen(protocol: NeighbourhoodVote, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    return proposed[..., 1] == 0


def _seen_by_enough(protocol: NeighbourhoodVote, roster: Roster, proposed: np.ndarray) -> np.ndarray:
    return proposed[..., 1] > int(protocol.margin)


SAFETY = Property(
    kind=ALWAYS,
    words=lambda protocol, roster: "nobody believes what no honest node has seen",
    marks=2,
    mark=decided,
    holds=_nobody,
    when=_unseen,
)
LIVENESS = Property(
    kind=EVENTUALLY,
    words=lambda protocol, roster: f"what {int(protocol.margin) + 1} have seen all believe",
    marks=2,
    mark=decided,
    holds=all_yes,
    when=_seen_by_enough,
)
POSSIBLE = Property(
    kind=SOMETIMES,
    words=lambda protocol, roster: "all can believe without a liar's help",
    marks=2,
    mark=decided,
    holds=all_yes,
)


@checking
def make(
    *,
    n: Annotated[int, Count("honest nodes")],
    t: Annotated[int, Count("liars, who are talkers besides the n", least=0)] = 1,
    margin: Annotated[int, Count("liars it is made for; t unless told", least=0)] = None,
) -> NeighbourhoodVote:
    """The vote of a neighbourhood of n honest nodes and t liars."""
    return NeighbourhoodVote(margin=t if margin is None else margin)


NEIGHBOURHOOD = Registered(
    make=make,
    example=NeighbourhoodVote(margin=1),
    about="believe what more neighbours say than can lie",
    properties=(SAFETY, LIVENESS, POSSIBLE),
    settings=lambda protocol, asked: asked | {"margin": int(protocol.margin)},
)
