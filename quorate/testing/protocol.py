"""`check_protocol`: the promises of `Protocol` and `TallyProtocol`."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from quorate import comms
from quorate.core import BoardProtocol, Fault, NoFault, Protocol, TallyProtocol
from quorate.errors import Refusal
from quorate.testing.compare import (
    Counted,
    check_fields,
    close,
    kept,
    kind,
    other_values,
    per_agent,
    promise,
    shaped,
    strongly_typed,
    traced,
    twice,
)
from quorate.testing.tiny import Chorus


def check_protocol(protocol: Protocol, proposal: PyTree) -> None:
    """Every promise of `Protocol`, for these proposals, leaves [N, ...]: that ballots and states keep their structure,
    and for a `TallyProtocol` that the sum and the complete inbox lead to equal decisions, also under attack."""
    check_fields(protocol)
    if isinstance(protocol, BoardProtocol):
        raise Refusal(f"{kind(protocol)} posts to places; this version carries tallies and neighbour lists only")
    strongly_typed(protocol, "the proposal", proposal)
    n = jax.tree.leaves(proposal)[0].shape[0]
    for size in sorted({1, min(2, n), n}):
        _check_protocol(protocol, jax.tree.map(lambda leaf, size=size: leaf[:size], proposal), size)


def _check_protocol(protocol: Protocol, proposal: PyTree, n: int) -> None:
    key, nobody = jax.random.key(1), NoFault()
    state = twice(protocol, "boot", lambda k: comms.boot(k, protocol, n), key)
    strongly_typed(protocol, "the state", state)
    with promise(protocol, "propose or send"):
        ballot = jax.vmap(protocol.propose, axis_size=n)(comms.node_keys(key, n), state, proposal)
        sent = jax.vmap(protocol.send, axis_size=n)(ballot)
    strongly_typed(protocol, "the ballot", ballot)
    strongly_typed(protocol, "what is sent", sent)
    shaped(protocol, "speaks", jax.vmap(protocol.speaks, axis_size=n)(ballot), (n,), jnp.bool_)
    if protocol.rounds:
        links = comms.complete(n)
        true = jax.tree.map(lambda leaf: leaf[links.index], sent)
        inbox = comms.Inbox(true, links.index, links.real, jnp.zeros(n, jnp.uint32))
        with promise(protocol, "receive"):
            heard = jax.vmap(protocol.receive)(comms.node_keys(key, n), ballot, inbox)
        kept(protocol, "the ballot after receive", ballot, heard)

    def talk(protocol: Protocol, key: Any, fault: Fault, links: Any) -> PyTree:
        def one(lasting: PyTree, key: Any) -> PyTree:
            rot = fault.reset(key, n)
            talked = comms.converse(key, jax.random.key(9), protocol, lasting, proposal, links, fault, rot, None, n)
            return talked.lasting, (talked.decision, talked.traffic)

        return jax.lax.scan(one, comms.boot(key, protocol, n), jax.random.split(key, 3))[1]

    with promise(protocol, "decide"):
        lasting = jax.vmap(protocol.decide, axis_size=n)(ballot)[1]
    kept(protocol, "the state that decide returns, beside the one of boot,", state, lasting)
    said = traced(protocol, "a conversation", talk, protocol, key, nobody, None)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), said[0])
    per_agent(protocol, "the decision", shapes, n)
    if n < 3:
        return
    counted = Counted(talk)
    with promise(protocol, "a conversation"):
        counted.call(protocol, key, nobody, None)
        counted.call(other_values(protocol), jax.random.key(2), nobody, None)
    counted.once(protocol, "a conversation")
    with promise(protocol, "vmap of a conversation"):
        eqx.filter_vmap(talk, in_axes=(None, 0, None, None))(protocol, jax.random.split(key, 2), nobody, None)
    if isinstance(protocol, TallyProtocol):
        votes = isinstance(sent, jax.Array) and sent.dtype == bool
        for fault in (nobody, *([Chorus(members=1, extras=2)] if votes else [])):
            by_sum = eqx.filter_jit(talk)(protocol, key, fault, None)
            by_list = eqx.filter_jit(talk)(protocol, key, fault, comms.complete(n, fault.extras))
            close(protocol, "a conversation by sums and by complete inboxes", by_sum, by_list)
