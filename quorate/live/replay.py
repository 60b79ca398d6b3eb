"""A run once more, in the array code: from what nodes took in, never from what they decided.

The inputs are proposals, which messages were heard, what liars said, and the roots of noise and coin. Out come the
messages of honest nodes, the coins and the decisions, and each is compared with what the log says of it.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from quorate import comms
from quorate.core import Fault, Key, Mail, Protocol, State
from quorate.live.log import Log
from quorate.live.plan import Roots, roots
from quorate.live.program import Program
from quorate.live.wire import HEARD, Layout
from quorate.random import key


class Seen(NamedTuple):
    """The state of `Replayed`: the tick, and what honest nodes said in it by round, leaves [R, N, ...]."""

    tick: Int[Array, ""]
    said: PyTree
    spoke: Bool[Array, "R N"]


class Replayed(Fault):
    """Mail as a log has it: who heard whom, and what talkers from outside said. Honest messages are the replay's own.

    Shapes: `heard` [T, R, N, K], leaves of `lies` [T, R, N, extras, ...].
    """

    heard: Bool[Array, "T R N K"]
    lies: PyTree
    empty: PyTree  # what nobody said, leaves [R, N, ...]

    def begin(self, tick: Int[Array, ""]) -> Seen:
        return Seen(tick, self.empty, jnp.zeros(self.heard.shape[1:3], bool))

    def on_deliver(self, key: Key, state: Seen, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        num_agents = mail.sender.shape[0]
        nodes = jnp.arange(num_agents)
        spoke = state.spoke.at[mail.round].set(mail.heard[nodes, nodes])
        said = jax.tree.map(lambda kept, sent: kept.at[mail.round].set(sent), state.said, mail.sent)
        payload = jax.tree.map(
            lambda slots, lies: slots.at[:, num_agents:].set(lies[state.tick, mail.round]), mail.payload, self.lies
        )
        return Seen(state.tick, said, spoke), payload, self.heard[state.tick, mail.round]


class Differences(NamedTuple):
    """Where log and replay differ, bool[T, N]: in what a node decided, in what it keeps, in what others heard from it,
    and in the coins it was shown. `divergences` counts ticks of nodes in which anything does."""

    decision: np.ndarray
    lasting: np.ndarray
    said: np.ndarray
    coin: np.ndarray

    @property
    def divergences(self) -> int:
        return int(np.any(self, axis=0).sum())


def replay(log: Log, protocol: Protocol, seeds: Roots | None = None) -> Differences:
    """Runs the log's inputs through `comms.converse`. Whole numbers and truth values must agree bit for bit, fractions
    to a few units in the last place (sums over senders may be made in another order).

    `seeds` are the roots, those of the log's seed unless given. Cost: O(T R N K).
    """
    setup = log.setup
    seeds = roots(key(log.header["seed"])) if seeds is None else seeds
    layout = Program(protocol, setup.slots).layout
    heard = log.status == HEARD
    lies = layout.unpack(log.said[:, :, :, setup.nodes :])
    empty = layout.unpack(np.zeros((setup.rounds, setup.nodes, layout.size), np.uint8))
    fault = Replayed(heard=jnp.asarray(heard), lies=_device(lies), empty=_device(empty), extras=setup.byzantine)
    noise = (seeds.boot, seeds.nodes, seeds.coin)
    decision, lasting, seen, coin = _play(protocol, noise, fault, jnp.asarray(log.proposals))
    said = _said_otherwise(log, layout, jax.tree.map(np.asarray, seen), heard)
    return Differences(
        _apart(log.decision, jax.tree.leaves(decision), log.proposals.shape),
        _apart(log.lasting, jax.tree.leaves(lasting), log.proposals.shape),
        said,
        np.any(log.coin != np.asarray(coin)[:, :, None], axis=1),
    )


@eqx.filter_jit
def _play(
    protocol: Protocol, noise: tuple[Key, Key, Key], fault: Replayed, proposals: Array
) -> tuple[PyTree, PyTree, Seen, Array]:
    (boot, stages, coin), (decisions, nodes) = noise, proposals.shape
    links = comms.complete(nodes, fault.extras)
    rounds = jnp.arange(fault.heard.shape[1])

    def tick(lasting: PyTree, index: Array) -> tuple[PyTree, Any]:
        now, coins = jax.random.fold_in(stages, index), jax.random.fold_in(coin, index)
        begun, proposal = fault.begin(index), proposals[index]
        talked = comms.converse(now, coins, protocol, lasting, proposal, links, fault, begun, None, nodes)
        words = jax.vmap(lambda r: jax.random.bits(jax.random.fold_in(coins, r), dtype=jnp.uint32))(rounds)
        return talked.lasting, (talked.decision, talked.lasting, talked.fault, words)

    return jax.lax.scan(tick, comms.boot(boot, protocol, nodes), jnp.arange(decisions))[1]


def _device(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.asarray, tree)


def _said_otherwise(log: Log, layout: Layout, seen: Seen, heard: np.ndarray) -> np.ndarray:
    """Whether somebody heard from a node what it does not say in the replay, or heard it when it is silent."""
    nodes = log.setup.nodes
    logged = jax.tree.leaves(layout.unpack(log.said[:, :, :, :nodes]))  # [T, R, receiver, sender, ...]
    replayed = [leaf[:, :, None] for leaf in jax.tree.leaves(seen.said)]
    wrong = ~seen.spoke[:, :, None, :] | _apart(logged, replayed, (*log.status.shape[:3], nodes))
    return np.any(wrong & heard[..., :nodes], axis=(1, 2))


def _apart(ours: list[np.ndarray], theirs: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Where leaves [*shape, ...] differ."""
    apart = np.zeros(shape, bool)
    for logged, replayed in zip(ours, map(np.asarray, theirs), strict=True):
        if np.issubdtype(logged.dtype, np.floating):
            same = np.isclose(logged, replayed, rtol=1e-5, atol=1e-6, equal_nan=True)
        else:
            same = logged == replayed
        apart |= ~same.all(axis=tuple(range(len(shape), same.ndim)))
    return apart
