"""Delayed: a protocol on a board whose mail is late by whole ticks, up and down."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree

from quorate.comms import like
from quorate.core import BoardProtocol, News, Posts, static
from quorate.errors import Refusal
from quorate.protocols.strategies.selective_broadcast import SelectiveBroadcast


class Answers(NamedTuple):
    """Replies on their way down, and the slip that each answers, or its place where that is all that is asked of it."""

    reply: PyTree
    kept: PyTree
    about: PyTree


class Waiting(NamedTuple):
    """A node, with the slips that it has not yet handed over and the replies that have not yet reached it."""

    own: PyTree
    posts: Posts  # [L, P, ...]
    answers: PyTree  # [L, P, ...]; () where places do not collect
    slot: Int[Array, ""]


class Posted(NamedTuple):
    """A place, with the notices that nobody has seen yet."""

    own: PyTree
    notices: PyTree  # [L, ...]
    shown: PyTree
    slot: Int[Array, ""]


class Delayed(BoardProtocol):
    """`protocol` with mail that takes `ticks` ticks each way: what is posted in round r of tick t reaches its place in
    round r of tick t + ticks, and what a place says then is read another `ticks` later.

    protocol    any protocol on a board
    ticks       whole ticks, static; 0 changes nothing
    proposal    what one node proposes, arrays or their shapes: slips are as long as this makes them. For what a world
                shows: jax.tree.map(lambda leaf: leaf[0], world.observe(key, state))

    A reader finds every place as it was, and at first as it was opened. A reply that comes late is heard only where the
    node's slip of the same position is for the same place, and is not kept otherwise, so nobody takes the answer of one
    place for that of another. A strategy that withholds slips is told which slip each reply is for. Nothing is
    reordered or lost here; loss and lies act on mail when it is handed over, and the bill counts it then. Who comes
    back from being away has lost what it had under way; a place that is frozen keeps it. Marks in the environment
    (`by_mail` False) are no mail and never late.

    Cost: rings of ticks x rounds slips (and replies) a node, and notices a place.

    Errors: `Refusal` for a protocol without a board, whose mail the fault `Delay` holds back, and for ticks below 0.
    """

    protocol: BoardProtocol
    ticks: int = static()
    proposal: PyTree = static()
    rounds: int = static()
    places: int = static()
    capacity: int = static()

    def __init__(self, *, protocol: BoardProtocol, ticks: int, proposal: PyTree):
        if not isinstance(protocol, BoardProtocol):
            raise Refusal(
                f"{type(protocol).__name__} has no board, whose mail Delayed would hold back",
                "use a fault: faults.Delay(rounds=...)",
            )
        if not isinstance(ticks, int | np.integer) or ticks < 0:
            raise Refusal(f"ticks is {ticks}; it says how late mail is, a whole number from 0 on")
        self.protocol, self.ticks = protocol, int(ticks)
        self.proposal = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), proposal)
        self.rounds, self.places, self.capacity = protocol.rounds, protocol.places, protocol.capacity

    @property
    def by_mail(self) -> bool:
        return self.protocol.by_mail

    @property
    def length(self) -> int:
        """Rounds that mail is under way, one way."""
        return self.ticks * self.rounds if self.by_mail else 0

    def _ring(self, shape: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: jnp.zeros((self.length, *leaf.shape), leaf.dtype), shape)

    def boot(self, key, me):
        own = self.protocol.boot(key, me)
        if not self.length:
            return own
        inner = self.protocol
        posts = jax.eval_shape(lambda *args: inner.post(inner.propose(*args)), key, own, self.proposal)
        answers = ()
        if self.capacity:
            said = jax.eval_shape(lambda key, me: inner.reply(inner.open(key, me)), key, me)
            slips = posts.live.shape
            reply = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(slips + leaf.shape[1:], leaf.dtype), said)
            answers = self._ring(Answers(reply, posts.live, self._about(posts)))
        return Waiting(own, self._ring(posts), answers, jnp.int32(0))

    def propose(self, key, state, proposal):
        if not self.length:
            return self.protocol.propose(key, state, proposal)
        return state._replace(own=self.protocol.propose(key, state.own, proposal))

    def post(self, ballot):
        if not self.length:
            return self.protocol.post(ballot)
        return jax.tree.map(lambda ring: ring[ballot.slot], ballot.posts)

    def watch(self, ballot):
        return self.protocol.watch(ballot.own if self.length else ballot)

    def hear(self, key, ballot, news):
        if not self.length:
            return self.protocol.hear(key, ballot, news)
        now, answers, more = self.protocol.post(ballot.own), ballot.answers, {}
        if self.capacity:
            about = self._about(self.post(ballot))
            due, answers = _pass(answers, ballot.slot, Answers(news.reply, news.kept, about))
            kept = due.kept & (due.about.place == now.place) & (now.live | self.compares)
            reply = jax.tree.map(lambda leaf: jnp.where(like(kept, leaf), leaf, 0).astype(leaf.dtype), due.reply)
            news = News(news.notice, news.heard, reply, kept, news.coin)
            more = {"about": due.about, "late": 2 * self.ticks} if self.compares else {}
        _, posts = _pass(ballot.posts, ballot.slot, now)
        own = self.protocol.hear(key, ballot.own, news, **more)
        return Waiting(own, posts, answers, (ballot.slot + 1) % self.length)

    @property
    def compares(self) -> bool:
        """Whether the protocol withholds slips, and must know which one a reply is for."""
        return isinstance(self.protocol, SelectiveBroadcast)

    def _about(self, posts: Posts) -> Posts:
        return posts if self.compares else posts._replace(amount=(), bid=(), body=())

    def decide(self, ballot):
        if not self.length:
            return self.protocol.decide(ballot)
        decision, own = self.protocol.decide(ballot.own)
        return decision, ballot._replace(own=own)

    def settled(self, ballot):
        return self.protocol.settled(ballot.own if self.length else ballot)

    def owes(self, ballot):
        return self.protocol.owes(ballot.own if self.length else ballot)

    def open(self, key, place):
        own = self.protocol.open(key, place)
        if not self.length:
            return own
        shown = self.protocol.notice(own)
        ring = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (self.length, *leaf.shape)), shown)
        return Posted(own, ring, shown, jnp.int32(0))

    def serve(self, key, place_state, heap):
        if not self.length:
            return self.protocol.serve(key, place_state, heap)
        own = self.protocol.serve(key, place_state.own, heap)
        due, ring = _pass(place_state.notices, place_state.slot, self.protocol.notice(own))
        return Posted(own, ring, due, (place_state.slot + 1) % self.length)

    def notice(self, place_state):
        return place_state.shown if self.length else self.protocol.notice(place_state)

    def reply(self, place_state):
        return self.protocol.reply(place_state.own if self.length else place_state)

    def host(self, place):
        return self.protocol.host(place)

    def where(self, place):
        return self.protocol.where(place)


def _pass(ring: PyTree, slot: Int[Array, ""], now: PyTree) -> tuple[PyTree, PyTree]:
    """What is due, and the ring with `now` in its place."""
    due = jax.tree.map(lambda leaf: leaf[slot], ring)
    return due, jax.tree.map(lambda leaf, new: leaf.at[slot].set(new), ring, now)
