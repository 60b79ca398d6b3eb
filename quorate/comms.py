"""How mail travels: `converse` runs a protocol's rounds over the crowd, by `tally` where only sums are heard, else by
`exchange` on neighbour lists."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PyTree

from quorate.core import (
    BoardProtocol,
    Fault,
    Inbox,
    Key,
    Mail,
    Neighbours,
    Protocol,
    State,
    Tally,
    TallyProtocol,
    Traffic,
    add_up,
)
from quorate.errors import Refusal


class Talked(NamedTuple):
    """A finished conversation: decisions [N, ...], what each node keeps, the fault's state, who was heard in each
    round, and the bill."""

    decision: PyTree
    lasting: State
    fault: State
    heard: PyTree
    traffic: Traffic


def node_keys(key: Key, num_agents: int) -> Array:
    """A key for each node, which a live node can make alone."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(num_agents))


def complete(num_agents: int, extras: int = 0) -> Neighbours:
    """Everybody hears everybody, itself included, and then the talkers from outside. [N, N + extras]: the twin of the
    tally."""
    index = jnp.broadcast_to(jnp.arange(num_agents + extras), (num_agents, num_agents + extras))
    return Neighbours(index, jnp.ones_like(index, bool))


def boot(key: Key, protocol: Protocol, num_agents: int) -> State:
    return jax.vmap(protocol.boot)(node_keys(key, num_agents), jnp.arange(num_agents))


def converse(
    key: Key,
    coin_key: Key,
    protocol: Protocol,
    lasting: State,
    proposal: PyTree,
    links: Neighbours | None,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
    num_agents: int,
) -> Talked:
    """One tick of `protocol` among all. Without links everybody hears everybody. Cost per round O(N) by tally, O(N K)
    on neighbour lists.

    Keys: nodes fold in the round and then `me`; the fault's key is derived apart, so adding an attacker moves
    nobody's noise; the coin of a round comes from `coin_key` and is drawn after the round's mail is closed.
    """
    if isinstance(protocol, BoardProtocol):
        name = type(protocol).__name__
        raise Refusal(f"{name} posts to places; this version carries tallies and neighbour lists only")
    keys = jax.vmap(jax.random.fold_in, (0, None))(node_keys(key, num_agents), 0)
    ballot = jax.vmap(protocol.propose, axis_size=num_agents)(keys, lasting, proposal)
    zero = jnp.float32(0)
    traffic, heard_by_round = Traffic(zero, zero, zero), []
    by_sum = isinstance(protocol, TallyProtocol) and links is None
    if protocol.rounds and not by_sum and links is None:
        links = complete(num_agents, fault.extras)
    for index in range(protocol.rounds):
        keys = jax.vmap(jax.random.fold_in, (0, None))(node_keys(key, num_agents), index + 1)
        round_, lie_key = jnp.int32(index), jax.random.fold_in(jax.random.fold_in(key, 0x11E5), index)
        sent, speaks = jax.vmap(protocol.send)(ballot), jax.vmap(protocol.speaks)(ballot)
        coin = jax.random.bits(jax.random.fold_in(coin_key, index), dtype=jnp.uint32)
        if by_sum:
            fault_state, total, bill = tally(lie_key, round_, sent, speaks, fault, fault_state, trusted)
            each = (
                0 if jax.tree.leaves(total)[0].shape != jax.tree.leaves(jax.tree.map(add_up, sent))[0].shape else None
            )
            ballot = jax.vmap(protocol.hear, (0, 0, each, None))(keys, ballot, total, coin)
        else:
            fault_state, inbox, bill = exchange(lie_key, round_, sent, speaks, links, fault, fault_state, trusted)
            heard_by_round.append(inbox.heard)
            ballot = jax.vmap(protocol.receive)(keys, ballot, inbox._replace(coin=jnp.broadcast_to(coin, num_agents)))
        traffic = Traffic(*(a + b for a, b in zip(traffic, bill, strict=True)))
    decision, lasting = jax.vmap(protocol.decide, axis_size=num_agents)(ballot)
    return Talked(decision, lasting, fault_state, tuple(heard_by_round), traffic)


def tally(
    key: Key,
    round_: Int[Array, ""],
    sent: PyTree,
    speaks: Bool[Array, " N"],
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
) -> tuple[State, PyTree, Traffic]:
    """The sum of everybody's mail, liars left out, then what the fault makes of it. Own mail counts and is always
    true."""
    num_agents = speaks.shape[0]
    liars = fault.liars(fault_state)
    forged = jnp.zeros(num_agents, bool) if liars is None else liars
    member = jnp.ones(num_agents, bool) if trusted is None else trusted[:num_agents]
    outside = jnp.ones(fault.extras, bool) if trusted is None else trusted[num_agents:]
    counts = speaks & member & ~forged

    def honest(leaf: Array) -> Array:
        return add_up(jnp.where(counts.reshape(-1, *[1] * (leaf.ndim - 1)), leaf, 0).astype(leaf.dtype))

    def own(leaf: Array) -> Array:  # a liar, or one whom nobody trusts, still hears itself
        missing = (speaks & ~counts).reshape(-1, *[1] * (leaf.ndim - 1))
        kind = jnp.int32 if leaf.dtype == bool else leaf.dtype
        return jnp.where(missing, leaf, 0).astype(kind)

    total = jax.tree.map(honest, sent)
    power = jnp.sum(forged & member, dtype=jnp.int32) + jnp.sum(outside, dtype=jnp.int32)
    fault_state, total = fault.on_tally(key, fault_state, Tally(round_, sent, total, power))
    if liars is not None or trusted is not None:
        total = jax.tree.map(lambda whole, leaf: whole + own(leaf), total, sent)
    size = sum(leaf.dtype.itemsize * (leaf.size // num_agents) for leaf in jax.tree.leaves(sent))
    messages = jnp.sum(speaks, dtype=jnp.float32) * (num_agents - 1)
    return fault_state, total, Traffic(messages, messages, messages * size)


def exchange(
    key: Key,
    round_: Int[Array, ""],
    sent: PyTree,
    speaks: Bool[Array, " N"],
    links: Neighbours,
    fault: Fault,
    fault_state: State,
    trusted: Bool[Array, " N_and_extras"] | None,
) -> tuple[State, Inbox, Traffic]:
    """Each node's inbox [N, K] in topology order; a talker from outside has a slot whose number is N or more and
    whose payload is zero until forged."""
    num_agents = speaks.shape[0]
    member = links.index < num_agents
    source = jnp.minimum(links.index, num_agents - 1)
    own = links.index == jnp.arange(num_agents)[:, None]
    listened = links.real if trusted is None else links.real & (trusted[links.index] | own)
    heard = listened & jnp.where(member, speaks[source], True)

    def fill(leaf: Array, mask: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (leaf.ndim - 2)), leaf, 0).astype(leaf.dtype)

    true = jax.tree.map(lambda leaf: fill(leaf[source], heard & member), sent)
    fault_state, payload, heard_now = fault.on_deliver(key, fault_state, Mail(round_, sent, links.index, true, heard))
    heard = jnp.where(own, heard, heard_now & listened)
    payload = jax.tree.map(lambda said, honest: fill(jnp.where(_like(own, said), honest, said), heard), payload, true)
    size = sum(leaf.dtype.itemsize * (leaf.size // num_agents) for leaf in jax.tree.leaves(sent))
    others = jnp.sum(heard & ~own, dtype=jnp.float32)
    offered = jnp.sum(links.real & ~own & jnp.where(member, speaks[source], True), dtype=jnp.float32)
    return fault_state, Inbox(payload, links.index, heard, jnp.uint32(0)), Traffic(offered, others, others * size)


def _like(mask: Array, leaf: Array) -> Array:
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim))
