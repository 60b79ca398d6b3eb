"""Shift: agents that are there for a part of the run only."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from quorate.core import Fault, Key, swept
from quorate.errors import Refusal


class Shift(Fault):
    """Agent i is down except in the ticks since_i <= t < until_i.

    since  int32[N], first tick; until: int32[N], first tick after

    O(N) a tick.

    >>> Shift(since=[0, 5], until=[9, 9]).since.tolist()
    [0, 5]
    """

    since: Int[Array, " N"] = swept(jnp.int32)
    until: Int[Array, " N"] = swept(jnp.int32)

    def reset(self, key: Key, num_agents: int) -> Bool[Array, " N"]:
        for name in ("since", "until"):
            if getattr(self, name).shape not in ((num_agents,), (1,)):
                raise Refusal(f"{name} has shape {getattr(self, name).shape}; the world has {num_agents} agents")
        return jnp.broadcast_to(self.since > 0, (num_agents,))

    def update(self, key, state, t):
        return jnp.broadcast_to((t < self.since) | (t >= self.until), state.shape)

    def down(self, state):
        return state

    def report(self, state):
        return state
