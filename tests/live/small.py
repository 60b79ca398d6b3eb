"""Small protocols of the tests' own, and a run of theirs in one process."""

import asyncio
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from quorate.core import Protocol, static
from quorate.live.cluster import here
from quorate.live.log import Log, gathered
from quorate.live.node import Node, Setup
from quorate.live.plan import FaultPlan, proposals, roots
from quorate.live.program import Program
from quorate.protocols import PROTOCOLS
from quorate.random import key

SEED = 11


class Held(NamedTuple):
    word: jax.Array
    fraction: jax.Array
    round: jax.Array


class Said(NamedTuple):
    word: jax.Array
    loud: jax.Array
    fractions: jax.Array


class Dice(Protocol):
    """Everything that can matter does: own draws, who said what in which slot, silence, the coin, and what lasts."""

    rounds: int = static(5)

    def boot(self, key, me):
        return jax.random.bits(key, dtype=jnp.uint32), me

    def propose(self, key, state, proposal):
        drawn = jax.random.bits(key, dtype=jnp.uint32) ^ state[0]
        return state[1], Held(drawn + proposal.astype(jnp.uint32), jax.random.uniform(key), jnp.int32(0))

    def send(self, ballot):
        held = ballot[1]
        return Said(held.word, held.word % 2 == 0, jnp.stack([held.fraction, 1 - held.fraction]))

    def speaks(self, ballot):
        return (ballot[1].word + ballot[1].round) % 5 > 0

    def receive(self, key, ballot, inbox):
        me, held = ballot
        slots = jnp.sum(inbox.payload.word * (2 * inbox.sender.astype(jnp.uint32) + 1), dtype=jnp.uint32)
        loud = jnp.sum(inbox.payload.loud, dtype=jnp.uint32) * 7
        word = slots + loud + jax.random.bits(key, dtype=jnp.uint32) + inbox.coin
        fraction = jnp.sum(inbox.payload.fractions[:, 0]) / jnp.sum(inbox.heard)
        fraction = jnp.where(jnp.any(inbox.heard), fraction, held.fraction)
        return me, Held(word, fraction, held.round + 1)

    def decide(self, ballot):
        return (ballot[1].word, ballot[1].fraction), (ballot[1].word, ballot[0])


DICE, MUTE = Dice(), Dice(rounds=0)
VOTE = PROTOCOLS["hidden_stop_vote"].example
PARTS = {"dice": DICE, "vote": VOTE}


@lru_cache
def compiled(name: int, slots: int) -> Program:
    """One program for each protocol and size."""
    return Program({id(part): part for part in (DICE, MUTE, VOTE)}[name], slots)


def played(
    protocol: Protocol,
    *,
    nodes: int = 5,
    byzantine: int = 1,
    decisions: int = 10,
    transport: str = "memory",
    node=Node,
    coin=None,
    deadline: float = 30.0,
    **shares: float,
) -> Log:
    """A run of any protocol as tasks of this process. `coin` is another root for the beacon than the seed's."""
    seeds = roots(key(SEED))
    setup = Setup(nodes, byzantine, decisions, protocol.rounds, FaultPlan(seeds.plan, **shares), deadline)
    proposed = proposals(seeds.plan, (0, 1), decisions, nodes)
    held = seeds if coin is None else type(seeds)(boot=seeds.boot, nodes=seeds.nodes, coin=coin, plan=seeds.plan)
    notes, _ = asyncio.run(here(setup, compiled(id(protocol), setup.slots), held, proposed, transport, node=node))
    header = {"protocol": "of the test", "options": {}, "seed": SEED, "setup": setup.as_json()}
    return gathered(header, proposed, notes)


def same(ours: Log, theirs: Log) -> bool:
    """Everything but what stands in the header, bit for bit."""
    return jax.tree.all(jax.tree.map(np.array_equal, tuple(ours[1:7]), tuple(theirs[1:7])))
