"""Heads: among neighbours, one of each cluster goes on talking; the others tell it, and listen."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.core import Inbox, Outlook, Protocol
from quorate.errors import Refusal
from quorate.numerics.mix import GOLDEN, mix
from quorate.protocols.strategies.say_once import speaking


class Named(NamedTuple):
    """A node's own state, and who it is."""

    own: PyTree
    me: Int[Array, ""]


class Word(NamedTuple):
    """What a node says: its own word, and the region it is in."""

    own: PyTree
    region: Int[Array, ""]


class Led(NamedTuple):
    """What a node remembers during a tick: its own ballot, who and where it is, the tick, whether it is a head, as
    everybody is until it has heard others, and whether a round is over."""

    own: PyTree
    me: Int[Array, ""]
    region: Int[Array, ""]
    t: Int[Array, ""]
    head: Bool[Array, ""]
    begun: Bool[Array, ""]


class Heads(Protocol):
    """`protocol` among neighbours, but after the first round of a tick only heads of clusters speak. A cluster is who
    is in the same region. Everybody speaks in the first round and adds its region; a node i is a head in this tick iff

        lot(i, t) < lot(j, t)  for every other j of its region that it heard in that round,

    with `lot` a hash of id and tick that everybody can work out, so that heads take turns. Members listen. So members
    tell their head, and heads tell what is known, their members' words merged with their own, to all who hear them,
    heads of other regions included.

    protocol  one whose words merge, so that one word can stand for several heard (`Cbba`, or `SayOnce` of it). Where
              words are counted a member would be taken for one that says nothing. It proposes on an `Outlook`

    With H heads and D neighbours D (N + (rounds - 1) H) messages a tick instead of D N rounds. Of a region in which
    everybody hears everybody one is head. Where each hears few, H is larger: 1 / (d + 1) of the nodes who hear d of
    their own region, both ways. One agent a region, or one round, changes no decision. Cost: one number more in each
    message, O(D) a round.

    Lost is the say of members after the first round: what they ask for when they have been outbid is told nobody in
    this tick, and several may go to one task until their claims meet in the next. A node may hear no head of its own
    region, since the least that it hears may hear a lesser one; it then knows what the first round told it, and what
    heads of others say. With lost mail there are more heads, not fewer.

    It hardly pays where neighbours are those of the start: a third of all are heads, since many of these are in other
    regions later, and two rounds in place of four serve as much for as few messages.

    Errors: Refusal for a protocol on a board, for which there is `Clustered`, for one without rounds, and for proposals
    without a region.

    Reference: Gerla and Tsai, Multicluster, mobile, multimedia radio network, Wireless Networks 1 (1995): the lowest
    id among neighbours that have no head yet is a head, until everybody has one. Here a lot stands for the id, for one
    tick; clusters do not cross regions; and it is drawn once, so that some have no head.

    >>> from quorate.protocols.cbba import Cbba
    >>> Heads(protocol=Cbba(options=8)).rounds
    4
    """

    protocol: Protocol
    rounds: int = eqx.field(static=True)

    def __init__(self, *, protocol: Protocol):
        speaking(protocol, "Clustered keeps slips within clusters")
        self.protocol, self.rounds = protocol, protocol.rounds

    def boot(self, key, me):
        return Named(self.protocol.boot(key, me), jnp.asarray(me, jnp.int32))

    def propose(self, key, state: Named, proposal: Outlook) -> Led:
        if not hasattr(proposal, "region"):
            raise Refusal(f"{type(proposal).__name__} has no region; Heads takes an Outlook")
        own = self.protocol.propose(key, state.own, proposal)
        return Led(own, state.me, proposal.region, proposal.t, jnp.array(True), jnp.array(False))

    def send(self, ballot: Led) -> Word:
        return Word(self.protocol.send(ballot.own), ballot.region)

    def speaks(self, ballot: Led):
        return self.protocol.speaks(ballot.own) & ballot.head

    def leads(self, ballot: Led, inbox: Inbox) -> Bool[Array, ""]:
        """Whether nobody of the same region was heard whose lot is less."""
        fellow = inbox.heard & (inbox.sender != ballot.me) & (inbox.payload.region == ballot.region)
        return ~jnp.any(fellow & (lot(inbox.sender, ballot.t) < lot(ballot.me, ballot.t)))

    def receive(self, key, ballot: Led, inbox: Inbox) -> Led:
        own = self.protocol.receive(key, ballot.own, inbox._replace(payload=inbox.payload.own))
        head = jnp.where(ballot.begun, ballot.head, self.leads(ballot, inbox))
        return ballot._replace(own=own, head=head, begun=jnp.array(True))

    def decide(self, ballot: Led):
        decision, own = self.protocol.decide(ballot.own)
        return decision, Named(own, ballot.me)

    def settled(self, ballot: Led):
        return self.protocol.settled(ballot.own)


def lot(who: Int[Array, "..."], t: Int[Array, ""]) -> UInt32[Array, "..."]:
    """A number for each id and tick; in one tick no two ids have the same, since each step can be undone.

    >>> lot(jnp.arange(2), jnp.int32(0)).tolist() != lot(jnp.arange(2), jnp.int32(1)).tolist()
    True
    """
    return mix(mix(who.astype(jnp.uint32) ^ (t.astype(jnp.uint32) + GOLDEN)))
