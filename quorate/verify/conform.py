"""Conformance: whether the engine carries a protocol's votes as the proof assumes, on random plays, by both ways of
mail."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from quorate import comms
from quorate.core import Fault, Roster, Tally, TallyProtocol
from quorate.faults.scripted import Scripted

PLAYS, CELLS = 256, 4_000_000  # plays, unless their inboxes would hold more votes than this


class Carried(NamedTuple):
    """`plays` random plays by `ways` of mail; `difference` says where the engine first came out otherwise."""

    plays: int
    ways: tuple[str, ...]
    difference: str | None


def carried(protocol: TallyProtocol, roster: Roster, values: tuple[int, ...], seed: int = 0) -> Carried | None:
    """Plays random proposals, lies and coins through `comms.converse`, and beside it by the plainest loop there is:
    everybody hears each honest vote once, its own included, and the lies told to it. Exact results are about that
    loop; this checks that they are about the engine too, and that what liars are shown does not depend on a coin that
    is still hidden.

    None where a message is not one yes or no, since no plan can be written for its liars.
    """
    n, t = roster
    keys = comms.node_keys(jax.random.key(seed), n)
    states = jax.vmap(protocol.boot)(keys, jnp.arange(n))
    shapes = jax.eval_shape(
        lambda: jax.vmap(protocol.send)(jax.vmap(protocol.propose)(keys, states, jnp.zeros(n, jnp.int32)))
    )
    if not isinstance(shapes, jax.ShapeDtypeStruct) or shapes.dtype != bool or not protocol.rounds:
        return None
    links = comms.complete(n, t) if n * (n + t) * 8 <= CELLS else None
    plays = PLAYS if links is None else min(PLAYS, CELLS // (n * (n + t)))
    dice = np.random.default_rng(seed)
    willing = dice.integers(0, n + 1, plays)  # as many close calls as there are: how many are willing is even
    rank = dice.random((plays, n)).argsort(axis=1)
    proposals = np.where(rank < willing[:, None], values[-1], values[0]).astype(np.int32)
    proposals[plays // 2 :] = np.where(rank < willing[:, None], proposals, dice.choice(values, (plays, n)))[
        plays // 2 :
    ]
    lies = dice.integers(0, t + 2, (plays, protocol.rounds, n)).astype(np.int32)  # up to one too many, to be clipped
    lies[::3] = np.where(dice.random((len(lies[::3]), 1, 1)) < 0.5, 0, t)
    coins = jax.random.split(jax.random.key(seed + 1), plays)
    plain = [np.asarray(leaf) for leaf in jax.tree.leaves(_plainly(protocol, states, proposals, lies, coins, t))]
    routes = {"by sums": None} | ({"by inboxes": links} if links is not None else {})
    for way, way_links in routes.items():
        decided = jax.tree.leaves(_engine(protocol, states, proposals, lies, coins, way_links, t))
        for got, want in zip(map(np.asarray, decided), plain, strict=True):
            if not np.array_equal(got, want):
                play, node = np.argwhere(got != want)[0][:2]
                said = f"{way}, node {node} decides {got[play, node]} and {want[play, node]} by hand"
                wrong = (got != want).reshape(plays, -1).any(axis=1).sum()
                return Carried(plays, tuple(routes), f"{said} ({wrong} of {plays} plays)")
    if bool(_leaks(protocol, states, proposals[0], coins[:2], t)):
        return Carried(plays, tuple(routes), "what liars see in the first round tells them its coin")
    return Carried(plays, tuple(routes), None)


class Eavesdropper(Fault):
    """Keeps all that liars are shown in the first round."""

    def reset(self, key: Any, num_agents: int) -> PyTree:
        return jnp.zeros(2 * num_agents + 5, jnp.uint32)

    def on_tally(self, key: Any, state: PyTree, tally: Tally) -> tuple[PyTree, PyTree]:
        parts = (jax.random.key_data(key), tally.sent, tally.total, tally.power, tally.forged, tally.round)
        seen = jnp.concatenate([jnp.ravel(part).astype(jnp.uint32) for part in parts])
        return jnp.where(tally.round == 0, seen, state), tally.total


@partial(jax.jit, static_argnums=4)
def _leaks(protocol: TallyProtocol, states: PyTree, proposal: Any, coins: Any, extras: int) -> Any:
    """Whether liars are shown something else in the first round when only its coin is another."""
    n, fault, key = proposal.shape[0], Eavesdropper(extras=extras), jax.random.key(0)
    rot = fault.reset(key, n)
    seen = [comms.converse(key, c, protocol, states, proposal, None, fault, rot, None, n).fault for c in coins]
    return jnp.any(seen[0] != seen[1])


@partial(jax.jit, static_argnums=5)
def _plainly(protocol: TallyProtocol, states: PyTree, proposals: Any, lies: Any, coins: Any, liars: int) -> PyTree:
    n = proposals.shape[1]
    keys = comms.node_keys(jax.random.key(0), n)

    def one(proposal: Array, lies: Array, coin_key: Any) -> PyTree:
        ballot = jax.vmap(protocol.propose)(keys, states, proposal)

        def one_round(ballot: PyTree, given: tuple) -> tuple[PyTree, None]:
            told, number = given
            votes = jax.vmap(protocol.send)(ballot) & jax.vmap(protocol.speaks)(ballot)
            coin = jax.random.bits(jax.random.fold_in(coin_key, number), dtype=jnp.uint32)
            heard = jnp.sum(votes, dtype=jnp.int32) + jnp.minimum(told, liars)
            return jax.vmap(protocol.hear, (0, 0, 0, None))(keys, ballot, heard, coin), None

        ballot, _ = jax.lax.scan(one_round, ballot, (lies, jnp.arange(lies.shape[0])))
        return jax.vmap(protocol.decide)(ballot)[0]

    return jax.vmap(one)(proposals, lies, coins)


@partial(jax.jit, static_argnums=6)
def _engine(
    protocol: TallyProtocol, states: PyTree, proposals: Any, lies: Any, coins: Any, links: Any, extras: int
) -> PyTree:
    n = proposals.shape[1]

    def one(proposal: Array, lies: Array, coin_key: Any) -> PyTree:
        fault, key = Scripted(plan=lies, extras=extras), jax.random.key(0)
        rot = fault.reset(key, n)
        return comms.converse(key, coin_key, protocol, states, proposal, links, fault, rot, None, n).decision

    return jax.vmap(one)(proposals, lies, coins)
