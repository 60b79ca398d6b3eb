"""Braess: a road that is free makes everybody late."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import AggregativeWorld, State, static, swept
from quorate.worlds.limits import above_zero


class Load(NamedTuple):
    """Drivers on the two narrow roads, s-A and B-t (component first), and wide roads (A-t or s-B) in use."""

    narrow: Int[Array, "2 ..."]
    wide: Int[Array, "..."]


class Braess(AggregativeWorld):
    """N drivers go from s to t over A, over B, or over A and then B by the link. The score is minus the mean latency.

        G = -1/N sum_i latency(route of i),   latency of   0: s-A-t  40 x/N + 45
                                                           1: s-B-t  45 + 40 y/N
                                                           2: s-A-B-t  40 x/N + 0 + 40 y/N   (with `link`)

    num_agents  N, drivers
    link        whether route 2 exists; another value is another program
    narrow      40, the minutes that a narrow road takes with everybody on it
    wide        45, the minutes that a wide road takes always

    x and y count the drivers on s-A and on B-t. Without the link all settle at 65, which is also the best. With it,
    route 2 is better for each and all end at 80, while 64.69 is possible: the selfish lose by being given a choice.

    The divisor is the population N, also in a world without agent i. So a wonderful life is -(own latency + delay to
    the others) / N, and nobody is paid for making the mean larger by staying away. Staying at home is action -1
    (`idle`): latency 0, no load.

    Shapes: actions i32[N] in 0..2 (0..1 without the link), or -1. Cost O(N). Loads are integers, exact in any order; a
    wonderful life is resolved to N 2^-24 of itself, since it is a difference of means.
    Errors: Refusal for a number that is not above 0.
    Reference: D. Braess, Ueber ein Paradoxon aus der Verkehrsplanung, Unternehmensforschung 12 (1968); K. Tumer and D.
    H. Wolpert, Collective Intelligence and Braess' Paradox, AAAI 2000, study it in networks of routers. The numbers are
    the usual textbook ones.

    >>> float(Braess(num_agents=4).score((), jnp.array([0, 0, 1, 1]), ()))
    -65.0
    >>> float(Braess(num_agents=4, link=True).score((), jnp.array([2, 2, 2, 2]), ()))
    -80.0
    """

    num_agents: int = static()
    link: bool = static(False)
    narrow: Float[Array, ""] = swept(default=40.0)
    wide: Float[Array, ""] = swept(default=45.0)

    def __check_init__(self):
        above_zero(num_agents=self.num_agents, narrow=self.narrow, wide=self.wide)

    @property
    def num_actions(self) -> int:
        return 3 if self.link else 2

    def idle(self, state: State) -> Int[Array, " N"]:
        return jnp.full(self.num_agents, -1, jnp.int32)

    def parts(self, state: State, actions: Int[Array, " N"]) -> Load:
        over_a, over_b = (actions == 0) | (actions == 2), (actions == 1) | (actions == 2)
        return Load(jnp.stack([over_a, over_b]).astype(jnp.int32), (over_a ^ over_b).astype(jnp.int32))

    def value(self, state: State, total: Load) -> Float[Array, "..."]:
        share = total.narrow / self.num_agents
        return -(self.narrow * jnp.sum(share**2, axis=0) + self.wide * (total.wide / self.num_agents))

    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """Minus the agent's own latency, 0 at home."""
        over_a, over_b = self.narrow * (self.total(self.parts(state, actions)).narrow / self.num_agents)
        latency = jnp.stack([over_a + self.wide, self.wide + over_b, over_a + over_b, jnp.float32(0)])
        return -latency[actions]  # the last entry is that of -1
