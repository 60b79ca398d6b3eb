"""`check_protocol`: the promises of `Protocol`, `TallyProtocol` and `BoardProtocol`."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from quorate import comms
from quorate.core import BoardProtocol, Fault, NoFault, Posts, Protocol, TallyProtocol
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
    strongly_typed(protocol, "the proposal", proposal)
    n = jax.tree.leaves(proposal)[0].shape[0]
    for size in sorted({1, min(2, n), n}):
        _check_protocol(protocol, jax.tree.map(lambda leaf, size=size: leaf[:size], proposal), size)


def _check_protocol(protocol: Protocol, proposal: PyTree, n: int) -> None:
    key, nobody = jax.random.key(1), NoFault()
    state = twice(protocol, "boot", lambda k: comms.boot(k, protocol, n), key)
    strongly_typed(protocol, "the state", state)
    with promise(protocol, "propose or send"):
        lasting = state.nodes if isinstance(protocol, BoardProtocol) else state
        ballot = jax.vmap(protocol.propose, axis_size=n)(comms.node_keys(key, n), lasting, proposal)
        sent = jax.vmap(protocol.send, axis_size=n)(ballot)
    strongly_typed(protocol, "the ballot", ballot)
    strongly_typed(protocol, "what is sent", sent)
    shaped(protocol, "speaks", jax.vmap(protocol.speaks, axis_size=n)(ballot), (n,), jnp.bool_)
    if isinstance(protocol, BoardProtocol):
        _check_board(protocol, key, state, ballot, sent, n)
    elif protocol.rounds:
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
    before = state.nodes if isinstance(protocol, BoardProtocol) else state
    kept(protocol, "the state that decide returns, beside the one of boot,", before, lasting)
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


def _check_board(protocol: BoardProtocol, key: Any, state: PyTree, ballot: PyTree, posts: Posts, n: int) -> None:
    """Slips and reads have one size for all, places keep their structure, news leave the ballot's as it is."""
    slips = posts.place.shape[1:]
    shaped(protocol, "the live slips", posts.live, (n, *slips), jnp.bool_)
    shaped(protocol, "the places posted to", posts.place, (n, *slips), jnp.int32)
    watched = jax.vmap(protocol.watch)(ballot)
    shaped(protocol, "the places watched", watched, (n, *watched.shape[1:]), jnp.int32)
    hosts = jax.vmap(protocol.host)(jnp.arange(protocol.places))
    shaped(protocol, "the hosts", hosts, (protocol.places,), jnp.int32)
    nobody, coin, now = NoFault(), jnp.uint32(1), jnp.int32(0)

    def round_(ballot: PyTree, places: PyTree, here: Any) -> comms.board.Heard:
        keys = (key, jax.random.fold_in(key, 1))
        return comms.board.meet(keys, now, now, coin, protocol, ballot, places, nobody, (), None, here)

    with promise(protocol, "serve, notice or reply"):
        heard = round_(ballot, state.places, None)
    kept(protocol, "the places after serve, beside those of open,", state.places, heard.places)
    with promise(protocol, "hear"):
        each = comms.News(0, 0, 0, 0, None)
        after = jax.vmap(protocol.hear, (0, 0, each))(comms.node_keys(key, n), ballot, heard.news)
    kept(protocol, "the ballot after hear", ballot, after)
    frozen = round_(ballot, state.places, jnp.zeros(n, bool))
    told = [jnp.any(leaf) for leaf in (frozen.news.heard, frozen.news.kept, frozen.traffic.sent > 0)]
    away = jax.tree.map(lambda new, old: new[hosts >= 0] == old[hosts >= 0], frozen.places, state.places)
    if any(bool(one) for one in told) or not all(bool(jnp.all(leaf)) for leaf in jax.tree.leaves(away)):
        raise Refusal(f"{kind(protocol)}: where everybody is away something was posted, heard or served by a host")
