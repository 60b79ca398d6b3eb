"""Crash: at a given tick a share of the agents goes down, for a while or for good."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quorate.core import Fault, Key, swept
from quorate.faults.picking import an_order, check_picking, picked

NEVER = 2**31 - 1


class Fallen(NamedTuple):
    doomed: Bool[Array, " N"]  # whom it hits when the time comes
    now: Bool[Array, " N"]


class Crash(Fault):
    """round(share N) agents are down in the ticks at <= t < back: they neither speak nor hear nor act, and the places
    that they keep are frozen. Who comes back has forgotten what was agreed.

    What the world does to agents by itself goes on: in a fleet one that is low on energy still gets to its depot.

    share    of the agents, drawn when the episode begins
    at       first tick of the outage, from 0; NEVER switches it off
    back     first tick after it; NEVER unless told
    order    a number for each agent, f32[N], or None; see `leaders_first`
    first    True: those with the highest `order` fall (leaders first); False: at random

    O(N) a tick. `report` says who is down. Share 0 changes nothing. All fields are arrays, so that one program serves
    calm and crash, random and leaders first.

    Errors: `Refusal` for a share that is none, for an order with NaN or of another length than N, and for `first`
    without an order.

    >>> crash = Crash(share=0.3, at=70)
    >>> int(crash.at), bool(crash.first)
    (70, False)
    """

    share: Float[Array, ""] = swept()
    at: Int[Array, ""] = swept(jnp.int32)
    back: Int[Array, ""] = swept(jnp.int32, NEVER)
    order: Array | None = eqx.field(default=None, converter=an_order, kw_only=True)
    first: Bool[Array, ""] = swept(bool, False)

    def __check_init__(self):
        check_picking(self.share, self.order, self.first)

    def reset(self, key: Key, num_agents: int) -> Fallen:
        doomed = picked(key, self.share, num_agents, self.order, self.first)
        return Fallen(doomed, jnp.zeros(num_agents, bool))

    def update(self, key, state, t):
        return state._replace(now=state.doomed & (t >= self.at) & (t < self.back))

    def down(self, state):
        return state.now

    def report(self, state):
        return state.now
