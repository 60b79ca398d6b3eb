"""Mail that meets at places: nodes post, each place's own code runs once, nodes read. O(N (P + W) + M) a round."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from quorate.comms.channel import like, size
from quorate.core import Board, BoardProtocol, Collected, Fault, Heap, Key, News, Posts, State, Traffic
from quorate.numerics.once import once

LAST = jnp.iinfo(jnp.int32).max
FEW = 8  # up to so many places a collected slip's rank is a running sum for each; more places are filled slot by slot


class Meeting(NamedTuple):
    """What lasts from tick to tick: of each node, and of each place."""

    nodes: State
    places: State


class Heard(NamedTuple):
    """A round as it ended: the fault's state, the places after it, each node's news, the bill."""

    fault: State
    places: State
    news: News
    traffic: Traffic


def meet(
    keys: tuple[Key, Key],
    t: Int[Array, ""],
    round_: Int[Array, ""],
    coin: UInt32[Array, ""],
    protocol: BoardProtocol,
    ballot: PyTree,
    places: State,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
    here: Bool[Array, " N"] | None,
) -> Heard:
    """One round: posts go up, places serve, notices and replies come down. `keys` are the fault's and the places'.

    The bill. Sent: a message for each slip, liars' included, each reply, and one notice for each place that something
    reached. Heard: slips that arrived, replies and notices that came through; `reads` are the notices among them, one
    for each reader, so nobody reads for free. Bytes are those heard, an address of 4 bytes with each slip.
    """
    count = protocol.places
    posts = jax.vmap(protocol.post)(ballot)
    num_agents, slips = posts.place.shape
    if here is not None:
        posts = posts._replace(live=posts.live & here[:, None])
    spoken = posts.live
    board = Board(t, round_, count, protocol.by_mail)
    fault_state, posts = fault.on_post(jax.random.fold_in(keys[0], 0), fault_state, posts, board)
    sent = spoken | (posts.live if here is None else posts.live & here[:, None])  # lost or forged: it was on the air
    index = jnp.arange(count)
    hosts = jax.vmap(protocol.host)(index)
    up = None if here is None else (hosts < 0) | here[jnp.maximum(hosts, 0)]

    arrived = posts.live if here is None else posts.live & here[:, None]  # faults do not make the absent speak
    arrived &= (posts.place >= 0) & (posts.place < count)
    if trusted is not None:
        arrived &= trusted[:num_agents, None]
    if up is not None:
        arrived &= up[jnp.clip(posts.place, 0, count - 1)]
    heap, rank = gathered(posts, arrived, count, protocol.capacity, coin)
    heap = once(heap)
    place_keys = jax.vmap(jax.random.fold_in, (None, 0))(keys[1], index)
    each = Heap(None, None, 0, 0, 0, 0, 0, 0)
    served = jax.vmap(protocol.serve, (0, 0, each))(place_keys, places, Heap(t, round_, *heap))
    if up is not None:
        served = jax.tree.map(lambda new, old: jnp.where(like(up, new), new, old), served, places)

    watched = jax.vmap(protocol.watch)(ballot)
    fault_state, notice, heard = _delivered(
        jax.random.fold_in(keys[0], 1), fault_state, fault, watched, once(jax.vmap(protocol.notice)(served)), None,
        (watched >= 0) & (watched < count), up, here, board,
    )  # fmt: skip
    reply, kept, answered = (), jnp.zeros((num_agents, slips), bool), jnp.float32(0)
    if protocol.capacity:
        fits = arrived & (rank < protocol.capacity)
        answered = jnp.sum(fits, dtype=jnp.float32)
        answers = jax.vmap(protocol.reply)(served)
        fault_state, reply, kept = _delivered(
            jax.random.fold_in(keys[0], 2), fault_state, fault, posts.place, answers, rank, fits, up, here, board
        )

    def number(mask: Array) -> Array:
        return jnp.sum(mask, dtype=jnp.float32)

    came, reads, replies = number(arrived), number(heard), number(kept)
    news_size = size(notice, 2)
    traffic = Traffic(
        sent=number(sent) + number(heap[0] > 0) * (news_size > 0) + answered,
        heard=came + reads + replies,
        bytes=came * (4 + size(posts[2:], 2)) + reads * news_size + replies * size(reply, 2),
        rounds=jnp.any(spoken).astype(jnp.int32),
        reads=reads,
    )
    return Heard(fault_state, served, News(notice, heard, reply, kept, coin), traffic)


def gathered(posts: Posts, arrived: Array, count: int, capacity: int, coin: Array) -> tuple[tuple, Int[Array, "N P"]]:
    """The heaps of all places, without tick and round, leaves [M, ...]; and the slot of each slip where places collect
    (the capacity or more: it did not fit)."""
    num_agents, slips = posts.place.shape
    slip = jnp.arange(num_agents * slips, dtype=jnp.int32).reshape(num_agents, slips)
    if not isinstance(posts.bid, tuple):
        arrived = arrived & ~jnp.isnan(posts.bid)
    place = jnp.where(arrived, posts.place, count)  # what has not arrived falls off the end

    def add(leaf: Array) -> Array:
        kind = jnp.int32 if leaf.dtype == bool else leaf.dtype
        return jnp.zeros((count, *leaf.shape[2:]), kind).at[place].add(leaf.astype(kind), mode="drop")

    number = jnp.zeros(count, jnp.int32).at[place].add(1, mode="drop")
    total = jax.tree.map(add, posts.amount)
    best, who, said = (), (), ()
    if not isinstance(posts.bid, tuple):
        best = jnp.full(count, -jnp.inf, posts.bid.dtype).at[place].max(posts.bid, mode="drop")
        wins = arrived & (posts.bid == best[jnp.minimum(place, count - 1)])
        winner = jnp.full(count, LAST, jnp.int32).at[jnp.where(wins, place, count)].min(slip, mode="drop")
        said = _of(posts.body, winner, winner < LAST)
        who = jnp.where(winner < LAST, winner // slips, -1)
    first, rank = (), jnp.full((num_agents, slips), LAST, jnp.int32)
    if capacity:
        rank = _ranks(place, arrived, slip, count, capacity, coin)
        slot = jnp.full((count, capacity), LAST, jnp.int32).at[place, rank].set(slip, mode="drop")
        first = Collected(_of(posts.body, slot, slot < LAST), jnp.where(slot < LAST, slot // slips, -1))
    return (number, total, best, who, said, first), rank


def _of(body: PyTree, slip: Array, real: Array) -> PyTree:
    """What these slips say; zero where there is none."""

    def take(leaf: Array) -> Array:
        flat = leaf.reshape(-1, *leaf.shape[2:])
        taken = flat[jnp.where(real, slip, 0)]
        return jnp.where(like(real, taken), taken, 0).astype(leaf.dtype)

    return jax.tree.map(take, body)


def _ranks(place: Array, arrived: Array, slip: Array, count: int, capacity: int, coin: Array) -> Int[Array, "N P"]:
    """Each slip's rank at its place, by sender from one that the coin draws; `capacity` or more where it does not
    fit. No sort: running sums for a few places, else slot after slot by scattered minima, as many as the fullest place
    needs."""
    offset = (coin % jnp.uint32(len(slip))).astype(jnp.int32) * slip.shape[1]
    if count <= FEW:
        rank = jnp.full(slip.shape, LAST, jnp.int32)
        for index in range(count):
            mine = place == index
            upto = jnp.cumsum(mine.reshape(-1), dtype=jnp.int32).reshape(slip.shape)
            before = jnp.sum(mine & (slip < offset), dtype=jnp.int32)
            turned = jnp.where(slip < offset, upto - 1 - before + upto.reshape(-1)[-1], upto - 1 - before)
            rank = jnp.where(mine, turned, rank)
        return rank
    order = jnp.where(slip < offset, slip - offset + slip.size, slip - offset)

    def fill(state: tuple) -> tuple:
        slot, rank, waiting = state
        lowest = jnp.full(count, LAST, jnp.int32).at[jnp.where(waiting, place, count)].min(order, mode="drop")
        chosen = waiting & (order == lowest[jnp.minimum(place, count - 1)])
        return slot + 1, jnp.where(chosen, slot, rank), waiting & ~chosen

    start = (jnp.int32(0), jnp.full(slip.shape, LAST, jnp.int32), arrived)
    return jax.lax.while_loop(lambda state: (state[0] < capacity) & jnp.any(state[2]), fill, start)[1]


def _delivered(
    key: Key,
    fault_state: State,
    fault: Fault,
    place: Int[Array, "N W"],
    said: PyTree,
    slot: Int[Array, "N W"] | None,
    real: Bool[Array, "N W"],
    up: Bool[Array, " M"] | None,
    here: Bool[Array, " N"] | None,
    board: Board,
) -> tuple[State, PyTree, Bool[Array, "N W"]]:
    """What places say to those who watch them, or in `slot` to those who posted, as it comes through; zero where it
    does not."""
    at = jnp.clip(place, 0, board.places - 1)
    if up is not None:
        real = real & up[at] & here[:, None]

    def take(leaf: Array) -> Array:
        return leaf[at] if slot is None else leaf[at, jnp.minimum(slot, leaf.shape[1] - 1)]

    fault_state, notice, heard = fault.on_notice(key, fault_state, place, jax.tree.map(take, said), real, board)
    heard &= real
    notice = jax.tree.map(lambda leaf: jnp.where(like(heard, leaf), leaf, 0).astype(leaf.dtype), notice)
    return fault_state, notice, heard
