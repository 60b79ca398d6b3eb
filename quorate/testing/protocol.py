"""`check_protocol`: the promises of `Protocol`, `TallyProtocol` and `BoardProtocol`."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from quorate import comms
from quorate.core import BoardProtocol, Fault, NoFault, Posts, Protocol, TallyProtocol
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
    shapes_of,
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
    few = n < 3  # then only structure is looked at, and once
    state = (shapes_of if few else twice)(protocol, "boot", lambda k: comms.boot(k, protocol, n), key)
    strongly_typed(protocol, "the state", state)
    shape = jax.eval_shape  # only structure is looked at: nothing need be compiled
    board = isinstance(protocol, BoardProtocol)
    nodes = state.nodes if board else state
    with promise(protocol, "propose or send"):
        keys = comms.node_keys(key, n)
        ballot = shape(jax.vmap(protocol.propose, axis_size=n), keys, nodes, proposal)
        sent = shape(jax.vmap(protocol.send, axis_size=n), ballot)
    strongly_typed(protocol, "the ballot", ballot)
    strongly_typed(protocol, "what is sent", sent)
    shaped(protocol, "speaks", shape(jax.vmap(protocol.speaks, axis_size=n), ballot), (n,), jnp.bool_)
    if board:
        _check_board(protocol, key, state, ballot, sent, proposal, n)
    elif protocol.rounds:
        links = comms.complete(n)

        def received(keys: Any, ballot: PyTree, sent: PyTree) -> PyTree:
            true = jax.tree.map(lambda leaf: leaf[links.index], sent)
            inbox = comms.Inbox(true, links.index, links.real, jnp.zeros(n, jnp.uint32))
            return jax.vmap(protocol.receive)(keys, ballot, inbox)

        with promise(protocol, "receive"):
            heard = shape(received, keys, ballot, sent)
        kept(protocol, "the ballot after receive", ballot, heard)

    def talk(protocol: Protocol, key: Any, fault: Fault, links: Any) -> PyTree:
        def one(lasting: PyTree, key: Any) -> PyTree:
            rot = fault.reset(key, n)
            talked = comms.converse(key, jax.random.key(9), protocol, lasting, proposal, links, fault, rot, None, n)
            return talked.lasting, (talked.decision, talked.traffic)

        return jax.lax.scan(one, comms.boot(key, protocol, n), jax.random.split(key, 3))[1]

    with promise(protocol, "decide"):
        lasting = shape(jax.vmap(protocol.decide, axis_size=n), ballot)[1]
    kept(protocol, "the state that decide returns, beside the one of boot,", nodes, lasting)
    said = (shapes_of if few else traced)(protocol, "a conversation", talk, protocol, key, nobody, None)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), said[0])
    per_agent(protocol, "the decision", shapes, n)
    if few:
        return
    counted = Counted(talk)
    with promise(protocol, "a conversation"):
        told = counted.call(protocol, key, nobody, None)
        counted.call(other_values(protocol), jax.random.key(2), nobody, None)
    counted.once(protocol, "a conversation")
    with promise(protocol, "vmap of a conversation"):
        many = eqx.filter_vmap(talk, in_axes=(None, 0, None, None))
        eqx.filter_eval_shape(many, protocol, jax.random.split(key, 2), nobody, None)
    if isinstance(protocol, TallyProtocol):
        votes = isinstance(sent, jax.ShapeDtypeStruct) and sent.dtype == bool
        for fault in (nobody, *([Chorus(members=1, extras=2)] if votes else [])):
            by_sum = told if fault is nobody else eqx.filter_jit(talk)(protocol, key, fault, None)
            by_list = eqx.filter_jit(talk)(protocol, key, fault, comms.complete(n, fault.extras))
            close(protocol, "a conversation by sums and by complete inboxes", by_sum, by_list)


def _check_board(
    protocol: BoardProtocol, key: Any, state: PyTree, ballot: PyTree, posts: Posts, proposal: PyTree, n: int
) -> None:
    """Slips and reads have one size for all, places keep their structure, news leave the ballot's as it is; and where
    everybody is away nothing happens at the places that somebody keeps."""
    slips = posts.place.shape[1:]
    shaped(protocol, "the live slips", posts.live, (n, *slips), jnp.bool_)
    shaped(protocol, "the places posted to", posts.place, (n, *slips), jnp.int32)
    watched = jax.eval_shape(jax.vmap(protocol.watch), ballot)
    shaped(protocol, "the places watched", watched, (n, *watched.shape[1:]), jnp.int32)
    shaped(protocol, "the host", jax.eval_shape(protocol.host, jnp.int32(0)), (), jnp.int32)
    owed = jax.eval_shape(jax.vmap(protocol.owes, axis_size=n), ballot)
    shaped(protocol, "whether a word is owed", owed, (n,), jnp.bool_)
    nobody, coin, now = NoFault(), jnp.uint32(1), jnp.int32(0)

    def round_(ballot: PyTree, places: PyTree, here: Any) -> comms.board.Heard:
        keys = (key, jax.random.fold_in(key, 1))
        return comms.board.meet(keys, now, now, coin, protocol, ballot, places, nobody, (), None, here)

    with promise(protocol, "serve, notice or reply"):
        heard = jax.eval_shape(lambda one, other: round_(one, other, None), ballot, state.places)
    kept(protocol, "the places after serve, beside those of open,", state.places, heard.places)
    with promise(protocol, "hear"):
        each = jax.vmap(protocol.hear, (0, 0, comms.News(0, 0, 0, 0, None)))
        after = jax.eval_shape(each, comms.node_keys(key, n), ballot, heard.news)
    kept(protocol, "the ballot after hear", ballot, after)
    if n < 3:
        return

    @jax.jit
    def frozen() -> tuple[Any, Any]:
        opened = jax.vmap(protocol.propose, axis_size=n)(comms.node_keys(key, n), state.nodes, proposal)
        end = round_(opened, state.places, jnp.zeros(n, bool))
        hosted = jax.vmap(protocol.host)(jnp.arange(protocol.places)) >= 0
        moved = jax.tree.map(lambda new, old: jnp.any(comms.like(hosted, new) & (new != old)), end.places, state.places)
        said = [jnp.any(end.news.heard), jnp.any(end.news.kept), end.traffic.heard > 0]
        return said, jax.tree.leaves(moved)

    if any(bool(one) for part in frozen() for one in part):
        raise AssertionError(f"{kind(protocol)}: where everybody is away something is said, heard or served by a host")
