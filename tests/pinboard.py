"""A board that uses every way of a board: what is proposed is posted, places keep their last heap and nodes their last
news."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from quorate.core import BoardProtocol, Collected, Heap, Posts, static


class Wish(NamedTuple):
    """What one node will post, and which places it will read."""

    place: jax.Array  # [P]
    live: jax.Array
    amount: jax.Array
    bid: jax.Array
    note: jax.Array
    watch: jax.Array  # [W]


class Pin(NamedTuple):
    """A place: its last heap, and how often it has served."""

    place: jax.Array
    served: jax.Array
    heap: Any


class Pinboard(BoardProtocol):
    places: int = static(3)
    rounds: int = static(1)
    capacity: int = static(2)
    by_mail: bool = static(True)
    hosts: int = static(0)  # place j is kept by agent j if j < hosts, else by nobody

    def propose(self, key, state, proposal):
        pin = jax.eval_shape(self.open, key, jnp.int32(0))
        watched = jax.tree.map(lambda leaf: jnp.zeros(proposal.watch.shape + leaf.shape, leaf.dtype), pin)
        silence = jnp.zeros(proposal.watch.shape, bool)
        slips = proposal.place.shape
        replies = jnp.zeros(slips, jnp.int32) if self.capacity else ()
        return proposal, (watched, silence, replies, jnp.zeros(slips, bool), jnp.uint32(0))

    def post(self, ballot):
        wish = ballot[0]
        return Posts(wish.place, wish.live, wish.amount, wish.bid, wish.note)

    def watch(self, ballot):
        return ballot[0].watch

    def hear(self, key, ballot, news):
        return ballot[0], tuple(news)

    def open(self, key, place):
        zero, none = jnp.int32(0), jnp.int32(-1)
        each = (jnp.zeros(self.capacity, jnp.int32), jnp.full(self.capacity, -1, jnp.int32))
        first = Collected(*each) if self.capacity else ()
        return Pin(place, zero, Heap(none, none, zero, jnp.float32(0), jnp.float32(-jnp.inf), none, zero, first))

    def serve(self, key, place_state, heap):
        return Pin(place_state.place, place_state.served + 1, heap)

    def notice(self, place_state):
        return place_state

    def reply(self, place_state):
        return 10 * place_state.heap.first.body + place_state.place if self.capacity else ()

    def host(self, place):
        return jnp.where(place < self.hosts, place, -1)

    def decide(self, ballot):
        return ballot[1], ()


def wishes(rng, agents: int, places: int, slips: int = 2, watched: int = 2) -> Wish:
    """Random ones: places outside the board among them, and equal bids."""
    each = (agents, slips)
    return Wish(
        jnp.asarray(rng.integers(-1, places + 1, each), jnp.int32),
        jnp.asarray(rng.random(each) < 0.8),
        jnp.asarray(rng.integers(0, 9, each), jnp.float32),
        jnp.asarray(rng.integers(0, 4, each), jnp.float32),
        jnp.asarray(rng.integers(1, 99, each), jnp.int32),
        jnp.asarray(rng.integers(-1, places + 1, (agents, watched)), jnp.int32),
    )
