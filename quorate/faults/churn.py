"""Churn: agents come and go all the time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from quorate.core import Fault, Key, swept
from quorate.faults.picking import check_chances


class Churn(Fault):
    """In each tick one who is there leaves with chance `leave`, and one who is away returns with chance `join`, each by
    itself. All are there when the episode begins.

        share away after t ticks = leave / (leave + join) (1 - (1 - leave - join)^t),    on average

    leave    probability a tick, from 0 to 1; 0 changes nothing
    join     probability a tick, from 0 to 1

    Who is away neither speaks nor hears nor acts, places that it keeps are frozen, and it has forgotten what was
    agreed when it returns. O(N) a tick. `report` says who is away.

    >>> float(Churn(leave=0.02, join=0.1).leave)
    0.019999999552965164
    """

    leave: Float[Array, ""] = swept()
    join: Float[Array, ""] = swept()

    def __check_init__(self):
        check_chances(leave=self.leave, join=self.join)

    def reset(self, key: Key, num_agents: int) -> Bool[Array, " N"]:
        return jnp.zeros(num_agents, bool)

    def update(self, key, state, t):
        drawn = jax.random.uniform(key, state.shape)
        return jnp.where(state, drawn >= self.join, drawn < self.leave)

    def down(self, state):
        return state

    def report(self, state):
        return state
