"""Failing: at a given tick a share of the agents stops doing what it decides."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Fault, Key, static, swept
from quorate.errors import Refusal, unknown
from quorate.numerics.choose import choose

MANNERS = ("off", "frozen", "random")


class Broken(NamedTuple):
    doomed: Bool[Array, " N"]  # who fails when the time comes
    now: Bool[Array, " N"]
    last: Int[Array, " N"]  # what each did in the tick before


class Failing(Fault):
    """round(fraction * N) agents, chosen at random when the episode begins, fail at tick `at` and stay failed.

    fraction      share of the agents
    at            tick of the failure, counted from 0: the first `at` ticks are whole
    manner        what a failed agent does: "off" its idle action, "frozen" what it did last, "random" any action
    num_actions   of the world, needed for "random"

    Cost O(N) a tick. Reference: Tumer, Designing Agent Utilities, Section 4.3, where agents are turned off; the other
    two manners are ours, because the outcome depends on the manner more than on anything else.

    >>> float(Failing(fraction=0.25, at=100).fraction)
    0.25
    """

    fraction: Float[Array, ""] = swept()
    at: Int[Array, ""] = swept(jnp.int32)
    manner: str = static("off")
    num_actions: int = static(2)

    def __check_init__(self):
        if self.manner not in MANNERS:
            raise unknown("manner of failing", self.manner, MANNERS)
        if not isinstance(self.fraction, jax.core.Tracer):
            fraction = np.asarray(self.fraction)
            if not np.all((fraction >= 0) & (fraction <= 1)):
                raise Refusal(f"fraction is {self.fraction}; it is a share of the agents, from 0 to 1")

    def reset(self, key: Key, num_agents: int) -> Broken:
        doomed = choose(key, jnp.round(self.fraction * num_agents).astype(jnp.int32), num_agents)
        return Broken(doomed, jnp.zeros(num_agents, bool), jnp.zeros(num_agents, jnp.int32))

    def update(self, key, state, t):
        return state._replace(now=state.doomed & (t >= self.at))

    def on_act(self, key, state, actions, idle):
        if self.manner == "frozen":
            instead = state.last
        elif self.manner == "random":
            instead = jax.random.randint(key, actions.shape, 0, self.num_actions, actions.dtype)
        else:
            instead = idle
        actions = jnp.where(state.now, instead, actions)
        return state._replace(last=actions), actions

    def report(self, state):
        return state.now
