"""The fault plan: what becomes of each message, decided alike by a live node and by the simulator.

Every decision is a hash of (seed, kind, tick, round, source, destination) and of nothing else, so nobody has to be
asked: the sender of a message makes it when it sends, the simulator when it delivers, and both come to the same.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from quorate.core import Fault, Key, Mail, State, Tally, static
from quorate.errors import Refusal
from quorate.numerics.mix import GOLDEN, mix

DROP, DELAY, DUPLICATE, EQUIVOCATE, LIE, FAVOUR, PROPOSE = range(7)  # kinds of decisions


def word(*parts: Any) -> Any:
    """A 32-bit hash of numbers or arrays that broadcast, in numpy for numpy and in JAX for JAX.

    >>> int(word(1, 2)) != int(word(2, 1)), bool(word(1, np.arange(3))[2] == word(1, jnp.int32(2)))
    (True, True)
    """
    state = np.uint32(0)
    with np.errstate(over="ignore"):  # scalars of numpy warn where arrays wrap around
        for part in parts:
            given = part.astype(np.uint32) if hasattr(part, "astype") else np.uint32(part)
            state = mix(state ^ mix(given + GOLDEN))
    return state


def below(drawn: Any, share: float) -> Any:
    """Whether a hash falls below a share of all hashes, to 31 bits."""
    return (drawn >> np.uint32(1)) < np.uint32(round(share * 2**31))


class Fate(NamedTuple):
    """What becomes of messages. A dropped one is neither delayed nor duplicated."""

    dropped: Bool[Array, "..."]
    delayed: Bool[Array, "..."]
    duplicated: Bool[Array, "..."]

    @property
    def arrives(self) -> Bool[Array, "..."]:
        """In time; a duplicate is heard once."""
        return ~(self.dropped | self.delayed)


class FaultPlan(NamedTuple):
    """What goes wrong between nodes.

        drop        share of messages that are lost
        delay       share of the others that come after their round has ended: they are not heard, in no round
        duplicate   share of what is sent that is sent twice, and heard once
        equivocate  share of a liar's words that it makes up for one receiver alone; the others it tells to all
        least, most what may be proposed; a lie that is a fraction lies in between, a whole number at most one outside

    Numbers of sources: honest nodes from 0, then liars. A node's message to itself is never touched.

    >>> plan = FaultPlan(seed=1, drop=0.5)
    >>> plan.fate(0, 0, 3, np.arange(6)).arrives.tolist()
    [True, False, True, True, True, False]
    """

    seed: int
    drop: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    equivocate: float = 1.0
    least: int = 0
    most: int = 1

    def fate(self, tick: Any, round_: Any, source: Any, destination: Any) -> Fate:
        """What becomes of the message of `source` to `destination`. Arguments broadcast."""

        def chosen(kind: int, share: float) -> Any:
            return below(word(self.seed, kind, tick, round_, source, destination), share)

        dropped = chosen(DROP, self.drop)
        return Fate(dropped, ~dropped & chosen(DELAY, self.delay), ~dropped & chosen(DUPLICATE, self.duplicate))

    def lie(self, tick: Any, round_: Any, source: Any, destination: Any, part: Any, dtype: Any) -> Any:
        """What a liar says in the numbers `part` of its message. Arguments broadcast."""
        alone = below(word(self.seed, EQUIVOCATE, tick, round_, source, destination), self.equivocate)
        told = (destination + 1) * alone  # 0: what it tells to all
        drawn = word(self.seed, LIE, tick, round_, source, told, part) >> np.uint32(8)
        if np.dtype(dtype).kind == "b":
            return (drawn & np.uint32(1)).astype(bool)
        span = self.most - self.least
        if np.issubdtype(dtype, np.floating):  # fractions of 256 are exact, whoever computes them
            return (self.least + span * (drawn % np.uint32(257)).astype(np.float32) / np.float32(256)).astype(dtype)
        return ((drawn % np.uint32(span + 3)).astype(np.int32) + np.int32(self.least - 1)).astype(dtype)


class PlannedFault(Fault):
    """A fault plan in the simulator: on inboxes, with `extras` liars from outside, it does what the plan does to live
    nodes. Its state is the tick. It knows links, so sums cannot carry it: give links, such as `comms.complete`."""

    plan: FaultPlan = static()

    def reset(self, key: Key, num_agents: int) -> State:
        return jnp.int32(0)

    def update(self, key: Key, state: State, t: Int[Array, ""]) -> State:
        return jnp.asarray(t, jnp.int32)

    def on_deliver(self, key: Key, state: State, mail: Mail) -> tuple[State, PyTree, Bool[Array, "N K"]]:
        num_agents, source = mail.sender.shape[0], mail.sender
        receiver = jnp.broadcast_to(jnp.arange(num_agents)[:, None], source.shape)
        fate = self.plan.fate(state, mail.round, source, receiver)
        leaves, structure = jax.tree.flatten(mail.payload)
        told, start = [], 0
        for leaf in leaves:
            flat = leaf.reshape(*source.shape, -1)
            part = start + jnp.broadcast_to(jnp.arange(flat.shape[-1]), flat.shape)
            lie = self.plan.lie(state, mail.round, source[..., None], receiver[..., None], part, leaf.dtype)
            outside = (source >= num_agents)[..., None]
            told.append(jnp.where(outside, lie, flat).astype(leaf.dtype).reshape(leaf.shape))
            start += flat.shape[-1]
        return state, jax.tree.unflatten(structure, told), mail.heard & fate.arrives

    def on_tally(self, key: Key, state: State, tally: Tally) -> tuple[State, PyTree]:
        raise Refusal("PlannedFault decides link by link, and a sum has no links; give links, as comms.complete makes")


def proposals(seed: int, values: tuple[int, ...], decisions: int, nodes: int) -> np.ndarray:
    """What nodes propose, int32[T, N]: in each tick some value is in favour, more or less.

    >>> proposals(0, (0, 1), 3, 4).shape
    (3, 4)
    """
    tick, node = np.arange(decisions)[:, None], np.arange(nodes)[None, :]
    allowed = np.asarray(values, np.int32)
    favoured = allowed[word(seed, FAVOUR, tick, 0) % np.uint32(len(allowed))]
    in_favour = word(seed, FAVOUR, tick, 1) > word(seed, PROPOSE, tick, node, 0)
    return np.where(in_favour, favoured, allowed[word(seed, PROPOSE, tick, node, 1) % np.uint32(len(allowed))])


class Roots(eqx.Module):
    """Where the noise of a run comes from: of nodes, when they boot and when they talk, of the coin, of the plan. Nodes
    get the words of the first two; the beacon alone has the coin's."""

    boot: Key
    nodes: Key
    coin: Key
    plan: int = static()


def roots(key: Key) -> Roots:
    """All roots of a run from one key."""
    boot, nodes, coin, plan = (jax.random.fold_in(key, index) for index in range(4))
    return Roots(boot=boot, nodes=nodes, coin=coin, plan=int(jax.random.bits(plan, dtype=jnp.uint32)))
