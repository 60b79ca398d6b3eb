"""Gaussian squeeze: everybody names a number, and only the sum matters."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quorate.core import AggregativeWorld, State, static, swept
from quorate.worlds.limits import above_zero


class GaussianSqueeze(AggregativeWorld):
    """Each agent puts in an amount from 0 to 9; the sum should be near a target.

        G = x exp(-(x - mu)^2 / sigma^2),   x = sum_i a_i

    num_agents  N
    mu          the sum at which the bell is highest; the best sum lies a little above
    sigma       its width, in the same unit: small against sqrt(N) it is hard to hit

    Far from mu the score underflows to 0, and so does every utility made of it: where sigma is small against
    |4.5 N - mu| a random start sees no slope at all. A difference utility tells agents apart, it does not make them
    explore.

    Shapes: actions i32[N] in 0..9; putting in 0 is doing nothing. Cost O(N) for the score and all wonderful lives,
    O(10 N) for all expected differences. The sum is exact and the same in any order.
    Errors: Refusal for a number that is not above 0.
    Reference: the Gaussian squeeze domain of C. HolmesParker, A. Agogino and K. Tumer (papers of 2012 to 2016);
    versions differ by a factor in the exponent.

    >>> world = GaussianSqueeze(num_agents=3, mu=6.0, sigma=2.0)
    >>> scores = [world.score((), jnp.array(actions), ()) for actions in ([3, 0, 3], [3, 0, 5])]  # 6 and 8/e
    >>> [round(float(score), 4) for score in scores]
    [6.0, 2.943]
    """

    num_agents: int = static()
    mu: Float[Array, ""] = swept()
    sigma: Float[Array, ""] = swept()

    def __check_init__(self):
        above_zero(num_agents=self.num_agents, mu=self.mu, sigma=self.sigma)

    @property
    def num_actions(self) -> int:
        return 10

    def parts(self, state: State, actions: Int[Array, " N"]) -> Int[Array, " N"]:
        return actions

    def value(self, state: State, total: Int[Array, "..."]) -> Float[Array, "..."]:
        return total * jnp.exp(-(((total - self.mu) / self.sigma) ** 2))

    def own(self, state: State, actions: Int[Array, " N"]) -> Float[Array, " N"]:
        """a_i / 9: whoever likes to give gives all, whatever the target."""
        return actions / jnp.float32(self.num_actions - 1)
