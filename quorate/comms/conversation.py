"""The rounds of one tick: `converse` runs a protocol among all."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate.comms.board import Meeting, meet
from quorate.comms.channel import closed, fits_edges, like, opened
from quorate.comms.edges import Edges, gather
from quorate.comms.graphs import complete
from quorate.comms.inboxes import exchange, with_extras
from quorate.comms.sums import tally
from quorate.core import BoardProtocol, Fault, Key, Neighbours, News, Protocol, State, TallyProtocol, Traffic
from quorate.errors import Refusal

LIES = 2**31  # the fault's branch of a conversation's key: no round has this number
PLACES = 2**31 + 1  # that of places
UNROLLED = 4  # rounds that are written out one after the other; more become a loop, which compiles once for all of them


class Talked(NamedTuple):
    """A finished conversation: decisions [N, ...], what each node keeps, the fault's state, who was heard in each
    round, bool[rounds, N, K] (() where only sums are heard), and the bill."""

    decision: PyTree
    lasting: State
    fault: State
    heard: PyTree
    traffic: Traffic


def tossed(coin_key: Key, index: int | Array) -> Array:
    """The coin of a round: one word, the same for all."""
    return jax.random.bits(jax.random.fold_in(coin_key, index), dtype=jnp.uint32)


def node_keys(key: Key, num_agents: int) -> Array:
    """A key for each node, which a live node can make alone."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(num_agents))


def boot(key: Key, protocol: Protocol, num_agents: int) -> State:
    """What lasts from tick to tick, before the first: of every node, and of every place where there are places."""
    nodes = jax.vmap(protocol.boot)(node_keys(key, num_agents), jnp.arange(num_agents))
    if not isinstance(protocol, BoardProtocol):
        return nodes
    place = jnp.arange(protocol.places)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, PLACES), place)
    return Meeting(nodes, jax.vmap(protocol.open)(keys, place))


def rebooted(key: Key, protocol: Protocol, lasting: State, back: Bool[Array, " N"]) -> State:
    """`lasting` with fresh states for the nodes that are `back`: what they had agreed is forgotten. Places are not."""
    fresh = boot(key, protocol, back.shape[0])
    board = isinstance(protocol, BoardProtocol)
    new, old = (fresh.nodes, lasting.nodes) if board else (fresh, lasting)
    nodes = jax.tree.map(lambda one, other: jnp.where(like(back, one), one, other), new, old)
    return lasting._replace(nodes=nodes) if board else nodes


def converse(
    key: Key,
    coin_key: Key,
    protocol: Protocol,
    lasting: State,
    proposal: PyTree,
    links: Neighbours | Edges | None,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
    num_agents: int,
    t: int | Int[Array, ""] = 0,
    here: Bool[Array, " N"] | None = None,
) -> Talked:
    """One tick of `protocol` among all. Without links everybody hears everybody. Cost per round O(N) by tally, O(N K)
    on neighbour lists, O(E) on an edge list, O(N (P + W) + M) on a board. Talkers from outside are heard by everybody
    on every graph. Who is not `here` neither speaks nor hears, and the places it keeps are frozen.

    Keys: nodes fold in the round and then `me`; the fault's key is derived apart, so adding an attacker moves
    nobody's noise; the coin of a round comes from `coin_key` and is drawn after the round's mail is closed.

    `Traffic.rounds` is the number of rounds in which some member's protocol spoke: a vote that is over is silent, and
    the rounds that are left are run but not billed, nor what liars say in them.
    """
    if isinstance(protocol, BoardProtocol):
        return _on_board(key, coin_key, protocol, lasting, proposal, fault, fault_state, trusted, num_agents, t, here)
    carry = _route(protocol, links, fault, num_agents)
    keys = node_keys(jax.random.fold_in(key, 0), num_agents)
    ballot = jax.vmap(protocol.propose, axis_size=num_agents)(keys, lasting, proposal)
    zero, heard_by_round = jnp.float32(0), ()
    traffic = Traffic(zero, zero, zero, jnp.int32(0), zero)

    def one_round(state: tuple, index: int | Array) -> tuple[tuple, PyTree]:
        ballot, fault_state, traffic = state
        keys = node_keys(jax.random.fold_in(key, index + 1), num_agents)
        lie_key = jax.random.fold_in(jax.random.fold_in(key, LIES), index)
        sent, speaks = jax.vmap(protocol.send)(ballot), jax.vmap(protocol.speaks)(ballot)
        if here is not None:
            speaks &= here
        coin = tossed(coin_key, index)
        round_ = jnp.asarray(index, jnp.int32)
        fault_state, mail, bill = carry(
            lie_key, round_, sent, speaks, fault=fault, fault_state=fault_state, trusted=trusted
        )
        traffic = Traffic(*(a + b for a, b in zip(traffic, bill, strict=True)))
        if carry.func is exchange:
            mail = mail._replace(coin=jnp.broadcast_to(coin, num_agents))
            return (jax.vmap(protocol.receive)(keys, ballot, mail), fault_state, traffic), mail.heard
        each = jax.tree.map(lambda whole, leaf: 0 if whole.ndim == leaf.ndim else None, mail, sent)
        return (jax.vmap(protocol.hear, (0, 0, each, None))(keys, ballot, mail, coin), fault_state, traffic), ()

    if protocol.rounds:
        passing = _passing(jax.eval_shape(jax.vmap(protocol.send), ballot), carry.keywords.get("links"))
        state = ballot, opened(fault, fault_state, passing), traffic
        if protocol.rounds > UNROLLED:
            state, heard_by_round = jax.lax.scan(one_round, state, jnp.arange(protocol.rounds))
        else:
            heard = []
            for index in range(protocol.rounds):
                state, mask = one_round(state, index)
                heard.append(mask)
            heard_by_round = jax.tree.map(lambda *masks: jnp.stack(masks), *heard)
        ballot, fault_state, traffic = state
        fault_state = closed(fault, fault_state)
    decision, lasting = jax.vmap(protocol.decide, axis_size=num_agents)(ballot)
    return Talked(decision, lasting, fault_state, heard_by_round, traffic)


def _on_board(
    key: Key,
    coin_key: Key,
    protocol: BoardProtocol,
    lasting: Meeting,
    proposal: PyTree,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
    num_agents: int,
    t: int | Int[Array, ""],
    here: Bool[Array, " N"] | None,
) -> Talked:
    """`converse` for protocols that meet at places. More than one round is a loop, which compiles once."""
    if protocol.places < 1:
        raise Refusal(f"{type(protocol).__name__} has {protocol.places} places; a board needs at least one")
    t, zero = jnp.asarray(t, jnp.int32), jnp.float32(0)
    keys = node_keys(jax.random.fold_in(key, 0), num_agents)
    ballot = jax.vmap(protocol.propose, axis_size=num_agents)(keys, lasting.nodes, proposal)

    def one_round(state: tuple, index: Array) -> tuple[tuple, None]:
        ballot, places, fault_state, traffic = state
        node = node_keys(jax.random.fold_in(key, index + 1), num_agents)
        branches = [jax.random.fold_in(jax.random.fold_in(key, branch), index) for branch in (LIES, PLACES)]
        coin = tossed(coin_key, index)
        heard = meet(branches, t, index, coin, protocol, ballot, places, fault, fault_state, trusted, here)
        ballot = jax.vmap(protocol.hear, (0, 0, News(0, 0, 0, 0, None)))(node, ballot, heard.news)
        return (ballot, heard.places, heard.fault, jax.tree.map(jnp.add, traffic, heard.traffic)), None

    state = ballot, lasting.places, fault_state, Traffic(zero, zero, zero, jnp.int32(0), zero)
    if protocol.rounds > 1:
        state, _ = jax.lax.scan(one_round, state, jnp.arange(protocol.rounds))
    elif protocol.rounds:
        state, _ = one_round(state, jnp.int32(0))
    ballot, places, fault_state, traffic = state
    decision, nodes = jax.vmap(protocol.decide, axis_size=num_agents)(ballot)
    return Talked(decision, Meeting(nodes, places), fault_state, (), traffic)


def _route(protocol: Protocol, links: Neighbours | Edges | None, fault: Fault, num_agents: int) -> partial:
    """The way of mail: sums of everybody, sums along edges, or inboxes."""
    by_sum = isinstance(protocol, TallyProtocol)
    if links is not None:
        linked = (links.loops if isinstance(links, Edges) else links.index).shape[0]
        if linked != num_agents:
            raise Refusal(f"the topology links {linked} agents; there are {num_agents}")
    if isinstance(links, Edges):
        if protocol.rounds and not by_sum:
            name = type(protocol).__name__
            raise Refusal(
                f"{name} reads its mail one by one, and an edge list carries sums",
                "use neighbour lists: comms.to_neighbours(edges)",
            )
        fits_edges(fault)
        return partial(gather, links=links)
    if by_sum and links is None:
        return partial(tally)
    links = complete(num_agents, fault.extras) if links is None else with_extras(links, fault.extras)
    return partial(exchange, links=links)


def _passing(sent: PyTree, links: Neighbours | Edges | None) -> PyTree:
    """The shape of what a round passes on, as `Channel.open` gets it."""
    if isinstance(links, Neighbours):
        shape = links.index.shape
        return jax.tree.map(lambda leaf: jnp.zeros(shape + leaf.shape[1:], leaf.dtype), sent), jnp.zeros(shape, bool)

    def empty(leaf: jax.ShapeDtypeStruct) -> Int[Array, "N ..."]:
        return jnp.zeros(leaf.shape, jnp.int32 if leaf.dtype == bool else leaf.dtype)

    return jax.tree.map(empty, sent), jnp.zeros(jax.tree.leaves(sent)[0].shape[0], jnp.int32)
