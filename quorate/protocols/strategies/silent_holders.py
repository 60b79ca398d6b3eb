"""Saying less among neighbours: who has a task is silent about it but for a sign every few ticks."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate.core import Inbox, Outlook, Protocol, swept
from quorate.core.fields import at_least
from quorate.errors import Refusal
from quorate.protocols.cbba import Cbba
from quorate.protocols.strategies.say_once import SayOnce, speaking


class Keeper(NamedTuple):
    """A node's own state, the task of the claim that it last said (-1: none), and the tick in which it said it."""

    own: PyTree
    place: Int[Array, ""]
    number: Int[Array, ""]
    last: Int[Array, ""]


class Holding(NamedTuple):
    """What a node remembers during a tick: its own ballot, what it last said, whether it has, as in `Once`; whether a
    word on the task that it has is due in the next round; and what it kept from earlier ticks."""

    own: PyTree
    said: PyTree
    spoke: Bool[Array, ""]
    due: Bool[Array, ""]
    before: Keeper


class SilentHolders(SayOnce):
    """`protocol` among neighbours, but who has a task, being on its way or serving, speaks only where one of these is
    true:

        it has not said so yet;  H ticks are over since it last did;  it has just heard a bid of another for that task.

    Its neighbours remember its claim for a lease, so silence means "still so". A bid for its task is that of one who
    never heard of the claim, or has forgotten it because the task was no option of its own for a while; the answer
    comes a round later, so that one asks for something else in the round after. Who has no task speaks as under
    `SayOnce`, in every tick, since what it asks for is believed for a tick only.

    protocol   a `Cbba`: only it says in its ballot which task a node has, and remembers claims
    heartbeat  H, ticks between two words on the same claim; at least 1

    The lease is lengthened to 2 H where it is shorter, so one missed beat frees no task. Two do, for who hears nothing
    of the maker in that time; if it asks and is heard, it is answered. So it takes up to 2 H ticks until the tasks of
    who has crashed are free. Who comes back from being away has said nothing, and speaks.

    Lost is what silent nodes would have passed on: of two who ask for the same task and hear each other only through
    one who has a task, both may go there, until their own claims, which are new, meet; claims spread more slowly; and
    claims are believed to be as far from their tasks as when they were said. An answer that is lost is not repeated in
    its tick, as under `SayOnce`. So decisions are not those of the protocol itself.

    Cost: one word, three numbers and a truth value more at each node; O(D K) a round with D neighbours to look for
    bids.

    Errors: Refusal for a protocol on a board, for which there is `PolicySilence`, for one without rounds, for one that
    is no `Cbba`, and for a heartbeat below 1.

    Reference: as `Cbba`, which has no such rule; the rule is that of `PolicySilence`, with an answer to who asks.

    >>> from quorate.protocols.cbba import Cbba
    >>> quiet = SilentHolders(protocol=Cbba(options=8, lease=5), heartbeat=3)
    >>> quiet.rounds, int(quiet.protocol.lease)
    (4, 6)
    """

    heartbeat: Int[Array, ""] = swept(jnp.int32)

    def __init__(self, *, protocol: Protocol, heartbeat: int | Array):
        speaking(protocol, "PolicySilence withholds slips to places")
        super().__init__(protocol=protocol)
        if not isinstance(protocol, Cbba):
            raise Refusal(f"{type(protocol).__name__} does not say which task a node has; SilentHolders takes a Cbba")
        at_least(1, heartbeat=heartbeat)
        self.heartbeat = jnp.asarray(heartbeat, jnp.int32)
        longer = jnp.maximum(protocol.lease, 2 * self.heartbeat)
        self.protocol = eqx.tree_at(lambda part: part.lease, protocol, longer)

    def boot(self, key, me):
        none = jnp.int32(-1)
        return Keeper(self.protocol.boot(key, me), none, none, none)

    def propose(self, key, state: Keeper, proposal: Outlook) -> Holding:
        once = super().propose(key, state.own, proposal)
        bids = once.own.bids
        same = (state.place == bids.place[-1]) & (state.number == bids.number[-1])
        return Holding(*once, due=~same | (proposal.t - state.last >= self.heartbeat), before=state)

    def holds(self, ballot: Holding) -> Bool[Array, ""]:
        """Whether the node has a task: its bid stands at the end of the list."""
        return ballot.own.mine == self.protocol.options

    def speaks(self, ballot: Holding):
        return super().speaks(ballot) & (~self.holds(ballot) | ballot.due)

    def receive(self, key, ballot: Holding, inbox: Inbox) -> Holding:
        once, said, own = super().receive(key, ballot, inbox), inbox.payload, ballot.own.bids
        rival = inbox.heard[:, None] & (said.winner >= 0) & (said.winner != ballot.own.me)
        rival &= (said.place == own.place[-1]) & (said.number == own.number[-1])
        return Holding(*once, due=jnp.any(rival), before=ballot.before)

    def decide(self, ballot: Holding):
        decision, own = self.protocol.decide(ballot.own)
        bids, before = ballot.own.bids, ballot.before
        now = Keeper(own, bids.place[-1], bids.number[-1], ballot.own.outlook.t)
        none = jnp.int32(-1)
        kept = jax.tree.map(lambda new, old: jnp.where(ballot.spoke, new, old), now[1:], before[1:])
        return decision, Keeper(own, *(jnp.where(self.holds(ballot), leaf, none) for leaf in kept))
