"""Servers: jobs choose among machines of unlike speed, and each machine slows down with its queue."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import AggregativeWorld, At, Places, State, static, swept
from quorate.errors import Refusal
from quorate.worlds.limits import above_zero, not_negative


class Servers(AggregativeWorld):
    """N jobs on M servers; a job waits for its server's base latency and for everybody there. The score is minus the
    sum of latencies.

        G = -sum over servers m of x_m (b_m + x_m / s_m)

    num_agents  N, jobs, one agent each
    base        b [M], the latency of an idle server, not below 0
    speed       s [M], jobs per unit of time

    x_m is the number of jobs on server m. `mean_latency` turns a score into time per job. A wonderful life is minus a
    job's whole burden, b_m + (2 x_m - 1) / s_m: its own latency and what it adds to that of the others. The selfish
    count only the first and overcrowd the quick servers. Not to run is action -1 (`idle`).

    Shapes: actions i32[N] in 0..M-1, or -1. Cost O(N + M) for the score and all wonderful lives, O(M N) for all
    expected differences. G grows with N while a difference does not, so a difference is resolved to about N 2^-24 of
    itself: 0.6 % for 10^5 jobs.
    Errors: Refusal when base and speed are not two lists of one length, or hold a number out of range.
    Reference: K. Tumer and J. Lawson, Collectives for Multiple Resource Job Scheduling across Heterogeneous Servers,
    AAMAS 2003, reduced to one decision per job and a latency linear in the queue.

    >>> world = Servers(num_agents=3, base=[1.0, 2.0], speed=[1.0, 4.0])
    >>> score = world.score((), jnp.array([0, 1, 1]), ())  # 1 (1 + 1/1) + 2 (2 + 2/4)
    >>> float(score), round(float(world.mean_latency(score)), 4)
    (-7.0, 2.3333)
    """

    num_agents: int = static()
    base: Float[Array, " M"] = swept()
    speed: Float[Array, " M"] = swept()

    def __check_init__(self):
        if self.base.ndim < 1 or self.base.shape != self.speed.shape or self.base.size == 0:
            shapes = f"base has shape {self.base.shape} and speed {self.speed.shape}"
            raise Refusal(f"{shapes}; both list one number a server")
        above_zero(num_agents=self.num_agents, speed=self.speed)
        not_negative(base=self.base)

    @property
    def num_actions(self) -> int:
        return self.base.shape[-1]

    def idle(self, state: State) -> Int[Array, " N"]:
        return jnp.full(self.num_agents, -1, jnp.int32)

    def parts(self, state: State, actions: Int[Array, " N"]) -> At:
        return At(jnp.maximum(actions, 0), (actions >= 0).astype(jnp.float32), self.num_actions)

    def value(self, state: State, total: Places) -> Float[Array, "..."]:
        return -total.sum(lambda server, jobs: jobs * (self.base[server] + jobs / self.speed[server]))

    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """Minus the job's own latency, 0 when it does not run."""
        latency = self.base + self.total(self.parts(state, actions)).amount / self.speed
        return jnp.where(actions >= 0, -latency[actions], 0)

    def mean_latency(self, score: Float[Array, "..."]) -> Float[Array, "..."]:
        """-G / N: time per job."""
        return -score / self.num_agents
