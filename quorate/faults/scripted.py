"""Scripted: attackers who follow a written plan, round by round and receiver by receiver."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from quorate.core import static
from quorate.errors import Refusal
from quorate.faults.counting import Attackers, everybody


class Scripted(Attackers):
    """Plays a given plan: lies_i = plan[r, i] in round r, at most as many as there are attackers.

    plan     how many false yes each receiver hears in each round, from the first on: int32[R, N], or [R, 1] to tell
             all the same
    later    what happens after round R: "silence", or "repeat" for the last row again and again

    Any course that attackers can take against given proposals and coins is such a plan: for replays, for searches and
    for tests of every play. O(N) a round.

    Errors: `Refusal` for a plan that is no table, has negative entries or another number of receivers than the world.

    >>> Scripted(plan=[[1, 0, 1], [0, 0, 2]], extras=2).plan.shape
    (2, 3)
    """

    plan: Int[Array, "R N"] = eqx.field(converter=lambda plan: jnp.asarray(plan, jnp.int32), kw_only=True)
    later: str = static("silence")

    def __check_init__(self):
        if self.later not in ("silence", "repeat"):
            raise Refusal(f'later is "{self.later}"; it can be silence or repeat')
        if self.plan.ndim < 2 or 0 in self.plan.shape[-2:]:
            shape = list(self.plan.shape)
            raise Refusal(f"the plan has the shape {shape}; it has a row for each round and a column for each receiver")
        if not isinstance(self.plan, jax.core.Tracer) and np.any(np.asarray(self.plan) < 0):
            raise Refusal(f"the plan holds {int(np.min(self.plan))}; it counts false yes, which are at least 0")

    def lies(self, key, state, tally):
        rounds, receivers = self.plan.shape
        if receivers not in (1, tally.forged.shape[0]):
            raise Refusal(f"the plan has {receivers} columns; {tally.forged.shape[0]} agents hear")
        row = jnp.broadcast_to(self.plan[jnp.minimum(tally.round, rounds - 1)], tally.forged.shape)
        if self.later == "silence":
            row = jnp.where(tally.round < rounds, row, everybody(tally, jnp.int32(0)))
        return state, row
