"""Scenario: a world and what lives in it; the record of a tick, and what a run carries on."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from quorate.core.aggregative import AggregativeWorld
from quorate.core.fault import Fault, Monitor, NoFault, Unwatched
from quorate.core.fields import Key, Memory, Mind, State
from quorate.core.learner import Learner, Team, Utility
from quorate.core.protocol import Protocol, Silent
from quorate.core.world import Neighbours, World
from quorate.errors import Refusal


class Traffic(NamedTuple):
    """A tick's bill, counted by the engine: messages sent and heard, bytes heard, rounds, and notices of boards that
    were read. Everybody to everybody counts N (N - 1) messages a round. A round in which no member speaks is not
    billed, whatever liars say in it; on a board what is read is billed all the same."""

    sent: Float[Array, ""]
    heard: Float[Array, ""]
    bytes: Float[Array, ""]
    rounds: Int[Array, ""]
    reads: Float[Array, ""]


class Step(NamedTuple):
    """Everything that happened in one tick. What is not recorded costs nothing."""

    t: Int[Array, ""]
    live: Bool[Array, ""]  # False: the episode was over before; this tick is only looked at
    obs: PyTree  # after faults and talk
    raw: PyTree  # after faults, before talk
    legal: PyTree
    view: PyTree
    memory: PyTree
    intent: PyTree
    decided: PyTree
    actions: PyTree
    aux: PyTree
    score: Float[Array, ""]
    credit: Float[Array, " N"]
    done: Bool[Array, ""]
    cut: Bool[Array, ""]
    before: State
    after: State
    mail: PyTree
    traffic: Traffic
    trace: PyTree
    verdict: PyTree


class Scenario(eqx.Module):
    """A world and what lives in it: everything `run` needs besides a key. `limit` is the number of ticks in an
    episode, None for no limit."""

    world: World
    learner: Learner
    utility: Utility = Team()
    talk: Protocol = Silent()
    commit: Protocol = Silent()
    topology: Neighbours | None = None
    fault: Fault = NoFault()
    monitor: Monitor = Unwatched()
    limit: Int[Array, ""] | None = eqx.field(
        default=None, converter=lambda value: None if value is None else jnp.asarray(value, jnp.int32)
    )

    def __check_init__(self):
        pay, learner, world = type(self.utility).__name__, type(self.learner).__name__, type(self.world).__name__
        if self.utility.needs_chances and not self.learner.gives_chances:
            raise Refusal(f"{pay} needs to know what each agent might have done; {learner} does not report chances")
        if self.utility.needs_sums and not isinstance(self.world, AggregativeWorld):
            raise Refusal(f"{pay} needs a world whose score depends on sums; {world} is no AggregativeWorld")


class Carry(NamedTuple):
    """What lives in an episode and ends with it."""

    age: Int[Array, ""]
    world: State
    memory: Memory
    talk: State
    commit: State
    fault: State
    monitor: State
    here: PyTree  # who was there in the tick before, bool[N]; () where nobody can be away


class Progress(NamedTuple):
    """All there is to save: with the scenario it determines everything that follows. Leaves of `carry` lead with B."""

    key: Key
    t: Int[Array, ""]
    mind: Mind
    fault: Fault
    monitor: Monitor
    carry: Carry
