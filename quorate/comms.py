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

LIES = 2**31  # the fault's branch of a conversation's key: no round has this number


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
    keys = node_keys(jax.random.fold_in(key, 0), num_agents)
    ballot = jax.vmap(protocol.propose, axis_size=num_agents)(keys, lasting, proposal)
    zero = jnp.float32(0)
    traffic, heard_by_round = Traffic(zero, zero, zero), []
    by_sum = isinstance(protocol, TallyProtocol) and links is None
    if protocol.rounds and not by_sum and links is None:
        links = complete(num_agents, fault.extras)
    for index in range(protocol.rounds):
        keys = node_keys(jax.random.fold_in(key, index + 1), num_agents)
        round_, lie_key = jnp.int32(index), jax.random.fold_in(jax.random.fold_in(key, LIES), index)
        sent, speaks = jax.vmap(protocol.send)(ballot), jax.vmap(protocol.speaks)(ballot)
        coin = jax.random.bits(jax.random.fold_in(coin_key, index), dtype=jnp.uint32)
        if by_sum:
            fault_state, total, bill = tally(lie_key, round_, sent, speaks, fault, fault_state, trusted)
            each = jax.tree.map(lambda whole, leaf: 0 if whole.ndim == leaf.ndim else None, total, sent)
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
    lying = jnp.zeros(num_agents, bool) if liars is None else liars
    member, outside = _listened(trusted, num_agents, fault.extras)
    missing = speaks & (lying | ~member)  # a liar, or one whom nobody trusts, still hears itself

    def with_own(whole: Array, leaf: Array) -> Array:
        alone = jnp.where(_like(missing, leaf), leaf, 0).astype(whole.dtype)
        return (whole if whole.ndim == alone.ndim else whole[None]) + alone

    fault_state, total = fault.on_tally(
        key, fault_state, _account(round_, sent, speaks, lying, trusted, num_agents, fault.extras)
    )
    if liars is not None or trusted is not None:
        total = jax.tree.map(with_own, total, sent)
    able = speaks | lying
    offered = jnp.sum(able, dtype=jnp.float32) * (num_agents - 1) + fault.extras * num_agents
    others = jnp.sum(able & member, dtype=jnp.float32) * (num_agents - 1)
    others += jnp.sum(outside, dtype=jnp.float32) * num_agents
    return fault_state, total, Traffic(offered, others, others * _size(sent))


def _listened(trusted: Array | None, num_agents: int, extras: int) -> tuple[Array, Array]:
    """Which members and which talkers from outside are listened to."""
    if trusted is None:
        return jnp.ones(num_agents, bool), jnp.ones(extras, bool)
    return trusted[:num_agents], trusted[num_agents:]


def _account(
    round_: Array, sent: PyTree, speaks: Array, lying: Array, trusted: Array | None, num_agents: int, extras: int
) -> Tally:
    """A round as a sum: both ways of mail show attackers the same one."""
    member, outside = _listened(trusted, num_agents, extras)
    counts, forged = speaks & member & ~lying, lying & member
    total = jax.tree.map(lambda leaf: add_up(jnp.where(_like(counts, leaf), leaf, 0).astype(leaf.dtype)), sent)
    power = jnp.sum(forged, dtype=jnp.int32) + jnp.sum(outside, dtype=jnp.int32)
    return Tally(round_, sent, total, power, forged)


def _size(sent: PyTree) -> int:
    """Bytes of one message."""
    return sum(leaf.dtype.itemsize * (leaf.size // leaf.shape[0]) for leaf in jax.tree.leaves(sent))


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
    """Each node's inbox [N, K] in topology order; a talker from outside has a slot whose number is N or more. The
    slots of liars and of talkers from outside are zero until forged; whether the protocol would speak does not bind
    them."""
    num_agents = speaks.shape[0]
    liars = fault.liars(fault_state)
    lying = jnp.zeros(num_agents, bool) if liars is None else liars
    member = links.index < num_agents
    source = jnp.minimum(links.index, num_agents - 1)
    own = links.index == jnp.arange(num_agents)[:, None]
    listened = links.real if trusted is None else links.real & (trusted[links.index] | own)
    able = jnp.where(own, speaks[source], (speaks | lying)[source] | ~member)
    heard = listened & able
    honest = heard & member & (own | ~lying[source])

    def fill(leaf: Array, mask: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (leaf.ndim - 2)), leaf, 0).astype(leaf.dtype)

    true = jax.tree.map(lambda leaf: fill(leaf[source], honest), sent)
    seen = _account(round_, sent, speaks, lying, trusted, num_agents, fault.extras)
    mail = Mail(round_, sent, links.index, true, heard, seen)
    fault_state, payload, heard_now = fault.on_deliver(key, fault_state, mail)
    heard = jnp.where(own, heard, heard_now & listened)
    payload = jax.tree.map(lambda said, honest: fill(jnp.where(_like(own, said), honest, said), heard), payload, true)
    others = jnp.sum(heard & ~own, dtype=jnp.float32)
    offered = jnp.sum(links.real & ~own & able, dtype=jnp.float32)
    bill = Traffic(offered, others, others * _size(sent))
    return fault_state, Inbox(payload, links.index, heard, jnp.uint32(0)), bill


def _like(mask: Array, leaf: Array) -> Array:
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim))
